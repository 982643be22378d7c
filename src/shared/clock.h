/*-------------------------------------------------------------------------
 *
 * clock.h
 *	  The clock that deadlines, windows and delays go by.
 *
 * It is a monotonic clock: nobody can set it, and all processes of the machine
 * have the same one, so its times may lie in shared memory.  Times that are
 * shown to users are TimestampTz instead.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_CLOCK_H
#define CCR_CLOCK_H

#include <time.h>

/* Microseconds.  The clock is never at 0, so 0 stands for "no time". */
typedef int64 CcrTime;

static inline CcrTime
ccr_now(void)
{
	struct timespec now;

	(void) clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64CONST(1000000) + now.tv_nsec / 1000;
}

static inline CcrTime
ccr_after(CcrTime begin, int64 ms)
{
	return begin + ms * 1000;
}

/*
 * Milliseconds from now to a deadline, rounded up; 0 if it is past, -1 if
 * there is no deadline.
 */
static inline long
ccr_until(CcrTime deadline, CcrTime now)
{
	if (deadline == 0)
		return -1;
	return deadline <= now ? 0 : (long) Min((deadline - now + 999) / 1000, PG_INT32_MAX);
}

#endif							/* CCR_CLOCK_H */
