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
# A case depends on nothing but the seed and its number.

package Queries;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use List::Util qw(sum);

our @EXPORT_OK = qw(far_tables local_tables make_case);

# ---- tables and lookups ----------------------------------------------------

# Types that both sides know.
my $types = <<'EOF_SQL';
CREATE TYPE pt AS (x int, y text);
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN posint AS int CHECK (VALUE > 0);
EOF_SQL

# Ids from 0 to 40 with gaps, values with NULLs and duplicates.
sub far_tables
{
	return $types . <<'EOF_SQL';
CREATE TABLE items (id int PRIMARY KEY, v text, k int);
INSERT INTO items SELECT i, CASE WHEN i % 9 <> 4 THEN 'v' || i % 13 END,
	CASE WHEN i % 10 <> 3 THEN i * 7 % 11 END
	FROM generate_series(0, 40) i WHERE i % 6 <> 5;
CREATE TABLE tags (id int, tag text, w int);
INSERT INTO tags SELECT i, 'tag' || j, i * j
	FROM generate_series(0, 40) i, generate_series(1, i % 4) j;
ANALYZE;
EOF_SQL
}

# signature => 'result, volatility and settings' => body
my @lookups = (
	'v(n int)' => 'text STABLE STRICT PARALLEL SAFE' => 'SELECT i.v FROM items i WHERE id = n',
	'vn(n int)' => 'text STABLE PARALLEL SAFE' =>
	  q{SELECT coalesce(max(i.v), 'none') || coalesce(n::text, '?') FROM items i WHERE id = n},
	'k(n int)' => 'int STABLE STRICT PARALLEL SAFE' => 'SELECT i.k FROM items i WHERE id = n',
	'kb(n int)' => 'int STABLE PARALLEL SAFE' =>
	  'SELECT id, k FROM items WHERE id = ANY (collect(n))',
	'kd(n int)' => 'int STABLE PARALLEL SAFE' =>
	  'SELECT x * 2 % 30 FROM unnest(collect(n)) WITH ORDINALITY AS u(x, o) ORDER BY o',
	'isodd(n int)' => 'boolean STABLE STRICT PARALLEL SAFE' => 'SELECT n % 2 = 1',
	'pair(n int)' => 'pt STABLE PARALLEL SAFE' => 'SELECT i.k, i.v FROM items i WHERE id = n',
	'info(n int, OUT a int, OUT b text)' => 'record STABLE STRICT PARALLEL SAFE' =>
	  'SELECT i.k, i.v FROM items i WHERE id = n',
	'rec(n int)' => 'record STABLE PARALLEL SAFE' => 'SELECT i.k, i.v FROM items i WHERE id = n',
	'tagsof(n int)' => 'SETOF text STABLE PARALLEL SAFE' =>
	  'SELECT tag FROM tags WHERE id = n ORDER BY tag',
	'tagt(n int)' => 'TABLE (tag text, w int) STABLE STRICT PARALLEL SAFE' =>
	  'SELECT t.tag, t.w FROM tags t WHERE id = n ORDER BY 1',
	'tagb(n int)' => 'SETOF text STABLE' =>
	  'SELECT id, tag FROM tags WHERE id = ANY (collect(n)) ORDER BY tag DESC',
	'ser(n int)' => 'SETOF int STABLE STRICT PARALLEL SAFE' =>
	  'SELECT g FROM generate_series(1, n % 4) g',
	'pairs(n int)' => 'SETOF pt STABLE' => 'SELECT w, tag FROM tags WHERE id = n ORDER BY w',
	'price(t text, q numeric)' => 'numeric STABLE PARALLEL SAFE' => 'SELECT length(t) + q',
	'arr(a int[])' => 'int[] STABLE PARALLEL SAFE' => 'SELECT array_agg(x * 2) FROM unnest(a) x',
	'dom(n posint)' => 'int STABLE STRICT' => 'SELECT n + 1',
	'inpair(p pt)' => 'text STABLE' => q{SELECT coalesce((p).y, '-') || (p).x},
	'big(n int)' => 'text STABLE STRICT PARALLEL SAFE' => q{SELECT repeat('x' || n, 300 + n * 40)},
	'echo(s text)' => 'text STABLE PARALLEL SAFE' => 'SELECT reverse(s)',
	'one()' => 'int STABLE PARALLEL SAFE' => 'SELECT count(*)::int FROM items',
	'day(n int)' => 'date STABLE STRICT PARALLEL SAFE' => q{SELECT date '2020-01-01' + n},
	'feel(n int)' => 'mood STABLE STRICT' => 'SELECT (enum_range(NULL::mood))[1 + abs(n) % 3]',
	'js(j jsonb)' => 'jsonb STABLE STRICT PARALLEL SAFE' => q{SELECT j || '{"far": true}'},
	'va(VARIADIC ns int[])' => 'int STABLE' => 'SELECT sum(x)::int FROM unnest(ns) x',
	'df(n int, m int DEFAULT 3)' => 'int STABLE PARALLEL SAFE' => 'SELECT n * m % 50',
	'imm(n int)' => 'int IMMUTABLE STRICT PARALLEL SAFE' => 'SELECT n % 9',
	'vol(n int)' => 'int VOLATILE' => 'SELECT n % 8',
	'sd(n int)' => 'int STABLE SECURITY DEFINER' => 'SELECT i.k FROM items i WHERE id = n',
	'dated(d date)' => q{text STABLE STRICT SET datestyle = 'German'} => 'SELECT d::text',
	'keyed(a int, b int)' => q{int STABLE SET concresce.key = 'a % 5'} => 'SELECT a % 5',
	# these fail for some keys
	'div(n int)' => 'int STABLE PARALLEL SAFE' => 'SELECT 100 / (n % 7)',
	'divi(n int)' => 'int STABLE SET concresce.isolate_errors = on' => 'SELECT 100 / (n % 7)',
	'rare(n int)' => 'int STABLE STRICT PARALLEL SAFE' => 'SELECT 100 / (n - 17)',
	'must(n int)' => 'int STABLE STRICT SET concresce.on_missing = error' =>
	  'SELECT i.k FROM items i WHERE id = n',
	'musts(n int)' => 'SETOF text STABLE SET concresce.on_missing = error' =>
	  'SELECT tag FROM tags WHERE id = n ORDER BY 1',
	'many(n int)' => 'text STABLE STRICT' => 'SELECT tag FROM tags WHERE id = n',
	'pos(n int)' => 'posint STABLE STRICT' => 'SELECT n - 5');

