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

CREATE OR REPLACE FUNCTION concresce.stop(function regproc DEFAULT '-', force boolean DEFAULT false) RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_stop';

CREATE OR REPLACE FUNCTION concresce.start(function regproc DEFAULT '-') RETURNS void
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_start';

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
	OUT memory_limit bigint)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE AS 'MODULE_PATHNAME', 'concresce_collectors';

CREATE VIEW concresce.collectors AS
SELECT worker, pid, memory_used, memory_peak, memory_limit
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

CREATE FUNCTION concresce.discard(
	function regproc DEFAULT '-',
	server text DEFAULT '*',
	role text DEFAULT '*',
	older_than interval DEFAULT NULL,
	everything boolean DEFAULT false)
RETURNS bigint
LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'concresce_discard';

CREATE FUNCTION concresce.switch_off(server text, force boolean DEFAULT false) RETURNS void
LANGUAGE C STRICT VOLATILE AS 'MODULE_PATHNAME', 'concresce_switch_off';

CREATE FUNCTION concresce.switch_on(server text) RETURNS void
LANGUAGE C STRICT VOLATILE AS 'MODULE_PATHNAME', 'concresce_switch_on';

CREATE FUNCTION concresce.stopped(
	OUT function regprocedure,
	OUT server text,
	OUT force boolean,
	OUT since timestamptz)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE AS 'MODULE_PATHNAME', 'concresce_stopped';

CREATE VIEW concresce.stopped AS
SELECT function, server, force, since
FROM concresce.stopped();

GRANT SELECT ON concresce.stopped TO PUBLIC;
