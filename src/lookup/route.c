/*-------------------------------------------------------------------------
 *
 * route.c
 *	  Where the calls of a lookup go: a source, as this session may use it.
 *
 * Everything that changes what is asked, of whom or with which rights is part
 * of the source, hence of its fingerprint: no two
 * calls share a flight unless they are alike in all of that.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "lookup/barrier.h"
#include "lookup/route.h"
#include "lookup/server.h"
#include "miscadmin.h"
#include "shared/compat.h"
#include "shared/seat.h"
#include "shared/settings.h"
#include "shared/shard.h"
#include "shared/textform.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#define CCR_MAX_ROUTES	32		/* kept of a definition */

bool		ccr_route_isolates = false;

static uint64 changes = 1;		/* invalidations that concern routes */

static void
route_catalogs_changed(Datum arg, int cacheid, uint32 hash)
{
	changes++;
}

void
ccr_route_watch(void)
{
	static bool watching = false;

	if (watching)
		return;
	watching = true;
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, route_catalogs_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(FOREIGNDATAWRAPPEROID, route_catalogs_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(USERMAPPINGOID, route_catalogs_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, route_catalogs_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, route_catalogs_changed, (Datum) 0);
}

uint64
ccr_route_changes(void)
{
	return changes;
}

bool
ccr_route_steered(const CcrDefinition *definition, bool barred)
{
	return !barred && !definition->security_definer &&
		!InLocalUserIdChange() && !InSecurityRestrictedOperation();
}

const char *
ccr_route_server(const CcrDefinition *definition)
{
	return definition->clauses.server ? definition->clauses.server : ccr_settings.server_name;
}

/*
 * For a lookup in this database, whoever sets the search_path decides which
 * objects the names in its body mean.  That may be the session, even below a
 * function that sets its own search_path.  So only what the lookup itself sets
 * is relied on.
 */
static void
check_path(const CcrDefinition *definition)
{
	if (!definition->clauses.sets_path)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("lookup %s must set \"search_path\" itself", definition->name),
				 errdetail("The session's setting is not used by functions that a policy, a security barrier view or a check option may call."),
				 errhint("ALTER FUNCTION %s SET search_path = ...", definition->name)));
}

/*
 * The server decides where the rights of the call are used and whose answer is
 * believed.  If these rights are not the session's own, the session must not
 * choose the server.  The setting of a role counts as the role's own.  A
 * setting of the database, or for all, is the word of an owner or
 * administrator.
 */
static void
check_server(const CcrDefinition *definition, bool barred)
{
	bool		steered = ccr_route_steered(definition, barred);

	if (definition->clauses.server)
		return;
	if (definition->security_definer ||
		ccr_settings.server_source > (int) (steered ? PGC_S_SESSION : PGC_S_DATABASE))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("lookup %s must set \"concresce.server\" itself", definition->name),
				 barred ?
				 errdetail("The session's setting is not used by functions that a policy, a security barrier view or a check option may call.") :
				 errdetail("The session's setting is not used with the rights of another role."),
				 errhint("ALTER FUNCTION %s SET concresce.server = ...", definition->name)));
}

/* A call site that expects a record has a result of its own. */
static bool
same_columns(const CcrSource *source, const CcrResult *result)
{
	if (source->ncolumns != result->ncolumns)
		return false;
	for (int i = 0; i < result->ncolumns; i++)
		if (source->column_types[i] != result->columns[i].base)
			return false;
	return true;
}

/* What else a route in this database depends on. */
static bool
same_path(const CcrRoute *route)
{
	return route->search_path == NULL ||
		strcmp(route->search_path, namespace_search_path) == 0;
}

/*
 * A batch of a lookup that is not VOLATILE may be divided, whoever asks for
 * that.
 */
static bool
isolates_errors(const CcrDefinition *definition, bool barred)
{
	if (ccr_route_isolates && definition->volatility != PROVOLATILE_VOLATILE)
		return true;
	return ccr_clauses_isolate(&definition->clauses,
							   ccr_route_steered(definition, barred));
}

/* Not as a variable: its header needs those of ICU, which a build may lack. */
static const char *
money_locale(void)
{
	return GetConfigOption("lc_monetary", false, false);
}

