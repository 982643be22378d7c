/*-------------------------------------------------------------------------
 *
 * body.c
 *	  From the text of a lookup's body to a plain struct.
 *
 * The grammar decides whether a body is acceptable: it must parse, by itself,
 * as exactly one statement.  That is also what makes it safe to put between
 * brackets: a text that closes our bracket early does not parse alone.
 *
 * What stands for an argument is then found with the core scanner, and cut
 * out of the text.  Everything else reaches the far side as it was written,
 * so a body may use syntax of its own tables, operators and functions that
 * this server knows nothing about, as long as it is PostgreSQL's grammar.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/keywords.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "parser/scanner.h"
#include "parser/scansup.h"
#include "utils/builtins.h"

#include "lookup/body.h"
#include "shared/compat.h"

/*
 * Kinds of token, beside the ASCII codes of single characters.  They are told
 * by the source text: bison's numbers differ between versions.
 */
enum
{
	TOKEN_END = 0,
	TOKEN_NAME = 256,			/* identifier or keyword, not quoted */
	TOKEN_QUOTED_NAME,
	TOKEN_NUMBER,				/* $n */
	TOKEN_OTHER
};

typedef struct Token
{
	int			kind;
	int			location;		/* byte offset in the text */
	const char *name;			/* of a name: folded, without quotes */
} Token;

/* What the functions that cut up one body share. */
typedef struct BodyScan
{
	const char *text;
	int			start;			/* the statement: [start, end) of text */
	int			end;
	Token	   *tokens;			/* the statement's, and a TOKEN_END */
	int			main_location;	/* see find_main_statement(), or -1 */
	CcrBody    *body;
} BodyScan;


static int
body_errposition(const char *text, int location)
{
	return errposition(pg_mbstrlen_with_len(text, location) + 1);
}

/*
 * An identifier or keyword starts here, and not one of the strings that have
 * a letter before the quote.
 */
static bool
starts_name(const char *p)
{
	unsigned char c = (unsigned char) p[0];

	if (c != '_' && !IS_HIGHBIT_SET(c) &&
		!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z'))
		return false;
	if (p[1] == '\'' && strchr("bBeEnNxX", c) != NULL)
		return false;
	if ((c == 'u' || c == 'U') && p[1] == '&' &&
		(p[2] == '\'' || p[2] == '"'))
		return false;
	return true;
}

/* All tokens of the text, with a TOKEN_END after them. */
static Token *
scan_tokens(const char *text)
{
	core_yyscan_t scanner;
	core_yy_extra_type extra;
	core_YYSTYPE value;
	YYLTYPE		location;
	int			code;
	int			ntokens = 0;
	int			size = 64;
	Token	   *tokens = palloc(size * sizeof(Token));

	scanner = scanner_init(text, &extra, &ScanKeywords, ScanKeywordTokens);

	/* raw_parser() has given these warnings */
	CCR_NO_ESCAPE_WARNING(extra);

	while ((code = core_yylex(&value, &location, scanner)) != 0)
	{
		const char *p = text + location;
		Token	   *token;

		/* keep room for the TOKEN_END */
		if (ntokens + 1 >= size)
		{
			size *= 2;
			tokens = repalloc(tokens, size * sizeof(Token));
		}
		token = &tokens[ntokens++];
		token->location = location;
		token->name = NULL;

		if (*p == '"' || starts_name(p))
		{
			token->kind = (*p == '"') ? TOKEN_QUOTED_NAME : TOKEN_NAME;
			/* an identifier's str and a keyword's spelling share the union */
			token->name = value.str;
		}
		else if (p[0] == '$' && p[1] >= '0' && p[1] <= '9')
			token->kind = TOKEN_NUMBER;
		else
			token->kind = (code < TOKEN_NAME) ? code : TOKEN_OTHER;
	}
	scanner_finish(scanner);

	tokens[ntokens].kind = TOKEN_END;
	tokens[ntokens].location = strlen(text);
	tokens[ntokens].name = NULL;
	return tokens;
}

static bool
is_name(const Token *token)
{
	return token->kind == TOKEN_NAME || token->kind == TOKEN_QUOTED_NAME;
}

static bool
is_word(const Token *token, const char *word)
{
	return token->kind == TOKEN_NAME && strcmp(token->name, word) == 0;
}

/*
 * "collect (" starts at tokens[i].  Neither schema.collect() nor "collect"()
 * is meant, so a relation or function of that name can still be used.
 */
static bool
is_collect(const Token *tokens, int i)
{
	return is_word(&tokens[i], "collect") && tokens[i + 1].kind == '(' &&
		(i == 0 || tokens[i - 1].kind != '.');
}

/*
 * Parse the text and find its one statement.
 */
static Node *
parse_statement(BodyScan *scan)
{
	const char *text = scan->text;
	List	   *statements = raw_parser(text, RAW_PARSE_DEFAULT);
	RawStmt    *raw;
	Token	   *token;

	if (statements == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("the body of a lookup must not be empty")));

	scan->tokens = scan_tokens(text);

	if (list_length(statements) > 1)
	{
		raw = lsecond_node(RawStmt, statements);

		/* the location may be that of white space before the statement */
		for (token = scan->tokens; token->location < raw->stmt_location;)
			token++;
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("the body of a lookup must be a single statement"),
				 body_errposition(text, token->location)));
	}

	raw = linitial_node(RawStmt, statements);
	scan->end = (raw->stmt_len > 0) ?
		raw->stmt_location + raw->stmt_len : (int) strlen(text);
	while (scan->end > 0 && scanner_isspace(text[scan->end - 1]))
		scan->end--;

	/* all that lies outside of the statement is semicolons and comments */
	while (scan->tokens->location < raw->stmt_location ||
		   scan->tokens->kind == ';')
		scan->tokens++;
	scan->start = scan->tokens->location;
	for (token = scan->tokens; token->kind != TOKEN_END; token++)
	{
		if (token->location >= scan->end)
			token->kind = TOKEN_END;
	}
	return raw->stmt;
}

