/*-------------------------------------------------------------------------
 *
 * scan_run.h
 *	  How many rows a run of the executor is to bring.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SCAN_RUN_H
#define CCR_SCAN_RUN_H

#include "nodes/execnodes.h"

/*
 * Rows that the present run of a query is still to bring before its caller
 * can do something else, as between two FETCHes; -1: all there are.
 */
extern int64 ccr_run_wants(const EState *estate);

/* May the present run end before its query does, or is it not known? */
extern bool ccr_run_may_end(const EState *estate);

/* Install the hook. */
extern void ccr_scan_run_init(void);

#endif							/* CCR_SCAN_RUN_H */
