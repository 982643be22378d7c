--
-- The batch node: WHERE CURRENT OF finds the row that SQL would find.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all

CREATE TABLE parent (id int, k int);
CREATE TABLE child () INHERITS (parent);
CREATE TABLE grandchild () INHERITS (child);
INSERT INTO parent VALUES (1, 1), (2, 2);
INSERT INTO child VALUES (3, 3), (4, 4);
INSERT INTO grandchild VALUES (5, 5);
CREATE TABLE parted (id int, k int) PARTITION BY LIST (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1, 3);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2, 4);
INSERT INTO parted VALUES (1, 1), (2, 2), (3, 3), (4, 4);
CREATE TABLE indexed (id int PRIMARY KEY);
INSERT INTO indexed SELECT generate_series(1, 300);
VACUUM ANALYZE parent, child, grandchild, parted, indexed;

-- Go to a row of a cursor, update it, go on, delete another one; and say what
-- was written where, or the error.  The same by plain calls?
CREATE PROCEDURE current_of(cursor text, tab text, VARIADIC steps text[]) LANGUAGE plpgsql AS $$
DECLARE
  mode text; step text; c refcursor := 'c'; r record; said text; results text[] := '{}'; nodes text;
BEGIN
  FOREACH mode IN ARRAY '{on,off}'::text[] LOOP
    PERFORM set_config('concresce.enable_batchscan', mode, false);
    said := '';
    BEGIN
      EXECUTE 'DECLARE c ' || cursor;
      IF mode = 'on' THEN
        nodes := (SELECT format('%s batch nodes', count(*)) FROM plan_of('DECLARE c2 ' || cursor, '') l WHERE l ~ 'ConcresceBatch');
      END IF;
      FOREACH step IN ARRAY steps LOOP
        IF step = 'update' THEN
          FOR r IN EXECUTE format('UPDATE %s SET id = -id WHERE CURRENT OF c RETURNING tableoid::regclass, id', tab) LOOP
            said := said || ' updated ' || r::text;
          END LOOP;
        ELSIF step = 'delete' THEN
          FOR r IN EXECUTE format('DELETE FROM %s WHERE CURRENT OF c RETURNING tableoid::regclass, id', tab) LOOP
            said := said || ' deleted ' || r::text;
          END LOOP;
        ELSE
          EXECUTE 'MOVE ' || step || ' IN c';
        END IF;
      END LOOP;
      RAISE SQLSTATE 'CC000';
    EXCEPTION
      WHEN SQLSTATE 'CC000' THEN NULL;
      WHEN OTHERS THEN said := said || ' ' || sqlstate || ' ' || sqlerrm;
    END;
    results := results || said;
  END LOOP;
  PERFORM set_config('concresce.enable_batchscan', 'on', false);
  SET client_min_messages = notice;
  RAISE NOTICE '%:%', nodes, results[1];
  IF results[1] <> results[2] THEN
    RAISE NOTICE '!! by plain calls:%', results[2];
  END IF;
  SET client_min_messages = warning;
END $$;

