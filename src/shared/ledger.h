/*-------------------------------------------------------------------------
 *
 * ledger.h
 *	  What backends and collectors both know about enqueued items.
 *
 *	place		the right of an item to be in its queue; a transaction takes
 *				places for all its items at once
 *	kept source	the description of a source, for as long as there are enqueued
 *				requests that name it: the backend that made it may be gone, and
 *				the collector that knew it may have been restarted
 *	account		how many items a session has enqueued of one lookup, and what
 *				has become of them: flush() waits until they have ended
 *
 * Kept sources and accounts lie on the heap, with a count of references.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_LEDGER_H
#define CCR_LEDGER_H

#include "shared/shmem.h"
#include "shared/source.h"

/* Places. */

/*
 * Take places for n items, if that many are free.  A transaction with more
 * items than the queue has places can take them while none is taken.
 */
extern bool ccr_places_take(CcrCounters *counters, uint32 n);
extern void ccr_places_release(CcrCounters *counters, uint32 n);

/* Kept sources. */

typedef struct CcrKeptSource
{
	dsa_pointer self;
	dsa_pointer next;			/* protected by CcrShared.kept_lock */
	CcrFingerprint fingerprint;
	pg_atomic_uint32 references;
	pg_atomic_uint32 stale;		/* its server could not be reached at the
								 * addresses in it */
	Size		size;			/* bytes of this block */
	Size		length;			/* bytes of data */
	char		data[FLEXIBLE_ARRAY_MEMBER];
} CcrKeptSource;

/*
 * ccr_kept_find() returns NULL if there is no such source, ccr_kept_add() if
 * the heap has no room.  Both return it with a reference for the caller.  When
 * the last reference is released, the source is wiped before it is freed, as
 * it may contain the password of a user mapping.
 */
extern CcrKeptSource *ccr_kept_find(const CcrFingerprint *fingerprint);
extern CcrKeptSource *ccr_kept_add(const CcrFingerprint *fingerprint,
								   const char *data, Size length);
extern void ccr_kept_release(CcrKeptSource *kept);

/* Accounts. */

typedef struct CcrAccount
{
	dsa_pointer self;
	int			procno;			/* of the session */
	pg_atomic_uint32 references;
	pg_atomic_uint32 waiting;	/* the session sleeps until ended reaches sent */
	pg_atomic_uint64 sent;		/* items committed; the session writes */
	pg_atomic_uint64 ended;		/* of these; collectors write */
	pg_atomic_uint64 failed;	/* of the ended ones: discarded */

	slock_t		mutex;			/* protects following fields only: */
	int			sqlstate;		/* of the first item that failed; 0: none did */
	char		message[CCR_TEXT_LEN];	/* of the same */
	bool		waits;			/* items wait, as the circuit is open for a
								 * lasting cause, or the server is off: */
	bool		off;			/* the server is switched off */
	uint64		failures;		/* how often a batch failed while they waited */
	CcrLastError last;			/* of these failures */
} CcrAccount;

/* A new account with one reference, or NULL if the heap has no room. */
extern CcrAccount *ccr_account_new(int procno);
extern void ccr_account_hold(CcrAccount *account);
extern void ccr_account_release(CcrAccount *account);

/* n items have ended.  True if the caller has to wake the session. */
extern bool ccr_account_settle(CcrAccount *account, uint32 n);
extern void ccr_account_failed(CcrAccount *account, int sqlstate,
							   const char *message);

/*
 * Note that its items wait: because batch after batch fails with this error,
 * whose cause is a lasting one, or, if `off`, because their server is switched
 * off.  error: NULL if they wait no longer.
 */
extern void ccr_account_waits(CcrAccount *account, const CcrLastError *error, bool off);

#endif							/* CCR_LEDGER_H */
