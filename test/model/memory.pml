/*
 * A memory that is as weak as it may be, for the plain reads and writes of
 * what is shared without a lock.
 *
 *	store	goes to a buffer of the process, and from there to memory at some
 *			time, in any order
 *	load	finds what the process has stored itself, or what is in memory, or
 *			what was there when it last looked
 *
 * The barriers are PostgreSQL's; its atomic operations that read and write are
 * full barriers.  What lies behind a lock is an ordinary variable of a model.
 *
 * A model says NPROCS and NLOCS before it includes this, and READS(p, x): does
 * the process ever load it?
 */
#define AT(p, x)	((p) * NLOCS + (x))

byte memory[NLOCS];
byte seen[NPROCS * NLOCS];
byte buffered[NPROCS * NLOCS];
bit pending[NPROCS * NLOCS];
hidden byte nth;

/* These three inside of atomic only. */
inline drain(k)
{
	memory[(k) % NLOCS] = buffered[k];
	if
	:: READS((k) / NLOCS, (k) % NLOCS) -> seen[k] = buffered[k]
	:: else
	fi;
	buffered[k] = 0;
	pending[k] = 0
}

inline drain_all(p)
{
	for (nth : 0 .. NLOCS - 1) {
		if
		:: pending[AT(p, nth)] -> drain(AT(p, nth))
		:: else
		fi
	}
	nth = 0
}

inline look_at_all(p)
{
	for (nth : 0 .. NLOCS - 1) {
		if
		:: READS(p, nth) -> seen[AT(p, nth)] = memory[nth]
		:: else
		fi
	}
	nth = 0
}

inline write_barrier(p)	{ d_step { drain_all(p) } }
inline read_barrier(p)	{ d_step { look_at_all(p) } }
inline full_barrier(p)	{ d_step { drain_all(p); look_at_all(p) } }

inline store(p, x, v)
{
	d_step {
		buffered[AT(p, x)] = v;
		pending[AT(p, x)] = 1
	}
}

inline load(p, x, result)
{
	atomic {
		if
		:: pending[AT(p, x)] -> result = buffered[AT(p, x)]
		:: !pending[AT(p, x)] -> seen[AT(p, x)] = memory[x]; result = memory[x]
		:: !pending[AT(p, x)] && seen[AT(p, x)] != memory[x] -> result = seen[AT(p, x)]
		fi
	}
}

/* done: it was "expected"; else "expected" is what it was. */
inline compare_exchange(p, x, expected, v, done)
{
	d_step {
		drain_all(p);
		if
		:: memory[x] == expected -> memory[x] = v; done = 1
		:: else -> expected = memory[x]; done = 0
		fi;
		look_at_all(p)
	}
}

inline exchange(p, x, v, result)
{
	d_step {
		drain_all(p);
		result = memory[x];
		memory[x] = v;
		look_at_all(p)
	}
}

inline fetch_add(p, x, n)
{
	d_step {
		drain_all(p);
		memory[x] = memory[x] + n;
		look_at_all(p)
	}
}

/* What is in a buffer comes to memory. */
#define DRAIN(k) \
	:: atomic { pending[(k) % (NPROCS * NLOCS)] -> drain((k) % (NPROCS * NLOCS)) }
#define DRAIN8(k) \
	DRAIN(k) DRAIN(k + 1) DRAIN(k + 2) DRAIN(k + 3) \
	DRAIN(k + 4) DRAIN(k + 5) DRAIN(k + 6) DRAIN(k + 7)

active proctype buffers()
{
end:
	do
	DRAIN8(0)
#if NPROCS * NLOCS > 8
	DRAIN8(8)
#endif
#if NPROCS * NLOCS > 16
	DRAIN8(16)
#endif
#if NPROCS * NLOCS > 24
	DRAIN8(24)
#endif
	od
}

/*
 * Latches, as in storage/ipc/latch.c: to set one, and to reset it, is a full
 * barrier.  Between the two of whoever wakes and whoever sleeps, PostgreSQL has
 * others of its own.
 */
bit latch[NPROCS];

inline set_latch(p, other)
{
	d_step {
		drain_all(p);
		look_at_all(p);
		latch[other] = 1
	}
}

inline reset_latch(p)
{
	d_step {
		latch[p] = 0;
		drain_all(p);
		look_at_all(p)
	}
}
