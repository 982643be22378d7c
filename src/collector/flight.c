/*-------------------------------------------------------------------------
 *
 * flight.c
 *	  Flights: keys being looked up, and who waits for them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/alike.h"
#include "collector/flight.h"
#include "collector/tally.h"
#include "common/hashfn.h"
#include "shared/settings.h"
#include "utils/memutils.h"

typedef struct ListedEntry
{
	CcrFlight  *flight;
	uint32		hash;
	char		status;
} ListedEntry;

#define SH_PREFIX		flight
#define SH_ELEMENT_TYPE	ListedEntry
#define SH_KEY_TYPE		CcrFlight *
#define SH_KEY			flight
#define SH_HASH_KEY(tb, key)	((key)->hash)
#define SH_EQUAL(tb, a, b) \
	((a) == (b) || \
	 ((a)->key_length == (b)->key_length && \
	  memcmp((a)->key, (b)->key, (a)->key_length) == 0))
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a)		((a)->hash)
#define SH_SCOPE		static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

static int	changing = 0;		/* changes under way */
static void (*batch_deserted) (struct CcrBatch *);

void
ccr_flights_init(void (*deserted) (struct CcrBatch *))
{
	batch_deserted = deserted;
}

void
ccr_flights_prepare(CcrQueue *queue)
{
	queue->listed = flight_create(queue->context, 64, NULL);
}

void
ccr_flights_change_begin(void)
{
	changing++;
}

void
ccr_flights_change_end(void)
{
	if (--changing == 0)
		ccr_tally_tell();
}

bool
ccr_flights_inconsistent(void)
{
	return changing > 0;
}

/* ---------------------------------------------------- which may be joined */

void
ccr_flight_unlist(CcrFlight *flight)
{
	if (flight->listed)
		flight_delete(flight->queue->listed, flight);
	flight->listed = false;
}

/* In the place of another with the same key, if there was one. */
static void
enter_in_list(CcrFlight *flight, ListedEntry *entry, bool found)
{
	/* it flies on for those who wait for it; nobody else joins it */
	if (found)
		entry->flight->listed = false;
	entry->flight = flight;
	flight->listed = true;
}

/* 0: it has none. */
static CcrTime
window_end(const CcrRequest *request)
{
	return request->window_end > request->submitted ? request->window_end : 0;
}

/* The more impatient of those who wait for it decides when it goes: waiting.h. */
static void
join_flight(CcrFlight *flight, const CcrRequest *request)
{
	if (!ccr_party_same(flight->party, request->party))
		flight->several = true;
	if (flight->state == CCR_FLIGHT_WAITING)
		ccr_waiting_hasten(&flight->queue->waiting, &flight->waiting, window_end(request),
						   request->max_size, request->max_bytes);
}

static bool
may_join(const CcrFlight *flight, int coalesce)
{
	return flight->state != CCR_FLIGHT_FLYING || coalesce == CCR_COALESCE_FLIGHT;
}

/* --------------------------------------------------------------- admission */

void
ccr_flight_free(CcrFlight *flight)
{
	Assert(flight->nwaiters == 0);
	ccr_flight_unlist(flight);
	if (flight->reserved)
		ccr_tally_room(flight->counters, 1, 0);
	ccr_ticket_release(flight->ticket);
}

static void
start_waiting(CcrFlight *flight)
{
	flight->state = CCR_FLIGHT_WAITING;
	ccr_waiting_add(&flight->queue->waiting, &flight->waiting);
}

CcrFlight *
ccr_flight_of(CcrWaitingEntry *entry)
{
	return (CcrFlight *) ((char *) entry - offsetof(CcrFlight, waiting));
}

