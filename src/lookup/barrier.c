/*-------------------------------------------------------------------------
 *
 * barrier.c
 *	  Calls that keep rows back from the very session that makes them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_proc.h"
#include "executor/executor.h"
#include "lookup/barrier.h"
#include "nodes/primnodes.h"
#include "nodes/value.h"
#include "shared/compat.h"
#include "utils/fmgrprotos.h"

/*
 * A mark in the `location` of a call's expression, which nobody needs once the
 * statement was analyzed.  The planner moves it along with the call, but
 * parallel workers do not get it.  Calls that are made by functions, or
 * inlined, or made up by the planner, do not have it.
 */
#define CCR_LOCATION_OWN	(-8)

static CcrBarrier *innermost = NULL;

static ExecutorStart_hook_type prev_start = NULL;
static ExecutorRun_hook_type prev_run = NULL;
static ExecutorFinish_hook_type prev_finish = NULL;

/* Of the nodes that call a function which anybody can write. */
static int *
location_of(Node *expr)
{
	switch (nodeTag(expr))
	{
		case T_FuncExpr:
			return &((FuncExpr *) expr)->location;
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
			return &((OpExpr *) expr)->location;
		case T_ScalarArrayOpExpr:
			return &((ScalarArrayOpExpr *) expr)->location;
		default:
			return NULL;
	}
}

void
ccr_barrier_mark_call(Node *expr)
{
	int		   *location = location_of(expr);

	if (location)
		*location = CCR_LOCATION_OWN;
}

bool
ccr_barrier_is_own(Node *expr)
{
	int		   *location = expr ? location_of(expr) : NULL;

	return location && *location == CCR_LOCATION_OWN;
}

static int
trigger_depth(void)
{
	return DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0));
}

/*
 * The barrier in force, or NULL. A barrier of the statement that fired a
 * trigger does not concern the trigger.
 */
static CcrBarrier *
current_barrier(void)
{
	return innermost && innermost->trigger_depth == trigger_depth() ? innermost : NULL;
}

static CcrBarrier *
outer_barrier(const CcrBarrier *barrier)
{
	CcrBarrier *outer = barrier->outer;

	if (outer == NULL || outer->trigger_depth != barrier->trigger_depth)
		return NULL;
	if (outer->state == CCR_BARRIER_DOUBTED)
	{
		outer->passed = true;
		return NULL;
	}
	return outer;
}

/*
 * Calls that are evaluated while the statement is planned have no mark.  There
 * a function on the error context stack tells that a function makes the call.
 * Only immutable calls become part of the plan.
 */
bool
ccr_barrier_holds(Node *expr, char volatility)
{
	CcrBarrier *barrier = current_barrier();
	bool		called;

	if (barrier == NULL)
		return false;
	if (outer_barrier(barrier))
		return true;
	if (barrier->state == CCR_BARRIER_RUN)
		return !ccr_barrier_is_own(expr);
	called = error_context_stack != barrier->context ||
		volatility == PROVOLATILE_IMMUTABLE;
	if (barrier->state == CCR_BARRIER_PLANNED)
		return called;
	barrier->passed |= called;
	return false;
}

/*
 * The planner does not need these conditions any more, and the executor does
 * not look at them: use the field for the mark.
 */
static void
mark_relation(RangeTblEntry *rte)
{
	rte->securityQuals = list_make1(makeInteger(1));
}

void
ccr_barrier_mark_statement(PlannedStmt *stmt)
{
	/* without one, nothing is left of them */
	if (stmt->rtable)
		mark_relation(linitial_node(RangeTblEntry, stmt->rtable));
}

static bool
is_marked(const PlannedStmt *stmt)
{
	return stmt->rtable &&
		linitial_node(RangeTblEntry, stmt->rtable)->securityQuals != NIL;
}

void
ccr_barrier_begin(CcrBarrier *barrier, CcrBarrierState state)
{
	barrier->outer = innermost;
	barrier->context = error_context_stack;
	barrier->trigger_depth = trigger_depth();
	barrier->state = state;
	barrier->passed = false;
	innermost = barrier;
}

void
ccr_barrier_end(const CcrBarrier *barrier)
{
	innermost = barrier->outer;
}

/*
 * All statements that run within one that keeps rows back are concerned, too.
 */
static bool
barrier_concerned(const QueryDesc *desc)
{
	CcrBarrier *barrier = current_barrier();

	return is_marked(desc->plannedstmt) ||
		(barrier && barrier->state != CCR_BARRIER_DOUBTED);
}

/*
 * A function's statement may have parallel workers, which know nothing but
 * their plan.  The plan may be kept for other calls, too, so a copy is marked.
 */
static void
mark_for_workers(QueryDesc *desc)
{
	PlannedStmt *stmt = desc->plannedstmt;
	RangeTblEntry *rte;

	if (!stmt->parallelModeNeeded || stmt->rtable == NIL || is_marked(stmt))
		return;
	desc->plannedstmt = makeNode(PlannedStmt);
	memcpy(desc->plannedstmt, stmt, sizeof(PlannedStmt));
	rte = makeNode(RangeTblEntry);
	memcpy(rte, linitial(stmt->rtable), sizeof(RangeTblEntry));
	mark_relation(rte);
	desc->plannedstmt->rtable = list_copy(stmt->rtable);
	linitial(desc->plannedstmt->rtable) = rte;
}

static void
barrier_start(QueryDesc *desc, int flags)
{
	ExecutorStart_hook_type next = prev_start ? prev_start : standard_ExecutorStart;
	CcrBarrier	barrier;

	if (!barrier_concerned(desc))
	{
		next(desc, flags);
		return;
	}
	mark_for_workers(desc);
	ccr_barrier_begin(&barrier, CCR_BARRIER_RUN);
	PG_TRY();
	{
		next(desc, flags);
	}
	PG_FINALLY();
	{
		ccr_barrier_end(&barrier);
	}
	PG_END_TRY();
}

static void
barrier_run(CCR_EXECUTOR_RUN_PARAMS(desc))
{
	ExecutorRun_hook_type next = prev_run ? prev_run : standard_ExecutorRun;
	CcrBarrier	barrier;

	if (!barrier_concerned(desc))
	{
		next(CCR_EXECUTOR_RUN_ARGS(desc));
		return;
	}
	ccr_barrier_begin(&barrier, CCR_BARRIER_RUN);
	PG_TRY();
	{
		next(CCR_EXECUTOR_RUN_ARGS(desc));
	}
	PG_FINALLY();
	{
		ccr_barrier_end(&barrier);
	}
	PG_END_TRY();
}

/*
 * ExecutorFinish runs triggers, and WITH queries that were not read to their
 * end.
 */
static void
barrier_finish(QueryDesc *desc)
{
	ExecutorFinish_hook_type next = prev_finish ? prev_finish : standard_ExecutorFinish;
	CcrBarrier	barrier;

	if (!barrier_concerned(desc))
	{
		next(desc);
		return;
	}
	ccr_barrier_begin(&barrier, CCR_BARRIER_RUN);
	PG_TRY();
	{
		next(desc);
	}
	PG_FINALLY();
	{
		ccr_barrier_end(&barrier);
	}
	PG_END_TRY();
}

void
ccr_barrier_init(void)
{
	prev_start = ExecutorStart_hook;
	ExecutorStart_hook = barrier_start;
	prev_run = ExecutorRun_hook;
	ExecutorRun_hook = barrier_run;
	prev_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = barrier_finish;
}
