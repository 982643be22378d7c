/*-------------------------------------------------------------------------
 *
 * shmem.h
 *	  What lies in shared memory, and who may touch it.
 *
 * One fixed area, requested at server start:
 *
 *	CcrShared		sizes, and the lock of the tables below
 *	CcrMailbox[]		a mailbox for each collector
 *	CcrSlot[]		for each backend, a list of its open requests, and one of
 *					those that are announced as done
 *	CcrCounters[]	statistics and queue gauge of a (function, server)
 *	CcrConnection[]	what the collectors show of their connections
 *	CcrStop[]		lookups that take no calls at present, and servers that are
 *					switched off
 *	the heap		a DSA area with the size of concresce.shared_memory, which
 *					cannot grow: requests, answers, kept sources, warrants
 *
 * Lock rules.  The mailboxes are lock-free.  A process holds at most one of
 * the locks below at a time.  It holds none while it waits, sets a latch, or
 * makes an allocation that can fail.  No process-private pointer or descriptor
 * is stored here.
 *
 * Cache lines.  Words that several processes write all the time do not share a
 * line with words that are mostly read (CCR_LINE begins a new line).  Words
 * that one call changes one after the other share a line.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SHMEM_H
#define CCR_SHMEM_H

#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "port/pg_bitutils.h"
#include "shared/clock.h"
#include "shared/party.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"
#include "storage/spin.h"
#include "utils/dsa.h"

#ifdef pg_attribute_aligned
#define CCR_LINE		pg_attribute_aligned(PG_CACHE_LINE_SIZE)
#else
#define CCR_LINE
#endif

#define CCR_MAX_COUNTERS		1024	/* (function, server) pairs */
#define CCR_ROLE_COUNTERS		256 /* of these, that the sessions of one role
									 * can have allotted */
#define CCR_LOGIN_COUNTERS		512 /* of these, that the sessions of one
									 * login can have allotted */
#define CCR_MAX_CONNECTIONS		4096	/* that are shown; more can be open */
#define CCR_MAX_STOPS			256 /* stopped lookups, and servers that are
									 * switched off */
#define CCR_STOPS_RESERVED		64	/* of these, kept for superusers */
#define CCR_STOPS_OF_ROLE		96	/* of these, that one role which is no
									 * superuser can have */
#define CCR_STOPS_OF_LOGIN		144 /* of these, that one login can have as
									 * all its roles */
#define CCR_HISTOGRAM_BINS		24	/* powers of two, of items */
#define CCR_LATENCY_BINS		32	/* powers of two, of microseconds */
#define CCR_TEXT_LEN			256 /* bytes of an error kept for a view */

/*
 * An error, as the views show it.  Its text may quote a value, so it is for
 * the role that was told the error, unless it is one of our own texts.
 */
typedef struct CcrLastError
{
	int			sqlstate;
	bool		open;			/* whoever may see the row may see the text */
	Oid			roleid;			/* that was told the error; InvalidOid:
								 * several were */
	char		message[CCR_TEXT_LEN];	/* "": there was none */
} CcrLastError;

/*
 * The circuit of a function is open while its enqueued items wait because
 * batch after batch has failed.
 */
typedef struct CcrCircuit
{
	int			open;			/* how many queues wait so; 0: it is closed */
	bool		transient;		/* an error of this kind goes away by itself */
	int			failures;		/* in a row */
	TimestampTz since;
	TimestampTz retry_at;
	CcrLastError error;
} CcrCircuit;

/*
 * Something that there is too little of, and that backends wait for.  While
 * one backend has the turn, no other takes any of it; otherwise the one with
 * the greatest need might wait for ever.  See turn.h.
 */
typedef struct CcrTurn
{
	pg_atomic_uint32 holder;	/* 1 + proc number, 0: nobody has the turn; it
								 * sleeps on its latch */
	pg_atomic_uint32 waiting;	/* backends, the holder among them */
	ConditionVariable changed;	/* the others sleep on it */
} CcrTurn;

