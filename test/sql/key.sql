--
-- concresce.key: what identifies a call, in place of all arguments.
--
SET client_min_messages = warning;
CREATE SCHEMA far;
DO $$
BEGIN
  EXECUTE format('CREATE SERVER far FOREIGN DATA WRAPPER concresce '
                 'OPTIONS (host %L, port %L, dbname %L, options %L)',
                 split_part(current_setting('unix_socket_directories'), ',', 1),
                 current_setting('port'), current_database(), '-csearch_path=far');
END $$;
CREATE USER MAPPING FOR CURRENT_USER SERVER far;
SET concresce.server = 'far';

CREATE EXTENSION dblink;
CREATE SEQUENCE far.runs;
CREATE FUNCTION far.run(t text) RETURNS text LANGUAGE sql VOLATILE
AS $$
  SELECT t || ' ' || run
  FROM public.dblink(format('host=%s port=%s dbname=%s', split_part(current_setting('unix_socket_directories'), ',', 1),
                            current_setting('port'), current_database()),
                     $q$SELECT nextval('far.runs')$q$) AS d(run bigint)
$$;
CREATE FUNCTION run(a text, b int) RETURNS text LANGUAGE concresce STABLE AS 'SELECT run(a || b)';
CREATE FUNCTION unnamed(text, int) RETURNS text LANGUAGE concresce STABLE AS 'SELECT run($1 || $2)';

-- Three calls in one batch, each in a session of its own: how many were run?
CREATE FUNCTION runs(key text, size int, VARIADIC calls text[]) RETURNS TABLE (answers text[], runs int)
LANGUAGE plpgsql AS $$
DECLARE
  conn text := format('host=%s port=%s dbname=%s',
                      split_part(current_setting('unix_socket_directories'), ',', 1),
                      current_setting('port'), current_database());
  before bigint := nextval('far.runs');
  answer text;
