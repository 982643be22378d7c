-- Results of every length reach the call that they are for: as text, which
-- is what comes where some column has no common binary form, and in binary.
SET client_min_messages = warning;
DO $$ BEGIN
  EXECUTE format('CREATE SERVER far FOREIGN DATA WRAPPER concresce OPTIONS (host %L, port %L, dbname %L)',
                 split_part(current_setting('unix_socket_directories'), ',', 1),
                 current_setting('port'), current_database());
END $$;
CREATE USER MAPPING FOR PUBLIC SERVER far;

-- n, padded to a length, as a value of many a type
CREATE FUNCTION padded(n int, len int) RETURNS text LANGUAGE sql AS $$
  SELECT n || repeat('.', greatest(len - length(n::text), 0))
$$;
CREATE TYPE padded_row AS (n int, t text);
CREATE DOMAIN dotted AS text CHECK (VALUE !~ '[^0-9.]');
CREATE TABLE kinds (kind text, type text, value text);
INSERT INTO kinds VALUES
  ('text', 'text', 'padded(n, len)'),
  ('domain', 'dotted', 'padded(n, len)::dotted'),
  ('bytea', 'bytea', 'convert_to(padded(n, len), ''UTF8'')'),
  ('bit', 'varbit', '(n::bit(16) || repeat(''0'', len)::varbit)::varbit'),
  ('numeric', 'numeric', 'n + (''0.'' || repeat(''1'', len))::numeric'),
  ('json', 'jsonb', 'to_jsonb(padded(n, len))'),
  ('array', 'text[]', 'ARRAY[padded(n, len), NULL]'),
  ('row', 'padded_row', 'ROW(n, padded(n, len))::padded_row'),
  ('range', 'numrange', 'numrange(n, n + (''0.1'' || repeat(''1'', len))::numeric)'),
  ('xml', 'xml', 'xmlcomment(padded(n, len))');

-- Here and over there; one row, a set, matched by key, in order.
CREATE TABLE forms (form text, result text, body text);
INSERT INTO forms VALUES
  ('one', '%s', 'SELECT %s'),
  ('set', 'SETOF %s', 'SELECT %s FROM generate_series(1, 1)'),
  ('keyed', '%s', 'SELECT n, len, %s FROM unnest(collect(n), collect(len)) u(n, len) ORDER BY n DESC'),
  ('positional', '%s', 'SELECT %s FROM unnest(collect(n), collect(len)) WITH ORDINALITY AS u(n, len, i) ORDER BY i');
DO $$
DECLARE
  k record;
BEGIN
  FOR k IN SELECT * FROM kinds, forms, (VALUES ('here', ''), ('far', 'far')) AS p(place, server) LOOP
    EXECUTE format('CREATE FUNCTION %I(n int, len int) RETURNS %s LANGUAGE concresce STABLE SET concresce.server = %L AS %L',
                   concat_ws('_', k.place, k.form, k.kind), format(k.result, k.type), k.server, format(k.body, k.value));
  END LOOP;
END $$;

-- Of all lengths up to 700, in batches of mixed lengths: how many are wrong?
CREATE FUNCTION wrong(lookup text, kind kinds) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  result bigint;
BEGIN
  EXECUTE format('WITH called AS MATERIALIZED (
                    SELECT n, len, %I(n, len) AS got FROM generate_series(0, 700) n, LATERAL (SELECT (n * 37) %% 701) l(len))
                  SELECT count(*) FILTER (WHERE got::text IS DISTINCT FROM (%s)::text) + 701 - count(DISTINCT n)
                  FROM called', lookup, kind.value) INTO result;
  RETURN result;
END $$;
SELECT form, kind, wrong('here_' || form || '_' || kind, k) AS here, wrong('far_' || form || '_' || kind, k) AS far
FROM kinds k, forms WHERE NOT (form = 'keyed' AND kind = 'row') ORDER BY form, kind;

DO $$
DECLARE
  f regprocedure;
BEGIN
  FOR f IN SELECT oid FROM pg_proc WHERE proname ~ '^(here|far)_(one|set|keyed|positional)_' LOOP
    EXECUTE 'DROP FUNCTION ' || f;
  END LOOP;
END $$;
DROP FUNCTION padded, wrong;
DROP TABLE kinds, forms;
DROP TYPE padded_row, dotted;
DROP SERVER far CASCADE;
