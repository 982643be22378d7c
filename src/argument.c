/*-------------------------------------------------------------------------
 *
 * argument.c
 *	  Lookups that are named in an argument, with arguments of their own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "argument.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "compat.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

static void
release_on_reset(void *arg)
{
	ccr_definition_release(arg);
}

CcrDefinition *
ccr_argument_lookup(Oid function)
{
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));
	CcrDefinition *definition;
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

	definition = ccr_definition_get(function);
	callback->func = release_on_reset;
	callback->arg = definition;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	return definition;
}

void
ccr_argument_check_execute(Oid function)
{
	AclResult	aclresult = ccr_proc_aclcheck(function, GetUserId(), ACL_EXECUTE);

	if (aclresult != ACLCHECK_OK)
		aclcheck_error(aclresult, OBJECT_FUNCTION, get_func_name(function));
}

static Datum
coerced_argument(FunctionCallInfo fcinfo, int n, Oid target, bool *isnull)
{
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, n);
	Datum		value = PG_ARGISNULL(n) ? (Datum) 0 : PG_GETARG_DATUM(n);
	Oid			cast = InvalidOid;
	Oid			function;
	Oid			param;
	bool		varlena;
	char	   *string;

	*isnull = PG_ARGISNULL(n);
	if (*isnull || getBaseType(type) == target)
		return value;
	if (type == UNKNOWNOID)
		string = DatumGetCString(value);
	else
	{
		if (!can_coerce_type(1, &type, &target, COERCION_IMPLICIT))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("argument %d has type %s, but the lookup expects %s",
							n, format_type_be(type), format_type_be(target))));
		switch (find_coercion_pathway(target, type, COERCION_IMPLICIT, &cast))
		{
			case COERCION_PATH_RELABELTYPE:
				return value;
			case COERCION_PATH_FUNC:
				if (get_func_nargs(cast) == 1)
					return OidFunctionCall1(cast, value);
				return OidFunctionCall3(cast, value, Int32GetDatum(-1), BoolGetDatum(false));
			default:
				getTypeOutputInfo(type, &function, &varlena);
				string = OidOutputFunctionCall(function, value);
		}
	}
	getTypeInputInfo(target, &function, &param);
	return OidInputFunctionCall(function, string, param, -1);
}

void
ccr_argument_values(FunctionCallInfo fcinfo, const CcrDefinition *definition,
					Datum *values, bool *nulls)
{
	int			nargs = PG_NARGS() - 1;

	if (get_fn_expr_variadic(fcinfo->flinfo))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("arguments cannot be given as a VARIADIC array")));
	if (nargs != definition->nargs)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("lookup %s takes %d arguments, not %d",
						definition->name, definition->nargs, nargs)));
	for (int i = 0; i < nargs; i++)
		values[i] = coerced_argument(fcinfo, i + 1, definition->argtypes[i], &nulls[i]);
}
