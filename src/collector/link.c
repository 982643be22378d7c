/*-------------------------------------------------------------------------
 *
 * link.c
 *	  Links: the connections and executors of a pool.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/attempt.h"
#include "collector/carrier_local.h"
#include "collector/carrier_remote.h"
#include "collector/connection.h"
#include "collector/link.h"
#include "collector/rate.h"
#include "common/pg_prng.h"
#include "shared/seat.h"
#include "shared/settings.h"

#define CCR_MAX_STATEMENTS	500 /* prepared on a link before it is renewed */
#define CCR_TIDYING			20	/* ms that a link has for what is left of a
								 * script before another is opened */
#define CCR_EXECUTOR_IDLE	2000	/* ms until an idle executor is ended:
									 * those who want its database for
									 * themselves wait 5 s */
#define CCR_EXECUTOR_LIFE	(10 * 60 * 1000)	/* ms until it is renewed */
#define CCR_EXECUTOR_TURN	100 /* ms that an executor goes on for while other
								 * roles have none: starting one takes long */
#define CCR_EXECUTOR_TURN_IDLE	5	/* ms without work that end the turn */

static dlist_head starved_pools = DLIST_STATIC_INIT(starved_pools);
static dlist_head dead_links = DLIST_STATIC_INIT(dead_links);
static dlist_head spare_links = DLIST_STATIC_INIT(spare_links); /* idle connections,
																 * longest first */
static int	my_worker;			/* index of this collector */
static int	in_flight = 0;		/* batches */
static int	nlacking = 0;		/* links, of all pools */

void
ccr_links_init(int worker)
{
	my_worker = worker;
}

CcrCarrierState
ccr_link_state(const CcrLink *link)
{
	return link->carrier->state;
}

void
ccr_link_show(CcrLink *link, const char *state, const CcrError *error)
{
	CcrLastError last;

	if (link->shown == NULL)
		return;
	if (error)
		ccr_batch_last_error(link->batch, error, &last);
	ccr_connection_show(link->shown, state, link->batches, link->lost, error ? &last : NULL);
}

/* ---------------------------------------------------------------- counting */

/* Links that carry a batch, or can; connected: those that are there. */
static int
count_links(CcrPool *pool, bool connected)
{
	int			n = 0;
	dlist_iter	iter;

	dlist_foreach(iter, &pool->links)
	{
		CcrLink    *link = dlist_container(CcrLink, node, iter.cur);

		if ((link->connected || !connected) && ccr_link_state(link) != CCR_CARRIER_CANCELLING)
			n++;
	}
	return n;
}

int
ccr_links_useful(CcrPool *pool)
{
	return count_links(pool, false);
}

int
ccr_links_live(CcrPool *pool)
{
	return count_links(pool, true);
}

void
ccr_links_starve(CcrPool *pool, bool starved)
{
	if (pool->starved == starved)
		return;
	pool->starved = starved;
	if (starved)
		dlist_push_tail(&starved_pools, &pool->starved_node);
	else
		dlist_delete(&pool->starved_node);
}

/* visit() may end its being starved. */
void
ccr_links_visit_starved(void (*visit) (CcrPool *))
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &starved_pools)
		visit(dlist_container(CcrPool, starved_node, iter.cur));
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
			ccr_links_useful(other) == 0)
			return true;
	}
	return false;
}

bool
ccr_link_is_of_another(const CcrLink *link, Oid owner)
{
	return !link->pool->local && OidIsValid(link->owner) && link->owner != owner &&
		!link->carrier->ops->pooled(link->carrier);
}

/* Which of two to take for an owner: its own, or a new one, or the older. */
static bool
is_better(const CcrLink *link, const CcrLink *found, Oid owner)
{
	if (found == NULL || link->owner == owner)
		return found == NULL || found->owner != owner;
	return ccr_link_is_of_another(found, owner);
}

