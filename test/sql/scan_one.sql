--
-- The batch node: several calls in one row that is made of nothing.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all
CREATE SEQUENCE ticket;
CREATE TABLE target (id bigint DEFAULT nextval('ticket'), a int, b text, c int);
CREATE DOMAIN ticketed AS int CHECK (nextval('ticket') > VALUE * 0);

-- several calls, and the same one twice; one alone gains nothing
SELECT shape('SELECT score(1), label(2), info(3)', options => ', ANALYZE, TIMING OFF, SUMMARY OFF');
SELECT shape('SELECT noted(1), noted(1) + 1');
SELECT shape('SELECT (info(3)).*');
SELECT shape('SELECT score(1), 2, now() = now()');
-- those that wait for one another
SELECT shape('SELECT score(after(1)), 1');
SELECT shape('SELECT coalesce(score(1), noted(2)), 1');
SELECT shape('SELECT score(after(1)), label(after(1))');
SELECT shape('SELECT CASE WHEN score(1) > 5 THEN noted(2) ELSE noted(3) END, coalesce(score(7), noted(4)), noted(NULL)');
-- what does not come to be evaluated
SELECT shape('SELECT noted(1), noted(2) WHERE false');
SELECT shape('SELECT noted(1), noted(2) LIMIT 0');
SELECT shape('SELECT noted(1), noted(2) WHERE score(7) > 0');
SELECT shape('SELECT noted(1), noted(2) WHERE score(8) > 0');
SELECT shape('SELECT noted(id), noted(k) FROM few WHERE false');
-- the first error is SQL's, in its place
SELECT shape('SELECT picky(12), picky(13)');
SELECT shape('SELECT picky(13), picky(12), 1 / (extract(year FROM now()) * 0)');
SELECT shape('SELECT 1 / (extract(year FROM now()) * 0), noted(1), noted(2)');
SELECT shape('SELECT noted(1), noted(1 / (random() * 0)::int), noted(2)');
-- volatile functions keep their places: nothing is asked ahead of one
SELECT shape('SELECT nextval(''ticket'') > 0, noted(1), noted(2), nextval(''ticket'') > 0, noted(3)');
SELECT shape('SELECT noted(1), each_time(5), noted(2)');
SELECT shape('SELECT noted(1), noted(2), each_time(5), noted(1)');
SELECT shape('SELECT noted(1), noted(2)::ticketed, noted(3)');
SELECT shape('SELECT set_config(''concresce.max_size'', ''1'', true), noted(1), noted(2)');
-- init plans
SELECT shape('SELECT score(max(k)), label(max(k)) FROM few');
SELECT shape('SELECT score((SELECT max(k) FROM few)), label((SELECT min(k) FROM few)), (SELECT score(3))');
-- written; the default comes first
SELECT shape('INSERT INTO target (a, b, c) VALUES (score(1), label(2), noted(3))', 'SELECT a, b, c FROM target');
SELECT shape('INSERT INTO target VALUES (1, score(1), label(2), noted(3))', 'SELECT * FROM target');
SELECT shape('WITH w AS (INSERT INTO target VALUES (1, score(1), label(2)) RETURNING *) SELECT * FROM w');
-- within other queries
SELECT shape('SELECT score(1), label(1) UNION ALL SELECT score(2), label(3)');
SELECT shape('SELECT f.id, q.* FROM few f, (SELECT score(1), label(1) OFFSET 0) q WHERE f.id < 3');
SELECT shape('SELECT f.id, (SELECT score(f.k) || label(f.k) || each_time(1)) FROM few f WHERE f.id < 3');

-- an expression of a function is taken out of its plan; the others are not
EXPLAIN (COSTS OFF) SELECT score(1) + score(2);
SELECT score(1) + score(2);
DO $$
DECLARE
  a int; b text; line text;
BEGIN
  a := score(1) + score(2);
  PERFORM score(1) + score(2);
  SELECT score(1) + score(2) INTO STRICT b;
  RAISE WARNING '% %', a, b;
  SELECT score(a / 10), label(a / 10) INTO STRICT a, b;
  RAISE WARNING '% %', a, b;
  FOR line IN EXPLAIN (COSTS OFF) SELECT score(1) + score(2) LOOP
    RAISE WARNING '%', line;
  END LOOP;
  FOR line IN EXPLAIN (COSTS OFF) SELECT score(a), label(a) LOOP
    RAISE WARNING '%', line;
  END LOOP;
END $$;
-- prepared, in a cursor, and after a change of what is called
PREPARE pair(int) AS SELECT score($1), label($1);
EXECUTE pair(1);
SET plan_cache_mode = force_generic_plan;
EXECUTE pair(2);
CREATE OR REPLACE FUNCTION label(key int) RETURNS text LANGUAGE concresce VOLATILE AS 'SELECT ''new''';
EXECUTE pair(2);
EXPLAIN (COSTS OFF) EXECUTE pair(2);
DEALLOCATE pair;
RESET plan_cache_mode;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT score(1), score(2);
FETCH 2 FROM c;
FETCH PRIOR FROM c;
FETCH ABSOLUTE 1 FROM c;
COMMIT;

DROP TABLE target;
DROP DOMAIN ticketed;
DROP SEQUENCE ticket;
SELECT left_over();
CALL clean_up();
