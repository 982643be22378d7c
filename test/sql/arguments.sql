-- submit(), enqueue() and forget() take arguments as a plain call takes them.
SET client_min_messages = warning;
CREATE SCHEMA s;
GRANT ALL ON SCHEMA s TO PUBLIC;
SET search_path = s, public;

CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE pair AS (a int, b text);
CREATE TYPE price_pair AS (a numeric(8, 2), b varchar(2));
CREATE DOMAIN price AS numeric(8, 2);
CREATE DOMAIN code AS varchar(3);
CREATE DOMAIN letters AS char(3);
CREATE DOMAIN days AS interval day;
CREATE DOMAIN seconds AS timestamptz(0);
CREATE DOMAIN bits AS bit(3);
CREATE DOMAIN small AS int CHECK (value < 10) NOT NULL;
CREATE DOMAIN prices AS numeric(8, 2)[];
CREATE DOMAIN ints AS int[] CHECK (array_length(value, 1) < 3);
CREATE DOMAIN positive AS pair CHECK ((value).a > 0);
CREATE DOMAIN dearer AS price CHECK (value > 1);

-- types with casts by functions of ours
CREATE TYPE raw AS (x int);
CREATE FUNCTION raw_as_text(raw) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'cast ' || $1.x $$;
CREATE CAST (raw AS text) WITH FUNCTION raw_as_text(raw) AS IMPLICIT;
CREATE FUNCTION raw_as_numeric(raw) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1.x + 0.239; END';
CREATE CAST (raw AS numeric) WITH FUNCTION raw_as_numeric(raw) AS IMPLICIT;
CREATE TYPE assigned AS (x int);
CREATE FUNCTION assigned_as_text(assigned) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'assigned' $$;
CREATE CAST (assigned AS text) WITH FUNCTION assigned_as_text(assigned) AS ASSIGNMENT;

-- a lookup for each type, which shows what it gets
CREATE TABLE targets (name text, type text);
INSERT INTO targets SELECT 't' || row_number() OVER (), type
FROM unnest(ARRAY['int', 'bigint', 'numeric', 'float8', 'text', 'varchar', 'bpchar', 'name', '"char"', 'bool', 'date',
  'timestamptz', 'interval', 'jsonb', 'oid', 'bit', 'int[]', 'text[]', 'numeric[]', 'mood', 'pair', 'price_pair',
  'pair[]', 'price', 'code', 'letters', 'days', 'seconds', 'bits', 'small', 'prices', 'ints', 'positive', 'dearer', 'raw']) AS type;
SELECT format('CREATE FUNCTION %I(v %s) RETURNS text LANGUAGE concresce STABLE AS ''SELECT %1$I.v::text''', name, type)
FROM targets \gexec
CREATE TABLE givens (expression text);
INSERT INTO givens VALUES ('1'), ('1::int2'), ('1::bigint'), ('1.239'), ('1.239::float8'), ('0.5::numeric'), ('99'), ($$'1'$$), ($$'1'::text$$),
  ($$'abcdef'$$), ($$'abcdef'::varchar$$), ($$'abcdef'::text$$), ($$'ab '::bpchar$$), ($$'abc'::name$$), ($$'x'::"char"$$),
  ('NULL'), ('NULL::int'), ('NULL::text'), ('NULL::pair'), ('true'), ($$date '2024-02-03'$$), ($$timestamp '2024-02-03 04:05:06.789'$$),
  ($$timestamptz '2024-02-03 04:05:06.789+00'$$), ($$interval '1 day 02:03:04'$$), ($$'1 02:03:04'$$), ($$'2024-02-03 04:05:06.789+00'$$),
  ($$'sad'::mood$$), ($$'sad'$$), ($$'pg_class'$$), ($$'pg_class'::regclass$$), ($$B'101'$$), ($$B'10101'$$),
  ('ARRAY[1, 2]'), ('ARRAY[1, 2, 3]'), ('ARRAY[1, 2]::bigint[]'), ('ARRAY[1.239, 2]'), ($$ARRAY['a', 'b']$$), ($$ARRAY['a'::varchar]$$),
  ($$'{1,2}'$$), ('ARRAY[]::int[]'), ($$'(1,x)'$$), ($$ROW(1, 'x')$$), ($$ROW(1, 'xyz')$$), ($$ROW(1::int2, 'x'::varchar)$$), ($$ROW(1.239, 'x')$$),
  ($$ROW(-1, 'x')$$), ('ROW(NULL, NULL)'), ('ROW(1)'), ('ROW(1, 2)'), ('ROW(1, true)'), ($$ROW(1, 'x', 2)$$), ($$ROW(1, 'x')::pair$$),
  ($$ROW(1, ROW(7)::raw)$$), ('ROW(7)::raw'), ('ROW(7)::assigned'), ($$ROW(1, ROW(7)::assigned)$$), ($$ARRAY[ROW(1, 'x')::pair]$$),
  ('ARRAY[ROW(7)::raw]'), ('7::small'), ('1.5::price'), ($$'xyz'::code$$), ('1.5::dearer'), ('ARRAY[1.5]::prices'), ($$'{"a": 1}'$$);

