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
