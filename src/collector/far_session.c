/*-------------------------------------------------------------------------
 *
 * far_session.c
 *	  The session on the far side, which is left as it was found.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/far_error.h"
#include "collector/far_session.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

/*
 * Settings that the server reports, and that decide how values are read or who
 * reads them: if one is not as it was found, the reset has not done its work.
 */
static const char *const watched_settings[CCR_WATCHED] = {
	"client_encoding", "DateStyle", "IntervalStyle",
	"standard_conforming_strings", "session_authorization"
};

CcrError *
ccr_far_session_unfit(PGconn *conn, bool password_required, MemoryContext context)
{
	const char *strings = PQparameterStatus(conn, "standard_conforming_strings");
	const char *intervals = PQparameterStatus(conn, "IntervalStyle");
	CcrError   *error;

	if (password_required && !PQconnectionUsedPassword(conn))
	{
		error = ccr_far_error(context, ERRCODE_S_R_E_PROHIBITED_SQL_STATEMENT_ATTEMPTED,
							  "password is required",
							  "Non-superusers may not use a server that does not ask for a password.");
		error->hint = "Change the foreign server's authentication method, or set password_required 'false' in the user mapping.";
		return error;
	}

	/* a body must mean the same there as where it was parsed */
	if (strings && strcmp(strings, "off") == 0)
	{
		error = ccr_far_error(context, ERRCODE_FEATURE_NOT_SUPPORTED,
							  "foreign server has standard_conforming_strings off", NULL);
		error->hint = "Set it on for the foreign user: ALTER ROLE ... SET standard_conforming_strings = on.";
		return error;
	}

	/* signs of what comes as text would be read another way */
	if (intervals && strcmp(intervals, "sql_standard") == 0)
	{
		error = ccr_far_error(context, ERRCODE_FEATURE_NOT_SUPPORTED,
							  "foreign server has IntervalStyle sql_standard", NULL);
		error->hint = "Change it for the foreign user: ALTER ROLE ... SET IntervalStyle = postgres.";
		return error;
	}
	return NULL;
}

/* A function sets them, so that this is the same statement as the one before. */
void
ccr_far_session_remember(CcrFarSession *session, PGconn *conn)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "SELECT pg_catalog.pg_advisory_unlock_all()");
	for (int i = 0; i < CCR_WATCHED; i++)
	{
		const char *value = PQparameterStatus(conn, watched_settings[i]);

		session->found[i] = value ? pstrdup(value) : NULL;

		/* a pooler has set these two, and RESET ALL does not know of it */
		if (value && i < 2)
			appendStringInfo(&buf, ", pg_catalog.set_config(%s, %s, false)",
							 quote_literal_cstr(watched_settings[i]),
							 quote_literal_cstr(value));
	}
	session->reset = buf.data;
}

bool
ccr_far_session_is_as_found(const CcrFarSession *session, PGconn *conn)
{
	if (PQtransactionStatus(conn) != PQTRANS_IDLE)
		return false;
	for (int i = 0; i < CCR_WATCHED; i++)
	{
		const char *value = PQparameterStatus(conn, watched_settings[i]);

		if (session->found[i] && value && strcmp(session->found[i], value) != 0)
			return false;
	}
	return true;
}
