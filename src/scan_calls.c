/*-------------------------------------------------------------------------
 *
 * scan_calls.c
 *	  The calls of lookups in expressions, and when SQL makes them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/proclang.h"
#include "compat.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/plannodes.h"
#include "optimizer/optimizer.h"
#include "scan_calls.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* ------------------------------------------------------------ single calls */

bool
ccr_is_lookup(Oid function)
{
	HeapTuple	tuple;
	bool		result;

	if (function < FirstNormalObjectId)
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_proc) GETSTRUCT(tuple))->prolang ==
		get_language_oid("concresce", true);
	ReleaseSysCache(tuple);
	return result;
}

static bool
holds_lookup_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncExpr) && ccr_is_lookup(((FuncExpr *) node)->funcid))
		return true;
	return expression_tree_walker(node, holds_lookup_walker, context);
}

bool
ccr_holds_lookup(Node *node)
{
	return holds_lookup_walker(node, NULL);
}

static bool tied_to_its_place_walker(Node *node, void *context);

/* The conditions of a CASE have its test value, their results do not. */
static bool
tied_in_case_walker(CaseExpr *expr, void *context)
{
	bool		inside = true;
	ListCell   *lc;

	foreach(lc, expr->args)
	{
		CaseWhen   *when = lfirst_node(CaseWhen, lc);

		if (tied_to_its_place_walker((Node *) when->expr, &inside) ||
			tied_to_its_place_walker((Node *) when->result, context))
			return true;
	}
	return false;
}

/*
 * What is evaluated ahead is evaluated again with its row, so it must give the
 * same then; and it must not mean something else outside of
 * the expression that it stands in.
 */
static bool
tied_to_its_place_walker(Node *node, void *context)
{
	bool		has_test_value = *(bool *) context;
	bool		inside = true;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_SubPlan:
		case T_AlternativeSubPlan:
		case T_CoerceToDomainValue:
		case T_SetToDefault:
		case T_CurrentOfExpr:
			return true;
		case T_CaseTestExpr:
			return !has_test_value;
		case T_Aggref:
		case T_GroupingFunc:
		case T_WindowFunc:
			return false;		/* computed elsewhere */
		case T_CaseExpr:
			if (((CaseExpr *) node)->arg)
				return tied_to_its_place_walker((Node *) ((CaseExpr *) node)->arg, context) ||
					tied_in_case_walker((CaseExpr *) node, context) ||
					tied_to_its_place_walker((Node *) ((CaseExpr *) node)->defresult, context);
			break;
		case T_ArrayCoerceExpr:
			return tied_to_its_place_walker((Node *) ((ArrayCoerceExpr *) node)->arg, context) ||
				tied_to_its_place_walker((Node *) ((ArrayCoerceExpr *) node)->elemexpr, &inside);
		default:
			break;
	}
	return expression_tree_walker(node, tied_to_its_place_walker, context);
}

static bool
movable(Node *node)
{
	bool		outside = false;

	return !tied_to_its_place_walker(node, &outside) &&
		!contain_volatile_functions(node);
}

const char *
ccr_call_obstacle(FuncExpr *call)
{
	if (func_volatile(call->funcid) == PROVOLATILE_VOLATILE)
		return "it is VOLATILE";
	if (get_func_result_type(call->funcid, NULL, NULL) == TYPEFUNC_RECORD)
		return "it returns record";
	if (list_length(call->args) + 2 > FUNC_MAX_ARGS)
		return "it has too many arguments";
	if (FmgrHookIsNeeded(call->funcid))
		return "a security module watches its calls";
	if (contain_volatile_functions((Node *) call->args))
		return "an argument is volatile";
	if (!movable((Node *) call->args))
		return "an argument holds a sub-select, or is bound to its place";
	return NULL;
}

static bool
params_walker(Node *node, void *context)
{
	Bitmapset **params = context;

	if (node == NULL)
		return false;
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXEC)
		*params = bms_add_member(*params, ((Param *) node)->paramid);
	return expression_tree_walker(node, params_walker, context);
}

Bitmapset *
ccr_params_of(Node *node)
{
	Bitmapset  *params = NULL;

	(void) params_walker(node, &params);
	return params;
}

static bool
params_set_walker(Node *node, void *context)
{
	Bitmapset **params = context;
	ListCell   *lc;

	if (node == NULL)
		return false;
	if (IsA(node, SubPlan) && ((SubPlan *) node)->subLinkType == MULTIEXPR_SUBLINK)
		foreach(lc, ((SubPlan *) node)->setParam)
			*params = bms_add_member(*params, lfirst_int(lc));
	return expression_tree_walker(node, params_set_walker, context);
}

