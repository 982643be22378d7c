# One server, several collectors: equal keys still meet, and what the server is
# allowed holds for all of them together.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $far = start_node('far', conf => 'max_connections = 200');
my $node = start_node('local', conf => <<'EOF_CONF');
concresce.workers = 3
concresce.max_connections = 7
concresce.sharded_servers = 'far, ten , "Forty", others'
max_connections = 200
EOF_CONF
make_far($node, $far);
make_strict($far);
my $options = far_options($far);
$node->safe_psql('postgres', 'CREATE EXTENSION postgres_fdw;'
	. make_server('ten', "$options, max_batches_per_second '10'")
	. make_server('"Forty"', "$options, max_items_per_second '40'")
	. make_server('two', $options)
	. "CREATE SERVER others FOREIGN DATA WRAPPER postgres_fdw OPTIONS ($options); CREATE USER MAPPING FOR PUBLIC SERVER others OPTIONS (password_required 'false');"
	. define('ten', 'ten(n int)' => 'int STABLE' => 'SELECT strict_batches(collect(n))')
	. define('Forty', 'forty(n int)' => 'int STABLE' => 'SELECT strict_batches(collect(n))')
	. define('others', 'others(n int)' => 'int STABLE SET concresce.max_batches_per_second = 2' => 'SELECT strict_batches(collect(n))')
	. define('two', 'two(n int)' => 'int STABLE' => 'SELECT n')
	. define('far', 'write(n int)' => 'void VOLATILE' => 'INSERT INTO log SELECT unnest(collect(n))',
		'same()' => 'int VOLATILE' => 'SELECT gate FROM gate(1)',
		'write_gate(n int)' => 'void VOLATILE SET concresce.max_size = 1' => 'SELECT gate(n)')
	. define('ten', 'write_ten(n int)' => 'void VOLATILE SET concresce.max_size = 1' => 'SELECT strict_batches(collect(n))')
	. define('', 'here(n int)' => 'int STABLE' => 'SELECT n',
		'here_slowly(n int)' => 'int STABLE SET concresce.max_batches_per_second = 1000 SET concresce.max_size = 1' => 'SELECT n'));
my @collectors = split /\n/, $node->safe_psql('postgres', 'SELECT pid FROM concresce.collectors ORDER BY worker');
is(scalar @collectors, 3, 'three collectors');

sub connections { return $node->safe_psql('postgres', qq{SELECT count(*) FROM concresce.connections WHERE server = '$_[0]'}) }

# ---- rows ------------------------------------------------------------------

$far->safe_psql('postgres', 'SELECT pg_stat_statements_reset()');
is($node->safe_psql('postgres', "SELECT count(*) FROM generate_series(1, 3000) k WHERE v((k - 1) % 1000 + 1) = 'v' || (k - 1) % 1000 + 1"),
	3000, 'each row has its own') or diag($node->safe_psql('postgres', 'SELECT v(1), v(2)'));
cmp_ok(foreign_queries($far), '<=', 3 * 7, 'a round is a query for each collector, at most');
is($node->safe_psql('postgres', "SELECT count(*) FROM generate_series(1, 3000) k WHERE v(k) IS NULL"), 2000, 'also if there is none');
is($node->safe_psql('postgres', 'SELECT string_agg(v(k::int), $$,$$ ORDER BY k) FROM (VALUES (3), (1), (3), (1000), (2)) x (k)'),
	'v1,v2,v3,v3,v1000', 'in a small round, too');
is(attempt($node, q{SET statement_timeout = '30s'; SELECT count(v(k)) FROM generate_series(1, 30) k}, max_window => '60s', max_size => 30)->out,
	30, 'a round that is a full batch waits for no company');
is(attempt($node, 'SELECT div(k) FROM generate_series(-20, 20) k')->sqlstate, '22012', "a row's error is raised");
is(attempt($node, 'SELECT sum(div(k)) FROM generate_series(1, 20) k')->out, 3590, 'others have their results');
is(attempt($node, 'SELECT * FROM (SELECT div(20 - k) FROM generate_series(0, 40) k OFFSET 0) x LIMIT 20')->sqlstate, '', 'an error of a row that is not wanted is not');
is($node->safe_psql('postgres', q{SELECT concresce.gather(array_agg(concresce.submit('v', k) ORDER BY k)) FROM generate_series(1, 12) k}),
	'{' . join(',', map { "v$_" } 1 .. 12) . '}', 'futures');

# ---- equal keys meet -------------------------------------------------------

