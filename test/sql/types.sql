--
-- Values of every type come through unchanged, to the far side and back.
--
SET client_min_messages = warning;
CREATE SCHEMA far;
DO $$
BEGIN
  EXECUTE format('CREATE SERVER far FOREIGN DATA WRAPPER concresce '
                 'OPTIONS (host %L, port %L, dbname %L, options %L)',
                 split_part(current_setting('unix_socket_directories'), ',', 1),
                 current_setting('port'), current_database(), '-csearch_path=far,public');
END $$;
CREATE USER MAPPING FOR CURRENT_USER SERVER far;
SET concresce.server = 'far';

-- For each type: does the far side see the value, and does it come back?
-- Both are compared with what the value is here, as text in a fixed style.
CREATE TYPE mood AS ENUM ('sad', 'it''s "ok", \really', 'ecstatic');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN word AS text CHECK (VALUE !~ ' ');
CREATE TYPE point3 AS (x int, y text, z numeric[]);
CREATE TYPE styled AS (i interval, d date, t timestamptz, f float8, b bytea);

CREATE FUNCTION show(v anyelement) RETURNS text LANGUAGE sql
SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET timezone = 'UTC'
SET extra_float_digits = 3 SET bytea_output = 'hex' SET quote_all_identifiers = off
AS 'SELECT v::text';

CREATE PROCEDURE try(type text, VARIADIC vals text[]) LANGUAGE plpgsql AS $$
DECLARE
  v text; here text; there text; back text;