sub local_tables
{
	my $sql = $types;
	my @list = @lookups;

	while (my ($signature, $kind, $body) = splice(@list, 0, 3))
	{
		$sql .= "CREATE FUNCTION $signature RETURNS $kind LANGUAGE concresce"
		  . " SET concresce.server = 'far' AS \$body\$ $body \$body\$;\n";
	}
	return $sql . <<'EOF_SQL';
CREATE TABLE t (id int PRIMARY KEY, a int, b int, c text, d numeric, g text);
INSERT INTO t SELECT i, CASE WHEN i % 8 <> 5 THEN i * 13 % 43 END, i % 6,
	CASE WHEN i % 7 <> 2 THEN 'v' || i % 13 END,
	CASE i % 3 WHEN 0 THEN i ELSE i * 1.50 END,
	(SELECT string_agg(md5((i * j)::text), '') FROM generate_series(1, 20 * (i % 7)) j)
	FROM generate_series(1, 36) i;
CREATE INDEX ON t (a);
CREATE TABLE u (id int PRIMARY KEY, a int, e text, f int);
INSERT INTO u SELECT i, CASE WHEN i % 9 <> 4 THEN i * 5 % 29 END, 'v' || i % 11, i % 4
	FROM generate_series(1, 30) i;
CREATE INDEX ON u (a);
CREATE TABLE nobody (id int, a int, b int, c text);
CREATE TABLE wide (id int, a int, b int, c text);
INSERT INTO wide SELECT i, CASE WHEN i % 11 <> 7 THEN i * 17 % 47 END, i % 5,
	repeat('c' || i % 20, 40) FROM generate_series(1, 240) i;
CREATE TABLE parted (id int, a int, b int, c text) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (12);
CREATE TABLE parted_2 (c text, gone int, b int, id int, a int);
ALTER TABLE parted_2 DROP COLUMN gone;
ALTER TABLE parted ATTACH PARTITION parted_2 FOR VALUES FROM (12) TO (23);
CREATE TABLE parted_3 PARTITION OF parted DEFAULT;
INSERT INTO parted SELECT i, i * 7 % 41, i % 6, 'v' || i % 9 FROM generate_series(1, 32) i;
CREATE INDEX ON parted (id);
CREATE TABLE parent (id int, a int, b int);
CREATE TABLE child (more text) INHERITS (parent);
INSERT INTO parent SELECT i, i % 17, i % 3 FROM generate_series(1, 9) i;
INSERT INTO child SELECT i, i % 19, i % 4, 'm' || i FROM generate_series(10, 20) i;
CREATE TABLE target (id int PRIMARY KEY, a int, c text);
INSERT INTO target SELECT i, i % 13, 'old' FROM generate_series(1, 70, 3) i;
CREATE SEQUENCE ticket;
CREATE TABLE ruled (id int, a int, b int, c text);
INSERT INTO ruled SELECT i, i * 11 % 43, i % 4, 'v' || i % 12 FROM generate_series(1, 24) i;
ALTER TABLE ruled ENABLE ROW LEVEL SECURITY;
CREATE POLICY visible ON ruled USING (b > 0 AND isodd(k(a)));
CREATE FOREIGN TABLE abroad (id int, v text, k int) SERVER shop OPTIONS (table_name 'items');

CREATE VIEW looked AS SELECT id, a, k(a) AS b, v(a) AS c FROM t WHERE k(a) > 2;
CREATE VIEW behind WITH (security_barrier) AS
	SELECT id, a, b, c FROM t WHERE isodd(k(a)) AND b > 0;
CREATE VIEW grouped AS SELECT min(id) AS id, k(a) AS a, count(*)::int AS b, max(v(b)) AS c
	FROM t GROUP BY k(a);
CREATE FUNCTION inlined(n int) RETURNS text LANGUAGE sql STABLE AS 'SELECT v(k(n))';
CREATE FUNCTION rows_of(n int) RETURNS TABLE (id int, c text) LANGUAGE sql STABLE
	AS 'SELECT t.id, v(t.b) FROM t WHERE t.a = n';
CREATE FUNCTION within(n int) RETURNS text LANGUAGE plpgsql STABLE AS 'BEGIN RETURN v(n); END';
CREATE FUNCTION lazy(n int) RETURNS SETOF text LANGUAGE sql VOLATILE ROWS 5
	AS 'SELECT v(a) FROM t WHERE b = n';
CREATE FUNCTION careful(n int) RETURNS text LANGUAGE plpgsql STABLE AS
	'BEGIN RETURN div(n); EXCEPTION WHEN division_by_zero THEN RETURN ''zero''; END';
CREATE FUNCTION tries(n int) RETURNS int LANGUAGE plpgsql STABLE AS '
DECLARE
	r record; done int := 0;
BEGIN
	FOR r IN SELECT rare(a) AS x, k(id) AS y FROM u WHERE f = n AND id < 14 LOOP
		done := done + r.x + coalesce(r.y, 0);
	END LOOP;
	RETURN done;
EXCEPTION WHEN division_by_zero THEN
	RETURN -done;
END';
CREATE FUNCTION lowered() RETURNS trigger LANGUAGE plpgsql AS
	'BEGIN NEW.c := lower(coalesce(v(NEW.a), NEW.c)); RETURN NEW; END';
CREATE TRIGGER lowered BEFORE INSERT ON target FOR EACH ROW EXECUTE FUNCTION lowered();
GRANT ALL ON ALL TABLES IN SCHEMA public TO reader;
GRANT ALL ON SEQUENCE ticket TO reader;
GRANT ALL ON SCHEMA public TO reader;
GRANT USAGE ON FOREIGN SERVER far TO reader;
VACUUM ANALYZE;
EOF_SQL
}

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
#	fail	'none', 'lookup', 'local': what may fail, apart from behind guards
#	early	rows may be read ahead of where it stops: nothing local may fail
#	loose	as in the case
#	hold	it is run at COMMIT, where PostgreSQL's own assertions forbid that a
#			subtransaction is rolled back
#	subs	sub-selects that may still come
#	names	given so far
my $may;

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
	# unguarded
	9 => sub { my @args = @_; failing('lookup', sub { pick('div', 'divi', 'rare', 'rare', 'must', 'pos') . '(' . int_(@args) . ')' }) },
	6 => sub { my @args = @_; failing('local', sub { '(100 / ' . int_(@args) . ')' }) },
	6 => sub { my @args = @_; failing('local', sub { 'k(100 / ' . int_(@args) . ')' }) },
	# sub-selects
	2 => sub { my @args = @_; with_sub(sub { scalar_subselect('int', @args) }) },
];

