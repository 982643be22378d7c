/*-------------------------------------------------------------------------
 *
 * bounded.h
 *	  Waiting because the role has too many enqueued items.
 *
 * A session whose role has reached its bound takes no turn (turn.h), so that
 * other roles need not wait behind it.  Later sessions of the same role do
 * wait behind it, in the same queue or for memory; otherwise small
 * transactions would always find room before a large one does.  Nothing of the
 * role comes in meanwhile.  So the first waiter gets what it needs: at the
 * latest when the role has nothing left in the queue, or in memory.
 *
 * Many sessions may wait, so only the first of each role is woken.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_BOUNDED_H
#define CCR_BOUNDED_H

#include "shared/shmem.h"

/*
 * Begin to wait in a queue, or for memory (counters: NULL).  A second call
 * goes on with the same wait.
 */
extern void ccr_bounded_begin(Oid roleid, CcrCounters *counters);

/*
 * Does another session of the role wait there, which is to be served before
 * us?
 */
extern bool ccr_bounded_behind(Oid roleid, CcrCounters *counters);

/* Are we the first of the role, and so woken when something was given back? */
extern bool ccr_bounded_first(void);

/*
 * Say that we can go on when no more than so many bytes of the heap are used.
 */
extern void ccr_bounded_below(uint64 bytes);

/*
 * Sleep until it is worth while to look again; at most ms, as from
 * ccr_until().
 */
extern void ccr_bounded_sleep(long ms, uint32 wait_event);

/* To be called whatever happens; harmless if we do not wait. */
extern void ccr_bounded_end(void);

#endif							/* CCR_BOUNDED_H */
