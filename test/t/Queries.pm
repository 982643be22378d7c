# Queries for differential.pl: tables, lookups of every kind, and a generator
# of statements that call them wherever SQL lets them be called.
#
# A case is a hash:
#
#	kind		what it is made of, for the reader
#	sql			statements, run one after the other in a transaction that is
#				rolled back
#	shown		a statement to EXPLAIN beforehand, once prepare has been run
#	settings	for the transaction
#	writes		to tables
#	hold		the transaction is committed before these statements
#	loose		rows come in no certain order, and which of several errors
#				comes first is open: parallel plans, and hash joins that spill,
#				as their batches depend on the width of rows
#
# A case depends on nothing but the seed, its number and $has_json.

package Queries;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use Queries::Selects qw(where limit plain_select query);
use Queries::Tables qw(far_tables local_tables);
use Queries::Terms qw($may $has_json chance pick number weighted columns expr int_ text num bool ints key
  extra table base narrow derived joined from join_condition);

our @EXPORT_OK = qw(far_tables local_tables make_case make_interleaving $has_json);

# ---- cases -----------------------------------------------------------------

sub case_query
{
	my $sql = query($may->{depth});
	my @sql = ($sql);

	# what EXPLAIN ANALYZE says is another matter
	push @sql, "DO \$do\$ BEGIN EXECUTE \$e\$EXPLAIN (ANALYZE, VERBOSE, FORMAT " . pick('TEXT', 'JSON') . ") $sql\$e\$; END \$do\$"
	  if chance(0.1);
	return (kind => 'query', sql => \@sql, shown => $sql);
}

# One row that is made of nothing, in SQL's ways.
sub case_one_row
{
	my $depth = $may->{depth};
	local $may->{early} = 1;
	my @list = map { pick(int_([], $depth), int_([], $depth), text([], $depth), volatile_or_not([], $depth)) } 1 .. number(1, 5);
	my $condition = chance(0.2) ? ' WHERE ' . bool([], 1) : '';
	my $list = join(', ', @list);
	my ($a, $b) = (int_([], $depth), text([], $depth));
	my ($sql, @and) = weighted(
		6 => [ "SELECT $list$condition" ],
		1 => [ "SELECT jsonb_build_array($list)$condition" ],
		1 => [ "SELECT $list$condition LIMIT " . number(0, 1) ],
		1 => [ "SELECT * FROM (SELECT $list$condition OFFSET 0) q" ],
		2 => [ "INSERT INTO target (id, a, c) VALUES (" . join(', ', int_([], 1), $a, $b) . ')', 'SELECT * FROM target ORDER BY id' ],
		2 => [ "SELECT $a, $b", "DO \$do\$ DECLARE a int; b text; BEGIN SELECT $a, $b INTO STRICT a, b; RAISE NOTICE '% %', a, b; a := $a; PERFORM $a; RAISE NOTICE '%', a; END \$do\$" ],
		1 => [ "SELECT $list UNION ALL SELECT $list" ])->@*;

	return (kind => 'one row', writes => $sql =~ /^INSERT/ ? 1 : 0, sql => [ $sql, @and ], shown => $sql);
}

sub volatile_or_not { return (extra(@_), int_(@_))[0] }

sub case_early
{
	$may->{early} = 1;
	my $sql = query($may->{depth});

	$sql .= ' LIMIT ' . number(1, 12) unless $may->{loose} || $sql =~ /(?:LIMIT|OFFSET) \S+( OFFSET \d+)?( FOR UPDATE)?$/;
	return (kind => 'limit', sql => [$sql], shown => $sql);
}

# A parallel plan that stops early: arguments and guards fail for rows that it
# may not come to. A cursor would not do: it has no parallel plan.
sub case_parallel_stop
{
	my $table = pick('t', 'u', 'wide');
	my $wanted = number(1, 12);
	my $fails = '100 / (s.id - ' . ($wanted + number(-1, 5)) . ')';
	my $value = pick("k($fails)", "k(s.a + 0 * ($fails))", "CASE WHEN $fails > -1000 THEN k(s.a) END", "k(k($fails))", 'k(s.a)');
	my $rows = "(SELECT id, a FROM $table ORDER BY id, a OFFSET 0) AS s";
	my $limit = chance(0.85) ? " LIMIT $wanted" : '';
	my $sql = pick("SELECT s.id, $value FROM $rows$limit",
		"SELECT s.id FROM $rows WHERE $value IS DISTINCT FROM -1$limit",
		"SELECT s.id, q.x FROM $rows, LATERAL (SELECT $value AS x OFFSET 0) AS q$limit",
		# below a LIMIT workers run on until they are told to stop, plain calls too
		$limit ? () : "SELECT s.id, $value FROM $table AS s ORDER BY s.id, s.a");

	$may->{fail} = 'local';
	return (kind => 'parallel stop', loose => 0, sql => [$sql], shown => $sql,
		settings => [ chance(0.6) ? 'DEBUG_PARALLEL = on' : () ]);
}

