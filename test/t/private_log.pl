# What the server log has of the values that calls were made with: of a batch
# with callers of several roles the error that they are not told, and of
# discarded items what log_parameter_max_length_on_error allows.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Utils;
use Test::More;

my $CARD = '4111-1111-2222-3333';
my $far = start_node('far', extension => 0);
my $node = start_node('local');
make_far($node, $far);
$far->safe_psql('far', <<'EOF_SQL');
CREATE ROLE ann LOGIN SUPERUSER;
CREATE TABLE cards (n text UNIQUE);
CREATE FUNCTION raises(code text, given text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'message %', given USING ERRCODE = code, DETAIL = 'detail ' || given::text, HINT = 'hint ' || given::text;
END $$;
EOF_SQL
$node->safe_psql('postgres', define('far',
	'number(n text)' => 'void VOLATILE' => 'SELECT unnest(collect(n))::int',
	'card(n text)' => 'void VOLATILE' => 'INSERT INTO cards SELECT unnest(collect(n))',
	'speaks(n text)' => 'void VOLATILE' => q{SELECT raises('P0001', collect(n))},
	'checks(n text)' => 'void VOLATILE' => q{SELECT raises('44000', collect(n))},
	'forbids(n text)' => 'void VOLATILE' => q{SELECT raises('42501', collect(n))}) . <<'EOF_SQL');
CREATE ROLE ann LOGIN;
CREATE ROLE bob LOGIN;
GRANT USAGE ON FOREIGN SERVER far TO PUBLIC;
ALTER USER MAPPING FOR PUBLIC SERVER far OPTIONS (ADD password_required 'false', ADD user 'ann');
EOF_SQL

# Enqueue what is bad; keep what flush() tells the session, and what has come
# to the log.
my ($told, $waiting, $logged);

sub discard
{
	my ($setting) = @_;

	$node->append_conf('postgresql.conf', "log_parameter_max_length_on_error = $setting");
	$node->restart;
	my $offset = -s $node->logfile;
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	$session->query_safe("SELECT concresce.enqueue('card', '$CARD'); SELECT concresce.flush()");
	foreach my $lookup (qw(number card speaks checks))
	{
		$session->query("SELECT concresce.enqueue('$lookup', '$CARD')");
		$session->query("SELECT concresce.flush('$lookup')");
	}
	$told = $session->{stderr};
	$session->{stderr} = '';
	$session->query("SELECT concresce.enqueue('forbids', '$CARD')");
	$session->query('SELECT concresce.flush()');
	$waiting = $session->{stderr};
	$session->{stderr} = '';
	$session->quit;
	$node->safe_psql('postgres', "SELECT concresce.stop('forbids', true); SELECT concresce.start('forbids')");
	$logged = substr(slurp_file($node->logfile), $offset);
	$far->safe_psql('far', 'TRUNCATE cards');
	return;
}

discard(0);
unlike($logged, qr/4111/, 'by default, no value is in the log');
like($logged, qr/WARNING:  discarded an enqueued item of lookup $_/, 'each is logged')
  foreach 'number\(text\): SQLSTATE 22P02', 'card\(text\): SQLSTATE 23505',
  'speaks\(text\): SQLSTATE P0001', 'checks\(text\): SQLSTATE 44000';
like($logged, qr/HINT:  Set "log_parameter_max_length_on_error"/, 'with what to do about it');
like($logged, qr/DETAIL:  The first one failed with SQLSTATE 22P02\./, "flush's own error, too");
like($told, qr/DETAIL:  The first one failed with: invalid input syntax for type integer: "$CARD"/,
	'the session is told all of it');
like($logged, qr/WARNING:  enqueued items of lookup forbids\(text\) wait, .*\n.*DETAIL:  The last one failed with: SQLSTATE 42501\n/, 'of what waits, too');
like($logged, qr/ERROR:  1 enqueued items of lookup forbids\(text\) wait, .*\n.*DETAIL:  The last one failed with SQLSTATE 42501\./, 'and of who waits for it');
like($waiting, qr/DETAIL:  The last one failed with: message \{$CARD\}/, 'who is told all of it');

discard(4);
unlike($logged, qr/4111-/, 'no more of a value than is allowed');
like($logged, qr/DETAIL:  It was called with \('4111\.\.\.'\)\. Key \.\.\./, 'values and texts are cut off');
like($logged, qr/item of lookup number\(text\): inva\.\.\./, 'messages, too');

discard(-1);
like($logged, qr/item of lookup number\(text\): invalid input syntax for type integer: "$CARD"\n.*DETAIL:  It was called with \('$CARD'\)/,
	'all of it');
like($logged, qr/DETAIL:  It was called with \('$CARD'\)\. Key \(n\)=\($CARD\) already exists\./, 'the detail');
like($logged, qr/HINT:  hint \{$CARD\}/, 'and the hint');

# ---- several roles ---------------------------------------------------------

$node->append_conf('postgresql.conf', 'log_parameter_max_length_on_error = 0');
$node->restart;
$node->safe_psql('postgres', q{ALTER FUNCTION forbids SET concresce.max_size = 2; ALTER FUNCTION forbids SET concresce.max_window = '30s'});
my $offset = -s $node->logfile;
my @calls = map { call($node, "SELECT forbids('$_-value')", user => $_) } qw(ann bob);
finish_all(@calls);
$logged = substr(slurp_file($node->logfile), $offset);
is($_->sqlstate, '42501', 'callers of several roles get the SQLSTATE') foreach @calls;
unlike($_->err, qr/message|detail \{|hint \{|RAISE/, 'and none of the texts') foreach @calls;
unlike($calls[0]->err, qr/bob-value.*bob-value/s, "nor another's value");
like($logged, qr/LOG:  lookup forbids\(text\) failed for callers of several roles: message \{\w+-value,\w+-value\}/, 'the log has the message');
like($logged, qr/DETAIL:  detail \{\w+-value,\w+-value\}/, 'the detail');
like($logged, qr/HINT:  hint \{\w+-value,\w+-value\}/, 'the hint');

# ---- a server that is down -------------------------------------------------

# What waits for it ends with the mapping, and the password with what waits.
# It holds over a restart of the collector, and is found after a COMMIT PREPARED.
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 1');
$node->restart;
$far->stop('fast');
sub collector { return $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'concresce collector'") }
sub discarded { return $node->safe_psql('postgres', 'SELECT sum(discarded) FROM concresce.stats') }
$node->safe_psql('postgres', 'SELECT concresce.reset_stats()');
$node->safe_psql('postgres', "SELECT count(concresce.enqueue('card', i::text)) FROM generate_series(1, 5) i");
ok($node->poll_query_until('postgres', q{SELECT last_error LIKE 'could not connect%' FROM concresce.stats WHERE function = 'card(text)'::regprocedure}),
	'the server is down');
my $old = collector();
$node->safe_psql('postgres', "SELECT pg_terminate_backend($old)");
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'concresce collector' AND pid <> $old"),
	'the collector is another one');
$offset = -s $node->logfile;
$node->safe_psql('postgres', "BEGIN; DROP USER MAPPING FOR PUBLIC SERVER far; PREPARE TRANSACTION 'p'");
is(discarded(), 0, 'a transaction that is prepared has not dropped the mapping');
$node->safe_psql('postgres', "COMMIT PREPARED 'p'");
ok($node->poll_query_until('postgres', 'SELECT sum(discarded) = 5 AND sum(queued) = 0 FROM concresce.stats'), 'once it has, the items are gone');
ok($node->poll_query_until('postgres', 'SELECT used = 0 FROM concresce.memory()'), 'and their source with the password');
like(substr(slurp_file($node->logfile), $offset),
	qr/WARNING:  discarded 5 enqueued items of lookup card\(text\): its server, user mapping, role or database was dropped/, 'the log tells of it');

done_testing();
