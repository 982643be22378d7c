# There is no collector, or it does not stir: whoever needs it is told so, and
# soon; and what is lost with it is said in the log.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('local', conf => "concresce.timeout = '30s'");
make_far($node);
my $closed = closed_port();
$node->safe_psql('postgres',
	'CREATE SERVER closed FOREIGN DATA WRAPPER concresce OPTIONS ('
	  . far_options($node, port => $closed)
	  . '); CREATE USER MAPPING FOR PUBLIC SERVER closed;'
	  . define('far', 'note(n int)' => 'void VOLATILE' => 'INSERT INTO log SELECT unnest(collect(n))')
	  . define('closed', 'lose(n int)' => 'void VOLATILE' => 'INSERT INTO log SELECT unnest(collect(n))'));

# ---- it does not stir ------------------------------------------------------

my $pid = collector_pid($node);
my ($call, $seconds);
kill STOP => $pid;
$seconds = timed(sub {
	$call = attempt($node, "SELECT concresce.enqueue('note', 1); SELECT concresce.flush(timeout => '1 s')");
});
is($call->sqlstate, '57014', 'flush() has a timeout');
like($call->err, qr/After 1000 ms, 1 enqueued items of lookup note\(integer\) have not been run/, 'says so');
cmp_ok($seconds, '<', 5, 'that is as long as it says');
is(attempt($node, "SELECT concresce.enqueue('note', 2); SELECT concresce.flush(timeout => '0')")->sqlstate, '57014',
	'even if that is no time at all');
$seconds = timed(sub { $call = attempt($node, "SELECT concresce.stop('v')", timeout => '1s') });
is($call->sqlstate, '57014', 'stop() has a timeout');
like($call->err, qr/It waited 1000 ms for the collector. No more calls are taken nevertheless/, 'says so');
cmp_ok($seconds, '<', 5, 'that is as long as it says');
is(attempt($node, 'SELECT v(1)')->sqlstate, '55000', 'the lookup is stopped');
kill CONT => $pid;
is(attempt($node, "SELECT concresce.start('v'); SELECT v(1)")->out, "\nv1", 'it stirs again');
$node->poll_query_until('far', 'SELECT count(*) = 2 FROM log');
at_rest($node);

# ---- it ends just before the server ----------------------------------------

# The postmaster learns of both at once, and starts no other one.
attempt($node, "SELECT concresce.enqueue('lose', n) FROM generate_series(1, 200) n");
poll($node, "SELECT state = 'closed' FROM concresce.connections WHERE server = 'closed'");
my $postmaster = (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0];
kill STOP => $postmaster;
kill TERM => $pid;
for (1 .. 1000)
{
	last if slurp_file("/proc/$pid/stat") =~ /\) Z /;
	select(undef, undef, undef, 0.01);
}
kill INT => $postmaster;
kill CONT => $postmaster;
for (1 .. 3000)
{
	last unless kill 0 => $postmaster;
	select(undef, undef, undef, 0.01);
}
$node->{_pid} = undef;
like(slurp_file($node->logfile), qr/WARNING:  200 enqueued items are lost\n.*DETAIL:  The collector had exited/,
	'what is lost is logged');

# What it has logged itself is not said twice.
$node->append_conf('postgresql.conf', "concresce.drain_timeout = '100ms'");
$node->start;
attempt($node, "SELECT concresce.enqueue('lose', n) FROM generate_series(1, 100) n");
$node->stop('fast');
my $log = slurp_file($node->logfile);
like($log, qr/WARNING:  100 enqueued items of lookup lose\(integer\) are lost at shutdown/, 'the collector says what is lost');
is(scalar(() = $log =~ /enqueued items are lost/g), 1, 'and nobody else');

# ---- no slot ---------------------------------------------------------------

$node->append_conf('postgresql.conf', 'max_worker_processes = 1');
$node->start;
is(collector_pid($node), '', 'there is no slot for a collector');
foreach my $statement ('SELECT v(1)', "SELECT concresce.enqueue('note', 1)",
	"SELECT concresce.await(concresce.submit('v', 1), NULL::text)", 'SELECT count(v(n)) FROM generate_series(1, 10) n')
{
	$seconds = timed(sub { $call = attempt($node, $statement) });
	is($call->sqlstate, '53400', "$statement: an error");
	like($call->err, qr/HINT:  Increase "max_worker_processes"/, 'that names the cause');
	cmp_ok($seconds, '<', 5, 'at once');
}
$seconds = timed(sub {
	is(attempt($node, "SELECT concresce.flush(); SELECT concresce.forget('v', 1); SELECT concresce.stop(); SELECT concresce.start()")->err,
		'', 'there is nothing to flush, to forget or to stop');
});
cmp_ok($seconds, '<', 5, 'at once');
$node->stop;

# ---- a single user ---------------------------------------------------------

my ($out, $err) = ('', '');
IPC::Run::run([ $node->installed_command('postgres'), '--single', '-D', $node->data_dir, 'postgres' ],
	'<', \"SELECT v(1)\nSELECT concresce.enqueue('note', 1)\n", '>', \$out, '2>', \$err, IPC::Run::timeout($Concresce::LIMIT));
is(scalar(() = $err =~ /ERROR:  there is no concresce collector in single-user mode/g), 2, 'single-user mode: an error');
done_testing();
