# Since libpq's 17 rows of some bytes come some kilobytes at a time, 130 of those
# that have two columns, with older ones one by one. Nobody sees a difference,
# wherever such a part ends and whatever comes within it.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use Peers;
use Test::More;

my $N = 300;

sub be8 { return pack('NN', 0, $_[0]) }
sub msg { return $_[0] . pack('N', 4 + length $_[1]) . $_[1] }

# The items from..to, each with ten times its number.
sub rows
{
	my ($s, $from, $to) = @_;

	return join('', map { $s->row(be8($_), pack('N', 10 * $_)) } $from .. $to);
}

my $end = msg('C', "SELECT 1\0");

# The first n rows, something, the others, and the end; last: with that it ends.
sub within
{
	my ($n, $what, %o) = @_;

	return {
		execute => sub {
			my ($s) = @_;
			my $data = ref $what ? $what->($s) : $what;

			$s->send_raw(rows($s, 1, $n) . $data . ($o{last} ? '' : rows($s, $n + 1, $N) . $end));
			$s->fail if $o{fails};
			die 'done' if $o{closes};
			$s->receive(1) while $o{silent};
		} };
}

sub list
{
	my (@items) = @_;

	return { execute => sub { my ($s) = @_; $s->send_raw(join('', map { rows($s, $_, $_) } @items) . $end) } };
}

my $all = join(',', map { 10 * $_ } 1 .. $N);

sub known { my ($n) = @_; return join(',', map { $_ <= $n ? 10 * $_ : '-' } 1 .. $N) }

# name => [ the act, what is due: rows, or an SQLSTATE, or undef: some error ]
my %acts = (
	'as asked' => [ list(1 .. $N), $all ],
	'the other way round' => [ list(reverse 1 .. $N), $all ],
	'every second, then the others' => [ list(grep({ $_ % 2 } 1 .. $N), grep({ !($_ % 2) } 1 .. $N)), $all ],
	'a byte at a time' => [
		{
			execute => sub {
				my ($s) = @_;
				$s->send_raw($_) foreach split //, rows($s, 1, 130);
				$s->send_raw(rows($s, 131, $N) . $end);
			} }, $all ]);
foreach my $n (0, 1, 129, 130, 131, 260, 261)
{
	my $err = sub { return msg('E', "S$_[0]\0V$_[0]\0C$_[1]\0Moh\0\0") };

	%acts = (%acts,
		"$n rows" => [ list(1 .. $n), known($n) ],
		# each is asked for alone then, and gets what is not its own
		"$n rows, an error" => [ within($n, $err->('ERROR', '53300'), last => 1, fails => 1), undef ],
		"$n rows, a fatal one" => [ within($n, $err->('FATAL', '57P01'), last => 1, closes => 1), '08006' ],
		"$n rows, and it is closed" => [ within($n, '', last => 1, closes => 1), '08006' ],
		"$n rows, and silence" => [ within($n, '', last => 1, silent => 1), '57014' ],
		"$n rows, an end without a tag" => [ within($n, msg('C', "\0"), last => 1), '08P01' ],
		"$n rows, two ends" => [ within($n, $end x 2, last => 1), known($n) ],
		"$n rows, another description" => [
			within($n, sub { msg('T', pack('n', 1) . "x\0" . pack('NnNnNn', 0, 0, 20, 8, 0, 1)) }), undef ],
		"$n rows, a wider one" => [ within($n, sub { $_[0]->row(be8(1), pack('N', 1), 'x') }), '08006' ],
		"$n rows, one of item 0" => [ within($n, sub { $_[0]->row(be8(0), pack('N', 1)) }), 'HV000' ],
		"$n rows, one of item 301" => [ within($n, sub { $_[0]->row(be8($N + 1), pack('N', 1)) }), 'HV000' ],
		"$n rows, one of 3 bytes" => [
			within($n, sub { $_[0]->row(be8($n + 1), 'abc') . rows($_[0], $n + 2, $N) . $end }, last => 1), '08P01' ],
		"$n rows, one of 100000 bytes" => [
			within($n, sub { $_[0]->row(be8($n + 1), 'x' x 100000) . rows($_[0], $n + 2, $N) . $end }, last => 1), '22P03' ],
		"$n rows, one that is NULL" => [
			within($n, sub { $_[0]->row(be8($n + 1), undef) . rows($_[0], $n + 2, $N) . $end }, last => 1),
			join(',', map { $_ == $n + 1 ? '-' : 10 * $_ } 1 .. $N) ],
		"$n rows, a notice" => [ within($n, msg('N', "SNOTICE\0VNOTICE\0C00000\0Mhello\0\0")), $all ],
		"$n rows, a notification" => [ within($n, msg('A', pack('N', 1) . "channel\0payload\0")), $all ],
		"$n rows, a setting" => [ within($n, msg('S', "work_mem\0" . "1MB\0")), $all ],
		"$n rows, ready" => [ within($n, msg('Z', 'T')), undef ],
		"$n rows, suspended" => [ within($n, msg('s', '')), undef ],
		"$n rows, a copy" => [ within($n, msg('H', pack('Cn', 0, 0)) . msg('d', "x\n")), undef ],
		"$n rows, one cut short" => [
			within($n, substr(msg('D', pack('nN', 2, 8) . be8(1)), 0, 12), last => 1, closes => 1), '08006' ]);
	$acts{"row $n twice"} = [ within($n, sub { rows($_[0], $n, $n) }), '21000' ] if $n > 0;
}