/*
 * Its own lc_monetary is the one that money was, or would be, written under.
 */
static bool
same_money(const CcrRoute *route)
{
	return route->lc_monetary == NULL || strcmp(route->lc_monetary, money_locale()) == 0;
}

static CcrRoute *
find_route(CcrDefinition *definition, const CcrResult *result, bool barred)
{
	Oid			roleid = GetUserId();
	const char *server = ccr_route_server(definition);
	bool		isolate = isolates_errors(definition, barred);
	ListCell   *lc;

	foreach(lc, definition->routes)
	{
		CcrRoute   *route = lfirst(lc);

		if (route->made_at == changes && same_columns(route->source, result) &&
			route->roleid == roleid && route->prepare == ccr_settings.prepare &&
			route->isolate_errors == isolate &&
			strcmp(route->server_name, server) == 0 && same_path(route) &&
			same_money(route))
			return route;
	}
	return NULL;
}

/* If the source has not changed, it need not be described again. */
static void
inherit_description(CcrDefinition *definition, CcrRoute *route)
{
	ListCell   *lc;

	foreach(lc, definition->routes)
	{
		CcrRoute   *old = lfirst(lc);

		if (memcmp(&old->fingerprint, &route->fingerprint, sizeof(CcrFingerprint)) == 0)
			memcpy(route->described, old->described, sizeof(route->described));
	}
}

static void
drop_stale_routes(CcrDefinition *definition)
{
	ListCell   *lc;

	foreach(lc, definition->routes)
	{
		CcrRoute   *route = lfirst(lc);

		if (route->pins > 0 ||
			(route->made_at == changes &&
			 list_length(definition->routes) < CCR_MAX_ROUTES))
			continue;
		definition->routes = foreach_delete_current(definition->routes, lc);
		MemoryContextDelete(route->context);
	}
}

/*
 * The far side decides whether it will be keyed, by the columns of the body.
 */
static void
describe_keyed(CcrSource *source, const CcrDefinition *definition,
			   const CcrResult *result)
{
	const CcrBody *body = definition->body;

	for (int i = 0; i < body->nargs; i++)
		if (body->args[i].equality == CCR_EQUALITY_NONE)
			source->unequal = format_type_be(definition->args[i].base);
	if (source->unequal)
		return;
	source->keyed_sql = ccr_body_keyed_sql(body, result->ncolumns);
	for (int i = 0; i < 2; i++)
		for (int j = 0; j < 2; j++)
			source->match_sql[i][j] = ccr_body_match_sql(body, result->ncolumns,
														 result->returns_set, i, j);
	source->may_be_loose = ccr_body_may_be_loose(body);
}

static void
describe_body(CcrSource *source, const CcrDefinition *definition,
			  const CcrResult *result)
{
	source->bulk = definition->body->form == CCR_FORM_BULK;
	source->sql = definition->sql;
	if (source->bulk && source->nargs > 0 && !result->is_void)
		describe_keyed(source, definition, result);
}

static void
describe_types(CcrSource *source, const CcrDefinition *definition,
			   const CcrResult *result)
{
	source->nargs = definition->nargs;
	source->arg_elements = palloc(Max(source->nargs, 1) * sizeof(Oid));
	source->arg_arrays = palloc(Max(source->nargs, 1) * sizeof(Oid));
	source->key_types = palloc(Max(source->nargs, 1) * sizeof(Oid));
	for (int i = 0; i < source->nargs; i++)
	{
		source->arg_elements[i] = definition->args[i].element;
		source->arg_arrays[i] = definition->args[i].array;
		source->key_types[i] = ccr_equality_column(definition->args[i].base);
	}
	source->ncolumns = result->ncolumns;
	source->column_types = palloc(Max(source->ncolumns, 1) * sizeof(Oid));
	source->column_enum = palloc(Max(source->ncolumns, 1) * sizeof(bool));
	source->column_binary = palloc(Max(source->ncolumns, 1) * sizeof(bool));
	for (int i = 0; i < source->ncolumns; i++)
	{
		source->column_types[i] = result->columns[i].base;
		source->column_enum[i] = type_is_enum(result->columns[i].base);
		source->column_binary[i] = result->columns[i].form != CCR_WIRE_TEXT;
	}
}

