# Very many connections, and too few descriptors for them: what one step of the
# collector costs does not depend on how many there are, and when descriptors are
# short, an idle connection makes room for one that is needed.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use Peers;
use Test::More;

sub servers
{
	my ($node, $prefix, $n, %o) = @_;

	return join('', map { "CREATE SERVER $prefix$_ FOREIGN DATA WRAPPER concresce OPTIONS ("
		  . far_options($node, %o) . "); CREATE USER MAPPING FOR PUBLIC SERVER $prefix$_;\n" } 1 .. $n);
}

# Statements for each of these servers, errors or not.
sub each_server
{
	my ($prefix, $from, $to, $statement) = @_;

	return <<"EOF_SQL";
DO \$\$
BEGIN
	FOR i IN $from .. $to LOOP
		PERFORM set_config('concresce.server', '$prefix' || i, false);
		BEGIN
			$statement;
		EXCEPTION WHEN feature_not_supported THEN
			NULL;
		END;
	END LOOP;
END \$\$
EOF_SQL
}

# ---- too few descriptors ---------------------------------------------------

# The collector may have a third of what is left of them.
my $node = start_node('local', conf => "max_files_per_process = 64\nconcresce.max_connections = 2");
make_far($node);
$node->safe_psql('postgres', servers($node, 's', 60)
	  . "CREATE FUNCTION anywhere(n int) RETURNS text LANGUAGE concresce STABLE AS 'SELECT v FROM items WHERE id = n';"
	  . "CREATE FUNCTION slow(n int) RETURNS text LANGUAGE concresce STABLE AS 'SELECT v FROM items, pg_sleep(0.3) WHERE id = n';");
my $pid = collector_pid($node);
is(attempt($node, each_server('s', 1, 60, 'PERFORM anywhere(i)'))->err, '',
	'60 servers, one after the other');
my $limit = $node->safe_psql('postgres', "SELECT count(*) FROM concresce.connections WHERE state = 'idle'");
cmp_ok($limit, '>', 5, 'as many connections are kept as there may be');
cmp_ok($limit, '<', 22, 'and no more');
my @calls = call_all($node, 60, "SET concresce.server = 's:i'; SELECT slow(:i)");
is(join(' ', map { $_->out } finish_all(@calls)), join(' ', map { "v$_" } 1 .. 60),
	'60 servers at once: some wait, all are served');
@calls = map { call($node, "SET concresce.server = 's$_'; " . 'SELECT slow(1);' x 5) } 1 .. 30;
is(scalar(grep { $_->out eq "v1\nv1\nv1\nv1\nv1" } finish_all(@calls)), 30,
	'30 servers that are busy all the time: they take turns');

# None is idle, and none will be: the deadline of a connection counts.
my $gate = close_gate($node);
$node->safe_psql('postgres',
	"CREATE FUNCTION held(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT gate FROM gate(n)'");
my @held = call_all($node, $limit, "SET concresce.server = 's:i'; SELECT held(:i)");
poll_far($node, $limit);
$node->safe_psql('postgres', servers($node, 'impatient', 1, connect_timeout => 1));
my $call;
my $seconds = timed(sub { $call = attempt($node, "SET concresce.server = 'impatient1'; SELECT anywhere(1)") });
is($call->sqlstate, '08001', 'no descriptor becomes free in time');
like($call->err, qr/too many open files on the local server.*\n.*max_files_per_process/, 'the reason and a remedy');
cmp_ok($seconds, '>', 0.9, 'it was waited for');
my $late = call($node, "SET concresce.server = 's40'; SELECT anywhere(40)");
$late->waiting('queued');
open_gate($gate);
is($late->out, 'v40', 'one that has become free is had at once');
is(scalar(grep { $_->out =~ /^\d+0$/ } finish_all(@held)), $limit, 'the others have their answers');
is(collector_pid($node), $pid, 'the collector has lived through it');
at_rest($node);
$node->stop;

# ---- very many connections -------------------------------------------------

my $many = $ENV{CONNECTIONS} // 1000;
$node = start_node('throng', conf => 'max_files_per_process = ' . 4 * ($many + 200) . "\nmax_locks_per_transaction = 1000");
make_far($node);
my $throng = Throng->new;
my $nowhere = closed_port();
$node->safe_psql('postgres', servers($node, 't', $many, port => $throng->port, sslmode => 'disable')
	  . servers($node, 'n', 100, port => $nowhere)
	  . "CREATE FUNCTION anywhere(n int) RETURNS text LANGUAGE concresce STABLE AS 'SELECT v FROM items WHERE id = n';"
	  . "CREATE FUNCTION write(n int) RETURNS void LANGUAGE concresce VOLATILE AS 'INSERT INTO log SELECT unnest(collect(n))';");
$pid = collector_pid($node);

# In ms.
sub cpu
{
	my $stat = PostgreSQL::Test::Utils::slurp_file("/proc/$pid/schedstat");

	return (split ' ', $stat)[0] / 1e6;
}

# What 1000 calls cost, one at a time: the least of several, as what the collector
# does while it waits for an answer depends on how busy the machine is; and two
# seconds of 100 servers that refuse.
sub cost
{
	my ($begin, $calls);

	foreach (1 .. 5)
	{
		$begin = cpu();
		$node->safe_psql('postgres', "DO \$\$ BEGIN FOR i IN 1 .. 1000 LOOP PERFORM v(1 + i % 1000); END LOOP; END \$\$");
		my $cost = cpu() - $begin;
		$calls = $cost if !defined $calls || $cost < $calls;
	}
	attempt($node, each_server('n', 1, 100, q{PERFORM concresce.enqueue('write', 1)}));
	$begin = cpu();
	select(undef, undef, undef, 2);
	my $attempts = cpu() - $begin;
	attempt($node, 'SELECT concresce.stop(force => true); SELECT concresce.start()');
	return ($calls, $attempts);
}

SKIP:
{
	skip 'no /proc/PID/schedstat', 4 unless -r "/proc/$pid/schedstat";
	attempt($node, each_server('t', 1, 10, 'PERFORM anywhere(1)'));
	is($throng->ask('open'), 10, '10 connections');
	cost();
	my @few = cost();
	attempt($node, each_server('t', 11, $many, 'PERFORM anywhere(1)'));
	is($throng->ask('open'), $many, "$many connections");
	my @more = cost();
	note(sprintf('CPU ms of the collector with 10 and %d connections: 1000 calls %.0f, %.0f; 2 s of 100 servers that refuse %.0f, %.0f',
		$many, $few[0], $more[0], $few[1], $more[1]));
	cmp_ok($more[0], '<', 2 * $few[0] + 20, 'a call costs the same');
	cmp_ok($more[1], '<', 2 * $few[1] + 50, 'so does an attempt to connect');
}
is(attempt($node, 'SELECT v(1)')->out, 'v1', 'calls are answered');
is(collector_pid($node), $pid, 'the collector has lived through it');
done_testing();
