/*-------------------------------------------------------------------------
 *
 * sessions.c
 *	  Many sessions that make every kind of call at once, and know what each
 *	  of them has to answer.
 *
 * sessions CONNINFO NSESSIONS SEED THINK_MS
 *
 * A session plays one scene after another.  A scene is a few steps, made up
 * beforehand: a statement, what it has to return, the errors that it may end
 * with, and what becomes of the items that were enqueued.  What is returned
 * is a function of the arguments and of the far server's name, so a wrong row
 * is found at once.
 *
 * Commands on standard input, a line each:
 *
 *	allow ID PLACE STATES	from now on statements of this place ("*": of all)
 *							may fail with these SQLSTATEs
 *	disallow ID				not any more, once what is under way has ended
 *	pause FOLDER			finish the scenes, and write down what was done
 *	resume
 *	quit
 *
 * and on standard output:
 *
 *	finding ...				something that must not be
 *	hang PID ...			a statement that should have ended long ago
 *	paused CALLS STATEMENTS FAILED
 *
 * Besides SQLSTATEs there are two more words for failures: LOST, a session
 * ended without a reason, and CONN, no connection could be made.
 *
 * What is written down in FOLDER: "items" (first id, count, place, lookup,
 * what is known of them, microseconds since the epoch when a flush had seen
 * them off, or 0) and "law" (place, lookup, calls that were answered for sure, calls
 * of which the session does not know).
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <libpq-fe.h>

#define SESSIONS_MAX	500
#define STEPS_MAX		16
#define CALLS_MAX		3
#define IDS_MAX			64
#define OPEN_MAX		16
#define ALLOWANCES_MAX	64
#define LIMIT_MS		45000	/* more than any timeout in play */
#define GRACE_MS		12000	/* a fault may be felt for so long after it */
#define KEYS			10000	/* rows there are of each key */
#define SHOWN_MAX		5		/* findings that are alike */

/* ---- places and lookups ------------------------------------------------- */

enum
{
	HERE, ONE, TWO, THREE, FOUR, BAD, PLACES
};

static const char *const place_name[] = {"here", "one", "two", "three", "four", "bad"};

/* The name that the table "who" has there. */
static const char *const identity[] = {"here", "far1", "far2", "far2", "far1", "far1"};

enum
{
	V, NUM, REC, TAGS, ANYREC, SC, DBL, SLOW, DV, NEED, BIG, ARR, KEYED,
	DEFINER, WR, EV, EV_FORCED, EV_REVOKED, LOOKUPS
};

static const char *const lookup_name[] = {
	"v", "num", "rec", "tags", "anyrec", "sc", "dbl", "slow", "dv", "need",
	"big", "arr", "keyed", "definer", "wr", "ev", "ev_forced", "ev_revoked"
};

/* By the client's own account. */
static int64_t sure[PLACES][LOOKUPS];
static int64_t unsure[PLACES][LOOKUPS];

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

static const char *const known_name[] = {
	"open", "committed", "rolled back", "unknown", "written", "not written",
	"maybe written"
};

typedef struct Range
{
	int64_t		first;
	int			count;
	short		place;
	short		lookup;
	Known		known;
	int64_t		flushed_us;
} Range;

static Range *ranges;
static int	nranges;
static int	ranges_size;
static int64_t next_item = 1;

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

static Session sessions[SESSIONS_MAX];
static int	nsessions;
static const char *conninfo;
static int	think_ms;
static bool pausing;
static char pause_folder[512];
static int64_t ncalls_total;
static int64_t nstatements;
static int64_t nfailed;

typedef struct Allowance
{
	char		id[16];
	char		place[16];
	char		states[256];
	int64_t		until_ms;		/* 0: no end yet */
} Allowance;

static Allowance allowances[ALLOWANCES_MAX];
static int	nallowances;

/* ---- small things ------------------------------------------------------- */

static uint64_t random_state;

static void
die(const char *what)
{
	fprintf(stderr, "sessions: %s\n", what);
	exit(1);
}

static void *
must_alloc(void *pointer)
{
	if (pointer == NULL)
		die("out of memory");
	return pointer;
}

/* From 0 to n - 1. */
static int
below(int n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (int) ((random_state >> 16) % (uint64_t) n);
}

static bool
one_in(int n)
{
	return below(n) == 0;
}

static int
between(int from, int to)
{
	return from + below(to - from + 1);
}

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

static int64_t
calendar_us(void)
{
	struct timeval tv;

	gettimeofday(&tv, NULL);
	return tv.tv_sec * INT64_C(1000000) + tv.tv_usec;
}

static void
clear(Text *text)
{
	text->used = 0;
	if (text->size > 0)
		text->bytes[0] = '\0';
}

static void
append_bytes(Text *text, const char *bytes, size_t n)
{
	if (text->used + n + 1 > text->size)
	{
		text->size = (text->used + n + 1) * 2;
		text->bytes = must_alloc(realloc(text->bytes, text->size));
	}
	memcpy(text->bytes + text->used, bytes, n);
	text->used += n;
	text->bytes[text->used] = '\0';
}

__attribute__((format(printf, 2, 3)))
static void
append(Text *text, const char *format, ...)
{
	char		buffer[4096];
	va_list		args;
	int			n;

	va_start(args, format);
	n = vsnprintf(buffer, sizeof(buffer), format, args);
	va_end(args);
	if (n < 0 || n >= (int) sizeof(buffer))
		die("a text is too long");
	append_bytes(text, buffer, n);
}

static void
print_line(const char *text)
{
	for (; *text; text++)
		putchar(*text == '\n' ? ' ' : *text);
	putchar('\n');
	fflush(stdout);
}

/* Of those that are alike only the first are shown, and all counted. */
static void
finding(const char *kind, const Session *s, const char *detail)
{
	static struct
	{
		char		key[64];
		int			n;
	}			seen[100];
	static int	nseen;
	const Step *step = s->at < s->nsteps ? &s->steps[s->at] : NULL;
	const char *sql = step && step->sql.bytes ? step->sql.bytes : "";
	char		key[64];
	char		text[2048];
	int			i;

	snprintf(key, sizeof(key), "%s %s %d %d", kind, s->failed_with,
			 step ? step->place : -1, step && step->ncalls ? step->calls[0].lookup : -1);
	for (i = 0; i < nseen && strcmp(seen[i].key, key) != 0; i++)
		;
	if (i == nseen && nseen < 100)
		strcpy(seen[nseen++].key, key);
	if (i < 100 && ++seen[i].n > SHOWN_MAX)
	{
		printf("finding again: %s\n", key);
		fflush(stdout);
		return;
	}
	snprintf(text, sizeof(text), "finding %s: %.700s: session %d, backend %d: %.500s",
			 kind, detail, s->number, s->conn ? PQbackendPID(s->conn) : 0, sql);
	print_line(text);
}

