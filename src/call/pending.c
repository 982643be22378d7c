/*-------------------------------------------------------------------------
 *
 * pending.c
 *	  The backend's side of a call: submit, and wait.
 *
 * A request that was submitted is always given back: waiting for it abandons
 * it on any error, the resource owner of what asked for it drops it when it is
 * released, and a backend that exits abandons what its slot still lists.  What
 * a request brought is copied out of shared memory before anything is made of
 * it, since input functions may raise errors.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "call/pending.h"
#include "call/turn.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "common/hashfn.h"
#include "lookup/route.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "shared/compat.h"
#include "shared/reader.h"
#include "shared/seat.h"
#include "shared/settings.h"
#include "shared/shard.h"
#include "shared/stopped.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

static uint32 wait_event_answer;
static uint32 wait_event_room;

/* All requests that this process has under way, with or without an owner. */
static dlist_head under_way = DLIST_STATIC_INIT(under_way);
static dlist_head unowned = DLIST_STATIC_INIT(unowned);
static MemoryContext pending_context = NULL;

/* A gauge that this process has raised, and must lower whatever happens. */
static pg_atomic_uint32 *raised = NULL;

static void
raise_gauge(pg_atomic_uint32 *gauge)
{
	Assert(raised == NULL);
	pg_atomic_fetch_add_u32(gauge, 1);
	raised = gauge;
}

static void
lower_gauge(void)
{
	if (raised)
		pg_atomic_fetch_sub_u32(raised, 1);
	raised = NULL;
}

/* Room in a queue that was taken for requests which are not made yet. */
static struct
{
	CcrCounters *counters;
	uint32		n;
}			spare_room;

static void
give_spare_room_back(void)
{
	uint32		n = spare_room.n;

	spare_room.n = 0;
	if (n == 0)
		return;
	ccr_counters_release_backlog(spare_room.counters, n);
	ccr_stopped_recount();
}

static void
end_pending(CcrPending *pending)
{
	dlist_delete(&pending->node);
	ccr_definition_release(pending->definition);
	if (pending->context)
		MemoryContextDelete(pending->context);
	pfree(pending);
}

static void
drop_one(CcrPending *pending)
{
	if (pending->request && !ccr_outbox_withdraw(&pending->held))
		ccr_request_abandon(pending->request, CCR_ABANDON_CANCEL);
	end_pending(pending);
}

void
ccr_pending_drop(CcrPending *pending)
{
	while (pending)
	{
		CcrPending *rest = pending->rest;

		drop_one(pending);
		pending = rest;
	}
}

/*
 * As the process exits: abandon what is under way, since FATAL errors do not
 * pass through PG_CATCH.
 */
static void
pending_exit_backend(int code, Datum arg)
{
	CcrSlot    *slot = &ccr_slots[ccr_my_procno()];
	dlist_iter	iter;

	/*
	 * the transaction has not been aborted yet, so give back what it waits
	 * for
	 */
	lower_gauge();
	ccr_turn_end();
	give_spare_room_back();
	dlist_foreach(iter, &under_way)
		dlist_container(CcrPending, node, iter.cur)->request = NULL;
	dlist_foreach(iter, &unowned)
		dlist_container(CcrPending, node, iter.cur)->request = NULL;
	ccr_outbox_push();
	while (DsaPointerIsValid(slot->requests))
		ccr_request_abandon(ccr_heap_address(slot->requests), CCR_ABANDON_CANCEL);
}

/*
 * Drop what a resource owner has when it is released.  A wait gives back what
 * it waits for by itself, but errors may come before and after the wait, and a
 * portal may end before it has been run to its end.
 */
static void
release_owner(ResourceReleasePhase phase, bool is_commit, bool is_top, void *arg)
{
	dlist_mutable_iter iter;

	if (phase != RESOURCE_RELEASE_BEFORE_LOCKS)
		return;
	dlist_foreach_modify(iter, &under_way)
	{
		CcrPending *pending = dlist_container(CcrPending, node, iter.cur);

		if (pending->owner == CurrentResourceOwner)
			drop_one(pending);
	}

	/* a statement or a part of one has ended, so push what is held back */
	ccr_outbox_push();
}

