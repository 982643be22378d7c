# What a foreign server does with who connects: nothing of it holds up the
# collector, whose other servers are served all the while.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use Peers;
use PostgreSQL::Test::Utils;
use POSIX ();
use Test::More;
use Time::HiRes qw(time);

my $hungry;
my $node = start_node('local');
make_far($node);

my $fake = FakeServer->new(
	scram => {
		greet => sub {
			my ($s) = @_;
			$s->ask_for_hashing;
			$s->receive(1) while 1;
		}
	},
	gss => {
		greet => sub {
			my ($s) = @_;
			$s->send('R', pack('N', 7));
			$s->receive(1) while 1;
		}
	});
my $pretender = FakeServer->new(pretend_tls => 1);
my $hole = Proxy->new($node->port);
$hole->hole;

sub server
{
	my ($name, $mapping, %o) = @_;

	return make_server($name, far_options($node, %o), $mapping)
	  . define($name, "v_$name(n int)" => 'text STABLE' => 'SELECT v FROM items WHERE id = n');
}

# The 17th behind the name, which may hold anything.
sub nice_of
{
	my ($task) = @_;
	open my $file, '<', "$task/stat" or return 0;
	my $stat = <$file> // '';

	$stat =~ s/.*\) //s;
	return (split / /, $stat)[16] // 0;
}

sub until_true
{
	my ($test, $seconds) = @_;
	my $end = time + $seconds;

	until ($test->())
	{
		return 0 if time > $end;
		select undef, undef, undef, 0.01;
	}
	return 1;
}

$node->safe_psql('postgres', server('scram', "user 'me', password 'secret'",
		port => $fake->port, dbname => 'scram', connect_timeout => 3)
	  . server('gss', '', port => $fake->port, dbname => 'gss', connect_timeout => 2));
is(attempt($node, 'SELECT v(1)')->out, 'v1', 'another server works');
my $pid = collector_pid($node);

# ---- a password that takes long to hash -------------------------------------

my $call = call($node, 'SELECT v_scram(1)');
ok($node->poll_query_until('postgres', q{SELECT state = 'connecting' FROM concresce.connections WHERE server = 'scram'}),
	'it connects');
ok(until_true(sub { grep { $_ == 19 } map { nice_of($_) } glob("/proc/$pid/task/*") }, 2), 'at the expense of nobody: with the least priority');
my $slowest = 0;
foreach my $n (1 .. 20)
{
	my $seconds = timed(sub { is(attempt($node, "SELECT v($n)", timeout => '10s')->out, "v$n", 'another server is served') });
	$slowest = $seconds if $seconds > $slowest;
}
cmp_ok($slowest, '<', 3, 'at once');
is($call->sqlstate, '08001', 'a password that takes long to hash: connect_timeout');
like($call->err, qr/The server did not answer in time/, 'says so');
$call = attempt($node, 'SELECT v_scram(1)');
is($call->sqlstate, '08001', 'once more');
like($call->err, qr/An earlier attempt, which took too long, has not ended/, 'that is not begun');
cmp_ok(scalar(() = glob("/proc/$pid/task/*")), '<', 5, 'nor are there more threads');

# ---- GSSAPI -----------------------------------------------------------------

$call = attempt($node, 'SELECT v_gss(1)');
is($call->sqlstate, '08001', 'GSSAPI is refused');

# ---- a server that takes threads for good ------------------------------------

