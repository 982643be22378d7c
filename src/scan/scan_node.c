/*-------------------------------------------------------------------------
 *
 * scan_node.c
 *	  The batch node as a plan.
 *
 * custom_exprs holds, for each call, a list of its arguments and one of its
 * guard, and at the end the two expressions of a limit.  custom_private holds
 * the number of the child's columns, what else is known of the rows that will
 * be asked for, the OIDs of the lookups, how sure their calls are, and which
 * init plans may be run ahead of them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "scan/scan_node.h"

#define CCR_DEMAND_ALL		1
#define CCR_DEMAND_EACH		2
#define CCR_DEMAND_WAVERS	4
#define CCR_DEMAND_WHOLE		8

void
ccr_node_number(CcrCalls *calls, Plan *child)
{
	int			column = list_length(child->targetlist);
	ListCell   *lc;

	foreach(lc, calls->calls)
		((CcrCall *) lfirst(lc))->column = ++column;
}

/* EXPLAIN shows a cell as its call, so that is what the list says. */
static TargetEntry *
cell_column(const CcrCall *call, const CcrTerms *shown)
{
	return makeTargetEntry((Expr *) ccr_terms_apply(shown, (Node *) call->call),
						   call->column, NULL, false);
}

static List *
scan_tuple(Plan *child, const CcrCalls *calls, const CcrTerms *shown)
{
	List	   *tlist = NIL;
	ListCell   *lc;

	foreach(lc, child->targetlist)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		Var		   *var = makeVar(OUTER_VAR, tle->resno, exprType((Node *) tle->expr),
								  exprTypmod((Node *) tle->expr),
								  exprCollation((Node *) tle->expr), 0);

		tlist = lappend(tlist, makeTargetEntry((Expr *) var, tle->resno, tle->resname,
											   false));
	}
	foreach(lc, calls->calls)
		tlist = lappend(tlist, cell_column(lfirst(lc), shown));
	return tlist;
}

static int
demand_flags(const CcrDemand *demand)
{
	return (demand->all ? CCR_DEMAND_ALL : 0) |
		(demand->each ? CCR_DEMAND_EACH : 0) |
		(demand->wavers ? CCR_DEMAND_WAVERS : 0) |
		(demand->whole ? CCR_DEMAND_WHOLE : 0);
}

Plan *
ccr_node_make(CcrPlanning *planning, Plan *child, const CcrCalls *calls,
			  const CcrTerms *in, const CcrTerms *shown, const CcrDemand *demand,
			  List *targetlist, List *qual)
{
	CustomScan *node = makeNode(CustomScan);
	Plan	   *plan = &node->scan.plan;
	List	   *functions = NIL;
	List	   *certainties = NIL;
	List	   *infallible = NIL;
	List	   *first = NIL;
	List	   *feeds = NIL;
	Bitmapset  *params = NULL;
	int			param = -1;
	ListCell   *lc;

	foreach(lc, calls->calls)
	{
		CcrCall    *call = lfirst(lc);
		Node	   *args = ccr_terms_apply(in, (Node *) call->call->args);
		Node	   *guard = ccr_terms_apply(in, (Node *) call->guard);

		node->custom_exprs = lappend(node->custom_exprs, list_make2(args, guard));
		functions = lappend_oid(functions, call->call->funcid);
		certainties = lappend_int(certainties, call->certainty);
		infallible = lappend_int(infallible, ccr_infallible((Node *) call->call->args) &&
								 ccr_infallible((Node *) call->guard));
	}
	foreach(lc, calls->feeds)
	{
		CcrNodeFeed *feed = lfirst(lc);

		node->custom_exprs = lappend(node->custom_exprs,
									 ccr_terms_apply(in, (Node *) feed->args));
		feeds = lappend(feeds, list_make4(list_make3_int(feed->target, feed->level, feed->below),
										  makeInteger(feed->infallible), feed->params,
										  feed->keys));
		params = bms_add_members(params, feed->outer);
		planning->fed = lappend_int(planning->fed, feed->target);
	}
	node->custom_exprs = lappend(node->custom_exprs,
								 list_make2(copyObject(demand->count), copyObject(demand->offset)));
	node->custom_private = list_make5(makeInteger(list_length(child->targetlist)),
									  makeInteger(demand_flags(demand)), functions,
									  certainties, infallible);
	while ((param = bms_next_member(calls->first, param)) >= 0)
		first = lappend_int(first, param);
	node->custom_private = lappend(node->custom_private, first);
	node->custom_private = lappend(node->custom_private, feeds);
	if (planning->keeps_rows)
		node->flags |= CUSTOMPATH_SUPPORT_BACKWARD_SCAN;
	node->custom_scan_tlist = scan_tuple(child, calls, shown);
	node->methods = &ccr_scan_methods;

	plan->targetlist = targetlist;
	plan->qual = qual;
	plan->lefttree = child;
	plan->startup_cost = child->startup_cost;
	plan->total_cost = child->total_cost;
	plan->plan_rows = child->plan_rows;
	plan->plan_width = child->plan_width;
	plan->parallel_safe = child->parallel_safe;
	plan->parallel_aware = planning->parallel;	/* to count in one place */
	plan->plan_node_id = ++planning->last_node_id;
	if (planning->stmt->paramExecTypes)
	{
		params = bms_add_members(params, ccr_params_of((Node *) targetlist));
		params = bms_add_members(params, ccr_params_of((Node *) qual));
		params = bms_add_members(params, ccr_params_of((Node *) node->custom_exprs));
	}
	plan->extParam = bms_union(child->extParam, params);
	plan->allParam = bms_union(child->allParam, params);
	return plan;
}

