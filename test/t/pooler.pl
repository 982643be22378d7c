# PgBouncer in transaction mode between: nothing is left behind in its
# sessions, and prepared statements are given up where it cannot do them.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use IO::Socket::INET;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($bouncer) = grep { -x $_ } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin', '/usr/local/sbin';
plan skip_all => 'pgbouncer is not installed' unless $bouncer;

my $node = start_node('local', conf => 'concresce.queue_size = 20000');
my $user = $node->safe_psql('postgres', 'SELECT current_user');
my $dir = PostgreSQL::Test::Utils::tempdir;
my $port = PostgreSQL::Test::Cluster::get_free_port();

# "any" makes everybody the user of the database line.
append_to_file("$dir/ini", <<"EOF_INI");
[databases]
far = host=127.0.0.1 port=@{[$node->port]} dbname=far user=$user
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
EOF_INI
my $pooler;

sub start_pooler
{
	$pooler = IPC::Run::start([ $bouncer, "$dir/ini" ], '<', \undef, '>', "$dir/out", '2>', "$dir/err");
	foreach (1 .. 300)
	{
		return if IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port);
		select(undef, undef, undef, 0.1);
	}
	die 'the pooler did not start: ' . slurp_file("$dir/err");
}
start_pooler();

make_far($node, undef, port => $port);
$node->safe_psql('far', 'CREATE TABLE events (n int)');
$node->safe_psql('postgres', define('far', 'log_event(n int)' => 'void VOLATILE' => 'INSERT INTO events SELECT * FROM unnest(collect(n))'));
my $pooled = "host=127.0.0.1 port=$port dbname=far user=$user";

# What a client sees who shares the pooler's sessions.
sub client
{
	my ($sql) = @_;
	my ($out, $err);

	IPC::Run::run([ 'psql', '-XAtq', '-d', $pooled, '-c', $sql ], '<', \undef, '>', \$out, '2>', \$err);
	chomp $out;
	return $out . $err;
}

my $settings = q{SELECT string_agg(name || ' = ' || setting, chr(10) ORDER BY name) FROM pg_settings
	WHERE name <> 'application_name' AND name NOT LIKE 'plpgsql.%'};
my $untouched = client($settings);

foreach my $prepare ('off', 'on')
{
	is(attempt($node, 'SELECT v(1)', prepare => $prepare)->out, 'v1', "prepare = $prepare: a call");
	my @calls = finish_all(call_all($node, 16, 'SELECT v(:i)', prepare => $prepare, max_size => 2));
	is(join(',', map { $_->out } @calls), join(',', map { "v$_" } 1 .. 16), 'several at once');
	@calls = finish_all(call_all($node, 4, "SELECT sum(length(v(k))) FROM generate_series(1, 50) k", prepare => $prepare));
	is(join(',', map { $_->out } @calls), join(',', (141) x 4), 'and one after the other');
	is(attempt($node, 'SELECT vgate(7)', prepare => $prepare)->out, '70', 'a VOLATILE one');
	is(attempt($node, 'SELECT div(0)', prepare => $prepare)->sqlstate, '22012', 'an error');
	is( attempt($node, q{SELECT count(concresce.enqueue('log_event', i)) FROM generate_series(1, 100) i; SELECT concresce.flush()},
			prepare => $prepare, max_size => 7)->out, "100\n100", 'and enqueued ones');
	is(client($settings), $untouched, 'other clients find no setting changed');
	is(join('', map { client('SELECT * FROM pg_prepared_statements') } 1 .. 4), '', 'and no statement')
	  if $prepare eq 'off';
}
is($node->safe_psql('far', 'SELECT count(*) FROM log'), 2, 'VOLATILE calls were run once each');
is($node->safe_psql('far', 'SELECT count(*), count(DISTINCT n) FROM events'), '200|100', 'and enqueued ones');

# Cancelling goes through the pooler, too.
my $gate = close_gate($node);
my $call = call($node, 'SELECT gate(1)');
$call->waiting;
$call->signal('pg_cancel_backend');
is($call->sqlstate, '57014', 'a cancelled call');
ok($node->poll_query_until('postgres', <<'EOF_SQL'), 'its foreign query is cancelled');
SELECT count(*) = 0 FROM pg_stat_activity
WHERE datname = 'far' AND state = 'active' AND query LIKE '%ORDINALITY%'
EOF_SQL
open_gate($gate);
is(attempt($node, 'SELECT v(2)')->out, 'v2', 'the next call works');

# The pooler goes away, and comes back.
$pooler->kill_kill(grace => 5);
is(attempt($node, 'SELECT v(3)')->sqlstate, '08001', 'without the pooler');
start_pooler();
ok($node->poll_query_until('postgres', "SELECT v(4) = 'v4'"), 'with a new one');

# ---- its server is down ----------------------------------------------------

# It takes connections, and has nobody to send them to.  A server of its own,
# as this one is where the calls come from.
my $far = start_node('other', extension => 0, conf => "listen_addresses = '127.0.0.1'");
$far->safe_psql('postgres', 'CREATE DATABASE far');
$far->safe_psql('far', 'CREATE TABLE events (n int)');
append_to_file("$dir/ini", "server_login_retry = 1\nquery_wait_timeout = 1\n");
my $ini = slurp_file("$dir/ini");
$ini =~ s/^\[databases\]/[databases]\nother = host=127.0.0.1 port=@{[$far->port]} dbname=far user=$user/;
unlink("$dir/ini");
append_to_file("$dir/ini", $ini);
$pooler->kill_kill(grace => 5);
start_pooler();
$node->safe_psql('postgres', make_server('other', "host '127.0.0.1', port '$port', dbname 'other'", "password_required 'false'"));
$node->safe_psql('postgres', define('other', 'other_event(n int)' => 'void VOLATILE' => 'INSERT INTO events SELECT * FROM unnest(collect(n))'));
my $session = $node->background_psql('postgres');
$session->query_safe("SELECT concresce.enqueue('other_event', 0); SELECT concresce.flush()") foreach 1 .. 2;
$far->stop('fast');
$session->query_safe("SELECT count(concresce.enqueue('other_event', i)) FROM generate_series(1000 * $_ + 1, 1000 * $_ + 1000) i") foreach 1 .. 10;
ok($node->poll_query_until('postgres', 'SELECT failures >= 6 FROM concresce.circuits'), 'a pooler whose server is down: all waits');
$node->safe_psql('postgres', 'SELECT concresce.reset_stats()');
$far->start;
is($session->query_safe('SELECT concresce.flush()'), 10000, 'when it is back, all arrive');
is($far->safe_psql('far', 'SELECT count(*), count(DISTINCT n) FROM events WHERE n > 0'), '10000|10000', 'once');
cmp_ok($node->safe_psql('postgres', "SELECT batches FROM concresce.stats WHERE function = 'other_event(int)'::regprocedure"), '<=', 25, 'in full batches, besides those that find out whether it is back');
$session->quit;

at_rest($node);
$pooler->kill_kill(grace => 5);
done_testing();
