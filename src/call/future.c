/*-------------------------------------------------------------------------
 *
 * future.c
 *	  Calls that a session has started and will ask for later.
 *
 * There may be ten thousand of them, so nothing here looks through all of them
 * but what happens once: the beginning of a watch, a call's timeout, a new
 * collector.  The collector announces what is done in the session's slot; a
 * hash table leads from there to the future, and the future knows whether it
 * is under the watch.
 *
 * Futures are listed by the subtransaction that started them, in a level for
 * each that started any.  Levels end with their subtransactions, or are merged
 * with the one outside; the last ends with the transaction.
 *
 * An error is kept for later, or returned as a value, only where a
 * subtransaction of its own can undo what it interrupted.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "call/future.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "lookup/override.h"
#include "miscadmin.h"
#include "shared/compat.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#define CCR_MAX_ENDED	100000	/* ids remembered after their end */

typedef struct FutureEntry
{
	int64		id;
	CcrFuture  *future;			/* NULL if it has ended */
	CcrFutureEnd how;
	char		status;
} FutureEntry;

#define SH_PREFIX		future
#define SH_ELEMENT_TYPE	FutureEntry
#define SH_KEY_TYPE		int64
#define SH_KEY			id
#define SH_HASH_KEY(tb, key)	murmurhash32((uint32) (key))
#define SH_EQUAL(tb, a, b)		((a) == (b))
#define SH_SCOPE		static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* The futures that were started in one subtransaction. */
typedef struct Level
{
	SubTransactionId subid;
	dlist_head	futures;
	struct Level *outer;
} Level;

static MemoryContext future_context = NULL; /* emptied with the transaction */
static struct future_hash *futures = NULL;
static uint32 nended = 0;
static Level *innermost = NULL;
static dlist_head held = DLIST_STATIC_INIT(held);	/* see
													 * make_room_for_futures() */
static uint32 generations[CCR_MAX_WORKERS]; /* of the collectors, as last seen */

static struct
{
	uint64		number;			/* of the current one */
	dlist_head	fresh;			/* arrived and not yet returned */
	int			outstanding;	/* not arrived */
	CcrTime		deadline;		/* the earliest of those, or before it; 0:
								 * none */
	int			worker;			/* a collector that has some of them */
}			watch = {.number = 1};

static void note_arrival(CcrFuture *future);

/* ------------------------------------------------------------ transactions */

static void
unhold_future(CcrFuture *future)
{
	if (future->held)
		dlist_delete(&future->held_node);
	future->held = false;
}

/* Free one that is off its level's list. */
static void
free_future(CcrFuture *future)
{
	unhold_future(future);
	if (future->pending)
		ccr_pending_drop(future->pending);
	if (future->byref)
		pfree(DatumGetPointer(future->value));
	if (future->error)
		FreeErrorData(future->error);
	if (future->watch == watch.number && future->fresh)
		dlist_delete(&future->fresh_node);
	else if (future->watch == watch.number && !future->arrived)
		watch.outstanding--;
	ccr_definition_release(future->definition);
	pfree(future);
}

static void
forget_level(Level *level)
{
	innermost = level->outer;
	while (!dlist_is_empty(&level->futures))
	{
		CcrFuture  *future = dlist_container(CcrFuture, node,
											 dlist_pop_head_node(&level->futures));

		future_delete(futures, future->id);
		free_future(future);
	}
	pfree(level);
}

static void
end_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PARALLEL_PRE_COMMIT ||
		event == XACT_EVENT_PRE_PREPARE || futures == NULL)
		return;
	while (innermost)
		forget_level(innermost);
	ccr_watch_begin();
	futures = NULL;
	nended = 0;
	MemoryContextReset(future_context);
}

static void
end_subtransaction(SubXactEvent event, SubTransactionId subid,
				   SubTransactionId outer_subid, void *arg)
{
	Level	   *level = innermost;

	if (level == NULL || level->subid != subid)
		return;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		forget_level(level);
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		if (level->outer == NULL || level->outer->subid != outer_subid)
		{
			level->subid = outer_subid;
			return;
		}
		while (!dlist_is_empty(&level->futures))
			dlist_push_tail(&level->outer->futures,
							dlist_pop_head_node(&level->futures));
		innermost = level->outer;
		pfree(level);
	}
}

