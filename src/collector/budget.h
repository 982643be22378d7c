/*-------------------------------------------------------------------------
 *
 * budget.h
 *	  How much a collector may hold of what far sides send.
 *
 * Whoever holds some says so: a connection, what its libpq has read and not
 * handed over; a batch, the rows that it keeps.  All of it together has a
 * limit.  As libpq doubles its buffer, and a row is copied from there to a
 * result and to the batch, a byte can take four, so the limit is a fourth of
 * concresce.collector_memory.  That itself is a limit which the kernel knows
 * of: beyond it no memory is to be had.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_BUDGET_H
#define CCR_BUDGET_H

#include "shared/shmem.h"

/* What holds less than this is never refused, whatever others hold. */
#define CCR_BUDGET_SMALL	(1024 * 1024)

extern void ccr_budget_init(CcrMailbox *mailbox);

/* The setting may have changed. */
extern void ccr_budget_reload(void);

/* Bytes that one answer may be: what shared memory can hold of results. */
extern Size ccr_budget_answer(void);

/*
 * So many bytes more are about to be taken by what waits, or fewer are.  It is
 * bounded elsewhere, and comes on top of the limit.
 */
extern void ccr_budget_own(int64 bytes);

/* So many bytes more are held, or less. */
extern void ccr_budget_change(int64 bytes);
extern bool ccr_budget_exceeded(void);

/* Bytes that may be held in all. */
extern int64 ccr_budget_limit(void);

/* Is there so little left that what is only kept for later is to go? */
extern bool ccr_budget_scarce(void);

#endif							/* CCR_BUDGET_H */
