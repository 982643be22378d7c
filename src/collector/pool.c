/*-------------------------------------------------------------------------
 *
 * pool.c
 *	  The connections of one server and user mapping, and what they carry.
 *
 * A pool has links (connections with what the pool keeps of them) and queues.
 * A queue whose batch is due stands in line; while there is one in line and a
 * free link, they are brought together.  With no link free, one more is
 * opened, up to concresce.max_connections.  Links that wait for the end of a
 * cancelled query do not count: no call is to wait for them.
 *
 * Without a server, a pool is that of one role in this database, and its links
 * are local executors.  How many there may be is a matter of all pools of the
 * database.  When there can be no more, and some pool has none at all, those
 * of others go as soon as they have nothing to do or have had their turn.
 *
 * When connecting fails and no link is left, all that waits fails with the
 * reason.  The next attempt is made at the earliest after a delay that grows
 * from 50 ms to 1 s; what comes meanwhile waits for its outcome.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/batch.h"
#include "collector/circuit.h"
#include "collector/line.h"
#include "collector/local.h"
#include "collector/pool.h"
#include "collector/rate.h"
#include "collector/remote.h"
#include "collector/shutdown.h"
#include "collector/sources.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "shared/seat.h"
#include "shared/settings.h"
#include "shared/shard.h"
#include "shared/stopped.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define CCR_BACKOFF_MIN		50	/* ms */
#define CCR_BACKOFF_MAX		1000	/* ms */
#define CCR_UNREACHABLE		3	/* failures to connect, in a row, that are
								 * shown of what is enqueued */
#define CCR_MAX_STATEMENTS	500 /* prepared on a link before it is renewed */
#define CCR_ASK_AGAIN		1000	/* ms until another is to bring addresses */
#define CCR_TIDYING			20	/* ms that a link has for what is left of a
								 * script before another is opened */
#define CCR_QUEUE_IDLE		600 /* s until an unused queue is forgotten */
#define CCR_EXECUTOR_IDLE	2000	/* ms until an idle executor is ended:
									 * those who want its database for
									 * themselves wait 5 s */
#define CCR_EXECUTOR_LIFE	(10 * 60 * 1000)	/* ms until it is renewed */
#define CCR_TURN			100 /* ms that an executor goes on for while other
								 * roles have none: starting one takes long */
#define CCR_TURN_IDLE		5	/* ms without work that end the turn */

typedef struct CcrPool
{
	CcrFingerprint key;			/* hash key */
	uint64		named;			/* ascends with the requests that have named
								 * it */
	MemoryContext context;
	MemoryContext hosts_context;	/* of the address list */
	CcrReach	reach;
	bool		aged;			/* a link has lived its life, and the
								 * addresses are of before */
	CcrTime		asked_at;		/* when somebody was last to bring new ones */
	CcrSource  *source;			/* first one, which the reach belongs to */
	bool		local;			/* its links are executors */
	bool		sharded;		/* its server has several collectors: by the
								 * name that calls know it by */
	bool		off;			/* its server is switched off */
	bool		starved;		/* waits for a seat of another pool */
	dlist_node	starved_node;
	dlist_node	node;			/* in all_pools */
	dlist_head	links;
	int			nlinks;
	int			nconnecting;
	int			nlacking;		/* of these */
	dlist_head	queues;			/* that it sends */
	int			nqueues;		/* whose home it is: see CcrQueue */
	CcrLine		line;			/* queues with a batch due */
	CcrTimer	line_timer;		/* until one of them may be sent */
	int			failures;		/* to connect, in a row */
	bool		down;			/* the last attempt has failed, with no link
								 * left */
	CcrTime		retry_at;
	CcrTimer	retry_timer;
	MemoryContext reason_context;
	CcrError   *reason;			/* of the last failure */
	CcrConnection *closed_row;	/* shown of the link that failed last */
	bool		pending;		/* to be dispatched */
	dlist_node	pending_node;
	bool		unused;			/* is in unused_pools */
	dlist_node	unused_node;
} CcrPool;

typedef struct CcrLink
{
	dlist_node	node;			/* most recently used first */
	CcrPool    *pool;
	CcrCarrier *carrier;
	CcrBatch   *batch;			/* under way, or NULL */
	Oid			owner;			/* of the lookups that it served last */
	CcrTime		ended_at;		/* its last batch */
	bool		connected;
	CcrTime		connected_at;
	double		life;			/* its share of what a link may live */
	CcrLineBatch turn;			/* of the batch, as its line and the rates */
	uint64		sent[2];		/* know it */
	CcrCounters *cancelling;	/* of the query that was given up, or NULL */
	CcrTime		idle_since;
	bool		lacking;		/* was told that there is no descriptor */
	bool		spare;			/* is in spare_links */
	dlist_node	spare_node;
	CcrTimer	idle_timer;
	CcrTimer	late_timer;		/* of a batch that nobody waits for */
	CcrConnection *shown;		/* its row in concresce.connections, or NULL */
	int64		batches;
} CcrLink;

static HTAB *pools;
static dlist_head all_pools = DLIST_STATIC_INIT(all_pools); /* local ones first */
static char nonce[24];			/* of this collector */
static int	my_worker;			/* its index */
static dlist_head pending_pools = DLIST_STATIC_INIT(pending_pools);
static dlist_head starved_pools = DLIST_STATIC_INIT(starved_pools);
static dlist_head dead_links = DLIST_STATIC_INIT(dead_links);
static dlist_head spare_links = DLIST_STATIC_INIT(spare_links); /* idle connections,
																 * longest first */