static CcrFlight *
new_flight(CcrTicket *ticket, const CcrItem *item, uint32 hash)
{
	const CcrRequest *request = ticket->request;
	CcrFlight  *flight = &ticket->flights[ticket->nflights++];

	memset(flight, 0, sizeof(CcrFlight));
	ticket->references++;
	flight->ticket = ticket;
	flight->item = unconstify(CcrItem *, item);
	if (ticket->items)
	{
		/* copied, as the request may be gone before the flight */
		flight->item = (CcrItem *) ticket->items;
		memcpy(flight->item, item, offsetof(CcrItem, data) + item->length);
		ticket->items += CCR_ITEM_SIZE(item->length);
	}
	flight->key = ccr_item_key(flight->item, &flight->key_length);
	flight->queue = ticket->queue;
	flight->hash = hash;
	flight->reserved = request->reserved;
	flight->counters = &ccr_counters[request->counters];
	flight->party = request->party;
	flight->arrived = request->submitted;
	flight->waiting.roleid = request->party.outer;
	flight->waiting.window_end = window_end(request);
	flight->waiting.bytes = item->length;
	flight->waiting.max_size = request->max_size;
	flight->waiting.max_bytes = request->max_bytes;
	dlist_init(&flight->waiters);
	return flight;
}

static void
admit_item(CcrTicket *ticket, uint32 index, const CcrItem *item)
{
	CcrRequest *request = ticket->request;
	CcrQueue   *queue = ticket->queue;
	CcrWaiter  *waiter = &ticket->waiters[index];
	bool		enqueued = request->kind == CCR_REQUEST_ENQUEUED;
	CcrFlight	probe;
	CcrFlight  *flight = NULL;
	ListedEntry *entry = NULL;
	bool		found = false;

	probe.hash = 0;
	if (request->coalesce != CCR_COALESCE_OFF)
	{
		probe.key = ccr_item_key(item, &probe.key_length);
		probe.hash = hash_bytes((const unsigned char *) probe.key, probe.key_length);
		entry = flight_insert_hash(queue->listed, &probe, probe.hash, &found);
		if (found && may_join(entry->flight, request->coalesce))
			flight = entry->flight;
	}
	waiter->placed = enqueued && flight == NULL;
	if (flight)
	{
		join_flight(flight, request);
		ccr_tally_room(ticket->counters, request->reserved ? 1 : 0, enqueued ? 1 : 0);
		ccr_tally.coalesced += ticket->again ? 0 : 1;
		request->joined++;
		if (flight->state == CCR_FLIGHT_FLYING)
			ccr_ticket_depart(ticket, ccr_now());
	}
	else
	{
		flight = new_flight(ticket, item, probe.hash);
		ccr_tally_for(ticket->counters, ticket->warrant);
		ccr_tally.misses += ticket->again ? 0 : 1;
		if (entry)
			enter_in_list(flight, entry, found);
		start_waiting(flight);
	}
	waiter->ticket = ticket;
	waiter->flight = flight;
	waiter->item = index;
	dlist_push_tail(&flight->waiters, &waiter->node);
	flight->nwaiters++;
	ticket->admitted++;
}

static void end_late(void *arg);

static CcrTicket *
new_ticket(CcrQueue *queue, CcrRequest *request)
{
	Size		n = request->nitems;
	bool		enqueued = request->kind == CCR_REQUEST_ENQUEUED;
	Size		waiters = CCR_TICKET_SIZE;
	Size		flights = waiters + n * sizeof(CcrWaiter);
	Size		items = flights + n * sizeof(CcrFlight);
	CcrTicket  *ticket = ccr_ticket_new(queue, request,
										items + (enqueued ? 0 : request->nbytes));

	ticket->waiters = (CcrWaiter *) ((char *) ticket + waiters);
	ticket->flights = (CcrFlight *) ((char *) ticket + flights);
	ticket->items = enqueued ? NULL : (char *) ticket + items;
	if (request->deadline != 0)
	{
		ccr_timer_init(&ticket->deadline_timer, end_late, ticket);
		ccr_timer_set(&ticket->deadline_timer, request->deadline);
	}
	return ticket;
}

