/*-------------------------------------------------------------------------
 *
 * async.c
 *	  Asynchronous calls: submit, await, gather, as_completed, wait, cancel.
 *
 * Between two waits, and while a value is read or converted, anything may
 * happen: a check of a domain may await another request.  So what is kept over
 * these are ids, never futures.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "call/arguments.h"
#include "call/convert.h"
#include "call/future.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "lookup/barrier.h"
#include "lookup/restricted.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "shared/compat.h"
#include "shared/shmem.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(concresce_submit);
PG_FUNCTION_INFO_V1(concresce_await);
PG_FUNCTION_INFO_V1(concresce_gather);
PG_FUNCTION_INFO_V1(concresce_gather_jsonb);
PG_FUNCTION_INFO_V1(concresce_as_completed);
PG_FUNCTION_INFO_V1(concresce_wait);
PG_FUNCTION_INFO_V1(concresce_cancel);

#define CCR_PROGRESS	1000	/* ms between two notices */
#define CCR_COMPLETED_COLUMNS	6	/* 4 in version 0.1.0 */

/* ------------------------------------------------------------------ submit */

static void
check_result(const CcrDefinition *definition)
{
	if (definition->result == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("lookup %s returns record and cannot be submitted", definition->name),
				 errhint("Declare its columns as OUT parameters, or let it return a composite type.")));
	if (definition->result->returns_set)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("lookup %s returns a set and cannot be submitted", definition->name),
				 errhint("Let its body return the set as one value, with array_agg() or jsonb_agg().")));
}

Datum
concresce_submit(PG_FUNCTION_ARGS)
{
	Oid			function = ccr_arguments_function(fcinfo, NULL);
	CcrDefinition *definition;
	Datum		values[FUNC_MAX_ARGS];
	bool		nulls[FUNC_MAX_ARGS];

	ccr_shmem_require();
	ccr_restricted_check("submit a lookup");
	ccr_arguments_check_execute(function);
	definition = ccr_arguments_lookup(function);
	check_result(definition);
	ccr_arguments_coerce(fcinfo, definition, values, nulls);
	PG_RETURN_INT64(ccr_future_start(definition, values, nulls,
									 ccr_barrier_holds(fcinfo->flinfo->fn_expr,
													   definition->volatility))->id);
}

/* ------------------------------------------------------------ ids and types */

/* The ids in an array, in its order. */
static int64 *
request_ids(ArrayType *array, int *n)
{
	Datum	   *elements;
	bool	   *nulls;
	int64	   *ids;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("array of request ids must have one dimension")));
	deconstruct_array(array, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &elements, &nulls, n);
	ids = palloc(Max(*n, 1) * sizeof(int64));
	for (int i = 0; i < *n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("request ids must not be null")));
		ids[i] = DatumGetInt64(elements[i]);
	}
	return ids;
}

static Oid
asked_type(FunctionCallInfo fcinfo, int arg)
{
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, arg);

	if (!OidIsValid(type))
		elog(ERROR, "could not determine the type of argument %d", arg);
	return type;
}

/* Replaces what is kept in *conversion if it does not fit. */
static CcrConversion *
conversion_of(const CcrFuture *future, Oid asked, MemoryContext context,
			  CcrConversion **conversion)
{
	TupleDesc	tupdesc;
	Oid			type = ccr_future_type(future, &tupdesc);

	if (!ccr_conversion_fits(*conversion, type, tupdesc, asked))
	{
		ccr_conversion_free(*conversion);
		*conversion = NULL;
		*conversion = ccr_conversion(type, tupdesc, asked, future->definition->name,
									 context);
	}
	return *conversion;
}

/*
 * Put all under a new watch, and make sure that their results can be had in
 * the type asked for, InvalidOid: in any.
 */
static uint64
watch_all(const int64 *ids, int n, Oid asked)
{
	uint64		number = ccr_watch_begin();
	CcrConversion *conversion = NULL;

	for (int i = 0; i < n; i++)
	{
		CcrFuture  *future = ccr_future_get(ids[i]);

		if (OidIsValid(asked))
			(void) conversion_of(future, asked, CurrentMemoryContext, &conversion);
		ccr_watch_add(future);
	}
	ccr_outbox_push();
	ccr_watch_notice();
	return number;
}

