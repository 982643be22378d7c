# What flies together: windows and limits, how many connections carry it, the
# queue before them, and what large results and a small shared memory do.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('local', conf => <<'EOF_CONF');
concresce.shared_memory = 8MB
concresce.max_connections = 3
EOF_CONF
make_far($node);
$node->safe_psql('postgres', define('far',
	'big(n int)' => 'text STABLE' => "SELECT repeat('x', n)",
	'echo(s text)' => 'int STABLE' => 'SELECT length(s)'));

sub fresh
{
	$node->safe_psql('postgres', 'SELECT concresce.reset_stats(); SELECT pg_stat_statements_reset()');
	return;
}

sub sizes
{
	my ($function) = @_;

	return $node->safe_psql('postgres',
		"SELECT batches, batch_size_max, coalesced, misses FROM concresce.stats WHERE function::text LIKE '$function(%'");
}

# ---- windows and limits ----------------------------------------------------

# A lone call to begin with, so that what follows is neither described nor
# prepared first.
is(attempt($node, 'SELECT v(1)')->out, 'v1', 'a lone call');

fresh();
my @calls = finish_all(call_all($node, 12, 'SELECT v(:i)', max_window => '60s', max_size => 12));
is(join(',', map { $_->out } @calls), join(',', map { "v$_" } 1 .. 12), 'a full batch goes at once, each gets his answer');
is(foreign_queries($node), 1, '12 sessions, one foreign query');
is(sizes('v'), '1|12|0|12', 'stats say the same');

fresh();
@calls = finish_all(call_all($node, 12, 'SELECT v(:i % 3)', max_window => '3s'));
is(foreign_queries($node), 1, 'the end of the window sends what has come');
is(sizes('v'), '1|3|9|3', 'items are counted after coalescing');

fresh();
@calls = finish_all(call_all($node, 12, 'SELECT v(:i)', max_window => '60s', max_size => 4));
is(sizes('v'), '3|4|0|12', 'max_size splits');
is(foreign_queries($node), 3, 'in as many queries');

# A long argument goes alone, short ones together: 3 x 600 bytes in 1 kB.
fresh();
@calls = finish_all(call_all($node, 6, "SELECT echo(repeat(':i', 600))",
	max_window => '500ms', max_bytes => 1024));
is(join(',', map { $_->out } @calls), join(',', (600) x 6), 'max_bytes: all are answered');
is(sizes('echo'), '6|1|0|6', 'in batches of no more than that');
fresh();
is(attempt($node, "SELECT echo(repeat('y', 5000))", max_bytes => 1024)->out, '5000', 'a longer one goes alone');

# The most impatient of those who wait decides.
fresh();
my $patient = call($node, 'SELECT v(21)', max_window => '60s');
$patient->waiting('queued');
is(attempt($node, 'SELECT v(22)')->out, 'v22', 'one without a window');
is($patient->out, 'v21', 'takes the others along');
is(foreign_queries($node), 1, 'in one query');

# ---- connections -----------------------------------------------------------

fresh();
my $gate = close_gate($node);
@calls = call_all($node, 6, 'SELECT gate(:i)', max_size => 1);
ok(poll_far($node, 3), 'max_connections are busy');
poll($node, 'SELECT sum(active) = 3 AND sum(queued) = 3 FROM concresce.stats');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'concresce'"),
	3, 'and there are no more of them');
my @more = call_all($node, 6, 'SELECT gate(10 + :i)');
poll($node, 'SELECT sum(queued) = 9 FROM concresce.stats');
open_gate($gate);
is(join(',', map { $_->out } finish_all(@calls, @more)),
	join(',', map { 10 * $_ } 1 .. 6, 11 .. 16), 'what waited is served');
my ($batches) = split /\|/, sizes('gate');
cmp_ok($batches, '<', 12, 'in batches that grew while the connections were busy');

# Lowered, the limit holds for what comes next.
$node->append_conf('postgresql.conf', 'concresce.max_connections = 1');
$node->reload;
$gate = close_gate($node);
poll($node, "SELECT setting = '1' FROM pg_settings WHERE name = 'concresce.max_connections'");
is(attempt($node, 'SELECT v(1)')->out, 'v1', 'the collector has read its settings');
@calls = call_all($node, 3, 'SELECT gate(30 + :i)', max_size => 1);
poll($node, 'SELECT sum(active) + sum(queued) = 3 FROM concresce.stats');
ok(poll_far($node, 1), 'max_connections lowered: one batch at a time');
open_gate($gate);
finish_all(@calls);

# Who wants small batches does not make those of others small by asking for the same.
fresh();
$gate = close_gate($node);
my $busy = call($node, 'SELECT gate(40)');
poll_far($node, 1);
my @large = call_all($node, 6, 'SELECT gate(40 + :i)');
poll($node, 'SELECT sum(queued) = 6 FROM concresce.stats');
my @small = call_all($node, 6, 'SELECT gate(40 + :i)', max_size => 1, max_bytes => 1024);
poll($node, 'SELECT sum(queued) = 12 FROM concresce.stats');
open_gate($gate);
is(join(',', map { $_->out } finish_all($busy, @large, @small)), join(',', 400, (map { 400 + 10 * $_ } 1 .. 6) x 2), 'all are answered');
is(sizes('gate'), '2|6|6|7', 'one batch, though others who wait for its items want small ones');

