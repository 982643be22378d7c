--
-- The batch node: calls in WHERE and in the conditions of joins.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all
\set analyze ', ANALYZE, TIMING OFF, SUMMARY OFF'
CREATE FUNCTION seen(row_id int) RETURNS bool LANGUAGE plpgsql COST 10000 AS $$
BEGIN
  INSERT INTO seen_rows VALUES (row_id);
  RETURN true;
END $$;
CREATE TABLE seen_rows (id int);

-- filters
SELECT shape('SELECT id, k FROM few WHERE score(k) > 15', options => :'analyze');
SELECT shape('SELECT id, k, score(k) FROM few WHERE score(k) > 15 AND label(k) LIKE ''%3''', options => :'analyze');
SELECT shape('SELECT id FROM few WHERE known(k)');
SELECT shape('SELECT id FROM few WHERE NOT known(k)');
SELECT shape('SELECT id FROM few WHERE score(k) IS NULL');
SELECT shape('SELECT id FROM few WHERE (info(k)).score IN (10, 40)');
SELECT shape('SELECT id FROM few WHERE score(k) = ANY (ARRAY[10, id * 5])');
SELECT shape('SELECT id FROM few WHERE (score(k), id) > (20, 3)');
-- only rows that pass what is before, are asked for
SELECT shape('SELECT id, k FROM few WHERE grp = 1 AND noted(k) > 10', options => :'analyze');
SELECT shape('SELECT id, k FROM few WHERE noted(k) > 10 AND score(k) < 100 AND label(k) <> ''x''', options => :'analyze');
-- the cheaper one comes first; what is behind a call moves with it and sees the same rows
SELECT shape('SELECT id FROM few WHERE score(k) > 10 AND seen(id) AND score(id) > 20', 'SELECT * FROM seen_rows');
-- a target list only for rows that pass
SELECT shape('SELECT id, noted(id) FROM few WHERE score(k) = 20', options => :'analyze');
-- an index keeps its condition
SET enable_seqscan = off;
SELECT shape('SELECT id FROM few WHERE id < 5 AND score(k) >= 20');
RESET enable_seqscan;
-- with rounds
SELECT shape('SELECT id, k FROM many WHERE score(k) % 100 = 50 AND score(k) IS NOT NULL', options => :'analyze');
-- one-time filters and constants are not rows
SELECT shape('SELECT id FROM few WHERE score(3) = 30');
SELECT shape('SELECT id FROM few WHERE score(3) = 31');

-- joins: filters above them
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_memoize = off;
SET enable_material = off;
SELECT shape('SELECT f.id, m.id FROM few f JOIN many m ON m.id = f.k WHERE score(m.id + f.id) > 50', options => :'analyze');
SELECT shape('SELECT f.id, g.id FROM few f JOIN few g ON score(f.k + g.id) = 50 AND f.id < 4');
-- conditions of outer joins are not filters: plain calls
SELECT shape('SELECT f.id, g.id FROM few f LEFT JOIN few g ON score(f.k + g.id) = 50 WHERE f.id < 4');
-- but what is above them is
SELECT shape('SELECT f.id, m.id, score(m.id) FROM few f LEFT JOIN many m ON m.id = f.k WHERE score(m.id) IS NULL OR score(m.id) > 20');
SELECT shape('SELECT f.id, score(g.k) FROM few f RIGHT JOIN few g ON g.id = f.k + 1');
-- a call over one side is made there
SELECT shape('SELECT f.id, g.id FROM few f, few g WHERE score(f.k) > 35 AND label(g.k) = ''no. 2''');
-- an index that is looked into by a call's result
SELECT shape('SELECT f.id, m.id FROM few f JOIN many m ON m.id = score(f.k)', options => :'analyze');
SET enable_memoize = on;
SELECT shape('SELECT f.id, m.id FROM few f JOIN many m ON m.id = score(f.k)');
RESET enable_memoize;
RESET enable_material;
-- semi and anti joins
SET enable_nestloop = off;
SET enable_hashjoin = on;
SELECT shape('SELECT id FROM few f WHERE EXISTS (SELECT FROM many m WHERE m.id = score(f.k))');
SELECT shape('SELECT id FROM few f WHERE NOT EXISTS (SELECT FROM many m WHERE m.id = score(f.k))');
SELECT shape('SELECT id FROM few f WHERE EXISTS (SELECT FROM few g WHERE g.grp = f.grp AND score(g.k + f.k) > 60)');
SELECT shape('SELECT id FROM few f WHERE k IN (SELECT after(k) FROM few)');
SELECT shape('SELECT id FROM few f WHERE k NOT IN (SELECT after(k) FROM few WHERE k < 7)');
-- hash joins: keys of the outer side, of the inner, of both, and a filter
SELECT shape('SELECT f.id, m.id FROM many m JOIN few f ON f.id * 10 = score(m.k)', options => :'analyze');
SELECT shape('SELECT f.id, m.id FROM many m JOIN few f ON score(f.k) = m.id', options => :'analyze');
SELECT shape('SELECT f.id, m.id FROM many m JOIN few f ON label(f.k) = label(m.k)', options => :'analyze');
SELECT shape('SELECT f.id, m.id FROM many m JOIN few f ON f.k = m.id AND noted(f.k + m.id) > 50');
SELECT shape('SELECT f.id, m.id FROM few f LEFT JOIN many m ON score(f.k) = m.id ORDER BY 1');
SELECT shape('SELECT f.id, m.id FROM few f FULL JOIN few m ON score(f.k) = score(m.id) WHERE f.id IS NULL OR m.id IS NULL ORDER BY 1, 2');
SELECT shape('SELECT f.id, score(m.id) FROM few f LEFT JOIN many m ON m.id = f.k ORDER BY f.id');
-- merge joins: sorted by the call's result, on either side
SET enable_hashjoin = off;
SET enable_mergejoin = on;
SELECT shape('SELECT f.id, m.id FROM many m JOIN few f ON score(f.k) = m.id');
SELECT shape('SELECT f.id, g.id FROM few f JOIN few g ON score(f.k) = score(g.k)');
SELECT shape('SELECT f.id, g.id FROM few f LEFT JOIN few g ON score(f.k) = score(g.k) AND g.id <> f.id');
SELECT shape('SELECT f.id, m.id, score(f.k + m.id) FROM few f JOIN many m ON f.id = m.id WHERE score(f.k + m.id) > 40');
-- the inner side is marked and gone back to
SELECT shape('SELECT f.id, g.id, g.l FROM few f JOIN (SELECT id, k, label(k) AS l FROM few ORDER BY k OFFSET 0) g ON f.k = g.k');

-- nested loops that stop at the first match
RESET enable_nestloop;
SET enable_mergejoin = off;
SELECT shape('SELECT id FROM few f WHERE EXISTS (SELECT FROM few g WHERE g.grp = f.grp AND score(g.k + f.k) > 60)');
SELECT shape('SELECT id FROM few f WHERE NOT EXISTS (SELECT FROM few g WHERE g.grp = f.grp AND score(g.k + f.k) > 60)');
SELECT shape('SELECT f.id, m.id FROM few f JOIN many m ON m.id = f.k AND m.grp = f.grp AND score(f.id) = 10');
SELECT shape('SELECT id FROM few f WHERE EXISTS (SELECT FROM many m WHERE m.id = score(f.k))', options => :'analyze');

DROP FUNCTION seen;
DROP TABLE seen_rows;
CALL clean_up();
