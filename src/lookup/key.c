/*-------------------------------------------------------------------------
 *
 * key.c
 *	  concresce.key: expressions that identify a call.
 *
 * The expressions are over the arguments alone, and immutable: two calls that
 * are found alike must be alike for every session.  So their names are not
 * looked up along the session's search_path, either: what is not in
 * pg_catalog has to be qualified.
 *
 * What is compiled is kept, but not over an error: a function in it may have
 * been left half way, with a snapshot and a plan of a transaction that is no
 * more.  SQL functions keep that in fn_extra and would go on there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "lookup/callable.h"
#include "lookup/key.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_node.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

typedef struct CcrKey
{
	MemoryContext context;
	Oid			roleid;			/* who may call what is in it */
	uint64		made_at;		/* callable.h */
	bool		busy;			/* being evaluated */
	int			n;
	ExprState **exprs;
	CcrArgWire *wires;			/* of their results */
	ExprContext *econtext;
	ParamListInfo params;
} CcrKey;

static Node *
argument_param(ParseState *pstate, int arg, int location)
{
	CcrDefinition *definition = pstate->p_ref_hook_state;
	Param	   *param = makeNode(Param);

	param->paramkind = PARAM_EXTERN;
	param->paramid = arg + 1;
	param->paramtype = definition->argtypes[arg];
	param->paramtypmod = -1;
	param->paramcollid = get_typcollation(param->paramtype);
	param->location = location;
	return (Node *) param;
}

static Node *
resolve_name(ParseState *pstate, ColumnRef *ref)
{
	CcrDefinition *definition = pstate->p_ref_hook_state;
	Node	   *name = llast(ref->fields);

	if (list_length(ref->fields) > 2 || !IsA(name, String))
		return NULL;
	if (list_length(ref->fields) == 2 &&
		strcmp(strVal(linitial(ref->fields)), definition->body->function) != 0)
		return NULL;
	for (int i = 0; i < definition->nargs; i++)
		if (definition->argnames[i] && definition->argnames[i][0] &&
			strcmp(definition->argnames[i], strVal(name)) == 0)
			return argument_param(pstate, i, ref->location);
	return NULL;
}

static Node *
resolve_number(ParseState *pstate, ParamRef *ref)
{
	CcrDefinition *definition = pstate->p_ref_hook_state;

	if (ref->number < 1 || ref->number > definition->nargs)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_PARAMETER),
				 errmsg("there is no parameter $%d", ref->number),
				 parser_errposition(pstate, ref->location)));
	return argument_param(pstate, ref->number - 1, ref->location);
}

static void
bad_key(const CcrDefinition *definition, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for parameter \"concresce.key\": \"%s\"",
					definition->clauses.key),
			 errdetail("%s", detail),
			 errhint("Give one or more expressions over the lookup's arguments, separated by commas.")));
}

#define CCR_KEY_PREFIX	"SELECT "

/* An error speaks of the setting, not of the query that is being run. */
static void
key_error_callback(void *arg)
{
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(Max(position - (int) strlen(CCR_KEY_PREFIX), 1));
		internalerrquery(((const CcrDefinition *) arg)->clauses.key);
	}
	errcontext("setting \"concresce.key\"");
}

static bool
is_star(ResTarget *target)
{
	return IsA(target->val, ColumnRef) &&
		IsA(llast(((ColumnRef *) target->val)->fields), A_Star);
}

/* The target list of SELECT key, which has nothing else to it. */
static List *
parse_key(const CcrDefinition *definition, const char *text)
{
	List	   *statements = raw_parser(text, RAW_PARSE_DEFAULT);
	SelectStmt *select;
	ListCell   *lc;

	if (list_length(statements) != 1)
		bad_key(definition, "It is not a list of expressions.");
	select = (SelectStmt *) linitial_node(RawStmt, statements)->stmt;
	if (!IsA(select, SelectStmt) || select->op != SETOP_NONE ||
		select->fromClause || select->whereClause || select->groupClause ||
		select->havingClause || select->windowClause || select->valuesLists ||
		select->sortClause || select->limitOffset || select->limitCount ||
		select->lockingClause || select->withClause || select->intoClause ||
		select->distinctClause || select->targetList == NIL)
		bad_key(definition, "It is not a list of expressions.");
	foreach(lc, select->targetList)
	{
		if (is_star(lfirst_node(ResTarget, lc)))
			bad_key(definition, "It is not a list of expressions.");
	}
	return select->targetList;
}

