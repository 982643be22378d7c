/*-------------------------------------------------------------------------
 *
 * enqueue.c
 *	  Fire and forget: items that leave when their transaction commits.
 *
 *	parcel		items of one writer, to become a request
 *	share		what a transaction has for one queue
 *
 * Parcels are kept in backend memory, in the order in which they were filled,
 * each with the subtransaction that it belongs to: those of a subtransaction
 * are at the end of the list.  A rollback drops them, a release makes them the
 * parent's.
 *
 * Everything that can fail is done before the commit point: places are taken
 * for all items, then requests are made of all parcels.  Both are charged to
 * the role at once, in the warrants, so that its other sessions see it: the
 * items along with their places, the bytes before there are requests.
 *
 * Waiting for places while holding others could be a deadlock, so a backend
 * gives its places back before it waits.  The same goes for memory: a backend
 * that lacks memory frees what it holds, waits for its turn, and only then
 * allocates.
 *
 * After the commit point requests are pushed, which cannot fail.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "call/bounded.h"
#include "call/timeout.h"
#include "call/turn.h"
#include "fmgr.h"
#include "lookup/restricted.h"
#include "miscadmin.h"
#include "shared/bounds.h"
#include "shared/compat.h"
#include "shared/settings.h"
#include "shared/stopped.h"
#include "shared/warrant.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "write/flush.h"
#include "write/writer.h"

PG_FUNCTION_INFO_V1(concresce_enqueue);

#define CCR_PARCEL_ITEMS	1024
#define CCR_PARCEL_BYTES	(256 * 1024)
#define CCR_OPEN_PARCELS	64	/* looked at for one to add to */
#define CCR_ROLE_SHARE		3	/* times what is free */
#define CCR_LARGE_SOURCE	(16 * 1024) /* is charged to each request */

typedef struct Parcel
{
	dlist_node	node;
	SubTransactionId subxact;
	CcrWriter  *writer;
	CcrItems	items;
	int			share;			/* these once it is being admitted */
	CcrKeptSource *kept;
	CcrRequest *request;
	CcrWarrant *warrant;		/* the request's, once there is one */
	uint32		charged_items;	/* to that */
	Size		charged_bytes;
} Parcel;

typedef struct Share
{
	CcrCounters *counters;
	CcrMailbox *mailbox;
	CcrWriter  *writer;			/* one of them, for messages */
	uint32		n;				/* items */
	bool		taken;			/* they have their places */
	bool		bounded;		/* not, as the role has too many already */
} Share;

static dlist_head parcels = DLIST_STATIC_INIT(parcels);
static MemoryContext parcel_context = NULL; /* of this transaction */
static Size parcel_bytes = 0;	/* that they will take on the heap */
static Share *shares = NULL;
static int	nshares = 0;
static bool admitted = false;	/* the transaction is about to commit */
static uint32 wait_event_room;

/* ----------------------------------------------------------------- parcels */

/*
 * How much of the heap enqueued items may fill: so that there is room for
 * results and for sessions that wait.  A single transaction may fill only so
 * much that a role which has nothing else there stays within its bound.
 */
static Size
enqueue_memory_limit(void)
{
	return ccr_shared->heap_size / 8 * 7;
}

static Size
transaction_limit(void)
{
	return ccr_shared->heap_size / 8 * 5;
}

/*
 * A transaction that needs much keeps the turn until there is enough memory,
 * which may be for as long as futures of others stay on the heap.  So one that
 * needs little may use the reserve, if there is no other room or if a large
 * one has the turn.
 */
static bool
needs_little(void)
{
	return parcel_bytes <= ccr_bounds_reserve() / 8;
}

static bool
large_one_waits(void)
{
	return pg_atomic_read_u32(&ccr_shared->memory_turn.holder) != 0;
}

/* How much would be left for others? */
static uint64
memory_left(uint64 more)
{
	uint64		used = pg_atomic_read_u64(&ccr_shared->heap_used) + more;
	uint64		left = used < enqueue_memory_limit() ? enqueue_memory_limit() - used : 0;
	uint64		reserve = needs_little() ? ccr_bounds_reserve_left() : 0;

	return Max(left, reserve > more ? reserve - more : 0);
}

typedef enum Room
{
	ROOM_NONE,
	ROOM_FREE,
	ROOM_RESERVED
} Room;

