/*-------------------------------------------------------------------------
 *
 * scan_loops.c
 *	  Batched loops: which batch nodes of an inner side, or of a sub-plan, are
 *	  fed with the rows of the outer side.
 *
 * One is fed if whoever runs it reads all its rows each time, so that nothing is
 * asked for in vain; and if its child's rows depend on nothing but parameters
 * that the outer rows set, or that stay as they are meanwhile.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "scan/scan_ahead.h"
#include "scan/scan_fields.h"
#include "scan/scan_loops.h"
#include "scan/scan_moves.h"
#include "shared/compat.h"

/* The search for batch nodes to be fed. */
typedef struct Search
{
	CcrPlanning *planning;
	List	   *params;			/* int: what is set for each run, */
	List	   *args;			/* to these */
	List	   *feeds;			/* CcrNodeFeed */
} Search;

/* ----------------------------------------------------------- a batch node */

/* Is the limit one that is allowed in any case? */
static bool
is_sound_limit(Node *limit)
{
	Const	   *value = (Const *) limit;

	return limit == NULL ||
		(IsA(value, Const) && (value->constisnull || DatumGetInt64(value->constvalue) >= 0));
}

static bool
is_fallible_node(Plan *plan)
{
	return IsA(plan, ForeignScan) || IsA(plan, FunctionScan) || IsA(plan, TableFuncScan) ||
		(IsA(plan, CustomScan) && !ccr_node_is_batch(plan)) ||
		(IsA(plan, Limit) && !(is_sound_limit(((Limit *) plan)->limitCount) &&
							   is_sound_limit(((Limit *) plan)->limitOffset)));
}

static bool
holds_subplan_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, SubPlan) || IsA(node, AlternativeSubPlan))
		return true;
	return expression_tree_walker(node, holds_subplan_walker, context);
}

static Node *
note_fallible(Node *node, void *context)
{
	*(bool *) context |= !ccr_infallible(node) || holds_subplan_walker(node, NULL);
	return node;
}

static void
look_for_fallible(Plan **plan, void *context)
{
	if (is_fallible_node(*plan) || (*plan)->initPlan != NIL)
		*(bool *) context = true;
	ccr_fields_change(*plan, note_fallible, context);
	ccr_fields_children(*plan, look_for_fallible, context);
}

static bool
is_infallible_plan(Plan *plan)
{
	bool		fallible = false;

	look_for_fallible(&plan, &fallible);
	return !fallible;
}

/* The search for what a plan emits that its parameters do not tell. */
typedef struct Input
{
	const CcrPlanning *planning;
	bool		found;
} Input;

static void look_into_subplan(Plan **plan, void *context);

static bool
subplan_walker(Node *node, void *context)
{
	Input	   *input = context;

	if (node == NULL)
		return false;
	if (IsA(node, SubPlan))
	{
		Plan	   *plan = list_nth(input->planning->stmt->subplans, ((SubPlan *) node)->plan_id - 1);

		if (plan)
			look_into_subplan(&plan, context);
	}
	return expression_tree_walker(node, subplan_walker, context);
}

static Node *
look_for_subplans(Node *node, void *context)
{
	(void) subplan_walker(node, context);
	return node;
}

/* The rows of a WITH query are forgotten as what init plans give is; see below. */
static void
look_into_subplan(Plan **plan, void *context)
{
	Input	   *input = context;

	check_stack_depth();
	if (IsA(*plan, CteScan) && bms_is_member(((CteScan *) *plan)->cteParam, input->planning->varying))
		input->found = true;
	ccr_fields_change(*plan, look_for_subplans, context);
	ccr_fields_children(*plan, look_into_subplan, context);
}

/* ... or several processes run it. */
static void
look_for_other_input(Plan **plan, void *context)
{
	Input	   *input = context;

	if (IsA(*plan, WorkTableScan) || IsA(*plan, CteScan) || IsA(*plan, Gather) ||
		IsA(*plan, GatherMerge))
		input->found = true;
	ccr_fields_change(*plan, look_for_subplans, context);
	ccr_fields_children(*plan, look_for_other_input, context);
}

