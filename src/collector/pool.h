/*-------------------------------------------------------------------------
 *
 * pool.h
 *	  The connections of one server and user mapping, and what they carry.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_POOL_H
#define CCR_POOL_H

#include "collector/carrier.h"
#include "collector/flight.h"

/* worker: index of this collector. */
extern void ccr_pools_init(int worker);

/*
 * The queue of a request's source, made if there is none yet.  NULL: the role
 * whose session describes it has too many.
 */
extern CcrQueue *ccr_pool_register(const CcrRequest *request,
								   CcrSource *source, MemoryContext context);

/*
 * A connection has lived its life, and nobody has looked the addresses up
 * since: is the next request to describe its source anew?
 */
extern bool ccr_pool_wants_addresses(CcrQueue *queue);

/*
 * A new request has named it, so its source is as its server and user mapping
 * have it now; of one that an earlier generation had admitted nobody can tell.
 */
extern void ccr_pool_named(CcrQueue *queue);

/* Something may have become due: see to it that it is sent. */
extern void ccr_pool_check(CcrQueue *queue);
extern void ccr_pools_dispatch(void);

/* To be given to ccr_flights_abandon(). */
extern void ccr_pool_deserted(struct CcrBatch *batch);

/* The same for what a flush or a drain has looked at: who waits is told why. */
extern void ccr_pool_flushed(CcrQueue *queue);

/* Servers were switched off, or on. */
extern void ccr_pools_switch(void);

/* Fail what there is of a function; InvalidOid: of all of a database. */
extern void ccr_pools_stop(Oid dbid, Oid function);
extern void ccr_pools_reload(void);

/* As the server shuts down: can what is enqueued still be sent? */
extern bool ccr_pools_can_send(void);

/* If not, or not in time, why not; for ereport(). */
extern int	ccr_pool_detail_left(const CcrQueue *queue);

/* An error was raised while this connection was stepped: give it up. */
extern void ccr_pool_broken(CcrCarrier *carrier, const CcrError *error);

/* Free what died.  Between events only: no callback may be under way. */
extern void ccr_pools_sweep(void);

/* The collector exits: its connections are no longer to be shown. */
extern void ccr_pools_hide(void);

/* Batches in flight. */
extern int	ccr_pools_flying(void);

#endif							/* CCR_POOL_H */