/* The mailbox of one collector. */
typedef struct CcrMailbox
{
	/*
	 * Heads of two lists of requests (dsa_pointer), newest first.  Backends
	 * push.  The collector takes a whole list at once, so there is no ABA
	 * problem.
	 */
	CCR_LINE pg_atomic_uint64 intake;
	pg_atomic_uint64 abandoned;

	/*
	 * How many backends sleep until this collector answers.  It only helps to
	 * guess whether spinning is worth while, so it may be wrong, and its
	 * accesses need no barriers.
	 */
	CCR_LINE pg_atomic_uint32 sleepers;

	/* Counts the starts of this collector: 0 before the first. */
	CCR_LINE pg_atomic_uint32 generation;

	/* 1 + proc number of the running collector, 0 if there is none. */
	pg_atomic_uint32 proc;

	/*
	 * Set when a backend begins to wait for room: the collector has to find
	 * out in which queues, and end the windows there.
	 */
	pg_atomic_uint32 pressed;

	CcrTime		started;		/* of this generation; collector only */
	pg_atomic_uint64 started_at;	/* the same, a TimestampTz */

	/*
	 * List of the enqueued requests that were taken and have not ended.  Only
	 * the collector touches it.  It is in shared memory so that the next
	 * generation finds it.
	 */
	dsa_pointer unfinished;

	/*
	 * Requests that were abandoned and taken, and have not been freed.
	 * Collector only, but the next generation finds them here.
	 */
	dsa_pointer leaving;

	/* The collector has exited for a shutdown, and will not be restarted. */
	pg_atomic_uint32 closed;

	/* How many enqueued items it logged as lost, as it exited so. */
	pg_atomic_uint64 logged;

	/* The value of CcrShared.marks up to which it has acted. */
	pg_atomic_uint32 heeded;

	bool		registered;		/* the postmaster starts it */

	/* Number of enqueued items, each from its admission to its end. */
	CCR_LINE pg_atomic_uint64 unsettled;

	/*
	 * Bytes that it holds of what far sides have sent; the most that these
	 * have been so far; and the most that they may be.
	 */
	pg_atomic_uint64 memory_used;
	pg_atomic_uint64 memory_peak;
	pg_atomic_uint64 memory_limit;

	/* What it has sent, since the server was started. */
	pg_atomic_uint64 batches;
	pg_atomic_uint64 items;
} CcrMailbox;

/* The open requests of one backend; indexed by its proc number. */
typedef struct CcrSlot
{
	CCR_LINE LWLock lock;		/* protects the list, and keeps its requests
								 * from being freed under a reader */
	dsa_pointer requests;		/* newest first */

	/* Written by the backend: see bounds.h. */
	pg_atomic_uint32 roleid;
	pg_atomic_uint32 login;
	pg_atomic_uint32 max_session_memory;	/* kB; -1: any */
	pg_atomic_uint32 max_role_memory;

	/*
	 * While the backend waits because its role has too many enqueued items.
	 * The backend writes these: see bounded.h.
	 */
	pg_atomic_uint64 bounded;	/* its number, which says who came first; 0:
								 * it does not wait so */
	pg_atomic_uint32 bounded_role;
	pg_atomic_uint32 bounded_in;	/* 1 + index of the counters whose queue
									 * it waits in; 0: it waits for memory */
	pg_atomic_uint32 bounded_first; /* it is the first of its role there */

	/*
	 * Protects the list of announced requests: those that are DONE and whose
	 * backend asked to be told, oldest first.
	 */
	CCR_LINE slock_t mutex;
	dsa_pointer first_done;
	dsa_pointer last_done;

	/*
	 * Bytes of the heap that its requests hold.  Collectors add answers.
	 * Requests that were abandoned by an earlier backend with this slot count
	 * until they are freed.
	 */
	pg_atomic_uint64 bytes;
} CcrSlot;

typedef enum CcrCounter
{
	/* those that every call or batch changes share a line: see CcrCounters */
	CCR_CALLS,
	CCR_COALESCED,				/* calls that joined another call's flight */
	CCR_MISSES,
	CCR_ANSWERED,
	CCR_ERRORS,
	CCR_BATCHES,
	CCR_BATCH_ITEMS,
	CCR_BATCH_MAX,
	CCR_DEPARTED,				/* items that were sent for the first time */
	CCR_WAIT_US,				/* how long these had waited, added up */
	CCR_BATCHES_ENDED,
	CCR_REMOTE_US,				/* how long these took from departure to end,
								 * added up */
	CCR_BYTES_SENT,				/* of arguments */
	CCR_BYTES_RECEIVED,			/* of rows that were kept */

	CCR_TIMEOUTS,
	CCR_CANCELLED,
	CCR_DISCARDED,				/* enqueued items given up */
	CCR_RETRIED,				/* items that were sent once more */
	CCR_REMOTE_US_MAX,
	CCR_BATCHES_FULL,			/* left as enough waited to fill them */
	CCR_BATCHES_WINDOW,			/* left as a window had ended */
	CCR_NCOUNTERS
} CcrCounter;