static Room
find_room(Size bytes)
{
	if (!(needs_little() && large_one_waits()) &&
		pg_atomic_read_u64(&ccr_shared->heap_used) + bytes <= enqueue_memory_limit())
		return ROOM_FREE;
	return needs_little() && bytes <= ccr_bounds_reserve_left() ? ROOM_RESERVED : ROOM_NONE;
}

static Size
heap_bytes(const Parcel *parcel)
{
	return ccr_heap_taken(sizeof(CcrRequest) + parcel->items.buf.len + parcel->items.n);
}

static void
free_parcel(Parcel *parcel)
{
	dlist_delete(&parcel->node);
	parcel_bytes -= heap_bytes(parcel);
	ccr_flush_count(parcel->writer->party, -(int64) parcel->items.n);
	pfree(parcel->items.buf.data);
	pfree(parcel);
}

static Parcel *
last_parcel(void)
{
	if (dlist_is_empty(&parcels))
		return NULL;
	return dlist_tail_element(Parcel, node, &parcels);
}

static bool
has_room(const Parcel *parcel, const CcrItems *items)
{
	return parcel->items.n + items->n <= CCR_PARCEL_ITEMS &&
		parcel->items.buf.len + items->buf.len <= CCR_PARCEL_BYTES;
}

static void
append_parcel_items(Parcel *parcel, const CcrItems *items)
{
	Size		before = heap_bytes(parcel);

	/* which may raise an error */
	appendBinaryStringInfo(&parcel->items.buf, items->buf.data, items->buf.len);
	parcel->items.n += items->n;
	ccr_flush_count(parcel->writer->party, items->n);
	parcel_bytes += heap_bytes(parcel) - before;
}

static Parcel *
new_parcel(CcrWriter *writer)
{
	MemoryContext old;
	Parcel	   *parcel;

	if (parcel_context == NULL)
		parcel_context = AllocSetContextCreate(TopTransactionContext, "concresce enqueued",
											   ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(parcel_context);
	parcel = palloc0(sizeof(Parcel));
	parcel->writer = writer;
	parcel->subxact = GetCurrentSubTransactionId();
	ccr_items_init(&parcel->items);
	MemoryContextSwitchTo(old);
	dlist_push_tail(&parcels, &parcel->node);
	parcel_bytes += heap_bytes(parcel);
	return parcel;
}

static void
check_size(void)
{
	if (parcel_bytes <= transaction_limit())
		return;
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("enqueued items of a transaction do not fit into shared memory"),
			 errdetail("They need %zu bytes, and may take %zu.", parcel_bytes, transaction_limit()),
			 errhint("You may need to increase \"concresce.shared_memory\", or to commit more often.")));
}

/* One of the last few parcels to which the items can be added, or NULL. */
static Parcel *
open_parcel(const CcrWriter *writer, const CcrItems *items)
{
	SubTransactionId subxact = GetCurrentSubTransactionId();
	int			n = 0;
	dlist_iter	iter;

	dlist_reverse_foreach(iter, &parcels)
	{
		Parcel	   *parcel = dlist_container(Parcel, node, iter.cur);

		if (parcel->subxact != subxact || ++n > CCR_OPEN_PARCELS)
			return NULL;
		if (parcel->writer == writer && has_room(parcel, items))
			return parcel;
	}
	return NULL;
}

static void
keep_item(CcrWriter *writer, const CcrItems *items)
{
	Parcel	   *parcel = open_parcel(writer, items);

	if (parcel == NULL)
		parcel = new_parcel(writer);
	append_parcel_items(parcel, items);
	check_size();
}

/* ------------------------------------------------------------- reservation */

/* NULL: no memory. */
static CcrWarrant *
warrant_of(Parcel *parcel)
{
	const CcrWriter *writer = parcel->writer;
	const CcrSource *source = writer->route->source;
	CcrTitle	title = {
		.dbid = MyDatabaseId,
		.function = writer->function,
		.login = writer->party.session,
		.asker = writer->party.outer,
		.caller = writer->roleid,
		.roleid = writer->route->roleid,
		.serverid = source->serverid,
		.umid = source->umid
	};

	if (parcel->warrant == NULL)
		parcel->warrant = ccr_warrant_get(&title);
	return parcel->warrant;
}

static void
charge_items(Parcel *parcel)
{
	if (parcel->charged_items > 0)
		return;
	ccr_warrant_charge(parcel->warrant, parcel->items.n, 0);
	parcel->charged_items = parcel->items.n;
}

