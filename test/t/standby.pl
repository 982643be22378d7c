# A hot standby may call lookups, and goes on when it is promoted.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Cluster;
use Test::More;

my $primary = start_node('primary', init => { allows_streaming => 1 });
make_far($primary);
$primary->safe_psql('postgres', <<'EOF_SQL');
CREATE FUNCTION here() RETURNS text LANGUAGE concresce STABLE
AS $$ SELECT current_user || ' ' || current_setting('work_mem') || ' ' || current_setting('session_replication_role') $$;
CREATE ROLE nobody;
ALTER ROLE nobody SET work_mem = '7MB';
ALTER ROLE postgres SET session_replication_role = replica;
EOF_SQL
$primary->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'copy', has_streaming => 1);
$standby->start;

is($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()'), 't', 'a standby');
is(attempt($standby, 'SELECT v(1)')->out, 'v1', 'calls a lookup');
my @calls = finish_all(call_all($standby, 5, 'SELECT v(:i)', max_window => '60s', max_size => 5));
is(join(',', map { $_->out } @calls), 'v1,v2,v3,v4,v5', 'in batches');
is($standby->safe_psql('postgres', "SELECT calls, batches FROM concresce.stats"), '6|2', 'and counts them');
is(attempt($standby, 'SELECT vgate(1)')->out, '10', 'writes, too: they are the other server\'s');
is(attempt($standby, "SELECT concresce.enqueue('vgate', 2); SELECT concresce.flush()")->out, "\n1", 'and enqueued ones');
is(attempt($standby, 'SET ROLE nobody; SELECT here()')->out, 'nobody 7MB origin', 'and local ones, as whoever calls');
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
$primary->safe_psql('postgres', define('far', 'later(n int)' => 'int STABLE' => 'SELECT n + 1'));
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is(attempt($standby, 'SELECT later(1)')->out, '2', 'a lookup that was defined later');

my $session = $standby->background_psql('postgres');
is($session->query_safe('SELECT v(6)'), 'v6', 'a session');
$standby->promote;
is($session->query_safe('SELECT v(7)'), 'v7', 'goes on after the promotion');
$session->quit;
at_rest($standby);

done_testing();
