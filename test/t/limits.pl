# What a server is spared: rates, calls that fail at once while it is down,
# connections that are renewed, and links that are shared out by time.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $far = start_node('far', extension => 0, conf => "listen_addresses = '127.0.0.1'\nmax_connections = 200");
my $node = start_node('local', conf => "max_connections = 200");
make_far($node, $far);

make_strict($far);
my $options = far_options($far);
$node->safe_psql('postgres', join('', map { make_server($_->[0], "$options, $_->[1]") }
		[ 'ten', "max_batches_per_second '10'" ], [ 'forty', "max_items_per_second '40'" ], [ 'fast', "fail_fast 'true'" ])
	. 'CREATE EXTENSION postgres_fdw; CREATE SERVER other FOREIGN DATA WRAPPER postgres_fdw OPTIONS (' . $options . "); CREATE USER MAPPING FOR PUBLIC SERVER other OPTIONS (password_required 'false');"
	. define('ten', 'ten(n int)' => 'int STABLE' => 'SELECT strict_batches(collect(n))')
	. define('forty', 'forty(n int)' => 'int STABLE' => 'SELECT strict_batches(collect(n))')
	. define('other', 'others(n int)' => 'int STABLE' => 'SELECT strict_batches(collect(n))')
	. define('fast', 'fast(n int)' => 'int STABLE' => 'SELECT n')
	. 'ALTER FUNCTION others SET concresce.max_batches_per_second = 10;');

# ---- rates -----------------------------------------------------------------

foreach my $case ([ 'ten', 50, 0 ], [ 'ten', 100, 7 ], [ 'others', 50, 3 ])
{
	my ($lookup, $n, $window) = @$case;

	# other lookups have limits of their own
	$far->safe_psql('far', 'TRUNCATE seen');
	my $began = time;
	my @calls = finish_all(map { call($node, "SELECT sum($lookup(k * $n + $_)) FROM generate_series(1, 3) k", max_window => $window) } 1 .. $n);

	is(join(',', map { $_->sqlstate } @calls), ',' x ($n - 1), "$lookup: none of $n callers fails");
	my $sent = $far->safe_psql('far', 'SELECT count(*) FROM seen');
	cmp_ok($sent, '<=', 10 * (2 + int(time - $began)), 'no more batches than that');
	unlike(refused($far), qr/query/, 'in no second more than ten');
}
foreach my $n (50, 200)
{
	$far->safe_psql('far', 'TRUNCATE seen');
	my @calls = $n == 50 ? finish_all(map { call($node, "SELECT forty($_)") } 1 .. $n)
	  : (attempt($node, "SELECT count(forty(k)) FROM generate_series(1, $n) k", timeout => '60s'));

	is(join('', map { $_->sqlstate } @calls), '', "forty items a second: none of them fails");
	unlike(refused($far), qr/item/, 'in no second more than forty items');
}
is(attempt($node, 'SELECT v(1)', max_batches_per_second => 5)->out, 'v1', 'a session cannot limit what all use');
like($node->safe_psql('postgres', q{SELECT 1 FROM pg_settings WHERE name = 'concresce.max_batches_per_second'}), qr/1/, 'the setting exists');
foreach my $bad ("max_batches_per_second 'x'", "max_items_per_second '-1'", "max_items_per_second '1000001'", "fail_fast '7'")
{
	isnt(attempt($node, "CREATE SERVER bad FOREIGN DATA WRAPPER concresce OPTIONS ($bad)")->sqlstate, '', "refused: $bad");
}
$far->safe_psql('far', 'TRUNCATE seen');
$node->safe_psql('postgres', "ALTER SERVER ten OPTIONS (DROP max_batches_per_second)");
attempt($node, 'DO $$ BEGIN FOR i IN 901 .. 925 LOOP PERFORM ten(i); END LOOP; END $$');
is(refused($far), 'query', 'without the option there is no limit');
$node->safe_psql('postgres', "ALTER SERVER ten OPTIONS (ADD max_batches_per_second '10')");
$far->safe_psql('far', 'TRUNCATE seen');
attempt($node, 'DO $$ BEGIN FOR i IN 931 .. 955 LOOP PERFORM ten(i); END LOOP; END $$');
is(refused($far), '', 'with it as before, as before');

# ---- fail_fast -------------------------------------------------------------

is(attempt($node, 'SELECT fast(1)')->out, 1, 'a server that is there');
$far->stop('fast');
is(attempt($node, 'SELECT fast(2)')->sqlstate, '08001', 'it is gone');
my @down = finish_all(map { call($node, "SELECT fast($_)") } 3 .. 30);
is(join(',', sort { $a cmp $b } keys %{ { map { $_->sqlstate => 1 } @down } }), '08001', 'calls fail');
my ($slowest) = $node->safe_psql('postgres', q{DO $$ DECLARE began timestamptz := clock_timestamp(); BEGIN
	FOR i IN 1 .. 50 LOOP
		BEGIN PERFORM fast(i); EXCEPTION WHEN OTHERS THEN NULL; END;
	END LOOP;
	RAISE NOTICE 'took %', extract(epoch FROM clock_timestamp() - began);
	IF clock_timestamp() - began > interval '2 s' THEN RAISE 'too slow'; END IF; END $$; SELECT 'quick'});
