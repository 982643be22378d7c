--
-- The batch node: whose rights and settings calls have, and whose rows they
-- are made for.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all
\set analyze ', ANALYZE, TIMING OFF, SUMMARY OFF'
CREATE ROLE regress_ccr_reader;
CREATE ROLE regress_ccr_owner;
CREATE ROLE regress_ccr_far LOGIN;
GRANT USAGE ON SCHEMA far TO PUBLIC;
GRANT SELECT, INSERT, DELETE ON far.asked, far.scores TO PUBLIC;
GRANT SELECT, UPDATE ON few, many TO PUBLIC;
GRANT CREATE ON SCHEMA public TO regress_ccr_owner;
GRANT USAGE ON FOREIGN SERVER far TO regress_ccr_reader, regress_ccr_owner;
DO $$
BEGIN
  EXECUTE format('CREATE USER MAPPING FOR regress_ccr_reader SERVER far OPTIONS (user %L, password_required ''false'')', current_user);
END $$;
CREATE USER MAPPING FOR regress_ccr_owner SERVER far OPTIONS (user 'regress_ccr_far', password_required 'false');

-- EXECUTE: the same error both ways, even if there are no rows
REVOKE EXECUTE ON FUNCTION label FROM PUBLIC;
SET ROLE regress_ccr_reader;
SELECT outcome('SELECT id, label(k) FROM few', NULL);
SELECT outcome('SELECT id FROM few WHERE label(k) IS NULL', NULL);
SELECT outcome('SELECT id, l FROM few, label(k) l', NULL);
SELECT outcome('SELECT max(label(k)) FROM few WHERE false', NULL);
SELECT outcome('SELECT id, label(k) FROM few WHERE id > 100', NULL);
SET concresce.enable_batchscan = off;
SELECT outcome('SELECT id, label(k) FROM few', NULL);
SELECT outcome('SELECT id FROM few WHERE label(k) IS NULL', NULL);
SELECT outcome('SELECT id, l FROM few, label(k) l', NULL);
SELECT outcome('SELECT max(label(k)) FROM few WHERE false', NULL);
SELECT outcome('SELECT id, label(k) FROM few WHERE id > 100', NULL);
RESET concresce.enable_batchscan;
SELECT shape('SELECT id, score(k) FROM few WHERE id < 3');
RESET ROLE;
-- in a view as the one who asks
CREATE VIEW with_label AS SELECT id, label(k) FROM few;
GRANT SELECT ON with_label TO PUBLIC;
SET ROLE regress_ccr_reader;
SELECT outcome('SELECT * FROM with_label', NULL);
SET concresce.enable_batchscan = off;
SELECT outcome('SELECT * FROM with_label', NULL);
RESET concresce.enable_batchscan;
RESET ROLE;
GRANT EXECUTE ON FUNCTION label TO PUBLIC;
-- taken away while a plan is kept
PREPARE kept AS SELECT id, score(k) FROM few WHERE id < 3;
SET ROLE regress_ccr_reader;
EXECUTE kept;
RESET ROLE;
REVOKE EXECUTE ON FUNCTION score FROM PUBLIC;
SET ROLE regress_ccr_reader;
EXECUTE kept;
RESET ROLE;
GRANT EXECUTE ON FUNCTION score TO PUBLIC;
DEALLOCATE kept;
-- what stands in place of calls is for the node alone
SET ROLE regress_ccr_reader;
DO $$
DECLARE
  call text;
BEGIN
  -- why it is refused differs between minor versions
  FOREACH call IN ARRAY ARRAY['batch_value(NULL, %s, 1)', 'batch_value(NULL::internal, %s, 1)', 'batch_rows(''''::internal, %s, 1)'] LOOP
    BEGIN
      EXECUTE format('SELECT concresce.' || call, quote_literal('score') || '::regproc::oid');
      RAISE EXCEPTION 'was run: %', call USING ERRCODE = 'CC000';
    EXCEPTION WHEN SQLSTATE '42883' OR SQLSTATE '42846' OR SQLSTATE '0A000' THEN
      NULL;
    END;
  END LOOP;
END $$;
RESET ROLE;

-- SECURITY DEFINER: its owner's mapping; others beside it are the caller's
CREATE FUNCTION who(key int) RETURNS text LANGUAGE concresce STABLE AS 'SELECT current_user || who.key';
SET ROLE regress_ccr_owner;
CREATE FUNCTION owner_who(key int) RETURNS text LANGUAGE concresce STABLE SECURITY DEFINER SET concresce.server = 'far'
AS 'SELECT current_user || owner_who.key';
CREATE FUNCTION owner_parts(key int) RETURNS SETOF text LANGUAGE concresce STABLE SECURITY DEFINER SET concresce.server = 'far'
AS 'SELECT current_user || n FROM generate_series(1, owner_parts.key) n';
CREATE FUNCTION unpinned(key int) RETURNS text LANGUAGE concresce STABLE SECURITY DEFINER AS 'SELECT current_user || unpinned.key';
RESET ROLE;
SET ROLE regress_ccr_reader;
SELECT shape('SELECT id, owner_who(k), (who(k) = session_user || k) AS caller FROM few WHERE id < 4', options => :'analyze');
SELECT shape('SELECT id FROM few WHERE owner_who(k) LIKE ''%far3''');
SELECT shape('SELECT id, p FROM few, owner_parts(k) p WHERE id < 4');
SELECT shape('SELECT max(owner_who(k)) FROM few');
SELECT shape('SELECT owner_who(length(owner_who(k))) FROM few WHERE id = 1');
SELECT shape('SELECT id, unpinned(k) FROM few WHERE id < 4');
-- arguments are evaluated by the caller
CREATE FUNCTION pg_temp.me(n int) RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN length(current_user) + n; END $$;
SELECT shape('SELECT id, owner_who(pg_temp.me(k)) FROM few WHERE id < 3');
RESET ROLE;

