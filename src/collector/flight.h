/*-------------------------------------------------------------------------
 *
 * flight.h
 *	  Keys being looked up, and who waits for them.
 *
 * Everything here is private to one collector.
 *
 *	queue	what is waiting of one source
 *	flight	a key being looked up: one item, in the queue or in a batch
 *	ticket	a request, as the collector keeps it
 *	waiter	an item of a ticket, on the flight that serves it
 *
 * A flight's life: WAITING in its queue, or GROUPED with others that are to
 * fly together again, then FLYING in a batch, then landed: its outcome goes to
 * the tickets and it is freed.  A flight that loses its last waiter while it
 * waits is freed at once.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_FLIGHT_H
#define CCR_FLIGHT_H

#include "collector/line.h"
#include "collector/timer.h"
#include "collector/waiting.h"
#include "lib/ilist.h"
#include "lib/pairingheap.h"
#include "shared/answer.h"
#include "shared/request.h"
#include "shared/settings.h"
#include "shared/source.h"

struct CcrBatch;
struct CcrPool;
struct CcrTicket;
struct flight_hash;

typedef enum CcrFlightState
{
	CCR_FLIGHT_WAITING,
	CCR_FLIGHT_GROUPED,
	CCR_FLIGHT_FLYING
} CcrFlightState;

/* What the far side's answers look like, once it has been asked. */
typedef struct CcrShape
{
	bool		known;
	bool		keyed;			/* run the keyed form of the bulk query */
	bool		numbered;		/* in that variant that numbers the body's
								 * rows */
	bool		positional;		/* a row for each item, in order */
	bool		binary;			/* ask for binary results */
	bool		narrow;			/* binary, and a row has some bytes only */
	bool		styled;			/* some text depends on settings */
	bool		whole;			/* one column holds the whole composite */
	int			nfields;		/* of the query that is run */
	int			first;			/* field of the first result column */
	int			ncolumns;		/* result columns of a row */
} CcrShape;

typedef struct CcrQueue
{
	CcrFingerprint fingerprint; /* hash key */
	CcrSource  *source;
	MemoryContext context;
	dlist_node	node;			/* in the list of all */
	uint64		serial;			/* names its prepared statements, */
	uint32		revision;		/* with this */
	CcrCounters *counters;		/* of the batches */
	struct flight_hash *listed; /* flights that identical items may join */

	CcrWaiting	waiting;		/* flights */
	CcrTimer	window_timer;
	dlist_head	groups;			/* CcrGroup, to fly again: all of them, */
	pairingheap *retries;		/* and by the time when they may */
	bool		turn;			/* a group has flown: now what waits */

	/* The circuit; enqueued items only: */
	uint64		successes;		/* batches */
	int			failures;		/* since the last of these, for causes that no
								 * item has */
	CcrTime		pause_until;	/* nothing takes off before */
	int			sqlstate;		/* of the last failure since, */
	int			alike;			/* how many had it, in a row, */
	int			fresh;			/* and how many of those were of flights that
								 * had not failed before */
	bool		open;			/* it is shown that they are */
	dlist_head	suspects;		/* CcrSuspect, oldest first */
	int			nsuspects;
	uint64		left;			/* enqueued items, as the server shuts down */
	bool		concerned;		/* some are to be discarded */

	/* Kept by batch.c: */
	CcrShape	shape;
	bool		unprepared;		/* prepared statements do not last there */
	bool		stubborn;		/* preparing anew has not helped */

	/* Kept by pool.c: */
	struct CcrPool *pool;		/* that sends it: its home, or another that
								 * has the options of now */
	struct CcrPool *home;		/* that of its source */
	dlist_node	pool_node;
	CcrLineEntry line;
	struct CcrRate *rates[2];	/* of the server, and of the lookup at it */
	bool		sharded;		/* the server is, by the name that it had here */
	int			flying;			/* batches */
	CcrTime		used;
	CcrTimer	idle_timer;

	/* Kept by sources.c: */
	Oid			asker;			/* who has made it known */
	Size		memory;			/* bytes */
	dlist_node	used_node;
} CcrQueue;

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
	struct CcrTicket *ticket;	/* that it is a part of */
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

/* Flights that must fly again, together. */
typedef struct CcrGroup
{
	dlist_node	node;
	pairingheap_node retry_node;
	CcrTime		retry_at;		/* not before; 0: at once */
	bool		waits;			/* for a cause to pass */
	int64		order;			/* of those that may at the same time */
	int			n;
	CcrFlight  *flights[FLEXIBLE_ARRAY_MEMBER];
} CcrGroup;

/*
 * A flight that has failed alone, and nothing else has succeeded since: its
 * item may be bad, or all are.
 */
typedef struct CcrSuspect
{
	dlist_node	node;
	CcrFlight  *flight;
	MemoryContext context;		/* of this, and of */
	CcrError   *error;
} CcrSuspect;

