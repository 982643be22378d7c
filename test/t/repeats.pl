# A write is repeated only if it is certain that it was not executed: an error
# that a body raises itself is its item's, whatever its SQLSTATE, and a session
# that ends at COMMIT tells no outcome.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('local');
make_far($node);
$node->safe_psql('far', <<'EOF_SQL');
CREATE FUNCTION run(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RETURN 'done';
END $$;
CREATE TABLE slow (n int);
CREATE FUNCTION wait_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_advisory_xact_lock_shared(4711);
	RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER t AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION wait_at_commit();
EOF_SQL

# note() leaves a mark that no rollback undoes.
$node->safe_psql('postgres', define('far',
	'runs(command text)' => 'text VOLATILE' => 'SELECT CASE WHEN note(1) > 0 THEN run(command) END',
	'part(unit text)' => 'float8 VOLATILE' => q{SELECT CASE WHEN note(1) > 0 THEN date_part(unit, time '01:00') END},
	'slow(n int)' => 'int VOLATILE' => 'WITH w AS (INSERT INTO slow SELECT u FROM unnest(collect(n)) u RETURNING n) SELECT n, n FROM w',
	'enqueued(command text)' => 'void VOLATILE' => 'SELECT run(u) FROM unnest(collect(command)) u'));

sub marks
{
	my $n = $node->safe_psql('far', 'SELECT count(*) FROM log');

	$node->safe_psql('far', 'TRUNCATE log');
	return $n;
}

# Twice each: what one error has changed must not let the next one through.
my @errors = (
	[ "runs('EXECUTE nosuch')", '26000', 'no such prepared statement' ],
	[ "runs('PREPARE TIME AS SELECT 1; PREPARE TIME AS SELECT 1')", '42P05', 'a prepared statement that exists' ],
	[ q{runs('DO $$ BEGIN RAISE feature_not_supported; END $$')}, '0A000', 'what is not supported' ],
	[ q{part('julian')}, '0A000', 'what is not supported, without a context' ]);

foreach my $error (@errors)
{
	my ($call, $sqlstate, $name) = @$error;

	foreach my $time ('once', 'again')
	{
		is(attempt($node, q{SELECT runs('SELECT 1'), part('hour')})->out, 'done|1', "before: $name");
		marks();
		is(attempt($node, "SELECT " . $call =~ s,TIME,$time,gr)->sqlstate, $sqlstate, "$name: it is the item's own error, $time");
		is(marks(), 1, 'and the batch has been sent once');
	}
}

$node->safe_psql('postgres', "SELECT concresce.enqueue('enqueued', c) FROM unnest(ARRAY['SELECT 1', 'EXECUTE nosuch', 'SELECT 1']) c");
is(attempt($node, "SELECT concresce.flush(timeout => '20 s')")->sqlstate, '', 'enqueued: all have ended');
is($node->safe_psql('postgres', "SELECT discarded FROM concresce.stats WHERE function::text ~ 'enqueued'"), 1, 'the one that is bad is discarded');

# ---- the end of a session at COMMIT ----------------------------------------

$node->safe_psql('postgres', 'SELECT v(1)');
my $gate = close_gate($node);
my $call = call($node, 'SELECT slow(7)');
ok($node->poll_query_until('postgres', <<'EOF_SQL'), 'the far side is about to commit');
SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted
EOF_SQL
$node->safe_psql('far', q{SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted});
is($call->sqlstate, '08007', 'a session that ends at COMMIT: the outcome is unknown');
open_gate($gate);
is(attempt($node, 'SELECT slow(8)')->out, 8, 'the next one');
at_rest($node);
done_testing();
