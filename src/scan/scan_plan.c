/*-------------------------------------------------------------------------
 *
 * scan_plan.c
 *	  Where batch nodes go: from a finished plan to one that has them.
 *
 * The standard planner finishes its work; then the plan tree is visited from
 * the leaves up, and a batch node is put in by one of two moves:
 *
 *	above a node	that computes calls in its target list or filter.  The node
 *					gives those up and emits the values that they are made of;
 *					the batch node filters and projects in its place.  A filter
 *					moves together with all that come after it, so that no
 *					function sees a row that it would not have seen.
 *	below a node	that evaluates calls over its child's columns: arguments of
 *					aggregates and window functions, hash keys.  The batch node
 *					adds the cells as columns, and the calls read them.
 *
 * Nothing changes for plans without lookups, and these are told by the list of
 * functions that every plan depends on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "lookup/hidden.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "scan/scan_ahead.h"
#include "scan/scan_append.h"
#include "scan/scan_fields.h"
#include "scan/scan_hoist.h"
#include "scan/scan_known.h"
#include "scan/scan_loops.h"
#include "scan/scan_moves.h"
#include "scan/scan_node.h"
#include "scan/scan_one.h"
#include "scan/scan_plan.h"
#include "scan/scan_reasons.h"
#include "scan/scan_subselect.h"
#include "scan/scan_values.h"
#include "shared/compat.h"
#include "shared/settings.h"
#include "shared/shmem.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

static planner_hook_type prev_planner = NULL;

static const CcrDemand demand_unknown = {0};

static Plan *visit_plan(CcrPlanning *planning, Plan *plan, CcrDemand demand);

/* ------------------------------------------------------------ above a node */

/* Parameters that have no value before the target list is computed. */
static Bitmapset *
params_set_by_list(const CcrPlanning *planning, Plan *plan)
{
	return planning->stmt->subplans ? ccr_params_set_by((Node *) plan->targetlist) : NULL;
}

/*
 * The first of the quals that holds a call which can be made ahead, or a sub-plan
 * with such calls; or -1.
 */
static int
first_with_call(CcrPlanning *planning, List *quals)
{
	ListCell   *lc;

	foreach(lc, quals)
	{
		CcrCalls	calls = {.records = planning->records};

		ccr_calls_find(&calls, lfirst(lc), NIL);
		ccr_loops_find(planning, &calls, lfirst(lc));
		if (calls.calls || calls.feeds)
			return foreach_current_index(lc);
	}
	return -1;
}

static bool
is_join(Plan *plan)
{
	return IsA(plan, NestLoop) || IsA(plan, MergeJoin) || IsA(plan, HashJoin);
}

/*
 * Cut off the quals from the first one that holds a call.  Those of an inner
 * join are a filter on its rows; but a join that may stop at the first match
 * has been told so on account of all of them.
 */
static List *
cut_quals(CcrPlanning *planning, Plan *plan)
{
	List	  **conditions = NULL;
	List	   *moved = NIL;
	int			first;

	if (is_join(plan))
	{
		Join	   *join = (Join *) plan;

		if (join->jointype == JOIN_INNER)
			conditions = &join->joinqual;
		if (conditions && (first = first_with_call(planning, *conditions)) >= 0)
		{
			moved = list_copy_tail(*conditions, first);
			*conditions = list_copy_head(*conditions, first);
			moved = list_concat(moved, plan->qual);
			plan->qual = NIL;
			join->inner_unique = false;
			return moved;
		}
	}
	first = first_with_call(planning, plan->qual);
	if (first >= 0)
	{
		moved = list_copy_tail(plan->qual, first);
		plan->qual = list_copy_head(plan->qual, first);
	}
	return moved;
}

/* What a node was before its quals were cut. */
typedef struct Uncut
{
	List	   *qual;
	List	   *joinqual;
	bool		inner_unique;
} Uncut;

static Uncut
uncut(Plan *plan)
{
	Uncut		result = {plan->qual, NIL, false};

	if (is_join(plan))
	{
		result.joinqual = ((Join *) plan)->joinqual;
		result.inner_unique = ((Join *) plan)->inner_unique;
	}
	return result;
}

static void
undo_cut(Plan *plan, const Uncut *before)
{
	plan->qual = before->qual;
	if (is_join(plan))
	{
		((Join *) plan)->joinqual = before->joinqual;
		((Join *) plan)->inner_unique = before->inner_unique;
	}
}

