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
#include "scan/scan_ahead.h"
#include "scan/scan_fields.h"
#include "scan/scan_hoist.h"
#include "scan/scan_inner.h"
#include "scan/scan_moves.h"

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

/* The calls in a plan whose arguments are parameters that are passed to it. */
static void
find_calls(Plan *plan, Hoist *hoist, bool all)
{
	hoist->inner.params = hoist->known;
	hoist->inner.records = hoist->planning->records;
	hoist->inner.passed = hoist->passed;
	ccr_inner_find(&hoist->inner, plan, all);
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
	{
		foreach(lc, hoist->params)
		{
			NestLoopParam *param = lfirst(lc);

			if (param->paramno == ((Param *) node)->paramid)
				return copyObject((Node *) param->paramval);
		}
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
	{
		foreach(lc, ((FunctionScan *) plan)->functions)
			keep_columns(lfirst(lc), hoist);
	}
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

typedef struct Memory
{
	CcrPlanning *planning;
	bool		kept;			/* what is not to be evaluated more often */
} Memory;

static Node *
note_effects(Node *node, void *context)
{
	Memory	   *memory = context;

	memory->kept |= ccr_ahead_is_volatile(memory->planning, node);
	return node;
}

/* Functions in FROM, too: they are run once for each scan that is forgotten. */
static void
look_for_effects(Plan **plan, void *context)
{
	ccr_fields_change(*plan, note_effects, context);
	ccr_fields_children(*plan, look_for_effects, context);
}

static void
look_for_memory(Plan **plan, void *context)
{
	Memory	   *memory = context;

	if (IsA(*plan, Memoize))
	{
		memory->kept |= ccr_ahead_look(memory->planning, (*plan)->lefttree, false).obstacle != NULL;
		look_for_effects(&(*plan)->lefttree, memory);
	}
	ccr_fields_children(*plan, look_for_memory, memory);
}

/* Memoize is taken out on the way of a cell.  Would anybody notice? */
static bool
may_forget(CcrPlanning *planning, Plan *plan)
{
	Memory		memory = {.planning = planning};

	look_for_memory(&plan, &memory);
	return !memory.kept;
}

void
ccr_hoist_from_inner(CcrPlanning *planning, NestLoop *loop,
					 const CcrDemand *demand)
{
	Hoist		hoist = {.planning = planning, .params = loop->nestParams};
	CcrCalls	outer = {.varno = OUTER_VAR, .records = planning->records};
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, loop->nestParams)
		hoist.passed = bms_add_member(hoist.passed, lfirst_node(NestLoopParam, lc)->paramno);
	if (hoist.passed == NULL)
		return;
	hoist.known = bms_union(hoist.passed, loop->join.plan.extParam);
	find_calls(loop->join.plan.righttree, &hoist,
			   !loop->join.inner_unique && loop->join.jointype != JOIN_SEMI &&
			   loop->join.jointype != JOIN_ANTI);
	if (hoist.inner.calls == NIL || !may_forget(planning, loop->join.plan.righttree))
		return;

	foreach(lc, hoist.inner.calls)
	{
		CcrCall    *inner = lfirst(lc);
		CcrCall    *call = palloc0(sizeof(CcrCall));

		call->call = (FuncExpr *) in_outer_terms((Node *) inner->call, &hoist);
		call->guard = (List *) in_outer_terms((Node *) inner->guard, &hoist);
		call->certainty = inner->certainty;
		outer.calls = lappend(outer.calls, call);
	}
	if (!ccr_put_below(planning, &loop->join.plan.lefttree, &outer, demand))
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
	{
		if (bms_is_member(lfirst_node(NestLoopParam, lc)->paramno, params))
			return true;
	}
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
	{
		if (equal(lfirst_node(TargetEntry, lc)->expr, var))
			found = lfirst(lc);
	}
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
	{
		foreach(lc, lift->params)
		{
			if (lfirst_node(NestLoopParam, lc)->paramno == ((Param *) node)->paramid)
				return copyObject((Node *) lfirst_node(NestLoopParam, lc)->paramval);
		}
	}
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

	/* what the scan emits would be computed for rows that the filter removes */
	if (loop->join.jointype != JOIN_INNER || !is_table_scan(scan) ||
		!ccr_infallible((Node *) scan->targetlist) ||
		ccr_holds_lookup((Node *) scan->targetlist))
		return;
	foreach(lc, scan->qual)
	{
		if (first < 0 && both_sides_walker(lfirst(lc), &lift))
			first = foreach_current_index(lc);
	}
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

/*
 * All of a statement's sub-plans, by number.  Those within another one have
 * the lower numbers; a tree is gone through once for all of them.
 */
typedef struct Subplans
{
	CcrPlanning *planning;
	SubPlan   **references;		/* one to each; NULL: there is none */
	Hoist	   *hoists;
	int			first;			/* whose cells are being passed */
	int			last;
} Subplans;

static bool
references_walker(Node *node, void *context)
{
	Subplans   *subplans = context;

	if (node == NULL)
		return false;
	if (IsA(node, SubPlan))
		subplans->references[((SubPlan *) node)->plan_id] = (SubPlan *) node;
	return expression_tree_walker(node, references_walker, context);
}

static Node *
find_references(Node *node, void *context)
{
	(void) references_walker(node, context);
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

static List *
cells_passed(const Subplans *subplans, const SubPlan *subplan)
{
	if (subplan->plan_id < subplans->first || subplan->plan_id > subplans->last)
		return NIL;
	return subplans->hoists[subplan->plan_id].inner.calls;
}

static bool
passes_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, SubPlan) && cells_passed(context, (SubPlan *) node) != NIL)
		return true;
	return expression_tree_walker(node, passes_walker, context);
}

