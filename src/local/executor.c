/*-------------------------------------------------------------------------
 *
 * executor.c
 *	  A local executor: the background worker that runs bulk queries in its
 *	  own database.
 *
 * It is started by a collector for one role, and serves no other.  It takes a
 * job from its queue, runs it in a transaction of its own, replies, and waits
 * for the next, until its collector gives it up.
 *
 * A job runs what any user may have written.  So the process is no superuser's
 * while it does: its session belongs to the role, and the job runs under
 * SECURITY_RESTRICTED_OPERATION, as what VACUUM and its like run for the owner
 * of a table, so that no SET ROLE, temporary table or deferred trigger gets
 * out of it.  What a job may leave behind nevertheless is taken away before
 * the next one, which may belong to another lookup: settings, locks,
 * sequences' last values, the seed of random(), temporary replication slots,
 * objects in pg_temp.
 *
 * An error ends the job and is sent as its reply.  What ends the process is
 * noted in its seat.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/sequence.h"
#include "common/pg_prng.h"
#include "executor/spi.h"
#include "jit/jit.h"
#include "libpq/pqsignal.h"
#include "local/executor.h"
#include "local/identity.h"
#include "lookup/restricted.h"
#include "lookup/wire.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/parser.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "replication/slot.h"
#include "shared/bytes.h"
#include "shared/compat.h"
#include "shared/job.h"
#include "shared/lockfile.h"
#include "shared/seat.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"

#define CCR_ROWS_BYTES		(16 * 1024) /* sent at a time, if rows are small */
#define CCR_STYLED_ROWS		64	/* written at a time */

typedef struct PlanEntry
{
	char		name[NAMEDATALEN];
	SPIPlanPtr	plan;
} PlanEntry;

/* Where the rows of a job go. */
typedef struct RowSender
{
	DestReceiver pub;			/* must be first */
	bool		binary;
	TupleDesc	tupdesc;
	CcrArgWire *columns;
	StringInfoData buf;			/* a reply in the making */

	/* if some column is styled: rows to be written under one style */
	bool		styled;
	int			nrows;
	Size		bytes;
	HeapTuple	rows[CCR_STYLED_ROWS];
	MemoryContext row_context;	/* of these; else of the row being written */
} RowSender;

static shm_mq_handle *jobs = NULL;
static shm_mq_handle *replies = NULL;
static HTAB *plans;
static MemoryContext job_context;
static emit_log_hook_type prev_emit_log_hook = NULL;
static volatile sig_atomic_t cancelled_by_hand = false; /* the job being done */
static bool committing = false; /* it */

/* ----------------------------------------------------------- start and end */

/*
 * Write the error into the seat, where the collector finds why it gets no
 * answer.
 */
static void
executor_note_error(ErrorData *edata)
{
	if (prev_emit_log_hook)
		prev_emit_log_hook(edata);
	if (edata->elevel < ERROR)
		return;

	/* so says a connection as a role that is gone; all others say it so: */
	ccr_my_seat->sqlstate = edata->sqlerrcode == ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION ?
		ERRCODE_UNDEFINED_OBJECT : edata->sqlerrcode;
	strlcpy(ccr_my_seat->message, edata->message ? edata->message : "", CCR_TEXT_LEN);

	/*
	 * pg_terminate_backend(); but a command that wants the database to itself
	 * ends no job
	 */
	ccr_my_seat->by_hand = edata->elevel >= FATAL &&
		edata->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN &&
		pg_atomic_read_u64(&ccr_my_seat->job) != 0 &&
		(!committing || IsTransactionState()) &&
		!pg_atomic_read_u32(&ccr_my_seat->unwanted);

	/* write this before the queues are detached; the partner is in lost() */
	pg_write_barrier();
}

/* Leave the seat last: from then on another process may use its queues. */
static void
executor_leave(int code, Datum arg)
{
	if (jobs)
		shm_mq_detach(jobs);
	if (replies)
		shm_mq_detach(replies);
	jobs = replies = NULL;
	emit_log_hook = prev_emit_log_hook;
	ccr_seat_leave();
}

/* SIGUSR2: a collector cancels a job, which may have ended meanwhile. */
static void
cancel_numbered_job(SIGNAL_ARGS)
{
	int			save_errno = errno;

	if (pg_atomic_read_u64(&ccr_my_seat->cancelled) == pg_atomic_read_u64(&ccr_my_seat->job))
	{
		InterruptPending = true;
		QueryCancelPending = true;
	}
	SetLatch(MyLatch);
	errno = save_errno;
}

