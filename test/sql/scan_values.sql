--
-- The batch node over VALUES lists: its rows are looked up together.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all
\set analyze ', ANALYZE, TIMING OFF, SUMMARY OFF'
CREATE TABLE kept (id int PRIMARY KEY, s int DEFAULT 7, l text, twice int GENERATED ALWAYS AS (s * 2) STORED);

-- INSERT
SELECT shape('INSERT INTO kept (id, s) VALUES (1, score(1)), (2, score(2)), (3, score(7))', 'SELECT * FROM kept', :'analyze');
SELECT shape('INSERT INTO kept VALUES (1, score(1), label(1)), (2, DEFAULT, label(2)), (3, score(3), DEFAULT)', 'SELECT * FROM kept', ', VERBOSE');
SELECT shape('INSERT INTO kept VALUES (1, 10, label(1)), (2, 3 + length(''x''), upper(label(2))), (3, 11, label(score(1)))',
  'SELECT * FROM kept', ', VERBOSE');
SELECT shape('INSERT INTO kept (id, s) VALUES (1, score(1)), (2, score(2)), (1, score(3)) ON CONFLICT (id) DO UPDATE SET s = excluded.s + 1',
  'SELECT * FROM kept');
SELECT shape('INSERT INTO kept (id, s) VALUES (1, score(1)), (1, score(2)) RETURNING id');
SELECT shape('INSERT INTO kept (id, s) VALUES (1, score(1)), (2, score(2)) RETURNING id, s, label(id), kept');
SELECT shape('WITH w AS (INSERT INTO kept (id, s) VALUES (1, score(1)), (2, score(2)) RETURNING *) SELECT sum(s) FROM w');
CREATE TABLE numbered (n serial, s int, CHECK (s > 5));
SELECT shape('INSERT INTO numbered (s) VALUES (score(1)), (score(2))', 'SELECT n > 0, s FROM numbered');
SELECT shape('INSERT INTO numbered VALUES (1, score(1)), (2, score(2) - 20), (3, picky(13)) RETURNING s');
SELECT shape('INSERT INTO numbered (s) VALUES (nextval(''numbered_n_seq'') * 0 + score(1)), (nextval(''numbered_n_seq'') * 0 + score(2))',
  'SELECT s FROM numbered');
SELECT shape('INSERT INTO numbered (s) VALUES (noted((random() * 0)::int + 1)), (noted((random() * 0)::int + 2))', 'SELECT s FROM numbered');
-- a trigger, a rule, and a view
CREATE FUNCTION double_s() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.s := score(NEW.s / 10) * 2; RETURN NEW; END';
CREATE TRIGGER doubles BEFORE INSERT ON numbered FOR EACH ROW EXECUTE FUNCTION double_s();
SELECT shape('INSERT INTO numbered (s) VALUES (score(1)), (score(2))', 'SELECT s FROM numbered');
CREATE VIEW a_few AS SELECT id, s FROM kept WHERE s < 25 WITH CHECK OPTION;
SELECT shape('INSERT INTO a_few VALUES (1, score(1)), (2, score(2)), (3, score(3)) RETURNING id');
CREATE RULE also AS ON INSERT TO kept DO ALSO INSERT INTO numbered (s) VALUES (score(NEW.id)), (NEW.s);
SELECT shape('INSERT INTO kept (id, s) VALUES (1, score(1)), (2, score(2))', 'SELECT s FROM numbered', NULL);
DROP RULE also ON kept;
DROP TRIGGER doubles ON numbered;
-- a thousand rows, and more
SELECT shape('INSERT INTO kept (id, s) VALUES ' || string_agg(format('(%s, score(%s))', i, i), ', ' ORDER BY i), 'SELECT count(*), sum(s) FROM kept', :'analyze')
  FROM generate_series(1, 1500) i;

