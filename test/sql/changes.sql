--
-- What is altered takes effect with the next call.
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
-- calls one after the other, over one connection
SET concresce.enable_batchscan = off;

CREATE TABLE far.t (id int PRIMARY KEY, v int);
INSERT INTO far.t VALUES (1, 10), (2, 20);
CREATE SCHEMA far2;
CREATE TABLE far2.t (id int PRIMARY KEY, v int);
INSERT INTO far2.t VALUES (1, 11), (2, 22);

-- a definition goes through pg_get_functiondef() unchanged
CREATE FUNCTION v(id int, "odd ""name""" text DEFAULT 'x''y') RETURNS TABLE (a int, b text)
LANGUAGE concresce STABLE STRICT SECURITY DEFINER COST 7 ROWS 3 PARALLEL RESTRICTED
SET concresce.server = 'far' SET concresce.max_window = '500us' SET concresce.key = 'id, lower("odd ""name""")'
AS $$ SELECT v, "odd ""name""" FROM t WHERE t.id = v.id -- end
$$;
SELECT pg_get_functiondef('v'::regproc);
SELECT pg_get_functiondef('v'::regproc) AS def \gset
SELECT * FROM v(1);
DROP FUNCTION v;
:def;
SELECT pg_get_functiondef('v'::regproc) = :'def' AS same;
SELECT * FROM v(2, 'z');
DROP FUNCTION v;

