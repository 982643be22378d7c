--
-- The batch node: what was read ahead for one role is not given to another.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all

CREATE ROLE regress_one SUPERUSER LOGIN;
CREATE ROLE regress_two SUPERUSER LOGIN;
CREATE ROLE regress_none;
DO $$
BEGIN
  EXECUTE format('CREATE SERVER other FOREIGN DATA WRAPPER concresce OPTIONS (host %L, port %L, dbname %L)',
                 split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_database());
END $$;
CREATE USER MAPPING FOR regress_one SERVER far OPTIONS (user 'regress_one');
CREATE USER MAPPING FOR regress_two SERVER far OPTIONS (user 'regress_two');
CREATE USER MAPPING FOR CURRENT_USER SERVER other;
GRANT SELECT ON few, many TO PUBLIC;
-- who is asked over there
CREATE FUNCTION who(g int) RETURNS text LANGUAGE concresce STABLE AS $$ SELECT session_user || ' ' || g $$;
CREATE FUNCTION strict_who(g int) RETURNS text LANGUAGE concresce STABLE STRICT AS $$ SELECT session_user || ' ' || g $$;
CREATE FUNCTION pinned_who(g int) RETURNS text LANGUAGE concresce STABLE SET concresce.server = 'far' SET concresce.key = ''
AS $$ SELECT session_user || ' ' || g $$;
CREATE FUNCTION where_to(g int) RETURNS text LANGUAGE concresce STABLE AS $$ SELECT current_setting('search_path') || ' ' || g $$;

