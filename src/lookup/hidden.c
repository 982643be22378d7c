/*-------------------------------------------------------------------------
 *
 * hidden.c
 *	  Functions that an expression runs without naming them.
 *
 * PostgreSQL takes a coercion to a domain for immutable, and an aggregate for
 * what its pg_proc row says, which is always the same.  Of a function that makes
 * a value of any type (from text, from JSON), or JSON of any value, it does not
 * ask which type that is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "lookup/callable.h"
#include "lookup/hidden.h"
#include "miscadmin.h"
#include "shared/compat.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

static bool
check_parts(const FormData_pg_aggregate * form, check_function_callback checker,
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
check_hidden_aggregate(Oid function, check_function_callback checker, void *context)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(function));
	bool		found;

	if (!HeapTupleIsValid(tuple))
		return false;
	found = check_parts((Form_pg_aggregate) GETSTRUCT(tuple), checker, context);
	ReleaseSysCache(tuple);
	return found;
}

/* Has it, or may a part of it have, a cast to JSON that is not PostgreSQL's? */
static bool
may_have_cast(Oid type)
{
	Oid			element = get_element_type(type);

	if (OidIsValid(element))
		type = element;
	return type >= FirstNormalObjectId || type == RECORDOID || type == RECORDARRAYOID;
}

static bool
any_may_have_cast(List *args)
{
	ListCell   *lc;

	foreach(lc, args)
	{
		Node	   *arg = lfirst(lc);

		if (IsA(arg, TargetEntry))
			arg = (Node *) ((TargetEntry *) arg)->expr;
		if (may_have_cast(exprType(arg)))
			return true;
	}
	return false;
}

static bool
makes_json(Oid type)
{
	return type == JSONOID || type == JSONBOID;
}

/* Is it something that makes JSON of its arguments, by casts of their types? */
static bool
casts_to_json(Node *node)
{
	switch (nodeTag(node))
	{
		case T_FuncExpr:
			return ((FuncExpr *) node)->funcid < FirstNormalObjectId &&
				makes_json(((FuncExpr *) node)->funcresulttype) &&
				any_may_have_cast(((FuncExpr *) node)->args);
		case T_Aggref:
			return makes_json(((Aggref *) node)->aggtype) &&
				any_may_have_cast(((Aggref *) node)->args);
		case T_WindowFunc:
			return makes_json(((WindowFunc *) node)->wintype) &&
				any_may_have_cast(((WindowFunc *) node)->args);
		default:
			return CCR_IS_JSON_CONSTRUCTOR(node) &&
				any_may_have_cast(CCR_JSON_CONSTRUCTOR_ARGS(node));
	}
}

/* The functions of casts to JSON; PostgreSQL has none for its own. */
static List *
find_casts_to_json(void)
{
	Relation	rel = table_open(CastRelationId, AccessShareLock);
	List	   *functions = NIL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_cast_casttarget, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(JSONOID));
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Oid			function = ((Form_pg_cast) GETSTRUCT(tuple))->castfunc;

		if (OidIsValid(function))
			functions = lappend_oid(functions, function);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return functions;
}

static const List *
casts_to_json_known(void)
{
	static List *known = NIL;
	static uint64 known_as_of = 0;
	uint64		as_of = ccr_callables_changed();

	if (known_as_of != as_of)
	{
		List	   *found = find_casts_to_json();
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		found = list_copy(found);
		MemoryContextSwitchTo(old);
		list_free(known);
		known = found;
		known_as_of = as_of;
	}
	return known;
}

/* The types within a record are known only as it comes: so all are asked about. */
static bool
check_casts_to_json(check_function_callback checker, void *context)
{
	ListCell   *lc;

	foreach(lc, casts_to_json_known())
	{
		if (checker(lfirst_oid(lc), context))
			return true;
	}
	return false;
}

bool
ccr_check_functions(Node *node, check_function_callback checker, void *context)
{
	if (IsA(node, Aggref) &&
		check_hidden_aggregate(((Aggref *) node)->aggfnoid, checker, context))
		return true;
	if (IsA(node, WindowFunc) &&
		check_hidden_aggregate(((WindowFunc *) node)->winfnoid, checker, context))
		return true;
	if (casts_to_json(node) && check_casts_to_json(checker, context))
		return true;
	return check_functions_in_node(node, checker, context);
}

