/*-------------------------------------------------------------------------
 *
 * scan_subselect.h
 *	  Sub-selects that a call depends on, as columns of the rows below.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SCAN_SUBSELECT_H
#define CCR_SCAN_SUBSELECT_H

#include "scan/scan_node.h"

/*
 * For a node all of whose rows are read.  What the target list computes of such
 * columns is computed by a Result node above it.  Returns that, or the node as
 * it is if there is no such sub-select.
 */
extern Plan *ccr_subselects_apart(CcrPlanning *planning, Plan *plan);

/* The same in the arguments of aggregates: the Result node is below. */
extern void ccr_subselects_below_aggregates(CcrPlanning *planning, Plan *agg);

#endif							/* CCR_SCAN_SUBSELECT_H */
