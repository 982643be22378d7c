--
-- enqueue() of local lookups, and where enqueue() is called from.
--
SET client_min_messages = warning;
CREATE TABLE noted (what text COLLATE "C", n int);
CREATE FUNCTION note(what text, n int) RETURNS void LANGUAGE concresce
AS $$ INSERT INTO noted SELECT * FROM unnest(collect(what), collect(n)) $$;
-- What has arrived since the last look.
CREATE FUNCTION arrived(OUT flushed bigint, OUT what text) LANGUAGE plpgsql AS $$
BEGIN
  flushed := concresce.flush();
  SELECT string_agg(concat_ws(' ', noted.what, n), ', ' ORDER BY noted.what, n) INTO what FROM noted;
  DELETE FROM noted;
END $$;
SELECT concresce.enqueue('note', 'a', 1);
SELECT * FROM arrived();

-- the search_path is that of the session as it enqueues
CREATE SCHEMA one;
CREATE SCHEMA two;
CREATE TABLE one.events (n int);
CREATE TABLE two.events (n int);
CREATE FUNCTION log_event(n int) RETURNS void LANGUAGE concresce AS $$ INSERT INTO events SELECT unnest(collect(n)) $$;
SET search_path = one, public;
SELECT concresce.enqueue('log_event', 1);
SET search_path = two, public;
SELECT concresce.enqueue('log_event', 2);
BEGIN;
SELECT concresce.enqueue('log_event', 3);
SET LOCAL search_path = one, public;
SELECT concresce.enqueue('log_event', 4);
COMMIT;
RESET search_path;
SELECT concresce.flush();
SELECT array_agg(n ORDER BY n) FROM one.events;
SELECT array_agg(n ORDER BY n) FROM two.events;

-- a local lookup that enqueues: not another local one, whoever runs it
CREATE FUNCTION in_turn(n int) RETURNS void LANGUAGE concresce AS $$ SELECT concresce.enqueue('note', 'in turn', u) FROM unnest(collect(n)) u $$;
SELECT concresce.enqueue('in_turn', 1);
SELECT concresce.flush();
SELECT * FROM arrived();

-- arguments that are lookups
CREATE FUNCTION double(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT 2 * n';
SELECT count(concresce.enqueue('note', 'double', double(i))) FROM generate_series(1, 4) i;
SELECT * FROM arrived();

-- a parallel worker has no commit; the leader has
CREATE TABLE many AS SELECT i FROM generate_series(1, 100) i;
ALTER TABLE many SET (parallel_workers = 2);
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
CREATE FUNCTION noting(n int) RETURNS int LANGUAGE plpgsql PARALLEL SAFE AS $$
BEGIN
  PERFORM concresce.enqueue('note', 'parallel', n);
  RETURN n;
END $$;
\set VERBOSITY terse
SELECT sum(noting(i)) FROM many;
\set VERBOSITY default
ALTER FUNCTION noting PARALLEL RESTRICTED;
SELECT noting(sum(i)::int) FROM many;
SELECT * FROM arrived();
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET parallel_leader_participation;

-- many lookups in turns: each has one lane, and few requests
DO $$
BEGIN
  FOR i IN 1 .. 40 LOOP
    EXECUTE format('CREATE FUNCTION note_%s(n int) RETURNS void LANGUAGE concresce
                    AS $f$ INSERT INTO noted SELECT ''note_%s'', unnest(collect(n)) $f$', i, i);
  END LOOP;
END $$;
BEGIN;
SELECT count(concresce.enqueue(('note_' || 1 + i % 40)::regproc, i)) FROM generate_series(1, 8000) i;
SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'concresce lane' HAVING count(*) > 60;
COMMIT;
SELECT concresce.flush();
SELECT count(*), count(DISTINCT n), count(DISTINCT what) FROM noted;
SELECT sum(batches) < 200 AS few FROM concresce.stats WHERE function::text LIKE 'note\_%';
DELETE FROM noted;

-- the role is dropped before its items are sent: they never could be
CREATE ROLE regress_ccr_leaver;
CREATE FUNCTION leaver_waits(n int) RETURNS void LANGUAGE concresce AS $$ INSERT INTO noted SELECT 'left', unnest(collect(n)) $$;
SET concresce.max_window = '60s';
SET ROLE regress_ccr_leaver;
SELECT count(concresce.enqueue('leaver_waits', i)) FROM generate_series(1, 3) i;
RESET ROLE;
DROP ROLE regress_ccr_leaver;
SELECT concresce.flush();
SELECT concresce.stop('leaver_waits'), concresce.start('leaver_waits');
RESET concresce.max_window;
SELECT calls, errors, discarded, queued, active FROM concresce.stats WHERE function = 'leaver_waits(int)'::regprocedure;

-- nothing stays behind
SELECT concresce.flush();
CREATE FUNCTION at_rest() RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1 .. 3000 LOOP
    EXIT WHEN (SELECT used = 0 FROM concresce.memory());
    PERFORM pg_sleep(0.01);
  END LOOP;
  RETURN (SELECT used = 0 FROM concresce.memory());
END $$;
SELECT at_rest();

DO $$
BEGIN
  FOR i IN 1 .. 40 LOOP
    EXECUTE format('DROP FUNCTION note_%s', i);
  END LOOP;
END $$;
DROP FUNCTION note, arrived, log_event, in_turn, double, noting, leaver_waits, at_rest;
DROP SCHEMA one, two CASCADE;
DROP TABLE noted, many;
