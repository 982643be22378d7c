# The collector is ended, killed, or stopped: its callers fail at once or on
# time, it comes back, and nothing is left of those it served.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use Test::More;

my $node = start_node('local', conf => 'restart_after_crash = on');
make_far($node);

# Seconds that may pass until "at once": far less than any timeout in play.
my $SOON = 10;

sub terminate
{
	my $pid = collector_pid($node);

	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	return $pid;
}

# ---- pg_terminate_backend --------------------------------------------------

my $gate = close_gate($node);
my $stable = call($node, 'SELECT gate(1)');
my $volatile = call($node, 'SELECT vgate(2)');
$stable->waiting;
$volatile->waiting;
my $queued = call($node, 'SELECT vgate(3)', max_window => '60s');
$queued->waiting('queued');
poll_far($node, 2);
my $old;
my $seconds = timed(sub {
	$old = terminate();
	finish_all($stable, $volatile, $queued);
});
is($stable->sqlstate, '57000', 'a STABLE call in flight fails');
like($stable->err, qr/concresce collector exited during lookup gate\(integer\)/, 'and says why');
like($stable->err, qr/HINT:  It restarts by itself; try again/, 'and what to do');
is($volatile->sqlstate, '08007', 'of a VOLATILE one in flight nobody knows');
is($queued->sqlstate, '57000', 'one that was not sent had no effect');
cmp_ok($seconds, '<', $SOON, 'at once');

$seconds = timed(sub {
	poll($node, <<"EOF_SQL");
SELECT count(*) = 1 FROM pg_stat_activity
WHERE backend_type = 'concresce collector' AND pid <> $old
EOF_SQL
});
cmp_ok($seconds, '<', $SOON, 'the collector is back');
is(attempt($node, 'SELECT v(1)')->out, 'v1', 'the next call works');
open_gate($gate);
poll($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'concresce' AND state = 'active'");
is($node->safe_psql('far', 'SELECT count(*) FROM log WHERE n = 2'), 1,
	'the lost VOLATILE call was not repeated');
is($node->safe_psql('far', 'SELECT count(*) FROM log WHERE n = 3'), 0,
	'the one never sent was not run');
at_rest($node);
is($node->safe_psql('postgres', 'SELECT sum(errors), sum(cancelled) FROM concresce.stats'),
	'3|0', 'each failed call is counted once');

# ---- again and again, under load -------------------------------------------

# Sessions that call until they are told to stop, and check every answer.
$node->safe_psql('postgres', <<'EOF_SQL');
CREATE TABLE stop (now bool);
CREATE FUNCTION drum(client int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	right_ones int := 0; failed int := 0; k int := client; answer text;
BEGIN
	WHILE NOT EXISTS (SELECT FROM stop) LOOP
		k := k % 1000 + 1;
		BEGIN
			answer := v(k);
			IF answer IS DISTINCT FROM 'v' || k THEN
				RETURN format('v(%s) = %s', k, answer);
			END IF;
			right_ones := right_ones + 1;
		EXCEPTION WHEN operator_intervention THEN
			failed := failed + 1;
		END;
		PERFORM pg_sleep(0.002);
	END LOOP;
	RETURN CASE WHEN right_ones > 0 THEN 'right' ELSE 'none' END;
END $$;
EOF_SQL
my @drums = call_all($node, 8, 'SELECT drum(100 * :i)');
my $generations = 0;
my $pid = collector_pid($node);
foreach (1 .. 4)
{
	poll($node, 'SELECT sum(calls) > 100 FROM concresce.stats');
	$node->safe_psql('postgres', 'SELECT concresce.reset_stats()');
	terminate();
	poll($node, <<"EOF_SQL");
SELECT count(*) = 1 FROM pg_stat_activity
WHERE backend_type = 'concresce collector' AND pid <> $pid
EOF_SQL
	$generations++ if collector_pid($node) ne $pid;
	$pid = collector_pid($node);
}
is($generations, 4, 'ended under load, the collector comes back each time');
poll($node, 'SELECT sum(calls) > 100 FROM concresce.stats');
$node->safe_psql('postgres', 'INSERT INTO stop VALUES (true)');
is(join(',', map { $_->out } finish_all(@drums)), join(',', ('right') x 8),
	'no caller hangs or gets a wrong answer');
at_rest($node);

# ---- stopped: deadlines are the callers' own -------------------------------

$pid = collector_pid($node);
kill('STOP', $pid);
my ($timeout, $cancel);
$seconds = timed(sub {
	$timeout = attempt($node, 'SELECT v(2)', timeout => '500ms');
});
is($timeout->sqlstate, '57014', 'with the collector stopped, a timeout fires');
like($timeout->err, qr/It waited 500 ms for the collector/, 'and says what it waited for');
cmp_ok($seconds, '>', 0.45, 'not too early');
cmp_ok($seconds, '<', $SOON, 'not too late');
$cancel = call($node, 'SELECT v(3)');
$cancel->waiting('submitted');
$cancel->signal('pg_cancel_backend');
is($cancel->sqlstate, '57014', 'a cancel is heard');
my $patient = call($node, 'SELECT v(4)');
$patient->waiting('submitted');
my @gone = call_all($node, 4, 'SELECT v(:i)', timeout => '200ms');
is(scalar(grep { $_->sqlstate eq '57014' } finish_all(@gone)), 4, 'so are others');
kill('CONT', $pid);
is($patient->out, 'v4', 'who waited for it is answered when it goes on');
is(collector_pid($node), $pid, 'it is the same one');
at_rest($node);

# ---- kill -9: the server starts anew ---------------------------------------

$gate = close_gate($node);
my $victim = call($node, 'SELECT gate(1)');
$victim->waiting;
kill('KILL', $pid);
like($victim->err, qr/server closed the connection|terminating connection/,
	'a kill -9 is a crash for everybody');
eval { open_gate($gate) };
ok($node->poll_query_until('postgres', "SELECT v(5) = 'v5'"), 'after it calls work');
isnt(collector_pid($node), $pid, 'through a new collector');
at_rest($node);

done_testing();
