/*-------------------------------------------------------------------------
 *
 * key.h
 *	  concresce.key: expressions that identify a call.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_KEY_H
#define CCR_KEY_H

#include "lookup/definition.h"

/*
 * Append the values of the lookup's key expressions for these arguments: they
 * identify the call.  The lookup must have SET concresce.key.  Raises an error
 * if the expressions do not fit the lookup.
 */
extern void ccr_key_append(CcrDefinition *definition, StringInfo buf,
						   const Datum *values, const bool *nulls);

#endif							/* CCR_KEY_H */
