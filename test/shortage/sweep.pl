# Each allocation that a collector or a session makes while it does something fails, once:
# no process crashes, nobody gets a wrong answer or waits for ever, nothing is
# left behind, and the next call works. The library is to be built with
# SHORTAGE=1: see fail.c, and make check-shortage.
#
# ONLY='source,role': these scenes only.

use strict;
use warnings FATAL => 'all';

BEGIN { $ENV{PG_TEST_TIMEOUT_DEFAULT} //= 30 }

use FindBin;
use lib "$FindBin::RealBin/../t";
use Concresce;
use PostgreSQL::Test::Utils;
use Test::More;

$ENV{CCR_SHORTAGE} = PostgreSQL::Test::Utils::tempdir . '/countdown';
append_to_file($ENV{CCR_SHORTAGE}, pack('ll', 0, 0));
open(my $countdown, '+<:raw', $ENV{CCR_SHORTAGE}) or die "could not open: $!";

# Which allocation is to fail, and how many are left until it does. of: 0 for a
# collector, 1 for the session that is called "shortage".
sub arm
{
	my ($n, $of) = @_;

	sysseek($countdown, 4 * ($of // 0), 0);
	syswrite($countdown, pack('l', $n));
	return;
}

sub left
{
	my ($of) = @_;

	sysseek($countdown, 4 * ($of // 0), 0);
	sysread($countdown, my $data, 4);
	return unpack('l', $data);
}

my $node = start_node('local', conf => <<'EOF_CONF');
concresce.max_connections = 1
concresce.queue_size = 30
restart_after_crash = on
EOF_CONF
make_far($node);
$node->safe_psql('far', 'CREATE TABLE kept (n int)');
$node->safe_psql('postgres', define('far', 'ten(n int)' => 'int STABLE' => 'SELECT 10 * n'));

my $rest = <<'EOF_SQL';
SELECT (SELECT used FROM concresce.memory()) = 0 AND NOT EXISTS (SELECT FROM concresce.in_flight)
	AND NOT EXISTS (SELECT FROM concresce.stats WHERE active <> 0 OR queued <> 0 OR calls < 0
		OR errors + cancelled + timeouts > calls OR coalesced + misses > calls)
EOF_SQL

# What went wrong when the nth failed; undef: there are not so many.
sub failing
{
	my ($n, $scene) = @_;

	poll($node, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'concresce collector'});
	$scene->{prepare}->($n) if $scene->{prepare};
	my $from = -s $node->logfile;
	arm($n, $scene->{of});
	my @calls = $scene->{run}->($n);
	my $left = left($scene->{of});
	arm(0, $scene->{of});
	my $log = slurp_file($node->logfile, $from);
	return if $left > 0 && $log !~ /This allocation was to fail/;

	my ($where) = $log =~ /This allocation was to fail:(.*)\./;
	my @wrong;
	push @wrong, 'a crash' if $log =~ /terminated by signal|TRAP/;
	foreach my $call (@calls)
	{
		my $due = ref $scene->{due} ? $scene->{due}->($n) : $scene->{due};

		push @wrong, 'no end' if $call->sqlstate eq '57014' && !$scene->{late};
		push @wrong, 'answer ' . $call->out if $call->sqlstate eq '' && $call->out ne $due;
	}
	push @wrong, 'something is left' unless poll($node, $rest);
	# more than the queue has places for: only if nobody's room is left in it
	my $next = attempt($node, 'SELECT sum(ten(i)) FROM generate_series(1, 40) i', timeout => '10s');
	push @wrong, 'the next call: ' . $next->err if $next->out ne 8200;
	return @wrong ? "$n:" . ($where // '') . ': ' . join(', ', @wrong) : '';
}

sub sweep
{
	my ($name, %scene) = @_;
	my ($n, @wrong) = 0;

	return if $ENV{ONLY} && ",$ENV{ONLY}," !~ /,\Q$name\E,/;
	while (defined(my $what = failing(++$n, \%scene)))
	{
		push @wrong, $what if $what ne '';
	}
	cmp_ok($n, '>', 20, "$name: there are some");
	is(join("\n", @wrong), '', "$name: each of $n may fail");
	return;
}

sub redefine
{
	my ($lookup) = @_;

	$lookup =~ s/CREATE FUNCTION/CREATE OR REPLACE FUNCTION/;
	return $node->safe_psql('postgres', $lookup);
}

sub ask_short { return call($node, $_[0], app => 'shortage', timeout => '10s')->finish }
sub ask { return attempt($node, $_[0], timeout => '10s') }

# ---- the scenes --------------------------------------------------------------

sweep('source', due => 150,
	prepare => sub { redefine(define('far', 'a(n int)' => 'int STABLE' => "SELECT 10 * n -- $_[0]\n")) },
	run => sub { ask('SELECT sum(a(i)) FROM generate_series(1, 5) i') });

sweep('server', due => 150,
	prepare => sub {
		$node->safe_psql('postgres', make_server("s$_[0]", far_options($node, host => 'localhost')));
		redefine(define("s$_[0]", 'b(n int)' => 'int STABLE' => 'SELECT 10 * n'));
	},
	run => sub { ask('SELECT sum(b(i)) FROM generate_series(1, 5) i') });

$node->safe_psql('postgres', make_server('named', far_options($node, host => 'localhost')));
sweep('addresses', due => 150,
	prepare => sub {
		redefine(define('named', 'c(n int)' => 'int STABLE' => "SELECT 10 * n -- $_[0]\n"));
		$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'concresce'});
	},
	run => sub { ask('SELECT sum(c(i)) FROM generate_series(1, 5) i') });

sweep('role', due => 150,
	prepare => sub { $node->safe_psql('postgres', "CREATE ROLE r$_[0] SUPERUSER") },
	run => sub { ask("SET ROLE r$_[0]; SELECT sum(ten(i)) FROM generate_series(1, 5) i") });

sweep('enqueued', due => '5',
	prepare => sub { redefine(define('far', 'keep(n int)' => 'void VOLATILE' => "INSERT INTO kept SELECT n FROM unnest(collect(n)) n -- $_[0]\n")) },
	run => sub { ask(q{SELECT count(concresce.enqueue('keep', i)) FROM generate_series(1, 5) i; DO 'BEGIN PERFORM concresce.flush(); END'}) });

sweep('keyed', due => 150,
	prepare => sub { redefine(define('far', 'd(n int)' => 'int STABLE' => "SELECT n, 10 * n FROM unnest(collect(n)) n -- $_[0]\n")) },
	run => sub { ask('SELECT sum(d(i)) FROM generate_series(1, 5) i') });

sweep('divided', due => '4|5',
	prepare => sub { redefine(define('far', 'e(n int)' => 'int STABLE SET concresce.isolate_errors = on' => "SELECT 100 / n -- $_[0]\n")) },
	run => sub { ask(q{SELECT count(result), count(*) FROM concresce.as_completed((SELECT array_agg(concresce.submit('e', i)) FROM generate_series(0, 4) i), NULL::int, true)}) });

sweep('local', due => 150,
	prepare => sub { redefine(define('', 'f(n int)' => 'int STABLE' => "SELECT 10 * n -- $_[0]\n")) },
	run => sub { ask('SELECT sum(f(i)) FROM generate_series(1, 5) i') });

# Some that wait, one of which another call joins, and whose caller leaves.
sub until_it
{
	my ($call) = @_;

	return poll($node, <<"EOF_SQL");
SELECT EXISTS (SELECT FROM concresce.in_flight JOIN pg_stat_activity USING (pid) WHERE application_name = '$call->{app}')
	OR NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = '$call->{app}')
EOF_SQL
}

sweep('left', due => sub { 10 * (1000 * $_[0] + 1) },
	run => sub {
		my ($n) = @_;
		my $gate = close_gate($node);
		my $first = call($node, 'SELECT gate(0)', timeout => '20s');
		until_it($first);
		my $many = call($node, "SELECT sum(gate(1000 * $n + i)) FROM generate_series(1, 20) i", timeout => '20s');
		until_it($many);
		my $one = call($node, "SELECT gate(1000 * $n + 1)", timeout => '20s');
		until_it($one);
		$many->signal('pg_cancel_backend');
		$many->finish;
		open_gate($gate);
		$first->finish;
		return $one;
	});

# Rows that are put on the heap once for all who wait for them.
sweep('shared', due => 25000,
	prepare => sub { redefine(define('far', 'g(n int)' => 'text STABLE' => "SELECT repeat(n::text, 5000) -- $_[0]\n")) },
	run => sub { ask(q{SELECT sum(length(result)) FROM concresce.as_completed((SELECT array_agg(concresce.submit('g', 1)) FROM generate_series(1, 5)), NULL::text)}) });

# All who wait for a batch in flight leave it, at once.
sweep('deserted', due => sub { 10 * (1000 * $_[0] + 1) },
	run => sub {
		my ($n) = @_;
		arm(0);
		my $gate = close_gate($node);
		my @calls = call_all($node, 3, "SELECT gate(1000 * $n)", timeout => '20s');
		until_it($_) foreach @calls;
		my $collector = collector_pid($node);
		kill STOP => $collector;
		$_->signal('pg_cancel_backend') foreach @calls;
		$_->finish foreach @calls;
		arm($n);
		kill CONT => $collector;
		my $next = call($node, "SELECT gate(1000 * $n + 1)", timeout => '20s');
		until_it($next);
		open_gate($gate);
		return $next->finish;
	});

# A session that goes on after an error, and has nothing left then.
$node->safe_psql('postgres', <<'EOF_SQL');
CREATE FUNCTION rests() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. 1000 LOOP
		EXIT WHEN (SELECT used FROM concresce.memory()) = 0;
		PERFORM pg_sleep(0.01);
	END LOOP;
	RETURN (SELECT used FROM concresce.memory()) = 0;
END $$
EOF_SQL

sub goes_on
{
	my ($way, @then) = @_;

	return sub {
		return ask_short(join(";\n", "DO \$\$ BEGIN PERFORM $way; EXCEPTION WHEN out_of_memory THEN NULL; END \$\$", @then));
	};
}
my $sum = 'SELECT sum(ten(i)) FROM generate_series(1, 5) i';

sweep('call', of => 1, due => "150\nt", run => goes_on('ten(1)', $sum, 'SELECT rests()'));

sweep('defined', of => 1, due => "150\nt",
	prepare => sub { redefine(define('far', 'j(n int)' => 'int STABLE' => "SELECT 10 * n -- $_[0]\n")) },
	run => goes_on('sum(j(i)) FROM generate_series(1, 5) i', 'SELECT sum(j(i)) FROM generate_series(1, 5) i', 'SELECT rests()'));

# Futures that nobody awaits end with their transaction.
sweep('future', of => 1, due => "150\nt",
	run => goes_on(q{concresce.gather((SELECT array_agg(concresce.submit('ten', i)) FROM generate_series(1, 3) i), NULL::int)},
		$sum, q{DO $$ BEGIN PERFORM concresce.submit('ten', 6); END $$}, 'SELECT rests()'));

$node->safe_psql('postgres', define('far', 'hold(n int)' => 'void VOLATILE' => 'INSERT INTO kept SELECT n FROM unnest(collect(n)) n'));
sweep('enqueue', of => 1, due => '5',
	run => goes_on(q{concresce.enqueue('hold', 1)},
		q{SELECT count(concresce.enqueue('hold', i)) FROM generate_series(1, 5) i}, q{DO 'BEGIN PERFORM concresce.flush(); END'}));

arm(0);
at_rest($node);
done_testing();
