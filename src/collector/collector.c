/*-------------------------------------------------------------------------
 *
 * collector.c
 *	  The background worker that collects calls and sends batches.
 *
 * The loop: take what backends pushed, let it wait or join, send what is due,
 * wait for the latch, a socket or a deadline.  It never blocks elsewhere, and
 * without requests it sleeps until a deadline, if there is one.
 *
 * An error raised on behalf of one request fails that request, one raised on
 * behalf of one connection fails its batch.  Should the process exit, it first
 * fails what it holds; what is still in the mailbox is left for the next one,
 * which starts at once.
 *
 * Enqueued requests are never failed: they are listed in shared memory until
 * their items have ended, and a new generation begins with them.  When the
 * server shuts down there is none, so the collector first sends them, for as
 * long as concresce.drain_timeout says.
 *
 * It is connected to no database (but to the shared catalogs, which makes it
 * show up in pg_stat_activity), so it is in nobody's way.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sched.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "collector/budget.h"
#include "collector/carrier_local.h"
#include "collector/collector.h"
#include "collector/dispatch.h"
#include "collector/landing.h"
#include "collector/pools.h"
#include "collector/sockets.h"
#include "collector/unwarranted.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "shared/compat.h"
#include "shared/lockfile.h"
#include "shared/settings.h"
#include "shared/stopped.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#define CCR_FINE_WAIT		20	/* ms; shorter waits are timed in us */
#define CCR_SPIN			50	/* us to look for news before sleeping */
#define CCR_CROWD		4		/* calls waiting: then there is no hurry */
#define CCR_MAX_VAIN	6		/* 2^n sleeps, at most, between two looks in
								 * vain */
#define CCR_RESTART_PAUSE	1000	/* ms between two starts, at least */

#define CCR_ROUND_ITEMS	4096	/* taken before the connections get their turn */
#define CCR_ADMIT_PAUSE	1000	/* ms until an admission that failed is
								 * repeated */

static int	worker_index;
static CcrMailbox *mailbox;
static int	fine_timer = -1;	/* timerfd: epoll counts in ms only */
static MemoryContext loop_context;
static uint32 wait_event_idle;

/* Taken from the mailbox and not yet dealt with. */
static CcrRequest *current = NULL;
static CcrRequest *taken = NULL;

static volatile sig_atomic_t terminated = false;
static bool draining = false;	/* the server shuts down */
static CcrTime drain_until;
static CcrTimer drain_timer;
static CcrTimer admit_timer;	/* something unfinished was not admitted */

/* ----------------------------------------------------------- start and end */

void
ccr_collector_register(void)
{
	for (int i = 0; i < ccr_workers; i++)
	{
		BackgroundWorker bgw = {
			.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
			.bgw_start_time = BgWorkerStart_ConsistentState,
			.bgw_restart_time = 0,
			.bgw_main_arg = Int32GetDatum(i)
		};

		strlcpy(bgw.bgw_library_name, "concresce", sizeof(bgw.bgw_library_name));
		strlcpy(bgw.bgw_function_name, "ccr_collector_main", sizeof(bgw.bgw_function_name));
		strlcpy(bgw.bgw_type, "concresce collector", BGW_MAXLEN);
		if (ccr_workers == 1)
			strlcpy(bgw.bgw_name, "concresce collector", BGW_MAXLEN);
		else
			snprintf(bgw.bgw_name, BGW_MAXLEN, "concresce collector %d", i);
		RegisterBackgroundWorker(&bgw);
		if (IsPostmasterEnvironment && ccr_worker_is_registered(&bgw))
			ccr_shmem_registered(i);
	}
}

static void
refuse_request(CcrRequest *request, CcrFailure failure)
{
	/*
	 * it stays on the list of unfinished requests, and will be admitted again
	 */
	if (request->kind == CCR_REQUEST_ENQUEUED)
		ccr_timer_set(&admit_timer, ccr_after(ccr_now(),
											  CCR_ADMIT_PAUSE));
	else if (request->kind == CCR_REQUEST_LOOKUP)
		ccr_ticket_refuse(request, failure);
	else
		ccr_request_complete(request, failure);
}

/*
 * As the process exits, before the heap is detached: fail all requests.  The
 * rows of concresce.connections and the gauges outlive this process, so they
 * are put right.  The next generation frees what was abandoned.
 */
