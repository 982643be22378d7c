/*-------------------------------------------------------------------------
 *
 * override.c
 *	  The settings of a lookup in force for a moment.
 *
 * SET clauses cost a microsecond or two to put in force and to take back.
 * That is little for a call that waits for an answer, but a good part of one
 * that is only started.  So what they make of the session's settings is
 * remembered, and the variables are exchanged.
 *
 * guc.c does not know of it.  So this is only for lookups whose clauses set
 * nothing else, and whose items are made without running code that could set
 * anything: no expressions of concresce.key, no functions of other types than
 * the built-in ones.  A process that exits puts its own settings back before
 * it aborts the transaction, in which guc.c would free what is in their place.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lookup/override.h"
#include "storage/ipc.h"

/* Made of the one, the SET clauses give the other. */
typedef struct Remembered
{
	CcrSettings before;
	CcrSettings after;
} Remembered;

static const CcrOverride *in_force = NULL;

static bool
runs_no_code(const CcrDefinition *definition)
{
	if (ccr_definition_has_scope(definition) || definition->clauses.key[0])
		return false;
	for (int i = 0; i < definition->nargs; i++)
		if (definition->args[i].form == CCR_WIRE_TEXT)
			return false;
	return true;
}

static Remembered *
remember_settings(CcrDefinition *definition)
{
	Remembered *remembered = definition->override;
	CcrScope	scope;

	if (remembered == NULL)
		remembered = MemoryContextAllocZero(definition->context, sizeof(Remembered));
	else
	{
		definition->override = NULL;
		pfree(remembered->before.server_name);
		pfree(remembered->after.server_name);
	}
	ccr_settings_copy(&remembered->before, &ccr_settings, definition->context);
	ccr_definition_enter(definition, &scope);
	ccr_settings_copy(&remembered->after, &ccr_settings, definition->context);
	ccr_definition_leave(&scope);
	definition->override = remembered;
	return remembered;
}

/* FATAL errors do not pass through PG_CATCH. */
static void
override_exit_backend(int code, Datum arg)
{
	if (in_force)
		ccr_settings = in_force->saved;
	in_force = NULL;
}

static void
exchange_settings(const CcrOverride *override, const CcrSettings *settings)
{
	static bool registered = false;

	if (!registered)
		before_shmem_exit(override_exit_backend, (Datum) 0);
	registered = true;
	Assert(in_force == NULL);
	in_force = override;
	ccr_settings = *settings;
}

static void
take_back(void)
{
	ccr_settings = in_force->saved;
	in_force = NULL;
}

void
ccr_override_begin(CcrDefinition *definition, CcrOverride *override)
{
	Remembered *remembered = definition->override;

	override->saved = ccr_settings;
	override->entered = false;
	if (runs_no_code(definition))
	{
		if (definition->config == NULL)
		{
			exchange_settings(override, &override->saved);
			return;
		}
		if (remembered == NULL || !ccr_settings_equal(&remembered->before, &override->saved))
			remembered = remember_settings(definition);
		exchange_settings(override, &remembered->after);
		return;
	}
	override->entered = true;
	ccr_definition_enter(definition, &override->scope);
}

void
ccr_override_end(const CcrOverride *override)
{
	if (override->entered)
		ccr_definition_leave(&override->scope);
	else
		take_back();
}

/* What was entered, the error will undo. */
void
ccr_override_failed(const CcrOverride *override)
{
	if (!override->entered)
		take_back();
}
