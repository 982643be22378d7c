--
-- The batch node: batched loops.  The rows of an inner side, or of a sub-plan,
-- are looked up for many outer rows at once.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all
\set analyze ', ANALYZE, TIMING OFF, SUMMARY OFF'
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_memoize = off;
SET enable_bitmapscan = off;
SET enable_sort = on;

-- three to each of few, none to one of them, and many to another
CREATE TABLE items (id int PRIMARY KEY, few_id int, k int);
INSERT INTO items SELECT i, i % 9 + 1, i FROM generate_series(1, 27) i;
CREATE INDEX ON items (few_id);
ANALYZE items;
-- Does a query take so many foreign queries at most, and bring the right rows?
CREATE FUNCTION counted(query text, most int, OUT few bool, OUT right_rows bool) LANGUAGE plpgsql AS $$
DECLARE
  queries bigint;
  rows text;
  plain text;
BEGIN
  PERFORM concresce.reset_stats_all();
  EXECUTE format('SELECT string_agg(q::text, E''\n'') FROM (%s) q', query) INTO rows;
  SELECT sum(s.batches) INTO queries FROM concresce.stats s;
  few := queries <= most;
  IF NOT few THEN
    RAISE INFO '% foreign queries', queries;
  END IF;
  PERFORM set_config('concresce.enable_batchscan', 'off', true);
  EXECUTE format('SELECT string_agg(q::text, E''\n'') FROM (%s) q', query) INTO plain;
  PERFORM set_config('concresce.enable_batchscan', 'on', true);
  right_rows := rows IS NOT DISTINCT FROM plain;
END $$;

-- a list, or a filter, over the inner table of a join
SELECT shape('SELECT f.id, score(i.k) FROM few f LEFT JOIN LATERAL (SELECT i.k FROM items i WHERE i.few_id = f.id OFFSET 0) i ON true', options => :'analyze');
SELECT shape('SELECT f.id, i.id FROM few f CROSS JOIN LATERAL (SELECT * FROM items i WHERE i.few_id = f.id AND score(i.k) > 100 OFFSET 0) i', options => :'analyze');
SELECT shape('SELECT f.id, i.id FROM few f, items i WHERE i.few_id = f.id AND score(i.k) > 100', options => :'analyze');
SELECT shape('SELECT f.id, i.* FROM few f LEFT JOIN LATERAL (SELECT i.id, score(i.k), label(i.k) FROM items i WHERE i.few_id = f.id AND known(i.k) OFFSET 0) i ON true',
  options => :'analyze');
-- sub-selects in the list, as aggregates, as arrays, with a limit
SELECT shape('SELECT f.id, (SELECT sum(score(i.k)) FROM items i WHERE i.few_id = f.id) FROM few f', options => :'analyze');
SELECT shape('SELECT f.id, ARRAY(SELECT label(i.k) FROM items i WHERE i.few_id = f.id ORDER BY i.id DESC) FROM few f', options => :'analyze');
SELECT shape('SELECT f.id, (SELECT score(i.k) FROM items i WHERE i.few_id = f.id ORDER BY i.id DESC LIMIT 1) FROM few f', options => :'analyze');
SELECT shape('SELECT f.id, coalesce((SELECT json_agg(json_build_object(''k'', i.k, ''s'', score(i.k)) ORDER BY i.id) FILTER (WHERE known(i.k)) FROM items i WHERE i.few_id = f.id), ''[]'') FROM few f',
  options => :'analyze');