static dlist_head unused_pools = DLIST_STATIC_INIT(unused_pools);
static CcrLink *starting = NULL;	/* its batch is being begun */
static int	in_flight = 0;		/* batches */
static int	nlacking = 0;		/* links, of all pools */

static void link_ready(void *owner);
static void link_described(void *owner, const CcrRow *row);
static bool link_row(void *owner, const CcrRow *row);
static void link_done(void *owner, CcrOp op, const CcrError *error);
static void link_dead(void *owner, CcrOp op, const CcrError *error);
static bool link_spare(void *owner);
static void dispatch(CcrPool *pool);
static bool has_live_link(CcrPool *pool);
static void open_link(CcrPool *pool);
static void line_moves(void *arg);

static const CcrCarrierCalls link_calls = {
	.ready = link_ready,
	.described = link_described,
	.row = link_row,
	.done = link_done,
	.dead = link_dead,
	.spare = link_spare
};

typedef struct PoolEntry
{
	CcrFingerprint key;
	CcrPool    *pool;
} PoolEntry;

void
ccr_pools_init(int worker)
{
	HASHCTL		ctl = {
		.keysize = sizeof(CcrFingerprint),
		.entrysize = sizeof(PoolEntry)
	};
	uint64		random;

	pools = hash_create("concresce pools", 16, &ctl, HASH_ELEM | HASH_BLOBS);
	if (!pg_strong_random(&random, sizeof(random)))
		elog(ERROR, "could not generate a random number");
	ccr_locals_init(worker);
	my_worker = worker;
	snprintf(nonce, sizeof(nonce), "%016llx%d", (unsigned long long) random, worker);
}

/* ------------------------------------------------------------- the display */

static void
show_link(CcrLink *link, const char *state, const CcrError *error)
{
	CcrConnection *c = link->shown;
	CcrLastError last;
	TimestampTz now = 0;

	if (c == NULL)
		return;
	if (error)
	{
		ccr_batch_last_error(link->batch, error, &last);
		now = GetCurrentTimestamp();
	}
	SpinLockAcquire(&c->mutex);
	strlcpy(c->state, state, sizeof(c->state));
	c->batches = link->batches;
	if (error)
	{
		c->last_error = last;
		c->last_error_at = now;
	}
	SpinLockRelease(&c->mutex);
}

static void
show_connected(CcrLink *link)
{
	CcrConnection *c = link->shown;
	TimestampTz now = GetCurrentTimestamp();

	if (c == NULL)
		return;
	SpinLockAcquire(&c->mutex);
	c->connected_at = now;
	SpinLockRelease(&c->mutex);
}

/* NULL: none is left.  Where the last one was free, the next one may be, too. */
static CcrConnection *
allot_row(const CcrSource *source)
{
	static uint32 last = 0;

	if (pg_atomic_read_u32(&ccr_shared->nconnections) >= CCR_MAX_CONNECTIONS)
		return NULL;
	for (int i = 0; i < CCR_MAX_CONNECTIONS; i++)
	{
		CcrConnection *c = &ccr_connections[last++ % CCR_MAX_CONNECTIONS];
		bool		mine = false;

		SpinLockAcquire(&c->mutex);
		if (!c->used)
		{
			c->used = mine = true;
			c->dbid = source->dbid;
			c->serverid = source->serverid;
			c->umid = ccr_source_is_local(source) ? source->roleid : source->umid;
			strlcpy(c->server, source->server_name, NAMEDATALEN);
			strlcpy(c->user, source->user, NAMEDATALEN);
			c->batches = 0;
			c->state[0] = '\0';
			c->connected_at = c->last_error_at = 0;
			c->last_error.message[0] = '\0';
		}
		SpinLockRelease(&c->mutex);
		if (mine)
		{
			pg_atomic_fetch_add_u32(&ccr_shared->nconnections, 1);
			return c;
		}
	}
	return NULL;
}

static void
release_row(CcrConnection *c)
{
	if (c == NULL)
		return;
	SpinLockAcquire(&c->mutex);
	c->used = false;
	SpinLockRelease(&c->mutex);
	pg_atomic_fetch_sub_u32(&ccr_shared->nconnections, 1);
}

/* ------------------------------------------------------------------- pools */

/* Collectors that serve its server. */
static int
shards_of(const CcrPool *pool)
{
	return pool->sharded ? ccr_shards_of_server(pool->source->server_limits) : 1;
}

/* Links that may carry a batch at the same time. */
static int
link_limit(const CcrPool *pool)
{
	if (pool->local)
		return ccr_max_local_workers;
	if (!pool->sharded)
		return ccr_max_connections;
	return ccr_shard_part(ccr_max_connections, shards_of(pool),
						  ccr_shard_first(pool->source), my_worker);
}

/* Calls that fail at once wait for no attempt, so it is the pool that makes it. */
static bool
fails_fast(CcrPool *pool)
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

static void
retry_now(void *arg)
{
	CcrPool    *pool = arg;

	if (pool->down && !pool->off && pool->nconnecting == 0 && !pool->local && fails_fast(pool))
		open_link(pool);
	else
		dispatch(pool);
}