BEGIN
  EXECUTE format('CREATE FUNCTION there(v %s) RETURNS text LANGUAGE concresce STABLE AS
                  ''SELECT public.show(v)''', type);
  EXECUTE format('CREATE FUNCTION back(v %s) RETURNS %1$s LANGUAGE concresce STABLE AS
                  ''SELECT v''', type);
  EXECUTE format('CREATE FUNCTION bulk(v %s) RETURNS %1$s LANGUAGE concresce STABLE AS
                  ''SELECT v::%1$s, v::%1$s FROM unnest(collect(v)) v''', type);
  FOREACH v IN ARRAY vals || NULL LOOP
    EXECUTE format('SELECT show(%L::%s), there(%1$L), show(back(%1$L))', v, type) INTO here, there, back;
    IF here IS DISTINCT FROM there OR here IS DISTINCT FROM back THEN
      RAISE NOTICE '%: % is % there and % back', type, here, there, back;
    END IF;
    CONTINUE WHEN type IN ('json', 'xml', 'point', 'point3', 'styled');	-- no equality, several columns
    EXECUTE format('SELECT show(bulk(%L))', v) INTO back;
    IF here IS DISTINCT FROM back THEN
      RAISE NOTICE '%: % is % back from the bulk form', type, here, back;
    END IF;
  END LOOP;
  DROP FUNCTION there, back, bulk;
END $$;

SET client_min_messages = notice;
CREATE PROCEDURE try_all() LANGUAGE plpgsql AS $$
BEGIN
  CALL try('smallint', '0', '-32768', '32767');
  CALL try('integer', '0', '-2147483648', '2147483647');
  CALL try('bigint', '0', '-9223372036854775808', '9223372036854775807');
  CALL try('real', '0', '-0', '1.1', 'NaN', 'Infinity', '-Infinity', '1e-45', '3.4028235e38');
  CALL try('double precision', '0', '-0', '0.1', 'NaN', 'Infinity', '5e-324', '1.7976931348623157e308', '0.30000000000000004');
  CALL try('numeric', '0', '1.00', '-1.000', 'NaN', 'Infinity', '-Infinity', '1e-1000', repeat('9', 3000) || '.' || repeat('7', 3000));
  CALL try('money', '1.25');
  CALL try('boolean', 't', 'f');
  CALL try('text', '', ' ', 'it''s', E'a\\b"c\n\t,{}()', 'NULL', '$1', 'naïve ☃ 𝄞', repeat('x', 3000));
  CALL try('varchar', '', 'abc  ', 'é');
  CALL try('bpchar', 'abc  ', '');
  CALL try('"char"', 'a', '', E'\\377');
  CALL try('name', 'abc', repeat('é', 40));
  CALL try('bytea', '', '\x00ff5c27', 'a');
  CALL try('uuid', '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff');
  CALL try('json', '{"a" : 1, "a": [null, "\u00e9\"", 1e400]}', 'null', '""');
  CALL try('jsonb', '{"a" : 1, "b": [null, "é\"", 1e400]}', 'null', '""');
  CALL try('xml', '<a b="c">é</a>');
  CALL try('date', '2026-02-03', '-infinity', 'infinity', '4713-01-01 BC', '5874897-12-31');
  CALL try('time', '00:00', '24:00', '12:34:56.789012');
  CALL try('time with time zone', '12:34:56.789012+05:30', '00:00-15:59');
  CALL try('timestamp', '2026-02-03 04:05:06.789', 'infinity', '-infinity', '0044-03-15 BC');
  CALL try('timestamp with time zone', '2026-02-03 04:05:06.789+03', 'infinity', '1883-11-18 12:00+00', '0044-03-15 12:00+00 BC');
  CALL try('interval', '1 year -2 mons +3 days -04:05:06.789', '-1 day -2:03:04', '-1 year -1 month', '0', '178000000 years');
  CALL try('bit varying', '', '10110011100');
  CALL try('"bit"', '10110011100', '1');
  CALL try('inet', '10.1.2.3/8', '::1', '2001:db8::/32');
  CALL try('cidr', '10.0.0.0/8');
  CALL try('macaddr', '08:00:2b:01:02:03');
  CALL try('oid', '0', '4294967295');
  CALL try('regclass', 'pg_class');
  CALL try('regtype', 'integer', 'mood');
  CALL try('regprocedure', 'show(anyelement)');
  CALL try('point', '(1,-2.5)');
  CALL try('tsvector', 'a:1 b:2,3C ''d e''');
  CALL try('int4range', 'empty', '[1,5)', '(,7]', '(,)');
  CALL try('numrange', '[1.50,2.5]', '(,NaN)');
  CALL try('daterange', '[2026-02-03,2026-03-04)', '[2026-12-11,infinity)');
  CALL try('tstzrange', '["2026-02-03 04:05+00","2026-03-02 04:05+03"]');
  CALL try('int8multirange', '{[1,5),[8,)}', '{}');
  CALL try('mood', 'sad', 'it''s "ok", \really');
  CALL try('positive', '1');
  CALL try('word', '', 'a,b', '"\');
  CALL try('point3', '(1,"a b","{1.0,NULL}")', '(,"",)', '(,,)', E'(2147483647,"q""\\\\,(",{})');
  CALL try('styled', '("-1 day -02:03:04",2026-02-03,"2026-02-03 04:05:06.7+00",0.30000000000000004,"\\x5c00ff")');
  CALL try('integer[]', '{}', '{1,NULL,3}', '{{1,2},{3,4}}', '[2:3]={7,8}', '{NULL}', '[0:0][5:6]={{1,2}}');
  CALL try('text[]', '{}', '{a,"b c","d\"e","f\\g","",NULL,"NULL","{x}","é"}', '{{a,b},{"c,",NULL}}');
  CALL try('numeric[]', '{1.0,NaN,NULL}');
  CALL try('boolean[]', '{t,f,NULL}');
  CALL try('date[]', '{2026-02-03,NULL,infinity}');
  CALL try('timestamptz[]', '{"2026-02-03 04:05+00"}');
  CALL try('interval[]', '{"-1 day -02:03:04"}');
  CALL try('uuid[]', '{00000000-0000-0000-0000-000000000001}');
  CALL try('bytea[]', '{"\\x00ff","\\x"}');
  CALL try('jsonb[]', '{"{\"a\": \"b c\"}",NULL}');
  CALL try('bpchar[]', '{abc,d}');
  CALL try('mood[]', '{sad,"it''s \"ok\", \\really",NULL}');
  CALL try('positive[]', '{1,2}');
  CALL try('point3[]', '{"(1,\"a b\",\"{1}\")",NULL}');
  CALL try('daterange[]', '{"[2026-02-03,2026-03-04)"}');
END $$;

CALL try_all();

-- whatever the style that the session has chosen
SET datestyle = 'SQL, DMY'; SET intervalstyle = 'sql_standard'; SET timezone = 'Asia/Kolkata';
SET extra_float_digits = -15; SET bytea_output = 'escape'; SET xmlbinary = 'hex';
CALL try_all();
SET datestyle = 'German'; SET intervalstyle = 'iso_8601'; SET timezone = 'Asia/Kathmandu';
CALL try_all();
SET search_path = pg_catalog, public; SET quote_all_identifiers = on;
CALL try_all();
RESET ALL;
SET concresce.server = 'far';

-- and whatever style the far side has
DO $$
BEGIN
  EXECUTE format('CREATE SERVER odd FOREIGN DATA WRAPPER concresce '
                 'OPTIONS (host %L, port %L, dbname %L, options %L)',
                 split_part(current_setting('unix_socket_directories'), ',', 1),
                 current_setting('port'), current_database(),
                 '-cdatestyle=German -cintervalstyle=iso_8601 -ctimezone=Asia/Kathmandu '
                 '-cbytea_output=escape -csearch_path=public');
END $$;
CREATE USER MAPPING FOR CURRENT_USER SERVER odd;
SET concresce.server = 'odd';
CALL try_all();
SET concresce.server = 'far';

-- NOT NULL domains: a NULL is refused on arrival here, not on the far side
SET client_min_messages = warning;
CREATE DOMAIN present AS int NOT NULL;
CREATE DOMAIN few AS int[] CHECK (cardinality(VALUE) < 3);
CREATE DOMAIN even_point AS point3 CHECK ((VALUE).x % 2 = 0);
CREATE FUNCTION presence(a int) RETURNS present LANGUAGE concresce STABLE AS 'SELECT a';
CREATE FUNCTION presences(a int) RETURNS SETOF present LANGUAGE concresce STABLE AS 'VALUES (1), (a)';
CREATE FUNCTION absence(a int) RETURNS present LANGUAGE concresce STABLE AS 'SELECT a WHERE false';
CREATE FUNCTION fewer(a int[]) RETURNS few LANGUAGE concresce STABLE AS 'SELECT a';
CREATE FUNCTION take_few(a few) RETURNS int LANGUAGE concresce STABLE AS 'SELECT cardinality(a)';
CREATE FUNCTION even(a int, b text) RETURNS even_point LANGUAGE concresce STABLE AS 'SELECT a, b, NULL';
CREATE FUNCTION even_whole(a int) RETURNS even_point LANGUAGE concresce STABLE AS $$ SELECT ROW(a, 'w', '{1}')::public.point3 $$;
CREATE FUNCTION take_even(a even_point) RETURNS int LANGUAGE concresce STABLE AS 'SELECT (a).x';
SELECT presence(1);
SELECT presence(NULL);
SELECT * FROM presences(2);
SELECT * FROM presences(NULL);
SELECT absence(1);
SELECT fewer('{1,2}'), take_few('{1,2}'), fewer(NULL);
SELECT fewer('{1,2,3}');
SELECT take_few('{1,2,3}');
SELECT even(2, 'x'), (even(4, NULL)).y, take_even((6, '', NULL)), even_whole(8);
SELECT even(3, 'x');
SELECT even_whole(3);

DROP FUNCTION presence, presences, absence, fewer, take_few, even, even_whole, take_even;
DROP DOMAIN present, few, even_point;
DROP PROCEDURE try_all, try;
DROP FUNCTION show;
DROP TYPE point3, styled, mood;
DROP DOMAIN positive, word;
DROP SERVER far, odd CASCADE;
DROP SCHEMA far CASCADE;
