# What an operator can see, and end: what is enqueued, whatever has become of its
# lookup; executors that run for too long; servers that hurt.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('local', conf => <<'EOF_CONF');
concresce.workers = 2
concresce.queue_size = 100000
log_parameter_max_length_on_error = -1
EOF_CONF
my $nobody = closed_port();
make_far($node);
$node->safe_psql('far', 'CREATE TABLE events (n int); CREATE FUNCTION bad(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM gate(n); RAISE EXCEPTION USING ERRCODE = \'40001\'; END $$');
$node->safe_psql('postgres', define('far',
	'write(n int)' => 'void VOLATILE' => 'INSERT INTO events SELECT unnest(collect(n))',
	'gated_write(n int)' => 'void VOLATILE' => 'INSERT INTO events SELECT gate(n) / 10 FROM unnest(collect(n)) n',
	'bad(n int)' => 'void VOLATILE' => 'SELECT bad(unnest(collect(n)))'));
$node->safe_psql('postgres', make_server('down', "host '127.0.0.1', port '$nobody'") . define('down',
	'lost(n int)' => 'void VOLATILE' => 'SELECT unnest(collect(n))'));
$node->safe_psql('postgres', <<'EOF_SQL');
CREATE TABLE done (n int);
GRANT INSERT ON done TO PUBLIC;
CREATE FUNCTION local_gate(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_advisory_xact_lock_shared(4711);
	RETURN n;
END $$;
CREATE FUNCTION alone(n int) RETURNS void LANGUAGE concresce VOLATILE SET concresce.server = '' SET concresce.max_size = 1
AS 'INSERT INTO done SELECT local_gate(unnest(collect(n)))';
CREATE FUNCTION runaway(ns int[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF 5 = ANY (ns) THEN PERFORM pg_sleep(1e9); END IF;
	INSERT INTO done SELECT unnest(ns);
END $$;
CREATE FUNCTION together(n int) RETURNS void LANGUAGE concresce VOLATILE SET concresce.server = ''
AS 'SELECT runaway(collect(n))';
CREATE FUNCTION suicide(ns int[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF 5 = ANY (ns) THEN PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(10); END IF;
	INSERT INTO done SELECT unnest(ns);
END $$;
CREATE FUNCTION poison(n int) RETURNS void LANGUAGE concresce VOLATILE SET concresce.server = ''
AS 'SELECT suicide(collect(n))';
CREATE ROLE ann LOGIN;
CREATE ROLE bob LOGIN;
CREATE ROLE watcher LOGIN IN ROLE pg_read_all_stats;
CREATE ROLE signaler LOGIN IN ROLE pg_signal_backend;
GRANT USAGE ON FOREIGN SERVER far, down TO PUBLIC;
ALTER USER MAPPING FOR PUBLIC SERVER far OPTIONS (ADD password_required 'false');
ALTER USER MAPPING FOR PUBLIC SERVER down OPTIONS (ADD password_required 'false');
EOF_SQL
my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->set_query_timer_restart;

# psql's own result, or the error.
sub flush
{
	my $out = $session->query("SELECT concresce.flush(timeout => '60 s')");
	my $err = $session->{stderr};

	$session->{stderr} = '';
	$err =~ s/^.*QUERY_SEPARATOR.*\n//mg;
	return $out ne '' ? $out : $err;
}

sub enqueue
{
	my ($function, $items, $role) = @_;

	$session->query_safe('SET ROLE ' . ($role // 'NONE'));
	$session->query_safe("SELECT count(concresce.enqueue('$function', i)) FROM generate_series($items) i");
	$session->query_safe('RESET ROLE');
	return;
}

# What a session has enqueued is known as long as it was not told of its end.
sub rest
{
	foreach my $role (qw(ann bob NONE))
	{
		$session->query("SET ROLE $role");
		flush();
	}
	at_rest($node);
	return;
}

sub sql { return $node->safe_psql('postgres', $_[0]) }
sub enqueued { return sql("SELECT coalesce(sum(items), 0) FROM concresce.enqueued $_[0]") }
sub discard { return sql("SELECT concresce.discard($_[0])") }
sub done { return sql(q{WITH d AS (DELETE FROM done RETURNING n) SELECT coalesce(string_agg(n::text, ',' ORDER BY n), '') FROM d}) }
sub executing { return poll($node, "SELECT count(*) = $_[0] FROM pg_stat_activity WHERE backend_type = 'concresce executor' AND state = 'active'") }
sub in_flight { return poll($node, "SELECT coalesce(sum(in_flight), 0) = $_[1] FROM concresce.enqueued WHERE function = '$_[0](int)'::regprocedure") }
sub close_here { my $s = $node->background_psql('postgres'); $s->query_safe('SELECT pg_advisory_lock(4711)'); return $s }
sub sleeps { return poll($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Extension' AND application_name = '$_[0]->{app}'") }
sub arrived { return $node->safe_psql('far', 'WITH d AS (DELETE FROM events RETURNING n) SELECT count(*), count(DISTINCT n) FROM d') }

# ---- executors -------------------------------------------------------------

my $gate;

# What runs for ever is ended for good, though nobody waits for it.
foreach my $function (qw(pg_terminate_backend pg_cancel_backend))
{
	my $gate = close_here();

	enqueue('alone', '1, 2');
	ok(executing(2), "$function: two enqueued items run");
	sql("SELECT $function(pid) FROM pg_stat_activity WHERE backend_type = 'concresce executor'");
	like(flush(), $function eq 'pg_terminate_backend' ?
		qr/2 of 2 enqueued items of lookup alone\(integer\) were discarded\nDETAIL:  The first one failed with: local executor was terminated/ :
		qr/2 of 2 enqueued items of lookup alone\(integer\) were discarded\nDETAIL:  The first one failed with: canceling statement due to user request/,
		'whoever has enqueued them is told');
	ok(executing(0), 'and nothing is run again');
	open_gate($gate);
	is(done(), '', 'nor has been');
	rest();
}

# One among others is found.
foreach my $function (qw(pg_terminate_backend pg_cancel_backend))
{
	my $ended = 0;

	enqueue('together', '1, 8', 'ann');
	while (enqueued(q{WHERE function = 'together(int)'::regprocedure}) > 0 && $ended < 20)
	{
		last if !poll($node, <<'EOF_SQL');
SELECT NOT EXISTS (SELECT FROM concresce.enqueued)
	OR EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'concresce executor' AND state = 'active' AND wait_event = 'PgSleep')
EOF_SQL
		$ended += attempt($node, "SELECT count($function(pid)) FROM pg_stat_activity WHERE backend_type = 'concresce executor' AND wait_event = 'PgSleep'", user => 'ann')->out;
		poll($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'concresce executor' AND wait_event = 'PgSleep'") if $ended == 4;
	}
	is($ended, 4, "$function by the role itself: eight items are halved three times");
	is(done(), '1,2,3,4,6,7,8', 'and all arrive but the one');
	$session->query_safe('SET ROLE ann');
	like(flush(), qr/1 of 8 enqueued items/, 'as is told');
	$session->query_safe('RESET ROLE');
	rest();
}

# For how long one has run is counted from its beginning: an idle one that gets a
# job is not taken for a runaway.
enqueue('alone', '1, 1');
flush();
sql('SELECT pg_sleep(1.2)');
$gate = close_here();
enqueue('alone', '2, 2');
ok(executing(1), 'an executor that was idle runs a query');
is(sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'concresce executor' AND query_start < xact_start - interval '1 s'}), 0, 'which has not begun before');
open_gate($gate);
flush();
is(done(), '1,2', 'both arrive');
rest();

# Who ends a batch that runs away is asked once.
foreach my $function (qw(pg_terminate_backend pg_cancel_backend))
{
	enqueue('together', '3, 6');
	enqueue('together', '11, 20');
	poll($node, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'concresce executor' AND wait_event = 'PgSleep' AND clock_timestamp() - query_start > '5 s'});
	is(sql("SELECT count($function(pid)) FROM pg_stat_activity WHERE backend_type = 'concresce executor' AND wait_event = 'PgSleep'"), 1, "$function: once");
	like(flush(), qr/1 of 14 enqueued items of lookup together\(integer\) were discarded\nDETAIL:  The first one failed with: canceling enqueued items that run for too long again/, 'the one that runs away is lost, as is told');
	is(done(), '3,4,6,11,12,13,14,15,16,17,18,19,20', 'all others arrive');
	ok(executing(0), 'and nothing goes on');
	like(slurp_file($node->logfile), qr/LOG:  a batch of \d+ enqueued items of lookup together\(integer\) was ended by hand after [56]\d\d\d ms/, 'the log says what becomes of them');
	rest();
}
enqueue('poison', '1, 8');
like(flush(), qr/1 of 8 enqueued items of lookup poison\(integer\) were discarded/, 'an item that ends its executor is found');
is(done(), '1,2,3,4,6,7,8', 'all others arrive');
flush();

# ---- what is enqueued ------------------------------------------------------

# There is nobody at the server, and in the end no function either.
enqueue('lost', '1, 30');
enqueue('lost', '31, 50', 'ann');
is(sql(q{SELECT function, server, role, items, bytes > 0, now() - oldest_at < interval '1 min', switched_off FROM concresce.enqueued ORDER BY items}),
	"lost(integer)|down|ann|20|t|t|f\nlost(integer)|down|postgres|30|t|t|f", 'what waits, of whom, for which server');
ok(poll($node, 'SELECT count(*) = 1 FROM concresce.circuits'), 'its circuit opens');
is(sql('SELECT bool_and(circuit_open) FROM concresce.enqueued'), 't', 'as can be seen');
my $oid = sql("SELECT 'lost'::regproc::oid");
sql('DROP FUNCTION lost');
is(sql("SELECT count(*) FROM concresce.enqueued WHERE function::oid = $oid AND function::text = '$oid'"), '2', 'a lookup that was dropped shows as its OID');
is(sql('SELECT function::oid FROM concresce.circuits'), $oid, 'as in the circuits');
is(attempt($node, "SELECT concresce.discard('lost')")->sqlstate, '42883', 'its name is none any more');
is(discard("$oid, older_than => '1 hour'"), '0', 'nothing is that old');
is(discard("$oid, role => 'ann'"), '20', 'one role\'s go');
is(sql('SELECT role, items FROM concresce.enqueued'), 'postgres|30', 'others\' stay');
is(sql(q{SELECT concresce.discard(function, server, role) FROM concresce.enqueued}), '30', 'by what the view shows');
is(sql('SELECT count(*) FROM concresce.circuits'), '0', 'the circuit is gone with its items');
like(flush(), qr/30 of 30 enqueued items of lookup lost\(integer\) were discarded\nDETAIL:  The first one failed with: concresce.discard\(\) has named it/, 'who has sent them is told');
like(slurp_file($node->logfile), qr/WARNING:  discarded 30 enqueued items of lookup lost\(integer\): concresce.discard\(\) has named it\n.*CONTEXT:  server "down"/, 'and the log');
sql(define('down', 'lost(n int)' => 'void VOLATILE' => 'SELECT unnest(collect(n))'));

# A role that is called like what means any, or like the OID of another.
my $ann = sql("SELECT 'ann'::regrole::oid");
sql(qq{CREATE ROLE "*" LOGIN; CREATE ROLE "$ann" LOGIN});
enqueue('lost', '1, 10', 'ann');
enqueue('lost', '11, 12', '"*"');
enqueue('lost', '13, 15', qq("$ann"));
is(sql(q{SELECT bool_and(role = (CASE items WHEN 2 THEN '"*"' ELSE '"} . $ann . q{"' END)::regrole::oid::text) FROM concresce.enqueued WHERE items < 10}), 't',
	'shows as its OID');
is(sql(q{SELECT concresce.discard(function, server, role) FROM concresce.enqueued WHERE items = 2}), '2', 'by which only what is its own goes');
is(discard("role => '$ann'"), '10', 'a number is an OID');
is(attempt($node, "SELECT concresce.discard(role => '" . (2**32 + $ann) . "')")->sqlstate, '42704', 'one that is too large is none');
is(sql(q{SELECT concresce.discard(function, server, role) FROM concresce.enqueued}), '3', 'what is left');
sql(qq{DROP ROLE "*", "$ann"});

# By server, by age, and all.
$gate = close_gate($node);
enqueue('gated_write', '1, 1');
in_flight('gated_write', 1);
enqueue('lost', '1, 10');
my $gate_here = close_here();
enqueue('alone', '1, 5');
in_flight('alone', 2);
is(discard("server => 'down'"), '10', 'those for one server');
is(discard("server => ''"), '3', 'local ones, but for those in flight');
enqueue('lost', '1, 10');
sql('SELECT pg_sleep(1.2)');
enqueue('lost', '11, 15');
is(discard("older_than => '1 s'"), '10', 'those that are older');
is(discard('everything => true'), '5', 'all');
is(sql('SELECT string_agg(function::text, \',\' ORDER BY function::text) FROM concresce.enqueued'), 'alone(integer),gated_write(integer)', 'what is in flight is left alone');
open_gate($gate);
open_gate($gate_here);
rest();
is(arrived(), '1|1', 'and arrives, if it does');
is(done(), '1,2', 'here, too');
flush();

# What is in flight is not tried again.
$gate = close_gate($node);
enqueue('bad', '1, 3');
in_flight('bad', 3);
is(discard("'bad'"), '0', 'three are in flight');
open_gate($gate);
like(flush(), qr/3 of 3 enqueued items of lookup bad\(integer\) were discarded/, 'their batch fails, and that was that');
rest();

# Nothing is left to be waited for: who waits for places gets them.
$node->append_conf('postgresql.conf', 'concresce.queue_size = 10');
$node->reload;
enqueue('lost', '1, 10');
my $committer = call($node, "SELECT count(concresce.enqueue('lost', i)) FROM generate_series(11, 13) i");
sleeps($committer);
is(discard("'lost'"), '10', 'a full queue is emptied');
is($committer->out, '3', 'and takes others');
is(discard("'lost'"), '3', 'which go in their turn');
$node->append_conf('postgresql.conf', 'concresce.queue_size = 100000');
$node->reload;
rest();

# A collector that is restarted meanwhile.
foreach my $round (1 .. 3)
{
	enqueue('lost', '1, 50');
	sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'concresce collector'");
	is(discard("'lost'"), '50', 'a discard that finds no collector');
	is(enqueued(''), '0', 'finds the next one');
}
rest();
flush();

# What is said wrong.
foreach my $wrong (['', '22023'], ['NULL', '22004'], ['server => NULL', '22004'], ['role => NULL', '22004'],
	["server => 'nix'", '42704'], ["role => 'nix'", '42704'], ["older_than => '-1 s'", '22023'],
	["'lost', older_than => NULL", '22004'], ["older_than => '0'", '22023'])
{
	is(attempt($node, "SELECT concresce.discard($wrong->[0])")->sqlstate, $wrong->[1], "discard($wrong->[0])");
}

# ---- rights ----------------------------------------------------------------

my @who = qw(postgres ann bob watcher signaler owner db_owner);
my %may = (
	# who has enqueued => who may discard that, and who may see it
	postgres => [ 'postgres owner db_owner', 'postgres watcher owner db_owner' ],
	ann => [ 'postgres ann signaler owner db_owner', 'postgres ann watcher signaler owner db_owner' ]);

sql(<<'EOF_SQL');
CREATE ROLE owner LOGIN;
CREATE ROLE db_owner LOGIN;
ALTER FUNCTION lost OWNER TO owner;
ALTER DATABASE postgres OWNER TO db_owner;
EOF_SQL
foreach my $sender (sort keys %may)
{
	foreach my $who (@who)
	{
		my ($discards, $sees) = map { " $_ " =~ / $who / ? 1 : 0 } @{ $may{$sender} };

		enqueue('lost', '1, 2', $sender);
		is(attempt($node, 'SELECT coalesce(sum(items), 0) FROM concresce.enqueued', user => $who)->out, $sees ? 2 : 0,
			"$who " . ($sees ? 'sees' : 'does not see') . " what $sender has enqueued");
		my $try = attempt($node, q{SELECT concresce.discard('lost')}, user => $who);
		is($try->sqlstate || $try->out, $discards ? '2' : '42501', $discards ? 'and may discard it' : 'and may not discard it');
		discard('everything => true');
	}
}

# Others' are left alone.
enqueue('lost', '1, 2', 'ann');
enqueue('lost', '1, 3', 'bob');
is(attempt($node, 'SELECT concresce.discard(everything => true)', user => 'ann')->out, '2', 'a role discards its own only');
is(attempt($node, "SELECT concresce.discard(role => 'bob')", user => 'ann')->sqlstate, '42501', 'and not another\'s by name');
is(discard('everything => true'), '3', 'which are still there');

# What is run by the rights of its owner is not for the caller to undo.
sql(<<'EOF_SQL');
CREATE FUNCTION audit(n int) RETURNS void LANGUAGE concresce VOLATILE SECURITY DEFINER SET concresce.server = 'down' AS 'SELECT unnest(collect(n))';
EOF_SQL
enqueue('audit', '1, 1', 'ann');
is(attempt($node, 'SELECT concresce.discard(everything => true)', user => 'ann')->sqlstate, '42501', 'SECURITY DEFINER: it is not the caller\'s');
is(attempt($node, 'SELECT concresce.discard(everything => true)', user => 'signaler')->sqlstate, '42501', 'nor, a superuser\'s, anybody else\'s');
is(attempt($node, "SELECT items FROM concresce.enqueued", user => 'ann')->out, '1', 'who sees it');
is(discard('everything => true'), '1', 'the superuser may');
rest();
sql('DROP FUNCTION audit');

# ---- while everything moves ------------------------------------------------

sql('SELECT concresce.reset_stats()');
my @senders = map { call($node, <<"EOF_SQL", max_size => 10) } 1 .. 3;
DO \$\$
BEGIN
	FOR i IN 1 .. 300 LOOP
		PERFORM concresce.enqueue('write', 100000 * $_ + 10 * i + j) FROM generate_series(0, 9) j;
		PERFORM concresce.enqueue('lost', i);
		COMMIT;
	END LOOP;
END \$\$
EOF_SQL
my @discarders = map { call($node, <<"EOF_SQL") } 1 .. 2;
SET client_min_messages = warning;
CREATE TEMP TABLE discarded (n bigint);
DO \$\$
BEGIN
	FOR i IN 1 .. 200 LOOP
		INSERT INTO discarded SELECT concresce.discard('write');
		INSERT INTO discarded SELECT concresce.discard(server => 'down');
		PERFORM count(*) FROM concresce.enqueued;
		COMMIT;
	END LOOP;
END \$\$;
SELECT sum(n) FROM discarded
EOF_SQL
is(join('', map { $_->finish->err } @senders, @discarders), '', 'several send, and several discard');
my $returned = $discarders[0]->out + $discarders[1]->out;
$returned += discard('everything => true');
rest();
my ($came, $different) = split /\|/, arrived();
my ($discarded) = sql('SELECT sum(discarded) FROM concresce.stats');
is($came, $different, 'nothing arrives twice');
is($came + $discarded, 3 * 300 * 11, 'every item has arrived, or was discarded');
cmp_ok($returned, '<=', $discarded, 'what was discarded was told');
cmp_ok($returned, '>', 0, 'to whoever did');
note("$came arrived, $discarded discarded, $returned told");
is(sql('SELECT sum(calls - errors - cancelled - timeouts) FROM concresce.stats'), $came, 'and the books are in order');
is(enqueued(''), '0', 'nothing is left');

# ---- servers that are switched off -----------------------------------------

sql(q{CREATE EXTENSION postgres_fdw; CREATE SERVER pg FOREIGN DATA WRAPPER postgres_fdw OPTIONS (} . far_options($node) . q{);
	CREATE USER MAPPING FOR PUBLIC SERVER pg OPTIONS (password_required 'false')} . ";\n" .
	define('pg', 'pg_v(n int)' => 'text STABLE' => 'SELECT v FROM items WHERE id = n',
		'pg_write(n int)' => 'void VOLATILE' => 'INSERT INTO events SELECT unnest(collect(n))'));
sql('SELECT concresce.reset_stats()');
foreach my $server (['far', 'v', 'write'], ['pg', 'pg_v', 'pg_write'])
{
	my ($name, $read, $write) = @$server;

	is(sql("SELECT $read(1)"), 'v1', "$name: works");
	sql("SELECT concresce.switch_off('$name')");
	is(sql('SELECT function, server, force, now() - since < interval \'1 min\' FROM concresce.stopped'), "|$name|f|t", 'is switched off, as can be seen');
	my $call = attempt($node, "SELECT $read(1)", timeout => '60s');
	is($call->sqlstate, '55000', 'a call fails');
	like($call->err, qr/server "$name" is switched off\nHINT:  concresce.switch_on\(\)/, 'and says why');
	is(attempt($node, "SELECT count($read(i)) FROM generate_series(1, 2000) i")->sqlstate, '55000', 'as do those of a batch node');
	is(attempt($node, "SELECT concresce.await(concresce.submit('$read', 1))")->sqlstate, '55000', 'and a future');
	ok(poll($node, "SELECT count(*) = 0 FROM concresce.connections WHERE server = '$name'"), 'connections are closed');
	enqueue($write, '1, 100');
	is(sql('SELECT items, in_flight, switched_off FROM concresce.enqueued'), '100|0|t', 'what is enqueued waits');
	like(flush(), qr/ERROR:  100 enqueued items of lookup $write\(integer\) wait, as their server is switched off/, 'as who flushes is told');
	is(sql('SELECT count(*) FROM concresce.circuits'), '0', 'nothing has failed');
	sql("SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE backend_type = 'concresce collector'");
	poll($node, "SELECT count(*) = 2 FROM concresce.collectors WHERE pid IS NOT NULL");
	is(attempt($node, "SELECT $read(1)")->sqlstate, '55000', 'that outlives the collector');
	is(sql('SELECT items, in_flight, switched_off FROM concresce.enqueued'), '100|0|t', 'for both');
	is(sql('SELECT concresce.start()'), '', 'start() is not about servers');
	is(attempt($node, "SELECT $read(1)")->sqlstate, '55000', 'it is still off');
	sql("SELECT concresce.switch_on('$name')");
	is(flush(), '100', 'once it is on, all leave');
	is(arrived(), '100|100', 'and arrive');
	is(sql("SELECT $read(2)"), 'v2', 'as do calls');
	rest();
}

# What waits, and what is in flight.
foreach my $force (0, 1)
{
	$gate = close_gate($node);
	$node->append_conf('postgresql.conf', 'concresce.max_connections = 2');
	$node->reload;
	enqueue('gated_write', '1, 5');
	in_flight('gated_write', 5);
	my $flying = call($node, 'SELECT gate(1)');
	$flying->waiting;
	my $waiting = call($node, 'SELECT v(1)', max_window => '60s', max_size => 1000);
	$waiting->waiting('queued');
	my $flusher = call($node, "SELECT concresce.enqueue('write', 7); SELECT concresce.flush()");
	sleeps($flusher);
	sql("SELECT concresce.switch_off('far', " . ($force ? 'true' : 'false') . ')');
	is($waiting->sqlstate, '55000', 'a call that waits fails at once');
	is($flusher->sqlstate, '55000', 'and so does a flush');
	if ($force)
	{
		is($flying->sqlstate, '55000', 'by force, one in flight does, too');
		ok(poll($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = 'far' AND application_name = 'concresce' AND state = 'active'"), 'and its query is cancelled');
		is(enqueued(q{WHERE in_flight = 0}), '6', 'what is enqueued waits again');
		open_gate($gate);
	}
	else
	{
		is(sql(q{SELECT sum(in_flight) FROM concresce.enqueued}), '5', 'what is in flight goes on');
		open_gate($gate);
		is($flying->out, '10', 'and is answered');
		ok(poll($node, 'SELECT sum(items) = 1 FROM concresce.enqueued'), 'or arrives');
	}
	is(enqueued(''), $force ? '6' : '1', 'the rest waits');
	is(sql(q{SELECT v FROM (SELECT pg_v(3) AS v) s}), 'v3', 'another server works');
	sql("SELECT concresce.switch_on('far')");
	flush();
	rest();
	is(arrived(), '6|6', 'all arrive in the end, once');
}

# Switched to and fro under load.
sql('SELECT concresce.reset_stats()');
my $switcher = call($node, <<'EOF_SQL');
DO $$
BEGIN
	FOR i IN 1 .. 60 LOOP
		PERFORM concresce.switch_off('far', i % 2 = 0), pg_sleep(0.005);
		PERFORM concresce.switch_on('far'), pg_sleep(0.01);
	END LOOP;
END $$
EOF_SQL
my @callers = map { call($node, <<"EOF_SQL") } 1 .. 4;
DO \$\$
DECLARE
	refused int := 0;
BEGIN
	FOR i IN 1 .. 300 LOOP
		BEGIN
			IF v(1 + i) <> 'v' || 1 + i THEN RAISE EXCEPTION 'wrong'; END IF;
		EXCEPTION WHEN object_not_in_prerequisite_state THEN
			refused := refused + 1;
		END;
		PERFORM concresce.enqueue('write', 100000 * $_ + i);
		COMMIT;
	END LOOP;
END \$\$
EOF_SQL
is(join('', map { $_->finish->err } $switcher, @callers), '', 'calls are answered or refused, and nothing else');
ok(poll($node, 'SELECT count(*) = 0 FROM concresce.enqueued'), 'all that was enqueued has left');
rest();
($came, $different) = split /\|/, arrived();
is($different, 1200, 'and arrived');
is(sql('SELECT sum(discarded) FROM concresce.stats'), '0', 'nothing was given up');

# Rights.
sql('CREATE ROLE keeper LOGIN; ALTER SERVER far OWNER TO keeper');
is(attempt($node, "SELECT concresce.switch_off('far')", user => 'ann')->sqlstate, '42501', 'only the owner');
is(attempt($node, "SELECT concresce.switch_on('far')", user => 'ann')->sqlstate, '42501', 'switches a server');
is(attempt($node, "SELECT concresce.switch_off('nix')")->sqlstate, '42704', 'that there is');
is(attempt($node, "SELECT concresce.switch_off('far')", user => 'keeper')->sqlstate, '', 'the owner may');
is(attempt($node, 'SELECT server, role FROM concresce.stopped', user => 'ann')->out, 'far|keeper', 'everybody can see it, and by whom');
is(attempt($node, "SELECT concresce.switch_on('far')", user => 'keeper')->sqlstate, '', 'and on again');

# There are always some places for superusers.
sql('GRANT CREATE ON SCHEMA public TO ann');
is(attempt($node, <<'EOF_SQL', user => 'ann')->sqlstate, '54000', 'one role stops a great many lookups');
DO $$
BEGIN
	FOR i IN 1 .. 300 LOOP
		EXECUTE format('CREATE FUNCTION stopped_%s() RETURNS int LANGUAGE concresce STABLE AS ''SELECT 1''', i);
		EXECUTE format('SELECT concresce.stop(''stopped_%s'')', i);
		COMMIT;
	END LOOP;
END $$;
EOF_SQL
is(sql("SELECT concresce.switch_off('down')"), '', 'a superuser stops what he wants to, all the same');
is(attempt($node, "SELECT concresce.switch_off('far')", user => 'keeper')->sqlstate, '', 'and so does another role');
is(sql("SELECT string_agg(n::text, ' ' ORDER BY n) FROM (SELECT count(*) AS n FROM concresce.stopped GROUP BY role) s"), '1 1 96', 'as the view shows');
is(attempt($node, "SELECT concresce.switch_on('far')", user => 'keeper')->sqlstate, '', 'it is on again');

# What is enqueued for a server that is switched off, or dropped.
enqueue('lost', '1, 5');
is(discard("server => 'down'"), '5', 'what waits for it can be discarded');
my $down = sql("SELECT oid FROM pg_foreign_server WHERE srvname = 'down'");
sql('DROP SERVER down CASCADE');
is(sql("SELECT count(*) FROM concresce.stopped WHERE server IS NOT NULL"), '0', 'a server that was dropped is not shown');
is(discard("server => '$down'"), '0', 'its OID still names it');
rest();

# A shutdown does not wait for it.
flush();
sql("SELECT concresce.switch_off('pg')");
enqueue('pg_write', '1, 5');
$session->quit;
cmp_ok(timed(sub { $node->stop('fast') }), '<', 20, 'a shutdown does not wait for a server that is switched off');
like(slurp_file($node->logfile), qr/WARNING:  5 enqueued items of lookup pg_write\(integer\) are lost at shutdown\n.*DETAIL:  Server "pg" is switched off/, 'but says what is lost, and why');
unlike(slurp_file($node->logfile), qr/PANIC|terminated by signal|TRAP:|cannot go on/, 'nothing crashes on the way');

done_testing();