static void
line_moves(void *arg)
{
	dispatch(arg);
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
	ccr_timer_init(&pool->line_timer, line_moves, pool);
	pool->reason_context = AllocSetContextCreate(context, "concresce failure",
												 ALLOCSET_SMALL_SIZES);
	ccr_timer_init(&pool->retry_timer, retry_now, pool);
	MemoryContextSwitchTo(old);
	return pool;
}

/*
 * Of the pools of a server and user mapping, the one whose options these have
 * now, as far as requests tell.  Who must use a password does not get by with
 * the options of one who need not.
 */
static CcrPool *
named_last(CcrPool *pool)
{
	CcrPool    *last = pool;
	dlist_iter	iter;

	dlist_foreach(iter, &all_pools)
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

static void
move_queue(CcrQueue *queue, CcrPool *pool)
{
	ccr_line_leave(&queue->pool->line, &queue->line);
	dlist_delete(&queue->pool_node);
	queue->pool = pool;
	dlist_push_tail(&pool->queues, &queue->pool_node);
	ccr_pool_check(queue);
}

/*
 * What is enqueued names the options of its time.  If nothing can be reached
 * with them any more, it goes by those that its server and user mapping have by
 * now.  Calls do not: they are of sessions that know what the options are.
 */
static void
hand_over_enqueued(CcrPool *pool)
{
	CcrPool    *other = pool->local ? pool : named_last(pool);
	dlist_mutable_iter iter;

	if (other == pool)
		return;
	dlist_foreach_modify(iter, &pool->queues)
	{
		CcrQueue   *queue = dlist_container(CcrQueue, pool_node, iter.cur);

		if (queue->source->enqueued)
			move_queue(queue, other);
	}
}

/* Our part of what they are allowed. */
static void
set_limits(CcrQueue *queue)
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

void
ccr_pool_named(CcrQueue *queue)
{
	static uint64 last = 0;

	queue->home->named = ++last;
	set_limits(queue);
	if (queue->pool != queue->home)
		move_queue(queue, queue->home);
}

static void
window_ended(void *arg)
{
	ccr_pool_check(arg);
}

static bool
is_unused(const CcrPool *pool)
{
	return pool->nqueues == 0 && dlist_is_empty(unconstify(dlist_head *, &pool->queues));
}

static void
note_unused(CcrPool *pool)
{
	if (pool->unused || !is_unused(pool))
		return;
	pool->unused = true;
	dlist_push_tail(&unused_pools, &pool->unused_node);
}

static bool
is_idle(CcrQueue *queue)
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
unused_too_long(void *arg)
{
	CcrQueue   *queue = arg;
	CcrTime		end = ccr_after(queue->used, CCR_QUEUE_IDLE * INT64CONST(1000));

	if (is_idle(queue) && end <= ccr_now())
		forget_queue(queue);
	else
		ccr_timer_set(&queue->idle_timer,
					  Max(end, ccr_after(ccr_now(), 1000)));
}

/* Have the oldest ones go, if there are too many. */
static bool
make_room(Oid asker, Size bytes)
{
	CcrQueue   *oldest;

	while (ccr_sources_exceeded(bytes) &&
		   (oldest = ccr_sources_oldest(is_idle)) != NULL)
		forget_queue(oldest);
	return ccr_sources_allowed(asker, bytes);
}

/* Those of the server as a whole, and of the lookup at it. */
static void
set_rates(CcrQueue *queue)
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
										 &ccr_counters[request->counters], window_ended);

	MemoryContextSetParent(context, TopMemoryContext);
	queue->pool = queue->home = pool;
	queue->sharded = !pool->local && ccr_shard_listed(source->server_name);
	set_rates(queue);

	/* what was enqueued before this process began is named by nobody */
	set_limits(queue);
	queue->used = ccr_now();
	ccr_sources_add(queue, request->party.outer);
	ccr_timer_init(&queue->idle_timer, unused_too_long, queue);
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

	if (queue == NULL && !make_room(request->party.outer, MemoryContextMemAllocated(context, true)))
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
			dlist_push_head(&all_pools, &entry->pool->node);
		else
			dlist_push_tail(&all_pools, &entry->pool->node);
	}
	ccr_flights_tear(true);
	set_hosts(entry->pool, source);
	if (queue)
		MemoryContextDelete(context);
	else
		queue = new_queue(entry->pool, request, source, context);
	ccr_flights_tear(false);
	return queue;
}

/* ------------------------------------------------------------------- links */

static CcrCarrierState
state_of(const CcrLink *link)
{
	return link->carrier->ops->state(link->carrier);
}

/* Links that carry a batch, or can; connected: those that are there. */
static int
count_links(CcrPool *pool, bool connected)
{
	int			n = 0;
	dlist_iter	iter;

	dlist_foreach(iter, &pool->links)
	{
		CcrLink    *link = dlist_container(CcrLink, node, iter.cur);

		if ((link->connected || !connected) && state_of(link) != CCR_CARRIER_CANCELLING)
			n++;
	}
	return n;
}

static int
useful_links(CcrPool *pool)
{
	return count_links(pool, false);
}

static int
live_links(CcrPool *pool)
{
	return count_links(pool, true);
}

/* Does some other role in this database wait for a first executor? */
static bool
others_starve(const CcrPool *pool)
{
	dlist_iter	iter;

	if (!pool->local)
		return false;
	dlist_foreach(iter, &starved_pools)
	{
		CcrPool    *other = dlist_container(CcrPool, starved_node, iter.cur);

		if (other != pool && other->source->dbid == pool->source->dbid &&
			useful_links(other) == 0)
			return true;
	}
	return false;
}

