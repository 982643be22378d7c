/*-------------------------------------------------------------------------
 *
 * scan_calls.c
 *	  The calls of lookups in expressions, and when SQL makes them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/proclang.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lookup/barrier.h"
#include "lookup/hidden.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/plannodes.h"
#include "optimizer/optimizer.h"
#include "scan/scan_calls.h"
#include "shared/compat.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
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
is_movable(Node *node)
{
	bool		outside = false;

	return !tied_to_its_place_walker(node, &outside) &&
		!ccr_is_volatile(node);
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
	if (ccr_is_volatile((Node *) call->args))
		return "an argument is volatile";
	if (!is_movable((Node *) call->args))
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

/* Only nodes that evaluate all that is in them are entered. */
static bool
certain_params_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Param:
			return params_walker(node, context);
		case T_List:
		case T_FuncExpr:
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
		case T_RelabelType:
		case T_CoerceViaIO:
		case T_CollateExpr:
		case T_ArrayExpr:
		case T_RowExpr:
		case T_MinMaxExpr:
		case T_NullTest:
		case T_BooleanTest:
			return expression_tree_walker(node, certain_params_walker, context);
		default:
			return false;
	}
}

Bitmapset *
ccr_params_for_certain(Node *node)
{
	Bitmapset  *params = NULL;

	(void) certain_params_walker(node, &params);
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
	{
		foreach(lc, ((SubPlan *) node)->setParam)
			* params = bms_add_member(*params, lfirst_int(lc));
	}
	return expression_tree_walker(node, params_set_walker, context);
}

Bitmapset *
ccr_params_set_by(Node *node)
{
	Bitmapset  *params = NULL;

	(void) params_set_walker(node, &params);
	return params;
}

/* -------------------------------------------------------------- operators */

/* How a sub-plan's rows are compared is to be told from the operators. */
static bool
holds_operator_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, SubPlan))
		return holds_operator_walker((Node *) ((SubPlan *) node)->args, context);
	if (IsA(node, OpExpr) && ccr_is_lookup(((OpExpr *) node)->opfuncid))
		return true;
	return expression_tree_walker(node, holds_operator_walker, context);
}

static Node *
operator_mutator(Node *node, void *context)
{
	OpExpr	   *operator;
	FuncExpr   *call;

	if (node == NULL)
		return NULL;
	if (IsA(node, SubPlan))
	{
		SubPlan    *copy = copyObject((SubPlan *) node);

		copy->args = (List *) operator_mutator((Node *) copy->args, context);
		return (Node *) copy;
	}
	node = expression_tree_mutator(node, operator_mutator, context);
	operator = (OpExpr *) node;
	if (!IsA(node, OpExpr) || !ccr_is_lookup(operator->opfuncid))
		return node;
	call = makeFuncExpr(operator->opfuncid, operator->opresulttype, operator->args,
						operator->opcollid, operator->inputcollid, COERCE_EXPLICIT_CALL);
	call->funcretset = operator->opretset;
	call->location = operator->location;
	return (Node *) call;
}

Node *
ccr_calls_of_operators(Node *node)
{
	if (!holds_operator_walker(node, NULL))
		return node;
	return operator_mutator(node, NULL);
}

/* ------------------------------------------------------------ wanted cells */

#define CCR_CELL_TYPMOD		(-2)	/* no RelabelType but ours has it, or
									 * less: by certainty */

Node *
ccr_cell_wanted(FuncExpr *call, List *guard, CcrCertainty certainty)
{
	Expr	   *conditional = (Expr *) call;

	if (guard != NIL)
	{
		CaseExpr   *choice = makeNode(CaseExpr);
		CaseWhen   *when = makeNode(CaseWhen);

		when->expr = (Expr *) makeBoolExpr(AND_EXPR, guard, -1);
		when->result = (Expr *) call;
		when->location = -1;
		choice->casetype = call->funcresulttype;
		choice->args = list_make1(when);
		choice->location = -1;
		conditional = (Expr *) choice;
	}
	return (Node *) makeRelabelType(conditional, BYTEAOID, CCR_CELL_TYPMOD - certainty,
									InvalidOid, COERCE_IMPLICIT_CAST);
}