static void
init_futures(void)
{
	static bool registered = false;

	if (future_context == NULL)
		future_context = AllocSetContextCreate(TopMemoryContext, "concresce futures",
											   ALLOCSET_DEFAULT_SIZES);

	/* either may fail for want of memory; to be called twice harms neither */
	if (!registered)
	{
		RegisterXactCallback(end_transaction, NULL);
		RegisterSubXactCallback(end_subtransaction, NULL);
		registered = true;
	}
	if (futures == NULL)
		futures = future_create(future_context, 64, NULL);
}

static Level *
current_level(void)
{
	SubTransactionId subid = GetCurrentSubTransactionId();
	Level	   *level = innermost;

	if (level && level->subid == subid)
		return level;
	level = MemoryContextAlloc(future_context, sizeof(Level));
	level->subid = subid;
	level->outer = innermost;
	dlist_init(&level->futures);
	innermost = level;
	return level;
}

/* --------------------------------------------------------- start, find, end */

/* On its level's list before there is anything to be given back. */
static CcrFuture *
new_future(CcrDefinition *definition, const CcrItems *items)
{
	int			length = items ? items->buf.len : 0;
	CcrFuture  *future = MemoryContextAlloc(future_context,
											MAXALIGN(offsetof(CcrFuture, item)) + length);

	memset(future, 0, offsetof(CcrFuture, item));
	future->definition = definition;
	definition->references++;
	if (items)
	{
		future->items.n = items->n;
		future->items.barred = items->barred;
		future->items.buf.data = (char *) future + MAXALIGN(offsetof(CcrFuture, item));
		future->items.buf.len = length;
		memcpy(future->items.buf.data, items->buf.data, length);
	}
	dlist_push_tail(&current_level()->futures, &future->node);
	return future;
}

static void
name_future(CcrFuture *future, int64 id)
{
	bool		found;
	FutureEntry *entry = future_insert(futures, id, &found);

	Assert(!found);
	entry->future = future;
	future->id = id;
}

CcrFuture *
ccr_future_start(CcrDefinition *definition, const Datum *values, const bool *nulls,
				 bool barred)
{
	CcrFuture  *volatile future = NULL;
	CcrOverride override;
	CcrItems	items;

	init_futures();
	if (definition->strict)
		for (int i = 0; i < definition->nargs; i++)
			if (nulls[i])
			{
				future = new_future(definition, NULL);
				future->arrived = future->settled = future->isnull = true;
				name_future(future, pg_atomic_fetch_add_u64(&ccr_shared->next_id, 1));
				return future;
			}

	if (ccr_bounds_scarce())
		ccr_watch_notice();
	ccr_items_init(&items);
	items.barred = barred;
	ccr_override_begin(definition, &override);
	PG_TRY();
	{
		ccr_items_add(definition, &items, values, nulls);
		future = new_future(definition, &items);
		future->pending = ccr_pending_start(definition, definition->result,
											&future->items, NULL);
	}
	PG_CATCH();
	{
		ccr_override_failed(&override);
		PG_RE_THROW();
	}
	PG_END_TRY();
	ccr_override_end(&override);
	pfree(items.buf.data);
	name_future(future, future->pending->id);
	return future;
}

static void
raise_ended(int64 id, CcrFutureEnd how)
{
	if (how == CCR_FUTURE_CANCELLED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("request %lld was cancelled", (long long) id)));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("request %lld was awaited already", (long long) id),
			 errhint("A result, or an error, is handed out once.")));
}

static void
raise_unknown(int64 id)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("request %lld is not known", (long long) id),
			 errdetail("A request id is good in the session that made it, until the transaction or subtransaction ends in which it was made.")));
}

static FutureEntry *
find_entry(int64 id)
{
	FutureEntry *entry = futures ? future_lookup(futures, id) : NULL;

	if (entry == NULL)
		raise_unknown(id);
	return entry;
}

CcrFuture *
ccr_future_find(int64 id)
{
	return find_entry(id)->future;
}

CcrFuture *
ccr_future_get(int64 id)
{
	FutureEntry *entry = find_entry(id);

	if (entry->future == NULL)
		raise_ended(id, entry->how);
	return entry->future;
}

/* As it was, but for columns that have come at its end or have gone. */
static bool
future_same_columns(Oid type, TupleDesc was)
{
	TupleDesc	is = lookup_rowtype_tupdesc_noerror(type, -1, true);
	bool		same = is != NULL && is->natts >= was->natts;

	for (int i = 0; same && i < was->natts; i++)
		same = TupleDescAttr(is, i)->attisdropped ||
			TupleDescAttr(is, i)->atttypid == TupleDescAttr(was, i)->atttypid;
	if (is)
		ReleaseTupleDesc(is);
	return same;
}

