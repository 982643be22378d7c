/*-------------------------------------------------------------------------
 *
 * scan_round.c
 *	  Rounds: the rows that a batch node has read ahead, and what it asks for
 *	  them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/relscan.h"
#include "access/xact.h"
#include "catalog/pg_proc.h"
#include "executor/executor.h"
#include "executor/nodeSubplan.h"
#include "lookup/barrier.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "scan/scan_calls.h"
#include "scan/scan_round.h"
#include "scan/scan_run.h"
#include "shared/compat.h"
#include "shared/settings.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"

/* Rounds do not grow beyond any of these, and shrink from twice as much. */
#define CCR_LONG_ANSWER		50000.0 /* us */
#define CCR_LARGE_ANSWER	(1024 * 1024.0) /* bytes */
#define CCR_LARGE_REQUEST	(256 * 1024.0)	/* the same, of arguments */

#define CCR_MOST_PATIENCE	1000	/* rounds */

/* ----------------------------------------------------------------- reading */

/* As WHERE CURRENT OF would find it. */
static ItemPointerData
place_of_row(ScanState *node)
{
	if (IsA(node, IndexOnlyScanState))
		return ((IndexOnlyScanState *) node)->ioss_ScanDesc->xs_heaptid;
	return node->ss_ScanTupleSlot->tts_tid;
}

/*
 * In EvalPlanQual rows may come from elsewhere, while the scan has not even
 * begun; and no cursor looks there.
 */
static bool
has_places(const CcrScan *scan)
{
	return scan->scanned != NULL && scan->node->ps.state->es_epq_active == NULL;
}

void
ccr_round_begin(CcrScan *scan, CcrRound *round, int n)
{
	MemoryContext old = MemoryContextSwitchTo(round->context);

	round->first = scan->nrows;
	round->room = n;
	round->rows = palloc(n * sizeof(MinimalTuple));
	if (has_places(scan))
		round->tids = palloc(n * sizeof(ItemPointerData));
	MemoryContextSwitchTo(old);
}

static void
make_room(CcrRound *round)
{
	if (round->nrows < round->room)
		return;
	round->room *= 2;
	round->rows = repalloc(round->rows, round->room * sizeof(MinimalTuple));
	if (round->tids)
		round->tids = repalloc(round->tids, round->room * sizeof(ItemPointerData));
}

bool
ccr_round_read(CcrScan *scan, CcrRound *round)
{
	TupleTableSlot *slot = ExecProcNode(outerPlanState(scan->node));
	MemoryContext old;
	MinimalTuple tuple;

	if (TupIsNull(slot))
		return false;
	make_room(round);
	old = MemoryContextSwitchTo(round->context);
	tuple = ExecCopySlotMinimalTuple(slot);
	MemoryContextSwitchTo(old);
	if (round->tids)
	{
		round->tids[round->nrows] = place_of_row(scan->scanned);
		round->tableoid = RelationGetRelid(scan->node->ss_currentRelation);
	}
	round->bytes += tuple->t_len;
	round->rows[round->nrows++] = tuple;
	scan->nrows++;
	return true;
}

void
ccr_round_cut(CcrScan *scan, CcrRound *round, int row)
{
	while (round->nrows > row)
	{
		MinimalTuple tuple = round->rows[--round->nrows];

		round->bytes -= tuple->t_len;
		pfree(tuple);
		scan->nrows--;
	}
}

int64
ccr_scan_limit(const CcrScan *scan)
{
	ExprContext *econtext = scan->node->ps.ps_ExprContext;
	bool		isnull;
	int64		count;
	int64		offset = 0;

	if (scan->count == NULL)
		return -1;
	count = DatumGetInt64(ExecEvalExprSwitchContext(scan->count, econtext, &isnull));
	if (isnull)
		return -1;
	if (scan->offset)
		offset = DatumGetInt64(ExecEvalExprSwitchContext(scan->offset, econtext, &isnull));
	count = Max(count, 0) + (isnull ? 0 : Max(offset, 0));
	return count < 0 ? -1 : count;	/* overflow */
}

