# Some two thousand calls are cancelled that one local executor runs, while it serves
# others: a cancel never hits another's job.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('local', conf => "concresce.max_local_workers = 1");
$node->safe_psql('postgres', <<'EOF_SQL');
CREATE FUNCTION napped(n int, s float8) RETURNS int LANGUAGE sql AS 'SELECT n FROM pg_sleep(s)';
CREATE FUNCTION nap(n int, s float8) RETURNS int LANGUAGE concresce STABLE AS 'SELECT napped(n, s)';
CREATE FUNCTION quick(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT n';
CREATE TABLE done (n int);
EOF_SQL
my @quitters = map { call($node, <<"EOF_SQL") } 1 .. 4;
DO \$\$
DECLARE
	cancelled int := 0;
	f bigint;
BEGIN
	FOR i IN 1 .. 700 LOOP
		BEGIN
			IF i % 3 = 0 THEN
				f := concresce.submit('nap', 1000 * $_ + i, 0.001);
				PERFORM concresce.wait(ARRAY[f], 'first_completed', interval '1 ms');
				cancelled := cancelled + concresce.cancel(f)::int;
			ELSE
				PERFORM set_config('concresce.timeout', (1 + i % 4)::text, true);
				PERFORM nap(1000 * $_ + i, 0.001);
			END IF;
		EXCEPTION WHEN query_canceled THEN
			cancelled := cancelled + 1;
		END;
	END LOOP;
	RAISE NOTICE 'cancelled: %', cancelled;
	INSERT INTO done VALUES (1);
END \$\$
EOF_SQL
my @innocent = map { call($node, <<"EOF_SQL", max_size => 1, timeout => '60s') } 1 .. 3;
DO \$\$
DECLARE
	n int := 0;
BEGIN
	WHILE (SELECT count(*) FROM done) < 4 LOOP
		n := n + 1;
		IF quick(1000000 * $_ + n) <> 1000000 * $_ + n THEN
			RAISE 'wrong';
		END IF;
		COMMIT;
	END LOOP;
END \$\$
EOF_SQL
is(join(',', map { $_->sqlstate || $_->out } @innocent), ',,', 'nobody is cancelled in the place of others');
like($_->err, qr/cancelled: [1-9]\d\d/, 'while others are') foreach finish_all(@quitters);
at_rest($node);
done_testing();
