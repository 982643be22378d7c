/*-------------------------------------------------------------------------
 *
 * link.h
 *	  Links: the connections and executors of a pool.
 *
 * A link is a carrier with what its pool keeps of it: the batch that it
 * carries, how old it is, its row in concresce.connections.
 *
 * A pool has up to concresce.max_connections links.  Links that wait for the
 * end of a cancelled query do not count, so that no call has to wait for them.
 *
 * The limit of local executors is one for all pools of the database.  When it
 * is reached and a pool has no executor at all, that pool is starved.  Then
 * executors of other pools are closed as soon as they have nothing to do, or
 * have had their turn.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_LINK_H
#define CCR_LINK_H

#include "collector/batch.h"
#include "collector/carrier.h"
#include "collector/pool.h"

typedef struct CcrLink
{
	dlist_node	node;			/* most recently used first */
	CcrPool    *pool;
	CcrCarrier *carrier;
	CcrBatch   *batch;			/* under way, or NULL */
	Oid			owner;			/* of the lookups that it served last */
	CcrTime		ended_at;		/* when its last batch ended */
	bool		connected;
	CcrTime		connected_at;
	double		life;			/* how much of concresce.max_lifetime it lives */
	CcrLineBatch turn;			/* what the line keeps of the batch */
	uint64		sent[2];		/* numbers of the batch in the two rates */
	CcrCounters *cancelling;	/* of the query that was cancelled, or NULL */
	CcrTime		idle_since;
	bool		lacking;		/* was told that there is no descriptor */
	bool		spare;			/* is in spare_links */
	dlist_node	spare_node;
	CcrTimer	idle_timer;
	CcrTimer	late_timer;		/* fires if a batch of enqueued items takes
								 * too long */
	CcrConnection *shown;		/* its row in concresce.connections, or NULL */
	int64		batches;
	int64		lost;			/* links lost before, to be shown in its row */
} CcrLink;

extern void ccr_links_init(int worker);

/*
 * Open a link.  Its carrier makes these callbacks, with the link as the owner.
 * batch_is_late() is called when a batch of enqueued items has taken too long.
 */
extern CcrLink *ccr_link_open(CcrPool *pool, const CcrCarrierCalls *calls,
							  void (*batch_is_late) (void *));

/* Close a link, idle or not.  It is freed by the next ccr_links_sweep(). */
extern void ccr_link_close(CcrLink *link);

/* Its carrier is DEAD.  If `failed`, its row stays and shows the error. */
extern void ccr_link_bury(CcrLink *link, bool failed);

/*
 * Free the links that are DEAD.  Call it between events only: no callback of a
 * carrier may be under way.
 */
extern void ccr_links_sweep(void);

extern CcrCarrierState ccr_link_state(const CcrLink *link);

/* Show this in its row of concresce.connections.  error may be NULL. */
extern void ccr_link_show(CcrLink *link, const char *state, const CcrError *error);

/* To be called when it is connected for the first time. */
extern void ccr_link_connected(CcrLink *link);

/*
 * To be called when it becomes idle.  False if it was closed: it holds too
 * much memory, is too old, has had its turn, or there are too many links.
 */
extern bool ccr_link_idle(CcrLink *link);

/*
 * It begins to carry a batch; and has ended it, when the batch may be freed
 * already.
 */
extern void ccr_link_begin_batch(CcrLink *link, CcrBatch *batch, int n, CcrTime now);
extern void ccr_link_end_batch(CcrLink *link, CcrQueue *queue);

/*
 * The time at which its batch of enqueued items has taken too long; 0: never.
 */
extern CcrTime ccr_link_deadline(const CcrLink *link);

/* Cancel what it does, since nobody waits for that any more. */
extern void ccr_link_cancel(CcrLink *link, CcrQueue *queue);

/* The far side has ended the cancelled query, or the connection is closed. */
extern void ccr_link_end_cancelling(CcrLink *link);

/* Say whether it may be closed if another link lacks a descriptor. */
extern void ccr_link_set_spare(CcrLink *link, bool spare);

/* The callback spare() of CcrCarrierCalls. */
extern bool ccr_link_spare(void *owner);

/*
 * Did it serve lookups of another owner, so that its session must be emptied
 * first?
 */
extern bool ccr_link_is_of_another(const CcrLink *link, Oid owner);

/*
 * How many links of a pool carry a batch or can carry one, including those
 * that are connecting; and how many without these.
 */
extern int	ccr_links_useful(CcrPool *pool);
extern int	ccr_links_live(CcrPool *pool);

/*
 * An idle link, if possible one that served this owner; a link with a batch;
 * or NULL.
 */
extern CcrLink *ccr_links_free(CcrPool *pool, Oid owner);
extern CcrLink *ccr_links_busy(CcrPool *pool);

/*
 * If a link has ended its batch and will be idle in a moment: until when it is
 * worth while to wait for that; 0 if there is none.
 */
extern CcrTime ccr_links_idle_soon(CcrPool *pool);

/* Close a link that waits for the end of a cancelled query. */
extern void ccr_links_drop_cancelling(CcrPool *pool);

/* Close the idle links of a pool, or all of them. */
extern void ccr_links_close_idle(CcrPool *pool);
extern void ccr_links_close_all(CcrPool *pool);

/*
 * May the pool have one more executor, as the database's limit allows it?  If
 * not, a pool without any is entered as starved.  One executor beyond the
 * limit is allowed to a role that has none.
 */
extern bool ccr_links_have_seat(CcrPool *pool);

/* Enter a pool as starved, or no longer so; and visit those that are. */
extern void ccr_links_starve(CcrPool *pool, bool starved);
extern void ccr_links_visit_starved(void (*visit) (CcrPool *));

/* To be called when settings may have changed. */
extern void ccr_links_reload(CcrPool *pool);

/* The collector exits: do not show its links any more. */
extern void ccr_links_hide(CcrPool *pool);

/* How many batches are in flight, in all pools. */
extern int	ccr_links_flying(void);

#endif							/* CCR_LINK_H */