/* ms; 0: no limit */
static int64
idle_limit(const CcrPool *pool)
{
	if (pool->local)
		return others_starve(pool) ? CCR_TURN_IDLE : CCR_EXECUTOR_IDLE;
	return ccr_idle_timeout * INT64CONST(1000);
}

/* It carries its batch no more, which may be gone. */
static void
end_batch(CcrLink *link, CcrQueue *queue)
{
	CcrTime		now = ccr_now();

	link->batch = NULL;
	in_flight--;
	ccr_line_end(&link->pool->line, &queue->line, &link->turn, now);
	for (int i = 0; i < 2; i++)
		ccr_rate_end(queue->rates[i], link->sent[i], now);
}

/* Give up what it does, since nobody waits for that any more. */
static void
cancel_link(CcrLink *link, CcrQueue *queue)
{
	CcrCounters *counters = queue->counters;

	end_batch(link, queue);
	link->cancelling = counters;
	pg_atomic_fetch_add_u32(&counters->cancelling, 1);
	show_link(link, "cancelling", NULL);
	link->carrier->ops->cancel(link->carrier);
}

/* The far side has ended what was given up, or will not hear of us again. */
static void
end_cancelling(CcrLink *link)
{
	if (link->cancelling)
		pg_atomic_fetch_sub_u32(&link->cancelling->cancelling, 1);
	link->cancelling = NULL;
}

/* May it be closed to make room for another? */
static void
set_spare(CcrLink *link, bool spare)
{
	if (link->spare)
		dlist_delete(&link->spare_node);
	link->spare = spare && !link->pool->local;
	if (link->spare)
		dlist_push_tail(&spare_links, &link->spare_node);
}

static void
set_lacking(CcrLink *link, bool lacking)
{
	int			change = (int) lacking - (int) link->lacking;

	link->lacking = lacking;
	link->pool->nlacking += change;
	nlacking += change;
}

/* Its row goes on showing why it failed, until another link takes it over. */
static void
bury(CcrLink *link, bool failed)
{
	CcrPool    *pool = link->pool;

	if (!link->connected)
		pool->nconnecting--;
	pool->nlinks--;
	end_cancelling(link);
	set_spare(link, false);
	set_lacking(link, false);
	ccr_timer_clear(&link->idle_timer);
	ccr_timer_clear(&link->late_timer);
	dlist_delete(&link->node);
	dlist_push_tail(&dead_links, &link->node);
	if (failed)
	{
		release_row(pool->closed_row);
		pool->closed_row = link->shown;
	}
	else
		release_row(link->shown);
	link->shown = NULL;
}

static void
close_link(CcrLink *link)
{
	link->carrier->ops->close(link->carrier, NULL);
	bury(link, false);
}

static bool
link_spare(void *owner)
{
	CcrLink    *link = owner;

	if (dlist_is_empty(&spare_links))
	{
		set_lacking(link, true);
		return false;
	}
	close_link(dlist_head_element(CcrLink, spare_node, &spare_links));
	return true;
}

/*
 * When a link is to be renewed, foreign ones not all at once: a new session has
 * the settings that ALTER ROLE has made since, and old ones swell.
 */
static CcrTime
expiry(const CcrLink *link)
{
	if (link->pool->local)
		return ccr_after(link->connected_at, CCR_EXECUTOR_LIFE);
	if (ccr_max_lifetime == 0)
		return 0;
	return ccr_after(link->connected_at, ccr_max_lifetime * 1000.0 * link->life);
}

/* When an idle link is to be looked at again; 0: never. */
static CcrTime
idle_end(const CcrLink *link)
{
	CcrTime		end = idle_limit(link->pool) > 0 ?
		ccr_after(link->idle_since, idle_limit(link->pool)) : 0;
	CcrTime		expires = expiry(link);

	return end == 0 || (expires != 0 && expires < end) ? expires : end;
}

static bool
is_outworn(const CcrLink *link)
{
	CcrTime		expires = expiry(link);

	return expires != 0 && ccr_now() >= expires;
}

/* Who commits some of its items next brings addresses looked up anew. */
static void
mark_stale(CcrQueue *queue)
{
	CcrKept    *kept = ccr_kept_find(&queue->fingerprint);

	if (kept == NULL)
		return;
	pg_atomic_write_u32(&kept->stale, 1);
	ccr_kept_release(kept);
}

/*
 * It is closed, and another will take its place.  By then its host may have
 * other addresses, which only a backend may look up.
 */
