--
-- Composite results, and what the far side sends in another type or shape.
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

CREATE TABLE far.people (id int, name text, born date, tags text[], home point);
INSERT INTO far.people VALUES
  (1, 'Ann', '2001-02-03', '{a,"b c"}', '(1,2)'), (2, NULL, NULL, NULL, NULL), (3, 'Cy', '1999-12-31', '{}', NULL);
CREATE TYPE person AS (name text, born date, tags text[]);
CREATE TYPE nested AS (n int, p person, ps person[]);

-- columns: a type, OUT, INOUT, TABLE, sets of them
CREATE FUNCTION person(id int) RETURNS person LANGUAGE concresce STABLE
AS 'SELECT name, born, tags FROM people WHERE people.id = person.id';
SELECT person(1), (person(1)).tags[2], person(9), person(9) IS NULL;
SELECT * FROM person(1);
SELECT * FROM person(2);
SELECT * FROM person(9);
CREATE FUNCTION outs(id int, OUT who text, OUT days int) LANGUAGE concresce STABLE
AS $$ SELECT name, '2026-01-01'::date - born FROM people WHERE people.id = outs.id $$;
SELECT * FROM outs(3);
SELECT outs(2);
CREATE FUNCTION in_out(INOUT a int, INOUT b text, IN c int) LANGUAGE concresce STABLE
AS 'SELECT a + c, b || c';
SELECT * FROM in_out(1, 'x', 2);
CREATE FUNCTION one_out(id int, OUT who text) LANGUAGE concresce STABLE
AS 'SELECT name FROM people WHERE people.id = one_out.id';
SELECT one_out(1), one_out(9);
CREATE FUNCTION as_table(low int) RETURNS TABLE (id int, name text) LANGUAGE concresce STABLE
AS 'SELECT id, name FROM people WHERE people.id >= low ORDER BY people.id DESC';
SELECT * FROM as_table(2);
SELECT as_table(2);
SELECT * FROM as_table(9);
SELECT l.low, t.* FROM (VALUES (3), (9), (2)) l(low) LEFT JOIN LATERAL as_table(l.low) t ON true;
CREATE FUNCTION people(low int) RETURNS SETOF person LANGUAGE concresce STABLE
AS 'SELECT name, born, tags FROM people p WHERE p.id >= low ORDER BY p.id';
SELECT * FROM people(2);
SELECT name, cardinality(tags) FROM people(1) WHERE born IS NOT NULL;
CREATE FUNCTION of_table(low int) RETURNS SETOF far.people LANGUAGE concresce STABLE
AS 'SELECT * FROM people p WHERE p.id <= low';
SELECT * FROM of_table(1);

-- one column that is the whole row
CREATE FUNCTION person_whole(id int) RETURNS person LANGUAGE concresce STABLE
AS 'SELECT ROW(name, born, tags)::public.person FROM people WHERE people.id = person_whole.id';
SELECT person_whole(1), (person_whole(1)).tags[2], person_whole(9);
SELECT * FROM person_whole(2);
-- NULL is no row of NULLs
CREATE FUNCTION no_person(id int) RETURNS person LANGUAGE concresce STABLE AS 'SELECT NULL::public.person';
SELECT no_person(1) IS NOT DISTINCT FROM NULL AS none, count(no_person(1));
-- a type that has gained or lost an attribute on one side
CREATE TYPE far.wider AS (name text, born date, tags text[], extra int);
CREATE TYPE far.narrower AS (name text, born date);
CREATE FUNCTION wider() RETURNS person LANGUAGE concresce STABLE
AS $$ SELECT ROW('a, "b"', '2001-02-03', '{"c,d"}', 7)::wider $$;
CREATE FUNCTION narrower(n int) RETURNS TABLE (n int, p person) LANGUAGE concresce STABLE
AS $$ SELECT n, ROW('Ann', '2001-02-03')::narrower $$;
CREATE FUNCTION as_wide() RETURNS person LANGUAGE concresce STABLE
AS $$ SELECT ROW('a, "b" \ (', '2001-02-03', '{"c,d"}')::public.person $$;
SELECT wider();
SELECT narrower(1);
SELECT as_wide();
DROP FUNCTION wider, narrower, as_wide;

DROP FUNCTION no_person;
CREATE FUNCTION of_table_whole(low int) RETURNS SETOF far.people LANGUAGE concresce STABLE
AS 'SELECT p FROM people p WHERE p.id <= low ORDER BY p.id';
SELECT * FROM of_table_whole(2);

