# What one session or role takes, others do not lack: shared memory, room in a
# queue, executors, rows of the statistics, sources. Who exceeds a bound is told.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('local', conf => <<'EOF_CONF');
concresce.shared_memory = 16
concresce.max_connections = 1
concresce.queue_size = 1000
EOF_CONF
make_far($node);
$node->safe_psql('postgres', define('far',
	'shared(kb int)' => 'text STABLE' => q{SELECT repeat('x', kb * 1024)},
	'gated(bytes int, n int)' => 'text STABLE' => q{SELECT repeat('x', bytes + 0 * gate(n))},
	'slow(n int)' => 'int STABLE' => 'SELECT n FROM pg_sleep(0.1)',
	'keep(t text)' => 'void VOLATILE' => 'INSERT INTO kept SELECT length(t) FROM unnest(collect(t)) t'));
$node->safe_psql('far', 'CREATE TABLE kept (n int)');
$node->safe_psql('postgres', <<'EOF_SQL');
CREATE ROLE hog LOGIN; CREATE ROLE other LOGIN; CREATE ROLE third LOGIN; CREATE ROLE fourth LOGIN;
ALTER USER MAPPING FOR PUBLIC SERVER far OPTIONS (ADD user 'postgres', ADD password_required 'false');
GRANT USAGE ON FOREIGN SERVER far TO PUBLIC;
GRANT pg_read_all_stats TO hog, other, third, fourth;
CREATE SCHEMA hog AUTHORIZATION hog;
CREATE FUNCTION big(kb int) RETURNS text LANGUAGE concresce STABLE SET concresce.server = ''
	SET concresce.max_size = 1 AS $$ SELECT repeat('x', kb * 1024) $$;
CREATE FUNCTION nap(s float8) RETURNS text LANGUAGE concresce VOLATILE SET concresce.server = ''
	SET concresce.max_size = 1 AS $$ SELECT pg_sleep(s)::text $$;
EOF_SQL
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
$node->safe_psql('postgres', "ALTER USER MAPPING FOR PUBLIC SERVER far OPTIONS (SET user '$superuser')")
  if $superuser ne 'postgres';

# A session that stays in its transaction until finish().
sub hold
{
	my ($sql, %o) = @_;
	my $key = 1000 + int(rand(1e9));
	my $lock = $node->background_psql('postgres');

	$lock->query_safe("SELECT pg_advisory_lock($key)");
	my $call = call($node, "BEGIN; $sql; SELECT 'holds'; SELECT pg_advisory_xact_lock($key); COMMIT", %o);
	poll($node, "SELECT wait_event = 'advisory' FROM pg_stat_activity WHERE application_name = '$call->{app}'");
	$call->{release} = sub { $lock->quit };
	return $call;
}

sub release
{
	my ($call) = @_;

	$call->{release}->();
	return $call->finish;
}

# One with the results of so many futures, all of the same size.  They arrive
# after all are submitted: a session that submits copies out of the heap what
# has arrived, if that is much.  Nor does it matter which of them come first and
# leave no room for others.
sub hold_results
{
	my ($n, $bytes, %o) = @_;
	my $gate = close_gate($node);
	my $call = hold("SELECT count(concresce.submit('gated', $bytes, i)) FROM generate_series(1, $n) i", timeout => 0, %o);

	open_gate($gate);
	poll($node, q{SELECT count(*) = 0 FROM concresce.in_flight WHERE state <> 'done'});
	return $call;
}

sub memory_is_full
{
	my ($what) = @_;

	cmp_ok($node->safe_psql('postgres', 'SELECT used FROM concresce.memory()'), '>', 14 * 1024 * 1024, $what);
	return;
}

# ---- shared memory ---------------------------------------------------------

# 16 MB: a session may have two thirds of what is not reserved.
is(attempt($node, 'SELECT length(big(9000))', user => 'hog')->out, 9000 * 1024, 'one alone has what it needs');
my $result = attempt($node, 'SELECT length(big(12000))', user => 'hog');
is($result->sqlstate, '54000', 'more than that does not fit');
like($result->err, qr/twice what is free of 16 MB/, 'and it is said why');