void
ccr_flights_admit(CcrQueue *queue, CcrRequest *request)
{
	bool		enqueued = request->kind == CCR_REQUEST_ENQUEUED;
	CcrItem    *item = ccr_request_first(request);
	CcrTicket  *ticket;

	ccr_request_check(request, queue->source->nargs);
	ccr_flights_change_begin();

	/* the entry may have been given away while nothing was going on */
	queue->counters = &ccr_counters[request->counters];
	ticket = new_ticket(queue, request);
	pg_atomic_write_u32(&request->phase, CCR_PHASE_QUEUED);
	if (enqueued)
		ccr_ticket_rely(ticket);
	for (uint32 i = 0; i < request->nitems; i++)
	{
		if (enqueued && ccr_request_ended(request)[i])
		{
			/* an earlier generation has seen to it */
			ticket->waiters[i].flight = NULL;
			ticket->admitted++;
			ticket->remaining--;
		}
		else
			admit_item(ticket, i, item);
		item = ccr_item_next(item);
	}
	if (ticket->remaining == 0)
		ccr_ticket_end(ticket, ccr_now());
	ccr_flights_change_end();
}

/* ------------------------------------------------------ taking off, grounding */

Oid
ccr_flights_next_role(CcrQueue *queue, CcrTime now)
{
	CcrGroup   *group = ccr_queue_ready_group(queue, now);

	return group ? group->flights[0]->waiting.roleid :
		ccr_waiting_next_role(&queue->waiting);
}

void
ccr_flight_take_off(CcrFlight *flight, struct CcrBatch *batch, CcrTime now)
{
	dlist_iter	iter;

	flight->state = CCR_FLIGHT_FLYING;
	flight->batch = batch;
	if (flight->reserved)
		ccr_tally_room(flight->counters, 1, 0);
	flight->reserved = false;
	dlist_foreach(iter, &flight->waiters)
		ccr_ticket_depart(dlist_container(CcrWaiter, node, iter.cur)->ticket, now);
}

/*
 * The flights of a group that someone still waits for.  Those that must be
 * apart from others of it stay behind, as a group.
 */
static CcrFlight **
take_group(CcrQueue *queue, CcrGroup *group, struct CcrBatch *batch,
		   bool apart, int most, int *n, CcrTime now)
{
	CcrFlight **flights = palloc(group->n * sizeof(CcrFlight *));
	CcrHashes	hashes = {NULL, 0};
	int			left = 0;

	ccr_group_remove(queue, group);
	if (apart)
		hashes = ccr_hashes_new(group->n);
	*n = 0;
	for (int i = 0; i < group->n; i++)
	{
		CcrFlight  *flight = group->flights[i];

		if (flight->nwaiters == 0)
		{
			ccr_flight_free(flight);
			continue;
		}
		if (*n >= most ||
			(apart && !ccr_hashes_add(&hashes, flight->item->equality)))
		{
			group->flights[left++] = flight;
			continue;
		}
		ccr_flight_take_off(flight, batch, now);
		flights[(*n)++] = flight;
	}
	group->n = left;
	if (left > 0)
		ccr_group_put_back(queue, group);
	else
		ccr_group_free(group);
	return flights;
}

/* A batch that is made of what waits. */
typedef struct Taking
{
	CcrFlight **flights;
	int			n;
	struct CcrBatch *batch;
	bool		apart;
	CcrHashes	hashes;
	CcrTime		now;
	CcrTime		waited;
} Taking;

/* One that must be apart from another is passed over, and has the next turn. */
static bool
take_entry(CcrWaitingEntry *entry, void *arg)
{
	Taking	   *taking = arg;
	CcrFlight  *flight = ccr_flight_of(entry);

	if (taking->apart && !ccr_hashes_add(&taking->hashes, flight->item->equality))
		return false;
	taking->waited += Max(taking->now - flight->arrived, 0);
	ccr_flight_take_off(flight, taking->batch, taking->now);
	taking->flights[taking->n++] = flight;
	return true;
}

static CcrFlight **
take_waiting_flights(CcrQueue *queue, struct CcrBatch *batch, bool apart, int *n,
					 int most, CcrTime now, CcrTime *waited)
{
	int			limit = Min(queue->waiting.n, most);
	Taking		taking = {
		.flights = palloc(Max(limit, 1) * sizeof(CcrFlight *)),
		.batch = batch,
		.apart = apart,
		.now = now
	};

	if (apart)
		taking.hashes = ccr_hashes_new(limit);
	ccr_waiting_take(&queue->waiting, limit, take_entry, &taking);
	*n = taking.n;
	*waited = taking.waited;
	return taking.flights;
}

