/*-------------------------------------------------------------------------
 *
 * hidden.c
 *	  Functions that an expression runs without naming them.
 *
 * PostgreSQL takes a coercion to a domain for immutable, and an aggregate for
 * what its pg_proc row says, which is always the same.  Of a function that makes
 * a value of any type (from text, from JSON) it does not ask which type that is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "executor/executor.h"
#include "hidden.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

static bool
check_parts(const FormData_pg_aggregate *form, check_function_callback checker,
			void *context)
{
	Oid			parts[] = {
		form->aggtransfn, form->aggfinalfn, form->aggcombinefn,
		form->aggserialfn, form->aggdeserialfn, form->aggmtransfn,
		form->aggminvtransfn, form->aggmfinalfn
	};

	for (int i = 0; i < (int) lengthof(parts); i++)
		if (OidIsValid(parts[i]) && checker(parts[i], context))
			return true;
	return false;
}

/* False for a window function that is no aggregate. */
static bool
check_aggregate(Oid function, check_function_callback checker, void *context)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(function));
	bool		found;

	if (!HeapTupleIsValid(tuple))
		return false;
	found = check_parts((Form_pg_aggregate) GETSTRUCT(tuple), checker, context);
	ReleaseSysCache(tuple);
	return found;
}

bool
ccr_check_functions(Node *node, check_function_callback checker, void *context)
{
	if (IsA(node, Aggref) &&
		check_aggregate(((Aggref *) node)->aggfnoid, checker, context))
		return true;
	if (IsA(node, WindowFunc) &&
		check_aggregate(((WindowFunc *) node)->winfnoid, checker, context))
		return true;
	return check_functions_in_node(node, checker, context);
}

static void add_checks_of_type(List **checks, Oid type);

static void
add_checks_of_domain(List **checks, Oid domain)
{
	/* it is released with the memory context */
	DomainConstraintRef *ref = palloc(sizeof(DomainConstraintRef));
	ListCell   *lc;

	InitDomainConstraintRef(domain, ref, CurrentMemoryContext, false);
	foreach(lc, ref->constraints)
	{
		DomainConstraintState *constraint = lfirst(lc);

		if (constraint->check_expr)
			*checks = lappend(*checks, constraint->check_expr);
	}
}

static void
add_checks_of_columns(List **checks, Oid type)
{
	TupleDesc	tupdesc = lookup_rowtype_tupdesc_domain(type, -1, true);

	if (tupdesc == NULL)
		return;
	for (int i = 0; i < tupdesc->natts; i++)
		if (!TupleDescAttr(tupdesc, i)->attisdropped)
			add_checks_of_type(checks, TupleDescAttr(tupdesc, i)->atttypid);
	ReleaseTupleDesc(tupdesc);
}

/* Those that are evaluated as a value of a type is made from another form. */
static void
add_checks_of_type(List **checks, Oid type)
{
	Oid			element = get_element_type(type);

	check_stack_depth();
	if (OidIsValid(element))
		add_checks_of_type(checks, element);
	else if (type >= FirstNormalObjectId)
		switch (get_typtype(type))
		{
			case TYPTYPE_DOMAIN:
				add_checks_of_domain(checks, type);
				add_checks_of_type(checks, getBaseType(type));
				break;
			case TYPTYPE_COMPOSITE:
				add_checks_of_columns(checks, type);
				break;
			case TYPTYPE_RANGE:
				add_checks_of_type(checks, get_range_subtype(type));
				break;
			case TYPTYPE_MULTIRANGE:
				add_checks_of_type(checks, get_multirange_range(type));
				break;
			default:
				break;
		}
}

List *
ccr_domain_checks(Node *node)
{
	List	   *checks = NIL;
	ListCell   *lc;

	if (IsA(node, CoerceToDomain))
		add_checks_of_domain(&checks, ((CoerceToDomain *) node)->resulttype);
	else if (IsA(node, FuncExpr) || IsA(node, CoerceViaIO) || CCR_IS_JSON_EXPR(node))
		add_checks_of_type(&checks, exprType(node));
	else if (IsA(node, RangeTblFunction))
		foreach(lc, ((RangeTblFunction *) node)->funccoltypes)
			add_checks_of_type(&checks, lfirst_oid(lc));
	return checks;
}

static bool
function_is_volatile(Oid function, void *context)
{
	return func_volatile(function) == PROVOLATILE_VOLATILE;
}

static bool
volatile_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, NextValueExpr) ||
		ccr_check_functions(node, function_is_volatile, NULL) ||
		volatile_walker((Node *) ccr_domain_checks(node), context))
		return true;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, volatile_walker, context, 0);
	return expression_tree_walker(node, volatile_walker, context);
}

bool
ccr_is_volatile(Node *node)
{
	return volatile_walker(node, NULL);
}
