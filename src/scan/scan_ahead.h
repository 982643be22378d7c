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

/* What was found about a plan whose rows are to be read ahead. */
typedef struct CcrAhead
{
	const char *obstacle;		/* why they must not be; NULL: they may be */
	bool		wavers;			/* the rows depend on the role or on settings,
								 * which a session may change while a cursor
								 * is open */
	bool		may_waver;		/* they may depend on these, as the plan calls
								 * STABLE functions */
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

/* Would somebody notice if this expression was evaluated too often? */
extern bool ccr_ahead_is_volatile(CcrPlanning *planning, Node *node);

/*
 * A VOLATILE function can read the tables that a WITH query writes, and so
 * notice how far that has come.  Does the statement have both?  To be called
 * before any call is moved.
 */
extern bool ccr_ahead_is_watched(PlannedStmt *stmt);

/* As ccr_ahead_look(), for the arguments and the guard of a call. */
extern CcrAhead ccr_ahead_look_at_call(CcrPlanning *planning,
									   const CcrCall *call);

/*
 * Which init plans can be run before these expressions, which SQL evaluates in
 * the order of the list: before them SQL evaluates nothing that could fail or
 * have effects, and neither do they.  The numbers of their parameters are
 * returned.
 */
extern Bitmapset *ccr_ahead_first(CcrPlanning *planning, List *exprs);

/* Set init_params and varying, once the init plans are known. */
extern void ccr_ahead_note_init_params(CcrPlanning *planning);

/* Does the statement itself change settings, by set_config()? */
extern bool ccr_ahead_sets(PlannedStmt *stmt);

/*
 * WHERE CURRENT OF searches the plan for the scan that has emitted the
 * cursor's current row.  How many scans of tables would it find in this plan?
 */
extern int	ccr_ahead_scans(Plan *plan);

#endif							/* CCR_SCAN_AHEAD_H */
