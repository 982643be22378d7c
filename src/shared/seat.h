/*-------------------------------------------------------------------------
 *
 * seat.h
 *	  A local executor's place in shared memory: who is there, and the two
 *	  queues through which a collector and an executor talk.
 *
 * There are as many seats as there can be background workers.  A seat's state
 * says who may touch it.  Of executor and collector, the one that leaves last
 * frees it.
 *
 *	FREE		belongs to nobody.
 *				-> CALLED, by a collector that wants an executor
 *	CALLED		the collector has asked the postmaster for the process.
 *				-> TAKEN, by the executor as it starts
 *				-> FREE, by the collector if it gives up.  If the process
 *				starts after all, it finds another serial number and exits
 *	TAKEN		executor and collector are both there.
 *				-> LEFT, by the executor as it exits
 *				-> ABANDONED, by the collector as it closes or exits
 *	LEFT		the executor is gone.
 *				-> FREE, by the collector
 *	ABANDONED	the collector is gone, and the executor has to exit.
 *				-> FREE, by the executor as it exits
 *
 * State and serial number are one word.  The serial number changes each time
 * the seat is CALLED, so that a process that starts late cannot take a seat
 * that was meant for another one.
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
	CcrParty	party;			/* who waits for the job; written before the
								 * job is sent */

	LWLock		lock;			/* protects pid: while it is held, the process
								 * of that id is the executor and cannot exit */
	int			pid;			/* 0: none */
	int			procno;

	/* Numbers of jobs. */
	pg_atomic_uint64 job;		/* being run, 0: none; executor writes */
	pg_atomic_uint64 begun;		/* begun last; executor writes */
	pg_atomic_uint64 cancelled; /* to be cancelled; collector writes */

	/* The executor must leave when idle: its database is to be dropped, say. */
	pg_atomic_uint32 unwanted;

	/* Why it ended; the executor writes this before the state is LEFT. */
	int			sqlstate;		/* 0: no error */
	bool		by_hand;		/* it was terminated within a job, which has
								 * not committed and must not be run again */
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

/* Is this process a local executor, or a parallel worker of one? */
extern bool ccr_seat_inside(void);

/*
 * Who is told the errors of the calls that this process makes.  For an
 * executor that is the party that waits for its job.
 */
extern CcrParty ccr_seat_party(void);

extern CcrSeatState ccr_seat_state(CcrSeat *seat);

/* The two queues of a seat: jobs for the executor, and its replies. */
extern shm_mq *ccr_seat_jobs(CcrSeat *seat);
extern shm_mq *ccr_seat_replies(CcrSeat *seat);

/* Collector. */

/* Number of seats of this database that an executor has, or may still take. */
extern int	ccr_seats_of(Oid dbid);

/*
 * Take a free seat and make its queues, with this process as one end of each.
 * NULL if all seats are taken.
 */
extern CcrSeat *ccr_seat_call(Oid dbid, Oid roleid, int worker,
							  CcrSeatNumber *number);

/*
 * Leave a seat.  The caller has detached from the queues before, by which the
 * executor notices that it has to exit.
 */
extern void ccr_seat_abandon(CcrSeat *seat);

/*
 * Cancel a job, unless it has ended.  A signal that arrives late does not harm
 * the next job, as the handler compares the numbers.
 */
extern void ccr_seat_cancel(CcrSeat *seat, uint64 job);

/*
 * Terminate the executor, unless it is idle, or its process id is another than
 * pid (0: any).
 */
extern void ccr_seat_terminate(CcrSeat *seat, int pid);

/* Executor. */

/* Take the seat that this process was started for; false if it is too late. */
extern bool ccr_seat_take(const CcrSeatNumber *number);
extern void ccr_seat_leave(void);

#endif							/* CCR_SEAT_H */
