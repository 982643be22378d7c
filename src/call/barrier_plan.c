/*-------------------------------------------------------------------------
 *
 * barrier_plan.c
 *	  Lookups in policies, security barrier views and check options must say
 *	  whom they ask.
 *
 * The rewriter has put the conditions of policies and of updatable security
 * barrier views at the relations that they protect, and check options at the
 * statement; other views are subqueries.  The planner would mix them with all
 * else.  So they are looked for before it begins, in the few statements that
 * have any.  Functions in FROM, which the planner may replace by the query that
 * they make, bring their own: that is seen afterwards, and nothing of them has
 * a mark.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "call/barrier_plan.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/proclang.h"
#include "lookup/barrier.h"
#include "lookup/clauses.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/planner.h"
#include "shared/compat.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/regproc.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

typedef struct Walk
{
	Oid			language;		/* of lookups */
	bool		barring;		/* what is walked through keeps rows back */
	bool		open;			/* some call of the statement's own goes where
								 * the session says */
} Walk;

static planner_hook_type prev_planner = NULL;

/* -------------------------------------------------------- is there any such */

static bool has_barriers(Query *query, bool *calls_in_from);

static bool
has_barriers_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return has_barriers((Query *) node, context);
	return expression_tree_walker(node, has_barriers_walker, context);
}

/* Some function that may stand for a query. */
static bool
calls_in_from(const RangeTblEntry *rte)
{
	RangeTblFunction *function;

	if (rte->rtekind != RTE_FUNCTION || list_length(rte->functions) != 1)
		return false;
	function = linitial_node(RangeTblFunction, rte->functions);
	return IsA(function->funcexpr, FuncExpr) &&
		((FuncExpr *) function->funcexpr)->funcid >= FirstNormalObjectId;
}

static bool
has_barriers(Query *query, bool *calls)
{
	ListCell   *lc;

	check_stack_depth();
	if (query->withCheckOptions)
		return true;
	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->securityQuals)
			return true;
		if (rte->rtekind == RTE_SUBQUERY &&
			(rte->security_barrier || has_barriers(rte->subquery, calls)))
			return true;
		*calls |= calls_in_from(rte);
	}
	foreach(lc, query->cteList)
	{
		if (has_barriers_walker(lfirst_node(CommonTableExpr, lc)->ctequery, calls))
			return true;
	}
	return query->hasSubLinks &&
		query_tree_walker(query, has_barriers_walker, calls, QTW_IGNORE_RC_SUBQUERIES);
}

/* ----------------------------------------------------------------- refusing */

static void
refuse_statement(Oid function, const char *setting)
{
	char	   *name = format_procedure(function);

	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("lookup %s must set \"%s\" itself", name, setting),
			 errdetail("It is part of a policy, a security barrier view or a check option, where no setting of the session counts."),
			 strcmp(setting, "search_path") == 0 ?
			 errhint("ALTER FUNCTION %s SET search_path = ...", name) :
			 errhint("ALTER FUNCTION %s SET concresce.server = '...', or SET concresce.server = '' SET search_path = ... if it is to run in this database.",
					 name)));
}

static void
read_clauses(CcrClauses *clauses, HeapTuple tuple)
{
	bool		isnull;
	Datum		config = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proconfig, &isnull);

	ccr_clauses_read(clauses, isnull ? NULL : DatumGetArrayTypePCopy(config), "", false);
}

/*
 * submit() and enqueue() make calls of the lookup that they are given, as
 * await() and the like do not.
 */
static bool
starts_calls(HeapTuple tuple)
{
	bool		isnull;
	Datum		source = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull);
	char	   *name;

	if (((Form_pg_proc) GETSTRUCT(tuple))->prolang != ClanguageId || isnull)
		return false;
	name = TextDatumGetCString(source);
	return strcmp(name, "concresce_submit") == 0 || strcmp(name, "concresce_enqueue") == 0;
}

typedef enum Kind
{
	OTHER, LOOKUP, STARTER
} Kind;

