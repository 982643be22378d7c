--
-- enqueue(): items leave with the COMMIT, and only then.
--
SET client_min_messages = warning;
CREATE SCHEMA far;
CREATE TABLE far.events (kind text COLLATE "C", n numeric CHECK (n < 1000), seq int GENERATED ALWAYS AS IDENTITY);
DO $$
BEGIN
  EXECUTE format('CREATE SERVER far FOREIGN DATA WRAPPER concresce OPTIONS (host %L, port %L, dbname %L, options %L)',
                 split_part(current_setting('unix_socket_directories'), ',', 1),
                 current_setting('port'), current_database(), '-csearch_path=far');
END $$;
CREATE USER MAPPING FOR CURRENT_USER SERVER far;
SET client_min_messages = notice;
CREATE FUNCTION log_event(kind text, n numeric) RETURNS void LANGUAGE concresce SET concresce.server = 'far'
AS $$ INSERT INTO events (kind, n) SELECT * FROM unnest(collect(kind), collect(n)) $$;
CREATE FUNCTION log_strict(kind text, n numeric) RETURNS void LANGUAGE concresce STRICT SET concresce.server = 'far'
AS $$ INSERT INTO events (kind, n) SELECT * FROM unnest(collect(kind), collect(n)) $$;
CREATE FUNCTION far.log_one() RETURNS void LANGUAGE sql AS $$ INSERT INTO far.events (kind) VALUES ('nothing') $$;
CREATE FUNCTION log_nothing() RETURNS void LANGUAGE concresce SET concresce.server = 'far'
AS $$ SELECT log_one() $$;
-- What has arrived since the last look; batches fly side by side, in no order.
CREATE FUNCTION arrived(OUT flushed bigint, OUT events text) LANGUAGE plpgsql AS $$
BEGIN
  flushed := concresce.flush();
  SELECT string_agg(concat_ws(' ', kind, n), ', ' ORDER BY kind, n) INTO events FROM far.events;
  DELETE FROM far.events;
END $$;

-- one at a time, each its own transaction; numbers and unknown literals are coerced as in a call
SELECT concresce.enqueue('log_event', 'a', 1);
SELECT concresce.enqueue('log_event', 'b', 2::bigint);
SELECT concresce.enqueue('log_event', 'c'::name, '3.50');
SELECT concresce.enqueue('log_event', NULL, NULL);
SELECT concresce.enqueue('log_event', 'd', NULL::int);
SELECT * FROM arrived();
SELECT * FROM arrived();
-- STRICT and a NULL: nothing to do
SELECT concresce.enqueue('log_strict', 'a', NULL);
SELECT concresce.enqueue('log_strict', 'b', 1);
SELECT * FROM arrived();
-- COMMIT, ROLLBACK
BEGIN;
SELECT concresce.enqueue('log_event', 'committed', 1);
SELECT concresce.flush();
SELECT * FROM far.events;
COMMIT;
SELECT * FROM arrived();
BEGIN;
SELECT concresce.enqueue('log_event', 'rolled back', 1);
ROLLBACK;
BEGIN;
SELECT concresce.enqueue('log_event', 'failed', 1);
SELECT 1 / 0;
COMMIT;
SELECT * FROM arrived();
-- savepoints
BEGIN;
SELECT concresce.enqueue('log_event', 'kept', 1);
SAVEPOINT a;
SELECT concresce.enqueue('log_event', 'lost', 2);
ROLLBACK TO a;
SELECT concresce.enqueue('log_event', 'kept', 3);
SAVEPOINT b;
SELECT concresce.enqueue('log_event', 'kept', 4);
SAVEPOINT c;
SELECT concresce.enqueue('log_event', 'kept', 5);
RELEASE c;
SELECT concresce.enqueue('log_event', 'kept', 6);
RELEASE b;
SAVEPOINT d;
SAVEPOINT e;
SELECT concresce.enqueue('log_event', 'lost', 7);
RELEASE e;
ROLLBACK TO d;
SELECT concresce.enqueue('log_event', 'lost', 8);
ROLLBACK TO d;
SELECT concresce.enqueue('log_event', 'kept', 9);
COMMIT;
SELECT * FROM arrived();
DO $$
BEGIN
  FOR i IN 1 .. 9 LOOP
    BEGIN
      PERFORM concresce.enqueue('log_event', 'loop', i);
      IF i % 3 = 0 THEN RAISE EXCEPTION 'no'; END IF;
    EXCEPTION WHEN raise_exception THEN
      NULL;
    END;
  END LOOP;
END $$;
SELECT * FROM arrived();
-- a procedure that commits and rolls back
CREATE PROCEDURE several() LANGUAGE plpgsql AS $$
BEGIN
  PERFORM concresce.enqueue('log_event', 'first', 1);
  COMMIT;
  PERFORM concresce.enqueue('log_event', 'second', 2);
  ROLLBACK;
  PERFORM concresce.enqueue('log_event', 'third', 3);
