/*-------------------------------------------------------------------------
 *
 * waiting.c
 *	  The flights of a queue that wait for their first batch.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "waiting.h"

/* What waits of one role. */
typedef struct CcrShare
{
	dlist_node	node;
	Oid			roleid;
	int			n;
	dlist_head	entries;		/* oldest first */
	dlist_node *next;			/* to be looked at, while a batch is taken */
} CcrShare;

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
	dlist_init(&waiting->shares);
	waiting->windows = pairingheap_allocate(window_later, NULL);
	MemoryContextSwitchTo(old);
}

static CcrWaitingEntry *
entry_at(dlist_node *node)
{
	return dlist_container(CcrWaitingEntry, node, node);
}

/* ------------------------------------------------------------------ shares */

static CcrShare *
share_of(CcrWaiting *waiting, Oid roleid)
{
	CcrShare   *share;
	dlist_iter	iter;

	dlist_foreach(iter, &waiting->shares)
	{
		share = dlist_container(CcrShare, node, iter.cur);
		if (share->roleid == roleid)
			return share;
	}

	/* the last one is kept when it is empty, as most queues have just one */
	share = waiting->n == 0 && waiting->nshares == 1 ?
		dlist_container(CcrShare, node, dlist_head_node(&waiting->shares)) : NULL;
	if (share == NULL)
	{
		share = MemoryContextAllocZero(waiting->context, sizeof(CcrShare));
		dlist_init(&share->entries);
		dlist_push_tail(&waiting->shares, &share->node);
		waiting->nshares++;
	}
	share->roleid = roleid;
	return share;
}

static void
drop_empty_share(CcrWaiting *waiting, CcrShare *share)
{
	if (share->n > 0 || waiting->nshares == 1)
		return;
	dlist_delete(&share->node);
	waiting->nshares--;
	pfree(share);
}

/* Of a share, so many may be in the next batch. */
static int
due_of_each(const CcrWaiting *waiting)
{
	return waiting->max_size / waiting->nshares + 1;
}

static void
lower_limits(CcrWaiting *waiting, const CcrWaitingEntry *entry, bool first)
{
	if (first || entry->max_size < waiting->max_size)
		waiting->max_size = entry->max_size;
	if (first || entry->max_bytes < waiting->max_bytes)
		waiting->max_bytes = entry->max_bytes;
}