/* Take quals off a node and put a batch node with them above it. */
static Plan *
above_quals(CcrPlanning *planning, Plan *plan, const CcrDemand *demand)
{
	Uncut		before = uncut(plan);
	List	   *moved = cut_quals(planning, plan);
	Plan	   *batch = plan;
	CcrCalls	calls = {.records = planning->records};

	if (moved == NIL)
		return plan;
	ccr_calls_find_in_quals(&calls, moved, NIL);
	ccr_loops_find(planning, &calls, linitial(moved));
	if (!ccr_put_above(planning, &batch, &calls, moved, demand))
		undo_cut(plan, &before);
	return batch;
}

/* A limit bounds what is read only where every row that is read is emitted. */
static Plan *
put_above(CcrPlanning *planning, Plan *plan, const CcrDemand *demand)
{
	CcrCalls	calls = {.records = planning->records};

	if (!IsA(plan, WindowAgg))
		plan = above_quals(planning, plan, demand);

	/* what else the target list calls is for the rows that passed */
	calls.unset = params_set_by_list(planning, plan);
	ccr_calls_find(&calls, (Node *) plan->targetlist, NIL);
	ccr_loops_find(planning, &calls, (Node *) plan->targetlist);
	if (calls.calls || calls.feeds)
		(void) ccr_put_above(planning, &plan, &calls, NIL, demand);
	return plan;
}

/* ------------------------------------------------------- above an Append */

static bool
computes_rows(Plan *plan)
{
	switch (nodeTag(plan))
	{
		case T_ForeignScan:
			return ((ForeignScan *) plan)->operation == CMD_SELECT;
		case T_Agg:
		case T_WindowAgg:
		case T_HashJoin:
		case T_NestLoop:
		case T_MergeJoin:
		case T_Group:
		case T_Gather:
		case T_GatherMerge:
		case T_SeqScan:
		case T_SampleScan:
		case T_IndexScan:
		case T_IndexOnlyScan:
		case T_BitmapHeapScan:
		case T_TidScan:
		case T_TidRangeScan:
		case T_SubqueryScan:
		case T_FunctionScan:
		case T_ValuesScan:
		case T_TableFuncScan:
		case T_CteScan:
		case T_NamedTuplestoreScan:
		case T_WorkTableScan:
			return true;
		default:
			return false;
	}
}

/* A window drops rows that it has computed; and a Result has no other row. */
static bool
may_leave_to_append(Plan *plan)
{
	if (IsA(plan, WindowAgg))
		return plan->qual == NIL && ((WindowAgg *) plan)->runCondition == NIL;
	return computes_rows(plan) || (IsA(plan, Result) && plan->lefttree == NULL);
}

/* One batch node for all children, or NULL. */
static Plan *
above_siblings(CcrPlanning *planning, Plan *plan, const CcrDemand *demand)
{
	CcrSiblings siblings = {.plan = plan, .children = ccr_siblings_of(plan)};
	int			n = list_length(siblings.children);
	Uncut	   *before = palloc(n * sizeof(Uncut));
	Plan	   *batch = plan;
	ListCell   *lc;

	foreach(lc, siblings.children)
	{
		if (!may_leave_to_append(lfirst(lc)))
			return NULL;
	}
	siblings.moved = palloc(n * sizeof(List *));
	foreach(lc, siblings.children)
	{
		before[foreach_current_index(lc)] = uncut(lfirst(lc));
		siblings.moved[foreach_current_index(lc)] = cut_quals(planning, lfirst(lc));
	}
	if (ccr_siblings_join(&siblings))
	{
		/* it must take all of them: an Append evaluates none */
		if (first_with_call(planning, plan->qual) == 0)
			batch = above_quals(planning, plan, demand);
		if (plan->qual == NIL)
			batch = put_above(planning, batch, demand);
		if (batch != plan)
		{
			ccr_siblings_finish(&siblings);
			return batch;
		}
		ccr_siblings_undo(&siblings);
	}
	foreach(lc, siblings.children)
		undo_cut(lfirst(lc), &before[foreach_current_index(lc)]);
	return NULL;
}

/* The calls of its children's own, which these have left to it. */
static Plan *
above_append(CcrPlanning *planning, Plan *plan, const CcrDemand *demand, const CcrDemand *below)
{
	Plan	   *batch = above_siblings(planning, plan, demand);
	ListCell   *lc;

	if (batch)
		return batch;
	foreach(lc, ccr_siblings_of(plan))
	{
		if (computes_rows(lfirst(lc)))
			lfirst(lc) = put_above(planning, lfirst(lc), below);
	}
	return plan;
}

