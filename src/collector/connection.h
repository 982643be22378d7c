/*-------------------------------------------------------------------------
 *
 * connection.h
 *	  The rows of concresce.connections, as a collector writes them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_CONNECTION_H
#define CCR_CONNECTION_H

#include "shared/shmem.h"
#include "shared/source.h"

/*
 * A row for a connection; NULL if none is left: then the connection is not
 * shown.
 */
extern CcrConnection *ccr_connection_allot(const CcrSource *source);
extern void ccr_connection_release(CcrConnection *c);

/* error: NULL, or the error that the connection has met. */
extern void ccr_connection_show(CcrConnection *c, const char *state, int64 batches, int64 lost,
								const CcrLastError *error);
extern void ccr_connection_show_connected(CcrConnection *c, bool connected);
extern void ccr_connection_show_lost(CcrConnection *c, int64 lost);

#endif							/* CCR_CONNECTION_H */
