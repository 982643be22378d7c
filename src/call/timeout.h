/*-------------------------------------------------------------------------
 *
 * timeout.h
 *	  How long a session waits: concresce.timeout, but no longer than the
 *	  superuser's ceiling, concresce.max_timeout.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_TIMEOUT_H
#define CCR_TIMEOUT_H

#include "shared/clock.h"

typedef struct CcrTimeout
{
	int			ms;				/* 0: no limit */
	bool		ceiling;		/* the limit is concresce.max_timeout */
} CcrTimeout;

/*
 * The timeout that a value of concresce.timeout amounts to, given the ceiling;
 * and that of the present value.
 */
extern CcrTimeout ccr_timeout_of(int ms);
extern CcrTimeout ccr_timeout_present(void);

/* When a timeout that began at `begin` ends; 0: never. */
extern CcrTime ccr_timeout_end(CcrTimeout timeout, CcrTime begin);

/*
 * For ereport(): the detail says what was waited for, and then `more`, unless
 * that is NULL.
 */
extern int	ccr_timeout_detail(CcrTimeout timeout, const char *waited_for,
							   const char *more);
extern int	ccr_timeout_hint(CcrTimeout timeout);

#endif							/* CCR_TIMEOUT_H */
