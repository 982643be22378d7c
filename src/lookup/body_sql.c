/*-------------------------------------------------------------------------
 *
 * body_sql.c
 *	  The bulk query of a lookup, put together from the pieces of its body.
 *
 * Every name that comes from a definition is quoted.  A body may be any
 * statement, so it stands where nothing of ours is in its scope but the
 * relation of the items, which is called like the lookup.
 *
 * What is ours must mean the same along every search_path, or else whoever
 * may create objects in one of its schemas has them run by the foreign user.
 * So functions, operators and types are qualified, and nothing is said that
 * the parser looks up an operator for by its bare name: IS [NOT] DISTINCT
 * FROM, IN, BETWEEN, NULLIF, CASE x WHEN, USING.  Columns are named by their
 * table, since t.c is a function call where t has no column c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "lookup/body.h"


/* The array parameter of an argument. */
static void
append_array(StringInfo sql, const CcrBody *body, int arg)
{
	const CcrBodyArg *a = &body->args[arg];

	appendStringInfo(sql, "$%d::", arg + 1);
	if (a->as_text || a->flattens)
		appendStringInfoString(sql, "pg_catalog.text[]");
	if (a->as_text && !a->flattens)
		appendStringInfoString(sql, "::");
	if (!a->flattens)
		appendStringInfo(sql, "%s[]", a->sqltype);
}

/*
 * Several arguments stand in ROWS FROM: unnest(a, b) cannot be qualified.
 *
 * A parameter within a sub-select is one that the planner does not look into.
 * Else it would find the plan for the very array better than the generic one,
 * time and again, and planning costs more than a small batch.
 */
static void
append_unnest(StringInfo sql, const CcrBody *body)
{
	if (body->nargs > 1)
		appendStringInfoString(sql, "ROWS FROM (");
	for (int i = 0; i < body->nargs; i++)
	{
		appendStringInfo(sql, "%spg_catalog.unnest((SELECT ", i > 0 ? ", " : "");
		append_array(sql, body, i);
		appendStringInfoString(sql, "))");
	}
	if (body->nargs > 1)
		appendStringInfoChar(sql, ')');
	appendStringInfoString(sql, " WITH ORDINALITY");
}

/*
 * The pieces [from, to).  What comes after them has to start with a newline,
 * as they may end in a comment.
 */
static void
append_pieces(StringInfo sql, const CcrBody *body, int from, int to)
{
	for (int i = from; i < to; i++)
	{
		const CcrBodyPiece *piece = &body->pieces[i];

		if (piece->text != NULL)
			appendStringInfoString(sql, piece->text);
		else if (body->form == CCR_FORM_SINGLE)
			appendStringInfo(sql, "\"$%d\"", piece->arg + 1);
		else
		{
			appendStringInfoChar(sql, '(');
			append_array(sql, body, piece->arg);
			appendStringInfoChar(sql, ')');
		}
	}
}

/* A name for the ordinality column that no argument has. */
static const char *
ordinality_name(const CcrBody *body)
{
	char	   *name = pstrdup("ordinality");
	int			i = 0;

	while (i < body->nargs)
	{
		if (body->args[i].name != NULL &&
			strcmp(body->args[i].name, name) == 0)
		{
			name = psprintf("%s_", name);
			i = 0;
		}
		else
			i++;
	}
	return name;
}

static bool
uses_number_of(const CcrBody *body, int arg)
{
	for (int i = 0; i < body->npieces; i++)
	{
		if (body->pieces[i].text == NULL && body->pieces[i].arg == arg)
			return true;
	}
	return false;
}

/*
 * The name by which the single form knows an argument: $n if it has no other
 * one.
 */
static const char *
argument_name(const CcrBody *body, int arg)
{
	if (body->args[arg].name != NULL)
		return quote_identifier(body->args[arg].name);
	return psprintf("\"$%d\"", arg + 1);
}

/*
 * A relation of one row per item, called like the lookup, with the arguments
 * as columns.  It takes a sub-select if some value has to be cast from text,
 * or if an argument needs both names: "lookup.argument" in place of $n would
 * mean something else to a body that reads a table called like the lookup.
 */
