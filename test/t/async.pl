# Asynchronous calls: very many, with a small queue, and when something dies.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('async', conf => <<'EOF_CONF');
concresce.shared_memory = 16MB
max_prepared_transactions = 2
EOF_CONF
make_far($node);
$node->safe_psql('far', 'INSERT INTO items SELECT i, \'v\' || i FROM generate_series(1001, 20000) i; ANALYZE items');
$node->safe_psql('postgres', define('far', 'long(t text)' => 'int STABLE' => 'SELECT gate(length(t))'));
$node->safe_psql('postgres', "SELECT v(1), gate(1), vgate(1), div(1), long('x')");

sub law
{
	my ($name) = @_;

	at_rest($node, "$name: nothing is left behind");
	return;
}

# ---- ten thousand ----------------------------------------------------------

# All of them open in one session, and every one of them gets its own answer.
my $gate = close_gate($node);
my $many = call($node, <<'EOF_SQL');
BEGIN;
CREATE TEMP TABLE r AS SELECT i, concresce.submit('v', i) AS id FROM generate_series(1, 10000) i;
SELECT concresce.submit('gate', 7) AS gated \gset
SELECT 'done', array_length(done, 1), array_length(not_done, 1)
FROM concresce.wait((SELECT array_agg(id ORDER BY i) FROM r) || :gated::bigint, 'all_completed', '2 s');
SELECT 'memory', used BETWEEN 10001 * 100 AND 10001 * 1000 FROM concresce.memory();
SELECT 'right', count(*) FROM (SELECT unnest(concresce.gather(array_agg(id ORDER BY i))) AS v, generate_series(1, 10000) AS i FROM r) s WHERE v = 'v' || i;
TRUNCATE r;
INSERT INTO r SELECT i, concresce.submit('v', i) FROM generate_series(1, 10000) i;
SELECT 'streamed', count(*) FROM concresce.as_completed((SELECT array_agg(id) FROM r)) c JOIN r ON id = request WHERE result = 'v' || i;
TRUNCATE r;
INSERT INTO r SELECT i, concresce.submit('public.div', i) FROM generate_series(1, 10000) i;
SELECT 'awaited', sum(concresce.await(id, NULL::int)) FROM r;
TRUNCATE r;
INSERT INTO r SELECT i, concresce.submit('gate', i) FROM generate_series(10001, 20000) i;
SELECT 'cancelled', concresce.cancel(VARIADIC array_agg(id)) FROM r;
SELECT 'open', count(*) FROM concresce.in_flight;
COMMIT
EOF_SQL
my $started = time;
is($many->out, join("\n", 'done|10000|1', 'memory|t', 'right|10000', 'streamed|10000', 'awaited|7069', 'cancelled|10000', 'open|1'),
	'10,000 calls open in one session');
is($many->err, '', 'and no error');
cmp_ok(time - $started, '<', 30, 'in no more than seconds');
open_gate($gate);
law('10,000');
is(answered($node, 'v'), 20001, 'each call of v() is counted once');
is($node->safe_psql('postgres', q{SELECT cancelled FROM concresce.stats WHERE function::text LIKE 'gate(%'}), '10001',
	'so is each that was cancelled, or left at the end of the transaction');

# One at a time they come, and each is told from the others.
my $single = attempt($node, <<'EOF_SQL', max_size => 1);
BEGIN;
CREATE TEMP TABLE r AS SELECT i, concresce.submit('v', i) AS id FROM generate_series(1, 10000) i;
SELECT count(*) FROM concresce.as_completed((SELECT array_agg(id) FROM r)) c JOIN r ON id = request WHERE result = 'v' || i;
COMMIT
EOF_SQL
is($single->out, '10000', '10,000 batches of one');
law('batches of one');

# A session that ends calls for ever does not remember all of them.
my $endless = attempt($node, <<'EOF_SQL');
BEGIN;
SELECT concresce.submit('v', 1) AS id \gset
DO $$ BEGIN FOR i IN 1 .. 110 LOOP
	PERFORM concresce.gather((SELECT array_agg(concresce.submit('v', NULL)) FROM generate_series(1, 1000)));
	IF i % 20 = 0 THEN PERFORM concresce.cancel(VARIADIC (SELECT array_agg(concresce.submit('gate', i)) FROM generate_series(1, 10))); END IF;
END LOOP; END $$;
SELECT concresce.await(:id);
SELECT total_bytes < 32 * 1024 * 1024 FROM pg_backend_memory_contexts WHERE name = 'concresce futures';
COMMIT;
SELECT total_bytes < 64 * 1024 FROM pg_backend_memory_contexts WHERE name = 'concresce futures'
EOF_SQL
is($endless->out, "v1\nt\nt", '110,000 calls in a transaction, and their memory');
law('110,000');

