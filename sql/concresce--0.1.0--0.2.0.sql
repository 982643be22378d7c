/* concresce 0.1.0 to 0.2.0 */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION concresce UPDATE TO '0.2.0'" to load this file. \quit

-- Views change by CREATE OR REPLACE, with columns added at the end, and
-- functions by CREATE OR REPLACE where they can: so grants stay, and what
-- users have built on them.

-- A server that was not restarted has the library of before, which knows
-- nothing of what follows. The schema may have been there before.

DO $$
BEGIN
	CREATE FUNCTION concresce.check_ground(boolean) RETURNS void
	LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'concresce_check_ground';
EXCEPTION WHEN undefined_function THEN
	RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
		MESSAGE = 'the server has loaded an older library of concresce',
		DETAIL = sqlerrm,
		HINT = 'Restart the server, then update the extension.';
END $$;
SELECT concresce.check_ground(false);
DROP FUNCTION concresce.check_ground(boolean);

-- NULL, which is what a mistyped name becomes in to_regproc(), no longer
-- means all lookups

CREATE OR REPLACE FUNCTION concresce.remote_sql(function regproc) RETURNS text
LANGUAGE C STABLE AS 'MODULE_PATHNAME', 'concresce_remote_sql';

CREATE OR REPLACE FUNCTION concresce.forget_all(function regproc DEFAULT '-') RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_forget_all_0_2';

CREATE OR REPLACE FUNCTION concresce.flush(function regproc DEFAULT '-', timeout interval DEFAULT NULL) RETURNS bigint
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_flush_0_2';

CREATE OR REPLACE FUNCTION concresce.stop(function regproc DEFAULT '-', force boolean DEFAULT false) RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_stop_0_2';

CREATE OR REPLACE FUNCTION concresce.start(function regproc DEFAULT '-') RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_start_0_2';

CREATE OR REPLACE FUNCTION concresce.reset_stats(function regproc DEFAULT '-') RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_reset_stats_0_2';

CREATE OR REPLACE FUNCTION concresce.batch_sizes(
	function regproc,
	OUT from_size int,
	OUT to_size int,
	OUT batches bigint)
RETURNS SETOF record
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_batch_sizes';

CREATE FUNCTION concresce.latencies(
	function regproc,
	OUT from_ms double precision,
	OUT to_ms double precision,
	OUT calls bigint)
RETURNS SETOF record
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_latencies';

CREATE FUNCTION concresce.flush_all(timeout interval DEFAULT NULL) RETURNS bigint
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_flush_all';

CREATE FUNCTION concresce.stop_all(force boolean DEFAULT false) RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_stop_all';

CREATE FUNCTION concresce.start_all() RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_start_all';

CREATE FUNCTION concresce.reset_stats_all() RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_reset_stats_all';

REVOKE ALL ON FUNCTION concresce.reset_stats_all() FROM PUBLIC;

-- Functions whose columns change are made anew, with the rights that the old
-- ones had.  What users have built on an old one is theirs, and so is it then.

ALTER FUNCTION concresce.as_completed(bigint[], anyelement, boolean) RENAME TO as_completed_0_1;
ALTER FUNCTION concresce.as_completed(bigint[]) RENAME TO as_completed_0_1;
ALTER FUNCTION concresce.stats() RENAME TO stats_0_1;
ALTER FUNCTION concresce.connections() RENAME TO connections_0_1;
ALTER FUNCTION concresce.in_flight() RENAME TO in_flight_0_1;

CREATE FUNCTION concresce.as_completed(
	requests bigint[],
	result_type anyelement,
	return_errors boolean DEFAULT false)
RETURNS TABLE (
	request bigint,
	result anyelement,
	error_sqlstate text,
	error_message text,
	error_detail text,
	error_hint text)
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_as_completed';

CREATE FUNCTION concresce.as_completed(requests bigint[])
RETURNS TABLE (
	request bigint,
	result text,
	error_sqlstate text,
	error_message text,
	error_detail text,
	error_hint text)
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_as_completed';

