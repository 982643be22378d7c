-- No value depends on a setting that is neither made nor refused: each setting
-- that decides how values are written or read as text, on either side.
SET client_min_messages = warning;
CREATE ROLE regress_ccr_text LOGIN SUPERUSER;
DO $$ BEGIN
  EXECUTE format('CREATE SERVER far FOREIGN DATA WRAPPER concresce OPTIONS (host %L, port %L, dbname %L)',
                 split_part(current_setting('unix_socket_directories'), ',', 1),
                 current_setting('port'), current_database());
END $$;
CREATE USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (user 'regress_ccr_text');
CREATE TYPE text_pair AS (a float8, b text);

-- Each value goes there and comes back, and is told of over there.
CREATE TABLE cases (setting text, odd text, type text, value text);
INSERT INTO cases VALUES
  ('datestyle', 'German', 'daterange', '[2024-02-03,2024-02-05)'),
  ('datestyle', 'SQL, DMY', 'date[]', '{2024-02-03}'),
  ('datestyle', 'Postgres, MDY', 'tstzrange', '["2024-02-03 04:05:06+00",)'),
  ('intervalstyle', 'iso_8601', 'interval[]', '{"-1 mons +2 days -03:00:00"}'),
  ('intervalstyle', 'postgres_verbose', 'interval[]', '{"-1 mons +2 days -03:00:00"}'),
  ('extra_float_digits', '0', 'point', '(0.30000000000000004,1.7976931348623157e+308)'),
  ('extra_float_digits', '-15', 'float8[]', '{0.30000000000000004,1e-323}'),
  ('extra_float_digits', '0', 'text_pair', '(0.30000000000000004,x)'),
  ('array_nulls', 'off', 'text[]', '{NULL,"NULL",a}'),
  ('array_nulls', 'off', 'int[]', '{1,NULL}'),
  ('xmloption', 'document', 'xml', '<a/>t<b/>'),
  ('bytea_output', 'escape', 'bytea[]', '{"\\x00ff27"}'),
  ('timezone', 'Asia/Tokyo', 'timestamptz[]', '{"2024-02-03 04:05:06+00"}'),
  ('quote_all_identifiers', 'on', 'regclass', 'pg_class'),
  ('lc_monetary', 'C', 'money', '$5.25');
-- The values lie in tables, so that no literal is read under an odd setting,
-- and it is compared what is stored.
ALTER TABLE cases ADD n serial;
DO $$
DECLARE
  c cases;
BEGIN
  FOR c IN SELECT * FROM cases LOOP
    EXECUTE format('CREATE TABLE text_case_%s AS SELECT %L::%s AS v', c.n, c.value, c.type);
    EXECUTE format('CREATE FUNCTION text_same_%s(v %s) RETURNS bool LANGUAGE sql AS %L', c.n, c.type,
                   format('SELECT record_image_eq(ROW($1), ROW(t.v)) FROM public.text_case_%s t', c.n));
  END LOOP;
END $$;
CREATE FUNCTION go(c cases, place text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  comes_back bool;
  same_there bool;
BEGIN
  EXECUTE format('CREATE FUNCTION echo(v %s) RETURNS %1$s LANGUAGE concresce STABLE SET concresce.server = %L AS %L',
                 c.type, place, 'SELECT v');
  EXECUTE format('CREATE FUNCTION is_it(v %s) RETURNS bool LANGUAGE concresce STABLE SET concresce.server = %L AS %L',
                 c.type, place, format('SELECT public.text_same_%s(v)', c.n));
  EXECUTE format('SELECT text_same_%s(echo(v)), is_it(v) FROM text_case_%1$s', c.n) INTO comes_back, same_there;
  DROP FUNCTION echo, is_it;
  RETURN concat_ws(', ', CASE WHEN comes_back THEN 'comes back' ELSE 'COMES BACK AS ANOTHER' END,
                   CASE WHEN same_there THEN 'is the same there' ELSE 'IS ANOTHER THERE' END);
EXCEPTION WHEN OTHERS THEN
  RETURN sqlstate || ' ' || sqlerrm;
END $$;

-- under usual settings
SELECT setting, odd, type, go(c, 'far') AS far, go(c, '') AS here FROM cases c ORDER BY setting, odd, type;

-- the setting is odd over there: of the role, in a session of its own
CREATE FUNCTION odd_there(c cases) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  result text;
BEGIN
  EXECUTE format('ALTER ROLE regress_ccr_text IN DATABASE %I SET %s = %L', current_database(), c.setting, c.odd);
  RETURN '';
END $$;
CREATE PROCEDURE try_there() LANGUAGE plpgsql AS $$
DECLARE
  c cases;
  result text;
BEGIN
  FOR c IN SELECT * FROM cases WHERE setting <> 'lc_monetary' ORDER BY setting, odd, type LOOP
    PERFORM odd_there(c);
    COMMIT;
    PERFORM pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = 'regress_ccr_text';
    result := go(c, 'far');
    RAISE WARNING '% = % there, %: %', c.setting, c.odd, c.type, result;
    EXECUTE format('ALTER ROLE regress_ccr_text IN DATABASE %I RESET ALL', current_database());
    COMMIT;
  END LOOP;
  PERFORM pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = 'regress_ccr_text';
END $$;
CALL try_there();

-- and here
CREATE PROCEDURE try_here() LANGUAGE plpgsql AS $$
DECLARE
  c cases;
  result text;
BEGIN
  FOR c IN SELECT * FROM cases ORDER BY setting, odd, type LOOP
    PERFORM set_config(c.setting, c.odd, true);
    result := concat_ws('; executor: ', go(c, 'far'), go(c, ''));
    RAISE WARNING '% = % here, %: %', c.setting, c.odd, c.type, result;
    ROLLBACK;
  END LOOP;
END $$;
CALL try_here();

DO $$
DECLARE
  c cases;
BEGIN
  FOR c IN SELECT * FROM cases LOOP
    EXECUTE format('DROP FUNCTION text_same_%s; DROP TABLE text_case_%1$s', c.n);
  END LOOP;
END $$;
DROP PROCEDURE try_there, try_here;
DROP FUNCTION go, odd_there;
DROP TABLE cases;
DROP TYPE text_pair;
DROP SERVER far CASCADE;
DROP ROLE regress_ccr_text;
