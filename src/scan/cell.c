/*-------------------------------------------------------------------------
 *
 * cell.c
 *	  What a batch node has found for one call, as a column of its rows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "call/arguments.h"
#include "call/receive.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_proc.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "lookup/hidden.h"
#include "lookup/route.h"
#include "miscadmin.h"
#include "scan/cell.h"
#include "shared/compat.h"
#include "shared/settings.h"
#include "shared/shmem.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(concresce_batch_value);
PG_FUNCTION_INFO_V1(concresce_batch_field);

/* Kept in fn_extra. */
typedef struct CellSite
{
	FmgrInfo	lookup;			/* to call it plainly */
	bool		may_call;		/* the right to was asked for here */
	CcrDefinitionRef ref;

	/* the value of the last UNASKED cell, as its row may be joined to many */
	MemoryContext memory;
	uint64		maker;			/* 0: none */
	uint64		row;
	CcrCaller	caller;
	Datum		value;
	bool		isnull;
} CellSite;

/* ------------------------------------------------------------------ makers */

static dlist_head makers = DLIST_STATIC_INIT(makers);

void
ccr_cell_maker_add(CcrCellMaker *maker, Oid function)
{
	maker->serial = pg_atomic_fetch_add_u64(&ccr_shared->next_maker, 1);
	maker->function = function;
	maker->needed = false;
	dlist_push_head(&makers, &maker->node);
}

void
ccr_cell_maker_remove(CcrCellMaker *maker)
{
	dlist_delete(&maker->node);
}

static void
tell_maker(const CcrCell *cell)
{
	dlist_iter	iter;

	dlist_foreach(iter, &makers)
	{
		CcrCellMaker *maker = dlist_container(CcrCellMaker, node, iter.cur);

		if (maker->serial == cell->maker)
			maker->needed = true;
	}
}

/* ------------------------------------------------------------------ making */

Datum
ccr_cell_make(const CcrCellMaker *maker, const CcrCaller *caller,
			  const CcrAnswerCopy *answered, uint32 item)
{
	const CcrEntry *entry = answered->entries[item];
	Size		length = offsetof(CcrEntry, data) + entry->length;
	Size		size = offsetof(CcrCell, entry) + length;
	CcrCell    *cell = palloc(size);

	SET_VARSIZE(cell, size);
	cell->kind = CCR_CELL_ROWS;
	cell->function = maker->function;
	cell->counters = answered->counters - ccr_counters;
	cell->on_missing = answered->on_missing;
	cell->layout = answered->layout;
	cell->caller = *caller;
	cell->maker = cell->row = 0;
	memcpy(&cell->entry, entry, length);
	return PointerGetDatum(cell);
}

Datum
ccr_cell_make_empty(const CcrCellMaker *maker, const CcrCaller *caller,
					CcrCellKind kind, uint64 row)
{
	CcrCell    *cell = palloc0(sizeof(CcrCell));

	SET_VARSIZE(cell, sizeof(CcrCell));
	cell->caller = *caller;
	cell->kind = kind;
	cell->function = maker->function;
	cell->maker = maker->serial;
	cell->row = row;
	return PointerGetDatum(cell);
}

bool
ccr_cell_is_good(const CcrAnswerCopy *answered, uint32 item, bool returns_set)
{
	const CcrEntry *entry = answered->entries[item];

	if (entry == NULL || entry->kind != CCR_ENTRY_ROWS)
		return false;
	if (entry->nrows == 0)
		return answered->on_missing != CCR_MISSING_ERROR;
	return entry->nrows == 1 || returns_set;
}

/* ----------------------------------------------------------------- reading */

void
ccr_cell_check_execute(Oid function)
{
	ccr_arguments_check_execute(function);
	InvokeFunctionExecuteHook(function);
}

static CellSite *
cell_site(FunctionCallInfo fcinfo)
{
	FmgrInfo   *flinfo = fcinfo->flinfo;
	CellSite   *site = flinfo->fn_extra;

	if (site == NULL)
	{
		site = MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(CellSite));
		fmgr_info_cxt(PG_GETARG_OID(1), &site->lookup, flinfo->fn_mcxt);
		site->lookup.fn_expr = flinfo->fn_expr;
		ccr_definition_ref_init(&site->ref, flinfo->fn_mcxt);
		flinfo->fn_extra = site;
	}
	(void) ccr_definition_ref_get(&site->ref, site->lookup.fn_oid);
	return site;
}

static Datum
no_result(FunctionCallInfo fcinfo, CellSite *site)
{
	if (site->lookup.fn_retset)
		ccr_receive_no_rows(fcinfo, site->ref.definition->result);
	else
		fcinfo->isnull = true;
	return (Datum) 0;
}

/*
 * The call as it would have been made without a batch node, but for not
 * sharing a batch that may be as bad as the one that failed.
 */
static Datum
call_plainly(FunctionCallInfo fcinfo, CellSite *site, int leading)
{
	int			nargs = PG_NARGS() - leading;
	bool		before = ccr_route_isolates;

	LOCAL_FCINFO(call, FUNC_MAX_ARGS);
	Datum		value = (Datum) 0;

	InitFunctionCallInfoData(*call, &site->lookup, nargs, PG_GET_COLLATION(),
							 fcinfo->context, fcinfo->resultinfo);
	for (int i = 0; i < nargs; i++)
	{
		call->args[i] = fcinfo->args[i + leading];
		if (site->lookup.fn_strict && call->args[i].isnull)
			return no_result(fcinfo, site);
	}
	PG_TRY();
	{
		ccr_route_isolates = true;
		value = FunctionCallInvoke(call);
	}
	PG_FINALLY();
	{
		ccr_route_isolates = before;
	}
	PG_END_TRY();
	fcinfo->isnull = call->isnull;
	return value;
}

