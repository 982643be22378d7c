--
-- Which plans may hold lookups is told by the functions that they depend on:
-- what these are may change.
--
SET client_min_messages = warning;
CREATE SCHEMA far;
CREATE SCHEMA known;
SET search_path = known;
DO $$
BEGIN
  EXECUTE format('CREATE SERVER far FOREIGN DATA WRAPPER concresce '
                 'OPTIONS (host %L, port %L, dbname %L, options %L)',
                 split_part(current_setting('unix_socket_directories'), ',', 1),
                 current_setting('port'), current_database(), '-csearch_path=far');
END $$;
CREATE USER MAPPING FOR CURRENT_USER SERVER far;
SET concresce.server = 'far';
CREATE TABLE far.scores (id int PRIMARY KEY, score int);
INSERT INTO far.scores SELECT i, i * 10 FROM generate_series(1, 9) i;
CREATE TABLE orders (id int);
INSERT INTO orders SELECT generate_series(1, 5);

CREATE FUNCTION batched(query text) RETURNS bool LANGUAGE plpgsql AS $$
DECLARE
  line text;
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || query LOOP
    IF line LIKE '%ConcresceBatch%' THEN
      RETURN true;
    END IF;
  END LOOP;
  RETURN false;
END $$;

-- a function that is none becomes a lookup, and is none again
CREATE FUNCTION score(id int) RETURNS int LANGUAGE plpgsql STABLE
AS 'BEGIN RETURN id * 10; END';
SELECT batched('SELECT score(id) FROM orders');
CREATE OR REPLACE FUNCTION score(id int) RETURNS int LANGUAGE concresce STABLE
AS 'SELECT score FROM scores WHERE scores.id = score.id';
SELECT batched('SELECT score(id) FROM orders');
BEGIN;
CREATE OR REPLACE FUNCTION score(id int) RETURNS int LANGUAGE plpgsql STABLE
AS 'BEGIN RETURN id * 10; END';
SELECT batched('SELECT score(id) FROM orders');
ROLLBACK;
SELECT batched('SELECT score(id) FROM orders');

-- one that is made and called in one transaction, then is not there
BEGIN;
CREATE FUNCTION other(id int) RETURNS int LANGUAGE concresce STABLE
AS 'SELECT score FROM scores WHERE scores.id = other.id';
SELECT batched('SELECT other(id) FROM orders');
ROLLBACK;
SELECT batched('SELECT abs(id) FROM orders');
CREATE FUNCTION other(id int) RETURNS int LANGUAGE sql STABLE
AS 'SELECT score(id)';
SELECT batched('SELECT other(id) FROM orders') AS inlined;

-- one that another session makes
\setenv PGDATABASE :DBNAME
\! psql -Xqc "SET search_path = known; CREATE FUNCTION late(id int) RETURNS int LANGUAGE concresce STABLE SET concresce.server = 'far' AS 'SELECT score FROM scores WHERE scores.id = late.id'"
SELECT batched('SELECT late(id) FROM orders');
SELECT id, late(id) FROM orders ORDER BY id;

-- many of them
DO $$
BEGIN
  FOR i IN 1 .. 40 LOOP
    EXECUTE format('CREATE FUNCTION many_%s(id int) RETURNS int LANGUAGE concresce STABLE '
                   'AS ''SELECT score FROM scores WHERE scores.id = $1''', i);
  END LOOP;
END $$;
SELECT count(*) FROM generate_series(1, 40) i
WHERE batched(format('SELECT many_%s(id) FROM orders', i));

-- without the language, and with it again
BEGIN;
DROP EXTENSION concresce CASCADE;
CREATE FUNCTION score(id int) RETURNS int LANGUAGE plpgsql STABLE
AS 'BEGIN RETURN id * 10; END';
SELECT batched('SELECT score(id) FROM orders');
ROLLBACK;
SELECT batched('SELECT score(id) FROM orders');

-- no lookup is looked for when the node is turned off
SET concresce.enable_batchscan = off;
SELECT batched('SELECT score(id) FROM orders');

DROP SCHEMA known CASCADE;
DROP SERVER far CASCADE;
DROP SCHEMA far CASCADE;
