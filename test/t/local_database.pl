# Local executors are in nobody's way: databases are dropped, renamed, copied
# and moved in spite of them. And where they run: in a fresh database, in one
# that lets nobody in, on a standby.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('local', init => { allows_streaming => 1 }, conf => <<'EOF_CONF');
allow_in_place_tablespaces = on
log_parameter_max_length_on_error = -1
EOF_CONF

# What is enough: the extension and a function.
my $lookups = <<'EOF_SQL';
CREATE EXTENSION concresce;
CREATE FUNCTION f(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT n + 1';
CREATE FUNCTION slept(n int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT n FROM pg_sleep(60)';
CREATE FUNCTION slow(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT slept(n)';
EOF_SQL

$node->safe_psql('postgres', <<'EOF_SQL');
CREATE ROLE owner LOGIN CREATEDB;
CREATE ROLE other LOGIN CREATEDB;
CREATE TABLESPACE elsewhere LOCATION '';
GRANT ALL ON TABLESPACE elsewhere TO owner;
EOF_SQL

# A database with an idle executor.
sub make_database
{
	my ($name) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $name OWNER owner");
	$node->safe_psql($name, $lookups);
	is(attempt($node, 'SELECT f(1)', db => $name)->out, '2', "$name: a lookup works right after CREATE EXTENSION");
	return;
}

sub executors
{
	my ($db) = @_;

	return $node->safe_psql('postgres', <<"EOF_SQL");
SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'concresce executor' AND datname = '$db'
EOF_SQL
}

# Busy with a call whose caller cannot tell anybody that it has gone.
sub keep_busy
{
	my ($db) = @_;
	my $call = call($node, 'SELECT slow(1)', db => $db);

	poll($node, <<"EOF_SQL");
SELECT count(*) = 1 FROM pg_stat_activity
WHERE backend_type = 'concresce executor' AND datname = '$db' AND state = 'active'
EOF_SQL
	return $call;
}

# The executor is there when the command begins, or it would prove nothing.
sub goes
{
	my ($name, $db, $sql, %o) = @_;
	my $before = $node->safe_psql('postgres', <<"EOF_SQL");
SELECT pid FROM pg_stat_activity WHERE backend_type = 'concresce executor' AND datname = '$db'
EOF_SQL
	my $done;
	my $took = timed(sub { $done = attempt($node, $sql, %o) });

	isnt($before, '', "$name: there is an executor");
	is($done->err, '', "$name: done");
	cmp_ok($took, '<', 20, "$name: in time");
	return;
}

# ---- idle ------------------------------------------------------------------

foreach my $user ('', 'owner')
{
	my %o = $user ? (user => $user) : ();
	my $as = $user ? "by its owner" : "by a superuser";

	make_database('d');
	goes("DROP DATABASE $as", 'd', 'DROP DATABASE d', %o);
	make_database('d');
	goes("DROP DATABASE FORCE $as", 'd', 'DROP DATABASE d WITH (FORCE)', %o);
	make_database('d');
	goes("ALTER DATABASE RENAME $as", 'd', 'ALTER DATABASE d RENAME TO e', %o);
	is(attempt($node, 'SELECT f(2)', db => 'e')->out, '3', 'lookups go on under the new name');
	goes("CREATE DATABASE TEMPLATE $as", 'e', 'CREATE DATABASE copy TEMPLATE e', %o);
	is(attempt($node, 'SELECT f(3)', db => 'copy')->out, '4', 'lookups work in the copy');
	is(attempt($node, 'SELECT f(3)', db => 'e')->out, '4', 'and in what was copied');
	goes("ALTER DATABASE SET TABLESPACE $as", 'e', 'ALTER DATABASE e SET TABLESPACE elsewhere', %o);
	is(attempt($node, 'SELECT f(4)', db => 'e')->out, '5', 'lookups go on elsewhere');
	attempt($node, "DROP DATABASE $_", %o)->finish foreach qw(e copy);
}

# ---- busy ------------------------------------------------------------------

foreach my $user ('', 'owner')
{
	my %o = $user ? (user => $user) : ();
	my $as = $user ? "by its owner" : "by a superuser";

	# the owner may end his own session, but not that of a superuser
	make_database('d');
	my $call = call($node, 'SELECT slow(1)', db => 'd', %o);
	poll($node, <<'EOF_SQL');
SELECT count(*) = 1 FROM pg_stat_activity
WHERE backend_type = 'concresce executor' AND datname = 'd' AND state = 'active'
EOF_SQL
	goes("DROP DATABASE FORCE $as, busy", 'd', 'DROP DATABASE d WITH (FORCE)', %o);
	is($call->sqlstate, '57P01', 'the caller is terminated');
}
make_database('d');
my $busy = keep_busy('d');
$busy->signal('pg_terminate_backend');
goes('DROP DATABASE, just left', 'd', 'DROP DATABASE d');
$busy->finish;
ok($node->poll_query_until('postgres', 'SELECT used = 0 FROM concresce.memory()'), 'nothing is left in shared memory');

# A session in the database is in the way, as ever, and goes on.
make_database('d');
$busy = keep_busy('d');
my $refused = attempt($node, 'ALTER DATABASE d RENAME TO e');
is($refused->sqlstate, '55006', 'with a session in it, it cannot be renamed');
like($refused->err, qr/DETAIL:  There (is 1 other session|are 2 other sessions)/, 'for the session');
ok( $node->poll_query_until('postgres', <<'EOF_SQL'), 'whose lookup was begun anew');
SELECT count(*) = 1 FROM pg_stat_activity
WHERE backend_type = 'concresce executor' AND datname = 'd' AND state = 'active'
EOF_SQL

# Who has no right to it disturbs nobody.
my $pid = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'concresce executor' AND datname = 'd'");
foreach my $sql ('DROP DATABASE d', 'DROP DATABASE d WITH (FORCE)', 'ALTER DATABASE d RENAME TO e', 'CREATE DATABASE copy TEMPLATE d')
{
	is(attempt($node, $sql, user => 'other')->sqlstate, '42501', "$sql by another role is refused");
}
is($node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'concresce executor' AND datname = 'd' AND state = 'active'"),
	$pid, 'and the executor is still at work');
$busy->signal('pg_terminate_backend');
$busy->finish;

# ---- a database that lets nobody in ----------------------------------------

my $session = $node->background_psql('d', on_error_stop => 0);
$session->query_safe('SELECT f(1)');
poll($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'concresce executor'");
$node->safe_psql('postgres', 'ALTER DATABASE d ALLOW_CONNECTIONS false');
$session->query('SELECT f(2)');
like($session->{stderr}, qr/ERROR:  could not start a local executor\nDETAIL:  database "d" is not currently accepting connections/,
	'a start that fails is an error, with its reason');
$session->{stderr} = '';
$node->safe_psql('postgres', 'ALTER DATABASE d ALLOW_CONNECTIONS true');
is($session->query_safe('SELECT f(3)'), '4', 'once it can start, all is well');
$session->quit;
$node->safe_psql('postgres', 'DROP DATABASE d');

# A role that is gone.
make_database('d');
$node->safe_psql('d', 'CREATE ROLE gone');
$session = $node->background_psql('d', on_error_stop => 0);
$session->query_safe('SET ROLE gone');
$node->safe_psql('d', 'DROP ROLE gone');
$session->query('SELECT f(1)');
like($session->{stderr}, qr/ERROR:  /, 'the lookup of a role that was dropped is an error');
$session->quit;
$node->safe_psql('postgres', 'DROP DATABASE d');

# ---- what is enqueued for nobody -------------------------------------------

# Once the role or the database is gone, so is what was enqueued for it: it is
# not tried for ever.
make_database('d');
$node->safe_psql('d', <<'EOF_SQL');
CREATE ROLE gone;
CREATE TABLE written_later (n int);
GRANT ALL ON written_later TO PUBLIC;
CREATE FUNCTION later(n int) RETURNS void LANGUAGE concresce VOLATILE
AS 'INSERT INTO written_later SELECT unnest(collect(n))';
EOF_SQL
my $offset = -s $node->logfile;
$session = $node->background_psql('d', on_error_stop => 0);
$session->query_safe(<<'EOF_SQL');
SET concresce.max_window = '60s';
SELECT concresce.enqueue('later', i) FROM generate_series(4, 5) i;
SET ROLE gone;
SELECT concresce.enqueue('later', i) FROM generate_series(1, 3) i;
RESET ROLE;
DROP OWNED BY gone;
DROP ROLE gone;
EOF_SQL
is($session->query_safe('SELECT concresce.flush()'), 2, 'a flush tells a role of what it has enqueued itself');
$session->query_safe("SELECT concresce.stop('later'), concresce.start('later')");
is($session->query_safe(q{SELECT discarded FROM concresce.stats WHERE function = 'later(int)'::regprocedure}), 3,
	'what a role has enqueued that was dropped is discarded');
is($session->query_safe('SELECT count(*) FROM written_later'), 2, 'what others have is written');
like(PostgreSQL::Test::Utils::slurp_file($node->logfile, $offset),
	qr/WARNING:  discarded 3 enqueued items of lookup later\(integer\): its server, user mapping, role or database was dropped/,
	'the log tells of it');

# As long as the database is there, it is tried again.
poll($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'concresce executor'");
$node->safe_psql('postgres', 'ALTER DATABASE d ALLOW_CONNECTIONS false');
$session->query_safe('SET concresce.max_window = 0; SELECT concresce.enqueue(\'later\', 7)');
$node->wait_for_log(qr/FATAL:  database "d" is not currently accepting connections/, $offset);
is($session->query_safe(q{SELECT queued, discarded FROM concresce.stats WHERE function = 'later(int)'::regprocedure}), '1|3',
	'while the database lets nobody in, it waits');
$session->quit;
$node->safe_psql('postgres', 'DROP DATABASE d');
ok($node->poll_query_until('postgres', 'SELECT used = 0 FROM concresce.memory()'), 'what was enqueued in a database is discarded with it');
like(PostgreSQL::Test::Utils::slurp_file($node->logfile, $offset), qr/WARNING:  discarded 1 enqueued items of lookup later\(integer\): its server, user mapping, role or database was dropped/, 'the log tells of that');

# ---- a foreign lookup within a local one, and the other way round ----------

$node->safe_psql('postgres', $lookups =~ s/CREATE EXTENSION concresce;//r);
$node->safe_psql('postgres', 'CREATE SERVER self FOREIGN DATA WRAPPER concresce OPTIONS (' . far_options($node, dbname => 'postgres', host => $node->host)
	  . '); CREATE USER MAPPING FOR PUBLIC SERVER self;'
	  . define('self', 'away(n int)' => 'int STABLE' => 'SELECT n * 2', 'away_and_back(n int)' => 'int STABLE' => 'SELECT f(n)')
	  . "CREATE FUNCTION out_of(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT away(n) + 1'");
is(attempt($node, 'SELECT out_of(4)')->out, '9', 'a local lookup calls a foreign one');
is(attempt($node, 'SELECT away_and_back(4)')->out, '5', 'a foreign one a local one');
at_rest($node);

# Waiting for that, it can be cancelled.
$node->safe_psql('postgres', define('self', 'away_slow(n int)' => 'int STABLE' => 'SELECT slept(n)')
	  . "CREATE FUNCTION out_slow(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT away_slow(n)'");
$busy = call($node, 'SELECT out_slow(1)');
poll($node, "SELECT count(*) = 2 FROM concresce.in_flight WHERE state = 'in flight'");
$busy->signal('pg_cancel_backend');
is($busy->sqlstate, '57014', 'one that waits for another is cancelled');
at_rest($node, 'with the other');

# ---- a standby -------------------------------------------------------------

$node->safe_psql('postgres', <<'EOF_SQL');
CREATE TABLE written (n int);
CREATE FUNCTION write(n int) RETURNS void LANGUAGE concresce VOLATILE AS 'INSERT INTO written SELECT unnest(collect(n))';
CREATE FUNCTION amount() RETURNS bigint LANGUAGE concresce STABLE AS 'SELECT count(*) FROM written';
EOF_SQL
make_database('d');
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
is(attempt($standby, 'SELECT f(1), amount()')->out, '2|0', 'on a standby');
is(attempt($standby, 'SELECT write(1)')->sqlstate, '25006', 'writes are refused');
is(attempt($standby, 'SELECT f(1)', db => 'd')->out, '2', 'in another database');
is(attempt($standby, 'DROP DATABASE d')->sqlstate, '25006', 'which is dropped on the primary only');
$node->safe_psql('postgres', 'DROP DATABASE d');
my $took = timed(sub { $node->wait_for_catchup($standby, 'replay', $node->lsn('insert')) });
cmp_ok($took, '<', 30, 'replaying DROP DATABASE does not wait for its executor');
$session = $standby->background_psql('postgres');
is($session->query_safe('SELECT f(2)'), '3', 'a session');
$standby->promote;
is($session->query_safe('SELECT f(3)'), '4', 'goes on after the promotion');
$session->query_safe('SELECT write(1)');
is($session->query_safe('SELECT amount()'), '1', 'and can write');
$session->quit;
at_rest($standby);

done_testing();
