# Peers that do not behave: a proxy that can fall silent, and a server that
# speaks the protocol only as long as it likes.
#
# Each runs in a child process on a loopback port of its own, and ends with
# its parent or after a few minutes, whatever happens.

package Peer;

use strict;
use warnings FATAL => 'all';

use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use POSIX ();
use Socket;
use Time::HiRes qw(time);

sub spawn
{
	my ($class, %o) = @_;
	my $listener = IO::Socket::INET->new(
		LocalAddr => '127.0.0.1',
		Listen => 100,
		ReuseAddr => 1) or die "could not listen: $!";
	my $self = bless { %o, port => $listener->sockport }, $class;

	socketpair(my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC)
	  or die "socketpair: $!";
	$ours->autoflush(1);
	$theirs->autoflush(1);
	my $pid = fork() // die "fork: $!";
	if ($pid == 0)
	{
		close $ours;
		alarm 300;
		$SIG{PIPE} = 'IGNORE';
		$SIG{__WARN__} = sub { };
		eval { $self->run($listener, $theirs) };
		POSIX::_exit(0);
	}
	close $theirs;
	close $listener;
	@$self{qw(pid control)} = ($pid, $ours);
	return $self;
}

sub port { return $_[0]->{port} }

# A command to the child, and its answer.
sub ask
{
	my ($self, $command) = @_;

	print { $self->{control} } "$command\n";
	my $answer = readline($self->{control});
	die "the peer has died" unless defined $answer;
	chomp $answer;
	return $answer;
}

# Until it has so many connections open; the seconds that took, or undef.
sub until_open
{
	my ($self, $n, $limit) = @_;
	my $start = time;

	while (time - $start < $limit)
	{
		return time - $start if $self->ask('open') == $n;
		select(undef, undef, undef, 0.05);
	}
	return;
}

sub DESTROY
{
	my ($self) = @_;

	return unless $self->{pid};
	close $self->{control};
	local ($?, $!);
	waitpid($self->{pid}, 0);
	return;
}

# ---- a server with a great many connections --------------------------------

# It lets everybody in, and refuses whatever is asked. Asked: open.
package Throng;

use parent -norequire, 'Peer';
use IO::Poll qw(POLLIN);

sub new { return $_[0]->spawn }

sub message { return $_[0] . pack('N', 4 + length $_[1]) . $_[1] }

my $greeting = join('',
	message('R', pack('N', 0)),
	message('S', "standard_conforming_strings\0on\0"),
	message('K', pack('NN', 1, 1)), message('Z', 'I'));
my $refusal = message('E', "SERROR\0VERROR\0C0A000\0Mnot here\0\0") . message('Z', 'I');

# What has come: whole messages are answered, the rest is kept.
sub take
{
	my ($connection) = @_;

	return 0 unless sysread($connection->{socket}, $connection->{in}, 65536, length $connection->{in});
	while (length $connection->{in} >= 5)
	{
		my $head = $connection->{greeted} ? 1 : 0;
		my $length = $head + unpack('N', substr($connection->{in}, $head, 4));
		last if length $connection->{in} < $length;
		my $message = substr($connection->{in}, 0, $length, '');
		my $answer = !$head ? $greeting : $message =~ /^S/ ? $refusal : '';

		return 0 if $head && $message =~ /^X/;
		$connection->{greeted} = 1;
		syswrite($connection->{socket}, $answer) if $answer;
	}
	return 1;
}

sub run
{
	my ($self, $listener, $control) = @_;
	my $poll = IO::Poll->new;
	my %open;

	$poll->mask($_ => POLLIN) foreach $listener, $control;
	while ($poll->poll)
	{
		foreach my $handle ($poll->handles(POLLIN | IO::Poll::POLLHUP() | IO::Poll::POLLERR()))
		{
			if ($handle == $control)
			{
				my $line = readline($control) // return;
				print $control scalar(keys %open) . "\n";
			}
			elsif ($handle == $listener)
			{
				my $socket = $listener->accept or next;
				$open{$socket} = { socket => $socket, in => '' };
				$poll->mask($socket => POLLIN);
			}
			elsif (!take($open{$handle}))
			{
				$poll->remove($handle);
				delete $open{$handle};
				CORE::close($handle);
			}
		}
	}
	return;
}

# ---- a proxy ---------------------------------------------------------------

# new(port, stall): to that port of 127.0.0.1. It forwards, until it is told otherwise:
#
#	mute(N)		those open fall silent towards the client after N more bytes
#	close		those open are closed
#	hole		those to come get no answer at all
#	stall(S)	what is parsed and holds S is executed 200 ms after it was bound; if
#				"stall" was given, the first such S
#
# and asked: open, accepted (how many).
package Proxy;

