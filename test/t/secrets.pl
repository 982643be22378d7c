# Who may connect as whom. A role that is no superuser uses a password of its
# own, the server must have asked for it, and it shows up nowhere; nobody's
# mapping, connection or answer is ever another's.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Utils;
use Test::More;

my $SECRET = 'hush' . join('', map { int rand 10 } 1 .. 20);

my $node = start_node('local', conf => <<'EOF_CONF');
log_min_messages = debug1
log_connections = on
EOF_CONF
make_far($node);

# The test itself comes through the socket, lookups through 127.0.0.1.
unlink($node->data_dir . '/pg_hba.conf');
$node->append_conf('pg_hba.conf', <<'EOF_HBA');
local all all trust
host far far_md5 127.0.0.1/32 md5
host far far_scram,far_other 127.0.0.1/32 scram-sha-256
host far all 127.0.0.1/32 trust
EOF_HBA
$node->reload;

# Statements with the password in them must not be what puts it in the log.
$node->safe_psql('postgres', <<"EOF_SQL" . define('far', 'who(n int)' => 'text STABLE' => "SELECT current_user || ' ' || n"));
SET log_min_messages = fatal;
SET password_encryption = 'md5';
CREATE ROLE far_md5 LOGIN PASSWORD '$SECRET';
SET password_encryption = 'scram-sha-256';
CREATE ROLE far_scram LOGIN PASSWORD '$SECRET';
CREATE ROLE far_other LOGIN PASSWORD '$SECRET';
CREATE ROLE far_trust LOGIN PASSWORD '$SECRET';
DROP USER MAPPING FOR PUBLIC SERVER far;

CREATE ROLE app_md5 LOGIN;
CREATE ROLE app_scram LOGIN;
CREATE ROLE app_other LOGIN;
CREATE ROLE app_trust LOGIN;
CREATE ROLE app_wrong LOGIN;
CREATE ROLE app_none LOGIN;
CREATE ROLE app_free LOGIN;
CREATE ROLE app_unmapped LOGIN;
CREATE ROLE app_twin LOGIN;
GRANT USAGE ON FOREIGN SERVER far TO PUBLIC;
CREATE USER MAPPING FOR app_md5 SERVER far OPTIONS (user 'far_md5', password '$SECRET');
CREATE USER MAPPING FOR app_scram SERVER far OPTIONS (user 'far_scram', password '$SECRET');
CREATE USER MAPPING FOR app_twin SERVER far OPTIONS (user 'far_scram', password '$SECRET');
CREATE USER MAPPING FOR app_other SERVER far OPTIONS (user 'far_other', password '$SECRET');
CREATE USER MAPPING FOR app_trust SERVER far OPTIONS (user 'far_trust', password '$SECRET');
CREATE USER MAPPING FOR app_wrong SERVER far OPTIONS (user 'far_scram', password 'x$SECRET');
CREATE USER MAPPING FOR app_none SERVER far OPTIONS (user 'far_trust');
CREATE USER MAPPING FOR app_free SERVER far OPTIONS (user 'far_trust', password_required 'false');
EOF_SQL

sub as
{
	my ($user, $sql, %o) = @_;

	return attempt($node, $sql, user => $user, %o);
}

# ---- passwords -------------------------------------------------------------

is(as('app_md5', 'SELECT who(1)')->out, 'far_md5 1', 'a password, asked for with md5');
is(as('app_scram', 'SELECT who(1)')->out, 'far_scram 1', 'and with SCRAM');
is(as('app_free', 'SELECT who(1)')->out, 'far_trust 1', 'none where a superuser says so');

my $call = as('app_none', 'SELECT who(1)');
is($call->sqlstate, '2F003', 'none without that');
like($call->err, qr/ERROR:  2F003: password is required\nDETAIL:  Role "app_none"/, 'says why');
$call = as('app_trust', 'SELECT who(1)');
is($call->sqlstate, '2F003', 'a password that was not asked for');
like($call->err, qr/may not use a server that does not ask for a password/, 'says why');
$call = as('app_wrong', 'SELECT who(1)');
is($call->sqlstate, '28P01', 'a wrong password');
like($call->err, qr/could not connect to server "far"\nDETAIL:.*password authentication failed for user "far_scram"/,
	'names server and cause');
$call = as('app_none',
	"ALTER USER MAPPING FOR app_none SERVER far OPTIONS (ADD password_required 'false')");
is($call->sqlstate, '42501', 'nobody frees himself from the rule');

