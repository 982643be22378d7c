--
-- Enqueued items end with the rights that they were enqueued with.
--
\set VERBOSITY terse
\getenv srcdir PG_ABS_SRCDIR
\set play :srcdir '/lib/play.sql'
\set ECHO none
\i :play
\set ECHO all
CREATE ROLE regress_ccr_ann;
CREATE ROLE regress_ccr_bob;
CREATE ROLE regress_ccr_group;
CREATE TABLE far.noted (who text, n int);
CREATE FUNCTION note(who text, n int) RETURNS void LANGUAGE concresce VOLATILE
SET concresce.server = 'left' SET concresce.max_window = '60s'
AS $$ INSERT INTO noted SELECT * FROM unnest(collect(who), collect(n)) $$;
REVOKE EXECUTE ON FUNCTION note FROM PUBLIC;
GRANT EXECUTE ON FUNCTION note TO regress_ccr_ann, regress_ccr_bob;

-- A server that both may use, by the same mapping.
CREATE PROCEDURE make_server() LANGUAGE plpgsql AS $$
BEGIN
  CALL far_server('left');
  CREATE USER MAPPING FOR PUBLIC SERVER "left" OPTIONS (password_required 'false');
  EXECUTE format('ALTER USER MAPPING FOR PUBLIC SERVER "left" OPTIONS (ADD user %L)', current_user);
  GRANT USAGE ON FOREIGN SERVER "left" TO regress_ccr_ann, regress_ccr_bob;
END $$;
CALL make_server();

-- Ann enqueues 1 and 2, Bob 3; then something happens; then what is left is run.
CREATE PROCEDURE after(what text) LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM far.noted;
  PERFORM concresce.reset_stats();
  COMMIT;
  SET ROLE regress_ccr_ann;
  PERFORM concresce.enqueue('note', 'ann', i) FROM generate_series(1, 2) i;
  COMMIT;
  RESET ROLE;
  SET ROLE regress_ccr_bob;
  PERFORM concresce.enqueue('note', 'bob', 3);
  COMMIT;
  RESET ROLE;
  IF NOT comes('sum(coalesced + misses) = 3 FROM concresce.stats') THEN
    RAISE NOTICE 'the collector has not taken them';
  END IF;
  EXECUTE what;
  COMMIT;
END $$;
-- Those that were discarded are so at once, the others wait for their window.
CREATE FUNCTION left_over(expected int, OUT queued bigint, OUT discarded bigint) LANGUAGE plpgsql AS $$
BEGIN
  IF NOT comes('coalesce(sum(queued), 0) = $1[1]::int FROM concresce.stats', expected::text) THEN
    RAISE NOTICE 'never';
  END IF;
  SELECT coalesce(sum(s.queued), 0), coalesce(sum(s.discarded), 0) INTO queued, discarded FROM concresce.stats s;
END $$;
CREATE FUNCTION arrived() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM concresce.stop('note'), concresce.start('note');
  RETURN (SELECT string_agg(who || ' ' || n, ', ' ORDER BY n) FROM far.noted);
END $$;

-- Nothing is left on the heap, once the session has been told.
CREATE FUNCTION wiped() RETURNS bool LANGUAGE plpgsql AS $$
DECLARE
  who text;
BEGIN
  FOREACH who IN ARRAY '{regress_ccr_ann,regress_ccr_bob}'::text[] LOOP
    EXECUTE 'SET LOCAL ROLE ' || who;
    BEGIN
      PERFORM concresce.flush();
    EXCEPTION WHEN OTHERS THEN
      NULL;
    END;
    RESET ROLE;
  END LOOP;
  RETURN comes('used = 0 FROM concresce.memory()');
END $$;