CREATE FUNCTION outcome(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  result text;
BEGIN
  EXECUTE command INTO result;
  RETURN coalesce(result, 'NULL');
EXCEPTION
  -- what the parser says of a function that it finds
  WHEN undefined_function OR datatype_mismatch OR cannot_coerce THEN
    RETURN 'refused';
  WHEN OTHERS THEN
    RETURN 'error ' || sqlstate;
END $$;
CREATE FUNCTION differences(target targets, given text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  plain text := outcome(format('SELECT %I(%s)', target.name, given));
  -- the other two give nothing back
  void text := CASE WHEN plain ~ '^(refused|error)' THEN plain ELSE '' END;
  other text;
BEGIN
  other := outcome(format('SELECT concresce.await(concresce.submit(%L, %s))', target.name, given));
  IF other <> plain THEN
    RETURN NEXT format('%s(%s): %s, but submitted %s', target.type, given, plain, other);
  END IF;
  other := outcome(format('SELECT concresce.forget(%L, %s)', target.name, given));
  IF other <> void THEN
    RETURN NEXT format('%s(%s): %s, but forgotten %s', target.type, given, plain, other);
  END IF;
END $$;
SELECT d FROM targets t, givens g, differences(t, g.expression) d;
SELECT count(*) > 2000 AS many FROM targets, givens;
-- so that it is known to compare something
SELECT outcome('SELECT t1(1)') AS one, outcome('SELECT t1(''x'')') AS bad, outcome('SELECT t1(true)') AS refused;
-- arguments that are no constants
SELECT t.type, d FROM targets t, LATERAL (VALUES
  (outcome(format('SELECT string_agg(%I(x), '','') FROM (VALUES (1), (2)) v(x)', t.name)),
   outcome(format('SELECT string_agg(concresce.await(concresce.submit(%L, x)), '','') FROM (VALUES (1), (2)) v(x)', t.name)))) d(plain, submitted)
WHERE plain <> submitted;
-- records of several shapes at one place
SELECT concresce.await(concresce.submit('t21', r))
FROM (SELECT ROW(1, 'x') UNION ALL SELECT NULL UNION ALL SELECT ROW(2::int2, 'y'::varchar) UNION ALL SELECT ROW(3, NULL)) v(r);

-- default and VARIADIC arguments
CREATE FUNCTION with_defaults(a int, b numeric DEFAULT 1 + 1, c text DEFAULT 'c') RETURNS text LANGUAGE concresce STABLE
AS $$ SELECT concat_ws(' ', a, b, c) $$;
CREATE FUNCTION of_many(a int, VARIADIC b price[]) RETURNS text LANGUAGE concresce STABLE AS $$ SELECT a || ' ' || b::text $$;
CREATE FUNCTION of_all(VARIADIC b text[]) RETURNS text LANGUAGE concresce STABLE AS 'SELECT b::text';
CREATE FUNCTION each_way(name text, arguments text) RETURNS TABLE (plain text, submitted text) LANGUAGE sql
AS $$ SELECT outcome(format('SELECT %I(%s)', name, arguments)),
             outcome(format('SELECT concresce.await(concresce.submit(%s))', concat_ws(', ', quote_literal(name), nullif(arguments, '')))) $$;
SELECT name, arguments, b.*, b.plain = b.submitted AS same
FROM (VALUES ('with_defaults', '1'), ('with_defaults', '1, 3'), ('with_defaults', '1, ''3'', 4'), ('with_defaults', '1, 3, ''d'''),
             ('with_defaults', ''), ('with_defaults', '1, 2, ''3'', 4'), ('of_many', '1'), ('of_many', '1, 2.345'),
             ('of_many', '1, 2.345, ''3.456'', 4'), ('of_many', '1, true'), ('of_many', ''), ('of_all', ''), ('of_all', '''a'''),
             ('of_all', '''a'', ''b''::varchar, ROW(7)::raw'), ('of_all', '''{a,b}'''), ('of_all', 'NULL'),
             ('of_all', 'VARIADIC ARRAY[''a'', ''b'']'), ('of_all', 'VARIADIC ARRAY[''a''::varchar]'), ('of_all', 'VARIADIC ''{a,b}''::text[]'))
     v(name, arguments), each_way(name, arguments) b;
-- an array can be given as such
SELECT concresce.await(concresce.submit('of_all', ARRAY['a', 'b'])), concresce.await(concresce.submit('of_many', 1, ARRAY[1.234]));
SELECT concresce.submit('with_defaults');
SELECT concresce.submit('of_many');
-- other defaults count at once
CREATE OR REPLACE FUNCTION with_defaults(a int, b numeric DEFAULT 5, c text DEFAULT 'd') RETURNS text LANGUAGE concresce STABLE
AS $$ SELECT concat_ws(' ', a, b, c) $$;
SELECT concresce.await(concresce.submit('with_defaults', 1));

-- enqueued
CREATE TABLE noted (p price, c code, t text);
GRANT ALL ON noted TO PUBLIC;
CREATE FUNCTION note(p price, c code DEFAULT 'abc', t text DEFAULT NULL) RETURNS void LANGUAGE concresce VOLATILE
AS $$ INSERT INTO s.noted SELECT * FROM unnest(collect(p), collect(c), collect(t)) $$;
SELECT concresce.enqueue('note', 1.239::numeric);
SELECT concresce.enqueue('note', ROW(7)::raw, 'x', ROW(8)::raw);
SELECT concresce.enqueue('note', 2, 'abcdef'::varchar);
SELECT concresce.enqueue('note', 1e7);
SELECT concresce.enqueue('note', 3, 'y', true);
SELECT concresce.flush();
SELECT * FROM noted ORDER BY p;

-- EXECUTE on the functions of casts, and of defaults; at each place anew
CREATE FUNCTION guarded() RETURNS text LANGUAGE sql AS $$ SELECT 'guarded' $$;
CREATE FUNCTION with_guarded(a int, b text DEFAULT guarded()) RETURNS text LANGUAGE concresce STABLE AS 'SELECT b';
CREATE FUNCTION noted_later(t text) RETURNS void LANGUAGE concresce VOLATILE AS 'INSERT INTO s.noted(t) SELECT unnest(collect(t))';
REVOKE EXECUTE ON FUNCTION raw_as_text, raw_as_numeric, guarded FROM PUBLIC;
CREATE ROLE regress_ccr_arguer;
SET ROLE regress_ccr_arguer;
SELECT t5(ROW(1)::raw);
SELECT concresce.submit('t5', ROW(1)::raw);
SELECT concresce.forget('t5', ROW(1)::raw);
SELECT concresce.enqueue('noted_later', ROW(1)::raw);
SELECT concresce.submit('t21', ROW(1, ROW(1)::raw));
SELECT concresce.submit('t18', ARRAY[ROW(1)::raw]);
SELECT concresce.submit('t24', ROW(1)::raw);
SELECT concresce.submit('of_all', 'a', ROW(1)::raw);
SELECT concresce.submit('with_guarded', 1);
SELECT concresce.await(concresce.submit('with_guarded', 1, 'b'));
RESET ROLE;
GRANT EXECUTE ON FUNCTION raw_as_text TO regress_ccr_arguer;
SET ROLE regress_ccr_arguer;
SELECT concresce.enqueue('noted_later', ROW(1)::raw);
SELECT concresce.flush();
RESET ROLE;
REVOKE EXECUTE ON FUNCTION raw_as_text FROM regress_ccr_arguer;
SET ROLE regress_ccr_arguer;
SELECT concresce.enqueue('noted_later', ROW(1)::raw);
RESET ROLE;
-- a right that comes by membership and goes
REVOKE EXECUTE ON FUNCTION noted_later FROM PUBLIC;
CREATE ROLE regress_ccr_noters;
GRANT EXECUTE ON FUNCTION noted_later TO regress_ccr_noters;
GRANT regress_ccr_noters TO regress_ccr_arguer;
SET ROLE regress_ccr_arguer;
SELECT concresce.enqueue('noted_later', 'x'::text);
SELECT concresce.flush();
RESET ROLE;
REVOKE regress_ccr_noters FROM regress_ccr_arguer;
SET ROLE regress_ccr_arguer;
SELECT concresce.enqueue('noted_later', 'x'::text);
RESET ROLE;

-- what was inlined is asked for again when the right to it has gone, or it was replaced
CREATE FUNCTION raw_as_int(raw) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1.x';
CREATE CAST (raw AS int) WITH FUNCTION raw_as_int(raw) AS IMPLICIT;
CREATE FUNCTION add_int(n int) RETURNS void LANGUAGE concresce VOLATILE
AS $$ INSERT INTO s.noted(p, t) SELECT u, 'added' FROM unnest(collect(n)) u $$;
CREATE FUNCTION of_int(n int) RETURNS text LANGUAGE concresce STABLE AS 'SELECT n::text';
CREATE FUNCTION run_as_owner(command text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN EXECUTE command; END';
-- in PL/pgSQL one place lasts as long as the transaction
CREATE FUNCTION submit_twice(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  r raw := ROW(1);
  id bigint;
  results text := '';
BEGIN
  FOR i IN 1 .. 2 LOOP
    id := concresce.submit('s.of_int', r);
    results := results || ' ' || concresce.await(id);
    IF i = 1 THEN
      PERFORM s.run_as_owner(command);
    END IF;
  END LOOP;
  RETURN results;
END $$;
SET ROLE regress_ccr_arguer;
SELECT concresce.enqueue('add_int', ROW(1)::raw);
RESET ROLE;
CREATE OR REPLACE FUNCTION raw_as_int(raw) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1000 + $1.x';
SET ROLE regress_ccr_arguer;
SELECT concresce.enqueue('add_int', ROW(2)::raw);
SELECT submit_twice('CREATE OR REPLACE FUNCTION s.raw_as_int(s.raw) RETURNS int LANGUAGE sql IMMUTABLE AS ''SELECT 2000 + $1.x''');
SELECT submit_twice('REVOKE EXECUTE ON FUNCTION s.raw_as_int FROM PUBLIC');
RESET ROLE;
REVOKE EXECUTE ON FUNCTION raw_as_int FROM PUBLIC;
SET ROLE regress_ccr_arguer;
SELECT concresce.enqueue('add_int', ROW(3)::raw);
RESET ROLE;
GRANT EXECUTE ON FUNCTION raw_as_int TO regress_ccr_noters;
GRANT regress_ccr_noters TO regress_ccr_arguer;
SET ROLE regress_ccr_arguer;
SELECT concresce.enqueue('add_int', ROW(4)::raw);
RESET ROLE;
REVOKE regress_ccr_noters FROM regress_ccr_arguer;
SET ROLE regress_ccr_arguer;
SELECT concresce.enqueue('add_int', ROW(5)::raw);
RESET ROLE;
-- a cast that is there no more
GRANT EXECUTE ON FUNCTION raw_as_int TO PUBLIC;
SET ROLE regress_ccr_arguer;
SELECT concresce.enqueue('add_int', ROW(6)::raw);
SELECT submit_twice('DROP CAST (s.raw AS int)');
RESET ROLE;
DROP CAST (raw AS int);
SET ROLE regress_ccr_arguer;
SELECT concresce.enqueue('add_int', ROW(7)::raw);
RESET ROLE;
-- the cast of a result
CREATE FUNCTION int_as_raw(int) RETURNS raw LANGUAGE sql IMMUTABLE AS 'SELECT ROW($1)::s.raw';
CREATE CAST (int AS raw) WITH FUNCTION int_as_raw(int) AS ASSIGNMENT;
CREATE FUNCTION int_of(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT n';
CREATE FUNCTION await_twice(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  ids bigint[] := ARRAY[concresce.submit('s.int_of', 1), concresce.submit('s.int_of', 2)];
  r raw;
  results text := '';
BEGIN
  FOR i IN 1 .. 2 LOOP
    r := concresce.await(ids[i], NULL::s.raw);
    results := results || ' ' || (r).x;
    IF i = 1 THEN
      PERFORM s.run_as_owner(command);
    END IF;
  END LOOP;
  RETURN results;
END $$;
SET ROLE regress_ccr_arguer;
SELECT await_twice('CREATE OR REPLACE FUNCTION s.int_as_raw(int) RETURNS s.raw LANGUAGE sql IMMUTABLE AS ''SELECT ROW(1000 + $1)::s.raw''');
SELECT await_twice('REVOKE EXECUTE ON FUNCTION s.int_as_raw FROM PUBLIC');
RESET ROLE;
SELECT concresce.flush();
SELECT p FROM noted WHERE t = 'added' ORDER BY p;

RESET search_path;
DROP SCHEMA s CASCADE;
DROP ROLE regress_ccr_arguer, regress_ccr_noters;
