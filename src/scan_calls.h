/*-------------------------------------------------------------------------
 *
 * scan_calls.h
 *	  The calls of lookups in expressions, and when SQL makes them.
 *
 * Every call that can be made ahead is found together with its guard: the
 * conditions under which SQL would come to evaluate it.  So a batch node asks
 * for nothing that would not have been asked for, and an argument is evaluated
 * only where SQL would have.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SCAN_CALLS_H
#define CCR_SCAN_CALLS_H

#include "nodes/primnodes.h"
#include "nodes/pg_list.h"

/* A call, in the terms of the expression that holds it. */
typedef struct CcrCall
{
	FuncExpr   *call;
	List	   *guard;			/* all must be true; NIL: always called */
	int			column;			/* of its cell, once it has one; 1-based */
	Node	   *cell;			/* what the cell is read from, if no column */
} CcrCall;

/* What is looked for, and what was found. */
typedef struct CcrCalls
{
	int			varno;			/* arguments may hold Vars of this only; 0: of
								 * any */
	const Bitmapset *params;	/* or no Vars, but these PARAM_EXEC parameters.
								 * Conditions that need more are left out of
								 * guards then */
	const Bitmapset *passed;	/* and one of these at least */
	const Bitmapset *unset;		/* parameters that have no value yet */
	List	   *calls;			/* CcrCall; no two are equal */
} CcrCalls;

/* Is it a lookup?  Is it one that may be called ahead? */
extern bool ccr_is_lookup(Oid function);
extern bool ccr_holds_lookup(Node *node);

/* Why a call cannot be made ahead, wherever it stands; NULL: it can. */
extern const char *ccr_call_obstacle(FuncExpr *call);

/*
 * Add the calls in an expression, or in each of a list of expressions, that is
 * evaluated where the guard holds.
 */
extern void ccr_calls_find(CcrCalls *calls, Node *node, List *guard);

/* Add those in the arguments of aggregates and window functions. */
extern void ccr_calls_find_in_aggregates(CcrCalls *calls, Node *node);

/* Add those in conditions each of which is evaluated where those before hold. */
extern void ccr_calls_find_in_quals(CcrCalls *calls, List *quals, List *guard);

extern CcrCall *ccr_calls_member(const CcrCalls *calls, FuncExpr *call);

/*
 * In an expression, the cell of a call in place of its value; to be put in
 * other terms as calls are.
 */
extern Node *ccr_cell_wanted(FuncExpr *call);
extern bool ccr_is_cell_wanted(Node *node);

/* The numbers of the PARAM_EXEC parameters in an expression. */
extern Bitmapset *ccr_params_of(Node *node);

/*
 * Those that sub-plans in the expression set for other parts of it, when they
 * are evaluated.
 */
extern Bitmapset *ccr_params_set_by(Node *node);

#endif							/* CCR_SCAN_CALLS_H */
