/*-------------------------------------------------------------------------
 *
 * pool.c
 *	  Pools: what is sent to one server and user mapping, and how to reach it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/connection.h"
#include "collector/pool.h"
#include "collector/rate.h"
#include "collector/sources.h"
#include "miscadmin.h"
#include "shared/ledger.h"
#include "shared/settings.h"
#include "shared/shard.h"
#include "shared/stopped.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#define CCR_ASK_AGAIN		1000	/* ms until another is to bring addresses */
#define CCR_QUEUE_IDLE		600 /* s until an unused queue is forgotten */

typedef struct PoolEntry
{
	CcrFingerprint key;
	CcrPool    *pool;
} PoolEntry;

static HTAB *pools;
dlist_head	ccr_all_pools = DLIST_STATIC_INIT(ccr_all_pools);
static dlist_head unused_pools = DLIST_STATIC_INIT(unused_pools);
static int	my_worker;			/* its index */
static const CcrPoolCalls *pool_calls;

void
ccr_pool_init(int worker, const CcrPoolCalls *calls)
{
	HASHCTL		ctl = {
		.keysize = sizeof(CcrFingerprint),
		.entrysize = sizeof(PoolEntry)
	};

	pools = hash_create("concresce pools", 16, &ctl, HASH_ELEM | HASH_BLOBS);
	my_worker = worker;
	pool_calls = calls;
}

/* Collectors that serve its server. */
static int
shards_of(const CcrPool *pool)
{
	return pool->sharded ? ccr_shards_of_server(pool->source->server_limits) : 1;
}

int
ccr_pool_link_limit(const CcrPool *pool)
{
	if (pool->local)
		return ccr_max_local_workers;
	if (!pool->sharded)
		return ccr_max_connections;
	return ccr_shard_part(ccr_max_connections, shards_of(pool),
						  ccr_shard_first(pool->source), my_worker);
}

bool
ccr_pool_fails_fast(CcrPool *pool)
{
	dlist_iter	iter;

	dlist_foreach(iter, &pool->queues)
	{
		const CcrSource *source = dlist_container(CcrQueue, pool_node, iter.cur)->source;

		if (source->fail_fast && !source->enqueued)
			return true;
	}
	return false;
}

/*
 * The addresses most lately looked up are the ones to use; but links that are
 * connecting hold on to the old ones.
 */
static void
set_hosts(CcrPool *pool, const CcrSource *source)
{
	MemoryContext old;

	if (source->hosts == NULL || pool->nconnecting > 0)
		return;
	old = MemoryContextSwitchTo(pool->hosts_context);
	MemoryContextReset(pool->hosts_context);
	pool->reach.hosts = pstrdup(source->hosts);
	pool->reach.hostaddrs = pstrdup(source->hostaddrs);
	pool->reach.ports = pstrdup(source->ports);
	pool->aged = false;
	MemoryContextSwitchTo(old);
}

static const char **
copied_strings(const char **strings, int n)
{
	const char **copy = palloc((n + 1) * sizeof(char *));

	for (int i = 0; i < n; i++)
		copy[i] = pstrdup(strings[i]);
	return copy;
}

static CcrPool *
new_pool(const CcrFingerprint *key, const CcrSource *source)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "concresce pool",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	CcrPool    *pool = palloc0(sizeof(CcrPool));
	CcrSource  *own = palloc(sizeof(CcrSource));

	memset(own, 0, sizeof(CcrSource));
	own->dbid = source->dbid;
	own->serverid = source->serverid;
	own->umid = source->umid;
	own->roleid = source->roleid;
	own->server_name = pstrdup(source->server_name);
	own->user = pstrdup(source->user);
	pool->key = *key;
	pool->context = context;
	pool->source = own;
	pool->local = ccr_source_is_local(source);
	pool->off = ccr_switched_off(source->dbid, source->serverid, NULL);
	pool->hosts_context = AllocSetContextCreate(context, "concresce hosts",
												ALLOCSET_SMALL_SIZES);
	pool->reach.server = own->server_name;
	pool->reach.number = (uint64) own->dbid << 32 | own->serverid;
	pool->reach.password_required = source->password_required;
	pool->reach.noptions = source->noptions;
	pool->reach.keywords = copied_strings(source->keywords, source->noptions);
	pool->reach.values = copied_strings(source->values, source->noptions);
	dlist_init(&pool->links);
	dlist_init(&pool->queues);
	ccr_line_init(&pool->line, context);
	ccr_timer_init(&pool->line_timer, pool_calls->line_moves, pool);
	pool->reason_context = AllocSetContextCreate(context, "concresce failure",
												 ALLOCSET_SMALL_SIZES);
	ccr_timer_init(&pool->retry_timer, pool_calls->retry, pool);
	MemoryContextSwitchTo(old);
	return pool;
}