-- LATERAL
SELECT shape('SELECT f.id, q.* FROM few f LEFT JOIN LATERAL (SELECT i.id, score(i.k) FROM items i WHERE i.few_id = f.id ORDER BY i.id LIMIT 2) q ON true', options => :'analyze');
SELECT shape('SELECT f.id, q.s FROM few f CROSS JOIN LATERAL (SELECT sum(score(i.k)) s FROM items i WHERE i.few_id = f.id GROUP BY i.few_id + 0) q', options => :'analyze');
-- in a filter, and in the arguments of an aggregate
SELECT shape('SELECT f.id FROM few f WHERE (SELECT sum(score(i.k)) FROM items i WHERE i.few_id = f.id) > 400', options => :'analyze');
SELECT shape('SELECT grp, array_agg((SELECT sum(score(i.k)) FROM items i WHERE i.few_id = f.id) ORDER BY id) FROM few f GROUP BY grp ORDER BY grp', options => :'analyze');
SELECT shape('SELECT grp, (SELECT sum(score(i.k)) FROM items i WHERE i.few_id = max(f.id)) FROM few f GROUP BY grp ORDER BY grp', options => :'analyze');
-- arguments of both sides
SELECT shape('SELECT f.id, (SELECT sum(score(i.k + f.id)) FROM items i WHERE i.few_id = f.id) FROM few f', options => :'analyze');
-- calls on both sides, and a lookup of a lookup
SELECT shape('SELECT f.id, score(f.k), (SELECT sum(score(after(i.k))) FROM items i WHERE i.few_id = f.id) FROM few f WHERE known(f.k)', options => :'analyze');
-- two and three deep
SELECT shape('SELECT g, (SELECT json_agg((SELECT sum(score(i.k)) FROM items i WHERE i.few_id = f.id) ORDER BY f.id) FROM few f WHERE f.grp = g) FROM generate_series(0, 3) g',
  options => :'analyze');
SELECT shape('SELECT g, (SELECT json_agg(json_build_array(label(f.k), (SELECT sum(score(i.k + g)) FROM items i WHERE i.few_id = f.id)) ORDER BY f.id) FROM few f WHERE f.grp = g AND score(f.id) > 10) FROM generate_series(0, 2) g',
  options => :'analyze');
SELECT * FROM counted('SELECT h, (SELECT json_agg((SELECT json_agg((SELECT sum(score(i.k)) FROM items i WHERE i.few_id = f.id) ORDER BY f.id) FROM few f WHERE f.grp = g) ORDER BY g) FROM generate_series(h, h + 1) g) FROM generate_series(0, 2) h', 6);
SELECT * FROM counted('SELECT g, q.j FROM generate_series(0, 2) g LEFT JOIN LATERAL (SELECT json_agg(r.j ORDER BY f.id) j FROM few f LEFT JOIN LATERAL (SELECT json_agg(score(i.k) ORDER BY i.id) j FROM items i WHERE i.few_id = f.id) r ON true WHERE f.grp = g) q ON true', 6);

-- each key is asked for once for its row, and none that SQL does not ask for
TRUNCATE far.asked;
SELECT f.id, (SELECT sum(noted(i.k)) FROM items i WHERE i.few_id = f.id AND i.k > 20) FROM few f ORDER BY 1;
SELECT array_agg(key ORDER BY key) FROM far.asked;
TRUNCATE far.asked;
SELECT f.id, CASE WHEN f.id < 3 THEN (SELECT sum(noted(i.k)) FROM items i WHERE i.few_id = f.id) END FROM few f ORDER BY 1;
SELECT array_agg(key ORDER BY key) FROM far.asked;
TRUNCATE far.asked;
SELECT f.id, (SELECT noted(i.k) FROM items i WHERE i.few_id = f.id ORDER BY i.id LIMIT 1) FROM few f ORDER BY 1 LIMIT 2;
SELECT array_agg(key ORDER BY key) FROM far.asked;
-- none of those where the first one may do
SELECT shape('SELECT f.id FROM few f WHERE EXISTS (SELECT FROM items i WHERE i.few_id = f.id AND score(i.k) > 100 OFFSET 0)');
SELECT shape('SELECT f.id FROM few f WHERE 50 IN (SELECT score(i.k) FROM items i WHERE i.few_id = f.id)');

