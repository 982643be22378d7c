/*-------------------------------------------------------------------------
 *
 * ticket.c
 *	  Tickets: requests, as their collector keeps them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/budget.h"
#include "collector/tally.h"
#include "collector/ticket.h"
#include "common/hashfn.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

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

static MemoryContext ticket_context;
static struct ticket_hash *tickets;
static HTAB *reliances;			/* by warrant */

void
ccr_tickets_init(void)
{
	HASHCTL		ctl = {.keysize = sizeof(CcrWarrant *), .entrysize = sizeof(Reliance)};

	ticket_context = AllocSetContextCreate(TopMemoryContext, "concresce tickets",
										   ALLOCSET_DEFAULT_SIZES);
	reliances = hash_create("concresce warrants", 64, &ctl, HASH_ELEM | HASH_BLOBS);
	tickets = ticket_create(TopMemoryContext, 256, NULL);
}

CcrTicket *
ccr_ticket_new(CcrQueue *queue, CcrRequest *request, Size size)
{
	CcrTicket  *ticket;
	bool		found;

	ccr_budget_own(size);
	ticket = MemoryContextAllocHuge(ticket_context, size);
	memset(ticket, 0, sizeof(CcrTicket));
	ticket->references = 1;
	ticket->memory = size;
	ticket->request = request;
	ticket->queue = queue;
	ticket->counters = &ccr_counters[request->counters];
	ticket->remaining = request->nitems;
	ticket->again = pg_atomic_read_u32(&request->phase) != CCR_PHASE_SUBMITTED;
	ticket_insert(tickets, request, &found)->ticket = ticket;
	Assert(!found);
	return ticket;
}

CcrTicket *
ccr_ticket_of(CcrRequest *request)
{
	TicketEntry *entry = tickets ? ticket_lookup(tickets, request) : NULL;

	return entry ? entry->ticket : NULL;
}

void
ccr_tickets_visit(void (*visit) (CcrTicket *))
{
	ticket_iterator iter;
	TicketEntry *entry;

	if (tickets == NULL)
		return;
	ticket_start_iterate(tickets, &iter);
	while ((entry = ticket_iterate(tickets, &iter)) != NULL)
		visit(entry->ticket);
}

CcrTicket *
ccr_ticket_new_bare(Size size)
{
	CcrTicket  *ticket = MemoryContextAllocExtended(ticket_context, size,
													MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM | MCXT_ALLOC_ZERO);

	if (ticket == NULL)
		return NULL;
	ccr_budget_own(size);
	ticket->references = 1;
	ticket->memory = size;
	return ticket;
}

void
ccr_ticket_release(CcrTicket *ticket)
{
	if (--ticket->references > 0)
		return;
	ccr_budget_own(-(int64) ticket->memory);
	pfree(ticket);
}

void
ccr_ticket_move_to_active(CcrTicket *ticket, int n)
{
	ccr_tally_for(ticket->counters, ticket->warrant);
	ccr_tally.queued -= n;
	ccr_tally.active += n;
	if (ticket->warrant)
		ccr_tally.flying += n;
}

void
ccr_ticket_depart(CcrTicket *ticket, CcrTime now)
{
	ccr_ticket_move_to_active(ticket, 1);
	if (ticket->departed != 0)
		return;
	ticket->departed = now;
	pg_atomic_write_u32(&ticket->request->phase, CCR_PHASE_IN_FLIGHT);
}

void
ccr_ticket_free(CcrTicket *ticket)
{
	ticket_delete(tickets, ticket->request);
	ccr_timer_clear(&ticket->deadline_timer);
	ccr_ticket_release(ticket);
}

/* ---------------------------------------------------------------- warrants */

int
ccr_ticket_unwarranted(CcrRequest *request)
{
	return ccr_warrant_why(ccr_heap_address(request->warrant), request->submitted);
}

/* It does not fly: as settle_ticket() of landing.c, but for one item. */
void
ccr_ticket_settle_unwarranted(CcrRequest *request, uint32 item, bool placed)
{
	CcrCounters *counters = &ccr_counters[request->counters];
	CcrAccount *account = ccr_heap_address(request->account);
	CcrWarrant *warrant = ccr_heap_address(request->warrant);
	int			sqlstate = ccr_ticket_unwarranted(request);

	/* that it waits may not have been told yet */
	ccr_tally_tell();
	ccr_account_failed(account, sqlstate, ccr_warrant_reason(sqlstate));
	ccr_request_ended(request)[item] = 1;
	ccr_count(counters, CCR_ERRORS, 1);
	ccr_count(counters, CCR_DISCARDED, 1);
	ccr_gauge(counters, -1, 0);
	ccr_tally_room(counters, 0, placed ? 1 : 0);
	pg_atomic_fetch_sub_u64(&ccr_mailboxes[request->worker].unsettled, 1);
	pg_atomic_fetch_sub_u64(&warrant->items, 1);
	if (sqlstate == ERRCODE_QUERY_CANCELED)
		pg_atomic_fetch_add_u64(&warrant->discarded, 1);
	if (ccr_account_settle(account, 1))
		ccr_request_wake_later(account->procno);
}

