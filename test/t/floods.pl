# What a foreign server sends without end or measure: at worst its own batch
# fails. The collector's memory stays within its budget, which a view shows,
# and comes back; another server is served all the while.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use Peers;
use PostgreSQL::Test::Utils;
use Socket;
use Test::More;
use Time::HiRes qw(sleep);

my $HEAP = 16;    # MB of results that may be in flight
my $BUDGET = 128;    # MB that a collector may take

sub be8 { return pack('NN', 0, $_[0]) }
sub msg { return $_[0] . pack('N', 4 + length $_[1]) . $_[1] }

# Columns: one of no name and a bigint.
my $description = msg('T', pack('n', 1) . "\0" . pack('NnNnNn', 0, 0, 20, 8, 0, 1));

sub rows_without_end
{
	my ($s) = @_;
	my $rows = $s->row(be8(1)) x 10000;

	$s->send_raw($description);
	$s->send_raw($rows) while 1;
	return;
}

# As many settings of ever new names, in kB.
my $next = 0;

sub settings
{
	my ($s, $kb) = @_;

	$s->send_raw(join('', map { msg('S', 'x' . $next++ . "\0" . 'v' x 1000 . "\0") } 1 .. $kb));
	return;
}

sub row_of
{
	my ($claim, $bytes) = @_;
	my $chunk = 'x' x (1024 * 1024);

	return sub {
		my ($s) = @_;

		$s->send_raw('D' . pack('N', $claim) . pack('n', 2) . pack('N', 8) . be8(1) . pack('N', $claim - 22));
		for (my $left = $bytes; $left > 0; $left -= length $chunk)
		{
			$s->send_raw($chunk);
		}
		$s->receive(1) while 1;
	};
}

# An answer to what was not yet read: the first bytes of the query are enough.
sub answer_unread
{
	my ($s) = @_;

	$s->ready;
	$s->receive(1000000);
	$s->send('2');
	$s->send('n');
	$s->send('C', "BEGIN\0");
	$s->send('2');
	$s->row_description([ 'ordinality', 20, 1 ], [ 'n', 23, 1 ]);
	$s->send_raw($s->row(be8(1), pack('N', 42)));
	$s->send('C', "SELECT 1\0");
	$s->send('2');
	$s->send('n');
	$s->send('C', "ROLLBACK\0");
	$s->ready;
	$s->receive(65536) while 1;
	return;
}

# act => [ what the server does, the SQLSTATE that is due ]
my %acts = (
	'rows without end for Parse' => [ { parse => \&rows_without_end }, '54000' ],
	'rows without end for Describe' => [ { describe => \&rows_without_end }, qr/^(54000|08P01)$/ ],
	'rows without end for BEGIN' => [ { begin => \&rows_without_end }, '54000' ],
	'settings without end' => [ { execute => sub { settings($_[0], 100) while 1 } }, '54000' ],
	'settings without end for Parse' => [ { parse => sub { settings($_[0], 100) while 1 } }, '54000' ],
	'settings without end for a greeting' => [
		{
			greet => sub {
				$_[0]->send('R', pack('N', 0));
				settings($_[0], 100) while 1;
			}
		}, '08001' ],
	'an error of a gigabyte' => [
		{
			execute => sub {
				my ($s) = @_;
				$s->send_raw('E' . pack('N', 0x3ffffff0) . "SERROR\0VERROR\0C22023\0M");
				$s->send_raw('x' x 1000000) while 1;
			}
		}, qr/^(54000|08006)$/ ],
	'a row of a gigabyte' => [ { execute => row_of(0x3ffffff0, 1 << 30) }, qr/^(54000|08006)$/ ],
	'a row larger than the heap' => [ { execute => row_of(30 << 20, 28 << 20) }, '54000' ]);

my $node = start_node('local',
	conf => "concresce.shared_memory = ${HEAP}MB\nconcresce.collector_memory = ${BUDGET}MB\n");
make_far($node);
my $i = 0;
my %name = map { ("flood" . $i++) => $_ } sort keys %acts;
my $fake = FakeServer->new(
	between => {
		sync => sub {
			my ($s) = @_;
			$s->ready;
			settings($s, 1000);
		} },
	idle => {
		sync => sub {
			my ($s) = @_;
			$s->ready;
			return if ++$s->{syncs} < 2;
			settings($s, 100) while 1;
		} },
	unread => {
		greet => sub {
			my ($s) = @_;
			setsockopt($s->{socket}, SOL_SOCKET, SO_RCVBUF, pack('i', 65536));
			delete $s->{act}{greet};
			$s->greet;
		},
		sync => \&answer_unread
	},
	map { ($_ => $acts{ $name{$_} }[0]) } keys %name);

