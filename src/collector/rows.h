/*-------------------------------------------------------------------------
 *
 * rows.h
 *	  From the rows of a bulk query to the flights of its batch.
 *
 * What the far side sends is not trusted.  Every row is checked against the
 * shape, and nothing of it is written anywhere but into the flight's outcome,
 * within bounds.
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
	int			n;				/* of these */
	MemoryContext context;		/* of results and errors */
	CcrShape	shape;			/* when the query was executed */
	bool		checked;		/* the first row has been looked at */
	bool		reshaped;		/* rows came in another shape than described */
	bool		loose;			/* a row may be another item's as well */
	CcrCompanions *companions;	/* if the rows are numbered */
	int64		nrows;
	Size		bytes;			/* of results kept */
	Size		counted;		/* of those, in the budget of the collector */
	Size		received;		/* of rows that were kept */
	const CcrError *error;		/* found by ourselves */
} CcrRows;

extern void ccr_rows_init(CcrRows *rows, const CcrSource *source,
						  CcrFlight **flights, int n, MemoryContext context);

/* The query is being executed. */
extern void ccr_rows_begin(CcrRows *rows, const CcrShape *shape);

/* One has come.  False: no more of them are wanted, and error says why. */
extern bool ccr_rows_take(CcrRows *rows, const CcrRow *row);

/* That was all: of positional ones, there has to be one for each item. */
extern void ccr_rows_check_count(CcrRows *rows);

/* The budget is told that they are gone. */
extern void ccr_rows_forget(CcrRows *rows);

#endif							/* CCR_ROWS_H */
