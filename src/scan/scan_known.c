/*-------------------------------------------------------------------------
 *
 * scan_known.c
 *	  Whether a plan may hold lookups, without looking at it.
 *
 * A plan lists the functions that it depends on, other than PostgreSQL's own,
 * by the hash values of their rows in pg_proc.  The lookups of a database are
 * those functions that depend on the language.  Their hash values are kept, so
 * that most plans need no more than a comparison; where two functions have the
 * same one, a plan is looked at in vain.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "commands/proclang.h"
#include "scan/scan_known.h"
#include "shared/compat.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

static uint32 *known = NULL;	/* hash values of lookups */
static int	nknown = 0;
static uint64 changes = 1;		/* of functions and languages */
static uint64 known_as_of = 0;	/* of changes */

static void
known_catalogs_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	changes++;
}

static void
add_known(uint32 hash)
{
	static int	room = 0;

	if (nknown == room)
	{
		int			more = room ? room * 2 : 16;

		known = known ? repalloc(known, more * sizeof(uint32)) :
			MemoryContextAlloc(TopMemoryContext, more * sizeof(uint32));
		room = more;
	}
	known[nknown++] = hash;
}

static void
find_lookups(Oid language)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(LanguageRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(language));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, 2, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend row = (Form_pg_depend) GETSTRUCT(tuple);

		if (row->classid == ProcedureRelationId)
			add_known(GetSysCacheHashValue1(PROCOID, ObjectIdGetDatum(row->objid)));
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
}

/* What changes meanwhile is seen the next time. */
static void
refresh_known(void)
{
	static bool registered = false;
	uint64		as_of;
	Oid			language;

	if (!registered)
	{
		CacheRegisterSyscacheCallback(PROCOID, known_catalogs_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(LANGOID, known_catalogs_changed, (Datum) 0);
		registered = true;
	}
	if (known_as_of == changes)
		return;
	as_of = changes;
	nknown = 0;
	language = get_language_oid("concresce", true);
	if (OidIsValid(language))
		find_lookups(language);
	known_as_of = as_of;
}

bool
ccr_may_hold_lookups(const PlannedStmt *stmt)
{
	bool		fresh = false;
	ListCell   *lc;

	if (stmt->commandType == CMD_UTILITY)
		return false;
	foreach(lc, stmt->invalItems)
	{
		PlanInvalItem *item = lfirst(lc);

		if (item->cacheId != PROCOID)
			continue;
		if (!fresh)
			refresh_known();
		fresh = true;
		for (int i = 0; i < nknown; i++)
			if (known[i] == item->hashValue)
				return true;
	}
	return false;
}