static bool
result_has_money(const CcrDefinition *definition, const CcrResult *result)
{
	bool		found = false;

	for (int i = 0; i < definition->nargs && !found; i++)
		found = ccr_wire_has_money(definition->argtypes[i]);
	for (int i = 0; i < result->ncolumns && !found; i++)
		found = ccr_wire_has_money(result->columns[i].base);
	return found;
}

/*
 * What those values need that travel as text.  Executors see to it themselves.
 */
static void
describe_text(CcrSource *source, const CcrDefinition *definition,
			  const CcrResult *result)
{
	const char *lc_monetary = result_has_money(definition, result) ? money_locale() : NULL;

	if (!ccr_source_is_local(source))
		source->text_settings = ccr_text_settings_sql(lc_monetary);
	else if (lc_monetary)
		source->settings[source->nsettings++] = psprintf("lc_monetary=%s", lc_monetary);
	for (int i = 0; i < definition->nargs; i++)
		source->text_args |= definition->args[i].styled;
}

/* Its SET clauses but for ours, and for search_path: that is as it is now. */
static void
describe_settings(CcrSource *source, const CcrDefinition *definition)
{
	Datum	   *elements;
	int			n = 0;

	if (definition->config)
		deconstruct_array(definition->config, TEXTOID, -1, false, TYPALIGN_INT,
						  &elements, NULL, &n);
	source->settings = palloc((n + 2) * sizeof(char *));
	for (int i = 0; i < n; i++)
	{
		char	   *setting = TextDatumGetCString(elements[i]);

		if (pg_strncasecmp(setting, "concresce.", strlen("concresce.")) != 0 &&
			pg_strncasecmp(setting, "search_path=", strlen("search_path=")) != 0)
			source->settings[source->nsettings++] = setting;
	}
}

/* In this database, under the role that the call runs as. */
static void
describe_local(CcrSource *source, const CcrDefinition *definition)
{
	source->server_name = "";
	source->roleid = GetUserId();
	source->user = GetUserNameFromId(source->roleid, false);
	source->search_path = pstrdup(namespace_search_path);
	describe_settings(source, definition);
}

static void
describe_server(CcrSource *source, const CcrServer *server)
{
	source->serverid = server->serverid;
	source->umid = server->umid;
	source->server_name = server->name;
	source->user = server->user;
	source->server_limits = server->limits;
	source->fail_fast = server->fail_fast;
	source->password_required = server->password_required;
	source->noptions = server->noptions;
	source->keywords = server->keywords;
	source->values = server->values;
}

/* server: NULL for this database. */
static CcrSource *
make_source(const CcrDefinition *definition, const CcrResult *result,
			const CcrServer *server, bool isolate)
{
	CcrSource  *source = palloc0(sizeof(CcrSource));

	source->dbid = MyDatabaseId;
	source->function = definition->function;
	source->owner = definition->owner;
	source->key = definition->clauses.key;
	source->function_name = pstrdup(definition->name);
	if (server)
		describe_server(source, server);
	else
		describe_local(source, definition);
	source->own_limits = definition->clauses.limits;
	if (definition->clauses.fail_fast >= 0)
		source->fail_fast = definition->clauses.fail_fast;
	source->resend = definition->volatility != PROVOLATILE_VOLATILE;
	source->returns_set = result->returns_set;
	source->returns_void = result->is_void;
	source->composite = result->tupdesc != NULL && result->type != RECORDOID;
	source->prepare = ccr_settings.prepare;
	source->isolate_errors = isolate;
	source->undivided = !source->resend && definition->clauses.isolate_errors == 0;
	describe_types(source, definition, result);
	describe_body(source, definition, result);
	describe_text(source, definition, result);
	return source;
}

