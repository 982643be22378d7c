--
-- The batch node: calls in sub-selects, CTEs, set operations, views and
-- functions that are inlined.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all
\set analyze ', ANALYZE, TIMING OFF, SUMMARY OFF'

-- sub-selects that are evaluated once
SELECT shape('SELECT id, (SELECT sum(score(k)) FROM few) FROM few WHERE id < 3', options => :'analyze');
SELECT shape('SELECT (SELECT score(k) FROM few WHERE id = 2), ARRAY(SELECT label(k) FROM few ORDER BY id), EXISTS (SELECT FROM few WHERE score(k) = 40)');
SELECT shape('SELECT id FROM few WHERE k = (SELECT max(after(k)) FROM few)', options => :'analyze');
SELECT shape('SELECT id FROM few WHERE k IN (SELECT score(id) / 10 FROM few)');
SELECT shape('SELECT id FROM few WHERE score(k) NOT IN (SELECT score(id) FROM few WHERE id IN (1, 2))');
SELECT shape('SELECT id FROM few WHERE score(k) > ALL (SELECT score(id) FROM few WHERE id < 3)');
SELECT shape('SELECT id, score((SELECT min(k) FROM few)) FROM few WHERE id < 3');
SELECT shape('SELECT 1 WHERE (SELECT count(*) FROM few WHERE score(k) > 10) = 6');
-- correlated: a call of the outer row is made for all outer rows together
SELECT shape('SELECT id, (SELECT score(f.k)) FROM few f', options => :'analyze');
SELECT shape('SELECT id, (SELECT score(f.k) + max(g.id) FROM few g WHERE g.grp = f.grp) FROM few f', options => :'analyze');
SELECT shape('SELECT id, (SELECT string_agg(p, ''+'') FROM parts(f.k) p) FROM few f', options => :'analyze');
SELECT shape('SELECT id, (SELECT max(o.price) FROM offers(f.k) o WHERE o.shop <= f.grp) FROM few f', options => :'analyze');
SELECT shape('SELECT id, ARRAY(SELECT p FROM parts(f.k) p) FROM few f WHERE EXISTS (SELECT FROM parts(f.k))', options => :'analyze');
SELECT shape('SELECT id FROM few f WHERE (SELECT count(*) FROM parts(f.k)) = 2');
SELECT shape('SELECT id, CASE WHEN id < 3 THEN (SELECT noted(f.k)) END FROM few f', options => :'analyze');
SELECT shape('SELECT id, (SELECT picky(f.k) WHERE f.k <> 13) FROM few f');
-- a call of both rows, or of the inner one, is made in the sub-select
SELECT shape('SELECT id, (SELECT sum(score(g.k)) FROM few g WHERE g.grp = f.grp) FROM few f WHERE id < 4', options => :'analyze');
SELECT shape('SELECT id, (SELECT sum(score(g.k + f.k)) FROM few g WHERE g.grp = f.grp) FROM few f WHERE id < 4', options => :'analyze');
SELECT shape('SELECT id, (SELECT g.id FROM few g WHERE score(g.k) = score(f.k) AND g.id <> f.id) FROM few f WHERE k < 7');
-- in another place than a target list
SELECT shape('SELECT grp, sum((SELECT score(f.k))) FROM few f GROUP BY grp ORDER BY grp');
SELECT shape('SELECT id FROM few f ORDER BY (SELECT score(f.k)) DESC NULLS LAST, id');
SELECT shape('SELECT f.id FROM few f JOIN few g ON (SELECT score(f.k + g.k)) = 50 ORDER BY 1');
SELECT shape('SELECT id, (SELECT (SELECT score(f.k) + g.id) FROM few g WHERE g.id = f.id) FROM few f');
-- CTEs
SELECT shape('WITH w AS (SELECT id, score(k) AS s FROM few) SELECT * FROM w WHERE s > 20');
SELECT shape('WITH w AS MATERIALIZED (SELECT id, score(k) AS s FROM few) SELECT a.id, b.id FROM w a JOIN w b ON a.s = b.s AND a.id < b.id',
  options => :'analyze');
