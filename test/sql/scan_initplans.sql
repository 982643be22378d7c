--
-- The batch node: what is to be evaluated once, if at all, is not evaluated
-- ahead of SQL.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all
CREATE SEQUENCE runs;

-- a failing one that no row needs
SELECT shape('SELECT id, CASE WHEN id > 100 THEN score((SELECT 1 / (count(*) - count(*))::int FROM few)) END FROM few', options => NULL);
SELECT shape('SELECT id, score(CASE WHEN id > 100 THEN (SELECT 1 / (count(*) - count(*))::int FROM few) ELSE k END) FROM few', options => NULL);
SELECT shape('SELECT id, CASE WHEN id > 100 AND (SELECT 1 / (count(*) - count(*)) FROM few) > 0 THEN score(k) END FROM few', options => NULL);
SELECT shape('SELECT id, COALESCE(k, score((SELECT 1 / (count(*) - count(*))::int FROM few))) FROM few WHERE k > 0', options => NULL);
SELECT shape('SELECT f.id, q.s FROM few f LEFT JOIN LATERAL (SELECT score(f.k + (SELECT 1 / (count(*) - count(*))::int FROM few)) AS s FROM none OFFSET 0) q ON true', options => NULL);
SELECT shape('SELECT count(*) FILTER (WHERE id > 100 AND score((SELECT 1 / (count(*) - count(*))::int FROM few)) > 0) FROM few', options => NULL);
-- how often they are run, by a sequence
CREATE FUNCTION runs_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  nodes text; n int;
BEGIN
  FOREACH nodes IN ARRAY ARRAY['on', 'off'] LOOP
    PERFORM set_config('concresce.enable_batchscan', nodes, false), setval('runs', 100);
    EXECUTE 'SELECT count(*) FROM (' || query || ' OFFSET 0) q' INTO n;
    RETURN NEXT format('batch nodes %s: %s rows, %s runs', nodes, n, (SELECT last_value - 100 FROM runs));
  END LOOP;
  PERFORM set_config('concresce.enable_batchscan', 'on', false);
END $$;
SELECT runs_of($$SELECT CASE WHEN id > 100 THEN score((SELECT nextval('runs')::int)) END FROM few$$);
SELECT runs_of($$SELECT CASE WHEN id > 3 THEN score((SELECT nextval('runs')::int)) END FROM few$$);
SELECT runs_of($$SELECT score((SELECT nextval('runs')::int)) FROM few$$);
SELECT runs_of($$SELECT score((SELECT nextval('runs')::int)) FROM none$$);
SELECT runs_of($$SELECT score(CASE WHEN id = 7 THEN (SELECT nextval('runs')::int) ELSE k END) FROM few$$);
SELECT runs_of($$SELECT id FROM few WHERE score((SELECT nextval('runs')::int)) > 0$$);
SELECT runs_of($$SELECT id FROM few WHERE k > 1000 AND score(k + (SELECT nextval('runs')::int)) > 0$$);
SELECT runs_of($$SELECT f.id, s FROM few f, score(f.k + (SELECT nextval('runs')::int)) s$$);
-- once it was run, the rows behind are asked for together
SELECT concresce.reset_stats();
SELECT id, CASE WHEN id > 1 THEN score(k + (SELECT min(id) FROM few)) END FROM few;
SELECT calls, batches FROM concresce.stats WHERE function = 'score'::regproc;
SELECT concresce.reset_stats();
SELECT count(*), count(score(k + (SELECT min(id) FROM few))) FROM many;
SELECT calls, batches FROM concresce.stats WHERE function = 'score'::regproc;
-- one whose rows are read by a cursor, over a rollback of what fetched first
BEGIN;
DECLARE c CURSOR FOR SELECT id, score(k + (SELECT id FROM few WHERE EXISTS (SELECT FROM many) LIMIT 1)) FROM few;
SAVEPOINT s;
FETCH 2 FROM c;
ROLLBACK TO s;
FETCH 2 FROM c;
COMMIT;
-- EXISTS leaves its scan open
SELECT shape('SELECT id, CASE WHEN EXISTS (SELECT FROM many) THEN noted(k) END FROM few', options => NULL);
SELECT shape('SELECT id, noted(CASE WHEN EXISTS (SELECT FROM many OFFSET 3) THEN k END) FROM few', options => NULL);

DROP FUNCTION runs_of;
DROP SEQUENCE runs;
CALL clean_up();
