-- Parameters that come without types, as drivers send them, have those that the
-- lookup declares.
CREATE DOMAIN small AS int CHECK (VALUE < 100);
CREATE TYPE pair AS (a int, b text);
CREATE FUNCTION described(n numeric, at timestamptz, word text, p pair, d small) RETURNS text LANGUAGE concresce STABLE
AS $$ SELECT concat_ws('|', n, at AT TIME ZONE 'UTC', word, p, d) $$;
CREATE FUNCTION added(VARIADIC numbers int[]) RETURNS bigint LANGUAGE concresce STABLE AS 'SELECT sum(n) FROM unnest(numbers) n';
CREATE FUNCTION note(n bigint, word text DEFAULT 'none') RETURNS void LANGUAGE concresce VOLATILE AS 'INSERT INTO noted SELECT unnest(collect(n)), unnest(collect(word))';
CREATE TABLE noted (n bigint, word text);
CREATE FUNCTION parameter_types(name text) RETURNS regtype[] LANGUAGE sql AS 'SELECT parameter_types FROM pg_prepared_statements p WHERE p.name = $1';

PREPARE a AS SELECT concresce.await(concresce.submit('described', $1, $2, $3, $4, $5));
SELECT parameter_types('a');
EXECUTE a (1.50, '2026-01-02 03:04:05+00', 'it''s', '(1,x)', 7);
EXECUTE a ('1.50', '2026-01-02 03:04:05+00', 'it', NULL, '100');

-- a lookup that is VARIADIC; the parser itself wants to know an array
PREPARE b AS SELECT concresce.await(concresce.submit('added', $1, $2, $3));
SELECT parameter_types('b');
EXECUTE b (1, 2, 39);
PREPARE c AS SELECT concresce.await(concresce.submit('added', VARIADIC $1));
PREPARE c AS SELECT concresce.await(concresce.submit('added', VARIADIC $1::int[]));
EXECUTE c ('{1,2,39}');

-- by oid, in a sub-select and in a CTE; twice
PREPARE d AS WITH w AS (SELECT concresce.submit('added(int[])'::regprocedure, $1, $1) AS f) SELECT (SELECT concresce.await(f) FROM w), concresce.await(concresce.submit('added', $1));
SELECT parameter_types('d');
EXECUTE d (21);
PREPARE f AS SELECT concresce.enqueue('note', $1, $2), concresce.enqueue('note', $3) WHERE $4;
SELECT parameter_types('f');
EXECUTE f (1, 'one', 2, true);
SELECT concresce.flush();
SELECT * FROM noted ORDER BY n;
PREPARE g AS SELECT concresce.forget('added', $1, $2);
SELECT parameter_types('g');
EXECUTE g (1, 2);
PREPARE h AS SELECT concresce.submit($1, 5);
SELECT parameter_types('h');

-- where it is compared with a column as well, it has to say its type
PREPARE i AS SELECT concresce.enqueue('note', $1) FROM noted WHERE n = $1;
PREPARE i AS SELECT concresce.enqueue('note', $1::bigint) FROM noted WHERE n = $1;
SELECT parameter_types('i');

-- what says its type itself, and what cannot be known
PREPARE j AS SELECT concresce.submit('added', $1::smallint, $2);
SELECT parameter_types('j');
PREPARE k(int) AS SELECT concresce.submit('added', $1, $2);
SELECT parameter_types('k');
PREPARE l AS SELECT concresce.submit('note', $1, $2, $3);
PREPARE l AS SELECT concresce.submit($1, $2);
PREPARE l AS SELECT concresce.submit('added', $1), $1::text;
PREPARE l AS SELECT concresce.submit('added', $1), lower($1);
PREPARE l AS SELECT pg_typeof($1);

-- nor what no value has, which only functions declare that are no lookups
PREPARE l AS SELECT concresce.submit('array_append', $1, $2);
PREPARE l AS SELECT concresce.submit('int4recv', $1);

-- where EXPLAIN has parameters of its own (since 16), they have no types
DO $$
BEGIN
  EXECUTE format('EXPLAIN (GENERIC_PLAN) SELECT concresce.submit(%L, $1), concresce.submit(%L, $2, $3)', 'added', 'note');
EXCEPTION WHEN undefined_parameter THEN
  IF current_setting('server_version_num')::int >= 160000 THEN
    RAISE;
  END IF;
END $$;

-- a statement has one identifier, also once it was analyzed anew
CREATE FUNCTION identifier(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  plan json;
BEGIN
  EXECUTE 'EXPLAIN (VERBOSE, FORMAT JSON) ' || command INTO plan;
  RETURN plan -> 0 ->> 'Query Identifier';
END $$;
SET compute_query_id = on;
PREPARE m AS SELECT concresce.submit('added', $1) FROM generate_series(1, 2) WHERE $2;
SELECT identifier('EXECUTE m(1, true)') AS identifier \gset
SET search_path = public, pg_catalog;
SELECT :identifier <> 0 AS identified, identifier('EXECUTE m(1, true)') = :'identifier' AS same;
RESET search_path;
RESET compute_query_id;

DEALLOCATE ALL;
DROP FUNCTION identifier;
DROP FUNCTION described, added, note, parameter_types;
DROP TABLE noted;
DROP TYPE pair;
DROP DOMAIN small;