my $node = start_node('local', conf => 'concresce.max_connections = 1');
make_far($node);
my $i = 0;
my %name = map { ('act' . $i++) => $_ } sort keys %acts;
my $fake = FakeServer->new(map { ($_ => $acts{ $name{$_} }[0]) } keys %name);
$node->safe_psql('postgres', join('', map {
	make_server($_, far_options($node, port => $fake->port, dbname => $_))
	  . define($_, "${_}_f(n int)" => 'int STABLE' => 'SELECT n')
} keys %name));
my $pid = collector_pid($node);

foreach my $server (sort { substr($a, 3) <=> substr($b, 3) } keys %name)
{
	my $due = $acts{ $name{$server} }[1];
	my $call = attempt($node, "SELECT string_agg(coalesce(r::text, '-'), ',' ORDER BY i)"
		  . " FROM (SELECT i, ${server}_f(i) FROM generate_series(1, $N) i OFFSET 0) AS s(i, r)",
		timeout => ($due // '') eq '57014' ? '500ms' : '30s');
	my $got = $call->sqlstate || $call->out;

	ok(defined $due ? $got eq $due : $got =~ /^[0-9A-Z]{5}$/ && $got ne '57014' || $got eq $all, $name{$server})
	  or diag("$server: " . substr($call->out . $call->err, 0, 500));
}
is(collector_pid($node), $pid, 'the collector has lived through all of it');

# ---- a server that behaves ---------------------------------------------------

$node->safe_psql('postgres', define('far',
	'single(n int)' => 'int STABLE' => 'SELECT 10 * n WHERE n % 7 <> 0',
	'keyed(n int)' => 'int STABLE' => 'SELECT n, 10 * n FROM unnest(collect(n)) n WHERE n % 7 <> 0 ORDER BY n % 5, -n',
	'ordered(n int)' => 'int STABLE' => 'SELECT 10 * n FROM unnest(collect(n)) WITH ORDINALITY AS t(n, o) ORDER BY o',
	'wide(n int, OUT a int, OUT b float8, OUT c uuid)' => 'record STABLE' =>
	  q{SELECT n, n / 2.0, lpad(n::text, 32, '0')::uuid},
	'several(n int)' => 'SETOF int STABLE' => 'SELECT n + i FROM generate_series(1, n % 4) i'));
foreach my $n (1, 2, 53, 54, 91, 92, 129, 130, 131, 227, 228, 260, 261, 1000, 70000)
{
	foreach my $max (10, 130, 100000)
	{
		next if $n > 1000 && $max < 100;
		is($node->safe_psql('postgres', <<"EOF_SQL"), "t|t|t|t|t", "$n calls, batches of up to $max");
SET concresce.max_size = $max;
WITH i AS MATERIALIZED (SELECT i, single(i) s, keyed(i) k, ordered(i) o, wide(i) w FROM generate_series(1, $n) i)
SELECT bool_and(s IS NOT DISTINCT FROM CASE WHEN i % 7 <> 0 THEN 10 * i END),
	bool_and(k IS NOT DISTINCT FROM CASE WHEN i % 7 <> 0 THEN 10 * i END), bool_and(o = 10 * i),
	bool_and((w).a = i AND (w).b = i / 2.0 AND (w).c = lpad(i::text, 32, '0')::uuid),
	(SELECT coalesce(array_agg(t ORDER BY t), '{}') = (SELECT coalesce(array_agg(j + k ORDER BY j + k), '{}')
		FROM generate_series(1, least($n, 1000)) j, generate_series(1, j % 4) k) FROM (SELECT several(j) t FROM generate_series(1, least($n, 1000)) j) s)
FROM i
EOF_SQL
	}
}

# Errors within a part, of which libpq tells nothing but the error.
$node->safe_psql('postgres', 'CREATE TYPE columns AS (' . join(', ', map { "c$_ bigint" } 1 .. 100) . ');'
	  . define('far', 'failing(n int)' => 'columns STABLE' => 'SELECT ' . 'n::bigint, ' x 99 . '(n / (n - 127))::bigint'));
my $since = q{SELECT connected_at FROM concresce.connections WHERE server = 'far' ORDER BY 1 LIMIT 1};
my $connected;
foreach my $n (1 .. 70)
{
	$node->safe_psql('postgres', q{SELECT count(*) FROM concresce.as_completed((SELECT array_agg(concresce.submit('failing', i)) FROM generate_series(1, 200) i), NULL::columns, true)});
	$connected //= $node->safe_psql('postgres', $since);
}
is($node->safe_psql('postgres', $since), $connected, 'errors cost no connection');
at_rest($node);
done_testing();
