/*-------------------------------------------------------------------------
 *
 * arguments.h
 *	  For functions such as submit() and enqueue(): their first argument names a
 *	  lookup, and VARIADIC "any" arguments behind it are those of the lookup.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_ARGUMENTS_H
#define CCR_ARGUMENTS_H

#include "fmgr.h"
#include "lookup/definition.h"

typedef struct CcrArguments CcrArguments;

/*
 * Plan how to coerce the arguments of this call, from argument number `first`
 * on, to the types that the lookup declares, as a plain call of it would.
 * Raises an error if they cannot be.  The plan lives in context.
 */
extern CcrArguments *ccr_arguments_plan(FunctionCallInfo fcinfo, int first,
										const CcrDefinition *definition,
										MemoryContext context);

/* Would a plan that is made now have the same casts and defaults? */
extern bool ccr_arguments_current(const CcrArguments *plan);

/*
 * The same, and is it a plan for arguments of the types that this call has,
 * and for records with the same fields?
 */
extern bool ccr_arguments_fit(const CcrArguments *plan, FunctionCallInfo fcinfo);

/*
 * Compute the arguments of the lookup.  State of the call site is kept in
 * fn_extra.  EXECUTE is checked once for each call site and role, as for other
 * functions.
 */
extern void ccr_arguments_get(CcrArguments *plan, FunctionCallInfo fcinfo,
							  Datum *values, bool *nulls);

/*
 * All of this at once, for the arguments from the second on.  The plan is kept
 * in fn_extra.
 */
extern void ccr_arguments_coerce(FunctionCallInfo fcinfo,
								 const CcrDefinition *definition,
								 Datum *values, bool *nulls);

/*
 * The lookup that is named in the first argument.  Raises 22004 if it is NULL:
 * so is a name that to_regproc() does not find.  all: the name of the function
 * that works on all lookups, for the hint; or NULL.
 */
extern Oid	ccr_arguments_function(FunctionCallInfo fcinfo, const char *all);

/*
 * The definition of a lookup, which is valid until the current call has ended.
 */
extern CcrDefinition *ccr_arguments_lookup(Oid function);

/* Raises 42501 unless the current user may execute it. */
extern void ccr_arguments_check_execute(Oid function);

/* Raise an error unless the function is a lookup. */
extern void ccr_arguments_check_lookup(Oid function);

#endif							/* CCR_ARGUMENTS_H */
