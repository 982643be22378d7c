/*-------------------------------------------------------------------------
 *
 * override.h
 *	  The settings of a lookup in force for a moment.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_OVERRIDE_H
#define CCR_OVERRIDE_H

#include "lookup/definition.h"
#include "shared/settings.h"

typedef struct CcrOverride
{
	bool		entered;		/* the definition, as exchanging the settings
								 * would not do */
	CcrScope	scope;			/* if so; */
	CcrSettings saved;			/* if not */
} CcrOverride;

/*
 * As ccr_definition_enter(), for many short pieces of work.  Between the two
 * nothing may be done but to make items and to submit them.  After an error,
 * call ccr_override_failed().
 */
extern void ccr_override_begin(CcrDefinition *definition, CcrOverride *override);
extern void ccr_override_end(const CcrOverride *override);
extern void ccr_override_failed(const CcrOverride *override);

#endif							/* CCR_OVERRIDE_H */
