/*-------------------------------------------------------------------------
 *
 * remote.h
 *	  One connection to a foreign server, as a state machine.
 *
 * Nothing here blocks.  The owner waits for the descriptors that a connection
 * names, calls ccr_remote_step() when they are ready, and is called back.
 * Knows no shared memory and nothing of batches.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_REMOTE_H
#define CCR_REMOTE_H

#include "answer.h"
#include "cancel.h"
#include "libpq-fe.h"
#include "timer.h"

typedef enum CcrRemoteState
{
	CCR_REMOTE_CONNECTING,		/* next: IDLE or DEAD */
	CCR_REMOTE_IDLE,			/* may be given something to do: BUSY; DEAD if
								 * the far side closes it */
	CCR_REMOTE_BUSY,			/* next: IDLE, CANCELLING or DEAD */
	CCR_REMOTE_CANCELLING,		/* waits for the end of both the cancel and
								 * the query: IDLE; DEAD if that takes long */
	CCR_REMOTE_DEAD				/* closed; the owner frees it */
} CcrRemoteState;

typedef enum CcrRemoteOp
{
	CCR_OP_NONE,
	CCR_OP_PREPARE,				/* a named statement */
	CCR_OP_DESCRIBE,			/* the same, or the unnamed one, and describe */
	CCR_OP_EXECUTE
} CcrRemoteOp;

/* What the owner is told; it may start the next thing from within. */
typedef struct CcrRemoteCalls
{
	/* connected, or done with what a cancel ended */
	void		(*ready) (void *owner);

	/* the description that CCR_OP_DESCRIBE asked for */
	void		(*described) (void *owner, const PGresult *result);

	/* one row; false: don't hand over more of them */
	bool		(*row) (void *owner, const PGresult *result);

	/* the end of what was to be done; error is NULL if it went well */
	void		(*done) (void *owner, CcrRemoteOp op, const CcrError *error);

	/* it is DEAD: could not connect, or was lost with op under way */
	void		(*dead) (void *owner, CcrRemoteOp op, const CcrError *error);
} CcrRemoteCalls;

typedef struct CcrRemote CcrRemote;

/* How to connect. */
typedef struct CcrReach
{
	const char *server;			/* for messages */
	bool		password_required;
	int			noptions;
	const char **keywords;
	const char **values;
	const char *hosts;			/* in place of host, hostaddr and port; or
								 * NULL */
	const char *hostaddrs;
	const char *ports;
} CcrReach;

/* Parameters of a bulk query: binary arrays. */
typedef struct CcrParams
{
	int			n;
	const Oid  *types;
	const char *const *values;
	const int  *lengths;
} CcrParams;

/* Never fails at once: what goes wrong is told by dead(). */
extern CcrRemote *ccr_remote_open(const CcrReach *reach,
								  const CcrRemoteCalls *calls, void *owner);
extern void ccr_remote_free(CcrRemote *remote);

extern CcrRemoteState ccr_remote_state(const CcrRemote *remote);

/* Start something on an idle connection. */
extern void ccr_remote_prepare(CcrRemote *remote, const char *statement,
							   const char *sql, const CcrParams *params,
							   bool describe);

/* sql is used if statement is "". */
extern void ccr_remote_execute(CcrRemote *remote, const char *statement,
							   const char *sql, const CcrParams *params,
							   bool binary);

/* End what is under way, without telling done(): next is ready() or dead(). */
extern void ccr_remote_cancel(CcrRemote *remote);

/* Close it; dead() is called with the error unless it is NULL. */
extern void ccr_remote_close(CcrRemote *remote, const CcrError *error);

/* Statements prepared on this connection. */
extern bool ccr_remote_knows(CcrRemote *remote, const char *statement);
extern int	ccr_remote_statements(const CcrRemote *remote);

/*
 * Descriptors to wait for, at most 2, with the events wanted.  sockets_changed
 * is set, and stays set, when a wait event set made before no longer holds.
 */
typedef struct CcrWatch
{
	int			fd;
	int			events;
} CcrWatch;

extern int	ccr_remote_watch(CcrRemote *remote, CcrWatch watch[2]);
extern bool ccr_sockets_changed;

/* Go on; events are those of the connection's own socket. */
extern void ccr_remote_step(CcrRemote *remote, int fd, int events);

#endif							/* CCR_REMOTE_H */
