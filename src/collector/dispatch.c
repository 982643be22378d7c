/*-------------------------------------------------------------------------
 *
 * dispatch.c
 *	  Which batch flies on which link, and what becomes of it there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/carrier_local.h"
#include "collector/circuit.h"
#include "collector/dispatch.h"
#include "collector/rate.h"
#include "collector/sources.h"
#include "miscadmin.h"

#define CCR_BACKOFF_MIN		50	/* ms */
#define CCR_BACKOFF_MAX		1000	/* ms */
#define CCR_UNREACHABLE		3	/* failures to connect, in a row, that are
								 * shown of what is enqueued */

static char nonce[24];			/* of this collector */
static dlist_head pending_pools = DLIST_STATIC_INIT(pending_pools);
static CcrLink *starting = NULL;	/* its batch is being begun */

static void dispatch_pool(CcrPool *pool);
static void open_link(CcrPool *pool);
static void retry_now(void *arg);
static void line_moves(void *arg);
static void window_ended(void *arg);

void
ccr_dispatch_init(int worker)
{
	static const CcrPoolCalls calls = {
		.window_ended = window_ended,
		.retry = retry_now,
		.line_moves = line_moves
	};
	uint64		random;

	if (!pg_strong_random(&random, sizeof(random)))
		elog(ERROR, "could not generate a random number");
	snprintf(nonce, sizeof(nonce), "%016llx%d", (unsigned long long) random, worker);
	ccr_pool_init(worker, &calls);
	ccr_links_init(worker);
	ccr_locals_init(worker);
}

/* ------------------------------------------------------------------ queues */

void
ccr_dispatch_move(CcrQueue *queue, CcrPool *pool)
{
	ccr_line_leave(&queue->pool->line, &queue->line);
	dlist_delete(&queue->pool_node);
	queue->pool = pool;
	dlist_push_tail(&pool->queues, &queue->pool_node);
	ccr_dispatch_check(queue);
}

/*
 * What is enqueued names the options of its time.  If nothing can be reached
 * with them any more, it goes by those that its server and user mapping have by
 * now.  Calls do not: they are of sessions that know what the options are.
 */
static void
hand_over_enqueued(CcrPool *pool)
{
	CcrPool    *other = pool->local ? pool : ccr_pool_named_last(pool);
	dlist_mutable_iter iter;

	if (other == pool)
		return;
	dlist_foreach_modify(iter, &pool->queues)
	{
		CcrQueue   *queue = dlist_container(CcrQueue, pool_node, iter.cur);

		if (queue->source->enqueued)
			ccr_dispatch_move(queue, other);
	}
}

CcrError
ccr_dispatch_switched_off(const CcrQueue *queue)
{
	CcrError	error = {
		.sqlstate = ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
		.author = CCR_TEXTS_OURS,
		.message = psprintf("server \"%s\" is switched off", queue->source->server_name),
		.hint = "concresce.switch_on() lets it be used again."
	};

	return error;
}

/* Nobody waits while there is no connection and the last attempt has failed. */
static void
fail_fast(CcrQueue *queue)
{
	CcrPool    *pool = queue->pool;

	if (!pool->down || ccr_queue_empty(queue))
		return;
	ccr_sources_touch(queue);
	ccr_flights_change_begin();
	ccr_batch_fail_waiting(queue, pool->reason);
	ccr_flights_change_end();
	if (pool->nconnecting == 0 && !pool->retry_timer.armed)
		ccr_timer_set(&pool->retry_timer, pool->retry_at);
}

/* The server is switched off: calls fail, and what is enqueued waits. */
static void
keep_back(CcrQueue *queue)
{
	CcrError	error;

	ccr_line_leave(&queue->pool->line, &queue->line);
	ccr_timer_clear(&queue->window_timer);
	if (queue->source->enqueued || ccr_queue_empty(queue))
		return;
	error = ccr_dispatch_switched_off(queue);
	ccr_flights_change_begin();
	ccr_batch_fail_waiting(queue, &error);
	ccr_flights_change_end();
}

