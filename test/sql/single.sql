--
-- The single form: a body that serves one row.
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

CREATE TABLE far.scores (id bigint PRIMARY KEY, score int, label text);
INSERT INTO far.scores SELECT i, i * 10, 'no. ' || i FROM generate_series(1, 9) i;

-- arguments by name, by function.name, as $n, and without a name
CREATE FUNCTION by_name(user_id bigint) RETURNS int LANGUAGE concresce STABLE
AS $$ SELECT score FROM scores WHERE id = user_id $$;
CREATE FUNCTION by_qualified(id bigint) RETURNS int LANGUAGE concresce STABLE
AS $$ SELECT score FROM scores WHERE scores.id = by_qualified.id $$;
CREATE FUNCTION by_number(user_id bigint) RETURNS int LANGUAGE concresce STABLE
AS $$ SELECT score FROM scores WHERE id = $1 $$;
CREATE FUNCTION unnamed(bigint, int) RETURNS int LANGUAGE concresce STABLE
AS $$ SELECT score + $2 FROM scores WHERE id = $1 $$;
SELECT by_name(3), by_qualified(4), by_number(5), unnamed(6, 7);
SELECT by_name(user_id => 3), by_name(NULL), by_name(99);
SELECT i, by_name(i), by_number(i) FROM unnest('{9,3,3,NULL,42}'::bigint[]) i;

-- no argument: one result for everybody
CREATE FUNCTION how_many() RETURNS bigint LANGUAGE concresce STABLE
AS 'SELECT count(*) FROM scores';
CREATE FUNCTION all_ids() RETURNS SETOF bigint LANGUAGE concresce STABLE
AS 'SELECT id FROM scores WHERE id < 4 ORDER BY id DESC';
SELECT how_many(), how_many() FROM generate_series(1, 2);
SELECT * FROM all_ids() WITH ORDINALITY;

-- several arguments, with defaults
CREATE FUNCTION between_(low bigint, high bigint DEFAULT 3, prefix text DEFAULT '=')
RETURNS SETOF text LANGUAGE concresce STABLE
AS $$ SELECT prefix || label FROM scores WHERE id BETWEEN low AND high ORDER BY id $$;
SELECT * FROM between_(2);
SELECT * FROM between_(8, 9, '>');
SELECT * FROM between_(1, prefix => '#') LIMIT 1;

-- a VARIADIC argument is an array
CREATE FUNCTION total(VARIADIC ids bigint[]) RETURNS bigint LANGUAGE concresce STABLE
AS 'SELECT sum(score) FROM scores WHERE id = ANY (ids)';
SELECT total(1, 2, 3), total(VARIADIC '{}');

-- overloads
CREATE FUNCTION what(a int) RETURNS text LANGUAGE concresce STABLE AS $$ SELECT 'int ' || a $$;
CREATE FUNCTION what(a text) RETURNS text LANGUAGE concresce STABLE AS $$ SELECT 'text ' || what.a $$;
CREATE FUNCTION what(a int, b int) RETURNS text LANGUAGE concresce STABLE AS $$ SELECT 'two ' || a + b $$;
SELECT what(1), what('x'::text), what(1, 2);

-- STRICT is not sent at all; without it the body says what NULL means
CREATE FUNCTION strict_one(a int, b int) RETURNS text LANGUAGE concresce STABLE STRICT
AS $$ SELECT 'asked' $$;
CREATE FUNCTION lax_one(a int, b int) RETURNS text LANGUAGE concresce STABLE
AS $$ SELECT 'asked ' || coalesce(a, 0) || coalesce(b, 0) $$;
CREATE FUNCTION strict_set(a int) RETURNS SETOF text LANGUAGE concresce STABLE STRICT
AS $$ SELECT 'asked' $$;
SELECT strict_one(1, NULL), strict_one(1, 2), lax_one(1, NULL), lax_one(NULL, NULL);
SELECT count(*) FROM strict_set(NULL);
SELECT calls FROM concresce.stats WHERE function = 'strict_one(int, int)'::regprocedure;

-- a table and a column of the function's name
CREATE TABLE far.price (product_id int, price numeric);
INSERT INTO far.price VALUES (1, 1.5), (2, 2.50);
CREATE FUNCTION price(product_id int) RETURNS numeric LANGUAGE concresce STABLE
AS $$ SELECT price FROM price WHERE product_id = $1 $$;
CREATE FUNCTION price_of(product_id int) RETURNS numeric LANGUAGE concresce STABLE
AS $$ SELECT price.price FROM price WHERE price.product_id = price_of.product_id $$;
SELECT price(1), price(2), price_of(2);

-- a column wins over an argument of the same name, as in SQL functions
CREATE FUNCTION column_wins(score int) RETURNS bigint LANGUAGE concresce STABLE
AS $$ SELECT count(*) FROM scores WHERE score = score $$;
CREATE FUNCTION column_wins_sql(score int) RETURNS bigint LANGUAGE sql STABLE
AS $$ SELECT count(*) FROM far.scores WHERE score = score $$;
SELECT column_wins(10), column_wins_sql(10);

