/*-------------------------------------------------------------------------
 *
 * scan_loops.h
 *	  Batched loops: which batch nodes of an inner side, or of a sub-plan, are
 *	  fed with the rows of the outer side.
 *
 * See scan_feed.h for what that means when it is executed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SCAN_LOOPS_H
#define CCR_SCAN_LOOPS_H

#include "scan/scan_node.h"

/*
 * Add to calls->feeds the batch nodes in the sub-plans of an expression, or of
 * a list of them, which is evaluated once for each row.
 */
extern void ccr_loops_find(CcrPlanning *planning, CcrCalls *calls, Node *node);

/* The same for those in the arguments of its aggregates. */
extern void ccr_loops_find_in_aggregates(CcrPlanning *planning, CcrCalls *calls,
										 Node *node);

/* Those on the inner side of a loop are to be fed with the rows of its outer side. */
extern void ccr_loops_batch(CcrPlanning *planning, NestLoop *loop,
							const CcrDemand *demand);

#endif							/* CCR_SCAN_LOOPS_H */
