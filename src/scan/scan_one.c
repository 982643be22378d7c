/*-------------------------------------------------------------------------
 *
 * scan_one.c
 *	  Several calls in one row, side by side.
 *
 * SELECT name(1), score(1) is a Result node without a child.  A batch node
 * above it makes the calls as for any row, so they take as long as the slowest
 * of them.  Nothing is read ahead, and the order in which SQL evaluates the
 * list stays what it is:
 *
 *	before the first call	the Result node computes it, as the row is read
 *	up to the next volatile function
 *							the batch node looks these calls up
 *	from there on			calls are made plainly, when SQL comes to them
 *
 * One call gains nothing by it, and is left alone.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "scan/scan_ahead.h"
#include "scan/scan_fields.h"
#include "scan/scan_moves.h"
#include "scan/scan_one.h"
#include "shared/compat.h"

/* The target list of a row, in the order in which it is evaluated. */
typedef struct OneRow
{
	CcrPlanning *planning;
	Plan	   *plan;
	List	   *before;			/* entries before the first that holds a call */
	List	   *looked;			/* those whose calls may be looked up */
	List	   *after;			/* from the first on with a volatile function */
	CcrCalls	calls;
} OneRow;

static void
cut_list(OneRow *row)
{
	List	   *list = row->plan->targetlist;
	ListCell   *lc;

	foreach(lc, list)
	{
		Node	   *entry = lfirst(lc);
		bool		holds = ccr_holds_lookup(entry);

		if (row->looked == NIL && !holds)
			row->before = lappend(row->before, entry);
		else if (row->after || ccr_ahead_is_volatile(row->planning, entry))
			row->after = lappend(row->after, entry);
		else
			row->looked = lappend(row->looked, entry);
	}
}

/* -------------------------------------------------------------- is it worth it */

/* Members of calls in an expression. */
typedef struct Members
{
	const CcrCalls *calls;
	int			places;
	int			stage;			/* after all of these */
	const int  *stages;			/* by member */
} Members;

static bool
members_walker(Node *node, void *context)
{
	Members    *members = context;
	CcrCall    *call;

	if (node == NULL)
		return false;
	if (IsA(node, FuncExpr) &&
		(call = ccr_calls_member(members->calls, (FuncExpr *) node)) != NULL)
	{
		members->places++;
		if (members->stages)
			members->stage = Max(members->stage, members->stages[call->column] + 1);
	}
	return expression_tree_walker(node, members_walker, context);
}

/*
 * Calls of one stage are under way at the same time; and what is asked for once
 * serves all the places where it stands.  Calls are found in the order of
 * evaluation, so what one needs comes before it.
 */
static bool
gains(OneRow *row)
{
	Members		all = {.calls = &row->calls};
	int			n = list_length(row->calls.calls);
	int		   *stages = palloc0((n + 1) * sizeof(int));
	Bitmapset  *taken = NULL;
	ListCell   *lc;

	(void) members_walker((Node *) row->looked, &all);
	if (all.places > n)
		return true;
	foreach(lc, row->calls.calls)
		((CcrCall *) lfirst(lc))->column = foreach_current_index(lc);
	foreach(lc, row->calls.calls)
	{
		CcrCall    *call = lfirst(lc);
		Members		needed = {.calls = &row->calls, .stages = stages};

		(void) members_walker((Node *) call->call->args, &needed);
		(void) members_walker((Node *) call->guard, &needed);
		if (bms_is_member(needed.stage, taken))
			return true;
		taken = bms_add_member(taken, needed.stage);
		stages[call->column] = needed.stage;
	}
	return false;
}

/* -------------------------------------------------------------- may it be done */

static bool
vars_in_row(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return IsA(node, Var) || expression_tree_walker(node, vars_in_row, context);
}

/*
 * PL/pgSQL takes the expression out of the plan of a SELECT like x + 1, and
 * expects a Result node there.  Nobody tells who plans; but a session's own
 * statement is planned within no context that an error would be reported with.
 */
static bool
is_expression_of_function(const CcrPlanning *planning, Plan *plan)
{
	return plan == planning->stmt->planTree && list_length(plan->targetlist) == 1 &&
		error_context_stack != NULL;
}