#define CCR_HOT_COUNTERS	CCR_TIMEOUTS	/* those before it */

typedef struct CcrCountersKey
{
	Oid			dbid;
	Oid			function;
	Oid			serverid;		/* InvalidOid: local */
} CcrCountersKey;

typedef struct CcrCounters
{
	/* Written under CcrShared.lock; serial changes with the key. */
	CCR_LINE CcrCountersKey key;
	CcrParty	party;			/* whose sessions use it: a role and a login;
								 * InvalidOid: several of them */
	pg_atomic_uint32 serial;	/* 0: free */

	/*
	 * From here to the last of the hot counters there is exactly one cache
	 * line: all that a call and a batch change.
	 *
	 * The gauges: (calls in flight << 32) | calls not yet sent.  They are one
	 * word, so that a reader never misses a call that moves from one to the
	 * other.  No reset of statistics touches them.
	 */
	CCR_LINE pg_atomic_uint64 open;

	/* Items admitted and not yet sent, after coalescing: the queue. */
	pg_atomic_uint32 backlog;

	/*
	 * Places of enqueued items that are taken: from the commit of their
	 * transaction to their end.
	 */
	pg_atomic_uint32 places;

	pg_atomic_uint64 value[CCR_NCOUNTERS];

	/*
	 * Who waits for room in the backlog, and who for places.  Each change of
	 * backlog or places reads these, and few write them.
	 */
	CCR_LINE CcrTurn room_turn;
	CcrTurn		place_turn;
	pg_atomic_uint32 nbounded;	/* backends that wait because their role has
								 * too many places */

	CCR_LINE pg_atomic_uint64 batch_sizes[CCR_HISTOGRAM_BINS];
	pg_atomic_uint64 latencies[CCR_LATENCY_BINS];	/* of calls that
													 * collectors have
													 * answered */

	/* How many connections wait for the end of a query that was cancelled. */
	pg_atomic_uint32 cancelling;

	slock_t		mutex;			/* protects following fields only: */
	CcrTime		used;			/* when an entry was last looked up */
	TimestampTz reset;
	TimestampTz last_error_at;
	CcrLastError last_error;
	CcrCircuit	circuit;
} CcrCounters;

/* A row of concresce.connections. */
typedef struct CcrConnection
{
	slock_t		mutex;			/* protects following fields only: */
	bool		used;
	Oid			dbid;
	Oid			serverid;
	Oid			umid;			/* user mapping; of an executor: its role */
	char		server[NAMEDATALEN];
	char		user[NAMEDATALEN];
	char		state[16];
	int64		batches;
	int64		lost;			/* connections that were lost before and had
								 * this row */
	TimestampTz connected_at;	/* 0: it is not connected */
	TimestampTz last_error_at;
	CcrLastError last_error;
} CcrConnection;

/*
 * A lookup that takes no calls, or a server that is switched off; if it has
 * neither function nor serverid, all lookups of the database.
 */
typedef struct CcrStop
{
	bool		used;
	bool		force;			/* of a lookup: calls that arrive nevertheless
								 * fail; of a server: batches in flight are
								 * given up */
	Oid			dbid;
	Oid			function;
	Oid			serverid;
	Oid			roleid;			/* whose session stopped it first */
	Oid			login;			/* the login of that session */
	TimestampTz since;
} CcrStop;