use parent -norequire, 'Peer';

sub new
{
	my ($class, $target, $stall) = @_;

	return $class->spawn(target => $target, accepted => 0, stall => $stall);
}

sub mute { return $_[0]->ask("mute $_[1]") }
sub hole { return $_[0]->ask('hole') }
sub stall { return $_[0]->ask("stall $_[1]") }
sub close { return $_[0]->ask('close') }

sub forget
{
	my ($self, $pair) = @_;

	foreach my $socket (grep { $_ } @$pair{qw(client server)})
	{
		$self->{select}->remove($socket);
		delete $self->{pairs}{$socket};
		CORE::close($socket);
	}
	delete $self->{all}{$pair};
	return;
}

sub command
{
	my ($self, $text) = @_;
	my ($word, $bytes) = split ' ', $text, 2;
	my @open = values %{ $self->{all} };

	if ($word eq 'mute') { $_->{budget} //= $bytes foreach @open }
	elsif ($word eq 'close') { $self->forget($_) foreach @open }
	elsif ($word eq 'hole') { $self->{hole} = 1 }
	elsif ($word eq 'stall') { $self->{stall} = $bytes }
	elsif ($word eq 'accepted') { return $self->{accepted} }
	elsif ($word eq 'stalls') { return $self->{stalls} // 0 }
	return scalar @open;
}

sub accept_one
{
	my ($self, $listener) = @_;
	my $pair = { client => scalar $listener->accept };

	return unless $pair->{client};
	$self->{accepted}++;
	unless ($self->{hole})
	{
		$pair->{server} = IO::Socket::INET->new(
			PeerAddr => '127.0.0.1', PeerPort => $self->{target}) or return;
	}
	$self->{all}{$pair} = $pair;
	foreach my $socket (grep { $_ } @$pair{qw(client server)})
	{
		$self->{pairs}{$socket} = $pair;
		$self->{select}->add($socket);
	}
	return;
}

# The whole messages that have come of a client, each by itself.
sub messages
{
	my ($pair, $data) = @_;
	my @messages;

	$pair->{in} .= $data;
	while (length $pair->{in} >= 8 || ($pair->{started} && length $pair->{in} >= 5))
	{
		my $head = $pair->{started} ? 1 : 0;
		my $length = $head + unpack('N', substr($pair->{in}, $head, 4));

		last if length $pair->{in} < $length;
		# what comes before the startup message has a code of its own
		$pair->{started} ||= unpack('N', substr($pair->{in}, 4, 4)) < 1234 << 16;
		push @messages, substr($pair->{in}, 0, $length, '');
	}
	return @messages;
}

sub forward_slowly
{
	my ($self, $pair, $data) = @_;

	foreach my $message (messages($pair, $data))
	{
		my $type = $pair->{last} ? substr($message, 0, 1) : '';

		$pair->{last} = 1 if $pair->{started};
		$pair->{stalled} = index($message, $self->{stall}) >= 0 if $type eq 'P';
		if ($type eq 'E' && $pair->{stalled})
		{
			$self->{stalls}++;
			select(undef, undef, undef, 0.2);
		}
		syswrite($pair->{server}, $message) == length $message or return $self->forget($pair);
	}
	return;
}

sub forward
{
	my ($self, $from) = @_;
	my $pair = $self->{pairs}{$from} or return;
	my $n = sysread($from, my $data, 16384);

	if (!$n)
	{
		$self->forget($pair);
		return;
	}
	return unless $pair->{server};
	if ($from == $pair->{server} && defined $pair->{budget})
	{
		$data = substr($data, 0, $pair->{budget});
		$pair->{budget} -= length $data;
	}
	my $to = $from == $pair->{client} ? $pair->{server} : $pair->{client};
	return $self->forward_slowly($pair, $data) if $self->{stall} && $to == $pair->{server};
	while (length $data)
	{
		my $written = syswrite($to, $data) // return $self->forget($pair);
		substr($data, 0, $written) = '';
	}
	return;
}

sub run
{
	my ($self, $listener, $control) = @_;

	$self->{select} = IO::Select->new($listener, $control);
	while (1)
	{
		foreach my $socket ($self->{select}->can_read)
		{
			if ($socket == $control)
			{
				my $text = readline($control) // return;
				chomp $text;
				print {$control} $self->command($text), "\n";
			}
			elsif ($socket == $listener) { $self->accept_one($listener) }
			else { $self->forward($socket) }
		}
	}
	return;
}

# ---- a server --------------------------------------------------------------

# new(acts): the name of the database that a client asks for picks the act, a
# hash of code that is called with the connection in place of an orderly answer
# at that stage: greet, parse, describe, bind, portal, execute, sync; begin: the
# execution of a BEGIN. The act
# "cancel" is code to call for a cancel request. The act "tls", a certificate
# and a key, is of all: openssl speaks TLS for this server then. With "pretend_tls" it
# agrees to TLS, and says nothing more.
package FakeServer;

use parent -norequire, 'Peer';

sub new
{
	my ($class, %acts) = @_;

	return $class->spawn(acts => \%acts);
}

sub run
{
	my ($self, $listener, $control) = @_;
	my $select = IO::Select->new($listener, $control);

	local $SIG{CHLD} = 'IGNORE';
	while (1)
	{
		foreach my $ready ($select->can_read)
		{
			return if $ready == $control;
			my $socket = $listener->accept or next;
			my $pid = fork() // next;
			if ($pid == 0)
			{
				CORE::close($listener);
				CORE::close($control);
				alarm 60;
				eval { FakeServer::Session->new($socket, $self->{acts})->serve };
				POSIX::_exit(0);
			}
		}
	}
	return;
}

package FakeServer::Session;

use Socket;

sub new
{
	my ($class, $socket, $acts) = @_;

	return bless { socket => $socket, acts => $acts }, $class;
}

sub send_raw
{
	my ($self, $data) = @_;

	while (length $data)
	{
		my $n = syswrite($self->{socket}, $data) // die 'gone';
		substr($data, 0, $n) = '';
	}
	return;
}

sub message
{
	my ($self, $type, $body) = @_;

	return $type . pack('N', 4 + length($body // '')) . ($body // '');
}

sub send
{
	my ($self, $type, $body) = @_;

	return $self->send_raw($self->message($type, $body));
}

# Instead of a greeting: a password that is to be hashed for half an hour.
sub ask_for_hashing
{
	my ($self) = @_;

	$self->send('R', pack('N', 10) . "SCRAM-SHA-256\0\0");
	my (undef, $length) = unpack('aN', $self->receive(5));
	my ($nonce) = $self->receive($length - 4) =~ /r=(.*)/s;
	$self->send('R', pack('N', 11) . "r=${nonce}x,s=c2FsdHNhbHRzYWx0c2FsdA==,i=2000000000");
	return;
}


sub ready { return $_[0]->send('Z', 'I') }

# What comes until the sync is skipped.
sub fail { $_[0]->{failed} = 1; return }

# As a message of type E or N.
sub report
{
	my ($self, $type, $severity, $sqlstate, $text) = @_;

	return $self->send($type,
		"S$severity\0V$severity\0C$sqlstate\0M$text\0\0");
}

# columns: [name, type OID, format]
sub row_description
{
	my ($self, @columns) = @_;

	return $self->send('T', pack('n', scalar @columns)
		  . join('', map { "$_->[0]\0" . pack('NnNnNn', 0, 0, $_->[1], 0xFFFF, 0xFFFFFFFF, $_->[2]) } @columns));
}

sub row
{
	my ($self, @values) = @_;

	return $self->message('D', pack('n', scalar @values)
		  . join('', map { defined $_ ? pack('N', length $_) . $_ : pack('N', 0xFFFFFFFF) } @values));
}

sub receive
{
	my ($self, $n) = @_;
	my $data = '';

	while (length $data < $n)
	{
		sysread($self->{socket}, $data, $n - length $data, length $data) or die 'gone';
	}
	return $data;
}

# Bytes from one to the other, both ways, until one of them ends.
sub pump
{
	my ($one, $other) = @_;
	my $select = IO::Select->new($one, $other);

	while (1)
	{
		foreach my $from ($select->can_read)
		{
			sysread($from, my $data, 65536) or return;
			my $to = $from == $one ? $other : $one;
			while (length $data)
			{
				my $n = syswrite($to, $data) // return;
				substr($data, 0, $n) = '';
			}
		}
	}
	return;
}

# From here on what is read and written is what openssl makes of it. A write of
# up to 16384 bytes is a record.
sub start_tls
{
	my ($self, $certificate, $key) = @_;
	my $path = "/tmp/ccr-tls-$$";

	socketpair(my $plain, my $its, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die "socketpair: $!";
	if (!fork)
	{
		open(STDIN, '<&', $its);
		open(STDOUT, '>&', $its);
		open(STDERR, '>', '/dev/null');
		exec(qw(openssl s_server -quiet -naccept 1 -cert), $certificate, '-key', $key, '-unix', $path)
		  or POSIX::_exit(1);
	}
	CORE::close($its);
	my $encrypted;
	until ($encrypted = IO::Socket::UNIX->new(Peer => $path)) { select(undef, undef, undef, 0.02) }
	unlink $path;
	if (!fork)
	{
		CORE::close($plain);
		pump($self->{socket}, $encrypted);
		POSIX::_exit(0);
	}
	CORE::close($self->{socket});
	$self->{socket} = $plain;
	return;
}

# The startup message; its database names the act.
sub start
{
	my ($self) = @_;
	my $length = unpack('N', $self->receive(4));
	my $body = $self->receive($length - 4);
	my $code = unpack('N', $body);

	if ($code == 80877103 && $self->{acts}{pretend_tls})
	{
		$self->send_raw('S');
		$self->receive(1) while 1;
	}
	if ($code == 80877103 && $self->{acts}{tls})
	{
		$self->send_raw('S');
		$self->start_tls(@{ $self->{acts}{tls} });
		return $self->start;
	}
	if ($code == 80877103 || $code == 80877104)    # TLS, GSS: no
	{
		$self->send_raw('N');
		return $self->start;
	}
	if ($code == 80877102)
	{
		$self->{acts}{cancel}->($self) if $self->{acts}{cancel};
		die 'a cancel';
	}
	my %options = split(/\0/, substr($body, 4), -1);
	$self->{act} = $self->{acts}{ $options{database} } // {};
	return;
}

# Does the act have something of its own for this stage?
sub play
{
	my ($self, $stage) = @_;

	return 0 unless $self->{act}{$stage};
	$self->{act}{$stage}->($self);
	return 1;
}

sub greet
{
	my ($self) = @_;

	return if $self->play('greet');
	$self->send('R', pack('N', 0));
	$self->send('S', "$_\0") foreach "server_version\00015.0", "client_encoding\0UTF8",
	  "standard_conforming_strings\0on";
	$self->send('K', pack('NN', 1, 2));
	return $self->ready;
}

# What is around a query, and no act's business: transactions, and the like.
sub is_around
{
	my ($sql) = @_;

	return $sql =~ /^(BEGIN|COMMIT|ROLLBACK|RESET|DISCARD)\b/ || $sql =~ /^SELECT pg_catalog\./;
}

sub sync
{
	my ($self) = @_;
	my $failed = delete $self->{failed};

	return if $self->play('sync');
	$self->send('Z', !$self->{block} ? 'I' : $failed ? 'E' : 'T');
	return;
}

sub execute_around
{
	my ($self, $sql) = @_;
	my ($tag) = $sql =~ /^(\w+)/;

	return if $tag eq 'BEGIN' && $self->play('begin');
	$self->{block} = 1 if $tag eq 'BEGIN';
	$self->{block} = 0 if $tag eq 'COMMIT' || $tag eq 'ROLLBACK';
	$self->send_raw($self->row($self->{pid} // 1)) if $tag eq 'SELECT';
	return $self->send('C', ($tag eq 'SELECT' ? 'SELECT 1' : $tag) . "\0");
}

# What the query is said to return: the ordinality and an int, in binary when
# asked for.
sub columns
{
	my ($self, $format) = @_;

	return ([ 'ordinality', 20, $format ], [ 'n', 23, $format ]);
}

# One message of the client's at a time; what is to be answered is kept until
# the sync.
sub serve
{
	my ($self) = @_;

	my (%sql, $sql);

	$self->start;
	$self->greet;
	while (1)
	{
		my ($type, $length) = unpack('aN', $self->receive(5));
		my $body = $self->receive($length - 4);

		next if $self->{failed} && $type ne 'S' && $type ne 'X';
		if ($type eq 'P')
		{
			my ($name, $text) = split /\0/, $body;
			$sql{$name} = $sql = $text;
			$self->send('1') unless !is_around($text) && $self->play('parse');
		}
		elsif ($type eq 'B')
		{
			$sql = $sql{ (split /\0/, $body, 3)[1] };
			$self->send('2') unless !is_around($sql) && $self->play('bind');
		}
		elsif ($type eq 'S') { $self->sync }
		elsif ($type eq 'X') { return }
		elsif ($type eq 'D' && is_around($sql))
		{
			if ($sql =~ /^SELECT/) { $self->row_description([ 'x', 25, 0 ]) }
			else { $self->send('n') }
		}
		elsif ($type eq 'E' && is_around($sql)) { $self->execute_around($sql) }
		elsif ($type eq 'D' && substr($body, 0, 1) eq 'S')
		{
			next if $self->play('describe');
			$self->send('t', pack('nN', 1, 1007));
			$self->row_description($self->columns(0));
		}
		elsif ($type eq 'D') { $self->row_description($self->columns(1)) unless $self->play('portal') }
		elsif ($type eq 'E')
		{
			next if $self->play('execute');
			$self->send_raw($self->row(pack('NN', 0, 1), pack('N', 42)));
			$self->send('C', "SELECT 1\0");
		}
	}
	return;
}

1;
