--
-- Rows that are kept back by lookups, from sessions that may set what they like.
--
-- A table of tables: who calls, what keeps the rows back, how it asks the lookup,
-- what the session has set, and through which path its own calls come.  Each cell
-- counts what was let through.  A new setting, path, ... is a new line.
--
SET client_min_messages = warning;
CREATE ROLE regress_ccr_owner;
CREATE ROLE regress_ccr_thief LOGIN;
CREATE EXTENSION dblink;
SELECT current_user AS me \gset

-- what is right, and what the thief would like to be asked instead
CREATE SCHEMA app;
CREATE SCHEMA evil AUTHORIZATION regress_ccr_thief;
GRANT USAGE ON SCHEMA app, evil TO PUBLIC;
CREATE TABLE app.allowed (id int);
INSERT INTO app.allowed VALUES (1);
CREATE TABLE evil.allowed AS SELECT generate_series(1, 9) AS id;
GRANT SELECT ON app.allowed, evil.allowed TO PUBLIC;
CREATE PROCEDURE make_server(name text, path text) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE SERVER %I FOREIGN DATA WRAPPER concresce '
                 'OPTIONS (host %L, port %L, dbname %L, options %L)', name,
                 split_part(current_setting('unix_socket_directories'), ',', 1),
                 current_setting('port'), current_database(), '-csearch_path=' || path);
  EXECUTE format('CREATE USER MAPPING FOR PUBLIC SERVER %I OPTIONS (user %L, password_required ''false'')',
                 name, current_user);
  EXECUTE format('GRANT USAGE ON FOREIGN SERVER %I TO PUBLIC', name);
END $$;
CALL make_server('good', 'app');
CALL make_server('bad', 'evil');

-- the same question, asked of lookups that say more or less of themselves
CREATE FUNCTION app.near(id int) RETURNS bool LANGUAGE concresce STABLE
SET concresce.server = '' SET search_path = app AS 'SELECT EXISTS (SELECT FROM allowed a WHERE a.id = near.id)';
CREATE FUNCTION app.far(id int) RETURNS bool LANGUAGE concresce STABLE
SET concresce.server = 'good' AS 'SELECT EXISTS (SELECT FROM allowed a WHERE a.id = far.id)';
CREATE FUNCTION app.definer(id int) RETURNS bool LANGUAGE concresce STABLE SECURITY DEFINER
SET concresce.server = '' SET search_path = app AS 'SELECT EXISTS (SELECT FROM allowed a WHERE a.id = definer.id)';
CREATE FUNCTION app.seen(id int) RETURNS bool LANGUAGE concresce STABLE
SET concresce.server = 'good' AS 'SELECT true FROM allowed a WHERE a.id = seen.id';
CREATE FUNCTION app.open(id int) RETURNS bool LANGUAGE concresce STABLE
AS 'SELECT EXISTS (SELECT FROM allowed a WHERE a.id = open.id)';
CREATE FUNCTION app.no_path(id int) RETURNS bool LANGUAGE concresce STABLE
SET concresce.server = '' AS 'SELECT EXISTS (SELECT FROM allowed a WHERE a.id = no_path.id)';
-- and how functions ask the open one
CREATE FUNCTION app.in_line(id int) RETURNS bool LANGUAGE sql STABLE AS 'SELECT app.open(id)';
CREATE FUNCTION app.in_rows(id int) RETURNS SETOF bool LANGUAGE sql STABLE AS 'SELECT true WHERE app.open(id)';
CREATE FUNCTION app.in_sql(id int) RETURNS bool LANGUAGE sql STABLE SET work_mem = '4MB' AS 'SELECT app.open(id)';
CREATE FUNCTION app.in_plpgsql(id int) RETURNS bool LANGUAGE plpgsql STABLE AS 'BEGIN RETURN app.open(id); END';
CREATE FUNCTION app.in_query(id int) RETURNS bool LANGUAGE plpgsql STABLE
AS 'DECLARE r bool; BEGIN SELECT app.open(i) INTO r FROM unnest(ARRAY[id]) i; RETURN r; END';
CREATE FUNCTION app.in_do(id int) RETURNS bool LANGUAGE plpgsql
AS $$ BEGIN EXECUTE format('DO ''BEGIN PERFORM set_config(''''ccr_test.r'''', app.open(%s)::text, true); END''', id);
      RETURN current_setting('ccr_test.r')::bool; END $$;
