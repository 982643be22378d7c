/*-------------------------------------------------------------------------
 *
 * budget.h
 *	  How much a collector may hold of what far sides send.
 *
 * Each holder reports what it holds: a connection what its libpq has read and
 * not handed over, a batch the rows that it keeps.  The sum has a limit.
 * libpq doubles its buffer, and a row is copied from there to a result and
 * then to the batch, so a byte received can take four bytes of memory.
 * Therefore the limit is a fourth of concresce.collector_memory.  That setting
 * is also given to the kernel, which refuses the collector any memory beyond
 * it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_BUDGET_H
#define CCR_BUDGET_H

#include "shared/shmem.h"

/* A holder of less than this is never refused, however much others hold. */
#define CCR_BUDGET_SMALL	(1024 * 1024)

extern void ccr_budget_init(CcrMailbox *mailbox);

/* To be called when the setting may have changed. */
extern void ccr_budget_reload(void);

/* How many bytes one answer may have: no more than shared memory can hold. */
extern Size ccr_budget_answer(void);

/*
 * Items that wait are about to take so many bytes more (or fewer, if
 * negative).  They are bounded elsewhere, so the kernel's limit is raised by
 * as much.
 */
extern void ccr_budget_own(int64 bytes);

/* So many bytes more of answers are held; fewer, if negative. */
extern void ccr_budget_change(int64 bytes);
extern bool ccr_budget_exceeded(void);

/* Is so little left that what is only kept for later has to be freed? */
extern bool ccr_budget_scarce(void);

#endif							/* CCR_BUDGET_H */
