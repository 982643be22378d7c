/*-------------------------------------------------------------------------
 *
 * flush.c
 *	  What this session has enqueued, and what has become of it.
 *
 * The session has a account on the heap for each lookup that it has enqueued
 * items of, and for each party that has: a pool of connections is used by one
 * role after another, and none is told of what another has enqueued.  The
 * collector counts there.  What has been told by a flush is remembered here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "call/arguments.h"
#include "call/pending.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "shared/compat.h"
#include "shared/request.h"
#include "shared/seat.h"
#include "storage/ipc.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "write/flush.h"

PG_FUNCTION_INFO_V1(concresce_flush);
PG_FUNCTION_INFO_V1(concresce_flush_0_2);
PG_FUNCTION_INFO_V1(concresce_flush_all);

typedef struct OwnSender
{
	Oid			function;
	CcrParty	party;			/* that has enqueued it, and is told of it */
	int			worker;
	char	   *name;			/* of the lookup, when it was last enqueued */
	CcrAccount *account;		/* NULL: of what was enqueued, all has ended */
	uint64		taken_ended;	/* of its counts, taken over: */
	uint64		taken_failed;
	uint64		known_failures; /* of its circuit, as the flush began */

	/* What is to be told by the next flush. */
	uint64		ended;
	uint64		failed;
	int			sqlstate;		/* of the first that failed */
	char		message[CCR_TEXT_LEN];
} OwnSender;

/* How many items a party has enqueued in the present transaction. */
typedef struct Uncommitted
{
	CcrParty	party;
	uint64		n;
} Uncommitted;

#define CCR_MAX_SENDERS		256 /* beyond, what has ended is forgotten */

static Uncommitted *uncommitted = NULL;
static int	nuncommitted = 0;
static int	uncommitted_size = 0;
static OwnSender *own = NULL;
static int	nown = 0;
static int	own_size = 0;
static uint32 wait_event_flush;

static void
release_accounts(int code, Datum arg)
{
	for (int i = 0; i < nown; i++)
		if (own[i].account)
		{
			pg_atomic_write_u32(&own[i].account->waiting, 0);
			ccr_account_release(own[i].account);
		}
	nown = 0;
}

/*
 * Are these the same party? Unlike ccr_party_same(), which says who is told an
 * error, this takes "several" for equal to "several".
 */
static bool
same_party(CcrParty a, CcrParty b)
{
	return a.session == b.session && a.outer == b.outer;
}

void
ccr_flush_count(CcrParty party, int64 n)
{
	int			i = 0;

	while (i < nuncommitted && !same_party(uncommitted[i].party, party))
		i++;
	if (i == uncommitted_size)
	{
		int			size = Max(2 * uncommitted_size, 4);

		if (uncommitted == NULL)
			uncommitted = MemoryContextAlloc(TopMemoryContext, size * sizeof(Uncommitted));
		else
			uncommitted = repalloc(uncommitted, size * sizeof(Uncommitted));
		uncommitted_size = size;
	}
	if (i == nuncommitted)
	{
		uncommitted[i].party = party;
		uncommitted[i].n = 0;
		nuncommitted++;
	}
	uncommitted[i].n += n;
}

void
ccr_flush_count_nothing(void)
{
	nuncommitted = 0;
}

static uint64
count_of_account(CcrParty party)
{
	for (int i = 0; i < nuncommitted; i++)
		if (same_party(uncommitted[i].party, party))
			return uncommitted[i].n;
	return 0;
}

/* Take over what the account has counted. */
static void
take_counts(OwnSender *s)
{
	CcrAccount *account = s->account;
	uint64		ended = pg_atomic_read_u64(&account->ended);
	uint64		failed;

	/*
	 * Each failed item is counted in `failed` before it is counted in
	 * `ended`. The partners are the two additions in ledger.c.
	 */
	pg_read_barrier();
	failed = pg_atomic_read_u64(&account->failed);
	s->ended += ended - s->taken_ended;
	s->failed += failed - s->taken_failed;
	s->taken_ended = ended;
	s->taken_failed = failed;
	SpinLockAcquire(&account->mutex);
	if (s->sqlstate == 0)
	{
		s->sqlstate = account->sqlstate;
		strlcpy(s->message, account->message, CCR_TEXT_LEN);
	}
	account->sqlstate = 0;
	SpinLockRelease(&account->mutex);
}