/* What waits has its turns: those that fly again do not keep it back. */
CcrFlight **
ccr_flights_take(CcrQueue *queue, struct CcrBatch *batch, bool apart, int most, int *n,
				 CcrTime *waited)
{
	CcrTime		now = ccr_now();
	CcrGroup   *group = ccr_queue_ready_group(queue, now);

	if (group == NULL || (queue->turn && ccr_waiting_due(&queue->waiting, now)))
	{
		queue->turn = false;
		return take_waiting_flights(queue, batch, apart, n, most, now, waited);
	}
	queue->turn = true;
	*waited = -1;
	return take_group(queue, group, batch, apart, most, n, now);
}

/* It is to fly again; false: nobody waits for it. */
bool
ccr_flight_ground(CcrFlight *flight)
{
	dlist_iter	iter;

	if (flight->nwaiters == 0)
	{
		ccr_flight_free(flight);
		return false;
	}
	flight->state = CCR_FLIGHT_GROUPED;
	flight->batch = NULL;
	memset(&flight->outcome, 0, sizeof(CcrOutcome));
	dlist_foreach(iter, &flight->waiters)
		ccr_ticket_move_to_active(dlist_container(CcrWaiter, node, iter.cur)->ticket, -1);
	return true;
}

void
ccr_flights_regroup(CcrQueue *queue, CcrFlight **flights, int n,
					CcrTime retry_at)
{
	CcrGroup   *group = ccr_group_new(n);

	for (int i = 0; i < n; i++)
		if (ccr_flight_ground(flights[i]))
			group->flights[group->n++] = flights[i];
	group->n = ccr_flights_drop_from(queue, group->flights, group->n);
	if (group->n > 0)
		ccr_group_add(queue, group, retry_at);
	else
		ccr_group_free(group);
}

/* ----------------------------------------------------------- other endings */

/*
 * A flight that waits goes on for those who joined it.  It leaves the ticket,
 * which may be a thousand times as large, and is not counted anywhere once its
 * request has gone.  One that flies stays, as its batch stays with it.
 */
static void
move_out(CcrFlight *flight)
{
	CcrTicket  *old = flight->ticket;
	Size		item = offsetof(CcrItem, data) + flight->item->length;
	CcrTicket  *ticket = ccr_ticket_new_bare(CCR_TICKET_SIZE + sizeof(CcrFlight) + item);
	CcrFlight  *moved;
	dlist_mutable_iter iter;

	if (ticket == NULL)
		return;
	moved = (CcrFlight *) ((char *) ticket + CCR_TICKET_SIZE);
	memcpy(moved, flight, sizeof(CcrFlight));
	moved->ticket = ticket;
	moved->item = (CcrItem *) (moved + 1);
	memcpy(moved->item, flight->item, item);
	moved->key = ccr_item_key(moved->item, &moved->key_length);
	if (flight->listed)
		flight_lookup_hash(flight->queue->listed, flight, flight->hash)->flight = moved;
	ccr_waiting_replace(&flight->queue->waiting, &flight->waiting, &moved->waiting);
	dlist_init(&moved->waiters);
	dlist_foreach_modify(iter, &flight->waiters)
	{
		dlist_delete(iter.cur);
		dlist_push_tail(&moved->waiters, iter.cur);
		dlist_container(CcrWaiter, node, iter.cur)->flight = moved;
	}
	ccr_ticket_release(old);
}