-- Rows of a cursor while the session does this and that, as with plain calls.
CREATE FUNCTION fetched(query text, VARIADIC steps text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  mode text; step text; c refcursor; r record; said text; results text[] := '{}';
BEGIN
  RETURN NEXT (SELECT format('%s batch nodes', count(*)) FROM plan_of(query, '') l WHERE l ~ 'ConcresceBatch');
  FOREACH mode IN ARRAY '{on,off}'::text[] LOOP
    PERFORM set_config('concresce.enable_batchscan', mode, false);
    said := '';
    BEGIN
      OPEN c FOR EXECUTE query;
      FOREACH step IN ARRAY steps LOOP
        IF step ~ '^\d+$' THEN
          FOR i IN 1 .. step::int LOOP
            FETCH c INTO r;
            EXIT WHEN NOT FOUND;
            said := said || r::text || ' ';
          END LOOP;
        ELSE
          EXECUTE step;
        END IF;
      END LOOP;
      CLOSE c;
      RAISE SQLSTATE 'CC000';
    EXCEPTION
      WHEN SQLSTATE 'CC000' THEN NULL;
      WHEN OTHERS THEN said := said || sqlstate || ' ' || sqlerrm;
    END;
    RESET ROLE;
    results := results || said;
  END LOOP;
  PERFORM set_config('concresce.enable_batchscan', 'on', false);
  RETURN NEXT results[1];
  RETURN NEXT CASE WHEN results[1] = results[2] THEN '-- the same by plain calls' ELSE '!! by plain calls ' || results[2] END;
END $$;

SELECT fetched('SELECT id, who(k) FROM few', 'SET ROLE regress_one', '2', 'SET ROLE regress_two', '2', 'SET ROLE regress_one', '4', 'RESET ROLE', '9');
SELECT fetched('SELECT id, strict_who(nullif(k, 2)) FROM few', 'SET ROLE regress_one', '2', 'SET ROLE regress_two', '9');
SELECT fetched('SELECT id, w FROM few, who(k) w', 'SET ROLE regress_one', '2', 'SET ROLE regress_two', '2');
SELECT fetched('SELECT id, (SELECT who(f.k)) FROM few f', 'SET ROLE regress_one', '2', 'SET ROLE regress_two', '2');
SELECT fetched('SELECT id, who(length(who(k))) FROM few', 'SET ROLE regress_one', '2', 'SET ROLE regress_two', '3');
SELECT fetched('SELECT id FROM few WHERE who(k) LIKE ''regress_one%''', 'SET ROLE regress_one', '2', 'SET ROLE regress_two', '2');
SELECT fetched('SELECT id, label(k) FROM few WHERE who(k) LIKE ''regress_one%''', 'SET ROLE regress_one', '2', 'SET ROLE regress_two', '2');
SELECT fetched('SELECT id, who(k) FROM few WHERE who(id) LIKE ''regress_%''', 'SET ROLE regress_one', '3', 'SET ROLE regress_two', '3');
SELECT fetched('SELECT id, lag(who(k), 1) OVER (ORDER BY id), who(id) FROM few', 'SET ROLE regress_one', '3', 'SET ROLE regress_two', '3');
SELECT fetched('SELECT id, who(k) FROM few ORDER BY id DESC', 'SET ROLE regress_one', '3', 'SET ROLE regress_two', '3');
SELECT fetched('SELECT id, who(k) FROM few UNION ALL SELECT id, who(-id) FROM few', 'SET ROLE regress_one', '9', 'SET ROLE regress_two', '3');
SELECT fetched('SELECT f.id, g.id FROM few f JOIN few g ON who(f.k) = who(g.id)', 'SET ROLE regress_one', '3', 'SET ROLE regress_two', '3');
-- with rounds of full size, one of them under way
SELECT left(f, 200) FROM fetched('SELECT id, who(k) FROM many', 'SET ROLE regress_one', '1150', 'SET ROLE regress_two', '3') f;
SELECT right(f, 200) FROM fetched('SELECT id, who(k) FROM many', 'SET ROLE regress_one', '1150', 'SET ROLE regress_two', '200') f;
-- a role without rights
SELECT fetched('SELECT id, who(k) FROM few', 'SET ROLE regress_one', '2', 'SET ROLE regress_none', '2');
-- what is below a batch node knows the role, too
SELECT fetched('SELECT id, current_user, label(k) FROM few WHERE current_user <> ''regress_two''', 'SET ROLE regress_one', '2', 'SET ROLE regress_two', '3');
SELECT fetched('SELECT id, u, label(k) FROM (SELECT id, k, current_user AS u FROM few OFFSET 0) q', 'SET ROLE regress_one', '2', 'SET ROLE regress_two', '3');
CREATE FUNCTION mine() RETURNS text LANGUAGE plpgsql STABLE AS 'BEGIN RETURN current_user; END';
SELECT fetched('SELECT id, label(k) FROM few WHERE mine() <> ''regress_two''', 'SET ROLE regress_one', '2', 'SET ROLE regress_two', '3');
SET my.low = 2;
SELECT fetched('SELECT id, who(k) FROM few WHERE id > current_setting(''my.low'')::int', 'SET my.low = 2', '2', 'SET my.low = 6', '2');
SELECT fetched('SELECT id, who(id + current_setting(''my.low'')::int) FROM few', 'SET my.low = 2', '2', 'SET my.low = 6', '2');
-- so do STABLE functions of PostgreSQL's own, below and in what is evaluated for a call, and those of users there
SELECT fetched('SELECT id, t, score(id) FROM (SELECT id, (''2020-01-01 12:00Z''::timestamptz + id * interval ''1 day'')::text AS t FROM few OFFSET 0) q',
               'SET timezone = ''UTC''', '2', 'SET timezone = ''Asia/Tokyo''', '2', 'SET timezone = ''UTC''', '1');
SELECT fetched('SELECT id, score(extract(hour FROM ''2020-01-01 12:00Z''::timestamptz + id * interval ''1 min'')::int) FROM few',
               'SET timezone = ''UTC''', '2', 'SET timezone = ''Asia/Tokyo''', '2', 'SET timezone = ''UTC''', '1');
SELECT fetched('SELECT id, CASE WHEN extract(hour FROM ''2020-01-01 12:00Z''::timestamptz) < 13 THEN score(id) END FROM few',
               'SET timezone = ''UTC''', '2', 'SET timezone = ''Asia/Tokyo''', '2', 'SET timezone = ''UTC''', '1');
SELECT fetched('SELECT id, t, score(id) FROM (SELECT id, ''far.scores''::regclass::text AS t FROM few OFFSET 0) q',
               '2', 'SET search_path = far, public', '2', 'RESET search_path', '1');
CREATE FUNCTION lowest() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN current_setting(''my.low'')::int; END';
SELECT fetched('SELECT id, score(lowest() + id) FROM few', 'SET my.low = 2', '2', 'SET my.low = 60', '2', 'SET my.low = 2', '1');
RESET timezone;
-- a lookup that becomes another one
CREATE FUNCTION text_of(k int) RETURNS text LANGUAGE concresce STABLE AS $$ SELECT 'one ' || k $$;
SELECT fetched('SELECT id, text_of(k), length(text_of(id)), text_of(length(text_of(3))) FROM few',
               '2', 'CREATE OR REPLACE FUNCTION text_of(k int) RETURNS text LANGUAGE concresce STABLE AS $$ SELECT ''another '' || k $$', '2',
               'ALTER FUNCTION text_of SET concresce.server = ''other''', '1', 'ALTER FUNCTION text_of VOLATILE', '1');
SELECT regexp_replace(f, 'OID \d+', 'OID N') FROM fetched('SELECT id, text_of(k) FROM few', '2', 'DROP FUNCTION text_of', '2') f;
-- policies
CREATE TABLE guarded (id int, k int, owner text);
INSERT INTO guarded SELECT i, i, CASE WHEN i % 2 = 0 THEN 'regress_one' ELSE 'regress_two' END FROM generate_series(1, 12) i;
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
ALTER TABLE guarded FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON guarded USING (owner = current_user);
GRANT SELECT ON guarded TO PUBLIC;
ALTER ROLE regress_one NOSUPERUSER;
ALTER ROLE regress_two NOSUPERUSER;
GRANT USAGE ON FOREIGN SERVER far TO regress_one, regress_two;
GRANT USAGE ON SCHEMA far TO PUBLIC;
ALTER USER MAPPING FOR regress_one SERVER far OPTIONS (ADD password_required 'false');
ALTER USER MAPPING FOR regress_two SERVER far OPTIONS (ADD password_required 'false');
BEGIN;
SET LOCAL ROLE regress_one;
DECLARE c CURSOR FOR SELECT id, owner, who(k) FROM guarded;
FETCH 2 FROM c;
SET LOCAL ROLE regress_two;
FETCH 2 FROM c;
SET LOCAL ROLE regress_one;
FETCH 2 FROM c;
ROLLBACK;
-- a definer's function reads on
CREATE FUNCTION read_on(c refcursor) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  r record;
BEGIN
  FETCH c INTO r;
  RETURN r;
END $$;
ALTER FUNCTION read_on OWNER TO regress_two;
BEGIN;
SET LOCAL ROLE regress_one;
DECLARE c CURSOR FOR SELECT id, pinned_who(k) FROM few;
FETCH 1 FROM c;
SELECT read_on('c');
FETCH 1 FROM c;
SELECT read_on('c');
ROLLBACK;
-- settings by which a call goes
SELECT fetched('SELECT id, where_to(k) FROM few', '2', 'SET concresce.server = other', '2', 'SET concresce.server = far', '1');
SELECT fetched('SELECT id, score(id) FROM few OFFSET 4', '2', 'SET concresce.on_missing = error', '3');
RESET concresce.on_missing;
SET concresce.server = far;
-- by the lookup's own server, whatever the session's is; the path counts in this database, unless the lookup has its own
CREATE FUNCTION here(g int) RETURNS text LANGUAGE concresce STABLE SET concresce.server = '' AS $$ SELECT current_setting('search_path') || ' ' || g $$;
CREATE FUNCTION own_path(g int) RETURNS text LANGUAGE concresce STABLE SET concresce.server = '' SET search_path = far
AS $$ SELECT current_setting('search_path') || ' ' || g $$;
SELECT fetched('SELECT id, here(k) FROM few', '2', 'SET search_path = public, far', '2', 'RESET search_path', '1');
SELECT fetched('SELECT id, here(k) FROM few', 'SET concresce.server = other', '1', 'SET search_path = public, far', '2', 'RESET search_path', '1');
SELECT fetched('SELECT id, here(k) FROM few ORDER BY id DESC', '2', 'SET search_path = public, far', '2', 'RESET search_path', '1');
SELECT fetched('SELECT id, where_to(length(here(k))) FROM few', '2', 'SET search_path = public, far', '2', 'RESET search_path', '1');
SELECT fetched('SELECT id, here(k), where_to(k), own_path(k) FROM few', '2', 'SET search_path = public, far', '2',
               'SET concresce.server = ''''', '2', 'RESET search_path', 'SET concresce.server = far');
-- the value of a call that nothing was asked for is remembered for its row, but not beyond a change
SELECT fetched('SELECT f.id, g.id FROM few f LEFT JOIN few g ON here(f.k) = CASE WHEN g.id < 3 THEN ''"$user", public 1'' ELSE ''public, far 1'' END WHERE f.id = 1',
               '1', 'SET search_path = public, far', '2', 'RESET search_path');
SET concresce.server = far;
-- keys are asked for again only by what goes by the setting that has changed
SELECT concresce.reset_stats();
BEGIN;
DECLARE c CURSOR FOR SELECT id, here(k), pinned_who(k), who(id), own_path(id) FROM many;
MOVE 2 FROM c;
SET search_path = public, far;
MOVE 398 FROM c;
RESET search_path;
MOVE ALL FROM c;
COMMIT;
SELECT function, calls > 1500 AS again FROM concresce.stats
WHERE function IN ('here'::regproc, 'who'::regproc, 'pinned_who'::regproc, 'own_path'::regproc) ORDER BY function::text;
-- rows read as one role are asked for in rounds again after the change
SELECT concresce.reset_stats();
SELECT count(*) FROM fetched('SELECT id, who(k) FROM many', 'SET ROLE regress_one', '20', 'SET ROLE regress_two', '1480') f;
SELECT batches < 1600 FROM concresce.stats WHERE function = 'who'::regproc AND server = 'far';
-- when a right or a mapping has gone
CREATE ROLE regress_three;
GRANT USAGE ON FOREIGN SERVER far TO regress_three;
DO $$
BEGIN
  EXECUTE format('CREATE USER MAPPING FOR regress_three SERVER far OPTIONS (user %L, password_required ''false'')', current_user);
END $$;
SELECT fetched('SELECT id, score(k) FROM few', 'SET ROLE regress_three', '2', 'RESET ROLE', 'REVOKE USAGE ON FOREIGN SERVER far FROM regress_three',
               'SET ROLE regress_three', '2');
GRANT USAGE ON FOREIGN SERVER far TO regress_three;
SELECT regexp_replace(fetched('SELECT id, score(k) FROM few', 'SET ROLE regress_three', '2', 'RESET ROLE',
                              'DROP USER MAPPING FOR regress_three SERVER far', 'SET ROLE regress_three', '2'), 'not found for.*', 'not found');
SELECT fetched('SELECT id, label(k) FROM few', '2', 'ALTER SERVER far OPTIONS (SET options ''-csearch_path=pg_catalog'')', '2');
DROP OWNED BY regress_three;
DROP ROLE regress_three;
SELECT left_over();

DROP TABLE guarded;
DROP FUNCTION who, strict_who, pinned_who, where_to, here, own_path, fetched, mine, lowest, text_of, read_on;
DROP SERVER other CASCADE;
DROP OWNED BY regress_one, regress_two;
CALL clean_up();
DROP ROLE regress_one, regress_two, regress_none;
