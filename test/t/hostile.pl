# A foreign server that sends whatever it likes: at worst its own batch fails.
# The collector lives on, and another server's lookups work all the while.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use Peers;
use Socket qw(SOL_SOCKET SO_SNDBUF);
use Test::More;

# An answer of our own to the bulk query: rows, then the end.
sub rows
{
	my (@rows) = @_;

	return {
		execute => sub {
			my ($s) = @_;
			$s->send_raw(join('', map { $s->row(@$_) } @rows));
			$s->send('C', "SELECT 1\0");
		} };
}

# Columns other than (ordinality bigint, n int), in both descriptions.
sub columns
{
	my (@columns) = @_;

	return (
		describe => sub {
			my ($s) = @_;
			$s->send('t', pack('nN', 1, 1007));
			$s->row_description(map { [@$_] } @columns);
		},
		portal => sub { $_[0]->row_description(@columns) });
}

# Something out of turn at a stage, and then what belongs there.
sub raw
{
	my ($stage, $data, $then) = @_;

	return {
		$stage => sub {
			my ($s) = @_;
			$s->send_raw($data);
			$s->fail if $data =~ /^E/;
			$then->($s) if $then;
			die 'done' unless $then;
		} };
}

# What follows, if not a closed connection.
my $silence = sub { $_[0]->receive(1) while 1 };

sub fatal
{
	my ($stage) = @_;

	return {
		$stage => sub {
			my ($s) = @_;
			$s->report('E', 'FATAL', '57P01', 'have a nice day');
			die 'done';
		} };
}

sub be8 { return pack('NN', 0, $_[0]) }
sub msg { return $_[0] . pack('N', 4 + length $_[1]) . $_[1] }

my $answer = sub { $_[0]->send_raw($_[0]->row(be8(1), pack('N', 42)) . msg('C', "SELECT 1\0")) };
my $notice = msg('N', "SNOTICE\0VNOTICE\0C00000\0Mhello\0\0");
my $notification = msg('A', pack('N', 1) . "channel\0payload\0");

