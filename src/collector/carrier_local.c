/*-------------------------------------------------------------------------
 *
 * carrier_local.c
 *	  A local executor, as its collector sees it: a carrier.
 *
 * Jobs go to the executor and rows come back through two shm_mq of fixed size,
 * which never block here: what does not fit is sent on when the executor, by
 * setting the latch, says that there is room.  An executor that produces rows
 * faster than they are taken waits.  A queue whose other end was given up says
 * that the executor is gone, or could not be started.
 *
 * One that was cancelled goes on being read until its job has ended, so that it
 * never waits for room; should that take long, it is terminated.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/carrier_local.h"
#include "collector/timer.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "shared/compat.h"
#include "shared/reader.h"
#include "shared/seat.h"
#include "utils/memutils.h"

#define CCR_MANY_REPLIES	64	/* taken before others have their turn */

typedef struct CcrLocal
{
	CcrCarrier	carrier;
	dlist_node	node;			/* in locals, until it is freed */
	CcrSeat    *seat;			/* NULL: none was to be had, or DEAD */
	shm_mq_handle *jobs;
	shm_mq_handle *replies;
	uint64		job;			/* the last one given */
	StringInfoData outgoing;	/* the job, until it is sent */
	bool		sending;
	bool		skip_rows;		/* the owner wants no more of this result */
	CcrTimer	deadline;		/* of CANCELLING; or to tell that it could not
								 * be started */
	char		statement[NAMEDATALEN]; /* being prepared */
	int			ncolumns;		/* of the rows to come */
} CcrLocal;

static dlist_head locals = DLIST_STATIC_INIT(locals);
static int	worker_index;

static const CcrCarrierOps local_ops;

void
ccr_locals_init(int worker)
{
	worker_index = worker;
}

/* ------------------------------------------------------- opening, closing */

static void
give_up_seat(CcrLocal *local)
{
	if (local->seat == NULL)
		return;

	/*
	 * not even a body that catches a cancel goes on for nobody: the partner
	 * is in begin_job()
	 */
	if (local->carrier.op != CCR_OP_NONE)
	{
		pg_atomic_write_u32(&local->seat->unwanted, 1);
		pg_memory_barrier();
		ccr_seat_terminate(local->seat, 0);
	}
	if (local->jobs)
		shm_mq_detach(local->jobs);
	if (local->replies)
		shm_mq_detach(local->replies);
	local->jobs = local->replies = NULL;
	ccr_seat_abandon(local->seat);
	local->seat = NULL;
}

static void
close_local(CcrLocal *local, CcrOp op, const CcrError *error)
{
	if (local->carrier.state == CCR_CARRIER_DEAD)
		return;
	ccr_timer_clear(&local->deadline);
	give_up_seat(local);
	local->carrier.state = CCR_CARRIER_DEAD;
	local->carrier.op = CCR_OP_NONE;
	if (error)
		local->carrier.calls->dead(local->carrier.owner, op, error);
}

static void
local_close(CcrCarrier *carrier, const CcrError *error)
{
	CcrLocal   *local = (CcrLocal *) carrier;

	close_local(local, local->carrier.op, error);
}

static void
local_free(CcrCarrier *carrier)
{
	CcrLocal   *local = (CcrLocal *) carrier;

	close_local(local, CCR_OP_NONE, NULL);
	dlist_delete(&local->node);
	MemoryContextDelete(local->carrier.context);
}

static void
could_not_register(CcrLocal *local)
{
	CcrError	error = {
		.sqlstate = ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
		.author = CCR_TEXTS_OURS,
		.message = "could not start a local executor",
		.detail = "There is no free slot for another background worker.",
		.hint = "You may need to increase \"max_worker_processes\"."
	};

	close_local(local, CCR_OP_NONE, &error);
}

/* It is gone; the seat says why, if it was able to. */
static void
local_lost(CcrLocal *local)
{
	CcrSeat    *seat = local->seat;
	bool		started = local->carrier.state != CCR_CARRIER_CONNECTING;
	char		detail[CCR_TEXT_LEN];
	CcrError	error = {
		.sqlstate = ERRCODE_OPERATOR_INTERVENTION,
		.author = started ? CCR_TEXTS_FOREIGN : CCR_TEXTS_OURS,
		.message = started ? "local executor exited" : "could not start a local executor"
	};
	CcrOp		op = local->carrier.op;

	/*
	 * What follows was written before it gave up its end of the queue, for
	 * which shm_mq has barriers; the message, in note_error().
	 */
	pg_read_barrier();
	if (op != CCR_OP_NONE && pg_atomic_read_u64(&seat->begun) != local->job)
		op = CCR_OP_NONE;
	if (op != CCR_OP_NONE && seat->by_hand)
	{
		error.by_hand = true;
		error.author = CCR_TEXTS_OURS;
		error.message = "local executor was terminated";
	}
	if (seat->message[0])
	{
		strlcpy(detail, seat->message, sizeof(detail));
		error.detail = detail;
		if (!started)
			error.sqlstate = seat->sqlstate;
	}
	else
		error.hint = "See the server log.";
	close_local(local, op, &error);
}

