/*-------------------------------------------------------------------------
 *
 * scan_alike.h
 *	  What the children of an Append, or the rows of a VALUES list, compute
 *	  alike: one expression over columns, which each of them fills in its way.
 *
 * The children of a partitioned table compute the same of columns of their own,
 * and so do the rows of a list of other constants.  Where they differ in more
 * than that, the expression is a CASE that asks a column for the kind.
 *
 * Whoever fills the columns does so before SQL evaluates the expression, and
 * maybe in vain: so columns hold nothing that may fail, or has effects, or is a
 * lookup.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SCAN_ALIKE_H
#define CCR_SCAN_ALIKE_H

#include "nodes/pg_list.h"
#include "nodes/primnodes.h"

typedef struct CcrAlike
{
	int			n;				/* children, or rows */
	int			varno;			/* of the columns */
	List	   *columns;		/* CcrAlikeColumn */
	bool		kinds;			/* they differ in more than columns */
} CcrAlike;

/*
 * What all n compute, in terms of columns that are added; NULL: they have too
 * little in common.
 */
extern Node *ccr_alike_expr(CcrAlike *alike, Node **variants);

/* The same as no more than a column. */
extern Node *ccr_alike_column(CcrAlike *alike, Node **variants);

/* Of conditions each of which is evaluated where those before hold. */
extern bool ccr_alike_quals(CcrAlike *alike, List **variants, List **quals);

/* What one of them fills the columns with. */
extern List *ccr_alike_values(const CcrAlike *alike, int variant);

/*
 * How many calls of lookups are in an expression, equal ones counted once?  A
 * sub-plan may be one of many.
 */
extern int	ccr_alike_count_calls(Node *node);

#endif							/* CCR_SCAN_ALIKE_H */
