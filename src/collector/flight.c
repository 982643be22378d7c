/*-------------------------------------------------------------------------
 *
 * flight.c
 *	  Keys being looked up, and who waits for them.
 *
 * The gauges of a function count calls, that is waiters: queued while their
 * flight waits, active once it flies and until their request is complete.
 * The backlog counts flights that wait: it is what concresce.queue_size
 * bounds, so an item that joins another gives its place back.
 *
 * Enqueued items have queues of their own.  They keep their places until they
 * have ended: what fails for a cause that passes waits again, and would find
 * them taken.
 *
 * What is counted in shared memory is added up first: an admission, a take-off
 * or a landing changes a word there once, not once for each item.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/alike.h"
#include "collector/budget.h"
#include "collector/flight.h"
#include "common/hashfn.h"
#include "shared/warrant.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

typedef struct CcrWaiter
{
	dlist_node	node;			/* in the flight's waiters */
	CcrTicket  *ticket;
	CcrFlight  *flight;			/* NULL once landed */
	uint32		item;			/* index within the request */
	bool		placed;			/* has a place; enqueued items only */
} CcrWaiter;

/*
 * A ticket is allotted together with its waiters and the flights that its items
 * start, as these come and go by the million.  A flight may outlive the ticket
 * if others have joined it, so the last of them frees all.
 */
struct CcrTicket
{
	int			references;		/* flights, and the request */
	int			nflights;		/* used of these: */
	CcrFlight  *flights;
	char	   *items;			/* where the next flight's is copied to; NULL:
								 * it stays in the request */
	CcrRequest *request;		/* hash key */
	CcrQueue   *queue;
	CcrCounters *counters;		/* that the backend counted the calls in */
	CcrWarrant *warrant;		/* NULL: it was not enqueued */
	dlist_node	warrant_node;
	uint32		admitted;		/* items that have their waiters */
	uint32		remaining;		/* items not yet landed */
	uint32		errors;			/* items that landed with one */
	CcrTime		departed;		/* when the first of them took off, or 0 */
	CcrFailure	failure;		/* a block of the answer found no room */
	CcrTimer	deadline_timer; /* of a request that nobody need be waiting
								 * for */
	bool		again;			/* an earlier generation had admitted it */
	Size		memory;			/* that it and its flights take */
	int			nlanded;		/* in this landing: */
	uint32		failed;			/* of these, with an error */
	CcrWaiter **landed;
	dlist_node	landed_node;
	CcrWaiter  *waiters;		/* as many as the request has items */
};

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

typedef struct TicketEntry
{
	CcrRequest *request;
	CcrTicket  *ticket;
	char		status;
} TicketEntry;

#define SH_PREFIX		ticket
#define SH_ELEMENT_TYPE	TicketEntry
#define SH_KEY_TYPE		CcrRequest *
#define SH_KEY			request
#define SH_HASH_KEY(tb, key)	murmurhash32((uint32) ((uintptr_t) (key) >> 3))
#define SH_EQUAL(tb, a, b)		((a) == (b))
#define SH_SCOPE		static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* Tickets that rely on a warrant, in about the order of their commits. */
typedef struct Reliance
{
	CcrWarrant *warrant;		/* hash key */
	dlist_head	tickets;
	int			ended;			/* these two as they were when looked at last */
	CcrTime		discard_until;
} Reliance;

static MemoryContext flight_context;	/* tickets, flights, groups */
static MemoryContext landing_context;	/* reset with each landing */

static HTAB *queues;
static dlist_head all_queues = DLIST_STATIC_INIT(all_queues);
static struct ticket_hash *tickets;
static HTAB *reliances;			/* by warrant */
static int	torn = 0;			/* > 0 while they are being changed */
static void (*batch_deserted) (struct CcrBatch *);

/* It is a hash already. */
static uint32
fingerprint_hash(const void *key, Size size)
{
	uint32		hash;

	memcpy(&hash, key, sizeof(hash));
	return hash;
}

void
ccr_flights_init(void (*deserted) (struct CcrBatch *))
{
	HASHCTL		ctl = {
		.keysize = sizeof(CcrFingerprint),
		.entrysize = sizeof(CcrFingerprint) + sizeof(CcrQueue *),
		.hash = fingerprint_hash
	};
	HASHCTL		reliance = {.keysize = sizeof(CcrWarrant *), .entrysize = sizeof(Reliance)};

	flight_context = AllocSetContextCreate(TopMemoryContext, "concresce flights",
										   ALLOCSET_DEFAULT_SIZES);
	landing_context = AllocSetContextCreate(TopMemoryContext, "concresce landing",
											ALLOCSET_DEFAULT_SIZES);
	queues = hash_create("concresce queues", 64, &ctl, HASH_ELEM | HASH_FUNCTION);
	reliances = hash_create("concresce warrants", 64, &reliance, HASH_ELEM | HASH_BLOBS);
	tickets = ticket_create(TopMemoryContext, 256, NULL);
	batch_deserted = deserted;
}

/*
 * What is to be told to shared memory, of one function or warrant at a time.
 * Room is given back for all items at once, too, so that as many are woken as
 * there is room for, and not all for each.  It must be told before anybody
 * learns of the end of his request, as he may look.
 */
static struct
{
	CcrCounters *counters;
	uint32		backlog;		/* room given back */
	uint32		places;
	int			queued;			/* gauges */
	int			active;
	uint32		coalesced;
	uint32		misses;
	uint32		answered;
	uint32		errors;
	uint32		discarded;

	CcrWarrant *warrant;
	int			flying;
	uint32		settled;
}			tally;

static void
tell_counter(CcrCounter counter, int64 n)
{
	if (n != 0)
		ccr_count(tally.counters, counter, n);
}

