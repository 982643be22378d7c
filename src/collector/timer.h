/*-------------------------------------------------------------------------
 *
 * timer.h
 *	  The deadlines of a collector.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_TIMER_H
#define CCR_TIMER_H

#include "lib/pairingheap.h"
#include "shared/clock.h"

typedef struct CcrTimer
{
	pairingheap_node node;
	bool		armed;
	CcrTime		when;
	void		(*fire) (void *arg);
	void	   *arg;
} CcrTimer;

extern void ccr_timer_init(CcrTimer *timer, void (*fire) (void *), void *arg);

/* Arm a timer; if it is armed already, change its time. */
extern void ccr_timer_set(CcrTimer *timer, CcrTime when);
extern void ccr_timer_clear(CcrTimer *timer);

/* Call fire() of all timers that are due.  A timer is disarmed before that. */
extern void ccr_timers_run(CcrTime now);

/* When the next one is due; 0 if there is none. */
extern CcrTime ccr_timers_next(void);

/* Milliseconds from now to the next one, rounded up; -1 if there is none. */
extern long ccr_timers_wait(CcrTime now);

/*
 * When to try again after so many failures in a row.  The delay is `least`
 * milliseconds after the first one and doubles with each further one, up to
 * `most`.  Half of it is random, so that not all come back at the same time.
 */
extern CcrTime ccr_back_off(int least, int most, int failures);

#endif							/* CCR_TIMER_H */
