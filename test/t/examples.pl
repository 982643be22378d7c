# The applications of examples/ do what their pages say: the commands are run
# as they are written there, and the far side sees as many queries as it should.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Utils;
use Test::More;

my $VISITORS = 20;
my $ORDERS = 25;
my $EXAMPLES = "$FindBin::RealBin/../../examples";
my $folder = PostgreSQL::Test::Utils::tempdir;
my $node = start_node('examples', extension => 0);

$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;
$ENV{PGUSER} = $node->safe_psql('postgres', 'SELECT current_user');
$ENV{PGDATABASE} = 'postgres';
$ENV{NODE_PATH} = join(':', grep { $_ } $ENV{NODE_PATH}, '/usr/share/nodejs');

# Which Python is the first one is not said that has psycopg.
my ($python) = grep { -x && works($_, '-c', 'import psycopg') } map { "$_/python3" } split(/:/, $ENV{PATH}), '/usr/bin';
if ($python)
{
	symlink($python, "$folder/python3") or die "symlink: $!";
	$ENV{PATH} = "$folder:$ENV{PATH}";
}

sub works
{
	my (@command) = @_;
	my $out;

	return eval { IPC::Run::run(\@command, '<', \undef, '>', \$out, '2>&1') };
}

# The commands of a page, one a line.
sub commands
{
	my ($application) = @_;
	my ($block) = slurp_file("$EXAMPLES/$application/README.md") =~ /^```sh\n(.*?)^```$/ms;

	return split(/\n/, $block);
}

# What a command prints.
sub in_folder
{
	my ($application, $command) = @_;
	my $out;

	ok(IPC::Run::run([ 'sh', '-c', "cd $EXAMPLES/$application && exec $command" ],
			'<', \undef, '>', \$out, '2>&1', IPC::Run::timeout($Concresce::LIMIT)), "$application: $command")
	  or diag($out);
	return $out;
}

# Queries for the pages, and for the ten best.
sub counts
{
	my ($printed) = @_;
	my @counts = $printed =~ /\A$VISITORS visitors at once, $ORDERS orders each: (\d+) foreign queries, [\d.]+ s
the ten best of all 500 orders: (\d+) foreign queries, [\d.]+ s
500 orders were shown, such as order 20 of user 8381, who has score 139
The best is order \d+, with score 999\n\z/;

	ok(@counts, 'what is printed') or diag($printed);
	return @counts;
}

sub run_application
{
	my ($application) = @_;
	my ($setup, $without, $with) = commands($application);
	my @printed;

	is(scalar(commands($application)), 3, "$application: three commands");
	unlike(in_folder($application, $setup), qr/ERROR|WARNING/, "$application: the set-up has no error");

	@printed = counts(in_folder($application, $without));
	is("@printed", '500 500', "$application: each order is a foreign query");

	@printed = counts(in_folder($application, $with));
	is($printed[1], '1', "$application: with concresce, the ten best are one");

	# How many calls come within 2 ms is nobody's promise. This waits for all visitors.
	$node->safe_psql('example_shop',
		"ALTER FUNCTION user_score SET concresce.max_window = '60s' SET concresce.max_size = $VISITORS");
	@printed = counts(in_folder($application, $with));
	is($printed[0], $ORDERS, "$application: with concresce, all visitors share each query");
	like(in_folder($application, 'psql -f ../cleanup.sql'), qr/^DROP ROLE$/m, "$application: cleaned up");
	is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_database WHERE datname LIKE 'example%'}),
		'0', "$application: nothing is left");
	return;
}

SKIP:
{
	skip('no python3 has psycopg', 1) unless $python;
	run_application('python');
}
SKIP:
{
	skip('node does not find pg', 1) unless works('sh', '-c', "cd $EXAMPLES/node && exec node -e 'require(\"pg\")'");
	run_application('node');
}

done_testing();
