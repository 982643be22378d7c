/*-------------------------------------------------------------------------
 *
 * ledger.c
 *	  Places, kept sources and senders.
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

static CcrKept *
look_for_account(const CcrFingerprint *fingerprint)
{
	for (dsa_pointer dp = ccr_shared->kept; DsaPointerIsValid(dp);)
	{
		CcrKept    *kept = ccr_heap_address(dp);

		if (memcmp(&kept->fingerprint, fingerprint, sizeof(CcrFingerprint)) == 0)
		{
			pg_atomic_fetch_add_u32(&kept->references, 1);
			return kept;
		}
		dp = kept->next;
	}
	return NULL;
}

CcrKept *
ccr_kept_find(const CcrFingerprint *fingerprint)
{
	CcrKept    *kept;

	LWLockAcquire(&ccr_shared->kept_lock, LW_SHARED);
	kept = look_for_account(fingerprint);
	LWLockRelease(&ccr_shared->kept_lock);
	return kept;
}

static void
wipe_account(CcrKept *kept)
{
	explicit_bzero(kept->data, kept->length);
	ccr_heap_free(kept->self, kept->size);
}

CcrKept *
ccr_kept_add(const CcrFingerprint *fingerprint, const char *data, Size length)
{
	Size		size = offsetof(CcrKept, data) + length;
	dsa_pointer dp = ccr_heap_allocate(size);
	CcrKept    *kept;
	CcrKept    *other;

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

/* The last reference is given up under the lock, as it can be found there. */
void
ccr_kept_release(CcrKept *kept)
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
		link = &((CcrKept *) ccr_heap_address(*link))->next;
	*link = kept->next;
	LWLockRelease(&ccr_shared->kept_lock);
	wipe_account(kept);
}

/* ----------------------------------------------------------------- senders */

CcrSender *
ccr_sender_new(int procno)
{
	dsa_pointer dp = ccr_heap_allocate(sizeof(CcrSender));
	CcrSender  *sender;

	if (!DsaPointerIsValid(dp))
		return NULL;
	sender = ccr_heap_address(dp);
	sender->self = dp;
	sender->procno = procno;
	pg_atomic_init_u32(&sender->references, 1);
	pg_atomic_init_u32(&sender->waiting, 0);
	pg_atomic_init_u64(&sender->sent, 0);
	pg_atomic_init_u64(&sender->ended, 0);
	pg_atomic_init_u64(&sender->failed, 0);
	SpinLockInit(&sender->mutex);
	sender->sqlstate = 0;
	sender->message[0] = '\0';
	sender->waits = false;
	sender->off = false;
	sender->failures = 0;
	memset(&sender->last, 0, sizeof(CcrLastError));
	return sender;
}

void
ccr_sender_hold(CcrSender *sender)
{
	pg_atomic_fetch_add_u32(&sender->references, 1);
}

void
ccr_sender_release(CcrSender *sender)
{
	/*
	 * a full barrier, and its own partner: whoever is last has it behind all
	 * others
	 */
	if (pg_atomic_sub_fetch_u32(&sender->references, 1) == 0)
		ccr_heap_free(sender->self, sizeof(CcrSender));
}

bool
ccr_sender_settle(CcrSender *sender, uint32 n)
{
	/* a full barrier, whose partner is in wait_for_all() */
	uint64		ended = pg_atomic_add_fetch_u64(&sender->ended, n);

	return pg_atomic_read_u32(&sender->waiting) > 0 &&
		ended >= pg_atomic_read_u64(&sender->sent);
}

/* To be told before the item is settled. */
void
ccr_sender_failed(CcrSender *sender, int sqlstate, const char *message)
{
	pg_atomic_fetch_add_u64(&sender->failed, 1);
	SpinLockAcquire(&sender->mutex);
	if (sender->sqlstate == 0)
	{
		sender->sqlstate = sqlstate;
		strlcpy(sender->message, message, CCR_TEXT_LEN);
	}
	SpinLockRelease(&sender->mutex);
}

void
ccr_sender_waits(CcrSender *sender, const CcrLastError *error, bool off)
{
	SpinLockAcquire(&sender->mutex);
	sender->waits = error != NULL;
	sender->off = off;
	if (error)
	{
		sender->failures++;
		sender->last = *error;
	}
	SpinLockRelease(&sender->mutex);
}