/* The gauge comes last: an entry without calls may be another function's next. */
static void
tell_counters(void)
{
	tell_counter(CCR_COALESCED, tally.coalesced);
	tell_counter(CCR_MISSES, tally.misses);
	tell_counter(CCR_ERRORS, tally.errors);
	tell_counter(CCR_DISCARDED, tally.discarded);
	tell_counter(CCR_ANSWERED, tally.answered);
	if (tally.queued != 0 || tally.active != 0)
		ccr_gauge(tally.counters, tally.queued, tally.active);
	if (tally.backlog > 0)
		ccr_counters_release_backlog(tally.counters, tally.backlog);
	if (tally.places > 0)
		ccr_places_release(tally.counters, tally.places);
}

static void
tell_warrant(void)
{
	if (tally.flying != 0)
		pg_atomic_fetch_add_u64(&tally.warrant->flying, tally.flying);
	if (tally.settled > 0)
		pg_atomic_fetch_sub_u64(&tally.warrant->items, tally.settled);
}

static void
tell_tally(void)
{
	if (tally.counters)
		tell_counters();
	if (tally.warrant)
		tell_warrant();
	memset(&tally, 0, sizeof(tally));
}

/* What is added up from now on is of these; warrant: NULL, or whose items. */
static void
tally_for(CcrCounters *counters, CcrWarrant *warrant)
{
	if (tally.counters == counters &&
		(tally.warrant == warrant || warrant == NULL || tally.warrant == NULL))
	{
		if (warrant)
			tally.warrant = warrant;
		return;
	}
	tell_tally();
	tally.counters = counters;
	tally.warrant = warrant;
}

static void
give_up_room(CcrCounters *counters, uint32 backlog, uint32 places)
{
	tally_for(counters, NULL);
	tally.backlog += backlog;
	tally.places += places;
}

void
ccr_flights_tear(bool begin)
{
	torn += begin ? 1 : -1;
	if (torn == 0)
		tell_tally();
}

/* ------------------------------------------------------------------ queues */

typedef struct QueueEntry
{
	CcrFingerprint fingerprint;
	CcrQueue   *queue;
} QueueEntry;

/* Of enqueued items, halves before other halves: so one bad item is found soon. */
static int
retry_later(const pairingheap_node *a, const pairingheap_node *b, void *arg)
{
	const CcrGroup *ga = pairingheap_const_container(CcrGroup, retry_node, a);
	const CcrGroup *gb = pairingheap_const_container(CcrGroup, retry_node, b);

	if (ga->retry_at != gb->retry_at)
		return ga->retry_at < gb->retry_at ? 1 : -1;
	return ga->order < gb->order ? 1 : ga->order > gb->order ? -1 : 0;
}

CcrQueue *
ccr_queue_find(const CcrFingerprint *fingerprint)
{
	QueueEntry *entry = hash_search(queues, fingerprint, HASH_FIND, NULL);

	return entry ? entry->queue : NULL;
}

CcrQueue *
ccr_queue_create(const CcrFingerprint *fingerprint, CcrSource *source,
				 MemoryContext context, CcrCounters *counters,
				 void (*window_ended) (void *))
{
	static uint64 next_serial = 1;
	CcrQueue   *queue = MemoryContextAllocZero(context, sizeof(CcrQueue));
	MemoryContext old = MemoryContextSwitchTo(context);
	QueueEntry *entry;

	queue->fingerprint = *fingerprint;
	queue->source = source;
	queue->context = context;
	queue->serial = next_serial++;
	queue->counters = counters;
	queue->listed = flight_create(context, 64, NULL);
	ccr_waiting_init(&queue->waiting, context);
	dlist_init(&queue->groups);
	queue->retries = pairingheap_allocate(retry_later, NULL);
	dlist_init(&queue->suspects);
	ccr_timer_init(&queue->window_timer, window_ended, queue);
	MemoryContextSwitchTo(old);

	entry = hash_search(queues, fingerprint, HASH_ENTER, NULL);
	entry->queue = queue;
	dlist_push_tail(&all_queues, &queue->node);
	return queue;
}

static void
hide_circuit(CcrQueue *queue)
{
	if (queue->open)
		ccr_counters_close_circuit(queue->counters);
	queue->open = false;
}

void
ccr_queue_free(CcrQueue *queue)
{
	Assert(queue->waiting.n == 0 && queue->flying == 0);
	hide_circuit(queue);
	ccr_timer_clear(&queue->window_timer);
	ccr_timer_clear(&queue->idle_timer);
	dlist_delete(&queue->node);
	hash_search(queues, &queue->fingerprint, HASH_REMOVE, NULL);
	MemoryContextDelete(queue->context);
}

static void
visit_queues(void (*visit) (CcrQueue *))
{
	dlist_iter	iter;

	dlist_foreach(iter, &all_queues)
		visit(dlist_container(CcrQueue, node, iter.cur));
}

/* ----------------------------------------------------------------- flights */

static void
unlist(CcrFlight *flight)
{
	if (flight->listed)
		flight_delete(flight->queue->listed, flight);
	flight->listed = false;
}

/* In the place of another with the same key, if there was one. */
static void
list(CcrFlight *flight, ListedEntry *entry, bool found)
{
	/* it flies on for those who wait for it; nobody else joins it */
	if (found)
		entry->flight->listed = false;
	entry->flight = flight;
	flight->listed = true;
}

static void
release_ticket(CcrTicket *ticket)
{
	if (--ticket->references > 0)
		return;
	ccr_budget_own(-(int64) ticket->memory);
	pfree(ticket);
}

static void
free_flight(CcrFlight *flight)
{
	Assert(flight->nwaiters == 0);
	unlist(flight);
	if (flight->reserved)
		give_up_room(flight->counters, 1, 0);
	release_ticket(flight->ticket);
}

static void
start_waiting(CcrFlight *flight)
{
	flight->state = CCR_FLIGHT_WAITING;
	ccr_waiting_add(&flight->queue->waiting, &flight->waiting);
}

static CcrFlight *
waiting_flight(CcrWaitingEntry *entry)
{
	return (CcrFlight *) ((char *) entry - offsetof(CcrFlight, waiting));
}

