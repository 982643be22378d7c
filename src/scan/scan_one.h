/*-------------------------------------------------------------------------
 *
 * scan_one.h
 *	  Several calls in one row, side by side.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SCAN_ONE_H
#define CCR_SCAN_ONE_H

#include "scan/scan_node.h"

/*
 * Where a statement computes a row out of nothing, in a Result node without a
 * child, and makes several calls for it: a batch node that makes them at the
 * same time.  To be done last, since there is nothing else to be read ahead.
 */
extern void ccr_one_row(CcrPlanning *planning);

#endif							/* CCR_SCAN_ONE_H */