/*
 * The first common table expression in a WITH clause that is no SELECT, or
 * NULL.
 */
static CommonTableExpr *
modifying_cte(WithClause *with)
{
	ListCell   *lc;

	if (with == NULL)
		return NULL;
	foreach(lc, with->ctes)
	{
		CommonTableExpr *cte = lfirst_node(CommonTableExpr, lc);

		if (!IsA(cte->ctequery, SelectStmt))
			return cte;
	}
	return NULL;
}

/*
 * Refuse what a SELECT statement must not do in the given form.  PostgreSQL
 * allows neither INTO nor data-modifying WITH deeper than here.
 */
static void
check_select(const BodyScan *scan, const SelectStmt *stmt)
{
	CommonTableExpr *cte = modifying_cte(stmt->withClause);

	if (stmt->intoClause != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("a lookup must not use SELECT INTO"),
				 body_errposition(scan->text,
								  stmt->intoClause->rel->location)));

	if (cte != NULL && scan->body->form == CCR_FORM_SINGLE)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("a lookup that does not use collect() must not modify data in WITH"),
				 errhint("Use collect() to write for all calls of a batch at once."),
				 body_errposition(scan->text, cte->location)));

	if (stmt->op != SETOP_NONE)
	{
		check_select(scan, stmt->larg);
		check_select(scan, stmt->rarg);
	}
}

static bool
ends_with_star(Node *expr)
{
	List	   *names = NIL;

	if (IsA(expr, ResTarget))
		expr = ((ResTarget *) expr)->val;
	if (IsA(expr, ColumnRef))
		names = ((ColumnRef *) expr)->fields;
	else if (IsA(expr, A_Indirection))
		names = ((A_Indirection *) expr)->indirection;

	return names != NIL && IsA(llast(names), A_Star);
}

/* Length of a list of ResTargets or expressions; -1 if there is a star. */
static int
count_targets(List *targets)
{
	ListCell   *lc;

	foreach(lc, targets)
	{
		if (ends_with_star(lfirst(lc)))
			return -1;
	}
	return list_length(targets);
}

static int
count_select_targets(const SelectStmt *stmt)
{
	while (stmt->op != SETOP_NONE)
		stmt = stmt->larg;
	if (stmt->valuesLists != NIL)
		return count_targets(linitial(stmt->valuesLists));
	return count_targets(stmt->targetList);
}

/*
 * Fill in what the parse tree knows of a statement.  *with is its own WITH
 * clause.  False: no kind of statement that a lookup can be.
 */
static bool
describe_statement(CcrBody *body, Node *stmt, WithClause **with)
{
	switch (nodeTag(stmt))
	{
		case T_SelectStmt:
			*with = ((SelectStmt *) stmt)->withClause;
			body->is_select = (modifying_cte(*with) == NULL);
			body->ntargets = count_select_targets((SelectStmt *) stmt);
			return true;
		case T_InsertStmt:
			*with = ((InsertStmt *) stmt)->withClause;
			body->ntargets =
				count_targets(CCR_RETURNING_LIST((InsertStmt *) stmt));
			return true;
		case T_UpdateStmt:
			*with = ((UpdateStmt *) stmt)->withClause;
			body->ntargets =
				count_targets(CCR_RETURNING_LIST((UpdateStmt *) stmt));
			return true;
		case T_DeleteStmt:
			*with = ((DeleteStmt *) stmt)->withClause;
			body->ntargets =
				count_targets(CCR_RETURNING_LIST((DeleteStmt *) stmt));
			return true;
		case T_MergeStmt:
			*with = ((MergeStmt *) stmt)->withClause;
			body->ntargets =
				count_targets(CCR_MERGE_RETURNING_LIST((MergeStmt *) stmt));
			return true;
		default:
			return false;
	}
}