/* ---- which errors may be ------------------------------------------------ */

static bool
may_fail(const Step *step, const char *state)
{
	int64_t		now = now_ms();

	if (step != NULL && step->may_fail != NULL &&
		(strcmp(step->may_fail, "any") == 0 || strstr(step->may_fail, state)))
		return true;
	for (int i = 0; i < nallowances; i++)
	{
		const Allowance *a = &allowances[i];

		if (a->until_ms != 0 && a->until_ms < now)
			continue;
		if (strcmp(a->place, "*") != 0 && step != NULL && step->place >= 0 &&
			strcmp(a->place, place_name[step->place]) != 0)
			continue;
		if (strstr(a->states, state) != NULL)
			return true;
	}
	return false;
}

static void
allow(const char *id, const char *place, const char *states)
{
	int64_t		now = now_ms();
	int			i;

	for (i = 0; i < nallowances; i++)
	{
		if (allowances[i].until_ms != 0 && allowances[i].until_ms < now)
			break;
	}
	if (i == ALLOWANCES_MAX)
		die("too many allowances");
	if (i == nallowances)
		nallowances++;
	snprintf(allowances[i].id, sizeof(allowances[i].id), "%s", id);
	snprintf(allowances[i].place, sizeof(allowances[i].place), "%s", place);
	snprintf(allowances[i].states, sizeof(allowances[i].states), "%s", states);
	allowances[i].until_ms = 0;
}

static void
disallow(const char *id)
{
	for (int i = 0; i < nallowances; i++)
	{
		if (allowances[i].until_ms == 0 && strcmp(allowances[i].id, id) == 0)
			allowances[i].until_ms = now_ms() + GRACE_MS;
	}
}

/* ---- items -------------------------------------------------------------- */

static int
new_range(int place, int lookup, int count)
{
	if (nranges == ranges_size)
	{
		ranges_size = ranges_size ? ranges_size * 2 : 1024;
		ranges = must_alloc(realloc(ranges, ranges_size * sizeof(Range)));
	}
	ranges[nranges] = (Range) {
		.first = next_item, .count = count, .place = place, .lookup = lookup,
		.known = lookup == WR ? NOT_WRITTEN : ROLLED_BACK
	};
	next_item += count;
	return nranges++;
}

static void
end_items(Session *s, int from, Known known)
{
	for (int i = from; i < s->nopen; i++)
	{
		ranges[s->open[i]].known = known;
		if (known != COMMITTED || s->cleanup != NULL)
			continue;
		if (s->nunflushed == s->unflushed_size)
		{
			s->unflushed_size = s->unflushed_size ? s->unflushed_size * 2 : 64;
			s->unflushed = must_alloc(realloc(s->unflushed,
											  s->unflushed_size * sizeof(int)));
		}
		s->unflushed[s->nunflushed++] = s->open[i];
	}
	s->nopen = from;
}

static void
flushed(Session *s, int what)
{
	int64_t		now = calendar_us();
	int			kept = 0;

	for (int i = 0; i < s->nunflushed; i++)
	{
		Range	   *range = &ranges[s->unflushed[i]];

		if (range->place * LOOKUPS + range->lookup == what)
			range->flushed_us = now;
		else
			s->unflushed[kept++] = s->unflushed[i];
	}
	s->nunflushed = kept;
}

/* What is known of items once the step is over. */
static void
settle_items(Session *s, Step *step, bool ok, bool lost)
{
	if (step->range >= 0 && ranges[step->range].lookup == WR)
	{
		static const char *const not_executed =
			"08001 25006 55000 55P03 53300 57000 28P01 28000 53400";
		Range	   *range = &ranges[step->range];

		range->known = ok ? WRITTEN :
			range->count == 1 && !lost &&
			strstr(not_executed, s->failed_with) ? NOT_WRITTEN : MAYBE_WRITTEN;
	}
	else if (step->range >= 0 && ok)
		s->open[s->nopen++] = step->range;
	else if (step->range >= 0 && lost && step->end == COMMIT)
		ranges[step->range].known = UNKNOWN;

	if (lost)
		end_items(s, 0, step->end == COMMIT ? UNKNOWN : ROLLED_BACK);
	else if (!ok)
		end_items(s, 0, ROLLED_BACK);
	else if (step->end == COMMIT)
		end_items(s, 0, strcmp(s->tag, "ROLLBACK") == 0 ? ROLLED_BACK : COMMITTED);
	else if (step->end == ROLLBACK)
		end_items(s, 0, ROLLED_BACK);
	else if (step->end == MARK)
		s->mark = s->nopen;
	else if (step->end == TO_MARK)
		end_items(s, s->mark, ROLLED_BACK);
}

static void
settle_calls(const Session *s, const Step *step, bool ok, bool lost)
{
	for (int i = 0; i < step->ncalls; i++)
	{
		const Calls *calls = &step->calls[i];
		int64_t    *known = &sure[calls->place][calls->lookup];
		int64_t    *open = &unsure[calls->place][calls->lookup];

		ncalls_total += calls->settles ? 0 : calls->n;
		if (ok && calls->settles)
		{
			*known += calls->n;
			*open -= calls->n;
		}
		else if (calls->settles)
			;
		else if (ok && calls->exact)
			*known += calls->n;
		/* An answer may have come before what ended the statement. */
		else if (calls->n > 1 || ok || lost ||
				 strcmp(s->failed_with, "57014") == 0)
			*open += calls->n;
	}
}

/* ---- steps and scenes --------------------------------------------------- */

static Step *
new_step(Session *s, int place)
{
	Step	   *step = &s->steps[s->nsteps++];

	if (s->nsteps > STEPS_MAX)
		die("too many steps");
	clear(&step->sql);
	clear(&step->expected);
	step->any = false;
	step->place = place;
	step->must_fail[0] = '\0';
	step->may_fail = NULL;
	step->ncalls = 0;
	step->range = -1;
	step->end = NO_END;
	step->captures = false;
	step->flushes = -1;
	step->action = NO_ACTION;
	return step;
}

