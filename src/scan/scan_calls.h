/*-------------------------------------------------------------------------
 *
 * scan_calls.h
 *	  The calls of lookups in expressions, and when SQL makes them.
 *
 * Every call that can be made ahead is found together with its guard: the
 * conditions under which SQL would evaluate it.  So a batch node looks up
 * nothing that SQL would not have looked up, and evaluates an argument only
 * where SQL would have.
 *
 * In some places the guard alone does not decide: the inner side of a join may
 * have no rows, or SQL may not look at a value of another row.  Such a call is
 * "unsure".  It is looked up only after SQL has made it for one row, and only
 * if neither its arguments nor its guard can fail.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SCAN_CALLS_H
#define CCR_SCAN_CALLS_H

#include "nodes/pg_list.h"
#include "nodes/primnodes.h"

/* Does SQL make a call where the guard holds?  In order: the first is best. */
typedef enum CcrCertainty
{
	CCR_CERTAIN,				/* yes, for every such row */
	CCR_UNSURE					/* for all of these rows, some or none */
} CcrCertainty;

#define CCR_MAX_CALLS	200		/* of one batch node: each is a column */
#define CCR_GUARD_ROOM	10000	/* nodes that the guards of one expression may
								 * have, in addition to twice its own size */

/* A call, in the terms of the expression that holds it. */
typedef struct CcrCall
{
	FuncExpr   *call;
	List	   *guard;			/* conditions that must all be true; NIL: it
								 * is always called */
	BoolExpr   *alternatives;	/* the guard, if the call stands in several
								 * places: one of them is enough */
	CcrCertainty certainty;
	int			column;			/* of its cell, once it has one; 1-based */
	Node	   *cell;			/* expression that gives the cell, if it is
								 * not in a column */
} CcrCall;

/* What is looked for, and what was found. */
typedef struct CcrCalls
{
	int			varno;			/* arguments and guards may contain Vars of
								 * this only; 0: of any */
	const Bitmapset *params;	/* if set, they may contain no Vars, but these
								 * PARAM_EXEC parameters */
	CcrCertainty certainty;		/* of the expression that is searched */
	bool		records;		/* calls that return record count where they
								 * are not taken apart, too */
	const Bitmapset *passed;	/* and must contain one of these parameters */
	const Bitmapset *unset;		/* parameters that have no value yet */
	int64		room;			/* nodes that guards may still have; set by
								 * the search */
	Node	   *unmeasured;		/* its size is added to that, once it matters */
	List	   *calls;			/* CcrCall; no two are equal */
	List	   *feeds;			/* CcrNodeFeed: batch nodes to be fed with the
								 * rows */
	const Bitmapset *first;		/* parameters whose init plans may be run
								 * before the calls; see ccr_ahead_first() */
} CcrCalls;

/* Which rows a window's aggregates look at. */
typedef struct CcrFrame
{
	bool		covers_all;		/* all of them */
	bool		ends_early;		/* it may stop before the last one */
} CcrFrame;

/* Is the function a lookup?  Does the expression contain a call of one? */
extern bool ccr_is_lookup(Oid function);
extern bool ccr_holds_lookup(Node *node);

/* Calls in place of those operators in an expression whose function is a lookup. */
extern Node *ccr_calls_of_operators(Node *node);

/* Why a call cannot be made ahead, wherever it stands; NULL if it can be. */
extern const char *ccr_call_obstacle(FuncExpr *call);

/*
 * Add the calls in an expression, or in a list of expressions, which SQL
 * evaluates where the guard holds.
 */
extern void ccr_calls_find(CcrCalls *calls, Node *node, List *guard);

/*
 * Add those in the arguments of aggregates, and of window functions, which
 * have a frame.
 */
extern void ccr_calls_find_in_aggregates(CcrCalls *calls, Node *node,
										 const CcrFrame *frame);

/*
 * Add those in a list of conditions; each is evaluated where all before it
 * hold.
 */
extern void ccr_calls_find_in_quals(CcrCalls *calls, List *quals, List *guard);

/* Add those in the keys of a hash table. */
extern void ccr_calls_find_in_hash_keys(CcrCalls *calls, List *keys);

extern CcrCall *ccr_calls_member(const CcrCalls *calls, FuncExpr *call);

/*
 * A placeholder for the cell of a call, with the call's guard.  It stands in
 * an expression and is put in other terms as calls are.  An executor cannot
 * evaluate it: if no cell is made, the placeholder is taken out again.
 */
extern Node *ccr_cell_wanted(FuncExpr *call, List *guard, CcrCertainty certainty);
extern bool ccr_is_cell_wanted(Node *node);
extern FuncExpr *ccr_call_of_wanted(Node *node);

/*
 * Is there no value that makes the expression fail, so that it may be
 * evaluated ahead?
 */
extern bool ccr_infallible(Node *node);

/* May this node itself fail, whatever its arguments do?  A lookup may. */
extern bool ccr_may_fail_by_itself(Node *node);

/* The numbers of the PARAM_EXEC parameters in an expression. */
extern Bitmapset *ccr_params_of(Node *node);

/* Those of them without whose values the expression cannot be evaluated. */
extern Bitmapset *ccr_params_for_certain(Node *node);

/*
 * Those that sub-plans in the expression set, when they are evaluated, for
 * other parts of the expression.
 */
extern Bitmapset *ccr_params_set_by(Node *node);

#endif							/* CCR_SCAN_CALLS_H */
