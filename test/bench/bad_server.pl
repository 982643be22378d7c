# A foreign server of each bad kind, at one port: the database asked for says
# which. It prints the port, and ends with its input.
#
#   perl -I test/t test/bench/bad_server.pl

use strict;
use warnings FATAL => 'all';

use Peers;

sub be8 { return pack('NN', 0, $_[0]) }

sub wait_for_the_end { $_[0]->receive(1) while 1 }

sub rows_without_end
{
	my ($s) = @_;
	my $rows = $s->row(be8(1), pack('N', 42)) x 1000;

	$s->send_raw($rows) while 1;
	return;
}

my %bad = (
	# orderly, but for its price
	good => {},
	rows => { execute => \&rows_without_end },
	parse => {
		parse => sub {
			$_[0]->row_description($_[0]->columns(1));
			rows_without_end($_[0]);
		}
	},
	settings => {
		execute => sub {
			my ($s) = @_;
			my $n = 0;
			$s->send('S', 'x' . $n++ . "\0" . 'v' x 1000 . "\0") while 1;
		}
	},
	row => {
		execute => sub {
			my ($s) = @_;
			$s->send_raw('D' . pack('N', 0x03000000) . pack('n', 2) . pack('N', 8) . be8(1) . pack('N', 0x03000000 - 22));
			$s->send_raw('x' x 1000000) while 1;
		}
	},
	half => {
		execute => sub {
			$_[0]->send_raw($_[0]->row(be8(1), pack('N', 42)));
			wait_for_the_end($_[0]);
		}
	},
	mute => { greet => \&wait_for_the_end },
	closed => { sync => sub { $_[0]->ready; die 'closed' if $_[0]->{syncs}++ } },
	scram => {
		greet => sub {
			my ($s) = @_;
			$s->ask_for_hashing;
			wait_for_the_end($s);
		}
	});

# What it takes of the processor is not what is measured.
setpriority(0, 0, 19);
my $server = FakeServer->new(%bad);
$| = 1;
print $server->port, "\n";
1 while <STDIN>;
