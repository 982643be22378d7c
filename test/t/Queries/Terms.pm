# Terms of generated queries: expressions, sub-selects, and what stands in FROM.

package Queries::Terms;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';

our @EXPORT_OK = qw(
  $may $has_json chance pick number weighted name columns
  expr int_ text num bool ints key guarded extra
  subselect scalar_subselect table base narrow derived joined from join_condition
);

# ---- chance ----------------------------------------------------------------

sub chance { return rand() < $_[0] }
sub pick { return $_[ int(rand(@_)) ] }
sub number { my ($from, $to) = @_; return $from + int(rand($to - $from + 1)) }

# weight => what, ...
sub weighted
{
	my @list = @_;
	my $total = 0;
	for (my $i = 0; $i < @list; $i += 2) { $total += $list[$i] }
	my $n = rand($total);

	while (my ($weight, $what) = splice(@list, 0, 2))
	{
		return $what if ($n -= $weight) < 0;
	}
	die 'no choice';
}

# ---- expressions -----------------------------------------------------------

# What may be in the statement being made:
#
#	fail	'none', 'lookup', 'local': what may fail, apart from behind guards;
#			'both' where nothing is ever evaluated
#	volatile	functions whose every evaluation shows
#	denied	lookups that the role may not execute
#	early	rows may be read ahead of where it stops: nothing local may fail
#	loose	as in the case
#	hold	it is run at COMMIT, where PostgreSQL's own assertions forbid that a
#			subtransaction is rolled back
#	subs	sub-selects that may still come
#	names	given so far
our $may;

# Does the server have JSON_OBJECT(), JSON_VALUE() and their like?
our $has_json = 0;

sub name { my ($letter) = @_; return $letter . ++$may->{names} }

# Columns of a scope: [ [sql, type], ... ]
sub columns
{
	my ($scope, $type) = @_;

	return map { $_->[0] } grep { $_->[1] eq $type } @$scope;
}

sub leaf
{
	my ($type, $scope) = @_;
	my @columns = columns($scope, $type);

	return pick(@columns) if @columns && chance(0.85);
	return 'NULL::' . { int => 'int', text => 'text', num => 'numeric', bool => 'boolean', ints => 'int[]' }->{$type}
	  if chance(0.1);
	return number(0, 12) if $type eq 'int';
	return pick("'v3'", "'v7'", "'x'", "''") if $type eq 'text';
	return pick('1.0', '2.50', '7') if $type eq 'num';
	my @ints = columns($scope, 'int');
	if ($type eq 'bool')
	{
		return pick('true', 'true', 'false') if !@ints || chance(0.1);
		return '(' . pick(@ints) . ' ' . pick('>', '<>', '<', '=', '>=') . ' ' . number(0, 20) . ')';
	}
	return @ints ? 'ARRAY[' . pick(@ints) . ', 3]' : 'ARRAY[1, 2]';
}

# How to make each type: weight => sub of scope and depth. undef: not here.
my %makers;

sub expr
{
	my ($type, $scope, $depth) = @_;

	return leaf($type, $scope) if $depth <= 0 || chance(0.12);
	foreach (1 .. 5)
	{
		my $made = weighted(@{ $makers{$type} })->($scope, $depth - 1);

		return $made if defined $made;
	}
	return leaf($type, $scope);
}

sub int_ { return expr('int', @_) }
sub text { return expr('text', @_) }
sub num { return expr('num', @_) }
sub bool { return expr('bool', @_) }
sub ints { return expr('ints', @_) }

