/*-------------------------------------------------------------------------
 *
 * carrier_local.h
 *	  The carrier of local lookups: a local executor, as its collector sees it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_CARRIER_LOCAL_H
#define CCR_CARRIER_LOCAL_H

#include "collector/carrier.h"

/* worker: index of this collector. */
extern void ccr_locals_init(int worker);

/*
 * Start an executor for a role in a database.  This never fails at once: if
 * something goes wrong, dead() is called later.
 */
extern CcrCarrier *ccr_local_open(Oid dbid, Oid roleid,
								  const CcrCarrierCalls *calls, void *owner);

/*
 * Visit those that may have replies; to be called whenever the latch was set.
 */
extern void ccr_locals_visit(void (*visit) (CcrCarrier *));

/* The collector exits: abandon all of them. */
extern void ccr_locals_abandon(void);

#endif							/* CCR_CARRIER_LOCAL_H */
