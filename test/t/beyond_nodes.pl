# Data that is spread over three servers, behind one that the server object
# names: by PL/Proxy, and by a table partitioned over postgres_fdw. A bulk
# query is divided among the nodes, and not sent to them row by row.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('local');
my $user = $node->safe_psql('postgres', 'SELECT current_user');
my @far = map { start_node("far$_", extension => 0, conf => "shared_preload_libraries = 'pg_stat_statements'") } 0 .. 2;
my $has_plproxy = $node->safe_psql('postgres', "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'plproxy')") eq 't';

foreach my $i (0 .. 2)
{
	$far[$i]->safe_psql('postgres', 'CREATE EXTENSION pg_stat_statements; CREATE DATABASE far');
	$far[$i]->safe_psql('far', <<'EOF_SQL');
CREATE TABLE items (id int PRIMARY KEY, v text);
CREATE TABLE part (LIKE items INCLUDING ALL);
CREATE FUNCTION held(id int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_advisory_xact_lock_shared(4711);
	RETURN id;
END $$;
CREATE VIEW part_held AS SELECT id, v FROM part WHERE held(id) = id;
-- by name, what PL/Proxy is to call
CREATE FUNCTION find(ids int[]) RETURNS TABLE (id int, v text) LANGUAGE sql STABLE
	AS 'SELECT i.id, i.v FROM items i WHERE i.id = ANY (ids)';
CREATE FUNCTION find_one(i int) RETURNS text LANGUAGE sql STABLE
	AS 'SELECT v FROM items WHERE id = i';
CREATE FUNCTION find_held(ids int[]) RETURNS TABLE (id int, v text) LANGUAGE sql STABLE
	AS 'SELECT held(i.id), i.v FROM items i WHERE i.id = ANY (ids)';
CREATE FUNCTION put(ids int[], vs text[]) RETURNS SETOF int LANGUAGE sql AS $$
	INSERT INTO items SELECT * FROM unnest(ids, vs)
	ON CONFLICT (id) DO UPDATE SET v = excluded.v RETURNING id
$$;
EOF_SQL
}
sub forget { $_->safe_psql('postgres', 'SELECT pg_stat_statements_reset()') foreach @far; return }

# How often each node has been asked something like that, and the rows of it.
sub asked
{
	my ($pattern) = @_;

	return map { $_->safe_psql('postgres', <<"EOF_SQL") } @far;
SELECT coalesce(sum(calls), 0)
FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = 'far') AND toplevel AND query ~ '$pattern'
EOF_SQL
}

