/*-------------------------------------------------------------------------
 *
 * shmem.c
 *	  Size and set-up of the shared memory, its heap and its counters.
 *
 * The heap is a DSA area created in place and never allowed to grow a segment:
 * concresce.shared_memory bounds it, /dev/shm plays no part, and an address
 * can be taken without the attaching that might fail.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "shared/compat.h"
#include "shared/settings.h"
#include "shared/shmem.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define CCR_TRANCHE		"concresce"
#define CCR_BLOCK_SIZES	40		/* that dsa.c knows, and a few more */

CcrShared  *ccr_shared = NULL;
CcrMailbox *ccr_mailboxes = NULL;
CcrSlot    *ccr_slots = NULL;
CcrCounters *ccr_counters = NULL;
CcrConnection *ccr_connections = NULL;
CcrStop    *ccr_stops = NULL;

static bool registered[CCR_MAX_WORKERS];	/* in the postmaster */
static void *heap_place = NULL;
static dsa_area *heap = NULL;	/* this process's view of it */

/* Any process that has a PGPROC can hold requests. */
static int
slot_count(void)
{
	return MaxBackends + NUM_AUXILIARY_PROCS;
}

static Size
heap_size(void)
{
	return (Size) ccr_shared_memory * 1024 * 1024;
}

/*
 * The area keeps an empty span of 64 kB for each size of small blocks that was
 * ever asked for.  Therefore the heap has room for these spans in addition.
 * Otherwise a small heap could end with room for blocks of some sizes only.
 */
static Size
area_size(void)
{
	return heap_size() + CCR_BLOCK_SIZES * 64 * 1024;
}

static Size
shmem_size(void)
{
	Size		size = CACHELINEALIGN(sizeof(CcrShared));

	size = add_size(size, mul_size(CCR_MAX_WORKERS, sizeof(CcrMailbox)));
	size = add_size(size, mul_size(slot_count(), sizeof(CcrSlot)));
	size = add_size(size, mul_size(CCR_MAX_COUNTERS, sizeof(CcrCounters)));
	size = add_size(size, mul_size(CCR_MAX_CONNECTIONS, sizeof(CcrConnection)));
	size = add_size(size, mul_size(CCR_MAX_STOPS, sizeof(CcrStop)));
	size = add_size(size, 6 * PG_CACHE_LINE_SIZE);
	return add_size(size, area_size());
}

void
ccr_shmem_request(void)
{
	RequestAddinShmemSpace(shmem_size());
	RequestNamedLWLockTranche(CCR_TRANCHE, 1);
}

static void
init_turn(CcrTurn *turn)
{
	pg_atomic_init_u32(&turn->holder, 0);
	pg_atomic_init_u32(&turn->waiting, 0);
	ConditionVariableInit(&turn->changed);
}

static void
init_counters(CcrCounters *counters)
{
	pg_atomic_init_u32(&counters->serial, 0);
	for (int i = 0; i < CCR_NCOUNTERS; i++)
		pg_atomic_init_u64(&counters->value[i], 0);
	for (int i = 0; i < CCR_HISTOGRAM_BINS; i++)
		pg_atomic_init_u64(&counters->batch_sizes[i], 0);
	for (int i = 0; i < CCR_LATENCY_BINS; i++)
		pg_atomic_init_u64(&counters->latencies[i], 0);
	pg_atomic_init_u64(&counters->open, 0);
	pg_atomic_init_u32(&counters->backlog, 0);
	init_turn(&counters->room_turn);
	pg_atomic_init_u32(&counters->places, 0);
	init_turn(&counters->place_turn);
	pg_atomic_init_u32(&counters->nbounded, 0);
	pg_atomic_init_u32(&counters->cancelling, 0);
	SpinLockInit(&counters->mutex);
}

