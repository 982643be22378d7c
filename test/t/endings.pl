# Answers that do not end, and connections that end where nobody looks.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use Peers;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('local', conf => "concresce.enqueue_timeout = '1s'\n");
make_far($node);
my $files = PostgreSQL::Test::Utils::tempdir;
chmod 0777, $files;

# True for the first connection that comes here.
sub is_first
{
	my ($what) = @_;

	return mkdir "$files/$what";
}

my $silence = sub { $_[0]->receive(1) while 1 };
my $fake = FakeServer->new(
	half => {
		execute => sub {
			my ($s) = @_;
			$s->send_raw($s->row(pack('NN', 0, 1), pack('N', 42)));
			$silence->($s) if is_first('half');
			$s->send('C', "SELECT 1\0");
		}
	},
	mute => {
		execute => sub {
			my ($s) = @_;
			$silence->($s) if is_first('mute');
			$s->send('C', "SELECT 0\0");
		}
	},
	cancel => $silence);
my $proxy = Proxy->new($node->port);

sub server
{
	my ($name, %o) = @_;

	return make_server($name, far_options($node, dbname => $name, %o));
}
$node->safe_psql('postgres', server('half', port => $fake->port)
	  . server('mute', port => $fake->port)
	  . server('proxied', port => $proxy->port, dbname => 'far')
	  . define('half', 'half(n int)' => 'void VOLATILE' => 'SELECT n')
	  . define('mute', 'mute(n int)' => 'void VOLATILE' => 'SELECT n')
	  . define('proxied',
		'v_p(n int)' => 'text STABLE' => 'SELECT v FROM items WHERE id = n',
		'gate_p(n int)' => 'int STABLE' => 'SELECT gate FROM gate(n)'));

# ---- enqueued items, that nobody waits for ----------------------------------

foreach my $name (qw(half mute))
{
	my $seconds = timed(sub {
		is(attempt($node, "SELECT concresce.enqueue('$name', 1); SELECT concresce.flush(timeout => '30s')")->sqlstate,
			'', "an answer that does not end ($name): sent again");
	});
	ok(-d "$files/$name", 'there was one');
	cmp_ok($seconds, '>', 0.9, 'not too early');
	cmp_ok($seconds, '<', 15, 'not too late');
}
is($node->safe_psql('postgres', 'SELECT sum(discarded) FROM concresce.stats'), '0', 'nothing is discarded');
is(attempt($node, 'SELECT v(1)')->out, 'v1', 'another server works');

# ---- connections that are all closed at once --------------------------------

foreach my $round (1 .. 8)
{
	my $gate = close_gate($node);
	my $call = call($node, "SELECT gate_p($round)");

	$call->waiting;
	is(attempt($node, 'SELECT v_p(1)')->out, 'v1', 'a second connection');
	$proxy->close;
	open_gate($gate);
	is($call->out, 10 * $round, 'what was sent again is not sent where it cannot arrive') or diag($call->err);
}

at_rest($node);
undef $proxy;
undef $fake;
done_testing();
