--
-- The batch node: a filter of a join's inner side becomes one of the join, if
-- nothing is evaluated for the rows that it removes.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_memoize = off;
SET enable_material = off;
CREATE SEQUENCE numbers;

-- lifted: one batch node above the join
SELECT shape('SELECT f.id, q.id FROM few f, LATERAL (SELECT m.id FROM few m WHERE score(m.k + f.k * 0) <> 30 OFFSET 0) q WHERE f.id < 3');
-- not where the list behind it may fail, has effects, or costs
SELECT shape('SELECT f.id, q.* FROM few f, LATERAL (SELECT m.id, 100 / (m.k - 3) AS d FROM few m WHERE score(m.k + f.k * 0) <> 30 OFFSET 0) q WHERE f.id < 3', options => NULL);
SELECT shape('SELECT f.id, q.* FROM few f, LATERAL (SELECT m.id, picky(m.k) AS p FROM few m WHERE score(m.k + f.k * 0) <= 20 OFFSET 0) q WHERE f.id < 3', options => NULL);
SELECT setval('numbers', 1, false);
SELECT q.id, q.n FROM few f, LATERAL (SELECT m.id, nextval('numbers') AS n FROM few m WHERE score(m.k + f.k * 0) > 25 OFFSET 0) q WHERE f.id = 1;
SELECT last_value FROM numbers;
-- nor the filters behind it: they come along
SELECT shape('SELECT f.id, q.* FROM few f, LATERAL (SELECT m.id FROM few m WHERE score(m.k + f.k * 0) <> 30 AND 100 / (m.k - 3) + score(m.k + f.k * 0) <> 0 OFFSET 0) q WHERE f.id < 3', options => NULL);
SELECT shape('SELECT f.id, m.id FROM few f JOIN few m ON score(m.k + f.k * 0) <> 30 AND 100 / (m.k - 3) + f.id * 0 <> 1000 WHERE f.id < 3', options => NULL);

DROP SEQUENCE numbers;
CALL clean_up();
