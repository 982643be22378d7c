/*-------------------------------------------------------------------------
 *
 * scan_moves.c
 *	  The two moves by which a batch node is put into a plan.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/plancat.h"
#include "optimizer/planmain.h"
#include "optimizer/tlist.h"
#include "scan/scan_ahead.h"
#include "scan/scan_moves.h"

/* ---------------------------------------------------------------- in common */

static void
note_refusal(CcrPlanning *planning, Plan *plan, const char *obstacle)
{
	CcrRefusal *refusal = palloc(sizeof(CcrRefusal));

	refusal->plan = plan;
	refusal->obstacle = obstacle;
	planning->refusals = lappend(planning->refusals, refusal);
}

/* Rows may be stored with their cells and, for a cursor, their places. */
static bool
has_too_many_columns(Plan *plan, const CcrCalls *calls)
{
	return list_length(plan->targetlist) + list_length(calls->calls) + 2 >
		MaxTupleAttributeNumber;
}

/*
 * A sub-select that is run with the rows may fail, and SQL runs it for no row
 * beyond those that a run of the query is to bring.
 */
static bool
computes_subselects(const CcrPlanning *planning, Plan *plan)
{
	while (ccr_node_is_batch(plan))
		plan = plan->lefttree;
	return list_member_ptr(planning->apart, plan);
}

/* May its rows be read ahead?  If so, demand says what was found out of them. */
static bool
may_read_ahead(CcrPlanning *planning, Plan *plan, const CcrCalls *calls,
			   CcrDemand *demand)
{
	CcrAhead	ahead = ccr_ahead_look(planning, plan, demand->at_once);
	ListCell   *lc;

	foreach(lc, calls->calls)
	{
		CcrAhead	call = ccr_ahead_look_at_call(planning, lfirst(lc));

		ahead.wavers |= call.wavers;
		ahead.may_waver |= call.may_waver;
	}
	if (ahead.obstacle == NULL && planning->sets && (ahead.wavers || ahead.may_waver))
		ahead.obstacle = "the statement changes settings by which it may go";
	if (ahead.obstacle == NULL && has_too_many_columns(plan, calls))
		ahead.obstacle = "its rows would have too many columns";
	if (ahead.obstacle == NULL && demand->current && ccr_ahead_scans(plan) > 1)
		ahead.obstacle = "WHERE CURRENT OF could not find the scan that a row comes from";
	if (ahead.obstacle)
	{
		note_refusal(planning, plan, ahead.obstacle);
		return false;
	}
	demand->wavers = ahead.wavers || (ahead.may_waver && planning->cursor) ||
		computes_subselects(planning, plan);
	foreach(lc, calls->feeds)
		demand->wavers |= ((CcrNodeFeed *) lfirst(lc))->wavers;
	return true;
}

/* ------------------------------------------------------------ above a node */

CcrTerms
ccr_cells_of(const CcrPlanning *planning, const CcrCalls *calls, int varno)
{
	CcrTerms	terms = {
		.calls = calls,
		.cell_varno = varno,
		.readers = &planning->readers
	};

	return terms;
}

/* A target list of the values that are to be passed up. */
static List *
emit_atoms(List *atoms)
{
	List	   *tlist = NIL;
	ListCell   *lc;

	foreach(lc, atoms)
	{
		tlist = lappend(tlist, makeTargetEntry(copyObject(lfirst(lc)),
											   foreach_current_index(lc) + 1, NULL, false));
	}
	return tlist;
}

/*
 * The condition by which a window stops refers to its target list, and is
 * asked once this has been computed.
 */
static bool
stops_by_condition(Plan *plan)
{
	return IsA(plan, WindowAgg) && ((WindowAgg *) plan)->runCondition != NIL;
}

/*
 * The values that a node has to emit.  Where a condition refers to the list
 * what needs no lookup stays in its place; whatever else is in it is computed
 * by the batch node, once.
 */
