--
-- The batch node: cursors.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all

-- in small steps; what is read ahead is no more than a round
SELECT FROM asked();
BEGIN;
DECLARE c CURSOR FOR SELECT id, noted(k) FROM many;
FETCH 1 FROM c;
SELECT asked();
FETCH 3 FROM c;
FETCH 7 FROM c;
SELECT cardinality(asked()) <= 510;
FETCH 2 FROM c;
MOVE 1200 IN c;
FETCH 1 FROM c;
MOVE FORWARD ALL IN c;
FETCH 1 FROM c;
COMMIT;
-- backward with SCROLL only
BEGIN;
DECLARE c CURSOR FOR SELECT id, score(k) FROM few;
FETCH 3 FROM c;
SAVEPOINT s;
FETCH BACKWARD 1 FROM c;
ROLLBACK TO s;
FETCH 1 FROM c;
COMMIT;
SELECT plan_of('DECLARE c SCROLL CURSOR FOR SELECT id, score(k) FROM few', '');
SELECT plan_of('DECLARE c NO SCROLL CURSOR FOR SELECT id, score(k) FROM few', '');
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id, score(k) FROM few;
FETCH 4 FROM c;
FETCH BACKWARD 2 FROM c;
FETCH PRIOR FROM c;
FETCH LAST FROM c;
FETCH FIRST FROM c;
FETCH ABSOLUTE 7 FROM c;
FETCH RELATIVE -3 FROM c;
FETCH BACKWARD ALL FROM c;
FETCH FORWARD 2 FROM c;
COMMIT;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id, p FROM few, parts(k) p WHERE score(k) > 10;
FETCH 3 FROM c;
FETCH BACKWARD 2 FROM c;
FETCH ALL FROM c;
COMMIT;
-- WHERE CURRENT OF: the row that was fetched last, not that read last
SELECT plan_of('DECLARE c CURSOR FOR SELECT id, score(k) FROM few FOR UPDATE', '');
BEGIN;
DECLARE c CURSOR FOR SELECT id, score(k) FROM few;
FETCH 2 FROM c;
UPDATE few SET grp = 100 WHERE CURRENT OF c RETURNING id;
FETCH 1 FROM c;
DELETE FROM few WHERE CURRENT OF c RETURNING id;
FETCH 1 FROM c;
SELECT id, grp FROM few WHERE id < 5 ORDER BY id;
ROLLBACK;
BEGIN;
DECLARE c CURSOR FOR SELECT id, score(k) FROM few WHERE score(k) > 15 FOR UPDATE;
FETCH 3 FROM c;
UPDATE few SET grp = score(k) WHERE CURRENT OF c RETURNING id, grp;
FETCH 1 FROM c;
SELECT id, grp FROM few ORDER BY id;
ROLLBACK;
BEGIN;
SET LOCAL enable_seqscan = off;
DECLARE c CURSOR FOR SELECT id, score(k) FROM many WHERE id BETWEEN 5 AND 300;
MOVE 150 IN c;
FETCH 1 FROM c;
DELETE FROM many WHERE CURRENT OF c RETURNING id;
ROLLBACK;
-- WITH HOLD
BEGIN;
DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT id, score(k) FROM few WHERE known(k);
FETCH 2 FROM c;
COMMIT;
FETCH 2 FROM c;
FETCH BACKWARD 1 FROM c;
CLOSE c;
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT id, picky(k) FROM few;
FETCH 2 FROM c;
COMMIT;
FETCH 2 FROM c;
SELECT left_over();
-- a savepoint that was rolled back: what was read ahead in it is read again
BEGIN;
DECLARE c CURSOR FOR SELECT id, score(k) FROM many;
FETCH 2 FROM c;
SAVEPOINT s;
MOVE 115 IN c;
FETCH 1 FROM c;
ROLLBACK TO s;
FETCH 2 FROM c;
MOVE 1000 IN c;
FETCH 1 FROM c;
SAVEPOINT s;
MOVE 200 IN c;
RELEASE s;
FETCH 1 FROM c;
COMMIT;
BEGIN;
SAVEPOINT s;
DECLARE c CURSOR FOR SELECT id, score(k), label(after(k)) FROM many;
MOVE 500 IN c;
ROLLBACK TO s;
COMMIT;
SELECT left_over();
-- an error in a fetch ends the cursor; its transaction goes on from a savepoint
BEGIN;
DECLARE c CURSOR FOR SELECT id, picky(k) FROM few;
FETCH 9 FROM c;
SAVEPOINT s;
FETCH 1 FROM c;
ROLLBACK TO s;
FETCH 1 FROM c;
ROLLBACK;
SELECT left_over();
-- rows before one whose arguments or conditions fail
BEGIN;
DECLARE c CURSOR FOR SELECT id, score(10 / (id - 5)) FROM few;
FETCH 4 FROM c;
FETCH 1 FROM c;
ROLLBACK;
BEGIN;
DECLARE c CURSOR FOR SELECT id, CASE WHEN 10 / (id - 6) > 0 THEN score(id) END FROM few;
FETCH 5 FROM c;
FETCH 1 FROM c;
ROLLBACK;
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM few WHERE score(10 / (id - 5)) IS NULL AND score(after(10 / (id - 4))) IS NULL;
FETCH 3 FROM c;
FETCH 1 FROM c;
ROLLBACK;
-- closed on the way, with lookups under way
BEGIN;
DECLARE c CURSOR FOR SELECT id, score(k), label(after(k)) FROM many;
DECLARE d CURSOR FOR SELECT id, p FROM many, parts(k) p;
MOVE 1111 IN c;
MOVE 500 IN d;
FETCH 1 FROM c;
FETCH 1 FROM d;
CLOSE c;
CLOSE d;
SELECT left_over();
COMMIT;
BEGIN;
DECLARE c CURSOR FOR SELECT id, score(k), label(after(k)) FROM many;
MOVE 1111 IN c;
ROLLBACK;
SELECT left_over();
-- several at a time
BEGIN;
DECLARE c CURSOR FOR SELECT id, score(k) FROM few;
DECLARE d CURSOR FOR SELECT id, score(k) FROM few ORDER BY id DESC;
FETCH 2 FROM c;
FETCH 2 FROM d;
FETCH 2 FROM c;
FETCH 2 FROM d;
COMMIT;
-- of PL/pgSQL, with commits between
CREATE TABLE log (id int, s int);
DO $$
DECLARE
  r record;
