/*-------------------------------------------------------------------------
 *
 * flush.c
 *	  What this session has enqueued, and what has become of it.
 *
 * The session has a sender on the heap for each lookup that it has enqueued
 * items of; the collector counts there.  What has been told by a flush is
 * remembered here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "arguments.h"
#include "compat.h"
#include "flush.h"
#include "fmgr.h"
#include "lookup.h"
#include "miscadmin.h"
#include "request.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(concresce_flush);

typedef struct OwnSender
{
	Oid			function;
	int			worker;
	char	   *name;			/* of the lookup, when it was last enqueued */
	CcrSender  *sender;
	uint64		told_ended;		/* of its counts, told by earlier flushes */
	uint64		told_failed;
} OwnSender;

uint64		ccr_flush_uncommitted = 0;

static OwnSender *own = NULL;
static int	nown = 0;
static int	own_size = 0;
static uint32 wait_event_flush;

static void
release_senders(int code, Datum arg)
{
	for (int i = 0; i < nown; i++)
	{
		pg_atomic_write_u32(&own[i].sender->waiting, 0);
		ccr_sender_release(own[i].sender);
	}
	nown = 0;
}

CcrSender *
ccr_flush_sender(const CcrDefinition *definition, int worker)
{
	OwnSender  *new;

	for (int i = 0; i < nown; i++)
		if (own[i].function == definition->function && own[i].worker == worker)
			return own[i].sender;

	if (own == NULL)
	{
		wait_event_flush = ccr_new_wait_event("ConcresceFlush");
		before_shmem_exit(release_senders, (Datum) 0);
		own_size = 4;
		own = MemoryContextAlloc(TopMemoryContext, own_size * sizeof(OwnSender));
	}
	else if (nown == own_size)
	{
		own = repalloc(own, 2 * own_size * sizeof(OwnSender));
		own_size *= 2;
	}
	new = &own[nown];
	new->function = definition->function;
	new->worker = worker;
	new->told_ended = 0;
	new->told_failed = 0;
	new->name = MemoryContextStrdup(TopMemoryContext, definition->name);
	new->sender = ccr_sender_new(ccr_my_procno());
	if (new->sender == NULL)
	{
		pfree(new->name);
		return NULL;
	}
	nown++;
	return new->sender;
}

/* ------------------------------------------------------------------- flush */

static bool
concerns(const OwnSender *s, Oid function)
{
	return !OidIsValid(function) || s->function == function;
}

static uint64
outstanding(const OwnSender *s)
{
	return pg_atomic_read_u64(&s->sender->sent) - pg_atomic_read_u64(&s->sender->ended);
}

/*
 * Have the windows of what is outstanding ended.  A collector that exits before
 * it is told needs not be: the next one waits for nothing more.
 */
static void
end_windows(const OwnSender *s)
{
	CcrRequest *request = ccr_request_new(CCR_REQUEST_FLUSH, 0, 0, NULL, 0);

	if (request == NULL)
		ccr_request_no_room(0);
	request->worker = s->worker;
	request->function = s->function;
	request->submitted = GetCurrentTimestamp();
	ccr_request_submit(request);
	PG_TRY();
	{
		while (pg_atomic_read_u32(&request->state) != CCR_REQUEST_DONE &&
			   !ccr_request_lost(request))
		{
			(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH, -1,
							 wait_event_flush);
			ResetLatch(MyLatch);
			CHECK_FOR_INTERRUPTS();
		}
	}
	PG_FINALLY();
	{
		ccr_request_abandon(request, CCR_ABANDON_CANCEL);
	}
	PG_END_TRY();
}

static void
too_late(const OwnSender *s, int64 timeout)
{
	ereport(ERROR,
			(errcode(ERRCODE_QUERY_CANCELED),
			 errmsg("canceling flush due to timeout"),
			 errdetail("After %lld ms, %llu enqueued items of lookup %s have not been run.",
					   (long long) timeout, (unsigned long long) outstanding(s), s->name)));
}

static void
wait_for_sender(const OwnSender *s, TimestampTz deadline, int64 timeout)
{
	while (outstanding(s) > 0)
	{
		long		left = -1;

		if (deadline != 0)
		{
			left = Max(TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline), 0);
			if (left == 0)
				too_late(s, timeout);
		}
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (left >= 0 ? WL_TIMEOUT : 0),
						 left, wait_event_flush);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

