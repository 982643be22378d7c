/*-------------------------------------------------------------------------
 *
 * pools.c
 *	  The door for requests, and what concerns all pools.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/dispatch.h"
#include "collector/pools.h"
#include "collector/unwarranted.h"
#include "shared/ledger.h"
#include "shared/stopped.h"
#include "utils/memutils.h"

void
ccr_pools_init(int worker)
{
	ccr_queues_init();
	ccr_tickets_init();
	ccr_flights_init(ccr_dispatch_deserted);
	ccr_dispatch_init(worker);
}

/* --------------------------------------------------------------- admission */

/*
 * Its source as a request describes it, or NULL.  That of an enqueued one is
 * kept for as long as there are such requests.
 */
static CcrSource *
described_source(CcrRequest *request)
{
	CcrSource  *source = ccr_request_source(request);

	if (request->kind != CCR_REQUEST_ENQUEUED)
		return source;
	if (source == NULL)
	{
		CcrKeptSource *kept = ccr_heap_address(request->kept);

		source = ccr_source_restore(kept->data, kept->length);
	}
	source->enqueued = true;
	source->returns_void = true;	/* nobody looks */
	return source;
}

static CcrQueue *
register_source(CcrRequest *request)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "concresce source",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	CcrSource  *source = described_source(request);

	MemoryContextSwitchTo(old);
	return ccr_pool_register(request, source, context);
}

/*
 * A new request has named this source, so it has the present options of its
 * server and user mapping.  A request that an earlier generation had admitted
 * says nothing about that.
 */
static void
note_named(CcrQueue *queue)
{
	static uint64 last = 0;

	queue->home->named = ++last;
	ccr_pool_set_limits(queue);
	if (queue->pool != queue->home)
		ccr_dispatch_move(queue, queue->home);
}

/*
 * From here on the request belongs to its ticket.  After an error, neither the
 * caller nor the exit handler may fail it: its backend may have the answer by
 * then, and may have freed it.
 */
static void
admit_to(CcrQueue *queue, CcrRequest *request, CcrRequest **owned)
{
	bool		new = pg_atomic_read_u32(&request->phase) == CCR_PHASE_SUBMITTED;
	bool		enqueued = request->kind == CCR_REQUEST_ENQUEUED;
	bool		unwarranted = enqueued && ccr_ticket_unwarranted(request) != 0;

	ccr_flights_change_begin();
	ccr_flights_admit(queue, request);
	*owned = NULL;
	if (unwarranted)
		ccr_unwarranted_drop(queue);
	if (new || !enqueued)
		note_named(queue);
	ccr_dispatch_check(queue);

	/* the lookup was stopped by force while this request was on its way */
	if (ccr_stopped(queue->source->dbid, queue->source->function, true))
		ccr_pools_stop(queue->source->dbid, queue->source->function);
	ccr_flights_change_end();
}

/* What else an enqueued request brings, its addresses, is fresher. */
CcrFailure
ccr_pools_admit(CcrRequest *request, CcrRequest **owned)
{
	CcrQueue   *queue = ccr_queue_find(&request->fingerprint);
	bool		enqueued = request->kind == CCR_REQUEST_ENQUEUED;

	if (DsaPointerIsValid(request->source) || (enqueued && queue == NULL))
	{
		queue = register_source(request);
		if (queue == NULL)
			return CCR_FAILURE_TOO_MANY_SOURCES;
	}
	else if (!enqueued && (queue == NULL ||
						   (!request->announce && ccr_pool_wants_addresses(queue))))
		return CCR_FAILURE_UNKNOWN_SOURCE;
	admit_to(queue, request, owned);
	return CCR_FAILURE_NONE;
}

/*
 * --------------------------------------------------------------------- stop
 */

typedef struct Stopping
{
	Oid			dbid;
	Oid			function;		/* InvalidOid: all */
} Stopping;

static bool
to_be_stopped(const CcrQueue *queue, const Stopping *what)
{
	return queue->source->dbid == what->dbid &&
		(!OidIsValid(what->function) || queue->source->function == what->function);
}

