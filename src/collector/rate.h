/*-------------------------------------------------------------------------
 *
 * rate.h
 *	  How much may be sent in a second.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_RATE_H
#define CCR_RATE_H

#include "shared/clock.h"
#include "shared/source.h"

/* The limit of a server, or of one lookup of it, and what counts for it. */
typedef struct CcrRate CcrRate;

/* With a reference; function: InvalidOid for all of the server. */
extern CcrRate *ccr_rate_get(Oid dbid, Oid serverid, Oid function);
extern void ccr_rate_limit(CcrRate *rate, CcrLimits limits);
extern void ccr_rate_release(CcrRate *rate);

/* When a batch may be sent: 0, if it may at once. */
extern CcrTime ccr_rate_next(CcrRate *rate, CcrTime now);

/* Items that it may have then. */
extern int	ccr_rate_room(CcrRate *rate, CcrTime now);

/* A batch is sent; and has been answered, or was given up. */
extern uint64 ccr_rate_begin(CcrRate *rate, CcrTime now, int items);
extern void ccr_rate_end(CcrRate *rate, uint64 serial, CcrTime now);

#endif							/* CCR_RATE_H */