/* 0: it has none. */
static CcrTime
window_end(const CcrRequest *request)
{
	return request->window_end > request->submitted ? request->window_end : 0;
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

/* The more impatient of those who wait for it decides when it goes: waiting.h. */
static void
join(CcrFlight *flight, const CcrRequest *request)
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

/* Calls whose flights take off; a negative number of those that come back. */
static void
move_to_active(CcrTicket *ticket, int n)
{
	tally_for(ticket->counters, ticket->warrant);
	tally.queued -= n;
	tally.active += n;
	if (ticket->warrant)
		tally.flying += n;
}

/* So that it is known since when the oldest waits. */
static void
show_oldest(Reliance *reliance)
{
	CcrTicket  *oldest = dlist_container(CcrTicket, warrant_node,
										 dlist_head_node(&reliance->tickets));

	pg_atomic_write_u64(&reliance->warrant->oldest, oldest->request->submitted);
}

static void
begin_reliance(CcrTicket *ticket)
{
	bool		found;
	Reliance   *reliance = hash_search(reliances, &ticket->warrant, HASH_ENTER, &found);

	if (!found)
	{
		dlist_init(&reliance->tickets);
		reliance->ended = 0;
		reliance->discard_until = 0;
	}
	dlist_push_tail(&reliance->tickets, &ticket->warrant_node);
	show_oldest(reliance);
}

static void
end_reliance(CcrTicket *ticket)
{
	Reliance   *reliance = hash_search(reliances, &ticket->warrant, HASH_FIND, NULL);

	dlist_delete(&ticket->warrant_node);
	if (!dlist_is_empty(&reliance->tickets))
	{
		show_oldest(reliance);
		return;
	}
	pg_atomic_write_u64(&ticket->warrant->oldest, 0);
	hash_search(reliances, &ticket->warrant, HASH_REMOVE, NULL);
}

/* The flight of one of its waiters takes off, or has. */
static void
depart(CcrTicket *ticket, CcrTime now)
{
	move_to_active(ticket, 1);
	if (ticket->departed != 0)
		return;
	ticket->departed = now;
	pg_atomic_write_u32(&ticket->request->phase, CCR_PHASE_IN_FLIGHT);
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
		join(flight, request);
		give_up_room(ticket->counters, request->reserved ? 1 : 0, enqueued ? 1 : 0);
		tally.coalesced += ticket->again ? 0 : 1;
		request->joined++;
		if (flight->state == CCR_FLIGHT_FLYING)
			depart(ticket, ccr_now());
	}
	else
	{
		flight = new_flight(ticket, item, probe.hash);
		tally_for(ticket->counters, ticket->warrant);
		tally.misses += ticket->again ? 0 : 1;
		if (entry)
			list(flight, entry, found);
		start_waiting(flight);
	}
	waiter->ticket = ticket;
	waiter->flight = flight;
	waiter->item = index;
	dlist_push_tail(&flight->waiters, &waiter->node);
	flight->nwaiters++;
	ticket->admitted++;
}

static void end_ticket(CcrTicket *ticket, CcrTime now);
static void end_late(void *arg);
static int	is_unwarranted(CcrRequest *request);
static void drop_unwarranted(CcrQueue *queue);
static void drop_from_group(CcrQueue *queue, CcrGroup *group);

static CcrTicket *
new_ticket(CcrQueue *queue, CcrRequest *request)
{
	Size		n = request->nitems;
	bool		enqueued = request->kind == CCR_REQUEST_ENQUEUED;
	Size		waiters = MAXALIGN(sizeof(CcrTicket));
	Size		flights = waiters + n * sizeof(CcrWaiter);
	Size		items = flights + n * sizeof(CcrFlight);
	Size		memory = items + (enqueued ? 0 : request->nbytes);
	CcrTicket  *ticket;
	bool		found;

	ccr_budget_own(memory);
	ticket = MemoryContextAllocHuge(flight_context, memory);
	memset(ticket, 0, sizeof(CcrTicket));
	ticket->references = 1;
	ticket->waiters = (CcrWaiter *) ((char *) ticket + waiters);
	ticket->flights = (CcrFlight *) ((char *) ticket + flights);
	ticket->items = enqueued ? NULL : (char *) ticket + items;
	ticket->memory = memory;
	ticket->request = request;
	ticket->queue = queue;
	ticket->counters = &ccr_counters[request->counters];
	ticket->remaining = n;
	ticket->again = pg_atomic_read_u32(&request->phase) != CCR_PHASE_SUBMITTED;
	if (request->deadline != 0)
	{
		ccr_timer_init(&ticket->deadline_timer, end_late, ticket);
		ccr_timer_set(&ticket->deadline_timer, request->deadline);
	}
	ticket_insert(tickets, request, &found)->ticket = ticket;
	Assert(!found);
	return ticket;
}

void
ccr_queue_admit(CcrQueue *queue, CcrRequest *request)
{
	bool		enqueued = request->kind == CCR_REQUEST_ENQUEUED;
	bool		unwarranted = enqueued && is_unwarranted(request) != 0;
	CcrItem    *item = ccr_request_first(request);
	CcrTicket  *ticket;

	ccr_request_check(request, queue->source->nargs);
	ccr_flights_tear(true);

	/* the entry may have been given away while nothing was going on */
	queue->counters = &ccr_counters[request->counters];
	ticket = new_ticket(queue, request);
	pg_atomic_write_u32(&request->phase, CCR_PHASE_QUEUED);
	if (enqueued)
	{
		ticket->warrant = ccr_heap_address(request->warrant);
		begin_reliance(ticket);
	}
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
		end_ticket(ticket, ccr_now());
	if (unwarranted)
		drop_unwarranted(queue);
	ccr_flights_tear(false);
}

/* ------------------------------------------------------------------ taking */

