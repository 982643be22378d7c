/*-------------------------------------------------------------------------
 *
 * offload.h
 *	  Calls of libpq that may compute for long, made in threads of their own.
 *
 *		ccr_offload_connect(), ccr_offload_read()
 *			|
 *		under way ---> ended: ccr_offload_socket() becomes readable, and
 *			|				ccr_offload_ended() gives the connection back
 *			|
 *			+--------> abandoned: the thread closes the connection at its end
 *
 * While a call is under way, nobody else may touch the connection.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_OFFLOAD_H
#define CCR_OFFLOAD_H

#include "libpq-fe.h"

#define CCR_OFFLOAD_RESULTS	256 /* taken at a time, at most */

typedef struct CcrOffload CcrOffload;

typedef enum CcrOffloaded
{
	CCR_OFFLOAD_CONNECT,		/* a step of PQconnectPoll() */
	CCR_OFFLOAD_READ			/* PQconsumeInput(), and what comes of it */
} CcrOffloaded;

typedef struct CcrOffloadResult
{
	PostgresPollingStatusType wants;	/* CONNECT */
	bool		ok;				/* READ: as PQconsumeInput() says */
	int64		used;			/* READ: us of processor time */
	uint64		noticed;		/* READ: bytes of notices */
	bool		dry;			/* READ: more has to come before there is
								 * another result */
	int			nresults;		/* READ: of PQgetResult(), NULL included */
	PGresult   *results[CCR_OFFLOAD_RESULTS];
} CcrOffloadResult;

typedef enum CcrOffloadStart
{
	CCR_OFFLOAD_STARTED,
	CCR_OFFLOAD_LATER,			/* as many as there may be are under way */
	CCR_OFFLOAD_REFUSED,		/* a step of the same peer was given up, and
								 * has not ended; or too many of the server's */
	CCR_OFFLOAD_FAILED			/* no thread is to be had */
} CcrOffloadStart;

/*
 * server, peer: numbers that stand for the foreign server, and for one address
 * of it and one user.  A READ takes the connection's notice receiver away,
 * also if it is not started.  It takes results while there are some, up to the
 * end of a pipeline; by_step: or of a command.
 */
extern CcrOffloadStart ccr_offload_connect(PGconn *conn, uint64 server, uint64 peer,
										   CcrOffload **offload);
extern CcrOffloadStart ccr_offload_read(PGconn *conn, uint64 server, bool by_step,
										CcrOffload **offload);

/* Would a step of connecting to this server not have to come LATER? */
extern bool ccr_offload_has_room(uint64 server);

/* Descriptor that becomes readable at the end. */
extern int	ccr_offload_socket(const CcrOffload *offload);

/* READ: a descriptor of the socket that is read, for as long as that goes on. */
extern int	ccr_offload_reads(const CcrOffload *offload);

/* True once it has ended, and is freed. */
extern bool ccr_offload_ended(CcrOffload *offload, CcrOffloadResult *result);

/* It goes on, with the least priority. */
extern void ccr_offload_lower(CcrOffload *offload);

/* Give back what those had that were given up, and have ended. */
extern void ccr_offload_reap(void);

/* Give it up.  The connection is closed when the call has ended. */
extern void ccr_offload_abandon(CcrOffload *offload);

#endif							/* CCR_OFFLOAD_H */