CREATE FUNCTION app.path_in_plpgsql(id int) RETURNS bool LANGUAGE plpgsql STABLE AS 'BEGIN RETURN app.no_path(id); END';
CREATE FUNCTION app.pinned_in_plpgsql(id int) RETURNS bool LANGUAGE plpgsql STABLE AS 'BEGIN RETURN app.near(id); END';
CREATE OPERATOR app.@? (RIGHTARG = int, FUNCTION = app.open);
CREATE OPERATOR app.@! (RIGHTARG = int, FUNCTION = app.far);
CREATE OPERATOR app.@@ (RIGHTARG = int, FUNCTION = app.in_plpgsql);
CREATE FUNCTION app.either(a bool, id int) RETURNS bool LANGUAGE sql STABLE AS 'SELECT a OR app.open(id)';
CREATE FUNCTION app.with_open(a bool, id int) RETURNS bool LANGUAGE concresce STABLE
AS 'SELECT with_open.a OR EXISTS (SELECT FROM allowed x WHERE x.id = with_open.id)';
CREATE AGGREGATE app.agg_sql(int) (SFUNC = app.either, STYPE = bool, INITCOND = 'false');
CREATE AGGREGATE app.agg(int) (SFUNC = app.with_open, STYPE = bool, INITCOND = 'false');
CREATE DOMAIN app.checked AS int CHECK (app.open(VALUE));
CREATE FUNCTION app.by_default(id int, ok app.checked) RETURNS bool LANGUAGE sql STABLE AS 'SELECT ok > 0';

CREATE TEMP TABLE conditions (n serial, condition text);
INSERT INTO conditions (condition) VALUES
  ('app.near(id)'), ('app.far(id)'), ('app.definer(id)'), ('app.seen(id)'), ('coalesce(app.seen(id), false)'),
  ('app.open(id)'), ('app.no_path(id)'), ('app.in_line(id)'), ('EXISTS (SELECT FROM app.in_rows(id))'),
  ('app.in_sql(id)'), ('app.in_plpgsql(id)'), ('app.in_query(id)'), ('app.in_do(id)'),
  ('app.path_in_plpgsql(id)'), ('app.pinned_in_plpgsql(id)'),
  ('OPERATOR(app.@?) id'), ('OPERATOR(app.@!) id'), ('OPERATOR(app.@@) id'),
  ('(SELECT app.agg(i) FROM unnest(ARRAY[id]) i)'), ('(SELECT app.agg_sql(i) FROM unnest(ARRAY[id]) i)'),
  ('id::app.checked > 0'), ('id::text::app.checked > 0'), ('(SELECT app.near(i) FROM unnest(ARRAY[id]) i)'),
  ('EXISTS (WITH c AS (SELECT app.open(id) AS ok) SELECT FROM c WHERE ok)'),
  ('EXISTS (SELECT FROM app.open(id) ok WHERE ok)'),
  ('concresce.await(concresce.submit(''app.near'', id))::bool'),
  ('concresce.await(concresce.submit(''app.open'', id))::bool'),
  ('concresce.await(concresce.submit(''app.open''::text::regproc, id))::bool');

