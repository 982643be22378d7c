--
-- A caller that leaves takes nothing from the others; with the last one the
-- foreign query is cancelled.
--
\getenv srcdir PG_ABS_SRCDIR
\set play :srcdir '/lib/play.sql'
\set ECHO none
\i :play
\set ECHO all
CREATE FUNCTION gated(a int) RETURNS text LANGUAGE concresce STABLE AS 'SELECT gated(gated.a)';
CREATE FUNCTION cancel(app text) RETURNS bool LANGUAGE sql AS
$$ SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = app $$;
CREATE FUNCTION terminate(app text) RETURNS bool LANGUAGE sql AS
$$ SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name = app $$;
-- how many bodies wait at the gate on the far side
CREATE FUNCTION far_waits(n int) RETURNS bool LANGUAGE sql AS
$$ SELECT comes('count(*) = $1[1]::int FROM pg_locks WHERE locktype = ''advisory'' AND NOT granted', n::text) $$;

-- one of two leaves, be it the first or the second
CALL play('close', 'a> SELECT gated(1)', '1 in flight', 'b> SELECT gated(1)', '2 in flight',
          'cancel(''b'')', 'b', '1 in flight', 'open', 'a', 'counters()');
CALL play('close', 'a> SELECT gated(1)', '1 in flight', 'b> SELECT gated(1)', '2 in flight',
          'cancel(''a'')', 'a', '1 in flight', 'open', 'b', 'counters()');
CALL play('b: SET concresce.timeout = ''500ms''', 'close', 'a> SELECT gated(1)', '1 in flight', 'b> SELECT gated(1)', 'b',
          'open', 'a', 'counters()');
CALL play('b: SET statement_timeout = ''500ms''', 'close', 'a> SELECT gated(1)', '1 in flight', 'b> SELECT gated(1)', 'b',
          'open', 'a', 'counters()');
CALL play('close', 'a> SELECT gated(1)', '1 in flight', 'b> SELECT gated(1)', '2 in flight',
          'terminate(''b'')', '1 in flight', 'open', 'a', 'counters()');
-- of one batch, but not of one flight
CALL play('a: SET concresce.max_window = ''60s''; SET concresce.max_size = 2',
          'b: SET concresce.max_window = ''60s''; SET concresce.max_size = 2',
          'close', 'a> SELECT gated(1)', '1 queued', 'b> SELECT gated(2)', '2 in flight', 'cancel(''b'')', 'b',
          'open', 'a', 'counters()');

-- the last one leaves: the foreign query ends, although the gate is closed
CALL play('close', 'a> SELECT gated(1)', '1 runs', 'far_waits(1)', 'cancel(''a'')', 'a', 'far_waits(0)', 'counters()',
          'open', 'a> SELECT gated(5)', 'a');
CALL play('close', 'a> SELECT gated(1)', '1 runs', 'far_waits(1)', 'terminate(''a'')', 'far_waits(0)', 'counters()', 'open');
CALL play('close', 'a> SELECT gated(1)', '1 in flight', 'b> SELECT gated(1)', '2 in flight', 'far_waits(1)',
          'cancel(''a'')', 'a', 'far_waits(1)', 'cancel(''b'')', 'b', 'far_waits(0)', 'counters()', 'open');
-- a subtransaction that is rolled back
CALL play('a: SET statement_timeout = ''1s''', 'close',
          $$a> DO 'BEGIN PERFORM gated(1); EXCEPTION WHEN query_canceled THEN PERFORM set_config(''statement_timeout'', ''0'', false); END'$$,
          '1 runs', 'a', 'far_waits(0)', 'open', 'a> SELECT gated(1)', 'a', 'counters()');
-- who comes afterwards does not inherit the end
CALL play('close', 'a> SELECT gated(1)', '1 runs', 'far_waits(1)', 'cancel(''a'')', 'a', 'c> SELECT gated(1)', '2 runs',
          'open', 'c', 'counters()');
-- from what has not been sent: its place in the batch is another one's
CALL play('a: SET concresce.max_window = ''60s''; SET concresce.max_size = 2',
          'b: SET concresce.max_window = ''60s''; SET concresce.max_size = 2',
          'c: SET concresce.max_window = ''60s''; SET concresce.max_size = 2',
          'a> SELECT gated(1)', '1 queued', 'cancel(''a'')', 'a', '0 queued', 'b> SELECT gated(2)', '1 queued',
          'c> SELECT gated(1)', 'b', 'c', 'counters()');

DROP FUNCTION gated, cancel, terminate, far_waits;
CALL clean_up();