/* Of a function; of a lookup also its clauses. */
static Kind
barrier_kind_of(Oid function, const Walk *walk, CcrClauses *clauses)
{
	HeapTuple	tuple;
	Kind		kind = OTHER;

	if (function < FirstNormalObjectId)
		return OTHER;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return OTHER;
	if (((Form_pg_proc) GETSTRUCT(tuple))->prolang == walk->language)
	{
		kind = LOOKUP;
		read_clauses(clauses, tuple);
	}
	else if (starts_calls(tuple))
		kind = STARTER;
	ReleaseSysCache(tuple);
	return kind;
}

static bool
check_function(Oid function, void *context)
{
	CcrClauses	clauses;

	if (barrier_kind_of(function, context, &clauses) != LOOKUP)
		return false;
	if (clauses.server == NULL)
		refuse_statement(function, "concresce.server");
	if (clauses.server[0] == '\0' && !clauses.sets_path)
		refuse_statement(function, "search_path");
	return false;
}

/* What an aggregate does is done by other functions. */
static void
check_aggregate(Oid function, Walk *walk)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(function));
	Form_pg_aggregate aggregate;

	if (!HeapTupleIsValid(tuple))
		return;
	aggregate = (Form_pg_aggregate) GETSTRUCT(tuple);
	check_function(aggregate->aggtransfn, walk);
	check_function(aggregate->aggfinalfn, walk);
	check_function(aggregate->aggcombinefn, walk);
	check_function(aggregate->aggmtransfn, walk);
	check_function(aggregate->aggminvtransfn, walk);
	check_function(aggregate->aggmfinalfn, walk);
	ReleaseSysCache(tuple);
}

static bool examine_walker(Node *node, void *context);

static void
check_domain(Oid type, Walk *walk)
{
	DomainConstraintRef *ref = palloc(sizeof(DomainConstraintRef));
	ListCell   *lc;

	/* it is in use until the memory context is reset */
	InitDomainConstraintRef(type, ref, CurrentMemoryContext, false);
	foreach(lc, ref->constraints)
	{
		DomainConstraintState *constraint = lfirst(lc);

		if (constraint->check_expr)
			(void) examine_walker((Node *) constraint->check_expr, walk);
	}
}

/* A constant is what is nearly always given. */
static void
check_started(FuncExpr *expr, Walk *walk)
{
	Const	   *function = expr->args ? linitial(expr->args) : NULL;
	CcrClauses	clauses;

	if (barrier_kind_of(expr->funcid, walk, &clauses) == STARTER &&
		function && IsA(function, Const) && !function->constisnull)
		check_function(DatumGetObjectId(function->constvalue), walk);
}

static void
check_node(Node *node, Walk *walk)
{
	(void) check_functions_in_node(node, check_function, walk);
	switch (nodeTag(node))
	{
		case T_FuncExpr:
			check_started((FuncExpr *) node, walk);
			break;
		case T_Aggref:
			check_aggregate(((Aggref *) node)->aggfnoid, walk);
			break;
		case T_WindowFunc:
			check_aggregate(((WindowFunc *) node)->winfnoid, walk);
			break;
		case T_CoerceToDomain:
			check_domain(((CoerceToDomain *) node)->resulttype, walk);
			break;
		default:
			break;
	}
}

/* ------------------------------------------------------ the statement's own */

typedef struct Marking
{
	Walk	   *walk;
	Node	   *node;
} Marking;

static bool
mark_function(Oid function, void *context)
{
	Marking    *marking = context;
	CcrClauses	clauses;
	Kind		kind = barrier_kind_of(function, marking->walk, &clauses);

	if (kind != OTHER)
		ccr_barrier_mark_call(marking->node);
	if (kind == LOOKUP && clauses.server == NULL)
		marking->walk->open = true;
	return false;
}

/* ------------------------------------------------------------- the statement */

static void examine_query(Query *query, const Walk *outer, bool *open);

static bool
examine_walker(Node *node, void *context)
{
	Walk	   *walk = context;
	Marking		marking = {walk, node};

	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		examine_query((Query *) node, walk, &walk->open);
		return false;
	}
	if (IsA(node, WithCheckOption))
	{
		Walk		inner = {walk->language, true, false};

		return expression_tree_walker(node, examine_walker, &inner);
	}
	if (walk->barring)
		check_node(node, walk);
	else
		(void) check_functions_in_node(node, mark_function, &marking);
	return expression_tree_walker(node, examine_walker, context);
}

