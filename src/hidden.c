/*-------------------------------------------------------------------------
 *
 * hidden.c
 *	  Functions that an expression runs without naming them.
 *
 * PostgreSQL takes a coercion to a domain for immutable, and an aggregate for
 * what its pg_proc row says, which is always the same.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_proc.h"
#include "executor/executor.h"
#include "hidden.h"
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

List *
ccr_domain_checks(Node *node)
{
	DomainConstraintRef *ref;
	List	   *checks = NIL;
	ListCell   *lc;

	if (!IsA(node, CoerceToDomain))
		return NIL;
	/* it is released with the memory context */
	ref = palloc(sizeof(DomainConstraintRef));
	InitDomainConstraintRef(((CoerceToDomain *) node)->resulttype, ref,
							CurrentMemoryContext, false);
	foreach(lc, ref->constraints)
	{
		DomainConstraintState *constraint = lfirst(lc);

		if (constraint->check_expr)
			checks = lappend(checks, constraint->check_expr);
	}
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
