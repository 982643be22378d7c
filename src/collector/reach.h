/*-------------------------------------------------------------------------
 *
 * reach.h
 *	  What cannot work while this server is being shut down.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_REACH_H
#define CCR_REACH_H

#include "collector/carrier_remote.h"

/* Do all of these addresses lead to this very server? */
extern bool ccr_reach_is_own_server(const CcrReach *reach);

#endif							/* CCR_REACH_H */
