/*-------------------------------------------------------------------------
 *
 * seat.c
 *	  The only code that moves a seat from one state to another.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "shared/compat.h"
#include "shared/seat.h"
#include "storage/ipc.h"
#include "storage/shmem.h"

#define CCR_QUEUE_BYTES		(64 * 1024) /* of each of the two queues */

CcrSeat    *ccr_seats = NULL;
int			ccr_nseats = 0;
CcrSeat    *ccr_my_seat = NULL;

static char *queues = NULL;

static Size
seats_size(void)
{
	return MAXALIGN(mul_size(max_worker_processes, sizeof(CcrSeat)));
}

static Size
total_size(void)
{
	return add_size(seats_size(), mul_size(max_worker_processes, 2 * CCR_QUEUE_BYTES));
}

void
ccr_seats_request(void)
{
	RequestAddinShmemSpace(total_size());
}

void
ccr_seats_startup(void)
{
	bool		found;
	char	   *p;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	p = ShmemInitStruct("concresce seats", total_size(), &found);
	ccr_seats = (CcrSeat *) p;
	ccr_nseats = max_worker_processes;
	queues = p + seats_size();
	if (!found)
	{
		memset(p, 0, seats_size());
		for (int i = 0; i < ccr_nseats; i++)
		{
			pg_atomic_init_u64(&ccr_seats[i].state, CCR_SEAT_FREE);
			pg_atomic_init_u64(&ccr_seats[i].job, 0);
			pg_atomic_init_u64(&ccr_seats[i].begun, 0);
			pg_atomic_init_u64(&ccr_seats[i].cancelled, 0);
			pg_atomic_init_u32(&ccr_seats[i].unwanted, 0);
			LWLockInitialize(&ccr_seats[i].lock, ccr_shared->lock.tranche);
		}
	}
	LWLockRelease(AddinShmemInitLock);
}

static CcrSeatState
seat_state(uint64 word)
{
	return (CcrSeatState) (word & 0xFF);
}

static uint64
word_of(uint64 serial, CcrSeatState state)
{
	return serial << 8 | state;
}

CcrSeatState
ccr_seat_state(CcrSeat *seat)
{
	return seat_state(pg_atomic_read_u64(&seat->state));
}

/*
 * Move a seat from one state to another, if it is in the first; the serial
 * number does not matter.  Each such move is a full barrier.  Its partner is
 * the other side's: a collector's moves to CALLED and ABANDONED pair with
 * those in ccr_seat_take() and of an executor that exits, and the other way
 * round.
 */
static bool
move_seat(CcrSeat *seat, CcrSeatState from, CcrSeatState to)
{
	uint64		word = pg_atomic_read_u64(&seat->state);

	return seat_state(word) == from &&
		pg_atomic_compare_exchange_u64(&seat->state, &word, word_of(word >> 8, to));
}

shm_mq *
ccr_seat_jobs(CcrSeat *seat)
{
	return (shm_mq *) (queues + (seat - ccr_seats) * 2 * CCR_QUEUE_BYTES);
}

shm_mq *
ccr_seat_replies(CcrSeat *seat)
{
	return (shm_mq *) (queues + ((seat - ccr_seats) * 2 + 1) * CCR_QUEUE_BYTES);
}

/*
 * The seat of this process or, in a parallel worker, of the executor that it
 * works for; or NULL.
 */
static CcrSeat *
seat_inside(void)
{
	PGPROC	   *leader = MyProc->lockGroupLeader;

	if (ccr_my_seat)
		return ccr_my_seat;
	if (leader == NULL || leader == MyProc)
		return NULL;
	for (int i = 0; i < ccr_nseats; i++)
		if (ccr_seat_state(&ccr_seats[i]) == CCR_SEAT_TAKEN &&
			ccr_seats[i].pid == leader->pid)
			return &ccr_seats[i];
	return NULL;
}

bool
ccr_seat_inside(void)
{
	return seat_inside() != NULL;
}

CcrParty
ccr_seat_party(void)
{
	CcrSeat    *seat = seat_inside();
	CcrParty	party = {GetSessionUserId(), GetOuterUserId()};

	return seat ? seat->party : party;
}

/* -------------------------------------------------------------- collector */

int
ccr_seats_of(Oid dbid)
{
	int			n = 0;

	LWLockAcquire(&ccr_shared->lock, LW_SHARED);
	for (int i = 0; i < ccr_nseats; i++)
		if (ccr_seat_state(&ccr_seats[i]) != CCR_SEAT_FREE && ccr_seats[i].dbid == dbid)
			n++;
	LWLockRelease(&ccr_shared->lock);
	return n;
}

