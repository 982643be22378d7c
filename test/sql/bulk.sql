--
-- The bulk form: a body that takes the arguments of the whole batch.
--
-- With a window that ends when the batch is full, several sessions make one
-- batch whose items are known.
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
CREATE TABLE far.scores (id bigint PRIMARY KEY, score int);
INSERT INTO far.scores SELECT i, i * 10 FROM generate_series(1, 9) i;

-- Run queries side by side, each in a session of its own; what they return
-- comes in the order of the queries, errors as text.
CREATE FUNCTION side_by_side(settings text, VARIADIC queries text[])
RETURNS TABLE (query text, answer text) LANGUAGE plpgsql AS $$
DECLARE
  conn text := format('host=%s port=%s dbname=%s',
                      split_part(current_setting('unix_socket_directories'), ',', 1),
                      current_setting('port'), current_database());
BEGIN
  FOR i IN 1 .. array_length(queries, 1) LOOP
    PERFORM dblink_connect('s' || i, conn);
    PERFORM dblink_exec('s' || i, 'SET concresce.server = far; ' || settings);
  END LOOP;
  FOR i IN 1 .. array_length(queries, 1) LOOP
    PERFORM dblink_send_query('s' || i, 'SELECT (' || queries[i] || ')::text');
  END LOOP;
  FOR i IN 1 .. array_length(queries, 1) LOOP
    query := queries[i];
    BEGIN
      SELECT r INTO answer FROM dblink_get_result('s' || i) AS t(r text);
    EXCEPTION WHEN OTHERS THEN
      GET STACKED DIAGNOSTICS answer = PG_EXCEPTION_DETAIL;
      answer := sqlstate || ' ' || sqlerrm || coalesce(nullif(' | ' || answer, ' | '), '');
    END;
    RETURN NEXT;
    PERFORM dblink_disconnect('s' || i);
  END LOOP;
END $$;

--
-- Keyed scatter: arguments first, then the result
--
CREATE FUNCTION score(user_id bigint) RETURNS int LANGUAGE concresce STABLE
AS $$ SELECT id, score FROM scores WHERE id = ANY (collect(user_id)) $$;
SELECT score(3), score(99), score(NULL);

-- whatever the order of the rows
CREATE FUNCTION score_desc(user_id bigint) RETURNS int LANGUAGE concresce STABLE
AS $$ SELECT id, score FROM scores WHERE id = ANY (collect(user_id)) ORDER BY id DESC $$;
SELECT * FROM side_by_side('SET concresce.max_window = ''60s''; SET concresce.max_size = 4',
  'SELECT score_desc(3)', 'SELECT score_desc(7)', 'SELECT score_desc(99)', 'SELECT score_desc(1)');
SELECT * FROM concresce.batch_sizes('score_desc');

-- rows for keys that nobody asked for are ignored
CREATE FUNCTION score_all(user_id bigint) RETURNS int LANGUAGE concresce STABLE
AS $$ SELECT id, score FROM scores WHERE collect(user_id) IS NOT NULL $$;
SELECT * FROM side_by_side('SET concresce.max_window = ''60s''; SET concresce.max_size = 2',
  'SELECT score_all(8)', 'SELECT score_all(4)');

-- equal items that are not coalesced each get the row
SELECT * FROM side_by_side('SET concresce.max_window = ''60s''; SET concresce.max_size = 3; SET concresce.coalesce = off',
  'SELECT score(5)', 'SELECT score(5)', 'SELECT score(6)');

-- a key that comes twice is more than one row
CREATE FUNCTION score_twice(user_id bigint) RETURNS int LANGUAGE concresce STABLE
AS $$ SELECT id, score FROM scores, generate_series(1, 2) WHERE id = ANY (collect(user_id)) $$;
SELECT score_twice(3);
SELECT score_twice(99);
CREATE FUNCTION scores_of(user_id bigint) RETURNS SETOF int LANGUAGE concresce STABLE
AS $$ SELECT id, score + i FROM scores, generate_series(1, 2) i
      WHERE id = ANY (collect(user_id)) ORDER BY i DESC, id $$;
SELECT * FROM scores_of(3);
SELECT * FROM side_by_side('SET concresce.max_window = ''60s''; SET concresce.max_size = 3',
  'SELECT array_agg(s ORDER BY n) FROM scores_of(2) WITH ORDINALITY t(s, n)',
  'SELECT array_agg(s ORDER BY n) FROM scores_of(1) WITH ORDINALITY t(s, n)',
  'SELECT array_agg(s ORDER BY n) FROM scores_of(99) WITH ORDINALITY t(s, n)');