$makers{text} = [
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
	1 => sub { 'coalesce(' . bool(@_) . ', ' . bool(@_) . ')' },
	1 => sub { 'CASE WHEN ' . bool(@_) . ' THEN ' . bool(@_) . ' ELSE ' . bool(@_) . ' END' },
	1 => sub { '(pair(' . int_(@_) . ') IS ' . pick('', 'NOT ') . 'NULL)' },
	2 => sub { my $x = int_(@_); "($x % 7 <> 0 AND " . pick('div', 'divi') . "($x) > " . int_(@_) . ')' },
	1 => sub { my $x = int_(@_); "($x % 7 = 0 OR $x IS NULL OR div($x) < " . int_(@_) . ')' },
	1 => sub {
		my ($b) = grep { /\.[bf]$/ } columns($_[0], 'int');
		$b ? "($b <> 0 AND k(60 / $b) > " . int_(@_) . ')' : undef;
	},
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

	$where .= ' AND ' . bool($both, $depth) if chance(0.3);
	return '(SELECT ' . pick('min', 'max') . '(' . expr($type, $inner, $depth) . ") FROM $from$where)"
	  if chance(0.6) || $may->{loose};
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
		1 => sub { table('nobody', qw(id a b c)) },
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
		1 => sub {
			my $n = name('x');
			my $rows = join(', ', map { '(' . pick(number(0, 40), 'k(' . number(0, 40) . ')') . ", 'v$_', " . ($_ % 3 ? $_ : 'NULL') . ')' } 1 .. number(1, 7));
			("(VALUES $rows) AS $n(a, c, b)", [ [ "$n.a", 'int' ], [ "$n.c", 'text' ], [ "$n.b", 'int' ] ]);
		})->();
}