static void
let_go(OwnSender *s)
{
	take_counts(s);
	ccr_account_release(s->account);
	s->account = NULL;
}

static void
remove_own(int i)
{
	pfree(own[i].name);
	memmove(&own[i], &own[i + 1], (nown - i - 1) * sizeof(OwnSender));
	nown--;
}

/*
 * A session that many roles use one after another would remember something of
 * each, and for most of them nobody will ever ask.  So forget the accounts of
 * others to which only we refer: they have no items.
 */
static void
forget_others(CcrParty party)
{
	for (int i = nown - 1; i >= 0; i--)
	{
		OwnSender  *s = &own[i];

		if (same_party(s->party, party))
			continue;
		if (s->account && pg_atomic_read_u32(&s->account->references) == 1)
			let_go(s);
		if (s->account == NULL)
			remove_own(i);
	}
}

static OwnSender *
new_own(const CcrDefinition *definition, CcrParty party, int worker)
{
	OwnSender  *new;
	char	   *name = MemoryContextStrdup(TopMemoryContext, definition->name);

	if (nown >= CCR_MAX_SENDERS)
		forget_others(party);
	if (own == NULL)
	{
		wait_event_flush = ccr_new_wait_event("ConcresceFlush");
		before_shmem_exit(release_accounts, (Datum) 0);
		own_size = 4;
		own = MemoryContextAlloc(TopMemoryContext, own_size * sizeof(OwnSender));
	}
	else if (nown == own_size)
	{
		own = repalloc(own, 2 * own_size * sizeof(OwnSender));
		own_size *= 2;
	}
	new = &own[nown++];
	memset(new, 0, sizeof(OwnSender));
	new->function = definition->function;
	new->party = party;
	new->worker = worker;
	new->name = name;
	return new;
}

CcrAccount *
ccr_flush_account(const CcrDefinition *definition, CcrParty party, int worker)
{
	OwnSender  *s = NULL;

	for (int i = 0; i < nown && s == NULL; i++)
		if (own[i].function == definition->function && own[i].worker == worker &&
			same_party(own[i].party, party))
			s = &own[i];
	if (s == NULL)
		s = new_own(definition, party, worker);
	if (s->account == NULL)
	{
		s->account = ccr_account_new(ccr_my_procno());
		s->taken_ended = s->taken_failed = 0;
	}
	return s->account;
}

/* ------------------------------------------------------------------- flush */

/* Is the account of this lookup, and of the role that asks? */
static bool
flush_concerns(const OwnSender *s, Oid function)
{
	return (!OidIsValid(function) || s->function == function) &&
		same_party(s->party, ccr_seat_party());
}

static uint64
outstanding_items(const OwnSender *s)
{
	if (s->account == NULL)
		return 0;
	return pg_atomic_read_u64(&s->account->sent) - pg_atomic_read_u64(&s->account->ended);
}

static void
too_late(const OwnSender *s, int64 timeout)
{
	ereport(ERROR,
			(errcode(ERRCODE_QUERY_CANCELED),
			 errmsg("canceling flush due to timeout"),
			 errdetail("After %lld ms, %llu enqueued items of lookup %s have not been run.",
					   (long long) timeout, (unsigned long long) outstanding_items(s), s->name)));
}

static void
raise_switched_off(const OwnSender *s, const CcrLastError *error)
{
	ereport(ERROR,
			(errcode(error->sqlstate),
			 errmsg("%llu enqueued items of lookup %s wait, as their server is switched off",
					(unsigned long long) outstanding_items(s), s->name),
			 errhint("concresce.switch_on() lets it be used again.")));
}