/* Have each reference to a sub-plan hand over the cells of its calls. */
static Node *
pass_mutator(Node *node, void *context)
{
	SubPlan    *subplan;
	SubPlan    *before;
	List	   *calls;
	ListCell   *lc;

	if (node == NULL)
		return NULL;
	node = expression_tree_mutator(node, pass_mutator, context);
	if (!IsA(node, SubPlan) || (calls = cells_passed(context, (SubPlan *) node)) == NIL)
		return node;
	subplan = (SubPlan *) node;
	before = copyObject(subplan);

	/* the mutator has copied the node, but not this list */
	subplan->parParam = list_copy(subplan->parParam);
	foreach(lc, calls)
	{
		CcrCall    *call = lfirst(lc);
		Node	   *outer = arguments_for_params((Node *) call->call, before);
		Node	   *guard = arguments_for_params((Node *) call->guard, before);

		subplan->parParam = lappend_int(subplan->parParam,
										castNode(Param, call->cell)->paramid);
		subplan->args = lappend(subplan->args,
								ccr_cell_wanted((FuncExpr *) outer, (List *) guard,
												call->certainty));
	}
	return node;
}

static Node *
pass_in_field(Node *node, void *context)
{
	return passes_walker(node, context) ? pass_mutator(node, context) : node;
}

static void
pass_in_tree(Subplans *subplans, Plan *plan, int first, int last)
{
	subplans->first = first;
	subplans->last = last;
	ccr_fields_change_tree(plan, pass_in_field, subplans);
}

static void
hoist_from_subplan(Subplans *subplans, int number)
{
	CcrPlanning *planning = subplans->planning;
	ListCell   *cell = list_nth_cell(planning->stmt->subplans, number - 1);
	SubPlan    *reference = subplans->references[number];
	Hoist	   *hoist = &subplans->hoists[number];
	bool		any = false;
	ListCell   *lc;

	if (lfirst(cell) == NULL)
		return;
	ccr_fields_change_tree(lfirst(cell), find_lookup, &any);
	pass_in_tree(subplans, lfirst(cell), 1, number - 1);
	if (!any || reference == NULL || reference->parParam == NIL)
		return;
	hoist->planning = planning;
	foreach(lc, reference->parParam)
		hoist->passed = bms_add_member(hoist->passed, lfirst_int(lc));
	hoist->known = hoist->passed;
	find_calls(lfirst(cell), hoist,
			   reference->subLinkType == EXPR_SUBLINK ||
			   reference->subLinkType == ARRAY_SUBLINK);
	if (!may_forget(planning, lfirst(cell)))
	{
		hoist->inner.calls = NIL;
		return;
	}
	foreach(lc, hoist->inner.calls)
	{
		CcrCall    *call = lfirst(lc);
		Param	   *param = new_param(planning);

		call->cell = (Node *) param;
		hoist->cells = bms_add_member(hoist->cells, param->paramid);
	}
	if (hoist->inner.calls == NIL)
		return;
	hoist->terms = ccr_cells_of(planning, &hoist->inner, 0);
	replace_in_plan((Plan **) &lfirst(cell), hoist);
	planning->passed = list_concat(planning->passed, hoist->inner.calls);
}

void
ccr_hoist_from_subplans(CcrPlanning *planning)
{
	PlannedStmt *stmt = planning->stmt;
	int			n = list_length(stmt->subplans);
	Subplans	subplans = {
		.planning = planning,
		.references = palloc0((n + 1) * sizeof(SubPlan *)),
		.hoists = palloc0((n + 1) * sizeof(Hoist))
	};

	if (n == 0)
		return;
	ccr_fields_change_statement(stmt, find_references, &subplans);
	for (int i = 1; i <= n; i++)
		hoist_from_subplan(&subplans, i);
	if (planning->passed == NIL)
		return;
	for (int i = 1; i <= n; i++)
		pass_in_tree(&subplans, list_nth(stmt->subplans, i - 1), i, n);
	subplans.first = 1;
	subplans.last = n;
	ccr_fields_change_main(stmt, pass_in_field, &subplans);
}

/* ------------------------------------------------------- cells without a node */

/* What has become of the cells that sub-plans are to be passed. */
typedef struct Finish
{
	const CcrPlanning *planning;
	Bitmapset  *passed;			/* the parameters */
	Bitmapset  *got;			/* those that some node has a cell for */
} Finish;

