/*-------------------------------------------------------------------------
 *
 * stats.c
 *	  The functions behind the views.
 *
 * A role sees what is its own: the counters of functions that it owns, the
 * connections of the user mappings that it may use, its own requests.  The
 * rest takes pg_read_all_stats.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "call/arguments.h"
#include "call/stats.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_user_mapping.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "shared/answer.h"
#include "shared/compat.h"
#include "shared/request.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(concresce_stats);
PG_FUNCTION_INFO_V1(concresce_batch_sizes);
PG_FUNCTION_INFO_V1(concresce_latencies);
PG_FUNCTION_INFO_V1(concresce_connections);
PG_FUNCTION_INFO_V1(concresce_circuits);
PG_FUNCTION_INFO_V1(concresce_in_flight);
PG_FUNCTION_INFO_V1(concresce_memory);
PG_FUNCTION_INFO_V1(concresce_collectors);
PG_FUNCTION_INFO_V1(concresce_reset_stats);
PG_FUNCTION_INFO_V1(concresce_reset_stats_0_2);
PG_FUNCTION_INFO_V1(concresce_reset_stats_all);

#define CCR_STATS_OLD_COLUMNS	22	/* in version 0.1.0 */
#define CCR_STATS_COLUMNS		31
#define CCR_IN_FLIGHT_COLUMNS	9	/* 7 */
#define CCR_CONNECTION_COLUMNS	8	/* 5 in version 0.1.0 */
#define CCR_CIRCUIT_COLUMNS		6
#define CCR_COLLECTOR_COLUMNS	10

static bool
sees_all(void)
{
	return has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS);
}

/* Whose function it is; one that was dropped is nobody's. */
static bool
owns_function(Oid function)
{
	return SearchSysCacheExists1(PROCOID, ObjectIdGetDatum(function)) &&
		ccr_proc_ownercheck(function, GetUserId());
}

static uint64
setting_value(const CcrCounters *counters, CcrCounter counter)
{
	return pg_atomic_read_u64(unconstify(pg_atomic_uint64 *, &counters->value[counter]));
}

/*
 * Texts may have been cut within a character, and what a foreign server says
 * may be in no encoding at all.
 */