static void
charge_bytes(Parcel *parcel)
{
	if (parcel->charged_bytes > 0)
		return;
	parcel->charged_bytes = heap_bytes(parcel);
	ccr_warrant_charge(parcel->warrant, 0, parcel->charged_bytes);
}

static void
discharge_parcel(Parcel *parcel, uint32 items, Size bytes)
{
	if (items == 0 && bytes == 0)
		return;
	parcel->charged_items -= items;
	parcel->charged_bytes -= bytes;
	ccr_warrant_discharge(parcel->warrant, shares[parcel->share].counters, items, bytes);
}

/* Charge the warrants of a share for its places, or take them off. */
static void
charge_share(int share, bool taken)
{
	dlist_iter	iter;

	dlist_foreach(iter, &parcels)
	{
		Parcel	   *parcel = dlist_container(Parcel, node, iter.cur);

		if (parcel->share != share)
			continue;
		if (!taken)
			discharge_parcel(parcel, parcel->charged_items, 0);
		else if (warrant_of(parcel))
			charge_items(parcel);
	}
}

/* Its index. */
static int
share_of(CcrWriter *writer)
{
	CcrCounters *counters = ccr_route_counters(writer->route);
	Share	   *share;

	for (int i = 0; i < nshares; i++)
		if (shares[i].counters == counters)
			return i;
	if (shares == NULL)
		shares = MemoryContextAlloc(parcel_context, 4 * sizeof(Share));
	else if (nshares >= 4 && (nshares & (nshares - 1)) == 0)
		shares = repalloc(shares, 2 * nshares * sizeof(Share));
	share = &shares[nshares];
	share->counters = counters;
	share->mailbox = &ccr_mailboxes[writer->route->worker];
	share->writer = writer;
	share->n = 0;
	share->taken = false;
	share->bounded = false;
	return nshares++;
}

static void
give_back_places(void)
{
	for (int i = 0; i < nshares; i++)
	{
		Share	   *share = &shares[i];

		if (!share->taken)
			continue;
		share->taken = false;
		charge_share(i, false);
		ccr_places_release(share->counters, share->n);
		pg_atomic_fetch_sub_u64(&share->mailbox->unsettled, share->n);
	}
}

/*
 * A role may have three times as many items waiting as there is room for more.
 * So one role alone can have three quarters, and there is room for the next
 * one.  A login may have 63 times as many, whatever roles it sets.  For a role
 * or login that has nothing there only the free room counts.
 */
static bool
is_bounded(CcrTaken has, uint64 more, uint64 left)
{
	return (has.role > 0 && has.role + more > CCR_ROLE_SHARE * left) ||
		(has.login > 0 && has.login + more > CCR_LOGIN_SHARE * left);
}

/* What must be left for that, if it has so much. */
static uint64
must_be_left(CcrTaken has, uint64 more)
{
	return more + Max((has.role + more + CCR_ROLE_SHARE - 1) / CCR_ROLE_SHARE,
					  (has.login + more + CCR_LOGIN_SHARE - 1) / CCR_LOGIN_SHARE);
}

/* Nobody has more than is used. */
static CcrTaken
used_by_all(uint64 used)
{
	CcrTaken	has = {.role = used, .login = used};

	return has;
}

/*
 * May a role have these places? Sessions of the role that wait already come
 * first.  A role cannot have more in a queue than there are places.
 */
static bool
may_have_places(const Share *share, CcrParty asker)
{
	uint32		used = pg_atomic_read_u32(&share->counters->places);
	uint64		taken = (uint64) used + share->n;
	uint64		left = taken < (uint64) ccr_queue_size ? ccr_queue_size - taken : 0;

	return !ccr_bounded_behind(asker.outer, share->counters) &&
		(!is_bounded(used_by_all(used), share->n, left) ||
		 !is_bounded(ccr_warrants_items(asker, &share->counters->key), share->n, left));
}

/*
 * May a role have the memory for all items? If not, note how low the use of
 * the heap has to go.
 */