static bool
has_other_input(const CcrPlanning *planning, Plan *plan)
{
	Input		input = {.planning = planning};

	look_for_other_input(&plan, &input);
	return input.found;
}

/*
 * What an init plan gives for a parameter is forgotten as the node that it is
 * attached to is started again.  A node that emits a group does not start its
 * child, and to feed one starts nothing above it.
 */
static bool
needs_varying(const CcrPlanning *planning, CustomScan *node)
{
	Plan	   *plan = &node->scan.plan;

	return bms_overlap(planning->varying, plan->lefttree->allParam) ||
		bms_overlap(planning->varying, ccr_params_of((Node *) node->custom_exprs)) ||
		bms_overlap(planning->varying, ccr_params_of((Node *) plan->targetlist)) ||
		bms_overlap(planning->varying, ccr_params_of((Node *) plan->qual));
}

/*
 * The parameters that its rows, and what is asked for them, depend on; and what
 * it feeds with them, unless it sets them itself.
 */
static Bitmapset *
params_of_run(CustomScan *node)
{
	Bitmapset  *params = bms_union(node->scan.plan.lefttree->extParam,
								   ccr_params_of((Node *) node->custom_exprs));
	ListCell   *lc;
	ListCell   *key;

	foreach(lc, ccr_node_feeds(node))
	{
		CcrNodeFeed *feed = lfirst(lc);

		foreach(key, feed->keys)
		{
			if (!list_member_int(feed->params, lfirst_int(key)))
				params = bms_add_member(params, lfirst_int(key));
		}
	}
	return params;
}

/* Those of them by which groups are known. */
static Bitmapset *
keys_of(const CcrPlanning *planning, const Bitmapset *params)
{
	Bitmapset  *result = bms_difference(params, planning->init_params);
	int			key = -1;

	/* some have no value, but signal that a plan is to be run again */
	while ((key = bms_next_member(params, key)) >= 0)
	{
		if (!OidIsValid(list_nth_oid(planning->stmt->paramExecTypes, key)))
			result = bms_del_member(result, key);
	}
	return result;
}

static bool
wanted_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (ccr_is_cell_wanted(node))
		return true;
	return expression_tree_walker(node, wanted_walker, context);
}

/* Can it be evaluated for a row before anything else is? */
static bool
is_plain_argument(CcrPlanning *planning, Node *arg)
{
	return !wanted_walker(arg, NULL) && !ccr_holds_lookup(arg) &&
		!holds_subplan_walker(arg, NULL) && !ccr_ahead_is_volatile(planning, arg);
}

static bool
has_levels(CustomScan *node)
{
	ListCell   *lc;

	foreach(lc, ccr_node_feeds(node))
	{
		if (((CcrNodeFeed *) lfirst(lc))->level > 0)
			return true;
	}
	return false;
}

/*
 * A limit that is right above it, and that bounds what it reads, goes for each
 * of its runs.
 */
static bool
is_read_whole(CustomScan *node, bool limited)
{
	CcrDemand	demand = ccr_node_demand(node);

	return limited ? demand.count != NULL && node->scan.plan.qual == NIL : demand.count == NULL;
}

/* SQL would run no init plan, either, for a row that it does not come to. */
static bool
is_infallible_run(const CcrPlanning *planning, CustomScan *node, const Bitmapset *params)
{
	CcrDemand	demand = ccr_node_demand(node);

	return ccr_infallible(demand.count) && ccr_infallible(demand.offset) &&
		is_infallible_plan(node->scan.plan.lefttree) &&
		!bms_overlap(planning->init_params, params);
}