-- an error comes when SQL comes to its row
SELECT f.id, (SELECT sum(picky(i.k)) FROM items i WHERE i.few_id = f.id AND i.id <> 12) FROM few f WHERE f.id < 5 ORDER BY f.id;
SELECT f.id, (SELECT sum(picky(i.k)) FROM items i WHERE i.few_id = f.id AND i.id <> 12) FROM few f ORDER BY f.id;
SELECT f.id, (SELECT sum(score(i.k)) FROM items i WHERE i.few_id = f.id AND 100 / (i.id - 4) < 1000) FROM few f ORDER BY f.id LIMIT 3;
SELECT f.id, (SELECT sum(score(i.k)) FROM items i WHERE i.few_id = f.id AND 100 / (i.id - 4) < 1000) FROM few f ORDER BY f.id;
-- the error of an inner row is not put before that of the outer one
SELECT 10 / (f.id - 2), (SELECT sum(picky(i.k)) FROM items i WHERE i.few_id = f.id) FROM few f ORDER BY f.id;

-- nothing is run ahead that could be noticed
CREATE TABLE noticed (id int);
CREATE FUNCTION notice(id int) RETURNS SETOF int LANGUAGE plpgsql VOLATILE AS
  'BEGIN INSERT INTO noticed VALUES (id); RETURN NEXT id; END';
CREATE FUNCTION count_noticed(id int) RETURNS bigint LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN (SELECT count(*) FROM noticed); END';
SELECT f.id, q.s, count_noticed(f.id) FROM few f, LATERAL (SELECT score(n) AS s FROM notice(f.id) n OFFSET 0) q;
SELECT f.id, (SELECT sum(score(k)) FROM (SELECT k FROM items i WHERE i.few_id = f.id FOR UPDATE) i) FROM few f WHERE f.id < 3;

-- what an init plan gives for the outer row: such a loop is not batched
SELECT * FROM counted('SELECT f.id, (SELECT sum(score(i.k)) FROM items i WHERE i.few_id = f.id AND i.id > (SELECT min(j.id) FROM items j WHERE j.few_id = f.id)) FROM few f ORDER BY f.id', 30);
SELECT * FROM counted('SELECT f.id, (SELECT sum(score(i.k + (SELECT min(j.id) FROM items j WHERE j.few_id = f.id))) FROM items i WHERE i.few_id = f.id) FROM few f ORDER BY f.id', 30);
SELECT * FROM counted('SELECT f.id, (SELECT sum(score(i.k) + (SELECT min(j.id) FROM items j WHERE j.few_id = f.id)) FROM items i WHERE i.few_id = f.id) FROM few f ORDER BY f.id', 30);
SELECT * FROM counted('SELECT f.id, q.s FROM few f, LATERAL (SELECT score(i.k) + (SELECT min(j.id) FROM items j WHERE j.few_id = f.id) AS s FROM items i WHERE i.few_id = f.id OFFSET 0) q ORDER BY 1, 2', 30);
SELECT * FROM counted('SELECT f.id, q.s FROM few f, LATERAL (SELECT score(i.k + (SELECT min(j.id) FROM items j WHERE j.few_id = f.id)) AS s FROM items i WHERE i.few_id = f.id OFFSET 0) q ORDER BY 1, 2', 30);
-- of an init plan that depends on another one, and on one further out
SELECT * FROM counted('SELECT f.id, (SELECT sum(score(i.k)) FROM items i WHERE i.few_id = f.id AND i.id < (SELECT max(m.id) FROM many m WHERE m.id < 10 + (SELECT min(j.id) FROM items j WHERE j.few_id = f.id))) FROM few f ORDER BY f.id', 30);
SELECT * FROM counted('SELECT g, (SELECT json_agg((SELECT sum(score(i.k)) FROM items i WHERE i.few_id = f.id AND i.id > (SELECT min(j.id) FROM items j WHERE j.few_id = g + 1)) ORDER BY f.id) FROM few f WHERE f.grp = g) FROM generate_series(0, 2) g', 30);
-- one that is the same for all of them does not matter
SELECT * FROM counted('SELECT f.id, (SELECT sum(score(i.k)) FROM items i WHERE i.few_id = f.id AND i.id > (SELECT min(m.id) FROM many m)) FROM few f ORDER BY f.id', 1);

