/*-------------------------------------------------------------------------
 *
 * scan_reasons.h
 *	  Tells those who ask why a call is not looked up ahead.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SCAN_REASONS_H
#define CCR_SCAN_REASONS_H

#include "scan/scan_node.h"

/*
 * Report, at level DEBUG1, which calls of a plan are made row by row although
 * there are batch nodes, and why.
 */
extern void ccr_reasons_report(const CcrPlanning *planning);

#endif							/* CCR_SCAN_REASONS_H */
