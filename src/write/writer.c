/*-------------------------------------------------------------------------
 *
 * writer.c
 *	  How a session's items of one lookup are enqueued.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "lookup/barrier.h"
#include "miscadmin.h"
#include "shared/compat.h"
#include "shared/seat.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "write/writer.h"

#define CCR_MAX_WRITERS	16		/* kept from one transaction to the next */

static dlist_head writers = DLIST_STATIC_INIT(writers); /* last used first */
static int	nwriters = 0;

/* Whatever a lookup returns, nobody is going to look at it. */
static CcrResult nothing = {.is_void = true, .type = VOIDOID};

/*
 * Do the SET clauses concern nothing that an item's bytes depend on?  Those of
 * this extension do not, but for the key.
 */
static bool
is_plain(const CcrDefinition *definition)
{
	return definition->clauses.only_own && definition->clauses.key[0] == '\0';
}

static bool
is_strict(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	result = ((Form_pg_proc) GETSTRUCT(tuple))->proisstrict;
	ReleaseSysCache(tuple);
	return result;
}

/* Parts of it may be missing, if making it failed. */
static void
free_writer(CcrWriter *writer)
{
	dlist_delete(&writer->node);
	nwriters--;
	if (writer->route)
		writer->route->pins--;
	if (writer->definition)
		ccr_definition_release(writer->definition);
	MemoryContextDelete(writer->context);
}

static void
fill_writer(CcrWriter *writer, FunctionCallInfo fcinfo)
{
	CcrDefinition *definition;
	CcrScope	scope;

	ccr_arguments_check_execute(writer->function);
	ccr_arguments_check_lookup(writer->function);
	definition = ccr_definition_get(writer->function);
	writer->definition = definition;
	writer->strict = is_strict(writer->function);
	writer->plain = is_plain(definition);
	writer->arguments = ccr_arguments_plan(fcinfo, 1, definition, writer->context);

	ccr_definition_enter(definition, &scope);
	ccr_settings_copy(&writer->settings, &ccr_settings, writer->context);
	writer->coalesce = ccr_clauses_coalesce(&definition->clauses);
	writer->route = ccr_route_get(definition, &nothing, writer->barred);
	writer->route->pins++;
	ccr_definition_leave(&scope);
}

static CcrWriter *
new_writer(FunctionCallInfo fcinfo, Oid function, bool barred)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "concresce writer",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	CcrWriter  *writer = palloc0(sizeof(CcrWriter));

	writer->context = context;
	writer->function = function;
	GetUserIdAndSecContext(&writer->roleid, &writer->sec_context);
	writer->party = ccr_seat_party();
	writer->barred = barred;
	ccr_settings_copy(&writer->outer, &ccr_settings, context);
	writer->search_path = pstrdup(namespace_search_path);
	MemoryContextSetParent(context, TopMemoryContext);
	dlist_push_tail(&writers, &writer->node);
	nwriters++;
	PG_TRY();
	{
		fill_writer(writer, fcinfo);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		free_writer(writer);
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	dlist_move_head(&writers, &writer->node);
	return writer;
}

static bool
is_valid(const CcrWriter *writer)
{
	return writer->route && writer->definition->valid && ccr_route_valid(writer->route) &&
		ccr_arguments_current(writer->arguments);
}

/* Only what runs in this database depends on it. */
static bool
writer_same_path(const CcrWriter *writer)
{
	return writer->route->search_path == NULL ||
		strcmp(writer->search_path, namespace_search_path) == 0;
}

static bool
writer_fits(const CcrWriter *writer, FunctionCallInfo fcinfo, Oid function, Oid roleid, int sec_context,
			CcrParty party, bool barred)
{
	return writer->function == function && is_valid(writer) &&
		writer->roleid == roleid && writer->sec_context == sec_context &&
		writer->party.session == party.session && writer->party.outer == party.outer &&
		writer->barred == barred && writer_same_path(writer) &&
		ccr_arguments_fit(writer->arguments, fcinfo) && ccr_settings_equal(&writer->outer, &ccr_settings);
}

CcrWriter *
ccr_writer_get(FunctionCallInfo fcinfo)
{
	Oid			function = ccr_arguments_function(fcinfo, NULL);
	Oid			roleid;
	int			sec_context;
	CcrParty	party = ccr_seat_party();
	bool		barred = ccr_barrier_holds(fcinfo->flinfo->fn_expr, PROVOLATILE_VOLATILE);
	dlist_iter	iter;

	GetUserIdAndSecContext(&roleid, &sec_context);
	dlist_foreach(iter, &writers)
	{
		CcrWriter  *writer = dlist_container(CcrWriter, node, iter.cur);

		if (writer_fits(writer, fcinfo, function, roleid, sec_context, party, barred))
		{
			dlist_move_head(&writers, &writer->node);
			return writer;
		}
	}
	return new_writer(fcinfo, function, barred);
}

bool
ccr_writer_encode(CcrWriter *writer, FunctionCallInfo fcinfo, CcrItems *items)
{
	CcrDefinition *definition = writer->definition;
	Datum		values[FUNC_MAX_ARGS];
	bool		nulls[FUNC_MAX_ARGS];

	ccr_arguments_get(writer->arguments, fcinfo, values, nulls);
	if (writer->strict)
		for (int i = 0; i < definition->nargs; i++)
			if (nulls[i])
				return false;

	ccr_items_init(items);
	if (!writer->plain)
	{
		CcrScope	scope;

		ccr_definition_enter(definition, &scope);
		ccr_items_add(definition, items, values, nulls);
		ccr_definition_leave(&scope);
	}
	else if (definition->security_definer)
	{
		SetUserIdAndSecContext(definition->owner,
							   writer->sec_context | SECURITY_LOCAL_USERID_CHANGE);
		ccr_items_add(definition, items, values, nulls);
		SetUserIdAndSecContext(writer->roleid, writer->sec_context);
	}
	else
		ccr_items_add(definition, items, values, nulls);
	return true;
}

void
ccr_writers_trim(void)
{
	dlist_mutable_iter iter;
	int			n = 0;

	dlist_foreach_modify(iter, &writers)
	{
		CcrWriter  *writer = dlist_container(CcrWriter, node, iter.cur);

		if (++n > CCR_MAX_WRITERS || !is_valid(writer))
			free_writer(writer);
	}
}
