--
-- The batch node: places where it once went wrong.  shape() compares with the
-- plain calls; what is shown is the plan.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all
SET plan_cache_mode = force_generic_plan;

-- a plan of its own among the arguments, or the conditions, of a call
SELECT shape('SELECT max(score(id + (SELECT k - 1 FROM few WHERE id = 2 LIMIT 1))) FROM few');
SELECT shape('SELECT id, CASE WHEN EXISTS (SELECT FROM few WHERE id > 3) THEN score(k + 0) END FROM few');

-- conditions that use each other's calls
SELECT shape($$SELECT id, CASE WHEN id > 3 THEN CASE WHEN score(k) > 0 THEN after(k) END
  ELSE CASE WHEN after(k) > 0 THEN score(k) END END FROM few$$);

-- CASE with a test value in an argument, in a condition, over an array that is cast
SELECT shape('SELECT id, score(CASE k WHEN 1 THEN 2 ELSE 3 END) FROM few');
SELECT shape('SELECT id, CASE CASE k WHEN 1 THEN 2 ELSE 3 END WHEN 2 THEN score(k) END FROM few');
SELECT shape('SELECT id, CASE id WHEN (ARRAY[k, grp]::numeric[]::int[])[1] THEN score(k) END FROM few');

-- what compares a sub-plan's rows may call a lookup for each of them
CREATE TYPE wrapped AS (x text);
CREATE FUNCTION width(w wrapped) RETURNS int LANGUAGE concresce STABLE SET concresce.server = '' AS 'SELECT length((w).x)';
CREATE CAST (wrapped AS int) WITH FUNCTION width(wrapped) AS IMPLICIT;
SELECT shape($$SELECT id, k IN (SELECT ROW(repeat('x', m.k))::wrapped FROM many m WHERE m.id = few.id OFFSET 0) FROM few$$);
SELECT shape('SELECT id, (grp, score(k)) IN (SELECT m.grp, m.k * 10 FROM many m WHERE m.id = few.id OFFSET 0) FROM few');

-- a sub-plan that decides about partitions
CREATE TABLE parted (id int, b int) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (25);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (25) TO (1000);
INSERT INTO parted SELECT i, i % 5 FROM generate_series(1, 60) i;
CREATE INDEX ON parted (id);
ANALYZE parted;
SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off; SET enable_memoize = off;
SET enable_bitmapscan = off; SET enable_material = off;
SELECT outcome(q, NULL) FROM (VALUES ('SELECT f.id, p.id, p.b FROM few f JOIN parted p
  ON p.id = (SELECT score(f.k) + count(*)::int * 0 FROM none) ORDER BY 1')) v(q);
SET concresce.enable_batchscan = off;
SELECT outcome(q, NULL) FROM (VALUES ('SELECT f.id, p.id, p.b FROM few f JOIN parted p
  ON p.id = (SELECT score(f.k) + count(*)::int * 0 FROM none) ORDER BY 1')) v(q);
RESET concresce.enable_batchscan;
RESET enable_hashjoin; RESET enable_seqscan; RESET enable_memoize; RESET enable_bitmapscan; RESET enable_material;

-- a merge join goes back in its inner side, through a Result
SET enable_hashjoin = off; SET enable_nestloop = off; SET enable_seqscan = off; RESET enable_mergejoin;
CREATE INDEX ON few (k);
CREATE TABLE twice AS SELECT i / 2 AS x FROM generate_series(2, 60) i;
CREATE INDEX ON twice (x);
ANALYZE few, twice;
PREPARE back(int) AS SELECT f.id, q.s FROM few f LEFT JOIN
  (SELECT x, coalesce(score(x), 0) AS s FROM twice WHERE $1 = 1) q ON q.x = f.k ORDER BY 1, 2;
EXECUTE back(1);
RESET enable_hashjoin; RESET enable_nestloop; RESET enable_seqscan;

-- a limit that a sub-select gives
SELECT shape('SELECT id, score(k) FROM few ORDER BY id + 0 LIMIT (SELECT 3)');

-- a cursor's row through a view that is a security barrier
CREATE VIEW barred WITH (security_barrier) AS SELECT * FROM few WHERE grp = 1;
BEGIN;
DECLARE c CURSOR FOR SELECT id, score(k) FROM barred;
FETCH 1 FROM c;
DELETE FROM few WHERE CURRENT OF c RETURNING id;
ROLLBACK;

-- a type that is altered while a cursor is open
CREATE TYPE pair AS (a int, b text);
CREATE FUNCTION pairs(key int) RETURNS pair LANGUAGE concresce STABLE AS $$ SELECT key, 'b' || key $$;
BEGIN;
DECLARE c CURSOR FOR SELECT id, pairs(k) FROM few;
FETCH 1 FROM c;
ALTER TYPE pair ADD ATTRIBUTE c int;
ALTER TYPE pair DROP ATTRIBUTE c;
ALTER TYPE pair ALTER ATTRIBUTE a TYPE bigint;
FETCH 1 FROM c;
ROLLBACK;

-- the key that a round was asked with is not that of a later one
BEGIN;
DECLARE c CURSOR FOR SELECT id, score(k) FROM few;
ALTER FUNCTION score SET concresce.key = '10 / (key - 3)';
FETCH 2 FROM c;
FETCH 1 FROM c;
ROLLBACK;

-- arguments that are larger than the row they come from
SET concresce.max_bytes = '10kB';
CREATE FUNCTION measure(t text) RETURNS int LANGUAGE concresce STABLE AS 'SELECT length(t)';
SELECT shape($$SELECT count(*), sum(measure(repeat('y', 3000 + id % 2))) FROM many WHERE id <= 200$$);
RESET concresce.max_bytes;

-- no room for a whole round
SET concresce.on_full = 'error';
SELECT shape('SELECT sum(score(k)), sum(after(k)) FROM many');
RESET concresce.on_full;

-- a call while the rows below are being locked
SELECT shape('SELECT id, score(k) FROM (SELECT * FROM few ORDER BY id FOR UPDATE) q');

-- nothing is left
SELECT count(*) FROM concresce.in_flight;
SELECT used FROM concresce.memory();

DROP VIEW barred;
DROP TABLE parted, twice;
DROP CAST (wrapped AS int);
DROP FUNCTION width(wrapped), pairs, measure;
DROP TYPE wrapped, pair;
CALL clean_up();