/* ------------------------------------------------------------ below a node */

/* Does each row take part in the aggregates of some row's frame? */
static CcrFrame
frame_of(Plan *plan)
{
	CcrFrame	frame = {true, false};

	if (IsA(plan, WindowAgg))
	{
		WindowAgg  *window = (WindowAgg *) plan;
		int			options = window->frameOptions;

		frame.covers_all = (options & FRAMEOPTION_EXCLUSION) == 0 &&
			(options & (FRAMEOPTION_START_UNBOUNDED_PRECEDING | FRAMEOPTION_START_CURRENT_ROW |
						FRAMEOPTION_START_OFFSET_PRECEDING)) != 0 &&
			(options & (FRAMEOPTION_END_UNBOUNDED_FOLLOWING | FRAMEOPTION_END_CURRENT_ROW |
						FRAMEOPTION_END_OFFSET_FOLLOWING)) != 0;
		frame.ends_early = window->runCondition != NIL;
	}
	return frame;
}

/*
 * What the aggregates of a row are computed of.  A window function has more to
 * look at before.
 */
static bool
inputs_walker(Node *node, void *context)
{
	List	  **inputs = context;

	if (node == NULL)
		return false;
	if (!IsA(node, Aggref))
		return expression_tree_walker(node, inputs_walker, context);
	if (((Aggref *) node)->args)
		*inputs = list_append_unique(*inputs, list_make2(((Aggref *) node)->aggfilter,
														 ((Aggref *) node)->args));
	return false;
}

/* Of several aggregates nobody knows which one is the first to be computed. */
static Bitmapset *
first_of_aggregates(CcrPlanning *planning, Plan *plan)
{
	List	   *inputs = NIL;

	if (planning->init_plans == NIL || !IsA(plan, Agg))
		return NULL;
	(void) inputs_walker((Node *) plan->targetlist, &inputs);
	(void) inputs_walker((Node *) plan->qual, &inputs);
	return list_length(inputs) == 1 ? ccr_ahead_first(planning, inputs) : NULL;
}

/* The arguments of aggregates and window functions. */
static void
below_aggregates(CcrPlanning *planning, Plan *plan, const CcrDemand *demand)
{
	CcrCalls	calls = {.varno = OUTER_VAR, .records = planning->records};
	CcrTerms	terms = ccr_cells_of(planning, &calls, OUTER_VAR);
	CcrFrame	frame = frame_of(plan);

	ccr_calls_find_in_aggregates(&calls, (Node *) plan->targetlist, &frame);
	ccr_calls_find_in_aggregates(&calls, (Node *) plan->qual, &frame);
	calls.first = first_of_aggregates(planning, plan);
	if (IsA(plan, Agg))
		ccr_loops_find_in_aggregates(planning, &calls, (Node *) plan->targetlist);
	if ((calls.calls == NIL && calls.feeds == NIL) ||
		!ccr_put_below(planning, &plan->lefttree, &calls, demand))
		return;
	terms.in_aggregates = true;
	plan->targetlist = (List *) ccr_terms_apply(&terms, (Node *) plan->targetlist);
	plan->qual = (List *) ccr_terms_apply(&terms, (Node *) plan->qual);
}

/* A node that only filters and projects its child's rows. */
static void
below_projection(CcrPlanning *planning, Plan *plan, const CcrDemand *demand)
{
	CcrCalls	calls = {.varno = OUTER_VAR, .records = planning->records};
	CcrTerms	terms = ccr_cells_of(planning, &calls, OUTER_VAR);

	calls.unset = params_set_by_list(planning, plan);
	ccr_calls_find_in_quals(&calls, plan->qual, NIL);
	ccr_calls_find(&calls, (Node *) plan->targetlist, list_copy(plan->qual));
	calls.first = ccr_ahead_first(planning, list_concat_copy(plan->qual, plan->targetlist));
	if (plan->qual == NIL)
		ccr_loops_find(planning, &calls, (Node *) plan->targetlist);
	if ((calls.calls == NIL && calls.feeds == NIL) ||
		!ccr_put_below(planning, &plan->lefttree, &calls, demand))
		return;
	plan->targetlist = (List *) ccr_terms_apply(&terms, (Node *) plan->targetlist);
	plan->qual = (List *) ccr_terms_apply(&terms, (Node *) plan->qual);
}