# Steps that never end, as libpq waits for somebody to write a certificate; from
# 70 user mappings of one server. Then a great many that take long to end.
SKIP:
{
	my $fifo = PostgreSQL::Test::Utils::tempdir_short() . '/fifo';
	my $roles = 70;

	skip 'PostgreSQL was built without TLS', 9
	  if $node->safe_psql('postgres', 'SHOW ssl_library') eq '';
	POSIX::mkfifo($fifo, 0600) or die "mkfifo: $!";
	chmod 0666, $fifo;
	$node->safe_psql('postgres', join('', server('swallows', '', port => $pretender->port, connect_timeout => 1,
			sslmode => 'verify-ca', sslrootcert => $fifo), 'GRANT USAGE ON FOREIGN SERVER swallows TO PUBLIC;',
		map { "CREATE ROLE r$_; CREATE USER MAPPING FOR r$_ SERVER swallows OPTIONS (user 'r$_', password_required 'false');" } 1 .. $roles));
	$hungry = call($node, <<"EOF_SQL", timeout => '30s');
BEGIN;
CREATE TEMP TABLE ids (id bigint); GRANT ALL ON ids TO PUBLIC;
DO \$\$ BEGIN FOR i IN 1 .. $roles LOOP
	PERFORM set_config('role', 'r' || i, true);
	INSERT INTO ids SELECT concresce.submit('v_swallows', 1);
END LOOP; PERFORM set_config('role', 'none', true); END \$\$;
SELECT error_sqlstate, count(*) FROM concresce.as_completed((SELECT array_agg(id) FROM ids), NULL::text, true) GROUP BY 1;
COMMIT
EOF_SQL
	ok($node->poll_query_until('postgres', q{SELECT count(*) > 20 FROM concresce.connections WHERE server = 'swallows' AND state = 'connecting'}), 'seventy connect to a server that swallows handshakes');
	$node->safe_psql('postgres', server('meanwhile', ''));
	is(attempt($node, 'SELECT v_meanwhile(1)', timeout => '20s')->out, 'v1', 'another server can be connected to meanwhile');
	is($hungry->out, "08001|$roles", 'they end in time') or diag $hungry->err;
	my $threads = () = glob("/proc/$pid/task/*");
	# who has had to wait for a thread may have had no time left for one
	cmp_ok($threads, '>', 20, 'their threads go on');
	cmp_ok($threads, '<', 60, 'but are no more than its share');
	$node->safe_psql('postgres', server('afterwards', ''));
	is(attempt($node, 'SELECT v_afterwards(1)', timeout => '20s')->out, 'v1', 'another server can be connected to afterwards');
	is(attempt($node, 'SELECT v_swallows(1)', timeout => '20s')->sqlstate, '08001', 'this one cannot');

	# somebody has written nothing
	open(my $writer, '+<', $fifo) or die "open: $!";
	close $writer;
	ok($node->poll_query_until('postgres', "SELECT count(*) < 8 FROM pg_ls_dir('/proc/$pid/task')"), 'all of them end');
}

# ---- many at a time ---------------------------------------------------------

$node->safe_psql('postgres', join('', map { server("s$_", '') } 1 .. 60));
my @calls = map { call($node, "SELECT v_s$_($_)", timeout => '30s') } 1 .. 60;
is(join(',', map { $_->out } @calls), join(',', map { "v$_" } 1 .. 60), 'as many connections as one likes');

# ---- hosts in an order of libpq's -------------------------------------------

SKIP:
{
	skip 'libpq has no load_balance_hosts', 1
	  if $node->psql('postgres', q{CREATE SERVER balanced FOREIGN DATA WRAPPER concresce OPTIONS (load_balance_hosts 'random')}) != 0;
	$node->safe_psql('postgres', join('', map { server("r$_", '', host => '127.0.0.1,127.0.0.1',
				port => $node->port . ',' . $hole->port, connect_timeout => 1, load_balance_hosts => 'random') } 1 .. 10));
	@calls = map { call($node, "SELECT v_r$_($_)") } 1 .. 10;
	is(join(',', map { $_->out } @calls), join(',', map { "v$_" } 1 .. 10), 'in any order, one of two is silent');
}

# ---- the end, with a thread at work -----------------------------------------

is(collector_pid($node), $pid, 'the collector has lived through all of it');
at_rest($node);
cmp_ok(timed(sub { $node->restart }), '<', 20, 'a restart does not wait for it');
unlike(slurp_file($node->logfile), qr/terminated by signal/, 'and nothing crashes');
is(attempt($node, 'SELECT v(1)')->out, 'v1', 'lookups work');
$call = call($node, 'SELECT v_scram(1)');
poll($node, q{SELECT state = 'connecting' FROM concresce.connections WHERE server = 'scram'});
$node->safe_psql('postgres', "SELECT pg_terminate_backend($_)") foreach collector_pid($node);
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'concresce collector'"),
	'a collector that is ended meanwhile comes back');
$call->finish;
is(attempt($node, 'SELECT v(1)')->out, 'v1', 'and works');
unlike(slurp_file($node->logfile), qr/terminated by signal/, 'nothing crashes');

# the last one first, as it has the others' descriptors
undef $hole;
undef $pretender;
undef $fake;
done_testing();