SELECT shape('WITH w AS MATERIALIZED (SELECT id, k FROM few) SELECT id, score(k) FROM w WHERE known(k)');
SELECT shape('WITH RECURSIVE w AS (SELECT 1 AS n, after(1) AS a UNION ALL SELECT n + 1, after(a) FROM w WHERE n < 4) SELECT *, label(a) FROM w');
SELECT shape('WITH RECURSIVE w(a, n) AS (SELECT k, 0 FROM few WHERE id < 4 UNION SELECT after(a), n + 1 FROM w WHERE n < 3 AND known(a))
  SELECT * FROM w ORDER BY n, a');
-- set operations
SELECT shape('SELECT id, score(k) FROM few WHERE id < 3 UNION ALL SELECT id, score(id) FROM few WHERE id > 8', options => :'analyze');
SELECT shape('SELECT score(k) FROM few UNION SELECT score(id) FROM few WHERE id < 3 ORDER BY 1', options => NULL);
SELECT shape('SELECT score(k) FROM few INTERSECT SELECT score(id) FROM few ORDER BY 1', options => NULL);
SELECT shape('SELECT score(k) FROM few EXCEPT ALL SELECT score(id) FROM few ORDER BY 1', options => NULL);
SELECT shape('SELECT score(k) FROM (SELECT k FROM few WHERE id < 4 UNION ALL SELECT id FROM few WHERE id > 8) u');
SELECT shape('SELECT * FROM (SELECT k FROM few WHERE id < 4 UNION ALL SELECT id FROM few WHERE id > 8) u WHERE score(k) > 20');
SELECT shape('SELECT id, score(k) AS s FROM few WHERE id < 3 UNION ALL SELECT id, score(id) FROM few WHERE id > 8 ORDER BY s');
-- views
CREATE VIEW scored AS SELECT id, k, grp, score(k) AS s, label(k) AS l FROM few;
SELECT shape('SELECT id, s FROM scored');
SELECT shape('SELECT id FROM scored WHERE s > 20 AND grp = 1');
SELECT shape('SELECT id, s, l FROM scored WHERE l IS NOT NULL ORDER BY s, id');
SELECT shape('SELECT v.id, m.id FROM scored v JOIN many m ON m.id = v.s');
SELECT shape('SELECT count(*) FROM scored');
SELECT shape('SELECT * FROM (SELECT id, score(k) AS s FROM few OFFSET 1) q WHERE id > 7');
-- functions that are inlined, and some that are not
CREATE FUNCTION twice(key int) RETURNS int LANGUAGE sql STABLE AS 'SELECT score(key) * 2';
CREATE FUNCTION of_group(wanted int) RETURNS TABLE (id int, s int) LANGUAGE sql STABLE AS 'SELECT id, score(k) FROM few WHERE grp = wanted';
CREATE FUNCTION opaque(key int) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN score(key) * 2; END';
SELECT shape('SELECT id, twice(k) FROM few WHERE twice(k) < 100', options => :'analyze');
SELECT shape('SELECT * FROM of_group(1)');
SELECT shape('SELECT f.id, g.* FROM few f, of_group(f.grp) g WHERE f.id < 3');
SELECT shape('SELECT id, opaque(k) FROM few WHERE id < 4');
-- defaults of arguments, named arguments, VARIADIC ones
CREATE FUNCTION plus(a int, b int DEFAULT 5, c int[] DEFAULT '{}') RETURNS int LANGUAGE concresce STABLE
AS 'SELECT a + b + coalesce(cardinality(c), 0) * 100';
CREATE FUNCTION sum_of(VARIADIC v int[]) RETURNS int LANGUAGE concresce STABLE AS 'SELECT sum(i)::int FROM unnest(v) i';
SELECT shape('SELECT id, plus(k), plus(b => k, a => 1), plus(k, 0, ARRAY[id]), sum_of(k), sum_of(k, id, 1), sum_of(VARIADIC ARRAY[id, 4]) FROM few WHERE id < 4');
-- an operator whose function is a lookup: plain calls
CREATE FUNCTION plus_op(a int, b int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT a + b';
CREATE OPERATOR #> (LEFTARG = int, RIGHTARG = int, FUNCTION = plus_op);
SELECT shape('SELECT id, k #> id FROM few WHERE id < 4');

DROP OPERATOR #> (int, int);
DROP FUNCTION plus_op, plus, sum_of, twice, of_group, opaque;
DROP VIEW scored;
CALL clean_up();
