/*-------------------------------------------------------------------------
 *
 * body.h
 *	  From the text of a lookup's body to a plain struct and to the bulk
 *	  query.  Knows no catalogs.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_BODY_H
#define CCR_BODY_H

#include "shared/equality.h"

typedef enum CcrForm
{
	CCR_FORM_SINGLE,			/* one SELECT over scalar arguments */
	CCR_FORM_BULK				/* says collect(): arguments are arrays */
} CcrForm;

/* One argument, as the far side is to see it. */
typedef struct CcrBodyArg
{
	const char *name;			/* NULL if unnamed */
	const char *sqltype;		/* e.g. "bigint", "public.mood", "integer[]" */

	/*
	 * If true, the values travel in a text[] parameter and are cast to
	 * sqltype on the far side.  Otherwise the parameter is of type sqltype[].
	 */
	bool		as_text;
	bool		flattens;		/* an array or composite: unnest() would take
								 * it apart, and sqltype[] need not exist */
	CcrEquality equality;		/* of its values */
} CcrBodyArg;

/* A piece of the body: literal text, or a reference to an argument. */
typedef struct CcrBodyPiece
{
	const char *text;			/* literal text, or NULL */
	int			arg;			/* 0-based, if text is NULL */
} CcrBodyPiece;

typedef struct CcrBody
{
	CcrForm		form;
	const char *function;		/* unqualified name of the lookup */
	int			nargs;
	const CcrBodyArg *args;		/* nargs of them */
	bool		is_select;		/* SELECT or VALUES, without a write in its
								 * WITH clause */
	int			ntargets;		/* number of columns in the top-level target
								 * list or RETURNING; -1: unknown, as there is
								 * a star */
	bool		uses_numbers;	/* single form: says $n somewhere */
	int			npieces;
	CcrBodyPiece *pieces;		/* collect(x) or $n cut out of the text */
	int			main_piece;		/* where the statement after a WITH clause
								 * that modifies data starts; else 0 */
} CcrBody;

/*
 * Parse a body.  Errors carry a cursor position relative to the start of
 * text.  Everything returned lives in the current memory context (strings of
 * args are not copied).
 */
extern CcrBody *ccr_body_parse(const char *text, const char *function,
							   int nargs, const CcrBodyArg *args);

/*
 * The bulk query of the single form.  Result columns: ordinality (bigint, 1
 * for the first item), then the body's.  Parameters: one array per argument;
 * with no argument, one int: the number of items.  is_volatile: evaluate the
 * body anew for every item, even where two items have the same arguments.
 */
extern char *ccr_body_single_sql(const CcrBody *body, bool is_volatile);

/*
 * The bulk form as written, with collect() replaced by the array parameters.
 */
extern char *ccr_body_bulk_sql(const CcrBody *body);

/*
 * The keyed form: the bulk form in a wrapper that lets the far side's own
 * equality find the items of each row.  It consists of two parts, of which the
 * second, ccr_body_match_sql(), has variants.  Every argument must have an
 * equality.  Result columns: ordinality (bigint), then the nresults columns
 * after the keys.
 *
 * ordered: the rows of an item keep the order of the body. null_keys: some key
 * of the batch is NULL; NULL finds NULL. numbered: after the ordinality comes
 * the number (bigint) of the body's row.  It tells whether several items have
 * got the same row.
 *
 * If rows are not numbered and ccr_body_may_be_loose(), an ordinality can be
 * negative.  It says that the row's key is equal to the item's but may not be
 * identical to it, so that other items may have got the row as well.
 */
extern char *ccr_body_keyed_sql(const CcrBody *body, int nresults);
extern char *ccr_body_match_sql(const CcrBody *body, int nresults,
								bool ordered, bool null_keys, bool numbered);
extern bool ccr_body_may_be_loose(const CcrBody *body);

#endif							/* CCR_BODY_H */