/*
 * Who must use a password does not get by with
 * the options of one who need not.
 */
CcrPool *
ccr_pool_named_last(CcrPool *pool)
{
	CcrPool    *last = pool;
	dlist_iter	iter;

	dlist_foreach(iter, &ccr_all_pools)
	{
		CcrPool    *other = dlist_container(CcrPool, node, iter.cur);

		if (other->source->dbid == pool->source->dbid &&
			other->source->serverid == pool->source->serverid &&
			other->source->umid == pool->source->umid &&
			other->reach.password_required == pool->reach.password_required &&
			other->named > last->named)
			last = other;
	}
	return last;
}

void
ccr_pool_set_limits(CcrQueue *queue)
{
	const CcrSource *source = queue->source;
	int			first = ccr_shard_first(source);
	int			shards;

	queue->home->sharded = queue->sharded;
	queue->home->source->server_limits = source->server_limits;
	shards = shards_of(queue->home);
	ccr_rate_limit(queue->rates[0],
				   ccr_shard_limits(source->server_limits, shards, first, my_worker));
	ccr_rate_limit(queue->rates[1],
				   ccr_shard_limits(source->own_limits,
									ccr_shards_of_lookup(shards, source->own_limits),
									first, my_worker));
}

static bool
pool_is_unused(const CcrPool *pool)
{
	return pool->nqueues == 0 && dlist_is_empty(unconstify(dlist_head *, &pool->queues));
}

static void
note_unused(CcrPool *pool)
{
	if (pool->unused || !pool_is_unused(pool))
		return;
	pool->unused = true;
	dlist_push_tail(&unused_pools, &pool->unused_node);
}

static bool
queue_is_idle(CcrQueue *queue)
{
	return queue->flying == 0 && ccr_queue_empty(queue) && !queue->line.due;
}

static void
forget_queue(CcrQueue *queue)
{
	CcrPool    *pool = queue->pool;
	CcrPool    *home = queue->home;

	ccr_sources_remove(queue);
	dlist_delete(&queue->pool_node);
	home->nqueues--;
	for (int i = 0; i < 2; i++)
		ccr_rate_release(queue->rates[i]);
	ccr_queue_free(queue);
	note_unused(home);
	note_unused(pool);
}

static void
queue_unused_too_long(void *arg)
{
	CcrQueue   *queue = arg;
	CcrTime		end = ccr_after(queue->used, CCR_QUEUE_IDLE * INT64CONST(1000));

	if (queue_is_idle(queue) && end <= ccr_now())
		forget_queue(queue);
	else
		ccr_timer_set(&queue->idle_timer,
					  Max(end, ccr_after(ccr_now(), 1000)));
}

/* Have the oldest ones go, if there are too many. */
static bool
make_room_for_source(CcrParty asker, Size bytes)
{
	CcrQueue   *oldest;

	while (ccr_sources_exceeded(bytes) &&
		   (oldest = ccr_sources_oldest(queue_is_idle)) != NULL)
		forget_queue(oldest);
	return ccr_sources_allowed(asker, bytes);
}

/* Those of the server as a whole, and of the lookup at it. */
static void
find_rates(CcrQueue *queue)
{
	const CcrSource *source = queue->source;

	queue->rates[0] = ccr_rate_get(source->dbid, source->serverid, InvalidOid);
	queue->rates[1] = ccr_rate_get(source->dbid, source->serverid, source->function);
}

