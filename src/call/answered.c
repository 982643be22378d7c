/*-------------------------------------------------------------------------
 *
 * answered.c
 *	  What a request brought, copied out of shared memory.
 *
 * It is copied before anything is made of it, since input functions may raise
 * errors.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "call/answered.h"
#include "call/timeout.h"
#include "lookup/wire.h"
#include "shared/reader.h"
#include "shared/seat.h"
#include "shared/settings.h"
#include "utils/builtins.h"
#include "utils/typcache.h"

void
ccr_answered_timed_out(const char *name, CcrTimeout timeout, const char *waited_for)
{
	ereport(ERROR,
			(errcode(ERRCODE_QUERY_CANCELED),
			 errmsg("canceling lookup %s due to timeout", name),
			 ccr_timeout_detail(timeout, waited_for, NULL),
			 ccr_timeout_hint(timeout)));
}

void
ccr_answered_collector_gone(const char *name, bool outcome_unknown)
{
	if (outcome_unknown)
		ereport(ERROR,
				(errcode(ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN),
				 errmsg("concresce collector exited during lookup %s", name),
				 errdetail("The lookup is VOLATILE: it may have had its effect.")));
	ereport(ERROR,
			(errcode(ERRCODE_OPERATOR_INTERVENTION),
			 errmsg("concresce collector exited during lookup %s", name),
			 errhint("It restarts by itself; try again.")));
}

/* An entry that has its rows elsewhere, with them. */
static CcrEntry *
completed_entry(const CcrEntry *entry)
{
	Size		length;
	const char *rows = ccr_entry_rows(entry, &length);
	CcrEntry   *copy = palloc(offsetof(CcrEntry, data) + length);

	memcpy(copy, entry, offsetof(CcrEntry, data));
	memcpy(copy->data, rows, length);
	copy->length = length;
	copy->kind = CCR_ENTRY_ROWS;
	return copy;
}

/* It lies within its block, and is for an item that was asked for. */
static void
check_entry(const CcrAnswer *block, const CcrEntry *entry, uint32 nitems)
{
	CcrReader	reader = ccr_reader((const char *) entry,
									(const char *) block + block->size - (const char *) entry,
									"answer of a lookup");

	(void) ccr_read(&reader, offsetof(CcrEntry, data));
	(void) ccr_read(&reader, entry->length);
	if (entry->item >= nitems)
		ccr_read_failed(&reader);
}

void
ccr_answered_copy(CcrAnswerCopy *answered, CcrRequest *request)
{
	for (CcrAnswer *block = ccr_answer_block(request->answer); block;
		 block = ccr_answer_block(block->next))
	{
		CcrAnswer  *copy = palloc_extended(block->size, MCXT_ALLOC_HUGE);
		CcrEntry   *entry;
		CcrEntry   *previous = NULL;

		memcpy(copy, block, block->size);
		answered->bytes += block->size;
		entry = ccr_answer_first(copy);
		for (uint32 i = 0; i < copy->nentries; i++)
		{
			check_entry(copy, entry, answered->n);
			if (entry->kind == CCR_ENTRY_ERROR && entry->length == 0)
				answered->entries[entry->item] = previous;
			else if (entry->kind == CCR_ENTRY_SHARED)
				answered->entries[entry->item] = completed_entry(entry);
			else
				answered->entries[entry->item] = entry;
			previous = answered->entries[entry->item];
			entry = ccr_entry_next(entry);
		}
	}
}

