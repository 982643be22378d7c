/*-------------------------------------------------------------------------
 *
 * restricted.h
 *	  Whether code runs within a security-restricted operation.  ANALYZE of another
 *	  role's table is one: it calls the functions of its indexes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_RESTRICTED_H
#define CCR_RESTRICTED_H

#include "nodes/nodes.h"

/*
 * Raise 42501 within such an operation.  Work that is put off there would be
 * done at the end of somebody else's transaction.  what: the function to name
 * in the message, such as "enqueue".
 */
extern void ccr_restricted_check(const char *what);

/* A local executor calls this before its first job. */
extern void ccr_restricted_init(void);

/*
 * To be called around a utility statement.  ccr_restricted_begin() says
 * whether the statement may enter such an operation.  If so, call
 * ccr_restricted_end() after it, also after an error.
 */
extern bool ccr_restricted_begin(Node *statement);
extern void ccr_restricted_end(void);

#endif							/* CCR_RESTRICTED_H */
