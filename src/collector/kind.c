/*-------------------------------------------------------------------------
 *
 * kind.c
 *	  Kinds of errors: what an error says about the items of a batch.
 *
 * This is the only place that tells errors apart by what can be done about
 * them.  A function over there may raise any SQLSTATE for any reason, so the
 * kind is a first guess: what others of the same lookup meet decides in the
 * end (see circuit.c).  The table is that of doc/reference.md.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/kind.h"

/* A SQLSTATE, or a whole class of them, which ends in 000. */
static const struct
{
	int			sqlstate;
	bool		whole;
	CcrKind		kind;
}			kinds[] =

{
	/* the state of the far side, or of the way to it */
	{ERRCODE_CONNECTION_EXCEPTION, true, CCR_KIND_TRANSIENT},
	{ERRCODE_TRANSACTION_ROLLBACK, false, CCR_KIND_TRANSIENT},
	{ERRCODE_T_R_SERIALIZATION_FAILURE, false, CCR_KIND_TRANSIENT},
	{ERRCODE_T_R_STATEMENT_COMPLETION_UNKNOWN, false, CCR_KIND_TRANSIENT},
	{ERRCODE_T_R_DEADLOCK_DETECTED, false, CCR_KIND_TRANSIENT},
	{ERRCODE_IDLE_IN_TRANSACTION_SESSION_TIMEOUT, false, CCR_KIND_TRANSIENT},
	{MAKE_SQLSTATE('2', '5', 'P', '0', '4'), false, CCR_KIND_TRANSIENT},	/* transaction_timeout */
	{ERRCODE_INSUFFICIENT_RESOURCES, true, CCR_KIND_TRANSIENT},
	{ERRCODE_LOCK_NOT_AVAILABLE, false, CCR_KIND_TRANSIENT},
	{ERRCODE_OPERATOR_INTERVENTION, true, CCR_KIND_TRANSIENT},
	{ERRCODE_SYSTEM_ERROR, true, CCR_KIND_TRANSIENT},

	/* the query, the rights or the objects that it names */
	{ERRCODE_FEATURE_NOT_SUPPORTED, true, CCR_KIND_LASTING},
	{ERRCODE_READ_ONLY_SQL_TRANSACTION, false, CCR_KIND_LASTING},
	{ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, true, CCR_KIND_LASTING},
	{ERRCODE_INVALID_CATALOG_NAME, true, CCR_KIND_LASTING},
	{ERRCODE_INVALID_SCHEMA_NAME, true, CCR_KIND_LASTING},
	{ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION, true, CCR_KIND_LASTING},

	/* values */
	{ERRCODE_CASE_NOT_FOUND, true, CCR_KIND_DATA},
	{ERRCODE_CARDINALITY_VIOLATION, true, CCR_KIND_DATA},
	{ERRCODE_DATA_EXCEPTION, true, CCR_KIND_DATA},
	{ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION, true, CCR_KIND_DATA},
	{ERRCODE_T_R_INTEGRITY_CONSTRAINT_VIOLATION, false, CCR_KIND_DATA},
	{ERRCODE_EXTERNAL_ROUTINE_EXCEPTION, true, CCR_KIND_DATA},
	{ERRCODE_EXTERNAL_ROUTINE_INVOCATION_EXCEPTION, true, CCR_KIND_DATA},
	{ERRCODE_WITH_CHECK_OPTION_VIOLATION, true, CCR_KIND_DATA},
	{ERRCODE_PLPGSQL_ERROR, true, CCR_KIND_DATA},
};

CcrKind
ccr_kind_of(int sqlstate, bool writes)
{
	/* a primary that has become a standby; else it is we who allow no writes */
	if (sqlstate == ERRCODE_READ_ONLY_SQL_TRANSACTION && writes)
		return CCR_KIND_TRANSIENT;
	for (int i = 0; i < (int) lengthof(kinds); i++)
		if (kinds[i].sqlstate == (kinds[i].whole ? ERRCODE_TO_CATEGORY(sqlstate) : sqlstate))
			return kinds[i].kind;
	return CCR_KIND_OTHER;
}