-- CREATE OR REPLACE, DROP and CREATE, ALTER ... RENAME, SET SCHEMA
CREATE FUNCTION v(id int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT v FROM t WHERE t.id = v.id';
PREPARE p AS SELECT v(1);
EXECUTE p;
CREATE OR REPLACE FUNCTION v(id int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT v + 1 FROM t WHERE t.id = v.id';
EXECUTE p;
CREATE OR REPLACE FUNCTION v(id int) RETURNS int LANGUAGE concresce STABLE
AS 'SELECT id, v + 2 FROM t WHERE id = ANY (collect(id))';
EXECUTE p;
CREATE OR REPLACE FUNCTION v(id int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT v.id';
EXECUTE p;
ALTER FUNCTION v RENAME TO w;
\set VERBOSITY terse
EXECUTE p;
\set VERBOSITY default
SELECT w(1);
ALTER FUNCTION w RENAME TO v;
DROP FUNCTION v;
\set VERBOSITY terse
EXECUTE p;
\set VERBOSITY default
CREATE FUNCTION v(id int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT v FROM t WHERE t.id = v.id';
EXECUTE p;
CREATE OR REPLACE FUNCTION v(id int) RETURNS int LANGUAGE sql STABLE AS 'SELECT -id';
EXECUTE p;
CREATE OR REPLACE FUNCTION v(id int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT v FROM t WHERE t.id = v.id';
EXECUTE p;
-- within a transaction that is rolled back
BEGIN;
CREATE OR REPLACE FUNCTION v(id int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT -v FROM t WHERE t.id = v.id';
EXECUTE p;
ROLLBACK;
EXECUTE p;
-- while it runs
CREATE FUNCTION replace_it(i int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE OR REPLACE FUNCTION v(id int) RETURNS int LANGUAGE concresce STABLE AS ''SELECT %s''', i);
  RETURN i;
END $$;
SELECT i, v(replace_it(i)) FROM generate_series(1, 3) i;
CREATE OR REPLACE FUNCTION v(id int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT v FROM t WHERE t.id = v.id';

-- settings of the function
EXECUTE p;
ALTER FUNCTION v SET concresce.server = 'far_2';
EXECUTE p;
DO $$
BEGIN
  EXECUTE format('CREATE SERVER far_2 FOREIGN DATA WRAPPER concresce '
                 'OPTIONS (host %L, port %L, dbname %L, options %L)',
                 split_part(current_setting('unix_socket_directories'), ',', 1),
                 current_setting('port'), current_database(), '-csearch_path=far2');
END $$;
\set VERBOSITY sqlstate
EXECUTE p;
\set VERBOSITY default
CREATE USER MAPPING FOR CURRENT_USER SERVER far_2;
EXECUTE p;
ALTER FUNCTION v RESET concresce.server;
EXECUTE p;
ALTER FUNCTION v SET concresce.on_missing = 'error';
SELECT v(3);
ALTER FUNCTION v RESET ALL;
SELECT v(3);
ALTER FUNCTION v STRICT;
SELECT v(NULL);
ALTER FUNCTION v VOLATILE;
EXECUTE p;

-- the session's server
SET concresce.server = 'far_2';
EXECUTE p;
SET concresce.server = 'far';
EXECUTE p;
BEGIN;
SET LOCAL concresce.server = 'far_2';
EXECUTE p;
ROLLBACK;
EXECUTE p;

-- options of the server, of the user mapping; a new server of the same name
ALTER SERVER far OPTIONS (SET options '-csearch_path=far2');
EXECUTE p;
ALTER SERVER far OPTIONS (SET options '-csearch_path=far');
EXECUTE p;
ALTER SERVER far OPTIONS (SET dbname 'regress_ccr_nowhere');
\set VERBOSITY sqlstate
EXECUTE p;
\set VERBOSITY default
DO $$
BEGIN
  EXECUTE format('ALTER SERVER far OPTIONS (SET dbname %L)', current_database());
END $$;
EXECUTE p;
CREATE ROLE regress_ccr_changed LOGIN;
GRANT USAGE ON SCHEMA far TO regress_ccr_changed;
CREATE FUNCTION who() RETURNS text LANGUAGE concresce STABLE AS 'SELECT current_user';
SELECT who() = current_user AS myself;
ALTER USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (user 'regress_ccr_changed');
SELECT who();
EXECUTE p;
ALTER USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (DROP user);
EXECUTE p;
DROP USER MAPPING FOR CURRENT_USER SERVER far;
\set VERBOSITY sqlstate
EXECUTE p;
\set VERBOSITY default
CREATE USER MAPPING FOR CURRENT_USER SERVER far;
ALTER SERVER far RENAME TO moved;
EXECUTE p;
SET concresce.server = 'moved';
EXECUTE p;
ALTER SERVER moved RENAME TO far;
SET concresce.server = 'far';
EXECUTE p;
REVOKE USAGE ON SCHEMA far FROM regress_ccr_changed;
DROP ROLE regress_ccr_changed;

-- types of ours: attributes, domains, enums
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN small AS int CHECK (VALUE < 100);
CREATE TYPE mood AS ENUM ('sad');
CREATE FUNCTION pair(a int) RETURNS pair LANGUAGE concresce STABLE AS $$ SELECT a, 'b' $$;
CREATE FUNCTION pairs(a int) RETURNS SETOF pair LANGUAGE concresce STABLE AS $$ SELECT a, 'b' $$;
CREATE FUNCTION small(a int) RETURNS small LANGUAGE concresce STABLE AS 'SELECT a';
CREATE FUNCTION take_small(a small) RETURNS int LANGUAGE concresce STABLE AS 'SELECT a';
CREATE FUNCTION mood(a text) RETURNS mood LANGUAGE concresce STABLE AS 'SELECT a';
CREATE FUNCTION take_mood(a mood) RETURNS text LANGUAGE concresce STABLE AS 'SELECT a';
SELECT pair(1), small(50), take_small(50), mood('sad'::text), take_mood('sad');
ALTER TYPE pair ADD ATTRIBUTE c date;
SELECT pair(1);
SELECT * FROM pairs(1);
CREATE OR REPLACE FUNCTION pair(a int) RETURNS pair LANGUAGE concresce STABLE AS $$ SELECT a, 'b', '2026-02-03' $$;
SELECT pair(1);
ALTER TYPE pair DROP ATTRIBUTE b;
SELECT pair(1);
ALTER TYPE pair ALTER ATTRIBUTE c TYPE text;
CREATE OR REPLACE FUNCTION pair(a int) RETURNS pair LANGUAGE concresce STABLE AS $$ SELECT a, 'c' $$;
SELECT pair(1);
ALTER DOMAIN small ADD CONSTRAINT smaller CHECK (VALUE < 50);
SELECT small(50);
SELECT take_small(50);
ALTER DOMAIN small DROP CONSTRAINT smaller;
SELECT small(50);
ALTER DOMAIN small SET NOT NULL;
SELECT small(NULL::int);
ALTER TYPE mood ADD VALUE 'happy';
SELECT mood('happy'::text), take_mood('happy');
ALTER TYPE mood RENAME VALUE 'happy' TO 'glad';
SELECT mood('glad'::text), take_mood('glad');
ALTER TYPE mood SET SCHEMA far;
SELECT mood('sad'::text), take_mood('sad');

-- the far side's tables: "cached plan must not change result type" heals
CREATE FUNCTION typed(id int) RETURNS text LANGUAGE concresce STABLE AS 'SELECT v FROM t WHERE t.id = typed.id';
CREATE FUNCTION typed_unprepared(id int) RETURNS text LANGUAGE concresce STABLE SET concresce.prepare = off
AS 'SELECT v FROM t WHERE t.id = typed_unprepared.id';
CREATE FUNCTION typed_bulk(id int) RETURNS text LANGUAGE concresce STABLE AS 'SELECT id, v FROM t WHERE id = ANY (collect(id))';
CREATE FUNCTION typed_int(id int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT v FROM t WHERE t.id = typed_int.id';
CREATE FUNCTION typed_write(id int) RETURNS int LANGUAGE concresce VOLATILE
AS 'UPDATE t SET id = id WHERE id = ANY (collect(id)) RETURNING id, v';
CREATE FUNCTION typed_int_unprepared(id int) RETURNS int LANGUAGE concresce STABLE SET concresce.prepare = off
AS 'SELECT v FROM t WHERE t.id = typed_int_unprepared.id';
CREATE FUNCTION typed_write_unprepared(id int) RETURNS int LANGUAGE concresce VOLATILE SET concresce.prepare = off
AS 'UPDATE t SET id = id WHERE id = ANY (collect(id)) RETURNING id, v';
CREATE FUNCTION star(id int) RETURNS far.t LANGUAGE concresce STABLE AS 'SELECT * FROM t WHERE t.id = star.id';
SELECT typed(1), typed_unprepared(1), typed_bulk(1), typed_int(1), typed_write(1), star(1),
  typed_int_unprepared(1), typed_write_unprepared(1);
ALTER TABLE far.t ALTER v TYPE bigint;
SELECT typed(1), typed_unprepared(1), typed_bulk(1), typed_int(1), typed_write(1), star(1);
SELECT typed_int_unprepared(1), typed_int_unprepared(1);
-- what may have had an effect is not sent again, and only asks for the shape anew
SELECT typed_write_unprepared(1);
SELECT typed_write_unprepared(1);
ALTER TABLE far.t ALTER v TYPE text USING 'no. ' || v;
SELECT typed(1), typed_unprepared(1), typed_bulk(1), star(1);
SELECT typed_int(1);
ALTER TABLE far.t ALTER v TYPE int USING 7;
SELECT typed(1), typed_unprepared(1), typed_bulk(1), typed_int(1), typed_write(1), star(1);
ALTER TABLE far.t ADD w int DEFAULT 5;
SELECT typed(1), typed_bulk(1), star(1);
ALTER TABLE far.t DROP v;
SELECT typed(1);
SELECT star(1);
ALTER TABLE far.t ADD v int DEFAULT 8;
SELECT typed(1), typed_int(1), star(1);
DROP FUNCTION star;
DROP TABLE far.t;
SELECT typed(1);
CREATE TABLE far.t AS SELECT 1 AS id, 'new' AS v;
SELECT typed(1), typed_unprepared(1), typed_bulk(1);

SELECT used FROM concresce.memory();
DEALLOCATE p;
DROP FUNCTION v, replace_it, who, pair, pairs, small, take_small, mood, take_mood, typed,
  typed_unprepared, typed_bulk, typed_int, typed_write, typed_int_unprepared, typed_write_unprepared;
DROP TYPE pair;
DROP DOMAIN small;
DROP SERVER far, far_2 CASCADE;
DROP SCHEMA far, far2 CASCADE;
