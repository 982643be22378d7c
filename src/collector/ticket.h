/*-------------------------------------------------------------------------
 *
 * ticket.h
 *	  Tickets: requests, as their collector keeps them.
 *
 * A ticket begins as its request is admitted, with a waiter for each item, and
 * ends with the request: when the last item has landed, or its caller has left.
 * Requests of enqueued items have no caller to wait for them.  Their tickets
 * rely on a warrant: when it ends, what is left of them is given up.
 *
 * The gauges of a function count calls, that is waiters: queued while their
 * flight waits, active once it flies and until their request is complete.
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
 * A ticket is allotted together with its waiters and the flights that its items
 * start, as these come and go by the million.  A flight may outlive the ticket
 * if others have joined it, so the last of them frees all.
 */

typedef struct CcrTicket
{
	int			references;		/* flights, and the request */
	int			nflights;		/* used of these: */
	struct CcrFlight *flights;
	char	   *items;			/* where the next flight's is copied to; NULL:
								 * it stays in the request */
	CcrRequest *request;		/* hash key */
	CcrQueue   *queue;
	CcrCounters *counters;		/* that the backend counted the calls in */
	CcrWarrant *warrant;		/* NULL: it was not enqueued */
	dlist_node	warrant_node;
	uint32		admitted;		/* items that have their waiters */
	uint32		remaining;		/* items not yet landed */
	uint32		errors;			/* items that landed with one */
	CcrTime		departed;		/* when the first of them took off, or 0 */
	CcrFailure	failure;		/* a block of the answer found no room */
	CcrTimer	deadline_timer; /* of a request that nobody need be waiting
								 * for */
	bool		again;			/* an earlier generation had admitted it */
	Size		memory;			/* that it and its flights take */
	int			nlanded;		/* in this landing: */
	uint32		failed;			/* of these, with an error */
	struct CcrWaiter **landed;
	dlist_node	landed_node;
	struct CcrWaiter *waiters;	/* as many as the request has items */
} CcrTicket;

extern void ccr_tickets_init(void);

/* What ccr_ticket_new() is to have room for begins behind the ticket itself. */
#define CCR_TICKET_SIZE		MAXALIGN(sizeof(CcrTicket))

/* Allot one of so many bytes in all, for a request that has none. */
extern CcrTicket *ccr_ticket_new(CcrQueue *queue, CcrRequest *request, Size size);

/* One of no request, for a single flight; NULL: there is no memory. */
extern CcrTicket *ccr_ticket_new_bare(Size size);

/* The ticket of a request, or NULL. */
extern CcrTicket *ccr_ticket_of(CcrRequest *request);
extern void ccr_tickets_visit(void (*visit) (CcrTicket *));

/* A flight of it is gone. */
extern void ccr_ticket_release(CcrTicket *ticket);

/* It is over; its flights may go on for others. */
extern void ccr_ticket_free(CcrTicket *ticket);

/* Its items are enqueued ones, of its request's warrant. */
extern void ccr_ticket_rely(CcrTicket *ticket);

/* Calls whose flights take off; a negative number of those that come back. */
extern void ccr_ticket_move_to_active(CcrTicket *ticket, int n);

/* The flight of one of its waiters takes off, or has. */
extern void ccr_ticket_depart(CcrTicket *ticket, CcrTime now);

/*
 * All of its items have landed: count that, and, after it was told, end the
 * ticket and its request.  ccr_ticket_end() does both.
 */
extern void ccr_ticket_count(CcrTicket *ticket);
extern void ccr_ticket_finish(CcrTicket *ticket, CcrTime now);
extern void ccr_ticket_end(CcrTicket *ticket, CcrTime now);

/*
 * Complete a request of calls, so many of them with errors.  That was counted
 * before, as the caller may look, and is taken back if the caller has left.
 */
extern void ccr_ticket_complete(CcrRequest *request, CcrCounters *counters,
								CcrFailure failure, uint32 errors);

/* End a request of enqueued items: nothing of it is left. */
extern void ccr_ticket_end_enqueued(CcrRequest *request);

/* A request of calls that cannot be admitted. */
extern void ccr_ticket_refuse(CcrRequest *request, CcrFailure failure);

/* Why what an enqueued request asks for is to be given up, or 0. */
extern int	ccr_ticket_unwarranted(CcrRequest *request);

/* An item of one ends without flying; placed: it has a place. */
extern void ccr_ticket_settle_unwarranted(CcrRequest *request, uint32 item, bool placed);

/*
 * Mark the queues that have items of warrants that have ended, or of which some
 * are to be discarded, since the last time: CcrQueue.concerned.
 */
extern void ccr_tickets_mark_concerned(void);

/*
 * Who has sent what is in the queue is to hear why it waits; NULL: it does no
 * more.  off: its server is switched off.
 */
extern void ccr_tickets_tell_accounts(CcrQueue *queue, const CcrLastError *error, bool off);

/*
 * Log how many enqueued items are left, as there will be no next generation.
 * detail: for ereport(), why those of a queue are.
 */
extern uint64 ccr_tickets_log_left(int (*detail) (const CcrQueue *));

#endif							/* CCR_TICKET_H */