sub case_cursor
{
	$may->{early} = 1;
	my $scroll = chance(0.3);

	# a row that is fetched again may be computed again, or not
	local $may->{volatile} = 0 if $scroll;
	my $hold = $may->{hold} = chance(0.2);
	$may->{fail} = 'none' if $hold;
	my $sql = query($may->{depth} - 1);
	my @sql = ('DECLARE cur' . ($scroll ? ' SCROLL' : chance(0.5) ? ' NO SCROLL' : '') . ' CURSOR'
		  . ($hold ? ' WITH HOLD' : '') . " FOR $sql");
	my $step = sub {
		return pick('FETCH ' . number(1, 7), 'FETCH NEXT', 'MOVE ' . number(1, 5),
			$scroll ? ('FETCH BACKWARD ' . number(1, 4), 'FETCH PRIOR', 'FETCH FIRST', 'FETCH ABSOLUTE ' . number(1, 20),
				'MOVE LAST', 'MOVE BACKWARD ALL') : ()) . ' FROM cur';
	};

	push @sql, $step->() foreach (1 .. number(1, 4));
	push @sql, 'SAVEPOINT within', $step->(), $step->(), 'ROLLBACK TO within', $step->() if !$hold && chance(0.5);
	push @sql, 'FETCH ALL FROM cur' if chance(0.7);
	push @sql, 'CLOSE cur' if chance(0.5);
	return (kind => 'cursor', sql => \@sql, shown => $sql, hold => $hold);
}

sub case_prepared
{
	my $depth = $may->{depth} - 1;
	my ($from, $scope) = from($depth);
	my $limit = !$may->{loose} && chance(0.5);
	$may->{early} = 1 if $limit;
	push @$scope, [ '$1', 'int' ], [ '$2', 'text' ];
	my $sql = 'SELECT ' . int_($scope, $depth) . ', ' . text($scope, $depth) . ", k(\$1) FROM $from WHERE " . bool($scope, $depth)
	  . ' AND (' . bool($scope, $depth) . ' OR $2 IS NOT NULL)' . ($limit ? ' LIMIT $3' . pick('', ' OFFSET $1') : '');
	my @args = map { '(' . join(', ', pick('NULL', number(0, 9), number(0, 9)), pick("'v3'", "'x'", 'NULL'), pick(number(0, 9), 'NULL')) . ')' } 1 .. 3;

	$args[0] =~ s/NULL\)$/3)/;
	return (kind => 'prepared', prepare => ["PREPARE p(int, text, int) AS $sql"], shown => "EXECUTE p$args[0]",
		sql => [ map { "EXECUTE p$_" } @args ], settings => [ 'plan_cache_mode = ' . pick('force_generic_plan', 'force_generic_plan', 'auto') ]);
}

