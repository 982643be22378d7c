/*-------------------------------------------------------------------------
 *
 * scan_exec.c
 *	  The batch node at work.
 *
 * It reads rows ahead in rounds, first a few, then more, since it cannot know
 * how many will be asked for unless a limit says so.  There are two of them:
 * while the rows of one are emitted, the other's lookups are under way.  The
 * first few rows may be all that is wanted, so that begins later, unless all rows
 * are sure to be asked for: with the second round, or with the third where the
 * node is scanned again or has a limit.
 *
 * Where a cursor goes back over its rows they are kept, with their cells and
 * places, as a Material node would.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/extensible.h"
#include "nodes/nodeFuncs.h"
#include "scan/scan_exec.h"
#include "scan/scan_feed.h"
#include "scan/scan_node.h"
#include "scan/scan_round.h"
#include "scan/scan_run.h"
#include "shared/compat.h"
#include "shared/settings.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/ruleutils.h"
#include "utils/tuplestore.h"

#define CCR_FIRST_ROUND		10	/* rows, if nothing is known */
#define CCR_ROUND_GROWTH	10
#define CCR_SECOND_ROUND	(CCR_FIRST_ROUND * CCR_ROUND_GROWTH)
#define CCR_THIRD_ROUND		400 /* if it is under way beside the second */

/* Rows read ahead in vain may be one for so many that were asked for. */
#define CCR_WASTE			10

typedef struct BatchState
{
	CustomScanState css;
	CcrScan		scan;
	int			current;		/* whose rows are emitted */
	bool		ended;			/* the child has no more rows */
	int			size;			/* of the next round */
	int64		left;			/* rows that may be read; -1: no limit */
	bool		eager;			/* two rounds are under way from the second on */
	bool		all;			/* all rows are going to be asked for, */
	bool		drained;		/* whatever is above */
	bool		looked;			/* for a group of rows; see scan_feed.h */
	bool		each;			/* the statement's rows take one of them each */
	bool		wavers;			/* none is read beyond what a run wants */
	uint64		nrounds;		/* since the last rescan */
	int64		emitted;		/* rows, since the last rescan */
	int64		used;			/* rows that were emitted before that */
	int64		used_last;		/* by the last scan */
	bool		resumes;		/* the first round is as large as that */
	int64		wasted;			/* rows that were read in vain */
	bool		was_ended;		/* the last scan was read to its end */
	Tuplestorestate *kept;		/* rows that were emitted; NULL: not kept */
	bool		keeps;
	TupleDesc	kept_desc;
	TupleTableSlot *kept_slot;
	bool		kept_all;		/* there are no more */
	CcrScanCounts *own_counts;	/* while others count in shared memory */
	MemoryContextCallback release;
} BatchState;

static Node *create_state(CustomScan *node);
static void scan_begin(CustomScanState *css, EState *estate, int eflags);
static TupleTableSlot *scan_execute(CustomScanState *css);
static void scan_end(CustomScanState *css);
static void scan_rescan(CustomScanState *css);
static void scan_explain(CustomScanState *css, List *ancestors, ExplainState *es);
static Size shared_size(CustomScanState *css, ParallelContext *context);
static void scan_share(CustomScanState *css, ParallelContext *context, void *area);
static void share_again(CustomScanState *css, ParallelContext *context, void *area);
static void join_in(CustomScanState *css, shm_toc *toc, void *area);
static void end_sharing(CustomScanState *css);

const CustomScanMethods ccr_scan_methods = {
	.CustomName = CCR_NODE_NAME,
	.CreateCustomScanState = create_state
};

static const CustomExecMethods exec_methods = {
	.CustomName = CCR_NODE_NAME,
	.BeginCustomScan = scan_begin,
	.ExecCustomScan = scan_execute,
	.EndCustomScan = scan_end,
	.ReScanCustomScan = scan_rescan,
	.EstimateDSMCustomScan = shared_size,
	.InitializeDSMCustomScan = scan_share,
	.ReInitializeDSMCustomScan = share_again,
	.InitializeWorkerCustomScan = join_in,
	.ShutdownCustomScan = end_sharing,
	.ExplainCustomScan = scan_explain
};

