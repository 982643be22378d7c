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
 * As check_functions_in_node(), but with the functions of an aggregate, and with
 * casts that may be used.
 */
extern bool ccr_check_functions(Node *node, check_function_callback checker,
								void *context);

/*
 * The checks of domains that a node evaluates, or may do so, as it makes a value
 * of a type; and, if that is wanted, all the types of users that it goes by.
 */
extern List *ccr_domain_checks(Node *node, List **types);
extern List *ccr_domain_checks_of_type(Oid type, List **types);

extern bool ccr_function_is_volatile(Oid function);

/* As contain_volatile_functions(), but with all that is hidden. */
extern bool ccr_is_volatile(Node *node);

#endif							/* CCR_HIDDEN_H */
