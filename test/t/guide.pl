# The blocks of the guide work as they stand, each section in a database of its
# own, once there is what the section takes for granted.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Documents;
use PostgreSQL::Test::Utils;
use Test::More;

my $GUIDE = "$FindBin::RealBin/../../doc/guide.md";

# What the sections take for granted, here and on the far side. Two of them
# make a server "crm" of their own, of hosts that nobody has.
my $USER_SCORE = <<'EOF_SQL';
CREATE FUNCTION user_score(user_id bigint) RETURNS int LANGUAGE concresce STABLE STRICT
SET concresce.server = 'crm' AS 'SELECT score FROM scores WHERE id = user_id';
EOF_SQL

# What the guide says of a lookup that is VOLATILE.
my ($reason) = slurp_file($GUIDE) =~ /^```\n(DEBUG: .*?)^```\n/ms;

my %stage = (
	# A hundred thousand rows, of which 113 have the key of the row before
	# them, and none of these is the first of a round.
	'In queries' => {
		far => 'CREATE TABLE scores (id bigint PRIMARY KEY, score int)',
		near => $USER_SCORE . <<'EOF_SQL',
CREATE TABLE orders AS
SELECT i AS id, (CASE WHEN i % 880 = 0 THEN i - 1 ELSE i END)::bigint AS user_id FROM generate_series(1, 100000) i;
CREATE TABLE items AS SELECT i AS id, i % 60 AS order_id, i::bigint AS buyer FROM generate_series(1, 300) i;
EOF_SQL
		calls => <<'EOF_SQL',
ALTER FUNCTION user_score VOLATILE;
SET client_min_messages = debug1;
EXPLAIN SELECT user_score(user_id) FROM orders;
EOF_SQL
		shown => $reason
	},
	'Choosing window and size' => { near => $USER_SCORE },
	'Coalescing' => {
		far => 'CREATE TABLE users (id bigint, name text, email text)',
		calls => q{SELECT user_by_email('Ada@example.com')}
	},
	'Writes' => {
		far => 'CREATE TABLE events (kind text, body jsonb); CREATE TABLE visits (user_id bigint, n bigint)',
		calls => q{SELECT log_event('paid', '{}'), count_visit(42)}
	},
	'Many futures: racing and gathering' => {
		far => <<'EOF_SQL',
CREATE TABLE scores AS SELECT id, 7 AS score FROM generate_series(1, 1000::bigint) id;
CREATE TABLE prices AS SELECT 'X-1' AS sku, 9.50 AS price;
EOF_SQL
		near => $USER_SCORE . <<'EOF_SQL',
CREATE TABLE users AS SELECT id FROM generate_series(1, 10::bigint) id;
CREATE TABLE regions AS SELECT 'north' AS region;
CREATE FUNCTION report(region text) RETURNS jsonb LANGUAGE concresce STABLE AS 'SELECT to_jsonb(region)';
CREATE FUNCTION user_name(user_id bigint) RETURNS text LANGUAGE concresce STABLE
SET concresce.server = 'crm' AS $$ SELECT 'Ada' WHERE user_id = 42 $$;
CREATE FUNCTION order_count(user_id bigint) RETURNS bigint LANGUAGE concresce STABLE
SET concresce.server = 'crm' AS 'SELECT 3 WHERE user_id = 42';
CREATE FUNCTION price_a(article text) RETURNS numeric LANGUAGE concresce STABLE
SET concresce.server = 'crm' AS 'SELECT price FROM prices WHERE sku = article';
CREATE FUNCTION price_b(article text) RETURNS numeric LANGUAGE concresce STABLE
SET concresce.server = 'crm' AS 'SELECT price FROM prices WHERE sku = article';
CREATE FUNCTION price_c(article text) RETURNS numeric LANGUAGE concresce STABLE
SET concresce.server = 'crm' AS 'SELECT price FROM prices WHERE sku = article';
EOF_SQL
	},
	'Several hosts' => { no_server => 1 },
	'Security' => { no_server => 1, near => 'CREATE ROLE app;' . $USER_SCORE },
	'Watching it' => { near => $USER_SCORE },
	'Stampede: one report for a hundred sessions' => {
		calls => q{SELECT report('2024-02-29')}
	},
	'Events: fire and forget' => {
		far => <<'EOF_SQL',
CREATE FUNCTION refresh_pages(pages text[]) RETURNS void LANGUAGE sql AS '';
EOF_SQL
		near => <<'EOF_SQL',
CREATE TABLE carts AS SELECT 42 AS id, false AS paid;
CREATE TABLE imported AS SELECT i FROM generate_series(1, 10) i;
CREATE TABLE orders (id int);
EOF_SQL
		calls => q{INSERT INTO orders VALUES (1); SELECT refresh('/'), count_visit('/'); SELECT concresce.flush_all();}
	});

my $node = start_strict_node('guide');
my @blocks = blocks('doc/guide.md');
my @sections = do { my %seen; grep { !$seen{$_}++ } map { $_->{section} } @blocks };

ok($reason, 'a reason why a lookup is called row by row');
is_deeply([ sort @sections ], [ sort keys %stage ], 'every section with SQL has a stage, and every stage a section');

sub set_stage
{
	my ($section) = @_;
	my $stage = $stage{$section};
	my $port = $node->port;

	$node->safe_psql('postgres', qq{CREATE DATABASE "$section"});
	if ($stage->{far})
	{
		$node->safe_psql('postgres', qq{CREATE DATABASE "far: $section"});
		$node->safe_psql("far: $section", $stage->{far});
	}
	$node->safe_psql($section, 'CREATE EXTENSION concresce');
	$node->safe_psql($section, <<"EOF_SQL") unless $stage->{no_server};
CREATE SERVER crm FOREIGN DATA WRAPPER concresce OPTIONS (host '127.0.0.1', port '$port', dbname 'far: $section');
CREATE USER MAPPING FOR PUBLIC SERVER crm OPTIONS (user 'boss', password 'boss');
EOF_SQL
	$node->safe_psql($section, $stage->{near}) if $stage->{near};
	return;
}

# Calls of what the blocks have only defined.
sub after_blocks
{
	my ($section) = @_;

	return {
		name => "what is defined in \"$section\"",
		sql => "$stage{$section}{calls};\n",
		shown => $stage{$section}{shown}
	};
}

foreach my $section (@sections)
{
	my @of_section = grep { $_->{section} eq $section } @blocks;

	note($section);
	set_stage($section);
	paste($node, "far: $section", grep { $_->{far} } @of_section) if $stage{$section}{far};
	paste($node, $section, grep { !$_->{far} } @of_section);
	paste($node, $section, after_blocks($section)) if $stage{$section}{calls};
}

is($node->safe_psql('far: Events: fire and forget', 'SELECT kind, count(*) FROM events GROUP BY kind ORDER BY kind'),
	"INSERT|1\nimport|10\npaid|1", 'events have arrived');

done_testing();