my $hog = hold_results(6, 2500 * 1024, user => 'hog');
cmp_ok($node->safe_psql('postgres', 'SELECT used FROM concresce.memory()'), '>', 8 * 1024 * 1024, 'results fill half of the heap');
is(attempt($node, 'SELECT length(big(2000))', user => 'other')->out, 2000 * 1024, 'futures that nobody reads starve no other role');
is(attempt($node, 'SELECT length(big(1000))', user => 'hog')->out, 1000 * 1024, 'nor a session of the same one');
release($hog);
at_rest($node);

# What it had not got room for is the loss of its own.
my $gate = close_gate($node);
$result = call($node, <<'EOF_SQL', user => 'hog');
BEGIN; CREATE TEMP TABLE f AS SELECT concresce.submit('gated', 2500 * 1024, i) id FROM generate_series(1, 12) i;
SELECT FROM concresce.wait((SELECT array_agg(id) FROM f), 'first_completed', interval '0');
DO $$ BEGIN WHILE EXISTS (SELECT FROM concresce.in_flight WHERE pid = pg_backend_pid() AND state <> 'done') LOOP
	PERFORM pg_sleep(0.01);
END LOOP; END $$;
SELECT error_sqlstate, count(*) FROM concresce.as_completed((SELECT array_agg(id) FROM f), NULL::text, true) GROUP BY 1 ORDER BY 1;
COMMIT
EOF_SQL
poll($node, 'SELECT count(*) = 12 FROM concresce.in_flight');
open_gate($gate);
like($result->out, qr/^54000\|\d+$/m, 'results for which there was no room: an error of their own');

# A session that goes on takes to itself what has arrived.
$result = attempt($node, <<'EOF_SQL', user => 'hog');
BEGIN; CREATE TEMP TABLE f (id bigint);
DO $$ BEGIN FOR k IN 1 .. 8 LOOP
	INSERT INTO f SELECT concresce.submit('big', 900 + 10 * k + i) FROM generate_series(1, 5) i;
	-- what is held back for a moment leaves with this
	PERFORM * FROM concresce.wait((SELECT array_agg(id) FROM f), 'first_completed', interval '0');
	WHILE EXISTS (SELECT FROM concresce.in_flight WHERE pid = pg_backend_pid() AND state <> 'done') LOOP
		PERFORM pg_sleep(0.01);
	END LOOP;
END LOOP; END $$;
SELECT count(*), count(*) FILTER (WHERE error_sqlstate IS NULL) FROM concresce.as_completed((SELECT array_agg(id) FROM f), NULL::text, true);
COMMIT
EOF_SQL
is($result->out, '40|40', 'forty megabytes pass through sixteen') or diag $result->err;
at_rest($node);

# Ceilings are for superusers to set.
$result = attempt($node, 'SELECT length(big(100))', user => 'hog', max_session_memory => '10MB');
is($result->sqlstate, '42501', 'a role cannot set its own ceiling');
$node->safe_psql('postgres', "ALTER ROLE hog SET concresce.max_session_memory = '100kB'; ALTER ROLE third SET concresce.max_role_memory = '100kB'");
foreach my $role (qw(hog third))
{
	$result = attempt($node, 'SELECT length(big(50))', user => $role);
	is($result->out, 50 * 1024, "$role: below the ceiling");
	$result = attempt($node, 'SELECT length(big(200))', user => $role);
	is($result->sqlstate, '54000', "$role: a result above it");
	$result = attempt($node, q{SELECT octet_length(concresce.submit('v', 1)::text || repeat('x', 1)) > 0; SELECT big(length(repeat('x', 200 * 1024)))}, user => $role);
	like($result->sqlstate, qr/54000|53400/, "$role: another one");
}
$node->safe_psql('postgres', "CREATE FUNCTION echo(t text) RETURNS int LANGUAGE concresce STABLE SET concresce.server = '' AS 'SELECT length(t)'");
$result = attempt($node, q{SELECT echo(repeat('x', 200 * 1024))}, user => 'hog');
is($result->sqlstate, '53400', 'a request above it');
like($result->err, qr/session holds too much/, 'and whose bound it is');
$result = attempt($node, q{SELECT echo(repeat('x', 200 * 1024))}, user => 'third');
like($result->err, qr/sessions of the role hold too much/, 'of a role');
is(attempt($node, q{SELECT echo(repeat('x', 200 * 1024))}, user => 'other')->out, 200 * 1024, 'others have none');
$node->safe_psql('postgres', 'ALTER ROLE hog RESET ALL; ALTER ROLE third RESET ALL');
at_rest($node);