-- what keeps rows back; :condition is the above; the query counts what it should not have let through
CREATE TABLE docs (id int);
CREATE TABLE notes (id int);
CREATE TABLE raw (id int);
INSERT INTO docs SELECT generate_series(1, 3);
INSERT INTO raw SELECT generate_series(1, 3);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs USING (false);
CREATE POLICY r ON notes FOR SELECT USING (true);
CREATE POLICY w ON notes FOR INSERT WITH CHECK (false);
GRANT SELECT ON docs TO PUBLIC;
GRANT SELECT, INSERT ON notes TO PUBLIC;
CREATE TEMP TABLE barriers (n serial, name text, setup text, probe text);
INSERT INTO barriers (name, setup, probe) VALUES
  ('none', $$DROP VIEW IF EXISTS public.v; CREATE VIEW public.v AS SELECT id FROM public.raw$$,
   $$SELECT count(*) FROM public.v WHERE id <> 1$$),
  ('policy', $$ALTER POLICY p ON public.docs USING (:condition)$$,
   $$SELECT count(*) FILTER (WHERE id <> 1) FROM public.docs$$),
  ('policy in sub-select', $$ALTER POLICY p ON public.docs USING (EXISTS (SELECT FROM unnest(ARRAY[docs.id]) u(id) WHERE :condition))$$,
   $$SELECT count(*) FROM unnest(ARRAY[1, 2, 3]) x WHERE x <> 1 AND (SELECT true FROM public.docs WHERE id = x)$$),
  ('policy below nothing', $$ALTER POLICY p ON public.docs USING (:condition)$$,
   $$SELECT (SELECT count(*) FILTER (WHERE id <> 1) FROM public.docs)$$),
  ('policy in a function', $$ALTER POLICY p ON public.docs USING (:condition)$$,
   $$SELECT count(*) FILTER (WHERE id <> 1) FROM evil.all_docs() id$$),
  ('policy for writes', $$ALTER POLICY w ON public.notes WITH CHECK (:condition)$$,
   $$WITH n AS (INSERT INTO public.notes SELECT * FROM generate_series(1, 3) RETURNING id) SELECT count(*) FILTER (WHERE id <> 1) FROM n$$),
  ('security barrier view', $$DROP VIEW IF EXISTS public.v; CREATE VIEW public.v WITH (security_barrier) AS SELECT id FROM public.raw WHERE :condition$$,
   $$SELECT count(*) FILTER (WHERE id <> 1) FROM public.v$$),
  ('view over barrier view', $$DROP VIEW IF EXISTS public.v; DROP VIEW IF EXISTS public.b; CREATE VIEW public.b WITH (security_barrier) AS SELECT id FROM public.raw WHERE :condition;
                               CREATE VIEW public.v AS SELECT id FROM (SELECT max(id) AS id FROM public.b GROUP BY id) q$$,
   $$SELECT count(*) FILTER (WHERE id <> 1) FROM public.v$$),
  ('check option', $$DROP VIEW IF EXISTS public.v; CREATE VIEW public.v AS SELECT id FROM public.raw WHERE :condition WITH CHECK OPTION$$,
   $$WITH n AS (INSERT INTO public.v SELECT * FROM generate_series(1, 3) RETURNING id) SELECT count(*) FILTER (WHERE id <> 1) FROM n$$);

-- what the session sets
CREATE TEMP TABLE settings (n serial, setting text);
INSERT INTO settings (setting) VALUES
  ('SET LOCAL concresce.prepare = on'),		-- nothing
  ('SET LOCAL concresce.key = ''1'''), ('SET LOCAL concresce.key = ''id % 1'''),
  ('SET LOCAL concresce.coalesce = flight'), ('SET LOCAL concresce.coalesce = off'),
  ('SET LOCAL concresce.server = '''''), ('SET LOCAL concresce.server = bad'),
  ('SET LOCAL search_path = evil'), ('SET LOCAL concresce.server = ''''; SET LOCAL search_path = evil, public'),
  ('SET LOCAL concresce.on_missing = error'), ('SET LOCAL concresce.isolate_errors = on'),
  ('SET LOCAL concresce.max_size = 1'), ('SET LOCAL concresce.max_bytes = ''1kB'''),
  ('SET LOCAL concresce.prepare = off'), ('SET LOCAL concresce.timeout = 0'), ('SET LOCAL concresce.on_full = error'),
  ('SET LOCAL plan_cache_mode = force_generic_plan'), ('SET LOCAL jit_above_cost = 0'),
  ('SET LOCAL max_parallel_workers_per_gather = 2; SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0; SET LOCAL min_parallel_table_scan_size = 0');

-- who asks, and through which path his own calls have come before
CREATE TEMP TABLE callers (n serial, caller text, enter text, wrapped text);
INSERT INTO callers (caller, enter, wrapped) VALUES
  ('the role itself', 'SET LOCAL ROLE regress_ccr_thief', '%s'),
  ('in a function of his', 'SET LOCAL ROLE regress_ccr_thief', 'SELECT evil.run(%L)'),
  ('in a DO block of his', 'SET LOCAL ROLE regress_ccr_thief', 'DO');
