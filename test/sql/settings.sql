--
-- Settings: their ranges, where they can be set, and what they do.
--
SET client_min_messages = warning;
CREATE SCHEMA far;
DO $$
BEGIN
  EXECUTE format('CREATE SERVER far FOREIGN DATA WRAPPER concresce '
                 'OPTIONS (host %L, port %L, dbname %L, options %L)',
                 split_part(current_setting('unix_socket_directories'), ',', 1),
                 current_setting('port'), current_database(), '-csearch_path=far');
END $$;
CREATE USER MAPPING FOR CURRENT_USER SERVER far;
SET concresce.server = 'far';

-- all there are
SELECT name, setting, unit, context, vartype, min_val, max_val, enumvals
FROM pg_settings WHERE name LIKE 'concresce.%' AND name NOT IN ('concresce.server') ORDER BY name;

-- out of range, each 22023
CREATE PROCEDURE refuse(name text, VARIADIC vals text[]) LANGUAGE plpgsql AS $$
DECLARE
  v text;
BEGIN
  FOREACH v IN ARRAY vals LOOP
    BEGIN
      PERFORM set_config('concresce.' || name, v, true);
      RAISE NOTICE '% takes %', name, v;
    EXCEPTION WHEN OTHERS THEN
      IF sqlstate <> '22023' THEN
        RAISE NOTICE '%: % is % %', name, v, sqlstate, sqlerrm;
      END IF;
    END;
  END LOOP;
END $$;
SET client_min_messages = notice;
CALL refuse('max_window', '-1', '61s', 'soon', '1 parsec');
CALL refuse('max_size', '0', '-1', '100001', 'many');
CALL refuse('max_scan_size', '0', '-2', '100001', 'many');
CALL refuse('max_bytes', '0', '1023', '513MB');
CALL refuse('coalesce', 'on', 'true', '', 'flights');
CALL refuse('timeout', '-1', '25d');
CALL refuse('max_timeout', '-1', '25d');
CALL refuse('isolate_errors', 'maybe');
CALL refuse('on_missing', 'NULLs', '');
CALL refuse('on_full', 'drop');
CALL refuse('prepare', '2');
-- those that only the server's owner sets
CALL refuse('max_connections', '1');
CALL refuse('max_local_workers', '1');
CALL refuse('queue_size', '1');
CALL refuse('idle_timeout', '1');
CALL refuse('shared_memory', '1');
CALL refuse('workers', '1');
CALL refuse('log_min_duration', '1');
-- (the text of the error is another from 17 on)
\set VERBOSITY sqlstate
ALTER SYSTEM SET concresce.max_connections = 0;
ALTER SYSTEM SET concresce.queue_size = 0;
ALTER SYSTEM SET concresce.idle_timeout = -1;
ALTER SYSTEM SET concresce.shared_memory = 0;
ALTER SYSTEM SET concresce.workers = 0;
ALTER SYSTEM SET concresce.log_min_duration = -2;
\set VERBOSITY default
-- units
SET concresce.max_window = '500us'; SHOW concresce.max_window;
SET concresce.max_window = 1.5; SHOW concresce.max_window;
SET concresce.max_window = '1min'; SHOW concresce.max_window;
SET concresce.timeout = '2s'; SHOW concresce.timeout;
SET concresce.max_bytes = '1MB'; SHOW concresce.max_bytes;
RESET concresce.max_window; RESET concresce.timeout; RESET concresce.max_bytes;
-- a name that there is not
SET concresce.max_sise = 3;
SET client_min_messages = warning;

-- at CREATE FUNCTION and ALTER FUNCTION
CREATE FUNCTION f(a int) RETURNS int LANGUAGE concresce STABLE SET concresce.max_size = 0 AS 'SELECT a';
\echo :LAST_ERROR_SQLSTATE
CREATE FUNCTION f(a int) RETURNS int LANGUAGE concresce STABLE
SET concresce.server = 'far' SET concresce.timeout = '5s' AS 'SELECT a';
ALTER FUNCTION f SET concresce.coalesce = 'sometimes';
\echo :LAST_ERROR_SQLSTATE
ALTER FUNCTION f SET concresce.max_connections = 5;
ALTER FUNCTION f SET concresce.coalesce = 'batch';
RESET concresce.server;
SELECT f(1);

-- no server, and one that there is not
CREATE FUNCTION g(a int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT a';
SET concresce.server = 'Far';
SELECT g(1);
\echo :LAST_ERROR_SQLSTATE
SET concresce.server = 'far';
SELECT g(1);

-- for a role and a database
CREATE ROLE regress_ccr_set LOGIN SUPERUSER;
ALTER ROLE regress_ccr_set SET concresce.on_missing = 'error';
SELECT setconfig FROM pg_db_role_setting WHERE setrole = 'regress_ccr_set'::regrole;
DROP ROLE regress_ccr_set;

-- the timeout says what it waited for
CREATE FUNCTION nap(s float8) RETURNS int LANGUAGE concresce STABLE AS 'SELECT 1 FROM pg_sleep(s)';
SET concresce.timeout = '500ms';
SELECT nap(600);
\echo :LAST_ERROR_SQLSTATE
SELECT nap(0);
RESET concresce.timeout;
-- so do the others' limits, which come first
SET statement_timeout = '500ms';
SELECT nap(600);
RESET statement_timeout;
SELECT timeouts, cancelled FROM concresce.stats WHERE function = 'nap'::regproc;
-- 0: no limit
SET concresce.timeout = 0;
SELECT nap(0.01);
RESET concresce.timeout;
-- a window that is longer than the timeout
SET concresce.timeout = '200ms'; SET concresce.max_window = '60s';
SELECT nap(0);
RESET concresce.timeout;
-- a lone call that fills its batch does not wait
SET concresce.max_size = 1;
SELECT nap(0);
RESET concresce.max_window; RESET concresce.max_size;

-- without prepared statements
CREATE FUNCTION far_prepared() RETURNS bigint LANGUAGE concresce VOLATILE
AS $$ SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%far_prepared%' $$;
CREATE FUNCTION far_unprepared() RETURNS bigint LANGUAGE concresce VOLATILE SET concresce.prepare = off
AS $$ SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%far_unprepared%' $$;
SELECT far_prepared(), far_unprepared();
SELECT far_prepared(), far_unprepared();

DROP PROCEDURE refuse;
DROP FUNCTION f, g, nap, far_prepared, far_unprepared;
DROP SERVER far CASCADE;
DROP SCHEMA far CASCADE;
