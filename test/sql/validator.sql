--
-- What cannot be a lookup, and what the language is.
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

SELECT lanpltrusted, lanvalidator::regproc, lanplcallfoid::regproc FROM pg_language WHERE lanname = 'concresce';

-- kinds of functions
CREATE PROCEDURE f(a int) LANGUAGE concresce AS 'SELECT a';
\echo :LAST_ERROR_SQLSTATE
CREATE FUNCTION f() RETURNS trigger LANGUAGE concresce AS 'SELECT 1';
\echo :LAST_ERROR_SQLSTATE
CREATE FUNCTION f() RETURNS event_trigger LANGUAGE concresce AS 'SELECT 1';
CREATE FUNCTION f(a int) RETURNS int LANGUAGE concresce WINDOW AS 'SELECT a';
-- types
CREATE FUNCTION f(a anyelement) RETURNS int LANGUAGE concresce AS 'SELECT 1';
\echo :LAST_ERROR_SQLSTATE
CREATE FUNCTION f(a anyarray) RETURNS int LANGUAGE concresce AS 'SELECT 1';
CREATE FUNCTION f(a anycompatible) RETURNS int LANGUAGE concresce AS 'SELECT 1';
CREATE FUNCTION f(VARIADIC "any") RETURNS int LANGUAGE concresce AS 'SELECT 1';
CREATE FUNCTION f(a anyelement) RETURNS anyelement LANGUAGE concresce AS 'SELECT a';
CREATE FUNCTION f(a cstring) RETURNS int LANGUAGE concresce AS 'SELECT 1';
CREATE FUNCTION f(a record) RETURNS int LANGUAGE concresce AS 'SELECT 1';
CREATE FUNCTION f(a internal) RETURNS int LANGUAGE concresce AS 'SELECT 1';
CREATE FUNCTION f(a int) RETURNS cstring LANGUAGE concresce AS 'SELECT 1';
CREATE FUNCTION f(a int) RETURNS internal LANGUAGE concresce AS 'SELECT 1';
CREATE FUNCTION f(a int) RETURNS anyelement LANGUAGE concresce AS 'SELECT 1';
CREATE FUNCTION f(a int, OUT b anyelement) LANGUAGE concresce AS 'SELECT 1';
CREATE FUNCTION f(a int) RETURNS SETOF pg_lsn LANGUAGE concresce AS $$ SELECT '0/0' $$;
DROP FUNCTION f;

-- bodies, with the place
CREATE FUNCTION f(a int) RETURNS int LANGUAGE concresce AS $$
  SELECT a
    FORM t $$;
\echo :LAST_ERROR_SQLSTATE
CREATE FUNCTION f(a int) RETURNS int LANGUAGE concresce AS $$ SELECT 1; SELECT 2 $$;
\echo :LAST_ERROR_SQLSTATE
CREATE FUNCTION f(a int) RETURNS int LANGUAGE concresce AS $$ SELECT 1; DROP TABLE x $$;
CREATE FUNCTION f(a int) RETURNS int LANGUAGE concresce AS $$ UPDATE t SET a = f.a RETURNING 1 $$;
\echo :LAST_ERROR_SQLSTATE
CREATE FUNCTION f(a int) RETURNS int LANGUAGE concresce AS $$ CALL p(a) $$;
CREATE FUNCTION f(a int) RETURNS int LANGUAGE concresce AS $$ EXPLAIN SELECT a $$;
CREATE FUNCTION f(a int) RETURNS int LANGUAGE concresce AS $$ COPY t FROM STDIN $$;
CREATE FUNCTION f(a int) RETURNS int LANGUAGE concresce AS $$ BEGIN $$;
CREATE FUNCTION f(a int) RETURNS int LANGUAGE concresce AS $$ SET ROLE postgres $$;
CREATE FUNCTION f(a int) RETURNS int LANGUAGE concresce AS $$ SELECT $2 $$;
\echo :LAST_ERROR_SQLSTATE
CREATE FUNCTION f(a int) RETURNS int LANGUAGE concresce AS $$ SELECT 1 WHERE x = ANY (collect(b)) $$;
\echo :LAST_ERROR_SQLSTATE
CREATE FUNCTION f(a int) RETURNS int LANGUAGE concresce AS $$ CREATE TABLE t AS SELECT collect(a) $$;
CREATE FUNCTION f(a int) RETURNS int LANGUAGE concresce AS $$ TRUNCATE t; SELECT collect(a) $$;
-- no SQL-standard body
CREATE FUNCTION f(a int) RETURNS int LANGUAGE concresce RETURN a;