/*
 * All batches of the lookup fail, for a cause that does not go away by itself.
 * Raise an error, so that the session that waits learns of it.
 */
static void
raise_open_circuit(const OwnSender *s, const CcrLastError *error)
{
	bool		told = error->open || (OidIsValid(error->roleid) &&
									   has_privs_of_role(s->party.outer, error->roleid));

	ereport(ERROR,
			(errcode(error->sqlstate),
			 errmsg("%llu enqueued items of lookup %s wait, as batch after batch has failed",
					(unsigned long long) outstanding_items(s), s->name),
			 told ? errdetail("The last one failed with: %s", ccr_error_legible(error->message)) :
			 errdetail("The last one failed with SQLSTATE %s.", unpack_sql_state(error->sqlstate)),
			 errdetail_log("The last one failed with SQLSTATE %s.", unpack_sql_state(error->sqlstate)),
			 errhint("They are tried again until some succeed.")));
}

/*
 * *failures receives how often batches with the account's items have failed
 * while the circuit was open, or were found to wait for a server that is
 * switched off.  True if they still wait, with no end in sight.
 */
static bool
open_circuit(const OwnSender *s, uint64 *failures, CcrLastError *error, bool *off)
{
	CcrAccount *account = s->account;
	bool		waits;

	SpinLockAcquire(&account->mutex);
	waits = account->waits;
	*off = account->off;
	*failures = account->failures;
	*error = account->last;
	SpinLockRelease(&account->mutex);
	return waits;
}

/*
 * Note the state of the circuit as the flush begins: if it is open already,
 * the flush has the items tried once more.
 */
static void
note_circuit(OwnSender *s)
{
	CcrLastError error;
	bool		off;

	(void) open_circuit(s, &s->known_failures, &error, &off);
}

static void
check_circuit(const OwnSender *s)
{
	uint64		failures;
	CcrLastError error;
	bool		off;

	if (!open_circuit(s, &failures, &error, &off) || failures == s->known_failures)
		return;
	if (off)
		raise_switched_off(s, &error);
	raise_open_circuit(s, &error);
}

/*
 * Have the windows of the items ended that we wait for.  A collector that
 * exits before it is told need not be told: the next one ends all windows.
 */
static void
end_windows(const OwnSender *s, CcrTime deadline, int64 timeout)
{
	if (!ccr_tell_collector(CCR_REQUEST_FLUSH, s->function, s->worker, deadline, wait_event_flush))
		too_late(s, timeout);
}