static bool
may_have_memory(const Share *unused, CcrParty asker)
{
	uint64		used = pg_atomic_read_u64(&ccr_shared->heap_used);
	CcrTaken	has;
	uint64		needed;

	if (ccr_bounded_behind(asker.outer, NULL))
		return false;
	if (!is_bounded(used_by_all(used), parcel_bytes, memory_left(parcel_bytes)))
		return true;
	has = ccr_warrants_bytes(asker);

	/*
	 * A large transaction of a role that has its share waits in its turn.  If
	 * it waited for its login to have less, all small ones would pass it by.
	 */
	if (!needs_little())
		has.login = 0;
	needed = must_be_left(has, parcel_bytes);
	if (needed < enqueue_memory_limit())
		ccr_bounded_below(enqueue_memory_limit() - needed);
	return !is_bounded(has, parcel_bytes, memory_left(parcel_bytes));
}

/*
 * Ask this for each role whose items these are (share: NULL: of all shares).
 * It is the role that was set when the item was enqueued, whichever is set
 * now.
 */
static bool
may_all(bool (*may) (const Share *, CcrParty), const Share *share, CcrParty *bounded)
{
	bool		first = true;
	dlist_iter	iter;

	dlist_foreach(iter, &parcels)
	{
		Parcel	   *parcel = dlist_container(Parcel, node, iter.cur);

		if ((share && &shares[parcel->share] != share) ||
			(!first && ccr_party_same(parcel->writer->party, *bounded)))
			continue;
		first = false;
		*bounded = parcel->writer->party;
		if (!may(share, *bounded))
			return false;
	}
	return true;
}

static bool
take_place(Share *share)
{
	CcrParty	unused;

	if (share->taken)
		return true;
	share->bounded = !may_all(may_have_places, share, &unused);
	if (share->bounded)
		return false;

	/*
	 * Count the items first; this is a full barrier.  See end_or_drain() and
	 * check_open().
	 */
	pg_atomic_fetch_add_u64(&share->mailbox->unsettled, share->n);
	share->taken = ccr_places_take(share->counters, share->n);
	if (share->taken)
		charge_share(share - shares, true);
	else
		pg_atomic_fetch_sub_u64(&share->mailbox->unsettled, share->n);
	return share->taken;
}

/*
 * Take the places of all shares, beginning with the given one; or none, and
 * return the share that lacks places.
 */
static Share *
take_places(Share *first)
{
	Share	   *lacking = first && !take_place(first) ? first : NULL;

	for (int i = 0; i < nshares && lacking == NULL; i++)
		if (!take_place(&shares[i]))
			lacking = &shares[i];
	if (lacking)
		give_back_places();
	return lacking;
}

/* ms that are left to wait; -1: any */
static long
time_left(const CcrWriter *writer, CcrTime start, const char *what)
{
	CcrTimeout	timeout = ccr_timeout_of(writer->settings.timeout);
	long		left = ccr_until(ccr_timeout_end(timeout, start), ccr_now());

	if (left == 0)
		ereport(ERROR,
				(errcode(ERRCODE_QUERY_CANCELED),
				 errmsg("canceling commit due to timeout of enqueued lookup %s",
						writer->definition->name),
				 ccr_timeout_detail(timeout, what, NULL),
				 ccr_timeout_hint(timeout)));
	return left;
}

static void
sleep_for(const CcrWriter *writer, CcrTime start, const char *what)
{
	ccr_turn_sleep(time_left(writer, start, what), wait_event_room);
}

/*
 * Have the share's collector, or all (share: NULL), end windows where somebody
 * waits for room.
 */
static void
press_collector(const Share *share)
{
	for (int i = 0; i < ccr_shared->nworkers; i++)
		if (share == NULL || share->mailbox == &ccr_mailboxes[i])
			ccr_mailbox_press(&ccr_mailboxes[i]);
}

/*
 * Wait until the role has less, or more is free.  No turn is taken, so that
 * other roles need not wait behind us.  What is given back meanwhile is for us
 * until ccr_bounded_end().
 */
static void
wait_while_bounded(const Share *share, const CcrWriter *writer, CcrTime start,
				   bool (*may) (const Share *, CcrParty), const char *what)
{
	CcrParty	asker;

	if (may_all(may, share, &asker))
		return;
	ccr_bounded_begin(asker.outer, share ? share->counters : NULL);
	press_collector(share);
	while (!ccr_bounded_first() || !may_all(may, share, &asker))
		ccr_bounded_sleep(time_left(writer, start, what), wait_event_room);
}

/*
 * Wait until this share has its places and all others have theirs; or return
 * another share that lacks them.
 */