BEGIN
  FOR r IN SELECT id, score(k) AS s FROM many LOOP
    IF r.id % 500 = 0 THEN
      INSERT INTO log VALUES (r.id, r.s);
      COMMIT;
    END IF;
  END LOOP;
END $$;
SELECT * FROM log;
DO $$
DECLARE
  c CURSOR (low int) FOR SELECT id, score(k) AS s FROM many WHERE id > low;
  r record;
  n int := 0;
BEGIN
  FOR r IN c (100) LOOP
    UPDATE many SET grp = r.s WHERE CURRENT OF c;
    n := n + 1;
    EXIT WHEN n = 120;
  END LOOP;
  RAISE WARNING '% % %', n, (SELECT count(*) FROM many WHERE grp = score(k)), (SELECT max(id) FROM many WHERE grp = score(k));
  ROLLBACK;
END $$;
-- a loop is no cursor: a list is looked up in rounds, whatever filters its rows
SELECT concresce.reset_stats();
DO $$
DECLARE
  r record;
  n int := 0;
BEGIN
  FOR r IN SELECT id, label(k) FROM many WHERE score(k) > 0 LOOP
    n := n + 1;
  END LOOP;
  RAISE WARNING '%', n;
END $$;
SELECT calls, batches < 10 FROM concresce.stats WHERE function IN ('label'::regproc, 'score'::regproc) ORDER BY 1;
SELECT left_over();

DROP TABLE log;
CALL clean_up();
