/*-------------------------------------------------------------------------
 *
 * scan_terms.h
 *	  Rewrites expressions: cells take the place of calls, and columns take the
 *	  place of the values that they are computed from.
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
 * Find these functions.  False if the extension is not there, or is not of
 * this version, or not every role may call them.
 */
extern bool ccr_readers_find(CcrReaders *readers);

/* Have the plan made anew when something about these functions changes. */
extern void ccr_readers_depend(PlannedStmt *stmt, const CcrReaders *readers);

/*
 * How to rewrite an expression.  Calls are replaced by reading their cells,
 * which are columns of cell_varno.  Atoms are replaced by columns of to_varno;
 * without atoms, columns of from_varno are.
 */
typedef struct CcrTerms
{
	const CcrCalls *calls;		/* NULL: leave calls as they are */
	int			cell_varno;
	List	   *atoms;			/* the n-th (from 0) is column n + 1 */
	List	   *columns;		/* a Var for each, which is shared: a large
								 * expression refers to it many times */
	int			from_varno;		/* if there are no atoms; 0: replace none */
	int			to_varno;
	bool		in_aggregates;	/* change only the arguments and FILTER of
								 * aggregates and window functions */
	const CcrReaders *readers;
} CcrTerms;

extern Node *ccr_terms_apply(const CcrTerms *terms, Node *node);

/* Set terms in which the atoms are columns of varno. */
extern void ccr_terms_of_atoms(CcrTerms *terms, List *atoms, int varno);

/*
 * Add to a list, each once, the atoms of an expression: what it needs from the
 * node below.
 */
extern List *ccr_atoms_add(List *atoms, Node *node);

#endif							/* CCR_SCAN_TERMS_H */
