/*-------------------------------------------------------------------------
 *
 * scan_moves.h
 *	  The two moves by which a batch node is put into a plan.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SCAN_MOVES_H
#define CCR_SCAN_MOVES_H

#include "scan/scan_node.h"

/*
 * Terms in which calls are replaced by reading their cells, which are columns
 * of varno.
 */
extern CcrTerms ccr_cells_of(const CcrPlanning *planning,
							 const CcrCalls *calls, int varno);

/*
 * If the rows of a plan must not be read ahead, both moves leave the plan as
 * it is and return false.
 *
 * Put a batch node above a node.  The batch node takes over the target list of
 * that node, and the quals `moved`, which were taken from it: it filters and
 * projects in its place.
 */
extern bool ccr_put_above(CcrPlanning *planning, Plan **plan, CcrCalls *calls,
						  List *moved, const CcrDemand *demand);

/*
 * Put a batch node between a node and its child.  It emits the child's columns
 * and the cells.  The arguments of the calls are columns of calls->varno,
 * which is how the node above refers to the child.
 */
extern bool ccr_put_below(CcrPlanning *planning, Plan **child,
						  CcrCalls *calls, const CcrDemand *demand);

/* Put a Material node on a plan that can only be read forward. */
extern Plan *ccr_materialized(CcrPlanning *planning, Plan *plan);

#endif							/* CCR_SCAN_MOVES_H */