static void
fail_requests(int code, Datum arg)
{
	pg_atomic_write_u32(&mailbox->proc, 0);
	if (current && !ccr_ticket_of(current))
		refuse_request(current, CCR_FAILURE_COLLECTOR_EXIT);
	while (taken)
	{
		CcrRequest *request = taken;

		taken = ccr_request_following(request);
		refuse_request(request, CCR_FAILURE_COLLECTOR_EXIT);
	}
	ccr_flights_fail_all();
	ccr_landing_give_up();
	ccr_requests_wake();
	ccr_pools_hide();
	ccr_locals_abandon();
}

static void admit_unfinished(void *arg);

/*
 * Do not restart more often than once in CCR_RESTART_PAUSE, whatever makes the
 * process exit.  The first restart is immediate.
 */
static void
pause_before_restart(void)
{
	long		left;

	if (pg_atomic_read_u32(&mailbox->generation) == 0)
		return;
	left = ccr_until(ccr_after(mailbox->started, CCR_RESTART_PAUSE), ccr_now());
	if (left == 0)
		return;
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 left, wait_event_idle);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/*
 * Wake all backends that have requests, so that those which wait for the
 * collector before this one notice that it is gone.
 */
static void
wake_waiters(void)
{
	for (int i = 0; i < ccr_shared->nslots; i++)
		if (DsaPointerIsValid(ccr_slots[i].requests))
			ccr_wake(i);
}

/*
 * libpq reads options that it is not given from PG* environment variables.
 * The server's options say what reaches a foreign server, and not the shell in
 * which this server was started, so these variables are removed.  PGDATESTYLE
 * is set so that any session reads our dates alike.
 */
static void
clear_environment(void)
{
	for (int i = 0; environ[i];)
	{
		const char *equals = strchr(environ[i], '=');

		if (equals && strncmp(environ[i], "PG", 2) == 0)
		{
			char	   *name = pnstrdup(environ[i], equals - environ[i]);

			/*
			 * moves the variables behind it, so the next one has the same
			 * index now
			 */
			unsetenv(name);
			pfree(name);
		}
		else
			i++;
	}
	setenv("PGDATESTYLE", "ISO", 1);
}

/*
 * Only note the signal: there may be items to be sent before the collector
 * exits.
 */
static void
note_sigterm(SIGNAL_ARGS)
{
	int			saved_errno = errno;

	terminated = true;
	SetLatch(MyLatch);
	errno = saved_errno;
}

static void
wake_up(void *arg)
{
	/* it only has to wake the loop, which looks for itself */
}

static void
init_collector(void)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, note_sigterm);

	/*
	 * A cancel is meant for a query.  Here it would raise an error that fails
	 * what many sessions wait for.
	 */
	pqsignal(SIGINT, PG_SIG_IGN);

	/*
	 * a SIGHUP that came since the fork has found no handler, so read the
	 * configuration once
	 */
	ConfigReloadPending = true;
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	CurrentResourceOwner = ResourceOwnerCreate(NULL, "concresce collector");

	clear_environment();

	/* takes memory, as what takes a request from the mailbox must not */
	ccr_heap_attach();
	wait_event_idle = ccr_new_wait_event("ConcresceCollectorMain");
	pause_before_restart();

	loop_context = AllocSetContextCreate(TopMemoryContext, "concresce loop",
										 ALLOCSET_DEFAULT_SIZES);
	ccr_pools_init(worker_index);
	ccr_budget_init(mailbox);
	fine_timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (fine_timer < 0)
		elog(ERROR, "timerfd_create failed: %m");
	ccr_sockets_init(fine_timer, wait_event_idle);

	ccr_timer_init(&drain_timer, wake_up, NULL);
	ccr_timer_init(&admit_timer, admit_unfinished, NULL);
	before_shmem_exit(fail_requests, 0);
	pg_atomic_fetch_add_u32(&mailbox->generation, 1);
	mailbox->started = ccr_now();
	pg_atomic_write_u64(&mailbox->started_at, GetCurrentTimestamp());

	/*
	 * the one before may have exited in a smart shutdown, and been started
	 * again as there are still clients
	 */
	pg_atomic_write_u32(&mailbox->closed, 0);
	pg_atomic_write_u32(&mailbox->proc, ccr_my_procno() + 1);

	/*
	 * A backend that pushes from now on wakes us.  What was pushed before, we
	 * find.  The partner of this barrier is the compare-and-swap in
	 * push_request().  The same holds for wake_waiters(): a backend that is
	 * not yet in its slot when we look sees the new generation before it
	 * sleeps.
	 */
	pg_memory_barrier();
	wake_waiters();
	if (ccr_request_unfinished(mailbox))
		ccr_timer_set(&admit_timer, ccr_now());
	pgstat_report_appname(MyBgworkerEntry->bgw_name);
	pgstat_report_activity(STATE_IDLE, NULL);
}