/*
 * Its type may have been altered or dropped since it was submitted.  A function
 * that was replaced does not matter: its result is that of the old one.
 */
static void
check_type(const CcrDefinition *definition)
{
	const CcrResult *result = definition->result;

	if (definition->valid || result->is_void ||
		(SearchSysCacheExists1(TYPEOID, ObjectIdGetDatum(result->type)) &&
		 (!OidIsValid(result->domain) ||
		  SearchSysCacheExists1(TYPEOID, ObjectIdGetDatum(result->domain))) &&
		 (result->tupdesc == NULL || result->type == RECORDOID ||
		  future_same_columns(result->type, result->tupdesc))))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("type of the result of lookup %s was altered or dropped after it was submitted",
					definition->name)));
}

Oid
ccr_future_type(const CcrFuture *future, TupleDesc *tupdesc)
{
	const CcrResult *result = future->definition->result;

	check_type(future->definition);
	*tupdesc = result->type == RECORDOID ? result->tupdesc : NULL;
	return OidIsValid(result->domain) ? result->domain : result->type;
}

/* Long transactions may end very many: forget all that have ended. */
static void
forget_ended(void)
{
	struct future_hash *live = future_create(future_context,
											 Max(futures->members - nended, 64), NULL);
	future_iterator iter;
	FutureEntry *entry;

	future_start_iterate(futures, &iter);
	while ((entry = future_iterate(futures, &iter)) != NULL)
	{
		bool		found;

		if (entry->future)
			future_insert(live, entry->id, &found)->future = entry->future;
	}
	future_destroy(futures);
	futures = live;
	nended = 0;
}

void
ccr_future_end(CcrFuture *future, CcrFutureEnd how)
{
	FutureEntry *entry = future_lookup(futures, future->id);

	entry->future = NULL;
	entry->how = how;
	dlist_delete(&future->node);
	free_future(future);
	if (++nended > CCR_MAX_ENDED)
		forget_ended();
}

bool
ccr_future_cancel(CcrFuture *future)
{
	if (future->arrived)
		return false;
	ccr_future_end(future, CCR_FUTURE_CANCELLED);
	return true;
}

/* ---------------------------------------------------------------- settling */

typedef struct Kept
{
	CcrResult  *result;
	void	   *domain;			/* domain_check()'s cache */
	bool		isnull;
	Datum		value;
} Kept;

static void
receive_future_value(void *arg, Datum value, bool isnull, const Datum *values,
					 const bool *nulls)
{
	Kept	   *kept = arg;
	CcrResult  *result = kept->result;

	if (result->tupdesc && !isnull)
		value = HeapTupleGetDatum(heap_form_tuple(result->tupdesc,
												  unconstify(Datum *, values),
												  unconstify(bool *, nulls)));
	if (OidIsValid(result->domain))
		domain_check(value, isnull, result->domain, &kept->domain,
					 CurrentMemoryContext);
	kept->value = value;
	kept->isnull = isnull;
}

/*
 * Reading runs input functions and the checks of domains.  They have the
 * rights and settings that the lookup brings along, as in a call.  Else they
 * have those of who awaits it, not of who submitted it: a SECURITY DEFINER
 * function may have done that, which cannot know what its caller has set now.
 */
static void
read_future(CcrFuture *future, const CcrAnswerCopy *answered, Kept *kept)
{
	CcrDefinition *definition = future->definition;
	bool		enter = ccr_definition_has_scope(definition);
	CcrScope	scope;

	if (enter)
		ccr_definition_enter(definition, &scope);
	ccr_answered_read(definition, definition->result, answered, 0, receive_future_value, kept);
	if (enter)
		ccr_definition_leave(&scope);
}

/*
 * A check of its value can run any code, which may ask for this very future.
 */
static bool
must_settle(const CcrFuture *future)
{
	if (future->settled)
		return false;
	if (future->pending == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("request %lld is being awaited", (long long) future->id),
				 errdetail("A check of its value cannot await it, too.")));
	return true;
}

