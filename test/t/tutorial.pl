# The tutorial and the migration guide work as they stand: all of their SQL is
# run as it is written there, and prints what is shown there.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Documents;
use Test::More;

my $node = start_strict_node('tutorial');
my @tutorial = blocks('doc/tutorial.md');

paste($node, 'postgres', @tutorial);
# The migration guide asks for the tutorial's set-up, which is tidied up by now.
paste($node, 'postgres', @tutorial[ 0 .. 1 ], blocks('doc/migrating.md'));
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_database WHERE datname IN ('near', 'far')"),
	'0', 'both have tidied up');

done_testing();
