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
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "scan_fields.h"
#include "scan_hoist.h"
#include "scan_moves.h"

/* Calls under way from the inner side to the outer side. */
typedef struct Hoist
{
	CcrPlanning *planning;
	List	   *params;			/* NestLoopParam; the outer side's values */
	int			subplan;		/* or of a sub-plan: its number */
	Bitmapset  *passed;			/* their numbers */
	Bitmapset  *known;			/* these, and those known to the outer side */
	CcrCalls	inner;			/* as they stand there */
	CcrTerms	terms;			/* how they are replaced */
	Bitmapset  *cells;			/* by parameters with these numbers */
	Bitmapset  *seen;			/* of them, so far */
} Hoist;

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

/* Where a search is, in a plan. */
typedef struct Search
{
	CcrCalls   *calls;
	List	   *guard;			/* conditions for a node to be run at all */
} Search;

static Node *
find_in_field(Node *node, void *context)
{
	Search	   *search = context;

	ccr_calls_find(search->calls, node, search->guard);
	return node;
}

static void
find_in_plan(Plan **link, void *context)
{
	Plan	   *plan = *link;
	Search		search = *(Search *) context;

	if (IsA(plan, Result))
		search.guard = list_concat_copy(search.guard,
										(List *) ((Result *) plan)->resconstantqual);
	ccr_fields_change_others(plan, find_in_field, &search);
	ccr_calls_find_in_quals(search.calls, plan->qual, search.guard);
	ccr_calls_find(search.calls, (Node *) plan->targetlist,
				   list_concat_copy(search.guard, plan->qual));
	ccr_fields_children(plan, find_in_plan, &search);
}

/* The calls in a plan whose arguments are parameters that are passed to it. */
static void
find_calls(Plan *plan, Hoist *hoist)
{
	Search		search = {.calls = &hoist->inner};

	hoist->inner.params = hoist->known;
	hoist->inner.passed = hoist->passed;
	find_in_plan(&plan, &search);
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
replace_in_expression(Node *node, void *context)
{
	Hoist	   *hoist = context;

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
											   bms_intersect(ccr_params_of(function->funcexpr),
															 cells));
	}
}

static Node *
note_cells(Node *node, void *context)
{
	Hoist	   *hoist = context;

	hoist->seen = bms_join(hoist->seen, bms_intersect(ccr_params_of(node), hoist->cells));
	return node;
}

/*
 * Calls are replaced wherever they stand, and every node on the way down is
 * told of the parameters that its subtree reads.  Memoize would take them for
 * such as make all of its results stale.
 */
static void
replace_in_plan(Plan **link, void *context)
{
	Hoist	   *hoist = context;
	Plan	   *plan = *link;
	Bitmapset  *above = hoist->seen;
	ListCell   *lc;

	if (IsA(plan, FunctionScan))
		foreach(lc, ((FunctionScan *) plan)->functions)
			keep_columns(lfirst(lc), hoist);
	ccr_fields_change(plan, replace_in_expression, hoist);
	if (IsA(plan, FunctionScan))
		note_function_params((FunctionScan *) plan, hoist->cells);

	hoist->seen = NULL;
	ccr_fields_change(plan, note_cells, hoist);
	ccr_fields_children(plan, replace_in_plan, hoist);
	plan->extParam = bms_add_members(plan->extParam, hoist->seen);
	plan->allParam = bms_add_members(plan->allParam, hoist->seen);
	if (IsA(plan, Memoize) && !bms_is_empty(hoist->seen))
		*link = plan->lefttree;
	hoist->seen = bms_join(hoist->seen, above);
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
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, loop->nestParams)
		hoist.passed = bms_add_member(hoist.passed, lfirst_node(NestLoopParam, lc)->paramno);
	if (hoist.passed == NULL)
		return;
	hoist.known = bms_union(hoist.passed, loop->join.plan.extParam);
	find_calls(loop->join.plan.righttree, &hoist);
	if (hoist.inner.calls == NIL)
		return;

	foreach(lc, hoist.inner.calls)
	{
		CcrCall    *inner = lfirst(lc);
		CcrCall    *call = palloc0(sizeof(CcrCall));

		call->call = (FuncExpr *) in_outer_terms((Node *) inner->call, &hoist);
		call->guard = (List *) in_outer_terms((Node *) inner->guard, &hoist);
		outer.calls = lappend(outer.calls, call);
	}
	if (!ccr_put_below(planning, &loop->join.plan.lefttree, &outer, reach))
		return;
	forboth(lc, hoist.inner.calls, lc2, outer.calls)
		pass_cell(loop, &hoist, lfirst(lc), ((CcrCall *) lfirst(lc2))->column);
	hoist.terms = ccr_cells_of(planning, &hoist.inner, 0);
	replace_in_plan(&loop->join.plan.righttree, &hoist);
}