/* One waiter has left; a flight without any is of no use to anybody. */
static void
leave_flight(CcrWaiter *waiter)
{
	CcrFlight  *flight = waiter->flight;

	ccr_tally_for(waiter->ticket->counters, NULL);
	if (flight == NULL || flight->state == CCR_FLIGHT_FLYING)
		ccr_tally.active--;
	else
		ccr_tally.queued--;
	if (flight == NULL)
		return;

	dlist_delete(&waiter->node);
	waiter->flight = NULL;
	if (--flight->nwaiters > 0)
	{
		if (flight->state == CCR_FLIGHT_WAITING && flight->ticket == waiter->ticket &&
			waiter->ticket->request->nitems > 1)
			move_out(flight);
		return;
	}

	/* nobody may join what is about to be cancelled */
	ccr_flight_unlist(flight);
	if (flight->state == CCR_FLIGHT_WAITING)
	{
		ccr_waiting_remove(&flight->queue->waiting, &flight->waiting);
		ccr_flight_free(flight);
	}
	else if (flight->state == CCR_FLIGHT_FLYING)
		batch_deserted(flight->batch);
}

static void
leave_flights(CcrTicket *ticket)
{
	while (ticket->nleft < ticket->request->nitems)
		leave_flight(&ticket->waiters[ticket->nleft++]);
	ccr_ticket_free(ticket);
	ccr_tally_tell();
}

void
ccr_flights_leave(CcrRequest *request)
{
	CcrTicket  *ticket = ccr_ticket_of(request);

	if (ticket)
		leave_flights(ticket);
}

/* A future's time is over, and its session may be busy elsewhere, or idle. */
static void
end_late(void *arg)
{
	CcrTicket  *ticket = arg;
	CcrRequest *request = ticket->request;
	CcrCounters *counters = ticket->counters;
	uint32		n = request->nitems;

	leave_flights(ticket);
	ccr_count(counters, CCR_TIMEOUTS, n);
	if (!ccr_request_complete(request, CCR_FAILURE_TIMEOUT))
		ccr_count(counters, CCR_TIMEOUTS, -(int64) n);
}

static CcrRequest *forgetting;	/* argument of forget_in_queue() */

static void
forget_in_queue(CcrQueue *queue)
{
	CcrItem    *item = ccr_request_first(forgetting);
	CcrFlight	probe;
	ListedEntry *entry;
	flight_iterator iter;

	if (queue->source->dbid != forgetting->dbid ||
		(OidIsValid(forgetting->function) &&
		 queue->source->function != forgetting->function))
		return;
	if (forgetting->nitems == 0)
	{
		flight_start_iterate(queue->listed, &iter);
		while ((entry = flight_iterate(queue->listed, &iter)) != NULL)
			entry->flight->listed = false;
		flight_reset(queue->listed);
		return;
	}
	probe.key = ccr_item_key(item, &probe.key_length);
	probe.hash = hash_bytes((const unsigned char *) probe.key, probe.key_length);
	entry = flight_lookup_hash(queue->listed, &probe, probe.hash);
	if (entry)
		ccr_flight_unlist(entry->flight);
}

void
ccr_flights_forget(CcrRequest *request)
{
	ccr_request_check(request, 0);
	forgetting = request;
	ccr_queues_visit(forget_in_queue);
	(void) ccr_request_complete(request, CCR_FAILURE_NONE);
}

/* ----------------------------------- warrants that have ended, discarded items */

/* Why all who have enqueued it may no more, or 0. */
int
ccr_flight_why_unwarranted(CcrFlight *flight)
{
	int			sqlstate = 0;
	dlist_iter	iter;

	dlist_foreach(iter, &flight->waiters)
	{
		CcrRequest *request = dlist_container(CcrWaiter, node, iter.cur)->ticket->request;

		sqlstate = ccr_ticket_unwarranted(request);
		if (sqlstate == 0)
			return 0;
	}
	return sqlstate;
}

static void
give_up_waiter(CcrWaiter *waiter)
{
	CcrTicket  *ticket = waiter->ticket;

	dlist_delete(&waiter->node);
	waiter->flight->nwaiters--;
	waiter->flight = NULL;
	ccr_ticket_settle_unwarranted(ticket->request, waiter->item, waiter->placed);
	if (--ticket->remaining == 0)
		ccr_ticket_end(ticket, ccr_now());
}

