/*-------------------------------------------------------------------------
 *
 * cell.h
 *	  What a batch node has found for one call, as a column of its rows.
 *
 * A call that a batch node looks up ahead is replaced by
 *
 *		batch_value(cell, oid of the lookup, arguments...)
 *
 * The cell is a varlena of its own, so it can be sorted, hashed and spilled to
 * disk with the row that it belongs to.  It is read when, and if, SQL comes to
 * evaluate the call: errors of a lookup are raised then.  Where there is no
 * cell (NULL), because the row was not looked up or its batch failed, or where
 * it was found for another role, the call is made there and then as if there
 * were no batch node.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_CELL_H
#define CCR_CELL_H

#include "caller.h"
#include "lookup.h"

typedef struct CcrCell
{
	int32		vl_len_;		/* varlena header */
	int32		counters;		/* index */
	int32		on_missing;		/* CcrOnMissing */
	uint32		shape;			/* of the result, when it was looked up */
	CcrCaller	caller;			/* for whom it was */
	bool		no_call;		/* STRICT and an argument is NULL */
	CcrEntry	entry;			/* unless no_call */
} CcrCell;

/* A cell in the current context. */
extern Datum ccr_cell_make(const CcrAnswered *answered, uint32 item,
						   const CcrCaller *caller);
extern Datum ccr_cell_make_no_call(const CcrCaller *caller);

/* Will reading it raise no error that can be told without trying? */
extern bool ccr_cell_is_good(const CcrAnswered *answered, uint32 item,
							 bool returns_set);

#endif							/* CCR_CELL_H */
