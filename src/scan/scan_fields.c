/*-------------------------------------------------------------------------
 *
 * scan_fields.c
 *	  All the expressions of a plan node, and all its children.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "scan/scan_fields.h"
#include "shared/compat.h"

#define CHANGE(field)	((field) = (void *) change((Node *) (field), context))

static void
change_scan(Plan *plan, CcrChange change, void *context)
{
	switch (nodeTag(plan))
	{
		case T_SampleScan:
			CHANGE(((SampleScan *) plan)->tablesample);
			break;
		case T_IndexScan:
			CHANGE(((IndexScan *) plan)->indexqual);
			CHANGE(((IndexScan *) plan)->indexqualorig);
			CHANGE(((IndexScan *) plan)->indexorderby);
			CHANGE(((IndexScan *) plan)->indexorderbyorig);
			break;
		case T_IndexOnlyScan:
			CHANGE(((IndexOnlyScan *) plan)->indexqual);
			CHANGE(((IndexOnlyScan *) plan)->recheckqual);
			CHANGE(((IndexOnlyScan *) plan)->indexorderby);
			break;
		case T_BitmapIndexScan:
			CHANGE(((BitmapIndexScan *) plan)->indexqual);
			CHANGE(((BitmapIndexScan *) plan)->indexqualorig);
			break;
		case T_BitmapHeapScan:
			CHANGE(((BitmapHeapScan *) plan)->bitmapqualorig);
			break;
		case T_TidScan:
			CHANGE(((TidScan *) plan)->tidquals);
			break;
		case T_TidRangeScan:
			CHANGE(((TidRangeScan *) plan)->tidrangequals);
			break;
		case T_FunctionScan:
			CHANGE(((FunctionScan *) plan)->functions);
			break;
		case T_ValuesScan:
			CHANGE(((ValuesScan *) plan)->values_lists);
			break;
		case T_TableFuncScan:
			CHANGE(((TableFuncScan *) plan)->tablefunc);
			break;
		case T_ForeignScan:
			CHANGE(((ForeignScan *) plan)->fdw_exprs);
			CHANGE(((ForeignScan *) plan)->fdw_recheck_quals);
			break;
		case T_CustomScan:
			CHANGE(((CustomScan *) plan)->custom_exprs);
			CHANGE(((CustomScan *) plan)->custom_scan_tlist);
			break;
		default:
			break;
	}
}

static void
change_join(Plan *plan, CcrChange change, void *context)
{
	CHANGE(((Join *) plan)->joinqual);
	switch (nodeTag(plan))
	{
		case T_MergeJoin:
			CHANGE(((MergeJoin *) plan)->mergeclauses);
			break;
		case T_HashJoin:
			CHANGE(((HashJoin *) plan)->hashclauses);
			CHANGE(((HashJoin *) plan)->hashkeys);
			break;
		default:
			break;
	}
}

static void
change_modify(ModifyTable *modify, CcrChange change, void *context)
{
	CHANGE(modify->withCheckOptionLists);
	CHANGE(modify->returningLists);
	CHANGE(modify->onConflictSet);
	CHANGE(modify->onConflictWhere);
	CHANGE(modify->mergeActionLists);
#ifdef CCR_HAVE_MERGE_JOIN_CONDITIONS
	CHANGE(modify->mergeJoinConditions);
#endif
}

/* What decides at run time which partitions are scanned. */
static void
change_prune_info(PartitionPruneInfo *info, CcrChange change, void *context)
{
	ListCell   *lc;
	ListCell   *lc2;

	if (info == NULL)
		return;
	foreach(lc, info->prune_infos)
	{
		foreach(lc2, (List *) lfirst(lc))
		{
			PartitionedRelPruneInfo *rel = lfirst(lc2);

			CHANGE(rel->initial_pruning_steps);
			CHANGE(rel->exec_pruning_steps);
		}
	}
}

