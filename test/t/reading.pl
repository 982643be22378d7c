# Answers that take long to read are read in a thread. They arrive whole, also
# several at once and over TLS; whoever has enough of one can cancel it, end the
# collector or stop the server meanwhile.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use Peers;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $PART = 8 * 1024 * 1024;

sub be8 { return pack('NN', 0, $_[0]) }

# A part of a row, and nothing more.
sub part_of_a_row
{
	my ($s) = @_;
	my $claim = 4 * $PART;

	$s->send_raw('D' . pack('N', $claim) . pack('n', 2) . pack('N', 8) . be8(1) . pack('N', $claim - 22));
	$s->send_raw('x' x $PART);
	$s->receive(1) while 1;
	return;
}

my $node = start_node('local', conf => "concresce.shared_memory = 256MB\n");
make_far($node);
my $fake = FakeServer->new(part => { execute => \&part_of_a_row });
$node->safe_psql('postgres', join('',
	make_server('part', far_options($node, port => $fake->port, dbname => 'part')),
	define('part', 'part(n int)' => 'text STABLE' => 'SELECT $$x$$ || n'),
	define('far',
		'big(n int)' => 'text STABLE' => q{SELECT repeat(md5(n::text), n)},
		'told(n int)' => 'text STABLE' => q{SELECT repeat(md5(n::text), n) FROM notes(n)})));
$node->safe_psql('far', <<'EOF_SQL');
CREATE FUNCTION notes(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. 3 LOOP
		RAISE NOTICE '%', repeat('n', 30 * n);
	END LOOP;
	RETURN n;
END $$
EOF_SQL
my $pid = collector_pid($node);

# Those of the collector's threads that read.
sub readers
{
	return grep { (eval { slurp_file("$_/comm") } // '') =~ /^concresce read$/ } glob("/proc/$pid/task/*");
}

# ---- they arrive whole -----------------------------------------------------

foreach my $lookup ('big', 'told')
{
	my $query = "SELECT count(*) FROM generate_series(:i * 10000, :i * 10000 + 50000, 10000) n
		WHERE $lookup(n) = repeat(md5(n::text), n)";
	my $seen = 0;
	my $until = time + $Concresce::LIMIT;

	# a reading is short: who looks may miss all of them
	while (!$seen && time < $until)
	{
		my @calls = call_all($node, 6, $query, enable_batchscan => 'off');

		for (my $i = 0; $i < 1000 && !$seen; $i++)
		{
			$seen = readers();
			usleep(1000);
		}
		is(join(',', map { $_->out } finish_all(@calls)), join(',', (6) x 6), "$lookup: rows of up to 3.5 MB, in six sessions");
	}
	ok($seen, "$lookup: read in a thread");
	is(attempt($node, "SELECT count(*), bool_and($lookup(n) = repeat(md5(n::text), n))
		FROM generate_series(150000, 159000, 1000) n")->out, '10|t', "$lookup: ten of five megabytes, in one batch");
}
is(attempt($node, 'SELECT big(0), length(big(1))')->out, '|32', 'and small ones');

# ---- whoever has enough ----------------------------------------------------

# What the other connections keep for their next answers.
my $kept = $node->safe_psql('postgres', 'SELECT memory_used FROM concresce.collectors');

# Does the collector hold a part of a row?
sub until_held
{
	my ($held) = @_;

	return poll($node, "SELECT memory_used > $kept + 7000000 FROM concresce.collectors", $held);
}

# A call has a part of its row, of which no more comes.
sub partly
{
	my $call = call($node, 'SELECT part(1)', timeout => '60s');

	ok(until_held('t'), 'a part has come');
	return $call;
}

is(attempt($node, 'SELECT part(1)', timeout => '2s')->sqlstate, '57014', 'a timeout');
ok(until_held('f'), 'the part is given up');
my $call = partly();
$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = '$call->{app}'");
is($call->sqlstate, '57014', 'a cancel');
ok(until_held('f'), 'the part is given up');

# A hundred times, at any moment of the reading.
my $cancels = attempt($node, <<'EOF_SQL', timeout => '20s');
DO $$
DECLARE
	n int := 0;
BEGIN
	FOR i IN 1 .. 100 LOOP
		PERFORM set_config('concresce.timeout', (5 + i) || 'ms', true);
		BEGIN
			IF big(200000 + i) <> repeat(md5((200000 + i)::text), 200000 + i) THEN
				RAISE 'a wrong row';
			END IF;
		EXCEPTION WHEN query_canceled THEN
			n := n + 1;
		END;
	END LOOP;
	RAISE NOTICE '% ended early', n;
END $$
EOF_SQL
is($cancels->sqlstate, '', 'timeouts at any moment') or diag($cancels->err);
note($cancels->err);
is(attempt($node, 'SELECT length(big(100000))')->out, '3200000', 'the server is of use afterwards');
at_rest($node);
is(collector_pid($node), $pid, 'the collector has lived through all of it');

$call = partly();
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
like($call->sqlstate, qr/^(57000|57014|08006)$/, 'the end of the collector');
poll($node, qq{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'concresce collector' AND pid <> $pid});
is(attempt($node, 'SELECT length(big(100000))')->out, '3200000', 'the next one serves');

$kept = 0;
$call = partly();
$node->stop('fast');
unlike(slurp_file($node->logfile), qr/PANIC|terminated by signal/, 'a shutdown');
$call->finish;

# ---- what was given up gives its descriptors back --------------------------

# As many as there may be are read, and all of them are given up at once.
my $few = start_node('few', conf => <<'EOF_CONF');
max_files_per_process = 64
concresce.max_connections = 40
concresce.max_size = 1
EOF_CONF
make_far($few);
$few->safe_psql('postgres', make_server('part', far_options($few, port => $fake->port, dbname => 'part'))
	  . define('part', 'part(n int)' => 'text STABLE' => 'SELECT $$x$$ || n'));
finish_all(call_all($few, 24, 'SELECT part(:i)', timeout => '6s'));
poll($few, q{SELECT sum(memory_used) < 8000000 FROM concresce.collectors});
my $next = attempt($few, 'SELECT v(1)', timeout => '40s');
is($next->out, 'v1', 'another server can be connected to') or diag($next->err);

undef $fake;
done_testing();
