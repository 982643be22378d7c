# Servers that fall silent: in the midst of a result, or from the start. No
# caller waits longer than its timeout, no other server's callers wait at
# all, and the next call gets a connection of its own.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use IO::Socket::INET;
use Peers;
use Test::More;

# Seconds: what a deadline may be late by, and what a silent connection may
# stay open for after the last caller has left.
my $LATE = 5;
my $GRACE = 20;

my $node = start_node('local');
make_far($node);
my $proxy = Proxy->new($node->port);
my $hole = Proxy->new($node->port);
$hole->hole;

sub server
{
	my ($name, %o) = @_;

	return make_server($name, far_options($node, %o))
	  . define($name,
		"v_$name(n int)" => 'text STABLE' => 'SELECT v FROM items WHERE id = n',
		"big_$name(n int)" => 'text STABLE' => "SELECT repeat(n::text, 1000000)");
}
my $closed = closed_port();
$node->safe_psql('postgres',
	server('proxied', port => $proxy->port)
	  . server('hole', port => $hole->port, connect_timeout => 1)
	  . server('patient', port => $hole->port)
	  . server('hole_first', host => '127.0.0.1,127.0.0.1',
		port => $hole->port . ',' . $node->port, connect_timeout => 1)
	  . server('dead_first', host => '127.0.0.1,127.0.0.1',
		port => "$closed," . $node->port)
	  . server('name', host => 'localhost')
	  . server('hole_name', host => 'localhost,localhost',
		port => $hole->port . ',' . $node->port, connect_timeout => 1)
	  . server('address', host => 'no.such.host.invalid', hostaddr => '127.0.0.1'));

my $coalesced = q{SELECT coalesced FROM concresce.stats WHERE function = 'v_proxied(integer)'::regprocedure};

# ---- in the midst of a result ----------------------------------------------

