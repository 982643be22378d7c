/*-------------------------------------------------------------------------
 *
 * scan_hoist.c
 *	  Calls that are made once for each row of a loop's outer side.
 *
 * JOIN LATERAL lookup(o.x) is a nested loop whose inner side is a function
 * scan, or something with one in it.  So are joins by an index on what a
 * lookup returns.  The plan keeps its shape: only the calls change, to reading
 * a cell that the loop hands over.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "scan_hoist.h"
#include "scan_moves.h"

/* Calls under way from the inner side to the outer side. */
typedef struct Hoist
{
	CcrPlanning *planning;
	List	   *params;			/* NestLoopParam; the outer side's values */
	Bitmapset  *passed;			/* their numbers */
	Bitmapset  *known;			/* these, and those known to the outer side */
	CcrCalls	inner;			/* as they stand there */
	CcrTerms	terms;			/* how they are replaced */
	Bitmapset  *cells;			/* by parameters with these numbers */
	Bitmapset  *seen;			/* of them, in one node */
} Hoist;

/* ------------------------------------------- all the expressions of a node */

typedef Node *(*Change) (Node *node, Hoist *hoist);

#define CHANGE(field)	((field) = (void *) change((Node *) (field), hoist))

static void
change_scan(Plan *plan, Change change, Hoist *hoist)
{
	switch (nodeTag(plan))
	{
		case T_SampleScan:
			CHANGE(((SampleScan *) plan)->tablesample);
			break;
		case T_IndexScan:
			CHANGE(((IndexScan *) plan)->indexqual);
			CHANGE(((IndexScan *) plan)->indexqualorig);
			CHANGE(((IndexScan *) plan)->indexorderby);
			CHANGE(((IndexScan *) plan)->indexorderbyorig);
			break;
		case T_IndexOnlyScan:
			CHANGE(((IndexOnlyScan *) plan)->indexqual);
			CHANGE(((IndexOnlyScan *) plan)->recheckqual);
			CHANGE(((IndexOnlyScan *) plan)->indexorderby);
			break;
		case T_BitmapIndexScan:
			CHANGE(((BitmapIndexScan *) plan)->indexqual);
			CHANGE(((BitmapIndexScan *) plan)->indexqualorig);
			break;
		case T_BitmapHeapScan:
			CHANGE(((BitmapHeapScan *) plan)->bitmapqualorig);
			break;
		case T_TidScan:
			CHANGE(((TidScan *) plan)->tidquals);
			break;
		case T_TidRangeScan:
			CHANGE(((TidRangeScan *) plan)->tidrangequals);
			break;
		case T_FunctionScan:
			CHANGE(((FunctionScan *) plan)->functions);
			break;
		case T_ValuesScan:
			CHANGE(((ValuesScan *) plan)->values_lists);
			break;
		case T_TableFuncScan:
			CHANGE(((TableFuncScan *) plan)->tablefunc);
			break;
		default:
			break;
	}
}

static void
change_expressions(Plan *plan, Change change, Hoist *hoist)
{
	CHANGE(plan->targetlist);
	CHANGE(plan->qual);
	switch (nodeTag(plan))
	{
		case T_NestLoop:
		case T_MergeJoin:
		case T_HashJoin:
			CHANGE(((Join *) plan)->joinqual);
			if (IsA(plan, MergeJoin))
				CHANGE(((MergeJoin *) plan)->mergeclauses);
			else if (IsA(plan, HashJoin))
			{
				CHANGE(((HashJoin *) plan)->hashclauses);
				CHANGE(((HashJoin *) plan)->hashkeys);
			}
			break;
		case T_Hash:
			CHANGE(((Hash *) plan)->hashkeys);
			break;
		case T_Result:
			CHANGE(((Result *) plan)->resconstantqual);
			break;
		case T_Limit:
			CHANGE(((Limit *) plan)->limitCount);
			CHANGE(((Limit *) plan)->limitOffset);
			break;
		default:
			change_scan(plan, change, hoist);
			break;
	}
}

static List *
children(Plan *plan)
{
	List	   *list = NIL;

	if (plan->lefttree)
		list = lappend(list, plan->lefttree);
	if (plan->righttree)
		list = lappend(list, plan->righttree);
	switch (nodeTag(plan))
	{
		case T_Append:
			return list_concat(list, ((Append *) plan)->appendplans);
		case T_MergeAppend:
			return list_concat(list, ((MergeAppend *) plan)->mergeplans);
		case T_BitmapAnd:
			return list_concat(list, ((BitmapAnd *) plan)->bitmapplans);
		case T_BitmapOr:
			return list_concat(list, ((BitmapOr *) plan)->bitmapplans);
		case T_SubqueryScan:
			return lappend(list, ((SubqueryScan *) plan)->subplan);
		default:
			return list;
	}
}

