--
-- The batch node: no way to a lookup without the right to execute it, wherever
-- its call stands, whether it is ever evaluated, and whoever makes it.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all
CREATE ROLE regress_ccr_reader;
CREATE ROLE regress_ccr_owner;
GRANT USAGE ON SCHEMA far TO PUBLIC;
GRANT SELECT ON far.scores TO PUBLIC;
GRANT SELECT, UPDATE, INSERT ON few, many, none TO PUBLIC;
GRANT USAGE ON FOREIGN SERVER far TO regress_ccr_reader, regress_ccr_owner;
DO $$
BEGIN
  EXECUTE format('CREATE USER MAPPING FOR regress_ccr_reader SERVER far OPTIONS (user %L, password_required ''false'')', current_user);
  EXECUTE format('CREATE USER MAPPING FOR regress_ccr_owner SERVER far OPTIONS (user %L, password_required ''false'')', current_user);
END $$;
CREATE FUNCTION secret(key int) RETURNS text LANGUAGE concresce STABLE SECURITY DEFINER
SET concresce.server = 'far' AS $$ SELECT label FROM scores WHERE id = secret.key $$;
ALTER FUNCTION secret(int) OWNER TO regress_ccr_owner;
CREATE FUNCTION secret_info(key int, OUT score int, OUT label text) LANGUAGE concresce STABLE SECURITY DEFINER
SET concresce.server = 'far' AS $$ SELECT s.score, s.label FROM scores s WHERE id = secret_info.key $$;
ALTER FUNCTION secret_info OWNER TO regress_ccr_owner;

-- Every place of a call: #1 is the lookup.
CREATE TABLE places (n int GENERATED ALWAYS AS IDENTITY, query text);
INSERT INTO places (query) VALUES
  ('SELECT id, #1(k) FROM few'),
  ('SELECT id FROM few WHERE #1(k) IS NULL'),
  ('SELECT id, s FROM few, #1(k) s'),
  ('SELECT id, s FROM few LEFT JOIN LATERAL #1(k) s ON true'),
  ('SELECT count(#1(k)) FROM few'),
  ('SELECT id, count(#1(k)) OVER (ORDER BY id) FROM few'),
  ('SELECT id, lag(1, 1, length(#1(k)::text)) OVER (ORDER BY id) FROM few'),
  ('SELECT id, (SELECT #1(f.k)) FROM few f'),
  ('SELECT id, (SELECT (SELECT #1(f.k) FROM none)) FROM few f'),
  ('SELECT id, (SELECT (SELECT #1(f.k) WHERE g.id > 0) FROM few g WHERE g.id = f.id) FROM few f'),
  ('SELECT id, CASE WHEN random() < 2 THEN (SELECT #1(f.k)) END FROM few f'),
  ('SELECT id, CASE WHEN random() < 2 THEN (SELECT (SELECT #1(f.k))) END FROM few f'),
  ('SELECT id, CASE WHEN random() < 0 THEN (SELECT #1(f.k)) END FROM few f'),
  ('SELECT id, CASE WHEN f.id > 0 THEN (SELECT #1(f.k)) ELSE (SELECT #1(f.k) WHERE random() < 2) END FROM few f'),
  ('SELECT id, EXISTS (SELECT FROM few g WHERE g.id = f.id AND #1(f.k) IS NULL) FROM few f'),
  ('SELECT id, ARRAY(SELECT #1(f.k) FROM few g WHERE random() < 2 LIMIT 1) FROM few f'),
  ('SELECT f.id FROM few f LEFT JOIN none n ON n.id = f.id AND #1(f.k) IS NULL'),
  ('SELECT f.id, q.* FROM few f, LATERAL (SELECT #1(f.k) FROM none OFFSET 0) q'),
  ('SELECT f.id FROM few f JOIN many m ON m.id = length(#1(f.k)::text)'),
  ('SELECT id, #1((random() * 3)::int) FROM few'),
  ('SELECT id, #1(k) FROM few WHERE false'),
  ('SELECT id, CASE WHEN id > 1000 THEN #1(k) END FROM few'),
  ('SELECT id FROM few f WHERE (1, #1(f.k)::text) IN (SELECT id, ''x'' FROM none)'),
  ('VALUES (#1(1))'),
  ('SELECT #1(1)'),
  ('SELECT id FROM few ORDER BY #1(k)'),
  ('SELECT id FROM few LIMIT length((SELECT #1(1))::text)'),
  ('UPDATE few SET grp = grp WHERE id = 1 RETURNING (SELECT #1(few.k))'),
  ('UPDATE few SET grp = grp WHERE id = 1 RETURNING #1(k)'),
  ('UPDATE few SET grp = grp WHERE id = 1000 RETURNING CASE WHEN random() < 0 THEN (SELECT #1(few.k)) END'),
  ('INSERT INTO few SELECT 1000 + id, k, length(#1(k)::text) FROM few'),
  ('INSERT INTO few VALUES (1000, 1, 1) RETURNING (SELECT #1(few.k))'),
  ('MERGE INTO few t USING few s ON t.id = s.id WHEN MATCHED AND #1(s.k) IS NULL THEN UPDATE SET grp = 1'),
  ('WITH w AS MATERIALIZED (SELECT #1(k) AS s FROM few) SELECT count(*) FROM w');