bool
ccr_is_cell_wanted(Node *node)
{
	return IsA(node, RelabelType) &&
		((RelabelType *) node)->resulttypmod <= CCR_CELL_TYPMOD;
}

static CcrCertainty
certainty_of_wanted(const RelabelType *wanted)
{
	return CCR_CELL_TYPMOD - wanted->resulttypmod;
}

static List *
guard_of_wanted(const RelabelType *wanted)
{
	if (!IsA(wanted->arg, CaseExpr))
		return NIL;
	return ((BoolExpr *) linitial_node(CaseWhen, ((CaseExpr *) wanted->arg)->args)->expr)->args;
}

FuncExpr *
ccr_call_of_wanted(Node *node)
{
	Expr	   *call = ((RelabelType *) node)->arg;

	if (IsA(call, CaseExpr))
		call = linitial_node(CaseWhen, ((CaseExpr *) call)->args)->result;
	return castNode(FuncExpr, call);
}

/* -------------------------------------------------------------- infallible */

static bool infallible_walker(Node *node, void *context);

/*
 * Of PostgreSQL's own functions those that say nothing of their arguments
 * raise no errors on account of them.  A lookup's own failure is kept for its
 * row.
 */
static bool
may_fail(Oid function, void *context)
{
	if (function < FirstNormalObjectId)
		return !get_func_leakproof(function);
	return !ccr_is_lookup(function);
}

/* True at the first thing that may fail. */
static bool
infallible_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_FuncExpr:
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
			if (check_functions_in_node(node, may_fail, NULL))
				return true;
			break;
		case T_ScalarArrayOpExpr:
			if (check_functions_in_node(node, may_fail, NULL) ||
				!IsA(lsecond(((ScalarArrayOpExpr *) node)->args), Const))
				return true;
			break;
		case T_List:
		case T_TargetEntry:
		case T_Var:
		case T_Const:
		case T_Param:
		case T_CaseTestExpr:
		case T_RelabelType:
		case T_CollateExpr:
		case T_BoolExpr:
		case T_NullTest:
		case T_BooleanTest:
		case T_CaseExpr:
		case T_CaseWhen:
		case T_CoalesceExpr:
			break;
		default:
			return true;
	}
	return expression_tree_walker(node, infallible_walker, context);
}

bool
ccr_infallible(Node *node)
{
	return !infallible_walker(node, NULL);
}

static bool
may_fail_or_be_lookup(Oid function, void *context)
{
	return may_fail(function, context) || ccr_is_lookup(function);
}

bool
ccr_may_fail_by_itself(Node *node)
{
	return check_functions_in_node(node, may_fail_or_be_lookup, NULL);
}

/* -------------------------------------------------------------- with guards */

/*
 * Conditions that must hold, the innermost first.  Those of one place share
 * what comes before them, so that finding takes memory linear in the size of
 * the expression; a list of them is made only for a call.
 */
typedef struct Guard
{
	const struct Guard *before;
	Node	   *condition;		/* or, if NULL: */
	List	   *undecided;		/* what an AND or OR goes on after, */
	int			n;				/* so many of its arguments, */
	BoolTestType open;			/* since each of them is this */
} Guard;

typedef struct Finder
{
	CcrCalls   *calls;
	const Guard *guard;
	CcrCertainty certainty;		/* where the guard holds */
	Bitmapset  *unset;			/* parameters that have no value yet */
} Finder;

static bool find_walker(Node *node, void *context);

static const Guard *
guard_also(const Guard *before, void *condition)
{
	Guard	   *guard = palloc0(sizeof(Guard));

	guard->before = before;
	guard->condition = condition;
	return guard;
}