void
ccr_scan_init(void)
{
	RegisterCustomScanMethods(&ccr_scan_methods);
}

/* ------------------------------------------------------------------- begin */

static Node *
create_state(CustomScan *node)
{
	BatchState *state = palloc0(sizeof(BatchState));

	NodeSetTag(state, T_CustomScanState);
	state->css.methods = &exec_methods;
	return (Node *) state;
}

static bool
uses_walker(Node *node, void *context)
{
	Bitmapset **columns = context;

	if (node == NULL)
		return false;
	if (IsA(node, Var))
		*columns = bms_add_member(*columns, ((Var *) node)->varattno);
	return expression_tree_walker(node, uses_walker, context);
}

/*
 * An Append all of whose children are pruned as it begins: nothing is prepared
 * that they would have computed.
 */
static bool
has_nothing_below(PlanState *node)
{
	switch (nodeTag(node))
	{
		case T_AppendState:
			return ((AppendState *) node)->as_nplans == 0;
		case T_MergeAppendState:
			return ((MergeAppendState *) node)->ms_nplans == 0;
		case T_CustomScanState:
			return ((CustomScanState *) node)->methods == &exec_methods &&
				has_nothing_below(outerPlanState(node));
		default:
			return false;
	}
}

static void
begin_call(BatchState *state, CcrScanCall *call, const CcrNodeCall *plan)
{
	PlanState  *parent = &state->css.ss.ps;
	Bitmapset  *columns = NULL;
	ListCell   *lc;

	if (!has_nothing_below(outerPlanState(state)))
		ccr_cell_check_execute(plan->function);
	ccr_cell_maker_add(&call->maker, plan->function);
	ccr_definition_ref_init(&call->ref, parent->state->es_query_cxt);
	call->function = plan->function;
	call->strict = func_strict(plan->function);
	call->returns_set = get_func_retset(plan->function);
	call->shown = plan->shown;
	ccr_scan_set_terms(call);
	call->nargs = list_length(plan->args);
	call->args = palloc(Max(call->nargs, 1) * sizeof(ExprState *));
	call->arglens = palloc(Max(call->nargs, 1) * sizeof(int16));
	foreach(lc, plan->args)
	{
		int			i = foreach_current_index(lc);

		call->args[i] = ExecInitExpr(lfirst(lc), parent);
		call->arglens[i] = get_typlen(exprType(lfirst(lc)));
	}
	call->guard = ExecInitQual(plan->guard, parent);
	call->stage = -1;

	call->unsure = plan->certainty != CCR_CERTAIN;
	call->infallible = plan->infallible;
	call->params = bms_union(ccr_params_of((Node *) plan->args),
							 ccr_params_of((Node *) plan->guard));
	if (plan->guard == NIL && !call->unsure)
		call->sure_params = bms_intersect(ccr_params_for_certain((Node *) plan->args),
										  ccr_node_first((CustomScan *) parent->plan));
	(void) uses_walker((Node *) plan->args, &columns);
	(void) uses_walker((Node *) plan->guard, &columns);
	for (int i = 0; i < state->scan.ncalls; i++)
		if (bms_is_member(state->scan.ncolumns + 1 + i, columns))
			call->uses = bms_add_member(call->uses, i);
}

/*
 * One stage after the last of what it uses.  Two guards may use each other's
 * calls; then one of the calls is made plainly where the other needs it.
 */
static int
find_stage(CcrScan *scan, int n)
{
	CcrScanCall *call = &scan->calls[n];
	int			stage = 0;
	int			i = -1;

	if (call->stage >= 0)
		return call->stage;
	call->stage = 0;
	while ((i = bms_next_member(call->uses, i)) >= 0)
		stage = Max(stage, find_stage(scan, i) + 1);
	call->stage = stage;
	scan->nstages = Max(scan->nstages, stage + 1);
	return stage;
}

/*
 * The scan of a table whose current row is the one that a node has emitted:
 * what search_plan_tree() of execCurrent.c would find.
 */
