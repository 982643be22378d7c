/*-------------------------------------------------------------------------
 *
 * request.c
 *	  The only code that moves a request from one state to another.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "shared/compat.h"
#include "shared/reader.h"
#include "shared/request.h"
#include "shared/seat.h"
#include "shared/stopped.h"
#include "shared/warrant.h"

static int	sleepers[1024];		/* proc numbers of those to be woken */
static int	nsleepers = 0;

/* ---------------------------------------------------------------- backend */

/*
 * Set when ccr_request_new() returns NULL: whose bound the request would have
 * exceeded.
 */
static CcrBound refused = CCR_BOUND_NONE;

static CcrRequest *
allocate_request(CcrRequestKind kind, uint32 nitems, Size nbytes, const char *source,
				 Size length)
{
	Size		size = MAXALIGN(offsetof(CcrRequest, items)) + nbytes +
		(kind == CCR_REQUEST_ENQUEUED ? nitems : 0);
	dsa_pointer dp = ccr_heap_allocate(size);
	CcrRequest *request;

	if (!DsaPointerIsValid(dp))
		return NULL;
	request = ccr_heap_address(dp);
	memset(request, 0, offsetof(CcrRequest, items));
	pg_atomic_init_u32(&request->state, CCR_REQUEST_PENDING);
	pg_atomic_init_u32(&request->phase, CCR_PHASE_SUBMITTED);
	pg_atomic_init_u32(&request->taken, 0);
	request->self = dp;
	request->size = size;
	request->kind = kind;
	request->procno = ccr_my_procno();
	request->nitems = nitems;
	request->nbytes = nbytes;
	if (kind == CCR_REQUEST_ENQUEUED)
		memset(ccr_request_ended(request), 0, nitems);
	request->id = pg_atomic_fetch_add_u64(&ccr_shared->next_id, 1);

	if (source)
	{
		request->source = ccr_heap_allocate(length);
		if (!DsaPointerIsValid(request->source))
		{
			ccr_heap_free(dp, size);
			return NULL;
		}
		request->source_size = length;
		memcpy(ccr_heap_address(request->source), source, length);
	}
	return request;
}

CcrRequest *
ccr_request_new(CcrRequestKind kind, uint32 nitems, Size nbytes,
				const char *source, Size length)
{
	CcrRequest *request;

	refused = CCR_BOUND_NONE;
	if (kind == CCR_REQUEST_ENQUEUED)
		return allocate_request(kind, nitems, nbytes, source, length);

	ccr_bounds_declare(ccr_seat_party());
	refused = ccr_bounds_check(ccr_bounds_procno(), sizeof(CcrRequest) + nbytes + length,
							   sizeof(CcrRequest) + nbytes + length);
	if (refused != CCR_BOUND_NONE)
		return NULL;
	request = allocate_request(kind, nitems, nbytes, source, length);
	if (request == NULL)
		return NULL;
	request->charged = request->size + request->source_size;
	request->charged_to = ccr_bounds_procno();
	ccr_bounds_charge(request->charged_to, request->charged);
	return request;
}

static const char *
megabytes(uint64 bytes)
{
	return psprintf("%.1f", bytes / (1024 * 1024.0));
}

void
ccr_request_no_room(Size nbytes)
{
	const CcrSlot *slot = &ccr_slots[ccr_bounds_procno()];
	uint64		used = pg_atomic_read_u64(&ccr_shared->heap_used);
	bool		never = nbytes >= ccr_shared->heap_size;

	if (!never && refused == CCR_BOUND_SESSION)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("session holds too much shared memory for lookups"),
				 errdetail("Its requests and results take %s MB, %zu bytes more were asked for, and %s of %s MB are in use.",
						   megabytes(pg_atomic_read_u64(unconstify(pg_atomic_uint64 *, &slot->bytes))),
						   nbytes, megabytes(used), megabytes(ccr_shared->heap_size)),
				 errhint("Await what was submitted, or submit less at a time. The bound is set by \"concresce.max_session_memory\" and \"concresce.shared_memory\".")));
	if (!never && refused == CCR_BOUND_ROLE)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("sessions of the role hold too much shared memory for lookups"),
				 errdetail("Their requests and results take %s MB, %zu bytes more were asked for, and %s of %s MB are in use.",
						   megabytes(ccr_bounds_held(ccr_seat_party()).role),
						   nbytes, megabytes(used), megabytes(ccr_shared->heap_size)),
				 errhint("The bound is set by \"concresce.max_role_memory\" and \"concresce.shared_memory\".")));
	if (!never && refused == CCR_BOUND_LOGIN)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("sessions of the login, as all its roles, hold too much shared memory for lookups"),
				 errdetail("Their requests and results take %s MB, %zu bytes more were asked for, and %s of %s MB are in use.",
						   megabytes(ccr_bounds_held(ccr_seat_party()).login),
						   nbytes, megabytes(used), megabytes(ccr_shared->heap_size)),
				 errhint("The bound is set by \"concresce.shared_memory\".")));
	ereport(ERROR,
			(errcode(never ? ERRCODE_PROGRAM_LIMIT_EXCEEDED :
					 ERRCODE_OUT_OF_MEMORY),
			 errmsg("out of shared memory for lookups"),
			 errdetail("A request needs %zu bytes; %llu of %zu bytes are in use.",
					   nbytes, (unsigned long long) used, ccr_shared->heap_size),
			 errhint("You may need to increase \"concresce.shared_memory\".")));
}