static void
stop_queues(CcrPool *pool, const Stopping *what, const CcrError *error)
{
	dlist_iter	iter;

	dlist_foreach(iter, &pool->queues)
	{
		CcrQueue   *queue = dlist_container(CcrQueue, pool_node, iter.cur);

		if (!to_be_stopped(queue, what))
			continue;
		if (queue->source->enqueued && (queue->flying > 0 || !ccr_queue_empty(queue)))
			ereport(WARNING,
					(errcode(ERRCODE_QUERY_CANCELED),
					 errmsg("discarding all enqueued items of lookup %s, as it is being stopped",
							queue->source->function_name)));
		ccr_queue_end_windows(queue);
		ccr_queue_end_pauses(queue);
		ccr_queue_forget_failures(queue);
		ccr_batch_fail_waiting(queue, error);
		ccr_dispatch_check(queue);
	}
}

static CcrLink *
link_to_be_stopped(CcrPool *pool, const Stopping *what)
{
	dlist_iter	iter;

	dlist_foreach(iter, &pool->links)
	{
		CcrLink    *link = dlist_container(CcrLink, node, iter.cur);

		if (link->batch && to_be_stopped(ccr_batch_queue(link->batch), what))
			return link;
	}
	return NULL;
}

static void
stop_pool(CcrPool *pool, const Stopping *what)
{
	CcrError	error = {
		.sqlstate = ERRCODE_QUERY_CANCELED,
		.author = CCR_TEXTS_OURS,
		.message = "canceling lookup, as it is being stopped",
		.detail = "concresce.stop() was called with \"force\"."
	};
	CcrLink    *link;

	stop_queues(pool, what, &error);

	/*
	 * begin anew each time, since a cancel that fails may close other links
	 * as well
	 */
	while ((link = link_to_be_stopped(pool, what)) != NULL)
	{
		CcrQueue   *queue = ccr_batch_queue(link->batch);

		ccr_batch_stop(link->batch, &error);
		ccr_link_cancel(link, queue);
		ccr_dispatch_check(queue);
	}
}

void
ccr_pools_stop(Oid dbid, Oid function)
{
	Stopping	what = {dbid, function};
	dlist_iter	iter;

	ccr_flights_change_begin();
	dlist_foreach(iter, &ccr_all_pools)
		stop_pool(dlist_container(CcrPool, node, iter.cur), &what);
	ccr_flights_change_end();
}

/*
 * ------------------------------------------------------------------- switch
 */

/*
 * Tell sessions that flush, so that they do not wait for a server that is
 * switched off.
 */
static void
tell_accounts_off(CcrQueue *queue)
{
	CcrError	error = ccr_dispatch_switched_off(queue);
	CcrLastError last;

	if (!queue->source->enqueued || (queue->flying == 0 && ccr_queue_empty(queue)))
		return;
	ccr_batch_last_error(NULL, &error, &last);
	ccr_tickets_tell_accounts(queue, &last, true);
}

void
ccr_pools_flushed(CcrQueue *queue)
{
	ccr_dispatch_check(queue);
	if (queue->pool->off)
		tell_accounts_off(queue);
}

/* Give up the batches in flight: calls fail, enqueued items wait again. */
static void
bring_down(CcrPool *pool)
{
	CcrLink    *link;

	/* from the start each time, as in stop_pool() */
	while ((link = ccr_links_busy(pool)) != NULL)
	{
		CcrQueue   *queue = ccr_batch_queue(link->batch);
		CcrError	error = ccr_dispatch_switched_off(queue);

		if (queue->source->enqueued)
			ccr_batch_ground(link->batch);
		else
			ccr_batch_stop(link->batch, &error);
		ccr_link_cancel(link, queue);
		ccr_dispatch_check(queue);
	}
}

