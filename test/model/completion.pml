/*
 * Completion and abandonment: request.c ccr_request_complete(),
 * ccr_request_abandon(), destroy_done(), ccr_request_next_done(); collector.c
 * take_mail(); lookup.c wait_until_done().
 *
 * A backend has two requests under way, the second of which is announced.  It
 * waits for each, or abandons it at any moment.  Another backend reads the slot,
 * as concresce.in_flight does.
 *
 * Each request is freed once, by one side, and not touched by anybody after
 * that; it comes to one thing, as it is counted.  Who sees DONE sees the answer.
 *
 *	check	safety
 *	mutant	ABANDON_BY_STORE	safety
 *	mutant	TOUCH_LATE			safety
 *	mutant	FREE_TWICE			safety
 *	mutant	NO_MUTEX			safety
 *	mutant	NO_READ_BARRIER		safety
 *	mutant	RELEASE_UNTAKEN		safety
 *	mutant	PUSH_FIRST			safety
 *	mutant	UNLINK_LATE			safety
 *	mutant	NEVER_RELEASED		safety
 */
#define COLLECTOR	0
#define BACKEND		1
#define NPROCS		2
#define NLOCS		4

#define STATE(r)	((r) - 1)
#define ANSWER(r)	((r) + 1)
#define READS(p, x)	((p) == BACKEND)

#define PENDING		0
#define DONE		1
#define ABANDONED	2

#define IS_ANNOUNCED(r)	((r) == 2)

#include "memory.pml"

/* Index 0 is not used: no request. */
bit alive[3];
byte next_intake[3];
byte next_abandoned[3];
bit in_slot[3];
bit taken_ever[3];
bit ticket[3];
byte intake = 0;
byte abandoned = 0;
byte first_done = 0;
bit slot_lock = 0;
bit mutex = 0;
byte outcomes[3];			/* counted: what it came to */
byte ended = 0;

#define TOUCH(r)	assert(alive[r])

inline acquire(lock)	{ atomic { !lock; lock = 1 } }
inline release(lock)	{ lock = 0 }

inline destroy(r)
{
	atomic { assert(alive[r] && first_done != r); alive[r] = 0 }
}

inline push_intake(r)
{
	do
	:: old = intake;
		TOUCH(r);
		next_intake[r] = old;
		atomic {
			if
			:: intake == old -> intake = r; break
			:: else
			fi
		}
	od
}

inline push_abandoned(r)
{
	do
	:: old = abandoned;
		TOUCH(r);
		next_abandoned[r] = old;
		atomic {
			if
			:: abandoned == old -> abandoned = r; break
			:: else
			fi
		}
	od
}

/* ---- backend */

inline destroy_done(r)
{
	if
	:: IS_ANNOUNCED(r) ->
#ifndef MUTANT_NO_MUTEX
		acquire(mutex);
#endif
		TOUCH(r);
		if
		:: first_done == r -> first_done = 0
		:: else
		fi;
#ifndef MUTANT_NO_MUTEX
		release(mutex)
#endif
	:: else
	fi;
	destroy(r)
}

inline unlink_from_slot(r)
{
	acquire(slot_lock);
	in_slot[r] = 0;
	release(slot_lock)
}

inline abandon(r)
{
#ifndef MUTANT_UNLINK_LATE
	unlink_from_slot(r);
#endif
	TOUCH(r);
	state = PENDING;
#ifdef MUTANT_ABANDON_BY_STORE
	load(BACKEND, STATE(r), state);
	ok = state == PENDING;
	if
	:: ok -> store(BACKEND, STATE(r), ABANDONED); full_barrier(BACKEND)
	:: else
	fi;
#else
#ifdef MUTANT_PUSH_FIRST
	push_abandoned(r);
#endif
	compare_exchange(BACKEND, STATE(r), state, ABANDONED, ok);
#endif
	if
	:: !ok -> destroy_done(r)
	:: else ->
		outcomes[r]++;
#ifndef MUTANT_PUSH_FIRST
		push_abandoned(r);
#endif
		skip
	fi;
#ifdef MUTANT_UNLINK_LATE
	unlink_from_slot(r);
#endif
	open[r] = 0
}

/* It is DONE. */
inline read_and_free(r)
{
#ifndef MUTANT_NO_READ_BARRIER
	read_barrier(BACKEND);
#endif
	TOUCH(r);
	load(BACKEND, ANSWER(r), value);
	assert(value == r);
	unlink_from_slot(r);
	destroy_done(r);
	open[r] = 0
}

inline submit(r)
{
	alive[r] = 1;
	acquire(slot_lock);
	in_slot[r] = 1;
	release(slot_lock);
	push_intake(r);
	open[r] = 1
}

