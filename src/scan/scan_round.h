/*-------------------------------------------------------------------------
 *
 * scan_round.h
 *	  Rounds: the rows that a batch node has read ahead, and the calls that it
 *	  looks up for them.
 *
 * A round is filled with rows.  Then its calls are looked up in stages.  In a
 * stage one request is sent for each of its calls.  A call whose arguments or
 * guard need the result of another call is in a later stage than that.  When
 * all stages have ended, the rows can be emitted.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SCAN_ROUND_H
#define CCR_SCAN_ROUND_H

#include "call/caller.h"
#include "call/pending.h"
#include "lib/ilist.h"
#include "nodes/execnodes.h"
#include "scan/cell.h"

/* A call, as the executor has it. */
typedef struct CcrScanCall
{
	Oid			function;
	bool		strict;
	bool		returns_set;
	CcrDefinitionRef ref;
	int			nargs;
	ExprState **args;
	int16	   *arglens;		/* pg_type.typlen */
	ExprState  *guard;			/* NULL: none */
	int			stage;
	Bitmapset  *params;			/* PARAM_EXEC parameters that arguments and
								 * guard refer to */
	Bitmapset  *sure_params;	/* those of them that SQL needs for any row,
								 * before anything that may fail */
	bool		unsure;			/* it is looked up only after it was needed
								 * once */
	bool		infallible;		/* its arguments and guard cannot fail */
	CcrCellMaker maker;
	CcrCaller	caller;			/* for whom it was looked up last */
	Bitmapset  *uses;			/* indexes of the calls whose results
								 * arguments and guard read */
	int			attempt;		/* after a failure: how many rows to look up
								 * next; 0 or 1: it is called plainly */

	Expr	   *shown;			/* for EXPLAIN */
} CcrScanCall;

/* The counts that EXPLAIN ANALYZE shows; parallel workers share them. */
typedef struct CcrCallCounts
{
	pg_atomic_uint64 keys;		/* looked up */
	pg_atomic_uint64 coalesced; /* of these, joined a flight of another call */
	pg_atomic_uint64 remote_us;
} CcrCallCounts;

typedef struct CcrScanCounts
{
	pg_atomic_uint64 rounds;
	CcrCallCounts calls[FLEXIBLE_ARRAY_MEMBER];
} CcrScanCounts;

/* What became of one call for one row. */
typedef struct CcrCallState
{
	CcrAnswerCopy *answered;	/* NULL: there is no answer */
	int			item;			/* index of its item, or one of these: */
} CcrCallState;

#define CCR_NOT_ASKED	(-1)	/* the guard is false, or cannot be evaluated
								 * ahead */
#define CCR_NO_CALL		(-2)	/* STRICT and an argument is NULL */
#define CCR_NOT_YET		(-3)	/* the request was full */
#define CCR_FAILED		(-4)	/* an error came before it could be looked up */
#define CCR_NOT_READY	(-5)	/* an unsure call that was not needed yet, or
								 * an init plan that it needs has not been run */

/* The request under way for one call. */
typedef struct CcrCallRequest
{
	CcrItems	items;
	CcrPending *pending;		/* NULL: none */
	Size		bytes;			/* of arguments, about */
	CcrCallState *looked;		/* by row */
} CcrCallRequest;

/*
 * The rows that a child emits for one value each of its parameters, in a round
 * that holds those for many.
 */
typedef struct CcrGroup
{
	Datum	   *values;			/* by key of the node's */
	bool	   *nulls;
	int			first;			/* of its rows */
	int			end;			/* after the last */
} CcrGroup;

typedef struct CcrRound
{
	MemoryContext context;
	int			nrows;
	int			room;			/* for rows */
	int			next;			/* row to be emitted */
	uint64		first;			/* rows of the node's that came before */
	MinimalTuple *rows;
	Size		bytes;			/* of them */
	ItemPointerData *tids;		/* NULL: no cursor needs them */
	Oid			tableoid;
	int			stage;			/* under way; nstages: complete */
	CcrCallRequest *asked;		/* by call; NULL: it has not been started */
	CcrGroup   *groups;			/* NULL: the parameters are as they stand */
	int			ngroups;
	int			max_groups;
	int			next_group;		/* that is likely to be asked for */
} CcrRound;

