/*-------------------------------------------------------------------------
 *
 * restricted.c
 *	  Whether code runs within a security-restricted operation.
 *
 * PostgreSQL runs the code of a table's owner so when somebody else has it
 * run: the expressions of an index that is being built, the query of a
 * materialized view.  A flag says so.
 *
 * In a local executor the flag is always set, as the executor restricts its
 * own jobs; one more operation leaves no trace in it.  So there the
 * statements are counted that enter one.  Functions enter one, too: nobody is
 * told when they end, so what comes after them in the job is restricted.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/objectaccess.h"
#include "catalog/pg_proc.h"
#include "lookup/restricted.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "shared/seat.h"
#include "tcop/cmdtag.h"
#include "tcop/utility.h"
#include "utils/fmgroids.h"

static int	depth = 0;			/* of such statements, in an executor */
static uint64 called = 0;		/* the job that has called such a function */
static object_access_hook_type prev_object_access = NULL;

/* In a local executor: is its own restriction of the job the only one? */
static bool
is_only_a_job(void)
{
	return ccr_seat_inside() && depth == 0 &&
		called != pg_atomic_read_u64(&ccr_my_seat->job);
}

void
ccr_restricted_check(const char *what)
{
	if (!InSecurityRestrictedOperation() || is_only_a_job())
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("cannot %s within security-restricted operation", what),
			 errdetail("Code of a table's or view's owner must not leave anything to the transaction of whoever has it run.")));
}

/*
 * Does the statement build an index, or compute a materialized view or
 * statistics?
 */
static bool
enters_extension(Node *statement)
{
	switch (CreateCommandTag(statement))
	{
		case CMDTAG_ALTER_INDEX:
		case CMDTAG_ALTER_MATERIALIZED_VIEW:
		case CMDTAG_ALTER_TABLE:
		case CMDTAG_ANALYZE:
		case CMDTAG_CLUSTER:
		case CMDTAG_CREATE_INDEX:
		case CMDTAG_CREATE_MATERIALIZED_VIEW:
		case CMDTAG_REFRESH_MATERIALIZED_VIEW:
		case CMDTAG_REINDEX:
		case CMDTAG_VACUUM:
			return true;
		default:
			return false;
	}
}

bool
ccr_restricted_begin(Node *statement)
{
	if (!ccr_seat_inside() || !enters_extension(statement))
		return false;
	depth++;
	return true;
}

void
ccr_restricted_end(void)
{
	depth--;
}

/*
 * Note calls of functions that compute the expressions of an index as the
 * owner of its table.
 */
static void
restricted_object_access(ObjectAccessType access, Oid class_id, Oid object, int sub_id, void *arg)
{
	if (prev_object_access)
		prev_object_access(access, class_id, object, sub_id, arg);
	if (access == OAT_FUNCTION_EXECUTE && class_id == ProcedureRelationId &&
		(object == F_BRIN_SUMMARIZE_NEW_VALUES || object == F_BRIN_SUMMARIZE_RANGE))
		called = pg_atomic_read_u64(&ccr_my_seat->job);
}

void
ccr_restricted_init(void)
{
	prev_object_access = object_access_hook;
	object_access_hook = restricted_object_access;
}
