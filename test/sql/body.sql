--
-- Bodies: what CREATE FUNCTION accepts, and the bulk query made of it.
--
CREATE SCHEMA body_test;
SET search_path = body_test;

CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE TABLE scores (id bigint PRIMARY KEY, score int);
INSERT INTO scores SELECT i, i * 10 FROM generate_series(1, 100) i;
CREATE TABLE price (product_id int, price numeric);
INSERT INTO price VALUES (1, 1.5), (2, 2.5), (3, 3.5);
CREATE TABLE moods (m mood, n int);
INSERT INTO moods VALUES ('sad', 1), ('happy', 3);
CREATE TABLE events (id serial, kind text, body text);
CREATE SEQUENCE counter;

--
-- The single form
--
CREATE FUNCTION user_score(user_id bigint) RETURNS int LANGUAGE concresce STABLE STRICT
AS $$ SELECT score FROM scores WHERE id = user_id $$;
SELECT concresce.remote_sql('user_score');
SELECT 'PREPARE user_score(bigint[]) AS ' || concresce.remote_sql('user_score') \gexec
CREATE TEMP TABLE answer AS EXECUTE user_score('{3,1,9999,NULL,3}');
SELECT * FROM answer ORDER BY ordinality;

-- arguments qualified by the function's name, semicolon, comments
CREATE FUNCTION commented(user_id bigint) RETURNS int LANGUAGE concresce STABLE
AS $$ /* ) */ SELECT score FROM scores WHERE id = commented.user_id; -- ) q; $$;
SELECT concresce.remote_sql('commented');
SELECT 'PREPARE commented(bigint[]) AS ' || concresce.remote_sql('commented') \gexec
EXECUTE commented('{3}');

-- $n of an argument with a name, in a function called like the table it reads
CREATE FUNCTION price(product_id int) RETURNS numeric LANGUAGE concresce STABLE
AS $$ SELECT price FROM price WHERE product_id = $1 $$;
SELECT concresce.remote_sql('price');
SELECT 'PREPARE price(int[]) AS ' || concresce.remote_sql('price') \gexec
CREATE TEMP TABLE prices AS EXECUTE price('{3,1}');
SELECT * FROM prices ORDER BY ordinality;

-- arguments without a name; names that need quotes; no arguments
CREATE FUNCTION joined(text, text) RETURNS text LANGUAGE concresce IMMUTABLE
AS $$ SELECT $1 || $2 $$;
SELECT concresce.remote_sql('joined');
SELECT 'PREPARE joined(text[], text[]) AS ' || concresce.remote_sql('joined') \gexec
EXECUTE joined('{a,b}', '{c,d}');
CREATE FUNCTION "My F"("My Arg" int, "select" int) RETURNS TABLE (a int, b int) LANGUAGE concresce STABLE
AS $$ SELECT "My F"."My Arg", "select" $$;
SELECT concresce.remote_sql('"My F"');
SELECT 'PREPARE my_f(int[], int[]) AS ' || concresce.remote_sql('"My F"') \gexec
EXECUTE my_f('{3,4}', '{1,2}');
CREATE FUNCTION answer() RETURNS int LANGUAGE concresce STABLE AS 'VALUES (42)';
SELECT concresce.remote_sql('answer');
SELECT 'PREPARE answer(int) AS ' || concresce.remote_sql('answer') \gexec
EXECUTE answer(2);

-- names that the bulk query uses itself
CREATE FUNCTION q(ordinality int, ordinality_ int) RETURNS int LANGUAGE concresce VOLATILE
AS $$ SELECT q.ordinality + ordinality_ + u.x FROM (SELECT 1) u(x) $$;
SELECT concresce.remote_sql('q');
SELECT 'PREPARE q(int[], int[]) AS ' || concresce.remote_sql('q') \gexec
EXECUTE q('{3,4}', '{10,10}');