/*
 * What an outer join or semijoin is conditional on cannot be moved above it,
 * but what depends on the outer side alone can be looked up there, although
 * there may be no inner row to ask it for.
 */
static void
below_condition(CcrPlanning *planning, Join *join)
{
	CcrCalls	calls = {
		.varno = OUTER_VAR,
		.certainty = CCR_UNSURE,
		.records = planning->records
	};
	CcrTerms	terms = ccr_cells_of(planning, &calls, OUTER_VAR);

	if (join->jointype == JOIN_INNER)
		return;
	ccr_calls_find_in_quals(&calls, join->joinqual, NIL);
	if (calls.calls == NIL ||
		!ccr_put_below(planning, &join->plan.lefttree, &calls, &demand_unknown))
		return;
	join->joinqual = (List *) ccr_terms_apply(&terms, (Node *) join->joinqual);
}

/* Is an outer row emitted even if there are no inner ones? */
static bool
fills_outer(Join *join)
{
	return join->jointype == JOIN_LEFT || join->jointype == JOIN_FULL ||
		join->jointype == JOIN_ANTI;
}

/*
 * An outer row may have been read before the hash table turns out to be empty;
 * then its keys are evaluated only if the join emits it all the same.
 */
static void
below_outer_keys(CcrPlanning *planning, HashJoin *join)
{
	CcrCalls	calls = {
		.varno = OUTER_VAR,
		.records = planning->records,
		.certainty = fills_outer(&join->join) ? CCR_CERTAIN : CCR_UNSURE
	};
	CcrTerms	terms = ccr_cells_of(planning, &calls, OUTER_VAR);

	ccr_calls_find_in_hash_keys(&calls, join->hashkeys);
	if (calls.calls == NIL ||
		!ccr_put_below(planning, &join->join.plan.lefttree, &calls, &demand_unknown))
		return;
	join->hashkeys = (List *) ccr_terms_apply(&terms, (Node *) join->hashkeys);
	join->hashclauses = (List *) ccr_terms_apply(&terms, (Node *) join->hashclauses);
}

/* The hash table keeps the cells, since the join compares the keys again. */
static void
below_inner_keys(CcrPlanning *planning, HashJoin *join)
{
	Hash	   *hash = castNode(Hash, join->join.plan.righttree);
	CcrDemand	demand = {.all = true, .at_once = true, .whole = true};
	CcrCalls	calls = {.varno = OUTER_VAR, .records = planning->records};
	CcrCalls	inner = {.varno = INNER_VAR, .records = planning->records};
	CcrTerms	terms = ccr_cells_of(planning, &calls, OUTER_VAR);
	CcrTerms	to_inner = {.from_varno = OUTER_VAR, .to_varno = INNER_VAR};
	ListCell   *lc;

	ccr_calls_find_in_hash_keys(&calls, hash->hashkeys);
	calls.first = ccr_ahead_first(planning, hash->hashkeys);
	if (calls.calls == NIL ||
		!ccr_put_below(planning, &hash->plan.lefttree, &calls, &demand))
		return;
	hash->hashkeys = (List *) ccr_terms_apply(&terms, (Node *) hash->hashkeys);
	foreach(lc, calls.calls)
	{
		CcrCall    *call = lfirst(lc);
		CcrCall    *copy = palloc0(sizeof(CcrCall));
		Expr	   *cell = (Expr *) makeVar(OUTER_VAR, call->column, BYTEAOID, -1,
											InvalidOid, 0);

		hash->plan.targetlist = lappend(hash->plan.targetlist,
										makeTargetEntry(cell, call->column, NULL, true));
		copy->call = (FuncExpr *) ccr_terms_apply(&to_inner, (Node *) call->call);
		copy->column = call->column;
		inner.calls = lappend(inner.calls, copy);
	}
	terms = ccr_cells_of(planning, &inner, INNER_VAR);
	join->hashclauses = (List *) ccr_terms_apply(&terms, (Node *) join->hashclauses);
}

/* Is there a row of the target?  Its place is among the columns, or is not. */
static Expr *
target_test(Plan *child, NullTestType type)
{
	ListCell   *lc;

	foreach(lc, child->targetlist)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		NullTest   *test;

		if (!tle->resjunk || tle->resname == NULL || strcmp(tle->resname, "ctid") != 0)
			continue;
		test = makeNode(NullTest);
		test->arg = (Expr *) makeVar(INNER_VAR, tle->resno, TIDOID, -1, InvalidOid, 0);
		test->nulltesttype = type;
		test->location = -1;
		return (Expr *) test;
	}
	return NULL;
}

