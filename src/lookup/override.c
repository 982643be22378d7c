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
#include "shared/settings.h"
#include "storage/ipc.h"
#include "utils/memutils.h"

/* Made of the one, the SET clauses give the other. */
typedef struct Remembered
{
	CcrSettings before;
	CcrSettings after;
} Remembered;

static const CcrOverride *in_force = NULL;

static void
get_settings(CcrSettings *settings)
{
	settings->server_name = ccr_server_name;
	settings->server_source = ccr_server_source;
	settings->max_window = ccr_max_window;
	settings->max_size = ccr_max_size;
	settings->max_bytes = ccr_max_bytes;
	settings->coalesce = ccr_coalesce;
	settings->timeout = ccr_timeout;
	settings->max_timeout = ccr_max_timeout;
	settings->on_full = ccr_on_full;
	settings->isolate_errors = ccr_isolate_errors;
	settings->prepare = ccr_prepare;
}

static void
put_settings(const CcrSettings *settings)
{
	ccr_server_name = settings->server_name;
	ccr_server_source = settings->server_source;
	ccr_max_window = settings->max_window;
	ccr_max_size = settings->max_size;
	ccr_max_bytes = settings->max_bytes;
	ccr_coalesce = settings->coalesce;
	ccr_timeout = settings->timeout;
	ccr_max_timeout = settings->max_timeout;
	ccr_on_full = settings->on_full;
	ccr_isolate_errors = settings->isolate_errors;
	ccr_prepare = settings->prepare;
}

static bool
same_settings(const CcrSettings *a, const CcrSettings *b)
{
	return a->server_source == b->server_source &&
		a->max_window == b->max_window && a->max_size == b->max_size &&
		a->max_bytes == b->max_bytes && a->coalesce == b->coalesce &&
		a->timeout == b->timeout && a->max_timeout == b->max_timeout &&
		a->on_full == b->on_full &&
		a->isolate_errors == b->isolate_errors && a->prepare == b->prepare &&
		strcmp(a->server_name, b->server_name) == 0;
}

static bool
runs_no_code(const CcrDefinition *definition)
{
	if (definition->security_definer || !definition->clauses.only_own ||
		definition->clauses.key[0])
		return false;
	for (int i = 0; i < definition->nargs; i++)
		if (definition->args[i].form == CCR_WIRE_TEXT)
			return false;
	return true;
}

static void
copy_settings(CcrSettings *to, MemoryContext context)
{
	get_settings(to);
	to->server_name = MemoryContextStrdup(context, ccr_server_name);
}

static Remembered *
remember(CcrDefinition *definition)
{
	Remembered *remembered = definition->override;
	CcrEntered	entered;

	if (remembered == NULL)
		remembered = MemoryContextAllocZero(definition->context, sizeof(Remembered));
	else
	{
		definition->override = NULL;
		pfree(remembered->before.server_name);
		pfree(remembered->after.server_name);
	}
	copy_settings(&remembered->before, definition->context);
	ccr_definition_enter(definition, &entered);
	copy_settings(&remembered->after, definition->context);
	ccr_definition_leave(&entered);
	definition->override = remembered;
	return remembered;
}

/* FATAL errors do not pass through PG_CATCH. */
static void
exit_backend(int code, Datum arg)
{
	if (in_force)
		put_settings(&in_force->saved);
	in_force = NULL;
}

static void
exchange(const CcrOverride *override, const CcrSettings *settings)
{
	static bool registered = false;

	if (!registered)
		before_shmem_exit(exit_backend, (Datum) 0);
	registered = true;
	Assert(in_force == NULL);
	in_force = override;
	put_settings(settings);
}

static void
take_back(void)
{
	put_settings(&in_force->saved);
	in_force = NULL;
}

void
ccr_override_begin(CcrDefinition *definition, CcrOverride *override)
{
	Remembered *remembered = definition->override;

	get_settings(&override->saved);
	override->entered_it = false;
	if (runs_no_code(definition))
	{
		if (definition->config == NULL)
		{
			exchange(override, &override->saved);
			return;
		}
		if (remembered == NULL || !same_settings(&remembered->before, &override->saved))
			remembered = remember(definition);
		exchange(override, &remembered->after);
		return;
	}
	override->entered_it = true;
	ccr_definition_enter(definition, &override->entered);
}

void
ccr_override_end(const CcrOverride *override)
{
	if (override->entered_it)
		ccr_definition_leave(&override->entered);
	else
		take_back();
}

/* What was entered, the error will undo. */
void
ccr_override_failed(const CcrOverride *override)
{
	if (!override->entered_it)
		take_back();
}
