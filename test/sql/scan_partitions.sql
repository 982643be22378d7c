--
-- The batch node over partitioned, inherited and foreign tables.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all
\set analyze ', ANALYZE, TIMING OFF, SUMMARY OFF'

-- partitions, of which one has its columns in another order
CREATE TABLE parted (id int, k int, grp int) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (4);
CREATE TABLE parted_2 (grp int, gone text, k int, id int);
ALTER TABLE parted_2 DROP gone;
ALTER TABLE parted ATTACH PARTITION parted_2 FOR VALUES FROM (4) TO (8);
CREATE TABLE parted_3 PARTITION OF parted FOR VALUES FROM (8) TO (100) PARTITION BY LIST (grp);
CREATE TABLE parted_3a PARTITION OF parted_3 FOR VALUES IN (0, 1);
CREATE TABLE parted_3b PARTITION OF parted_3 DEFAULT;
INSERT INTO parted SELECT * FROM few;
ANALYZE parted;
SELECT shape('SELECT id, score(k), parted FROM parted', options => :'analyze');
SELECT shape('SELECT tableoid::regclass, id FROM parted WHERE score(k) > 15', options => :'analyze');
SELECT shape('SELECT id, score(k) FROM parted WHERE id BETWEEN 4 AND 8');
SELECT shape('SELECT id, noted(k) FROM parted LIMIT 3', options => :'analyze');
SELECT shape('SELECT id, p FROM parted, parts(k) p');
SELECT shape('SELECT grp, sum(score(k)) FROM parted GROUP BY grp ORDER BY grp');
SELECT shape('SELECT id, score(k) FROM parted ORDER BY id');
SELECT shape('UPDATE parted SET k = score(id) WHERE score(k) IS NOT NULL', 'SELECT tableoid::regclass, * FROM parted ORDER BY id');
-- rows move to another partition
SELECT shape('UPDATE parted SET id = score(id) / 10 + 4 WHERE id < 4', 'SELECT tableoid::regclass, * FROM parted ORDER BY id, k');
SELECT shape('DELETE FROM parted WHERE label(k) = ''no. 3''', 'SELECT id FROM parted ORDER BY id');
SELECT shape('INSERT INTO parted SELECT id + 20, score(k), grp FROM parted', 'SELECT tableoid::regclass, * FROM parted WHERE id > 20 ORDER BY id');
SELECT shape('MERGE INTO parted t USING few f ON t.id = f.id WHEN MATCHED AND score(f.k) > 15 THEN UPDATE SET k = score(t.k)
  WHEN MATCHED THEN DELETE', 'SELECT * FROM parted ORDER BY id');
-- what all partitions compute, one node does: a round has rows of all of them
SELECT shape('SELECT id FROM parted WHERE id < 9 AND score(k) > 15 AND 10 / id > 0', options => :'analyze');
SELECT shape('SELECT id, label(k) FROM parted WHERE score(k) > 15 AND grp > 0', options => ', VERBOSE');
SELECT shape('SELECT p, p.id, score(p.k), p.ctid, p.tableoid::regclass FROM parted p', options => ', VERBOSE');
SELECT shape('SELECT id, noted(k) FROM parted WHERE id > 2 LIMIT 4', options => :'analyze');
SELECT shape('SELECT id, picky(k) FROM parted');
SELECT shape('SELECT id, picky(k) FROM parted LIMIT 9');
SELECT shape('SELECT id, score(k) FROM parted WHERE 10 / (id - 9) > -100 AND score(k) > 0');
SELECT shape('SELECT id, (SELECT max(score(f.k + p.k)) FROM few f WHERE f.id = p.id) FROM parted p');
SELECT shape('SELECT id, score((SELECT max(k) FROM few WHERE k < 5)) + score(k) FROM parted');
SELECT shape('SELECT id, EXISTS (SELECT FROM few f WHERE f.id = score(p.k) / 10) FROM parted p');
SELECT shape('SELECT id, score(k) FROM parted FOR UPDATE', options => :'analyze');
SELECT shape('SELECT id FROM parted WHERE score(k) > 15 FOR UPDATE');
SELECT shape('SELECT f.id, (SELECT count(*) FROM parted p WHERE p.id > f.id AND noted(p.k) > 15) FROM few f WHERE f.id < 4', options => :'analyze');
SELECT shape('SELECT f.id, p.id FROM few f, LATERAL (SELECT id FROM parted p WHERE p.id = f.k AND score(p.k) > 5 OFFSET 0) p');
SELECT shape('UPDATE parted SET k = score(k) RETURNING id, k, score(id)', 'SELECT tableoid::regclass, * FROM parted ORDER BY id');
SELECT shape('UPDATE parted p SET (k, grp) = (SELECT score(p.k), f.grp FROM few f WHERE f.id = p.id)', 'SELECT tableoid::regclass, * FROM parted ORDER BY id');
SELECT shape('UPDATE parted p SET k = score(p.k + f.k) FROM few f WHERE f.id = p.id AND score(f.k) > 10', 'SELECT tableoid::regclass, * FROM parted ORDER BY id', NULL);
SELECT shape('DELETE FROM parted p USING few f WHERE f.id = p.id AND score(f.k + p.k) > 30', 'SELECT tableoid::regclass, * FROM parted ORDER BY id', NULL);
-- sorted, each or all
CREATE INDEX ON parted (id);
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT shape('SELECT id FROM parted WHERE id < 100 AND noted(k) > 15 ORDER BY id LIMIT 3', options => :'analyze');
SELECT shape('SELECT id, noted(k) FROM parted WHERE id < 8 ORDER BY id LIMIT 3', options => :'analyze');
SELECT shape('SELECT k, score(grp) FROM parted WHERE id > 0 ORDER BY id DESC');
SET enable_partition_pruning = off;
SELECT shape('SELECT score(k), grp FROM parted ORDER BY id LIMIT 5', options => ', VERBOSE');
SELECT shape('SELECT score(k), id + 1 FROM parted ORDER BY id + 1');
RESET enable_partition_pruning;
RESET enable_seqscan;
RESET enable_bitmapscan;
SELECT shape('SELECT id, score(k) FROM (SELECT * FROM parted UNION ALL SELECT * FROM few) q ORDER BY id, grp LIMIT 100');
-- a cursor's current row
BEGIN;
DECLARE c CURSOR FOR SELECT id, score(k) FROM parted;
FETCH 5 FROM c;
UPDATE parted SET grp = 99 WHERE CURRENT OF c RETURNING *;
DECLARE s SCROLL CURSOR FOR SELECT id, score(k) FROM parted;
FETCH 6 FROM s;
FETCH BACKWARD 2 FROM s;
FETCH ABSOLUTE 1 FROM s;
ROLLBACK;
-- all pruned as it starts: nothing is asked for, nor who may
SET plan_cache_mode = force_generic_plan;
PREPARE pruned(int) AS SELECT id, score(k) FROM parted WHERE id = $1;
PREPARE ranged(int, int) AS SELECT id, score(k), label(k) FROM parted WHERE id BETWEEN $1 AND $2 AND score(k) IS NOT NULL ORDER BY id;
SELECT plan_of('EXECUTE ranged(2, 5)', :'analyze');
EXECUTE ranged(7, 9);
EXECUTE ranged(100, 110);
CREATE ROLE nobody_much;
REVOKE EXECUTE ON FUNCTION score FROM PUBLIC;
GRANT SELECT ON parted TO nobody_much;
SET ROLE nobody_much;
EXECUTE pruned(5);
EXECUTE pruned(500);
EXECUTE ranged(500, 600);
RESET ROLE;
GRANT EXECUTE ON FUNCTION score TO PUBLIC;
-- policies of the parent, and of a partition, which do not count here
ALTER TABLE parted ENABLE ROW LEVEL SECURITY;
CREATE POLICY odd ON parted USING (id % 2 = 1);
ALTER TABLE parted_1 ENABLE ROW LEVEL SECURITY;
SET ROLE nobody_much;
SELECT plan_of('SELECT id, score(k) FROM parted WHERE score(k) > 5', '');
RESET ROLE;
ALTER TABLE parted DISABLE ROW LEVEL SECURITY;
DROP OWNED BY nobody_much;
DROP ROLE nobody_much;
DEALLOCATE ALL;
RESET plan_cache_mode;
-- by several processes
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT shape('SELECT count(*), sum(score(k)) FROM parted WHERE score(k) > 5', options => NULL);
SELECT shape('SELECT id, p FROM (SELECT id, score(k) AS p FROM parted WHERE score(k) > 5 OFFSET 0) q ORDER BY 1', options => NULL);
RESET max_parallel_workers_per_gather;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
-- pruned while it runs
SET plan_cache_mode = force_generic_plan;
PREPARE pruned(int) AS SELECT id, score(k) FROM parted WHERE id = $1;
SELECT plan_of('EXECUTE pruned(5)', '');
EXECUTE pruned(5);
EXECUTE pruned(9);
DEALLOCATE pruned;
RESET plan_cache_mode;
-- partitions that are joined and aggregated each by itself
CREATE TABLE parted_too (id int, k int) PARTITION BY RANGE (id);
CREATE TABLE parted_too_1 PARTITION OF parted_too FOR VALUES FROM (0) TO (4);
CREATE TABLE parted_too_2 PARTITION OF parted_too FOR VALUES FROM (4) TO (8);
CREATE TABLE parted_too_3 PARTITION OF parted_too FOR VALUES FROM (8) TO (100);
INSERT INTO parted_too SELECT id, k FROM few;
ANALYZE parted_too;
SET enable_partitionwise_join = on;
SET enable_partitionwise_aggregate = on;
SELECT shape('SELECT a.id, score(b.k) FROM parted a JOIN parted_too b ON a.id = b.id AND a.id < 8 WHERE score(a.k + b.k) > 30');
SELECT shape('SELECT id, sum(score(k)) FROM parted_too GROUP BY id ORDER BY id');
RESET enable_partitionwise_join;
RESET enable_partitionwise_aggregate;
-- a MergeAppend of partitions that are sorted by the call
CREATE INDEX ON parted_too (k);
SET enable_seqscan = off;
SET enable_sort = off;
SELECT shape('SELECT k, score(k) FROM parted_too ORDER BY k');
RESET enable_seqscan;
RESET enable_sort;

-- inheritance
CREATE TABLE parent (id int, k int);
CREATE TABLE child (extra text) INHERITS (parent);
INSERT INTO parent SELECT id, k FROM few WHERE id < 4;
INSERT INTO child SELECT id, k, 'x' FROM few WHERE id > 8;
ANALYZE parent, child;
SELECT shape('SELECT id, score(k) FROM parent', options => :'analyze');
SELECT shape('SELECT id, score(k) FROM ONLY parent');
SELECT shape('UPDATE parent SET k = score(id)', 'SELECT tableoid::regclass, * FROM parent ORDER BY id');

-- UNION ALL: the same lookup, of other tables
CREATE VIEW both_tables AS SELECT 'few' AS source, id, k, score(k) AS s FROM few UNION ALL SELECT 'many', id, k, score(k) FROM many WHERE id < 6;
SELECT shape('SELECT * FROM both_tables', options => ', VERBOSE');
SELECT shape('SELECT source, id, label(k) FROM both_tables WHERE s > 15');
SELECT shape('SELECT id, score(k) FROM few UNION ALL SELECT id, score(k + 1) FROM many WHERE id < 3 UNION ALL SELECT 5, score(5)', options => ', VERBOSE');
SELECT shape('SELECT id, score(k) FROM few UNION ALL SELECT id, 0 FROM many WHERE id < 3 UNION ALL SELECT id, score(k) FROM many WHERE id = 9');
SELECT shape('SELECT id FROM few WHERE score(k) > 15 UNION ALL SELECT id FROM many WHERE id < 5 AND score(id) > 15 AND 10 / id > 0', options => ', VERBOSE');
SELECT shape('SELECT id FROM few WHERE score(k) > 15 UNION ALL SELECT id FROM many WHERE id < 5 AND label(id) > ''no'' UNION ALL SELECT id FROM none');
SELECT shape('SELECT grp, score(max(k)) FROM few GROUP BY grp UNION ALL SELECT grp, score(min(k)) FROM many GROUP BY grp', options => NULL);
SELECT shape('SELECT f.id, score(f.k + m.k) FROM few f JOIN many m USING (id) UNION ALL SELECT id, score(k) FROM few', options => NULL);
SELECT shape('SELECT id, noted(k) FROM few UNION ALL SELECT id, noted(k) FROM many LIMIT 12', options => :'analyze');
SELECT shape('SELECT id, score(k) FROM few UNION SELECT id, score(k) FROM many WHERE id < 12', options => NULL);
-- each sorted by itself, from 17 on, unless that is undone
SET enable_hashagg = off;
SELECT shape('SELECT id, score(k) FROM few UNION SELECT id, score(k) FROM many WHERE id < 12', options => NULL);
RESET enable_hashagg;
SELECT shape('SELECT id, picky(k) FROM few WHERE id < 10 UNION ALL SELECT id, picky(13) FROM many LIMIT 9');
SELECT shape('SELECT id, CASE WHEN known(k) THEN score(k) END FROM few UNION ALL SELECT id, CASE WHEN known(id) THEN score(id) END FROM many WHERE id < 3');
SELECT shape('SELECT score(1) UNION ALL SELECT score(2) UNION ALL SELECT score(k) FROM few WHERE id = 3');
SELECT shape('SELECT id::bigint, score(k)::bigint FROM few UNION ALL SELECT id, score(k) FROM many WHERE id < 3');
SELECT shape('SELECT id, row_number() OVER (ORDER BY id), score(k) FROM few UNION ALL SELECT id, 1, score(k) FROM many WHERE id < 3', options => NULL);
SELECT shape('SELECT id, score((SELECT max(k) FROM few)) FROM few UNION ALL SELECT id, score((SELECT min(k) FROM few)) FROM few', options => NULL);
CREATE TABLE typed AS TABLE both_tables;
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'typed'::regclass AND attnum > 0;
DROP TABLE typed;
CREATE TABLE named (n varchar(8), k int);
CREATE TABLE named_too (n varchar(8), k int);
INSERT INTO named VALUES ('a', 1);
INSERT INTO named_too VALUES ('b', 2);
CREATE TABLE typed AS SELECT n, score(k) FROM named UNION ALL SELECT n, score(k) FROM named_too;
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'typed'::regclass AND attnum > 0;
DROP TABLE typed, named, named_too;
DROP VIEW both_tables;

-- foreign tables
CREATE EXTENSION postgres_fdw;
DO $$
BEGIN
  EXECUTE format('CREATE SERVER there FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host %L, port %L, dbname %L)',
                 split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_database());
END $$;
CREATE USER MAPPING FOR CURRENT_USER SERVER there;
CREATE FOREIGN TABLE few_there (id int, k int, grp int) SERVER there OPTIONS (table_name 'few');
CREATE FOREIGN TABLE many_there (id int, k int, grp int) SERVER there OPTIONS (table_name 'many', fetch_size '50');
CREATE TABLE kept AS SELECT * FROM few;
CREATE FOREIGN TABLE kept_there (id int, k int, grp int) SERVER there OPTIONS (table_name 'kept');
SELECT shape('SELECT id, score(k) FROM few_there WHERE grp < 2', options => ', VERBOSE');
SELECT shape('SELECT id, k FROM few_there WHERE score(k) > 15 AND grp = 1', options => ', VERBOSE');
SELECT shape('SELECT id, score(k) FROM many_there', options => :'analyze');
SELECT shape('SELECT id, noted(k) FROM many_there LIMIT 10', options => :'analyze');
SELECT shape('SELECT f.id, score(f.k + m.k) FROM few_there f JOIN many_there m ON m.id = f.id', options => ', VERBOSE');
SELECT shape('SELECT id, p FROM few_there, parts(k) p');
SELECT shape('SELECT sum(score(k)), max(grp) FROM few_there', options => ', VERBOSE');
SELECT shape('SELECT grp, score(count(*)::int) FROM few_there GROUP BY grp ORDER BY grp', options => ', VERBOSE');
-- two scans of one connection at a time
SELECT shape('SELECT m.id, score(m.k), n.id, score(n.id) FROM many_there m JOIN few_there n ON score(n.k) / 10 = m.id', options => NULL);
-- written to
SELECT shape('UPDATE kept_there SET k = score(k) WHERE id < 4', 'SELECT * FROM kept_there ORDER BY id', ', VERBOSE');
SELECT shape('DELETE FROM kept_there WHERE score(k) = 20', 'SELECT id FROM kept_there ORDER BY id');
SELECT shape('INSERT INTO kept_there SELECT id + 100, score(k) FROM few', 'SELECT * FROM kept_there WHERE id > 100 ORDER BY id');
SELECT shape('UPDATE kept_there SET k = 0 WHERE id = 3', 'SELECT * FROM kept_there WHERE id = 3', ', VERBOSE');
-- under an Append that is asynchronous where nothing stands between
ALTER SERVER there OPTIONS (ADD async_capable 'true');
CREATE TABLE mixed (id int, k int, grp int) PARTITION BY RANGE (id);
CREATE FOREIGN TABLE mixed_1 PARTITION OF mixed FOR VALUES FROM (0) TO (5) SERVER there OPTIONS (table_name 'mixed_1_there');
CREATE FOREIGN TABLE mixed_2 PARTITION OF mixed FOR VALUES FROM (5) TO (9) SERVER there OPTIONS (table_name 'mixed_2_there');
CREATE TABLE mixed_3 PARTITION OF mixed FOR VALUES FROM (9) TO (100);
CREATE TABLE mixed_1_there AS SELECT * FROM few WHERE id < 5;
CREATE TABLE mixed_2_there AS SELECT * FROM few WHERE id BETWEEN 5 AND 8;
INSERT INTO mixed SELECT * FROM few WHERE id > 8;
SELECT shape('SELECT id, grp FROM mixed WHERE grp < 3 ORDER BY id');
SELECT shape('SELECT id, score(k) FROM mixed ORDER BY id', options => :'analyze');
SELECT shape('SELECT id FROM mixed WHERE score(k) > 10 AND grp < 3 ORDER BY id');
SELECT shape('SELECT sum(score(k)) FROM mixed');
SELECT shape('SELECT count(*), sum(s), sum(id) FROM (SELECT id, score(k) AS s FROM mixed WHERE score(k) > 10 OFFSET 0) q');
SELECT shape('SELECT id, p FROM mixed, parts(k) p ORDER BY 1, 2');
SELECT left_over();

DROP TABLE parted, parted_too, parent, child, mixed, mixed_1_there, mixed_2_there, kept;
DROP SERVER there CASCADE;
DROP EXTENSION postgres_fdw;
CALL clean_up();
