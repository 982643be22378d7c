# Roles take turns for the connections of a server, by the time for which they use them.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('local', conf => "concresce.max_connections = 1");
make_far($node);
$node->safe_psql('postgres', "CREATE ROLE ann LOGIN; CREATE ROLE bob LOGIN; GRANT USAGE ON FOREIGN SERVER far TO PUBLIC;
	ALTER USER MAPPING FOR PUBLIC SERVER far OPTIONS (ADD user '" . $node->safe_psql('postgres', 'SELECT current_user') . "', ADD password_required 'false')");
$node->safe_psql('postgres', define('far',
	'seldom(n int)' => 'int STABLE SET concresce.max_batches_per_second = 1 SET concresce.max_size = 1' => 'SELECT n',
	'anns(n int)' => 'int STABLE SET concresce.max_size = 1' => 'SELECT n FROM pg_sleep(0.02)',
	'bobs(n int)' => 'int STABLE SET concresce.max_size = 1' => 'SELECT n FROM pg_sleep(0.02)'));

# A role whose lookup is held back by its rate saves nothing up for its others.
my $waits = call($node, "SELECT count(seldom(i)) FROM generate_series(1, 14) i", user => 'ann');
my @bobs = call_all($node, 2, 'SELECT count(bobs(1000 * :i + n)) FROM generate_series(1, 250) n', user => 'bob');
$_->finish foreach @bobs;
my $anns = call($node, 'SELECT count(anns(n)) FROM generate_series(1, 250) n', user => 'ann');
$anns->waiting;
my $slowest = 0;
foreach my $n (1 .. 10)
{
	my $seconds = timed(sub { attempt($node, "SELECT bobs(-$n)", user => 'bob') });
	$slowest = $seconds if $seconds > $slowest;
}
cmp_ok($slowest, '<', 2.5, 'a role that was held back by a rate saves nothing up');
$_->finish foreach $anns, $waits;
at_rest($node);
done_testing();