typedef struct CcrShared
{
	LWLock		lock;			/* protects the allotment of counters and
								 * seats */
	LWLock		stop_lock;		/* protects stops[] */
	LWLock		kept_lock;		/* protects the lists of kept sources and of
								 * warrants */
	dsa_pointer kept;			/* first kept source; see ledger.h */
	dsa_pointer warrants;		/* first warrant; see warrant.h */
	pg_atomic_uint32 nwarrants;
	pg_atomic_uint32 marks;		/* how often something was marked in shared
								 * memory that collectors have to act on */
	pg_atomic_uint32 nstops;	/* entries of stops[] in use for lookups */
	pg_atomic_uint32 nservers;	/* and for servers */
	pg_atomic_uint32 nconnections;	/* entries of connections[] in use */

	/*
	 * How many backends sleep on `drained`: concresce.stop() until calls have
	 * ended, others until collectors have acted on a mark.
	 */
	pg_atomic_uint32 draining;
	ConditionVariable drained;

	/*
	 * Backends that wait for memory on the heap for enqueued items: of large
	 * transactions, and of small ones, which may use the reserve (bounds.h).
	 */
	CcrTurn		memory_turn;
	CcrTurn		reserve_turn;

	/*
	 * Backends that wait until the enqueued items of their role take less of
	 * the heap, or until no more than bounded_below bytes of it are used.
	 */
	pg_atomic_uint32 nbounded;
	pg_atomic_uint64 bounded_below;
	pg_atomic_uint64 next_bounded;	/* number for the next one that waits */

	int			nworkers;
	int			nslots;
	Size		heap_size;		/* bytes */

#ifdef CCR_TRACE_HEAP
	slock_t		trace_mutex;	/* protects the list of blocks */
	dsa_pointer traced;			/* the block allocated last */
#endif

	CCR_LINE pg_atomic_uint64 heap_used;	/* bytes that blocks take */
	pg_atomic_uint64 heap_reserve;	/* of these, taken from the reserve */
	pg_atomic_uint64 next_id;	/* of a request */
	pg_atomic_uint32 next_serial;	/* of a CcrCounters */
	pg_atomic_uint64 next_maker;	/* of a CcrCellMaker */
} CcrShared;

StaticAssertDecl(offsetof(CcrCounters, value) + CCR_HOT_COUNTERS * sizeof(pg_atomic_uint64) -
				 offsetof(CcrCounters, open) == 128, "the hot words of CcrCounters fill one line");

extern CcrShared *ccr_shared;
extern CcrMailbox *ccr_mailboxes;
extern CcrSlot *ccr_slots;
extern CcrCounters *ccr_counters;
extern CcrConnection *ccr_connections;
extern CcrStop *ccr_stops;

extern void ccr_shmem_request(void);
extern void ccr_shmem_startup(void);

/* Raises 55000 unless the library was preloaded. */
extern void ccr_shmem_require(void);

/*
 * The postmaster will start this collector.  To be called before
 * ccr_shmem_startup().
 */
extern void ccr_shmem_registered(int worker);

/*
 * Does the postmaster start this collector?  ccr_shmem_require_collector()
 * raises 53400 if it does not.
 */
extern bool ccr_shmem_has_collector(int worker);
extern void ccr_shmem_require_collector(int worker);

/*
 * The heap.  ccr_heap_allocate() never raises an error once ccr_heap_attach()
 * was called; it returns InvalidDsaPointer if there is no room.
 * ccr_heap_free() has to be told the same size again, since the heap does not
 * keep it.
 */
extern void ccr_heap_attach(void);
#ifdef CCR_TRACE_HEAP
/* In a build that looks for leaks: who has allocated each block, and when. */
typedef struct CcrTraced
{
	dsa_pointer prev;
	dsa_pointer next;
	const char *function;
	int			pid;
	Size		size;
	CcrTime		at;
} CcrTraced;

#define CCR_TRACED		MAXALIGN(sizeof(CcrTraced))
#define ccr_heap_allocate(size) ccr_heap_allocate_in(__func__, size)
extern dsa_pointer ccr_heap_allocate_in(const char *function, Size size);
extern void ccr_heap_visit(void (*visit) (dsa_pointer dp, const CcrTraced *block, void *arg),
						   void *arg);
#else
extern dsa_pointer ccr_heap_allocate(Size size);
#endif
extern void ccr_heap_free(dsa_pointer dp, Size size);

/*
 * What a block of so many bytes takes of the heap, and counts for in
 * heap_used.  Up to half as much again: if that did not count, the heap could
 * be full long before anybody reaches a bound.
 */
extern Size ccr_heap_taken(Size size);
extern void *ccr_heap_address(dsa_pointer dp);

extern void ccr_wake(int procno);

/* Wake the process whose number plus one is in *proc; 0 stands for nobody. */
static inline void
ccr_wake_listed(pg_atomic_uint32 *proc)
{
	uint32		listed = pg_atomic_read_u32(proc);

	if (listed != 0)
		ccr_wake(listed - 1);
}

/*
 * Tell a collector that this backend waits for room in one of its queues, so
 * that the windows of the items there end at once.  Call it after
 * ccr_turn_begin() has counted us: the collector looks for queues with such a
 * count.
 */
