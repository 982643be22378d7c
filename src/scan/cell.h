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
 * evaluate the call: errors of a lookup are raised then.  Where the row was not
 * looked up, its batch failed, or it was looked up for another role, the call is
 * made there and then as if there were no batch node.
 *
 * The node that makes cells has asked, as the executor does when it starts,
 * whether their lookup may be called.  A cell says which lookup that was, and
 * is good for no other; without a cell (NULL) the reader asks itself.
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
	CCR_CELL_ROWS,				/* what was found */
	CCR_CELL_NO_CALL,			/* STRICT and an argument is NULL */
	CCR_CELL_CALL,				/* not known: call it */
	CCR_CELL_UNASKED			/* nor asked for, as it may not be needed:
								 * call it, and tell the maker */
} CcrCellKind;

typedef struct CcrCell
{
	int32		vl_len_;		/* varlena header */
	CcrCellKind kind;
	Oid			function;		/* the lookup */
	int32		counters;		/* index */
	int32		on_missing;		/* CcrOnMissing */
	uint32		layout;			/* of the result, when it was looked up */
	CcrCaller	caller;			/* for whom it was */
	uint64		maker;			/* UNASKED: see CcrCellMaker */
	uint64		row;			/* UNASKED: cells of one row are the same call */
	CcrEntry	entry;			/* ROWS only */
} CcrCell;

/*
 * One call of a batch node in this process, known to cells by its serial
 * number: they may live longer, and be read by other processes, where rows of
 * several lie in one hash table.  So no two in the whole server have the same.
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

/* May the current user call the lookup?  As the executor asks for a call. */
extern void ccr_cell_check_execute(Oid function);

/* A cell in the current context. */
extern Datum ccr_cell_make(const CcrCellMaker *maker, const CcrCaller *caller,
						   const CcrAnswerCopy *answered, uint32 item);
extern Datum ccr_cell_make_empty(const CcrCellMaker *maker, const CcrCaller *caller,
								 CcrCellKind kind, uint64 row);

/* Will reading it raise no error that can be told without trying? */
extern bool ccr_cell_is_good(const CcrAnswerCopy *answered, uint32 item,
							 bool returns_set);

#endif							/* CCR_CELL_H */
