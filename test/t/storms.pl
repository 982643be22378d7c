# Connections that break, callers that leave and reconnects that fail, all the
# time: no caller hangs, none gets another's answer or another's cancel, and
# the server is not run over.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use Peers;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('local');
make_far($node);

# Call until told to stop; every answer must be the right one, every error of
# a kind that is expected.
$node->safe_psql('postgres', <<'EOF_SQL' . define('far', 'nap(n int)' => 'int STABLE' => 'SELECT n FROM pg_sleep(0.004)'));
CREATE TABLE stop (now bool);
CREATE FUNCTION drum(client int, expected text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	k int := client; right_ones int := 0; state text; message text;
BEGIN
	WHILE NOT EXISTS (SELECT FROM stop) LOOP
		k := (k * 7919 + client) % 1000;
		BEGIN
			IF v(k + 1) IS DISTINCT FROM 'v' || k + 1 THEN
				RETURN 'wrong';
			END IF;
			right_ones := right_ones + 1;
		EXCEPTION WHEN OTHERS OR query_canceled THEN
			GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
			IF state !~ expected THEN
				RETURN state || ' ' || message;
			END IF;
		END;
	END LOOP;
	RETURN CASE WHEN right_ones > 0 THEN 'right' ELSE 'none' END;
END $$;

-- leaves each call after a moment
CREATE PROCEDURE leaver(client int) LANGUAGE plpgsql AS $$
DECLARE
	i int := 0;
BEGIN
	WHILE NOT EXISTS (SELECT FROM stop) LOOP
		i := i + 1;
		PERFORM set_config('concresce.timeout', (1 + i % 7) || 'ms', false);
		BEGIN
			PERFORM nap(client * 1000 + i % 3);
		EXCEPTION WHEN query_canceled THEN
		END;
	END LOOP;
END $$;
EOF_SQL

my $pid = collector_pid($node);

sub stop
{
	my (@drums) = @_;

	$node->safe_psql('postgres', 'INSERT INTO stop VALUES (true)');
	is(join(',', map { $_->out . $_->err } finish_all(@drums)),
		join(',', ('right') x @drums), 'right answers only');
	$node->safe_psql('postgres', 'DELETE FROM stop; SELECT concresce.reset_stats()');
	is(collector_pid($node), $pid, 'the collector is the same');
	at_rest($node);
	return;
}

# ---- broken connections ----------------------------------------------------

my @drums = call_all($node, 8, "SELECT drum(:i, '^08')");
my $broken = 0;
foreach (1 .. 30)
{
	my $calls = $node->safe_psql('postgres', 'SELECT coalesce(sum(calls), 0) FROM concresce.stats');

	$broken += $node->safe_psql('postgres', <<'EOF_SQL');
SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE application_name = 'concresce'
EOF_SQL
	poll($node, "SELECT sum(calls) > $calls + 20 FROM concresce.stats");
}
cmp_ok($broken, '>', 20, "$broken connections were broken under load");
stop(@drums);

# ---- callers that leave ----------------------------------------------------

# Each leaves a foreign query to be cancelled; a cancel that comes late would
# hit the next one on that connection.
@drums = call_all($node, 4, "SELECT drum(:i, '^none\$')");
my @leavers = call_all($node, 4, 'CALL leaver(:i)');
poll($node, 'SELECT sum(timeouts) > 150 FROM concresce.stats');
my $cancels = $node->safe_psql('postgres', 'SELECT sum(timeouts) FROM concresce.stats');
stop(@drums);
is(join('', map { $_->err } finish_all(@leavers)), '', "$cancels cancelled calls hit nobody else");

# ---- a server that is down -------------------------------------------------

# Nobody listens where the proxy leads: it counts who comes.
my $proxy = Proxy->new(PostgreSQL::Test::Cluster::get_free_port());
$node->safe_psql('postgres', 'CREATE SERVER down FOREIGN DATA WRAPPER concresce OPTIONS ('
	  . far_options($node, port => $proxy->port) . '); CREATE USER MAPPING FOR PUBLIC SERVER down;'
	  . define('down', 'v_down(n int)' => 'text STABLE' => 'SELECT v FROM items WHERE id = n') . <<'EOF_SQL');
CREATE FUNCTION knock(n int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	states text := '';
BEGIN
	FOR i IN 1 .. 5 LOOP
		BEGIN
			PERFORM v_down(n + i);
			states := states || 'none ';
		EXCEPTION WHEN OTHERS THEN
			states := states || sqlstate || ' ';
		END;
	END LOOP;
	RETURN trim(states);
END $$;
EOF_SQL
my @knocks = finish_all(call_all($node, 16, 'SELECT knock(:i * 10)'));
is(join(',', map { $_->out } @knocks), join(',', ('08001 08001 08001 08001 08001') x 16),
	'a server that is down: everybody is told');
cmp_ok($proxy->ask('accepted'), '<', 40, 'in far fewer attempts than the 80 calls');
at_rest($node);

# ---- memory ----------------------------------------------------------------

SKIP:
{
	skip 'no /proc to look at', 1 unless -e "/proc/$pid/status";
	my $memory = sub { return slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+)/m ? $1 : 0 };
	my $load = sub {
		my ($transactions, $name) = @_;

		$node->pgbench("--no-vacuum --client=8 --transactions=$transactions", 0, [qr{processed}], [qr{}], $name,
			{ $name => q{\set k random(1, 1000)
SELECT v(:k);
} });
	};
	$load->(500, 'storms_warm');
	my $before = $memory->();
	$load->(2500, 'storms_long');
	cmp_ok($memory->() - $before, '<', 512, '20,000 calls leave the collector as small as it was (kB)');
	at_rest($node);
}

done_testing();