-- names that the bulk query has for itself
CREATE FUNCTION q(ordinality int) RETURNS int LANGUAGE concresce STABLE
AS $$ SELECT q.ordinality + ordinality $$;
CREATE FUNCTION ordinality(q int, u int, r int) RETURNS int LANGUAGE concresce STABLE
AS $$ SELECT q + u + r + ordinality.q $$;
CREATE FUNCTION unnest_(ordinality int[], ordinality_ int[]) RETURNS int LANGUAGE concresce STABLE
AS $$ SELECT ordinality[1] + ordinality_[2] $$;
CREATE FUNCTION "select"("from" int, "Order By" text, "a""b" int, "$1" int) RETURNS text LANGUAGE concresce STABLE
AS $$ SELECT "select"."from" || "Order By" || "a""b" || "$1" || $2 $$;
CREATE FUNCTION u(a1 int, a2 bool) RETURNS int LANGUAGE concresce VOLATILE
AS $$ SELECT u.a1 + $1 + a2::int $$;
SELECT q(1), ordinality(1, 2, 3), unnest_('{5}', '{1,7}'), "select"(1, '-', 2, 3), u(1, true);

-- statements of every shape that is a SELECT
CREATE FUNCTION newest(n int) RETURNS SETOF bigint LANGUAGE concresce STABLE
AS $$ SELECT id FROM scores WHERE id <= n ORDER BY id DESC LIMIT 2 OFFSET 1 $$;
CREATE FUNCTION either(a int) RETURNS SETOF int LANGUAGE concresce STABLE
AS $$ SELECT a UNION ALL SELECT a * 2 UNION ALL (SELECT 7 EXCEPT SELECT a) ORDER BY 1 $$;
CREATE FUNCTION with_(a int) RETURNS int LANGUAGE concresce STABLE
AS $$ WITH x AS (SELECT a AS y), z AS (SELECT y + 1 AS y FROM x) SELECT y FROM z $$;
CREATE FUNCTION steps(a int) RETURNS bigint LANGUAGE concresce STABLE
AS $$ WITH RECURSIVE r(i) AS (SELECT a UNION ALL SELECT i - 1 FROM r WHERE i > 0) SELECT count(*) FROM r $$;
CREATE FUNCTION constant(a int) RETURNS text LANGUAGE concresce STABLE AS $$ VALUES ('v' || a) $$;
CREATE FUNCTION grouped(a int) RETURNS TABLE (odd bool, n bigint, sum bigint) LANGUAGE concresce STABLE
AS $$ SELECT id % 2 = 1, count(*), sum(score) FROM scores WHERE id > a
      GROUP BY 1 HAVING count(*) > 1 ORDER BY 1 $$;
CREATE FUNCTION ranked(a int) RETURNS TABLE (id bigint, r bigint) LANGUAGE concresce STABLE
AS $$ SELECT id, rank() OVER (ORDER BY id DESC) FROM scores WHERE id < a $$;
CREATE FUNCTION whole_table() RETURNS SETOF far.price LANGUAGE concresce STABLE AS 'TABLE price';
SELECT newest(5), either(7), with_(1), steps(3), constant(4);
SELECT * FROM grouped(2);
SELECT * FROM ranked(4);
SELECT * FROM whole_table();

-- comments, semicolons and quotes to the very end
CREATE FUNCTION remark(a int) RETURNS int LANGUAGE concresce STABLE
AS $$ /* ) q; */ SELECT a + 1 -- ) q
; -- the end $$;
CREATE FUNCTION remark2(a int) RETURNS text LANGUAGE concresce STABLE
AS $$ SELECT 'a '' $1 -- ' || a || $q$ ) $1 /* $q$ /* /* nested */ ) */ $$;
SELECT remark(1), remark2(2);

-- types are the remote table's own: what this server knows nothing about
CREATE TYPE far.secret AS ENUM ('a', 'b');
CREATE TABLE far.secrets (s far.secret, n int);
INSERT INTO far.secrets VALUES ('a', 1), ('b', 2);
CREATE FUNCTION secret(s text) RETURNS int LANGUAGE concresce STABLE
AS $$ SELECT n FROM secrets WHERE secrets.s = secret.s::secret $$;
SELECT secret('b');
SELECT secret('c');

-- what only the far side can know is its error, with all of its fields
CREATE FUNCTION no_table(a int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT x FROM nowhere WHERE y = a';
CREATE FUNCTION no_column(a int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT scoer FROM scores WHERE id = a';
CREATE FUNCTION bad_division(a int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT 1 / a';
CREATE FUNCTION far.complain(a int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'no % today', a USING errcode = 'XX123', detail = 'The detail.', hint = 'The hint.';
END $$;
CREATE FUNCTION complaint(a int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT complain(a)';
SELECT no_table(1);
SELECT no_column(1);
SELECT bad_division(0), bad_division(1);
DO $$
DECLARE
  m text; d text; h text; c text;
BEGIN
  PERFORM complaint(5);
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT, c = PG_EXCEPTION_CONTEXT;
  SET client_min_messages = notice;
  RAISE NOTICE E'% % % %\n%', sqlstate, m, d, h, c;
END $$;
SET client_min_messages = warning;

DROP FUNCTION by_name, by_qualified, by_number, unnamed, how_many, all_ids, between_, total,
  what(int), what(text), what(int, int), strict_one, lax_one, strict_set, price, price_of,
  column_wins, column_wins_sql, q, ordinality, unnest_, "select", u, newest, either, with_,
  steps, constant, grouped, ranked, whole_table, remark, remark2, secret, no_table, no_column,
  bad_division, complaint;
DROP SERVER far CASCADE;
DROP SCHEMA far CASCADE;
