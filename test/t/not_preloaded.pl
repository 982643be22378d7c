# Without shared_preload_libraries the extension can be created, lookups
# defined and dumped; calling one says what is missing.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('local', extension => 0, conf => "shared_preload_libraries = ''");

$node->safe_psql('postgres', 'CREATE EXTENSION concresce;'
	  . "CREATE SERVER far FOREIGN DATA WRAPPER concresce OPTIONS (" . far_options($node) . ');'
	  . 'CREATE USER MAPPING FOR PUBLIC SERVER far;'
	  . define('far', 'v(n int)' => 'text STABLE' => 'SELECT v FROM items WHERE id = n')
	  . q{CREATE FUNCTION here(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT n + 1'});
like($node->safe_psql('postgres', "SELECT concresce.remote_sql('v')"), qr/unnest/, 'a lookup can be defined and shown');

foreach my $sql ('SELECT v(1)', 'SELECT here(1)', 'SELECT * FROM concresce.stats', 'SELECT * FROM concresce.connections',
	'SELECT * FROM concresce.in_flight', 'SELECT * FROM concresce.memory()',
	'SELECT concresce.reset_stats()', "SELECT concresce.forget('v', 1)",
	'SELECT concresce.forget_all()', "SELECT * FROM concresce.batch_sizes('v')",
	"SELECT concresce.enqueue('v', 1)", 'SELECT concresce.flush()', "SELECT concresce.stop('v')", 'SELECT concresce.start()')
{
	my $call = attempt($node, $sql);

	is($call->sqlstate, '55000', "$sql: 55000");
	like($call->err, qr/HINT:  Add the line "shared_preload_libraries = 'concresce'" to postgresql\.conf/, 'with the line to add');
}

my ($dump) = run_command([ 'pg_dump', $node->connstr('postgres') ]);
like($dump, qr/CREATE FUNCTION public\.v\(n integer\) RETURNS text\s+LANGUAGE concresce STABLE/, 'it can be dumped');

# Doing what the hint says is all there is to it.
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'concresce'");
$node->restart;
$node->safe_psql('postgres', 'CREATE DATABASE far; CREATE DATABASE copy');
$node->safe_psql('far', 'CREATE TABLE items (id int PRIMARY KEY, v text)');
is(attempt($node, "SELECT coalesce(v(1), 'none')")->out, 'none', 'with the line added it works');
is(attempt($node, 'SELECT here(1)')->out, '2', 'so does a local lookup');
$node->safe_psql('copy', $dump);
is(attempt($node, "SELECT coalesce(public.v(1), 'none')", db => 'copy')->out, 'none', 'what was dumped, too');

done_testing();
