-- Nothing of what is put around a body is looked up by a bare name: a schema
-- first in the search_path, here or over there, with functions, operators,
-- types and collations of every name of pg_catalog, is never called.
SET client_min_messages = warning;
SET DateStyle = ISO;
SET IntervalStyle = postgres;
CREATE SCHEMA extensions;
CREATE EXTENSION citext SCHEMA extensions;
CREATE EXTENSION hstore SCHEMA extensions;
CREATE SCHEMA trap;
CREATE SCHEMA far;
CREATE TYPE far.mood AS ENUM ('sad', 'ok');
CREATE TYPE far.price AS (amount numeric, unit text);
CREATE TYPE far.priced AS RANGE (subtype = numeric);
CREATE DOMAIN far.mail AS extensions.citext;

-- What cannot be made (pseudo-types, syntax of its own) is left out.
CREATE FUNCTION far.make(command text) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE command;
  RETURN true;
EXCEPTION WHEN OTHERS THEN
  RETURN false;
END $$;
CREATE FUNCTION far.trap(head text) RETURNS text LANGUAGE sql AS $$
  SELECT head || ' LANGUAGE plpgsql AS $_$ BEGIN RAISE EXCEPTION ''trapped''; END $_$'
$$;
-- functions of pg_catalog, with their very arguments
SELECT count(*) > 2000 AS functions
FROM pg_proc p, LATERAL (SELECT far.make(far.trap(format('CREATE FUNCTION trap.%I(%s) RETURNS %s', proname,
         (SELECT string_agg(t::regtype::text, ', ' ORDER BY i) FROM unnest(proargtypes) WITH ORDINALITY u(t, i)),
         CASE WHEN proretset THEN 'SETOF ' ELSE '' END || pg_get_function_result(p.oid))))) m(made)
WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' AND made;
-- and of others that would fit better than theirs
SELECT count(far.make(far.trap(format('CREATE FUNCTION trap.%I(%s) RETURNS %s', name, args, result))))
FROM (VALUES ('unnest', 'bigint[]', 'SETOF bigint'), ('unnest', 'text[]', 'SETOF text'), ('unnest', 'int[]', 'SETOF int'), ('unnest', 'far.mood[]', 'SETOF far.mood'),
             ('num_nulls', 'far.price, text', 'int'), ('record_image_eq', 'far.price, far.price', 'bool'), ('row_number', '', 'bigint'),
             ('array_position', 'extensions.citext[], extensions.citext', 'int'),
             ('ordinality', 'record', 'bigint'), ('k1', 'record', 'int'), ('n', 'record', 'bigint')) f(name, args, result);
-- operators, of those types also that have none of their own
SELECT count(*), bool_and(function), bool_and(operator)
FROM (SELECT far.make(far.trap(format('CREATE FUNCTION trap.%I(%s, %2$s) RETURNS bool', op || t, t))) AS function,
             far.make(format('CREATE OPERATOR trap.%s (LEFTARG = %s, RIGHTARG = %2$s, FUNCTION = trap.%I)', op, t, op || t)) AS operator
      FROM unnest('{=,<>,<,-,~~}'::text[]) op,
           unnest('{varchar,int[],text[],far.mood,far.mood[],far.price,far.priced,extensions.citext,extensions.hstore}'::text[]) t) q;
SELECT count(*) > 500 AS operators
FROM (SELECT oprname, oprleft, oprright, row_number() OVER (ORDER BY oid) AS i FROM pg_operator WHERE oprnamespace = 'pg_catalog'::regnamespace) o,
     LATERAL (SELECT far.make(far.trap(format('CREATE FUNCTION trap.%I(%s) RETURNS bool', 'bop_' || i,
                concat_ws(', ', nullif(oprleft, 0)::regtype, oprright::regtype))))) f(function),
     LATERAL (SELECT function AND far.make(format('CREATE OPERATOR trap.%s (%sRIGHTARG = %s, FUNCTION = trap.%I)', oprname,
                'LEFTARG = ' || nullif(oprleft, 0)::regtype || ', ', oprright::regtype, 'bop_' || i))) m(made)
