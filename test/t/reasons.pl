# At DEBUG1 the planner says which calls of a query are made row by row, and
# why; it says nothing of those that a batch node looks up.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use Test::More;

my $node = start_node('local');
make_far($node);
$node->safe_psql('postgres', 'CREATE TABLE t AS SELECT i AS id FROM generate_series(1, 20) i;' . define('far',
	'anything(n int)' => 'record STABLE' => 'SELECT n, n',
	'pair(n int, OUT a int, OUT b int)' => 'record STABLE' => 'SELECT n, n',
	'parts(n int)' => 'SETOF int STABLE' => 'SELECT generate_series(1, n)'));

# What is said of the calls of a query.
sub reasons
{
	my ($query) = @_;
	my ($out, $err);

	$node->psql('postgres', "SET client_min_messages = debug1; EXPLAIN $query", stdout => \$out, stderr => \$err);
	fail("$query: $err") if $err =~ /ERROR/;
	return join('; ', $err =~ /DEBUG:  lookup (.* is called row by row: .*)/g);
}

my @cases = (
	'SELECT div(id) FROM t' => '',
	'SELECT * FROM t, parts(t.id)' => '',
	'SELECT vgate(id) FROM t' => 'vgate(integer) is called row by row: it is VOLATILE',
	'SELECT div((random() * id)::int) FROM t' => 'div(integer) is called row by row: an argument is volatile',
	'SELECT div((SELECT max(u.id) FROM t u WHERE u.id < t.id)) FROM t' => '',
	'SELECT div((SELECT max(u.id) FROM t u WHERE u.id < t.id)) FROM t LIMIT 3' =>
	  'div(integer) is called row by row: an argument holds a sub-select, or is bound to its place',
	'SELECT x.a FROM t, anything(t.id) AS x(a int, b int)' => 'anything(integer) is called row by row: it returns record',
	'SELECT pair(id) FROM t' => '',
	'SELECT (q.p).a FROM (SELECT pair(id) AS p FROM t OFFSET 0) q' =>
	  'pair(integer) is called row by row: a field of its record is taken in another node',
	'SELECT pair(1)' => 'pair(integer) is called row by row: there is one row only',
	'UPDATE t SET id = 1 RETURNING pair(id)' =>
	  'pair(integer) is called row by row: it is evaluated on rows as they are written',
	'SELECT div(1)' => 'div(integer) is called row by row: there is one row only',
	'SELECT * FROM parts(3)' => 'parts(integer) is called row by row: its arguments come from no other rows',
	'SELECT * FROM (VALUES (div(1)), (div(2))) v' => '',
	'SELECT * FROM (VALUES (div(1)), (2)) v' => 'div(integer) is called row by row: the rows of a VALUES list do not call it alike',
	'UPDATE t SET id = 1 RETURNING div(id)' =>
	  'div(integer) is called row by row: it is evaluated on rows as they are written',
	'SELECT * FROM t LEFT JOIN t u ON div(t.id + u.id) > u.id' =>
	  'div(integer) is called row by row: the condition of an outer join or semijoin decides about it',
	'SELECT div(id) FROM t WHERE random() < 2' =>
	  'div(integer) is called row by row: a volatile function is evaluated below it',
	'SELECT * FROM (SELECT id, random() AS r FROM t OFFSET 0) q, parts(q.id)' =>
	  'parts(integer) is called row by row: a volatile function is evaluated below it',
	'SELECT div(id) FROM (SELECT * FROM t FOR UPDATE) q' =>
	  'div(integer) is called row by row: rows are locked below it as they are read',
	'WITH w AS (INSERT INTO t SELECT (random() * 2)::int RETURNING id) SELECT div(id) FROM w' =>
	  'div(integer) is called row by row: rows are written below it',
	'WITH w AS (INSERT INTO t VALUES (1), (2) RETURNING id) SELECT div(id) FROM w' => '',
	'SELECT CASE WHEN random() > 0.5 THEN div(id) END FROM t' =>
	  'div(integer) is called row by row: its arguments, or the condition for calling it, cannot be evaluated ahead');

while (my ($query, $reason) = splice(@cases, 0, 2))
{
	is(reasons($query), $reason, $query);
}

done_testing();
