# What a foreign server sends behind a large row, while libpq has a buffer for
# all of it: settings of ever new names, each of which is looked up among all
# others. A thread may be busy with that, but not the collector.

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

my $node = start_node('local', conf => "concresce.shared_memory = 64MB\n");
make_far($node);
my $fake = FakeServer->new(map { $_ => $acts{$_}[0] } keys %acts);
$node->safe_psql('postgres', join('', map {
	make_server($_, far_options($node, port => $fake->port, dbname => $_))
	  . define($_, "${_}_f(n int)" => 'SETOF text STABLE' => 'SELECT n::text')
} sort keys %acts));
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
is(collector_pid($node), $pid, 'the collector has lived through all of it');

undef $fake;
done_testing();