static void
local_deadline_passed(void *arg)
{
	CcrLocal   *local = arg;

	if (local->seat == NULL)
		could_not_register(local);
	else
		local_lost(local);
}

static bool
start_executor(CcrLocal *local, Oid dbid, Oid roleid)
{
	BackgroundWorkerHandle *handle;
	CcrSeatNumber number;
	BackgroundWorker bgw = {
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_ConsistentState,
		.bgw_restart_time = BGW_NEVER_RESTART,
		.bgw_notify_pid = MyProcPid
	};

	local->seat = ccr_seat_call(dbid, roleid, worker_index, &number);
	if (local->seat == NULL)
		return false;
	strlcpy(bgw.bgw_library_name, "concresce", sizeof(bgw.bgw_library_name));
	strlcpy(bgw.bgw_function_name, "ccr_executor_main", sizeof(bgw.bgw_function_name));
	strlcpy(bgw.bgw_name, "concresce executor", BGW_MAXLEN);
	strlcpy(bgw.bgw_type, "concresce executor", BGW_MAXLEN);
	StaticAssertStmt(sizeof(number) <= BGW_EXTRALEN, "too large for bgw_extra");
	memcpy(bgw.bgw_extra, &number, sizeof(number));
	if (!RegisterDynamicBackgroundWorker(&bgw, &handle))
	{
		ccr_seat_abandon(local->seat);
		local->seat = NULL;
		return false;
	}
	local->jobs = shm_mq_attach(ccr_seat_jobs(local->seat), NULL, handle);
	local->replies = shm_mq_attach(ccr_seat_replies(local->seat), NULL, handle);
	return true;
}

CcrCarrier *
ccr_local_open(Oid dbid, Oid roleid, const CcrCarrierCalls *calls, void *owner)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "concresce connection",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	CcrLocal   *local = palloc0(sizeof(CcrLocal));

	ccr_carrier_init(&local->carrier, &local_ops, calls, owner, context);
	ccr_timer_init(&local->deadline, local_deadline_passed, local);
	dlist_push_tail(&locals, &local->node);
	if (!start_executor(local, dbid, roleid))
		ccr_timer_set(&local->deadline, ccr_now());
	MemoryContextSwitchTo(old);
	return &local->carrier;
}

/* -------------------------------------------------------------- operations */

/* Send on what is not yet sent. */
static void
push_job(CcrLocal *local)
{
	switch (shm_mq_send(local->jobs, local->outgoing.len, local->outgoing.data,
						true, true))
	{
		case SHM_MQ_SUCCESS:
			local->sending = false;
			pfree(local->outgoing.data);
			break;
		case SHM_MQ_WOULD_BLOCK:
		case SHM_MQ_DETACHED:	/* noticed when its replies are read */
			break;
	}
}

static void
give_job(CcrLocal *local, CcrOp op, CcrJobKind kind, const CcrQuery *query)
{
	const CcrSource *source = query->source;
	MemoryContext old = MemoryContextSwitchTo(local->carrier.context);
	CcrJob		job = {
		.id = ++local->job,
		.kind = kind,
		.binary = query->binary,
		.read_only = source->resend,
		.wants_rows = !source->returns_void,
		.search_path = source->search_path,
		.nsettings = source->nsettings,
		.settings = source->settings,
		.statement = query->statement,
		.sql = query->sql,
		.params = *query->params
	};

	Assert(local->carrier.state == CCR_CARRIER_IDLE);
	initStringInfo(&local->outgoing);
	ccr_job_flatten(&local->outgoing, &job);
	MemoryContextSwitchTo(old);
	strlcpy(local->statement, query->statement, NAMEDATALEN);
	local->carrier.op = op;
	local->carrier.state = CCR_CARRIER_BUSY;
	local->skip_rows = false;
	local->sending = true;
	local->seat->party = query->party;
	push_job(local);
}

/* An executor tidies up after every job, whosever it was. */
static bool
local_adopt(CcrCarrier *carrier, Oid owner)
{
	return false;
}

static bool
local_pooled(const CcrCarrier *carrier)
{
	return false;
}

static void
local_prepare(CcrCarrier *carrier, const CcrQuery *query, bool describe)
{
	give_job((CcrLocal *) carrier, describe ? CCR_OP_DESCRIBE : CCR_OP_PREPARE,
			 describe ? CCR_JOB_DESCRIBE : CCR_JOB_PREPARE, query);
}

static void
local_execute(CcrCarrier *carrier, const CcrQuery *query)
{
	give_job((CcrLocal *) carrier, CCR_OP_EXECUTE, CCR_JOB_EXECUTE, query);
}

static void
local_cancel(CcrCarrier *carrier)
{
	CcrLocal   *local = (CcrLocal *) carrier;

	Assert(local->carrier.state == CCR_CARRIER_BUSY);
	local->carrier.state = CCR_CARRIER_CANCELLING;
	ccr_seat_cancel(local->seat, local->job);
	ccr_timer_set(&local->deadline,
				  ccr_after(ccr_now(), CCR_CANCEL_GRACE));
}

