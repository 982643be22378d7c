# What waits in a collector is bounded by queue_size and shared memory, not by
# what far sides may make it hold: concresce.collector_memory.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('local', conf => <<'EOF_CONF');
concresce.queue_size = 1000000
concresce.shared_memory = 128MB
concresce.collector_memory = 64MB
concresce.max_connections = 1
EOF_CONF
make_far($node);
my $nobody = closed_port();
$node->safe_psql('postgres', make_server('dead', far_options($node, port => $nobody)) . define('dead', 'dead(n int)' => 'void VOLATILE' => 'SELECT collect(n)'));
is(attempt($node, 'SELECT v(1)')->out, 'v1', 'another server works');
my $pid = collector_pid($node);
$node->safe_psql('postgres', 'SELECT count(concresce.enqueue($$dead$$, i)) FROM generate_series(1, 50000) i') foreach 1 .. 8;
ok($node->poll_query_until('postgres', q{SELECT queued = 400000 FROM concresce.stats WHERE function = 'dead(int)'::regprocedure}), '400,000 wait for a server that is not there');
ok($node->poll_query_until('postgres', 'SELECT failures > 3 FROM concresce.circuits'), 'it is tried again');
is(attempt($node, 'SELECT v(2)')->out, 'v2', 'others are served');
$node->reload;
is(attempt($node, 'SELECT v(3)')->out, 'v3', 'also after a reload');
is(collector_pid($node), $pid, 'by the collector of before');
$node->safe_psql('postgres', q{SELECT concresce.stop('dead', true)});
at_rest($node);

# One call joins the first of a thousand that wait, whose caller leaves: what
# stays is the one.
$node->safe_psql('postgres', define('far', 'held(t text)' => 'int STABLE' => 'SELECT gate(length(t))') . <<'EOF_SQL');
CREATE TABLE pages (id int, filler text);
ALTER TABLE pages ALTER filler SET STORAGE PLAIN;
INSERT INTO pages SELECT i, repeat('x', 7000) || i FROM generate_series(1, 1000) i;
EOF_SQL

# What the collector has of flights, in kB.
sub flights_kb
{
	my $from = -s $node->logfile;

	$node->safe_psql('postgres', "SELECT pg_log_backend_memory_contexts($pid)");
	$node->wait_for_log(qr/concresce tickets: \d+ total in .*Grand total/s, $from);
	return slurp_file($node->logfile, $from) =~ /concresce tickets: (\d+) total/ ? $1 / 1024 : die;
}

my $gate = close_gate($node);
my $first = call($node, q{SELECT held('first')});
$first->waiting;
my $joiner = $node->background_psql('postgres');
$joiner->query_safe('BEGIN; CREATE TEMP TABLE f (id bigint)');
foreach my $round (1 .. 5)
{
	my $many = call($node, "SELECT count(held(filler || ' $round')) FROM pages");
	$many->waiting('queued');
	$joiner->query_safe("INSERT INTO f SELECT concresce.submit('held', filler || ' $round') FROM pages WHERE id = 1");
	$joiner->query_safe(q{SELECT FROM concresce.wait((SELECT array_agg(id) FROM f), 'first_completed', interval '0')});
	poll($node, "SELECT coalesced = $round FROM concresce.stats WHERE function = 'held(text)'::regprocedure");
	$many->signal('pg_cancel_backend');
	is($many->sqlstate, '57014', 'a thousand calls are cancelled');
	poll($node, "SELECT queued = $round FROM concresce.stats WHERE function = 'held(text)'::regprocedure");
}
cmp_ok(flights_kb(), '<', 1024, 'what was joined is kept, and not what it came with');
open_gate($gate);
is($joiner->query_safe('SELECT count(*), sum(r) FROM concresce.as_completed((SELECT array_agg(id) FROM f), NULL::int, true) AS c(id, r)'),
	'5|350150', 'and is answered');
$joiner->query_safe('COMMIT');
$joiner->quit;
is($first->out, '50', 'so is what was there first');
is(collector_pid($node), $pid, 'it is the same collector');
at_rest($node);
done_testing();