/* A parameter by which the rows of a group are known. */
typedef struct CcrKeyParam
{
	int			id;
	int16		typlen;
	bool		typbyval;
} CcrKeyParam;

/*
 * The rows of a node's own two rounds feed the first two of another one's; those
 * that it was fed feed the next two.  So loops are batched this many deep.
 */
#define CCR_FED_DEPTH	4
#define CCR_FED_ROUNDS	(2 * CCR_FED_DEPTH)

typedef struct CcrScan
{
	ScanState  *node;
	CcrRound	rounds[2];		/* of the rows that the child emits at present */
	CcrRound	fed[CCR_FED_ROUNDS];	/* of those that it emitted for a
										 * batch node around */
	int			nkeys;			/* of the groups in these; 0: it is not fed */
	CcrKeyParam *keys;
	Bitmapset  *key_params;		/* the same, for the executor */
	bool		strayed;		/* the child was run for groups since SQL ran
								 * it */
	CcrRound   *ran_for;		/* it was run last for the last group of this
								 * round, if that has one; NULL: not so */
	CcrRound   *serving;		/* one of fed whose rows are emitted, or NULL */
	int			end;			/* after the last of these */
	struct CcrFeed *feeds;		/* whom it feeds */
	int			nfeeds;
	int			plan_node_id;
	dlist_node	link;			/* see scan_feed.c */
	int			ncolumns;		/* of the child */
	int			ncalls;
	CcrScanCall *calls;
	int			nstages;
	int			max_size;		/* rows in a round, at most, for now */
	int			usual;			/* what they have at first, if there is room */
	int			largest;		/* that they may become */
	int			good;			/* rounds since one was too much */
	int			patience;		/* so many before they grow */
	int			max_bytes;
	bool		whole;			/* see CcrDemand */
	TupleTableSlot *held;		/* for the row of a round */
	uint64		nrows;			/* read so far */
	ScanState  *scanned;		/* whose rows the child emits; NULL: no
								 * table's */
	CcrScanCounts *counts;
	ExprState  *count;			/* limit, or NULL */
	ExprState  *offset;
} CcrScan;

/* Make room for n rows, and read one.  False: there are no more. */
extern void ccr_round_begin(CcrScan *scan, CcrRound *round, int n);
extern bool ccr_round_read(CcrScan *scan, CcrRound *round);

/* Forget the rows from one on. */
extern void ccr_round_cut(CcrScan *scan, CcrRound *round, int row);

/*
 * ccr_round_start() starts the first stage.  ccr_round_advance() goes on as
 * far as it can without waiting.  ccr_round_finish() waits until all stages
 * have ended.
 */
extern void ccr_round_start(CcrScan *scan, CcrRound *round);
extern void ccr_round_advance(CcrScan *scan, CcrRound *round);
extern void ccr_round_finish(CcrScan *scan, CcrRound *round);

/*
 * Put a row and its cells into the node's scan slot, in the current context.
 */
extern TupleTableSlot *ccr_round_emit(CcrScan *scan, CcrRound *round, int row);

/* The same of a row for which nothing is asked yet: its columns alone. */
extern void ccr_round_load(CcrScan *scan, CcrRound *round, int row);

/* Forget what calls found for all rows if somebody else reads on. */
extern void ccr_scan_check_caller(CcrScan *scan);

/* Is SQL bound to come to all rows, unless it comes to an error? */
extern bool ccr_scan_comes_to_all(const CcrScan *scan);

/* How many rows are to be read; -1: all. */
extern int64 ccr_scan_limit(const CcrScan *scan);

/* How much may be asked for together, by the settings. */
extern void ccr_scan_take_bounds(CcrScan *scan);

/* What a call goes by is also what those in its arguments go by. */
extern void ccr_scan_set_terms(CcrScanCall *call);

/* Forget its rows, and drop the requests that are under way for them. */
extern void ccr_round_clear(CcrScan *scan, CcrRound *round);

/* The current definition of a call's lookup. */
extern CcrDefinition *ccr_scan_definition(CcrScanCall *call);

#endif							/* CCR_SCAN_ROUND_H */
