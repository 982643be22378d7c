/*-------------------------------------------------------------------------
 *
 * scan_feed.c
 *	  Batched loops: an inner node's rows are read, and looked up, for many rows
 *	  of an outer one at once.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "scan/scan_feed.h"
#include "scan/scan_run.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#define CCR_MAX_SKIPPED		1024	/* rows that are not fed after some that
									 * brought too much */

/* One batch node that is fed by another. */
typedef struct CcrFeed
{
	int			target_id;
	CcrScan    *target;			/* NULL: it has not been looked for */
	int			level;			/* it runs those of lower levels, */
	int			below;			/* so many, which come right before it */
	bool		infallible;		/* running its child cannot fail */
	int			nparams;
	int		   *params;			/* PARAM_EXEC parameters to be set, */
	ExprState **values;			/* to these */
	Bitmapset  *changed;		/* the same, for the executor */
	List	   *keys;			/* of the target's groups */
	int			skip;			/* rows that are not fed */
	int			skipped_before;
	int			grown_from;		/* rows of the target's before the last row */
	int			most;			/* that one row has brought about */
} CcrFeed;

/* All batch nodes that have begun, of all queries of the session. */
static dlist_head scans = DLIST_STATIC_INIT(scans);

/* ------------------------------------------------------------------- begin */

static void
begin_keys(CcrScan *target, List *params)
{
	EState	   *estate = target->node->ps.state;
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
	ListCell   *lc;

	target->nkeys = list_length(params);
	target->keys = palloc(target->nkeys * sizeof(CcrKeyParam));
	foreach(lc, params)
	{
		CcrKeyParam *key = &target->keys[foreach_current_index(lc)];
		Oid			type = list_nth_oid(estate->es_plannedstmt->paramExecTypes,
										lfirst_int(lc));

		key->id = lfirst_int(lc);
		get_typlenbyval(type, &key->typlen, &key->typbyval);
		target->key_params = bms_add_member(target->key_params, key->id);
	}
	MemoryContextSwitchTo(old);
}

static void
begin_feed(CcrScan *scan, CcrFeed *feed, const CcrNodeFeed *plan)
{
	ListCell   *lc;

	feed->target_id = plan->target;
	feed->level = plan->level;
	feed->below = plan->below;
	feed->infallible = plan->infallible;
	feed->keys = plan->keys;
	feed->nparams = list_length(plan->params);
	feed->params = palloc(feed->nparams * sizeof(int));
	feed->values = palloc(feed->nparams * sizeof(ExprState *));
	foreach(lc, plan->params)
	{
		feed->params[foreach_current_index(lc)] = lfirst_int(lc);
		feed->changed = bms_add_member(feed->changed, lfirst_int(lc));
	}
	foreach(lc, plan->args)
		feed->values[foreach_current_index(lc)] = ExecInitExpr(lfirst(lc), &scan->node->ps);
}

void
ccr_feed_begin(CcrScan *scan)
{
	List	   *feeds = ccr_node_feeds((CustomScan *) scan->node->ps.plan);
	ListCell   *lc;

	scan->plan_node_id = scan->node->ps.plan->plan_node_id;
	dlist_push_head(&scans, &scan->link);
	scan->nfeeds = list_length(feeds);
	scan->feeds = palloc0(Max(scan->nfeeds, 1) * sizeof(CcrFeed));
	foreach(lc, feeds)
		begin_feed(scan, &scan->feeds[foreach_current_index(lc)], lfirst(lc));
}

void
ccr_feed_end(CcrScan *scan)
{
	dlist_delete(&scan->link);
}

/* Both belong to one query; sub-plans have begun before it, inner sides have not. */
static CcrScan *
target_of(CcrScan *scan, CcrFeed *feed)
{
	dlist_iter	iter;

	if (feed->target)
		return feed->target;
	dlist_foreach(iter, &scans)
	{
		CcrScan    *found = dlist_container(CcrScan, link, iter.cur);

		if (found->plan_node_id != feed->target_id ||
			found->node->ps.state != scan->node->ps.state)
			continue;
		begin_keys(found, feed->keys);
		feed->target = found;
		break;
	}
	return feed->target;
}

/* ----------------------------------------------------------------- feeding */

/*
 * In parallel mode an error could not be put off, and EvalPlanQual looks at one
 * row at a time.
 */
static bool
feeds_at_all(const CcrScan *scan)
{
	return scan->nfeeds > 0 && !IsInParallelMode() &&
		scan->node->ps.state->es_epq_active == NULL;
}

