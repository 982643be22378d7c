/*-------------------------------------------------------------------------
 *
 * carrier_remote.h
 *	  One connection to a foreign server, as a state machine: a carrier.
 *
 * Nothing here blocks.  Knows no shared memory and nothing of batches.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_CARRIER_REMOTE_H
#define CCR_CARRIER_REMOTE_H

#include "collector/carrier.h"
#include "collector/reach.h"

/* Never fails at once: what goes wrong is told by dead(). */
extern CcrCarrier *ccr_remote_open(const CcrReach *reach,
								   const CcrCarrierCalls *calls, void *owner);

#endif							/* CCR_CARRIER_REMOTE_H */