static void
append_body_items(StringInfo sql, const CcrBody *body, const char *ordinality)
{
	const char *function = quote_identifier(body->function);
	bool		plain = true;

	if (body->nargs == 0)
	{
		appendStringInfo(sql, "pg_catalog.generate_series(1, (SELECT $1::int)) AS %s(%s)",
						 function, ordinality);
		return;
	}

	for (int i = 0; i < body->nargs; i++)
	{
		if (body->args[i].as_text || body->args[i].flattens ||
			(body->args[i].name != NULL && uses_number_of(body, i)))
			plain = false;
	}

	if (plain)
	{
		append_unnest(sql, body);
		appendStringInfo(sql, " AS %s(", function);
		for (int i = 0; i < body->nargs; i++)
			appendStringInfo(sql, "%s, ", argument_name(body, i));
		appendStringInfo(sql, "%s)", ordinality);
		return;
	}

	appendStringInfoString(sql, "(SELECT ");
	for (int i = 0; i < body->nargs; i++)
	{
		const CcrBodyArg *arg = &body->args[i];
		char	   *value = psprintf("u.a%d", i + 1);

		if (arg->flattens)
			value = psprintf("%s::%s", value, arg->sqltype);
		appendStringInfo(sql, "%s AS %s, ", value, argument_name(body, i));
		if (arg->name != NULL && uses_number_of(body, i))
			appendStringInfo(sql, "%s AS \"$%d\", ", value, i + 1);
	}
	appendStringInfo(sql, "u.%s FROM ", ordinality);
	append_unnest(sql, body);
	appendStringInfoString(sql, " AS u(");
	for (int i = 0; i < body->nargs; i++)
		appendStringInfo(sql, "a%d, ", i + 1);
	appendStringInfo(sql, "%s)) AS %s", ordinality, function);
}

/*
 * For a volatile body, an OFFSET that is always 0 makes the lateral subquery
 * depend on the item's number.  Without that the far side could reuse its
 * rows (Memoize, Materialize) for items whose arguments are equal.  What
 * stays shared are parts that depend on no argument and whose result the
 * executor keeps over rescans: sub-selects, functions in FROM, WITH queries.
 */
char *
ccr_body_single_sql(const CcrBody *body, bool is_volatile)
{
	StringInfoData sql;
	const char *function = quote_identifier(body->function);
	const char *ordinality = ordinality_name(body);
	const char *alias = strcmp(body->function, "q") == 0 ? "r" : "q";

	Assert(body->form == CCR_FORM_SINGLE);
	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s.%s%s, %s.*\nFROM ", function, ordinality,
					 body->nargs == 0 ? "::bigint" : "", alias);
	append_body_items(&sql, body, ordinality);
	appendStringInfoString(&sql, "\n     CROSS JOIN LATERAL (");
	if (is_volatile)
		appendStringInfoString(&sql, "SELECT * FROM (");
	append_pieces(&sql, body, 0, body->npieces);
	if (is_volatile)
		appendStringInfo(&sql, "\n  ) %s OFFSET %s.%s OPERATOR(pg_catalog.-) %s.%s", alias,
						 function, ordinality, function, ordinality);
	appendStringInfo(&sql, "\n  ) %s", alias);
	return sql.data;
}

char *
ccr_body_bulk_sql(const CcrBody *body)
{
	StringInfoData sql;

	Assert(body->form == CCR_FORM_BULK);
	initStringInfo(&sql);
	append_pieces(&sql, body, 0, body->npieces);
	return sql.data;
}

/*
 * The body as the query of ccr_q.  PostgreSQL wants data-modifying WITH
 * queries at the top level, so those of the body become ours; where the end
 * of its WITH clause could not be found, the far side's error speaks.
 */
static void
append_body_cte(StringInfo sql, const CcrBody *body, int nresults)
{
	if (body->main_piece > 0)
	{
		append_pieces(sql, body, 0, body->main_piece);
		appendStringInfoString(sql, "\n, ");
	}
	else
		appendStringInfoString(sql, "WITH ");

	appendStringInfoString(sql, "ccr_q(");
	for (int i = 0; i < body->nargs + nresults; i++)
	{
		if (i > 0)
			appendStringInfoString(sql, ", ");
		if (i < body->nargs)
			appendStringInfo(sql, "k%d", i + 1);
		else
			appendStringInfo(sql, "r%d", i + 1 - body->nargs);
	}
	appendStringInfoString(sql, ") AS (");
	append_pieces(sql, body, body->main_piece, body->npieces);
	appendStringInfoString(sql, "\n)");
}

char *
ccr_body_keyed_sql(const CcrBody *body, int nresults)
{
	StringInfoData sql;

	Assert(body->form == CCR_FORM_BULK && body->nargs > 0);
	initStringInfo(&sql);
	append_body_cte(&sql, body, nresults);
	return sql.data;
}

/* An item's value of an argument. */
static const char *
item_value(const CcrBody *body, int arg)
{
	const CcrBodyArg *a = &body->args[arg];

	return a->flattens ? psprintf("k.k%d::%s", arg + 1, a->sqltype) :
		psprintf("k.k%d", arg + 1);
}

/*
 * A row's key is equal to an item's argument.
 *
 * Operators that are not in pg_catalog are left unnamed: arrays are compared
 * by the default equality of their elements, whatever its name, and can be
 * hashed as the elements can.  In them, NULL equals NULL.
 */