# The workers of a parallel query are one session with it.
$node->safe_psql('postgres', define('far', 'held(t text)' => 'int STABLE PARALLEL SAFE' => 'SELECT gate(length(t))') . <<'EOF_SQL');
CREATE TABLE pages (id int, filler text) WITH (parallel_workers = 3);
ALTER TABLE pages ALTER filler SET STORAGE PLAIN;
INSERT INTO pages SELECT i, repeat('x', 5000) FROM generate_series(1, 40) i;
GRANT SELECT ON pages TO PUBLIC;
ALTER ROLE hog SET concresce.max_session_memory = '250kB';
EOF_SQL
foreach my $kb (40, 100)
{
	my $gate = close_gate($node);
	my $what = "four processes that hold $kb kB each";

	$hog = call($node, <<"EOF_SQL", user => 'hog', timeout => '20s', enable_batchscan => 'off');
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 3;
SELECT min(n) FROM (SELECT held(repeat('x', $kb * 1024) || id) n FROM pages) s
EOF_SQL
	poll($node, 'SELECT count(*) = 4 FROM concresce.in_flight') if $kb == 40;
	is($hog->sqlstate, '53400', "$what: refused") if $kb == 100;
	open_gate($gate);
	like($hog->out, qr/^\d+$/, "$what: below the ceiling") if $kb == 40;
	at_rest($node);
}
$node->safe_psql('postgres', 'ALTER ROLE hog RESET ALL');

# ---- futures that nobody awaits --------------------------------------------

$hog = hold(q{SELECT concresce.submit('nap', 1000), concresce.submit('nap', 1001); SELECT concresce.submit('nap', 1002)}, user => 'hog', timeout => '6s');
poll($node, q{SELECT count(*) = 2 FROM concresce.in_flight WHERE state = 'in flight'});
is(attempt($node, 'SELECT nap(0)', user => 'other', timeout => '1s')->sqlstate, '',
	'the last executor is for a role that has none');
poll($node, 'SELECT timeouts = 3 FROM concresce.stats WHERE function::text LIKE $$nap(%$$');
ok(poll($node, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'concresce executor' AND state = 'active'}),
	'at their deadline they end, though nobody awaits them');
release($hog);
$result = attempt($node, <<'EOF_SQL', user => 'hog', timeout => '100ms');
BEGIN; SELECT concresce.submit('nap', 1000) AS f \gset
DO $$ BEGIN WHILE EXISTS (SELECT FROM concresce.in_flight WHERE pid = pg_backend_pid() AND state <> 'done') LOOP
	PERFORM pg_sleep(0.01);