sub case_plpgsql
{
	my $depth = $may->{depth} - 1;
	local $may->{early} = 1;
	my $failing = pick('div', 'rare', 'must', 'pos', 'divi');
	my ($from, $scope) = chance(0.6) ? base() : joined($depth);
	my $order = $may->{loose} ? ' ORDER BY 1, 2' : '';
	local $may->{fail} = 'none' if chance(0.5);
	my $sql = 'SELECT ' . int_($scope, $depth) . ' AS x, ' . text($scope, $depth) . " AS y FROM $from" . where($scope, $depth) . $order;
	my $limited = $sql . ($order ? '' : ' LIMIT 25');
	my $body = weighted(
		3 => "FOR r IN $sql LOOP
	BEGIN
		n := n + coalesce($failing(r.x), 0);
	EXCEPTION WHEN OTHERS THEN
		RAISE NOTICE '% %: %', r.x, SQLSTATE, SQLERRM;
		n := n + 1;
	END;
	EXIT WHEN n > 2000;
END LOOP",
		2 => "OPEN c FOR $limited;
LOOP
	BEGIN
		FETCH c INTO r;
		EXIT WHEN NOT FOUND;
		n := n + 1;
		RAISE NOTICE '% %', r, $failing(r.x);
	EXCEPTION WHEN OTHERS THEN
		RAISE NOTICE 'caught % %', SQLSTATE, SQLERRM;
		EXIT WHEN SQLSTATE = '55000';
		n := n + 100;
	END;
END LOOP",
		2 => "FOR i IN 0 .. 4 LOOP
	BEGIN
		FOR r IN SELECT * FROM ($sql) q WHERE q.x = i LOOP
			n := n + i;
			RAISE NOTICE '% %', i, r;
		END LOOP;
	EXCEPTION WHEN OTHERS THEN
		RAISE NOTICE 'caught % %', SQLSTATE, SQLERRM;
	END;
END LOOP",
		1 => "FOR r IN EXECUTE \$e\$$sql\$e\$ LOOP
	n := n + coalesce(k(r.x), 1);
END LOOP");

	return (kind => 'plpgsql', shown => $sql,
		sql => ["DO \$do\$
DECLARE
	r record; n int := 0; c refcursor;
BEGIN
$body;
RAISE NOTICE 'n %', n;
END \$do\$"]);
}

# Of one form with other keys, or each of its own.
sub values_rows
{
	my ($depth) = @_;
	my $row = pick('(%d, k(%d), v(%d))', '(%d, k(%d + 1), v(k(%d)))', "(%d, DEFAULT, CASE WHEN %d %% 3 > 0 THEN v(%d) END)");

	return join(', ', map {
			chance(0.8) ? sprintf($row, 100 + $_, number(0, 40), number(0, 40)) : '(' . (100 + $_) . ', ' . int_([], $depth) . ', ' . text([], $depth) . ')'
		} 1 .. number(1, 8));
}

sub case_insert
{
	my $depth = $may->{depth} - 1;
	my ($from, $scope) = from($depth);
	my $sql = "INSERT INTO target SELECT row_number() OVER () + " . pick(0, 100) . ', ' . int_($scope, $depth) . ', ' . text($scope, $depth)
	  . " FROM $from" . where($scope, $depth);
	my $new = [ [ 'target.id', 'int' ], [ 'target.a', 'int' ], [ 'target.c', 'text' ] ];
	my $excluded = [ @$new, [ 'excluded.a', 'int' ], [ 'excluded.c', 'text' ] ];

	$sql .= ' ON CONFLICT (id) DO ' . pick('NOTHING', 'UPDATE SET a = ' . int_($excluded, $depth) . ', c = ' . text($excluded, $depth)
		  . ' WHERE ' . bool($excluded, $depth)) if chance(0.7);
	$sql .= ' RETURNING ' . join(', ', '*', text($new, $depth), extra($new, $depth)) if chance(0.4);
	$sql = 'INSERT INTO target VALUES ' . values_rows($depth) . pick('', ' ON CONFLICT DO NOTHING') . pick('', ' RETURNING *, ' . text($new, $depth))
	  if chance(0.25);
	return (kind => 'insert', writes => 1, sql => [ $sql, 'SELECT * FROM target ORDER BY id' ], shown => $sql);
}

sub case_update
{
	my $depth = $may->{depth} - 1;
	my ($table, @columns) = @{ pick([qw(t id a b c d g)], [qw(parted id a b c)], [qw(parent id a b)], [qw(behind id a b c)], [qw(t id a b c d g)]) };
	my ($item, $scope) = table($table, @columns);
	my $has_c = grep { $_ eq 'c' } @columns;
	my $sql = "UPDATE $item SET ";
	my ($from, $other) = chance(0.4) ? (chance(0.7) ? base() : derived($depth)) : ();
	my $both = [ @$scope, $other ? @$other : () ];
	my @set = ('a = ' . int_($both, $depth));

	push @set, $has_c ? 'c = ' . text($both, $depth) : 'b = ' . int_($both, $depth) if chance(0.6);
	@set = ('(a, b) = (SELECT ' . int_($both, $depth) . ', ' . int_($both, $depth) . ')') if chance(0.15);
	push @set, 'id = ' . $scope->[0][0] . ' + ' . pick(10, 20) if $table eq 'parted' && chance(0.3);
	$sql .= join(', ', @set);
	my @where = chance(0.7) ? bool($both, $depth) : ();
	if ($from)
	{
		$sql .= " FROM $from";
		unshift @where, join_condition($scope, $other, $both, $depth);
	}
	$sql .= ' WHERE ' . join(' AND ', @where) if @where;
	$sql .= ' RETURNING ' . join(', ', int_($both, $depth), text($both, $depth), extra($both, $depth)) if chance(0.4);
	return (kind => 'update', writes => 1, sql => [ $sql, "SELECT tableoid::regclass, * FROM " . ($table eq 'behind' ? 't' : $table) . ' ORDER BY id, a, b' ], shown => $sql);
}

sub case_delete
{
	my $depth = $may->{depth} - 1;
	my ($table, @columns) = @{ pick([qw(t id a b c d g)], [qw(parted id a b c)], [qw(parent id a b)]) };
	my ($item, $scope) = table($table, @columns);
	my ($from, $other) = chance(0.4) ? base() : ();
	my $both = [ @$scope, $other ? @$other : () ];
	my $sql = "DELETE FROM $item" . ($from ? " USING $from WHERE " . join_condition($scope, $other, $both, $depth) . ' AND ' : ' WHERE ')
	  . bool($both, $depth);

	$sql .= ' RETURNING ' . join(', ', int_($both, $depth), text($both, $depth), extra($both, $depth)) if chance(0.5);
	return (kind => 'delete', writes => 1, sql => [ $sql, "SELECT id, a, b FROM $table ORDER BY id, a, b" ], shown => $sql);
}

sub case_merge
{
	my $depth = $may->{depth} - 1;
	my ($from, $inner) = chance(0.7) ? table('t', qw(id a b c)) : table('parted', qw(id a b c));
	my ($id) = columns($inner, 'int');
	my $s = [ [ 's.id', 'int' ], [ 's.x', 'int' ], [ 's.y', 'text' ] ];
	my $both = [ @$s, [ 'target.id', 'int' ], [ 'target.a', 'int' ], [ 'target.c', 'text' ] ];
	my $sql = "MERGE INTO target USING (SELECT $id, " . int_($inner, $depth) . ', ' . text($inner, $depth)
	  . " FROM $from" . where($inner, $depth) . ') AS s(id, x, y) ON target.id = s.id'
	  . (chance(0.3) ? ' AND ' . bool($both, $depth) : '');

	$sql .= ' WHEN MATCHED AND ' . bool($both, $depth) . ' THEN ' . pick('DELETE', 'DO NOTHING') if chance(0.5);
	$sql .= ' WHEN MATCHED THEN UPDATE SET a = ' . int_($both, $depth) . ', c = ' . text($both, $depth);
	$sql .= ' WHEN NOT MATCHED' . (chance(0.4) ? ' AND ' . bool($s, $depth) : '') . ' THEN INSERT VALUES (1000 + s.id, ' . int_($s, $depth) . ', ' . text($s, $depth) . ')'
	  if chance(0.7);
	return (kind => 'merge', writes => 1, sql => [ $sql, 'SELECT * FROM target ORDER BY id' ], shown => $sql);
}

# A data-modifying CTE, whose rows are read or not.
sub case_with_write
{
	my $depth = $may->{depth} - 1;
	my $u = [ [ 'u.id', 'int' ], [ 'u.a', 'int' ], [ 'u.e', 'text' ] ];
	my $c = [ [ 'c.id', 'int' ], [ 'c.a', 'int' ], [ 'c.e', 'text' ] ];
	my $write = weighted(
		3 => sub { 'UPDATE u SET a = ' . int_($u, $depth) . ' WHERE ' . bool($u, $depth) },
		1 => sub { 'DELETE FROM u WHERE ' . bool($u, $depth) },
		1 => sub {
			my ($from, $inner) = base();
			'INSERT INTO u SELECT 100 + row_number() OVER (), ' . int_($inner, $depth) . ', ' . text($inner, $depth) . " FROM $from";
		})->();
	my $sql = "WITH c AS ($write RETURNING " . join(', ', '*', extra($u, $depth)) . ') SELECT '
	  . join(', ', int_($c, $depth), text($c, $depth), extra($c, $depth)) . ' FROM c' . where($c, $depth)
	  . weighted(3 => '', 1 => ' LIMIT 2');

	return (kind => 'with write', writes => 1, sql => [ $sql, 'SELECT * FROM u ORDER BY id' ], shown => $sql);
}

# ---- locked rows -----------------------------------------------------------

my @locking_tables = (
	4 => [qw(t id a b c)],
	2 => [qw(parted id a b c)],
	2 => [qw(parent id a b)],
	1 => [qw(u id a f)],
	1 => [qw(wide id a b c)],
	1 => [qw(behind id a b c)]);

sub lock_clause { return pick(' FOR UPDATE', ' FOR UPDATE', ' FOR SHARE', ' FOR NO KEY UPDATE', ' FOR UPDATE SKIP LOCKED', ' FOR UPDATE NOWAIT') }

# Queries that lock rows, over a table with an alias and its scope.
my @locking = (
	# a filter, an order and a limit beside the lock
	3 => sub {
		my ($item, $scope, $depth) = @_;
		'SELECT ' . join(', ', columns($scope, 'int'), int_($scope, $depth), extra($scope, $depth)) . " FROM $item" . where($scope, $depth)
		  . weighted(2 => '', 3 => ' ORDER BY ' . (columns($scope, 'int'))[0]) . weighted(1 => '', 2 => ' LIMIT ' . number(1, 4)) . lock_clause();
	},
	# a locking sub-select, and lookups above it
	4 => sub {
		my ($item, $scope, $depth) = @_;
		my $q = [ [ 'q.id', 'int' ], [ 'q.a', 'int' ], [ 'q.b', 'int' ] ];
		$q->[2][0] = 'q.f' if $item =~ /^u /;
		my $below = chance(0.3) ? ' WHERE ' . bool($scope, $depth) : '';
		"SELECT " . join(', ', 'q.id', int_($q, $depth), extra($q, $depth)) . " FROM (SELECT * FROM $item$below ORDER BY id"
		  . weighted(4 => '', 1 => ' LIMIT 7') . lock_clause() . ') q'
		  . weighted(2 => '', 1 => ', k(q.a) AS l', 1 => ', tagsof(q.id) AS l', 1 => ' LEFT JOIN LATERAL tagt(q.a) AS l ON true')
		  . where($q, $depth) . weighted(1 => '', 2 => ' LIMIT ' . number(1, 4));
	},
	# a locking CTE
	2 => sub {
		my ($item, $scope, $depth) = @_;
		my $q = [ [ 'q.id', 'int' ], [ 'q.a', 'int' ] ];
		"WITH q AS (SELECT * FROM $item ORDER BY id" . lock_clause() . ') SELECT q.id, ' . int_($q, $depth) . ' FROM q'
		  . where($q, $depth) . weighted(1 => '', 2 => ' LIMIT ' . number(1, 4));
	},
	# a locking sub-select among the values
	2 => sub {
		my ($item, $scope, $depth) = @_;
		my ($id) = columns($scope, 'int');
		my ($from, $outer) = table('u', qw(id a f));
		'SELECT ' . int_($outer, $depth) . ', (SELECT ' . int_([ @$outer, @$scope ], $depth) . " FROM $item WHERE $id "
		  . pick('=', '>', '>=') . ' ' . pick(columns($outer, 'int')) . " ORDER BY $id" . ' LIMIT 1' . lock_clause() . ") FROM $from"
		  . where($outer, $depth) . weighted(1 => '', 1 => ' LIMIT 3');
	},
	# a condition
	1 => sub {
		my ($item, $scope, $depth) = @_;
		my ($id) = columns($scope, 'int');
		my ($from, $outer) = table('u', qw(id a f));
		'SELECT ' . int_($outer, $depth) . " FROM $from WHERE EXISTS (SELECT FROM $item WHERE $id = " . pick(columns($outer, 'int'))
		  . ' AND ' . bool($scope, $depth) . lock_clause() . ')' . weighted(1 => '', 1 => ' LIMIT 3');
	},
	# joined, one side of it locked
	2 => sub {
		my ($item, $scope, $depth) = @_;
		my ($alias) = $item =~ /AS (\w+)/;
		my ($from, $other) = table('u', qw(id a f));
		'SELECT ' . join(', ', columns($scope, 'int'), int_([ @$scope, @$other ], $depth)) . " FROM $item JOIN $from ON "
		  . join_condition($scope, $other, [ @$scope, @$other ], $depth) . weighted(1 => '', 2 => ' LIMIT ' . number(1, 4))
		  . (lock_clause() =~ s/(FOR (?:NO KEY )?\w+)/$1 OF $alias/r);
	});

sub locking_query
{
	my ($depth) = @_;
	my ($table, @columns) = @{ weighted(@locking_tables) };
	my ($item, $scope) = table($table, @columns);

	return ($table, weighted(@locking)->($item, [ grep { $_->[1] =~ /int|text/ } @$scope ], $depth));
}

# What a worker of a queue does.
my @queue_work = (
	2 => sub {
		my ($q, $depth) = @_;
		'UPDATE t SET a = ' . int_($q, $depth) . ' FROM (SELECT id, a, b FROM t WHERE ' . bool([ [ 't.a', 'int' ], [ 't.b', 'int' ] ], $depth)
		  . ' ORDER BY id FOR UPDATE SKIP LOCKED LIMIT ' . number(1, 3) . ') q WHERE t.id = q.id RETURNING t.id, ' . text($q, $depth);
	},
	1 => sub {
		my ($q, $depth) = @_;
		'DELETE FROM t WHERE id IN (SELECT id FROM t x WHERE ' . bool([ [ 'x.a', 'int' ], [ 'x.b', 'int' ] ], $depth)
		  . ' ORDER BY id FOR UPDATE SKIP LOCKED LIMIT ' . number(1, 3) . ') RETURNING id, ' . int_([ [ 't.a', 'int' ] ], $depth);
	},
	1 => sub {
		my ($q, $depth) = @_;
		'WITH q AS (SELECT id, a, b FROM t ORDER BY id FOR UPDATE SKIP LOCKED) UPDATE t SET b = ' . int_($q, $depth)
		  . ' FROM q WHERE q.id = t.id AND ' . bool($q, $depth) . ' RETURNING t.id, t.b';
	});

sub case_locks
{
	my $depth = $may->{depth} - 1;
	$may->{early} = 1;
	if (chance(0.25))
	{
		my $sql = weighted(@queue_work)->([ [ 'q.id', 'int' ], [ 'q.a', 'int' ], [ 'q.b', 'int' ] ], $depth);

		return (kind => 'locks', writes => 1, shown => $sql, sql => [ $sql, 'SELECT id, a, b FROM t ORDER BY id' ]);
	}
	my ($table, $sql) = locking_query($depth);
	return (kind => 'locks', writes => 1, shown => $sql, sql => [$sql]) if chance(0.5);
	return (kind => 'locks', writes => 1, shown => $sql, sql => [ "DECLARE cur CURSOR FOR $sql", 'FETCH ' . number(1, 3) . ' FROM cur' ]);
}

# Queries of which a cursor has a current row, or SQL says that it has none.
my @places = (
	5 => sub {
		my ($item, $scope, $depth) = @_;
		'SELECT id, ' . int_($scope, $depth) . " FROM $item WHERE " . bool($scope, $depth) . weighted(2 => '', 1 => ' FOR UPDATE');
	},
	2 => sub {
		my ($item, $scope, $depth) = @_;
		my $q = [ [ 'q.id', 'int' ], [ 'q.a', 'int' ], [ 'q.b', 'int' ] ];
		'SELECT q.id, ' . int_($q, $depth) . " FROM (SELECT * FROM $item" . weighted(2 => ' LIMIT 9', 1 => ' OFFSET 0', 1 => '') . ') q'
		  . where($q, $depth) . weighted(2 => '', 1 => ' LIMIT 7');
	},
	1 => sub {
		my ($item, $scope, $depth) = @_;
		'SELECT id, l FROM ' . "$item, " . pick('k', 'tagsof') . '(' . int_($scope, $depth) . ') AS l';
	});

sub case_current_of
{
	my $depth = $may->{depth} - 1;
	local $may->{early} = 1;
	my ($name, @columns) = @{ pick([qw(t id a b c)], [qw(t id a b c)], [qw(parted id a b c)], [qw(parent id a b)]) };
	my ($item, $scope) = table($name, @columns);
	my $plain = [ [ "$name.a", 'int' ], [ "$name.b", 'int' ] ];
	my $scroll = chance(0.3);
	local $may->{volatile} = 0 if $scroll;
	my $sql = chance(0.35) ? undef : weighted(@places)->($item, $scope, $depth);
	($name, $sql) = locking_query($depth) while !defined $sql || $name eq 'u';
	my $change = sub {
		return pick("UPDATE $name SET b = " . int_($plain, $depth) . ', a = 77 WHERE CURRENT OF cur RETURNING id',
			"UPDATE $name SET a = 78 WHERE CURRENT OF cur RETURNING id, " . int_($plain, $depth),
			"DELETE FROM $name WHERE CURRENT OF cur RETURNING id");
	};
	my @sql = ('DECLARE cur' . ($scroll ? ' SCROLL' : '') . " CURSOR FOR $sql");

	foreach (1 .. number(1, 3))
	{
		my $undone = chance(0.4);

		push @sql, pick('FETCH ' . number(1, 6), 'MOVE ' . number(1, 4), $scroll ? 'FETCH PRIOR' : 'FETCH') . ' FROM cur';
		push @sql, 'SAVEPOINT change' if $undone;
		push @sql, $change->();
		push @sql, 'ROLLBACK TO change' if $undone;
	}
	return (kind => 'current of', writes => 1, shown => $sql, sql => [ @sql, "SELECT id, a, b FROM $name ORDER BY id, a, b" ]);
}

sub case_create_table
{
	my $sql = plain_select($may->{depth}, whole => 1);
	$sql = "SELECT * FROM ($sql) AS q(x, y)";

	return weighted(
		2 => sub { (kind => 'create table', shown => $sql, sql => [ "CREATE TEMP TABLE made AS $sql", 'SELECT * FROM made' ]) },
		1 => sub { (kind => 'create view', shown => $sql, sql => [ "CREATE VIEW made AS $sql", 'SELECT x, v(x), y FROM made WHERE k(x) > 1' ]) },
		1 => sub {
			(kind => 'materialized view', shown => $sql,
				sql => [ "CREATE MATERIALIZED VIEW made AS $sql", 'SELECT * FROM made', 'REFRESH MATERIALIZED VIEW made', 'SELECT * FROM made' ]);
		},
		2 => sub { (kind => 'copy', shown => $sql, sql => ["COPY ($sql) TO STDOUT"]) })->();
}

# ---- the whole -------------------------------------------------------------

sub settings
{
	my ($parallel, $spill) = @_;
	my @settings;

	foreach my $way (qw(hashjoin mergejoin nestloop memoize material hashagg sort incremental_sort
		seqscan indexscan bitmapscan indexonlyscan))
	{
		push @settings, "enable_$way = off" if chance(0.18);
	}
	push @settings, 'enable_partitionwise_join = on', 'enable_partitionwise_aggregate = on' if chance(0.3);
	push @settings, 'concresce.max_size = ' . pick(1, 2, 3, 7, 10, 11, 50) if chance(0.6);
	push @settings, 'ROLE reader' if $may->{reader};
	push @settings, 'jit = on', 'jit_above_cost = 0', 'jit_optimize_above_cost = ' . pick(0, -1), 'jit_inline_above_cost = ' . pick(0, -1) if chance(0.06);
	push @settings, "concresce.max_bytes = '" . pick('1kB', '4kB') . "'" if chance(0.15);
	push @settings, pick('from_collapse_limit = 1', 'join_collapse_limit = 1') if chance(0.15);
	push @settings, "work_mem = '64kB'", 'hash_mem_multiplier = 1' if $spill;
	push @settings, 'parallel_setup_cost = 0', 'parallel_tuple_cost = 0', 'min_parallel_table_scan_size = 0',
	  'min_parallel_index_scan_size = 0', 'max_parallel_workers_per_gather = ' . number(1, 3),
	  'parallel_leader_participation = ' . pick('on', 'off')
	  if $parallel;
	push @settings, "DEBUG_PARALLEL = " . pick('on', 'regress') if $parallel && chance(0.4);
	return @settings;
}

sub make_case
{
	my ($seed, $n) = @_;

	srand($seed * 100_003 + $n);
	my $parallel = chance(0.12);
	my $spill = chance(0.1);

	$may = {
		fail => weighted(60 => 'none', 28 => 'lookup', 12 => 'local'),
		early => 0,
		loose => $parallel || $spill,
		subs => weighted(5 => 0, 4 => 1, 2 => 2, 1 => 3),
		reader => chance(0.15),
		volatile => !$parallel && !$spill && chance(0.25),
		denied => 0,
		names => 0,
		depth => weighted(2 => 1, 4 => 2, 3 => 3)
	};
	$may->{denied} = 1 if $may->{reader} && chance(0.4);
	my @settings = settings($parallel, $spill);
	my %case = weighted(
		30 => \&case_query,
		6 => \&case_early,
		4 => \&case_one_row,
		$parallel ? 20 : 0 => \&case_parallel_stop,
		$may->{loose} ? 0 : 6 => \&case_cursor,
		6 => \&case_prepared,
		5 => \&case_plpgsql,
		$may->{loose} ? 0 : 3 => \&case_insert,
		$may->{loose} ? 0 : 5 => \&case_update,
		$may->{loose} ? 0 : 3 => \&case_delete,
		$may->{loose} ? 0 : 3 => \&case_merge,
		$may->{loose} ? 0 : 3 => \&case_with_write,
		$may->{loose} ? 0 : 5 => \&case_locks,
		$may->{loose} ? 0 : 4 => \&case_current_of,
		4 => \&case_create_table)->();

	return {
		n => $n,
		fail => $may->{fail},
		early => $may->{early},
		loose => $may->{loose},
		volatile => $may->{volatile},
		parallel => $parallel,
		%case,
		settings => [ @settings, @{ $case{settings} // [] } ]
	};
}

# ---- two sessions ----------------------------------------------------------

# Statements that lock or change rows.
my @contenders = (
	5 => \&case_update,
	2 => \&case_delete,
	2 => \&case_merge,
	2 => \&case_with_write,
	3 => sub { (shown => (locking_query($may->{depth} - 1))[1]) },
	2 => sub { (shown => weighted(@queue_work)->([ [ 'q.id', 'int' ], [ 'q.a', 'int' ], [ 'q.b', 'int' ] ], $may->{depth} - 1)) },
	3 => \&update_from_index);

# Beside what is locked, a sub-select over what an index alone can give.
sub update_from_index
{
	my ($item, $scope) = table('t', qw(id a b));
	my ($narrow, $inner) = narrow();
	my $both = [ @$scope, @$inner ];

	my $key = $inner->[0][0];
	return (shown => "UPDATE $item SET a = " . int_($both, $may->{depth} - 1) . " FROM $narrow WHERE $key = "
		  . (columns($scope, 'int'))[0] . ' AND ' . pick("k($key) >= 0", "isodd($key)", bool($both, $may->{depth} - 1)));
}

# What gets in their way.
sub obstacle
{
	my ($table) = @_;
	my $from = number(1, 20);
	my $rows = pick("id BETWEEN $from AND " . ($from + number(0, 9)), "id = $from", "id % 4 = 1");

	return weighted(
		4 => "UPDATE $table SET a = (a + " . number(1, 9) . ") % 41 WHERE $rows",
		1 => "UPDATE $table SET a = NULL WHERE $rows",
		2 => $table =~ /^(?:u|target)$/ ? "UPDATE $table SET a = k(a) WHERE $rows" : "UPDATE $table SET b = (b + 1) % 6, a = k(a) WHERE $rows",
		1 => "DELETE FROM $table WHERE $rows",
		1 => "SELECT id FROM $table WHERE $rows ORDER BY id FOR UPDATE",
		1 => "SELECT id FROM $table WHERE $rows AND isodd(id) FOR SHARE",
		$table eq 'parted' ? 3 : 0 => "UPDATE parted SET id = id + 11 WHERE $rows");
}

# steps: [ session, statement ]; statements: those with lookups.
sub make_interleaving
{
	my ($seed, $n) = @_;

	srand($seed * 100_003 + $n);
	$may = {
		fail => weighted(8 => 'none', 2 => 'lookup'),
		early => 1,
		loose => 0,
		subs => weighted(6 => 0, 3 => 1, 1 => 2),
		reader => 0,
		volatile => chance(0.1),
		denied => 0,
		names => 0,
		depth => weighted(1 => 2, 2 => 3)
	};
	my @settings = grep { !/^jit|max_bytes/ } settings(0, 0);
	push @settings, 'enable_seqscan = off', 'enable_bitmapscan = off' if chance(0.4);
	my @statements = map { my %case = weighted(@contenders)->(); $case{shown} } 1 .. weighted(3 => 1, 1 => 2);
	my $table = $statements[0] =~ /(?:UPDATE|DELETE FROM|MERGE INTO|FROM) (t|u|wide|parted|parent|behind|target)\b/ ? $1 : 't';
	my @b = map { [ 'b', $_ ] } @statements;
	my @a = map { [ 'a', $_ ] } map { obstacle($table eq 'behind' ? 't' : $table) } 1 .. number(1, 2);
	my @steps;

	@a = ([ 'a', 'BEGIN' ], @a, [ 'a', pick('COMMIT', 'COMMIT', 'COMMIT', 'ROLLBACK') ]);
	@b = ([ 'b', pick('BEGIN', 'BEGIN', 'BEGIN', 'BEGIN ISOLATION LEVEL REPEATABLE READ') ], @b, [ 'b', pick('COMMIT', 'COMMIT', 'ROLLBACK') ])
	  if @b > 1 || chance(0.5);
	# mostly, the second finds rows that the first has changed
	push @steps, splice(@a, 0, 2) if chance(0.9);
	push @steps, splice(@b, 0, 1 + ($b[0][1] =~ /^BEGIN/)) if chance(0.8);
	while (@a || @b)
	{
		push @steps, !@b || (@a && chance(0.5)) ? shift @a : shift @b;
	}
	return { n => $n, settings => \@settings, statements => \@statements, steps => \@steps };
}

1;
