-- Keys that are equal but not identical, and identical ones: each item gets
-- what it would get alone, whoever shares its batch.
SET client_min_messages = warning;
CREATE EXTENSION citext;
CREATE EXTENSION hstore;
CREATE SCHEMA far;
DO $$ BEGIN
  EXECUTE format('CREATE SERVER far FOREIGN DATA WRAPPER concresce OPTIONS (host %L, port %L, dbname %L)',
                 split_part(current_setting('unix_socket_directories'), ',', 1),
                 current_setting('port'), current_database());
END $$;
CREATE USER MAPPING FOR CURRENT_USER SERVER far;
CREATE COLLATION far.folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TYPE price AS (amount numeric, unit text);
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN money2 AS numeric CHECK (VALUE >= 0);
CREATE DOMAIN caseless AS text COLLATE far.folded;
CREATE DOMAIN mail AS citext;
CREATE TYPE priced AS RANGE (subtype = numeric);

CREATE TABLE kinds (kind text, type text, keys text[]);
INSERT INTO kinds VALUES
  ('numeric', 'numeric', '{1.0,1.00,2.5,2.50,NaN,3,NULL}'),
  ('float4', 'float4', '{0,-0,1,NaN,NULL}'),
  ('float8', 'float8', '{0,-0,1,NaN,NULL}'),
  ('interval', 'interval', '{1 day,24 hours,30 days,1 month,1 hour,NULL}'),
  ('bpchar', 'bpchar', '{a,"a ","a  ",b,NULL}'),
  ('text', 'text', '{a,"a ",A,b,"",NULL}'),
  ('jsonb', 'jsonb', '{1.0,1.00,"{\"a\": [1.5]}","{\"a\": [1.50]}","\"x\"",NULL}'),
  ('numerics', 'numeric[]', '{"{1.0}","{1.00}","{1.0,1}","{}","{NULL}",NULL}'),
  ('texts', 'text[]', '{"{a}","{A}","{a,NULL}","{}",NULL}'),
  ('numrange', 'numrange', '{"[1.0,2)","[1.00,2.0)","(1,2)",empty,NULL}'),
  ('priced', 'priced', '{"[1.0,2)","[1.00,2.0)",NULL}'),
  ('nummultirange', 'nummultirange', '{"{[1.0,2)}","{[1.00,2.0)}","{}",NULL}'),
  ('price', 'price', '{"(1.0,a)","(1.00,a)","(1.0,b)","(,)",NULL}'),
  ('prices', 'price[]', '{"{\"(1.0,a)\"}","{\"(1.00,a)\"}",NULL}'),
  ('money2', 'money2', '{1.0,1.00,2,NULL}'),
  ('citext', 'citext', '{Ann,ann,ANN,Bob,NULL}'),
  ('citexts', 'citext[]', '{"{Ann}","{ann}","{Bob}",NULL}'),
  ('mail', 'mail', '{Ann,ann,Bob,NULL}'),
  ('caseless', 'caseless', '{Ann,ann,Bob,NULL}'),
  ('hstore', 'hstore', '{a=>1,"b=>2,a=>1","a=>1, b=>2",NULL}'),
  ('mood', 'mood', '{sad,ok,NULL}'),
  ('box', 'box', '{"(1,1),(0,0)","(3,1),(2,0)","(2,2),(0,0)",NULL}'),
  ('tsvector', 'tsvector', '{a b,b a,a:1 b,NULL}');

-- The bodies send back the key as it came, so that each row names its item.
CREATE TABLE forms (form text, result text, body text);
INSERT INTO forms VALUES
  ('one', 'text', 'SELECT x::%1$s, x::text FROM unnest(collect(k)) x'),
  ('set', 'SETOF text', 'SELECT x::%1$s, x::text || g FROM unnest(collect(k)) x, generate_series(1, 2) g ORDER BY g DESC'),
  ('two', 'text', 'SELECT x::%1$s, y, x::text || y FROM unnest(collect(k), collect(n)) u(x, y)');
DO $$
DECLARE
  k record;
