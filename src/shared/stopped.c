/*-------------------------------------------------------------------------
 *
 * stopped.c
 *	  The table of stopped lookups and switched-off servers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "shared/stopped.h"
#include "utils/timestamp.h"

static CcrStop *
find_stop(Oid dbid, Oid function, Oid serverid)
{
	for (int i = 0; i < CCR_MAX_STOPS; i++)
		if (ccr_stops[i].used && ccr_stops[i].dbid == dbid &&
			ccr_stops[i].function == function && ccr_stops[i].serverid == serverid)
			return &ccr_stops[i];
	return NULL;
}

/*
 * Limit the entries of one role: a role that owns many lookups must not fill
 * the table, so that others cannot stop theirs.
 */
static bool
has_its_part(CcrParty party)
{
	int			all = 0;
	CcrTaken	own = {0};

	for (int i = 0; i < CCR_MAX_STOPS; i++)
	{
		CcrParty	of = {.session = ccr_stops[i].login, .outer = ccr_stops[i].roleid};

		if (!ccr_stops[i].used)
			continue;
		all++;
		ccr_taken_add(&own, party, of, 1);
	}
	return all >= CCR_MAX_STOPS - CCR_STOPS_RESERVED || own.role >= CCR_STOPS_OF_ROLE ||
		own.login >= CCR_STOPS_OF_LOGIN;
}

static CcrStop *
find_unused(void)
{
	for (int i = 0; i < CCR_MAX_STOPS; i++)
		if (!ccr_stops[i].used)
			return &ccr_stops[i];
	return NULL;
}

static pg_atomic_uint32 *
counter_of(Oid serverid)
{
	return OidIsValid(serverid) ? &ccr_shared->nservers : &ccr_shared->nstops;
}

static bool
set_stop(Oid dbid, Oid function, Oid serverid, bool force)
{
	bool		privileged = superuser();
	CcrParty	party = {.session = GetSessionUserId(), .outer = GetOuterUserId()};
	CcrStop    *stop;

	LWLockAcquire(&ccr_shared->stop_lock, LW_EXCLUSIVE);
	stop = find_stop(dbid, function, serverid);
	if (stop)
		stop->force |= force;
	else if ((privileged || !has_its_part(party)) && (stop = find_unused()) != NULL)
	{
		stop->used = true;
		stop->force = force;
		stop->dbid = dbid;
		stop->function = function;
		stop->serverid = serverid;
		stop->roleid = party.outer;
		stop->login = party.session;
		stop->since = GetCurrentTimestamp();
		pg_atomic_fetch_add_u32(counter_of(serverid), 1);
	}
	LWLockRelease(&ccr_shared->stop_lock);
	return stop != NULL;
}

bool
ccr_stopped_set(Oid dbid, Oid function, bool force)
{
	bool		result = set_stop(dbid, function, InvalidOid, force);

	/*
	 * The caller reads the gauges after this.  The partner is in
	 * ccr_stopped(), which a call asks after it has raised a gauge.
	 */
	pg_memory_barrier();
	return result;
}

bool
ccr_switch_off(Oid dbid, Oid serverid, bool force)
{
	return set_stop(dbid, InvalidOid, serverid, force);
}

/*
 * Remove entries of one kind: of servers if `servers`, else of lookups; if
 * `all`, all of that kind.
 */
static void
clear_stop(Oid dbid, Oid function, Oid serverid, bool servers, bool all)
{
	LWLockAcquire(&ccr_shared->stop_lock, LW_EXCLUSIVE);
	for (int i = 0; i < CCR_MAX_STOPS; i++)
	{
		CcrStop    *stop = &ccr_stops[i];

		if (!stop->used || stop->dbid != dbid || OidIsValid(stop->serverid) != servers ||
			!(all || (stop->function == function && stop->serverid == serverid)))
			continue;
		stop->used = false;
		pg_atomic_fetch_sub_u32(counter_of(stop->serverid), 1);
	}
	LWLockRelease(&ccr_shared->stop_lock);
}

void
ccr_stopped_clear(Oid dbid, Oid function)
{
	clear_stop(dbid, function, InvalidOid, false, !OidIsValid(function));
}

void
ccr_switch_on(Oid dbid, Oid serverid)
{
	clear_stop(dbid, InvalidOid, serverid, true, false);
}

void
ccr_stopped_clear_database(Oid dbid)
{
	clear_stop(dbid, InvalidOid, InvalidOid, false, true);
	clear_stop(dbid, InvalidOid, InvalidOid, true, true);
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
	one = find_stop(dbid, function, InvalidOid);
	all = find_stop(dbid, InvalidOid, InvalidOid);
	if (forced)
		result = (one && one->force) || (all && all->force);
	else
		result = one || all;
	LWLockRelease(&ccr_shared->stop_lock);
	return result;
}

bool
ccr_switched_off(Oid dbid, Oid serverid, bool *force)
{
	CcrStop    *stop;

	if (!OidIsValid(serverid) || pg_atomic_read_u32(&ccr_shared->nservers) == 0)
		return false;
	LWLockAcquire(&ccr_shared->stop_lock, LW_SHARED);
	stop = find_stop(dbid, InvalidOid, serverid);
	if (stop && force)
		*force = stop->force;
	LWLockRelease(&ccr_shared->stop_lock);
	return stop != NULL;
}

void
ccr_stopped_refuse(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("lookup %s is stopped", name),
			 errhint("concresce.start() lets it take calls again.")));
}

void
ccr_switched_off_refuse(const char *server)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("server \"%s\" is switched off", server),
			 errhint("concresce.switch_on() lets it be used again.")));
}