static void
init_shared(int tranche)
{
	ccr_shared->nworkers = ccr_workers;
	ccr_shared->nslots = slot_count();
	ccr_shared->heap_size = heap_size();
	LWLockInitialize(&ccr_shared->lock, tranche);
	LWLockInitialize(&ccr_shared->stop_lock, tranche);
	LWLockInitialize(&ccr_shared->kept_lock, tranche);
	ccr_shared->kept = InvalidDsaPointer;
	ccr_shared->warrants = InvalidDsaPointer;
	pg_atomic_init_u32(&ccr_shared->nwarrants, 0);
	pg_atomic_init_u32(&ccr_shared->marks, 0);
	pg_atomic_init_u32(&ccr_shared->nstops, 0);
	pg_atomic_init_u32(&ccr_shared->nservers, 0);
	pg_atomic_init_u32(&ccr_shared->nconnections, 0);
	pg_atomic_init_u32(&ccr_shared->draining, 0);
	ConditionVariableInit(&ccr_shared->drained);
	init_turn(&ccr_shared->memory_turn);
	init_turn(&ccr_shared->reserve_turn);
	pg_atomic_init_u32(&ccr_shared->nbounded, 0);
	pg_atomic_init_u64(&ccr_shared->bounded_below, 0);
	pg_atomic_init_u64(&ccr_shared->next_bounded, 1);
	pg_atomic_init_u64(&ccr_shared->heap_used, 0);
	pg_atomic_init_u64(&ccr_shared->heap_reserve, 0);
	pg_atomic_init_u64(&ccr_shared->next_id, 1);
	pg_atomic_init_u32(&ccr_shared->next_serial, 1);
	pg_atomic_init_u64(&ccr_shared->next_maker, 1);

	for (int i = 0; i < CCR_MAX_WORKERS; i++)
	{
		pg_atomic_init_u64(&ccr_mailboxes[i].intake, InvalidDsaPointer);
		pg_atomic_init_u64(&ccr_mailboxes[i].abandoned, InvalidDsaPointer);
		pg_atomic_init_u32(&ccr_mailboxes[i].generation, 0);
		pg_atomic_init_u32(&ccr_mailboxes[i].proc, 0);
		pg_atomic_init_u32(&ccr_mailboxes[i].sleepers, 0);
		pg_atomic_init_u32(&ccr_mailboxes[i].pressed, 0);
		ccr_mailboxes[i].unfinished = InvalidDsaPointer;
		ccr_mailboxes[i].leaving = InvalidDsaPointer;
		pg_atomic_init_u64(&ccr_mailboxes[i].unsettled, 0);
		pg_atomic_init_u32(&ccr_mailboxes[i].closed, 0);
		pg_atomic_init_u64(&ccr_mailboxes[i].logged, 0);
		pg_atomic_init_u32(&ccr_mailboxes[i].heeded, 0);
		ccr_mailboxes[i].registered = registered[i];
		pg_atomic_init_u64(&ccr_mailboxes[i].started_at, 0);
		pg_atomic_init_u64(&ccr_mailboxes[i].batches, 0);
		pg_atomic_init_u64(&ccr_mailboxes[i].items, 0);
		pg_atomic_init_u64(&ccr_mailboxes[i].memory_used, 0);
		pg_atomic_init_u64(&ccr_mailboxes[i].memory_peak, 0);
		pg_atomic_init_u64(&ccr_mailboxes[i].memory_limit, 0);
	}
	for (int i = 0; i < ccr_shared->nslots; i++)
	{
		LWLockInitialize(&ccr_slots[i].lock, tranche);
		ccr_slots[i].requests = InvalidDsaPointer;
		SpinLockInit(&ccr_slots[i].mutex);
		ccr_slots[i].first_done = InvalidDsaPointer;
		ccr_slots[i].last_done = InvalidDsaPointer;
		pg_atomic_init_u64(&ccr_slots[i].bytes, 0);
		pg_atomic_init_u32(&ccr_slots[i].roleid, InvalidOid);
		pg_atomic_init_u32(&ccr_slots[i].login, InvalidOid);
		pg_atomic_init_u32(&ccr_slots[i].max_session_memory, -1);
		pg_atomic_init_u32(&ccr_slots[i].max_role_memory, -1);
		pg_atomic_init_u64(&ccr_slots[i].bounded, 0);
		pg_atomic_init_u32(&ccr_slots[i].bounded_role, InvalidOid);
		pg_atomic_init_u32(&ccr_slots[i].bounded_in, 0);
		pg_atomic_init_u32(&ccr_slots[i].bounded_first, 0);
	}
	for (int i = 0; i < CCR_MAX_COUNTERS; i++)
		init_counters(&ccr_counters[i]);
	for (int i = 0; i < CCR_MAX_CONNECTIONS; i++)
		SpinLockInit(&ccr_connections[i].mutex);

#ifdef CCR_TRACE_HEAP
	SpinLockInit(&ccr_shared->trace_mutex);
	ccr_shared->traced = InvalidDsaPointer;
#endif
	heap = dsa_create_in_place(heap_place, area_size(), tranche, NULL);
	dsa_pin(heap);
	dsa_set_size_limit(heap, area_size());
	dsa_detach(heap);
	heap = NULL;
}

