/*-------------------------------------------------------------------------
 *
 * scan_ahead.c
 *	  What may be read ahead.
 *
 * A batch node reads rows before SQL would, and maybe some that SQL would
 * not read at all.  Nobody must notice.  So nothing below it may have effects,
 * nor give something else when it is evaluated earlier or more often: no row
 * locks, no volatile functions, no writes; neither in the nodes themselves nor
 * in the sub-plans, init plans and CTEs that their expressions refer to.
 *
 * What has happened before the first row can come out is no matter, since
 * that is when SQL would have done it, too: a sort has read all of its rows by
 * then, and a function scan has run its functions to their end.  So the search
 * goes down from a node to what runs with its first row, and ends where that
 * is settled; whatever runs later, or again, must be quiet down to the leaves.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "lookup/hidden.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "scan/scan_ahead.h"
#include "scan/scan_fields.h"
#include "shared/compat.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

typedef struct Search
{
	CcrPlanning *planning;
	bool		at_once;
	bool		in_call;		/* in what is evaluated for a lookup */
	Bitmapset  *seen;			/* sub-plans that were looked at all through */
	CcrAhead	found;
} Search;

static void look_at(Search *search, Plan *plan, bool first);
static bool expression_walker(Node *node, void *context);

static void
refuse_reading_ahead(Search *search, const char *obstacle)
{
	if (search->found.obstacle == NULL)
		search->found.obstacle = obstacle;
}

/* ------------------------------------------------------------ dependencies */

static void
depend_on(CcrPlanning *planning, List **before, int cache, Oid id)
{
	PlanInvalItem *item;

	if (list_member_oid(*before, id))
		return;
	*before = lappend_oid(*before, id);
	item = makeNode(PlanInvalItem);
	item->cacheId = cache;
	item->hashValue = GetSysCacheHashValue1(cache, ObjectIdGetDatum(id));
	planning->stmt->invalItems = lappend(planning->stmt->invalItems, item);
}

/*
 * A plan that is kept must not outlive what it was made by.  Of types that are
 * no part of its expressions, and of functions that these do not name, the
 * planner notes nothing.
 */
static void
rely_on_types(CcrPlanning *planning, List *types)
{
	ListCell   *lc;

	foreach(lc, types)
	{
		Oid			relid = get_typ_typrelid(lfirst_oid(lc));

		depend_on(planning, &planning->types, TYPEOID, lfirst_oid(lc));
		if (OidIsValid(relid))
			planning->stmt->relationOids = list_append_unique_oid(planning->stmt->relationOids,
																  relid);
	}
}

static void
rely_on_function(CcrPlanning *planning, Oid function)
{
	if (function >= FirstNormalObjectId)
		depend_on(planning, &planning->functions, PROCOID, function);
}

/* ------------------------------------------------------------- expressions */

