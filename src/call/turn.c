/*-------------------------------------------------------------------------
 *
 * turn.c
 *	  Waiting for what there is too little of.
 *
 * The session that has the turn sleeps on its latch, so that it can be woken
 * alone.  All others sleep on a condition variable, which wakes the one that
 * has waited longest first.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "call/turn.h"
#include "miscadmin.h"
#include "shared/compat.h"

static CcrTurn *waits_for = NULL;
static pg_atomic_uint32 *waits_in = NULL;
static bool is_mine = false;

void
ccr_turn_begin(CcrTurn *turn, pg_atomic_uint32 *used)
{
	Assert(waits_for == NULL);
	waits_for = turn;
	waits_in = used;
	is_mine = false;

	/*
	 * Count us before we look for room: then a process that gives some back
	 * afterwards sees us.  This is a full barrier; its partner is in
	 * ccr_room_release(), or where something else is given back.
	 */
	ConditionVariablePrepareToSleep(&turn->changed);
	pg_atomic_fetch_add_u32(&turn->waiting, 1);
}

bool
ccr_turn_claim(void)
{
	uint32		holder = 0;

	/* a full barrier, with the same partner */
	if (is_mine ||
		!pg_atomic_compare_exchange_u32(&waits_for->holder, &holder, ccr_my_procno() + 1))
		return false;
	is_mine = true;
	ConditionVariableCancelSleep();
	return true;
}

bool
ccr_turn_is_mine(void)
{
	return is_mine;
}

void
ccr_turn_sleep(long ms, uint32 wait_event)
{
	if (!is_mine)
	{
		(void) ConditionVariableTimedSleep(&waits_for->changed, ms, wait_event);
		return;
	}
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (ms >= 0 ? WL_TIMEOUT : 0),
					 ms, wait_event);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/*
 * Pass on what we were woken for and did not take, and what was given back
 * while we had the turn.
 */
void
ccr_turn_end(void)
{
	CcrTurn    *turn = waits_for;

	if (turn == NULL)
		return;
	waits_for = NULL;
	ConditionVariableCancelSleep();
	if (is_mine)
		pg_atomic_write_u32(&turn->holder, 0);
	is_mine = false;

	/* a full barrier, with the same partner */
	pg_atomic_fetch_sub_u32(&turn->waiting, 1);
	ccr_turn_announce(turn, waits_in ? ccr_room_left(waits_in) : 1);
}