void
ccr_pending_init(void)
{
	static bool done = false;

	if (done)
		return;

	/*
	 * This takes memory, and so may fail, as submit_pending() must not.  What
	 * cannot fail comes last: it is done once, though this is called again.
	 */
	ccr_heap_attach();
	wait_event_answer = ccr_new_wait_event("ConcresceAnswer");
	wait_event_room = ccr_new_wait_event("ConcresceQueueFull");
	if (pending_context == NULL)
		pending_context = AllocSetContextCreate(TopMemoryContext, "concresce requests",
												ALLOCSET_SMALL_SIZES);
	RegisterResourceReleaseCallback(release_owner, NULL);
	before_shmem_exit(pending_exit_backend, (Datum) 0);
	done = true;
}

/* --------------------------------------------------------------- admission */

static bool
reserve_room(CcrCounters *counters, uint32 n)
{
	return ccr_room_take(&counters->backlog, &counters->room_turn, n);
}

static void
queue_full(const CcrDefinition *definition)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("queue of lookup %s is full", definition->name),
			 errdetail("%d items may wait.", ccr_queue_size),
			 errhint("Set \"concresce.on_full\" to \"wait\", or increase \"concresce.queue_size\".")));
}

/* Wait for room in the queue: backpressure. */
static void
wait_for_room(const CcrDefinition *definition, CcrRoute *route, uint32 n,
			  CcrTime begin)
{
	CcrCounters *counters = ccr_route_counters(route);
	CcrTimeout	timeout = ccr_timeout_present();
	CcrTime		deadline = ccr_timeout_end(timeout, begin);

	/* requests that are held back occupy room, too */
	ccr_outbox_push();
	if (ccr_settings.on_full == CCR_FULL_ERROR)
		queue_full(definition);

	ccr_turn_begin(&counters->room_turn, &counters->backlog);
	for (int i = 0; i < ccr_route_shards(route); i++)
		ccr_mailbox_press(&ccr_mailboxes[ccr_shard_worker(route->worker, i)]);
	PG_TRY();
	{
		while (!reserve_room(counters, n))
		{
			long		left = ccr_until(deadline, ccr_now());

			if (left == 0)
				ccr_answered_timed_out(definition->name, timeout, "room in its queue");
			if (!ccr_turn_claim())
				ccr_turn_sleep(left, wait_event_room);
		}
	}
	PG_FINALLY();
	{
		ccr_turn_end();
	}
	PG_END_TRY();
}

static void
take_room(const CcrDefinition *definition, CcrRoute *route, uint32 n, CcrTime now)
{
	CcrCounters *counters = ccr_route_counters(route);

	if (spare_room.counters == counters && spare_room.n >= n)
		spare_room.n -= n;
	else if (!reserve_room(counters, n))
		wait_for_room(definition, route, n, now);
}

/* Wipe a description, as it may contain a password. */
static void
wipe_source(StringInfo source)
{
	if (source->data == NULL)
		return;
	explicit_bzero(source->data, source->len);
	pfree(source->data);
}

/*
 * Attach a request.  If it replaces one, as it is submitted again, it keeps
 * the number of that.
 */
static void
hand_over_pending(CcrPending *pending, CcrRequest *request)
{
	if (pending->id == 0)
		pending->id = request->id;
	request->id = pending->id;
	request->announce = pending->announce;
	pending->worker = request->worker;
	if (pending->announce)
	{
		request->deadline = pending->deadline;
		ccr_request_open(request);
		ccr_outbox_hold(&pending->held, request);
		return;
	}
	ccr_outbox_push();
	ccr_request_submit(request);
}

/*
 * Choose the collector for items, all of which are of one shard.  If identical
 * calls need not meet, single calls go to the shards in turn: otherwise
 * identical ones would all go to the same.
 */
