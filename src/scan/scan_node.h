/*-------------------------------------------------------------------------
 *
 * scan_node.h
 *	  The batch node as a plan: what the planner's side hands to the
 *	  executor's.
 *
 * It is a CustomScan whose child is its outer plan.  Its scan tuples have the
 * child's columns and, after them, one cell for each call.  Filter and target
 * list are computed from these as in any scan.  For EXPLAIN, custom_scan_tlist
 * has the calls themselves in the places of the cells; the executor side sets
 * the types of cells instead.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SCAN_NODE_H
#define CCR_SCAN_NODE_H

#include "nodes/extensible.h"
#include "nodes/plannodes.h"
#include "scan/scan_terms.h"

/* How many of a node's rows will be asked for, and in which way. */
typedef struct CcrDemand
{
	Node	   *count;			/* at most count + offset rows; NULL: there is
								 * no limit */
	Node	   *offset;
	bool		all;			/* all of them, as far as one can tell */
	bool		at_once;		/* all of them for sure, and nothing that has
								 * effects is done before the last is there */
	bool		whole;			/* all or none, unless the statement fails or
								 * its caller stops fetching */
	bool		each;			/* each row of the statement's result needs at
								 * least one of these rows */
	bool		current;		/* WHERE CURRENT OF may search for their scan */
	bool		wavers;			/* see CcrAhead */
	bool		left_above;		/* its calls are looked up with its siblings' */
} CcrDemand;

/* A plan that is not read ahead, since somebody would notice that. */
typedef struct CcrRefusal
{
	Plan	   *plan;
	const char *obstacle;
} CcrRefusal;

/* The statement that is being planned. */
typedef struct CcrPlanning
{
	PlannedStmt *stmt;
	int			last_node_id;
	int			other_nodes;	/* of other extensions, around the one that is
								 * looked at */
	bool		parallel;		/* we are below a Gather, in a part that
								 * several processes run */
	bool		cursor;			/* the statement is a declared cursor */
	bool		watched;		/* see ccr_ahead_is_watched() */
	bool		sets;			/* see ccr_ahead_sets() */
	bool		records;		/* no field is taken of a record that comes
								 * from another node, which EXPLAIN could not
								 * name without the call */
	bool		keeps_rows;		/* batch nodes keep their rows, since a SCROLL
								 * cursor goes back over them */
	List	   *init_plans;		/* SubPlan, all of the statement's */
	Bitmapset  *init_params;	/* what these give */
	Bitmapset  *varying;		/* of this, what is not the same for the whole
								 * statement */
	List	   *refusals;		/* CcrRefusal */
	List	   *apart;			/* Plan: nodes that compute sub-selects for
								 * calls above them */
	CcrReaders	readers;
	List	   *functions;		/* OIDs of functions that the plan was made to
								 * depend on */
	List	   *types;			/* the same, of types */
	List	   *passed;			/* CcrCall, whose cells sub-plans read from
								 * parameters */
	List	   *fed;			/* int: plan_node_id of the batch nodes that
								 * others feed */
} CcrPlanning;

/* A batch node whose child is to be run for the rows of another one. */
typedef struct CcrNodeFeed
{
	int			target;			/* its plan_node_id */
	int			level;			/* above those below it that are fed, too */
	int			below;			/* number of these; they come right before it */
	bool		infallible;		/* nothing makes its child fail */
	bool		wavers;			/* see CcrDemand */
	List	   *params;			/* int: PARAM_EXEC parameters to be set, */
	List	   *args;			/* to these */
	List	   *keys;			/* int: all those that it depends on */
	Bitmapset  *outer;			/* those of them that come from further out */
} CcrNodeFeed;

/*
 * Make a batch node over child.  The cells of the calls become columns after
 * those of the child, in the order of the list.  ccr_node_number() assigns
 * their numbers before, since target list and filter have to refer to them.
 * in: terms that put the calls' expressions on the scan tuple.  shown: terms
 * that put them on the child's columns, for EXPLAIN.
 */
extern void ccr_node_number(CcrCalls *calls, Plan *child);
extern Plan *ccr_node_make(CcrPlanning *planning, Plan *child,
						   const CcrCalls *calls, const CcrTerms *in,
						   const CcrTerms *shown, const CcrDemand *demand,
						   List *targetlist, List *qual);
extern bool ccr_node_is_batch(Plan *plan);

/* What the executor's side reads from the node. */
#define CCR_NODE_NAME	"ConcresceBatch"

typedef struct CcrNodeCall
{
	Oid			function;
	List	   *args;			/* over columns of the scan tuple */
	List	   *guard;
	CcrCertainty certainty;
	bool		infallible;		/* its arguments and guard are */
	Expr	   *shown;			/* for EXPLAIN */
} CcrNodeCall;

extern int	ccr_node_columns(CustomScan *node); /* of the child */
extern List *ccr_node_calls(CustomScan *node);	/* of CcrNodeCall */
extern Bitmapset *ccr_node_first(CustomScan *node); /* see CcrCalls */
extern CcrDemand ccr_node_demand(CustomScan *node);
extern List *ccr_node_feeds(CustomScan *node);	/* of CcrNodeFeed */

/* Defined by scan_exec.c. */
extern const CustomScanMethods ccr_scan_methods;

#endif							/* CCR_SCAN_NODE_H */