static Share *
wait_for_places(Share *share, CcrTime start)
{
	Share	   *lacking;

	if (share->writer->settings.on_full == CCR_FULL_ERROR)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("queue of lookup %s is full", share->writer->definition->name),
				 errdetail("%d enqueued items may wait.", ccr_queue_size),
				 errhint("Set \"concresce.on_full\" to \"wait\", or increase \"concresce.queue_size\".")));

	do
	{
		if (share->bounded)
			wait_while_bounded(share, share->writer, start, may_have_places,
							   "room in the queue for more items of its role or login");
		ccr_turn_begin(&share->counters->place_turn, &share->counters->places);
		press_collector(share);
		while ((lacking = take_places(share)) == share && !share->bounded)
			if (!ccr_turn_claim())
				sleep_for(share->writer, start, "room in the queue");
		ccr_turn_end();
	} while (lacking == share);
	ccr_bounded_end();
	return lacking;
}

/* ---------------------------------------------------------------- requests */

/*
 * Find or make the kept source, which all requests that name it share.  If its
 * server could not be reached, a new request brings addresses that are looked
 * up now, if there are any: the old ones may work again later.  False if there
 * is no memory.
 */
static bool
keep_source(Parcel *parcel, const CcrFingerprint *fingerprint, StringInfo fresh)
{
	CcrRoute   *route = parcel->writer->route;
	uint32		stale = 1;
	StringInfoData buf;

	if (parcel->kept)
		return true;
	parcel->kept = ccr_kept_find(fingerprint);
	if (parcel->kept)
	{
		if (pg_atomic_read_u32(&parcel->kept->stale) != 0 &&
			pg_atomic_compare_exchange_u32(&parcel->kept->stale, &stale, 0))
			ccr_route_describe(route, fresh, true);
		return true;
	}
	ccr_route_describe(route, &buf, false);
	parcel->kept = ccr_kept_add(fingerprint, buf.data, buf.len);
	explicit_bzero(buf.data, buf.len);
	pfree(buf.data);
	return parcel->kept != NULL;
}

/* False: no memory. */
static bool
make_request(Parcel *parcel)
{
	CcrWriter  *writer = parcel->writer;
	CcrRoute   *route = writer->route;
	CcrFingerprint fingerprint = ccr_source_enqueued(&route->fingerprint);
	Room		room = find_room(heap_bytes(parcel));
	CcrAccount *account;
	CcrRequest *request;
	StringInfoData fresh = {0};

	if (room == ROOM_NONE)
		return false;
	account = ccr_flush_account(writer->definition, writer->party, route->worker);
	if (account == NULL || !keep_source(parcel, &fingerprint, &fresh))
		return false;
	if (warrant_of(parcel) == NULL)
		return false;
	request = ccr_request_new(CCR_REQUEST_ENQUEUED, parcel->items.n, parcel->items.buf.len,
							  fresh.data, fresh.len);
	if (fresh.data)
		explicit_bzero(fresh.data, fresh.len);
	if (request == NULL)
		return false;
	if (room == ROOM_RESERVED)
		ccr_request_reserve(request);
	ccr_account_hold(account);
	charge_items(parcel);
	charge_bytes(parcel);
	if (parcel->kept->size > CCR_LARGE_SOURCE)
	{
		ccr_warrant_charge(parcel->warrant, 0, parcel->kept->size);
		parcel->charged_bytes += parcel->kept->size;
	}
	request->account = account->self;
	request->kept = parcel->kept->self;
	parcel->kept = NULL;
	memcpy(ccr_request_first(request), parcel->items.buf.data, parcel->items.buf.len);
	request->worker = route->worker;
	request->function = writer->function;
	request->fingerprint = fingerprint;
	request->counters = shares[parcel->share].counters - ccr_counters;
	request->roleid = writer->roleid;
	request->party = writer->party;
	request->max_size = writer->settings.max_size;
	request->max_bytes = writer->settings.max_bytes;
	request->coalesce = writer->coalesce;
	parcel->request = request;
	return true;
}

static void
free_requests(void)
{
	dlist_iter	iter;

	dlist_foreach(iter, &parcels)
	{
		Parcel	   *parcel = dlist_container(Parcel, node, iter.cur);

		if (parcel->kept)
			ccr_kept_release(parcel->kept);
		if (parcel->request)
			ccr_request_free(parcel->request);
		if (parcel->request && parcel->charged_bytes > heap_bytes(parcel))
			discharge_parcel(parcel, 0, parcel->charged_bytes - heap_bytes(parcel));
		parcel->kept = NULL;
		parcel->request = NULL;
	}
}