static ScanState *
scan_of_row(PlanState *node)
{
	ScanState  *scan = (ScanState *) node;

	switch (nodeTag(node))
	{
		case T_SubqueryScanState:
			return scan_of_row(((SubqueryScanState *) node)->subplan);
		case T_ResultState:
		case T_LimitState:
			return outerPlanState(node) ? scan_of_row(outerPlanState(node)) : NULL;
		case T_AppendState:
			return list_length(((Append *) node->plan)->appendplans) == 1 &&
				((AppendState *) node)->as_nplans == 1 ?
				scan_of_row(((AppendState *) node)->appendplans[0]) : NULL;
		case T_SeqScanState:
		case T_SampleScanState:
		case T_IndexScanState:
		case T_IndexOnlyScanState:
		case T_BitmapHeapScanState:
		case T_TidScanState:
		case T_TidRangeScanState:
		case T_ForeignScanState:
		case T_CustomScanState:
			return scan->ss_currentRelation ? scan : NULL;
		default:
			return NULL;
	}
}

/* Errors, too, end with the memory of the query. */
static void
forget_scan(void *arg)
{
	CcrScan    *scan = arg;

	for (int i = 0; i < scan->ncalls; i++)
		if (scan->calls[i].maker.serial)
			ccr_cell_maker_remove(&scan->calls[i].maker);
	if (scan->plan_node_id)
		ccr_feed_end(scan);
}

/*
 * What was read to its end will probably be so again, and what was not will be
 * read about as far.  But if it is not, keys were asked for in vain, so the bet is
 * kept low until it has been won often.
 */
static int
size_by_experience(const BatchState *state)
{
	int64		bet = Max(CCR_SECOND_ROUND, state->used / CCR_WASTE - state->wasted);

	if (!state->was_ended)
		bet = Min(bet, Max(state->used_last, CCR_FIRST_ROUND));
	return Min(bet, state->scan.max_size);
}

/*
 * What will be read is not known: a full round must not be large beside what was
 * read so far, as there are two of them.
 */
static int
most_by_experience(const BatchState *state)
{
	return Max(state->scan.usual, Min(state->emitted / CCR_WASTE, INT_MAX));
}

static void
begin_rows(BatchState *state)
{
	CcrScan    *scan = &state->scan;
	bool		filters = state->css.ss.ps.qual != NULL;
	int64		limit = ccr_scan_limit(scan);

	ccr_scan_take_bounds(scan);

	state->all = state->drained || ccr_scan_comes_to_all(scan);

	/* a filter makes the limit no more than a hint */
	state->left = filters ? -1 : limit;
	state->size = state->all ? scan->max_size : size_by_experience(state);
	if (limit > 0)
		state->size = filters ? Max(CCR_FIRST_ROUND, Min(limit, INT_MAX)) :
			Min(limit, INT_MAX);

	state->eager = limit < 0 && state->used == 0 && state->wasted == 0;
	state->resumes = limit < 0 && !state->all && !state->was_ended && state->used_last > CCR_FIRST_ROUND;

	/* a sort that is to give the first rows only does less work */
	ExecSetTupleBound(state->left, outerPlanState(state));
}

/* The rows that are kept: scan tuples, and where WHERE CURRENT OF finds them. */
static void
begin_keeping(BatchState *state, EState *estate)
{
	TupleDesc	desc = state->css.ss.ss_ScanTupleSlot->tts_tupleDescriptor;

	state->keeps = true;
	state->kept_desc = CreateTemplateTupleDesc(desc->natts + 2);
	for (int i = 1; i <= desc->natts; i++)
		TupleDescCopyEntry(state->kept_desc, i, desc, i);
	TupleDescInitEntry(state->kept_desc, desc->natts + 1, NULL, TIDOID, -1, 0);
	TupleDescInitEntry(state->kept_desc, desc->natts + 2, NULL, OIDOID, -1, 0);
	TupleDescFinalize(state->kept_desc);
	state->kept_slot = ExecInitExtraTupleSlot(estate, state->kept_desc, &TTSOpsMinimalTuple);
}

static Size
counts_size(const CcrScan *scan)
{
	return offsetof(CcrScanCounts, calls) + scan->ncalls * sizeof(CcrCallCounts);
}

