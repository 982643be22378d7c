--
-- Asynchronous calls: what is started, what comes of it, and whose ids are
-- whose.
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
CREATE TABLE far.scores (id bigint PRIMARY KEY, score int, label text);
INSERT INTO far.scores SELECT i, i * 10, 'no. ' || i FROM generate_series(1, 2000) i;

CREATE TYPE pair AS (score int, label text);
CREATE TYPE other_pair AS (score int, label text);
CREATE TYPE triple AS (score int, label text, more int);
CREATE DOMAIN small AS int CHECK (VALUE < 100);
CREATE FUNCTION score(user_id bigint) RETURNS int LANGUAGE concresce STABLE
AS $$ SELECT score FROM scores WHERE id = user_id $$;
CREATE FUNCTION strict_score(user_id bigint) RETURNS int LANGUAGE concresce STABLE STRICT
AS $$ SELECT score FROM scores WHERE id = user_id $$;
CREATE FUNCTION label(user_id bigint) RETURNS text LANGUAGE concresce STABLE
AS $$ SELECT label FROM scores WHERE id = user_id $$;
CREATE FUNCTION small_score(user_id bigint) RETURNS small LANGUAGE concresce STABLE
AS $$ SELECT score FROM scores WHERE id = user_id $$;
CREATE FUNCTION row_of(user_id bigint) RETURNS pair LANGUAGE concresce STABLE
AS $$ SELECT score, label FROM scores WHERE id = user_id $$;
CREATE FUNCTION out_of(user_id bigint, OUT score int, OUT label text) LANGUAGE concresce STABLE
AS $$ SELECT score, label FROM scores WHERE id = user_id $$;
CREATE FUNCTION digits(n int) RETURNS int[] LANGUAGE concresce STABLE
AS $$ SELECT array_agg(i) FROM generate_series(1, n) i $$;
CREATE FUNCTION json_of(n int) RETURNS jsonb LANGUAGE concresce STABLE
AS $$ SELECT jsonb_build_object('n', n, 'list', jsonb_build_array(1, NULL)) $$;
CREATE FUNCTION divided(n int) RETURNS int LANGUAGE concresce STABLE
SET concresce.isolate_errors = on
AS $$ SELECT 100 / n $$;
CREATE FUNCTION noted(n int) RETURNS void LANGUAGE concresce VOLATILE
AS $$ INSERT INTO scores SELECT * FROM unnest(collect(n)) $$;
CREATE FUNCTION whole() RETURNS bigint LANGUAGE concresce STABLE
AS $$ SELECT count(*) FROM scores WHERE id <= 2000 $$;
CREATE FUNCTION all_of(n int) RETURNS SETOF int LANGUAGE concresce STABLE
AS $$ SELECT score FROM scores WHERE id <= n $$;
CREATE FUNCTION some_record(n int) RETURNS record LANGUAGE concresce STABLE
AS $$ SELECT score, label FROM scores WHERE id = n $$;