/* ------------------------------------------------------------------ errors */

static CcrError *
caught_error(void)
{
	CcrError   *error;
	ErrorData  *edata;

	MemoryContextSwitchTo(loop_context);
	edata = CopyErrorData();
	EmitErrorReport();
	FlushErrorState();
	LWLockReleaseAll();
	InterruptHoldoffCount = 0;
	QueryCancelHoldoffCount = 0;
	if (ccr_flights_inconsistent())
		elog(FATAL, "concresce collector cannot go on after an error");

	error = palloc0(sizeof(CcrError));
	error->sqlstate = edata->sqlerrcode;
	error->message = edata->message ? edata->message : "missing error text";
	error->detail = edata->detail;
	error->hint = edata->hint;
	return error;
}

/* ------------------------------------------------------------------ intake */

static void
admit_request(CcrRequest *request)
{
	CcrFailure	failure = ccr_pools_admit(request, &current);

	if (failure != CCR_FAILURE_NONE)
		refuse_request(request, failure);
}

static void
take_request(CcrRequest *request)
{
	PG_TRY();
	{
		switch (request->kind)
		{
			case CCR_REQUEST_LOOKUP:
			case CCR_REQUEST_ENQUEUED:
				admit_request(request);
				break;
			case CCR_REQUEST_FLUSH:
			case CCR_REQUEST_DRAIN:
				ccr_queues_flush(request, ccr_pools_flushed);
				break;
			case CCR_REQUEST_STOP:
				ccr_pools_stop(request->dbid, request->function);
				(void) ccr_request_complete(request, CCR_FAILURE_NONE);
				break;
			case CCR_REQUEST_FORGET:
				ccr_flights_forget(request);
				break;
		}
	}
	PG_CATCH();
	{
		(void) caught_error();
		refuse_request(request, CCR_FAILURE_INTERNAL);
	}
	PG_END_TRY();
}

static int
older_first(const void *a, const void *b)
{
	const CcrRequest *ra = *(CcrRequest *const *) a;
	const CcrRequest *rb = *(CcrRequest *const *) b;

	return ra->id < rb->id ? -1 : ra->id > rb->id ? 1 : 0;
}

/*
 * Admit the unfinished requests that are not admitted yet, in the order of
 * their commits.
 */
static void
admit_unfinished(void *arg)
{
	int			n = 0;
	int			size = 256;
	CcrRequest **requests;

	/*
	 * requests that were just taken are on the list, too, and will be
	 * admitted from there
	 */
	if (taken)
	{
		ccr_timer_set(&admit_timer, ccr_after(ccr_now(), 1));
		return;
	}
	requests = palloc(size * sizeof(CcrRequest *));
	for (CcrRequest *request = ccr_request_unfinished(mailbox); request;
		 request = ccr_request_next_unfinished(request))
	{
		if (ccr_ticket_of(request))
			continue;
		if (n == size)
			requests = repalloc_huge(requests, (size *= 2) * sizeof(CcrRequest *));
		requests[n++] = request;
	}
	qsort(requests, n, sizeof(CcrRequest *), older_first);
	for (int i = 0; i < n; i++)
	{
		/*
		 * keep the fingerprint: if the lookup was stopped by force, the
		 * request may be gone after this
		 */
		CcrFingerprint fingerprint = requests[i]->fingerprint;
		CcrQueue   *queue;

		take_request(requests[i]);
		queue = ccr_queue_find(&fingerprint);
		if (queue)
		{
			ccr_queue_end_windows(queue);
			ccr_queue_end_pauses(queue);
			ccr_dispatch_check(queue);
		}
	}
	pfree(requests);
}

