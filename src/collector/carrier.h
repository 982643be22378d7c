/*-------------------------------------------------------------------------
 *
 * carrier.h
 *	  What carries a batch: a connection to a foreign server, or a local
 *	  executor.
 *
 * Other projects say transport.  Both are state machines that never block.  A
 * carrier says which sockets it waits for (a local executor has none: it sets
 * the latch), is stepped when one is ready, and calls its owner back.  It knows
 * nothing of batches.
 *
 *   CONNECTING ---------> IDLE <---------------------------+
 *       |     ready()      |                               |
 *       |                  | ops->adopt(),                 | done(),
 *       |                  | prepare(), execute()          | then ready()
 *       |                  v                               | if it has to tidy
 *       |                 BUSY ----------------------------+
 *       |                  |                               |
 *       |                  | ops->cancel()                 | ready()
 *       |                  v                               |
 *       |              CANCELLING -------------------------+
 *       |
 *       |  and from each of them: dead(), unless by ops->close(NULL)
 *       v
 *     DEAD             the owner calls ops->free()
 *
 * What both carriers have in common is in carrier.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_CARRIER_H
#define CCR_CARRIER_H

#include "shared/answer.h"
#include "shared/job.h"
#include "shared/party.h"
#include "shared/source.h"
#include "utils/hsearch.h"

typedef enum CcrCarrierState
{
	CCR_CARRIER_CONNECTING,		/* next: IDLE or DEAD */
	CCR_CARRIER_IDLE,			/* may be given something to do: BUSY; DEAD if
								 * the far side closes it */
	CCR_CARRIER_BUSY,			/* next: IDLE, CANCELLING or DEAD */
	CCR_CARRIER_CANCELLING,		/* waits for the end of both the cancel and
								 * the query: IDLE; DEAD if that takes long */
	CCR_CARRIER_DEAD			/* closed; the owner frees it */
} CcrCarrierState;

typedef enum CcrOp
{
	CCR_OP_NONE,
	CCR_OP_CLEAN,				/* see adopt() */
	CCR_OP_PREPARE,				/* a named statement */
	CCR_OP_DESCRIBE,			/* the same, or the unnamed one, and describe */
	CCR_OP_EXECUTE
} CcrOp;

/* A row, or the description of one: then only the types are of use. */
typedef struct CcrRow
{
	int			n;				/* columns */
	const Oid  *types;
	const char **values;
	const int  *lengths;		/* bytes; -1: NULL */
} CcrRow;

/* What the owner is told; it may start the next thing from within. */
typedef struct CcrCarrierCalls
{
	/* connected, or IDLE again after a cancel or after done() */
	void		(*ready) (void *owner);

	/* the description that CCR_OP_DESCRIBE asked for */
	void		(*described) (void *owner, const CcrRow *row);

	/* one row; false: don't hand over more of them */
	bool		(*row) (void *owner, const CcrRow *row);

	/*
	 * The end of what was to be done; error is NULL if it went well.  After
	 * EXECUTE, it may still be BUSY with leaving the far session as it was
	 * found: then ready() follows.
	 */
	void		(*done) (void *owner, CcrOp op, const CcrError *error);

	/*
	 * It is DEAD: could not connect, or was lost with op under way.  NONE:
	 * what was to be done had not been begun.
	 */
	void		(*dead) (void *owner, CcrOp op, const CcrError *error);

	/*
	 * It lacks a descriptor for a socket: close another one that is idle.
	 * False: there is none.
	 */
	bool		(*spare) (void *owner);
} CcrCarrierCalls;

typedef struct CcrCarrier CcrCarrier;

typedef struct CcrCarrierOps
{
	/*
	 * What an idle one does next is for a lookup of this owner.  True: bodies
	 * of another may have left something in its session, statements under our
	 * names included, which CCR_OP_CLEAN is about to end.
	 */
	bool		(*adopt) (CcrCarrier *carrier, Oid owner);

	/* Start something on an idle one.  sql is executed if statement is "". */
	void		(*prepare) (CcrCarrier *carrier, const CcrQuery *query, bool describe);
	void		(*execute) (CcrCarrier *carrier, const CcrQuery *query);

	/*
	 * End what is under way, without telling done(): next is ready() or
	 * dead().
	 */
	void		(*cancel) (CcrCarrier *carrier);

	/* Close it; dead() is called with the error unless it is NULL. */
	void		(*close) (CcrCarrier *carrier, const CcrError *error);
	void		(*free) (CcrCarrier *carrier);

	/* Does something in between share out sessions as it likes? */
	bool		(*pooled) (const CcrCarrier *carrier);

	/* Is an idle one to be closed, as it has come to hold too much? */
	bool		(*is_worn) (const CcrCarrier *carrier);

	/* What to do when a socket of it is ready. */
	void		(*step) (CcrCarrier *carrier, int fd, int events);
} CcrCarrierOps;

/* What every carrier begins with. */
struct CcrCarrier
{
	const CcrCarrierOps *ops;
	CcrCarrierState state;
	CcrOp		op;				/* under way, until its outcome was told */
	const CcrCarrierCalls *calls;
	void	   *owner;
	MemoryContext context;
	HTAB	   *statements;		/* prepared ones, by name */
	MemoryContext row_context;
	int			room;			/* for columns in these, which are in it: the
								 * row that is handed over */
	Oid		   *types;
	const char **values;
	int		   *lengths;
};

#define CCR_CANCEL_GRACE		5000	/* ms from a cancel to the end */

/* A new one, CONNECTING, in a context of its own. */
extern void ccr_carrier_init(CcrCarrier *carrier, const CcrCarrierOps *ops,
							 const CcrCarrierCalls *calls, void *owner,
							 MemoryContext context);

/* Statements that are prepared on it. */
extern bool ccr_carrier_knows(const CcrCarrier *carrier, const char *statement);
extern int	ccr_carrier_statements(const CcrCarrier *carrier);
extern void ccr_carrier_remember(CcrCarrier *carrier, const char *statement);
extern void ccr_carrier_forget_statements(CcrCarrier *carrier);

/* Room for the columns of a row.  True: what was there is gone. */
extern bool ccr_carrier_make_room(CcrCarrier *carrier, int n);

/* A row of n columns that are there. */
extern CcrRow ccr_carrier_row(const CcrCarrier *carrier, int n);

#endif							/* CCR_CARRIER_H */
