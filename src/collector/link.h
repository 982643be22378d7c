/*-------------------------------------------------------------------------
 *
 * link.h
 *	  Links: the connections and executors of a pool.
 *
 * A link is a carrier with what its pool keeps of it: the batch that it carries,
 * how old it is, its row in concresce.connections.
 *
 * There are up to concresce.max_connections of them.  Those that wait for the
 * end of a cancelled query do not count: no call is to wait for them.
 *
 * How many local executors there may be is a matter of all pools of the
 * database.  When there can be no more, and some pool has none at all, it is
 * starved: executors of others go as soon as they have nothing to do or have
 * had their turn.
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
	CcrTime		ended_at;		/* its last batch */
	bool		connected;
	CcrTime		connected_at;
	double		life;			/* its share of what a link may live */
	CcrLineBatch turn;			/* of the batch, as its line and the rates */
	uint64		sent[2];		/* know it */
	CcrCounters *cancelling;	/* of the query that was given up, or NULL */
	CcrTime		idle_since;
	bool		lacking;		/* was told that there is no descriptor */
	bool		spare;			/* is in spare_links */
	dlist_node	spare_node;
	CcrTimer	idle_timer;
	CcrTimer	late_timer;		/* of a batch that nobody waits for */
	CcrConnection *shown;		/* its row in concresce.connections, or NULL */
	int64		batches;
	int64		lost;			/* links that were lost before, as shown */
} CcrLink;

extern void ccr_links_init(int worker);

/*
 * Open one: its carrier makes these calls, with the link as the owner.
 * late_timer fires for a batch that nobody waits for when it has taken too long.
 */
extern CcrLink *ccr_link_open(CcrPool *pool, const CcrCarrierCalls *calls,
							  void (*batch_is_late) (void *));

/* Close an idle one, or any.  It is freed with the next ccr_links_sweep(). */
extern void ccr_link_close(CcrLink *link);

/* Its carrier is DEAD.  failed: its row goes on showing why. */
extern void ccr_link_bury(CcrLink *link, bool failed);

/* Free what died.  Between events only: no callback may be under way. */
extern void ccr_links_sweep(void);

extern CcrCarrierState ccr_link_state(const CcrLink *link);

/* Its row in concresce.connections.  error: NULL, or what it has met. */
extern void ccr_link_show(CcrLink *link, const char *state, const CcrError *error);

/* It is connected, for the first time. */
extern void ccr_link_connected(CcrLink *link);

/*
 * It is idle: may it go on?  False: it has been closed, as it is worn, or had
 * its turn, or there are too many.
 */
extern bool ccr_link_idle(CcrLink *link);

/* It carries a batch from now on; or no more, and the batch may be gone. */
extern void ccr_link_begin_batch(CcrLink *link, CcrBatch *batch, int n, CcrTime now);
extern void ccr_link_end_batch(CcrLink *link, CcrQueue *queue);

/* When its batch, which nobody waits for, has taken too long; 0: never. */
extern CcrTime ccr_link_deadline(const CcrLink *link);

/* Give up what it does, since nobody waits for that any more. */
extern void ccr_link_cancel(CcrLink *link, CcrQueue *queue);

/* The far side has ended what was given up, or will not hear of us again. */
extern void ccr_link_end_cancelling(CcrLink *link);

/* May it be closed to make room for another? */
extern void ccr_link_set_spare(CcrLink *link, bool spare);

/* For CcrCarrierCalls. */
extern bool ccr_link_spare(void *owner);

/* Has it served lookups of another owner?  Then it is cleaned first. */
extern bool ccr_link_is_of_another(const CcrLink *link, Oid owner);

/* Links of a pool that carry a batch, or can; and of these, those that are there. */
extern int	ccr_links_useful(CcrPool *pool);
extern int	ccr_links_live(CcrPool *pool);

/* An idle one for lookups of this owner, or NULL; one with a batch, or NULL. */
extern CcrLink *ccr_links_free(CcrPool *pool, Oid owner);
extern CcrLink *ccr_links_busy(CcrPool *pool);

/*
 * Until when it is worth while to wait for one that has done its work and is
 * about to be idle; 0: there is none.
 */
extern CcrTime ccr_links_idle_soon(CcrPool *pool);

/* Give up one that waits for the end of a cancelled query. */
extern void ccr_links_drop_cancelling(CcrPool *pool);

/* Close those that are idle, or all. */
extern void ccr_links_close_idle(CcrPool *pool);
extern void ccr_links_close_all(CcrPool *pool);

/*
 * Is there a seat for one more executor in the database?  If not, the pool is
 * starved, and it is seen to.  The last seat is for a role that has none.
 */
extern bool ccr_links_have_seat(CcrPool *pool);

/* Does the pool wait for a seat of another one? */
extern void ccr_links_starve(CcrPool *pool, bool starved);
extern void ccr_links_visit_starved(void (*visit) (CcrPool *));

/* The limits may have changed. */
extern void ccr_links_reload(CcrPool *pool);

/* The collector exits: they are no longer to be shown. */
extern void ccr_links_hide(CcrPool *pool);

/* Batches in flight, of all pools. */
extern int	ccr_links_flying(void);

#endif							/* CCR_LINK_H */
