--
-- Where lookups can be called from, and how many rows they find.
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

CREATE TABLE far.scores (id int PRIMARY KEY, score int, grp text);
INSERT INTO far.scores SELECT i, i * 10, chr(96 + i % 3) FROM generate_series(1, 9) i;
CREATE TABLE orders (id int PRIMARY KEY, user_id int);
INSERT INTO orders SELECT i, (i * 7) % 11 FROM generate_series(1, 12) i;
CREATE FUNCTION score(id int) RETURNS int LANGUAGE concresce STABLE
AS 'SELECT score FROM scores WHERE scores.id = score.id';
CREATE FUNCTION members(grp text) RETURNS TABLE (id int, score int) LANGUAGE concresce STABLE
AS 'SELECT id, score FROM scores WHERE scores.grp = members.grp ORDER BY id';
CREATE FUNCTION any_member(grp text) RETURNS int LANGUAGE concresce STABLE
AS 'SELECT id FROM scores WHERE scores.grp = any_member.grp';

-- no row, more than one row
SELECT score(99) IS NULL AS is_null, (SELECT count(*) FROM members('z')) AS n;
SELECT any_member('z');
SELECT any_member('a');
\echo :LAST_ERROR_SQLSTATE
SET concresce.on_missing = error;
SELECT score(1);
SELECT score(99);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM members('z');
\echo :LAST_ERROR_SQLSTATE
SELECT any_member('a');
\echo :LAST_ERROR_SQLSTATE
ALTER FUNCTION score(int) SET concresce.on_missing = 'null';
SELECT score(99);
RESET concresce.on_missing;
ALTER FUNCTION score(int) SET concresce.on_missing = 'error';
SELECT score(99);
-- a row that holds NULL is a row
CREATE FUNCTION void_of(a int) RETURNS int LANGUAGE concresce STABLE SET concresce.on_missing = 'error'
AS 'SELECT NULL::int';
SELECT void_of(1);
ALTER FUNCTION score(int) RESET concresce.on_missing;

-- every part of a query
SELECT id, score(user_id), score(user_id) + 1 AS next FROM orders ORDER BY id LIMIT 4;
SELECT id FROM orders WHERE score(user_id) > 60 ORDER BY id;
SELECT o.id, m.id, m.score FROM orders o, LATERAL members(chr(96 + o.user_id)) m WHERE o.id < 6 ORDER BY 1, 2;
SELECT o.id, m.* FROM orders o LEFT JOIN LATERAL members(chr(96 + o.user_id)) m ON m.score > 30 WHERE o.id IN (1, 5) ORDER BY 1, 2;
SELECT a.id, b.id FROM orders a JOIN orders b ON score(a.user_id) = score(b.user_id) AND a.id < b.id ORDER BY 1;
SELECT sum(score(user_id)), count(score(user_id)), max(score(user_id)) FILTER (WHERE id < 4) FROM orders;
SELECT score(user_id) % 20 AS s, count(*) FROM orders GROUP BY 1 ORDER BY 1 NULLS FIRST;
SELECT id FROM orders ORDER BY score(user_id) DESC NULLS LAST, id LIMIT 3;
SELECT id, rank() OVER (ORDER BY score(user_id)) FROM orders WHERE id < 4 ORDER BY id;
SELECT DISTINCT score(user_id % 2) FROM orders ORDER BY 1;
WITH s AS MATERIALIZED (SELECT id, score(user_id) AS s FROM orders) SELECT count(*), sum(s) FROM s;
SELECT id, (SELECT score(o.user_id)) AS s, EXISTS (SELECT FROM members(chr(96 + o.id))) AS e FROM orders o WHERE id < 4 ORDER BY id;
SELECT id FROM orders WHERE user_id IN (SELECT m.id FROM members('a') m) ORDER BY id;
SELECT CASE WHEN id = 1 THEN score(user_id) END, coalesce(7, score(id)), nullif(score(1), 10) FROM orders WHERE id < 3 ORDER BY id;
SELECT score(id) FROM orders WHERE id < 3 UNION ALL SELECT score(3) ORDER BY 1;
SELECT ARRAY(SELECT score(i) FROM generate_series(1, 3) i), ARRAY[score(1), score(2)];
VALUES (score(1)), (score(2));

