/*-------------------------------------------------------------------------
 *
 * scan_subselect.c
 *	  Sub-selects that a call depends on, as columns of the rows below.
 *
 *		SELECT f((SELECT max(i.k) FROM items i WHERE i.order_id = o.id)) FROM orders o
 *
 * A batch node evaluates arguments and guards ahead, and then SQL evaluates them
 * again.  A sub-select must not be run twice.  So it is computed once, by the node
 * below, as a column; the calls are then over columns alone.
 *
 *		f(column)
 *		  -> the rows, and (SELECT max(i.k) ...) AS column
 *
 * SQL must come to the sub-select for each of the rows: it is not in a branch of
 * CASE, say, but it may be its first condition.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_proc.h"
#include "lookup/hidden.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "scan/scan_ahead.h"
#include "scan/scan_subselect.h"
#include "utils/lsyscache.h"

/* ---------------------------------------------------------------- choosing */

typedef struct Choice
{
	CcrPlanning *planning;
	bool		needed;			/* a call depends on what is looked at */
	List	   *chosen;			/* SubPlan, the very ones */
} Choice;

static bool choose_walker(Node *node, void *context);

static void
choose(Choice *choice, Node *node, bool needed)
{
	Choice		inner = *choice;

	inner.needed |= needed;
	(void) choose_walker(node, &inner);
	choice->chosen = inner.chosen;
}

static bool
may_be_run_below(CcrPlanning *planning, SubPlan *subplan)
{
	return subplan->subLinkType != MULTIEXPR_SUBLINK &&
		subplan->subLinkType != CTE_SUBLINK &&
		exprType((Node *) subplan) != RECORDOID &&
		!ccr_ahead_is_volatile(planning, (Node *) subplan);
}

/* Its arguments would be evaluated ahead, but for the sub-select. */
static bool
is_to_be_asked(FuncExpr *expr)
{
	return ccr_is_lookup(expr->funcid) &&
		func_volatile(expr->funcid) != PROVOLATILE_VOLATILE &&
		!ccr_is_volatile((Node *) expr->args);
}

/* The first is evaluated in any case, and decides about the others. */
static void
choose_in_first(Choice *choice, List *args)
{
	choose(choice, linitial(args), ccr_holds_lookup((Node *) list_copy_tail(args, 1)));
}

static void
choose_in_case(Choice *choice, CaseExpr *expr)
{
	bool		decides = ccr_holds_lookup((Node *) expr);

	if (expr->arg)
		choose(choice, (Node *) expr->arg, decides);
	else
		choose(choice, (Node *) linitial_node(CaseWhen, expr->args)->expr, decides);
}

/* Only nodes are entered that evaluate all that is in them. */
static bool
choose_walker(Node *node, void *context)
{
	Choice	   *choice = context;

	if (node == NULL)
		return false;
	check_stack_depth();
	switch (nodeTag(node))
	{
		case T_SubPlan:
			if (choice->needed && may_be_run_below(choice->planning, (SubPlan *) node))
				choice->chosen = lappend(choice->chosen, node);
			return false;
		case T_FuncExpr:
			choose(choice, (Node *) ((FuncExpr *) node)->args, is_to_be_asked((FuncExpr *) node));
			return false;
		case T_BoolExpr:
			choose_in_first(choice, ((BoolExpr *) node)->args);
			return false;
		case T_CoalesceExpr:
			choose_in_first(choice, ((CoalesceExpr *) node)->args);
			return false;
		case T_CaseExpr:
			choose_in_case(choice, (CaseExpr *) node);
			return false;
		case T_List:
		case T_TargetEntry:
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
		case T_RelabelType:
		case T_CoerceViaIO:
		case T_CollateExpr:
		case T_ArrayExpr:
		case T_RowExpr:
		case T_NullTest:
		case T_BooleanTest:
			return expression_tree_walker(node, choose_walker, context);
		default:
			return false;
	}
}

static bool
choose_in_aggregates_walker(Node *node, void *context)
{
	Aggref	   *aggref = (Aggref *) node;

	if (node == NULL)
		return false;
	if (!IsA(node, Aggref))
		return expression_tree_walker(node, choose_in_aggregates_walker, context);
	if (aggref->aggfilter == NULL && ccr_holds_lookup((Node *) aggref->args))
		(void) choose_walker((Node *) aggref->args, context);
	return false;
}

/* --------------------------------------------------------------- replacing */

typedef struct Columns
{
	const List *chosen;
	List	   *values;			/* that the rows below have, in their order */
	bool		all;			/* values are replaced, not just the chosen */
} Columns;

