/*-------------------------------------------------------------------------
 *
 * restricted.h
 *	  Whether code runs within a security-restricted operation.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_RESTRICTED_H
#define CCR_RESTRICTED_H

#include "nodes/nodes.h"

/*
 * Raise 42501 within such an operation: whatever is put off there is done
 * later, when somebody else's transaction ends.  what: "enqueue".
 */
extern void ccr_restricted_check(const char *what);

/* In an executor, before its first job. */
extern void ccr_restricted_init(void);

/*
 * Around a utility statement: begin tells whether it may enter such an
 * operation, and end is to be called after it, also after an error.
 */
extern bool ccr_restricted_begin(Node *statement);
extern void ccr_restricted_end(void);

#endif							/* CCR_RESTRICTED_H */