/* What the rows of round number n feed; see CCR_FED_ROUNDS. */
static int
count_feeds(const CcrScan *scan, int n)
{
	return n < CCR_FED_ROUNDS ? scan->nfeeds : 0;
}

static CcrGroup *
add_group(CcrScan *target, CcrRound *round)
{
	ParamExecData *params = target->node->ps.state->es_param_exec_vals;
	MemoryContext old = MemoryContextSwitchTo(round->context);
	CcrGroup   *group;

	if (round->ngroups == round->max_groups || round->groups == NULL)
	{
		round->max_groups = round->groups ? round->max_groups * 2 : 64;
		round->groups = round->groups ?
			repalloc(round->groups, round->max_groups * sizeof(CcrGroup)) :
			palloc(round->max_groups * sizeof(CcrGroup));
	}
	group = &round->groups[round->ngroups++];
	group->values = palloc(target->nkeys * sizeof(Datum));
	group->nulls = palloc(target->nkeys * sizeof(bool));
	for (int i = 0; i < target->nkeys; i++)
	{
		const CcrKeyParam *key = &target->keys[i];
		const ParamExecData *param = &params[key->id];

		group->nulls[i] = param->isnull;
		group->values[i] = param->isnull ? (Datum) 0 :
			datumCopy(param->value, key->typbyval, key->typlen);
	}
	group->first = group->end = round->nrows;
	MemoryContextSwitchTo(old);
	return group;
}

static bool
is_key_of_group(const CcrScan *scan, const CcrGroup *group, int i)
{
	const CcrKeyParam *key = &scan->keys[i];
	const ParamExecData *param = &scan->node->ps.state->es_param_exec_vals[key->id];

	return param->execPlan == NULL && param->isnull == group->nulls[i] &&
		(param->isnull || datumIsEqual(param->value, group->values[i],
									   key->typbyval, key->typlen));
}

static bool
is_group_of_params(const CcrScan *scan, const CcrGroup *group)
{
	for (int i = 0; i < scan->nkeys; i++)
	{
		if (!is_key_of_group(scan, group, i))
			return false;
	}
	return true;
}

/*
 * The round that has a group for the parameters as they stand, as the next one.
 * They are mostly asked for in the order in which they came.
 */
static CcrRound *
find_group(CcrScan *scan)
{
	for (int n = 0; n < CCR_FED_ROUNDS && scan->nkeys > 0; n++)
	{
		CcrRound   *round = &scan->fed[n];

		for (int i = 0; i < round->ngroups; i++)
		{
			int			at = (round->next_group + i) % round->ngroups;

			if (!is_group_of_params(scan, &round->groups[at]))
				continue;
			round->next_group = at;
			return round;
		}
	}
	return NULL;
}

/*
 * Which parameters are others than in the last run of the target's child?  What
 * in it depends on none of those is not run again.  Those that the feed does not
 * set have been signalled to the child by nobody, though.
 */
static Bitmapset *
params_changed(const CcrFeed *feed, const CcrRound *round)
{
	const CcrScan *target = feed->target;

	if (target->ran_for != round || round->ngroups == 0)
		return target->key_params;
	for (int i = 0; i < target->nkeys; i++)
	{
		if (!bms_is_member(target->keys[i].id, feed->changed) &&
			!is_key_of_group(target, &round->groups[round->ngroups - 1], i))
			return target->key_params;
	}
	return feed->changed;
}

/* One row may bring about more than fits; then not all of it was for nothing. */
static bool
is_overfull(const CcrScan *target, const CcrRound *round)
{
	return round->nrows > 2 * target->max_size || round->bytes > (Size) target->max_bytes;
}

/* Run the target's child as the parameters stand.  False: it is too much. */
static bool
read_group(CcrFeed *feed, int n)
{
	CcrScan    *target = feed->target;
	CcrRound   *round = &target->fed[n];
	PlanState  *child = outerPlanState(target->node);
	int			first = round->nrows;
	int64		left;

	if (round->context == NULL)
		round->context = AllocSetContextCreate(target->node->ps.state->es_query_cxt,
											   "concresce fed round",
											   ALLOCSET_DEFAULT_SIZES);
	if (round->rows == NULL)
	{
		ccr_scan_take_bounds(target);
		ccr_scan_check_caller(target);
		ccr_round_begin(target, round, target->max_size);
	}
	left = ccr_scan_limit(target);
	ExecSetTupleBound(left, child);
	UpdateChangedParamSet(child, params_changed(feed, round));
	target->strayed = true;
	target->ran_for = NULL;
	ExecReScan(child);
	while (left != 0 && ccr_round_read(target, round))
	{
		CHECK_FOR_INTERRUPTS();
		if (left > 0)
			left--;
		if (is_overfull(target, round))
		{
			ccr_round_cut(target, round, first);
			return false;
		}
	}
	add_group(target, round)->first = first;
	target->ran_for = round;
	return true;
}