-- SET clauses hold for the call: what it sends and how results are read
CREATE FUNCTION german(key int) RETURNS date LANGUAGE concresce STABLE SET datestyle = 'German' AS $$ SELECT '03.02.' || (2000 + german.key) $$;
CREATE FUNCTION american(key int) RETURNS date LANGUAGE concresce STABLE AS $$ SELECT '03/02/' || (2000 + american.key) $$;
CREATE FUNCTION echo(t text) RETURNS text LANGUAGE concresce STABLE SET datestyle = 'SQL, MDY' AS 'SELECT echo.t';
CREATE FUNCTION echo_date(d date) RETURNS text LANGUAGE concresce STABLE SET datestyle = 'SQL, MDY' AS 'SELECT echo_date.d::text';
CREATE FUNCTION missed(key int) RETURNS int LANGUAGE concresce STABLE SET concresce.on_missing = error AS 'SELECT score FROM scores WHERE id = key';
SET datestyle = 'ISO, DMY';
SELECT shape('SELECT id, german(k), american(k), echo((date ''2026-02-03'' + id)::text), echo_date(date ''2026-02-03'' + id) FROM few WHERE id < 3');
SET datestyle = 'ISO, MDY';
SELECT shape('SELECT id, german(k), american(k), echo((date ''2026-02-03'' + id)::text) FROM few WHERE id < 3');
SELECT shape('SELECT id, x FROM few, german(k) x WHERE german(k) <> american(k) AND id < 3');
RESET datestyle;
SELECT shape('SELECT id, score(k), missed(k) FROM few WHERE id < 4');
SELECT shape('SELECT id, score(k), missed(k) FROM few WHERE id IN (4, 6)');

-- row level security: no key of a hidden row
CREATE TABLE owned (id int, k int, owner name);
INSERT INTO owned SELECT id, id, CASE WHEN id % 3 = 0 THEN 'regress_ccr_reader' ELSE 'another' END FROM few;
ALTER TABLE owned ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON owned USING (owner = current_user);
GRANT SELECT, UPDATE, INSERT ON owned TO PUBLIC;
ANALYZE owned;
SET ROLE regress_ccr_reader;
SELECT shape('SELECT id, noted(k) FROM owned', options => :'analyze');
SELECT shape('SELECT id FROM owned WHERE noted(k) > 30');
SELECT shape('SELECT o.id, n FROM owned o, noted(o.k) n');
SELECT shape('SELECT f.id, noted(o.k) FROM few f LEFT JOIN owned o ON o.id = f.id WHERE f.id < 5');
SELECT shape('SELECT sum(noted(k)) FROM owned');
SELECT shape('SELECT id, (SELECT max(noted(o.k)) FROM owned o WHERE o.id > f.id) FROM few f WHERE id > 8');
SELECT shape('UPDATE owned SET k = noted(k)', 'SELECT * FROM owned ORDER BY id');
RESET ROLE;
-- a policy that calls a lookup itself, which must say whom it asks
DROP POLICY own ON owned;
CREATE POLICY own ON owned USING (score(k) > 45) WITH CHECK (score(k) > 55);
SET ROLE regress_ccr_reader;
SELECT outcome('SELECT id FROM owned', NULL);
RESET ROLE;
ALTER FUNCTION score SET concresce.server = 'far';
ALTER FUNCTION label SET concresce.server = 'far';
ALTER FUNCTION known SET concresce.server = 'far';
SET ROLE regress_ccr_reader;
SELECT shape('SELECT id FROM owned WHERE noted(k) > 60 AND label(k) <> ''x''', options => :'analyze');
SELECT shape('SELECT id, noted(k) FROM owned LIMIT 2');
SELECT shape('UPDATE owned SET k = 6 WHERE id = 8', 'SELECT id, k FROM owned ORDER BY id');
SELECT shape('UPDATE owned SET k = 5 WHERE id = 8', 'SELECT id, k FROM owned ORDER BY id');
RESET ROLE;

