# Poolers other than PgBouncer between: calls, prepared statements, writes,
# cancels, and a pooler that goes away. And hosts among which libpq chooses.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use IO::Socket::INET;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

sub program
{
	my ($name) = @_;

	return (grep { -x $_ } map { "$_/$name" } split(/:/, $ENV{PATH}), '/usr/sbin', '/usr/local/sbin')[0];
}

my $node = start_node('local');
my $user = $node->safe_psql('postgres', 'SELECT current_user');
my $dir = PostgreSQL::Test::Utils::tempdir_short;
my $far_port = $node->port;

make_far($node);
$node->safe_psql('far', 'CREATE TABLE events (id int PRIMARY KEY)');

# Each listens on a port; what is said of it: its settings, by file, and how it
# is started.  shares: one session serves several clients.
my @poolers = (
	{
		name => 'pgpool',
		files => sub {
			my ($port) = @_;
			my $pcp = PostgreSQL::Test::Cluster::get_free_port();
			return (conf => <<"EOF_CONF", pcp => '', hba => '');
backend_clustering_mode = 'raw'
listen_addresses = '127.0.0.1'
port = $port
socket_dir = '$dir'
unix_socket_directories = '$dir'
pcp_port = $pcp
pcp_socket_dir = '$dir'
pid_file_name = '$dir/pgpool.pid'
work_dir = '$dir'
logdir = '$dir'
num_init_children = 16
max_pool = 1
backend_hostname0 = '127.0.0.1'
backend_port0 = $far_port
failover_on_backend_error = off
EOF_CONF
		},
		start => sub { return ('-n', '-f', $_[0]{conf}, '-F', $_[0]{pcp}, '-a', $_[0]{hba}) }
	},
	{
		name => 'pgagroal',
		files => sub {
			my ($port) = @_;
			return (hba => "host all all all trust\n", databases => '', conf => <<"EOF_CONF");
[pgagroal]
host = 127.0.0.1
port = $port
unix_socket_dir = $dir
log_type = file
log_path = $dir/pgagroal.log
max_connections = 16
pipeline = session

[primary]
host = 127.0.0.1
port = $far_port
EOF_CONF
		},
		start => sub { return ('-c', $_[0]{conf}, '-a', $_[0]{hba}, '-l', $_[0]{databases}) }
	},
	{
		name => 'odyssey',
		shares => 1,
		files => sub {
			my ($port) = @_;
			return (conf => <<"EOF_CONF");
daemonize no
unix_socket_dir "$dir"
unix_socket_mode "0600"
log_to_stdout yes
log_format "%p %t %l (%c) %m\\n"
workers 1
listen {
	host "127.0.0.1"
	port $port
}
storage "far" {
	type "remote"
	host "127.0.0.1"
	port $far_port
}
database default {
	user default {
		authentication "none"
		storage "far"
		pool "transaction"
		pool_size 4
		pool_discard no
	}
}
EOF_CONF
		},
		start => sub { return ($_[0]{conf}) }
	});

sub start_pooler
{
	my ($pooler) = @_;
	my ($name, $port) = @$pooler{qw(name port)};
	my $log = "$dir/$name.out";

	unlink glob("$dir/.s.*"), glob("$dir/*.pid");
	$pooler->{run} = IPC::Run::start([ $pooler->{program}, @{ $pooler->{arguments} } ], '<', \undef, '>', $log, '2>&1');
	foreach (1 .. 200)
	{
		return 1 if IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port);
		return 0 unless $pooler->{run}->pumpable;
		select(undef, undef, undef, 0.1);
	}
	return 0;
}

sub stop_pooler
{
	my ($pooler) = @_;

	$pooler->{run}->signal('INT');
	foreach (1 .. 50)
	{
		last unless $pooler->{run}->pumpable;
		select(undef, undef, undef, 0.1);
	}
	$pooler->{run}->kill_kill(grace => 2);
	return;
}

sub set_up
{
	my ($pooler) = @_;
	my $name = $pooler->{name};
	my $port = $pooler->{port} = PostgreSQL::Test::Cluster::get_free_port();
	my %files = $pooler->{files}->($port);
	my %paths = map { $_ => "$dir/$name.$_" } keys %files;

	append_to_file($paths{$_}, $files{$_}) foreach keys %files;
	$pooler->{arguments} = [ $pooler->{start}->(\%paths) ];
	return;
}

# Lookups of their own on a server of the pooler's name.
sub define_lookups
{
	my ($name, $options) = @_;

	$node->safe_psql('postgres', make_server($name, $options, "user '$user', password_required 'false'"));
	$node->safe_psql('postgres', define($name,
			"${name}_v(n int)" => 'text STABLE' => 'SELECT v FROM items WHERE id = n',
			"${name}_all(n int)" => 'text STABLE' => 'SELECT id, v FROM items WHERE id = ANY (collect(n))',
			"${name}_gate(n int)" => 'int STABLE' => 'SELECT gate FROM gate(n)',
			"${name}_div(n int)" => 'int STABLE' => 'SELECT 1000 / n',
			"${name}_event(id int)" => "void VOLATILE SET concresce.key = 'id' SET concresce.coalesce = 'batch'" => 'INSERT INTO events SELECT * FROM unnest(collect(id))'));
	return;
}