void
ccr_group_add(CcrQueue *queue, CcrGroup *group, CcrTime retry_at)
{
	static int64 next_order = 1;

	group->retry_at = retry_at;
	group->waits = retry_at != 0;
	group->order = queue->source->enqueued ? -next_order++ : next_order++;
	dlist_push_tail(&queue->groups, &group->node);
	pairingheap_add(queue->retries, &group->retry_node);
}

void
ccr_group_remove(CcrQueue *queue, CcrGroup *group)
{
	dlist_delete(&group->node);
	pairingheap_remove(queue->retries, &group->retry_node);
}

/* The group that may fly first, or NULL. */
static CcrGroup *
first_group(CcrQueue *queue)
{
	if (pairingheap_is_empty(queue->retries))
		return NULL;
	return pairingheap_container(CcrGroup, retry_node,
								 pairingheap_first(queue->retries));
}

static bool
group_ready(CcrQueue *queue, CcrTime now)
{
	CcrGroup   *group = first_group(queue);

	return group && group->retry_at <= now;
}

/* After a failure one batch at a time tries whether its cause has passed. */
static bool
held_back(CcrQueue *queue)
{
	return queue->failures > 0 && queue->flying > 0;
}

/*
 * Does somebody wait for room in the queue, or for memory that enqueued items
 * take?  Then no window is kept open.
 */
static bool
pressed(const CcrQueue *queue)
{
	CcrCounters *counters = queue->counters;

	if (!queue->source->enqueued)
		return pg_atomic_read_u32(&counters->room_turn.waiting) > 0;
	return pg_atomic_read_u32(&counters->place_turn.waiting) > 0 ||
		pg_atomic_read_u32(&counters->nbounded) > 0 ||
		pg_atomic_read_u32(&ccr_shared->memory_turn.waiting) > 0 ||
		pg_atomic_read_u32(&ccr_shared->nbounded) > 0;
}

bool
ccr_queue_due(CcrQueue *queue, CcrTime now)
{
	if (pressed(queue))
		ccr_waiting_hurry(&queue->waiting);
	if (held_back(queue) || queue->pause_until > now)
		return false;
	return group_ready(queue, now) || ccr_waiting_due(&queue->waiting, now);
}

CcrTime
ccr_queue_next_due(CcrQueue *queue)
{
	CcrGroup   *group = first_group(queue);
	CcrTime		next;

	if (held_back(queue) || (group == NULL && queue->waiting.n == 0))
		return 0;
	next = ccr_waiting_next_due(&queue->waiting);
	if (group && (queue->waiting.n == 0 || group->retry_at < next))
		next = group->retry_at;
	return Max(next, queue->pause_until);
}

Oid
ccr_queue_role(CcrQueue *queue, CcrTime now)
{
	if (group_ready(queue, now))
		return first_group(queue)->flights[0]->waiting.roleid;
	return ccr_waiting_next_role(&queue->waiting);
}

bool
ccr_queue_empty(CcrQueue *queue)
{
	return queue->waiting.n == 0 && dlist_is_empty(&queue->groups) &&
		queue->nsuspects == 0;
}

void
ccr_queue_hurry(CcrQueue *queue, bool rashly)
{
	dlist_iter	iter;

	ccr_waiting_hurry(&queue->waiting);
	queue->pause_until = 0;
	if (rashly)
		queue->failures = 0;
	pairingheap_reset(queue->retries);
	dlist_foreach(iter, &queue->groups)
	{
		CcrGroup   *group = dlist_container(CcrGroup, node, iter.cur);

		group->retry_at = 0;
		pairingheap_add(queue->retries, &group->retry_node);
	}
}

void
ccr_flight_take_off(CcrFlight *flight, struct CcrBatch *batch, CcrTime now)
{
	dlist_iter	iter;

	flight->state = CCR_FLIGHT_FLYING;
	flight->batch = batch;
	if (flight->reserved)
		give_up_room(flight->counters, 1, 0);
	flight->reserved = false;
	dlist_foreach(iter, &flight->waiters)
		depart(dlist_container(CcrWaiter, node, iter.cur)->ticket, now);
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
			free_flight(flight);
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
	{
		dlist_push_head(&queue->groups, &group->node);
		pairingheap_add(queue->retries, &group->retry_node);
	}
	else
		pfree(group);
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
	CcrFlight  *flight = waiting_flight(entry);

	if (taking->apart && !ccr_hashes_add(&taking->hashes, flight->item->equality))
		return false;
	taking->waited += Max(taking->now - flight->arrived, 0);
	ccr_flight_take_off(flight, taking->batch, taking->now);
	taking->flights[taking->n++] = flight;
	return true;
}

