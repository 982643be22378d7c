/*-------------------------------------------------------------------------
 *
 * stopped.h
 *	  Which lookups take no calls, and which servers are switched off.
 *
 * A call is counted before it asks whether its lookup is stopped.  A stop is
 * written down before it looks at what is counted.  So one of the two sees the
 * other.
 *
 * A server is switched off for the collectors, which look at the table when they
 * are told to (see ccr_marks_announce()): calls that have not been refused are
 * failed there.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_STOPPED_H
#define CCR_STOPPED_H

#include "shared/compat.h"
#include "shared/shmem.h"

/*
 * function InvalidOid: all of the database.  False: the table is full; but for
 * a superuser there are some places more.
 */
extern bool ccr_stopped_set(Oid dbid, Oid function, bool force);
extern void ccr_stopped_clear(Oid dbid, Oid function);

/* The same for a server; off: force may be NULL. */
extern bool ccr_switch_off(Oid dbid, Oid serverid, bool force);
extern void ccr_switch_on(Oid dbid, Oid serverid);
extern bool ccr_switched_off(Oid dbid, Oid serverid, bool *force);

/* The database is gone. */
extern void ccr_stopped_clear_database(Oid dbid);

/* Copy the table; room for CCR_MAX_STOPS. */
extern int	ccr_stopped_copy(CcrStop *stops);

/* Is it, or are all?  forced: only where what arrives is to be failed. */
extern bool ccr_stopped(Oid dbid, Oid function, bool forced);

/* Something that is counted has ended: tell those who wait for that. */
static inline void
ccr_stopped_recount(void)
{
	if (pg_atomic_read_u32(&ccr_shared->draining) > 0)
		ConditionVariableBroadcast(&ccr_shared->drained);
}

/* Raise 55000. */
CCR_NORETURN extern void ccr_stopped_refuse(const char *name);
CCR_NORETURN extern void ccr_switched_off_refuse(const char *server);

#endif							/* CCR_STOPPED_H */
