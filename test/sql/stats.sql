--
-- Counters: every call is counted once, and views show what is one's own.
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

CREATE ROLE regress_ccr_reader;
CREATE ROLE regress_ccr_stats IN ROLE pg_read_all_stats;
CREATE TABLE far.scores (id int PRIMARY KEY, score int);
INSERT INTO far.scores SELECT i, i * 10 FROM generate_series(1, 9) i;
CREATE FUNCTION score(id int) RETURNS int LANGUAGE concresce STABLE
AS 'SELECT 100 / score FROM scores WHERE scores.id = abs(score.id) AND pg_sleep((score.id = 7)::int * 600) IS NOT NULL';
CREATE FUNCTION text_int(t text) RETURNS int LANGUAGE concresce STABLE AS 'SELECT t';
CREATE FUNCTION nothing(a int) RETURNS void LANGUAGE concresce AS 'SELECT 1 / a';
CREATE FUNCTION idle(a int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT a';

-- the law: calls = answered + errors + cancelled + timeouts + active + queued;
-- the caller of law() says how many he has had answers for
CREATE FUNCTION law(f regproc, answered int) RETURNS TABLE (calls bigint, holds bool, coalesced bigint,
  misses bigint, errors bigint, timeouts bigint, cancelled bigint, discarded bigint, active bigint, queued bigint) LANGUAGE sql AS $$
  SELECT calls, calls = answered + errors + cancelled + timeouts + active + queued, coalesced, misses,
         errors, timeouts, cancelled, discarded, active, queued
  FROM concresce.stats WHERE function = f::regprocedure
$$;

SELECT count(*) FROM concresce.stats WHERE function = 'idle'::regproc;
-- one after the other
SET concresce.enable_batchscan = off;
SELECT score(1), score(2), score(99), score(NULL);
RESET concresce.enable_batchscan;
SELECT * FROM law('score', 4);
-- errors of the far side, of this side, of too many rows, of on_missing
INSERT INTO far.scores VALUES (0, 0);
SELECT score(0);
SELECT * FROM law('score', 4);
SET concresce.enable_batchscan = off;
SELECT text_int('1'), text_int('2');
RESET concresce.enable_batchscan;
SELECT text_int('x');
SET concresce.on_missing = error;
SELECT score(99);
RESET concresce.on_missing;
SELECT * FROM law('score', 4);
SELECT * FROM law('text_int', 2);
SELECT nothing(1);
SELECT nothing(0);
SELECT * FROM law('nothing', 1);
-- timeouts and cancels
SET concresce.timeout = '500ms';
SELECT score(7);
RESET concresce.timeout;
SET statement_timeout = '500ms';
SELECT score(7);
RESET statement_timeout;
-- their places are given back when the collector has seen that they left
CREATE PROCEDURE settle() LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1 .. 1000 LOOP
    EXIT WHEN (SELECT sum(active + queued) = 0 FROM concresce.stats WHERE server = 'far')
      AND (SELECT used = 0 FROM concresce.memory());
    PERFORM pg_sleep(0.01);
  END LOOP;
END $$;
CALL settle();
SELECT * FROM law('score', 4);
SELECT * FROM concresce.in_flight;
-- what raises before there is a request is no call
SET concresce.server = 'nowhere';
SELECT score(1);
SET concresce.server = 'far';
ALTER FUNCTION score SET concresce.key = 'nothing';
SELECT score(1);
ALTER FUNCTION score RESET concresce.key;
SELECT * FROM law('score', 4);

-- the other columns
SELECT function, server, batches, coalesced_rate, batch_size_mean, batch_size_max,
       wait_ms_mean BETWEEN 0 AND 1000 AS wait, remote_ms_mean > 0 AND remote_ms_mean <= remote_ms_max AS remote,
       last_error_at > stats_reset AS error_later, stats_reset <= now() AS reset
FROM concresce.stats WHERE server = 'far' AND function::text !~ 'idle' ORDER BY function::text;
SELECT last_error FROM concresce.stats WHERE function = 'nothing'::regproc;
SELECT column_name, data_type FROM information_schema.columns
WHERE table_schema = 'concresce' AND table_name IN ('stats', 'connections', 'in_flight')
ORDER BY table_name, ordinal_position;
SELECT * FROM concresce.batch_sizes('score');
SELECT * FROM concresce.batch_sizes('idle');
SELECT DISTINCT server, state FROM concresce.connections WHERE server = 'far' AND state = 'idle';

-- one row a server
DO $$
BEGIN
  EXECUTE format('CREATE SERVER other FOREIGN DATA WRAPPER concresce '
                 'OPTIONS (host %L, port %L, dbname %L)',
                 split_part(current_setting('unix_socket_directories'), ',', 1),
                 current_setting('port'), current_database());
END $$;
CREATE USER MAPPING FOR CURRENT_USER SERVER other;
SET concresce.server = 'other';
SELECT text_int('3');
SET concresce.server = 'far';
SELECT server, calls, batches FROM concresce.stats WHERE function = 'text_int'::regproc ORDER BY server;

-- who sees what
SET ROLE regress_ccr_reader;
SELECT count(*) FROM concresce.stats;
SELECT count(*) FROM concresce.batch_sizes('score');
SELECT count(*) FROM concresce.in_flight;
SELECT count(*) FROM concresce.connections WHERE server IN ('far', 'other');
SELECT concresce.reset_stats();
SELECT concresce.reset_stats('score');
SELECT used FROM concresce.memory();
CREATE FUNCTION pg_temp.mine(a int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT a';
RESET ROLE;
ALTER FUNCTION nothing OWNER TO regress_ccr_reader;
GRANT USAGE ON FOREIGN SERVER other TO regress_ccr_reader;
SET ROLE regress_ccr_reader;
SELECT function, calls, errors FROM concresce.stats;
SELECT sum(batches) FROM concresce.batch_sizes('nothing');
SELECT DISTINCT server FROM concresce.connections;
SET ROLE regress_ccr_stats;
SELECT function, calls FROM concresce.stats WHERE server = 'far' ORDER BY function::text;
SELECT count(*) > 0 AS some FROM concresce.batch_sizes('score');
SELECT concresce.reset_stats();
RESET ROLE;
GRANT EXECUTE ON FUNCTION concresce.reset_stats TO regress_ccr_stats;
SET ROLE regress_ccr_stats;
SELECT concresce.reset_stats('nothing');
RESET ROLE;
SELECT function, calls, errors FROM concresce.stats WHERE server = 'far' ORDER BY function::text;

-- a reset leaves the law and the gauges alone
SELECT concresce.reset_stats();
SELECT * FROM law('score', 0);
SELECT batches, coalesced_rate, batch_size_mean, batch_size_max, wait_ms_mean, remote_ms_mean, remote_ms_max, last_error, last_error_at
FROM concresce.stats WHERE function = 'score'::regproc;
SELECT * FROM concresce.batch_sizes('score');
SELECT score(1);
SELECT * FROM law('score', 1);

-- counters of a function that is gone are not another one's
SELECT idle(1);
DROP FUNCTION idle;
CREATE FUNCTION idle(a int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT a';
SELECT count(*) FROM concresce.stats WHERE function = 'idle'::regproc;

SELECT used FROM concresce.memory();
DROP PROCEDURE settle;
DROP FUNCTION score, text_int, nothing, idle, law, pg_temp.mine;
DROP SERVER far, other CASCADE;
DROP SCHEMA far CASCADE;
REVOKE EXECUTE ON FUNCTION concresce.reset_stats FROM regress_ccr_stats;
DROP ROLE regress_ccr_reader, regress_ccr_stats;