# Nor does he wait for their window, for whom enough have come.
fresh();
$patient = call($node, 'SELECT v(21)', max_window => '60s');
$patient->waiting('queued');
is(attempt($node, 'SELECT v(21)', max_window => '60s', max_size => 1)->out, 'v21', 'who wants no company does not wait for it');
is($patient->out, 'v21', 'and the other neither');
$node->append_conf('postgresql.conf', 'concresce.max_connections = 3');

# ---- the queue -------------------------------------------------------------

$node->append_conf('postgresql.conf', "concresce.queue_size = 4\nconcresce.max_connections = 1");
$node->restart;
$gate = close_gate($node);
my $flying = call($node, 'SELECT gate(1)');
poll_far($node, 1);
my @queued = call_all($node, 4, 'SELECT gate(10 + :i)');
poll($node, 'SELECT sum(queued) = 4 FROM concresce.stats');
my $refused = attempt($node, 'SELECT gate(20)', on_full => 'error');
is($refused->sqlstate, '53400', 'on_full = error: a full queue is refused');
like($refused->err, qr/queue of lookup gate\(integer\) is full\nDETAIL:  4 items may wait/, 'and says so');
my @waiting = call_all($node, 3, 'SELECT gate(30 + :i)');
poll($node, "SELECT count(*) = 3 FROM pg_stat_activity WHERE query LIKE 'SELECT gate(3%' AND wait_event_type = 'Extension'");
is($node->safe_psql('postgres', 'SELECT sum(queued) FROM concresce.stats'), 4, 'on_full = wait: they wait outside');
open_gate($gate);
is(join(',', map { $_->out } finish_all($flying, @queued, @waiting)), '10,110,120,130,140,310,320,330',
	'and get in as it empties');
at_rest($node);

# ---- large results ---------------------------------------------------------

# One of three in a batch is larger than all of shared memory.
fresh();
@calls = map { call($node, "SELECT length(big($_))", max_window => '60s', max_size => 3) }
  (100, 9_000_000, 1_000_000);
finish_all(@calls);
is(sizes('big'), '1|3|0|3', 'three in a batch');
is($calls[1]->sqlstate, '54000', 'a result larger than shared memory is refused');
like($calls[1]->err, qr/concresce\.shared_memory/, 'with what to change');
is($calls[0]->out . ',' . $calls[2]->out, '100,1000000', 'the others of its batch are fine');
is(attempt($node, "SELECT echo(repeat('x', 9000000))")->sqlstate, '54000', 'so is an argument');
at_rest($node);

# A large one, shared by many: it lies in memory once.
@calls = finish_all(call_all($node, 10, 'SELECT length(big(3000000))', max_window => '1s'));
is(join(',', map { $_->out } @calls), join(',', (3000000) x 10), 'a large answer is shared');
at_rest($node);

# ---- many callers, little memory -------------------------------------------

$node->append_conf('postgresql.conf', <<'EOF_CONF');
concresce.shared_memory = 1MB
concresce.queue_size = 10000
concresce.max_connections = 3
EOF_CONF
$node->restart;
my $pid = collector_pid($node);

# Answers of every size, one after the other: none is left without room.
is(attempt($node, <<'EOF_SQL')->out, '0', '1 MB holds answers of all sizes');
CREATE FUNCTION failures() RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	failed int := 0;
BEGIN
	FOR i IN 1 .. 300 LOOP
		BEGIN
			PERFORM big(i * 50);
		EXCEPTION WHEN OTHERS THEN
			failed := failed + 1;
		END;
	END LOOP;
	RETURN failed;
END $$;
SELECT failures()
EOF_SQL

# Each checks its own answers; those that found no room may say so.
$node->safe_psql('postgres', <<'EOF_SQL');
CREATE FUNCTION drum(client int, rounds int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	k int := client; answered int := 0;
BEGIN
	FOR i IN 1 .. rounds LOOP
		k := (k * 7919 + 104729) % 1000;
		BEGIN
			IF v(k + 1) IS DISTINCT FROM 'v' || k + 1 OR length(big(k * 20)) <> k * 20 THEN
				RETURN 'wrong';
			END IF;
			answered := answered + 1;
		EXCEPTION WHEN out_of_memory OR program_limit_exceeded THEN
		END;
	END LOOP;
	RETURN CASE WHEN answered > rounds / 2 THEN 'right' ELSE 'starved' END;
END $$;
EOF_SQL
@calls = finish_all(call_all($node, 24, 'SELECT drum(:i, 100)'));
is(join(',', map { $_->out } @calls), join(',', ('right') x 24), '1 MB for 24 callers: right answers, or an error');
is(collector_pid($node), $pid, 'the collector is the same');
at_rest($node);

# ---- and under load --------------------------------------------------------

# Every transaction fails unless the answer is the right one.
$node->append_conf('postgresql.conf', 'concresce.shared_memory = 16MB');
$node->restart;
fresh();
$node->pgbench(
	'--no-vacuum --client=32 --jobs=2 --transactions=150',
	0, [qr{processed: 4800/4800}], [qr{^$}],
	'32 clients, each answer checked',
	{
		'batching_load' => q{\set k random(1, 1000)
SELECT 1 / (v(:k) = 'v' || :k)::int;
}
	});
is(answered($node, 'v'), 4800, 'every call was answered');
my ($queries) = foreign_queries($node);
cmp_ok($queries, '<', 4800, "in $queries foreign queries");
at_rest($node);

done_testing();
