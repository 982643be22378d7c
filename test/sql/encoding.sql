--
-- Text beyond ASCII: the session's client_encoding has no part in it.
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

CREATE TABLE far.words (word text, meaning text);
INSERT INTO far.words VALUES (U&'na\00EFve', U&'arglos \00FC'), (U&'\2603', 'snowman');
CREATE FUNCTION meaning(word text) RETURNS text LANGUAGE concresce STABLE
AS $$ SELECT meaning FROM words WHERE words.word = meaning.word $$;
CREATE FUNCTION "größe"("länge" text) RETURNS int LANGUAGE concresce STABLE
AS $$ SELECT length("größe"."länge") + length(länge) + length('ß') $$;
CREATE FUNCTION far.fail(t text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no: %', t; END $$;
CREATE FUNCTION fail(t text) RETURNS int LANGUAGE concresce STABLE AS 'SELECT fail(t)';

SET client_encoding = 'LATIN1';
SELECT meaning(U&'na\00EFve') = U&'arglos \00FC' AS same, length(meaning(U&'na\00EFve'));
SELECT meaning(U&'\2603');
SELECT convert_to(meaning(U&'na\00EFve'), 'UTF8');
RESET client_encoding;
SELECT "größe"('äöü'), meaning('naïve'), meaning('☃');
SELECT fail('é');
-- the position is that of the character
CREATE FUNCTION f("ärger" int) RETURNS int LANGUAGE concresce AS $$ SELECT 'äöü' FROM unnest(collect(ärger)) u, collect(öde) $$;

-- the far side is asked for this database's encoding
CREATE FUNCTION enc() RETURNS text LANGUAGE concresce STABLE AS $$ SELECT current_setting('client_encoding') $$;
SELECT enc();

DROP FUNCTION meaning, "größe", fail, enc;
DROP SERVER far CASCADE;
DROP SCHEMA far CASCADE;