# ---- the bounds ------------------------------------------------------------

# What one holds back oneself must not block the queue.
$node->safe_psql('postgres', 'ALTER SYSTEM SET concresce.queue_size = 10');
$node->reload;
poll($node, "SELECT current_setting('concresce.queue_size') = '10'");
is(attempt($node, q(SELECT array_length(concresce.gather((SELECT array_agg(concresce.submit('v', i)) FROM generate_series(1, 5000) i)), 1)))->out,
	'5000', 'a queue of 10 items, and 5,000 calls');
my $full = attempt($node, q(SELECT concresce.gather((SELECT array_agg(concresce.submit('v', i)) FROM generate_series(1, 5000) i))), on_full => 'error');
is($full->sqlstate, '53400', 'on_full = error');
law('a full queue');
$gate = close_gate($node);
foreach my $signal (qw(pg_cancel_backend pg_terminate_backend))
{
	my $waits = call($node, q(BEGIN; SET LOCAL concresce.server = 'elsewhere'; SELECT count(concresce.submit('gate', i)) FROM generate_series(1, 1000) i));
	poll($node, "SELECT queued >= 10 FROM concresce.stats WHERE function::text LIKE 'gate(%'");
	$waits->signal($signal);
	is($waits->sqlstate, $signal eq 'pg_cancel_backend' ? '57014' : '57P01', "$signal ends a wait for room");
	poll($node, "SELECT queued + active = 0 FROM concresce.stats WHERE function::text LIKE 'gate(%'");
}
open_gate($gate);
law('leaving a full queue');
$node->safe_psql('postgres', 'ALTER SYSTEM RESET concresce.queue_size');
$node->reload;
poll($node, "SELECT current_setting('concresce.queue_size') = '100000'");

# Whoever stops a lookup waits for what is held back, and sees it withdrawn,
# though no collector does. After that nothing is done, which might tell him.
foreach my $i (1 .. 10)
{
	my $withdraws = call($node, q{DO $$
DECLARE
	id bigint;
	next timestamptz;
BEGIN
	LOOP
		id = concresce.submit('v', 1);
		next = clock_timestamp() + '2.5 ms';
		WHILE clock_timestamp() < next LOOP END LOOP;
		PERFORM concresce.cancel(id);
		EXIT WHEN EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 4712);
	END LOOP;
END $$});
	my $stops = attempt($node, q{SET statement_timeout = '20 s';
DO $$ BEGIN
	WHILE NOT EXISTS (SELECT FROM concresce.stats WHERE function::text LIKE 'v(%' AND queued = 1) LOOP END LOOP;
	PERFORM pg_advisory_xact_lock(4712), concresce.stop('v');
END $$});
	is($stops->err, '', 'stop() and what is withdrawn');
	is($withdraws->err =~ s/.*55000.*//sr, '', 'and no more is submitted');
	$node->safe_psql('postgres', q(SELECT concresce.start('v')));
}
law('withdrawn');

# Requests for which there is no room fail, and leave no trace.
$gate = close_gate($node);
my $large = attempt($node, q(SELECT concresce.submit('long', repeat(i::text, 1000)) FROM generate_series(1, 9000) i));
is($large->sqlstate, '53400', 'more than a session may have of shared memory');
open_gate($gate);
law('out of memory');

# ---- progress --------------------------------------------------------------

$gate = close_gate($node);
my $progress = call($node, q(SELECT concresce.gather(ARRAY[concresce.submit('v', 1), concresce.submit('gate', 2)], progress => true)));
$progress->waiting;
sleep 3;
open_gate($gate);
is($progress->out, '{v1,20}', 'gather with progress');
like($progress->err, qr/NOTICE:  00000: 1 of 2 requests completed/, 'says how far it is');
my $notices = () = $progress->err =~ /NOTICE/g;
cmp_ok($notices, '>=', 2, 'more than once');
cmp_ok($notices, '<=', 10, 'but not all the time');
is(attempt($node, q(SELECT concresce.gather(ARRAY[concresce.submit('v', 1)], progress => true)))->err, '', 'what is quick says nothing');

# ---- leaving ---------------------------------------------------------------

