--
-- The batch node: a call that SQL would not make is not made, and if it was
-- made ahead it does not fail.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all
\set analyze ', ANALYZE, TIMING OFF, SUMMARY OFF'

-- CASE, with a condition, with a value, with a call in the condition, nested
SELECT shape('SELECT id, CASE WHEN id < 5 THEN noted(k) END FROM few', options => :'analyze');
SELECT shape('SELECT id, CASE WHEN id < 5 THEN noted(k) WHEN id > 8 THEN noted(id) ELSE k END FROM few', options => :'analyze');
SELECT shape('SELECT id, CASE grp WHEN 0 THEN noted(id) WHEN 1 THEN noted(100 + id) ELSE noted(200 + id) END FROM few', options => :'analyze');
SELECT shape('SELECT id, CASE WHEN noted(id) > 50 THEN noted(100 + id) ELSE noted(200 + id) END FROM few', options => :'analyze');
SELECT shape('SELECT id, CASE noted(id) WHEN 10 THEN noted(110) WHEN noted(22) THEN 0 WHEN 20 THEN 1 END FROM few WHERE id < 4');
SELECT shape('SELECT id, CASE WHEN id < 8 THEN CASE WHEN id > 5 THEN noted(id) END ELSE noted(100 + id) END FROM few');
SELECT shape('SELECT id, CASE WHEN k IS NULL THEN 0 WHEN k < 3 THEN noted(k) END FROM few');
-- a condition that cannot be told ahead: plain calls
SELECT shape('SELECT id, CASE WHEN random() < 2 THEN noted(k) END FROM few WHERE id < 4');
-- a sub-select that is run for each row is a column of the rows
SELECT shape('SELECT id, CASE WHEN id = (SELECT max(id) FROM few g WHERE g.grp = f.grp) THEN noted(k) END FROM few f');
-- COALESCE
SELECT shape('SELECT id, COALESCE(k, noted(id)) FROM few', options => :'analyze');
SELECT shape('SELECT id, COALESCE(score(k), noted(id), 0) FROM few', options => :'analyze');
SELECT shape('SELECT id, COALESCE(score(k), score(after(k)), noted(id), noted(100 + id)) FROM few', options => :'analyze');
-- AND, OR, NOT; NULL decides nothing
SELECT shape('SELECT id, id < 5 AND noted(id) > 20 FROM few', options => :'analyze');
SELECT shape('SELECT id, id < 5 OR noted(id) > 80 FROM few', options => :'analyze');
SELECT shape('SELECT id, k > 2 AND noted(id) > 20, k > 2 OR noted(100 + id) > 0 FROM few');
SELECT shape('SELECT id, NOT (k = 1 OR noted(id) = 20 OR noted(100 + id) = 1030) FROM few', options => :'analyze');
SELECT shape('SELECT id FROM few WHERE k = 1 OR noted(id) = 20 OR noted(100 + id) = 1030', options => :'analyze');
SELECT shape('SELECT id FROM few WHERE (k = 3 AND noted(id) = 30) OR (k = 4 AND noted(id) = 70)', options => :'analyze');
-- NULLIF, greatest and IS DISTINCT FROM evaluate both sides
SELECT shape('SELECT id, NULLIF(noted(id), noted(k)) FROM few WHERE id < 4');
SELECT shape('SELECT id, noted(id) IS DISTINCT FROM noted(k), greatest(noted(id), noted(k)) FROM few WHERE id < 4');
-- rows are compared up to the first difference
SELECT shape('SELECT id, (id, noted(id)) < (k, noted(100 + id)) FROM few WHERE k <> id OR id = 3');
-- strict functions around a call do not skip it
SELECT shape('SELECT id, noted(id) + k FROM few WHERE id IN (5, 6)');
-- the same call with a guard and without one; with two guards
SELECT shape('SELECT id, CASE WHEN id = 3 THEN noted(id) END, CASE WHEN id > 8 THEN noted(id) END FROM few', options => :'analyze');
SELECT shape('SELECT id, CASE WHEN id = 3 THEN noted(id) END, noted(id) FROM few', options => :'analyze');
-- rounds
SELECT shape('SELECT id, CASE WHEN grp = 1 THEN noted(k) END, CASE WHEN grp IN (1, 2) THEN score(k) END FROM many', options => :'analyze');
SELECT shape('SELECT id FROM many WHERE grp = 1 OR noted(k) = 500', options => :'analyze', most => 0);

-- picky() fails for 13 and 12
SELECT shape('SELECT id, picky(k) FROM few');
SELECT shape('SELECT id, CASE WHEN k <> 13 THEN picky(k) END FROM few', options => :'analyze');
SELECT shape('SELECT id, picky(CASE WHEN k <> 13 THEN k END) FROM few', options => :'analyze');
SELECT shape('SELECT id FROM few WHERE k <> 13 AND picky(k) < -90');
-- plain calls that stop before the row that fails
SELECT shape('SELECT id, picky(k) FROM few LIMIT 9');
SELECT shape('SELECT id, picky(k) FROM many LIMIT 11');
SELECT shape('SELECT id, picky(k) FROM many LIMIT 12');
SELECT shape('SELECT id, picky(k) FROM many LIMIT 13');
SELECT shape('SELECT EXISTS (SELECT FROM few WHERE picky(k) = -100)');
-- a condition that fails where SQL would have failed, and not elsewhere
SELECT shape('SELECT id, CASE WHEN 10 / (id - 5) > 0 THEN noted(k) END FROM few');
SELECT shape('SELECT id, CASE WHEN id <> 5 AND 10 / (id - 5) > 0 THEN noted(id) END FROM few');
SELECT shape('SELECT id, CASE WHEN id <> 5 THEN noted(10 / (id - 5)) END FROM few');
-- arguments that fail: after the rows before it
SELECT shape('SELECT id, noted(10 / (id - 5)) FROM few');
SELECT shape('SELECT id, score(10 / (id - 5)) FROM few LIMIT 4');
SELECT shape('SELECT id, noted((''x'' || id)::int) FROM few');
SELECT shape('SELECT id, noted(10 / (score(k) - 30)) FROM few');
-- the guard of a call may fail by another lookup: only where its row is come to
SELECT shape('SELECT id, CASE WHEN picky(k) < -90 THEN noted(k) END FROM few LIMIT 9');
SELECT shape('SELECT id, CASE WHEN picky(k) < -90 THEN noted(k) END FROM few');

CALL clean_up();