my $gate = close_gate($far);
my @calls = map { my $n = $_; map { call($node, "SELECT gate($n)") } 1 .. 4 } 1 .. 12;
push @calls, call($node, 'SELECT sum(gate(k)) FROM generate_series(1, 12) k');
poll($node, 'SELECT sum(active + queued) = 60 FROM concresce.stats');
poll_far($far, 7);
is(connections('far'), 7, 'all collectors together have max_connections');
cmp_ok($far->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'concresce'}), '<=', 7, 'over there as well');
open_gate($gate);
is(join(',', map { $_->out } finish_all(@calls)), join(',', (map { (10 * $_) x 4 } 1 .. 12), 780), 'all have their answers');
is($node->safe_psql('postgres', q{SELECT calls, coalesced FROM concresce.stats WHERE function::text LIKE 'gate%'}), '60|48', 'each key was looked up once');

# ---- each collector has its own keys ---------------------------------------

kill 'STOP', $collectors[1];
@calls = map { call($node, "SELECT v($_)") } 1 .. 30;
poll($node, q{SELECT count(*) BETWEEN 1 AND 29 AND count(*) = (SELECT sum(active + queued) FROM concresce.stats)
	FROM concresce.in_flight WHERE state = 'submitted'});
kill 'CONT', $collectors[1];
is(join(',', map { $_->out } finish_all(@calls)), join(',', map { "v$_" } 1 .. 30), 'one that is held up has a part of the keys');

$gate = close_gate($far);
my $futures = call($node, "SELECT concresce.gather(array_agg(concresce.submit('same')), NULL::int) FROM generate_series(1, 12)", max_size => 1);
poll_far($far, 7);
open_gate($gate);
is($futures->out, '{' . join(',', (10) x 12) . '}', 'calls that need not meet are spread though they are equal');

# ---- limits ----------------------------------------------------------------

foreach my $case ([ 'ten', 50, 10 ], [ 'others', 12, 2 ])
{
	my ($lookup, $n, $limit) = @$case;

	$far->safe_psql('far', 'TRUNCATE seen');
	my $began = time;
	@calls = finish_all(map { call($node, "SELECT sum($lookup(k * $n + $_)) FROM generate_series(1, 3) k") } 1 .. $n);
	is(join('', map { $_->sqlstate } @calls), '', "$lookup: none of $n callers fails");
	cmp_ok($far->safe_psql('far', 'SELECT count(*) FROM seen'), '<=', $limit * (2 + int(time - $began)), 'no more batches than that');
	unlike(refused($far), qr/query/, 'in no second more than ten');
}
$far->safe_psql('far', 'TRUNCATE seen');
is(attempt($node, 'SELECT count(forty(k)) FROM generate_series(1, 150) k', timeout => '60s')->out, 150, 'forty items a second');
unlike(refused($far), qr/item/, 'in no second more');

# ---- room ------------------------------------------------------------------

# what one part of a round takes up is not what the others lack
$node->append_conf('postgresql.conf', 'concresce.queue_size = 5');
$node->reload;
poll($node, q{SELECT current_setting('concresce.queue_size') = '5'});
foreach my $on_full (qw(error wait))
{
	is(attempt($node, 'SELECT count(v(k)) FROM generate_series(1, 300) k', on_full => $on_full)->out, 300,
		"a round that is larger than the queue, with on_full = $on_full");
}
$gate = close_gate($far);
@calls = map { call($node, "SELECT gate($_)", max_size => 1) } 201 .. 220;
poll($node, 'SELECT sum(queued) = 5 FROM concresce.stats');
my @stopped = map { call($node, 'SELECT sum(gate(k)) FROM generate_series(301, 330) k', app => $_) } qw(cancel terminate);
poll($node, q{SELECT count(*) = 2 FROM pg_stat_activity WHERE application_name IN ('cancel', 'terminate')
	AND wait_event_type = 'Extension' AND pid NOT IN (SELECT pid FROM concresce.in_flight)});
$stopped[0]->signal('pg_cancel_backend');
$stopped[1]->signal('pg_terminate_backend');
is(join(',', map { $_->sqlstate } finish_all(@stopped)), '57014,57P01', 'who waits for room can be stopped');
open_gate($gate);
is(join(',', map { $_->out } finish_all(@calls)), join(',', map { 10 * $_ } 201 .. 220), 'others have their answers');
at_rest($node, 'and all room is given back');
$node->append_conf('postgresql.conf', 'concresce.queue_size = 10000');
$node->reload;

# ---- turns -----------------------------------------------------------------