-- a WITH query's rows for the outer row, read by sub-selects: no such loop is batched
SELECT * FROM counted('SELECT f.id, (WITH c AS MATERIALIZED (SELECT j.id FROM items j WHERE j.few_id = f.id) SELECT sum(score(i.k)) FROM items i WHERE i.few_id = f.id AND (SELECT count(*) FROM c WHERE c.id <= i.id) = 2) FROM few f ORDER BY f.id', 30);
SELECT * FROM counted('SELECT f.id, (WITH c AS MATERIALIZED (SELECT j.id FROM items j WHERE j.few_id = f.id), d AS MATERIALIZED (SELECT * FROM c WHERE id > 9) SELECT sum(score(i.k)) FROM items i WHERE i.few_id = f.id AND (SELECT count(*) FROM d WHERE d.id <= i.id) = 1) FROM few f ORDER BY f.id', 30);
-- one that is the same for all of them does not matter, nor one that is read for rows that were looked up
SELECT * FROM counted('WITH c AS MATERIALIZED (SELECT j.id FROM items j WHERE j.id > 9) SELECT f.id, (SELECT sum(score(i.k)) FROM items i WHERE i.few_id = f.id AND (SELECT count(*) FROM c WHERE c.id <= i.id) > 0) FROM few f ORDER BY f.id', 1);
SELECT * FROM counted('SELECT f.id, (WITH c AS MATERIALIZED (SELECT j.id FROM items j WHERE j.few_id = f.id) SELECT sum(score(i.k) + (SELECT count(*) FROM c WHERE c.id <= i.id)) FROM items i WHERE i.few_id = f.id) FROM few f ORDER BY f.id', 1);

-- two deep, where the loop within needs what the one around it does not
CREATE TABLE outermost AS SELECT g, g + 100 AS plus, 'no. ' || g * 20 AS name FROM generate_series(0, 2) g;
SELECT * FROM counted('SELECT o.g, (SELECT json_agg((SELECT sum(score(i.k + o.plus)) FROM items i WHERE i.few_id = f.id) ORDER BY f.id) FROM few f WHERE f.grp = o.g) FROM outermost o ORDER BY o.g', 1);
SELECT * FROM counted('SELECT o.g, (SELECT json_agg((SELECT sum(score(i.k)) FROM items i WHERE i.few_id = f.id AND ''no. '' || i.id <> o.name) ORDER BY f.id) FROM few f WHERE f.grp = o.g) FROM outermost o ORDER BY o.g', 1);
SELECT * FROM counted('SELECT o.g, q.j FROM outermost o LEFT JOIN LATERAL (SELECT json_agg(r.j ORDER BY f.id) j FROM few f LEFT JOIN LATERAL (SELECT json_agg(score(i.k) ORDER BY i.id) j FROM items i WHERE i.few_id = f.id AND ''no. '' || i.id <> o.name) r ON true WHERE f.grp = o.g) q ON true ORDER BY o.g', 1);

-- ... and where the plan within has parts that only depend on what is further out
SELECT * FROM counted('SELECT o.g, (SELECT json_agg((SELECT sum(score(x.k)) FROM (SELECT i.k + j.id AS k FROM items i, (SELECT id FROM items WHERE id > o.g ORDER BY id LIMIT 2) j WHERE i.few_id = f.id OFFSET 0) x) ORDER BY f.id) FROM few f WHERE f.grp = o.g) FROM outermost o ORDER BY o.g', 1);
SELECT * FROM counted('SELECT o.g, q.j FROM outermost o LEFT JOIN LATERAL (SELECT json_agg(r.j ORDER BY f.id) j FROM few f LEFT JOIN LATERAL (SELECT json_agg(score(i.k + j.id) ORDER BY i.id, j.id) j FROM items i, (SELECT id FROM items WHERE id > o.g ORDER BY id LIMIT 2) j WHERE i.few_id = f.id) r ON true WHERE f.grp = o.g) q ON true ORDER BY o.g', 1);
SELECT * FROM counted('SELECT o.g, (SELECT json_agg((SELECT sum(score(i.k)) FROM items i WHERE i.few_id = f.id AND i.id NOT IN (SELECT j.id FROM items j WHERE j.id > o.g * 9)) ORDER BY f.id) FROM few f) FROM outermost o ORDER BY o.g', 1);
-- ... also where some of the runs are not batched
SET concresce.max_size = 4;
SELECT * FROM counted('SELECT o.g, (SELECT json_agg((SELECT sum(score(x.k)) FROM (SELECT i.k + j.id AS k FROM items i, (SELECT id FROM items WHERE id > o.g ORDER BY id LIMIT 2) j WHERE i.few_id = f.id OFFSET 0) x) ORDER BY f.id) FROM few f WHERE f.grp = o.g) FROM outermost o ORDER BY o.g', 20);
RESET concresce.max_size;

