/*-------------------------------------------------------------------------
 *
 * scan_plan.h
 *	  Where batch nodes go: from a finished plan to one that has them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SCAN_PLAN_H
#define CCR_SCAN_PLAN_H

/* Install the planner hook. */
extern void ccr_scan_plan_init(void);

#endif							/* CCR_SCAN_PLAN_H */
