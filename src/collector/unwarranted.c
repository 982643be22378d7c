/*-------------------------------------------------------------------------
 *
 * unwarranted.c
 *	  Enqueued items whose warrant has ended, or that are to be discarded.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/tally.h"
#include "collector/unwarranted.h"
#include "utils/memutils.h"

typedef struct Dropped
{
	uint32		n;
	int			why;
} Dropped;

static void
drop_waiting(CcrWaitingEntry *entry, void *arg)
{
	Dropped    *dropped = arg;
	CcrFlight  *flight = ccr_flight_of(entry);
	int			sqlstate = ccr_flight_why_unwarranted(flight);

	if (sqlstate == 0)
		return;
	dropped->why = sqlstate;
	ccr_waiting_remove(&flight->queue->waiting, entry);
	dropped->n += ccr_flight_drop(flight);
}

void
ccr_unwarranted_drop(CcrQueue *queue)
{
	Dropped		dropped = {0};
	dlist_mutable_iter iter;

	ccr_waiting_visit(&queue->waiting, drop_waiting, &dropped);
	dlist_foreach_modify(iter, &queue->groups)
	{
		CcrGroup   *group = dlist_container(CcrGroup, node, iter.cur);

		group->n = ccr_flights_drop_from(queue, group->flights, group->n);
		if (group->n > 0)
			continue;
		ccr_group_remove(queue, group);
		ccr_group_free(group);
	}
	dlist_foreach_modify(iter, &queue->suspects)
	{
		CcrSuspect *suspect = dlist_container(CcrSuspect, node, iter.cur);
		int			sqlstate = ccr_flight_why_unwarranted(suspect->flight);

		if (sqlstate == 0)
			continue;
		dropped.why = sqlstate;
		dlist_delete(&suspect->node);
		queue->nsuspects--;
		dropped.n += ccr_flight_drop(suspect->flight);
		MemoryContextDelete(suspect->context);
	}
	ccr_flights_log_dropped(queue, dropped.n, dropped.why);
}

static void (*check_dropped) (CcrQueue *);

static void
drop_and_check(CcrQueue *queue)
{
	if (!queue->concerned)
		return;
	queue->concerned = false;
	ccr_unwarranted_drop(queue);
	check_dropped(queue);
}

/* What others have enqueued elsewhere is not looked through. */
void
ccr_unwarranted_drop_all(void (*check) (CcrQueue *))
{
	ccr_flights_change_begin();
	ccr_tickets_mark_concerned();
	check_dropped = check;
	ccr_queues_visit(drop_and_check);
	ccr_flights_change_end();
}

void
ccr_unwarranted_end(CcrRequest *request)
{
	int			sqlstate = ccr_ticket_unwarranted(request);
	uint32		n = 0;

	if (sqlstate == 0 || ccr_ticket_of(request))
		return;
	ccr_flights_change_begin();
	for (uint32 i = 0; i < request->nitems; i++)
	{
		if (ccr_request_ended(request)[i])
			continue;
		ccr_ticket_settle_unwarranted(request, i, true);
		n++;
	}
	ereport(WARNING,
			(errcode(sqlstate),
			 errmsg("discarded %u enqueued items of the lookup with OID %u: %s",
					n, request->function, ccr_warrant_reason(sqlstate))));
	ccr_ticket_end_enqueued(request);
	ccr_flights_change_end();
}
