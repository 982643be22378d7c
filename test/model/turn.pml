/*
 * Turns for room: turn.c; shmem.c ccr_turn_announce(), ccr_room_take(),
 * ccr_room_release(); storage/lmgr/condition_variable.c, which since 17 passes
 * on no signal that came too late.
 *
 * Backends want room in a queue that has little, wait for it, or give up; what
 * they have put in is taken out by a collector.
 *
 * Nobody sleeps for ever while there is room: as all is taken out, a backend
 * that sleeps at the end is a deadlock.  And (PROGRESS) who has the turn gets
 * his room, though others come again and again.  Three backends have a memory that
 * is STRONG, as there would be too much to look at.
 *
 *	check	two			-DTWO
 *	check	three		-DSTRONG
 *	check	progress	-DTWO -DSTRONG -DPROGRESS	-- -a -f
 *	mutant	WAITING_LATE		two
 *	mutant	NO_ANNOUNCE			three
 *	mutant	ANNOUNCE_EARLY		two
 *	mutant	KEEP_TURN			three
 *	mutant	NO_TURNS			progress
 */
#define COLLECTOR	0		/* backends are 1 to 3 */
#define NPROCS		4
#define NLOCS		3

#define USED		0
#define WAITING		1
#define HOLDER		2
#ifdef STRONG
#define READS(p, x)	0
#else
#define READS(p, x)	((p) != COLLECTOR || (x) != USED)
#endif

#define SIZE		2		/* of the queue */
#define BIG			3		/* the backend that needs all of it */
#define NEED(p)		(p == BIG -> 2 : 1)

#include "memory.pml"

/* Items in the queue, as the collector knows them. */
byte inside = 0;
byte ended = 0;
bit big_got = 0;

inline look(p, x, result)
{
#ifdef STRONG
	result = memory[x]
#else
	load(p, x, result)
#endif
}

/*
 * The condition variable: what it does under its spinlock is one step.  The
 * list is a word of three digits, the longest first.
 */
byte list = 0;

#define FIRST		(list & 3)
#define SECOND		((list >> 2) & 3)
#define THIRD		((list >> 4) & 3)
#define LISTED(p)	(FIRST == p || SECOND == p || THIRD == p)

inline queue_up(p)
{
	d_step {
		full_barrier(p);
		if
		:: LISTED(p)
		:: !LISTED(p) && list == 0 -> list = p
		:: !LISTED(p) && list != 0 && SECOND == 0 -> list = list | (p << 2)
		:: else -> list = list | (p << 4)
		fi
	}
}

inline leave_list(p)
{
	d_step {
		full_barrier(p);
		if
		:: FIRST == p -> list = list >> 2
		:: FIRST != p && SECOND == p -> list = FIRST | (THIRD << 2)
		:: FIRST != p && SECOND != p && THIRD == p -> list = FIRST | (SECOND << 2)
		:: else
		fi
	}
}

inline signal(p)
{
	d_step {
		full_barrier(p);
		if
		:: list != 0 -> latch[FIRST] = 1; list = list >> 2
		:: else
		fi
	}
}

/* ---- shmem.c */

inline announce(me, room)
{
	n = room;
	look(me, WAITING, value);
	if
	:: value == 0 -> skip
	:: else ->
		if
		:: value < n -> n = value
		:: else
		fi;
		look(me, HOLDER, value);
		if
		:: value == 0 ->
			do
			:: n == 0 -> break
			:: else -> signal(me); n--
			od
		:: value != 0 && value != me -> set_latch(me, value)
		:: value != 0 && value == me
		fi
	fi;
	n = 0;
	value = 0
}

/* ccr_room_take() */
inline reserve(me)
{
	ok = 0;
	look(me, HOLDER, value);
	if
#ifdef MUTANT_NO_TURNS
	:: true ->
#else
	:: value == 0 || value == me ->
#endif
		look(me, USED, value);
		do
		:: value == 0 || value + NEED(me) <= SIZE ->
			compare_exchange(me, USED, value, value + NEED(me), ok);
			if
			:: ok -> break
			:: else
			fi
		:: else -> break
		od
	:: else
	fi;
	value = 0
}

/* ---- turn.c */

inline turn_end(me)
{
	leave_list(me);
	if
	:: mine ->
#ifndef MUTANT_KEEP_TURN
#ifdef STRONG
		memory[HOLDER] = 0
#else
		store(me, HOLDER, 0)
#endif
#endif
	:: else
	fi;
	mine = 0;
	fetch_add(me, WAITING, -1);
#ifndef MUTANT_NO_ANNOUNCE
	look(me, USED, value);
	announce(me, (value == 0 -> SIZE : (value < SIZE -> SIZE - value : 0)))
#endif
}

/* lookup.c wait_for_room() */
proctype backend(byte me; bit impatient)
{
	byte value, n;
	bit ok, mine;

again:
	reserve(me);
	if
	:: ok -> goto got
	:: else
	fi;
	queue_up(me);
#ifndef MUTANT_WAITING_LATE
	fetch_add(me, WAITING, 1);
#endif
	do
	:: reserve(me);
		if
		:: ok -> break
		:: else
		fi;
		/* ccr_turn_claim() */
		ok = 0;
		if
		:: !mine ->
			value = 0;
			compare_exchange(me, HOLDER, value, me, ok);
			value = 0;
			if
			:: ok -> mine = 1; leave_list(me)
			:: else
			fi
		:: else
		fi;
#ifdef MUTANT_WAITING_LATE
		if
		:: !ok && !n -> fetch_add(me, WAITING, 1); n = 1
		:: else
		fi;
#endif
		if
		:: ok -> skip
		:: !ok && mine ->
			/* on the latch */
			latch[me];
			reset_latch(me)
		:: !ok && !mine ->
			/* on the condition variable */
			do
			:: latch[me] ->
				reset_latch(me);
				if
				:: !LISTED(me) -> queue_up(me); break
				:: else
				fi
			:: impatient -> break
			od
		fi;
		if
		:: impatient -> turn_end(me); goto left
		:: true
		fi
	od;
	turn_end(me);

got:
	atomic {
		inside = inside + NEED(me);
		if
		:: me == BIG -> big_got = 1
		:: else
		fi
	};
left:
#ifdef PROGRESS
	if
	:: me != BIG -> goto again
	:: else
	fi;
#endif
	full_barrier(me);
	ended++
}

proctype collector()
{
	byte value, n;

end:
	do
	:: inside > 0 ->
		inside--;
#ifdef MUTANT_ANNOUNCE_EARLY
		announce(COLLECTOR, 1);
		fetch_add(COLLECTOR, USED, -1)
#else
		fetch_add(COLLECTOR, USED, -1);
		announce(COLLECTOR, 1)
#endif
	od
}

init {
	atomic {
		run collector();
#ifdef PROGRESS
		run backend(1, 0);
#else
		run backend(1, 1);
#endif
#ifndef TWO
		run backend(2, 0);
#endif
		run backend(BIG, 0)
	}
}

#ifdef PROGRESS
ltl whose_turn_it_is_gets_it { [] (memory[HOLDER] == BIG -> <> big_got) }
#endif
