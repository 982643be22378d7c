/*-------------------------------------------------------------------------
 *
 * hidden.h
 *	  Functions that an expression runs without naming them: those that an
 *	  aggregate is made of, casts that make JSON, and those in the checks of a
 *	  domain.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_HIDDEN_H
#define CCR_HIDDEN_H

#include "nodes/nodeFuncs.h"

/*
 * Like check_functions_in_node(), but includes the functions that an aggregate
 * is made of, and casts that may be used.
 */
extern bool ccr_check_functions(Node *node, check_function_callback checker,
								void *context);

/*
 * The checks of domains that a node evaluates, or may evaluate, because it
 * makes a value of a type.  If types is not NULL, it receives all user-defined
 * types that the answer depends on.
 */
extern List *ccr_domain_checks(Node *node, List **types);
extern List *ccr_domain_checks_of_type(Oid type, List **types);

extern bool ccr_function_is_volatile(Oid function);

/* Like contain_volatile_functions(), but includes hidden functions. */
extern bool ccr_is_volatile(Node *node);

#endif							/* CCR_HIDDEN_H */