# each shard keeps a connection within reach of what is fast
$node->safe_psql('postgres', define('far', 'slow(n int)' => 'int STABLE SET concresce.max_size = 1' => 'SELECT n FROM pg_sleep(0.3)'));
attempt($node, 'SELECT slow(k), v(k) FROM generate_series(1, 9) k');
$node->safe_psql('postgres', 'CREATE OR REPLACE FUNCTION slow(n int) RETURNS int LANGUAGE concresce STABLE SET concresce.server = far SET concresce.max_size = 1 AS $$ SELECT gate(n) FROM pg_sleep(0.3) $$');
attempt($node, 'SELECT slow(k) FROM generate_series(1, 9) k');
attempt($node, 'SELECT v(k) FROM generate_series(1, 9) k');
$gate = close_gate($far);
@calls = map { call($node, "SELECT slow($_)") } 10 .. 60;
poll($far, q{SELECT count(*) >= 4 FROM pg_stat_activity WHERE application_name = 'concresce' AND state = 'active'});
is(attempt($node, 'SELECT count(v(k)) FROM generate_series(1, 60) k', timeout => '30s')->out, 60, 'a fast lookup is not held up by a slow one');
open_gate($gate);
finish_all(@calls);

# ---- what is not shared out ------------------------------------------------

$far->safe_psql('far', 'TRUNCATE log');
is(attempt($node, "SELECT concresce.enqueue('write', k) FROM generate_series(1, 500) k; SELECT concresce.flush()")->err, '', 'what is enqueued');
is($far->safe_psql('far', 'SELECT count(DISTINCT n), count(*) FROM log'), '500|500', 'arrives');
is($node->safe_psql('postgres', 'SELECT sum(here(k)) FROM generate_series(1, 100) k'), 5050, 'local lookups');
is(attempt($node, q{SET statement_timeout = '15s'; SELECT sum(here_slowly(k)) FROM generate_series(1, 40) k})->out, 820, 'and all of what they are allowed');
$gate = close_gate($far);
$node->safe_psql('postgres', 'CREATE FUNCTION two_gate(n int) RETURNS int LANGUAGE concresce STABLE SET concresce.server = two SET concresce.max_size = 1 AS $$ SELECT gate(n) $$');
@calls = map { call($node, "SELECT two_gate($_)") } 1 .. 12;
poll_far($far, 7);
is(connections('two'), 7, 'a server that is not listed has one collector');
open_gate($gate);
finish_all(@calls);

# by its name: also if that was given to it just now
$node->safe_psql('postgres', 'ALTER SERVER two RENAME TO "Two, or more"; ALTER SERVER others RENAME TO two; ALTER SERVER "Two, or more" RENAME TO others; ALTER FUNCTION two_gate(int) SET concresce.server = others');
$far->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'concresce'});
poll($node, q{SELECT NOT EXISTS (SELECT FROM concresce.connections WHERE state <> 'closed')});
$gate = close_gate($far);
@calls = map { call($node, "SELECT two_gate($_)") } 13 .. 40;
poll_far($far, 7);
is($far->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'concresce'}), 7, 'one that was renamed has no more than that');
open_gate($gate);
is(join(',', map { $_->out } finish_all(@calls)), join(',', map { 10 * $_ } 13 .. 40), 'and answers');

# ---- commands reach all of them --------------------------------------------

$gate = close_gate($far);
@calls = map { call($node, "SELECT gate($_)") } 1 .. 12;
poll($node, 'SELECT sum(active + queued) = 12 FROM concresce.stats');
$node->safe_psql('postgres', q{SELECT concresce.forget('gate', 5)});
push @calls, call($node, 'SELECT gate(5)');
poll($node, 'SELECT sum(active + queued) = 13 FROM concresce.stats');
is($node->safe_psql('postgres', q{SELECT coalesced FROM concresce.stats WHERE function::text LIKE 'gate%'}), 48, 'forget() is heard by the one that has the key');
$node->safe_psql('postgres', q{SELECT concresce.stop('gate', true)});
is(join(',', map { $_->sqlstate } finish_all(@calls)), join(',', ('57014') x 13), 'stop() by force ends the calls of all');
$node->safe_psql('postgres', q{SELECT concresce.start('gate')});
open_gate($gate);
is(attempt($node, 'SELECT sum(gate(k)) FROM generate_series(1, 12) k')->out, 780, 'they are made again');
$node->safe_psql('postgres', q{SELECT concresce.switch_off('far')});
my %states = map { attempt($node, "SELECT v($_)")->sqlstate => 1 } 1 .. 6;
is(scalar keys %states, 1, 'a server that is switched off is so for all');
$node->safe_psql('postgres', q{SELECT concresce.switch_on('far')});
is(attempt($node, 'SELECT count(v(k)) FROM generate_series(1, 12) k')->out, 12, 'and on again');

# ---- a collector that ends -------------------------------------------------