void
ccr_scan_take_bounds(CcrScan *scan)
{
	scan->largest = ccr_settings_scan_size();
	scan->usual = Min(ccr_settings.max_size, scan->largest);
	scan->max_size = scan->usual;
	scan->good = 0;
	scan->patience = Max(scan->patience, 1);
	scan->max_bytes = ccr_settings.max_bytes;
}

/* -------------------------------------------------------------------- rows */

/* What is known of a call. */
static Datum
known_cell(const CcrScanCall *call, const CcrCallState *looked,
		   uint64 row)
{
	if (looked->answered)
	{
		const CcrEntry *entry = looked->answered->entries[looked->item];

		if (entry && entry->kind == CCR_ENTRY_ROWS)
			return ccr_cell_make(&call->maker, &call->caller, looked->answered, looked->item);
	}
	else if (looked->item == CCR_NO_CALL)
		return ccr_cell_make_empty(&call->maker, &call->caller, CCR_CELL_NO_CALL, row);
	else if (looked->item == CCR_NOT_READY)
		return ccr_cell_make_empty(&call->maker, &call->caller, CCR_CELL_UNASKED, row);
	return ccr_cell_make_empty(&call->maker, &call->caller, CCR_CELL_CALL, row);
}

/*
 * Put a row and what is known of its calls into the scan slot.  A cell of what
 * has not been asked for is NULL.
 */
static TupleTableSlot *
load_row(CcrScan *scan, CcrRound *round, int row)
{
	TupleTableSlot *slot = scan->node->ss_ScanTupleSlot;
	int			n = scan->ncolumns;

	ExecClearTuple(slot);
	ExecStoreMinimalTuple(round->rows[row], scan->held, false);
	slot_getallattrs(scan->held);
	memcpy(slot->tts_values, scan->held->tts_values, n * sizeof(Datum));
	memcpy(slot->tts_isnull, scan->held->tts_isnull, n * sizeof(bool));
	for (int i = 0; i < scan->ncalls; i++)
	{
		CcrCallState *looked = round->asked ? round->asked[i].looked : NULL;

		slot->tts_isnull[n + i] = looked == NULL;
		if (looked)
			slot->tts_values[n + i] = known_cell(&scan->calls[i], &looked[row],
												 round->first + row);
	}
	return ExecStoreVirtualTuple(slot);
}

void
ccr_round_load(CcrScan *scan, CcrRound *round, int row)
{
	scan->node->ps.ps_ExprContext->ecxt_scantuple = load_row(scan, round, row);
}

/* ------------------------------------------------------------------ groups */

/* Where the parameters that tell groups apart are kept, in order of the keys. */
static void
save_params(const CcrScan *scan, ParamExecData *saved)
{
	for (int i = 0; i < scan->nkeys; i++)
		saved[i] = scan->node->ps.state->es_param_exec_vals[scan->keys[i].id];
}

static void
restore_params(const CcrScan *scan, const ParamExecData *saved)
{
	for (int i = 0; i < scan->nkeys; i++)
		scan->node->ps.state->es_param_exec_vals[scan->keys[i].id] = saved[i];
}

/* The parameters as they were when the child emitted the rows of a group. */
static void
enter_group(const CcrScan *scan, const CcrGroup *group)
{
	ParamExecData *params = scan->node->ps.state->es_param_exec_vals;

	for (int i = 0; i < scan->nkeys; i++)
	{
		params[scan->keys[i].id].value = group->values[i];
		params[scan->keys[i].id].isnull = group->nulls[i];
	}
}

/* One was too much: they are smaller now, and grow again later than before. */
static void
shrink_rounds(CcrScan *scan, int size)
{
	scan->max_size = Min(scan->max_size, Max(size, scan->usual));
	scan->good = 0;
	scan->patience = Min(scan->patience * 2, CCR_MOST_PATIENCE);
}

/* ------------------------------------------------------------------ asking */

CcrDefinition *
ccr_scan_definition(CcrScanCall *call)
{
	return ccr_definition_ref_get(&call->ref, call->function);
}