/*
 * Is there a row of the source for it?  Where actions are for rows without
 * one, the planner has put this test into the condition of the join.
 */
static NullTest *
source_test(ModifyTable *modify)
{
	ListCell   *lc;

	foreach(lc, CCR_MERGE_JOIN_CONDITION(modify))
	{
		NullTest   *test = lfirst(lc);

		if (IsA(test, NullTest) && test->nulltesttype == IS_NOT_NULL && !test->argisrow &&
			IsA(test->arg, Var) && ((Var *) test->arg)->varno == INNER_VAR)
			return test;
	}
	return NULL;
}

/* Which actions may be taken for a row. */
typedef enum MergeKind
{
	MERGE_UPDATES,				/* of a row of the target that matches */
	MERGE_INSERTS,
	MERGE_UNMATCHED				/* of one that nothing matches */
} MergeKind;

static MergeKind
kind_of_action(MergeAction *action)
{
	return CCR_MERGE_INSERTS(action) ? MERGE_INSERTS :
		CCR_MERGE_UNMATCHED(action) ? MERGE_UNMATCHED : MERGE_UPDATES;
}

static Expr *
not_true(Expr *condition)
{
	BooleanTest *test = makeNode(BooleanTest);

	test->arg = condition;
	test->booltesttype = IS_NOT_TRUE;
	test->location = -1;
	return (Expr *) test;
}

/*
 * Of the actions of a kind, the first whose condition holds is taken.  Calls
 * over columns of the target are left: it may change until then.
 */
static void
find_in_actions(CcrCalls *calls, List *actions, List **tests, bool told_apart)
{
	List	   *before[3] = {list_copy(tests[0]), list_copy(tests[1]), list_copy(tests[2])};
	ListCell   *lc;

	foreach(lc, actions)
	{
		MergeAction *action = lfirst_node(MergeAction, lc);
		MergeKind	kind = kind_of_action(action);
		List	   *guard = list_copy(before[kind]);

		calls->certainty = told_apart || kind == MERGE_INSERTS ? CCR_CERTAIN : CCR_UNSURE;
		ccr_calls_find_in_quals(calls, (List *) action->qual, guard);
		guard = list_concat(guard, list_copy((List *) action->qual));
		ccr_calls_find(calls, (Node *) action->targetList, guard);
		if (action->qual)
			before[kind] = lappend(before[kind],
								   not_true(make_ands_explicit((List *) action->qual)));
	}
}

static bool
has_unmatched(List *actions)
{
	ListCell   *lc;

	foreach(lc, actions)
	{
		if (CCR_MERGE_UNMATCHED(lfirst_node(MergeAction, lc)))
			return true;
	}
	return false;
}

/*
 * MERGE: the rows of its source are the inner ones, as its actions see them.
 * What init plans give is not asked for ahead, unless the rows below use it:
 * EvalPlanQual runs all that these use, needed or not.
 */
static void
below_merge(CcrPlanning *planning, ModifyTable *modify)
{
	CcrDemand	demand = {.all = true};
	CcrCalls	calls = {
		.varno = INNER_VAR,
		.records = planning->records,
		.unset = bms_difference(planning->init_params, modify->plan.lefttree->extParam)
	};
	CcrTerms	terms = ccr_cells_of(planning, &calls, INNER_VAR);
	Plan	   *child = modify->plan.lefttree;
	Expr	   *inserts = target_test(child, IS_NULL);
	Expr	   *updates = target_test(child, IS_NOT_NULL);
	NullTest   *matches = source_test(modify);
	List	   *tests[3] = {list_make1(updates), list_make1(inserts), list_make1(updates)};
	ListCell   *lc;

	if (inserts == NULL)
		return;
	if (matches)
	{
		tests[MERGE_UPDATES] = lappend(tests[MERGE_UPDATES], matches);
		tests[MERGE_UNMATCHED] = lappend(tests[MERGE_UNMATCHED], not_true((Expr *) matches));
	}
	foreach(lc, modify->mergeActionLists)
		find_in_actions(&calls, lfirst(lc), tests, matches || !has_unmatched(lfirst(lc)));
	if (calls.calls == NIL ||
		!ccr_put_below(planning, &modify->plan.lefttree, &calls, &demand))
		return;
	modify->mergeActionLists = (List *) ccr_terms_apply(&terms,
														(Node *) modify->mergeActionLists);
}

