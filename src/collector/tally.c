/*-------------------------------------------------------------------------
 *
 * tally.c
 *	  What is counted of items, before shared memory is told.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/tally.h"
#include "shared/ledger.h"

CcrTally	ccr_tally;

static void
tell_counter(CcrCounter counter, int64 n)
{
	if (n != 0)
		ccr_count(ccr_tally.counters, counter, n);
}

/*
 * Write the gauges last: once an entry has no open calls, it may be reused for
 * another function.
 */
static void
tell_counters(void)
{
	tell_counter(CCR_COALESCED, ccr_tally.coalesced);
	tell_counter(CCR_MISSES, ccr_tally.misses);
	tell_counter(CCR_ERRORS, ccr_tally.errors);
	tell_counter(CCR_DISCARDED, ccr_tally.discarded);
	tell_counter(CCR_ANSWERED, ccr_tally.answered);
	if (ccr_tally.queued != 0 || ccr_tally.active != 0)
		ccr_gauge(ccr_tally.counters, ccr_tally.queued, ccr_tally.active);
	if (ccr_tally.backlog > 0)
		ccr_counters_release_backlog(ccr_tally.counters, ccr_tally.backlog);
	if (ccr_tally.places > 0)
		ccr_places_release(ccr_tally.counters, ccr_tally.places);
}

static void
tell_warrant(void)
{
	if (ccr_tally.flying != 0)
		pg_atomic_fetch_add_u64(&ccr_tally.warrant->flying, ccr_tally.flying);
	if (ccr_tally.settled > 0)
		pg_atomic_fetch_sub_u64(&ccr_tally.warrant->items, ccr_tally.settled);
}

void
ccr_tally_tell(void)
{
	if (ccr_tally.counters)
		tell_counters();
	if (ccr_tally.warrant)
		tell_warrant();
	memset(&ccr_tally, 0, sizeof(ccr_tally));
}

void
ccr_tally_for(CcrCounters *counters, CcrWarrant *warrant)
{
	if (ccr_tally.counters == counters &&
		(ccr_tally.warrant == warrant || warrant == NULL || ccr_tally.warrant == NULL))
	{
		if (warrant)
			ccr_tally.warrant = warrant;
		return;
	}
	ccr_tally_tell();
	ccr_tally.counters = counters;
	ccr_tally.warrant = warrant;
}

void
ccr_tally_room(CcrCounters *counters, uint32 backlog, uint32 places)
{
	ccr_tally_for(counters, NULL);
	ccr_tally.backlog += backlog;
	ccr_tally.places += places;
}