static int
worker_for(const CcrDefinition *definition, const CcrRoute *route, const CcrItems *items)
{
	static uint32 turn = 0;
	const char *key;
	uint32		length;

	if (!route->sharded)
		return route->worker;
	if (items->n == 1 && ccr_clauses_coalesce(&definition->clauses) == CCR_COALESCE_OFF)
		return ccr_shard_worker(route->worker, (ccr_my_procno() + turn++) % ccr_route_shards(route));
	key = ccr_item_key((CcrItem *) items->buf.data, &length);
	return ccr_route_worker(route, key, length);
}

/* The route of a call.  Raises an error if the server is switched off. */
static CcrRoute *
open_route(CcrDefinition *definition, const CcrResult *result, bool barred)
{
	CcrRoute   *route = ccr_route_get(definition, result, barred);

	if (ccr_switched_off(MyDatabaseId, route->source->serverid, NULL))
		ccr_switched_off_refuse(route->source->server_name);
	return route;
}

/*
 * Submit a request for items, with the present role and settings.  The room and
 * the memory that it takes are nobody's until it is in the slot.  Nothing may
 * fail meanwhile, and interrupts are held off: even a warning would serve them.
 */
static CcrRequest *
submit_pending(CcrPending *pending, CcrTime now)
{
	CcrDefinition *definition = pending->definition;
	const CcrResult *result = pending->result;
	const CcrItems *items = pending->items;
	CcrRoute   *route;
	CcrCounters *counters;
	CcrRequest *request;
	int			worker;
	int			coalesce;
	uint32		generation;
	StringInfoData source = {0};

	route = open_route(definition, result, items->barred);
	counters = ccr_route_counters(route);
	worker = worker_for(definition, route, items);
	generation = pg_atomic_read_u32(&ccr_mailboxes[worker].generation);
	if (generation == 0)
		ccr_shmem_require_collector(worker);
	if (route->described[worker] != generation || generation == 0)
		ccr_route_describe(route, &source, false);
	coalesce = ccr_clauses_coalesce(&definition->clauses);
	take_room(definition, route, items->n, now);
	HOLD_INTERRUPTS();
	if (ccr_stopped(MyDatabaseId, definition->function, false))
	{
		ccr_counters_release_backlog(counters, items->n);
		wipe_source(&source);
		ccr_stopped_recount();
		ccr_stopped_refuse(definition->name);
	}

	request = ccr_request_new(CCR_REQUEST_LOOKUP, items->n, items->buf.len,
							  source.data, source.len);
	wipe_source(&source);
	if (request == NULL)
	{
		ccr_counters_release_backlog(counters, items->n);
		ccr_stopped_recount();
		ccr_request_no_room(items->buf.len);
	}
	memcpy(ccr_request_first(request), items->buf.data, items->buf.len);
	request->worker = worker;
	request->function = definition->function;
	request->fingerprint = route->fingerprint;
	request->counters = route->counters;
	request->reserved = true;
	request->submitted = now;
	request->window_end = pending->full ? now : now + (CcrTime) (ccr_settings.max_window * 1000.0);
	request->max_size = items->max_size ? items->max_size : ccr_settings.max_size;
	request->max_bytes = ccr_settings.max_bytes;
	request->coalesce = coalesce;
	hand_over_pending(pending, request);
	RESUME_INTERRUPTS();
	route->described[worker] = generation;
	return request;
}

/* A hash of the settings that say who is asked. */
static uint64
present_settings(const CcrDefinition *definition)
{
	const char *server = ccr_route_server(definition);
	bool		local = server[0] == '\0';
	const char *name = local ? namespace_search_path : server;

	return hash_bytes_extended((const unsigned char *) name, strlen(name), local);
}

/* Let a resource owner drop it when the owner is released. */
static void
give_to_owner(CcrPending *pending, ResourceOwner owner)
{
	dlist_delete(&pending->node);
	dlist_push_tail(owner ? &under_way : &unowned, &pending->node);
	pending->owner = owner;
}