/* -------------------------------------------------------------- the visit */

static void
visit_plans(CcrPlanning *planning, List *plans, CcrDemand demand)
{
	ListCell   *lc;

	foreach(lc, plans)
		lfirst(lc) = visit_plan(planning, lfirst(lc), demand);
}

/* Not to be bounded by a limit above it. */
static CcrDemand
unlimited(CcrDemand demand, bool all)
{
	demand.count = demand.offset = NULL;
	demand.all = demand.all || all;
	return demand;
}

static CcrDemand
limited(Limit *limit, CcrDemand demand)
{
	demand = unlimited(demand, false);
	demand.all = demand.at_once = demand.whole = false;
	if (limit->limitOption == LIMIT_OPTION_COUNT && limit->limitCount &&
		!ccr_is_volatile(limit->limitCount) &&
		!ccr_is_volatile(limit->limitOffset) &&
		!contain_subplans(limit->limitCount) && !contain_subplans(limit->limitOffset))
	{
		demand.count = limit->limitCount;
		demand.offset = limit->limitOffset;
	}
	return demand;
}

/* A node that has read all of its rows before it emits one. */
static CcrDemand
drained(CcrPlanning *planning, Plan *plan)
{
	CcrDemand	demand = {.all = true, .whole = true};

	demand.at_once = !ccr_ahead_is_volatile(planning, (Node *) plan->targetlist) &&
		!ccr_ahead_is_volatile(planning, (Node *) plan->qual);
	return demand;
}

/* What it reads of its outer child is more, or less, than is read of it. */
static CcrDemand
detached(CcrDemand demand)
{
	demand = unlimited(demand, false);
	demand.at_once = demand.each = demand.current = false;
	return demand;
}

/* A node that emits no more than one row for each that it reads. */
static CcrDemand
passed_on(CcrPlanning *planning, Plan *plan, CcrDemand demand)
{
	if (plan->qual)
		demand = unlimited(demand, false);
	if (demand.at_once)
		demand.at_once = drained(planning, plan).at_once;
	return demand;
}

/* How much a node will read of its outer child. */
static CcrDemand
demand_below(CcrPlanning *planning, Plan *plan, CcrDemand demand)
{
	switch (nodeTag(plan))
	{
		case T_Limit:
			return limited((Limit *) plan, demand);
		case T_Sort:
		case T_Hash:
			return drained(planning, plan);
		case T_ModifyTable:
			return unlimited(demand_unknown, true);
		case T_Agg:
			if (((Agg *) plan)->aggstrategy == AGG_PLAIN ||
				((Agg *) plan)->aggstrategy == AGG_HASHED)
				return drained(planning, plan);
			return detached(demand);
		case T_Result:
		case T_SubqueryScan:
		case T_Append:
			return passed_on(planning, plan, demand);
		case T_MergeAppend:
		case T_Gather:
		case T_GatherMerge:
			demand.each = demand.current = false;
			return passed_on(planning, plan, demand);
		case T_NestLoop:
			if (((Join *) plan)->jointype == JOIN_LEFT && plan->qual == NIL)
			{
				CcrDemand	below = detached(demand);

				below.count = demand.count;
				below.offset = demand.offset;
				return below;
			}
			return detached(demand);
		case T_Unique:
		case T_LockRows:
			demand = unlimited(demand, false);
			demand.at_once = demand.current = false;
			return demand;
		case T_HashJoin:
			demand.whole = demand.whole && fills_outer((Join *) plan);
			return detached(demand);
		case T_WindowAgg:
			demand.whole = demand.whole && ((WindowAgg *) plan)->runCondition == NIL;
			return detached(demand);
		case T_IncrementalSort:
		case T_ProjectSet:
		case T_Group:
			return detached(demand);
		default:
			return demand_unknown;
	}
}

static bool
marks_inner(Plan *plan)
{
	return IsA(plan, MergeJoin) && !((MergeJoin *) plan)->skip_mark_restore;
}

/* Some nodes hand on to their child to mark a row and to go back to it. */
static bool
is_marked_in_batch(Plan *plan)
{
	if (IsA(plan, Result) && plan->lefttree)
		return is_marked_in_batch(plan->lefttree);
	if (IsA(plan, Append) && list_length(((Append *) plan)->appendplans) == 1)
		return is_marked_in_batch(linitial(((Append *) plan)->appendplans));
	if (IsA(plan, MergeAppend) && list_length(((MergeAppend *) plan)->mergeplans) == 1)
		return is_marked_in_batch(linitial(((MergeAppend *) plan)->mergeplans));
	return ccr_node_is_batch(plan);
}