/* What is found in types, and which of them were looked at. */
typedef struct Hidden
{
	List	   *checks;
	List	   *types;
} Hidden;

static void add_type(Hidden *hidden, Oid type);

static void
add_domain(Hidden *hidden, Oid domain)
{
	/* it is released with the memory context */
	DomainConstraintRef *ref = palloc(sizeof(DomainConstraintRef));
	ListCell   *lc;

	hidden->types = lappend_oid(hidden->types, domain);
	InitDomainConstraintRef(domain, ref, CurrentMemoryContext, false);
	foreach(lc, ref->constraints)
	{
		DomainConstraintState *constraint = lfirst(lc);

		if (constraint->check_expr)
			hidden->checks = lappend(hidden->checks, constraint->check_expr);
	}
}

static void
add_columns(Hidden *hidden, Oid type)
{
	TupleDesc	tupdesc = lookup_rowtype_tupdesc_domain(type, -1, true);

	hidden->types = lappend_oid(hidden->types, type);
	if (tupdesc == NULL)
		return;
	for (int i = 0; i < tupdesc->natts; i++)
		if (!TupleDescAttr(tupdesc, i)->attisdropped)
			add_type(hidden, TupleDescAttr(tupdesc, i)->atttypid);
	ReleaseTupleDesc(tupdesc);
}

/* Those that are evaluated as a value of a type is made from another form. */
static void
add_type(Hidden *hidden, Oid type)
{
	Oid			element = get_element_type(type);

	check_stack_depth();
	if (OidIsValid(element))
		add_type(hidden, element);
	else if (type >= FirstNormalObjectId)
		switch (get_typtype(type))
		{
			case TYPTYPE_DOMAIN:
				add_domain(hidden, type);
				add_type(hidden, getBaseType(type));
				break;
			case TYPTYPE_COMPOSITE:
				add_columns(hidden, type);
				break;
			case TYPTYPE_RANGE:
				add_type(hidden, get_range_subtype(type));
				break;
			case TYPTYPE_MULTIRANGE:
				add_type(hidden, get_multirange_range(type));
				break;
			default:
				break;
		}
}

static void
add_types(Hidden *hidden, List *types)
{
	ListCell   *lc;

	foreach(lc, types)
		add_type(hidden, lfirst_oid(lc));
}

List *
ccr_domain_checks(Node *node, List **types)
{
	Hidden		hidden = {0};

	if (IsA(node, CoerceToDomain))
		add_domain(&hidden, ((CoerceToDomain *) node)->resulttype);
	else if (IsA(node, FuncExpr) || IsA(node, CoerceViaIO) || CCR_IS_JSON_EXPR(node))
		add_type(&hidden, exprType(node));
	else if (IsA(node, RangeTblFunction))
		add_types(&hidden, ((RangeTblFunction *) node)->funccoltypes);
	else if (IsA(node, TableFunc))
		add_types(&hidden, ((TableFunc *) node)->coltypes);
	if (types)
		*types = hidden.types;
	return hidden.checks;
}

List *
ccr_domain_checks_of_type(Oid type, List **types)
{
	Hidden		hidden = {0};

	add_type(&hidden, type);
	*types = hidden.types;
	return hidden.checks;
}

/*
 * Also what changes within a statement as others of its functions write, though
 * PostgreSQL has it as STABLE.
 */
bool
ccr_function_is_volatile(Oid function)
{
	return func_volatile(function) == PROVOLATILE_VOLATILE ||
		function == F_PG_CURRENT_XACT_ID_IF_ASSIGNED ||
		function == F_TXID_CURRENT_IF_ASSIGNED;
}

static bool
function_is_volatile(Oid function, void *context)
{
	return ccr_function_is_volatile(function);
}

static bool
volatile_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, NextValueExpr) ||
		ccr_check_functions(node, function_is_volatile, NULL) ||
		volatile_walker((Node *) ccr_domain_checks(node, NULL), context))
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