sub check_calls
{
	my ($name) = @_;

	$node->safe_psql('far', 'TRUNCATE events');
	foreach my $prepare (qw(off on))
	{
		my %o = (prepare => $prepare);

		is(attempt($node, "SELECT ${name}_v(1), ${name}_all(2)", %o)->out, 'v1|v2', "$name, prepare = $prepare: a call");
		is(join(',', map { $_->out } finish_all(call_all($node, 8, "SELECT ${name}_all(:i)", %o, max_size => 2))), join(',', map { "v$_" } 1 .. 8), 'of several sessions');
		is(attempt($node, "SELECT count(${name}_all(i)) FROM generate_series(1, 1000) i", %o)->out, 1000, 'and many');
		is(attempt($node, "SELECT ${name}_div(0)", %o)->sqlstate, '22012', 'an error');
	}
	is(attempt($node, "SELECT count(concresce.enqueue('${name}_event', i % 500)) FROM generate_series(1, 1000) i; SELECT concresce.flush()", max_size => 100)->out, "1000\n1000", 'keyed writes');
	is($node->safe_psql('far', 'SELECT count(*) FROM events'), 500, 'arrive');
	return;
}

sub check_cancel
{
	my ($name) = @_;
	my $gate = close_gate($node);
	my $call = call($node, "SELECT ${name}_gate(1)");

	$call->waiting;
	$call->signal('pg_cancel_backend');
	is($call->sqlstate, '57014', 'a cancelled call');
	ok($node->poll_query_until('postgres', <<'EOF_SQL'), 'its foreign query is cancelled');
SELECT count(*) = 0 FROM pg_stat_activity
WHERE datname = 'far' AND state = 'active' AND query LIKE '%ORDINALITY%'
EOF_SQL
	open_gate($gate);
	is(attempt($node, "SELECT ${name}_v(2)")->out, 'v2', 'the next call works');
	return;
}

foreach my $pooler (@poolers)
{
  SKIP:
	{
		my $name = $pooler->{name};

		$pooler->{program} = program($name) or skip "$name is not installed", 1;
		set_up($pooler);
		my $started = start_pooler($pooler);

		# as Debian's pgagroal, 1.6.0 and 2.1.0, does at once or with the first client
		IPC::Run::run([ 'psql', '-XAtq', '-d', "host=127.0.0.1 port=$pooler->{port} dbname=far user=$user", '-c', 'SELECT 1' ], '<', \undef, '>', \my $out, '2>', \my $err)
		  if $started;
		skip "$name of this system crashes", 1 if slurp_file("$dir/$name.out") =~ /buffer overflow detected/;
		ok($started, "$name starts") or next;
		define_lookups($name, "host '127.0.0.1', port '$pooler->{port}', dbname 'far'");
		check_calls($name);
		check_cancel($name);

		stop_pooler($pooler);
		like(attempt($node, "SELECT ${name}_v(3)")->sqlstate, qr/^08/, 'without the pooler');
		is(attempt($node, "SELECT concresce.enqueue('${name}_event', 501)")->sqlstate, '', 'an item is enqueued');
		start_pooler($pooler);
		ok(poll($node, "SELECT ${name}_v(4) = 'v4'"), 'with a new one');
		ok($node->poll_query_until('far', 'SELECT count(*) = 501 FROM events'), 'the item arrives');
		stop_pooler($pooler);
	}
}

# ---- replicas --------------------------------------------------------------

# Two servers with the same rows; libpq chooses for each connection.
SKIP:
{
	my $libpq = `pg_config --version` =~ /(\d+)/ ? $1 : 0;
	skip 'load_balance_hosts came with PostgreSQL 16', 1 if $libpq < 16;

	my @copies = map { start_node("copy$_", extension => 0) } 0, 1;
	foreach my $copy (@copies)
	{
		$copy->safe_psql('postgres', 'CREATE DATABASE far; CREATE EXTENSION pg_stat_statements');
		$copy->safe_psql('far', "CREATE TABLE items AS SELECT i AS id, 'v' || i AS v FROM generate_series(1, 1000) i");
	}
	$node->safe_psql('postgres', make_server('copies', "host '127.0.0.1,127.0.0.1', port '@{[join(',', map { $_->port } @copies)]}', dbname 'far', load_balance_hosts 'random'"));
	$node->safe_psql('postgres', define('copies', 'copies_v(n int)' => 'text STABLE' => 'SELECT v FROM items WHERE id = n'));
	my @asked = (0, 0);
	foreach (1 .. 60)
	{
		$node->safe_psql('postgres', 'SELECT copies_v(1)');
		@asked = map { foreign_queries($_) } @copies;
		last if $asked[0] && $asked[1];

		# the next one has another connection
		$_->safe_psql('postgres', "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'concresce'") foreach @copies;
		poll($node, "SELECT NOT EXISTS (SELECT FROM concresce.connections WHERE server = 'copies' AND state <> 'closed')");
	}
	ok($asked[0] && $asked[1], 'either copy is asked');
	$copies[0]->stop('fast');
	is(attempt($node, "SELECT copies_v($_)")->out, "v$_", 'one is down: the other is asked') foreach 1 .. 5;
}

at_rest($node);
done_testing();
