/*-------------------------------------------------------------------------
 *
 * hidden.h
 *	  Functions that an expression runs without naming them: those that an
 *	  aggregate is made of, and those in the checks of a domain.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_HIDDEN_H
#define CCR_HIDDEN_H

#include "nodes/nodeFuncs.h"

/* As check_functions_in_node(), but with the functions of an aggregate. */
extern bool ccr_check_functions(Node *node, check_function_callback checker,
								void *context);

/* The expressions that a coercion to a domain evaluates; NIL for other nodes. */
extern List *ccr_domain_checks(Node *node);

/* As contain_volatile_functions(), but with all that is hidden. */
extern bool ccr_is_volatile(Node *node);

#endif							/* CCR_HIDDEN_H */
