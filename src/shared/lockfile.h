/*-------------------------------------------------------------------------
 *
 * lockfile.h
 *	  What the postmaster says of the state of the server.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_LOCKFILE_H
#define CCR_LOCKFILE_H

/* Has a smart or fast shutdown begun?  A signal handler may ask. */
extern bool ccr_lockfile_stopping(void);

#endif							/* CCR_LOCKFILE_H */
