/*-------------------------------------------------------------------------
 *
 * session.h
 *	  What a session is, and the scenes that it plays.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SESSION_H
#define SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include <libpq-fe.h>

#define STEPS_MAX	16
#define CALLS_MAX	3
#define IDS_MAX		64
#define OPEN_MAX	16
#define KEYS		10000		/* rows there are of each key */

/* ---- places and lookups ------------------------------------------------- */

enum
{
	HERE, ONE, TWO, THREE, FOUR, BAD, PLACES
};

extern const char *const place_name[];

/* The name that the table "who" has there. */
extern const char *const identity[];

enum
{
	V, NUM, REC, TAGS, ANYREC, SC, DBL, SLOW, DV, NEED, BIG, ARR, KEYED,
	DEFINER, WR, EV, EV_FORCED, EV_REVOKED, LOOKUPS
};

extern const char *const lookup_name[];

/* ---- what a session does ------------------------------------------------ */

typedef struct Text
{
	char	   *bytes;
	size_t		used;
	size_t		size;
} Text;

typedef enum Action
{
	NO_ACTION,
	CANCEL,						/* ask for a cancel after a while */
	VANISH						/* close the connection after a while */
} Action;

typedef enum End
{
	NO_END,
	COMMIT,
	ROLLBACK,
	MARK,						/* SAVEPOINT */
	TO_MARK						/* ROLLBACK TO it */
} End;

typedef struct Calls
{
	int			place;
	int			lookup;
	int			n;
	bool		exact;			/* if the step succeeds all are answered */
	bool		settles;		/* they were begun by an earlier step */
} Calls;

typedef struct Step
{
	Text		sql;
	Text		expected;
	bool		any;			/* whatever it returns is right */
	int			place;			/* -1: of several, or of none */
	char		must_fail[6];
	const char *may_fail;
	Calls		calls[CALLS_MAX];
	int			ncalls;
	int			range;			/* items that it enqueues or writes, or -1 */
	End			end;
	bool		captures;		/* it returns ids of requests */
	int			flushes;		/* place * LOOKUPS + lookup, or -1 */
	Action		action;
	int			action_ms;
} Step;

typedef enum Known
{
	OPEN,						/* enqueued, in a transaction under way */
	COMMITTED,
	ROLLED_BACK,
	UNKNOWN,					/* the session was lost in its COMMIT */
	WRITTEN,					/* by a call that was answered */
	NOT_WRITTEN,				/* by its error it was not executed */
	MAYBE_WRITTEN
} Known;

typedef struct Range
{
	int64_t		first;
	int			count;
	short		place;
	short		lookup;
	Known		known;
	int64_t		flushed_us;
} Range;

typedef enum State
{
	DOWN,
	CONNECTING,
	IDLE,
	BUSY
} State;

typedef struct Session
{
	int			number;
	bool		by_row;			/* no batch nodes: scans are slow */
	PGconn	   *conn;
	PostgresPollingStatusType polling;
	State		state;
	int64_t		wake_ms;		/* DOWN, IDLE: when to go on */
	int64_t		action_at_ms;	/* BUSY */
	int64_t		deadline_ms;
	int64_t		slow_at_ms;		/* when a statement is slow; 0: it was told */
	bool		very_slow;		/* it was looked at once */
	bool		hung;

	Step		steps[STEPS_MAX];
	int			nsteps;
	int			at;
	const char *cleanup;		/* of the scene, whatever happens */
	bool		cleaning;
	char		failed_with[6];
	char		message[512];
	char		tag[64];
	Text		got;

	int64_t		ids[IDS_MAX];
	int			nids;
	int			open[OPEN_MAX];
	int			nopen;
	int			mark;
	int		   *unflushed;
	int			nunflushed;
	int			unflushed_size;
} Session;

/* ---- scenes.c ----------------------------------------------------------- */

extern void new_scene(Session *s);

/* ---- sessions.c --------------------------------------------------------- */

extern void die(const char *what) __attribute__((noreturn));
extern int	below(int n);
extern bool one_in(int n);
extern int	between(int from, int to);
extern void clear(Text *text);
extern void append_bytes(Text *text, const char *bytes, size_t n);
extern void append(Text *text, const char *format, ...)
			__attribute__((format(printf, 2, 3)));

/* Items that a step is to enqueue or write: their first one, and their range. */
extern int	new_range(int place, int lookup, int count, int64_t *first);

#endif
