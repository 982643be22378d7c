--
-- flush() tells a role of what it has enqueued itself, also where several
-- pass through one session, as behind a pooler.
--
\set VERBOSITY terse
CREATE ROLE regress_ccr_ann;
CREATE ROLE regress_ccr_bob;
CREATE TABLE noted (n int);
GRANT ALL ON noted TO PUBLIC;
CREATE FUNCTION note(n text) RETURNS void LANGUAGE concresce VOLATILE
AS $$ INSERT INTO noted SELECT unnest(collect(n))::int $$;
CREATE FUNCTION settled() RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1 .. 3000 LOOP
    EXIT WHEN (SELECT sum(queued + active) = 0 FROM concresce.stats WHERE function = 'note(text)'::regprocedure);
    PERFORM pg_sleep(0.01);
  END LOOP;
  RETURN (SELECT sum(queued + active) = 0 FROM concresce.stats WHERE function = 'note(text)'::regprocedure);
END $$;

SET ROLE regress_ccr_ann;
SELECT concresce.enqueue('note', '1'), concresce.enqueue('note', 'ann''s secret');
RESET ROLE;
SELECT settled();
SET ROLE regress_ccr_bob;
SELECT concresce.flush();
SELECT concresce.flush('note');
SELECT concresce.enqueue('note', '2');
SELECT concresce.flush();
RESET ROLE;
SELECT concresce.flush();
-- a function of another's is called by her all the same
CREATE FUNCTION definer() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN RETURN concresce.flush(); END $$;
ALTER FUNCTION definer OWNER TO regress_ccr_ann;
SET ROLE regress_ccr_bob;
SELECT definer();
-- she is told of it, once
SET ROLE regress_ccr_ann;
\set VERBOSITY default
SELECT concresce.flush();
\set VERBOSITY terse
SELECT concresce.flush();

-- a transaction that several roles have a part in
BEGIN;
SELECT concresce.enqueue('note', '3') FROM generate_series(1, 3);
SET LOCAL ROLE regress_ccr_bob;
SELECT concresce.flush();
SELECT concresce.enqueue('note', '4');
SAVEPOINT s;
SELECT concresce.enqueue('note', '4');
SELECT concresce.flush();
ROLLBACK TO s;
SELECT concresce.flush();
SET LOCAL ROLE regress_ccr_ann;
SELECT concresce.flush();
COMMIT;
SELECT concresce.flush();
SET ROLE regress_ccr_bob;
SELECT concresce.flush();

-- what another waits for is no reason to wait, nor to be told
SET ROLE regress_ccr_ann;
SET concresce.max_window = '60s';
SELECT concresce.enqueue('note', '5');
SET ROLE regress_ccr_bob;
SELECT concresce.flush(timeout => '0 s');
SET ROLE regress_ccr_ann;
SELECT concresce.flush();
RESET ROLE;
RESET concresce.max_window;

-- roles by the hundred: nothing is kept of them in shared memory
CREATE PROCEDURE pass_through(n int) LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1 .. n LOOP
    EXECUTE format('CREATE ROLE regress_ccr_tenant_%s', i);
  END LOOP;
  COMMIT;
  FOR i IN 1 .. n LOOP
    EXECUTE format('SET ROLE regress_ccr_tenant_%s', i);
    PERFORM concresce.enqueue('note', i::text);
    COMMIT;
    RESET ROLE;
  END LOOP;
END $$;
ALTER FUNCTION note SECURITY DEFINER SET concresce.server = '' SET concresce.key = '';
CALL pass_through(300);
SELECT settled();
SET ROLE regress_ccr_tenant_300;
SELECT concresce.flush();
RESET ROLE;
CREATE FUNCTION at_rest() RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1 .. 3000 LOOP
    EXIT WHEN (SELECT used = 0 FROM concresce.memory());
    PERFORM pg_sleep(0.01);
  END LOOP;
  RETURN (SELECT used = 0 FROM concresce.memory());
END $$;
SELECT at_rest();
DO $$ BEGIN FOR i IN 1 .. 300 LOOP EXECUTE format('DROP ROLE regress_ccr_tenant_%s', i); END LOOP; END $$;
SELECT array_agg(n ORDER BY n) FROM (SELECT n FROM noted ORDER BY n LIMIT 7) s;

DROP FUNCTION note, settled, definer, at_rest;
DROP PROCEDURE pass_through;
DROP TABLE noted;
DROP ROLE regress_ccr_ann, regress_ccr_bob;
