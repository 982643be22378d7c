--
-- Nothing is put off by code that runs in a security-restricted operation:
-- whoever owns a table would leave it to the transaction of whoever looks
-- after that table.
--
\set VERBOSITY terse
SET client_min_messages = warning;
\getenv srcdir PG_ABS_SRCDIR
\set play :srcdir '/lib/play.sql'
\set ECHO none
\i :play
\set ECHO all
CREATE ROLE regress_ccr_owner;
GRANT CREATE, USAGE ON SCHEMA public TO regress_ccr_owner;
GRANT USAGE ON FOREIGN SERVER far TO regress_ccr_owner;
CREATE USER MAPPING FOR regress_ccr_owner SERVER far OPTIONS (password_required 'false');
DO $$ BEGIN EXECUTE format('ALTER USER MAPPING FOR regress_ccr_owner SERVER far OPTIONS (ADD user %L)', current_user); END $$;
CREATE TABLE far.noted (what text COLLATE "C");
CREATE FUNCTION note(what text) RETURNS void LANGUAGE concresce VOLATILE SET concresce.server = 'far'
AS $$ INSERT INTO noted SELECT unnest(collect(what)) $$;
CREATE FUNCTION echo(what text) RETURNS text LANGUAGE concresce STABLE SET concresce.server = 'far' AS 'SELECT what';
-- What has arrived since the last look.
CREATE FUNCTION arrived() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  result text;
BEGIN
  PERFORM concresce.flush();
  WITH gone AS (DELETE FROM far.noted RETURNING what)
  SELECT string_agg(what, ', ' ORDER BY what) INTO result FROM gone;
  RETURN result;
END $$;