/* None, too, while as many as there may be are busy: the limit can be lowered. */
CcrLink *
ccr_links_free(CcrPool *pool, Oid owner)
{
	CcrLink    *found = NULL;
	int			nbusy = 0;
	dlist_iter	iter;

	dlist_foreach(iter, &pool->links)
	{
		CcrLink    *link = dlist_container(CcrLink, node, iter.cur);

		if (link->batch)
			nbusy++;
		else if (link->connected && ccr_link_state(link) == CCR_CARRIER_IDLE &&
				 is_better(link, found, owner))
			found = link;
	}
	return nbusy < ccr_pool_link_limit(pool) ? found : NULL;
}

CcrLink *
ccr_links_busy(CcrPool *pool)
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

CcrTime
ccr_links_idle_soon(CcrPool *pool)
{
	CcrTime		until = 0;
	dlist_iter	iter;

	dlist_foreach(iter, &pool->links)
	{
		CcrLink    *link = dlist_container(CcrLink, node, iter.cur);

		if (link->batch == NULL && ccr_link_state(link) == CCR_CARRIER_BUSY)
			until = Max(until, ccr_after(link->ended_at, CCR_TIDYING));
	}
	return until;
}

/* ----------------------------------------------------------------- closing */

void
ccr_link_set_spare(CcrLink *link, bool spare)
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

void
ccr_link_end_cancelling(CcrLink *link)
{
	if (link->cancelling)
		pg_atomic_fetch_sub_u32(&link->cancelling->cancelling, 1);
	link->cancelling = NULL;
}

/* A link has gone: what its row has shown is shown by another one's. */
static void
pass_on_lost(CcrPool *pool, int64 lost)
{
	if (dlist_is_empty(&pool->links))
	{
		pool->lost += lost;
		ccr_connection_show_lost(pool->closed_row, pool->lost);
	}
	else
	{
		CcrLink    *heir = dlist_head_element(CcrLink, node, &pool->links);

		heir->lost += lost;
		ccr_connection_show_lost(heir->shown, heir->lost);
		ccr_connection_show_lost(pool->closed_row, 0);
	}
}

void
ccr_link_bury(CcrLink *link, bool failed)
{
	CcrPool    *pool = link->pool;

	if (!link->connected)
		pool->nconnecting--;
	pool->nlinks--;
	ccr_link_end_cancelling(link);
	ccr_link_set_spare(link, false);
	set_lacking(link, false);
	ccr_timer_clear(&link->idle_timer);
	ccr_timer_clear(&link->late_timer);
	dlist_delete(&link->node);
	dlist_push_tail(&dead_links, &link->node);
	if (failed)
	{
		ccr_connection_show_connected(link->shown, false);
		ccr_connection_release(pool->closed_row);
		pool->closed_row = link->shown;
	}
	else
		ccr_connection_release(link->shown);
	link->shown = NULL;
	pass_on_lost(pool, link->lost + (failed && link->connected ? 1 : 0));
}

void
ccr_link_close(CcrLink *link)
{
	link->carrier->ops->close(link->carrier, NULL);
	ccr_link_bury(link, false);
}

bool
ccr_link_spare(void *owner)
{
	CcrLink    *link = owner;

	if (dlist_is_empty(&spare_links))
	{
		set_lacking(link, true);
		return false;
	}
	ccr_link_close(dlist_head_element(CcrLink, spare_node, &spare_links));
	return true;
}

/*
 * Connections are mostly lost together, as with a restart of the server, but
 * not heard of together: what is sent again must not be lost once more.
 */
void
ccr_links_close_idle(CcrPool *pool)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &pool->links)
	{
		CcrLink    *link = dlist_container(CcrLink, node, iter.cur);

		if (link->connected && link->batch == NULL && ccr_link_state(link) == CCR_CARRIER_IDLE)
			ccr_link_close(link);
	}
}

void
ccr_links_close_all(CcrPool *pool)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &pool->links)
		ccr_link_close(dlist_container(CcrLink, node, iter.cur));
}

void
ccr_links_drop_cancelling(CcrPool *pool)
{
	dlist_iter	iter;

	dlist_foreach(iter, &pool->links)
	{
		CcrLink    *link = dlist_container(CcrLink, node, iter.cur);

		if (ccr_link_state(link) == CCR_CARRIER_CANCELLING)
		{
			ccr_link_close(link);
			return;
		}
	}
}

