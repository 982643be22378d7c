/*-------------------------------------------------------------------------
 *
 * argument.h
 *	  Lookups that are named in an argument, with arguments of their own.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_ARGUMENT_H
#define CCR_ARGUMENT_H

#include "definition.h"
#include "fmgr.h"

/* The definition of a lookup, which is good until the call has ended. */
extern CcrDefinition *ccr_argument_lookup(Oid function);

/* Raises 42501 unless the current user may execute it. */
extern void ccr_argument_check_execute(Oid function);

/*
 * The arguments behind the first one, which are VARIADIC "any", coerced to the
 * types that the lookup declares as a call would coerce them.
 */
extern void ccr_argument_values(FunctionCallInfo fcinfo,
								const CcrDefinition *definition,
								Datum *values, bool *nulls);

#endif							/* CCR_ARGUMENT_H */
