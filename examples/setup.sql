-- What the examples need. Two databases of one server: example_crm is far, and
-- has the scores of users; example_shop is yours, and has orders. To be run by
-- a superuser, on a server that says
--
--     shared_preload_libraries = 'concresce, pg_stat_statements'

\set ON_ERROR_STOP on

CREATE ROLE example_reader LOGIN PASSWORD 'secret';

CREATE DATABASE example_crm;
\connect example_crm
CREATE TABLE scores (user_id int PRIMARY KEY, score int NOT NULL);
INSERT INTO scores SELECT i, i * 7919 % 1000 FROM generate_series(1, 10000) i;
ANALYZE scores;
GRANT SELECT ON scores TO example_reader;

CREATE DATABASE example_shop;
\connect example_shop
CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL, user_id int NOT NULL);
INSERT INTO orders SELECT i, 1 + i % 20, 1 + i * 7919 % 10000 FROM generate_series(1, 500) i;
CREATE INDEX ON orders (customer);
ANALYZE orders;

-- Without concresce: a foreign table.
CREATE EXTENSION postgres_fdw;
CREATE SERVER crm_tables FOREIGN DATA WRAPPER postgres_fdw
OPTIONS (host '127.0.0.1', port :'PORT', dbname 'example_crm');
CREATE USER MAPPING FOR PUBLIC SERVER crm_tables
OPTIONS (user 'example_reader', password 'secret', password_required 'false');
CREATE FOREIGN TABLE far_scores (user_id int, score int) SERVER crm_tables OPTIONS (table_name 'scores');

-- With concresce: a lookup. A call waits up to 2 ms for others to share its
-- query. Without this setting, it does so only while all connections are busy.
CREATE EXTENSION concresce;
CREATE SERVER crm FOREIGN DATA WRAPPER concresce
OPTIONS (host '127.0.0.1', port :'PORT', dbname 'example_crm');
CREATE USER MAPPING FOR PUBLIC SERVER crm
OPTIONS (user 'example_reader', password 'secret', password_required 'false');
CREATE FUNCTION user_score(user_id int) RETURNS int
LANGUAGE concresce STABLE STRICT SET concresce.server = 'crm' SET concresce.max_window = '2ms'
AS $$ SELECT s.score FROM scores s WHERE s.user_id = user_score.user_id $$;

-- How many queries example_crm has seen so far.
CREATE EXTENSION pg_stat_statements;
CREATE FUNCTION foreign_queries() RETURNS bigint LANGUAGE sql AS $$
  SELECT coalesce(sum(s.calls), 0)::bigint
  FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
  WHERE d.datname = 'example_crm' AND s.query LIKE '%scores%'
$$;

-- Does it work?
SELECT user_score(1) AS score, far_scores.score AS the_same, foreign_queries() FROM far_scores WHERE user_id = 1;
