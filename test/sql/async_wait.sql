--
-- Asynchronous calls: waiting for some of many, cancelling, leaving.
--
\getenv srcdir PG_ABS_SRCDIR
\set play :srcdir '/lib/play.sql'
\set ECHO none
\i :play
\set ECHO all
SET concresce.server = far;
SET client_min_messages = warning;
-- waits while somebody holds the advisory lock of that number
CREATE FUNCTION far.wait_at(gate int, a int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(gate);
  RETURN a;
END $$;
CREATE FUNCTION one(a int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT wait_at(101, one.a)';
CREATE FUNCTION two(a int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT wait_at(102, two.a)';
CREATE FUNCTION three(a int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT wait_at(103, three.a)';
CREATE FUNCTION fails(a int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT 1 / wait_at(104, fails.a)';
CREATE FUNCTION write(a int) RETURNS int LANGUAGE concresce VOLATILE AS 'SELECT wait_at(101, write.a)';
CREATE DOMAIN small AS int CHECK (VALUE < 100);
CREATE FUNCTION unfit(a int) RETURNS small LANGUAGE concresce STABLE AS 'SELECT 100 + wait_at(104, unfit.a)';
-- do bodies wait at a gate on the far side, so many at least, or none?
CREATE FUNCTION far_waits(gate int, n int) RETURNS bool LANGUAGE sql AS
$$ SELECT comes('CASE WHEN $1[2]::int = 0 THEN count(*) = 0 ELSE count(*) >= $1[2]::int END FROM pg_locks WHERE locktype = ''advisory'' AND objid = $1[1]::oid AND NOT granted', gate::text, n::text) $$;
-- places of some ids in an array
CREATE FUNCTION places(ids bigint[], among bigint[]) RETURNS int[] LANGUAGE sql AS
$$ SELECT coalesce(array_agg(array_position(among, id) ORDER BY i), '{}') FROM unnest(ids) WITH ORDINALITY AS u(id, i) $$;
CREATE FUNCTION attempt(command text, VARIADIC args bigint[] DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  result text; detail text;
BEGIN
  EXECUTE command INTO result USING args;
  RETURN result;
EXCEPTION WHEN OTHERS OR query_canceled THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
  RETURN concat_ws(' | ', sqlstate || ' ' || regexp_replace(sqlerrm, 'request \d+', 'request N'), nullif(detail, ''));
END $$;
-- connect beforehand
SELECT one(1), two(2), three(3), fails(4);
SELECT concresce.reset_stats();

-- the race: the first of three mirrors wins, the queries of the others end
SELECT pg_advisory_lock(101), pg_advisory_lock(103);
WITH sent AS MATERIALIZED (SELECT ARRAY[concresce.submit('one', 1), concresce.submit('two', 2), concresce.submit('three', 3)] AS ids),
     won AS MATERIALIZED (SELECT ids, w.* FROM sent, concresce.wait(ids, 'first_completed') w)
SELECT concresce.await(done[1]) AS winner, concresce.cancel(VARIADIC not_done) AS losers FROM won;
SELECT far_waits(101, 0), far_waits(103, 0);
SELECT regexp_replace(counters(), ', (coalesced|misses|batches) \d+', '', 'g');
-- once all of them have started
SELECT concresce.reset_stats();
BEGIN;
SELECT pg_advisory_lock(102);
SELECT ARRAY[concresce.submit('one', 1), concresce.submit('two', 2), concresce.submit('three', 3)] AS ids \gset
SELECT far_waits(101, 1), far_waits(102, 1), far_waits(103, 1);
SELECT pg_advisory_unlock(102);
SELECT places(done, :'ids'), concresce.cancel(VARIADIC not_done) FROM concresce.wait(:'ids', 'first_completed');
SELECT far_waits(101, 0), far_waits(103, 0);
SELECT concresce.await((:'ids'::bigint[])[2]);
COMMIT;
SELECT counters();

-- what is done is in the order given, and stays
BEGIN;
SELECT ARRAY[concresce.submit('one', 1), concresce.submit('two', 2), concresce.submit('three', 3), concresce.submit('fails', 1)] AS ids \gset
SELECT places(done, :'ids'), places(not_done, :'ids') FROM concresce.wait(ARRAY[(:'ids'::bigint[])[3], (:'ids'::bigint[])[1]]::bigint[], timeout => '0');
SELECT places(done, :'ids'), places(not_done, :'ids') FROM concresce.wait(ARRAY[(:'ids'::bigint[])[4], (:'ids'::bigint[])[2], (:'ids'::bigint[])[4]]::bigint[]);
SELECT places(done, :'ids'), places(not_done, :'ids') FROM concresce.wait(:'ids', 'first_completed');
SELECT places(done, :'ids'), places(not_done, :'ids') FROM concresce.wait(:'ids', 'first_exception', '100 ms');
SELECT places(done, :'ids'), places(not_done, :'ids') FROM concresce.wait(:'ids', 'all_completed', '100 ms');
SELECT places(done, :'ids'), places(not_done, :'ids') FROM concresce.wait(:'ids', NULL, '-1 day');
SELECT count(*) FROM concresce.in_flight;
SELECT pg_advisory_unlock(101), pg_advisory_unlock(103);
SELECT places(done, :'ids'), places(not_done, :'ids') FROM concresce.wait(:'ids');
SELECT concresce.gather(:'ids', NULL::int);
COMMIT;
-- first_exception: of a lookup, or of reading a result; a wait raises none
SELECT pg_advisory_lock(101);
BEGIN;
SELECT ARRAY[concresce.submit('one', 1), concresce.submit('fails', 0), concresce.submit('two', 2)] AS ids \gset
SELECT places(not_done, :'ids') @> '{1}' AS fails FROM concresce.wait(:'ids', 'first_exception');
SELECT concresce.submit('unfit', 1) AS unfit \gset
SELECT places(not_done, :'ids') FROM concresce.wait(ARRAY[:unfit, (:'ids'::bigint[])[1]]::bigint[], 'first_exception');
SELECT attempt('SELECT concresce.await($1[1])', :unfit), attempt('SELECT concresce.await($1[2])', VARIADIC :'ids'), concresce.await((:'ids'::bigint[])[3]);
SELECT pg_advisory_unlock(101);
-- none fails: all
SELECT concresce.submit('two', 5) AS two \gset
SELECT places(done, :'ids'), not_done FROM concresce.wait(ARRAY[(:'ids'::bigint[])[1], :two]::bigint[], 'first_exception');
COMMIT;

-- as they come
SELECT pg_advisory_lock(101), pg_advisory_lock(103);
BEGIN;
SELECT ARRAY[concresce.submit('one', 1), concresce.submit('two', 2), concresce.submit('three', 3)] AS ids \gset
DECLARE c CURSOR FOR SELECT (c).result FROM (SELECT concresce.as_completed(:'ids', NULL::int) AS c) s;
FETCH c;
SELECT pg_advisory_unlock(103);
FETCH c;
SELECT concresce.cancel((:'ids'::bigint[])[1]);
FETCH c;
SELECT attempt('SELECT concresce.await($1[1])', VARIADIC :'ids'), attempt('SELECT concresce.cancel($1[1])', VARIADIC :'ids'),
       attempt('SELECT concresce.gather($1)', VARIADIC :'ids'), attempt('SELECT concresce.wait($1)', VARIADIC :'ids');
COMMIT;
SELECT far_waits(101, 0);

-- cancel counts what was still under way; what had come stays
BEGIN;
SELECT ARRAY[concresce.submit('one', 1), concresce.submit('two', 2), concresce.submit('one', 3)] AS ids \gset
SELECT places(done, :'ids') FROM concresce.wait(:'ids', 'first_completed');
SELECT far_waits(101, 1);
SELECT concresce.cancel(VARIADIC :'ids'), concresce.cancel(VARIADIC :'ids');
SELECT concresce.await((:'ids'::bigint[])[2]), attempt('SELECT concresce.await($1[1])', VARIADIC :'ids');
COMMIT;
SELECT far_waits(101, 0);
-- before it has left the session
BEGIN;
SELECT concresce.reset_stats('one');
SELECT concresce.cancel(concresce.submit('one', 1), concresce.submit('one', 2));
SELECT calls, misses, cancelled, active, queued FROM concresce.stats WHERE function = 'one(int)'::regprocedure;
COMMIT;
-- one of two who share a flight
BEGIN;
SELECT ARRAY[concresce.submit('one', 1), concresce.submit('one', 1)] AS ids \gset
SELECT far_waits(101, 1), concresce.cancel((:'ids'::bigint[])[1]), pg_advisory_unlock(101);
SELECT concresce.await((:'ids'::bigint[])[2]);
COMMIT;

-- a call's own timeout, whatever waits for it; the others go on
SELECT pg_advisory_lock(101);
BEGIN;
SELECT set_config('concresce.timeout', '500ms', true);
SELECT concresce.submit('one', 1) AS one, concresce.submit('one', 2) AS two, concresce.submit('one', 3) AS three \gset
SELECT set_config('concresce.timeout', '1min', true);
SELECT concresce.submit('one', 4) AS four \gset
SELECT attempt('SELECT concresce.await($1[1])', :one);
SELECT done = ARRAY[:two, :three]::bigint[] AS done, not_done = ARRAY[:four]::bigint[] AS not_done FROM concresce.wait(ARRAY[:two, :three, :four]::bigint[], 'all_completed', '2 s');
SELECT attempt('SELECT concresce.gather($1)', :two), (SELECT error_sqlstate FROM concresce.as_completed(ARRAY[:three]::bigint[], NULL::int, true));
SELECT far_waits(101, 1), pg_advisory_unlock(101);
SELECT concresce.await(:four);
COMMIT;
SELECT pg_advisory_lock(101);
SELECT set_config('concresce.timeout', '500ms', false);
SELECT error_sqlstate, error_message, error_hint FROM concresce.as_completed(ARRAY[concresce.submit('one', 1), concresce.submit('write', 2)], NULL::int, true) ORDER BY error_message;
SELECT concresce.gather(ARRAY[concresce.submit('one', 1), concresce.submit('write', 2)]);
RESET concresce.timeout;
SELECT far_waits(101, 0);

-- statement_timeout ends the wait and not the call
BEGIN;
SELECT concresce.submit('one', 1) AS id \gset
SAVEPOINT a;
SET LOCAL statement_timeout = '200ms';
SELECT concresce.await(:id);
ROLLBACK TO a;
SET LOCAL statement_timeout = '200ms';
SELECT concresce.gather(ARRAY[:id]::bigint[]);
ROLLBACK TO a;
SET LOCAL statement_timeout = '200ms';
SELECT concresce.wait(ARRAY[:id]::bigint[], 'first_exception');
ROLLBACK TO a;
SET LOCAL statement_timeout = '200ms';
SELECT concresce.as_completed(ARRAY[:id]::bigint[], NULL::int, true);
ROLLBACK TO a;
SELECT pg_advisory_unlock(101);
SELECT concresce.await(:id);
COMMIT;

-- nor is it taken for an error of the call, though the value is being checked, by code that has caught one
CREATE FUNCTION lingers(value int) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
  IF value IS NULL THEN RETURN true; END IF;
  RAISE WARNING '%', attempt('SELECT concresce.await(concresce.submit(''fails'', 0))');
  PERFORM pg_sleep(60);
  RETURN true;
END $$;
CREATE DOMAIN lingering AS int CHECK (lingers(VALUE));
CREATE FUNCTION slow(a int) RETURNS lingering LANGUAGE concresce STABLE AS 'SELECT slow.a';
BEGIN;
SELECT concresce.submit('slow', 1) AS id \gset
SAVEPOINT a;
SET LOCAL statement_timeout = '2s';
SELECT concresce.as_completed(ARRAY[:id]::bigint[], NULL::int, true);
ROLLBACK TO a;
SELECT attempt('SELECT concresce.await($1[1])', :id);
SELECT concresce.wait('{}');
COMMIT;

-- what a transaction or a subtransaction leaves open ends with it
SELECT pg_advisory_lock(101), pg_advisory_lock(102), pg_advisory_lock(103);
BEGIN;
SELECT concresce.submit('one', 1) AS one \gset
SAVEPOINT a;
SELECT concresce.submit('two', 2) AS two \gset
SAVEPOINT b;
SELECT concresce.submit('three', 3) AS three \gset
SELECT far_waits(101, 1), far_waits(102, 1), far_waits(103, 1);
RELEASE b;
SELECT far_waits(103, 1);
ROLLBACK TO a;
SELECT far_waits(103, 0), far_waits(102, 0), far_waits(101, 1);
COMMIT;
SELECT far_waits(101, 0);
BEGIN;
SELECT concresce.submit('one', 1) AS one \gset
SELECT far_waits(101, 1);
ROLLBACK;
SELECT far_waits(101, 0);
BEGIN;
SELECT concresce.submit('one', 1) AS one \gset
SELECT far_waits(101, 1);
PREPARE TRANSACTION 'async_wait';
SELECT far_waits(101, 0);
ROLLBACK PREPARED 'async_wait';
SELECT concresce.submit('one', 1) IS NULL AS statement;
SELECT concresce.submit('one', 1) / 0;
SELECT far_waits(101, 0);
-- a procedure's
DO $$
BEGIN
  PERFORM concresce.submit('one', 1);
  IF NOT far_waits(101, 1) THEN RAISE 'it does not wait'; END IF;
  COMMIT;
  IF NOT far_waits(101, 0) THEN RAISE 'it waits'; END IF;
END $$;

-- a call leaves by itself while the session is busy, and with a statement
BEGIN;
SELECT concresce.submit('one', 1) AS id \gset
SELECT far_waits(101, 1);
COMMIT;
SELECT far_waits(101, 0);
DO $$
BEGIN
  PERFORM concresce.submit('one', 1);
  IF NOT far_waits(101, 1) THEN RAISE 'it has not left'; END IF;
END $$;
SELECT pg_advisory_unlock(101), pg_advisory_unlock(102), pg_advisory_unlock(103);
SELECT far_waits(101, 0);

-- another session's
SELECT pg_advisory_lock(101);
SELECT dblink_connect('other', here());
SELECT dblink_exec('other', 'SET concresce.server = far');
SELECT dblink_exec('other', 'BEGIN');
SELECT id AS theirs FROM dblink('other', 'SELECT concresce.submit(''one'', 1)') AS t(id bigint) \gset
SELECT far_waits(101, 1);
BEGIN;
SELECT concresce.submit('one', 1) > :theirs AS ours;
SELECT attempt('SELECT concresce.await($1[1])', :theirs);
SELECT attempt('SELECT concresce.cancel($1[1])', :theirs);
SELECT attempt('SELECT concresce.wait($1)', :theirs);
COMMIT;
SELECT pg_advisory_unlock(101);
SELECT id FROM dblink('other', format('SELECT concresce.await(%s)', :theirs)) AS t(id text);
SELECT dblink_exec('other', 'COMMIT'), dblink_disconnect('other');

-- calls = answered + errors + cancelled + timeouts, and nothing is left
SELECT counters() IS NOT NULL AS at_rest;
SELECT sum(active + queued), (SELECT count(*) FROM concresce.in_flight) AS open, (SELECT used FROM concresce.memory()) FROM concresce.stats;

DROP FUNCTION one, two, three, fails, write, unfit, slow, far_waits, places, attempt;
DROP DOMAIN small, lingering;
DROP FUNCTION lingers;
CALL clean_up();