END $$;
CALL several();
SELECT * FROM arrived();
-- a deferred trigger, which runs as the transaction commits, and a cursor that is held
CREATE TABLE orders (id int);
CREATE FUNCTION order_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM concresce.enqueue('log_event', 'order', NEW.id);
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER order_event AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION order_event();
INSERT INTO orders VALUES (1), (2);
SELECT * FROM arrived();
BEGIN;
INSERT INTO orders VALUES (3);
DECLARE held CURSOR WITH HOLD FOR SELECT concresce.enqueue('log_event', 'held', i) FROM generate_series(4, 5) i;
COMMIT;
CLOSE held;
SELECT * FROM arrived();
-- two-phase commit
BEGIN;
SELECT concresce.enqueue('log_event', 'prepared', 1);
PREPARE TRANSACTION 'enqueued';
SELECT * FROM arrived();
-- many at once
SELECT count(concresce.enqueue('log_event', 'many', i % 1000)) FROM generate_series(1, 5000) i;
SELECT flushed, events = (SELECT string_agg('many ' || i % 1000, ', ' ORDER BY i % 1000) FROM generate_series(1, 5000) i) AS all FROM arrived();
-- several lookups in turn; no arguments; other results than void are not looked at
CREATE FUNCTION noted(kind text) RETURNS SETOF int LANGUAGE concresce SET concresce.server = 'far'
AS $$ INSERT INTO events (kind) SELECT * FROM unnest(collect(kind)) RETURNING seq $$;
CREATE FUNCTION noted_record(kind text) RETURNS record LANGUAGE concresce SET concresce.server = 'far'
AS $$ INSERT INTO events (kind) SELECT * FROM unnest(collect(kind)) RETURNING kind, seq $$;
SELECT count(CASE i % 4 WHEN 0 THEN concresce.enqueue('noted', 'noted ' || i)
                        WHEN 1 THEN concresce.enqueue('log_event', 'logged', i)
                        WHEN 2 THEN concresce.enqueue('noted_record', 'record ' || i)
                        ELSE concresce.enqueue('log_strict', 'strict', i) END) FROM generate_series(1, 8) i;
SELECT * FROM arrived();
SELECT concresce.enqueue('log_nothing');
SELECT * FROM arrived();

-- what is wrong with the call is told at once
SELECT concresce.enqueue('log_event', 'too few');
SELECT concresce.enqueue('log_event', 'too many', 1, 2);
SELECT concresce.enqueue('log_event', 'no number', 'x');
SELECT concresce.enqueue('log_event', 'no number', now());
SELECT concresce.enqueue('log_event', VARIADIC ARRAY['a', '1']);
SELECT concresce.enqueue('version', 'a');
SELECT concresce.enqueue(NULL, 'a');
SELECT concresce.enqueue(0::regproc, 'a');
CREATE DOMAIN small AS int CHECK (VALUE < 10);
CREATE FUNCTION log_small(n small) RETURNS void LANGUAGE concresce SET concresce.server = 'far'
AS $$ INSERT INTO events (kind, n) SELECT 'small', * FROM unnest(collect(n)) $$;
SELECT concresce.enqueue('log_small', 9);
SELECT concresce.enqueue('log_small', 10);
SELECT concresce.enqueue('log_small', '10');
SELECT concresce.enqueue('log_small', 10::bigint);
CREATE FUNCTION log_nowhere(n int) RETURNS void LANGUAGE concresce SET concresce.server = 'nowhere'
AS $$ INSERT INTO events (n) SELECT * FROM unnest(collect(n)) $$;
SELECT concresce.enqueue('log_nowhere', 1);
SELECT * FROM arrived();
-- more than shared memory could hold
DO $$
BEGIN
  PERFORM concresce.enqueue('log_event', repeat('x', 1000000), i) FROM generate_series(1, 1000) i;
EXCEPTION WHEN program_limit_exceeded THEN
  RAISE NOTICE '%', sqlerrm;
  PERFORM concresce.enqueue('log_event', 'instead', 1);
END $$;
SELECT * FROM arrived();

-- rights: of the caller, or of the owner
CREATE ROLE regress_ccr_writer;
REVOKE EXECUTE ON FUNCTION log_event FROM PUBLIC;
CREATE FUNCTION log_definer(kind text, n numeric) RETURNS void LANGUAGE concresce SECURITY DEFINER SET concresce.server = 'far'
AS $$ INSERT INTO events (kind, n) SELECT * FROM unnest(collect(kind), collect(n)) $$;
SET ROLE regress_ccr_writer;
SELECT concresce.enqueue('log_event', 'a', 1);
SELECT concresce.enqueue('log_strict', 'a', 1);
SELECT concresce.enqueue('log_definer', 'a', 1);
SELECT concresce.flush();
RESET ROLE;
SELECT * FROM arrived();
-- the rights are those of when it was enqueued, whoever commits
BEGIN;
SET LOCAL ROLE regress_ccr_writer;
SELECT concresce.enqueue('log_definer', 'b', 1);
SET LOCAL ROLE NONE;
SELECT concresce.enqueue('log_event', 'c', 1);
SET LOCAL ROLE regress_ccr_writer;
COMMIT;
SET ROLE regress_ccr_writer;
SELECT concresce.flush();
RESET ROLE;
SELECT * FROM arrived();
-- a REVOKE counts from the next statement on
GRANT EXECUTE ON FUNCTION log_event TO regress_ccr_writer;
REVOKE EXECUTE ON FUNCTION log_definer FROM PUBLIC;
SET ROLE regress_ccr_writer;
SELECT concresce.enqueue('log_definer', 'd', 1);
RESET ROLE;

