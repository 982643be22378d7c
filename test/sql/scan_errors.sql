--
-- The batch node: errors in the middle of a scan are those of plain calls, and
-- leave nothing behind.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all
\set analyze ', ANALYZE, TIMING OFF, SUMMARY OFF'
CREATE TABLE some AS SELECT * FROM many WHERE id <= 300;
ANALYZE some;
-- fails for 130 and its multiples
CREATE FUNCTION breaks(key int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT 1000 / (key % 130)';
-- takes no end for 5
CREATE FUNCTION far.wait_if(wait bool) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  IF wait THEN
    PERFORM pg_sleep(600);
  END IF;
  RETURN 1;
END $$;
CREATE FUNCTION slow(key int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT key * wait_if(key = 5)';

-- an error of the foreign query: the rows before it, then the error of the row
BEGIN;
DECLARE c CURSOR FOR SELECT id, breaks(k) FROM some;
MOVE 128 IN c;
FETCH 1 FROM c;
FETCH 1 FROM c;
ROLLBACK;
SELECT left_over();
SELECT shape('SELECT id, breaks(k) FROM some', options => '');
SELECT shape('SELECT id FROM some WHERE breaks(k) = 1000');
SELECT shape('SELECT sum(breaks(k)) FROM some');
SELECT shape('SELECT id, b FROM some, breaks(k) b');
SELECT shape('SELECT id, (SELECT breaks(m.k)) FROM some m');
SELECT shape('SELECT id, breaks(k), score(k) FROM some LIMIT 129', options => :'analyze', most => 0);
SELECT shape('SELECT id, CASE WHEN id % 130 <> 0 THEN breaks(k) END FROM some', options => :'analyze');
-- one bad row among the others
SET concresce.isolate_errors = on;
SELECT shape('SELECT id, breaks(k) FROM some');
SELECT shape('SELECT id, breaks(k) FROM some WHERE id % 130 <> 0');
RESET concresce.isolate_errors;
-- rows that SQL does not come to, whatever their errors
SELECT shape('SELECT id FROM some WHERE breaks(k) = 8 LIMIT 1');
SELECT shape('SELECT EXISTS (SELECT FROM some WHERE breaks(k) = 8)');
-- no row, several rows
SET concresce.on_missing = error;
BEGIN;
DECLARE c CURSOR FOR SELECT id, score(k) FROM some;
FETCH 6 FROM c;
FETCH 1 FROM c;
ROLLBACK;
SELECT shape('SELECT id, score(k) FROM some');
SELECT shape('SELECT id, score(k) FROM some LIMIT 6');
SELECT shape('SELECT id FROM few WHERE k <> 7 AND score(k) > 20');
SELECT shape('SELECT id, COALESCE(score(k), 0) FROM few');
RESET concresce.on_missing;
BEGIN;
DECLARE c CURSOR FOR SELECT id, picky(k) FROM some;
FETCH 11 FROM c;
FETCH 1 FROM c;
ROLLBACK;
-- of lookups of lookups: whichever comes first
SELECT shape('SELECT id, picky(breaks(k)) FROM some WHERE id > 12');
SELECT shape('SELECT id, breaks(picky(k)) FROM some WHERE id < 12');
SELECT shape('SELECT id, breaks(k), picky(k) FROM some');
SELECT shape('SELECT id, picky(k), breaks(k) FROM some WHERE id > 13');
-- of what is computed from results
SELECT shape('SELECT id, 100 / (score(k) - 30) FROM few');
SELECT shape('SELECT id, score(k)::smallint FROM some ORDER BY id');
SELECT shape('SELECT id, label(k)::int FROM few');
-- a result that the local type does not take
CREATE DOMAIN low AS int CHECK (VALUE < 30);
CREATE FUNCTION low_score(key int) RETURNS low LANGUAGE concresce STABLE AS 'SELECT score FROM scores WHERE id = key';
CREATE FUNCTION no_number(key int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT label FROM scores WHERE id = key';
SELECT shape('SELECT id, low_score(k) FROM few');
SELECT shape('SELECT id, low_score(k) FROM few LIMIT 2');
SELECT shape('SELECT id, no_number(k) FROM few');
SELECT shape('SELECT id, CASE WHEN k = 7 THEN no_number(k) END FROM few WHERE k IS NOT NULL');
-- an argument that cannot be sent
CREATE FUNCTION short(t text) RETURNS int LANGUAGE concresce STABLE SET concresce.max_bytes = '1kB' AS 'SELECT length(t)';
SELECT shape('SELECT id, short(repeat(''x'', id * 400)) FROM few');

-- servers, users, tables that are not there
CREATE FUNCTION nothing(key int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT id FROM not_there WHERE id = key';
SELECT shape('SELECT id, nothing(k) FROM few');
SELECT shape('SELECT id, CASE WHEN id > 100 THEN nothing(k) END FROM few WHERE id < 3');
SELECT shape('SELECT id, nothing(k) FROM few WHERE id > 100');
SET concresce.server = 'nowhere';
SELECT outcome('SELECT id, score(k) FROM few', NULL);
SET concresce.enable_batchscan = off;
SELECT outcome('SELECT id, score(k) FROM few', NULL);
RESET concresce.enable_batchscan;
CREATE SERVER down FOREIGN DATA WRAPPER concresce OPTIONS (host '/nowhere', port '1');
CREATE USER MAPPING FOR CURRENT_USER SERVER down;
SET concresce.server = 'down';
SELECT substring(o, 'ERROR 08001.*not connect[^:]*') AS failed FROM unnest(outcome('SELECT id, score(k) FROM few', NULL)) o;
SET concresce.enable_batchscan = off;
SELECT substring(o, 'ERROR 08001.*not connect[^:]*') AS failed FROM unnest(outcome('SELECT id, score(k) FROM few', NULL)) o;
RESET concresce.enable_batchscan;
SET concresce.server = 'far';
SELECT left_over();

-- a timeout, of the call whose key takes too long
SET concresce.timeout = '1s';
SELECT shape('SELECT id, slow(id) FROM few');
SELECT shape('SELECT id FROM few WHERE slow(id) > 0');
RESET concresce.timeout;
SELECT left_over();
-- statement_timeout, before the first row and with a round under way
SET statement_timeout = '500ms';
SELECT id, slow(id) FROM few;
SELECT id, slow(id - 1195) FROM many;
SELECT count(slow(id - 1195)) FROM many;
SELECT id, p FROM few, slow(id) p;
UPDATE few SET k = slow(id);
RESET statement_timeout;
SELECT left_over();
SELECT sum(k) FROM few;

-- errors that are caught: what comes after is not disturbed
CREATE FUNCTION caught() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  r record;
BEGIN
  FOR r IN SELECT id, score(k) AS s FROM many LOOP
    IF r.id % 200 = 0 THEN
      BEGIN
        PERFORM sum(breaks(k)) FROM many WHERE id > r.id - 60 AND id <= r.id;
        RETURN NEXT r.id || ': ' || coalesce(r.s, -1);
      EXCEPTION WHEN division_by_zero THEN
        RETURN NEXT r.id || ': ' || sqlerrm;
      END;
    END IF;
  END LOOP;
END $$;
SELECT caught();
SELECT left_over();
-- an argument's error of any kind waits for its row; only a cancel does not
CREATE FUNCTION raises(k int, code text) RETURNS int LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF k = 6 THEN
    RAISE EXCEPTION USING ERRCODE = code, MESSAGE = 'raised for ' || k;
  END IF;
  RETURN k;
END $$;
SELECT code, shape(format('SELECT id FROM few WHERE score(raises(id, %L)) > 0 LIMIT 3', code), options => NULL)
FROM unnest('{22012,40001,40P01,53200,55P03,57P01,P0004,XX000,XX001}'::text[]) code;
DROP FUNCTION raises;
-- more than shared memory holds at a time
CREATE FUNCTION big(key int) RETURNS text LANGUAGE concresce STABLE AS $$ SELECT repeat('x', 600000) || big.key $$;
SELECT count(*), sum(length(b)) FROM (SELECT big(k) AS b FROM many WHERE id <= 150 OFFSET 0) q;
SELECT left_over();

DROP SERVER down CASCADE;
DROP TABLE some;
DROP FUNCTION breaks, slow, low_score, no_number, short, nothing, caught, big;
DROP DOMAIN low;
CALL clean_up();