/* Make a feed of the node.  False: it cannot be one. */
static bool
add_feed(Search *search, CustomScan *node, int level, int below, bool limited)
{
	CcrPlanning *planning = search->planning;
	Plan	   *child = node->scan.plan.lefttree;
	CcrNodeFeed *feed = palloc0(sizeof(CcrNodeFeed));
	Bitmapset  *params = params_of_run(node);
	Bitmapset  *keys = keys_of(planning, params);
	bool		infallible = is_infallible_run(planning, node, params);
	ListCell   *param;
	ListCell   *arg;
	int			key = -1;

	if (list_member_int(planning->fed, node->scan.plan.plan_node_id) || has_levels(node) ||
		!is_read_whole(node, limited) || has_other_input(planning, child) ||
		needs_varying(planning, node) ||
		ccr_ahead_look_at_run(planning, child).obstacle != NULL)
		return false;
	feed->outer = bms_copy(keys);
	forboth(param, search->params, arg, search->args)
	{
		if (!bms_is_member(lfirst_int(param), keys))
			continue;
		if (!is_plain_argument(planning, lfirst(arg)))
			return false;
		infallible &= IsA(lfirst(arg), Aggref) || ccr_infallible(lfirst(arg));
		feed->params = lappend_int(feed->params, lfirst_int(param));
		feed->args = lappend(feed->args, lfirst(arg));
		feed->outer = bms_del_member(feed->outer, lfirst_int(param));
	}
	if (feed->params == NIL)
		return false;
	while ((key = bms_next_member(keys, key)) >= 0)
		feed->keys = lappend_int(feed->keys, key);
	feed->target = node->scan.plan.plan_node_id;
	feed->level = level;
	feed->below = below;
	feed->infallible = infallible;
	feed->wavers = ccr_node_demand(node).wavers;
	search->feeds = lappend(search->feeds, feed);
	return true;
}

/* -------------------------------------------------------------- the search */

static int	find_fed_in_plan(Search *search, Plan *plan, bool limited);

static int
find_fed_in_plans(Search *search, List *plans)
{
	int			level = 0;
	ListCell   *lc;

	foreach(lc, plans)
		level = Max(level, find_fed_in_plan(search, lfirst(lc), false));
	return level;
}

/*
 * Find batch nodes all of whose rows are read each time that the plan is run.
 * The result is the level of one that is above them.
 */
static int
find_fed_in_plan(Search *search, Plan *plan, bool limited)
{
	int			level;
	int			before = list_length(search->feeds);

	check_stack_depth();
	switch (nodeTag(plan))
	{
		case T_CustomScan:
			if (!ccr_node_is_batch(plan))
				return 0;
			level = find_fed_in_plan(search, plan->lefttree, limited);
			return add_feed(search, (CustomScan *) plan, level,
							list_length(search->feeds) - before, limited) ? level + 1 : level;
		case T_Limit:
			if (limited || ((Limit *) plan)->limitOption != LIMIT_OPTION_COUNT)
				return 0;
			return find_fed_in_plan(search, plan->lefttree, true);
		case T_Sort:
			return find_fed_in_plan(search, plan->lefttree, false);
		case T_Agg:
			if (((Agg *) plan)->aggstrategy == AGG_PLAIN ||
				((Agg *) plan)->aggstrategy == AGG_HASHED)
				limited = false;
			return find_fed_in_plan(search, plan->lefttree, limited);
		case T_Result:
			if (plan->lefttree == NULL || ((Result *) plan)->resconstantqual != NULL)
				return 0;
			return find_fed_in_plan(search, plan->lefttree, limited);
		case T_SubqueryScan:
			return find_fed_in_plan(search, ((SubqueryScan *) plan)->subplan, limited);
		case T_WindowAgg:
			if (((WindowAgg *) plan)->runCondition != NIL)
				return 0;
			return find_fed_in_plan(search, plan->lefttree, limited);
		case T_Append:
			if (limited || CCR_IS_PRUNED((Append *) plan))
				return 0;
			return find_fed_in_plans(search, ((Append *) plan)->appendplans);
		case T_MergeAppend:
			if (limited || CCR_IS_PRUNED((MergeAppend *) plan))
				return 0;
			return find_fed_in_plans(search, ((MergeAppend *) plan)->mergeplans);
		case T_IncrementalSort:
		case T_Material:
		case T_Memoize:
		case T_Unique:
		case T_Group:
		case T_ProjectSet:
		case T_NestLoop:
			return find_fed_in_plan(search, plan->lefttree, limited);
		default:
			return 0;
	}
}

