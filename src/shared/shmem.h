/*-------------------------------------------------------------------------
 *
 * shmem.h
 *	  What lies in shared memory, and who may touch it.
 *
 * One fixed area, requested at server start:
 *
 *	CcrShared		sizes, and the lock of the tables below
 *	CcrMailbox[]		a mailbox for each collector
 *	CcrSlot[]		a list of open requests for each backend, and of those done
 *	CcrCounters[]	statistics and queue gauge of a (function, server)
 *	CcrConnection[]	what the collectors show of their connections
 *	CcrStop[]		lookups that take no calls at present
 *	the heap		a DSA area of concresce.shared_memory, which cannot
 *					grow: requests, answers
 *
 * Lock rules.  The mailboxes are lock-free.  At most one of the locks below is
 * held at a time, none across a wait, a latch or an allocation that can fail.
 * No process-private pointer or descriptor is stored here.
 *
 * Words that different processes write all the time are in cache lines of their
 * own (CCR_LINE begins one), apart from those that are mostly read; those that
 * one call changes one after the other share a line.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CCR_SHMEM_H
#define CCR_SHMEM_H

#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "port/pg_bitutils.h"
#include "shared/clock.h"
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
#define CCR_ROLE_COUNTERS		256 /* of these, allotted to sessions of a
									 * role */
#define CCR_MAX_CONNECTIONS		4096	/* shown, not opened */
#define CCR_MAX_STOPS			256 /* stopped lookups, and servers */
#define CCR_STOPS_RESERVED		64	/* of these, for superusers; */
#define CCR_STOPS_OF_ROLE		96	/* and for a role that is none, at most */
#define CCR_HISTOGRAM_BINS		24	/* of powers of two: items, */
#define CCR_LATENCY_BINS		32	/* and us */
#define CCR_TEXT_LEN			256 /* bytes of an error kept for a view */

/*
 * An error, as the views show it.  Its text may quote a value, so it is for
 * the role that was told the error, unless it is one of our own texts.
 */
typedef struct CcrLastError
{
	int			sqlstate;
	bool		open;			/* to whoever may see the row */
	Oid			roleid;			/* who was told; InvalidOid: several */
	char		message[CCR_TEXT_LEN];	/* "": there was none */
} CcrLastError;

/*
 * Enqueued items of a function wait, since batch after batch has failed.
 */
typedef struct CcrCircuit
{
	int			open;			/* queues that do; 0: none */
	bool		transient;		/* by the kind of the error */
	int			failures;		/* in a row */
	TimestampTz since;
	TimestampTz retry_at;
	CcrLastError error;
} CcrCircuit;

/*
 * For what backends wait for.  While one of them has the turn, no other takes
 * any, lest the one with the greatest need wait for ever.  See turn.h.
 */
typedef struct CcrTurn
{
	pg_atomic_uint32 holder;	/* 1 + proc number, 0: none; sleeps on its
								 * latch */
	pg_atomic_uint32 waiting;	/* backends, the holder among them */
	ConditionVariable changed;	/* the others sleep on it */
} CcrTurn;

/* The mailbox of one collector. */
typedef struct CcrMailbox
{
	/*
	 * Heads of two lists of requests (dsa_pointer), newest first.  Backends
	 * push, the collector takes a whole list at once, so there is no ABA.
	 */
	CCR_LINE pg_atomic_uint64 intake;
	pg_atomic_uint64 abandoned;

	/*
	 * Backends asleep until this collector answers: a guess that steers
	 * spinning, never correctness; so it has no partner.
	 */
	CCR_LINE pg_atomic_uint32 sleepers;

	/* Counts the starts of this collector: 0 before the first. */
	CCR_LINE pg_atomic_uint32 generation;

	/* 1 + proc number of the running collector, 0 if there is none. */
	pg_atomic_uint32 proc;

	/* Somebody has begun to wait for room: the collector is to look for whom. */
	pg_atomic_uint32 pressed;

	CcrTime		started;		/* of this generation; collector only */
	pg_atomic_uint64 started_at;	/* the same, a TimestampTz */

	/*
	 * Enqueued requests that were taken and have not ended.  Collector only,
	 * but the next generation finds them here.
	 */
	dsa_pointer unfinished;

	/* A shutdown ended it: it will not come back. */
	pg_atomic_uint32 closed;

	/* Of those unsettled then, it has logged so many to be lost. */
	pg_atomic_uint64 logged;

	/* Of CcrShared.marks, it has acted on so many. */
	pg_atomic_uint32 heeded;

	bool		registered;		/* will be started by the postmaster */

	/* Enqueued items, from their admission to their end. */
	CCR_LINE pg_atomic_uint64 unsettled;

	/*
	 * Bytes that it holds of what far sides have sent, the most so far, and
	 * those that it may take.
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
	pg_atomic_uint32 max_session_memory;	/* kB; -1: any */
	pg_atomic_uint32 max_role_memory;

	/* While it is bounded; written by the backend: see bounded.h. */
	pg_atomic_uint64 bounded;	/* its number, 0: it is not */
	pg_atomic_uint32 bounded_role;
	pg_atomic_uint32 bounded_in;	/* 1 + index of counters, 0: for memory */
	pg_atomic_uint32 bounded_first; /* is the first of its role there */

	/*
	 * Protects the list of announced requests: those that are DONE and whose
	 * backend asked to be told, oldest first.
	 */
	CCR_LINE slock_t mutex;
	dsa_pointer first_done;
	dsa_pointer last_done;

	/*
	 * Bytes of the heap that its requests hold, and those that a backend
	 * before this one has left behind.  Collectors add answers.
	 */
	pg_atomic_uint64 bytes;
} CcrSlot;

