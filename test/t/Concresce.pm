# What the TAP files share: clusters, calls that run in the background, and a
# gate that holds foreign queries up for exactly as long as a test wants.
#
# Most tests need one cluster only: the lookups are in its database
# "postgres", the tables in its database "far", which the server "far" names.
# Foreign sessions there have the application name "concresce".

package Concresce;

use strict;
use warnings FATAL => 'all';

# What hangs is a failure, and soon.
BEGIN { $ENV{PG_TEST_TIMEOUT_DEFAULT} //= 60 }

use Carp;
use Exporter 'import';
use IO::Socket::INET;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

our @EXPORT = qw(
  start_node make_far make_strict refused far_options make_server define
  call call_all finish_all attempt timed
  poll poll_far open_gate close_gate
  collector_pid used_memory foreign_queries answered at_rest closed_port
);

our $LIMIT = $PostgreSQL::Test::Utils::timeout_default;

# ---- clusters --------------------------------------------------------------

# conf: more settings; extension: 0 to leave it out.
sub start_node
{
	my ($name, %o) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(%{ $o{init} // {} });
	$node->append_conf('postgresql.conf', <<"EOF_CONF");
shared_preload_libraries = 'concresce, pg_stat_statements'
listen_addresses = '127.0.0.1'
max_connections = 100
max_worker_processes = 16
autovacuum = off
log_statement = none
EOF_CONF
	$node->append_conf('postgresql.conf', $o{conf}) if $o{conf};
	$node->start;
	$node->safe_psql('postgres',
		'CREATE EXTENSION concresce; CREATE EXTENSION pg_stat_statements')
	  unless defined $o{extension} && !$o{extension};
	return $node;
}

sub far_options
{
	my ($node, %more) = @_;
	my %o = (
		host => '127.0.0.1',
		port => $node->port,
		dbname => 'far',
		%more);

	return join(', ', map { "$_ '$o{$_}'" } sort keys %o);
}

# A database "far" in $far, and in $node the server "far" and lookups on it:
#
#	v(n)		STABLE; the text that belongs to a number from 1 to 1000
#	gate(n)		STABLE; 10 * n, once the gate is open
#	vgate(n)	VOLATILE; the same, written down in the table "log" before
#	div(n)		STABLE; 1000 / n
sub make_far
{
	my ($node, $far, %options) = @_;

	$far //= $node;
	$far->safe_psql('postgres', 'CREATE DATABASE far');
	$far->safe_psql('far', <<'EOF_SQL');
CREATE TABLE items (id int PRIMARY KEY, v text);
INSERT INTO items SELECT i, 'v' || i FROM generate_series(1, 1000) i;
CREATE TABLE log (n int, at timestamptz DEFAULT clock_timestamp());
CREATE FUNCTION gate(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_advisory_xact_lock_shared(4711);
	RETURN 10 * n;
END $$;
-- what it writes outlives the connection that asked for it
CREATE EXTENSION dblink;
CREATE FUNCTION note(n int) RETURNS int LANGUAGE sql AS $$
	SELECT n FROM (SELECT dblink_exec('dbname=far port=' || current_setting('port')
		|| ' host=' || split_part(current_setting('unix_socket_directories'), ',', 1),
		'INSERT INTO log VALUES (' || n || ')')) s
$$;
EOF_SQL
	$node->safe_psql('postgres',
		make_server('far', far_options($far, %options)));
	$node->safe_psql('postgres', define('far',
		'v(n int)' => 'text STABLE' => 'SELECT v FROM items WHERE id = n',
		'gate(n int)' => 'int STABLE' => 'SELECT gate FROM gate(n)',
		'vgate(n int)' => 'int VOLATILE' => 'SELECT gate FROM note(n), gate(note)',
		'div(n int)' => 'int STABLE' => 'SELECT 1000 / n'));
	return;
}

# Of strict_batches(), a far side refuses the eleventh query, and the forty-first
# item, within any second.  What it counts, in "seen", outlives the rollback.
sub make_strict
{
	my ($far) = @_;

	$far->safe_psql('far', <<'EOF_SQL');
CREATE TABLE seen (at timestamptz, items int);
CREATE TABLE refused (what text);
CREATE FUNCTION count_query(n int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	queries int; items int;
BEGIN
	LOCK seen;
	INSERT INTO seen VALUES (clock_timestamp(), n);
	SELECT count(*), sum(s.items) INTO queries, items FROM seen s WHERE at > clock_timestamp() - interval '1 s';
	IF queries > 10 THEN
		INSERT INTO refused VALUES ('query');
	END IF;
	IF items > 40 THEN
		INSERT INTO refused VALUES ('item');
	END IF;
END $$;
CREATE FUNCTION strict_batches(ns int[]) RETURNS SETOF int LANGUAGE plpgsql AS $$
BEGIN
	PERFORM dblink_exec('dbname=far port=' || current_setting('port')
		|| ' host=' || split_part(current_setting('unix_socket_directories'), ',', 1),
		'DO $d$ BEGIN PERFORM count_query(' || cardinality(ns) || '); END $d$');
	RETURN QUERY SELECT 10 * n FROM unnest(ns) n;
END $$;
EOF_SQL
	return;
}

# What was refused since this was asked for last: item, query, or both.
sub refused
{
	my ($far) = @_;

	return $far->safe_psql('far', <<'EOF_SQL');
WITH d AS (DELETE FROM refused RETURNING what)
SELECT string_agg(DISTINCT what, ',' ORDER BY what) FROM d
EOF_SQL
}

# A port of 127.0.0.1 on which nobody listens, as it is taken until the test ends.
my @taken;

sub closed_port
{
	my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Proto => 'tcp')
	  or die "could not bind a port: $!";

	push @taken, $socket;
	return $socket->sockport;
}

# A server of the wrapper, and a mapping for PUBLIC with these options.
sub make_server
{
	my ($name, $options, $mapping) = @_;

	return "CREATE SERVER $name FOREIGN DATA WRAPPER concresce OPTIONS ($options);\n"
	  . "CREATE USER MAPPING FOR PUBLIC SERVER $name" . ($mapping ? " OPTIONS ($mapping)" : '') . ";\n";
}

# Lookups on a server: signature => 'result VOLATILITY [SET ...]' => body.
sub define
{
	my ($server, @lookups) = @_;
	my $sql = '';

	while (my ($signature, $kind, $body) = splice(@lookups, 0, 3))
	{
		$sql .= "CREATE FUNCTION $signature RETURNS $kind LANGUAGE concresce"
		  . " SET concresce.server = '$server' AS \$body\$ $body \$body\$;\n";
	}
	return $sql;
}

# ---- calls in the background -----------------------------------------------

my $ncalls = 0;

# Start psql with these statements and go on. app: application name;
# other options are set in the session, as concresce.*.
sub call
{
	my ($node, $sql, %o) = @_;
	my $app = delete $o{app} // 'call ' . ++$ncalls;
	my $connstr = $node->connstr(delete $o{db} // 'postgres')
	  . " application_name='$app'";
	my $files = PostgreSQL::Test::Utils::tempdir;
	my $self = { app => $app, node => $node, files => $files };

	$connstr .= " user='" . delete($o{user}) . "'" if $o{user};
	append_to_file("$files/in",
		join('', map { "SET concresce.$_ = '$o{$_}';\n" } sort keys %o) . "$sql;\n");
	$self->{run} = IPC::Run::start(
		[
			$node->installed_command('psql'), '-XAtq', '-d', $connstr,
			'-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose'
		],
		'<', "$files/in", '>', "$files/out", '2>', "$files/err",
		IPC::Run::timeout($LIMIT));
	return bless $self, 'Concresce::Call';
}

sub call_all
{
	my ($node, $n, $sql, %o) = @_;

	return map { my $text = $sql; $text =~ s/:i\b/$_/g; call($node, $text, %o) } 1 .. $n;
}

sub finish_all { return map { $_->finish } @_ }

# Run to the end: what a single session sees, and how long it took.
sub attempt
{
	my ($node, $sql, %o) = @_;

	return call($node, $sql, %o)->finish;
}

sub timed
{
	my ($code) = @_;
	my $start = time;

	$code->();
	return time - $start;
}

# ---- waiting ---------------------------------------------------------------

sub poll
{
	my ($node, $sql, $expected) = @_;

	my $came = $node->poll_query_until('postgres', $sql, $expected // 't');

	# who does not look whether it came relies on it
	croak 'waited in vain for: ' . $sql unless $came || defined wantarray;
	return $came;
}

# Until so many foreign queries are under way on the server "far".
sub poll_far
{
	my ($far, $n) = @_;

	return poll($far, <<"EOF_SQL");
SELECT count(*) = $n FROM pg_stat_activity
WHERE application_name = 'concresce' AND state = 'active'
EOF_SQL
}

# Until the returned session is given to open_gate(), gate() and vgate() wait.
sub close_gate
{
	my ($far) = @_;
	my $session = $far->background_psql('far');

	$session->query_safe('SELECT pg_advisory_lock(4711)');
	return $session;
}

sub open_gate
{
	my ($session) = @_;

	$session->quit;
	return;
}

# ---- looking ---------------------------------------------------------------

sub collector_pid
{
	my ($node) = @_;

	return $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE backend_type = 'concresce collector'");
}

sub used_memory
{
	my ($node) = @_;

	return $node->safe_psql('postgres', 'SELECT used FROM concresce.memory()');
}

# Bulk queries that were run in the database "far" since the last reset.
sub foreign_queries
{
	my ($far) = @_;

	return $far->safe_psql('postgres', <<'EOF_SQL');
SELECT coalesce(sum(calls), 0) FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = 'far')
AND query LIKE '%WITH ORDINALITY AS%'
EOF_SQL
}

# By the law: calls = answered + errors + cancelled + timeouts + open ones.
sub answered
{
	my ($node, $function) = @_;
	my $where = $function ? "WHERE function::text LIKE '$function(%'" : '';

	return $node->safe_psql('postgres', <<"EOF_SQL");
SELECT coalesce(sum(calls - errors - cancelled - timeouts - active - queued), 0)
FROM concresce.stats $where
EOF_SQL
}

# No call is open, and nothing of any is left in shared memory.
sub at_rest
{
	my ($node, $name) = @_;

	ok( $node->poll_query_until('postgres', <<'EOF_SQL'), $name // 'nothing is left behind');
SELECT (SELECT used FROM concresce.memory()) = 0
	AND NOT EXISTS (SELECT FROM concresce.in_flight)
	AND coalesce((SELECT sum(active + queued) FROM concresce.stats), 0) = 0
EOF_SQL
	return;
}

package Concresce::Call;

sub finish
{
	my ($self) = @_;

	return $self if $self->{done};
	$self->{run}->finish;
	$self->{done} = 1;
	foreach my $name (qw(out err))
	{
		$self->{$name} = PostgreSQL::Test::Utils::slurp_file("$self->{files}/$name");
		chomp $self->{$name};
	}
	return $self;
}

sub out { return $_[0]->finish->{out} }
sub err { return $_[0]->finish->{err} }

# As in ERROR:  57014: canceling ...
sub sqlstate
{
	my ($self) = @_;

	return $self->err =~ /^(?:psql:[^ ]* )?(?:ERROR|FATAL):  (\w{5}):/m ? $1 : '';
}

# Until it waits for an answer in the collector, or for anything at all.
sub waiting
{
	my ($self, $state) = @_;

	$state //= 'in flight';
	return $self->{node}->poll_query_until('postgres', <<"EOF_SQL");
SELECT EXISTS (SELECT FROM concresce.in_flight f JOIN pg_stat_activity a USING (pid)
	WHERE a.application_name = '$self->{app}' AND f.state = '$state')
EOF_SQL
}

sub pid
{
	my ($self) = @_;

	return $self->{node}->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE application_name = '$self->{app}'");
}

# pg_cancel_backend, pg_terminate_backend
sub signal
{
	my ($self, $function) = @_;

	return $self->{node}->safe_psql('postgres',
		"SELECT $function(pid) FROM pg_stat_activity WHERE application_name = '$self->{app}'");
}

# The client itself vanishes.
sub kill
{
	my ($self) = @_;

	$self->{run}->kill_kill(grace => 0);
	$self->{done} = 1;
	return;
}

1;