static void
scan_begin(CustomScanState *css, EState *estate, int eflags)
{
	BatchState *state = (BatchState *) css;
	CcrScan    *scan = &state->scan;
	CustomScan *node = (CustomScan *) css->ss.ps.plan;
	List	   *calls = ccr_node_calls(node);
	CcrDemand	demand = ccr_node_demand(node);
	PlanState  *child;
	ListCell   *lc;

	/* rows are read ahead: the child can be told nothing of how they are used */
	child = ExecInitNode(outerPlan(node), estate,
						 eflags & ~(EXEC_FLAG_BACKWARD | EXEC_FLAG_MARK));
	outerPlanState(css) = child;
	scan->node = &css->ss;
	scan->ncolumns = ccr_node_columns(node);
	scan->ncalls = list_length(calls);
	scan->calls = palloc0(Max(scan->ncalls, 1) * sizeof(CcrScanCall));
	scan->counts = palloc0(counts_size(scan));
	state->release.func = forget_scan;
	state->release.arg = scan;
	MemoryContextRegisterResetCallback(estate->es_query_cxt, &state->release);
	foreach(lc, calls)
		begin_call(state, &scan->calls[foreach_current_index(lc)], lfirst(lc));
	for (int i = 0; i < scan->ncalls; i++)
		(void) find_stage(scan, i);

	for (int i = 1; i <= scan->ncalls; i++)
		TupleDescInitEntry(css->ss.ss_ScanTupleSlot->tts_tupleDescriptor,
						   scan->ncolumns + i, NULL, BYTEAOID, -1, 0);
	TupleDescFinalize(css->ss.ss_ScanTupleSlot->tts_tupleDescriptor);

	/* a cursor's current row is found by the place that its scan gives it */
	scan->scanned = scan_of_row(child);
	if (scan->scanned)
		css->ss.ss_currentRelation = scan->scanned->ss_currentRelation;
	scan->held = ExecInitExtraTupleSlot(estate, ExecGetResultType(child),
										&TTSOpsMinimalTuple);
	for (int i = 0; i < 2; i++)
		state->scan.rounds[i].context = AllocSetContextCreate(estate->es_query_cxt,
															  "concresce round",
															  ALLOCSET_DEFAULT_SIZES);
	scan->count = ExecInitExpr((Expr *) demand.count, &css->ss.ps);
	scan->offset = ExecInitExpr((Expr *) demand.offset, &css->ss.ps);
	ccr_feed_begin(scan);
	state->drained = demand.all;
	scan->whole = demand.whole;
	state->each = demand.each;
	state->wavers = demand.wavers;
	state->size = 0;			/* until the first row is asked for */
	if ((node->flags & CUSTOMPATH_SUPPORT_BACKWARD_SCAN) && (eflags & EXEC_FLAG_BACKWARD))
		begin_keeping(state, estate);
}

/* ----------------------------------------------------------------- execute */

/*
 * What depends on the role, say, is read no further than this run of the query
 * surely comes; -1: no matter.
 */
static int64
rows_wanted(const BatchState *state)
{
	int64		wants = state->wavers ? ccr_run_wants(state->css.ss.ps.state) : -1;

	return wants < 0 ? -1 : state->each ? Max(wants, 1) : 1;
}

/* Read up to n rows of the child.  False: there are no more. */
static bool
fill_with_rows(CcrScan *scan, CcrRound *round, int n)
{
	ccr_round_begin(scan, round, n);
	while (round->nrows < n && round->bytes < (Size) scan->max_bytes)
	{
		if (!ccr_round_read(scan, round))
			return false;
		if (!ccr_feed_row(scan, round - scan->rounds, n))
			break;
	}
	return true;
}

static void
clear_round(CcrScan *scan, CcrRound *round)
{
	ccr_feed_clear(scan, round - scan->rounds);
	ccr_round_clear(scan, round);
}

