/*-------------------------------------------------------------------------
 *
 * scan_run.h
 *	  How many rows the present run of the executor has to return.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SCAN_RUN_H
#define CCR_SCAN_RUN_H

#include "nodes/execnodes.h"

/*
 * How many rows the present run of a query still has to return.  After these
 * its caller may do something else, as between two FETCHes.  -1: all rows.
 */
extern int64 ccr_run_wants(const EState *estate);

/*
 * May the present run end before its query does?  True also if that is not
 * known.
 */
extern bool ccr_run_may_end(const EState *estate);

/* Install the hook. */
extern void ccr_scan_run_init(void);

#endif							/* CCR_SCAN_RUN_H */