static void
examine_relation(RangeTblEntry *rte, Walk *walk)
{
	Walk		inner = {walk->language, true, false};
	List	   *quals = rte->securityQuals;

	(void) examine_walker((Node *) quals, &inner);
	if (rte->rtekind == RTE_SUBQUERY)
	{
		inner.barring = walk->barring || rte->security_barrier;
		examine_query(rte->subquery, &inner, &walk->open);
		return;
	}

	/* all that it has else */
	rte->securityQuals = NIL;
	(void) range_table_entry_walker(rte, examine_walker, walk, 0);
	rte->securityQuals = quals;
}

static void
examine_query(Query *query, const Walk *outer, bool *open)
{
	Walk		walk = {outer->language, outer->barring, false};
	ListCell   *lc;

	check_stack_depth();
	foreach(lc, query->rtable)
		examine_relation(lfirst_node(RangeTblEntry, lc), &walk);
	(void) query_tree_walker(query, examine_walker, &walk, QTW_IGNORE_RANGE_TABLE);
	*open |= walk.open;
}

/* Marks do not reach parallel workers, where calls would be taken for a function's. */
static int
examine_statement(Query *query, Oid language, int cursor_options)
{
	Walk		walk = {language, false, false};
	bool		open = false;

	examine_query(query, &walk, &open);
	return open ? cursor_options & ~CURSOR_OPT_PARALLEL_OK : cursor_options;
}

static PlannedStmt *
plan_on(CCR_PLANNER_PARAMS(query))
{
	return prev_planner ? prev_planner(CCR_PLANNER_ARGS(query)) :
		standard_planner(CCR_PLANNER_ARGS(query));
}

/* Conditions of policies depend on the role. */
static bool
has_got_barriers(const PlannedStmt *stmt)
{
	ListCell   *lc;

	if (stmt->dependsOnRole)
		return true;
	foreach(lc, stmt->rtable)
	{
		if (lfirst_node(RangeTblEntry, lc)->security_barrier)
			return true;
	}
	return false;
}

/* Something that was called has become part of it. */
static void
refuse_plan(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("a lookup must set \"concresce.server\" itself"),
			 errdetail("It was called while a statement was planned that has a policy or a security barrier view in a function."),
			 errhint("ALTER FUNCTION ... SET concresce.server = ...")));
}

/* certain: what keeps rows back has been seen. */
static PlannedStmt *
plan_barred(CCR_PLANNER_PARAMS(query), Oid language, bool certain)
{
	PlannedStmt *volatile stmt = NULL;
	int			options = examine_statement(query, language, cursor_options);
	CcrBarrier	barrier;

	if (certain)
		cursor_options = options;
	ccr_barrier_begin(&barrier, certain ? CCR_BARRIER_PLANNED : CCR_BARRIER_DOUBTED);
	PG_TRY();
	{
		stmt = plan_on(CCR_PLANNER_ARGS(query));
	}
	PG_FINALLY();
	{
		ccr_barrier_end(&barrier);
	}
	PG_END_TRY();
	if (!certain && !has_got_barriers(stmt))
		return stmt;
	if (barrier.passed)
		refuse_plan();
	ccr_barrier_mark_statement(stmt);
	return stmt;
}

/* Without the extension in the database there are no lookups. */
static PlannedStmt *
barrier_plan_statement(CCR_PLANNER_PARAMS(query))
{
	Oid			language = InvalidOid;
	bool		calls = false;
	bool		certain = query->commandType != CMD_UTILITY && has_barriers(query, &calls);

	if (certain || calls)
		language = get_language_oid("concresce", true);
	if (OidIsValid(language))
		return plan_barred(CCR_PLANNER_ARGS(query), language, certain);
	return plan_on(CCR_PLANNER_ARGS(query));
}

void
ccr_barrier_plan_init(void)
{
	prev_planner = planner_hook;
	planner_hook = barrier_plan_statement;
}
