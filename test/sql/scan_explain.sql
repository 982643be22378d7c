--
-- EXPLAIN of batch nodes.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all

-- TEXT
EXPLAIN (COSTS OFF) SELECT id, score(k) FROM few WHERE known(k);
SELECT plan_of('SELECT id, score(k) FROM few WHERE known(k)', ', VERBOSE');
SELECT plan_of('SELECT id, score(k), label(after(k)) FROM few', ', ANALYZE, TIMING OFF, SUMMARY OFF');
-- with the time that servers took
CREATE FUNCTION with_times(query text, format text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  line text;
BEGIN
  FOR line IN EXECUTE format('EXPLAIN (COSTS OFF, ANALYZE, SUMMARY OFF, FORMAT %s) %s', format, query) LOOP
    RETURN NEXT line;
  END LOOP;
END $$;
SELECT regexp_replace(l, '\d+\.\d+', 'N.N', 'g') FROM with_times('SELECT id, score(k), label(k) FROM few', 'TEXT') l
WHERE l ~ 'Lookup|Server|Keys|Coalesced|Remote|Rounds';
-- as data
CREATE FUNCTION as_json(query text, options text) RETURNS SETOF jsonb LANGUAGE plpgsql AS $$
DECLARE
  found json;
BEGIN
  EXECUTE format('EXPLAIN (COSTS OFF, FORMAT JSON%s) %s', options, query) INTO found;
  RETURN QUERY SELECT jsonb_path_query(found::jsonb, '$.** ? (@."Custom Plan Provider" == "ConcresceBatch")');
END $$;
SELECT jsonb_pretty(j - 'Plans' - 'Disabled') FROM as_json('SELECT id, score(k), label(k) FROM few', '') j;
SELECT j -> 'Rounds', jsonb_path_query_array(j, '$.Lookups[*].Lookup'), jsonb_path_query_array(j, '$.Lookups[*].Keys'),
  jsonb_path_query_array(j, '$.Lookups[*].Coalesced'), jsonb_path_exists(j, '$.Lookups[*]."Remote Time" ? (@ > 0)')
FROM as_json('SELECT id, score(k), label(k) FROM few', ', ANALYZE, SUMMARY OFF') j;
SELECT j #> '{Lookups,0,Keys}', j -> 'Output', j #>> '{Lookups,0,Remote SQL}' = concresce.remote_sql('score')
FROM as_json('SELECT id, score(k) FROM few', ', VERBOSE, ANALYZE, TIMING OFF, SUMMARY OFF') j;
SELECT count(*) FROM as_json('SELECT id, score(k) FROM few', '') j;
SELECT l FROM with_times('SELECT id, score(k) FROM few', 'XML') x, regexp_split_to_table(x, E'\n *') l
WHERE l ~ '<(Lookup|Lookups|Server|Keys|Coalesced|Rounds)>|^<Lookup-|Provider';
SELECT l FROM with_times('SELECT id, score(k) FROM few', 'YAML') x, regexp_split_to_table(x, E'\n') l
WHERE l ~ 'Lookup|Server|Keys|Coalesced|Rounds|Provider';
-- the server is that of the call; a lookup's own one; none
CREATE FUNCTION elsewhere(key int) RETURNS int LANGUAGE concresce STABLE SET concresce.server = 'other' AS 'SELECT key';
EXPLAIN (COSTS OFF) SELECT elsewhere(id), score(id) FROM few;
RESET concresce.server;
EXPLAIN (COSTS OFF) SELECT score(id) FROM few;
SET concresce.server = 'far';
-- nothing is looked up by EXPLAIN alone, and nothing without rows
SELECT concresce.reset_stats();
EXPLAIN (COSTS OFF) SELECT score(id), noted(id) FROM few;
SELECT plan_of('SELECT score(id) FROM few WHERE id > 100', ', ANALYZE, TIMING OFF, SUMMARY OFF');
SELECT count(*) FROM concresce.stats WHERE function = 'score'::regproc AND calls > 0;
-- loops are added up
SELECT plan_of('SELECT f.id, (SELECT sum(score(m.k)) FROM many m WHERE m.id < f.id) FROM few f', ', ANALYZE, TIMING OFF, SUMMARY OFF');
SELECT plan_of('SELECT f.id FROM few f WHERE id > 100 AND EXISTS (SELECT FROM many m WHERE score(m.k) = f.id)', ', ANALYZE, TIMING OFF, SUMMARY OFF');
-- qualified names, quoted names, types
CREATE SCHEMA "Odd";
CREATE FUNCTION "Odd"."A b"("Key" int, t text) RETURNS int LANGUAGE concresce STABLE AS 'SELECT $1';
EXPLAIN (COSTS OFF) SELECT "Odd"."A b"(k, 'x') FROM few;
SELECT plan_of('SELECT "Odd"."A b"(f.k, g.id::text) FROM few f JOIN few g ON f.id = g.id', ', VERBOSE');
-- costs: those of the calls stay with the plan
CREATE FUNCTION root_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  j json;
BEGIN
  EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO j;
  RETURN concat_ws(' ', j #>> '{0,Plan,Total Cost}', j #>> '{0,Plan,Plan Rows}', j #>> '{0,Plan,Plan Width}');
END $$;
SELECT root_of('SELECT id, score(k) FROM few') AS cost \gset
SET concresce.enable_batchscan = off;
SELECT root_of('SELECT id, score(k) FROM few') = :'cost';
RESET concresce.enable_batchscan;

DROP SCHEMA "Odd" CASCADE;
DROP FUNCTION elsewhere, with_times, as_json, root_of;
CALL clean_up();
