/*-------------------------------------------------------------------------
 *
 * warrant.h
 *	  By whose rights enqueued items are run.
 *
 * A session checks rights as it enqueues; items may wait for long after it
 * has gone.  So what was checked is written down in shared memory, for as long
 * as there are requests that rely on it: whoever takes a right away marks what
 * has relied on it, and the collectors discard such items.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_WARRANT_H
#define CCR_WARRANT_H

#include "shmem.h"

/* What was checked. */
typedef struct CcrTitle
{
	Oid			dbid;
	Oid			function;
	Oid			asker;			/* that its session has set as its role */
	Oid			caller;			/* has EXECUTE on it */
	Oid			roleid;			/* it runs as, with USAGE on the server */
	Oid			serverid;		/* InvalidOid: local */
	Oid			umid;
} CcrTitle;

typedef struct CcrWarrant
{
	dsa_pointer self;
	dsa_pointer next;			/* CcrShared.kept_lock */
	CcrTitle	title;
	pg_atomic_uint32 references;
	pg_atomic_uint32 ended;		/* SQLSTATE that says why, 0: it holds */
	pg_atomic_uint32 items;		/* of requests that rely on it, */
	pg_atomic_uint64 bytes;		/* and those of the heap */
} CcrWarrant;

/* A title that no longer holds. */
typedef struct CcrEndedTitle
{
	CcrTitle	title;
	int			sqlstate;
} CcrEndedTitle;

/* With a reference.  NULL: the heap has no room. */
extern CcrWarrant *ccr_warrant_get(const CcrTitle *title);
extern void ccr_warrant_release(CcrWarrant *warrant);

/*
 * So many items, and bytes of the heap, rely on it; or no more, which those of
 * its role may wait for, in the queue that the items had places in.
 */
extern void ccr_warrant_charge(CcrWarrant *warrant, uint32 items, uint64 bytes);
extern void ccr_warrant_discharge(CcrWarrant *warrant, CcrCounters *counters,
								  uint32 items, uint64 bytes);

/* What a role has enqueued: all in all, or of one lookup at one server. */
extern uint64 ccr_warrants_bytes(Oid asker);
extern uint64 ccr_warrants_items(Oid asker, const CcrCountersKey *key);

static inline int
ccr_warrant_ended(const CcrWarrant *warrant)
{
	return pg_atomic_read_u32(unconstify(pg_atomic_uint32 *, &warrant->ended));
}

/* What is said of items whose warrant has ended so. */
extern const char *ccr_warrant_reason(int sqlstate);

static inline bool
ccr_warrants_any(void)
{
	return pg_atomic_read_u32(&ccr_shared->nwarrants) > 0;
}

/* All titles that there are at present, palloc'd. */
extern CcrTitle *ccr_warrants_copy(int *n);

/*
 * Mark the warrants of these titles, and have the collectors look at them.
 * Raises no error.
 */
extern void ccr_warrants_end(const CcrEndedTitle *titles, int n);

#endif							/* CCR_WARRANT_H */
