/*-------------------------------------------------------------------------
 *
 * settings.c
 *	  The configuration parameters: names, defaults, bounds.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "shared/compat.h"
#include "shared/settings.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

#define CCR_DEFAULT_SIZE	1000	/* items in a batch */
#define CCR_SCAN_GROWTH		10	/* times as many in one of a scan */
#define CCR_QUEUE_SHARE		10	/* one of so many parts of a queue */

CcrSettings ccr_settings = {
	.server_source = PGC_S_DEFAULT,
	.max_size = CCR_DEFAULT_SIZE,
	.max_scan_size = -1,
	.max_bytes = 8 * 1024 * 1024,
	.coalesce = CCR_COALESCE_AUTO,
	.timeout = 60 * 1000,
	.on_missing = CCR_MISSING_NULL,
	.on_full = CCR_FULL_WAIT,
	.prepare = true,
};

char	   *ccr_key = NULL;
int			ccr_max_connections = 4;
int			ccr_queue_size = 100000;
bool		ccr_enable_batchscan = true;
int			ccr_idle_timeout = 300;
int			ccr_shared_memory = 64;
int			ccr_max_session_memory = -1;
int			ccr_max_role_memory = -1;
int			ccr_workers = 1;
char	   *ccr_sharded_servers = NULL;
int			ccr_collector_memory = -1;
int			ccr_enqueue_timeout = 10 * 60 * 1000;
int			ccr_log_min_duration = -1;
int			ccr_max_local_workers = 2;
int			ccr_drain_timeout = 30 * 1000;
int			ccr_max_attempts = 20;
int			ccr_max_batches_per_second = 0;
int			ccr_max_items_per_second = 0;
bool		ccr_fail_fast = false;
int			ccr_max_lifetime = 3600;

const struct config_enum_entry ccr_coalesce_options[] = {
	{"auto", CCR_COALESCE_AUTO, false},
	{"off", CCR_COALESCE_OFF, false},
	{"batch", CCR_COALESCE_BATCH, false},
	{"flight", CCR_COALESCE_FLIGHT, false},
	{NULL, 0, false}
};

const struct config_enum_entry ccr_on_missing_options[] = {
	{"null", CCR_MISSING_NULL, false},
	{"error", CCR_MISSING_ERROR, false},
	{NULL, 0, false}
};

static const struct config_enum_entry on_full_options[] = {
	{"wait", CCR_FULL_WAIT, false},
	{"error", CCR_FULL_ERROR, false},
	{NULL, 0, false}
};

/* Remember who has set a value, for as long as it is in force. */
static bool
check_source(char **newval, void **extra, GucSource source)
{
	int		   *copy = ccr_guc_malloc(sizeof(int));

	if (copy == NULL)
		return false;
	*copy = source;
	*extra = copy;
	return true;
}

static void
assign_server(const char *newval, void *extra)
{
	ccr_settings.server_source = *(int *) extra;
}

static bool
check_scan_size(int *newval, void **extra, GucSource source)
{
	return *newval != 0;
}

