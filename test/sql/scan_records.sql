--
-- The batch node: records that are used as a whole.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all
\set analyze ', ANALYZE, TIMING OFF, SUMMARY OFF'

CREATE TYPE pair AS (points int, title text);
CREATE FUNCTION named(key int) RETURNS pair LANGUAGE concresce STABLE
AS 'SELECT score, label FROM scores WHERE id = key';

-- as it is, as JSON, and a set of them
SELECT shape('SELECT id, info(k) FROM few', options => :'analyze');
SELECT shape('SELECT id, row_to_json(info(k)), row_to_json(named(k)) FROM few', options => :'analyze');
SELECT shape('SELECT id, offers(k) FROM few', options => :'analyze');
-- not if its fields are taken in another node
SELECT shape('SELECT id, (offers(k)).* FROM few', options => :'analyze');
-- a field of it as well
SELECT shape('SELECT id, info(k), (info(k)).label FROM few', options => :'analyze');
-- in conditions, aggregates, sorts and keys
SELECT shape('SELECT id FROM few WHERE info(k) IS NOT NULL', options => :'analyze');
SELECT shape('SELECT id, coalesce(info(k), info(k + 1)), CASE WHEN id > 3 THEN info(id) END FROM few');
SELECT shape('SELECT json_agg(info(k) ORDER BY id), count(DISTINCT info(k)) FROM few', options => :'analyze');
SELECT shape('SELECT id FROM few ORDER BY info(k), id', options => :'analyze');
SELECT shape('SELECT a.id, b.id FROM few a JOIN few b ON info(a.k) = info(b.k)', options => :'analyze');
SELECT shape('SELECT info(k), count(*) FROM few GROUP BY info(k)', options => :'analyze');
-- in sub-selects, set operations, a row, a VALUES list
SELECT shape('SELECT id, (SELECT row_to_json(info(m.k)) FROM many m WHERE m.id = f.id) FROM few f', options => :'analyze');
SELECT shape('SELECT info(k) FROM few UNION ALL SELECT info(id) FROM few', options => :'analyze');
SELECT shape('SELECT info(1), score(2)', options => :'analyze');
SELECT shape('SELECT * FROM (VALUES (1, info(1)), (2, info(2)), (7, info(7))) v', options => :'analyze');
-- all its columns, from elsewhere: EXPLAIN names the field by the call
SELECT shape('SELECT (q.i).label FROM (SELECT info(k) AS i FROM few OFFSET 0) q', options => ', VERBOSE');
SELECT shape('WITH w AS MATERIALIZED (SELECT id, info(k) AS i FROM few) SELECT id, (i).score FROM w', options => ', VERBOSE');
-- ... and in PL/pgSQL
DO $$
DECLARE
  r record;
BEGIN
  PERFORM concresce.reset_stats_all();
  FOR r IN SELECT id, info(k) AS i FROM few ORDER BY id LOOP
    RAISE INFO '% %', r.id, row_to_json(r.i);
  END LOOP;
END $$;
SELECT batches FROM concresce.stats WHERE function = 'info(int)'::regprocedure;
DROP FUNCTION named;
DROP TYPE pair;
CALL clean_up();
