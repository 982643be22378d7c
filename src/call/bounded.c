/*-------------------------------------------------------------------------
 *
 * bounded.c
 *	  Waiting because the role has too many enqueued items.
 *
 * A session that waits writes a number into its slot.  The lowest number of a
 * role is the first waiter.  Two can take themselves for that, which does no
 * harm.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "call/bounded.h"
#include "miscadmin.h"
#include "shared/compat.h"
#include "storage/latch.h"

static CcrSlot *waiting = NULL; /* our slot, while we do */

static uint32
place_of(const CcrCounters *counters)
{
	return counters ? counters - ccr_counters + 1 : 0;
}

static pg_atomic_uint32 *
number_in(uint32 in)
{
	return in > 0 ? &ccr_counters[in - 1].nbounded : &ccr_shared->nbounded;
}

/*
 * The slot of the session of this role that has the lowest number, so that it
 * is first; NULL if nobody waits.
 */
static CcrSlot *
first_of(Oid roleid, uint32 in)
{
	CcrSlot    *first = NULL;
	uint64		lowest = PG_UINT64_MAX;

	if (pg_atomic_read_u32(number_in(in)) == 0)
		return NULL;
	for (int i = 0; i < ccr_shared->nslots; i++)
	{
		CcrSlot    *slot = &ccr_slots[i];
		uint64		number = pg_atomic_read_u64(&slot->bounded);

		if (number == 0 || number >= lowest ||
			pg_atomic_read_u32(&slot->bounded_role) != roleid ||
			pg_atomic_read_u32(&slot->bounded_in) != in)
			continue;
		first = slot;
		lowest = number;
	}
	return first;
}

void
ccr_bounded_begin(Oid roleid, CcrCounters *counters)
{
	uint32		in = place_of(counters);

	if (waiting)
		return;
	waiting = &ccr_slots[ccr_my_procno()];
	pg_atomic_write_u32(&waiting->bounded_role, roleid);
	pg_atomic_write_u32(&waiting->bounded_in, in);
	pg_atomic_write_u32(&waiting->bounded_first, 0);

	/*
	 * Write all this before we look for room.  A process that gives something
	 * back afterwards, or that was first and ends its wait, then sees us.
	 * These are full barriers; the partners are in ccr_warrant_discharge(),
	 * ccr_room_release(), ccr_heap_free() and ccr_bounded_end().
	 */
	(void) pg_atomic_exchange_u64(&waiting->bounded,
								  pg_atomic_fetch_add_u64(&ccr_shared->next_bounded, 1));
	pg_atomic_fetch_add_u32(number_in(in), 1);
}

bool
ccr_bounded_behind(Oid roleid, CcrCounters *counters)
{
	CcrSlot    *first = first_of(roleid, place_of(counters));

	return first != NULL && first != waiting;
}

bool
ccr_bounded_first(void)
{
	CcrSlot    *first = first_of(pg_atomic_read_u32(&waiting->bounded_role),
								 pg_atomic_read_u32(&waiting->bounded_in));

	if (first != waiting)
		return false;

	/* the caller looks once more after this barrier, before it sleeps */
	(void) pg_atomic_exchange_u32(&waiting->bounded_first, 1);
	return true;
}

void
ccr_bounded_below(uint64 bytes)
{
	uint64		below = pg_atomic_read_u64(&ccr_shared->bounded_below);

	/*
	 * This must be a full barrier, whether bounded_below changes or not.  The
	 * partner is in ccr_heap_free().
	 */
	while (!pg_atomic_compare_exchange_u64(&ccr_shared->bounded_below, &below,
										   Max(below, bytes)))
		;
}

void
ccr_bounded_sleep(long ms, uint32 wait_event)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (ms >= 0 ? WL_TIMEOUT : 0),
					 ms, wait_event);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* End the wait, and wake the next session of the role. */
void
ccr_bounded_end(void)
{
	CcrSlot    *slot = waiting;
	CcrSlot    *next;
	Oid			roleid;
	uint32		in;

	if (slot == NULL)
		return;
	waiting = NULL;
	roleid = pg_atomic_read_u32(&slot->bounded_role);
	in = pg_atomic_read_u32(&slot->bounded_in);
	pg_atomic_write_u32(&slot->bounded_first, 0);
	(void) pg_atomic_exchange_u64(&slot->bounded, 0);
	pg_atomic_fetch_sub_u32(number_in(in), 1);
	next = first_of(roleid, in);
	if (next)
		ccr_wake(next - ccr_slots);
}
