--
-- The batch node: when a row that others have changed is checked again, what is
-- below the node may not have begun.
--
\getenv srcdir PG_ABS_SRCDIR
\set play :srcdir '/lib/play.sql'
\set ECHO none
\i :play
\set ECHO all
CREATE FUNCTION twice(a int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT 2 * twice.a';
CREATE FUNCTION up_to(a int) RETURNS SETOF int LANGUAGE concresce STABLE ROWS 2 AS 'SELECT generate_series(1, up_to.a)';
CREATE TABLE things (id int PRIMARY KEY, k int, v int);
CREATE TABLE others (id int PRIMARY KEY, k int);
INSERT INTO others SELECT i, i FROM generate_series(1, 1000) i;
CREATE INDEX ON others (k);
CREATE TABLE parted (id int, k int) PARTITION BY LIST (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1, 3);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2);
INSERT INTO parted VALUES (1, 1), (2, 2), (3, 3);
VACUUM ANALYZE others, parted;
CREATE FUNCTION waits() RETURNS bool LANGUAGE sql AS $$
  SELECT comes('count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = ''Lock'' AND application_name = ''b''')
$$;

-- Session b runs into a row that a has changed, by each kind of scan; with
-- batch nodes and without.
CREATE PROCEDURE race(statement text, scans text DEFAULT 'index') LANGUAGE plpgsql AS $$
DECLARE
  mode text; result text; results text[] := '{}';
BEGIN
  FOREACH mode IN ARRAY '{on,off}'::text[] LOOP
    TRUNCATE things;
    INSERT INTO things SELECT i, i, 0 FROM generate_series(1, 3) i;
    ANALYZE things;
    COMMIT;
    SET client_min_messages = notice;
    CALL play('a: BEGIN', 'a: UPDATE things SET k = 50 WHERE id = 2', 'b: SET concresce.enable_batchscan = ' || mode,
              'b: SET enable_seqscan = ' || CASE scans WHEN 'index' THEN 'off' ELSE 'on' END,
              'b: SET enable_bitmapscan = ' || CASE scans WHEN 'bitmap' THEN 'on' ELSE 'off' END,
              'b: SET enable_hashjoin = ' || CASE scans WHEN 'loop' THEN 'off' ELSE 'on' END,
              'b: SET enable_mergejoin = ' || CASE scans WHEN 'loop' THEN 'off' ELSE 'on' END,
              'b> ' || statement, 'waits()', 'a: COMMIT', 'b');
    SELECT string_agg(format('(%s %s %s)', id, k, v), ' ' ORDER BY id) INTO result FROM things;
    RAISE NOTICE '% %', mode, result;
    results := results || result;
  END LOOP;
  IF results[1] <> results[2] THEN
    RAISE NOTICE '!! a difference';
  END IF;
END $$;

-- an index-only scan below a sub-select
CALL race('UPDATE things t SET v = q.id FROM (SELECT id FROM others WHERE id < 4 OFFSET 0) q WHERE q.id = t.id AND twice(q.id) > 0');
CALL race('UPDATE things t SET v = twice(q.id) FROM (SELECT id FROM others WHERE id < 4 OFFSET 0) q WHERE q.id = t.id');
CALL race('UPDATE things t SET v = x FROM (SELECT id FROM others WHERE id < 4 LIMIT 3) q, up_to(q.id) x WHERE q.id = t.id AND x = 1');
CALL race('UPDATE things t SET v = t.k + q.id FROM (SELECT id FROM others WHERE twice(id) < 8 AND id < 4 OFFSET 0) q WHERE q.id = t.id');
-- other scans, and what may be above them
CALL race('UPDATE things t SET v = t.k + q.k FROM (SELECT id, k FROM others WHERE k < 4 OFFSET 0) q WHERE q.id = t.id AND twice(q.k) > 0', 'bitmap');
CALL race('UPDATE things t SET v = t.k + q.k FROM (SELECT id, k FROM others WHERE k < 4 OFFSET 0) q WHERE q.id = t.id AND twice(q.k) > 0', 'seq');
CALL race('UPDATE things t SET v = t.k + q.k FROM (SELECT id, k FROM others TABLESAMPLE SYSTEM (100) WHERE k < 4 OFFSET 0) q WHERE q.id = t.id AND twice(q.k) > 0', 'seq');
CALL race('UPDATE things t SET v = t.k + q.k FROM (SELECT id, k FROM others WHERE ctid < ''(0,4)'' OFFSET 0) q WHERE q.id = t.id AND twice(q.k) > 0', 'seq');
CALL race('UPDATE things t SET v = t.k + q.n FROM (SELECT id, count(*) AS n FROM others WHERE id < 4 GROUP BY id OFFSET 0) q WHERE q.id = t.id AND twice(q.id) > 0');
CALL race('UPDATE things t SET v = t.k + q.k FROM (SELECT * FROM parted OFFSET 0) q WHERE q.id = t.id AND twice(q.k) > 0', 'seq');
CALL race('UPDATE things t SET v = t.k + q.k FROM parted q WHERE q.id = t.id AND twice(q.k) > 0', 'loop');
CALL race('UPDATE things t SET v = t.k + q.i FROM (SELECT i FROM generate_series(1, 3) i OFFSET 0) q WHERE q.i = t.id AND twice(q.i) > 0');
CALL race('UPDATE things t SET v = t.k + q.i FROM (VALUES (1), (2), (3)) q(i) WHERE q.i = t.id AND twice(q.i) > 0');
CALL race('UPDATE things t SET v = t.k + q.x FROM (SELECT id, twice(id) AS x FROM others WHERE id < 4 OFFSET 0) q WHERE q.id = t.id AND twice(q.x) > 0', 'loop');
CALL race('WITH q AS MATERIALIZED (SELECT id FROM others WHERE id < 4) UPDATE things t SET v = t.k + twice(q.id) FROM q WHERE q.id = t.id', 'loop');
CALL race('UPDATE things t SET v = t.k FROM others o WHERE o.id = t.id AND EXISTS (SELECT FROM others p WHERE p.id = o.k AND twice(p.id) > 0)', 'loop');
CALL race('UPDATE things t SET v = (SELECT twice(max(o.id)) FROM others o WHERE o.id < t.k) WHERE twice(t.id) < 7');
CALL race('DELETE FROM things t USING (SELECT id FROM others WHERE id < 4 OFFSET 0) q WHERE q.id = t.id AND twice(q.id) = 4');
-- locked by a SELECT
CALL race('SELECT t.id || '' '' || t.k || '' '' || twice(q.id) FROM things t, (SELECT id FROM others WHERE id < 4 OFFSET 0) q WHERE q.id = t.id AND twice(q.id) > 0 FOR UPDATE OF t');
CALL race('SELECT t.id || '' '' || t.k || '' '' || q.id FROM things t LEFT JOIN (SELECT id FROM others WHERE id < 3 AND twice(id) > 0 OFFSET 0) q ON q.id = t.id FOR UPDATE OF t', 'loop');

DROP TABLE things, others, parted;
DROP FUNCTION twice, up_to, waits;
DROP PROCEDURE race;
CALL clean_up();
