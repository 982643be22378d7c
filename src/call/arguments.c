/*-------------------------------------------------------------------------
 *
 * arguments.c
 *	  Lookups that are named in an argument, and their own arguments behind
 *	  it, which are VARIADIC "any".
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "call/arguments.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "lookup/callable.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "shared/compat.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

/* An argument that comes. */
typedef struct Given
{
	Oid			type;
	Oid			row_type;		/* of a record: what it is at present, or */
	int32		row_typmod;		/* InvalidOid if it is NULL */
} Given;

/* An argument of the lookup: one that comes, as it is, or an expression. */
typedef struct Wanted
{
	int			given;
	Expr	   *expression;		/* over parameters: those that come */
} Wanted;

struct CcrArguments
{
	uint64		serial;			/* never used again */
	Oid			function;
	bool		variadic;		/* the last that comes is marked so */
	int			first;
	int			ngiven;
	Given	   *given;
	int			nwanted;
	Wanted	   *wanted;
	bool		expressions;	/* are there any? */
	bool		records;		/* is any argument that comes one? */
	bool		as_given;		/* all are taken as they come */
	uint64		made_at;		/* callable.h; if they are not */
};

/*
 * In fn_extra: what belongs to the place of the call.  As for other functions,
 * rights are asked for once for a place and role, and expressions live no
 * longer than the statement.
 */
typedef struct Site
{
	CcrArguments *own;			/* if it is kept here, in */
	MemoryContext own_context;
	const CcrDefinition *definition;	/* of own: only to be compared */
	uint64		serial;			/* of the plan that this is for */
	Oid			roleid;
	MemoryContext context;		/* of what follows */
	ExprContext *econtext;
	ExprState **states;			/* NULL: as it is */
} Site;

static uint64 last_serial = 0;

/* -------------------------------------------------------------- coercions */

/*
 * Most of it is left to the parser, as in convert.c: casts, domains and their
 * typmods, arrays and rights are then what they are in a plain call.
 */

/* What a literal becomes.  Here it comes as a value of type unknown. */
static Node *
from_literal(Node *literal, Oid target)
{
	int32		typmod = -1;
	Oid			base = getBaseTypeAndTypmod(target, &typmod);
	Node	   *node;

	if (base == INTERVALOID && typmod >= 0)
	{
		/* the input function reads it by its typmod */
		List	   *args = list_make3(literal,
									  makeConst(OIDOID, -1, InvalidOid, sizeof(Oid),
												ObjectIdGetDatum(InvalidOid), false, true),
									  makeConst(INT4OID, -1, InvalidOid, sizeof(int32),
												Int32GetDatum(typmod), false, true));

		node = (Node *) makeFuncExpr(F_INTERVAL_IN, base, args, InvalidOid, InvalidOid,
									 COERCE_IMPLICIT_CAST);
	}
	else
	{
		CoerceViaIO *input = makeNode(CoerceViaIO);

		input->arg = (Expr *) literal;
		input->resulttype = base;
		input->coerceformat = COERCE_IMPLICIT_CAST;
		input->location = -1;
		node = (Node *) input;
	}
	if (base != target)
		node = coerce_to_domain(node, base, typmod, target, COERCION_IMPLICIT,
								COERCE_IMPLICIT_CAST, -1, false);
	return node;
}

/* The type of a field, by its number without those that are dropped. */
static Oid
field_type(TupleDesc tupdesc, int number)
{
	for (int i = 0; i < tupdesc->natts; i++)
		if (!TupleDescAttr(tupdesc, i)->attisdropped && number-- == 0)
			return TupleDescAttr(tupdesc, i)->atttypid;
	return InvalidOid;
}

/* A record as the ROW() that the parser would see. */
static Node *
row_of(Node *record, const Given *given, Oid target)
{
	TupleDesc	from = lookup_rowtype_tupdesc_copy(given->row_type, given->row_typmod);
	TupleDesc	to = lookup_rowtype_tupdesc_copy(getBaseType(target), -1);
	RowExpr    *row = makeNode(RowExpr);

	row->row_typeid = RECORDOID;
	row->row_format = COERCE_IMPLICIT_CAST;
	row->location = -1;
	for (int i = 0; i < from->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(from, i);
		FieldSelect *field = makeNode(FieldSelect);
		Oid			wanted = field_type(to, list_length(row->args));

		if (attribute->attisdropped)
			continue;
		field->arg = (Expr *) record;
		field->fieldnum = i + 1;
		field->resulttype = attribute->atttypid;
		field->resulttypmod = attribute->atttypmod;
		field->resultcollid = attribute->attcollation;
		if (OidIsValid(wanted) && (attribute->atttypid == UNKNOWNOID ||
								   attribute->atttypid == RECORDOID))
			row->args = lappend(row->args, from_literal((Node *) field, wanted));
		else
			row->args = lappend(row->args, field);
	}
	return (Node *) row;
}