-- rows in rows
CREATE FUNCTION nest(a int) RETURNS nested LANGUAGE concresce STABLE
AS $$ SELECT a, ROW('x "y"', '2026-02-03', '{"p,q"}')::public.person,
             ARRAY[ROW('a', NULL, NULL)::public.person, NULL] $$;
SELECT nest(1), (nest(1)).p.name, (nest(1)).ps[1].name, (nest(1)).p.tags[1];
CREATE FUNCTION name_in(n nested) RETURNS text LANGUAGE concresce STABLE
AS 'SELECT (n).p.name || coalesce((n).ps[1].name, ''-'')';
SELECT name_in(nest(1)), name_in(NULL), name_in((1, ('z', NULL, NULL)::person, NULL)::nested);

-- record: the call says what it expects
CREATE FUNCTION rec(a int) RETURNS SETOF record LANGUAGE concresce STABLE
AS $$ SELECT a, 'x' || a UNION ALL SELECT a + 1, NULL $$;
SELECT * FROM rec(1) AS t(n int, label text);
SELECT * FROM rec(1) AS t(n bigint, label varchar(1));
SELECT * FROM rec(1) AS t(n int, label text) JOIN rec(2) AS u(m int, l text) ON n = m;
SELECT * FROM rec(1) AS t(n int);
SELECT * FROM rec(1);
SELECT rec(1);
CREATE FUNCTION one_rec(a int) RETURNS record LANGUAGE concresce STABLE AS 'SELECT a, true';
SELECT * FROM one_rec(1) AS t(n int, b bool);
SELECT one_rec(1);

-- the far side's type is another one than is declared: it is converted here
CREATE FUNCTION wide(a text) RETURNS int LANGUAGE concresce STABLE AS 'SELECT a::bigint';
SELECT wide('2147483647');
SELECT wide('2147483648');
CREATE FUNCTION narrow(a int) RETURNS bigint LANGUAGE concresce STABLE AS 'SELECT a::smallint';
CREATE FUNCTION to_text(a int) RETURNS text LANGUAGE concresce STABLE AS 'SELECT a * 1.50';
CREATE FUNCTION to_int(a text) RETURNS int LANGUAGE concresce STABLE AS 'SELECT a';
CREATE FUNCTION to_flag(a int) RETURNS bool LANGUAGE concresce STABLE AS 'SELECT a';
CREATE FUNCTION to_float(a int) RETURNS float8 LANGUAGE concresce STABLE AS 'SELECT a / 3.0';
CREATE FUNCTION to_array(a text) RETURNS int[] LANGUAGE concresce STABLE AS 'SELECT a';
CREATE FUNCTION to_varchar(a text) RETURNS varchar LANGUAGE concresce STABLE AS 'SELECT a::char(5)';
CREATE FUNCTION mixed(a int, OUT i int, OUT t text, OUT n numeric) LANGUAGE concresce STABLE
AS 'SELECT a::bigint, a, a::float8';
SELECT narrow(5), to_text(3), to_int('42'), to_flag(1), to_float(1), to_array('{1,2}'), '[' || to_varchar('abc') || ']';
SELECT to_int('4x');
SELECT to_flag(2);
SELECT * FROM mixed(7);
SELECT to_int(x) FROM unnest('{1,2}'::text[]) x;

-- columns have the length that their type says
CREATE TYPE short AS (c char(3), v varchar(2), n numeric(5, 1));
CREATE FUNCTION shorten(t text, n numeric) RETURNS short LANGUAGE concresce STABLE AS 'SELECT t, t, n';
SELECT shorten('a', 1.26), length((shorten('a', 1)).c);
SELECT shorten('abc', 1);
SELECT shorten('a', 12345.6);

-- columns dropped from the type of the result
CREATE TABLE had_more (a int, b text, c int, d text);
ALTER TABLE had_more DROP COLUMN b;
CREATE FUNCTION has_less(a int) RETURNS had_more LANGUAGE concresce STABLE AS $$ SELECT a, a + 1, 'd' $$;
CREATE FUNCTION have_less(a int) RETURNS SETOF had_more LANGUAGE concresce STABLE AS $$ SELECT a, a + 1, 'd' $$;
SELECT has_less(1), (has_less(1)).d;
SELECT * FROM have_less(1);

DROP FUNCTION person, outs, in_out, one_out, as_table, people, of_table, person_whole, of_table_whole,
  nest, name_in, rec, one_rec, wide, narrow, to_text, to_int, to_flag, to_float, to_array, to_varchar,
  mixed, shorten, has_less, have_less;
DROP TYPE nested, person, short;
DROP TABLE had_more;
DROP SERVER far CASCADE;
DROP SCHEMA far CASCADE;