-- keys match by the type's equality, not as text
CREATE TABLE far.prices (amount numeric, label text);
INSERT INTO far.prices VALUES (1.00, 'one'), (2.5, 'two and a half'), ('NaN', 'none');
CREATE FUNCTION label(amount numeric) RETURNS text LANGUAGE concresce STABLE
AS $$ SELECT amount, label FROM prices WHERE amount = ANY (collect(amount)) $$;
SELECT label(1), label(1.0), label(2.500), label('NaN'), label(3);
CREATE TABLE far.codes (code char(5), n int);
INSERT INTO far.codes VALUES ('ab', 1), ('abcde', 2);
CREATE FUNCTION code(code char) RETURNS int LANGUAGE concresce STABLE
AS $$ SELECT code, n FROM codes WHERE code = ANY (collect(code)) $$;
SELECT code('ab'), code('ab  '), code('abcde'), code('a');
CREATE FUNCTION nearly(x float8) RETURNS text LANGUAGE concresce STABLE
AS $$ SELECT x, 'found' FROM unnest(ARRAY[0.0, 'NaN', 0.1]::float8[]) x WHERE collect(x) IS NOT NULL $$;
SELECT nearly(0), nearly('-0'), nearly('NaN'), nearly(0.1), nearly(0.10000000000000002);

-- the far side's own type may differ, as long as it compares
CREATE FUNCTION score_small(user_id smallint) RETURNS bigint LANGUAGE concresce STABLE
AS $$ SELECT id, score FROM scores WHERE id = ANY (collect(user_id)) $$;
SELECT score_small(3::smallint);
CREATE FUNCTION score_text(user_id text) RETURNS bigint LANGUAGE concresce STABLE
AS $$ SELECT id, score FROM scores WHERE id::text = ANY (collect(user_id)) $$;
\set VERBOSITY terse
SELECT score_text('3');
\set VERBOSITY default

-- NULL is a key like any other
CREATE TABLE far.pairs (a int, b text, v int);
INSERT INTO far.pairs VALUES (1, 'x', 11), (1, NULL, 12), (NULL, 'x', 13), (NULL, NULL, 14);
CREATE FUNCTION pair(a int, b text) RETURNS int LANGUAGE concresce STABLE
AS $$ SELECT a, b, v FROM pairs WHERE collect(a) IS NOT NULL AND collect(b) IS NOT NULL $$;
SELECT pair(1, 'x'), pair(1, NULL), pair(NULL, 'x'), pair(NULL, NULL), pair(2, 'x');
SELECT * FROM side_by_side('SET concresce.max_window = ''60s''; SET concresce.max_size = 3',
  'SELECT pair(1, ''x'')', 'SELECT pair(NULL, NULL)', 'SELECT pair(1, NULL)');

-- several result columns, a whole row as the key, enums, arrays
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE two AS (x int, y text);
CREATE FUNCTION columns(a int, OUT b text, OUT v int) LANGUAGE concresce STABLE
AS $$ SELECT a, b, v FROM pairs WHERE a = ANY (collect(a)) AND b IS NOT NULL $$;
SELECT * FROM columns(1);
SELECT columns(2), columns(1);
CREATE FUNCTION by_mood(m mood) RETURNS int LANGUAGE concresce STABLE
AS $$ SELECT m, 1 FROM unnest(collect(m)) m WHERE m = 'ok' $$;
SELECT by_mood('ok'), by_mood('sad');
CREATE FUNCTION by_two(t two) RETURNS int LANGUAGE concresce STABLE
AS $$ SELECT ROW(1, 'a b')::public.two, 5 WHERE collect(t) IS NOT NULL $$;
SELECT by_two((1, 'a b')), by_two((2, 'a b'));
CREATE FUNCTION by_array(x int[]) RETURNS int LANGUAGE concresce STABLE
AS $$ SELECT v::int[], cardinality(v::int[]) FROM unnest(collect(x)) v $$;
SELECT by_array('{1,2,3}'), by_array('{}'), by_array('{{1,2},{3,NULL}}');

-- two arguments are collected pairwise
CREATE FUNCTION sum_of(a int, b int) RETURNS int LANGUAGE concresce STABLE
AS $$ SELECT a, b, a + b FROM unnest(collect(a), collect(b)) u(a, b) ORDER BY a DESC $$;
SELECT * FROM side_by_side('SET concresce.max_window = ''60s''; SET concresce.max_size = 3',
  'SELECT sum_of(1, 2)', 'SELECT sum_of(1, 3)', 'SELECT sum_of(2, 2)');

--
-- Positional scatter: a row for each item, in order
--
CREATE FUNCTION negated(n int) RETURNS int LANGUAGE concresce STABLE
AS $$ SELECT -n FROM unnest(collect(n)) WITH ORDINALITY u(n, o) ORDER BY o $$;
SELECT negated(3), negated(NULL);
SELECT * FROM side_by_side('SET concresce.max_window = ''60s''; SET concresce.max_size = 3',
  'SELECT negated(1)', 'SELECT negated(2)', 'SELECT negated(3)');
CREATE FUNCTION far.bulk_fetch(ids int[]) RETURNS TABLE (a int, b text) LANGUAGE sql
AS $$ SELECT i, 'no. ' || i FROM unnest(ids) i $$;
CREATE FUNCTION fetched(id int, OUT a int, OUT b text) LANGUAGE concresce STABLE
AS $$ SELECT * FROM bulk_fetch(collect(id)) $$;
SELECT * FROM fetched(4);
CREATE FUNCTION fetched_key(id int) RETURNS text LANGUAGE concresce STABLE
AS $$ SELECT * FROM bulk_fetch(collect(id)) $$;
SELECT fetched_key(4);