WHERE made;
-- types
SELECT count(*) > 60 AS types
FROM pg_type, LATERAL (SELECT far.make(format('CREATE DOMAIN trap.%I AS pg_catalog.int4 CHECK (false)', typname))) m(made)
WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype = 'b' AND typelem = 0 AND made;
CREATE COLLATION trap."C" (provider = icu, locale = 'und-u-ks-level2', deterministic = false);

DO $$ BEGIN
  EXECUTE format('CREATE SERVER far FOREIGN DATA WRAPPER concresce OPTIONS (host %L, port %L, dbname %L, options %L)',
                 split_part(current_setting('unix_socket_directories'), ',', 1),
                 current_setting('port'), current_database(), '-csearch_path=trap,pg_catalog');
END $$;
CREATE USER MAPPING FOR CURRENT_USER SERVER far;

CREATE TABLE far.kinds (kind text, type text, keys text[]);
INSERT INTO far.kinds VALUES
  ('int', 'pg_catalog.int4', '{1,2,NULL}'), ('bigint', 'pg_catalog.int8', '{1,2,NULL}'), ('text', 'pg_catalog.text', '{a,b,NULL}'), ('varchar', 'pg_catalog.varchar', '{a,b,NULL}'),
  ('bpchar', 'pg_catalog.bpchar', '{a,b,NULL}'), ('name', 'pg_catalog.name', '{a,b,NULL}'), ('char', 'pg_catalog."char"', '{a,b,NULL}'), ('numeric', 'pg_catalog.numeric', '{1.0,1.00,NULL}'),
  ('bit', 'pg_catalog.varbit', '{101,110,NULL}'), ('interval', 'pg_catalog.interval', '{1 day,24:00:00,NULL}'), ('timestamp', 'pg_catalog.timestamp', '{2026-01-01 00:00:00,NULL}'),
  ('jsonb', 'pg_catalog.jsonb', '{1.0,"[1]",NULL}'), ('uuid', 'pg_catalog.uuid', '{00000000-0000-0000-0000-000000000001,NULL}'), ('inet', 'pg_catalog.inet', '{10.0.0.1,NULL}'),
  ('ints', 'pg_catalog.int4[]', '{"{1}","{1,2}",NULL}'), ('texts', 'pg_catalog.text[]', '{"{a}","{a,NULL}",NULL}'), ('numrange', 'pg_catalog.numrange', '{"[1,2)",empty,NULL}'),
  ('mood', 'far.mood', '{sad,ok,NULL}'), ('moods', 'far.mood[]', '{"{sad}","{ok}",NULL}'), ('price', 'far.price', '{"(1.0,a)","(1.00,a)","(,)",NULL}'),
  ('priced', 'far.priced', '{"[1,2)","[1.0,2)",NULL}'), ('citext', 'extensions.citext', '{Ann,ann,Bob,NULL}'), ('citexts', 'extensions.citext[]', '{"{Ann}","{ann}",NULL}'),
  ('mail', 'far.mail', '{Ann,ann,NULL}'), ('hstore', 'extensions.hstore', '{a=>1,"b=>2, a=>1",NULL}');
CREATE TABLE far.forms (form text, result text, volatility text, body text);
INSERT INTO far.forms VALUES
  ('single', 'text', 'STABLE', 'SELECT k::pg_catalog.text'),
  ('volatile', 'text', 'VOLATILE', 'SELECT $1::pg_catalog.text'),
  ('keyed', 'text', 'STABLE', 'SELECT x::%s, x::pg_catalog.text FROM pg_catalog.unnest(collect(k)) x'),
  ('set', 'SETOF text', 'STABLE', 'SELECT x::%s, x::pg_catalog.text FROM pg_catalog.unnest(collect(k)) x'),
  ('changing', 'text', 'VOLATILE', 'SELECT x::%s, x::pg_catalog.text FROM pg_catalog.unnest(collect(k)) x'),
  ('positional', 'text', 'STABLE', 'SELECT x::pg_catalog.text FROM pg_catalog.unnest(collect(k)) WITH ORDINALITY u(x, n) ORDER BY n'),
  ('none', 'void', 'VOLATILE', 'SELECT x::%s FROM pg_catalog.unnest(collect(k)) x'),
  ('two', 'text', 'STABLE', 'SELECT k::pg_catalog.text'),
  ('two_keyed', 'text', 'STABLE', 'SELECT x::%s, y, x::pg_catalog.text FROM unnest(collect(k), collect(n)) u(x, y)');

