/*-------------------------------------------------------------------------
 *
 * key.h
 *	  concresce.key: expressions that identify a call.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_KEY_H
#define CCR_KEY_H

#include "definition.h"

/*
 * Append the identity that the current concresce.key gives to arguments.
 * Raises an error if the expressions do not fit the lookup.  Nothing is
 * appended if the setting is empty.
 */
extern void ccr_key_append(CcrDefinition *definition, StringInfo buf,
						   const Datum *values, const bool *nulls);

#endif							/* CCR_KEY_H */
