/*-------------------------------------------------------------------------
 *
 * bounded.h
 *	  Waiting because the role has too many enqueued items.
 *
 * A session whose role has reached its bound takes no turn (turn.h): other roles
 * need not wait behind it.  Later sessions of the same role do wait behind it, in
 * the same queue or for memory; else small transactions would always find room
 * before a large one does.  As nothing of the role comes in meanwhile, the first
 * waiter gets what it needs, at the latest when the role has nothing left there.
 *
 * As many sessions may wait as there are, so only the first of each role is
 * woken.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_BOUNDED_H
#define CCR_BOUNDED_H

#include "shared/shmem.h"

/* Begin to wait in a queue, or for memory (NULL); again: go on with that. */
extern void ccr_bounded_begin(Oid roleid, CcrCounters *counters);

/* Are others of the role there who have waited for longer, if we wait at all? */
extern bool ccr_bounded_behind(Oid roleid, CcrCounters *counters);

/* Are we the first, who is woken when something was given back? */
extern bool ccr_bounded_first(void);

/* What is used has to go down to so many bytes for us. */
extern void ccr_bounded_below(uint64 bytes);

/* Until it is worth while to look again; ms is as for ccr_until(). */
extern void ccr_bounded_sleep(long ms, uint32 wait_event);

/* To be called whatever happens; harmless if we do not wait. */
extern void ccr_bounded_end(void);

#endif							/* CCR_BOUNDED_H */