typedef enum CcrCounter
{
	/* what calls and batches change, and the rest: see CcrCounters */
	CCR_CALLS,
	CCR_COALESCED,				/* joined another call's flight */
	CCR_MISSES,
	CCR_ANSWERED,
	CCR_ERRORS,
	CCR_BATCHES,
	CCR_BATCH_ITEMS,
	CCR_BATCH_MAX,
	CCR_DEPARTED,				/* items that were sent for the first time, */
	CCR_WAIT_US,				/* and the sum of what they had waited */
	CCR_BATCHES_ENDED,
	CCR_REMOTE_US,				/* sum over these, departure to end */
	CCR_BYTES_SENT,				/* of arguments, */
	CCR_BYTES_RECEIVED,			/* and of rows that were kept */

	CCR_TIMEOUTS,
	CCR_CANCELLED,
	CCR_DISCARDED,				/* enqueued items given up */
	CCR_RETRIED,				/* items that were sent once more */
	CCR_REMOTE_US_MAX,
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
	Oid			roleid;			/* whose sessions use it; InvalidOid:
								 * several's */
	pg_atomic_uint32 serial;	/* 0: free */

	/*
	 * What a call and a batch change fills one line, to the last of the hot
	 * counters.
	 *
	 * Gauges, which no reset touches: calls in flight << 32 | calls not yet
	 * sent. In one word, so that a call that goes from one to the other is
	 * never missed.
	 */
	CCR_LINE pg_atomic_uint64 open;

	/* Items admitted and not yet sent, after coalescing: the queue. */
	pg_atomic_uint32 backlog;

	/*
	 * The queue of enqueued items: places taken, from the admission of a
	 * transaction to the end of its items.
	 */
	pg_atomic_uint32 places;

	pg_atomic_uint64 value[CCR_NCOUNTERS];

	/* Whether somebody waits for room in these is asked with each change. */
	CCR_LINE CcrTurn room_turn;
	CcrTurn		place_turn;
	pg_atomic_uint32 nbounded;	/* backends that wait as their role has too
								 * many of them */

	CCR_LINE pg_atomic_uint64 batch_sizes[CCR_HISTOGRAM_BINS];
	pg_atomic_uint64 latencies[CCR_LATENCY_BINS];	/* of calls that
													 * collectors have
													 * answered */

	/* Connections that wait for the end of a query that was given up. */
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
	int64		lost;			/* before, with those of others */
	TimestampTz connected_at;	/* 0: it is not, or not yet */
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
	bool		force;			/* what arrives nevertheless is failed; of a
								 * server, what is in flight is given up */
	Oid			dbid;
	Oid			function;
	Oid			serverid;
	Oid			roleid;			/* whose session has said so first, */
	TimestampTz since;			/* and when */
} CcrStop;

