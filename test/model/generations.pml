/*
 * Generations: a collector exits in the midst, and the next one goes on.
 * request.c ccr_request_lost(), list_unfinished(), ccr_request_end();
 * collector.c init_collector(), take_mail(), admit_unfinished(), fail_requests();
 * flight.c ccr_flights_admit(), ccr_flights_fail_all(); landing.c land_tickets().
 *
 * Request 1 is a call, whose backend waits for it or abandons it; request 2 has
 * two enqueued items, or (TWO) one, and so has request 3.  A collector exits wherever it may: between two rounds, or
 * with a request half admitted.  What it does before it is gone may fail, too;
 * then its calls are found to be lost.
 *
 * Every request ends: nobody waits for ever, no item is lost, none is sent once
 * it has ended, none is admitted twice, nothing stays on the heap.  A request is
 * found to be lost only if it is.
 *
 *	check	safety
 *	check	two			-DTWO
 *	mutant	HOLD_LATE			safety
 *	mutant	NO_HELD_SCAN		safety
 *	mutant	NO_TAKEN_CHECK		two
 *	mutant	IGNORE_ENDED		safety
 *	mutant	NO_WAKE_WAITERS		safety
 *	mutant	COUNT_LATE			safety
 *	mutant	NO_LOST_BARRIER		safety
 *	mutant	NO_STATE_BARRIER	safety
 *	mutant	NOT_RETURNED		safety
 *	mutant	RELEASE_AT_EXIT		safety
 */
#define COLLECTOR	0
#define BACKEND		1
#define NPROCS		2
#define NLOCS		4

#define GENERATION	0
#define TAKEN		1		/* by which generation; request 1 */
#define STATE		2
#define SLOT		3		/* has a request */
#define READS(p, x)	(((p) == COLLECTOR && (x) == SLOT) || \
	((p) == BACKEND && (x) != SLOT))

#define PENDING		0
#define DONE		1
#define ABANDONED	2

#define EXITS		2
#define ERRORS		1
#define NITEMS		2
#ifdef TWO
#define REQUEST(i)	(2 + (i))
#define NREQUESTS	3
#else
#define REQUEST(i)	2
#define NREQUESTS	2
#endif

#include "memory.pml"

bit alive[4];
byte next_intake[4];
byte intake = 0;
bit abandoned = 0;			/* request 1 is on that list */
bit held[4];
bit item_ended[NITEMS];
byte unsettled = 0;
byte ended = 0;				/* processes */

/* Of the collector that lives. */
byte taken = 0;				/* chain */
byte current = 0;
bit ticket[4];
byte remaining[4];
bit admitted[NITEMS];		/* waits or flies */
bit kept = 0;				/* request 1 was abandoned */
bit admit_due = 0;
byte errors = 0;
byte exits = 0;
bit forgotten = 0;			/* one that died had what was abandoned */

#define TOUCH(r)	assert(alive[r])

inline destroy(r)
{
	atomic { assert(alive[r]); alive[r] = 0 }
}

inline push(r)
{
	atomic { next_intake[r] = intake; intake = r }
}

/* ---- backends */

inline abandon()
{
	store(BACKEND, SLOT, 0);
	full_barrier(BACKEND);
	state = PENDING;
	compare_exchange(BACKEND, STATE, state, ABANDONED, ok);
	if
	:: ok -> abandoned = 1
	:: else -> destroy(1)
	fi
}