-- Errors without the ids, which are others each time.
CREATE FUNCTION attempt(command text, VARIADIC args bigint[] DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  result text; detail text; hint text;
BEGIN
  EXECUTE command INTO result USING args;
  RETURN result;
EXCEPTION WHEN OTHERS OR query_canceled THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  RETURN concat_ws(' | ', sqlstate || ' ' || regexp_replace(sqlerrm, 'request -?\d+', 'request N'),
                   nullif(detail, ''), nullif(hint, ''));
END $$;

-- never in parallel, where there is no subtransaction and no other's ids
SELECT proname, count(*), min(proparallel), min(provolatile) FROM pg_proc
WHERE pronamespace = 'concresce'::regnamespace AND proname IN ('submit', 'await', 'gather', 'as_completed', 'wait', 'cancel')
GROUP BY proname ORDER BY proname;

-- a result, as text unless another type is asked for
SELECT concresce.await(concresce.submit('score', 3)) AS text, pg_typeof(concresce.await(concresce.submit('score', 3)));
SELECT concresce.await(concresce.submit('score', 3), NULL::int) AS int, pg_typeof(concresce.await(concresce.submit('score', 3), NULL::int));
SELECT concresce.await(concresce.submit('score', 3), 0) + 1 AS by_example;
SELECT concresce.await(request => concresce.submit(function => 'whole'), result_type => NULL::text);
SELECT concresce.await(concresce.submit('label', 3));
SELECT concresce.await(concresce.submit('label'::regproc, '7'), NULL::varchar);
SELECT concresce.await(concresce.submit('score(bigint)'::regprocedure, 3::smallint), NULL::bigint);
SELECT concresce.await(concresce.submit('score', 3), NULL::numeric), concresce.await(concresce.submit('score', 3), NULL::float8),
       concresce.await(concresce.submit('score', 3), NULL::small);
SELECT concresce.await(concresce.submit('small_score', 3)), concresce.await(concresce.submit('small_score', 3), NULL::int),
       concresce.await(concresce.submit('small_score', 3), NULL::small);
SELECT concresce.await(concresce.submit('whole'));
-- composites, arrays, documents
SELECT concresce.await(concresce.submit('row_of', 3)), (concresce.await(concresce.submit('row_of', 3), NULL::pair)).label;
SELECT concresce.await(concresce.submit('out_of', 3)), (concresce.await(concresce.submit('out_of', 3), NULL::pair)).label;
SELECT concresce.await(concresce.submit('digits', 3)), concresce.await(concresce.submit('digits', 3), NULL::int[]),
       concresce.await(concresce.submit('digits', 3), NULL::bigint[]);
SELECT concresce.await(concresce.submit('json_of', 3), NULL::jsonb) -> 'n';
-- no row, NULL arguments, nothing to return
SELECT concresce.await(concresce.submit('score', 5000)) IS NULL AS missing, concresce.await(concresce.submit('score', NULL)) IS NULL AS null_argument,
       concresce.await(concresce.submit('row_of', 5000), NULL::pair) IS NULL AS no_row;
SELECT concresce.reset_stats('strict_score');
SELECT concresce.await(concresce.submit('strict_score', NULL)) IS NULL AS strict;
SELECT calls FROM concresce.stats WHERE function = 'strict_score(bigint)'::regprocedure;
SELECT concresce.await(concresce.submit('noted', 3000)) IS NULL AS void;
SELECT count(*) FROM far.scores WHERE id = 3000;

-- the wrong type, the wrong value
SELECT concresce.await(concresce.submit('score', 3), NULL::date);
SELECT concresce.await(concresce.submit('row_of', 3), NULL::int);
SELECT concresce.await(concresce.submit('row_of', 3), NULL::other_pair);
SELECT concresce.await(concresce.submit('out_of', 3), NULL::int);
SELECT concresce.await(concresce.submit('out_of', 3), NULL::triple);
SELECT concresce.await(concresce.submit('score', 300), NULL::small);
SELECT concresce.await(concresce.submit('score', 2000), NULL::"char");
SELECT concresce.await(concresce.submit('small_score', 300));
-- a wrong type is noticed before anything is waited for: the request remains
BEGIN;
SELECT concresce.submit('score', 3) AS id \gset
SELECT attempt('SELECT concresce.await($1[1], NULL::date)', :id);
SELECT concresce.await(:id);
COMMIT;

-- what cannot be submitted
SELECT concresce.submit('all_of', 3);
SELECT concresce.submit('some_record', 3);
SELECT concresce.submit('score');
SELECT concresce.submit('score', 1, 2);
SELECT concresce.submit('score', 'x');
SELECT concresce.submit('score', now());
SELECT concresce.submit('score', VARIADIC ARRAY[1]);
SELECT concresce.submit('lower(text)'::regprocedure, 'x');
SELECT concresce.submit('no_such', 1);
SELECT concresce.submit(NULL, 1);
SET concresce.server = 'no_such';
SELECT concresce.submit('score', 1);
SET concresce.server = 'far';

-- many
SELECT concresce.gather(array_agg(concresce.submit('score', i) ORDER BY i)) FROM generate_series(1, 5) i;
SELECT concresce.gather(array_agg(concresce.submit('score', i)), NULL::int) FROM unnest('{9,3,3,NULL,4242}'::bigint[]) i;
SELECT concresce.gather(ARRAY[concresce.submit('row_of', 1), concresce.submit('row_of', 5000)], NULL::pair);
SELECT concresce.gather(ARRAY[concresce.submit('score', 1), concresce.submit('label', 1), concresce.submit('digits', 2), concresce.submit('out_of', 2)]);
SELECT concresce.gather(ARRAY[concresce.submit('score', 1), concresce.submit('whole'), concresce.submit('small_score', 2)], result_type => NULL::numeric);
SELECT concresce.gather(ARRAY[concresce.submit('score', 1), concresce.submit('label', 1)], NULL::int);
SELECT concresce.gather('{}'::bigint[]), concresce.gather('{}', NULL::int), concresce.gather(NULL, NULL::int) IS NULL AS null;
-- the same id twice has the same result; two that are identical share a lookup
BEGIN;
SELECT concresce.submit('score', 7) AS id \gset
SELECT concresce.gather(ARRAY[:id, :id]::bigint[], NULL::int);
COMMIT;
\set VERBOSITY terse
SELECT concresce.gather(NULL);
\set VERBOSITY default

-- a dictionary
SELECT concresce.gather(jsonb_build_object('score', concresce.submit('score', 3), 'label', concresce.submit('label', 3),
  'row', concresce.submit('row_of', 3), 'out', concresce.submit('out_of', 3), 'digits', concresce.submit('digits', 3),
  'json', concresce.submit('json_of', 3), 'missing', concresce.submit('score', 5000), 'void', concresce.submit('noted', 3001)));
SELECT concresce.gather('{}'::jsonb), concresce.gather(NULL::jsonb) IS NULL AS null;
SELECT concresce.gather('[]'::jsonb);
SELECT concresce.gather('7'::jsonb);
SELECT concresce.gather('{"a": "7"}'::jsonb);
SELECT concresce.gather('{"a": null}'::jsonb);
SELECT concresce.gather('{"a": {"b": 7}}'::jsonb);
SELECT concresce.gather('{"a": [7]}'::jsonb);
SELECT concresce.gather('{"a": 1.5}'::jsonb);
SELECT concresce.gather('{"a": 1e30}'::jsonb);

-- the first error in order, whichever comes first; what has none stays
SELECT concresce.gather(ARRAY[concresce.submit('divided', 5), concresce.submit('small_score', 300), concresce.submit('divided', 0)]);
SELECT concresce.gather(ARRAY[concresce.submit('divided', 5), concresce.submit('divided', 0), concresce.submit('small_score', 300)]);
SELECT concresce.gather(jsonb_build_object('a', concresce.submit('divided', 5), 'b', concresce.submit('divided', 0)));
BEGIN;
SELECT array_agg(concresce.submit('divided', i) ORDER BY i) AS ids FROM generate_series(-1, 1) i \gset
SELECT attempt('SELECT concresce.gather($1)', VARIADIC :'ids');
SELECT concresce.await((:'ids'::bigint[])[1]), attempt('SELECT concresce.await($1[2])', VARIADIC :'ids'), concresce.await((:'ids'::bigint[])[3]);
COMMIT;

-- each as it comes
SELECT result FROM concresce.as_completed((SELECT array_agg(concresce.submit('score', i)) FROM generate_series(1, 3) i), NULL::int) ORDER BY result;
SELECT a.* FROM concresce.as_completed('{}'::bigint[]) a;
SELECT a.* FROM concresce.as_completed(NULL, NULL::int) a;
SELECT pg_typeof(result) FROM concresce.as_completed(ARRAY[concresce.submit('row_of', 1)], NULL::pair);
SELECT (result).* FROM concresce.as_completed(ARRAY[concresce.submit('row_of', 1)], NULL::pair);
SELECT result, error_sqlstate, error_message, error_detail, error_hint FROM concresce.as_completed((SELECT array_agg(concresce.submit('divided', i)) FROM generate_series(-1, 1) i), NULL::int, true) ORDER BY 1;
SELECT result, error_sqlstate, error_message, error_detail, error_hint FROM concresce.as_completed(ARRAY[concresce.submit('small_score', 300), concresce.submit('small_score', 3), concresce.submit('score', 2000)],
  NULL::small, return_errors => true) ORDER BY 1, 3;
SELECT count(*) FROM concresce.as_completed((SELECT array_agg(concresce.submit('divided', i)) FROM generate_series(-1, 1) i));
SELECT * FROM concresce.as_completed(ARRAY[concresce.submit('score', 1)], NULL::date);
-- in a target list LIMIT stops it, and what is not handed out stays
BEGIN;
SELECT array_agg(concresce.submit('score', i)) AS ids FROM generate_series(1, 3) i \gset
SELECT (c).result FROM (SELECT concresce.as_completed(:'ids') AS c) s LIMIT 1;
SELECT count(*) FROM concresce.as_completed((SELECT array_agg(id) FROM unnest(:'ids'::bigint[]) id
  WHERE attempt('SELECT done FROM concresce.wait($1)', id) !~ 'awaited already'));
SELECT attempt('SELECT count(*) FROM concresce.as_completed($1)', VARIADIC :'ids');
COMMIT;
-- a cursor: what was awaited or cancelled between two rows is left out
BEGIN;
SELECT array_agg(concresce.submit('score', i) ORDER BY i) AS ids FROM generate_series(1, 4) i \gset
SELECT done = :'ids' AS all_done FROM concresce.wait(:'ids');
DECLARE c CURSOR FOR SELECT concresce.as_completed(:'ids', NULL::int) AS c;
MOVE 1 IN c;
SELECT concresce.await((:'ids'::bigint[])[3]);
SELECT count(*) FROM concresce.as_completed(ARRAY[concresce.submit('score', 9)]);
MOVE ALL IN c;
COMMIT;

-- ids that are none of ours
BEGIN;
SELECT concresce.submit('score', 3) AS id \gset
SELECT concresce.await(:id);
SELECT attempt('SELECT concresce.await($1[1])', :id);
SELECT attempt('SELECT concresce.gather($1)', :id);
SELECT attempt('SELECT concresce.gather(jsonb_build_object(''a'', $1[1]))', :id);
SELECT attempt('SELECT concresce.as_completed($1)', :id);
SELECT attempt('SELECT concresce.wait($1)', :id);
SELECT attempt('SELECT concresce.cancel($1[1])', :id);
COMMIT;
SELECT attempt('SELECT concresce.await($1[1])', :id);
SELECT attempt('SELECT concresce.await(0)'), attempt('SELECT concresce.await(-1)'), attempt('SELECT concresce.await(9223372036854775807)');
SELECT attempt('SELECT concresce.cancel(9223372036854775807)'), attempt('SELECT concresce.wait(''{9223372036854775807}'')');
SELECT concresce.await(NULL) IS NULL AS null, concresce.cancel(VARIADIC '{}'), concresce.cancel(VARIADIC NULL) IS NULL AS null;
SELECT concresce.gather(ARRAY[NULL]::bigint[]);
SELECT concresce.wait(ARRAY[NULL]::bigint[]);
SELECT concresce.as_completed(ARRAY[NULL]::bigint[]);
SELECT concresce.cancel(NULL);
SELECT concresce.gather('{{1},{2}}'::bigint[]);
SELECT concresce.wait('{}'), concresce.wait(NULL), concresce.wait('{}', 'first_completed'), concresce.wait('{}', 'first_exception', '0');
SELECT concresce.wait('{}', 'first');

-- transactions and savepoints
BEGIN;
SELECT concresce.submit('score', 1) AS before \gset
SAVEPOINT a;
SELECT concresce.submit('score', 2) AS inside \gset
SAVEPOINT b;
SELECT concresce.submit('score', 3) AS released \gset
RELEASE b;
SELECT concresce.await(:before), concresce.submit('score', 4) AS open \gset
SELECT concresce.await(:released);
ROLLBACK TO a;
SELECT attempt('SELECT concresce.await($1[1])', :inside), attempt('SELECT concresce.await($1[1])', :released), attempt('SELECT concresce.await($1[1])', :open);
SELECT attempt('SELECT concresce.await($1[1])', :before);
SAVEPOINT c;
SELECT concresce.submit('score', 5) AS kept \gset
RELEASE c;
SAVEPOINT d;
SELECT 1 / 0;
ROLLBACK TO d;
SELECT concresce.await(:kept);
COMMIT;
DO $$
DECLARE
  ids bigint[] = '{}';
BEGIN
  FOR i IN 1 .. 3 LOOP
    BEGIN
      ids[2] = concresce.submit('score', i);
      IF i = 2 THEN RAISE 'no'; END IF;
      ids[i] = ids[2];
    EXCEPTION WHEN raise_exception THEN
      RAISE WARNING '%', attempt('SELECT concresce.await($1[1])', ids[2]);
    END;
  END LOOP;
  RAISE WARNING '%, %', concresce.await(ids[1]), concresce.await(ids[3]);
  COMMIT;
  RAISE WARNING '%', attempt('SELECT concresce.await($1[1])', ids[1]);
END $$;
-- without a transaction block, an id lives as long as its statement
SELECT concresce.submit('score', 1) AS id \gset
SELECT attempt('SELECT concresce.await($1[1])', :id);

-- two-phase: as at COMMIT
BEGIN;
SELECT concresce.submit('score', 1) AS id \gset
PREPARE TRANSACTION 'async';
SELECT attempt('SELECT concresce.await($1[1])', :id);
COMMIT PREPARED 'async';

-- the settings and rights that a call runs with
CREATE FUNCTION must(n int) RETURNS int LANGUAGE concresce STABLE SET concresce.on_missing = 'error'
AS $$ SELECT score FROM scores WHERE id = n $$;
SELECT concresce.await(concresce.submit('must', 4000));
SET concresce.on_missing = 'error';
BEGIN;
SELECT concresce.submit('score', 4000) AS id \gset
SET LOCAL concresce.on_missing = 'null';
SELECT attempt('SELECT concresce.await($1[1])', :id);
COMMIT;
RESET concresce.on_missing;
-- of the session what the lookup does not set, of the lookup what it does
CREATE FUNCTION pinned(n int) RETURNS int LANGUAGE concresce STABLE SET concresce.server = 'far' SET concresce.max_size = 7
AS $$ SELECT score FROM scores WHERE id = n $$;
CREATE FUNCTION nowhere(n int) RETURNS int LANGUAGE concresce STABLE SET concresce.server = 'no_such_server'
AS $$ SELECT score FROM scores WHERE id = n $$;
CREATE FUNCTION keyed(t text) RETURNS text LANGUAGE concresce STABLE SET concresce.server = 'far' SET concresce.key = 'lower(t)'
AS $$ SELECT t || count(*) FROM scores WHERE id < 0 $$;
SET concresce.server = 'nowhere';
SELECT concresce.await(concresce.submit('pinned', 4)), concresce.await(concresce.submit('pinned', 4000)) IS NULL AS missing;
SET concresce.on_missing = 'error';
SELECT concresce.await(concresce.submit('pinned', 4)), attempt('SELECT concresce.await(concresce.submit(''pinned'', 4000))');
RESET concresce.on_missing;
SELECT concresce.await(concresce.submit('pinned', 4)), concresce.await(concresce.submit('pinned', 4000)) IS NULL AS missing;
SELECT attempt('SELECT concresce.submit(''nowhere'', 4)'), current_setting('concresce.server'), current_setting('concresce.max_size');
SELECT concresce.await(concresce.submit('pinned', 4)), attempt('SELECT concresce.submit(''score'', 4)'), current_setting('concresce.server'), current_setting('concresce.key');
SELECT concresce.reset_stats();
SELECT concresce.gather(ARRAY[concresce.submit('keyed', 'A'), concresce.submit('keyed', 'a'), concresce.submit('keyed', 'B')]);
SELECT calls, misses, coalesced FROM concresce.stats WHERE function = 'keyed(text)'::regprocedure;
ALTER FUNCTION pinned SET concresce.server = 'no_such_server';
SELECT concresce.submit('pinned', 4);
SET concresce.server = 'far';
DROP FUNCTION pinned, nowhere, keyed;
CREATE ROLE regress_ccr_async;
CREATE ROLE regress_ccr_async_owner;
GRANT USAGE ON FOREIGN SERVER far TO regress_ccr_async_owner;
DO $$
BEGIN
  EXECUTE format('CREATE USER MAPPING FOR regress_ccr_async_owner SERVER far OPTIONS (user %L, password_required ''false'')', current_user);
END $$;
CREATE FUNCTION owned(n int) RETURNS int LANGUAGE concresce STABLE SECURITY DEFINER SET concresce.server = 'far'
AS $$ SELECT score FROM scores WHERE id = n $$;
ALTER FUNCTION owned OWNER TO regress_ccr_async_owner;
GRANT CREATE ON SCHEMA public TO regress_ccr_async_owner;
-- the check of a domain runs as the owner, too
CREATE FUNCTION checked(n int) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
  RAISE WARNING 'checked as %, path %', current_user, current_setting('search_path');
  RETURN true;
END $$;
CREATE DOMAIN watched AS int CHECK (checked(VALUE));
CREATE FUNCTION owned_watched(n int) RETURNS watched LANGUAGE concresce STABLE SECURITY DEFINER
SET concresce.server = 'far' SET search_path = public, far
AS $$ SELECT score FROM scores WHERE id = n $$;
ALTER FUNCTION owned_watched OWNER TO regress_ccr_async_owner;
SET ROLE regress_ccr_async;
SELECT concresce.await(concresce.submit('owned', 4)), owned(4);
SELECT concresce.await(concresce.submit('owned_watched', 4)) = owned_watched(4)::text AS same;
SELECT current_user, current_setting('search_path');
SELECT concresce.submit('score', 4);
RESET ROLE;
REVOKE EXECUTE ON FUNCTION owned FROM PUBLIC;
SET ROLE regress_ccr_async;
SELECT concresce.submit('owned', 4);
RESET ROLE;
-- a role that was set when the call was submitted
BEGIN;
SET LOCAL ROLE regress_ccr_async_owner;
SELECT concresce.submit('score', 4) AS id \gset
RESET ROLE;
SELECT concresce.await(:id);
COMMIT;

-- a check that awaits what is being gathered
BEGIN;
CREATE TEMP TABLE ids AS SELECT concresce.submit('score', i) AS id FROM generate_series(1, 3) i;
CREATE FUNCTION greedy(n int) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
  PERFORM concresce.await(id) FROM ids ORDER BY id DESC LIMIT 1;
  RETURN true;
END $$;
CREATE DOMAIN grasping AS int CHECK (greedy(VALUE));
SELECT attempt('SELECT concresce.gather(array_agg(id), NULL::grasping) FROM ids');
ROLLBACK;

-- 1,000 submitted one by one are one batch
SELECT concresce.reset_stats('score');
SELECT sum(s) FROM unnest(concresce.gather((SELECT array_agg(concresce.submit('score', i)) FROM generate_series(1, 1000) i), NULL::int)) s;
SELECT calls, misses, batches, batch_size_max FROM concresce.stats WHERE function = 'score(bigint)'::regprocedure;
-- in a loop, too
SELECT concresce.reset_stats('score');
DO $$
DECLARE
  ids bigint[];
BEGIN
  FOR i IN 1 .. 1000 LOOP
    ids[i] = concresce.submit('score', i);
  END LOOP;
  PERFORM concresce.gather(ids);
END $$;
SELECT calls, misses, batches, batch_size_max FROM concresce.stats WHERE function = 'score(bigint)'::regprocedure;
SELECT concresce.reset_stats('score');
DO $$
DECLARE
  ids bigint[]; id bigint; r record;
BEGIN
  FOR r IN SELECT generate_series(1, 1000) AS i LOOP
    SELECT concresce.submit('score', r.i) INTO id;
    ids[r.i] = id;
  END LOOP;
  PERFORM concresce.gather(ids);
END $$;
SELECT calls, misses, batches, batch_size_max FROM concresce.stats WHERE function = 'score(bigint)'::regprocedure;
-- and max_size at a time
SET concresce.max_size = 100;
SELECT concresce.reset_stats('score');
SELECT sum(s) FROM unnest(concresce.gather((SELECT array_agg(concresce.submit('score', i)) FROM generate_series(1, 1000) i), NULL::int)) s;
SELECT calls, misses, batches, batch_size_max FROM concresce.stats WHERE function = 'score(bigint)'::regprocedure;
RESET concresce.max_size;

-- code that runs while a value is read or converted, and asks for the same request
CREATE TABLE to_ask (id bigint, command text);
CREATE FUNCTION ask(value text) RETURNS bool LANGUAGE plpgsql AS $$
DECLARE
  asked record;
BEGIN
  IF value IS NULL THEN RETURN true; END IF;
  FOR asked IN SELECT * FROM to_ask LOOP
    RAISE WARNING '%: %', asked.command, regexp_replace(attempt('SELECT ' || asked.command, asked.id), '\{\d+', '{N');
  END LOOP;
  RAISE WARNING 'the value is %', value;
  RETURN true;
END $$;
CREATE DOMAIN asking AS text CHECK (ask(VALUE));
CREATE FUNCTION asking_label(user_id bigint) RETURNS asking LANGUAGE concresce STABLE
AS $$ SELECT label FROM scores WHERE id = user_id $$;
CREATE FUNCTION ask_for(lookup regproc, VARIADIC commands text[]) RETURNS bigint LANGUAGE sql AS $$
  TRUNCATE to_ask;
  INSERT INTO to_ask SELECT (SELECT concresce.submit(lookup, 3::bigint)), unnest(commands);
  SELECT id FROM to_ask LIMIT 1;
$$;
BEGIN;
SELECT ask_for('asking_label', 'concresce.cancel($1[1])', 'concresce.await($1[1])', 'concresce.gather($1)',
  'concresce.wait($1)', 'concresce.wait($1, ''first_exception'')', 'concresce.as_completed($1, NULL::text, true)') AS id \gset
SELECT concresce.await(:id);
SELECT attempt('SELECT concresce.await($1[1])', :id);
SELECT ask_for('asking_label', 'concresce.cancel($1[1])', 'concresce.gather($1)') AS id \gset
SELECT (concresce.wait(ARRAY[:id], 'first_exception')).done = ARRAY[:id::bigint] AS same;
SELECT concresce.await(:id);
SELECT ask_for('asking_label', 'concresce.await($1[1])') AS id \gset
SELECT result, error_sqlstate FROM concresce.as_completed(ARRAY[:id], NULL::text, true);
-- it sees the settings of who awaits
SET LOCAL concresce.on_missing = error;
SELECT ask_for('asking_label', 'current_setting(''concresce.on_missing'')') AS id \gset
SET LOCAL concresce.on_missing = 'null';
SELECT concresce.await(:id);
-- a cast: the code gets the value, and the one who asked for the cast nothing
SELECT ask_for('label', 'concresce.await($1[1])') AS id \gset
SELECT attempt('SELECT concresce.await($1[1], NULL::asking)', :id);
SELECT concresce.submit('label', 4) AS other \gset
SELECT ask_for('label', 'concresce.gather($1)') AS id \gset
SELECT attempt('SELECT concresce.gather($1, NULL::asking)', :other, :id);
SELECT ask_for('label', 'concresce.gather($1)') AS id \gset
SELECT attempt('SELECT concresce.as_completed($1, NULL::asking, true)', :id);
COMMIT;

-- nothing is left
DO $$
BEGIN
  FOR i IN 1 .. 3000 LOOP
    EXIT WHEN (SELECT used FROM concresce.memory()) = 0 AND (SELECT sum(active + queued) FROM concresce.stats) = 0;
    PERFORM pg_sleep(0.01);
  END LOOP;
END $$;
SELECT calls, errors, cancelled, timeouts, active, queued FROM concresce.stats WHERE function = 'score(bigint)'::regprocedure;
SELECT count(*) FROM concresce.in_flight;
SELECT used FROM concresce.memory();

DROP SERVER far CASCADE;
DROP SCHEMA far CASCADE;
DROP FUNCTION score, strict_score, label, small_score, row_of, out_of, digits, json_of, divided, noted, whole, all_of, some_record, must,
  owned, owned_watched, asking_label, ask_for, attempt;
DROP DOMAIN watched, small, asking;
DROP FUNCTION checked, ask;
DROP TABLE to_ask;
DROP TYPE pair, other_pair, triple;
REVOKE CREATE ON SCHEMA public FROM regress_ccr_async_owner;
DROP ROLE regress_ccr_async, regress_ccr_async_owner;
