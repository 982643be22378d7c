--
-- The batch node: what is volatile is evaluated when, and as often as, SQL
-- would.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all

CREATE SEQUENCE s;
CREATE TABLE seen (n int GENERATED ALWAYS AS IDENTITY, what int);
CREATE FUNCTION see(i int) RETURNS int LANGUAGE plpgsql VOLATILE COST 1 AS $$
BEGIN
  INSERT INTO seen (what) VALUES (i);
  RETURN i;
END $$;
CREATE FUNCTION serve(n int) RETURNS SETOF int LANGUAGE plpgsql VOLATILE ROWS 10 AS $$
BEGIN
  FOR i IN 1 .. n LOOP
    RETURN NEXT see(i);
  END LOOP;
END $$;

-- The rows of a query, its batch nodes, the numbers that it took, and what was
-- seen in which order; the same by plain calls.
CREATE FUNCTION effects(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  mode text; seen_by text[] := '{}'; line text; result text;
BEGIN
  RETURN NEXT (SELECT format('%s batch nodes', count(*)) FROM plan_of(query, '') l WHERE l ~ 'ConcresceBatch');
  FOREACH mode IN ARRAY '{on,off}'::text[] LOOP
    PERFORM set_config('concresce.enable_batchscan', mode, false);
    PERFORM setval('s', 1, false);
    PERFORM asked();
    TRUNCATE seen;
    result := array_to_string(outcome(query, NULL), ' ');
    -- what outcome() takes back, it has not seen
    seen_by := seen_by || (result || ' | taken ' || (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM s));
  END LOOP;
  PERFORM set_config('concresce.enable_batchscan', 'on', false);
  RETURN NEXT seen_by[1];
  RETURN NEXT CASE WHEN seen_by[1] = seen_by[2] THEN '-- the same by plain calls' ELSE '!! by plain calls ' || seen_by[2] END;
END $$;

-- in the list beside a lookup
SELECT effects('SELECT id, nextval(''s'') AS n, score(k) FROM few');
SELECT effects('SELECT id, nextval(''s'') AS n, score(k) FROM few LIMIT 3');
SELECT effects('SELECT id, nextval(''s'') AS n, score(k), row_number() OVER (ORDER BY id) FROM few');
SELECT effects('SELECT nextval(''s'') AS n, * FROM (SELECT id, score(k), row_number() OVER (ORDER BY id) AS r FROM few) q WHERE r < 4');
SELECT effects('SELECT id, r, nextval(''s'') AS n, x FROM (SELECT id, row_number() OVER (ORDER BY id) AS r, nextval(''s'') AS n, score(k) AS x FROM few) q WHERE r < 3');
SELECT effects('SELECT id, r, t, c FROM (SELECT id, lag(id) OVER (ORDER BY grp) AS c, nextval(''s'') AS n, score(k) AS t, rank() OVER (ORDER BY id) AS r FROM few) q WHERE r < 4 ORDER BY id');
SELECT effects('SELECT id, nextval(''s'') + count(*) OVER () AS n, score(k) FROM few');
SELECT effects('SELECT grp, nextval(''s'') AS n, sum(score(k)) FROM few GROUP BY grp ORDER BY grp');
SELECT effects('SELECT grp, nextval(''s'') AS n, score(grp) FROM few GROUP BY grp ORDER BY grp');
SELECT effects('SELECT DISTINCT ON (id) id, nextval(''s'') AS n, score(k) FROM few ORDER BY id');
SELECT effects('SELECT id, nextval(''s'') AS n, generate_series(1, 2), score(k) FROM few WHERE id < 4');
SELECT effects('SELECT id, nextval(''s'') AS n, parts(k) FROM few WHERE id < 4');
SELECT effects('SELECT f.id, g.id, nextval(''s'') AS n, score(f.k + g.k) FROM few f JOIN few g ON g.id = f.k');
SELECT effects('SELECT id, nextval(''s'') AS n, score(k) FROM few WHERE id < 3 UNION ALL SELECT id, nextval(''s''), score(k) FROM few WHERE id > 8');
SELECT effects('SELECT q.id, score(q.k), (SELECT nextval(''s'') WHERE q.id > 0) AS n FROM few q');
SELECT effects('SELECT id, CASE WHEN score(k) > 10 THEN nextval(''s'') END AS n FROM few');
-- below a batch node
SELECT effects('SELECT id FROM few WHERE nextval(''s'') > 0 AND score(k) > 0 LIMIT 1');
SELECT effects('SELECT id, score(k) FROM few WHERE nextval(''s'') % 2 = 0 LIMIT 2');
SELECT effects('SELECT q.n, score(q.k) FROM (SELECT nextval(''s'') AS n, k FROM few OFFSET 0) q LIMIT 2');
SELECT effects('SELECT q.n, x FROM (SELECT nextval(''s'') AS n, k FROM few OFFSET 0) q, score(q.k) x LIMIT 2');
SELECT effects('WITH q AS MATERIALIZED (SELECT nextval(''s'') AS n, k FROM few) SELECT n, score(k) FROM q LIMIT 2');
SELECT effects('SELECT * FROM (SELECT (SELECT nextval(''s'') WHERE f.id > 0) AS n, k FROM few f OFFSET 0) q WHERE score(k) > 0 LIMIT 1');
SELECT effects('SELECT id, score(k) FROM few WHERE id < 5 OR id = (SELECT nextval(''s'')) LIMIT 2');
SELECT effects('SELECT v, score(k) FROM (VALUES (nextval(''s''), 1), (nextval(''s''), 2), (nextval(''s''), 3)) t(v, k) LIMIT 1');
SELECT effects('SELECT id, n, score(k) FROM few, LATERAL (SELECT nextval(''s'') AS n WHERE few.id > 0 OFFSET 0) q LIMIT 2');
SELECT effects('SELECT id, n, score(id) FROM (SELECT id, generate_series(1, 2), nextval(''s'') AS n FROM few) q LIMIT 3');
SELECT effects('SELECT id, n, score(k) FROM (SELECT 0 AS id, 1::bigint AS n, 1 AS k UNION ALL SELECT id, nextval(''s''), k FROM few) q LIMIT 2');
SELECT effects('SELECT EXISTS (SELECT FROM few WHERE nextval(''s'') > 0 AND score(k) > 0)');
SELECT effects('SELECT id FROM (SELECT id, k FROM few WHERE score(k) > nextval(''s'') OFFSET 0) q WHERE label(k) <> ''x'' LIMIT 2');
-- one that fails, so that the rest is not wanted
SELECT effects('SELECT q.n, picky(q.k + 10) FROM (SELECT nextval(''s'') AS n, k FROM few WHERE id < 9 OFFSET 0) q');
SELECT effects('SELECT sum(picky(q.k + 10)) FROM (SELECT nextval(''s'') AS n, k FROM few WHERE id < 9 OFFSET 0) q WHERE n > 0');
-- random() and functions that say nothing of themselves are volatile, too
SELECT effects('SELECT id, score(k) FROM few WHERE random() < 2 LIMIT 2');
-- volatile, but at work before the first row: a sort, an aggregate, a function
SELECT effects('SELECT q.n, score(q.k) FROM (SELECT nextval(''s'') AS n, k FROM few ORDER BY id DESC LIMIT 3) q');
SELECT effects('SELECT q.n, score(q.k) FROM (SELECT nextval(''s'') AS n, k FROM few OFFSET 0) q ORDER BY q.k, q.n LIMIT 2');
SELECT effects('SELECT score(n), n FROM (SELECT count(x)::int AS n FROM (SELECT nextval(''s'') AS x, grp FROM few OFFSET 0) r) q');
SELECT effects('SELECT i, score(i) FROM serve(5) i LIMIT 2');
SELECT effects('SELECT i, score(i + id) FROM few, serve(3) i LIMIT 4');
SELECT effects('SELECT id, i, score(i) FROM few, serve(few.id) i LIMIT 4');
SELECT effects('SELECT id, score(k) FROM few WHERE k IN (SELECT see(x) FROM generate_series(1, 3) x) ORDER BY id');
-- what is not volatile is read ahead as ever
CREATE FUNCTION steady(i int) RETURNS int LANGUAGE plpgsql STABLE COST 1 AS 'BEGIN RETURN i; END';
SELECT effects('SELECT id, score(k) FROM few WHERE now() > ''2000-01-01'' AND steady(id) > 2 AND current_user <> ''x''');

-- hidden in the check of a domain, and in an aggregate
CREATE DOMAIN counted AS int CHECK (VALUE IS NULL OR nextval('s') > 0);
CREATE DOMAIN counted_too AS counted;
CREATE FUNCTION see_and_add(int, int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT $1 + $2 + 0 * nextval(''s'')::int';
CREATE AGGREGATE seen_sum (int) (sfunc = see_and_add, stype = int, initcond = 0);
SELECT effects('SELECT id, c, score(id) FROM (SELECT id, k::counted AS c FROM few OFFSET 0) q LIMIT 3');
SELECT effects('SELECT id, k::counted_too AS c, score(k) FROM few LIMIT 3');
SELECT effects('SELECT id, score(k::counted) FROM few LIMIT 3');
SELECT effects('SELECT id, score(id) FROM few WHERE k::counted < 4 LIMIT 2');
SELECT effects('SELECT id, CASE WHEN k::counted_too > 1 THEN score(id) END FROM few LIMIT 3');
SELECT effects('SELECT id, x, score(id) FROM (SELECT id, seen_sum(id) OVER (ORDER BY id) AS x FROM few OFFSET 0) q LIMIT 3');
SELECT effects('SELECT id, seen_sum(id) OVER (ORDER BY id), score(k) FROM few LIMIT 3');
SELECT effects('SELECT id, (SELECT seen_sum(g) FROM generate_series(1, q.id) g) AS x, score(k) FROM few q LIMIT 3');
-- in what a value is made of: a composite, an array, a range, from text and from JSON
CREATE TYPE holds_counted AS (a counted);
CREATE TYPE counted_range AS RANGE (subtype = counted);
SELECT effects('SELECT id, c, score(id) FROM (SELECT id, format(''(%s)'', id)::holds_counted AS c FROM few OFFSET 0) q WHERE score(id) > 0 LIMIT 2');
SELECT effects('SELECT id, c, score(id) FROM (SELECT id, format(''{%s}'', id)::counted_too[] AS c FROM few OFFSET 0) q WHERE score(id) > 0 LIMIT 2');
SELECT effects('SELECT id, c, score(id) FROM (SELECT id, format(''[%s,]'', id)::counted_range AS c FROM few OFFSET 0) q WHERE score(id) > 0 LIMIT 2');
SELECT effects('SELECT id, c, score(id) FROM (SELECT id, jsonb_populate_record(NULL::holds_counted, jsonb_build_object(''a'', id)) AS c FROM few OFFSET 0) q WHERE score(id) > 0 LIMIT 2');
SELECT effects('SELECT id, score((format(''(%s)'', id)::holds_counted).a) FROM few LIMIT 2');
SELECT effects('SELECT id, score(r.a) FROM few, json_to_record(json_build_object(''a'', id)) AS r(a counted) WHERE score(id) > 0 LIMIT 2');
-- in a cast to JSON, which functions that make JSON of any value use
CREATE TYPE mood AS ENUM ('1', '2', '3');
CREATE FUNCTION mood_to_json(mood) RETURNS json LANGUAGE sql VOLATILE AS 'SELECT to_json(nextval(''s''))';
CREATE CAST (mood AS json) WITH FUNCTION mood_to_json(mood);
SELECT effects('SELECT id, j, score(id) FROM (SELECT id, to_jsonb((id % 3 + 1)::text::mood) AS j FROM few OFFSET 0) q WHERE score(id) > 0 LIMIT 2');
SELECT effects('SELECT id, j, score(id) FROM (SELECT id, row_to_json(ROW(ARRAY[(id % 3 + 1)::text::mood])) AS j FROM few OFFSET 0) q WHERE score(id) > 0 LIMIT 2');
SELECT effects('SELECT id, j, score(id) FROM (SELECT id, (SELECT json_agg(m) FROM unnest(enum_range(NULL::mood)) m WHERE few.id > 0) AS j FROM few OFFSET 0) q WHERE score(id) > 0 LIMIT 2');
-- in the columns of a table that is made of XML, or comes from elsewhere
SELECT effects('SELECT id, x.a, score(x.a) FROM few, xmltable(''/r/v'' PASSING (xmlelement(NAME r, xmlelement(NAME v, id))) COLUMNS a counted PATH ''.'') x WHERE score(x.a + few.id) > 0 LIMIT 2');
CREATE EXTENSION postgres_fdw;
DO $$
BEGIN
  EXECUTE format('CREATE SERVER there FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host %L, port %L, dbname %L, fetch_size ''1'')',
                 split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_database());
END $$;
CREATE USER MAPPING FOR CURRENT_USER SERVER there;
CREATE FOREIGN TABLE few_there (id int, k counted) SERVER there OPTIONS (table_name 'few');
SELECT effects('SELECT id, k, score(id) FROM few_there WHERE score(id) > 0 LIMIT 2');
DROP SERVER there CASCADE;
DROP EXTENSION postgres_fdw;
-- in what a lookup returns, for each time that SQL would call it
CREATE FUNCTION counted_score(key int) RETURNS counted LANGUAGE concresce STABLE AS 'SELECT s.score FROM scores s WHERE id = key';
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SELECT effects('SELECT f.id, g.id FROM few f LEFT JOIN few g ON g.id < 4 AND counted_score(f.k) > g.id * 10 WHERE f.id < 4');
RESET enable_hashjoin;
RESET enable_mergejoin;
DROP FUNCTION counted_score;
-- in an init plan: it is run where SQL comes to it, behind what SQL evaluates before
SELECT effects('SELECT nextval(''s'') AS n, score((SELECT nextval(''s'')::int) + k) FROM few WHERE id < 4');
SELECT effects('SELECT score((SELECT nextval(''s'')::int) + k), nextval(''s'') AS n FROM few WHERE id < 4');
SELECT effects('SELECT sum(nextval(''s'') * score((SELECT nextval(''s'')::int) + k)) AS n FROM few WHERE id < 4');
SELECT effects('SELECT f.id, nextval(''s'') AS n, x FROM few f, LATERAL score((SELECT nextval(''s'')::int) + f.k) x WHERE f.id < 4');
SELECT effects('SELECT (''x'' || id)::int, score((SELECT 1 / (count(*) - 3)::int FROM few WHERE id < 4) + k) FROM few');
SELECT effects('SELECT picky(k + 12), score((SELECT 1 / (count(*) - 3)::int FROM few WHERE id < 4) + k) FROM few');
SELECT effects('SELECT score((SELECT (''x'' || count(*))::int FROM few) + k), score((SELECT 1 / (count(*) - 10)::int FROM few) + k) FROM few');
SELECT effects('SELECT score(k + (SELECT max(id) FROM few)), score((SELECT 1 / (count(*) - 10)::int FROM few) + k) FROM few');
-- in what becomes volatile once a plan is made that is kept
CREATE FUNCTION add_quietly(int, int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 + $2; END';
CREATE AGGREGATE quiet_sum (int) (sfunc = add_quietly, stype = int, initcond = 0);
CREATE DOMAIN quiet AS int CHECK (VALUE < 1000);
CREATE TYPE quiet_pair AS (a quiet);
CREATE OR REPLACE FUNCTION mood_to_json(mood) RETURNS json LANGUAGE sql IMMUTABLE AS 'SELECT ''5''::json';
CREATE PROCEDURE run_kept() LANGUAGE plpgsql AS $$
DECLARE
  name text; r record;
BEGIN
  FOREACH name IN ARRAY '{by_aggregate,by_domain,by_column,by_cast}'::text[] LOOP
    PERFORM setval('s', 1, false);
    FOR r IN EXECUTE 'EXECUTE ' || name LOOP
      CONTINUE;
    END LOOP;
    RAISE WARNING '% %', name, (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM s);
  END LOOP;
END $$;
SET plan_cache_mode = force_generic_plan;
PREPARE by_aggregate AS SELECT id, c, score(id) FROM (SELECT id, (SELECT quiet_sum(g) FROM generate_series(1, few.id) g) AS c FROM few OFFSET 0) q WHERE score(id) > 0 LIMIT 2;
PREPARE by_domain AS SELECT id, c, score(id) FROM (SELECT id, k::quiet AS c FROM few OFFSET 0) q WHERE score(id) > 0 LIMIT 2;
PREPARE by_column AS SELECT id, c, score(id) FROM (SELECT id, format('(%s)', k)::quiet_pair AS c FROM few OFFSET 0) q WHERE score(id) > 0 LIMIT 2;
PREPARE by_cast AS SELECT id, c, score(id) FROM (SELECT id, to_json((id % 3 + 1)::text::mood) AS c FROM few OFFSET 0) q WHERE score(id) > 0 LIMIT 2;
CALL run_kept();
CREATE OR REPLACE FUNCTION add_quietly(int, int) RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN PERFORM nextval(''s''); RETURN $1 + $2; END';
ALTER DOMAIN quiet ADD CHECK (VALUE IS NULL OR nextval('s') > 0);
CREATE OR REPLACE FUNCTION mood_to_json(mood) RETURNS json LANGUAGE sql VOLATILE AS 'SELECT to_json(nextval(''s''))';
CALL run_kept();
ALTER TYPE quiet_pair DROP ATTRIBUTE a;
ALTER TYPE quiet_pair ADD ATTRIBUTE b int;
CALL run_kept();
ALTER TYPE quiet_pair DROP ATTRIBUTE b;
ALTER TYPE quiet_pair ADD ATTRIBUTE c quiet;
CALL run_kept();
DEALLOCATE ALL;
RESET plan_cache_mode;
DROP PROCEDURE run_kept;
DROP CAST (mood AS json);
DROP FUNCTION mood_to_json;
DROP TYPE mood, quiet_pair;
DROP DOMAIN quiet;
DROP AGGREGATE quiet_sum (int);
DROP FUNCTION add_quietly;
-- in what tells whether something was written
CREATE FUNCTION write(i int) RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN PERFORM pg_current_xact_id(); RETURN i; END';
SELECT id, x, write(id), score(k) FROM (SELECT id, k, pg_current_xact_id_if_assigned() IS NULL AS x FROM few OFFSET 0) q WHERE id < 4;
SELECT id, write(id), score(CASE WHEN txid_current_if_assigned() IS NULL THEN 1 ELSE 2 END) FROM few WHERE id < 4;
DROP FUNCTION write;
-- in a sequence that is read as a table
SET enable_material = off;
SELECT effects('SELECT id, nextval(''s'') AS n, q.last_value, score(k) FROM few LEFT JOIN s q ON q.last_value > few.id - 100');
SELECT effects('SELECT nextval(''s'') AS n, x, score(x::int + 1) FROM (SELECT id AS x FROM few WHERE id < 3 UNION ALL SELECT last_value FROM s OFFSET 0) q');
RESET enable_material;
-- in a setting that the statement itself changes
SELECT effects('SELECT id, x, score(k), set_config(''my.x'', id::text, true) FROM (SELECT id, k, nullif(current_setting(''my.x'', true), '''') AS x FROM few OFFSET 0) q');
SELECT effects('SELECT id, set_config(''my.x'', id::text, true), score(coalesce(nullif(current_setting(''my.x'', true), ''''), ''3'')::int) FROM few WHERE id < 4');
SELECT effects('SELECT id, x, score(k), set_config(''timezone'', CASE WHEN id % 2 = 0 THEN ''UTC'' ELSE ''Asia/Tokyo'' END, true) FROM (SELECT id, k, ''2020-01-01 00:00Z''::timestamptz::text AS x FROM few OFFSET 0) q');
-- remembered by the planner, but for what a batch node has handed on
SELECT effects('SELECT count(*), sum(x) FROM many f, LATERAL serve(known(f.grp)::int + 0 * nextval(''s'')::int) AS l(x)');
SELECT effects('SELECT count(*), sum(x) FROM many f, LATERAL (SELECT score(f.grp) FROM few g WHERE nextval(''s'') > g.id AND g.grp = f.grp OFFSET 0) AS l(x)');

-- in the order of events: functions above and below
BEGIN;
SELECT id, see(id), score(k) FROM few WHERE id < 5;
SELECT what FROM seen ORDER BY n;
ROLLBACK;
BEGIN;
SELECT id, see(-id) FROM (SELECT id, k, see(id) AS x FROM few OFFSET 0) q WHERE score(k) < 100 AND x < 4;
SELECT what FROM seen ORDER BY n;
ROLLBACK;
-- advisory locks
BEGIN;
SELECT id FROM few WHERE pg_try_advisory_xact_lock(id) AND score(k) > 0 LIMIT 1;
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
ROLLBACK;

-- WITH queries that write: read ahead if nobody can tell
CREATE TABLE written (id int, k int);
CREATE TABLE copied (id int, s int);
SELECT effects('WITH w AS (INSERT INTO written SELECT id, k FROM few RETURNING id, k) SELECT id, score(k) FROM w');
SELECT effects('WITH w AS (DELETE FROM few WHERE id < 4 RETURNING id, k), c AS (INSERT INTO copied SELECT id, score(k) FROM w RETURNING *) SELECT * FROM c');
SELECT effects('WITH w AS (INSERT INTO written SELECT nextval(''s''), k FROM few RETURNING id, k) SELECT id, score(k) FROM w');
SELECT effects('WITH w AS (INSERT INTO written SELECT id, k FROM few RETURNING id, k), c AS (INSERT INTO written SELECT -id, score(k) FROM w RETURNING id) SELECT * FROM c');
BEGIN;
WITH w AS (INSERT INTO written SELECT id, k FROM few WHERE id < 4 RETURNING id, k) INSERT INTO written SELECT -id, score(k) FROM w;
SELECT * FROM written ORDER BY ctid;
ROLLBACK;
-- a VOLATILE function could
CREATE FUNCTION so_far() RETURNS bigint LANGUAGE sql VOLATILE AS 'SELECT count(*) FROM written';
SELECT effects('WITH w AS (INSERT INTO written SELECT id, k FROM few RETURNING id, k) SELECT id, score(k), so_far() FROM w');
SELECT effects('WITH w AS (INSERT INTO written SELECT id, k FROM few RETURNING id, k) SELECT id FROM w WHERE score(k) + so_far() > 21');
CREATE FUNCTION see_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM see(new.id); RETURN new; END';
CREATE TRIGGER see_row BEFORE INSERT ON written FOR EACH ROW EXECUTE FUNCTION see_row();
BEGIN;
WITH w AS (INSERT INTO written SELECT id, k FROM few WHERE id < 4 RETURNING id, k) SELECT id, score(k), see(-id) FROM w;
SELECT what FROM seen ORDER BY n;
ROLLBACK;

DROP TABLE written, copied, seen;
DROP AGGREGATE seen_sum(int);
DROP TYPE holds_counted, counted_range;
DROP DOMAIN counted_too, counted;
DROP SEQUENCE s;
DROP FUNCTION see_and_add, so_far, see_row, see, serve, effects, steady;
CALL clean_up();