-- no error of a row that SQL does not come to: of a limit, and of an init plan
CREATE TABLE limits AS SELECT i AS id, CASE WHEN i < 3 THEN 2 - i ELSE -1 END::bigint AS n, CASE WHEN i = 1 THEN 99 ELSE i END AS k FROM generate_series(1, 5) i;
SELECT l.id FROM limits l WHERE (SELECT sum(score(k)) FROM (SELECT i.k FROM items i WHERE i.few_id = l.id LIMIT l.n) i) > 0 LIMIT 1;
SELECT l.id FROM limits l WHERE (SELECT sum(score(k)) FROM (SELECT i.k FROM items i WHERE i.few_id = l.id OFFSET l.n) i) > 0 LIMIT 1;
SELECT l.id FROM limits l WHERE (SELECT sum(s) FROM (SELECT score(i.k) AS s FROM items i WHERE i.few_id = l.id ORDER BY i.id LIMIT 10 / (l.id - 3) + 20) i) > 0 LIMIT 1;
SET enable_seqscan = off;
SELECT l.id FROM limits l WHERE (SELECT sum(score(i.k)) FROM items i WHERE i.id = l.k AND i.k > (SELECT 1 / (count(*) - 10) FROM few)) IS NULL LIMIT 1;
SELECT l.id FROM limits l WHERE (SELECT sum(score((SELECT 1 / (count(*) - 10) FROM few)::int)) FROM items i WHERE i.id = l.k) IS NULL LIMIT 1;
RESET enable_seqscan;
-- ... but that of one that it comes to
SELECT l.id FROM limits l WHERE (SELECT sum(score(k)) FROM (SELECT i.k FROM items i WHERE i.few_id = l.id LIMIT l.n) i) > 0;
SELECT l.id FROM limits l WHERE (SELECT sum(score(i.k)) FROM items i WHERE i.id = l.k AND i.k > (SELECT 1 / (count(*) - 10) FROM few)) IS NULL;

