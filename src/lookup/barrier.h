/*-------------------------------------------------------------------------
 *
 * barrier.h
 *	  Calls that keep rows back from the very session that makes them.
 *
 * The condition of a policy, of a security barrier view or of a check option is
 * evaluated by the very session that it is to keep out, with that session's
 * settings.  A lookup in such a condition must say itself which server it asks:
 * barrier_plan.c checks that when the statement is planned.  The planner cannot
 * see what functions the condition calls in turn.  So in a statement that has
 * such a condition the session's settings count only for the statement's own
 * calls, which barrier_plan.c marks.  All other calls are made as if with another
 * role's rights, and with no search_path but the lookup's own, since nobody can
 * tell who has set the one in force.  Triggers keep nothing back.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_BARRIER_H
#define CCR_BARRIER_H

#include "nodes/plannodes.h"

/*
 * Is the call, which stands at this place, or is made by a function, one for
 * which the session's settings do not count?  volatility: of the lookup.
 */
extern bool ccr_barrier_holds(Node *expr, char volatility);

/* The statement's own calls, in a statement that keeps rows back. */
extern void ccr_barrier_mark_call(Node *expr);
extern bool ccr_barrier_is_own(Node *expr);

/* Such a statement, once it is planned. */
extern void ccr_barrier_mark_statement(PlannedStmt *stmt);

/*
 * While it is planned, functions are run, too: begin before, end after that,
 * also after an error.
 */
typedef enum CcrBarrierState
{
	CCR_BARRIER_PLANNED,		/* being planned */
	CCR_BARRIER_DOUBTED,		/* the same, and it may not keep anything back */
	CCR_BARRIER_RUN				/* being executed */
} CcrBarrierState;

typedef struct CcrBarrier
{
	struct CcrBarrier *outer;
	struct ErrorContextCallback *context;	/* what has been entered before it */
	int			trigger_depth;
	CcrBarrierState state;
	bool		passed;			/* DOUBTED: by a call that it would have
								 * barred */
} CcrBarrier;

extern void ccr_barrier_begin(CcrBarrier *barrier, CcrBarrierState state);
extern void ccr_barrier_end(const CcrBarrier *barrier);

extern void ccr_barrier_init(void);

#endif							/* CCR_BARRIER_H */