typedef struct CcrShared
{
	LWLock		lock;			/* protects allotment in counters[] */
	LWLock		stop_lock;		/* protects stops[] */
	LWLock		kept_lock;		/* protects the lists of kept sources and of
								 * warrants */
	dsa_pointer kept;			/* first of them; see ledger.h */
	dsa_pointer warrants;		/* first of those; see warrant.h */
	pg_atomic_uint32 nwarrants;
	pg_atomic_uint32 marks;		/* how often something was marked here that
								 * collectors are to act on */
	pg_atomic_uint32 nstops;	/* entries in use for lookups, */
	pg_atomic_uint32 nservers;	/* and for servers */
	pg_atomic_uint32 nconnections;	/* the same, of connections */

	/*
	 * concresce.stop() waits for the end of calls; others for collectors to
	 * act.
	 */
	pg_atomic_uint32 draining;
	ConditionVariable drained;

	/* For room on the heap for enqueued items. */
	CcrTurn		memory_turn;

	/*
	 * Those who wait until their role's enqueued items take less of it, or
	 * until it is used to no more than so many bytes.
	 */
	pg_atomic_uint32 nbounded;
	pg_atomic_uint64 bounded_below;
	pg_atomic_uint64 next_bounded;	/* number of one who waits */

	int			nworkers;
	int			nslots;
	Size		heap_size;		/* bytes */

	CCR_LINE pg_atomic_uint64 heap_used;	/* bytes asked for and not given
											 * back */
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

/* The postmaster has found a slot for this collector; before startup. */
extern void ccr_shmem_registered(int worker);

/* Is there to be such a collector?  require: raises 53400 if not. */
extern bool ccr_shmem_has_collector(int worker);
extern void ccr_shmem_require_collector(int worker);

/*
 * The heap.  allocate returns InvalidDsaPointer if there is no room; it never
 * raises an error.  size is needed to account for what is given back.
 */
extern dsa_pointer ccr_heap_allocate(Size size);
extern void ccr_heap_free(dsa_pointer dp, Size size);
extern void *ccr_heap_address(dsa_pointer dp);

extern void ccr_wake(int procno);

/* Wake whose number, plus one, is there; 0 stands for nobody. */
static inline void
ccr_wake_listed(pg_atomic_uint32 *proc)
{
	uint32		listed = pg_atomic_read_u32(proc);

	if (listed != 0)
		ccr_wake(listed - 1);
}

/*
 * We wait for room that a collector's items have taken: those of the queue end
 * their windows.  After our number was counted in the turn.
 */
extern void ccr_mailbox_press(CcrMailbox *mailbox);

/*
 * Sleep on ccr_shared->drained until that is so.  False if the deadline (0:
 * none) comes first.
 */
extern bool ccr_drained_wait(bool (*until) (void *arg), void *arg, CcrTime deadline,
							 uint32 wait_event);

/*
 * Have all collectors act on what was marked in shared memory: which takes no
 * memory, and is not lost if one of them exits.  wait: false if the deadline
 * (0: none) comes first.  present: to be asked before requests are taken, so
 * that whatever was pushed before a mark is found.
 */
extern uint32 ccr_marks_announce(void);
extern bool ccr_marks_wait(uint32 mark, CcrTime deadline, uint32 wait_event);
extern uint32 ccr_marks_present(void);

/*
 * Wake whoever has the turn; or else, of those who wait, as many as there is
 * room for.  After a full barrier, behind what was given back.
 */
extern void ccr_turn_announce(CcrTurn *turn, uint32 n);

/*
 * Wake those who are bounded in a queue, or for memory (NULL), if they are the
 * first of their roles there.  Behind what was given back as above.
 */
extern void ccr_bounded_announce(CcrCounters *counters);

/*
 * Room in a queue of concresce.queue_size items.  take: what has more goes in
 * when it is empty.
 */
extern bool ccr_room_take(pg_atomic_uint32 *used, CcrTurn *turn, uint32 n);
extern void ccr_room_release(pg_atomic_uint32 *used, CcrTurn *turn, uint32 n);
extern uint32 ccr_room_left(pg_atomic_uint32 *used);

/*
 * Counters.  find returns the index of an entry, allotting one at need to the
 * role that is given: the one longest unused gives way when all are taken, or
 * when it has its part.  An index is good for as long as the entry's serial is
 * the one that find returned.
 */
extern int	ccr_counters_find(const CcrCountersKey *key, Oid roleid,
							  uint32 *serial);
extern void ccr_counters_touch(CcrCounters *counters, CcrTime now);
extern void ccr_counters_error(CcrCounters *counters, const CcrLastError *error);
extern void ccr_counters_reset(CcrCounters *counters);

/* So many calls were answered, us after they were made. */
static inline void
ccr_counters_latency(CcrCounters *counters, CcrTime us, uint32 calls)
{
	int			bin = us > 0 ? pg_leftmost_one_pos64(us) : 0;

	pg_atomic_fetch_add_u64(&counters->latencies[Min(bin, CCR_LATENCY_BINS - 1)], calls);
}

/* first: of this queue; else it has failed again. */
extern void ccr_counters_open_circuit(CcrCounters *counters, bool first,
									  bool transient, int failures,
									  TimestampTz retry_at,
									  const CcrLastError *error);
extern void ccr_counters_close_circuit(CcrCounters *counters);
extern CcrCircuit ccr_counters_circuit(CcrCounters *counters);

/* Items have left the queue: there is room for others. */
extern void ccr_counters_release_backlog(CcrCounters *counters, uint32 n);

/*
 * Add to the gauges, or take away.  Whoever waits until they are 0 is told by
 * ccr_stopped_recount(), which has the barriers.
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
