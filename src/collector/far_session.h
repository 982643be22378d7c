/*-------------------------------------------------------------------------
 *
 * far_session.h
 *	  The session on the far side, which is left as it was found.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_FAR_SESSION_H
#define CCR_FAR_SESSION_H

#include "libpq-fe.h"
#include "shared/answer.h"

#define CCR_WATCHED		5

typedef struct CcrFarSession
{
	char	   *reset;			/* the last statement of a reset */
	char	   *found[CCR_WATCHED]; /* settings when it was new, or NULL */
} CcrFarSession;

/* What a new connection must fulfil; NULL if it does. */
extern CcrError *ccr_far_session_unfit(PGconn *conn, bool password_required,
									   MemoryContext context);

/* Keep how a new one was found, in the current memory context. */
extern void ccr_far_session_remember(CcrFarSession *session, PGconn *conn);
extern bool ccr_far_session_is_as_found(const CcrFarSession *session, PGconn *conn);

#endif							/* CCR_FAR_SESSION_H */