void
ccr_links_sweep(void)
{
	while (!dlist_is_empty(&dead_links))
	{
		CcrLink    *link = dlist_container(CcrLink, node,
										   dlist_pop_head_node(&dead_links));

		link->carrier->ops->free(link->carrier);
		pfree(link);
	}
}

/* -------------------------------------------------------------- age, idleness */

/* ms; 0: no limit */
static int64
idle_limit(const CcrPool *pool)
{
	if (pool->local)
		return others_starve(pool) ? CCR_EXECUTOR_TURN_IDLE : CCR_EXECUTOR_IDLE;
	return ccr_idle_timeout * INT64CONST(1000);
}

/*
 * When a link is to be renewed, foreign ones not all at once: a new session has
 * the settings that ALTER ROLE has made since, and old ones swell.
 */
static CcrTime
link_expiry(const CcrLink *link)
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
	CcrTime		expires = link_expiry(link);

	return end == 0 || (expires != 0 && expires < end) ? expires : end;
}

static bool
is_outworn(const CcrLink *link)
{
	CcrTime		expires = link_expiry(link);

	return expires != 0 && ccr_now() >= expires;
}

/*
 * It is closed, and another will take its place.  By then its host may have
 * other addresses, which only a backend may look up.
 */
static void
note_age(const CcrLink *link)
{
	if (is_outworn(link))
		ccr_pool_note_age(link->pool);
}

static void
idle_too_long(void *arg)
{
	CcrLink    *link = arg;
	CcrTime		end;

	/* looked at again when it is time, rather than moved with every use */
	if (link->batch || ccr_link_state(link) != CCR_CARRIER_IDLE)
		return;
	end = idle_end(link);
	if (end == 0)
		return;
	if (end > ccr_now())
		ccr_timer_set(&link->idle_timer, end);
	else
	{
		note_age(link);
		ccr_link_close(link);
	}
}

/*
 * Others wait for a first executor, or for a descriptor; there, a link makes
 * room at once if it is not needed, or is one of several.
 */
static bool
has_had_its_turn(const CcrLink *link)
{
	CcrPool    *pool = link->pool;

	if (pool->local)
		return others_starve(pool) &&
			ccr_now() >= ccr_after(link->connected_at, CCR_EXECUTOR_TURN);
	return ccr_attempts_lack() && nlacking > pool->nlacking &&
		(dlist_is_empty(&pool->line.queues) || ccr_links_live(pool) > 1 ||
		 ccr_now() >= ccr_after(link->connected_at, CCR_EXECUTOR_TURN));
}

bool
ccr_link_idle(CcrLink *link)
{
	CcrPool    *pool = link->pool;

	if (pool->off || ccr_carrier_statements(link->carrier) > CCR_MAX_STATEMENTS ||
		ccr_links_useful(pool) > ccr_pool_link_limit(pool) || has_had_its_turn(link) ||
		is_outworn(link) || link->carrier->ops->is_worn(link->carrier))
	{
		note_age(link);
		ccr_link_close(link);
		return false;
	}
	ccr_link_show(link, "idle", NULL);
	link->idle_since = ccr_now();
	ccr_link_set_spare(link, true);
	dlist_delete(&link->node);
	dlist_push_head(&pool->links, &link->node);
	if ((!link->idle_timer.armed || others_starve(pool)) && idle_end(link) != 0)
		ccr_timer_set(&link->idle_timer, idle_end(link));
	return true;
}