/* ----------------------------------------------------------------- finding */

static bool
holds_row_values(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var) || IsA(node, Aggref) || IsA(node, WindowFunc) ||
		IsA(node, GroupingFunc))
		return true;
	return expression_tree_walker(node, holds_row_values, context);
}

static bool
find_walker(Node *node, void *context)
{
	Hoist	   *hoist = context;

	if (node == NULL)
		return false;
	if (IsA(node, FuncExpr) && ccr_is_lookup(((FuncExpr *) node)->funcid))
	{
		FuncExpr   *expr = (FuncExpr *) node;
		Bitmapset  *params = ccr_node_params((Node *) expr->args);

		if (bms_overlap(params, hoist->passed) && bms_is_subset(params, hoist->known) &&
			!holds_row_values((Node *) expr->args, NULL) &&
			ccr_call_obstacle(expr) == NULL &&
			ccr_calls_member(&hoist->inner, expr) == NULL)
		{
			CcrCall    *call = palloc0(sizeof(CcrCall));

			call->call = expr;
			hoist->inner.calls = lappend(hoist->inner.calls, call);
		}
	}
	return expression_tree_walker(node, find_walker, context);
}

static Node *
find_in_expression(Node *node, Hoist *hoist)
{
	(void) find_walker(node, hoist);
	return node;
}

static void
find_in_plan(Plan *plan, Hoist *hoist)
{
	ListCell   *lc;

	check_stack_depth();
	change_expressions(plan, find_in_expression, hoist);
	foreach(lc, children(plan))
		find_in_plan(lfirst(lc), hoist);
}

/* --------------------------------------------------------------- replacing */

static Node *
in_outer_terms(Node *node, void *context)
{
	Hoist	   *hoist = context;
	ListCell   *lc;

	if (node == NULL)
		return NULL;
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXEC)
		foreach(lc, hoist->params)
		{
			NestLoopParam *param = lfirst(lc);

			if (param->paramno == ((Param *) node)->paramid)
				return copyObject((Node *) param->paramval);
		}
	return expression_tree_mutator(node, in_outer_terms, context);
}

static Node *
replace_in_expression(Node *node, Hoist *hoist)
{
	return ccr_terms_apply(&hoist->terms, node);
}

/* The columns of a record are to be read off the call, which goes away. */
static void
keep_columns(RangeTblFunction *function, Hoist *hoist)
{
	FuncExpr   *expr = (FuncExpr *) function->funcexpr;
	TupleDesc	tupdesc;
	Oid			type;

	if (!IsA(expr, FuncExpr) || function->funccolnames != NIL ||
		ccr_calls_member(&hoist->inner, expr) == NULL || expr->funcresulttype != RECORDOID ||
		get_expr_result_type((Node *) expr, &type, &tupdesc) != TYPEFUNC_COMPOSITE)
		return;
	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(tupdesc, i);

		function->funccolnames = lappend(function->funccolnames,
										 makeString(pstrdup(NameStr(attribute->attname))));
		function->funccoltypes = lappend_oid(function->funccoltypes, attribute->atttypid);
		function->funccoltypmods = lappend_int(function->funccoltypmods, attribute->atttypmod);
		function->funccolcollations = lappend_oid(function->funccolcollations,
												  attribute->attcollation);
	}
}

static void
note_function_params(FunctionScan *scan, const Bitmapset *cells)
{
	ListCell   *lc;

	foreach(lc, scan->functions)
	{
		RangeTblFunction *function = lfirst(lc);

		function->funcparams = bms_add_members(function->funcparams,
											   bms_intersect(ccr_node_params(function->funcexpr),
															 cells));
	}
}

static Bitmapset *replace_in_plan(Plan **link, Hoist *hoist);

static Bitmapset *
replace_in_list(List *plans, Hoist *hoist)
{
	Bitmapset  *cells = NULL;
	ListCell   *lc;

	foreach(lc, plans)
		cells = bms_join(cells, replace_in_plan((Plan **) &lfirst(lc), hoist));
	return cells;
}

