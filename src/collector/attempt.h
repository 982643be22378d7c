/*-------------------------------------------------------------------------
 *
 * attempt.h
 *	  Attempts to connect to a foreign server.
 *
 * An attempt goes through these states:
 *
 *   lacking        waits for a descriptor: for ccr_attempts_wake(), or for an
 *      |           idle connection that makes room
 *      |  seek_descriptor()
 *      v
 *   connecting     waits for the socket
 *      |  ^
 *      |  |        take_step(); step_handshake()
 *      v  |
 *   handshake      a step of PQconnectPoll() is taken in a thread, or is queued
 *      |           until its server has a share of these left
 *      |  end_connected(), fail_attempt()
 *      v
 *   calls->connected() or calls->failed()
 *
 * An address that does not answer in time is left out, and what is left of the
 * list is tried anew.
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

/* What the owner is told, from within ccr_attempt_step() or a timer. */
typedef struct CcrAttemptCalls
{
	/* the connection and its descriptor are the owner's from now on */
	void		(*connected) (void *owner, PGconn *conn);
	void		(*failed) (void *owner, const CcrError *error);

	/* close an idle connection, as there is no descriptor; false: none is */
	bool		(*spare) (void *owner);
} CcrAttemptCalls;

typedef struct CcrAttempt
{
	const CcrReach *reach;
	const CcrAttemptCalls *calls;
	void	   *owner;
	MemoryContext context;
	PGconn	   *conn;			/* or NULL */
	CcrSocket	socket;			/* it, unless a handshake has it */
	CcrSocket	handshake_socket;	/* of handshake */
	bool		wants_write;
	int			entry;			/* of the address list, that is being tried */
	Bitmapset  *silent;			/* entries that did not answer in time */
	CcrOffload *handshake;		/* has the connection */
	CcrTimer	handshake_timer;	/* it computes for long */
	bool		queued;			/* for a handshake */
	dlist_node	queue_node;
	bool		lacking;		/* waits for a descriptor */
	dlist_node	lacking_node;
	CcrTime		give_up_at;		/* while it does */
	CcrTimer	deadline;
	CcrError   *error;			/* found before there was a connection */
} CcrAttempt;

/*
 * Begin one: it calls nobody back at once.  Its sockets have the owner as
 * theirs.  What it allots, errors included, is in the context.
 */
extern void ccr_attempt_begin(CcrAttempt *attempt, const CcrReach *reach,
							  const CcrAttemptCalls *calls, void *owner,
							  MemoryContext context);

/* A socket of it is ready. */
extern void ccr_attempt_step(CcrAttempt *attempt, int fd);

/* Give it up, unless it has ended. */
extern void ccr_attempt_abandon(CcrAttempt *attempt);

/* Some wait for a descriptor; and one has been released, or a thread. */
extern bool ccr_attempts_lack(void);
extern void ccr_attempts_wake(void);

#endif							/* CCR_ATTEMPT_H */
