/*-------------------------------------------------------------------------
 *
 * handshake.h
 *	  Steps of PQconnectPoll(), taken in threads of their own.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_HANDSHAKE_H
#define CCR_HANDSHAKE_H

#include "libpq-fe.h"

typedef struct CcrHandshake CcrHandshake;

typedef enum CcrHandshakeStart
{
	CCR_HANDSHAKE_STARTED,
	CCR_HANDSHAKE_LATER,		/* as many as there may be are under way */
	CCR_HANDSHAKE_REFUSED,		/* a step of the same peer was given up, and
								 * has not ended; or too many of the server's */
	CCR_HANDSHAKE_FAILED		/* no thread is to be had */
} CcrHandshakeStart;

/*
 * Take one step.  Until it has ended or is given up, the connection is not to
 * be touched.  server, peer: numbers that stand for the foreign server, and for
 * one address of it and one user.
 */
extern CcrHandshakeStart ccr_handshake_start(PGconn *conn, uint64 server, uint64 peer,
											 CcrHandshake **handshake);

/* Would a step of this server not have to come LATER? */
extern bool ccr_handshake_has_room(uint64 server);

/* Descriptor that becomes readable at the end. */
extern int	ccr_handshake_socket(CcrHandshake *handshake);

/* True once it has ended, and is freed. */
extern bool ccr_handshake_ended(CcrHandshake *handshake,
								PostgresPollingStatusType *wants);

/* The step goes on, with the least priority. */
extern void ccr_handshake_lower(CcrHandshake *handshake);

/* Give it up.  The connection is closed when the step has ended. */
extern void ccr_handshake_abandon(CcrHandshake *handshake);

#endif							/* CCR_HANDSHAKE_H */
