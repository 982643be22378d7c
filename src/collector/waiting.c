/*-------------------------------------------------------------------------
 *
 * waiting.c
 *	  The flights of a queue that wait for their first batch.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/waiting.h"

#define CCR_PAST	((CcrTime) 1)

/* What waits of one role. */
typedef struct CcrStrand
{
	dlist_node	node;
	Oid			roleid;
	int			n;
	dlist_head	entries;		/* oldest first */
	dlist_node *next;			/* to be looked at, while a batch is taken */
} CcrStrand;

static int
window_later(const pairingheap_node *a, const pairingheap_node *b, void *arg)
{
	CcrTime		wa = pairingheap_const_container(CcrWaitingEntry, window_node, a)->window_end;
	CcrTime		wb = pairingheap_const_container(CcrWaitingEntry, window_node, b)->window_end;

	return (wa < wb) ? 1 : (wa > wb) ? -1 : 0;
}

void
ccr_waiting_init(CcrWaiting *waiting, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);

	memset(waiting, 0, sizeof(CcrWaiting));
	waiting->context = context;
	dlist_init(&waiting->strands);
	waiting->windows = pairingheap_allocate(window_later, NULL);
	MemoryContextSwitchTo(old);
}

static CcrWaitingEntry *
entry_at(dlist_node *node)
{
	return dlist_container(CcrWaitingEntry, node, node);
}

/* ------------------------------------------------------------------ strands */

static CcrStrand *
strand_of(CcrWaiting *waiting, Oid roleid)
{
	CcrStrand  *strand;
	dlist_iter	iter;

	dlist_foreach(iter, &waiting->strands)
	{
		strand = dlist_container(CcrStrand, node, iter.cur);
		if (strand->roleid == roleid)
			return strand;
	}

	/* the last one is kept when it is empty, as most queues have just one */
	strand = waiting->n == 0 && waiting->nstrands == 1 ?
		dlist_container(CcrStrand, node, dlist_head_node(&waiting->strands)) : NULL;
	if (strand == NULL)
	{
		strand = MemoryContextAllocZero(waiting->context, sizeof(CcrStrand));
		dlist_init(&strand->entries);
		dlist_push_tail(&waiting->strands, &strand->node);
		waiting->nstrands++;
	}
	strand->roleid = roleid;
	return strand;
}

static void
drop_empty_strand(CcrWaiting *waiting, CcrStrand *strand)
{
	if (strand->n > 0 || waiting->nstrands == 1)
		return;
	dlist_delete(&strand->node);
	waiting->nstrands--;
	pfree(strand);
}

/* Of a strand, so many may be in the next batch. */
static int
due_of_each(const CcrWaiting *waiting)
{
	return waiting->max_size / waiting->nstrands + 1;
}

static void
lower_limits(CcrWaiting *waiting, const CcrWaitingEntry *entry, bool first)
{
	if (first || entry->max_size < waiting->max_size)
		waiting->max_size = entry->max_size;
	if (first || entry->max_bytes < waiting->max_bytes)
		waiting->max_bytes = entry->max_bytes;
}

/*
 * The limits of the next batch are those of what will be in it, most likely.  To
 * look at all of it takes time, which is spared where all have the same.
 */
static void
reset_limits(CcrWaiting *waiting)
{
	bool		first = true;
	dlist_iter	strands;

	if (!waiting->mixed)
		return;
	dlist_foreach(strands, &waiting->strands)
	{
		CcrStrand  *strand = dlist_container(CcrStrand, node, strands.cur);
		int			n = 0;
		dlist_iter	entries;

		dlist_foreach(entries, &strand->entries)
		{
			if (!first && n >= due_of_each(waiting))
				break;
			lower_limits(waiting, entry_at(entries.cur), first);
			first = false;
			n++;
		}
	}
}

/* ---------------------------------------------------------- coming, going */

/* Without a window it is due, and so is what came before it. */
static void
begin_window(CcrWaiting *waiting, CcrWaitingEntry *entry)
{
	if (entry->window_end != 0)
		pairingheap_add(waiting->windows, &entry->window_node);
	else
		waiting->hurry_until = Max(waiting->hurry_until, entry->number);
}

static void
end_window(CcrWaiting *waiting, CcrWaitingEntry *entry)
{
	if (entry->window_end != 0)
		pairingheap_remove(waiting->windows, &entry->window_node);
}

static bool
has_other_limits(const CcrWaiting *waiting, const CcrWaitingEntry *entry)
{
	return entry->max_size != waiting->max_size || entry->max_bytes != waiting->max_bytes;
}