static void
fill_round(BatchState *state, CcrRound *round)
{
	int			size = Min(state->size, state->scan.max_size);
	int64		most = rows_wanted(state);

	if (state->eager && !state->all && state->nrounds == 2)
		size = Min(size, CCR_THIRD_ROUND);
	if (!state->all)
		size = Min(size, most_by_experience(state));
	if (state->left >= 0)
		size = Min(size, state->left);
	if (most >= 0)
		size = Min(size, most);
	if (size == 0 || !fill_with_rows(&state->scan, round, size))
		state->ended = true;
	if (state->left >= 0)
		state->left -= round->nrows;
	if (round->nrows == 0)
		return;
	pg_atomic_fetch_add_u64(&state->scan.counts->rounds, 1);
	if (state->resumes)
		state->size = CCR_FIRST_ROUND;	/* and what goes beyond begins anew */
	else
	{
		state->nrounds++;
		state->size = Min((int64) state->size * CCR_ROUND_GROWTH, state->scan.largest);
	}
	state->resumes = false;
	ccr_round_start(&state->scan, round);
	ccr_feed_start(&state->scan, round - state->scan.rounds);
}

/* Is it worth reading on while there are rows to be emitted? */
static bool
reads_on(BatchState *state)
{
	return !state->ended && rows_wanted(state) < 0 &&
		(state->all || state->nrounds > (state->eager ? 1 : 2) ||
		 state->scan.max_size <= CCR_FIRST_ROUND);
}

/* See to it that the other round is under way. */
static void
overlap_rounds(BatchState *state)
{
	CcrRound   *other = &state->scan.rounds[1 - state->current];

	if (other->nrows > 0)
	{
		ccr_round_advance(&state->scan, other);
		ccr_feed_advance(&state->scan, other - state->scan.rounds);
	}
	else if (reads_on(state))
		fill_round(state, other);
}

static TupleTableSlot *
next_row(ScanState *node)
{
	BatchState *state = (BatchState *) node;
	CcrScan    *scan = &state->scan;
	TupleTableSlot *slot;
	MemoryContext old;

	ccr_scan_check_caller(scan);
	if (!state->looked)
		ccr_feed_find(scan);
	state->looked = true;
	if (scan->serving)
	{
		old = MemoryContextSwitchTo(node->ps.ps_ExprContext->ecxt_per_tuple_memory);
		slot = ccr_feed_next(scan);
		MemoryContextSwitchTo(old);
		return slot;
	}
	if (state->size == 0)
		begin_rows(state);
	for (;;)
	{
		CcrRound   *round = &state->scan.rounds[state->current];
		CcrRound   *other = &state->scan.rounds[1 - state->current];

		if (round->next < round->nrows)
		{
			overlap_rounds(state);
			ccr_round_finish(&state->scan, round);
			old = MemoryContextSwitchTo(node->ps.ps_ExprContext->ecxt_per_tuple_memory);
			slot = ccr_round_emit(&state->scan, round, round->next++);
			MemoryContextSwitchTo(old);
			state->emitted++;
			return slot;
		}
		clear_round(&state->scan, round);
		if (other->nrows > 0)
			state->current = 1 - state->current;
		else if (state->ended)
			return ExecClearTuple(node->ss_ScanTupleSlot);
		else
			fill_round(state, round);
	}
}

/* ------------------------------------------------------------ rows kept */

static void
keep_child_row(BatchState *state, TupleTableSlot *slot)
{
	int			n = slot->tts_tupleDescriptor->natts;
	Datum	   *values = palloc((n + 2) * sizeof(Datum));
	bool	   *nulls = palloc0((n + 2) * sizeof(bool));

	memcpy(values, slot->tts_values, n * sizeof(Datum));
	memcpy(nulls, slot->tts_isnull, n * sizeof(bool));
	values[n] = PointerGetDatum(&slot->tts_tid);
	values[n + 1] = ObjectIdGetDatum(slot->tts_tableOid);
	tuplestore_putvalues(state->kept, state->kept_desc, values, nulls);
	pfree(values);
	pfree(nulls);
}

