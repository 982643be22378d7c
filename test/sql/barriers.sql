--
-- Lookups in policies, security barrier views and check options, and beside them.
--
SET client_min_messages = warning;
CREATE SCHEMA far;
CREATE ROLE regress_ccr_reader;
DO $$
BEGIN
  EXECUTE format('CREATE SERVER far FOREIGN DATA WRAPPER concresce '
                 'OPTIONS (host %L, port %L, dbname %L, options %L)',
                 split_part(current_setting('unix_socket_directories'), ',', 1),
                 current_setting('port'), current_database(), '-csearch_path=far');
  EXECUTE format('CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (user %L, password_required ''false'')', current_user);
END $$;
GRANT USAGE ON FOREIGN SERVER far TO PUBLIC;
GRANT USAGE ON SCHEMA far TO PUBLIC;
CREATE TABLE far.known (id int);
INSERT INTO far.known VALUES (1), (2);
CREATE FUNCTION knows(n int) RETURNS bool LANGUAGE concresce STABLE AS 'SELECT true FROM known WHERE id = n LIMIT 1';
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT 2 * id FROM known WHERE id = n LIMIT 1';
CREATE FUNCTION constant(n int) RETURNS int LANGUAGE concresce IMMUTABLE AS 'SELECT n';
CREATE FUNCTION twice_within(n int) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN twice(n); END';
CREATE TABLE docs (id int);
INSERT INTO docs VALUES (1), (2), (3);
GRANT SELECT, INSERT, UPDATE ON docs TO PUBLIC;
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
SET concresce.server = 'far';

-- refused when it is planned, with the name of what is missing
CREATE POLICY p ON docs USING (knows(id));
SELECT count(*) FROM docs;
SET ROLE regress_ccr_reader;
SELECT count(*) FROM docs;
EXPLAIN SELECT count(*) FROM docs WHERE false;
PREPARE kept AS SELECT count(*) FROM docs;
EXECUTE kept;
UPDATE docs SET id = 1;
SELECT EXISTS (SELECT FROM docs);
WITH d AS MATERIALIZED (SELECT * FROM docs) SELECT * FROM d;
RESET ROLE;
ALTER FUNCTION knows SET concresce.server = '';
SET ROLE regress_ccr_reader;
EXECUTE kept;
RESET ROLE;
ALTER FUNCTION knows SET search_path = far, pg_temp;
GRANT SELECT ON far.known TO PUBLIC;
SET ROLE regress_ccr_reader;
EXECUTE kept;
RESET ROLE;
ALTER FUNCTION knows SET concresce.server = 'far';
ALTER FUNCTION knows RESET search_path;
SET ROLE regress_ccr_reader;
EXECUTE kept;
-- the pin is taken away while a plan is kept
RESET ROLE;
ALTER FUNCTION knows RESET concresce.server;
SET ROLE regress_ccr_reader;
EXECUTE kept;
RESET ROLE;
ALTER FUNCTION knows SET concresce.server = 'far';

