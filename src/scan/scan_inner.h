/*-------------------------------------------------------------------------
 *
 * scan_inner.h
 *	  The calls in a plan that is run once for each row of another one.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SCAN_INNER_H
#define CCR_SCAN_INNER_H

#include "nodes/plannodes.h"
#include "scan/scan_calls.h"

/*
 * Add the calls in a plan whose arguments are parameters of the plan
 * (calls->params).  Each gets as its guard those conditions that can be
 * evaluated outside the plan.  all: all rows of the plan are read.
 */
extern void ccr_inner_find(CcrCalls *calls, Plan *plan, bool all);

#endif							/* CCR_SCAN_INNER_H */