/* Choose a free seat and note which database it is for. */
static CcrSeat *
allot_seat(Oid dbid, CcrSeatNumber *number)
{
	CcrSeat    *seat = NULL;

	LWLockAcquire(&ccr_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < ccr_nseats && seat == NULL; i++)
	{
		uint64		word = pg_atomic_read_u64(&ccr_seats[i].state);

		if (seat_state(word) != CCR_SEAT_FREE)
			continue;
		seat = &ccr_seats[i];
		number->index = i;
		number->serial = (word >> 8) + 1;
		pg_atomic_write_u64(&seat->state, word_of(number->serial, CCR_SEAT_CALLED));
		seat->dbid = dbid;
	}
	LWLockRelease(&ccr_shared->lock);
	return seat;
}

CcrSeat *
ccr_seat_call(Oid dbid, Oid roleid, int worker, CcrSeatNumber *number)
{
	CcrSeat    *seat = allot_seat(dbid, number);

	if (seat == NULL)
		return NULL;
	seat->roleid = roleid;
	seat->worker = worker;
	seat->sqlstate = 0;
	seat->by_hand = false;
	seat->message[0] = '\0';
	pg_atomic_write_u64(&seat->job, 0);
	pg_atomic_write_u64(&seat->begun, 0);
	pg_atomic_write_u64(&seat->cancelled, 0);
	pg_atomic_write_u32(&seat->unwanted, 0);
	shm_mq_set_sender(shm_mq_create(ccr_seat_jobs(seat), CCR_QUEUE_BYTES), MyProc);
	shm_mq_set_receiver(shm_mq_create(ccr_seat_replies(seat), CCR_QUEUE_BYTES), MyProc);
	return seat;
}

void
ccr_seat_abandon(CcrSeat *seat)
{
	/*
	 * meanwhile the executor may move the seat from CALLED to TAKEN, and from
	 * TAKEN to LEFT, but not back
	 */
	if (!move_seat(seat, CCR_SEAT_CALLED, CCR_SEAT_FREE) &&
		!move_seat(seat, CCR_SEAT_TAKEN, CCR_SEAT_ABANDONED) &&
		!move_seat(seat, CCR_SEAT_LEFT, CCR_SEAT_FREE))
		elog(PANIC, "seat of a local executor is in an impossible state");
}

/*
 * Send a signal to the executor if it has a job, and if its process id is pid
 * (0: any).
 */
static void
send_signal(CcrSeat *seat, int pid, int signal)
{
	LWLockAcquire(&seat->lock, LW_SHARED);
	if (seat->pid != 0 && (pid == 0 || seat->pid == pid) &&
		pg_atomic_read_u64(&seat->job) != 0)
		kill(seat->pid, signal);
	LWLockRelease(&seat->lock);
}

void
ccr_seat_cancel(CcrSeat *seat, uint64 job)
{
	/*
	 * An executor that begins the job after this sees the number, too: the
	 * partner is in begin_job().
	 */
	pg_atomic_write_u64(&seat->cancelled, job);
	pg_memory_barrier();
	send_signal(seat, 0, SIGUSR2);
}

void
ccr_seat_terminate(CcrSeat *seat, int pid)
{
	send_signal(seat, pid, SIGTERM);
}

/* --------------------------------------------------------------- executor */

bool
ccr_seat_take(const CcrSeatNumber *number)
{
	CcrSeat    *seat = &ccr_seats[number->index];
	uint64		word = word_of(number->serial, CCR_SEAT_CALLED);

	/* the partner is in move_seat() */
	if (!pg_atomic_compare_exchange_u64(&seat->state, &word,
										word_of(number->serial, CCR_SEAT_TAKEN)))
		return false;
	ccr_my_seat = seat;
	LWLockAcquire(&seat->lock, LW_EXCLUSIVE);
	seat->pid = MyProcPid;
	seat->procno = ccr_my_procno();
	LWLockRelease(&seat->lock);
	return true;
}

/* ccr_my_seat is not reset: the process is about to end. */
void
ccr_seat_leave(void)
{
	CcrSeat    *seat = ccr_my_seat;
	CcrMailbox *mailbox = &ccr_mailboxes[seat->worker];

	LWLockAcquire(&seat->lock, LW_EXCLUSIVE);
	seat->pid = 0;
	LWLockRelease(&seat->lock);
	if (!move_seat(seat, CCR_SEAT_TAKEN, CCR_SEAT_LEFT) &&
		!move_seat(seat, CCR_SEAT_ABANDONED, CCR_SEAT_FREE))
		elog(PANIC, "seat of a local executor is in an impossible state");

	/* some pool of the collector may be waiting for a seat */
	ccr_wake_listed(&mailbox->proc);
}
