/*-------------------------------------------------------------------------
 *
 * warrant.c
 *	  By whose rights enqueued items are run.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/warrant.h"

static bool
same_title(const CcrTitle *a, const CcrTitle *b)
{
	return memcmp(a, b, sizeof(CcrTitle)) == 0;
}

static CcrWarrant *
following_warrant(dsa_pointer dp)
{
	return DsaPointerIsValid(dp) ? ccr_heap_address(dp) : NULL;
}

/*
 * A warrant that has ended must not be found again: the right may have been
 * granted anew since.
 */
static CcrWarrant *
look_for_warrant(const CcrTitle *title)
{
	for (CcrWarrant *w = following_warrant(ccr_shared->warrants); w; w = following_warrant(w->next))
		if (same_title(&w->title, title) && ccr_warrant_ended(w) == 0)
		{
			pg_atomic_fetch_add_u32(&w->references, 1);
			return w;
		}
	return NULL;
}

CcrWarrant *
ccr_warrant_get(const CcrTitle *title)
{
	CcrWarrant *warrant;
	CcrWarrant *other;
	dsa_pointer dp;

	LWLockAcquire(&ccr_shared->kept_lock, LW_SHARED);
	warrant = look_for_warrant(title);
	LWLockRelease(&ccr_shared->kept_lock);
	if (warrant)
		return warrant;

	dp = ccr_heap_allocate(sizeof(CcrWarrant));
	if (!DsaPointerIsValid(dp))
		return NULL;
	warrant = ccr_heap_address(dp);
	warrant->self = dp;
	warrant->title = *title;
	pg_atomic_init_u32(&warrant->references, 1);
	pg_atomic_init_u32(&warrant->ended, 0);
	pg_atomic_init_u32(&warrant->charged_items, 0);
	pg_atomic_init_u64(&warrant->charged_bytes, 0);
	pg_atomic_init_u64(&warrant->discard_until, 0);
	pg_atomic_init_u64(&warrant->discarded, 0);
	pg_atomic_init_u64(&warrant->items, 0);
	pg_atomic_init_u64(&warrant->flying, 0);
	pg_atomic_init_u64(&warrant->bytes, 0);
	pg_atomic_init_u64(&warrant->oldest, 0);

	LWLockAcquire(&ccr_shared->kept_lock, LW_EXCLUSIVE);
	other = look_for_warrant(title);
	if (other == NULL)
	{
		warrant->next = ccr_shared->warrants;
		ccr_shared->warrants = dp;
		pg_atomic_fetch_add_u32(&ccr_shared->nwarrants, 1);
	}
	LWLockRelease(&ccr_shared->kept_lock);
	if (other == NULL)
		return warrant;
	ccr_heap_free(dp, sizeof(CcrWarrant));
	return other;
}

/*
 * The last reference is released under the lock, since others find the warrant
 * under that lock.
 */
void
ccr_warrant_release(CcrWarrant *warrant)
{
	uint32		references = pg_atomic_read_u32(&warrant->references);
	dsa_pointer *link;

	while (references > 1)
		if (pg_atomic_compare_exchange_u32(&warrant->references, &references,
										   references - 1))
			return;

	LWLockAcquire(&ccr_shared->kept_lock, LW_EXCLUSIVE);
	if (pg_atomic_sub_fetch_u32(&warrant->references, 1) > 0)
	{
		LWLockRelease(&ccr_shared->kept_lock);
		return;
	}
	link = &ccr_shared->warrants;
	while (*link != warrant->self)
		link = &((CcrWarrant *) ccr_heap_address(*link))->next;
	*link = warrant->next;
	pg_atomic_fetch_sub_u32(&ccr_shared->nwarrants, 1);
	LWLockRelease(&ccr_shared->kept_lock);
	ccr_heap_free(warrant->self, sizeof(CcrWarrant));
}

void
ccr_warrant_charge(CcrWarrant *warrant, uint32 items, uint64 bytes)
{
	pg_atomic_fetch_add_u32(&warrant->charged_items, items);
	pg_atomic_fetch_add_u64(&warrant->charged_bytes, bytes);
}

void
ccr_warrant_discharge(CcrWarrant *warrant, CcrCounters *counters, uint32 items,
					  uint64 bytes)
{
	/* full barriers; their partner is in ccr_bounded_begin() */
	pg_atomic_fetch_sub_u32(&warrant->charged_items, items);
	pg_atomic_fetch_sub_u64(&warrant->charged_bytes, bytes);
	if (items > 0)
		ccr_bounded_announce(counters);
	if (bytes > 0)
		ccr_bounded_announce(NULL);
}

static CcrParty
party_of_title(const CcrTitle *title)
{
	CcrParty	party = {.session = title->login, .outer = title->asker};

	return party;
}

CcrTaken
ccr_warrants_bytes(CcrParty asker)
{
	CcrTaken	bytes = {0};

	LWLockAcquire(&ccr_shared->kept_lock, LW_SHARED);
	for (CcrWarrant *w = following_warrant(ccr_shared->warrants); w; w = following_warrant(w->next))
		ccr_taken_add(&bytes, asker, party_of_title(&w->title),
					  pg_atomic_read_u64(&w->charged_bytes));
	LWLockRelease(&ccr_shared->kept_lock);
	return bytes;
}

