/*-------------------------------------------------------------------------
 *
 * scan_reasons.h
 *	  Why a call is not looked up ahead, for who asks.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SCAN_REASONS_H
#define CCR_SCAN_REASONS_H

#include "scan/scan_node.h"

/*
 * Say, at level DEBUG1, which calls a plan with batch nodes makes row by row,
 * and why.
 */
extern void ccr_reasons_report(const CcrPlanning *planning);

#endif							/* CCR_SCAN_REASONS_H */
