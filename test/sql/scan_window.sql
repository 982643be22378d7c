--
-- The batch node: calls in and around window functions.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all
\set analyze ', ANALYZE, TIMING OFF, SUMMARY OFF'

-- arguments, FILTER
SELECT shape('SELECT id, sum(score(k)) OVER (ORDER BY id), lag(label(k)) OVER (ORDER BY id) FROM few', options => :'analyze');
SELECT shape('SELECT id, count(*) FILTER (WHERE score(k) > 15) OVER (ORDER BY id), sum(noted(k)) FILTER (WHERE grp = 1) OVER (ORDER BY id) FROM few',
  options => :'analyze');
SELECT shape('SELECT id, first_value(score(k)) OVER (PARTITION BY grp ORDER BY id), lag(k, 1, score(id)) OVER (ORDER BY id) FROM few');
-- PARTITION BY and ORDER BY
SELECT shape('SELECT id, score(k), row_number() OVER (PARTITION BY score(k) ORDER BY id) FROM few ORDER BY id', options => :'analyze');
SELECT shape('SELECT id, rank() OVER (ORDER BY score(k) DESC NULLS LAST) FROM few ORDER BY id');
-- several windows
SELECT shape('SELECT id, sum(score(k)) OVER (PARTITION BY grp), max(label(k)) OVER (PARTITION BY k), count(score(k)) OVER () FROM few ORDER BY id');
-- frames
SELECT shape('SELECT id, sum(score(k)) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING),
  max(score(k)) OVER (ORDER BY id RANGE BETWEEN 2 PRECEDING AND CURRENT ROW EXCLUDE CURRENT ROW) FROM few');
-- beside a window function, and of its result
SELECT shape('SELECT id, score(k), row_number() OVER (ORDER BY id DESC) FROM few', options => :'analyze');
SELECT shape('SELECT id, score((row_number() OVER (ORDER BY id DESC))::int), noted((count(*) OVER ())::int) FROM few', options => :'analyze');
SELECT shape('SELECT id, sum(score(k)) OVER w + score((rank() OVER w)::int) FROM few WINDOW w AS (ORDER BY id)');
-- over groups
SELECT shape('SELECT grp, sum(score(k)), sum(sum(score(k))) OVER (ORDER BY grp), label((count(*) OVER ())::int) FROM few GROUP BY grp ORDER BY grp');
-- a window that ends early: what is above stops it
SELECT shape('SELECT * FROM (SELECT id, row_number() OVER (ORDER BY id) AS n, score(k) AS s, sum(score(k)) OVER (ORDER BY id) AS t FROM few) q WHERE n < 4');
SELECT shape('SELECT * FROM (SELECT id, row_number() OVER (ORDER BY id) AS n, label(k) AS l FROM many) q WHERE n < 4');
SELECT shape('SELECT * FROM (SELECT id, rank() OVER (ORDER BY score(k)) AS n FROM few) q WHERE n <= 3');
SELECT shape('SELECT id, n FROM (SELECT id, k, row_number() OVER (ORDER BY id) AS n FROM few) q WHERE score(n::int) > 50');
SELECT shape('SELECT id, sum(score(k)) OVER (ORDER BY id) FROM many LIMIT 3', options => :'analyze');
SELECT shape('SELECT DISTINCT count(score(k)) OVER (PARTITION BY grp) FROM few ORDER BY 1');
-- rounds
SELECT shape('SELECT id, sum(score(k)) OVER (ORDER BY id) FROM many', options => :'analyze');
SELECT shape('SELECT id, sum(score(k)) OVER (PARTITION BY grp ORDER BY id) FROM many');
-- an error
SELECT shape('SELECT id, sum(picky(k)) OVER (ORDER BY id) FROM few');

CALL clean_up();
