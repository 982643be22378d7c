/*-------------------------------------------------------------------------
 *
 * request.h
 *	  The life of a request, between a backend and a collector.
 *
 * A request lies on the heap and is owned by two sides.  The backend makes it,
 * pushes it on the mailbox of a collector and lists it in its own slot.  The
 * collector takes it from the mailbox, and completes it.  One compare-and-swap
 * of the state decides who frees it:
 *
 *	PENDING -> DONE			by the collector; the backend frees it
 *	PENDING -> ABANDONED	by the backend, which pushes it on the mailbox's
 *							other list; the collector frees it when it finds
 *							it there, and nowhere else
 *
 * A backend with many requests under way can ask for them to be announced: as
 * such a request becomes DONE, the collector puts it on a list in the
 * backend's slot.  So the backend need not look through all of its requests.
 *
 * No backend waits for an enqueued request.  It belongs to the collector from
 * the moment that it is pushed.  The collector keeps it on a list in shared
 * memory until all its items have ended.  If the collector exits, its next
 * generation finds the request there.
 *
 * A collector that was restarted knows nothing of the other requests that the
 * one before it had taken.  Those that the old one did not fail as it exited
 * are lost: their backends see that the generation has changed, and abandon
 * them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_REQUEST_H
#define CCR_REQUEST_H

#include "port/atomics.h"
#include "shared/answer.h"
#include "shared/bounds.h"
#include "shared/clock.h"
#include "shared/compat.h"
#include "shared/ledger.h"
#include "shared/party.h"
#include "shared/shmem.h"
#include "shared/source.h"
#include "utils/dsa.h"

typedef enum CcrRequestKind
{
	CCR_REQUEST_LOOKUP,			/* items to look up */
	CCR_REQUEST_ENQUEUED,		/* items that nobody waits for */
	CCR_REQUEST_FLUSH,			/* no items: end the windows of enqueued ones */
	CCR_REQUEST_DRAIN,			/* no items: end the windows of calls, too */
	CCR_REQUEST_STOP,			/* no items: fail what there is of a lookup */
	CCR_REQUEST_FORGET			/* one item, or none for all: later identical
								 * calls start flights of their own */
} CcrRequestKind;

typedef enum CcrRequestState
{
	CCR_REQUEST_PENDING,
	CCR_REQUEST_DONE,
	CCR_REQUEST_ABANDONED
} CcrRequestState;

/* How far a pending request has come; for concresce.in_flight only. */
typedef enum CcrRequestPhase
{
	CCR_PHASE_SUBMITTED,		/* in the mailbox */
	CCR_PHASE_QUEUED,			/* taken; no item sent yet */
	CCR_PHASE_IN_FLIGHT			/* some item sent */
} CcrRequestPhase;

/* Why a request as a whole has no answer. */
typedef enum CcrFailure
{
	CCR_FAILURE_NONE,
	CCR_FAILURE_UNKNOWN_SOURCE, /* describe the source again */
	CCR_FAILURE_NO_MEMORY,		/* the heap has no room for the answer */
	CCR_FAILURE_SESSION_MEMORY, /* the answer exceeds the session's bound */
	CCR_FAILURE_ROLE_MEMORY,	/* the answer exceeds the bound of the role,
								 * or of the login */
	CCR_FAILURE_TOO_MANY_SOURCES,	/* the role or the login has too many
									 * different sources */
	CCR_FAILURE_COLLECTOR_EXIT, /* before or while the items were looked up */
	CCR_FAILURE_UNKNOWN_OUTCOME,	/* as COLLECTOR_EXIT, and the items may
									 * have had an effect */
	CCR_FAILURE_TIMEOUT,		/* not done at its deadline */
	CCR_FAILURE_OTHER_SETTINGS, /* it had to be submitted again, but the
								 * session's server or key has changed since;
								 * set by the backend */
	CCR_FAILURE_INTERNAL
} CcrFailure;

typedef enum CcrAbandonReason
{
	CCR_ABANDON_CANCEL,
	CCR_ABANDON_TIMEOUT
} CcrAbandonReason;

/*
 * One item: its arguments and, if concresce.key is set, the identity behind
 * them.
 */