-- groups that are larger than a request
INSERT INTO items SELECT i, 4, i FROM generate_series(100, 160) i;
ANALYZE items;
SET concresce.max_size = 5;
-- what is asked for them is asked for once
TRUNCATE far.asked;
SELECT f.id, (SELECT sum(score(i.k)) FROM items i WHERE i.few_id = f.id AND noted(i.k) % 50 = 0) FROM few f ORDER BY f.id;
SELECT count(*), count(DISTINCT key) FROM far.asked;
SELECT * FROM counted('SELECT f.id, (SELECT sum(score(i.k)) FROM items i WHERE i.few_id = f.id) FROM few f ORDER BY f.id', 25);
SELECT * FROM counted('SELECT f.id, i.id, score(i.k) FROM few f LEFT JOIN LATERAL (SELECT * FROM items i WHERE i.few_id = f.id OFFSET 0) i ON true ORDER BY f.id, i.id', 25);
RESET concresce.max_size;
SELECT * FROM counted('SELECT f.id, (SELECT sum(score(i.k)) FROM items i WHERE i.few_id = f.id) FROM few f ORDER BY f.id', 6);
-- many outer rows, in several blocks
SELECT * FROM counted('SELECT m.id, (SELECT sum(score(i.k)) FROM items i WHERE i.few_id = m.grp) FROM many m ORDER BY m.id', 20);
SELECT * FROM counted('SELECT m.id, (SELECT sum(score(i.k + m.id)) FROM items i WHERE i.few_id = m.grp AND i.id < 28) FROM many m ORDER BY m.id', 20);
-- parameters of types that are not passed by value, and NULL
CREATE TABLE named (name text, k int);
INSERT INTO named SELECT 'name ' || i % 4, i FROM generate_series(1, 12) i;
INSERT INTO named VALUES (NULL, 13);
CREATE INDEX ON named (name);
SELECT * FROM counted('SELECT f.id, (SELECT array_agg(label(n.k) ORDER BY k) FROM named n WHERE n.name = ''name '' || f.k) FROM few f ORDER BY f.id', 6);
SELECT * FROM counted('SELECT f.id, (SELECT array_agg(label(n.k) ORDER BY k) FROM named n WHERE n.name IS NOT DISTINCT FROM CASE WHEN f.id > 3 THEN ''name '' || f.k END) FROM few f ORDER BY f.id', 6);
-- the loop itself is run again
SELECT * FROM counted('SELECT g, q.* FROM generate_series(1, 3) g, LATERAL (SELECT f.id, (SELECT sum(score(i.k + g)) FROM items i WHERE i.few_id = f.id) FROM few f WHERE f.grp < g OFFSET 0) q ORDER BY 1, 2', 6);
SELECT * FROM counted('WITH RECURSIVE r (n, s) AS (SELECT 1, 0::bigint UNION ALL SELECT n + 1, (SELECT sum(score(i.k)) FROM items i WHERE i.few_id = r.n) FROM r WHERE n < 5) SELECT * FROM r ORDER BY n', 6);
-- prepared, as a generic plan
SET plan_cache_mode = force_generic_plan;
PREPARE sums AS SELECT f.id, (SELECT sum(score(i.k + $1)) FROM items i WHERE i.few_id = f.id AND i.id < $2) FROM few f ORDER BY f.id;
EXECUTE sums (0, 28);
EXECUTE sums (1, 10);
RESET plan_cache_mode;
-- in statements that write
CREATE TABLE results (id int, s bigint);
INSERT INTO results SELECT f.id, (SELECT sum(score(i.k)) FROM items i WHERE i.few_id = f.id) FROM few f;
UPDATE results r SET s = (SELECT sum(score(i.k)) + 1 FROM items i WHERE i.few_id = r.id);
DELETE FROM results r WHERE (SELECT sum(score(i.k)) FROM items i WHERE i.few_id = r.id) > 1000;
SELECT * FROM results ORDER BY id;
-- rows that the statement itself has written are not seen by it
WITH w AS (INSERT INTO items VALUES (99, 1, 50) RETURNING id)
SELECT f.id, (SELECT sum(score(i.k)) FROM items i WHERE i.few_id = f.id) FROM few f ORDER BY f.id LIMIT 2;

-- a cursor, whose role and settings may change, is left as it is
BEGIN;
DECLARE c CURSOR FOR SELECT f.id, (SELECT sum(score(i.k)) FROM items i WHERE i.few_id = f.id) FROM few f ORDER BY f.id;
FETCH 2 FROM c;
FETCH 2 FROM c;
COMMIT;
-- a loop of PL/pgSQL fetches ten rows, and goes on with another server
DO $$
DECLARE
  r record;
  n int := 0;
BEGIN
  FOR r IN SELECT m.id, (SELECT sum(score(i.k)) FROM items i WHERE i.few_id = m.grp) AS s FROM many m ORDER BY m.id LOOP
    PERFORM set_config('concresce.server', 'nowhere', true);
    n := n + 1;
  END LOOP;
EXCEPTION
  WHEN undefined_object THEN
    RAISE INFO '% rows, then: %', n, sqlerrm;
END $$;
DROP TABLE items, named, results, outermost, limits;
DROP TABLE noticed;
DROP FUNCTION counted, notice, count_noticed;
CALL clean_up();
