/*-------------------------------------------------------------------------
 *
 * parameters.h
 *	  Types for the parameters of a statement that are arguments of a lookup.
 *
 * Drivers send parameters without types and leave it to the server to find
 * them.  It cannot where a function takes anything, as submit(), enqueue() and
 * forget() do; there they are of the types that the lookup declares.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_PARAMETERS_H
#define CCR_PARAMETERS_H

extern void ccr_parameters_init(void);

#endif							/* CCR_PARAMETERS_H */
