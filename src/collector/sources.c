/*-------------------------------------------------------------------------
 *
 * sources.c
 *	  How many sources a collector keeps.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/budget.h"
#include "collector/sources.h"
#include "utils/memutils.h"

#define CCR_ROLE_SHARE	4		/* times what is left */

static dlist_head all = DLIST_STATIC_INIT(all); /* longest unused first */
static Size total = 0;

void
ccr_sources_add(CcrQueue *queue, CcrParty asker)
{
	queue->asker = asker;
	queue->memory = MemoryContextMemAllocated(queue->context, true);
	total += queue->memory;
	ccr_budget_own(queue->memory);
	dlist_push_tail(&all, &queue->used_node);
}

void
ccr_sources_remove(CcrQueue *queue)
{
	dlist_delete(&queue->used_node);
	total -= queue->memory;
	ccr_budget_own(-(int64) queue->memory);
}

void
ccr_sources_touch(CcrQueue *queue)
{
	queue->used = ccr_now();
	dlist_delete(&queue->used_node);
	dlist_push_tail(&all, &queue->used_node);
}

bool
ccr_sources_exceeded(Size bytes)
{
	return total + bytes > ccr_shared->heap_size;
}

CcrQueue *
ccr_sources_oldest(bool (*idle) (CcrQueue *))
{
	dlist_iter	iter;

	dlist_foreach(iter, &all)
	{
		CcrQueue   *queue = dlist_container(CcrQueue, used_node, iter.cur);

		if (idle(queue))
			return queue;
	}
	return NULL;
}

bool
ccr_sources_allowed(CcrParty asker, Size bytes)
{
	Size		limit = 2 * ccr_shared->heap_size;
	Size		left = total + bytes < limit ? limit - total - bytes : 0;
	CcrTaken	has = {.role = bytes, .login = bytes};
	dlist_iter	iter;

	if (!ccr_sources_exceeded(bytes))
		return true;
	dlist_foreach(iter, &all)
	{
		CcrQueue   *queue = dlist_container(CcrQueue, used_node, iter.cur);

		ccr_taken_add(&has, asker, queue->asker, queue->memory);
	}
	return has.role <= CCR_ROLE_SHARE * left && has.login <= CCR_LOGIN_SHARE * left;
}
