/*-------------------------------------------------------------------------
 *
 * scan_terms.h
 *	  Expressions in other terms: with cells in place of calls, and columns in
 *	  place of the values that come from below.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SCAN_TERMS_H
#define CCR_SCAN_TERMS_H

#include "nodes/plannodes.h"
#include "scan/scan_calls.h"

/* The functions that read cells; all of schema concresce. */
typedef struct CcrReaders
{
	Oid			value;			/* batch_value */
	Oid			rows;			/* batch_rows */
	Oid			field;			/* batch_field */
} CcrReaders;

/*
 * False: the extension is not there, or not of this version, or not all roles
 * may call them.
 */
extern bool ccr_readers_find(CcrReaders *readers);

/* The plan is to be made anew when something about them changes. */
extern void ccr_readers_depend(PlannedStmt *stmt, const CcrReaders *readers);

/*
 * How an expression is put in other terms: calls are replaced by reading their
 * cells, which are columns of cell_varno; and atoms, or the columns of
 * from_varno, by columns of to_varno.
 */
typedef struct CcrTerms
{
	const CcrCalls *calls;		/* NULL: leave calls as they are */
	int			cell_varno;
	List	   *atoms;			/* column n+1 is equal to the n-th */
	List	   *columns;		/* Var of each: a large expression refers to
								 * one many times */
	int			from_varno;		/* if there are no atoms; 0: replace none */
	int			to_varno;
	bool		in_aggregates;	/* change only what aggregates and window
								 * functions aggregate */
	const CcrReaders *readers;
} CcrTerms;

extern Node *ccr_terms_apply(const CcrTerms *terms, Node *node);

/* Terms in which the atoms are columns; varno: of these. */
extern void ccr_terms_of_atoms(CcrTerms *terms, List *atoms, int varno);

/* Add to a list what an expression needs from below, each once. */
extern List *ccr_atoms_add(List *atoms, Node *node);

#endif							/* CCR_SCAN_TERMS_H */