static CcrQueue *
new_queue(CcrPool *pool, const CcrRequest *request, CcrSource *source,
		  MemoryContext context)
{
	CcrQueue   *queue = ccr_queue_create(&request->fingerprint, source, context,
										 &ccr_counters[request->counters],
										 pool_calls->window_ended);

	ccr_flights_prepare(queue);
	MemoryContextSetParent(context, TopMemoryContext);
	queue->pool = queue->home = pool;
	queue->sharded = !pool->local && ccr_shard_listed(source->server_name);
	find_rates(queue);

	/* what was enqueued before this process began is named by nobody */
	ccr_pool_set_limits(queue);
	queue->used = ccr_now();
	ccr_sources_add(queue, request->party);
	ccr_timer_init(&queue->idle_timer, queue_unused_too_long, queue);
	ccr_timer_set(&queue->idle_timer,
				  ccr_after(queue->used, CCR_QUEUE_IDLE * INT64CONST(1000)));
	dlist_push_tail(&pool->queues, &queue->pool_node);
	pool->nqueues++;
	return queue;
}

CcrQueue *
ccr_pool_register(const CcrRequest *request, CcrSource *source,
				  MemoryContext context)
{
	CcrQueue   *queue = ccr_queue_find(&request->fingerprint);
	CcrFingerprint key;
	PoolEntry  *entry;
	bool		found;

	if (queue == NULL &&
		!make_room_for_source(request->party, MemoryContextMemAllocated(context, true)))
	{
		MemoryContextDelete(context);
		return NULL;
	}
	ccr_source_pool_key(source, &key);
	entry = hash_search(pools, &key, HASH_ENTER, &found);
	if (!found)
		entry->pool = NULL;		/* should making it fail */
	if (entry->pool == NULL)
	{
		entry->pool = new_pool(&key, source);
		if (entry->pool->local)
			dlist_push_head(&ccr_all_pools, &entry->pool->node);
		else
			dlist_push_tail(&ccr_all_pools, &entry->pool->node);
	}
	ccr_flights_change_begin();
	set_hosts(entry->pool, source);
	if (queue)
		MemoryContextDelete(context);
	else
		queue = new_queue(entry->pool, request, source, context);
	ccr_flights_change_end();
	return queue;
}

CcrPool *
ccr_pool_next_unused(void)
{
	while (!dlist_is_empty(&unused_pools))
	{
		CcrPool    *pool = dlist_container(CcrPool, unused_node,
										   dlist_pop_head_node(&unused_pools));

		/* a new queue may have come meanwhile */
		pool->unused = false;
		if (pool_is_unused(pool))
			return pool;
	}
	return NULL;
}

void
ccr_pool_remove(CcrPool *pool)
{
	ccr_timer_clear(&pool->retry_timer);
	ccr_timer_clear(&pool->line_timer);
	ccr_connection_release(pool->closed_row);
	dlist_delete(&pool->node);
	hash_search(pools, &pool->key, HASH_REMOVE, NULL);
}

/* --------------------------------------------------------------- addresses */

/* Who commits some of its items next brings addresses looked up anew. */
void
ccr_pool_mark_stale(CcrQueue *queue)
{
	CcrKeptSource *kept = ccr_kept_find(&queue->fingerprint);

	if (kept == NULL)
		return;
	pg_atomic_write_u32(&kept->stale, 1);
	ccr_kept_release(kept);
}

void
ccr_pool_note_age(CcrPool *pool)
{
	dlist_iter	iter;

	if (pool->reach.hosts == NULL)
		return;
	pool->aged = true;
	dlist_foreach(iter, &pool->queues)
	{
		CcrQueue   *queue = dlist_container(CcrQueue, pool_node, iter.cur);

		if (queue->source->enqueued)
			ccr_pool_mark_stale(queue);
	}
}

bool
ccr_pool_wants_addresses(CcrQueue *queue)
{
	CcrPool    *pool = queue->pool;

	if (!pool->aged || ccr_now() < ccr_after(pool->asked_at, CCR_ASK_AGAIN))
		return false;
	pool->asked_at = ccr_now();
	return true;
}

void
ccr_pool_keep_reason(CcrPool *pool, const CcrError *error)
{
	MemoryContext old;

	if (error == pool->reason)
		return;
	MemoryContextReset(pool->reason_context);
	old = MemoryContextSwitchTo(pool->reason_context);
	pool->reason = ccr_error_copy(error);
	MemoryContextSwitchTo(old);
}
