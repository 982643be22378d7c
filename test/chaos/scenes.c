/*-------------------------------------------------------------------------
 *
 * scenes.c
 *	  What the sessions do: scenes of a few steps, made up beforehand.
 *
 *-------------------------------------------------------------------------
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "session.h"

/* ---- steps --------------------------------------------------------------- */

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
	int64_t		first;
	int			range = new_range(place, lookup, n, &first);
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
		lone_call(s, some_place(), V, some_key())->may_fail = full;
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
	int64_t		first_item;
	int			range = new_range(place, WR, n, &first_item);
	long long	first = first_item;
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

void
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