-- VALUES in FROM
SELECT shape('VALUES (1, score(1)), (2, score(2))', options => :'analyze');
SELECT shape('VALUES (score(1)), (score(1))');
SELECT shape('VALUES (score(1)), (after(1))');
SELECT shape('VALUES (1, score(1)), (2, 3)');
SELECT shape('SELECT v, v.a, row_to_json(v) FROM (VALUES (1, score(1)), (2, score(2)), (3, score(3))) v (a, b) WHERE v.b > 10', options => ', VERBOSE');
SELECT shape('SELECT b, label(a) FROM (VALUES (1, score(1)), (2, score(2))) v (a, b) WHERE score(a) < score(b) + 1');
SELECT shape('SELECT f.id, v.b FROM few f JOIN (VALUES (1, score(1)), (2, score(2))) v (a, b) ON f.k = v.a ORDER BY f.id');
SELECT shape('SELECT id FROM few WHERE k IN (VALUES (score(1) / 10), (score(2) / 10)) ORDER BY id');
SELECT shape('SELECT a, b FROM (VALUES (1, score(1)), (2, score(2)), (3, score(3))) v (a, b) ORDER BY b DESC LIMIT 2');
SELECT shape('SELECT a, b FROM (VALUES (1, noted(1)), (2, noted(2)), (3, noted(3))) v (a, b) LIMIT 2', options => :'analyze');
SELECT shape('SELECT count(*) FROM (VALUES (1, score(1)), (2, score(2))) v (a, b)');
SELECT shape('SELECT (SELECT sum(b + f.k) FROM (VALUES (1, score(1)), (2, score(2))) v (a, b)) FROM few f');
SELECT shape('VALUES (1, score(1)), (2, score(2)) UNION ALL VALUES (3, score(3)), (4, score(4))');
SELECT shape('SELECT * FROM (VALUES (1, info(1)), (2, info(2))) v (a, b)');
SELECT shape('WITH v (a, b) AS MATERIALIZED (VALUES (1, score(1)), (2, score(2))) SELECT * FROM v, v w');
-- guards, and calls of calls
SELECT shape('VALUES (1, CASE WHEN known(1) THEN noted(1) END), (7, CASE WHEN known(7) THEN noted(7) END)', options => :'analyze');
SELECT shape('VALUES (1, coalesce(score(7), noted(1))), (2, coalesce(score(2), noted(2)))');
SELECT shape('VALUES (score(after(1))), (score(after(2)))');
SELECT shape('VALUES (1, score(NULL)), (2, score(2)), (NULL, score(3))');
-- errors come with their rows
SELECT shape('VALUES (1, picky(1)), (2, picky(13)), (3, picky(3))');
SELECT shape('SELECT * FROM (VALUES (1, picky(1)), (2, picky(13))) v LIMIT 1');
SELECT shape('SELECT f.id, v.* FROM few f, LATERAL (VALUES (1, score(6 / f.id)), (2, score(6 / (f.id - 1)))) v (a, b) WHERE f.id < 3 LIMIT 1');
SELECT shape('SELECT f.id, v.* FROM few f, LATERAL (VALUES (1, score(6 / f.id)), (2, score(6 / (f.id - 1)))) v (a, b) WHERE f.id < 3');
SELECT shape('SELECT f.id, v.* FROM few f, LATERAL (VALUES (6 / f.id, noted(1)), (6 / (f.id - 1), noted(2))) v (a, b) WHERE f.id < 3 AND b > 0 LIMIT 1');
-- rows that differ
SELECT shape('VALUES (1, score(1)), (2, score(2 + 1)), (3, after(3)), (4, 5), (5, 6 / 2), (6, score(score(1)))', options => ', VERBOSE');
-- sub-selects
SELECT shape('VALUES (score((SELECT max(k) FROM few WHERE k < 5))), (score((SELECT min(k) FROM few)))');
SELECT shape('VALUES (1, score(1), (SELECT max(k) FROM few)), (2, score(2), (SELECT max(k) FROM few))');
SELECT shape('SELECT f.id, (SELECT max(b) FROM (VALUES (score(1), f.k), (score(2), f.id)) v (b, c) WHERE c < 4) FROM few f');
-- correlated
SELECT shape('SELECT f.id, v.* FROM few f, LATERAL (VALUES (f.k, score(f.k)), (f.id, score(f.id))) v (a, b) WHERE f.id < 4');
SELECT shape('SELECT f.id, v.* FROM few f, LATERAL (VALUES (f.k, score(f.k + 1), score(1)), (f.id, score(f.id), score(2))) v (a, b) WHERE f.id < 4');
-- parameters
SET plan_cache_mode = force_generic_plan;
PREPARE given(int, int, int) AS SELECT a, score(b), c FROM (VALUES ($1, $2, score($1)), ($2, $3, score($3)), (5, 5, score(5))) v (a, b, c);
SELECT plan_of('EXECUTE given(1, 2, 3)', ', VERBOSE');
EXECUTE given(1, 2, 3);
EXECUTE given(4, NULL, 7);
PREPARE put(int, int) AS INSERT INTO kept (id, s) VALUES ($1, score($1)), ($2, score($2)) RETURNING id, s;
BEGIN;
EXECUTE put(1, 2);
EXECUTE put(3, 4);
ROLLBACK;
DEALLOCATE ALL;
RESET plan_cache_mode;
CREATE FUNCTION given(a int, b int) RETURNS TABLE (x int, y int) LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY VALUES (a, score(a)), (b, score(b));
  INSERT INTO kept (id, s) VALUES (a, score(a)), (b, score(b));
