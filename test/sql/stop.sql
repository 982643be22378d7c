--
-- stop(): new calls are refused, and it returns when nothing is under way any
-- more; start() lets them in again.
--
\getenv srcdir PG_ABS_SRCDIR
\set play :srcdir '/lib/play.sql'
\set ECHO none
\i :play
\set ECHO all
CREATE TABLE far.log (n int);
CREATE FUNCTION far.gated_write(ns int[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM nextval('far.runs');
  PERFORM pg_advisory_xact_lock_shared(1);
  INSERT INTO far.log SELECT unnest(ns);
END $$;
CREATE FUNCTION gated(a int) RETURNS text LANGUAGE concresce STABLE SET concresce.server = 'far' AS 'SELECT gated(gated.a)';
CREATE FUNCTION other(a int) RETURNS text LANGUAGE concresce STABLE SET concresce.server = 'far' AS 'SELECT gated(other.a)';
CREATE FUNCTION written(n int) RETURNS void LANGUAGE concresce SET concresce.server = 'far' AS 'SELECT gated_write(collect(n))';
CREATE FUNCTION cancel(app text) RETURNS bool LANGUAGE sql AS
$$ SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = app $$;
CREATE FUNCTION waits(app text) RETURNS bool LANGUAGE sql AS
$$ SELECT comes('bool_or(wait_event_type = ''Extension'') FROM pg_stat_activity WHERE application_name = $1[1]', app) $$;

-- refused and let in again; others are not concerned
SELECT concresce.stop('gated');
SELECT gated(1);
SELECT other(1);
SELECT concresce.stop('gated');
SELECT function, server, force, now() - since < interval '1 min' AS just_now, role = current_user AS by_me FROM concresce.stopped;
SELECT concresce.start('other');
SELECT gated(1);
SELECT concresce.start('gated');
SELECT gated(1);
SELECT concresce.stop('written');
SELECT concresce.enqueue('written', 1);
SELECT concresce.start('written');
-- what was enqueued before and is committed after
BEGIN;
SELECT concresce.enqueue('written', 1);
SELECT concresce.stop('written');
COMMIT;
SELECT concresce.start('written');
SELECT concresce.enqueue('written', 2);
SELECT concresce.flush();
SELECT * FROM far.log;
-- all of the database
SELECT concresce.stop();
-- a name that is mistyped is none
SELECT concresce.stop(to_regproc('gatde'), true);
SELECT concresce.start(NULL);
SELECT gated(1);
SELECT other(1);
SELECT concresce.start();
SELECT gated(1);
SELECT concresce.stop('gated'), concresce.stop('other'), concresce.stop();
SELECT concresce.start('gated');
SELECT gated(1);
SELECT concresce.start();
SET concresce.enable_batchscan = off;
SELECT gated(1), other(1);
RESET concresce.enable_batchscan;

-- it waits for what is in flight, not for other lookups; what is queued goes at once
CALL play('close', 'a> SELECT gated(1)', '1 in flight', 'b> SELECT other(1)', '2 in flight',
          's> SELECT concresce.stop(''gated'')', 'waits(''s'')', 'c> SELECT gated(2)', 'c', 'dblink_is_busy(''s'')', 'open', 'a', 's', 'b',
          'concresce.start(''gated'')', 'counters()');
CALL play('a: SET concresce.max_window = ''60s''',
          'a> SELECT gated(1)', '1 queued', 's> SELECT concresce.stop(''gated'')', 's', 'a', 'concresce.start(''gated'')', 'counters()');
CALL play('close', 'a> SELECT concresce.enqueue(''written'', 3)::text', 'a', '1 runs', 'a> SELECT concresce.enqueue(''written'', 4)::text', 'a',
          's> SELECT concresce.stop(''written'')', 'waits(''s'')', 'dblink_is_busy(''s'')', 'open', 's',
          '(SELECT count(*) FROM far.log)', 'concresce.start(''written'')');
-- and for the end of a query that nobody waits for any more
CALL play('close', 'a> SELECT gated(1)', '1 in flight', 'cancel(''a'')', 'a', 's> SELECT concresce.stop(''gated'')', 's', 'open',
          'concresce.start(''gated'')', 'counters()');

-- by force: 57014 to who calls, and what is enqueued is discarded
CALL play('close', 'a> SELECT gated(1)', '1 in flight', 'b: SET concresce.max_window = ''60s''', 'b> SELECT gated(2)', '1 queued',
          'c> SELECT other(1)', '2 in flight', 's> SELECT concresce.stop(''gated'', true)', 's', 'a', 'b', 'open', 'c',
          'b> SELECT gated(3)', 'b', 'concresce.start(''gated'')', 'counters()');
CALL play('close', 'a> SELECT concresce.enqueue(''written'', 5)::text', 'a', '1 runs', 'a> SELECT concresce.enqueue(''written'', 6)::text', 'a', '2 runs',
          's> SELECT concresce.stop(''written'', true)', 's', 'a> SELECT concresce.flush()::text', 'a', 'open',
          '(SELECT count(*) FROM far.log WHERE n > 4)', 'concresce.start()', 'counters()');
SELECT errors, discarded, queued, active FROM concresce.stats WHERE function = 'written(int)'::regprocedure;
-- a stop that is waiting can be joined by force
CALL play('close', 'a> SELECT gated(1)', '1 in flight', 's> SELECT concresce.stop(''gated'')', 'waits(''s'')', 't> SELECT concresce.stop(force => true)',
          't', 's', 'a', 'open', 'concresce.start()', 'counters()');
-- or be cancelled: the lookup stays stopped
CALL play('close', 'a> SELECT gated(1)', '1 in flight', 's> SELECT concresce.stop(''gated'')', 'waits(''s'')', 'cancel(''s'')', 's', 'b> SELECT gated(2)', 'b',
          'open', 'a', 'concresce.start()', 'gated(3)', 'counters()');

-- more than there is room for; what was dropped gives way
DO $$
BEGIN
  FOR i IN 1 .. 300 LOOP
    EXECUTE format('CREATE FUNCTION stopped_%s() RETURNS int LANGUAGE concresce STABLE AS ''SELECT 1''', i);
    EXECUTE format('SELECT concresce.stop(''stopped_%s'')', i);
  END LOOP;
EXCEPTION WHEN program_limit_exceeded THEN
  RAISE WARNING '% (%)', sqlerrm, sqlstate;
END $$;
SELECT concresce.stop('gated');
SELECT concresce.start();

-- rights
CREATE ROLE regress_ccr_stopper;
SET ROLE regress_ccr_stopper;
SELECT concresce.stop('gated');
SELECT concresce.start('gated');
SELECT concresce.stop();
SELECT concresce.start();
RESET ROLE;
SELECT concresce.stop('version');
ALTER FUNCTION gated OWNER TO regress_ccr_stopper;
SET ROLE regress_ccr_stopper;
SELECT concresce.stop('gated');
RESET ROLE;
-- the first one to say so is shown; not whose rights it took
SELECT concresce.stop('gated', true);
CREATE FUNCTION stop_other() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'SELECT concresce.stop(''other'')';
SET ROLE regress_ccr_stopper;
SELECT stop_other();
SELECT function, force, role FROM concresce.stopped ORDER BY function::text;
SELECT concresce.start('gated');
RESET ROLE;
SELECT concresce.start('other');
SELECT concresce.switch_off(NULL);
SELECT concresce.switch_on(NULL);
SELECT gated(1);

SET client_min_messages = warning;
DROP FUNCTION gated, other, written, cancel, waits, stop_other;
CALL clean_up();
DROP ROLE regress_ccr_stopper;