proctype backend(bit impatient)
{
	byte state, taken_by, generation;
	bit ok;

	alive[1] = 1;
	store(BACKEND, SLOT, 1);
	full_barrier(BACKEND);
	push(1);
	full_barrier(BACKEND);
	do
	:: load(BACKEND, STATE, state);
		if
		:: state == DONE ->
			store(BACKEND, SLOT, 0);
			full_barrier(BACKEND);
			destroy(1);
			break
		:: else
		fi;
		/* ccr_request_lost() */
		load(BACKEND, TAKEN, taken_by);
		if
		:: taken_by != 0 ->
#ifndef MUTANT_NO_LOST_BARRIER
			read_barrier(BACKEND);
#endif
			load(BACKEND, GENERATION, generation);
			if
			:: taken_by != generation ->
#ifndef MUTANT_NO_STATE_BARRIER
				read_barrier(BACKEND);
#endif
				load(BACKEND, STATE, state);
				if
				:: state == PENDING ->
					assert(memory[STATE] == PENDING && !ticket[1] && taken != 1 && current != 1);
					abandon();
					break
				:: else
				fi
			:: else
			fi
		:: else
		fi;
		if
		:: latch[BACKEND] -> reset_latch(BACKEND)
		:: impatient ->
			/* cancelled */
			abandon();
			break
		fi
	od;
	full_barrier(BACKEND);
	ended++
}

proctype enqueuer()
{
	byte r;

	for (r : 2 .. NREQUESTS) {
		atomic {
			alive[r] = 1;
			unsettled = unsettled + NITEMS / (NREQUESTS - 1);
			push(r)
		}
	}
	ended++
}

/* ---- collector */

inline complete()
{
	TOUCH(1);
	value = PENDING;
	compare_exchange(COLLECTOR, STATE, value, DONE, ok);
	if
	:: ok -> set_latch(COLLECTOR, BACKEND)
	:: else
	fi
}

inline refuse(r)
{
	if
	:: r == 1 -> complete()
	:: else -> admit_due = 1
	fi
}

inline end_request(r)
{
	d_step {
		assert(alive[r] && held[r]);
		held[r] = 0;
		ticket[r] = 0;
		alive[r] = 0
	}
}

/* ccr_flights_admit(); an error leaves it unadmitted, a worse one ends it all. */
inline admit(r)
{
	if
	::	d_step {
			assert(alive[r] && !ticket[r]);
			ticket[r] = 1;
#ifdef MUTANT_HOLD_LATE
			if
			:: r != 1 -> held[r] = 1
			:: else
			fi;
#endif
			for (i : 0 .. NITEMS - 1) {
				if
#ifdef MUTANT_IGNORE_ENDED
				:: REQUEST(i) == r ->
#else
				:: REQUEST(i) == r && !item_ended[i] ->
#endif
					admitted[i] = 1;
					remaining[r]++
				:: else
				fi
			}
			i = 0
		};
		if
		:: r != 1 && remaining[r] == 0 -> end_request(r)
		:: else
		fi
	:: errors < ERRORS -> errors++; refuse(r)
	:: exits < EXITS -> goto exit
	fi
}

inline release_abandoned()
{
	kept = 0;
	ticket[1] = 0;
	destroy(1)
}

/* It is there: who waits is told when all of it has ended. */
inline land(i)
{
	d_step {
		assert(admitted[i] && !item_ended[i]);
		admitted[i] = 0;
		item_ended[i] = 1;
		unsettled--;
		remaining[REQUEST(i)]--
	};
	if
	:: exits < EXITS -> goto exit
	:: remaining[REQUEST(i)] == 0 -> end_request(REQUEST(i))
	:: remaining[REQUEST(i)] > 0
	fi
}