END LOOP; END $$;
SELECT concresce.await(:f, NULL::text)
EOF_SQL
is($result->sqlstate, '57014', 'who awaits one later is told');
like($result->err, qr/canceling lookup nap\(double precision\) due to timeout.*It waited 100 ms for the local executor's answer/s, 'what it waited for');
at_rest($node);

# ---- nobody waits for ever, if a superuser says so -------------------------

sub names_the_ceiling
{
	my ($result, $what, $ms) = @_;

	is($result->sqlstate, '57014', $what);
	like($result->err, qr/It waited $ms ms for [^,]+, which is the ceiling, "concresce.max_timeout"\./, 'is told whose limit that is');
	return;
}

$result = attempt($node, 'SELECT nap(0)', user => 'hog', max_timeout => '10min');
is($result->sqlstate, '42501', 'a role cannot set its own ceiling');
$node->safe_psql('postgres', <<'EOF_SQL');
ALTER ROLE hog SET concresce.max_timeout = '300ms';
CREATE FUNCTION patient(s float8) RETURNS text LANGUAGE concresce VOLATILE SET concresce.server = ''
	SET concresce.timeout = 0 AS $$ SELECT pg_sleep(s)::text $$;
CREATE FUNCTION defined(s float8) RETURNS text LANGUAGE concresce VOLATILE SECURITY DEFINER SET concresce.server = ''
	SET concresce.timeout = 0 AS $$ SELECT pg_sleep(s)::text $$;
CREATE FUNCTION unbounded(s float8) RETURNS text LANGUAGE concresce VOLATILE SECURITY DEFINER SET concresce.server = ''
	SET concresce.max_timeout = 0 AS $$ SELECT pg_sleep(s)::text $$;
CREATE FUNCTION indirect(s float8) RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET concresce.timeout = 0 AS 'BEGIN RETURN patient(s); END';
EOF_SQL
foreach my $call ('nap(1000)', 'patient(1000)', 'defined(1000)', 'indirect(1000)')
{
	names_the_ceiling(attempt($node, "SELECT $call", user => 'hog', timeout => 0), $call, 300);
}
foreach my $function (qw(nap patient defined))
{
	names_the_ceiling(attempt($node, "SELECT concresce.await(concresce.submit('$function', 1000))", user => 'hog', timeout => 0),
		"a future of $function", 300);
}
names_the_ceiling(attempt($node, 'SELECT nap(1000)', user => 'hog', timeout => '1h'), 'a longer timeout', 300);
$result = attempt($node, 'SELECT nap(1000)', user => 'hog', timeout => '100ms');
like($result->err, qr/It waited 100 ms for the local executor's answer\.\n.*set by "concresce.timeout"/s, 'a shorter one counts as it is');
is(attempt($node, 'SELECT unbounded(0.5)', user => 'hog', timeout => 0)->sqlstate, '', 'a superuser can except a lookup that is run as him');
is(attempt($node, q{SELECT concresce.await(concresce.submit('unbounded', 0.5))}, user => 'hog', timeout => 0)->sqlstate, '', 'and its futures');
at_rest($node);

# One that nobody awaits holds nothing beyond it.
$hog = hold(q{SELECT concresce.submit('nap', 1000)}, user => 'hog', timeout => 0);
ok(poll($node, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'concresce executor' AND state = 'active'}),
	'its executor is free again');
is(attempt($node, 'SELECT nap(0)', user => 'hog')->sqlstate, '', 'for others');
release($hog);
$node->safe_psql('postgres', 'ALTER ROLE hog RESET ALL');
at_rest($node);

# ---- room in a queue -------------------------------------------------------

$hog = hold(q{SELECT count(concresce.submit('v', i)) FROM generate_series(1, 1000) i}, user => 'hog', max_window => '60s', max_size => 100000);
poll($node, q{SELECT queued = 1000 FROM concresce.stats WHERE function::text LIKE 'v(%'});
my $seconds = timed(sub { $result = attempt($node, 'SELECT v(1001)', user => 'other', timeout => '20s', on_missing => 'null') });
is($result->sqlstate, '', 'a queue full of those who have time');
cmp_ok($seconds, '<', 10, 'is sent for him who has none');
release($hog);
at_rest($node);

# ---- whose turn it is ------------------------------------------------------

# One connection; batches of one, each 0.1 s. The hog has 200 waiting.
$hog = hold(q{SELECT count(concresce.submit('slow', i)) FROM generate_series(1, 200) i}, user => 'hog', max_size => 1);
poll($node, q{SELECT queued > 150 FROM concresce.stats WHERE function::text LIKE 'slow(%'});
$seconds = timed(sub { $result = attempt($node, 'SELECT slow(1000)', user => 'other') });
is($result->out, '1000', "another role's call of the same lookup");
cmp_ok($seconds, '<', 5, 'does not wait for two hundred of the first');
$seconds = timed(sub { $result = attempt($node, 'SELECT sum(slow(2000 + i)) FROM generate_series(1, 50) i', user => 'other') });
is($result->out, 50 * 2000 + 1275, 'fifty of them');
cmp_ok($seconds, '<', 10, "are one batch, small as the first one's are");
$hog->signal('pg_cancel_backend');
release($hog);
at_rest($node);

# Nor do twenty lookups of one role keep another's waiting.
$node->safe_psql('postgres', join('', map { define('far', "slow$_(n int)" => 'int STABLE' => 'SELECT n FROM pg_sleep(0.1)') } 1 .. 20));
$hog = hold(q{SELECT count(concresce.submit(('slow' || k)::regproc, i)) FROM generate_series(1, 20) k, generate_series(1, 10) i}, user => 'hog', max_size => 1);
poll($node, q{SELECT sum(queued) > 150 FROM concresce.stats WHERE function::text LIKE 'slow%'});
$seconds = timed(sub { $result = attempt($node, 'SELECT slow(1001); SELECT slow(1002); SELECT slow(1003)', user => 'other') });
is($result->out, "1001\n1002\n1003", "another role's three calls");
cmp_ok($seconds, '<', 4, 'wait for one batch each, not for one of each lookup');
$hog->signal('pg_cancel_backend');
release($hog);
at_rest($node);

# ---- enqueued items --------------------------------------------------------

my $lock = $node->background_psql('far');
$lock->query_safe('BEGIN; LOCK kept');
is(attempt($node, q{SELECT count(concresce.enqueue('keep', i::text)) FROM generate_series(1, 700) i}, user => 'hog')->sqlstate, '', 'a role enqueues');
$result = attempt($node, q{SELECT count(concresce.enqueue('keep', i::text)) FROM generate_series(1, 200) i}, user => 'hog', timeout => '500ms');
is($result->sqlstate, '57014', 'and may have no more than three quarters of the queue');
like($result->err, qr/for room in the queue for more items of its role/, 'as it is told');
is(attempt($node, q{SELECT concresce.enqueue('keep', 'x') FROM generate_series(1, 100) i}, user => 'other', timeout => '5s')->sqlstate, '', 'another has his place');
$result = attempt($node, q{SELECT count(concresce.enqueue('keep', i::text)) FROM generate_series(1, 200) i}, user => 'hog', on_full => 'error');
is($result->sqlstate, '53400', 'on_full = error');
my @waiting = map { call($node, qq{SELECT count(concresce.enqueue('keep', i::text)) FROM generate_series(1, 150) i}, user => 'hog', timeout => '60s') } 1 .. 3;
poll($node, q{SELECT count(*) = 3 FROM pg_stat_activity WHERE usename = 'hog' AND wait_event_type = 'Extension'});
$waiting[0]->signal('pg_terminate_backend');
$waiting[0]->finish;
$lock->quit;
is(join(' ', map { $_->sqlstate } finish_all(@waiting[ 1, 2 ])), ' ', 'those who waited commit when there is room');
ok($node->poll_query_until('far', 'SELECT count(*) = 700 + 100 + 300 FROM kept'), 'all of it arrives');
at_rest($node);

# memory: texts of 100 kB
$lock = $node->background_psql('far');
$lock->query_safe('BEGIN; LOCK kept');
$result = attempt($node, q{SELECT count(concresce.enqueue('keep', repeat('x', 100 * 1024))) FROM generate_series(1, 150) i}, user => 'hog', timeout => '6s');
is($result->sqlstate, '54000', 'a transaction has its limit');
is(attempt($node, q{SELECT count(concresce.enqueue('keep', repeat('x', 100 * 1024))) FROM generate_series(1, 80) i}, user => 'hog')->sqlstate, '', 'below it');
$result = attempt($node, q{SELECT count(concresce.enqueue('keep', repeat('x', 100 * 1024))) FROM generate_series(1, 40) i}, user => 'hog', timeout => '500ms');
is($result->sqlstate, '57014', 'a role has its bound');
like($result->err, qr/for shared memory for more items of its role/, 'as it is told');
is(attempt($node, q{SELECT count(concresce.enqueue('keep', repeat('x', 100 * 1024))) FROM generate_series(1, 20) i}, user => 'other', timeout => '5s')->sqlstate, '', 'another one has room');
is(attempt($node, q{SELECT length(big(1000))}, user => 'third')->out, 1000 * 1024, 'so have calls');
$lock->quit;
ok($node->poll_query_until('far', 'SELECT count(*) = 1100 + 100 FROM kept'), 'all of it arrives');
at_rest($node);

# Those of the role that come later wait behind, in that queue; and nobody is
# woken in vain, however much others give back.
$node->safe_psql('far', 'TRUNCATE kept');
$node->safe_psql('postgres', 'GRANT other TO hog');
$lock = $node->background_psql('far');
$lock->query_safe('BEGIN; LOCK kept');
sub commit { my ($n, $size) = @_; return "SELECT count(concresce.enqueue('keep', repeat('x', $size))) FROM generate_series(1, $n) i" }
sub waiting { my ($user) = @_; return "SELECT count(*) FROM pg_stat_activity WHERE usename = '$user' AND wait_event_type = 'Extension'" }
attempt($node, commit(300, 1), user => 'hog');
my $large = call($node, commit(650, 1), user => 'hog');
poll($node, waiting('hog'), '1');
is(attempt($node, commit(10, 1), user => 'hog', timeout => '500ms')->sqlstate, '57014', 'a small commit waits behind a large one of its role');
is(attempt($node, commit(10, 1), user => 'other', timeout => '5s')->sqlstate, '', 'and not behind that of another one');
is(attempt($node, 'BEGIN; ' . commit(650, 1) . '; SET ROLE other; COMMIT', user => 'hog', timeout => '500ms')->sqlstate, '57014',
	'the role counts that was set at enqueue');
my @small = map { call($node, commit(10, 1), user => 'hog') } 1 .. 8;
poll($node, waiting('hog'), '9');
SKIP:
{
	my @pids = split /\n/, $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE usename = 'hog' AND wait_event_type = 'Extension'});

	skip 'no /proc', 1 unless -r "/proc/$pids[0]/status";
	my $wakings = sub {
		my $n = 0;

		foreach my $pid (@pids)
		{
			$n += $1 if slurp_file("/proc/$pid/status") =~ /^voluntary_ctxt_switches:\s+(\d+)/m;
		}
		return $n;
	};
	my $wakings_before = $wakings->();
	attempt($node, 'DO $$ BEGIN FOR i IN 1 .. 200 LOOP PERFORM big(1); END LOOP; END $$', user => 'other');
	cmp_ok($wakings->() - $wakings_before, '<', 50, 'who waits is not woken by what others give back');
}
$lock->quit;
is(join(' ', map { $_->sqlstate } finish_all($large, @small)), ' ' x 8, 'in the end all commit');
ok($node->poll_query_until('far', 'SELECT count(*) = 300 + 650 + 10 + 80 FROM kept'), 'all of it arrives');
at_rest($node);

