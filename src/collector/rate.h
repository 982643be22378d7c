/*-------------------------------------------------------------------------
 *
 * rate.h
 *	  How many batches and items may be sent in a second.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_RATE_H
#define CCR_RATE_H

#include "shared/clock.h"
#include "shared/source.h"

/*
 * The limits of a server, or of one lookup at it, and the batches that count.
 */
typedef struct CcrRate CcrRate;

/*
 * Find or make one, and take a reference.  function: InvalidOid for the
 * server's.
 */
extern CcrRate *ccr_rate_get(Oid dbid, Oid serverid, Oid function);
extern void ccr_rate_limit(CcrRate *rate, CcrLimits limits);
extern void ccr_rate_release(CcrRate *rate);

/* When the next batch may be sent; 0 if it may be sent at once. */
extern CcrTime ccr_rate_next(CcrRate *rate, CcrTime now);

/* How many items it may have then. */
extern int	ccr_rate_room(CcrRate *rate, CcrTime now);

/*
 * A batch is sent; and was answered or given up.  ccr_rate_begin() returns the
 * number by which ccr_rate_end() knows it.
 */
extern uint64 ccr_rate_begin(CcrRate *rate, CcrTime now, int items);
extern void ccr_rate_end(CcrRate *rate, uint64 serial, CcrTime now);

#endif							/* CCR_RATE_H */