# act => [ what the server does, the SQLSTATE that is due: '' if the answer
# stands, undef if either will do ]
my %acts = (
	'orderly' => [ {}, '' ],

	# rows
	'item 0' => [ rows([ be8(0), pack('N', 42) ]), 'HV000' ],
	'item 2 of 1' => [ rows([ be8(2), pack('N', 42) ]), 'HV000' ],
	'item of 2^63' => [ rows([ pack('NN', 0x80000000, 0), pack('N', 42) ]), 'HV000' ],
	'item NULL' => [ rows([ undef, pack('N', 42) ]), 'HV000' ],
	'item of 4 bytes' => [ rows([ pack('N', 1), pack('N', 42) ]), 'HV000' ],
	'too many rows' => [ rows(([ be8(1), pack('N', 42) ]) x 3), '21000' ],
	'int of 3 bytes' => [ rows([ be8(1), 'abc' ]), '08P01' ],
	'int of 100000 bytes' => [ rows([ be8(1), 'x' x 100000 ]), '22P03' ],
	'a row of one column' => [ rows([ be8(1) ]), '08006' ],
	'a row of three columns' => [ rows([ be8(1), pack('N', 42), 'x' ]), '08006' ],
	'a row cut short' => [ raw('execute', msg('D', pack('n', 2) . pack('N', 8) . 'abc')), '08006' ],
	'a negative length' => [ raw('execute', msg('D', pack('n', 2) . pack('N', 0x80000000) x 2)), undef ],
	'a length beyond the message' => [ raw('execute', msg('D', pack('n', 2) . pack('N', 0x7fffffff))), '08006' ],
	'an absurd message length' => [ raw('execute', 'D' . pack('N', 0x7fffffff) . 'x' x 100), '08006' ],
	'an absurd message length, and silence' => [
		raw('execute', 'D' . pack('N', 0x3fffffff) . 'x' x 100, $silence), '08006' ],
	'a message length of 0' => [ raw('execute', 'D' . pack('N', 0) . 'x' x 100), '08006' ],
	'an endless notice' => [ raw('execute', 'N' . pack('N', 0x70000000) . 'x' x 100), '08006' ],

	# descriptions
	'no columns' => [ { columns() }, undef ],
	'one column' => [ { columns([ 'ordinality', 20, 1 ]) }, '42804' ],
	'1600 columns' => [ { columns(map { [ "c$_", 23, 1 ] } 1 .. 1600) }, '42804' ],
	'other types than described' => [
		{
			portal => sub { $_[0]->row_description([ 'ordinality', 25, 1 ], [ 'n', 25, 1 ]) }
		}, 'HV000' ],
	'other columns than described' => [
		{
			portal => sub { $_[0]->row_description([ 'ordinality', 20, 1 ]) },
			execute => sub { $_[0]->send_raw($_[0]->row(be8(1)) . msg('C', "SELECT 1\0")) }
		}, 'HV000' ],
	'no description' => [ { portal => sub { $_[0]->send('n') } }, undef ],
	'text of no encoding' => [
		{
			columns([ 'ordinality', 20, 0 ], [ 'n', 25, 0 ]),
			execute => sub { $_[0]->send_raw($_[0]->row('1', "4\xff\xfe2") . msg('C', "SELECT 1\0")) }
		}, '22021' ],
	'text that is no number' => [
		{
			columns([ 'ordinality', 20, 0 ], [ 'n', 25, 0 ]),
			execute => sub { $_[0]->send_raw($_[0]->row('1', "forty-two") . msg('C', "SELECT 1\0")) }
		}, '22P02' ],
	'an ordinality that is no number' => [
		{
			columns([ 'ordinality', 20, 0 ], [ 'n', 25, 0 ]),
			execute => sub { $_[0]->send_raw($_[0]->row('one', '42') . msg('C', "SELECT 1\0")) }
		}, 'HV000' ],

	# messages that do not belong there
	'CopyOutResponse' => [ raw('execute', msg('H', pack('Cn', 0, 0)) . msg('d', "x\n"), $silence), '08P01' ],
	'CopyInResponse' => [ raw('execute', msg('G', pack('Cn', 0, 0)), $silence), '08P01' ],
	'CopyBothResponse' => [ raw('execute', msg('W', pack('Cn', 0, 0)), $silence), '08P01' ],
	'CopyOutResponse for Parse' => [ raw('parse', msg('H', pack('Cn', 0, 0))), undef ],
	'a row for Parse' => [ raw('parse', msg('D', pack('n', 0))), undef ],
	'an empty query' => [ raw('execute', msg('I', ''), sub { }), undef ],
	'two ends' => [ raw('execute', msg('C', "SELECT 1\0") x 2, sub { }), undef ],
	'a second description' => [
		{
			columns([ 'ordinality', 20, 0 ], [ 'n', 25, 0 ]),
			execute => sub {
				my ($s) = @_;
				$s->send_raw($s->row('1', '0' x 1000000 . '7'));
				$s->row_description([ 'ordinality', 20, 0 ]);
				$s->send_raw($s->row('1') . msg('C', "SELECT 2\0"));
			}
		}, '08P01' ],
	'a second description before any row' => [
		{
			execute => sub {
				my ($s) = @_;
				$s->row_description([ 'ordinality', 20, 1 ]);
				$s->send_raw($s->row(be8(1)) . msg('C', "SELECT 1\0"));
			}
		}, undef ],
	'rows after the end' => [
		raw('execute', msg('C', "SELECT 0\0") . msg('T', pack('n', 1) . "x\0" . pack('NnNnNn', 0, 0, 20, 8, 0, 1))
			  . msg('D', pack('nN', 1, 8) . be8(1)) . msg('C', "SELECT 1\0"), sub { }), undef ],
	'an item with something behind it' => [
		{
			columns([ 'ordinality', 20, 0 ], [ 'n', 25, 0 ]),
			execute => sub { $_[0]->send_raw($_[0]->row('1x', '42') . msg('C', "SELECT 1\0")) }
		}, 'HV000' ],
	'an item beyond all numbers' => [
		{
			columns([ 'ordinality', 20, 0 ], [ 'n', 25, 0 ]),
			execute => sub { $_[0]->send_raw($_[0]->row('18446744073709551617', '42') . msg('C', "SELECT 1\0")) }
		}, 'HV000' ],
	'an item of no bytes' => [
		{
			columns([ 'ordinality', 20, 0 ], [ 'n', 25, 0 ]),
			execute => sub { $_[0]->send_raw($_[0]->row('', '42') . msg('C', "SELECT 1\0")) }
		}, 'HV000' ],
	'a command end without rows' => [ raw('execute', msg('C', "\xff\xff\0"), sub { }), '' ],
	'an unknown message' => [ raw('execute', msg('q', 'x' x 10)), '08006' ],
	'ready too early' => [ raw('parse', msg('Z', 'I') x 5, sub { $_[0]->send('1') }), undef ],
	'ready all the time' => [ raw('execute', msg('Z', 'I') x 1000, $answer), undef ],
	'ready in an unknown state' => [ { sync => sub { $_[0]->send('Z', '?') } }, undef ],
	'random bytes' => [ raw('execute', join('', map { chr(rand 256) } 1 .. 5000)), undef ],
	'random bytes at once' => [ raw('greet', join('', map { chr(rand 256) } 1 .. 5000)), '08001' ],
	'a result nobody asked for' => [
		raw('greet', msg('R', pack('N', 0)) . msg('Z', 'I') . msg('C', "SELECT 1\0"), sub { }), undef ],

	# floods
	'notices' => [ raw('execute', $notice x 5000, $answer), '' ],
	'notifications' => [ raw('execute', $notification x 5000, $answer), '' ],
	'settings' => [ raw('execute', msg('S', "work_mem\0" . "x" x 1000 . "\0") x 1000, $answer), '' ],
	'another encoding' => [ raw('execute', msg('S', "client_encoding\0LATIN1\0"), $answer), '' ],
	'notices while idle' => [
		{
			sync => sub {
				$_[0]->ready;
				$_[0]->send_raw($notice x 1000 . $notification x 1000) if $_[0]->{syncs}++;
			}
		}, '' ],

	# errors
	'FATAL for a greeting' => [ fatal('greet'), '08001' ],
	'FATAL for Parse' => [ fatal('parse'), '08006' ],
	'FATAL for Describe' => [ fatal('describe'), '08006' ],
	'FATAL for Bind' => [ fatal('bind'), '08006' ],
	'FATAL for Execute' => [ fatal('execute'), '08006' ],
	'FATAL for Sync' => [ fatal('sync'), '08006' ],
	'an error of no SQLSTATE' => [
		raw('execute', msg('E', "SERROR\0Moops\0\0"), sub { }), undef ],
	'an error of an odd SQLSTATE' => [
		raw('execute', msg('E', "SERROR\0VERROR\0C\xff';--\0Moops\0\0"), sub { }), '08P01' ],
	'an error that claims success' => [
		raw('execute', msg('E', "SERROR\0VERROR\0C00000\0Moops\0\0"), sub { }), '08006' ],
	'an error of no encoding' => [
		raw('execute', msg('E', "SERROR\0VERROR\0C22023\0Mo\xff\xfeps %s %n\0D\xff\0H\xff\0W\xff\0\0"), sub { }), '22023' ],
	'an error without end' => [
		raw('execute', msg('E', "SERROR\0VERROR\0C22023\0M" . 'x' x 1000000)), undef ],
	'an error of no fields' => [ raw('execute', msg('E', "\0"), sub { }), undef ],

	# authentication
	'an unknown method' => [ raw('greet', msg('R', pack('N', 99))), '08001' ],
	'a salt cut short' => [ raw('greet', msg('R', pack('N', 5))), '28P01' ],
	'SASL without mechanisms' => [ raw('greet', msg('R', pack('N', 10) . "\0")), '08001' ],
	'SASL out of turn' => [ raw('greet', msg('R', pack('N', 12) . "v=x")), '08001' ],
	'strings of the old kind' => [
		raw('greet', msg('R', pack('N', 0)) . msg('S', "standard_conforming_strings\0off\0")
			  . msg('Z', 'I'), sub { }), '0A000' ],
	'nothing' => [ raw('greet', ''), '08001' ],
	'HTTP' => [ raw('greet', "HTTP/1.1 400 Bad Request\r\n\r\n"), '08001' ]);

