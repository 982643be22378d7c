--
-- The batch node: calls in aggregates, groups and sets of distinct rows.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all
\set analyze ', ANALYZE, TIMING OFF, SUMMARY OFF'

-- arguments
SELECT shape('SELECT count(*), sum(score(k)), max(label(k)), count(score(k)) FROM few', options => :'analyze');
SELECT shape('SELECT sum(score(k)), string_agg(label(k), '','' ORDER BY id) FROM none', options => :'analyze');
SELECT shape('SELECT avg(score(k) + score(id)), array_agg(after(after(k)) ORDER BY id) FROM few');
SELECT shape('SELECT sum(score(k)) FROM many', options => :'analyze');
SELECT shape('SELECT sum(score(k)) FROM many WHERE grp < 5', options => :'analyze');
-- FILTER decides about the arguments
SELECT shape('SELECT sum(noted(k)) FILTER (WHERE grp = 1), count(*) FILTER (WHERE score(k) > 20) FROM few', options => :'analyze');
SELECT shape('SELECT sum(noted(id)) FILTER (WHERE noted(k) > 20) FROM few', options => :'analyze');
-- DISTINCT and ORDER BY in them
SELECT shape('SELECT count(DISTINCT score(k)), array_agg(DISTINCT label(k)) FROM few');
SELECT shape('SELECT array_agg(id ORDER BY score(k) DESC NULLS LAST, id), string_agg(label(k), '','' ORDER BY score(k), id) FROM few');
-- of ordered sets
SELECT shape('SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY score(k)), mode() WITHIN GROUP (ORDER BY label(k)) FROM few');
SELECT shape('SELECT percentile_disc(ARRAY[0.1, 0.9]) WITHIN GROUP (ORDER BY score(k)), rank(25) WITHIN GROUP (ORDER BY score(k)) FROM few');
-- groups: of rows, hashed and sorted; by a call
SELECT shape('SELECT grp, sum(score(k)), min(label(k)) FROM few GROUP BY grp ORDER BY grp', options => :'analyze');
SELECT shape('SELECT score(k), count(*), min(id) FROM few GROUP BY 1 ORDER BY 1');
SELECT shape('SELECT score(k) + 1, label(k), array_agg(id ORDER BY id) FROM few GROUP BY score(k) + 1, label(k) ORDER BY 1');
SET enable_hashagg = off;
SELECT shape('SELECT grp, sum(score(k)), min(label(k)) FROM few GROUP BY grp');
SELECT shape('SELECT score(k), count(*), min(id) FROM few GROUP BY 1');
SELECT shape('SELECT score(k), grp FROM few GROUP BY 1, 2');
SELECT shape('SELECT id, score(id) FROM few GROUP BY id ORDER BY id');
RESET enable_hashagg;
-- what is made of a group: its key, its aggregates
SELECT shape('SELECT grp, score(grp + 1), label(count(*)::int), noted(max(id)) FROM few GROUP BY grp ORDER BY grp', options => :'analyze');
SELECT shape('SELECT score(max(k)), score(sum(score(k))::int / 10) FROM few');
SELECT shape('SELECT grp, sum(score(k)) + score(grp), label(max(score(k)) / 10) FROM few GROUP BY grp ORDER BY grp');
-- HAVING
SELECT shape('SELECT grp FROM few GROUP BY grp HAVING sum(score(k)) > 80 ORDER BY grp', options => :'analyze');
SELECT shape('SELECT grp, noted(grp) FROM few GROUP BY grp HAVING score(count(*)::int) > 30 ORDER BY grp', options => :'analyze');
SELECT shape('SELECT grp FROM few GROUP BY grp HAVING count(*) > 3 AND noted(max(id)) > 1 AND sum(score(k)) > 0 ORDER BY grp');
SELECT shape('SELECT 1 HAVING score(2) = 20');
-- CASE around an aggregate does not spare its arguments; within it does
SELECT shape('SELECT CASE WHEN count(*) > 100 THEN sum(noted(k)) END FROM few');
SELECT shape('SELECT sum(CASE WHEN id < 3 THEN noted(k) END), CASE WHEN count(*) > 100 THEN noted(max(id)) ELSE noted(0) END FROM few');
-- grouping sets
SELECT shape('SELECT grp, k, sum(score(k)), GROUPING(grp, k), score(grp + 1), noted(GROUPING(grp)) FROM few WHERE id < 5
  GROUP BY ROLLUP (grp, k) ORDER BY 3, 1, 2');
SELECT shape('SELECT score(k), grp, count(*) FROM few GROUP BY GROUPING SETS ((1), (2), ()) ORDER BY 1, 2, 3');
SELECT shape('SELECT score(k), grp, count(*) FROM few GROUP BY CUBE (1, 2) HAVING score(count(*)::int) > 10 ORDER BY 1, 2, 3');
-- DISTINCT, over joins and of calls of groups
SELECT shape('SELECT count(*), count(DISTINCT l) FROM (SELECT DISTINCT label(f.k) AS l, g.grp FROM few f, few g) d');
SELECT shape('SELECT DISTINCT score(count(*)::int) FROM few GROUP BY grp ORDER BY 1');
-- aggregates of joins
SELECT shape('SELECT sum(score(f.k + g.id)) FROM few f JOIN few g USING (grp)', options => :'analyze');
-- min() and max() by an index are no scans of all rows
SELECT shape('SELECT score(max(id)), score(min(id)) FROM many');
-- an error in an argument
SELECT shape('SELECT sum(picky(k)) FROM few');
SELECT shape('SELECT sum(picky(k)) FILTER (WHERE k <> 13) FROM few');
-- user-defined aggregates
CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = 0);
SELECT shape('SELECT grp, total(score(k)) FROM few GROUP BY grp ORDER BY grp');
-- a lookup that makes the state moves plainly
CREATE FUNCTION add(state int, v int) RETURNS int LANGUAGE concresce STABLE STRICT AS 'SELECT $1 + $2';
CREATE AGGREGATE far_total(int) (SFUNC = add, STYPE = int, INITCOND = 0);
SELECT shape('SELECT grp, far_total(score(k)) FROM few WHERE id < 5 GROUP BY grp ORDER BY grp');

DROP AGGREGATE total(int);
DROP AGGREGATE far_total(int);
DROP FUNCTION add;
CALL clean_up();