static void
release_warrants(void)
{
	dlist_iter	iter;

	dlist_foreach(iter, &parcels)
	{
		Parcel	   *parcel = dlist_container(Parcel, node, iter.cur);

		if (parcel->warrant == NULL)
			continue;
		discharge_parcel(parcel, parcel->charged_items, parcel->charged_bytes);
		ccr_warrant_release(parcel->warrant);
		parcel->warrant = NULL;
	}
}

/*
 * Make the requests of all parcels.  Returns the first parcel for which there
 * is no memory, or NULL.
 */
static Parcel *
make_requests(void)
{
	dlist_iter	iter;

	dlist_foreach(iter, &parcels)
	{
		Parcel	   *parcel = dlist_container(Parcel, node, iter.cur);

		if (parcel->request == NULL && !make_request(parcel))
			return parcel;
	}
	return NULL;
}

/* They may have waited for what is free besides the reserve. */
static void
end_memory_turn(void)
{
	ccr_turn_end();
	ccr_turn_announce(&ccr_shared->reserve_turn, 1);
}

static void
make_all_requests(CcrTime start)
{
	CcrTurn    *turn = needs_little() ? &ccr_shared->reserve_turn : &ccr_shared->memory_turn;
	const CcrWriter *writer = dlist_head_element(Parcel, node, &parcels)->writer;
	Parcel	   *lacking;
	dlist_iter	iter;

	wait_while_bounded(NULL, writer, start, may_have_memory,
					   "shared memory for more items of its role or login");
	dlist_foreach(iter, &parcels)
	{
		Parcel	   *parcel = dlist_container(Parcel, node, iter.cur);

		if (parcel->warrant)
			charge_bytes(parcel);
	}
	ccr_bounded_end();
	if (pg_atomic_read_u32(&turn->holder) == 0 && make_requests() == NULL)
		return;
	free_requests();
	ccr_turn_begin(turn, NULL);
	press_collector(NULL);
	for (;;)
	{
		Parcel	   *first = dlist_head_element(Parcel, node, &parcels);

		(void) ccr_turn_claim();
		lacking = ccr_turn_is_mine() ? make_requests() : first;
		if (lacking == NULL)
			break;
		sleep_for(lacking->writer, start, "shared memory");
	}
	end_memory_turn();
}

/* ------------------------------------------------------- the end of it all */

/*
 * The transaction fails: give everything back, and wake those that wait for
 * it.
 */
static void
give_back_all(void)
{
	ccr_bounded_end();
	end_memory_turn();
	free_requests();
	give_back_places();
	release_warrants();

	/*
	 * during a shutdown a collector may be waiting for nothing but these
	 * items
	 */
	for (int i = 0; i < nshares; i++)
		ccr_wake_listed(&shares[i].mailbox->proc);
	ccr_stopped_recount();
}

static void
check_open(void)
{
	for (int i = 0; i < nshares; i++)
	{
		const Share *share = &shares[i];

		if (pg_atomic_read_u32(&share->mailbox->closed) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_ADMIN_SHUTDOWN),
					 errmsg("concresce collector has ended, as the server shuts down")));
		if (ccr_stopped(MyDatabaseId, share->writer->function, false))
			ccr_stopped_refuse(share->writer->definition->name);
	}
}

/*
 * Before the commit point: make requests of all parcels.  This may wait, and
 * may fail.
 */
static void
admit_parcel(void)
{
	CcrTime		start = ccr_now();
	Share	   *lacking;
	dlist_iter	iter;

	CHECK_FOR_INTERRUPTS();
	dlist_foreach(iter, &parcels)
	{
		Parcel	   *parcel = dlist_container(Parcel, node, iter.cur);

		parcel->share = share_of(parcel->writer);
		shares[parcel->share].n += parcel->items.n;
	}
	lacking = take_places(NULL);
	while (lacking)
		lacking = wait_for_places(lacking, start);
	check_open();
	make_all_requests(start);
	check_open();
}

/* After the commit point: push the requests.  This cannot fail. */
static void
send_all(void)
{
	CcrTime		now = ccr_now();
	dlist_iter	iter;

	dlist_foreach(iter, &parcels)
	{
		Parcel	   *parcel = dlist_container(Parcel, node, iter.cur);
		CcrRequest *request = parcel->request;
		CcrAccount *account = ccr_heap_address(request->account);

		request->warrant = parcel->warrant->self;
		request->charged = parcel->charged_bytes;
		request->submitted = now;
		request->window_end = now +
			(CcrTime) (parcel->writer->settings.max_window * 1000.0);
		pg_atomic_fetch_add_u64(&account->sent, request->nitems);
		ccr_request_push(request);
	}
}