__attribute__((format(printf, 3, 4)))
static Step *
statement(Session *s, int place, const char *format, ...)
{
	Step	   *step = new_step(s, place);
	char		buffer[2048];
	va_list		args;

	va_start(args, format);
	vsnprintf(buffer, sizeof(buffer), format, args);
	va_end(args);
	append_bytes(&step->sql, buffer, strlen(buffer));
	return step;
}

static void
calls(Step *step, int place, int lookup, int n, bool exact)
{
	step->calls[step->ncalls++] = (Calls) {
		.place = place, .lookup = lookup, .n = n, .exact = exact
	};
}

/* A server, more often than not one that faults can be had from. */
static int
some_place(void)
{
	static const int places[] = {ONE, ONE, TWO, TWO, THREE, HERE};

	return places[below(6)];
}

static int
some_key(void)
{
	return one_in(20) ? KEYS + 1 + below(100) : 1 + below(KEYS);
}

static void
expect_v(Step *step, int place, int key)
{
	if (key <= KEYS)
		append(&step->expected, "%s:v%d", identity[place], key);
	else
		append(&step->expected, "~");
}

/* One call, in a statement of its own. */
static Step *
lone_call(Session *s, int place, int lookup, int key)
{
	const char *p = place_name[place];
	const char *who = identity[place];
	bool		there = key <= KEYS;
	Step	   *step = new_step(s, place);
	Text	   *sql = &step->sql;
	Text	   *expected = &step->expected;

	switch (lookup)
	{
		case V:
			append(sql, "SELECT %s.v(%d)", p, key);
			expect_v(step, place, key);
			break;
		case NUM:
			append(sql, "SELECT %s.num(%d)", p, key);
			append(expected, "%d.5", key * 7);
			break;
		case REC:
			append(sql, "SELECT * FROM %s.rec(%d)", p, key);
			append(expected, there ? "%d|%sv%d" : "~|~", key, who, key);
			break;
		case TAGS:
			append(sql, "SELECT * FROM %s.tags(%d)", p, key);
			for (int i = 1; i <= key % 5; i++)
				append(expected, "%s%s%d.%d", i > 1 ? "\n" : "", who, key, i);
			break;
		case ANYREC:
			append(sql, "SELECT * FROM %s.anyrec(%d) AS r(a int, b text)", p, key);
			append(expected, there ? "%d|v%d" : "~|~", key, key);
			break;
		case SC:
			append(sql, "SELECT %s.sc(%d)", p, key);
			append(expected, there ? "%d" : "~", key * 3);
			break;
		case DBL:
			append(sql, "SELECT %s.dbl(%d)", p, key);
			append(expected, "%d", key * 2);
			break;
		case SLOW:
			append(sql, "SELECT %s.slow(%d)", p, key);
			append(expected, "%s:s%d", who, key);
			break;
		case DV:
			append(sql, "SELECT %s.dv(%d)", p, key);
			if (key % 10 == 0)
				strcpy(step->must_fail, "22012");
			else
				append(expected, "%d", 1000 / (key % 10));
			break;
		case NEED:
			append(sql, "SELECT %s.need(%d)", p, key);
			if (there)
				append(expected, "%d", key);
			else
				strcpy(step->must_fail, "02000");
			break;
		case BIG:
			append(sql, "SELECT %s.big(%d) = repeat(md5('%d'), 3000)", p, key, key);
			append(expected, "t");
			break;
		case ARR:
			append(sql, "SELECT %s.arr('{%d,NULL,%d}', '2026-01-%02d', '{\"k\": %d}')",
				   p, key, key + 1, 1 + key % 28, key);
			append(expected, "%d,%d 2026-01-%02d %d", key, key + 1,
				   1 + key % 28, key);
			break;
		case KEYED:
			append(sql, "SELECT %s.keyed('%c%d')", p, one_in(2) ? 'A' : 'a', key % 50);
			append(expected, "%s:a%d", who, key % 50);
			break;
		case DEFINER:
			append(sql, "SELECT %s.definer(%d)", p, key);
			append(expected, "%s:d%d", who, key);
			break;
		default:
			die("no such lookup");
	}
	calls(step, place, lookup, 1, true);
	return step;
}

static void
single_scene(Session *s)
{
	static const int lookups[] = {V, V, V, NUM, REC, TAGS, ANYREC, SC, SC, DBL, NEED,
	ARR, KEYED, DEFINER, DV};

	for (int i = between(1, 6); i > 0; i--)
		lone_call(s, some_place(), lookups[below(15)], some_key());
}

/* Many sessions, few keys. */
static void
hot_scene(Session *s)
{
	int			place = some_place();

	for (int i = between(1, 3); i > 0; i--)
		lone_call(s, place, SLOW, 1 + below(3));
}

static void
big_scene(Session *s)
{
	lone_call(s, some_place(), BIG, some_key());
}

static void
expect_rows(Step *step, int place, int from, int n)
{
	for (int i = from; i < from + n; i++)
	{
		append(&step->expected, "%s%d|", i > from ? "\n" : "", i);
		expect_v(step, place, i);
	}
}