/* Can the results that a call's arguments and guard need be had for a row? */
static bool
has_what_it_uses(CcrScan *scan, CcrRound *round, const CcrScanCall *call, int row)
{
	int			i = -1;

	while ((i = bms_next_member(call->uses, i)) >= 0)
	{
		const CcrCallState *looked;

		/* guards that use each other's calls: one has to go without */
		if (round->asked[i].looked == NULL)
			return false;
		looked = &round->asked[i].looked[row];
		if (looked->answered ?
			!ccr_cell_is_good(looked->answered, looked->item, scan->calls[i].returns_set) :
			looked->item == CCR_NOT_YET || looked->item == CCR_FAILED ||
			looked->item == CCR_NOT_READY)
			return false;
	}
	return true;
}

bool
ccr_scan_comes_to_all(const CcrScan *scan)
{
	return scan->whole && !ccr_run_may_end(scan->node->ps.state);
}

/*
 * In parallel mode there are no subtransactions, so an error comes early.  It
 * must be one that SQL has, too.  Where rows may be left, a call is asked for
 * once SQL has made it for one of them: so there is a server, and a right to it.
 */
static bool
waits_for_need(const CcrScan *scan, const CcrScanCall *call)
{
	return (call->unsure || (IsInParallelMode() && !ccr_scan_comes_to_all(scan))) &&
		!call->maker.needed;
}

/*
 * Can a call be asked for?  A plan that SQL runs at need (an init plan) is not
 * run ahead, unless SQL is bound to need it for the row at hand.
 */
static bool
is_ready(const CcrScan *scan, const CcrScanCall *call)
{
	ParamExecData *values = scan->node->ps.state->es_param_exec_vals;
	int			i = -1;

	if (waits_for_need(scan, call))
		return false;
	while ((i = bms_next_member(call->params, i)) >= 0)
		if (values[i].execPlan)
			return false;
	return true;
}

/* The arguments of a call for a row: true if it is to be asked for. */
static bool
evaluate_call(CcrScan *scan, CcrRound *round, CcrScanCall *call, int row,
			  Datum *values, bool *nulls, CcrCallState *looked)
{
	ExprContext *econtext = scan->node->ps.ps_ExprContext;
	bool		any_null = false;

	looked->answered = NULL;
	looked->item = CCR_NOT_ASKED;
	if (!has_what_it_uses(scan, round, call, row))
		return false;
	econtext->ecxt_scantuple = load_row(scan, round, row);
	if (call->guard)
	{
		bool		isnull;
		Datum		holds = ExecEvalExpr(call->guard, econtext, &isnull);

		if (isnull || !DatumGetBool(holds))
			return false;
	}
	for (int i = 0; i < call->nargs; i++)
	{
		values[i] = ExecEvalExpr(call->args[i], econtext, &nulls[i]);
		any_null |= nulls[i];
	}
	if (any_null && call->strict)
	{
		looked->item = CCR_NO_CALL;
		return false;
	}
	return true;
}

/* The arguments of some rows' calls, one after the other. */
typedef struct Arguments
{
	Datum	   *values;
	bool	   *nulls;
	int			nitems;
	Size		bytes;			/* about */
} Arguments;

static Size
size_of_arguments(const CcrScanCall *call, const Datum *values, const bool *nulls)
{
	Size		bytes = 0;

	for (int i = 0; i < call->nargs; i++)
	{
		if (nulls[i])
			continue;
		if (call->arglens[i] == -1)
			bytes += toast_raw_datum_size(values[i]);
		else if (call->arglens[i] == -2)
			bytes += strlen(DatumGetCString(values[i]));
		else
			bytes += call->arglens[i];
	}
	return bytes;
}

/* What does not fit into a request is left for the next one. */
static void
evaluate_rows(CcrScan *scan, CcrRound *round, CcrScanCall *call, int first,
			  int last, CcrCallState *looked, Arguments *arguments)
{
	const CcrGroup *group = round->groups;

	for (int row = first; row <= last; row++)
	{
		int			start = arguments->nitems * Max(call->nargs, 1);

		CHECK_FOR_INTERRUPTS();
		if (group)
		{
			while (group->end <= row)
				group++;
			enter_group(scan, group);
		}
		if (arguments->bytes >= (Size) scan->max_bytes)
		{
			looked[row].answered = NULL;
			looked[row].item = CCR_NOT_YET;
			continue;
		}
		if (!evaluate_call(scan, round, call, row, &arguments->values[start],
						   &arguments->nulls[start], &looked[row]))
			continue;
		looked[row].item = arguments->nitems++;
		arguments->bytes += size_of_arguments(call, &arguments->values[start],
											  &arguments->nulls[start]);
	}
}