/* ---------------------------------------------------------- lifted filters */

typedef struct Lift
{
	List	   *params;			/* NestLoopParam */
	Plan	   *scan;			/* of the inner side */
} Lift;

static bool
sets_param(const Lift *lift, Node *node)
{
	Bitmapset  *params = ccr_params_of(node);
	ListCell   *lc;

	foreach(lc, lift->params)
		if (bms_is_member(lfirst_node(NestLoopParam, lc)->paramno, params))
			return true;
	return false;
}

static bool
both_sides_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncExpr) && ccr_is_lookup(((FuncExpr *) node)->funcid) &&
		ccr_call_obstacle((FuncExpr *) node) == NULL && sets_param(context, node) &&
		holds_row_values((Node *) ((FuncExpr *) node)->args, NULL))
		return true;
	return expression_tree_walker(node, both_sides_walker, context);
}

/* The column of the scan that has a value; added at need. */
static Var *
inner_column(Plan *scan, Var *var)
{
	TargetEntry *found = NULL;
	ListCell   *lc;

	foreach(lc, scan->targetlist)
		if (equal(lfirst_node(TargetEntry, lc)->expr, var))
			found = lfirst(lc);
	if (found == NULL)
	{
		found = makeTargetEntry(copyObject((Expr *) var), list_length(scan->targetlist) + 1,
								NULL, true);
		scan->targetlist = lappend(scan->targetlist, found);
	}
	return makeVar(INNER_VAR, found->resno, var->vartype, var->vartypmod, var->varcollid, 0);
}

static Node *
in_join_terms(Node *node, void *context)
{
	Lift	   *lift = context;
	ListCell   *lc;

	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
		return (Node *) inner_column(lift->scan, (Var *) node);
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXEC)
		foreach(lc, lift->params)
			if (lfirst_node(NestLoopParam, lc)->paramno == ((Param *) node)->paramid)
				return copyObject((Node *) lfirst_node(NestLoopParam, lc)->paramval);
	return expression_tree_mutator(node, in_join_terms, context);
}

static bool
is_table_scan(Plan *plan)
{
	return IsA(plan, SeqScan) || IsA(plan, IndexScan) || IsA(plan, IndexOnlyScan) ||
		IsA(plan, BitmapHeapScan) || IsA(plan, SubqueryScan);
}

void
ccr_lift_inner_quals(NestLoop *loop)
{
	Plan	   *scan = loop->join.plan.righttree;
	Lift		lift = {.params = loop->nestParams, .scan = scan};
	int			first = -1;
	ListCell   *lc;

	if (loop->join.jointype != JOIN_INNER || !is_table_scan(scan))
		return;
	foreach(lc, scan->qual)
		if (first < 0 && both_sides_walker(lfirst(lc), &lift))
			first = foreach_current_index(lc);
	if (first < 0)
		return;

	/* as a filter of the join they come before its own */
	loop->join.joinqual = list_concat((List *) in_join_terms((Node *) list_copy_tail(scan->qual, first),
															 &lift), loop->join.joinqual);
	scan->qual = list_copy_head(scan->qual, first);

	/* the planner may have concluded this from what is no longer in the scan */
	loop->join.inner_unique = false;
}

/* --------------------------------------------------------------- sub-plans */

/* Does any expression refer to the sub-plan?  If so, which parameters does it set? */
typedef struct Reference
{
	int			subplan;
	SubPlan    *found;
} Reference;

static bool
reference_walker(Node *node, void *context)
{
	Reference  *reference = context;

	if (node == NULL)
		return false;
	if (IsA(node, SubPlan) && ((SubPlan *) node)->plan_id == reference->subplan)
		reference->found = (SubPlan *) node;
	return expression_tree_walker(node, reference_walker, context);
}

static Node *
find_reference(Node *node, void *context)
{
	(void) reference_walker(node, context);
	return node;
}

static Node *
find_lookup(Node *node, void *context)
{
	*(bool *) context |= ccr_holds_lookup(node);
	return node;
}

