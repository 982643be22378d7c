/*-------------------------------------------------------------------------
 *
 * scan_hoist.h
 *	  Calls that are made once for each row of a loop's outer side.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SCAN_HOIST_H
#define CCR_SCAN_HOIST_H

#include "scan/scan_node.h"

/*
 * Calls on the inner side of a nested loop whose arguments come from its outer
 * side: a batch node on the outer side looks them up, and the loop passes
 * their cells along with its other parameters.
 */
extern void ccr_hoist_from_inner(CcrPlanning *planning, NestLoop *loop,
								 const CcrDemand *demand);

/*
 * Filters of an inner join that the planner has put on the scan of its inner
 * side, since they need values of both: those with calls become the join's
 * again, where its rows can be read ahead.
 */
extern void ccr_lift_inner_quals(NestLoop *loop);

/*
 * What from_inner does for calls in correlated sub-plans: from now on, whoever evaluates
 * one passes it the cells as arguments.  finish: those for which no cell came
 * about pass none.
 */
extern void ccr_hoist_from_subplans(CcrPlanning *planning);
extern void ccr_hoist_finish(CcrPlanning *planning);

#endif							/* CCR_SCAN_HOIST_H */