static void
raise_failure(const CcrDefinition *definition, const CcrAnswerCopy *answered)
{
	CcrFailure	failure = answered->failure;

	switch (failure)
	{
		case CCR_FAILURE_NO_MEMORY:
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("result of lookup %s does not fit into shared memory",
							definition->name),
					 errdetail("Requests and results may take %d MB.", ccr_shared_memory),
					 errhint("You may need to increase \"concresce.shared_memory\".")));
			break;
		case CCR_FAILURE_SESSION_MEMORY:
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("result of lookup %s does not fit into shared memory",
							definition->name),
					 errdetail("Requests and results of a session may take twice what is free of %d MB, and no more than \"concresce.max_session_memory\".",
							   ccr_shared_memory),
					 errhint("Await what was submitted, ask for less at a time, or increase \"concresce.shared_memory\".")));
			break;
		case CCR_FAILURE_ROLE_MEMORY:
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("result of lookup %s does not fit into shared memory",
							definition->name),
					 errdetail("Requests and results of the sessions of a role may take four times what is free of %d MB, and no more than \"concresce.max_role_memory\"; those of a login, as all its roles, 63 times what is free.",
							   ccr_shared_memory),
					 errhint("You may need to increase \"concresce.shared_memory\".")));
			break;
		case CCR_FAILURE_TOO_MANY_SOURCES:
			ereport(ERROR,
					(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
					 errmsg("sessions of the role use too many different lookups at a time"),
					 errdetail("A lookup with other settings, as of \"search_path\", \"TimeZone\" or \"concresce.server\", is another one. A collector keeps what takes %d MB.",
							   ccr_shared_memory),
					 errhint("Use fewer, or increase \"concresce.shared_memory\".")));
			break;
		case CCR_FAILURE_TIMEOUT:
			ccr_answered_timed_out(definition->name, answered->timeout, answered->waited_for);
			break;
		case CCR_FAILURE_COLLECTOR_EXIT:
			ccr_answered_collector_gone(definition->name, false);
			break;
		case CCR_FAILURE_UNKNOWN_OUTCOME:
			ccr_answered_collector_gone(definition->name, true);
			break;
		case CCR_FAILURE_OTHER_SETTINGS:
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("\"concresce.server\" or \"search_path\" was changed during lookup %s",
							definition->name),
					 errdetail("It was about to be sent again, as the collector did not know it any more.")));
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("concresce collector could not handle a call of lookup %s",
							definition->name),
					 errhint("See the server log.")));
	}
}

static void
raise_entry(const CcrEntry *entry)
{
	CcrError   *error = ccr_error_restore(entry->data, entry->length);

	ccr_error_throw(error);
}

static void
check_row_count(const CcrDefinition *definition, const CcrResult *result,
				uint32 nrows, int on_missing)
{
	if (nrows == 0 && on_missing == CCR_MISSING_ERROR)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA),
				 errmsg("lookup %s found no row", definition->name),
				 errhint("Set \"concresce.on_missing\" to \"null\" to have NULL, or no rows, instead.")));
	if (nrows > 1 && !result->returns_set)
		ereport(ERROR,
				(errcode(ERRCODE_CARDINALITY_VIOLATION),
				 errmsg("lookup %s found more than one row", definition->name),
				 errhint("Declare it RETURNS SETOF, or add LIMIT 1 to its body.")));
}

static void
next_value(CcrReader *reader, CcrResultWire *wire, bool binary, Datum *value,
		   bool *isnull)
{
	int32		length;
	const char *data = ccr_read_value(reader, &length);

	*isnull = data == NULL;
	if (*isnull)
	{
		*value = (Datum) 0;

		/* the input function of a domain may refuse NULL */
		if (wire->type != wire->base)
			(void) InputFunctionCall(&wire->in, NULL, wire->in_param, wire->typmod);
		return;
	}
	*value = ccr_wire_get(wire, data, length, binary);
}

/*
 * One column that holds the whole of a composite.  The input function goes by
 * the type as it is now, which may not be as it was when we were compiled.
 */
