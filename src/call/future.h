/*-------------------------------------------------------------------------
 *
 * future.h
 *	  Calls that a session has started and will ask for later.
 *
 * A future is known by a request id.  Its life:
 *
 *	running		its request is under way
 *	arrived		taking what the request brought would not have to wait: it is
 *				done, or lost, or it is beyond its time
 *	settled		its value or its error is in this process
 *	ended		awaited or cancelled: only its id is remembered
 *
 * It is ended, and forgotten, with the transaction or the subtransaction that
 * started it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_FUTURE_H
#define CCR_FUTURE_H

#include "call/pending.h"
#include "lib/ilist.h"
#include "lookup/definition.h"

typedef struct CcrFuture
{
	int64		id;
	dlist_node	node;			/* in its level's list */
	CcrDefinition *definition;	/* a reference is held */
	CcrPending *pending;		/* NULL once it is being settled */
	bool		arrived;
	bool		held;			/* arrived, and its answer is in shared memory */
	dlist_node	held_node;
	bool		settled;
	ErrorData  *error;			/* once settled: the error, if not NULL */
	bool		isnull;			/* or the value */
	bool		byref;
	Datum		value;

	uint64		watch;			/* the watch that it is under, if current */
	bool		fresh;			/* on the watch's list */
	dlist_node	fresh_node;

	CcrItems	items;			/* its one item, in: */
	char		item[FLEXIBLE_ARRAY_MEMBER];
} CcrFuture;

typedef enum CcrFutureEnd
{
	CCR_FUTURE_AWAITED,
	CCR_FUTURE_CANCELLED
} CcrFutureEnd;

/* Start a call, with the rights and settings that it would run with. */
extern CcrFuture *ccr_future_start(CcrDefinition *definition,
								   const Datum *values, const bool *nulls,
								   bool barred);

/*
 * The future of an id.  An id that has none raises an error that says why; if
 * it has ended, find returns NULL for those who can do with that.
 */
extern CcrFuture *ccr_future_get(int64 id);
extern CcrFuture *ccr_future_find(int64 id);

/* What it returns: a type, and the columns of a record. */
extern Oid	ccr_future_type(const CcrFuture *future, TupleDesc *tupdesc);

/* Wait until it has arrived. */
extern void ccr_future_wait(int64 id);

/*
 * Take what it brought.  Its error is raised; captured: it is kept in the
 * future, as is any error that work() raises, which is done after it in the
 * same subtransaction and may be NULL.
 */
extern void ccr_future_settle(CcrFuture *future);
extern void ccr_future_settle_captured(CcrFuture *future, void (*work) (void *),
									   void *arg);

/* Raise the error of one that is settled and has one. */
extern void ccr_future_raise(CcrFuture *future);

extern void ccr_future_end(CcrFuture *future, CcrFutureEnd how);

/* False: there was nothing left to be cancelled. */
extern bool ccr_future_cancel(CcrFuture *future);

/*
 * One watch at a time is over some futures: it knows how many have not arrived
 * and lists those that have.  Beginning one ends the one before.
 */
extern uint64 ccr_watch_begin(void);
extern bool ccr_watch_current(uint64 watch);
extern void ccr_watch_add(CcrFuture *future);
extern int	ccr_watch_outstanding(void);

/* One that has arrived and was not returned yet, or NULL. */
extern CcrFuture *ccr_watch_next(void);

/*
 * Take notice of what has arrived.  wait: if nothing has, push what is held
 * back, and sleep until something arrives or until a time, 0: none.
 */
extern void ccr_watch_notice(void);
extern void ccr_watch_wait(CcrTime until);

#endif							/* CCR_FUTURE_H */