/*
 * In the postmaster, as shared memory goes away: log how many enqueued items
 * are lost.  Nobody else can do that then: the collector had exited when the
 * server shut down, or all processes have ended because one of them crashed.
 */
static void
log_lost(int code, Datum arg)
{
	uint64		n = 0;

	for (int i = 0; i < ccr_shared->nworkers; i++)
		n += pg_atomic_read_u64(&ccr_mailboxes[i].unsettled) -
			pg_atomic_read_u64(&ccr_mailboxes[i].logged);
	if (n > 0)
		ereport(WARNING,
				(errmsg("%llu enqueued items are lost", (unsigned long long) n),
				 errdetail("The collector had exited, and there will be no other to send them.")));
}

void
ccr_shmem_registered(int worker)
{
	registered[worker] = true;
}

bool
ccr_shmem_has_collector(int worker)
{
	return ccr_mailboxes[worker].registered;
}

void
ccr_shmem_require_collector(int worker)
{
	if (ccr_mailboxes[worker].registered)
		return;
	if (!IsUnderPostmaster)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("there is no concresce collector in single-user mode")));
	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("there is no concresce collector"),
			 errdetail("When the server started, there was no free slot for a background worker."),
			 errhint("Increase \"max_worker_processes\" and restart the server.")));
}

void
ccr_shmem_startup(void)
{
	bool		found;
	char	   *p;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	p = ShmemInitStruct("concresce", shmem_size(), &found);
	if (!found)
		memset(p, 0, shmem_size() - area_size());

	ccr_shared = (CcrShared *) p;
	p += CACHELINEALIGN(sizeof(CcrShared));
	ccr_mailboxes = (CcrMailbox *) p;
	p += CACHELINEALIGN(CCR_MAX_WORKERS * sizeof(CcrMailbox));
	ccr_slots = (CcrSlot *) p;
	p += CACHELINEALIGN(slot_count() * sizeof(CcrSlot));
	ccr_counters = (CcrCounters *) p;
	p += CACHELINEALIGN(CCR_MAX_COUNTERS * sizeof(CcrCounters));
	ccr_connections = (CcrConnection *) p;
	p += CACHELINEALIGN(CCR_MAX_CONNECTIONS * sizeof(CcrConnection));
	ccr_stops = (CcrStop *) p;
	p += CACHELINEALIGN(CCR_MAX_STOPS * sizeof(CcrStop));
	heap_place = p;

	if (!found)
		init_shared(GetNamedLWLockTranche(CCR_TRANCHE)->lock.tranche);
	LWLockRelease(AddinShmemInitLock);
	if (!IsUnderPostmaster)
		on_shmem_exit(log_lost, (Datum) 0);
}

void
ccr_shmem_require(void)
{
	if (ccr_shared == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("concresce must be loaded via \"shared_preload_libraries\""),
				 errhint("Add the line \"shared_preload_libraries = 'concresce'\" to postgresql.conf and restart the server.")));
}

static dsa_area *
attached_heap(void)
{
	if (heap == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		heap = dsa_attach_in_place(heap_place, NULL);
		dsa_pin_mapping(heap);
		MemoryContextSwitchTo(old);
	}
	return heap;
}

void
ccr_heap_attach(void)
{
	(void) attached_heap();
}

/*
 * Sizes as dsa.c has them: whole pages for large blocks, else those of which
 * a span of 64 kB is full.
 */
Size
ccr_heap_taken(Size size)
{
	static const Size sizes[] = {1280, 1560, 1816, 2048, 2616, 3120, 3640, 4096, 5456, 6552, 7280, 8192};

	if (size > 8192)
		return TYPEALIGN(4096, size);
	if (size <= 64)
		return TYPEALIGN(8, size);
	if (size <= 1024)
		return TYPEALIGN((Size) 1 << (pg_leftmost_one_pos64(size - 1) - 2), size);
	for (int i = 0;; i++)
		if (size <= sizes[i])
			return sizes[i];
}