static CcrPending *
start_one(CcrDefinition *definition, const CcrResult *result,
		  const CcrItems *items, bool full, bool announce, CcrTime now)
{
	/*
	 * put it on the list first, so that whatever it takes later is given back
	 */
	CcrPending *pending = MemoryContextAllocZero(pending_context, sizeof(CcrPending));

	pending->definition = definition;
	definition->references++;
	pending->owner = CurrentResourceOwner;
	dlist_push_tail(&under_way, &pending->node);
	pending->result = result;
	pending->items = items;
	pending->full = full;
	pending->announce = announce;
	pending->timeout = ccr_timeout_present();
	pending->on_missing =
		ccr_clauses_on_missing(&definition->clauses,
							   ccr_route_steered(definition, items->barred));
	pending->deadline = ccr_timeout_end(pending->timeout, now);
	pending->settings = present_settings(definition);
	GetUserIdAndSecContext(&pending->roleid, &pending->sec_context);
	pending->request = submit_pending(pending, now);
	return pending;
}

/* Submit one request for each shard that has an item; return the chain. */
static CcrPending *
start_dealt(CcrDefinition *definition, const CcrResult *result,
			const CcrDealt *dealt, int shards, bool full, bool announce, CcrTime now)
{
	CcrPending *chain = NULL;

	for (int i = shards - 1; i >= 0; i--)
	{
		CcrPending *pending;

		if (dealt[i].items.n == 0)
			continue;
		pending = start_one(definition, result, &dealt[i].items, full, announce, now);
		pending->places = dealt[i].places;
		pending->rest = chain;
		chain = pending;
	}
	return chain;
}

/*
 * Take room for all items at once, as for one request.  Otherwise the room
 * that some shards' items have taken could be what the others lack.
 */
static CcrPending *
start_shards(CcrDefinition *definition, const CcrResult *result,
			 const CcrItems *items, int shards, bool announce, CcrTime now)
{
	CcrDealt   *dealt = ccr_items_deal(items, shards);
	CcrRoute   *route = open_route(definition, result, items->barred);
	CcrCounters *counters = ccr_route_counters(route);
	bool		full = items->n >= (uint32) (items->max_size ? items->max_size : ccr_settings.max_size);
	CcrPending *volatile chain = NULL;

	take_room(definition, route, items->n, now);
	spare_room.counters = counters;
	spare_room.n = items->n;
	PG_TRY();
	{
		chain = start_dealt(definition, result, dealt, shards, full, announce, now);
	}
	PG_FINALLY();
	{
		give_spare_room_back();
	}
	PG_END_TRY();
	return chain;
}

static CcrPending *
start_pending(CcrDefinition *definition, const CcrResult *result,
			  const CcrItems *items, ResourceOwner owner, bool announce)
{
	CcrTime		now = ccr_now();
	int			shards = 1;
	CcrPending *chain;

	ccr_pending_init();
	if (items->n > 1)
		shards = ccr_route_shards(ccr_route_get(definition, result, items->barred));
	chain = shards > 1 ?
		start_shards(definition, result, items, shards, announce, now) :
		start_one(definition, result, items, false, announce, now);
	for (CcrPending *pending = chain; pending; pending = pending->rest)
		if (owner != pending->owner)
			give_to_owner(pending, owner);
	return chain;
}

CcrPending *
ccr_pending_submit(CcrDefinition *definition, const CcrResult *result,
				   const CcrItems *items, ResourceOwner owner)
{
	return start_pending(definition, result, items, owner, false);
}

CcrPending *
ccr_pending_start(CcrDefinition *definition, const CcrResult *result,
				  const CcrItems *items, ResourceOwner owner)
{
	return start_pending(definition, result, items, owner, true);
}

/* ----------------------------------------------------------------- waiting */

static bool
is_done(CcrRequest *request)
{
	return pg_atomic_read_u32(&request->state) == CCR_REQUEST_DONE;
}

static const char *
waits_for(CcrRequest *request)
{
	switch (pg_atomic_read_u32(&request->phase))
	{
		case CCR_PHASE_SUBMITTED:
			return "the collector";
		case CCR_PHASE_QUEUED:
			return "its batch to be sent";
		default:
			return OidIsValid(ccr_counters[request->counters].key.serverid) ?
				"the foreign server's answer" : "the local executor's answer";
	}
}