# Who waits for memory holds places, and they count.
$lock = $node->background_psql('far');
$lock->query_safe('BEGIN; LOCK kept');
$node->safe_psql('postgres', define('far', 'keep2(t text)' => 'void VOLATILE' => 'INSERT INTO kept SELECT length(t) FROM unnest(collect(t)) t'));
attempt($node, commit(80, 100 * 1024), user => 'hog');
(my $into_other_queue = commit(260, 20 * 1024)) =~ s/keep/keep2/;
@waiting = map { call($node, $into_other_queue, user => 'hog') } 1 .. 4;
poll($node, waiting('hog'), '4');
is(attempt($node, q{SELECT concresce.enqueue('keep2', 'x')}, user => 'other', timeout => '5s')->sqlstate, '', 'places of those who wait for memory are not all there are');
$lock->quit;
is(join(' ', map { $_->sqlstate } finish_all(@waiting)), '   ', 'they commit when there is room');
at_rest($node);

# Who waits does not wait for windows.
foreach my $case ([ 700, 1, 100, 'places' ], [ 80, 100 * 1024, 40, 'memory' ])
{
	my ($first, $size, $second, $what) = @$case;

	attempt($node, commit($first, $size), user => 'hog', max_window => '60s');
	$seconds = timed(sub { $result = attempt($node, commit($second, $size), user => 'hog', timeout => '20s') });
	is($result->sqlstate, '', "a role that has many $what commits");
	cmp_ok($seconds, '<', 15, 'and no window is waited for');
}
at_rest($node);