# What a superuser's own environment offers is not for others.
$call = as('app_unmapped', 'SELECT who(1)');
like($call->err, qr/user mapping not found/, "nobody has another's mapping");

# ---- whose answer is it ----------------------------------------------------

# The same key, at the same time, in the same window: each gets his own.
my @users = qw(app_md5 app_scram app_other app_free);
my @calls = map { call($node, 'SELECT who(7)', user => $_, max_window => '500ms') } (@users) x 3;
my %mapped = (app_md5 => 'far_md5', app_scram => 'far_scram',
	app_other => 'far_other', app_free => 'far_trust');
is(join(',', map { $_->out } finish_all(@calls)),
	join(',', map { "$mapped{$_} 7" } (@users) x 3),
	'who call as different users share nothing');

# Nor while a flight is in the air.
$node->safe_psql('postgres',
	define('far', 'slow_who(n int)' => 'text STABLE' => 'SELECT current_user::text FROM gate(n)'));
my $gate = close_gate($node);
@calls = map { call($node, 'SELECT slow_who(1)', user => $_) } @users, 'app_twin';
$_->waiting foreach @calls;
ok(poll_far($node, 5), 'a flight of the same key for each mapping, be they alike');
is($node->safe_psql('postgres', q{SELECT count(DISTINCT usename) FROM pg_stat_activity
	WHERE application_name = 'concresce' AND state = 'active'}), 4, 'on a connection of its own');
open_gate($gate);
is(join(',', map { $_->out } finish_all(@calls)), 'far_md5,far_scram,far_other,far_trust,far_scram', 'each gets his own');

# The role that counts is the one that runs the function.
is($node->safe_psql('postgres', 'SET ROLE app_scram; SELECT who(2)'), 'far_scram 2', 'SET ROLE');
is(as('app_md5', <<'EOF_SQL')->out, "far_md5 3", 'a prepared call, before');
PREPARE p AS SELECT who($1);
EXECUTE p(3)
EOF_SQL
$node->safe_psql('postgres', <<'EOF_SQL');
CREATE FUNCTION definer(n int) RETURNS text LANGUAGE concresce STABLE SECURITY DEFINER
SET concresce.server = 'far' SET concresce.key = '' AS 'SELECT current_user::text';
ALTER FUNCTION definer OWNER TO app_scram;
GRANT EXECUTE ON FUNCTION definer TO PUBLIC;
CREATE FUNCTION open_definer(n int) RETURNS text LANGUAGE concresce STABLE SECURITY DEFINER
AS 'SELECT current_user::text';
ALTER FUNCTION open_definer OWNER TO app_scram;
EOF_SQL
is(as('app_none', 'SELECT definer(1)')->out, 'far_scram', "SECURITY DEFINER: the owner's mapping");
is(as('app_none', 'SELECT open_definer(1)', server => 'far')->sqlstate, '42501',
	'only where the server is pinned');
is(as('app_none', "SELECT definer(2)", server => 'nowhere', key => '0')->out, 'far_scram',
	"a session's settings do not reach it");

# ---- feeding others --------------------------------------------------------

# A server of one's own, and a key that makes all calls alike.
$node->safe_psql('postgres', <<'EOF_SQL' . define('far', 'poison(n int)' => 'int STABLE' => 'SELECT n'));
GRANT USAGE ON FOREIGN DATA WRAPPER concresce TO app_md5;
GRANT ALL ON SCHEMA public TO app_md5;
CREATE FUNCTION anywhere(n int) RETURNS text LANGUAGE concresce STABLE AS 'SELECT current_database()::text';
EOF_SQL
$call = as('app_md5', 'CREATE SERVER mine FOREIGN DATA WRAPPER concresce OPTIONS ('
	  . far_options($node, dbname => 'postgres') . '); CREATE USER MAPPING FOR app_md5 SERVER mine');
is($call->err, '', 'a server of his own');
@calls = (
	call($node, 'SELECT anywhere(1)', user => 'app_md5', server => 'mine', max_window => '300ms'),
	call($node, 'SELECT anywhere(1)', user => 'app_scram', server => 'far', max_window => '300ms'));
is($calls[1]->out, 'far', 'is used by nobody else');
@calls = (
	call($node, 'SELECT poison(1)', user => 'app_scram', key => '0', max_window => '400ms'),
	call($node, 'SELECT poison(2)', user => 'app_scram', max_window => '400ms'),
	call($node, 'SELECT poison(3)', user => 'app_scram', max_window => '400ms'));
