/*-------------------------------------------------------------------------
 *
 * dispatch.h
 *	  Which batch flies on which link, and what becomes of it there.
 *
 * ccr_dispatch_check() looks at a queue after anything has happened to it.  If a
 * batch of it is due, it stands in its pool's line.  While there is a queue in
 * line and a free link, they are brought together.  With no link free, one more
 * is opened.
 *
 * When connecting fails and no link is left, all that waits fails with the
 * reason; enqueued items wait.  The next attempt is made at the earliest after
 * a delay that grows from 50 ms to 1 s; what comes meanwhile waits for its
 * outcome.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_DISPATCH_H
#define CCR_DISPATCH_H

#include "collector/link.h"

/* worker: index of this collector. */
extern void ccr_dispatch_init(int worker);

/* Something may have become due: see to it that it is sent. */
extern void ccr_dispatch_check(CcrQueue *queue);

/* Send what was found to be due. */
extern void ccr_dispatch_pending(void);

/* It is another pool that sends a queue from now on. */
extern void ccr_dispatch_move(CcrQueue *queue, CcrPool *pool);

/* The error of calls whose server is switched off. */
extern CcrError ccr_dispatch_switched_off(const CcrQueue *queue);

/* To be given to ccr_flights_init(). */
extern void ccr_dispatch_deserted(struct CcrBatch *batch);

/* An error was raised while this connection was stepped: give it up. */
extern void ccr_dispatch_broken(CcrCarrier *carrier, const CcrError *error);

#endif							/* CCR_DISPATCH_H */
