# What callers are told when the foreign server cannot be reached, refuses,
# goes away in the midst of a query, or reports an error; and that the next
# call works.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Utils;
use Test::More;

my $far = start_node('far', extension => 0);
my $node = start_node('local');
make_far($node, $far);

sub last_error
{
	my ($function) = @_;

	return $node->safe_psql('postgres',
		"SELECT last_error FROM concresce.stats WHERE function::text LIKE '$function(%'");
}

# How often vgate(n) was run.
sub runs
{
	my ($n) = @_;

	return $far->safe_psql('far', "SELECT count(*) FROM log WHERE n = $n");
}

sub lost
{
	return $node->safe_psql('postgres', q{SELECT sum(lost) FROM concresce.connections WHERE server = 'far'});
}

sub break_connections
{
	return $far->safe_psql('postgres', <<'EOF_SQL');
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE application_name = 'concresce'
EOF_SQL
}

is(attempt($node, 'SELECT v(1)')->out, 'v1', 'it works to begin with');

# ---- lost in the midst of a query ------------------------------------------

my $gate = close_gate($far);
my $stable = call($node, 'SELECT gate(1)');
poll_far($far, 1);
is(break_connections(), 1, 'a connection is broken during a query');
ok(poll_far($far, 1), 'a STABLE lookup is sent once more');
open_gate($gate);
is($stable->out, '10', 'and its caller gets the answer');

$gate = close_gate($far);
$stable = call($node, 'SELECT gate(2)');
poll_far($far, 1);
my $before = $far->safe_psql('postgres', <<'EOF_SQL');
SELECT pid FROM pg_stat_activity WHERE application_name = 'concresce' AND state = 'active'
EOF_SQL
break_connections();
poll($far, <<"EOF_SQL");
SELECT count(*) = 1 FROM pg_stat_activity
WHERE application_name = 'concresce' AND state = 'active' AND pid <> $before
EOF_SQL
break_connections();
is($stable->sqlstate, '08006', 'once more only');
like($stable->err, qr/connection to server "far" was lost/, 'the error names the server');
like($stable->err, qr/DETAIL:.*terminating connection due to administrator command/, 'and the cause');
like($stable->err, qr/CONTEXT:  lookup gate\(integer\) on server "far", batch of 1/,
	'and the lookup');

my $volatile = call($node, 'SELECT vgate(3)');
poll_far($far, 1);
$far->poll_query_until('far', 'SELECT count(*) = 1 FROM log');
break_connections();
is($volatile->sqlstate, '08007', 'a VOLATILE lookup is not sent again: nobody knows');
like($volatile->err, qr/DETAIL:.*\nHINT:  The lookup is VOLATILE/, 'its caller is told why');
open_gate($gate);
is(attempt($node, 'SELECT vgate(4)')->out, '40', 'the next one works');
is(runs(3), 1, 'the lost one was run once');
is(runs(4), 1, 'the next one, too');
cmp_ok(lost(), '>=', 4, 'connections that were lost are counted');

# ---- down and up again -----------------------------------------------------

$far->stop;
my $down = attempt($node, 'SELECT v(1)');
is($down->sqlstate, '08001', 'a server that is down');
like($down->err, qr/could not connect to server "far"\nDETAIL:.*Connection refused/, 'is named, with the cause');
like(last_error('v'), qr/could not connect to server "far"/, 'stats show the error');
like($node->safe_psql('postgres', 'SELECT last_error FROM concresce.connections'),
	qr/could not connect to server "far"/, 'so do connections');
is($node->safe_psql('postgres', 'SELECT count(connected_at), max(batches) FROM concresce.connections'), '0|0', 'of an attempt, not of what was there before');
my $lost = lost();
cmp_ok($lost, '>=', 5, 'the one that was idle is lost, too');
is(attempt($node, 'SELECT vgate(1)')->sqlstate, '08001',
	'a VOLATILE lookup that was never sent is not in doubt');

# Backing off, but nobody waits long.
my @crowd = finish_all(call_all($node, 8, 'SELECT v(:i)'));
is(scalar(grep { $_->sqlstate eq '08001' } @crowd), 8, 'every caller is told');
$far->start;
is(attempt($node, 'SELECT v(1)')->out, 'v1', 'the first call after the start works');
is(lost(), $lost, 'attempts that fail are no losses, and the count goes on');
is($node->safe_psql('postgres', 'SELECT count(connected_at) FROM concresce.connections'), 1, 'it is connected again');

$far->restart;
is(attempt($node, 'SELECT v(1)')->out, 'v1', 'a restart between two calls goes unnoticed');
is(attempt($node, 'SELECT vgate(5)')->out, '50', 'even by a VOLATILE one');
is(runs(5), 1, 'which is run once');

# ---- errors of the bulk query ----------------------------------------------

$far->safe_psql('far', <<'EOF_SQL');
CREATE FUNCTION fail(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	IF n < 0 THEN
		RAISE EXCEPTION 'no % here', n
			USING ERRCODE = 'ZZ123', DETAIL = 'It is below zero.', HINT = 'Try above.';
	END IF;
	RETURN n;
END $$;
EOF_SQL
$node->safe_psql('postgres',
	define('far', 'fail(n int)' => 'int STABLE' => 'SELECT fail FROM fail(n)'));
@crowd = finish_all(call_all($node, 4, 'SELECT fail(:i - 2)',
	max_window => '60s', max_size => 4));
is(scalar(grep { $_->sqlstate eq 'ZZ123' } @crowd), 4, 'an error reaches every caller of the batch');
foreach my $call (@crowd)
{
	like($call->err, qr{^ERROR:  ZZ123: no -1 here
DETAIL:  It is below zero\.
HINT:  Try above\.
CONTEXT:  PL/pgSQL function fail\(integer\) line 4 at RAISE
lookup fail\(integer\) on server "far", batch of 4$}m, 'whole, and with the lookup named');
}
is(last_error('fail'), 'no -1 here', 'stats show it');
is($node->safe_psql('postgres', "SELECT errors FROM concresce.stats WHERE function::text LIKE 'fail(%'"),
	4, 'and count every caller');

# A division by zero is an error of the data: halving finds it.
@crowd = finish_all(call_all($node, 7, 'SELECT div(:i - 3)',
	max_window => '60s', max_size => 7, isolate_errors => 'on'));
is($crowd[2]->sqlstate, '22012', 'isolate_errors: the bad item fails');
like($crowd[2]->err, qr/batch of 1$/m, 'alone');
is(join(',', map { $_->out } @crowd), '-500,-1000,,1000,500,333,250', 'and no other');
@crowd = finish_all(call_all($node, 4, 'SELECT fail(:i - 2)',
	max_window => '60s', max_size => 4, isolate_errors => 'on'));
is(scalar(grep { $_->sqlstate eq 'ZZ123' } @crowd), 4,
	'an error that need not be of the data is not isolated');

at_rest($node);
done_testing();
