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
	bool		numbered;		/* in that variant that numbers the body's
								 * rows */
	bool		positional;		/* a row for each item, in order */
	bool		binary;			/* ask for binary results */
	bool		narrow;			/* binary, and a row has some bytes only */
	bool		styled;			/* some text depends on settings */
	bool		whole;			/* one column holds the whole composite */
	int			nfields;		/* of the query that is run */
	int			first;			/* field of the first result column */
	int			ncolumns;		/* result columns of a row */
} CcrShape;

/*
 * The shape of a source, as the description of its query tells.  NULL, or the
 * error if it has none, in the current memory context.
 */
extern const CcrError *ccr_shape_describe(CcrShape *shape, const CcrSource *source,
										  const CcrRow *row);

/* The far side is to number rows that may be those of several items. */
extern void ccr_shape_set_numbered(CcrShape *shape, bool numbered);

/* Does the first row of an answer have the types of the shape? */
extern bool ccr_shape_fits(const CcrShape *shape, const CcrSource *source,
						   const CcrRow *row);

/* Bytes that a row has at most in its message; 0: any number. */
extern int	ccr_shape_row_bytes(const CcrShape *shape);

/* A bigint of ours, before the columns of the result.  False: it is none. */
extern bool ccr_shape_number(const CcrShape *shape, const CcrRow *row, int field,
							 int64 *number);

#endif							/* CCR_SHAPE_H */