#ifdef CCR_TRACE_HEAP
static CcrTraced *
traced_block(dsa_pointer dp)
{
	return DsaPointerIsValid(dp) ? dsa_get_address(attached_heap(), dp - CCR_TRACED) : NULL;
}

dsa_pointer
ccr_heap_allocate_in(const char *function, Size size)
{
	dsa_pointer dp;
	CcrTraced  *block;

	if (size >= ccr_shared->heap_size)
		return InvalidDsaPointer;
	dp = dsa_allocate_extended(attached_heap(), size + CCR_TRACED,
							   DSA_ALLOC_HUGE | DSA_ALLOC_NO_OOM);
	if (!DsaPointerIsValid(dp))
		return dp;
	dp += CCR_TRACED;
	block = traced_block(dp);
	block->function = function;
	block->pid = MyProcPid;
	block->size = size;
	block->at = ccr_now();
	block->prev = InvalidDsaPointer;
	SpinLockAcquire(&ccr_shared->trace_mutex);
	block->next = ccr_shared->traced;
	if (DsaPointerIsValid(block->next))
		traced_block(block->next)->prev = dp;
	ccr_shared->traced = dp;
	SpinLockRelease(&ccr_shared->trace_mutex);
	pg_atomic_fetch_add_u64(&ccr_shared->heap_used, ccr_heap_taken(size));
	return dp;
}

static void
free_block(dsa_pointer dp)
{
	CcrTraced  *block = traced_block(dp);

	SpinLockAcquire(&ccr_shared->trace_mutex);
	if (DsaPointerIsValid(block->next))
		traced_block(block->next)->prev = block->prev;
	if (DsaPointerIsValid(block->prev))
		traced_block(block->prev)->next = block->next;
	else
		ccr_shared->traced = block->next;
	SpinLockRelease(&ccr_shared->trace_mutex);
	dsa_free(attached_heap(), dp - CCR_TRACED);
}

/* Blocks stay as they are meanwhile. */
void
ccr_heap_visit(void (*visit) (dsa_pointer dp, const CcrTraced *block, void *arg), void *arg)
{
	SpinLockAcquire(&ccr_shared->trace_mutex);
	for (dsa_pointer dp = ccr_shared->traced; DsaPointerIsValid(dp); dp = traced_block(dp)->next)
		visit(dp, traced_block(dp), arg);
	SpinLockRelease(&ccr_shared->trace_mutex);
}
#else
dsa_pointer
ccr_heap_allocate(Size size)
{
	dsa_pointer dp;

	/* dsa_allocate_extended() raises an error for sizes it deems absurd */
	if (size >= ccr_shared->heap_size)
		return InvalidDsaPointer;
	dp = dsa_allocate_extended(attached_heap(), size,
							   DSA_ALLOC_HUGE | DSA_ALLOC_NO_OOM);
	if (DsaPointerIsValid(dp))
		pg_atomic_fetch_add_u64(&ccr_shared->heap_used, ccr_heap_taken(size));
	return dp;
}

static void
free_block(dsa_pointer dp)
{
	dsa_free(attached_heap(), dp);
}
#endif

void
ccr_heap_free(dsa_pointer dp, Size size)
{
	uint64		used;

	free_block(dp);

	/* a full barrier; its partners are in turn.c and in ccr_bounded_below() */
	used = pg_atomic_sub_fetch_u64(&ccr_shared->heap_used, ccr_heap_taken(size));
	ccr_turn_announce(&ccr_shared->memory_turn, 1);
	ccr_turn_announce(&ccr_shared->reserve_turn, 1);

	/*
	 * a session that waits sets bounded_below first, and then looks once more
	 */
	if (pg_atomic_read_u32(&ccr_shared->nbounded) > 0 &&
		used <= pg_atomic_read_u64(&ccr_shared->bounded_below))
	{
		(void) pg_atomic_exchange_u64(&ccr_shared->bounded_below, 0);
		ccr_bounded_announce(NULL);
	}
}

void *
ccr_heap_address(dsa_pointer dp)
{
	return dsa_get_address(attached_heap(), dp);
}

/*
 * Wake a process.  If another process has its number by now, that does no
 * harm.
 */
void
ccr_wake(int procno)
{
	SetLatch(ccr_proc_latch(procno));
}