/* So that it is known since when the oldest waits. */
static void
show_oldest(Reliance *reliance)
{
	CcrTicket  *oldest = dlist_container(CcrTicket, warrant_node,
										 dlist_head_node(&reliance->tickets));

	pg_atomic_write_u64(&reliance->warrant->oldest, oldest->request->submitted);
}

void
ccr_ticket_rely(CcrTicket *ticket)
{
	bool		found;
	Reliance   *reliance;

	ticket->warrant = ccr_heap_address(ticket->request->warrant);
	reliance = hash_search(reliances, &ticket->warrant, HASH_ENTER, &found);
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

/* Those that have some of its items, if it was marked since it was looked at. */
static void
mark_concerned(Reliance *reliance)
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

		if (ccr_ticket_unwarranted(ticket->request))
			ticket->queue->concerned = true;
	}
}

void
ccr_tickets_mark_concerned(void)
{
	HASH_SEQ_STATUS status;
	Reliance   *reliance;

	hash_seq_init(&status, reliances);
	while ((reliance = hash_seq_search(&status)) != NULL)
		mark_concerned(reliance);
}

/* ----------------------------------------------------------------- endings */

void
ccr_ticket_complete(CcrRequest *request, CcrCounters *counters, CcrFailure failure,
					uint32 errors)
{
	uint32		n = request->nitems;

	if (ccr_request_complete(request, failure))
		return;
	ccr_count(counters, CCR_ERRORS, -(int64) errors);
	ccr_count(counters, CCR_ANSWERED, -(int64) (n - errors));
}

void
ccr_ticket_end_enqueued(CcrRequest *request)
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
void
ccr_ticket_count(CcrTicket *ticket)
{
	uint32		errors = errors_of(ticket);

	if (ticket->warrant)
		return;
	ccr_tally_for(ticket->counters, NULL);
	ccr_tally.active -= ticket->request->nitems;
	ccr_tally.errors += errors;
	ccr_tally.answered += ticket->request->nitems - errors;
}

/* After that was told. */
void
ccr_ticket_finish(CcrTicket *ticket, CcrTime now)
{
	CcrRequest *request = ticket->request;
	CcrCounters *counters = ticket->counters;
	CcrFailure	failure = ticket->failure;
	uint32		errors = errors_of(ticket);

	if (ticket->warrant)
	{
		end_reliance(ticket);
		ccr_ticket_free(ticket);
		ccr_ticket_end_enqueued(request);
		return;
	}
	if (ticket->departed != 0)
		request->remote_us = now - ticket->departed;
	ccr_counters_latency(counters, now - request->submitted, request->nitems);
	ccr_ticket_free(ticket);
	ccr_ticket_complete(request, counters, failure, errors);
}

void
ccr_ticket_end(CcrTicket *ticket, CcrTime now)
{
	ccr_ticket_count(ticket);
	ccr_tally_tell();
	ccr_ticket_finish(ticket, now);
}

void
ccr_ticket_refuse(CcrRequest *request, CcrFailure failure)
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
		ccr_ticket_complete(request, counters, failure, n);
	else if (!ccr_request_complete(request, failure))
		ccr_count(counters, CCR_CALLS, n);
}

/* -------------------------------------------------------------- all tickets */

void
ccr_tickets_tell_accounts(CcrQueue *queue, const CcrLastError *error, bool off)
{
	ticket_iterator iter;
	TicketEntry *entry;

	ticket_start_iterate(tickets, &iter);
	while ((entry = ticket_iterate(tickets, &iter)) != NULL)
	{
		CcrRequest *request = entry->ticket->request;
		CcrAccount *account;

		if (entry->ticket->queue != queue || request->kind != CCR_REQUEST_ENQUEUED)
			continue;
		account = ccr_heap_address(request->account);
		ccr_account_waits(account, error, off);
		if (error && pg_atomic_read_u32(&account->waiting))
			ccr_request_wake_later(account->procno);
	}
}

static uint64 nleft;			/* result and argument of log_left() */
static int	(*detail_left) (const CcrQueue *);

static void
log_left(CcrQueue *queue)
{
	if (queue->left > 0)
		ereport(WARNING,
				(errmsg("%llu enqueued items of lookup %s are lost at shutdown",
						(unsigned long long) queue->left, queue->source->function_name),
				 detail_left(queue)));
	nleft += queue->left;
}

uint64
ccr_tickets_log_left(int (*detail) (const CcrQueue *))
{
	ticket_iterator iter;
	TicketEntry *entry;

	ticket_start_iterate(tickets, &iter);
	while ((entry = ticket_iterate(tickets, &iter)) != NULL)
		if (entry->ticket->request->kind == CCR_REQUEST_ENQUEUED)
			entry->ticket->queue->left += entry->ticket->remaining;
	nleft = 0;
	detail_left = detail;
	ccr_queues_visit(log_left);
	return nleft;
}
