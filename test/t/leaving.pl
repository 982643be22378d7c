# Callers that leave: at once, with nothing left behind, and without harm to
# those who wait for the same answer. When the last one has left, the foreign
# query is cancelled.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use Test::More;

my $node = start_node('local');
make_far($node);

sub far_idle
{
	my ($name) = @_;

	ok(poll_far($node, 0), "$name: the foreign query is cancelled");
}

# Each way of leaving, and what the client is told. The gate stays closed, so
# nobody can be answered: a caller that does not leave hangs.
my %ways = (
	'pg_cancel_backend' => {
		leave => sub { $_[0]->signal('pg_cancel_backend') },
		state => '57014' },
	'pg_terminate_backend' => {
		leave => sub { $_[0]->signal('pg_terminate_backend') },
		state => '57P01' },
	'statement_timeout' => {
		before => "SET statement_timeout = '500ms'",
		state => '57014' },
	'concresce.timeout' => {
		before => "SET concresce.timeout = '500ms'",
		state => '57014' },
	'a vanished client' => {
		before => "SET client_connection_check_interval = '50ms'",
		leave => sub { $_[0]->kill } });

my $gate = close_gate($node);
my ($lonely, $cancelled, $timeouts) = (0, 0, 0);
foreach my $name (sort keys %ways)
{
	my $way = $ways{$name};
	my $before = $way->{before} // 'SELECT 1 WHERE false';

	# alone
	my $call = call($node, "$before; SELECT gate(1)");
	$call->waiting unless $name =~ /timeout/;
	$way->{leave}->($call) if $way->{leave};
	is($call->sqlstate, $way->{state}, "$name: the caller leaves") if $way->{state};
	far_idle($name);
	at_rest($node, "$name: nothing is left behind");

	# in company
	my $other = call($node, 'SELECT gate(2)');
	$other->waiting;
	$call = call($node, "$before; SELECT gate(2)");
	$call->waiting unless $name =~ /timeout/;
	$way->{leave}->($call) if $way->{leave};
	is($call->sqlstate, $way->{state}, "$name: one of two leaves")
	  if $way->{state};
	poll($node, "SELECT count(*) = 1 FROM concresce.in_flight");
	ok(poll_far($node, 1), "$name: the foreign query goes on for the other");
	open_gate($gate);
	is($other->out, '20', "$name: the other gets the answer");
	$gate = close_gate($node);

	$lonely++;
	if ($name eq 'concresce.timeout') { $timeouts += 2 }
	else { $cancelled += 2 }
}
is($node->safe_psql('postgres', <<'EOF_SQL'), "$cancelled|$timeouts|0", 'each is counted once');
SELECT cancelled, timeouts, errors FROM concresce.stats WHERE function::text LIKE 'gate(%'
EOF_SQL
is(answered($node, 'gate'), $lonely, 'calls are the sum of their outcomes');

# The first of two may leave as well as the second.
my $first = call($node, 'SELECT gate(3)');
$first->waiting;
my $second = call($node, 'SELECT gate(3)');
$second->waiting;
$first->signal('pg_cancel_backend');
is($first->sqlstate, '57014', 'the one who started the flight leaves');
poll($node, 'SELECT count(*) = 1 FROM concresce.in_flight');

my $late = call($node, 'SELECT gate(3)');
$late->waiting;
open_gate($gate);
is($second->out, '30', 'who joined gets the answer');
is($late->out, '30', 'so does who joined after the first had left');
$gate = close_gate($node);

# What it waited for is told.
my $timeout = attempt($node, 'SELECT gate(4)', timeout => '300ms');
like($timeout->err, qr/canceling lookup gate\(integer\) due to timeout/, 'the timeout names the lookup');
like($timeout->err, qr/DETAIL:  It waited 300 ms for the foreign server's answer/, 'and what it waited for');

# A joiner that comes after the only caller has left starts anew.
my $only = call($node, 'SELECT gate(5)');
$only->waiting;
$only->signal('pg_cancel_backend');
my $joiner = call($node, 'SELECT gate(5)');
$joiner->waiting;
is($only->sqlstate, '57014', 'the only caller has left');
open_gate($gate);
is($joiner->out, '50', 'one who comes later is not cancelled with him');
$gate = close_gate($node);

# A subtransaction that is rolled back gives up its call.
my $sub = attempt($node, <<'EOF_SQL');
SET statement_timeout = '300ms';
BEGIN;
SAVEPOINT s;
\set ON_ERROR_STOP off
SELECT gate(6);
\set ON_ERROR_STOP on
ROLLBACK TO s;
SELECT 'alive', v(6);
COMMIT
EOF_SQL
is($sub->out, 'alive|v6', 'the transaction goes on after ROLLBACK TO');
far_idle('a savepoint rolled back');

# While it waits for room in the queue.
open_gate($gate);
$node->append_conf('postgresql.conf', 'concresce.queue_size = 1');
$node->append_conf('postgresql.conf', 'concresce.max_connections = 1');
$node->restart;
$gate = close_gate($node);
my @queued = call_all($node, 2, 'SELECT gate(10 + :i)');
poll($node, q{SELECT sum(active) = 1 AND sum(queued) = 1 FROM concresce.stats});
my $refused = attempt($node, 'SELECT gate(20)', timeout => '300ms');
is($refused->sqlstate, '57014', 'the timeout fires in the line for the queue');
like($refused->err, qr/room in its queue/, 'and says so');
my $waiter = call($node, 'SELECT gate(21)');
poll($node, "SELECT wait_event_type = 'Extension' FROM pg_stat_activity WHERE application_name = '$waiter->{app}'");
$waiter->signal('pg_cancel_backend');
is($waiter->sqlstate, '57014', 'so does a cancel');
open_gate($gate);
is(join(',', sort map { $_->out } @queued), '110,120', 'those in the queue are served');
at_rest($node);

# While it is told something, which its client does not read: so the session waits
# there, and serves the interrupt when that has been sent.
foreach my $way ([ pg_cancel_backend => qr/"concresce.coalesce" is ignored/ ], [ pg_terminate_backend => qr/connection .*lost/ ])
{
	my ($function, $heard) = @$way;
	my $holder = $node->background_psql('postgres');

	$holder->query_safe('SELECT pg_advisory_lock(1)');
	my $told = call($node, <<'EOF_SQL', coalesce => 'batch');
DO $$
BEGIN
	PERFORM pg_advisory_lock_shared(1);
	EXECUTE 'SELECT vgate(30) -- ' || repeat('x', 4000000);
END $$
EOF_SQL

	poll($node, "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE application_name = '$told->{app}'");
	$told->{run}->signal('STOP');
	$holder->quit;
	poll($node, "SELECT wait_event = 'ClientWrite' FROM pg_stat_activity WHERE application_name = '$told->{app}'");
	$told->signal($function);
	$told->{run}->signal('CONT');
	like($told->err, $heard, "$function: a session that is being told something");
	at_rest($node, "$function: leaves nothing behind");
	is(attempt($node, 'SELECT vgate(31)', timeout => '20s')->out, '310', "$function: nor does it keep room in the queue");
}

done_testing();