-- what writes here
CREATE TABLE kept (id int, s int DEFAULT 0);
INSERT INTO kept SELECT id, score(user_id) FROM orders WHERE id < 4;
INSERT INTO kept VALUES (100, score(5)) RETURNING id, s, score(id);
UPDATE kept SET s = score(id) WHERE score(id) IS NOT NULL RETURNING *;
DELETE FROM kept WHERE score(id) = 20 RETURNING id;
CREATE TABLE kept2 AS SELECT id, score(id) AS s FROM generate_series(1, 2) id;
SELECT * FROM kept UNION ALL SELECT * FROM kept2 ORDER BY 1, 2;
COPY (SELECT id, score(id) FROM generate_series(1, 2) id) TO STDOUT;

-- views, SQL functions, cursors, prepared statements, DO
CREATE VIEW scored AS SELECT id, score(user_id) AS s FROM orders;
SELECT * FROM scored WHERE s = 70 ORDER BY id;
CREATE FUNCTION sql_score(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT score($1) + 1';
CREATE FUNCTION sql_members(text) RETURNS SETOF int LANGUAGE sql STABLE AS 'SELECT score FROM members($1)';
SELECT sql_score(3), sql_score(99), array(SELECT sql_members('b'));
PREPARE p(int) AS SELECT score($1), $1;
EXECUTE p(1); EXECUTE p(2);
SET plan_cache_mode = force_generic_plan;
EXECUTE p(3); EXECUTE p(99);
RESET plan_cache_mode;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id, score(id) FROM generate_series(1, 4) id;
FETCH 2 FROM c; FETCH PRIOR FROM c; FETCH LAST FROM c;
CLOSE c;
COMMIT;

-- nested lookups, recursion, two at once
CREATE FUNCTION half(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT n / 2';
SELECT score(half(score(1))), half(half(half(80))), score(score(0)), half(score(id)) FROM orders WHERE id = 2;
SELECT m.id, half(m.score) FROM members('a') m WHERE score(m.id) > half(40);
CREATE FUNCTION through(id int) RETURNS int LANGUAGE concresce STABLE
AS 'SELECT score / (id - 3) FROM scores WHERE scores.id = through.id';
SELECT through(half(8)), through(half(4));

-- one call site serves calls of many kinds: PL/pgSQL
CREATE FUNCTION loop_() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  s int; r record; t int;
BEGIN
  FOR i IN 1 .. 10 LOOP
    s := score(i);
    SELECT count(*) INTO t FROM members(chr(96 + i));
    RETURN NEXT i || ': ' || coalesce(s::text, '-') || ', ' || t;
  END LOOP;
  FOR r IN SELECT * FROM members('a') LOOP
    RETURN NEXT r::text;
  END LOOP;
END $$;
SELECT * FROM loop_();
SET plan_cache_mode = force_generic_plan;
SELECT count(*), md5(string_agg(l, ';')) = (SELECT md5(string_agg(l, ';')) FROM loop_() l) AS same FROM loop_() l;
SET plan_cache_mode = force_custom_plan;
SELECT count(*) FROM loop_();
RESET plan_cache_mode;

-- errors are caught, and calls go on: EXCEPTION blocks, savepoints
CREATE FUNCTION inverse(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT 100 / n';
CREATE FUNCTION safely(n int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  RETURN inverse(n);
EXCEPTION
  WHEN division_by_zero THEN RETURN sqlstate || ' ' || coalesce(inverse(n + 1)::text, 'none');
END $$;
SELECT n, safely(n) FROM unnest('{5,0,4,0}'::int[]) n;
BEGIN;
SELECT inverse(1);
SAVEPOINT a;
SELECT inverse(0);
SELECT inverse(1);
ROLLBACK TO a;
SELECT inverse(2);
SAVEPOINT b;
SELECT any_member('a');
ROLLBACK TO b;
RELEASE b;
SELECT inverse(4);
COMMIT;
BEGIN;
SELECT inverse(0);
ROLLBACK;
SELECT inverse(5);

-- a lookup sees what is committed on the far side, whatever is going on here
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT score(1);
INSERT INTO far.scores VALUES (50, 500);
SELECT score(50);
COMMIT;
SELECT score(50);

-- where no set is allowed
SELECT id FROM orders WHERE (members('a')).id = 1;

SELECT used FROM concresce.memory();
DROP VIEW scored;
DROP TABLE orders, kept, kept2;
DROP FUNCTION score, members, any_member, void_of, sql_score, sql_members, half, through, loop_, inverse, safely;
DROP SERVER far CASCADE;
DROP SCHEMA far CASCADE;