static TupleTableSlot *
load_kept_row(BatchState *state)
{
	TupleTableSlot *slot = state->css.ss.ss_ScanTupleSlot;
	TupleTableSlot *kept = state->kept_slot;
	int			n = slot->tts_tupleDescriptor->natts;

	ExecClearTuple(slot);
	slot_getallattrs(kept);
	memcpy(slot->tts_values, kept->tts_values, n * sizeof(Datum));
	memcpy(slot->tts_isnull, kept->tts_isnull, n * sizeof(bool));
	ExecStoreVirtualTuple(slot);
	slot->tts_tid = *(ItemPointer) DatumGetPointer(kept->tts_values[n]);
	slot->tts_tableOid = DatumGetObjectId(kept->tts_values[n + 1]);
	return slot;
}

static void
create_kept(BatchState *state)
{
	MemoryContext old = MemoryContextSwitchTo(state->css.ss.ps.state->es_query_cxt);

	state->kept = tuplestore_begin_heap(true, false, work_mem);
	tuplestore_set_eflags(state->kept, EXEC_FLAG_REWIND | EXEC_FLAG_BACKWARD);
	state->kept_all = false;
	MemoryContextSwitchTo(old);
}

/* As nodeMaterial.c does it. */
static TupleTableSlot *
next_kept_row(ScanState *node)
{
	BatchState *state = (BatchState *) node;
	bool		forward = ScanDirectionIsForward(node->ps.state->es_direction);
	bool		at_end;
	TupleTableSlot *slot;

	if (state->kept == NULL)
		create_kept(state);
	at_end = tuplestore_ateof(state->kept);
	if (!forward && at_end)
	{
		/* the last one that was kept is the current one, unless all were read */
		if (!state->kept_all && !tuplestore_advance(state->kept, false))
			return ExecClearTuple(node->ss_ScanTupleSlot);
		at_end = false;
	}
	if (!at_end)
	{
		if (tuplestore_gettupleslot(state->kept, forward, false, state->kept_slot))
			return load_kept_row(state);
		at_end = forward;
	}
	if (!at_end || state->kept_all)
		return ExecClearTuple(node->ss_ScanTupleSlot);

	slot = next_row(node);
	if (TupIsNull(slot))
		state->kept_all = true;
	else
		keep_child_row(state, slot);
	return slot;
}

/* True if they serve another scan. */
static bool
rewind_kept(BatchState *state)
{
	if (state->kept == NULL)
		return false;
	if (state->css.ss.ps.chgParam == NULL && outerPlanState(state)->chgParam == NULL)
	{
		tuplestore_rescan(state->kept);
		return true;
	}
	ExecClearTuple(state->kept_slot);
	tuplestore_end(state->kept);
	state->kept = NULL;
	return false;
}

/* ------------------------------------------------------------- as any scan */

/* In EvalPlanQual the child has one row at most, checked by itself. */
static bool
scan_recheck(ScanState *node, TupleTableSlot *slot)
{
	slot = next_row(node);
	return !TupIsNull(slot);	/* a macro that evaluates it twice */
}

static TupleTableSlot *
scan_execute(CustomScanState *css)
{
	return ExecScan(&css->ss, ((BatchState *) css)->keeps ? next_kept_row : next_row,
					scan_recheck);
}

/* --------------------------------------------------------------------- end */

static void
scan_clear(BatchState *state)
{
	clear_round(&state->scan, &state->scan.rounds[0]);
	clear_round(&state->scan, &state->scan.rounds[1]);
}

static void
scan_end(CustomScanState *css)
{
	BatchState *state = (BatchState *) css;

	ccr_round_clear(&state->scan, &state->scan.rounds[0]);
	ccr_round_clear(&state->scan, &state->scan.rounds[1]);
	ccr_feed_forget(&state->scan);
	if (state->kept)
	{
		ExecClearTuple(state->kept_slot);
		tuplestore_end(state->kept);
		state->kept = NULL;
	}
	css->ss.ss_currentRelation = NULL;	/* the child's */
	ExecEndNode(outerPlanState(css));
}

static int
rows_left(const CcrRound *round)
{
	return round->nrows - round->next;
}

/* Learn from a scan that is over how the next one may go. */
static void
note_scan(BatchState *state)
{
	int			left = rows_left(&state->scan.rounds[0]) + rows_left(&state->scan.rounds[1]);

	state->used += state->emitted;
	state->used_last = state->emitted;
	state->wasted += left;
	state->was_ended = state->ended && left == 0;
	state->emitted = 0;
}