static void
end_all(const int64 *ids, int n)
{
	for (int i = 0; i < n; i++)
	{
		CcrFuture  *future = ccr_future_find(ids[i]);

		/* an id may be there twice */
		if (future)
			ccr_future_end(future, CCR_FUTURE_AWAITED);
	}
}

/* ----------------------------------------------------------- await, gather */

Datum
concresce_await(PG_FUNCTION_ARGS)
{
	CcrConversion **kept = (CcrConversion **) &fcinfo->flinfo->fn_extra;
	Oid			asked = asked_type(fcinfo, 1);
	CcrConversion *conversion;
	CcrFuture  *future;
	int64		id;
	bool		isnull;
	Datum		value;
	int16		typlen;
	bool		typbyval;

	ccr_shmem_require();
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	id = PG_GETARG_INT64(0);
	future = ccr_future_get(id);
	conversion = conversion_of(future, asked, fcinfo->flinfo->fn_mcxt, kept);
	ccr_future_wait(id);
	ccr_future_settle(ccr_future_get(id));
	future = ccr_future_get(id);
	ccr_future_raise(future);
	isnull = future->isnull;
	value = ccr_convert(conversion, future->value, &isnull);
	future = ccr_future_get(id);
	if (!isnull && value == future->value)
	{
		get_typlenbyval(asked, &typlen, &typbyval);
		value = datumCopy(value, typbyval, typlen);
	}
	ccr_future_end(future, CCR_FUTURE_AWAITED);
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(value);
}

static void
report_progress(int done, int n, CcrTime *next)
{
	CcrTime		now = ccr_now();

	if (now < *next)
		return;
	ereport(NOTICE, (errmsg("%d of %d requests completed", done, n)));
	*next = ccr_after(now, CCR_PROGRESS);
}

/* Wait for them and settle them, in order; the first error is raised. */
static void
settle_all(const int64 *ids, int n, Oid asked, bool progress)
{
	uint64		number = watch_all(ids, n, asked);
	CcrTime		next = ccr_after(ccr_now(), CCR_PROGRESS);

	for (int i = 0; i < n; i++)
	{
		CcrFuture  *future;

		while (!(future = ccr_future_get(ids[i]))->arrived)
		{
			if (!ccr_watch_current(number))
				number = watch_all(ids + i, n - i, InvalidOid);
			ccr_watch_wait(progress ? next : 0);
			if (progress)
				report_progress(n - ccr_watch_outstanding(), n, &next);
		}
		ccr_future_settle(future);
		ccr_future_raise(ccr_future_get(ids[i]));
	}
}

Datum
concresce_gather(PG_FUNCTION_ARGS)
{
	Oid			asked = asked_type(fcinfo, 1);
	bool		progress = !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);
	CcrConversion *conversion = NULL;
	Datum	   *values;
	bool	   *nulls;
	int64	   *ids;
	int			n;
	int			lower = 1;
	int16		typlen;
	bool		typbyval;
	char		typalign;
	ArrayType  *array;

	ccr_shmem_require();
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	ids = request_ids(PG_GETARG_ARRAYTYPE_P(0), &n);
	if (n == 0)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(asked));
	settle_all(ids, n, asked, progress);

	values = palloc(n * sizeof(Datum));
	nulls = palloc(n * sizeof(bool));
	for (int i = 0; i < n; i++)
	{
		CcrFuture  *future = ccr_future_get(ids[i]);

		nulls[i] = future->isnull;
		values[i] = ccr_convert(conversion_of(future, asked, CurrentMemoryContext, &conversion),
								future->value, &nulls[i]);
	}

	/* a cast may have awaited one, whose value is gone */
	for (int i = 0; i < n; i++)
		(void) ccr_future_get(ids[i]);
	get_typlenbyvalalign(asked, &typlen, &typbyval, &typalign);
	array = construct_md_array(values, nulls, 1, &n, &lower, asked,
							   typlen, typbyval, typalign);
	end_all(ids, n);
	PG_RETURN_ARRAYTYPE_P(array);
}

/* ---------------------------------------------------------- the dictionary */

