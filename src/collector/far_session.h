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
	char	   *reset;			/* last statement of the commands that reset
								 * it */
	char	   *found[CCR_WATCHED]; /* values of some settings when it was
									 * new, or NULL */
} CcrFarSession;

/* The error, if a new connection must not be used; NULL if it may be. */
extern CcrError *ccr_far_session_unfit(PGconn *conn, bool password_required,
									   MemoryContext context);

/* Keep the settings of a new session, in the current memory context. */
extern void ccr_far_session_remember(CcrFarSession *session, PGconn *conn);
extern bool ccr_far_session_is_as_found(const CcrFarSession *session, PGconn *conn);

#endif							/* CCR_FAR_SESSION_H */
