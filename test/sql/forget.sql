--
-- forget(): the next call starts a flight of its own, and those that wait keep
-- the old one.
--
\getenv srcdir PG_ABS_SRCDIR
\set play :srcdir '/lib/play.sql'
\set ECHO none
\i :play
\set ECHO all
CREATE FUNCTION gated(a int) RETURNS text LANGUAGE concresce STABLE AS 'SELECT gated(gated.a)';
CREATE FUNCTION other(a int) RETURNS text LANGUAGE concresce STABLE AS 'SELECT gated(other.a)';
CREATE FUNCTION no_args() RETURNS text LANGUAGE concresce STABLE AS 'SELECT gated(0)';

-- the end of the old flight leaves the new one alone: d joins it
CALL play('close', 'a> SELECT gated(1)', '1 in flight', 'b> SELECT gated(1)', '2 in flight',
          'concresce.forget(''gated'', 1)', 'c> SELECT gated(1)', '2 runs', 'd> SELECT gated(1)', '4 in flight',
          'open', 'a', 'b', 'c', 'd', 'counters()');
CALL play('close', 'a> SELECT gated(1)', '1 runs', 'concresce.forget_all(''gated'')',
          'c> SELECT gated(1)', '2 runs', 'd> SELECT gated(1)', '3 in flight', 'open', 'a', 'c', 'd', 'counters()');
CALL play('close', 'a> SELECT gated(1)', '1 runs', 'concresce.forget_all()',
          'c> SELECT gated(1)', '2 runs', 'd> SELECT gated(1)', '3 in flight', 'open', 'a', 'c', 'd', 'counters()');
-- the old flight lands while the new one is under way, and one more joins
CALL play('close', 'a> SELECT gated(1)', '1 runs', 'concresce.forget(''gated'', 1)', 'c> SELECT gated(1)', '2 runs',
          'pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = ''a''', 'a',
          'd> SELECT gated(1)', '2 in flight', 'open', 'c', 'd', 'counters()');
-- what waits to be sent is forgotten as well
CALL play('a: SET concresce.max_window = ''60s''; SET concresce.max_size = 2',
          'b: SET concresce.max_window = ''60s''; SET concresce.max_size = 2',
          'a> SELECT gated(1)', '1 queued', 'concresce.forget(''gated'', 1)', 'b> SELECT gated(1)', 'a', 'b', 'counters()');
-- other keys and functions are not meant
CALL play('close', 'a> SELECT gated(1)', '1 in flight', 'concresce.forget(''gated'', 2)', 'concresce.forget(''gated'', NULL)',
          'concresce.forget_all(''other'')', 'b> SELECT gated(1)', '2 in flight', 'open', 'a', 'b', 'counters()');
-- twice in a row, and with nothing to forget
CALL play('concresce.forget(''gated'', 1)', 'close', 'a> SELECT gated(1)', '1 runs', 'concresce.forget(''gated'', 1)',
          'concresce.forget(''gated'', 1)', 'b> SELECT gated(1)', '2 runs', 'concresce.forget(''gated'', 1)', 'open', 'a', 'b', 'counters()');
-- without arguments; arguments of another type
CALL play('close', 'a> SELECT no_args()', '1 runs', 'concresce.forget(''no_args'')', 'b> SELECT no_args()', '2 runs', 'open', 'a', 'b', 'counters()');
CALL play('close', 'a> SELECT gated(1)', '1 runs', 'concresce.forget(''gated'', 1::smallint)', 'b> SELECT gated(1)', '2 runs', 'open', 'a', 'b', 'counters()');
-- by the key that the function sets
ALTER FUNCTION gated SET concresce.key = 'a % 10';
CALL play('close', 'a> SELECT gated(1)', '1 runs', 'concresce.forget(''gated'', 21)', 'b> SELECT gated(11)', '2 runs', 'open', 'a', 'b', 'counters()');

DROP FUNCTION gated, other, no_args;
CALL clean_up();
