/*-------------------------------------------------------------------------
 *
 * arguments.h
 *	  Lookups that are named in an argument, and their own arguments behind
 *	  it, which are VARIADIC "any".
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_ARGUMENTS_H
#define CCR_ARGUMENTS_H

#include "fmgr.h"
#include "lookup/definition.h"

typedef struct CcrArguments CcrArguments;

/*
 * How the arguments of this call, from the first one on, become those that the
 * lookup declares: as a call would coerce them.  Raises an error if they do
 * not.  Lives in context.
 */
extern CcrArguments *ccr_arguments_plan(FunctionCallInfo fcinfo, int first,
										const CcrDefinition *definition,
										MemoryContext context);

/* Are its casts and defaults what they would be if it were made now? */
extern bool ccr_arguments_current(const CcrArguments *plan);

/*
 * Is it, and is it for arguments of the same types, and for records of the same
 * fields?
 */
extern bool ccr_arguments_fit(const CcrArguments *plan, FunctionCallInfo fcinfo);

/*
 * The arguments of the lookup.  What belongs to the place of the call is kept in
 * fn_extra; EXECUTE is asked for once for each place and role, as for other
 * functions.
 */
extern void ccr_arguments_get(CcrArguments *plan, FunctionCallInfo fcinfo,
							  Datum *values, bool *nulls);

/*
 * All of this at once, for arguments from the second on, with the plan kept in
 * fn_extra.
 */
extern void ccr_arguments_coerce(FunctionCallInfo fcinfo,
								 const CcrDefinition *definition,
								 Datum *values, bool *nulls);

/*
 * The lookup that is named in the first argument.  Raises 22004 if it is NULL,
 * as a name is that to_regproc() does not find; all: the function for all of
 * them, if there is one.
 */
extern Oid	ccr_arguments_function(FunctionCallInfo fcinfo, const char *all);

/* The definition of a lookup, which is good until the call has ended. */
extern CcrDefinition *ccr_arguments_lookup(Oid function);

/* Raises 42501 unless the current user may execute it. */
extern void ccr_arguments_check_execute(Oid function);

/* Is it a lookup?  Raises an error if it is not. */
extern void ccr_arguments_check_lookup(Oid function);

#endif							/* CCR_ARGUMENTS_H */