static void
note_age(CcrLink *link)
{
	CcrPool    *pool = link->pool;
	dlist_iter	iter;

	if (!is_outworn(link) || pool->reach.hosts == NULL)
		return;
	pool->aged = true;
	dlist_foreach(iter, &pool->queues)
	{
		CcrQueue   *queue = dlist_container(CcrQueue, pool_node, iter.cur);

		if (queue->source->enqueued)
			mark_stale(queue);
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

static void
idle_too_long(void *arg)
{
	CcrLink    *link = arg;
	CcrTime		end;

	/* looked at again when it is time, rather than moved with every use */
	if (link->batch || state_of(link) != CCR_CARRIER_IDLE)
		return;
	end = idle_end(link);
	if (end == 0)
		return;
	if (end > ccr_now())
		ccr_timer_set(&link->idle_timer, end);
	else
	{
		note_age(link);
		close_link(link);
	}
}

/* Those that nobody waits for have a deadline nevertheless; 0: this has none. */
static CcrTime
deadline_of(const CcrLink *link)
{
	CcrTime		allowance;

	if (link->batch == NULL || !ccr_batch_queue(link->batch)->source->enqueued)
		return 0;
	if (!link->pool->local)
		return ccr_enqueue_timeout > 0 ?
			ccr_after(ccr_batch_sent(link->batch), ccr_enqueue_timeout) : 0;
	allowance = ccr_batch_allowance(link->batch);
	return allowance > 0 ? ccr_batch_sent(link->batch) + allowance : 0;
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
	CcrTime		deadline = deadline_of(link);
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
	ccr_flights_tear(true);
	show_link(link, "active", error);
	ccr_batch_late(link->batch, error);
	cancel_link(link, queue);
	ccr_pool_check(queue);
	ccr_flights_tear(false);
}

/* It may be set for a batch that ends later than this one. */
static void
set_late_timer(CcrLink *link)
{
	CcrTime		deadline = deadline_of(link);

	if (deadline != 0 && (!link->late_timer.armed || link->pool->local))
		ccr_timer_set(&link->late_timer, deadline);
}

static void
open_link(CcrPool *pool)
{
	CcrLink    *link = MemoryContextAllocZero(pool->context, sizeof(CcrLink));

	ccr_flights_tear(true);
	link->pool = pool;
	link->carrier = pool->local ?
		ccr_local_open(pool->source->dbid, pool->source->roleid, &link_calls, link) :
		ccr_remote_open(&pool->reach, &link_calls, link);
	link->shown = pool->closed_row ? pool->closed_row : allot_row(pool->source);
	pool->closed_row = NULL;
	show_link(link, "connecting", NULL);
	ccr_timer_init(&link->idle_timer, idle_too_long, link);
	ccr_timer_init(&link->late_timer, batch_is_late, link);
	dlist_push_tail(&pool->links, &link->node);
	pool->nlinks++;
	pool->nconnecting++;
	ccr_flights_tear(false);
}

/*
 * Others wait for a first executor, or for a descriptor; there, a link makes
 * room at once if it is not needed, or is one of several.
 */
static bool
had_its_turn(const CcrLink *link)
{
	CcrPool    *pool = link->pool;

	if (pool->local)
		return others_starve(pool) &&
			ccr_now() >= ccr_after(link->connected_at, CCR_TURN);
	return ccr_remotes_lack() && nlacking > pool->nlacking &&
		(dlist_is_empty(&pool->line.queues) || live_links(pool) > 1 ||
		 ccr_now() >= ccr_after(link->connected_at, CCR_TURN));
}

static void
become_idle(CcrLink *link)
{
	CcrPool    *pool = link->pool;

	if (pool->off || link->carrier->ops->statements(link->carrier) > CCR_MAX_STATEMENTS ||
		useful_links(pool) > link_limit(pool) || had_its_turn(link) ||
		is_outworn(link) || link->carrier->ops->is_worn(link->carrier))
	{
		note_age(link);
		close_link(link);
	}
	else
	{
		show_link(link, "idle", NULL);
		link->idle_since = ccr_now();
		set_spare(link, true);
		dlist_delete(&link->node);
		dlist_push_head(&pool->links, &link->node);
		if ((!link->idle_timer.armed || others_starve(pool)) && idle_end(link) != 0)
			ccr_timer_set(&link->idle_timer, idle_end(link));
	}
	dispatch(pool);
}

static void
link_ready(void *owner)
{
	CcrLink    *link = owner;

	end_cancelling(link);
	if (!link->connected)
	{
		link->connected = true;
		set_lacking(link, false);
		link->connected_at = ccr_now();
		show_connected(link);
		link->life = 0.9 + 0.2 * pg_prng_double(&pg_global_prng_state);
		link->pool->nconnecting--;
		link->pool->failures = 0;
		link->pool->down = false;
	}
	become_idle(link);
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
		show_link(link, "active", error);
	ccr_flights_tear(true);
	if (ccr_batch_done(link->batch, op, error))
	{
		end_batch(link, queue);
		link->ended_at = ccr_now();
		ccr_pool_check(queue);
		if (state_of(link) == CCR_CARRIER_IDLE)
			become_idle(link);
	}
	ccr_flights_tear(false);
}

/* Is there any hope that what waits will be carried? */
static bool
has_live_link(CcrPool *pool)
{
	return live_links(pool) > 0;
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
		ccr_circuit_open(queue, CCR_KIND_PASSING, queue->pool->failures,
						 queue->pool->retry_at, &last);
	mark_stale(queue);
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
keep_reason(CcrPool *pool, const CcrError *error)
{
	MemoryContext old;

	if (error == pool->reason)
		return;
	MemoryContextReset(pool->reason_context);
	old = MemoryContextSwitchTo(pool->reason_context);
	pool->reason = ccr_error_copy(error);
	MemoryContextSwitchTo(old);
}

static void
could_not_connect(CcrPool *pool, const CcrError *error)
{
	int64		delay = Min(CCR_BACKOFF_MIN << Min(pool->failures, 10), CCR_BACKOFF_MAX);
	bool		keeps = false;
	dlist_iter	iter;

	/* spread, so that many pools do not knock all at once */
	delay = delay / 2 + pg_prng_uint64_range(&pg_global_prng_state, 0, delay / 2);
	pool->failures++;
	pool->retry_at = ccr_after(ccr_now(), delay);
	keep_reason(pool, error);
	if (has_live_link(pool) || pool->nconnecting > 0)
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
		ccr_pool_check(queue);
	}

	if (!pool->local && fails_fast(pool))
		ccr_timer_set(&pool->retry_timer, pool->retry_at);

	/* who is told at once that there can be no executor need not wait first */
	if (pool->local && !keeps)
	{
		pool->failures = 0;
		pool->down = false;
	}
}

/*
 * Connections are mostly lost together, as with a restart of the server, but
 * not heard of together: what is sent again must not be lost once more.
 */
static void
close_idle(CcrPool *pool)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &pool->links)
	{
		CcrLink    *link = dlist_container(CcrLink, node, iter.cur);

		if (link->connected && link->batch == NULL && state_of(link) == CCR_CARRIER_IDLE)
			close_link(link);
	}
}