-- nothing
CALL after('SELECT 1');
SELECT * FROM left_over(3);
SELECT arrived();
-- USAGE on the server
CALL after('REVOKE USAGE ON FOREIGN SERVER "left" FROM regress_ccr_ann');
SELECT * FROM left_over(1);
SELECT arrived();
GRANT USAGE ON FOREIGN SERVER "left" TO regress_ccr_ann;
-- EXECUTE on the lookup
CALL after('REVOKE EXECUTE ON FUNCTION note FROM regress_ccr_bob');
SELECT * FROM left_over(2);
SELECT arrived();
-- a right that comes back is for what is enqueued from then on
GRANT EXECUTE ON FUNCTION note TO regress_ccr_bob;
CALL after('REVOKE EXECUTE ON FUNCTION note FROM regress_ccr_bob');
GRANT EXECUTE ON FUNCTION note TO regress_ccr_bob;
SET ROLE regress_ccr_bob;
SELECT concresce.enqueue('note', 'bob', 4);
RESET ROLE;
SELECT * FROM left_over(3);
SELECT arrived();
-- what is rolled back has not happened
CALL after('SELECT 1');
BEGIN;
REVOKE USAGE ON FOREIGN SERVER "left" FROM regress_ccr_ann;
DROP USER MAPPING FOR PUBLIC SERVER "left";
ROLLBACK;
BEGIN;
SAVEPOINT s;
DROP SERVER "left" CASCADE;
ROLLBACK TO s;
COMMIT;
SELECT * FROM left_over(3);
SELECT arrived();
-- changes that take no right away
CALL after('ALTER SERVER "left" OPTIONS (ADD application_name ''x'')');
ALTER USER MAPPING FOR PUBLIC SERVER "left" OPTIONS (ADD password 'x');
CREATE USER MAPPING FOR regress_ccr_ann SERVER "left";
CREATE OR REPLACE FUNCTION note(who text, n int) RETURNS void LANGUAGE concresce VOLATILE
SET concresce.server = 'left' SET concresce.max_window = '60s'
AS $$ INSERT INTO noted SELECT * FROM unnest(collect(who), collect(n)) $$;
SELECT * FROM left_over(3);
SELECT arrived();
DROP USER MAPPING FOR regress_ccr_ann SERVER "left";
-- the user mapping, also if there is another at once
CALL after('DROP USER MAPPING FOR PUBLIC SERVER "left"');
SELECT * FROM left_over(0);
SELECT arrived();
SELECT wiped();
DROP SERVER "left" CASCADE;
CALL make_server();
CALL after('DROP USER MAPPING FOR PUBLIC SERVER "left"; CREATE USER MAPPING FOR PUBLIC SERVER "left"');
SELECT * FROM left_over(0);
-- the server
DROP SERVER "left" CASCADE;
CALL make_server();
CALL after('DROP SERVER "left" CASCADE');
SELECT * FROM left_over(0);
SELECT arrived();
CALL make_server();
-- a mapping of one's own
CREATE USER MAPPING FOR regress_ccr_ann SERVER "left" OPTIONS (password_required 'false');
CALL after('DROP OWNED BY regress_ccr_ann');
SELECT * FROM left_over(1);
SELECT arrived();
-- membership, and what a group is given
REVOKE EXECUTE ON FUNCTION note FROM regress_ccr_bob;
GRANT EXECUTE ON FUNCTION note TO regress_ccr_group, regress_ccr_ann;
GRANT USAGE ON FOREIGN SERVER "left" TO regress_ccr_ann;
GRANT regress_ccr_group TO regress_ccr_bob;
CALL after('REVOKE regress_ccr_group FROM regress_ccr_bob');
SELECT * FROM left_over(2);
SELECT arrived();
-- a SECURITY DEFINER lookup uses its owner's server
GRANT EXECUTE ON FUNCTION note TO regress_ccr_bob;
ALTER FUNCTION note OWNER TO regress_ccr_group;
ALTER FUNCTION note SECURITY DEFINER SET concresce.key = '';
GRANT USAGE ON FOREIGN SERVER "left" TO regress_ccr_group;
CALL after('REVOKE USAGE ON FOREIGN SERVER "left" FROM regress_ccr_ann, regress_ccr_bob');
SELECT * FROM left_over(3);
SELECT arrived();
CALL after('REVOKE USAGE ON FOREIGN SERVER "left" FROM regress_ccr_group');
SELECT * FROM left_over(0);
ALTER FUNCTION note SECURITY INVOKER;
ALTER FUNCTION note OWNER TO CURRENT_USER;
GRANT USAGE ON FOREIGN SERVER "left" TO regress_ccr_ann, regress_ccr_bob;
-- what the transaction itself has enqueued
BEGIN;
SET LOCAL ROLE regress_ccr_ann;
SELECT concresce.enqueue('note', 'ann', 5);
RESET ROLE;
REVOKE USAGE ON FOREIGN SERVER "left" FROM regress_ccr_ann;
COMMIT;
SELECT * FROM left_over(0);
GRANT USAGE ON FOREIGN SERVER "left" TO regress_ccr_ann;
-- who asks is told; and it is counted as any other
SET ROLE regress_ccr_ann;
SELECT concresce.enqueue('note', 'ann', 6);
RESET ROLE;
REVOKE EXECUTE ON FUNCTION note FROM regress_ccr_ann;
SELECT * FROM left_over(0);
SET ROLE regress_ccr_ann;
\set VERBOSITY default
SELECT concresce.flush();
\set VERBOSITY terse
RESET ROLE;
GRANT EXECUTE ON FUNCTION note TO regress_ccr_ann;
-- what a flush has made due stays so when what came after it is discarded
CREATE PROCEDURE flush_then(what text) LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM far.noted;
  COMMIT;
  CALL play('a: SET ROLE regress_ccr_ann', 'b: SET ROLE regress_ccr_ann', 'c: SET ROLE regress_ccr_ann', 'd: SET ROLE regress_ccr_ann',
            'close', 'a> SELECT busy(1)', '1 runs', 'b> SELECT busy(2)', '2 runs', 'c> SELECT busy(3)', '3 runs', 'd> SELECT busy(4)', '4 runs',
            'e: SET ROLE regress_ccr_ann', 'e> SELECT concresce.enqueue(''note'', ''ann'', 1)', 'e',
            'e> SELECT concresce.flush(timeout => ''0 s'')', 'e',
            'f: SET ROLE regress_ccr_bob', 'f> SELECT concresce.enqueue(''note'', ''bob'', 2)', 'f',
            'comes(''sum(misses) = 6 FROM concresce.stats'')', 'g: ' || what, 'comes(''sum(discarded) = 1 FROM concresce.stats'')',
            'open', 'a', 'b', 'c', 'd', 'comes(''count(*) = 1 FROM far.noted'')', 'e> SELECT concresce.flush()', 'e');
