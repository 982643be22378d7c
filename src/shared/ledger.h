/*-------------------------------------------------------------------------
 *
 * ledger.h
 *	  What backends and collectors keep of enqueued items in common.
 *
 *	places		of the queue, taken for a transaction as a whole
 *	kept source	the description of a source, for as long as there are enqueued
 *				requests that name it: the backend that made it may be gone, and
 *				the collector that knew it may have been restarted
 *	account		what a session has enqueued of one lookup, and what has become
 *				of it: what flush() waits for
 *
 * Kept sources and accounts lie on the heap and are counted by reference.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_LEDGER_H
#define CCR_LEDGER_H

#include "shared/shmem.h"
#include "shared/source.h"

/* Places. */

/* Take places for n items, if there is room for them or if none is taken. */
extern bool ccr_places_take(CcrCounters *counters, uint32 n);
extern void ccr_places_release(CcrCounters *counters, uint32 n);

/* Kept sources. */

typedef struct CcrKeptSource
{
	dsa_pointer self;
	dsa_pointer next;			/* CcrShared.kept_lock */
	CcrFingerprint fingerprint;
	pg_atomic_uint32 references;
	pg_atomic_uint32 stale;		/* could not be reached at its addresses */
	Size		size;			/* bytes of this block */
	Size		length;			/* bytes of data */
	char		data[FLEXIBLE_ARRAY_MEMBER];
} CcrKeptSource;

/*
 * find: NULL if it is not kept.  add: NULL if the heap has no room.  Both
 * return it with a reference.  It is wiped with the last one, as it may hold
 * the password of a user mapping.
 */
extern CcrKeptSource *ccr_kept_find(const CcrFingerprint *fingerprint);
extern CcrKeptSource *ccr_kept_add(const CcrFingerprint *fingerprint,
								   const char *data, Size length);
extern void ccr_kept_release(CcrKeptSource *kept);

/* Senders. */

typedef struct CcrAccount
{
	dsa_pointer self;
	int			procno;			/* of the session */
	pg_atomic_uint32 references;
	pg_atomic_uint32 waiting;	/* it sleeps until ended reaches sent */
	pg_atomic_uint64 sent;		/* items committed; the session writes */
	pg_atomic_uint64 ended;
	pg_atomic_uint64 failed;	/* of those: discarded */

	slock_t		mutex;			/* protects following fields only: */
	int			sqlstate;		/* of the first that failed, 0: none did */
	char		message[CCR_TEXT_LEN];
	bool		waits;			/* its circuit is open, for a lasting cause, */
	bool		off;			/* or its server is switched off */
	uint64		failures;		/* while it was, ever */
	CcrLastError last;			/* of these */
} CcrAccount;

/* With a reference; NULL if the heap has no room. */
extern CcrAccount *ccr_account_new(int procno);
extern void ccr_account_hold(CcrAccount *account);
extern void ccr_account_release(CcrAccount *account);

/* n items have ended.  True: its session is to be woken. */
extern bool ccr_account_settle(CcrAccount *account, uint32 n);
extern void ccr_account_failed(CcrAccount *account, int sqlstate,
							   const char *message);

/*
 * Its items wait, as batch after batch fails for a lasting cause; or, off, as
 * their server is switched off; NULL: no more.
 */
extern void ccr_account_waits(CcrAccount *account, const CcrLastError *error, bool off);

#endif							/* CCR_LEDGER_H */
