/*-------------------------------------------------------------------------
 *
 * override.h
 *	  Put the settings of a lookup in force for a moment.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_OVERRIDE_H
#define CCR_OVERRIDE_H

#include "lookup/definition.h"
#include "shared/settings.h"

typedef struct CcrOverride
{
	bool		entered;		/* the definition was entered, since it was
								 * not enough to exchange ccr_settings */
	CcrScope	scope;			/* if it was entered */
	CcrSettings saved;			/* if not: the settings to return to */
} CcrOverride;

/*
 * Like ccr_definition_enter(), but cheaper, for many short pieces of work.
 * Between ccr_override_begin() and ccr_override_end() the caller may only make
 * items and submit them.  After an error, call ccr_override_failed().
 */
extern void ccr_override_begin(CcrDefinition *definition, CcrOverride *override);
extern void ccr_override_end(const CcrOverride *override);
extern void ccr_override_failed(const CcrOverride *override);

#endif							/* CCR_OVERRIDE_H */
