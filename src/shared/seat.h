/*-------------------------------------------------------------------------
 *
 * seat.h
 *	  A local executor's place in shared memory: who is there, and the two
 *	  queues through which a collector and an executor talk.
 *
 * There are as many seats as there can be background workers.  A seat's state
 * says who may touch it, and who frees it: the last of the two that leaves.
 *
 *	FREE		nobody's.
 *				-> CALLED, by a collector that wants an executor
 *	CALLED		the process has been asked for.
 *				-> TAKEN, by the executor as it starts
 *				-> FREE, by the collector if it gives up; the process, should
 *				it start after all, finds another serial number and exits
 *	TAKEN		both are there.
 *				-> LEFT, by the executor as it exits
 *				-> ABANDONED, by the collector as it closes or exits
 *	LEFT		the executor is gone.
 *				-> FREE, by the collector
 *	ABANDONED	the executor is to end.
 *				-> FREE, by the executor as it exits
 *
 * The state is one word with a serial number that changes with every call, so
 * that a process that starts late can take no seat but its own.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SEAT_H
#define CCR_SEAT_H

#include "shared/party.h"
#include "shared/shmem.h"
#include "storage/shm_mq.h"

typedef enum CcrSeatState
{
	CCR_SEAT_FREE,
	CCR_SEAT_CALLED,
	CCR_SEAT_TAKEN,
	CCR_SEAT_LEFT,
	CCR_SEAT_ABANDONED
} CcrSeatState;

typedef struct CcrSeat
{
	pg_atomic_uint64 state;		/* serial << 8 | CcrSeatState; see above */

	/* Written by the collector that called. */
	Oid			dbid;			/* under CcrShared.lock, with the state */
	Oid			roleid;
	int			worker;			/* index of the collector */
	CcrParty	party;			/* who waits for the job; written before it is
								 * given */

	LWLock		lock;			/* protects pid: while it is held, the process
								 * there is the executor */
	int			pid;			/* 0: none */
	int			procno;

	/* Jobs by number: being done (0: none), the last begun, to be cancelled. */
	pg_atomic_uint64 job;		/* executor writes */
	pg_atomic_uint64 begun;		/* executor writes */
	pg_atomic_uint64 cancelled; /* collector writes */

	/* The database is to be dropped, or the like: leave when idle. */
	pg_atomic_uint32 unwanted;

	/* Why it ended; executor writes before it is LEFT. */
	int			sqlstate;		/* 0: no error */
	bool		by_hand;		/* terminated within a job, which is not to be
								 * run again, and has not committed */
	char		message[CCR_TEXT_LEN];
} CcrSeat;

typedef struct CcrSeatNumber
{
	int			index;
	uint64		serial;
} CcrSeatNumber;

extern CcrSeat *ccr_seats;
extern int	ccr_nseats;

/* The seat of this process; NULL unless it is an executor. */
extern CcrSeat *ccr_my_seat;

extern void ccr_seats_request(void);
extern void ccr_seats_startup(void);

/* Is this process one, or a parallel worker of one? */
extern bool ccr_seat_inside(void);

/*
 * Who is told the errors of what this process asks for: in an executor those
 * who wait for its job.
 */
extern CcrParty ccr_seat_party(void);

extern CcrSeatState ccr_seat_state(CcrSeat *seat);

/* The queues of a seat: of jobs to the executor, of replies from it. */
extern shm_mq *ccr_seat_jobs(CcrSeat *seat);
extern shm_mq *ccr_seat_replies(CcrSeat *seat);

/* Collector. */

/* Seats that executors of this database have, or may still get. */
extern int	ccr_seats_of(Oid dbid);

/* NULL if all are taken.  The queues are made, with us at their ends. */
extern CcrSeat *ccr_seat_call(Oid dbid, Oid roleid, int worker,
							  CcrSeatNumber *number);

/* Leave it.  After detaching from the queues, which ends the executor. */
extern void ccr_seat_abandon(CcrSeat *seat);

/*
 * End a job, unless it has ended.  A signal that comes late is ignored by the
 * next one, as it compares the numbers.
 */
extern void ccr_seat_cancel(CcrSeat *seat, uint64 job);

/* End the executor unless it is idle, or another than this one; 0: any. */
extern void ccr_seat_terminate(CcrSeat *seat, int pid);

/* Executor. */

/* Take the seat that it was called for; false if it is too late. */
extern bool ccr_seat_take(const CcrSeatNumber *number);
extern void ccr_seat_leave(void);

#endif							/* CCR_SEAT_H */
