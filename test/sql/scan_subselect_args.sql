--
-- The batch node: calls whose arguments, or the conditions under which they are
-- made, hold sub-selects.  These are columns of the rows below.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all
\set analyze ', ANALYZE, TIMING OFF, SUMMARY OFF'
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_bitmapscan = off;

-- in an argument
SELECT shape('SELECT id, noted((SELECT max(m.k) FROM many m WHERE m.id <= f.k * 3)) FROM few f', options => :'analyze');
SELECT shape('SELECT id, score(k + (SELECT min(g.id) FROM few g WHERE g.grp = f.grp)), label((SELECT g.k FROM few g WHERE g.id = f.id)) FROM few f');
SELECT shape('SELECT id, score(coalesce((SELECT g.k FROM few g WHERE g.id = f.id + 1), f.id)) FROM few f');
SELECT shape('SELECT id, score(CASE (SELECT g.grp FROM few g WHERE g.id = f.id) WHEN 1 THEN 2 ELSE 3 END) FROM few f');
SELECT shape('SELECT f.id, score((SELECT max(g.id) FROM few g WHERE g.id < f.id + m.id)) FROM few f JOIN many m ON m.id = f.k');
SELECT shape('SELECT f, f.ctid, score((SELECT max(g.id) FROM few g WHERE g.k = f.k)) AS s FROM few f ORDER BY s, id');
SELECT shape('SELECT info((SELECT g.k FROM few g WHERE g.id = f.id)) FROM few f WHERE id < 4');
SELECT shape('SELECT DISTINCT score((SELECT max(g.k) FROM few g WHERE g.grp = f.grp)) AS s FROM few f ORDER BY s');
SELECT shape('SELECT id, score((SELECT max(g.id) FROM few g WHERE g.grp = f.grp)) FROM few f WHERE k < 7 FOR UPDATE');
SELECT shape('SELECT q.id, score((SELECT max(g.id) FROM few g WHERE g.id < q.n)) FROM (SELECT id, id * 2 AS n FROM few OFFSET 3) q');
-- NULL: no call
SELECT shape('SELECT id, noted((SELECT g.k FROM few g WHERE g.id = f.id AND g.id > 8)) FROM few f', options => :'analyze');
-- in a condition that is evaluated for each row
SELECT shape('SELECT id, CASE WHEN EXISTS (SELECT FROM many m WHERE m.id = f.k AND m.grp < 4) THEN noted(k) END FROM few f', options => :'analyze');
SELECT shape('SELECT id, CASE WHEN id IN (SELECT k FROM few WHERE k < 4) THEN score(k) ELSE after(k) END FROM few f');
SELECT shape('SELECT id, coalesce((SELECT m.id FROM many m WHERE m.id = f.k AND m.grp < 3), noted(k)) FROM few f');
SELECT shape('SELECT id, EXISTS (SELECT FROM many m WHERE m.id = f.k AND m.grp < 3) AND noted(k) > 10 FROM few f');
SELECT shape('SELECT id, NOT EXISTS (SELECT FROM many m WHERE m.id = f.k AND m.grp < 3) OR noted(k) > 10 FROM few f');
-- in the arguments of aggregates
SELECT shape('SELECT sum(noted((SELECT max(m.k) FROM many m WHERE m.id <= f.k))) FROM few f', options => :'analyze');
SELECT shape('SELECT grp, max(score((SELECT max(g.id) FROM few g WHERE g.id <= f.k))), count(*) FROM few f GROUP BY grp HAVING count(*) > 3 ORDER BY grp');
SELECT shape('SELECT string_agg(label((SELECT g.k FROM few g WHERE g.id = f.id)), '','' ORDER BY id) FROM few f');
SELECT shape('SELECT json_agg(CASE WHEN EXISTS (SELECT FROM many m WHERE m.id = f.k AND m.grp < 3) THEN score(k) END ORDER BY id) FROM few f');
-- with lookups in it
SELECT shape('SELECT id, score((SELECT max(after(m.id)) FROM many m WHERE m.id < f.k)) FROM few f', options => :'analyze');
SELECT shape('SELECT id, score((SELECT max(m.k) FROM many m WHERE m.id < after(f.k))) FROM few f', options => :'analyze');
SELECT shape('SELECT id, score((SELECT max(m.k) FROM many m WHERE m.id < after((SELECT max(g.id) FROM few g WHERE g.id < f.k + 1)))) FROM few f');
-- each is evaluated once
CREATE SEQUENCE ticks;
CREATE FUNCTION tick(n int) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN PERFORM nextval(''ticks''); RETURN n; END';
SELECT count(score((SELECT tick(f.k)))), (SELECT last_value FROM ticks) FROM few f;
SELECT last_value FROM ticks;
SELECT count(*) FROM (SELECT CASE WHEN (SELECT tick(f.id)) > 3 THEN score(f.k) END FROM few f OFFSET 0) q;
SELECT last_value FROM ticks;
-- errors
SELECT shape('SELECT id, score((SELECT 10 / (f.id - 5))) FROM few f');
SELECT shape('SELECT id, picky((SELECT g.k FROM few g WHERE g.id = f.id)) FROM few f');
SELECT shape('SELECT id, score((SELECT m.id FROM many m WHERE m.grp = f.grp)) FROM few f');

