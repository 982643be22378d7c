/*-------------------------------------------------------------------------
 *
 * evict.h
 *	  Local executors give way to whoever needs a database for himself.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_EVICT_H
#define CCR_EVICT_H

extern void ccr_evict_init(void);

#endif							/* CCR_EVICT_H */
