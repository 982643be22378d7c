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

/* An error of our own. */
extern CcrError *ccr_far_error(MemoryContext context, int sqlstate,
							   const char *message, const char *detail);

/*
 * The error that a result reports: the server's, or libpq's own, without
 * fields.
 */
extern CcrError *ccr_far_error_of(MemoryContext context, const PGresult *result);

/* It was not possible to connect; conn has the reason, or is NULL. */
extern CcrError *ccr_far_error_connecting(MemoryContext context, const PGconn *conn,
										  const char *server);

/*
 * A connection was lost; first: NULL, or the error that the server sent
 * before.
 */
extern CcrError *ccr_far_error_lost(MemoryContext context, const PGconn *conn,
									const char *server, const CcrError *first);

/*
 * The server has sent so many bytes that are no rows that we do not read on.
 */
extern CcrError *ccr_far_error_too_much(MemoryContext context, const char *server,
										int64 bytes);

#endif							/* CCR_FAR_ERROR_H */