foreach my $way (qw(pg_cancel_backend pg_terminate_backend))
{
	foreach my $waits ("concresce.gather(:'ids'::bigint[])", "concresce.wait(:'ids')", "concresce.await((:'ids'::bigint[])[1])",
		"concresce.as_completed(:'ids', NULL::text, true)")
	{
		$gate = close_gate($node);
		my $call = call($node, <<"EOF_SQL");
BEGIN;
SELECT array_agg(concresce.submit('gate', i)) AS ids FROM generate_series(1, 100) i \\gset
SELECT $waits
EOF_SQL
		poll($node, "SELECT count(*) = 100 FROM concresce.in_flight WHERE state = 'in flight'");
		poll($node, "SELECT state = 'active' AND query LIKE 'SELECT concresce.%' FROM pg_stat_activity WHERE application_name = '$call->{app}'");
		$call->signal($way);
		is($call->sqlstate, $way eq 'pg_cancel_backend' ? '57014' : '57P01', "$way ends $waits");
		ok(poll_far($node, 0), 'and the foreign query');
		open_gate($gate);
		at_rest($node);
	}
}

# Terminated while requests are held back, and between statements.
$gate = close_gate($node);
my $idle = call($node, q(BEGIN; SELECT concresce.submit('gate', 1); SELECT pg_sleep(60)));
$idle->waiting;
$idle->signal('pg_terminate_backend');
is($idle->sqlstate, '57P01', 'terminated with a call open');
open_gate($gate);
law('terminated');
my $held = attempt($node, q(SELECT concresce.submit('v', i), CASE WHEN i = 500 THEN pg_terminate_backend(pg_backend_pid()) END FROM generate_series(1, 1000) i));
is($held->sqlstate, '57P01', 'terminated with calls held back');
law('terminated while submitting');
is(attempt($node, q(SELECT concresce.submit('v', i), 1 / (500 - i) FROM generate_series(1, 1000) i))->sqlstate, '22012',
	'an error with calls held back');
law('an error while submitting');

# ---- the collector ---------------------------------------------------------

# It dies with calls in flight, queued and done; each is told, nothing hangs.
$gate = close_gate($node);
my $died = call($node, <<'EOF_SQL');
BEGIN;
SELECT array_agg(concresce.submit('v', i)) AS done FROM generate_series(1, 3) i \gset
SELECT array_length(done, 1) FROM concresce.wait(:'done');
SELECT ARRAY[concresce.submit('gate', 1), concresce.submit('vgate', 2)] AS ids \gset
SELECT pid AS before FROM pg_stat_activity WHERE backend_type = 'concresce collector' \gset
SELECT cardinality(done) FROM concresce.wait(:'ids', 'first_exception');
SELECT error_sqlstate FROM concresce.as_completed(:'ids', NULL::int, true) ORDER BY 1;
SELECT concresce.gather(:'done'::bigint[]);
SELECT concresce.await(concresce.submit('v', 4));
COMMIT
EOF_SQL
poll($node, "SELECT count(*) = 2 FROM concresce.in_flight WHERE state = 'in flight'");
$node->safe_psql('postgres', 'SELECT pg_terminate_backend(' . collector_pid($node) . ')');
$died->finish;
open_gate($gate);
is($died->out, "3\n2\n08007\n57000\n{v1,v2,v3}\nv4", 'the collector exits');
is($died->err, '', 'which no wait raises');
law('the collector exits');

# It is gone for good when requests are pushed, and knows no source when it
# comes back.
my $again = call($node, <<'EOF_SQL');
SELECT v(1);
SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE backend_type = 'concresce collector';
SELECT array_length(concresce.gather((SELECT array_agg(concresce.submit('v', i)) FROM generate_series(1, 1000) i)), 1);
SELECT count(*) FROM concresce.as_completed((SELECT array_agg(concresce.submit('v', i)) FROM generate_series(1, 1000) i))
EOF_SQL
is($again->out, "v1\nt\n1000\n1000", 'a new collector, which knows no source');
law('a new collector');

# ---- the session goes on computing -----------------------------------------

$gate = close_gate($node);
my $busy = call($node, q(SELECT concresce.submit('gate', 5), pg_sleep(60)));
ok($busy->waiting, 'a call leaves while its statement goes on');
$busy->signal('pg_cancel_backend');
$busy->finish;
my $computing = call($node, <<'EOF_SQL');
DO $$
DECLARE
	until timestamptz = clock_timestamp() + '60 s';
BEGIN
	PERFORM concresce.submit('gate', 6);
	WHILE clock_timestamp() < until LOOP END LOOP;
END $$
EOF_SQL
ok($computing->waiting, 'and while it computes');
$computing->signal('pg_cancel_backend');
$computing->finish;
open_gate($gate);
law('computing');

# ---- many sessions ---------------------------------------------------------

# With cancels, savepoints and errors at random.
my @sessions = call_all($node, 8, <<'EOF_SQL');
SELECT setseed(:i / 10.0);
DO $$
DECLARE
	ids bigint[]; n int;
