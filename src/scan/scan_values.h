/*-------------------------------------------------------------------------
 *
 * scan_values.h
 *	  VALUES lists with calls, as others without and a target list that makes
 *	  the calls.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SCAN_VALUES_H
#define CCR_SCAN_VALUES_H

#include "scan/scan_node.h"

/*
 * A plan that gives what the scan of a VALUES list does, but whose calls stand
 * in the target list of a scan.  The same plan if its rows are too little alike
 * for that, or have no calls.
 */
extern Plan *ccr_values_apart(CcrPlanning *planning, Plan *plan);

#endif							/* CCR_SCAN_VALUES_H */