-- enums, arrays and composites travel as text
CREATE FUNCTION mood_level(m mood) RETURNS int LANGUAGE concresce STABLE
AS $$ SELECT n FROM moods WHERE moods.m = mood_level.m $$;
SELECT concresce.remote_sql('mood_level');
CREATE FUNCTION second(x int[]) RETURNS int LANGUAGE concresce STABLE AS 'SELECT x[2]';
SELECT concresce.remote_sql('second');
SELECT 'PREPARE second(text[]) AS ' || concresce.remote_sql('second') \gexec
EXECUTE second(ARRAY['{1,2}', '{}', '{4,5,6}']);
CREATE FUNCTION parts(pair) RETURNS TABLE (a int, b text) LANGUAGE concresce STABLE
AS 'SELECT $1.a, ($1).b';
SELECT concresce.remote_sql('parts');
SELECT 'PREPARE parts(text[]) AS ' || concresce.remote_sql('parts') \gexec
EXECUTE parts(ARRAY['(1,b)', '(2,"c,d")']);

-- order, LIMIT, UNION, WITH, FOR UPDATE
CREATE FUNCTION below(n int) RETURNS SETOF bigint LANGUAGE concresce STABLE
AS $$ SELECT id FROM scores WHERE id < n ORDER BY id DESC LIMIT n $$;
SELECT 'PREPARE below(int[]) AS ' || concresce.remote_sql('below') \gexec
EXECUTE below('{3,1,4}');
CREATE FUNCTION unions(n int) RETURNS SETOF int LANGUAGE concresce STABLE
AS $$ SELECT n UNION SELECT 1 UNION SELECT n + 1 ORDER BY 1 DESC $$;
SELECT 'PREPARE unions(int[]) AS ' || concresce.remote_sql('unions') \gexec
EXECUTE unions('{3,1}');
CREATE FUNCTION sum_to(n int) RETURNS bigint LANGUAGE concresce STABLE
AS $$ WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < n) SELECT sum(i) FROM r $$;
SELECT 'PREPARE sum_to(int[]) AS ' || concresce.remote_sql('sum_to') \gexec
EXECUTE sum_to('{3,4}');
CREATE FUNCTION locked(n bigint) RETURNS int LANGUAGE concresce VOLATILE
AS $$ SELECT score FROM scores WHERE id = n FOR UPDATE $$;
SELECT 'PREPARE locked(bigint[]) AS ' || concresce.remote_sql('locked') \gexec
EXECUTE locked('{3,1,3}');

-- a volatile body is evaluated anew for items with equal arguments
CREATE FUNCTION ticket(n int) RETURNS bigint LANGUAGE concresce VOLATILE
AS $$ VALUES (nextval('counter')) $$;
SELECT concresce.remote_sql('ticket');
SELECT 'PREPARE ticket(int[]) AS ' || concresce.remote_sql('ticket') \gexec
EXECUTE ticket('{1,1,1}');
CREATE FUNCTION ticket_row(n bigint) RETURNS bigint LANGUAGE concresce VOLATILE
AS $$ SELECT v.n FROM scores s, (SELECT nextval('counter') AS n) v WHERE s.id = ticket_row.n $$;
SELECT 'PREPARE ticket_row(bigint[]) AS ' || concresce.remote_sql('ticket_row') \gexec
EXECUTE ticket_row('{1,1,2}');

-- things that look like references and are none
CREATE FUNCTION strings(n int) RETURNS text LANGUAGE concresce STABLE
AS $$ SELECT e'collect(n) $9' || n'collect(n)' || U&'$9' || '$9' || $x$ $9 $x$ $$;
SELECT concresce.remote_sql('strings');

