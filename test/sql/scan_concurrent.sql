--
-- The batch node: rows that others change meanwhile are looked at again, and
-- calls are made for what they have become; keys are shared with others.
--
\getenv srcdir PG_ABS_SRCDIR
\set play :srcdir '/lib/play.sql'
\set ECHO none
\i :play
\set ECHO all
CREATE FUNCTION twice(a int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT 2 * twice.a';
CREATE FUNCTION plus(a int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT 1 + plus.a';
CREATE FUNCTION up_to(a int) RETURNS SETOF int LANGUAGE concresce STABLE ROWS 2 AS 'SELECT generate_series(1, up_to.a)';
CREATE FUNCTION gated(a int) RETURNS text LANGUAGE concresce STABLE AS 'SELECT split_part(gated(gated.a), '','', 1)';
CREATE TABLE things (id int PRIMARY KEY, k int, v int);
CREATE TABLE others (id int, k int);
INSERT INTO others VALUES (1, 10), (2, 20), (3, 30);
ANALYZE others;

CREATE FUNCTION waits() RETURNS bool LANGUAGE sql AS $$
  SELECT comes('count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = ''Lock'' AND application_name = ''b''')
$$;
-- Session b runs into a row that a has changed; with batch nodes and without.
CREATE PROCEDURE race(change text, statement text, size int DEFAULT 3) LANGUAGE plpgsql AS $$
DECLARE
  mode text; line text;
BEGIN
  FOREACH mode IN ARRAY '{on,off}'::text[] LOOP
    TRUNCATE things;
    INSERT INTO things SELECT i, i, 0 FROM generate_series(1, size) i;
    ANALYZE things;
    COMMIT;
    SET client_min_messages = notice;
    IF mode = 'on' THEN
      FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || statement LOOP
        RAISE NOTICE '%', regexp_replace(line, 'Plan (expr_)?(\d+)( \(returns [$0-9,]+\))?', 'Plan \2');
      END LOOP;
    END IF;
    CALL play('a: BEGIN', 'a: ' || change, 'b: SET concresce.enable_batchscan = ' || mode, 'b> ' || statement,
              'waits()', 'a: COMMIT', 'b');
    RAISE NOTICE '% %', mode, (SELECT string_agg(format('(%s %s %s)', id, k, v), ' ' ORDER BY id)
                               FROM (SELECT * FROM things ORDER BY id LIMIT 4) t);
    RAISE NOTICE '% % % %', mode, (SELECT count(*) FROM things), (SELECT sum(v) FROM things), (SELECT sum(k) FROM things);
  END LOOP;
END $$;

-- what is set is looked up for the new row
CALL race('UPDATE things SET k = 50 WHERE id = 2', 'UPDATE things SET v = twice(k)');
CALL race('UPDATE things SET k = 50 WHERE id = 2', 'UPDATE things SET v = twice(plus(k)) + plus(id) WHERE id > 1');
CALL race('UPDATE things SET k = 50 WHERE id = 2', 'UPDATE things SET v = CASE WHEN k > 40 THEN twice(k) ELSE plus(k) END');
CALL race('UPDATE things SET k = NULL WHERE id = 2', 'UPDATE things SET v = (SELECT twice(things.k) + max(o.id) FROM others o)');
-- rows that do not fit any more, and such as do now (but did not)
CALL race('UPDATE things SET k = 50 WHERE id = 2', 'UPDATE things SET v = v + 1 WHERE twice(k) < 10');
CALL race('UPDATE things SET k = 4 WHERE id = 2', 'UPDATE things SET v = twice(k) WHERE twice(k) < 10 AND plus(k) <> 9');
CALL race('UPDATE things SET k = k + 1', 'DELETE FROM things WHERE twice(k) = 4');
CALL race('DELETE FROM things WHERE id = 2', 'UPDATE things SET v = twice(k)');
CALL race('UPDATE things SET k = 50 WHERE id = 2', 'DELETE FROM things WHERE twice(k) > 3');
-- joins and lookups in FROM
CALL race('UPDATE things SET k = 50 WHERE id = 2', 'UPDATE things t SET v = twice(t.k + o.k) FROM others o WHERE o.id = t.id');
CALL race('UPDATE things SET k = 50 WHERE id = 2', 'UPDATE things t SET v = twice(t.k) + plus(o.k) FROM others o WHERE o.id = t.id AND twice(t.k + o.k) > 30');
CALL race('UPDATE things SET k = 50 WHERE id = 2', 'UPDATE things t SET v = x FROM things s, twice(s.k) x WHERE s.id = t.id');
CALL race('UPDATE things SET k = 4 WHERE id = 2', 'UPDATE things t SET v = x FROM others o, up_to(o.id) x WHERE o.id = t.id AND x = twice(t.k) - 3');
-- locked and returned
CALL race('UPDATE things SET k = 50 WHERE id = 2', 'SELECT format(''%s %s'', id, twice(k)) FROM things FOR UPDATE');
CALL race('UPDATE things SET k = 50 WHERE id = 2', 'SELECT format(''%s %s'', id, twice(k)) FROM things WHERE plus(k) < 40 FOR UPDATE');
CALL race('UPDATE things SET k = 4 WHERE id = 2', 'SELECT format(''%s %s'', t.id, x) FROM things t, up_to(t.k) x FOR UPDATE OF t');
CALL race('UPDATE things SET k = 4 WHERE id = 2', 'SELECT format(''%s %s'', t.id, x) FROM things t LEFT JOIN LATERAL up_to(t.k) x ON true FOR UPDATE OF t');
CALL race('UPDATE things SET k = 50 WHERE id = 1', 'SELECT format(''%s %s'', id, twice(k)) FROM things ORDER BY id LIMIT 2 FOR UPDATE');
-- the rows that were read ahead are still there afterwards
CALL race('UPDATE things SET k = 5000 WHERE id IN (5, 6, 300)', 'UPDATE things SET v = twice(k)', 400);
CALL race('UPDATE things SET k = 5000 WHERE id IN (5, 6, 300)', 'UPDATE things SET v = twice(k) WHERE plus(k) < 1000', 400);
-- MERGE
CALL race('UPDATE things SET k = 50 WHERE id = 2', 'MERGE INTO things t USING others o ON o.id = t.id WHEN MATCHED THEN UPDATE SET v = twice(t.k) + plus(o.k)');
CALL race('UPDATE things SET k = 50 WHERE id = 2', 'MERGE INTO things t USING others o ON o.id = t.id
  WHEN MATCHED AND twice(t.k) > 40 THEN DELETE WHEN MATCHED THEN UPDATE SET v = twice(t.k)');
-- an init plan that no row needs is not run, not even to look at a row again
CALL race('UPDATE things SET k = 50 WHERE id = 2', 'MERGE INTO things t USING others o ON o.id = t.id
  WHEN MATCHED THEN UPDATE SET v = CASE WHEN o.k > 99 THEN twice((SELECT 1 / (count(*) - 3)::int FROM others)) ELSE plus(o.k) END');

-- rows that are locked by others are passed over
SET client_min_messages = warning;
TRUNCATE things;
INSERT INTO things SELECT i, i, 0 FROM generate_series(1, 5) i;
CALL play('a: BEGIN', 'a: UPDATE things SET k = 50 WHERE id IN (1, 3)',
          'b> SELECT format(''%s %s'', id, twice(k)) FROM things ORDER BY id LIMIT 2 FOR UPDATE SKIP LOCKED', 'b', 'a: COMMIT');

-- keys of several sessions' scans are shared while they are in flight
CALL play('close', 'a> SELECT gated(i) FROM generate_series(1, 5) i', '1 in flight',
          'b> SELECT gated(i) FROM generate_series(3, 7) i', '2 in flight', 'c> SELECT gated(4)', '3 in flight',
          'open', 'a', 'b', 'c', 'runs()', 'counters()');
-- one leaves: what others wait for goes on
CREATE FUNCTION end_of(session text, how text) RETURNS bool LANGUAGE sql AS $$
  SELECT CASE WHEN how = 'cancel' THEN pg_cancel_backend(pid) ELSE pg_terminate_backend(pid) END
  FROM pg_stat_activity WHERE application_name = session AND backend_type = 'client backend'
$$;
CALL play('close', 'a> SELECT gated(i) FROM generate_series(1, 5) i', '1 in flight',
          'b> SELECT gated(i) FROM generate_series(3, 7) i', '2 in flight',
          'end_of(''a'', ''cancel'')', 'a', '1 in flight', 'open', 'b', 'counters()');
-- with a round emitted and the next one in flight
CALL play('a: SET concresce.max_size = 10', 'a> SELECT count(*) FROM (SELECT CASE WHEN i < 15 THEN i::text ELSE gated(i) END AS g FROM generate_series(1, 100) i OFFSET 0) q WHERE g <> ''''',
          'a', 'counters()');
CALL play('close', 'a: SET concresce.max_size = 10', 'a> SELECT count(*) FROM (SELECT CASE WHEN i < 15 THEN i::text ELSE gated(i) END AS g FROM generate_series(1, 100) i OFFSET 0) q WHERE g <> ''''',
          '2 in flight', 'end_of(''a'', ''cancel'')', 'a', 'open', 'comes(''count(*) = 0 FROM concresce.in_flight'')', 'counters()');
CALL play('close', 'a: SET concresce.max_size = 10', 'a> SELECT gated(i), gated(-i) FROM generate_series(1, 100) i',
          '4 in flight', 'end_of(''a'', ''terminate'')', 'comes(''count(*) = 0 FROM concresce.in_flight'')', 'open', 'counters()');

DROP TABLE things, others;
DROP FUNCTION twice, plus, up_to, gated, waits, end_of;
DROP PROCEDURE race;
CALL clean_up();