static void
next_whole(CcrReader *reader, CcrResult *result, Datum *values, bool *nulls,
		   bool *isnull)
{
	Datum		value;
	HeapTupleHeader header;
	HeapTupleData tuple;
	TupleDesc	tupdesc;

	next_value(reader, &result->whole, false, &value, isnull);
	if (*isnull)
		return;
	header = DatumGetHeapTupleHeader(value);
	tupdesc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header),
									 HeapTupleHeaderGetTypMod(header));
	for (int i = 0; i < Max(tupdesc->natts, result->tupdesc->natts); i++)
		if (tupdesc->natts != result->tupdesc->natts ||
			TupleDescAttr(tupdesc, i)->atttypid != TupleDescAttr(result->tupdesc, i)->atttypid)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("type %s was altered during a lookup",
							format_type_be(result->type))));
	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	tuple.t_data = header;
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	heap_deform_tuple(&tuple, tupdesc, values, nulls);
	ReleaseTupleDesc(tupdesc);
}

static void
read_rows(CcrResult *result, const CcrEntry *entry, CcrReceive receive, void *arg)
{
	CcrReader	reader = ccr_reader(entry->data, entry->length, "answer of a lookup");
	int			natts = result->tupdesc ? result->tupdesc->natts : 1;
	Datum	   *values = palloc0(natts * sizeof(Datum));
	bool	   *nulls = palloc(natts * sizeof(bool));
	int			level = ccr_wire_begin_reading();

	for (uint32 row = 0; row < entry->nrows; row++)
	{
		bool		isnull = false;

		memset(nulls, true, natts);
		if (result->tupdesc == NULL)
			next_value(&reader, result->columns, entry->binary, &values[0], &isnull);
		else if (entry->ncolumns != result->ncolumns)
			next_whole(&reader, result, values, nulls, &isnull);
		else
			for (int i = 0; i < result->ncolumns; i++)
			{
				int			attribute = result->attributes[i];

				next_value(&reader, &result->columns[i], entry->binary,
						   &values[attribute], &nulls[attribute]);
			}
		receive(arg, values[0], isnull, values, nulls);
	}
	ccr_read_end(&reader);
	ccr_wire_end_style(level);
}

static void
read_error_callback(void *arg)
{
	errcontext("result of lookup %s", ((const CcrDefinition *) arg)->name);
}

/* The collector counted an answer, but the caller gets an error. */
static void
count_error(CcrCounters *counters, MemoryContext context)
{
	ErrorData  *edata;
	CcrLastError last;

	MemoryContextSwitchTo(context);
	edata = CopyErrorData();
	ccr_count(counters, CCR_ERRORS, 1);
	ccr_count(counters, CCR_ANSWERED, -1);
	last.sqlstate = edata->sqlerrcode;
	last.open = false;
	last.roleid = ccr_seat_party().outer;
	strlcpy(last.message, edata->message ? edata->message : "", CCR_TEXT_LEN);
	ccr_counters_error(counters, &last);
	FreeErrorData(edata);
}

void
ccr_answered_read(CcrDefinition *definition, CcrResult *result,
				  const CcrAnswerCopy *answered, uint32 item, CcrReceive receive,
				  void *arg)
{
	const CcrEntry *entry = answered->entries[item];
	MemoryContext context = CurrentMemoryContext;
	ErrorContextCallback callback;

	if (answered->failure != CCR_FAILURE_NONE)
		raise_failure(definition, answered);
	if (entry == NULL)
		elog(ERROR, "item %u has no answer", item);
	if (entry->kind == CCR_ENTRY_ERROR)
		raise_entry(entry);
	if (result->is_void)
		return;

	callback.callback = read_error_callback;
	callback.arg = definition;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	PG_TRY();
	{
		check_row_count(definition, result, entry->nrows, answered->on_missing);
		read_rows(result, entry, receive, arg);
	}
	PG_CATCH();
	{
		count_error(answered->counters, context);
		PG_RE_THROW();
	}
	PG_END_TRY();
	error_context_stack = callback.previous;
}

/* Whatever else says "canceled" may be about this session. */
bool
ccr_answered_raised(const ErrorData *error)
{
	return error->funcname != NULL &&
		(strcmp(error->funcname, "ccr_error_throw") == 0 ||
		 strcmp(error->funcname, "ccr_answered_timed_out") == 0);
}