my $answered = answered($node, 'gate');
$gate = close_gate($far);
@calls = map { call($node, "SELECT gate($_)") } 1 .. 12;
my $scan = call($node, 'SELECT sum(gate(k)) FROM generate_series(1, 12) k');
poll($node, 'SELECT sum(active + queued) = 24 FROM concresce.stats');
kill 'TERM', $collectors[1];
poll($node, "SELECT count(*) FILTER (WHERE pid IS NOT NULL) = 3 AND bool_and(pid IS DISTINCT FROM $collectors[1]) FROM concresce.collectors");
open_gate($gate);
my %ends;
$ends{ $_->sqlstate }++ for finish_all(@calls);
is(join(',', sort keys %ends), ',57000', 'calls of one that ends fail, others do not');
is($scan->out, 780, 'a scan asks again');
is(answered($node, 'gate') - $answered, $ends{''} + 12, 'for what has no answer, and nothing else');

# what is enqueued is sent by another process then
sub end_collectors
{
	my $pids = $node->safe_psql('postgres', q{SELECT string_agg(pid::text, ',') FROM concresce.collectors});

	kill 'TERM', split(/,/, $pids);
	poll($node, "SELECT count(pid) = 3 AND bool_and(pid NOT IN ($pids)) FROM concresce.collectors");
	return;
}
$far->safe_psql('far', 'TRUNCATE seen, refused');
attempt($node, "SELECT concresce.enqueue('write_ten', k) FROM generate_series(1, 100) k");
poll($node, q{SELECT sum(active) > 0 FROM concresce.stats WHERE function::text LIKE 'write_ten%'});
end_collectors();
$far->poll_query_until('far', 'SELECT count(*) > 15 FROM seen');
is(refused($far), '', 'within its limit');
$node->safe_psql('postgres', q{SELECT concresce.discard('write_ten')});
$gate = close_gate($far);
attempt($node, "SELECT concresce.enqueue('write_gate', k) FROM generate_series(1, 100) k");
poll($node, q{SELECT sum(active) > 0 FROM concresce.stats WHERE function::text LIKE 'write_gate%'});
end_collectors();
@calls = map { call($node, "SELECT gate($_)", max_size => 1) } 1 .. 30;
poll($node, q{SELECT count(*) >= 7 FROM concresce.connections WHERE server = 'far' AND state = 'active'});
poll($node, q{SELECT sum(active + queued) = 30 FROM concresce.stats WHERE function::text LIKE 'gate%'});
is(connections('far'), 7, 'over no more connections than there may be');
open_gate($gate);
is(join(',', map { $_->out } finish_all(@calls)), join(',', map { 10 * $_ } 1 .. 30), 'beside calls');
$node->safe_psql('postgres', 'SELECT concresce.flush()');
poll($node, 'SELECT sum(active + queued) = 0 FROM concresce.stats');

# ---- fewer than there are --------------------------------------------------

$node->append_conf('postgresql.conf', "concresce.max_connections = 3\nconcresce.idle_timeout = 1");
$node->reload;
poll($node, q{SELECT current_setting('concresce.max_connections') = '3'});
poll($node, q{SELECT NOT EXISTS (SELECT FROM concresce.connections WHERE server = 'far')});
$far->safe_psql('postgres', 'SELECT pg_stat_statements_reset()');
is(attempt($node, 'SELECT count(v(k)) FROM generate_series(1, 10) k')->out, 10, 'a server with three connections');
is(foreign_queries($far), 1, 'is not shared out');
is(connections('far'), 1, 'and has one');
$node->append_conf('postgresql.conf', "concresce.max_connections = 5");
$node->reload;
poll($node, q{SELECT current_setting('concresce.max_connections') = '5'});
$gate = close_gate($far);
@calls = map { call($node, "SELECT gate($_)", max_size => 1) } 1 .. 20;
poll_far($far, 5);
poll($node, 'SELECT sum(active + queued) = 20 FROM concresce.stats');
is(connections('far'), 5, 'one with five has them in two parts');
open_gate($gate);
is(join(',', map { $_->out } finish_all(@calls)), join(',', map { 10 * $_ } 1 .. 20), 'with all answers');

at_rest($node);
$node->stop;

# ---- the list --------------------------------------------------------------

$node->append_conf('postgresql.conf', "concresce.sharded_servers = 'far, '");
$node->start;
like(slurp_file($node->logfile), qr/invalid value for parameter "concresce.sharded_servers".*\n.*List syntax is invalid/, 'a list that is none is refused by name');
is(attempt($node, 'SELECT v(3)')->out, 'v3', 'and counts as empty');

done_testing();