static void
link_dead(void *owner, CcrOp op, const CcrError *error)
{
	CcrLink    *link = owner;
	CcrPool    *pool = link->pool;
	bool		connected = link->connected;

	ccr_flights_tear(true);
	show_link(link, "closed", error);
	bury(link, true);
	if (link->batch)
	{
		CcrQueue   *queue = ccr_batch_queue(link->batch);

		if (!pool->local)
			close_idle(pool);
		ccr_batch_lost(link->batch, op, error);
		end_batch(link, queue);
		ccr_pool_check(queue);
	}
	if (!connected)
		could_not_connect(pool, error);
	dispatch(pool);
	ccr_flights_tear(false);
}

/* What one link has told may have begun a batch on another. */
void
ccr_pool_broken(CcrCarrier *carrier, const CcrError *error)
{
	if (starting)
		carrier = starting->carrier;
	starting = NULL;
	carrier->ops->close(carrier, error);
}

/* ---------------------------------------------------------------- dispatch */

static CcrError
switched_off(const CcrQueue *queue)
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
	ccr_flights_tear(true);
	ccr_batch_fail_waiting(queue, pool->reason);
	ccr_flights_tear(false);
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
	error = switched_off(queue);
	ccr_flights_tear(true);
	ccr_batch_fail_waiting(queue, &error);
	ccr_flights_tear(false);
}

static void
check(CcrQueue *queue)
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
		ccr_line_enter(&queue->pool->line, &queue->line, ccr_queue_role(queue, now));
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
ccr_pool_check(CcrQueue *queue)
{
	ccr_flights_tear(true);
	check(queue);
	ccr_flights_tear(false);
}

/* Has the link served lookups of another owner?  Then it is cleaned first. */
static bool
is_of_another(const CcrLink *link, Oid owner)
{
	return !link->pool->local && OidIsValid(link->owner) && link->owner != owner &&
		!link->carrier->ops->pooled(link->carrier);
}

/* Which of two to take for an owner: his own, or a new one, or the older. */
static bool
is_better(const CcrLink *link, const CcrLink *found, Oid owner)
{
	if (found == NULL || link->owner == owner)
		return found == NULL || found->owner != owner;
	return is_of_another(found, owner);
}

/* None, too, while as many as there may be are busy: the limit can be lowered. */
static CcrLink *
free_link(CcrPool *pool, Oid owner)
{
	CcrLink    *found = NULL;
	int			nbusy = 0;
	dlist_iter	iter;

	dlist_foreach(iter, &pool->links)
	{
		CcrLink    *link = dlist_container(CcrLink, node, iter.cur);

		if (link->batch)
			nbusy++;
		else if (link->connected && state_of(link) == CCR_CARRIER_IDLE &&
				 is_better(link, found, owner))
			found = link;
	}
	return nbusy < link_limit(pool) ? found : NULL;
}

/* Give up one that waits for the end of a cancelled query. */
static void
drop_cancelling(CcrPool *pool)
{
	dlist_iter	iter;

	dlist_foreach(iter, &pool->links)
	{
		CcrLink    *link = dlist_container(CcrLink, node, iter.cur);

		if (state_of(link) == CCR_CARRIER_CANCELLING)
		{
			close_link(link);
			return;
		}
	}
}

/* Have the idle ones of a database looked at anew, as their limit is lower now. */
static void
hurry_idle(Oid dbid)
{
	dlist_iter	iter;

	dlist_foreach(iter, &all_pools)
	{
		CcrPool    *pool = dlist_container(CcrPool, node, iter.cur);
		dlist_mutable_iter links;

		if (!pool->local)
			break;
		if (pool->source->dbid == dbid)
		{
			dlist_foreach_modify(links, &pool->links)
				idle_too_long(dlist_container(CcrLink, node, links.cur));
		}
	}
}

static void
starve(CcrPool *pool, bool starved)
{
	if (pool->starved == starved)
		return;
	pool->starved = starved;
	if (starved)
		dlist_push_tail(&starved_pools, &pool->starved_node);
	else
		dlist_delete(&pool->starved_node);
}

/*
 * Is there a seat for one more executor in the database?  If not, see to it.
 * The last seat is for a role that has none.
 */
