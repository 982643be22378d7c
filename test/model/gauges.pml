/*
 * Gauges: shmem.h ccr_gauge(); ticket.c ccr_ticket_move_to_active(); stop.c open_calls().
 *
 * A call that waits flies, is to fly again, flies, and ends.  Somebody who stops
 * its lookup asks the gauges whether there is any.
 *
 * While there is one, they do not say that there is none.  With a word for each
 * gauge they do, however often one looks.
 *
 *	check	safety
 *	mutant	TWO_WORDS		safety
 */
#define COLLECTOR	0
#define BACKEND		1
#define NPROCS		2
#define NLOCS		2

#define READS(p, x)	((p) == BACKEND)

#include "memory.pml"

#define UNSENT		1
#define FLYING		16

bit over = 0;

inline change(waits, flies)
{
#ifdef MUTANT_TWO_WORDS
	if
	:: flies > 0 -> fetch_add(COLLECTOR, 1, flies); fetch_add(COLLECTOR, 0, waits)
	:: else -> fetch_add(COLLECTOR, 0, waits); fetch_add(COLLECTOR, 1, flies)
	fi
#else
	fetch_add(COLLECTOR, 0, waits * UNSENT + flies * FLYING)
#endif
}

proctype collector()
{
	change(-1, 1);
	change(1, -1);
	change(-1, 1);
	over = 1;
	change(0, -1)
}

proctype backend()
{
	byte n, value;

	full_barrier(BACKEND);
	load(BACKEND, 0, n);
#ifdef MUTANT_TWO_WORDS
	read_barrier(BACKEND);
	load(BACKEND, 1, value);
	n = n + value;
	read_barrier(BACKEND);
	load(BACKEND, 0, value);
	n = n + value;
#endif
	assert(n > 0 || over)
}

init {
	atomic {
		memory[0] = UNSENT;
		run collector();
		run backend()
	}
}