/* It may itself be what is passed to a sub-plan around. */
static bool
is_cell(const Finish *finish, Node *arg)
{
	int			param;

	if (!IsA(arg, Param) || ((Param *) arg)->paramkind != PARAM_EXEC)
		return !ccr_is_cell_wanted(arg);
	param = ((Param *) arg)->paramid;
	return !bms_is_member(param, finish->passed) || bms_is_member(param, finish->got);
}

static bool
got_walker(Node *node, void *context)
{
	Finish	   *finish = context;
	ListCell   *param;
	ListCell   *arg;

	if (node == NULL)
		return false;
	if (IsA(node, SubPlan))
		forboth(param, ((SubPlan *) node)->parParam, arg, ((SubPlan *) node)->args)
			if (bms_is_member(lfirst_int(param), finish->passed) && is_cell(finish, lfirst(arg)))
			finish->got = bms_add_member(finish->got, lfirst_int(param));
	return expression_tree_walker(node, got_walker, context);
}

static Node *
find_got(Node *node, void *context)
{
	(void) got_walker(node, context);
	return node;
}

/* The call that reads a cell which nobody has, else NULL. */
static FuncExpr *
hoist_call_without_cell(const Finish *finish, FuncExpr *read)
{
	const CcrReaders *readers = &finish->planning->readers;
	ListCell   *lc;

	if ((read->funcid != readers->value && read->funcid != readers->rows &&
		 read->funcid != readers->field) || !IsA(linitial(read->args), Param))
		return NULL;
	foreach(lc, finish->planning->passed)
	{
		CcrCall    *call = lfirst(lc);
		int			param = ((Param *) call->cell)->paramid;

		if (((Param *) linitial(read->args))->paramid == param)
			return bms_is_member(param, finish->got) ? NULL : copyObject(call->call);
	}
	return NULL;
}

static Node *
put_call_back(const Finish *finish, FuncExpr *read)
{
	FuncExpr   *call = hoist_call_without_cell(finish, read);
	FieldSelect *select;

	if (call == NULL || read->funcid != finish->planning->readers.field)
		return (Node *) call;
	select = makeNode(FieldSelect);
	select->arg = (Expr *) call;
	select->fieldnum = DatumGetInt32(lthird_node(Const, read->args)->constvalue);
	select->resulttype = read->funcresulttype;
	select->resulttypmod = -1;
	select->resultcollid = read->funccollid;
	return (Node *) select;
}

/* Not even NULL is passed where no reference has a cell. */
static void
drop_arguments(const Finish *finish, SubPlan *subplan)
{
	List	   *params = NIL;
	List	   *args = NIL;
	ListCell   *param;
	ListCell   *arg;

	forboth(param, subplan->parParam, arg, subplan->args)
	{
		if (!is_cell(finish, lfirst(arg)))
		{
			if (!bms_is_member(lfirst_int(param), finish->got))
				continue;
			lfirst(arg) = makeNullConst(BYTEAOID, -1, InvalidOid);
		}
		params = lappend_int(params, lfirst_int(param));
		args = lappend(args, lfirst(arg));
	}
	subplan->parParam = params;
	subplan->args = args;
}

static Node *
finish_mutator(Node *node, void *context)
{
	const Finish *finish = context;
	Node	   *call;

	if (node == NULL)
		return NULL;
	if (IsA(node, FuncExpr) && (call = put_call_back(finish, (FuncExpr *) node)) != NULL)
		return call;
	node = expression_tree_mutator(node, finish_mutator, context);
	if (IsA(node, SubPlan))
		drop_arguments(finish, (SubPlan *) node);
	return node;
}

static bool
without_cell_walker(Node *node, void *context)
{
	ListCell   *lc;

	if (node == NULL)
		return false;
	if (IsA(node, FuncExpr) && hoist_call_without_cell(context, (FuncExpr *) node) != NULL)
		return true;
	if (IsA(node, SubPlan))
	{
		foreach(lc, ((SubPlan *) node)->args)
		{
			if (!is_cell(context, lfirst(lc)))
				return true;
		}
	}
	return expression_tree_walker(node, without_cell_walker, context);
}

static Node *
finish_field(Node *node, void *context)
{
	return without_cell_walker(node, context) ? finish_mutator(node, context) : node;
}

/*
 * A call for which no cell has come about is made as it stood there, so that
 * the executor sees it and asks for the right to make it.
 */
void
ccr_hoist_finish(CcrPlanning *planning)
{
	Finish		finish = {.planning = planning};
	int			before;
	ListCell   *lc;

	if (planning->passed == NIL)
		return;
	foreach(lc, planning->passed)
	{
		finish.passed = bms_add_member(finish.passed,
									   castNode(Param, ((CcrCall *) lfirst(lc))->cell)->paramid);
	}
	do
	{
		before = bms_num_members(finish.got);
		ccr_fields_change_statement(planning->stmt, find_got, &finish);
	} while (bms_num_members(finish.got) > before);
	ccr_fields_change_statement(planning->stmt, finish_field, &finish);
}