bool
ccr_node_is_batch(Plan *plan)
{
	return plan != NULL && IsA(plan, CustomScan) &&
		((CustomScan *) plan)->methods == &ccr_scan_methods;
}

int
ccr_node_columns(CustomScan *node)
{
	return intVal(linitial(node->custom_private));
}

List *
ccr_node_calls(CustomScan *node)
{
	List	   *functions = lthird(node->custom_private);
	int			ncolumns = ccr_node_columns(node);
	List	   *calls = NIL;
	ListCell   *lc;

	foreach(lc, functions)
	{
		int			n = foreach_current_index(lc);
		List	   *exprs = list_nth(node->custom_exprs, n);
		TargetEntry *tle = list_nth_node(TargetEntry, node->custom_scan_tlist, ncolumns + n);
		CcrNodeCall *call = palloc0(sizeof(CcrNodeCall));

		call->function = lfirst_oid(lc);
		call->args = linitial(exprs);
		call->guard = lsecond(exprs);
		call->certainty = list_nth_int(lfourth(node->custom_private), n);
		call->infallible = list_nth_int(list_nth(node->custom_private, 4), n);
		call->shown = tle->expr;
		calls = lappend(calls, call);
	}
	return calls;
}

Bitmapset *
ccr_node_first(CustomScan *node)
{
	Bitmapset  *first = NULL;
	ListCell   *lc;

	foreach(lc, (List *) list_nth(node->custom_private, 5))
		first = bms_add_member(first, lfirst_int(lc));
	return first;
}

CcrDemand
ccr_node_demand(CustomScan *node)
{
	List	   *limit = llast(node->custom_exprs);
	int			flags = intVal(lsecond(node->custom_private));
	CcrDemand	demand = {
		.count = linitial(limit),
		.offset = lsecond(limit),
		.all = (flags & CCR_DEMAND_ALL) != 0,
		.each = (flags & CCR_DEMAND_EACH) != 0,
		.wavers = (flags & CCR_DEMAND_WAVERS) != 0,
		.whole = (flags & CCR_DEMAND_WHOLE) != 0
	};

	return demand;
}

List *
ccr_node_feeds(CustomScan *node)
{
	int			ncalls = list_length(lthird(node->custom_private));
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, (List *) list_nth(node->custom_private, 6))
	{
		List	   *private = lfirst(lc);
		CcrNodeFeed *feed = palloc0(sizeof(CcrNodeFeed));

		feed->target = linitial_int(linitial(private));
		feed->level = lsecond_int(linitial(private));
		feed->below = lthird_int(linitial(private));
		feed->infallible = intVal(lsecond(private)) != 0;
		feed->params = lthird(private);
		feed->keys = lfourth(private);
		feed->args = list_nth(node->custom_exprs, ncalls + foreach_current_index(lc));
		result = lappend(result, feed);
	}
	return result;
}
