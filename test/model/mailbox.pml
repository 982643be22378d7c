/*
 * The mailbox: request.c push_request(), wake_collector(), ccr_request_take();
 * collector.c init_collector() and its loop; pending.c sleep_until_done().
 *
 * Two backends push a few requests each, one after the other, and sleep until
 * it is done.  The collector takes all that is there, completes it, and sleeps;
 * or it exits, and another one starts.
 *
 * No request is lost or taken twice, and nobody sleeps for ever: a backend that
 * does is a deadlock.
 *
 *	check	safety
 *	check	progress	-DPROGRESS		-- -a -f
 *	mutant	PLAIN_PUSH			safety
 *	mutant	RELAXED_PUSH		safety
 *	mutant	WAKE_FIRST			safety
 *	mutant	RESET_LATE			safety
 *	mutant	RESET_UNFENCED		safety
 *	mutant	NO_START_BARRIER	safety
 *	mutant	NO_BACKEND_BARRIER	safety
 */
#define COLLECTOR	0
#define NPROCS		3
#define NLOCS		4

#define INTAKE		0
#define PROC		1
#define STATE(p)	(1 + (p))
#define READS(p, x)	(((p) == COLLECTOR && (x) == INTAKE) || \
	((p) != COLLECTOR && ((x) == PROC || (x) == STATE(p))))

/* Backend 1 has the requests 1 and 2, backend 2 has 3. */
#define FIRST	(me == 1 -> 1 : 3)
#define LAST	(me == 1 -> 2 : 3)
#define OWNER(r)	((r) == 3 -> 2 : 1)
#define NREQUESTS	3

#define PENDING		1
#define DONE		2

#ifdef PROGRESS
#define EXITS		0
#else
#define EXITS		1
#endif

#include "memory.pml"

byte next_intake[NREQUESTS + 1];
bit taken[NREQUESTS + 1];
byte ended = 0;

inline push(me, r)
{
	load(me, INTAKE, old);
	do
	:: next_intake[r] = old;
#ifdef MUTANT_PLAIN_PUSH
		store(me, INTAKE, r);
		full_barrier(me);
		break
#elif defined(MUTANT_RELAXED_PUSH)
		/* atomic, and no barrier for what is read behind it */
		d_step {
			drain_all(me);
			if
			:: memory[INTAKE] == old -> memory[INTAKE] = r; seen[AT(me, INTAKE)] = r; ok = 1
			:: else -> old = memory[INTAKE]; ok = 0
			fi
		}
		if
		:: ok -> break
		:: else
		fi
#else
		compare_exchange(me, INTAKE, old, r, ok);
		if
		:: ok -> break
		:: else
		fi
#endif
	od
}

inline wake_collector(me)
{
	load(me, PROC, value);
	if
	:: value != 0 -> set_latch(me, COLLECTOR)
	:: else
	fi
}

proctype backend(byte me)
{
	byte r, old, value;
	bit ok;

	for (r : FIRST .. LAST) {
		store(me, STATE(me), PENDING);
#ifdef MUTANT_WAKE_FIRST
		wake_collector(me);
		push(me, r);
#else
		push(me, r);
		wake_collector(me);
#endif
		do
		:: load(me, STATE(me), value);
			if
			:: value == DONE -> break
			:: else
			fi;
			latch[me];
#ifdef MUTANT_NO_BACKEND_BARRIER
			latch[me] = 0
#else
			reset_latch(me)
#endif
		od
	}
	full_barrier(me);
	ended++
}

proctype collector()
{
	byte newest, value, b;
	byte exits = 0;
	bit ok, wakes[NPROCS];

start:
	/* a latch is as whoever had it before has left it */
	reset_latch(COLLECTOR);
	store(COLLECTOR, PROC, 1);
#ifndef MUTANT_NO_START_BARRIER
	full_barrier(COLLECTOR);
#endif

	do
	:: load(COLLECTOR, INTAKE, newest);
		if
		:: newest != 0 -> exchange(COLLECTOR, INTAKE, 0, newest)
		:: else
		fi;
		do
		:: newest == 0 -> break
		:: else ->
			assert(!taken[newest]);
			taken[newest] = 1;
			value = PENDING;
			b = OWNER(newest);
			newest = next_intake[newest];
			compare_exchange(COLLECTOR, STATE(b), value, DONE, ok);
			assert(ok);
			wakes[b] = 1
		od;
		for (b : 1 .. NPROCS - 1) {
			if
			:: wakes[b] -> wakes[b] = 0; set_latch(COLLECTOR, b)
			:: else
			fi
		}
		b = 0;
#ifdef MUTANT_RESET_LATE
		/* ResetLatch() after the look at the mail, before the sleep */
		reset_latch(COLLECTOR);
#endif
		if
		:: exits < EXITS ->
			/* exit: what it stored is there before another one starts */
			exits++;
			store(COLLECTOR, PROC, 0);
			full_barrier(COLLECTOR);
			goto start
		:: 
			/* spin: ccr_sockets_look() */
			if
			:: latch[COLLECTOR] -> reset_latch(COLLECTOR)
			:: else
			fi
		::
			/* sleep: who will sleep says so behind a barrier */
			full_barrier(COLLECTOR);
end_asleep:	latch[COLLECTOR];
#ifdef MUTANT_RESET_UNFENCED
			latch[COLLECTOR] = 0
#elif !defined(MUTANT_RESET_LATE)
			reset_latch(COLLECTOR)
#endif
		fi
	od
}

init {
	atomic {
		run collector();
		run backend(1);
		run backend(2)
	}
}

#ifdef PROGRESS
ltl all_are_served { <> (ended == 2) }
#endif