# That is no constant, which GROUP BY and ORDER BY would take for a position.
sub key
{
	my ($type, $scope, $depth) = @_;
	my $sql = expr($type, $scope, $depth);

	return $sql =~ /[a-z]\d*\.|\(/ ? $sql : $type eq 'int' ? "abs($sql)" : "($sql || '')"
	  if $type eq 'int' || $type eq 'text';
	return $sql;
}

# With room for one sub-select less.
sub with_sub
{
	my ($make) = @_;

	return undef if $may->{subs} <= 0;
	$may->{subs}--;
	local $may->{early} = 1;
	return $make->();
}

sub failing
{
	my ($what, $make) = @_;

	return $make->() if $may->{fail} eq 'both';
	return undef if $may->{fail} ne $what || ($what eq 'local' && $may->{early});
	return $make->();
}

# A condition, a value that can only be computed where it holds, in SQL's ways.
sub guarded
{
	my ($condition, $value, $other) = @_;

	return weighted(
		4 => "CASE WHEN $condition THEN $value ELSE $other END",
		2 => "CASE WHEN ($condition) IS NOT TRUE THEN $other ELSE $value END",
		1 => "CASE WHEN $condition THEN $value END",
		1 => "CASE ($condition) WHEN true THEN $value ELSE $other END",
		1 => "coalesce(CASE WHEN NOT ($condition) THEN 7 WHEN ($condition) IS NULL THEN 8 END, $value)");
}

# Whose every evaluation shows: in a sequence, as a notice, as a lock.
my @volatiles = (
	3 => sub { "nextval('ticket')::int" },
	4 => sub { 'said(' . int_(@_) . ')' },
	2 => sub { 'drawn(' . int_(@_) . ')' },
	1 => sub { 'k(said(' . int_(@_) . '))' },
	2 => sub { 'pg_try_advisory_xact_lock(' . leaf('int', $_[0]) . ')::int' },
	1 => sub { 'CASE WHEN random() < 2 THEN ' . int_(@_) . ' END' },
	1 => sub { 'vol(' . int_(@_) . ')' });

sub volatile { return weighted(@volatiles)->(@_) }

# One more item of a list, now and then.
sub extra { return $may->{volatile} && chance(0.4) ? volatile(@_) : () }

# A sub-select that knows no row outside: it is evaluated once, if at all.
sub init_plan
{
	return weighted(
		3 => '(SELECT max(id) FROM u)',
		3 => '(SELECT k(min(id)) FROM t WHERE b = ' . number(0, 7) . ')',
		1 => '(SELECT id FROM nobody)',
		$may->{volatile} ? 3 : 0 => '(SELECT said(count(*)::int) FROM u)',
		$may->{volatile} ? 3 : 0 => "(SELECT nextval('ticket')::int)");
}

# One within a sub-select that knows the row outside of that: it is evaluated
# once for each such row.
sub init_plan_of_row
{
	my ($scope) = @_;
	my $outer = pick(columns($scope, 'int'));

	return defined $outer ? "(SELECT max(id) FROM u WHERE id <= $outer)" : init_plan();
}

my $failing_init_plan = '(SELECT 1 / (count(*) - 30)::int FROM u)';

# A condition that asks a lookup, and an item that fails where it does not hold.
# The item must not be pulled up, to where others of its conditions are asked first.
sub condition_and_item
{
	my ($inner, $outer) = @_;
	my ($b) = grep { /\.[bf]$/ } columns($inner, 'int');
	my @outer = columns($outer, 'int');

	return () unless $b;
	return weighted(
		2 => [ "isodd($b" . (@outer ? ' + 0 * ' . pick(@outer) : '') . ')', "60 / $b" ],
		1 => [ "isodd($b)", "k(60 / $b)" ],
		1 => [ "kd($b) > 0", "div($b)" ],
		$may->{volatile} ? 2 : 0 => [ "isodd($b)", "said($b)" ]);
}

$makers{int} = [
	3 => sub { leaf('int', $_[0]) },
	7 => sub { 'k(' . int_(@_) . ')' },
	2 => sub { 'kb(' . int_(@_) . ')' },
	2 => sub { 'kd(' . int_(@_) . ')' },
	2 => sub { 'length(' . text(@_) . ')' },
	2 => sub { 'coalesce(' . int_(@_) . ', ' . int_(@_) . ')' },
	2 => sub { 'CASE WHEN ' . bool(@_) . ' THEN ' . int_(@_) . ' ELSE ' . int_(@_) . ' END' },
	1 => sub {
		'CASE WHEN ' . bool(@_) . ' THEN ' . int_(@_) . ' WHEN ' . bool(@_) . ' THEN ' . int_(@_) . ' END';
	},
	1 => sub {
		'CASE ' . int_(@_) . ' WHEN ' . int_(@_) . ' THEN ' . int_(@_) . ' WHEN ' . number(0, 9)
		  . ' THEN ' . int_(@_) . ' ELSE ' . int_(@_) . ' END';
	},
	1 => sub { 'nullif(' . int_(@_) . ', ' . int_(@_) . ')' },
	2 => sub { '(' . int_(@_) . ' + ' . int_(@_) . ')' },
	1 => sub { my $x = int_(@_); "(k($x) + k($x))" },
	1 => sub { '(abs(' . int_(@_) . ') % 13)' },
	1 => sub { '(pair(' . int_(@_) . ')).x' },
	1 => sub { '(info(' . int_(@_) . ')).a' },
	1 => sub { 'greatest(' . int_(@_) . ', ' . int_(@_) . ')' },
	1 => sub { 'cardinality(' . ints(@_) . ')' },
	1 => sub { '(' . ints(@_) . ')[1]' },
	1 => sub { 'one()' },
	1 => sub { 'va(' . int_(@_) . ', ' . int_(@_) . ')' },
	1 => sub { 'df(' . int_(@_) . (chance(0.5) ? ')' : ', ' . int_(@_) . ')') },
	1 => sub { 'imm(' . int_(@_) . ')' },
	1 => sub { 'sd(' . int_(@_) . ')' },
	1 => sub { 'dom((abs(' . int_(@_) . ') + 1)::posint)' },
	1 => sub { 'keyed(' . int_(@_) . ', ' . int_(@_) . ')' },
	1 => sub { '(' . int_(@_) . ' @+ ' . int_(@_) . ')' },
	1 => sub { $may->{loose} ? undef : 'vol(' . int_(@_) . ')' },
	1 => sub { $may->{loose} || $may->{hold} || $may->{subs}-- <= 0 ? undef : 'tries(' . int_(@_) . ')' },
	1 => sub { "(k(" . int_(@_) . "))::bigint::int" },
	1 => sub { 'least(' . join(', ', map { int_(@_) } 1 .. 3) . ')' },
	# guarded
	3 => sub { my $x = int_(@_); guarded("$x % 7 <> 0", pick('div', 'divi') . "($x)", int_(@_)) },
	1 => sub { my $x = int_(@_); guarded("$x <> 17", "rare($x)", int_(@_)) },
	2 => sub {
		my ($b) = grep { /\.[bf]$/ } columns($_[0], 'int');
		$b ? guarded("$b <> 0", "k(60 / $b)", int_(@_)) : undef;
	},
	1 => sub { my $x = int_(@_); guarded("$x > 5", "pos($x)", int_(@_)) },
	1 => sub { my $x = int_(@_); guarded("k($x) IS NOT NULL", "must($x)", int_(@_)) },
	1 => sub { my $x = int_(@_); guarded("$x > 99", "k($failing_init_plan)", int_(@_)) },
	1 => sub { my @args = @_; with_sub(sub { my $x = int_(@args); guarded("$x > 3", 'k(' . init_plan() . ')', int_(@args)) }) },
	1 => sub { my @args = @_; with_sub(sub { init_plan() }) },
	1 => sub { 'strict2(' . int_(@_) . ', ' . int_(@_) . ')' },
	4 => sub { $may->{volatile} ? volatile(@_) : undef },
	# not for everybody
	3 => sub { $may->{denied} ? pick('denied', 'secret') . '(' . int_(@_) . ')' : undef },
	1 => sub { $may->{denied} ? '(SELECT sum(x) FROM secrets(' . int_(@_) . ') x)::int' : undef },
	# unguarded
	9 => sub { my @args = @_; failing('lookup', sub { pick('div', 'divi', 'rare', 'rare', 'must', 'pos') . '(' . int_(@args) . ')' }) },
	6 => sub { my @args = @_; failing('local', sub { '(100 / ' . int_(@args) . ')' }) },
	6 => sub { my @args = @_; failing('local', sub { 'k(100 / ' . int_(@args) . ')' }) },
	# sub-selects
	2 => sub { my @args = @_; with_sub(sub { scalar_subselect('int', @args) }) },
];

$makers{text} = [
	1 => sub { 'row_to_json(info(' . int_(@_) . '))::text' },
	1 => sub { 'info(' . int_(@_) . ')::text' },
	2 => sub { leaf('text', $_[0]) },
	7 => sub { 'v(' . int_(@_) . ')' },
	3 => sub { 'vn(' . int_(@_) . ')' },
	2 => sub { 'echo(' . text(@_) . ')' },
	2 => sub { '(' . text(@_) . ' || ' . text(@_) . ')' },
	1 => sub { 'upper(' . text(@_) . ')' },
	2 => sub { 'coalesce(' . text(@_) . ', ' . text(@_) . ')' },
	2 => sub { 'CASE WHEN ' . bool(@_) . ' THEN ' . text(@_) . ' ELSE ' . text(@_) . ' END' },
	1 => sub { 'nullif(' . text(@_) . ', ' . text(@_) . ')' },
	1 => sub { '(pair(' . int_(@_) . ')).y' },
	1 => sub { '(info(' . int_(@_) . ')).b' },
	1 => sub { 'inpair(pair(' . int_(@_) . '))' },
	1 => sub { 'inpair(ROW(' . int_(@_) . ', ' . text(@_) . ')::pt)' },
	1 => sub { 'day(' . int_(@_) . ')::text' },
	1 => sub { 'dated(day(' . int_(@_) . '))' },
	1 => sub { 'feel(' . int_(@_) . ')::text' },
	1 => sub { 'left(big(' . int_(@_) . '), 30)' },
	1 => sub { "md5(big(abs(" . int_(@_) . ") % 50))" },
	1 => sub { "js(jsonb_build_object('a', " . int_(@_) . "))::text" },
	1 => sub { '(' . int_(@_) . ')::text' },
	1 => sub { '(' . num(@_) . ')::text' },
	1 => sub { my ($s, $d) = @_; 'xmlelement(NAME x, xmlattributes(' . int_($s, $d) . ' AS a), ' . join(', ', map { text($s, $d) } 1 .. 2) . ')::text' },
	1 => sub { 'xmlforest(' . int_(@_) . ' AS a, ' . text(@_) . ' AS b)::text' },
	1 => sub { 'row_to_json(' . pick('pair', 'info') . '(' . int_(@_) . '))::text' },
	1 => sub { pick('pair', 'info') . '(' . int_(@_) . ')::text' },
	2 => sub {
		return undef unless $has_json;
		return "json_object('a': " . int_(@_) . ", 'b': " . text(@_) . pick('', ' ABSENT ON NULL') . ')::text' if chance(0.4);
		return 'json_array(' . int_(@_) . ', ' . text(@_) . pick('', ' NULL ON NULL') . ' RETURNING text)' if chance(0.4);
		return "json_value(jsonb_build_object('a', " . int_(@_) . "), '\$.a')" if chance(0.5);
		return "json_query(CASE WHEN " . bool(@_) . " THEN jsonb '[1, 2, 3]' END, '\$[*] ? (@ < \$i)' PASSING " . int_(@_) . " AS i WITH WRAPPER)::text";
	},
	1 => sub { 'array_to_string(' . ints(@_) . ", ',')" },
	1 => sub { 'inlined(' . int_(@_) . ')' },
	1 => sub { $may->{loose} ? undef : 'within(' . int_(@_) . ')' },
	1 => sub { my ($g) = columns($_[0], 'large'); $g ? pick("left(echo($g), 20)", "left($g, 9)", "md5(echo($g || 'x'))") : undef },
	1 => sub { my ($row) = columns($_[0], 'whole'); $row ? "md5(($row)::text)" : undef },
	1 => sub { my ($place) = columns($_[0], 'place'); $place ? "($place)::text" : undef },
	1 => sub { $may->{loose} || $may->{hold} ? undef : 'careful(' . int_(@_) . ')' },
	1 => sub { 'greatest(' . text(@_) . ', ' . text(@_) . ')' },
	1 => sub { my ($s, $d) = @_; "concat_ws('-', " . join(', ', map { text($s, $d) } 1 .. 3) . ')' },
	5 => sub { my @args = @_; failing('lookup', sub { 'many(' . int_(@args) . ')' }) },
	1 => sub { my @args = @_; with_sub(sub { scalar_subselect('text', @args) }) },
	1 => sub {
		my @args = @_;
		with_sub(sub {
			my $n = name('g');
			'(SELECT ' . text(@args) . " || string_agg($n, ',' ORDER BY $n) FROM "
			  . pick('tagsof', 'tagb') . '(' . int_(@args) . ") AS $n)";
		});
	},
	1 => sub { my @args = @_; with_sub(sub { 'array_to_string(ARRAY(' . subselect('text', 1, @args) . "), ',', '-')" }) },
];

$makers{num} = [
	2 => sub { leaf('num', $_[0]) },
	4 => sub { 'price(' . text(@_) . ', ' . num(@_) . ')' },
	1 => sub { '(' . num(@_) . ' + ' . int_(@_) . ')' },
	1 => sub { 'coalesce(' . num(@_) . ', ' . num(@_) . ')' },
	1 => sub { '(' . int_(@_) . ')::numeric' },
];

$makers{ints} = [
	3 => sub { 'arr(' . ints(@_) . ')' },
	2 => sub { 'ARRAY[' . int_(@_) . ', ' . int_(@_) . ']' },
	1 => sub { my @args = @_; with_sub(sub { 'ARRAY(' . subselect('int', 1, @args) . ')' }) },
];

my @comparisons = ('=', '<>', '<', '>', '<=', '>=');

$makers{bool} = [
	6 => sub { '(' . int_(@_) . ' ' . pick(@comparisons) . ' ' . int_(@_) . ')' },
	2 => sub { '(' . text(@_) . ' ' . pick(@comparisons) . ' ' . text(@_) . ')' },
	2 => sub { 'isodd(' . int_(@_) . ')' },
	1 => sub { '(!!! ' . int_(@_) . ')' },
	1 => sub { '(' . text(@_) . " LIKE 'v%')" },
	2 => sub { '(' . int_(@_) . ' IS' . pick('', ' NOT') . ' NULL)' },
	3 => sub { '(' . bool(@_) . ' AND ' . bool(@_) . ')' },
	3 => sub { '(' . bool(@_) . ' OR ' . bool(@_) . ')' },
	1 => sub { '(' . bool(@_) . ' AND (' . bool(@_) . ' OR ' . bool(@_) . '))' },
	1 => sub { '(NOT ' . bool(@_) . ')' },
	1 => sub { '(' . bool(@_) . ' IS ' . pick('TRUE', 'NOT TRUE', 'FALSE', 'UNKNOWN') . ')' },
	1 => sub { my ($s, $d) = @_; '(' . int_($s, $d) . pick('', ' NOT') . ' IN (' . join(', ', map { int_($s, $d - 1) } 1 .. 3) . '))' },
	1 => sub { '(' . int_(@_) . ' BETWEEN ' . int_(@_) . ' AND ' . int_(@_) . ')' },
	1 => sub { '(' . text(@_) . ' IS DISTINCT FROM ' . text(@_) . ')' },
	1 => sub { '(' . int_(@_) . ' = ANY (' . ints(@_) . '))' },
	1 => sub { '((' . int_(@_) . ', ' . int_(@_) . ') ' . pick('<', '=', '>=') . ' (' . int_(@_) . ', ' . int_(@_) . '))' },
	1 => sub {
		my @args = @_;
		my ($left, $right) = map { '(' . join(', ', map { (int_(@args), text(@args))[ $_ % 2 ] } 1 .. 3) . ')' } 1 .. 2;
		"($left " . pick('<', '>', '<=') . " $right)";
	},
	1 => sub { $has_json ? '(' . text(@_) . ' IS JSON)' : undef },
	1 => sub { 'coalesce(' . bool(@_) . ', ' . bool(@_) . ')' },
	1 => sub { 'CASE WHEN ' . bool(@_) . ' THEN ' . bool(@_) . ' ELSE ' . bool(@_) . ' END' },
	1 => sub { '(pair(' . int_(@_) . ') IS ' . pick('', 'NOT ') . 'NULL)' },
	2 => sub { my $x = int_(@_); "($x % 7 <> 0 AND " . pick('div', 'divi') . "($x) > " . int_(@_) . ')' },
	1 => sub { my $x = int_(@_); "($x % 7 = 0 OR $x IS NULL OR div($x) < " . int_(@_) . ')' },
	1 => sub {
		my ($b) = grep { /\.[bf]$/ } columns($_[0], 'int');
		$b ? "($b <> 0 AND k(60 / $b) > " . int_(@_) . ')' : undef;
	},
	1 => sub {
		my ($b) = grep { /\.[bf]$/ } columns($_[0], 'int');
		$b ? "($b <> 0 AND 60 / $b > " . number(9, 40) . ' AND isodd(' . int_(@_) . '))' : undef;
	},
	6 => sub { my @args = @_; failing('local', sub { '(100 / ' . int_(@args) . ' > 0)' }) },
	3 => sub { $may->{volatile} ? '(' . volatile(@_) . ' IS NOT NULL)' : undef },
	1 => sub { $may->{volatile} ? 'pg_try_advisory_xact_lock(' . leaf('int', $_[0]) . ')' : undef },
	2 => sub { my @args = @_; with_sub(sub { pick('', 'NOT ') . 'EXISTS (' . subselect('int', 1, @args) . ')' }) },
	2 => sub { my @args = @_; with_sub(sub { '(' . int_(@args) . pick(' ', ' NOT ') . 'IN (' . subselect('int', 0, @args) . '))' }) },
	1 => sub { my @args = @_; with_sub(sub { '(' . int_(@args) . ' ' . pick(@comparisons) . pick(' ANY', ' ALL') . ' (' . subselect('int', 0, @args) . '))' }) },
];

# One column of a table; related to the row outside if so wished.
sub subselect
{
	my ($type, $related, $scope, $depth) = @_;
	my ($from, $inner) = base();
	my @ints = columns($inner, 'int');
	my $both = [ @$scope, @$inner ];
	local $may->{fail} = 'both' if $from =~ /^nobody /;
	my $sql = 'SELECT ' . expr($type, chance(0.6) ? $inner : $both, $depth) . " FROM $from";
	my @where;

	push @where, pick(@ints) . ' = ' . int_($scope, $depth) if $related && chance(0.8);
	push @where, bool($both, $depth) if chance(0.5);
	$sql .= ' WHERE ' . join(' AND ', @where) if @where;
	return $sql;
}

sub scalar_subselect
{
	my ($type, $scope, $depth) = @_;
	my ($from, $inner) = base();
	my @ints = columns($inner, 'int');
	my $both = [ @$scope, @$inner ];
	my $where = ' WHERE ' . pick(@ints) . ' = ' . int_($scope, $depth);
	my @outer = columns($scope, 'int');

	local $may->{fail} = 'both' if $from =~ /^nobody /;
	$where .= ' AND ' . bool($both, $depth) if chance(0.3);
	$where .= ' AND ' . pick(@ints) . pick(' <= ', ' <> ') . init_plan_of_row($scope) if chance(0.2);
	my $with = '';
	if (@outer && chance(0.15))
	{
		$with = 'WITH w AS MATERIALIZED (SELECT id FROM u WHERE id <= ' . pick(@outer) . ') ';
		$where .= ' AND (SELECT count(*) FROM w WHERE w.id <> ' . pick(@ints) . ') > ' . number(0, 4);
	}
	elsif (@outer && !$may->{loose} && $from =~ /^t AS (\w+)$/ && chance(0.3))
	{
		$from = '(SELECT * FROM t LIMIT ' . pick(@outer) . ") AS $1";
	}
	return "(${with}SELECT " . pick('min', 'max') . '(' . expr($type, chance(0.7) ? $inner : $both, $depth) . ") FROM $from$where)"
	  if chance(0.6) || $may->{loose} || $with;
	return '(SELECT ' . expr($type, $both, $depth) . " FROM $from$where ORDER BY " . pick(@ints)
	  . ', ' . join(', ', @ints) . ' LIMIT 1)';
}

# ---- FROM ------------------------------------------------------------------

my %plain = map { $_ => 1 } qw(t u nobody wide parted parent target ruled);

# An item, and its columns.
sub table
{
	my ($name, @columns) = @_;
	my $alias = name('t');
	my %types = (id => 'int', a => 'int', b => 'int', f => 'int', k => 'int', c => 'text', e => 'text', v => 'text', d => 'num', g => 'large');

	return ("$name AS $alias", [ (map { [ "$alias.$_", $types{$_} ] } @columns), [ $alias, 'whole' ],
			$plain{$name} ? [ "$alias.ctid", 'place' ] : () ]);
}

sub base
{
	return weighted(
		8 => sub { table('t', qw(id a b c d g)) },
		5 => sub { table('u', qw(id a e f)) },
		2 => sub { table('nobody', qw(id a b c)) },
		1 => sub { narrow() },
		2 => sub { table('parted', qw(id a b c)) },
		1 => sub { table('parent', qw(id a b)) },
		1 => sub { table('looked', qw(id a b c)) },
		1 => sub { table('behind', qw(id a b c)) },
		1 => sub { table('grouped', qw(id a b c)) },
		1 => sub { table('ruled', qw(id a b c)) },
		1 => sub { table('abroad', qw(id k v)) },
		1 => sub {
			my ($item, $scope) = table('t', qw(id a b c));
			("$item TABLESAMPLE BERNOULLI (60) REPEATABLE (7)", $scope);
		},
		1 => sub {
			my $n = name('g');
			("generate_series(" . number(0, 3) . ', ' . number(8, 20) . ") AS $n(a)", [ [ "$n.a", 'int' ] ]);
		},
		2 => sub { values_list([]) },
		1 => sub { united() })->();
}

# Rows that mostly call alike, of other values: those of a scope, if there is one.
sub values_list
{
	my ($scope) = @_;
	my $n = name('x');
	my @ints = columns($scope, 'int');
	my $value = sub { pick(number(0, 40), number(0, 40), @ints) };
	my $fails = $may->{fail} eq 'lookup' && chance(0.5);
	no warnings 'redundant';
	my @forms = map {
		my $f = $_;
		sub { sprintf($f, $value->(), $value->()) }
	  } pick('k(%s)', 'kb(%s)', 'k(k(%s))', 'CASE WHEN isodd(k(%s)) THEN k(%s) END', 'k(%s + 1)', 'coalesce(k(%s), %s)', $fails ? ('div(%s)', 'rare(%s)') : ()),
	  pick('k(%s)', '%s', '%s + %s', 'NULL::int', '(SELECT max(a) FROM u WHERE id < %s)', 'k((SELECT min(a) FROM u WHERE id > %s))');
	my @texts = (sub { 'v(' . $value->() . ')' }, sub { "'v" . number(0, 9) . "'" }, sub { "echo('w' || " . $value->() . '::text)' });
	my $text = pick(0, 1, 2);
	my $same = pick(1, 1, 0.7);
	my $rows = join(', ',
		map { '(' . join(', ', $forms[ chance($same) ? 0 : 1 ]->(), $texts[ chance($same) ? $text : 1 ]->(), $_ % 3 ? $_ : 'NULL') . ')' } 1 .. number(1, 9));

	return ((@ints ? 'LATERAL ' : '') . "(VALUES $rows) AS $n(a, c, b)", [ [ "$n.a", 'int' ], [ "$n.c", 'text' ], [ "$n.b", 'int' ] ]);
}

# Tables that are read one after the other, mostly with the same calls.
sub united
{
	my $n = name('q');
	my @tables = ([qw(t id a b c)], [qw(u id a f e)], [qw(parted id a b c)], [qw(wide id a b c)], [qw(nobody id a b c)]);
	my @calls = ('k(x.%2$s)', 'x.%2$s', 'k(x.%1$s + 1)', 'coalesce(k(x.%3$s), x.%1$s)');
	my @conditions = ('', ' WHERE k(x.%2$s) > 3', ' WHERE isodd(x.%1$s) AND k(x.%3$s) IS NOT NULL', ' WHERE x.%1$s < 9');
	my ($call, $condition) = (pick(@calls), pick(@conditions));
	no warnings 'redundant';
	my $sql = join(' UNION ALL ', map {
			my ($table, @columns) = @{ pick(@tables) };
			my $one = "SELECT " . pick('x.%1$s', 'x.%1$s', '%1$s') . ', ' . (chance(0.8) ? $call : pick(@calls)) . ', v(x.%2$s) FROM %5$s AS x'
			  . (chance(0.8) ? $condition : pick(@conditions));
			sprintf($one, @columns, $table)
		} 1 .. number(2, 4));

	return ("($sql) AS $n(a, b, c)", [ [ "$n.a", 'int' ], [ "$n.b", 'int' ], [ "$n.c", 'text' ] ]);
}

# What an index alone can give.
sub narrow
{
	my $n = name('i');
	my $column = pick('id', 'a');

	return ("(SELECT $column FROM " . pick('t', 'u') . " WHERE $column < " . number(10, 40) . pick('', ' OFFSET 0') . ") AS $n(a)",
		[ [ "$n.a", 'int' ] ]);
}

# SELECT ... as an item: (int, int, text).
sub derived
{
	my ($depth) = @_;
	my $n = name('s');
	my ($from, $scope) = weighted(7 => sub { base() }, 3 => sub { joined($depth) }, 1 => sub { derived($depth - 1) })->();
	my ($guard, $item) = @{ (chance(0.3) && condition_and_item($scope, [])) || [] };
	my $sql = 'SELECT ' . join(', ', $item // int_($scope, $depth), int_($scope, $depth), text($scope, $depth))
	  . " FROM $from";

	$sql .= " WHERE $guard" if $guard;
	$sql .= ($guard ? ' AND ' : ' WHERE ') . bool($scope, $depth) if chance(0.4);
	if ($guard || chance(0.3)) { $sql .= ' OFFSET 0' }
	elsif (chance(0.2) && !$may->{loose})
	{
		$may->{early} = 1;
		$sql .= ' ORDER BY ' . key('int', $scope, $depth) if chance(0.6);
		$sql .= ' LIMIT ' . number(0, 25);
	}
	return ("($sql) AS $n(a, b, c)", [ [ "$n.a", 'int' ], [ "$n.b", 'int' ], [ "$n.c", 'text' ] ]);
}

# A function over the columns of a scope.
sub lateral
{
	my ($scope, $depth) = @_;
	my $n = name('l');
	my $x = int_($scope, $depth);

	return weighted(
		4 => sub { ("tagsof($x) AS $n(c)", [ [ "$n.c", 'text' ] ]) },
		1 => sub { ("tagb($x) AS $n(c)", [ [ "$n.c", 'text' ] ]) },
		3 => sub { ("tagt($x) AS $n(c, a)", [ [ "$n.c", 'text' ], [ "$n.a", 'int' ] ]) },
		1 => sub { ("tagt($x) AS $n", [ [ "$n.tag", 'text' ], [ "$n.w", 'int' ] ]) },
		1 => sub { ("ser($x) AS $n(a)", [ [ "$n.a", 'int' ] ]) },
		1 => sub { ("pairs($x) AS $n", [ [ "$n.x", 'int' ], [ "$n.y", 'text' ] ]) },
		2 => sub { ("pair($x) AS $n", [ [ "$n.x", 'int' ], [ "$n.y", 'text' ] ]) },
		2 => sub { ("info($x) AS $n", [ [ "$n.a", 'int' ], [ "$n.b", 'text' ] ]) },
		1 => sub { ("rec($x) AS $n(a int, b text)", [ [ "$n.a", 'int' ], [ "$n.b", 'text' ] ]) },
		2 => sub { ("k($x) AS $n(a)", [ [ "$n.a", 'int' ] ]) },
		1 => sub { ("v($x) AS $n(c)", [ [ "$n.c", 'text' ] ]) },
		2 => sub { ("tagsof($x) WITH ORDINALITY AS $n(c, o)", [ [ "$n.c", 'text' ], [ "$n.o::int", 'int' ] ]) },
		1 => sub { ("tagt($x) WITH ORDINALITY AS $n(c, a, o)", [ [ "$n.c", 'text' ], [ "$n.a", 'int' ] ]) },
		2 => sub {
			my $y = int_($scope, $depth);
			("ROWS FROM (tagsof($x), tagt($y), k($y)) AS $n(c, d, a, b)",
				[ [ "$n.c", 'text' ], [ "$n.d", 'text' ], [ "$n.a", 'int' ], [ "$n.b", 'int' ] ]);
		},
		1 => sub { ("lazy($x) AS $n(c)", [ [ "$n.c", 'text' ] ]) },
		1 => sub { values_list($scope) },
		1 => sub { ("rows_of($x) AS $n", [ [ "$n.id", 'int' ], [ "$n.c", 'text' ] ]) },
		1 => sub { ("unnest(" . ints($scope, $depth) . ") AS $n(a)", [ [ "$n.a", 'int' ] ]) },
		1 => sub { ("generate_series(1, " . int_($scope, $depth) . " % 4) AS $n(a)", [ [ "$n.a", 'int' ] ]) },
		1 => sub {
			$may->{fail} eq 'lookup' ? ("musts($x) AS $n(c)", [ [ "$n.c", 'text' ] ]) :
			  ("tagsof($x) AS $n(c)", [ [ "$n.c", 'text' ] ]);
		},
		3 => sub { lateral_select($scope, $depth) },
	)->();
}

sub lateral_select
{
	my ($scope, $depth) = @_;
	my $n = name('l');
	my ($from, $inner) = chance(0.5) ? base() : lateral($scope, $depth - 1);
	my @ints = columns($inner, 'int');
	my $both = [ @$scope, @$inner ];
	my $where = '';
	my ($guard, $item) = @{ (chance(0.3) && condition_and_item($inner, $scope)) || [] };

	local $may->{fail} = 'both' if $from =~ /^nobody /;
	$where = ' WHERE ' . pick(@ints) . ' = ' . int_($scope, $depth) if @ints && $from !~ /\(/;
	$where .= ($where ? ' AND ' : ' WHERE ') . $guard if $guard;
	$where .= ($where ? ' AND ' : ' WHERE ') . bool($both, $depth) if chance(0.3);
	$where .= ($where ? ' AND ' : ' WHERE ') . pick(@ints) . pick(' <= ', ' <> ') . init_plan_of_row($scope)
	  if @ints && $from !~ /\(/ && chance(0.2);
	if (chance(0.4))
	{
		return (
			"LATERAL (SELECT count(*)::int, max(" . text($inner, $depth) . ") FROM $from$where) AS $n(a, c)",
			[ [ "$n.a", 'int' ], [ "$n.c", 'text' ] ]);
	}
	my $rest = '';
	if (!$may->{loose} && chance(0.6))
	{
		$may->{early} = 1;
		$rest = ' ORDER BY ' . key('int', $both, $depth) if chance(0.6);
		$rest .= ' LIMIT ' . number(1, 3);
	}
	$rest = ' OFFSET 0' if !$rest && ($item || chance(0.4));
	return ("LATERAL (SELECT " . ($item // int_($both, $depth)) . ', ' . text($both, $depth) . " FROM $from$where$rest) AS $n(a, c)",
		[ [ "$n.a", 'int' ], [ "$n.c", 'text' ] ]);
}

sub join_condition
{
	my ($left, $right, $both, $depth, $plain) = @_;
	my @sides = (pick(columns($left, 'int')) // '1', pick(columns($right, 'int')) // '1');
	my $condition = weighted(
		4 => sub { "$sides[0] = $sides[1]" },
		2 => sub { "k($sides[0]) = $sides[1]" },
		2 => sub { "$sides[0] = k($sides[1])" },
		2 => sub { "k($sides[0]) = kb($sides[1])" },
		2 => sub { "v($sides[0]) = v($sides[1])" },
		1 => sub { int_($left, $depth) . ' = ' . int_($right, $depth) })->();

	$condition .= ' AND ' . bool($both, $depth) if !$plain && chance(0.4);
	return $condition;
}

# Two items that are joined.
sub pair_of
{
	my ($depth, $left_from, $left) = @_;

	($left_from, $left) = base() unless $left;
	if (chance(0.5))
	{
		my ($right_from, $right) = lateral($left, $depth);
		my $both = [ @$left, @$right ];
		my $kind = weighted(3 => ' CROSS JOIN ', 2 => ', ', 3 => ' LEFT JOIN ', 1 => ' JOIN ');

		$kind .= 'LATERAL ' if $right_from !~ /^LATERAL/ && chance(0.5);
		$right_from .= ' ON ' . (chance(0.5) ? 'true' : bool($both, $depth)) if $kind =~ /LEFT|^ JOIN/;
		return ("$left_from$kind$right_from", $both);
	}
	my ($right_from, $right) = chance(0.7) ? base() : derived($depth);
	my $both = [ @$left, @$right ];
	my $kind = weighted(5 => 'JOIN', 4 => 'LEFT JOIN', 1 => 'RIGHT JOIN', 1 => 'FULL JOIN');

	return ("$left_from $kind $right_from ON "
		  . join_condition($left, $right, $both, $depth, $kind eq 'FULL JOIN'), $both);
}

sub joined
{
	my ($depth) = @_;
	my ($from, $scope) = pair_of($depth);

	# a comma binds less than JOIN, which then would not see what is before it
	return pair_of($depth, $from, $scope) if chance(0.25) && $from !~ /, (?![^(]*\))/;
	return ($from, $scope);
}

sub from
{
	my ($depth) = @_;

	return weighted(
		10 => sub { base() },
		1 => sub { table('wide', qw(id a b c)) },
		2 => sub { derived($depth) },
		12 => sub { joined($depth) })->();
}

1;