/*
 * The description is wiped before it is freed, since it may contain the
 * password of a user mapping.
 */
static void
free_source(CcrRequest *request)
{
	if (!DsaPointerIsValid(request->source))
		return;
	explicit_bzero(ccr_heap_address(request->source), request->source_size);
	ccr_heap_free(request->source, request->source_size);
	request->source = InvalidDsaPointer;
}

static void
destroy_request(CcrRequest *request)
{
	/* before anybody who waits for room is told */
	if (request->in_reserve)
		pg_atomic_fetch_sub_u64(&ccr_shared->heap_reserve, ccr_heap_taken(request->size));
	if (request->kind != CCR_REQUEST_ENQUEUED)
		ccr_bounds_release(request->charged_to, request->charged);
	free_source(request);
	if (DsaPointerIsValid(request->warrant))
		ccr_warrant_discharge(ccr_heap_address(request->warrant),
							  &ccr_counters[request->counters], request->nitems,
							  request->charged);
	if (DsaPointerIsValid(request->kept))
		ccr_kept_release(ccr_heap_address(request->kept));
	if (DsaPointerIsValid(request->warrant))
		ccr_warrant_release(ccr_heap_address(request->warrant));
	if (DsaPointerIsValid(request->account))
		ccr_account_release(ccr_heap_address(request->account));
	ccr_answer_free(request->answer);
	ccr_heap_free(request->self, request->size);
}

/*
 * Push a chain of requests; `next` is the link of the oldest one.  The
 * compare-and-swap is a full barrier, for two reasons.  A collector that takes
 * the list sees what was written into the requests: the exchanges in
 * ccr_request_take() and ccr_requests_take_abandoned() are the partners.  And
 * wake_collector() reads the collector's number only after the push.
 */
static void
push_request(pg_atomic_uint64 *head, dsa_pointer *next, dsa_pointer newest)
{
	uint64		old = pg_atomic_read_u64(head);

	do
		*next = old;
	while (!pg_atomic_compare_exchange_u64(head, &old, newest));
}

static void
wake_collector(CcrMailbox *mailbox)
{
	/*
	 * If no collector is running, the next one looks at its mailbox as it
	 * starts, behind a barrier in start().  That barrier is the partner of
	 * the one in push_request().
	 */
	ccr_wake_listed(&mailbox->proc);
}

static void
link_to_slot(CcrRequest *request)
{
	CcrSlot    *slot = &ccr_slots[request->procno];

	LWLockAcquire(&slot->lock, LW_EXCLUSIVE);
	request->prev = InvalidDsaPointer;
	request->next = slot->requests;
	if (DsaPointerIsValid(request->next))
		((CcrRequest *) ccr_heap_address(request->next))->prev = request->self;
	slot->requests = request->self;
	LWLockRelease(&slot->lock);
}

static void
unlink_from_slot(CcrRequest *request)
{
	CcrSlot    *slot = &ccr_slots[request->procno];

	LWLockAcquire(&slot->lock, LW_EXCLUSIVE);
	if (DsaPointerIsValid(request->next))
		((CcrRequest *) ccr_heap_address(request->next))->prev = request->prev;
	if (DsaPointerIsValid(request->prev))
		((CcrRequest *) ccr_heap_address(request->prev))->next = request->next;
	else
		slot->requests = request->next;
	LWLockRelease(&slot->lock);
}

/*
 * The list is doubly linked, since a request may be freed while it is on it.
 */
