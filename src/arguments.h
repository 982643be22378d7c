/*-------------------------------------------------------------------------
 *
 * arguments.h
 *	  Arguments that come as VARIADIC "any", as a lookup takes them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_ARGUMENTS_H
#define CCR_ARGUMENTS_H

#include "definition.h"
#include "fmgr.h"

typedef struct CcrArguments CcrArguments;

/*
 * How the arguments of this call, from the first one on, become those that the
 * lookup declares: as a call would coerce them.  Raises an error if they do
 * not.  Lives in context.
 */
extern CcrArguments *ccr_arguments_plan(FunctionCallInfo fcinfo, int first,
										const CcrDefinition *definition,
										MemoryContext context);

/* Is the plan for arguments of the same types? */
extern bool ccr_arguments_fit(const CcrArguments *plan, FunctionCallInfo fcinfo);

extern void ccr_arguments_get(CcrArguments *plan, FunctionCallInfo fcinfo,
							  Datum *values, bool *nulls);

/* Is it a lookup?  Raises an error if it is not. */
extern void ccr_arguments_check_lookup(Oid function);

#endif							/* CCR_ARGUMENTS_H */
