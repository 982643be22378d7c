# Every item that is committed arrives, none that is rolled back does: 100
# sessions enqueue 1,000 items each, of which they roll back some, by savepoint
# or by transaction, while the foreign server is restarted twice and the
# collector once.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Utils;
use Test::More;

my $SESSIONS = 100;
my $ITEMS = 1000;
my $seed = $ENV{CONCRESCE_SEED} // int(rand(1_000_000));
diag("CONCRESCE_SEED=$seed");

my $far = start_node('far', extension => 0);
# Sessions cannot finish while the server is down: the queue is too small.
my $node = start_node('local', conf => <<'EOF_CONF');
max_connections = 150
concresce.workers = 2
concresce.queue_size = 2000
EOF_CONF
make_far($node, $far);
$far->safe_psql('far', 'CREATE TABLE events (id bigint)');
$node->safe_psql('postgres', define('far', 'log_event(id bigint)' => 'void VOLATILE' =>
		"INSERT INTO events SELECT * FROM unnest(collect(id))") . <<'EOF_SQL');
CREATE TABLE committed (id bigint);
CREATE PROCEDURE work(session int, items int, seed int) LANGUAGE plpgsql AS $$
DECLARE
	next_id bigint := session::bigint * items;
	end_id bigint := next_id + items;
	n int;
BEGIN
	PERFORM setseed((seed + session) % 1000 / 1000.0);
	WHILE next_id < end_id LOOP
		n := least(1 + floor(random() * 20), end_id - next_id);
		FOR i IN 1 .. n LOOP
			BEGIN
				PERFORM concresce.enqueue('log_event', next_id);
				INSERT INTO committed VALUES (next_id);
				next_id := next_id + 1;
				IF random() < 0.1 THEN
					RAISE EXCEPTION 'back to the savepoint';
				END IF;
			EXCEPTION WHEN raise_exception THEN
				NULL;
			END;
		END LOOP;
		IF random() < 0.2 THEN
			ROLLBACK;
		ELSE
			COMMIT;
		END IF;
	END LOOP;
END $$;
EOF_SQL

append_to_file($node->basedir . '/work.sql', "CALL work(:client_id, $ITEMS, $seed);\n");
my ($out, $err) = ('', '');
my $work = IPC::Run::start(
	[
		$node->installed_command('pgbench'), '-n', '-c', $SESSIONS, '-j', 2, '-t', 1,
		'-f', $node->basedir . '/work.sql', '-h', $node->host, '-p', $node->port, 'postgres'
	],
	'>', \$out, '2>', \$err, IPC::Run::timeout($Concresce::LIMIT));

sub when_sent
{
	my ($n) = @_;

	return poll($node, "SELECT coalesce(sum(calls), 0) > $n FROM concresce.stats");
}

when_sent(10_000);
$far->stop('fast');
$far->start;
when_sent(40_000);
$far->stop('immediate');
$far->start;
when_sent(55_000);
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'concresce collector'");
$work->finish;
is($err =~ s/^pgbench .*\n//mr, '', 'nobody is told of an error');
ok($node->poll_query_until('postgres', 'SELECT sum(queued + active) = 0 FROM concresce.stats'), 'all is sent');

my $digest = "md5(coalesce(string_agg(id::text, ',' ORDER BY id), ''))";
my $committed = $node->safe_psql('postgres', "SELECT count(*), $digest FROM committed");
my $arrived = $far->safe_psql('far', "SELECT count(*), $digest FROM (SELECT DISTINCT id FROM events) e");
my ($n) = split(/\|/, $committed);
my $duplicates = $far->safe_psql('far', 'SELECT count(*) - count(DISTINCT id) FROM events');

is($arrived, $committed, 'what is committed arrives, and nothing else');
cmp_ok($n, '<', 0.9 * $SESSIONS * $ITEMS, 'some was rolled back');
cmp_ok($n, '>', 0.5 * $SESSIONS * $ITEMS, 'but not all');
diag("$n items committed, $duplicates of them arrived twice");
# What was in flight when the server went down, twice, and the collector.
cmp_ok($duplicates, '<=', 3 * 4 * 1000, 'no more arrives twice than was in flight');
is($node->safe_psql('postgres', 'SELECT calls, errors, discarded FROM concresce.stats'), "$n|0|0", 'each is counted once');
at_rest($node);

done_testing();