/*
 * Where the statement after a leading WITH clause starts, or -1 if that
 * cannot be told by counting brackets: after the last WITH query, unless it
 * has a SEARCH or CYCLE clause.
 */
static int
find_main_statement(const Token *tokens)
{
	int			depth = 0;

	if (!is_word(&tokens[0], "with"))
		return -1;
	for (const Token *token = tokens; token->kind != TOKEN_END; token++)
	{
		const Token *next = token + 1;

		if (token->kind == '(')
			depth++;
		if (token->kind != ')' || --depth > 0)
			continue;
		/* "AS" follows a list of column names */
		if (next->kind == ',' || is_word(next, "as"))
			continue;
		if (is_word(next, "search") || is_word(next, "cycle"))
			return -1;
		return next->location;
	}
	return -1;
}

/*
 * Check that the statement fits the body's form.
 */
static void
check_statement(BodyScan *scan, Node *stmt)
{
	CcrBody    *body = scan->body;
	WithClause *with = NULL;
	bool		known = describe_statement(body, stmt, &with);

	if (body->form == CCR_FORM_SINGLE && !IsA(stmt, SelectStmt))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("a lookup that does not use collect() must be a SELECT"),
				 errhint("Use collect() to write for all calls of a batch at once."),
				 body_errposition(scan->text, scan->tokens[0].location)));
	if (!known)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("a lookup must be a SELECT, INSERT, UPDATE, DELETE, or MERGE"),
				 body_errposition(scan->text, scan->tokens[0].location)));
	if (IsA(stmt, SelectStmt))
		check_select(scan, (SelectStmt *) stmt);

	scan->main_location = -1;
	if (modifying_cte(with) != NULL)
		scan->main_location = find_main_statement(scan->tokens);
}

/* Hint at the arguments that collect() could have named. */
static int
hint_arguments(const CcrBody *body)
{
	StringInfoData names;

	if (body->nargs == 0)
		return errhint("The lookup has no arguments.");

	initStringInfo(&names);
	for (int i = 0; i < body->nargs; i++)
	{
		if (i > 0)
			appendStringInfoString(&names, ", ");
		if (body->args[i].name != NULL)
			appendStringInfoString(&names,
								   quote_identifier(body->args[i].name));
		else
			appendStringInfo(&names, "$%d", i + 1);
	}
	return errhint("The arguments of the lookup are: %s.", names.data);
}

/* The argument that a $n stands for. */
static int
numbered_argument(const BodyScan *scan, const Token *token)
{
	const char *digits = scan->text + token->location + 1;
	int			ndigits = strspn(digits, "0123456789");
	int			number = 0;

	/* the scanner's own value wraps around before 17 */
	for (int i = 0; i < ndigits && number <= scan->body->nargs; i++)
		number = number * 10 + (digits[i] - '0');

	if (number < 1 || number > scan->body->nargs)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_PARAMETER),
				 errmsg("there is no parameter $%.*s", ndigits, digits),
				 body_errposition(scan->text, token->location)));
	return number - 1;
}

/* The argument of a $n that is not collected: fine in the single form. */
static int
scalar_argument(const BodyScan *scan, const Token *token)
{
	int			arg = numbered_argument(scan, token);

	if (scan->body->form == CCR_FORM_BULK)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("a lookup that uses collect() must not use $%d outside of it",
						arg + 1),
				 errhint("Write collect($%d), which is the array of this argument in all calls of the batch.",
						 arg + 1),
				 body_errposition(scan->text, token->location)));
	return arg;
}

static int
named_argument(const BodyScan *scan, const Token *qualifier,
			   const Token *token)
{
	const CcrBody *body = scan->body;

	if (qualifier == NULL || strcmp(qualifier->name, body->function) == 0)
	{
		for (int i = 0; i < body->nargs; i++)
		{
			if (body->args[i].name != NULL &&
				strcmp(body->args[i].name, token->name) == 0)
				return i;
		}
	}

	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("unknown argument \"%s%s%s\" in collect()",
					qualifier ? qualifier->name : "",
					qualifier ? "." : "", token->name),
			 hint_arguments(body),
			 body_errposition(scan->text,
							  (qualifier ? qualifier : token)->location)));
	return -1;					/* keep compiler quiet */
}

/*
 * The argument of the collect() at tokens[i]; *ntokens: how many tokens it
 * takes, to its closing bracket.
 */