static void
scan_scene(Session *s)
{
	int			place = some_place();
	int			other = some_place();
	const char *p = place_name[place];
	int			n = s->by_row ? between(5, 50) :
		one_in(4) ? between(500, 1500) : between(5, 200);
	int			from = between(1, KEYS - 1600);
	Step	   *step;

	switch (below(8))
	{
		case 0:
		case 1:
			step = statement(s, place, "SELECT i, %s.v(i) FROM generate_series(%d, %d) i",
							 p, from, from + n - 1);
			expect_rows(step, place, from, n);
			calls(step, place, V, n, true);
			break;
		case 2:
			from = between(1, 3000 - n);
			step = statement(s, place,
							 "SELECT k.id, %s.sc(k.k) FROM keys k WHERE k.id BETWEEN %d AND %d ORDER BY k.id",
							 p, from, from + n - 1);
			for (int i = from; i < from + n; i++)
				append(&step->expected, "%s%d|%d", i > from ? "\n" : "", i,
					   (1 + (int) (i * INT64_C(7919) % KEYS)) * 3);
			calls(step, place, SC, n, true);
			break;
		case 3:
			step = statement(s, place,
							 "SELECT i, %s.v(i) FROM generate_series(%d, %d) i LIMIT %d",
							 p, from, from + n - 1, 1 + n / 3);
			expect_rows(step, place, from, 1 + n / 3);
			calls(step, place, V, n, false);
			break;
		case 4:
			step = statement(s, place,
							 "SELECT count(*), count(*) FILTER (WHERE %s.dbl(i) = 2 * i) FROM generate_series(%d, %d) i",
							 p, from, from + n - 1);
			append(&step->expected, "%d|%d", n, n);
			calls(step, place, DBL, n, true);
			break;
		case 5:
			step = statement(s, place,
							 "SELECT i, t FROM generate_series(%d, %d) i, %s.tags(i) t ORDER BY i, t",
							 from, from + n - 1, p);
			for (int i = from; i < from + n; i++)
			{
				for (int j = 1; j <= i % 5; j++)
					append(&step->expected, "%s%d|%s%d.%d",
						   step->expected.used ? "\n" : "", i, identity[place], i, j);
			}
			calls(step, place, TAGS, n, true);
			break;
		case 6:
			step = statement(s, -1,
							 "SELECT i, %s.v(i), %s.sc(i) FROM generate_series(%d, %d) i",
							 p, place_name[other], from, from + n - 1);
			for (int i = from; i < from + n; i++)
				append(&step->expected, "%s%d|%s:v%d|%d", i > from ? "\n" : "", i,
					   identity[place], i, i * 3);
			calls(step, place, V, n, true);
			calls(step, other, SC, n, true);
			break;
		default:
			/* a bad key among them */
			step = statement(s, place, "SELECT i, %s.dv(i) FROM generate_series(%d, %d) i",
							 p, from, from + 10);
			strcpy(step->must_fail, "22012");
			calls(step, place, DV, 30, false);
	}
}

static void
cursor_scene(Session *s)
{
	int			place = some_place();
	int			n = between(30, 300);
	int			from = between(1, KEYS - 400);
	Step	   *step;

	statement(s, -1, "BEGIN");
	step = statement(s, place,
					 "DECLARE c CURSOR FOR SELECT i, %s.v(i) FROM generate_series(%d, %d) i",
					 place_name[place], from, from + n - 1);
	calls(step, place, V, n, false);
	step = statement(s, place, "FETCH 12 FROM c");
	expect_rows(step, place, from, 12);
	step = statement(s, place, "FETCH 10 FROM c");
	expect_rows(step, place, from + 12, 10);
	if (one_in(2))
		statement(s, -1, "CLOSE c");
	statement(s, -1, one_in(4) ? "ROLLBACK" : "COMMIT");
}

static void
drum_scene(Session *s)
{
	int			place = some_place();
	int			n = between(5, 60);
	Step	   *step = statement(s, place, "SELECT %s.drum(%d, %d)", place_name[place],
								 below(KEYS), n);

	append(&step->expected, "%d", n);
	calls(step, place, V, n, true);
}

/* Bad keys among good ones, each in a subtransaction of its own. */
static void
careful_scene(Session *s)
{
	int			place = some_place();
	int			n = between(5, 40);
	Step	   *step = statement(s, place, "SELECT %s.careful(%d, %d)", place_name[place],
								 below(KEYS), n);

	append(&step->expected, "%d", n);
	calls(step, place, DV, n, false);
}

static void
prepared_scene(Session *s)
{
	int			place = some_place();
	Step	   *step;

	statement(s, place, "PREPARE q(int) AS SELECT %s.v($1), %s.sc($1)", place_name[place],
			  place_name[place]);
	s->cleanup = "DEALLOCATE ALL";
	for (int i = between(1, 8); i > 0; i--)
	{
		int			key = 1 + below(KEYS);

		step = statement(s, place, "EXECUTE q(%d)", key);
		expect_v(step, place, key);
		append(&step->expected, "|%d", key * 3);
		calls(step, place, V, 1, true);
		calls(step, place, SC, 1, true);
	}
}

static Step *
settling(Step *step, int place, int n)
{
	calls(step, place, V, n, true);
	step->calls[step->ncalls - 1].settles = true;
	return step;
}

static void
future_scene(Session *s)
{
	int			place = some_place();
	int			n = between(1, 40);
	int			from = between(1, KEYS - 50);
	bool		sub = one_in(4);
	Step	   *step;

	statement(s, -1, "BEGIN");
	if (sub)
		statement(s, -1, "SAVEPOINT f");
	step = statement(s, place, "SELECT concresce.submit('%s.v', i) FROM generate_series(%d, %d) i",
					 place_name[place], from, from + n - 1);
	step->captures = step->any = true;
	calls(step, place, V, n, false);
	switch (below(7))
	{
		case 0:
		case 1:
			step = settling(statement(s, place, "SELECT concresce.gather($ids)"), place, n);
			for (int i = from; i < from + n; i++)
				append(&step->expected, "%s%s:v%d", i > from ? "," : "{", identity[place], i);
			append(&step->expected, "}");
			break;
		case 2:
			for (int i = 0; i < n && i < 3; i++)
			{
				step = settling(statement(s, place, "SELECT concresce.await($id%d)", i), place, 1);
				expect_v(step, place, from + i);
			}
			break;
		case 3:
			step = settling(statement(s, place, "SELECT result FROM concresce.as_completed($ids)"
									  " ORDER BY array_position($ids, request)"), place, n);
			for (int i = from; i < from + n; i++)
			{
				append(&step->expected, i > from ? "\n" : "");
				expect_v(step, place, i);
			}
			break;
		case 4:
			statement(s, place, "SELECT concresce.wait($ids, 'first_completed', '50ms')")->any = true;
			statement(s, place, "SELECT concresce.cancel(VARIADIC $ids)")->any = true;
			break;
		case 5:
			/* some are taken, the others abandoned */
			step = settling(statement(s, place, "SELECT concresce.await($id0)"), place, 1);
			expect_v(step, place, from);
			break;
		default:
			;					/* abandoned, all of them */
	}
	if (sub)
		statement(s, -1, one_in(2) ? "ROLLBACK TO f" : "RELEASE f");
	statement(s, -1, one_in(3) ? "ROLLBACK" : "COMMIT");
}

/* ---- scenes that enqueue or write --------------------------------------- */