static CcrFlight **
take_waiting(CcrQueue *queue, struct CcrBatch *batch, bool apart, int *n,
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
ccr_queue_take(CcrQueue *queue, struct CcrBatch *batch, bool apart, int most, int *n,
			   CcrTime *waited)
{
	CcrTime		now = ccr_now();

	if (!group_ready(queue, now) || (queue->turn && ccr_waiting_due(&queue->waiting, now)))
	{
		queue->turn = false;
		return take_waiting(queue, batch, apart, n, most, now, waited);
	}
	queue->turn = true;
	*waited = -1;
	return take_group(queue, first_group(queue), batch, apart, most, n, now);
}

/* It is to fly again; false: nobody waits for it. */
bool
ccr_flight_ground(CcrFlight *flight)
{
	dlist_iter	iter;

	if (flight->nwaiters == 0)
	{
		free_flight(flight);
		return false;
	}
	flight->state = CCR_FLIGHT_GROUPED;
	flight->batch = NULL;
	memset(&flight->outcome, 0, sizeof(CcrOutcome));
	dlist_foreach(iter, &flight->waiters)
		move_to_active(dlist_container(CcrWaiter, node, iter.cur)->ticket, -1);
	return true;
}

CcrGroup *
ccr_group_new(int n)
{
	CcrGroup   *group = MemoryContextAlloc(flight_context,
										   offsetof(CcrGroup, flights) + n * sizeof(CcrFlight *));

	group->n = 0;
	return group;
}

void
ccr_queue_regroup(CcrQueue *queue, CcrFlight **flights, int n,
				  CcrTime retry_at)
{
	CcrGroup   *group = ccr_group_new(n);

	for (int i = 0; i < n; i++)
		if (ccr_flight_ground(flights[i]))
			group->flights[group->n++] = flights[i];
	drop_from_group(queue, group);
	if (group->n > 0)
		ccr_group_add(queue, group, retry_at);
	else
		pfree(group);
}

void
ccr_queue_tell_senders(CcrQueue *queue, const CcrLastError *error, bool off)
{
	ticket_iterator iter;
	TicketEntry *entry;

	ticket_start_iterate(tickets, &iter);
	while ((entry = ticket_iterate(tickets, &iter)) != NULL)
	{
		CcrRequest *request = entry->ticket->request;
		CcrSender  *sender;

		if (entry->ticket->queue != queue || request->kind != CCR_REQUEST_ENQUEUED)
			continue;
		sender = ccr_heap_address(request->sender);
		ccr_sender_waits(sender, error, off);
		if (error && pg_atomic_read_u32(&sender->waiting))
			ccr_request_wake_later(sender->procno);
	}
}

/* ----------------------------------------------------------------- landing */

/* Its flights may go on for others. */
static void
free_ticket(CcrTicket *ticket)
{
	ticket_delete(tickets, ticket->request);
	ccr_timer_clear(&ticket->deadline_timer);
	release_ticket(ticket);
}

/* As was counted; it is taken back if the caller has left. */
static void
complete_counted(CcrRequest *request, CcrCounters *counters, CcrFailure failure,
				 uint32 errors)
{
	uint32		n = request->nitems;

	if (ccr_request_complete(request, failure))
		return;
	ccr_count(counters, CCR_ERRORS, -(int64) errors);
	ccr_count(counters, CCR_ANSWERED, -(int64) (n - errors));
}

static void
end_enqueued(CcrRequest *request)
{
	ccr_warrant_end(ccr_heap_address(request->warrant), request->charged);
	ccr_request_end(request);
}

static uint32
errors_of(const CcrTicket *ticket)
{
	return ticket->failure != CCR_FAILURE_NONE ? ticket->request->nitems : ticket->errors;
}

/* All of its items have landed; those that were enqueued count one by one. */
static void
count_ticket(CcrTicket *ticket)
{
	uint32		errors = errors_of(ticket);

	if (ticket->warrant)
		return;
	tally_for(ticket->counters, NULL);
	tally.active -= ticket->request->nitems;
	tally.errors += errors;
	tally.answered += ticket->request->nitems - errors;
}

/* After that was told. */
static void
finish_ticket(CcrTicket *ticket, CcrTime now)
{
	CcrRequest *request = ticket->request;
	CcrCounters *counters = ticket->counters;
	CcrFailure	failure = ticket->failure;
	uint32		errors = errors_of(ticket);

	if (ticket->warrant)
	{
		end_reliance(ticket);
		free_ticket(ticket);
		end_enqueued(request);
		return;
	}
	if (ticket->departed != 0)
		request->remote_us = now - ticket->departed;
	ccr_counters_latency(counters, now - request->submitted, request->nitems);
	free_ticket(ticket);
	complete_counted(request, counters, failure, errors);
}

static void
end_ticket(CcrTicket *ticket, CcrTime now)
{
	count_ticket(ticket);
	tell_tally();
	finish_ticket(ticket, now);
}

/* Append a block with what landed for this ticket to its request's answer. */
static void
answer_ticket(CcrTicket *ticket, int ncolumns, bool binary)
{
	int			n = ticket->nlanded;
	uint32	   *items = palloc(n * sizeof(uint32));
	CcrOutcome **outcomes = palloc(n * sizeof(CcrOutcome *));
	CcrAnswerDraft draft;
	CcrFailure	failure;

	for (int i = 0; i < n; i++)
	{
		items[i] = ticket->landed[i]->item;
		outcomes[i] = &ticket->landed[i]->flight->outcome;
		if (outcomes[i]->error)
			ticket->errors++;
	}
	draft = ccr_answer_draft(items, outcomes, n, ncolumns, binary);
	if (ticket->failure != CCR_FAILURE_NONE)
	{
		ccr_answer_give_up(&draft);
		return;
	}
	failure = ccr_request_answer(ticket->request, &draft);
	if (failure != CCR_FAILURE_NONE)
		ticket->failure = failure;
}

/* Gather, for each ticket, its waiters on these flights. */
static void
gather_landed(CcrFlight **flights, int n, dlist_head *touched)
{
	for (int i = 0; i < n; i++)
	{
		dlist_iter	iter;

		dlist_foreach(iter, &flights[i]->waiters)
		{
			CcrWaiter  *waiter = dlist_container(CcrWaiter, node, iter.cur);
			CcrTicket  *ticket = waiter->ticket;

			if (ticket->nlanded == 0)
			{
				ticket->landed = palloc(ticket->remaining * sizeof(CcrWaiter *));
				dlist_push_tail(touched, &ticket->landed_node);
			}
			ticket->landed[ticket->nlanded++] = waiter;
		}
	}
}

/* Nobody waits for them: what has become of them goes to the books. */
static void
settle_ticket(CcrTicket *ticket)
{
	CcrRequest *request = ticket->request;
	CcrSender  *sender = ccr_heap_address(request->sender);
	uint32		places = 0;

	for (int i = 0; i < ticket->nlanded; i++)
	{
		CcrWaiter  *waiter = ticket->landed[i];
		const CcrError *error = waiter->flight->outcome.error;

		if (error)
		{
			ccr_sender_failed(sender, error->sqlstate, error->message);
			ticket->failed++;
		}
		if (waiter->placed)
			places++;
		ccr_request_ended(request)[waiter->item] = 1;
	}
	tally_for(ticket->counters, ticket->warrant);
	tally.active -= ticket->nlanded;
	tally.errors += ticket->failed;
	tally.discarded += ticket->failed;
	tally.answered += ticket->nlanded - ticket->failed;
	tally.places += places;
	tally.flying -= ticket->nlanded;
	tally.settled += ticket->nlanded;
}

/* What landed has left its flights. */
static void
count_landed(CcrTicket *ticket)
{
	if (ticket->warrant)
		settle_ticket(ticket);
	for (int i = 0; i < ticket->nlanded; i++)
	{
		CcrWaiter  *waiter = ticket->landed[i];

		dlist_delete(&waiter->node);
		waiter->flight->nwaiters--;
		waiter->flight = NULL;
	}
	ticket->remaining -= ticket->nlanded;
	if (ticket->remaining == 0)
		count_ticket(ticket);
}

/* After that was told. */
static void
announce_landed(CcrTicket *ticket, CcrTime now)
{
	uint32		n = ticket->nlanded;

	ticket->nlanded = 0;
	ticket->failed = 0;
	if (ticket->warrant)
	{
		CcrSender  *sender = ccr_heap_address(ticket->request->sender);

		pg_atomic_fetch_sub_u64(&ccr_mailboxes[ticket->request->worker].unsettled, n);
		if (ccr_sender_settle(sender, n))
			ccr_request_wake_later(sender->procno);
	}
	if (ticket->remaining == 0)
		finish_ticket(ticket, now);
}

/* Nothing may fail from where they are counted to where they are told. */
static void
land_tickets(dlist_head *touched, int ncolumns, bool binary, CcrTime now)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, touched)
	{
		CcrTicket  *ticket = dlist_container(CcrTicket, landed_node, iter.cur);

		if (ticket->warrant == NULL)
			answer_ticket(ticket, ncolumns, binary);
	}
	dlist_foreach_modify(iter, touched)
		count_landed(dlist_container(CcrTicket, landed_node, iter.cur));
	tell_tally();
	dlist_foreach_modify(iter, touched)
		announce_landed(dlist_container(CcrTicket, landed_node, iter.cur), now);
}