static Node *
coerced_argument(const Given *given, int number, Oid target)
{
	Param	   *param = makeNode(Param);
	Oid			type = given->type;
	Node	   *node = (Node *) param;

	param->paramkind = PARAM_EXTERN;
	param->paramid = number;
	param->paramtype = type;
	param->paramtypmod = -1;
	param->paramcollid = get_typcollation(type);
	param->location = -1;
	if (type == target)
		return node;
	if (type == UNKNOWNOID)
		return from_literal(node, target);
	if (!can_coerce_type(1, &type, &target, COERCION_IMPLICIT))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("argument %d has type %s, but the lookup expects %s",
						number, format_type_be(type), format_type_be(target))));
	if (type == RECORDOID && !OidIsValid(given->row_type))
		return from_literal((Node *) makeNullConst(UNKNOWNOID, -1, InvalidOid), target);
	if (type == RECORDOID)
		node = row_of(node, given, target);
	return coerce_type(NULL, node, type, target, -1, COERCION_IMPLICIT,
					   COERCE_IMPLICIT_CAST, -1);
}

/* ------------------------------------------------------------------ plans */

static void
see_given(Given *given, FunctionCallInfo fcinfo, int i)
{
	given->type = get_fn_expr_argtype(fcinfo->flinfo, i);
	given->row_type = InvalidOid;
	given->row_typmod = -1;
	if (given->type == RECORDOID && !PG_ARGISNULL(i))
	{
		HeapTupleHeader row = PG_GETARG_HEAPTUPLEHEADER(i);

		given->row_type = HeapTupleHeaderGetTypeId(row);
		given->row_typmod = HeapTupleHeaderGetTypMod(row);
	}
}

/* Are those from the last argument on to be elements of its array? */
static bool
takes_elements(const CcrArguments *plan, const CcrDefinition *definition,
			   Oid variadic)
{
	int			last = definition->nargs - 1;
	Oid			array = definition->argtypes[Max(last, 0)];

	if (!OidIsValid(variadic) || plan->ngiven <= last)
		return false;
	return plan->ngiven > last + 1 || plan->given[last].type == UNKNOWNOID ||
		!can_coerce_type(1, &plan->given[last].type, &array, COERCION_IMPLICIT);
}

static void
wrong_number(const CcrArguments *plan, const CcrDefinition *definition,
			 int ndefaults, bool variadic)
{
	char	   *number = variadic ?
		psprintf("at least %d", definition->nargs - ndefaults) : ndefaults > 0 ?
		psprintf("%d to %d", definition->nargs - ndefaults, definition->nargs) :
		psprintf("%d", definition->nargs);

	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_FUNCTION),
			 errmsg("lookup %s takes %s arguments, not %d", definition->name, number,
					plan->ngiven)));
}

static Node *
array_of(const CcrArguments *plan, int from, Oid element)
{
	ArrayExpr  *array = makeNode(ArrayExpr);

	array->array_typeid = get_array_type(element);
	array->element_typeid = element;
	array->location = -1;
	for (int i = from; i < plan->ngiven; i++)
		array->elements = lappend(array->elements,
								  coerced_argument(&plan->given[i], i + 1, element));
	return (Node *) array;
}

/* As the parser makes them of the arguments of a call, and the planner. */
static List *
wanted_nodes(const CcrArguments *plan, FunctionCallInfo fcinfo,
			 const CcrDefinition *definition)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(definition->function));
	Form_pg_proc form;
	int			plain = plan->ngiven;
	bool		elements;
	List	   *nodes = NIL;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", definition->function);
	form = (Form_pg_proc) GETSTRUCT(tuple);
	if (plan->variadic && !(OidIsValid(form->provariadic) && definition->nargs == 1))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("arguments cannot be given as a VARIADIC array")));
	elements = !plan->variadic && takes_elements(plan, definition, form->provariadic);
	if (elements)
		plain = definition->nargs - 1;
	if (plain > definition->nargs ||
		(!elements && plain < definition->nargs - form->pronargdefaults))
		wrong_number(plan, definition, form->pronargdefaults, OidIsValid(form->provariadic));

	for (int i = 0; i < plain; i++)
		nodes = lappend(nodes, coerced_argument(&plan->given[i], i + 1, definition->argtypes[i]));
	if (elements)
		nodes = lappend(nodes, array_of(plan, plain, form->provariadic));
	if (list_length(nodes) < definition->nargs)
		nodes = expand_function_arguments(nodes, false, form->prorettype, tuple);
	ReleaseSysCache(tuple);
	return nodes;
}