/*
 * Act on marks: warrants have ended, items have to be discarded, or servers
 * were switched on or off.  Call this only when all requests that were taken
 * have been dealt with.
 */
static void
heed_marks(uint32 marks)
{
	static uint32 heeded = 0;
	CcrRequest *request;

	if (marks == heeded)
		return;
	heeded = marks;
	ccr_pools_switch();
	ccr_unwarranted_drop_all(ccr_dispatch_check);

	/*
	 * unfinished requests have been admitted, unless that has failed or is
	 * yet to be done
	 */
	request = admit_timer.armed ? ccr_request_unfinished(mailbox) : NULL;
	while (request)
	{
		CcrRequest *next = ccr_request_next_unfinished(request);

		ccr_unwarranted_end(request);
		request = next;
	}
}

/*
 * Note that we have acted on these marks. ccr_stopped_recount() wakes those
 * that wait for it.
 */
static void
say_heeded(uint32 marks)
{
	/* a full barrier, whose partner is in ccr_drained_wait() */
	if (pg_atomic_read_u32(&mailbox->heeded) != marks)
		(void) pg_atomic_exchange_u32(&mailbox->heeded, marks);
}

static bool
is_admitted(CcrRequest *request)
{
	return ccr_ticket_of(request) != NULL;
}

/*
 * Has the request been taken? Otherwise it is still in the mailbox, and will
 * be taken from there.
 */
static bool
is_taken(CcrRequest *request)
{
	return pg_atomic_read_u32(&request->taken) != 0;
}

/*
 * Take new requests.  A request on the abandoned list may still be in the
 * intake, if it came after the intake was taken; it is kept until it was taken
 * from there, too.  If there are very many items, they are admitted in several
 * rounds, so that the first ones fly meanwhile.  False if there are more.
 */
static bool
take_mail(void)
{
	uint32		n = 0;

	if (taken == NULL)
	{
		/*
		 * The intake first, then the abandoned list: a request that was
		 * abandoned before another one was pushed is then seen together with
		 * it.
		 */
		taken = ccr_request_take(mailbox);
		ccr_requests_take_abandoned(mailbox);
	}

	/*
	 * drop these before new requests are admitted, so that no new call joins
	 * a flight that all callers have left
	 */
	ccr_requests_free_abandoned(mailbox, is_admitted, ccr_flights_leave);
	while (taken)
	{
		if (n > CCR_ROUND_ITEMS)
			return false;
		current = taken;
		taken = ccr_request_following(current);
		n += current->nitems;
		take_request(current);
		current = NULL;
	}
	ccr_requests_free_abandoned(mailbox, is_taken, ccr_flights_leave);
	return true;
}

/* ----------------------------------------------------------------- waiting */

static void
step_carrier(CcrCarrier *carrier, int fd, int events)
{
	PG_TRY();
	{
		carrier->ops->step(carrier, fd, events);
	}
	PG_CATCH();
	{
		ccr_dispatch_broken(carrier, caught_error());
	}
	PG_END_TRY();
}

/* Local executors have no descriptor to wait for: they set our latch. */
static void
step_local(CcrCarrier *carrier)
{
	step_carrier(carrier, -1, 0);
}

static void
step_socket(CcrSocket *socket, int events)
{
	step_carrier(socket->owner, socket->fd, events);
}

/*
 * How long to sleep, in ms.  If the next deadline is less than a millisecond
 * away, it is set on the timerfd, which is more exact.
 */
static long
sleep_time(void)
{
	CcrTime		now = ccr_now();
	long		ms = ccr_timers_wait(now);
	struct itimerspec spec = {{0, 0}, {0, 0}};
	CcrTime		when;

	if (ms <= 0 || ms > CCR_FINE_WAIT)
		return ms;
	when = Max(ccr_timers_next() - now, 1);
	spec.it_value.tv_nsec = when * 1000;
	if (timerfd_settime(fine_timer, 0, &spec, NULL) < 0)
		return ms;
	return -1;
}

/*
 * If an answer is due within microseconds, and a session waits for it, a sleep
 * costs more than it saves, as an idle processor takes long to wake up.  If
 * many sessions wait, there is always something to do, and the processor is
 * better left to others.
 */
