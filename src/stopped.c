/*-------------------------------------------------------------------------
 *
 * stopped.c
 *	  The table of stopped lookups.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "stopped.h"

static CcrStop *
find(Oid dbid, Oid function)
{
	for (int i = 0; i < CCR_MAX_STOPS; i++)
		if (ccr_stops[i].used && ccr_stops[i].dbid == dbid &&
			ccr_stops[i].function == function)
			return &ccr_stops[i];
	return NULL;
}

static CcrStop *
find_unused(void)
{
	for (int i = 0; i < CCR_MAX_STOPS; i++)
		if (!ccr_stops[i].used)
			return &ccr_stops[i];
	return NULL;
}

bool
ccr_stopped_set(Oid dbid, Oid function, bool force)
{
	CcrStop    *stop;

	LWLockAcquire(&ccr_shared->stop_lock, LW_EXCLUSIVE);
	stop = find(dbid, function);
	if (stop)
		stop->force |= force;
	else if ((stop = find_unused()) != NULL)
	{
		stop->used = true;
		stop->force = force;
		stop->dbid = dbid;
		stop->function = function;
		pg_atomic_fetch_add_u32(&ccr_shared->nstops, 1);
	}
	LWLockRelease(&ccr_shared->stop_lock);

	/*
	 * Before the gauges are looked at.  The partner is in ccr_stopped(), which is
	 * asked after a gauge was raised.
	 */
	pg_memory_barrier();
	return stop != NULL;
}

void
ccr_stopped_clear(Oid dbid, Oid function)
{
	LWLockAcquire(&ccr_shared->stop_lock, LW_EXCLUSIVE);
	for (int i = 0; i < CCR_MAX_STOPS; i++)
	{
		CcrStop    *stop = &ccr_stops[i];

		if (stop->used && stop->dbid == dbid &&
			(stop->function == function || !OidIsValid(function)))
		{
			stop->used = false;
			pg_atomic_fetch_sub_u32(&ccr_shared->nstops, 1);
		}
	}
	LWLockRelease(&ccr_shared->stop_lock);
}

int
ccr_stopped_copy(CcrStop *stops)
{
	int			n = 0;

	LWLockAcquire(&ccr_shared->stop_lock, LW_SHARED);
	for (int i = 0; i < CCR_MAX_STOPS; i++)
		if (ccr_stops[i].used)
			stops[n++] = ccr_stops[i];
	LWLockRelease(&ccr_shared->stop_lock);
	return n;
}

bool
ccr_stopped(Oid dbid, Oid function, bool forced)
{
	CcrStop    *one;
	CcrStop    *all;
	bool		result;

	/* the partner is in ccr_stopped_set() */
	pg_memory_barrier();
	if (pg_atomic_read_u32(&ccr_shared->nstops) == 0)
		return false;
	LWLockAcquire(&ccr_shared->stop_lock, LW_SHARED);
	one = find(dbid, function);
	all = find(dbid, InvalidOid);
	if (forced)
		result = (one && one->force) || (all && all->force);
	else
		result = one || all;
	LWLockRelease(&ccr_shared->stop_lock);
	return result;
}

void
ccr_stopped_refuse(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("lookup %s is stopped", name),
			 errhint("concresce.start() lets it take calls again.")));
}
