/*-------------------------------------------------------------------------
 *
 * scan_append.c
 *	  One batch node for all the children of an Append or MergeAppend.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "scan/scan_append.h"
#include "scan/scan_calls.h"
#include "shared/compat.h"

List *
ccr_siblings_of(Plan *plan)
{
	if (IsA(plan, Append))
		return ((Append *) plan)->appendplans;
	if (IsA(plan, MergeAppend))
		return ((MergeAppend *) plan)->mergeplans;
	return NIL;
}

/* ----------------------------------------------------------------- joining */

static bool
have_lists_alike(const CcrSiblings *siblings)
{
	ListCell   *lc;

	foreach(lc, siblings->children)
	{
		if (list_length(((Plan *) lfirst(lc))->targetlist) !=
			list_length(siblings->plan->targetlist))
			return false;
	}
	return true;
}

static int
calls_of_child(const CcrSiblings *siblings, int child)
{
	Plan	   *plan = list_nth(siblings->children, child);

	return ccr_alike_count_calls((Node *) list_make2(plan->targetlist, siblings->moved[child]));
}

static bool
is_merged_by(Plan *plan, int column)
{
	MergeAppend *merge = (MergeAppend *) plan;

	if (!IsA(plan, MergeAppend))
		return false;
	for (int i = 0; i < merge->numCols; i++)
		if (merge->sortColIdx[i] == column)
			return true;
	return false;
}

/* What it merges by has to come from its children. */
static Node *
nth_expression(CcrSiblings *siblings, int n)
{
	CcrAlike   *alike = &siblings->alike;
	Node	  **variants = palloc(alike->n * sizeof(Node *));
	ListCell   *lc;

	foreach(lc, siblings->children)
	{
		List	   *targetlist = ((Plan *) lfirst(lc))->targetlist;

		variants[foreach_current_index(lc)] =
			(Node *) list_nth_node(TargetEntry, targetlist, n)->expr;
	}
	return is_merged_by(siblings->plan, n + 1) ?
		ccr_alike_column(alike, variants) : ccr_alike_expr(alike, variants);
}

static bool
join_lists(CcrSiblings *siblings, List **targetlist)
{
	ListCell   *lc;

	*targetlist = NIL;
	foreach(lc, siblings->plan->targetlist)
	{
		TargetEntry *tle = flatCopyTargetEntry(lfirst_node(TargetEntry, lc));

		tle->expr = (Expr *) nth_expression(siblings, foreach_current_index(lc));
		if (tle->expr == NULL)
			return false;
		*targetlist = lappend(*targetlist, tle);
	}
	return true;
}

static List *
entries_of(List *exprs)
{
	List	   *entries = NIL;
	ListCell   *lc;

	foreach(lc, exprs)
		entries = lappend(entries, makeTargetEntry(lfirst(lc), foreach_current_index(lc) + 1,
												   NULL, false));
	return entries;
}

static bool
is_pruned(Plan *plan)
{
	return IsA(plan, Append) ? CCR_IS_PRUNED((Append *) plan) : CCR_IS_PRUNED((MergeAppend *) plan);
}

static int
calls_of_children(const CcrSiblings *siblings)
{
	int			with_calls = 0;
	int			n = 0;

	for (int i = 0; i < siblings->alike.n; i++)
	{
		int			calls = calls_of_child(siblings, i);

		with_calls += calls > 0;
		n += calls;
	}
	return with_calls > 1 ? n : 0;
}

bool
ccr_siblings_join(CcrSiblings *siblings)
{
	CcrAlike   *alike = &siblings->alike;
	Plan	   *plan = siblings->plan;
	int			before;
	List	   *targetlist;
	List	   *qual;
	ListCell   *lc;

	alike->n = list_length(siblings->children);
	alike->varno = OUTER_VAR;
	before = calls_of_children(siblings);
	if (before == 0 || !have_lists_alike(siblings) ||
		!join_lists(siblings, &targetlist) ||
		!ccr_alike_quals(alike, siblings->moved, &qual))
		return false;

	/*
	 * which calls may be made is asked as it starts, and some may be pruned
	 * then
	 */
	if (alike->kinds && is_pruned(plan))
		return false;
	if (ccr_alike_count_calls((Node *) list_make2(targetlist, qual)) >= before)
		return false;
	siblings->list = plan->targetlist;
	siblings->lists = palloc(alike->n * sizeof(List *));
	plan->targetlist = targetlist;
	plan->qual = qual;
	siblings->joined = targetlist;
	foreach(lc, siblings->children)
	{
		Plan	   *child = lfirst(lc);
		int			i = foreach_current_index(lc);

		siblings->lists[i] = child->targetlist;
		child->targetlist = entries_of(ccr_alike_values(alike, i));
	}
	return true;
}