static void
find_fed_by_subplan(CcrPlanning *planning, CcrCalls *calls, SubPlan *subplan)
{
	Plan	   *plan = list_nth(planning->stmt->subplans, subplan->plan_id - 1);
	Search		search = {
		.planning = planning,
		.params = subplan->parParam,
		.args = subplan->args
	};

	if (plan == NULL || subplan->useHashTable || subplan->parParam == NIL ||
		(subplan->subLinkType != EXPR_SUBLINK && subplan->subLinkType != ARRAY_SUBLINK))
		return;
	(void) find_fed_in_plan(&search, plan, false);
	calls->feeds = list_concat(calls->feeds, search.feeds);
}

/* ------------------------------------------------------------- expressions */

typedef struct Finder
{
	CcrPlanning *planning;
	CcrCalls   *calls;
} Finder;

/* Only what is certainly evaluated is entered. */
static bool
find_loops_walker(Node *node, void *context)
{
	Finder	   *finder = context;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_SubPlan:
			find_fed_by_subplan(finder->planning, finder->calls, (SubPlan *) node);
			return false;
		case T_CoalesceExpr:
			return find_loops_walker(linitial(((CoalesceExpr *) node)->args), context);
		case T_BoolExpr:
			return find_loops_walker(linitial(((BoolExpr *) node)->args), context);
		case T_List:
		case T_TargetEntry:
		case T_FuncExpr:
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
		case T_ScalarArrayOpExpr:
		case T_RelabelType:
		case T_CoerceViaIO:
		case T_ArrayCoerceExpr:
		case T_CollateExpr:
		case T_ArrayExpr:
		case T_RowExpr:
		case T_MinMaxExpr:
		case T_XmlExpr:
		case T_NullTest:
		case T_BooleanTest:
		case T_CoerceToDomain:
		case T_FieldSelect:
#ifdef CCR_HAVE_JSON_CONSTRUCTORS
		case T_JsonConstructorExpr:
		case T_JsonValueExpr:
#endif
			return expression_tree_walker(node, find_loops_walker, context);
		default:
			return false;
	}
}

static bool
may_batch_loops(const CcrPlanning *planning)
{
	return !planning->cursor && !planning->keeps_rows && !planning->parallel;
}

void
ccr_loops_find(CcrPlanning *planning, CcrCalls *calls, Node *node)
{
	Finder		finder = {planning, calls};

	if (planning->stmt->subplans && may_batch_loops(planning))
		(void) find_loops_walker(node, &finder);
}

static bool
find_in_aggregates_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Aggref))
		return ((Aggref *) node)->aggfilter == NULL &&
			find_loops_walker((Node *) ((Aggref *) node)->args, context);
	return expression_tree_walker(node, find_in_aggregates_walker, context);
}

void
ccr_loops_find_in_aggregates(CcrPlanning *planning, CcrCalls *calls, Node *node)
{
	Finder		finder = {planning, calls};

	if (planning->stmt->subplans && may_batch_loops(planning))
		(void) find_in_aggregates_walker(node, &finder);
}

/* ------------------------------------------------------------------- loops */

/* All inner rows are read, or there is one at most. */
static bool
reads_all_inner(const NestLoop *loop)
{
	if (loop->join.jointype == JOIN_SEMI || loop->join.jointype == JOIN_ANTI)
		return false;
	return !loop->join.inner_unique || loop->join.joinqual == NIL;
}

void
ccr_loops_batch(CcrPlanning *planning, NestLoop *loop, const CcrDemand *demand)
{
	Search		search = {.planning = planning};
	CcrCalls	calls = {.varno = OUTER_VAR, .records = planning->records};
	ListCell   *lc;

	if (loop->nestParams == NIL || !may_batch_loops(planning) || !reads_all_inner(loop))
		return;
	foreach(lc, loop->nestParams)
	{
		NestLoopParam *param = lfirst(lc);

		search.params = lappend_int(search.params, param->paramno);
		search.args = lappend(search.args, param->paramval);
	}
	(void) find_fed_in_plan(&search, loop->join.plan.righttree, false);
	calls.feeds = search.feeds;
	if (calls.feeds)
		(void) ccr_put_below(planning, &loop->join.plan.lefttree, &calls, demand);
}