# SELECT ... as an item: (int, int, text).
sub derived
{
	my ($depth) = @_;
	my $n = name('s');
	my ($from, $scope) = chance(0.7) ? base() : joined($depth);
	my $sql = 'SELECT ' . join(', ', int_($scope, $depth), int_($scope, $depth), text($scope, $depth))
	  . " FROM $from";

	$sql .= ' WHERE ' . bool($scope, $depth) if chance(0.4);
	if (chance(0.3)) { $sql .= ' OFFSET 0' }
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

	$where = ' WHERE ' . pick(@ints) . ' = ' . int_($scope, $depth) if @ints && $from !~ /\(/;
	$where .= ($where ? ' AND ' : ' WHERE ') . bool($both, $depth) if chance(0.3);
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
	return ("LATERAL (SELECT " . int_($both, $depth) . ', ' . text($both, $depth) . " FROM $from$where$rest) AS $n(a, c)",
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

# ---- SELECT ----------------------------------------------------------------

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
	push @list, "nextval('ticket')" if !$o{whole} && !$may->{early} && !$may->{loose} && chance(0.05);
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
	return 'SELECT DISTINCT ' . int_($scope, $depth) . ', ' . text($scope, $depth) . " FROM $from"
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
	return 'SELECT *, v(s.a) FROM (SELECT ' . int_($scope, $depth) . ' AS a, ' . $function->() . ' AS x, '
	  . pick('row_number()', 'rank()', 'count(*)') . ' OVER (ORDER BY ' . $total . ") AS n FROM $from"
	  . where($scope, $depth) . ') s WHERE n <= ' . number(1, 15)
	  if chance(0.25) && ($may->{early} = 1);
	my @list = (pick(@ints), int_($scope, $depth));
	push @list, $function->() foreach (1 .. number(1, 3));
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

sub case_early
{
	$may->{early} = 1;
	my $sql = query($may->{depth});

	$sql .= ' LIMIT ' . number(1, 12) unless $may->{loose} || $sql =~ /(?:LIMIT|OFFSET) \S+( OFFSET \d+)?( FOR UPDATE)?$/;
	return (kind => 'limit', sql => [$sql], shown => $sql);
}

sub case_cursor
{
	$may->{early} = 1;
	my $scroll = chance(0.3);
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
	$sql .= ' RETURNING *, ' . text($new, $depth) if chance(0.4);
	$sql = 'INSERT INTO target VALUES ' . join(', ', map { '(' . (100 + $_) . ', ' . int_([], $depth) . ', ' . text([], $depth) . ')' } 1 .. number(1, 5))
	  if chance(0.1);
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
	$sql .= ' RETURNING ' . int_($both, $depth) . ', ' . text($both, $depth) if chance(0.4);
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

	$sql .= ' RETURNING ' . int_($both, $depth) . ', ' . text($both, $depth) if chance(0.5);
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

sub case_with_update
{
	my $depth = $may->{depth} - 1;
	my $u = [ [ 'u.id', 'int' ], [ 'u.a', 'int' ], [ 'u.e', 'text' ] ];
	my $c = [ [ 'c.id', 'int' ], [ 'c.a', 'int' ], [ 'c.e', 'text' ] ];
	my $sql = 'WITH c AS (UPDATE u SET a = ' . int_($u, $depth) . ' WHERE ' . bool($u, $depth) . ' RETURNING *) SELECT '
	  . int_($c, $depth) . ', ' . text($c, $depth) . ' FROM c' . where($c, $depth);

	return (kind => 'with update', writes => 1, sql => [ $sql, 'SELECT * FROM u ORDER BY id' ], shown => $sql);
}

sub case_current_of
{
	my $depth = $may->{depth} - 1;
	local $may->{early} = 1;
	my ($item, $scope) = table(pick('t', 'parted', 't'), qw(id a b c));
	my ($table) = $item =~ /^(\w+)/;
	my $sql = "SELECT id, " . int_($scope, $depth) . " FROM $item WHERE " . bool($scope, $depth) . pick('', ' FOR UPDATE');
	my $plain = [ [ "$table.a", 'int' ], [ "$table.b", 'int' ] ];

	return (kind => 'current of', writes => 1, shown => $sql, sql => [
			"DECLARE cur CURSOR FOR $sql", 'FETCH ' . number(1, 6) . ' FROM cur',
			"UPDATE $table SET b = " . int_($plain, $depth) . ', a = 77 WHERE CURRENT OF cur', 'FETCH 2 FROM cur',
			"DELETE FROM $table WHERE CURRENT OF cur", 'FETCH 3 FROM cur',
			"SELECT id, a, b FROM $table ORDER BY id" ]);
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
	push @settings, 'ROLE reader' if chance(0.12);
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
		subs => weighted(5 => 0, 4 => 1, 1 => 2),
		names => 0,
		depth => weighted(2 => 1, 4 => 2, 3 => 3)
	};
	my @settings = settings($parallel, $spill);
	my %case = weighted(
		30 => \&case_query,
		6 => \&case_early,
		$may->{loose} ? 0 : 6 => \&case_cursor,
		6 => \&case_prepared,
		5 => \&case_plpgsql,
		$may->{loose} ? 0 : 3 => \&case_insert,
		$may->{loose} ? 0 : 5 => \&case_update,
		$may->{loose} ? 0 : 3 => \&case_delete,
		$may->{loose} ? 0 : 3 => \&case_merge,
		$may->{loose} ? 0 : 2 => \&case_with_update,
		$may->{loose} ? 0 : 2 => \&case_current_of,
		4 => \&case_create_table)->();

	return {
		n => $n,
		fail => $may->{fail},
		early => $may->{early},
		loose => $may->{loose},
		parallel => $parallel,
		%case,
		settings => [ @settings, @{ $case{settings} // [] } ]
	};
}

1;
