# Write-behind when things go wrong: full queues and full memory, a foreign
# server that is down, restarts, or refuses for a while, a collector that is
# restarted, and shutdowns.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Utils;
use Test::More;

my $far = start_node('far', extension => 0);
my $node = start_node('local', conf => <<'EOF_CONF');
concresce.queue_size = 10
concresce.max_connections = 8
concresce.shared_memory = 1MB
log_parameter_max_length_on_error = -1
EOF_CONF
make_far($node, $far);
$far->safe_psql('far', <<'EOF_SQL');
CREATE TABLE events (n int, who text);
CREATE SEQUENCE tries;
-- fails for a passing cause three times; and always for the item 13
CREATE FUNCTION unwilling(ns int[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF nextval('tries') <= 3 OR 13 = ANY (ns) THEN
		RAISE serialization_failure;
	END IF;
	INSERT INTO events SELECT n, 'unwilling' FROM unnest(ns) n;
END $$;
EOF_SQL
$node->safe_psql('postgres', define('far',
	'log_event(n int, who text)' => 'void VOLATILE' =>
	  'INSERT INTO events SELECT * FROM unnest(collect(n), collect(who))',
	'log_gate(n int, who text)' => 'void VOLATILE' =>
	  'INSERT INTO events SELECT u.*  FROM unnest(collect(n), collect(who)) u(n, who), gate(0)',
	'log_gate2(n int, who text)' => 'void VOLATILE' =>
	  'INSERT INTO events SELECT u.*  FROM unnest(collect(n), collect(who)) u(n, who), gate(0)',
	'log_unwilling(n int)' => 'void VOLATILE' => 'SELECT unwilling(collect(n))') . <<'EOF_SQL');
CREATE FUNCTION try_flush() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN concresce.flush();
EXCEPTION WHEN OTHERS OR query_canceled THEN
	RETURN sqlerrm;
END $$;
EOF_SQL

# What has arrived since the last look: how many, how many different.
sub arrived
{
	my ($where) = @_;

	return $far->safe_psql('far', "WITH d AS (DELETE FROM events RETURNING n, who)"
		  . " SELECT count(*), count(DISTINCT (n, who)) FROM d" . ($where ? " WHERE $where" : ''));
}

sub enqueue
{
	my ($function, $items, $who) = @_;

	$who //= 'x';
	return "SELECT count(concresce.enqueue('$function', i, '$who')) FROM generate_series($items) i";
}

sub settled
{
	my ($name) = @_;

	ok($node->poll_query_until('postgres', 'SELECT coalesce(sum(queued + active), 0) = 0 FROM concresce.stats'), $name);
	return;
}

sub log_since
{
	my ($offset) = @_;

	return substr(slurp_file($node->logfile), $offset);
}

# A commit that waits has no answer in flight, but sleeps on us.
sub waits
{
	my ($call) = @_;

	return poll($node, "SELECT wait_event_type = 'Extension' FROM pg_stat_activity WHERE application_name = '$call->{app}'");
}

# ---- a full queue ----------------------------------------------------------

my $gate = close_gate($far);
attempt($node, enqueue('log_gate', '1, 10'));
my $refused = attempt($node, enqueue('log_gate', '11, 11'), on_full => 'error');
is($refused->sqlstate, '53400', 'on_full = error: the commit fails');
like($refused->err, qr/queue of lookup log_gate\(integer,text\) is full/, 'and says why');
my $late = attempt($node, enqueue('log_gate', '12, 12'), timeout => '300ms');
is($late->sqlstate, '57014', 'concresce.timeout ends the wait of a commit');
like($late->err, qr/DETAIL:  It waited 300 ms for room in the queue/, 'and says for what it waited');
my $cancelled = call($node, enqueue('log_gate', '13, 13'));
waits($cancelled);
$cancelled->signal('pg_cancel_backend');
is($cancelled->sqlstate, '57014', 'a cancel, too');
my $killed = call($node, enqueue('log_gate', '14, 14'));
waits($killed);
$killed->signal('pg_terminate_backend');
is($killed->sqlstate, '57P01', 'or the end of the session');

# One larger than the queue has the turn; what comes later waits behind it.
my $large = call($node, enqueue('log_gate', '101, 125'));
waits($large);
my @small = map { call($node, enqueue('log_gate', "$_, $_")) } 201 .. 205;
waits($_) foreach @small;
is($node->safe_psql('postgres', "SELECT queued + active FROM concresce.stats WHERE function::text LIKE 'log_gate(%'"),
	'10', 'no more than queue_size items are in the queue');
is(attempt($node, "SELECT v(7)")->out, 'v7', 'other lookups are not concerned');
open_gate($gate);
is(join(',', map { $_->out } $large, @small), '25,1,1,1,1,1', 'they get in when there is room');
settled('all of it is sent');
is(arrived(), '40|40', 'each arrives once, what was refused does not');

# Two queues, both full, and commits that need both, in either order.
$gate = close_gate($far);
attempt($node, enqueue('log_gate', '1, 10', 'a') . ';' . enqueue('log_gate2', '1, 10', 'b'));
my @both = map {
	my ($a, $b) = $_ % 2 ? ('log_gate', 'log_gate2') : ('log_gate2', 'log_gate');
	my $first = $_ * 100 + 1;
	my $last = $_ * 100 + ($_ > 8 ? 20 : 7);

	call($node, 'BEGIN;' . enqueue($a, "$first, $last", $a) . ';' . enqueue($b, "$first, $last", $b) . '; COMMIT')
} 1 .. 10;
waits($_) foreach @both;
open_gate($gate);
is(join('', map { $_->err } finish_all(@both)), '', 'commits that need several queues do not block each other');
settled('all of it is sent');
is(arrived(), '212|212', 'each arrives once');

# ---- full memory -----------------------------------------------------------

$node->append_conf('postgresql.conf', 'concresce.queue_size = 100000');
$node->reload;
$gate = close_gate($far);
my $wide = "SELECT count(concresce.enqueue('log_gate', i, repeat('x', 1000))) FROM generate_series(1, :n) i";
my $too_much = attempt($node, $wide =~ s/:n/900/r);
is($too_much->sqlstate, '54000', 'more than a transaction may enqueue is refused at once');
attempt($node, $wide =~ s/:n/600/r);
my @wide = map { call($node, $wide =~ s/:n/600/r) } 1 .. 4;
waits($_) foreach @wide;
is(attempt($node, 'SELECT v(8)')->out, 'v8', 'memory that is full of enqueued items has room for calls');
my $starved = attempt($node, $wide =~ s/:n/600/r, timeout => '300ms');
like($starved->err, qr/57014.*DETAIL:  It waited 300 ms for shared memory/s, 'a commit that waits for memory can time out');
open_gate($gate);
is(join(',', map { $_->out } @wide), '600,600,600,600', 'who waits for memory gets it');
settled('all of it is sent');
is(arrived(), '3000|600', 'each arrives once');

# ---- a server that is down -------------------------------------------------

$far->stop('fast');
my $session = $node->background_psql('postgres');
$session->query_safe(enqueue('log_event', '1, 100'));
is(attempt($node, 'SELECT v(1)')->sqlstate, '08001', 'who calls is told at once that the server is down');
poll($node, "SELECT last_error LIKE 'could not connect%' FROM concresce.stats WHERE function::text LIKE 'log_event(%'");
like(attempt($node, 'SELECT v(1)')->sqlstate, qr/^08/, 'and again');
is($node->safe_psql('postgres', "SELECT queued, errors, discarded FROM concresce.stats WHERE function::text LIKE 'log_event(%'"),
	'100|0|0', 'what is enqueued waits');
$far->start;
is($session->query_safe("SELECT concresce.flush('log_event')"), '100', 'when the server is back, it is sent');
is(arrived(), '100|100', 'once');

# The connection is lost while it is carrying them: nobody knows, so again.
$gate = close_gate($far);
$session->query_safe(enqueue('log_gate', '1, 5'));
poll_far($far, 1);
$far->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'concresce'");
open_gate($gate);
is($session->query_safe('SELECT concresce.flush()'), '5', 'what was on a lost connection is sent again');
is(arrived(), '5|5', 'and arrives');

# ---- refused for a while ---------------------------------------------------

$session->query_safe("SELECT concresce.enqueue('log_unwilling', 1)");
is($session->query_safe('SELECT concresce.flush()'), '1', 'a serialization failure is tried again');
is($far->safe_psql('far', 'SELECT last_value FROM tries'), '4', 'until it is none');
is(arrived(), '1|1', 'and arrives');

# One that never gets through does not keep the others from it.
$session->query_safe("SELECT concresce.enqueue('log_unwilling', i) FROM generate_series(10, 19) i");
ok( $far->poll_query_until('far', "SELECT count(*) = 9 FROM events WHERE who = 'unwilling'"),
	'an item that always fails for a passing cause does not keep others back');
is(arrived(), '9|9', 'they arrive once');
attempt($node, "SELECT concresce.stop('log_unwilling', true); SELECT concresce.start('log_unwilling')");
is($session->query_safe('SELECT try_flush()'), '1 of 10 enqueued items of lookup log_unwilling(integer) were discarded',
	'it is given up by force, and the flush tells');

# ---- the log ---------------------------------------------------------------

my $offset = -s $node->logfile;
$node->safe_psql('postgres', define('far',
	'log_typed(i int, f float8, n numeric, t text, d date, b bytea, u uuid, a int[], z timestamp)' => 'void VOLATILE' =>
	  'INSERT INTO events SELECT 1 / x.i FROM unnest(collect(i), collect(f), collect(n), collect(t), collect(d), collect(b), collect(u), collect(z)) x(i)'));
$node->safe_psql('postgres', <<'EOF_SQL');
SELECT concresce.enqueue('log_typed', 0, 1.5, 2.50, $$it's
a text$$, '2026-02-03', '\x00ff', '00000000-0000-0000-0000-00000000000a', '{1,2}', NULL)
EOF_SQL
settled('a bad item is discarded');
my $log = log_since($offset);
like($log, qr/WARNING:  discarded an enqueued item of lookup log_typed\(.*\): division by zero/, 'the log names lookup and error');
like($log, qr/DETAIL:  It was called with \('0', '1.5', '2.50', 'it''s a text', '2026-02-03', '\\x00ff', '00000000-0000-0000-0000-00000000000a', '\{1,2\}', NULL\)/,
	'and shows the arguments');

# ---- the collector is restarted --------------------------------------------

$gate = close_gate($far);
$session->query_safe(enqueue('log_gate', '1, 5'));
poll_far($far, 1);
$session->query_safe(q{SET concresce.max_window = '60s'});
$session->query_safe(enqueue('log_event', '6, 10'));
$session->query_safe(q{ALTER FUNCTION log_event SET concresce.coalesce = 'batch' SET concresce.key = 'n % 2'});
$session->query_safe(enqueue('log_event', '21, 30'));
$session->query_safe('ALTER FUNCTION log_event RESET concresce.coalesce RESET concresce.key');
my $waiting = call($node, enqueue('log_gate2', '11, 15') . '; SELECT concresce.flush()');
poll_far($far, 2);
my $old = collector_pid($node);
$node->safe_psql('postgres', "SELECT pg_terminate_backend($old)");
poll($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'concresce collector' AND pid <> $old");
open_gate($gate);
is($waiting->out, "5\n5", 'a flush goes on when the collector is restarted');
is($session->query_safe("SELECT concresce.flush()"), '20', 'the next one sends what was left');
like(arrived(), qr/\|17$/, 'all of it arrives, but for what has the same key');
is( $node->safe_psql('postgres', "SELECT sum(queued), sum(active) FROM concresce.stats"), '0|0', 'gauges are right');
$session->quit;
at_rest($node);
is(attempt($node, "SET statement_timeout = '30s'; SELECT concresce.stop(); SELECT concresce.start()")->err, '', 'no place is taken');

# ---- shutdown --------------------------------------------------------------

foreach my $mode (qw(fast smart))
{
	$node->append_conf('postgresql.conf', "concresce.max_window = '50s'");
	$node->reload;
	attempt($node, enqueue('log_event', '1, 500', $mode));
	is($far->safe_psql('far', 'SELECT count(*) FROM events'), '0', "$mode shutdown: they wait for company");
	$node->stop($mode);
	is(arrived(), '500|500', "$mode shutdown: they are sent first");
	$node->start;
}

# Local executors stay for what is enqueued.
$node->append_conf('postgresql.conf', "concresce.max_window = 0");
$node->reload;
$node->safe_psql('postgres', 'CREATE TABLE here (n int); CREATE FUNCTION log_here(n int) RETURNS void LANGUAGE concresce'
	  . " SET concresce.max_size = 10 AS 'INSERT INTO here SELECT unnest(collect(n)) FROM pg_sleep(0.1)'");
foreach my $mode (qw(fast smart))
{
	attempt($node, "SELECT concresce.enqueue('log_here', i) FROM generate_series(1, 300) i");
	poll($node, 'SELECT count(*) > 0 FROM here');
	$node->stop($mode);
	$node->start;
	is($node->safe_psql('postgres', 'WITH d AS (DELETE FROM here RETURNING n) SELECT count(*), count(DISTINCT n) FROM d'),
		'300|300', "$mode shutdown: local ones are run first");
}
$node->append_conf('postgresql.conf', "concresce.drain_timeout = '1s'");
$node->reload;
$far->stop('fast');
attempt($node, enqueue('log_event', '1, 7') . ';' . enqueue('log_gate', '1, 3'));
$offset = -s $node->logfile;
my $seconds = timed(sub { $node->stop('fast') });
cmp_ok($seconds, '>=', 0.9, 'a shutdown waits for concresce.drain_timeout');
cmp_ok($seconds, '<', 20, 'and no longer');
$log = log_since($offset);
like($log, qr/WARNING:  7 enqueued items of lookup log_event\(integer,text\) are lost at shutdown/, 'what is lost is said');
like($log, qr/WARNING:  3 enqueued items of lookup log_gate\(integer,text\) are lost at shutdown/, 'of each lookup');
$node->start;

# A server that is the one that shuts down cannot be waited for.
$node->append_conf('postgresql.conf', "concresce.drain_timeout = '50s'\nconcresce.max_window = '50s'");
$node->reload;
$node->safe_psql('postgres', 'CREATE TABLE own (n int); CREATE SERVER own FOREIGN DATA WRAPPER concresce OPTIONS ('
	  . far_options($node, dbname => 'postgres') . '); CREATE USER MAPPING FOR PUBLIC SERVER own;'
	  . define('own', 'log_own(n int)' => 'void VOLATILE' => 'INSERT INTO own SELECT * FROM unnest(collect(n))'));
attempt($node, "SELECT concresce.enqueue('log_own', 1)");
$offset = -s $node->logfile;
$seconds = timed(sub { $node->stop('fast') });
cmp_ok($seconds, '<', 30, 'a loopback server: the shutdown does not wait in vain');
like(log_since($offset), qr/WARNING:  1 enqueued items of lookup log_own\(integer\) are lost at shutdown\n.*DETAIL:  Server "own" is this one, which takes no connections any more/,
	'and says so');
$node->start;

# Local ones with no executor, as the shutdown begins before there is one.
attempt($node, "SET concresce.max_window = '50s'; SELECT concresce.enqueue('log_here', 1)");
$offset = -s $node->logfile;
$seconds = timed(sub { $node->stop('fast') });
cmp_ok($seconds, '<', 30, 'no local executor: the shutdown does not wait in vain');
like(log_since($offset), qr/WARNING:  1 enqueued items of lookup log_here\(integer\) are lost at shutdown\n.*DETAIL:  There was no local executor to run them, and none is started any more/,
	'and says so');

done_testing();
