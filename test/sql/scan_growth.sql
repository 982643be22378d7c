--
-- The batch node: rounds that grow, and keys that are sent in order.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all

CREATE TABLE rows AS SELECT i AS id, (i * 7919) % 5000 + 1 AS k FROM generate_series(1, 20000) i;
ANALYZE rows;
-- In how many rounds, the largest foreign query, and whether each row has its own value.
CREATE FUNCTION asks(name text, value text, OUT rounds int, OUT largest int, OUT wrong bigint) LANGUAGE plpgsql AS $$
DECLARE
  plan json;
BEGIN
  PERFORM concresce.reset_stats_all();
  EXECUTE format('EXPLAIN (ANALYZE, FORMAT JSON) SELECT %s(k) FROM rows', name) INTO plan;
  rounds := plan -> 0 -> 'Plan' ->> 'Rounds';
  EXECUTE format('SELECT count(*) FROM (SELECT k, %s(k) AS v FROM rows OFFSET 0) q WHERE v IS DISTINCT FROM %s', name, value)
    INTO wrong;
  SELECT s.batch_size_max INTO largest FROM concresce.stats s WHERE s.function = name::regproc;
END $$;
CREATE FUNCTION twice(key int) RETURNS int LANGUAGE concresce STABLE STRICT SET concresce.coalesce = off AS 'SELECT key * 2';

-- from 1,000 to 10,000, where one takes less than 50 ms
SELECT rounds < 20 AS fewer, largest > 1000 AS larger, largest <= 10000 AS bounded, wrong FROM asks('twice', 'k * 2');
SET concresce.max_scan_size = 1000;
SELECT * FROM asks('twice', 'k * 2');
SET concresce.max_scan_size = 1500;
SELECT rounds < 20 AS fewer, largest, wrong FROM asks('twice', 'k * 2');
SET concresce.max_scan_size = 400;
SELECT * FROM asks('twice', 'k * 2');
RESET concresce.max_scan_size;
SET concresce.max_scan_size = 0;
-- who has made batches small wants them small
SET concresce.max_size = 500;
SELECT * FROM asks('twice', 'k * 2');
RESET concresce.max_size;
ALTER FUNCTION twice SET concresce.max_size = 999;
SELECT largest, wrong FROM asks('twice', 'k * 2');
ALTER FUNCTION twice SET concresce.max_scan_size = 2000;
SELECT largest, wrong FROM asks('twice', 'k * 2');
-- a batch that takes long is not followed by a longer one
CREATE FUNCTION slow(key int) RETURNS int LANGUAGE concresce STABLE STRICT SET concresce.coalesce = off
AS 'SELECT key * 2 FROM (SELECT pg_sleep(0.06)) s';
DELETE FROM rows WHERE id > 4000;
SELECT rounds, wrong FROM asks('slow', 'k * 2');
-- nor is one with much in it
CREATE FUNCTION large(key int) RETURNS text LANGUAGE concresce STABLE STRICT SET concresce.coalesce = off
AS 'SELECT repeat(chr(65 + key % 26), 1100)';
SELECT rounds, wrong FROM asks('large', 'repeat(chr(65 + k % 26), 1100)');

-- In order: texts, numbers, several arguments, NULL among them
CREATE FUNCTION far.note_all(a int, b text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM far.dblink_exec(format('host=%s port=%s dbname=%s', split_part(current_setting('unix_socket_directories'), ',', 1),
                                 current_setting('port'), current_database()),
                          format('INSERT INTO far.noted VALUES (%L, %L)', a, b));
  RETURN concat(a, '/', b);
END $$;
CREATE TABLE far.noted (a int, b text);
CREATE FUNCTION in_order(a int, b text) RETURNS text LANGUAGE concresce STABLE SET concresce.coalesce = off AS 'SELECT note_all(a, b)';
CREATE TABLE shuffled AS SELECT i % 4 AS a, CASE WHEN i % 29 > 0 THEN 'no. ' || lpad((i * 31 % 120)::text, 3, '0') END AS b
FROM generate_series(1, 120) i;
SELECT count(*), count(*) FILTER (WHERE v <> concat(a, '/', b)) AS wrong FROM (SELECT a, b, in_order(a, b) AS v FROM shuffled OFFSET 0) q;
SELECT count(*), array_agg((a, b) ORDER BY ctid) = array_agg((a, b) ORDER BY a, b COLLATE "C" NULLS FIRST) AS sorted FROM far.noted;
-- few are left as they are
TRUNCATE far.noted;
SELECT string_agg(v, ' ') FROM (SELECT in_order(a, b) AS v FROM shuffled WHERE b < 'no. 005' OFFSET 0) q;
SELECT string_agg(concat(a, '/', b), ' ' ORDER BY ctid) FROM far.noted;
DROP TABLE rows, shuffled;
DROP FUNCTION asks, twice, slow, large, in_order;
CALL clean_up();
