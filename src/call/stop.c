/*-------------------------------------------------------------------------
 *
 * stop.c
 *	  concresce.stop() and concresce.start(), switch_off() and switch_on().
 *
 * A stop first says that it is one, then waits until nothing is counted any
 * more.  If that is to be by force, the collectors fail what they have; what
 * comes too late to be refused, they fail as it arrives.
 *
 * A server that is switched off needs not be waited for: what is enqueued for
 * it stays where it is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "call/arguments.h"
#include "call/pending.h"
#include "call/timeout.h"
#include "catalog/objectaddress.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "shared/compat.h"
#include "shared/request.h"
#include "shared/settings.h"
#include "shared/stopped.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(concresce_stop);
PG_FUNCTION_INFO_V1(concresce_start);
PG_FUNCTION_INFO_V1(concresce_stop_0_2);
PG_FUNCTION_INFO_V1(concresce_start_0_2);
PG_FUNCTION_INFO_V1(concresce_stop_all);
PG_FUNCTION_INFO_V1(concresce_start_all);
PG_FUNCTION_INFO_V1(concresce_switch_off);
PG_FUNCTION_INFO_V1(concresce_switch_on);
PG_FUNCTION_INFO_V1(concresce_stopped);

#define CCR_STOPPED_COLUMNS	5

static uint32 wait_event_drained;

/* How many calls have not ended, or may be about to begin. */
static uint64
open_calls(Oid function)
{
	uint64		n = 0;

	for (int i = 0; i < CCR_MAX_COUNTERS; i++)
	{
		CcrCounters *c = &ccr_counters[i];
		uint64		open;

		if (pg_atomic_read_u32(&c->serial) == 0)
			break;
		if (c->key.dbid != MyDatabaseId ||
			(OidIsValid(function) && c->key.function != function))
			continue;
		open = pg_atomic_read_u64(&c->open);
		n += ccr_gauge_queued(open);
		n += ccr_gauge_active(open);
		n += pg_atomic_read_u32(&c->backlog);
		n += pg_atomic_read_u32(&c->places);
		n += pg_atomic_read_u32(&c->cancelling);
	}
	return n;
}

static bool
none_open(void *function)
{
	return open_calls(*(Oid *) function) == 0;
}

/*
 * Have one collector send what it has at once, or fail it.  If it exits before
 * it is told, the next one lets nothing wait, and fails what is to be failed.
 */
static void
tell_collector(CcrRequestKind kind, Oid function, int worker)
{
	CcrTimeout	timeout = ccr_timeout_present();

	if (!ccr_tell_collector(kind, function, worker, ccr_timeout_end(timeout, ccr_now()),
							wait_event_drained))
		ereport(ERROR,
				(errcode(ERRCODE_QUERY_CANCELED),
				 errmsg("canceling stop of lookups due to timeout"),
				 ccr_timeout_detail(timeout, "the collector",
									"No more calls are taken nevertheless."),
				 ccr_timeout_hint(timeout)));
}

static void
check_rights(Oid function)
{
	if (!OidIsValid(function))
	{
		if (!ccr_database_ownercheck(MyDatabaseId, GetUserId()))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("only the owner of the database can stop and start all lookups"),
					 errhint("Name a lookup that you own.")));
		return;
	}
	ccr_arguments_check_lookup(function);
	if (!ccr_proc_ownercheck(function, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_FUNCTION, get_func_name(function));
}

/*
 * Remove the entries of lookups and servers that were dropped while they were
 * stopped: these occupy room in the table.
 */
static void
forget_dropped(void)
{
	CcrStop		stops[CCR_MAX_STOPS];
	int			n = ccr_stopped_copy(stops);

	for (int i = 0; i < n; i++)
	{
		const CcrStop *stop = &stops[i];

		if (!SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(stop->dbid)))
			ccr_stopped_clear_database(stop->dbid);
		else if (stop->dbid == MyDatabaseId && OidIsValid(stop->function) &&
				 !SearchSysCacheExists1(PROCOID, ObjectIdGetDatum(stop->function)))
			ccr_stopped_clear(stop->dbid, stop->function);
		else if (stop->dbid == MyDatabaseId && OidIsValid(stop->serverid) &&
				 !SearchSysCacheExists1(FOREIGNSERVEROID, ObjectIdGetDatum(stop->serverid)))
			ccr_switch_on(stop->dbid, stop->serverid);
	}
}

static void
too_many(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("too many lookups are stopped"),
			 superuser() ?
			 errdetail("There may be %d of them, with servers that are switched off.",
					   CCR_MAX_STOPS) :
			 errdetail("There may be %d of them, with servers that are switched off; %d of one role, and %d of one login.",
					   CCR_MAX_STOPS - CCR_STOPS_RESERVED, CCR_STOPS_OF_ROLE,
					   CCR_STOPS_OF_LOGIN),
			 errhint("Start some, or stop all lookups of a database.")));
}

static void
set_stopped(Oid function, bool force)
{
	if (ccr_stopped_set(MyDatabaseId, function, force))
		return;
	forget_dropped();
	if (!ccr_stopped_set(MyDatabaseId, function, force))
		too_many();
}

/* InvalidOid: all of this database. */
static void
stop_lookup(Oid function, bool force)
{
	ccr_shmem_require();
	check_rights(function);
	ccr_pending_init();
	if (wait_event_drained == 0)
		wait_event_drained = ccr_new_wait_event("ConcresceStop");
	set_stopped(function, force);
	for (int i = 0; i < ccr_shared->nworkers; i++)
		tell_collector(force ? CCR_REQUEST_STOP : CCR_REQUEST_DRAIN, function, i);
	(void) ccr_drained_wait(none_open, &function, 0, wait_event_drained);
}

