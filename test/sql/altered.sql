-- The type of a result that is altered between submit() and its end.
SET client_min_messages = warning;
CREATE TYPE altered AS (a bigint, b text);
CREATE FUNCTION get_altered(n int) RETURNS altered LANGUAGE concresce STABLE AS $$ SELECT n::bigint, 'x'::text $$;
CREATE DOMAIN altered_domain AS int;
CREATE FUNCTION get_domain(n int) RETURNS altered_domain LANGUAGE concresce STABLE AS 'SELECT n';

-- submitted, and in a second way also settled before the type is altered
CREATE FUNCTION outcome(function regproc, command text, how text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  id bigint := concresce.submit(function, 1);
  settled bigint := concresce.submit(function, 1);
  result text;
BEGIN
  PERFORM concresce.wait(ARRAY[settled], 'first_exception');
  EXECUTE command;
  BEGIN
    EXECUTE format(how, id) INTO result;
    result := coalesce(result, 'NULL');
  EXCEPTION WHEN others THEN
    result := sqlstate || ' ' || sqlerrm;
  END;
  BEGIN
    EXECUTE format(how, settled) INTO how;
    result := result || ', settled: ' || coalesce(how, 'NULL');
  EXCEPTION WHEN others THEN
    result := result || ', settled: ' || sqlstate;
  END;
  RAISE EXCEPTION '%', result;
EXCEPTION WHEN raise_exception THEN
  RETURN sqlerrm;
END $$;
CREATE TABLE commands (n serial, function regproc, command text, type text);
INSERT INTO commands (function, command, type) VALUES
  ('get_altered', 'ALTER TYPE altered ADD ATTRIBUTE c int', 'altered'),
  ('get_altered', 'ALTER TYPE altered DROP ATTRIBUTE a', 'altered'),
  ('get_altered', 'ALTER TYPE altered RENAME ATTRIBUTE a TO z', 'altered'),
  ('get_altered', 'ALTER TYPE altered ALTER ATTRIBUTE a TYPE text', 'altered'),
  ('get_altered', 'ALTER TYPE altered ALTER ATTRIBUTE b TYPE int', 'altered'),
  ('get_altered', 'DROP FUNCTION get_altered; DROP TYPE altered', 'text'),
  ('get_altered', 'DROP FUNCTION get_altered; CREATE FUNCTION get_altered(n int) RETURNS text LANGUAGE concresce STABLE AS ''SELECT 1''', 'altered'),
  ('get_domain', 'ALTER DOMAIN altered_domain ADD CHECK (value > 5)', 'altered_domain'),
  ('get_domain', 'DROP FUNCTION get_domain; DROP DOMAIN altered_domain', 'int');
\pset format unaligned
\pset tuples_only on
SELECT command, way, outcome(function, command, format(call, type))
FROM commands, (VALUES (1, 'await', 'SELECT concresce.await(%%s, NULL::%s)::text'),
  (2, 'as text', 'SELECT concresce.await(%%s)'),
  (3, 'gather', 'SELECT concresce.gather(ARRAY[%%s], NULL::%s)::text'),
  (4, 'dictionary', 'SELECT concresce.gather(jsonb_build_object(''x'', %%s))'),
  (5, 'stream', 'SELECT coalesce(error_message, result::text) FROM concresce.as_completed(ARRAY[%%s], NULL::%s, true)')) ways(number, way, call)
ORDER BY n, number;
DROP FUNCTION outcome, get_altered, get_domain;
DROP TABLE commands;
DROP TYPE altered;
DROP DOMAIN altered_domain;