CREATE TEMP TABLE paths (n serial, path text, before text);
INSERT INTO paths (path, before) VALUES
  ('batch node', 'SET LOCAL concresce.enable_batchscan = on'),
  ('plain calls', 'SET LOCAL concresce.enable_batchscan = off'),
  ('a future of the right one', $$SET LOCAL concresce.max_window = '5s';
     SELECT concresce.submit(f, 1) FROM unnest('{app.near, app.far, app.definer, app.seen}'::regproc[]) f;
     SET LOCAL concresce.max_window = 0$$),
  ('the right one enqueued', $$SELECT public.dblink_exec('thief', 'BEGIN; ' || :setting);
     SELECT * FROM public.dblink('thief', 'SELECT count(concresce.enqueue(f, 1)) FROM unnest(''{app.near, app.far, app.definer}''::regproc[]) f') AS t(n int);
     SELECT public.dblink_exec('thief', 'COMMIT')$$);

SET SESSION AUTHORIZATION regress_ccr_thief;
CREATE FUNCTION evil.run(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  result bigint;
BEGIN
  EXECUTE query INTO result;
  RETURN result;
END $$;
-- becomes part of what it is called in
CREATE FUNCTION evil.all_docs() RETURNS SETOF int LANGUAGE sql STABLE AS 'SELECT id FROM public.docs';
RESET SESSION AUTHORIZATION;

CREATE FUNCTION cell(barrier barriers, condition text, setting text, caller callers, path paths, probe text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  result text;
BEGIN
  EXECUTE replace(barrier.setup, ':condition', condition);
  GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO PUBLIC;
  REVOKE ALL ON raw FROM PUBLIC;
  EXECUTE caller.enter;
  EXECUTE setting;
  EXECUTE replace(path.before, ':setting', quote_literal(setting));
  IF caller.wrapped = 'DO' THEN
    EXECUTE format('DO %L', format('DECLARE r text; BEGIN EXECUTE %L INTO r; PERFORM set_config(''ccr_test.r'', r, true); END', probe));
    result := current_setting('ccr_test.r');
  ELSE
    EXECUTE format(caller.wrapped, probe) INTO result;
  END IF;
  RAISE EXCEPTION USING errcode = 'CCR01', message = coalesce(result, 'none');
EXCEPTION WHEN OTHERS THEN
  RETURN CASE WHEN sqlstate = 'CCR01' THEN sqlerrm ELSE sqlstate END;
END $$;

SELECT dblink_connect('thief', format('host=%s port=%s dbname=%s user=regress_ccr_thief',
  split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_database())) AS thief;
SET client_min_messages = error;

-- what each way of asking gives, if the session sets nothing: the row that is allowed, or an error
SELECT condition, cell(b, condition, setting, w, h, 'SELECT string_agg(id::text, '','') FROM public.docs') AS sees
FROM barriers b, conditions c, settings s, callers w, paths h
WHERE b.name = 'policy' AND s.n = 1 AND w.n = 1 AND h.n = 1 ORDER BY c.n;

-- what keeps rows back, by how it asks, by what is set
CREATE TEMP TABLE cells AS
SELECT b.name AS barrier, condition, setting, w.caller, h.path,
       cell(b, condition, setting, w, h, b.probe) AS through
FROM barriers b, conditions c, settings s, callers w, paths h
WHERE w.n = 1 AND h.n = 1 AND (b.name <> 'none' OR c.n = 1) AND (b.name = 'policy' OR setting ~ 'key|server|search_path|flight');
-- all callers and paths, with what matters most
INSERT INTO cells
SELECT b.name, condition, setting, w.caller, h.path,
       cell(b, condition, setting, w, h, b.probe)
FROM barriers b, conditions c, settings s, callers w, paths h
WHERE b.name = 'policy' AND (w.n > 1 OR h.n > 1) AND condition ~ 'near|far|definer|seen|open|plpgsql'
  AND setting ~ '''1''|server|search_path';

-- let through: nothing but where nothing keeps it back
SELECT barrier, count(DISTINCT condition) AS conditions, count(DISTINCT (setting, caller, path)) AS ways,
       coalesce(sum(through::int) FILTER (WHERE through ~ '^\d$'), 0) AS through
FROM cells GROUP BY barrier ORDER BY (barrier <> 'none'), barrier;
SELECT * FROM cells WHERE barrier <> 'none' AND through ~ '^\d$' AND through <> '0';
-- errors are such as say what is missing, or that no row is allowed
SELECT through AS sqlstate, bool_or(condition ~ 'near|far|definer|seen') AS pinned, count(*) > 0 AS cells
FROM cells WHERE through !~ '^\d$' GROUP BY 1 ORDER BY 1;

SELECT dblink_disconnect('thief');
SET client_min_messages = warning;

-- VOLATILE calls: as many as were made, whatever their caller has set, also with another's rights
CREATE TABLE app.charges (n int);
ALTER TABLE app.charges OWNER TO regress_ccr_owner;
GRANT USAGE, CREATE ON SCHEMA app TO regress_ccr_owner;
CREATE FUNCTION app.charge(n int) RETURNS void LANGUAGE concresce VOLATILE
SET concresce.server = '' SET search_path = app AS 'INSERT INTO charges SELECT unnest(collect(n))';
CREATE FUNCTION app.buy(n int) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  FOR i IN 1 .. n LOOP
    PERFORM app.charge(1);
  END LOOP;
END $$;
CREATE FUNCTION app.buy_later(n int) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog
AS 'SELECT count(concresce.enqueue(''app.charge'', 1)) FROM generate_series(1, n)';
CREATE FUNCTION app.buy_at_once(n int) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog
AS 'SELECT count(concresce.gather(ids, NULL::text)) FROM (SELECT array_agg(concresce.submit(''app.charge'', 1)) AS ids FROM generate_series(1, n)) q';
ALTER FUNCTION app.charge OWNER TO regress_ccr_owner;
ALTER FUNCTION app.buy OWNER TO regress_ccr_owner;
ALTER FUNCTION app.buy_later OWNER TO regress_ccr_owner;
ALTER FUNCTION app.buy_at_once OWNER TO regress_ccr_owner;
CREATE TEMP TABLE purchases (n serial, purchase text);
INSERT INTO purchases (purchase) VALUES
  ('SELECT app.buy(3)'), ('SELECT app.buy_at_once(3)'), ('SELECT app.buy_later(3)'),
  ('SELECT app.buy(1) FROM generate_series(1, 3)');
CREATE TEMP TABLE bought (setting text, purchase text, charges bigint);
CREATE PROCEDURE buy_all() LANGUAGE plpgsql AS $$
DECLARE
  s record; p record; earlier bigint;
BEGIN
  FOR s IN SELECT * FROM settings WHERE setting ~ 'concresce' ORDER BY n LOOP
    FOR p IN SELECT * FROM purchases ORDER BY n LOOP
      earlier := (SELECT count(*) FROM app.charges);
      COMMIT;
      SET LOCAL client_min_messages = error;
      SET LOCAL ROLE regress_ccr_thief;
      SET LOCAL concresce.max_window = '20ms';
      EXECUTE s.setting;
      EXECUTE p.purchase;
      COMMIT;
      SET LOCAL ROLE regress_ccr_thief;
      PERFORM concresce.flush(timeout => '30 s');
      COMMIT;
      INSERT INTO bought VALUES (s.setting, p.purchase, (SELECT count(*) FROM app.charges) - earlier);
    END LOOP;
  END LOOP;
END $$;
CALL buy_all();
SELECT purchase, count(*) > 10 AS ways, min(charges), max(charges) FROM bought GROUP BY 1 ORDER BY 1;

DROP OWNED BY regress_ccr_owner, regress_ccr_thief CASCADE;
DROP TABLE docs, notes, raw CASCADE;
DROP SCHEMA app CASCADE;
DROP SERVER good CASCADE;
DROP SERVER bad CASCADE;
DROP PROCEDURE make_server, buy_all;
DROP FUNCTION cell;
DROP EXTENSION dblink;
DROP ROLE regress_ccr_owner, regress_ccr_thief;