static List *
values_needed(Plan *plan, List *moved)
{
	List	   *atoms = NIL;
	ListCell   *lc;

	if (stops_by_condition(plan))
	{
		foreach(lc, plan->targetlist)
		{
			Node	   *expr = (Node *) lfirst_node(TargetEntry, lc)->expr;

			if (!IsA(expr, WindowFunc) && ccr_holds_lookup(expr))
				expr = (Node *) makeNullConst(BOOLOID, -1, InvalidOid);
			atoms = lappend(atoms, expr);
		}
	}
	atoms = ccr_atoms_add(atoms, (Node *) plan->targetlist);
	return ccr_atoms_add(atoms, (Node *) moved);
}

/* The target list of the batch node: what has stayed below is a column. */
static List *
values_above(Plan *plan, List *targetlist, const CcrTerms *in)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, targetlist)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		Node	   *expr = (Node *) tle->expr;

		if (stops_by_condition(plan) && !ccr_holds_lookup(expr))
		{
			tle = flatCopyTargetEntry(tle);
			tle->expr = (Expr *) makeVar(INDEX_VAR, foreach_current_index(lc) + 1,
										 exprType(expr), exprTypmod(expr),
										 exprCollation(expr), 0);
		}
		else
			tle = (TargetEntry *) ccr_terms_apply(in, (Node *) tle);
		result = lappend(result, tle);
	}
	return result;
}

/* What the node was charged for calls that it does not make any more. */
static Cost
cost_of_calls(const CcrCalls *calls, double rows)
{
	QualCost	cost = {0, 0};
	ListCell   *lc;

	foreach(lc, calls->calls)
	{
		FuncExpr   *call = ((CcrCall *) lfirst(lc))->call;

		add_function_cost(NULL, call->funcid, (Node *) call, &cost);
	}
	return cost.per_tuple * rows;
}

/*
 * A window computes its rows before it filters them, and the row at which it
 * stops, too.  None of these come up.
 */
static bool
may_compute_above(CcrPlanning *planning, Plan *plan, List *targetlist)
{
	if (!IsA(plan, WindowAgg) ||
		(!stops_by_condition(plan) && plan->qual == NIL) ||
		!ccr_ahead_is_volatile(planning, (Node *) targetlist))
		return true;
	note_refusal(planning, plan, "a volatile function is evaluated for rows that a window drops");
	return false;
}

bool
ccr_put_above(CcrPlanning *planning, Plan **link, CcrCalls *calls, List *moved,
			  const CcrDemand *demand)
{
	Plan	   *plan = *link;
	CcrTerms	in = ccr_cells_of(planning, calls, INDEX_VAR);
	CcrTerms	shown = {0};
	List	   *targetlist = plan->targetlist;
	CcrDemand	allowed = *demand;
	Cost		cost = plan->total_cost;

	ccr_terms_of_atoms(&in, values_needed(plan, moved), INDEX_VAR);
	ccr_terms_of_atoms(&shown, in.atoms, OUTER_VAR);
	plan->targetlist = emit_atoms(in.atoms);

	/* what the batch node evaluates might tell that more has been read */
	if (demand->at_once &&
		(ccr_ahead_is_volatile(planning, (Node *) targetlist) ||
		 ccr_ahead_is_volatile(planning, (Node *) moved)))
		allowed.at_once = false;
	if (!may_compute_above(planning, plan, targetlist) ||
		!may_read_ahead(planning, plan, calls, &allowed))
	{
		plan->targetlist = targetlist;
		return false;
	}
	calls->first = ccr_ahead_first(planning, moved ? moved : targetlist);
	if (moved == NIL)
		plan->total_cost = Max(plan->startup_cost, cost - cost_of_calls(calls, plan->plan_rows));
	ccr_node_number(calls, plan);
	*link = ccr_node_make(planning, plan, calls, &in, &shown, &allowed,
						  values_above(plan, targetlist, &in),
						  (List *) ccr_terms_apply(&in, (Node *) moved));
	(*link)->total_cost = cost;

	/* its reader may be asynchronous, the batch node is not */
	plan->async_capable = false;
	return true;
}

