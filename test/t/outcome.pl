# A far side that falls silent once the outcome of a batch is told, before it
# has done with the rest of the script: the next call goes over another link.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use Peers;
use PostgreSQL::Test::Utils;
use Test::More;

# Acts that do something in place of answering one of the statements around.
{
	no warnings 'redefine';
	my $answer = \&FakeServer::Session::execute_around;

	*FakeServer::Session::execute_around = sub {
		my ($self, $sql) = @_;
		my $around = $self->{act}{around};

		return $answer->($self, $sql) if !$around || !$around->($self, $sql);
	};
}

my $marks = PostgreSQL::Test::Utils::tempdir;

# For the first session that comes by, which is a process of its own.
sub first
{
	my ($name) = @_;

	return 0 if -e "$marks/$name";
	append_to_file("$marks/$name", '');
	return 1;
}

sub fall_silent
{
	my ($session) = @_;

	$session->receive(1) while 1;
}

sub silent_at
{
	my ($name, $statement) = @_;

	return (around => sub { fall_silent($_[0]) if $_[1] =~ $statement && first($name); return 0; });
}

sub give_row
{
	my ($session) = @_;
	my $tag = "SELECT 1\0";

	$session->{answered} = 1;
	$session->send_raw($session->row(pack('NN', 0, 1), pack('N', 42)) . 'C' . pack('N', 4 + length $tag) . $tag);
}

sub raise
{
	my ($session, $name) = @_;

	return give_row($session) unless first($name);
	$session->{answered} = 1;
	$session->report('E', 'ERROR', 'P0002', 'no row');
	$session->fail;
}

sub silent_at_sync
{
	my ($name) = @_;

	return (sync => sub {
			my ($session) = @_;

			fall_silent($session) if $session->{answered} && first($name);
			$session->send('Z', $session->{block} ? 'T' : 'I');
		});
}

# server => [ volatility, what the first call is told, act ]
my %acts = (
	at_rollback => [ 'STABLE', '42', { silent_at('at_rollback', qr/^ROLLBACK/) } ],
	at_sync => [ 'STABLE', '42', { execute => \&give_row, silent_at_sync('at_sync') } ],
	after_error => [ 'STABLE', 'P0002', { execute => sub { raise($_[0], 'error') }, silent_at_sync('after_error') } ],
	at_reset => [ 'VOLATILE', '42', { silent_at('at_reset', qr/^RESET ALL/) } ],
	at_cleaning => [ 'VOLATILE', 'P0002', { execute => sub { raise($_[0], 'write') }, silent_at('at_cleaning', qr/^ROLLBACK/) } ]);

my $node = start_node('local');
make_far($node);
my $fake = FakeServer->new(map { ($_ => $acts{$_}[2]) } keys %acts);

foreach my $server (sort keys %acts)
{
	my ($volatility, $told) = @{ $acts{$server} };

	$node->safe_psql('postgres', "CREATE SERVER $server FOREIGN DATA WRAPPER concresce OPTIONS ("
		  . far_options($node, port => $fake->port, dbname => $server)
		  . "); CREATE USER MAPPING FOR PUBLIC SERVER $server;"
		  . define($server, "${server}_f(n int)" => "int $volatility" => 'SELECT n'));
	my $first = attempt($node, "SELECT ${server}_f(1)");
	is($first->out ne '' ? $first->out : $first->sqlstate, $told, "$server: the first call is told its outcome");
	is(attempt($node, "SELECT ${server}_f(2)", timeout => '4s')->out, '42', "$server: the second one goes over another link");
}
undef $fake;
done_testing();
