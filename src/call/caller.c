/*-------------------------------------------------------------------------
 *
 * caller.c
 *	  For whom something was looked up ahead.
 *
 * Between two rows of a cursor the session may have taken on another role, or
 * other settings, or has lost a right.  What was looked up ahead for one must
 * not be given to the other, who would be asked for rights of its own and may
 * see other rows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "call/caller.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "lookup/clauses.h"
#include "lookup/route.h"
#include "lookup/wire.h"
#include "miscadmin.h"
#include "shared/settings.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

/* ------------------------------------------------------------------- terms */

static bool
has_money(HeapTuple tuple)
{
	bool		found = ccr_wire_has_money(((Form_pg_proc) GETSTRUCT(tuple))->prorettype);
	Oid		   *types;
	char	  **names;
	char	   *modes;
	int			n = get_func_arg_info(tuple, &types, &names, &modes);

	for (int i = 0; i < n && !found; i++)
		found = ccr_wire_has_money(types[i]);
	return found;
}

/*
 * The search_path matters for lookups in this database only, and not if the
 * lookup sets it itself.
 */
static uint32
terms_of_clauses(const CcrClauses *clauses)
{
	uint32		terms = clauses->on_missing < 0 ? CCR_GOES_BY_ON_MISSING : 0;

	if (clauses->server == NULL)
		terms |= CCR_GOES_BY_SERVER;
	if (clauses->sets_path)
		return terms;
	if (clauses->server == NULL)
		return terms | CCR_GOES_BY_PATH_IF_LOCAL;
	return clauses->server[0] == '\0' ? terms | CCR_GOES_BY_PATH : terms;
}

uint32
ccr_caller_terms(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	CcrClauses	clauses;
	Datum		config;
	bool		isnull;
	uint32		terms;

	/*
	 * if the lookup was dropped meanwhile, let the call itself fail, and not
	 * this
	 */
	if (!HeapTupleIsValid(tuple))
		return 0;
	config = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proconfig, &isnull);
	ccr_clauses_read(&clauses, isnull ? NULL : DatumGetArrayTypeP(config),
					 NameStr(((Form_pg_proc) GETSTRUCT(tuple))->proname), false);
	terms = terms_of_clauses(&clauses);
	if (has_money(tuple))
		terms |= CCR_GOES_BY_MONEY;
	ReleaseSysCache(tuple);
	return terms;
}

/* ---------------------------------------------------------------- settings */

/* The hash is needed for each row and changes very seldom, so it is kept. */
typedef struct Hashed
{
	char	   *text;
	uint32		hash;
} Hashed;

static uint32
hash_of(Hashed *last, const char *text)
{
	if (last->text && strcmp(last->text, text) == 0)
		return last->hash;
	if (last->text)
		pfree(last->text);
	last->text = NULL;
	last->text = MemoryContextStrdup(TopMemoryContext, text);
	last->hash = hash_bytes((const unsigned char *) text, strlen(text));
	return last->hash;
}

static uint32
hash_of_settings(uint32 terms)
{
	static Hashed server;
	static Hashed path;
	static Hashed money;
	uint32		hash = 0;

	if (terms & CCR_GOES_BY_ON_MISSING)
		hash = murmurhash32(ccr_settings.on_missing);
	if (terms & CCR_GOES_BY_SERVER)
		hash = hash_combine(hash, hash_of(&server, ccr_settings.server_name));
	if ((terms & CCR_GOES_BY_PATH) ||
		((terms & CCR_GOES_BY_PATH_IF_LOCAL) && ccr_settings.server_name[0] == '\0'))
		hash = hash_combine(hash, hash_of(&path, namespace_search_path));
	if (terms & CCR_GOES_BY_MONEY)
		hash = hash_combine(hash, hash_of(&money,
										  GetConfigOption("lc_monetary", false, false)));
	return hash;
}

/*
 * The count of changes as of the beginning of the present run of the executor.
 * It does not change during the run, since a hash table may be full of cells.
 */
static uint64 rights = 0;

uint64
ccr_caller_begin_run(void)
{
	uint64		before = rights;

	rights = ccr_route_changes();
	return before;
}

void
ccr_caller_end_run(uint64 before)
{
	rights = before;
}

void
ccr_caller_get(CcrCaller *caller, uint32 terms)
{
	int			sec_context;

	GetUserIdAndSecContext(&caller->roleid, &sec_context);
	caller->sec_context = sec_context;
	caller->terms = terms;
	caller->settings = hash_of_settings(terms);
	ccr_route_watch();
	if (!IsInParallelMode())
		caller->settings = hash_combine(caller->settings, murmurhash32((uint32) rights));
}

bool
ccr_caller_equal(const CcrCaller *a, const CcrCaller *b)
{
	return a->roleid == b->roleid && a->sec_context == b->sec_context &&
		a->terms == b->terms && a->settings == b->settings;
}
