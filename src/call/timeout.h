/*-------------------------------------------------------------------------
 *
 * timeout.h
 *	  How long a session waits: as it has set it, below a superuser's ceiling.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_TIMEOUT_H
#define CCR_TIMEOUT_H

#include "shared/clock.h"

typedef struct CcrTimeout
{
	int			ms;				/* 0: any time */
	bool		ceiling;		/* it is that of concresce.max_timeout */
} CcrTimeout;

/* What of a setting of concresce.timeout counts now; and the present one. */
extern CcrTimeout ccr_timeout_of(int ms);
extern CcrTimeout ccr_timeout_present(void);

/* When one that begins then is over; 0: never. */
extern CcrTime ccr_timeout_end(CcrTimeout timeout, CcrTime begin);

/*
 * For ereport(): what was waited for; more: NULL, or what is to be said beside.
 */
extern int	ccr_timeout_detail(CcrTimeout timeout, const char *waited_for,
							   const char *more);
extern int	ccr_timeout_hint(CcrTimeout timeout);

#endif							/* CCR_TIMEOUT_H */
