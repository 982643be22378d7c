--
-- The batch node: no more keys are asked for than a limit can use.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all
\set analyze ', ANALYZE, TIMING OFF, SUMMARY OFF'

SELECT shape('SELECT id, noted(k) FROM many LIMIT 10', options => :'analyze');
SELECT shape('SELECT id, noted(k) FROM many LIMIT 3', options => :'analyze');
SELECT shape('SELECT id, noted(k) FROM many LIMIT 25', options => :'analyze', most => 0);
SELECT shape('SELECT id, noted(k) FROM many LIMIT 3 OFFSET 4', options => :'analyze');
SELECT shape('SELECT id, noted(k) FROM many OFFSET 1495', options => :'analyze');
SELECT shape('SELECT id, noted(k) FROM many LIMIT 0', options => :'analyze');
SELECT shape('SELECT id, noted(k) FROM many LIMIT (SELECT 4)', options => :'analyze');
SELECT shape('SELECT id, noted(k) FROM many FETCH FIRST 3 ROWS ONLY', options => :'analyze');
SELECT shape('SELECT id, noted(k) FROM many LIMIT 1300', options => :'analyze');
-- by concresce.stats
SELECT concresce.reset_stats();
SELECT count(*) FROM (SELECT id, score(k) FROM many LIMIT 10 OFFSET 0) q WHERE score > 0;
SELECT function, calls, batches, batch_size_max FROM concresce.stats WHERE function = 'score'::regproc;
-- through other nodes
SELECT shape('SELECT * FROM (SELECT id, noted(k) AS n FROM many OFFSET 0) q LIMIT 3', options => :'analyze');
SELECT shape('SELECT id, noted(k) FROM few WHERE id > 2 UNION ALL SELECT id, noted(id + 100) FROM many LIMIT 10', options => :'analyze');
SELECT shape('SELECT id, noted(k) FROM many ORDER BY id LIMIT 4', options => :'analyze');
SELECT shape('SELECT id, n FROM many, noted(k) n LIMIT 4', options => :'analyze');
SELECT shape('SELECT id, p FROM many LEFT JOIN parts(k) p ON true LIMIT 4', options => :'analyze');
SELECT shape('SELECT m.id, f.id, noted(m.k) FROM many m LEFT JOIN few f ON f.k = m.k LIMIT 3');
-- a sort needs all its rows; its limit is for what is above it
SELECT shape('SELECT id, noted(k) FROM few ORDER BY noted(k) LIMIT 2', options => :'analyze');
SELECT shape('SELECT id, noted(k) FROM few ORDER BY grp, id LIMIT 2', options => :'analyze');
SELECT shape('SELECT id, noted(k) FROM few ORDER BY k FETCH FIRST 3 ROWS WITH TIES');
-- with a filter: small rounds, until there are enough rows
SELECT shape('SELECT id FROM many WHERE noted(k) > 20 LIMIT 3', options => :'analyze');
SELECT shape('SELECT id FROM many WHERE noted(k) > 1000 LIMIT 3', options => :'analyze');
SELECT shape('SELECT id, label(k) FROM many WHERE noted(k) % 100 = 0 LIMIT 3', options => :'analyze');
SELECT shape('SELECT id FROM few WHERE noted(k) > 1000 LIMIT 3', options => :'analyze');
-- EXISTS and scalar sub-selects stop at the first row
SELECT shape('SELECT EXISTS (SELECT FROM many WHERE noted(k) > 20)', options => :'analyze');
SELECT shape('SELECT (SELECT noted(k) FROM many LIMIT 1)', options => :'analyze');
SELECT shape('SELECT id FROM few f WHERE EXISTS (SELECT FROM many m WHERE m.grp = f.grp AND noted(m.k) > 0) AND id < 3', options => :'analyze');
-- what was read to its end once may not be the next time: few keys are asked for in vain
SELECT concresce.reset_stats();
SELECT count(*) FROM few f WHERE f.id = 99
  OR EXISTS (SELECT FROM many m WHERE noted(m.k) > CASE WHEN f.id = 1 THEN 1000000 ELSE 0 END);
SELECT calls BETWEEN 1510 AND 1800, batches < 20 FROM concresce.stats WHERE function = 'noted'::regproc;
SELECT FROM asked();
-- and where it is read to its end again and again, rounds grow
SELECT concresce.reset_stats();
SELECT sum(q.n) FROM few f, LATERAL (SELECT count(score(m.k + f.id * 0)) AS n FROM many m WHERE m.id < 60 + f.id OFFSET 0) q;
SELECT calls, batches FROM concresce.stats WHERE function = 'score'::regproc;
-- a limit in a sub-select that is run again
SELECT shape('SELECT f.id, m.* FROM few f, LATERAL (SELECT m.id, noted(m.k) FROM many m WHERE m.id > f.id LIMIT 2) m WHERE f.id < 4', options => :'analyze');
SELECT shape('SELECT f.id, m.* FROM few f, LATERAL (SELECT m.id, noted(m.k) FROM many m LIMIT f.id) m WHERE f.id < 4', options => :'analyze');
-- DISTINCT and groups with a limit
SELECT shape('SELECT DISTINCT ON (id) id, noted(k) FROM many ORDER BY id LIMIT 3');
SELECT shape('SELECT id, sum(noted(k)) FROM many GROUP BY id ORDER BY id LIMIT 3');

CALL clean_up();
