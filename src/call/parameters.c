/*-------------------------------------------------------------------------
 *
 * parameters.c
 *	  Types for the parameters of a statement that are arguments of a lookup.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "call/parameters.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "shared/compat.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static post_parse_analyze_hook_type prev_post_parse_analyze = NULL;

typedef struct Typing
{
	ParseState *pstate;
	bool		again;			/* give others of the same number their type */
	Oid		   *types;			/* by number - 1; InvalidOid: not found */
	int			ntypes;
} Typing;

static bool
is_untyped(const Node *node)
{
	return node != NULL && IsA(node, Param) &&
		((const Param *) node)->paramkind == PARAM_EXTERN &&
		((const Param *) node)->paramtype == UNKNOWNOID;
}

static bool
has_untyped(List *args)
{
	ListCell   *lc;

	foreach(lc, args)
	{
		if (is_untyped(lfirst(lc)))
			return true;
	}
	return false;
}

/* Does it take a lookup and its arguments? */
static bool
takes_arguments(Oid function)
{
	static const char *const names[] = {
		"concresce_submit", "concresce_enqueue", "concresce_forget"
	};
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	bool		found = false;
	bool		isnull;
	char	   *symbol;

	if (!HeapTupleIsValid(tuple))
		return false;
	if (((Form_pg_proc) GETSTRUCT(tuple))->prolang == ClanguageId)
	{
		symbol = TextDatumGetCString(SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull));

		for (int i = 0; i < (int) lengthof(names); i++)
			found |= strcmp(symbol, names[i]) == 0;
	}
	ReleaseSysCache(tuple);
	return found;
}

/* The lookup, if it is named by a literal. */
static Oid
named_lookup(Node *node)
{
	node = strip_implicit_coercions(node);
	while (node && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	if (node == NULL || !IsA(node, Const) || ((Const *) node)->constisnull)
		return InvalidOid;
	switch (((Const *) node)->consttype)
	{
		case REGPROCOID:
		case REGPROCEDUREOID:
			return DatumGetObjectId(((Const *) node)->constvalue);
		default:
			return InvalidOid;
	}
}

/*
 * Of the i-th argument; InvalidOid if there is none, or none that a value can
 * have.  as_array: VARIADIC is said.
 */
static Oid
declared_type(Oid lookup, int i, bool as_array)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(lookup));
	Form_pg_proc proc;
	Oid			type = InvalidOid;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	if (OidIsValid(proc->provariadic) && i >= proc->pronargs - 1 && !as_array)
		type = proc->provariadic;
	else if (i < proc->pronargs)
		type = proc->proargtypes.values[i];
	ReleaseSysCache(tuple);
	return OidIsValid(type) && get_typtype(type) != TYPTYPE_PSEUDO ? type : InvalidOid;
}

static void
note_type(Typing *typing, const Param *param)
{
	if (param->paramid > typing->ntypes)
	{
		int			n = param->paramid + 8;

		typing->types = typing->types ? repalloc(typing->types, n * sizeof(Oid)) :
			palloc(n * sizeof(Oid));
		memset(typing->types + typing->ntypes, 0, (n - typing->ntypes) * sizeof(Oid));
		typing->ntypes = n;
	}
	typing->types[param->paramid - 1] = param->paramtype;
}

/* Raises 42P08 if the parameter has another type already. */
static void
give_type(Typing *typing, Param *param, Oid type)
{
	ParseState *pstate = typing->pstate;

	(void) pstate->p_coerce_param_hook(pstate, param, type, -1, param->location);
}

static void
type_arguments(Typing *typing, FuncExpr *call)
{
	Oid			lookup = named_lookup(linitial(call->args));

	if (!OidIsValid(lookup))
		return;
	for (int i = 1; i < list_length(call->args); i++)
	{
		Node	   *argument = list_nth(call->args, i);
		Oid			type;

		if (!is_untyped(argument))
			continue;
		type = declared_type(lookup, i - 1,
							 call->funcvariadic && i == list_length(call->args) - 1);
		if (!OidIsValid(type))
			continue;
		give_type(typing, (Param *) argument, type);
		note_type(typing, (Param *) argument);
	}
}

static bool
type_walker(Node *node, void *context)
{
	Typing	   *typing = context;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, type_walker, context, 0);
	if (!typing->again && IsA(node, FuncExpr) && list_length(((FuncExpr *) node)->args) > 1 &&
		has_untyped(((FuncExpr *) node)->args) && takes_arguments(((FuncExpr *) node)->funcid))
		type_arguments(typing, (FuncExpr *) node);
	if (typing->again && is_untyped(node) && ((Param *) node)->paramid <= typing->ntypes &&
		OidIsValid(typing->types[((Param *) node)->paramid - 1]))
		give_type(typing, (Param *) node, typing->types[((Param *) node)->paramid - 1]);
	return expression_tree_walker(node, type_walker, context);
}

/* What has been analyzed of a statement, or NULL. */
static Node *
analyzed(Query *query)
{
	Node	   *statement = query->utilityStmt;

	if (query->commandType != CMD_UTILITY)
		return (Node *) query;
	if (IsA(statement, CallStmt))
		return (Node *) ((CallStmt *) statement)->funcexpr;
	return (Node *) UtilityContainsQuery(statement);
}

/*
 * EXPLAIN (GENERIC_PLAN) may have its own list of types, which has ended by now
 * with the function that held it.
 */
static bool
is_generic_explain(Query *query)
{
	ListCell   *lc;

	if (query->utilityStmt == NULL || !IsA(query->utilityStmt, ExplainStmt))
		return false;
	foreach(lc, ((ExplainStmt *) query->utilityStmt)->options)
	{
		if (strcmp(lfirst_node(DefElem, lc)->defname, "generic_plan") == 0)
			return true;
	}
	return false;
}

/* Has any of them got its type? */
static bool
type_parameters(ParseState *pstate, Query *query)
{
	Typing		typing = {.pstate = pstate};
	Node	   *node = analyzed(query);

	if (node == NULL || is_generic_explain(query))
		return false;
	(void) type_walker(node, &typing);
	typing.again = true;
	if (typing.ntypes > 0)
		(void) type_walker(node, &typing);
	return typing.ntypes > 0;
}

/* Where types are not known, there is a hook that finds them. */
static void
post_parse_analyze(ParseState *pstate, Query *query, CcrJumbleState *jstate)
{
	/* types are a part of the query's identifier */
	if (pstate->p_coerce_param_hook && pstate->p_sourcetext &&
		strchr(pstate->p_sourcetext, '$') && type_parameters(pstate, query) && jstate)
		jstate = ccr_jumble_query(query, pstate->p_sourcetext);
	if (prev_post_parse_analyze)
		prev_post_parse_analyze(pstate, query, jstate);
}

void
ccr_parameters_init(void)
{
	prev_post_parse_analyze = post_parse_analyze_hook;
	post_parse_analyze_hook = post_parse_analyze;
}