--
-- Writes
--
CREATE TABLE far.events (id serial, kind text, body jsonb);
CREATE FUNCTION log_event(kind text, body jsonb) RETURNS void LANGUAGE concresce
AS $$ INSERT INTO events (kind, body) SELECT * FROM unnest(collect(kind), collect(body)) $$;
SELECT log_event('a', '{"x": 1}'), log_event('b', NULL);
SELECT log_event('a', '{"x": 1}') IS NULL;
SELECT * FROM side_by_side('SET concresce.max_window = ''60s''; SET concresce.max_size = 2',
  $$SELECT log_event('c', '1')$$, $$SELECT log_event('c', '1')$$);
SELECT kind, body, count(*) FROM far.events GROUP BY 1, 2 ORDER BY 1, 2;
CREATE FUNCTION add_event(kind text) RETURNS int LANGUAGE concresce
AS $$ INSERT INTO events (kind) SELECT unnest(collect(kind)) RETURNING id $$;
SELECT add_event('d'), add_event('d');
CREATE FUNCTION bump(id bigint, by int) RETURNS int LANGUAGE concresce
AS $$ UPDATE scores SET score = score + u.n FROM unnest(collect(id), collect(by)) u(i, n)
      WHERE id = u.i RETURNING id, u.n, score $$;
SELECT bump(1, 5), bump(1, 6), bump(99, 5);
CREATE FUNCTION removed(kind text) RETURNS bigint LANGUAGE concresce
AS $$ WITH d AS (DELETE FROM events WHERE kind = ANY (collect(kind)) RETURNING kind)
      SELECT kind, count(*) FROM d GROUP BY kind $$;
SELECT removed('c'), removed('c');
CREATE FUNCTION merged(id bigint) RETURNS void LANGUAGE concresce
AS $$ MERGE INTO scores USING unnest(collect(id)) i ON i = id
      WHEN MATCHED THEN UPDATE SET score = 0 WHEN NOT MATCHED THEN INSERT VALUES (i, -1) $$;
SELECT merged(1), merged(100);
SELECT * FROM far.scores WHERE id IN (1, 100) ORDER BY id;
-- a query may be run for nothing, too
CREATE FUNCTION noticed(id int) RETURNS void LANGUAGE concresce
AS $$ SELECT 1, 2, 3, 4 WHERE collect(id) IS NOT NULL $$;
SELECT noticed(1);

--
-- Wrong shapes, wrong numbers of rows: told to every caller
--
CREATE FUNCTION too_many_columns(a int, b int) RETURNS int LANGUAGE concresce STABLE
AS $$ SELECT a, b, 1, 2 FROM unnest(collect(a), collect(b)) u(a, b) $$;
CREATE FUNCTION too_few_columns(a int, b int, OUT c int, OUT d int) LANGUAGE concresce STABLE
AS $$ SELECT 1, 2, 3 FROM unnest(collect(a), collect(b)) u(a, b) $$;
CREATE FUNCTION too_many_rows(n int) RETURNS int LANGUAGE concresce STABLE
AS $$ SELECT n FROM unnest(collect(n) || 7) n $$;
CREATE FUNCTION too_few_rows(n int) RETURNS int LANGUAGE concresce STABLE
AS $$ SELECT n FROM unnest(collect(n)) n WHERE n > 100 $$;
CREATE FUNCTION no_returning(n int) RETURNS int LANGUAGE concresce
AS $$ INSERT INTO events (kind) SELECT unnest(collect(n)) $$;
CREATE FUNCTION single_shape(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT n, n';
CREATE FUNCTION single_columns(n int, OUT a int, OUT b int) LANGUAGE concresce STABLE AS 'SELECT 1, 2, 3';
SELECT too_many_columns(1, 2);
SELECT too_few_columns(1, 2);
SELECT too_many_rows(1);
SELECT too_few_rows(1);
SELECT no_returning(1);
SELECT single_shape(1);
SELECT single_columns(1);
SELECT * FROM side_by_side('SET concresce.max_window = ''60s''; SET concresce.max_size = 2',
  'SELECT too_many_rows(1)', 'SELECT too_many_rows(2)');
SELECT * FROM side_by_side('SET concresce.max_window = ''60s''; SET concresce.max_size = 2',
  'SELECT single_shape(1)', 'SELECT single_shape(2)');
-- nothing was written by what failed
SELECT count(*) FROM far.events WHERE kind = '1';

DROP FUNCTION side_by_side, score, score_desc, score_all, score_twice, scores_of, label, code, nearly,
  score_small, score_text, pair, columns, by_mood, by_two, by_array, sum_of, negated, fetched,
  fetched_key, log_event, add_event, bump, removed, merged, noticed, too_many_columns,
  too_few_columns, too_many_rows, too_few_rows, no_returning, single_shape, single_columns;
DROP TYPE mood, two;
DROP EXTENSION dblink;
DROP SERVER far CASCADE;
DROP SCHEMA far CASCADE;