void
ccr_waiting_add(CcrWaiting *waiting, CcrWaitingEntry *entry)
{
	CcrStrand  *strand = strand_of(waiting, entry->roleid);

	waiting->mixed = waiting->n > 0 && (waiting->mixed || has_other_limits(waiting, entry));
	if (waiting->n == 0 || strand->n < due_of_each(waiting))
		lower_limits(waiting, entry, waiting->n == 0);
	entry->strand = strand;
	entry->number = ++waiting->last_number;
	dlist_push_tail(&strand->entries, &entry->node);
	begin_window(waiting, entry);
	strand->n++;
	waiting->n++;
	waiting->bytes += entry->bytes;
}

/* Its strand may be empty then. */
static CcrStrand *
take_out(CcrWaiting *waiting, CcrWaitingEntry *entry)
{
	CcrStrand  *strand = entry->strand;

	dlist_delete(&entry->node);
	end_window(waiting, entry);
	entry->strand = NULL;
	strand->n--;
	waiting->n--;
	waiting->bytes -= entry->bytes;
	return strand;
}

/*
 * One leaves from anywhere.  What stays is not looked at where one beside it has
 * the same limits, as most have.
 */
void
ccr_waiting_remove(CcrWaiting *waiting, CcrWaitingEntry *entry)
{
	dlist_head *entries = &entry->strand->entries;
	dlist_node *beside = dlist_has_next(entries, &entry->node) ?
		dlist_next_node(entries, &entry->node) :
		dlist_has_prev(entries, &entry->node) ?
		dlist_prev_node(entries, &entry->node) : NULL;

	drop_empty_strand(waiting, take_out(waiting, entry));
	if (beside == NULL || entry_at(beside)->max_size != entry->max_size ||
		entry_at(beside)->max_bytes != entry->max_bytes)
		reset_limits(waiting);
}

void
ccr_waiting_replace(CcrWaiting *waiting, CcrWaitingEntry *entry, CcrWaitingEntry *copy)
{
	dlist_insert_before(&entry->node, &copy->node);
	dlist_delete(&entry->node);
	end_window(waiting, entry);
	if (copy->window_end != 0)
		pairingheap_add(waiting->windows, &copy->window_node);
}

void
ccr_waiting_hasten(CcrWaiting *waiting, CcrWaitingEntry *entry,
				   CcrTime window_end, int max_size, int max_bytes)
{
	/* who would have the batch go by now does not wait for more */
	if (max_size <= waiting->n)
		window_end = CCR_PAST;
	if (window_end < entry->window_end)
	{
		end_window(waiting, entry);
		entry->window_end = window_end;
		begin_window(waiting, entry);
	}
	if (max_size > entry->max_size || max_bytes > entry->max_bytes)
	{
		entry->max_size = Max(entry->max_size, max_size);
		entry->max_bytes = Max(entry->max_bytes, max_bytes);
		waiting->mixed = true;
		reset_limits(waiting);
	}
}

void
ccr_waiting_hurry(CcrWaiting *waiting)
{
	waiting->hurry_until = waiting->last_number;
}

void
ccr_waiting_visit(CcrWaiting *waiting, void (*visit) (CcrWaitingEntry *, void *),
				  void *arg)
{
	dlist_mutable_iter strands;

	dlist_foreach_modify(strands, &waiting->strands)
	{
		CcrStrand  *strand = dlist_container(CcrStrand, node, strands.cur);
		int			left = strand->n;
		dlist_mutable_iter entries;

		/* the strand goes with its last entry */
		dlist_foreach_modify(entries, &strand->entries)
		{
			visit(entry_at(entries.cur), arg);
			if (--left == 0)
				break;
		}
	}
}

/* --------------------------------------------------------------- when due */

static bool
is_hurried(CcrWaiting *waiting)
{
	dlist_iter	iter;

	dlist_foreach(iter, &waiting->strands)
	{
		CcrStrand  *strand = dlist_container(CcrStrand, node, iter.cur);

		if (strand->n > 0 &&
			entry_at(dlist_head_node(&strand->entries))->number <= waiting->hurry_until)
			return true;
	}
	return false;
}

static bool
fills_batch(const CcrWaiting *waiting)
{
	return waiting->n >= waiting->max_size || waiting->bytes >= (Size) waiting->max_bytes;
}

/* Enough of them wait, or the window of the first was ended. */
static bool
is_full(CcrWaiting *waiting)
{
	return fills_batch(waiting) || is_hurried(waiting);
}

