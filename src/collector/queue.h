/*-------------------------------------------------------------------------
 *
 * queue.h
 *	  What waits of one source, and when a batch of it is due.
 *
 * A queue has two kinds of flights: those that wait for their first batch
 * (waiting.h has their order and their windows), and groups, which must fly
 * again.  It knows flights only as what it keeps: flight.c moves them.
 *
 *   ccr_flights_admit()             ccr_flights_regroup()
 *           |                               |
 *           v                               v
 *     +-----------+                   +-----------+
 *     |  waiting  |                   |  groups   |
 *     +-----------+                   +-----------+
 *      a window has ended,             retry_at is past
 *      or a batch is full                   |
 *           |                               |
 *           +-------------+-----------------+
 *                         |  ccr_queue_due()
 *                         v
 *                 ccr_flights_take()
 *
 * Enqueued items have queues of their own.  After a failure that no item has
 * caused, a queue of theirs pauses: nothing takes off before pause_until, and
 * then one batch at a time, until one succeeds (circuit.c).
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_QUEUE_H
#define CCR_QUEUE_H

#include "collector/line.h"
#include "collector/shape.h"
#include "collector/timer.h"
#include "collector/waiting.h"
#include "lib/ilist.h"
#include "lib/pairingheap.h"
#include "shared/answer.h"
#include "shared/request.h"
#include "shared/source.h"

struct CcrFlight;
struct CcrPool;
struct flight_hash;

typedef struct CcrQueue
{
	CcrFingerprint fingerprint; /* hash key */
	CcrSource  *source;
	MemoryContext context;
	dlist_node	node;			/* in the list of all */
	uint64		serial;			/* names its prepared statements, */
	uint32		revision;		/* with this */
	CcrCounters *counters;		/* of the batches */
	struct flight_hash *listed; /* flights that identical items may join:
								 * flight.c */

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

/* Flights that must fly again, together: a retry group. */
typedef struct CcrGroup
{
	dlist_node	node;
	pairingheap_node retry_node;
	CcrTime		retry_at;		/* not before; 0: at once */
	bool		waits;			/* for a cause to pass */
	int64		order;			/* of those that may at the same time */
	int			n;
	struct CcrFlight *flights[FLEXIBLE_ARRAY_MEMBER];
} CcrGroup;

/*
 * A flight that has failed alone, and nothing else has succeeded since: its
 * item may be bad, or all are.
 */
typedef struct CcrSuspect
{
	dlist_node	node;
	struct CcrFlight *flight;
	MemoryContext context;		/* of this, and of */
	CcrError   *error;
} CcrSuspect;

extern void ccr_queues_init(void);

extern CcrQueue *ccr_queue_find(const CcrFingerprint *fingerprint);
extern CcrQueue *ccr_queue_create(const CcrFingerprint *fingerprint,
								  CcrSource *source, MemoryContext context,
								  CcrCounters *counters,
								  void (*window_ended) (void *));
extern void ccr_queue_free(CcrQueue *queue);
extern void ccr_queues_visit(void (*visit) (CcrQueue *));

/* Is a batch due, and when will one be at the latest?  0: nobody can tell. */
extern bool ccr_queue_due(CcrQueue *queue, CcrTime now);
extern CcrTime ccr_queue_next_due(CcrQueue *queue);

/* The group that may fly now, or NULL. */
extern CcrGroup *ccr_queue_ready_group(CcrQueue *queue, CcrTime now);

/* Nothing waits, nor has to fly again. */
extern bool ccr_queue_empty(CcrQueue *queue);

/* What waits now is due: its windows have ended. */
extern void ccr_queue_end_windows(CcrQueue *queue);

/* What has failed need not wait before it is tried again. */
extern void ccr_queue_end_pauses(CcrQueue *queue);

/* Nor is it tried one batch at a time. */
extern void ccr_queue_forget_failures(CcrQueue *queue);

/* A group of up to n flights, with none yet. */
extern CcrGroup *ccr_group_new(int n);
extern void ccr_group_free(CcrGroup *group);

/* It may fly at retry_at; 0: at once. */
extern void ccr_group_add(CcrQueue *queue, CcrGroup *group, CcrTime retry_at);

/* It has flown in part; the rest is the next to fly. */
extern void ccr_group_put_back(CcrQueue *queue, CcrGroup *group);
extern void ccr_group_remove(CcrQueue *queue, CcrGroup *group);

/*
 * End windows and pauses of enqueued items, or of all, as the request says, and
 * check() each queue.
 */
extern void ccr_queues_flush(CcrRequest *request, void (*check) (CcrQueue *));

/* The same for all that there is. */
extern void ccr_queues_end_waits(void (*check) (CcrQueue *));

/* The same for windows where somebody waits for room, if anybody does. */
extern void ccr_queues_press(CcrMailbox *mailbox, void (*check) (CcrQueue *));

/* The collector exits: its circuits are no longer to be shown. */
extern void ccr_queues_hide_circuits(void);

#endif							/* CCR_QUEUE_H */