/* Where the Append emits a column of those that were agreed on. */
static int
place_of_column(const List *targetlist, int column)
{
	ListCell   *lc;

	foreach(lc, targetlist)
	{
		if (castNode(Var, lfirst_node(TargetEntry, lc)->expr)->varattno == column)
			return foreach_current_index(lc) + 1;
	}
	elog(ERROR, "column %d of an Append is missing", column);
	return 0;
}

static void
merge_by_columns(CcrSiblings *siblings)
{
	MergeAppend *merge = (MergeAppend *) siblings->plan;

	if (!IsA(merge, MergeAppend))
		return;
	for (int i = 0; i < merge->numCols; i++)
	{
		TargetEntry *tle = list_nth_node(TargetEntry, siblings->joined, merge->sortColIdx[i] - 1);

		merge->sortColIdx[i] = place_of_column(merge->plan.targetlist,
											   castNode(Var, tle->expr)->varattno);
	}
}

/* The batch node has chosen an order, and what it has no use for is left out. */
void
ccr_siblings_finish(CcrSiblings *siblings)
{
	Plan	   *plan = siblings->plan;
	ListCell   *lc;
	ListCell   *lc2;

	merge_by_columns(siblings);
	foreach(lc, siblings->children)
	{
		List	   *values = NIL;
		Plan	   *child = lfirst(lc);

		foreach(lc2, plan->targetlist)
		{
			int			column = castNode(Var, lfirst_node(TargetEntry, lc2)->expr)->varattno;

			values = lappend(values, list_nth_node(TargetEntry, child->targetlist, column - 1)->expr);
		}
		child->targetlist = entries_of(values);
	}
	foreach(lc, plan->targetlist)
	{
		Var		   *var = castNode(Var, lfirst_node(TargetEntry, lc)->expr);

		var->varattno = foreach_current_index(lc) + 1;
	}
}

void
ccr_siblings_undo(CcrSiblings *siblings)
{
	ListCell   *lc;

	siblings->plan->targetlist = siblings->list;
	siblings->plan->qual = NIL;
	foreach(lc, siblings->children)
		((Plan *) lfirst(lc))->targetlist = siblings->lists[foreach_current_index(lc)];
}

/* ------------------------------------------------------------------- sorts */

static bool
sorts_alike(const MergeAppend *merge, Plan *child)
{
	Sort	   *sort = (Sort *) child;

	return IsA(child, Sort) && child->initPlan == NIL && child->lefttree &&
		sort->numCols == merge->numCols &&
		memcmp(sort->sortColIdx, merge->sortColIdx, merge->numCols * sizeof(AttrNumber)) == 0;
}

static bool
has_calls(Plan *plan)
{
	return ccr_holds_lookup((Node *) plan->targetlist) || ccr_holds_lookup((Node *) plan->qual);
}

static Append *
append_of_merge(const MergeAppend *merge, List *children)
{
	Append	   *append = makeNode(Append);

	append->plan = merge->plan;
	append->plan.type = T_Append;
	append->plan.initPlan = NIL;
	append->apprelids = merge->apprelids;
	append->appendplans = children;
	append->first_partial_plan = list_length(children);
	CCR_COPY_PRUNING(append, merge);
	return append;
}

Plan *
ccr_siblings_sorted(Plan *plan)
{
	MergeAppend *merge = (MergeAppend *) plan;
	List	   *children = NIL;
	int			with_calls = 0;
	Append	   *append;
	Sort	   *sort;
	ListCell   *lc;

	if (!IsA(plan, MergeAppend))
		return NULL;
	foreach(lc, merge->mergeplans)
	{
		Plan	   *child = lfirst(lc);

		if (!sorts_alike(merge, child))
			return NULL;
		with_calls += has_calls(child->lefttree);
		children = lappend(children, child->lefttree);
	}
	if (with_calls < 2)
		return NULL;
	append = append_of_merge(merge, children);
	sort = linitial(merge->mergeplans);
	sort->plan.startup_cost = sort->plan.total_cost = plan->total_cost;
	sort->plan.plan_rows = plan->plan_rows;
	sort->plan.targetlist = copyObject(plan->targetlist);
	sort->plan.initPlan = plan->initPlan;
	sort->plan.extParam = plan->extParam;
	sort->plan.allParam = plan->allParam;
	sort->plan.lefttree = (Plan *) append;
	return (Plan *) sort;
}
