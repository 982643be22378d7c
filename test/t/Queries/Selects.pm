# SELECT in all its shapes.

package Queries::Selects;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use Queries::Terms qw($may chance pick number weighted columns expr int_ text num bool ints key
  extra table from);

our @EXPORT_OK = qw(where limit plain_select query);

sub where
{
	my ($scope, $depth) = @_;

	return chance(0.55) ? ' WHERE ' . join(' AND ', map { bool($scope, $depth) } 1 .. number(1, 2)) : '';
}

sub limit
{
	return '' if $may->{loose} || chance(0.6);
	$may->{early} = 1;
	return pick(' LIMIT ' . number(0, 30), ' LIMIT ' . number(0, 30), ' LIMIT k(' . number(0, 6) . ')', ' LIMIT ' . number(1, 5) . ' OFFSET ' . number(0, 9),
		' OFFSET ' . number(1, 12));
}

# An int and a text first, so that it fits wherever a query is to be had.
sub plain_select
{
	my ($depth, %o) = @_;
	my $limit = $o{whole} ? '' : limit();
	my ($from, $scope) = from($depth);
	my @list = (int_($scope, $depth), text($scope, $depth));

	push @list, expr(pick(qw(int text num bool ints)), $scope, $depth) foreach (1 .. ($o{whole} ? 0 : number(0, 2)));
	push @list, extra($scope, $depth) unless $o{whole};
	my $sql = 'SELECT ' . join(', ', @list) . " FROM $from" . where($scope, $depth);
	return $sql if $o{whole};
	$sql .= ' ORDER BY ' . join(', ', map { key(pick('int', 'text'), $scope, $depth) . pick('', ' DESC', ' NULLS FIRST') } 1 .. number(1, 2))
	  if chance(0.4);
	return $sql . $limit . ($from =~ /^\w+ AS \w+$/ && $from !~ /grouped|looked|abroad/ && !$may->{loose} && chance(0.1) ? ' FOR UPDATE' : '');
}

sub distinct_select
{
	my ($depth) = @_;
	my ($from, $scope) = from($depth);

	if (chance(0.3) && !$may->{loose})
	{
		my $key = key('int', $scope, $depth);
		return "SELECT DISTINCT ON ($key) $key, " . text($scope, $depth) . " FROM $from" . where($scope, $depth)
		  . " ORDER BY $key, " . key('text', $scope, $depth) . limit();
	}
	return 'SELECT DISTINCT ' . join(', ', int_($scope, $depth), text($scope, $depth), extra($scope, $depth)) . " FROM $from"
	  . where($scope, $depth) . (chance(0.5) ? ' ORDER BY ' . pick('1', '2, 1') . limit() : '');
}

sub set_returning_select
{
	my ($depth) = @_;
	my ($from, $scope) = from($depth);
	my @list = (int_($scope, $depth), weighted(
			3 => sub { 'tagsof(' . int_($scope, $depth) . ')' },
			1 => sub { 'ser(' . int_($scope, $depth) . ')' },
			1 => sub { '(pairs(' . int_($scope, $depth) . ')).*' },
			1 => sub { 'tagt(' . int_($scope, $depth) . ')' },
			1 => sub { '(tagt(' . int_($scope, $depth) . ')).*' },
			1 => sub { '(info(' . int_($scope, $depth) . ')).*' },
			1 => sub { '(pair(' . int_($scope, $depth) . ')).*' },
			1 => sub { 'pairs(' . int_($scope, $depth) . ')' },
			1 => sub { 'echo(tagsof(' . int_($scope, $depth) . '))' },
			1 => sub { 'k(ser(' . int_($scope, $depth) . '))' },
			1 => sub { 'generate_series(1, ' . int_($scope, $depth) . ' % 3), ' . text($scope, $depth) },
			1 => sub { 'unnest(' . ints($scope, $depth) . ')' })->());

	push @list, 'ser(' . int_($scope, $depth) . ')' if chance(0.3);
	push @list, extra($scope, $depth);
	return 'SELECT ' . join(', ', @list) . " FROM $from" . where($scope, $depth)
	  . (chance(0.3) ? ' ORDER BY ' . key('int', $scope, $depth) : '') . limit();
}

