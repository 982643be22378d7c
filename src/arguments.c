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
#include "arguments.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

typedef enum Way
{
	AS_IT_IS,
	BY_CAST,					/* a function */
	BY_INPUT,					/* an unknown literal */
	BY_TEXT						/* out and in again */
} Way;

typedef struct Argument
{
	Oid			type;			/* that comes */
	Oid			target;			/* that the lookup declares */
	bool		domain;			/* the target is one: check it */
	Way			way;
	FmgrInfo	cast;			/* or output function */
	int			cast_nargs;
	FmgrInfo	input;
	Oid			param;			/* of the input function */
	void	   *domain_cache;
} Argument;

struct CcrArguments
{
	Oid			function;
	MemoryContext context;
	int			first;
	int			n;
	Argument	arguments[FLEXIBLE_ARRAY_MEMBER];
};

static void
plan_text(Argument *argument, MemoryContext context)
{
	Oid			function;
	bool		varlena;

	if (argument->type != UNKNOWNOID)
	{
		getTypeOutputInfo(argument->type, &function, &varlena);
		fmgr_info_cxt(function, &argument->cast, context);
	}
	getTypeInputInfo(argument->target, &function, &argument->param);
	fmgr_info_cxt(function, &argument->input, context);
}

static void
plan_argument(Argument *argument, int n, MemoryContext context)
{
	Oid			type = argument->type;
	Oid			target = argument->target;
	Oid			cast = InvalidOid;

	argument->domain = get_typtype(target) == TYPTYPE_DOMAIN;
	if (type == target)
	{
		argument->way = AS_IT_IS;
		argument->domain = false;
		return;
	}
	if (type == UNKNOWNOID)
		argument->way = BY_INPUT;
	else if (!can_coerce_type(1, &type, &target, COERCION_IMPLICIT))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("argument %d has type %s, but the lookup expects %s",
						n, format_type_be(type), format_type_be(target))));
	else
		switch (find_coercion_pathway(target, type, COERCION_IMPLICIT, &cast))
		{
			case COERCION_PATH_RELABELTYPE:
				argument->way = AS_IT_IS;
				break;
			case COERCION_PATH_FUNC:
				argument->way = BY_CAST;
				argument->cast_nargs = get_func_nargs(cast);
				fmgr_info_cxt(cast, &argument->cast, context);
				break;
			default:
				argument->way = BY_TEXT;
		}
	if (argument->way == BY_INPUT || argument->way == BY_TEXT)
		plan_text(argument, context);
}

CcrArguments *
ccr_arguments_plan(FunctionCallInfo fcinfo, int first,
				   const CcrDefinition *definition, MemoryContext context)
{
	int			n = PG_NARGS() - first;
	CcrArguments *plan;

	if (get_fn_expr_variadic(fcinfo->flinfo))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("arguments cannot be given as a VARIADIC array")));
	if (n != definition->nargs)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("lookup %s takes %d arguments, not %d",
						definition->name, definition->nargs, n)));
	plan = MemoryContextAllocZero(context, offsetof(CcrArguments, arguments) +
								  n * sizeof(Argument));
	plan->function = definition->function;
	plan->context = context;
	plan->first = first;
	plan->n = n;
	for (int i = 0; i < n; i++)
	{
		plan->arguments[i].type = get_fn_expr_argtype(fcinfo->flinfo, first + i);
		plan->arguments[i].target = definition->argtypes[i];
		plan_argument(&plan->arguments[i], i + 1, context);
	}
	return plan;
}

bool
ccr_arguments_fit(const CcrArguments *plan, FunctionCallInfo fcinfo)
{
	if (plan->n != PG_NARGS() - plan->first || get_fn_expr_variadic(fcinfo->flinfo))
		return false;
	for (int i = 0; i < plan->n; i++)
		if (plan->arguments[i].type != get_fn_expr_argtype(fcinfo->flinfo, plan->first + i))
			return false;
	return true;
}

static Datum
by_text(Argument *argument, Datum value, bool isnull)
{
	char	   *string = NULL;

	if (!isnull)
		string = argument->way == BY_INPUT ? DatumGetCString(value) :
			OutputFunctionCall(&argument->cast, value);

	/* the input function of a domain may refuse NULL */
	return InputFunctionCall(&argument->input, string, argument->param, -1);
}

void
ccr_arguments_get(CcrArguments *plan, FunctionCallInfo fcinfo, Datum *values,
				  bool *nulls)
{
	for (int i = 0; i < plan->n; i++)
	{
		Argument   *argument = &plan->arguments[i];
		bool		isnull = PG_ARGISNULL(plan->first + i);
		Datum		value = isnull ? (Datum) 0 : PG_GETARG_DATUM(plan->first + i);

		switch (argument->way)
		{
			case AS_IT_IS:
				break;
			case BY_CAST:
				if (!isnull && argument->cast_nargs == 1)
					value = FunctionCall1(&argument->cast, value);
				else if (!isnull)
					value = FunctionCall3(&argument->cast, value, Int32GetDatum(-1),
										  BoolGetDatum(false));
				break;
			case BY_INPUT:
			case BY_TEXT:
				if (!isnull || argument->domain)
					value = by_text(argument, value, isnull);
				break;
		}
		if (argument->domain && (argument->way == AS_IT_IS || argument->way == BY_CAST))
			domain_check(value, isnull, argument->target, &argument->domain_cache,
						 plan->context);
		values[i] = value;
		nulls[i] = isnull;
	}
}

void
ccr_arguments_coerce(FunctionCallInfo fcinfo, const CcrDefinition *definition,
					 Datum *values, bool *nulls)
{
	FmgrInfo   *flinfo = fcinfo->flinfo;
	CcrArguments *plan = flinfo->fn_extra;

	if (plan == NULL || plan->function != definition->function ||
		!ccr_arguments_fit(plan, fcinfo))
	{
		plan = ccr_arguments_plan(fcinfo, 1, definition, flinfo->fn_mcxt);
		flinfo->fn_extra = plan;
	}
	ccr_arguments_get(plan, fcinfo, values, nulls);
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

static void
release_on_reset(void *arg)
{
	ccr_definition_release(arg);
}

CcrDefinition *
ccr_arguments_lookup(Oid function)
{
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));
	CcrDefinition *definition;

	ccr_arguments_check_lookup(function);
	definition = ccr_definition_get(function);
	callback->func = release_on_reset;
	callback->arg = definition;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	return definition;
}

void
ccr_arguments_check_execute(Oid function)
{
	AclResult	aclresult = ccr_proc_aclcheck(function, GetUserId(), ACL_EXECUTE);

	if (aclresult != ACLCHECK_OK)
		aclcheck_error(aclresult, OBJECT_FUNCTION, get_func_name(function));
}
