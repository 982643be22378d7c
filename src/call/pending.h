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
 * A request under way.  Where several collectors share the calls of a server,
 * there is one for each, in a chain.  It ends when it is taken or dropped;
 * those of a backend may end in any order.
 */
typedef struct CcrPending
{
	dlist_node	node;			/* in the list of this backend's */
	struct CcrPending *rest;	/* next of the chain, or NULL */
	const uint32 *places;		/* in a chain: for each item, its index among
								 * all items of the chain; else NULL */
	bool		full;			/* the items of the chain are a full batch, so
								 * they do not wait for company */
	CcrRequest *request;		/* NULL once it has been read */
	int			worker;			/* index of its collector */
	CcrAnswerCopy *read;		/* its answer, once it was read, in: */
	MemoryContext context;
	uint64		id;				/* of the request; it stays the same if the
								 * request is submitted again */
	bool		announce;		/* hold it back, and announce its end */
	CcrOutboxEntry held;
	CcrDefinition *definition;	/* a reference is held */
	const CcrResult *result;	/* these two belong to the caller, who keeps */
	const CcrItems *items;		/* them until it is taken or dropped */
	ResourceOwner owner;		/* drops it when released; NULL: the caller
								 * has to do that */
	CcrTime		deadline;		/* 0: none */
	CcrTimeout	timeout;		/* at the time of submission */
	int			on_missing;		/* CcrOnMissing, at the same time */
	Oid			roleid;			/* rights, in case it is submitted again */
	int			sec_context;
	uint64		settings;		/* hash of the server, or the search_path,
								 * with which it was submitted */
} CcrPending;

/*
 * To be called before anything is submitted: it arranges that requests are
 * abandoned when the process exits.
 */
extern void ccr_pending_init(void);

/*
 * Submit items.  Waits, interruptibly, while the queue is full.  If there is a
 * resource owner, the request is dropped when the owner is released.
 */
extern CcrPending *ccr_pending_submit(CcrDefinition *definition,
									  const CcrResult *result,
									  const CcrItems *items,
									  ResourceOwner owner);

/*
 * The same for one of many requests: it is held back to leave together with
 * others, and is announced in the slot when it is done.
 */
extern CcrPending *ccr_pending_start(CcrDefinition *definition,
									 const CcrResult *result,
									 const CcrItems *items,
									 ResourceOwner owner);

/* Could it be taken without a wait? */
extern bool ccr_pending_ready(CcrPending *pending);

/* Let its timeout begin now, as nobody has waited for it before. */
extern void ccr_pending_restart_timeout(CcrPending *pending);

/*
 * Wait for a request and copy its answer into the current context.  pending is
 * gone after this, even if an error is raised.  Errors of items are not
 * raised.
 */
extern CcrAnswerCopy *ccr_pending_take(CcrPending *pending);

/*
 * The same, but if it times out or its collector is gone, no error is raised:
 * the copy says so in `failure`.
 */
extern CcrAnswerCopy *ccr_pending_try_to_take(CcrPending *pending);

/*
 * Copy the answer of a request that is ready, and has one item, out of shared
 * memory; it is taken later.
 */
extern void ccr_pending_read_out(CcrPending *pending);

/* Give it up: nobody wants its answer. */
extern void ccr_pending_drop(CcrPending *pending);

/*
 * Sleep until something may have come from this collector, or for timeout
 * milliseconds; -1: no limit.
 */
extern void ccr_pending_sleep(int worker, long timeout);

/*
 * Send a collector a request that has no items, such as FLUSH, and wait until
 * it is done.  False if it is not done by the deadline.
 */
extern bool ccr_tell_collector(CcrRequestKind kind, Oid function, int worker,
							   CcrTime deadline, uint32 wait_event);

/*
 * Have later calls not join flights that are under way.  This concerns calls
 * that are identical to the one item; without items all calls of the lookup;
 * and if definition is NULL, all calls of this database.
 */
extern void ccr_tell_to_forget(const CcrDefinition *definition,
							   const CcrItems *items);

#endif							/* CCR_PENDING_H */