static CcrRoute *
make_route(CcrDefinition *definition, const CcrResult *result, bool isolate)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "concresce route",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	uint64		changes_before = changes;
	CcrRoute   *route = palloc0(sizeof(CcrRoute));
	const char *server = ccr_route_server(definition);
	bool		local = server[0] == '\0';
	StringInfoData buf;

	route->context = context;
	route->roleid = GetUserId();
	route->server_name = pstrdup(server);
	route->prepare = ccr_settings.prepare;
	route->isolate_errors = isolate;
	route->source = make_source(definition, result,
								local ? NULL : ccr_server_resolve(route->server_name,
																  route->roleid),
								isolate);
	if (result_has_money(definition, result))
		route->lc_monetary = pstrdup(money_locale());
	route->search_path = unconstify(char *, route->source->search_path);
	initStringInfo(&buf);
	ccr_source_flatten(&buf, route->source, &route->fingerprint);
	explicit_bzero(buf.data, buf.len);
	pfree(buf.data);

	route->worker = ccr_shard_first(route->source);
	route->sharded = !local && ccr_shard_listed(route->server_name);
	route->counters_key.dbid = MyDatabaseId;
	route->counters_key.function = definition->function;
	route->counters_key.serverid = route->source->serverid;
	route->counters = ccr_counters_find(&route->counters_key, ccr_seat_party(),
										&route->counters_serial);
	route->made_at = changes_before;
	MemoryContextSwitchTo(old);
	return route;
}

CcrRoute *
ccr_route_get(CcrDefinition *definition, const CcrResult *result, bool barred)
{
	CcrRoute   *route;
	MemoryContext old;

	ccr_route_watch();
	check_server(definition, barred);
	if (barred && ccr_route_server(definition)[0] == '\0')
		check_path(definition);
	route = find_route(definition, result, barred);
	if (route)
		return route;

	/*
	 * a local lookup within a local one would wait for an executor, and all
	 * executors might do that at once
	 */
	if (ccr_route_server(definition)[0] == '\0' && ccr_seat_inside())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("lookup %s cannot be called within a local lookup", definition->name),
				 errdetail("Both would need a local executor, of which there may be none left."),
				 errhint("Write what it does into the body, or give one of the two a foreign server.")));
	route = make_route(definition, result, isolates_errors(definition, barred));
	inherit_description(definition, route);
	drop_stale_routes(definition);
	MemoryContextSetParent(route->context, definition->context);
	old = MemoryContextSwitchTo(definition->context);
	definition->routes = lappend(definition->routes, route);
	MemoryContextSwitchTo(old);
	return route;
}

bool
ccr_route_valid(const CcrRoute *route)
{
	return route->made_at == changes;
}

void
ccr_route_describe(CcrRoute *route, StringInfo buf, bool missing_ok)
{
	CcrServer	server = {
		.name = unconstify(char *, route->source->server_name),
		.noptions = route->source->noptions,
		.keywords = route->source->keywords,
		.values = route->source->values
	};
	CcrSource	source = *route->source;
	CcrFingerprint unused;
	char	   *hosts;
	char	   *hostaddrs;
	char	   *ports;

	if (ccr_server_addresses(&server, &hosts, &hostaddrs, &ports, missing_ok))
	{
		source.hosts = hosts;
		source.hostaddrs = hostaddrs;
		source.ports = ports;
	}
	initStringInfo(buf);
	ccr_source_flatten(buf, &source, &unused);
}

int
ccr_route_shards(const CcrRoute *route)
{
	const CcrSource *source = route->source;

	if (!route->sharded)
		return 1;
	return ccr_shards_of_lookup(ccr_shards_of_server(source->server_limits),
								source->own_limits);
}

int
ccr_route_worker(const CcrRoute *route, const char *key, uint32 length)
{
	if (!route->sharded)
		return route->worker;
	return ccr_shard_worker(route->worker,
							ccr_shard_of_key(key, length, ccr_route_shards(route)));
}

CcrCounters *
ccr_route_counters(CcrRoute *route)
{
	CcrCounters *counters = &ccr_counters[route->counters];

	if (pg_atomic_read_u32(&counters->serial) != route->counters_serial)
	{
		route->counters = ccr_counters_find(&route->counters_key, ccr_seat_party(),
											&route->counters_serial);
		counters = &ccr_counters[route->counters];
	}
	return counters;
}

void
ccr_route_forget(CcrDefinition *definition, const CcrFingerprint *fingerprint)
{
	ListCell   *lc;

	foreach(lc, definition->routes)
	{
		CcrRoute   *route = lfirst(lc);

		if (memcmp(&route->fingerprint, fingerprint, sizeof(*fingerprint)) == 0)
			memset(route->described, 0, sizeof(route->described));
	}
}
