/*-------------------------------------------------------------------------
 *
 * scan_run.c
 *	  The runs of the executor: how many rows one is to bring, and by which rights.
 *
 * A plan node is not told.  What depends on the role, say, must not be read
 * beyond the rows of one FETCH.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "call/caller.h"
#include "executor/executor.h"
#include "scan/scan_run.h"
#include "shared/compat.h"

static ExecutorRun_hook_type prev_run = NULL;

/* The innermost run that goes on at present. */
static const EState *running = NULL;
static uint64 row_limit = 0;	/* 0: none */

int64
ccr_run_wants(const EState *estate)
{
	/* the rows of a parallel worker are limited for other reasons */
	if (estate != running || row_limit == 0 || IsParallelWorker())
		return -1;
	if (estate->es_processed >= row_limit)
		return 0;
	return Min(row_limit - estate->es_processed, (uint64) PG_INT64_MAX);
}

bool
ccr_run_may_end(const EState *estate)
{
	return estate != running || row_limit != 0;
}

static void
scan_run_executor(CCR_EXECUTOR_RUN_PARAMS(desc))
{
	ExecutorRun_hook_type next = prev_run ? prev_run : standard_ExecutorRun;
	const EState *running_before = running;
	uint64		limit_before = row_limit;
	uint64		caller_before = ccr_caller_begin_run();

	running = desc->estate;
	row_limit = count;
	PG_TRY();
	{
		next(CCR_EXECUTOR_RUN_ARGS(desc));
	}
	PG_FINALLY();
	{
		running = running_before;
		row_limit = limit_before;

		/* what of WITH nobody has read to its end is run after this */
		if (running_before)
			ccr_caller_end_run(caller_before);
	}
	PG_END_TRY();
}

void
ccr_scan_run_init(void)
{
	prev_run = ExecutorRun_hook;
	ExecutorRun_hook = scan_run_executor;
}