static const Guard *
guard_also_all(const Guard *before, List *conditions)
{
	ListCell   *lc;

	foreach(lc, conditions)
		before = guard_also(before, lfirst(lc));
	return before;
}

static void
find_under(Finder *finder, Node *node, const Guard *guard)
{
	Finder		inner = *finder;

	inner.guard = guard;
	(void) find_walker(node, &inner);
}

static Expr *
boolean_test(Expr *condition, BoolTestType type)
{
	BooleanTest *test = makeNode(BooleanTest);

	test->arg = condition;
	test->booltesttype = type;
	test->location = -1;
	return (Expr *) test;
}

static Expr *
null_test(Expr *arg, NullTestType type)
{
	NullTest   *test = makeNode(NullTest);

	test->arg = arg;
	test->nulltesttype = type;
	test->argisrow = false;
	test->location = -1;
	return (Expr *) test;
}

/*
 * Each argument is evaluated unless one before has decided.  There may be
 * thousands, without a call in them, so no condition is made of one in advance.
 */
static void
find_in_bool(Finder *finder, BoolExpr *expr)
{
	Guard		guard = {
		.before = finder->guard,
		.undecided = expr->args,
		.open = expr->boolop == AND_EXPR ? IS_NOT_FALSE : IS_NOT_TRUE
	};
	ListCell   *lc;

	foreach(lc, expr->args)
	{
		find_under(finder, lfirst(lc), &guard);
		guard.n++;
	}
}

static void
find_in_coalesce(Finder *finder, CoalesceExpr *expr)
{
	const Guard *guard = finder->guard;
	ListCell   *lc;

	foreach(lc, expr->args)
	{
		find_under(finder, lfirst(lc), guard);
		guard = guard_also(guard, null_test(lfirst(lc), IS_NULL));
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
			return (Node *) argument;
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
			return node;
	}
}

static void
find_in_case(Finder *finder, CaseExpr *expr)
{
	const Guard *guard = finder->guard;
	ListCell   *lc;

	(void) find_walker((Node *) expr->arg, finder);
	foreach(lc, expr->args)
	{
		CaseWhen   *when = lfirst_node(CaseWhen, lc);
		Expr	   *condition = when->expr;

		find_under(finder, (Node *) condition, guard);
		if (expr->arg)
			condition = (Expr *) put_argument((Node *) condition, expr->arg);
		find_under(finder, (Node *) when->result, guard_also(guard, condition));
		guard = guard_also(guard, boolean_test(condition, IS_NOT_TRUE));
	}
	find_under(finder, (Node *) expr->defresult, guard);
}

/*
 * The first pair that differs decides, or of which one is NULL.  Who compares
 * need not be strict, nor agree with the operator: then a call that is needed
 * is made plainly, or one is asked for in vain.
 */
static void
find_in_row_comparison(Finder *finder, RowCompareExpr *expr)
{
	const Guard *guard = finder->guard;
	ListCell   *left;
	ListCell   *right;

	forboth(left, expr->largs, right, expr->rargs)
	{
		int			n = foreach_current_index(left);
		Oid			family = list_nth_oid(expr->opfamilies, n);
		Oid			equality = get_opfamily_member(family, exprType(lfirst(left)),
												   exprType(lfirst(right)),
												   BTEqualStrategyNumber);
		OpExpr	   *equal_so_far;

		find_under(finder, lfirst(left), guard);
		find_under(finder, lfirst(right), guard);

		/* of others the role may not be allowed to execute the function */
		if (!OidIsValid(equality) || get_opcode(equality) >= FirstNormalObjectId)
			return;
		equal_so_far = (OpExpr *) make_opclause(equality, BOOLOID, false, lfirst(left),
												lfirst(right), InvalidOid,
												list_nth_oid(expr->inputcollids, n));
		set_opfuncid(equal_so_far);
		guard = guard_also(guard, equal_so_far);
	}
}

#ifdef CCR_HAVE_JSON_CONSTRUCTORS
/*
 * The function behind it, if there is one, has taken over its arguments.  What
 * makes the result another type is a cast, over a test value.
 */