static Node *
columns_mutator(Node *node, void *context)
{
	const Columns *columns = context;
	ListCell   *lc;

	if (node == NULL)
		return NULL;
	if (columns->all || list_member_ptr(columns->chosen, node))
		foreach(lc, columns->values)
	{
		Node	   *value = lfirst(lc);

		if (IsA(node, SubPlan) ? value == node : equal(value, node))
			return (Node *) makeVar(OUTER_VAR, foreach_current_index(lc) + 1,
									exprType(node), exprTypmod(node),
									exprCollation(node), 0);
	}
	return expression_tree_mutator(node, columns_mutator, context);
}

/* The values of the rows that an expression needs besides the chosen ones. */
typedef struct Rest
{
	const List *chosen;
	List	   *values;
} Rest;

static bool
rest_walker(Node *node, void *context)
{
	Rest	   *rest = context;

	if (node == NULL || list_member_ptr(rest->chosen, node))
		return false;
	if (IsA(node, Var))
	{
		rest->values = list_append_unique(rest->values, node);
		return false;
	}
	return expression_tree_walker(node, rest_walker, context);
}

static Plan *
result_node(CcrPlanning *planning, Plan *child, List *targetlist)
{
	Result	   *result = makeNode(Result);
	Plan	   *plan = &result->plan;
	Bitmapset  *params = NULL;

	plan->targetlist = targetlist;
	plan->lefttree = child;
	plan->startup_cost = child->startup_cost;
	plan->total_cost = child->total_cost;
	plan->plan_rows = child->plan_rows;
	plan->plan_width = child->plan_width;
	plan->parallel_safe = child->parallel_safe;
	plan->plan_node_id = ++planning->last_node_id;
	if (planning->stmt->paramExecTypes)
		params = ccr_params_of((Node *) targetlist);
	plan->extParam = bms_union(child->extParam, params);
	plan->allParam = bms_union(child->allParam, params);

	/* its reader may be asynchronous, a Result is not */
	child->async_capable = false;
	return plan;
}

static List *
entries_for_columns(List *values)
{
	List	   *entries = NIL;
	ListCell   *lc;

	foreach(lc, values)
		entries = lappend(entries, makeTargetEntry(lfirst(lc), foreach_current_index(lc) + 1,
												   NULL, false));
	return entries;
}

Plan *
ccr_subselects_apart(CcrPlanning *planning, Plan *plan)
{
	Choice		choice = {.planning = planning};
	Rest		rest = {0};
	Columns		columns = {.all = true};
	List	   *targetlist;

	if (planning->stmt->subplans == NIL || !ccr_holds_lookup((Node *) plan->targetlist))
		return plan;
	(void) choose_walker((Node *) plan->targetlist, &choice);
	if (choice.chosen == NIL || ccr_ahead_is_volatile(planning, (Node *) plan->targetlist))
		return plan;
	rest.chosen = columns.chosen = choice.chosen;
	(void) rest_walker((Node *) plan->targetlist, &rest);
	columns.values = list_concat(rest.values, choice.chosen);
	targetlist = (List *) columns_mutator((Node *) plan->targetlist, &columns);
	plan->targetlist = entries_for_columns(columns.values);
	planning->apart = lappend(planning->apart, plan);
	return result_node(planning, plan, targetlist);
}

void
ccr_subselects_below_aggregates(CcrPlanning *planning, Plan *agg)
{
	Choice		choice = {.planning = planning};
	Columns		columns = {0};
	Plan	   *child = agg->lefttree;
	ListCell   *lc;

	if (planning->stmt->subplans == NIL || !ccr_holds_lookup((Node *) agg->targetlist))
		return;
	(void) choose_in_aggregates_walker((Node *) agg->targetlist, &choice);
	if (choice.chosen == NIL ||
		ccr_ahead_is_volatile(planning, (Node *) agg->targetlist) ||
		ccr_ahead_is_volatile(planning, (Node *) agg->qual))
		return;
	foreach(lc, child->targetlist)
	{
		Node	   *expr = (Node *) lfirst_node(TargetEntry, lc)->expr;

		columns.values = lappend(columns.values,
								 makeVar(OUTER_VAR, foreach_current_index(lc) + 1, exprType(expr),
										 exprTypmod(expr), exprCollation(expr), 0));
	}
	columns.chosen = choice.chosen;
	columns.values = list_concat(columns.values, choice.chosen);
	agg->targetlist = (List *) columns_mutator((Node *) agg->targetlist, &columns);
	agg->qual = (List *) columns_mutator((Node *) agg->qual, &columns);
	agg->lefttree = result_node(planning, child, entries_for_columns(columns.values));
	planning->apart = lappend(planning->apart, agg->lefttree);
}