static Bitmapset *
replace_in_children(Plan *plan, Hoist *hoist)
{
	Bitmapset  *cells = bms_join(replace_in_plan(&plan->lefttree, hoist),
								 replace_in_plan(&plan->righttree, hoist));

	switch (nodeTag(plan))
	{
		case T_Append:
			return bms_join(cells, replace_in_list(((Append *) plan)->appendplans, hoist));
		case T_MergeAppend:
			return bms_join(cells, replace_in_list(((MergeAppend *) plan)->mergeplans, hoist));
		case T_BitmapAnd:
			return bms_join(cells, replace_in_list(((BitmapAnd *) plan)->bitmapplans, hoist));
		case T_BitmapOr:
			return bms_join(cells, replace_in_list(((BitmapOr *) plan)->bitmapplans, hoist));
		case T_SubqueryScan:
			return bms_join(cells, replace_in_plan(&((SubqueryScan *) plan)->subplan, hoist));
		default:
			return cells;
	}
}

static Node *
note_cells(Node *node, Hoist *hoist)
{
	hoist->seen = bms_join(hoist->seen, bms_intersect(ccr_node_params(node), hoist->cells));
	return node;
}

/*
 * Calls are replaced wherever they stand, and every node on the way down is
 * told of the parameters that its subtree reads.  Memoize would take them for
 * such as make all of its results stale.
 */
static Bitmapset *
replace_in_plan(Plan **link, Hoist *hoist)
{
	Plan	   *plan = *link;
	Bitmapset  *cells;
	ListCell   *lc;

	if (plan == NULL)
		return NULL;
	check_stack_depth();
	if (IsA(plan, FunctionScan))
		foreach(lc, ((FunctionScan *) plan)->functions)
			keep_columns(lfirst(lc), hoist);
	change_expressions(plan, replace_in_expression, hoist);
	if (IsA(plan, FunctionScan))
		note_function_params((FunctionScan *) plan, hoist->cells);

	hoist->seen = NULL;
	change_expressions(plan, note_cells, hoist);
	cells = hoist->seen;
	cells = bms_join(cells, replace_in_children(plan, hoist));
	if (bms_is_empty(cells))
		return NULL;
	plan->extParam = bms_add_members(plan->extParam, cells);
	plan->allParam = bms_add_members(plan->allParam, cells);
	if (IsA(plan, Memoize))
		*link = plan->lefttree;
	return cells;
}

/* ---------------------------------------------------------------- the move */

static Param *
new_param(CcrPlanning *planning)
{
	Param	   *param = makeNode(Param);

	param->paramkind = PARAM_EXEC;
	param->paramid = list_length(planning->stmt->paramExecTypes);
	param->paramtype = BYTEAOID;
	param->paramtypmod = -1;
	param->location = -1;
	planning->stmt->paramExecTypes = lappend_oid(planning->stmt->paramExecTypes, BYTEAOID);
	return param;
}

/* Have the loop hand over the cell of a call. */
static void
pass_cell(NestLoop *loop, Hoist *hoist, CcrCall *inner, int column)
{
	Param	   *param = new_param(hoist->planning);
	NestLoopParam *pass = makeNode(NestLoopParam);

	pass->paramno = param->paramid;
	pass->paramval = makeVar(OUTER_VAR, column, BYTEAOID, -1, InvalidOid, 0);
	loop->nestParams = lappend(loop->nestParams, pass);
	inner->cell = (Node *) param;
	hoist->cells = bms_add_member(hoist->cells, param->paramid);
}

void
ccr_hoist_from_inner(CcrPlanning *planning, NestLoop *loop,
					 const CcrReach *reach)
{
	Hoist		hoist = {.planning = planning, .params = loop->nestParams};
	CcrCalls	outer = {.varno = OUTER_VAR};
	Plan	   *child;
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, loop->nestParams)
		hoist.passed = bms_add_member(hoist.passed, lfirst_node(NestLoopParam, lc)->paramno);
	if (hoist.passed == NULL)
		return;
	hoist.known = bms_union(hoist.passed, loop->join.plan.extParam);
	find_in_plan(loop->join.plan.righttree, &hoist);
	if (hoist.inner.calls == NIL)
		return;

	foreach(lc, hoist.inner.calls)
	{
		CcrCall    *call = palloc0(sizeof(CcrCall));

		call->call = (FuncExpr *) in_outer_terms((Node *) ((CcrCall *) lfirst(lc))->call,
												 &hoist);
		outer.calls = lappend(outer.calls, call);
	}
	child = ccr_put_below(planning, loop->join.plan.lefttree, &outer, reach);
	loop->join.plan.lefttree = child;
	forboth(lc, hoist.inner.calls, lc2, outer.calls)
		pass_cell(loop, &hoist, lfirst(lc), ((CcrCall *) lfirst(lc2))->column);
	hoist.terms = ccr_cells_of(planning, &hoist.inner, 0);
	(void) replace_in_plan(&loop->join.plan.righttree, &hoist);
}
