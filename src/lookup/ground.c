/*-------------------------------------------------------------------------
 *
 * ground.c
 *	  The schema of the extension, which must be nobody else's.
 *
 * Users call the extension's functions by name.  A role that may create
 * functions in the schema could have one of its own called in their place,
 * with the callers' rights, as a closer match.  CREATE EXTENSION takes a
 * schema as it finds it, so the scripts that install or update the extension
 * call this first.
 *
 * A function that was created by a transaction which has not committed yet
 * cannot be seen, and its role may have lost the right to create it since.  So
 * whoever creates one takes a lock on the schema, which not every version
 * takes for functions, and is then checked for the right once more; and the
 * scripts wait for that lock.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/objectaccess.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "lookup/ground.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "shared/compat.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(concresce_check_ground);

static object_access_hook_type prev_object_access = NULL;
static ProcessUtility_hook_type prev_process_utility = NULL;
static int	depth = 0;			/* of statements that make or move functions */
static bool chained = false;	/* another library's hook goes on to ours */

CCR_NORETURN static void refuse_command(Oid schema, const char *problem, const char *hint);

static void
refuse_command(Oid schema, const char *problem, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("schema \"%s\" is not the extension's own", get_namespace_name(schema)),
			 errdetail("%s What is there could be called in place of the extension's functions.",
					   problem),
			 errhint("%s", hint)));
}

static void
check_owner(Oid schema, Oid owner)
{
	if (!superuser_arg(owner))
		refuse_command(schema, psprintf("It belongs to role \"%s\", which is no superuser.",
										GetUserNameFromId(owner, false)),
					   "Drop the schema, or look at what is in it and then make a superuser its owner.");
}

static void
check_acl(Oid schema, Datum datum)
{
	Acl		   *acl = DatumGetAclP(datum);

	/* ACL_DAT() without its warning: one dimension, no nulls */
	AclItem    *items = (AclItem *) ((char *) acl + ARR_OVERHEAD_NONULLS(1));

	for (int i = 0; i < ACL_NUM(acl); i++)
	{
		AclItem    *item = &items[i];

		if (!(ACLITEM_GET_PRIVS(*item) & ACL_CREATE))
			continue;
		if (item->ai_grantee == ACL_ID_PUBLIC)
			refuse_command(schema, "All roles may create objects in it.",
						   "Revoke CREATE on the schema from PUBLIC. If it does not exist yet, create it first.");
		if (!superuser_arg(item->ai_grantee))
			refuse_command(schema, psprintf("Role \"%s\" may create objects in it.",
											GetUserNameFromId(item->ai_grantee, false)),
						   "Revoke CREATE on the schema from this role. If it does not exist yet, create it first.");
	}
}

static bool
owned_by_superuser(const ObjectAddress *object)
{
	AttrNumber	attnum = get_object_attnum_owner(object->classId);
	int			cache = get_object_catcache_oid(object->classId);
	HeapTuple	tuple;
	Datum		owner;
	bool		isnull;

	/* for such, only superusers create them, or they are parts of a table */
	if (attnum == InvalidAttrNumber)
		return true;
	tuple = SearchSysCache1(cache, ObjectIdGetDatum(object->objectId));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for cache %d oid %u", cache, object->objectId);
	owner = SysCacheGetAttr(cache, tuple, attnum, &isnull);
	ReleaseSysCache(tuple);
	return superuser_arg(DatumGetObjectId(owner));
}

/*
 * May it stay?  In a schema that is new to us, only if an extension brought
 * it.
 */
static bool
may_stay(const ObjectAddress *object, bool installing)
{
	if (!owned_by_superuser(object))
		return false;
	return !installing || OidIsValid(getExtensionOfObject(object->classId, object->objectId));
}

static void
check_objects(Oid schema, bool installing)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(NamespaceRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(schema));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, 2, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend row = (Form_pg_depend) GETSTRUCT(tuple);
		ObjectAddress object;

		/* others depend on the schema without being in it */
		ObjectAddressSet(object, row->classid, row->objid);
		if (row->deptype != DEPENDENCY_NORMAL || !is_objectclass_supported(row->classid) ||
			get_object_namespace(&object) != schema)
			continue;
		if (!may_stay(&object, installing))
			refuse_command(schema, psprintf("It holds %s.", getObjectDescription(&object, false)),
						   "Drop it, or move it to another schema by ALTER ... SET SCHEMA.");
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
}

