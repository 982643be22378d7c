-- Functions about one lookup refuse NULL, which to_regproc() makes of a name that
-- it does not find; those about all say so in their names.
\set VERBOSITY terse
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT 2 * n';
CREATE FUNCTION note(n int) RETURNS void LANGUAGE concresce VOLATILE AS 'SELECT n';
CREATE FUNCTION outcome(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE 'SELECT concresce.' || call INTO result;
	RETURN coalesce(nullif(result, ''), 'done');
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;

-- null
SELECT call, outcome(call) FROM (VALUES
	('remote_sql(NULL)'), ('forget(NULL)'), ('forget(NULL, 1)'), ('forget_all(NULL)'), ('submit(NULL)'), ('submit(NULL, 1)'),
	('enqueue(NULL)'), ('enqueue(NULL, 1)'), ('flush(NULL)'), ($$flush(NULL, '1 s')$$), ($$flush(NULL, timeout => '1 s')$$),
	('stop(NULL)'), ('stop(NULL, true)'), ('start(NULL)'), ('discard(NULL)'), ('batch_sizes(NULL)'), ('reset_stats(NULL)'),
	($$stop(to_regproc('twise'), true)$$)) AS c (call);

-- all of them, and one
SELECT call, outcome(call) FROM (VALUES
	('forget_all()'), ($$forget_all('twice')$$), ($$forget_all(function => 'twice')$$), ('flush()'), ($$flush('note')$$),
	($$flush('note', '1 s')$$), ($$flush(timeout => '1 s')$$), ($$flush(function => 'note', timeout => NULL)$$), ('flush_all()'),
	($$flush_all('1 s')$$), ($$flush_all(timeout => '1 s')$$), ('stop()'), ('start()'), ($$stop('twice')$$), ($$stop('twice', true)$$),
	($$stop('twice', force => false)$$), ($$start('twice')$$), ('stop(force => true)'), ('start()'), ('stop_all()'), ('stop_all(true)'),
	('stop_all(force => false)'), ('start_all()'), ('reset_stats()'), ($$reset_stats('twice')$$), ('reset_stats_all()')) AS c (call);
SELECT concresce.stop_all();
SELECT twice(1);
SELECT function IS NULL AS all_of_them FROM concresce.stopped;
SELECT concresce.start_all();
SELECT twice(1);
SELECT sum(calls) > 0 AS counted FROM concresce.stats;
SELECT concresce.reset_stats_all();
SELECT sum(calls) FROM concresce.stats;

-- who may
CREATE ROLE all_lookups_nobody;
GRANT EXECUTE ON FUNCTION twice TO all_lookups_nobody;
SET ROLE all_lookups_nobody;
SELECT call, outcome(call) FROM (VALUES ('forget_all()'), ($$forget_all('public.twice')$$), ('flush_all()'), ('stop_all()'), ('start_all()'),
	($$stop('public.twice')$$), ('reset_stats_all()'), ($$reset_stats('public.twice')$$)) AS c (call);
RESET ROLE;
DROP FUNCTION twice, note, outcome;
DROP ROLE all_lookups_nobody;