static void
check_queue(CcrQueue *queue)
{
	CcrTime		now = ccr_now();
	CcrTime		next;

	if (queue->source->enqueued && ccr_circuit_at_end(queue))
		ccr_batch_discard_suspects(queue);
	if (queue->pool->off)
	{
		keep_back(queue);
		return;
	}
	if (queue->source->fail_fast && !queue->source->enqueued)
		fail_fast(queue);
	if (ccr_queue_due(queue, now))
	{
		ccr_timer_clear(&queue->window_timer);
		ccr_line_enter(&queue->pool->line, &queue->line, ccr_flights_next_role(queue, now));
		if (!queue->pool->pending)
			dlist_push_tail(&pending_pools, &queue->pool->pending_node);
		queue->pool->pending = true;
		return;
	}
	ccr_line_leave(&queue->pool->line, &queue->line);
	next = ccr_queue_next_due(queue);
	if (next != 0)
		ccr_timer_set(&queue->window_timer, next);
	else
		ccr_timer_clear(&queue->window_timer);
}

/* If it fails half-way, nobody may ever look at the queue again. */
void
ccr_dispatch_check(CcrQueue *queue)
{
	ccr_flights_change_begin();
	check_queue(queue);
	ccr_flights_change_end();
}

/* -------------------------------------------------------- links and batches */

/* One at a time: by the time it is there, another may have become free. */
static void
want_link(CcrPool *pool)
{
	CcrTime		soon;

	if (pool->nconnecting > 0 || ccr_links_useful(pool) >= ccr_pool_link_limit(pool))
		return;
	soon = ccr_links_idle_soon(pool);
	if (soon > ccr_now())
	{
		ccr_timer_set(&pool->retry_timer, soon);
		return;
	}
	if (pool->local && !ccr_links_have_seat(pool))
		return;
	if (pool->failures > 0 && pool->retry_at > ccr_now())
	{
		ccr_timer_set(&pool->retry_timer, pool->retry_at);
		return;
	}
	if (!pool->local && pool->nlinks >= 2 * ccr_pool_link_limit(pool))
		ccr_links_drop_cancelling(pool);
	open_link(pool);
}

static CcrQueue *
queue_of(CcrLineEntry *entry)
{
	return (CcrQueue *) ((char *) entry - offsetof(CcrQueue, line));
}

/* As many items as the rates have room for. */
static int
room_for(CcrQueue *queue, CcrTime now)
{
	return Min(ccr_rate_room(queue->rates[0], now), ccr_rate_room(queue->rates[1], now));
}

static bool
may_be_sent(CcrLineEntry *entry, CcrTime now, CcrTime *when)
{
	CcrQueue   *queue = queue_of(entry);
	CcrTime		next = Max(ccr_rate_next(queue->rates[0], now),
						   ccr_rate_next(queue->rates[1], now));

	*when = next;
	return next <= now;
}

static void
start_batch(CcrLink *link, CcrQueue *queue, CcrTime now)
{
	CcrPool    *pool = link->pool;
	bool		of_another = ccr_link_is_of_another(link, queue->source->owner);
	int			n;

	ccr_link_set_spare(link, false);
	ccr_flights_change_begin();
	link->batch = ccr_batch_new(queue, link->carrier, nonce, link, room_for(queue, now), &n);
	if (link->batch)
		ccr_line_begin(&pool->line, &queue->line, &link->turn, now);

	/* to the end of the line, if another batch of it is due */
	ccr_line_leave(&pool->line, &queue->line);
	if (link->batch == NULL)
	{
		ccr_dispatch_check(queue);
		ccr_link_set_spare(link, true);
		ccr_flights_change_end();
		return;
	}
	ccr_link_begin_batch(link, link->batch, n, now);
	ccr_dispatch_check(queue);
	ccr_sources_touch(queue);
	ccr_flights_change_end();
	starting = link;
	ccr_batch_start(link->batch);
	starting = NULL;

	/*
	 * Owners that take turns would have one link cleaned each time, which
	 * takes two round trips more.  So there is to be one for each, as far as
	 * the limit goes, if the far side lets us.
	 */
	if (of_another && pool->failures == 0)
		want_link(pool);
}

/* The callers of some may have left since these took their places. */
static void
drop_undue(CcrPool *pool, CcrTime now)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &pool->line.queues)
	{
		CcrQueue   *queue = queue_of(dlist_container(CcrLineEntry, node, iter.cur));

		if (!ccr_queue_due(queue, now))
			ccr_dispatch_check(queue);
	}
}

