/*-------------------------------------------------------------------------
 *
 * flight.h
 *	  Flights: keys being looked up, and who waits for them.
 *
 * Everything here is private to one collector.
 *
 *	queue	what is waiting of one source: queue.h
 *	ticket	a request, as the collector keeps it: ticket.h
 *	flight	a key being looked up: one item, in the queue or in a batch
 *	waiter	an item of a ticket, on the flight that serves it
 *
 * A flight starts when an item is admitted that cannot join another one:
 *
 *                   ccr_flights_admit()
 *                           |
 *                           v
 *                        WAITING
 *                           |  ccr_flights_take()
 *                           v
 *  ccr_flights_land() <-- FLYING ----------------------+
 *  and it is freed          ^                          | ccr_flights_regroup(),
 *                           | ccr_flights_take()       | ccr_flight_ground()
 *                           +------- GROUPED <---------+
 *
 * A flight that loses its last waiter is freed at once while it is WAITING.
 * While it is GROUPED, it is freed when its group is taken.  While it is
 * FLYING, it stays with its batch.
 *
 * The backlog counts flights that wait: it is what concresce.queue_size bounds,
 * so an item that joins another gives its room back.  Enqueued items keep their
 * places until they have ended: what fails for a transient cause waits again,
 * and would find them taken.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_FLIGHT_H
#define CCR_FLIGHT_H

#include "collector/queue.h"
#include "collector/ticket.h"
#include "collector/waiting.h"
#include "lib/ilist.h"
#include "shared/answer.h"
#include "shared/request.h"

struct CcrBatch;

typedef enum CcrFlightState
{
	CCR_FLIGHT_WAITING,			/* for its first batch, in its queue */
	CCR_FLIGHT_GROUPED,			/* to fly again, with others of its group; or
								 * a suspect: circuit.h */
	CCR_FLIGHT_FLYING			/* in a batch */
} CcrFlightState;

typedef struct CcrFlight
{
	CcrQueue   *queue;
	CcrFlightState state;
	bool		listed;
	bool		reserved;		/* holds a place in the backlog */
	CcrCounters *counters;		/* of which */
	bool		resent;			/* was lost or outdated once already */
	bool		divided;		/* comes from a batch that was divided, and is
								 * to be told only of itself */
	CcrParty	party;			/* whose item it is */
	bool		several;		/* others wait for it, too, or did */
	CcrTicket  *ticket;			/* that it is a part of */
	int			failures;		/* of enqueued items only, as are these: */
	uint64		seen;			/* successes of the queue at the last */
	int			attempts;		/* of these, but for those since which nothing
								 * else had succeeded */
	int			alone;			/* of these, how often it was alone */
	CcrTime		ended_after;	/* how long the batch had taken that somebody
								 * had to end; 0: none */
	int			ended_among;	/* its items */
	uint32		hash;
	uint32		key_length;
	const char *key;			/* within item */
	CcrItem    *item;
	CcrWaitingEntry waiting;
	CcrTime		arrived;
	dlist_head	waiters;
	int			nwaiters;
	struct CcrBatch *batch;		/* while FLYING */

	CcrOutcome	outcome;		/* written by batch.c */
} CcrFlight;

typedef struct CcrWaiter
{
	dlist_node	node;			/* in the flight's waiters */
	CcrTicket  *ticket;
	CcrFlight  *flight;			/* NULL once landed */
	uint32		item;			/* index within the request */
	bool		placed;			/* has a place; enqueued items only */
} CcrWaiter;

/* deserted: nobody waits for any flight of the batch. */
extern void ccr_flights_init(void (*deserted) (struct CcrBatch *));

/* A new queue: make the table of its flights that may be joined. */
extern void ccr_flights_prepare(CcrQueue *queue);

/* Let the items of a request wait, or join flights. */
extern void ccr_flights_admit(CcrQueue *queue, CcrRequest *request);

/* Whose item is the first of the batch that is due. */
extern Oid	ccr_flights_next_role(CcrQueue *queue, CcrTime now);

/*
 * Take the flights of the next batch, at most the queue's limits and `most`;
 * they are FLYING from then on.  The array is palloc'd.  May be none.  apart: none of
 * them may be equal to another, identical or not.  waited: us, all together; -1:
 * they fly again.
 */
extern CcrFlight **ccr_flights_take(CcrQueue *queue, struct CcrBatch *batch,
									bool apart, int most, int *n, CcrTime *waited);

/*
 * Let flights that were FLYING wait for another batch, as one group; not
 * before retry_at, if that is not 0.
 */
extern void ccr_flights_regroup(CcrQueue *queue, CcrFlight **flights, int n,
								CcrTime retry_at);

/*
 * One flight takes off for a batch, or is to fly again: false, and it is freed,
 * if nobody waits for it.
 */
extern void ccr_flight_take_off(CcrFlight *flight, struct CcrBatch *batch,
								CcrTime now);
extern bool ccr_flight_ground(CcrFlight *flight);

/* The one that this is a part of. */
extern CcrFlight *ccr_flight_of(CcrWaitingEntry *entry);

/* Nobody joins it from now on. */
extern void ccr_flight_unlist(CcrFlight *flight);

/* Nobody waits for it. */
extern void ccr_flight_free(CcrFlight *flight);

/* A request found on the abandoned list. */
extern void ccr_flights_abandon(CcrRequest *request);

/* Later identical items of the function start flights of their own. */
extern void ccr_flights_forget(CcrRequest *request);

/* Why all who have enqueued its item may no more, or 0. */
extern int	ccr_flight_why_unwarranted(CcrFlight *flight);

/* Give it up.  Returns how many enqueued items have ended with it. */
extern uint32 ccr_flight_drop(CcrFlight *flight);
extern void ccr_flights_log_dropped(const CcrQueue *queue, uint32 n, int sqlstate);

/* If a flight that is in no list is unwarranted: true, and it is freed. */
extern bool ccr_flight_drop_unwarranted(CcrFlight *flight);

/* Drop those that are unwarranted.  Returns how many are left. */
extern int	ccr_flights_drop_from(CcrQueue *queue, CcrFlight **flights, int n);

/*
 * Fail every open request, as the collector exits; enqueued ones are left to
 * the next generation.
 */
extern void ccr_flights_fail_all(void);

/*
 * Begin and end changes that an error must not interrupt.  If one does, what
 * is here cannot be relied on, and the collector has to exit.  What is counted
 * meanwhile is told at the end.
 */
extern void ccr_flights_change_begin(void);
extern void ccr_flights_change_end(void);
extern bool ccr_flights_inconsistent(void);

#endif							/* CCR_FLIGHT_H */
