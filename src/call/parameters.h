/*-------------------------------------------------------------------------
 *
 * parameters.h
 *	  Types for the parameters of a statement that are arguments of a lookup.
 *
 * Drivers send parameters without types and leave it to the server to find
 * them.  The server cannot do that where a function accepts any type, as
 * submit(), enqueue() and forget() do.  There the parameters get the types
 * that the lookup declares.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_PARAMETERS_H
#define CCR_PARAMETERS_H

extern void ccr_parameters_init(void);

#endif							/* CCR_PARAMETERS_H */
