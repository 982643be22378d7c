/*-------------------------------------------------------------------------
 *
 * holding.h
 *	  How much libpq holds of a connection.
 *
 * What libpq holds is what has come in, less what it has handed over.  From
 * the second time on that an operation finds something to read, the kernel is
 * asked how much has come in; so a small answer costs nothing more.
 *
 * Some of it is never given back: the buffer of libpq grows by doubling and
 * never shrinks, and settings of ever new names stay.  A connection that has
 * come to hold a lot is worn.
 *
 * The budget (budget.h) is told of what is held.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_HOLDING_H
#define CCR_HOLDING_H

typedef struct CcrHolding
{
	int			fd;				/* the socket, or -1 */
	uint64		passed;			/* bytes of rows and notices that libpq has
								 * handed over */
	bool		counted;		/* by the kernel: bytes received */
	uint64		uncounted;		/* bytes read, where it counts none */
	int64		waiting;		/* there, before a reading */
	int			nreads;			/* of the operation, or while idle */
	int64		before;			/* bytes received and not handed over, at the
								 * second of these */
	int64		added;			/* to these since */
	int64		peak;			/* most that libpq has had to hold of one
								 * operation */
	int64		kept;			/* what it may never give back */
	int64		held;			/* what the budget knows of */
	uint64		passed_before;	/* of these, before the last reading */
	uint64		last_received;	/* over TLS: by the last time it was drained */
	int			nquiet;			/* reads that found nothing since */
	int64		vain;			/* us of the operation's reading since its
								 * last row */
	uint64		nops;
	int64		dropped;		/* bytes of rows that libpq has thrown away,
								 * at most */
} CcrHolding;

/* fd is a connection's socket from now on; or it is closed. */
extern void ccr_holding_open(CcrHolding *holding, int fd);
extern void ccr_holding_close(CcrHolding *holding);

/* An operation begins; it has ended, and all of its answer was taken. */
extern void ccr_holding_begin(CcrHolding *holding);
extern void ccr_holding_end(CcrHolding *holding);

/* To be called before what came is read, and after that. */
extern void ccr_holding_reading(CcrHolding *holding);
extern void ccr_holding_read(CcrHolding *holding);

/* Might reading on take so long that others would notice? */
extern bool ccr_holding_is_heavy(const CcrHolding *holding);

/*
 * May what was read be so much that looking through it takes long?  libpq reads
 * as much at a time as it has a buffer for.
 */
extern bool ccr_holding_is_roomy(const CcrHolding *holding);

/* Look how much is held, and tell the budget. */
extern void ccr_holding_note(CcrHolding *holding);

/*
 * The same while a thread reads it.  fd: the socket, as its number in the
 * connection may be another's by now.
 */
extern void ccr_holding_note_reading(CcrHolding *holding, int fd);

/* Anything that is handed over by libpq, as it came: at least so many bytes. */
extern void ccr_holding_pass(CcrHolding *holding, int64 bytes);

/* libpq has thrown rows away that it held, as an error follows them. */
extern void ccr_holding_dropped(CcrHolding *holding, int64 bytes);

/*
 * libpq looks each setting up in a list of all names that it was told, so the
 * names cost more and more.  used: us of processor time that the last reading
 * took, as the difference of two ccr_holding_time() tells.  Return true if
 * reading has brought no row for too long.
 */
extern int64 ccr_holding_time(const CcrHolding *holding);
extern bool ccr_holding_in_vain(CcrHolding *holding, int64 used);

/*
 * May libpq, or TLS, hold more that has come in than is to be seen at the
 * socket?
 */
extern bool ccr_holding_hides_some(CcrHolding *holding);

/* Is an idle one to be closed, as it has come to hold too much? */
extern bool ccr_holding_is_worn(const CcrHolding *holding);

#endif							/* CCR_HOLDING_H */
