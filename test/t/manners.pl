# The collector among other processes: seen by name, asleep when there is
# nothing to do, in nobody's way, and gone when the server is to stop.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Utils;
use Test::More;

# Seconds that "at once" may take on a machine that is busy otherwise.
my $SOON = 15;

my $node = start_node('local', conf => 'concresce.idle_timeout = 1s');
make_far($node);

# ---- in sight --------------------------------------------------------------

is($node->safe_psql('postgres', <<'EOF_SQL'), '1|t', 'it is in pg_stat_activity');
SELECT count(*), bool_and(datid IS NULL) FROM pg_stat_activity
WHERE backend_type = 'concresce collector'
EOF_SQL
my $pid = collector_pid($node);
like(slurp_file("/proc/$pid/cmdline"), qr/^postgres: (?:local: )?concresce collector/, 'and in ps')
  if -e "/proc/$pid/cmdline";

# ---- idle ------------------------------------------------------------------

sub switches
{
	my ($n) = slurp_file("/proc/$pid/status") =~ /^voluntary_ctxt_switches:\s*(\d+)/m;
	return $n;
}

is(attempt($node, 'SELECT v(1)')->out, 'v1', 'a call, and then none');
ok($node->poll_query_until('postgres',
	"SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'concresce'"),
	'an idle connection is closed after idle_timeout');
SKIP:
{
	skip 'no /proc to look at', 1 unless -e "/proc/$pid/status";
	my $before = switches();

	# to see that nothing happens takes time
	sleep 3;
	cmp_ok(switches() - $before, '<=', 2, 'without calls it does not wake up');
}
is(foreign_queries($node), 1, 'nor ask anything');

# ---- in nobody's way -------------------------------------------------------

# Sessions that call all the time, each checking its answers.
$node->safe_psql('postgres', <<'EOF_SQL');
CREATE TABLE stop (now bool);
CREATE FUNCTION drum(client int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	k int := client;
BEGIN
	WHILE NOT EXISTS (SELECT FROM stop) LOOP
		k := k % 1000 + 1;
		IF v(k) IS DISTINCT FROM 'v' || k THEN
			RETURN format('wrong: %s', k);
		END IF;
		PERFORM pg_sleep(0.001);
	END LOOP;
	RETURN 'right';
END $$;
EOF_SQL
my @drums = call_all($node, 8, 'SELECT drum(100 * :i)');
poll($node, 'SELECT sum(calls) > 100 FROM concresce.stats');
my $seconds = timed(sub {
	$node->safe_psql('postgres', 'CREATE DATABASE app');
	$node->safe_psql('app', 'CREATE EXTENSION concresce; CREATE SERVER far FOREIGN DATA WRAPPER concresce OPTIONS ('
		  . far_options($node) . '); CREATE USER MAPPING FOR PUBLIC SERVER far;'
		  . define('far', 'v(n int)' => 'text STABLE' => 'SELECT v FROM items WHERE id = n'));
	is(attempt($node, 'SELECT v(3)', db => 'app')->out, 'v3', 'a lookup of another database');
	$node->safe_psql('postgres', 'CREATE DATABASE app2 TEMPLATE app');
	is(attempt($node, 'SELECT v(4)', db => 'app2')->out, 'v4', 'which is copied');
	$node->safe_psql('postgres', 'ALTER DATABASE app2 RENAME TO app3');
	$node->safe_psql('postgres', 'DROP DATABASE app');
	$node->safe_psql('postgres', 'DROP DATABASE app3');
});
cmp_ok($seconds, '<', $SOON, 'renamed and dropped, while lookups run');
$node->safe_psql('postgres', 'INSERT INTO stop VALUES (true)');
is(join(',', map { $_->out } finish_all(@drums)), join(',', ('right') x 8), 'the lookups went on');
is(collector_pid($node), $pid, 'in the same collector');

# A cancel is for queries, and it runs none: who cancels all there is does not
# end what others wait for.
my $closed = close_gate($node);
my $waiter = call($node, 'SELECT gate(2)');
$waiter->waiting;
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
attempt($node, 'SELECT v(4)');
open_gate($closed);
is($waiter->out, '20', 'pg_cancel_backend() on the collector harms nobody');
is(collector_pid($node), $pid, 'nor itself');

# ---- stopping --------------------------------------------------------------

# A loopback connection is a client, which a smart shutdown waits for.
is(attempt($node, 'SELECT v(5)')->out, 'v5', 'a connection is open');
$seconds = timed(sub { $node->stop('smart') });
cmp_ok($seconds, '<', $SOON, 'a smart shutdown ends once it has idled');

$node->start;
my $gate = close_gate($node);
my $flying = call($node, 'SELECT gate(1)');
poll_far($node, 1);
$seconds = timed(sub { $node->stop('fast') });
cmp_ok($seconds, '<', $SOON, 'a fast shutdown does not wait for calls');
like($flying->err, qr/57P01|57000|server closed/, 'whose callers are told');
eval { open_gate($gate) };
unlike(slurp_file($node->logfile), qr/PANIC|was terminated by signal|TRAP/, 'nothing crashes on the way');

# ---- several collectors ----------------------------------------------------

$node->append_conf('postgresql.conf', 'concresce.workers = 4');
$node->start;
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'concresce collector'"),
	4, 'concresce.workers');
my @names = map { "far$_" } 1 .. 8;
$node->safe_psql('postgres', join('', map {
	"CREATE SERVER $_ FOREIGN DATA WRAPPER concresce OPTIONS (" . far_options($node)
	  . "); CREATE USER MAPPING FOR PUBLIC SERVER $_;"
	  . define($_, "v_$_(n int)" => 'text STABLE' => 'SELECT v FROM items WHERE id = n') } @names));
is(join(',', map { $_->out } finish_all(map { call($node, "SELECT v_$_(9)") } @names)),
	join(',', ('v9') x 8), 'servers are spread over them');
$node->safe_psql('postgres', q{SELECT concresce.forget_all(), concresce.forget('v', 1)});
my $old = collector_pid($node);
$old =~ s/\n/,/g;
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'concresce collector'");
poll($node, "SELECT count(*) = 4 FROM pg_stat_activity WHERE backend_type = 'concresce collector' AND pid NOT IN ($old)");
is(join(',', map { $_->out } finish_all(map { call($node, "SELECT v_$_(10)") } @names)),
	join(',', ('v10') x 8), 'all ended at once, all come back');
at_rest($node);

done_testing();
