--
-- Identical calls of several sessions share one flight; what makes calls
-- different keeps them apart.
--
\getenv srcdir PG_ABS_SRCDIR
\set play :srcdir '/lib/play.sql'
\set ECHO none
\i :play
\set ECHO all
CREATE FUNCTION gated(a int) RETURNS text LANGUAGE concresce STABLE AS 'SELECT gated(gated.a)';
CREATE FUNCTION other(a int) RETURNS text LANGUAGE concresce STABLE AS 'SELECT gated(other.a)';
CREATE FUNCTION each_time(a int) RETURNS text LANGUAGE concresce VOLATILE AS 'SELECT gated(each_time.a)';
CREATE FUNCTION for_ever(a int) RETURNS text LANGUAGE concresce IMMUTABLE AS 'SELECT gated(for_ever.a)';
CREATE FUNCTION nobody(a int) RETURNS SETOF text LANGUAGE concresce STABLE AS $$ SELECT gated(nobody.a) OFFSET 1 $$;
CREATE FUNCTION fails(a int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT 1 / length(left(gated(fails.a), 0))';
CREATE FUNCTION large(a int) RETURNS text LANGUAGE concresce STABLE AS 'SELECT gated(large.a) || repeat(''x'', 1000000)';

-- one flight, whatever the sessions' settings that do not change what is asked
CALL play('close', 'a> SELECT gated(1)', '1 in flight', 'b> SELECT gated(1)', '2 in flight',
          'c> SELECT gated(1)', '3 in flight', 'open', 'a', 'b', 'c', 'counters()');
CALL play('b: SET search_path = pg_catalog', 'b: SET concresce.timeout = ''59s''', 'b: SET concresce.max_size = 7',
          'b: SET datestyle = SQL', 'b: SET client_encoding = LATIN1', 'b: SET concresce.coalesce = flight',
          'close', 'a> SELECT gated(1)', '1 in flight', 'b> SELECT public.gated(1)', '2 in flight',
          'open', 'a', 'b', 'counters()');
CALL play('close', 'a> SELECT for_ever(1)', '1 in flight', 'b> SELECT for_ever(1)', '2 in flight',
          'open', 'a', 'b', 'counters()');
-- no row, an error and a large result are shared as well
CALL play('close', 'a> SELECT nobody(1)', '1 in flight', 'b> SELECT nobody(1)', '2 in flight',
          'open', 'a', 'b', 'runs()', 'counters()');
CALL play('close', 'a> SELECT fails(1)', '1 in flight', 'b> SELECT fails(1)', '2 in flight',
          'open', 'a', 'b', 'runs()', 'counters()');
CALL play('close', 'a> SELECT md5(large(1))', '1 in flight', 'b> SELECT md5(large(1))', '2 in flight',
          'c> SELECT length(large(1))', '3 in flight', 'open', 'a', 'b', 'c', 'runs()', 'counters()');
-- what has landed is not kept
CALL play('a> SELECT gated(1)', 'a', 'b> SELECT gated(1)', 'b', 'counters()');

-- coalesce = off, of one or of both
CALL play('a: SET concresce.coalesce = off', 'b: SET concresce.coalesce = off',
          'close', 'a> SELECT gated(1)', '1 runs', 'b> SELECT gated(1)', '2 runs', 'open', 'a', 'b', 'counters()');
CALL play('b: SET concresce.coalesce = off',
          'close', 'a> SELECT gated(1)', '1 runs', 'b> SELECT gated(1)', '2 runs', 'open', 'a', 'b', 'counters()');
CALL play('a: SET concresce.coalesce = off',
          'close', 'a> SELECT gated(1)', '1 runs', 'b> SELECT gated(1)', '2 runs', 'open', 'a', 'b', 'counters()');
-- VOLATILE: not unless the lookup itself asks for it, whatever sessions set
CALL play('close', 'a> SELECT each_time(1)', '1 runs', 'b> SELECT each_time(1)', '2 runs', 'open', 'a', 'b', 'counters()');
CALL play('a: SET concresce.coalesce = flight; SET client_min_messages = error', 'b: SET concresce.coalesce = flight; SET client_min_messages = error',
          'close', 'a> SELECT each_time(1)', '1 runs', 'b> SELECT each_time(1)', '2 runs', 'open', 'a', 'b', 'counters()');
CALL play('a: ALTER FUNCTION each_time SET concresce.coalesce = flight', 'b: SET concresce.coalesce = off',
          'close', 'a> SELECT each_time(1)', '1 in flight', 'b> SELECT each_time(1)', '2 in flight', 'open', 'a', 'b', 'counters()',
          'a: ALTER FUNCTION each_time RESET concresce.coalesce');
CALL play('a: SET concresce.max_window = ''60s''', 'b: SET concresce.max_window = ''60s''',
          'a: SET concresce.max_size = 2', 'b: SET concresce.max_size = 2',
          'a> SELECT each_time(1)', '1 queued', 'b> SELECT each_time(1)', 'a', 'b', 'runs()');
SET concresce.server = far;
SET concresce.coalesce = batch;
SELECT each_time(1) IS NOT NULL AS fine;
SELECT each_time(1) IS NOT NULL AS fine;
RESET concresce.coalesce;
-- batch: onto what waits, but not onto what flies
CALL play('a: SET concresce.coalesce = batch', 'b: SET concresce.coalesce = batch',
          'close', 'a> SELECT gated(1)', '1 runs', 'b> SELECT gated(1)', '2 runs', 'open', 'a', 'b', 'counters()');
CALL play('a: SET concresce.coalesce = batch; SET concresce.max_window = ''60s''; SET concresce.max_size = 2',
          'b: SET concresce.coalesce = batch; SET concresce.max_window = ''60s''; SET concresce.max_size = 2',
          'a> SELECT gated(1)', '1 queued', 'b> SELECT gated(1)', '2 queued', 'c> SELECT gated(2)', 'a', 'b', 'c', 'counters()');

-- another function, other arguments, another definition
CALL play('close', 'a> SELECT gated(1)', '1 runs', 'b> SELECT other(1)', '2 runs', 'open', 'a', 'b', 'counters()');
CALL play('close', 'a> SELECT gated(1)', '1 runs', 'b> SELECT gated(2)', '2 runs', 'open', 'a', 'b', 'counters()');
CALL play('close', 'a> SELECT gated(0)', '1 runs', 'b> SELECT gated(NULL)', '2 runs', 'open', 'a', 'b', 'counters()');
CALL play('close', 'a> SELECT other(1)', '1 runs',
          'b: CREATE OR REPLACE FUNCTION other(a int) RETURNS text LANGUAGE concresce STABLE AS ''SELECT gated(1 + other.a)''',
          'b> SELECT other(1)', '2 runs', 'open', 'a', 'b', 'counters()');
-- another server, key expression, error mode
CALL far_server('far_2');
CALL play('b: SET concresce.server = far_2', 'close', 'a> SELECT gated(1)', '1 runs', 'b> SELECT gated(1)', '2 runs',
          'open', 'a', 'b', 'counters()');
CALL play('close', 'a> SELECT gated(1)', '1 runs', 'b: ALTER FUNCTION gated SET concresce.key = ''a + 0''',
          'b> SELECT gated(1)', '2 runs', 'open', 'a', 'b', 'counters()');
CALL play('a: ALTER FUNCTION gated SET concresce.key = ''a % 2''', 'close', 'a> SELECT gated(1)', '1 in flight',
          'b> SELECT gated(3)', '2 in flight', 'open', 'a', 'b', 'counters()');
CALL play('close', 'a> SELECT gated(1)', '1 runs', 'b: ALTER FUNCTION gated RESET concresce.key',
          'b> SELECT gated(3)', '2 runs', 'open', 'a', 'b', 'counters()');
DROP SERVER far_2 CASCADE;
-- the same server with other options
CALL play('close', 'a> SELECT gated(1)', '1 runs', 'b: ALTER SERVER far OPTIONS (ADD connect_timeout ''7'')',
          'b> SELECT gated(1)', '2 runs', 'open', 'a', 'b', 'counters()');

-- another user mapping, though it is the same user on the far side; those who
-- use the public one have the same rights there, and share
CREATE ROLE regress_ccr_one;
CREATE ROLE regress_ccr_two;
CREATE ROLE regress_ccr_three;
GRANT USAGE ON FOREIGN SERVER far TO PUBLIC;
DO $$
BEGIN
  EXECUTE format('CREATE USER MAPPING FOR regress_ccr_one SERVER far OPTIONS (user %L, password_required ''false'')', current_user);
  EXECUTE format('CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (user %L, password_required ''false'')', current_user);
END $$;
CALL play('a: SET ROLE regress_ccr_one', 'b: SET ROLE regress_ccr_two', 'c: SET ROLE regress_ccr_three',
          'close', 'a> SELECT gated(1)', '1 runs', 'b> SELECT gated(1)', '2 runs', 'c> SELECT gated(1)', '3 in flight',
          'open', 'a', 'b', 'c', 'counters()');
-- a SECURITY DEFINER lookup is its owner's, whoever calls
CREATE FUNCTION owned(a int) RETURNS text LANGUAGE concresce STABLE SECURITY DEFINER SET concresce.server = 'far'
AS 'SELECT gated(owned.a)';
CALL play('a: SET ROLE regress_ccr_one', 'b: SET ROLE regress_ccr_two',
          'close', 'a> SELECT owned(1)', '1 in flight', 'b> SELECT owned(1)', '2 in flight', 'open', 'a', 'b', 'counters()');

DROP FUNCTION gated, other, each_time, for_ever, nobody, fails, large, owned;
CALL clean_up();
DROP ROLE regress_ccr_one, regress_ccr_two, regress_ccr_three;