static void
scan_rescan(CustomScanState *css)
{
	BatchState *state = (BatchState *) css;
	CcrScan    *scan = &state->scan;

	if (rewind_kept(state))
	{
		ExecScanReScan(&css->ss);
		return;
	}
	if (scan->serving == NULL)
		note_scan(state);
	scan_clear(state);
	state->looked = false;
	scan->serving = NULL;
	state->current = 0;
	state->nrounds = 0;
	state->ended = false;
	begin_rows(state);			/* before the child, as it may be a sort */
	ExecScanReScan(&css->ss);
	ccr_feed_return(scan);
	if (outerPlanState(css)->chgParam == NULL)
		ExecReScan(outerPlanState(css));
}

/* ---------------------------------------------------------------- parallel */

/*
 * The processes of a parallel plan share nothing but what EXPLAIN tells of
 * them: each looks up the keys of the rows that it reads.
 */
static Size
shared_size(CustomScanState *css, ParallelContext *context)
{
	return counts_size(&((BatchState *) css)->scan);
}

static void
scan_share(CustomScanState *css, ParallelContext *context, void *area)
{
	BatchState *state = (BatchState *) css;

	memcpy(area, state->scan.counts, counts_size(&state->scan));
	state->own_counts = state->scan.counts;
	state->scan.counts = area;
}

static void
share_again(CustomScanState *css, ParallelContext *context, void *area)
{
}

static void
join_in(CustomScanState *css, shm_toc *toc, void *area)
{
	((BatchState *) css)->scan.counts = area;
}

/* The shared memory goes before EXPLAIN looks. */
static void
end_sharing(CustomScanState *css)
{
	BatchState *state = (BatchState *) css;

	if (state->own_counts == NULL)
		return;
	memcpy(state->own_counts, state->scan.counts, counts_size(&state->scan));
	state->scan.counts = state->own_counts;
	state->own_counts = NULL;
}

/* ----------------------------------------------------------------- explain */

static void
explain_call(CcrScanCall *call, CcrCallCounts *counts, List *context, ExplainState *es)
{
	CcrDefinition *definition = ccr_scan_definition(call);
	bool		prefixed = ccr_explain_rtable_size(es) > 1 || es->verbose;
	CcrScope	scope;

	ExplainOpenGroup("Lookup", NULL, true, es);
	ExplainPropertyText("Lookup",
						deparse_expression((Node *) call->shown, context, prefixed, false), es);
	ccr_definition_enter(definition, &scope);
	if (ccr_settings.server_name[0])
		ExplainPropertyText("Server", pstrdup(ccr_settings.server_name), es);
	ccr_definition_leave(&scope);
	if (es->verbose)
		ExplainPropertyText("Remote SQL", ccr_definition_remote_sql(definition), es);
	if (es->analyze)
	{
		ExplainPropertyInteger("Keys", NULL, pg_atomic_read_u64(&counts->keys), es);
		ExplainPropertyInteger("Coalesced", NULL, pg_atomic_read_u64(&counts->coalesced), es);
		if (es->timing)
			ExplainPropertyFloat("Remote Time", "ms",
								 pg_atomic_read_u64(&counts->remote_us) / 1000.0, 3, es);
	}
	ExplainCloseGroup("Lookup", NULL, true, es);
}

static void
scan_explain(CustomScanState *css, List *ancestors, ExplainState *es)
{
	BatchState *state = (BatchState *) css;
	List	   *context = set_deparse_context_plan(es->deparse_cxt, css->ss.ps.plan, ancestors);

	ExplainOpenGroup("Lookups", "Lookups", false, es);
	for (int i = 0; i < state->scan.ncalls; i++)
		explain_call(&state->scan.calls[i], &state->scan.counts->calls[i], context, es);
	ExplainCloseGroup("Lookups", "Lookups", false, es);
	if (state->scan.nfeeds > 0)
		ExplainPropertyInteger("Batched Loops", NULL, state->scan.nfeeds, es);
	if (es->analyze)
		ExplainPropertyInteger("Rounds", NULL, pg_atomic_read_u64(&state->scan.counts->rounds), es);
}