# How many nodes run something like that now.
sub running
{
	my ($pattern) = @_;

	return scalar grep { $_->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE datname = 'far' AND state = 'active' AND query ~ '$pattern'") > 0 } @far;
}

sub until_running
{
	my ($n, $pattern) = @_;

	foreach (1 .. 300)
	{
		return 1 if running($pattern) == $n;
		select(undef, undef, undef, 0.1);
	}
	return 0;
}

sub numbers { return join(',', map { ref $_ ? $_->out : $_ } @_) }

# What holds behind whatever divides the data, of lookups named alike.
#
#	one, all	the single and the bulk form, of 3,000 items
#	held		waits for the gate
#	put			VOLATILE, keyed: writes an item
#	pattern		of what a node is asked for many, for held ones, for one
sub check_front
{
	my ($name, %is) = @_;

	forget();
	is($node->safe_psql('postgres', "SELECT ${name}_all(7)"), 'v7', "$name: a call");
	is($node->safe_psql('postgres', "SELECT count(${name}_all(i)), count(*) FROM generate_series(1, 3300) i"), '3000|3300', 'many; some have no row');
	my @asked = asked($is{many});
	cmp_ok($_, '>=', 1, 'a node has its share') foreach @asked;
	cmp_ok($_, '<=', 9, 'in one query for each batch') foreach @asked;
	is($node->safe_psql('postgres', "SELECT string_agg(${name}_all(i), ',' ORDER BY i) FROM generate_series(1, 20) i"), join(',', map { "v$_" } 1 .. 20), 'each gets its own');

	# callers of many sessions share a query as well
	forget();
	my @calls = finish_all(call_all($node, 12, "SELECT ${name}_all(:i)", max_window => 30000, max_size => 12));
	is(numbers(@calls), join(',', map { "v$_" } 1 .. 12), 'several sessions');
	is(numbers(grep { $_ > 2 } asked($is{many})), '', 'in one query a node');

	# prepared over there or not
	is(attempt($node, "SELECT ${name}_all(5)", prepare => $_)->out, 'v5', "prepare = $_") foreach qw(on off);

	# the single form works, too
	forget();
	is($node->safe_psql('postgres', "SELECT string_agg(${name}_one(i), ',' ORDER BY i) FROM generate_series(1, 20) i"), join(',', map { "v$_" } 1 .. 20), 'the single form');
	is(numbers(asked($is{one})), $is{ones}, $is{how});

	# writes
	is($node->safe_psql('postgres', "SELECT count(${name}_put(i, 'w' || i)) FROM generate_series(5001, 5300) i"), 300, 'VOLATILE calls');
	is($node->safe_psql('postgres', "SELECT string_agg(${name}_all(i), ',' ORDER BY i) FROM generate_series(5001, 5020) i"), join(',', map { "w$_" } 5001 .. 5020), 'have written');
	forget();
	is(attempt($node, "SELECT count(concresce.enqueue('${name}_put', 6000 + i % 300, 'x')) FROM generate_series(1, 900) i; SELECT concresce.flush()")->out, "900\n900", 'enqueued ones, of which those with one key are one');
	is($node->safe_psql('postgres', "SELECT count(${name}_all(i)) FROM generate_series(6000, 6299) i"), 300, 'have arrived');
	my @written = asked($is{write});
	cmp_ok($_, '>=', 1, 'each node was written to') foreach @written;
	cmp_ok($_, '<=', $is{writes} // 10, 'not item by item') foreach @written;

	# cancelled everywhere
	my @gates = map { close_gate($_) } @far;
	my $call = call($node, "SELECT count(${name}_held(i)) FROM generate_series(1, 30) i");
	ok(until_running($is{at_once} // 3, $is{held}), 'the nodes are at work');
	$call->signal('pg_cancel_backend');
	is($call->sqlstate, '57014', 'a cancelled call');
	ok(until_running(0, $is{held}), 'the nodes hear of it');
	open_gate($_) foreach @gates;
	is($node->safe_psql('postgres', "SELECT ${name}_held(3)"), 'v3', 'the next one works');

	# a node goes down
	my ($there, $gone) = map { $_->safe_psql('far', "SELECT min(id) FROM $is{table} WHERE id <= 3000") } @far[0, 1];
	$far[1]->stop('fast');
	# who is first may be told what that node had said as it went
	attempt($node, "SELECT ${name}_all($gone)");
	like(attempt($node, "SELECT ${name}_all($gone)")->sqlstate, $is{down}, 'a node is down: what is there cannot be had');
	like(attempt($node, "SELECT ${name}_one($there)")->sqlstate, $is{elsewhere}, $is{why});
	is(attempt($node, "SELECT count(concresce.enqueue('${name}_put', i, 'y')) FROM generate_series(7001, 7100) i")->out, 100, 'items are enqueued');
	ok(poll($node, 'SELECT failures > 0 FROM concresce.circuits'), 'and wait');
	$far[1]->start;
	ok(poll($node, "SELECT count(${name}_all(i)) = 100 FROM generate_series(7001, 7100) i"), 'until it is back');
	is(attempt($node, "SELECT ${name}_all($gone)")->out, "v$gone", 'calls work again');
	return;
}

sub shard { my ($i) = @_; return "host=127.0.0.1 port=@{[$far[$i]->port]} dbname=far user=$user" }

my $keyed = q(void VOLATILE SET concresce.key = 'id' SET concresce.coalesce = 'batch');

# ---- PL/Proxy --------------------------------------------------------------

SKIP:
{
	skip 'PL/Proxy is not installed', 1 unless $has_plproxy;
	$node->safe_psql('postgres', 'CREATE DATABASE proxy');
	$node->safe_psql('proxy', <<"EOF_SQL");
CREATE EXTENSION plproxy;
CREATE SERVER shards FOREIGN DATA WRAPPER plproxy OPTIONS (modular_mapping '1', p0 '@{[shard(0)]}', p1 '@{[shard(1)]}', p2 '@{[shard(2)]}');
CREATE USER MAPPING FOR PUBLIC SERVER shards;
CREATE FUNCTION find(ids int[]) RETURNS TABLE (id int, v text) LANGUAGE plproxy AS
	\$\$ CLUSTER 'shards'; SPLIT ids; RUN ON ids; \$\$;
CREATE FUNCTION find_one(i int) RETURNS text LANGUAGE plproxy AS
	\$\$ CLUSTER 'shards'; RUN ON i; \$\$;
CREATE FUNCTION find_held(ids int[]) RETURNS TABLE (id int, v text) LANGUAGE plproxy AS
	\$\$ CLUSTER 'shards'; SPLIT ids; RUN ON ids; \$\$;
CREATE FUNCTION put(ids int[], vs text[]) RETURNS SETOF int LANGUAGE plproxy AS
	\$\$ CLUSTER 'shards'; SPLIT ids, vs; RUN ON ids; \$\$;
-- a node that is down is an internal error, which says nothing of waiting
CREATE FUNCTION put_all(ids int[], vs text[]) RETURNS SETOF int LANGUAGE plpgsql AS \$\$
BEGIN
	RETURN QUERY SELECT put(ids, vs);
EXCEPTION WHEN internal_error THEN
	RAISE EXCEPTION USING ERRCODE = 'connection_failure', MESSAGE = SQLERRM;
END \$\$;
SELECT count(*) FROM put((SELECT array_agg(i) FROM generate_series(1, 3000) i), (SELECT array_agg('v' || i) FROM generate_series(1, 3000) i));
EOF_SQL
	$node->safe_psql('postgres', make_server('proxy', "host '127.0.0.1', port '@{[$node->port]}', dbname 'proxy'"));
	$node->safe_psql('postgres', define('proxy',
			'proxy_all(id int)' => 'text STABLE' => 'SELECT * FROM find(collect(id))',
			'proxy_one(id int)' => 'text STABLE' => 'SELECT find_one(id)',
			'proxy_held(id int)' => 'text STABLE' => 'SELECT * FROM find_held(collect(id))',
			'proxy_put(id int, v text)' => $keyed => 'SELECT put_all(collect(id), collect(v))'));
	check_front('proxy', many => 'find\(', one => 'find_one\(', ones => '6,7,7', how => 'which PL/Proxy runs call by call',
		held => 'find_held\(', write => 'put\(', table => 'items', down => qr/^XX000$/, elsewhere => qr/^$/, why => 'what is elsewhere can');
}

# ---- a partitioned table ---------------------------------------------------

$node->safe_psql('postgres', 'CREATE DATABASE parts');
$node->safe_psql('parts', <<'EOF_SQL');
CREATE EXTENSION postgres_fdw;
CREATE TABLE items (id int, v text) PARTITION BY HASH (id);
CREATE TABLE items_held (id int, v text) PARTITION BY HASH (id);
EOF_SQL
$node->safe_psql('parts', <<"EOF_SQL") foreach 0 .. 2;
CREATE SERVER far$_ FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '@{[$far[$_]->port]}', dbname 'far',
	async_capable 'true', batch_size '1000', fetch_size '1000');
CREATE USER MAPPING FOR CURRENT_USER SERVER far$_ OPTIONS (user '$user');
CREATE FOREIGN TABLE part$_ PARTITION OF items FOR VALUES WITH (MODULUS 3, REMAINDER $_) SERVER far$_ OPTIONS (table_name 'part');
CREATE FOREIGN TABLE held$_ PARTITION OF items_held FOR VALUES WITH (MODULUS 3, REMAINDER $_) SERVER far$_ OPTIONS (table_name 'part_held');
EOF_SQL
$node->safe_psql('parts', "INSERT INTO items SELECT i, 'v' || i FROM generate_series(1, 3000) i");
$node->safe_psql('postgres', make_server('parts', "host '127.0.0.1', port '@{[$node->port]}', dbname 'parts'"));
$node->safe_psql('postgres', define('parts',
		'parts_all(id int)' => 'text STABLE' => 'SELECT id, v FROM items WHERE id = ANY (collect(id))',
		'parts_one(id int)' => 'text STABLE' => 'SELECT v FROM items i WHERE i.id = parts_one.id',
		'parts_held(id int)' => 'text STABLE' => 'SELECT id, v FROM items_held WHERE id = ANY (collect(id))',
		'parts_put(id int, v text)' => $keyed => 'INSERT INTO items SELECT * FROM unnest(collect(id), collect(v))'));
like($node->safe_psql('parts', "EXPLAIN SELECT id, v FROM items WHERE id = ANY ((SELECT '{1,2}'::int[])::int[])"), qr/(Async Foreign Scan.*){3}/s, 'the nodes are asked at once');
check_front('parts', many => 'SELECT id, v FROM public.part ', one => 'FROM public.part$', ones => '1,1,1', how => 'which reads whole tables',
	held => '^FETCH', write => 'INSERT INTO public.part',
	table => 'part', down => qr/^08/, elsewhere => qr/^08/, why => 'nor what is elsewhere, as all are asked');
at_rest($node);
done_testing();
