-- For tests of the batch node: a far side, lookups, rows that drive them, and
-- shape(), which shows a query's plan and result and compares the result with
-- that of the plain calls.
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
CREATE SCHEMA far;
DO $$
BEGIN
  EXECUTE format('CREATE SERVER far FOREIGN DATA WRAPPER concresce '
                 'OPTIONS (host %L, port %L, dbname %L, options %L)',
                 split_part(current_setting('unix_socket_directories'), ',', 1),
                 current_setting('port'), current_database(), '-csearch_path=far');
  -- what later versions plan otherwise
  PERFORM set_config(name, 'off', false) FROM pg_settings
  WHERE name IN ('enable_presorted_aggregate', 'enable_group_by_reordering', 'enable_distinct_reordering',
                 'enable_self_join_elimination');
END $$;
CREATE USER MAPPING FOR CURRENT_USER SERVER far;
SET concresce.server = 'far';
SET max_parallel_workers_per_gather = 0;
SET jit = off;

-- ------------------------------------------------------------- the far side
-- There is no row for a multiple of 7.
CREATE TABLE far.scores (id int PRIMARY KEY, score int, label text);
INSERT INTO far.scores SELECT i, i * 10, 'no. ' || i FROM generate_series(1, 5000) i WHERE i % 7 <> 0;
ANALYZE far.scores;
CREATE TABLE far.asked (key int);
-- over a connection of its own, kept by the session, where it must not write
CREATE EXTENSION dblink SCHEMA far;
CREATE FUNCTION far.note(key int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  insertion text := format('INSERT INTO far.asked VALUES (%L)', key);
BEGIN
  IF current_setting('transaction_read_only') = 'on' THEN
    IF far.dblink_get_connections() IS NULL THEN
      PERFORM far.dblink_connect('notes', format('host=%s port=%s dbname=%s', split_part(current_setting('unix_socket_directories'), ',', 1),
                                                 current_setting('port'), current_database()));
    END IF;
    PERFORM far.dblink_exec('notes', insertion);
  ELSE
    EXECUTE insertion;
  END IF;
  RETURN key * 10;
END $$;

-- ----------------------------------------------------------------- lookups
CREATE FUNCTION score(key int) RETURNS int LANGUAGE concresce STABLE STRICT
AS 'SELECT s.score FROM scores s WHERE id = key';
CREATE FUNCTION label(key int) RETURNS text LANGUAGE concresce STABLE
AS 'SELECT id, label FROM scores WHERE id = ANY (collect(key))';
-- the next one, so that lookups can be made of lookups
CREATE FUNCTION after(key int) RETURNS int LANGUAGE concresce IMMUTABLE STRICT AS 'SELECT id + 1 FROM scores WHERE id = key';
CREATE FUNCTION known(key int) RETURNS bool LANGUAGE concresce STABLE AS 'SELECT EXISTS (SELECT FROM scores WHERE id = key)';
-- one row for a key that is 1 modulo 3, two for one that is 2
CREATE FUNCTION parts(key int) RETURNS SETOF text LANGUAGE concresce STABLE ROWS 2
AS $$ SELECT id || '/' || n FROM scores, generate_series(1, id % 3) n WHERE id = key ORDER BY n $$;
CREATE FUNCTION offers(key int) RETURNS TABLE (shop int, price int) LANGUAGE concresce STABLE ROWS 2
AS 'SELECT n, id * 100 + n FROM scores, generate_series(1, id % 3) n WHERE id = key ORDER BY n';
CREATE FUNCTION info(key int, OUT score int, OUT label text) LANGUAGE concresce STABLE
AS 'SELECT s.score, s.label FROM scores s WHERE id = info.key';
-- writes down what it is asked
CREATE FUNCTION noted(key int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT note(key)';
CREATE FUNCTION each_time(key int) RETURNS int LANGUAGE concresce VOLATILE AS 'SELECT note(key)';
-- cannot be asked for 13, and gives two rows for 12
CREATE FUNCTION picky(key int) RETURNS int LANGUAGE concresce STABLE
AS 'SELECT 1000 / (key - 13) FROM generate_series(0, (key = 12)::int)';

-- -------------------------------------------------------- what drives them
CREATE TABLE few (id int PRIMARY KEY, k int, grp int);
INSERT INTO few VALUES (1, 1, 1), (2, 2, 2), (3, 3, 0), (4, 2, 1), (5, NULL, 2), (6, 7, 0), (7, 4, 1), (8, 3, 2),
  (9, 1, 0), (10, 13, 1);
CREATE TABLE many (id int PRIMARY KEY, k int, grp int);
INSERT INTO many SELECT i, i, i % 10 FROM generate_series(1, 1500) i;
CREATE TABLE none (id int, k int, grp int);
ANALYZE few, many, none;

-- ------------------------------------------------------------------ shape()
-- The plan, without what differs between versions of PostgreSQL.  Sub-plans have
-- numbers until 18 and then names: here they are numbered as they appear.
CREATE FUNCTION plan_of(query text, options text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  line text; names text[] := '{}'; name text;
BEGIN
  FOR line IN EXECUTE format('EXPLAIN (COSTS OFF%s) %s', options, query) LOOP
    CONTINUE WHEN line ~ ('^ *(Sort Method|Index Searches|Heap Fetches|Storage|Window|Disabled|Buckets|Hits|Batches|Planning Time|'
                          'Execution Time|Query Identifier|Memory Usage|Planning:|Buffers|Memory:|Full-sort Groups|Pre-sorted Groups|'
                          'Replaces:|Index Cond: \(id IS NOT NULL\))');
    line := regexp_replace(line, '\(actual rows=(\d+)(\.00)? loops=1\)', '(rows=\1)');
    line := regexp_replace(line, '\(actual rows=[\d.]+ loops', '(loops');
    line := regexp_replace(line, 'Subquery Scan on ("\*SELECT\* \d+"|unnamed_subquery(_\d+)?)$', 'Subquery Scan on unnamed_subquery');
    line := regexp_replace(line, ' \(returns [$0-9,]+\)', '');
    line := regexp_replace(line, '\((ANY|ALL) \(.* [<>=]+ \((hashed )?SubPlan (\w+)\)\.col1\)\)', '(\2SubPlan \3)');
    line := regexp_replace(line, 'EXISTS\(SubPlan (\w+)\)', '(SubPlan \1)');
    line := regexp_replace(line, ' OVER (\(\?\)|w\d*)', ' OVER w', 'g');
    line := regexp_replace(line, '\$\d+|\(InitPlan \w+\)\.col\d+', '$n', 'g');
    FOR name IN SELECT m[1] FROM regexp_matches(line, '(?:SubPlan|InitPlan) (\w+)', 'g') m LOOP
      IF array_position(names, name) IS NULL THEN
        names := names || name;
      END IF;
      line := regexp_replace(line, '(SubPlan|InitPlan) ' || name || '\M', '\1 #' || array_position(names, name), 'g');
    END LOOP;
    line := replace(line, 'Plan #', 'Plan ');
    RETURN NEXT line;
  END LOOP;
END $$;

-- The rows, or those of a second query once the first was run, and the error
-- if it ends with one.  What is written is taken back.
CREATE FUNCTION outcome(query text, written text) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  r record; rows text[] := '{}'; message text; detail text; hint text; context text;
BEGIN
  IF written IS NULL THEN
    FOR r IN EXECUTE query LOOP
      rows := rows || r::text;
    END LOOP;
  ELSE
    EXECUTE query;
    FOR r IN EXECUTE written LOOP
      rows := rows || r::text;
    END LOOP;
  END IF;
  RAISE SQLSTATE 'CC000';
EXCEPTION
  WHEN SQLSTATE 'CC000' THEN
    RETURN rows;
  WHEN OTHERS OR query_canceled THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT,
      context = PG_EXCEPTION_CONTEXT;
    RETURN rows || concat_ws(E'\n', 'ERROR ' || sqlstate || ': ' || message, 'DETAIL ' || nullif(detail, ''),
                             'HINT ' || nullif(hint, ''),
                             'CONTEXT ' || nullif(regexp_replace(context, '\n?(SQL statement|PL/pgSQL function|COPY|Remote).*', ''), ''));
END $$;

-- The distinct keys that noted lookups were asked for since the last time.
CREATE FUNCTION asked() RETURNS int[] LANGUAGE plpgsql AS $$
DECLARE
  keys int[];
BEGIN
  SELECT coalesce(array_agg(DISTINCT key ORDER BY key), '{}') INTO keys FROM far.asked;
  DELETE FROM far.asked;
  RETURN keys;
END $$;

CREATE FUNCTION many_keys(keys int[]) RETURNS text LANGUAGE sql AS $$
  SELECT CASE WHEN cardinality(keys) > 12 THEN cardinality(keys) || ' keys' ELSE keys::text END
$$;

-- Without options, where plans differ too much between versions, only how many
-- batch nodes there are.
CREATE FUNCTION shape(query text, written text DEFAULT NULL, options text DEFAULT '', most int DEFAULT 20)
RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  with_node text[]; without text[]; ahead int[]; plainly int[]; lines text[]; line text;
BEGIN
  BEGIN
    IF options IS NOT NULL THEN
      lines := ARRAY(SELECT plan_of(query, options));
    ELSE
      lines := ARRAY(SELECT format('%s batch nodes', count(*)) FROM plan_of(query, '') l WHERE l ~ 'ConcresceBatch');
    END IF;
    RAISE SQLSTATE 'CC000';
  EXCEPTION WHEN SQLSTATE 'CC000' THEN NULL;
  END;
  FOREACH line IN ARRAY lines LOOP
    RETURN NEXT line;
  END LOOP;
  DELETE FROM far.asked;
  with_node := outcome(query, written);
  ahead := asked();
  PERFORM set_config('concresce.enable_batchscan', 'off', false);
  without := outcome(query, written);
  plainly := asked();
  IF EXISTS (SELECT FROM plan_of(query, '') AS l WHERE l ~ 'ConcresceBatch') THEN
    RETURN NEXT '!! a batch node though they are disabled';
  END IF;
  PERFORM set_config('concresce.enable_batchscan', 'on', false);

  IF cardinality(with_node) <= most THEN
    FOREACH line IN ARRAY with_node LOOP
      RETURN NEXT ' ' || line;
    END LOOP;
  END IF;
  IF with_node = without THEN
    RETURN NEXT format('-- %s rows, the same by plain calls', cardinality(with_node));
  ELSE
    RETURN NEXT format('!! %s rows, but by plain calls %s:', cardinality(with_node), cardinality(without));
    FOREACH line IN ARRAY without[1:40] LOOP
      RETURN NEXT '!! ' || line;
    END LOOP;
  END IF;
  IF ahead <> '{}' OR plainly <> '{}' THEN
    RETURN NEXT '-- asked ' || many_keys(ahead) || CASE WHEN ahead <> plainly THEN ', plainly ' || many_keys(plainly) ELSE '' END;
  END IF;
END $$;

-- Is everything over, and nothing left?
CREATE FUNCTION left_over() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1 .. 3000 LOOP
    PERFORM pg_stat_clear_snapshot();
    IF (SELECT used = 0 FROM concresce.memory()) AND NOT EXISTS (SELECT FROM concresce.in_flight) THEN
      RETURN 'nothing';
    END IF;
    PERFORM pg_sleep(0.01);
  END LOOP;
  RETURN (SELECT format('%s bytes, %s requests', used, (SELECT count(*) FROM concresce.in_flight)) FROM concresce.memory());
END $$;

CREATE PROCEDURE clean_up() LANGUAGE plpgsql AS $$
BEGIN
  DROP SERVER far CASCADE;
  DROP SCHEMA far CASCADE;
  DROP TABLE few, many, none;
  DROP FUNCTION plan_of, outcome, asked, many_keys, shape, left_over,
    score, label, after, known, parts, offers, info, noted, each_time, picky;
  DROP PROCEDURE clean_up;
END $$;
