# Local executors: how many there are, how they start and end, and what becomes
# of calls when they do.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('local', conf => "max_connections = 130\nrestart_after_crash = on\n");

# ---- what the tests call ---------------------------------------------------

# Bodies wait while the gate is closed, and say who runs them.
$node->safe_psql('postgres', <<'EOF_SQL');
CREATE TABLE runs (n int, pid int DEFAULT pg_backend_pid(), by_whom name DEFAULT current_user);
CREATE TABLE log (n int);
CREATE SEQUENCE executions;
-- over a connection of its own, as most bodies must not write
CREATE EXTENSION dblink;
CREATE FUNCTION next_of(sequence text) RETURNS bigint LANGUAGE sql SECURITY DEFINER AS $$
	SELECT n FROM dblink('dbname=postgres port=' || current_setting('port') || ' host='
		|| split_part(current_setting('unix_socket_directories'), ',', 1),
		format('SELECT nextval(%L)', sequence)) AS t(n bigint)
$$;
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC;
CREATE FUNCTION gated(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	PERFORM next_of('executions');
	PERFORM pg_advisory_xact_lock_shared(4711);
	RETURN 10 * n;
END $$;
CREATE FUNCTION stubborn() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	LOOP
		BEGIN
			PERFORM pg_sleep(60);
		EXCEPTION WHEN query_canceled THEN
			NULL;
		END;
	END LOOP;
END $$;
CREATE FUNCTION gate(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT gated(n)';
CREATE FUNCTION vgate(n int) RETURNS int LANGUAGE concresce VOLATILE AS 'SELECT gated(n)';
CREATE FUNCTION never() RETURNS int LANGUAGE concresce STABLE AS 'SELECT stubborn()';
CREATE FUNCTION div(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT 1000 / n';
CREATE FUNCTION who() RETURNS text LANGUAGE concresce STABLE AS 'SELECT current_user::text';
CREATE FUNCTION napped(n int, s float8) RETURNS int LANGUAGE sql AS 'SELECT n FROM pg_sleep(s)';
CREATE FUNCTION nap(n int, s float8) RETURNS int LANGUAGE concresce STABLE AS 'SELECT napped(n, s)';
CREATE ROLE ann LOGIN;
CREATE ROLE ben LOGIN;
CREATE ROLE cid LOGIN;
EOF_SQL

sub executors
{
	my ($where) = @_;

	return $node->safe_psql('postgres',
		"SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'concresce executor'"
		  . ($where ? " AND $where" : ''));
}

sub poll_executors
{
	my ($n, $where) = @_;

	return poll($node,
		"SELECT count(*) = $n FROM pg_stat_activity WHERE backend_type = 'concresce executor'"
		  . ($where ? " AND $where" : ''));
}

sub executor_pid
{
	return $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE backend_type = 'concresce executor' AND state = 'active'");
}

sub executions
{
	return $node->safe_psql('postgres',
		'SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM executions');
}

sub reset_executions
{
	$node->safe_psql('postgres', q{SELECT setval('executions', 1, false)});
	return;
}

sub close_local_gate
{
	my $session = $node->background_psql('postgres');

	$session->query_safe('SELECT pg_advisory_lock(4711)');
	return $session;
}

# ---- coming and going ------------------------------------------------------

is(executors(), 0, 'there is none before the first call');
is(attempt($node, 'SELECT gate(1)')->out, '10', 'a call starts one');
my $gate = close_local_gate();
my $call = call($node, 'SELECT gate(2)');
$call->waiting;
ok(poll_executors(1, "state = 'active'"), 'which is seen at work');
is($node->safe_psql('postgres', <<'EOF_SQL'), 'postgres|concresce executor|t|t', 'with what it does');
SELECT datname, application_name, query LIKE '%gated(n)%', query_start <= now()
FROM pg_stat_activity WHERE backend_type = 'concresce executor' AND state = 'active'
EOF_SQL
is($node->safe_psql('postgres', <<'EOF_SQL'), '<NULL>|t|active', 'and in concresce.connections');
SELECT coalesce(server, '<NULL>'), remote_user = current_user, state FROM concresce.connections WHERE state = 'active'
EOF_SQL
is($node->safe_psql('postgres', 'SET ROLE ann; SELECT count(*) FROM concresce.connections'), 0, 'which others do not see');
open_gate($gate);
is($call->out, '20', 'it answers');
ok(poll_executors(0), 'idle, it ends');
ok(poll($node, 'SELECT count(*) = 0 FROM concresce.connections'), 'and is shown no more');
at_rest($node);

# ---- as few executions as with a foreign server ----------------------------

# The stampede: all sessions ask at the same moment.
$node->safe_psql('postgres', <<'EOF_SQL');
CREATE SEQUENCE made;
CREATE FUNCTION make_report() RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT 'report ' || next_of('made') FROM pg_sleep(2)
$$;
CREATE FUNCTION report() RETURNS text LANGUAGE concresce STABLE AS 'SELECT make_report()';
EOF_SQL
my $start = $node->background_psql('postgres');
$start->query_safe('SELECT pg_advisory_lock(1)');
my @herd = call_all($node, 100, <<'EOF_SQL');
SELECT pg_advisory_lock_shared(1) \g /dev/null
SELECT extract(epoch FROM clock_timestamp()) AS begin \gset
SELECT report() AS report \gset
SELECT :begin, extract(epoch FROM clock_timestamp()), :'report'
EOF_SQL
poll($node, "SELECT count(*) = 100 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted");
$start->quit;
my ($first, $last, %reports);
foreach my $one (finish_all(@herd))
{
	my ($begin, $end, $report) = split(/\|/, $one->out);

	$first = $begin if !defined $first || $begin < $first;
	$last = $end if !defined $last || $end > $last;
	$reports{$report}++;
}
is_deeply(\%reports, { 'report 1' => 100 }, 'a hundred sessions get one report, made once');
cmp_ok($last - $first, '>=', 2, 'which takes two seconds');
cmp_ok($last - $first, '<', 20, 'and not two hundred');
diag(sprintf('the stampede took %.2f s', $last - $first));
is($node->safe_psql('postgres', <<'EOF_SQL'), '100|99|1|1|0', 'the counters agree');
SELECT calls, coalesced, misses, batches, errors FROM concresce.stats WHERE function::text = 'report()'
EOF_SQL

# Who shares: the same role and search_path.
sub run_together
{
	my ($name, $n, @calls) = @_;

	reset_executions();
	$gate = close_local_gate();
	my @running = map { call($node, $_->{sql}, $_->{user} ? (user => $_->{user}) : ()) } @calls;
	$_->waiting foreach @running;
	open_gate($gate);
	is(join(',', map { $_->out } @running), join(',', map { '10' } @calls), "$name: all are answered");
	is(executions(), $n, "$name: $n runs");
	return;
}
run_together('two calls alike', 1, { sql => 'SELECT gate(1)' }, { sql => 'SELECT gate(1)' });
run_together('two roles', 2,
	{ sql => 'SELECT gate(1)', user => 'ann' }, { sql => 'SELECT gate(1)', user => 'ben' });
run_together('two search paths', 2,
	{ sql => 'SELECT gate(1)' }, { sql => 'SET search_path = public, pg_catalog; SELECT gate(1)' });
run_together('VOLATILE', 2, { sql => 'SELECT vgate(1)' }, { sql => 'SELECT vgate(1)' });

my @together = finish_all(call_all($node, 5, 'SELECT gate(:i)', max_window => '60s', max_size => 5));
is(join(',', map { $_->out } @together), '10,20,30,40,50', 'a window makes a batch');
is($node->safe_psql('postgres', "SELECT batch_size_max FROM concresce.stats WHERE function = 'gate(int)'::regprocedure"), 5, 'of five');

# One bad item.
@together = map { call($node, "SELECT div($_)", max_window => '60s', max_size => 3) } 0 .. 2;
is(join(',', map { $_->sqlstate } @together), '22012,22012,22012', 'an error is for all of the batch');
like($together[0]->err, qr/CONTEXT:  lookup div\(integer\), batch of 3/, 'and says so');
@together = map { call($node, "SELECT div($_)", max_window => '60s', max_size => 3, isolate_errors => 'on') } 0 .. 2;
is(join(',', map { $_->sqlstate || $_->out } @together), '22012,1000,500', 'isolate_errors: for the bad item only');

# ---- how many there may be -------------------------------------------------

$gate = close_local_gate();
my @many = call_all($node, 6, 'SELECT gate(:i)', max_size => 1);
poll($node, q{SELECT count(*) FILTER (WHERE state = 'in flight') = 2 AND count(*) FILTER (WHERE state = 'queued') = 4
	FROM concresce.in_flight});
is(executors(), 2, 'no more than concresce.max_local_workers');
$node->append_conf('postgresql.conf', 'concresce.max_local_workers = 4');
$node->reload;
poll($node, q{SELECT count(*) = 0 FROM pg_settings WHERE name = 'concresce.max_local_workers' AND setting <> '4'});
$call = call($node, 'SELECT gate(7)', max_size => 1);
poll($node, q{SELECT count(*) FILTER (WHERE state = 'in flight') = 4 FROM concresce.in_flight});
is(executors(), 4, 'which can be raised');
open_gate($gate);
is(join(',', map { $_->out } @many, $call), '10,20,30,40,50,60,70', 'all are answered');

# Those of several roles together.
$node->append_conf('postgresql.conf', 'concresce.max_local_workers = 1');
$node->reload;
ok(poll_executors(0), 'those that are too many end');
$gate = close_local_gate();
@many = map { call($node, 'SELECT gate(1); SELECT who()', user => $_) } qw(ann ben cid);
poll($node, q{SELECT count(*) FILTER (WHERE state = 'in flight') = 2 AND count(*) = 3 FROM concresce.in_flight});
is(executors(), 2, 'for three roles one executor, and one more for a role that has none');
open_gate($gate);
is(join(',', map { $_->out } @many), "10\nann,10\nben,10\ncid", 'each is answered, as itself');
foreach my $user (qw(ann ben ann cid))
{
	is(attempt($node, 'SELECT who()', user => $user)->out, $user, "an idle executor gives way to $user");
}

# A role that always has something waiting does not keep the others out.
my @busy = map { call($node, "SELECT count(nap(100 * $_ + i, 0.04)) FROM generate_series(1, 60) i", user => 'ann', max_size => 1) } 1 .. 4;
poll($node, "SELECT count(*) > 2 FROM concresce.in_flight");
my $modest = attempt($node, 'SELECT who()', user => 'ben');
is($modest->out, 'ben', 'one call among many of another role');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM concresce.in_flight'), '>', 0, 'is answered before they have ended');
is(join(',', map { $_->out } @busy), '60,60,60,60', 'and so are they');
$node->append_conf('postgresql.conf', 'concresce.max_local_workers = 2');
$node->reload;
at_rest($node);

# ---- leaving ---------------------------------------------------------------

$gate = close_local_gate();
foreach my $function (qw(pg_cancel_backend pg_terminate_backend))
{
	$call = call($node, 'SELECT gate(1)');
	$call->waiting;
	poll_executors(1, "state = 'active'");
	$call->signal($function);
	isnt($call->sqlstate, '', "$function: the caller leaves");
	ok(poll_executors(0, "state = 'active'"), "$function: the query is cancelled with its last caller");

	my @two = map { call($node, 'SELECT gate(2)') } 1 .. 2;
	$_->waiting foreach @two;
	$two[0]->signal($function);
	isnt($two[0]->sqlstate, '', "$function: one of two leaves");
	poll($node, 'SELECT count(*) = 1 FROM concresce.in_flight');
	ok(poll_executors(1, "state = 'active'"), "$function: the query goes on for the other");
	open_gate($gate);
	is($two[1]->out, '20', "$function: which is answered");
	$gate = close_local_gate();
}
is(attempt($node, 'SELECT gate(1)', timeout => '300ms')->sqlstate, '57014', 'concresce.timeout');
ok(poll_executors(0, "state = 'active'"), 'cancels, too');
open_gate($gate);

# A cancel hits what it is meant for, and not the next query of the executor.
my @quitters = map { call($node, <<"EOF_SQL") } 1 .. 3;
DO \$\$
DECLARE
	cancelled int := 0;
BEGIN
	FOR i IN 1 .. 60 LOOP
		BEGIN
			PERFORM set_config('concresce.timeout', (1 + i % 8)::text, false);
			PERFORM nap(1000 * $_ + i, 0.005);
		EXCEPTION WHEN query_canceled THEN
			cancelled := cancelled + 1;
		END;
	END LOOP;
	RAISE NOTICE 'cancelled: %', cancelled;
END \$\$
EOF_SQL
my @innocent = map {
	call($node, "SELECT sum(nap(1000000 * $_ + i, 0.003)) IS NOT NULL FROM generate_series(1, 150) i", max_size => 1)
} 1 .. 2;
is(join(',', map { $_->sqlstate || $_->out } @innocent), 't,t', 'nobody is cancelled in the place of others');
like($_->err, qr/cancelled: [1-9]/, 'while others are') foreach finish_all(@quitters);
at_rest($node);

# A body that catches the cancel is ended all the same.
$call = call($node, 'SELECT never()');
$call->waiting;
poll_executors(1, "state = 'active'");
$call->signal('pg_cancel_backend');
is($call->sqlstate, '57014', 'the caller of a stubborn body leaves');
ok(poll_executors(0, "state = 'active'"), 'and its executor is terminated');
is(attempt($node, 'SELECT gate(3)')->out, '30', 'the next call works');

# ---- dying -----------------------------------------------------------------

$gate = close_local_gate();
$call = call($node, 'SELECT gate(1)');
$call->waiting;
poll_executors(1, "state = 'active'");
$node->safe_psql('postgres', 'SELECT pg_cancel_backend(' . executor_pid() . ')');
is($call->sqlstate, '57014', 'pg_cancel_backend() on an executor is an error to its callers');

# One that is terminated, whatever it runs: the job has ended, and is not run again.
my $pid;
foreach my $lookup (qw(gate vgate))
{
	$call = call($node, "SELECT $lookup(1)");
	$call->waiting;
	poll_executors(1, "state = 'active'");
	$pid = executor_pid();
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 60000)");
	is($call->sqlstate, '57000', "$lookup: pg_terminate_backend() on an executor is an error to its callers");
	like($call->err, qr/local executor was terminated\nDETAIL:  terminating background worker "concresce executor" due to administrator command/, 'that says why');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM concresce.in_flight'), '0', 'nothing is run again');
}
at_rest($node);

# The collector.
$call = call($node, 'SELECT gate(1)');
$call->waiting;
poll_executors(1, "state = 'active'");
$pid = executor_pid();
$node->safe_psql('postgres', 'SELECT pg_terminate_backend(' . collector_pid($node) . ')');
is($call->sqlstate, '57000', 'the collector exits: an error');
ok(poll_executors(0, "pid = $pid"), 'and its executors end');
open_gate($gate);
is(attempt($node, 'SELECT gate(4)')->out, '40', 'the next call works');
at_rest($node);

# Killed: all of the server restarts.
$gate = close_local_gate();
$call = call($node, 'SELECT gate(1)');
$call->waiting;
poll_executors(1, "state = 'active'");
kill 9, executor_pid();
$call->finish;
poll($node, 'SELECT true');
is(attempt($node, 'SELECT gate(5)')->out, '50', 'after a crash it works');
eval { $gate->quit };

# ---- a failed start --------------------------------------------------------

# The collector and the launcher of logical replication take the two there are.
$node->append_conf('postgresql.conf', "max_worker_processes = 2\n");
$node->restart;
my $failed;
my $took = timed(sub { $failed = attempt($node, 'SELECT gate(1)') });
is($failed->sqlstate, '53400', 'no slot for a worker: an error');
like($failed->err, qr/could not start a local executor\nDETAIL:  There is no free slot for another background worker\.\nHINT:  You may need to increase "max_worker_processes"\./, 'with the hint');
cmp_ok($took, '<', 30, 'without waiting for the timeout');
is(attempt($node, 'SELECT gate(1)')->sqlstate, '53400', 'again');
at_rest($node);
$node->append_conf('postgresql.conf', "max_worker_processes = 3\n");
$node->restart;
is(attempt($node, 'SELECT gate(1)')->out, '10', 'with one more it works');

# One that several collectors share.
$node->append_conf('postgresql.conf', "max_worker_processes = 16\nconcresce.workers = 4\n");
$node->restart;
@many = finish_all(call_all($node, 8, 'SELECT gate(:i)'));
is(join(',', map { $_->out } @many), '10,20,30,40,50,60,70,80', 'with several collectors');
cmp_ok(executors(), '<=', 2, 'the limit is that of the database');
at_rest($node);

# An orderly shutdown does not wait for them.
$gate = close_local_gate();
$call = call($node, 'SELECT gate(1)');
$call->waiting;
$node->stop('fast');
$call->finish;
$node->start;
is(attempt($node, 'SELECT gate(1)')->out, '10', 'after a fast shutdown');
eval { $gate->quit };
attempt($node, 'SELECT gate(1)');
cmp_ok(timed(sub { $node->stop('smart') }), '<', 30, 'a smart shutdown does not wait for idle ones');

done_testing();
