/*-------------------------------------------------------------------------
 *
 * receive.c
 *	  From the rows of an item to what a call returns.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "call/receive.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "shared/compat.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"

/* Where a call's rows go. */
typedef struct Receiver
{
	const CcrResult *result;
	Tuplestorestate *store;		/* sets only */
	TupleDesc	scalar;			/* of its rows, unless composite */
	void	   *domain;			/* domain_check()'s cache */
	Datum		value;
	bool		isnull;
} Receiver;

static void
receive_result_row(void *arg, Datum value, bool isnull, const Datum *values,
				   const bool *nulls)
{
	Receiver   *receiver = arg;
	const CcrResult *result = receiver->result;

	if (result->tupdesc && (!isnull || receiver->store))
	{
		/* a set has no NULL rows, but rows of NULLs */
		HeapTuple	tuple = heap_form_tuple(result->tupdesc,
											unconstify(Datum *, values),
											unconstify(bool *, nulls));

		if (OidIsValid(result->domain))
			domain_check(HeapTupleGetDatum(tuple), false, result->domain,
						 &receiver->domain, CurrentMemoryContext);
		if (receiver->store)
		{
			tuplestore_puttuple(receiver->store, tuple);
			heap_freetuple(tuple);
			return;
		}
		value = HeapTupleGetDatum(tuple);
	}
	else if (result->tupdesc && OidIsValid(result->domain))
		domain_check((Datum) 0, true, result->domain, &receiver->domain,
					 CurrentMemoryContext);
	if (receiver->store)
	{
		if (receiver->scalar == NULL)
		{
			receiver->scalar = CreateTemplateTupleDesc(1);
			TupleDescInitEntry(receiver->scalar, 1, "value", result->type, -1, 0);
			TupleDescFinalize(receiver->scalar);
		}
		tuplestore_putvalues(receiver->store, receiver->scalar, &value, &isnull);
		return;
	}
	receiver->value = value;
	receiver->isnull = isnull;
}

/* Hand the executor a store to be filled. */
static Tuplestorestate *
make_store(FunctionCallInfo fcinfo, const CcrResult *result)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext old;

	if (rsinfo == NULL || !IsA(rsinfo, ReturnSetInfo) ||
		!(rsinfo->allowedModes & SFRM_Materialize))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("set-valued function called in context that cannot accept a set")));
	old = MemoryContextSwitchTo(rsinfo->econtext->ecxt_per_query_memory);
	rsinfo->returnMode = SFRM_Materialize;
	rsinfo->setResult = tuplestore_begin_heap(rsinfo->allowedModes & SFRM_Materialize_Random,
											  false, work_mem);
	if (result->tupdesc)
		rsinfo->setDesc = CreateTupleDescCopy(result->tupdesc);
	MemoryContextSwitchTo(old);
	return rsinfo->setResult;
}

Datum
ccr_receive(FunctionCallInfo fcinfo, CcrDefinition *definition,
			CcrResult *result, const CcrAnswerCopy *answered, uint32 item)
{
	Receiver	receiver = {.result = result, .isnull = true};

	if (result->returns_set)
		receiver.store = make_store(fcinfo, result);
	ccr_answered_read(definition, result, answered, item, receive_result_row, &receiver);
	if (receiver.store || result->is_void)
		return (Datum) 0;
	fcinfo->isnull = receiver.isnull;
	return receiver.value;
}

void
ccr_receive_no_rows(FunctionCallInfo fcinfo, const CcrResult *result)
{
	(void) make_store(fcinfo, result);
}