/*
 * SIGINT, from pg_cancel_backend(): cancel the job that is being run, if any.
 */
static void
cancel_any_job(SIGNAL_ARGS)
{
	int			save_errno = errno;

	if (pg_atomic_read_u64(&ccr_my_seat->job) != 0)
	{
		cancelled_by_hand = true;
		InterruptPending = true;
		QueryCancelPending = true;
	}
	SetLatch(MyLatch);
	errno = save_errno;
}

/*
 * SIGTERM. When the server shuts down, the collector first sends enqueued
 * items, and no other executor can be started for that.  So the executor goes
 * on until the collector detaches.
 */
static void
executor_sigterm(SIGNAL_ARGS)
{
	int			save_errno = errno;

	if (pg_atomic_read_u32(&ccr_my_seat->unwanted) || !ccr_lockfile_stopping())
		die(CCR_SIGNAL_ARGS);
	errno = save_errno;
}

static void
send_reply(const char *data, Size length)
{
	shm_mq_result result;

	/*
	 * A message that was begun has to be sent to its end.  The collector
	 * reads all messages, even when it has cancelled the job.
	 */
	HOLD_INTERRUPTS();
	result = shm_mq_send(replies, length, data, false, true);
	RESUME_INTERRUPTS();
	if (result == SHM_MQ_DETACHED)
		proc_exit(0);
}

static void
send_plain(CcrReply reply)
{
	char		c = reply;

	send_reply(&c, 1);
}

static void
executor_start(void)
{
	CcrSeatNumber number;
	HASHCTL		ctl = {.keysize = NAMEDATALEN, .entrysize = sizeof(PlanEntry)};

	memcpy(&number, MyBgworkerEntry->bgw_extra, sizeof(number));
	if (!ccr_seat_take(&number))
		proc_exit(0);
	before_shmem_exit(executor_leave, 0);
	prev_emit_log_hook = emit_log_hook;
	emit_log_hook = executor_note_error;

	shm_mq_set_receiver(ccr_seat_jobs(ccr_my_seat), MyProc);
	shm_mq_set_sender(ccr_seat_replies(ccr_my_seat), MyProc);
	jobs = shm_mq_attach(ccr_seat_jobs(ccr_my_seat), NULL, NULL);
	replies = shm_mq_attach(ccr_seat_replies(ccr_my_seat), NULL, NULL);

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, executor_sigterm);
	pqsignal(SIGINT, cancel_any_job);
	pqsignal(SIGUSR2, cancel_numbered_job);
	BackgroundWorkerUnblockSignals();
	ccr_restricted_init();
	ccr_identity_assume(ccr_my_seat->dbid, ccr_my_seat->roleid);

	job_context = AllocSetContextCreate(TopMemoryContext, "concresce job",
										ALLOCSET_DEFAULT_SIZES);
	plans = hash_create("concresce plans", 32, &ctl, HASH_ELEM | HASH_STRINGS);
	send_plain(CCR_REPLY_READY);
}

/* -------------------------------------------------------------------- rows */

static void
start_reply(StringInfo buf, CcrReply reply)
{
	resetStringInfo(buf);
	appendStringInfoChar(buf, reply);
}

/* Send the types of the columns without domains: the reader checks these. */
static void
send_columns(TupleDesc tupdesc)
{
	StringInfoData buf;
	uint32		n = tupdesc ? tupdesc->natts : 0;

	initStringInfo(&buf);
	start_reply(&buf, CCR_REPLY_COLUMNS);
	ccr_put_int32(&buf, n);
	for (uint32 i = 0; i < n; i++)
		ccr_put_int32(&buf, getBaseType(TupleDescAttr(tupdesc, i)->atttypid));
	send_reply(buf.data, buf.len);
	pfree(buf.data);
}

static void
start_rows(DestReceiver *self, int operation, TupleDesc tupdesc)
{
	RowSender  *sender = (RowSender *) self;
	MemoryContext old = MemoryContextSwitchTo(job_context);

	sender->tupdesc = tupdesc;
	sender->columns = palloc(Max(tupdesc->natts, 1) * sizeof(CcrArgWire));
	for (int i = 0; i < tupdesc->natts; i++)
	{
		ccr_wire_column(&sender->columns[i], TupleDescAttr(tupdesc, i)->atttypid,
						sender->binary, job_context);
		sender->styled |= sender->columns[i].styled;
	}
	sender->row_context = AllocSetContextCreate(job_context, "concresce row",
												ALLOCSET_DEFAULT_SIZES);
	initStringInfo(&sender->buf);
	start_reply(&sender->buf, CCR_REPLY_ROWS);
	MemoryContextSwitchTo(old);
	send_columns(tupdesc);
}