/* Have the idle ones of a database looked at anew, as their limit is lower now. */
static void
look_at_idle(Oid dbid)
{
	dlist_iter	iter;

	dlist_foreach(iter, &ccr_all_pools)
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

bool
ccr_links_have_seat(CcrPool *pool)
{
	int			limit = ccr_max_local_workers + (ccr_links_useful(pool) == 0 ? 1 : 0);
	bool		full = ccr_seats_of(pool->source->dbid) >= limit;

	ccr_links_starve(pool, full);
	if (!full)
		return true;
	if (ccr_links_useful(pool) == 0)
		look_at_idle(pool->source->dbid);
	return false;
}

void
ccr_links_reload(CcrPool *pool)
{
	dlist_iter	iter;

	dlist_foreach(iter, &pool->links)
	{
		CcrLink    *link = dlist_container(CcrLink, node, iter.cur);

		ccr_timer_set(link->batch ? &link->late_timer : &link->idle_timer, ccr_now());
	}
}

void
ccr_links_hide(CcrPool *pool)
{
	dlist_iter	iter;

	dlist_foreach(iter, &pool->links)
	{
		CcrLink    *link = dlist_container(CcrLink, node, iter.cur);

		ccr_link_end_cancelling(link);
		ccr_connection_release(link->shown);
	}
	ccr_connection_release(pool->closed_row);
}

/* ----------------------------------------------------------------- batches */

void
ccr_link_end_batch(CcrLink *link, CcrQueue *queue)
{
	CcrTime		now = ccr_now();

	link->batch = NULL;
	in_flight--;
	ccr_line_end(&link->pool->line, &queue->line, &link->turn, now);
	for (int i = 0; i < 2; i++)
		ccr_rate_end(queue->rates[i], link->sent[i], now);
}

/* Those that nobody waits for have a deadline nevertheless. */
CcrTime
ccr_link_deadline(const CcrLink *link)
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

/* It may be set for a batch that ends later than this one. */
static void
set_late_timer(CcrLink *link)
{
	CcrTime		deadline = ccr_link_deadline(link);

	if (deadline != 0 && (!link->late_timer.armed || link->pool->local))
		ccr_timer_set(&link->late_timer, deadline);
}

void
ccr_link_cancel(CcrLink *link, CcrQueue *queue)
{
	CcrCounters *counters = queue->counters;

	ccr_link_end_batch(link, queue);
	link->cancelling = counters;
	pg_atomic_fetch_add_u32(&counters->cancelling, 1);
	ccr_link_show(link, "cancelling", NULL);
	link->carrier->ops->cancel(link->carrier);
}

void
ccr_link_begin_batch(CcrLink *link, CcrBatch *batch, int n, CcrTime now)
{
	CcrQueue   *queue = ccr_batch_queue(batch);

	for (int i = 0; i < 2; i++)
		link->sent[i] = ccr_rate_begin(queue->rates[i], now, n);
	pg_atomic_fetch_add_u64(&ccr_mailboxes[my_worker].batches, 1);
	pg_atomic_fetch_add_u64(&ccr_mailboxes[my_worker].items, n);
	in_flight++;
	link->owner = queue->source->owner;
	link->batches++;
	ccr_link_show(link, "active", NULL);
	set_late_timer(link);
}

int
ccr_links_flying(void)
{
	return in_flight;
}

/* ----------------------------------------------------------------- opening */

CcrLink *
ccr_link_open(CcrPool *pool, const CcrCarrierCalls *calls,
			  void (*batch_is_late) (void *))
{
	CcrLink    *link = MemoryContextAllocZero(pool->context, sizeof(CcrLink));

	ccr_flights_change_begin();
	link->pool = pool;
	link->carrier = pool->local ?
		ccr_local_open(pool->source->dbid, pool->source->roleid, calls, link) :
		ccr_remote_open(&pool->reach, calls, link);
	link->shown = pool->closed_row ? pool->closed_row : ccr_connection_allot(pool->source);
	pool->closed_row = NULL;
	link->lost = pool->lost;
	pool->lost = 0;
	ccr_link_show(link, "connecting", NULL);
	ccr_timer_init(&link->idle_timer, idle_too_long, link);
	ccr_timer_init(&link->late_timer, batch_is_late, link);
	dlist_push_tail(&pool->links, &link->node);
	pool->nlinks++;
	pool->nconnecting++;
	ccr_flights_change_end();
	return link;
}

void
ccr_link_connected(CcrLink *link)
{
	CcrPool    *pool = link->pool;

	link->connected = true;
	set_lacking(link, false);
	link->connected_at = ccr_now();
	ccr_connection_show_connected(link->shown, true);
	link->life = 0.9 + 0.2 * pg_prng_double(&pg_global_prng_state);
	pool->nconnecting--;
	pool->failures = 0;
	pool->down = false;
}