-- security barriers: whatever a condition costs, it comes before those of others
CREATE TABLE seen (id int);
GRANT SELECT, INSERT ON seen TO PUBLIC;
CREATE FUNCTION leak(row_id int) RETURNS bool LANGUAGE plpgsql COST 0.0001 AS $$
BEGIN
  INSERT INTO seen VALUES (row_id);
  RETURN true;
END $$;
CREATE FUNCTION dear(g int) RETURNS bool LANGUAGE plpgsql STABLE COST 100000 AS $$ BEGIN RETURN g = 1; END $$;
CREATE VIEW barrier WITH (security_barrier) AS SELECT * FROM few WHERE dear(grp);
CREATE VIEW looked WITH (security_barrier) AS SELECT * FROM few WHERE score(k) > 25;
CREATE VIEW joined WITH (security_barrier) AS SELECT f.*, s FROM few f, score(f.k) s WHERE s > 25;
CREATE VIEW nested WITH (security_barrier) AS SELECT * FROM looked WHERE label(k) <> 'no. 13';
GRANT SELECT ON barrier, looked, joined, nested TO PUBLIC;
SET ROLE regress_ccr_reader;
SELECT shape('SELECT id FROM barrier WHERE noted(k) > 0', options => :'analyze');
SELECT shape('SELECT b.id, n FROM barrier b, noted(b.k) n');
SELECT shape('SELECT b.id FROM barrier b JOIN many m ON noted(b.k) = m.id');
SELECT shape('SELECT b.id, noted(m.id) FROM many m JOIN barrier b ON m.id = b.k');
SELECT shape('SELECT id FROM looked WHERE noted(k) > 0', options => :'analyze');
SELECT shape('SELECT id, noted(id) FROM looked');
SELECT shape('SELECT id FROM looked WHERE leak(id)', 'SELECT * FROM seen ORDER BY id');
SELECT shape('SELECT id FROM looked WHERE leak(id) AND noted(k) > 30', 'SELECT * FROM seen ORDER BY id');
SELECT shape('SELECT id FROM joined WHERE leak(id) AND noted(k) > 30', 'SELECT * FROM seen ORDER BY id');
SELECT shape('SELECT j.id, n FROM joined j, noted(j.k) n');
SELECT shape('SELECT id FROM nested WHERE leak(id) AND noted(k) > 0', 'SELECT * FROM seen ORDER BY id');
SELECT shape('SELECT id, picky(k) FROM nested');
RESET ROLE;
-- WITH CHECK OPTION
CREATE VIEW checked AS SELECT * FROM few WHERE known(k) WITH CHECK OPTION;
SELECT shape('UPDATE checked SET k = k + 1 WHERE id = 1', 'SELECT id, k FROM few WHERE id < 3 ORDER BY id');
SELECT shape('UPDATE checked SET k = 7 WHERE id = 1', 'SELECT id, k FROM few WHERE id < 3 ORDER BY id');

-- who may read cells: a plan is not of one role only
REVOKE EXECUTE ON FUNCTION concresce.batch_value FROM PUBLIC;
GRANT EXECUTE ON FUNCTION concresce.batch_value TO regress_ccr_reader;
SET plan_cache_mode = force_generic_plan;
SET ROLE regress_ccr_reader;
PREPARE read AS SELECT score(k) FROM few WHERE id < 3;
EXECUTE read;
SET ROLE regress_ccr_owner;
EXECUTE read;
RESET ROLE;
-- and it is made anew when that changes
GRANT EXECUTE ON FUNCTION concresce.batch_value TO PUBLIC;
EXECUTE read;
REVOKE EXECUTE ON FUNCTION concresce.batch_value FROM PUBLIC;
SET ROLE regress_ccr_owner;
EXECUTE read;
RESET ROLE;
GRANT EXECUTE ON FUNCTION concresce.batch_value TO PUBLIC;
REVOKE EXECUTE ON FUNCTION concresce.batch_value FROM regress_ccr_reader;
DEALLOCATE read;
RESET plan_cache_mode;

-- VOLATILE lookups: one call for each row, in the order of the rows
SELECT shape('SELECT id, each_time(k) FROM few WHERE id < 5', options => :'analyze');
SELECT asked();
SELECT id, each_time(k) FROM few LIMIT 4;
SELECT key FROM far.asked;
SELECT asked();
SELECT shape('SELECT id, each_time(k), noted(id + 100), each_time(noted(id + 200)) FROM few WHERE id < 3');
SELECT shape('SELECT id, noted(each_time(k)) FROM few WHERE id < 3');
SELECT shape('SELECT id FROM few WHERE each_time(k) > 20 LIMIT 2');
SELECT shape('SELECT id, n FROM few, each_time(k) n LIMIT 2');

DROP VIEW with_label, barrier, nested, looked, joined, checked;
DROP TABLE owned, seen;
DROP FUNCTION leak, dear, who, german, american, echo, echo_date, missed;
DROP OWNED BY regress_ccr_reader, regress_ccr_owner;
CALL clean_up();
DROP ROLE regress_ccr_reader, regress_ccr_owner, regress_ccr_far;