is($slowest, 'quick', 'at once: none waits for the attempt');
like(attempt($node, 'SELECT fast(31)')->err, qr/could not connect to server "fast".*DETAIL:/s, 'and are told why');
$far->start;
ok($node->poll_query_until('postgres', q{SELECT state = 'idle' FROM concresce.connections WHERE server = 'fast'}), 'nobody has to call to find out that it is back');
is(attempt($node, 'SELECT fast(32)')->out, 32, 'then calls are made again');

# ---- max_lifetime ----------------------------------------------------------

$node->append_conf('postgresql.conf', "concresce.max_lifetime = 1\nconcresce.idle_timeout = 0");
$node->reload;
attempt($node, 'SELECT fast(33)');
my $pids = q{SELECT string_agg(pid::text, ',' ORDER BY pid) FROM pg_stat_activity WHERE application_name = 'concresce' AND datname = 'far'};
$node->restart;
is(attempt($node, 'SELECT fast(34)')->out, 34, 'a connection');
my $pid = $far->safe_psql('postgres', $pids);
ok($far->poll_query_until('postgres', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = ANY ('{$pid}'))"), 'it is renewed after its time, also with no idle_timeout');
is(attempt($node, 'SELECT fast(35)')->out, 35, 'and a new one is made');

# ---- reload ----------------------------------------------------------------

$node->append_conf('postgresql.conf', "concresce.max_lifetime = 3600");
$node->reload;
is(attempt($node, 'SELECT fast(36)')->out, 36, 'a connection without an end');
$pid = $far->safe_psql('postgres', $pids);
isnt($pid, '', 'it stays');
$node->append_conf('postgresql.conf', 'concresce.idle_timeout = 1');
$node->reload;
ok($far->poll_query_until('postgres', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = ANY ('{$pid}'))"), 'idle_timeout counts for what is idle already');

# ---- shares ----------------------------------------------------------------

$node->append_conf('postgresql.conf', 'concresce.idle_timeout = 300');
$node->reload;
$node->safe_psql('postgres', define('far', 'slow(n int)' => 'int VOLATILE' => 'SELECT n FROM pg_sleep(0.5)', 'quick(n int)' => 'int VOLATILE' => 'SELECT n'));
attempt($node, 'SELECT quick(0), slow(0), slow(1)');
attempt($node, 'SELECT quick(0)');
my @slow = map { call($node, "SELECT sum(slow($_ + k)) FROM generate_series(1, 4) k", max_size => 1) } 1 .. 8;
ok($node->poll_query_until('postgres', q{SELECT active >= 3 FROM concresce.stats WHERE function = 'slow(int)'::regprocedure}), 'slow batches hold the connections');
my $began = time;
attempt($node, "SELECT quick($_)") foreach 1 .. 20;
my $took = time - $began;
my $alone = do { finish_all(@slow); my $b = time; attempt($node, "SELECT quick($_)") foreach 1 .. 20; time - $b };
cmp_ok($took, '<', 3 * $alone + 0.5, 'a fast lookup does not wait for slow ones');

# A batch that is held up, as by a lock, is no reason to have its lookup wait
# until the others have had as much.
$node->append_conf('postgresql.conf', 'concresce.max_connections = 2');
$node->reload;
$node->safe_psql('postgres', define('far', map { ("busy$_(n int)" => 'int VOLATILE' => 'SELECT n FROM pg_sleep(0.02)') } 1 .. 3));
attempt($node, "SELECT gate($_)") foreach 1 .. 3;
my $gate = close_gate($far);
my $held = call($node, 'SELECT gate(4)');
$held->waiting;
select undef, undef, undef, 4;
open_gate($gate);
is($held->out, 40, 'a batch that was held up');
# Nor is one taken for slow for good as it was so once: a slow one leaves it a link.
$node->safe_psql('postgres', define('far', 'moody(n int)' => 'int VOLATILE' => 'SELECT n FROM pg_sleep(CASE n WHEN 0 THEN 0.3 ELSE 0 END)',
	'stuck(n int)' => 'int VOLATILE' => 'SELECT gate FROM pg_sleep(0.05), gate(n)'));
attempt($node, "SELECT moody($_)") foreach 1 .. 3, 0;
attempt($node, "SELECT stuck($_)") foreach 1 .. 3;
$gate = close_gate($far);
my $stuck = call($node, 'SELECT stuck(4)');
$stuck->waiting;
cmp_ok(timed(sub { attempt($node, 'SELECT moody(1)') }), '<', 3, 'one that was slow once');
open_gate($gate);
$stuck->out;

my @busy = map { call($node, "SELECT sum(busy$_(k)) FROM generate_series(1, 2000) k", max_size => 1) } (1 .. 3) x 2;
ok($node->poll_query_until('postgres', q{SELECT count(*) = 3 FROM concresce.stats WHERE function::text LIKE 'busy%' AND batches > 5}), 'others need all connections');
cmp_ok(timed(sub { attempt($node, 'SELECT gate(5)') }), '<', 3, 'the next one need not wait for its sake');
$_->signal('pg_cancel_backend') foreach @busy;
finish_all(@busy);

at_rest($node);
done_testing();
