--
-- Large arguments, results, and numbers of rows.
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

CREATE FUNCTION echo(t text) RETURNS text LANGUAGE concresce STABLE AS 'SELECT t';
CREATE FUNCTION echo(b bytea) RETURNS bytea LANGUAGE concresce STABLE AS 'SELECT b';
CREATE FUNCTION echo(a int[]) RETURNS int[] LANGUAGE concresce STABLE AS 'SELECT a';
CREATE FUNCTION measure(t text) RETURNS int LANGUAGE concresce STABLE AS 'SELECT length(t)';
CREATE FUNCTION make(n int) RETURNS text LANGUAGE concresce STABLE AS $$ SELECT repeat('x', n) $$;
CREATE FUNCTION series(n int) RETURNS SETOF bigint LANGUAGE concresce STABLE AS 'SELECT i FROM generate_series(1, n) i';
CREATE FUNCTION wide_rows(n int) RETURNS TABLE (i int, t text) LANGUAGE concresce STABLE
AS $$ SELECT i, repeat(chr(65 + i % 26), 10000) FROM generate_series(1, n) i $$;

-- 1 MB each way, 10 MB of result, values toasted in and out of line, compressed or not
CREATE TABLE big (how text, t text);
ALTER TABLE big ALTER t SET STORAGE external;
INSERT INTO big VALUES ('external', repeat('0123456789', 100000));
ALTER TABLE big ALTER t SET STORAGE extended;
INSERT INTO big VALUES ('compressed', repeat('0123456789', 100000));
INSERT INTO big VALUES ('random', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 32768) i));
ALTER TABLE big ALTER t SET STORAGE main;
INSERT INTO big VALUES ('inline, compressed', repeat('x', 100000));
SELECT how, length(t), echo(t) = t AS same, measure(t) = length(t) AS measured FROM big;
SELECT length(make(10000000)), measure(make(5000000));
SELECT md5(echo(decode(repeat('00ff', 500000), 'hex'))) = md5(decode(repeat('00ff', 500000), 'hex')) AS same;
SELECT echo(array_agg(i)) = array_agg(i) AS same FROM generate_series(1, 100000) i;
SELECT count(*), sum(s), bool_and(s = n) AS in_order FROM series(100000) WITH ORDINALITY t(s, n);
SELECT count(*), sum(length(t)), min(t) = repeat('A', 10000) AS same FROM wide_rows(1000);
CREATE TABLE kept AS SELECT how, echo(t) AS t FROM big;
SELECT count(*) FROM kept JOIN big USING (how, t);

-- an item larger than concresce.max_bytes goes alone
SET concresce.max_bytes = '1kB';
SELECT measure(repeat('x', 100000));
RESET concresce.max_bytes;

-- more than concresce.shared_memory allows is one caller's error
SELECT size / 1024 / 1024 AS mb FROM concresce.memory();
SELECT length(make(70000000));
\echo :LAST_ERROR_SQLSTATE
SELECT measure(repeat('x', 70000000));
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM wide_rows(7000);
SELECT length(make(3));

SELECT used FROM concresce.memory();

DROP TABLE big, kept;
DROP FUNCTION echo(text), echo(bytea), echo(int[]), measure, make, series, wide_rows;
DROP SERVER far CASCADE;
DROP SCHEMA far CASCADE;