-- the statement's own calls go where the session says, by each path and in any part of it
SET ROLE regress_ccr_reader;
SELECT id, twice(id) FROM docs WHERE twice(id) > 0 ORDER BY twice(id);
SET concresce.enable_batchscan = off;
SELECT id, twice(id) FROM docs WHERE twice(id) > 0 ORDER BY twice(id);
RESET concresce.enable_batchscan;
SELECT d.id, t FROM docs d, twice(d.id) t;
SELECT sum(twice(id)) FROM docs;
SELECT id, (SELECT twice(d.id)) FROM docs d WHERE twice(1) = 2;
SELECT id, concresce.await(concresce.submit('twice', id)) FROM docs;
INSERT INTO docs VALUES (twice(1)) RETURNING twice(id);
BEGIN;
DECLARE c CURSOR FOR SELECT id, twice(id) FROM docs;
FETCH 1 FROM c;
FETCH 1 FROM c;
COMMIT;
DO $$ BEGIN RAISE WARNING '%', (SELECT sum(twice(id)) FROM docs); END $$;
-- what is computed beforehand would be part of the plan
SELECT id FROM docs WHERE constant(1) = 1;
-- on_missing is the session's for them, but not for the policy
SET concresce.on_missing = error;
SELECT id, twice(id) FROM docs;
SELECT id, twice(id + 1) FROM docs;
SET concresce.enable_batchscan = off;
SELECT id, twice(id + 1) FROM docs;
RESET concresce.enable_batchscan;
RESET concresce.on_missing;
-- those of functions do not
SELECT id, twice_within(id) FROM docs;
SELECT twice_within(1);
RESET ROLE;
-- nor where one has become part of the statement, and calls just what that calls
CREATE FUNCTION twice_inlined(n int) RETURNS int LANGUAGE sql STABLE AS 'SELECT twice(n)';
SET ROLE regress_ccr_reader;
SELECT id, twice(id), twice_inlined(id) FROM docs;
SELECT id FROM docs WHERE twice(id) > 0 AND twice_inlined(id) > 0;
SELECT d.id, t, u FROM docs d, LATERAL twice(d.id) t, LATERAL twice_inlined(d.id) u;
SELECT sum(twice(id)), max(twice_inlined(id)) FROM docs;
RESET ROLE;
DROP FUNCTION twice_inlined;
-- unless nobody but the owner of the database has said so
ALTER FUNCTION twice SET concresce.server = 'far';
SET ROLE regress_ccr_reader;
SELECT id, twice_within(id) FROM docs;
RESET ROLE;
ALTER FUNCTION twice RESET concresce.server;