# ---- a login with many roles -----------------------------------------------

$node->safe_psql('postgres', 'CREATE ROLE pool LOGIN; ' . join(' ', map { "CREATE ROLE t$_; GRANT t$_ TO pool;" } 1 .. 8));

$lock = $node->background_psql('far');
$lock->query_safe('BEGIN; LOCK kept');
$node->safe_psql('postgres', 'GRANT t8 TO other');
attempt($node, 'SET ROLE t8; ' . commit(1, 1), user => $_) foreach qw(pool other);
is($node->safe_psql('postgres', q{SELECT string_agg(items::text, ' ') FROM concresce.enqueued WHERE role = 't8'}), '2',
	'what two logins have enqueued as one role is one row');
foreach my $n (700, 200, 60, 20, 5)
{
	attempt($node, "SET ROLE t$_; " . commit($n, 1), user => 'pool', on_full => 'error') foreach 1 .. 8;
}
cmp_ok($node->safe_psql('postgres', 'SELECT sum(items) FROM concresce.enqueued'), '>', 900, 'a login has most of a queue, as several roles');
is(attempt($node, commit(10, 1), user => 'other', timeout => '20s')->sqlstate, '', 'and another finds room');
$lock->quit;
at_rest($node);

$node->safe_psql('postgres', 'CREATE SCHEMA pool; GRANT ALL ON SCHEMA pool TO PUBLIC');
$result = attempt($node, <<'EOF_SQL', user => 'pool', timeout => '60s');
DO $$ DECLARE n int := 0; BEGIN
	FOR r IN 1 .. 3 LOOP
		EXECUTE 'SET LOCAL ROLE t' || r;
		FOR i IN 1 .. 90 LOOP
			EXECUTE format('CREATE FUNCTION pool.s%s_%s(n int) RETURNS int LANGUAGE concresce STABLE SET concresce.server = '''' AS ''SELECT n''', r, i);
			BEGIN
				EXECUTE format('SELECT concresce.stop(''pool.s%s_%s'')', r, i);
				n := n + 1;
			EXCEPTION WHEN program_limit_exceeded THEN NULL;
			END;
		END LOOP;
	END LOOP;
	RAISE NOTICE 'stopped %', n;