static void
announce_request(CcrSlot *slot, CcrRequest *request)
{
	request->announced = true;
	request->next_done = InvalidDsaPointer;
	request->prev_done = slot->last_done;
	if (DsaPointerIsValid(slot->last_done))
		((CcrRequest *) ccr_heap_address(slot->last_done))->next_done = request->self;
	else
		slot->first_done = request->self;
	slot->last_done = request->self;
}

static void
unannounce_request(CcrSlot *slot, CcrRequest *request)
{
	if (DsaPointerIsValid(request->next_done))
		((CcrRequest *) ccr_heap_address(request->next_done))->prev_done = request->prev_done;
	else
		slot->last_done = request->prev_done;
	if (DsaPointerIsValid(request->prev_done))
		((CcrRequest *) ccr_heap_address(request->prev_done))->next_done = request->next_done;
	else
		slot->first_done = request->next_done;
	request->announced = false;
}

/*
 * Free a request that is DONE. Taking the slot's mutex makes sure that the
 * collector, which holds it while it lists the request, no longer touches the
 * request.
 */
static void
destroy_done(CcrRequest *request)
{
	if (request->announce)
	{
		CcrSlot    *slot = &ccr_slots[request->procno];

		SpinLockAcquire(&slot->mutex);
		if (request->announced)
			unannounce_request(slot, request);
		SpinLockRelease(&slot->mutex);
	}
	destroy_request(request);
}

CcrRequest *
ccr_request_next_done(void)
{
	CcrSlot    *slot = &ccr_slots[ccr_my_procno()];
	CcrRequest *request = NULL;

	SpinLockAcquire(&slot->mutex);
	if (DsaPointerIsValid(slot->first_done))
	{
		request = ccr_heap_address(slot->first_done);
		unannounce_request(slot, request);
	}
	SpinLockRelease(&slot->mutex);
	return request;
}

static void
count_calls(CcrRequest *request)
{
	CcrCounters *counters = &ccr_counters[request->counters];

	if (request->nitems == 0 || request->kind == CCR_REQUEST_FORGET)
		return;
	ccr_count(counters, CCR_CALLS, request->nitems);
	ccr_gauge(counters, request->nitems, 0);
}

void
ccr_request_reserve(CcrRequest *request)
{
	request->in_reserve = true;
	pg_atomic_fetch_add_u64(&ccr_shared->heap_reserve, ccr_heap_taken(request->size));
}

void
ccr_request_open(CcrRequest *request)
{
	Assert(request->pid == 0);
	request->pid = MyProcPid;
	request->procno = ccr_my_procno();
	request->roleid = GetUserId();
	request->party = ccr_seat_party();
	request->dbid = MyDatabaseId;

	link_to_slot(request);
	count_calls(request);
}

void
ccr_requests_push(CcrRequest *newest, CcrRequest *oldest)
{
	CcrMailbox *mailbox = &ccr_mailboxes[newest->worker];

	push_request(&mailbox->intake, &oldest->next_intake, newest->self);
	wake_collector(mailbox);
}

void
ccr_request_submit(CcrRequest *request)
{
	ccr_request_open(request);
	ccr_requests_push(request, request);
}

void
ccr_request_withdraw(CcrRequest *request)
{
	CcrCounters *counters = &ccr_counters[request->counters];
	uint32		n = request->nitems;

	unlink_from_slot(request);
	ccr_count(counters, CCR_CANCELLED, n);
	ccr_gauge(counters, -(int) n, 0);
	if (request->reserved)
		ccr_counters_release_backlog(counters, n);
	destroy_request(request);

	/*
	 * No collector has seen it, so none will wake the sessions that wait in
	 * concresce.stop() for its end.
	 */
	ccr_stopped_recount();
}

void
ccr_request_push(CcrRequest *request)
{
	Assert(request->kind == CCR_REQUEST_ENQUEUED);
	request->pid = MyProcPid;
	request->procno = ccr_my_procno();
	request->dbid = MyDatabaseId;
	count_calls(request);
	ccr_warrant_begin(ccr_heap_address(request->warrant), request->nitems, request->charged,
					  request->submitted);
	ccr_requests_push(request, request);
}

bool
ccr_request_lost(CcrRequest *request)
{
	uint32		taken = pg_atomic_read_u32(&request->taken);

	if (taken == 0)
		return false;

	/*
	 * A collector counts its generation before it takes requests: the
	 * exchange in ccr_request_take(), between the two, is the partner.
	 * Without the barrier the present generation could be read too early, and
	 * seem to be another than the one that took the request.
	 */
	pg_read_barrier();
	if (taken == pg_atomic_read_u32(&ccr_mailboxes[request->worker].generation))
		return false;

	/*
	 * A collector completes its requests before the next one counts a new
	 * generation, which has a full barrier in start().
	 */
	pg_read_barrier();
	return pg_atomic_read_u32(&request->state) == CCR_REQUEST_PENDING;
}

