/*-------------------------------------------------------------------------
 *
 * barrier.h
 *	  Calls that keep rows back from the very session that makes them.
 *
 * A policy, a security barrier view or a check option has a condition that
 * keeps rows back from a session.  That same session evaluates the condition,
 * with its own settings.  So a lookup in such a condition must say itself
 * which server it asks: barrier_plan.c checks that when the statement is
 * planned.  The planner cannot see which functions the condition calls
 * indirectly.  So in a statement that has such a condition, the session's
 * settings count only for the statement's own calls, which barrier_plan.c
 * marks.  All other calls are made as if they ran with another role's rights,
 * and with the search_path that the lookup itself sets: nobody can tell who
 * has set the one in force.  This does not concern triggers, which keep no
 * rows back.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_BARRIER_H
#define CCR_BARRIER_H

#include "nodes/plannodes.h"

/*
 * Is this call barred, so that the session's settings do not count for it?
 * expr is the expression of the call, by which the statement's own calls are
 * known. volatility is the lookup's.
 */
extern bool ccr_barrier_holds(Node *expr, char volatility);

/* Mark a call as the statement's own, in a statement that keeps rows back. */
extern void ccr_barrier_mark_call(Node *expr);
extern bool ccr_barrier_is_own(Node *expr);

/* Mark a statement that keeps rows back, once it is planned. */
extern void ccr_barrier_mark_statement(PlannedStmt *stmt);

/*
 * Functions are run while a statement is planned, too.  Call
 * ccr_barrier_begin() before a statement is planned or run, and
 * ccr_barrier_end() afterwards, also after an error.
 */
typedef enum CcrBarrierState
{
	CCR_BARRIER_PLANNED,		/* it is being planned */
	CCR_BARRIER_DOUBTED,		/* the same, but perhaps it keeps nothing back */
	CCR_BARRIER_RUN				/* it is being executed */
} CcrBarrierState;

typedef struct CcrBarrier
{
	struct CcrBarrier *outer;
	struct ErrorContextCallback *context;	/* top of the stack when it began */
	int			trigger_depth;
	CcrBarrierState state;
	bool		passed;			/* DOUBTED: a call was made that a barrier
								 * would have barred */
} CcrBarrier;

extern void ccr_barrier_begin(CcrBarrier *barrier, CcrBarrierState state);
extern void ccr_barrier_end(const CcrBarrier *barrier);

extern void ccr_barrier_init(void);

#endif							/* CCR_BARRIER_H */