END $$;
CREATE FUNCTION busy(n int) RETURNS text LANGUAGE concresce STABLE SET concresce.server = 'left' AS $$ SELECT gated(n) $$;
CALL flush_then('REVOKE EXECUTE ON FUNCTION note FROM regress_ccr_bob');
GRANT EXECUTE ON FUNCTION note TO regress_ccr_bob;
-- one item of several: it is run for those who still may
ALTER FUNCTION note SET concresce.coalesce = 'batch';
ALTER FUNCTION note SET concresce.key = '1';
CALL after('REVOKE EXECUTE ON FUNCTION note FROM regress_ccr_ann');
SELECT * FROM left_over(3);
SELECT arrived();
GRANT EXECUTE ON FUNCTION note TO regress_ccr_ann;
CALL after('REVOKE EXECUTE ON FUNCTION note FROM regress_ccr_ann, regress_ccr_bob');
SELECT * FROM left_over(0);
GRANT EXECUTE ON FUNCTION note TO regress_ccr_ann, regress_ccr_bob;
-- the function's own end is none of these
CALL after('DROP FUNCTION note');
SELECT * FROM left_over(3);
SELECT concresce.stop(), concresce.start();
SELECT count(*) FROM far.noted;

SELECT wiped();
DROP SERVER "left" CASCADE;
DROP FUNCTION left_over, arrived, wiped, busy;
DROP PROCEDURE make_server, after, flush_then;
CALL clean_up();
DROP ROLE regress_ccr_ann, regress_ccr_bob, regress_ccr_group;
