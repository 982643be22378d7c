/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  The only place that tests PG_VERSION_NUM.
 *
 * Each wrapper has the signature of the newest version, so that the code
 * reads as if only that version existed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_COMPAT_H
#define CCR_COMPAT_H

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 200000
#error "concresce supports PostgreSQL 15 to 19"
#endif

#include "catalog/pg_database.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "commands/explain.h"
#include "libpq-fe.h"
#include "nodes/bitmapset.h"
#include "nodes/plannodes.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "postmaster/bgworker.h"
#include "postmaster/bgworker_internals.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/backend_status.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/wait_event.h"
#if PG_VERSION_NUM >= 160000
#include "nodes/queryjumble.h"
#include "varatt.h"
#else
#include "utils/queryjumble.h"
#endif
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#include "storage/waiteventset.h"
#endif

/*
 * Since 17 a worker can connect as a role that may not log in, or may not
 * connect to this database, and to a database that allows no connections.
 */
#if PG_VERSION_NUM >= 170000
#define CCR_CONNECT_AS_ANY_ROLE \
	(BGWORKER_BYPASS_ALLOWCONN | BGWORKER_BYPASS_ROLELOGINCHECK)
#else
#define CCR_CONNECT_AS_ANY_ROLE	0
#endif

/*
 * For a process that connected as one role and then took on another: make
 * pg_stat_activity show the present one.
 */
static inline void
ccr_report_session_user(void)
{
#if PG_VERSION_NUM < 170000
	pgstat_bestart();
#endif
}

/* A prefix since 18, which has it before the return type. */
#if PG_VERSION_NUM >= 180000
#define CCR_NORETURN pg_noreturn
#else
#define CCR_NORETURN pg_attribute_noreturn()
#endif

/* ExecutorRun() lost execute_once in 18. */
#if PG_VERSION_NUM >= 180000
#define CCR_EXECUTOR_RUN_PARAMS(desc) \
	QueryDesc *desc, ScanDirection direction, uint64 count
#define CCR_EXECUTOR_RUN_ARGS(desc)	desc, direction, count
#else
#define CCR_EXECUTOR_RUN_PARAMS(desc) \
	QueryDesc *desc, ScanDirection direction, uint64 count, bool execute_once
#define CCR_EXECUTOR_RUN_ARGS(desc)	desc, direction, count, execute_once
#endif

/* Since 19 the planner is passed the options of EXPLAIN. */
#if PG_VERSION_NUM >= 190000
#define CCR_PLANNER_PARAMS(query) \
	Query *query, const char *query_string, int cursor_options, \
	ParamListInfo params, ExplainState *es
#define CCR_PLANNER_ARGS(query)	query, query_string, cursor_options, params, es
#else
#define CCR_PLANNER_PARAMS(query) \
	Query *query, const char *query_string, int cursor_options, ParamListInfo params
#define CCR_PLANNER_ARGS(query)	query, query_string, cursor_options, params
#endif

/* Signal handlers are told who has sent the signal since 19. */
#if PG_VERSION_NUM >= 190000
#define CCR_SIGNAL_ARGS	postgres_signal_arg, pg_siginfo
#else
#define CCR_SIGNAL_ARGS	postgres_signal_arg
#define PG_SIG_IGN		SIG_IGN
#endif

/* Strings conform to the standard, without a warning, since 19. */
#if PG_VERSION_NUM >= 190000
#define CCR_NO_ESCAPE_WARNING(extra)	((void) (extra))
#define CCR_STANDARD_CONFORMING_STRINGS	true
#else
#define CCR_NO_ESCAPE_WARNING(extra)	((extra).escape_string_warning = false)
#define CCR_STANDARD_CONFORMING_STRINGS	standard_conforming_strings
#endif

/* The result relations are a set since 19, and were a list before. */
static inline Bitmapset *
ccr_result_relations(const PlannedStmt *stmt)
{
#if PG_VERSION_NUM >= 190000
	return stmt->resultRelationRelids;
#else
	Bitmapset  *relids = NULL;
	ListCell   *lc;

	foreach(lc, stmt->resultRelations)
		relids = bms_add_member(relids, lfirst_int(lc));
	return relids;
#endif
}

/*
 * Since 19 a tuple descriptor has to be finalized once its columns are known.
 */
#if PG_VERSION_NUM < 190000
#define TupleDescFinalize(tupdesc)	((void) (tupdesc))
#endif

/* Since 19 the state of pushJsonbValue() has the result. */
#if PG_VERSION_NUM >= 190000
typedef JsonbInState CcrJsonbInState;
#else
typedef struct CcrJsonbInState
{
	JsonbValue *result;
	JsonbParseState *parseState;
} CcrJsonbInState;
#endif

static inline void
ccr_push_jsonb_value(CcrJsonbInState *state, JsonbIteratorToken token, JsonbValue *value)
{
#if PG_VERSION_NUM >= 190000
	pushJsonbValue(state, token, value);
#else
	state->result = pushJsonbValue(&state->parseState, token, value);
#endif
}

