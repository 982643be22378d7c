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
 * In some places the guard is not all that decides: the inner side of a join
 * may have no rows, a value of another row may not be looked at.  Such a call
 * is asked for only after SQL has come to it for one row, and only if neither
 * its arguments nor its guard can fail.
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
	CCR_CERTAIN,				/* for every row */
	CCR_UNSURE					/* for all, some or none */
} CcrCertainty;

#define CCR_MAX_CALLS	200		/* of one batch node: each is a column */
#define CCR_GUARD_ROOM	10000	/* nodes of guards for any expression, beside
								 * twice its own size */

/* A call, in the terms of the expression that holds it. */
typedef struct CcrCall
{
	FuncExpr   *call;
	List	   *guard;			/* all must be true; NIL: always called */
	BoolExpr   *alternatives;	/* the guard, if the call has several places */
	CcrCertainty certainty;
	int			column;			/* of its cell, once it has one; 1-based */
	Node	   *cell;			/* what the cell is read from, if no column */
} CcrCall;

/* What is looked for, and what was found. */
typedef struct CcrCalls
{
	int			varno;			/* arguments and guards may hold Vars of this
								 * only; 0: of any */
	const Bitmapset *params;	/* or no Vars, but these PARAM_EXEC parameters */
	CcrCertainty certainty;		/* of what is searched */
	const Bitmapset *passed;	/* and one of these at least */
	const Bitmapset *unset;		/* parameters that have no value yet */
	int64		room;			/* nodes that guards may still have; set by
								 * the search */
	Node	   *unmeasured;		/* is to add to that, once it matters */
	List	   *calls;			/* CcrCall; no two are equal */
	List	   *feeds;			/* CcrNodeFeed: batch nodes to be fed with the
								 * rows */
	const Bitmapset *first;		/* parameters whose init plans may be run
								 * ahead of the calls; see ccr_ahead_first() */
} CcrCalls;

/* Which rows a window's aggregates look at. */
typedef struct CcrFrame
{
	bool		covers_all;		/* all of them */
	bool		ends_early;		/* it may stop before the last one */
} CcrFrame;

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

/*
 * Add those in the arguments of aggregates, and of window functions, which have
 * a frame.
 */
extern void ccr_calls_find_in_aggregates(CcrCalls *calls, Node *node,
										 const CcrFrame *frame);

/* Add those in conditions each of which is evaluated where those before hold. */
extern void ccr_calls_find_in_quals(CcrCalls *calls, List *quals, List *guard);

/* Add those in the keys of a hash table. */
extern void ccr_calls_find_in_hash_keys(CcrCalls *calls, List *keys);

extern CcrCall *ccr_calls_member(const CcrCalls *calls, FuncExpr *call);

/*
 * In an expression, the cell of a call in place of its value, with the guard
 * for making it; to be put in other terms as calls are.  It is nothing that an
 * executor could evaluate: where no cell comes about it is taken out again.
 */
extern Node *ccr_cell_wanted(FuncExpr *call, List *guard, CcrCertainty certainty);
extern bool ccr_is_cell_wanted(Node *node);
extern FuncExpr *ccr_call_of_wanted(Node *node);

/* Can it be evaluated once too often, since no value makes it fail? */
extern bool ccr_infallible(Node *node);

/* The same of a node by itself, whatever is in it; a lookup may fail. */
extern bool ccr_may_fail_by_itself(Node *node);

/* The numbers of the PARAM_EXEC parameters in an expression. */
extern Bitmapset *ccr_params_of(Node *node);

/* Those of them without whose values the expression cannot be evaluated. */
extern Bitmapset *ccr_params_for_certain(Node *node);

/*
 * Those that sub-plans in the expression set for other parts of it, when they
 * are evaluated.
 */
extern Bitmapset *ccr_params_set_by(Node *node);

#endif							/* CCR_SCAN_CALLS_H */
