# A queue without room: who waits for it gets his turn, however much he needs,
# and nobody is woken for nothing.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use Test::More;

my $node = start_node('local', conf => <<'EOF_CONF');
concresce.queue_size = 10
concresce.max_connections = 1
EOF_CONF
make_far($node);
$node->safe_psql('postgres', define('far',
	'lame(n int)' => 'int STABLE' => 'SELECT n FROM pg_sleep(0.02)'));

# ---- a great need among small ones -----------------------------------------

# 16 sessions keep the queue nearly full; the query needs all of it at once.
my @small = map {
	call($node, "DO \$\$ BEGIN FOR i IN 1 .. 5000 LOOP PERFORM lame($_ * 1000 + i); END LOOP; END \$\$", max_size => 2)
} 1 .. 16;
poll($node, "SELECT count(*) > 12 FROM concresce.in_flight");
my $great;
my $seconds = timed(sub {
	$great = attempt($node, 'SELECT sum(lame(n)) FROM generate_series(1, 10) n', timeout => '10s');
});
is($great->out, '55', 'a request for all of the queue');
cmp_ok($seconds, '<', 6, 'has its turn');
$_->signal('pg_cancel_backend') foreach @small;
is(scalar(grep { $_->sqlstate eq '57014' } finish_all(@small)), 16, 'the small ones have been served all the while');
at_rest($node);

# ---- wake-ups --------------------------------------------------------------

$node->append_conf('postgresql.conf', 'concresce.queue_size = 1');
$node->restart;
my $naps = q{SELECT (regexp_match(pg_read_file('/proc/self/status'), 'nonvoluntary_ctxt_switches:\s+\d+'))[1] IS NULL, }
  . q{(regexp_match(pg_read_file('/proc/self/status'), '\mvoluntary_ctxt_switches:\s+(\d+)'))[1]};
SKIP:
{
	skip 'no /proc', 3 unless -r '/proc/self/status';
	my $gate = close_gate($node);
	my $first = call($node, 'SELECT gate(1)');
	$first->waiting;
	my @calls = call_all($node, 60, "$naps; SELECT gate(100 + :i); $naps");
	poll($node, "SELECT count(*) = 59 FROM pg_stat_activity WHERE wait_event_type = 'Extension' AND query LIKE '%gate(100 + %' AND pid NOT IN (SELECT pid FROM concresce.in_flight)");
	open_gate($gate);
	my $sum = 0;
	my $right = 0;
	foreach my $call (finish_all(@calls))
	{
		my ($before, $value, $after) = $call->out =~ /\|(\d+)\n(\d+)\n.*\|(\d+)$/ or next;
		$sum += $after - $before;
		$right++ if $value =~ /^1\d\d0$/;
	}
	is($right, 60, '60 callers wait for one place: all are served');
	note("they slept $sum times");
	cmp_ok($sum, '<', 900, 'and are not all woken for each');
	at_rest($node);
}

# ---- whoever has the turn leaves -------------------------------------------

foreach my $way (qw(pg_cancel_backend pg_terminate_backend))
{
	my $gate = close_gate($node);
	my @held = map { my $call = call($node, "SELECT gate($_)"); $call->waiting($_ == 1 ? 'in flight' : 'queued'); $call } 1, 2;
	my @waiting = call_all($node, 5, 'SELECT gate(10 + :i)');
	foreach my $call (@waiting)
	{
		poll($node, "SELECT wait_event IS NOT NULL AND state = 'active' FROM pg_stat_activity WHERE application_name = '$call->{app}'");
	}
	$waiting[$_]->signal($way) foreach 0, 1, 2;
	$waiting[$_]->finish foreach 0, 1, 2;
	open_gate($gate);
	is(join(' ', map { $_->out } finish_all(@held, @waiting[ 3, 4 ])), '10 20 140 150',
		"$way of those who wait: the others are served");
	at_rest($node);
}
done_testing();
