/*-------------------------------------------------------------------------
 *
 * far_error.c
 *	  Errors of a connection to a foreign server.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/far_error.h"

/*
 * NULL, or a copy without the newline at its end; of bounded length, since
 * every caller of a batch gets one.
 */
static const char *
bounded_copy(const char *s)
{
	size_t		length;

	if (s == NULL || s[0] == '\0')
		return NULL;
	length = strlen(s);
	if (length <= CCR_ERROR_LENGTH)
		return pchomp(s);

	/* not within a character of UTF-8 */
	length = CCR_ERROR_LENGTH;
	while (length > 0 && (s[length] & 0xC0) == 0x80)
		length--;
	return pnstrdup(s, length);
}

static int
packed_sqlstate(const char *s)
{
	if (s == NULL || strlen(s) != 5 || strncmp(s, "00", 2) == 0)
		return ERRCODE_CONNECTION_FAILURE;
	for (int i = 0; i < 5; i++)
		if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'A' && s[i] <= 'Z')))
			return ERRCODE_PROTOCOL_VIOLATION;
	return MAKE_SQLSTATE(s[0], s[1], s[2], s[3], s[4]);
}

CcrError *
ccr_far_error(MemoryContext context, int sqlstate, const char *message,
			  const char *detail)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	CcrError   *error = palloc0(sizeof(CcrError));

	error->sqlstate = sqlstate;
	error->message = bounded_copy(message);
	if (error->message == NULL)
		error->message = "foreign server reported no message";
	error->detail = bounded_copy(detail);
	error->author = CCR_TEXTS_OURS;
	MemoryContextSwitchTo(old);
	return error;
}

/*
 * Was what is prepared refused, before anything of it was executed?  A body may
 * raise the same SQLSTATEs, so it is the routine that tells.
 */
static bool
is_unexecuted(const PGresult *result)
{
	static const char *const routines[] = {
		"FetchPreparedStatement", "StorePreparedStatement", "RevalidateCachedQuery"
	};
	const char *routine = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);

	if (routine == NULL || PQresultErrorField(result, PG_DIAG_CONTEXT) != NULL)
		return false;
	for (size_t i = 0; i < lengthof(routines); i++)
		if (strcmp(routine, routines[i]) == 0)
			return true;
	return false;
}

CcrError *
ccr_far_error_of(MemoryContext context, const PGresult *result)
{
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	CcrError   *error;
	MemoryContext old = MemoryContextSwitchTo(context);

	if (message == NULL)
		message = bounded_copy(PQresultErrorMessage(result));
	error = ccr_far_error(context,
						  packed_sqlstate(PQresultErrorField(result, PG_DIAG_SQLSTATE)),
						  message,
						  PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL));
	error->hint = bounded_copy(PQresultErrorField(result, PG_DIAG_MESSAGE_HINT));
	error->context = bounded_copy(PQresultErrorField(result, PG_DIAG_CONTEXT));
	error->author = CCR_TEXTS_FOREIGN;
	error->unexecuted = is_unexecuted(result);
	MemoryContextSwitchTo(old);
	return error;
}

/*
 * libpq gives no SQLSTATE for what goes wrong while connecting, but the
 * verbose form of the server's message holds it: "FATAL:  28P01: password
 * ...", with a line about the place in the source after it.  Cut both out.
 */
static int
cut_sqlstate(char *message)
{
	int			sqlstate = 0;
	char	   *p;

	for (p = strstr(message, ":  "); p; p = strstr(p + 1, ":  "))
	{
		char	   *code = p + 3;

		if (strspn(code, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 &&
			code[5] == ':' && code[6] == ' ')
		{
			code[5] = '\0';
			sqlstate = packed_sqlstate(code);
			memmove(code, code + 7, strlen(code + 7) + 1);
			break;
		}
	}
	if (sqlstate == 0)
		return 0;

	p = strrchr(message, '\n');
	if (p && p[1] == '\0')
	{
		*p = '\0';
		p = strrchr(message, '\n');
	}
	if (p && strstr(p, ".c:") != NULL)
		*p = '\0';
	return sqlstate;
}

CcrError *
ccr_far_error_connecting(MemoryContext context, const PGconn *conn, const char *server)
{
	CcrError   *error;
	char	   *detail;
	char	   *message;
	int			sqlstate;

	detail = MemoryContextStrdup(context,
								 conn ? PQerrorMessage(conn) :
								 "out of memory");
	sqlstate = cut_sqlstate(detail);
	if (ERRCODE_TO_CATEGORY(sqlstate) != ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION)
		sqlstate = strstr(detail, "no password supplied") ?
			ERRCODE_INVALID_PASSWORD :
			ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION;
	message = psprintf("could not connect to server \"%s\"", server);
	error = ccr_far_error(context, sqlstate, message, detail);
	pfree(message);
	return error;
}

CcrError *
ccr_far_error_lost(MemoryContext context, const PGconn *conn, const char *server,
				   const CcrError *first)
{
	const char *detail = conn ? PQerrorMessage(conn) : NULL;
	char	   *message;
	CcrError   *error;

	if (first)
		detail = first->message;
	message = psprintf("connection to server \"%s\" was lost", server);
	error = ccr_far_error(context, ERRCODE_CONNECTION_FAILURE, message, detail);
	if (first)
		error->author = CCR_TEXTS_FOREIGN;
	pfree(message);
	return error;
}

CcrError *
ccr_far_error_too_much(MemoryContext context, const char *server, int64 bytes)
{
	char	   *message = psprintf("server \"%s\" sent too much", server);
	char	   *detail = psprintf("%lld bytes of it are no rows, or a part of one.",
								  (long long) bytes);
	CcrError   *error = ccr_far_error(context, ERRCODE_PROGRAM_LIMIT_EXCEEDED, message, detail);

	error->hint = "A row cannot be larger than \"concresce.shared_memory\", nor all that is held at a time than a fourth of \"concresce.collector_memory\".";
	pfree(message);
	pfree(detail);
	return error;
}