/* Of those that have one; there is one if nothing is due. */
static CcrTime
first_window_end(const CcrWaiting *waiting)
{
	Assert(!pairingheap_is_empty(waiting->windows));
	return pairingheap_container(CcrWaitingEntry, window_node,
								 pairingheap_first(waiting->windows))->window_end;
}

bool
ccr_waiting_due(CcrWaiting *waiting, CcrTime now)
{
	return waiting->n > 0 && (is_full(waiting) || first_window_end(waiting) <= now);
}

CcrTime
ccr_waiting_next_due(CcrWaiting *waiting)
{
	return waiting->n > 0 && !is_full(waiting) ? first_window_end(waiting) : 0;
}

CcrDeparture
ccr_waiting_why(CcrWaiting *waiting, CcrTime now)
{
	if (waiting->n == 0)
		return CCR_DEPARTURE_FREE;
	if (fills_batch(waiting))
		return CCR_DEPARTURE_FULL;
	return !is_hurried(waiting) && first_window_end(waiting) <= now ?
		CCR_DEPARTURE_WINDOW : CCR_DEPARTURE_FREE;
}

Oid
ccr_waiting_next_role(const CcrWaiting *waiting)
{
	dlist_head *strands = unconstify(dlist_head *, &waiting->strands);

	return waiting->n == 0 ? InvalidOid :
		dlist_container(CcrStrand, node, dlist_head_node(strands))->roleid;
}

/* ------------------------------------------------------------------ taking */

/* A batch as it comes to be. */
typedef struct Taking
{
	int			n;
	int			most;
	Size		bytes;
	Size		max_bytes;
	int			passed_over;
} Taking;

static bool
entry_fits(const Taking *taking, const CcrWaitingEntry *entry)
{
	/* an item larger than the limit goes alone */
	if (taking->n == 0)
		return true;
	return taking->n < entry->max_size &&
		taking->bytes + entry->bytes <= Min(taking->max_bytes, (Size) entry->max_bytes);
}

static void
count_in(Taking *taking, const CcrWaitingEntry *entry)
{
	taking->n++;
	taking->most = Min(taking->most, entry->max_size);
	taking->max_bytes = Min(taking->max_bytes, (Size) entry->max_bytes);
	taking->bytes += entry->bytes;
}

/* The next one of a strand that fits; NULL: none does. */
static CcrWaitingEntry *
next_of(CcrStrand *strand, const Taking *taking)
{
	CcrWaitingEntry *entry;

	if (strand->next == NULL || !entry_fits(taking, entry_at(strand->next)))
		return NULL;
	entry = entry_at(strand->next);
	strand->next = dlist_has_next(&strand->entries, strand->next) ?
		dlist_next_node(&strand->entries, strand->next) : NULL;
	return entry;
}

/*
 * What is passed over stays where it is.  No more than a batch of them is, lest
 * a great many be looked at again and again.
 */
void
ccr_waiting_take(CcrWaiting *waiting, int most,
				 bool (*callback) (CcrWaitingEntry *, void *), void *arg)
{
	Taking		taking = {.most = most, .max_bytes = PG_INT32_MAX};
	dlist_head	behind = DLIST_STATIC_INIT(behind);
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &waiting->strands)
	{
		CcrStrand  *strand = dlist_container(CcrStrand, node, iter.cur);

		strand->next = strand->n > 0 ? dlist_head_node(&strand->entries) : NULL;
	}
	while (!dlist_is_empty(&waiting->strands) &&
		   taking.n < taking.most && taking.passed_over < taking.most)
	{
		CcrStrand  *strand = dlist_container(CcrStrand, node,
											 dlist_head_node(&waiting->strands));
		CcrWaitingEntry *entry = next_of(strand, &taking);

		dlist_delete(&strand->node);
		if (entry == NULL)
		{
			dlist_push_tail(&behind, &strand->node);
			continue;
		}
		dlist_push_tail(&waiting->strands, &strand->node);
		if (callback(entry, arg))
		{
			count_in(&taking, entry);
			(void) take_out(waiting, entry);
		}
		else
		{
			taking.passed_over++;
			waiting->hurry_until = Max(waiting->hurry_until, entry->number);
		}
	}

	/* those of whom no more fitted are the first in the next one */
	while (!dlist_is_empty(&behind))
	{
		dlist_node *last = dlist_tail_node(&behind);

		dlist_delete(last);
		dlist_push_head(&waiting->strands, last);
	}
	dlist_foreach_modify(iter, &waiting->strands)
		drop_empty_strand(waiting, dlist_container(CcrStrand, node, iter.cur));
	reset_limits(waiting);
}