static void
write_row(RowSender *sender, const Datum *values, const bool *nulls)
{
	for (int i = 0; i < sender->tupdesc->natts; i++)
		ccr_wire_put(&sender->buf, &sender->columns[i], values[i], nulls[i]);
	if (sender->buf.len < CCR_ROWS_BYTES)
		return;
	send_reply(sender->buf.data, sender->buf.len);
	start_reply(&sender->buf, CCR_REPLY_ROWS);
}

/* A change of settings costs more than a row. */
static void
write_styled_rows(RowSender *sender)
{
	MemoryContext old = MemoryContextSwitchTo(sender->row_context);
	int			natts = sender->tupdesc->natts;
	Datum	   *values = palloc(natts * sizeof(Datum));
	bool	   *nulls = palloc(natts * sizeof(bool));
	int			level = ccr_wire_begin_style();

	for (int i = 0; i < sender->nrows; i++)
	{
		heap_deform_tuple(sender->rows[i], sender->tupdesc, values, nulls);
		write_row(sender, values, nulls);
	}
	ccr_wire_end_style(level);
	MemoryContextSwitchTo(old);
	MemoryContextReset(sender->row_context);
	sender->nrows = 0;
	sender->bytes = 0;
}

static bool
executor_receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	RowSender  *sender = (RowSender *) self;
	MemoryContext old = MemoryContextSwitchTo(sender->row_context);

	if (sender->styled)
	{
		sender->rows[sender->nrows] = ExecCopySlotHeapTuple(slot);
		sender->bytes += sender->rows[sender->nrows++]->t_len;
		MemoryContextSwitchTo(old);
		if (sender->nrows == CCR_STYLED_ROWS || sender->bytes >= CCR_ROWS_BYTES)
			write_styled_rows(sender);
		return true;
	}
	slot_getallattrs(slot);
	write_row(sender, slot->tts_values, slot->tts_isnull);
	MemoryContextSwitchTo(old);
	MemoryContextReset(sender->row_context);
	return true;
}

static void
end_rows(DestReceiver *self)
{
	RowSender  *sender = (RowSender *) self;

	if (sender->nrows > 0)
		write_styled_rows(sender);
	if (sender->buf.len > 1)
		send_reply(sender->buf.data, sender->buf.len);
}

static void
destroy_rows(DestReceiver *self)
{
}

static DestReceiver *
row_sender(const CcrJob *job)
{
	RowSender  *sender;

	if (!job->wants_rows)
		return None_Receiver;
	sender = palloc0(sizeof(RowSender));
	sender->pub.receiveSlot = executor_receive_row;
	sender->pub.rStartup = start_rows;
	sender->pub.rShutdown = end_rows;
	sender->pub.rDestroy = destroy_rows;
	sender->pub.mydest = DestNone;
	sender->binary = job->binary;
	return &sender->pub;
}

/* -------------------------------------------------------------------- jobs */