/* Functions of PostgreSQL's own that depend on the role, or on any setting. */
static bool
depends_on_session(Oid function)
{
	static const char *const names[] = {
		"current_setting", "current_user", "session_user", "getpgusername",
		"current_schema", "current_schemas", "pg_has_role", "row_security_active"
	};
	char	   *name = get_func_name(function);

	if (name == NULL)
		return true;
	if (strncmp(name, "has_", 4) == 0)
		return true;
	for (int i = 0; i < (int) lengthof(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/*
 * What a STABLE function gives may depend on settings: the time zone, say.  A
 * batch node knows by itself by which of them its own calls go.
 */
static void
look_at_stable(Search *search, Oid function)
{
	if (function >= FirstNormalObjectId)
		search->found.may_waver |= !(search->in_call && ccr_is_lookup(function));
	else if (depends_on_session(function))
		search->found.wavers = true;
	else if (function != F_NOW && function != F_TRANSACTION_TIMESTAMP)
		search->found.may_waver = true;
}

static bool
function_checker(Oid function, void *context)
{
	Search	   *search = context;

	rely_on_function(search->planning, function);
	if (ccr_function_is_volatile(function))
		refuse_reading_ahead(context, "a volatile function is evaluated below it");
	else if (func_volatile(function) == PROVOLATILE_STABLE)
		look_at_stable(context, function);
	return false;
}

static void
look_at_checks(Search *search, List *checks, List *types)
{
	rely_on_types(search->planning, types);
	(void) expression_walker((Node *) checks, search);
}

static void
look_at_subplan(Search *search, int number)
{
	Plan	   *plan = list_nth(search->planning->stmt->subplans, number - 1);

	if (plan == NULL || bms_is_member(number, search->seen))
		return;
	search->seen = bms_add_member(search->seen, number);
	look_at(search, plan, false);
}

/* An init plan is run when its parameter is asked for. */
static void
look_at_param(Search *search, int paramid)
{
	ListCell   *lc;

	foreach(lc, search->planning->init_plans)
	{
		SubPlan    *init = lfirst_node(SubPlan, lc);

		if (list_member_int(init->setParam, paramid))
			look_at_subplan(search, init->plan_id);
	}
}

static void
look_at_value(Search *search, SQLValueFunction *value)
{
	switch (value->op)
	{
		case SVFOP_CURRENT_ROLE:
		case SVFOP_CURRENT_USER:
		case SVFOP_USER:
		case SVFOP_SESSION_USER:
		case SVFOP_CURRENT_SCHEMA:
			search->found.wavers = true;
			break;
		case SVFOP_CURRENT_TIMESTAMP:
		case SVFOP_CURRENT_TIMESTAMP_N:
		case SVFOP_CURRENT_CATALOG:
			break;
		default:				/* in the session's time zone */
			search->found.may_waver = true;
			break;
	}
}

static bool
expression_walker(Node *node, void *context)
{
	Search	   *search = context;
	List	   *checks;
	List	   *types;

	if (node == NULL)
		return false;
	(void) ccr_check_functions(node, function_checker, search);
	checks = ccr_domain_checks(node, &types);
	look_at_checks(search, checks, types);
	if (IsA(node, NextValueExpr))
		refuse_reading_ahead(search, "a volatile function is evaluated below it");
	else if (IsA(node, SQLValueFunction))
		look_at_value(search, (SQLValueFunction *) node);
	else if (IsA(node, XmlExpr))
		search->found.may_waver = true;
	else if (IsA(node, SubPlan))
		look_at_subplan(search, ((SubPlan *) node)->plan_id);
	else if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXEC)
		look_at_param(search, ((Param *) node)->paramid);
	return expression_tree_walker(node, expression_walker, context);
}

static Node *
look_at_field(Node *node, void *context)
{
	(void) expression_walker(node, context);
	return node;
}

bool
ccr_ahead_is_volatile(CcrPlanning *planning, Node *node)
{
	Search		search = {.planning = planning};

	(void) expression_walker(node, &search);
	return search.found.obstacle != NULL;
}

CcrAhead
ccr_ahead_look_at_call(CcrPlanning *planning, const CcrCall *call)
{
	Search		search = {.planning = planning, .in_call = true};

	(void) expression_walker((Node *) call->call->args, &search);
	(void) expression_walker((Node *) call->guard, &search);
	return search.found;
}

/* -------------------------------------------------------------- init plans */

typedef struct First
{
	CcrPlanning *planning;
	Bitmapset  *params;
} First;

static bool
holds_init_param(const CcrPlanning *planning, Node *node)
{
	return bms_overlap(planning->init_params, ccr_params_of(node));
}

/*
 * In the order of evaluation; true where it ends.  An init plan may fail itself,
 * so there is only one.
 */
static bool
first_walker(Node *node, void *context)
{
	First	   *first = context;
	Param	   *param = (Param *) node;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Param:
			if (param->paramkind != PARAM_EXEC ||
				!bms_is_member(param->paramid, first->planning->init_params))
				return false;
			if (!ccr_ahead_is_volatile(first->planning, node))
				first->params = bms_add_member(first->params, param->paramid);
			return true;
		case T_Var:
		case T_Const:
		case T_Aggref:
		case T_WindowFunc:
		case T_GroupingFunc:
			return false;		/* computed before */
		case T_List:
		case T_TargetEntry:
		case T_FuncExpr:
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
		case T_RelabelType:
		case T_CollateExpr:
		case T_RowExpr:
		case T_NullTest:
		case T_BooleanTest:
			return expression_tree_walker(node, first_walker, context) ||
				ccr_may_fail_by_itself(node);
		default:
			return !ccr_infallible(node) || ccr_holds_lookup(node) ||
				holds_init_param(first->planning, node);
	}
}

static Bitmapset *
params_given_by(const SubPlan *init)
{
	Bitmapset  *params = NULL;
	ListCell   *lc;

	foreach(lc, init->setParam)
		params = bms_add_member(params, lfirst_int(lc));
	return params;
}

/* Does it depend on a parameter that is set anew, or on what does? */
static bool
varies(const CcrPlanning *planning, const SubPlan *init)
{
	Plan	   *plan = list_nth(planning->stmt->subplans, init->plan_id - 1);

	return plan != NULL &&
		(!bms_is_subset(plan->extParam, planning->init_params) ||
		 bms_overlap(plan->extParam, planning->varying));
}

void
ccr_ahead_note_init_params(CcrPlanning *planning)
{
	int			before;
	ListCell   *lc;

	foreach(lc, planning->init_plans)
		planning->init_params = bms_join(planning->init_params, params_given_by(lfirst(lc)));
	do
	{
		before = bms_num_members(planning->varying);
		foreach(lc, planning->init_plans)
		{
			if (varies(planning, lfirst(lc)))
				planning->varying = bms_join(planning->varying, params_given_by(lfirst(lc)));
		}
	} while (bms_num_members(planning->varying) > before);
}

Bitmapset *
ccr_ahead_first(CcrPlanning *planning, List *exprs)
{
	First		first = {.planning = planning};

	if (planning->init_plans)
		(void) first_walker((Node *) exprs, &first);
	return first.params;
}

/* ------------------------------------------------------------------ writes */

/* Other tables than any other part of the statement writes to? */
static bool
writes_alone(Search *search, ModifyTable *modify, Oid relid)
{
	PlannedStmt *stmt = search->planning->stmt;
	Bitmapset  *targets = ccr_result_relations(stmt);
	int			target = -1;

	while ((target = bms_next_member(targets, target)) >= 0)
		if (!list_member_int(modify->resultRelations, target) &&
			rt_fetch(target, stmt->rtable)->relid == relid)
			return false;
	return true;
}

static Node *
note_volatile(Node *node, void *context)
{
	*(bool *) context |= ccr_is_volatile(node);
	return node;
}

static bool
sets_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncExpr) && ((FuncExpr *) node)->funcid == F_SET_CONFIG)
		return true;
	return expression_tree_walker(node, sets_walker, context);
}

