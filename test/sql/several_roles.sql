--
-- Callers of several roles in one batch: nobody is told of another's values,
-- and nobody's bad value fails another's call.
--
\getenv srcdir PG_ABS_SRCDIR
\set play :srcdir '/lib/play.sql'
\set ECHO none
\i :play
\set ECHO all
CREATE ROLE regress_ccr_ann LOGIN;
CREATE ROLE regress_ccr_bob LOGIN;
CREATE ROLE regress_ccr_app;
CREATE ROLE regress_ccr_owner;
GRANT regress_ccr_app TO regress_ccr_ann, regress_ccr_bob;
GRANT USAGE ON FOREIGN SERVER far TO PUBLIC;
CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (password_required 'false');
DO $$ BEGIN EXECUTE format('ALTER USER MAPPING FOR PUBLIC SERVER far OPTIONS (ADD user %L)', current_user); END $$;
CREATE TABLE far.mails (m text UNIQUE);
INSERT INTO far.mails VALUES ('known');

-- Two calls are a batch, and leave at once; one would wait for long.
CREATE FUNCTION add_mail(m text) RETURNS void LANGUAGE concresce VOLATILE
SET concresce.max_size = 2 SET concresce.max_window = '30s'
AS $$ INSERT INTO mails SELECT unnest(collect(m)) $$;
CREATE FUNCTION part(n int) RETURNS int LANGUAGE concresce STABLE
SET concresce.max_size = 2 SET concresce.max_window = '30s'
AS $$ SELECT 12 / n $$;
-- What it raises names all the values, in every part of the error.
CREATE FUNCTION far.raises(code text, given text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(1);
  RAISE EXCEPTION 'message: %', given USING ERRCODE = code, DETAIL = 'detail: ' || given::text, HINT = 'hint: ' || given::text;
END $$;
CREATE FUNCTION forbidden(t text) RETURNS text LANGUAGE concresce STABLE
SET concresce.max_size = 2 SET concresce.max_window = '30s'
AS $$ SELECT raises('42501', collect(t)) $$;

-- A call in another session: its result, or all of its error.
CREATE FUNCTION told(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  result text; detail text; hint text; context text;
BEGIN
  EXECUTE query INTO result;
  RETURN result;
EXCEPTION WHEN OTHERS OR query_canceled THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
  RETURN concat_ws(' | ', sqlstate, sqlerrm, nullif(detail, ''), nullif(hint, ''), regexp_replace(context, '\nSQL statement.*', ''));
END $$;
-- Ann's and Bob's sessions; each steps out of the superuser's.
CREATE PROCEDURE pair(as_ann text, as_bob text, ann text, bob text) LANGUAGE plpgsql AS $$
BEGIN
  CALL play('a: ' || as_ann, 'b: ' || as_bob, format('a> SELECT told(%L)', ann), '1 queued', format('b> SELECT told(%L)', bob), 'a', 'b');
END $$;
\set ann '''SET ROLE regress_ccr_ann'''
\set bob '''SET ROLE regress_ccr_bob'''

-- errors of the data: each item is judged alone
CALL pair(:ann, :bob, $$SELECT add_mail('known')$$, $$SELECT add_mail('fresh 1')$$);
CALL pair(:ann, :bob, $$SELECT add_mail('fresh 2')$$, $$SELECT add_mail('known')$$);
CALL pair(:ann, :bob, $$SELECT add_mail('known')$$, $$SELECT add_mail('fresh 1')$$);
SELECT array_agg(m ORDER BY m) FROM far.mails;
CALL pair(:ann, :bob, 'SELECT part(0)', 'SELECT part(3)');
CALL pair(:ann, :bob, 'SELECT concresce.await(concresce.submit(''part'', 0))', 'SELECT concresce.await(concresce.submit(''part'', 4))');
-- with several users whose session it is, too, and behind a role's own function
CALL pair('SET SESSION AUTHORIZATION regress_ccr_ann', 'SET SESSION AUTHORIZATION regress_ccr_bob',
          'SELECT part(0)', 'SELECT part(3)');
CALL pair('SET SESSION AUTHORIZATION regress_ccr_ann; SET ROLE regress_ccr_app',
          'SET SESSION AUTHORIZATION regress_ccr_bob; SET ROLE regress_ccr_app', 'SELECT part(0)', 'SELECT part(3)');
CREATE FUNCTION definer(n int) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET concresce.server = 'far' AS $$ BEGIN RETURN part(n); END $$;
ALTER FUNCTION part SET concresce.server = 'far';
CALL pair(:ann, :bob, 'SELECT definer(0)', 'SELECT definer(3)');
-- one and the same role: as ever, the batch fails as a whole
CALL pair(:ann, :ann, 'SELECT part(0)', 'SELECT part(3)');
CALL pair(:ann, :ann, $$SELECT add_mail('known')$$, $$SELECT add_mail('fresh 3')$$);

-- unless it must not be repeated: then the error is not told
ALTER FUNCTION add_mail SET concresce.isolate_errors = off;
CALL pair(:ann, :bob, $$SELECT add_mail('known')$$, $$SELECT add_mail('fresh 4')$$);
CALL pair(:ann, :ann, $$SELECT add_mail('known')$$, $$SELECT add_mail('fresh 4')$$);
SELECT array_agg(m ORDER BY m) FROM far.mails;
-- what is not VOLATILE can be
ALTER FUNCTION part SET concresce.isolate_errors = off;
CALL pair(:ann, :bob, 'SELECT part(0)', 'SELECT part(3)');
-- and it is the function's word that counts, not a session's
ALTER FUNCTION add_mail RESET concresce.isolate_errors;
CALL pair('SET ROLE regress_ccr_ann; SET concresce.isolate_errors = off', 'SET ROLE regress_ccr_bob; SET concresce.isolate_errors = off',
          $$SELECT add_mail('known')$$, $$SELECT add_mail('fresh 5')$$);

-- other errors are not divided
CALL pair(:ann, :bob, $$SELECT forbidden('ann''s')$$, $$SELECT forbidden('bob''s')$$);
CALL pair(:ann, :ann, $$SELECT forbidden('ann''s')$$, $$SELECT forbidden('hers, too')$$);
-- who has left has left his values
CALL play('close', 'a: SET ROLE regress_ccr_ann', 'b: SET ROLE regress_ccr_bob', 'a> SELECT told($$SELECT forbidden(''ann''''s'')$$)', '1 queued',
          'b> SELECT told($$SELECT forbidden(''bob''''s'')$$)', '2 in flight',
          'count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE application_name = ''a''', 'a', 'open', 'b');
-- a connection that is cut: ours are the first message and the hint
CREATE FUNCTION far.cut(t text[]) RETURNS SETOF text LANGUAGE sql AS $$ SELECT pg_terminate_backend(pg_backend_pid())::text $$;
CREATE FUNCTION cut_off(t text) RETURNS text LANGUAGE concresce VOLATILE
SET concresce.max_size = 2 SET concresce.max_window = '30s' AS $$ SELECT cut(collect(t)) $$;
CALL pair(:ann, :bob, $$SELECT cut_off('ann''s')$$, $$SELECT cut_off('bob''s')$$);

-- a key that both ask for is known to both, if it is all of the arguments
CREATE FUNCTION shared(t text) RETURNS text LANGUAGE concresce STABLE AS $$ SELECT raises('42501', ARRAY[t]) $$;
CALL play('close', 'a: SET ROLE regress_ccr_ann', 'b: SET ROLE regress_ccr_bob', 'a> SELECT told($$SELECT shared(''same'')$$)', '1 in flight',
          'b> SELECT told($$SELECT shared(''same'')$$)', '2 in flight', 'open', 'a', 'b');
ALTER FUNCTION shared SET concresce.key = 'lower(t)';
CALL play('close', 'a: SET ROLE regress_ccr_ann', 'b: SET ROLE regress_ccr_bob', 'a> SELECT told($$SELECT shared(''Same'')$$)', '1 in flight',
          'b> SELECT told($$SELECT shared(''same'')$$)', '2 in flight', 'open', 'a', 'b');

-- the body of a local lookup makes its calls for those whose item it was as it began; who has come later is not told
-- of what else they ask for
CREATE FUNCTION far.judge(t text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  IF t <> 'good' THEN
    RAISE EXCEPTION 'message: %', t USING ERRCODE = left(t, 5);
  END IF;
  RETURN t;
END $$;
CREATE FUNCTION judged(t text) RETURNS text LANGUAGE concresce STABLE SET concresce.server = 'far'
SET concresce.max_size = 2 SET concresce.max_window = '30s' AS $$ SELECT judge(t) $$;
CREATE FUNCTION judged_alone(t text) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN judged(t); END $$;
CREATE FUNCTION through(t text) RETURNS text LANGUAGE concresce STABLE SECURITY DEFINER SET concresce.server = '' SET search_path = public
AS $$ SELECT judged_alone(t) $$;
GRANT USAGE ON FOREIGN SERVER far TO regress_ccr_owner;
ALTER FUNCTION through OWNER TO regress_ccr_owner;
CREATE PROCEDURE come_later(VARIADIC steps text[]) LANGUAGE plpgsql AS $body$
BEGIN
  CALL play(VARIADIC ARRAY['a: SET ROLE regress_ccr_ann', 'b: SET ROLE regress_ccr_bob', 'c: SET ROLE regress_ccr_ann',
                           'a> SELECT told($$SELECT through(''good'')$$)', '1 in flight', '1 queued',
                           'b> SELECT told($$SELECT through(''good'')$$)', '2 in flight']
                     || steps || ARRAY['a', 'b']);
END $body$;
-- an error of the data: their item is run again, for both
CALL come_later('c> SELECT told($$SELECT judged(''P0001 of ann'')$$)', 'c', '1 queued',
                'd: SET ROLE regress_ccr_bob', 'd> SELECT told($$SELECT judged(''P0001 of bob'')$$)', 'd');
-- another
CALL come_later('c> SELECT told($$SELECT judged(''42501 of ann'')$$)', 'c');
DROP PROCEDURE come_later;
DROP FUNCTION through, judged_alone, judged;
REVOKE USAGE ON FOREIGN SERVER far FROM regress_ccr_owner;

-- what the views tell: the text to who was told it, to others the SQLSTATE
ALTER FUNCTION part OWNER TO regress_ccr_owner;
ALTER FUNCTION forbidden OWNER TO regress_ccr_owner;
CREATE FUNCTION last_errors() RETURNS TABLE (function text, last_error text) LANGUAGE sql AS $$
  SELECT function::text, last_error FROM concresce.stats WHERE function IN ('part(int)'::regprocedure, 'forbidden(text)'::regprocedure) AND last_error IS NOT NULL
$$;
CALL pair(:ann, :bob, $$SELECT forbidden('ann''s')$$, $$SELECT forbidden('bob''s')$$);
SET ROLE regress_ccr_owner;
SELECT * FROM last_errors();
RESET ROLE;
CALL pair(:ann, :ann, 'SELECT part(0)', 'SELECT part(3)');
SET ROLE regress_ccr_owner;
SELECT * FROM last_errors();
RESET ROLE;
GRANT regress_ccr_ann TO regress_ccr_owner;
SET ROLE regress_ccr_owner;
SELECT * FROM last_errors();
RESET ROLE;
REVOKE regress_ccr_ann FROM regress_ccr_owner;
GRANT pg_read_all_stats TO regress_ccr_owner;
SET ROLE regress_ccr_owner;
SELECT * FROM last_errors();
RESET ROLE;
SELECT count(*) > 0 AS seen FROM concresce.connections WHERE last_error = 'division by zero';
SET ROLE regress_ccr_bob;
SELECT count(*) > 0 AS seen FROM concresce.connections WHERE last_error = 'division by zero';
SELECT DISTINCT server, remote_user IS NOT NULL AS "user" FROM concresce.connections WHERE last_error = 'SQLSTATE 22012';
RESET ROLE;
-- connections are for those who may use them
REVOKE USAGE ON FOREIGN SERVER far FROM PUBLIC;
GRANT USAGE ON FOREIGN SERVER far TO regress_ccr_ann;
SET ROLE regress_ccr_bob;
SELECT count(*) FROM concresce.connections;
SET ROLE regress_ccr_ann;
SELECT count(*) > 0 AS seen FROM concresce.connections;
RESET ROLE;
CREATE USER MAPPING FOR regress_ccr_ann SERVER far OPTIONS (user 'nobody');
SET ROLE regress_ccr_ann;
SELECT count(*) FROM concresce.connections;
RESET ROLE;
GRANT pg_read_all_stats TO regress_ccr_bob;
SET ROLE regress_ccr_bob;
SELECT count(*) > 0 AS seen FROM concresce.connections;
RESET ROLE;
-- a request is its session's, not its function's owner's
CREATE FUNCTION gate(t text) RETURNS text LANGUAGE concresce STABLE SECURITY DEFINER SET concresce.server = 'far' SET concresce.key = ''
AS $$ SELECT raises('P0001', ARRAY[t]) $$;
GRANT USAGE ON FOREIGN SERVER far TO regress_ccr_owner;
ALTER FUNCTION gate OWNER TO regress_ccr_owner;
REVOKE pg_read_all_stats FROM regress_ccr_owner;
CREATE FUNCTION seen_by(role text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  n bigint;
BEGIN
  EXECUTE 'SET LOCAL ROLE ' || role;
  SELECT count(*) INTO n FROM concresce.in_flight;
  RESET ROLE;
  RETURN n;
END $$;
CALL play('close', 'a: SET ROLE regress_ccr_ann', 'a> SELECT gate(''x'')', '1 in flight',
          'seen_by(''regress_ccr_ann'')', 'seen_by(''regress_ccr_owner'')', 'open', 'a');

DROP FUNCTION add_mail, part, forbidden, told, definer, cut_off, shared, last_errors, gate, seen_by;
DROP PROCEDURE pair;
CALL clean_up();
DROP ROLE regress_ccr_ann, regress_ccr_bob, regress_ccr_app, regress_ccr_owner;