/* Encode the arguments and send them off. */
static void
submit_round(CcrScan *scan, CcrScanCall *call, int first, int last,
			 const Arguments *arguments, CcrCallRequest *asked,
			 MemoryContext context, ResourceOwner owner)
{
	CcrDefinition *definition = ccr_scan_definition(call);
	MemoryContext old = MemoryContextSwitchTo(context);
	uint32	   *places;
	CcrScope	scope;

	ccr_definition_enter(definition, &scope);
	ccr_items_init(&asked->items);
	asked->items.barred = ccr_barrier_holds((Node *) call->shown, definition->volatility);
	for (int i = 0; i < arguments->nitems; i++)
		ccr_items_add(definition, &asked->items, &arguments->values[i * call->nargs],
					  &arguments->nulls[i * call->nargs]);
	scan->largest = Min(scan->largest, ccr_settings_scan_size());
	scan->usual = Min(scan->usual, scan->largest);
	scan->max_size = Min(scan->max_size, scan->largest);
	asked->items.max_size = scan->max_size;
	scan->max_bytes = Min(scan->max_bytes, ccr_settings.max_bytes);
	places = ccr_items_sort(&asked->items, definition->nargs);
	for (int row = first; places && row <= last; row++)
		if (asked->looked[row].item >= 0)
			asked->looked[row].item = places[asked->looked[row].item];
	if (places)
		pfree(places);
	asked->pending = ccr_pending_submit(definition, definition->result, &asked->items, owner);
	ccr_definition_leave(&scope);
	MemoryContextSwitchTo(old);
}

static void
leave_scope(CcrCallRequest *asked, int first, int last, int item)
{
	for (int row = first; row <= last; row++)
		asked->looked[row] = (CcrCallState)
	{
		NULL, item
	};
}

/*
 * All arguments are evaluated before any of the lookup's own settings and
 * rights are taken on, to encode them.
 */
static void
evaluate_and_submit(CcrScan *scan, CcrRound *round, CcrScanCall *call,
					int first, int last, CcrCallRequest *asked, ResourceOwner owner)
{
	int			nvalues = (last - first + 1) * Max(call->nargs, 1);
	Arguments	arguments = {
		.values = palloc_extended(nvalues * sizeof(Datum), MCXT_ALLOC_HUGE),
		.nulls = palloc_extended(nvalues * sizeof(bool), MCXT_ALLOC_HUGE)
	};

	/* it may have been made VOLATILE since it was planned */
	if (ccr_scan_definition(call)->volatility == PROVOLATILE_VOLATILE)
	{
		leave_scope(asked, first, last, CCR_NOT_ASKED);
		return;
	}
	evaluate_rows(scan, round, call, first, last, asked->looked, &arguments);
	asked->bytes = arguments.bytes;
	if (arguments.nitems > 0)
		submit_round(scan, call, first, last, &arguments, asked, round->context, owner);
}

/*
 * Not an error of what is asked for, but of a session that is to stop (others of
 * these are FATAL).  Any other one, internal errors included, may be an
 * argument's, of a row that is not wanted.
 */
static bool
concerns_session(int sqlstate)
{
	return sqlstate == ERRCODE_QUERY_CANCELED;
}

/*
 * An error is raised when SQL comes to evaluate the row, if it does: until
 * then there are rows to be emitted, and maybe they are all that is wanted.
 * It may also be one that a call for itself does not have: a request of many
 * items finds no room where a small one would.
 */
static void
try_to_ask(CcrScan *scan, CcrRound *round, CcrScanCall *call, int first,
		   int last, CcrCallRequest *asked)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		evaluate_and_submit(scan, round, call, first, last, asked, owner);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (concerns_session(edata->sqlerrcode))
			ReThrowError(edata);
		FreeErrorData(edata);
		asked->pending = NULL;
		leave_scope(asked, first, last, CCR_FAILED);
		shrink_rounds(scan, scan->usual);
	}
	PG_END_TRY();
}

