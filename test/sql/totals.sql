-- Totals, means of what has ended, and histograms: what a monitor reads.
\getenv srcdir PG_ABS_SRCDIR
\set play :srcdir '/lib/play.sql'
\set ECHO none
\i :play
\set ECHO all
CREATE FUNCTION gated(a int) RETURNS text LANGUAGE concresce STABLE SET concresce.server = 'far' AS 'SELECT gated(gated.a)';
CREATE FUNCTION wide(a int) RETURNS text LANGUAGE concresce STABLE SET concresce.server = 'far' AS 'SELECT repeat(''x'', 10000)';
CREATE FUNCTION napped(a int) RETURNS int LANGUAGE concresce STABLE SET concresce.server = 'far' AS 'SELECT a FROM pg_sleep(0.2)';
CREATE FUNCTION divided(a int) RETURNS int LANGUAGE concresce STABLE SET concresce.server = 'far' AS 'SELECT 10 / a';

-- means divide what has ended by what has ended, whatever is under way
SELECT napped(1);
SELECT calls, items, batches, remote_ms_mean >= 200 AS mean, remote_ms = remote_ms_mean AS total, remote_ms_max = remote_ms AS most
FROM concresce.stats WHERE function = 'napped(int)'::regprocedure;
-- of calls, how long they took
SELECT sum(calls) FROM concresce.latencies('napped');
SELECT bool_and(from_ms < to_ms) AS ranges, min(to_ms) > 200 AS all_slow FROM concresce.latencies('napped');

CALL play('close', 'a> SELECT gated(1)', '1 in flight', 'b> SELECT gated(2)', '2 in flight',
          '(SELECT (calls, active, items, batches, remote_ms_mean, remote_ms) FROM concresce.stats WHERE function::text LIKE ''gated%'')', 'open', 'a', 'b');
SELECT calls, active, items, batches, remote_ms_mean > 0 AS mean, abs(remote_ms / 2 - remote_ms_mean) < 0.001 AS total,
       wait_ms_mean >= 0 AS waited, abs(wait_ms / 2 - wait_ms_mean) < 0.001 AS waited_total
FROM concresce.stats WHERE function = 'gated(int)'::regprocedure;

-- what has not left yet has waited for no time that is known
DO $$
BEGIN
  EXECUTE 'CREATE SERVER nowhere FOREIGN DATA WRAPPER concresce OPTIONS (host ''127.0.0.1'', port ''1'')';
  EXECUTE 'CREATE USER MAPPING FOR CURRENT_USER SERVER nowhere';
END $$;
CREATE FUNCTION lost(a int) RETURNS int LANGUAGE concresce STABLE SET concresce.server = 'nowhere' AS 'SELECT a';
SELECT lost(1);
SELECT calls, errors, batches, items, wait_ms_mean, wait_ms, remote_ms_mean, remote_ms FROM concresce.stats WHERE function = 'lost(int)'::regprocedure;

-- items that were sent once more, as one of their batch has failed
SELECT concresce.reset_stats('divided');
SELECT divided(a) FROM generate_series(1, 3) a;
SELECT calls, items, retries, errors FROM concresce.stats WHERE function = 'divided(int)'::regprocedure;
SET concresce.isolate_errors = on;
SELECT divided(a) FROM generate_series(3, 0, -1) a;
RESET concresce.isolate_errors;
SELECT calls > 3 AS more_calls, retries > 0 AS more_items, errors > 0 AS errors FROM concresce.stats WHERE function = 'divided(int)'::regprocedure;

-- bytes: of arguments and of results
SELECT sum(length(wide(a))) FROM generate_series(1, 100) a;
SELECT bytes_sent BETWEEN 100 * 4 AND 100 * 40 AS sent, bytes_received BETWEEN 1000000 AND 1010000 AS received FROM concresce.stats WHERE function = 'wide(int)'::regprocedure;

-- why batches left: two of two items were full, one had its window, one had nothing to wait for
CREATE FUNCTION why(a int) RETURNS int LANGUAGE concresce STABLE SET concresce.server = 'far' AS 'SELECT why.a';
CREATE FUNCTION reasons(OUT batches bigint, OUT batches_full bigint, OUT batches_window bigint) LANGUAGE sql AS $$
  SELECT batches, batches_full, batches_window FROM concresce.stats WHERE function = 'why(int)'::regprocedure
$$;
SELECT why(1);
SELECT * FROM reasons();
SET concresce.max_window = '20ms';
SELECT why(1);
SELECT * FROM reasons();
SET concresce.max_size = 2;
SELECT sum(why(a)) FROM generate_series(1, 4) a;
SELECT * FROM reasons();
RESET concresce.max_size;
-- a window that is ended before its time is no window that has ended
SET concresce.max_window = '60s';
SELECT concresce.enqueue('why', 5), concresce.enqueue('why', 6);
SELECT concresce.flush('why');
SELECT * FROM reasons();
RESET concresce.max_window;
-- nor do those that are sent again count
SELECT batches > 1 AS divided, batches_full, batches_window FROM concresce.stats WHERE function = 'divided(int)'::regprocedure;
DROP FUNCTION reasons, why;

-- and for how many
SELECT sum(calls) FROM concresce.latencies('wide');
SELECT concresce.reset_stats('wide');
SELECT count(*) FROM concresce.latencies('wide');
SELECT items, bytes_sent, bytes_received, retries, wait_ms, remote_ms FROM concresce.stats WHERE function = 'wide(int)'::regprocedure;

-- collectors
SELECT pid IS NOT NULL AS runs, started_at < now() AS started, restarts, batches > 0 AS batches, items > batches AS items, enqueued_items FROM concresce.collectors;

-- memory by role and lookup
CREATE ROLE totals_role;
GRANT USAGE ON FOREIGN SERVER far TO totals_role;
SELECT role, function, requests, bytes, enqueued FROM concresce.memory_use;
CALL play('close', 'a> SELECT gated(1)', '1 in flight', 'b> SELECT gated(2)', '2 in flight',
          '(SELECT (role = current_user, function, requests, bytes > 0, enqueued) FROM concresce.memory_use)',
          '(SELECT array_agg((role = current_user, bytes > 0)) FROM concresce.in_flight)',
          'set_config(''role'', ''totals_role'', false)', '(SELECT count(*) FROM concresce.memory_use)', 'set_config(''role'', ''none'', false)',
          'open', 'a', 'b');
SELECT count(*) FROM concresce.memory_use;
DROP OWNED BY totals_role;
DROP ROLE totals_role;
DROP FUNCTION lost;
DROP SERVER nowhere CASCADE;
DROP FUNCTION gated, wide, napped, divided;
SET client_min_messages = warning;
CALL clean_up();