Bitmapset *
ccr_params_set_by(Node *node)
{
	Bitmapset  *params = NULL;

	(void) params_set_walker(node, &params);
	return params;
}

/* -------------------------------------------------------------- with guards */

typedef struct Finder
{
	CcrCalls   *calls;
	List	   *guard;
	Bitmapset  *unset;			/* parameters that have no value yet */
} Finder;

static bool find_walker(Node *node, void *context);

static void
find_under(Finder *finder, Node *node, List *conditions)
{
	Finder		inner = {
		.calls = finder->calls,
		.guard = list_concat_copy(finder->guard, conditions),
		.unset = finder->unset
	};

	(void) find_walker(node, &inner);
}

static Expr *
test(Expr *condition, BoolTestType type)
{
	BooleanTest *test = makeNode(BooleanTest);

	test->arg = condition;
	test->booltesttype = type;
	test->location = -1;
	return (Expr *) test;
}

static Expr *
is_null(Expr *arg)
{
	NullTest   *test = makeNode(NullTest);

	test->arg = arg;
	test->nulltesttype = IS_NULL;
	test->argisrow = false;
	test->location = -1;
	return (Expr *) test;
}

/* Each argument is evaluated unless one before has decided. */
static void
find_in_bool(Finder *finder, BoolExpr *expr)
{
	BoolTestType open = expr->boolop == AND_EXPR ? IS_NOT_FALSE : IS_NOT_TRUE;
	List	   *before = NIL;
	ListCell   *lc;

	foreach(lc, expr->args)
	{
		find_under(finder, lfirst(lc), before);
		before = lappend(before, test(lfirst(lc), open));
	}
}

static void
find_in_coalesce(Finder *finder, CoalesceExpr *expr)
{
	List	   *before = NIL;
	ListCell   *lc;

	foreach(lc, expr->args)
	{
		find_under(finder, lfirst(lc), before);
		before = lappend(before, is_null(lfirst(lc)));
	}
}

/*
 * The test value stands for the argument within a condition of CASE.  Other
 * kinds of nodes have test values of their own, so only those are entered that
 * are known to have none.
 */
static Node *
put_argument(Node *node, void *argument)
{
	if (node == NULL)
		return NULL;
	switch (nodeTag(node))
	{
		case T_CaseTestExpr:
			return copyObject((Node *) argument);
		case T_ArrayCoerceExpr:
			{
				ArrayCoerceExpr *copy = copyObject((ArrayCoerceExpr *) node);

				/* the test value in elemexpr is an element */
				copy->arg = (Expr *) put_argument((Node *) copy->arg, argument);
				return (Node *) copy;
			}
		case T_List:
		case T_BoolExpr:
		case T_FuncExpr:
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
		case T_ScalarArrayOpExpr:
		case T_RowCompareExpr:
		case T_SubscriptingRef:
		case T_FieldSelect:
		case T_RelabelType:
		case T_CoerceViaIO:
		case T_ConvertRowtypeExpr:
		case T_CollateExpr:
		case T_ArrayExpr:
		case T_RowExpr:
		case T_CoalesceExpr:
		case T_MinMaxExpr:
		case T_NullTest:
		case T_BooleanTest:
		case T_CoerceToDomain:
			return expression_tree_mutator(node, put_argument, argument);
		default:
			return copyObject(node);
	}
}

static void
find_in_case(Finder *finder, CaseExpr *expr)
{
	List	   *before = NIL;
	ListCell   *lc;

	(void) find_walker((Node *) expr->arg, finder);
	foreach(lc, expr->args)
	{
		CaseWhen   *when = lfirst_node(CaseWhen, lc);
		Expr	   *condition = when->expr;

		find_under(finder, (Node *) condition, before);
		if (expr->arg)
			condition = (Expr *) put_argument((Node *) condition, expr->arg);
		find_under(finder, (Node *) when->result,
				   list_concat_copy(before, list_make1(condition)));
		before = lappend(before, test(condition, IS_NOT_TRUE));
	}
	find_under(finder, (Node *) expr->defresult, before);
}

static bool
vars_walker(Node *node, void *varno)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
		return ((Var *) node)->varno != *(int *) varno;
	if (IsA(node, Aggref) || IsA(node, WindowFunc) || IsA(node, GroupingFunc))
		return true;
	return expression_tree_walker(node, vars_walker, varno);
}

