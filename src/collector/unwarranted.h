/*-------------------------------------------------------------------------
 *
 * unwarranted.h
 *	  Enqueued items whose warrant has ended, or that are to be discarded.
 *
 * Such items do not fly, or do not fly again.  Those that are in flight are
 * left alone until their batch has ended.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_UNWARRANTED_H
#define CCR_UNWARRANTED_H

#include "collector/flight.h"

/* Discard those that wait in a queue. */
extern void ccr_unwarranted_drop(CcrQueue *queue);

/*
 * The same for all queues that are concerned; call check() for each of these.
 */
extern void ccr_unwarranted_drop_all(void (*check) (CcrQueue *));

/* The same for an enqueued request that was not admitted; this may end it. */
extern void ccr_unwarranted_end(CcrRequest *request);

#endif							/* CCR_UNWARRANTED_H */