-- The far side has that search_path; here it is the caller's, so the lookup's.
DO $$
DECLARE
  k record;
BEGIN
  FOR k IN SELECT * FROM far.kinds, far.forms, (VALUES ('far', ''), ('here', 'SET search_path = trap, pg_catalog')) AS p(place, setting) LOOP
    EXECUTE format('CREATE FUNCTION far.%I(k %s%s) RETURNS %s LANGUAGE concresce %s SET concresce.server = %L %s AS %L',
                   concat_ws('_', k.place, k.form, k.kind), k.type, CASE WHEN k.form ~ 'two' THEN ', n int' ELSE '' END,
                   k.result, k.volatility, CASE k.place WHEN 'far' THEN 'far' ELSE '' END, k.setting, format(k.body, k.type));
  END LOOP;
END $$;

-- Each key with the text that the lookup says it has got; the error, if any.
CREATE FUNCTION far.try(lookup text, kind far.kinds, more text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  result text;
BEGIN
  EXECUTE format('SELECT CASE WHEN bool_and(got IS NOT DISTINCT FROM key::%s::text) THEN ''right'' ELSE string_agg(concat_ws(''>'', key, got), '', '') END
                  FROM (SELECT key, far.%I(key::%1$s%3$s)::text AS got FROM unnest($1) key OFFSET 0) q', kind.type, lookup, more)
    INTO result USING kind.keys;
  RETURN result;
EXCEPTION WHEN OTHERS THEN
  RETURN sqlstate || ' ' || sqlerrm;
END $$;
SELECT place, form, r AS result, string_agg(kind, ' ' ORDER BY kind) AS kinds
FROM far.kinds k, far.forms, unnest('{far,here}'::text[]) place,
     LATERAL far.try(concat_ws('_', place, form, kind), k, CASE WHEN form ~ 'two' THEN ', 7' ELSE '' END) r
WHERE form <> 'none' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SELECT r FROM far.kinds k, unnest('{far,here}'::text[]) place, LATERAL far.try(place || '_none_' || kind, k, '') r WHERE r ~ '^[0-9A-Z]{5} ';

-- without arguments; and a lookup that says a bare name itself is trapped
CREATE FUNCTION far.total() RETURNS bigint LANGUAGE concresce STABLE SET concresce.server = 'far' AS 'SELECT pg_catalog.count(*) FROM far.forms';
CREATE FUNCTION far.total_here() RETURNS bigint LANGUAGE concresce STABLE SET concresce.server = '' SET search_path = trap, pg_catalog AS 'SELECT pg_catalog.count(*) FROM far.forms';
CREATE FUNCTION far.caught(t text) RETURNS text LANGUAGE concresce STABLE SET concresce.server = 'far' AS 'SELECT upper(t)';
CREATE FUNCTION far.caught_too(t varchar) RETURNS bool LANGUAGE concresce STABLE SET concresce.server = 'far' AS 'SELECT t = t';
SELECT far.total(), far.total_here();
SELECT far.caught('a');
SELECT far.caught_too('a');

-- an operator of somebody else's does not decide whose row it is
CREATE FUNCTION far.careful(k varchar) RETURNS int LANGUAGE concresce STABLE SET concresce.server = 'far'
AS $$ SELECT 'a'::pg_catalog.varchar, 1 WHERE 'a' OPERATOR(pg_catalog.=) ANY (collect(k)::pg_catalog.text[]) $$;
SELECT k, far.careful(k) FROM unnest('{a,b}'::varchar[]) k;

DROP SERVER far CASCADE;
DROP SCHEMA trap CASCADE;
DROP SCHEMA far CASCADE;
DROP SCHEMA extensions CASCADE;