static void
wait_for_all(Oid function, TimestampTz deadline, int64 timeout)
{
	for (int i = 0; i < nown; i++)
		if (concerns(&own[i], function))
		{
			/* before the count is looked at, lest a wake-up be missed */
			pg_atomic_write_u32(&own[i].sender->waiting, 1);
			pg_memory_barrier();
			if (outstanding(&own[i]) > 0)
				end_windows(&own[i]);
		}
	for (int i = 0; i < nown; i++)
		if (concerns(&own[i], function))
			wait_for_sender(&own[i], deadline, timeout);
}

/* What failed of one sender, to be raised when all is in order. */
typedef struct Failed
{
	uint64		n;
	uint64		ended;
	char	   *name;
	int			sqlstate;
	char		message[CCR_TEXT_LEN];
} Failed;

static void
raise_failed(const Failed *failed)
{
	ereport(ERROR,
			(errcode(failed->sqlstate),
			 errmsg("%llu of %llu enqueued items of lookup %s were discarded",
					(unsigned long long) failed->n, (unsigned long long) failed->ended,
					failed->name),
			 errdetail("The first one failed with: %s", ccr_error_legible(failed->message)),
			 errhint("The server log has all of them, with their arguments.")));
}

/* What has ended since it was last told, and what failed. */
static uint64
tell(OwnSender *s, Failed *failed)
{
	uint64		ended = pg_atomic_read_u64(&s->sender->ended) - s->told_ended;
	uint64		n = pg_atomic_read_u64(&s->sender->failed) - s->told_failed;

	s->told_ended += ended;
	s->told_failed += n;
	if (n == 0)
		return ended;
	failed->n = n;
	failed->ended = ended;
	failed->name = pstrdup(s->name);
	SpinLockAcquire(&s->sender->mutex);
	failed->sqlstate = s->sender->sqlstate;
	strlcpy(failed->message, s->sender->message, CCR_TEXT_LEN);
	s->sender->sqlstate = 0;
	SpinLockRelease(&s->sender->mutex);
	return ended;
}

/* Of what nothing is left to be told, nothing needs to be kept. */
static void
release_told(void)
{
	int			n = 0;

	for (int i = 0; i < nown; i++)
	{
		OwnSender  *s = &own[i];

		if (outstanding(s) == 0 && pg_atomic_read_u64(&s->sender->ended) == s->told_ended)
		{
			pfree(s->name);
			ccr_sender_release(s->sender);
		}
		else
			own[n++] = *s;
	}
	nown = n;
}

/* In ms. */
static int64
timeout_of(const Interval *span)
{
	float8		ms = span->time / 1000.0 +
		((float8) span->month * DAYS_PER_MONTH + span->day) * SECS_PER_DAY * 1000.0;

	if (ms < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("timeout must not be negative")));
	return (int64) Min(ms, (float8) INT_MAX);
}

Datum
concresce_flush(PG_FUNCTION_ARGS)
{
	Oid			function = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0);
	int64		timeout = PG_ARGISNULL(1) ? 0 : timeout_of(PG_GETARG_INTERVAL_P(1));
	TimestampTz deadline = 0;
	uint64		n = 0;
	Failed		failed = {0};

	ccr_shmem_require();
	ccr_lookup_init();
	if (OidIsValid(function))
		ccr_arguments_check_lookup(function);
	if (!PG_ARGISNULL(1))
		deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout);
	if (ccr_flush_uncommitted > 0)
		ereport(NOTICE,
				(errmsg("%llu enqueued items of this transaction will leave when it commits",
						(unsigned long long) ccr_flush_uncommitted),
				 errdetail("A flush waits for those of earlier transactions.")));

	PG_TRY();
	{
		wait_for_all(function, deadline, timeout);
	}
	PG_FINALLY();
	{
		for (int i = 0; i < nown; i++)
			pg_atomic_write_u32(&own[i].sender->waiting, 0);
	}
	PG_END_TRY();
	for (int i = 0; i < nown && failed.n == 0; i++)
		if (concerns(&own[i], function))
			n += tell(&own[i], &failed);
	release_told();
	if (failed.n > 0)
		raise_failed(&failed);
	PG_RETURN_INT64(n);
}