-- texts that would leave the brackets
CREATE TABLE precious (a int);
CREATE FUNCTION f(a int) RETURNS int LANGUAGE concresce AS $$ SELECT 1) q; DROP TABLE x; -- $$;
CREATE FUNCTION f(a int) RETURNS int LANGUAGE concresce AS $$ SELECT 1) q; DROP TABLE x; /* $$;
CREATE FUNCTION f(a int) RETURNS int LANGUAGE concresce AS $$ SELECT 1) q, LATERAL (SELECT 2 $$;
CREATE FUNCTION f(a int) RETURNS int LANGUAGE concresce AS $$ SELECT (collect(a)); DROP TABLE x -- $$;
CREATE FUNCTION f(a int) RETURNS int LANGUAGE concresce AS $$ SELECT 'a $$;
CREATE FUNCTION f(a int) RETURNS int LANGUAGE concresce AS $f$ SELECT $$a $f$;
CREATE FUNCTION f(a int) RETURNS int LANGUAGE concresce AS $$ SELECT 1 /* $$;
-- names and values that would
CREATE FUNCTION "q"") (; --"("a"") (; --" text) RETURNS text LANGUAGE concresce STABLE
AS $$ SELECT "a"") (; --" || $1 $$;
SELECT "q"") (; --"('''; DROP TABLE precious; --');
CREATE FUNCTION bulk_text(a text) RETURNS text LANGUAGE concresce STABLE
AS $$ SELECT x, x || '!' FROM unnest(collect(a)) x $$;
SELECT bulk_text('''}''; DROP TABLE precious; --'), bulk_text('{"');
-- strings are read as the far side reads them; from 19 on there is no other way
DO $$
BEGIN
  SET escape_string_warning = off;
  SET standard_conforming_strings = off;
EXCEPTION WHEN undefined_object THEN NULL;
END $$;
CREATE FUNCTION f(a int) RETURNS text LANGUAGE concresce AS $$ SELECT '\') q, (SELECT 1 -- ' $$;
CREATE FUNCTION backslash(a int) RETURNS text LANGUAGE concresce AS $$ SELECT '\' || a || '\' $$;
SELECT backslash(1);
SET standard_conforming_strings = on;
SELECT count(*) FROM precious;

-- bodies are checked when called, too
SET check_function_bodies = off;
CREATE FUNCTION f(a int) RETURNS int LANGUAGE concresce AS $$ SELECT a FORM t $$;
CREATE FUNCTION g(a int) RETURNS int LANGUAGE concresce AS $$ SELECT 1; SELECT 2 $$;
CREATE FUNCTION h(a anyelement) RETURNS int LANGUAGE concresce AS $$ SELECT 1 $$;
CREATE FUNCTION i() RETURNS trigger LANGUAGE concresce AS $$ SELECT 1 $$;
CREATE PROCEDURE j(a int) LANGUAGE concresce AS $$ SELECT 1 $$;
CREATE FUNCTION k(a int) RETURNS int LANGUAGE concresce AS $$ SELECT 1) q; DROP TABLE precious; -- $$;
RESET check_function_bodies;
SELECT f(1);
\echo :LAST_ERROR_SQLSTATE
SELECT g(1);
SELECT h(1);
CREATE TRIGGER t BEFORE INSERT ON precious FOR EACH ROW EXECUTE FUNCTION i();
INSERT INTO precious VALUES (1);
\echo :LAST_ERROR_SQLSTATE
CALL j(1);
SELECT k(1);
SELECT concresce.remote_sql('g');
SELECT count(*) FROM precious;

-- functions about lookups want lookups
SELECT concresce.remote_sql('upper(text)'::regprocedure);
SELECT concresce.remote_sql('abs');
SELECT concresce.remote_sql('pg_typeof');
\echo :LAST_ERROR_SQLSTATE
SELECT concresce.remote_sql(0);
\echo :LAST_ERROR_SQLSTATE
SELECT concresce.remote_sql(NULL);
SELECT concresce.forget('pg_typeof', 1);
SELECT concresce.forget_all('pg_typeof');
CREATE FUNCTION l(a int, b date) RETURNS int LANGUAGE concresce STABLE AS $$ SELECT a $$;
SELECT concresce.forget('l', 1);
\echo :LAST_ERROR_SQLSTATE
SELECT concresce.forget('l', 1, 2);
\echo :LAST_ERROR_SQLSTATE
SELECT concresce.forget('l', 1, 'x');
SELECT concresce.forget('l', 1, '2026-02-03');
SELECT concresce.forget('l', 1::smallint, NULL);
SELECT concresce.forget('l', VARIADIC '{1,2}'::int[]);
SELECT concresce.forget_all('l'), concresce.forget_all();

DROP TABLE precious;
DROP FUNCTION f, g, h, i, k, l, backslash, bulk_text, "q"") (; --";
DROP PROCEDURE j;
DROP SERVER far CASCADE;
DROP SCHEMA far CASCADE;

-- a server that does not exist is no error, but may be a mistyped name
SET client_min_messages = notice;
CREATE FUNCTION mistyped(a int) RETURNS int LANGUAGE concresce SET concresce.server = 'no_such_server' AS 'SELECT a';
SET check_function_bodies = off;
CREATE OR REPLACE FUNCTION mistyped(a int) RETURNS int LANGUAGE concresce SET concresce.server = 'no_such_server' AS 'SELECT a';
RESET check_function_bodies;
CREATE OR REPLACE FUNCTION mistyped(a int) RETURNS int LANGUAGE concresce SET concresce.server = '' AS 'SELECT a';
DROP FUNCTION mistyped;