static void
forget_all_parcels(void)
{
	dlist_init(&parcels);
	parcel_bytes = 0;
	ccr_flush_count_nothing();
	shares = NULL;
	nshares = 0;
	admitted = false;
	if (parcel_context)
		MemoryContextDelete(parcel_context);
	parcel_context = NULL;
	ccr_writers_trim();
}

static void
enqueue_transaction_event(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (!dlist_is_empty(&parcels))
				admit_parcel();
			admitted = true;
			break;
		case XACT_EVENT_PRE_PREPARE:
			if (!dlist_is_empty(&parcels))
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("cannot PREPARE a transaction that has enqueued lookups"),
						 errdetail("Enqueued items leave with the COMMIT of the session that enqueued them.")));
			break;
		case XACT_EVENT_COMMIT:
			if (!dlist_is_empty(&parcels))
				send_all();
			forget_all_parcels();
			break;
		case XACT_EVENT_ABORT:
			give_back_all();
			forget_all_parcels();
			break;
		case XACT_EVENT_PREPARE:
			forget_all_parcels();
			break;
		default:
			break;
	}
}

/* If a parcel and the one before it are of one writer, make them one. */
static void
merge_into_previous(Parcel *parcel)
{
	Parcel	   *previous;

	if (!dlist_has_prev(&parcels, &parcel->node))
		return;
	previous = dlist_container(Parcel, node, dlist_prev_node(&parcels, &parcel->node));
	if (previous->subxact != parcel->subxact || previous->writer != parcel->writer ||
		!has_room(previous, &parcel->items))
		return;
	append_parcel_items(previous, &parcel->items);
	free_parcel(parcel);
}

static void
subtransaction_event(SubXactEvent event, SubTransactionId mine,
					 SubTransactionId parent, void *arg)
{
	Parcel	   *first = NULL;

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	while (!dlist_is_empty(&parcels))
	{
		Parcel	   *parcel = first && dlist_has_prev(&parcels, &first->node) ?
			dlist_container(Parcel, node, dlist_prev_node(&parcels, &first->node)) :
			first ? NULL : last_parcel();

		if (parcel == NULL || parcel->subxact < mine)
			break;
		if (event == SUBXACT_EVENT_ABORT_SUB)
			free_parcel(parcel);
		else
		{
			parcel->subxact = parent;
			first = parcel;
		}
	}
	if (first)
		merge_into_previous(first);
}

/* ----------------------------------------------------------------- enqueue */

static void
init_backend(void)
{
	static bool done = false;

	if (done)
		return;
	wait_event_room = ccr_new_wait_event("ConcresceCommit");
	ccr_pending_init();

	/*
	 * Either may fail for want of memory, and then both are tried again.  So
	 * the one that must not be called twice comes last.
	 */
	RegisterSubXactCallback(subtransaction_event, NULL);
	RegisterXactCallback(enqueue_transaction_event, NULL);
	done = true;
}

/*
 * Refuse enqueue() where its items would never be sent: a parallel worker has
 * a commit of its own, which commits nothing; and an extension that enqueues
 * while it prepares to commit comes after the admission.
 */
static void
check_transaction(void)
{
	if (IsParallelWorker())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("cannot enqueue in a parallel worker"),
				 errhint("A function that enqueues must not be marked PARALLEL SAFE.")));
	if (admitted)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("cannot enqueue while the transaction commits")));
	ccr_restricted_check("enqueue");
}

Datum
concresce_enqueue(PG_FUNCTION_ARGS)
{
	CcrWriter  *writer;
	CcrItems	items;

	if (ccr_shared == NULL)
		ccr_shmem_require();
	check_transaction();
	init_backend();
	writer = ccr_writer_get(fcinfo);
	ccr_shmem_require_collector(writer->route->worker);
	if (ccr_stopped(MyDatabaseId, writer->function, false))
		ccr_stopped_refuse(writer->definition->name);
	if (ccr_writer_encode(writer, fcinfo, &items))
	{
		keep_item(writer, &items);
		pfree(items.buf.data);
	}
	PG_RETURN_VOID();
}
