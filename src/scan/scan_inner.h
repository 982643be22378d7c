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
 * Add the calls whose arguments are parameters of the plan, which calls->params
 * names, each with the conditions for making it that can be told from outside.
 * all: whoever runs the plan reads all its rows.
 */
extern void ccr_inner_find(CcrCalls *calls, Plan *plan, bool all);

#endif							/* CCR_SCAN_INNER_H */