is(attempt($node, 'SELECT v_proxied(1)')->out, 'v1', 'the proxy forwards');
is($proxy->ask('open'), 1, 'a connection through the proxy');
$proxy->mute(10000);
my $call;
my $seconds = timed(sub { $call = attempt($node, 'SELECT big_proxied(1)', timeout => '500ms') });
is($call->sqlstate, '57014', 'silent in the midst of a result: the timeout fires');
like($call->err, qr/the foreign server's answer/, 'and says what it waited for');
cmp_ok($seconds, '>', 0.45, 'not too early');
cmp_ok($seconds, '<', $LATE, 'not too late');
my $pid = collector_pid($node);
$seconds = timed(sub {
	is(attempt($node, 'SELECT length(big_proxied(2))')->out, '1000000',
		'the next call gets a fresh connection');
});
cmp_ok($seconds, '<', $LATE, 'at once');
ok(defined $proxy->until_open(1, $GRACE), 'the silent one is closed');

# Several callers of one flight, with timeouts of their own. The first stays until
# it is told to leave: whoever comes after all have left gets a fresh connection.
$proxy->mute(0);
my $stays = call($node, 'SELECT v_proxied(6)', timeout => 0);
$stays->waiting;
my $joined = $node->safe_psql('postgres', $coalesced);
my @calls = map { call($node, 'SELECT v_proxied(6)', timeout => (400 * $_) . 'ms') } 1 .. 3;
is(attempt($node, 'SELECT v(7)')->out, 'v7', 'another server is not affected');
is(join(',', map { $_->sqlstate } finish_all(@calls)), '57014,57014,57014', 'each caller leaves on time');
like($calls[$_]->err, qr/It waited @{[400 * ($_ + 1)]} ms for the foreign server's answer/, 'its own') foreach 0 .. 2;
is($node->safe_psql('postgres', $coalesced) - $joined, 3, 'all have joined one flight');
$stays->signal('pg_cancel_backend');
is($stays->sqlstate, '57014', 'the last may be cancelled');
is(attempt($node, 'SELECT v_proxied(8)')->out, 'v8', 'and the next is served');
ok(defined $proxy->until_open(1, $GRACE), 'one connection remains');

# Closed without a word: STABLE lookups are sent again.
$proxy->mute(0);
my $resent = call($node, 'SELECT v_proxied(9)');
$resent->waiting;
$proxy->close;
is($resent->out, 'v9', 'cut off: sent again');

# ---- from the start --------------------------------------------------------

$seconds = timed(sub { $call = attempt($node, 'SELECT v_hole(1)') });
is($call->sqlstate, '08001', 'a server that never answers: connect_timeout');
like($call->err, qr/could not connect to server "hole"\nDETAIL:  The server did not answer in time/, 'says so');
cmp_ok($seconds, '>', 0.9, 'not too early');
cmp_ok($seconds, '<', 1 + $LATE, 'not too late');

$seconds = timed(sub { $call = attempt($node, 'SELECT v_patient(1)', timeout => '300ms') });
is($call->sqlstate, '57014', 'a shorter timeout of the caller fires');
like($call->err, qr/It waited 300 ms for its batch to be sent/, 'and says what it waited for');
cmp_ok($seconds, '<', $LATE, 'on time');
is(attempt($node, 'SELECT v(10)')->out, 'v10', 'another server is not affected');

# ---- several hosts ---------------------------------------------------------

is(attempt($node, 'SELECT v_dead_first(1)')->out, 'v1', 'the first host is dead: the second serves');
# Refused late: whoever fills the line of a listener that accepts nobody has
# the next wait in it, until the listener is gone.
my $full = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die $!;
my @line = map {
	IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $full->sockport, Blocking => 0)
} 1 .. 4;
$node->safe_psql('postgres', server('late_first', host => '127.0.0.1,127.0.0.1',
	port => $full->sockport . ',' . $node->port));
$call = call($node, 'SELECT v_late_first(1)', timeout => '8s');
poll($node, "SELECT state = 'connecting' FROM concresce.connections WHERE server = 'late_first'");
close($_) foreach $full, @line;
is($call->out, 'v1', 'the first host refuses in the end: the second serves');
is(attempt($node, 'SELECT v_hole_first(1)')->out, 'v1', 'the first host is silent: the second serves');
is(attempt($node, 'SELECT v_hole_name(1)')->out, 'v1', 'the same for names');
is(attempt($node, 'SELECT v_name(1)')->out, 'v1', 'a name is looked up');
is(attempt($node, 'SELECT v_address(1)')->out, 'v1', 'no name is looked up beside an address');

# ---- more cancels than there may be ----------------------------------------

# While the links of a stopped lookup are cancelled, one that cannot be makes
# room for another call, which closes a link that stands beside it.
my $crowd = Proxy->new($node->port);
$node->safe_psql('postgres', server('crowd', port => $crowd->port)
	  . define('crowd', 'gate_crowd(n int)' => 'int STABLE SET concresce.max_size = 1' => 'SELECT gate FROM gate(n)'));
sub limit
{
	my ($limit) = @_;

	$node->append_conf('postgresql.conf', "concresce.max_connections = $limit");
	$node->reload;
	poll($node, "SELECT current_setting('concresce.max_connections') = '$limit'");
	return;
}
sub crowd_is
{
	my ($n, $state) = @_;

	return poll($node, "SELECT count(*) = $n FROM concresce.connections WHERE server = 'crowd' AND state = '$state'");
}
limit(40);
my $gate = close_gate($node);
my $many = call($node, 'SELECT concresce.gather(array_agg(concresce.submit(\'gate_crowd\', i)), NULL::int) FROM generate_series(1, 32) i');
crowd_is(32, 'active');
my $last = call($node, 'SELECT gate_crowd(33)');
crowd_is(33, 'active');
$crowd->hole;
$many->signal('pg_terminate_backend');
crowd_is(32, 'cancelling');
limit(1);
my $next = call($node, 'SELECT v_crowd(1)', timeout => '2s');
$next->waiting('queued');
my $stop = call($node, q{SELECT concresce.stop('gate_crowd', true)});
is($last->sqlstate, '57014', 'a call is stopped whose query cannot be cancelled');
is($next->sqlstate, '57014', 'the next finds a server that has fallen silent');
$stop->finish;
open_gate($gate);

is(collector_pid($node), $pid, 'the collector has lived through all of it');
at_rest($node);
done_testing();
