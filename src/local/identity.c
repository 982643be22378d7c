/*-------------------------------------------------------------------------
 *
 * identity.c
 *	  Who a local executor is: the role that it runs jobs for.
 *
 * Since 17 a worker can connect as a role that may not log in.  Before, only
 * as the superuser that was made by initdb, if it is to serve any role: then
 * it finds the settings of that superuser, of which nothing must be left, and
 * has to say itself whose it is in PGPROC, where the rights to signal it are
 * looked up, and in pg_stat_activity.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_db_role_setting.h"
#include "local/identity.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "shared/compat.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#define CCR_EXECUTOR_NAME	"concresce executor"

static char context_line[NAMEDATALEN + 64];

static void
set_for_good(const char *name, const char *value)
{
	SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE);
}

/*
 * Put the role's settings in force as at the start of a session: the first
 * value that is set counts.
 */
static void
apply_settings_of(Oid roleid)
{
	Relation	rel = table_open(DbRoleSettingRelationId, AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetCatalogSnapshot(DbRoleSettingRelationId));

	ApplySetting(snapshot, MyDatabaseId, roleid, rel, PGC_S_DATABASE_USER);
	ApplySetting(snapshot, InvalidOid, roleid, rel, PGC_S_USER);
	ApplySetting(snapshot, MyDatabaseId, InvalidOid, rel, PGC_S_DATABASE);
	ApplySetting(snapshot, InvalidOid, InvalidOid, rel, PGC_S_GLOBAL);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
}

/*
 * Must not be called in a transaction, whose own settings would be undone,
 * too.
 */
static void
undo_settings(void *before)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		RestoreGUCState(before);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("could not undo the settings of the superuser that was made by initdb"),
				 errdetail("%s", error->message),
				 errhint("Make them by ALTER SYSTEM or ALTER DATABASE instead of ALTER ROLE.")));
	}
	PG_END_TRY();
}

/*
 * Connect as the superuser that initdb has made, and take that role's settings
 * back.
 */
static void
connect_as_superuser(Oid dbid)
{
	Size		size = EstimateGUCStateSpace();
	char	   *before = MemoryContextAlloc(TopMemoryContext, size);

	SerializeGUCState(size, before);
	BackgroundWorkerInitializeConnectionByOid(dbid, InvalidOid, 0);
	undo_settings(before);
	pfree(before);
}

/* In a transaction. */
static void
become_role(Oid roleid)
{
	apply_settings_of(roleid);
	set_for_good("session_authorization", GetUserNameFromId(roleid, false));
	MyProc->roleId = roleid;
	ccr_report_session_user();
}

/*
 * Check that the database allows connections: the flag that lets us past
 * CONNECT and LOGIN skips this check, too.
 */
static void
check_database(void)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
	Form_pg_database form;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for database %u", MyDatabaseId);
	form = (Form_pg_database) GETSTRUCT(tuple);
	if (!form->datallowconn)
		ereport(FATAL,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("database \"%s\" is not currently accepting connections",
						NameStr(form->datname))));
	ReleaseSysCache(tuple);
}

static void
name_role(void *unused)
{
	errcontext("%s", context_line);
}

static void
name_role_in_log(const char *role)
{
	static ErrorContextCallback callback = {.callback = name_role};

	snprintf(context_line, sizeof(context_line), "local executor of role \"%s\"", role);
	callback.previous = error_context_stack;
	error_context_stack = &callback;
}

void
ccr_identity_assume(Oid dbid, Oid roleid)
{
	if (CCR_CONNECT_AS_ANY_ROLE)
		BackgroundWorkerInitializeConnectionByOid(dbid, roleid, CCR_CONNECT_AS_ANY_ROLE);
	else
		connect_as_superuser(dbid);
	StartTransactionCommand();
	check_database();
	if (!CCR_CONNECT_AS_ANY_ROLE)
		become_role(roleid);

	/*
	 * its settings may have made it another one, by which is_superuser goes,
	 * too
	 */
	set_for_good("role", "none");
	set_for_good("application_name", CCR_EXECUTOR_NAME);

	/* arguments and results are in the encoding of the database */
	set_for_good("client_encoding", GetDatabaseEncodingName());
	name_role_in_log(GetUserNameFromId(roleid, false));
	CommitTransactionCommand();
}

char *
ccr_identity_without(const char *context)
{
	int			length = context ? strlen(context) : 0;
	int			line = strlen(context_line);

	if (length < line || strcmp(context + length - line, context_line) != 0)
		return context ? pstrdup(context) : NULL;
	if (length == line)
		return NULL;
	return pnstrdup(context, length - line - 1);
}
