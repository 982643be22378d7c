--
-- The batch node: calls in statements that write.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all
\set analyze ', ANALYZE, TIMING OFF, SUMMARY OFF'
CREATE TABLE target (id int PRIMARY KEY, v int, l text DEFAULT 'none');
-- what is taken back would let the table grow, and its plans change
CREATE PROCEDURE fresh() LANGUAGE plpgsql AS $$
BEGIN
  TRUNCATE target;
  INSERT INTO target SELECT id, -id FROM few WHERE id < 6;
  ANALYZE target;
END $$;
SET enable_indexscan = off;
SET enable_bitmapscan = off;
\set all '''SELECT * FROM target ORDER BY id'''

-- INSERT
CALL fresh();
SELECT shape('INSERT INTO target SELECT id + 100, score(k), label(k) FROM few', 'SELECT * FROM target WHERE id > 100 ORDER BY id', :'analyze');
CALL fresh();
SELECT shape('INSERT INTO target VALUES (101, score(3), label(4)), (102, score(4), label(3))', 'SELECT * FROM target WHERE id > 100 ORDER BY id');
CALL fresh();
SELECT shape('INSERT INTO target (id, v) SELECT id, score(k) FROM few ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v + score(EXCLUDED.id), l = label(target.id)',
  'SELECT * FROM target ORDER BY id');
