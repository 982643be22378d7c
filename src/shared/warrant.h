/*-------------------------------------------------------------------------
 *
 * warrant.h
 *	  By whose rights enqueued items are run.
 *
 * A session checks rights as it enqueues items, but the items may wait for
 * long after the session has gone.  So what was checked is written down in
 * shared memory as a warrant, for as long as there are requests that rely on
 * it.  A transaction that takes a right away marks the warrants that depended
 * on it, and the collectors discard their items.
 *
 * All items that were enqueued with the same rights share a warrant.
 * concresce.enqueued shows a row for each warrant, and concresce.discard()
 * marks warrants, too.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_WARRANT_H
#define CCR_WARRANT_H

#include "shared/party.h"
#include "shared/shmem.h"

/* The rights that were checked. */
typedef struct CcrTitle
{
	Oid			dbid;
	Oid			function;
	Oid			login;			/* of the session */
	Oid			asker;			/* the role that the session had set */
	Oid			caller;			/* the role that has EXECUTE on the function */
	Oid			roleid;			/* the role that it runs as, which has USAGE
								 * on the server */
	Oid			serverid;		/* InvalidOid: local */
	Oid			umid;
} CcrTitle;

typedef struct CcrWarrant
{
	dsa_pointer self;
	dsa_pointer next;			/* protected by CcrShared.kept_lock */
	CcrTitle	title;
	pg_atomic_uint32 references;
	pg_atomic_uint32 ended;		/* SQLSTATE that says why; 0: it still holds */

	/* Items that were committed up to then are to be discarded; 0: none. */
	pg_atomic_uint64 discard_until;
	pg_atomic_uint64 discarded; /* items discarded for that so far */

	/*
	 * For the bounds of a role: counted from the moment that places or memory
	 * are taken until the request is freed.
	 */
	pg_atomic_uint32 charged_items;
	pg_atomic_uint64 charged_bytes;

	/*
	 * Committed items that rely on it.  The collector writes `flying` and
	 * `oldest`.
	 */
	pg_atomic_uint64 items;
	pg_atomic_uint64 flying;	/* of these, in a batch now */
	pg_atomic_uint64 bytes;		/* of the requests that hold them */
	pg_atomic_uint64 oldest;	/* when the oldest of them was committed; 0:
								 * not known yet */
} CcrWarrant;

/* A title that no longer holds. */
typedef struct CcrEndedTitle
{
	CcrTitle	title;
	int			sqlstate;
} CcrEndedTitle;

/*
 * Find or make the warrant of a title, and take a reference.  NULL if the heap
 * has no room.
 */
extern CcrWarrant *ccr_warrant_get(const CcrTitle *title);
extern void ccr_warrant_release(CcrWarrant *warrant);

/*
 * So many more items, and bytes of the heap, count for its role's bounds; or
 * so many fewer.  ccr_warrant_discharge() wakes the sessions that wait for
 * that: in the queue of these counters, where the items had their places, or
 * for memory.
 */
extern void ccr_warrant_charge(CcrWarrant *warrant, uint32 items, uint64 bytes);
extern void ccr_warrant_discharge(CcrWarrant *warrant, CcrCounters *counters,
								  uint32 items, uint64 bytes);

/*
 * What a role, and its login, have enqueued: bytes in all, and items of one
 * lookup at one server.
 */
extern CcrTaken ccr_warrants_bytes(CcrParty asker);
extern CcrTaken ccr_warrants_items(CcrParty asker, const CcrCountersKey *key);

static inline int
ccr_warrant_ended(const CcrWarrant *warrant)
{
	return pg_atomic_read_u32(unconstify(pg_atomic_uint32 *, &warrant->ended));
}

/*
 * Is an item that was committed at this time to be discarded?  The SQLSTATE
 * that says why, or 0.
 */
static inline int
ccr_warrant_why(const CcrWarrant *warrant, CcrTime committed)
{
	int			ended = ccr_warrant_ended(warrant);

	if (ended != 0)
		return ended;
	return (CcrTime) pg_atomic_read_u64(unconstify(pg_atomic_uint64 *, &warrant->discard_until)) < committed ?
		0 : ERRCODE_QUERY_CANCELED;
}

/* The text that says why items are discarded, for such an SQLSTATE. */
extern const char *ccr_warrant_reason(int sqlstate);

static inline bool
ccr_warrants_any(void)
{
	return pg_atomic_read_u32(&ccr_shared->nwarrants) > 0;
}

/* The titles of all warrants that there are at present, palloc'd. */
extern CcrTitle *ccr_warrants_copy(int *n);

/* The same, with the items that rely on each. */
typedef struct CcrReliance
{
	CcrTitle	title;
	uint64		items;
	uint64		flying;
	uint64		bytes;
	CcrTime		oldest;
} CcrReliance;

extern CcrReliance *ccr_warrants_reliance(int *n);

/* A request that relies on it was committed now; or has ended. */
extern void ccr_warrant_begin(CcrWarrant *warrant, uint32 items, Size bytes, CcrTime now);
extern void ccr_warrant_end(CcrWarrant *warrant, Size bytes);

/*
 * Mark the warrants of these titles, so that items which were committed up to
 * `until` are discarded.  `marked` receives the warrants, each with a
 * reference, `discarded` how many items each had discarded before; both have
 * room for n.  Returns how many they are.  The caller has to tell the
 * collectors.
 */
extern int	ccr_warrants_discard(const CcrTitle *titles, int n, CcrTime until,
								 CcrWarrant **marked, uint64 *discarded);

/*
 * Mark the warrants of these titles as ended, and tell the collectors.  Raises
 * no error.
 */
extern void ccr_warrants_end(const CcrEndedTitle *titles, int n);

#endif							/* CCR_WARRANT_H */
