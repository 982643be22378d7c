/*-------------------------------------------------------------------------
 *
 * shape.h
 *	  The shape of an answer: which columns come back, and how rows find items.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SHAPE_H
#define CCR_SHAPE_H

#include "collector/carrier.h"
#include "shared/answer.h"
#include "shared/source.h"

typedef struct CcrShape
{
	bool		known;
	bool		keyed;			/* run the keyed form of the bulk query */
	bool		numbered;		/* in the variant that numbers the body's rows */
	bool		positional;		/* one row for each item, in their order */
	bool		binary;			/* ask for binary results */
	bool		narrow;			/* binary, and rows are known to be short */
	bool		styled;			/* the text of some value depends on settings */
	bool		whole;			/* one column holds the whole composite */
	int			nfields;		/* of the query that is run */
	int			first;			/* field of the first result column */
	int			ncolumns;		/* result columns of a row */
} CcrShape;

/*
 * Find the shape of a source from the description of its query.  Returns NULL,
 * or an error, in the current memory context, if the columns do not fit.
 */
extern const CcrError *ccr_shape_describe(CcrShape *shape, const CcrSource *source,
										  const CcrRow *row);

/*
 * Have the far side number the rows, or not: a row may belong to several
 * items.
 */
extern void ccr_shape_set_numbered(CcrShape *shape, bool numbered);

/* Does the first row of an answer have the types of the shape? */
extern bool ccr_shape_fits(const CcrShape *shape, const CcrSource *source,
						   const CcrRow *row);

/* How many bytes the message of a row has at most; 0 if there is no limit. */
extern int	ccr_shape_row_bytes(const CcrShape *shape);

/*
 * Read a bigint that our own SQL has put before the columns of the result.
 * False if the field is not a bigint.
 */
extern bool ccr_shape_number(const CcrShape *shape, const CcrRow *row, int field,
							 int64 *number);

#endif							/* CCR_SHAPE_H */
