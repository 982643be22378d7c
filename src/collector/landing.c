/*-------------------------------------------------------------------------
 *
 * landing.c
 *	  Landing: the outcomes of flights go to those who wait for them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/landing.h"
#include "collector/tally.h"
#include "utils/memutils.h"

/*
 * The flights that are landing.  If an error ends that, their shared rows must
 * still be let go.
 */
static CcrFlight **landing = NULL;
static int	nlanding = 0;

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
	if (ticket->failure != CCR_FAILURE_NONE)
		return;
	draft = ccr_answer_draft(items, outcomes, n, ncolumns, binary);
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

/*
 * Enqueued items, which nobody waits for: mark them as ended, and count them
 * for their accounts.
 */
static void
settle_ticket(CcrTicket *ticket)
{
	CcrRequest *request = ticket->request;
	CcrAccount *account = ccr_heap_address(request->account);
	uint32		places = 0;

	for (int i = 0; i < ticket->nlanded; i++)
	{
		CcrWaiter  *waiter = ticket->landed[i];
		const CcrError *error = waiter->flight->outcome.error;

		if (error)
		{
			ccr_account_failed(account, error->sqlstate, error->message);
			ticket->failed++;
		}
		if (waiter->placed)
			places++;
		ccr_request_ended(request)[waiter->item] = 1;
	}
	ccr_tally_for(ticket->counters, ticket->warrant);
	ccr_tally.active -= ticket->nlanded;
	ccr_tally.errors += ticket->failed;
	ccr_tally.discarded += ticket->failed;
	ccr_tally.answered += ticket->nlanded - ticket->failed;
	ccr_tally.places += places;
	ccr_tally.flying -= ticket->nlanded;
	ccr_tally.settled += ticket->nlanded;
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
		ccr_ticket_count(ticket);
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
		CcrAccount *account = ccr_heap_address(ticket->request->account);

		pg_atomic_fetch_sub_u64(&ccr_mailboxes[ticket->request->worker].unsettled, n);
		if (ccr_account_settle(account, n))
			ccr_request_wake_later(account->procno);
	}
	if (ticket->remaining == 0)
		ccr_ticket_finish(ticket, now);
}

/* Nothing may fail between counting the outcomes and announcing them. */
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
	ccr_tally_tell();
	dlist_foreach_modify(iter, touched)
		announce_landed(dlist_container(CcrTicket, landed_node, iter.cur), now);
}

void
ccr_landing_give_up(void)
{
	for (int i = 0; i < nlanding; i++)
		ccr_outcome_let_go(&landing[i]->outcome);
	nlanding = 0;
}

void
ccr_flights_land(CcrFlight **flights, int n, int ncolumns, bool binary)
{
	static MemoryContext context = NULL;
	MemoryContext old;
	dlist_head	touched = DLIST_STATIC_INIT(touched);
	CcrTime		now = ccr_now();

	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "concresce landing",
										ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	ccr_flights_change_begin();
	landing = flights;
	nlanding = n;
	for (int i = 0; i < n; i++)
	{
		/* items that come from now on start flights of their own */
		ccr_flight_unlist(flights[i]);
		ccr_outcome_share(&flights[i]->outcome, flights[i]->nwaiters);
	}
	gather_landed(flights, n, &touched);
	land_tickets(&touched, ncolumns, binary, now);
	ccr_landing_give_up();
	for (int i = 0; i < n; i++)
		ccr_flight_free(flights[i]);
	ccr_flights_change_end();
	MemoryContextSwitchTo(old);
	MemoryContextReset(context);
}