static Step *
enqueue(Session *s, int place, int lookup, int n, bool alone)
{
	int			range = new_range(place, lookup, n);
	int64_t		first = ranges[range].first;
	Step	   *step = statement(s, place,
								 "INSERT INTO committed SELECT generate_series(%lld, %lld);"
								 " SELECT count(concresce.enqueue('%s.%s', i)) FROM generate_series(%lld::bigint, %lld) i",
								 (long long) first, (long long) first + n - 1,
								 place_name[place], lookup_name[lookup],
								 (long long) first, (long long) first + n - 1);

	step->range = range;
	append(&step->expected, "%d", n);
	if (alone)
		step->end = COMMIT;
	return step;
}

static int
some_number_of_items(void)
{
	return one_in(40) ? between(300, 1500) : one_in(5) ? between(10, 60) : between(1, 4);
}

static int
some_writer(void)
{
	return one_in(12) ? EV_FORCED : EV;
}

static void
enqueue_scene(Session *s)
{
	const char *const full = one_in(8) ? "53400" : NULL;
	End			end = one_in(5) ? ROLLBACK : COMMIT;

	if (full != NULL)
	{
		statement(s, -1, "SET concresce.on_full = 'error'");
		s->cleanup = "RESET concresce.on_full";
	}
	if (one_in(3))
	{
		for (int i = between(1, 4); i > 0; i--)
			enqueue(s, some_place(), some_writer(), some_number_of_items(), true)->may_fail = full;
		return;
	}
	statement(s, -1, "BEGIN");
	for (int i = between(1, 3); i > 0; i--)
		enqueue(s, some_place(), some_writer(), some_number_of_items(), false);
	if (one_in(3))
	{
		statement(s, -1, "SAVEPOINT e")->end = MARK;
		enqueue(s, some_place(), some_writer(), some_number_of_items(), false);
		if (one_in(2))
			statement(s, -1, "ROLLBACK TO e")->end = TO_MARK;
		else
			statement(s, -1, "RELEASE e");
		enqueue(s, some_place(), some_writer(), some_number_of_items(), false);
	}
	if (one_in(4))
		lone_call(s, some_place(), V, some_key());
	if (one_in(20))
	{
		Step	   *step = statement(s, -1, "PREPARE TRANSACTION 'p%d'", s->number);

		strcpy(step->must_fail, "0A000");
		step->end = ROLLBACK;
		return;
	}
	if (one_in(12))
	{
		Step	   *step = statement(s, -1, "COMMIT");

		step->end = COMMIT;
		step->action = one_in(2) ? CANCEL : VANISH;
		step->action_ms = below(20);
		step->may_fail = full ? "53400 57014" : "57014";
		return;
	}
	{
		Step	   *step = statement(s, -1, end == COMMIT ? "COMMIT" : "ROLLBACK");

		step->end = end;
		step->may_fail = full;
	}
}

static void
flush_scene(Session *s)
{
	int			place = some_place();
	Step	   *step;

	enqueue(s, place, EV, some_number_of_items(), true);
	step = statement(s, place, "SELECT concresce.flush('%s.ev', '%ds')", place_name[place],
					 between(1, 10));
	step->any = true;
	step->may_fail = "57014";
	step->flushes = place * LOOKUPS + EV;
}

static void
write_scene(Session *s)
{
	int			place = some_place();
	int			n = one_in(4) ? between(2, 60) : 1;
	int			range = new_range(place, WR, n);
	long long	first = ranges[range].first;
	Step	   *step;

	if (n == 1)
		step = statement(s, place, "SELECT %lld, %s.wr(%lld)", first, place_name[place], first);
	else
		step = statement(s, place, "SELECT i, %s.wr(i) FROM generate_series(%lld::bigint, %lld) i",
						 place_name[place], first, first + n - 1);
	for (int i = 0; i < n; i++)
		append(&step->expected, "%s%lld|%lld", i ? "\n" : "", first + i, first + i + 1);
	step->range = range;
	calls(step, place, WR, n, true);
}

static void
revoked_scene(Session *s)
{
	statement(s, -1, "SET ROLE app_revoked");
	s->cleanup = "RESET ROLE";
	enqueue(s, some_place(), EV_REVOKED, between(1, 20), true);
}

/* ---- scenes that are cut short ------------------------------------------ */

static void
timeout_scene(Session *s)
{
	int			place = some_place();
	bool		own = one_in(2);

	statement(s, -1, "SET %s = '%dms'", own ? "concresce.timeout" : "statement_timeout",
			  between(1, 60));
	s->cleanup = own ? "RESET concresce.timeout" : "RESET statement_timeout";
	lone_call(s, place, one_in(3) ? V : SLOW, 100 + below(100))->may_fail = "57014";
}

/* Something that takes a while. */
static Step *
long_step(Session *s)
{
	int			place = some_place();
	int			n = between(5, 40);
	int			from = between(1, KEYS - 50);
	Step	   *step;

	switch (below(3))
	{
		case 0:
			return lone_call(s, place, SLOW, some_key());
		case 1:
			step = statement(s, place, "SELECT i, %s.slow(i) FROM generate_series(%d, %d) i",
							 place_name[place], from, from + n - 1);
			calls(step, place, SLOW, n, true);
			break;
		default:
			step = statement(s, place, "SELECT concresce.gather(array_agg(concresce.submit('%s.slow', i)))"
							 " FROM generate_series(%d, %d) i", place_name[place], from, from + n - 1);
			calls(step, place, SLOW, n, true);
	}
	step->any = true;
	return step;
}

static void
cancel_scene(Session *s)
{
	Step	   *step = long_step(s);

	step->action = CANCEL;
	step->action_ms = below(60);
	step->may_fail = "57014";
}

static void
vanish_scene(Session *s)
{
	Step	   *step;

	if (one_in(3))
	{
		statement(s, -1, "BEGIN");
		enqueue(s, some_place(), EV, some_number_of_items(), false);
	}
	step = long_step(s);
	step->action = VANISH;
	step->action_ms = below(60);
}

/* ---- other scenes ------------------------------------------------------- */

static void
role_scene(Session *s)
{
	statement(s, -1, "SET ROLE app_%c", one_in(2) ? 'a' : 'b');
	s->cleanup = "RESET ROLE";
	for (int i = between(1, 4); i > 0; i--)
		lone_call(s, some_place(), one_in(3) ? DV : one_in(2) ? KEYED : V, some_key());
	if (one_in(2))
		enqueue(s, some_place(), EV, some_number_of_items(), true);
}