static void
plan_wanted(Wanted *wanted, Node *node)
{
	Node	   *value = node;

	while (IsA(value, RelabelType))
		value = (Node *) ((RelabelType *) value)->arg;
	if (IsA(value, Param))
	{
		wanted->given = ((Param *) value)->paramid - 1;
		return;
	}
	assign_expr_collations(NULL, node);
	wanted->expression = expression_planner((Expr *) node);
}

CcrArguments *
ccr_arguments_plan(FunctionCallInfo fcinfo, int first,
				   const CcrDefinition *definition, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	CcrArguments *plan = palloc0(sizeof(CcrArguments));
	ListCell   *lc;

	plan->serial = ++last_serial;
	plan->made_at = ccr_callables_changed();
	plan->function = definition->function;
	plan->variadic = get_fn_expr_variadic(fcinfo->flinfo);
	plan->first = first;
	plan->ngiven = PG_NARGS() - first;
	plan->given = palloc(Max(plan->ngiven, 1) * sizeof(Given));
	for (int i = 0; i < plan->ngiven; i++)
	{
		see_given(&plan->given[i], fcinfo, first + i);
		plan->records |= plan->given[i].type == RECORDOID;
	}
	plan->as_given = plan->ngiven == definition->nargs;
	for (int i = 0; i < plan->ngiven && plan->as_given; i++)
		plan->as_given = plan->given[i].type == definition->argtypes[i];
	plan->wanted = palloc0(Max(definition->nargs, 1) * sizeof(Wanted));
	foreach(lc, wanted_nodes(plan, fcinfo, definition))
	{
		Wanted	   *wanted = &plan->wanted[plan->nwanted++];

		plan_wanted(wanted, lfirst(lc));
		plan->expressions |= wanted->expression != NULL;
	}
	MemoryContextSwitchTo(old);
	return plan;
}

bool
ccr_arguments_current(const CcrArguments *plan)
{
	return plan->as_given || plan->made_at == ccr_callables_changed();
}

bool
ccr_arguments_fit(const CcrArguments *plan, FunctionCallInfo fcinfo)
{
	const Site *site = fcinfo->flinfo->fn_extra;

	if (!ccr_arguments_current(plan))
		return false;

	/* at one place types stay the same */
	if (site && site->serial == plan->serial && !plan->records)
		return true;
	if (plan->ngiven != PG_NARGS() - plan->first ||
		plan->variadic != get_fn_expr_variadic(fcinfo->flinfo))
		return false;
	for (int i = 0; i < plan->ngiven; i++)
	{
		const Given *was = &plan->given[i];
		Given		is;

		see_given(&is, fcinfo, plan->first + i);
		if (was->type != is.type || was->row_type != is.row_type ||
			was->row_typmod != is.row_typmod)
			return false;
	}
	return true;
}

/* ----------------------------------------------------------------- values */

static Site *
site_of(FunctionCallInfo fcinfo)
{
	FmgrInfo   *flinfo = fcinfo->flinfo;

	if (flinfo->fn_extra == NULL)
		flinfo->fn_extra = MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(Site));
	return flinfo->fn_extra;
}

static void
start_expressions(Site *site, const CcrArguments *plan)
{
	ParamListInfo params = makeParamList(plan->ngiven);

	site->econtext = CreateStandaloneExprContext();
	site->econtext->ecxt_param_list_info = params;
	for (int i = 0; i < plan->ngiven; i++)
	{
		params->params[i].ptype = plan->given[i].type;
		params->params[i].pflags = PARAM_FLAG_CONST;
	}
	site->states = palloc0(plan->nwanted * sizeof(ExprState *));
	for (int i = 0; i < plan->nwanted; i++)
		if (plan->wanted[i].expression)
			site->states[i] = ExecInitExprWithParams(plan->wanted[i].expression, params);
}

