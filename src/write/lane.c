/*-------------------------------------------------------------------------
 *
 * lane.c
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
#include "shared/settings.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "write/lane.h"

#define CCR_MAX_LANES	16		/* kept from one transaction to the next */

static dlist_head lanes = DLIST_STATIC_INIT(lanes); /* last used first */
static int	nlanes = 0;

/* Whatever a lookup returns, nobody is going to look at it. */
static CcrResult nothing = {.is_void = true, .type = VOIDOID};

static void
get_settings(CcrLaneSettings *s)
{
	s->max_window = ccr_max_window;
	s->max_size = ccr_max_size;
	s->max_bytes = ccr_max_bytes;
	s->coalesce = ccr_coalesce;
	s->timeout = ccr_timeout;
	s->on_full = ccr_on_full;
	s->prepare = ccr_prepare;
	s->isolate_errors = ccr_isolate_errors;
	s->server_source = ccr_server_source;
	s->server = pstrdup(ccr_server_name);
	s->search_path = pstrdup(namespace_search_path);
}

static bool
are_as(const CcrLaneSettings *s)
{
	return s->max_window == ccr_max_window && s->max_size == ccr_max_size &&
		s->max_bytes == ccr_max_bytes && s->coalesce == ccr_coalesce &&
		s->timeout == ccr_timeout && s->on_full == ccr_on_full &&
		s->prepare == ccr_prepare && s->isolate_errors == ccr_isolate_errors &&
		s->server_source == ccr_server_source &&
		strcmp(s->server, ccr_server_name) == 0;
}

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

static void
check_execute(Oid function)
{
	AclResult	aclresult = ccr_proc_aclcheck(function, GetUserId(), ACL_EXECUTE);

	if (aclresult != ACLCHECK_OK)
		aclcheck_error(aclresult, OBJECT_FUNCTION, get_func_name(function));
}

/* Parts of it may be missing, if making it failed. */
static void
free_lane(CcrLane *lane)
{
	dlist_delete(&lane->node);
	nlanes--;
	if (lane->route)
		lane->route->pins--;
	if (lane->definition)
		ccr_definition_release(lane->definition);
	MemoryContextDelete(lane->context);
}

static void
fill_lane(CcrLane *lane, FunctionCallInfo fcinfo)
{
	CcrDefinition *definition;
	CcrEntered	entered;

	check_execute(lane->function);
	ccr_arguments_check_lookup(lane->function);
	definition = ccr_definition_get(lane->function);
	lane->definition = definition;
	lane->strict = is_strict(lane->function);
	lane->plain = is_plain(definition);
	lane->arguments = ccr_arguments_plan(fcinfo, 1, definition, lane->context);

	ccr_definition_enter(definition, &entered);
	get_settings(&lane->settings);
	lane->coalesce = ccr_clauses_coalesce(&definition->clauses);
	lane->route = ccr_route_get(definition, &nothing, lane->barred);
	lane->route->pins++;
	ccr_definition_leave(&entered);
}

static CcrLane *
new_lane(FunctionCallInfo fcinfo, Oid function, bool barred)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "concresce lane",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	CcrLane    *lane = palloc0(sizeof(CcrLane));

	lane->context = context;
	lane->function = function;
	GetUserIdAndSecContext(&lane->roleid, &lane->sec_context);
	lane->party = ccr_seat_party();
	lane->barred = barred;
	get_settings(&lane->outer);
	MemoryContextSetParent(context, TopMemoryContext);
	dlist_push_tail(&lanes, &lane->node);
	nlanes++;
	PG_TRY();
	{
		fill_lane(lane, fcinfo);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		free_lane(lane);
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	dlist_move_head(&lanes, &lane->node);
	return lane;
}

static bool
is_valid(const CcrLane *lane)
{
	return lane->route && lane->definition->valid && ccr_route_valid(lane->route) &&
		ccr_arguments_current(lane->arguments);
}

/* Only what runs in this database depends on it. */
static bool
same_path(const CcrLane *lane)
{
	return lane->route->search_path == NULL ||
		strcmp(lane->outer.search_path, namespace_search_path) == 0;
}

static bool
fits(const CcrLane *lane, FunctionCallInfo fcinfo, Oid function, Oid roleid, int sec_context,
	 CcrParty party, bool barred)
{
	return lane->function == function && is_valid(lane) &&
		lane->roleid == roleid && lane->sec_context == sec_context &&
		lane->party.session == party.session && lane->party.outer == party.outer &&
		lane->barred == barred && same_path(lane) &&
		ccr_arguments_fit(lane->arguments, fcinfo) && are_as(&lane->outer);
}

CcrLane *
ccr_lane_get(FunctionCallInfo fcinfo)
{
	Oid			function = ccr_arguments_function(fcinfo, NULL);
	Oid			roleid;
	int			sec_context;
	CcrParty	party = ccr_seat_party();
	bool		barred = ccr_barrier_holds(fcinfo->flinfo->fn_expr, PROVOLATILE_VOLATILE);
	dlist_iter	iter;

	GetUserIdAndSecContext(&roleid, &sec_context);
	dlist_foreach(iter, &lanes)
	{
		CcrLane    *lane = dlist_container(CcrLane, node, iter.cur);

		if (fits(lane, fcinfo, function, roleid, sec_context, party, barred))
		{
			dlist_move_head(&lanes, &lane->node);
			return lane;
		}
	}
	return new_lane(fcinfo, function, barred);
}

bool
ccr_lane_encode(CcrLane *lane, FunctionCallInfo fcinfo, CcrItems *items)
{
	CcrDefinition *definition = lane->definition;
	Datum		values[FUNC_MAX_ARGS];
	bool		nulls[FUNC_MAX_ARGS];

	ccr_arguments_get(lane->arguments, fcinfo, values, nulls);
	if (lane->strict)
		for (int i = 0; i < definition->nargs; i++)
			if (nulls[i])
				return false;

	ccr_items_init(items);
	if (!lane->plain)
	{
		CcrEntered	entered;

		ccr_definition_enter(definition, &entered);
		ccr_items_add(definition, items, values, nulls);
		ccr_definition_leave(&entered);
	}
	else if (definition->security_definer)
	{
		SetUserIdAndSecContext(definition->owner,
							   lane->sec_context | SECURITY_LOCAL_USERID_CHANGE);
		ccr_items_add(definition, items, values, nulls);
		SetUserIdAndSecContext(lane->roleid, lane->sec_context);
	}
	else
		ccr_items_add(definition, items, values, nulls);
	return true;
}

void
ccr_lanes_trim(void)
{
	dlist_mutable_iter iter;
	int			n = 0;

	dlist_foreach_modify(iter, &lanes)
	{
		CcrLane    *lane = dlist_container(CcrLane, node, iter.cur);

		if (++n > CCR_MAX_LANES || !is_valid(lane))
			free_lane(lane);
	}
}