/* Ask for the rows from first to last. */
static void
ask_rows(CcrScan *scan, CcrRound *round, int n, int first, int last,
		 CcrCallRequest *asked)
{
	CcrScanCall *call = &scan->calls[n];
	ParamExecData *saved;
	MemoryContext scratch;
	MemoryContext old;

	/* not in a subtransaction: what such a plan holds would end with that */
	ExecSetParamPlanMulti(call->sure_params, scan->node->ps.ps_ExprContext);
	if (IsInParallelMode() && !call->infallible && !ccr_scan_comes_to_all(scan))
	{
		leave_scope(asked, first, last, CCR_NOT_ASKED);
		return;
	}
	if (!is_ready(scan, call))
	{
		leave_scope(asked, first, last, CCR_NOT_READY);
		return;
	}
	scratch = AllocSetContextCreate(round->context, "concresce arguments",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(scratch);
	saved = palloc(Max(scan->nkeys, 1) * sizeof(ParamExecData));
	save_params(scan, saved);
	if (IsInParallelMode())
		evaluate_and_submit(scan, round, call, first, last, asked, CurrentResourceOwner);
	else
		try_to_ask(scan, round, call, first, last, asked);
	restore_params(scan, saved);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
}

static CcrAnswerCopy *
take_round(CcrScan *scan, CcrRound *round, int n, CcrCallRequest *asked)
{
	CcrCallCounts *counts = &scan->counts->calls[n];
	MemoryContext old = MemoryContextSwitchTo(round->context);
	CcrPending *pending = asked->pending;
	CcrAnswerCopy *answered;

	asked->pending = NULL;

	/* who fetches from a cursor may have been away for long */
	ccr_pending_restart_timeout(pending);
	answered = ccr_pending_try_to_take(pending);

	/* a round with large arguments is asked for in many requests */
	pfree(asked->items.buf.data);
	asked->items.buf.data = NULL;
	MemoryContextSwitchTo(old);
	pg_atomic_fetch_add_u64(&counts->keys, answered->n - answered->joined);
	pg_atomic_fetch_add_u64(&counts->coalesced, answered->joined);
	pg_atomic_fetch_add_u64(&counts->remote_us, answered->remote_us);
	if (answered->failure == CCR_FAILURE_NO_MEMORY ||
		answered->failure == CCR_FAILURE_SESSION_MEMORY ||
		answered->failure == CCR_FAILURE_ROLE_MEMORY)
		scan->max_size = Max(Min(scan->max_size, round->nrows) / 4, 1);
	return answered;
}

/* ---------------------------------------------------------------- how large */

static bool
has_errors(const CcrAnswerCopy *answered)
{
	for (uint32 i = 0; i < answered->n; i++)
		if (answered->entries[i] == NULL || answered->entries[i]->kind == CCR_ENTRY_ERROR)
			return true;
	return false;
}

/*
 * Larger rounds cost less a row: fewer queries, and keys that are closer to each
 * other.  But others wait for its connection, and memory, while one is under way.
 * And what a row costs may change in the middle of a table.
 */
static void
adapt_rounds(CcrScan *scan, const CcrRound *round, const CcrCallRequest *asked,
			 const CcrAnswerCopy *answered)
{
	double		much = Max(answered->remote_us / CCR_LONG_ANSWER,
						   Max(answered->bytes / CCR_LARGE_ANSWER,
							   asked->bytes / CCR_LARGE_REQUEST));

	if (answered->failure != CCR_FAILURE_NONE || has_errors(answered))
		shrink_rounds(scan, scan->usual);
	else if (much > 2)
		shrink_rounds(scan, (int) (round->nrows / much));
	else if (much <= 1 && round->nrows >= scan->max_size &&
			 scan->max_size < scan->largest && ++scan->good >= scan->patience)
	{
		scan->max_size = Min(scan->max_size * 2, scan->largest);
		scan->good = 0;
	}
}

/* ------------------------------------------------------------------ stages */

static void
start_stage(CcrScan *scan, CcrRound *round)
{
	for (int i = 0; i < scan->ncalls; i++)
		/* one that was disowned is asked for when a row is come to */
		if (scan->calls[i].stage == round->stage && round->asked[i].looked == NULL)
		{
			round->asked[i].looked = MemoryContextAlloc(round->context,
														round->nrows * sizeof(CcrCallState));
			ask_rows(scan, round, i, 0, round->nrows - 1, &round->asked[i]);
		}
}

static void
end_stage(CcrScan *scan, CcrRound *round)
{
	for (int i = 0; i < scan->ncalls; i++)
	{
		CcrCallRequest *asked = &round->asked[i];
		CcrAnswerCopy *answered;

		if (asked->pending == NULL)
			continue;
		answered = take_round(scan, round, i, asked);
		adapt_rounds(scan, round, asked, answered);
		for (int row = 0; row < round->nrows; row++)
			if (asked->looked[row].item >= 0)
				asked->looked[row].answered = answered;
	}
	if (++round->stage < scan->nstages)
		start_stage(scan, round);
}

void
ccr_round_start(CcrScan *scan, CcrRound *round)
{
	round->stage = 0;
	round->asked = MemoryContextAllocZero(round->context,
										  Max(scan->ncalls, 1) * sizeof(CcrCallRequest));
	start_stage(scan, round);
}

void
ccr_round_advance(CcrScan *scan, CcrRound *round)
{
	if (round->stage == scan->nstages)
		return;
	for (int i = 0; i < scan->ncalls; i++)
		if (round->asked[i].pending && !ccr_pending_ready(round->asked[i].pending))
			return;
	end_stage(scan, round);
}

void
ccr_round_finish(CcrScan *scan, CcrRound *round)
{
	while (round->stage < scan->nstages)
		end_stage(scan, round);
}

/* ------------------------------------------------------------ asking again */

static bool
round_failed(const CcrCallState *looked)
{
	if (looked->answered == NULL)
		return looked->item == CCR_FAILED;
	return looked->answered->entries[looked->item] == NULL ||
		looked->answered->entries[looked->item]->kind == CCR_ENTRY_ERROR;
}

static bool
is_missing(const CcrScan *scan, const CcrScanCall *call, const CcrCallState *looked)
{
	return round_failed(looked) || looked->item == CCR_NOT_YET ||
		(looked->item == CCR_NOT_READY && is_ready(scan, call));
}

/* Ask for rows that are missing, and wait. */
static void
ask_and_wait(CcrScan *scan, CcrRound *round, int n, int first, int last)
{
	CcrCallRequest again = {.looked = round->asked[n].looked};
	CcrAnswerCopy *answered;

	ask_rows(scan, round, n, first, last, &again);
	if (again.pending == NULL)
		return;
	answered = take_round(scan, round, n, &again);
	for (int row = first; row <= last; row++)
		if (again.looked[row].item >= 0)
			again.looked[row].answered = answered;
}

/*
 * A batch may have failed because of a row that SQL would not have come to, so
 * the first row that needs the call makes it plainly, and raises the error if
 * it is its own.  If it is not, the next ones are asked for in batches that
 * grow again.  Rows that just did not fit are asked for all together.
 */
static void
ask_again(CcrScan *scan, CcrRound *round, int n, int row)
{
	CcrScanCall *call = &scan->calls[n];
	CcrCallState *looked = round->asked[n].looked;
	bool		grows = round_failed(&looked[row]);
	int			most = grows ? Max(call->attempt, 1) : round->nrows;
	int			last = row;

	while (last + 1 < round->nrows && last - row + 1 < most &&
		   is_missing(scan, call, &looked[last + 1]))
		last++;
	if (grows)
		call->attempt = Min(most * 2, scan->max_size);
	if (grows && last == row)
		return;
	ask_and_wait(scan, round, n, row, last);
	if (round_failed(&looked[row]))
		call->attempt = 1;
}

/* ---------------------------------------------------------------- emitting */

TupleTableSlot *
ccr_round_emit(CcrScan *scan, CcrRound *round, int row)
{
	TupleTableSlot *slot;

	for (int i = 0; i < scan->ncalls; i++)
		if (is_missing(scan, &scan->calls[i], &round->asked[i].looked[row]))
			ask_again(scan, round, i, row);
	slot = load_row(scan, round, row);
	if (round->tids)
	{
		slot->tts_tid = round->tids[row];
		slot->tts_tableOid = round->tableoid;
	}
	return slot;
}

static void
drop_pending(CcrScan *scan, CcrRound *round)
{
	if (round->asked == NULL)
		return;
	for (int i = 0; i < scan->ncalls; i++)
		if (round->asked[i].pending)
		{
			ccr_pending_drop(round->asked[i].pending);
			round->asked[i].pending = NULL;
		}
}

/*
 * Rows that are left are asked for as after a failure: the next one plainly,
 * and more together the longer nothing changes.
 */
static void
disown_round(CcrScan *scan, CcrRound *round, int n)
{
	CcrCallRequest *asked = &round->asked[n];

	if (asked->pending)
		ccr_pending_drop(asked->pending);
	asked->pending = NULL;
	scan->calls[n].attempt = 1;
	if (asked->looked == NULL)
		asked->looked = MemoryContextAlloc(round->context,
										   round->nrows * sizeof(CcrCallState));
	for (int row = 0; row < round->nrows; row++)
		asked->looked[row] = (CcrCallState)
	{
		NULL, CCR_FAILED
	};
}

static void
disown_calls(CcrScan *scan, CcrRound *round, const Bitmapset *calls)
{
	int			i = -1;

	if (round->asked == NULL)
		return;
	while ((i = bms_next_member(calls, i)) >= 0)
		disown_round(scan, round, i);
}

/* And the calls that need what these have found. */
static Bitmapset *
with_dependents(const CcrScan *scan, Bitmapset *calls)
{
	int			before;

	do
	{
		before = bms_num_members(calls);
		for (int i = 0; i < scan->ncalls; i++)
			if (bms_overlap(scan->calls[i].uses, calls))
				calls = bms_add_member(calls, i);
	} while (bms_num_members(calls) > before);
	return calls;
}

static bool
terms_walker(Node *node, void *terms)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncExpr) && ccr_is_lookup(((FuncExpr *) node)->funcid))
		*(uint32 *) terms |= ccr_caller_terms(((FuncExpr *) node)->funcid);
	return expression_tree_walker(node, terms_walker, terms);
}

