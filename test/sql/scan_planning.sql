--
-- The batch node: planning takes memory linear in the size of a statement.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all

-- Statements of a kind and size.
CREATE FUNCTION statement(kind text, n int) RETURNS text LANGUAGE sql AS $$
  SELECT CASE kind
    WHEN 'row comparisons' THEN
      format('SELECT id FROM many WHERE score(k) > 0 AND (k, grp) IN (%s)', string_agg(format('(%s, %s)', i + 10000, i % 10), ','))
    WHEN 'row comparisons in a list' THEN
      format('SELECT id, score(k), (k, grp) IN (%s) FROM many', string_agg(format('(%s, %s)', i + 10000, i % 10), ','))
    WHEN 'row comparisons of a call' THEN
      format('SELECT id, (score(k), grp) IN (%s) FROM many', string_agg(format('(%s, %s)', i + 10000, i % 10), ','))
    WHEN 'arms before a call' THEN
      format('SELECT id FROM many WHERE %s OR score(k) > 0', string_agg(format('k < grp + %s', i), ' OR '))
    WHEN 'arms with calls' THEN
      format('SELECT id FROM many WHERE %s', string_agg(format('score(k + %s) > 0', i), ' OR '))
    WHEN 'places of a call' THEN
      format('SELECT id, CASE %s END FROM many', string_agg(format('WHEN grp = %s THEN score(k)', i), ' '))
    WHEN 'values of CASE' THEN
      format('SELECT id, CASE grp + 1 %s END FROM many', string_agg(format('WHEN %s THEN score(k + %s)', i, i % 5), ' '))
    WHEN 'conditions' THEN
      format('SELECT id FROM many WHERE %s', string_agg(format('score(k) <> grp + %s', i), ' AND '))
    WHEN 'sub-selects' THEN
      format('SELECT id, %s FROM few f', string_agg(format('(SELECT score(f.k + %s) WHERE f.id > %s)', i, i), ', '))
  END FROM generate_series(1, n) i
$$;
-- What the session has ever used, in kB.
CREATE FUNCTION high_water() RETURNS bigint LANGUAGE sql AS $$
  SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\s*(\d+)')::bigint
$$;
-- Memory for planning with batch nodes, beyond that without them.
CREATE FUNCTION more_memory(kind text, n int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  query text := 'EXPLAIN ' || statement(kind, n); before bigint;
BEGIN
  SET LOCAL concresce.enable_batchscan = off;
  EXECUTE query;
  before := high_water();
  SET LOCAL concresce.enable_batchscan = on;
  EXECUTE query;
  RETURN high_water() - before;
END $$;
SELECT kind, CASE WHEN more < 60000 THEN 'fine' ELSE more || ' kB' END AS memory
FROM (VALUES ('row comparisons', 5000), ('row comparisons in a list', 5000), ('row comparisons of a call', 5000),
        ('arms before a call', 4000), ('arms with calls', 3000),
        ('places of a call', 4000), ('values of CASE', 2000), ('conditions', 3000), ('sub-selects', 500)) k (kind, n),
  LATERAL (SELECT more_memory(kind, n) AS more) m;

-- what is too much for one batch node is called row by row
DO $$
DECLARE
  query text; on_ text; off_ text;
BEGIN
  SELECT 'SELECT md5(array_agg(q::text ORDER BY q::text)::text) FROM (SELECT id, ' || string_agg(format('score(k + %s)', i), ', ') || ' FROM few) q'
  INTO query FROM generate_series(1, 250) i;
  EXECUTE query INTO on_;
  SET LOCAL concresce.enable_batchscan = off;
  EXECUTE query INTO off_;
  RAISE WARNING '%', CASE WHEN on_ = off_ THEN 'the same' ELSE 'not the same' END;
END $$;

-- so is what would make rows of more columns than can be stored: by a window, by a cursor
\set ECHO none
SELECT 'CREATE TABLE wide AS SELECT g AS k, ' || string_agg(format('%s AS c%s', i, i), ', ') || ' FROM generate_series(1, 3) g'
FROM generate_series(1, 1500) i \gexec
SELECT string_agg(format('coalesce(score(k + %s), 0)', i), ' + ') AS calls FROM generate_series(1, 199) i \gset
SELECT string_agg('c' || i, ', ') AS columns FROM generate_series(1, 1500) i \gset
SELECT x FROM (SELECT :columns, sum(:calls) OVER (ORDER BY c1 ROWS 1 PRECEDING) AS x FROM wide OFFSET 0) q WHERE c1 = 1;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT :columns, :calls AS x FROM wide;
\set ECHO all
MOVE ALL FROM c;
MOVE BACKWARD ALL FROM c;
COMMIT;
DROP TABLE wide;

DROP FUNCTION statement, high_water, more_memory;
CALL clean_up();