-- Row by row: SQL may not come to it
SELECT shape('SELECT id, score((SELECT max(g.id) FROM few g WHERE g.grp = f.grp)) FROM few f LIMIT 2');
SELECT shape('SELECT id, CASE WHEN id = 3 THEN 0 WHEN EXISTS (SELECT FROM few g WHERE g.id = f.k) THEN noted(k) END FROM few f');
SELECT shape('SELECT id, id > 3 AND score((SELECT max(g.id) FROM few g WHERE g.grp = f.grp)) > 10 FROM few f');
SELECT shape('SELECT sum(score((SELECT max(g.id) FROM few g WHERE g.id <= f.k))) FILTER (WHERE id > 2) FROM few f');
-- it is in a filter, or in a statement that writes
SELECT shape('INSERT INTO none SELECT id, score((SELECT max(g.id) FROM few g WHERE g.grp = f.grp)) FROM few f', 'TABLE none ORDER BY id');
SELECT shape('UPDATE few f SET k = score((SELECT max(g.id) FROM few g WHERE g.grp = f.grp)) WHERE id > 3', 'SELECT id, k FROM few ORDER BY id');
SELECT shape('UPDATE few f SET k = CASE WHEN EXISTS (SELECT FROM few g WHERE g.id = f.k) THEN score(k) ELSE 0 END', 'SELECT id, k FROM few ORDER BY id');
SELECT shape('MERGE INTO none n USING (SELECT id, score((SELECT max(g.id) FROM few g WHERE g.grp = f.grp)) AS s FROM few f) q ON n.id = q.id
  WHEN NOT MATCHED THEN INSERT VALUES (q.id, q.s)', 'SELECT id, k FROM none ORDER BY id');
SELECT shape('SELECT id FROM few f WHERE score((SELECT max(g.id) FROM few g WHERE g.grp = f.grp)) > 80');
-- something is volatile, also in another sub-select
SET my.x = 0;
SELECT shape('SELECT id, (SELECT set_config(''my.x'', f.id::text, false)), score((SELECT current_setting(''my.x'')::int + f.id * 0)) FROM few f WHERE id < 5');
SELECT shape('SELECT max((SELECT set_config(''my.x'', f.id::text, false))), sum(score((SELECT current_setting(''my.x'')::int + f.id * 0))) FROM few f WHERE id < 5');
SELECT shape('SELECT id, score((SELECT max(g.id) + (random() * 0)::int FROM few g WHERE g.grp = f.grp)) FROM few f');
SELECT shape('SELECT id, random() < 2, score((SELECT max(g.id) FROM few g WHERE g.grp = f.grp)) FROM few f');
-- not all rows are read: nothing is joined, a window stops
SET enable_hashjoin = on;
SET enable_nestloop = off;
SELECT shape('SELECT * FROM (SELECT id, score((SELECT 10 / (m.id - 5))) AS s FROM many m OFFSET 0) q JOIN none e ON e.id = q.s ORDER BY q.id');
SELECT shape('INSERT INTO none (id) SELECT q.id FROM (SELECT id, score((SELECT 10 / (m.id - 5))) AS s FROM many m OFFSET 0) q
  JOIN (SELECT k FROM none OFFSET 0) n ON n.k = q.s', 'TABLE none');
RESET enable_nestloop;
SET enable_seqscan = off;
SELECT shape('SELECT id, s FROM (SELECT id, s, row_number() OVER (ORDER BY id) AS n
  FROM (SELECT id, score((SELECT 10 / (f.id - 5))) AS s FROM few f ORDER BY id OFFSET 0) p) q WHERE n < 3 ORDER BY s', options => NULL);
RESET enable_seqscan;
-- the caller wants no more: batch nodes read no further
CREATE FUNCTION first_of_all() RETURNS int LANGUAGE sql STABLE AS 'SELECT score((SELECT 10 / (f.id - 5))) FROM few f';
SELECT first_of_all();
DO $$ DECLARE x int; BEGIN SELECT score((SELECT 10 / (f.id - 5))) INTO x FROM few f; RAISE WARNING '%', x; END $$;
SELECT setval('ticks', 1);
DO $$
DECLARE n int := 0; x int;
BEGIN
  FOR x IN SELECT score((SELECT tick(m.k))) FROM many m LOOP
    n := n + 1;
    EXIT WHEN n = 15;
  END LOOP;
END $$;
SELECT last_value FROM ticks;
-- it is a cursor
BEGIN;
SELECT plan_of('DECLARE c CURSOR FOR SELECT id, score((SELECT max(g.id) FROM few g WHERE g.grp = f.grp)) FROM few f', '');
ROLLBACK;
DROP FUNCTION tick, first_of_all;
DROP SEQUENCE ticks;
CALL clean_up();
