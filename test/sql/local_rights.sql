-- Whose rights a local lookup has, and that its body does not get out of them.
SET client_min_messages = warning;
CREATE ROLE regress_ccr_caller NOLOGIN;
CREATE ROLE regress_ccr_owner NOLOGIN;
CREATE ROLE regress_ccr_member NOLOGIN IN ROLE regress_ccr_caller;
CREATE SCHEMA s;
GRANT ALL ON SCHEMA s TO PUBLIC;
SET search_path = s, public;

-- as the caller; its session, too
CREATE FUNCTION who() RETURNS text LANGUAGE concresce STABLE
AS $$ SELECT concat_ws(' ', current_user, session_user, current_setting('is_superuser')) $$;
SELECT who() = concat_ws(' ', current_user, session_user, 'on') AS same;
SET ROLE regress_ccr_caller;
SELECT who();
SET ROLE regress_ccr_owner;
SELECT who();
RESET ROLE;

-- as the owner, if the lookup is SECURITY DEFINER, which has to name its server: none
CREATE FUNCTION defined() RETURNS text LANGUAGE concresce STABLE SECURITY DEFINER
AS $$ SELECT concat_ws(' ', current_user, session_user, current_setting('is_superuser')) $$;
ALTER FUNCTION defined OWNER TO regress_ccr_owner;
SET ROLE regress_ccr_caller;
SELECT defined();
RESET ROLE;
ALTER FUNCTION defined SET concresce.server = '';
SET ROLE regress_ccr_caller;
SELECT defined();
SELECT who();
RESET ROLE;
-- as whoever it is called by within a SECURITY DEFINER function
CREATE FUNCTION around() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT who()';
ALTER FUNCTION around OWNER TO regress_ccr_owner;
SET ROLE regress_ccr_caller;
SELECT around();
RESET ROLE;

-- rights on what the body reads, row security, rights on the lookup
CREATE TABLE secret (x int, owner name);
INSERT INTO secret VALUES (1, 'regress_ccr_caller'), (2, 'regress_ccr_owner');
CREATE FUNCTION peek(n int) RETURNS name LANGUAGE concresce STABLE AS 'SELECT owner FROM s.secret WHERE x = n';
SET ROLE regress_ccr_caller;
SELECT peek(1);
RESET ROLE;
GRANT SELECT ON secret TO regress_ccr_caller;
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON secret USING (owner = current_user);
SET ROLE regress_ccr_caller;
SELECT peek(1), peek(2);
RESET ROLE;
SELECT peek(1), peek(2);
REVOKE EXECUTE ON FUNCTION peek FROM PUBLIC;
SET ROLE regress_ccr_caller;
SELECT peek(1);
RESET ROLE;