/* Its item is a part of a request, and may go with the last waiter. */
uint32
ccr_flight_drop(CcrFlight *flight)
{
	uint32		n = flight->nwaiters;

	ccr_flight_unlist(flight);
	while (!dlist_is_empty(&flight->waiters))
		give_up_waiter(dlist_head_element(CcrWaiter, node, &flight->waiters));
	ccr_flight_free(flight);
	return n;
}

void
ccr_flights_log_dropped(const CcrQueue *queue, uint32 n, int sqlstate)
{
	if (n == 0)
		return;
	ereport(WARNING,
			(errcode(sqlstate),
			 errmsg("discarded %u enqueued items of lookup %s: %s",
					n, queue->source->function_name, ccr_warrant_reason(sqlstate)),
			 queue->source->server_name[0] ?
			 errcontext("server \"%s\"", queue->source->server_name) : 0));
}

int
ccr_flights_drop_from(CcrQueue *queue, CcrFlight **flights, int n)
{
	uint32		dropped = 0;
	int			why = 0;
	int			left = 0;

	if (!queue->source->enqueued)
		return n;
	for (int i = 0; i < n; i++)
	{
		int			sqlstate = ccr_flight_why_unwarranted(flights[i]);

		if (sqlstate == 0)
			flights[left++] = flights[i];
		else
		{
			why = sqlstate;
			dropped += ccr_flight_drop(flights[i]);
		}
	}
	ccr_flights_log_dropped(queue, dropped, why);
	return left;
}

bool
ccr_flight_drop_unwarranted(CcrFlight *flight)
{
	CcrQueue   *queue = flight->queue;
	int			sqlstate = ccr_flight_why_unwarranted(flight);

	if (sqlstate == 0)
		return false;
	ccr_flights_log_dropped(queue, ccr_flight_drop(flight), sqlstate);
	return true;
}

/* -------------------------------------------------------- the collector exits */

/* What has not ended is as it was before this generation took it. */
static void
leave_to_next(CcrTicket *ticket)
{
	CcrCounters *counters = ticket->counters;

	for (uint32 i = 0; i < ticket->admitted; i++)
	{
		CcrWaiter  *waiter = &ticket->waiters[i];

		if (waiter->flight == NULL)
			continue;
		if (waiter->flight->state == CCR_FLIGHT_FLYING)
			ccr_ticket_move_to_active(ticket, -1);
		if (!waiter->placed)
			pg_atomic_fetch_add_u32(&counters->places, 1);
	}
}

/*
 * A write that was sent may have had its effect; whoever asked must be told that
 * nobody knows.
 */
static void
fail_ticket(CcrTicket *ticket)
{
	CcrCounters *counters = ticket->counters;
	CcrFailure	failure = CCR_FAILURE_COLLECTOR_EXIT;
	uint32		n = ticket->request->nitems;

	if (ticket->request->kind == CCR_REQUEST_ENQUEUED)
	{
		leave_to_next(ticket);
		return;
	}
	ccr_count(counters, CCR_ERRORS, n);
	for (uint32 i = ticket->nleft; i < n; i++)
	{
		bool		admitted = i < ticket->admitted;
		CcrFlight  *flight = admitted ? ticket->waiters[i].flight : NULL;
		bool		sent = admitted &&
			(flight == NULL || flight->state == CCR_FLIGHT_FLYING);

		if (!admitted && ticket->request->reserved)
			ccr_counters_release_backlog(counters, 1);
		ccr_gauge(counters, sent ? 0 : -1, sent ? -1 : 0);
		if (sent && !ticket->queue->source->resend)
			failure = CCR_FAILURE_UNKNOWN_OUTCOME;
		if (flight && flight->reserved)
		{
			flight->reserved = false;
			ccr_counters_release_backlog(flight->counters, 1);
		}
	}
	ccr_ticket_complete(ticket->request, counters, failure, n);
}

/* The flights themselves go with the process. */
void
ccr_flights_fail_all(void)
{
	ccr_queues_hide_circuits();
	ccr_tally_tell();
	ccr_tickets_visit(fail_ticket);
	ccr_tally_tell();
}
