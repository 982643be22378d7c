/*-------------------------------------------------------------------------
 *
 * cancel.h
 *	  Asking a foreign server to cancel a query, without blocking.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_CANCEL_H
#define CCR_CANCEL_H

#include "libpq-fe.h"

typedef struct CcrCancel CcrCancel;

/* NULL if it could not be started. */
extern CcrCancel *ccr_cancel_start(PGconn *conn);

/* Descriptor to wait for, and the WL_SOCKET_* events wanted of it. */
extern int	ccr_cancel_socket(CcrCancel *cancel);
extern int	ccr_cancel_events(CcrCancel *cancel);

/* Go on after an event; true once it has ended, well or not. */
extern bool ccr_cancel_step(CcrCancel *cancel);

/* Forget about it, ended or not. */
extern void ccr_cancel_free(CcrCancel *cancel);

#endif							/* CCR_CANCEL_H */