uint32
ccr_marks_announce(void)
{
	/*
	 * a full barrier, after the caller has written the mark; its partner is
	 * in ccr_marks_present()
	 */
	uint32		mark = pg_atomic_add_fetch_u32(&ccr_shared->marks, 1);

	for (int i = 0; i < ccr_shared->nworkers; i++)
		ccr_wake_listed(&ccr_mailboxes[i].proc);
	return mark;
}

uint32
ccr_marks_present(void)
{
	uint32		marks = pg_atomic_read_u32(&ccr_shared->marks);

	pg_read_barrier();
	return marks;
}

/*
 * Have all collectors acted on this mark? A collector that was never started
 * has nothing to act on.
 */
static bool
all_heeded(void *arg)
{
	uint32		mark = *(uint32 *) arg;

	for (int i = 0; i < ccr_shared->nworkers; i++)
	{
		CcrMailbox *mailbox = &ccr_mailboxes[i];

		if (mailbox->registered &&
			(int32) (pg_atomic_read_u32(&mailbox->heeded) - mark) < 0)
			return false;
	}
	return true;
}

static void
end_waiting(int code, Datum arg)
{
	ConditionVariableCancelSleep();
	pg_atomic_fetch_sub_u32(&ccr_shared->draining, 1);
}

bool
ccr_drained_wait(bool (*until) (void *arg), void *arg, CcrTime deadline, uint32 wait_event)
{
	volatile bool in_time = true;

	/* a full barrier, whose partner is in say_heeded() */
	pg_atomic_fetch_add_u32(&ccr_shared->draining, 1);
	PG_ENSURE_ERROR_CLEANUP(end_waiting, (Datum) 0);
	{
		ConditionVariablePrepareToSleep(&ccr_shared->drained);
		while (in_time && !until(arg))
		{
			long		left = ccr_until(deadline, ccr_now());

			in_time = left != 0;
			if (in_time)
				(void) ConditionVariableTimedSleep(&ccr_shared->drained, left, wait_event);
		}
	}
	PG_END_ENSURE_ERROR_CLEANUP(end_waiting, (Datum) 0);
	end_waiting(0, (Datum) 0);
	return in_time;
}

bool
ccr_marks_wait(uint32 mark, CcrTime deadline, uint32 wait_event)
{
	return ccr_drained_wait(all_heeded, &mark, deadline, wait_event);
}

void
ccr_mailbox_press(CcrMailbox *mailbox)
{
	/* a full barrier; its partner is in ccr_queues_press() */
	(void) pg_atomic_exchange_u32(&mailbox->pressed, 1);
	ccr_wake_listed(&mailbox->proc);
}

void
ccr_turn_announce(CcrTurn *turn, uint32 n)
{
	uint32		waiting = pg_atomic_read_u32(&turn->waiting);
	uint32		holder;

	if (waiting == 0)
		return;
	holder = pg_atomic_read_u32(&turn->holder);
	if (holder == 0)
	{
		for (n = Min(n, waiting); n > 0; n--)
			ConditionVariableSignal(&turn->changed);
	}

	/*
	 * if we hold the turn ourselves, what we give back was not enough for us
	 */
	else if (holder != (uint32) ccr_my_procno() + 1)
		ccr_wake(holder - 1);
}

/* Many sessions may wait, but only the first of each role can be served. */
void
ccr_bounded_announce(CcrCounters *counters)
{
	uint32		in = counters ? counters - ccr_counters + 1 : 0;

	if (pg_atomic_read_u32(counters ? &counters->nbounded : &ccr_shared->nbounded) == 0)
		return;
	for (int i = 0; i < ccr_shared->nslots; i++)
		if (pg_atomic_read_u32(&ccr_slots[i].bounded_first) != 0 &&
			pg_atomic_read_u32(&ccr_slots[i].bounded_in) == in)
			ccr_wake(i);
}

bool
ccr_room_take(pg_atomic_uint32 *used, CcrTurn *turn, uint32 n)
{
	uint32		holder = pg_atomic_read_u32(&turn->holder);
	uint32		taken = pg_atomic_read_u32(used);

	if (holder != 0 && holder != (uint32) ccr_my_procno() + 1)
		return false;
	while (taken == 0 || (uint64) taken + n <= (uint64) ccr_queue_size)
		if (pg_atomic_compare_exchange_u32(used, &taken, taken + n))
			return true;
	return false;
}