proctype backend()
{
	byte old, state, value;
	bit ok, open[3];

	submit(1);
	submit(2);
	do
	:: open[1] ->
		if
		:: memory[STATE(1)] == DONE ->
			/* it has been woken */
			load(BACKEND, STATE(1), state);
			if
			:: state == DONE -> read_and_free(1)
			:: else
			fi
		:: abandon(1)
		fi
	:: open[2] ->
		if
		:: first_done != 0 ->
			acquire(mutex);
			value = first_done;
			first_done = 0;
			release(mutex);
			/* a lock is a barrier */
			read_barrier(BACKEND);
			if
			:: value != 0 -> read_and_free(2)
			:: else
			fi
		:: abandon(2)
		fi
	:: !open[1] && !open[2] -> break
	od;
	ended++
}

proctype reader()
{
	byte r;

	acquire(slot_lock);
	for (r : 1 .. 2) {
		if
		:: in_slot[r] -> TOUCH(r)
		:: else
		fi
	}
	release(slot_lock)
}

/* ---- collector */

inline complete(r)
{
	TOUCH(r);
	value = PENDING;
	if
	:: IS_ANNOUNCED(r) ->
		acquire(mutex);
		compare_exchange(COLLECTOR, STATE(r), value, DONE, ok);
		if
		:: ok -> TOUCH(r); first_done = r
		:: else
		fi;
		release(mutex)
	:: else ->
		compare_exchange(COLLECTOR, STATE(r), value, DONE, ok)
	fi;
	if
	:: ok -> outcomes[r]++
	:: else
	fi;
#ifdef MUTANT_TOUCH_LATE
	TOUCH(r);
#endif
#ifdef MUTANT_FREE_TWICE
	if
	:: !ok -> destroy(r)
	:: else
	fi
#endif
}

#define IS_ADMITTED		0
#define IS_TAKEN		1
#define ANY				2

/* ccr_requests_free_abandoned(): those of whom it is true go, the others are kept. */
inline drop_abandoned(which)
{
	rest = kept;
	kept = 0;
	do
	:: rest == 0 -> break
	:: else ->
		r = rest;
		TOUCH(r);
		rest = next_abandoned[r];
		if
		:: (which == IS_ADMITTED && ticket[r]) || (which == IS_TAKEN && taken_ever[r]) || which == ANY ->
			ticket[r] = 0;
#ifndef MUTANT_NEVER_RELEASED
			destroy(r)
#endif
		:: else -> next_abandoned[r] = kept; kept = r
		fi
	od
}

inline take_abandoned()
{
	d_step { rest = abandoned; abandoned = 0 };
	do
	:: rest == 0 -> break
	:: else ->
		r = rest;
		TOUCH(r);
		rest = next_abandoned[r];
		next_abandoned[r] = kept;
		kept = r
	od
}

inline take_intake()
{
	d_step { rest = intake; intake = 0 };
	do
	:: rest == 0 -> break
	:: else ->
		r = rest;
		TOUCH(r);
		taken_ever[r] = 1;
		rest = next_intake[r];
		next_intake[r] = taken;
		taken = r
	od
}

proctype collector()
{
	byte r, rest, value;
	byte taken, kept;
	bit ok;

end_idle:
	do
	:: intake != 0 || abandoned != 0 || taken != 0 ->
		if
		:: taken == 0 ->
			take_intake();
			take_abandoned()
		:: else
		fi;
		drop_abandoned(IS_ADMITTED);
		do
		:: taken == 0 -> break
		:: taken != 0 ->
			r = taken;
			TOUCH(r);
			taken = next_intake[r];
			if
			:: ticket[r] = 1
			::	/* refused */
				store(COLLECTOR, ANSWER(r), r);
				complete(r)
			fi
		:: taken != 0 ->
			/* the rest in another round */
			goto round
		od;
#ifdef MUTANT_RELEASE_UNTAKEN
		drop_abandoned(ANY);
#else
		drop_abandoned(IS_TAKEN);
#endif
round:	skip
	:: ticket[1] -> ticket[1] = 0; store(COLLECTOR, ANSWER(1), 1); complete(1)
	:: ticket[2] -> ticket[2] = 0; store(COLLECTOR, ANSWER(2), 2); complete(2)
	od
}

init {
	atomic {
		run collector();
		run backend();
		run reader()
	}
}

/* At rest nothing is left. */
active proctype at_rest()
{
end:
	atomic {
		timeout;
		assert(ended == 1 && !alive[1] && !alive[2]);
		assert(outcomes[1] == 1 && outcomes[2] == 1)
	}
}