static void
append_equal(StringInfo sql, const CcrBody *body, int arg, const char *rows,
			 bool null_keys)
{
	const CcrBodyArg *a = &body->args[arg];
	const char *value = item_value(body, arg);
	int			i = arg + 1;

	if (a->equality == CCR_EQUALITY_FOREIGN)
		appendStringInfo(sql, "ARRAY[%s.k%d::%s] OPERATOR(pg_catalog.=) ARRAY[%s]",
						 rows, i, a->sqltype, value);
	else if (!null_keys)
		appendStringInfo(sql, "%s.k%d OPERATOR(pg_catalog.=) %s", rows, i, value);
	else if (a->equality == CCR_EQUALITY_RECORD)
		/* IS NULL would be true of a row of NULLs */
		appendStringInfo(sql, "(%s.k%d OPERATOR(pg_catalog.=) %s OR pg_catalog.num_nulls(%s.k%d, k.k%d) OPERATOR(pg_catalog.=) 2)",
						 rows, i, value, rows, i, i);
	else
		appendStringInfo(sql, "(%s.k%d OPERATOR(pg_catalog.=) %s OR %s.k%d IS NULL AND k.k%d IS NULL)",
						 rows, i, value, rows, i, i);
}

/*
 * A row's key, which is equal to an item's argument, is so to no other item
 * that may be in the batch.  NULL: both are.
 */
static void
append_identical(StringInfo sql, const CcrBody *body, int arg, const char *rows)
{
	const CcrBodyArg *a = &body->args[arg];
	const char *value = item_value(body, arg);
	int			i = arg + 1;

	if (a->equality == CCR_EQUALITY_COLLATED)
		appendStringInfo(sql, "(%s.k%d::%s COLLATE pg_catalog.\"C\") OPERATOR(pg_catalog.=) %s",
						 rows, i, a->sqltype, value);
	else if (a->equality == CCR_EQUALITY_RECORD)
		appendStringInfo(sql, "pg_catalog.record_image_eq(%s.k%d, %s)",
						 rows, i, value);
	else
		appendStringInfo(sql, "pg_catalog.record_image_eq(ROW(%s.k%d::%s), ROW(%s))",
						 rows, i, a->sqltype, value);
}

static bool
is_loose(const CcrBodyArg *arg)
{
	return arg->equality != CCR_EQUALITY_EXACT;
}

bool
ccr_body_may_be_loose(const CcrBody *body)
{
	for (int i = 0; i < body->nargs; i++)
		if (is_loose(&body->args[i]))
			return true;
	return false;
}

static void
append_ordinality(StringInfo sql, const CcrBody *body, const char *rows)
{
	const char *separator = "CASE WHEN ";

	for (int i = 0; i < body->nargs; i++)
	{
		if (!is_loose(&body->args[i]))
			continue;
		appendStringInfoString(sql, separator);
		appendStringInfoChar(sql, '(');
		append_identical(sql, body, i, rows);
		appendStringInfoString(sql, ") IS NOT FALSE");
		separator = " AND ";
	}
	appendStringInfoString(sql, " THEN k.ordinality ELSE OPERATOR(pg_catalog.-) k.ordinality END");
}

char *
ccr_body_match_sql(const CcrBody *body, int nresults, bool ordered,
				   bool null_keys, bool numbered)
{
	StringInfoData sql;
	const char *rows = ordered || numbered ? "ccr_n" : "ccr_q";

	initStringInfo(&sql);
	if (ordered || numbered)
		appendStringInfoString(&sql, ", ccr_n AS (SELECT *, pg_catalog.row_number() OVER () AS n FROM ccr_q)");

	appendStringInfoString(&sql, "\nSELECT ");
	if (numbered)
		appendStringInfoString(&sql, "k.ordinality, ccr_n.n");
	else if (ccr_body_may_be_loose(body))
		append_ordinality(&sql, body, rows);
	else
		appendStringInfoString(&sql, "k.ordinality");
	for (int i = 0; i < nresults; i++)
		appendStringInfo(&sql, ", %s.r%d", rows, i + 1);
	appendStringInfoString(&sql, "\nFROM ");
	append_unnest(&sql, body);
	appendStringInfoString(&sql, " AS k(");
	for (int i = 0; i < body->nargs; i++)
		appendStringInfo(&sql, "k%d, ", i + 1);
	appendStringInfo(&sql, "ordinality)\n     JOIN %s ON ", rows);
	for (int i = 0; i < body->nargs; i++)
	{
		if (i > 0)
			appendStringInfoString(&sql, " AND ");
		append_equal(&sql, body, i, rows, null_keys);
	}
	if (ordered)
		appendStringInfoString(&sql, "\nORDER BY k.ordinality, ccr_n.n");
	return sql.data;
}