CALL fresh();
SELECT shape('INSERT INTO target (id, v) SELECT id, score(k) FROM few ON CONFLICT DO NOTHING', 'SELECT * FROM target ORDER BY id');
CALL fresh();
SELECT shape('WITH w AS (INSERT INTO target (id, v) SELECT id + 100, k FROM few RETURNING id, v, score(v) AS s) SELECT id, s, label(s / 10) FROM w');
CALL fresh();
SELECT shape('INSERT INTO target SELECT id, score(k) FROM many WHERE id BETWEEN 11 AND 400 AND known(k)', 'SELECT count(*), sum(v) FROM target WHERE id > 10', :'analyze');
-- UPDATE
CALL fresh();
SELECT shape('UPDATE target SET v = score(id), l = label(id)', :all, :'analyze');
CALL fresh();
SELECT shape('UPDATE target SET v = score(id + v) WHERE score(id) > 20', :all, :'analyze');
CALL fresh();
SELECT shape('UPDATE target SET v = score(f.k), l = label(target.id) FROM few f WHERE f.id = target.id AND known(f.k)', :all, :'analyze');
CALL fresh();
SELECT shape('UPDATE target SET (v, l) = (SELECT i.score, i.label FROM info(target.id) i)', :all);
CALL fresh();
SELECT shape('UPDATE target SET (v, l) = (SELECT score(f.k), label(f.k) FROM few f WHERE f.id = target.id)', :all);
CALL fresh();
SELECT shape('UPDATE target SET v = CASE WHEN id < 3 THEN noted(id) ELSE v END', :all, :'analyze');
CALL fresh();
SELECT shape('WITH w AS (UPDATE target SET v = score(id) WHERE id < 4 RETURNING id, v, label(id) AS l) SELECT * FROM w');
CALL fresh();
SELECT shape('UPDATE many SET k = score(id) WHERE grp = 1', 'SELECT count(*), sum(k) FROM many WHERE grp = 1', :'analyze');
-- its own rows do not come twice, though they are read ahead
CALL fresh();
SELECT shape('UPDATE many SET id = id + 10000, k = score(k) WHERE score(id) > 0 AND id < 300', 'SELECT count(*), sum(id), sum(k) FROM many');
-- DELETE
CALL fresh();
SELECT shape('DELETE FROM target WHERE score(id) > 20', :all, :'analyze');
CALL fresh();
SELECT shape('DELETE FROM target USING few f WHERE f.id = target.id AND score(f.k) = 20', :all);
CALL fresh();
SELECT shape('DELETE FROM target WHERE id = ANY (ARRAY(SELECT score(k) / 10 FROM few))', :all, NULL);
CALL fresh();
SELECT shape('WITH w AS (DELETE FROM target WHERE id < 4 RETURNING id, score(id)) SELECT * FROM w ORDER BY id');
-- MERGE
CALL fresh();
SELECT shape('MERGE INTO target t USING (SELECT id, score(k) AS s FROM few) f ON t.id = f.id
  WHEN MATCHED AND s > 15 THEN UPDATE SET v = s WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (id, s)', :all, :'analyze');
CALL fresh();
SELECT shape('MERGE INTO target t USING few f ON t.id = f.id
  WHEN MATCHED AND score(f.k) > 15 THEN UPDATE SET v = score(f.id), l = label(t.id)
  WHEN NOT MATCHED AND known(f.k) THEN INSERT VALUES (f.id, score(f.k), label(f.k))', :all, :'analyze');
CALL fresh();
SELECT shape('MERGE INTO target t USING few f ON t.id = score(f.k) / 10 AND f.id > 3 WHEN MATCHED THEN UPDATE SET v = noted(f.id)
  WHEN NOT MATCHED AND f.id > 8 THEN INSERT VALUES (f.id, noted(f.k))', :all);
-- a row that is changed twice is the same error
CALL fresh();
SELECT shape('MERGE INTO target t USING few f ON t.id = f.k WHEN MATCHED THEN UPDATE SET v = score(f.id)', :all);
CALL fresh();
-- rows of the target that nothing matches have actions of their own since 17: what is for one kind of row is not asked for another
DO $do$
DECLARE
  query text; line text;
BEGIN
  IF current_setting('server_version_num')::int < 170000 THEN
    RETURN;
  END IF;
  FOREACH query IN ARRAY ARRAY[
    'MERGE INTO target t USING (SELECT * FROM few WHERE id > 1) f ON t.id = f.id WHEN MATCHED AND noted(f.grp + 500) < 5010 THEN UPDATE SET v = noted(f.k + 100) WHEN NOT MATCHED BY SOURCE THEN DELETE',
    'MERGE INTO target t USING (SELECT * FROM few WHERE id > 3) f ON t.id = f.id WHEN MATCHED THEN UPDATE SET v = noted(f.k + 100) WHEN NOT MATCHED BY SOURCE AND noted(77) > 0 THEN UPDATE SET v = noted(78)',
    'MERGE INTO target t USING (SELECT * FROM few WHERE id > 2) f ON t.id = f.id WHEN MATCHED THEN UPDATE SET v = noted(f.k + 100) WHEN NOT MATCHED BY SOURCE AND noted(77) > 0 THEN UPDATE SET v = noted(78) WHEN NOT MATCHED THEN INSERT VALUES (f.id, noted(f.id + 200))',
    'MERGE INTO target t USING (SELECT * FROM few WHERE id > 2) f ON t.id = f.id AND f.k IS NOT NULL WHEN NOT MATCHED BY SOURCE AND t.id > 1 THEN UPDATE SET v = noted(78) WHEN MATCHED AND noted(10 / f.id) > 20 THEN UPDATE SET v = noted(f.k) WHEN MATCHED THEN DELETE']
  LOOP
    FOR line IN SELECT shape(query, 'SELECT * FROM target ORDER BY id', NULL, 0) LOOP
      IF line ~ '^!!|, plainly|^0' THEN
        RAISE WARNING '% %', query, line;
      END IF;
    END LOOP;
  END LOOP;
END $do$;
-- CREATE TABLE AS, SELECT INTO, materialized views
CALL fresh();
SELECT shape('CREATE TABLE made AS SELECT id, score(k) FROM few WHERE score(k) > 15', 'SELECT * FROM made ORDER BY id', :'analyze');
SELECT id, label(k) AS l INTO made FROM few WHERE score(k) > 20;
SELECT * FROM made;
DROP TABLE made;
-- a materialized view is built with restrictions: its lookups name their server
CREATE FUNCTION own_score(key int) RETURNS int LANGUAGE concresce STABLE SET concresce.server = 'far' AS 'SELECT score FROM scores WHERE id = key';
SELECT concresce.reset_stats();
CREATE MATERIALIZED VIEW made AS SELECT id, own_score(k) AS s FROM many;
SELECT count(*), sum(s) FROM made;
UPDATE many SET k = k + 1 WHERE id <= 10;
REFRESH MATERIALIZED VIEW made;
SELECT count(*), sum(s) FROM made;
CREATE UNIQUE INDEX ON made (id);
REFRESH MATERIALIZED VIEW CONCURRENTLY made;
UPDATE many SET k = id WHERE id <= 10;
-- each time 1500 calls, in batches and not row by row
SELECT function, calls, batches <= 30 AS few_batches FROM concresce.stats WHERE function = 'own_score'::regproc;
DROP MATERIALIZED VIEW made;
-- COPY
SELECT concresce.reset_stats();
COPY (SELECT id, score(k), label(k) FROM few WHERE known(k)) TO STDOUT;
CALL fresh();
COPY (UPDATE target SET v = score(id) WHERE id = 1 RETURNING id, v, label(id)) TO STDOUT;
SELECT function, calls, batches FROM concresce.stats WHERE function IN ('score'::regproc, 'label'::regproc, 'known'::regproc) ORDER BY function::text;
-- defaults are part of the query; constraints call row by row
CREATE TABLE with_default (id int, v int DEFAULT score(3), CHECK (known(id)));
SELECT shape('INSERT INTO with_default (id) SELECT id FROM few WHERE id < 3', 'SELECT * FROM with_default');
SELECT shape('INSERT INTO with_default (id) VALUES (7)', 'SELECT * FROM with_default');
-- a lookup does not see what the statement writes
SELECT shape('WITH w AS (UPDATE far.scores SET score = 0 WHERE id < 4 RETURNING id) SELECT id, score(id) FROM w');
-- an error takes everything back
CALL fresh();
SELECT shape('INSERT INTO target SELECT id + 100, picky(k) FROM few', :all);
CALL fresh();
SELECT shape('UPDATE target SET v = picky(id + 9)', :all);
SELECT count(*) FROM target;

DROP TABLE target, with_default;
DROP FUNCTION own_score;
DROP PROCEDURE fresh;
CALL clean_up();
