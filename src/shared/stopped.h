/*-------------------------------------------------------------------------
 *
 * stopped.h
 *	  Which lookups take no calls, and which servers are switched off.
 *
 * A call is counted before it asks whether its lookup is stopped.  A stop is
 * written into the table before concresce.stop() reads the counts.  So either
 * the call sees the stop, or concresce.stop() sees the call and waits for it.
 *
 * A server is switched off by its collectors, which look at the table when
 * they are told to (see ccr_marks_announce()).  They fail the calls that
 * sessions have already made.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_STOPPED_H
#define CCR_STOPPED_H

#include "shared/compat.h"
#include "shared/shmem.h"

/*
 * Stop a lookup; function: InvalidOid for all lookups of the database.  False
 * if the table is full.  Some of its places are kept for superusers.
 */
extern bool ccr_stopped_set(Oid dbid, Oid function, bool force);
extern void ccr_stopped_clear(Oid dbid, Oid function);

/*
 * The same for a server.  ccr_switched_off() also says whether it was switched
 * off by force, unless `force` is NULL.
 */
extern bool ccr_switch_off(Oid dbid, Oid serverid, bool force);
extern void ccr_switch_on(Oid dbid, Oid serverid);
extern bool ccr_switched_off(Oid dbid, Oid serverid, bool *force);

/* The database was dropped: remove what the table has of it. */
extern void ccr_stopped_clear_database(Oid dbid);

/*
 * Copy the table into stops, which has room for CCR_MAX_STOPS.  Returns how
 * many.
 */
extern int	ccr_stopped_copy(CcrStop *stops);

/*
 * Is this lookup stopped, or are all of the database?  If `forced`, only stops
 * with `force` count.
 */
extern bool ccr_stopped(Oid dbid, Oid function, bool forced);

/* Something that is counted has ended: wake those who wait for that. */
static inline void
ccr_stopped_recount(void)
{
	if (pg_atomic_read_u32(&ccr_shared->draining) > 0)
		ConditionVariableBroadcast(&ccr_shared->drained);
}

/* Raise 55000: the lookup is stopped, or the server is switched off. */
CCR_NORETURN extern void ccr_stopped_refuse(const char *name);
CCR_NORETURN extern void ccr_switched_off_refuse(const char *server);

#endif							/* CCR_STOPPED_H */
