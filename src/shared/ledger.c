/*-------------------------------------------------------------------------
 *
 * ledger.c
 *	  Places, kept sources and accounts.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/ledger.h"

/* ------------------------------------------------------------------ places */

bool
ccr_places_take(CcrCounters *counters, uint32 n)
{
	return ccr_room_take(&counters->places, &counters->place_turn, n);
}

void
ccr_places_release(CcrCounters *counters, uint32 n)
{
	ccr_room_release(&counters->places, &counters->place_turn, n);
	ccr_bounded_announce(counters);
}

/* ------------------------------------------------------------ kept sources */

static CcrKeptSource *
look_for_account(const CcrFingerprint *fingerprint)
{
	for (dsa_pointer dp = ccr_shared->kept; DsaPointerIsValid(dp);)
	{
		CcrKeptSource *kept = ccr_heap_address(dp);

		if (memcmp(&kept->fingerprint, fingerprint, sizeof(CcrFingerprint)) == 0)
		{
			pg_atomic_fetch_add_u32(&kept->references, 1);
			return kept;
		}
		dp = kept->next;
	}
	return NULL;
}

CcrKeptSource *
ccr_kept_find(const CcrFingerprint *fingerprint)
{
	CcrKeptSource *kept;

	LWLockAcquire(&ccr_shared->kept_lock, LW_SHARED);
	kept = look_for_account(fingerprint);
	LWLockRelease(&ccr_shared->kept_lock);
	return kept;
}

static void
wipe_account(CcrKeptSource *kept)
{
	explicit_bzero(kept->data, kept->length);
	ccr_heap_free(kept->self, kept->size);
}

CcrKeptSource *
ccr_kept_add(const CcrFingerprint *fingerprint, const char *data, Size length)
{
	Size		size = offsetof(CcrKeptSource, data) + length;
	dsa_pointer dp = ccr_heap_allocate(size);
	CcrKeptSource *kept;
	CcrKeptSource *other;

	if (!DsaPointerIsValid(dp))
		return NULL;
	kept = ccr_heap_address(dp);
	kept->self = dp;
	kept->fingerprint = *fingerprint;
	pg_atomic_init_u32(&kept->references, 1);
	pg_atomic_init_u32(&kept->stale, 0);
	kept->size = size;
	kept->length = length;
	memcpy(kept->data, data, length);

	LWLockAcquire(&ccr_shared->kept_lock, LW_EXCLUSIVE);
	other = look_for_account(fingerprint);
	if (other == NULL)
	{
		kept->next = ccr_shared->kept;
		ccr_shared->kept = dp;
	}
	LWLockRelease(&ccr_shared->kept_lock);
	if (other == NULL)
		return kept;
	wipe_account(kept);
	return other;
}

/*
 * The last reference is released under the lock, since others find the source
 * under that lock.
 */
void
ccr_kept_release(CcrKeptSource *kept)
{
	uint32		references = pg_atomic_read_u32(&kept->references);
	dsa_pointer *link;

	while (references > 1)
		if (pg_atomic_compare_exchange_u32(&kept->references, &references,
										   references - 1))
			return;

	LWLockAcquire(&ccr_shared->kept_lock, LW_EXCLUSIVE);
	if (pg_atomic_sub_fetch_u32(&kept->references, 1) > 0)
	{
		LWLockRelease(&ccr_shared->kept_lock);
		return;
	}
	link = &ccr_shared->kept;
	while (*link != kept->self)
		link = &((CcrKeptSource *) ccr_heap_address(*link))->next;
	*link = kept->next;
	LWLockRelease(&ccr_shared->kept_lock);
	wipe_account(kept);
}

/*
 * ----------------------------------------------------------------- accounts
 */

CcrAccount *
ccr_account_new(int procno)
{
	dsa_pointer dp = ccr_heap_allocate(sizeof(CcrAccount));
	CcrAccount *account;

	if (!DsaPointerIsValid(dp))
		return NULL;
	account = ccr_heap_address(dp);
	account->self = dp;
	account->procno = procno;
	pg_atomic_init_u32(&account->references, 1);
	pg_atomic_init_u32(&account->waiting, 0);
	pg_atomic_init_u64(&account->sent, 0);
	pg_atomic_init_u64(&account->ended, 0);
	pg_atomic_init_u64(&account->failed, 0);
	SpinLockInit(&account->mutex);
	account->sqlstate = 0;
	account->message[0] = '\0';
	account->waits = false;
	account->off = false;
	account->failures = 0;
	memset(&account->last, 0, sizeof(CcrLastError));
	return account;
}

void
ccr_account_hold(CcrAccount *account)
{
	pg_atomic_fetch_add_u32(&account->references, 1);
}

void
ccr_account_release(CcrAccount *account)
{
	/*
	 * A full barrier, which is its own partner: the process that releases the
	 * last reference sees what all others have written.
	 */
	if (pg_atomic_sub_fetch_u32(&account->references, 1) == 0)
		ccr_heap_free(account->self, sizeof(CcrAccount));
}

bool
ccr_account_settle(CcrAccount *account, uint32 n)
{
	/* a full barrier, whose partner is in wait_for_all() */
	uint64		ended = pg_atomic_add_fetch_u64(&account->ended, n);

	return pg_atomic_read_u32(&account->waiting) > 0 &&
		ended >= pg_atomic_read_u64(&account->sent);
}

/* Call this before ccr_account_settle() counts the item as ended. */
void
ccr_account_failed(CcrAccount *account, int sqlstate, const char *message)
{
	pg_atomic_fetch_add_u64(&account->failed, 1);
	SpinLockAcquire(&account->mutex);
	if (account->sqlstate == 0)
	{
		account->sqlstate = sqlstate;
		strlcpy(account->message, message, CCR_TEXT_LEN);
	}
	SpinLockRelease(&account->mutex);
}

void
ccr_account_waits(CcrAccount *account, const CcrLastError *error, bool off)
{
	SpinLockAcquire(&account->mutex);
	account->waits = error != NULL;
	account->off = off;
	if (error)
	{
		account->failures++;
		account->last = *error;
	}
	SpinLockRelease(&account->mutex);
}
