--
-- The batch node: what SQL may never come to is not evaluated, and not asked
-- for, before SQL has come to it.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all

-- sub-selects without rows: conditions that would fail
SELECT shape('SELECT f.id, (SELECT CASE WHEN 10 / (f.id - 5) > 0 THEN noted(f.k) END FROM none g WHERE g.id = f.id) FROM few f');
SELECT shape('SELECT f.id, (SELECT noted(f.k) FROM none g WHERE 10 / (f.id - 5) > g.id) FROM few f', options => NULL);
SELECT shape('SELECT f.id, (SELECT noted(10 / (f.id - 5)) FROM none g) FROM few f', options => NULL);
SELECT shape('SELECT f.id, (SELECT g.id FROM few g WHERE g.id = f.id + 100 AND noted(10 / (f.id - 5)) > 0) FROM few f', options => NULL);
SELECT shape('SELECT f.id, EXISTS (SELECT FROM none WHERE noted(f.k) > 0) FROM few f', options => NULL);
SELECT shape('SELECT f.id, CASE WHEN f.id > 100 THEN (SELECT noted(10 / (f.id - 5))) END FROM few f', options => NULL);
SELECT shape('SELECT f.id, (SELECT CASE WHEN f.id > 7 THEN noted(10 / (f.id - 5)) END) FROM few f', options => NULL);
SELECT shape('SELECT f.id, (SELECT noted(10 / (f.id - 5)) WHERE f.id > 7) FROM few f', options => NULL);
SELECT shape('SELECT f.id, (SELECT (SELECT noted(10 / (f.id - 5))) FROM none) FROM few f', options => NULL);
-- where some have rows and some have none, nothing fails
SELECT shape('SELECT f.id, (SELECT score(f.k) FROM few g WHERE g.id = f.id + 5) FROM few f', options => NULL);
SELECT shape('SELECT f.id, (SELECT picky(f.k) FROM few g WHERE g.id = f.id + 1) FROM few f', options => NULL);
SELECT shape('SELECT f.id, (SELECT picky(f.k) FROM few g WHERE g.id = f.id) FROM few f WHERE f.id <> 10', options => NULL);
-- LATERAL
SELECT shape('SELECT f.id, q.n FROM few f, LATERAL (SELECT noted(f.k) AS n FROM none OFFSET 0) q', options => NULL);
SELECT shape('SELECT f.id, q.n FROM few f LEFT JOIN LATERAL (SELECT noted(f.k) AS n FROM none OFFSET 0) q ON true', options => NULL);
SELECT shape('SELECT f.id, q.n FROM few f LEFT JOIN LATERAL (SELECT p AS n FROM none, parts(10 / (f.id - 5)) p OFFSET 0) q ON true', options => NULL);
SELECT shape('SELECT f.id, q.n FROM few f LEFT JOIN LATERAL (SELECT noted(f.k) AS n LIMIT CASE WHEN f.id < 4 THEN 1 ELSE 0 END) q ON true', options => NULL);
SELECT shape('SELECT f.id, q.n FROM few f LEFT JOIN LATERAL (SELECT noted(f.k) AS n LIMIT 0) q ON true', options => NULL);
SELECT shape('SELECT f.id, q.n FROM few f LEFT JOIN LATERAL (SELECT noted(f.k) AS n WHERE f.id < 3 UNION ALL SELECT noted(f.id + 100) FROM none) q ON true', options => NULL);
SELECT shape('SELECT f.id, q.n FROM few f LEFT JOIN LATERAL (SELECT 1 AS n UNION ALL SELECT noted(f.id) LIMIT 1) q ON true', options => NULL);
SELECT shape('SELECT f.id FROM few f WHERE EXISTS (SELECT 1 UNION ALL SELECT noted(f.id) OFFSET 0)', options => NULL);
SELECT shape('SELECT f.id FROM few f WHERE 1 = ANY (SELECT v FROM (VALUES (1), (noted(f.id))) v(v) OFFSET 0)', options => NULL);
-- what does not depend on rows is asked for in one go, or two
CREATE FUNCTION batches(query text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  PERFORM concresce.reset_stats();
  EXECUTE query;
  RETURN (SELECT batches FROM concresce.stats WHERE function = 'score'::regproc);
END $$;
SELECT batches('SELECT f.id, (SELECT score(f.k)) FROM few f');
SELECT batches('SELECT f.id, q.s FROM few f LEFT JOIN LATERAL (SELECT score(f.k) AS s WHERE f.id > 3 ORDER BY 1 LIMIT 1) q ON true');
SELECT batches('SELECT f.id, (SELECT max(v) FROM (VALUES (1), (score(f.k))) v(v)) FROM few f');
SELECT batches('SELECT f.id, (SELECT score(f.k) + count(*) FROM none g WHERE g.id = f.id) FROM few f');
SELECT batches('SELECT f.id, (SELECT max(s + g.id) FROM few g, score(f.k) s WHERE g.id > 8) FROM few f') <= 3;
SELECT batches('SELECT f.id, (SELECT count(*) FROM few g WHERE g.id < score(f.k)) FROM few f');
SELECT batches('SELECT f.id FROM few f WHERE score(f.k) NOT IN (SELECT id FROM few)');
SELECT batches('SELECT f.id, m.id FROM few f LEFT JOIN many m ON m.id = f.id AND score(f.k) > 15');
-- conditions of outer joins that no row comes to
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SELECT shape('SELECT f.id, m.id FROM few f LEFT JOIN many m ON m.id = f.id + 5000 AND noted(f.k) > 0', options => NULL);
SELECT shape('SELECT f.id, m.id FROM few f LEFT JOIN many m ON m.id = f.id + 5000 AND noted(10 / (f.id - 5)) > 0', options => NULL);
SELECT shape('SELECT f.id FROM few f WHERE NOT EXISTS (SELECT FROM none n WHERE n.id = f.id AND noted(f.k) > 0) ORDER BY 1', options => NULL);
SELECT shape('SELECT f.id FROM few f WHERE NOT EXISTS (SELECT FROM many n WHERE n.id = f.id + 5000 AND noted(10 / (f.id - 5)) > 0) ORDER BY 1', options => NULL);
RESET enable_hashjoin;
RESET enable_mergejoin;
SELECT shape('SELECT f.id, m.id FROM few f LEFT JOIN many m ON m.id = f.id + 5000 AND noted(f.k) > 0 ORDER BY 1', options => NULL);
SELECT shape('SELECT f.id, m.id FROM few f LEFT JOIN many m ON m.id = f.id AND score(f.k) > 15 ORDER BY 1', options => NULL);
SELECT shape('SELECT f.id FROM few f WHERE noted(f.k) NOT IN (SELECT id FROM none)', options => NULL);
SELECT shape('SELECT f.id FROM few f WHERE noted(f.k) > ALL (SELECT id FROM none)', options => NULL);
SELECT shape('SELECT f.id FROM few f WHERE noted(f.k) > ALL (SELECT id FROM few g WHERE g.id < 3)', options => NULL);
-- whichever side is the inner one: how it is joined differs between versions
SELECT r FROM shape('SELECT f.id FROM few f WHERE NOT EXISTS (SELECT FROM none n WHERE n.id = f.id AND noted(f.k) > 0) ORDER BY 1', options => NULL) r WHERE r !~ 'batch nodes';
-- a second key of a hash join, behind one that is NULL
SELECT shape('SELECT f.id, g.id FROM few f JOIN few g ON f.k = g.id AND noted(f.id + 100) = g.k * 10 ORDER BY 1', options => NULL);
-- window functions
SELECT shape('SELECT id, lag(k, 1, noted(id)) OVER (ORDER BY id) FROM few', options => NULL);
SELECT shape('SELECT id, lead(k, 1, noted(10 / (id - 5))) OVER (ORDER BY id) FROM few', options => NULL);
SELECT shape('SELECT id, lag(score(k)) OVER (ORDER BY id), lead(label(k), 2) OVER (ORDER BY id), first_value(score(k)) OVER (ORDER BY id) FROM few', options => NULL);
SELECT shape('SELECT id, lag(noted(10 / (id - 10))) OVER (ORDER BY id) FROM few', options => NULL);
SELECT shape('SELECT id, ntile(noted(id)) OVER (ORDER BY id) FROM few', options => NULL);
SELECT shape('SELECT id, lag(id, noted(k) / 10) OVER (ORDER BY id) FROM few WHERE id < 4', options => NULL);
SELECT shape('SELECT id, sum(noted(10 / (id - 1))) OVER (ORDER BY id ROWS BETWEEN 1 FOLLOWING AND 2 FOLLOWING) FROM few', options => NULL);
SELECT shape('SELECT id, sum(noted(k)) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM few', options => NULL);
SELECT shape('SELECT id, sum(noted(id)) FILTER (WHERE id < 4) OVER (ORDER BY id) FROM few', options => NULL);
SELECT shape('SELECT * FROM (SELECT id, row_number() OVER (PARTITION BY grp ORDER BY id) AS n, sum(100 / (id - 10)) OVER (PARTITION BY grp ORDER BY id) AS t FROM few) q WHERE n < 3', options => NULL);
-- of an array that is NULL no element is looked up
SELECT shape('SELECT id, (CASE WHEN id < 4 THEN ARRAY[1, 2, 3] END)[noted(id) / 10] FROM few', options => NULL);
SELECT shape('SELECT id, (CASE WHEN id < 4 THEN ARRAY[1, 2, 3] END)[noted(10 / (5 - id))] FROM few', options => NULL);

-- in parallel plans the same
CREATE FUNCTION safe(key int) RETURNS int LANGUAGE concresce STABLE PARALLEL SAFE AS 'SELECT score FROM scores WHERE id = key';
CREATE FUNCTION safe_noted(key int) RETURNS int LANGUAGE concresce STABLE PARALLEL SAFE AS 'SELECT note(key)';
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT count(*) FROM plan_of('SELECT count(*), count(q.s) FROM many m LEFT JOIN LATERAL (SELECT safe(10 / (m.id - 7)) AS s FROM none n OFFSET 0) q ON true', '') l WHERE l ~ 'Gather';
SELECT count(*), count(q.s) FROM many m LEFT JOIN LATERAL (SELECT safe(10 / (m.id - 7)) AS s FROM none n OFFSET 0) q ON true;
SELECT count(*), count(q.s) FROM many m LEFT JOIN LATERAL (SELECT safe_noted(m.id) AS s FROM none n OFFSET 0) q ON true;
SELECT count(*) FROM many m LEFT JOIN few f ON f.id = m.id + 5000 AND safe(10 / (m.id - 7)) > 0;
SELECT count(*) FROM many m LEFT JOIN few f ON f.id = m.id + 5000 AND safe_noted(m.id) > 0;
SELECT count(*) FROM many m WHERE safe(10 / nullif(m.id - 7, 0)) NOT IN (SELECT 10 / (n.id - 7) FROM none n);
SELECT asked();
RESET max_parallel_workers_per_gather;
DROP FUNCTION safe, safe_noted, batches;

CALL clean_up();
