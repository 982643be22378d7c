/*-------------------------------------------------------------------------
 *
 * dispatch.h
 *	  Which batch flies on which link, and what becomes of it there.
 *
 * ccr_dispatch_check() looks at a queue after anything has happened to it.  If
 * a batch of the queue is due, the queue enters its pool's line.  As long as
 * there is a queue in line and a free link, a batch of that queue is sent on
 * that link.  If no link is free, one more is opened.
 *
 * When connecting fails and the pool has no link left, all waiting calls fail
 * with the reason; enqueued items go on waiting.  The next attempt is made
 * after a delay, which grows from 50 ms to 1 s.  Calls that come meanwhile
 * wait for its outcome.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_DISPATCH_H
#define CCR_DISPATCH_H

#include "collector/link.h"

/* worker: index of this collector. */
extern void ccr_dispatch_init(int worker);

/* A batch of the queue may have become due: if so, enter the queue in line. */
extern void ccr_dispatch_check(CcrQueue *queue);

/* Send the batches that were found to be due. */
extern void ccr_dispatch_pending(void);

/* From now on this pool sends the batches of the queue. */
extern void ccr_dispatch_move(CcrQueue *queue, CcrPool *pool);

/* The error that calls get whose server is switched off. */
extern CcrError ccr_dispatch_switched_off(const CcrQueue *queue);

/* The callback for ccr_flights_init(). */
extern void ccr_dispatch_deserted(struct CcrBatch *batch);

/* An error was raised in the step function of this carrier: give it up. */
extern void ccr_dispatch_broken(CcrCarrier *carrier, const CcrError *error);

#endif							/* CCR_DISPATCH_H */