sub server
{
	my ($name) = @_;

	return make_server($name, far_options($node, port => $fake->port, dbname => $name))
	  . define($name,
		"${name}_f(n int)" => 'int STABLE' => 'SELECT n',
		"${name}_text(t text)" => 'int STABLE' => 'SELECT length(t)');
}
$node->safe_psql('postgres', join('', map { server($_) } qw(between idle unread), keys %name)
	  . define('far', 'big(n int)' => 'text STABLE' => "SELECT repeat('x', n)"));
is(attempt($node, 'SELECT v(1)')->out, 'v1', 'another server works');
my $pid = collector_pid($node);

sub memory
{
	my ($what) = @_;

	return slurp_file("/proc/$pid/status") =~ /^\Q$what\E:\s+(\d+)/m ? $1 : 0;
}

# In MB, since the first call of all.
my $base = memory('RssAnon');
# In MB: what is given up goes between two rounds of the collector.
sub grown
{
	my ($limit) = @_;
	my $grown;

	foreach (1 .. 50)
	{
		$grown = (memory('RssAnon') - $base) / 1024;
		last if $grown < $limit;
		sleep 0.1;
	}
	return $grown;
}
sub used_cpu { return (split ' ', slurp_file("/proc/$pid/stat"))[13] + (split ' ', slurp_file("/proc/$pid/stat"))[14] }

foreach my $server (sort { $name{$a} cmp $name{$b} } keys %name)
{
	my $due = $acts{ $name{$server} }[1];
	my $call = call($node, "SELECT ${server}_f(1)", timeout => '20s');
	my $other = timed(sub { attempt($node, 'SELECT v(2)', timeout => '10s') });

	like($call->sqlstate, ref $due ? $due : qr/^$due$/, $name{$server})
	  or diag('got: ' . $call->out . $call->err);
	cmp_ok($other, '<', 5, 'another server is served');
	cmp_ok(grown($HEAP + 16), '<', $HEAP + 16, 'memory comes back');
}

# What a server says between batches, as long as nobody looks.
like(attempt($node, join(';', ('SELECT coalesce(between_f(1), -1)') x 60))->out, qr/^(42\n?)+$/,
	'settings between batches: calls work');
cmp_ok(grown(48), '<', 48, 'memory is bounded');
is(attempt($node, 'SELECT idle_f(1)')->out, '42', 'settings without end while idle');
ok($node->poll_query_until('postgres', q{SELECT state = 'closed' FROM concresce.connections WHERE server = 'idle'}),
	'the connection is closed');

# A link that has sent everything, and waits for room to send all the time.
my $unread = attempt($node, q{SELECT unread_text(repeat('x', 10000000))}, timeout => '5s');
like($unread->out . $unread->sqlstate, qr/^(42|08P01|08006)$/, 'an answer to what was not sent');
my $cpu = used_cpu();
sleep 1;
cmp_ok(used_cpu() - $cpu, '<', 30, 'no work is left');

# Large results: what libpq took for them is given back.
is(attempt($node, 'SELECT length(big(10000000))')->out, '10000000', 'a large result');
is(attempt($node, 'SELECT big(20000000)')->sqlstate, '54000', 'one that is too large');
my @calls = finish_all(call_all($node, 4, 'SELECT length(big(20000000 + :i))'));
is(join(',', map { $_->sqlstate } @calls), join(',', ('54000') x 4), 'several')
  or diag(map { $_->err . "\n" } @calls);
ok($node->poll_query_until('postgres', 'SELECT count(*) >= 0 FROM concresce.connections'), 'the views work');
cmp_ok(grown(48), '<', 48, 'memory comes back');
cmp_ok((memory('VmHWM') - memory('VmRSS')) / 1024, '<', $BUDGET, 'and was within the budget');

my $view = $node->safe_psql('postgres', <<'EOF_SQL');
SELECT pid, memory_limit, memory_peak BETWEEN 1000000 AND memory_limit, memory_used < 20000000 FROM concresce.collectors
EOF_SQL
is($view, join('|', $pid, $BUDGET << 20, 't', 't'), 'a view shows it') or diag($node->safe_psql('postgres', 'TABLE concresce.collectors'));
is(attempt($node, 'SELECT v(3)')->out, 'v3', 'another server still works');
is(collector_pid($node), $pid, 'the collector has lived through all of it');
at_rest($node);

undef $fake;
done_testing();