void
ccr_flights_land(CcrFlight **flights, int n, int ncolumns, bool binary)
{
	MemoryContext old = MemoryContextSwitchTo(landing_context);
	dlist_head	touched = DLIST_STATIC_INIT(touched);
	CcrTime		now = ccr_now();

	ccr_flights_tear(true);
	for (int i = 0; i < n; i++)
	{
		/* whoever comes from now on gets a flight of his own */
		unlist(flights[i]);
		ccr_outcome_share(&flights[i]->outcome, flights[i]->nwaiters);
	}
	gather_landed(flights, n, &touched);
	land_tickets(&touched, ncolumns, binary, now);
	for (int i = 0; i < n; i++)
		free_flight(flights[i]);
	ccr_flights_tear(false);
	MemoryContextSwitchTo(old);
	MemoryContextReset(landing_context);
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
	Size		flights = MAXALIGN(sizeof(CcrTicket));
	Size		memory = flights + sizeof(CcrFlight) + item;
	CcrTicket  *ticket = MemoryContextAllocExtended(flight_context, memory,
													MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM | MCXT_ALLOC_ZERO);
	CcrFlight  *moved;
	dlist_mutable_iter iter;

	if (ticket == NULL)
		return;
	ccr_budget_own(memory);
	ticket->references = 1;
	ticket->memory = memory;
	moved = (CcrFlight *) ((char *) ticket + flights);
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
	release_ticket(old);
}

/* One waiter has left; a flight without any is of no use to anybody. */
static void
leave_flight(CcrWaiter *waiter)
{
	CcrFlight  *flight = waiter->flight;

	tally_for(waiter->ticket->counters, NULL);
	if (flight == NULL || flight->state == CCR_FLIGHT_FLYING)
		tally.active--;
	else
		tally.queued--;
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
	unlist(flight);
	if (flight->state == CCR_FLIGHT_WAITING)
	{
		ccr_waiting_remove(&flight->queue->waiting, &flight->waiting);
		free_flight(flight);
	}
	else if (flight->state == CCR_FLIGHT_FLYING)
		batch_deserted(flight->batch);
}

static void
leave_flights(CcrTicket *ticket)
{
	for (uint32 i = 0; i < ticket->request->nitems; i++)
		leave_flight(&ticket->waiters[i]);
	free_ticket(ticket);
	tell_tally();
}

void
ccr_flights_abandon(CcrRequest *request)
{
	TicketEntry *entry = ticket_lookup(tickets, request);

	if (entry)
		leave_flights(entry->ticket);
	ccr_request_release(request);
}

/* A future's time is over, and its session may be busy elsewhere, or idle. */
static void
end_late(void *arg)
{
	CcrTicket  *ticket = arg;
	CcrRequest *request = ticket->request;
	CcrCounters *counters = ticket->counters;
	uint32		n = request->nitems;

	ccr_count(counters, CCR_TIMEOUTS, n);
	leave_flights(ticket);
	if (!ccr_request_complete(request, CCR_FAILURE_TIMEOUT))
		ccr_count(counters, CCR_TIMEOUTS, -(int64) n);
}

void
ccr_flights_refuse(CcrRequest *request, CcrFailure failure)
{
	CcrCounters *counters = &ccr_counters[request->counters];
	uint32		n = request->nitems;
	bool		again = failure == CCR_FAILURE_UNKNOWN_SOURCE;

	/*
	 * one whose source is unknown will come again, and is not to be counted
	 * twice
	 */
	ccr_count(counters, again ? CCR_CALLS : CCR_ERRORS, again ? -(int64) n : n);
	ccr_gauge(counters, -(int) n, 0);
	if (request->reserved)
		ccr_counters_release_backlog(counters, n);
	if (!again)
		complete_counted(request, counters, failure, n);
	else if (!ccr_request_complete(request, failure))
		ccr_count(counters, CCR_CALLS, n);
}

