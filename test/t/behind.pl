# What a foreign server sends behind a large row, while libpq has a buffer for
# all of it: settings of ever new names, each of which is looked up among all
# others. A thread may be busy with that, but not the collector; nor the thread
# for longer than a row takes. What nobody can stop does not take ever more memory.
# And those who send nothing of that kind are read at no great expense.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use Peers;
use PostgreSQL::Test::Utils;
use Test::More;

my $ROW = 7 * 1024 * 1024;

sub be8 { return pack('NN', 0, $_[0]) }
sub msg { return $_[0] . pack('N', 4 + length $_[1]) . $_[1] }

my $settings = join('', map { msg('S', "$_\0\0") } 1 .. 500000);

sub text { return ([ 'ordinality', 20, 1 ], [ 'n', 25, 1 ]) }
sub silence { $_[0]->receive(1) while 1 }

# A large row, then what an act does.
sub behind
{
	my ($then, %more) = @_;

	return {
		describe => sub {
			my ($s) = @_;
			$s->send('t', pack('nN', 1, 1007));
			$s->row_description(text());
		},
		portal => sub { $_[0]->row_description(text()) },
		execute => sub {
			my ($s) = @_;
			$s->send_raw($s->row(be8(1), 'x' x $ROW)) unless $s->{large}++;
			$then->($s);
		},
		%more
	};
}

# act => [ the server, calls ]
my %acts = (
	a_row => [ behind(sub { $_[0]->send_raw($settings); silence(@_) }), 1 ],
	two_rows => [ behind(sub { $_[0]->send_raw($_[0]->row(be8(1), 'y') . $settings); silence(@_) }), 1 ],
	an_end => [ behind(sub { $_[0]->send_raw($_[0]->row(be8(1), 'y') . $settings); die 'done' }), 1 ],
	a_tag => [ behind(sub { $_[0]->send_raw(msg('C', "SELECT 1\0") . $settings); silence(@_) }), 1 ],
	next_time => [
		behind(sub {
			my ($s) = @_;
			$s->send_raw($s->row(be8(1), 'y') . $settings) if $s->{calls}++;
			$s->send('C', "SELECT 1\0");
		}), 2 ],
	while_idle => [
		behind(sub { $_[0]->send('C', "SELECT 1\0") },
			sync => sub {
				my ($s) = @_;
				$s->ready;
				$s->send_raw($settings) if $s->{large};
			}), 2 ]);

# Much of a row that will have no end, behind the settings that hold the thread up.
my $LATER = 24 * 1024 * 1024;
my $hoard = behind(sub {
	my ($s) = @_;
	$s->send_raw($settings . 'D' . pack('N', 2 * $LATER) . 'x' x $LATER);
	silence($s);
});
$hoard->{execute} = do {
	my $execute = $hoard->{execute};
	sub {
		my ($s) = @_;
		$s->send_raw($s->row(be8(1), 'x' x (4 * $ROW)));
		$s->{large} = 1;
		$execute->($s);
	};
};

my $node = start_node('local', conf => "concresce.shared_memory = 64MB\n");
make_far($node);
my $fake = FakeServer->new(hoard => $hoard, map { $_ => $acts{$_}[0] } keys %acts);
$node->safe_psql('postgres', join('', map {
	make_server($_, far_options($node, port => $fake->port, dbname => $_))
	  . define($_, "${_}_f(n int)" => 'SETOF text STABLE' => 'SELECT n::text')
} 'hoard', sort keys %acts)
	. define('far', 'rows(n int)' => 'SETOF int STABLE' => 'SELECT generate_series(1, n)',
		'doc(n int)' => 'text STABLE' => q{SELECT repeat('x', n)}));
is(attempt($node, 'SELECT v(1)')->out, 'v1', 'another server works');
my $pid = collector_pid($node);

# In hundredths of a second, by the collector itself, and not by its threads.
sub used
{
	my @fields = split ' ', slurp_file("/proc/$pid/task/$pid/stat");

	return $fields[13] + $fields[14];
}

foreach my $act (sort keys %acts)
{
	my $before = used();
	my @sqlstates;

	foreach my $i (1 .. $acts{$act}[1])
	{
		push @sqlstates, attempt($node, "SELECT count(*) FROM ${act}_f($i)", timeout => '2s')->sqlstate;
	}
	is(attempt($node, 'SELECT v(2)', timeout => '60s')->out, 'v2', "$act: another server is served");
	cmp_ok(used() - $before, '<', 150, "$act: the collector is not busy");
	note("$act: @sqlstates, " . (used() - $before));
}

# ---- a call without a timeout ------------------------------------------------

my $call = attempt($node, 'SELECT count(*) FROM a_row_f(7)');
is($call->sqlstate, '54000', 'without a timeout: it is ended') or diag($call->err);

# ---- what cannot be stopped --------------------------------------------------

sub resident { return slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+)/m ? $1 / 1024 : 0 }

my $resident = resident();
foreach my $i (1 .. 8)
{
	my $sqlstate = attempt($node, "SELECT count(*) FROM hoard_f($i)", timeout => '3s')->sqlstate;

	like($sqlstate, qr/^(57014|54000|08006)$/, "hoard: $i");
}
note('hoard: ' . (resident() - $resident) . ' MB');
cmp_ok(resident() - $resident, '<', 250, 'hoard: what goes on reading does not take ever more memory');
is(attempt($node, 'SELECT v(3)')->out, 'v3', 'hoard: another server is served');

# ---- those who send nothing of that kind -------------------------------------

$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
poll($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'concresce collector' AND pid <> $pid");
$pid = collector_pid($node);

# Of all threads, those that have ended included.
sub used_in_all
{
	my @fields = split ' ', slurp_file("/proc/$pid/stat") =~ s/.*\) //sr;

	return $fields[11] + $fields[12];
}

# What calls cost.
sub cost
{
	my $before = used_in_all();

	is(attempt($node, 'SELECT count(*) FROM rows(200000)')->out, '200000', 'many small rows');
	is(attempt($node, 'SELECT count(*) FROM generate_series(1, 500) n WHERE doc(n % 7) IS NOT NULL',
			enable_batchscan => 'off')->out, '500', 'small answers');
	return used_in_all() - $before;
}

my $first = cost();
is(attempt($node, 'SELECT length(doc(300000))')->out, '300000', 'a larger one over the same connection');
my $next = cost();
note("cost: $first, $next");
cmp_ok($next, '<', 3 * $first + 10, 'afterwards they do not cost more');
is(collector_pid($node), $pid, 'the collector has lived through all of it');

undef $fake;
done_testing();
