--
-- When a batch is sent: windows, full batches, connections, and the queue.
--
\getenv srcdir PG_ABS_SRCDIR
\set play :srcdir '/lib/play.sql'
\set ECHO none
\i :play
\set ECHO all
CREATE FUNCTION gated(a int) RETURNS text LANGUAGE concresce STABLE AS $$ SELECT split_part(gated(gated.a), ',', 1) $$;
CREATE FUNCTION measure(t text) RETURNS int LANGUAGE concresce STABLE AS 'SELECT length(t)';
CREATE FUNCTION sizes() RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(format('%s of %s to %s', batches, from_size, to_size), ', ' ORDER BY from_size)
  FROM concresce.batch_sizes('gated')
$$;

-- full: max_size items, counted after what is identical has been joined
CALL play('a: SET concresce.max_window = ''60s''; SET concresce.max_size = 3',
          'b: SET concresce.max_window = ''60s''; SET concresce.max_size = 3',
          'c: SET concresce.max_window = ''60s''; SET concresce.max_size = 3',
          'a> SELECT gated(1)', '1 queued', 'b> SELECT gated(2)', '2 queued', 'c> SELECT gated(3)', 'a', 'b', 'c', 'counters()');
CALL play('a: SET concresce.max_window = ''60s''; SET concresce.max_size = 3',
          'b: SET concresce.max_window = ''60s''; SET concresce.max_size = 3',
          'c: SET concresce.max_window = ''60s''; SET concresce.max_size = 3',
          'd: SET concresce.max_window = ''60s''; SET concresce.max_size = 3',
          'a> SELECT gated(1)', '1 queued', 'b> SELECT gated(1)', '2 queued', 'c> SELECT gated(2)', '3 queued',
          'd> SELECT gated(4)', 'a', 'b', 'c', 'd', 'counters()', 'sizes()');
-- the more impatient decides: a window ends, or a smaller batch will do
CALL play('a: SET concresce.max_window = ''60s''', 'b: SET concresce.max_window = ''10ms''',
          'a> SELECT gated(1)', '1 queued', 'b> SELECT gated(2)', 'a', 'b', 'counters()');
CALL play('a: SET concresce.max_window = ''60s''', 'b: SET concresce.max_window = ''10ms''',
          'a> SELECT gated(1)', '1 queued', 'b> SELECT gated(1)', 'a', 'b', 'counters()');
CALL play('a: SET concresce.max_window = ''60s''', 'b: SET concresce.max_size = 2',
          'a> SELECT gated(1)', '1 queued', 'b> SELECT gated(2)', 'a', 'b', 'counters()');
CALL play('a: SET concresce.max_window = ''20ms''', 'a> SELECT gated(1)', 'a', 'counters()');
-- full: max_bytes
CALL play('a: SET concresce.max_window = ''60s''; SET concresce.max_bytes = ''1kB''',
          'b: SET concresce.max_window = ''10ms''; SET concresce.max_bytes = ''1kB''',
          'a> SELECT measure(repeat(''x'', 400))', '1 queued', 'b> SELECT measure(repeat(''y'', 500))', 'a', 'b', 'counters()');
CALL play('a: SET concresce.max_window = ''60s''; SET concresce.max_bytes = ''1kB''',
          'b: SET concresce.max_window = ''10ms''; SET concresce.max_bytes = ''1kB''',
          'a> SELECT measure(repeat(''x'', 500))', '1 queued', 'b> SELECT measure(repeat(''y'', 600))', 'a', 'b', 'counters()');
CALL play('a: SET concresce.max_window = ''60s''; SET concresce.max_bytes = ''1kB''',
          'a> SELECT measure(repeat(''x'', 5000))', 'a', 'counters()');

-- without a window a lone call goes at once; with all connections busy the
-- next batch grows, and goes when one is free
CALL play('close', 'a> SELECT gated(1)', '1 runs', 'b> SELECT gated(2)', '2 runs', 'c> SELECT gated(3)', '3 runs',
          'd> SELECT gated(4)', '4 runs', 'e> SELECT gated(5)', '1 queued', 'f> SELECT gated(6)', '2 queued',
          'g> SELECT gated(5)', '3 queued', 'open', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'counters()', 'sizes()');
