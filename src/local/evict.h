/*-------------------------------------------------------------------------
 *
 * evict.h
 *	  Local executors leave a database when a command needs it to itself, as DROP
 *	  DATABASE does.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_EVICT_H
#define CCR_EVICT_H

extern void ccr_evict_init(void);

#endif							/* CCR_EVICT_H */