static void
bad_dictionary(const char *name, int length)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("value of \"%.*s\" is no request id", length, name),
			 errhint("gather() takes an object whose values are the numbers that submit() returned.")));
}

static int64
id_from_json(const JsonbValue *name, const JsonbValue *value)
{
	Datum		numeric;
	Datum		id;

	if (value->type != jbvNumeric)
		bad_dictionary(name->val.string.val, name->val.string.len);
	numeric = NumericGetDatum(value->val.numeric);
	if (!DatumGetBool(DirectFunctionCall2(numeric_eq, numeric,
										  DirectFunctionCall2(numeric_trunc, numeric,
															  Int32GetDatum(0)))))
		bad_dictionary(name->val.string.val, name->val.string.len);
	id = DirectFunctionCall1(numeric_int8, numeric);
	return DatumGetInt64(id);
}

/* The names and ids of a dictionary. */
static int64 *
dictionary(Jsonb *jsonb, JsonbValue **names, int *n)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;
	int64	   *ids;

	if (!JB_ROOT_IS_OBJECT(jsonb))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("requests must be a JSON object"),
				 errhint("gather() takes an object whose values are the numbers that submit() returned.")));
	*n = 0;
	ids = palloc(Max(JB_ROOT_COUNT(jsonb), 1) * sizeof(int64));
	*names = palloc(Max(JB_ROOT_COUNT(jsonb), 1) * sizeof(JsonbValue));
	iterator = JsonbIteratorInit(&jsonb->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			(*names)[*n] = value;
		else if (token == WJB_VALUE)
		{
			ids[*n] = id_from_json(&(*names)[*n], &value);
			(*n)++;
		}
	}
	return ids;
}

/* As to_jsonb() would do it; it goes by the type in its call expression. */
static void
value_to_json(const CcrFuture *future, JsonbValue *json)
{
	TupleDesc	tupdesc;
	Oid			type = ccr_future_type(future, &tupdesc);
	FmgrInfo	to_jsonb;
	Jsonb	   *jsonb;
	Datum		value;
	int16		typlen;
	bool		typbyval;

	json->type = jbvNull;
	if (future->isnull)
		return;
	fmgr_info(F_TO_JSONB, &to_jsonb);
	fmgr_info_set_expr((Node *) makeFuncExpr(F_TO_JSONB, JSONBOID,
											 list_make1(makeNullConst(type, -1, InvalidOid)),
											 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL),
					   &to_jsonb);

	/* a cast to json can run any code, which may end the future */
	get_typlenbyval(type, &typlen, &typbyval);
	value = datumCopy(future->value, typbyval, typlen);
	jsonb = DatumGetJsonbP(FunctionCall1(&to_jsonb, value));
	if (JB_ROOT_IS_SCALAR(jsonb))
	{
		JsonbExtractScalar(&jsonb->root, json);
		return;
	}
	json->type = jbvBinary;
	json->val.binary.data = &jsonb->root;
	json->val.binary.len = VARSIZE_ANY_EXHDR(jsonb);
}

Datum
concresce_gather_jsonb(PG_FUNCTION_ARGS)
{
	CcrJsonbInState state = {0};
	JsonbValue *names;
	JsonbValue *values;
	int64	   *ids;
	int			n;

	ccr_shmem_require();
	ids = dictionary(PG_GETARG_JSONB_P(0), &names, &n);
	settle_all(ids, n, InvalidOid, false);
	values = palloc(Max(n, 1) * sizeof(JsonbValue));
	for (int i = 0; i < n; i++)
		value_to_json(ccr_future_get(ids[i]), &values[i]);
	end_all(ids, n);

	ccr_push_jsonb_value(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < n; i++)
	{
		ccr_push_jsonb_value(&state, WJB_KEY, &names[i]);
		ccr_push_jsonb_value(&state, WJB_VALUE, &values[i]);
	}
	ccr_push_jsonb_value(&state, WJB_END_OBJECT, NULL);
	PG_RETURN_JSONB_P(JsonbValueToJsonb(state.result));
}

/* ------------------------------------------------------------ as_completed */

typedef struct Stream
{
	int			n;
	int64	   *ids;
	uint64		watch;
	Oid			asked;
	bool		return_errors;
	MemoryContext context;
	CcrConversion *conversion;
	TupleDesc	tupdesc;
} Stream;

