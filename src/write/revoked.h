/*-------------------------------------------------------------------------
 *
 * revoked.h
 *	  Finds out when a transaction takes rights away that enqueued items rely on,
 *	  and ends their warrants.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_REVOKED_H
#define CCR_REVOKED_H

/* Install the hooks; in the postmaster, for all processes that it forks. */
extern void ccr_revoked_init(void);

#endif							/* CCR_REVOKED_H */
