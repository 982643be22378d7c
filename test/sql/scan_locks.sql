--
-- The batch node: no row is locked that would not have been, nor earlier.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all

-- The rows of few that a query locks, after its first row and in the end, and
-- whether plain calls lock the same.
CREATE FUNCTION locked(since text) RETURNS text LANGUAGE sql AS $$
  SELECT coalesce(string_agg(id::text, ',' ORDER BY id), 'none') FROM few WHERE xmax::text::bigint >= since::bigint
$$;
CREATE FUNCTION locks(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  mode text; c refcursor; r record; said text; since text; seen_by text[] := '{}';
BEGIN
  RETURN NEXT (SELECT format('%s batch nodes', count(*)) FROM plan_of(query, '') l WHERE l ~ 'ConcresceBatch');
  FOREACH mode IN ARRAY '{on,off}'::text[] LOOP
    PERFORM set_config('concresce.enable_batchscan', mode, false);
    since := pg_snapshot_xmax(pg_current_snapshot());
    BEGIN
      OPEN c FOR EXECUTE query;
      FETCH c INTO r;
      said := format('%s, locked %s', r, locked(since));
      MOVE FORWARD ALL FROM c;
      said := format('%s; in the end %s', said, locked(since));
      CLOSE c;
      RAISE SQLSTATE 'CC000';
    EXCEPTION WHEN SQLSTATE 'CC000' THEN NULL;
    END;
    seen_by := seen_by || said;
  END LOOP;
  PERFORM set_config('concresce.enable_batchscan', 'on', false);
  RETURN NEXT seen_by[1];
  RETURN NEXT CASE WHEN seen_by[1] = seen_by[2] THEN '-- the same by plain calls' ELSE '!! by plain calls ' || seen_by[2] END;
END $$;

-- below what a lookup is called for
SELECT locks('SELECT q.id, s FROM (SELECT * FROM few ORDER BY id FOR UPDATE) q, score(q.k) s');
SELECT locks('SELECT q.id, score(q.k) FROM (SELECT * FROM few ORDER BY id FOR UPDATE SKIP LOCKED) q');
SELECT locks('SELECT q.id, score(q.k) FROM (SELECT * FROM few ORDER BY id FOR UPDATE) q LIMIT 5');
SELECT locks('SELECT q.id FROM (SELECT * FROM few ORDER BY id FOR SHARE) q WHERE score(q.k) > 10 LIMIT 2');
SELECT locks('WITH j AS (SELECT * FROM few ORDER BY id FOR UPDATE) SELECT id, score(k) FROM j');
SELECT locks('WITH j AS (SELECT * FROM few ORDER BY id LIMIT 6 FOR UPDATE SKIP LOCKED) SELECT id, s FROM j, score(j.k) s LIMIT 3');
SELECT locks('SELECT f.id, x.id, score(f.id) FROM few f, LATERAL (SELECT * FROM few g WHERE g.id = f.k ORDER BY g.id FOR UPDATE) x WHERE f.id < 5');
SELECT locks('SELECT * FROM (SELECT f.k, (SELECT g.id FROM few g WHERE g.id = f.id FOR UPDATE) AS x FROM few f OFFSET 0) q WHERE score(k) > 0');
SELECT locks('SELECT id, score(k) FROM few WHERE id = (SELECT id FROM few ORDER BY id DESC LIMIT 1 FOR UPDATE) OR id < 4');
SELECT locks('SELECT q.id, sum(score(q.k)) OVER (PARTITION BY q.id) FROM (SELECT * FROM few ORDER BY id FOR UPDATE) q');
SELECT locks('SELECT * FROM (SELECT id, k FROM few WHERE id = 1 UNION ALL SELECT * FROM (SELECT id, k FROM few WHERE id > 3 ORDER BY id FOR UPDATE) r) q WHERE score(k) > 0');
-- where all of them are locked before the first row comes, it makes no difference
SELECT locks('SELECT q.id, score(q.k) FROM (SELECT * FROM few FOR UPDATE) q ORDER BY q.id');
SELECT locks('SELECT sum(score(q.k)) FROM (SELECT * FROM few WHERE id < 6 FOR UPDATE) q');
SELECT locks('SELECT q.id, score(q.k) FROM (SELECT * FROM (SELECT * FROM few WHERE id < 4 FOR UPDATE) r ORDER BY id DESC LIMIT 2) q');
-- above: one by one
SELECT locks('SELECT id, score(k) FROM few WHERE score(k) > 10 FOR UPDATE');
SELECT locks('SELECT f.id, s FROM few f, score(f.k) s ORDER BY f.id LIMIT 3 FOR UPDATE OF f');
-- a worker takes one job
SELECT locks('SELECT q.id, s FROM (SELECT * FROM few ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) q, score(q.k) s');
SELECT shape('UPDATE few SET grp = score(k) WHERE id IN (SELECT id FROM few ORDER BY id LIMIT 3 FOR UPDATE SKIP LOCKED) RETURNING id, grp', options => NULL);

DROP FUNCTION locks, locked;
CALL clean_up();