BEGIN
  FOR k IN SELECT * FROM kinds, forms, (VALUES ('here', ''), ('far', 'far')) AS p(place, server) LOOP
    EXECUTE format('CREATE FUNCTION %I(k %s%s) RETURNS %s LANGUAGE concresce STABLE SET concresce.server = %L AS %L',
                   concat_ws('_', k.place, k.form, k.kind), k.type, CASE k.form WHEN 'two' THEN ', n int' END,
                   k.result, k.server, format(k.body, k.type));
  END LOOP;
END $$;

-- What each of the keys gets alone, and what they get together.
CREATE FUNCTION alone(lookup text, type text, keys text[], more text DEFAULT '') RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  key text; one text[]; result text[] = '{}';
BEGIN
  FOREACH key IN ARRAY keys LOOP
    BEGIN
      EXECUTE format('SELECT array_agg(r) FROM %I(%L::%s%s) r', lookup, key, type, more) INTO one;
      result = result || coalesce(one::text, 'none');
    EXCEPTION WHEN OTHERS THEN
      result = result || sqlerrm;
    END;
  END LOOP;
  RETURN result;
END $$;
CREATE FUNCTION together(lookup text, type text, keys text[], more text DEFAULT '') RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  result text[];
BEGIN
  EXECUTE format('SELECT array_agg(coalesce(r, ''none'') ORDER BY i)
                  FROM generate_subscripts($1, 1) i
                  LEFT JOIN (SELECT i, array_agg(r)::text AS r
                             FROM (SELECT i, %I(key::%s%s) AS r FROM unnest($1) WITH ORDINALITY AS u(key, i) OFFSET 0) q
                             GROUP BY i) q USING (i)',
                 lookup, type, more) INTO result USING keys;
  RETURN result;
EXCEPTION WHEN OTHERS THEN
  RETURN ARRAY[sqlerrm];