void
ccr_room_release(pg_atomic_uint32 *used, CcrTurn *turn, uint32 n)
{
	if (n == 0)
		return;

	/* a full barrier; its partners are in turn.c */
	pg_atomic_fetch_sub_u32(used, n);
	ccr_turn_announce(turn, n);
}

uint32
ccr_room_left(pg_atomic_uint32 *used)
{
	uint32		taken = pg_atomic_read_u32(used);

	return taken == 0 ? Max(ccr_queue_size, 1) :
		taken < (uint32) ccr_queue_size ? ccr_queue_size - taken : 0;
}

static bool
key_equals(const CcrCountersKey *a, const CcrCountersKey *b)
{
	return a->dbid == b->dbid && a->function == b->function &&
		a->serverid == b->serverid;
}

static bool
has_no_calls(CcrCounters *c)
{
	return pg_atomic_read_u64(&c->open) == 0 &&
		pg_atomic_read_u32(&c->backlog) == 0 &&
		pg_atomic_read_u32(&c->room_turn.waiting) == 0 &&
		pg_atomic_read_u32(&c->places) == 0 &&
		pg_atomic_read_u32(&c->place_turn.waiting) == 0 &&
		pg_atomic_read_u32(&c->nbounded) == 0 &&
		pg_atomic_read_u32(&c->cancelling) == 0;
}

/* What a role, or a login, has of the entries. */
typedef struct Allotted
{
	int			n;
	CcrCounters *last;
	CcrCounters *oldest;		/* longest unused of those without calls */
} Allotted;

static void
note_allotted(Allotted *allotted, CcrCounters *c)
{
	allotted->n++;
	allotted->last = c;
	if (has_no_calls(c) && (allotted->oldest == NULL || c->used < allotted->oldest->used))
		allotted->oldest = c;
}

/*
 * Choose the entry to be allotted and put it into *victim: a free one or, if
 * there is none, the one that has been unused for longest among those without
 * open calls.  A role, or a login, that has its share gives up one of its own.
 * If all of these have open calls, *victim is NULL, and the entry that is
 * returned has to be shared: the last one of the role, of the login, or of
 * all.
 */
static CcrCounters *
choose_counters(CcrParty party, CcrCounters **victim)
{
	Allotted	all = {0};
	Allotted	role = {0};
	Allotted	login = {0};
	const Allotted *from = &all;

	for (int i = 0; i < CCR_MAX_COUNTERS; i++)
	{
		CcrCounters *c = &ccr_counters[i];

		if (pg_atomic_read_u32(&c->serial) == 0)
		{
			all.oldest = c;		/* entries are taken from the front */
			break;
		}
		note_allotted(&all, c);
		if (OidIsValid(party.outer) && c->party.outer == party.outer)
			note_allotted(&role, c);
		if (OidIsValid(party.session) && c->party.session == party.session)
			note_allotted(&login, c);
	}
	if (role.n >= CCR_ROLE_COUNTERS)
		from = &role;
	else if (login.n >= CCR_LOGIN_COUNTERS && all.n == CCR_MAX_COUNTERS)
		from = &login;
	*victim = from->oldest;
	return from->last;
}

static void
empty_histograms(CcrCounters *counters)
{
	for (int i = 0; i < CCR_HISTOGRAM_BINS; i++)
		pg_atomic_write_u64(&counters->batch_sizes[i], 0);
	for (int i = 0; i < CCR_LATENCY_BINS; i++)
		pg_atomic_write_u64(&counters->latencies[i], 0);
}

/* The entry for a key not seen before. */
static CcrCounters *
allot_counters(const CcrCountersKey *key, CcrParty party)
{
	CcrCounters *victim;
	CcrCounters *shared = choose_counters(party, &victim);

	if (victim == NULL)
		return shared;

	victim->party = party;
	victim->key = *key;
	pg_atomic_write_u32(&victim->serial,
						pg_atomic_fetch_add_u32(&ccr_shared->next_serial, 1));
	for (int i = 0; i < CCR_NCOUNTERS; i++)
		pg_atomic_write_u64(&victim->value[i], 0);
	empty_histograms(victim);

	SpinLockAcquire(&victim->mutex);
	victim->used = ccr_now();
	victim->reset = GetCurrentTimestamp();
	victim->last_error_at = 0;
	victim->last_error.message[0] = '\0';
	memset(&victim->circuit, 0, sizeof(CcrCircuit));
	SpinLockRelease(&victim->mutex);
	return victim;
}