# Rows without end, as long as anybody reads them.
my $endless = {
	execute => sub {
		my ($s) = @_;
		my $rows = $s->row(be8(1), pack('N', 42)) x 1000;
		$s->send_raw($rows) while 1;
	} };

# News without end, once nothing is asked for a while.
my $flooded = PostgreSQL::Test::Utils::tempdir . '/flooded';
my $flood = {
	sync => sub {
		my ($s) = @_;
		my $news = msg('A', pack('N', 1) . "c\0\0") x 20000;

		$s->send('Z', $s->{block} ? 'T' : 'I');
		return if $s->{block} || IO::Select->new($s->{socket})->can_read(0.3);
		setsockopt($s->{socket}, SOL_SOCKET, SO_SNDBUF, pack('i', 8 << 20));
		$s->send_raw($news);
		PostgreSQL::Test::Utils::append_to_file($flooded, 'yes');
		$s->send_raw($news) while 1;
	} };

my $node = start_node('local', conf => 'concresce.shared_memory = 8MB');
make_far($node);
my $i = 0;
my %name = map { ("act" . $i++) => $_ } sort keys %acts;
my $fake = FakeServer->new(
	endless => $endless,
	flood => $flood,
	stall => { execute => $silence },
	cancel => $silence,
	map { ($_ => $acts{ $name{$_} }[0]) } keys %name);

