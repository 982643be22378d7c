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
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "session.h"

#define SESSIONS_MAX	500
#define ALLOWANCES_MAX	64
#define LIMIT_MS		45000	/* more than any timeout in play */
#define SLOW_MS			3000	/* more than anything takes without a fault */
#define VERY_SLOW_MS	15000	/* and with one */
#define GRACE_MS		12000	/* a fault may be felt for so long after it */
#define SHOWN_MAX		5		/* findings that are alike */

const char *const place_name[] = {"here", "one", "two", "three", "four", "bad"};
const char *const identity[] = {"here", "far1", "far2", "far2", "far1", "far1"};
const char *const lookup_name[] = {
	"v", "num", "rec", "tags", "anyrec", "sc", "dbl", "slow", "dv", "need",
	"big", "arr", "keyed", "definer", "wr", "ev", "ev_forced", "ev_revoked"
};

static const char *const known_name[] = {
	"open", "committed", "rolled back", "unknown", "written", "not written",
	"maybe written"
};

/* By the client's own account. */
static int64_t sure[PLACES][LOOKUPS];
static int64_t unsure[PLACES][LOOKUPS];

static Range *ranges;
static int	nranges;
static int	ranges_size;
static int64_t next_item = 1;

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

void
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
int
below(int n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (int) ((random_state >> 16) % (uint64_t) n);
}

bool
one_in(int n)
{
	return below(n) == 0;
}

int
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

void
clear(Text *text)
{
	text->used = 0;
	if (text->size > 0)
		text->bytes[0] = '\0';
}

void
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

void
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

int
new_range(int place, int lookup, int count, int64_t *first)
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
	*first = next_item;
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
		/* An answer may have come before, or beside, what ended the statement. */
		else if (calls->n > 1 || step->ncalls > 1 || ok || lost ||
				 strcmp(s->failed_with, "57014") == 0)
			*open += calls->n;
	}
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
	s->slow_at_ms = now + SLOW_MS;
	s->very_slow = false;
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
	/* A timeout of a millisecond may have hit what ends it. */
	if (s->cleaning && failed)
	{
		s->state = IDLE;
		s->wake_ms = 0;
		return;
	}
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
	if (s->cleaning && s->failed_with[0] != '\0' &&
		strcmp(s->failed_with, "57014") != 0 && !may_fail(NULL, s->failed_with))
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

/*
 * What does it wait for, if no fault is under way that explains it, or if it
 * takes longer than that?
 */
static void
slow(Session *s, int64_t now)
{
	char		text[2048];
	bool		very_slow = s->very_slow;

	s->slow_at_ms = very_slow ? 0 : now + VERY_SLOW_MS - SLOW_MS;
	s->very_slow = true;
	if (s->cleaning || (!very_slow && may_fail(&s->steps[s->at], "57014")))
		return;
	snprintf(text, sizeof(text), "slow %d session %d: %.1500s", PQbackendPID(s->conn),
			 s->number, s->steps[s->at].sql.bytes);
	print_line(text);
}

static int64_t
next_deadline(const Session *s)
{
	int64_t		next = s->deadline_ms;

	if (s->state == BUSY && s->action_at_ms != 0 && s->action_at_ms < next)
		next = s->action_at_ms;
	if (s->state == BUSY && s->slow_at_ms != 0 && s->slow_at_ms < next)
		next = s->slow_at_ms;
	return next;
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
	if (s->state == BUSY && s->slow_at_ms != 0 && s->slow_at_ms <= now)
		slow(s, now);
	if ((s->state == BUSY || s->state == CONNECTING) && s->deadline_ms <= now)
		hung(s);
	switch (s->state)
	{
		case DOWN:
			return pausing ? INT64_MAX : s->wake_ms;
		case IDLE:
			return pausing && s->nsteps == 0 ? INT64_MAX : s->wake_ms;
		default:
			return next_deadline(s);
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