bool
ccr_flights_hold(CcrRequest *request)
{
	return tickets != NULL && ticket_lookup(tickets, request) != NULL;
}

bool
ccr_flights_torn(void)
{
	return torn > 0;
}

/* --------------------------- warrants that have ended, and what is discarded */

/* Why what it asks for is to be given up, or 0. */
static int
is_unwarranted(CcrRequest *request)
{
	return ccr_warrant_why(ccr_heap_address(request->warrant), request->submitted);
}

/* Why all who have enqueued it may no more, or 0. */
static int
why_unwarranted(CcrFlight *flight)
{
	int			sqlstate = 0;
	dlist_iter	iter;

	dlist_foreach(iter, &flight->waiters)
	{
		CcrRequest *request = dlist_container(CcrWaiter, node, iter.cur)->ticket->request;

		sqlstate = is_unwarranted(request);
		if (sqlstate == 0)
			return 0;
	}
	return sqlstate;
}

/* It does not fly: as settle_ticket(), but for one item. */
static void
settle_unwarranted(CcrRequest *request, uint32 item, bool placed)
{
	CcrCounters *counters = &ccr_counters[request->counters];
	CcrSender  *sender = ccr_heap_address(request->sender);
	CcrWarrant *warrant = ccr_heap_address(request->warrant);
	int			sqlstate = is_unwarranted(request);

	/* that it waits may not have been told yet */
	tell_tally();
	ccr_sender_failed(sender, sqlstate, ccr_warrant_reason(sqlstate));
	ccr_request_ended(request)[item] = 1;
	ccr_count(counters, CCR_ERRORS, 1);
	ccr_count(counters, CCR_DISCARDED, 1);
	ccr_gauge(counters, -1, 0);
	give_up_room(counters, 0, placed ? 1 : 0);
	pg_atomic_fetch_sub_u64(&ccr_mailboxes[request->worker].unsettled, 1);
	pg_atomic_fetch_sub_u64(&warrant->items, 1);
	if (sqlstate == ERRCODE_QUERY_CANCELED)
		pg_atomic_fetch_add_u64(&warrant->discarded, 1);
	if (ccr_sender_settle(sender, 1))
		ccr_request_wake_later(sender->procno);
}

static void
give_up(CcrWaiter *waiter)
{
	CcrTicket  *ticket = waiter->ticket;

	dlist_delete(&waiter->node);
	waiter->flight->nwaiters--;
	waiter->flight = NULL;
	settle_unwarranted(ticket->request, waiter->item, waiter->placed);
	if (--ticket->remaining == 0)
		end_ticket(ticket, ccr_now());
}

/* Its item is a part of a request, and may go with the last waiter. */
static uint32
drop_flight(CcrFlight *flight)
{
	uint32		n = flight->nwaiters;

	unlist(flight);
	while (!dlist_is_empty(&flight->waiters))
		give_up(dlist_head_element(CcrWaiter, node, &flight->waiters));
	free_flight(flight);
	return n;
}

static void
log_dropped(const CcrQueue *queue, uint32 n, int sqlstate)
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

static void
drop_from_group(CcrQueue *queue, CcrGroup *group)
{
	uint32		dropped = 0;
	int			why = 0;
	int			n = 0;

	if (!queue->source->enqueued)
		return;
	for (int i = 0; i < group->n; i++)
	{
		CcrFlight  *flight = group->flights[i];
		int			sqlstate = why_unwarranted(flight);

		if (sqlstate == 0)
			group->flights[n++] = flight;
		else
		{
			why = sqlstate;
			dropped += drop_flight(flight);
		}
	}
	group->n = n;
	log_dropped(queue, dropped, why);
}

typedef struct Dropped
{
	uint32		n;
	int			why;
} Dropped;

static void
drop_waiting(CcrWaitingEntry *entry, void *arg)
{
	Dropped    *dropped = arg;
	CcrFlight  *flight = waiting_flight(entry);
	int			sqlstate = why_unwarranted(flight);

	if (sqlstate == 0)
		return;
	dropped->why = sqlstate;
	ccr_waiting_remove(&flight->queue->waiting, entry);
	dropped->n += drop_flight(flight);
}

static void
drop_unwarranted(CcrQueue *queue)
{
	Dropped		dropped = {0};
	dlist_mutable_iter iter;

	ccr_waiting_visit(&queue->waiting, drop_waiting, &dropped);
	dlist_foreach_modify(iter, &queue->groups)
	{
		CcrGroup   *group = dlist_container(CcrGroup, node, iter.cur);

		drop_from_group(queue, group);
		if (group->n > 0)
			continue;
		ccr_group_remove(queue, group);
		pfree(group);
	}
	dlist_foreach_modify(iter, &queue->suspects)
	{
		CcrSuspect *suspect = dlist_container(CcrSuspect, node, iter.cur);
		int			sqlstate = why_unwarranted(suspect->flight);

		if (sqlstate == 0)
			continue;
		dropped.why = sqlstate;
		dlist_delete(&suspect->node);
		queue->nsuspects--;
		dropped.n += drop_flight(suspect->flight);
		MemoryContextDelete(suspect->context);
	}
	log_dropped(queue, dropped.n, dropped.why);
}

static void (*check_dropped) (CcrQueue *);

static void
drop_and_check(CcrQueue *queue)
{
	if (!queue->concerned)
		return;
	queue->concerned = false;
	drop_unwarranted(queue);
	check_dropped(queue);
}