static void feed_others(CcrScan *scan, CcrRound *round, int n, int level, bool certain);

/*
 * A node below that has no group would ask for all its rows by itself, and once
 * more if they turn out to be too much, or if SQL does not come to this row.
 */
static bool
have_groups_below(const CcrFeed *feed)
{
	for (int i = 1; i <= feed->below; i++)
	{
		CcrScan    *lower = feed[-i].target;

		if (lower == NULL || find_group(lower) == NULL)
			return false;
	}
	return true;
}

/* Whatever brings too much is not tried again for each row. */
static void
feed_target(CcrScan *scan, CcrFeed *feed, int n, bool certain)
{
	CcrScan    *target = feed->target;
	CcrRound   *round = &target->fed[n];
	int			first = round->nrows;

	if (feed->skip > 0)
	{
		feed->skip--;
		return;
	}
	if ((round->rows && is_overfull(target, round)) || !have_groups_below(feed))
		return;
	if (!read_group(feed, n))
	{
		if (first == 0)
			feed->skipped_before = Min(Max(feed->skipped_before * 2, 1), CCR_MAX_SKIPPED);
		feed->skip = feed->skipped_before;
		return;
	}
	feed->skipped_before = 0;
	for (int row = first; row < round->nrows && target->nfeeds > 0; row++)
	{
		ccr_round_load(target, round, row);
		feed_others(target, round, n + 2, 0, certain);
	}
}

/*
 * Feed those of a level with the row that is loaded.  Certain: SQL comes to all
 * rows, so an error of what is run for it would come in any case.
 */
static void
feed_others(CcrScan *scan, CcrRound *round, int n, int level, bool certain)
{
	ExprContext *econtext = scan->node->ps.ps_ExprContext;
	ParamExecData *params = scan->node->ps.state->es_param_exec_vals;

	for (int i = 0; i < count_feeds(scan, n); i++)
	{
		CcrFeed    *feed = &scan->feeds[i];
		ParamExecData *saved;
		Datum	   *values;
		bool	   *nulls;

		if (feed->level != level || (!certain && !feed->infallible) ||
			target_of(scan, feed) == NULL)
			continue;
		saved = palloc(feed->nparams * sizeof(ParamExecData));
		values = palloc(feed->nparams * sizeof(Datum));
		nulls = palloc(feed->nparams * sizeof(bool));
		for (int p = 0; p < feed->nparams; p++)
			values[p] = ExecEvalExprSwitchContext(feed->values[p], econtext, &nulls[p]);
		for (int p = 0; p < feed->nparams; p++)
		{
			ParamExecData *param = &params[feed->params[p]];

			saved[p] = *param;
			*param = (ParamExecData)
			{
				.value = values[p], .isnull = nulls[p]
			};
		}
		feed_target(scan, feed, n, certain);
		for (int p = 0; p < feed->nparams; p++)
			params[feed->params[p]] = saved[p];
		pfree(saved);
		pfree(values);
		pfree(nulls);
	}
	ResetExprContext(econtext);
}

/* How much has the last row brought about? */
static void
note_growth(CcrScan *scan, int n, int level)
{
	for (int i = 0; i < count_feeds(scan, n); i++)
	{
		CcrFeed    *feed = &scan->feeds[i];
		int			nrows;

		if (feed->level != level || feed->target == NULL)
			continue;
		nrows = feed->target->fed[n].nrows;
		feed->most = Max(feed->most, nrows - feed->grown_from);
		feed->grown_from = nrows;
		note_growth(feed->target, n + 2, 0);
	}
}

/*
 * Has somebody got so many rows that it is to be asked for them, or would
 * another outer row that brings as much as any so far be too much?  later: of
 * nrows rows it is not known yet what they bring.
 */
static bool
is_fed_enough(CcrScan *scan, int n, int nrows, int most, bool later)
{
	bool		full = false;

	for (int i = 0; i < count_feeds(scan, n); i++)
	{
		CcrFeed    *feed = &scan->feeds[i];
		bool		unknown = later || feed->level > 0;
		CcrRound   *round;

		if (feed->target == NULL)
			continue;
		round = &feed->target->fed[n];
		if (unknown)
			full |= (int64) (nrows + 1) * feed->most > feed->target->max_size;
		else
			full |= round->nrows > 0 &&
				(round->nrows >= most ||
				 round->nrows + feed->most > feed->target->max_size ||
				 round->bytes > (Size) feed->target->max_bytes / 2);
		full |= is_fed_enough(feed->target, n + 2, nrows, most, unknown);
	}
	return full;
}

