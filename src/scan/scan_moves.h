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

/* Calls in terms of their cells, which are columns of varno. */
extern CcrTerms ccr_cells_of(const CcrPlanning *planning,
							 const CcrCalls *calls, int varno);

/*
 * Both moves leave the plan as it is, and return false, where its rows must
 * not be read ahead.
 *
 * A batch node over a node that gives up its target list, and quals that were
 * taken from it: it filters and projects in its place.
 */
extern bool ccr_put_above(CcrPlanning *planning, Plan **plan, CcrCalls *calls,
						  List *moved, const CcrDemand *demand);

/*
 * A batch node over child that emits its columns and the cells.  The calls are
 * over columns of calls->varno, by which child is known to what is above it.
 */
extern bool ccr_put_below(CcrPlanning *planning, Plan **child,
						  CcrCalls *calls, const CcrDemand *demand);

/* A node that keeps the rows of one that can only be read forward. */
extern Plan *ccr_materialized(CcrPlanning *planning, Plan *plan);

#endif							/* CCR_SCAN_MOVES_H */