CcrTaken
ccr_warrants_items(CcrParty asker, const CcrCountersKey *key)
{
	CcrTaken	items = {0};

	LWLockAcquire(&ccr_shared->kept_lock, LW_SHARED);
	for (CcrWarrant *w = following_warrant(ccr_shared->warrants); w; w = following_warrant(w->next))
		if (w->title.dbid == key->dbid && w->title.function == key->function &&
			w->title.serverid == key->serverid)
			ccr_taken_add(&items, asker, party_of_title(&w->title),
						  pg_atomic_read_u32(&w->charged_items));
	LWLockRelease(&ccr_shared->kept_lock);
	return items;
}

const char *
ccr_warrant_reason(int sqlstate)
{
	switch (sqlstate)
	{
		case ERRCODE_QUERY_CANCELED:
			return "concresce.discard() has named it";
		case ERRCODE_INSUFFICIENT_PRIVILEGE:
			return "the right to run it was revoked";
		default:
			return "its server, user mapping, role or database was dropped";
	}
}

void
ccr_warrant_begin(CcrWarrant *warrant, uint32 items, Size bytes, CcrTime now)
{
	uint64		none = 0;

	pg_atomic_fetch_add_u64(&warrant->bytes, bytes);
	pg_atomic_fetch_add_u64(&warrant->items, items);

	/* the collector corrects this when it takes the request */
	(void) pg_atomic_compare_exchange_u64(&warrant->oldest, &none, now);
}

void
ccr_warrant_end(CcrWarrant *warrant, Size bytes)
{
	pg_atomic_fetch_sub_u64(&warrant->bytes, bytes);
}

CcrReliance *
ccr_warrants_reliance(int *n)
{
	uint32		size;
	uint32		found;
	CcrReliance *all = NULL;

	/*
	 * no memory is allocated while the lock is held, so there may be more of
	 * them by then
	 */
	do
	{
		if (all)
			pfree(all);
		size = pg_atomic_read_u32(&ccr_shared->nwarrants) + 16;
		all = palloc(size * sizeof(CcrReliance));
		found = 0;
		LWLockAcquire(&ccr_shared->kept_lock, LW_SHARED);
		for (CcrWarrant *w = following_warrant(ccr_shared->warrants); w; w = following_warrant(w->next))
		{
			if (found < size)
			{
				all[found].title = w->title;
				all[found].items = pg_atomic_read_u64(&w->items);
				all[found].flying = pg_atomic_read_u64(&w->flying);
				all[found].bytes = pg_atomic_read_u64(&w->bytes);
				all[found].oldest = pg_atomic_read_u64(&w->oldest);
			}
			found++;
		}
		LWLockRelease(&ccr_shared->kept_lock);
	} while (found > size);
	*n = found;
	return all;
}

CcrTitle *
ccr_warrants_copy(int *n)
{
	CcrReliance *all = ccr_warrants_reliance(n);
	CcrTitle   *titles = palloc(Max(*n, 1) * sizeof(CcrTitle));

	for (int i = 0; i < *n; i++)
		titles[i] = all[i].title;
	pfree(all);
	return titles;
}

static bool
is_among(const CcrTitle *title, const CcrTitle *titles, int n)
{
	for (int i = 0; i < n; i++)
		if (same_title(&titles[i], title))
			return true;
	return false;
}

static void
raise_to(pg_atomic_uint64 *time, CcrTime until)
{
	uint64		old = pg_atomic_read_u64(time);

	while ((CcrTime) old < until && !pg_atomic_compare_exchange_u64(time, &old, until))
		;
}

/*
 * Warrants that have ended are left out: their items are discarded in any
 * case.  So there is one for each title at most.
 */
int
ccr_warrants_discard(const CcrTitle *titles, int n, CcrTime until,
					 CcrWarrant **marked, uint64 *discarded)
{
	int			found = 0;

	LWLockAcquire(&ccr_shared->kept_lock, LW_SHARED);
	for (CcrWarrant *w = following_warrant(ccr_shared->warrants); w && found < n; w = following_warrant(w->next))
	{
		if (ccr_warrant_ended(w) != 0 || !is_among(&w->title, titles, n))
			continue;
		discarded[found] = pg_atomic_read_u64(&w->discarded);
		raise_to(&w->discard_until, until);
		pg_atomic_fetch_add_u32(&w->references, 1);
		marked[found++] = w;
	}
	LWLockRelease(&ccr_shared->kept_lock);
	return found;
}

static int
ended_among(const CcrTitle *title, const CcrEndedTitle *titles, int n)
{
	for (int i = 0; i < n; i++)
		if (same_title(&titles[i].title, title))
			return titles[i].sqlstate;
	return 0;
}

void
ccr_warrants_end(const CcrEndedTitle *titles, int n)
{
	LWLockAcquire(&ccr_shared->kept_lock, LW_SHARED);
	for (CcrWarrant *w = following_warrant(ccr_shared->warrants); w; w = following_warrant(w->next))
	{
		int			sqlstate = ended_among(&w->title, titles, n);

		if (sqlstate != 0)
			pg_atomic_write_u32(&w->ended, sqlstate);
	}
	LWLockRelease(&ccr_shared->kept_lock);

	(void) ccr_marks_announce();
}