-- an item of more than max_size = 1 never has company
CALL play('a: SET concresce.max_size = 1', 'close', 'b> SELECT gated(1)', '1 runs', 'c> SELECT gated(2)', '2 runs',
          'd> SELECT gated(3)', '3 runs', 'e> SELECT gated(4)', '4 runs', 'a> SELECT gated(5)', '1 queued',
          'f> SELECT gated(6)', '2 queued', 'open', 'b', 'c', 'd', 'e', 'a', 'f', 'counters()', 'sizes()');

-- a limit leaves with who has brought it
CALL play('e: SET concresce.max_size = 1', 'close', 'a> SELECT gated(1)', '1 runs', 'b> SELECT gated(2)', '2 runs',
          'c> SELECT gated(3)', '3 runs', 'd> SELECT gated(4)', '4 runs', 'f> SELECT gated(5)', '1 queued', 'e> SELECT gated(6)', '2 queued',
          'g> SELECT gated(7)', '3 queued', 'pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = ''e''', 'e', 'comes(''sum(queued) = 2 FROM concresce.stats'')',
          'open', 'a', 'b', 'c', 'd', 'f', 'g', 'counters()', 'sizes()');

-- backpressure: with all connections busy, two more items may wait
ALTER SYSTEM SET concresce.queue_size = 2;
SELECT pg_reload_conf();
SELECT comes('r = ''2'' FROM dblink(here(), ''SHOW concresce.queue_size'') t(r text)');
CREATE FUNCTION waits_for_room(app text) RETURNS bool LANGUAGE sql AS
$$ SELECT comes('count(*) = 1 FROM pg_stat_activity WHERE application_name = $1[1] AND wait_event_type = ''Extension''', app) $$;
CREATE PROCEDURE play_full(VARIADIC steps text[]) LANGUAGE plpgsql AS $$
BEGIN
  CALL play(VARIADIC ARRAY['close', 'a> SELECT gated(1)', '1 runs', 'b> SELECT gated(2)', '2 runs',
                           'c> SELECT gated(3)', '3 runs', 'd> SELECT gated(4)', '4 runs',
                           'e> SELECT gated(5)', '1 queued', 'f> SELECT gated(6)', '2 queued']
                     || steps || ARRAY['a', 'b', 'c', 'd', 'e', 'f', 'counters()']);
END $$;
-- wait, for as long as the timeout allows; or an error at once
CALL play_full('g> SELECT gated(7)', 'waits_for_room(''g'')', '2 queued', 'open', 'g');
CALL play_full('g: SET concresce.timeout = ''200ms''', 'g> SELECT gated(7)', 'g', 'open');
CALL play_full('g: SET concresce.on_full = error', 'g> SELECT gated(7)', 'g', 'open');
-- interruptibly
CALL play_full('g> SELECT gated(7)', 'waits_for_room(''g'')',
               'pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = ''g''', 'g', 'open');
-- one that leaves makes room, and so does one that joins another's flight
CALL play_full('g> SELECT gated(7)', 'waits_for_room(''g'')',
               'pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = ''e''', 'e', '2 queued', 'open', 'g');
CALL play('close', 'a> SELECT gated(1)', '1 runs', 'b> SELECT gated(1)', '2 in flight', 'c> SELECT gated(1)', '3 in flight',
          'd> SELECT gated(1)', '4 in flight', 'e: SET concresce.on_full = error', 'e> SELECT gated(2)', '2 runs', 'open',
          'a', 'b', 'c', 'd', 'e', 'counters()');
ALTER SYSTEM RESET concresce.queue_size;
SELECT pg_reload_conf();

DROP PROCEDURE play_full;
DROP FUNCTION gated, measure, sizes, waits_for_room;
CALL clean_up();
