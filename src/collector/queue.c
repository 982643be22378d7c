/*-------------------------------------------------------------------------
 *
 * queue.c
 *	  What waits of one source, and when a batch of it is due.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/queue.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

typedef struct QueueEntry
{
	CcrFingerprint fingerprint;
	CcrQueue   *queue;
} QueueEntry;

static HTAB *queues;
static dlist_head all_queues = DLIST_STATIC_INIT(all_queues);
static MemoryContext group_context;

/* It is a hash already. */
static uint32
fingerprint_hash(const void *key, Size size)
{
	uint32		hash;

	memcpy(&hash, key, sizeof(hash));
	return hash;
}

void
ccr_queues_init(void)
{
	HASHCTL		ctl = {
		.keysize = sizeof(CcrFingerprint),
		.entrysize = sizeof(QueueEntry),
		.hash = fingerprint_hash
	};

	queues = hash_create("concresce queues", 64, &ctl, HASH_ELEM | HASH_FUNCTION);
	group_context = AllocSetContextCreate(TopMemoryContext, "concresce groups",
										  ALLOCSET_DEFAULT_SIZES);
}

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

void
ccr_queues_visit(void (*visit) (CcrQueue *))
{
	dlist_iter	iter;

	dlist_foreach(iter, &all_queues)
		visit(dlist_container(CcrQueue, node, iter.cur));
}

void
ccr_queues_hide_circuits(void)
{
	ccr_queues_visit(hide_circuit);
}

/* ------------------------------------------------------------------ groups */

CcrGroup *
ccr_group_new(int n)
{
	Size		size = offsetof(CcrGroup, flights) + n * sizeof(struct CcrFlight *);
	CcrGroup   *group = MemoryContextAlloc(group_context, size);

	group->n = 0;
	return group;
}

void
ccr_group_free(CcrGroup *group)
{
	pfree(group);
}

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
ccr_group_put_back(CcrQueue *queue, CcrGroup *group)
{
	dlist_push_head(&queue->groups, &group->node);
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

CcrGroup *
ccr_queue_ready_group(CcrQueue *queue, CcrTime now)
{
	CcrGroup   *group = first_group(queue);

	return group && group->retry_at <= now ? group : NULL;
}

/* -------------------------------------------------------------------- due */

/* After a failure one batch at a time tries whether its cause is gone. */
static bool
is_trying(CcrQueue *queue)
{
	return queue->failures > 0 && queue->flying > 0;
}

/*
 * Does somebody wait for room in the queue, or for memory that enqueued items
 * take?  Then no window is kept open.
 */
static bool
is_pressed(const CcrQueue *queue)
{
	CcrCounters *counters = queue->counters;

	if (!queue->source->enqueued)
		return pg_atomic_read_u32(&counters->room_turn.waiting) > 0;
	return pg_atomic_read_u32(&counters->place_turn.waiting) > 0 ||
		pg_atomic_read_u32(&counters->nbounded) > 0 ||
		pg_atomic_read_u32(&ccr_shared->memory_turn.waiting) > 0 ||
		pg_atomic_read_u32(&ccr_shared->reserve_turn.waiting) > 0 ||
		pg_atomic_read_u32(&ccr_shared->nbounded) > 0;
}

bool
ccr_queue_due(CcrQueue *queue, CcrTime now)
{
	if (is_pressed(queue))
		ccr_waiting_hurry(&queue->waiting);
	if (is_trying(queue) || queue->pause_until > now)
		return false;
	return ccr_queue_ready_group(queue, now) || ccr_waiting_due(&queue->waiting, now);
}

CcrTime
ccr_queue_next_due(CcrQueue *queue)
{
	CcrGroup   *group = first_group(queue);
	CcrTime		next;

	if (is_trying(queue) || (group == NULL && queue->waiting.n == 0))
		return 0;
	next = ccr_waiting_next_due(&queue->waiting);
	if (group && (queue->waiting.n == 0 || group->retry_at < next))
		next = group->retry_at;
	return Max(next, queue->pause_until);
}

bool
ccr_queue_empty(CcrQueue *queue)
{
	return queue->waiting.n == 0 && dlist_is_empty(&queue->groups) &&
		queue->nsuspects == 0;
}

void
ccr_queue_end_windows(CcrQueue *queue)
{
	ccr_waiting_hurry(&queue->waiting);
}

void
ccr_queue_end_pauses(CcrQueue *queue)
{
	dlist_iter	iter;

	queue->pause_until = 0;
	pairingheap_reset(queue->retries);
	dlist_foreach(iter, &queue->groups)
	{
		CcrGroup   *group = dlist_container(CcrGroup, node, iter.cur);

		group->retry_at = 0;
		pairingheap_add(queue->retries, &group->retry_node);
	}
}

void
ccr_queue_forget_failures(CcrQueue *queue)
{
	queue->failures = 0;
}

/* -------------------------------------------------------------- all queues */

static CcrRequest *flushing;	/* arguments of flush_queue() */
static void (*check_flushed) (CcrQueue *);

static void
end_waits(CcrQueue *queue)
{
	ccr_queue_end_windows(queue);
	ccr_queue_end_pauses(queue);
	check_flushed(queue);
}

static void
flush_queue(CcrQueue *queue)
{
	const CcrSource *source = queue->source;

	if (source->dbid != flushing->dbid ||
		(OidIsValid(flushing->function) && source->function != flushing->function) ||
		(flushing->kind == CCR_REQUEST_FLUSH && !source->enqueued))
		return;
	end_waits(queue);
}

static void
end_waits_of_some(CcrQueue *queue)
{
	if (!ccr_queue_empty(queue))
		end_waits(queue);
}

void
ccr_queues_end_waits(void (*check) (CcrQueue *))
{
	check_flushed = check;
	ccr_queues_visit(end_waits_of_some);
}

void
ccr_queues_press(CcrMailbox *mailbox, void (*check) (CcrQueue *))
{
	dlist_iter	iter;

	/* a full barrier; its partner is in ccr_mailbox_press() */
	if (pg_atomic_read_u32(&mailbox->pressed) == 0 ||
		pg_atomic_exchange_u32(&mailbox->pressed, 0) == 0)
		return;
	dlist_foreach(iter, &all_queues)
	{
		CcrQueue   *queue = dlist_container(CcrQueue, node, iter.cur);

		if (is_pressed(queue))
			check(queue);
	}
}

void
ccr_queues_flush(CcrRequest *request, void (*check) (CcrQueue *))
{
	flushing = request;
	check_flushed = check;
	ccr_queues_visit(flush_queue);
	(void) ccr_request_complete(request, CCR_FAILURE_NONE);
}
