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

/*
 * What a lookup's SET clauses can change, as settings.h has it, but for what
 * is read from them.
 */
typedef struct CcrSettings
{
	char	   *server_name;
	int			server_source;
	double		max_window;
	int			max_size;
	int			max_bytes;
	int			coalesce;
	int			timeout;
	int			max_timeout;
	int			on_full;
	bool		isolate_errors;
	bool		prepare;
} CcrSettings;

typedef struct CcrOverride
{
	bool		entered_it;		/* the definition, as nothing less will do */
	CcrEntered	entered;
	CcrSettings saved;
} CcrOverride;

/*
 * As ccr_definition_enter(), for many short pieces of work.  Between the two
 * nothing may be done but to make items and to submit them.  After an error
 * failed must be called.
 */
extern void ccr_override_begin(CcrDefinition *definition, CcrOverride *override);
extern void ccr_override_end(const CcrOverride *override);
extern void ccr_override_failed(const CcrOverride *override);

#endif							/* CCR_OVERRIDE_H */
