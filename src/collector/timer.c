/*-------------------------------------------------------------------------
 *
 * timer.c
 *	  The deadlines of a collector, in a heap.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/timer.h"
#include "common/pg_prng.h"
#include "utils/memutils.h"

static pairingheap *timers = NULL;

static int
fires_later(const pairingheap_node *a, const pairingheap_node *b, void *arg)
{
	CcrTime		wa = pairingheap_const_container(CcrTimer, node, a)->when;
	CcrTime		wb = pairingheap_const_container(CcrTimer, node, b)->when;

	/* the root is the greatest: the earliest */
	return (wa < wb) ? 1 : (wa > wb) ? -1 : 0;
}

void
ccr_timer_init(CcrTimer *timer, void (*fire) (void *), void *arg)
{
	timer->armed = false;
	timer->fire = fire;
	timer->arg = arg;
	if (timers == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		timers = pairingheap_allocate(fires_later, NULL);
		MemoryContextSwitchTo(old);
	}
}

void
ccr_timer_set(CcrTimer *timer, CcrTime when)
{
	ccr_timer_clear(timer);
	timer->when = when;
	timer->armed = true;
	pairingheap_add(timers, &timer->node);
}

void
ccr_timer_clear(CcrTimer *timer)
{
	if (timer->armed)
		pairingheap_remove(timers, &timer->node);
	timer->armed = false;
}

static CcrTimer *
earliest_timer(void)
{
	if (timers == NULL || pairingheap_is_empty(timers))
		return NULL;
	return pairingheap_container(CcrTimer, node, pairingheap_first(timers));
}

void
ccr_timers_run(CcrTime now)
{
	CcrTimer   *timer;

	while ((timer = earliest_timer()) != NULL && timer->when <= now)
	{
		ccr_timer_clear(timer);
		timer->fire(timer->arg);
	}
}

CcrTime
ccr_timers_next(void)
{
	CcrTimer   *timer = earliest_timer();

	return timer ? timer->when : 0;
}

long
ccr_timers_wait(CcrTime now)
{
	CcrTimer   *timer = earliest_timer();

	return timer ? ccr_until(timer->when, now) : -1;
}

CcrTime
ccr_back_off(int least, int most, int failures)
{
	int64		delay = Min((int64) least << Min(failures - 1, 20), most);

	delay = delay / 2 + pg_prng_uint64_range(&pg_global_prng_state, 0, delay / 2);
	return ccr_after(ccr_now(), delay);
}