-- tables
CALL current_of('CURSOR FOR SELECT id, score(k) FROM few', 'few', '2', 'update', '1', 'delete');
CALL current_of('CURSOR FOR SELECT id FROM few WHERE score(k) > 10', 'few', '2', 'update', '1', 'delete');
CALL current_of('CURSOR FOR SELECT id, label(k) FROM few WHERE score(k) > 10', 'few', '2', 'update', '1', 'delete');
CALL current_of('CURSOR FOR SELECT id, parts(k) FROM few', 'few', '2', 'update');
CALL current_of('CURSOR FOR SELECT id, score(k) FROM few', 'few', 'update');
CALL current_of('CURSOR FOR SELECT id, score(k) FROM few', 'few', '100', 'update');
CALL current_of('CURSOR FOR SELECT id, score(k) FROM few', 'many', '1', 'update');
CALL current_of('CURSOR FOR SELECT id, score(k) FROM few TABLESAMPLE SYSTEM (100)', 'few', '2', 'update');
CALL current_of('CURSOR FOR SELECT id, score(k) FROM few WHERE ctid < ''(0,5)''', 'few', '2', 'update');
SET enable_seqscan = off;
SET enable_bitmapscan = off;
CALL current_of('CURSOR FOR SELECT id, score(id) FROM indexed WHERE id > 100', 'indexed', '120', 'update', '20', 'delete');
CALL current_of('CURSOR FOR SELECT id, score(k) FROM many WHERE id > 100', 'many', '120', 'update', '20', 'delete');
RESET enable_bitmapscan;
SET enable_indexscan = off;
SET enable_indexonlyscan = off;
CALL current_of('CURSOR FOR SELECT id, score(k) FROM many WHERE id > 100', 'many', '120', 'update', '20', 'delete');
RESET enable_seqscan; RESET enable_indexscan; RESET enable_indexonlyscan;
-- what stands between
CALL current_of('CURSOR FOR SELECT id, score(k) FROM few LIMIT 5', 'few', '2', 'update', '1', 'delete');
CALL current_of('CURSOR FOR SELECT id, score(k) FROM (SELECT * FROM few LIMIT 5) q', 'few', '2', 'update', '1', 'delete');
CALL current_of('CURSOR FOR SELECT id, score(k) FROM (SELECT * FROM few LIMIT 5 OFFSET 2) q WHERE score(k) IS NOT NULL', 'few', '2', 'update');
CALL current_of('CURSOR FOR SELECT id, score(k) FROM (SELECT * FROM few OFFSET 0) q', 'few', '2', 'update', '1', 'delete');
CALL current_of('CURSOR FOR SELECT * FROM (SELECT id, score(k) FROM few OFFSET 0) q', 'few', '2', 'update', '1', 'delete');
CALL current_of('CURSOR FOR SELECT id, score(k) FROM few ORDER BY id + 0 DESC', 'few', '2', 'update');
CALL current_of('CURSOR FOR SELECT f.id, score(f.k) FROM few f, many m WHERE m.id = f.id', 'few', '2', 'update');
CALL current_of('CURSOR FOR SELECT id, s FROM few, score(k) s', 'few', '2', 'update');
CALL current_of('CURSOR FOR SELECT sum(score(k)) FROM few', 'few', '1', 'update');
-- several tables
CALL current_of('CURSOR FOR SELECT id, score(k) FROM parent', 'parent', '2', 'update', '2', 'update', '1', 'delete');
CALL current_of('CURSOR FOR SELECT id FROM parent WHERE score(k) > 10', 'parent', '1', 'update', '2', 'update', '1', 'delete');
CALL current_of('CURSOR FOR SELECT id, score(k) FROM parent', 'child', '2', 'update', '2', 'update');
CALL current_of('CURSOR FOR SELECT id, score(k) FROM ONLY parent', 'parent', '2', 'update');
CALL current_of('CURSOR FOR SELECT id, label(k), score(k) FROM parent WHERE known(k)', 'parent', '4', 'update', '1', 'delete');
CALL current_of('CURSOR FOR SELECT id, score(k) FROM parted', 'parted', '2', 'delete', '1', 'delete');
CALL current_of('CURSOR FOR SELECT id, score(k) FROM (SELECT * FROM parent OFFSET 0) q', 'parent', '2', 'update', '2', 'update');
CALL current_of('CURSOR FOR SELECT id, score(k) FROM (SELECT * FROM parent LIMIT 4) q', 'parent', '2', 'update', '2', 'update');
CALL current_of('CURSOR FOR SELECT id, score(k) FROM (SELECT id, k FROM few UNION ALL SELECT id, k FROM many) q', 'many', '2', 'update', '12', 'update');
CALL current_of('CURSOR FOR SELECT id, score(k) FROM few UNION ALL SELECT id, score(k) FROM few', 'few', '2', 'update');
CALL current_of('CURSOR FOR SELECT id, score(k) FROM (SELECT 1 AS id, 1 AS k UNION ALL SELECT id, k FROM few OFFSET 0) q', 'few', '1', 'update', '1', 'update');
-- SCROLL: backward, and on again
CALL current_of('SCROLL CURSOR FOR SELECT id, score(k) FROM few', 'few', '2', 'update', '3', 'delete');
CALL current_of('SCROLL CURSOR FOR SELECT id, score(k) FROM few', 'few', '5', 'BACKWARD 2', 'update', 'FIRST', 'update', 'LAST', 'update', 'PRIOR', 'delete');
CALL current_of('SCROLL CURSOR FOR SELECT id, score(k) FROM few', 'few', 'ALL', 'BACKWARD 1', 'update', 'ABSOLUTE 4', 'update', 'RELATIVE -2', 'update', 'ABSOLUTE 7', 'update');
CALL current_of('SCROLL CURSOR FOR SELECT id, label(k) FROM few WHERE score(k) > 10', 'few', '4', 'BACKWARD 3', 'update', '2', 'update', 'BACKWARD ALL', 'update');
CALL current_of('SCROLL CURSOR FOR SELECT id, score(k) FROM parent', 'parent', '4', 'BACKWARD 3', 'update', 'LAST', 'update', 'PRIOR', 'delete');
CALL current_of('SCROLL CURSOR FOR SELECT id, score(k) FROM (SELECT * FROM few LIMIT 5) q', 'few', 'LAST', 'update', 'PRIOR', 'update', 'FIRST', 'delete');
CALL current_of('SCROLL CURSOR FOR SELECT id, score(k) FROM many', 'many', 'ABSOLUTE 1200', 'update', 'BACKWARD 1100', 'update', 'ABSOLUTE -1', 'delete');
-- FOR UPDATE
CALL current_of('CURSOR FOR SELECT id, score(k) FROM few FOR UPDATE', 'few', '2', 'update', '1', 'delete');
CALL current_of('CURSOR FOR SELECT id FROM few WHERE score(k) > 10 FOR UPDATE', 'few', '2', 'update', '1', 'delete');
CALL current_of('CURSOR FOR SELECT id, score(k) FROM parent FOR UPDATE', 'parent', '2', 'update', '2', 'delete');
CALL current_of('CURSOR FOR SELECT id, s FROM few, score(k) s FOR UPDATE OF few', 'few', '2', 'update', '1', 'delete');
CALL current_of('CURSOR FOR SELECT q.id, s FROM (SELECT * FROM few ORDER BY id FOR UPDATE) q, score(q.k) s', 'few', '1', 'update', '1', 'delete');
CALL current_of('CURSOR FOR WITH j AS (SELECT * FROM few ORDER BY id FOR UPDATE) SELECT id, score(k) FROM j', 'few', '1', 'update', '1', 'delete');
CALL current_of('CURSOR FOR SELECT id, score(k) FROM (SELECT * FROM few ORDER BY id FOR UPDATE) q LIMIT 5', 'few', '1', 'update', '1', 'delete');
CALL current_of('CURSOR FOR SELECT id, score(k) FROM (SELECT * FROM few FOR UPDATE) q ORDER BY id', 'few', '1', 'update', '1', 'delete');
-- SCROLL keeps its rows: what they say does not change, and nothing is asked twice
BEGIN;
SELECT FROM asked();
DECLARE c SCROLL CURSOR FOR SELECT id, noted(k) FROM many WHERE noted(k) % 20 = 0;
FETCH 2 FROM c;
MOVE FORWARD ALL IN c;
FETCH BACKWARD 2 FROM c;
MOVE BACKWARD ALL IN c;
FETCH 2 FROM c;
FETCH ABSOLUTE 400 FROM c;
FETCH BACKWARD 1 FROM c;
SELECT count(*), count(DISTINCT key) FROM far.asked;
COMMIT;
-- of PL/pgSQL
DO $$
DECLARE
  c CURSOR FOR SELECT id, score(k) AS s FROM parent;
  d SCROLL CURSOR FOR SELECT id, score(k) AS s FROM few;
  r record;
BEGIN
  FOR r IN c LOOP
    UPDATE parent SET k = r.s WHERE CURRENT OF c;
  END LOOP;
  RAISE WARNING '%', (SELECT string_agg(format('%s %s %s', tableoid::regclass, id, k), ', ' ORDER BY id) FROM parent);
  OPEN d;
  FETCH LAST FROM d INTO r;
  UPDATE few SET grp = r.s WHERE CURRENT OF d;
  FETCH PRIOR FROM d INTO r;
  UPDATE few SET grp = r.s WHERE CURRENT OF d;
  RAISE WARNING '%', (SELECT string_agg(format('%s %s', id, grp), ', ' ORDER BY id) FROM few);
  ROLLBACK;
END $$;
SELECT left_over();

DROP TABLE parent, child, grandchild, parted, indexed;
DROP PROCEDURE current_of;
CALL clean_up();