/* Parallel workers have those parameters only that the planner has foreseen. */
static CcrDemand
demand_in_workers(CcrDemand demand)
{
	if (ccr_params_of(demand.count) || ccr_params_of(demand.offset))
		return unlimited(demand, false);
	return demand;
}

static void
visit_children(CcrPlanning *planning, Plan *plan, CcrDemand demand)
{
	CcrDemand	below = demand_below(planning, plan, demand);
	bool		parallel = planning->parallel;

	switch (nodeTag(plan))
	{
		case T_Gather:
		case T_GatherMerge:
			planning->parallel = true;
			plan->lefttree = visit_plan(planning, plan->lefttree, demand_in_workers(below));
			planning->parallel = parallel;
			return;
		case T_Append:
		case T_MergeAppend:
			below.left_above = true;
			visit_plans(planning, ccr_siblings_of(plan), below);
			return;
		case T_SubqueryScan:
			((SubqueryScan *) plan)->subplan =
				visit_plan(planning, ((SubqueryScan *) plan)->subplan, below);
			return;
		case T_CustomScan:

			/* what another extension does with its children is not known */
			return;
		case T_ForeignScan:

			/* its outer plan serves rechecks only, one row at a time */
			return;
		default:
			break;
	}
	if (plan->lefttree)
		plan->lefttree = visit_plan(planning, plan->lefttree, below);
	if (IsA(plan, NestLoop))
	{
		ccr_lift_inner_quals((NestLoop *) plan);
		ccr_hoist_from_inner(planning, (NestLoop *) plan, &below);
	}
	if (plan->righttree)
		plan->righttree = visit_plan(planning, plan->righttree, demand_unknown);
	if (IsA(plan, NestLoop))
		ccr_loops_batch(planning, (NestLoop *) plan, &below);
	if (marks_inner(plan) && is_marked_in_batch(plan->righttree))
		plan->righttree = ccr_materialized(planning, plan->righttree);
}

/*
 * A sub-select that is computed with the rows may fail, or take long, earlier
 * than SQL comes to it.  So all of these rows must be certain to be read.
 */
static void
take_subselects_apart(CcrPlanning *planning, Plan **plan, const CcrDemand *demand)
{
	CcrDemand	below = demand_below(planning, *plan, *demand);

	if (planning->cursor || planning->parallel || demand->left_above)
		return;
	if (IsA(*plan, Agg) && below.whole)
		ccr_subselects_below_aggregates(planning, *plan);
	else if (demand->whole && computes_rows(*plan) &&
			 !IsA(*plan, Agg) && !IsA(*plan, WindowAgg))
		*plan = ccr_subselects_apart(planning, *plan);
}

static Plan *
visit_plan(CcrPlanning *planning, Plan *plan, CcrDemand demand)
{
	CcrDemand	below;
	bool		left = demand.left_above;
	Plan	   *sort;

	check_stack_depth();
	if ((sort = ccr_siblings_sorted(plan)) != NULL)
		plan = sort;
	plan = ccr_values_apart(planning, plan);
	take_subselects_apart(planning, &plan, &demand);
	demand.left_above = false;
	visit_children(planning, plan, demand);
	below = demand_below(planning, plan, demand);
	switch (nodeTag(plan))
	{
		case T_Result:
		case T_ProjectSet:
			if (plan->lefttree)
				below_projection(planning, plan, &below);
			break;
		case T_Agg:
		case T_WindowAgg:
			below_aggregates(planning, plan, &below);
			break;
		case T_ModifyTable:
			if (((ModifyTable *) plan)->operation == CMD_MERGE)
				below_merge(planning, (ModifyTable *) plan);
			break;
		case T_HashJoin:
			below_outer_keys(planning, (HashJoin *) plan);
			below_inner_keys(planning, (HashJoin *) plan);
			below_condition(planning, (Join *) plan);
			break;
		case T_NestLoop:
		case T_MergeJoin:
			below_condition(planning, (Join *) plan);
			break;
		case T_Append:
		case T_MergeAppend:
			return above_append(planning, plan, &demand, &below);
		default:
			break;
	}
	return computes_rows(plan) && !left ? put_above(planning, plan, &demand) : plan;
}

/* ------------------------------------------------------------ the statement */

/*
 * A call by an operator is a call, but where an index or a join goes by its
 * operators.
 */
