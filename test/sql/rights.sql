--
-- Who may call a lookup, and with whose rights.
--
SET client_min_messages = warning;
CREATE SCHEMA far;
CREATE ROLE regress_ccr_a;
CREATE ROLE regress_ccr_b;
CREATE ROLE regress_ccr_owner;
CREATE ROLE regress_ccr_far_a LOGIN;
CREATE ROLE regress_ccr_far_b LOGIN;
DO $$
BEGIN
  EXECUTE format('CREATE SERVER rights_far FOREIGN DATA WRAPPER concresce '
                 'OPTIONS (host %L, port %L, dbname %L, options %L)',
                 split_part(current_setting('unix_socket_directories'), ',', 1),
                 current_setting('port'), current_database(), '-csearch_path=far');
END $$;
SET concresce.server = 'rights_far';

CREATE FUNCTION who(a int) RETURNS name LANGUAGE concresce STABLE AS 'SELECT current_user';
CREATE FUNCTION secret(a int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT n FROM secrets WHERE n > a';
CREATE TABLE far.secrets (n int);
INSERT INTO far.secrets VALUES (42);
GRANT USAGE ON SCHEMA far TO regress_ccr_far_a, regress_ccr_far_b;
GRANT SELECT ON far.secrets TO regress_ccr_far_a;

-- EXECUTE on the function
REVOKE EXECUTE ON FUNCTION who FROM PUBLIC;
SET ROLE regress_ccr_a;
SELECT who(1);
\echo :LAST_ERROR_SQLSTATE
SELECT concresce.forget('who', 1);
\echo :LAST_ERROR_SQLSTATE
SELECT concresce.forget_all('who');
RESET ROLE;
-- also where a superuser has another's code run: it has that role's rights
CREATE FUNCTION tries(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  command text;
BEGIN
  FOREACH command IN ARRAY ARRAY['forget_all(''public.who'')', 'forget_all()', 'forget(''public.who'', 1)', 'stop(''public.who'')', 'start()'] LOOP
    BEGIN
      EXECUTE 'SELECT concresce.' || command;
      RAISE WARNING '% as %', command, current_user;
    EXCEPTION WHEN insufficient_privilege THEN
      RAISE WARNING '%: %', command, SQLERRM;
    END;
  END LOOP;
  RETURN n;
END $$;
CREATE TABLE indexed (n int);
INSERT INTO indexed VALUES (1);
ALTER TABLE indexed OWNER TO regress_ccr_a;
\set VERBOSITY terse
CREATE INDEX ON indexed (tries(n));
GRANT EXECUTE ON FUNCTION who TO regress_ccr_a;
REINDEX TABLE indexed;
REVOKE EXECUTE ON FUNCTION who FROM regress_ccr_a;
\set VERBOSITY default
DROP TABLE indexed;
DROP FUNCTION tries;
GRANT EXECUTE ON FUNCTION who TO PUBLIC;

-- USAGE on the server
SET ROLE regress_ccr_a;
SELECT who(1);
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER rights_far TO regress_ccr_a, regress_ccr_b, regress_ccr_owner;

-- a user mapping; the words are PostgreSQL's, and differ
SET ROLE regress_ccr_a;
\set VERBOSITY sqlstate
SELECT who(1);
\set VERBOSITY default
RESET ROLE;
-- a password, unless a superuser waives it
CREATE USER MAPPING FOR regress_ccr_a SERVER rights_far OPTIONS (user 'regress_ccr_far_a');
SET ROLE regress_ccr_a;
SELECT who(1);
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
-- which the far side must have asked for
ALTER USER MAPPING FOR regress_ccr_a SERVER rights_far OPTIONS (ADD password 'unasked');
SET ROLE regress_ccr_a;
SELECT who(1);
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
ALTER USER MAPPING FOR regress_ccr_a SERVER rights_far OPTIONS (ADD password_required 'false');
CREATE USER MAPPING FOR regress_ccr_b SERVER rights_far OPTIONS (user 'regress_ccr_far_b', password_required 'false');

-- everybody is who the mapping says, on connections of his own
SET ROLE regress_ccr_a;
SELECT who(1), secret(1);
SET ROLE regress_ccr_b;
SELECT who(1);
SELECT secret(1);
\echo :LAST_ERROR_SQLSTATE
SET ROLE regress_ccr_a;
SELECT who(1), secret(1);
RESET ROLE;
SELECT DISTINCT server, remote_user FROM concresce.connections WHERE server = 'rights_far' AND state <> 'closed' ORDER BY 1, 2;

-- the superuser has none of his own here, and takes the public one
\set VERBOSITY sqlstate
SELECT who(1);
\set VERBOSITY default
CREATE USER MAPPING FOR PUBLIC SERVER rights_far OPTIONS (user 'regress_ccr_far_b', password_required 'false');
SELECT who(1);
SET ROLE regress_ccr_owner;
SELECT who(1);
SELECT secret(1);
SET ROLE regress_ccr_a;
SELECT who(1);
RESET ROLE;

-- what is taken away is gone at once
REVOKE USAGE ON FOREIGN SERVER rights_far FROM regress_ccr_a;
SET ROLE regress_ccr_a;
SELECT who(1);
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER rights_far TO regress_ccr_a;
DROP USER MAPPING FOR regress_ccr_a SERVER rights_far;
SET ROLE regress_ccr_a;
SELECT who(1);
RESET ROLE;
CREATE USER MAPPING FOR regress_ccr_a SERVER rights_far OPTIONS (user 'regress_ccr_far_a', password_required 'false');

-- SECURITY DEFINER: the owner's mapping, on the owner's server
CREATE USER MAPPING FOR regress_ccr_owner SERVER rights_far OPTIONS (user 'regress_ccr_far_a', password_required 'false');
CREATE FUNCTION owned(a int) RETURNS name LANGUAGE concresce STABLE SECURITY DEFINER AS 'SELECT current_user';
ALTER FUNCTION owned OWNER TO regress_ccr_owner;
SET ROLE regress_ccr_b;
SELECT owned(1);
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
ALTER FUNCTION owned SET concresce.server = 'rights_far';
SET ROLE regress_ccr_b;
SET concresce.server = 'elsewhere';
SELECT owned(1), current_user;
SET concresce.server = 'rights_far';
RESET ROLE;
-- the owner loses his rights
REVOKE USAGE ON FOREIGN SERVER rights_far FROM regress_ccr_owner;
SET ROLE regress_ccr_b;
SELECT owned(1);
RESET ROLE;

-- nor do the session's settings steer what another function lends its rights to
CREATE FUNCTION lent(a int) RETURNS name LANGUAGE concresce STABLE AS 'SELECT session_user';
CREATE FUNCTION lender(a int) RETURNS name LANGUAGE plpgsql SECURITY DEFINER AS
$$ BEGIN RETURN lent(a); END $$;
SET ROLE regress_ccr_b;
SET concresce.server = 'rights_far';
SELECT lender(1);
RESET ROLE;
ALTER FUNCTION lent SET concresce.server = 'rights_far';
SET ROLE regress_ccr_b;
SELECT lender(1) IS NOT NULL AS fine;
RESET ROLE;
DROP FUNCTION lender, lent;

-- a key set for a database would be the database owner's to run as others: it
-- is not used, nor is a role's
SELECT format('ALTER DATABASE %I SET concresce.key = %L', current_database(), 'a + 1') AS set,
       format('ALTER DATABASE %I RESET concresce.key', current_database()) AS reset \gset
:set;
\c -
SET concresce.server = 'rights_far';
SELECT who(1);
SELECT who(1);
:reset;
ALTER ROLE regress_ccr_far_a SET concresce.key = 'a + 1';
SELECT current_user AS me \gset
\c - regress_ccr_far_a
SET concresce.server = 'rights_far';
SELECT who(1);
SELECT who(1);
\c - :me
ALTER ROLE regress_ccr_far_a RESET ALL;
\c -
SET client_min_messages = warning;
SET concresce.server = 'rights_far';

-- views call with the rights of whoever asks, as for any function
CREATE VIEW v AS SELECT who(1) AS who;
GRANT SELECT ON v TO regress_ccr_a, regress_ccr_b;
SET ROLE regress_ccr_a;
SELECT * FROM v;
SET ROLE regress_ccr_b;
SELECT * FROM v;
RESET ROLE;

-- anybody may write lookups: the language is trusted
GRANT CREATE ON SCHEMA public TO regress_ccr_b;
SET ROLE regress_ccr_b;
CREATE FUNCTION mine(a int) RETURNS name LANGUAGE concresce STABLE AS 'SELECT session_user';
SELECT mine(1);
RESET ROLE;

-- nobody creates servers without the wrapper
SET ROLE regress_ccr_b;
CREATE SERVER mine FOREIGN DATA WRAPPER concresce;
RESET ROLE;

DROP VIEW v;
DROP FUNCTION who, secret, owned, mine;
DROP SERVER rights_far CASCADE;
DROP SCHEMA far CASCADE;
REVOKE CREATE ON SCHEMA public FROM regress_ccr_b;
DROP ROLE regress_ccr_a, regress_ccr_b, regress_ccr_owner, regress_ccr_far_a, regress_ccr_far_b;