static bool
may_ask(OneRow *row)
{
	ListCell   *lc;

	foreach(lc, row->calls.calls)
	{
		CcrCall    *call = lfirst(lc);
		Members		again = {.calls = &row->calls};

		if (ccr_ahead_look_at_call(row->planning, call).obstacle)
			return false;

		/* read from its cell there, too, it would have been made too early */
		(void) members_walker((Node *) row->after, &again);
		if (again.places > 0)
			return false;
	}
	return true;
}

static void
refuse_expression(CcrPlanning *planning, Plan *plan)
{
	CcrRefusal *refusal = palloc(sizeof(CcrRefusal));

	refusal->plan = plan;
	refusal->obstacle = "a function may evaluate this expression without a plan";
	planning->refusals = lappend(planning->refusals, refusal);
}

/* ------------------------------------------------------------------- putting it */

static Plan *
put_one(OneRow *row)
{
	Plan	   *plan = row->plan;
	CcrTerms	in = ccr_cells_of(row->planning, &row->calls, INDEX_VAR);
	CcrTerms	shown = {0};
	CcrDemand	demand = {.all = true, .each = true, .whole = true};
	List	   *columns = NIL;
	List	   *targetlist = NIL;
	ListCell   *lc;

	demand.count = (Node *) makeConst(INT8OID, -1, InvalidOid, sizeof(int64),
									  Int64GetDatum(1), false, FLOAT8PASSBYVAL);
	foreach(lc, row->before)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		TargetEntry *copy = flatCopyTargetEntry(tle);
		int			n = foreach_current_index(lc) + 1;

		columns = lappend(columns, makeTargetEntry(tle->expr, n, NULL, false));
		copy->expr = (Expr *) makeVar(INDEX_VAR, n, exprType((Node *) tle->expr),
									  exprTypmod((Node *) tle->expr),
									  exprCollation((Node *) tle->expr), 0);
		targetlist = lappend(targetlist, copy);
	}
	plan->targetlist = columns;
	ccr_node_number(&row->calls, plan);
	row->calls.first = ccr_ahead_first(row->planning, row->looked);
	targetlist = list_concat(targetlist, (List *) ccr_terms_apply(&in, (Node *) row->looked));
	targetlist = list_concat(targetlist, row->after);
	return ccr_node_make(row->planning, plan, &row->calls, &in, &shown, &demand, targetlist,
						 NIL);
}

static void
look_at_one(CcrPlanning *planning, Plan **link)
{
	OneRow		row = {.planning = planning, .plan = *link};
	List	   *list = (*link)->targetlist;

	if (!ccr_holds_lookup((Node *) list) || planning->sets ||
		!bms_is_subset((*link)->extParam, planning->init_params) || vars_in_row((Node *) list, NULL))
		return;
	cut_list(&row);
	row.calls.records = planning->records;
	row.calls.unset = ccr_params_set_by((Node *) list);
	ccr_calls_find(&row.calls, (Node *) row.looked, NIL);
	if (row.calls.calls == NIL || !gains(&row) || !may_ask(&row))
		return;
	if (is_expression_of_function(planning, *link))
		refuse_expression(planning, *link);
	else
		*link = put_one(&row);
}

static void
look_for_one(Plan **link, void *context)
{
	switch (nodeTag(*link))
	{
		case T_Gather:
		case T_GatherMerge:
		case T_ForeignScan:
			return;
		case T_CustomScan:
			if (!ccr_node_is_batch(*link))
				return;
			break;
		default:
			break;
	}
	ccr_fields_children(*link, look_for_one, context);
	if (IsA(*link, Result) && (*link)->lefttree == NULL)
		look_at_one(context, link);
}

void
ccr_one_row(CcrPlanning *planning)
{
	ListCell   *lc;

	look_for_one(&planning->stmt->planTree, planning);
	foreach(lc, planning->stmt->subplans)
	{
		if (lfirst(lc))
			look_for_one((Plan **) &lfirst(lc), planning);
	}
}
