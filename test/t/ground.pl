# The schema of the extension: where somebody else could put functions into it,
# the extension is neither installed nor updated; dumps of it can be restored.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('local', extension => 0);

$node->safe_psql('postgres', <<'EOF_SQL');
CREATE ROLE maker LOGIN;
CREATE ROLE makers;
CREATE ROLE other_super LOGIN SUPERUSER;
EOF_SQL

# What happens in a database of its own where this was done before.
sub try_in_new_database
{
	my ($before, $command, %o) = @_;
	my ($out, $err) = ('', '');

	$node->safe_psql('postgres', 'CREATE DATABASE scratch');
	$node->safe_psql('scratch', $before);
	my $status = $node->psql('scratch', '\set VERBOSITY verbose' . "\n$command",
		stdout => \$out, stderr => \$err, extra_params => [ '-U', $o{user} // 'postgres' ]);
	$out .= $node->safe_psql('scratch', $o{then}) if $status == 0 && $o{then};
	$node->safe_psql('postgres', 'DROP DATABASE scratch');
	return $status == 0 ? "ok $out" : $err;
}

my $no_schema = 'SELECT 1';
my $theirs = 'CREATE SCHEMA concresce AUTHORIZATION maker';
my $ours = 'CREATE SCHEMA concresce';

# ---- installing ------------------------------------------------------------

my @refused = (
	'the schema of another role' => $theirs => qr/It belongs to role "maker", which is no superuser/,
	'of the owner of the database' => "$ours; ALTER SCHEMA concresce OWNER TO pg_database_owner" =>
	  qr/It belongs to role "pg_database_owner"/,
	'one that all may write to' => "$ours; GRANT CREATE ON SCHEMA concresce TO PUBLIC" => qr/All roles may create objects in it/,
	'one that a role may write to' => "$ours; GRANT CREATE ON SCHEMA concresce TO makers WITH GRANT OPTION" =>
	  qr/Role "makers" may create objects in it/,
	'a new one that a role may write to' => 'ALTER DEFAULT PRIVILEGES GRANT CREATE ON SCHEMAS TO makers' =>
	  qr/Role "makers" may create objects in it/);
my %object = (
	'a function' => "CREATE FUNCTION concresce.enqueue(regproc, text) RETURNS void LANGUAGE sql AS ''",
	'a procedure' => "CREATE PROCEDURE concresce.stop() LANGUAGE sql AS ''",
	'an aggregate' => 'CREATE AGGREGATE concresce.gather(int) (SFUNC = int4pl, STYPE = int)',
	'a table' => 'CREATE TABLE concresce.stats (n int)',
	'a view' => 'CREATE VIEW concresce.mine AS SELECT 1',
	'a sequence' => 'CREATE SEQUENCE concresce.s',
	'a type' => 'CREATE TYPE concresce.regproc AS (n int)',
	'a domain' => 'CREATE DOMAIN concresce.d AS int',
	'an operator' => 'CREATE OPERATOR concresce.= (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq)',
	'a collation' => 'CREATE COLLATION concresce.c FROM "C"',
	'a conversion' => q(CREATE CONVERSION concresce.c FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8),
	'a text search configuration' => 'CREATE TEXT SEARCH CONFIGURATION concresce.c (COPY = simple)');

# what was there stays when its schema is given to another
push @refused, "$_ in it" => "$theirs; SET ROLE maker; $object{$_}; RESET ROLE; ALTER SCHEMA concresce OWNER TO postgres" =>
  qr/It holds \w.* What is there could be called/
  foreach sort keys %object;
push @refused, "$_ in it that it was given with" => "$theirs; SET ROLE maker; $object{$_}; RESET ROLE; REASSIGN OWNED BY maker TO postgres" =>
  qr/It holds \w.* What is there could be called/
  foreach 'a function', 'a table';

while (my ($what, $before, $error) = splice(@refused, 0, 3))
{
	my $got = try_in_new_database($before, 'CREATE EXTENSION concresce');

	like($got, qr/^\S+ ERROR:  55000: schema "concresce" is not the extension's own/, $what);
	like($got, $error, '... says what is wrong');
	like($got, qr/HINT:  \w/, '... and what to do');
}

my @accepted = (
	'no schema' => $no_schema,
	'an empty one of this superuser' => $ours,
	'of another superuser' => "$ours; ALTER SCHEMA concresce OWNER TO other_super",
	'that all may use' => "$ours; GRANT USAGE ON SCHEMA concresce TO PUBLIC",
	'that another superuser may write to' => "$ours; GRANT CREATE ON SCHEMA concresce TO other_super",
	'with another extension in it' => "$ours; CREATE EXTENSION pg_stat_statements SCHEMA concresce",
	'that others speak of' => "$ours; CREATE VIEW mine AS SELECT 'concresce'::regnamespace AS n;"
	  . 'ALTER DEFAULT PRIVILEGES IN SCHEMA concresce GRANT SELECT ON TABLES TO maker',
	'the extension was there before' => 'CREATE EXTENSION concresce; DROP EXTENSION concresce');

while (my ($what, $before) = splice(@accepted, 0, 2))
{
	is(try_in_new_database($before, 'CREATE EXTENSION concresce'), 'ok ', $what);
}
is(try_in_new_database("$ours; ALTER SCHEMA concresce OWNER TO other_super", 'CREATE EXTENSION concresce',
		user => 'other_super'), 'ok ', 'another superuser installs');

# ---- what is not committed yet -----------------------------------------------

# A function that is made, or moved, while its role still may, and not committed.
foreach my $way ($object{'a function'}, 'CREATE TYPE concresce.stop AS RANGE (SUBTYPE = int)',
	'ALTER FUNCTION theirs.enqueue(regproc, text) SET SCHEMA concresce')
{
	$node->safe_psql('postgres', 'CREATE DATABASE scratch');
	$node->safe_psql('scratch', "$ours; GRANT CREATE, USAGE ON SCHEMA concresce TO maker; CREATE SCHEMA theirs AUTHORIZATION maker;"
		  . "SET ROLE maker; CREATE FUNCTION theirs.enqueue(regproc, text) RETURNS void LANGUAGE sql AS ''; CREATE FUNCTION theirs.late() RETURNS void LANGUAGE sql AS ''");
	my $maker = $node->background_psql('scratch', extra_params => [ '-U', 'maker' ]);

	$maker->query_safe('BEGIN');
	$maker->query_safe($way);
	$node->safe_psql('scratch', 'REVOKE CREATE ON SCHEMA concresce FROM maker');
	my $install = call($node, 'CREATE EXTENSION concresce', db => 'scratch');

	ok($node->poll_query_until('scratch', <<'EOF_SQL'), 'the extension waits for who has put a function into the schema');
SELECT count(*) = 1 FROM pg_locks WHERE classid = 'pg_namespace'::regclass AND mode = 'AccessExclusiveLock' AND NOT granted
EOF_SQL
	$maker->query_safe('COMMIT');
	is($install->sqlstate, '55000', 'and finds it');

	# the other way round: it is being made while the extension is
	$node->safe_psql('scratch', 'GRANT CREATE ON SCHEMA concresce TO maker; '
		  . ($way =~ /RANGE/ ? 'DROP TYPE concresce.stop' : 'DROP FUNCTION concresce.enqueue(regproc, text)'));
	my $super = $node->background_psql('scratch');

	$super->query_safe('BEGIN; REVOKE CREATE ON SCHEMA concresce FROM maker; CREATE EXTENSION concresce');
	my $late = call($node, $way =~ /^ALTER/ ? 'ALTER FUNCTION theirs.late() SET SCHEMA concresce' : $way, db => 'scratch', user => 'maker');

	ok($node->poll_query_until('scratch', <<'EOF_SQL'), 'who puts one there meanwhile waits');
SELECT count(*) = 1 FROM pg_locks WHERE classid = 'pg_namespace'::regclass AND mode = 'AccessShareLock' AND NOT granted
EOF_SQL
	$super->query_safe('COMMIT');
	is($late->sqlstate, '42501', 'and has no right to any more');
	$maker->quit;
	$super->quit;
	$node->safe_psql('postgres', 'DROP DATABASE scratch');
}

# A library that such a command loads may have a hook of its own, which stays.
my $hook = PostgreSQL::Test::Utils::tempdir() . '/hook';
append_to_file("$hook.c", <<'EOF_C');
#include "postgres.h"
#include "catalog/objectaccess.h"
#include "fmgr.h"
PG_MODULE_MAGIC;
PG_FUNCTION_INFO_V1(hook_calls);
extern void _PG_init(void);
static object_access_hook_type previous;
static int	calls = 0;

static void
hook(ObjectAccessType access, Oid class_id, Oid object, int sub_id, void *arg)
{
	calls++;
	if (previous)
		previous(access, class_id, object, sub_id, arg);
}

void
_PG_init(void)
{
	previous = object_access_hook;
	object_access_hook = hook;
}

Datum
hook_calls(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(calls);
}
EOF_C
my ($headers) = run_command([ $ENV{PG_CONFIG} // 'pg_config', '--includedir-server' ]);
system_or_bail($ENV{CC} // 'cc', '-shared', '-fPIC', "-I$headers", "$hook.c", '-o', "$hook.so");
$node->safe_psql('postgres', 'CREATE DATABASE scratch');
$node->safe_psql('scratch', "$ours; CREATE EXTENSION concresce; CREATE SCHEMA s; GRANT CREATE, USAGE ON SCHEMA concresce TO maker");
my $hooked = $node->background_psql('scratch');

$hooked->query_safe("CREATE FUNCTION s.hook_calls() RETURNS int LANGUAGE c AS '$hook'");
my $calls = $hooked->query_safe('SELECT s.hook_calls()');
$hooked->query_safe("CREATE FUNCTION s.f$_() RETURNS int LANGUAGE sql AS 'SELECT 1'") foreach 1 .. 3;
cmp_ok($hooked->query_safe('SELECT s.hook_calls()'), '>=', $calls + 3, "another library's hook is called after the command that loads it");
$hooked->query_safe('BEGIN; CREATE FUNCTION concresce.late() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$');
is($hooked->query_safe(<<'EOF_SQL'), 1, 'and the schema is locked all the same');
SELECT count(*) FROM pg_locks WHERE classid = 'pg_namespace'::regclass AND objid = 'concresce'::regnamespace AND pid = pg_backend_pid()
EOF_SQL
$hooked->quit;
$node->safe_psql('postgres', 'DROP DATABASE scratch');

# ---- updating --------------------------------------------------------------

my $old = "CREATE EXTENSION concresce VERSION '0.1.0'";
my $update = 'ALTER EXTENSION concresce UPDATE';

like(try_in_new_database("$theirs; $old", $update), qr/55000: .*belongs to role "maker"/s, 'an update in a schema of another role');
like(try_in_new_database("$theirs; $old; SET ROLE maker; $object{'a function'}; RESET ROLE;"
		  . 'ALTER SCHEMA concresce OWNER TO postgres', $update),
	qr/55000: .*It holds function enqueue\(regproc,text\)/s, 'an update beside a function of another role');
is(try_in_new_database("$theirs; $old; ALTER SCHEMA concresce OWNER TO postgres", $update), 'ok ', 'once it is a superuser\'s');
is(try_in_new_database("$old; CREATE VIEW concresce.mine AS SELECT * FROM concresce.stats", $update,
		then => 'SELECT count(*) FROM concresce.mine'), 'ok 0', 'views of a superuser stay');

# ---- moving ----------------------------------------------------------------

my $lookup = q(CREATE FUNCTION twice(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT 2 * n');
my $explain = 'SELECT sum(twice(i)) FROM generate_series(1, 3) i; EXPLAIN (COSTS OFF) SELECT twice(i) FROM generate_series(1, 3) i';

like(try_in_new_database('CREATE EXTENSION concresce; CREATE SCHEMA s', 'ALTER EXTENSION concresce SET SCHEMA s'),
	qr/0A000: extension "concresce" does not support SET SCHEMA/, 'the extension is not moved');
like(try_in_new_database("CREATE EXTENSION concresce; $lookup; ALTER SCHEMA concresce RENAME TO s; CREATE SCHEMA concresce", $explain),
	qr/^ok 12\nCustom Scan \(ConcresceBatch\)/, 'its schema may be renamed');

# ---- dumps -----------------------------------------------------------------

$node->safe_psql('postgres', 'CREATE DATABASE kept');
$node->safe_psql('kept', <<'EOF_SQL');
CREATE EXTENSION concresce;
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT 2 * n';
CREATE VIEW mine AS SELECT * FROM concresce.stats;
CREATE TABLE concresce.notes AS SELECT 1 AS n;
GRANT CREATE ON SCHEMA concresce TO maker;
GRANT EXECUTE ON FUNCTION concresce.reset_stats TO maker;
EOF_SQL
my $dump = PostgreSQL::Test::Utils::tempdir . '/kept.dump';

$node->command_ok([ 'pg_dump', '-d', $node->connstr('kept'), '-U', 'postgres', '-Fc', '-f', $dump ], 'a dump');
foreach my $case ([ 'postgres' ], [ 'other_super' ], [ 'other_super', '--no-owner' ], [ 'postgres', '--jobs=2' ])
{
	my ($user, @options) = @$case;

	$node->safe_psql('postgres', 'CREATE DATABASE back');
	$node->command_ok([ 'pg_restore', '-d', $node->connstr('back'), '-U', $user, '--exit-on-error', @options, $dump ],
		"is restored by $user @options");
	is($node->safe_psql('back', <<'EOF_SQL'), "42|2|t|t", '... with all that was in it');
SELECT twice(21), (SELECT n + 1 FROM concresce.notes), has_schema_privilege('maker', 'concresce', 'CREATE'),
	has_function_privilege('maker', 'concresce.reset_stats(regproc)', 'EXECUTE')
EOF_SQL
	$node->safe_psql('postgres', 'DROP DATABASE back');
}

done_testing();