static Expr *
transform_key(CcrDefinition *definition, const char *text, ResTarget *target)
{
	ParseState *pstate = make_parsestate(NULL);
	Node	   *expr;

	pstate->p_sourcetext = text;
	pstate->p_post_columnref_hook = NULL;
	pstate->p_pre_columnref_hook = resolve_name;
	pstate->p_paramref_hook = resolve_number;
	pstate->p_ref_hook_state = definition;
	expr = transformExpr(pstate, target->val, EXPR_KIND_SELECT_TARGET);
	if (exprType(expr) == UNKNOWNOID)
		bad_key(definition, "A constant identifies nothing.");
	assign_expr_collations(pstate, expr);
	if (pstate->p_hasAggs || pstate->p_hasWindowFuncs || pstate->p_hasSubLinks ||
		pstate->p_hasTargetSRFs)
		bad_key(definition, "Aggregates, window functions, sub-selects and sets are not allowed.");
	if (contain_mutable_functions(expr))
		bad_key(definition, "Only immutable functions are allowed.");
	free_parsestate(pstate);
	return expression_planner((Expr *) expr);
}

static void
compile_key(CcrDefinition *definition, CcrKey *key)
{
	const char *text = psprintf(CCR_KEY_PREFIX "%s", definition->clauses.key);
	List	   *targets = parse_key(definition, text);
	int			level = ccr_wire_begin_style();
	ListCell   *lc;

	key->roleid = GetUserId();
	key->made_at = ccr_callables_changed();
	key->exprs = palloc0(list_length(targets) * sizeof(ExprState *));
	key->wires = palloc0(list_length(targets) * sizeof(CcrArgWire));
	key->econtext = CreateStandaloneExprContext();
	key->params = makeParamList(definition->nargs);
	key->econtext->ecxt_param_list_info = key->params;
	foreach(lc, targets)
	{
		Expr	   *expr = transform_key(definition, text, lfirst_node(ResTarget, lc));

		ccr_wire_arg(&key->wires[key->n], exprType((Node *) expr), key->context);
		key->exprs[key->n++] = ExecInitExprWithParams(expr, key->params);
	}
	ccr_wire_end_style(level);
}

static CcrKey *
new_key(CcrDefinition *definition)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "concresce key",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	CcrKey	   *key = palloc0(sizeof(CcrKey));

	key->context = context;
	compile_key(definition, key);
	MemoryContextSwitchTo(old);
	return key;
}

/* failed: whatever it was about to do has been undone, and is not to go on. */
static void
free_key(CcrKey *key, bool failed)
{
	FreeExprContext(key->econtext, !failed);
	MemoryContextDelete(key->context);
}

/*
 * The one kept with the definition, unless that is being evaluated: an
 * expression may call a function that calls this very lookup.
 */
static CcrKey *
get_key(CcrDefinition *definition)
{
	CcrKey	   *key = definition->key;

	if (key && key->busy)
		return new_key(definition);
	if (key && key->made_at == ccr_callables_changed() && key->roleid == GetUserId())
		return key;
	if (key)
	{
		definition->key = NULL;
		free_key(key, false);
	}
	key = new_key(definition);
	MemoryContextSetParent(key->context, definition->context);
	definition->key = key;
	return key;
}

static void
evaluate_key(CcrKey *key, StringInfo buf)
{
	int			level = ccr_wire_begin_style();

	for (int i = 0; i < key->n; i++)
	{
		bool		isnull;
		Datum		value = ExecEvalExprSwitchContext(key->exprs[i], key->econtext, &isnull);

		ccr_wire_put(buf, &key->wires[i], value, isnull);
	}
	ccr_wire_end_style(level);
	ResetExprContext(key->econtext);
}

void
ccr_key_append(CcrDefinition *definition, StringInfo buf, const Datum *values,
			   const bool *nulls)
{
	ErrorContextCallback callback;
	CcrKey	   *key;

	callback.callback = key_error_callback;
	callback.arg = definition;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	key = get_key(definition);
	for (int i = 0; i < definition->nargs; i++)
	{
		ParamExternData *param = &key->params->params[i];

		param->value = values[i];
		param->isnull = nulls[i];
		param->pflags = PARAM_FLAG_CONST;
		param->ptype = definition->argtypes[i];
	}
	key->busy = true;
	PG_TRY();
	{
		evaluate_key(key, buf);
	}
	PG_CATCH();
	{
		if (key == definition->key)
			definition->key = NULL;
		free_key(key, true);
		PG_RE_THROW();
	}
	PG_END_TRY();
	key->busy = false;
	if (key != definition->key)
		free_key(key, false);
	error_context_stack = callback.previous;
}
