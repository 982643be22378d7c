/*-------------------------------------------------------------------------
 *
 * shutdown.h
 *	  What cannot work while this server is being shut down.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SHUTDOWN_H
#define CCR_SHUTDOWN_H

#include "collector/remote.h"

/* Do all of these addresses lead to this very server? */
extern bool ccr_shutdown_is_own_server(const CcrReach *reach);

#endif							/* CCR_SHUTDOWN_H */
