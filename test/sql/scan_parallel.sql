--
-- The batch node in parallel plans: the lookup's own marking rules.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET min_parallel_index_scan_size = 0;
CREATE FUNCTION safe(key int) RETURNS int LANGUAGE concresce STABLE PARALLEL SAFE AS 'SELECT score FROM scores WHERE id = key';
CREATE FUNCTION restricted(key int) RETURNS int LANGUAGE concresce STABLE PARALLEL RESTRICTED AS 'SELECT score FROM scores WHERE id = key';
CREATE FUNCTION safe_parts(key int) RETURNS SETOF text LANGUAGE concresce STABLE PARALLEL SAFE ROWS 2
AS $$ SELECT id || '/' || n FROM scores, generate_series(1, id % 3) n WHERE id = key ORDER BY n $$;
-- it has to be said; what is not said is UNSAFE
SELECT proname, proparallel FROM pg_proc WHERE proname IN ('safe', 'restricted', 'score') ORDER BY 1;

-- the rows of workers come in any order, so they are summed up; and how many
-- workers there were is not for sure, only what they did together
CREATE FUNCTION counted(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  line text;
BEGIN
  FOR line IN EXECUTE format('EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) %s', query) LOOP
    IF line ~ 'Keys|Coalesced' THEN
      RETURN NEXT line;
    END IF;
  END LOOP;
END $$;
SELECT plan_of('SELECT id, safe(k) FROM many', '');
SELECT count(*), sum(id), sum(s) FROM (SELECT id, safe(k) AS s FROM many OFFSET 0) q;
SELECT counted('SELECT id, safe(k) FROM many');
SELECT plan_of('SELECT id FROM many WHERE safe(k) % 100 = 0', '');
SELECT count(*), sum(id) FROM (SELECT id FROM many WHERE safe(k) % 100 = 0 OFFSET 0) q;
SELECT plan_of('SELECT sum(safe(k)), count(*) FILTER (WHERE safe(id) > 300) FROM many', '');
SELECT sum(safe(k)), count(*) FILTER (WHERE safe(id) > 300) FROM many;
SELECT counted('SELECT sum(safe(k)) FROM many');
SELECT plan_of('SELECT grp, sum(safe(k)) FROM many GROUP BY grp ORDER BY grp', '');
SELECT grp, sum(safe(k)) FROM many GROUP BY grp ORDER BY grp;
SELECT plan_of('SELECT grp, max(safe(k)) + safe(grp) FROM many GROUP BY grp ORDER BY grp', '');
SELECT grp, max(safe(k)) + safe(grp) FROM many GROUP BY grp ORDER BY grp;
SELECT plan_of('SELECT id, safe(k) FROM many ORDER BY id + 0', '');
SELECT id, safe(k) FROM many ORDER BY id LIMIT 3;
SELECT plan_of('SELECT id, safe(k) FROM many ORDER BY safe(k) NULLS LAST, id LIMIT 3', '');
SELECT id, safe(k) FROM many ORDER BY safe(k) NULLS LAST, id LIMIT 3;
-- a limit bounds every worker
SELECT plan_of('SELECT safe(k) FROM many LIMIT 10', '');
SELECT count(*) FROM (SELECT safe(k) FROM many LIMIT 10) q;
SELECT concresce.reset_stats();
SELECT count(*) FROM (SELECT safe(k) AS s FROM many LIMIT 10) q WHERE s > -1 OR s IS NULL;
SELECT calls <= 30 FROM concresce.stats WHERE function = 'safe'::regproc;
-- lookups in FROM, joins
SELECT plan_of('SELECT count(p) FROM many LEFT JOIN safe_parts(k) p ON true', '');
SELECT count(p) FROM many LEFT JOIN safe_parts(k) p ON true;
SELECT plan_of('SELECT count(*), sum(n.id) FROM many m JOIN many n ON n.id = safe(m.k)', '');
SELECT count(*), sum(n.id) FROM many m JOIN many n ON n.id = safe(m.k);
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SELECT plan_of('SELECT count(*), sum(n.id) FROM many m JOIN many n ON n.id = safe(m.k)', '');
SELECT count(*), sum(n.id) FROM many m JOIN many n ON n.id = safe(m.k);
RESET enable_hashjoin;
RESET enable_mergejoin;
-- sub-selects in workers
SELECT plan_of('SELECT id FROM many m WHERE (SELECT safe(m.k) + count(*) FROM few f WHERE f.k = m.id) = 12', '');
SELECT id FROM many m WHERE (SELECT safe(m.k) + count(*) FROM few f WHERE f.k = m.id) = 12;
-- RESTRICTED ones in the leader
SELECT plan_of('SELECT id, restricted(k) FROM many WHERE grp = 1', '');
SELECT count(*), sum(r) FROM (SELECT id, restricted(k) AS r FROM many WHERE grp = 1 OFFSET 0) q;
SELECT plan_of('SELECT grp, sum(restricted(k)) FROM many GROUP BY grp', '');
SELECT plan_of('SELECT id, safe(k), restricted(k) FROM many', '');
SELECT count(*), sum(s + r) FROM (SELECT id, safe(k) AS s, restricted(k + 1) AS r FROM many OFFSET 0) q;
SELECT plan_of('SELECT id, restricted(k) FROM many ORDER BY grp, id DESC', '');
SELECT id, restricted(k) FROM many ORDER BY grp, id DESC LIMIT 3;
SELECT plan_of('SELECT id FROM many WHERE restricted(k) > 14900', '');
SELECT plan_of('SELECT m.id, p FROM many m, LATERAL (SELECT restricted(m.k) OFFSET 0) p', '');
SELECT plan_of('SELECT grp, restricted(max(id)) FROM many GROUP BY grp ORDER BY grp', '');
SELECT grp, restricted(max(id)) FROM many GROUP BY grp ORDER BY grp;
-- UNSAFE ones without workers
SELECT plan_of('SELECT id, score(k), safe(k) FROM many', '');
-- settings of the leader hold in workers, rights too
CREATE ROLE regress_ccr_parallel;
GRANT SELECT ON many TO regress_ccr_parallel;
REVOKE EXECUTE ON FUNCTION safe FROM PUBLIC;
SET ROLE regress_ccr_parallel;
SELECT sum(safe(k)) FROM many;
RESET ROLE;
SET concresce.max_size = 50;
SELECT concresce.reset_stats();
SELECT sum(safe(k)) FROM many;
SELECT calls, batches >= 30, batch_size_max <= 50 FROM concresce.stats WHERE function = 'safe'::regproc;
RESET concresce.max_size;
-- errors of workers
CREATE FUNCTION safe_picky(key int) RETURNS int LANGUAGE concresce STABLE PARALLEL SAFE AS 'SELECT 1000 / (key - 1313)';
SELECT plan_of('SELECT sum(safe_picky(k)) FROM many', '');
\set VERBOSITY terse
SELECT sum(safe_picky(k)) FROM many;
SELECT id FROM many WHERE safe(10 / (id - 1000)) = 1;
\set VERBOSITY default
SELECT sum(safe_picky(k)) FILTER (WHERE k <> 1313) FROM many;
-- arguments that fail for a row that SQL does not come to: by plain calls if it
-- may stop, in rounds if it will not
SELECT plan_of('SELECT id FROM (SELECT id, k FROM many ORDER BY k, grp OFFSET 0) q WHERE safe(100 / (id - 5)) IS DISTINCT FROM -1 LIMIT 1', '');
SELECT id FROM (SELECT id, k FROM many ORDER BY k, grp OFFSET 0) q WHERE safe(100 / (id - 5)) IS DISTINCT FROM -1 LIMIT 1;
SELECT id FROM (SELECT id, k FROM many ORDER BY k, grp OFFSET 0) q WHERE CASE WHEN 100 / (id - 5) > -1000 THEN safe(k) > 0 END LIMIT 1;
SELECT id FROM (SELECT id, k FROM many ORDER BY k, grp OFFSET 0) q WHERE safe(restricted(100 / (id - 5))) IS DISTINCT FROM -1 LIMIT 1;
-- nor one of a lookup that cannot be asked at all
CREATE FUNCTION nowhere(key int) RETURNS int LANGUAGE concresce STABLE PARALLEL SAFE SET concresce.server = 'nowhere' AS 'SELECT key';
SELECT plan_of('SELECT id FROM (SELECT id, k FROM many ORDER BY k, grp OFFSET 0) q WHERE CASE WHEN id > 5 THEN nowhere(k) END IS NULL LIMIT 1', '');
SELECT id FROM (SELECT id, k FROM many ORDER BY k, grp OFFSET 0) q WHERE CASE WHEN id > 5 THEN nowhere(k) END IS NULL LIMIT 1;
SELECT id FROM (SELECT id, k FROM many ORDER BY k, grp OFFSET 0) q WHERE CASE WHEN id > 5 THEN nowhere(k) END IS NOT NULL LIMIT 1;
-- after the first one they are asked for in rounds there, too
SELECT concresce.reset_stats();
SELECT id FROM (SELECT id, k FROM many ORDER BY k, grp OFFSET 0) q WHERE safe(k) > 3000 AND safe(restricted(k)) IS NULL LIMIT 2;
SELECT function, calls > 400, batches < 50 AS in_rounds FROM concresce.stats WHERE function IN ('safe'::regproc, 'restricted'::regproc) ORDER BY 1;
CREATE FUNCTION first_one() RETURNS int LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
  r record;
BEGIN
  FOR r IN SELECT id, safe(100 / (id - 15)) AS s FROM many ORDER BY id LOOP
    RETURN r.id;
  END LOOP;
END $$;
SELECT count(*), min(one), max(one) FROM (SELECT first_one() AS one FROM many WHERE id < 5 OFFSET 0) q;
SELECT count(DISTINCT one) FROM (SELECT first_one() AS one FROM many WHERE id < 20 OFFSET 0) q;
SELECT concresce.reset_stats();
SELECT count(*), sum(s) FROM (SELECT safe(k + 1) AS s FROM many OFFSET 0) q;
SELECT sum(safe(k * 2)) FROM many;
SELECT calls, batches < 300 AS in_rounds FROM concresce.stats WHERE function = 'safe'::regproc;
SELECT left_over();

DROP OWNED BY regress_ccr_parallel;
DROP ROLE regress_ccr_parallel;
DROP FUNCTION first_one, nowhere, counted, safe, restricted, safe_parts, safe_picky;
CALL clean_up();
