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
 * Append the identity that its SET concresce.key gives to arguments of a
 * lookup that has one.  Raises an error if the expressions do not fit it.
 */
extern void ccr_key_append(CcrDefinition *definition, StringInfo buf,
						   const Datum *values, const bool *nulls);

#endif							/* CCR_KEY_H */