bool
ccr_feed_row(CcrScan *scan, int n, int most)
{
	CcrRound   *round = &scan->rounds[n];

	if (!feeds_at_all(scan))
		return true;
	ccr_round_load(scan, round, round->nrows - 1);
	feed_others(scan, round, n, 0, ccr_scan_comes_to_all(scan));
	note_growth(scan, n, 0);
	return !is_fed_enough(scan, n, round->nrows, most, false);
}

/* ------------------------------------------------------------------ asking */

static void
start_fed(CcrScan *scan, int n, int level)
{
	for (int i = 0; i < count_feeds(scan, n); i++)
	{
		CcrScan    *target = scan->feeds[i].target;

		if (scan->feeds[i].level != level || target == NULL)
			continue;
		if (target->fed[n].nrows > 0)
		{
			pg_atomic_fetch_add_u64(&target->counts->rounds, 1);
			ccr_round_start(target, &target->fed[n]);
		}
		start_fed(target, n + 2, 0);
	}
}

static void
finish_fed(CcrScan *scan, int n, int level)
{
	for (int i = 0; i < count_feeds(scan, n); i++)
	{
		CcrScan    *target = scan->feeds[i].target;

		if (scan->feeds[i].level != level || target == NULL)
			continue;
		if (target->fed[n].nrows > 0)
			ccr_round_finish(target, &target->fed[n]);
		finish_fed(target, n + 2, 0);
	}
}

/* Those of a higher level run those of the lower ones, which must be answered. */
void
ccr_feed_start(CcrScan *scan, int n)
{
	CcrRound   *round = &scan->rounds[n];
	bool		certain = ccr_scan_comes_to_all(scan);
	int			last = -1;

	if (!feeds_at_all(scan))
		return;
	for (int i = 0; i < count_feeds(scan, n); i++)
		last = Max(last, scan->feeds[i].level);
	for (int level = 0; level <= last; level++)
	{
		for (int row = 0; level > 0 && row < round->nrows; row++)
		{
			ccr_round_load(scan, round, row);
			feed_others(scan, round, n, level, certain);
			note_growth(scan, n, level);
		}
		start_fed(scan, n, level);
		if (level < last)
			finish_fed(scan, n, level);
	}
}

void
ccr_feed_advance(CcrScan *scan, int n)
{
	for (int i = 0; i < count_feeds(scan, n); i++)
	{
		CcrScan    *target = scan->feeds[i].target;

		if (target == NULL)
			continue;
		if (target->fed[n].asked)
			ccr_round_advance(target, &target->fed[n]);
		ccr_feed_advance(target, n + 2);
	}
}

/* ------------------------------------------------------------------ forgetting */

static void
clear_fed(CcrScan *target, int n)
{
	if (target->fed[n].context == NULL)
		return;
	if (target->serving == &target->fed[n])
		target->end = target->fed[n].next = 0;
	ccr_round_clear(target, &target->fed[n]);
	target->fed[n].rows = NULL;
}

void
ccr_feed_clear(CcrScan *scan, int n)
{
	for (int i = 0; i < count_feeds(scan, n); i++)
	{
		CcrFeed    *feed = &scan->feeds[i];

		feed->grown_from = 0;
		feed->most -= feed->most / 4;
		if (feed->target == NULL)
			continue;
		clear_fed(feed->target, n);
		ccr_feed_clear(feed->target, n + 2);
	}
}

void
ccr_feed_forget(CcrScan *scan)
{
	for (int n = 0; n < CCR_FED_ROUNDS; n++)
		clear_fed(scan, n);
}

/* ---------------------------------------------------------------- emitting */

void
ccr_feed_find(CcrScan *scan)
{
	CcrRound   *round = find_group(scan);

	scan->serving = round;
	if (round == NULL)
		return;
	round->next = round->groups[round->next_group].first;
	scan->end = round->groups[round->next_group].end;
	round->next_group++;
}

void
ccr_feed_return(CcrScan *scan)
{
	if (scan->strayed)
		UpdateChangedParamSet(outerPlanState(scan->node), scan->key_params);
	scan->strayed = false;
	scan->ran_for = NULL;
}

TupleTableSlot *
ccr_feed_next(CcrScan *scan)
{
	CcrRound   *round = scan->serving;

	if (round->next >= scan->end)
		return ExecClearTuple(scan->node->ss_ScanTupleSlot);
	ccr_round_finish(scan, round);
	return ccr_round_emit(scan, round, round->next++);
}
