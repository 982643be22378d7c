/*-------------------------------------------------------------------------
 *
 * line.c
 *	  The queues of a pool that have a batch due, and whose turn it is.
 *
 * Links are shared out by the time for which they are used: it is the turn of
 * the role that has had the least, and among its queues of the one that has.
 * A batch is charged what one of its queue takes on average, and the
 * difference as it ends.  Whoever comes to the line after a while starts with
 * what the last one had, so nobody saves up; nor does a role whose other lookups
 * are held back meanwhile, but for a little.  A batch that takes very much
 * longer than others of its queue, as on a locked table or a server that has
 * fallen silent, is an accident: were all of it charged, the queue would have to
 * wait until each of the others had had as much.
 *
 * That is of no help to a fast lookup while slow batches hold all links.  So
 * where a fast one has been used a moment ago, slow ones leave one link to it.
 * Which it is shows with its first batch: slow is what takes some ms, and several
 * times as long as the fastest.  Where the machine is busy, all take that long.
 * One accident makes no slow one, and who has been taken for one is soon known
 * better: they would wait for those that are.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/line.h"

#define CCR_SLOW			5000	/* us that a batch of a slow queue takes */
#define CCR_MUCH_SLOWER		4	/* times what one of the fastest takes */
#define CCR_FAST_LATELY		(10 * 1000) /* ms for which a fast one is expected
										 * to come again */
#define CCR_RISE_WEIGHT		8	/* batches that the mean is about, as it
								 * rises, */
#define CCR_FALL_WEIGHT		2	/* and as it falls */
#define CCR_MAX_ROLES		64	/* remembered, besides those in the line */
#define CCR_ACCIDENT		(250 * 1000)	/* us beyond CCR_USUAL means that
											 * are charged, at most */
#define CCR_USUAL			4
#define CCR_SAVED			(500 * 1000)	/* us of link time that a role may
											 * be behind, at most */

void
ccr_line_init(CcrLine *line, MemoryContext context)
{
	memset(line, 0, sizeof(CcrLine));
	line->context = context;
	dlist_init(&line->queues);
	dlist_init(&line->roles);
}

static bool
forget_oldest_role(CcrLine *line)
{
	dlist_iter	iter;

	dlist_foreach(iter, &line->roles)
	{
		CcrLineRole *role = dlist_container(CcrLineRole, node, iter.cur);

		if (role->references > 0)
			continue;
		dlist_delete(&role->node);
		line->nroles--;
		pfree(role);
		return true;
	}
	return false;
}

static CcrLineRole *
role_of(CcrLine *line, Oid roleid)
{
	CcrLineRole *role = NULL;
	dlist_iter	iter;

	dlist_reverse_foreach(iter, &line->roles)
	{
		role = dlist_container(CcrLineRole, node, iter.cur);
		if (role->roleid == roleid)
			break;
		role = NULL;
	}
	if (role)
		dlist_delete(&role->node);
	else
	{
		while (line->nroles >= CCR_MAX_ROLES && forget_oldest_role(line))
			;
		role = MemoryContextAllocZero(line->context, sizeof(CcrLineRole));
		role->roleid = roleid;
		line->nroles++;
	}

	/* what it has there may be held back, as by a rate, and make no use of it */
	role->had = Max(role->had, line->role_clock - (role->references > 0 ? CCR_SAVED : 0));
	dlist_push_tail(&line->roles, &role->node);
	return role;
}

void
ccr_line_enter(CcrLine *line, CcrLineEntry *entry, Oid roleid)
{
	if (entry->due)
		return;
	entry->due = true;
	entry->had = Max(entry->had, line->clock);
	entry->role = role_of(line, roleid);
	entry->role->references++;
	dlist_push_tail(&line->queues, &entry->node);
}

void
ccr_line_leave(CcrLine *line, CcrLineEntry *entry)
{
	if (!entry->due)
		return;
	dlist_delete(&entry->node);
	entry->role->references--;
	entry->role = NULL;
	entry->due = false;
}

static bool
is_slow(const CcrLineEntry *entry)
{
	return entry->mean >= CCR_SLOW;
}

static bool
is_much_slower(const CcrLine *line, const CcrLineEntry *entry)
{
	return is_slow(entry) && line->fast_at != 0 && entry != line->fastest &&
		entry->mean > CCR_MUCH_SLOWER * line->fast_mean;
}

/* It has begun a batch. */
static void
note_fast(CcrLine *line, const CcrLineEntry *entry, CcrTime now)
{
	bool		lately = line->fast_at != 0 && ccr_after(line->fast_at, CCR_FAST_LATELY) > now;

	if (entry->mean == 0 || (lately && is_much_slower(line, entry)))
		return;
	if (!lately || entry == line->fastest || entry->mean < line->fast_mean)
	{
		line->fastest = entry;
		line->fast_mean = entry->mean;
	}
	line->fast_at = now;
}

/* Must it leave the last link to a fast one?  Until when? */
static CcrTime
kept_for_fast(const CcrLine *line, const CcrLineEntry *entry, int limit)
{
	if (!is_much_slower(line, entry) || limit < 2 || line->slow < limit - 1)
		return 0;
	return ccr_after(line->fast_at, CCR_FAST_LATELY);
}

/* Has it had less than another? */
static bool
is_before(const CcrLineEntry *entry, const CcrLineEntry *other)
{
	if (entry->role != other->role && entry->role->had != other->role->had)
		return entry->role->had < other->role->had;
	return entry->had < other->had;
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

		if (first && !is_before(entry, first))
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
	line->role_clock = Max(line->role_clock, entry->role->had);
	batch->began = now;
	batch->role = entry->role;
	batch->role->references++;
	batch->charged = Max(entry->mean, 1);
	batch->slow = is_slow(entry);
	entry->had += batch->charged;
	batch->role->had += batch->charged;
	if (batch->slow)
		line->slow++;
	note_fast(line, entry, now);
}

static void
note_time(CcrLineEntry *entry, int64 took)
{
	int64		mean = entry->mean;

	if (mean == 0)
		entry->mean = Max(took, 1);
	else if (took < mean)
		entry->mean = Max(mean - (mean - took) / CCR_FALL_WEIGHT, 1);
	else
		entry->mean += (Min(took, CCR_USUAL * mean + CCR_SLOW) - mean) / CCR_RISE_WEIGHT;
}

void
ccr_line_end(CcrLine *line, CcrLineEntry *entry, const CcrLineBatch *batch, CcrTime now)
{
	int64		took = Min(now - batch->began,
						   CCR_USUAL * entry->mean + CCR_ACCIDENT);

	entry->had += took - batch->charged;
	batch->role->had += took - batch->charged;
	batch->role->references--;
	note_time(entry, took);
	if (batch->slow)
		line->slow--;
}
