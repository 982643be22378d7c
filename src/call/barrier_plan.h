/*-------------------------------------------------------------------------
 *
 * barrier_plan.h
 *	  Checks, as a statement is planned, that lookups in policies, security
 *	  barrier views and check options say whom they ask: see barrier.h.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_BARRIER_PLAN_H
#define CCR_BARRIER_PLAN_H

extern void ccr_barrier_plan_init(void);

#endif							/* CCR_BARRIER_PLAN_H */
