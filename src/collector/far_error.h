/*-------------------------------------------------------------------------
 *
 * far_error.h
 *	  Errors of a connection to a foreign server.
 *
 * An error lives in the memory context that it is made in.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_FAR_ERROR_H
#define CCR_FAR_ERROR_H

#include "libpq-fe.h"
#include "shared/answer.h"

/* One of ours. */
extern CcrError *ccr_far_error(MemoryContext context, int sqlstate,
							   const char *message, const char *detail);

/* The server's error, or libpq's own, which has no fields. */
extern CcrError *ccr_far_error_of(MemoryContext context, const PGresult *result);

/* It could not connect to a server; conn: NULL, or with the reason. */
extern CcrError *ccr_far_error_connecting(MemoryContext context, const PGconn *conn,
										  const char *server);

/* A connection was lost; first: NULL, or what the server has said before. */
extern CcrError *ccr_far_error_lost(MemoryContext context, const PGconn *conn,
									const char *server, const CcrError *first);

/* So many bytes that are no rows are too much. */
extern CcrError *ccr_far_error_too_much(MemoryContext context, const char *server,
										int64 bytes);

#endif							/* CCR_FAR_ERROR_H */
