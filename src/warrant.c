/*-------------------------------------------------------------------------
 *
 * warrant.c
 *	  By whose rights enqueued items are run.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "warrant.h"

static bool
same_title(const CcrTitle *a, const CcrTitle *b)
{
	return memcmp(a, b, sizeof(CcrTitle)) == 0;
}

static CcrWarrant *
following(dsa_pointer dp)
{
	return DsaPointerIsValid(dp) ? ccr_heap_address(dp) : NULL;
}

/* One that has ended is nobody's to find: the right may have come back. */
static CcrWarrant *
look_for(const CcrTitle *title)
{
	for (CcrWarrant *w = following(ccr_shared->warrants); w; w = following(w->next))
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
	warrant = look_for(title);
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
	pg_atomic_init_u32(&warrant->items, 0);
	pg_atomic_init_u64(&warrant->bytes, 0);

	LWLockAcquire(&ccr_shared->kept_lock, LW_EXCLUSIVE);
	other = look_for(title);
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

/* The last reference is given up under the lock, as it can be found there. */
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
	pg_atomic_fetch_add_u32(&warrant->items, items);
	pg_atomic_fetch_add_u64(&warrant->bytes, bytes);
}

void
ccr_warrant_discharge(CcrWarrant *warrant, CcrCounters *counters, uint32 items,
					  uint64 bytes)
{
	/* full barriers; their partner is in ccr_bounded_begin() */
	pg_atomic_fetch_sub_u32(&warrant->items, items);
	pg_atomic_fetch_sub_u64(&warrant->bytes, bytes);
	if (items > 0)
		ccr_bounded_announce(counters);
	if (bytes > 0)
		ccr_bounded_announce(NULL);
}

uint64
ccr_warrants_bytes(Oid asker)
{
	uint64		bytes = 0;

	LWLockAcquire(&ccr_shared->kept_lock, LW_SHARED);
	for (CcrWarrant *w = following(ccr_shared->warrants); w; w = following(w->next))
		if (w->title.asker == asker)
			bytes += pg_atomic_read_u64(&w->bytes);
	LWLockRelease(&ccr_shared->kept_lock);
	return bytes;
}

uint64
ccr_warrants_items(Oid asker, const CcrCountersKey *key)
{
	uint64		items = 0;

	LWLockAcquire(&ccr_shared->kept_lock, LW_SHARED);
	for (CcrWarrant *w = following(ccr_shared->warrants); w; w = following(w->next))
		if (w->title.asker == asker && w->title.dbid == key->dbid &&
			w->title.function == key->function && w->title.serverid == key->serverid)
			items += pg_atomic_read_u32(&w->items);
	LWLockRelease(&ccr_shared->kept_lock);
	return items;
}

const char *
ccr_warrant_reason(int sqlstate)
{
	return sqlstate == ERRCODE_INSUFFICIENT_PRIVILEGE ?
		"the right to run it was revoked" :
		"its server, user mapping, role or database was dropped";
}

CcrTitle *
ccr_warrants_copy(int *n)
{
	uint32		size;
	uint32		found;
	CcrTitle   *titles = NULL;

	/* no memory is taken while the lock is held, so there may be more by then */
	do
	{
		if (titles)
			pfree(titles);
		size = pg_atomic_read_u32(&ccr_shared->nwarrants) + 16;
		titles = palloc(size * sizeof(CcrTitle));
		found = 0;
		LWLockAcquire(&ccr_shared->kept_lock, LW_SHARED);
		for (CcrWarrant *w = following(ccr_shared->warrants); w; w = following(w->next))
		{
			if (found < size)
				titles[found] = w->title;
			found++;
		}
		LWLockRelease(&ccr_shared->kept_lock);
	} while (found > size);
	*n = found;
	return titles;
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
	for (CcrWarrant *w = following(ccr_shared->warrants); w; w = following(w->next))
	{
		int			sqlstate = ended_among(&w->title, titles, n);

		if (sqlstate != 0)
			pg_atomic_write_u32(&w->ended, sqlstate);
	}
	LWLockRelease(&ccr_shared->kept_lock);

	/* a full barrier; its partner is in ccr_flights_drop_unwarranted() */
	pg_atomic_fetch_add_u32(&ccr_shared->warrants_ended, 1);
	for (int i = 0; i < ccr_shared->nworkers; i++)
	{
		uint32		proc = pg_atomic_read_u32(&ccr_mailboxes[i].proc);

		if (proc != 0)
			ccr_wake(proc - 1);
	}
}