END $$;
SELECT * FROM given(1, 2);
-- in UPDATE, DELETE and MERGE, with rows that others have changed to be checked again
TRUNCATE kept;
INSERT INTO kept SELECT i, i FROM generate_series(1, 4) i;
SELECT shape('UPDATE kept SET s = v.b FROM (VALUES (1, score(1)), (3, score(3))) v (a, b) WHERE id = v.a', 'SELECT id, s FROM kept ORDER BY id', ', VERBOSE');
SELECT shape('DELETE FROM kept USING (VALUES (1, score(1)), (3, score(3))) v (a, b) WHERE id * 10 = v.b RETURNING *', 'SELECT id, s FROM kept ORDER BY id');
SELECT shape('MERGE INTO kept USING (VALUES (1, score(1)), (9, score(9))) v (a, b) ON id = v.a WHEN MATCHED THEN UPDATE SET s = v.b
  WHEN NOT MATCHED THEN INSERT (id, s) VALUES (v.a, v.b + score(v.a))', 'SELECT id, s FROM kept ORDER BY id', NULL);
SELECT shape('SELECT kept.id, v.* FROM kept, (VALUES (1, score(1)), (3, score(3))) v (a, b) WHERE id = v.a FOR UPDATE OF kept');
-- cursors
BEGIN;
DECLARE c SCROLL CURSOR FOR VALUES (1, score(1)), (2, score(2)), (3, score(3));
FETCH 2 FROM c;
FETCH BACKWARD 1 FROM c;
FETCH ALL FROM c;
FETCH ABSOLUTE 2 FROM c;
DECLARE h CURSOR WITH HOLD FOR VALUES (1, score(1)), (2, score(2));
COMMIT;
FETCH ALL FROM h;
CLOSE h;
-- as many lookups as rows are not looked up together
SET client_min_messages = debug1;
EXPLAIN (COSTS OFF) VALUES (1, score(1)), (2, 3);
EXPLAIN (COSTS OFF) VALUES (each_time(1)), (each_time(2));
RESET client_min_messages;
-- who may not execute it is told so
CREATE ROLE nobody_much;
REVOKE EXECUTE ON FUNCTION score FROM PUBLIC;
GRANT SELECT ON few TO nobody_much;
SET ROLE nobody_much;
VALUES (score(1)), (score(2));
RESET ROLE;
DROP OWNED BY nobody_much;
DROP ROLE nobody_much;
SELECT left_over();

DROP FUNCTION given;
DROP VIEW a_few;
DROP TABLE kept, numbered;
DROP FUNCTION double_s;
CALL clean_up();
