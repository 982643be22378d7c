/*-------------------------------------------------------------------------
 *
 * queue.h
 *	  The flights of one source that wait, and when a batch of them is due.
 *
 * A queue has two kinds of flights: those that wait for their first batch
 * (waiting.h has their order and their windows), and groups, which must fly
 * again.  A queue only keeps flights; flight.c moves them.
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
 * caused, such a queue pauses.  Nothing takes off before pause_until.  After
 * that one batch at a time takes off, until one succeeds (circuit.c).
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
	uint64		serial;			/* these two are in the names of its prepared */
	uint32		revision;		/* statements */
	CcrCounters *counters;		/* of the batches */
	struct flight_hash *listed; /* flights that identical items may join:
								 * flight.c */

	CcrWaiting	waiting;		/* flights */
	CcrTimer	window_timer;
	dlist_head	groups;			/* CcrGroup, to fly again: all of them */
	pairingheap *retries;		/* the same, by the time when they may fly */
	bool		turn;			/* a group flew last, so flights that wait are
								 * next */

	/* The circuit; enqueued items only: */
	uint64		successes;		/* batches that succeeded */
	int			failures;		/* batches that failed since the last success,
								 * without an item being the cause */
	CcrTime		pause_until;	/* nothing takes off before this time */
	int			sqlstate;		/* of the last of these failures */
	int			alike;			/* failures in a row that had this sqlstate */
	int			fresh;			/* those of them in which no flight had failed
								 * before */
	bool		open;			/* the circuit is shown as open */
	dlist_head	suspects;		/* CcrSuspect, oldest first */
	int			nsuspects;
	uint64		left;			/* enqueued items left, during a shutdown */
	bool		concerned;		/* some items have to be discarded */

	/* Kept by batch.c: */
	CcrShape	shape;
	bool		unprepared;		/* do not use prepared statements: the far
								 * side forgets them */
	bool		stubborn;		/* preparing anew has not helped */

	/* Kept by pool.c: */
	struct CcrPool *pool;		/* sends its batches: its home, or another
								 * pool that has the present options */
	struct CcrPool *home;		/* the pool of its source */
	dlist_node	pool_node;
	CcrLineEntry line;
	struct CcrRate *rates[2];	/* of the server, and of the lookup at it */
	bool		sharded;		/* concresce.sharded_servers has its server's
								 * name, as the source has it */
	int			flying;			/* batches in flight */
	CcrTime		used;
	CcrTimer	idle_timer;

	/* Kept by sources.c: */
	CcrParty	asker;			/* who described the source */
	Size		memory;			/* bytes that it takes */
	dlist_node	used_node;
} CcrQueue;

/* Flights that must fly again, together: a retry group. */
typedef struct CcrGroup
{
	dlist_node	node;
	pairingheap_node retry_node;
	CcrTime		retry_at;		/* not to fly before; 0: at once */
	bool		waits;			/* until a transient cause has gone away */
	int64		order;			/* among groups with the same retry_at */
	int			n;
	struct CcrFlight *flights[FLEXIBLE_ARRAY_MEMBER];
} CcrGroup;

/*
 * A flight that has failed alone, while nothing else of its queue succeeded.
 * So one cannot tell whether its item is bad or all items fail.
 */
typedef struct CcrSuspect
{
	dlist_node	node;
	struct CcrFlight *flight;
	MemoryContext context;		/* of this structure and the error */
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

/*
 * Is a batch due?  ccr_queue_next_due(): when will one be due, if nothing else
 * comes; 0 if that is not a matter of time.
 */
extern bool ccr_queue_due(CcrQueue *queue, CcrTime now);
extern CcrTime ccr_queue_next_due(CcrQueue *queue);

/* The group that may fly now, or NULL. */
extern CcrGroup *ccr_queue_ready_group(CcrQueue *queue, CcrTime now);

/* Does nothing wait, and has nothing to fly again? */
extern bool ccr_queue_empty(CcrQueue *queue);

/* End the windows of all flights that wait now, so that they are due. */
extern void ccr_queue_end_windows(CcrQueue *queue);

/* End the pauses after failures, so that groups may fly at once. */
extern void ccr_queue_end_pauses(CcrQueue *queue);

/* Forget the failures, so that batches need not fly one at a time. */
extern void ccr_queue_forget_failures(CcrQueue *queue);

/* A new group with room for n flights, and none yet. */
extern CcrGroup *ccr_group_new(int n);
extern void ccr_group_free(CcrGroup *group);

/*
 * Add a group to the queue; it may fly at retry_at, or at once if that is 0.
 */
extern void ccr_group_add(CcrQueue *queue, CcrGroup *group, CcrTime retry_at);

/* A part of the group has flown: make the rest the next to fly. */
extern void ccr_group_put_back(CcrQueue *queue, CcrGroup *group);
extern void ccr_group_remove(CcrQueue *queue, CcrGroup *group);

/*
 * End windows and pauses, of enqueued items for a FLUSH, of calls as well for
 * a DRAIN; then call check() for each such queue.
 */
extern void ccr_queues_flush(CcrRequest *request, void (*check) (CcrQueue *));

/* The same for all queues. */
extern void ccr_queues_end_waits(void (*check) (CcrQueue *));

/*
 * If backends wait for room, end the windows of the queues in which they do,
 * and call check() for each of these.
 */
extern void ccr_queues_press(CcrMailbox *mailbox, void (*check) (CcrQueue *));

/* The collector exits: do not show its circuits any more. */
extern void ccr_queues_hide_circuits(void);

#endif							/* CCR_QUEUE_H */
