/*-------------------------------------------------------------------------
 *
 * scan_values.c
 *	  VALUES lists with calls, as others without and a target list that makes
 *	  the calls.
 *
 *		VALUES (1, f(1)), (2, f(2))		is		SELECT a, f(a) FROM (VALUES (1), (2)) v (a)
 *
 * SQL evaluates all the expressions of a row when it comes to the row, before
 * the filter of the scan and its target list; so does a scan of the values
 * whose target list they are.  The original scan's filter and list are those of
 * a subquery scan above it.  That has the same place in the range table, where
 * row marks and EvalPlanQual look for it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "scan/scan_alike.h"
#include "scan/scan_values.h"

static int
calls_of_rows(List *rows)
{
	int			n = 0;
	ListCell   *lc;

	foreach(lc, rows)
		n += ccr_alike_count_calls(lfirst(lc));
	return n;
}

/* What all rows compute, column by column, or NIL. */
static List *
join_rows(CcrAlike *alike, List *rows)
{
	List	   *exprs = NIL;
	Node	  **nth = palloc(alike->n * sizeof(Node *));
	ListCell   *lc;

	for (int i = 0; i < list_length(linitial(rows)); i++)
	{
		Node	   *expr;

		foreach(lc, rows)
			nth[foreach_current_index(lc)] = list_nth(lfirst(lc), i);
		expr = ccr_alike_expr(alike, nth);
		if (expr == NULL)
			return NIL;
		exprs = lappend(exprs, expr);
	}
	pfree(nth);
	return exprs;
}

/* EXPLAIN and the scan itself want it in the range table. */
static Index
add_to_rtable(PlannedStmt *stmt, Index rti, int ncolumns)
{
	RangeTblEntry *rte = copyObject(rt_fetch(rti, stmt->rtable));

	rte->alias = NULL;
	rte->eref = makeAlias(rte->eref->aliasname, NIL);
	for (int i = 1; i <= ncolumns; i++)
		rte->eref->colnames = lappend(rte->eref->colnames, makeString(psprintf("column%d", i)));
	stmt->rtable = lappend(stmt->rtable, rte);
	return list_length(stmt->rtable);
}

static List *
entries_named(List *exprs, const List *names)
{
	List	   *entries = NIL;
	ListCell   *lc;

	foreach(lc, exprs)
	{
		int			i = foreach_current_index(lc);
		TargetEntry *name = i < list_length(names) ? list_nth_node(TargetEntry, names, i) : NULL;

		entries = lappend(entries, makeTargetEntry(lfirst(lc), i + 1, name ? name->resname : NULL,
												   name && name->resjunk));
	}
	return entries;
}

static bool
has_row_mark(const PlannedStmt *stmt, Index rti)
{
	ListCell   *lc;

	foreach(lc, stmt->rowMarks)
	{
		if (lfirst_node(PlanRowMark, lc)->rti == rti)
			return true;
	}
	return false;
}

/* Does it emit its columns as they are, and nobody else asks for them? */
static bool
adds_nothing(const PlannedStmt *stmt, const ValuesScan *values, int ncolumns)
{
	ListCell   *lc;

	if (values->scan.plan.qual || has_row_mark(stmt, values->scan.scanrelid) ||
		list_length(values->scan.plan.targetlist) != ncolumns)
		return false;
	foreach(lc, values->scan.plan.targetlist)
	{
		Var		   *var = (Var *) lfirst_node(TargetEntry, lc)->expr;

		if (!IsA(var, Var) || var->varattno != foreach_current_index(lc) + 1)
			return false;
	}
	return true;
}

static Plan *
scan_of_columns(CcrPlanning *planning, const ValuesScan *values, const CcrAlike *alike,
				List *exprs)
{
	ValuesScan *scan = makeNode(ValuesScan);

	scan->scan.plan = values->scan.plan;
	scan->scan.plan.plan_node_id = ++planning->last_node_id;
	scan->scan.plan.targetlist = entries_named(exprs, values->scan.plan.targetlist);
	scan->scan.plan.qual = NIL;
	scan->scan.plan.initPlan = NIL;
	scan->scan.scanrelid = alike->varno;
	for (int i = 0; i < alike->n; i++)
		scan->values_lists = lappend(scan->values_lists, ccr_alike_values(alike, i));
	return (Plan *) scan;
}

static Plan *
subquery_scan(const ValuesScan *values, Plan *subplan)
{
	SubqueryScan *scan = makeNode(SubqueryScan);

	scan->scan.plan = values->scan.plan;
	scan->scan.plan.type = T_SubqueryScan;
	scan->scan.scanrelid = values->scan.scanrelid;
	scan->subplan = subplan;
	return (Plan *) scan;
}

Plan *
ccr_values_apart(CcrPlanning *planning, Plan *plan)
{
	ValuesScan *values = (ValuesScan *) plan;
	PlannedStmt *stmt = planning->stmt;
	CcrAlike	alike = {0};
	CcrCalls	calls = {.records = planning->records};
	int			before;
	List	   *exprs;
	Plan	   *scan;

	if (!IsA(plan, ValuesScan) || (before = calls_of_rows(values->values_lists)) < 2)
		return plan;
	alike.n = list_length(values->values_lists);
	alike.varno = list_length(stmt->rtable) + 1;
	exprs = join_rows(&alike, values->values_lists);
	if (exprs == NIL || alike.columns == NIL ||
		list_length(alike.columns) > MaxTupleAttributeNumber ||
		ccr_alike_count_calls((Node *) exprs) >= before)
		return plan;
	calls.unset = ccr_params_set_by((Node *) exprs);
	ccr_calls_find(&calls, (Node *) exprs, NIL);
	if (calls.calls == NIL)
		return plan;
	(void) add_to_rtable(stmt, values->scan.scanrelid, list_length(alike.columns));
	scan = scan_of_columns(planning, values, &alike, exprs);
	if (adds_nothing(stmt, values, list_length(exprs)))
	{
		scan->initPlan = plan->initPlan;
		return scan;
	}
	return subquery_scan(values, scan);
}