-- what the owner's code does, whoever has it run
CREATE FUNCTION put_off(how text, n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF how = 'enqueue' THEN
    PERFORM concresce.enqueue('public.note', 'row ' || n);
  ELSIF how = 'submit' THEN
    PERFORM concresce.submit('public.echo', 'row ' || n);
  ELSIF how = 'call' THEN
    PERFORM public.echo('row ' || n);
  END IF;
  RETURN n;
END $$;
CREATE TABLE t (how text, n int);
ALTER TABLE t OWNER TO regress_ccr_owner;
ALTER FUNCTION put_off OWNER TO regress_ccr_owner;
CREATE INDEX t_index ON t (put_off(how, n));

-- an INSERT evaluates the index's expression as who inserts
INSERT INTO t VALUES ('enqueue', 1);
INSERT INTO t VALUES ('submit', 2);
SELECT arrived();
DELETE FROM t WHERE how = 'submit';

-- REINDEX, and all that builds an index, as its owner
REINDEX TABLE t;
\echo :LAST_ERROR_SQLSTATE
REINDEX INDEX t_index;
CREATE INDEX ON t (put_off(how, n + 1));
CLUSTER t USING t_index;
VACUUM FULL t;
ALTER TABLE t ALTER how TYPE varchar(10);
ANALYZE t;
CREATE MATERIALIZED VIEW m AS SELECT put_off('enqueue', 1);
CREATE MATERIALIZED VIEW m AS SELECT put_off(how, n) FROM t WITH NO DATA;
ALTER MATERIALIZED VIEW m OWNER TO regress_ccr_owner;
REFRESH MATERIALIZED VIEW m;
UPDATE t SET how = 'submit';
REINDEX TABLE t;
REFRESH MATERIALIZED VIEW m;

-- the owner is no exception: the flag is about the operation
SET ROLE regress_ccr_owner;
REINDEX TABLE t;
RESET ROLE;
-- nor is a function with rights of its own
CREATE FUNCTION definer(what text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN PERFORM concresce.enqueue('public.note', what); END $$;
CREATE FUNCTION through(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM public.definer('through'); RETURN n; END $$;
UPDATE t SET how = 'nothing';
CREATE INDEX t_through ON t (through(n));
-- caught, it is not done either
CREATE FUNCTION caught(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  PERFORM concresce.enqueue('public.note', 'caught');
  RETURN n;
EXCEPTION WHEN insufficient_privilege THEN
  RETURN n;
END $$;
CREATE INDEX t_caught ON t (caught(n));
SELECT arrived();
-- a plain call puts nothing off
DROP INDEX t_caught;
UPDATE t SET how = 'call';
REINDEX TABLE t;
SELECT arrived();

-- deferred triggers, cursors and functions with rights of their own are not restricted
CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN PERFORM concresce.enqueue('note', 'deferred'); RETURN NULL; END $$;
CREATE TABLE d (n int);
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON d DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION later();
INSERT INTO d VALUES (1);
SELECT definer('definer');
SELECT arrived();

-- a local executor is restricted by itself, which is not meant
CREATE FUNCTION locally(command text) RETURNS text LANGUAGE concresce VOLATILE SET concresce.server = ''
AS $$ SELECT run(command) $$;
CREATE FUNCTION run(command text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN EXECUTE command; RETURN 'done'; END $$;
SELECT locally($$SELECT concresce.enqueue('note', 'local')$$);
SELECT locally($$SELECT definer('local definer')$$);
SELECT locally($$SELECT concresce.await(concresce.submit('echo', 'x'))$$);
SELECT comes($$count(*) = 2 FROM far.noted$$);
SELECT arrived();
-- what its body enters is
UPDATE t SET how = 'enqueue';
SELECT arrived();
SELECT locally('REINDEX TABLE t');
SELECT locally('CREATE INDEX ON t (put_off(how, n + 2))');
SELECT locally('REFRESH MATERIALIZED VIEW m');
UPDATE t SET how = 'submit';
SELECT locally('ANALYZE t');
SELECT locally('REINDEX TABLE t');
SET ROLE regress_ccr_owner;
SELECT locally('REINDEX TABLE t');
RESET ROLE;
-- and it has an end
CREATE FUNCTION tries() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  BEGIN
    REINDEX TABLE t;
  EXCEPTION WHEN insufficient_privilege THEN
    PERFORM concresce.enqueue('note', 'after it');
  END;
  RETURN 'done';
END $$;
SELECT locally('SELECT tries()');
SELECT comes($$count(*) = 1 FROM far.noted$$);
SELECT arrived();

-- functions that compute an index as its owner
CREATE TABLE ranges (LIKE t);
ALTER TABLE ranges OWNER TO regress_ccr_owner;
CREATE INDEX ranges_index ON ranges USING brin (put_off(how, n));
INSERT INTO ranges VALUES ('enqueue', 1);
SELECT brin_desummarize_range('ranges_index', 0);
SELECT brin_summarize_new_values('ranges_index');
SELECT brin_desummarize_range('ranges_index', 0);
SELECT locally($$SELECT brin_desummarize_range('ranges_index', 0);
SELECT brin_summarize_new_values('ranges_index')$$);
SELECT brin_desummarize_range('ranges_index', 0);
SELECT locally($$SELECT brin_desummarize_range('ranges_index', 0);
SELECT brin_summarize_range('ranges_index', 0)$$);
SELECT brin_desummarize_range('ranges_index', 0);
SELECT locally($$DO 'BEGIN PERFORM brin_summarize_new_values(''ranges_index''); END'$$);
UPDATE ranges SET how = 'submit';
SELECT brin_desummarize_range('ranges_index', 0);
SELECT locally($$SELECT brin_desummarize_range('ranges_index', 0);
SELECT brin_summarize_new_values('ranges_index')$$);
UPDATE ranges SET how = 'nothing';
SELECT brin_desummarize_range('ranges_index', 0);
SELECT locally($$SELECT brin_desummarize_range('ranges_index', 0);
SELECT brin_summarize_new_values('ranges_index')$$);
SELECT arrived();
-- the next job is not restricted
SELECT locally($$SELECT concresce.enqueue('note', 'local')$$);
SELECT comes($$count(*) = 1 FROM far.noted$$);
SELECT arrived();

DROP MATERIALIZED VIEW m;
DROP TABLE t, d, ranges CASCADE;
DROP FUNCTION note, echo, arrived, put_off, definer, through, caught, later, locally, run, tries;
REVOKE ALL ON SCHEMA public FROM regress_ccr_owner;
CALL clean_up();
DROP ROLE regress_ccr_owner;
