/*
 * Seats of local executors: seat.c; carrier_local.c give_up_seat(), local_cancel(),
 * local_lost(); executor.c executor_start(), begin_job(), executor_leave(); evict.c
 * tell_to_leave().
 *
 * One seat, which a collector calls executors to, one after the other.  A process
 * may start late, or never.  A job goes on until somebody ends it.  The collector
 * gives the seat up whenever it likes, cancels the job or waits.  Somebody wants
 * to drop the database, once.
 *
 * The last of the two to leave frees the seat; nobody touches it, or its queues,
 * when it is another's; no signal goes to a process that is gone; no wish that a
 * job or an executor end is missed.
 *
 *	check	jobs	-DCALLS=1 -DJOBS=2
 *	check	calls	-DCALLS=2 -DJOBS=1 -DNO_EVICTOR
 *	mutant	NO_BEGIN_BARRIER	jobs
 *	mutant	NO_SENDER_BARRIER	jobs
 *	mutant	NO_CANCEL_CHECK		jobs
 *	mutant	NO_SERIAL			calls
 *	mutant	LEAVE_EARLY			calls
 *	mutant	PID_LATE			jobs
 *	mutant	FREE_WHEN_TAKEN		calls
 *	mutant	NO_TERMINATE		jobs
 *	mutant	CANCEL_ANY			jobs
 */
#define COLLECTOR	0		/* executors are 1 and 2 */
#define EVICTOR		3
#define NPROCS		4
#define NLOCS		3

#define JOB			0
#define CANCELLED	1
#define UNWANTED	2
#define READS(p, x)	((((p) == COLLECTOR || (p) == EVICTOR) && (x) == JOB) || \
	(p) == 1 || (p) == 2)

#define CANCEL(p)	(p)
#define TERM(p)		(3 + (p))

#define FREE		0
#define CALLED		1
#define TAKEN		2
#define LEFT		3
#define ABANDONED	4


#include "memory.pml"

/* The state is one word, and has nothing but full barriers. */
byte serial = 0;
byte state = FREE;

byte sitter = 0;			/* pid, under the seat's lock */
bit alive[3];
bit sent[6];				/* signals */
bit cancel_pending[3];
bit die_pending[3];

/* The two queues: a job, whether it was answered, who has detached. */
byte job_queue = 0;
bit reply_queue = 0;
bit collector_detached = 0;
bit executor_detached = 0;

byte ended = 0;

/*
 * In one step, as under the lock, which is a barrier at both ends.  which: 0 to cancel, 1 to
 * terminate.
 */
inline send_signal(me, which)
{
	atomic {
#ifndef MUTANT_NO_SENDER_BARRIER
		full_barrier(me);
#endif
		load(me, JOB, job_there);
		if
		:: sitter != 0 && job_there != 0 ->
			assert(alive[sitter]);
			sent[3 * which + sitter] = 1
		:: else
		fi;
		full_barrier(me);
		job_there = 0
	}
}

/* ---- executor */

#define MINE(number)	(serial == number && (state == TAKEN || state == ABANDONED))

inline leave()
{
	assert(MINE(number));
	executor_detached = 1;
#ifdef MUTANT_PID_LATE
	skip;
#else
	sitter = 0;
#endif
	full_barrier(number);
#ifdef MUTANT_FREE_WHEN_TAKEN
	state = FREE;
#else
	atomic {
		assert(serial == number);
		if
		:: state == TAKEN -> state = LEFT
		:: state == ABANDONED -> state = FREE
		:: else -> assert(false)
		fi
	}
#endif
#ifdef MUTANT_PID_LATE
	alive[number] = 0;
	sitter = 0;
#endif
	skip
}

proctype executor(byte number)
{
	byte job, value;
	bit ok;

	alive[number] = 1;
	atomic {
		full_barrier(number);
#ifdef MUTANT_NO_SERIAL
		if
		:: state == CALLED -> state = TAKEN; ok = 1
#else
		if
		:: serial == number && state == CALLED -> state = TAKEN; ok = 1
#endif
		:: else
		fi
	};
	if
	:: !ok -> goto gone
	:: else
	fi;
	sitter = number;
	full_barrier(number);
	assert(MINE(number));

	do
	:: job_queue != 0 || collector_detached || latch[number] ->
		latch[number] = 0;
		full_barrier(number);
		assert(MINE(number));
		if
		:: job_queue != 0 -> job = job_queue; job_queue = 0
		:: job_queue == 0 && collector_detached -> break
		:: else ->
			load(number, UNWANTED, value);
			if
			:: value -> break
			:: else
			fi;
			goto next
		fi;

		/* begin_job() */
		cancel_pending[number] = 0;
		store(number, JOB, job);
#ifndef MUTANT_NO_BEGIN_BARRIER
		full_barrier(number);
#endif
		load(number, UNWANTED, value);
		if
		:: value -> break
		:: else
		fi;
#ifndef MUTANT_NO_CANCEL_CHECK
		load(number, CANCELLED, value);
		if
		:: value == job -> cancel_pending[number] = 1
		:: else
		fi;
#endif

		/* it goes on, until it is ended */
		if
		:: die_pending[number] -> break
		:: cancel_pending[number] -> assert(memory[CANCELLED] == job)
		fi;

		/* end_job() */
		store(number, JOB, 0);
		cancel_pending[number] = 0;
		full_barrier(number);
		assert(MINE(number));
		reply_queue = 1;
next:	job = 0;
		value = 0
	:: die_pending[number] -> break
	od;
	full_barrier(number);
#ifdef MUTANT_LEAVE_EARLY
	leave();
	assert(MINE(number));
#else
	leave();
#endif
gone:
	atomic {
		alive[number] = 0;
		ended++
	}
}

