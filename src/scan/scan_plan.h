/*-------------------------------------------------------------------------
 *
 * scan_plan.h
 *	  Puts batch nodes into a finished plan.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SCAN_PLAN_H
#define CCR_SCAN_PLAN_H

/* Install the planner hook. */
extern void ccr_scan_plan_init(void);

#endif							/* CCR_SCAN_PLAN_H */
