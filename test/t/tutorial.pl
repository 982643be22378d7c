# The tutorial and the migration guide work as they stand: all of their SQL is
# run as it is written there, and prints what is shown there.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use Documents;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('tutorial', extension => 0);

$node->safe_psql('postgres', q{CREATE ROLE boss SUPERUSER LOGIN PASSWORD 'boss'});
unlink($node->data_dir . '/pg_hba.conf');
$node->append_conf('pg_hba.conf', "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256");
$node->reload;

my @tutorial = blocks('doc/tutorial.md');

paste($node, @tutorial);
# The guide asks for the tutorial's set-up, which the tutorial has tidied up.
paste($node, @tutorial[ 0 .. 1 ], blocks('doc/migrating.md'));
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_database WHERE datname IN ('near', 'far')"),
	'0', 'both have tidied up');

done_testing();