typedef struct CcrItem
{
	uint32		length;			/* bytes of data */
	uint32		key_offset;		/* where the identity begins within data; 0:
								 * the arguments are the identity */
	uint32		equality;		/* hash that is the same for equal arguments,
								 * if the lookup may be keyed */
	char		data[FLEXIBLE_ARRAY_MEMBER];	/* (int32 length, bytes) for
												 * each argument, -1: NULL */
} CcrItem;

#define CCR_ITEM_SIZE(length)	MAXALIGN(offsetof(CcrItem, data) + (length))

typedef struct CcrRequest
{
	pg_atomic_uint32 state;		/* CcrRequestState; see above */
	pg_atomic_uint32 phase;		/* CcrRequestPhase; collector writes */
	pg_atomic_uint32 taken;		/* generation of the collector that took it */

	/*
	 * Links.  The first two are for the lists of the mailbox.  The others are
	 * for the list of the slot or, if the request is ENQUEUED, for the
	 * collector's list of unfinished requests.
	 */
	dsa_pointer next_intake;
	dsa_pointer next_abandoned;
	dsa_pointer next;
	dsa_pointer prev;

	/* Under the slot's mutex: the list of announced requests. */
	bool		announced;		/* is on that list */
	dsa_pointer next_done;
	dsa_pointer prev_done;

	/* Written by the backend before it pushes the request. */
	dsa_pointer self;
	Size		size;			/* bytes of this block */
	Size		charged;		/* bytes that the warrant or the session was
								 * charged */
	int			charged_to;		/* slot of that session; if there is no
								 * warrant */
	uint64		id;
	CcrRequestKind kind;
	int			worker;			/* index of the mailbox */
	int			procno;
	int			pid;
	Oid			roleid;			/* in effect */
	CcrParty	party;
	Oid			dbid;
	Oid			function;
	CcrFingerprint fingerprint;
	dsa_pointer source;			/* description, or invalid; the collector
								 * wipes and frees it */
	Size		source_size;
	int			counters;		/* index */
	uint32		nitems;
	Size		nbytes;			/* of the items */
	bool		reserved;		/* its items are counted in the backlog */
	bool		in_reserve;		/* its bytes are taken from the reserve for
								 * enqueued items (bounds.h) */
	bool		announce;		/* list it in the slot when it is DONE */
	dsa_pointer account;		/* these three: of an ENQUEUED one only */
	dsa_pointer kept;			/* the kept source */
	dsa_pointer warrant;
	CcrTime		submitted;
	CcrTime		window_end;
	int			max_size;		/* items in a batch */
	int			max_bytes;
	int			coalesce;		/* CcrCoalesce, resolved */
	CcrTime		deadline;		/* at which the collector ends it; 0: none */

	/* Written by the collector before it completes the request. */
	int			failure;		/* CcrFailure */
	uint32		joined;			/* items that joined flights of others */
	int64		remote_us;		/* from the first departure to the end */
	dsa_pointer answer;			/* chain of blocks */

	char		items[FLEXIBLE_ARRAY_MEMBER];	/* MAXALIGNed CcrItem */

	/*
	 * if it is ENQUEUED, a byte for each item follows: not 0 once it has
	 * ended
	 */
} CcrRequest;

static inline CcrItem *
ccr_request_first(CcrRequest *request)
{
	return (CcrItem *) MAXALIGN(request->items);
}

static inline CcrItem *
ccr_item_next(CcrItem *item)
{
	return (CcrItem *) ((char *) item + CCR_ITEM_SIZE(item->length));
}

/*
 * A byte for each item of an enqueued request: not 0 once the item has ended.
 */
static inline uint8 *
ccr_request_ended(CcrRequest *request)
{
	return (uint8 *) ccr_request_first(request) + request->nbytes;
}

/* The bytes that make two items of a source identical. */
static inline const char *
ccr_item_key(const CcrItem *item, uint32 *length)
{
	*length = item->length - item->key_offset;
	return item->data + item->key_offset;
}

/* Backend. */

