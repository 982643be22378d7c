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
 * So there is one for whatever was enqueued alike: concresce.enqueued shows
 * what relies on each, and concresce.discard() marks them, too.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_WARRANT_H
#define CCR_WARRANT_H

#include "shared/shmem.h"

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

	/* Items that were committed up to then are to be discarded; 0: none. */
	pg_atomic_uint64 discard_until;
	pg_atomic_uint64 discarded; /* for that, ever */

	/*
	 * What bounds go by: from the taking of places, or of memory, until the
	 * request is freed.
	 */
	pg_atomic_uint32 charged_items;
	pg_atomic_uint64 charged_bytes;

	/*
	 * What relies on it, once committed.  The collector writes the second and
	 * the last.
	 */
	pg_atomic_uint64 items;
	pg_atomic_uint64 flying;	/* of these */
	pg_atomic_uint64 bytes;		/* of the requests that hold them */
	pg_atomic_uint64 oldest;	/* when the first of them was committed; 0: it
								 * is not yet known */
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

/* Is what was committed then to be discarded?  SQLSTATE that says why, or 0. */
static inline int
ccr_warrant_why(const CcrWarrant *warrant, CcrTime committed)
{
	int			ended = ccr_warrant_ended(warrant);

	if (ended != 0)
		return ended;
	return (CcrTime) pg_atomic_read_u64(unconstify(pg_atomic_uint64 *, &warrant->discard_until)) < committed ?
		0 : ERRCODE_QUERY_CANCELED;
}

/* What is said of items that are discarded for that. */
extern const char *ccr_warrant_reason(int sqlstate);

static inline bool
ccr_warrants_any(void)
{
	return pg_atomic_read_u32(&ccr_shared->nwarrants) > 0;
}

/* All titles that there are at present, palloc'd. */
extern CcrTitle *ccr_warrants_copy(int *n);

/* The same, with what relies on each. */
typedef struct CcrReliance
{
	CcrTitle	title;
	uint64		items;
	uint64		flying;
	uint64		bytes;
	CcrTime		oldest;
} CcrReliance;

extern CcrReliance *ccr_warrants_reliance(int *n);

/* A request that was committed now, or one that has ended. */
extern void ccr_warrant_begin(CcrWarrant *warrant, uint32 items, Size bytes, CcrTime now);
extern void ccr_warrant_end(CcrWarrant *warrant, Size bytes);

/*
 * Mark those of these titles: what was committed by then is to be discarded.
 * They are put into marked, each with a reference, and what they have counted
 * as discarded before into discarded; both have room for n.  The collectors
 * have to be told.
 */
extern int	ccr_warrants_discard(const CcrTitle *titles, int n, CcrTime until,
								 CcrWarrant **marked, uint64 *discarded);

/*
 * Mark the warrants of these titles, and have the collectors look at them.
 * Raises no error.
 */
extern void ccr_warrants_end(const CcrEndedTitle *titles, int n);

#endif							/* CCR_WARRANT_H */
