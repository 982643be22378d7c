/*-------------------------------------------------------------------------
 *
 * pools.h
 *	  How requests come in, and what concerns all pools.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_POOLS_H
#define CCR_POOLS_H

#include "collector/queue.h"

/* worker: index of this collector. */
extern void ccr_pools_init(int worker);

/*
 * Admit a request: its items wait in the queue of its source, which is made if
 * there is none.  Returns CCR_FAILURE_NONE, or the reason why the request is
 * not admitted, which the caller has to report to its backend.  *owned is set
 * to NULL as soon as the request belongs to its ticket.  After that it may be
 * freed at any moment.
 */
extern CcrFailure ccr_pools_admit(CcrRequest *request, CcrRequest **owned);

/*
 * A flush or drain has looked at a queue: tell those who wait for it why it
 * waits.
 */
extern void ccr_pools_flushed(CcrQueue *queue);

/* To be called when servers were switched off or on. */
extern void ccr_pools_switch(void);

/*
 * Fail all calls of a function; InvalidOid: of all functions of the database.
 */
extern void ccr_pools_stop(Oid dbid, Oid function);

/* To be called when settings may have changed. */
extern void ccr_pools_reload(void);

/* During a shutdown: can any of the enqueued items still be sent? */
extern bool ccr_pools_can_send(void);

/* For ereport(): why enqueued items of a queue could not be sent in time. */
extern int	ccr_pools_detail_left(const CcrQueue *queue);

/*
 * Free links that are DEAD and pools that are unused.  Call it between events
 * only: no callback may be under way.
 */
extern void ccr_pools_sweep(void);

/* The collector exits: do not show its connections any more. */
extern void ccr_pools_hide(void);

#endif							/* CCR_POOLS_H */
