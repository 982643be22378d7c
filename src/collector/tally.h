/*-------------------------------------------------------------------------
 *
 * tally.h
 *	  What is counted of items, before shared memory is told.
 *
 * An admission, a take-off or a landing changes a word of shared memory once,
 * not once for each item.  What is added up is of one function and of one
 * warrant at a time: ccr_tally_for() tells what was added up for others.
 *
 * Room is given back for all items at once, too, so that as many are woken as
 * there is room for, and not all for each.  A tally must be told before anybody
 * learns of the end of their request, as they may look.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_TALLY_H
#define CCR_TALLY_H

#include "shared/shmem.h"
#include "shared/warrant.h"

typedef struct CcrTally
{
	CcrCounters *counters;
	uint32		backlog;		/* room given back */
	uint32		places;
	int			queued;			/* gauges */
	int			active;
	uint32		coalesced;
	uint32		misses;
	uint32		answered;
	uint32		errors;
	uint32		discarded;

	CcrWarrant *warrant;
	int			flying;
	uint32		settled;
} CcrTally;

extern CcrTally ccr_tally;

/* What is added up from now on is of these; warrant: NULL, or whose items. */
extern void ccr_tally_for(CcrCounters *counters, CcrWarrant *warrant);

/* Room in the backlog, and places, are given back. */
extern void ccr_tally_room(CcrCounters *counters, uint32 backlog, uint32 places);

/* Tell shared memory. */
extern void ccr_tally_tell(void);

#endif							/* CCR_TALLY_H */
