/*
 * A library with a plan node of its own, as another extension might have: with
 * other_node.wrap it puts one around each sequential scan, which hands on what
 * the scan emits.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "nodes/extensible.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/planner.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;

/* What a planner hook is told has grown in 19. */
#if PG_VERSION_NUM >= 190000
#define PLANNER_PARAMS	Query *query, const char *source, int options, ParamListInfo params, \
	struct ExplainState *es
#define PLANNER_ARGS	query, source, options, params, es
#else
#define PLANNER_PARAMS	Query *query, const char *source, int options, ParamListInfo params
#define PLANNER_ARGS	query, source, options, params
#endif

extern void _PG_init(void);

static bool wrap = false;
static planner_hook_type prev_planner = NULL;

static void
wrapper_begin(CustomScanState *node, EState *estate, int eflags)
{
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;

	node->custom_ps = list_make1(ExecInitNode(linitial(plan->custom_plans), estate, eflags));
}

static TupleTableSlot *
wrapper_exec(CustomScanState *node)
{
	TupleTableSlot *slot = ExecProcNode(linitial(node->custom_ps));

	/* who reads it counts on slots of the kind that is the node's */
	if (TupIsNull(slot))
		return ExecClearTuple(node->ss.ss_ScanTupleSlot);
	return ExecCopySlot(node->ss.ss_ScanTupleSlot, slot);
}

static void
wrapper_end(CustomScanState *node)
{
	ExecEndNode(linitial(node->custom_ps));
}

static void
wrapper_rescan(CustomScanState *node)
{
	PlanState  *child = linitial(node->custom_ps);

	if (node->ss.ps.chgParam)
		UpdateChangedParamSet(child, node->ss.ps.chgParam);
	if (child->chgParam == NULL)
		ExecReScan(child);
}

static const CustomExecMethods exec_methods = {
	.CustomName = "Wrapper",
	.BeginCustomScan = wrapper_begin,
	.ExecCustomScan = wrapper_exec,
	.EndCustomScan = wrapper_end,
	.ReScanCustomScan = wrapper_rescan
};

static Node *
create_wrapper(CustomScan *plan)
{
	CustomScanState *state = (CustomScanState *) newNode(sizeof(CustomScanState), T_CustomScanState);

	state->methods = &exec_methods;
	return (Node *) state;
}

static const CustomScanMethods methods = {
	.CustomName = "Wrapper",
	.CreateCustomScanState = create_wrapper
};

static Plan *
wrapped(Plan *plan, int *last_id)
{
	CustomScan *node;
	ListCell   *lc;

	if (plan == NULL)
		return NULL;
	plan->lefttree = wrapped(plan->lefttree, last_id);
	plan->righttree = wrapped(plan->righttree, last_id);
	if (!IsA(plan, SeqScan))
		return plan;
	node = makeNode(CustomScan);
	node->scan.plan.startup_cost = plan->startup_cost;
	node->scan.plan.total_cost = plan->total_cost;
	node->scan.plan.plan_rows = plan->plan_rows;
	node->scan.plan.plan_width = plan->plan_width;
	node->scan.plan.extParam = plan->extParam;
	node->scan.plan.allParam = plan->allParam;
	node->scan.plan.plan_node_id = ++*last_id;
	node->custom_plans = list_make1(plan);
	node->custom_scan_tlist = plan->targetlist;
	foreach(lc, plan->targetlist)
	{
		TargetEntry *tle = flatCopyTargetEntry(lfirst_node(TargetEntry, lc));
		Node	   *expr = (Node *) tle->expr;

		tle->expr = (Expr *) makeVar(INDEX_VAR, tle->resno, exprType(expr), exprTypmod(expr),
									 exprCollation(expr), 0);
		node->scan.plan.targetlist = lappend(node->scan.plan.targetlist, tle);
	}
	node->methods = &methods;
	return &node->scan.plan;
}

static PlannedStmt *
plan_statement(PLANNER_PARAMS)
{
	PlannedStmt *stmt = prev_planner ? prev_planner(PLANNER_ARGS) :
		standard_planner(PLANNER_ARGS);
	int			last_id = 1000;
	ListCell   *lc;

	if (!wrap)
		return stmt;
	stmt->planTree = wrapped(stmt->planTree, &last_id);
	foreach(lc, stmt->subplans)
		lfirst(lc) = wrapped(lfirst(lc), &last_id);
	return stmt;
}

void
_PG_init(void)
{
	DefineCustomBoolVariable("other_node.wrap", "Put a node around each sequential scan.", NULL,
							 &wrap, false, PGC_USERSET, 0, NULL, NULL, NULL);
	RegisterCustomScanMethods(&methods);
	prev_planner = planner_hook;
	planner_hook = plan_statement;
}
