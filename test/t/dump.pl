# Lookups, servers and what was granted go through pg_dump and pg_upgrade, and
# work thereafter, whether or not the library was loaded on either side.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $LOADED = "shared_preload_libraries = 'concresce'";

# ---- what there is to be kept ----------------------------------------------

my $old = start_node('old', extension => 0);
$old->safe_psql('postgres', 'CREATE EXTENSION concresce; CREATE ROLE app; CREATE ROLE watcher');
make_far($old);
$old->safe_psql('postgres', <<'EOF_SQL');
CREATE TABLE orders (id int, n int, CHECK (v(n) IS NOT NULL));
INSERT INTO orders SELECT i, i * 10 FROM generate_series(1, 100) i;
CREATE VIEW scored AS SELECT id, v(n) AS score FROM orders;
CREATE FUNCTION here(n int) RETURNS int LANGUAGE concresce IMMUTABLE AS 'SELECT n + 1';
CREATE FUNCTION bulk(n int) RETURNS int LANGUAGE concresce STABLE
SET concresce.server = 'far' SET concresce.max_size = 7 SET concresce.key = 'abs(n)'
AS 'SELECT id, id FROM items WHERE id = ANY (collect(n))';
CREATE INDEX ON orders (here(n));
CREATE VIEW mine AS SELECT function, calls FROM concresce.stats;
GRANT SELECT ON concresce.stats TO watcher WITH GRANT OPTION;
REVOKE SELECT ON concresce.in_flight FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION concresce.forget_all FROM PUBLIC;
REVOKE USAGE ON LANGUAGE concresce FROM PUBLIC;
GRANT USAGE ON LANGUAGE concresce TO app;
GRANT USAGE ON FOREIGN SERVER far TO app;
ALTER ROLE app SET concresce.max_window = '5ms';
EOF_SQL

# All of it, in words.
sub kept
{
	return $_[0]->safe_psql($_[1] // 'postgres', <<'EOF_SQL');
SELECT p.oid::regprocedure, provolatile, proconfig, prosrc FROM pg_proc p JOIN pg_language l ON l.oid = prolang
WHERE lanname = 'concresce' ORDER BY p.oid::regprocedure::text;
SELECT srvname, array_remove(srvoptions, (SELECT o FROM unnest(srvoptions) o WHERE o LIKE 'port=%')), srvacl FROM pg_foreign_server;
SELECT srvname, usename, umoptions FROM pg_user_mappings;
SELECT extversion FROM pg_extension WHERE extname = 'concresce';
SELECT relname, relacl FROM pg_class WHERE relname IN ('stats', 'in_flight') ORDER BY 1;
SELECT proacl FROM pg_proc WHERE proname = 'forget_all';
SELECT lanacl FROM pg_language WHERE lanname = 'concresce';
SELECT count(*) FROM orders WHERE here(n) > 0 OR n IS NULL;
EOF_SQL
}

# As SQL, but for what each dump has of its own.
sub definitions
{
	my ($node, $db) = @_;
	my ($dump) = run_command([ 'pg_dump', '--schema-only', $node->connstr($db // 'postgres') ]);

	$dump =~ s/^--.*\n//gm;
	$dump =~ s/^\\(un)?restrict .*\n//gm;
	$dump =~ s/port '\d+'/port 'N'/g;
	return $dump;
}

sub works
{
	my ($node, $what) = @_;
	my $port = $node->port;

	$node->safe_psql('postgres', "ALTER SERVER far OPTIONS (SET port '$port')");
	is(attempt($node, 'SELECT v(7), here(1), bulk(-9)')->out, 'v7|2|', "$what: lookups work");
	is(attempt($node, 'SELECT count(score) FROM scored')->out, '100', "$what: and views of them");
	is(attempt($node, 'SELECT sum(calls) > 0 FROM mine')->out, 't', "$what: and views of statistics");
	is(attempt($node, 'INSERT INTO orders VALUES (1, 5000)')->sqlstate, '23514', "$what: and constraints");
	at_rest($node);
	return;
}

works($old, 'before');
my $definitions = definitions($old);
my $kept = kept($old);
like($definitions, qr/"concresce\.max_size" TO '7'/, 'there is something to be kept');

# ---- dump and restore ------------------------------------------------------

my $dump = "$PostgreSQL::Test::Utils::tmp_check/dump";
$old->safe_psql('postgres', 'CREATE DATABASE copy');
$old->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $old->connstr('postgres') ], 'a dump');
$old->command_ok([ 'pg_restore', '--exit-on-error', '-d', $old->connstr('copy'), $dump ], 'is restored');
is(definitions($old, 'copy'), $definitions, 'as it was');
is(kept($old, 'copy'), $kept, 'with all that was granted');

# ---- pg_upgrade ------------------------------------------------------------

# The library is loaded in the new cluster, or only after the upgrade.
sub upgraded
{
	my ($from, $name, $loaded, $what) = @_;
	my $new = PostgreSQL::Test::Cluster->new($name);
	my $bindir = $from->config_data('--bindir');

	$new->init;
	$new->append_conf('postgresql.conf', "listen_addresses = '127.0.0.1'\nautovacuum = off\n");
	$new->append_conf('postgresql.conf', $LOADED) if $loaded;
	$from->stop;
	chdir($PostgreSQL::Test::Utils::tmp_check);
	$new->command_ok([ 'pg_upgrade', '--no-sync', '-d', $from->data_dir, '-D', $new->data_dir,
			'-b', $bindir, '-B', $bindir, '-s', $new->host, '-p', $from->port, '-P', $new->port ],
		"$what: pg_upgrade");
	$new->start;
	is(definitions($new), $definitions, "$what: as it was");
	return $new;
}

my $without = upgraded($old, 'without', 0, 'from a server with the library to one without');
is(attempt($without, 'SELECT v(7)')->sqlstate, '55000', 'there a lookup says that it is missing');
my $with = upgraded($without, 'with', 1, 'from a server without the library to one with it');
is(kept($with), $kept, 'with all that was granted');
works($with, 'after both');

done_testing();
