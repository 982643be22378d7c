/*-------------------------------------------------------------------------
 *
 * flight.h
 *	  Flights: keys being looked up, and who waits for them.
 *
 * Everything here is private to one collector.
 *
 *	queue	the flights of one source that wait: queue.h
 *	ticket	the collector's own record of a request: ticket.h
 *	flight	a key being looked up: one item, in the queue or in a batch
 *	waiter	links an item of a ticket to the flight that serves it
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
 * The backlog counts flights that wait; concresce.queue_size bounds it.  So an
 * item that joins another's flight gives its room back.  Enqueued items have
 * places instead, and keep them until they have ended: an item that fails for
 * a transient cause waits again, and might find no place free if it had given
 * its own back.
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
	bool		listed;			/* identical items may join it */
	bool		reserved;		/* has room in the backlog */
	CcrCounters *counters;		/* whose backlog that is */
	bool		resent;			/* its batch was lost or outdated once already */
	bool		divided;		/* its batch was divided, so it must only be
								 * told errors of its own */
	CcrParty	party;			/* whose item it is */
	bool		several;		/* another party waits for it, too, or did */
	CcrTicket  *ticket;			/* whose memory it is a part of */

	/* Of enqueued items only: */
	int			failures;		/* how often its batch has failed */
	uint64		seen;			/* successes of the queue before the last of
								 * these failures */
	int			attempts;		/* failures; those between which nothing of
								 * the queue has succeeded count as one */
	int			alone;			/* of the attempts, those in which it was the
								 * only item */
	CcrTime		ended_after;	/* how long its batch had taken when somebody
								 * ended it; 0: nobody did */
	int			ended_among;	/* number of items in that batch */

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

/*
 * deserted() is called when nobody waits for any flight of a batch any more.
 */
extern void ccr_flights_init(void (*deserted) (struct CcrBatch *));

/* Make the table of a new queue's flights that identical items may join. */
extern void ccr_flights_prepare(CcrQueue *queue);

/*
 * Admit a request: each of its items starts a flight, which waits, or joins
 * one.
 */
extern void ccr_flights_admit(CcrQueue *queue, CcrRequest *request);

/* The role whose item is the first of the batch that is due. */
extern Oid	ccr_flights_next_role(CcrQueue *queue, CcrTime now);

/*
 * Take the flights of the next batch: as many as the queue's limits allow, and
 * at most `most`; there may be none.  They are FLYING from then on.  The array
 * is palloc'd.  If `apart`, no two of them may have equal keys.  *waited
 * receives how many microseconds they have waited, added up; -1 if they fly
 * again.
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
 * ccr_flight_take_off(): a flight leaves with a batch.  ccr_flight_ground():
 * it has to fly again; if nobody waits for it, it is freed, and false is
 * returned.
 */
extern void ccr_flight_take_off(CcrFlight *flight, struct CcrBatch *batch,
								CcrTime now);
extern bool ccr_flight_ground(CcrFlight *flight);

/* The flight that an entry is a part of. */
extern CcrFlight *ccr_flight_of(CcrWaitingEntry *entry);

/* Let no item join it from now on. */
extern void ccr_flight_unlist(CcrFlight *flight);

/* Free a flight that nobody waits for. */
extern void ccr_flight_free(CcrFlight *flight);

/* A request was abandoned: its waiters leave their flights. */
extern void ccr_flights_leave(CcrRequest *request);

/*
 * As the request says, let later identical items not join the present flights.
 */
extern void ccr_flights_forget(CcrRequest *request);

/*
 * The SQLSTATE that says why a flight's item must be discarded, since all who
 * have enqueued it have lost the right to; or 0.
 */
extern int	ccr_flight_why_unwarranted(CcrFlight *flight);

/* Discard it.  Returns how many enqueued items have ended with it. */
extern uint32 ccr_flight_drop(CcrFlight *flight);
extern void ccr_flights_log_dropped(const CcrQueue *queue, uint32 n, int sqlstate);

/*
 * If a flight, which is in no list, must be discarded: free it and return
 * true.
 */
extern bool ccr_flight_drop_unwarranted(CcrFlight *flight);

/*
 * Remove those from the array that must be discarded.  Returns how many are
 * left.
 */
extern int	ccr_flights_drop_from(CcrQueue *queue, CcrFlight **flights, int n);

/*
 * Fail every open request, as the collector exits; enqueued ones are left to
 * the next generation.
 */
extern void ccr_flights_fail_all(void);

/*
 * Begin and end changes that an error must not interrupt.  If an error does,
 * flights and tickets are inconsistent, and the collector has to exit.
 * ccr_flights_change_end() also writes to shared memory what was counted
 * meanwhile (tally.h).
 */
extern void ccr_flights_change_begin(void);
extern void ccr_flights_change_end(void);
extern bool ccr_flights_inconsistent(void);

#endif							/* CCR_FLIGHT_H */