/* The result of one request, in the type asked for. */
typedef struct Delivery
{
	Stream	   *stream;
	int64		id;
	bool		isnull;
	Datum		value;
} Delivery;

static Stream *
begin_stream(FunctionCallInfo fcinfo, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	Stream	   *stream = palloc0(sizeof(Stream));

	stream->context = context;
	stream->asked = PG_NARGS() == 1 ? TEXTOID : asked_type(fcinfo, 1);
	stream->return_errors = PG_NARGS() > 2 && !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);
	if (get_call_result_type(fcinfo, NULL, &stream->tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	stream->tupdesc = BlessTupleDesc(stream->tupdesc);
	if (!PG_ARGISNULL(0))
		stream->ids = request_ids(PG_GETARG_ARRAYTYPE_P(0), &stream->n);
	MemoryContextSwitchTo(old);
	stream->watch = watch_all(stream->ids, stream->n, stream->asked);
	return stream;
}

/*
 * Somebody else has waited meanwhile.  What was awaited or cancelled between
 * two rows is left out.
 */
static void
watch_again(Stream *stream)
{
	int			n = 0;

	stream->watch = ccr_watch_begin();
	for (int i = 0; i < stream->n; i++)
	{
		CcrFuture  *future = ccr_future_find(stream->ids[i]);

		if (future == NULL)
			continue;
		ccr_watch_add(future);
		stream->ids[n++] = stream->ids[i];
	}
	stream->n = n;
}

static CcrFuture *
next_of_stream(Stream *stream)
{
	for (;;)
	{
		CcrFuture  *future;

		if (!ccr_watch_current(stream->watch))
			watch_again(stream);
		future = ccr_watch_next();
		if (future || ccr_watch_outstanding() == 0)
			return future;
		ccr_watch_wait(0);
	}
}

static void
convert_result(void *arg)
{
	Delivery   *result = arg;
	Stream	   *stream = result->stream;
	CcrFuture  *future = ccr_future_get(result->id);

	result->isnull = future->isnull;
	result->value = ccr_convert(conversion_of(future, stream->asked, stream->context,
											  &stream->conversion),
								future->value, &result->isnull);
}

static void
put_future_text(Datum *values, bool *nulls, int i, const char *s)
{
	nulls[i] = s == NULL;
	if (s)
		values[i] = CStringGetTextDatum(s);
}

static Datum
row_of_stream(Stream *stream, CcrFuture *future)
{
	Delivery	result = {.stream = stream, .id = future->id};
	Datum		values[CCR_COMPLETED_COLUMNS] = {0};
	bool		nulls[CCR_COMPLETED_COLUMNS] = {false, true, true, true, true, true};
	Datum		row;

	if (stream->return_errors)
		ccr_future_settle_captured(future, convert_result, &result);
	else
	{
		ccr_future_settle(future);
		ccr_future_raise(ccr_future_get(result.id));
		convert_result(&result);
	}
	future = ccr_future_get(result.id);
	values[0] = Int64GetDatum(result.id);
	if (future->error)
	{
		put_future_text(values, nulls, 2, unpack_sql_state(future->error->sqlerrcode));
		put_future_text(values, nulls, 3, future->error->message ? future->error->message : "");
		put_future_text(values, nulls, 4, future->error->detail);
		put_future_text(values, nulls, 5, future->error->hint);
	}
	else
	{
		nulls[1] = result.isnull;
		values[1] = result.value;
	}
	row = HeapTupleGetDatum(heap_form_tuple(stream->tupdesc, values, nulls));
	ccr_future_end(future, CCR_FUTURE_AWAITED);
	return row;
}

Datum
concresce_as_completed(PG_FUNCTION_ARGS)
{
	FuncCallContext *funcctx;
	Stream	   *stream;
	CcrFuture  *future;

	if (SRF_IS_FIRSTCALL())
	{
		ccr_shmem_require();
		funcctx = SRF_FIRSTCALL_INIT();
		funcctx->user_fctx = begin_stream(fcinfo, funcctx->multi_call_memory_ctx);
	}
	funcctx = SRF_PERCALL_SETUP();
	stream = funcctx->user_fctx;
	future = next_of_stream(stream);
	if (future == NULL)
		SRF_RETURN_DONE(funcctx);
	SRF_RETURN_NEXT(funcctx, row_of_stream(stream, future));
}

/* ------------------------------------------------------------ wait, cancel */

typedef enum ReturnWhen
{
	ALL_COMPLETED,
	FIRST_COMPLETED,
	FIRST_EXCEPTION
} ReturnWhen;

static ReturnWhen
return_when(const char *name)
{
	if (strcmp(name, "all_completed") == 0)
		return ALL_COMPLETED;
	if (strcmp(name, "first_completed") == 0)
		return FIRST_COMPLETED;
	if (strcmp(name, "first_exception") == 0)
		return FIRST_EXCEPTION;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for return_when: \"%s\"", name),
			 errhint("It is all_completed, first_completed, or first_exception.")));
	return ALL_COMPLETED;
}

