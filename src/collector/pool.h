/*-------------------------------------------------------------------------
 *
 * pool.h
 *	  Pools: what is sent to one server and user mapping, and how to reach it.
 *
 * A pool has links (link.h) and queues (queue.h).  A queue whose batch is due
 * stands in line; while there is one in line and a free link, dispatch.c brings
 * them together.
 *
 * Without a server, a pool is that of one role in this database, and its links
 * are local executors.
 *
 * A queue is at home in the pool of its source.  If nothing can be reached with
 * the options of that any more, what is enqueued moves to the pool of the same
 * server and user mapping that has the options of now.
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
	uint64		named;			/* ascends with the requests that have named
								 * it */
	MemoryContext context;
	MemoryContext hosts_context;	/* of the address list */
	CcrReach	reach;
	bool		aged;			/* a link has lived its life, and the
								 * addresses are of before */
	CcrTime		asked_at;		/* when somebody was last to bring new ones */
	CcrSource  *source;			/* first one, which the reach belongs to */
	bool		local;			/* its links are executors */
	bool		sharded;		/* its server has several collectors: by the
								 * name that calls know it by */
	bool		off;			/* its server is switched off */
	bool		starved;		/* waits for a seat of another pool */
	dlist_node	starved_node;
	dlist_node	node;			/* in all_pools */
	dlist_head	links;
	int			nlinks;
	int			nconnecting;
	int			nlacking;		/* of these */
	dlist_head	queues;			/* that it sends */
	int			nqueues;		/* whose home it is: see CcrQueue */
	CcrLine		line;			/* queues with a batch due */
	CcrTimer	line_timer;		/* until one of them may be sent */
	int			failures;		/* to connect, in a row */
	bool		down;			/* the last attempt has failed, with no link
								 * left */
	CcrTime		retry_at;
	CcrTimer	retry_timer;
	MemoryContext reason_context;
	CcrError   *reason;			/* of the last failure */
	CcrConnection *closed_row;	/* shown of the link that failed last */
	int64		lost;			/* links that were, as long as there is none
								 * to show it */
	bool		pending;		/* to be dispatched */
	dlist_node	pending_node;
	bool		unused;			/* is in unused_pools */
	dlist_node	unused_node;
} CcrPool;

/* What a pool and its queues have timers for. */
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

/* It has no queues, and its links are closed. */
extern void ccr_pool_remove(CcrPool *pool);

/* One that has no queues any more, or NULL; it is not told again. */
extern CcrPool *ccr_pool_next_unused(void);

/* Our part of what a queue's server and lookup are allowed. */
extern void ccr_pool_set_limits(CcrQueue *queue);

/* Links that may carry a batch at the same time. */
extern int	ccr_pool_link_limit(const CcrPool *pool);

/* Calls that fail at once wait for no attempt, so it is the pool that makes it. */
extern bool ccr_pool_fails_fast(CcrPool *pool);

/*
 * Of the pools of a server and user mapping, the one whose options these have
 * now, as far as requests tell.
 */
extern CcrPool *ccr_pool_named_last(CcrPool *pool);

/*
 * Its addresses are of before: whoever commits some of its enqueued items next
 * brings new ones.
 */
extern void ccr_pool_note_age(CcrPool *pool);
extern void ccr_pool_mark_stale(CcrQueue *queue);

/*
 * A connection has lived its life, and nobody has looked the addresses up
 * since: is the next request to describe its source anew?
 */
extern bool ccr_pool_wants_addresses(CcrQueue *queue);

/* Why it could not connect. */
extern void ccr_pool_keep_reason(CcrPool *pool, const CcrError *error);

#endif							/* CCR_POOL_H */