/* What a session, a role, a database or a function can set. */
static void
define_call_settings(void)
{
	DefineCustomStringVariable("concresce.server",
							   "Foreign server that lookups are sent to.",
							   "Empty: they run in this database.",
							   &ccr_settings.server_name, "",
							   PGC_USERSET, 0, check_source, assign_server, NULL);
	DefineCustomStringVariable("concresce.key",
							   "Expressions over a lookup's arguments that identify a call.",
							   "Empty: all arguments do. Only a lookup's own SET clause counts.",
							   &ccr_key, "",
							   PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("concresce.coalesce",
							 "Which calls of a lookup share one item.",
							 "\"auto\": \"flight\", but \"off\" for VOLATILE lookups.",
							 &ccr_settings.coalesce, CCR_COALESCE_AUTO, ccr_coalesce_options,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("concresce.on_missing",
							 "What a call gets for which no row is found.",
							 NULL, &ccr_settings.on_missing, CCR_MISSING_NULL, ccr_on_missing_options,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("concresce.on_full",
							 "What a call does when the queue of its lookup is full.",
							 NULL, &ccr_settings.on_full, CCR_FULL_WAIT, on_full_options,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("concresce.timeout",
							"Longest time that a call of a lookup waits.",
							"0 disables the limit.",
							&ccr_settings.timeout, 60 * 1000, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("concresce.max_timeout",
							"Ceiling of concresce.timeout.",
							"0: there is none.",
							&ccr_settings.max_timeout, 0, 0, INT_MAX,
							PGC_SUSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomBoolVariable("concresce.isolate_errors",
							 "Divides a batch that fails on its data until only the bad items fail.",
							 NULL, &ccr_settings.isolate_errors, false,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("concresce.prepare",
							 "Uses prepared statements on foreign connections.",
							 "Turn it off for poolers that do not support them.",
							 &ccr_settings.prepare, true,
							 PGC_USERSET, 0, NULL, NULL, NULL);
}

/* Only the planner asks. */
static void
define_planner_settings(void)
{
	DefineCustomBoolVariable("concresce.enable_batchscan",
							 "Enables the planner's use of batch nodes for lookups.",
							 NULL, &ccr_enable_batchscan, true,
							 PGC_USERSET, GUC_EXPLAIN, NULL, NULL, NULL);
}

/* Bounds on what is held. */
static void
define_memory_settings(void)
{
	DefineCustomIntVariable("concresce.collector_memory",
							"Memory that a collector process may take for what foreign servers send.",
							"-1: eight times concresce.shared_memory, at least 512 MB.",
							&ccr_collector_memory, -1, -1, 1024 * 1024,
							PGC_SIGHUP, GUC_UNIT_MB, NULL, NULL, NULL);
	DefineCustomIntVariable("concresce.max_session_memory",
							"Shared memory that requests and results of a session may take.",
							"-1: twice what is free.",
							&ccr_max_session_memory, -1, -1, INT_MAX / 2,
							PGC_SUSET, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("concresce.max_role_memory",
							"Shared memory that requests and results of all sessions of a role may take.",
							"-1: four times what is free.",
							&ccr_max_role_memory, -1, -1, INT_MAX / 2,
							PGC_SUSET, GUC_UNIT_KB, NULL, NULL, NULL);
}

static void
define_batch_settings(void)
{
	DefineCustomRealVariable("concresce.max_window",
							 "Longest time that a call waits for others to join its batch.",
							 "0: a batch is sent as soon as a connection is free.",
							 &ccr_settings.max_window, 0, 0, 60 * 1000,
							 PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("concresce.max_size",
							"Number of items in a batch, at most.",
							NULL, &ccr_settings.max_size, CCR_DEFAULT_SIZE, 1, 100000,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("concresce.max_scan_size",
							"Number of items in a batch that a query over many rows asks for, at most.",
							"-1: ten times \"concresce.max_size\", unless that is smaller than by default.",
							&ccr_settings.max_scan_size, -1, -1, 100000,
							PGC_USERSET, 0, check_scan_size, NULL, NULL);
	DefineCustomIntVariable("concresce.max_bytes",
							"Size of the arguments in a batch, at most.",
							"A single item that is larger goes alone.",
							&ccr_settings.max_bytes, 8 * 1024 * 1024, 1024, 512 * 1024 * 1024,
							PGC_USERSET, GUC_UNIT_BYTE, NULL, NULL, NULL);
	DefineCustomIntVariable("concresce.max_connections",
							"Number of batches in flight per foreign server and user mapping, at most.",
							NULL, &ccr_max_connections, 4, 1, 1000,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("concresce.max_local_workers",
							"Number of processes per database that run local lookups, at most.",
							NULL, &ccr_max_local_workers, 2, 1, 1000,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("concresce.queue_size",
							"Number of items per lookup that may wait to be sent.",
							NULL, &ccr_queue_size, 100000, 1, INT_MAX / 2,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("concresce.idle_timeout",
							"Time after which an idle foreign connection is closed.",
							"0: never.",
							&ccr_idle_timeout, 300, 0, INT_MAX / 1000,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("concresce.enqueue_timeout",
							"Longest time that a batch of enqueued items may take on a foreign server.",
							"It is then cancelled and tried again. 0 disables the limit.",
							&ccr_enqueue_timeout, 10 * 60 * 1000, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("concresce.log_min_duration",
							"Logs batches that take at least this long.",
							"-1 turns it off, 0 logs all.",
							&ccr_log_min_duration, -1, -1, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("concresce.drain_timeout",
							"Longest time that a shutdown waits until enqueued items have been sent.",
							"0: it does not wait.",
							&ccr_drain_timeout, 30 * 1000, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("concresce.max_batches_per_second",
							"Batches of a lookup that may be sent in a second; only as a SET clause of the lookup.",
							"0: any number.",
							&ccr_max_batches_per_second, 0, 0, CCR_MAX_RATE,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("concresce.max_items_per_second",
							"Items of a lookup that may be sent in a second; only as a SET clause of the lookup.",
							"0: any number.",
							&ccr_max_items_per_second, 0, 0, CCR_MAX_RATE,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("concresce.fail_fast",
							 "Calls fail at once while the foreign server cannot be reached; only as a SET clause of the lookup.",
							 NULL, &ccr_fail_fast, false,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("concresce.max_lifetime",
							"Time after which a foreign connection is renewed.",
							"0: never.",
							&ccr_max_lifetime, 3600, 0, INT_MAX / 1000,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("concresce.max_attempts",
							"Number of failures for causes that pass after which an enqueued item is given up that fails alone, while others succeed.",
							"0: none is given up for them.",
							&ccr_max_attempts, 20, 0, INT_MAX,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
}

static bool
check_sharded_servers(char **newval, void **extra, GucSource source)
{
	char	   *list = pstrdup(*newval);
	List	   *names;
	bool		valid = SplitIdentifierString(list, ',', &names);

	list_free(names);
	pfree(list);
	if (!valid)
		GUC_check_errdetail("List syntax is invalid.");
	return valid;
}

/* Only possible, and only of use, when preloaded. */
static void
define_server_settings(void)
{
	DefineCustomIntVariable("concresce.shared_memory",
							"Shared memory for requests and results.",
							NULL, &ccr_shared_memory, 64, 1, 64 * 1024,
							PGC_POSTMASTER, GUC_UNIT_MB, NULL, NULL, NULL);
	DefineCustomIntVariable("concresce.workers",
							"Number of collector processes.",
							"Foreign servers are spread over them.",
							&ccr_workers, 1, 1, CCR_MAX_WORKERS,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("concresce.sharded_servers",
							   "Foreign servers whose calls are spread over all collectors.",
							   "Each collector has its part of what the server is allowed.",
							   &ccr_sharded_servers, "",
							   PGC_POSTMASTER, GUC_LIST_INPUT,
							   check_sharded_servers, NULL, NULL);
}

void
ccr_settings_define(bool preloaded)
{
	define_call_settings();
	define_batch_settings();
	define_memory_settings();
	define_planner_settings();
	if (preloaded)
		define_server_settings();
	MarkGUCPrefixReserved("concresce");
}

int
ccr_settings_scan_size(void)
{
	int			size = ccr_settings.max_size;

	if (ccr_settings.max_scan_size > 0)
		return ccr_settings.max_scan_size;
	if (size < CCR_DEFAULT_SIZE)
		return size;
	return Max(size, Min(size * CCR_SCAN_GROWTH, ccr_queue_size / CCR_QUEUE_SHARE));
}

bool
ccr_settings_equal(const CcrSettings *a, const CcrSettings *b)
{
	return a->server_source == b->server_source &&
		a->max_window == b->max_window && a->max_size == b->max_size &&
		a->max_scan_size == b->max_scan_size && a->max_bytes == b->max_bytes && a->coalesce == b->coalesce &&
		a->timeout == b->timeout && a->max_timeout == b->max_timeout &&
		a->on_missing == b->on_missing && a->on_full == b->on_full &&
		a->isolate_errors == b->isolate_errors && a->prepare == b->prepare &&
		strcmp(a->server_name, b->server_name) == 0;
}

void
ccr_settings_copy(CcrSettings *to, const CcrSettings *from, MemoryContext context)
{
	*to = *from;
	to->server_name = MemoryContextStrdup(context, from->server_name);
}