--
-- The bulk form
--
CREATE FUNCTION score_bulk(user_id bigint) RETURNS int LANGUAGE concresce STABLE
AS $$ SELECT id, score FROM scores WHERE id = ANY (collect(user_id)) $$;
SELECT concresce.remote_sql('score_bulk');
CREATE FUNCTION words(key text, value mood, text) RETURNS void LANGUAGE concresce VOLATILE
AS $$ INSERT INTO events (kind, body)
  SELECT a, b::text || c FROM unnest(COLLECT /* c */ ( KEY -- d
  ), collect("value"), collect(words."value"), collect($3)) u(a, b, x, c); $$;
SELECT concresce.remote_sql('words');
CREATE FUNCTION removed(kind text) RETURNS bigint LANGUAGE concresce VOLATILE
AS $$ WITH d(k, i) AS (DELETE FROM events WHERE kind = ANY (collect(kind)) RETURNING kind, id), c AS (SELECT (1)) -- c
  SELECT k, count(*) FROM d GROUP BY k $$;
SELECT concresce.remote_sql('removed');
-- with a schema or in quotes it is someone else's
CREATE FUNCTION not_ours(n int) RETURNS int LANGUAGE concresce STABLE
AS $$ SELECT s.collect(n) + "collect"(n) + collect FROM t $$;
SELECT concresce.remote_sql('not_ours');

--
-- Refused bodies
--
CREATE FUNCTION f(id int) RETURNS int LANGUAGE concresce AS '';
CREATE FUNCTION f(id int) RETURNS int LANGUAGE concresce AS ' -- nothing';
CREATE FUNCTION f(id int) RETURNS int LANGUAGE concresce AS 'SELECT 1; /* c */ SELECT 2';
CREATE FUNCTION f(id int) RETURNS int LANGUAGE concresce AS 'SELECT FROM WHERE';
CREATE FUNCTION f(id int) RETURNS int LANGUAGE concresce AS 'SELECT 1) q; DROP TABLE scores; --';
CREATE FUNCTION f(id int) RETURNS int LANGUAGE concresce AS 'SELECT 1) q, (SELECT 2';
CREATE FUNCTION f(id int) RETURNS int LANGUAGE concresce AS 'SELECT $1 + $2';
CREATE FUNCTION f(id int) RETURNS int LANGUAGE concresce AS 'SELECT $0';
CREATE FUNCTION f(id int) RETURNS int LANGUAGE concresce AS 'INSERT INTO scores VALUES (id)';
CREATE FUNCTION f(id int) RETURNS int LANGUAGE concresce AS 'VACUUM';
CREATE FUNCTION f(id int) RETURNS int LANGUAGE concresce AS 'SELECT 1 INTO x';
CREATE FUNCTION f(id int) RETURNS int LANGUAGE concresce AS 'SELECT 1 INTO x UNION SELECT 2';
CREATE FUNCTION f(id int) RETURNS int LANGUAGE concresce
AS 'WITH x AS (DELETE FROM scores RETURNING *) SELECT score FROM x';
CREATE FUNCTION f(id int) RETURNS int LANGUAGE concresce AS 'CREATE TABLE x AS SELECT collect(id)';
CREATE FUNCTION f(id int, "My Arg" int) RETURNS int LANGUAGE concresce AS 'SELECT collect(nope)';
CREATE FUNCTION f(id int) RETURNS int LANGUAGE concresce AS 'SELECT collect(g.id)';
CREATE FUNCTION f() RETURNS int LANGUAGE concresce AS 'SELECT collect(id)';
CREATE FUNCTION f(id int) RETURNS int LANGUAGE concresce AS 'SELECT collect(id + 1)';
CREATE FUNCTION f(id int) RETURNS int LANGUAGE concresce AS 'SELECT collect()';
CREATE FUNCTION f(id int) RETURNS int LANGUAGE concresce AS 'SELECT collect($2)';
CREATE FUNCTION f(id int) RETURNS int LANGUAGE concresce AS 'SELECT collect(id), $1';
CREATE FUNCTION f(id int) RETURNS int LANGUAGE concresce AS 'SELECT * FROM collect(id)';

DROP SCHEMA body_test CASCADE;
