/*-------------------------------------------------------------------------
 *
 * scan_known.h
 *	  Whether a statement may contain lookups, found without walking its plan.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SCAN_KNOWN_H
#define CCR_SCAN_KNOWN_H

#include "nodes/plannodes.h"

extern bool ccr_may_hold_lookups(const PlannedStmt *stmt);

#endif							/* CCR_SCAN_KNOWN_H */
