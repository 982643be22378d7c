/*-------------------------------------------------------------------------
 *
 * shutdown.h
 *	  Whether this server is being shut down, and what cannot work then.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SHUTDOWN_H
#define CCR_SHUTDOWN_H

#include "remote.h"

/* Has a smart or fast shutdown begun?  Asks the file system. */
extern bool ccr_shutdown_begun(void);

/* Do all of these addresses lead to this very server? */
extern bool ccr_shutdown_is_own_server(const CcrReach *reach);

#endif							/* CCR_SHUTDOWN_H */