/* A server that is dropped now and then. */
static void
four_scene(Session *s)
{
	for (int i = between(1, 3); i > 0; i--)
		lone_call(s, FOUR, one_in(2) ? V : SC, some_key());
	if (one_in(2))
		enqueue(s, FOUR, EV, between(1, 30), true);
}

/* Of what a server says that talks nonsense nothing is certain but that it ends. */
static void
bad_scene(Session *s)
{
	Step	   *step;

	if (one_in(10))
	{
		enqueue(s, BAD, EV, between(1, 3), true);
		return;
	}
	if (one_in(4))
	{
		int			from = between(1, KEYS - 200);

		step = statement(s, BAD, "SELECT i, bad.v(i) FROM generate_series(%d, %d) i", from, from + 100);
		/* each that fails is made once more */
		calls(step, BAD, V, 200, false);
	}
	else
		step = lone_call(s, BAD, below(SLOW), some_key());
	step->calls[0].exact = false;
	step->any = true;
	step->may_fail = "any";
}

static void
define_scene(Session *s)
{
	int			place = some_place();
	int			key = some_key();
	Step	   *step;

	statement(s, -1, "CREATE OR REPLACE FUNCTION own.f%d(n int) RETURNS text LANGUAGE concresce STABLE"
			  " SET concresce.server = '%s' AS 'SELECT w.name || n FROM public.who w'",
			  s->number, place == HERE ? "" : place_name[place]);
	for (int i = between(1, 3); i > 0; i--)
	{
		step = statement(s, place, "SELECT own.f%d(%d)", s->number, key);
		append(&step->expected, "%s%d", identity[place], key);
	}
	if (one_in(2))
		statement(s, -1, "DROP FUNCTION own.f%d", s->number);
}

static void
new_scene(Session *s)
{
	static const struct
	{
		void		(*scene) (Session *s);
		int			weight;
	}			scenes[] = {
		{single_scene, 25}, {hot_scene, 8}, {big_scene, 1}, {scan_scene, 10},
		{cursor_scene, 3}, {drum_scene, 8}, {future_scene, 10},
		{enqueue_scene, 14}, {flush_scene, 4}, {write_scene, 6},
		{revoked_scene, 1}, {timeout_scene, 4}, {cancel_scene, 4},
		{vanish_scene, 2}, {role_scene, 5}, {bad_scene, 3}, {define_scene, 1},
		{careful_scene, 3}, {prepared_scene, 4}, {four_scene, 2}
	};
	int			total = 0;
	int			lot;
	size_t		i;

	for (i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++)
		total += scenes[i].weight;
	lot = below(total);
	for (i = 0; lot >= scenes[i].weight; i++)
		lot -= scenes[i].weight;
	s->nsteps = s->at = 0;
	s->cleanup = NULL;
	s->cleaning = false;
	s->nids = 0;
	scenes[i].scene(s);
}

/* ---- running a session -------------------------------------------------- */

static void
go_down(Session *s, int after_ms)
{
	if (s->conn != NULL)
		PQfinish(s->conn);
	s->conn = NULL;
	s->state = DOWN;
	s->nsteps = s->at = 0;
	s->cleaning = false;
	s->nunflushed = 0;
	s->nopen = 0;
	s->hung = false;
	s->wake_ms = now_ms() + after_ms;
}

static void
ignore_notice(void *arg, const char *message)
{
	(void) arg;
	(void) message;
}

/* Settings that a session may have. None changes what anything returns. */
static const char *const habits[] = {
	"concresce.max_window=2ms", "concresce.max_window=30ms",
	"concresce.max_size=50", "concresce.max_size=100",
	"concresce.max_bytes=2kB", "concresce.coalesce=off",
	"concresce.coalesce=batch", "concresce.prepare=off",
	"concresce.isolate_errors=on", "concresce.enable_batchscan=off",
	"plan_cache_mode=force_generic_plan", "default_transaction_isolation=serializable",
	"DateStyle=german", "bytea_output=escape"
};

static void
start_connecting(Session *s)
{
	static Text text;

	clear(&text);
	append(&text, "%s options='-c concresce.timeout=5s -c statement_timeout=30s"
		   " -c client_min_messages=error", conninfo);
	for (size_t i = 0; i < sizeof(habits) / sizeof(habits[0]); i++)
	{
		if (one_in(8))
			append(&text, " -c %s", habits[i]);
	}
	s->by_row = strstr(text.bytes, "batchscan=off") != NULL;
	append(&text, "'");
	s->conn = PQconnectStart(text.bytes);
	if (s->conn == NULL)
		die("out of memory");
	s->polling = PQstatus(s->conn) == CONNECTION_BAD ?
		PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
	PQsetNoticeProcessor(s->conn, ignore_notice, NULL);
	s->state = CONNECTING;
	s->deadline_ms = now_ms() + LIMIT_MS;
}

static void
go_on_connecting(Session *s)
{
	if (s->polling != PGRES_POLLING_FAILED)
		s->polling = PQconnectPoll(s->conn);
	if (s->polling == PGRES_POLLING_OK)
	{
		s->state = IDLE;
		s->wake_ms = 0;
	}
	else if (s->polling == PGRES_POLLING_FAILED)
	{
		strcpy(s->failed_with, "CONN");
		if (!may_fail(NULL, "CONN"))
			finding("connection refused", s, PQerrorMessage(s->conn));
		go_down(s, 300);
	}
}

/* $ids becomes an array of the ids that were captured, $idN the n-th one. */
static void
put_ids(const Session *s, const char *sql, Text *out)
{
	const char *at;

	clear(out);
	while ((at = strstr(sql, "$id")) != NULL)
	{
		append_bytes(out, sql, at - sql);
		sql = at + 3;
		if (*sql == 's')
		{
			append(out, "ARRAY[");
			for (int i = 0; i < s->nids; i++)
				append(out, "%s%lld", i ? "," : "", (long long) s->ids[i]);
			append(out, "]::bigint[]");
			sql++;
		}
		else
			append(out, "%lld", (long long) s->ids[strtol(sql, (char **) &sql, 10)]);
	}
	append_bytes(out, sql, strlen(sql));
}

static void step_ended(Session *s);