sub aggregate
{
	my ($scope, $depth) = @_;
	my $filter = chance(0.25) ? ' FILTER (WHERE ' . bool($scope, $depth) . ')' : '';
	my $int = sub { int_($scope, $depth) };
	my $text = sub { text($scope, $depth) };

	return weighted(
		2 => sub { "count(*)$filter" },
		4 => sub { 'sum(' . $int->() . ")$filter" },
		2 => sub { 'count(' . $text->() . ")$filter" },
		2 => sub { 'count(DISTINCT ' . $text->() . ")$filter" },
		1 => sub { 'sum(DISTINCT ' . $int->() . ")$filter" },
		2 => sub { pick('min', 'max') . '(' . $text->() . ")$filter" },
		2 => sub { my $x = $text->(); "string_agg($x, ',' ORDER BY $x)$filter" },
		1 => sub { $may->{loose} ? undef : 'string_agg(' . $text->() . ", '' ORDER BY " . $int->() . ")$filter" },
		1 => sub { $may->{loose} ? undef : 'array_agg(' . $int->() . ")$filter" },
		1 => sub { 'bool_or(' . bool($scope, $depth) . ")$filter" },
		1 => sub { 'percentile_disc(0.5) WITHIN GROUP (ORDER BY ' . $int->() . ')' },
		1 => sub { 'v(max(' . $int->() . ")$filter)" },
		1 => sub { 'k(count(*)::int)' },
		1 => sub { $may->{volatile} ? 'drawn(count(*)::int)' : undef },
		1 => sub {
			my ($b) = grep { /\.[bf]$/ } columns($scope, 'int');
			$b ? 'sum(' . pick("60 / $b", "k(60 / $b)") . ") FILTER (WHERE $b <> 0)" : undef;
		},
		1 => sub { my $x = $int->(); 'sum(' . pick('div', 'divi') . "($x)) FILTER (WHERE $x % 7 <> 0)" },
		1 => sub { 'sum(' . num($scope, $depth) . ")$filter" })->() // 'count(*)';
}

sub aggregate_select
{
	my ($depth) = @_;
	my ($from, $scope) = from($depth);
	my @keys = map { key(pick('int', 'int', 'text'), $scope, $depth) } 1 .. number(0, 2);
	my @list = @keys;
	my $by = '';

	push @list, aggregate($scope, $depth) foreach (1 .. number(1, 3));
	push @list, extra([], 0);
	push @list, "echo(($keys[0])::text)" if @keys && chance(0.4);
	if (@keys)
	{
		my $all = join(', ', @keys);

		$by = weighted(6 => $all, 1 => "ROLLUP ($all)", 1 => "CUBE ($all)", 1 => "GROUPING SETS (($all), ($keys[0]), ())");
		push @list, "grouping($keys[0])" if $by ne $all && chance(0.5);
		$by = " GROUP BY $by";
	}
	my $sql = 'SELECT ' . join(', ', @list) . " FROM $from" . where($scope, $depth) . $by;
	$sql .= ' HAVING ' . pick('count(*) > 1', aggregate($scope, $depth) . ' IS NOT NULL', 'k(count(*)::int) > 1', 'isodd(max(' . int_($scope, $depth) . '))') if chance(0.35);
	$sql .= ' ORDER BY ' . join(', ', map { "$_ NULLS FIRST" } 1 .. @list) if chance(0.5);
	return $sql;
}

