/*-------------------------------------------------------------------------
 *
 * attempt.h
 *	  Attempts to connect to a foreign server.
 *
 * An attempt goes through these states:
 *
 *   lacking        waits for a file descriptor: until ccr_attempts_wake(), or
 *      |           until an idle connection was closed
 *      |  seek_descriptor()
 *      v
 *   connecting     waits for the socket
 *      |  ^
 *      |  |        take_step(); step_handshake()
 *      v  |
 *   handshake      PQconnectPoll() is called once, in a thread; or waits until its
 *      |           server may have one more of these threads
 *      |  end_connected(), fail_attempt()
 *      v
 *   calls->connected() or calls->failed()
 *
 * If an address does not answer in time, the attempt begins anew without it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_ATTEMPT_H
#define CCR_ATTEMPT_H

#include "collector/offload.h"
#include "collector/reach.h"
#include "collector/sockets.h"
#include "collector/timer.h"
#include "shared/answer.h"

/*
 * Callbacks to the owner.  They come from within ccr_attempt_step() or a
 * timer.
 */
typedef struct CcrAttemptCalls
{
	/*
	 * connected; from now on the connection and its descriptor are the
	 * owner's
	 */
	void		(*connected) (void *owner, PGconn *conn);
	void		(*failed) (void *owner, const CcrError *error);

	/* no descriptor is left: close an idle connection; false if none is idle */
	bool		(*spare) (void *owner);
} CcrAttemptCalls;

typedef struct CcrAttempt
{
	const CcrReach *reach;
	const CcrAttemptCalls *calls;
	void	   *owner;
	MemoryContext context;
	PGconn	   *conn;			/* or NULL */
	CcrSocket	socket;			/* of conn, unless a handshake has conn */
	CcrSocket	handshake_socket;	/* tells that the thread is done */
	bool		wants_write;
	int			entry;			/* of the address list that is being tried */
	Bitmapset  *silent;			/* entries that did not answer in time */
	CcrOffload *handshake;		/* not NULL: a thread uses conn */
	CcrTimer	handshake_timer;	/* fires if it computes for long */
	bool		queued;			/* waits for a thread */
	dlist_node	queue_node;
	bool		lacking;		/* waits for a descriptor */
	dlist_node	lacking_node;
	CcrTime		give_up_at;		/* while it does */
	CcrTimer	deadline;
	CcrError   *error;			/* found before there was a connection */
} CcrAttempt;

/*
 * Begin an attempt.  No callback is called before this returns.  `owner` is
 * passed to the callbacks, and is the owner of the attempt's sockets.
 * Whatever the attempt allocates, errors included, is in the context.
 */
extern void ccr_attempt_begin(CcrAttempt *attempt, const CcrReach *reach,
							  const CcrAttemptCalls *calls, void *owner,
							  MemoryContext context);

/* To be called when a socket of the attempt is ready. */
extern void ccr_attempt_step(CcrAttempt *attempt, int fd);

/* Give it up, unless it has ended. */
extern void ccr_attempt_abandon(CcrAttempt *attempt);

/*
 * ccr_attempts_lack(): does any attempt wait for a descriptor?
 * ccr_attempts_wake(): a descriptor or a thread has become free.
 */
extern bool ccr_attempts_lack(void);
extern void ccr_attempts_wake(void);

#endif							/* CCR_ATTEMPT_H */