void
ccr_request_abandon(CcrRequest *request, CcrAbandonReason reason)
{
	CcrMailbox *mailbox = &ccr_mailboxes[request->worker];
	CcrCounters *counters = &ccr_counters[request->counters];
	bool		counted = request->kind == CCR_REQUEST_LOOKUP;
	uint32		nitems = request->nitems;
	uint32		expected = CCR_REQUEST_PENDING;

	unlink_from_slot(request);

	/*
	 * The partner is in become_done(): the answer is there if the state is
	 * DONE.
	 */
	if (!pg_atomic_compare_exchange_u32(&request->state, &expected,
										CCR_REQUEST_ABANDONED))
	{
		destroy_done(request);
		return;
	}
	if (counted)
		ccr_count(counters, reason == CCR_ABANDON_TIMEOUT ?
				  CCR_TIMEOUTS : CCR_CANCELLED, nitems);
	push_request(&mailbox->abandoned, &request->next_abandoned, request->self);
	wake_collector(mailbox);
}

void
ccr_request_free(CcrRequest *request)
{
	if (request->pid != 0)
	{
		Assert(pg_atomic_read_u32(&request->state) == CCR_REQUEST_DONE);
		unlink_from_slot(request);
	}
	destroy_done(request);
}

/* -------------------------------------------------------------- collector */

static CcrRequest *
request_at(dsa_pointer dp)
{
	return DsaPointerIsValid(dp) ? ccr_heap_address(dp) : NULL;
}

/*
 * List it in shared memory, so that the next generation finds it if this one
 * exits.
 */
static void
list_unfinished(CcrMailbox *mailbox, CcrRequest *request)
{
	request->prev = InvalidDsaPointer;
	request->next = mailbox->unfinished;
	if (DsaPointerIsValid(request->next))
		((CcrRequest *) ccr_heap_address(request->next))->prev = request->self;
	mailbox->unfinished = request->self;
}

CcrRequest *
ccr_request_unfinished(CcrMailbox *mailbox)
{
	return request_at(mailbox->unfinished);
}

CcrRequest *
ccr_request_next_unfinished(CcrRequest *request)
{
	return request_at(request->next);
}

void
ccr_request_end(CcrRequest *request)
{
	CcrRequest *next = request_at(request->next);
	CcrRequest *prev = request_at(request->prev);

	if (next)
		next->prev = request->prev;
	if (prev)
		prev->next = request->next;
	else
		ccr_mailboxes[request->worker].unfinished = request->next;
	destroy_request(request);
}

CcrRequest *
ccr_request_following(CcrRequest *request)
{
	return request_at(request->next_intake);
}

/*
 * A backend may free a request once it is complete, so the caller must ask for
 * the following one before it completes this one.
 */
CcrRequest *
ccr_request_take(CcrMailbox *mailbox)
{
	uint32		generation = pg_atomic_read_u32(&mailbox->generation);
	dsa_pointer newest;
	dsa_pointer oldest = InvalidDsaPointer;

	if (pg_atomic_read_u64(&mailbox->intake) == InvalidDsaPointer)
		return NULL;
	newest = pg_atomic_exchange_u64(&mailbox->intake, InvalidDsaPointer);
	while (DsaPointerIsValid(newest))
	{
		CcrRequest *request = ccr_heap_address(newest);

		pg_atomic_write_u32(&request->taken, generation);
		if (request->kind == CCR_REQUEST_ENQUEUED)
			list_unfinished(mailbox, request);
		newest = request->next_intake;
		request->next_intake = oldest;
		oldest = request->self;
	}
	return request_at(oldest);
}

void
ccr_requests_take_abandoned(CcrMailbox *mailbox)
{
	CcrRequest *request;

	if (pg_atomic_read_u64(&mailbox->abandoned) == InvalidDsaPointer)
		return;
	request = request_at(pg_atomic_exchange_u64(&mailbox->abandoned, InvalidDsaPointer));
	while (request)
	{
		CcrRequest *next = request_at(request->next_abandoned);

		Assert(pg_atomic_read_u32(&request->state) == CCR_REQUEST_ABANDONED);
		request->next_abandoned = mailbox->leaving;
		mailbox->leaving = request->self;
		request = next;
	}
}