proctype collector()
{
	byte generation = 0;
	byte value, i;
	bit ok;

start:
	generation++;
#ifndef MUTANT_COUNT_LATE
	fetch_add(COLLECTOR, GENERATION, 1);
#endif
	full_barrier(COLLECTOR);
#ifndef MUTANT_NO_WAKE_WAITERS
	load(COLLECTOR, SLOT, value);
	if
	:: value -> set_latch(COLLECTOR, BACKEND)
	:: else
	fi;
#endif
#ifndef MUTANT_NO_HELD_SCAN
	admit_due = held[2] || held[3];
#endif

end_idle:
	do
	:: intake != 0 || abandoned || taken != 0 ->
		if
		:: taken == 0 ->
			value = 0;
			d_step {
				value = intake;
				intake = 0
			};
			full_barrier(COLLECTOR);
			do
			:: value == 0 -> break
			:: else ->
				TOUCH(value);
				if
				:: value == 1 -> store(COLLECTOR, TAKEN, generation)
				:: else ->
#ifndef MUTANT_HOLD_LATE
					held[value] = 1
#endif
				fi;
				d_step {
					i = next_intake[value];
					next_intake[value] = taken;
					taken = value;
					value = i;
					i = 0
				}
			od;
#ifdef MUTANT_COUNT_LATE
			if
			:: memory[GENERATION] < generation -> fetch_add(COLLECTOR, GENERATION, 1)
			:: else
			fi;
#endif
			if
			:: abandoned -> kept = 1; abandoned = 0
			:: else
			fi
		:: else
		fi;
		if
		:: kept && ticket[1] -> release_abandoned()
		:: else
		fi;
		do
		:: taken == 0 -> break
		:: taken != 0 ->
			current = taken;
			taken = next_intake[current];
			admit(current);
			current = 0
		:: taken != 0 ->
			/* the rest in another round */
			goto round
		od;
		/* taken: by whichever generation */
		if
		:: kept && (memory[TAKEN] != 0 || pending[AT(COLLECTOR, TAKEN)]) -> release_abandoned()
		:: else
		fi;
round:	skip;
	:: admit_due ->
		if
#ifndef MUTANT_NO_TAKEN_CHECK
		:: taken != 0			/* later */
#endif
		:: else ->
			admit_due = 0;
			for (current : 2 .. NREQUESTS) {
				if
				:: held[current] && !ticket[current] -> admit(current)
				:: else
				fi
			}
			current = 0
		fi
	:: ticket[1] -> ticket[1] = 0; complete()
	:: admitted[0] -> land(0)
	:: admitted[1] -> land(1)
	:: exits < EXITS -> goto exit
	od;

exit:
	/* fail_requests(), or some of it */
	exits++;
	if
	:: current == 1 && !ticket[1] -> refuse(1)
	:: else
	fi;
	current = 0;
	if
	:: skip
	:: goto gone
	fi;
	do
	:: taken == 0 -> break
	:: else -> value = taken; taken = next_intake[taken]; refuse(value)
	od;
	if
	:: ticket[1] -> complete()
	:: else
	fi;
	if
	:: kept && (memory[TAKEN] != 0 || pending[AT(COLLECTOR, TAKEN)]) -> release_abandoned()
	:: kept && memory[TAKEN] == 0 && !pending[AT(COLLECTOR, TAKEN)] ->
		kept = 0;
#ifdef MUTANT_RELEASE_AT_EXIT
		destroy(1)
#elif !defined(MUTANT_NOT_RETURNED)
		abandoned = 1
#endif
	:: !kept
	fi;

gone:	skip;
	d_step {
		drain_all(COLLECTOR);
		look_at_all(COLLECTOR);
		forgotten = forgotten || kept;
		kept = 0;
		taken = 0;
		current = 0;
		ticket[1] = 0;
		ticket[2] = 0;
		ticket[3] = 0;
		admitted[0] = 0;
		admitted[1] = 0;
		remaining[2] = 0;
		remaining[3] = 0;
		admit_due = 0;
		value = 0
	};
	goto start
}

init {
	atomic {
		run collector();
#ifdef TWO
		ended++;
#else
		if
		:: run backend(0)
		:: run backend(1)
		fi;
#endif
		run enqueuer()
	}
}

/* At rest all has ended, and nothing is left. */
active proctype at_rest()
{
end:
	atomic {
		timeout;
		assert(ended == 2 && item_ended[0] && item_ended[1] && unsettled == 0);
		assert(!held[2] && !held[3] && !alive[2] && !alive[3] && (!alive[1] || forgotten))
	}
}