/* Those that have some of its items, if it was marked since it was looked at. */
static void
find_concerned(Reliance *reliance)
{
	int			ended = ccr_warrant_ended(reliance->warrant);
	CcrTime		until = pg_atomic_read_u64(&reliance->warrant->discard_until);
	dlist_iter	iter;

	if (ended == reliance->ended && until == reliance->discard_until)
		return;
	reliance->ended = ended;
	reliance->discard_until = until;
	dlist_foreach(iter, &reliance->tickets)
	{
		CcrTicket  *ticket = dlist_container(CcrTicket, warrant_node, iter.cur);

		if (is_unwarranted(ticket->request))
			ticket->queue->concerned = true;
	}
}

/* What others have enqueued elsewhere is not looked through. */
void
ccr_flights_drop_unwarranted(void (*check) (CcrQueue *))
{
	HASH_SEQ_STATUS status;
	Reliance   *reliance;

	ccr_flights_tear(true);
	hash_seq_init(&status, reliances);
	while ((reliance = hash_seq_search(&status)) != NULL)
		find_concerned(reliance);
	check_dropped = check;
	visit_queues(drop_and_check);
	ccr_flights_tear(false);
}

bool
ccr_flight_drop_unwarranted(CcrFlight *flight)
{
	CcrQueue   *queue = flight->queue;
	int			sqlstate = why_unwarranted(flight);

	if (sqlstate == 0)
		return false;
	log_dropped(queue, drop_flight(flight), sqlstate);
	return true;
}

void
ccr_flights_end_unwarranted(CcrRequest *request)
{
	int			sqlstate = is_unwarranted(request);
	uint32		n = 0;

	if (sqlstate == 0 || ccr_flights_hold(request))
		return;
	ccr_flights_tear(true);
	for (uint32 i = 0; i < request->nitems; i++)
	{
		if (ccr_request_ended(request)[i])
			continue;
		settle_unwarranted(request, i, true);
		n++;
	}
	ereport(WARNING,
			(errcode(sqlstate),
			 errmsg("discarded %u enqueued items of the lookup with OID %u: %s",
					n, request->function, ccr_warrant_reason(sqlstate))));
	end_enqueued(request);
	ccr_flights_tear(false);
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
		unlist(entry->flight);
}

void
ccr_flights_forget(CcrRequest *request)
{
	ccr_request_check(request, 0);
	forgetting = request;
	visit_queues(forget_in_queue);
	(void) ccr_request_complete(request, CCR_FAILURE_NONE);
}

static CcrRequest *flushing;	/* arguments of flush_queue() */
static void (*check_flushed) (CcrQueue *);

static void
flush_queue(CcrQueue *queue)
{
	const CcrSource *source = queue->source;

	if (source->dbid != flushing->dbid ||
		(OidIsValid(flushing->function) && source->function != flushing->function) ||
		(flushing->kind == CCR_REQUEST_FLUSH && !source->enqueued))
		return;
	ccr_queue_hurry(queue, false);
	check_flushed(queue);
}

static void
hurry_queue(CcrQueue *queue)
{
	if (ccr_queue_empty(queue))
		return;
	ccr_queue_hurry(queue, false);
	check_flushed(queue);
}

void
ccr_flights_hurry(void (*check) (CcrQueue *))
{
	check_flushed = check;
	visit_queues(hurry_queue);
}

void
ccr_flights_press(CcrWorker *worker, void (*check) (CcrQueue *))
{
	dlist_iter	iter;

	/* a full barrier; its partner is in ccr_worker_press() */
	if (pg_atomic_read_u32(&worker->pressed) == 0 ||
		pg_atomic_exchange_u32(&worker->pressed, 0) == 0)
		return;
	dlist_foreach(iter, &all_queues)
	{
		CcrQueue   *queue = dlist_container(CcrQueue, node, iter.cur);

		if (pressed(queue))
			check(queue);
	}
}

void
ccr_flights_flush(CcrRequest *request, void (*check) (CcrQueue *))
{
	flushing = request;
	check_flushed = check;
	visit_queues(flush_queue);
	(void) ccr_request_complete(request, CCR_FAILURE_NONE);
}

uint64
ccr_flights_log_left(int (*detail) (const CcrQueue *))
{
	uint64		n = 0;
	ticket_iterator tickets_iter;
	TicketEntry *entry;
	dlist_iter	iter;

	ticket_start_iterate(tickets, &tickets_iter);
	while ((entry = ticket_iterate(tickets, &tickets_iter)) != NULL)
		if (entry->ticket->request->kind == CCR_REQUEST_ENQUEUED)
			entry->ticket->queue->left += entry->ticket->remaining;
	dlist_foreach(iter, &all_queues)
	{
		CcrQueue   *queue = dlist_container(CcrQueue, node, iter.cur);

		if (queue->left > 0)
			ereport(WARNING,
					(errmsg("%llu enqueued items of lookup %s are lost at shutdown",
							(unsigned long long) queue->left, queue->source->function_name),
					 detail(queue)));
		n += queue->left;
	}
	return n;
}

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
			move_to_active(ticket, -1);
		if (!waiter->placed)
			pg_atomic_fetch_add_u32(&counters->places, 1);
	}
}

/*
 * The flights themselves go with the process.  A write that was sent may have
 * had its effect; whoever asked must be told that nobody knows.
 */
void
ccr_flights_fail_all(void)
{
	ticket_iterator iter;
	TicketEntry *entry;

	if (tickets == NULL)
		return;
	visit_queues(hide_circuit);
	tell_tally();
	ticket_start_iterate(tickets, &iter);
	while ((entry = ticket_iterate(tickets, &iter)) != NULL)
	{
		CcrTicket  *ticket = entry->ticket;
		CcrCounters *counters = ticket->counters;
		CcrFailure	failure = CCR_FAILURE_COLLECTOR_EXIT;
		uint32		n = ticket->request->nitems;

		if (ticket->request->kind == CCR_REQUEST_ENQUEUED)
		{
			leave_to_next(ticket);
			continue;
		}
		ccr_count(counters, CCR_ERRORS, n);
		for (uint32 i = 0; i < n; i++)
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
		complete_counted(ticket->request, counters, failure, n);
	}
	tell_tally();
}