BEGIN
  PERFORM dblink_exec(conn, format('ALTER FUNCTION run SET concresce.key = %L', key));
  PERFORM dblink_exec(conn, format('ALTER FUNCTION unnamed SET concresce.key = %L', key));
  FOR i IN 1 .. array_length(calls, 1) LOOP
    PERFORM dblink_connect('s' || i, conn);
    PERFORM dblink_exec('s' || i, format('SET concresce.server = far; SET concresce.max_window = ''60s'';
                                          SET concresce.max_size = %s', size));
    PERFORM dblink_send_query('s' || i, 'SELECT ' || calls[i]);
    -- one after the other, so that the first to come is known
    WHILE (SELECT count(*) FILTER (WHERE state <> 'submitted') FROM concresce.in_flight) < least(i, array_length(calls, 1) - 1) LOOP
      PERFORM pg_sleep(0.001);
    END LOOP;
  END LOOP;
  FOR i IN 1 .. array_length(calls, 1) LOOP
    SELECT split_part(r, ' ', 1) INTO answer FROM dblink_get_result('s' || i) AS t(r text);
    answers := answers || answer;
    PERFORM dblink_disconnect('s' || i);
  END LOOP;
  runs := nextval('far.runs') - before - 1;
  RETURN NEXT;
END $$;

-- none, all arguments
SELECT * FROM runs('', 3, $$run('x', 1)$$, $$run('X', 1)$$, $$run('x', 1)$$, $$run('x', 2)$$);
-- the first caller's arguments win
SELECT * FROM runs('lower(a), b', 2, $$run('x', 1)$$, $$run('X', 1)$$, $$run('x', 2)$$);
SELECT * FROM runs('lower(a)', 2, $$run('Q', 1)$$, $$run('q', 2)$$, $$run('Q', 3)$$, $$run('r', 4)$$);
SELECT * FROM runs('lower($1)', 2, $$unnamed('Q', 1)$$, $$unnamed('q', 2)$$, $$unnamed('r', 4)$$);
SELECT * FROM runs('run.b % 10', 2, $$run('a', 1)$$, $$run('b', 11)$$, $$run('c', 2)$$);
-- NULL is a key
SELECT * FROM runs('nullif(b, 1), nullif(b, 2)', 2, $$run('a', 1)$$, $$run('b', 1)$$, $$run('c', 2)$$);
-- a key of many types
SELECT * FROM runs('ROW(lower(a), b), ARRAY[b], a = '''', b::numeric', 2, $$run('a', 1)$$, $$run('A', 1)$$, $$run('A', 2)$$);

-- keys that are none
ALTER FUNCTION run SET concresce.key = 'lower(';
SELECT run('a', 1);
\echo :LAST_ERROR_SQLSTATE
ALTER FUNCTION run SET concresce.key = 'c';
SELECT run('a', 1);
\echo :LAST_ERROR_SQLSTATE
ALTER FUNCTION run SET concresce.key = 'other.a';
SELECT run('a', 1);
ALTER FUNCTION run SET concresce.key = '$3';
SELECT run('a', 1);
ALTER FUNCTION run SET concresce.key = 'a FROM pg_class';
SELECT run('a', 1);
\echo :LAST_ERROR_SQLSTATE
ALTER FUNCTION run SET concresce.key = 'a; DROP TABLE x';
SELECT run('a', 1);
ALTER FUNCTION run SET concresce.key = 'a, b UNION SELECT 1, 2';
SELECT run('a', 1);
ALTER FUNCTION run SET concresce.key = 'a WHERE true';
SELECT run('a', 1);
ALTER FUNCTION run SET concresce.key = '*';
SELECT run('a', 1);
ALTER FUNCTION run SET concresce.key = '''x''';
SELECT run('a', 1);
ALTER FUNCTION run SET concresce.key = ' ';
SELECT run('a', 1);
ALTER FUNCTION run SET concresce.key = 'random()';
SELECT run('a', 1);
ALTER FUNCTION run SET concresce.key = 'now()';
SELECT run('a', 1);
ALTER FUNCTION run SET concresce.key = 'a::date';
SELECT run('2026-01-01', 1);
ALTER FUNCTION run SET concresce.key = '(SELECT a)';
SELECT run('a', 1);
ALTER FUNCTION run SET concresce.key = 'max(a)';
SELECT run('a', 1);
ALTER FUNCTION run SET concresce.key = 'row_number() OVER ()';
SELECT run('a', 1);
ALTER FUNCTION run SET concresce.key = 'generate_series(1, b)';
SELECT run('a', 1);
ALTER FUNCTION run SET concresce.key = 'nosuch(a)';
\set VERBOSITY terse
SELECT run('a', 1);
\set VERBOSITY default
ALTER FUNCTION run SET concresce.key = '1 / b';
SELECT run('a', 0);
SELECT run('a', 1) IS NOT NULL AS fine;
ALTER FUNCTION run RESET concresce.key;
SELECT run('a', 1) IS NOT NULL AS fine;

ALTER FUNCTION run SET concresce.key = 'run.*';
SELECT run('a', 1);
ALTER FUNCTION run SET concresce.key = '(ROW(a)).*';
SELECT run('a', 1);
ALTER FUNCTION run RESET concresce.key;

-- names are those of pg_catalog, whatever the session's search_path: nobody
-- can have a lower() of his own decide what another session's call is
CREATE SCHEMA mine;
CREATE FUNCTION mine.lower(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'x' $$;
CREATE FUNCTION mine.same(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'x' $$;
SET search_path = mine, pg_catalog, public;
SELECT lower('ABC');
RESET search_path;
SELECT * FROM runs('lower(a)', 2, $$run('a', 1) FROM set_config('search_path', 'mine, pg_catalog, public', false)$$,
  $$run('A', 1)$$, $$run('b', 2)$$);
ALTER FUNCTION run SET concresce.key = 'same(a)';
SET search_path = mine, public;
\set VERBOSITY terse
SELECT run('a', 1);
\set VERBOSITY default
ALTER FUNCTION run SET concresce.key = 'mine.same(a)';
SELECT run('a', 1) IS NOT NULL AS fine;
ALTER FUNCTION run RESET concresce.key;
RESET search_path;
DROP SCHEMA mine CASCADE;

-- forget() uses the key as well
ALTER FUNCTION run SET concresce.key = 'lower(a)';
SELECT run('a', 1) IS NOT NULL AS fine;
SELECT concresce.forget('run', 'A', 1);
SELECT concresce.forget('run', 'A'::text, 1::int);
-- a mutable function is refused although its owner trusts it
ALTER FUNCTION run SET concresce.key = 'clock_timestamp()';
SELECT run('a', 1);

-- an expression may call the very lookup that it is the key of
CREATE FUNCTION within(a text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF current_setting('ccr_test.inside', true) = a THEN
    RETURN length(a);
  END IF;
  PERFORM set_config('ccr_test.inside', a, true);
  PERFORM public.run(a, 1);
  PERFORM set_config('ccr_test.inside', '', true);
  RETURN length(a);
END $$;
ALTER FUNCTION run SET concresce.key = 'public.within(a)';
SELECT run('abc', 1) IS NOT NULL AS fine;
SELECT run('abc', 1) IS NOT NULL AS fine;
DROP FUNCTION within;

-- what is in it may be replaced: it is the key of all sessions then
CREATE FUNCTION norm(a text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT upper(a) $$;
ALTER FUNCTION run SET concresce.key = 'public.norm(a)';
SELECT run('a', 1) IS NOT NULL AS fine;
CREATE OR REPLACE FUNCTION norm(a text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT (1 / length(a))::text $$;
SELECT run('', 1);
SELECT run('a', 1) IS NOT NULL AS fine;
DROP FUNCTION norm;
ALTER FUNCTION run RESET concresce.key;

-- after an error in it, it is begun anew: by a savepoint, within the same
-- statement, in a batch, for a submitted call, in a cursor
CREATE FUNCTION norm(k int) RETURNS int LANGUAGE sql IMMUTABLE
AS 'SELECT 100 / k + sum(x)::int FROM (VALUES (1), (2)) v(x)';
CREATE FUNCTION norm2(k int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN public.norm(k); END $$;
CREATE FUNCTION keyed(a int) RETURNS text LANGUAGE concresce STABLE
SET concresce.key = 'public.norm(a), public.norm2(a)' AS 'SELECT run(a::text)';
CREATE FUNCTION attempts(query text, VARIADIC args int[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  result text := ''; value text;
BEGIN
  FOR i IN 1 .. array_length(args, 1) LOOP
    BEGIN
      EXECUTE query INTO value USING args[i];
      result := result || split_part(value, ' ', 1) || ' ';
    EXCEPTION WHEN OTHERS THEN
      result := result || sqlstate || ' ';
    END;
  END LOOP;
  RETURN result;
END $$;
SELECT attempts('SELECT keyed($1)', 1, 0, 2, 0, 0, 3);
DO $$
BEGIN
  RAISE WARNING '%', keyed(1) ~ '^1 ';
  BEGIN
    RAISE WARNING '%', keyed(0);
  EXCEPTION WHEN division_by_zero THEN
    RAISE WARNING 'caught';
  END;
  RAISE WARNING '%', keyed(2) ~ '^2 ';
END $$;
SELECT attempts($$SELECT string_agg(split_part(keyed(n), ' ', 1), '+') FROM generate_series(3, $1, -1) n$$, 1, 0, 2, -1, 3);
SELECT attempts($$SELECT concresce.await(concresce.submit('keyed', $1))$$, 1, 0, 2, 0, 3);
SELECT attempts($$SELECT concresce.forget('keyed', $1)::text || 'done'$$, 1, 0, 2);
BEGIN;
DECLARE c CURSOR FOR SELECT n, split_part(keyed(n), ' ', 1) FROM generate_series(2, -2, -1) n;
FETCH 2 FROM c;
SAVEPOINT s;
\set VERBOSITY terse
FETCH 1 FROM c;
\set VERBOSITY default
ROLLBACK TO s;
SELECT split_part(keyed(4), ' ', 1);
ROLLBACK;
-- and an inner one in the midst of an outer one
CREATE OR REPLACE FUNCTION norm2(k int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF k > 0 THEN
    PERFORM public.keyed(k - 1);
  END IF;
  RETURN k;
EXCEPTION WHEN division_by_zero THEN
  RETURN -1;
END $$;
SELECT attempts('SELECT keyed($1)', 1, 0, 2, 1);
DROP FUNCTION keyed, norm, norm2, attempts;

-- what a session sets is not used, and it is told so once
SET concresce.key = 'nosuch(';
SELECT run('a', 1) IS NOT NULL AS fine;
SELECT run('a', 1) IS NOT NULL AS fine;
SELECT concresce.await(concresce.submit('run', 'a', 1)) IS NOT NULL AS fine;
\c -
SET client_min_messages = warning;
SET concresce.server = 'far';
SET concresce.key = '1';
SELECT run(x, 1) ~ x AS own FROM unnest(ARRAY['a', 'b', 'c']) x;
RESET concresce.key;

SELECT used FROM concresce.memory();
DROP FUNCTION run, unnamed, runs;
DROP EXTENSION dblink;
DROP SERVER far CASCADE;
DROP SCHEMA far CASCADE;