END $$;
CREATE FUNCTION differs(lookup text, type text, keys text[], more text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  a text[] = alone(lookup, type, keys, more); t text[] = together(lookup, type, keys, more);
BEGIN
  RETURN CASE WHEN a IS DISTINCT FROM t THEN format('%s, not %s', t, a) ELSE 'no' END;
END $$;

SELECT form, kind, differs('here_' || form || '_' || kind, type, keys, more) AS here, differs('far_' || form || '_' || kind, type, keys, more) AS far
FROM kinds, forms, LATERAL (SELECT CASE form WHEN 'two' THEN ', 7' ELSE '' END) m(more) ORDER BY kind, form;
-- none of it fails
SELECT form, kind, together('far_' || form || '_' || kind, type, keys) FROM kinds, forms WHERE form = 'one' ORDER BY kind;

--
-- Where the far side compares otherwise than this one
--
CREATE TABLE far.people (name text COLLATE far.folded, id int, big float8, code varchar(9) COLLATE far.folded);
INSERT INTO far.people VALUES ('Ann', 1, 2 ^ 53, 'A'), ('ann', 2, 1, 'B'), ('Bob', 3, 2, 'C'), ('Cid', 4, 0.1, 'c');
CREATE FUNCTION ids(n text) RETURNS SETOF int LANGUAGE concresce STABLE SET concresce.server = 'far'
AS 'SELECT name, id FROM far.people WHERE name = ANY (collect(n)) ORDER BY id';
CREATE FUNCTION as_asked(n text) RETURNS SETOF text LANGUAGE concresce STABLE SET concresce.server = 'far'
AS 'SELECT x COLLATE far.folded, x FROM unnest(collect(n)) x';
CREATE FUNCTION lowered(n text) RETURNS SETOF text LANGUAGE concresce STABLE SET concresce.server = 'far'
AS 'SELECT lower(x) COLLATE far.folded, x FROM unnest(collect(n)) x';
CREATE FUNCTION by_big(n bigint) RETURNS SETOF text LANGUAGE concresce STABLE SET concresce.server = 'far'
AS 'SELECT x::float8, x::text FROM unnest(collect(n)) x';
CREATE FUNCTION by_numeric(n numeric) RETURNS SETOF text LANGUAGE concresce STABLE SET concresce.server = 'far'
AS 'SELECT x::float8, x::text FROM unnest(collect(n)) x';
CREATE FUNCTION by_code(n varchar) RETURNS SETOF int LANGUAGE concresce STABLE SET concresce.server = 'far'
AS 'SELECT code, id FROM far.people WHERE cardinality(collect(n)) > 0 ORDER BY id';
SELECT differs('ids', 'text', '{Ann,ANN,ann,bob,Bob,none}'), together('ids', 'text', '{Ann,ANN,ann,bob,Bob,none}');
SELECT differs('as_asked', 'text', '{Ann,ANN,ann,bob,Bob,none}'), together('as_asked', 'text', '{Ann,ANN,ann,bob,Bob,none,NULL}');
SELECT differs('lowered', 'text', '{ann,ANN,b}'), together('lowered', 'text', '{ann,ANN,b}');
SELECT differs('by_big', 'bigint', '{9007199254740992,9007199254740993,1}'), together('by_big', 'bigint', '{9007199254740992,9007199254740993,1}');
SELECT differs('by_numeric', 'numeric', '{0.1,0.10000000000000000001,1}'), together('by_numeric', 'numeric', '{0.1,0.10000000000000000001,1}');
SELECT differs('by_code', 'varchar', '{a,A,B,c,C}'), together('by_code', 'varchar', '{a,A,B,c,C}');

-- from the second time on, as few batches as can be
CREATE FUNCTION batches(function regproc) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_stat_clear_snapshot();
  RETURN (SELECT sum(s.batches) FROM concresce.stats s WHERE s.function = batches.function);
END $$;
SELECT concresce.reset_stats();
SELECT together('ids', 'text', '{Bob,a,b,c}');
SELECT batches('ids') AS one;
SELECT concresce.reset_stats();
SELECT together('ids', 'text', '{bob,Bob,BOB,ANN,aNN,c}');
SELECT batches('ids') AS one_and_three;
SELECT concresce.reset_stats();
SELECT together('far_one_numeric', 'numeric', '{1.0,1.00,1.000,2.0,2.00,3}');
SELECT batches('far_one_numeric') AS three;

-- Calls that are VOLATILE, side by side: how many different results, or errors.
CREATE FUNCTION side_by_side(lookup text, type text, keys text[]) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  calls bigint[]; call bigint; one text; result text[] = '{}';
BEGIN
  -- they leave when all are there
  PERFORM set_config('concresce.max_window', '60s', true), set_config('concresce.max_size', cardinality(keys)::text, true);
  EXECUTE format('SELECT array_agg(concresce.submit(%L, key::%s) ORDER BY i) FROM unnest($1) WITH ORDINALITY AS u(key, i)', lookup, type)
    INTO calls USING keys;
  FOREACH call IN ARRAY calls LOOP
    BEGIN
      one = concresce.await(call)::text;
    EXCEPTION WHEN OTHERS THEN
      GET STACKED DIAGNOSTICS one = PG_EXCEPTION_DETAIL;
      one = concat_ws(' | ', sqlstate, sqlerrm, one);
    END;
    result = result || one;
  END LOOP;
  RETURN result;
END $$;

-- a write cannot be asked again: keys that are equal here are apart from the
-- start, others get an error
CREATE TABLE far.notes (id int GENERATED ALWAYS AS IDENTITY, key numeric, word text COLLATE far.folded);
CREATE FUNCTION add_key(k numeric) RETURNS text LANGUAGE concresce VOLATILE SET concresce.server = 'far'
AS $$ INSERT INTO far.notes (key) SELECT unnest(collect(k)) RETURNING key, key || CASE WHEN id < 100 THEN ' added' END $$;
CREATE FUNCTION add_word(k text) RETURNS text LANGUAGE concresce VOLATILE SET concresce.server = 'far'
AS $$ INSERT INTO far.notes (word) SELECT unnest(collect(k)) RETURNING word, word || CASE WHEN id < 100 THEN ' added' END $$;
SELECT side_by_side('add_key', 'numeric', '{1.0,1.00,1.0,2,2.0,NULL,NULL}');
SELECT batches('add_key');
SELECT floor(key), count(*) FROM far.notes GROUP BY 1 ORDER BY 1;
SELECT side_by_side('add_word', 'text', '{w,x,y}');
SELECT batches('add_word');
SELECT unnest(side_by_side('add_word', 'text', '{a,A,b,a,NULL}'));
SELECT count(*) FROM far.notes WHERE word IN ('a', 'b') OR word IS NULL AND key IS NULL;

--
-- Identical items that do not share a lookup
--
CREATE SEQUENCE far.runs;
CREATE FUNCTION counted(k int) RETURNS bigint LANGUAGE concresce VOLATILE SET concresce.server = 'far'
AS $$ SELECT x, nextval('far.runs') FROM unnest(collect(k)) x $$;
CREATE FUNCTION in_order(k int) RETURNS bigint LANGUAGE concresce VOLATILE SET concresce.server = 'far'
AS $$ SELECT nextval('far.runs') FROM unnest(collect(k)) WITH ORDINALITY u(x, n) ORDER BY n $$;
CREATE FUNCTION one_by_one(k int) RETURNS bigint LANGUAGE concresce VOLATILE SET concresce.server = 'far'
AS $$ SELECT nextval('far.runs') $$;
CREATE FUNCTION seen(k int) RETURNS SETOF text LANGUAGE concresce STABLE SET concresce.server = 'far'
AS $$ SELECT x, 'no. ' || x FROM unnest(collect(k)) x $$;
SELECT lookup, count(DISTINCT n), min(n::int) > 0 AS numbers
FROM unnest('{counted,in_order,one_by_one}'::text[]) lookup, unnest(side_by_side(lookup, 'int', '{1,1,2,1,NULL,NULL}')) n
GROUP BY lookup ORDER BY lookup;
SELECT batches('counted') AS three, batches('one_by_one') AS one;
SET concresce.coalesce = 'off';
SELECT k, seen(k) FROM unnest('{1,1,2,NULL,NULL,1}'::int[]) k;
SELECT v, together('far_one_numeric', 'numeric', ARRAY[v, v, '1.00']) FROM (VALUES ('1.0'), ('1.00')) t(v);
SELECT count(s) FROM (SELECT seen(k % 3) AS s FROM generate_series(1, 300) k OFFSET 0) q;
RESET concresce.coalesce;

-- types without an equality
CREATE FUNCTION by_json(j json) RETURNS text LANGUAGE concresce STABLE SET concresce.server = 'far'
AS 'SELECT x, x::text FROM unnest(collect(j)) x';
CREATE FUNCTION by_point(n int, p point) RETURNS text LANGUAGE concresce STABLE SET concresce.server = 'far'
AS 'SELECT n, p, p::text FROM unnest(collect(n), collect(p)) u(n, p)';
CREATE FUNCTION of_json(j json) RETURNS text LANGUAGE concresce STABLE SET concresce.server = 'far'
AS 'SELECT x::text FROM unnest(collect(j)) WITH ORDINALITY u(x, n) ORDER BY n';
SELECT by_json('1');
SELECT by_point(1, '(1,2)');
SELECT of_json('{"a": 1}');

DO $$
DECLARE
  f regprocedure;
BEGIN
  FOR f IN SELECT oid FROM pg_proc WHERE prolang = (SELECT oid FROM pg_language WHERE lanname = 'concresce')
             OR proname IN ('alone', 'together', 'differs', 'batches', 'side_by_side') LOOP
    EXECUTE 'DROP FUNCTION ' || f;
  END LOOP;
END $$;
DROP TABLE kinds, forms;
DROP DOMAIN money2, caseless, mail;
DROP TYPE price, mood, priced;
DROP SERVER far CASCADE;
DROP SCHEMA far CASCADE;
DROP EXTENSION citext, hstore;
