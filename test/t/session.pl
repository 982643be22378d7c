# A batch leaves the far session as it found it: whatever a body leaves in
# there, the next lookup does not find it. Straight to the server, and through
# a pooler in transaction mode.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use IO::Socket::INET;
use Peers;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# One connection, so that lookups of both owners come into the same session.
my $node = start_node('local', conf => "concresce.max_connections = 1\npg_stat_statements.track_utility = on\n");
make_far($node);
$node->safe_psql('far', <<'EOF_SQL');
CREATE SCHEMA evil;
CREATE TABLE scores (id int, score int);
INSERT INTO scores VALUES (1, 10);
CREATE TABLE evil.scores (id int, score int);
INSERT INTO evil.scores VALUES (1, 666);
CREATE TABLE days (id int, d date, name text);
INSERT INTO days VALUES (1, '2024-02-03', 'é');
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
CREATE SEQUENCE seq;
CREATE ROLE other;
CREATE FUNCTION run(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RETURN 'done';
END $$;
-- our prepared statements, all of them: another is put in the place of each
CREATE FUNCTION replace_statements() RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	n int := 0;
	s record;
BEGIN
	FOR s IN SELECT name, parameter_types FROM pg_prepared_statements WHERE NOT from_sql LOOP
		EXECUTE 'DEALLOCATE ' || quote_ident(s.name);
		EXECUTE format('PREPARE %I%s AS SELECT 1::bigint, 666', s.name,
			'(' || nullif(array_to_string(s.parameter_types, ', '), '') || ')');
		n := n + 1;
	END LOOP;
	RETURN n;
END $$;
-- what a session has that it would not have if it were new
CREATE FUNCTION leftovers() RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws('; ',
		(SELECT string_agg('advisory lock ' || objid, ', ') FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),
		(SELECT string_agg('cursor ' || name, ', ') FROM pg_cursors WHERE name !~ 'unnamed|^$'),
		(SELECT string_agg('listens to ' || c, ', ') FROM pg_listening_channels() c),
		(SELECT string_agg('prepared ' || name, ', ') FROM pg_prepared_statements WHERE name !~ '^(ccr|PGBOUNCER)_' OR from_sql),
		(SELECT string_agg('table ' || relname, ', ') FROM pg_class WHERE relnamespace = pg_my_temp_schema() AND relkind = 'r'),
		(SELECT string_agg(name || ' = ' || setting, ', ') FROM pg_settings WHERE source = 'session'
			AND name NOT IN ('client_encoding', 'DateStyle', 'transaction_isolation', 'transaction_read_only', 'transaction_deferrable',
				'TimeZone', 'standard_conforming_strings', 'application_name')),
		'user ' || nullif(current_user, session_user), 'lc ' || nullif(current_setting('my.tenant', true), ''))
$$;
EOF_SQL
$node->safe_psql('postgres', <<'EOF_SQL');
CREATE ROLE alice SUPERUSER;
CREATE ROLE bob SUPERUSER;
EOF_SQL

# For a server: lookups of alice and bob.
sub lookups
{
	my ($server) = @_;
	my $sql = "CREATE SCHEMA $server; SET search_path = $server;\n";

	foreach my $owner ('alice', 'bob')
	{
		$sql .= define($server,
			"${owner}_runs(command text)" => 'text STABLE' => 'SELECT run(command)',
			"${owner}_writes(command text)" => 'text VOLATILE' => 'SELECT run(command)',
			"${owner}_finds(n int)" => 'text STABLE' => 'SELECT leftovers()',
			"${owner}_finds_later(n int)" => 'text VOLATILE' => 'SELECT leftovers()',
			"${owner}_currval(n int)" => 'bigint STABLE' => "SELECT currval('seq') WHERE n > 0",
			"${owner}_score(n int)" => 'int STABLE' => 'SELECT score FROM scores WHERE id = n',
			"${owner}_day(n int, OUT d date, OUT j jsonb)" => 'record STABLE' => q{SELECT d, '{}'::jsonb FROM days WHERE id = n},
			"${owner}_id_of(t text)" => 'int STABLE' => 'SELECT id FROM days WHERE name = t',
			"${owner}_replaces(n int)" => 'int STABLE' => 'SELECT replace_statements() WHERE n > 0',
			"${owner}_child(n int)" => 'void VOLATILE' => 'INSERT INTO child SELECT unnest(collect(n))',
			"${owner}_adds(n int)" => 'int VOLATILE' => 'SELECT note(n)')
		  . "DO \$\$ DECLARE f regprocedure; BEGIN FOR f IN SELECT oid FROM pg_proc WHERE pronamespace = '$server'::regnamespace
			AND proname ~ '^${owner}_' LOOP EXECUTE 'ALTER FUNCTION ' || f || ' OWNER TO $owner'; END LOOP; END \$\$;\n";
	}
	return $sql;
}

# What bodies leave: name => [ command, is it for VOLATILE ones only? ].
my %leave = (
	'a setting' => [ "SELECT set_config('my.tenant', 'x', false)", 0 ],
	'search_path' => [ "SELECT set_config('search_path', 'evil', false)", 0 ],
	'DateStyle' => [ "SET DateStyle = 'German'", 0 ],
	'client_encoding' => [ "SET client_encoding = 'LATIN1'", 0 ],
	'statement_timeout' => [ "SET statement_timeout = '1ms'", 0 ],
	'extra_float_digits' => [ "SET extra_float_digits = 0", 0 ],
	'read-only' => [ 'SET default_transaction_read_only = on', 0 ],
	'a role' => [ 'SET ROLE other', 0 ],
	'an advisory lock' => [ 'SELECT pg_advisory_lock(99)', 0 ],
	'a prepared statement' => [ 'PREPARE p AS SELECT 1', 0 ],
	'LISTEN' => [ 'LISTEN channel', 1 ],
	'a cursor' => [ 'DECLARE c CURSOR WITH HOLD FOR SELECT 1', 1 ],
	'a temporary table' => [ 'CREATE TEMPORARY TABLE t AS SELECT 1 AS a', 1 ]);

# What stays for lookups of the same owner, who has done it to himself.
my %stays = (
	'a prepared statement' => 'prepared p',
	'LISTEN' => 'listens to channel',
	'a cursor' => 'cursor c',
	'a temporary table' => 'table t');

sub all_leftovers
{
	my ($server) = @_;
	my $renew = sub {
		$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'far' AND backend_type = 'client backend'");
	};

	foreach my $name (sort keys %leave)
	{
		my ($command, $volatile_only) = @{ $leave{$name} };
		(my $quoted = $command) =~ s/'/''/g;

		foreach my $kind ('runs', 'writes')
		{
			next if $kind eq 'runs' && $volatile_only;
			foreach my $next ('alice', 'bob')
			{
				my $what = "$server: $name, " . ($kind eq 'runs' ? 'STABLE' : 'VOLATILE')
				  . ($next eq 'alice' ? ', the same owner' : ', another owner');

				# statements of both are known by then
				$renew->();
				my $stays = $next eq 'alice' ? $stays{$name} // '' : '';
				$stays = 'advisory lock 99' if $name eq 'an advisory lock' && $kind eq 'runs' && $next eq 'alice';

				# not in a pooler's session, but for what may be the pooler's own
				$stays = $name eq 'a prepared statement' ? 'prepared p' : '' if $server eq 'pooled';
				my $found = attempt($node, <<"EOF_SQL");
SET search_path = $server;
SELECT ${next}_score(1);
SELECT alice_$kind('$quoted');
SELECT ${next}_finds(1);
SELECT ${next}_score(1), (${next}_day(1)).d, ${next}_id_of('é')
EOF_SQL
				is($found->out, "10\ndone\n$stays\n10|2024-02-03|1", $what) or diag($found->err);
			}
		}
	}
	$renew->();
	return;
}

# ---- straight --------------------------------------------------------------

$node->safe_psql('postgres', lookups('far'));
all_leftovers('far');

# A sequence's last value is another owner's, too.
is(attempt($node, q{SET search_path = far; SELECT alice_writes($$SELECT nextval('seq')$$)})->out, 'done', 'nextval');
is(attempt($node, 'SET search_path = far; SELECT alice_currval(1)')->out, 1, 'currval is the same owner\'s');
is(attempt($node, 'SET search_path = far; SELECT bob_currval(1)')->sqlstate, '55000', 'and of no other');

# Statements of our names, replaced.
$node->safe_psql('postgres', 'SELECT far.bob_score(1)');
cmp_ok(attempt($node, 'SELECT far.alice_replaces(1)')->out, '>', 0, 'alice replaces all statements');
is(attempt($node, 'SELECT far.bob_score(1)')->out, 10, 'bob gets his own rows');
is(attempt($node, 'SELECT far.bob_score(1)')->out, 10, 'again');

# Writes need VOLATILE.
my $write = attempt($node, q{SELECT far.alice_runs('INSERT INTO days VALUES (2)')});
is($write->sqlstate, '25006', 'a STABLE lookup writes nothing');
like($write->err, qr/HINT: .*VOLATILE/, 'and the hint says how it would');
is(attempt($node, q{SELECT far.alice_writes('INSERT INTO days VALUES (2)')})->out, 'done', 'a VOLATILE one does');
is($node->safe_psql('far', 'SELECT count(*) FROM days WHERE id = 2'), 1, 'once');

# A deferred constraint fails a batch when it commits.
is(attempt($node, 'SELECT far.alice_child(1)')->sqlstate, '23503', 'a deferred constraint fails the call');
is($node->safe_psql('far', 'SELECT count(*) FROM child'), 0, 'nothing was kept');
$node->safe_psql('far', 'INSERT INTO parent VALUES (1)');
is(attempt($node, 'SELECT far.alice_child(1)')->sqlstate, '', 'and does not once it is fulfilled');
is($node->safe_psql('far', 'SELECT count(*) FROM child'), 1, 'which is kept');
is($node->safe_psql('postgres', "SELECT count(*) FROM concresce.connections WHERE state = 'idle'"), 1, 'a connection is left, and idle');

# No transaction is left open.
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE datname = 'far' AND state <> 'idle'"), 0, 'no transaction is left open');

# ---- a cut between the last row and the end of COMMIT ------------------------

$node->safe_psql('far', <<'EOF_SQL');
CREATE FUNCTION wait_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_advisory_xact_lock_shared(4711);
	RETURN NULL;
END $$;
CREATE TABLE slow (n int);
CREATE CONSTRAINT TRIGGER t AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION wait_at_commit();
EOF_SQL
my $proxy = Proxy->new($node->port);
$node->safe_psql('postgres',
	'CREATE SERVER cut FOREIGN DATA WRAPPER concresce OPTIONS (' . far_options($node, port => $proxy->port)
	  . '); CREATE USER MAPPING FOR PUBLIC SERVER cut;'
	  . define('cut', 'slow(n int)' => 'int VOLATILE' => 'WITH w AS (INSERT INTO slow SELECT u FROM unnest(collect(n)) u RETURNING n) SELECT n, n FROM w',
		'quick(n int)' => 'int STABLE' => 'SELECT n'));
$node->safe_psql('postgres', 'SELECT quick(1)');
my $gate = close_gate($node);
my $call = call($node, 'SELECT slow(7)');
ok($node->poll_query_until('postgres', <<'EOF_SQL'), 'the far side is about to commit');
SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted
EOF_SQL
$proxy->close;
is($call->sqlstate, '08007', 'a cut before the end of COMMIT: its outcome is unknown');
open_gate($gate);
is(attempt($node, 'SELECT slow(8)')->out, 8, 'the next one');

# ---- a connection for each owner -------------------------------------------

sub cleanings
{
	my $n = $node->safe_psql('postgres', "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements WHERE query = 'DISCARD ALL'");

	$node->safe_psql('postgres', 'SELECT pg_stat_statements_reset()');
	return $n;
}

sub take_turns
{
	$node->safe_psql('postgres', 'SELECT far.alice_score(1); SELECT far.bob_score(1)') foreach 1 .. 5;
}

cleanings();
take_turns();
cmp_ok(cleanings(), '>=', 9, 'with one connection, it is cleaned for each in turn');
$node->safe_psql('postgres', 'ALTER SYSTEM SET concresce.max_connections = 2; SELECT pg_reload_conf()');
foreach (1 .. 600)
{
	take_turns();
	last if $node->safe_psql('postgres', "SELECT count(*) FROM concresce.connections WHERE server = 'far' AND state = 'idle'") == 2;
}
take_turns();
cleanings();
take_turns();
is(cleanings(), 0, 'with two, each owner has one');

# ---- through a pooler ------------------------------------------------------

my ($bouncer) = grep { -x $_ } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin', '/usr/local/sbin';
SKIP:
{
	skip 'pgbouncer is not installed', 1 unless $bouncer;
	my $dir = PostgreSQL::Test::Utils::tempdir;
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my $user = $node->safe_psql('postgres', 'SELECT current_user');
	my $slow = Proxy->new($node->port, 'nowhere');

	append_to_file("$dir/ini", <<"EOF_INI");
[databases]
far = host=127.0.0.1 port=@{[$node->port]} dbname=far user=$user
slow = host=127.0.0.1 port=@{[$slow->port]} dbname=far user=$user
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 1
server_check_delay = 0
EOF_INI
	my $pooler = IPC::Run::start([ $bouncer, "$dir/ini" ], '<', \undef, '>', "$dir/out", '2>', "$dir/err");
	foreach (1 .. 300)
	{
		last if IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port);
		select(undef, undef, undef, 0.1);
	}
	$node->safe_psql('postgres',
		'CREATE SERVER pooled FOREIGN DATA WRAPPER concresce OPTIONS (' . far_options($node, port => $port)
		  . '); CREATE USER MAPPING FOR PUBLIC SERVER pooled');
	$node->safe_psql('postgres', lookups('pooled'));
	all_leftovers('pooled');

	$node->safe_psql('postgres', 'SELECT pooled.bob_score(1)');
	attempt($node, 'SELECT pooled.alice_replaces(1)');
	is(attempt($node, 'SELECT pooled.bob_score(1)')->out, 10, 'pooled: bob gets his own rows') foreach 1 .. 3;

	# Another server object leads to the same sessions.
	$node->safe_psql('postgres',
		'CREATE SERVER beside FOREIGN DATA WRAPPER concresce OPTIONS (' . far_options($node, port => $port)
		  . '); CREATE USER MAPPING FOR PUBLIC SERVER beside');
	$node->safe_psql('postgres', lookups('beside'));
	$node->safe_psql('postgres', 'SELECT pooled.bob_score(1)');
	attempt($node, 'SELECT beside.alice_replaces(1)');
	is(attempt($node, 'SELECT pooled.bob_score(1)')->out, 10, 'pooled: and after somebody beside him') foreach 1 .. 3;

	# The first batch of a connection finds out that there is a pooler.
	$node->safe_psql('postgres', define('beside', 'listens(c text)' => "void VOLATILE SET concresce.prepare = 'off'" => 'SELECT run(unnest(collect(c)))'));
	$node->safe_psql('postgres', "ALTER SERVER beside OPTIONS (ADD connect_timeout '9')");
	is(attempt($node, q{SELECT listens('LISTEN channel')})->sqlstate, '', 'a body listens, in the first batch of a connection');
	unlike(attempt($node, 'SELECT pooled.bob_finds(1)')->out, qr/listens/, 'pooled: the next one does not');

	# What is to take a timeout back takes longer than that, as on a busy machine.
	$node->safe_psql('postgres',
		'CREATE SERVER stalled FOREIGN DATA WRAPPER concresce OPTIONS (' . far_options($node, port => $port, dbname => 'slow')
		  . '); CREATE USER MAPPING FOR PUBLIC SERVER stalled');
	$node->safe_psql('postgres', lookups('stalled'));
	my $short = q{$$SET statement_timeout = '20ms'; SET lock_timeout = '20ms'$$};
	foreach my $where ('RESET statement_timeout', 'UNLISTEN', 'RESET ROLE', 'RESET ALL', 'pg_advisory_unlock_all')
	{
		my $before = $slow->ask('stalls');

		$slow->stall($where);
		my $set = attempt($node, "SELECT stalled.alice_writes($short)");
		$slow->stall('nowhere');
		cmp_ok($slow->ask('stalls'), '>', $before, "$where is slow");
		is($set->sqlstate || $set->out, $where eq 'RESET statement_timeout' ? '57014' : 'done', 'whoever has set a timeout bears it');
		is(attempt($node, 'SELECT stalled.bob_finds(1)')->out, '', 'the next one finds nothing of it');
	}
	$pooler->kill_kill(grace => 5);
	undef $slow;
}

# ---- nothing was executed yet ----------------------------------------------

# The first question of all fails, so the session is not known, nor is it used.
$node->append_conf('postgresql.conf', 'concresce.max_connections = 1');
$node->reload;
$node->safe_psql('far', 'CREATE ROLE plain LOGIN; REVOKE EXECUTE ON FUNCTION pg_backend_pid() FROM PUBLIC');
$node->safe_psql('postgres', make_server('weak', far_options($node), q{user 'plain', password_required 'false'})
	. join('', map { define('weak', "weak_$_(n int)" => 'int STABLE' => 'SELECT n') . "ALTER FUNCTION weak_$_ OWNER TO $_;" } qw(alice bob)));
is(attempt($node, 'SELECT weak_alice(1)')->sqlstate, '42501', 'a session that refuses the first question');
$node->safe_psql('far', 'GRANT EXECUTE ON FUNCTION pg_backend_pid() TO PUBLIC');
is(attempt($node, 'SELECT weak_bob(2)')->out, 2, "serves another owner's lookups when it does not");
is(attempt($node, 'SELECT weak_alice(3)')->out, 3, 'and those of the first one');

at_rest($node);
done_testing();
