--
-- The options of servers and user mappings of the wrapper concresce, and who
-- may connect with them.
--
-- A hint that lists all options would differ between versions of libpq: the
-- options that are near to no other one are tried without hints.
--
CREATE ROLE regress_ccr_owner;
CREATE ROLE regress_ccr_app;
GRANT USAGE ON FOREIGN DATA WRAPPER concresce TO regress_ccr_owner;

ALTER FOREIGN DATA WRAPPER concresce OPTIONS (ADD host 'x');

-- servers
CREATE SERVER ccr_s FOREIGN DATA WRAPPER concresce OPTIONS (hots 'x');
CREATE SERVER ccr_s FOREIGN DATA WRAPPER concresce OPTIONS (keepalive_idle '3');
CREATE SERVER ccr_s FOREIGN DATA WRAPPER concresce OPTIONS (user 'x');
CREATE SERVER ccr_s FOREIGN DATA WRAPPER concresce OPTIONS (password 'topsecret');
CREATE SERVER ccr_s FOREIGN DATA WRAPPER concresce OPTIONS (password_required 'false');
CREATE SERVER ccr_s FOREIGN DATA WRAPPER concresce OPTIONS (port '5432x');
CREATE SERVER ccr_s FOREIGN DATA WRAPPER concresce OPTIONS (port '5432,,70000');
CREATE SERVER ccr_s FOREIGN DATA WRAPPER concresce OPTIONS (connect_timeout 'soon');
CREATE SERVER ccr_s FOREIGN DATA WRAPPER concresce OPTIONS (keepalives '-1');
CREATE SERVER ccr_s FOREIGN DATA WRAPPER concresce OPTIONS (tcp_user_timeout '99999999999');
\set VERBOSITY terse
CREATE SERVER ccr_s FOREIGN DATA WRAPPER concresce OPTIONS (colour 'red');
CREATE SERVER ccr_s FOREIGN DATA WRAPPER concresce OPTIONS (service 'x');
CREATE SERVER ccr_s FOREIGN DATA WRAPPER concresce OPTIONS (servicefile 'x');
CREATE SERVER ccr_s FOREIGN DATA WRAPPER concresce OPTIONS (replication 'true');
CREATE SERVER ccr_s FOREIGN DATA WRAPPER concresce OPTIONS (client_encoding 'LATIN1');
CREATE SERVER ccr_s FOREIGN DATA WRAPPER concresce OPTIONS (fallback_application_name 'x');
CREATE SERVER ccr_s FOREIGN DATA WRAPPER concresce OPTIONS (sslkeylogfile '/tmp/x');
CREATE SERVER ccr_s FOREIGN DATA WRAPPER concresce OPTIONS (requiressl '1');
CREATE SERVER ccr_s FOREIGN DATA WRAPPER concresce OPTIONS (authtype 'x');
CREATE SERVER ccr_s FOREIGN DATA WRAPPER concresce OPTIONS (tty 'x');
CREATE SERVER ccr_s FOREIGN DATA WRAPPER concresce OPTIONS (oauth_issuer 'x');
\set VERBOSITY default
CREATE SERVER ccr_s FOREIGN DATA WRAPPER concresce
  OPTIONS (host 'a,b', port '5432,', dbname 'd', connect_timeout '5', sslmode 'require');
ALTER SERVER ccr_s OPTIONS (SET port '0');
ALTER SERVER ccr_s OPTIONS (SET port '6432');

-- user mappings
GRANT USAGE ON FOREIGN SERVER ccr_s TO regress_ccr_app;
CREATE USER MAPPING FOR regress_ccr_app SERVER ccr_s OPTIONS (host 'x');
CREATE USER MAPPING FOR regress_ccr_app SERVER ccr_s OPTIONS (usr 'x');
CREATE USER MAPPING FOR regress_ccr_app SERVER ccr_s OPTIONS (passwort 'topsecret');
CREATE USER MAPPING FOR regress_ccr_app SERVER ccr_s OPTIONS (passfile '/tmp/x');
CREATE USER MAPPING FOR regress_ccr_app SERVER ccr_s OPTIONS (password_required 'maybe');
CREATE USER MAPPING FOR regress_ccr_app SERVER ccr_s
  OPTIONS (user 'reader', password_required 'false', sslkey '/tmp/k');

-- only a superuser may change what a superuser has allowed
SET ROLE regress_ccr_app;
ALTER USER MAPPING FOR regress_ccr_app SERVER ccr_s OPTIONS (SET user 'other');
ALTER USER MAPPING FOR regress_ccr_app SERVER ccr_s
  OPTIONS (SET password_required 'true', DROP sslkey);
ALTER USER MAPPING FOR regress_ccr_app SERVER ccr_s OPTIONS (SET password_required 'false');
ALTER USER MAPPING FOR regress_ccr_app SERVER ccr_s OPTIONS (ADD sslkey '/tmp/k');
ALTER USER MAPPING FOR regress_ccr_app SERVER ccr_s OPTIONS (ADD sslcert '/tmp/c');
RESET ROLE;

-- what a lookup needs to connect
CREATE FUNCTION ccr_f(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT n';
GRANT EXECUTE ON FUNCTION ccr_f TO PUBLIC;
SET concresce.server = 'ccr_nowhere';
SELECT ccr_f(1);
SET concresce.server = 'ccr_s';
SET ROLE regress_ccr_owner;
SELECT ccr_f(1);
RESET ROLE;
SET ROLE regress_ccr_app;
SELECT ccr_f(1);
ALTER USER MAPPING FOR regress_ccr_app SERVER ccr_s OPTIONS (ADD password '');
SELECT ccr_f(1);
RESET ROLE;

-- a wrapper that checks nothing: neither waives the password nor names files
CREATE FOREIGN DATA WRAPPER ccr_loose;
GRANT USAGE ON FOREIGN DATA WRAPPER ccr_loose TO regress_ccr_owner;
SET ROLE regress_ccr_owner;
CREATE SERVER ccr_l FOREIGN DATA WRAPPER ccr_loose OPTIONS (host 'ccr.invalid', colour 'red');
CREATE USER MAPPING FOR regress_ccr_owner SERVER ccr_l OPTIONS (user 'u', password_required 'false');
SET concresce.server = 'ccr_l';
SELECT ccr_f(1);
ALTER USER MAPPING FOR regress_ccr_owner SERVER ccr_l OPTIONS (ADD password 'topsecret', ADD host '127.0.0.1');
SELECT ccr_f(1);
ALTER USER MAPPING FOR regress_ccr_owner SERVER ccr_l OPTIONS (DROP host, ADD sslkey '/tmp/k');
SELECT ccr_f(1);
ALTER USER MAPPING FOR regress_ccr_owner SERVER ccr_l OPTIONS (DROP sslkey);
ALTER SERVER ccr_l OPTIONS (ADD service 'x');
SELECT ccr_f(1);

-- a host that does not exist; the rest of the message is the system's
ALTER SERVER ccr_l OPTIONS (DROP service);
DO $$
BEGIN
  PERFORM ccr_f(1);
EXCEPTION WHEN OTHERS THEN
  RAISE NOTICE '% %', sqlstate, split_part(sqlerrm, ': ', 1);
END $$;
RESET ROLE;
RESET concresce.server;

DROP FUNCTION ccr_f(int);
DROP SERVER ccr_s CASCADE;
DROP FOREIGN DATA WRAPPER ccr_loose CASCADE;
REVOKE ALL ON FOREIGN DATA WRAPPER concresce FROM regress_ccr_owner;
DROP ROLE regress_ccr_owner, regress_ccr_app;