CREATE FUNCTION concresce.stats(
	OUT function regprocedure,
	OUT server text,
	OUT calls bigint,
	OUT coalesced bigint,
	OUT misses bigint,
	OUT coalesced_rate double precision,
	OUT batches bigint,
	OUT errors bigint,
	OUT timeouts bigint,
	OUT cancelled bigint,
	OUT discarded bigint,
	OUT active bigint,
	OUT queued bigint,
	OUT batch_size_mean double precision,
	OUT batch_size_max bigint,
	OUT wait_ms_mean double precision,
	OUT remote_ms_mean double precision,
	OUT remote_ms_max double precision,
	OUT last_error text,
	OUT last_error_at timestamptz,
	OUT stats_reset timestamptz,
	OUT serverid oid,
	OUT items bigint,
	OUT retries bigint,
	OUT wait_ms double precision,
	OUT remote_ms double precision,
	OUT bytes_sent bigint,
	OUT bytes_received bigint,
	OUT batches_full bigint,
	OUT batches_window bigint,
	OUT funcid oid)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE AS 'MODULE_PATHNAME', 'concresce_stats';

CREATE FUNCTION concresce.connections(
	OUT server text,
	OUT remote_user text,
	OUT state text,
	OUT batches bigint,
	OUT last_error text,
	OUT last_error_at timestamptz,
	OUT connected_at timestamptz,
	OUT lost bigint)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE AS 'MODULE_PATHNAME', 'concresce_connections';

CREATE FUNCTION concresce.in_flight(
	OUT request bigint,
	OUT pid int,
	OUT function regprocedure,
	OUT items int,
	OUT submitted_at timestamptz,
	OUT age double precision,
	OUT state text,
	OUT role text,
	OUT bytes bigint)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE AS 'MODULE_PATHNAME', 'concresce_in_flight';

ALTER VIEW concresce.stats RENAME COLUMN hits TO coalesced;
ALTER VIEW concresce.stats RENAME COLUMN hit_rate TO coalesced_rate;
CREATE OR REPLACE VIEW concresce.stats AS
SELECT function, server, calls, coalesced, misses, coalesced_rate, batches, errors,
       timeouts, cancelled, discarded, active, queued, batch_size_mean,
       batch_size_max, wait_ms_mean, remote_ms_mean, remote_ms_max,
       last_error, last_error_at, stats_reset, items, retries, wait_ms,
       remote_ms, bytes_sent, bytes_received, batches_full, batches_window, funcid
FROM concresce.stats();

ALTER VIEW concresce.connections RENAME COLUMN "user" TO remote_user;
CREATE OR REPLACE VIEW concresce.connections AS
SELECT server, remote_user, state, batches, last_error, last_error_at,
       connected_at, lost
FROM concresce.connections();

CREATE OR REPLACE VIEW concresce.in_flight AS
SELECT request, pid, function, items, submitted_at,
       make_interval(secs => age) AS age, state, role, bytes
FROM concresce.in_flight();

DO $$
DECLARE
	old record;
	new record;
	granted record;
BEGIN
	FOR old IN
		SELECT p.oid, proacl, pronamespace, proname, proargtypes::oid[] AS types, proowner
		FROM pg_catalog.pg_proc p
		JOIN pg_catalog.pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
		JOIN pg_catalog.pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
		WHERE extname = 'concresce' AND proname LIKE '%\_0\_1'
	LOOP
		SELECT oid::regprocedure AS name, proacl INTO STRICT new FROM pg_catalog.pg_proc
		WHERE pronamespace = old.pronamespace AND proname = replace(old.proname, '_0_1', '')
			AND proargtypes::oid[] = old.types;
		-- default privileges may have become others since
		IF old.proacl IS NOT NULL OR new.proacl IS NOT NULL THEN
			EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', new.name);
			FOR granted IN
				SELECT grantee, is_grantable FROM aclexplode(coalesce(old.proacl, acldefault('f', old.proowner)))
			LOOP
				EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s%s', new.name,
					CASE WHEN granted.grantee = 0 THEN 'PUBLIC' ELSE granted.grantee::regrole::text END,
					CASE WHEN granted.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
			END LOOP;
		END IF;
		BEGIN
			EXECUTE format('DROP FUNCTION %s', old.oid::regprocedure);
		EXCEPTION WHEN dependent_objects_still_exist THEN
			EXECUTE format('ALTER EXTENSION concresce DROP FUNCTION %s', old.oid::regprocedure);
		END;
	END LOOP;