static bool
reachable(const CcrCalls *calls, Node *node)
{
	int			varno = calls->varno;

	if (varno == 0 && calls->params == NULL)
		return true;
	return !vars_walker(node, &varno) &&
		(calls->params == NULL || bms_is_subset(ccr_params_of(node), calls->params));
}

/* Without what cannot be told from outside, the guard holds more often. */
static List *
guard_from_outside(const CcrCalls *calls, List *guard)
{
	List	   *kept = NIL;
	ListCell   *lc;

	foreach(lc, guard)
		if (reachable(calls, lfirst(lc)) && movable(lfirst(lc)))
			kept = lappend(kept, lfirst(lc));
	return kept;
}

/* What cannot fail: evaluating it once too often does no harm. */
static bool
infallible(Node *node)
{
	ListCell   *lc;

	switch (nodeTag(node))
	{
		case T_Const:
		case T_Param:
			return true;
		case T_RelabelType:
			return infallible((Node *) ((RelabelType *) node)->arg);
		case T_List:
			foreach(lc, (List *) node)
				if (!infallible(lfirst(lc)))
					return false;
			return true;
		case T_FuncExpr:
			return (ccr_is_lookup(((FuncExpr *) node)->funcid) ||
					get_func_leakproof(((FuncExpr *) node)->funcid)) &&
				(((FuncExpr *) node)->args == NIL ||
				 infallible((Node *) ((FuncExpr *) node)->args));
		default:
			return false;
	}
}

static bool
mentions_walker(Node *node, void *call)
{
	if (node == NULL)
		return false;
	if (equal(node, call))
		return true;
	return expression_tree_walker(node, mentions_walker, call);
}

static Expr *
all_of(List *guard)
{
	return list_length(guard) == 1 ? linitial(guard) : make_andclause(guard);
}

/*
 * A call that stands in several places is made where any of the guards holds.
 * If a guard depends on the call itself, it is left out: where it holds and
 * the others do not, the call will be made plainly.
 */
static void
add_place(CcrCall *call, List *guard)
{
	if (call->guard == NIL || equal(call->guard, guard))
		return;
	if (guard == NIL)
		call->guard = NIL;
	else if (!mentions_walker((Node *) guard, call->call))
		call->guard = list_make1(make_orclause(list_make2(all_of(call->guard),
														  all_of(guard))));
}

static void
add_call(Finder *finder, FuncExpr *expr)
{
	CcrCall    *call = ccr_calls_member(finder->calls, expr);
	const Bitmapset *passed = finder->calls->passed;
	List	   *guard = finder->guard;

	if (!ccr_is_lookup(expr->funcid))
		return;
	if (finder->calls->params)
	{
		guard = guard_from_outside(finder->calls, guard);
		if (list_length(guard) < list_length(finder->guard) && expr->args &&
			!infallible((Node *) expr->args))
			return;
	}
	if (ccr_call_obstacle(expr) ||
		!reachable(finder->calls, (Node *) expr->args) ||
		!reachable(finder->calls, (Node *) guard) || !movable((Node *) guard) ||
		bms_overlap(ccr_params_of((Node *) expr->args), finder->unset) ||
		bms_overlap(ccr_params_of((Node *) guard), finder->unset) ||
		(passed && !bms_overlap(ccr_params_of((Node *) expr->args), passed)))
		return;
	if (call)
	{
		add_place(call, guard);
		return;
	}
	call = palloc0(sizeof(CcrCall));
	call->call = expr;
	call->guard = guard;
	finder->calls->calls = lappend(finder->calls->calls, call);
}

/*
 * A record is looked up ahead where its fields are taken apart at once: what
 * else may be done with it needs the call itself, to tell its columns.
 */
static void
find_record(Finder *finder, Expr *expr)
{
	if (IsA(expr, FuncExpr) && ((FuncExpr *) expr)->funcresulttype == RECORDOID)
	{
		(void) find_walker((Node *) ((FuncExpr *) expr)->args, finder);
		add_call(finder, (FuncExpr *) expr);
	}
	else
		(void) find_walker((Node *) expr, finder);
}

/* What compares a sub-plan's rows needs their values. */
static void
find_in_subplan(Finder *finder, SubPlan *subplan)
{
	Finder		inner = *finder;
	ListCell   *lc;

	(void) find_walker((Node *) subplan->args, finder);
	inner.unset = bms_copy(finder->unset);
	foreach(lc, subplan->paramIds)
		inner.unset = bms_add_member(inner.unset, lfirst_int(lc));
	(void) find_walker(subplan->testexpr, &inner);
}

/*
 * Only nodes that are known to evaluate all that is in them are entered, or
 * with what decides about it.
 */
