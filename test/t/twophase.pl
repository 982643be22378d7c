# Two-phase commit: what is enqueued cannot be prepared, and rights that a
# prepared transaction takes away are there until COMMIT PREPARED.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('local', conf => "max_prepared_transactions = 2\n");
make_far($node);
$node->safe_psql('far', 'CREATE TABLE noted (n int)');
$node->safe_psql('postgres', define('far',
	'note(n int)' => q{void VOLATILE SET concresce.max_window = '60s'} => 'INSERT INTO noted SELECT unnest(collect(n))',
	'saved(n int)' => 'int VOLATILE' => 'SELECT n FROM note(n)') . <<'EOF_SQL');
CREATE ROLE ann;
CREATE ROLE staff;
REVOKE EXECUTE ON FUNCTION note FROM PUBLIC;
GRANT USAGE ON FOREIGN SERVER far TO PUBLIC;
GRANT EXECUTE ON FUNCTION note TO staff;
GRANT staff TO ann;
ALTER USER MAPPING FOR PUBLIC SERVER far OPTIONS (ADD user 'postgres', ADD password_required 'false');
EOF_SQL
my $user = $node->safe_psql('postgres', 'SELECT current_user');
$node->safe_psql('postgres', "ALTER USER MAPPING FOR PUBLIC SERVER far OPTIONS (SET user '$user')");

sub enqueue { return $node->safe_psql('postgres', "SET ROLE ann; SELECT concresce.enqueue('note', $_[0])") }

sub counts
{
	return $node->safe_psql('postgres', "SELECT coalesce(sum(queued), 0), coalesce(sum(discarded), 0) FROM concresce.stats WHERE function = 'note(int)'::regprocedure");
}

sub become
{
	my ($counts, $name) = @_;

	ok($node->poll_query_until('postgres', "SELECT ROW(coalesce(sum(queued), 0), coalesce(sum(discarded), 0)) = ROW($counts) FROM concresce.stats WHERE function = 'note(int)'::regprocedure"), $name)
	  or diag(counts());
	return;
}

# ---- what a transaction has begun ------------------------------------------

is(attempt($node, "BEGIN; SELECT concresce.enqueue('note', 1); PREPARE TRANSACTION 'p'")->sqlstate, '0A000',
	'what has enqueued cannot be prepared');
at_rest($node, 'and has enqueued nothing');
$node->safe_psql('postgres', "BEGIN; SAVEPOINT s; SELECT concresce.enqueue('note', 1); ROLLBACK TO s; PREPARE TRANSACTION 'p'");
$node->safe_psql('postgres', "COMMIT PREPARED 'p'");
at_rest($node, 'what was rolled back is no obstacle');
my $held = $node->background_psql('postgres', on_error_stop => 0);
$held->query_safe("BEGIN; SET LOCAL concresce.max_window = '60s'; SELECT concresce.submit('saved', 7); PREPARE TRANSACTION 'p'");
at_rest($node, 'a future ends as its transaction is prepared');
$held->query_safe("ROLLBACK PREPARED 'p'");
is($node->safe_psql('far', 'SELECT count(*) FROM log'), 0, 'and has not been run');

# ---- rights that a prepared transaction takes away --------------------------

my %takes = (
	'REVOKE of EXECUTE' => 'REVOKE EXECUTE ON FUNCTION note FROM staff',
	'REVOKE of USAGE' => 'REVOKE USAGE ON FOREIGN SERVER far FROM PUBLIC',
	'REVOKE of a membership' => 'REVOKE staff FROM ann',
	'DROP USER MAPPING' => 'DROP USER MAPPING FOR PUBLIC SERVER far');

foreach my $what (sort keys %takes)
{
	$node->safe_psql('postgres', 'SELECT concresce.reset_stats()');
	enqueue(1);
	$held->query_safe("BEGIN; $takes{$what}; PREPARE TRANSACTION 'p'");
	enqueue(2);
	$held->query_safe('SELECT 1');
	become('2, 0', "$what: the right is there while it is prepared");
	$held->query_safe("ROLLBACK PREPARED 'p'");
	enqueue(3);
	become('3, 0', 'and after ROLLBACK PREPARED');

	$held->query_safe("BEGIN; $takes{$what}; PREPARE TRANSACTION 'p'");
	my $late = $node->background_psql('postgres');
	$late->query_safe("BEGIN; SET LOCAL ROLE ann; SELECT concresce.enqueue('note', 4)");
	$node->safe_psql('postgres', "COMMIT PREPARED 'p'");
	become('0, 3', 'once it has committed, from another session, the items are gone');
	$late->query_safe('COMMIT');
	become('0, 4', 'and those of a transaction that commits later');
	$late->quit;
	is(attempt($node, "SET ROLE ann; SELECT concresce.enqueue('note', 5)")->sqlstate, $what =~ /MAPPING/ ? '42704' : '42501',
		'no more can be enqueued');
	$node->safe_psql('postgres', $what =~ /MAPPING/ ?
		  "CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (user '$user', password_required 'false')" :
		  'GRANT USAGE ON FOREIGN SERVER far TO PUBLIC; GRANT EXECUTE ON FUNCTION note TO staff; GRANT staff TO ann');
}
$held->quit;

# ---- a lookup that a prepared transaction replaces ---------------------------

$node->safe_psql('postgres', 'SELECT concresce.reset_stats()');
my $session = $node->background_psql('postgres');
is($session->query_safe(<<'EOF_SQL'), 'new', 'a transaction calls the lookup that it has replaced');
BEGIN;
CREATE OR REPLACE FUNCTION v(n int) RETURNS text LANGUAGE concresce STABLE SET concresce.server = 'far' AS $$ SELECT 'new'::text $$;
SELECT v(1);
EOF_SQL
$session->query_safe("PREPARE TRANSACTION 'p'");
is($session->query_safe('SELECT v(1)'), 'v1', 'while it is prepared, its session calls the old one');
$node->safe_psql('postgres', "COMMIT PREPARED 'p'");
is($session->query_safe('SELECT v(1)'), 'new', 'then the new one');
$session->quit;
is($node->safe_psql('far', 'SELECT count(*) FROM noted'), 0, 'nothing has been written');
at_rest($node);
done_testing();