static Node *
note_settings(Node *node, void *context)
{
	*(bool *) context |= sets_walker(node, NULL);
	return node;
}

bool
ccr_ahead_sets(PlannedStmt *stmt)
{
	bool		found = false;

	ccr_fields_change_statement(stmt, note_settings, &found);
	return found;
}

bool
ccr_ahead_is_watched(PlannedStmt *stmt)
{
	bool		found = false;

	if (stmt->hasModifyingCTE)
		ccr_fields_change_statement(stmt, note_volatile, &found);
	return found;
}

static bool
has_checks(Relation rel)
{
	return rel->rd_att->constr && rel->rd_att->constr->num_check > 0;
}

static bool
writes_quietly(Search *search, ModifyTable *modify)
{
	ListCell   *lc;

	if (!search->at_once && search->planning->watched)
		return false;

	foreach(lc, modify->resultRelations)
	{
		Oid			relid = rt_fetch(lfirst_int(lc), search->planning->stmt->rtable)->relid;
		Relation	rel = table_open(relid, NoLock);
		bool		quiet = rel->rd_rel->relkind == RELKIND_RELATION &&
			rel->trigdesc == NULL && !has_checks(rel) && writes_alone(search, modify, relid);

		table_close(rel, NoLock);
		if (!quiet)
			return false;
	}
	return true;
}