static bool
find_walker(Node *node, void *context)
{
	Finder	   *finder = context;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_BoolExpr:
			find_in_bool(finder, (BoolExpr *) node);
			return false;
		case T_CoalesceExpr:
			find_in_coalesce(finder, (CoalesceExpr *) node);
			return false;
		case T_CaseExpr:
			find_in_case(finder, (CaseExpr *) node);
			return false;
		case T_RowCompareExpr:
			/* the first pair that differs decides */
			(void) find_walker(linitial(((RowCompareExpr *) node)->largs), finder);
			return find_walker(linitial(((RowCompareExpr *) node)->rargs), finder);
		case T_ArrayCoerceExpr:
			return find_walker((Node *) ((ArrayCoerceExpr *) node)->arg, finder);
		case T_FuncExpr:
			(void) expression_tree_walker(node, find_walker, finder);
			if (((FuncExpr *) node)->funcresulttype != RECORDOID)
				add_call(finder, (FuncExpr *) node);
			return false;
		case T_FieldSelect:
			find_record(finder, ((FieldSelect *) node)->arg);
			return false;
		case T_RangeTblFunction:
			find_record(finder, (Expr *) ((RangeTblFunction *) node)->funcexpr);
			return false;
		case T_RelabelType:
			if (ccr_is_cell_wanted(node))
				find_record(finder, ((RelabelType *) node)->arg);
			else
				(void) expression_tree_walker(node, find_walker, finder);
			return false;
		case T_SubPlan:
			find_in_subplan(finder, (SubPlan *) node);
			return false;
		case T_List:
		case T_TargetEntry:
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
		case T_ScalarArrayOpExpr:
		case T_SubscriptingRef:
		case T_FieldStore:
		case T_CoerceViaIO:
		case T_ConvertRowtypeExpr:
		case T_CollateExpr:
		case T_ArrayExpr:
		case T_RowExpr:
		case T_MinMaxExpr:
		case T_NullTest:
		case T_BooleanTest:
		case T_CoerceToDomain:
			return expression_tree_walker(node, find_walker, finder);
		default:
			return false;
	}
}

void
ccr_calls_find(CcrCalls *calls, Node *node, List *guard)
{
	Finder		finder = {
		.calls = calls,
		.guard = guard,
		.unset = bms_copy(calls->unset)
	};

	(void) find_walker(node, &finder);
}

/* However conditional what an aggregate is used for, its arguments are evaluated. */
static bool
aggregates_walker(Node *node, void *context)
{
	Finder	   *finder = context;
	List	   *args;
	Expr	   *filter;

	if (node == NULL)
		return false;
	if (IsA(node, Aggref))
	{
		args = ((Aggref *) node)->args;
		filter = ((Aggref *) node)->aggfilter;
	}
	else if (IsA(node, WindowFunc))
	{
		args = ((WindowFunc *) node)->args;
		filter = ((WindowFunc *) node)->aggfilter;
	}
	else
		return expression_tree_walker(node, aggregates_walker, context);
	(void) find_walker((Node *) filter, finder);
	find_under(finder, (Node *) args, filter ? list_make1(filter) : NIL);
	return false;
}

void
ccr_calls_find_in_aggregates(CcrCalls *calls, Node *node)
{
	Finder		finder = {.calls = calls, .guard = NIL};

	(void) aggregates_walker(node, &finder);
}

void
ccr_calls_find_in_quals(CcrCalls *calls, List *quals, List *guard)
{
	List	   *before = list_copy(guard);
	ListCell   *lc;

	foreach(lc, quals)
	{
		ccr_calls_find(calls, lfirst(lc), list_copy(before));
		before = lappend(before, lfirst(lc));
	}
}

CcrCall *
ccr_calls_member(const CcrCalls *calls, FuncExpr *expr)
{
	ListCell   *lc;

	foreach(lc, calls->calls)
	{
		CcrCall    *call = lfirst(lc);

		if (equal(call->call, expr))
			return call;
	}
	return NULL;
}

/* ------------------------------------------------------------ wanted cells */

#define CCR_CELL_TYPMOD		(-2)	/* no RelabelType but ours has it */

Node *
ccr_cell_wanted(FuncExpr *call)
{
	return (Node *) makeRelabelType((Expr *) call, BYTEAOID, CCR_CELL_TYPMOD, InvalidOid,
									COERCE_IMPLICIT_CAST);
}

bool
ccr_is_cell_wanted(Node *node)
{
	return IsA(node, RelabelType) &&
		((RelabelType *) node)->resulttypmod == CCR_CELL_TYPMOD;
}