-- triggers keep nothing back
CREATE FUNCTION local_sum(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT n + 1';
CREATE FUNCTION trigger_function() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE WARNING '% %: %', tg_when, new.id, twice(new.id);
  PERFORM concresce.submit('local_sum', 1);
  RETURN new;
END $$;
CREATE TRIGGER b BEFORE INSERT ON docs FOR EACH ROW EXECUTE FUNCTION trigger_function();
CREATE TRIGGER a AFTER INSERT ON docs FOR EACH ROW EXECUTE FUNCTION trigger_function();
SET ROLE regress_ccr_reader;
INSERT INTO docs VALUES (1);
INSERT INTO docs VALUES (7);
RESET ROLE;
DROP TRIGGER a ON docs;
DROP TRIGGER b ON docs;

-- a function that becomes part of the statement, and brings a policy or a barrier
ALTER FUNCTION knows RESET concresce.server;
CREATE FUNCTION visible() RETURNS SETOF int LANGUAGE sql STABLE AS 'SELECT id FROM docs';
CREATE FUNCTION numbers() RETURNS SETOF int LANGUAGE sql STABLE AS 'SELECT generate_series(1, 2)';
SET ROLE regress_ccr_reader;
SELECT * FROM visible();
SELECT n, twice(n) FROM numbers() n WHERE twice(1) = 2 AND twice_within(1) = 2 AND constant(1) = 1;
SELECT n, twice(n) FROM numbers() n, visible() v;
RESET ROLE;
ALTER FUNCTION knows SET concresce.server = 'far';
SET ROLE regress_ccr_reader;
SELECT v, twice(v) FROM visible() v;
SELECT v FROM visible() v WHERE constant(1) = 1;
RESET ROLE;
-- for the owner of the table there is no policy, but the statement is taken for one that has
SELECT v, twice(v) FROM visible() v;
DROP FUNCTION visible, numbers;

-- views: a security barrier is one wherever it is, and for everybody
CREATE VIEW plain AS SELECT id, twice(id) FROM docs;
CREATE VIEW barrier WITH (security_barrier) AS SELECT id, twice(id) FROM docs WHERE id < 3;
CREATE VIEW over_it AS SELECT * FROM barrier;
CREATE VIEW checked AS SELECT id FROM far.known WHERE twice(id) > 0 WITH CHECK OPTION;
SELECT count(*) FROM plain;
SELECT count(*) FROM barrier;
SELECT count(*) FROM over_it;
SELECT 1 WHERE EXISTS (SELECT FROM over_it);
SELECT count(*) FROM checked;
INSERT INTO checked VALUES (1);
ALTER FUNCTION twice SET concresce.server = 'far';
SELECT count(*) FROM over_it;
INSERT INTO checked VALUES (3);
\echo :LAST_ERROR_SQLSTATE
INSERT INTO checked VALUES (1);
ALTER FUNCTION twice RESET concresce.server;

-- a search_path that somebody has set on the way is not the lookup's own
RESET concresce.server;
CREATE FUNCTION here(n int) RETURNS bool LANGUAGE concresce STABLE SET concresce.server = ''
AS 'SELECT EXISTS (SELECT FROM known WHERE id = n)';
CREATE FUNCTION here_within(n int) RETURNS bool LANGUAGE plpgsql STABLE AS 'BEGIN RETURN here(n); END';
DROP POLICY p ON docs;
CREATE POLICY p ON docs USING (here_within(id));
CREATE SCHEMA theft AUTHORIZATION regress_ccr_reader;
SET ROLE regress_ccr_reader;
CREATE TABLE theft.known AS SELECT generate_series(1, 3) AS id;
CREATE VIEW theft.screen WITH (security_barrier) AS SELECT id FROM theft.known;
CREATE FUNCTION theft.all_docs() RETURNS bigint LANGUAGE plpgsql SET search_path = theft, public
AS 'BEGIN RETURN (SELECT count(*) FROM docs); END';
SET search_path = public;
WITH a AS MATERIALIZED (SELECT set_config('search_path', 'theft, public', false) AS s)
SELECT d.* FROM a, LATERAL (SELECT * FROM docs WHERE s IS NOT NULL OFFSET 0) d;
\set VERBOSITY terse
SELECT theft.all_docs();
SELECT theft.all_docs() FROM theft.screen;
\set VERBOSITY default
RESET search_path;
RESET ROLE;
DROP SCHEMA theft CASCADE;
DROP POLICY p ON docs;
CREATE POLICY p ON docs USING (knows(id));
DROP FUNCTION here, here_within;
SET concresce.server = 'far';

-- whom the lookup asks is pinned, as whom is not: that is for the mapping of its role, unless it is SECURITY DEFINER
CREATE ROLE regress_ccr_far LOGIN SUPERUSER;
CREATE ROLE regress_ccr_other LOGIN SUPERUSER;
CREATE TABLE far.allowed (who name, id int);
INSERT INTO far.allowed VALUES ('regress_ccr_far', 1), ('regress_ccr_other', 1), ('regress_ccr_other', 2);
CREATE FUNCTION allowed(n int) RETURNS bool LANGUAGE concresce STABLE SET concresce.server = 'far'
AS 'SELECT true FROM allowed a WHERE a.who = current_user AND a.id = n';
DO $$ BEGIN
  EXECUTE format('CREATE USER MAPPING FOR %I SERVER far OPTIONS (user ''regress_ccr_far'', password_required ''false'')', current_user);
END $$;
CREATE USER MAPPING FOR regress_ccr_reader SERVER far OPTIONS (user 'regress_ccr_other', password_required 'false');
DROP POLICY p ON docs;
CREATE POLICY p ON docs USING (allowed(id));
SET ROLE regress_ccr_reader;
SELECT DISTINCT id FROM docs ORDER BY id;
RESET ROLE;
ALTER FUNCTION allowed SECURITY DEFINER;
SET ROLE regress_ccr_reader;
SELECT DISTINCT id FROM docs ORDER BY id;
RESET ROLE;
DROP POLICY p ON docs;
CREATE POLICY p ON docs USING (knows(id));
DROP FUNCTION allowed;
DROP USER MAPPING FOR regress_ccr_reader SERVER far;
DROP USER MAPPING FOR CURRENT_USER SERVER far;

-- parallel workers: what is pinned, and nothing else
ALTER FUNCTION knows PARALLEL SAFE;
ALTER FUNCTION twice PARALLEL SAFE;
GRANT SELECT ON docs TO PUBLIC;
SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SET ROLE regress_ccr_reader;
SELECT sum(id) FROM docs;
SELECT sum(twice(id)) FROM docs;
RESET ROLE;

DROP VIEW plain, over_it, barrier, checked;
DROP TABLE docs;
DROP FUNCTION knows, twice, constant, twice_within, trigger_function, local_sum;
DROP SERVER far CASCADE;
DROP SCHEMA far CASCADE;
DROP ROLE regress_ccr_reader, regress_ccr_far, regress_ccr_other;
