/*-------------------------------------------------------------------------
 *
 * pool.h
 *	  Pools: what is sent to one server and user mapping, and how to reach it.
 *
 * A pool has links (link.h) and queues (queue.h).  A queue whose batch is due
 * stands in line.  As long as a queue is in line and a link is free,
 * dispatch.c sends a batch of that queue on that link.
 *
 * For local lookups there is a pool for each role and database, and its links
 * are local executors.
 *
 * The home of a queue is the pool with the connection options of its source.
 * These options may have been changed since, and nothing can be reached with
 * the old ones any more.  Then queues of enqueued items move to the pool of
 * the same server and user mapping that has the present options.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_POOL_H
#define CCR_POOL_H

#include "collector/flight.h"
#include "collector/line.h"
#include "collector/reach.h"
#include "collector/timer.h"

typedef struct CcrPool
{
	CcrFingerprint key;			/* hash key */
	uint64		named;			/* number of the last request that named it */
	MemoryContext context;
	MemoryContext hosts_context;	/* of the address list */
	CcrReach	reach;
	bool		aged;			/* a link has reached max_lifetime, and the
								 * addresses are older than that */
	CcrTime		asked_at;		/* when a backend was last asked for new ones */
	CcrSource  *source;			/* the first one, to which the reach belongs */
	bool		local;			/* its links are local executors */
	bool		sharded;		/* concresce.sharded_servers has the server's
								 * name, as the calls have it */
	bool		off;			/* its server is switched off */
	bool		starved;		/* waits for an executor of another pool to
								 * exit */
	dlist_node	starved_node;
	dlist_node	node;			/* in all_pools */
	dlist_head	links;
	int			nlinks;
	int			nconnecting;
	int			nlacking;		/* of these, without a descriptor */
	dlist_head	queues;			/* those whose batches it sends */
	int			nqueues;		/* how many have it as their home: see
								 * CcrQueue */
	CcrLine		line;			/* queues with a batch due */
	CcrTimer	line_timer;		/* until one of them may be sent */
	int			failures;		/* to connect, in a row */
	bool		down;			/* the last attempt to connect has failed, and
								 * no link is left */
	CcrTime		retry_at;
	CcrTimer	retry_timer;
	MemoryContext reason_context;
	CcrError   *reason;			/* of the last failure */
	CcrConnection *closed_row;	/* shows the link that failed last */
	int64		lost;			/* links that were lost, while there is no row
								 * to show that in */
	bool		pending;		/* to be dispatched */
	dlist_node	pending_node;
	bool		unused;			/* is in unused_pools */
	dlist_node	unused_node;
} CcrPool;

/* What the timers of a pool and its queues call. */
typedef struct CcrPoolCalls
{
	void		(*window_ended) (void *queue);
	void		(*retry) (void *pool);
	void		(*line_moves) (void *pool);
} CcrPoolCalls;

/* All pools; local ones come first. */
extern dlist_head ccr_all_pools;

/* worker: index of this collector. */
extern void ccr_pool_init(int worker, const CcrPoolCalls *calls);

/*
 * The queue of a request's source, made if there is none yet.  NULL: the role
 * whose session describes it has too many.
 */
extern CcrQueue *ccr_pool_register(const CcrRequest *request,
								   CcrSource *source, MemoryContext context);

/* Remove a pool that has no queues, and whose links are closed. */
extern void ccr_pool_remove(CcrPool *pool);

/* A pool that has no queues any more, or NULL.  Each is returned once. */
extern CcrPool *ccr_pool_next_unused(void);

/* Set this collector's part of the limits of the queue's server and lookup. */
extern void ccr_pool_set_limits(CcrQueue *queue);

/* How many links of the pool may carry batches at the same time. */
extern int	ccr_pool_link_limit(const CcrPool *pool);

/*
 * Does some lookup of the pool have fail_fast?  Its calls do not wait for an
 * attempt to connect, so the pool itself has to try again.
 */
extern bool ccr_pool_fails_fast(CcrPool *pool);

/*
 * Of the pools with the same server and user mapping, the one that was named
 * by a request last: so far as we know, it has the present options.
 */
extern CcrPool *ccr_pool_named_last(CcrPool *pool);

/*
 * Note that its addresses are old.  ccr_pool_mark_stale() asks the next
 * session that commits enqueued items of the queue for new ones.
 */
extern void ccr_pool_note_age(CcrPool *pool);
extern void ccr_pool_mark_stale(CcrQueue *queue);

/*
 * Should the next request describe its source again, to bring new addresses?
 * True if a connection has reached max_lifetime, and no addresses have come
 * since.
 */
extern bool ccr_pool_wants_addresses(CcrQueue *queue);

/* Keep the reason why it could not connect. */
extern void ccr_pool_keep_reason(CcrPool *pool, const CcrError *error);

#endif							/* CCR_POOL_H */
