--
-- The batch node below a Parallel Hash: rows of several processes lie in one
-- hash table, and what one has not asked for is not the call of another.
--
\getenv srcdir PG_ABS_SRCDIR
\set play :srcdir '/lib/play.sql'
\set ECHO none
\i :play
\set ECHO all
\pset format unaligned
\pset tuples_only on

CREATE FUNCTION safe(key int) RETURNS int LANGUAGE concresce STABLE PARALLEL SAFE AS $$ SELECT split_part(gated(key), ',', 1)::int $$;
-- one row a page; the first page is unlike the others, but all keys are 6
CREATE TABLE pages (id int, k int, c int, filler text);
ALTER TABLE pages ALTER filler SET STORAGE PLAIN;
INSERT INTO pages SELECT i, (i = 0)::int, 6 - (i = 0)::int, repeat('x', 6000) FROM generate_series(0, 59) i;
CREATE TABLE probes (x int);
INSERT INTO probes VALUES (6);
CREATE TABLE ones (k int);
INSERT INTO ones VALUES (1);
ANALYZE pages, probes, ones;
ALTER TABLE pages SET (parallel_workers = 2);
ALTER TABLE probes SET (parallel_workers = 2);
ALTER TABLE ones SET (parallel_workers = 0);

-- What is compared with a sub-select's rows is not asked for before it was
-- needed: the first rows of both workers have cells that say so.
CREATE PROCEDURE hashed(query text) LANGUAGE plpgsql AS $$
DECLARE
  setting text; line text;
BEGIN
  FOREACH setting IN ARRAY '{parallel_leader_participation = off,parallel_setup_cost = 0,parallel_tuple_cost = 0,min_parallel_table_scan_size = 0,
                             enable_nestloop = off,enable_mergejoin = off,jit = off}'::text[] LOOP
    EXECUTE 'SET LOCAL ' || setting;
  END LOOP;
  SET LOCAL client_min_messages = notice;
  FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
    IF line ~ 'Parallel (Hash|Custom)|Workers' THEN
      RAISE NOTICE '%', line;
    END IF;
  END LOOP;
END $$;
SET concresce.server = far;
CALL hashed('SELECT p.id FROM probes o JOIN pages p ON o.x = (safe(p.k) IN (SELECT k FROM ones))::int + p.c');
CALL play('a: SET parallel_leader_participation = off', 'a: SET parallel_setup_cost = 0', 'a: SET parallel_tuple_cost = 0',
          'a: SET min_parallel_table_scan_size = 0', 'a: SET enable_nestloop = off', 'a: SET enable_mergejoin = off',
          'a: SET concresce.max_size = 5', 'close',
          'a> SELECT count(*) || '' rows, '' || sum(p.id) FROM probes o JOIN pages p ON o.x = (safe(p.k) IN (SELECT k FROM ones))::int + p.c',
          '2 in flight', 'open', 'a');

DROP TABLE pages, probes, ones;
DROP FUNCTION safe;
DROP PROCEDURE hashed;
CALL clean_up();
