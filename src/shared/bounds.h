/*-------------------------------------------------------------------------
 *
 * bounds.h
 *	  How much of the heap a session, and the sessions of a role, may hold.
 *
 * What one holds is measured against what is free: a session may hold twice
 * as much, the sessions of a role four times.  So one session alone can have
 * two thirds of the heap, one role four fifths, and whoever comes next finds
 * room, however many there are that take what they can.  A superuser can set
 * ceilings beside.
 *
 * Charged is a request with its description and its answers, from the moment
 * that it is made until it is freed.  What is enqueued outlives its session and
 * is charged to the role that enqueued it, in its warrant.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_BOUNDS_H
#define CCR_BOUNDS_H

#include "shared/shmem.h"

/* Whose bound something exceeds. */
typedef enum CcrBound
{
	CCR_BOUND_NONE,
	CCR_BOUND_SESSION,
	CCR_BOUND_ROLE
} CcrBound;

/*
 * Backend: the slot that keeps what the session holds.  A parallel worker is a
 * part of its leader's, who outlives it.
 */
extern int	ccr_bounds_procno(void);

/*
 * Backend: whose sessions this one counts among from now on (the role that it
 * has set for itself), and which ceilings it has.
 */
extern void ccr_bounds_declare(Oid roleid);

/*
 * May the session in this slot have so many bytes more, of which so many are
 * yet to be taken?  Its part of what several share is in the heap already.
 */
extern CcrBound ccr_bounds_check(int procno, Size bytes, Size untaken);

/* It has them, or gives them back. */
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
 * Backend: is so little left, or do we hold so much, that what can leave the
 * heap should?
 */
extern bool ccr_bounds_scarce(void);

/* What the sessions of a role hold, for messages and views. */
extern uint64 ccr_bounds_role_bytes(Oid roleid);

#endif							/* CCR_BOUNDS_H */
