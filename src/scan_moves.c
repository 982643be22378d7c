/*-------------------------------------------------------------------------
 *
 * scan_moves.c
 *	  The two moves by which a batch node is put into a plan.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/plancat.h"
#include "optimizer/planmain.h"
#include "optimizer/tlist.h"
#include "scan_moves.h"

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
emit(List *atoms)
{
	List	   *tlist = NIL;
	ListCell   *lc;

	foreach(lc, atoms)
		tlist = lappend(tlist, makeTargetEntry(copyObject(lfirst(lc)),
											   foreach_current_index(lc) + 1, NULL, false));
	return tlist;
}

/*
 * The values that a node has to emit.  A window's run condition refers to the
 * target list by position, so what needs no lookup stays where it is.
 */
static List *
values_needed(Plan *plan, List *moved)
{
	List	   *atoms = NIL;
	ListCell   *lc;

	if (IsA(plan, WindowAgg))
		foreach(lc, plan->targetlist)
		{
			Node	   *expr = (Node *) lfirst_node(TargetEntry, lc)->expr;

			if (!IsA(expr, WindowFunc) && ccr_holds_lookup(expr))
				expr = (Node *) makeNullConst(BOOLOID, -1, InvalidOid);
			atoms = lappend(atoms, expr);
		}
	atoms = ccr_atoms_add(atoms, (Node *) plan->targetlist);
	return ccr_atoms_add(atoms, (Node *) moved);
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

Plan *
ccr_put_above(CcrPlanning *planning, Plan *plan, CcrCalls *calls, List *moved,
			  const CcrReach *reach)
{
	CcrTerms	in = ccr_cells_of(planning, calls, INDEX_VAR);
	CcrTerms	shown = {.to_varno = OUTER_VAR};
	List	   *targetlist = plan->targetlist;
	Plan	   *batch;
	Cost		cost;

	in.atoms = shown.atoms = values_needed(plan, moved);
	cost = plan->total_cost;
	if (moved == NIL)
		plan->total_cost = Max(plan->startup_cost, cost - cost_of_calls(calls, plan->plan_rows));
	in.to_varno = INDEX_VAR;
	plan->targetlist = emit(in.atoms);
	ccr_node_number(calls, plan);
	batch = ccr_node_make(planning, plan, calls, &in, &shown, reach,
						  (List *) ccr_terms_apply(&in, (Node *) targetlist),
						  (List *) ccr_terms_apply(&in, (Node *) moved));

	batch->total_cost = cost;

	/* its reader may be asynchronous, the batch node is not */
	plan->async_capable = false;
	return batch;
}

/* ------------------------------------------------------------ below a node */

Plan *
ccr_put_below(CcrPlanning *planning, Plan *child, CcrCalls *calls,
			  const CcrReach *reach)
{
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
		int			column = ((CcrCall *) lfirst(lc))->column;

		targetlist = lappend(targetlist,
							 makeTargetEntry((Expr *) makeVar(INDEX_VAR, column, BYTEAOID,
															  -1, InvalidOid, 0),
											 column, NULL, true));
	}
	child->async_capable = false;
	return ccr_node_make(planning, child, calls, &in, &shown, reach, targetlist, NIL);
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