sub server
{
	my ($name) = @_;

	return make_server($name, far_options($node, port => $fake->port, dbname => $name))
	  . define($name,
		"${name}_f(n int)" => 'int STABLE' => 'SELECT n',
		"${name}_set(n int)" => 'SETOF int STABLE' => 'SELECT n');
}
$node->safe_psql('postgres', join('', map { server($_) } 'endless', 'flood', 'stall', keys %name));

is(attempt($node, 'SELECT v(1)')->out, 'v1', 'another server works');
my $pid = collector_pid($node);

foreach my $server (sort { $name{$a} cmp $name{$b} } keys %name)
{
	my $due = $acts{ $name{$server} }[1];
	my $call = attempt($node, "SELECT coalesce(${server}_f(1), -1)", timeout => ($due // '') eq '57014' ? '500ms' : '20s');
	my $state = $call->sqlstate;

	# no wrong answer, no end of the session, no waiting for the timeout
	ok( $call->out =~ /^(42|-1)?$/
		  && ($state ne '' || $call->out ne '')
		  && $call->err !~ /^(FATAL|connection to server was lost)/m
		  && $state eq ($due // ($state eq '57014' ? 'another' : $state)),
		$name{$server} . (defined $due ? ': ' . ($due || 'no error') : ''))
	  or diag('got: ' . $call->out . $call->err);
}
is(collector_pid($node), $pid, 'the collector has lived through all of it');
like($node->safe_psql('postgres', 'SELECT last_error FROM concresce.stats'),
	qr/^connection to server "act\d+" was lost$/m, 'stats name the server');
is(attempt($node, 'SELECT v(2)')->out, 'v2', 'another server still works');

# More rows than fit: that set is refused, in bounded memory.
# Neither queries nor cancels end. What that ties up is bounded.
is(attempt($node, <<'EOF_SQL', timeout => '100ms')->out, '60', 'calls that are never answered time out');
CREATE FUNCTION stalls() RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	n int := 0;
BEGIN
	FOR i IN 1 .. 60 LOOP
		BEGIN
			PERFORM stall_f(i);
		EXCEPTION WHEN query_canceled THEN
			n := n + 1;
		END;
	END LOOP;
	RETURN n;
END $$;
SELECT stalls()
EOF_SQL
cmp_ok(scalar(() = glob("/proc/$pid/task/*")), '<', 40, 'their cancels are bounded');
is(attempt($node, 'SELECT v(3)')->out, 'v3', 'another server still works');

my $memory = sub {
	return PostgreSQL::Test::Utils::slurp_file("/proc/$pid/status") =~ /^VmRSS:\s+(\d+)/m ? $1 : 0;
};
my $before = $memory->();
my $scalar = call($node, 'SELECT endless_f(1)', timeout => '3s');
my $set = call($node, 'SELECT count(*) FROM endless_set(1)', timeout => '3s');
$scalar->waiting;
ok(Concresce::timed(sub { $node->safe_psql('postgres', $_) foreach 'CREATE DATABASE app', 'DROP DATABASE app' }) < 15,
	'rows without end: a database can be dropped');
is(attempt($node, "SELECT v($_)")->out, "v$_", 'rows without end: another server is served')
  foreach 3 .. 5;
is($scalar->sqlstate, '57014', 'a scalar lookup times out');
like($set->sqlstate, qr/^(57014|54000)$/, 'so does a set, or it is too large');

is(attempt($node, 'SELECT flood_f(1)')->out, '42', 'news without end: an answer before them');
select(undef, undef, undef, 0.05) until -e $flooded;
my $next = call($node, 'SELECT flood_f(2)', timeout => '5s');
$next->waiting;
is(attempt($node, "SELECT v($_)", timeout => '3s')->out, "v$_", 'another server is served') foreach 6 .. 8;
like($next->finish->sqlstate, qr/^(57014|)$/, 'a call times out at worst');
cmp_ok($memory->() - $before, '<', 100 * 1024, 'the collector has not grown much (kB)');
is(collector_pid($node), $pid, 'and is the same');
at_rest($node);

undef $fake;
done_testing();