static bool
has_seat(CcrPool *pool)
{
	int			limit = ccr_max_local_workers + (useful_links(pool) == 0 ? 1 : 0);
	bool		full = ccr_seats_of(pool->source->dbid) >= limit;

	starve(pool, full);
	if (!full)
		return true;
	if (useful_links(pool) == 0)
		hurry_idle(pool->source->dbid);
	return false;
}

/*
 * Until when it is worth while to wait for one that has done its work and is
 * about to be idle; 0: there is none.
 */
static CcrTime
idle_soon(CcrPool *pool)
{
	CcrTime		until = 0;
	dlist_iter	iter;

	dlist_foreach(iter, &pool->links)
	{
		CcrLink    *link = dlist_container(CcrLink, node, iter.cur);

		if (link->batch == NULL && state_of(link) == CCR_CARRIER_BUSY)
			until = Max(until, ccr_after(link->ended_at, CCR_TIDYING));
	}
	return until;
}

/* One at a time: by the time it is there, another may have become free. */
static void
want_link(CcrPool *pool)
{
	CcrTime		soon;

	if (pool->nconnecting > 0 || useful_links(pool) >= link_limit(pool))
		return;
	soon = idle_soon(pool);
	if (soon > ccr_now())
	{
		ccr_timer_set(&pool->retry_timer, soon);
		return;
	}
	if (pool->local && !has_seat(pool))
		return;
	if (pool->failures > 0 && pool->retry_at > ccr_now())
	{
		ccr_timer_set(&pool->retry_timer, pool->retry_at);
		return;
	}
	if (!pool->local && pool->nlinks >= 2 * link_limit(pool))
		drop_cancelling(pool);
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
	bool		of_another = is_of_another(link, queue->source->owner);
	int			n;

	set_spare(link, false);
	ccr_flights_tear(true);
	link->batch = ccr_batch_new(queue, link->carrier, nonce, link, room_for(queue, now), &n);
	if (link->batch)
		ccr_line_begin(&pool->line, &queue->line, &link->turn, now);

	/* to the end of the line, if another batch of it is due */
	ccr_line_leave(&pool->line, &queue->line);
	if (link->batch == NULL)
	{
		ccr_pool_check(queue);
		set_spare(link, true);
		ccr_flights_tear(false);
		return;
	}
	for (int i = 0; i < 2; i++)
		link->sent[i] = ccr_rate_begin(queue->rates[i], now, n);
	ccr_pool_check(queue);
	ccr_sources_touch(queue);
	pg_atomic_fetch_add_u64(&ccr_mailboxes[my_worker].batches, 1);
	pg_atomic_fetch_add_u64(&ccr_mailboxes[my_worker].items, n);
	in_flight++;
	link->owner = queue->source->owner;
	link->batches++;
	show_link(link, "active", NULL);
	set_late_timer(link);
	ccr_flights_tear(false);
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
			ccr_pool_check(queue);
	}
}

static void
dispatch(CcrPool *pool)
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
		entry = ccr_line_first(&pool->line, link_limit(pool), now, may_be_sent, &when);
		if (entry == NULL && when != 0)
			ccr_timer_set(&pool->line_timer, when);
		if (entry == NULL)
			break;
		link = free_link(pool, queue_of(entry)->source->owner);
		if (link == NULL)
		{
			want_link(pool);
			return;
		}
		start_batch(link, queue_of(entry), now);
	}
	starve(pool, false);
}

void
ccr_pools_dispatch(void)
{
	dlist_mutable_iter iter;

	/* the end of an executor, whosever it was, has woken us */
	dlist_foreach_modify(iter, &starved_pools)
		dispatch(dlist_container(CcrPool, starved_node, iter.cur));
	while (!dlist_is_empty(&pending_pools))
	{
		CcrPool    *pool = dlist_container(CcrPool, pending_node,
										   dlist_pop_head_node(&pending_pools));

		pool->pending = false;
		dispatch(pool);
	}
}

void
ccr_pool_deserted(struct CcrBatch *batch)
{
	CcrLink    *link;
	CcrQueue   *queue;

	if (!ccr_batch_deserted(batch))
		return;
	link = ccr_batch_owner(batch);
	queue = ccr_batch_queue(batch);
	ccr_batch_drop(batch);
	cancel_link(link, queue);
}

/* ---------------------------------------------------------- stop, shutdown */

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
		ccr_queue_hurry(queue, true);
		ccr_batch_fail_waiting(queue, error);
		ccr_pool_check(queue);
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

	/* from the start each time: a cancel that fails may take others along */
	while ((link = link_to_be_stopped(pool, what)) != NULL)
	{
		CcrQueue   *queue = ccr_batch_queue(link->batch);

		ccr_batch_stop(link->batch, &error);
		cancel_link(link, queue);
		ccr_pool_check(queue);
	}
}

void
ccr_pools_stop(Oid dbid, Oid function)
{
	Stopping	what = {dbid, function};
	dlist_iter	iter;

	ccr_flights_tear(true);
	dlist_foreach(iter, &all_pools)
		stop_pool(dlist_container(CcrPool, node, iter.cur), &what);
	ccr_flights_tear(false);
}

/* Whoever flushes shall not wait for it. */
static void
tell_senders(CcrQueue *queue)
{
	CcrError	error = switched_off(queue);
	CcrLastError last;

	if (!queue->source->enqueued || (queue->flying == 0 && ccr_queue_empty(queue)))
		return;
	ccr_batch_last_error(NULL, &error, &last);
	ccr_queue_tell_senders(queue, &last, true);
}