static void
dispatch_pool(CcrPool *pool)
{
	if (pool->off)
		return;
	for (;;)
	{
		CcrTime		now = ccr_now();
		CcrTime		when;
		CcrLineEntry *entry;
		CcrLink    *link;

		drop_undue(pool, now);
		entry = ccr_line_first(&pool->line, ccr_pool_link_limit(pool), now, may_be_sent, &when);
		if (entry == NULL && when != 0)
			ccr_timer_set(&pool->line_timer, when);
		if (entry == NULL)
			break;
		link = ccr_links_free(pool, queue_of(entry)->source->owner);
		if (link == NULL)
		{
			want_link(pool);
			return;
		}
		start_batch(link, queue_of(entry), now);
	}
	ccr_links_starve(pool, false);
}

void
ccr_dispatch_pending(void)
{
	/* the end of an executor, whosever it was, has woken us */
	ccr_links_visit_starved(dispatch_pool);
	while (!dlist_is_empty(&pending_pools))
	{
		CcrPool    *pool = dlist_container(CcrPool, pending_node,
										   dlist_pop_head_node(&pending_pools));

		pool->pending = false;
		dispatch_pool(pool);
	}
}

static void
window_ended(void *arg)
{
	ccr_dispatch_check(arg);
}

static void
line_moves(void *arg)
{
	dispatch_pool(arg);
}

static void
retry_now(void *arg)
{
	CcrPool    *pool = arg;

	if (pool->down && !pool->off && pool->nconnecting == 0 && !pool->local &&
		ccr_pool_fails_fast(pool))
		open_link(pool);
	else
		dispatch_pool(pool);
}

void
ccr_dispatch_deserted(struct CcrBatch *batch)
{
	CcrLink    *link;
	CcrQueue   *queue;

	if (!ccr_batch_deserted(batch))
		return;
	link = ccr_batch_owner(batch);
	queue = ccr_batch_queue(batch);
	ccr_batch_drop(batch);
	ccr_link_cancel(link, queue);
}

/* ------------------------------------------------------- what carriers tell */

static void
link_is_idle(CcrLink *link)
{
	(void) ccr_link_idle(link);
	dispatch_pool(link->pool);
}

static void
link_ready(void *owner)
{
	CcrLink    *link = owner;

	ccr_link_end_cancelling(link);
	if (!link->connected)
		ccr_link_connected(link);
	link_is_idle(link);
}

static void
link_described(void *owner, const CcrRow *row)
{
	CcrLink    *link = owner;

	ccr_batch_described(link->batch, row);
}

static bool
link_row(void *owner, const CcrRow *row)
{
	CcrLink    *link = owner;

	return ccr_batch_row(link->batch, row);
}

static void
link_done(void *owner, CcrOp op, const CcrError *error)
{
	CcrLink    *link = owner;
	CcrQueue   *queue = ccr_batch_queue(link->batch);

	if (error)
		ccr_link_show(link, "active", error);
	ccr_flights_change_begin();
	if (ccr_batch_done(link->batch, op, error))
	{
		ccr_link_end_batch(link, queue);
		link->ended_at = ccr_now();
		ccr_dispatch_check(queue);
		if (ccr_link_state(link) == CCR_CARRIER_IDLE)
			link_is_idle(link);
	}
	ccr_flights_change_end();
}

/* Looked at again when it is time, rather than moved with every batch. */
static void
batch_is_late(void *arg)
{
	static const CcrError late = {
		.sqlstate = ERRCODE_QUERY_CANCELED,
		.author = CCR_TEXTS_OURS,
		.message = "canceling batch of enqueued items due to timeout",
		.detail = "The foreign server has not answered in time. They are tried again.",
		.hint = "\"concresce.enqueue_timeout\" is the limit."
	};
	static const CcrError again = {
		.sqlstate = ERRCODE_QUERY_CANCELED,
		.author = CCR_TEXTS_OURS,
		.by_hand = true,
		.message = "canceling enqueued items that run for too long again",
		.detail = "A batch in which they were was ended by hand before."
	};
	CcrLink    *link = arg;
	CcrTime		deadline = ccr_link_deadline(link);
	const CcrError *error = link->pool->local ? &again : &late;
	CcrQueue   *queue;

	if (deadline == 0)
		return;
	if (deadline > ccr_now())
	{
		ccr_timer_set(&link->late_timer, deadline);
		return;
	}
	queue = ccr_batch_queue(link->batch);
	ccr_flights_change_begin();
	ccr_link_show(link, "active", error);
	ccr_batch_late(link->batch, error);
	ccr_link_cancel(link, queue);
	ccr_dispatch_check(queue);
	ccr_flights_change_end();
}

