/*-------------------------------------------------------------------------
 *
 * future.h
 *	  Calls that a session has started and will ask for later.
 *
 * A future is known by a request id.  Its life:
 *
 *	running		its request is under way
 *	arrived		its answer could be taken without a wait: the request is done, or
 *				is lost, or has timed out
 *	settled		its value or its error is in this process
 *	ended		awaited or cancelled: only its id is remembered
 *
 * When the transaction or subtransaction that started it ends, the future is
 * ended and forgotten.
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
	bool		held;			/* arrived, and its answer is still in shared
								 * memory */
	dlist_node	held_node;
	bool		settled;
	ErrorData  *error;			/* once settled: the error, if not NULL */
	bool		isnull;			/* or the value */
	bool		byref;
	Datum		value;

	uint64		watch;			/* the watch that it belongs to, if that is
								 * still the current one */
	bool		fresh;			/* is on the watch's list of arrived ones */
	dlist_node	fresh_node;

	CcrItems	items;			/* its one item, whose bytes are in `item` */
	char		item[FLEXIBLE_ARRAY_MEMBER];
} CcrFuture;

typedef enum CcrFutureEnd
{
	CCR_FUTURE_AWAITED,
	CCR_FUTURE_CANCELLED
} CcrFutureEnd;

/*
 * Start a call, with the rights and settings that a plain call would run with.
 */
extern CcrFuture *ccr_future_start(CcrDefinition *definition,
								   const Datum *values, const bool *nulls,
								   bool barred);

/*
 * The future of an id.  If there is none, both raise an error that says why;
 * but ccr_future_find() returns NULL if the future has ended.
 */
extern CcrFuture *ccr_future_get(int64 id);
extern CcrFuture *ccr_future_find(int64 id);

/* The type of its result, and the columns if that is a record. */
extern Oid	ccr_future_type(const CcrFuture *future, TupleDesc *tupdesc);

/* Wait until it has arrived. */
extern void ccr_future_wait(int64 id);

/*
 * Take its answer.  ccr_future_settle() raises the error of a future that
 * failed. ccr_future_settle_captured() keeps it in the future.  It then calls
 * work(), which may be NULL, in the same subtransaction, and keeps an error
 * that this raises in the same way.
 */
extern void ccr_future_settle(CcrFuture *future);
extern void ccr_future_settle_captured(CcrFuture *future, void (*work) (void *),
									   void *arg);

/* Raise the error of one that is settled and has one. */
extern void ccr_future_raise(CcrFuture *future);

extern void ccr_future_end(CcrFuture *future, CcrFutureEnd how);

/* False if there was nothing left to cancel. */
extern bool ccr_future_cancel(CcrFuture *future);

/*
 * A watch is a set of futures: it knows how many of them have not arrived, and
 * lists those that have.  There is one watch at a time: a new one ends the one
 * before.
 */
extern uint64 ccr_watch_begin(void);
extern bool ccr_watch_current(uint64 watch);
extern void ccr_watch_add(CcrFuture *future);
extern int	ccr_watch_outstanding(void);

/* A future of the watch that has arrived and was not returned yet; or NULL. */
extern CcrFuture *ccr_watch_next(void);

/*
 * ccr_watch_notice() looks which futures have arrived.  ccr_watch_wait() does
 * the same; if none has, it pushes the requests in the outbox and sleeps until
 * one arrives, or until a time (0: no limit).
 */
extern void ccr_watch_notice(void);
extern void ccr_watch_wait(CcrTime until);

#endif							/* CCR_FUTURE_H */
