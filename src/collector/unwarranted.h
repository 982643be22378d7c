/*-------------------------------------------------------------------------
 *
 * unwarranted.h
 *	  Enqueued items whose warrant has ended, or that are to be discarded.
 *
 * They do not fly, or do not fly again; those that are in flight are left alone
 * until their batch has ended.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_UNWARRANTED_H
#define CCR_UNWARRANTED_H

#include "collector/flight.h"

/* Those that wait in a queue. */
extern void ccr_unwarranted_drop(CcrQueue *queue);

/* Those of all queues; check() each queue that some were looked for in. */
extern void ccr_unwarranted_drop_all(void (*check) (CcrQueue *));

/* The same for an enqueued request that was not admitted: it may end. */
extern void ccr_unwarranted_end(CcrRequest *request);

#endif							/* CCR_UNWARRANTED_H */