void
ccr_fields_change(Plan *plan, CcrChange change, void *context)
{
	CHANGE(plan->targetlist);
	CHANGE(plan->qual);
	ccr_fields_change_others(plan, change, context);
}

void
ccr_fields_change_others(Plan *plan, CcrChange change, void *context)
{
	switch (nodeTag(plan))
	{
		case T_NestLoop:
		case T_MergeJoin:
		case T_HashJoin:
			change_join(plan, change, context);
			break;
		case T_Append:
			change_prune_info(CCR_PRUNE_INFO((Append *) plan), change, context);
			break;
		case T_MergeAppend:
			change_prune_info(CCR_PRUNE_INFO((MergeAppend *) plan), change, context);
			break;
		case T_Hash:
			CHANGE(((Hash *) plan)->hashkeys);
			break;
		case T_Memoize:
			CHANGE(((Memoize *) plan)->param_exprs);
			break;
		case T_Result:
			CHANGE(((Result *) plan)->resconstantqual);
			break;
		case T_Limit:
			CHANGE(((Limit *) plan)->limitCount);
			CHANGE(((Limit *) plan)->limitOffset);
			break;
		case T_WindowAgg:
			CHANGE(((WindowAgg *) plan)->startOffset);
			CHANGE(((WindowAgg *) plan)->endOffset);
			CHANGE(((WindowAgg *) plan)->runCondition);
			break;
		case T_ModifyTable:
			change_modify((ModifyTable *) plan, change, context);
			break;
		default:
			change_scan(plan, change, context);
			break;
	}
}

static void
visit_field_list(List *plans, CcrVisit visit, void *context)
{
	ListCell   *lc;

	foreach(lc, plans)
		visit((Plan **) &lfirst(lc), context);
}

void
ccr_fields_children(Plan *plan, CcrVisit visit, void *context)
{
	check_stack_depth();
	if (plan->lefttree)
		visit(&plan->lefttree, context);
	if (plan->righttree)
		visit(&plan->righttree, context);
	switch (nodeTag(plan))
	{
		case T_Append:
			visit_field_list(((Append *) plan)->appendplans, visit, context);
			break;
		case T_MergeAppend:
			visit_field_list(((MergeAppend *) plan)->mergeplans, visit, context);
			break;
		case T_BitmapAnd:
			visit_field_list(((BitmapAnd *) plan)->bitmapplans, visit, context);
			break;
		case T_BitmapOr:
			visit_field_list(((BitmapOr *) plan)->bitmapplans, visit, context);
			break;
		case T_SubqueryScan:
			visit(&((SubqueryScan *) plan)->subplan, context);
			break;
		case T_CustomScan:
			visit_field_list(((CustomScan *) plan)->custom_plans, visit, context);
			break;
		default:
			break;
	}
}

typedef struct TreeChange
{
	CcrChange	change;
	void	   *context;
} TreeChange;

static void
change_child(Plan **child, void *context)
{
	TreeChange *tree = context;

	ccr_fields_change_tree(*child, tree->change, tree->context);
}

void
ccr_fields_change_tree(Plan *plan, CcrChange change, void *context)
{
	TreeChange	tree = {change, context};

	if (plan == NULL)
		return;
	ccr_fields_change(plan, change, context);
	ccr_fields_children(plan, change_child, &tree);
}

void
ccr_fields_change_main(PlannedStmt *stmt, CcrChange change, void *context)
{
	ListCell   *lc;

	ccr_fields_change_tree(stmt->planTree, change, context);
	foreach(lc, CCR_PRUNE_INFOS(stmt))
		change_prune_info(lfirst(lc), change, context);
}

void
ccr_fields_change_statement(PlannedStmt *stmt, CcrChange change, void *context)
{
	ListCell   *lc;

	ccr_fields_change_main(stmt, change, context);
	foreach(lc, stmt->subplans)
		ccr_fields_change_tree(lfirst(lc), change, context);
}
