/*-------------------------------------------------------------------------
 *
 * revoked.c
 *	  When a transaction takes rights away that enqueued items rely on.
 *
 * There are many commands for it: DROP and REVOKE of many things, DROP OWNED,
 * CASCADE, ALTER ROLE, a COMMIT PREPARED.  What they have in common is that
 * the catalogs' caches are told.  So a transaction that was told looks, as it
 * commits, which of the rights are still there that items rely on, and once it
 * has committed it marks the others.
 *
 * Every other session in the database is told, too, and looks when it commits
 * next.  That finds what was enqueued in the very moment of the DROP, and what
 * was revoked from another database.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "shared/compat.h"
#include "shared/warrant.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "write/revoked.h"

#define CCR_MAX_CHANGED		32	/* functions; beyond, all are looked at */

/*
 * Changes of the catalogs that invalidations have told us of, and that we have
 * not looked at yet.
 */
static bool changed = false;	/* anything */
static bool changed_rights = false; /* more than some functions */
static uint32 functions[CCR_MAX_CHANGED];	/* hash values */
static int	nfunctions = 0;

/* What the transaction that is being committed was found to have ended. */
static bool looked = false;
static CcrEndedTitle *ended = NULL;
static int	nended = 0;

static void
rights_changed(Datum arg, int cacheid, uint32 hash)
{
	changed = changed_rights = true;
}

static void
function_changed(Datum arg, int cacheid, uint32 hash)
{
	changed = true;
	if (hash == 0 || nfunctions == CCR_MAX_CHANGED)
		changed_rights = true;
	else
		functions[nfunctions++] = hash;
}

static void
nothing_changed(void)
{
	changed = changed_rights = false;
	nfunctions = 0;
}

static bool
revoked_concerned(const CcrTitle *title)
{
	uint32		hash;

	if (changed_rights)
		return true;
	if (title->dbid != MyDatabaseId)
		return false;
	hash = GetSysCacheHashValue1(PROCOID, ObjectIdGetDatum(title->function));
	for (int i = 0; i < nfunctions; i++)
		if (functions[i] == hash)
			return true;
	return false;
}

static bool
function_exists(int cacheid, Oid object)
{
	return SearchSysCacheExists1(cacheid, ObjectIdGetDatum(object));
}

/*
 * The SQLSTATE that says why a title no longer holds, or 0.  DROP FUNCTION
 * revokes nothing: what was enqueued is run by its description, as after
 * CREATE OR REPLACE.
 */
static int
why_ended(const CcrTitle *title)
{
	if (!function_exists(DATABASEOID, title->dbid))
		return ERRCODE_UNDEFINED_DATABASE;
	if (!function_exists(AUTHOID, title->caller) || !function_exists(AUTHOID, title->roleid))
		return ERRCODE_UNDEFINED_OBJECT;
	if (title->dbid != MyDatabaseId)
		return 0;
	if (function_exists(PROCOID, title->function) &&
		ccr_proc_aclcheck(title->function, title->caller, ACL_EXECUTE) != ACLCHECK_OK)
		return ERRCODE_INSUFFICIENT_PRIVILEGE;
	if (!OidIsValid(title->serverid))
		return 0;
	if (!function_exists(FOREIGNSERVEROID, title->serverid) || !function_exists(USERMAPPINGOID, title->umid))
		return ERRCODE_UNDEFINED_OBJECT;
	if (ccr_server_aclcheck(title->serverid, title->roleid, ACL_USAGE) != ACLCHECK_OK)
		return ERRCODE_INSUFFICIENT_PRIVILEGE;
	return 0;
}

static void
look_for_revoked(void)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	int			n;
	CcrTitle   *titles = ccr_warrants_copy(&n);

	ended = palloc(Max(n, 1) * sizeof(CcrEndedTitle));
	nended = 0;
	for (int i = 0; i < n; i++)
	{
		int			sqlstate = revoked_concerned(&titles[i]) ? why_ended(&titles[i]) : 0;

		if (sqlstate == 0)
			continue;
		ended[nended].title = titles[i];
		ended[nended].sqlstate = sqlstate;
		nended++;
	}
	MemoryContextSwitchTo(old);
	looked = true;
	nothing_changed();
}

/*
 * This runs after the callback of enqueue.c, which has written down what this
 * transaction relies on: that one was registered later, and is called first.
 */
static void
before_commit(void)
{
	if (ccr_shared == NULL || !OidIsValid(MyDatabaseId) || !ccr_warrants_any())
	{
		nothing_changed();
		return;
	}

	/*
	 * process invalidations: those of the last command and of other sessions
	 * may not have come yet
	 */
	if (!IsInParallelMode())
		CommandCounterIncrement();
	AcceptInvalidationMessages();
	if (changed)
		look_for_revoked();
}

static void
revoked_transaction_event(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			before_commit();
			return;
		case XACT_EVENT_COMMIT:
			if (nended > 0)
				ccr_warrants_end(ended, nended);
			break;
		case XACT_EVENT_ABORT:
			/* what others have done was done all the same */
			if (looked)
				changed = changed_rights = true;
			break;
		case XACT_EVENT_PREPARE:
			break;
		default:
			return;
	}
	looked = false;
	ended = NULL;
	nended = 0;
}

void
ccr_revoked_init(void)
{
	CacheRegisterSyscacheCallback(PROCOID, function_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, rights_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(USERMAPPINGOID, rights_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, rights_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, rights_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(DATABASEOID, rights_changed, (Datum) 0);
	RegisterXactCallback(revoked_transaction_event, NULL);
}
