# Queries as frameworks write them, over a shop whose prices, stocks and customers
# are on another server: test/shop. Each brings the same rows as row by row, and
# asks a thousandth as often, and three times more.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Utils;
use Test::More;

my $shop = "$FindBin::RealBin/../shop";
my $node = start_node('local');
$node->safe_psql('postgres', 'CREATE DATABASE far');
$node->safe_psql('far', slurp_file("$shop/far.sql"));
$node->safe_psql('postgres', slurp_file("$shop/schema.sql"));
$node->safe_psql('postgres', make_server('far', far_options($node)));
$node->safe_psql('postgres', slurp_file("$shop/lookups.sql"));

# The rows of a query and what it leaves in the tables, and by lookup how many
# were asked for in how many foreign queries.
sub run
{
	my ($query, $batched) = @_;
	my $out = $node->safe_psql('postgres', <<"EOF_SQL");
SET concresce.enable_batchscan = $batched;
SELECT concresce.reset_stats_all();
BEGIN;
$query;
SELECT 'priced', * FROM priced;
SELECT 'inactive', id FROM products WHERE NOT active;
ROLLBACK;
SELECT '--', function, items, batches FROM concresce.stats WHERE batches > 0;
EOF_SQL
	my @lines = grep { $_ ne '' } split /\n/, $out;
	my %asked = map { (split /\|/)[1] => [ (split /\|/)[2, 3] ] } grep { /^--\|/ } @lines;

	return (join("\n", sort grep { !/^--\|/ } @lines), \%asked);
}

my ($one_by_one, $together, $nqueries) = (0, 0, 0);
foreach (split /^-- /m, slurp_file("$shop/queries.sql"))
{
	my ($name, $query) = /^([\w ]+: .*)\n(.*);\s*\z/s or next;
	my ($plain, $rows) = run($query, 'off');
	my ($out, $asked) = run($query, 'on');

	is($out, $plain, "$name: the rows");
	my @often = grep { $asked->{$_}[1] > $rows->{$_}[0] / 1000 + 3 } sort keys %$asked;
	is(join(', ', map { "$_ $rows->{$_}[0] rows $asked->{$_}[1] queries" } @often), '', "$name: asked together");
	cmp_ok(scalar keys %$rows, '>', 0, "$name: something is asked for");
	$one_by_one += $_->[1] foreach values %$rows;
	$together += $_->[1] foreach values %$asked;
	$nqueries++;
}
cmp_ok($nqueries, '>=', 40, 'there are forty');
note("$nqueries queries: $one_by_one foreign queries row by row, $together together");
done_testing();