void
ccr_pool_flushed(CcrQueue *queue)
{
	ccr_pool_check(queue);
	if (queue->pool->off)
		tell_senders(queue);
}

static CcrLink *
busy_link(CcrPool *pool)
{
	dlist_iter	iter;

	dlist_foreach(iter, &pool->links)
	{
		CcrLink    *link = dlist_container(CcrLink, node, iter.cur);

		if (link->batch)
			return link;
	}
	return NULL;
}

/* What is in flight is given up: calls fail, and what is enqueued waits again. */
static void
bring_down(CcrPool *pool)
{
	CcrLink    *link;

	/* from the start each time, as in stop_pool() */
	while ((link = busy_link(pool)) != NULL)
	{
		CcrQueue   *queue = ccr_batch_queue(link->batch);
		CcrError	error = switched_off(queue);

		if (queue->source->enqueued)
			ccr_batch_ground(link->batch);
		else
			ccr_batch_stop(link->batch, &error);
		cancel_link(link, queue);
		ccr_pool_check(queue);
	}
}

static void
switch_pool(CcrPool *pool, bool off)
{
	dlist_iter	iter;

	pool->off = off;
	if (off)
		close_idle(pool);
	else
	{
		/* what it failed with is of another time */
		pool->down = false;
		pool->failures = 0;
	}
	dlist_foreach(iter, &pool->queues)
	{
		CcrQueue   *queue = dlist_container(CcrQueue, pool_node, iter.cur);

		if (off)
			tell_senders(queue);
		else if (queue->source->enqueued)
			ccr_queue_tell_senders(queue, NULL, false);
		ccr_pool_check(queue);
	}
}

void
ccr_pools_switch(void)
{
	dlist_iter	iter;

	ccr_flights_tear(true);
	dlist_foreach(iter, &all_pools)
	{
		CcrPool    *pool = dlist_container(CcrPool, node, iter.cur);
		bool		force = false;
		bool		off = ccr_switched_off(pool->source->dbid, pool->source->serverid, &force);

		if (off != pool->off)
			switch_pool(pool, off);
		if (off && force)
			bring_down(pool);
	}
	ccr_flights_tear(false);
}

/* Nobody takes what it has: this server starts nothing, and lets nobody in. */
static bool
is_shut(CcrPool *pool)
{
	return pool->failures > 0 && !has_live_link(pool) &&
		(pool->local || ccr_shutdown_is_own_server(&pool->reach));
}

int
ccr_pool_detail_left(const CcrQueue *queue)
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
has_hope(CcrPool *pool)
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
ccr_pools_hope(void)
{
	dlist_iter	iter;

	dlist_foreach(iter, &all_pools)
	{
		if (has_hope(dlist_container(CcrPool, node, iter.cur)))
			return true;
	}
	return false;
}

/* ------------------------------------------------------------- maintenance */

/* What is idle or under way already goes by the limits as they are now. */
void
ccr_pools_reload(void)
{
	dlist_iter	iter;
	dlist_iter	links;

	dlist_foreach(iter, &all_pools)
	{
		dlist_foreach(links, &dlist_container(CcrPool, node, iter.cur)->links)
		{
			CcrLink    *link = dlist_container(CcrLink, node, links.cur);

			ccr_timer_set(link->batch ? &link->late_timer : &link->idle_timer, ccr_now());
		}
	}
}

static void
free_pool(CcrPool *pool)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &pool->links)
		close_link(dlist_container(CcrLink, node, iter.cur));
	starve(pool, false);
	ccr_timer_clear(&pool->retry_timer);
	ccr_timer_clear(&pool->line_timer);
	release_row(pool->closed_row);
	dlist_delete(&pool->node);
	hash_search(pools, &pool->key, HASH_REMOVE, NULL);
}

void
ccr_pools_sweep(void)
{
	dlist_head	freed = DLIST_STATIC_INIT(freed);

	while (!dlist_is_empty(&unused_pools))
	{
		CcrPool    *pool = dlist_container(CcrPool, unused_node,
										   dlist_pop_head_node(&unused_pools));

		/* a new queue may have come meanwhile */
		pool->unused = false;
		if (!is_unused(pool))
			continue;
		free_pool(pool);
		dlist_push_tail(&freed, &pool->unused_node);
	}
	while (!dlist_is_empty(&dead_links))
	{
		CcrLink    *link = dlist_container(CcrLink, node,
										   dlist_pop_head_node(&dead_links));

		link->carrier->ops->free(link->carrier);
		pfree(link);
	}
	while (!dlist_is_empty(&freed))
		MemoryContextDelete(dlist_container(CcrPool, unused_node,
											dlist_pop_head_node(&freed))->context);
}

int
ccr_pools_flying(void)
{
	return in_flight;
}

static void
hide_pool(CcrPool *pool)
{
	dlist_iter	iter;

	dlist_foreach(iter, &pool->links)
	{
		CcrLink    *link = dlist_container(CcrLink, node, iter.cur);

		end_cancelling(link);
		release_row(link->shown);
	}
	release_row(pool->closed_row);
}

void
ccr_pools_hide(void)
{
	dlist_iter	iter;

	dlist_foreach(iter, &all_pools)
		hide_pool(dlist_container(CcrPool, node, iter.cur));
}
