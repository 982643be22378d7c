# ALTER EXTENSION UPDATE makes of an older version exactly what a fresh install
# is, and takes nothing away from what users have granted and built on it.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use File::Copy;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('local', extension => 0);
my $members = slurp_file("$FindBin::RealBin/../lib/members.sql");

sub database
{
	my ($name, $extension) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql($name, $extension);
	return;
}

sub members
{
	return [ split /\n/, $node->safe_psql($_[0], $members) ];
}

# What differs, so that a failure names it.
sub same_members
{
	my ($got, $expected, $what) = @_;
	my %in_got = map { $_ => 1 } @$got;
	my %in_expected = map { $_ => 1 } @$expected;

	is(join("\n", (map { "- $_" } grep { !$in_got{$_} } @$expected),
			(map { "+ $_" } grep { !$in_expected{$_} } @$got)), '', $what);
	return;
}

# ---- the same objects ------------------------------------------------------

my ($version) = slurp_file($node->config_data('--sharedir') . '/extension/concresce.control')
  =~ /default_version = '(.*)'/;
my @older = split /\n/, $node->safe_psql('postgres', <<"EOF_SQL");
SELECT version FROM pg_available_extension_versions
WHERE name = 'concresce' AND version <> '$version' ORDER BY version
EOF_SQL

database('fresh', 'CREATE EXTENSION concresce');
my $fresh = members('fresh');
cmp_ok(scalar(@$fresh), '>', 200, 'there is much to compare');
ok((grep { /^function concresce.reset_stats\(.*\): row: / } @$fresh), 'functions, for example');
ok(@older > 0, 'there are older versions');
foreach my $old (@older)
{
	database('old', "CREATE EXTENSION concresce VERSION '$old'");
	isnt(join("\n", @{ members('old') }), join("\n", @$fresh), "$old is another version");
	$node->safe_psql('old', 'ALTER EXTENSION concresce UPDATE');
	same_members(members('old'), $fresh, "updated from $old it is as installed");
	$node->safe_psql('postgres', 'DROP DATABASE old');
}

# ---- what users have made of it --------------------------------------------