static void
put_stats_text(Datum *values, bool *nulls, int i, const char *s)
{
	nulls[i] = s == NULL || s[0] == '\0';
	values[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(ccr_error_legible(s));
}

/* Its text may quote what only those may see who were told. */
static void
put_last_error(Datum *values, bool *nulls, int i, const CcrLastError *error)
{
	bool		told = OidIsValid(error->roleid) &&
		has_privs_of_role(GetUserId(), error->roleid);

	if (error->message[0] == '\0' || error->open || told || sees_all())
		put_stats_text(values, nulls, i, error->message);
	else
		put_stats_text(values, nulls, i, psprintf("SQLSTATE %s",
												  unpack_sql_state(error->sqlstate)));
}

/* n over d, or NULL. */
static void
put_ratio(Datum *values, bool *nulls, int i, double n, double d)
{
	nulls[i] = d == 0;
	values[i] = nulls[i] ? (Datum) 0 : Float8GetDatum(n / d);
}

/* NULL: never. */
static void
put_time(Datum *values, bool *nulls, int i, TimestampTz at)
{
	nulls[i] = at == 0;
	values[i] = TimestampTzGetDatum(at);
}

/* Its name, or NULL: there is none, or none any more. */
static void
put_server(Datum *values, bool *nulls, int i, Oid serverid)
{
	ForeignServer *server = OidIsValid(serverid) ?
		GetForeignServerExtended(serverid, FSV_MISSING_OK) : NULL;

	put_stats_text(values, nulls, i, server ? server->servername : NULL);
}

/* ------------------------------------------------------------------- stats */

/* Counters, from column i on; the next column. */
static int
put_values(Datum *values, int i, const CcrCounters *counters, const CcrCounter *which, int n)
{
	for (int j = 0; j < n; j++)
		values[i++] = Int64GetDatum(setting_value(counters, which[j]));
	return i;
}

/* In ms, from a counter in us. */
static Datum
to_milliseconds(const CcrCounters *counters, CcrCounter counter)
{
	return Float8GetDatum(setting_value(counters, counter) / 1000.0);
}

/* The columns of version 0.1.0.  A mean takes both its sums over what has ended. */
static void
put_counters(CcrCounters *counters, Datum *values, bool *nulls)
{
	static const CcrCounter first[] = {CCR_CALLS, CCR_COALESCED, CCR_MISSES};
	static const CcrCounter second[] = {
		CCR_BATCHES, CCR_ERRORS, CCR_TIMEOUTS, CCR_CANCELLED, CCR_DISCARDED
	};
	uint64		coalesced = setting_value(counters, CCR_COALESCED);
	uint64		open = pg_atomic_read_u64(&counters->open);
	CcrLastError last_error;
	TimestampTz last_error_at;
	TimestampTz reset;
	int			i = put_values(values, 2, counters, first, lengthof(first));

	put_ratio(values, nulls, i++, coalesced, coalesced + setting_value(counters, CCR_MISSES));
	i = put_values(values, i, counters, second, lengthof(second));
	values[i++] = Int64GetDatum(ccr_gauge_active(open));
	values[i++] = Int64GetDatum(ccr_gauge_queued(open));
	put_ratio(values, nulls, i++, setting_value(counters, CCR_BATCH_ITEMS), setting_value(counters, CCR_BATCHES));
	values[i++] = Int64GetDatum(setting_value(counters, CCR_BATCH_MAX));
	put_ratio(values, nulls, i++, setting_value(counters, CCR_WAIT_US) / 1000.0,
			  setting_value(counters, CCR_DEPARTED));
	put_ratio(values, nulls, i++, setting_value(counters, CCR_REMOTE_US) / 1000.0,
			  setting_value(counters, CCR_BATCHES_ENDED));
	values[i++] = to_milliseconds(counters, CCR_REMOTE_US_MAX);

	SpinLockAcquire(&counters->mutex);
	last_error = counters->last_error;
	last_error_at = counters->last_error_at;
	reset = counters->reset;
	SpinLockRelease(&counters->mutex);
	put_last_error(values, nulls, i++, &last_error);
	put_time(values, nulls, i++, last_error_at);
	values[i] = TimestampTzGetDatum(reset);
}

/* Those that came later.  A new counter goes here. */
static void
put_totals(CcrCounters *counters, Datum *values)
{
	static const CcrCounter last[] = {
		CCR_BYTES_SENT, CCR_BYTES_RECEIVED, CCR_BATCHES_FULL, CCR_BATCHES_WINDOW
	};
	int			i = CCR_STATS_OLD_COLUMNS;

	values[i++] = Int64GetDatum(setting_value(counters, CCR_BATCH_ITEMS));
	values[i++] = Int64GetDatum(setting_value(counters, CCR_RETRIED));
	values[i++] = to_milliseconds(counters, CCR_WAIT_US);
	values[i++] = to_milliseconds(counters, CCR_REMOTE_US);
	i = put_values(values, i, counters, last, lengthof(last));
	Assert(i == CCR_STATS_COLUMNS - 1);
}

/*
 * A copy of the keys, as looking at catalogs is not for while a lock is held.
 * An entry is counted out once its serial has changed.
 */
static int
copy_keys(CcrCountersKey *keys, uint32 *serials)
{
	LWLockAcquire(&ccr_shared->lock, LW_SHARED);
	for (int i = 0; i < CCR_MAX_COUNTERS; i++)
	{
		keys[i] = ccr_counters[i].key;
		serials[i] = pg_atomic_read_u32(&ccr_counters[i].serial);
	}
	LWLockRelease(&ccr_shared->lock);
	return CCR_MAX_COUNTERS;
}

/* After an entry was read: is it of the key that was copied, or allotted anew? */
static bool
still_is(int i, uint32 serial)
{
	pg_read_barrier();
	return pg_atomic_read_u32(&ccr_counters[i].serial) == serial;
}

/* The entries of this database that the role may see, one after another. */
typedef struct Visible
{
	CcrCountersKey *keys;
	uint32	   *serials;
	bool		all;
	int			i;				/* present one */
} Visible;

static Visible
first_visible(void)
{
	Visible		v = {
		palloc(CCR_MAX_COUNTERS * sizeof(CcrCountersKey)),
		palloc(CCR_MAX_COUNTERS * sizeof(uint32)),
		sees_all(), -1
	};

	copy_keys(v.keys, v.serials);
	return v;
}

static bool
next_visible(Visible *v)
{
	while (++v->i < CCR_MAX_COUNTERS)
		if (v->serials[v->i] != 0 && v->keys[v->i].dbid == MyDatabaseId &&
			(v->all || owns_function(v->keys[v->i].function)))
			return true;
	return false;
}

Datum
concresce_stats(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Visible		v;

	ccr_shmem_require();
	InitMaterializedSRF(fcinfo, 0);
	v = first_visible();
	while (next_visible(&v))
	{
		Datum		values[CCR_STATS_COLUMNS] = {0};
		bool		nulls[CCR_STATS_COLUMNS] = {0};

		values[0] = ObjectIdGetDatum(v.keys[v.i].function);
		put_server(values, nulls, 1, v.keys[v.i].serverid);
		put_counters(&ccr_counters[v.i], values, nulls);
		values[CCR_STATS_OLD_COLUMNS - 1] = ObjectIdGetDatum(v.keys[v.i].serverid);
		put_totals(&ccr_counters[v.i], values);
		values[CCR_STATS_COLUMNS - 1] = ObjectIdGetDatum(v.keys[v.i].function);
		if (still_is(v.i, v.serials[v.i]))
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

Datum
concresce_circuits(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Visible		v;

	ccr_shmem_require();
	InitMaterializedSRF(fcinfo, 0);
	v = first_visible();
	while (next_visible(&v))
	{
		Datum		values[CCR_CIRCUIT_COLUMNS] = {0};
		bool		nulls[CCR_CIRCUIT_COLUMNS] = {0};
		CcrCircuit	circuit = ccr_counters_circuit(&ccr_counters[v.i]);

		if (circuit.open == 0 || !still_is(v.i, v.serials[v.i]))
			continue;
		values[0] = ObjectIdGetDatum(v.keys[v.i].function);
		put_server(values, nulls, 1, v.keys[v.i].serverid);
		values[2] = TimestampTzGetDatum(circuit.since);
		values[3] = Int64GetDatum(circuit.failures);
		put_time(values, nulls, 4, circuit.retry_at);
		put_last_error(values, nulls, 5, &circuit.error);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* Add up a histogram over the servers of a function. */
static void
add_up(Oid function, Size histogram, uint64 *bins, int nbins)
{
	CcrCountersKey *keys = palloc(CCR_MAX_COUNTERS * sizeof(CcrCountersKey));
	uint32	   *serials = palloc(CCR_MAX_COUNTERS * sizeof(uint32));
	uint64	   *seen = palloc(nbins * sizeof(uint64));

	copy_keys(keys, serials);
	for (int i = 0; i < CCR_MAX_COUNTERS; i++)
	{
		pg_atomic_uint64 *own = (pg_atomic_uint64 *) ((char *) &ccr_counters[i] + histogram);

		if (serials[i] == 0 || keys[i].dbid != MyDatabaseId || keys[i].function != function)
			continue;
		for (int bin = 0; bin < nbins; bin++)
			seen[bin] = pg_atomic_read_u64(&own[bin]);
		if (!still_is(i, serials[i]))
			continue;
		for (int bin = 0; bin < nbins; bin++)
			bins[bin] += seen[bin];
	}
}

/* A row for each bin of powers of two that is not empty, with its bounds. */
static Datum
show_histogram(FunctionCallInfo fcinfo, Size histogram, int nbins,
			   Datum (*lower) (int bin), Datum (*upper) (int bin))
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			function = ccr_arguments_function(fcinfo, NULL);
	uint64	   *bins = palloc0(nbins * sizeof(uint64));

	ccr_shmem_require();
	InitMaterializedSRF(fcinfo, 0);
	if (sees_all() || owns_function(function))
		add_up(function, histogram, bins, nbins);
	for (int bin = 0; bin < nbins; bin++)
	{
		Datum		values[3] = {lower(bin), upper(bin), Int64GetDatum(bins[bin])};
		bool		nulls[3] = {0};

		if (bins[bin] > 0)
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

static Datum
smallest_size(int bin)
{
	return Int32GetDatum(1 << bin);
}

static Datum
largest_size(int bin)
{
	return Int32GetDatum((1 << (bin + 1)) - 1);
}

Datum
concresce_batch_sizes(PG_FUNCTION_ARGS)
{
	return show_histogram(fcinfo, offsetof(CcrCounters, batch_sizes), CCR_HISTOGRAM_BINS,
						  smallest_size, largest_size);
}

/* In ms. */
static Datum
shortest_time(int bin)
{
	return Float8GetDatum(bin == 0 ? 0 : (UINT64CONST(1) << bin) / 1000.0);
}

static Datum
longest_time(int bin)
{
	return Float8GetDatum((UINT64CONST(2) << bin) / 1000.0);
}

Datum
concresce_latencies(PG_FUNCTION_ARGS)
{
	return show_histogram(fcinfo, offsetof(CcrCounters, latencies), CCR_LATENCY_BINS,
						  shortest_time, longest_time);
}

/* -------------------------------------------------------------- connections */

/*
 * Whose mapping it is: InvalidOid for PUBLIC's.  False if it was dropped.
 */
static bool
mapping_user(Oid umid, Oid *user)
{
	HeapTuple	tuple = SearchSysCache1(USERMAPPINGOID, ObjectIdGetDatum(umid));

	if (!HeapTupleIsValid(tuple))
		return false;
	*user = ((Form_pg_user_mapping) GETSTRUCT(tuple))->umuser;
	ReleaseSysCache(tuple);
	return true;
}

/*
 * May the role connect so?  By a mapping of its own, or of a role that it has
 * the privileges of; or by PUBLIC's, if it has none of its own; and in any
 * case only with USAGE on the server.
 */
static bool
may_use(Oid umid, Oid serverid)
{
	Oid			user;

	if (!mapping_user(umid, &user))
		return false;
	if (OidIsValid(user))
		return has_privs_of_role(GetUserId(), user) &&
			ccr_server_aclcheck(serverid, user, ACL_USAGE) == ACLCHECK_OK;
	return !SearchSysCacheExists2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(GetUserId()),
								  ObjectIdGetDatum(serverid)) &&
		ccr_server_aclcheck(serverid, GetUserId(), ACL_USAGE) == ACLCHECK_OK;
}

/* Of an executor, it is its role that is kept in place of a mapping. */
static bool
may_see_function(const CcrConnection *row)
{
	if (!OidIsValid(row->serverid))
		return has_privs_of_role(GetUserId(), row->umid);
	return may_use(row->umid, row->serverid);
}

Datum
concresce_connections(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	bool		all = sees_all();

	ccr_shmem_require();
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < CCR_MAX_CONNECTIONS; i++)
	{
		CcrConnection row;
		Datum		values[CCR_CONNECTION_COLUMNS] = {0};
		bool		nulls[CCR_CONNECTION_COLUMNS] = {0};

		SpinLockAcquire(&ccr_connections[i].mutex);
		row = ccr_connections[i];
		SpinLockRelease(&ccr_connections[i].mutex);
		if (!row.used || row.dbid != MyDatabaseId)
			continue;
		if (!all && !may_see_function(&row))
			continue;
		put_stats_text(values, nulls, 0, row.server);
		put_stats_text(values, nulls, 1, row.user);
		put_stats_text(values, nulls, 2, row.state);
		values[3] = Int64GetDatum(row.batches);
		put_last_error(values, nulls, 4, &row.last_error);
		put_time(values, nulls, 5, row.last_error_at);
		put_time(values, nulls, 6, row.connected_at);
		values[7] = Int64GetDatum(row.lost);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* ---------------------------------------------------------------- in flight */

typedef struct InFlight
{
	uint64		id;
	int			pid;
	Oid			roleid;
	Oid			dbid;
	Oid			function;
	uint32		nitems;
	Size		bytes;
	CcrTime		submitted;
	uint32		phase;
	uint32		state;
} InFlight;

/* The open requests of one backend, copied while its slot is locked. */
static int
copy_requests(CcrSlot *slot, InFlight **rows, int *size)
{
	int			n = 0;

	LWLockAcquire(&slot->lock, LW_SHARED);
	for (dsa_pointer dp = slot->requests; DsaPointerIsValid(dp);)
	{
		CcrRequest *request = ccr_heap_address(dp);

		dp = request->next;
		if (n == *size)
			break;
		(*rows)[n].id = request->id;
		(*rows)[n].pid = request->pid;
		(*rows)[n].roleid = request->party.outer;
		(*rows)[n].dbid = request->dbid;
		(*rows)[n].function = request->kind == CCR_REQUEST_LOOKUP ?
			request->function : InvalidOid;
		(*rows)[n].nitems = request->nitems;
		(*rows)[n].bytes = request->charged;
		(*rows)[n].submitted = request->submitted;
		(*rows)[n].phase = pg_atomic_read_u32(&request->phase);
		(*rows)[n].state = pg_atomic_read_u32(&request->state);
		n++;
	}
	LWLockRelease(&slot->lock);
	return n;
}

static const char *
shown_state(const InFlight *row)
{
	if (row->state == CCR_REQUEST_DONE)
		return "done";
	switch (row->phase)
	{
		case CCR_PHASE_SUBMITTED:
			return "submitted";
		case CCR_PHASE_QUEUED:
			return "queued";
		default:
			return "in flight";
	}
}

/* Whose session asks; not, say, the owner of a SECURITY DEFINER lookup. */
static bool
is_own(Oid roleid)
{
	return OidIsValid(roleid) && has_privs_of_role(GetUserId(), roleid);
}

Datum
concresce_in_flight(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	bool		all = sees_all();
	TimestampTz today = GetCurrentTimestamp();
	CcrTime		now = ccr_now();
	int			size = 100000;
	InFlight   *rows = palloc_extended(size * sizeof(InFlight), MCXT_ALLOC_HUGE);

	ccr_shmem_require();
	InitMaterializedSRF(fcinfo, 0);
	for (int slot = 0; slot < ccr_shared->nslots; slot++)
	{
		int			n;

		if (!DsaPointerIsValid(ccr_slots[slot].requests))
			continue;
		n = copy_requests(&ccr_slots[slot], &rows, &size);
		for (int i = 0; i < n; i++)
		{
			Datum		values[CCR_IN_FLIGHT_COLUMNS] = {0};
			bool		nulls[CCR_IN_FLIGHT_COLUMNS] = {0};

			if (rows[i].dbid != MyDatabaseId || !OidIsValid(rows[i].function) ||
				!(all || is_own(rows[i].roleid)))
				continue;
			values[0] = Int64GetDatum(rows[i].id);
			values[1] = Int32GetDatum(rows[i].pid);
			values[2] = ObjectIdGetDatum(rows[i].function);
			values[3] = Int32GetDatum(rows[i].nitems);
			values[4] = TimestampTzGetDatum(today - (now - rows[i].submitted));
			values[5] = Float8GetDatum((now - rows[i].submitted) / 1000000.0);
			put_stats_text(values, nulls, 6, shown_state(&rows[i]));
			put_stats_text(values, nulls, 7, GetUserNameFromId(rows[i].roleid, true));
			values[8] = Int64GetDatum(rows[i].bytes);
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		}
	}
	return (Datum) 0;
}

/* ---------------------------------------------------------- memory, resets */

Datum
concresce_memory(PG_FUNCTION_ARGS)
{
	TupleDesc	tupdesc;
	Datum		values[2];
	bool		nulls[2] = {0};

	ccr_shmem_require();
	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = Int64GetDatum(pg_atomic_read_u64(&ccr_shared->heap_used));
	values[1] = Int64GetDatum(ccr_shared->heap_size);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), values, nulls));
}

static int
pid_of(const CcrMailbox *mailbox)
{
	uint32		proc = pg_atomic_read_u32(unconstify(pg_atomic_uint32 *, &mailbox->proc));

	return proc == 0 ? 0 : GetPGProcByNumber(proc - 1)->pid;
}

/* Starts after the first. */
static int64
restarts_of(const CcrMailbox *mailbox)
{
	return Max((int64) pg_atomic_read_u32(unconstify(pg_atomic_uint32 *, &mailbox->generation)) - 1, 0);
}

Datum
concresce_collectors(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	ccr_shmem_require();
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < ccr_shared->nworkers; i++)
	{
		CcrMailbox *mailbox = &ccr_mailboxes[i];
		Datum		values[CCR_COLLECTOR_COLUMNS];
		bool		nulls[CCR_COLLECTOR_COLUMNS] = {0};

		values[0] = Int32GetDatum(i);
		values[1] = Int32GetDatum(pid_of(mailbox));
		nulls[1] = values[1] == 0;
		values[2] = Int64GetDatum(pg_atomic_read_u64(&mailbox->memory_used));
		values[3] = Int64GetDatum(pg_atomic_read_u64(&mailbox->memory_peak));
		values[4] = Int64GetDatum(pg_atomic_read_u64(&mailbox->memory_limit));
		put_time(values, nulls, 5, pg_atomic_read_u64(&mailbox->started_at));
		values[6] = Int64GetDatum(restarts_of(mailbox));
		values[7] = Int64GetDatum(pg_atomic_read_u64(&mailbox->batches));
		values[8] = Int64GetDatum(pg_atomic_read_u64(&mailbox->items));
		values[9] = Int64GetDatum(pg_atomic_read_u64(&mailbox->unsettled));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* InvalidOid: of all lookups of this database. */
static void
reset_stats(Oid function)
{
	CcrCountersKey *keys = palloc(CCR_MAX_COUNTERS * sizeof(CcrCountersKey));
	uint32	   *serials = palloc(CCR_MAX_COUNTERS * sizeof(uint32));

	ccr_shmem_require();
	copy_keys(keys, serials);
	for (int i = 0; i < CCR_MAX_COUNTERS; i++)
		if (serials[i] != 0 && keys[i].dbid == MyDatabaseId &&
			(!OidIsValid(function) || keys[i].function == function))
			ccr_counters_reset(&ccr_counters[i]);
}

/* Of version 0.1.0, where NULL was the default. */
Datum
concresce_reset_stats(PG_FUNCTION_ARGS)
{
	reset_stats(PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0));
	PG_RETURN_VOID();
}

Datum
concresce_reset_stats_0_2(PG_FUNCTION_ARGS)
{
	reset_stats(ccr_arguments_function(fcinfo, "reset_stats_all()"));
	PG_RETURN_VOID();
}

Datum
concresce_reset_stats_all(PG_FUNCTION_ARGS)
{
	reset_stats(InvalidOid);
	PG_RETURN_VOID();
}

/* ------------------------------------------------------------ blocks of the heap */

#ifdef CCR_TRACE_HEAP
PG_FUNCTION_INFO_V1(concresce_heap_blocks);

static int	nshown;

static void
show_block(dsa_pointer dp, const CcrTraced *block, void *arg)
{
	char	   *p = (char *) arg + strlen(arg);
	const CcrRequest *request = ccr_heap_address(dp);

	if (++nshown > 200)
		return;
	p += sprintf(p, "%s: %zu bytes, by %d, %lld ms ago", block->function, block->size,
				 block->pid, (long long) (ccr_now() - block->at) / 1000);
	if (strcmp(block->function, "allocate_request") == 0)
		p += sprintf(p, "; or request %llu of kind %d, state %u, phase %u, generation %u of %u, of %d, collector %d, function %u, %u items, announced %d, source %d, joined %u",
					 (unsigned long long) request->id, request->kind,
					 pg_atomic_read_u32(unconstify(pg_atomic_uint32 *, &request->state)),
					 pg_atomic_read_u32(unconstify(pg_atomic_uint32 *, &request->phase)),
					 pg_atomic_read_u32(unconstify(pg_atomic_uint32 *, &request->taken)),
					 pg_atomic_read_u32(&ccr_mailboxes[request->worker & 15].generation),
					 request->pid, request->worker, request->function, request->nitems,
					 request->announce, DsaPointerIsValid(request->source), request->joined);
	if (strcmp(block->function, "ccr_kept_add") == 0)
		p += sprintf(p, "; %u references", ((CcrKeptSource *) request)->references.value);
	if (strcmp(block->function, "ccr_account_new") == 0)
		p += sprintf(p, "; slot %d, %u references", ((CcrAccount *) request)->procno,
					 ((CcrAccount *) request)->references.value);
	strcpy(p, "\n");
}

Datum
concresce_heap_blocks(PG_FUNCTION_ARGS)
{
	char	   *text = palloc0(200 * 400);

	nshown = 0;
	ccr_heap_visit(show_block, text);
	PG_RETURN_TEXT_P(cstring_to_text(text));
}
#endif