/* Its replies are read from a queue of a fixed size. */
static bool
local_is_worn(const CcrCarrier *carrier)
{
	return false;
}

/* ----------------------------------------------------------------- replies */

static void
became_ready(CcrLocal *local)
{
	local->carrier.state = CCR_CARRIER_IDLE;
	local->carrier.calls->ready(local->carrier.owner);
}

static void
op_ended(CcrLocal *local, const CcrError *error)
{
	CcrOp		op = local->carrier.op;

	local->carrier.op = CCR_OP_NONE;
	if (error == NULL && local->statement[0] && op != CCR_OP_EXECUTE)
		ccr_carrier_remember(&local->carrier, local->statement);
	if (local->carrier.state == CCR_CARRIER_CANCELLING)
	{
		ccr_timer_clear(&local->deadline);
		became_ready(local);
		return;
	}
	local->carrier.state = CCR_CARRIER_IDLE;
	local->carrier.calls->done(local->carrier.owner, op, error);
}

static void
take_columns(CcrLocal *local, CcrReader *reader)
{
	int			n = ccr_read_count(reader, sizeof(Oid));
	CcrRow		row;

	(void) ccr_carrier_make_room(&local->carrier, n);
	local->ncolumns = n;
	if (n > 0)
		memcpy(local->carrier.types, ccr_read(reader, n * sizeof(Oid)), n * sizeof(Oid));
	ccr_read_end(reader);
	row = ccr_carrier_row(&local->carrier, local->ncolumns);
	if (local->carrier.op == CCR_OP_DESCRIBE && local->carrier.state == CCR_CARRIER_BUSY)
		local->carrier.calls->described(local->carrier.owner, &row);
}

static void
take_rows(CcrLocal *local, CcrReader *reader)
{
	CcrRow		row = ccr_carrier_row(&local->carrier, local->ncolumns);

	if (row.n == 0)
		ccr_read_end(reader);
	while (reader->p < reader->end && local->carrier.state == CCR_CARRIER_BUSY && !local->skip_rows)
	{
		for (int i = 0; i < row.n; i++)
			local->carrier.values[i] = ccr_read_value(reader, &local->carrier.lengths[i]);
		local->skip_rows = !local->carrier.calls->row(local->carrier.owner, &row);
	}
}

static void
take_reply(CcrLocal *local, const char *data, Size length)
{
	CcrReader	reader = ccr_reader(data, length, "reply of a local executor");
	CcrError   *error;

	switch ((CcrReply) *ccr_read(&reader, 1))
	{
		case CCR_REPLY_READY:
			ccr_read_end(&reader);
			became_ready(local);
			return;
		case CCR_REPLY_COLUMNS:
			take_columns(local, &reader);
			return;
		case CCR_REPLY_ROWS:
			take_rows(local, &reader);
			return;
		case CCR_REPLY_DONE:
			ccr_read_end(&reader);
			op_ended(local, NULL);
			return;
		case CCR_REPLY_FAILED:
		case CCR_REPLY_ENDED:
			error = ccr_error_restore(reader.p, reader.end - reader.p);
			error->by_hand = data[0] == CCR_REPLY_ENDED;
			op_ended(local, error);
			pfree(error);
			return;
	}
	ccr_read_failed(&reader);
}

static void
local_step(CcrCarrier *carrier, int fd, int events)
{
	CcrLocal   *local = (CcrLocal *) carrier;

	if (local->sending && local->seat)
		push_job(local);
	for (int i = 0; i < CCR_MANY_REPLIES && local->seat; i++)
	{
		Size		length;
		void	   *data;

		switch (shm_mq_receive(local->replies, &length, &data, true))
		{
			case SHM_MQ_SUCCESS:
				take_reply(local, data, length);
				break;
			case SHM_MQ_WOULD_BLOCK:
				return;
			case SHM_MQ_DETACHED:
				local_lost(local);
				return;
		}
	}
	if (local->seat)
		SetLatch(MyLatch);
}

void
ccr_locals_visit(void (*visit) (CcrCarrier *))
{
	dlist_iter	iter;

	/* more may come meanwhile, but none is freed */
	dlist_foreach(iter, &locals)
	{
		CcrLocal   *local = dlist_container(CcrLocal, node, iter.cur);

		if (local->seat)
			visit(&local->carrier);
	}
}

void
ccr_locals_abandon(void)
{
	dlist_iter	iter;

	dlist_foreach(iter, &locals)
		give_up_seat(dlist_container(CcrLocal, node, iter.cur));
}

static const CcrCarrierOps local_ops = {
	.adopt = local_adopt,
	.pooled = local_pooled,
	.prepare = local_prepare,
	.execute = local_execute,
	.cancel = local_cancel,
	.close = local_close,
	.free = local_free,
	.is_worn = local_is_worn,
	.step = local_step
};