static void
settle_future(CcrFuture *future)
{
	CcrPending *pending = future->pending;
	Kept		kept = {.result = future->definition->result, .isnull = true};
	MemoryContext scratch;
	MemoryContext old;
	CcrAnswerCopy *answered;
	int16		typlen;
	bool		typbyval;
	TupleDesc	unused;

	scratch = AllocSetContextCreate(CurrentMemoryContext, "concresce answer",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(scratch);

	/* it is gone even if taking it raises an error */
	unhold_future(future);
	future->pending = NULL;
	answered = ccr_pending_take(pending);
	note_arrival(future);
	check_type(future->definition);
	read_future(future, answered, &kept);
	if (!kept.isnull)
	{
		get_typlenbyval(ccr_future_type(future, &unused), &typlen, &typbyval);
		MemoryContextSwitchTo(future_context);
		future->value = datumCopy(kept.value, typbyval, typlen);
		future->byref = !typbyval;
	}
	future->isnull = kept.isnull;
	future->settled = true;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
}

void
ccr_future_settle(CcrFuture *future)
{
	if (!must_settle(future))
		return;
	PG_TRY();
	{
		settle_future(future);
	}
	PG_CATCH();
	{
		ccr_future_end(future, CCR_FUTURE_AWAITED);
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/*
 * Keep the error that was caught, unless somebody wants this session to stop.
 */
static void
keep_error(int64 id)
{
	FutureEntry *entry = future_lookup(futures, id);
	CcrFuture  *future = entry ? entry->future : NULL;
	ErrorData  *error;

	MemoryContextSwitchTo(future_context);
	error = CopyErrorData();
	FlushErrorState();
	RollbackAndReleaseCurrentSubTransaction();
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED && !ccr_answered_raised(error))
	{
		/* if its answer is gone, nobody is to wait for it */
		if (future && !future->settled)
			ccr_future_end(future, CCR_FUTURE_AWAITED);
		ReThrowError(error);
	}

	/* what was done with its value may have ended it */
	if (future == NULL)
		ReThrowError(error);
	future->error = error;
	note_arrival(future);
	future->settled = true;
}

void
ccr_future_settle_captured(CcrFuture *future, void (*work) (void *), void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	int64		id = future->id;

	if (future->error)
		return;
	(void) must_settle(future);
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		if (!future->settled)
			settle_future(future);
		if (work)
			work(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		keep_error(id);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
}

void
ccr_future_raise(CcrFuture *future)
{
	ErrorData  *error = future->error;

	if (error == NULL)
		return;
	future->error = NULL;
	ccr_future_end(future, CCR_FUTURE_AWAITED);
	ReThrowError(error);
}

/* ---------------------------------------------------------------- watching */

uint64
ccr_watch_begin(void)
{
	watch.number++;
	dlist_init(&watch.fresh);
	watch.outstanding = 0;
	watch.deadline = 0;
	return watch.number;
}

bool
ccr_watch_current(uint64 number)
{
	return number == watch.number;
}

static void
list_fresh(CcrFuture *future)
{
	future->fresh = true;
	dlist_push_tail(&watch.fresh, &future->fresh_node);
}

static void
heed_deadline(const CcrPending *pending)
{
	if (pending->deadline != 0 &&
		(watch.deadline == 0 || pending->deadline < watch.deadline))
		watch.deadline = pending->deadline;
}

void
ccr_watch_add(CcrFuture *future)
{
	if (future->watch == watch.number)
		return;
	future->watch = watch.number;
	future->fresh = false;
	if (future->arrived)
	{
		list_fresh(future);
		return;
	}
	watch.outstanding++;
	watch.worker = future->pending->worker;
	heed_deadline(future->pending);
}

int
ccr_watch_outstanding(void)
{
	return watch.outstanding;
}

CcrFuture *
ccr_watch_next(void)
{
	CcrFuture  *future;

	if (dlist_is_empty(&watch.fresh))
		return NULL;
	future = dlist_container(CcrFuture, fresh_node, dlist_pop_head_node(&watch.fresh));
	future->fresh = false;
	return future;
}

/* -------------------------------------------------------------- arriving */

static void
note_arrival(CcrFuture *future)
{
	if (future->arrived)
		return;
	future->arrived = true;
	if (future->watch == watch.number)
	{
		watch.outstanding--;
		list_fresh(future);
	}
}

/* The collector did not know its source: it is under way once more. */
static void
submit_future_again(CcrFuture *future)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		(void) ccr_pending_ready(future->pending);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		/* with the subtransaction, its resource owner has dropped it */
		unhold_future(future);
		future->pending = NULL;
		keep_error(future->id);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
}

/*
 * What a collector took that is gone will not be announced.  Those who wait
 * are woken when the next one starts.
 */
static bool
take_lost(void)
{
	bool		restarted = false;
	bool		any = false;
	dlist_iter	iter;

	for (int i = 0; i < ccr_shared->nworkers; i++)
	{
		uint32		generation = pg_atomic_read_u32(&ccr_mailboxes[i].generation);

		restarted |= generation != generations[i];
		generations[i] = generation;
	}
	if (!restarted)
		return false;
	for (Level *level = innermost; level; level = level->outer)
	{
		dlist_foreach(iter, &level->futures)
		{
			CcrFuture  *future = dlist_container(CcrFuture, node, iter.cur);

			if (!future->arrived && future->pending &&
				ccr_request_lost(future->pending->request))
			{
				note_arrival(future);
				any = true;
			}
		}
	}
	return any;
}

/*
 * What has arrived may lie there for as long as the transaction lasts.  Where
 * room is scarce, or much of it is ours, it goes to this process's own memory.
 */
static void
make_room_for_futures(void)
{
	if (!ccr_bounds_scarce())
		return;
	while (!dlist_is_empty(&held))
	{
		CcrFuture  *future = dlist_head_element(CcrFuture, held_node, &held);

		unhold_future(future);
		ccr_pending_read_out(future->pending);
	}
}

static bool
take_announced(void)
{
	CcrRequest *request;
	bool		any = false;

	while ((request = ccr_request_next_done()) != NULL)
	{
		FutureEntry *entry = future_lookup(futures, request->id);

		if (entry == NULL || entry->future == NULL)
			continue;
		if (request->failure == CCR_FAILURE_UNKNOWN_SOURCE)
			submit_future_again(entry->future);
		else
		{
			CcrFuture  *future = entry->future;

			note_arrival(future);
			if (!future->held && future->pending)
			{
				future->held = true;
				dlist_push_tail(&held, &future->held_node);
			}
		}
		any = true;
	}
	make_room_for_futures();
	return any;
}

void
ccr_watch_notice(void)
{
	if (futures == NULL)
		return;
	(void) take_announced();
	(void) take_lost();
}

/* End those under the watch whose time is over. */
static void
expire_future(CcrTime now)
{
	int64	   *expired = palloc(watch.outstanding * sizeof(int64));
	int			nexpired = 0;
	dlist_iter	iter;

	watch.deadline = 0;
	for (Level *level = innermost; level; level = level->outer)
	{
		dlist_foreach(iter, &level->futures)
		{
			CcrFuture  *future = dlist_container(CcrFuture, node, iter.cur);

			if (future->watch != watch.number || future->arrived)
				continue;
			if (future->pending->deadline != 0 && future->pending->deadline <= now)
				expired[nexpired++] = future->id;
			else
				heed_deadline(future->pending);
		}
	}

	/* if one is done after all, checks of its value may do anything */
	for (int i = 0; i < nexpired; i++)
	{
		FutureEntry *entry = future_lookup(futures, expired[i]);

		if (entry && entry->future && !entry->future->arrived)
			ccr_future_settle_captured(entry->future, NULL, NULL);
	}
	pfree(expired);
}

/* Push what is held back, and sleep until something may have arrived. */
static CcrTime
sleep_until(int worker, CcrTime limit)
{
	CcrTime		now = ccr_now();
	long		left = ccr_until(limit, now);

	ccr_outbox_push();
	if (take_announced() || take_lost())
		return 0;
	if (left == 0)
		return now;
	ccr_pending_sleep(worker, left);
	(void) take_announced();
	(void) take_lost();
	return ccr_now();
}

void
ccr_watch_wait(CcrTime until)
{
	CcrTime		limit = until;
	CcrTime		now;

	if (watch.deadline != 0 && (limit == 0 || watch.deadline < limit))
		limit = watch.deadline;
	now = sleep_until(watch.worker, limit);
	if (watch.deadline != 0 && watch.deadline <= now)
		expire_future(now);
}

/*
 * Not under a watch, which would end the present one: for each row of
 * as_completed() somebody may await something.
 */
void
ccr_future_wait(int64 id)
{
	CcrFuture  *future;

	ccr_watch_notice();
	while (!(future = ccr_future_get(id))->arrived)
	{
		CcrTime		deadline = future->pending->deadline;
		CcrTime		now = sleep_until(future->pending->worker, deadline);

		if (deadline != 0 && deadline <= now)
		{
			/* its own timeout, unless it is done after all */
			future = ccr_future_get(id);
			if (!future->arrived)
				note_arrival(future);
		}
	}

	/* others may go on meanwhile */
	ccr_outbox_push();
}
