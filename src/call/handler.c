/*-------------------------------------------------------------------------
 *
 * handler.c
 *	  The language: its call handler and its validator.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "call/arguments.h"
#include "call/handler.h"
#include "call/receive.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/event_trigger.h"
#include "commands/trigger.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "lookup/barrier.h"
#include "miscadmin.h"
#include "parser/parse_func.h"
#include "shared/compat.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(concresce_call_handler);
PG_FUNCTION_INFO_V1(concresce_validator);
PG_FUNCTION_INFO_V1(concresce_remote_sql);
PG_FUNCTION_INFO_V1(concresce_forget);
PG_FUNCTION_INFO_V1(concresce_forget_all);
PG_FUNCTION_INFO_V1(concresce_forget_all_0_2);

/* Kept in fn_extra. */
typedef struct CallSite
{
	CcrDefinitionRef ref;
	CcrResult  *record;			/* what this site expects of a record */
} CallSite;

static CallSite *
call_site(FmgrInfo *flinfo)
{
	CallSite   *site = flinfo->fn_extra;

	if (site == NULL)
	{
		site = MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(CallSite));
		ccr_definition_ref_init(&site->ref, flinfo->fn_mcxt);
		flinfo->fn_extra = site;
	}
	return site;
}

/* What the call returns; for a record, as its site says. */
static CcrResult *
expected_result(FunctionCallInfo fcinfo, CallSite *site, const CcrDefinition *definition)
{
	TupleDesc	tupdesc;

	if (definition->result)
		return definition->result;
	if (site->record)
		return site->record;
	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("function returning record called in context that cannot accept type record"),
				 errhint("Give a column definition list: FROM %s(...) AS t(name type, ...).",
						 definition->body->function)));
	site->record = ccr_result_from_tupdesc(tupdesc, fcinfo->flinfo->fn_retset,
										   fcinfo->flinfo->fn_mcxt);
	return site->record;
}

/* ----------------------------------------------------------------- the call */

Datum
concresce_call_handler(PG_FUNCTION_ARGS)
{
	CallSite   *site;
	CcrDefinition *definition;
	CcrResult  *result;
	Datum		value = (Datum) 0;
	Datum		values[FUNC_MAX_ARGS];
	bool		nulls[FUNC_MAX_ARGS];
	CcrItems	items;
	CcrPending *pending;
	CcrAnswerCopy *answered;

	if (CALLED_AS_TRIGGER(fcinfo) || CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("lookups cannot be triggers")));
	ccr_shmem_require();

	site = call_site(fcinfo->flinfo);
	definition = ccr_definition_ref_get(&site->ref, fcinfo->flinfo->fn_oid);
	result = expected_result(fcinfo, site, definition);
	for (int i = 0; i < definition->nargs; i++)
	{
		values[i] = PG_GETARG_DATUM(i);
		nulls[i] = PG_ARGISNULL(i);
	}

	/* a nested call may replace the site's definition meanwhile */
	definition->references++;
	PG_TRY();
	{
		ccr_items_init(&items);
		items.barred = ccr_barrier_holds(fcinfo->flinfo->fn_expr, definition->volatility);
		ccr_items_add(definition, &items, values, nulls);
		pending = ccr_pending_submit(definition, result, &items, CurrentResourceOwner);
		answered = ccr_pending_take(pending);
		value = ccr_receive(fcinfo, definition, result, answered, 0);
	}
	PG_FINALLY();
	{
		ccr_definition_release(definition);
	}
	PG_END_TRY();

	return value;
}

/* ---------------------------------------------------------------- validator */

/* Positions in a body are to be shown in the command that holds it. */
static void
transpose_position(void *arg)
{
	if (!function_parse_error_transpose((const char *) arg))
		errcontext("body of the lookup");
}

static char *
function_source(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	bool		isnull;
	Datum		source;
	char	   *result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	source = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull);
	result = isnull ? pstrdup("") : TextDatumGetCString(source);
	ReleaseSysCache(tuple);
	return result;
}

/* It may be made later; but it may also be a mistyped name. */
static void
notice_server(const CcrDefinition *definition)
{
	const char *server = definition->clauses.server;

	if (server && server[0] && !OidIsValid(get_foreign_server_oid(server, true)))
		ereport(NOTICE,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("server \"%s\" of lookup %s does not exist yet", server, definition->name),
				 errhint("Create it before the first call, or set \"concresce.server\" of the lookup to one that there is.")));
}

Datum
concresce_validator(PG_FUNCTION_ARGS)
{
	Oid			function = PG_GETARG_OID(0);
	ErrorContextCallback callback;
	MemoryContext context;

	if (!CheckFunctionValidatorAccess(fcinfo->flinfo->fn_oid, function))
		PG_RETURN_VOID();

	/* a dump may be restored in any order; a call compiles in any case */
	if (!check_function_bodies)
		PG_RETURN_VOID();

	context = AllocSetContextCreate(CurrentMemoryContext, "concresce validator",
									ALLOCSET_DEFAULT_SIZES);
	callback.callback = transpose_position;
	callback.arg = function_source(function);
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	notice_server(ccr_definition_compile(function, context));
	error_context_stack = callback.previous;
	MemoryContextDelete(context);
	PG_RETURN_VOID();
}

/* ------------------------------------------------------- functions about it */

Datum
concresce_remote_sql(PG_FUNCTION_ARGS)
{
	CcrDefinition *definition = ccr_arguments_lookup(ccr_arguments_function(fcinfo, NULL));

	PG_RETURN_TEXT_P(cstring_to_text(ccr_definition_remote_sql(definition)));
}

Datum
concresce_forget(PG_FUNCTION_ARGS)
{
	Oid			function = ccr_arguments_function(fcinfo, "forget_all()");
	CcrDefinition *definition;
	Datum		values[FUNC_MAX_ARGS];
	bool		nulls[FUNC_MAX_ARGS];
	CcrItems	items;
	CcrScope	scope;

	ccr_shmem_require();
	ccr_arguments_check_execute(function);
	definition = ccr_arguments_lookup(function);
	ccr_arguments_coerce(fcinfo, definition, values, nulls);
	ccr_items_init(&items);
	ccr_definition_enter(definition, &scope);
	ccr_items_add(definition, &items, values, nulls);
	ccr_definition_leave(&scope);
	ccr_tell_to_forget(definition, &items);
	PG_RETURN_VOID();
}

/* InvalidOid: of all lookups of this database. */
static void
forget_all_calls(Oid function)
{
	CcrDefinition *definition = NULL;
	CcrItems	none;

	ccr_shmem_require();
	if (OidIsValid(function))
	{
		definition = ccr_arguments_lookup(function);
		ccr_arguments_check_execute(function);
	}
	else if (!ccr_database_ownercheck(MyDatabaseId, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("only the owner of the database can forget the calls of all lookups"),
				 errhint("Name a lookup that you may execute.")));
	ccr_items_init(&none);
	ccr_tell_to_forget(definition, &none);
}

/* Of version 0.1.0, where NULL was the default. */
Datum
concresce_forget_all(PG_FUNCTION_ARGS)
{
	forget_all_calls(PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0));
	PG_RETURN_VOID();
}

Datum
concresce_forget_all_0_2(PG_FUNCTION_ARGS)
{
	forget_all_calls(ccr_arguments_function(fcinfo, "forget_all()"));
	PG_RETURN_VOID();
}