/* RETURNING became a clause in 18, and part of MERGE in 17. */
#if PG_VERSION_NUM >= 180000
#define CCR_RETURNING_LIST(stmt) \
	((stmt)->returningClause ? (stmt)->returningClause->exprs : NIL)
#else
#define CCR_RETURNING_LIST(stmt) ((stmt)->returningList)
#endif
#if PG_VERSION_NUM >= 170000
#define CCR_MERGE_RETURNING_LIST(stmt) CCR_RETURNING_LIST(stmt)
#else
#define CCR_MERGE_RETURNING_LIST(stmt) NIL
#endif

/* JSON_OBJECT() and its like came with 16, JSON_VALUE() and its like with 17. */
#if PG_VERSION_NUM >= 160000
#define CCR_HAVE_JSON_CONSTRUCTORS
#endif
#if PG_VERSION_NUM >= 170000
#define CCR_HAVE_JSON_FUNCTIONS
#endif

/* MERGE got WHEN NOT MATCHED BY SOURCE in 17, and conditions for it. */
#if PG_VERSION_NUM >= 170000
#define CCR_HAVE_MERGE_JOIN_CONDITIONS
#define CCR_MERGE_INSERTS(action) \
	((action)->matchKind == MERGE_WHEN_NOT_MATCHED_BY_TARGET)
#define CCR_MERGE_UNMATCHED(action) \
	((action)->matchKind == MERGE_WHEN_NOT_MATCHED_BY_SOURCE)
#define CCR_MERGE_JOIN_CONDITION(modify) \
	((modify)->mergeJoinConditions ? (List *) linitial((modify)->mergeJoinConditions) : NIL)
#else
#define CCR_MERGE_INSERTS(action)	(!(action)->matched)
#define CCR_MERGE_UNMATCHED(action)	((void) (action), false)
#define CCR_MERGE_JOIN_CONDITION(modify)	((void) (modify), NIL)
#endif

/* The functions of SQL/JSON that give a type came with 17. */
#if PG_VERSION_NUM >= 170000
#define CCR_IS_JSON_EXPR(node)	IsA(node, JsonExpr)
#else
#define CCR_IS_JSON_EXPR(node)	((void) (node), false)
#endif

/* The functions that make JSON have nodes of their own since 16. */
#if PG_VERSION_NUM >= 160000
#define CCR_IS_JSON_CONSTRUCTOR(node)	IsA(node, JsonConstructorExpr)
#define CCR_JSON_CONSTRUCTOR_ARGS(node)	(((JsonConstructorExpr *) (node))->args)
#else
#define CCR_IS_JSON_CONSTRUCTOR(node)	((void) (node), false)
#define CCR_JSON_CONSTRUCTOR_ARGS(node)	((void) (node), NIL)
#endif

/* Since 18 a query with groups has an entry more in its range table. */
static inline int
ccr_explain_rtable_size(const ExplainState *es)
{
#if PG_VERSION_NUM >= 180000
	return es->rtable_size;
#else
	return list_length(es->rtable);
#endif
}

/*
 * What run-time partition pruning needs moved from the nodes to the statement
 * in 18.
 */
#if PG_VERSION_NUM >= 180000
#define CCR_PRUNE_INFO(append)		((PartitionPruneInfo *) NULL)
#define CCR_IS_PRUNED(append)		((append)->part_prune_index >= 0)
#define CCR_PRUNE_INFOS(stmt)		((stmt)->partPruneInfos)
#define CCR_COPY_PRUNING(to, from)	((to)->part_prune_index = (from)->part_prune_index)
#else
#define CCR_PRUNE_INFO(append)		((append)->part_prune_info)
#define CCR_IS_PRUNED(append)		((append)->part_prune_info != NULL)
#define CCR_PRUNE_INFOS(stmt)		((List *) NIL)
#define CCR_COPY_PRUNING(to, from)	((to)->part_prune_info = (from)->part_prune_info)
#endif

/* object_aclcheck() came with 16. */
static inline AclResult
ccr_server_aclcheck(Oid serverid, Oid roleid, AclMode mode)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(ForeignServerRelationId, serverid, roleid, mode);
#else
	return pg_foreign_server_aclcheck(serverid, roleid, mode);
#endif
}

static inline AclResult
ccr_schema_aclcheck(Oid schema, Oid roleid, AclMode mode)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(NamespaceRelationId, schema, roleid, mode);
#else
	return pg_namespace_aclcheck(schema, roleid, mode);
#endif
}

static inline AclResult
ccr_proc_aclcheck(Oid functionid, Oid roleid, AclMode mode)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(ProcedureRelationId, functionid, roleid, mode);
#else
	return pg_proc_aclcheck(functionid, roleid, mode);
#endif
}

static inline bool
ccr_proc_ownercheck(Oid functionid, Oid roleid)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(ProcedureRelationId, functionid, roleid);
#else
	return pg_proc_ownercheck(functionid, roleid);