static Datum
cell_read(FunctionCallInfo fcinfo, CellSite *site, CcrCell *cell)
{
	CcrDefinition *definition = site->ref.definition;
	bool		as_call = ccr_definition_has_scope(definition);
	CcrEntry   *entry = &cell->entry;
	CcrAnswerCopy answered = {
		.n = 1,
		.entries = &entry,
		.failure = CCR_FAILURE_NONE,
		.counters = &ccr_counters[cell->counters],
		.on_missing = cell->on_missing
	};
	CcrScope	scope;
	Datum		value;

	/* input functions may depend on more than our own settings */
	if (as_call)
		ccr_definition_enter(definition, &scope);
	value = ccr_receive(fcinfo, definition, definition->result, &answered, 0);
	if (as_call)
		ccr_definition_leave(&scope);
	return value;
}

/* No batch node vouches for this call. */
static Datum
call_without_cell(FunctionCallInfo fcinfo, CellSite *site, int leading)
{
	if (!site->may_call)
		ccr_cell_check_execute(site->lookup.fn_oid);
	site->may_call = true;
	return call_plainly(fcinfo, site, leading);
}

static void
remember_value(CellSite *site, MemoryContext context, const CcrCell *cell, Datum value,
			   bool isnull)
{
	MemoryContext old;
	int16		typlen;
	bool		typbyval;

	if (site->memory == NULL)
		site->memory = AllocSetContextCreate(context, "concresce unasked cell",
											 ALLOCSET_SMALL_SIZES);
	site->maker = 0;
	MemoryContextReset(site->memory);
	get_typlenbyval(site->ref.definition->result->type, &typlen, &typbyval);
	old = MemoryContextSwitchTo(site->memory);
	site->value = isnull ? (Datum) 0 : datumCopy(value, typbyval, typlen);
	MemoryContextSwitchTo(old);
	site->isnull = isnull;
	site->maker = cell->maker;
	site->row = cell->row;
	site->caller = cell->caller;
}

/* Is the value of a type with checks that have effects, for each time it is made? */
static bool
counts_each_time(const CellSite *site)
{
	List	   *types;

	return ccr_is_volatile((Node *) ccr_domain_checks_of_type(site->ref.definition->result->type,
															  &types));
}

/* Once for its row, however many it is joined to. */
static Datum
call_unasked(FunctionCallInfo fcinfo, CellSite *site, int leading, const CcrCell *cell)
{
	Datum		value;

	if (site->maker == cell->maker && site->row == cell->row &&
		ccr_caller_equal(&site->caller, &cell->caller))
	{
		fcinfo->isnull = site->isnull;
		return site->value;
	}
	tell_maker(cell);
	value = call_plainly(fcinfo, site, leading);
	if (!site->lookup.fn_retset && !counts_each_time(site))
		remember_value(site, fcinfo->flinfo->fn_mcxt, cell, value, fcinfo->isnull);
	return value;
}

/* The value of a call whose arguments come after so many leading ones. */
static Datum
value_of_call(FunctionCallInfo fcinfo, int leading)
{
	CellSite   *site = cell_site(fcinfo);
	CcrCaller	caller;
	CcrCell    *cell;

	if (PG_ARGISNULL(0))
		return call_without_cell(fcinfo, site, leading);

	/* a row that was stored may have a short header: this aligns it */
	cell = (CcrCell *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0));
	if (cell->function != site->lookup.fn_oid)
		elog(ERROR, "cell of lookup %u is read for lookup %u", cell->function,
			 site->lookup.fn_oid);
	ccr_caller_get(&caller, cell->caller.terms);
	if (!ccr_caller_equal(&cell->caller, &caller))
		return call_plainly(fcinfo, site, leading);
	switch (cell->kind)
	{
		case CCR_CELL_NO_CALL:
			return no_result(fcinfo, site);
		case CCR_CELL_CALL:
			return call_plainly(fcinfo, site, leading);
		case CCR_CELL_UNASKED:
			return call_unasked(fcinfo, site, leading, cell);
		case CCR_CELL_ROWS:
			break;
	}

	/* a type may be altered while a cursor is open */
	if (cell->layout != site->ref.definition->result->layout)
		return call_plainly(fcinfo, site, leading);
	return cell_read(fcinfo, site, cell);
}

/*
 * batch_value(internal, oid, anyelement) and batch_rows(...), which returns a
 * set.  Nobody but a batch node can make a call of them: there are no values of
 * type internal in SQL.  The calls have as many arguments as the lookup.
 */
Datum
concresce_batch_value(PG_FUNCTION_ARGS)
{
	return value_of_call(fcinfo, 2);
}

/*
 * batch_field(internal, oid, integer, anyelement): a field of a record.  It is
 * a function because EXPLAIN could not name the field of what batch_value()
 * returns, whose type does not tell its fields.
 */
Datum
concresce_batch_field(PG_FUNCTION_ARGS)
{
	AttrNumber	field = PG_GETARG_INT32(2);
	Datum		record = value_of_call(fcinfo, 3);
	bool		isnull;
	Datum		value;

	if (fcinfo->isnull)
		return (Datum) 0;
	value = GetAttributeByNum(DatumGetHeapTupleHeader(record), field, &isnull);
	fcinfo->isnull = isnull;
	return value;
}
