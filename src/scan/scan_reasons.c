/*-------------------------------------------------------------------------
 *
 * scan_reasons.c
 *	  Why a call is not looked up ahead, for who asks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "scan/scan_calls.h"
#include "scan/scan_fields.h"
#include "scan/scan_node.h"
#include "scan/scan_reasons.h"
#include "shared/compat.h"
#include "utils/regproc.h"

typedef struct Report
{
	const CcrPlanning *planning;
	Plan	   *plan;			/* where one is */
	const char *refusal;		/* why nothing is read ahead for it, if that
								 * is known */
	List	   *told;			/* OIDs of lookups, of this plan node */
} Report;

/* Why a plan's rows are not read ahead, or NULL. */
static const char *
refusal_of(const CcrPlanning *planning, Plan *plan)
{
	ListCell   *lc;

	foreach(lc, planning->refusals)
	{
		CcrRefusal *refusal = lfirst(lc);

		if (refusal->plan == plan)
			return refusal->obstacle;
	}
	return NULL;
}

typedef struct Children
{
	const CcrPlanning *planning;
	const char *refusal;
} Children;

static void
note_refusal_of_child(Plan **child, void *context)
{
	Children   *children = context;

	if (children->refusal == NULL)
		children->refusal = refusal_of(children->planning, *child);
}

/* What it is about its place, since the call itself is no obstacle. */
static const char *
obstacle_of_place(Plan *plan)
{
	switch (nodeTag(plan))
	{
		case T_Result:
			if (plan->lefttree == NULL)
				return "there is one row only";
			break;
		case T_ModifyTable:
			return "it is evaluated on rows as they are written";
		case T_ValuesScan:
			return "the rows of a VALUES list do not call it alike";
		case T_FunctionScan:
			return "its arguments come from no other rows";
		case T_Limit:
			return "it is a limit";
		case T_IndexScan:
		case T_IndexOnlyScan:
		case T_BitmapIndexScan:
		case T_TidScan:
		case T_TidRangeScan:
			return "it is evaluated once for each scan of an index";
		case T_NestLoop:
		case T_MergeJoin:
		case T_HashJoin:
			if (((Join *) plan)->jointype != JOIN_INNER)
				return "the condition of an outer join or semijoin decides about it";
			break;
		default:
			break;
	}
	return "its arguments, or the condition for calling it, cannot be evaluated ahead";
}

static bool
report_walker(Node *node, void *context)
{
	Report	   *report = context;

	if (node == NULL)
		return false;
	if (IsA(node, FuncExpr) && ccr_is_lookup(((FuncExpr *) node)->funcid))
	{
		FuncExpr   *call = (FuncExpr *) node;
		const char *obstacle = ccr_call_obstacle(call);

		if (!list_member_oid(report->told, call->funcid))
			ereport(DEBUG1,
					(errmsg_internal("lookup %s is called row by row: %s",
									 format_procedure(call->funcid),
									 obstacle ? obstacle :
									 call->funcresulttype == RECORDOID && !report->planning->records ?
									 "a field of its record is taken in another node" :
									 report->refusal ? report->refusal :
									 obstacle_of_place(report->plan))));
		report->told = list_append_unique_oid(report->told, call->funcid);
	}
	return expression_tree_walker(node, report_walker, context);
}

static Node *
report_expression(Node *node, void *context)
{
	(void) report_walker(node, context);
	return node;
}

/*
 * What was to be read ahead for a call is the rows of its own node, or of a
 * child, or of the outer side of a loop around it.
 */
static void
report_plan(Plan **link, void *context)
{
	const Report *around = context;
	Plan	   *plan = *link;
	Report		report = {.planning = around->planning, .plan = plan};
	Children	children = {.planning = around->planning};
	Report		below = {.planning = around->planning};

	children.refusal = refusal_of(around->planning, plan);
	ccr_fields_children(plan, note_refusal_of_child, &children);
	report.refusal = children.refusal ? children.refusal : around->refusal;
	below.refusal = IsA(plan, NestLoop) && children.refusal ?
		children.refusal : around->refusal;
	if (IsA(plan, CustomScan) && !ccr_node_is_batch(plan))
		below.refusal = report.refusal = "it is in or below a node of another extension";

	/* a batch node's list of columns shows the calls that it looks up */
	if (ccr_node_is_batch(plan))
	{
		report_expression((Node *) plan->targetlist, &report);
		report_expression((Node *) plan->qual, &report);
		report_expression((Node *) ((CustomScan *) plan)->custom_exprs, &report);
	}
	else
		ccr_fields_change(plan, report_expression, &report);
	ccr_fields_children(plan, report_plan, &below);
}

void
ccr_reasons_report(const CcrPlanning *planning)
{
	Report		report = {.planning = planning};
	ListCell   *lc;

	report_plan(&planning->stmt->planTree, &report);
	foreach(lc, planning->stmt->subplans)
	{
		if (lfirst(lc))
			report_plan((Plan **) &lfirst(lc), &report);
	}
}