sub window_select
{
	my ($depth) = @_;
	my ($from, $scope) = from($depth);
	my @ints = columns($scope, 'int');
	my $total = join(', ', @ints, columns($scope, 'text'));
	my $window = sub {
		my $order = ' ORDER BY ' . (chance(0.5) ? key('int', $scope, $depth) . ', ' : '') . $total;
		my $partition = chance(0.4) ? 'PARTITION BY ' . key(pick('int', 'text'), $scope, $depth) : '';
		return "($partition)" if !$may->{loose} && chance(0.15);
		return "($partition$order"
		  . weighted(4 => '', 1 => ' ROWS BETWEEN 2 PRECEDING AND CURRENT ROW',
			1 => ' ROWS BETWEEN 1 PRECEDING AND 2 FOLLOWING', 1 => ' GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE CURRENT ROW',
			1 => ' RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING', 1 => ' ROWS BETWEEN k(2) PRECEDING AND CURRENT ROW') . ')';
	};
	my $function = sub {
		weighted(
			2 => sub { 'row_number() OVER ' . $window->() },
			1 => sub { pick('rank()', 'dense_rank()', 'ntile(3)') . ' OVER ' . $window->() },
			2 => sub { pick('lag', 'lead') . '(' . int_($scope, $depth) . pick('', ', 2', ', 1, ' . int_($scope, $depth)) . ') OVER ' . $window->() },
			2 => sub { pick('first_value', 'last_value') . '(' . text($scope, $depth) . ') OVER ' . $window->() },
			1 => sub { 'nth_value(' . text($scope, $depth) . ', 2) OVER ' . $window->() },
			3 => sub { 'sum(' . int_($scope, $depth) . ')' . (chance(0.3) ? ' FILTER (WHERE ' . bool($scope, $depth) . ')' : '') . ' OVER ' . $window->() },
			1 => sub { 'count(' . text($scope, $depth) . ') OVER ' . $window->() },
			1 => sub { 'v((row_number() OVER ' . $window->() . ')::int)' },
			1 => sub { 'k(lag(' . int_($scope, $depth) . ') OVER ' . $window->() . ')' })->();
	};
	return 'SELECT *, v(s.a) FROM (SELECT ' . int_($scope, $depth) . ' AS a, ' . join(', ', $function->() . ' AS x', extra($scope, $depth)) . ', '
	  . pick('row_number()', 'rank()', 'count(*)') . ' OVER (ORDER BY ' . $total . ") AS n FROM $from"
	  . where($scope, $depth) . ') s WHERE n <= ' . number(1, 15)
	  if chance(0.25) && ($may->{early} = 1);
	my @list = (pick(@ints), int_($scope, $depth));
	push @list, $function->() foreach (1 .. number(1, 3));
	push @list, extra($scope, $depth);
	return 'SELECT ' . join(', ', @list) . " FROM $from" . where($scope, $depth)
	  . (chance(0.4) ? ' ORDER BY ' . join(', ', 1 .. @list) . limit() : '');
}

sub set_operation
{
	my ($depth) = @_;
	my $sql = join(' ' . pick('UNION', 'UNION ALL', 'UNION ALL', 'INTERSECT', 'EXCEPT', 'EXCEPT ALL') . ' ',
		map { plain_select($depth, whole => 1) } 1 .. number(2, 3));

	return chance(0.5) ? "$sql ORDER BY 1, 2" . limit() : $sql;
}

sub with_select
{
	my ($depth) = @_;
	my $made = pick('', 'MATERIALIZED ', 'NOT MATERIALIZED ');
	my $inner = pick(sub { plain_select($depth, whole => 1) }, sub { set_operation($depth) })->();
	my $c = [ [ 'c.x', 'int' ], [ 'c.y', 'text' ] ];

	$may->{early} = 1;
	if (chance(0.4))
	{
		my $both = [ @$c, [ 'o.x', 'int' ], [ 'o.y', 'text' ] ];
		return "WITH c(x, y) AS $made($inner) SELECT " . int_($both, $depth) . ', ' . text($both, $depth)
		  . ' FROM c JOIN (SELECT DISTINCT x, min(y) FROM c GROUP BY 1) o(x, y) ON c.x = o.x' . where($both, $depth);
	}
	return "WITH c(x, y) AS $made($inner) SELECT " . int_($c, $depth) . ', ' . text($c, $depth)
	  . ', (SELECT count(*) FROM c d WHERE d.x = 3) FROM c' . where($c, $depth);
}

sub recursive_select
{
	my ($depth) = @_;
	my $r = [ [ 'r.n', 'int' ], [ 'r.x', 'int' ], [ 'r.y', 'text' ] ];
	my ($from, $scope) = table('u', qw(id a e f));
	my $step = chance(0.5) ?
	  'SELECT r.n + 1, ' . int_($r, $depth) . ', ' . text($r, $depth) . ' FROM r WHERE r.n < ' . number(3, 9)
	  . (chance(0.4) ? ' AND ' . bool($r, $depth) : '') :
	  'SELECT r.n + 1, ' . int_([ @$r, @$scope ], $depth) . ', ' . text($r, $depth)
	  . " FROM r JOIN $from ON " . pick(columns($scope, 'int')) . ' = k(r.x) WHERE r.n < 4';

	return "WITH RECURSIVE r(n, x, y) AS (SELECT 1, " . number(0, 30) . ", 'v1' UNION $step) SELECT * FROM r"
	  . (chance(0.5) ? ' WHERE ' . bool($r, $depth) : '');
}

sub query
{
	my ($depth) = @_;

	return weighted(
		8 => sub { plain_select($depth) },
		1 => sub { distinct_select($depth) },
		2 => sub { set_returning_select($depth) },
		4 => sub { aggregate_select($depth) },
		3 => sub { window_select($depth) },
		2 => sub { set_operation($depth) },
		2 => sub { with_select($depth) },
		1 => sub { recursive_select($depth) })->();
}

1;