static void
set_for_job(const char *name, const char *value)
{
	(void) set_config_option(name, value, superuser() ? PGC_SUSET : PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/* Put the settings in force that the call would have. */
static void
apply_settings(const CcrJob *job)
{
	for (int i = 0; i < job->nsettings; i++)
	{
		const char *equals = strchr(job->settings[i], '=');

		set_for_job(pnstrdup(job->settings[i], equals - job->settings[i]), equals + 1);
	}

	/* setting it, even to the same value, has every name looked up anew */
	if (strcmp(namespace_search_path, job->search_path) != 0)
		set_for_job("search_path", job->search_path);

	/* arguments are read as they were written */
	(void) ccr_wire_begin_reading();

	/* the body was parsed with it on */
	if (!CCR_STANDARD_CONFORMING_STRINGS)
		set_for_job("standard_conforming_strings", "on");
}

static SPIPlanPtr
prepare_job(const CcrJob *job)
{
	SPIPlanPtr	plan = SPI_prepare_cursor(job->sql, job->params.n,
										  unconstify(Oid *, job->params.types),
										  CURSOR_OPT_PARALLEL_OK);
	PlanEntry  *entry;
	bool		found;

	if (plan == NULL)
		elog(ERROR, "SPI_prepare_cursor failed: %s", SPI_result_code_string(SPI_result));
	if (job->statement[0] == '\0')
		return plan;
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "SPI_keepplan failed");
	entry = hash_search(plans, job->statement, HASH_ENTER, &found);
	if (found)
		SPI_freeplan(entry->plan);
	entry->plan = plan;
	return plan;
}

static SPIPlanPtr
plan_of(const CcrJob *job)
{
	PlanEntry  *entry;

	if (job->statement[0] == '\0')
		return prepare_job(job);
	entry = hash_search(plans, job->statement, HASH_FIND, NULL);
	if (entry == NULL)
		elog(ERROR, "statement \"%s\" was not prepared", job->statement);
	return entry->plan;
}

static void
describe_job(const CcrJob *job)
{
	List	   *sources = SPI_plan_get_plan_sources(prepare_job(job));

	send_columns(((CachedPlanSource *) linitial(sources))->resultDesc);
}

static ParamListInfo
read_params(const CcrParams *params)
{
	ParamListInfo list = makeParamList(params->n);

	for (int i = 0; i < params->n; i++)
	{
		ParamExternData *param = &list->params[i];
		StringInfoData buf;
		Oid			function;
		Oid			element;

		/* a receive function reads from a buffer that ends with a zero byte */
		initStringInfo(&buf);
		appendBinaryStringInfo(&buf, params->values[i], params->lengths[i]);
		getTypeBinaryInputInfo(params->types[i], &function, &element);
		param->value = OidReceiveFunctionCall(function, &buf, element, -1);
		param->isnull = false;
		param->pflags = PARAM_FLAG_CONST;
		param->ptype = params->types[i];
		pfree(buf.data);
	}
	return list;
}

static void
execute_job(const CcrJob *job, ParamListInfo params)
{
	SPIPlanPtr	plan = plan_of(job);
	SPIExecuteOptions options = {
		.params = params,
		.read_only = job->read_only,
		.dest = row_sender(job)
	};
	int			rc = SPI_execute_plan_extended(plan, &options);

	if (rc < 0)
		elog(ERROR, "SPI_execute_plan_extended failed: %s", SPI_result_code_string(rc));
}

/*
 * Run a job in a transaction of its own, which sees what is committed by now.
 * Settings that the job makes, directly or not, end with the transaction.
 */
static void
run_job(const CcrJob *job)
{
	ParamListInfo params = NULL;
	Oid			save_userid;
	int			save_sec_context;
	int			level;

	StartTransactionCommand();
	if (job->read_only)
		XactReadOnly = true;
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(job_context);
	if (job->kind == CCR_JOB_EXECUTE)
		params = read_params(&job->params);

	GetUserIdAndSecContext(&save_userid, &save_sec_context);
	SetUserIdAndSecContext(ccr_my_seat->roleid,
						   save_sec_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	level = NewGUCNestLevel();
	apply_settings(job);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	switch (job->kind)
	{
		case CCR_JOB_PREPARE:
			(void) prepare_job(job);
			break;
		case CCR_JOB_DESCRIBE:
			describe_job(job);
			break;
		case CCR_JOB_EXECUTE:
			execute_job(job, params);
			break;
	}
	SPI_finish();
	AtEOXact_GUC(false, level);
	SetUserIdAndSecContext(save_userid, save_sec_context);
	PopActiveSnapshot();
	committing = true;
	CommitTransactionCommand();
}

/*
 * Remove the session state that outlives a transaction, so that the next job
 * starts clean.
 */
static void
tidy_up(void)
{
	float8		seed = pg_prng_double(&pg_global_prng_state);
	Oid			temp;
	Oid			temp_toast;

	ResetSequenceCaches();
	(void) DirectFunctionCall1(setseed, Float8GetDatum(seed));
	if (MyReplicationSlot)
		ReplicationSlotRelease();
	ccr_drop_temporary_slots();
	GetTempNamespaceState(&temp, &temp_toast);
	if (!OidIsValid(temp))
		return;
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	ResetTempTableNamespace();
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/* ------------------------------------------------------------------ errors */

static const char *
executor_clipped(const char *s)
{
	int			length = s ? strlen(s) : 0;

	if (length <= CCR_ERROR_LENGTH)
		return s;
	return pnstrdup(s, pg_mbcliplen(s, length, CCR_ERROR_LENGTH));
}

/*
 * Take the line with the bulk query out of an error's context: the caller has
 * not written it.
 */
static const char *
without_bulk_query(char *context, const char *sql)
{
	int			length = context ? strlen(context) : 0;
	int			sql_length = strlen(sql);
	char	   *p;

	if (length < sql_length + 2 || context[length - 1] != '"')
		return context;
	p = context + length - sql_length - 1;
	if (strncmp(p, sql, sql_length) != 0)
		return context;
	while (p > context && p[-1] != '\n')
		p--;
	if (p == context)
		return NULL;
	p[-1] = '\0';
	return context;
}

static void
send_error(ErrorData *edata, CcrReply reply, const char *sql)
{
	StringInfoData buf;
	CcrError	error = {
		.sqlstate = edata->sqlerrcode,
		.message = edata->message ? executor_clipped(edata->message) : "missing error text",
		.detail = executor_clipped(edata->detail),
		.hint = executor_clipped(edata->hint),
		.context = executor_clipped(without_bulk_query(ccr_identity_without(edata->context), sql))
	};

	initStringInfo(&buf);
	start_reply(&buf, reply);
	ccr_error_flatten(&buf, &error);
	send_reply(buf.data, buf.len);
}

/* --------------------------------------------------------------- the loop */

/*
 * Begin a job; false if it must not be run.  The collector and the executor
 * each write a number and then read the other's.  So a collector that wants
 * the job to end either finds it begun, or its wish is seen here.  The
 * partners are in ccr_seat_cancel(), give_up_seat() and tell_to_leave().
 */
static bool
begin_job(const CcrJob *job)
{
	QueryCancelPending = false;
	cancelled_by_hand = committing = false;
	pg_atomic_write_u64(&ccr_my_seat->job, job->id);
	pg_memory_barrier();
	if (pg_atomic_read_u32(&ccr_my_seat->unwanted))
		return false;
	pg_atomic_write_u64(&ccr_my_seat->begun, job->id);
	if (pg_atomic_read_u64(&ccr_my_seat->cancelled) == job->id)
	{
		InterruptPending = true;
		QueryCancelPending = true;
	}
	debug_query_string = job->sql;

	/* first, as it is shown as the query's */
	SetCurrentStatementStartTimestamp();
	pgstat_report_activity(STATE_RUNNING, job->sql);
	return true;
}

static void
end_job(void)
{
	pg_atomic_write_u64(&ccr_my_seat->job, 0);
	QueryCancelPending = false;
	LockReleaseAll(USER_LOCKMETHOD, true);
	debug_query_string = NULL;
	pgstat_report_activity(STATE_IDLE, NULL);
}

static void
do_job(const CcrJob *job)
{
	ErrorData  *volatile error = NULL;

	PG_TRY();
	{
		CHECK_FOR_INTERRUPTS();
		run_job(job);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(job_context);
		error = CopyErrorData();
		FlushErrorState();
		HOLD_INTERRUPTS();
		AbortCurrentTransaction();
		jit_reset_after_error();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(job_context);
	end_job();
	MemoryContextSwitchTo(job_context);
	if (error)
		send_error(error, cancelled_by_hand && error->sqlerrcode == ERRCODE_QUERY_CANCELED ?
				   CCR_REPLY_ENDED : CCR_REPLY_FAILED, job->sql);
	else
		send_plain(CCR_REPLY_DONE);

	/*
	 * Do this only after the job has committed or failed, so that no failure
	 * here changes its outcome.  An error here ends the process.
	 */
	tidy_up();
	(void) pgstat_report_stat(false);
}

/*
 * Wait for the next job.  NULL if there will be none, or if this process has
 * to leave.
 */
static CcrJob *
next_job(uint32 wait_event)
{
	for (;;)
	{
		Size		length;
		void	   *data;
		char	   *copy;

		switch (shm_mq_receive(jobs, &length, &data, true))
		{
			case SHM_MQ_SUCCESS:
				copy = MemoryContextAllocHuge(job_context, length);
				memcpy(copy, data, length);
				return ccr_job_restore(copy, length);
			case SHM_MQ_DETACHED:
				return NULL;
			case SHM_MQ_WOULD_BLOCK:
				break;
		}
		if (pg_atomic_read_u32(&ccr_my_seat->unwanted))
			return NULL;
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH, -1, wait_event);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

void
ccr_executor_main(Datum unused)
{
	uint32		wait_event;
	CcrJob	   *job;

	executor_start();
	wait_event = ccr_new_wait_event("ConcresceExecutorMain");
	pgstat_report_activity(STATE_IDLE, NULL);
	for (;;)
	{
		MemoryContextSwitchTo(job_context);
		MemoryContextReset(job_context);
		job = next_job(wait_event);
		if (job == NULL || !begin_job(job))
			break;
		do_job(job);
	}
	proc_exit(0);
}
