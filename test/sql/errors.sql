--
-- Errors of a batch: whom they reach.
--
\getenv srcdir PG_ABS_SRCDIR
\set play :srcdir '/lib/play.sql'
\set ECHO none
\i :play
\set ECHO all
-- how several sessions come into one batch of a known number of items
CREATE PROCEDURE batch_of(settings text, VARIADIC queries text[]) LANGUAGE plpgsql AS $$
DECLARE
  steps text[] := '{}'; n int := array_length(queries, 1);
BEGIN
  FOR i IN 1 .. n LOOP
    steps := steps || format('%s: SET concresce.max_window = ''60s''; SET concresce.max_size = %s; %s', chr(96 + i), n, settings)
             || format('%s> SELECT %s', chr(96 + i), queries[i]);
    IF i < n THEN
      steps := steps || format('%s queued', i);
    END IF;
  END LOOP;
  FOR i IN 1 .. n LOOP
    steps := steps || chr(96 + i)::text;
  END LOOP;
  CALL play(VARIADIC steps || 'counters()'::text);
END $$;
CREATE TABLE far.seen (n int);
CREATE FUNCTION inverse(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT 100 / n';
CREATE FUNCTION inverse_bulk(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT n, 100 / n FROM unnest(collect(n)) n';
CREATE FUNCTION add_inverse(n int) RETURNS int LANGUAGE concresce
AS 'INSERT INTO seen SELECT 100 / n FROM unnest(collect(n)) WITH ORDINALITY u(n, o) ORDER BY o RETURNING n';
CREATE FUNCTION typed(t text) RETURNS int LANGUAGE concresce STABLE AS 'SELECT t';
CREATE DOMAIN small AS int CHECK (VALUE < 10);
CREATE FUNCTION small(n int) RETURNS small LANGUAGE concresce STABLE AS 'SELECT n';
CREATE FUNCTION several(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT i FROM generate_series(1, n) i';
CREATE FUNCTION broken(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT n FROM nowhere';

-- an error may have nothing to say
CREATE FUNCTION far.mute(n int) RETURNS int LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION USING MESSAGE = '', DETAIL = '', HINT = ''; END $$;
CREATE FUNCTION mute(n int) RETURNS int LANGUAGE concresce STABLE SET concresce.server = 'far' AS 'SELECT far.mute(n)';
SELECT mute(1);
DROP FUNCTION mute;

-- the bulk query's error reaches every caller
CALL batch_of('', 'inverse(1)', 'inverse(0)', 'inverse(4)');
CALL batch_of('', 'inverse_bulk(1)', 'inverse_bulk(0)', 'inverse_bulk(4)');
CALL batch_of('', 'broken(1)', 'broken(2)');
-- what concerns one item is its callers' error alone
CALL batch_of('', 'typed(''1'')', 'typed(''x'')', 'typed(''3'')');
CALL batch_of('', 'small(1)', 'small(11)', 'small(NULL::int)');
CALL batch_of('', 'several(1)', 'several(2)', 'several(0)');
CALL batch_of('SET concresce.on_missing = error', 'several(1)', 'several(2)', 'several(0)');

-- isolate_errors: halve the batch until the bad items stand alone
CALL batch_of('SET concresce.isolate_errors = on', 'inverse(1)', 'inverse(0)', 'inverse(4)');
CALL batch_of('SET concresce.isolate_errors = on', 'inverse(0)', 'inverse(1)', 'inverse(2)', 'inverse(4)', 'inverse(5)', 'inverse(NULL)', 'inverse(10)');
CALL batch_of('SET concresce.isolate_errors = on', 'inverse_bulk(1)', 'inverse_bulk(0)', 'inverse_bulk(4)');
-- two of them share the bad item
CALL batch_of('SET concresce.isolate_errors = on; SET concresce.max_size = 2', 'inverse(0)', 'inverse(0)', 'inverse(20)');
-- only errors of the data: a missing table is missing for all
CALL batch_of('SET concresce.isolate_errors = on', 'broken(1)', 'broken(2)');
-- a write that failed was rolled back, and is done for the good items
CALL batch_of('SET concresce.isolate_errors = on', 'add_inverse(1)', 'add_inverse(0)', 'add_inverse(4)', 'add_inverse(5)');
SELECT n FROM far.seen ORDER BY n;

DROP PROCEDURE batch_of;
DROP FUNCTION inverse, inverse_bulk, add_inverse, typed, small, several, broken;
DROP DOMAIN small;
CALL clean_up();
