# Enqueued items whose batches fail: what waits and is told of, what is divided,
# and what is given up.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Utils;
use Test::More;

my $far = start_node('far', extension => 0, conf => "listen_addresses = '127.0.0.1'");
my $node = start_node('local', conf => "concresce.queue_size = 20000\nlog_parameter_max_length_on_error = -1");
make_far($node, $far);
$far->safe_psql('far', <<'EOF_SQL');
CREATE TABLE events (n int);
CREATE TABLE state (error text);
CREATE SEQUENCE queries;
INSERT INTO state VALUES ('');
CREATE FUNCTION moody(ns int[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	wrong text := (SELECT error FROM state);
BEGIN
	PERFORM nextval('queries');
	IF wrong LIKE 'one:%' THEN
		IF 7 = ANY (ns) THEN
			RAISE EXCEPTION USING ERRCODE = substr(wrong, 5);
		END IF;
	ELSIF wrong = 'turns' THEN
		RAISE EXCEPTION USING ERRCODE = CASE WHEN nextval('queries') % 2 = 0 THEN '42501' ELSE '42P01' END;
	ELSIF wrong <> '' THEN
		RAISE EXCEPTION USING ERRCODE = wrong;
	END IF;
	INSERT INTO events SELECT n FROM unnest(ns) n;
END $$;
EOF_SQL
$node->safe_psql('postgres', define('far',
	'note(n int)' => 'void VOLATILE' => 'INSERT INTO events SELECT * FROM unnest(collect(n))',
	'moody(n int)' => 'void VOLATILE' => 'SELECT moody(collect(n))'));
my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->set_query_timer_restart;

sub enqueue
{
	my ($function, $items) = @_;

	return "SELECT count(concresce.enqueue('$function', i)) FROM generate_series($items) i";
}

# What has arrived since the last look: how many, how many different.
sub arrived { return $far->safe_psql('far', 'WITH d AS (DELETE FROM events RETURNING n) SELECT count(*), count(DISTINCT n) FROM d') }

sub far_state
{
	my ($error) = @_;

	$far->safe_psql('far', "UPDATE state SET error = '$error'; SELECT setval('queries', 1, false)");
	return;
}

# Bulk queries since the state was set.
sub queries { return $far->safe_psql('far', 'SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END FROM queries') }

sub settled { return $node->poll_query_until('postgres', 'SELECT coalesce(sum(queued + active), 0) = 0 FROM concresce.stats') }

sub counts { return $node->safe_psql('postgres', "SELECT queued + active, discarded FROM concresce.stats WHERE function = '$_[0](int)'::regprocedure") }

sub open_circuit
{
	my ($like) = @_;

	return $node->poll_query_until('postgres', "SELECT count(*) = 1 FROM concresce.circuits WHERE last_error LIKE '$like'");
}

sub closed { return $node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM concresce.circuits') }

# psql's own result, or the error's first line.
sub flush
{
	my ($timeout) = @_;
	my $out = $session->query("SELECT concresce.flush(timeout => '$timeout')");
	my $err = $session->{stderr};

	$session->{stderr} = '';
	$err =~ s/^.*QUERY_SEPARATOR.*\n//mg;
	return $out ne '' ? $out : (split(/\n/, $err))[0] // '';
}

sub reset_stats { $node->safe_psql('postgres', 'SELECT concresce.reset_stats()'); return }

# ---- causes that pass ------------------------------------------------------

# each is a state of the far side, and how it ends
my $hold = $far->background_psql('far');
$hold->set_query_timer_restart;
my %passing = (
	'a primary that has become a standby' => [
		q{ALTER DATABASE far SET default_transaction_read_only = on; SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'concresce'},
		q{SET default_transaction_read_only = off; ALTER DATABASE far RESET default_transaction_read_only}, '%read-only transaction' ],
	'a lock, with lock_timeout' => [
		q{ALTER DATABASE far SET lock_timeout = '50ms'; SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'concresce'},
		q{ALTER DATABASE far RESET lock_timeout; SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'concresce'}, '%lock timeout', 'lock' ],
	'a lock, with statement_timeout' => [
		q{ALTER DATABASE far SET statement_timeout = '50ms'; SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'concresce'},
		q{ALTER DATABASE far RESET statement_timeout; SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'concresce'}, '%statement timeout', 'lock' ]);
foreach my $name (sort keys %passing)
{
	my ($begin, $end, $error, $lock) = @{ $passing{$name} };
	my $offset = -s $node->logfile;

	$far->safe_psql('far', $begin);
	$hold->query_safe('BEGIN; LOCK events IN SHARE MODE') if $lock;
	$session->query_safe(enqueue('note', '101, 200'));
	ok(open_circuit($error), "$name: the circuit opens");
	is(counts('note'), '100|0', 'all wait, none is given up');
	like(flush('100ms'), qr/canceling flush due to timeout/, 'who flushes waits');
	$hold->query_safe('COMMIT') if $lock;
	$far->safe_psql('far', $end);
	is(flush('60s'), '100', 'they arrive when it has passed');
	is(arrived(), '100|100', 'once');
	ok(closed(), 'the circuit is closed');
	my $log = substr(slurp_file($node->logfile), $offset);
	like($log, qr/WARNING:  enqueued items of lookup note\(integer\) wait, as batch after batch has failed\n.*DETAIL:  The last one failed with: .*\n.*HINT:.*\n.*CONTEXT:  server "far"/,
		'the log says since when');
	like($log, qr/LOG:  enqueued items of lookup note\(integer\) wait no more/, 'and until when');
}
foreach my $sqlstate (qw(58030 53100 57P03 40001 55P03))
{
	far_state($sqlstate);
	$session->query_safe(enqueue('moody', '1, 50'));
	ok(open_circuit('%'), "$sqlstate: the circuit opens");
	far_state('');
	is(flush('60s'), '50', 'all arrive in the end');
	is(arrived(), '50|50', 'once');
	cmp_ok(queries(), '<=', 4, 'in few batches');
}

# ---- causes that last ------------------------------------------------------

reset_stats();
$far->safe_psql('far', 'ALTER TABLE events RENAME TO elsewhere');
$session->query_safe(enqueue('note', '1, 100'));
$session->query_safe(enqueue('note', '101, 200'));
ok(open_circuit('relation "events" does not exist'), 'a table that is not there: the circuit opens');
is(counts('note'), '200|0', 'all wait');
like(flush('60s'), qr/ERROR:  200 enqueued items of lookup note\(integer\) wait, as batch after batch has failed/, 'who flushes is told at once');
my ($seen) = $node->safe_psql('postgres', q{SELECT function, server, since <= now(), failures >= 3, retry_at > since, last_error FROM concresce.circuits});
is($seen, 'note(integer)|far|t|t|t|relation "events" does not exist', 'the view says what is wrong');
my $other = $node->safe_psql('postgres', q{CREATE ROLE ann; SET ROLE ann; SELECT count(*) FROM concresce.circuits});
is($other, '0', 'others do not see it');
is($node->safe_psql('postgres', q{SET ROLE ann; SELECT count(*) FROM concresce.stats}), '0', 'as they do not see the counters');
is($node->safe_psql('postgres', q{SELECT batch_size_mean >= 50 FROM concresce.stats WHERE function = 'note(int)'::regprocedure}), 't', 'no batch was halved for an error that no item has');
$far->safe_psql('far', 'ALTER TABLE elsewhere RENAME TO events');
ok(closed(), 'once it is there, the circuit closes by itself');
is(flush('60s'), '200', 'they arrive');
is(arrived(), '200|200', 'each once');

# who flushes has it tried at once
$far->safe_psql('far', 'ALTER TABLE events RENAME TO elsewhere');
$session->query_safe(enqueue('note', '1, 10'));
ok($node->poll_query_until('postgres', 'SELECT failures >= 8 FROM concresce.circuits'), 'the pauses have become long');
$far->safe_psql('far', 'ALTER TABLE elsewhere RENAME TO events');
is(flush('60s'), '10', 'a flush has it tried');
is(arrived(), '10|10', 'and they arrive');

# Two causes that take turns.
far_state('turns');
$session->query_safe(enqueue('moody', '1, 10'));
like(flush('60s'), qr/ERROR:  10 enqueued items of lookup moody\(integer\) wait/, 'errors that are not alike: who flushes is told');
ok(open_circuit('%'), 'and the view');
far_state('');
is(flush('60s'), '10', 'they arrive in the end');
arrived();

# Row security refuses one item with a SQLSTATE that no item has, mostly.
far_state('one:42501');
$session->query_safe(enqueue('moody', '1, 20'));
like(flush('60s'), qr/1 of 20 enqueued items of lookup moody\(integer\) were discarded|20 enqueued items of lookup moody\(integer\) wait/, 'one that is refused');
ok($node->poll_query_until('postgres', "SELECT queued + active = 0 FROM concresce.stats WHERE function = 'moody(int)'::regprocedure"),
	'is found, as others of its batch succeed');
is(counts('moody'), '0|1', 'and given up');
flush('60s');
is(arrived(), '19|19', 'the others arrive');

# ---- items -----------------------------------------------------------------

reset_stats();
far_state('one:23514');
$session->query_safe(enqueue('moody', '1, 1000'));
like(flush('60s'), qr/1 of 1000 enqueued items of lookup moody\(integer\) were discarded/, 'a bad item is found');
cmp_ok(queries(), '<=', 2 * 10 + 2, 'by at most two queries for each halving');
is(arrived(), '999|999', 'the others arrive');

# All of a batch are bad, and nothing says that they are not.
far_state('23514');
$session->query_safe(enqueue('moody', '1, 30'));
like(flush('60s'), qr/30 of 30 enqueued items of lookup moody\(integer\) were discarded/, 'all of one batch are bad: each is given up');

# Several batches fail alike.
reset_stats();
my $gate = $node->background_psql('postgres');
$gate->query_safe("SET concresce.max_size = 10; SET concresce.max_window = '1min'");
far_state('P0001');
$gate->query_safe(enqueue('moody', '1, 300'));
ok(open_circuit('%'), 'batch after batch fails alike: the circuit opens');
is(counts('moody'), '300|0', 'and no item is given up');
cmp_ok(queries(), '<', 100, 'nor looked for any further');
far_state('');
is($gate->query_safe('SELECT concresce.flush()'), '300', 'when the cause is gone, all arrive');
is(arrived(), '300|300', 'once');

# Bad items do not go ahead of good ones.
far_state('23514');
$hold->query_safe('BEGIN; LOCK state');
$session->query_safe(enqueue('moody', '1, 1000'));
poll($node, "SELECT active = 1000 FROM concresce.stats WHERE function = 'moody(int)'::regprocedure");
$session->query_safe(enqueue('moody', '2001, 2010'));
$hold->query_safe(q{UPDATE state SET error = 'one:23514'; COMMIT});
flush('60s');
is(arrived(), '1009|1009', 'what waits has its turn');

# ---- given up in the end ---------------------------------------------------

$node->append_conf('postgresql.conf', 'concresce.max_attempts = 3');
$node->reload;
reset_stats();
far_state('one:57014');
$session->query_safe(enqueue('moody', '1, 8'));
my $i = 100;
ok(poll_until(sub {
	$i++;
	$gate->query_safe(enqueue('moody', "$i, $i"));
	$gate->query_safe('SELECT concresce.flush()');
	return counts('moody') eq '0|1';
}), 'an item that alone fails for a passing cause, while others succeed, is given up');
like(flush('60s'), qr/1 of 8 enqueued items of lookup moody\(integer\) were discarded/, 'and told of');
arrived();

# ---- stopped by force ------------------------------------------------------

far_state('42P01');
$session->query_safe(enqueue('moody', '1, 10'));
ok(open_circuit('%'), 'an open circuit');
$hold->query_safe('BEGIN; LOCK state');
ok($node->poll_query_until('postgres', "SELECT active = 10 FROM concresce.stats WHERE function = 'moody(int)'::regprocedure"), 'a batch tries it');
$node->safe_psql('postgres', "SELECT concresce.stop('moody', force => true)");
$hold->query_safe('ROLLBACK');
ok(closed(), 'with nothing left, it is closed');
$node->safe_psql('postgres', "SELECT concresce.start('moody')");
like(flush('60s'), qr/10 of 10 enqueued items of lookup moody\(integer\) were discarded/, 'who flushes is told');

# ---- a password that is changed --------------------------------------------

far_state('');
my $user = $node->safe_psql('postgres', 'SELECT user');
$node->safe_psql('postgres', "ALTER USER MAPPING FOR PUBLIC SERVER far OPTIONS (ADD user 'nobody_knows')");
$session->query_safe(enqueue('note', '1, 10'));
ok(open_circuit('could not connect to server "far"'), 'a user that is not known over there');
$node->safe_psql('postgres', "ALTER USER MAPPING FOR PUBLIC SERVER far OPTIONS (SET user '$user')");
is($node->safe_psql('postgres', enqueue('note', '11, 20') . '; SELECT concresce.flush()'), "10\n10", 'the next commit brings the user mapping as it is now');
is(flush('60s'), '10', 'and what was enqueued before goes by it');
is(arrived(), '20|20', 'all arrive');
ok(closed(), 'the circuit is closed');

# a mapping of all roles: who must use a password there does not go by what a superuser has brought
$node->safe_psql('postgres', q{ALTER USER MAPPING FOR PUBLIC SERVER far OPTIONS (ADD password 'not asked for'); CREATE ROLE plain LOGIN; GRANT USAGE ON FOREIGN SERVER far TO plain});
sub as_plain { return ($node->psql('postgres', 'SELECT v(1)', extra_params => [ '-U', 'plain' ]))[2] }
like(as_plain(), qr/password is required/, 'a role that is no superuser needs a password');
is($node->safe_psql('postgres', 'SELECT v(1)'), 'v1', 'a superuser does not');
like(as_plain(), qr/password is required/, 'nor does that help others') for 1 .. 2;

# of one lookup with two user mappings, one fails: the other hears nothing of it
$node->safe_psql('postgres', "CREATE ROLE other SUPERUSER LOGIN; CREATE USER MAPPING FOR other SERVER far OPTIONS (user 'other')");
$far->safe_psql('far', "CREATE ROLE other LOGIN; UPDATE state SET error = ''");
$node->safe_psql('postgres', enqueue('moody', '1, 1'), extra_params => [ '-U', 'other' ]);
ok(open_circuit('%permission denied%'), 'the right is lacking to the one');
$session->query_safe('SET concresce.max_size = 1');
$session->query_safe(enqueue('moody', '301, 320'));
is(flush('60s'), '20', 'the other waits for its own items');
like(flush('60s'), qr/^0?$/, 'and no more');
ok(open_circuit('%permission denied%'), 'though the circuit is open');
$far->safe_psql('far', 'ALTER ROLE other SUPERUSER');
ok(closed(), 'until the right is given');

# The mapping is wrong for a moment, and then as it was before: what came in
# between leaves, and nothing is left of it.
my $mapping = 'ALTER USER MAPPING FOR PUBLIC SERVER far OPTIONS';
arrived();
$node->safe_psql('postgres', "$mapping (DROP user)");
is($node->safe_psql('postgres', enqueue('note', '1, 5') . '; SELECT concresce.flush()'), "5\n5", 'a mapping');
$node->safe_psql('postgres', "$mapping (ADD user 'nobody_knows')");
$session->query_safe(enqueue('note', '6, 15'));
ok(open_circuit('could not connect to server "far"'), 'a wrong one');
$node->safe_psql('postgres', "$mapping (DROP user)");
is(attempt($node, 'SELECT v(1)')->out, 'v1', 'the one of before');
is(flush('60s'), '10', 'what came in between goes by it');
is(arrived(), '15|15', 'all arrive');
$far->restart;
ok($node->poll_query_until('postgres', q{SELECT v(2) = 'v2'}), 'after an outage nobody goes by the wrong one');

sub poll_until
{
	my ($what) = @_;

	foreach (1 .. 300)
	{
		return 1 if $what->();
		select(undef, undef, undef, 0.1);
	}
	return 0;
}

$_->quit foreach $session, $gate, $hold;
ok(settled(), 'nothing is left');
at_rest($node);
done_testing();
