/*-------------------------------------------------------------------------
 *
 * rows.h
 *	  From the rows of a bulk query to the flights of its batch.
 *
 * The far side is not trusted.  Every row is checked against the shape.  What
 * it contains is only written into outcomes of flights, after bounds were
 * checked.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_ROWS_H
#define CCR_ROWS_H

#include "collector/alike.h"
#include "collector/flight.h"
#include "collector/shape.h"

typedef struct CcrRows
{
	const CcrSource *source;
	CcrFlight **flights;
	int			n;				/* number of flights */
	MemoryContext context;		/* of results and errors */
	CcrShape	shape;			/* as it was when the query was executed */
	bool		checked;		/* the first row has been looked at */
	bool		reshaped;		/* rows came in another shape than described */
	bool		loose;			/* a row may belong to another item as well */
	CcrCompanions *companions;	/* if the rows are numbered */
	int64		nrows;
	Size		bytes;			/* of results that are kept */
	Size		counted;		/* of these, reported to budget.c */
	Size		received;		/* bytes, of the rows that were kept */
	const CcrError *error;		/* an error that we found in the rows */
} CcrRows;

extern void ccr_rows_init(CcrRows *rows, const CcrSource *source,
						  CcrFlight **flights, int n, MemoryContext context);

/* To be called when the query is sent. */
extern void ccr_rows_begin(CcrRows *rows, const CcrShape *shape);

/* Take a row.  False if no more rows are wanted; then rows->error says why. */
extern bool ccr_rows_take(CcrRows *rows, const CcrRow *row);

/*
 * All rows have come: if they are positional, there must be one for each item.
 */
extern void ccr_rows_check_count(CcrRows *rows);

/* Tell budget.c that the results are gone. */
extern void ccr_rows_forget(CcrRows *rows);

#endif							/* CCR_ROWS_H */
