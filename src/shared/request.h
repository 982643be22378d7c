/*-------------------------------------------------------------------------
 *
 * request.h
 *	  The life of a request, between a backend and a collector.
 *
 * A request lies on the heap and is owned by two sides.  The backend makes
 * it, pushes it on the mailbox of a collector and lists it in its slot.  The
 * collector takes it, and completes it.  One compare-and-swap decides who
 * frees it:
 *
 *	PENDING -> DONE			by the collector; the backend frees it
 *	PENDING -> ABANDONED	by the backend, which pushes it on the mailbox's
 *							other list; the collector frees it when it finds
 *							it there, and nowhere else
 *
 * A backend with many requests under way can have them announced: the collector
 * lists one in the slot in the moment it becomes DONE, so that nobody has to
 * look through all of them.
 *
 * An enqueued request has no backend that waits for it.  It is given to the
 * collector for good, which holds it on a list in shared memory until all its
 * items have ended: there the next generation finds it.
 *
 * A collector that starts anew knows nothing of what the one before it had
 * taken.  What that one did not fail as it exited is lost: its backends see
 * that the generation changed, and abandon it.
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
	CCR_FAILURE_NO_MEMORY,		/* the answer exceeds concresce.shared_memory, */
	CCR_FAILURE_SESSION_MEMORY, /* or what the session may have of it, */
	CCR_FAILURE_ROLE_MEMORY,	/* or its role */
	CCR_FAILURE_TOO_MANY_SOURCES,	/* the role has too many different ones */
	CCR_FAILURE_COLLECTOR_EXIT, /* before or while the items were looked up */
	CCR_FAILURE_UNKNOWN_OUTCOME,	/* the same, and they may have had an
									 * effect */
	CCR_FAILURE_TIMEOUT,		/* not done at its deadline */
	CCR_FAILURE_OTHER_SETTINGS, /* to be submitted again, but the session's
								 * server or key is another by now; set by the
								 * backend */
	CCR_FAILURE_INTERNAL
} CcrFailure;

typedef enum CcrAbandonReason
{
	CCR_ABANDON_CANCEL,
	CCR_ABANDON_TIMEOUT
} CcrAbandonReason;