static void
send_step(Session *s)
{
	static Text sql;
	Step	   *step = &s->steps[s->at];
	int64_t		now = now_ms();

	if (s->cleaning)
	{
		clear(&sql);
		if (PQtransactionStatus(s->conn) != PQTRANS_IDLE)
			append(&sql, "ROLLBACK;");
		if (s->cleanup != NULL)
			append(&sql, "%s", s->cleanup);
	}
	else
		put_ids(s, step->sql.bytes, &sql);
	clear(&s->got);
	s->failed_with[0] = s->tag[0] = s->message[0] = '\0';
	s->action_at_ms = !s->cleaning && step->action != NO_ACTION ?
		now + step->action_ms : 0;
	s->deadline_ms = now + LIMIT_MS;
	s->state = BUSY;
	nstatements++;

	if (!PQsendQuery(s->conn, sql.bytes))
		step_ended(s);
}

static void
keep_result(Session *s, PGresult *result)
{
	const Step *step = &s->steps[s->at];
	int			nrows = PQntuples(result);
	int			ncolumns = PQnfields(result);

	switch (PQresultStatus(result))
	{
		case PGRES_TUPLES_OK:
			for (int row = 0; row < nrows; row++)
			{
				if (s->got.used > 0)
					append_bytes(&s->got, "\n", 1);
				for (int column = 0; column < ncolumns; column++)
				{
					if (column > 0)
						append_bytes(&s->got, "|", 1);
					if (PQgetisnull(result, row, column))
						append_bytes(&s->got, "~", 1);
					else
						append_bytes(&s->got, PQgetvalue(result, row, column),
									 PQgetlength(result, row, column));
				}
				if (!s->cleaning && step->captures && s->nids < IDS_MAX)
					s->ids[s->nids++] = atoll(PQgetvalue(result, row, 0));
			}
			/* FALLTHROUGH */
		case PGRES_COMMAND_OK:
			snprintf(s->tag, sizeof(s->tag), "%s", PQcmdStatus(result));
			break;
		default:
			{
				const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

				if (s->failed_with[0] != '\0')
					break;		/* what follows an end of the session */
				snprintf(s->failed_with, sizeof(s->failed_with), "%s",
						 state ? state : "LOST");
				snprintf(s->message, sizeof(s->message), "%s %s", s->failed_with,
						 PQresultErrorMessage(result));
			}
	}
}

static void
check_step(Session *s, Step *step, bool lost)
{
	bool		ok = s->failed_with[0] == '\0';

	if (ok && step->must_fail[0] != '\0')
		finding("no error", s, step->must_fail);
	else if (ok && !step->any &&
			 (s->got.used != step->expected.used ||
			  (s->got.used > 0 &&
			   memcmp(s->got.bytes, step->expected.bytes, s->got.used) != 0)))
	{
		char		text[600];

		snprintf(text, sizeof(text), "got \"%.250s\", not \"%.250s\"",
				 s->got.used ? s->got.bytes : "", step->expected.used ? step->expected.bytes : "");
		finding("wrong row", s, text);
	}
	else if (!ok && strcmp(s->failed_with, step->must_fail) != 0 &&
			 !may_fail(step, s->failed_with))
		finding(lost ? "session lost" : "error", s, s->message);
	if (!ok && strcmp(s->failed_with, step->must_fail) != 0)
		nfailed++;
	settle_calls(s, step, ok, lost);
	settle_items(s, step, ok, lost);
	if (ok && step->flushes >= 0)
		flushed(s, step->flushes);
}

static void
next_step(Session *s, bool failed)
{
	if (s->cleaning)
		s->nsteps = s->at = 0;
	else
		s->at++;
	if (s->nsteps > 0 && (failed || s->at == s->nsteps))
	{
		if (s->cleanup != NULL ||
			PQtransactionStatus(s->conn) != PQTRANS_IDLE)
		{
			s->at = 0;
			s->cleaning = true;
		}
		else
			s->nsteps = s->at = 0;
	}
	else
		s->cleaning = false;
	s->state = IDLE;
	s->wake_ms = s->nsteps > 0 ? 0 : now_ms() + below(2 * think_ms + 1);
}

static void
step_ended(Session *s)
{
	bool		lost = PQstatus(s->conn) == CONNECTION_BAD;

	if (lost && s->failed_with[0] == '\0')
	{
		strcpy(s->failed_with, "LOST");
		snprintf(s->message, sizeof(s->message), "LOST %s", PQerrorMessage(s->conn));
	}
	if (!s->cleaning)
		check_step(s, &s->steps[s->at], lost);
	else
		end_items(s, 0, ROLLED_BACK);
	if (s->cleaning && s->failed_with[0] != '\0' && !may_fail(NULL, s->failed_with))
		finding("error", s, s->message);
	s->hung = false;
	if (lost)
		go_down(s, 100);
	else
		next_step(s, s->failed_with[0] != '\0');
}

static void
read_session(Session *s)
{
	if (!PQconsumeInput(s->conn))
	{
		PGresult   *result;

		while ((result = PQgetResult(s->conn)) != NULL)
		{
			keep_result(s, result);
			PQclear(result);
			if (PQstatus(s->conn) == CONNECTION_BAD)
				break;
		}
		step_ended(s);
		return;
	}
	while (!PQisBusy(s->conn))
	{
		PGresult   *result = PQgetResult(s->conn);

		if (result == NULL)
		{
			step_ended(s);
			return;
		}
		keep_result(s, result);
		PQclear(result);
	}
}

static void
act(Session *s)
{
	Step	   *step = &s->steps[s->at];

	s->action_at_ms = 0;
	if (step->action == VANISH)
	{
		strcpy(s->failed_with, "57014");
		settle_calls(s, step, false, true);
		settle_items(s, step, false, true);
		go_down(s, 0);
	}
	else
	{
		PGcancel   *cancel = PQgetCancel(s->conn);
		char		error[256];

		PQcancel(cancel, error, sizeof(error));
		PQfreeCancel(cancel);
	}
}

static void
hung(Session *s)
{
	char		text[2048];

	if (!s->hung)
	{
		snprintf(text, sizeof(text), "hang %d session %d: %.1500s", PQbackendPID(s->conn),
				 s->number, s->state == CONNECTING ? "connecting" :
				 s->cleaning ? "cleaning up" : s->steps[s->at].sql.bytes);
		print_line(text);
		s->hung = true;
		s->deadline_ms += 30000;
		return;
	}
	if (s->state == BUSY && !s->cleaning)
	{
		settle_calls(s, &s->steps[s->at], false, true);
		settle_items(s, &s->steps[s->at], false, true);
	}
	go_down(s, 0);
}

