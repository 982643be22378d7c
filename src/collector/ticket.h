/*-------------------------------------------------------------------------
 *
 * ticket.h
 *	  Tickets: the collector's own records of requests.
 *
 * A ticket is made when its request is admitted, with a waiter for each item.
 * It ends with the request: when the last item has landed, or the caller has
 * left.  Requests of enqueued items have no caller.  Their tickets rely on a
 * warrant: when it ends, the items that have not ended are discarded.
 *
 * The gauges of a function count calls, that is, waiters.  A waiter is queued
 * while its flight waits.  It is active from the moment that the flight takes
 * off until its request is complete.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_TICKET_H
#define CCR_TICKET_H

#include "collector/queue.h"
#include "shared/warrant.h"

struct CcrFlight;
struct CcrWaiter;

/*
 * A ticket is one allocation together with its waiters and the flights that
 * its items start, since there are millions of these.  A flight may outlive
 * the ticket if other items have joined it, so a count of references says when
 * the memory can be freed.
 */

typedef struct CcrTicket
{
	int			references;		/* by flights, and by the request */
	int			nflights;		/* how many of these are used: */
	struct CcrFlight *flights;
	char	   *items;			/* where the item of the next flight is copied
								 * to; NULL: it stays in the request */
	CcrRequest *request;		/* hash key */
	CcrQueue   *queue;
	CcrCounters *counters;		/* that the backend counted the calls in */
	CcrWarrant *warrant;		/* NULL: it was not enqueued */
	dlist_node	warrant_node;
	uint32		admitted;		/* items that have their waiters */
	uint32		nleft;			/* the first so many items have left their
								 * flights, as the request was abandoned */
	uint32		remaining;		/* items not yet landed */
	uint32		errors;			/* items that landed with one */
	CcrTime		departed;		/* when the first of them took off, or 0 */
	CcrFailure	failure;		/* why a block of the answer found no room */
	CcrTimer	deadline_timer; /* of a future: its session may not be waiting */
	bool		again;			/* an earlier generation had admitted it */
	Size		memory;			/* bytes that it and its flights take */
	int			nlanded;		/* items in the present landing */
	uint32		failed;			/* of these, with an error */
	struct CcrWaiter **landed;
	dlist_node	landed_node;
	struct CcrWaiter *waiters;	/* as many as the request has items */
} CcrTicket;

extern void ccr_tickets_init(void);

/*
 * Waiters and flights come behind the ticket itself, which takes so many
 * bytes.
 */
#define CCR_TICKET_SIZE		MAXALIGN(sizeof(CcrTicket))

/* Allocate a ticket of so many bytes in all, for a request that has none. */
extern CcrTicket *ccr_ticket_new(CcrQueue *queue, CcrRequest *request, Size size);

/*
 * One without a request, to hold a single flight; NULL if there is no memory.
 */
extern CcrTicket *ccr_ticket_new_bare(Size size);

/* The ticket of a request, or NULL. */
extern CcrTicket *ccr_ticket_of(CcrRequest *request);
extern void ccr_tickets_visit(void (*visit) (CcrTicket *));

/* Release the reference of one of its flights, which is gone. */
extern void ccr_ticket_release(CcrTicket *ticket);

/* End the ticket.  Flights that others have joined go on. */
extern void ccr_ticket_free(CcrTicket *ticket);

/* Enter a ticket of enqueued items with its request's warrant. */
extern void ccr_ticket_rely(CcrTicket *ticket);

/*
 * n calls move from queued to active, as their flights take off; back if
 * negative.
 */
extern void ccr_ticket_move_to_active(CcrTicket *ticket, int n);

/* The flight of one of its waiters takes off, or is in flight already. */
extern void ccr_ticket_depart(CcrTicket *ticket, CcrTime now);

/*
 * All of its items have landed.  ccr_ticket_count() counts that.  Once the
 * tally was written out, ccr_ticket_finish() ends the ticket and its request.
 * ccr_ticket_end() does all of it.
 */
extern void ccr_ticket_count(CcrTicket *ticket);
extern void ccr_ticket_finish(CcrTicket *ticket, CcrTime now);
extern void ccr_ticket_end(CcrTicket *ticket, CcrTime now);

/*
 * Complete a request of calls, of which so many failed.  They must have been
 * counted before, since the backend may look at the counters at once.  If the
 * backend has left, this takes the counts back.
 */
extern void ccr_ticket_complete(CcrRequest *request, CcrCounters *counters,
								CcrFailure failure, uint32 errors);

/* End a request of enqueued items: nothing of it is left. */
extern void ccr_ticket_end_enqueued(CcrRequest *request);

/* Fail a request of calls that cannot be admitted. */
extern void ccr_ticket_refuse(CcrRequest *request, CcrFailure failure);

/*
 * The SQLSTATE that says why an enqueued request must be discarded; 0: it need
 * not.
 */
extern int	ccr_ticket_unwarranted(CcrRequest *request);

/* An item of such a request ends without flying.  placed: it has a place. */
extern void ccr_ticket_settle_unwarranted(CcrRequest *request, uint32 item, bool placed);

/*
 * Set CcrQueue.concerned for the queues with items whose warrant has ended
 * since the last time, or which must be discarded.
 */
extern void ccr_tickets_mark_concerned(void);

/*
 * Tell the accounts of all items in the queue why these wait; error: NULL if
 * they wait no longer.  off: the server is switched off.
 */
extern void ccr_tickets_tell_accounts(CcrQueue *queue, const CcrLastError *error, bool off);

/*
 * Log how many enqueued items are lost, as there will be no next generation.
 * Returns their number.  detail() adds to ereport() why those of a queue are
 * left.
 */
extern uint64 ccr_tickets_log_left(int (*detail) (const CcrQueue *));

#endif							/* CCR_TICKET_H */
