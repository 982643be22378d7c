/*-------------------------------------------------------------------------
 *
 * scan_hoist.h
 *	  Calls on the inner side of a loop that are looked up on its outer side.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SCAN_HOIST_H
#define CCR_SCAN_HOIST_H

#include "scan/scan_node.h"

/*
 * Find calls on the inner side of a nested loop whose arguments come from its
 * outer side.  A batch node on the outer side looks them up, and the loop
 * passes their cells to the inner side, along with its other parameters.
 */
extern void ccr_hoist_from_inner(CcrPlanning *planning, NestLoop *loop,
								 const CcrDemand *demand);

/*
 * The planner puts filters of an inner join that need values of both sides on
 * the scan of the inner side.  Move those that contain calls back to the join,
 * whose rows can be read ahead.
 */
extern void ccr_lift_inner_quals(NestLoop *loop);

/*
 * Like ccr_hoist_from_inner(), for calls in correlated sub-plans: each
 * reference to such a sub-plan passes the cells as additional arguments.  Once
 * all batch nodes are in place, ccr_hoist_finish() removes the arguments for
 * which no cell is made.
 */
extern void ccr_hoist_from_subplans(CcrPlanning *planning);
extern void ccr_hoist_finish(CcrPlanning *planning);

#endif							/* CCR_SCAN_HOIST_H */
