/*-------------------------------------------------------------------------
 *
 * evict.c
 *	  Local executors give way to commands that need a database to themselves.
 *
 * DROP DATABASE, ALTER DATABASE RENAME and SET TABLESPACE, and CREATE DATABASE
 * with the database as its template want no other process in it.  So before
 * one of them begins, the executors of the database are told to leave: idle
 * ones do so at once, busy ones are terminated.  The lock that the command
 * takes on the database is taken first, as it keeps new ones out, which take
 * it too when they connect.
 *
 * Only for those who may do what they are about to: executors belong to all.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "local/evict.h"
#include "lookup/restricted.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "shared/compat.h"
#include "shared/seat.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "tcop/utility.h"
#include "utils/syscache.h"

#define CCR_EVICT_WAIT		5000	/* ms; as long as such commands wait */
#define CCR_EVICT_LOOK		10	/* ms; nothing tells of a process's end */

static ProcessUtility_hook_type prev_process_utility_hook = NULL;

static bool
may_create_databases(void)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	bool		result = false;

	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
		ReleaseSysCache(tuple);
	}
	return result || superuser();
}

static bool
is_template(Oid dbid)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(dbid));
	bool		result = false;

	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
		ReleaseSysCache(tuple);
	}
	return result;
}

static const char *
evict_option(List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *defel = lfirst_node(DefElem, lc);

		if (strcmp(defel->defname, name) == 0 && defel->arg)
			return defGetString(defel);
	}
	return NULL;
}

/* The database that a command needs for itself, or NULL. */
static const char *
wanted_database(Node *statement, LOCKMODE *lockmode)
{
	const char *name;

	*lockmode = AccessExclusiveLock;
	switch (nodeTag(statement))
	{
		case T_DropdbStmt:
			return ((DropdbStmt *) statement)->dbname;
		case T_RenameStmt:
			return ((RenameStmt *) statement)->renameType == OBJECT_DATABASE ?
				((RenameStmt *) statement)->subname : NULL;
		case T_AlterDatabaseStmt:
			return evict_option(((AlterDatabaseStmt *) statement)->options, "tablespace") ?
				((AlterDatabaseStmt *) statement)->dbname : NULL;
		case T_CreatedbStmt:
			*lockmode = ShareLock;
			name = evict_option(((CreatedbStmt *) statement)->options, "template");
			return name ? name : "template1";
		default:
			return NULL;
	}
}

static bool
may_have(Node *statement, Oid dbid)
{
	if (IsA(statement, CreatedbStmt))
		return may_create_databases() &&
			(is_template(dbid) || ccr_database_ownercheck(dbid, GetUserId()));
	return ccr_database_ownercheck(dbid, GetUserId());
}

/*
 * Tell the executors of a database to leave, and put their process ids into
 * pids, which has room for all seats.  Executors that are about to connect are
 * not told: they wait for the lock that we hold.
 */
static int
tell_to_leave(Oid dbid, int *pids)
{
	int			n = 0;

	for (int i = 0; i < ccr_nseats; i++)
	{
		CcrSeat    *seat = &ccr_seats[i];
		int			pid = seat->pid;
		PGPROC	   *proc = pid != 0 ? BackendPidGetProc(pid) : NULL;

		if (ccr_seat_state(seat) == CCR_SEAT_FREE || seat->dbid != dbid ||
			proc == NULL || proc->databaseId != dbid)
			continue;
		pids[n++] = pid;
		pg_atomic_write_u32(&seat->unwanted, 1);

		/* the partner is in begin_job() */
		pg_memory_barrier();
		ccr_seat_terminate(seat, pid);
		ccr_wake(seat->procno);
	}
	return n;
}

static void
wait_until_gone(const int *pids, int n)
{
	CcrTime		end = ccr_after(ccr_now(), CCR_EVICT_WAIT);
	uint32		wait_event = ccr_new_wait_event("ConcresceExecutorsLeaving");

	for (int i = 0; i < n; i++)
		while (BackendPidGetProc(pids[i]) != NULL && ccr_now() < end)
		{
			(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
							 CCR_EVICT_LOOK, wait_event);
			ResetLatch(MyLatch);
			CHECK_FOR_INTERRUPTS();
		}
}

static void
evict_executors(Node *statement)
{
	LOCKMODE	lockmode;
	const char *name = wanted_database(statement, &lockmode);
	Oid			dbid;
	int		   *pids;

	/* a standby refuses the command, with a better message */
	if (name == NULL || RecoveryInProgress())
		return;
	dbid = get_database_oid(name, true);
	if (!OidIsValid(dbid) || dbid == MyDatabaseId || !may_have(statement, dbid))
		return;
	LockSharedObject(DatabaseRelationId, dbid, 0, lockmode);
	pids = palloc(Max(ccr_nseats, 1) * sizeof(int));
	wait_until_gone(pids, tell_to_leave(dbid, pids));
	pfree(pids);
}

static void
evict_run_utility(PlannedStmt *pstmt, const char *query, bool read_only_tree,
				  ProcessUtilityContext context, ParamListInfo params,
				  QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	if (prev_process_utility_hook)
		prev_process_utility_hook(pstmt, query, read_only_tree, context, params,
								  env, dest, qc);
	else
		standard_ProcessUtility(pstmt, query, read_only_tree, context, params,
								env, dest, qc);
}

static void
evict_process_utility(PlannedStmt *pstmt, const char *query, bool read_only_tree,
					  ProcessUtilityContext context, ParamListInfo params,
					  QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	evict_executors(pstmt->utilityStmt);
	if (!ccr_restricted_begin(pstmt->utilityStmt))
	{
		evict_run_utility(pstmt, query, read_only_tree, context, params, env, dest, qc);
		return;
	}
	PG_TRY();
	{
		evict_run_utility(pstmt, query, read_only_tree, context, params, env, dest, qc);
	}
	PG_FINALLY();
	{
		ccr_restricted_end();
	}
	PG_END_TRY();
}

void
ccr_evict_init(void)
{
	prev_process_utility_hook = ProcessUtility_hook;
	ProcessUtility_hook = evict_process_utility;
}
