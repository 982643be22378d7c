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
AS $$ SELECT t || ' ' || nextval('far.runs') $$;
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
  FOR i IN 1 .. array_length(calls, 1) LOOP
    PERFORM dblink_connect('s' || i, conn);
    PERFORM dblink_exec('s' || i, format('SET concresce.server = far; SET concresce.max_window = ''60s'';
                                          SET concresce.max_size = %s; SET concresce.key = %L', size, key));
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
SET concresce.key = 'lower(';
SELECT run('a', 1);
\echo :LAST_ERROR_SQLSTATE
SET concresce.key = 'c';
SELECT run('a', 1);
\echo :LAST_ERROR_SQLSTATE
SET concresce.key = 'other.a';
SELECT run('a', 1);
SET concresce.key = '$3';
SELECT run('a', 1);
SET concresce.key = 'a FROM pg_class';
SELECT run('a', 1);
\echo :LAST_ERROR_SQLSTATE
SET concresce.key = 'a; DROP TABLE x';
SELECT run('a', 1);
SET concresce.key = 'a, b UNION SELECT 1, 2';
SELECT run('a', 1);
SET concresce.key = 'a WHERE true';
SELECT run('a', 1);
SET concresce.key = '*';
SELECT run('a', 1);
SET concresce.key = '''x''';
SELECT run('a', 1);
SET concresce.key = ' ';
SELECT run('a', 1);
SET concresce.key = 'random()';
SELECT run('a', 1);
SET concresce.key = 'now()';
SELECT run('a', 1);
SET concresce.key = 'a::date';
SELECT run('2026-01-01', 1);
SET concresce.key = '(SELECT a)';
SELECT run('a', 1);
SET concresce.key = 'max(a)';
SELECT run('a', 1);
SET concresce.key = 'row_number() OVER ()';
SELECT run('a', 1);
SET concresce.key = 'generate_series(1, b)';
SELECT run('a', 1);
SET concresce.key = 'nosuch(a)';
SELECT run('a', 1);
SET concresce.key = '1 / b';
SELECT run('a', 0);
SELECT run('a', 1) IS NOT NULL AS fine;
RESET concresce.key;
SELECT run('a', 1) IS NOT NULL AS fine;

SET concresce.key = 'run.*';
SELECT run('a', 1);
SET concresce.key = '(ROW(a)).*';
SELECT run('a', 1);
RESET concresce.key;

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
SET concresce.key = 'same(a)';
SET search_path = mine, public;
SELECT run('a', 1);
SET concresce.key = 'mine.same(a)';
SELECT run('a', 1) IS NOT NULL AS fine;
RESET concresce.key;
RESET search_path;
DROP SCHEMA mine CASCADE;

-- of a function; forget() uses the key as well
ALTER FUNCTION run SET concresce.key = 'lower(a)';
SELECT run('a', 1) IS NOT NULL AS fine;
SELECT concresce.forget('run', 'A', 1);
SELECT concresce.forget('run', 'A'::text, 1::int);
-- a mutable function is refused although its owner trusts it
ALTER FUNCTION run SET concresce.key = 'clock_timestamp()';
SELECT run('a', 1);

-- an expression may call the very lookup that it is the key of
ALTER FUNCTION run RESET ALL;
CREATE FUNCTION within(a text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  PERFORM set_config('concresce.key', 'upper(a)', true);
  PERFORM public.run(a, 1);
  PERFORM set_config('concresce.key', 'public.within(a)', true);
  RETURN length(a);
END $$;
BEGIN;
SET LOCAL concresce.key = 'public.within(a)';
SELECT run('abc', 1) IS NOT NULL AS fine;
SELECT run('abc', 1) IS NOT NULL AS fine;
COMMIT;
DROP FUNCTION within;

SELECT used FROM concresce.memory();
DROP FUNCTION run, unnamed, runs;
DROP EXTENSION dblink;
DROP SERVER far CASCADE;
DROP SCHEMA far CASCADE;
