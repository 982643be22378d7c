-- Lookups without a server run in this database: in an executor.
SET client_min_messages = warning;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN small AS int CHECK (VALUE < 1000);
CREATE TABLE users (id bigint PRIMARY KEY, name text, score int, mood mood, born date);
INSERT INTO users SELECT i, 'user ' || i, i * 10, 'ok', date '2000-01-01' + i FROM generate_series(1, 200) i;
CREATE TABLE tags (user_id bigint, tag text);
INSERT INTO tags VALUES (1, 'a'), (1, 'b'), (2, 'c');

-- the single form
CREATE FUNCTION score(user_id bigint) RETURNS int LANGUAGE concresce STABLE STRICT
AS $$ SELECT score FROM users WHERE id = user_id $$;
SELECT score(42), score(7), score(1000), score(NULL);
SELECT sum(score(id)) FROM generate_series(1, 200) id;
-- no arguments; one result
CREATE FUNCTION total() RETURNS bigint LANGUAGE concresce STABLE AS 'SELECT count(*) FROM users';
SELECT total();
-- sets, composites, records
CREATE FUNCTION tags_of(u bigint) RETURNS SETOF text LANGUAGE concresce STABLE
AS 'SELECT tag FROM tags WHERE user_id = u ORDER BY tag DESC';
SELECT * FROM tags_of(1);
SELECT * FROM tags_of(3);
CREATE FUNCTION info(u bigint, OUT name text, OUT mood mood, OUT born date) LANGUAGE concresce STABLE
AS 'SELECT x.name, x.mood, x.born FROM users x WHERE x.id = u';
SELECT * FROM info(5);
CREATE FUNCTION person(u bigint) RETURNS users LANGUAGE concresce STABLE AS 'SELECT x FROM users x WHERE x.id = u';
SELECT * FROM person(6);
CREATE FUNCTION any_of(u bigint) RETURNS record LANGUAGE concresce STABLE AS 'SELECT x.name, x.score FROM users x WHERE x.id = u';
SELECT * FROM any_of(7) AS t(name text, score int);
-- arguments of all kinds
CREATE FUNCTION kinds(a int[], p pair, m mood, d small, t timestamptz, j jsonb, n numeric, i interval) RETURNS text
LANGUAGE concresce STABLE AS $$ SELECT concat_ws('|', a[2], (p).b, m, d, extract(year FROM t), j->>'k', n, i) $$;
SELECT kinds('{1,2}', (3, 'three'), 'happy', 4, '2020-02-03 04:05+00', '{"k": "v"}', 1.50, '-1 day 2 hours');
SELECT kinds(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

-- Dates come as they are, whatever the styles of the two sides: as binary
-- values, as text beside a type that has no common binary form, and within it.
CREATE FUNCTION dates(OUT d date, OUT i interval, OUT f float8) LANGUAGE concresce STABLE SET datestyle = 'SQL, DMY'
AS $$ SELECT date '1999-02-03', make_interval(days => -1, hours => 2), 0.1::float8 + 0.2 $$;
CREATE FUNCTION dates_and_mood(OUT d date, OUT i interval, OUT f float8, OUT m mood) LANGUAGE concresce STABLE
SET datestyle = 'SQL, DMY' SET intervalstyle = 'sql_standard' SET extra_float_digits = 0
AS $$ SELECT date '1999-02-03', make_interval(days => -1, hours => 2), 0.1::float8 + 0.2, 'sad' $$;
CREATE FUNCTION range_of() RETURNS tstzrange LANGUAGE concresce STABLE SET datestyle = 'SQL, DMY'
AS $$ SELECT tstzrange(timestamptz '1999-02-03 00:00+00', NULL) $$;
SELECT * FROM dates();
SELECT * FROM dates_and_mood();
SELECT range_of();
SET datestyle = 'SQL, MDY';
SELECT * FROM dates();
SELECT * FROM dates_and_mood();
RESET datestyle;

-- the bulk form: keyed, with NULL keys, a set, positional
CREATE FUNCTION keyed(u bigint) RETURNS int LANGUAGE concresce STABLE
AS 'SELECT id, score FROM users WHERE id = ANY (collect(u)) ORDER BY id DESC';
SELECT keyed(3), keyed(1000), keyed(NULL);
CREATE FUNCTION keyed_set(u bigint) RETURNS SETOF text LANGUAGE concresce STABLE
AS 'SELECT user_id, tag FROM tags WHERE user_id = ANY (collect(u)) ORDER BY tag DESC';
SELECT u, t FROM generate_series(1, 3) u LEFT JOIN LATERAL keyed_set(u) t ON true;
CREATE FUNCTION positional(x bigint) RETURNS bigint LANGUAGE concresce STABLE
AS 'SELECT x * 2 FROM unnest(collect(x)) WITH ORDINALITY AS u(x, n) ORDER BY n';
SELECT positional(21);
-- a bulk function in PL/pgSQL stands behind a lookup
CREATE FUNCTION bulk_scores(ids bigint[]) RETURNS TABLE (id bigint, score int) LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1 .. cardinality(ids) LOOP
    RETURN QUERY SELECT ids[i], (ids[i] * 10)::int WHERE ids[i] < 100;
  END LOOP;
END $$;
CREATE FUNCTION behind(u bigint) RETURNS int LANGUAGE concresce STABLE AS 'SELECT * FROM bulk_scores(collect(u))';
SELECT behind(4), behind(400);

-- writes
CREATE TABLE events (kind text, body jsonb, by_whom name DEFAULT current_user);
CREATE FUNCTION log_event(kind text, body jsonb) RETURNS void LANGUAGE concresce VOLATILE
AS 'INSERT INTO events SELECT * FROM unnest(collect(kind), collect(body))';
SELECT log_event('a', '{"n": 1}');
SELECT log_event('b', NULL);
SELECT kind, body FROM events;
CREATE FUNCTION new_user(u bigint) RETURNS bigint LANGUAGE concresce VOLATILE
AS 'INSERT INTO users SELECT u FROM unnest(collect(u)) u RETURNING id, id + 1';
SELECT new_user(1001);
SELECT new_user(1001);
-- a lookup that is not VOLATILE does not
CREATE FUNCTION sneaky(u bigint) RETURNS bigint LANGUAGE concresce STABLE
AS 'INSERT INTO users SELECT u FROM unnest(collect(u)) u RETURNING id, id + 1';

-- a transaction of its own: what the caller has not committed is not seen
BEGIN;
INSERT INTO users VALUES (2000, 'me', 1);
SELECT score(2000);
COMMIT;
SELECT score(2000);

-- errors: state, detail, hint and where
CREATE FUNCTION ratio(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT 100 / n';
SELECT ratio(0);
CREATE FUNCTION fails(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'no %', n USING ERRCODE = 'P4711', DETAIL = 'some detail', HINT = 'some hint';
END $$;
CREATE FUNCTION failing(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT fails(n)';
DO $$
DECLARE state text; msg text; det text; hin text; con text;
BEGIN
  PERFORM failing(1);
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, msg = MESSAGE_TEXT, det = PG_EXCEPTION_DETAIL, hin = PG_EXCEPTION_HINT, con = PG_EXCEPTION_CONTEXT;
  RAISE WARNING '% | % | % | % | %', state, msg, det, hin, split_part(con, E'\nSQL statement', 1);
END $$;
CREATE FUNCTION nowhere(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT x FROM no_such_table WHERE y = n';
SELECT nowhere(1);
CREATE FUNCTION two(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT 1 UNION ALL SELECT 2';
SELECT two(1);
CREATE FUNCTION columns(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT 1, 2';
SELECT columns(1);
SET concresce.on_missing = error;
SELECT score(100000);
RESET concresce.on_missing;
SET concresce.timeout = 1000;
CREATE FUNCTION slow() RETURNS text LANGUAGE concresce STABLE AS 'SELECT pg_sleep(60)::text';
SELECT slow();
RESET concresce.timeout;

-- results of many sizes
CREATE FUNCTION large(n int) RETURNS text LANGUAGE concresce STABLE AS $$ SELECT repeat('x', n) $$;
SELECT length(large(n)) FROM unnest(ARRAY[0, 1, 5000, 100000, 3000000]) n;
CREATE FUNCTION many(n int) RETURNS SETOF int LANGUAGE concresce STABLE AS 'SELECT generate_series(1, n)';
SELECT count(*), sum(m) FROM many(100000) m;
SELECT length(large(100000000));
CREATE FUNCTION measure(t text) RETURNS int LANGUAGE concresce STABLE AS 'SELECT length(t)';
SELECT measure(repeat('x', 20000000)), measure('');

-- the caller's search_path, and the function's settings
CREATE SCHEMA one;
CREATE SCHEMA two;
CREATE TABLE one.t AS SELECT 'one' AS x;
CREATE TABLE two.t AS SELECT 'two' AS x;
CREATE FUNCTION which() RETURNS text LANGUAGE concresce STABLE AS 'SELECT x FROM t';
CREATE FUNCTION pinned() RETURNS text LANGUAGE concresce STABLE SET search_path = two AS 'SELECT x FROM t';
SET search_path = public, one;
SELECT which(), pinned();
SET search_path = public, two;
SELECT which(), pinned();
RESET search_path;
CREATE FUNCTION setting(s text) RETURNS text LANGUAGE concresce STABLE
SET work_mem = '1234kB' SET timezone = 'Asia/Tokyo' SET concresce.max_window = 1 AS 'SELECT current_setting(s)';
SELECT setting('work_mem'), setting('timezone'), setting('concresce.max_window'), setting('application_name');
ALTER FUNCTION setting SET work_mem = '2345kB';
SELECT setting('work_mem');
ALTER FUNCTION setting RESET work_mem;
SELECT setting('work_mem') = current_setting('work_mem');
DO $$
BEGIN
  ALTER FUNCTION setting SET standard_conforming_strings = off;
EXCEPTION WHEN feature_not_supported THEN NULL;  -- since 19
END $$;
SELECT setting('work_mem\');
-- a table that changes, a function that changes
SELECT score(1);
ALTER TABLE users ALTER score TYPE bigint;
SELECT score(1);
ALTER TABLE users ALTER score TYPE text;
SELECT score(1);
CREATE FUNCTION in_earnest(u bigint) RETURNS text LANGUAGE concresce VOLATILE AS 'SELECT score FROM users WHERE id = u';
SELECT in_earnest(1);
ALTER TABLE users ALTER score TYPE int USING score::int;
SELECT in_earnest(1);
SELECT in_earnest(1);
ALTER TABLE users ALTER score TYPE text;
CREATE OR REPLACE FUNCTION score(user_id bigint) RETURNS int LANGUAGE concresce STABLE STRICT
AS $$ SELECT score::int + 1 FROM users WHERE id = user_id $$;
SELECT score(1);

-- without prepared statements
SET concresce.prepare = off;
SELECT score(2), keyed_set(1), total();
RESET concresce.prepare;

-- A server that is set wins, and '' is none.
SET concresce.server = 'nowhere';
SELECT total();
ALTER FUNCTION total SET concresce.server = '';
SELECT total();
RESET concresce.server;

-- identical calls share; concresce.key; forget
SELECT concresce.forget('score', 1);
ALTER FUNCTION score SET concresce.key = 'user_id % 2';
SELECT score(3);
ALTER FUNCTION score RESET concresce.key;

-- what calls a local lookup within one
CREATE FUNCTION recursive(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT CASE WHEN n > 0 THEN recursive(n - 1) ELSE 0 END';
SELECT recursive(0);
SELECT recursive(1);
CREATE FUNCTION outer_one(n bigint) RETURNS int LANGUAGE concresce STABLE AS 'SELECT score(n)';
SELECT outer_one(1);

-- also in a parallel worker of it
CREATE TABLE wide AS SELECT i AS n FROM generate_series(1, 10000) i;
ALTER TABLE wide SET (parallel_workers = 2);
ALTER FUNCTION score PARALLEL SAFE;
CREATE FUNCTION in_parallel() RETURNS bigint LANGUAGE concresce STABLE
SET parallel_setup_cost = 0 SET parallel_tuple_cost = 0 SET min_parallel_table_scan_size = 0 SET parallel_leader_participation = off
AS 'SELECT sum(score(n)) FROM wide';
\set SHOW_CONTEXT never
SELECT in_parallel();
\set SHOW_CONTEXT errors

-- watching
SELECT function, server, calls, batches, errors FROM concresce.stats WHERE function::text IN ('total()', 'ratio(integer)') ORDER BY function::text;
SELECT concresce.remote_sql('total');

DROP FUNCTION score, total, tags_of, info, person, any_of, kinds, dates, dates_and_mood, range_of, keyed, keyed_set,
  positional, bulk_scores, behind, log_event, new_user, ratio, fails, failing, nowhere, two, columns, slow, large, many, measure,
  which, pinned, setting, recursive, outer_one, in_parallel, in_earnest;
DROP TABLE wide, users, tags, events;
DROP SCHEMA one, two CASCADE;
DROP TYPE mood, pair, small;
