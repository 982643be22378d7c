/*-------------------------------------------------------------------------
 *
 * barrier_plan.h
 *	  Lookups in policies, security barrier views and check options must say
 *	  whom they ask.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_BARRIER_PLAN_H
#define CCR_BARRIER_PLAN_H

extern void ccr_barrier_plan_init(void);

#endif							/* CCR_BARRIER_PLAN_H */