void
ccr_pending_sleep(int worker, long timeout)
{
	raise_gauge(&ccr_mailboxes[worker].sleepers);
	(void) WaitLatch(MyLatch,
					 WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (timeout >= 0 ? WL_TIMEOUT : 0),
					 timeout, wait_event_answer);
	lower_gauge();
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/*
 * A wait: for which request, and until when. effects: the lookup is VOLATILE.
 */
typedef struct Wait
{
	const char *name;
	bool		effects;
	CcrRequest *request;
	CcrTime		deadline;
	CcrTimeout	timeout;
	uint32		event;
	bool		no_error;		/* return what ended the wait */
} Wait;

static CcrFailure
sleep_until_done(const Wait *wait)
{
	CcrRequest *request = wait->request;

	while (!is_done(request))
	{
		long		left = ccr_until(wait->deadline, ccr_now());

		if (left == 0 && wait->no_error)
			return CCR_FAILURE_TIMEOUT;
		if (left == 0)
			ccr_answered_timed_out(wait->name, wait->timeout, waits_for(request));
		if (ccr_request_lost(request) && wait->no_error)
			return CCR_FAILURE_COLLECTOR_EXIT;
		if (ccr_request_lost(request))
			ccr_answered_collector_gone(wait->name, wait->effects &&
										pg_atomic_read_u32(&request->phase) == CCR_PHASE_IN_FLIGHT);
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (left >= 0 ? WL_TIMEOUT : 0),
						 left, wait->event);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	return CCR_FAILURE_NONE;
}

/*
 * Wait until a request has ended.  On an error, abandon it and free the
 * CcrPending.
 */
static CcrFailure
wait_until_done(const Wait *wait, CcrPending *pending)
{
	CcrMailbox *mailbox = &ccr_mailboxes[wait->request->worker];
	volatile CcrFailure failure = CCR_FAILURE_NONE;

	ccr_outbox_push();
	raise_gauge(&mailbox->sleepers);
	PG_TRY();
	{
		failure = sleep_until_done(wait);
	}
	PG_CATCH();
	{
		bool		late = wait->deadline != 0 && geterrcode() == ERRCODE_QUERY_CANCELED &&
			ccr_now() >= wait->deadline;

		lower_gauge();
		ccr_request_abandon(wait->request, late ? CCR_ABANDON_TIMEOUT : CCR_ABANDON_CANCEL);
		if (pending)
			end_pending(pending);
		PG_RE_THROW();
	}
	PG_END_TRY();
	lower_gauge();

	/* read the answer only after the state; the partner is in become_done() */
	pg_read_barrier();
	return failure;
}

static CcrFailure
wait_for_pending(CcrPending *pending, bool no_error)
{
	Wait		wait = {
		.name = pending->definition->name,
		.effects = pending->definition->volatility == PROVOLATILE_VOLATILE,
		.request = pending->request,
		.deadline = pending->deadline,
		.timeout = pending->timeout,
		.event = wait_event_answer,
		.no_error = no_error
	};

	return wait_until_done(&wait, pending);
}

/*
 * The collector did not know the source: describe it and submit the items
 * again, with the rights and settings of the lookup.  If settings have changed
 * since, they would be another source's items: false.
 */
static bool
submit_pending_again(CcrPending *pending)
{
	CcrRequest *request = pending->request;
	CcrTime		begun = request->submitted;
	ResourceOwner owner = pending->owner;
	CcrScope	scope;
	bool		same;

	/* give it an owner first, so that an error does not leak it */
	give_to_owner(pending, CurrentResourceOwner);
	ccr_definition_enter_as(pending->definition, pending->roleid,
							pending->sec_context, &scope);
	same = pending->settings == present_settings(pending->definition);
	if (same)
	{
		ccr_route_forget(pending->definition, &request->fingerprint);
		pending->request = NULL;
		ccr_request_free(request);
		pending->request = submit_pending(pending, begun);
	}
	else
		request->failure = CCR_FAILURE_OTHER_SETTINGS;
	ccr_definition_leave(&scope);
	give_to_owner(pending, owner);
	return same;
}

void
ccr_pending_restart_timeout(CcrPending *pending)
{
	CcrTime		now = ccr_now();

	for (; pending; pending = pending->rest)
		pending->deadline = ccr_timeout_end(pending->timeout, now);
}

static bool
pending_ready(CcrPending *pending)
{
	if (pending->read)
		return true;
	if (!is_done(pending->request))
		return ccr_request_lost(pending->request);

	/* the partner is in become_done() */
	pg_read_barrier();
	if (pending->request->failure != CCR_FAILURE_UNKNOWN_SOURCE)
		return true;
	return !submit_pending_again(pending);
}

bool
ccr_pending_ready(CcrPending *pending)
{
	while (pending && pending_ready(pending))
		pending = pending->rest;
	return pending == NULL;
}

/* -------------------------------------------------------------- the answer */

/* After a failure of the connection its addresses are looked up anew. */
static void
check_connection_errors(CcrDefinition *definition, const CcrFingerprint *fingerprint,
						const CcrAnswerCopy *answered)
{
	for (uint32 i = 0; i < answered->n; i++)
	{
		CcrEntry   *entry = answered->entries[i];
		int			sqlstate;

		if (entry == NULL || entry->kind != CCR_ENTRY_ERROR ||
			entry->length < sizeof(sqlstate))
			return;
		memcpy(&sqlstate, entry->data, sizeof(sqlstate));
		if (ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_CONNECTION_EXCEPTION)
			ccr_route_forget(definition, fingerprint);
		return;
	}
}

/* Of a request that has ended, or that we leave. */
static CcrAnswerCopy *
new_answered(const CcrPending *pending, CcrFailure failure)
{
	CcrRequest *request = pending->request;
	CcrAnswerCopy *answered = palloc0(sizeof(CcrAnswerCopy));

	answered->n = request->nitems;
	answered->entries = palloc0(answered->n * sizeof(CcrEntry *));
	answered->counters = &ccr_counters[request->counters];
	answered->failure = failure;
	answered->timeout = pending->timeout;
	answered->waited_for = waits_for(request);
	return answered;
}

/* Copy what a request brought that is done, and free it. */
static CcrAnswerCopy *
read_out(CcrPending *pending)
{
	CcrRequest *request = pending->request;
	CcrAnswerCopy *answered = new_answered(pending, request->failure);

	answered->on_missing = pending->on_missing;
	answered->layout = pending->result->layout;
	answered->joined = request->joined;
	answered->remote_us = request->remote_us;
	if (answered->failure == CCR_FAILURE_NONE)
		ccr_answered_copy(answered, request);
	check_connection_errors(pending->definition, &request->fingerprint, answered);
	pending->request = NULL;
	ccr_request_free(request);
	return answered;
}

void
ccr_pending_read_out(CcrPending *pending)
{
	MemoryContext context;
	MemoryContext old;

	Assert(pending->rest == NULL && is_done(pending->request));
	context = AllocSetContextCreate(CurrentMemoryContext, "concresce answer",
									ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	pending->read = read_out(pending);
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(context, pending_context);
	pending->context = context;
}

static CcrAnswerCopy *
take_what_was_read(CcrPending *pending)
{
	CcrAnswerCopy *answered = pending->read;

	MemoryContextSetParent(pending->context, CurrentMemoryContext);
	pending->context = NULL;
	end_pending(pending);
	return answered;
}

static CcrAnswerCopy *
take_one(CcrPending *pending, bool no_error)
{
	CcrAnswerCopy *answered;
	CcrFailure	failure;

	if (pending->read)
		return take_what_was_read(pending);

	/*
	 * give it an owner first: copying the answer may fail for lack of memory
	 */
	give_to_owner(pending, CurrentResourceOwner);
	failure = wait_for_pending(pending, no_error);
	while (failure == CCR_FAILURE_NONE &&
		   pending->request->failure == CCR_FAILURE_UNKNOWN_SOURCE &&
		   submit_pending_again(pending))
		failure = wait_for_pending(pending, no_error);
	if (failure == CCR_FAILURE_NONE)
		answered = read_out(pending);
	else
	{
		answered = new_answered(pending, failure);
		ccr_request_abandon(pending->request, failure == CCR_FAILURE_TIMEOUT ?
							CCR_ABANDON_TIMEOUT : CCR_ABANDON_CANCEL);
	}
	end_pending(pending);
	return answered;
}

/* Copy one shard's answers to the places of its items among all. */
static void
put_together(CcrAnswerCopy *all, const CcrAnswerCopy *part, const uint32 *places)
{
	for (uint32 i = 0; i < part->n; i++)
		all->entries[places[i]] = part->entries[i];
	all->joined += part->joined;
	all->bytes += part->bytes;
	all->remote_us = Max(all->remote_us, part->remote_us);
	all->counters = part->counters;
	if (part->failure == CCR_FAILURE_NONE)
	{
		all->on_missing = part->on_missing;
		all->layout = part->layout;
	}
	else if (all->failure == CCR_FAILURE_NONE)
	{
		all->failure = part->failure;
		all->timeout = part->timeout;
		all->waited_for = part->waited_for;
	}
}

static CcrAnswerCopy *
take_chain(CcrPending *chain, bool no_error)
{
	CcrAnswerCopy *all;
	uint32		n = 0;

	/* give all of them an owner first, so that an error does not leak any */
	for (CcrPending *pending = chain; pending; pending = pending->rest)
	{
		give_to_owner(pending, CurrentResourceOwner);
		n += pending->items->n;
	}
	all = palloc0(sizeof(CcrAnswerCopy));
	all->n = n;
	all->entries = palloc0(n * sizeof(CcrEntry *));
	while (chain)
	{
		CcrPending *rest = chain->rest;
		const uint32 *places = chain->places;

		put_together(all, take_one(chain, no_error), places);
		chain = rest;
	}
	return all;
}

static CcrAnswerCopy *
take_pending(CcrPending *pending, bool no_error)
{
	return pending->places ? take_chain(pending, no_error) : take_one(pending, no_error);
}

CcrAnswerCopy *
ccr_pending_take(CcrPending *pending)
{
	return take_pending(pending, false);
}

CcrAnswerCopy *
ccr_pending_try_to_take(CcrPending *pending)
{
	return take_pending(pending, true);
}

/* --------------------------------------------------- telling the collector */

static CcrRequest *
submit_word(CcrRequestKind kind, Oid function, int worker, const CcrItems *items)
{
	CcrRequest *request = ccr_request_new(kind, items->n, items->buf.len, NULL, 0);

	if (request == NULL)
		ccr_request_no_room(items->buf.len);
	if (items->n > 0)
		memcpy(ccr_request_first(request), items->buf.data, items->buf.len);
	request->worker = worker;
	request->function = function;
	request->submitted = ccr_now();
	ccr_request_submit(request);
	return request;
}

bool
ccr_tell_collector(CcrRequestKind kind, Oid function, int worker, CcrTime deadline,
				   uint32 wait_event)
{
	static const CcrItems none = {0};
	Wait		wait = {.deadline = deadline, .event = wait_event, .no_error = true};
	volatile CcrFailure failure = CCR_FAILURE_NONE;

	/* such a collector does not exist, so it has nothing */
	if (!ccr_shmem_has_collector(worker))
		return true;
	wait.request = submit_word(kind, function, worker, &none);
	PG_TRY();
	{
		failure = sleep_until_done(&wait);
	}
	PG_FINALLY();
	{
		ccr_request_abandon(wait.request, CCR_ABANDON_CANCEL);
	}
	PG_END_TRY();
	return failure != CCR_FAILURE_TIMEOUT;
}

void
ccr_tell_to_forget(const CcrDefinition *definition, const CcrItems *items)
{
	Wait		wait = {.name = definition ? definition->name : "to be forgotten"};
	Oid			function = definition ? definition->function : InvalidOid;

	ccr_pending_init();
	wait.event = wait_event_answer;
	wait.timeout = ccr_timeout_present();
	wait.deadline = ccr_timeout_end(wait.timeout, ccr_now());
	for (int i = 0; i < ccr_shared->nworkers; i++)
	{
		if (!ccr_shmem_has_collector(i))
			continue;
		wait.request = submit_word(CCR_REQUEST_FORGET, function, i, items);
		(void) wait_until_done(&wait, NULL);
		ccr_request_free(wait.request);
	}
}