/*
 * A WITH query that writes is run to its end whatever is read of it, so what
 * matters is the order of events.  There is none to be seen if it runs no
 * triggers and checks, nobody else writes to its tables, and nothing in the
 * statement could look at them meanwhile.
 */
static void
look_at_write(Search *search, ModifyTable *modify)
{
	if (!writes_quietly(search, modify))
		refuse_reading_ahead(search, "rows are written below it");
}

/* ------------------------------------------------------------------- nodes */

/* Row locks that a foreign table takes as it is read. */
static bool
locks_foreign_rows(Search *search, ForeignScan *scan)
{
	ListCell   *lc;

	foreach(lc, search->planning->stmt->rowMarks)
	{
		PlanRowMark *mark = lfirst_node(PlanRowMark, lc);

		if (mark->strength != LCS_NONE && bms_is_member(mark->rti, scan->fs_relids))
			return true;
	}
	return false;
}

/* What comes from elsewhere is made a value of its column's type as it is read. */
static void
look_at_foreign_types(Search *search, ForeignScan *scan)
{
	int			rti = -1;

	while ((rti = bms_next_member(scan->fs_relids, rti)) >= 0)
	{
		RangeTblEntry *rte = rt_fetch(rti, search->planning->stmt->rtable);
		List	   *checks;
		List	   *types;

		if (rte->rtekind != RTE_RELATION)
			continue;
		checks = ccr_domain_checks_of_type(get_rel_type_id(rte->relid), &types);
		look_at_checks(search, checks, types);
	}
}

/* Whoever counts it up is seen by all others at once. */
static bool
reads_sequence(Search *search, Plan *plan)
{
	switch (nodeTag(plan))
	{
		case T_SeqScan:
		case T_TidScan:
		case T_TidRangeScan:
			return rt_fetch(((Scan *) plan)->scanrelid,
							search->planning->stmt->rtable)->relkind == RELKIND_SEQUENCE;
		default:
			return false;
	}
}

/* True if what is below it is settled once its first row is there. */
static bool
settles_node(Plan *plan)
{
	switch (nodeTag(plan))
	{
		case T_Sort:
		case T_Hash:
		case T_FunctionScan:
		case T_TableFuncScan:
			return true;
		case T_Agg:
			return ((Agg *) plan)->groupingSets == NIL && ((Agg *) plan)->chain == NIL &&
				(((Agg *) plan)->aggstrategy == AGG_PLAIN ||
				 ((Agg *) plan)->aggstrategy == AGG_HASHED);
		default:
			return false;
	}
}

static void
look_at_node(Search *search, Plan *plan, bool settled)
{
	if (IsA(plan, LockRows) ||
		(IsA(plan, ForeignScan) && locks_foreign_rows(search, (ForeignScan *) plan)))
	{
		if (!search->at_once)
			refuse_reading_ahead(search, "rows are locked below it as they are read");
	}
	else if (reads_sequence(search, plan))
		refuse_reading_ahead(search, "a sequence is read below it");
	else if (IsA(plan, ForeignScan) && ((ForeignScan *) plan)->operation != CMD_SELECT)
		refuse_reading_ahead(search, "rows are written below it");
	else if (IsA(plan, ModifyTable))
		look_at_write(search, (ModifyTable *) plan);
	if (IsA(plan, ForeignScan))
		look_at_foreign_types(search, (ForeignScan *) plan);

	if (settled)
	{
		(void) expression_walker((Node *) plan->targetlist, search);
		(void) expression_walker((Node *) plan->qual, search);
	}
	else
		ccr_fields_change(plan, look_at_field, search);
}

