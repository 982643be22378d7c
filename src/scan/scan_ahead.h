/*-------------------------------------------------------------------------
 *
 * scan_ahead.h
 *	  What may be read ahead.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SCAN_AHEAD_H
#define CCR_SCAN_AHEAD_H

#include "scan/scan_node.h"

/* What is found out about a plan whose rows are to be read ahead. */
typedef struct CcrAhead
{
	const char *obstacle;		/* why they must not be; NULL: they may */
	bool		wavers;			/* what they are depends on the role, or on
								 * settings, that a session may change while a
								 * cursor is open */
	bool		may_waver;		/* or may do so: STABLE functions are called */
} CcrAhead;

/*
 * May more of a plan's rows be read than SQL would read, and earlier, without
 * anybody noticing?  at_once: all of them are read in any case, before
 * anything else is done.
 */
extern CcrAhead ccr_ahead_look(CcrPlanning *planning, Plan *plan,
							   bool at_once);

/*
 * May the plan be run, from its start, before SQL comes to the row that it is run
 * for?
 */
extern CcrAhead ccr_ahead_look_at_run(CcrPlanning *planning, Plan *plan);

/* The same for an expression: would evaluating it too often be noticed? */
extern bool ccr_ahead_is_volatile(CcrPlanning *planning, Node *node);

/*
 * A VOLATILE function can look at the tables, and see how far a WITH query that
 * writes has come: is there both?  To be asked before anything is moved.
 */
extern bool ccr_ahead_is_watched(PlannedStmt *stmt);

/* The same for the arguments and the guard of a call. */
extern CcrAhead ccr_ahead_look_at_call(CcrPlanning *planning,
									   const CcrCall *call);

/*
 * The init plans, by the numbers of their parameters, that can be run ahead of
 * expressions which are evaluated in this order: nothing is evaluated before
 * them that could fail or have effects, and they have none.
 */
extern Bitmapset *ccr_ahead_first(CcrPlanning *planning, List *exprs);

/* Does the statement itself change settings, by set_config()? */
extern bool ccr_ahead_sets(PlannedStmt *stmt);

/*
 * WHERE CURRENT OF looks for the scan that has emitted a cursor's current row:
 * how many scans of tables would it come upon in a plan?
 */
extern int	ccr_ahead_scans(Plan *plan);

#endif							/* CCR_SCAN_AHEAD_H */
