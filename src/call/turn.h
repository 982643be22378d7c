/*-------------------------------------------------------------------------
 *
 * turn.h
 *	  Waiting for what there is too little of.
 *
 * A session that finds no room waits.  One that was woken and again finds none
 * takes the turn: until it has found room, no other session takes any.  So the
 * session with the greatest need does not wait for ever.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_TURN_H
#define CCR_TURN_H

#include "shared/shmem.h"

/* Begin to wait for room in a queue, or for something else (used: NULL). */
extern void ccr_turn_begin(CcrTurn *turn, pg_atomic_uint32 *used);

/* Have we got the turn just now?  Then there may be room for us after all. */
extern bool ccr_turn_claim(void);
extern bool ccr_turn_is_mine(void);

/* Until it is worth while to try again; ms is as for ccr_until(). */
extern void ccr_turn_sleep(long ms, uint32 wait_event);

/* To be called whatever happens; harmless if we do not wait. */
extern void ccr_turn_end(void);

#endif							/* CCR_TURN_H */