/* What is due now; when the next thing is. */
static int64_t
tick(Session *s, int64_t now)
{
	if (s->state == DOWN && !pausing && s->wake_ms <= now)
		start_connecting(s);
	if (s->state == CONNECTING && s->polling == PGRES_POLLING_FAILED)
		go_on_connecting(s);
	if (s->state == IDLE && s->wake_ms <= now && (s->nsteps > 0 || !pausing))
	{
		if (s->nsteps == 0)
			new_scene(s);
		send_step(s);
	}
	if (s->state == BUSY && s->action_at_ms != 0 && s->action_at_ms <= now)
		act(s);
	if ((s->state == BUSY || s->state == CONNECTING) && s->deadline_ms <= now)
		hung(s);
	switch (s->state)
	{
		case DOWN:
			return pausing ? INT64_MAX : s->wake_ms;
		case IDLE:
			return pausing && s->nsteps == 0 ? INT64_MAX : s->wake_ms;
		default:
			return s->action_at_ms != 0 && s->state == BUSY ? s->action_at_ms : s->deadline_ms;
	}
}

/* ---- commands ----------------------------------------------------------- */

static FILE *
open_file(const char *name)
{
	char		path[600];
	FILE	   *file;

	snprintf(path, sizeof(path), "%s/%s", pause_folder, name);
	file = fopen(path, "w");
	if (file == NULL)
		die(path);
	return file;
}

static void
write_down(void)
{
	FILE	   *file = open_file("items");

	for (int i = 0; i < nranges; i++)
		fprintf(file, "%lld\t%d\t%s\t%s\t%s\t%lld\n", (long long) ranges[i].first,
				ranges[i].count, place_name[ranges[i].place], lookup_name[ranges[i].lookup],
				known_name[ranges[i].known], (long long) ranges[i].flushed_us);
	fclose(file);
	file = open_file("law");
	for (int place = 0; place < PLACES; place++)
	{
		for (int lookup = 0; lookup < LOOKUPS; lookup++)
			fprintf(file, "%s\t%s\t%lld\t%lld\n", place_name[place], lookup_name[lookup],
					(long long) sure[place][lookup], (long long) unsure[place][lookup]);
	}
	fclose(file);
	memset(sure, 0, sizeof(sure));
	memset(unsure, 0, sizeof(unsure));
	nranges = 0;
	/* What a session has enqueued is kept in mind for its next flush. */
	for (int i = 0; i < nsessions; i++)
		go_down(&sessions[i], 0);
	printf("paused %lld %lld %lld\n", (long long) ncalls_total, (long long) nstatements,
		   (long long) nfailed);
	fflush(stdout);
}

static bool
all_paused(void)
{
	for (int i = 0; i < nsessions; i++)
	{
		if (sessions[i].state == BUSY || sessions[i].state == CONNECTING ||
			sessions[i].nsteps > 0)
			return false;
	}
	return true;
}

static void
command(char *line)
{
	char		id[16];
	char		place[16];
	char		states[256];

	if (sscanf(line, "allow %15s %15s %255[^\n]", id, place, states) == 3)
		allow(id, place, states);
	else if (sscanf(line, "disallow %15s", id) == 1)
		disallow(id);
	else if (sscanf(line, "pause %511s", pause_folder) == 1)
		pausing = true;
	else if (strcmp(line, "resume") == 0)
		pausing = false;
	else if (strcmp(line, "quit") == 0)
		exit(0);
	else
		die(line);
}

static void
read_commands(void)
{
	static char buffer[8192];
	static size_t used;
	ssize_t		n = read(STDIN_FILENO, buffer + used, sizeof(buffer) - used - 1);
	char	   *start = buffer;
	char	   *end;

	if (n <= 0)
		exit(0);
	used += n;
	buffer[used] = '\0';
	while ((end = strchr(start, '\n')) != NULL)
	{
		*end = '\0';
		command(start);
		start = end + 1;
	}
	used -= start - buffer;
	memmove(buffer, start, used);
}

/* ---- the loop ----------------------------------------------------------- */

int
main(int argc, char **argv)
{
	static struct pollfd fds[SESSIONS_MAX + 1];
	static Session *owners[SESSIONS_MAX + 1];
	bool		written = true;

	if (argc != 5)
		die("usage: sessions CONNINFO NSESSIONS SEED THINK_MS");
	conninfo = argv[1];
	nsessions = atoi(argv[2]);
	random_state = strtoull(argv[3], NULL, 10) * UINT64_C(0x9E3779B97F4A7C15) + 1;
	think_ms = atoi(argv[4]);
	if (nsessions < 1 || nsessions > SESSIONS_MAX)
		die("too many sessions");
	signal(SIGPIPE, SIG_IGN);
	pausing = true;
	for (int i = 0; i < nsessions; i++)
		sessions[i].number = i;

	while (true)
	{
		int64_t		now = now_ms();
		int64_t		next = now + 1000;
		int			nfds = 1;

		fds[0] = (struct pollfd) {.fd = STDIN_FILENO, .events = POLLIN};
		for (int i = 0; i < nsessions; i++)
		{
			Session    *s = &sessions[i];
			int64_t		due = tick(s, now);

			if (due < next)
				next = due;
			if (s->state == DOWN || s->state == IDLE)
				continue;
			owners[nfds] = s;
			fds[nfds++] = (struct pollfd) {
				.fd = PQsocket(s->conn),
				.events = s->state == CONNECTING && s->polling == PGRES_POLLING_WRITING ?
					POLLOUT : POLLIN
			};
		}
		if (!pausing)
			written = false;
		else if (!written && all_paused())
		{
			write_down();
			written = true;
		}
		if (poll(fds, nfds, next > now ? (int) (next - now) : 0) < 0 && errno != EINTR)
			die("poll");
		if (fds[0].revents)
			read_commands();
		for (int i = 1; i < nfds; i++)
		{
			Session    *s = owners[i];

			if (fds[i].revents == 0)
				continue;
			if (s->state == CONNECTING)
				go_on_connecting(s);
			else if (s->state == BUSY)
				read_session(s);
		}
	}
}
