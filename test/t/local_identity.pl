# A local executor is the role that it works for: to whoever watches or ends
# it, in the log, and in every setting.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Utils;
use Test::More;

# settings of each kind and from each place, so that there is much to mistake
my $node = start_node('local', conf => <<'EOF_CONF');
work_mem = 5MB
statement_timeout = 50s
DateStyle = 'SQL, DMY'
app.place = 'postgresql.conf'
log_min_messages = warning
EOF_CONF

$node->safe_psql('postgres', <<'EOF_SQL');
CREATE ROLE ann LOGIN;
CREATE ROLE bob NOLOGIN;
CREATE ROLE signaler LOGIN IN ROLE pg_signal_backend;
CREATE ROLE other LOGIN;
CREATE ROLE admin SUPERUSER LOGIN;
CREATE FUNCTION value_of(name text) RETURNS text LANGUAGE concresce VOLATILE AS 'SELECT current_setting(name, true)';
CREATE FUNCTION settings() RETURNS SETOF text LANGUAGE concresce VOLATILE
AS 'SELECT concat_ws($$|$$, name, setting, reset_val, source, sourcefile) FROM pg_settings ORDER BY name';
CREATE FUNCTION who() RETURNS text LANGUAGE concresce VOLATILE
AS $$ SELECT concat_ws(' ', current_user, session_user, current_setting('is_superuser'), current_setting('role')) $$;
CREATE FUNCTION gated() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_advisory_xact_lock_shared(4711);
	RETURN 1;
