/*-------------------------------------------------------------------------
 *
 * clock.h
 *	  The clock that deadlines, windows and delays go by.
 *
 * Nobody can set it, and all processes of the machine have the same, so its
 * times may lie in shared memory.  What is shown is told by the calendar.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_CLOCK_H
#define CCR_CLOCK_H

#include <time.h>

/* Microseconds; 0, which never comes, stands for no time at all. */
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

/* Milliseconds from now to a deadline, rounded up; 0: past; -1: there is none. */
static inline long
ccr_until(CcrTime deadline, CcrTime now)
{
	if (deadline == 0)
		return -1;
	return deadline <= now ? 0 : (long) Min((deadline - now + 999) / 1000, PG_INT32_MAX);
}

#endif							/* CCR_CLOCK_H */
