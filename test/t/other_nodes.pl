# Plan nodes of other extensions, and what is below them, are left as they are.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir;
my ($headers) = run_command([ $ENV{PG_CONFIG} // 'pg_config', '--includedir-server' ]);

system_or_bail($ENV{CC} // 'cc', '-shared', '-fPIC', "-I$headers", "$FindBin::RealBin/../lib/other_node.c", '-o', "$dir/other_node.so");

# It plans first, and concresce changes what it has made.
my $node = start_node('local', conf => "shared_preload_libraries = '$dir/other_node.so, concresce, pg_stat_statements'");
make_far($node);
$node->safe_psql('postgres', <<'EOF_SQL');
CREATE FUNCTION score(k int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT k * 10';
CREATE FUNCTION exceeds(a int, b int) RETURNS bool LANGUAGE concresce STABLE AS 'SELECT a > b';
CREATE OPERATOR #> (LEFTARG = int, RIGHTARG = int, FUNCTION = exceeds);
CREATE TABLE t (id int, k int);
INSERT INTO t SELECT i, i % 7 FROM generate_series(1, 20) i;
ANALYZE t;
EOF_SQL

sub run_query
{
	my ($wrap, $sql) = @_;
	my ($out, $err);

	$node->psql('postgres',
		"SET other_node.wrap = $wrap; SET enable_mergejoin = off; SET client_min_messages = debug1; $sql",
		stdout => \$out, stderr => \$err);
	return ($out, $err);
}

my $reasons = 'it is in or below a node of another extension|there is one row only|an argument holds a sub-select';

# Whether the calls are in or below the other extension's node, or above it.
my @cases = (
	'SELECT id, score(k) FROM t ORDER BY id' => 'below',
	'SELECT id FROM t WHERE score(k) > 20 ORDER BY id' => 'below',
	'SELECT id FROM t WHERE k #> 3 ORDER BY id' => '',
	'SELECT id, (SELECT score(t.k)) FROM t ORDER BY id' => 'below',
	'SELECT id, score((SELECT max(b.id) FROM t b WHERE b.id < a.k)) FROM t a ORDER BY id' => 'below',
	'SELECT a.id, (SELECT max(score(b.k)) FROM t b WHERE b.id < a.k) FROM t a ORDER BY 1' => 'above',
	'SELECT a.id, b.id, score(a.k) FROM t a JOIN t b ON b.id = a.k ORDER BY 1, 2' => 'above',
	'SELECT sum(score(k)) FROM t' => 'above');
while (my ($query, $place) = splice(@cases, 0, 2))
{
	my ($plain) = run_query('off', "SET concresce.enable_batchscan = off; $query");
	my ($rows, $error) = run_query('on', $query);
	my ($plan, $told) = run_query('on', "EXPLAIN (VERBOSE, COSTS OFF) $query");

	is($rows, $plain, "$query: the rows") or diag($error);
	like($plan, qr/Custom Scan \(Wrapper\)/, '... its node is there');
	unlike($plan, qr/Custom Scan \(Wrapper\)(?:\n(?! *->).*)*\n *-> .*(?:ConcresceBatch|batch_)/, '... nothing is put right below it');
	if ($place eq 'below')
	{
		like($told, qr/row by row: (?:$reasons)/, '... and the reason is told');
		unlike($plan, qr/ConcresceBatch|batch_/, '... so it is called plainly');
	}
	like($plan, qr/ConcresceBatch.*Custom Scan \(Wrapper\)/s, '... a node of our own above it reads its rows ahead')
	  if $place eq 'above';
}
done_testing();
