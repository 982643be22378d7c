/*-------------------------------------------------------------------------
 *
 * pending.h
 *	  The backend's side of a call: submit, and wait.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_PENDING_H
#define CCR_PENDING_H

#include "call/answered.h"
#include "call/items.h"
#include "call/outbox.h"
#include "call/timeout.h"
#include "lib/ilist.h"
#include "shared/request.h"
#include "utils/resowner.h"

/*
 * A request under way; or, where several collectors share the calls of a server,
 * one for each, in a chain.  It ends by being taken or dropped, in any order.
 */
typedef struct CcrPending
{
	dlist_node	node;			/* in the list of this backend's */
	struct CcrPending *rest;	/* of the chain, or NULL */
	const uint32 *places;		/* in a chain: by item, its index among all
								 * items of it; else NULL */
	bool		full;			/* the chain is a batch that is full: it waits
								 * for no company */
	CcrRequest *request;		/* NULL once it has been read */
	int			worker;			/* whose it is */
	CcrAnswerCopy *read;		/* what it brought, in the context, until it */
	MemoryContext context;		/* is taken */
	uint64		id;				/* of the request, if submitted again, too */
	bool		announce;		/* hold it back, and announce its end */
	CcrOutboxEntry held;
	CcrDefinition *definition;	/* a reference is held */
	const CcrResult *result;	/* these two belong to the caller, and must */
	const CcrItems *items;		/* last until it is taken or dropped */
	ResourceOwner owner;		/* drops it when released; NULL: the caller
								 * sees to that */
	CcrTime		deadline;		/* 0: none */
	CcrTimeout	timeout;		/* as it was when submitted */
	int			on_missing;		/* CcrOnMissing, then */
	Oid			roleid;			/* with whose rights; to submit it again */
	int			sec_context;
	uint64		settings;		/* hash of the server, or the search_path,
								 * that it was submitted with */
} CcrPending;

/* To be called before anything is submitted: what is, ends with the process. */
extern void ccr_pending_init(void);

/*
 * Start looking items up.  Waits, interruptibly, while the queue is full.
 * The result ends with the resource owner, if there is one.
 */
extern CcrPending *ccr_pending_submit(CcrDefinition *definition,
									  const CcrResult *result,
									  const CcrItems *items,
									  ResourceOwner owner);

/*
 * The same for one of many: it leaves together with others, and is announced
 * in the slot when it is done.
 */
extern CcrPending *ccr_pending_start(CcrDefinition *definition,
									 const CcrResult *result,
									 const CcrItems *items,
									 ResourceOwner owner);

/* Would taking it not have to wait? */
extern bool ccr_pending_ready(CcrPending *pending);

/* Let its timeout run from now on: nobody has waited for it yet. */
extern void ccr_pending_restart_timeout(CcrPending *pending);

/*
 * Wait for a request and take what it brought, into the current context.
 * pending is gone after this, whether it returns or raises an error.  Errors
 * of items are not raised.
 */
extern CcrAnswerCopy *ccr_pending_take(CcrPending *pending);

/*
 * The same, but a timeout, or a collector that is gone, is the failure of the
 * request and no error.
 */
extern CcrAnswerCopy *ccr_pending_try_to_take(CcrPending *pending);

/*
 * Move what a request of one item that is ready has brought out of shared
 * memory, to be taken later.
 */
extern void ccr_pending_read_out(CcrPending *pending);

/* Leave it. */
extern void ccr_pending_drop(CcrPending *pending);

/*
 * Sleep until something may have come from this collector, or for timeout
 * milliseconds; -1: no limit.
 */
extern void ccr_pending_sleep(int worker, long timeout);

/*
 * Tell a collector something that has no items, and wait until it has heard.
 * False: it has not by then.
 */
extern bool ccr_tell_collector(CcrRequestKind kind, Oid function, int worker,
							   CcrTime deadline, uint32 wait_event);

/*
 * Let later identical calls start flights of their own: those like the one
 * item, or all if there is none; of all lookups of this database if definition
 * is NULL.
 */
extern void ccr_tell_to_forget(const CcrDefinition *definition,
							   const CcrItems *items);

#endif							/* CCR_PENDING_H */