/* Called by the extension's scripts; the argument: for the first time? */
Datum
concresce_check_ground(PG_FUNCTION_ARGS)
{
	Oid			schema = get_func_namespace(fcinfo->flinfo->fn_oid);
	HeapTuple	tuple;
	Datum		acl;
	bool		isnull;

	LockDatabaseObject(NamespaceRelationId, schema, 0, AccessExclusiveLock);
	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for schema %u", schema);
	check_owner(schema, ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner);
	acl = SysCacheGetAttr(NAMESPACEOID, tuple, Anum_pg_namespace_nspacl, &isnull);
	if (!isnull)
		check_acl(schema, acl);
	ReleaseSysCache(tuple);
	check_objects(schema, PG_GETARG_BOOL(0));
	PG_RETURN_VOID();
}

/*
 * ------------------------------------------------------------ what is to come
 */

/*
 * The schema that a function is in now.  The command that made or moved it has
 * not ended yet.
 */
static Oid
new_schema_of(Oid function)
{
	Relation	relation = table_open(ProcedureRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			schema = InvalidOid;

	ScanKeyInit(&key, Anum_pg_proc_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(function));
	scan = systable_beginscan(relation, ProcedureOidIndexId, true, SnapshotSelf, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		schema = ((Form_pg_proc) GETSTRUCT(tuple))->pronamespace;
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return schema;
}

/*
 * Check the right to create in the schema once more: it was checked when the
 * command began, which may be long ago.
 */
static void
come_into(Oid schema)
{
	char	   *name = get_namespace_name(schema);
	AclResult	aclresult;

	if (name == NULL || strcmp(name, "concresce") != 0)
		return;
	LockDatabaseObject(NamespaceRelationId, schema, 0, AccessShareLock);
	aclresult = ccr_schema_aclcheck(schema, GetUserId(), ACL_CREATE);
	if (aclresult != ACLCHECK_OK)
		aclcheck_error(aclresult, OBJECT_SCHEMA, name);
}

static void
ground_object_access(ObjectAccessType access, Oid class_id, Oid object, int sub_id, void *arg)
{
	if (prev_object_access)
		prev_object_access(access, class_id, object, sub_id, arg);
	if (depth == 0 || class_id != ProcedureRelationId)
		return;
	if (access == OAT_POST_CREATE)
		come_into(new_schema_of(object));
	else if (access == OAT_POST_ALTER && new_schema_of(object) != get_func_namespace(object))
		come_into(new_schema_of(object));
}

static bool
may_bring_functions(Node *statement)
{
	return IsA(statement, CreateFunctionStmt) || IsA(statement, DefineStmt) ||
		IsA(statement, CreateRangeStmt) || IsA(statement, AlterObjectSchemaStmt);
}

static void
ground_run_utility(PlannedStmt *pstmt, const char *query, bool read_only_tree,
				   ProcessUtilityContext context, ParamListInfo params,
				   QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	ProcessUtility_hook_type next = prev_process_utility ? prev_process_utility :
		standard_ProcessUtility;

	next(pstmt, query, read_only_tree, context, params, env, dest, qc);
}

/*
 * The hook is there for no longer than it is needed: while there is one,
 * PostgreSQL computes search paths anew for each call of a function that sets
 * its own.  If a library was loaded meanwhile that has a hook of its own, that
 * one stays, and ours behind it.
 */
static void
end_statement(void)
{
	if (--depth > 0 || chained)
		return;
	if (object_access_hook == ground_object_access)
		object_access_hook = prev_object_access;
	else
		chained = true;
}

static void
begin_statement(void)
{
	if (depth++ > 0 || chained)
		return;
	prev_object_access = object_access_hook;
	object_access_hook = ground_object_access;
}

static void
ground_process_utility(PlannedStmt *pstmt, const char *query, bool read_only_tree,
					   ProcessUtilityContext context, ParamListInfo params,
					   QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	if (!may_bring_functions(pstmt->utilityStmt))
	{
		ground_run_utility(pstmt, query, read_only_tree, context, params, env, dest, qc);
		return;
	}
	begin_statement();
	PG_TRY();
	{
		ground_run_utility(pstmt, query, read_only_tree, context, params, env, dest, qc);
	}
	PG_FINALLY();
	{
		end_statement();
	}
	PG_END_TRY();
}

void
ccr_ground_init(void)
{
	prev_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = ground_process_utility;
}