END $$
EOF_SQL
like($result->err, qr/stopped 144/, 'nor can it take the brake away from all');
is($node->safe_psql('postgres', q{SELECT count(*) FROM concresce.stopped WHERE role LIKE 't_'}), '144', 'as is shown');
$node->safe_psql('postgres', 'SELECT concresce.start_all()');
at_rest($node);

# ---- what several have a part of -------------------------------------------

@waiting = map { call($node, 'SELECT length(shared(10000))', user => $_, max_window => '500ms') } qw(hog other);
is(join(' ', map { $_->out } finish_all(@waiting)), '10240000 10240000', 'a result of two sessions takes room once');
at_rest($node);

# ---- the reserve -----------------------------------------------------------

# Who waits for much has the turn, and what it waits for may never go; who
# needs little passes by.
$hog = hold(q{SELECT count(concresce.submit('big', 1000 + i)) FROM generate_series(1, 5) i}, user => 'hog', timeout => 0);
poll($node, q{SELECT count(*) = 5 FROM concresce.in_flight WHERE state = 'done'});
$large = call($node, commit(98, 100 * 1024), user => 'hog', timeout => 0);
poll($node, waiting('hog'), '1');
is(attempt($node, commit(10, 1), user => 'other', timeout => '20s')->sqlstate, '', 'a large commit that lacks memory has no small one wait');
is(attempt($node, commit(1, 100 * 1024), user => 'other', timeout => '20s')->sqlstate, '', 'nor one of 100 kB');
release($hog);
is($large->sqlstate, '', 'it gets what it needs when there is as much');
at_rest($node);

# Results of three roles, each within its bounds, fill what results may have.
my @hogs;
foreach my $role (qw(hog other third))
{
	push @hogs, hold_results(200, 60 * 1024, user => $role);
}
memory_is_full('results fill what is not reserved');
foreach my $role (qw(other fourth))
{
	is(attempt($node, commit(100, 1), user => $role, timeout => '20s')->sqlstate, '', "$role commits nevertheless");
}
is(attempt($node, 'SELECT length(big(1))', user => 'fourth', timeout => '20s')->out, 1024, 'and calls');
release($_) foreach @hogs;
at_rest($node);

# So do results of 8.2 kB, which take whole pages of the heap.
@hogs = ();
foreach my $role (qw(hog other third))
{
	push @hogs, hold_results(900, 8200, user => $role);
}
memory_is_full('so do whole pages of results');
is(attempt($node, commit(50, 2000), user => 'fourth', timeout => '20s')->sqlstate, '', 'they leave the reserve as well');
is(attempt($node, 'SELECT length(gated(8200, 0))', user => 'fourth', timeout => '20s')->out, 8200, 'and room for another role');
release($_) foreach @hogs;
at_rest($node);

