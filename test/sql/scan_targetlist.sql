--
-- The batch node: calls in target lists.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all

-- one call; duplicates, NULL and a missing key among its arguments
SELECT shape('SELECT id, score(k) FROM few', options => ', ANALYZE, TIMING OFF, SUMMARY OFF');
SELECT shape('SELECT id, label(k) FROM few', options => ', VERBOSE');
-- within expressions; the same call twice is one
SELECT shape('SELECT id, -score(k) + id AS a, score(k) IS NULL AS b, ARRAY[score(k), id] AS c, score(k) BETWEEN 15 AND 35 AS d,
  (label(k) || ''!'')::varchar(5) AS e, score(k) = ANY (''{10,30}'') AS f, greatest(score(k), 20) AS g FROM few',
  options => ', ANALYZE, TIMING OFF, SUMMARY OFF');
-- several side by side
SELECT shape('SELECT id, score(k), label(k), score(id), score(k + 1) FROM few');
SELECT shape('SELECT id, score(k), score(k + 2000), label(k), info(id) FROM few',
  options => ', ANALYZE, TIMING OFF, SUMMARY OFF');
-- lookups of lookups
SELECT shape('SELECT id, score(after(k)) FROM few', options => ', ANALYZE, TIMING OFF, SUMMARY OFF');
SELECT shape('SELECT id, after(after(after(k))), label(after(k) + score(id)) FROM few',
  options => ', ANALYZE, TIMING OFF, SUMMARY OFF');
-- composites, whole, by field and by column
SELECT shape('SELECT id, info(k), (info(k)).label, row_to_json(info(k)) FROM few', options => ', VERBOSE');
SELECT shape('SELECT id, (info(k)).* FROM few', options => ', ANALYZE, TIMING OFF, SUMMARY OFF');
-- sets
SELECT shape('SELECT id, parts(k) FROM few', options => ', ANALYZE, TIMING OFF, SUMMARY OFF');
SELECT shape('SELECT id, parts(k), offers(k) FROM few');
SELECT shape('SELECT id, (offers(k)).* FROM few');
SELECT shape('SELECT id, upper(parts(after(k))) || id, generate_series(1, 2), score(k) FROM few');
SELECT shape('SELECT id, generate_series(1, id % 3), score(generate_series(1, id % 3)) FROM few');
-- arguments that are not of the row
SELECT shape('SELECT id, score(3) FROM few WHERE id < 4', options => ', ANALYZE, TIMING OFF, SUMMARY OFF');
SELECT shape('SELECT id, score(NULL), label(NULL) FROM few WHERE id < 3');
SELECT shape('SELECT score(3), label(4)');
SELECT shape('SELECT after(3)');
-- no rows, one row
SELECT shape('SELECT id, score(k) FROM none', options => ', ANALYZE, TIMING OFF, SUMMARY OFF');
SELECT shape('SELECT id, score(k) FROM few WHERE id = 3', options => ', ANALYZE, TIMING OFF, SUMMARY OFF');
-- rounds of 10, 100 and then 1000 rows
SELECT shape('SELECT id, score(k) FROM many', options => ', ANALYZE, TIMING OFF, SUMMARY OFF');
SET concresce.max_size = 7;
SELECT shape('SELECT id, score(k), label(after(k)) FROM many WHERE id <= 100', options => ', ANALYZE, TIMING OFF, SUMMARY OFF');
SET concresce.max_size = 1;
SELECT shape('SELECT id, score(k) FROM few', options => ', ANALYZE, TIMING OFF, SUMMARY OFF');
RESET concresce.max_size;
-- rounds by bytes
SET concresce.max_bytes = '2kB';
SELECT shape('SELECT id, length(v), label(length(v) + id) FROM (SELECT id, repeat(''y'', 900) AS v FROM few OFFSET 0) f',
  options => ', ANALYZE, TIMING OFF, SUMMARY OFF');
RESET concresce.max_bytes;
-- sorted by a call, and by something else below and above it
SELECT shape('SELECT id, score(k) FROM few ORDER BY score(k) DESC NULLS LAST, id');
SELECT shape('SELECT id, score(k) FROM few ORDER BY grp, id DESC');
SELECT shape('SELECT id FROM few ORDER BY label(k), id');
SELECT shape('SELECT DISTINCT score(k) FROM few ORDER BY 1');
SELECT shape('SELECT DISTINCT ON (score(k)) score(k), id FROM few ORDER BY 1, 2');
-- scans of other kinds
SET enable_seqscan = off;
SELECT shape('SELECT id, score(k) FROM few WHERE id IN (2, 3)');
SELECT shape('SELECT score(id) FROM few WHERE id BETWEEN 2 AND 4 ORDER BY id DESC');
SET enable_indexscan = off;
SELECT shape('SELECT id, score(k) FROM few WHERE id < 4');
RESET enable_seqscan;
RESET enable_indexscan;
SELECT shape('SELECT score(k) FROM many WHERE ctid = ''(0,2)''');
SELECT shape('SELECT score(k) FROM many WHERE ctid < ''(0,3)''');
SELECT shape('SELECT id, score(k) FROM few TABLESAMPLE SYSTEM (100)');
SELECT shape('SELECT x, score(x) FROM (VALUES (1), (7), (NULL), (2)) v(x)');
SELECT shape('SELECT x, score(x) FROM generate_series(1, 3) x');
SELECT shape('SELECT n, score(n) FROM ROWS FROM (unnest(ARRAY[3, 2])) WITH ORDINALITY u(n, o)');
SELECT shape('SELECT x, score(x) FROM XMLTABLE(''/a/b'' PASSING ''<a><b>1</b><b>2</b></a>'' COLUMNS x int PATH ''.'')');
-- whole rows, system columns, and columns of all sorts beside a call
SELECT shape('SELECT f, ctid, tableoid::regclass, score(k) FROM few f WHERE id < 3', options => ', VERBOSE');
-- an argument of a call may be of anything that is computed from the row alone
SELECT shape('SELECT id, score((SELECT 3)), score((SELECT max(k) FROM few)) FROM few WHERE id < 3');
SELECT shape('SELECT id, score((SELECT m.k FROM many m WHERE m.id = f.k)) FROM few f WHERE id < 4');
SELECT shape('SELECT id, score(k + (random() * 0)::int) FROM few f WHERE id < 4');

CALL clean_up();