/* Enqueued items wait for the next attempt. */
static void
mark_unreachable(CcrQueue *queue, const CcrError *error)
{
	CcrLastError last;

	if (ccr_queue_empty(queue))
		return;
	ccr_batch_last_error(NULL, error, &last);
	ccr_counters_error(queue->counters, &last);
	if (queue->pool->failures >= CCR_UNREACHABLE)
		ccr_circuit_open(queue, CCR_KIND_TRANSIENT, queue->pool->failures,
						 queue->pool->retry_at, &last);
	ccr_pool_mark_stale(queue);
}

/*
 * The role or the database that an executor was to run in was dropped, so none
 * will ever start.
 */
static bool
is_gone(const CcrPool *pool, const CcrError *error)
{
	return pool->local && (error->sqlstate == ERRCODE_UNDEFINED_OBJECT ||
						   error->sqlstate == ERRCODE_UNDEFINED_DATABASE);
}

static void
could_not_connect(CcrPool *pool, const CcrError *error)
{
	bool		keeps = false;
	dlist_iter	iter;

	pool->failures++;
	pool->retry_at = ccr_back_off(CCR_BACKOFF_MIN, CCR_BACKOFF_MAX, pool->failures);
	ccr_pool_keep_reason(pool, error);
	if (ccr_links_live(pool) > 0 || pool->nconnecting > 0)
		return;
	pool->down = true;
	hand_over_enqueued(pool);
	dlist_foreach(iter, &pool->queues)
	{
		CcrQueue   *queue = dlist_container(CcrQueue, pool_node, iter.cur);

		if (queue->source->enqueued && is_gone(pool, error))
			ccr_batch_discard_waiting(queue, error);
		else if (queue->source->enqueued)
		{
			mark_unreachable(queue, error);
			keeps = true;
		}
		else
			ccr_batch_fail_waiting(queue, error);
		ccr_dispatch_check(queue);
	}

	if (!pool->local && ccr_pool_fails_fast(pool))
		ccr_timer_set(&pool->retry_timer, pool->retry_at);

	/* who is told at once that there can be no executor need not wait first */
	if (pool->local && !keeps)
	{
		pool->failures = 0;
		pool->down = false;
	}
}

static void
link_dead(void *owner, CcrOp op, const CcrError *error)
{
	CcrLink    *link = owner;
	CcrPool    *pool = link->pool;
	bool		connected = link->connected;

	ccr_flights_change_begin();
	ccr_link_show(link, "closed", error);
	ccr_link_bury(link, true);
	if (link->batch)
	{
		CcrQueue   *queue = ccr_batch_queue(link->batch);

		if (!pool->local)
			ccr_links_close_idle(pool);
		ccr_batch_lost(link->batch, op, error);
		ccr_link_end_batch(link, queue);
		ccr_dispatch_check(queue);
	}
	if (!connected)
		could_not_connect(pool, error);
	dispatch_pool(pool);
	ccr_flights_change_end();
}

/* What one link has told may have begun a batch on another. */
void
ccr_dispatch_broken(CcrCarrier *carrier, const CcrError *error)
{
	if (starting)
		carrier = starting->carrier;
	starting = NULL;
	carrier->ops->close(carrier, error);
}

static void
open_link(CcrPool *pool)
{
	static const CcrCarrierCalls calls = {
		.ready = link_ready,
		.described = link_described,
		.row = link_row,
		.done = link_done,
		.dead = link_dead,
		.spare = ccr_link_spare
	};

	(void) ccr_link_open(pool, &calls, batch_is_late);
}