-- Which calls are let through, with batch nodes or without?
CREATE FUNCTION let_through(function text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  place record; nodes text; rows text[]; refusals int := 0;
BEGIN
  FOR place IN SELECT n, replace(query, '#1', function) AS query FROM places ORDER BY n LOOP
    FOREACH nodes IN ARRAY ARRAY['on', 'off'] LOOP
      PERFORM set_config('concresce.enable_batchscan', nodes, false);
      rows := outcome(place.query, CASE WHEN place.query ~ '^(INSERT|MERGE)' AND place.query !~ 'RETURNING' THEN 'TABLE none' END);
      IF rows[1] = format('ERROR 42501: permission denied for function %s', function) THEN
        refusals := refusals + 1;
      ELSE
        RETURN NEXT format('%s (batch nodes %s): %s', place.query, nodes, rows);
      END IF;
    END LOOP;
  END LOOP;
  RETURN NEXT format('%s refused', refusals);
END $$;
GRANT SELECT ON places TO PUBLIC;
GRANT USAGE ON SCHEMA concresce TO PUBLIC;

-- with the right to, they all work
SET ROLE regress_ccr_reader;
SELECT l FROM let_through('secret') l WHERE l ~ 'ERROR|refused';
RESET ROLE;
REVOKE EXECUTE ON FUNCTION secret, secret_info, label, score FROM PUBLIC;
SET ROLE regress_ccr_reader;
SELECT let_through('secret');
SELECT let_through('secret_info');
SELECT let_through('label');
SELECT let_through('score');
RESET ROLE;

-- taken away while a plan, or a portal, is kept
GRANT EXECUTE ON FUNCTION label TO PUBLIC;
PREPARE kept AS SELECT id, CASE WHEN random() < 2 THEN (SELECT label(f.k)) END, (SELECT label(f.k)) FROM few f WHERE id < 3;
SET ROLE regress_ccr_reader;
EXECUTE kept;
BEGIN;
DECLARE c CURSOR FOR SELECT id, CASE WHEN random() < 2 THEN (SELECT label(f.k)) END FROM few f;
FETCH 1 FROM c;
RESET ROLE;
REVOKE EXECUTE ON FUNCTION label FROM PUBLIC;
SET ROLE regress_ccr_reader;
-- as in SQL: the right is asked for when it is opened
FETCH 1 FROM c;
COMMIT;
EXECUTE kept;
RESET ROLE;
DEALLOCATE kept;
-- a cursor that goes on as another role
BEGIN;
DECLARE c CURSOR FOR SELECT id, label(k), (SELECT label(f.k)) FROM few f;
FETCH 1 FROM c;
SET LOCAL ROLE regress_ccr_reader;
FETCH 1 FROM c;
COMMIT;

DROP FUNCTION let_through;
DROP TABLE places;
DROP FUNCTION secret, secret_info;
DROP OWNED BY regress_ccr_reader, regress_ccr_owner;
CALL clean_up();
DROP ROLE regress_ccr_reader, regress_ccr_owner;
