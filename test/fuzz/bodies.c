/* Bodies of lookups. What is made of one that is accepted must be SQL. */
#include "postgres.h"

#include "lookup/body.h"
#include "fuzz.h"
#include "mb/pg_wchar.h"
#include "parser/parser.h"

static void
check_sql(const char *sql)
{
	volatile bool good = true;
	MemoryContext old = CurrentMemoryContext;

	PG_TRY();
	{
		(void) raw_parser(sql, RAW_PARSE_DEFAULT);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		FlushErrorState();
		good = false;
	}
	PG_END_TRY();
	if (!good)
		fprintf(stderr, "%s\n", sql);
	CCR_FUZZ_MUST(good);
}

static void
read_body(const char *data, Size size)
{
	static const CcrBodyArg args[] = {
		{.name = "a",.sqltype = "bigint"},
		{.name = "b",.sqltype = "public.mood",.as_text = true},
		{.name = NULL,.sqltype = "integer[]",.as_text = true,.flattens = true}
	};
	char	   *text = pnstrdup(data, size);
	CcrBody    *body;

	/* as CREATE FUNCTION has had it before */
	pg_verifymbstr(text, strlen(text), false);
	body = ccr_body_parse(text, "f", lengthof(args), args);
	if (body->form == CCR_FORM_SINGLE)
	{
		check_sql(ccr_body_single_sql(body, false));
		check_sql(ccr_body_single_sql(body, true));
	}
	else
		check_sql(ccr_body_bulk_sql(body));
}

const CcrFuzzTarget ccr_fuzz_bodies = {"bodies", read_body, NULL};