static void
wait_for_account(const OwnSender *s, CcrTime deadline, int64 timeout)
{
	while (outstanding_items(s) > 0)
	{
		long		left = ccr_until(deadline, ccr_now());

		check_circuit(s);
		if (left == 0)
			too_late(s, timeout);
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (left >= 0 ? WL_TIMEOUT : 0),
						 left, wait_event_flush);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

static void
wait_for_flush(Oid function, CcrTime deadline, int64 timeout)
{
	for (int i = 0; i < nown; i++)
		if (own[i].account && flush_concerns(&own[i], function))
		{
			note_circuit(&own[i]);

			/*
			 * Set this before the count is read, so that no wake-up is
			 * missed. The partner is the addition in ccr_account_settle().
			 */
			pg_atomic_write_u32(&own[i].account->waiting, 1);
			pg_memory_barrier();
			if (outstanding_items(&own[i]) > 0)
				end_windows(&own[i], deadline, timeout);
		}
	for (int i = 0; i < nown; i++)
		if (flush_concerns(&own[i], function))
			wait_for_account(&own[i], deadline, timeout);
}

/* The failures of one account, to be raised when everything is in order. */
typedef struct Failed
{
	uint64		n;
	uint64		ended;
	char	   *name;
	int			sqlstate;
	char		message[CCR_TEXT_LEN];
} Failed;

/*
 * The detail for the log.  The message may quote an argument, which the client
 * has sent.  The log gets no more of it than PostgreSQL would show of a
 * statement's parameters.
 */
static char *
logged_detail(const Failed *failed)
{
	int			limit = log_parameter_max_length_on_error;

	if (limit == 0)
		return psprintf("The first one failed with SQLSTATE %s.",
						unpack_sql_state(failed->sqlstate));
	return psprintf("The first one failed with: %s",
					ccr_error_legible(limit < 0 ? failed->message :
									  pnstrdup(failed->message, limit)));
}

static void
raise_failed(const Failed *failed)
{
	ereport(ERROR,
			(errcode(failed->sqlstate),
			 errmsg("%llu of %llu enqueued items of lookup %s were discarded",
					(unsigned long long) failed->n, (unsigned long long) failed->ended,
					failed->name),
			 errdetail("The first one failed with: %s", ccr_error_legible(failed->message)),
			 errdetail_log("%s", logged_detail(failed)),
			 errhint("The server log has all of them.")));
}

/* What has ended since it was last told, and what failed. */
static uint64
tell_collectors(OwnSender *s, Failed *failed)
{
	uint64		ended;

	if (s->account)
		take_counts(s);
	ended = s->ended;
	if (s->failed > 0)
	{
		failed->n = s->failed;
		failed->ended = ended;
		failed->name = pstrdup(s->name);
		failed->sqlstate = s->sqlstate;
		strlcpy(failed->message, s->message, CCR_TEXT_LEN);
	}
	s->ended = s->failed = 0;
	s->sqlstate = 0;
	return ended;
}

/*
 * Release the accounts in shared memory whose items have all ended, and forget
 * those that have nothing left to report.
 */
static void
release_ended(void)
{
	for (int i = nown - 1; i >= 0; i--)
	{
		OwnSender  *s = &own[i];

		if (s->account && outstanding_items(s) == 0)
			let_go(s);
		if (s->account == NULL && s->ended == 0)
			remove_own(i);
	}
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

/* Flush a lookup; InvalidOid: all. limit: how long to wait; NULL: no limit. */
static int64
flush_lookups(Oid function, const Interval *limit)
{
	int64		timeout = limit ? timeout_of(limit) : 0;
	CcrTime		deadline = 0;
	uint64		n = 0;
	Failed		failed = {0};

	ccr_shmem_require();
	ccr_pending_init();
	if (OidIsValid(function))
		ccr_arguments_check_lookup(function);
	if (limit)
		deadline = ccr_after(ccr_now(), timeout);
	if (count_of_account(ccr_seat_party()) > 0)
		ereport(NOTICE,
				(errmsg("%llu enqueued items of this transaction will leave when it commits",
						(unsigned long long) count_of_account(ccr_seat_party())),
				 errdetail("A flush waits for those of earlier transactions.")));

	PG_TRY();
	{
		wait_for_flush(function, deadline, timeout);
	}
	PG_FINALLY();
	{
		for (int i = 0; i < nown; i++)
			if (own[i].account)
				pg_atomic_write_u32(&own[i].account->waiting, 0);
	}
	PG_END_TRY();
	for (int i = 0; i < nown && failed.n == 0; i++)
		if (flush_concerns(&own[i], function))
			n += tell_collectors(&own[i], &failed);
	release_ended();
	if (failed.n > 0)
		raise_failed(&failed);
	return n;
}

static const Interval *
limit_argument(FunctionCallInfo fcinfo, int i)
{
	return PG_ARGISNULL(i) ? NULL : PG_GETARG_INTERVAL_P(i);
}

/* Of version 0.1.0, where NULL was the default. */
Datum
concresce_flush(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(flush_lookups(PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0),
								  limit_argument(fcinfo, 1)));
}

Datum
concresce_flush_0_2(PG_FUNCTION_ARGS)
{
	Oid			function = ccr_arguments_function(fcinfo, "flush_all()");

	PG_RETURN_INT64(flush_lookups(function, limit_argument(fcinfo, 1)));
}

Datum
concresce_flush_all(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(flush_lookups(InvalidOid, limit_argument(fcinfo, 0)));
}