static int
collected_argument(const BodyScan *scan, int i, int *ntokens)
{
	const Token *arg = &scan->tokens[i + 2];

	*ntokens = 4;
	if (arg[0].kind == TOKEN_NUMBER && arg[1].kind == ')')
		return numbered_argument(scan, &arg[0]);
	if (is_name(&arg[0]) && arg[1].kind == ')')
		return named_argument(scan, NULL, &arg[0]);
	if (is_name(&arg[0]) && arg[1].kind == '.' &&
		is_name(&arg[2]) && arg[3].kind == ')')
	{
		*ntokens = 6;
		return named_argument(scan, &arg[0], &arg[2]);
	}

	ereport(ERROR,
			(errcode(ERRCODE_SYNTAX_ERROR),
			 errmsg("collect() takes the name of one argument"),
			 hint_arguments(scan->body),
			 body_errposition(scan->text, arg[0].location)));
	return -1;					/* keep compiler quiet */
}

static void
add_piece(CcrBody *body, const char *text, int arg)
{
	CcrBodyPiece *piece = &body->pieces[body->npieces++];

	piece->text = text;
	piece->arg = arg;
}

/* Add the text of [from, to), if there is any. */
static void
add_text(BodyScan *scan, int from, int to)
{
	if (to > from)
		add_piece(scan->body, pnstrdup(scan->text + from, to - from), -1);
}

static void
cut_pieces(BodyScan *scan)
{
	CcrBody    *body = scan->body;
	const Token *tokens = scan->tokens;
	int			done = scan->start;
	int			ntokens = 0;
	int			i;

	while (tokens[ntokens].kind != TOKEN_END)
		ntokens++;
	/* a reference makes four pieces at most, the main statement one */
	body->pieces = palloc((4 * ntokens + 2) * sizeof(CcrBodyPiece));

	for (i = 0; i < ntokens;)
	{
		int			used = 1;
		int			arg;
		int			end;
		bool		brackets = false;

		if (tokens[i].location == scan->main_location)
		{
			add_text(scan, done, tokens[i].location);
			done = tokens[i].location;
			body->main_piece = body->npieces;
		}

		if (body->form == CCR_FORM_BULK && is_collect(tokens, i))
		{
			arg = collected_argument(scan, i, &used);
			end = tokens[i + used - 1].location + 1;
		}
		else if (tokens[i].kind != TOKEN_NUMBER)
		{
			i++;
			continue;
		}
		else
		{
			arg = scalar_argument(scan, &tokens[i]);
			end = tokens[i].location + 1;
			end += strspn(scan->text + end, "0123456789");
			body->uses_numbers = true;
			/* without them, $1.field would be a table's column */
			brackets = (tokens[i + 1].kind == '.');
		}

		add_text(scan, done, tokens[i].location);
		if (brackets)
			add_piece(body, "(", -1);
		add_piece(body, NULL, arg);
		if (brackets)
			add_piece(body, ")", -1);
		done = end;
		i += used;
	}
	add_text(scan, done, scan->end);
}

/*
 * collect() was written where no array value can stand.  The error speaks of
 * a text that the user has not seen, so point to the place in the body.
 */
static void
bulk_error_callback(void *arg)
{
	BodyScan   *scan = arg;
	int			i = 0;

	while (!is_collect(scan->tokens, i))
		i++;
	body_errposition(scan->text, scan->tokens[i].location);
	errhint("collect() stands for an array, as in \"= ANY (collect(x))\" or \"unnest(collect(x))\".");
}

static void
check_bulk_sql(BodyScan *scan)
{
	char	   *sql = ccr_body_bulk_sql(scan->body);
	ErrorContextCallback callback;

	callback.callback = bulk_error_callback;
	callback.arg = scan;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	(void) raw_parser(sql, RAW_PARSE_DEFAULT);
	error_context_stack = callback.previous;
	pfree(sql);
}

CcrBody *
ccr_body_parse(const char *text, const char *function,
			   int nargs, const CcrBodyArg *args)
{
	CcrBody    *body = palloc0(sizeof(CcrBody));
	BodyScan	scan = {.text = text, .body = body};
	Node	   *stmt;

	body->form = CCR_FORM_SINGLE;
	body->function = function;
	body->nargs = nargs;
	body->args = args;

	stmt = parse_statement(&scan);
	for (int i = 0; scan.tokens[i].kind != TOKEN_END; i++)
	{
		if (is_collect(scan.tokens, i))
			body->form = CCR_FORM_BULK;
	}
	check_statement(&scan, stmt);
	cut_pieces(&scan);
	if (body->form == CCR_FORM_BULK)
		check_bulk_sql(&scan);
	return body;
}