#endif
}

static inline bool
ccr_database_ownercheck(Oid dbid, Oid roleid)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(DatabaseRelationId, dbid, roleid);
#else
	return pg_database_ownercheck(dbid, roleid);
#endif
}

static inline bool
ccr_server_ownercheck(Oid serverid, Oid roleid)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(ForeignServerRelationId, serverid, roleid);
#else
	return pg_foreign_server_ownercheck(serverid, roleid);
#endif
}

/* Memory that a check hook passes to its assign hook; guc.c frees it. */
static inline void *
ccr_guc_malloc(size_t size)
{
#if PG_VERSION_NUM >= 160000
	return guc_malloc(LOG, size);
#else
	return malloc(size);
#endif
}

/* The function has an argument since 17, when slots can be synchronized. */
#if PG_VERSION_NUM >= 170000
#define ccr_drop_temporary_slots()	ReplicationSlotCleanup(false)
#else
#define ccr_drop_temporary_slots()	ReplicationSlotCleanup()
#endif

/* The number of a PGPROC: MyProcNumber since 17. */
static inline int
ccr_my_procno(void)
{
#if PG_VERSION_NUM >= 170000
	return MyProcNumber;
#else
	return MyProc->pgprocno;
#endif
}

static inline int
ccr_procno_of(const PGPROC *proc)
{
#if PG_VERSION_NUM >= 170000
	return GetNumberFromPGProc(proc);
#else
	return proc->pgprocno;
#endif
}

static inline Latch *
ccr_proc_latch(int procno)
{
#if PG_VERSION_NUM >= 170000
	return &GetPGProcByNumber(procno)->procLatch;
#else
	return &ProcGlobal->allProcs[procno].procLatch;
#endif
}

/* A wait event set that lives until it is freed: no owner from 17 on. */
static inline WaitEventSet *
ccr_create_wait_event_set(int nevents)
{
#if PG_VERSION_NUM >= 170000
	return CreateWaitEventSet(NULL, nevents);
#else
	return CreateWaitEventSet(TopMemoryContext, nevents);
#endif
}

/* The list that the postmaster starts workers from has two ends since 18. */
#if PG_VERSION_NUM >= 180000
#define CCR_FOREACH_REGISTERED(iter)	dlist_foreach(iter, &BackgroundWorkerList)
#define CCR_REGISTERED(iter)	dlist_container(RegisteredBgWorker, rw_lnode, (iter).cur)
typedef dlist_iter CcrRegisteredIter;
#else
#define CCR_FOREACH_REGISTERED(iter)	slist_foreach(iter, &BackgroundWorkerList)
#define CCR_REGISTERED(iter)	slist_container(RegisteredBgWorker, rw_lnode, (iter).cur)
typedef slist_iter CcrRegisteredIter;
#endif

/* RegisterBackgroundWorker() keeps to itself whether it has found a slot. */
static inline bool
ccr_worker_is_registered(const BackgroundWorker *worker)
{
	CcrRegisteredIter iter;

	CCR_FOREACH_REGISTERED(iter)
	{
		const BackgroundWorker *other = &CCR_REGISTERED(iter)->rw_worker;

		if (strcmp(other->bgw_library_name, worker->bgw_library_name) == 0 &&
			strcmp(other->bgw_function_name, worker->bgw_function_name) == 0 &&
			other->bgw_main_arg == worker->bgw_main_arg)
			return true;
	}
	return false;
}

/* For post_parse_analyze_hook. */
#if PG_VERSION_NUM >= 190000
typedef const JumbleState CcrJumbleState;
#else
typedef JumbleState CcrJumbleState;
#endif

/* Sets the query's identifier. */
static inline CcrJumbleState *
ccr_jumble_query(Query *query, const char *text)
{
#if PG_VERSION_NUM >= 160000
	return JumbleQuery(query);
#else
	return JumbleQuery(query, text);
#endif
}

/* Wait events have names of their own from 17 on. */
static inline uint32
ccr_new_wait_event(const char *name)
{
#if PG_VERSION_NUM >= 170000
	return WaitEventExtensionNew(name);
#else
	(void) name;
	return PG_WAIT_EXTENSION;
#endif
}

/*
 * Since version 17 of libpq a result can come in parts of several rows.  The
 * version of the server says nothing about that of libpq, so libpq's own macro
 * decides.
 */
#ifdef LIBPQ_HAS_CHUNK_MODE
#define CCR_TUPLES_CHUNK	PGRES_TUPLES_CHUNK
#define ccr_set_rows_mode(conn, nrows) \
	((nrows) > 1 ? PQsetChunkedRowsMode(conn, nrows) : PQsetSingleRowMode(conn))
#else
#define CCR_TUPLES_CHUNK	PGRES_SINGLE_TUPLE
#define ccr_set_rows_mode(conn, nrows)	PQsetSingleRowMode(conn)
#endif

#endif							/* CCR_COMPAT_H */