-- a bad item is found and discarded, its companions arrive; the flush tells
BEGIN;
SELECT count(concresce.enqueue('log_event', 'mixed', i)) FROM unnest('{1, 2, 1000, 3, 1001, 4, 5}'::int[]) i;
COMMIT;
SELECT concresce.flush();
SELECT string_agg(kind || ' ' || n, ', ' ORDER BY n) FROM far.events;
SELECT * FROM arrived();
SELECT calls, errors, discarded, queued, active FROM concresce.stats WHERE function = 'log_event(text,numeric)'::regprocedure;
SELECT concresce.enqueue('log_event', 'good', 1);
SELECT concresce.flush('log_event');

-- coalesce = batch: of items with the same key the first one stays
CREATE FUNCTION log_once(kind text, n numeric) RETURNS void LANGUAGE concresce SET concresce.server = 'far'
SET concresce.key = 'kind' SET concresce.coalesce = 'batch'
AS $$ INSERT INTO events (kind, n) SELECT * FROM unnest(collect(kind), collect(n)) $$;
DELETE FROM far.events;
SELECT count(concresce.enqueue('log_once', 'k' || i % 3, i)) FROM generate_series(1, 9) i;
SELECT * FROM arrived();
SELECT coalesced, misses FROM concresce.stats WHERE function = 'log_once(text,numeric)'::regprocedure;

-- the sending rule: what is full goes at once, the rest waits for its window
CREATE FUNCTION comes(n int) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1 .. 3000 LOOP
    EXIT WHEN (SELECT count(*) >= $1 FROM far.events);
    PERFORM pg_sleep(0.01);
  END LOOP;
  RETURN (SELECT count(*) = $1 FROM far.events);
END $$;
SET concresce.max_window = '60s';
SET concresce.max_size = 3;
SELECT count(concresce.enqueue('log_strict', 'rule', i)) FROM generate_series(1, 7) i;
SELECT comes(6);
SELECT queued FROM concresce.stats WHERE function = 'log_strict(text,numeric)'::regprocedure;
SET concresce.max_window = '1ms';
SELECT concresce.enqueue('log_strict', 'rule', 8);
SELECT comes(8);
SELECT concresce.flush();
RESET concresce.max_size;
DELETE FROM far.events;

-- flush: ends windows at once, of one lookup or of all
SET concresce.max_window = '60s';
SELECT concresce.enqueue('log_event', 'window', 1);
SELECT concresce.enqueue('log_once', 'window', 2);
SELECT concresce.flush('log_event', '30 s');
SELECT * FROM far.events WHERE n = 2;
SELECT concresce.flush(timeout => '30 s');
SELECT kind, n FROM far.events ORDER BY n;
-- and when it does not get there in time
CREATE FUNCTION log_slow(n int) RETURNS void LANGUAGE concresce SET concresce.server = 'far'
AS $$ INSERT INTO events (n) SELECT u FROM unnest(collect(n)) u, pg_advisory_xact_lock(6) $$;
SELECT pg_advisory_lock(6);
SELECT concresce.enqueue('log_slow', 1);
\set VERBOSITY terse
SELECT concresce.flush('log_slow', '50 ms');
SELECT concresce.flush('log_slow', '0');
SET statement_timeout = '50ms';
SELECT concresce.flush();
RESET statement_timeout;
\set VERBOSITY default
SELECT pg_advisory_unlock(6);
SELECT concresce.flush();
SELECT concresce.flush('version');
SELECT concresce.flush(timeout => '-1 s');
RESET concresce.max_window;

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
SELECT sum(calls - errors - cancelled - timeouts - queued - active) AS answered, sum(errors) AS errors, sum(discarded) AS discarded
FROM concresce.stats WHERE server = 'far';

SET client_min_messages = warning;
DROP SERVER far CASCADE;
DROP SCHEMA far CASCADE;
DROP TABLE orders;
DROP FUNCTION log_event, log_strict, log_nothing, arrived, order_event, noted, noted_record, log_small, log_nowhere, log_definer,
  log_once, log_slow, at_rest, comes;
DROP PROCEDURE several;
DROP DOMAIN small;
DROP ROLE regress_ccr_writer;