/* One item: its arguments, and what identifies it if that is not them. */
typedef struct CcrItem
{
	uint32		length;			/* bytes of data */
	uint32		key_offset;		/* of the identity within data; 0: all of it */
	uint32		equality;		/* the same for items of equal arguments, if
								 * the lookup may be keyed */
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
	 * Links.  The first two belong to the mailbox, the others to the slot; or
	 * to the list of what the collector holds, if it is ENQUEUED.
	 */
	dsa_pointer next_intake;
	dsa_pointer next_abandoned;
	dsa_pointer next;
	dsa_pointer prev;

	/* Under the slot's mutex: the list of announced requests. */
	bool		announced;		/* is on it */
	dsa_pointer next_done;
	dsa_pointer prev_done;

	/* Written by the backend before it pushes the request. */
	dsa_pointer self;
	Size		size;			/* bytes of this block */
	Size		charged;		/* bytes, to the warrant or, if it is none's, */
	int			charged_to;		/* to the session in this slot */
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
	bool		reserved;		/* items are counted in the backlog */
	bool		announce;		/* list it in the slot when it is DONE */
	dsa_pointer account;		/* these three of an ENQUEUED one only */
	dsa_pointer kept;			/* source */
	dsa_pointer warrant;
	CcrTime		submitted;
	CcrTime		window_end;
	int			max_size;		/* items in a batch */
	int			max_bytes;
	int			coalesce;		/* CcrCoalesce, resolved */
	CcrTime		deadline;		/* the collector is to see to it; or 0 */

	/* Written by the collector before it completes the request. */
	int			failure;		/* CcrFailure */
	uint32		joined;			/* items that joined another's flight */
	int64		remote_us;		/* from the first departure to the end */
	dsa_pointer answer;			/* chain of blocks */

	char		items[FLEXIBLE_ARRAY_MEMBER];	/* MAXALIGNed CcrItem */
	/* if it is ENQUEUED, a byte for each item follows: not 0 if it ended */
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

/* Which items of an enqueued request have ended. */
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
 * A request with room for items of nbytes in all (each CCR_ITEM_SIZE) and a
 * description of length bytes, not yet visible to anyone.  NULL if the heap
 * has no room for it; no_room says so: 54000 if it can never have, 53400 if the
 * session or its role holds too much, else 53200.
 */
extern CcrRequest *ccr_request_new(CcrRequestKind kind, uint32 nitems,
								   Size nbytes, const char *source,
								   Size length);
CCR_NORETURN extern void ccr_request_no_room(Size nbytes);
extern void ccr_request_submit(CcrRequest *request);

/*
 * The same in two steps, so that many can be pushed at once: open makes it
 * visible and counts its calls; push takes a chain of open ones of one
 * mailbox, linked from the newest by next_intake.  push can be called by a
 * signal handler.  withdraw ends one that was opened and not pushed.
 */
extern void ccr_request_open(CcrRequest *request);
extern void ccr_requests_push(CcrRequest *newest, CcrRequest *oldest);
extern void ccr_request_withdraw(CcrRequest *request);

/* The announced request that has been DONE for longest, or NULL. */
extern CcrRequest *ccr_request_next_done(void);

/* Give away an enqueued request.  Raises no error. */
extern void ccr_request_push(CcrRequest *request);

/* The collector that has it is gone, and will not complete it. */
extern bool ccr_request_lost(CcrRequest *request);

/* Leave it, whatever its state; it must not be touched again. */
extern void ccr_request_abandon(CcrRequest *request, CcrAbandonReason reason);

/* Free a request that is DONE, or was never submitted. */
extern void ccr_request_free(CcrRequest *request);

/* Collector. */

/* Take all that was pushed, oldest first; follow next_intake. */
extern CcrRequest *ccr_request_take(CcrMailbox *mailbox);

/* Add all that were abandoned to a list, linked by next_abandoned; or one. */
extern void ccr_request_take_abandoned(CcrMailbox *mailbox, CcrRequest **kept);
extern void ccr_request_keep_abandoned(CcrRequest *request, CcrRequest **kept);

/* Give one back, for the next generation to take. */
extern void ccr_request_return_abandoned(CcrRequest *request);
extern CcrRequest *ccr_request_following(CcrRequest *request);
extern CcrRequest *ccr_request_following_abandoned(CcrRequest *request);

/*
 * Raises an error unless the items are as many as it says, take as many bytes,
 * and each has so many arguments (0: not looked at).  To be done before any of
 * them is read.
 */
extern void ccr_request_check(CcrRequest *request, int nargs);

/* Detach the description of the source, wiping it from shared memory. */
extern CcrSource *ccr_request_source(CcrRequest *request);

/*
 * Append a block to the answer.  If there is no room for it, the failure says
 * whose bound it would exceed.
 */
extern CcrFailure ccr_request_answer(CcrRequest *request,
									 const CcrAnswerDraft *draft);

/*
 * Hand it to its backend.  False: abandoned, and to be released in time.  The
 * backend is woken by ccr_requests_wake(): to be called once there is nothing
 * more urgent to do, and before going to sleep.
 */
extern bool ccr_request_complete(CcrRequest *request, CcrFailure failure);
extern void ccr_requests_wake(void);

/* To be woken with those whose requests are complete. */
extern void ccr_request_wake_later(int procno);

/* Free a request found on the list of abandoned ones. */
extern void ccr_request_release(CcrRequest *request);

/* The enqueued requests that are held, and the end of one of them. */
extern CcrRequest *ccr_request_unfinished(CcrMailbox *mailbox);
extern CcrRequest *ccr_request_next_unfinished(CcrRequest *request);
extern void ccr_request_end(CcrRequest *request);

#endif							/* CCR_REQUEST_H */