static void
make_calls_of_operators(Plan *plan)
{
	plan->targetlist = (List *) ccr_calls_of_operators((Node *) plan->targetlist);
	plan->qual = (List *) ccr_calls_of_operators((Node *) plan->qual);
	if (is_join(plan))
		((Join *) plan)->joinqual = (List *)
			ccr_calls_of_operators((Node *) ((Join *) plan)->joinqual);
}

static void
note_node(Plan **plan, void *context)
{
	CcrPlanning *planning = context;
	int			depth = planning->other_nodes;

	if (IsA(*plan, CustomScan))
		planning->other_nodes++;
	if (planning->other_nodes == 0)
		make_calls_of_operators(*plan);
	planning->last_node_id = Max(planning->last_node_id, (*plan)->plan_node_id);
	planning->init_plans = list_concat(planning->init_plans, (*plan)->initPlan);
	ccr_fields_children(*plan, note_node, context);
	planning->other_nodes = depth;
}

/*
 * All rows of a statement are asked for, one after the other, but for a
 * cursor: then who fetches may do anything in between.
 */
static CcrDemand
demand_of_statement(const CcrPlanning *planning)
{
	CcrDemand	demand = {.each = true, .whole = true};

	demand.current = planning->cursor && planning->stmt->rowMarks == NIL;
	return demand;
}

static bool
apart_walker(Node *node, void *context)
{
	Node	   *record;

	if (node == NULL)
		return false;
	record = IsA(node, FieldSelect) ? (Node *) ((FieldSelect *) node)->arg : NULL;
	if (record && exprType(record) == RECORDOID && !IsA(record, FuncExpr))
		return true;
	return expression_tree_walker(node, apart_walker, context);
}

static Node *
note_apart(Node *node, void *context)
{
	*(bool *) context |= apart_walker(node, NULL);
	return node;
}

/* Is a field taken of a record that is not a call's right there? */
static bool
takes_columns_apart(PlannedStmt *stmt)
{
	bool		found = false;

	ccr_fields_change_statement(stmt, note_apart, &found);
	return found;
}

static void
put_batch_nodes(CcrPlanning *planning, int cursor_options)
{
	PlannedStmt *stmt = planning->stmt;
	bool		backward = (cursor_options & CURSOR_OPT_SCROLL) != 0 &&
		ExecSupportsBackwardScan(stmt->planTree);
	ListCell   *lc;

	if (!ccr_readers_find(&planning->readers))
		return;
	note_node(&stmt->planTree, planning);
	foreach(lc, stmt->subplans)
	{
		if (lfirst(lc))
			note_node((Plan **) &lfirst(lc), planning);
	}

	ccr_ahead_note_init_params(planning);

	/* all declared ones have this option, and nothing else has */
	planning->cursor = (cursor_options & CURSOR_OPT_FAST_PLAN) != 0;

	planning->watched = ccr_ahead_is_watched(stmt);
	planning->sets = ccr_ahead_sets(stmt);
	planning->records = !takes_columns_apart(stmt);

	/* Material would hide a cursor's rows from WHERE CURRENT OF */
	planning->keeps_rows = backward;
	ccr_hoist_from_subplans(planning);
	foreach(lc, stmt->subplans)
	{
		if (lfirst(lc))
			lfirst(lc) = visit_plan(planning, lfirst(lc), demand_unknown);
	}
	stmt->planTree = visit_plan(planning, stmt->planTree, demand_of_statement(planning));
	ccr_hoist_finish(planning);
	ccr_one_row(planning);
	if (backward && !ExecSupportsBackwardScan(stmt->planTree))
		stmt->planTree = ccr_materialized(planning, stmt->planTree);
	ccr_readers_depend(stmt, &planning->readers);
}

static PlannedStmt *
plan_statement(CCR_PLANNER_PARAMS(parse))
{
	PlannedStmt *stmt = prev_planner ?
		prev_planner(CCR_PLANNER_ARGS(parse)) :
		standard_planner(CCR_PLANNER_ARGS(parse));

	if (ccr_enable_batchscan && ccr_may_hold_lookups(stmt))
	{
		CcrPlanning planning = {.stmt = stmt};

		put_batch_nodes(&planning, cursor_options);
		if (message_level_is_interesting(DEBUG1))
			ccr_reasons_report(&planning);
	}
	return stmt;
}

void
ccr_scan_plan_init(void)
{
	prev_planner = planner_hook;
	planner_hook = plan_statement;
}
