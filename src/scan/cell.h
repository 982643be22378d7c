/*-------------------------------------------------------------------------
 *
 * cell.h
 *	  What a batch node has found for one call, as a column of its rows.
 *
 * A call that a batch node looks up ahead is replaced by
 *
 *		batch_value(cell, oid of the lookup, arguments...)
 *
 * The cell is a varlena that contains all it needs, so it can be sorted,
 * hashed and spilled to disk with the row that it belongs to.  It is read when
 * SQL evaluates the call, if it does: errors of a lookup are raised then.  If
 * the row was not looked up, or its batch failed, or it was looked up for
 * another role, reading the cell makes the call, as if there were no batch
 * node.
 *
 * The batch node has checked the right to call the lookup, as the executor
 * does when it starts.  A cell says for which lookup that was, and cannot be
 * used for another one.  Without a cell (NULL) the reader checks the right
 * itself.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_CELL_H
#define CCR_CELL_H

#include "call/caller.h"
#include "call/pending.h"
#include "lib/ilist.h"

typedef enum CcrCellKind
{
	CCR_CELL_ROWS,				/* the rows that were found */
	CCR_CELL_NO_CALL,			/* no call is made: the lookup is STRICT and
								 * an argument is NULL */
	CCR_CELL_CALL,				/* not known: the reader makes the call */
	CCR_CELL_UNASKED			/* not asked for, as it may not be needed: the
								 * reader makes the call, and tells the maker */
} CcrCellKind;

typedef struct CcrCell
{
	int32		vl_len_;		/* varlena header */
	CcrCellKind kind;
	Oid			function;		/* the lookup */
	int32		counters;		/* index */
	int32		on_missing;		/* CcrOnMissing */
	uint32		layout;			/* CcrResult.layout, when it was looked up */
	CcrCaller	caller;			/* for whom it was looked up */
	uint64		maker;			/* UNASKED: see CcrCellMaker */
	uint64		row;			/* UNASKED: cells of one row are the same call */
	CcrEntry	entry;			/* ROWS only */
} CcrCell;

/*
 * One call of a batch node in this process.  Cells know it by its serial
 * number, as they may live longer, and may be read by other processes if these
 * share a hash table.  So a serial number is unique in the whole server.
 */
typedef struct CcrCellMaker
{
	dlist_node	node;
	uint64		serial;
	Oid			function;
	bool		needed;			/* an UNASKED cell of it was read */
} CcrCellMaker;

extern void ccr_cell_maker_add(CcrCellMaker *maker, Oid function);
extern void ccr_cell_maker_remove(CcrCellMaker *maker);

/* Check the current user's right to call the lookup, as the executor does. */
extern void ccr_cell_check_execute(Oid function);

/* Make a cell in the current context. */
extern Datum ccr_cell_make(const CcrCellMaker *maker, const CcrCaller *caller,
						   const CcrAnswerCopy *answered, uint32 item);
extern Datum ccr_cell_make_empty(const CcrCellMaker *maker, const CcrCaller *caller,
								 CcrCellKind kind, uint64 row);

/*
 * Will reading a cell of this answer raise no error, as far as that can be
 * seen?
 */
extern bool ccr_cell_is_good(const CcrAnswerCopy *answered, uint32 item,
							 bool returns_set);

#endif							/* CCR_CELL_H */