void
ccr_scan_set_terms(CcrScanCall *call)
{
	call->caller.terms = ccr_caller_terms(call->function);
	(void) terms_walker((Node *) call->shown, &call->caller.terms);
}

void
ccr_scan_check_caller(CcrScan *scan)
{
	Bitmapset  *changed = NULL;
	CcrCaller	caller;

	for (int i = 0; i < scan->ncalls; i++)
	{
		CcrScanCall *call = &scan->calls[i];
		bool		outdated = ccr_definition_ref_drop_stale(&call->ref);

		if (outdated)
			ccr_scan_set_terms(call);
		ccr_caller_get(&caller, call->caller.terms);
		if (!outdated && ccr_caller_equal(&caller, &call->caller))
			continue;
		call->caller = caller;
		changed = bms_add_member(changed, i);
	}
	if (changed == NULL)
		return;
	changed = with_dependents(scan, changed);
	for (int i = 0; i < 2; i++)
		disown_calls(scan, &scan->rounds[i], changed);
	for (int i = 0; i < CCR_FED_ROUNDS; i++)
		disown_calls(scan, &scan->fed[i], changed);
	bms_free(changed);
}

void
ccr_round_clear(CcrScan *scan, CcrRound *round)
{
	drop_pending(scan, round);
	ExecClearTuple(scan->node->ss_ScanTupleSlot);
	ExecClearTuple(scan->held);
	round->nrows = round->next = 0;
	round->ngroups = round->next_group = 0;
	round->bytes = 0;
	round->tids = NULL;
	round->asked = NULL;
	round->groups = NULL;
	MemoryContextReset(round->context);
}
