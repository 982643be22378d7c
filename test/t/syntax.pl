# What the versions of PostgreSQL have brought to SQL means the same with batch
# nodes as without. Each case is for the version it came with, and later ones.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use Test::More;

my $node = start_node('local');
make_far($node);
my $version = $node->safe_psql('postgres', 'SHOW server_version_num') / 10000;

$node->safe_psql('postgres', <<'EOF_SQL');
CREATE TABLE rows (id int PRIMARY KEY, k int, grp int);
INSERT INTO rows SELECT i, CASE WHEN i % 5 > 0 THEN i * 3 % 50 END, i % 3 FROM generate_series(1, 40) i;
CREATE TABLE more (id int PRIMARY KEY, k int);
INSERT INTO more SELECT i, i + 100 FROM generate_series(30, 60) i;
ANALYZE rows, more;
EOF_SQL

# since => [ what it is => SQL, ... ]; of several statements the last is compared,
# and all are taken back.
my %cases = (
	15 => [
		'MERGE' => [ 'MERGE INTO rows r USING more m ON r.id = m.id AND v(m.k) IS NOT NULL WHEN MATCHED AND v(r.k) > v(m.k) THEN UPDATE SET k = length(v(m.k))'
				. ' WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (m.id, length(v(m.k)))',
			'SELECT * FROM rows ORDER BY id' ],
	],
	16 => [
		'JSON_ARRAY' => 'SELECT id, JSON_ARRAY(v(k), v(id) NULL ON NULL) FROM rows ORDER BY id',
		'JSON_OBJECT' => q{SELECT id, JSON_OBJECT('a' : v(k), 'b' : k ABSENT ON NULL) FROM rows ORDER BY id},
		'JSON_ARRAYAGG' => 'SELECT grp, JSON_ARRAYAGG(v(k) ORDER BY id NULL ON NULL) FROM rows GROUP BY grp ORDER BY grp',
		'IS JSON' => q{SELECT id, k FROM rows WHERE '"' || v(k) || '"' IS JSON SCALAR ORDER BY id},
		'any_value' => 'SELECT grp, any_value(v(grp)) FROM rows GROUP BY grp ORDER BY grp',
	],
	17 => [
		'JSON_VALUE' => q{SELECT id, JSON_VALUE(jsonb '{"v3": 1, "v6": 2}', '$.keyvalue() ? (@.key == $k).value' PASSING v(k) AS k RETURNING int) FROM rows ORDER BY id},
		'JSON_TABLE' => q{SELECT r.id, t.* FROM rows r, JSON_TABLE(to_jsonb(ARRAY[v(r.k), v(r.id)]), '$[*]' COLUMNS (n FOR ORDINALITY, t text PATH '$')) t ORDER BY 1, 2},
		'MERGE RETURNING' => 'WITH m AS (MERGE INTO rows r USING more m ON r.id = m.id WHEN MATCHED THEN UPDATE SET k = m.k'
			. ' WHEN NOT MATCHED BY SOURCE AND v(r.k) IS NULL THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (m.id, m.k)'
			. ' RETURNING merge_action() AS a, r.id, v(r.k) AS v) SELECT * FROM m ORDER BY 2, 1',
	],
	18 => [
		'OLD and NEW of UPDATE' => 'WITH u AS (UPDATE rows SET k = k + 1 WHERE id < 20 RETURNING id, v(old.k) AS o, v(new.k) AS n) SELECT * FROM u ORDER BY id',
		'OLD and NEW of DELETE' => 'WITH d AS (DELETE FROM rows WHERE v(k) IS NOT NULL RETURNING id, v(old.k) AS o, v(new.k) AS n) SELECT * FROM d ORDER BY id',
		'OLD and NEW of INSERT' => 'WITH i AS (INSERT INTO rows SELECT id, k FROM more ON CONFLICT (id) DO UPDATE SET k = excluded.k'
			. ' RETURNING id, v(old.k) AS o, v(new.k) AS n) SELECT * FROM i ORDER BY id',
		'OLD and NEW of MERGE' => 'WITH m AS (MERGE INTO rows r USING more m ON r.id = m.id WHEN MATCHED THEN UPDATE SET k = m.k WHEN NOT MATCHED THEN INSERT VALUES (m.id, m.k)'
			. ' RETURNING m.id, v(old.k) AS o, v(new.k) AS n) SELECT * FROM m ORDER BY id',
		'a virtual column' => [ 'ALTER TABLE rows ADD twice int GENERATED ALWAYS AS (k * 2) VIRTUAL',
			'SELECT id, twice, v(twice) FROM rows WHERE v(twice) IS NOT NULL OR twice IS NULL ORDER BY id' ],
		'a virtual column of an outer join' => [ 'ALTER TABLE more ADD twice int GENERATED ALWAYS AS (coalesce(k, 7) * 2) VIRTUAL',
			'SELECT r.id, m.twice, v(m.twice) FROM rows r LEFT JOIN more m ON m.id = r.id ORDER BY 1' ],
	],
	19 => [
		'ON CONFLICT DO SELECT' => 'WITH i AS (INSERT INTO rows SELECT id, k FROM more ON CONFLICT (id) DO SELECT FOR UPDATE WHERE v(rows.id) > $$v3$$'
			. ' RETURNING id, v(k) AS v) SELECT * FROM i ORDER BY id',
		'IGNORE NULLS' => 'SELECT id, lag(v(k)) IGNORE NULLS OVER (ORDER BY id), first_value(v(k)) IGNORE NULLS OVER (PARTITION BY grp ORDER BY id DESC) FROM rows ORDER BY id',
		'JSON_ARRAY of a query' => 'SELECT id, JSON_ARRAY(SELECT v(m.k) FROM more m WHERE m.id = r.id AND v(m.id) IS NOT NULL) FROM rows r ORDER BY id',
		'an eager aggregate' => 'SELECT m.k, count(v(r.k)), max(v(r.k)) FROM rows r JOIN more m ON m.id = r.grp + 30 GROUP BY m.k ORDER BY 1',
	]);

# All of the last statement's rows, or the error.
sub outcome
{
	my ($sql, $batches) = @_;
	my @statements = ref $sql ? @$sql : $sql;
	my $call = attempt($node, join(";\n", "SET concresce.enable_batchscan = $batches", 'BEGIN', @statements, 'ROLLBACK'));

	return $call->sqlstate . $call->out;
}

foreach my $since (sort keys %cases)
{
	my @cases = @{ $cases{$since} };

	while (my ($name, $sql) = splice(@cases, 0, 2))
	{
	  SKIP:
		{
			skip "$name came with $since", 1 if $version < $since;
			my $with = outcome($sql, 'on');

			like($with, qr/\|/, "$name has rows");
			is($with, outcome($sql, 'off'), "$name: the same by plain calls");
		}
	}
}
at_rest($node);
done_testing();
