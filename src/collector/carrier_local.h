/*-------------------------------------------------------------------------
 *
 * carrier_local.h
 *	  A local executor, as its collector sees it: a carrier.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_CARRIER_LOCAL_H
#define CCR_CARRIER_LOCAL_H

#include "collector/carrier.h"

/* worker: index of this collector. */
extern void ccr_locals_init(int worker);

/*
 * Start an executor for a role in a database.  Never fails at once: what goes
 * wrong is told by dead().
 */
extern CcrCarrier *ccr_local_open(Oid dbid, Oid roleid,
								  const CcrCarrierCalls *calls, void *owner);

/* Those that may have something to say, whenever the latch was set. */
extern void ccr_locals_visit(void (*visit) (CcrCarrier *));

/* The collector exits: leave them all. */
extern void ccr_locals_abandon(void);

#endif							/* CCR_CARRIER_LOCAL_H */
