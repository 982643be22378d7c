-- Values of every built-in type and every class of type, in every kind of
-- result and every form, here and over there, in batches of mixed lengths: each
-- value names its item, and each call gets its own.
SET client_min_messages = warning;
CREATE EXTENSION citext;
CREATE EXTENSION hstore;
DO $$ BEGIN
  EXECUTE format('CREATE SERVER far FOREIGN DATA WRAPPER concresce OPTIONS (host %L, port %L, dbname %L)',
                 split_part(current_setting('unix_socket_directories'), ',', 1),
                 current_setting('port'), current_database());
END $$;
CREATE USER MAPPING FOR CURRENT_USER SERVER far;

-- n, padded to a length
CREATE FUNCTION named(n int, len int) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT n || repeat('x', greatest(len - length(n::text), 0))
$$;
CREATE TYPE hue AS ENUM ('red', 'green', 'somewhat blue');
CREATE TYPE inner_row AS (i int, t text);
CREATE TYPE outer_row AS (r inner_row, a inner_row[], n numeric);
CREATE DOMAIN word AS text CHECK (VALUE ~ '^[0-9]');
CREATE DOMAIN checked_row AS inner_row CHECK ((VALUE).i >= 0);
CREATE TYPE textrange AS RANGE (subtype = text, collation = "C");

