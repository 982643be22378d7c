/*-------------------------------------------------------------------------
 *
 * line.c
 *	  The queues of a pool that have a batch due, and whose turn it is.
 *
 * Links are shared out by the time for which they are used: it is the turn of
 * the queue that has had the least.  A batch is charged what one of its queue
 * takes on average, and the difference as it ends.  Whoever comes to the line
 * after a while starts with what the last one had, so nobody saves up.  A batch
 * that takes very much longer than others of its queue, as on a locked table or
 * a server that has fallen silent, is an accident: were all of it charged, the
 * queue would have to wait until each of the others had had as much.
 *
 * That is of no help to a fast lookup while slow batches hold all links.  So
 * where a fast one has been used a moment ago, slow ones leave one link to it.
 * Which it is shows with its first batch.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "line.h"

#define CCR_SLOW			5000	/* us that a batch of a slow queue takes */
#define CCR_FAST_LATELY		(10 * 1000) /* ms for which a fast one is expected
										 * to come again */
#define CCR_MEAN_WEIGHT		8	/* batches that the mean is about */
#define CCR_ACCIDENT		(250 * 1000)	/* us beyond CCR_USUAL means that are
											 * charged, at most */
#define CCR_USUAL			4

void
ccr_line_init(CcrLine *line)
{
	memset(line, 0, sizeof(CcrLine));
	dlist_init(&line->queues);
}

void
ccr_line_enter(CcrLine *line, CcrLineEntry *entry)
{
	if (entry->due)
		return;
	entry->due = true;
	entry->had = Max(entry->had, line->clock);
	dlist_push_tail(&line->queues, &entry->node);
}

void
ccr_line_leave(CcrLine *line, CcrLineEntry *entry)
{
	if (entry->due)
		dlist_delete(&entry->node);
	entry->due = false;
}

static bool
is_slow(const CcrLineEntry *entry)
{
	return entry->mean >= CCR_SLOW;
}

/* Must it leave the last link to a fast one?  Until when? */
static CcrTime
kept_for_fast(const CcrLine *line, const CcrLineEntry *entry, int limit)
{
	if (!is_slow(entry) || limit < 2 || line->slow < limit - 1 || line->fast_at == 0)
		return 0;
	return ccr_after(line->fast_at, CCR_FAST_LATELY);
}

CcrLineEntry *
ccr_line_first(CcrLine *line, int limit, CcrTime now,
			   bool (*ready) (CcrLineEntry *entry, CcrTime now, CcrTime *when),
			   CcrTime *when)
{
	CcrLineEntry *first = NULL;
	dlist_iter	iter;

	*when = 0;
	dlist_foreach(iter, &line->queues)
	{
		CcrLineEntry *entry = dlist_container(CcrLineEntry, node, iter.cur);
		CcrTime		until = kept_for_fast(line, entry, limit);

		if (first && first->had <= entry->had)
			continue;
		if (until > now || !ready(entry, now, &until))
		{
			if (until != 0 && (*when == 0 || until < *when))
				*when = until;
			continue;
		}
		first = entry;
	}
	return first;
}

void
ccr_line_begin(CcrLine *line, CcrLineEntry *entry, CcrLineBatch *batch, CcrTime now)
{
	line->clock = Max(line->clock, entry->had);
	batch->began = now;
	batch->charged = Max(entry->mean, 1);
	batch->slow = is_slow(entry);
	entry->had += batch->charged;
	if (batch->slow)
		line->slow++;
	else if (entry->mean > 0)
		line->fast_at = now;
}

void
ccr_line_end(CcrLine *line, CcrLineEntry *entry, const CcrLineBatch *batch, CcrTime now)
{
	int64		took = Min(now - batch->began,
						   CCR_USUAL * entry->mean + CCR_ACCIDENT);

	entry->had += took - batch->charged;
	if (entry->mean == 0)
		entry->mean = Max(took, 1);
	else
		entry->mean += (took - entry->mean) / CCR_MEAN_WEIGHT;
	if (batch->slow)
		line->slow--;
}
