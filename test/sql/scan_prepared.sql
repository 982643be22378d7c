--
-- The batch node: prepared statements, generic plans, and lookups that change
-- while plans refer to them.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all
SET plan_cache_mode = force_generic_plan;

-- parameters in arguments, filters and limits
PREPARE args(int, text) AS SELECT id, score(k + $1), label(k) || $2 FROM few WHERE id < $1 + 3;
SELECT plan_of('EXECUTE args(1, ''!'')', '');
EXECUTE args(1, '!');
EXECUTE args(2, '?');
EXECUTE args(NULL, '?');
PREPARE filter(int) AS SELECT id FROM few WHERE score(k) > $1;
SELECT plan_of('EXECUTE filter(1)', '');
EXECUTE filter(30);
EXECUTE filter(3000);
PREPARE limited(bigint, bigint) AS SELECT id, noted(k) FROM many LIMIT $1 OFFSET $2;
SELECT plan_of('EXECUTE limited(3, 2)', '');
SELECT FROM asked();
EXECUTE limited(3, 2);
SELECT asked();
EXECUTE limited(1, NULL);
SELECT asked();
EXECUTE limited(0, 0);
SELECT asked();
SELECT count(*) FROM (SELECT noted(k) FROM many LIMIT NULL) q;
SELECT cardinality(asked());
EXECUTE limited(-1, 0);
EXECUTE limited(1, -1);
SELECT asked();
PREPARE lateral_set(int) AS SELECT id, p FROM few, parts(k + $1) p;
EXECUTE lateral_set(0);
EXECUTE lateral_set(1);
PREPARE writes(int) AS UPDATE few SET grp = score(k) WHERE id = $1 RETURNING id, grp;
BEGIN;
EXECUTE writes(2);
EXECUTE writes(5);
ROLLBACK;
-- many executions of one plan
DO $$
DECLARE
  r record;
  total bigint := 0;
BEGIN
  FOR i IN 1 .. 20 LOOP
    FOR r IN SELECT id, score(k + i) AS s FROM few WHERE id <= i AND known(k) LOOP
      total := total + coalesce(r.s, 0);
    END LOOP;
  END LOOP;
  RAISE WARNING '%, plainly %', total, (SELECT sum(score(k + i)) FROM few, generate_series(1, 20) i WHERE id <= i AND known(k));
END $$;
-- PL/pgSQL: an early exit, RETURN QUERY, SELECT INTO, a nested loop
CREATE FUNCTION early(low int) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  r record; found_label text;
BEGIN
  FOR r IN SELECT id, noted(k) AS n FROM many WHERE id > low LOOP
    EXIT WHEN r.n >= 50;
    SELECT label(k) INTO found_label FROM few WHERE id = r.id;
    RETURN NEXT r.id || ' ' || r.n || ' ' || found_label;
  END LOOP;
  RETURN QUERY SELECT id || ' ' || s FROM few, score(k) s WHERE id < 3;
END $$;
SELECT early(0);
SELECT early(2);
-- with as many keys as rows were looked at, and the rest of a round
SELECT max(k) <= 12 FROM unnest(asked()) k;
-- changing what a plan was made with: VOLATILE, so row by row
SELECT plan_of('EXECUTE filter(1)', '');
ALTER FUNCTION score VOLATILE;
SELECT plan_of('EXECUTE filter(1)', '');
EXECUTE filter(30);
ALTER FUNCTION score STABLE;
SELECT plan_of('EXECUTE filter(1)', '');
EXECUTE filter(30);
-- another body, other settings, another owner's rights
CREATE OR REPLACE FUNCTION score(key int) RETURNS int LANGUAGE concresce STABLE STRICT AS 'SELECT s.score + 1 FROM scores s WHERE id = key';
EXECUTE filter(30);
EXECUTE args(1, '!');
ALTER FUNCTION score CALLED ON NULL INPUT;
EXECUTE args(1, '!');
ALTER FUNCTION score SET concresce.on_missing = error;
EXECUTE filter(30);
ALTER FUNCTION score RESET ALL;
EXECUTE filter(30);
-- dropped, and created anew; as another function of that name; in another language
CREATE FUNCTION moved(key int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT key + 1';
PREPARE moves AS SELECT id, moved(k) FROM few WHERE id < 3;
EXECUTE moves;
DROP FUNCTION moved;
\set VERBOSITY terse
EXECUTE moves;
\set VERBOSITY default
CREATE FUNCTION moved(key int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT key + 2';
EXECUTE moves;
CREATE OR REPLACE FUNCTION moved(key int) RETURNS int LANGUAGE sql STABLE AS 'SELECT key + 3';
EXECUTE moves;
SELECT plan_of('EXECUTE moves', '');
CREATE OR REPLACE FUNCTION moved(key int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT key + 4';
EXECUTE moves;
SELECT plan_of('EXECUTE moves', '');
-- changed while a cursor is open: what is under way ends, what follows is new
BEGIN;
DECLARE c CURSOR FOR SELECT id, moved(k) FROM many;
FETCH 1 FROM c;
CREATE OR REPLACE FUNCTION moved(key int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT key + 5';
MOVE 150 IN c;
FETCH 1 FROM c;
ROLLBACK;
-- a setting in force when the plan was made
PREPARE switched AS SELECT id, score(k) FROM few WHERE id < 3;
SELECT plan_of('EXECUTE switched', '');
EXECUTE switched;
SET concresce.enable_batchscan = off;
DEALLOCATE switched;
PREPARE switched AS SELECT id, score(k) FROM few WHERE id < 3;
SELECT plan_of('EXECUTE switched', '');
EXECUTE switched;
RESET concresce.enable_batchscan;
-- another server than when it was planned
EXECUTE args(1, '!');
SET concresce.server = 'nowhere';
EXECUTE args(1, '!');
SET concresce.server = 'far';
EXECUTE args(1, '!');
-- custom plans
SET plan_cache_mode = force_custom_plan;
EXECUTE limited(3, 2);
EXECUTE args(1, '!');
RESET plan_cache_mode;
-- a table that is changed
ALTER TABLE few ADD COLUMN extra int DEFAULT 4;
EXECUTE args(1, '!');
ALTER TABLE few ALTER COLUMN k TYPE bigint;
CREATE FUNCTION score(key bigint) RETURNS int LANGUAGE concresce STABLE STRICT AS 'SELECT 0';
DROP FUNCTION score(bigint);
ALTER TABLE few ALTER COLUMN k TYPE int;
EXECUTE args(1, '!');

DEALLOCATE ALL;
DROP FUNCTION moved, early;
CALL clean_up();
