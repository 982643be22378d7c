/*-------------------------------------------------------------------------
 *
 * tally.h
 *	  Counts of items that are added up here before they go to shared memory.
 *
 * So an admission, a take-off or a landing changes each word of shared memory
 * once, and not once for each item.  The tally is of one function and one
 * warrant at a time: ccr_tally_for() writes out what was counted for others.
 *
 * Room is given back for all items at once, too: then as many backends are
 * woken as there is room for.  The tally must be written out before a backend
 * learns that its request has ended, since the backend may look at the
 * counters then.
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

/* Count for these from now on.  warrant: NULL unless it is enqueued items. */
extern void ccr_tally_for(CcrCounters *counters, CcrWarrant *warrant);

/* Count room in the backlog, and places, that are given back. */
extern void ccr_tally_room(CcrCounters *counters, uint32 backlog, uint32 places);

/* Write the tally to shared memory, and empty it. */
extern void ccr_tally_tell(void);

#endif							/* CCR_TALLY_H */