# A login that has something takes its turn with a large one, as its other role.
$lock = $node->background_psql('far');
$lock->query_safe('BEGIN; LOCK kept');
attempt($node, 'SET ROLE t1; ' . commit(1, 1), user => 'pool');
$hog = hold(q{SELECT count(concresce.submit('big', 1000 + i)) FROM generate_series(1, 5) i}, user => 'hog', timeout => 0);
poll($node, q{SELECT count(*) = 5 FROM concresce.in_flight WHERE state = 'done'});
$result = attempt($node, 'SET ROLE t2; ' . commit(98, 100 * 1024), user => 'pool', timeout => '500ms');
like($result->err, qr/It waited 500 ms for shared memory[.]/, 'a large commit of a login that has enqueued before takes its turn');
is(attempt($node, 'SET ROLE t3; ' . commit(10, 1), user => 'pool', timeout => '20s')->sqlstate, '', 'a small one commits');
release($hog);
$lock->quit;
at_rest($node);

# ---- statistics ------------------------------------------------------------

is(attempt($node, 'SELECT v(7)')->out, 'v7', 'something to be counted');
$result = attempt($node, <<'EOF_SQL', user => 'hog', timeout => '60s');
DO $$ BEGIN FOR i IN 1 .. 1100 LOOP
	EXECUTE format('CREATE FUNCTION hog.c%s(n int) RETURNS int LANGUAGE concresce STABLE SET concresce.server = '''' AS ''SELECT n''', i);
	EXECUTE format('SELECT concresce.submit(''hog.c%s'', 1)', i);
END LOOP; END $$
EOF_SQL
is($result->sqlstate, '', 'a role with 1100 lookups') or diag $result->err;
is($node->safe_psql('postgres', q{SELECT count(*) FROM concresce.stats WHERE function::text LIKE 'v(%' AND calls > 0}), '1',
	'has others keep their statistics');
cmp_ok($node->safe_psql('postgres', q{SELECT count(*) FROM concresce.stats}), '<=', 300, 'and as many of its own as it may have');
at_rest($node);

# Nor do those that two roles of a login call become nobody's.
is(attempt($node, 'SELECT v(8)')->out, 'v8', 'something to be counted');
$node->safe_psql('postgres', 'GRANT USAGE ON SCHEMA hog TO PUBLIC');
$result = attempt($node, <<'EOF_SQL', user => 'pool', timeout => '60s');
DO $$ BEGIN FOR i IN 1 .. 1100 LOOP
	SET LOCAL ROLE t1;
	EXECUTE format('SELECT concresce.submit(''hog.c%s'', 1)', i);
	SET LOCAL ROLE t2;
	EXECUTE format('SELECT concresce.submit(''hog.c%s'', 1)', i);
END LOOP; END $$
EOF_SQL
is($result->sqlstate, '', 'a login with 1100 lookups, each as two roles') or diag $result->err;
is($node->safe_psql('postgres', q{SELECT count(*) FROM concresce.stats WHERE function::text LIKE 'v(%' AND calls > 0}), '1',
	'has others keep their statistics');
at_rest($node);

# ---- sources ---------------------------------------------------------------

# Each text of application_name ... of concresce.server is another source.
my $pid = collector_pid($node);
sub data_kb { my ($n) = do { open(my $f, '<', "/proc/$pid/status") or return 0; local $/; <$f> =~ /^VmData:\s+(\d+)/m }; return $n }
my $before = data_kb();
$result = attempt($node, <<'EOF_SQL', user => 'hog', timeout => '60s');
DO $$ BEGIN FOR i IN 1 .. 60 LOOP
	EXECUTE format('CREATE FUNCTION pg_temp.s%s(n int) RETURNS int LANGUAGE concresce STABLE SET concresce.server = ''far'' AS ''SELECT n /* %s */''', i, repeat('x', 500000));
	EXECUTE format('SELECT pg_temp.s%s(1)', i);
END LOOP; END $$
EOF_SQL
is($result->sqlstate, '', 'sixty lookups with half a megabyte of text');
SKIP:
{
	skip 'no /proc', 1 unless -r "/proc/$pid/status";
	cmp_ok(data_kb() - $before, '<', 80 * 1024, 'are not all kept');
}
at_rest($node);
done_testing();