/* What is asked and done once for a place: as when an expression is begun. */
static void
start_site(Site *site, const CcrArguments *plan, MemoryContext parent)
{
	MemoryContext old;

	site->serial = 0;
	ccr_arguments_check_execute(plan->function);
	InvokeFunctionExecuteHook(plan->function);
	if (plan->expressions)
	{
		if (site->context)
			MemoryContextDelete(site->context);
		site->context = NULL;
		site->context = AllocSetContextCreate(parent, "concresce arguments",
											  ALLOCSET_SMALL_SIZES);
		old = MemoryContextSwitchTo(site->context);
		start_expressions(site, plan);
		MemoryContextSwitchTo(old);
	}
	site->roleid = GetUserId();
	site->serial = plan->serial;
}

static void
evaluate_argument(Site *site, const CcrArguments *plan, FunctionCallInfo fcinfo,
				  Datum *values, bool *nulls)
{
	ParamListInfo params = site->econtext->ecxt_param_list_info;

	for (int i = 0; i < plan->ngiven; i++)
	{
		params->params[i].isnull = PG_ARGISNULL(plan->first + i);
		params->params[i].value = PG_GETARG_DATUM(plan->first + i);
	}
	for (int i = 0; i < plan->nwanted; i++)
		if (site->states[i])
			values[i] = ExecEvalExpr(site->states[i], site->econtext, &nulls[i]);
}

void
ccr_arguments_get(CcrArguments *plan, FunctionCallInfo fcinfo, Datum *values,
				  bool *nulls)
{
	Site	   *site = site_of(fcinfo);

	if (site->serial != plan->serial || site->roleid != GetUserId())
		start_site(site, plan, fcinfo->flinfo->fn_mcxt);
	for (int i = 0; i < plan->nwanted; i++)
		if (plan->wanted[i].expression == NULL)
		{
			int			given = plan->first + plan->wanted[i].given;

			nulls[i] = PG_ARGISNULL(given);
			values[i] = nulls[i] ? (Datum) 0 : PG_GETARG_DATUM(given);
		}
	if (plan->expressions)
		evaluate_argument(site, plan, fcinfo, values, nulls);
}

void
ccr_arguments_coerce(FunctionCallInfo fcinfo, const CcrDefinition *definition,
					 Datum *values, bool *nulls)
{
	Site	   *site = site_of(fcinfo);

	if (site->own == NULL || site->definition != definition ||
		site->own->function != definition->function ||
		!ccr_arguments_fit(site->own, fcinfo))
	{
		if (site->own_context)
			MemoryContextDelete(site->own_context);
		site->own = NULL;
		site->own_context = NULL;
		site->own_context = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt,
												  "concresce arguments",
												  ALLOCSET_SMALL_SIZES);
		site->own = ccr_arguments_plan(fcinfo, 1, definition, site->own_context);
		site->definition = definition;
	}
	ccr_arguments_get(site->own, fcinfo, values, nulls);
}

/* --------------------------------------------------------- lookups by name */

void
ccr_arguments_check_lookup(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	HeapTuple	language;
	bool		ours;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("function with OID %u does not exist", function)));
	language = SearchSysCache1(LANGOID,
							   ObjectIdGetDatum(((Form_pg_proc) GETSTRUCT(tuple))->prolang));
	ours = HeapTupleIsValid(language) &&
		strcmp(NameStr(((Form_pg_language) GETSTRUCT(language))->lanname), "concresce") == 0;
	if (HeapTupleIsValid(language))
		ReleaseSysCache(language);
	ReleaseSysCache(tuple);
	if (!ours)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is no lookup", format_procedure(function)),
				 errhint("Lookups are functions in LANGUAGE concresce.")));
}

Oid
ccr_arguments_function(FunctionCallInfo fcinfo, const char *all)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("lookup must not be null"),
				 errdetail("A name that to_regproc() does not find is null."),
				 all ? errhint("For all lookups of this database, call concresce.%s.", all) : 0));
	return PG_GETARG_OID(0);
}

CcrDefinition *
ccr_arguments_lookup(Oid function)
{
	CcrDefinitionRef *ref = palloc(sizeof(CcrDefinitionRef));

	ccr_arguments_check_lookup(function);
	ccr_definition_ref_init(ref, CurrentMemoryContext);
	return ccr_definition_ref_get(ref, function);
}

void
ccr_arguments_check_execute(Oid function)
{
	AclResult	aclresult = ccr_proc_aclcheck(function, GetUserId(), ACL_EXECUTE);

	if (aclresult != ACLCHECK_OK)
		aclcheck_error(aclresult, OBJECT_FUNCTION, get_func_name(function));
}
