# The calendar is set while calls wait, an hour ahead or back: deadlines, windows
# and delays are as long as ever.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir;
plan skip_all => 'there is no C compiler'
  if system("cc -shared -fPIC -o $dir/clock.so $FindBin::RealBin/../lib/clock.c >$dir/cc.log 2>&1");

my $total = 0;

sub step
{
	my ($seconds) = @_;

	$total += $seconds;
	open(my $file, '+<:raw', "$dir/offset") or die "offset: $!";
	syswrite($file, pack('q', $total)) == 8 or die "offset: $!";
	close $file;
	return;
}

append_to_file("$dir/offset", pack('q', 0));
my $node;
{
	local $ENV{LD_PRELOAD} = "$dir/clock.so";
	local $ENV{CLOCK_OFFSET} = "$dir/offset";
	$node = start_node('local');
}
make_far($node);
my $closed = closed_port();
$node->safe_psql('postgres',
	'CREATE SERVER closed FOREIGN DATA WRAPPER concresce OPTIONS ('
	  . far_options($node, port => $closed)
	  . '); CREATE USER MAPPING FOR PUBLIC SERVER closed;'
	  . define('closed', 'v_closed(n int)' => 'text STABLE' => 'SELECT v FROM items WHERE id = n'));

my $before = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
step(3600);
is($node->safe_psql('postgres', "SELECT clock_timestamp() - '$before'::timestamptz BETWEEN '1 h' AND '1 h 1 min'"),
	't', 'the calendar can be set');
step(-3600);

# What is queued has a window of so many ms; when it is, the calendar is set.
sub queued
{
	my ($window, $seconds, $name) = @_;
	my $call = call($node, 'SELECT v(1)', max_window => $window, timeout => '20s');

	$call->waiting('queued');
	step($seconds);
	return $call;
}

my $call;
my $seconds = timed(sub { $call = queued('1s', -3600); $call->finish });
is($call->out, 'v1', 'back while a window is open');
cmp_ok($seconds, '<', 5, 'it ends in time');
$call = queued('10s', 3600);
is(attempt($node, 'SELECT v_closed(1)')->sqlstate, '08001', 'the collector has something to do');
ok($call->waiting('queued'), 'ahead while a window is open: it does not end');
is($node->safe_psql('postgres', 'SELECT bool_and(submitted_at BETWEEN clock_timestamp() - interval \'1 min\' AND clock_timestamp()) FROM concresce.in_flight'),
	't', 'what is shown goes by the calendar');
$call->signal('pg_cancel_backend');
is($call->sqlstate, '57014', 'it is cancelled');

my $gate = close_gate($node);
$call = call($node, 'SELECT gate(1)', timeout => '2s');
$call->waiting;
step(-3600);
$seconds = timed(sub { $call->finish });
is($call->sqlstate, '57014', 'back while a call waits: its timeout fires');
cmp_ok($seconds, '<', 5, 'in time');
$call = call($node, 'SELECT gate(2)', timeout => '30s');
$call->waiting;
my $future = call($node, "SELECT concresce.await(concresce.submit('gate', 3), NULL::int)", timeout => '30s');
$future->waiting;
my $wait = call($node, "SELECT not_done FROM concresce.wait(ARRAY[concresce.submit('gate', 4)], timeout => '2 s')");
$wait->waiting;
step(-3600);
$seconds = timed(sub { $wait->finish });
like($wait->out, qr/^\{\d+\}$/, 'wait() has a timeout');
cmp_ok($seconds, '<', 5, 'that is as long as it says');
step(7200);
open_gate($gate);
is($call->out, '20', 'ahead while a call waits: it gets its answer');
is($future->out, '30', 'so does a future');

is(attempt($node, 'SELECT v_closed(1)')->sqlstate, '08001', 'a server that refuses');
step(-3600);
$seconds = timed(sub { $call = attempt($node, 'SELECT v_closed(1)', timeout => '20s') });
is($call->sqlstate, '08001', 'back after an attempt to connect: there is another one');
cmp_ok($seconds, '<', 5, 'soon');

# Committed items that could not be sent.
$node->safe_psql('postgres', define('closed', 'jot(n int)' => 'void VOLATILE' => 'INSERT INTO log SELECT unnest(collect(n))'));
attempt($node, "SELECT concresce.enqueue('jot', 1)");
poll($node, "SELECT state = 'closed' FROM concresce.connections WHERE server = 'closed'");
step(-3600);
$node->safe_psql('postgres', q{ALTER SERVER closed OPTIONS (SET port '} . $node->port . q{')});
is(attempt($node, "SELECT concresce.enqueue('jot', 2); SELECT concresce.flush(timeout => '10 s')")->err, '',
	'enqueued items leave');
attempt($node, 'SELECT concresce.stop(force => true)');
at_rest($node);
done_testing();
