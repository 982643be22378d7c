/*-------------------------------------------------------------------------
 *
 * turn.h
 *	  Waiting for something that there is too little of, such as room in a queue.
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

/*
 * Try to take the turn.  True if we have got it just now: then the caller
 * should look once more whether there is room.  ccr_turn_is_mine(): do we have
 * it?
 */
extern bool ccr_turn_claim(void);
extern bool ccr_turn_is_mine(void);

/*
 * Sleep until it is worth while to try again; at most ms, as from ccr_until().
 */
extern void ccr_turn_sleep(long ms, uint32 wait_event);

/* To be called whatever happens; harmless if we do not wait. */
extern void ccr_turn_end(void);

#endif							/* CCR_TURN_H */
