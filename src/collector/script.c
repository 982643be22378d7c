/*-------------------------------------------------------------------------
 *
 * script.c
 *	  What is sent over a connection in one pipeline, step by step.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/script.h"
#include "utils/memutils.h"

bool
ccr_script_start(CcrScript *script, PGconn *conn)
{
	script->n = script->at = 0;
	return PQenterPipelineMode(conn);
}

static bool
add_step(CcrScript *script, CcrStep step, bool sent)
{
	Assert(script->n < CCR_SCRIPT_STEPS);
	script->steps[script->n++] = step;
	return sent;
}

bool
ccr_script_sync(CcrScript *script, PGconn *conn)
{
	return add_step(script, CCR_STEP_SYNC, PQpipelineSync(conn));
}

bool
ccr_script_say(CcrScript *script, PGconn *conn, CcrStep step, const char *sql)
{
	return add_step(script, step,
					PQsendQueryParams(conn, sql, 0, NULL, NULL, NULL, NULL, 0));
}

bool
ccr_script_prepare(CcrScript *script, PGconn *conn, CcrStep step,
				   const char *statement, const char *sql,
				   const CcrParams *params)
{
	return add_step(script, step,
					PQsendPrepare(conn, statement, sql, params ? params->n : 0,
								  params ? params->types : NULL));
}

bool
ccr_script_describe(CcrScript *script, PGconn *conn, const char *statement)
{
	return add_step(script, CCR_STEP_DESCRIBE, PQsendDescribePrepared(conn, statement));
}

/* n times the format "binary". */
static const int *
binary_formats(int n)
{
	static int *formats = NULL;
	static int	nformats = 0;

	if (n > nformats)
	{
		nformats = Max(n, FUNC_MAX_ARGS);
		if (formats == NULL)
			formats = MemoryContextAlloc(TopMemoryContext, nformats * sizeof(int));
		else
			formats = repalloc(formats, nformats * sizeof(int));
		for (int i = 0; i < nformats; i++)
			formats[i] = 1;
	}
	return formats;
}

typedef enum Phrase
{
	PHRASE_BEGIN_READ_ONLY,
	PHRASE_BEGIN,
	PHRASE_ROLLBACK,
	PHRASE_RESET_ROLE,
	PHRASE_RESET_ALL,
	PHRASE_RESET				/* differs between connections */
} Phrase;

/*
 * COMMIT is none of them: a body that has replaced its statement must not be
 * repeated for that.
 */
static const struct
{
	CcrStep		step;
	const char *name;			/* behind a prefix */
	const char *sql;
}			phrases[] = {
	[PHRASE_BEGIN_READ_ONLY] = {CCR_STEP_BEGIN, "read", "BEGIN READ ONLY"},
	[PHRASE_BEGIN] = {CCR_STEP_BEGIN, "begin", "BEGIN"},
	[PHRASE_ROLLBACK] = {CCR_STEP_ROLLBACK, "rollback", "ROLLBACK"},
	[PHRASE_RESET_ROLE] = {CCR_STEP_RESET, "role", "RESET ROLE"},
	[PHRASE_RESET_ALL] = {CCR_STEP_RESET, "all", "RESET ALL"},
	[PHRASE_RESET] = {CCR_STEP_RESET, "reset", NULL}
};

bool
ccr_script_prepare_frame(CcrScript *script, PGconn *conn, const char *prefix,
						 const char *reset)
{
	char		name[NAMEDATALEN];
	bool		ok = true;

	for (size_t i = 0; i < lengthof(phrases) && ok; i++)
	{
		snprintf(name, NAMEDATALEN, "%s%s", prefix, phrases[i].name);
		ok = ccr_script_prepare(script, conn, i == lengthof(phrases) - 1 ?
								CCR_STEP_PREPARE_FRAME_END : CCR_STEP_PREPARE_FRAME,
								name, phrases[i].sql ? phrases[i].sql : reset, NULL);
	}
	return ok;
}

static bool
say_phrase(CcrScript *script, PGconn *conn, Phrase phrase, const char *prefix,
		   const char *reset)
{
	char		name[NAMEDATALEN];

	if (prefix[0] == '\0')
		return ccr_script_say(script, conn, phrases[phrase].step,
							  phrases[phrase].sql ? phrases[phrase].sql : reset);
	snprintf(name, NAMEDATALEN, "%s%s", prefix, phrases[phrase].name);
	return add_step(script, phrases[phrase].step,
					PQsendQueryPrepared(conn, name, 0, NULL, NULL, NULL, 0));
}

static bool
say_body(CcrScript *script, PGconn *conn, const CcrQuery *query)
{
	const CcrParams *params = query->params;
	const int  *formats = binary_formats(params->n);

	return add_step(script, CCR_STEP_BODY, query->statement[0] ?
					PQsendQueryPrepared(conn, query->statement, params->n, params->values,
										params->lengths, formats, query->binary) :
					PQsendQueryParams(conn, query->sql, params->n, params->types, params->values,
									  params->lengths, formats, query->binary));
}

