/*-------------------------------------------------------------------------
 *
 * evict.h
 *	  Local executors give way to commands that need a database to themselves.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_EVICT_H
#define CCR_EVICT_H

extern void ccr_evict_init(void);

#endif							/* CCR_EVICT_H */
