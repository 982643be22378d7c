/*-------------------------------------------------------------------------
 *
 * bounds.h
 *	  How much of the heap a session, and the sessions of a role, may hold.
 *
 * The bound depends on how much is free: a session may hold twice as much as
 * is free, all sessions of a role together four times as much.  So one session
 * alone can have two thirds of what is not reserved, one role four fifths, and
 * there is always room for the next one, however many sessions take what they
 * can.  A login that can set several roles has a share as each of them, but no more
 * than 63 times what is free in all, so that a part is left to other logins.
 * A superuser can set fixed ceilings as well.
 *
 * A sixteenth of the heap is reserved for the enqueued items of small
 * transactions that find no other room.  As far as they have not taken it, it
 * counts as taken for everybody else.  Otherwise a few roles, each within its
 * bounds, could keep every COMMIT with enqueued items waiting.
 *
 * A session is charged for its requests, with their descriptions and answers,
 * from the moment that they are made until they are freed.  Enqueued items
 * outlive their session, so they are charged to the role that enqueued them,
 * in their warrant.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_BOUNDS_H
#define CCR_BOUNDS_H

#include "shared/party.h"
#include "shared/shmem.h"

/* Whose bound would be exceeded. */
typedef enum CcrBound
{
	CCR_BOUND_NONE,
	CCR_BOUND_SESSION,
	CCR_BOUND_ROLE,
	CCR_BOUND_LOGIN
} CcrBound;

/*
 * Backend: the number of the slot that is charged for this session.  A
 * parallel worker charges the slot of its leader, which outlives it.
 */
extern int	ccr_bounds_procno(void);

/*
 * Backend: say which role (the one that it has set for itself) and which login
 * this session counts for from now on, and which ceilings it has.
 */
extern void ccr_bounds_declare(CcrParty party);

/*
 * May the session in this slot have `bytes` more?  `untaken` of them are yet
 * to be allocated; the others are its part of shared rows, which are on the
 * heap already.
 */
extern CcrBound ccr_bounds_check(int procno, Size bytes, Size untaken);

/* Charge the session in this slot for so many bytes, or take them off. */
static inline void
ccr_bounds_charge(int procno, Size bytes)
{
	pg_atomic_fetch_add_u64(&ccr_slots[procno].bytes, bytes);
}

static inline void
ccr_bounds_release(int procno, Size bytes)
{
	pg_atomic_fetch_sub_u64(&ccr_slots[procno].bytes, bytes);
}

/*
 * Backend: should we copy out of the heap what can be copied?  True if little
 * is left there, or if we hold much of it.
 */
extern bool ccr_bounds_scarce(void);

/* Bytes of the reserve, and how many of them are still free. */
static inline uint64
ccr_bounds_reserve(void)
{
	return ccr_shared->heap_size / 16;
}

static inline uint64
ccr_bounds_reserve_left(void)
{
	uint64		taken = pg_atomic_read_u64(&ccr_shared->heap_reserve);

	return taken < ccr_bounds_reserve() ? ccr_bounds_reserve() - taken : 0;
}

/* How many bytes the sessions of its role hold together, and its login's. */
extern CcrTaken ccr_bounds_held(CcrParty party);

#endif							/* CCR_BOUNDS_H */
