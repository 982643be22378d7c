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
								 * has not ended; or too many of others */
	CCR_HANDSHAKE_FAILED		/* no thread is to be had */
} CcrHandshakeStart;

/*
 * Take one step.  Until it has ended or is given up, the connection is not to
 * be touched.  peer: a number that stands for the far side.
 */
extern CcrHandshakeStart ccr_handshake_start(PGconn *conn, uint64 peer,
											 CcrHandshake **handshake);

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