static bool
say_settings(CcrScript *script, PGconn *conn, const CcrQuery *query)
{
	if (query->settings == NULL)
		return true;
	if (query->settings_statement[0] == '\0')
		return ccr_script_say(script, conn, CCR_STEP_SETTINGS, query->settings);
	return add_step(script, CCR_STEP_SETTINGS,
					PQsendQueryPrepared(conn, query->settings_statement, 0, NULL, NULL, NULL, 0));
}

/*
 * RESET ALL leaves the role alone.  What locks outlive their transactions are
 * given up by the function in the last statement.
 */
static bool
say_reset(CcrScript *script, PGconn *conn, const char *prefix, const char *reset)
{
	return say_phrase(script, conn, PHRASE_RESET_ROLE, prefix, reset) &&
		say_phrase(script, conn, PHRASE_RESET_ALL, prefix, reset) &&
		say_phrase(script, conn, PHRASE_RESET, prefix, reset);
}

/*
 * A pooler's session is somebody else's by the time that it could be cleaned.
 * Not so prepared statements: they may be the pooler's own.
 */
static bool
say_unlock(CcrScript *script, PGconn *conn)
{
	return ccr_script_say(script, conn, CCR_STEP_RESET,
						  "SELECT pg_catalog.pg_advisory_unlock_all()");
}

static bool
say_clean(CcrScript *script, PGconn *conn)
{
	return ccr_script_say(script, conn, CCR_STEP_RESET, "UNLISTEN *") &&
		ccr_script_say(script, conn, CCR_STEP_RESET, "CLOSE ALL") &&
		ccr_script_say(script, conn, CCR_STEP_RESET, "DISCARD TEMP");
}

/*
 * A statement_timeout that a body leaves would be in force for the reset, and may
 * cancel it: then a pooler hands the session on as it is.  So it is taken back
 * within the transaction, which is committed with that or not at all.
 */
static bool
say_no_timeout(CcrScript *script, PGconn *conn)
{
	return ccr_script_say(script, conn, CCR_STEP_UNTIMED, "RESET statement_timeout");
}

bool
ccr_script_execute(CcrScript *script, PGconn *conn, const CcrQuery *query,
				   bool pooled, const char *reset)
{
	bool		read_only = query->source->resend;

	if (!say_phrase(script, conn, read_only ? PHRASE_BEGIN_READ_ONLY : PHRASE_BEGIN,
					query->prefix, reset) ||
		!say_settings(script, conn, query) ||
		!say_body(script, conn, query))
		return false;
	if (read_only)
		return say_phrase(script, conn, PHRASE_ROLLBACK, query->prefix, reset) &&
			(!pooled || say_unlock(script, conn)) && ccr_script_sync(script, conn);
	return (!pooled || say_no_timeout(script, conn)) &&
		ccr_script_say(script, conn, CCR_STEP_COMMIT, "COMMIT") &&
		(!pooled || say_clean(script, conn)) &&
		say_reset(script, conn, query->prefix, reset) && ccr_script_sync(script, conn);
}

bool
ccr_script_roll_back(CcrScript *script, PGconn *conn, const char *reset)
{
	return say_phrase(script, conn, PHRASE_ROLLBACK, "", reset) &&
		say_reset(script, conn, "", reset) && ccr_script_sync(script, conn);
}

static bool
has_tag(const PGresult *result, const char *tag)
{
	return PQresultStatus(result) == PGRES_COMMAND_OK &&
		strcmp(PQcmdStatus(unconstify(PGresult *, result)), tag) == 0;
}

bool
ccr_script_awaits_body(const CcrScript *script)
{
	for (int i = script->at + 1; i < script->n; i++)
		if (script->steps[i] == CCR_STEP_BODY)
			return true;
	return false;
}

bool
ccr_step_fits(CcrStep step, const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	switch (step)
	{
		case CCR_STEP_SYNC:
			return status == PGRES_PIPELINE_SYNC;
		case CCR_STEP_PROBE:
			return status == PGRES_TUPLES_OK && PQntuples(result) == 1 &&
				PQnfields(result) == 1;
		case CCR_STEP_DISCARD:
		case CCR_STEP_UNTIMED:
		case CCR_STEP_PREPARE_FRAME:
		case CCR_STEP_PREPARE_FRAME_END:
		case CCR_STEP_PREPARE_SETTINGS:
		case CCR_STEP_PREPARE:
		case CCR_STEP_DESCRIBE:
			return status == PGRES_COMMAND_OK;
		case CCR_STEP_BEGIN:
			return has_tag(result, "BEGIN");
		case CCR_STEP_BODY:
			/* without a tag, it is a second description that ended the rows */
			return status == PGRES_SINGLE_TUPLE || status == CCR_TUPLES_CHUNK ||
				((status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) &&
				 PQcmdStatus(unconstify(PGresult *, result))[0] != '\0');
		case CCR_STEP_ROLLBACK:
			return has_tag(result, "ROLLBACK");
		case CCR_STEP_COMMIT:
			return has_tag(result, "COMMIT");
		case CCR_STEP_SETTINGS:
		case CCR_STEP_RESET:
			return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
	}
	return false;
}
