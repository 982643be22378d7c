# One flight per key, across sessions: who joins, who does not, what forget()
# changes, and that the counters add up through all of it.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use Test::More;

my $node = start_node('local');
make_far($node);
$node->safe_psql('postgres', define('far',
	'nothing(n int)' => 'int STABLE' => 'SELECT gate FROM gate(n) WHERE gate < 0',
	'three(n int)' => 'SETOF int STABLE' => 'SELECT gate + i FROM gate(n), generate_series(1, 3) i',
	'bare()' => 'int STABLE' => 'SELECT gate FROM gate(7)',
	'same(n int, m int)' => "int STABLE SET concresce.key = 'n'" => 'SELECT gate + m FROM gate(n)'));

# Calls that wait for one another, and in how many queries they are served.
sub in_flight
{
	my ($n, $queries, $name, @calls) = @_;

	ok( $node->poll_query_until('postgres',
			"SELECT count(*) = $n FROM concresce.in_flight WHERE state = 'in flight'")
		  && poll_far($node, $queries),
		$name);
	return;
}

sub outs { return join(',', map { $_->out } finish_all(@_)) }

# ---- who joins -------------------------------------------------------------

my $gate = close_gate($node);
my @calls = call_all($node, 5, 'SELECT gate(1)');
in_flight(5, 1, 'STABLE: identical calls share a flight');
push @calls, call($node, 'SELECT gate(2)');
in_flight(6, 2, 'another key is another flight');
push @calls, call($node, 'SELECT gate(1)', coalesce => 'batch');
in_flight(7, 3, 'coalesce = batch: not one in the air');
push @calls, call($node, 'SELECT gate(1)', coalesce => 'off');
in_flight(8, 4, 'coalesce = off: not at all');
open_gate($gate);
is(outs(@calls), '10,10,10,10,10,20,10,10', 'all are answered');
is($node->safe_psql('postgres', "SELECT coalesced, misses, calls FROM concresce.stats WHERE function::text = 'gate(integer)'"),
	'4|4|8', 'coalesced and misses');

$gate = close_gate($node);
@calls = call_all($node, 3, 'SELECT vgate(1)');
poll($node, 'SELECT sum(active + queued) = 3 FROM concresce.stats');
open_gate($gate);
is(outs(@calls), '10,10,10', 'VOLATILE: identical calls');
is($node->safe_psql('far', 'SELECT count(*) FROM log'), 3, 'are run each');

$gate = close_gate($node);
@calls = (call_all($node, 3, 'SELECT coalesce(nothing(1), -1)'));
in_flight(3, 1, 'an answer without rows is shared');
my @sets = call_all($node, 3, 'SELECT count(*), sum(three) FROM three(1)');
in_flight(6, 2, 'so is one of many');
my @plain = call_all($node, 3, 'SELECT bare()');
in_flight(9, 3, 'and one of a lookup without arguments');
my @same = (call($node, 'SELECT same(3, 1)'));
in_flight(10, 4, 'a key of its own');
push @same, call($node, 'SELECT same(3, 2)');
in_flight(11, 4, 'makes calls alike');
open_gate($gate);
is(outs(@calls), '-1,-1,-1', 'nothing for all');
is(outs(@sets), '3|36,3|36,3|36', 'all for all');
is(outs(@plain), '70,70,70', 'one for all');
is(outs(@same), '31,31', "the first caller's arguments win");

# ---- forget ----------------------------------------------------------------

$gate = close_gate($node);
my $old = call($node, 'SELECT gate(4)');
in_flight(1, 1, 'a flight');
my $old_query = $node->safe_psql('postgres',
	"SELECT pid FROM pg_stat_activity WHERE application_name = 'concresce' AND state = 'active'");
$node->safe_psql('postgres', "SELECT concresce.forget('gate', 4)");
my $new = call($node, 'SELECT gate(4)');
in_flight(2, 2, 'forget: the next call has a flight of its own');
$node->safe_psql('postgres', "SELECT concresce.forget('gate', 5)");
my $joiner = call($node, 'SELECT gate(4)');
in_flight(3, 2, 'which later ones join');

# The end of the old flight must not take the new one's place in the list.
$node->safe_psql('postgres', "SELECT pg_cancel_backend($old_query)");
is($old->sqlstate, '57014', 'the forgotten flight ends, for him who waits for it');
my $later = call($node, 'SELECT gate(4)');
in_flight(3, 1, 'and later calls still join the new one');
$node->safe_psql('postgres', 'SELECT concresce.forget_all()');
my $last = call($node, 'SELECT gate(4)');
in_flight(4, 2, 'forget_all: likewise');
open_gate($gate);
is(outs($new, $joiner, $later, $last), '40,40,40,40', 'all who wait are answered');

# ---- counting --------------------------------------------------------------

at_rest($node);
my $before = $node->safe_psql('postgres', 'SELECT sum(calls) FROM concresce.stats');
is(answered($node), $before - 1, 'every call is counted once');

$gate = close_gate($node);
@calls = call_all($node, 2, 'SELECT gate(1)');
in_flight(2, 1, 'calls in flight');
push @calls, call_all($node, 2, 'SELECT gate(2)');
in_flight(4, 2, 'and others, in a batch of their own');
$node->safe_psql('postgres', 'SELECT concresce.reset_stats()');
is($node->safe_psql('postgres', "SELECT calls, errors, active + queued FROM concresce.stats WHERE function::text = 'gate(integer)'"),
	'4|0|4', 'a reset during a flight: those calls are still open');
open_gate($gate);
finish_all(@calls);
at_rest($node);
is($node->safe_psql('postgres', "SELECT calls, errors, cancelled, timeouts, active, queued FROM concresce.stats WHERE function::text = 'gate(integer)'"),
	'4|0|0|0|0|0', 'and counted as answered when they end');

done_testing();