/* ------------------------------------------------------------ below a node */

static TargetEntry *
cell_entry(int varno, int column)
{
	return makeTargetEntry((Expr *) makeVar(varno, column, BYTEAOID, -1, InvalidOid, 0),
						   column, NULL, true);
}

static void
put_below(CcrPlanning *planning, Plan **link, CcrCalls *calls,
		  const CcrDemand *demand)
{
	Plan	   *child = *link;
	CcrTerms	in = ccr_cells_of(planning, calls, INDEX_VAR);
	CcrTerms	shown = {.from_varno = calls->varno, .to_varno = OUTER_VAR};
	List	   *targetlist = NIL;
	ListCell   *lc;

	in.from_varno = calls->varno;
	in.to_varno = INDEX_VAR;
	ccr_node_number(calls, child);
	foreach(lc, child->targetlist)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		TargetEntry *copy = flatCopyTargetEntry(tle);

		copy->expr = (Expr *) makeVar(INDEX_VAR, tle->resno, exprType((Node *) tle->expr),
									  exprTypmod((Node *) tle->expr),
									  exprCollation((Node *) tle->expr), 0);
		targetlist = lappend(targetlist, copy);
	}
	foreach(lc, calls->calls)
	{
		targetlist = lappend(targetlist,
							 cell_entry(INDEX_VAR, ((CcrCall *) lfirst(lc))->column));
	}
	child->async_capable = false;
	*link = ccr_node_make(planning, child, calls, &in, &shown, demand, targetlist, NIL);
}

/*
 * Of several scans, WHERE CURRENT OF can tell which one the current row comes
 * from only as long as each emits its own.
 */
static bool
put_below_each(CcrPlanning *planning, Append *append, CcrCalls *calls,
			   const CcrDemand *demand)
{
	CcrDemand	allowed = *demand;
	bool		wavers = false;
	ListCell   *lc;

	foreach(lc, append->appendplans)
	{
		if (!may_read_ahead(planning, lfirst(lc), calls, &allowed))
			return false;
		wavers |= allowed.wavers;
	}
	allowed.wavers = wavers;
	foreach(lc, append->appendplans)
		put_below(planning, (Plan **) &lfirst(lc), calls, &allowed);
	foreach(lc, calls->calls)
	{
		append->plan.targetlist = lappend(append->plan.targetlist,
										  cell_entry(OUTER_VAR,
													 ((CcrCall *) lfirst(lc))->column));
	}
	return true;
}

bool
ccr_put_below(CcrPlanning *planning, Plan **link, CcrCalls *calls,
			  const CcrDemand *demand)
{
	CcrDemand	allowed = *demand;

	if (demand->current && IsA(*link, Append) && ccr_ahead_scans(*link) > 1)
		return put_below_each(planning, (Append *) *link, calls, demand);
	if (!may_read_ahead(planning, *link, calls, &allowed))
		return false;
	put_below(planning, link, calls, &allowed);
	return true;
}

/* --------------------------------------------------------------- otherwise */

Plan *
ccr_materialized(CcrPlanning *planning, Plan *plan)
{
	Plan	   *material = materialize_finished_plan(plan);
	List	   *targetlist = NIL;
	ListCell   *lc;

	foreach(lc, plan->targetlist)
	{
		TargetEntry *tle = flatCopyTargetEntry(lfirst_node(TargetEntry, lc));
		Node	   *expr = (Node *) tle->expr;

		tle->expr = (Expr *) makeVar(OUTER_VAR, tle->resno, exprType(expr),
									 exprTypmod(expr), exprCollation(expr), 0);
		targetlist = lappend(targetlist, tle);
	}
	material->targetlist = targetlist;
	material->extParam = bms_copy(plan->extParam);
	material->allParam = bms_copy(plan->allParam);
	material->plan_node_id = ++planning->last_node_id;
	return material;
}
