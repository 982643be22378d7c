/*-------------------------------------------------------------------------
 *
 * carrier.h
 *	  What carries a batch: a connection to a foreign server, or a local
 *	  executor.
 *
 * Other projects call it a transport.  A carrier is a state machine that never
 * blocks.  It says which sockets it waits for (a local executor has none: it
 * sets the latch).  Its step function is called when one is ready, and it
 * calls its owner back.  It knows nothing of batches.
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
	CCR_CARRIER_IDLE,			/* next: BUSY, when it is given something to
								 * do; DEAD, if the far side closes it */
	CCR_CARRIER_BUSY,			/* next: IDLE, CANCELLING or DEAD */
	CCR_CARRIER_CANCELLING,		/* waits for the end of both the cancel
								 * request and the query; next: IDLE, or DEAD
								 * if that takes long */
	CCR_CARRIER_DEAD			/* closed; the owner frees it */
} CcrCarrierState;

typedef enum CcrOp
{
	CCR_OP_NONE,
	CCR_OP_CLEAN,				/* empty the far session: see adopt() */
	CCR_OP_PREPARE,				/* prepare a named statement */
	CCR_OP_DESCRIBE,			/* prepare a named or unnamed one, and
								 * describe it */
	CCR_OP_EXECUTE
} CcrOp;

/* A row, or the description of one, which has the types only. */
typedef struct CcrRow
{
	int			n;				/* columns */
	const Oid  *types;
	const char **values;
	const int  *lengths;		/* bytes; -1: NULL */
} CcrRow;

/* Callbacks to the owner, who may start the next operation from within. */
typedef struct CcrCarrierCalls
{
	/* connected, or IDLE again after a cancel or after done() */
	void		(*ready) (void *owner);

	/* the description that CCR_OP_DESCRIBE asked for */
	void		(*described) (void *owner, const CcrRow *row);

	/* one row; return false to get no more of them */
	bool		(*row) (void *owner, const CcrRow *row);

	/*
	 * The operation has ended; error is NULL if it succeeded.  After EXECUTE
	 * the carrier may still be BUSY, as it leaves the far session as it was
	 * found: then ready() follows.
	 */
	void		(*done) (void *owner, CcrOp op, const CcrError *error);

	/*
	 * The carrier is DEAD: it could not connect, or was lost while op was
	 * under way.  op is CCR_OP_NONE if no operation had been begun.
	 */
	void		(*dead) (void *owner, CcrOp op, const CcrError *error);

	/*
	 * The carrier lacks a descriptor for a socket: close another carrier that
	 * is idle.  Return false if there is none.
	 */
	bool		(*spare) (void *owner);
} CcrCarrierCalls;

typedef struct CcrCarrier CcrCarrier;

typedef struct CcrCarrierOps
{
	/*
	 * Tell an idle carrier that the next operation is for a lookup of this
	 * owner.  True if it starts CCR_OP_CLEAN first: bodies of another owner's
	 * lookups may have left something in the far session, even prepared
	 * statements with our names.
	 */
	bool		(*adopt) (CcrCarrier *carrier, Oid owner);

	/*
	 * Start an operation on an idle carrier.  If query->statement is "", the
	 * SQL text is executed without a prepared statement.
	 */
	void		(*prepare) (CcrCarrier *carrier, const CcrQuery *query, bool describe);
	void		(*execute) (CcrCarrier *carrier, const CcrQuery *query);

	/*
	 * End the operation that is under way.  done() is not called; ready() or
	 * dead() follows.
	 */
	void		(*cancel) (CcrCarrier *carrier);

	/* Close it; dead() is called with the error unless it is NULL. */
	void		(*close) (CcrCarrier *carrier, const CcrError *error);
	void		(*free) (CcrCarrier *carrier);

	/*
	 * Is there a pooler in between that may give us another session each
	 * time?
	 */
	bool		(*pooled) (const CcrCarrier *carrier);

	/* Should an idle carrier be closed because it holds too much memory? */
	bool		(*is_worn) (const CcrCarrier *carrier);

	/* What to do when a socket of it is ready. */
	void		(*step) (CcrCarrier *carrier, int fd, int events);
} CcrCarrierOps;

/* What every carrier begins with. */
struct CcrCarrier
{
	const CcrCarrierOps *ops;
	CcrCarrierState state;
	CcrOp		op;				/* under way, until the owner was told how it
								 * ended */
	const CcrCarrierCalls *calls;
	void	   *owner;
	MemoryContext context;
	HTAB	   *statements;		/* prepared ones, by name */
	MemoryContext row_context;	/* of these arrays: the row that is handed
								 * over */
	int			room;			/* columns that they have room for */
	Oid		   *types;
	const char **values;
	int		   *lengths;
};

#define CCR_CANCEL_GRACE		5000	/* ms from a cancel to the end */

/*
 * Initialise a new carrier, which is CONNECTING and has a context of its own.
 */
extern void ccr_carrier_init(CcrCarrier *carrier, const CcrCarrierOps *ops,
							 const CcrCarrierCalls *calls, void *owner,
							 MemoryContext context);

/* The statements that are prepared on it. */
extern bool ccr_carrier_knows(const CcrCarrier *carrier, const char *statement);
extern int	ccr_carrier_statements(const CcrCarrier *carrier);
extern void ccr_carrier_remember(CcrCarrier *carrier, const char *statement);
extern void ccr_carrier_forget_statements(CcrCarrier *carrier);

/*
 * Make room for n columns.  True if the arrays were replaced, without their
 * contents.
 */
extern bool ccr_carrier_make_room(CcrCarrier *carrier, int n);

/* The row that the first n columns of these arrays are. */
extern CcrRow ccr_carrier_row(const CcrCarrier *carrier, int n);

#endif							/* CCR_CARRIER_H */