void
ccr_requests_free_abandoned(CcrMailbox *mailbox, bool (*which) (CcrRequest *),
							void (*leave) (CcrRequest *))
{
	dsa_pointer *link = &mailbox->leaving;

	while (DsaPointerIsValid(*link))
	{
		CcrRequest *request = ccr_heap_address(*link);

		if (!which(request))
		{
			link = &request->next_abandoned;
			continue;
		}
		leave(request);
		*link = request->next_abandoned;
		destroy_request(request);
	}
}

void
ccr_request_check(CcrRequest *request, int nargs)
{
	CcrReader	reader = ccr_reader((const char *) ccr_request_first(request),
									request->nbytes, "request of a lookup");

	for (uint32 i = 0; i < request->nitems; i++)
	{
		const CcrItem *item = (const CcrItem *) ccr_read(&reader, offsetof(CcrItem, data));
		uint32		length = item->key_offset ? item->key_offset : item->length;
		CcrReader	arguments = ccr_reader(item->data, length, reader.what);
		int32		unused;

		if (length > item->length)
			ccr_read_failed(&reader);
		(void) ccr_read(&reader, CCR_ITEM_SIZE(item->length) - offsetof(CcrItem, data));
		for (int arg = 0; arg < nargs; arg++)
			(void) ccr_read_value(&arguments, &unused);

		/* without arguments, there may be a key all the same */
		if (nargs > 0)
			ccr_read_end(&arguments);
	}
	ccr_read_end(&reader);
}

CcrSource *
ccr_request_source(CcrRequest *request)
{
	CcrSource  *source;

	if (!DsaPointerIsValid(request->source))
		return NULL;
	source = ccr_source_restore(ccr_heap_address(request->source),
								request->source_size);
	free_source(request);
	return source;
}

CcrFailure
ccr_request_answer(CcrRequest *request, const CcrAnswerDraft *draft)
{
	static const CcrFailure failures[] = {
		[CCR_BOUND_NONE] = CCR_FAILURE_NO_MEMORY,
		[CCR_BOUND_SESSION] = CCR_FAILURE_SESSION_MEMORY,
		[CCR_BOUND_ROLE] = CCR_FAILURE_ROLE_MEMORY,
		[CCR_BOUND_LOGIN] = CCR_FAILURE_ROLE_MEMORY
	};
	Size		bytes = draft->size + draft->shared;
	CcrBound	bound = ccr_bounds_check(request->charged_to, bytes, draft->size);
	dsa_pointer block = InvalidDsaPointer;

	if (bound == CCR_BOUND_NONE)
		block = ccr_answer_write(draft);
	if (!DsaPointerIsValid(block))
	{
		/*
		 * the request fails as a whole, so nobody will read its other blocks
		 */
		ccr_answer_free(request->answer);
		request->answer = InvalidDsaPointer;
		return failures[bound];
	}
	request->charged += bytes;
	ccr_bounds_charge(request->charged_to, bytes);
	ccr_answer_block(block)->next = request->answer;
	request->answer = block;
	return CCR_FAILURE_NONE;
}

/*
 * This is not done at once for each request: a process that is woken wants the
 * processor, and the next batch would have to wait until hundreds of callers
 * have run.
 */
void
ccr_requests_wake(void)
{
	for (int i = 0; i < nsleepers; i++)
		ccr_wake(sleepers[i]);
	nsleepers = 0;
}

/*
 * The compare-and-swap is a full barrier: a backend that sees DONE, and then
 * has a read barrier, as pending.c has, sees everything that was written
 * before.
 */
static bool
become_done(CcrRequest *request)
{
	uint32		expected = CCR_REQUEST_PENDING;

	return pg_atomic_compare_exchange_u32(&request->state, &expected,
										  CCR_REQUEST_DONE);
}

void
ccr_request_wake_later(int procno)
{
	/* the requests of one backend often end together */
	if (nsleepers > 0 && sleepers[nsleepers - 1] == procno)
		return;
	if (nsleepers == (int) lengthof(sleepers))
		ccr_requests_wake();
	sleepers[nsleepers++] = procno;
}

bool
ccr_request_complete(CcrRequest *request, CcrFailure failure)
{
	int			procno = request->procno;
	CcrSlot    *slot = &ccr_slots[procno];
	bool		done;

	request->failure = failure;
	if (request->announce)
	{
		SpinLockAcquire(&slot->mutex);
		done = become_done(request);
		if (done)
			announce_request(slot, request);
		SpinLockRelease(&slot->mutex);
	}
	else
		done = become_done(request);
	if (!done)
		return false;
	ccr_request_wake_later(procno);
	return true;
}