END $$;

-- Enqueued items that wait, since all that is sent fails alike

CREATE FUNCTION concresce.circuits(
	OUT function regprocedure,
	OUT server text,
	OUT since timestamptz,
	OUT failures bigint,
	OUT retry_at timestamptz,
	OUT last_error text)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE AS 'MODULE_PATHNAME', 'concresce_circuits';

CREATE VIEW concresce.circuits AS
SELECT function, server, since, failures, retry_at, last_error
FROM concresce.circuits();

GRANT SELECT ON concresce.circuits TO PUBLIC;

-- What the collectors hold

CREATE FUNCTION concresce.collectors(
	OUT worker int,
	OUT pid int,
	OUT memory_used bigint,
	OUT memory_peak bigint,
	OUT memory_limit bigint,
	OUT started_at timestamptz,
	OUT restarts bigint,
	OUT batches bigint,
	OUT items bigint,
	OUT enqueued_items bigint)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE AS 'MODULE_PATHNAME', 'concresce_collectors';

CREATE VIEW concresce.collectors AS
SELECT worker, pid, memory_used, memory_peak, memory_limit, started_at,
       restarts, batches, items, enqueued_items
FROM concresce.collectors();

GRANT SELECT ON concresce.collectors TO PUBLIC;

-- What is enqueued, and what an operator does about it

CREATE FUNCTION concresce.enqueued(
	OUT function regprocedure,
	OUT server text,
	OUT role text,
	OUT items bigint,
	OUT in_flight bigint,
	OUT bytes bigint,
	OUT oldest_at timestamptz,
	OUT circuit_open boolean,
	OUT switched_off boolean)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE AS 'MODULE_PATHNAME', 'concresce_enqueued';

CREATE VIEW concresce.enqueued AS
SELECT function, server, role, items, in_flight, bytes, oldest_at,
       circuit_open, switched_off
FROM concresce.enqueued();

GRANT SELECT ON concresce.enqueued TO PUBLIC;

CREATE VIEW concresce.memory_use AS
SELECT role, function, count(*) AS requests, sum(bytes)::bigint AS bytes,
       false AS enqueued
FROM concresce.in_flight GROUP BY role, function
UNION ALL
SELECT role, function, NULL, sum(bytes)::bigint, true
FROM concresce.enqueued GROUP BY role, function;

GRANT SELECT ON concresce.memory_use TO PUBLIC;

CREATE FUNCTION concresce.discard(
	function regproc DEFAULT '-',
	server text DEFAULT '*',
	role text DEFAULT '*',
	older_than interval DEFAULT '0',
	everything boolean DEFAULT false)
RETURNS bigint
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_discard';

CREATE FUNCTION concresce.switch_off(server text, force boolean DEFAULT false) RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_switch_off';

CREATE FUNCTION concresce.switch_on(server text) RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_switch_on';

CREATE FUNCTION concresce.stopped(
	OUT function regprocedure,
	OUT server text,
	OUT force boolean,
	OUT since timestamptz,
	OUT role text)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE AS 'MODULE_PATHNAME', 'concresce_stopped';

CREATE VIEW concresce.stopped AS
SELECT function, server, force, since, role
FROM concresce.stopped();

GRANT SELECT ON concresce.stopped TO PUBLIC;