is($calls[1]->out . $calls[2]->out, '23', 'a key that a session sets is its own affair');
my $evil = as('app_scram', "SELECT poison(1)", key => '(SELECT 1)');
is($evil->out, 1, 'and is not even read');

# Keys are values, whatever they look like.
$node->safe_psql('postgres',
	define('far', 'echo(s text, t text[])' => 'text STABLE' => "SELECT s || t[1]"));
my $attack = q~'); DROP TABLE items; --" \\ {$1,"~;
is(as('app_scram', "SELECT echo(\$q\$$attack\$q\$, ARRAY[\$q\$$attack\$q\$])")->out, $attack x 2,
	'what looks like SQL is a key like any other');
is($node->safe_psql('far', 'SELECT count(*) FROM items'), 1000, 'and has no effect');

# What is enqueued goes the same way, and its source is wiped when it has ended.
is(as('app_scram', "SELECT concresce.enqueue('who', 5); SELECT concresce.flush()")->out, "\n1", 'an enqueued call has the same rights');

# ---- rights that are taken away --------------------------------------------

my $session = $node->background_psql('postgres', on_error_stop => 0,
	extra_params => [ '-U', 'app_scram' ]);
is($session->query('SELECT who(5)'), 'far_scram 5', 'a session that may');
$node->safe_psql('postgres', 'REVOKE USAGE ON FOREIGN SERVER far FROM PUBLIC');
$session->query('SELECT who(5)');
like($session->{stderr}, qr/permission denied for foreign server far/, 'may no longer, once USAGE is revoked');
$session->{stderr} = '';
$node->safe_psql('postgres', 'GRANT USAGE ON FOREIGN SERVER far TO PUBLIC;
	DROP USER MAPPING FOR app_scram SERVER far');
$session->query('SELECT who(5)');
like($session->{stderr}, qr/user mapping not found/, 'nor once its mapping is gone');
$session->{stderr} = '';
$node->safe_psql('postgres', 'REVOKE EXECUTE ON FUNCTION who FROM PUBLIC');
$session->query('SELECT who(5)');
like($session->{stderr}, qr/permission denied for function who/, 'nor without EXECUTE');
$session->quit;

# ---- the password is nowhere -----------------------------------------------

my $shown = $node->safe_psql('postgres', <<'EOF_SQL');
SELECT s FROM concresce.stats s; SELECT c FROM concresce.connections c;
SELECT f FROM concresce.in_flight f;
SELECT a FROM pg_stat_activity a WHERE pid <> pg_backend_pid();
EOF_SQL
unlike($shown, qr/\Q$SECRET/, 'no password in views');
unlike($_->err, qr/\Q$SECRET/, 'nor in errors') foreach $call, $evil;
unlike(slurp_file($node->logfile), qr/\Q$SECRET/, 'nor in the log, at debug1');
unlike(scalar(`ps axww -o pid,ppid,args`), qr/\Q$SECRET/, 'nor in ps');

# Nor in shared memory, where it has to pass through, as a length and bytes:
# unlike the catalog's pages and the statements that made the mappings, which
# are there as well.
SKIP:
{
	my $pid = collector_pid($node);
	my $maps = eval { slurp_file("/proc/$pid/maps") };

	# the shadow memory of AddressSanitizer is terabytes
	skip 'no /proc/PID/mem to look at', 2
	  unless $maps && $maps !~ /libasan/ && open(my $mem, '<:raw', "/proc/$pid/mem");
	my ($scanned, $found, $private) = (0, 0, 0);

	no warnings 'portable';
	foreach my $line (split /\n/, $maps)
	{
		my ($from, $to, $shared) = $line =~ /^(\w+)-(\w+) rw.(.) / or next;
		my ($start, $left) = (hex $from, hex($to) - hex $from);
		my $tail = '';

		sysseek($mem, $start, 0) or next;
		while ($left > 0)
		{
			my $n = sysread($mem, my $data, $left > 1 << 20 ? 1 << 20 : $left) or last;
			my $text = $tail . $data;

			$left -= $n;
			$tail = substr($data, -length($SECRET));
			if ($shared eq 's')
			{
				$scanned += $n;
				$found++ while $text =~ /\0\Q$SECRET/g;
			}
			else { $private++ while $text =~ /\Q$SECRET/g }
		}
	}
	cmp_ok($private, '>', 0, 'the search finds what the collector keeps for itself');
	is($found, 0, "no password in $scanned bytes of shared memory");
}

at_rest($node);
done_testing();
