/*-------------------------------------------------------------------------
 *
 * lockfile.h
 *	  The state of the server, as the postmaster writes it into its lock file.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_LOCKFILE_H
#define CCR_LOCKFILE_H

/* Has a smart or fast shutdown begun?  A signal handler may call this. */
extern bool ccr_lockfile_stopping(void);

#endif							/* CCR_LOCKFILE_H */