END $$;
CREATE FUNCTION gate() RETURNS int LANGUAGE concresce STABLE AS 'SELECT gated()';
CREATE FUNCTION warned(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	RAISE WARNING 'warning of %', n;
	IF n > 1 THEN
		RAISE EXCEPTION 'exception of %', n;
	END IF;
	RETURN n;
END $$;
CREATE FUNCTION warn(n int) RETURNS int LANGUAGE concresce VOLATILE AS 'SELECT warned(n)';
CREATE FUNCTION pause() RETURNS void LANGUAGE concresce VOLATILE AS 'SELECT 1';
EOF_SQL

my $executors = "FROM pg_stat_activity WHERE backend_type = 'concresce executor'";

# Settings are found when an executor starts.
sub anew
{
	ok(poll($node, "SELECT count(*) = 0 $executors"), 'no executor is left');
	return;
}

sub as_role
{
	my ($role, $sql) = @_;

	return $node->safe_psql('postgres', "SET ROLE $role; $sql");
}

# ---- who can see and end it ------------------------------------------------

foreach my $role ('ann', 'bob', 'postgres')
{
	my $gate = $node->background_psql('postgres');

	$gate->query_safe('SELECT pg_advisory_lock(4711)');
	my $call = call($node, "SET ROLE $role; SELECT gate()");
	$call->waiting;
	ok(poll($node, "SELECT count(*) = 1 $executors AND state = 'active'"), "an executor works for $role");
	is($node->safe_psql('postgres', "SELECT usename, pid > 0 $executors AND state = 'active'"), "$role|t", 'and is its own');
	my $pid = $node->safe_psql('postgres', "SELECT pid $executors AND state = 'active'");

	is(as_role($role, "SELECT query LIKE '%gated%' FROM pg_stat_activity WHERE pid = $pid"), 't', 'as it sees');
	is(as_role('other', "SELECT query LIKE '%gated%' FROM pg_stat_activity WHERE pid = $pid"), 'f', 'and others do not');
	is(attempt($node, "SELECT pg_terminate_backend($pid)", user => 'other')->sqlstate, '42501', 'another role cannot end it');
	if ($role eq 'postgres')
	{
		is(attempt($node, "SELECT pg_terminate_backend($pid)", user => 'signaler')->sqlstate, '42501',
			'nor, a superuser\'s, a member of pg_signal_backend');
	}
	else
	{
		is(attempt($node, "SELECT pg_cancel_backend($pid)", user => 'signaler')->out, 't',
			'a member of pg_signal_backend can cancel it');
		is($call->sqlstate, '57014', 'which the call is told');
		$call = call($node, "SET ROLE $role; SELECT gate()");
		$call->waiting;
		ok(poll($node, "SELECT count(*) = 1 $executors AND state = 'active'"), 'another call');
		$pid = $node->safe_psql('postgres', "SELECT pid $executors AND state = 'active'");
		is(attempt($node, "SELECT pg_terminate_backend($pid, 60000)", user => 'signaler')->out, 't', 'and end it');
		ok(poll($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid"), 'it is gone');
		is($call->sqlstate, '57000', 'which the call is told');
		$call = call($node, "SET ROLE $role; SELECT gate()");
		$call->waiting;
		ok(poll($node, "SELECT count(*) = 1 $executors AND state = 'active'"), 'one more');
		is(as_role($role, "SELECT pg_cancel_backend(pid) $executors AND state = 'active'"), 't', 'the role itself can cancel it');
		is($call->sqlstate, '57014', 'which the call is told');
		$call = call($node, "SET ROLE $role; SELECT gate()");
		$call->waiting;
	}
	open_gate($gate);
	is($call->out, '1', 'one that is left alone is answered');
}

# ---- what a login asks for that this is not --------------------------------

$node->safe_psql('postgres', <<'EOF_SQL');
CREATE ROLE kept_out NOLOGIN CONNECTION LIMIT 0 VALID UNTIL '2000-01-01';
REVOKE CONNECT ON DATABASE postgres FROM PUBLIC;
EOF_SQL
is(as_role('kept_out', 'SELECT who()'), 'kept_out kept_out off none', 'a role that could not log in');
is(as_role('ann', 'SELECT who()'), 'ann ann off none', 'one without CONNECT');
$node->safe_psql('postgres', 'GRANT CONNECT ON DATABASE postgres TO PUBLIC');

# ---- settings --------------------------------------------------------------

# Those that a job has for itself.
my $own = join('|', qw(application_name client_encoding search_path transaction_\w+ standard_conforming_strings
	default_transaction_read_only TimeZone lc_messages in_hot_standby statement_timeout));

sub settings
{
	return join("\n", grep { !/^(?:$own)\|/ } split /\n/, $_[0]);
}

sub same_settings
{
	my ($what) = @_;

	anew();
	is(settings($node->safe_psql('postgres', 'SELECT settings()', extra_params => [ '-U', 'ann' ])),
		settings($node->safe_psql('postgres',
				q(SELECT concat_ws('|', name, setting, reset_val, source, sourcefile) FROM pg_settings ORDER BY name),
				extra_params => [ '-U', 'ann' ])),
		"all settings are those of a session of ann: $what");
	return;
}

same_settings('none is made');
$node->safe_psql('postgres', <<'EOF_SQL');
ALTER ROLE postgres SET session_replication_role = replica;
ALTER ROLE postgres SET work_mem = '7MB';
ALTER ROLE postgres SET role = other;
ALTER ROLE postgres SET enable_seqscan = off;
ALTER ROLE postgres SET seed = 0.5;
ALTER ROLE postgres SET lo_compat_privileges = on;
ALTER ROLE postgres SET default_transaction_isolation = serializable;
ALTER ROLE postgres SET app.place = 'superuser';
ALTER ROLE postgres SET app.other = 'superuser';
ALTER ROLE postgres IN DATABASE postgres SET DateStyle = 'German';
ALTER ROLE postgres IN DATABASE postgres SET row_security = off;
ALTER ROLE postgres IN DATABASE postgres SET temp_buffers = '2MB';
ALTER ROLE postgres IN DATABASE postgres SET default_text_search_config = 'pg_catalog.german';
EOF_SQL
same_settings('those of the superuser that was made by initdb');
is(as_role('ann', q(SELECT value_of('session_replication_role'), value_of('app.place'), coalesce(nullif(value_of('app.other'), ''), 'none'))),
	'origin|postgresql.conf|none', 'three of them by name');
is(as_role('bob', q(SELECT value_of('session_replication_role'), value_of('work_mem'), who())),
	'origin|5MB|bob bob off none', 'for a role that cannot log in, too');
$node->safe_psql('postgres', <<'EOF_SQL', extra_params => [ '-U', 'admin' ]);
ALTER ROLE postgres RESET role;
ALTER ROLE ann SET work_mem = '9MB';
ALTER ROLE ann SET enable_seqscan = on;
ALTER ROLE ann SET search_path = public, pg_catalog;
ALTER ROLE ann IN DATABASE postgres SET work_mem = '10MB';
ALTER ROLE ann IN DATABASE postgres SET app.place = 'ann';
ALTER DATABASE postgres SET enable_hashjoin = off;
ALTER DATABASE postgres SET work_mem = '11MB';
ALTER ROLE ALL SET enable_mergejoin = off;
ALTER ROLE bob SET app.place = 'bob';
EOF_SQL
same_settings('each of the four places has some');
is(as_role('ann', q(SELECT value_of('work_mem'), value_of('app.place'), value_of('enable_hashjoin'), value_of('enable_mergejoin'))),
	'10MB|ann|off|off', 'some of them by name');
is(as_role('bob', q(SELECT value_of('work_mem'), value_of('app.place'), value_of('enable_hashjoin'), value_of('enable_mergejoin'))),
	'11MB|bob|off|off', 'and of bob');
anew();
$node->safe_psql('postgres', 'ALTER ROLE ann SET role = other');
is(as_role('ann', 'SELECT who()'), 'ann ann off none', 'no role is set');
is($node->safe_psql('postgres', 'SELECT who()', extra_params => [ '-U', 'signaler' ]), 'signaler signaler off none', 'of none');
$node->safe_psql('postgres', 'ALTER ROLE postgres RESET ALL; ALTER ROLE postgres IN DATABASE postgres RESET ALL; ALTER ROLE ann RESET ALL');

# ---- the log ---------------------------------------------------------------

my $offset = -s $node->logfile;
my $failed = attempt($node, 'SET ROLE bob; SELECT warn(1); SELECT warn(2)');
my $log = slurp_file($node->logfile, $offset);

like($log, qr/WARNING:  warning of 1\n(?:.*CONTEXT:.*\n)?(?:.*\n)*?.*local executor of role "bob"/, 'the log names the role');
like($failed->err, qr/exception of 2/, 'an error');
unlike($failed->err, qr/local executor/, 'is told without');

at_rest($node);

done_testing();