static void
find_in_json_constructor(Finder *finder, JsonConstructorExpr *expr)
{
	if (expr->func)
		(void) find_walker((Node *) expr->func, finder);
	else
		(void) find_walker((Node *) expr->args, finder);
}
#endif

#ifdef CCR_HAVE_JSON_FUNCTIONS
/*
 * What it looks for in NULL, or by a path that is NULL, is NULL.  What it gives
 * on error, or if there is nothing, is evaluated then.
 */
static void
find_in_json_function(Finder *finder, JsonExpr *expr)
{
	const Guard *guard = finder->guard;

	find_under(finder, expr->formatted_expr, guard);
	guard = guard_also(guard, null_test((Expr *) expr->formatted_expr, IS_NOT_NULL));
	find_under(finder, expr->path_spec, guard);
	guard = guard_also(guard, null_test((Expr *) expr->path_spec, IS_NOT_NULL));
	find_under(finder, (Node *) expr->passing_values, guard);
}
#endif

/* Of a container that is NULL nothing is fetched, so no subscript matters. */
static void
find_in_subscripts(Finder *finder, SubscriptingRef *ref)
{
	const Guard *guard = finder->guard;

	(void) find_walker((Node *) ref->refexpr, finder);
	if (ref->refassgnexpr == NULL)
		guard = guard_also(guard, null_test(ref->refexpr, IS_NOT_NULL));
	find_under(finder, (Node *) ref->refupperindexpr, guard);
	find_under(finder, (Node *) ref->reflowerindexpr, guard);
	find_under(finder, (Node *) ref->refassgnexpr, guard);
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
is_reachable(const CcrCalls *calls, Node *node)
{
	int			varno = calls->varno;

	if (varno == 0 && calls->params == NULL)
		return true;
	return !vars_walker(node, &varno) &&
		(calls->params == NULL || bms_is_subset(ccr_params_of(node), calls->params));
}

/* Can it be told ahead, from where the call is to be looked up? */
static bool
is_tellable(const Finder *finder, Node *node)
{
	return is_reachable(finder->calls, node) && is_movable(node) &&
		!bms_overlap(ccr_params_of(node), finder->unset);
}

static bool
count_walker(Node *node, void *context)
{
	int64	   *left = context;

	if (node == NULL)
		return false;
	return --* left < 0 || expression_tree_walker(node, count_walker, context);
}

/* What is searched is measured once there is a guard, which is not often. */
static void
make_room_for_calls(CcrCalls *calls)
{
	int64		size = PG_INT32_MAX;

	(void) count_walker(calls->unmeasured, &size);
	calls->unmeasured = NULL;
	if (calls->room == 0)
		calls->room = CCR_GUARD_ROOM;
	calls->room += 2 * (PG_INT32_MAX - size);
}

/* Guards are copied for their calls, so there is a bound on all of them. */
static bool
takes_room(CcrCalls *calls, const Guard *guard)
{
	if (guard && calls->unmeasured)
		make_room_for_calls(calls);
	for (; guard; guard = guard->before)
	{
		if (guard->condition && count_walker(guard->condition, &calls->room))
			return false;
		for (int i = 0; i < guard->n; i++)
			if (count_walker(list_nth(guard->undecided, i), &calls->room))
				return false;
	}
	return true;
}

/*
 * On an inner side some conditions cannot be told from outside: without them it
 * is less sure that the call is made.  False: it cannot be made ahead.
 */
static bool
put_condition(const Finder *finder, Node *condition, List **conditions,
			  CcrCertainty *certainty)
{
	if (is_tellable(finder, condition))
		*conditions = lcons(condition, *conditions);
	else if (finder->calls->params || *certainty == CCR_UNSURE)
		*certainty = CCR_UNSURE;
	else
		return false;
	return true;
}

/* The conditions as a list.  False: the call cannot be made ahead. */
static bool
guard_of(const Finder *finder, List **conditions, CcrCertainty *certainty)
{
	*conditions = NIL;
	*certainty = finder->certainty;
	if (!takes_room(finder->calls, finder->guard))
		return false;
	for (const Guard *guard = finder->guard; guard; guard = guard->before)
	{
		if (guard->condition &&
			!put_condition(finder, guard->condition, conditions, certainty))
			return false;
		for (int i = guard->n - 1; i >= 0; i--)
			if (!put_condition(finder, (Node *) boolean_test(list_nth(guard->undecided, i), guard->open),
							   conditions, certainty))
				return false;
	}
	return *certainty == CCR_CERTAIN || ccr_infallible((Node *) *conditions);
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
 * the others do not, the call will be made plainly.  So are places that are
 * less sure than another.
 */
static void
add_place(CcrCall *call, List *guard, CcrCertainty certainty)
{
	if (certainty < call->certainty)
	{
		call->certainty = certainty;
		call->guard = guard;
		call->alternatives = NULL;
		return;
	}
	if (certainty > call->certainty || call->guard == NIL || equal(call->guard, guard))
		return;
	if (guard == NIL)
		call->guard = NIL;
	else if (!mentions_walker((Node *) guard, call->call))
	{
		if (call->alternatives == NULL)
		{
			call->alternatives = (BoolExpr *) make_orclause(list_make1(all_of(call->guard)));
			call->guard = list_make1(call->alternatives);
		}
		call->alternatives->args = lappend(call->alternatives->args, all_of(guard));
	}
}

static void
add_call(Finder *finder, FuncExpr *expr)
{
	CcrCalls   *calls = finder->calls;
	const Bitmapset *passed = calls->passed;
	CcrCertainty certainty;
	CcrCall    *call;
	List	   *guard;

	if (!ccr_is_lookup(expr->funcid))
		return;

	/* another place makes no difference to a call that is always made */
	call = ccr_calls_member(calls, expr);
	if (call && call->guard == NIL && call->certainty == CCR_CERTAIN)
		return;
	if (ccr_call_obstacle(expr) ||
		!is_tellable(finder, (Node *) expr->args) ||
		(passed && !bms_overlap(ccr_params_of((Node *) expr->args), passed)) ||
		!guard_of(finder, &guard, &certainty) ||
		(certainty == CCR_UNSURE && !ccr_infallible((Node *) expr->args)))
		return;
	if (call)
	{
		add_place(call, guard, certainty);
		return;
	}
	if (list_length(calls->calls) >= CCR_MAX_CALLS)
		return;
	call = palloc0(sizeof(CcrCall));
	call->call = expr;
	call->guard = guard;
	call->certainty = certainty;
	calls->calls = lappend(calls->calls, call);
}

/*
 * A record that is taken apart at once can always be looked up ahead.  What else
 * is done with it may need the call itself, to tell its columns.
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

/* A cell that a sub-plan is to be passed, if the call in it can be made ahead. */
static void
find_wanted(Finder *finder, RelabelType *wanted)
{
	Finder		inner = *finder;

	inner.certainty = Max(finder->certainty, certainty_of_wanted(wanted));
	inner.guard = guard_also_all(finder->guard, guard_of_wanted(wanted));
	find_record(&inner, (Expr *) ccr_call_of_wanted((Node *) wanted));
}

/*
 * What compares a sub-plan's rows needs their values, and there may be none of
 * them.
 */
static void
find_in_subplan(Finder *finder, SubPlan *subplan)
{
	Finder		inner = *finder;
	ListCell   *lc;

	(void) find_walker((Node *) subplan->args, finder);
	inner.certainty = CCR_UNSURE;
	inner.unset = bms_copy(finder->unset);
	foreach(lc, subplan->paramIds)
		inner.unset = bms_add_member(inner.unset, lfirst_int(lc));
	(void) find_walker(subplan->testexpr, &inner);
}

/*
 * Only nodes that are known to evaluate all that is in them are entered, or
 * with what decides about it.  All that there are have been looked at, says
 * scripts/check-nodes, which takes the names from here.  The planner removes
 * T_NamedArgExpr, T_SubLink, T_AlternativeSubPlan, T_InferenceElem and
 * T_WindowFuncRunCondition.  T_MergeSupportFunc and T_ReturningExpr, which not
 * all versions have, are evaluated on rows as they are written.  A T_CaseWhen is
 * part of its T_CaseExpr.
 */
static bool
find_walker(Node *node, void *context)
{
	Finder	   *finder = context;

	if (node == NULL)
		return false;
	check_stack_depth();
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
			find_in_row_comparison(finder, (RowCompareExpr *) node);
			return false;
		case T_ArrayCoerceExpr:
			return find_walker((Node *) ((ArrayCoerceExpr *) node)->arg, finder);
		case T_FuncExpr:
			(void) expression_tree_walker(node, find_walker, finder);
			if (((FuncExpr *) node)->funcresulttype != RECORDOID || finder->calls->records)
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
				find_wanted(finder, (RelabelType *) node);
			else
				(void) expression_tree_walker(node, find_walker, finder);
			return false;
		case T_SubPlan:
			find_in_subplan(finder, (SubPlan *) node);
			return false;
		case T_SubscriptingRef:
			find_in_subscripts(finder, (SubscriptingRef *) node);
			return false;
		case T_TargetEntry:
			/* most have no call, and some are large */
			if (ccr_holds_lookup(node))
				(void) find_walker((Node *) ((TargetEntry *) node)->expr, finder);
			return false;
		case T_List:
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
		case T_ScalarArrayOpExpr:
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
		case T_XmlExpr:
#ifdef CCR_HAVE_JSON_CONSTRUCTORS
		case T_JsonValueExpr:
		case T_JsonIsPredicate:
#endif
			return expression_tree_walker(node, find_walker, finder);
#ifdef CCR_HAVE_JSON_CONSTRUCTORS
		case T_JsonConstructorExpr:
			find_in_json_constructor(finder, (JsonConstructorExpr *) node);
			return false;
#endif
#ifdef CCR_HAVE_JSON_FUNCTIONS
		case T_JsonExpr:
			find_in_json_function(finder, (JsonExpr *) node);
			return false;
#endif

			/* with nothing in them, or what is evaluated elsewhere */
		case T_Var:
		case T_Const:
		case T_Param:
		case T_Aggref:
		case T_GroupingFunc:
		case T_WindowFunc:
		case T_CaseTestExpr:
		case T_SQLValueFunction:
		case T_CoerceToDomainValue:
		case T_SetToDefault:
		case T_CurrentOfExpr:
		case T_NextValueExpr:
		default:
			return false;
	}
}

static Finder
finder_for(CcrCalls *calls, List *guard)
{
	Finder		finder = {
		.calls = calls,
		.guard = guard_also_all(NULL, guard),
		.certainty = calls->certainty,
		.unset = bms_copy(calls->unset)
	};

	return finder;
}

void
ccr_calls_find(CcrCalls *calls, Node *node, List *guard)
{
	Finder		finder;

	if (!ccr_holds_lookup(node))
		return;
	calls->unmeasured = node;
	finder = finder_for(calls, guard);
	(void) find_walker(node, &finder);
}

/*
 * How sure it is that an argument of a window function is evaluated for every
 * row.  lag() and its like look at values of other rows, as they come to them,
 * and at the default for those that have no such row.
 */
static bool
window_argument(const WindowFunc *function, int n, const CcrFrame *frame,
				CcrCertainty *certainty)
{
	bool		each_row = !frame->ends_early;

	if (function->winagg)
		each_row = each_row && frame->covers_all;
	else
		switch (function->winfnoid)
		{
			case F_LAG_ANYELEMENT:
			case F_LAG_ANYELEMENT_INT4:
			case F_LAG_ANYCOMPATIBLE_INT4_ANYCOMPATIBLE:
			case F_LEAD_ANYELEMENT:
			case F_LEAD_ANYELEMENT_INT4:
			case F_LEAD_ANYCOMPATIBLE_INT4_ANYCOMPATIBLE:
			case F_FIRST_VALUE:
			case F_LAST_VALUE:
			case F_NTH_VALUE:
				if (n > 1)
					return false;
				each_row = each_row && n == 1;
				break;
			default:
				return false;
		}
	*certainty = each_row ? CCR_CERTAIN : CCR_UNSURE;
	return true;
}

static void
find_in_window_function(Finder *finder, WindowFunc *function, const CcrFrame *frame)
{
	ListCell   *lc;

	(void) window_argument(function, 0, frame, &finder->certainty);
	(void) find_walker((Node *) function->aggfilter, finder);
	if (function->aggfilter)
		finder->guard = guard_also(finder->guard, function->aggfilter);
	foreach(lc, function->args)
	{
		if (window_argument(function, foreach_current_index(lc), frame, &finder->certainty))
			(void) find_walker(lfirst(lc), finder);
	}
}

typedef struct Aggregates
{
	Finder		finder;
	const CcrFrame *frame;
} Aggregates;

/* However conditional what an aggregate is used for, its arguments are evaluated. */
static bool
aggregates_walker(Node *node, void *context)
{
	Aggregates *aggregates = context;
	Finder		finder = aggregates->finder;

	if (node == NULL)
		return false;
	if (IsA(node, WindowFunc))
		find_in_window_function(&finder, (WindowFunc *) node, aggregates->frame);
	else if (IsA(node, Aggref))
	{
		Aggref	   *aggref = (Aggref *) node;

		(void) find_walker((Node *) aggref->aggfilter, &finder);
		find_under(&finder, (Node *) aggref->args,
				   aggref->aggfilter ? guard_also(finder.guard, aggref->aggfilter) : finder.guard);
	}
	else
		return expression_tree_walker(node, aggregates_walker, context);
	return false;
}

void
ccr_calls_find_in_aggregates(CcrCalls *calls, Node *node, const CcrFrame *frame)
{
	Aggregates	aggregates = {.frame = frame};

	if (!ccr_holds_lookup(node))
		return;
	calls->unmeasured = node;
	aggregates.finder = finder_for(calls, NIL);
	(void) aggregates_walker(node, &aggregates);
}

void
ccr_calls_find_in_quals(CcrCalls *calls, List *quals, List *guard)
{
	Finder		finder;
	ListCell   *lc;

	if (!ccr_holds_lookup((Node *) quals))
		return;
	calls->unmeasured = (Node *) quals;
	finder = finder_for(calls, guard);
	foreach(lc, quals)
	{
		(void) find_walker(lfirst(lc), &finder);
		finder.guard = guard_also(finder.guard, lfirst(lc));
	}
}

/* As a hash value is computed: a key that is NULL makes an end of it. */
void
ccr_calls_find_in_hash_keys(CcrCalls *calls, List *keys)
{
	Finder		finder;
	ListCell   *lc;

	if (!ccr_holds_lookup((Node *) keys))
		return;
	calls->unmeasured = (Node *) keys;
	finder = finder_for(calls, NIL);
	foreach(lc, keys)
	{
		(void) find_walker(lfirst(lc), &finder);
		finder.guard = guard_also(finder.guard, null_test(lfirst(lc), IS_NOT_NULL));
	}
}

/*
 * What a function calls, and the statement calls too, are two calls: not the
 * same settings may count for them.
 */
CcrCall *
ccr_calls_member(const CcrCalls *calls, FuncExpr *expr)
{
	ListCell   *lc;

	foreach(lc, calls->calls)
	{
		CcrCall    *call = lfirst(lc);

		if (equal(call->call, expr) &&
			ccr_barrier_is_own((Node *) call->call) == ccr_barrier_is_own((Node *) expr))
			return call;
	}
	return NULL;
}