/*
 * A loop's inner side is run for each row of the outer one.  A function scan
 * that depends on none of these keeps its rows, so it has run with the first.
 */
static void
look_at_loop(Search *search, NestLoop *loop, bool first)
{
	Plan	   *inner = loop->join.plan.righttree;
	bool		kept = loop->nestParams == NIL && bms_is_empty(inner->extParam) &&
		(IsA(inner, FunctionScan) || IsA(inner, TableFuncScan));

	look_at(search, loop->join.plan.lefttree, first);
	look_at(search, inner, first && kept);
}

typedef struct Below
{
	Search	   *search;
	bool		first;
	bool		first_only;		/* of the children, only one runs at first */
} Below;

static void
look_at_child(Plan **child, void *context)
{
	Below	   *below = context;

	look_at(below->search, *child, below->first);
	if (below->first_only)
		below->first = false;
}

static void
look_below(Search *search, Plan *plan, bool first)
{
	Below		below = {.search = search, .first = first};

	switch (nodeTag(plan))
	{
		case T_NestLoop:
			look_at_loop(search, (NestLoop *) plan, first);
			return;
		case T_CteScan:
			{
				int			number = ((CteScan *) plan)->ctePlanId;

				if (first)
					look_at(search, list_nth(search->planning->stmt->subplans, number - 1), true);
				else
					look_at_subplan(search, number);
				return;
			}
		case T_Append:
		case T_RecursiveUnion:
		case T_SetOp:
			below.first_only = true;
			break;
		default:
			break;
	}
	ccr_fields_children(plan, look_at_child, &below);
}

/* first: it is run with the first row of the plan that is asked about. */
static void
look_at(Search *search, Plan *plan, bool first)
{
	bool		settled = first && settles_node(plan);

	check_stack_depth();
	look_at_node(search, plan, settled);
	if (!settled)
		look_below(search, plan, first);
}

CcrAhead
ccr_ahead_look(CcrPlanning *planning, Plan *plan, bool at_once)
{
	Search		search = {.planning = planning, .at_once = at_once};

	look_at(&search, plan, true);
	return search.found;
}

CcrAhead
ccr_ahead_look_at_run(CcrPlanning *planning, Plan *plan)
{
	Search		search = {.planning = planning};

	look_at(&search, plan, false);
	return search.found;
}

/* -------------------------------------------------------- WHERE CURRENT OF */

static int
scans_in_list(List *plans)
{
	int			n = 0;
	ListCell   *lc;

	foreach(lc, plans)
		n += ccr_ahead_scans(lfirst(lc));

	/* a scan that is one of several children may not be the current one */
	return list_length(plans) > 1 ? 2 * n : n;
}

/* Looks where search_plan_tree() of execCurrent.c does. */
int
ccr_ahead_scans(Plan *plan)
{
	check_stack_depth();
	if (plan == NULL)
		return 0;
	switch (nodeTag(plan))
	{
		case T_SeqScan:
		case T_SampleScan:
		case T_IndexScan:
		case T_IndexOnlyScan:
		case T_BitmapHeapScan:
		case T_TidScan:
		case T_TidRangeScan:
		case T_ForeignScan:
			return ((Scan *) plan)->scanrelid > 0 ? 1 : 0;
		case T_CustomScan:
			if (ccr_node_is_batch(plan))
				return ccr_ahead_scans(plan->lefttree);
			return ((Scan *) plan)->scanrelid > 0 ? 1 : 0;
		case T_Append:
			return scans_in_list(((Append *) plan)->appendplans);
		case T_Result:
		case T_Limit:
			return ccr_ahead_scans(plan->lefttree);
		case T_SubqueryScan:
			return ccr_ahead_scans(((SubqueryScan *) plan)->subplan);
		default:
			return 0;
	}
}
