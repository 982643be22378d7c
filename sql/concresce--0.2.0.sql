/* concresce 0.2.0 */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION concresce" to load this file. \quit

-- The schema may have been there before

CREATE FUNCTION concresce.check_ground(boolean) RETURNS void
LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'concresce_check_ground';
SELECT concresce.check_ground(true);
DROP FUNCTION concresce.check_ground(boolean);

-- The language

CREATE FUNCTION concresce.concresce_call_handler() RETURNS language_handler
LANGUAGE C AS 'MODULE_PATHNAME';

CREATE FUNCTION concresce.concresce_validator(oid) RETURNS void
LANGUAGE C STRICT AS 'MODULE_PATHNAME';

CREATE TRUSTED LANGUAGE concresce
	HANDLER concresce.concresce_call_handler
	VALIDATOR concresce.concresce_validator;

COMMENT ON LANGUAGE concresce IS 'lookups, batched and coalesced across sessions';

-- The foreign-data wrapper: servers for lookups, no foreign tables

CREATE FUNCTION concresce.concresce_fdw_validator(text[], oid) RETURNS void
LANGUAGE C STRICT AS 'MODULE_PATHNAME';

CREATE FOREIGN DATA WRAPPER concresce
	VALIDATOR concresce.concresce_fdw_validator;

-- About lookups

CREATE FUNCTION concresce.remote_sql(function regproc) RETURNS text
LANGUAGE C STABLE AS 'MODULE_PATHNAME', 'concresce_remote_sql';

CREATE FUNCTION concresce.forget(function regproc, VARIADIC args "any") RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_forget';

CREATE FUNCTION concresce.forget(function regproc) RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_forget';

CREATE FUNCTION concresce.forget_all(function regproc DEFAULT '-') RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_forget_all_0_2';

-- What a batch node puts in place of a call; nothing else can call these

CREATE FUNCTION concresce.batch_value(internal, oid, anyelement) RETURNS anyelement
LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'concresce_batch_value';

CREATE FUNCTION concresce.batch_rows(internal, oid, anyelement) RETURNS SETOF anyelement
LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'concresce_batch_value';

CREATE FUNCTION concresce.batch_field(internal, oid, integer, anyelement) RETURNS anyelement
LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'concresce_batch_field';

GRANT EXECUTE ON FUNCTION concresce.batch_value, concresce.batch_rows, concresce.batch_field TO PUBLIC;
-- Asynchronous calls

CREATE FUNCTION concresce.submit(function regproc, VARIADIC args "any") RETURNS bigint
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_submit';

CREATE FUNCTION concresce.submit(function regproc) RETURNS bigint
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_submit';

CREATE FUNCTION concresce.await(
	request bigint,
	result_type anyelement DEFAULT NULL::text)
RETURNS anyelement
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_await';

CREATE FUNCTION concresce.gather(
	requests bigint[],
	result_type anyelement DEFAULT NULL::text,
	progress boolean DEFAULT false)
RETURNS anyarray
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_gather';

CREATE FUNCTION concresce.gather(requests jsonb) RETURNS jsonb
LANGUAGE C STRICT VOLATILE AS 'MODULE_PATHNAME', 'concresce_gather_jsonb';

-- two, as the parser cannot tell the type of a column from a default
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

CREATE FUNCTION concresce.wait(
	requests bigint[],
	return_when text DEFAULT 'all_completed',
	"timeout" interval DEFAULT NULL,
	OUT done bigint[],
	OUT not_done bigint[])
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_wait';

CREATE FUNCTION concresce.cancel(VARIADIC requests bigint[]) RETURNS int
LANGUAGE C STRICT VOLATILE AS 'MODULE_PATHNAME', 'concresce_cancel';
-- Write-behind

CREATE FUNCTION concresce.enqueue(function regproc, VARIADIC args "any") RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_enqueue';

CREATE FUNCTION concresce.enqueue(function regproc) RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_enqueue';

CREATE FUNCTION concresce.flush(function regproc DEFAULT '-', timeout interval DEFAULT NULL) RETURNS bigint
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_flush_0_2';

CREATE FUNCTION concresce.flush_all(timeout interval DEFAULT NULL) RETURNS bigint
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_flush_all';

CREATE FUNCTION concresce.stop(function regproc DEFAULT '-', force boolean DEFAULT false) RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_stop_0_2';

CREATE FUNCTION concresce.stop_all(force boolean DEFAULT false) RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_stop_all';

CREATE FUNCTION concresce.start(function regproc DEFAULT '-') RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_start_0_2';

CREATE FUNCTION concresce.start_all() RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_start_all';

-- Watching it

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

CREATE VIEW concresce.stats AS
SELECT function, server, calls, coalesced, misses, coalesced_rate, batches, errors,
       timeouts, cancelled, discarded, active, queued, batch_size_mean,
       batch_size_max, wait_ms_mean, remote_ms_mean, remote_ms_max,
       last_error, last_error_at, stats_reset, items, retries, wait_ms,
       remote_ms, bytes_sent, bytes_received, batches_full, batches_window, funcid
FROM concresce.stats();

CREATE FUNCTION concresce.batch_sizes(
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

CREATE VIEW concresce.connections AS
SELECT server, remote_user, state, batches, last_error, last_error_at,
       connected_at, lost
FROM concresce.connections();

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

CREATE VIEW concresce.in_flight AS
SELECT request, pid, function, items, submitted_at,
       make_interval(secs => age) AS age, state, role, bytes
FROM concresce.in_flight();

CREATE FUNCTION concresce.memory(
	OUT used bigint,
	OUT size bigint)
RETURNS record
LANGUAGE C STRICT VOLATILE AS 'MODULE_PATHNAME', 'concresce_memory';

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

CREATE FUNCTION concresce.reset_stats(function regproc DEFAULT '-') RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_reset_stats_0_2';

CREATE FUNCTION concresce.reset_stats_all() RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_reset_stats_all';

REVOKE ALL ON FUNCTION concresce.reset_stats(regproc), concresce.reset_stats_all() FROM PUBLIC;

GRANT USAGE ON SCHEMA concresce TO PUBLIC;
GRANT SELECT ON concresce.stats, concresce.connections, concresce.circuits, concresce.in_flight TO PUBLIC;
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