static void
start_lookup(Oid function)
{
	ccr_shmem_require();
	check_rights(function);
	ccr_stopped_clear(MyDatabaseId, function);
}

/* The function of version 0.1.0, where NULL was the default. */
Datum
concresce_stop(PG_FUNCTION_ARGS)
{
	stop_lookup(PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0),
				!PG_ARGISNULL(1) && PG_GETARG_BOOL(1));
	PG_RETURN_VOID();
}

Datum
concresce_start(PG_FUNCTION_ARGS)
{
	start_lookup(PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0));
	PG_RETURN_VOID();
}

Datum
concresce_stop_0_2(PG_FUNCTION_ARGS)
{
	stop_lookup(ccr_arguments_function(fcinfo, "stop_all()"), !PG_ARGISNULL(1) && PG_GETARG_BOOL(1));
	PG_RETURN_VOID();
}

Datum
concresce_start_0_2(PG_FUNCTION_ARGS)
{
	start_lookup(ccr_arguments_function(fcinfo, "start_all()"));
	PG_RETURN_VOID();
}

Datum
concresce_stop_all(PG_FUNCTION_ARGS)
{
	stop_lookup(InvalidOid, !PG_ARGISNULL(0) && PG_GETARG_BOOL(0));
	PG_RETURN_VOID();
}

Datum
concresce_start_all(PG_FUNCTION_ARGS)
{
	start_lookup(InvalidOid);
	PG_RETURN_VOID();
}

/* ----------------------------------------------------------------- servers */

static Oid
server_argument(FunctionCallInfo fcinfo, char **name)
{
	Oid			serverid;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("server must not be null"),
				 errhint("Name the server that is to be switched off or on.")));
	*name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	serverid = get_foreign_server_oid(*name, false);
	if (!ccr_server_ownercheck(serverid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_FOREIGN_SERVER, *name);
	return serverid;
}

static void
stop_in_collectors(const char *what)
{
	static uint32 wait_event = 0;
	CcrTimeout	timeout = ccr_timeout_present();

	if (wait_event == 0)
		wait_event = ccr_new_wait_event("ConcresceSwitch");
	if (!ccr_marks_wait(ccr_marks_announce(), ccr_timeout_end(timeout, ccr_now()), wait_event))
		ereport(ERROR,
				(errcode(ERRCODE_QUERY_CANCELED),
				 errmsg("canceling wait for a server to be switched %s due to timeout", what),
				 ccr_timeout_detail(timeout, "the collector", "It will see to it nevertheless."),
				 ccr_timeout_hint(timeout)));
}

Datum
concresce_switch_off(PG_FUNCTION_ARGS)
{
	Oid			serverid;
	char	   *name;
	bool		force = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);

	ccr_shmem_require();
	serverid = server_argument(fcinfo, &name);

	/* nothing may fail between the switch and telling the collectors of it */
	if (!ccr_switch_off(MyDatabaseId, serverid, force))
	{
		forget_dropped();
		if (!ccr_switch_off(MyDatabaseId, serverid, force))
			too_many();
	}
	ereport(LOG_SERVER_ONLY,
			(errmsg("server \"%s\" is switched off for lookups", name)));
	stop_in_collectors("off");
	PG_RETURN_VOID();
}

Datum
concresce_switch_on(PG_FUNCTION_ARGS)
{
	Oid			serverid;
	char	   *name;

	ccr_shmem_require();
	serverid = server_argument(fcinfo, &name);
	ccr_switch_on(MyDatabaseId, serverid);
	ereport(LOG_SERVER_ONLY,
			(errmsg("server \"%s\" is switched on for lookups", name)));
	stop_in_collectors("on");
	PG_RETURN_VOID();
}

/* -------------------------------------------------------------------- view */

/*
 * Put a name into a column; NULL if there is none, or if its object was
 * dropped.
 */
static void
put_name(Datum *values, bool *nulls, int i, const char *name)
{
	nulls[i] = name == NULL;
	values[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(name);
}

/* Fill in what is stopped.  False if it was dropped, and so is not shown. */
static bool
put_what(Datum *values, bool *nulls, const CcrStop *stop)
{
	ForeignServer *server = OidIsValid(stop->serverid) ?
		GetForeignServerExtended(stop->serverid, FSV_MISSING_OK) : NULL;

	nulls[0] = !OidIsValid(stop->function);
	values[0] = ObjectIdGetDatum(stop->function);
	put_name(values, nulls, 1, server ? server->servername : NULL);
	if (!nulls[0])
		return SearchSysCacheExists1(PROCOID, ObjectIdGetDatum(stop->function));
	return server || !OidIsValid(stop->serverid);
}

Datum
concresce_stopped(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	CcrStop		stops[CCR_MAX_STOPS];
	int			n;

	ccr_shmem_require();
	InitMaterializedSRF(fcinfo, 0);
	n = ccr_stopped_copy(stops);
	for (int i = 0; i < n; i++)
	{
		const CcrStop *stop = &stops[i];
		Datum		values[CCR_STOPPED_COLUMNS] = {0};
		bool		nulls[CCR_STOPPED_COLUMNS] = {0};

		if (stop->dbid != MyDatabaseId || !put_what(values, nulls, stop))
			continue;
		values[2] = BoolGetDatum(stop->force);
		values[3] = TimestampTzGetDatum(stop->since);
		put_name(values, nulls, 4, GetUserNameFromId(stop->roleid, true));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