-- A value of each type; {n} and {len} stand for the item.
CREATE TABLE kinds (type text, value text);
INSERT INTO kinds VALUES
  ('bool', 'n % 2 = 0'), ('bytea', 'convert_to(named(n, len), ''UTF8'')'), ('"char"', 'chr(48 + n % 70)::"char"'), ('name', 'left(named(n, len), 63)::name'),
  ('int8', 'n * 10000000000'), ('int2', 'n::int2'), ('int4', 'n'), ('text', 'named(n, len)'), ('varchar', 'named(n, len)::varchar'), ('bpchar', 'named(n, len)::bpchar'),
  ('oid', 'n::oid'), ('tid', 'format(''(%s,%s)'', n, len)::tid'), ('xid', 'n::text::xid'), ('cid', 'n::text::cid'), ('xid8', 'n::text::xid8'),
  ('oidvector', 'concat_ws('' '', n, len)::oidvector'), ('int2vector', 'concat_ws('' '', n, len)::int2vector'), ('regtype', '(ARRAY[''int4'', ''text'', ''kinds''])[1 + n % 3]::regtype'),
  ('json', 'to_json(named(n, len))'), ('jsonb', 'to_jsonb(named(n, len))'), ('xml', 'xmlcomment(named(n, len))'), ('jsonpath', '(''$."'' || named(n, len) || ''"'')::jsonpath'),
  ('point', 'point(n, len)'), ('lseg', 'lseg(point(n, 0), point(0, len))'), ('path', 'format(''((0,0),(%s,%s))'', n, len)::path'), ('box', 'box(point(n, len), point(0, 0))'),
  ('polygon', 'polygon(box(point(n, len), point(-1, -1)))'), ('line', 'format(''{1,%s,%s}'', n, len)::line'), ('circle', 'circle(point(n, len), n + 1)'),
  ('float4', 'n::float4 / 3'), ('float8', 'n::float8 / 3'), ('money', 'n::money'), ('numeric', 'n + (''0.'' || repeat(''1'', len + 1))::numeric'),
  ('date', 'date ''2000-01-01'' + n'), ('time', 'time ''00:00'' + n * interval ''1.5 s'''), ('timetz', '((time ''00:00'' + n * interval ''1 s'')::text || ''+03'')::timetz'),
  ('timestamp', 'timestamp ''2000-01-01'' + n * interval ''1 h'''), ('timestamptz', 'timestamptz ''2000-01-01 00:00+00'' + n * interval ''1 h'''), ('interval', 'n * interval ''1 h'' + len * interval ''1 day'''),
  ('bit', 'n::bit(16)'), ('varbit', 'n::bit(16) || repeat(''0'', len)::varbit'), ('uuid', 'md5(n::text)::uuid'),
  ('inet', 'inet ''10.0.0.0'' + n'), ('cidr', 'set_masklen((inet ''10.0.0.0'' + n), 32)::cidr'), ('macaddr', 'lpad(to_hex(n), 12, ''0'')::macaddr'), ('macaddr8', 'lpad(to_hex(n), 16, ''0'')::macaddr8'),
  ('tsvector', 'array_to_tsvector(ARRAY[named(n, len)])'), ('tsquery', 'named(n, len)::tsquery'), ('pg_lsn', '(''0/'' || to_hex(n))::pg_lsn'),
  ('pg_snapshot', 'format(''%s:%1$s:'', n + 1)::pg_snapshot'), ('txid_snapshot', 'format(''%s:%1$s:'', n + 1)::txid_snapshot'), ('refcursor', 'named(n, len)::refcursor'),
  ('int4range', 'int4range(n, n + len + 1)'), ('int8range', 'int8range(n, n + len + 1)'), ('numrange', 'numrange(n, n + (''0.1'' || repeat(''1'', len))::numeric)'),
  ('daterange', 'daterange(date ''2000-01-01'' + n, NULL)'), ('tsrange', 'tsrange(timestamp ''2000-01-01'' + n * interval ''1 h'', NULL)'), ('tstzrange', 'tstzrange(timestamptz ''2000-01-01 00:00+00'' + n * interval ''1 h'', NULL)'),
  ('int4multirange', 'int4multirange(int4range(n, n + len + 1), int4range(10000, 20000))'), ('nummultirange', 'nummultirange(numrange(n, n + 1))'), ('textrange', 'textrange(named(n, len), NULL)'),
  ('int4[]', 'array_fill(n, ARRAY[len % 60 + 1])'), ('int8[]', 'ARRAY[[n, len], [NULL, 7]]::int8[]'), ('text[]', 'ARRAY[named(n, len), NULL, ''NULL'', '''']'), ('numeric[]', 'array_fill(n + 0.5, ARRAY[len % 60])'),
  ('jsonb[]', 'ARRAY[to_jsonb(named(n, len))]'), ('hue', '(enum_range(NULL::hue))[1 + n % 3]'), ('hue[]', 'array_fill((enum_range(NULL::hue))[1 + n % 3], ARRAY[len % 50])'),
  ('inner_row', 'ROW(n, named(n, len))::inner_row'), ('outer_row', 'ROW(ROW(n, ''"''), ARRAY[ROW(n, named(n, len)), ROW(NULL, NULL)]::inner_row[], n)::outer_row'), ('inner_row[]', 'ARRAY[ROW(n, named(n, len))::inner_row]'),
  ('word', 'named(n, len)::word'), ('word[]', 'ARRAY[named(n, len)]::word[]'), ('checked_row', 'ROW(n, named(n, len))::checked_row'), ('citext', 'named(n, len)::citext'), ('hstore', 'hstore(n::text, named(n, len))');
-- which ones are left out; oid8 came with 19
SELECT typname FROM pg_type
WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype = 'b' AND typcategory <> 'A' AND typname !~ '^(pg_(node|nd|dep|mcv|brin)|gts|reg|aclitem|oid8)'
  AND oid NOT IN (SELECT type::regtype FROM kinds) ORDER BY 1;

-- Every kind of result, with columns that come in binary where the type lets them,
-- or beside one that makes all of them text.
CREATE TABLE results (result text, declared text, columns text, got text);
INSERT INTO results VALUES
  ('scalar', 'RETURNS %s', '%s', 'got'),
  ('set', 'RETURNS SETOF %s', '%s', 'got'),
  ('out', ', OUT v %s, OUT t text)', '%s, named(n, len)', 'CASE WHEN (got).t = named(n, len) THEN (got).v END'),
  ('out as text', ', OUT v %s, OUT j jsonb)', '%s, to_jsonb(named(n, len))', 'CASE WHEN (got).j = to_jsonb(named(n, len)) THEN (got).v END'),
  ('table', 'RETURNS TABLE (v %s, t text)', '%s, named(n, len)', 'CASE WHEN (got).t = named(n, len) THEN (got).v END');
CREATE TABLE forms (form text, body text);
INSERT INTO forms VALUES
  ('single', 'SELECT %s'),
  ('keyed', 'SELECT n, len, %s FROM unnest(collect(n), collect(len)) u(n, len) ORDER BY u.n DESC'),
  ('positional', 'SELECT %s FROM unnest(collect(n), collect(len)) WITH ORDINALITY AS u(n, len, i) ORDER BY i');

CREATE FUNCTION lookup(arguments_and_result text, server text, body text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF to_regproc('looked_up') IS NOT NULL THEN
    DROP FUNCTION looked_up;
  END IF;
  EXECUTE format('CREATE FUNCTION looked_up(%s LANGUAGE concresce STABLE SET concresce.server = %L AS %L', arguments_and_result, server, body);
END $$;
-- Of a hundred items of lengths up to 700, how many got what is not theirs?
CREATE FUNCTION wrong(kind kinds, got text, argument text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  result bigint;
BEGIN
  EXECUTE format('WITH items AS MATERIALIZED (SELECT n, (n * 37 + %s) %% 701 AS len FROM generate_series(0, 99) n),
                       called AS MATERIALIZED (SELECT n, len, looked_up(%s) AS got FROM items)
                  SELECT 100 - count(DISTINCT n) FILTER (WHERE (%s)::text = (%s)::%s::text) FROM called',
                 abs(hashtext(kind.type)) % 701, argument, got, kind.value, kind.type) INTO result;
  RETURN nullif(result, 0);
EXCEPTION WHEN OTHERS THEN
  RETURN sqlerrm;
END $$;
CREATE TABLE found (type text, place text, form text, result text, wrong text);
DO $$
DECLARE
  c record; k kinds; head text;
BEGIN
  FOR c IN SELECT kinds AS kind, server, results AS result, forms AS form FROM kinds, unnest('{"",far}'::text[]) server, results, forms
           -- sets have no order, and rows of a whole composite are spelled out by key
           WHERE NOT (forms.form = 'positional' AND results.result IN ('set', 'table')) AND NOT (forms.form = 'keyed' AND results.result IN ('scalar', 'set') AND type ~ '_row$')
             -- each type in a third of the combinations
             AND (length(type) + length(server) + length(forms.form) * 2 + length(results.result)) % 3 = 0
  LOOP
    k = c.kind;
    head = format((c.result).declared, k.type);
    PERFORM lookup('n int, len int' || CASE WHEN head ~ '^,' THEN head ELSE ') ' || head END, c.server,
                   format((c.form).body, format((c.result).columns, '(' || k.value || ')::' || k.type)));
    INSERT INTO found VALUES (k.type, c.server, (c.form).form, (c.result).result, wrong(k, (c.result).got, 'n, len'));
  END LOOP;
  -- there and back
  FOR c IN SELECT kinds AS kind, server FROM kinds, unnest('{"",far}'::text[]) server LOOP
    k = c.kind;
    PERFORM lookup(format('v %s) RETURNS %1$s', k.type), c.server, 'SELECT v');
    INSERT INTO found VALUES (k.type, c.server, 'single', 'argument', wrong(k, 'got', format('(%s)::%s', k.value, k.type)));
    IF k.type !~ '_row$' AND k.type NOT IN ('json', 'xml', 'point', 'polygon', 'jsonpath', 'txid_snapshot', 'pg_snapshot', 'refcursor') THEN
      PERFORM lookup(format('v %s) RETURNS %1$s', k.type), c.server, format('SELECT x::%s, x::%1$s FROM unnest(collect(v)) x', k.type));
      INSERT INTO found VALUES (k.type, c.server, 'keyed', 'argument', wrong(k, 'got', format('(%s)::%s', k.value, k.type)));
    END IF;
  END LOOP;
END $$;
SELECT place, form, result, count(*), count(wrong) AS wrong FROM found GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SELECT * FROM found WHERE wrong IS NOT NULL ORDER BY 1, 2, 3, 4 LIMIT 20;

DROP FUNCTION looked_up, lookup, wrong;
DROP TABLE found, results, forms, kinds;
DROP TYPE hue, outer_row, textrange;
DROP DOMAIN word, checked_row;
DROP TYPE inner_row;
DROP FUNCTION named;
DROP SERVER far CASCADE;
DROP EXTENSION citext, hstore;
