--
-- The batch node: lookups in FROM.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all
\set analyze ', ANALYZE, TIMING OFF, SUMMARY OFF'

-- sets, tables, composites and scalars; CROSS JOIN, LEFT JOIN, the comma
SELECT shape('SELECT id, p FROM few CROSS JOIN LATERAL parts(k) p', options => :'analyze');
SELECT shape('SELECT id, p FROM few LEFT JOIN LATERAL parts(k) p ON true', options => :'analyze');
SELECT shape('SELECT id, p FROM few, parts(k) p');
SELECT shape('SELECT id, o.* FROM few JOIN LATERAL offers(k) o ON true', options => ', VERBOSE');
SELECT shape('SELECT id, o.shop, o FROM few LEFT JOIN LATERAL offers(k) o ON true');
SELECT shape('SELECT id, price FROM few, offers(k) AS o (s, price)');
SELECT shape('SELECT id, i.* FROM few, info(k) i', options => :'analyze');
SELECT shape('SELECT id, i.* FROM few LEFT JOIN LATERAL info(k) i ON i.score > 20');
SELECT shape('SELECT id, i.score, i FROM few, info(k) AS i');
SELECT shape('SELECT id, s FROM few, score(k) s', options => :'analyze');
SELECT shape('SELECT id, s FROM few LEFT JOIN score(k) s ON s > 15');
SELECT shape('SELECT id, l FROM few, LATERAL label(k) AS l');
-- conditions on what is found
SELECT shape('SELECT id, o.* FROM few JOIN LATERAL offers(k) o ON o.shop = grp', options => :'analyze');
SELECT shape('SELECT id, o.* FROM few LEFT JOIN LATERAL offers(k) o ON o.shop = 2 WHERE id < 8');
SELECT shape('SELECT id, o.* FROM few, offers(k) o WHERE o.price > 200 AND grp = 1');
SELECT shape('SELECT id, o.* FROM few LEFT JOIN offers(k) o ON true WHERE o.price IS NULL OR o.price > 300');
-- semi and anti joins
SELECT shape('SELECT id FROM few WHERE EXISTS (SELECT FROM offers(k) o WHERE o.shop = 2)');
SELECT shape('SELECT id FROM few WHERE NOT EXISTS (SELECT FROM parts(k))');
SELECT shape('SELECT id FROM few WHERE 2 IN (SELECT shop FROM offers(k))');
-- WITH ORDINALITY, ROWS FROM, an alias for the whole row
SELECT shape('SELECT id, p, n FROM few, parts(k) WITH ORDINALITY AS u(p, n)', options => :'analyze');
SELECT shape('SELECT id, o.* FROM few LEFT JOIN LATERAL offers(k) WITH ORDINALITY o ON true');
SELECT shape('SELECT id, u.* FROM few, ROWS FROM (parts(k), offers(k), generate_series(1, 2), score(k)) WITH ORDINALITY u WHERE id < 5',
  options => :'analyze');
-- chains
SELECT shape('SELECT id, p, a, s FROM few, after(k) a, LATERAL parts(a) p, score(a) s', options => :'analyze');
SELECT shape('SELECT id, o.shop, i.label FROM few, offers(k) o, LATERAL info(o.price / 100 + o.shop) i');
SELECT shape('SELECT id, p FROM few, parts(after(k)) p');
-- the same function from two sides, and beside a target list
SELECT shape('SELECT f.id, g.id, a, b FROM few f CROSS JOIN LATERAL parts(f.k) a JOIN few g ON g.id = f.id CROSS JOIN LATERAL parts(g.id) b');
SELECT shape('SELECT id, p, score(id), label(substr(p, 1, 1)::int) FROM few, parts(k) p WHERE score(k) > 10');
-- within lateral sub-selects
SELECT shape('SELECT id, q.* FROM few f, LATERAL (SELECT o.shop, o.price + f.id AS price FROM offers(f.k) o OFFSET 0) q', options => :'analyze');
SELECT shape('SELECT id, q.* FROM few f LEFT JOIN LATERAL (SELECT o.price FROM offers(f.k) o ORDER BY o.price DESC LIMIT 1) q ON true', options => :'analyze');
SELECT shape('SELECT id, q.* FROM few f, LATERAL (SELECT count(*), sum(o.price) FROM offers(f.k) o) q', options => :'analyze');
SELECT shape('SELECT id, q.* FROM few f, LATERAL (SELECT score(f.k) + g.id AS s FROM few g WHERE g.id < 3) q WHERE f.id < 4');
SELECT shape('SELECT id, q.* FROM few f, LATERAL (SELECT label(f.k) UNION ALL SELECT p FROM parts(f.k) p) q WHERE f.id < 4');
SELECT shape('SELECT id, q.* FROM few f, LATERAL (VALUES (score(f.k)), (after(f.k))) q (v) WHERE f.id < 4');
SELECT shape('SELECT id, q.* FROM few f, LATERAL (SELECT DISTINCT p FROM parts(f.k) p, generate_series(1, 2)) q ORDER BY 1, 2');
SELECT shape('SELECT id, q.* FROM few f, LATERAL (WITH w AS MATERIALIZED (SELECT * FROM parts(f.k) p) SELECT * FROM w) q WHERE f.id < 4');
-- a guard within
SELECT shape('SELECT id, q.* FROM few f, LATERAL (SELECT CASE WHEN f.id < 3 THEN noted(f.k) END AS n OFFSET 0) q', options => :'analyze');
SELECT shape('SELECT id, q.* FROM few f LEFT JOIN LATERAL (SELECT noted(f.k) AS n WHERE f.id < 3 OFFSET 0) q ON true', options => :'analyze');
-- an index by what a lookup found; Memoize gives way
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SELECT shape('SELECT f.id, m.id FROM few f, offers(f.k) o JOIN many m ON m.id = o.price', options => :'analyze');
SELECT shape('SELECT f.id, m.id FROM few f, score(f.k) s, many m WHERE m.id = s');
SELECT shape('SELECT m.id, f.id FROM many m JOIN few f ON f.id = m.id, score(m.k) s WHERE f.id * 10 <= s');
RESET enable_hashjoin;
RESET enable_mergejoin;
-- not lateral: once
SELECT shape('SELECT * FROM parts(2)', options => ', VERBOSE');
SELECT shape('SELECT id, p FROM few, parts(2) p WHERE id < 3');
-- arguments from two levels
SELECT shape('SELECT f.id, g.id, p FROM few f, LATERAL (SELECT g.id, p FROM few g, parts(g.k + f.id) p WHERE g.grp = f.grp OFFSET 0) g WHERE f.id < 4');
-- no rows; rounds; errors
SELECT shape('SELECT id, p FROM none, parts(k) p', options => :'analyze');
SELECT shape('SELECT id, p FROM many LEFT JOIN parts(k) p ON true', options => :'analyze');
SELECT shape('SELECT id, o.* FROM many, offers(k) o WHERE o.shop = 2', options => :'analyze');
SELECT shape('SELECT id, s FROM few, picky(k) s');
SELECT shape('SELECT id, s FROM many, picky(k) s LIMIT 11');
SELECT shape('SELECT id, s FROM few LEFT JOIN LATERAL (SELECT picky(k) AS s WHERE k <> 13 OFFSET 0) q ON true');
SET concresce.on_missing = error;
SELECT shape('SELECT id, s FROM few, score(k) s');
SELECT shape('SELECT id, p FROM few, parts(k) p WHERE id < 3');
RESET concresce.on_missing;

CALL clean_up();