/* The limits of the next batch are those of what will be in it, most likely. */
static void
reset_limits(CcrWaiting *waiting)
{
	bool		first = true;
	dlist_iter	shares;

	dlist_foreach(shares, &waiting->shares)
	{
		CcrShare   *share = dlist_container(CcrShare, node, shares.cur);
		int			n = 0;
		dlist_iter	entries;

		dlist_foreach(entries, &share->entries)
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

void
ccr_waiting_add(CcrWaiting *waiting, CcrWaitingEntry *entry)
{
	CcrShare   *share = share_of(waiting, entry->roleid);

	if (waiting->n == 0 || share->n < due_of_each(waiting))
		lower_limits(waiting, entry, waiting->n == 0);
	entry->share = share;
	entry->number = ++waiting->last_number;
	dlist_push_tail(&share->entries, &entry->node);
	pairingheap_add(waiting->windows, &entry->window_node);
	share->n++;
	waiting->n++;
	waiting->bytes += entry->bytes;
}

/* Its share may be empty then. */
static CcrShare *
take_out(CcrWaiting *waiting, CcrWaitingEntry *entry)
{
	CcrShare   *share = entry->share;

	dlist_delete(&entry->node);
	pairingheap_remove(waiting->windows, &entry->window_node);
	entry->share = NULL;
	share->n--;
	waiting->n--;
	waiting->bytes -= entry->bytes;
	return share;
}

/*
 * One leaves from anywhere.  To look at all that stay takes time, which is
 * spared where one beside it has the same limits, as most have.
 */
void
ccr_waiting_remove(CcrWaiting *waiting, CcrWaitingEntry *entry)
{
	dlist_head *entries = &entry->share->entries;
	dlist_node *beside = dlist_has_next(entries, &entry->node) ?
		dlist_next_node(entries, &entry->node) :
		dlist_has_prev(entries, &entry->node) ?
		dlist_prev_node(entries, &entry->node) : NULL;

	drop_empty_share(waiting, take_out(waiting, entry));
	if (beside == NULL || entry_at(beside)->max_size != entry->max_size ||
		entry_at(beside)->max_bytes != entry->max_bytes)
		reset_limits(waiting);
}

void
ccr_waiting_hasten(CcrWaiting *waiting, CcrWaitingEntry *entry,
				   CcrTime window_end, int max_size, int max_bytes)
{
	if (window_end < entry->window_end)
	{
		pairingheap_remove(waiting->windows, &entry->window_node);
		entry->window_end = window_end;
		pairingheap_add(waiting->windows, &entry->window_node);
	}
	if (max_size < entry->max_size || max_bytes < entry->max_bytes)
	{
		entry->max_size = Min(entry->max_size, max_size);
		entry->max_bytes = Min(entry->max_bytes, max_bytes);
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
	dlist_mutable_iter shares;

	dlist_foreach_modify(shares, &waiting->shares)
	{
		CcrShare   *share = dlist_container(CcrShare, node, shares.cur);
		int			left = share->n;
		dlist_mutable_iter entries;

		/* the share goes with its last entry */
		dlist_foreach_modify(entries, &share->entries)
		{
			visit(entry_at(entries.cur), arg);
			if (--left == 0)
				break;
		}
	}
}

/* --------------------------------------------------------------- when due */

static bool
hurried(CcrWaiting *waiting)
{
	dlist_iter	iter;

	dlist_foreach(iter, &waiting->shares)
	{
		CcrShare   *share = dlist_container(CcrShare, node, iter.cur);

		if (share->n > 0 &&
			entry_at(dlist_head_node(&share->entries))->number <= waiting->hurry_until)
			return true;
	}
	return false;
}

/* Enough of them wait, or the window of the first was ended. */
static bool
full(CcrWaiting *waiting)
{
	return waiting->n >= waiting->max_size ||
		waiting->bytes >= (Size) waiting->max_bytes || hurried(waiting);
}

static CcrTime
first_window_end(const CcrWaiting *waiting)
{
	return pairingheap_container(CcrWaitingEntry, window_node,
								 pairingheap_first(waiting->windows))->window_end;
}

bool
ccr_waiting_due(CcrWaiting *waiting, CcrTime now)
{
	return waiting->n > 0 && (full(waiting) || first_window_end(waiting) <= now);
}

CcrTime
ccr_waiting_next_due(CcrWaiting *waiting)
{
	return waiting->n > 0 && !full(waiting) ? first_window_end(waiting) : 0;
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
fits(const Taking *taking, const CcrWaitingEntry *entry)
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

/* The next one of a share that fits; NULL: none does. */
static CcrWaitingEntry *
next_of(CcrShare *share, const Taking *taking)
{
	CcrWaitingEntry *entry;

	if (share->next == NULL || !fits(taking, entry_at(share->next)))
		return NULL;
	entry = entry_at(share->next);
	share->next = dlist_has_next(&share->entries, share->next) ?
		dlist_next_node(&share->entries, share->next) : NULL;
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
	Taking		taking = {.most = most,.max_bytes = PG_INT32_MAX};
	dlist_head	behind = DLIST_STATIC_INIT(behind);
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &waiting->shares)
	{
		CcrShare   *share = dlist_container(CcrShare, node, iter.cur);

		share->next = share->n > 0 ? dlist_head_node(&share->entries) : NULL;
	}
	while (!dlist_is_empty(&waiting->shares) &&
		   taking.n < taking.most && taking.passed_over < taking.most)
	{
		CcrShare   *share = dlist_container(CcrShare, node,
											dlist_head_node(&waiting->shares));
		CcrWaitingEntry *entry = next_of(share, &taking);

		dlist_delete(&share->node);
		if (entry == NULL)
		{
			dlist_push_tail(&behind, &share->node);
			continue;
		}
		dlist_push_tail(&waiting->shares, &share->node);
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
		dlist_push_head(&waiting->shares, last);
	}
	dlist_foreach_modify(iter, &waiting->shares)
		drop_empty_share(waiting, dlist_container(CcrShare, node, iter.cur));
	reset_limits(waiting);
}