extern void ccr_mailbox_press(CcrMailbox *mailbox);

/*
 * Sleep on ccr_shared->drained until until(arg) is true.  False if the
 * deadline (0: none) comes first.
 */
extern bool ccr_drained_wait(bool (*until) (void *arg), void *arg, CcrTime deadline,
							 uint32 wait_event);

/*
 * Have all collectors act on what was marked in shared memory.  This takes no
 * memory, and is not lost if a collector exits.  ccr_marks_announce() tells
 * them and returns the number of the mark.  ccr_marks_wait() waits until all
 * have acted on that mark; false if the deadline (0: none) comes first.  A
 * collector calls ccr_marks_present() before it takes requests, and acts on
 * the marks after that: so it finds all requests that were pushed before a
 * mark.
 */
extern uint32 ccr_marks_announce(void);
extern bool ccr_marks_wait(uint32 mark, CcrTime deadline, uint32 wait_event);
extern uint32 ccr_marks_present(void);

/*
 * Wake the backend that has the turn.  If none has it, wake as many of those
 * that wait as there is room for: n.  The caller has given something back
 * before; a full barrier must be between the two.
 */
extern void ccr_turn_announce(CcrTurn *turn, uint32 n);

/*
 * Of the backends that wait because their role has too many enqueued items in
 * this queue, or too much memory (counters: NULL), wake the first of each
 * role.  The same barrier is needed as above.
 */
extern void ccr_bounded_announce(CcrCounters *counters);

/*
 * Room in a queue of concresce.queue_size items.  ccr_room_take() takes room
 * for n items if there is that much; for more items than the queue has places,
 * if it is empty.
 */
extern bool ccr_room_take(pg_atomic_uint32 *used, CcrTurn *turn, uint32 n);
extern void ccr_room_release(pg_atomic_uint32 *used, CcrTurn *turn, uint32 n);
extern uint32 ccr_room_left(pg_atomic_uint32 *used);

/*
 * Counters.  ccr_counters_find() returns the index of an entry.  If there is
 * none yet, it allots one to the given role and login.  If all are taken, it
 * reuses the one that has been unused for longest; if the role, or the login,
 * has its share already, one of its own.  An index is valid as long as the
 * entry has the serial that ccr_counters_find() returned.
 */
extern int	ccr_counters_find(const CcrCountersKey *key, CcrParty party,
							  uint32 *serial);
extern void ccr_counters_touch(CcrCounters *counters, CcrTime now);
extern void ccr_counters_error(CcrCounters *counters, const CcrLastError *error);
extern void ccr_counters_reset(CcrCounters *counters);

/* So many calls were answered, `us` microseconds after they were made. */
static inline void
ccr_counters_latency(CcrCounters *counters, CcrTime us, uint32 calls)
{
	int			bin = us > 0 ? pg_leftmost_one_pos64(us) : 0;

	pg_atomic_fetch_add_u64(&counters->latencies[Min(bin, CCR_LATENCY_BINS - 1)], calls);
}

/*
 * A queue whose enqueued items fail waits until retry_at.  first: it did not
 * wait before; otherwise it has failed once more.
 */
extern void ccr_counters_open_circuit(CcrCounters *counters, bool first,
									  bool transient, int failures,
									  TimestampTz retry_at,
									  const CcrLastError *error);
extern void ccr_counters_close_circuit(CcrCounters *counters);
extern CcrCircuit ccr_counters_circuit(CcrCounters *counters);

/* n items have left the queue: there is room for others, which are woken. */
extern void ccr_counters_release_backlog(CcrCounters *counters, uint32 n);

/*
 * Change the gauges by so many calls.  A caller that lowers them calls
 * ccr_stopped_recount() afterwards, which wakes those that wait until they are
 * 0; the atomic addition is the barrier that this needs.
 */
static inline void
ccr_gauge(CcrCounters *counters, int queued, int active)
{
	pg_atomic_fetch_add_u64(&counters->open, (int64) active * (INT64CONST(1) << 32) + queued);
}

static inline uint32
ccr_gauge_queued(uint64 open)
{
	return (uint32) open;
}

static inline uint32
ccr_gauge_active(uint64 open)
{
	return (uint32) (open >> 32);
}

static inline void
ccr_count(CcrCounters *counters, CcrCounter counter, int64 n)
{
	pg_atomic_fetch_add_u64(&counters->value[counter], n);
}

#endif							/* CCR_SHMEM_H */
