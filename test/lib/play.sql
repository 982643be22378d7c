-- For tests of several sessions, which pg_isolation_regress cannot see waiting:
-- a far schema and server, lookups whose bodies wait, and play().
SET client_min_messages = warning;
CREATE EXTENSION dblink;
CREATE SCHEMA far;
CREATE SEQUENCE far.runs;

CREATE FUNCTION here() RETURNS text LANGUAGE sql AS $$
  SELECT format('host=%s port=%s dbname=%s',
                split_part(current_setting('unix_socket_directories'), ',', 1),
                current_setting('port'), current_database())
$$;

-- Counts the runs of bodies, over a connection of its own: most must not write.
CREATE FUNCTION far.next_run() RETURNS bigint LANGUAGE sql AS $$
  SELECT r FROM public.dblink(public.here(), $q$SELECT nextval('far.runs')$q$) AS t(r bigint)
$$;

-- The body of gated lookups: counts its runs, and waits while somebody holds
-- the advisory lock 1.
CREATE FUNCTION far.gated(a int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  run bigint := far.next_run();
BEGIN
  PERFORM pg_advisory_xact_lock_shared(1);
  RETURN a || ', run ' || run;
END $$;

CREATE PROCEDURE far_server(name text) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE SERVER %I FOREIGN DATA WRAPPER concresce '
                 'OPTIONS (host %L, port %L, dbname %L, options %L)', name,
                 split_part(current_setting('unix_socket_directories'), ',', 1),
                 current_setting('port'), current_database(), '-csearch_path=far');
  EXECUTE format('CREATE USER MAPPING FOR CURRENT_USER SERVER %I', name);
END $$;
CALL far_server('far');

-- Does the condition come true? Looked at again and again, for half a minute.
CREATE FUNCTION comes(condition text, VARIADIC args text[] DEFAULT '{}') RETURNS bool LANGUAGE plpgsql AS $$
DECLARE
  result bool;
BEGIN
  FOR i IN 1 .. 3000 LOOP
    PERFORM pg_stat_clear_snapshot();
    EXECUTE 'SELECT ' || condition USING args INTO result;
    EXIT WHEN result;
    PERFORM pg_sleep(0.01);
  END LOOP;
  RETURN result;
END $$;

CREATE FUNCTION requests() RETURNS text LANGUAGE sql AS $$
  SELECT coalesce(string_agg(state, ', ' ORDER BY state), 'none') FROM concresce.in_flight
$$;

-- The result of what a session was sent, or its error.
CREATE FUNCTION result_of(session text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  result text; detail text;
BEGIN
  SELECT coalesce(string_agg(coalesce(r, 'NULL'), '; '), 'no row') INTO result
  FROM dblink_get_result(session) AS t(r text);
  PERFORM FROM dblink_get_result(session) AS t(r text);
  RETURN result;
EXCEPTION WHEN OTHERS OR query_canceled THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
  PERFORM FROM dblink_get_result(session) AS t(r text);
  RETURN sqlstate || ' ' || sqlerrm || coalesce(nullif(' | ' || detail, ' | '), '');
END $$;

-- Each step is one of
--	a: COMMAND		in session a, to its end
--	a> QUERY		the same, without waiting for its end
--	a				what became of it
--	close, open		the gate, where bodies wait
--	3 queued		wait until so many requests are in that state
--	3 runs			wait until gated bodies have been begun so many times
--	QUERY			here; anything else
CREATE PROCEDURE play(VARIADIC steps text[]) LANGUAGE plpgsql AS $$
DECLARE
  step text; part text[]; result text; session text;
BEGIN
  PERFORM set_config('client_min_messages', 'notice', true);
  PERFORM pg_advisory_unlock_all();
  PERFORM setval('far.runs', 1, false);
  PERFORM concresce.reset_stats();
  FOREACH step IN ARRAY steps LOOP
    part := regexp_match(step, '^([a-z]+)([:>]) (.*)$');
    IF part IS NOT NULL AND NOT part[1] = ANY (coalesce(dblink_get_connections(), '{}')) THEN
      PERFORM dblink_connect(part[1], here() || ' application_name=' || part[1]);
      PERFORM dblink_exec(part[1], 'SET concresce.server = far');
    END IF;
    IF part[2] = ':' THEN
      PERFORM dblink_exec(part[1], part[3]);
    ELSIF part[2] = '>' THEN
      PERFORM dblink_send_query(part[1], part[3]);
    ELSIF step = 'close' THEN
      PERFORM pg_advisory_lock(1);
    ELSIF step = 'open' THEN
      PERFORM pg_advisory_unlock(1);
    ELSIF step ~ '^[a-z]$' THEN
      RAISE NOTICE '%: %', step, result_of(step);
    ELSIF step ~ '^\d+ runs$' THEN
      IF NOT comes('is_called AND last_value >= $1[1]::int FROM far.runs', substring(step, '\d+')) THEN
        RAISE NOTICE 'never %', step;
      END IF;
    ELSIF step ~ '^\d+ (submitted|queued|in flight|done)$' THEN
      IF NOT comes('count(*) = $1[1]::int FROM concresce.in_flight WHERE state = $1[2]',
                   substring(step, '\d+'), substring(step, '\d+ (.*)')) THEN
        RAISE NOTICE 'never %, but %', step, requests();
      END IF;
    ELSE
      EXECUTE 'SELECT ' || step INTO result;
      RAISE NOTICE '% %', step, result;
    END IF;
  END LOOP;
  FOREACH session IN ARRAY coalesce(dblink_get_connections(), '{}') LOOP
    PERFORM dblink_disconnect(session);
  END LOOP;
END $$;

-- How many gated bodies were run.
CREATE FUNCTION runs() RETURNS bigint LANGUAGE sql AS $$
  SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM far.runs
$$;

-- The counters, once nothing is left under way.
CREATE FUNCTION counters() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  IF NOT comes('sum(active + queued) = 0 FROM concresce.stats') OR
     NOT comes('used = 0 FROM concresce.memory()') THEN
    RAISE NOTICE 'something is left: %', requests();
  END IF;
  RETURN (SELECT format('calls %s, coalesced %s, misses %s, batches %s, errors %s, timeouts %s, cancelled %s',
                        sum(calls), sum(coalesced), sum(misses), sum(batches), sum(errors), sum(timeouts), sum(cancelled))
          FROM concresce.stats WHERE server LIKE 'far%');
END $$;

CREATE PROCEDURE clean_up() LANGUAGE plpgsql AS $$
BEGIN
  DROP SERVER far CASCADE;
  DROP SCHEMA far CASCADE;
  DROP FUNCTION here, comes, requests, result_of, runs, counters;
  DROP PROCEDURE far_server, play, clean_up;
  DROP EXTENSION dblink;
END $$;