/* Its handlers. */
proctype handlers(byte number)
{
	byte job, value;

end:
	do
	:: sent[CANCEL(number)] ->
		atomic {
			sent[CANCEL(number)] = 0;
			full_barrier(number);
			load(number, JOB, job);
			load(number, CANCELLED, value);
			if
#ifdef MUTANT_CANCEL_ANY
			:: true -> cancel_pending[number] = 1
#else
			:: value == job && job != 0 -> cancel_pending[number] = 1
			:: else
#endif
			fi;
			job = 0;
			value = 0
		}
	:: sent[TERM(number)] -> sent[TERM(number)] = 0; die_pending[number] = 1
	od
}

/* ---- collector */

#define OURS	(serial == call && state != FREE && state != ABANDONED)

inline give_up_seat()
{
	assert(OURS);
	if
	:: busy ->
		store(COLLECTOR, UNWANTED, 1);
#ifndef MUTANT_NO_SENDER_BARRIER
		full_barrier(COLLECTOR);
#endif
#ifndef MUTANT_NO_TERMINATE
		send_signal(COLLECTOR, 1)
#endif
	:: else
	fi;
	assert(OURS);
	collector_detached = 1;
	full_barrier(COLLECTOR);
	/* ccr_seat_abandon(): three attempts, in this order */
	atomic {
		if
		:: state == CALLED -> state = FREE; goto freed
		:: else
		fi
	};
	atomic {
		if
		:: state == TAKEN -> state = ABANDONED; goto freed
		:: else
		fi
	};
	atomic {
		if
		:: state == LEFT -> state = FREE
		:: else -> assert(false)
		fi
	};
freed:	busy = 0
}

proctype collector()
{
	byte call = 0;
	byte job_there;
	byte jobs;
	bit busy, cancelling;

	do
	:: call == CALLS -> break
	:: call < CALLS && state == FREE ->
		/* ccr_seat_call() */
		d_step {
			call++;
			serial = call;
			state = CALLED;
			executor_detached = 0;
			collector_detached = 0;
			job_queue = 0;
			reply_queue = 0
		};
		store(COLLECTOR, JOB, 0);
		store(COLLECTOR, CANCELLED, 0);
		store(COLLECTOR, UNWANTED, 0);
		full_barrier(COLLECTOR);
		cancelling = 0;
		jobs = 0;
		atomic {
			if
			:: run executor(call); run handlers(call)
			:: ended++		/* there is no process to be had */
			fi
		};

		do
		:: !busy && state == TAKEN && jobs < JOBS ->
			assert(OURS);
			jobs++;
			job_queue = jobs;
			busy = 1
		:: busy && !cancelling ->
			/* ccr_seat_cancel() */
			cancelling = 1;
			store(COLLECTOR, CANCELLED, jobs);
#ifndef MUTANT_NO_SENDER_BARRIER
			full_barrier(COLLECTOR);
#endif
			send_signal(COLLECTOR, 0)
		:: reply_queue ->
			assert(OURS);
			reply_queue = 0;
			busy = 0;
			cancelling = 0
		:: executor_detached && !reply_queue -> give_up_seat(); break
		:: !cancelling -> give_up_seat(); break
		od
	od;
	ended++
}

/* tell_to_leave(), wait_until_gone() */
proctype evictor()
{
	byte job_there;
	byte who;

	if
	:: state != FREE && sitter != 0 ->
		who = sitter;
		if
		:: state == FREE || serial != who ->
			/* gone already */
			goto gone
		:: else
		fi;
		store(EVICTOR, UNWANTED, 1);
		full_barrier(EVICTOR);
		send_signal(EVICTOR, 1);
		set_latch(EVICTOR, who);
		!alive[who]
	:: true
	fi;
gone:
	ended++
}

init {
	atomic {
		run collector();
#ifdef NO_EVICTOR
		ended++
#else
		run evictor()
#endif
	}
}

active proctype at_rest()
{
end:
	atomic {
		timeout;
		assert(ended == CALLS + 2 && state == FREE)
	}
}
