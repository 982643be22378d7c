/*-------------------------------------------------------------------------
 *
 * revoked.h
 *	  When a transaction takes rights away that enqueued items rely on.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_REVOKED_H
#define CCR_REVOKED_H

/* In the postmaster, for all that it forks. */
extern void ccr_revoked_init(void);

#endif							/* CCR_REVOKED_H */
