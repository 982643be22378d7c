# What waits in a collector is bounded by queue_size and shared memory, not by
# what far sides may make it hold: concresce.collector_memory.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Cluster;
use Test::More;

my $node = start_node('local', conf => <<'EOF_CONF');
concresce.queue_size = 1000000
concresce.shared_memory = 128MB
concresce.collector_memory = 64MB
EOF_CONF
make_far($node);
my $nobody = PostgreSQL::Test::Cluster::get_free_port();
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
done_testing();