$node->safe_psql('postgres', 'CREATE ROLE watcher; CREATE ROLE maker');
foreach my $old (@older)
{
	database('used', "CREATE EXTENSION concresce VERSION '$old'");
	my @views = split /\n/, $node->safe_psql('used', <<'EOF_SQL');
SELECT c.oid::regclass FROM pg_class c
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
WHERE c.relkind = 'v' ORDER BY 1
EOF_SQL
	my $number = 0;

	cmp_ok(scalar(@views), '>', 2, "$old has views");
	$node->safe_psql('used', join(";\n",
			'GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA concresce TO watcher',
			'REVOKE USAGE ON LANGUAGE concresce FROM PUBLIC',
			'GRANT USAGE ON LANGUAGE concresce TO maker',
			'GRANT USAGE ON FOREIGN DATA WRAPPER concresce TO maker',
			'CREATE SERVER far FOREIGN DATA WRAPPER concresce',
			q(CREATE FUNCTION twice(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT 2 * n'),
			(map { "CREATE VIEW mine_" . ++$number . " AS SELECT * FROM $_" } @views),
			(map { "REVOKE SELECT ON $_ FROM PUBLIC; GRANT SELECT ON $_ TO watcher WITH GRANT OPTION" } @views)));
	my $privileges = sub {
		return $node->safe_psql('used', <<'EOF_SQL');
SELECT DISTINCT proname::text, 'watcher' FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e'
WHERE pronamespace = 'concresce'::regnamespace AND proacl::text LIKE '%watcher=X/%'
UNION ALL SELECT 'language', lanacl::text FROM pg_language WHERE lanname = 'concresce'
UNION ALL SELECT 'wrapper', fdwacl::text FROM pg_foreign_data_wrapper WHERE fdwname = 'concresce'
ORDER BY 1, 2
EOF_SQL
	};
	my $columns = sub {
		return $node->safe_psql('used', <<'EOF_SQL');
SELECT relname, count(*), string_agg(attname || ' ' || format_type(atttypid, atttypmod), ',' ORDER BY attnum)
FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid AND attnum > 0 WHERE relname LIKE 'mine%' GROUP BY 1 ORDER BY 1
EOF_SQL
	};
	$node->safe_psql('used', 'CREATE FUNCTION concresce.mine_0_1() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$; CREATE FUNCTION concresce.mine() RETURNS int LANGUAGE sql AS $$ SELECT 2 $$; CREATE FUNCTION concresce.lone_0_1() RETURNS int LANGUAGE sql AS $$ SELECT 3 $$');
	$node->safe_psql('used', 'CREATE VIEW straight AS SELECT calls, hits FROM concresce.stats()');
	my $before = $privileges->();
	my $had = $columns->();

	is($node->safe_psql('used', 'SELECT twice(21)'), '42', "with the objects of $old a lookup works");
	is($node->safe_psql('used', 'SELECT calls, hits FROM concresce.stats; SELECT calls, hits FROM straight'), "1|0\n1|0", 'its views, too');
	is($node->safe_psql('used', q{SELECT count(*) FROM (SELECT "user" FROM concresce.connections) c}), 1, 'each of them');
	is($node->safe_psql('used', q{SELECT result, sqlstate, error FROM concresce.as_completed(ARRAY[concresce.submit('twice', 4)])}), '8||', 'and functions');
	is($node->safe_psql('used', 'SELECT concresce.flush(); SELECT concresce.stop(); SELECT concresce.start(); SELECT concresce.forget_all(); SELECT concresce.reset_stats(); SELECT concresce.remote_sql(NULL) IS NULL'),
		"0\n\n\n\n\nt", 'with the defaults that they had');
	$node->safe_psql('used', 'ALTER EXTENSION concresce UPDATE');
	is($privileges->(), $before, 'an update keeps grants');
	is($columns->(), $had, 'and views that users have made');
	is($node->safe_psql('used', 'SELECT concresce.mine_0_1(), concresce.mine(), concresce.lone_0_1()'), '1|2|3', 'and functions that are called like its own of before');
	is($node->safe_psql('used', 'SELECT twice(22)'), '44', 'and lookups');
	is($node->safe_psql('used', 'SELECT calls, hits FROM straight'), '1|0', 'what users have built on a function that was made anew');
	is($node->safe_psql('used', q{SELECT count(*) FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e' WHERE proname LIKE '%\_0\_1'}), 0,
		'which belongs to the extension no more');
	foreach my $view (@views)
	{
		is($node->safe_psql('used', "SELECT has_table_privilege('watcher', '$view', 'SELECT WITH GRANT OPTION'), relacl::text LIKE '%{=%' OR relacl::text LIKE '%,=%' FROM pg_class WHERE oid = '$view'::regclass"),
			't|f', "grants on $view");
	}
	foreach my $n (1 .. @views)
	{
		is($node->safe_psql('used', "SELECT count(*) >= 0 FROM mine_$n"), 't', "the view of $views[$n - 1] works");
	}
	$node->safe_psql('postgres', 'DROP DATABASE used');
}

# What everybody may execute stays so, though it is made anew.
foreach my $old (@older)
{
	database('strict', "CREATE EXTENSION concresce VERSION '$old'; ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC");
	$node->safe_psql('strict', 'ALTER EXTENSION concresce UPDATE');
	is($node->safe_psql('strict', 'SET ROLE watcher; SELECT count(*) FROM concresce.stats'), '0', 'default privileges that are strict do not take a view away');
	$node->safe_psql('postgres', 'DROP DATABASE strict');
}

# ---- before the restart ----------------------------------------------------

# An installation of its own, with a library that lacks what the update needs.
sub installation
{
	my ($from) = $node->config_data('--bindir') =~ m{^(.*/pg)/} or return;
	my $root = "$PostgreSQL::Test::Utils::tmp_check/pg";
	my ($path, $library) = map { my $p = $node->config_data($_); $p =~ s/^\Q$from\E/$root/; $p } '--bindir', '--pkglibdir';

	system_or_bail('cp', '-R', '-P', $from, $root);
	$path =~ s{/bin$}{};
	return ($path, "$library/concresce.so");
}

sub rename_function
{
	my ($library, $new) = @_;
	my $bytes = slurp_file($library, 0);

	$bytes =~ s/concresce_check_ground/concresce_check_gr0und/g;
	open(my $file, '>:raw', $new) or die "$new: $!";
	print $file $bytes;
	close($file);
	return;
}

SKIP:
{
	my ($path, $library) = installation() or skip 'the installation is not its own', 1;
	my $updated = PostgreSQL::Test::Cluster->new('updated', install_path => $path);

	move($library, "$library.new");
	rename_function("$library.new", $library);
	$updated->init;
	$updated->append_conf('postgresql.conf', "shared_preload_libraries = 'concresce'");
	$updated->start;
	$updated->safe_psql('postgres', "CREATE EXTENSION concresce VERSION '$older[0]';"
		  . "CREATE FUNCTION twice(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT 2 * n'");
	move("$library.new", $library);

	my $update = attempt($updated, 'ALTER EXTENSION concresce UPDATE');
	is($update->sqlstate, '55000', 'an update before the restart');
	like($update->err, qr/HINT:  Restart the server, then update the extension\./, 'says what to do');
	is(attempt($updated, "SELECT extversion FROM pg_extension WHERE extname = 'concresce'")->out, $older[0], 'and changes nothing');
	is(attempt($updated, 'SELECT twice(4)')->out, '8', 'lookups go on');
	$updated->restart;
	is(attempt($updated, 'ALTER EXTENSION concresce UPDATE')->sqlstate, '', 'after it the update works');
	is(attempt($updated, 'SELECT twice(5)')->out, '10', 'and lookups');
}

done_testing();