static void
switch_pool(CcrPool *pool, bool off)
{
	dlist_iter	iter;

	pool->off = off;
	if (off)
		ccr_links_close_idle(pool);
	else
	{
		/* errors from before the server was switched off do not count */
		pool->down = false;
		pool->failures = 0;
	}
	dlist_foreach(iter, &pool->queues)
	{
		CcrQueue   *queue = dlist_container(CcrQueue, pool_node, iter.cur);

		if (off)
			tell_accounts_off(queue);
		else if (queue->source->enqueued)
			ccr_tickets_tell_accounts(queue, NULL, false);
		ccr_dispatch_check(queue);
	}
}

void
ccr_pools_switch(void)
{
	dlist_iter	iter;

	ccr_flights_change_begin();
	dlist_foreach(iter, &ccr_all_pools)
	{
		CcrPool    *pool = dlist_container(CcrPool, node, iter.cur);
		bool		force = false;
		bool		off = ccr_switched_off(pool->source->dbid, pool->source->serverid, &force);

		if (off != pool->off)
			switch_pool(pool, off);
		if (off && force)
			bring_down(pool);
	}
	ccr_flights_change_end();
}

/*
 * ----------------------------------------------------------------- shutdown
 */

/*
 * During a shutdown nothing can be sent from this pool: the server starts no
 * more processes, or lets no one connect.
 */
static bool
is_shut(CcrPool *pool)
{
	return pool->failures > 0 && ccr_links_live(pool) == 0 &&
		(pool->local || ccr_reach_is_own_server(&pool->reach));
}

int
ccr_pools_detail_left(const CcrQueue *queue)
{
	CcrPool    *pool = queue->pool;
	const char *server = queue->source->server_name;

	if (pool->off)
		return errdetail("Server \"%s\" is switched off.", server);
	if (is_shut(pool) && pool->local)
		return errdetail("There was no local executor to run them, and none is started any more.");
	if (is_shut(pool))
		return errdetail("Server \"%s\" is this one, which takes no connections any more.", server);
	if (pool->local)
		return errdetail("They could not be run within \"concresce.drain_timeout\".");
	return errdetail("They could not be sent to server \"%s\" within \"concresce.drain_timeout\".",
					 server);
}

static bool
can_send_some(CcrPool *pool)
{
	dlist_iter	iter;

	if (pool->off || is_shut(pool))
		return false;
	dlist_foreach(iter, &pool->queues)
	{
		CcrQueue   *queue = dlist_container(CcrQueue, pool_node, iter.cur);

		if (queue->source->enqueued && (queue->flying > 0 || !ccr_queue_empty(queue)))
			return true;
	}
	return false;
}

bool
ccr_pools_can_send(void)
{
	dlist_iter	iter;

	dlist_foreach(iter, &ccr_all_pools)
	{
		if (can_send_some(dlist_container(CcrPool, node, iter.cur)))
			return true;
	}
	return false;
}

/* ------------------------------------------------------------- maintenance */

/* Apply new limits to links and batches that are there already. */
void
ccr_pools_reload(void)
{
	dlist_iter	iter;

	dlist_foreach(iter, &ccr_all_pools)
		ccr_links_reload(dlist_container(CcrPool, node, iter.cur));
}

void
ccr_pools_sweep(void)
{
	dlist_head	freed = DLIST_STATIC_INIT(freed);
	CcrPool    *pool;

	while ((pool = ccr_pool_next_unused()) != NULL)
	{
		ccr_links_close_all(pool);
		ccr_links_starve(pool, false);
		ccr_pool_remove(pool);
		dlist_push_tail(&freed, &pool->unused_node);
	}
	ccr_links_sweep();
	while (!dlist_is_empty(&freed))
		MemoryContextDelete(dlist_container(CcrPool, unused_node,
											dlist_pop_head_node(&freed))->context);
}

void
ccr_pools_hide(void)
{
	dlist_iter	iter;

	dlist_foreach(iter, &ccr_all_pools)
		ccr_links_hide(dlist_container(CcrPool, node, iter.cur));
}