static Node *
arguments_for_params(Node *node, void *context)
{
	SubPlan    *subplan = context;
	ListCell   *param;
	ListCell   *arg;

	if (node == NULL)
		return NULL;
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXEC)
		forboth(param, subplan->parParam, arg, subplan->args)
			if (lfirst_int(param) == ((Param *) node)->paramid)
				return copyObject(lfirst(arg));
	return expression_tree_mutator(node, arguments_for_params, context);
}

/* What gets a cell for a call from where the guard holds, else NULL. */
static Node *
cell_if(FuncExpr *call, List *guard)
{
	Node	   *cell = ccr_cell_wanted(call);
	CaseExpr   *choice = makeNode(CaseExpr);
	CaseWhen   *when = makeNode(CaseWhen);

	if (guard == NIL)
		return cell;
	when->expr = make_ands_explicit(guard);
	when->result = (Expr *) cell;
	when->location = -1;
	choice->casetype = BYTEAOID;
	choice->args = list_make1(when);
	choice->defresult = (Expr *) makeNullConst(BYTEAOID, -1, InvalidOid);
	choice->location = -1;
	return (Node *) choice;
}

/* Have each reference to the sub-plan hand over the cells of the calls. */
static Node *
pass_to_subplan(Node *node, void *context)
{
	Hoist	   *hoist = context;
	SubPlan    *subplan;
	SubPlan    *before;
	ListCell   *lc;

	if (node == NULL)
		return NULL;
	node = expression_tree_mutator(node, pass_to_subplan, context);
	if (!IsA(node, SubPlan) || ((SubPlan *) node)->plan_id != hoist->subplan)
		return node;
	subplan = (SubPlan *) node;
	before = copyObject(subplan);
	foreach(lc, hoist->inner.calls)
	{
		CcrCall    *call = lfirst(lc);
		Node	   *outer = arguments_for_params((Node *) call->call, before);
		Node	   *guard = arguments_for_params((Node *) call->guard, before);

		/* the mutator has copied the node, but not this list */
		subplan->parParam = lappend_int(list_copy(subplan->parParam),
										castNode(Param, call->cell)->paramid);
		subplan->args = lappend(subplan->args, cell_if((FuncExpr *) outer, (List *) guard));
	}
	return node;
}

static void
hoist_from_subplan(CcrPlanning *planning, int number)
{
	ListCell   *cell = list_nth_cell(planning->stmt->subplans, number - 1);
	Reference	reference = {.subplan = number};
	Hoist		hoist = {.planning = planning, .subplan = number};
	bool		any = false;
	ListCell   *lc;

	ccr_fields_change_tree(lfirst(cell), find_lookup, &any);
	if (!any)
		return;
	ccr_fields_change_statement(planning->stmt, find_reference, &reference);
	if (reference.found == NULL || reference.found->parParam == NIL)
		return;
	foreach(lc, reference.found->parParam)
		hoist.passed = bms_add_member(hoist.passed, lfirst_int(lc));
	hoist.known = hoist.passed;
	find_calls(lfirst(cell), &hoist);
	if (hoist.inner.calls == NIL)
		return;

	foreach(lc, hoist.inner.calls)
	{
		CcrCall    *call = lfirst(lc);
		Param	   *param = new_param(planning);

		call->cell = (Node *) param;
		hoist.cells = bms_add_member(hoist.cells, param->paramid);
	}
	hoist.terms = ccr_cells_of(planning, &hoist.inner, 0);
	replace_in_plan((Plan **) &lfirst(cell), &hoist);
	ccr_fields_change_statement(planning->stmt, pass_to_subplan, &hoist);
}

void
ccr_hoist_from_subplans(CcrPlanning *planning)
{
	for (int i = 1; i <= list_length(planning->stmt->subplans); i++)
		if (list_nth(planning->stmt->subplans, i - 1))
			hoist_from_subplan(planning, i);
}

static Node *
no_cell_mutator(Node *node, void *context)
{
	if (node == NULL)
		return NULL;
	if (ccr_is_cell_wanted(node))
		return (Node *) makeNullConst(BYTEAOID, -1, InvalidOid);
	return expression_tree_mutator(node, no_cell_mutator, context);
}

void
ccr_hoist_finish(CcrPlanning *planning)
{
	ccr_fields_change_statement(planning->stmt, no_cell_mutator, NULL);
}