int
ccr_counters_find(const CcrCountersKey *key, CcrParty party, uint32 *serial)
{
	CcrCounters *found = NULL;

	LWLockAcquire(&ccr_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < CCR_MAX_COUNTERS && found == NULL; i++)
	{
		CcrCounters *c = &ccr_counters[i];

		if (pg_atomic_read_u32(&c->serial) == 0)
			break;				/* entries are taken from the front */
		if (key_equals(&c->key, key))
			found = c;
	}
	if (found == NULL)
		found = allot_counters(key, party);
	else
	{
		/*
		 * an entry that several roles, or logins, use does not count for one
		 * of them
		 */
		if (found->party.outer != party.outer)
			found->party.outer = InvalidOid;
		if (found->party.session != party.session)
			found->party.session = InvalidOid;
		ccr_counters_touch(found, ccr_now());
	}
	*serial = pg_atomic_read_u32(&found->serial);
	LWLockRelease(&ccr_shared->lock);
	return found - ccr_counters;
}

/* Say that an entry is in use. */
void
ccr_counters_touch(CcrCounters *counters, CcrTime now)
{
	SpinLockAcquire(&counters->mutex);
	counters->used = now;
	SpinLockRelease(&counters->mutex);
}

void
ccr_counters_error(CcrCounters *counters, const CcrLastError *error)
{
	TimestampTz now = GetCurrentTimestamp();

	SpinLockAcquire(&counters->mutex);
	counters->last_error_at = now;
	counters->last_error = *error;
	SpinLockRelease(&counters->mutex);
}

void
ccr_counters_open_circuit(CcrCounters *counters, bool first, bool transient,
						  int failures, TimestampTz retry_at,
						  const CcrLastError *error)
{
	CcrCircuit *circuit = &counters->circuit;
	TimestampTz now = GetCurrentTimestamp();

	SpinLockAcquire(&counters->mutex);
	if (circuit->open == 0)
		circuit->since = now;
	circuit->open += first ? 1 : 0;
	circuit->transient = transient;
	circuit->failures = failures;
	circuit->retry_at = retry_at;
	circuit->error = *error;
	SpinLockRelease(&counters->mutex);
}

void
ccr_counters_close_circuit(CcrCounters *counters)
{
	SpinLockAcquire(&counters->mutex);
	counters->circuit.open--;
	SpinLockRelease(&counters->mutex);
}

CcrCircuit
ccr_counters_circuit(CcrCounters *counters)
{
	CcrCircuit	circuit;

	SpinLockAcquire(&counters->mutex);
	circuit = counters->circuit;
	SpinLockRelease(&counters->mutex);
	return circuit;
}

/*
 * Lower every counter by the value that was read, instead of writing 0: so
 * what is counted meanwhile is not lost.  Calls that have not ended stay
 * counted: so calls remain the sum of their outcomes and of the calls that are
 * open.
 */
void
ccr_counters_reset(CcrCounters *counters)
{
	static const CcrCounter outcomes[] = {
		CCR_ANSWERED, CCR_ERRORS, CCR_TIMEOUTS, CCR_CANCELLED
	};
	TimestampTz now = GetCurrentTimestamp();
	uint64		ended = 0;

	for (int i = 0; i < (int) lengthof(outcomes); i++)
	{
		pg_atomic_uint64 *value = &counters->value[outcomes[i]];
		uint64		n = pg_atomic_read_u64(value);

		pg_atomic_fetch_sub_u64(value, n);
		ended += n;
	}
	pg_atomic_fetch_sub_u64(&counters->value[CCR_CALLS], ended);

	for (int i = 0; i < CCR_NCOUNTERS; i++)
	{
		if (i == CCR_CALLS || i == CCR_ANSWERED || i == CCR_ERRORS ||
			i == CCR_TIMEOUTS || i == CCR_CANCELLED)
			continue;
		pg_atomic_write_u64(&counters->value[i], 0);
	}
	empty_histograms(counters);

	SpinLockAcquire(&counters->mutex);
	counters->reset = now;
	counters->last_error_at = 0;
	counters->last_error.message[0] = '\0';
	SpinLockRelease(&counters->mutex);
}

void
ccr_counters_release_backlog(CcrCounters *counters, uint32 n)
{
	ccr_room_release(&counters->backlog, &counters->room_turn, n);
}