static bool
is_worth_spinning(void)
{
	uint32		sleepers = pg_atomic_read_u32(&mailbox->sleepers);

	return ccr_links_flying() > 0 && sleepers > 0 && sleepers < CCR_CROWD;
}

/*
 * Look for news without sleeping, until there is some or CCR_SPIN microseconds
 * have passed.
 */
static bool
spin_for_news(void)
{
	CcrTime		end = ccr_now() + CCR_SPIN;

	do
	{
		if (ccr_sockets_look(step_socket))
			return true;
	} while (ccr_now() < end);
	return false;
}

/*
 * A server's answers take about as long as they did a moment ago.  Each time
 * that looking for one was in vain, the next look comes after twice as many
 * sleeps.
 */
static bool
spin_if_it_pays(void)
{
	static int	vain = 0;
	static int	sleeps = 0;

	if (sleeps > 0)
	{
		sleeps--;
		return false;
	}
	if (spin_for_news())
	{
		vain = 0;
		return true;
	}
	vain = Min(vain + 1, CCR_MAX_VAIN);
	sleeps = 1 << vain;
	return false;
}

static void
wait_for_events(bool all_taken)
{
	long		timeout = all_taken ? sleep_time() : 0;

	if (timeout != 0 && is_worth_spinning() && spin_if_it_pays())
		return;
	ccr_sockets_wait(timeout, step_socket);
}

/*
 * When many sessions call, those that were woken a moment ago are about to
 * call again.  Give up the processor, so that they can run first and share a
 * batch.  If no process wants it, this takes no time.
 */
static void
let_crowd_in(void)
{
	if (pg_atomic_read_u32(&mailbox->sleepers) >= CCR_CROWD)
		sched_yield();
}

/* Exit with the same error as die() raises. */
static void
exit_collector(void)
{
	ProcDiePending = true;
	InterruptPending = true;
	CHECK_FOR_INTERRUPTS();
}

/*
 * SIGTERM.  If only this process is to end, the next generation goes on where
 * it stopped.  If the server shuts down, enqueued items are sent first, or
 * else logged as lost.
 */
static void
end_or_drain(void)
{
	CcrTime		now = ccr_now();

	if (!draining)
	{
		if (!ccr_lockfile_stopping())
			exit_collector();
		draining = true;
		drain_until = ccr_after(now, ccr_drain_timeout);
		ccr_timer_set(&drain_timer, drain_until);
	}
	ccr_queues_end_waits(ccr_dispatch_check);
	ccr_dispatch_pending();
	if (pg_atomic_read_u64(&mailbox->unsettled) > 0 && now < drain_until &&
		(taken || pg_atomic_read_u64(&mailbox->intake) != InvalidDsaPointer ||
		 ccr_request_unfinished(mailbox) == NULL || admit_timer.armed || ccr_pools_can_send()))
		return;

	/*
	 * A session that commits from now on either sees that it is too late, or
	 * was counted before.  The partner is the addition in take_place().
	 */
	pg_atomic_write_u32(&mailbox->closed, 1);
	pg_memory_barrier();
	if (pg_atomic_read_u64(&mailbox->unsettled) > 0)
	{
		while (!take_mail())
			;
		pg_atomic_write_u64(&mailbox->logged, ccr_tickets_log_left(ccr_pools_detail_left));
	}
	exit_collector();
}

static void
loop_once(void)
{
	uint32		marks = ccr_marks_present();
	bool		all_taken;

	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
		ccr_budget_reload();
		ccr_pools_reload();
	}
	let_crowd_in();
	all_taken = take_mail();
	if (all_taken)
		heed_marks(marks);
	ccr_queues_press(mailbox, ccr_dispatch_check);
	ccr_locals_visit(step_local);
	ccr_timers_run(ccr_now());
	ccr_dispatch_pending();
	ccr_requests_wake();
	if (all_taken)
		say_heeded(marks);
	ccr_stopped_recount();
	ccr_pools_sweep();
	if (terminated)
		end_or_drain();
	wait_for_events(all_taken);
	ccr_requests_wake();
	MemoryContextReset(loop_context);
}

void
ccr_collector_main(Datum index)
{
	worker_index = DatumGetInt32(index);
	mailbox = &ccr_mailboxes[worker_index];
	init_collector();
	for (;;)
	{
		MemoryContextSwitchTo(loop_context);
		loop_once();
	}
}