typedef struct CcrTicket CcrTicket;

/* deserted: nobody waits for any flight of the batch. */
extern void ccr_flights_init(void (*deserted) (struct CcrBatch *));

extern CcrQueue *ccr_queue_find(const CcrFingerprint *fingerprint);
extern CcrQueue *ccr_queue_create(const CcrFingerprint *fingerprint,
								  CcrSource *source, MemoryContext context,
								  CcrCounters *counters,
								  void (*window_ended) (void *));
extern void ccr_queue_free(CcrQueue *queue);

/* Let the items of a request wait, or join flights. */
extern void ccr_queue_admit(CcrQueue *queue, CcrRequest *request);

/* Is a batch due, and when will one be at the latest?  0: nobody can tell. */
extern bool ccr_queue_due(CcrQueue *queue, CcrTime now);
extern CcrTime ccr_queue_next_due(CcrQueue *queue);

/* Whose item is the first of the batch that is due. */
extern Oid	ccr_queue_role(CcrQueue *queue, CcrTime now);

/* Nothing waits, nor has to fly again. */
extern bool ccr_queue_empty(CcrQueue *queue);

/*
 * End the windows of what waits, and what it waits for to be tried again;
 * rashly: by all at once.
 */
extern void ccr_queue_hurry(CcrQueue *queue, bool rashly);

/*
 * Take the flights of the next batch, at most the queue's limits and most; they are
 * FLYING from then on.  The array is palloc'd.  May be none.  apart: none of
 * them may be equal to another, identical or not.  waited: us, all together; -1:
 * they fly again.
 */
extern CcrFlight **ccr_queue_take(CcrQueue *queue, struct CcrBatch *batch,
								  bool apart, int most, int *n, CcrTime *waited);

/*
 * Let flights that were FLYING wait for another batch, as one group; not
 * before retry_at, if that is not 0.
 */
extern void ccr_queue_regroup(CcrQueue *queue, CcrFlight **flights, int n,
							  CcrTime retry_at);

/* Its parts.  ground: false, and it is freed, if nobody waits for it. */
extern bool ccr_flight_ground(CcrFlight *flight);
extern void ccr_flight_take_off(CcrFlight *flight, struct CcrBatch *batch,
								CcrTime now);
extern CcrGroup *ccr_group_new(int n);
extern void ccr_group_add(CcrQueue *queue, CcrGroup *group, CcrTime retry_at);
extern void ccr_group_remove(CcrQueue *queue, CcrGroup *group);

/*
 * Who has sent what is in the queue is to hear why it waits; NULL: it does no
 * more.  off: its server is switched off.
 */
extern void ccr_queue_tell_senders(CcrQueue *queue, const CcrLastError *error, bool off);

/*
 * Hand the outcomes of flights to those who wait for them, and free the
 * flights.  ncolumns and binary describe the rows.
 */
extern void ccr_flights_land(CcrFlight **flights, int n, int ncolumns,
							 bool binary);

/* A request found on the abandoned list. */
extern void ccr_flights_abandon(CcrRequest *request);

/* Later identical items of the function start flights of their own. */
extern void ccr_flights_forget(CcrRequest *request);

/* End the windows of enqueued items, or of all, as the request says. */
extern void ccr_flights_flush(CcrRequest *request, void (*check) (CcrQueue *));

/*
 * Discard enqueued items whose warrant has ended, or that concresce.discard()
 * has named, but for those in flight: these are not to fly again.
 */
extern void ccr_flights_drop_unwarranted(void (*check) (CcrQueue *));

/* End the windows in queues that somebody waits for room in, if anybody does. */
extern void ccr_flights_press(CcrWorker *worker, void (*check) (CcrQueue *));

/* One that waits for nothing else: true, and it is freed, if it was. */
extern bool ccr_flight_drop_unwarranted(CcrFlight *flight);

/* The same for an enqueued request that was not admitted: it may end. */
extern void ccr_flights_end_unwarranted(CcrRequest *request);

/* End all windows. */
extern void ccr_flights_hurry(void (*check) (CcrQueue *));

/*
 * Fail every open request, as the collector exits; enqueued ones are left to
 * the next generation.
 */
extern void ccr_flights_fail_all(void);

/*
 * Log how many enqueued items are left, as there will be no next generation.
 * detail: for ereport(), why those of a queue are.
 */
extern uint64 ccr_flights_log_left(int (*detail) (const CcrQueue *));

/* Is this request among them? */
extern bool ccr_flights_hold(CcrRequest *request);

/*
 * Begin and end changes that an error must not interrupt.  If one does, what
 * is here cannot be relied on, and the collector has to exit.
 */
extern void ccr_flights_tear(bool begin);
extern bool ccr_flights_torn(void);

/* A request that cannot be admitted. */
extern void ccr_flights_refuse(CcrRequest *request, CcrFailure failure);

#endif							/* CCR_FLIGHT_H */