/* Whether one failed is known once its value has been read. */
static bool
one_failed(void)
{
	CcrFuture  *future;

	while ((future = ccr_watch_next()) != NULL)
	{
		int64		id = future->id;

		ccr_future_settle_captured(future, NULL, NULL);
		future = ccr_future_find(id);
		if (future && future->error)
			return true;
	}
	return false;
}

static bool
settled_enough(ReturnWhen when)
{
	if (when == FIRST_COMPLETED && ccr_watch_next() != NULL)
		return true;
	if (when == FIRST_EXCEPTION && one_failed())
		return true;
	return ccr_watch_outstanding() == 0;
}

/* An array of those ids whose futures have arrived, or have not. */
static Datum
id_array(const int64 *ids, int n, bool arrived)
{
	Datum	   *values = palloc(Max(n, 1) * sizeof(Datum));
	int			m = 0;

	for (int i = 0; i < n; i++)
		if (ccr_future_get(ids[i])->arrived == arrived)
			values[m++] = Int64GetDatum(ids[i]);
	return PointerGetDatum(construct_array(values, m, INT8OID, sizeof(int64),
										   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* A day may have 23 hours: the calendar says how long an interval is today. */
static CcrTime
time_after(Datum interval)
{
	TimestampTz today = GetCurrentTimestamp();
	Datum		end = DirectFunctionCall2(timestamptz_pl_interval,
										  TimestampTzGetDatum(today), interval);

	return ccr_now() + (DatumGetTimestampTz(end) - today);
}

Datum
concresce_wait(PG_FUNCTION_ARGS)
{
	ReturnWhen	when = ALL_COMPLETED;
	CcrTime		until = 0;
	int64	   *ids = NULL;
	int			n = 0;
	uint64		watch;
	TupleDesc	tupdesc;
	Datum		values[2];
	bool		nulls[2] = {false, false};

	ccr_shmem_require();
	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (!PG_ARGISNULL(0))
		ids = request_ids(PG_GETARG_ARRAYTYPE_P(0), &n);
	if (!PG_ARGISNULL(1))
		when = return_when(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	if (!PG_ARGISNULL(2))
		until = time_after(PG_GETARG_DATUM(2));
	watch = watch_all(ids, n, InvalidOid);
	for (;;)
	{
		if (settled_enough(when))
			break;
		if (!ccr_watch_current(watch))
			watch = watch_all(ids, n, InvalidOid);
		else if (until != 0 && ccr_now() >= until)
			break;
		else
			ccr_watch_wait(until);
	}
	values[0] = id_array(ids, n, true);
	values[1] = id_array(ids, n, false);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), values, nulls)));
}

Datum
concresce_cancel(PG_FUNCTION_ARGS)
{
	int			cancelled = 0;
	int64	   *ids;
	int			n;

	ccr_shmem_require();
	ids = request_ids(PG_GETARG_ARRAYTYPE_P(0), &n);
	ccr_watch_notice();
	for (int i = 0; i < n; i++)
	{
		CcrFuture  *future = ccr_future_find(ids[i]);

		if (future && ccr_future_cancel(future))
			cancelled++;
	}
	ccr_outbox_push();
	PG_RETURN_INT32(cancelled);
}
