/*-------------------------------------------------------------------------
 *
 * scan_inner.c
 *	  The calls in a plan that is run once for each row of another one.
 *
 * Such a plan is always started, but what is in it is evaluated only as far as
 * there are rows.  So the search knows of each node on its way whether it is
 * certain to be started, and under which conditions, and whether a row is
 * certain to come out of it.  Only what is known of the kind of node is relied
 * on; where nothing is known, calls are taken for unsure.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "scan/scan_fields.h"
#include "scan/scan_inner.h"
#include "shared/compat.h"

/* How the search comes to a node. */
typedef struct Way
{
	CcrCalls   *calls;
	List	   *guard;			/* where this holds, */
	bool		started;		/* a row is asked for, for certain */
	bool		all;			/* and all the others, too */
} Way;

static void find_in_plan(Plan *plan, const Way *way);

/* -------------------------------------------------------------------- rows */

static bool
is_positive(Node *count)
{
	return IsA(count, Const) && !((Const *) count)->constisnull &&
		DatumGetInt64(((Const *) count)->constvalue) > 0;
}

static bool reads_row(Plan *plan, List **guard);

/*
 * Does the node, once it is started, emit a row at least?  It does where the
 * conditions hold that are added to guard, which may be such as cannot be told
 * from outside.
 */
static bool
has_row(Plan *plan, List **guard)
{
	if (plan == NULL || IsA(plan, ProjectSet) || !reads_row(plan, guard))
		return false;
	*guard = list_concat_copy(*guard, plan->qual);
	return true;
}

static bool
is_one_value(FunctionScan *scan)
{
	RangeTblFunction *function = linitial(scan->functions);

	return list_length(scan->functions) == 1 && !expression_returns_set(function->funcexpr);
}

/* Does it come to filter, and to project, a row at least? */
static bool
reads_row(Plan *plan, List **guard)
{
	switch (nodeTag(plan))
	{
		case T_Result:
			*guard = list_concat_copy(*guard, (List *) ((Result *) plan)->resconstantqual);
			return plan->lefttree == NULL || has_row(plan->lefttree, guard);
		case T_ValuesScan:
			return true;
		case T_FunctionScan:
			return is_one_value((FunctionScan *) plan);
		case T_Agg:
			if (((Agg *) plan)->aggstrategy == AGG_PLAIN)
				return true;
			return ((Agg *) plan)->groupingSets == NIL && has_row(plan->lefttree, guard);
		case T_WindowAgg:
			return ((WindowAgg *) plan)->runCondition == NIL && has_row(plan->lefttree, guard);
		case T_SubqueryScan:
			return has_row(((SubqueryScan *) plan)->subplan, guard);
		case T_Limit:
			return ((Limit *) plan)->limitOffset == NULL &&
				(((Limit *) plan)->limitCount == NULL ||
				 is_positive(((Limit *) plan)->limitCount)) &&
				has_row(plan->lefttree, guard);
		case T_NestLoop:
			return ((Join *) plan)->jointype == JOIN_LEFT && has_row(plan->lefttree, guard);
		case T_Sort:
		case T_IncrementalSort:
		case T_Material:
		case T_Memoize:
		case T_Unique:
		case T_Group:
		case T_ProjectSet:
			return has_row(plan->lefttree, guard);
		default:
			return false;
	}
}

/* ------------------------------------------------------------- expressions */

static CcrCalls *
calls_if(const Way *way, bool sure)
{
	way->calls->certainty = way->started && sure ? CCR_CERTAIN : CCR_UNSURE;
	return way->calls;
}

static Node *
find_in_field(Node *node, void *context)
{
	const Way  *way = context;

	ccr_calls_find(calls_if(way, false), node, way->guard);
	return node;
}

static void
find_in_list(const Way *way, List *list, bool first, bool others)
{
	ListCell   *lc;

	foreach(lc, list)
	{
		ccr_calls_find(calls_if(way, foreach_current_index(lc) == 0 ? first : others),
					   lfirst(lc), way->guard);
	}
}

/* An empty array among the conditions makes the others be passed over. */
static void
find_in_bitmap_quals(const Way *way, List *quals)
{
	bool		arrays = false;
	ListCell   *lc;

	foreach(lc, quals)
		arrays |= IsA(lfirst(lc), ScalarArrayOpExpr);
	find_in_list(way, quals, !arrays, !arrays);
}