BEGIN
	FOR round IN 1 .. 60 LOOP
		BEGIN
			SELECT array_agg(CASE WHEN random() < 0.9 THEN concresce.submit('v', 1 + (random() * 999)::int)
				ELSE concresce.submit('public.div', (random() * 3)::int) END) INTO ids FROM generate_series(1, 100);
			n = (random() * 4)::int;
			IF n = 0 THEN
				PERFORM concresce.cancel(VARIADIC ids[1:50]);
			ELSIF n = 1 THEN
				PERFORM concresce.wait(ids, 'first_completed');
			ELSIF n = 2 THEN
				PERFORM concresce.gather(ids);
			ELSIF n = 3 THEN
				PERFORM concresce.as_completed(ids, NULL::text, true) LIMIT 30;
			END IF;
			IF random() < 0.3 THEN RAISE division_by_zero; END IF;
		EXCEPTION WHEN division_by_zero THEN
		END;
	END LOOP;
END $$;
SELECT 'ok'
EOF_SQL
finish_all(@sessions);
is(scalar(grep { $_->out =~ /ok$/ && $_->err eq '' } @sessions), 8, 'eight sessions at random');
law('at random');
is($node->safe_psql('postgres', <<'EOF_SQL'), 't', 'no call is counted twice');
SELECT sum(calls) >= sum(errors + cancelled + timeouts + active + queued) FROM concresce.stats
EOF_SQL

# ---- several collectors ----------------------------------------------------

# Six servers, spread over them, in one session; and one of them goes away.
$node->append_conf('postgresql.conf', 'concresce.workers = 3');
$node->restart;
$node->safe_psql('postgres', join("\n", map { my $n = $_;
	"CREATE SERVER far$n FOREIGN DATA WRAPPER concresce OPTIONS (" . far_options($node) . ");\n"
	. "CREATE USER MAPPING FOR PUBLIC SERVER far$n;\n"
	. define("far$n", "v$n(n int)" => 'text STABLE' => "SELECT v || ' of $n' FROM items WHERE id = n",
		"gate$n(n int)" => 'int STABLE' => 'SELECT gate FROM gate(n)') } 1 .. 6));
is(attempt($node, <<'EOF_SQL')->out, '6000', 'six servers and three collectors');
SELECT count(*) FROM (SELECT i, j, concresce.submit(('v' || j)::regproc, i) AS id FROM generate_series(1, 1000) i, generate_series(1, 6) j) s
JOIN LATERAL (SELECT concresce.await(id) AS v) a ON v = 'v' || i || ' of ' || j
EOF_SQL
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'concresce collector%'}), '3', 'there are three');
$gate = close_gate($node);
my $split = call($node, <<'EOF_SQL');
BEGIN;
SELECT array_agg(concresce.submit(('gate' || j)::regproc, j) ORDER BY j) AS ids FROM generate_series(1, 6) j \gset
SELECT cardinality(done) BETWEEN 1 AND 5 FROM concresce.wait(:'ids', 'first_exception');
SELECT count(*) FILTER (WHERE error_sqlstate = '57000') BETWEEN 1 AND 5, count(*) FILTER (WHERE result > 0) BETWEEN 1 AND 5, count(*)
FROM concresce.as_completed(:'ids', NULL::int, true);
COMMIT
EOF_SQL
poll($node, "SELECT count(*) = 6 FROM concresce.in_flight WHERE state = 'in flight'");
poll($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = '$split->{app}' AND query LIKE '%first_exception%'");
my @collectors = split /\n/, collector_pid($node);
# the first that holds some but not all of them
foreach my $pid (@collectors)
{
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 30000)");
	last if $node->safe_psql('postgres', "SELECT count(*) < 6 FROM concresce.in_flight WHERE state = 'in flight'") eq 't';
}
poll($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = '$split->{app}' AND query LIKE '%as_completed%'");
open_gate($gate);
is($split->out, "t\nt|t|6", 'one of them exits: its calls fail, the others do not');
law('several collectors');

# ---- parameters as drivers send them ---------------------------------------

# psql and PREPARE cannot send a CALL without the types of its parameters.
$node->safe_psql('postgres', q{CREATE PROCEDURE awaited(f bigint) LANGUAGE plpgsql AS 'BEGIN PERFORM concresce.await(f); END'});
$node->pgbench('--no-vacuum --protocol=extended --transactions=1',
	0, [qr{processed: 1/1}], [qr{^$}], 'CALL',
	{ 'async_call' => q{\set k 7
CALL awaited(concresce.submit('v', :k));
} });
law('CALL');

done_testing();
