/*-------------------------------------------------------------------------
 *
 * pools.h
 *	  The door for requests, and what concerns all pools.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_POOLS_H
#define CCR_POOLS_H

#include "collector/queue.h"

/* worker: index of this collector. */
extern void ccr_pools_init(int worker);

/*
 * The door: let the items of a request wait in the queue of its source, which is
 * made if there is none.  CCR_FAILURE_NONE, or why it is not admitted: the
 * caller is to tell whoever has sent it.  *owned is set to NULL as soon as the
 * request is its ticket's, after which it may be freed at any moment.
 */
extern CcrFailure ccr_pools_admit(CcrRequest *request, CcrRequest **owned);

/* A flush or a drain has looked at a queue: who waits for it is told why. */
extern void ccr_pools_flushed(CcrQueue *queue);

/* Servers were switched off, or on. */
extern void ccr_pools_switch(void);

/* Fail what there is of a function; InvalidOid: of all of a database. */
extern void ccr_pools_stop(Oid dbid, Oid function);

/* Settings may have changed. */
extern void ccr_pools_reload(void);

/* As the server shuts down: can what is enqueued still be sent? */
extern bool ccr_pools_can_send(void);

/* If not, or not in time, why not; for ereport(). */
extern int	ccr_pools_detail_left(const CcrQueue *queue);

/* Free what died or is unused.  Between events only: no callback may be under way. */
extern void ccr_pools_sweep(void);

/* The collector exits: its connections are no longer to be shown. */
extern void ccr_pools_hide(void);

#endif							/* CCR_POOLS_H */