/* What is evaluated as the node starts; whatever else it has may never be. */
static void
find_at_start(Plan *plan, const Way *way)
{
	switch (nodeTag(plan))
	{
		case T_Result:
			ccr_calls_find_in_quals(calls_if(way, true),
									(List *) ((Result *) plan)->resconstantqual, way->guard);
			break;
		case T_FunctionScan:
			find_in_list(way, ((FunctionScan *) plan)->functions, true, true);
			break;
		case T_ValuesScan:
			find_in_list(way, ((ValuesScan *) plan)->values_lists, true, way->all);
			break;
		case T_IndexScan:
			find_in_list(way, ((IndexScan *) plan)->indexqual, true, true);
			find_in_list(way, ((IndexScan *) plan)->indexorderby, true, true);
			break;
		case T_IndexOnlyScan:
			find_in_list(way, ((IndexOnlyScan *) plan)->indexqual, true, true);
			find_in_list(way, ((IndexOnlyScan *) plan)->indexorderby, true, true);
			break;
		case T_BitmapIndexScan:
			find_in_bitmap_quals(way, ((BitmapIndexScan *) plan)->indexqual);
			break;
		case T_TidScan:
			find_in_list(way, ((TidScan *) plan)->tidquals, true, true);
			break;
		case T_TidRangeScan:
			find_in_list(way, ((TidRangeScan *) plan)->tidrangequals, true, false);
			break;
		case T_Memoize:
			find_in_list(way, ((Memoize *) plan)->param_exprs, true, true);
			break;
		case T_Limit:
			ccr_calls_find(calls_if(way, true), ((Limit *) plan)->limitOffset, way->guard);
			ccr_calls_find(calls_if(way, true), ((Limit *) plan)->limitCount, way->guard);
			break;
		default:
			ccr_fields_change_others(plan, find_in_field, unconstify(Way *, way));
			break;
	}
}

static void
find_in_rows(Plan *plan, const Way *way)
{
	List	   *guard = way->guard;
	CcrCalls   *calls;

	if (plan->qual == NIL && plan->targetlist == NIL)
		return;
	calls = calls_if(way, reads_row(plan, &guard));
	ccr_calls_find_in_quals(calls, plan->qual, guard);
	if (ccr_holds_lookup((Node *) plan->targetlist))
		ccr_calls_find(calls, (Node *) plan->targetlist,
					   list_concat_copy(guard, plan->qual));
}

/* ---------------------------------------------------------------- children */

static Way
way_below_limit(Limit *limit, Way way)
{
	way.started &= limit->limitCount == NULL || is_positive(limit->limitCount);
	way.all &= limit->limitCount == NULL;
	return way;
}

static Way
way_to_inner(Plan *outer, Way way)
{
	way.started &= has_row(outer, &way.guard);
	way.all = false;
	return way;
}

/* The way to the n-th child of a node. */
static Way
way_to_child(Plan *plan, int n, Way way)
{
	switch (nodeTag(plan))
	{
		case T_Result:
			way.guard = list_concat_copy(way.guard, (List *) ((Result *) plan)->resconstantqual);
			return way;
		case T_Limit:
			return way_below_limit((Limit *) plan, way);
		case T_Sort:
			way.all = true;
			return way;
		case T_Agg:
			way.all |= ((Agg *) plan)->aggstrategy == AGG_PLAIN ||
				((Agg *) plan)->aggstrategy == AGG_HASHED;
			return way;
		case T_WindowAgg:
			way.all &= ((WindowAgg *) plan)->runCondition == NIL;
			return way;
		case T_NestLoop:
			return n == 0 ? way : way_to_inner(plan->lefttree, way);
		case T_Append:
			way.started &= !CCR_IS_PRUNED((Append *) plan) && (n == 0 || way.all);
			return way;
		case T_BitmapAnd:
			way.started &= n == 0;
			return way;
		case T_IncrementalSort:
		case T_Material:
		case T_Memoize:
		case T_Unique:
		case T_Group:
		case T_ProjectSet:
		case T_SubqueryScan:
		case T_BitmapHeapScan:
		case T_BitmapOr:
			return way;
		default:
			way.started = way.all = false;
			return way;
	}
}

typedef struct Parent
{
	Plan	   *plan;
	const Way  *way;
	int			children;		/* seen so far */
} Parent;

static void
find_in_child(Plan **child, void *context)
{
	Parent	   *parent = context;
	Way			way = way_to_child(parent->plan, parent->children++, *parent->way);

	find_in_plan(*child, &way);
}

static void
find_in_plan(Plan *plan, const Way *way)
{
	Parent		parent = {.plan = plan, .way = way};

	find_at_start(plan, way);
	find_in_rows(plan, way);
	ccr_fields_children(plan, find_in_child, &parent);
}

void
ccr_inner_find(CcrCalls *calls, Plan *plan, bool all)
{
	Way			way = {.calls = calls, .started = true, .all = all};

	find_in_plan(plan, &way);
}