/*
 * Make a request with room for items of nbytes in all (each CCR_ITEM_SIZE) and
 * a description of length bytes.  Nobody else can see it yet.  NULL if the
 * heap has no room for it.  Then ccr_request_no_room() raises the error: 54000
 * if the heap is too small for it, 53400 if the session or its role holds too
 * much, else 53200.
 */
extern CcrRequest *ccr_request_new(CcrRequestKind kind, uint32 nitems,
								   Size nbytes, const char *source,
								   Size length);
CCR_NORETURN extern void ccr_request_no_room(Size nbytes);
extern void ccr_request_submit(CcrRequest *request);

/* Backend: an enqueued one that has taken of the reserve (bounds.h). */
extern void ccr_request_reserve(CcrRequest *request);

/*
 * Submit in two steps, so that many requests can be pushed at once.
 * ccr_request_open() makes a request visible and counts its calls.
 * ccr_requests_push() pushes a chain of open requests of one mailbox, linked
 * from the newest by next_intake; a signal handler may call it.
 * ccr_request_withdraw() ends a request that was opened and not pushed.
 */
extern void ccr_request_open(CcrRequest *request);
extern void ccr_requests_push(CcrRequest *newest, CcrRequest *oldest);
extern void ccr_request_withdraw(CcrRequest *request);

/* The announced request that has been DONE for longest, or NULL. */
extern CcrRequest *ccr_request_next_done(void);

/*
 * Push an enqueued request, which is the collector's from then on.  Raises no
 * error.
 */
extern void ccr_request_push(CcrRequest *request);

/* Is the collector gone that took it, so that it will never be completed? */
extern bool ccr_request_lost(CcrRequest *request);

/* Give it up, whatever its state.  The caller must not touch it again. */
extern void ccr_request_abandon(CcrRequest *request, CcrAbandonReason reason);

/* Free a request that is DONE, or was never submitted. */
extern void ccr_request_free(CcrRequest *request);

/* Collector. */

/* Take all that was pushed, oldest first; follow next_intake. */
extern CcrRequest *ccr_request_take(CcrMailbox *mailbox);

/* The next one of the list, or NULL. */
extern CcrRequest *ccr_request_following(CcrRequest *request);

/*
 * ccr_requests_take_abandoned() moves all requests that were abandoned to a list
 * of the mailbox, which outlives the collector.  ccr_requests_free_abandoned()
 * calls leave() for each one on it for which which() is true, and frees it.  If
 * leave() raises an error, the request stays on the list, as do the others.
 */
extern void ccr_requests_take_abandoned(CcrMailbox *mailbox);
extern void ccr_requests_free_abandoned(CcrMailbox *mailbox,
										bool (*which) (CcrRequest *),
										void (*leave) (CcrRequest *));

/*
 * Raise an error unless the request has as many items and bytes as it says,
 * and each item has nargs arguments (0: any number).  Call this before any
 * item is read.
 */
extern void ccr_request_check(CcrRequest *request, int nargs);

/* Take the description of the source, wiping it from shared memory. */
extern CcrSource *ccr_request_source(CcrRequest *request);

/*
 * Append a block to the answer.  If there is no room for it, the failure that
 * is returned says whose bound it would exceed.
 */
extern CcrFailure ccr_request_answer(CcrRequest *request,
									 const CcrAnswerDraft *draft);

/*
 * Complete a request: its backend owns it from then on.  False if the backend
 * has abandoned it; then it will be found on the abandoned list.  The backend
 * is woken only by ccr_requests_wake(), which must be called before the
 * collector sleeps, once there is nothing more urgent to do.
 */
extern bool ccr_request_complete(CcrRequest *request, CcrFailure failure);
extern void ccr_requests_wake(void);

/* Have ccr_requests_wake() wake this process, too. */
extern void ccr_request_wake_later(int procno);

/*
 * The enqueued requests that were taken and have not ended: the first, and the
 * one after another.  ccr_request_end() takes one off the list and frees it.
 */
extern CcrRequest *ccr_request_unfinished(CcrMailbox *mailbox);
extern CcrRequest *ccr_request_next_unfinished(CcrRequest *request);
extern void ccr_request_end(CcrRequest *request);

#endif							/* CCR_REQUEST_H */