-- A body that tries anything: what became of it, and who it then is.
CREATE FUNCTION try(commands text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  command text;
  result text := '';
BEGIN
  FOREACH command IN ARRAY commands LOOP
    BEGIN
      EXECUTE command;
      result := result || 'done; ';
    EXCEPTION WHEN OTHERS THEN
      -- other texts differ from version to version
      result := result || sqlstate || ' ' || coalesce(substring(sqlerrm, 'within security.*'), '') || '; ';
    END;
  END LOOP;
  RETURN result || current_user || ' ' || session_user || ' ' || current_setting('is_superuser');
END $$;
CREATE FUNCTION escape(VARIADIC commands text[]) RETURNS text LANGUAGE concresce VOLATILE AS 'SELECT s.try(commands)';
CREATE FUNCTION detour(commands text[]) RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT s.try(commands)';
ALTER FUNCTION detour OWNER TO regress_ccr_owner;
CREATE FUNCTION escape_by_detour(VARIADIC commands text[]) RETURNS text LANGUAGE concresce VOLATILE AS 'SELECT s.detour(commands)';
SELECT current_user AS superuser \gset
SET ROLE regress_ccr_caller;
SELECT escape('RESET ROLE');
SELECT escape('SET ROLE NONE');
SELECT escape('SET LOCAL ROLE regress_ccr_owner');
SELECT escape('SET SESSION AUTHORIZATION DEFAULT');
SELECT escape('RESET SESSION AUTHORIZATION');
SELECT escape(format('SET SESSION AUTHORIZATION %I', :'superuser')) LIKE '42501 % regress_ccr_caller regress_ccr_caller off' AS refused;
SELECT escape('SELECT set_config(''role'', ''none'', false)');
SELECT escape('SELECT set_config(''session_authorization'', ''regress_ccr_owner'', true)');
SELECT escape('SELECT set_config(''is_superuser'', ''on'', false)');
SELECT escape('RESET ALL');
SELECT escape('DISCARD ALL');
SELECT escape('COMMIT');
SELECT escape('ROLLBACK');
SELECT escape('CREATE ROLE regress_ccr_new');
SELECT escape('ALTER ROLE regress_ccr_caller SUPERUSER');
SELECT escape('COPY (SELECT 1) TO PROGRAM ''true''');
SELECT escape('CREATE TEMP TABLE mine (x int)');
SELECT escape('CREATE TEMP VIEW mine AS SELECT 1');
SELECT escape('PREPARE mine AS SELECT 1');
SELECT escape('LISTEN mine');
SELECT escape('DECLARE mine CURSOR WITH HOLD FOR SELECT 1');
SELECT escape_by_detour('RESET ROLE', 'SET ROLE NONE', 'RESET SESSION AUTHORIZATION', 'CREATE TEMP TABLE mine (x int)');
-- in a SET clause
CREATE FUNCTION as_role() RETURNS text LANGUAGE concresce STABLE SET role = 'regress_ccr_caller' AS 'SELECT current_user::text';
SELECT as_role();
DROP FUNCTION as_role;
-- by a procedure that ends the transaction
CREATE PROCEDURE ending() LANGUAGE plpgsql AS 'BEGIN COMMIT; END';
SELECT escape('CALL s.ending()');
SELECT escape('DO ''BEGIN ROLLBACK; END''');
-- by a trigger that is deferred to the commit
CREATE TABLE trap (x int);
CREATE FUNCTION spring() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'sprung as %', current_user;
END $$;
CREATE CONSTRAINT TRIGGER spring AFTER INSERT ON trap DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION spring();
CREATE FUNCTION into_trap(n int) RETURNS void LANGUAGE concresce VOLATILE AS 'INSERT INTO s.trap SELECT unnest(collect(n))';
SELECT into_trap(1);
SELECT count(*) FROM trap;
RESET ROLE;

-- What a body leaves behind does not last.
CREATE FUNCTION backend() RETURNS int LANGUAGE concresce VOLATILE AS 'SELECT pg_backend_pid()';
CREATE FUNCTION look(what text) RETURNS text LANGUAGE concresce VOLATILE AS 'SELECT s.looked(what)';
CREATE FUNCTION looked(what text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  result text;
BEGIN
  EXECUTE 'SELECT ' || what INTO result;
  RETURN coalesce(result, 'NULL');
EXCEPTION WHEN OTHERS THEN
  RETURN sqlstate || ' ' || sqlerrm;
END $$;
CREATE SEQUENCE counter;
GRANT ALL ON SEQUENCE counter TO PUBLIC;
SET ROLE regress_ccr_caller;
-- in one statement, lest the executor be ended for want of work
SELECT first = second AS same_executor, done, work_mem = current_setting('work_mem') AS work_mem, search_path, variable,
       encoding = getdatabaseencoding() AS encoding, read_only, timezone <> 'Asia/Tokyo' AS timezone, currval, lastval,
       function, domain, statements, cursors, channels, locks
FROM (SELECT backend() AS first,
 escape('SELECT pg_advisory_lock(4711)', 'SELECT pg_advisory_lock_shared(4712)',
   'SET work_mem = ''3MB''', 'SELECT set_config(''search_path'', ''pg_catalog'', false)', 'SET my.variable = ''x''',
   'SET client_encoding = latin1', 'SET default_transaction_read_only = on', 'SET timezone = ''Asia/Tokyo''',
   'SELECT nextval(''s.counter'')') AS done,
 escape('CREATE FUNCTION pg_temp.mine() RETURNS int LANGUAGE sql AS ''SELECT 1''', 'CREATE DOMAIN pg_temp.int4 AS text') AS maybe_done,
 look('count(*) FROM pg_locks WHERE locktype = ''advisory''') AS locks,
 look('current_setting(''work_mem'')') AS work_mem,
 look('current_setting(''search_path'')') AS search_path,
 look('nullif(current_setting(''my.variable'', true), '''')') AS variable,
 look('current_setting(''client_encoding'')') AS encoding,
 look('current_setting(''default_transaction_read_only'')') AS read_only,
 look('current_setting(''timezone'')') AS timezone,
 look('currval(''s.counter'')') AS currval,
 look('lastval()') AS lastval,
 look('pg_temp.mine()') AS function,
 look('''1''::int4 + 1') AS domain,
 look('count(*) FROM pg_prepared_statements WHERE name = ''mine''') AS statements,
 look('count(*) FROM pg_cursors WHERE name = ''mine''') AS cursors,
 look('count(*) FROM pg_listening_channels()') AS channels,
 backend() AS second OFFSET 0) AS tried \gx
-- the seed of random(), temporary replication slots
RESET ROLE;
ALTER ROLE regress_ccr_caller REPLICATION;
SET ROLE regress_ccr_caller;
SELECT first = second AS same_executor, done, one <> other AS random, slots
FROM (SELECT backend() AS first,
 escape('SELECT setseed(0.5)', 'SELECT pg_create_physical_replication_slot(''regress_ccr_slot'', true, true)') AS done,
 look('random()') AS one,
 escape('SELECT setseed(0.5)') AS again,
 look('random()') AS other,
 look('count(*) FROM pg_replication_slots WHERE slot_name = ''regress_ccr_slot''') AS slots,
 backend() AS second OFFSET 0) AS tried;
-- also if it fails
CREATE FUNCTION leave_and_fail() RETURNS int LANGUAGE concresce VOLATILE
AS $$ SELECT 1 / length(set_config('work_mem', '4MB', false)) / (pg_advisory_lock(4711)::text = '')::int / 0 $$;
SELECT leave_and_fail();
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory';
SELECT look('current_setting(''work_mem'')') = current_setting('work_mem') AS work_mem;

-- No two roles share an executor.
CREATE FUNCTION backend_of_owner() RETURNS int LANGUAGE concresce VOLATILE SECURITY DEFINER SET concresce.server = ''
AS 'SELECT pg_backend_pid()';
RESET ROLE;
ALTER FUNCTION backend_of_owner OWNER TO regress_ccr_owner;
SET ROLE regress_ccr_caller;
SELECT backend() = backend_of_owner() AS same_executor;
RESET ROLE;

-- Settings of the role are those that it would find if it logged in.
ALTER ROLE regress_ccr_member SET work_mem = '5MB';
SET ROLE regress_ccr_member;
SELECT look('current_setting(''work_mem'')');
RESET ROLE;
-- but for a role, which would make it look like another one
CREATE ROLE regress_ccr_definer NOLOGIN;
SELECT format('ALTER ROLE regress_ccr_definer SET role = %I', current_user) AS command \gset
:command;
SET ROLE regress_ccr_definer;
SELECT who(), look('current_setting(''role'')');
RESET ROLE;

RESET search_path;
DROP SCHEMA s CASCADE;
DROP ROLE regress_ccr_member, regress_ccr_caller, regress_ccr_owner, regress_ccr_definer;
