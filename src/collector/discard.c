/*-------------------------------------------------------------------------
 *
 * discard.c
 *	  What is said of enqueued items that are given up.
 *
 * The arguments are shown as they would be written in SQL.  They travel in
 * binary; the collector is connected to no database, so it has no catalogs to
 * find output functions in.  But it is only the built-in types that travel so,
 * and their functions are known.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "collector/discard.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "shared/binary.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#define CCR_SHOWN_BYTES		65536	/* of an argument or a text, at most */

/* --------------------------------------------------------------- arguments */

static char *
binary_as_text(Oid type, const char *data, int32 length)
{
	const CcrBinaryType *binary = ccr_binary_type(type);
	StringInfoData buf;
	Datum		value;

	if (binary == NULL)
		return pnstrdup(data, length);
	initStringInfo(&buf);
	appendBinaryStringInfo(&buf, data, length);
	value = OidFunctionCall3(binary->receive, PointerGetDatum(&buf),
							 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	return OidOutputFunctionCall(binary->output, value);
}

/* What cannot be shown is no reason to fail: it would be tried for ever. */
static const char *
legible_argument(Oid type, const char *data, int32 length)
{
	MemoryContext context = CurrentMemoryContext;
	const char *volatile result = "?";

	PG_TRY();
	{
		result = binary_as_text(type, data, length);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		FlushErrorState();
	}
	PG_END_TRY();
	return result;
}

/*
 * The bytes to show of an argument, or of a text that may quote one: what
 * PostgreSQL would show of the parameters of a statement that fails.  0: none.
 */
static int
shown_bytes(void)
{
	int			limit = log_parameter_max_length_on_error;

	return limit < 0 ? CCR_SHOWN_BYTES : Min(limit, CCR_SHOWN_BYTES);
}

/* How much of a text to show, without a part of a character at its end. */
static size_t
clipped_length(const char *s)
{
	size_t		length = strlen(s);
	size_t		limit = shown_bytes();

	if (length <= limit)
		return length;
	while (limit > 0 && ((unsigned char) s[limit] & 0xC0) == 0x80)
		limit--;
	return limit;
}

static const char *
clipped_text(const char *s)
{
	size_t		shown = s ? clipped_length(s) : 0;

	return s == NULL || s[shown] == '\0' ? s :
		psprintf("%.*s...", (int) shown, s);
}

static void
append_quoted(StringInfo buf, const char *s)
{
	size_t		shown = clipped_length(s);

	appendStringInfoChar(buf, '\'');
	for (size_t i = 0; i < shown; i++)
	{
		if (s[i] == '\'')
			appendStringInfoChar(buf, '\'');
		/* a line of the log stays a line */
		appendStringInfoChar(buf, (unsigned char) s[i] < ' ' ? ' ' : s[i]);
	}
	appendStringInfoString(buf, s[shown] ? "...'" : "'");
}

static char *
shown_arguments(const CcrSource *source, const CcrItem *item)
{
	const char *p = item->data;
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < source->nargs; i++)
	{
		int32		length;

		memcpy(&length, p, sizeof(length));
		p += sizeof(length);
		if (i > 0)
			appendStringInfoString(&buf, ", ");
		if (length < 0)
			appendStringInfoString(&buf, "NULL");
		else
		{
			append_quoted(&buf, legible_argument(source->arg_elements[i], p, length));
			p += length;
		}
	}
	return buf.data;
}

/* The arguments, and the error's own detail; or NULL. */
static char *
shown_detail(const CcrSource *source, const CcrItem *item, const char *detail)
{
	StringInfoData buf;

	initStringInfo(&buf);
	if (shown_bytes() > 0)
		appendStringInfo(&buf, "It was called with (%s).", shown_arguments(source, item));
	if (detail)
		appendStringInfo(&buf, "%s%s", buf.len > 0 ? " " : "", detail);
	return buf.len > 0 ? buf.data : NULL;
}

/* An error of which only its texts that are ours may be shown. */
static void
clip_error(CcrError *error)
{
	if (error->author == CCR_TEXTS_OURS)
		return;
	if (shown_bytes() == 0)
	{
		error->message = psprintf("SQLSTATE %s", unpack_sql_state(error->sqlstate));
		error->detail = NULL;
		error->hint = "Set \"log_parameter_max_length_on_error\" to have errors and arguments of such items logged.";
		return;
	}
	error->message = clipped_text(error->message);
	error->detail = clipped_text(error->detail);
	error->hint = clipped_text(error->hint);
}

const char *
ccr_discard_shown(const CcrLastError *error)
{
	CcrError	shown = {.sqlstate = error->sqlstate, .message = error->message,
	.author = error->open ? CCR_TEXTS_OURS : CCR_TEXTS_FOREIGN};

	clip_error(&shown);
	return psprintf("The last one failed with: %s", shown.message);
}

void
ccr_discard_log(const CcrSource *source, const CcrItem *item,
				const CcrError *error)
{
	CcrError	shown = *error;
	char	   *detail;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "concresce discard",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	clip_error(&shown);
	detail = shown_detail(source, item, shown.detail);
	ereport(WARNING,
			(errcode(shown.sqlstate),
			 errmsg("discarded an enqueued item of lookup %s: %s",
					source->function_name, shown.message),
			 detail ? errdetail_internal("%s", detail) : 0,
			 shown.hint ? errhint("%s", shown.hint) : 0,
			 source->server_name[0] ? errcontext("server \"%s\"", source->server_name) : 0));
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
