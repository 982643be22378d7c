# What the generated queries are about: tables, and lookups of every kind.

package Queries::Tables;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';

our @EXPORT_OK = qw(far_tables local_tables);

# Types that both sides know.
my $types = <<'EOF_SQL';
CREATE TYPE pt AS (x int, y text);
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN posint AS int CHECK (VALUE > 0);
EOF_SQL

# Ids from 0 to 40 with gaps, values with NULLs and duplicates.
sub far_tables
{
	return $types . <<'EOF_SQL';
CREATE TABLE items (id int PRIMARY KEY, v text, k int);
INSERT INTO items SELECT i, CASE WHEN i % 9 <> 4 THEN 'v' || i % 13 END,
	CASE WHEN i % 10 <> 3 THEN i * 7 % 11 END
	FROM generate_series(0, 40) i WHERE i % 6 <> 5;
CREATE TABLE tags (id int, tag text, w int);
INSERT INTO tags SELECT i, 'tag' || j, i * j
	FROM generate_series(0, 40) i, generate_series(1, i % 4) j;

-- What is asked for is written to the log: it is there even if the batch is
-- rolled back. STABLE, so that it is looked at once for a key, rows or not.
CREATE FUNCTION seen(lookup text, VARIADIC keys int[]) RETURNS boolean LANGUAGE plpgsql STABLE COST 0.0001 AS $$
DECLARE
	key int;
BEGIN
	FOREACH key IN ARRAY keys LOOP
		RAISE LOG 'asked for %(%)', lookup, key;
	END LOOP;
	RETURN true;
END $$;
ANALYZE;
EOF_SQL
}

# signature => 'result, volatility and settings' => body
my @lookups = (
	'v(n int)' => 'text STABLE STRICT PARALLEL SAFE' => q{SELECT i.v FROM items i WHERE id = n AND seen('v', n)},
	'vn(n int)' => 'text STABLE PARALLEL SAFE' =>
	  q{SELECT coalesce(max(i.v), 'none') || coalesce(n::text, '?') FROM items i WHERE id = n},
	'k(n int)' => 'int STABLE STRICT PARALLEL SAFE' => q{SELECT i.k FROM items i WHERE id = n AND seen('k', n)},
	'kb(n int)' => 'int STABLE PARALLEL SAFE' =>
	  q{SELECT id, k FROM items WHERE id = ANY (collect(n)) AND seen('kb', VARIADIC collect(n))},
	'kd(n int)' => 'int STABLE PARALLEL SAFE' =>
	  'SELECT x * 2 % 30 FROM unnest(collect(n)) WITH ORDINALITY AS u(x, o) ORDER BY o',
	'isodd(n int)' => 'boolean STABLE STRICT PARALLEL SAFE' => q{SELECT n % 2 = 1 WHERE seen('isodd', n)},
	'pair(n int)' => 'pt STABLE PARALLEL SAFE' =>
	  q{SELECT i.k, i.v FROM items i WHERE id = n AND seen('pair', n)},
	'info(n int, OUT a int, OUT b text)' => 'record STABLE STRICT PARALLEL SAFE' =>
	  'SELECT i.k, i.v FROM items i WHERE id = n',
	'rec(n int)' => 'record STABLE PARALLEL SAFE' => 'SELECT i.k, i.v FROM items i WHERE id = n',
	'tagsof(n int)' => 'SETOF text STABLE PARALLEL SAFE' =>
	  q{SELECT tag FROM tags WHERE id = n AND seen('tagsof', n) ORDER BY tag},
	'tagt(n int)' => 'TABLE (tag text, w int) STABLE STRICT PARALLEL SAFE' =>
	  'SELECT t.tag, t.w FROM tags t WHERE id = n ORDER BY 1',
	'tagb(n int)' => 'SETOF text STABLE' =>
	  'SELECT id, tag FROM tags WHERE id = ANY (collect(n)) ORDER BY tag DESC',
	'ser(n int)' => 'SETOF int STABLE STRICT PARALLEL SAFE' =>
	  'SELECT g FROM generate_series(1, n % 4) g',
	'pairs(n int)' => 'SETOF pt STABLE' => 'SELECT w, tag FROM tags WHERE id = n ORDER BY w',
	'price(t text, q numeric)' => 'numeric STABLE PARALLEL SAFE' => 'SELECT length(t) + q',
	'arr(a int[])' => 'int[] STABLE PARALLEL SAFE' => 'SELECT array_agg(x * 2) FROM unnest(a) x',
	'dom(n posint)' => 'int STABLE STRICT' => 'SELECT n + 1',
	'inpair(p pt)' => 'text STABLE' => q{SELECT coalesce((p).y, '-') || (p).x},
	'big(n int)' => 'text STABLE STRICT PARALLEL SAFE' => q{SELECT repeat('x' || n, 300 + n * 40)},
	'echo(s text)' => 'text STABLE PARALLEL SAFE' => 'SELECT reverse(s)',
	'one()' => 'int STABLE PARALLEL SAFE' => 'SELECT count(*)::int FROM items',
	'day(n int)' => 'date STABLE STRICT PARALLEL SAFE' => q{SELECT date '2020-01-01' + n},
	'feel(n int)' => 'mood STABLE STRICT' => 'SELECT (enum_range(NULL::mood))[1 + abs(n) % 3]',
	'js(j jsonb)' => 'jsonb STABLE STRICT PARALLEL SAFE' => q{SELECT j || '{"far": true}'},
	'va(VARIADIC ns int[])' => 'int STABLE' => 'SELECT sum(x)::int FROM unnest(ns) x',
	'df(n int, m int DEFAULT 3)' => 'int STABLE PARALLEL SAFE' => 'SELECT n * m % 50',
	'imm(n int)' => 'int IMMUTABLE STRICT PARALLEL SAFE' => 'SELECT n % 9',
	'vol(n int)' => 'int VOLATILE' => q{SELECT n % 8 WHERE seen('vol', n)},
	'sd(n int)' => 'int STABLE SECURITY DEFINER' => 'SELECT i.k FROM items i WHERE id = n',
	# not for everybody, see below
	'denied(n int)' => 'int STABLE' => 'SELECT n + 1',
	'secret(n int)' => 'int STABLE SECURITY DEFINER' => 'SELECT n + 2',
	'secrets(n int)' => 'SETOF int STABLE SECURITY DEFINER' => 'SELECT n + 2',
	'dated(d date)' => q{text STABLE STRICT SET datestyle = 'German'} => 'SELECT d::text',
	'keyed(a int, b int)' => q{int STABLE SET concresce.key = 'a % 5'} => 'SELECT a % 5',
	# these fail for some keys
	'div(n int)' => 'int STABLE PARALLEL SAFE' => q{SELECT 100 / (n % 7) WHERE seen('div', n)},
	'divi(n int)' => 'int STABLE SET concresce.isolate_errors = on' => 'SELECT 100 / (n % 7)',
	'rare(n int)' => 'int STABLE STRICT PARALLEL SAFE' => q{SELECT 100 / (n - 17) WHERE seen('rare', n)},
	'must(n int)' => 'int STABLE STRICT SET concresce.on_missing = error' =>
	  'SELECT i.k FROM items i WHERE id = n',
	'musts(n int)' => 'SETOF text STABLE SET concresce.on_missing = error' =>
	  'SELECT tag FROM tags WHERE id = n ORDER BY 1',
	'many(n int)' => 'text STABLE STRICT' => 'SELECT tag FROM tags WHERE id = n',
	'pos(n int)' => 'posint STABLE STRICT' => 'SELECT n - 5');

sub local_tables
{
	my $sql = $types;
	my @list = @lookups;

	while (my ($signature, $kind, $body) = splice(@list, 0, 3))
	{
		$sql .= "CREATE FUNCTION $signature RETURNS $kind LANGUAGE concresce"
		  . " SET concresce.server = 'far' AS \$body\$ $body \$body\$;\n";
	}
	return $sql . <<'EOF_SQL';
CREATE OPERATOR @+ (LEFTARG = int, RIGHTARG = int, FUNCTION = keyed);
CREATE OPERATOR !!! (RIGHTARG = int, FUNCTION = isodd);
CREATE TABLE t (id int PRIMARY KEY, a int, b int, c text, d numeric, g text);
INSERT INTO t SELECT i, CASE WHEN i % 8 <> 5 THEN i * 13 % 43 END, i % 6,
	CASE WHEN i % 7 <> 2 THEN 'v' || i % 13 END,
	CASE i % 3 WHEN 0 THEN i ELSE i * 1.50 END,
	(SELECT string_agg(md5((i * j)::text), '') FROM generate_series(1, 20 * (i % 7)) j)
	FROM generate_series(1, 36) i;
CREATE INDEX ON t (a);
CREATE TABLE u (id int PRIMARY KEY, a int, e text, f int);
INSERT INTO u SELECT i, CASE WHEN i % 9 <> 4 THEN i * 5 % 29 END, 'v' || i % 11, i % 4
	FROM generate_series(1, 30) i;
CREATE INDEX ON u (a);
CREATE TABLE nobody (id int, a int, b int, c text);
CREATE TABLE wide (id int, a int, b int, c text);
INSERT INTO wide SELECT i, CASE WHEN i % 11 <> 7 THEN i * 17 % 47 END, i % 5,
	repeat('c' || i % 20, 40) FROM generate_series(1, 240) i;
CREATE TABLE parted (id int, a int, b int, c text) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (12);
CREATE TABLE parted_2 (c text, gone int, b int, id int, a int);
ALTER TABLE parted_2 DROP COLUMN gone;
ALTER TABLE parted ATTACH PARTITION parted_2 FOR VALUES FROM (12) TO (23);
CREATE TABLE parted_3 PARTITION OF parted DEFAULT;
INSERT INTO parted SELECT i, i * 7 % 41, i % 6, 'v' || i % 9 FROM generate_series(1, 32) i;
CREATE INDEX ON parted (id);
CREATE TABLE parent (id int, a int, b int);
CREATE TABLE child (more text) INHERITS (parent);
INSERT INTO parent SELECT i, i % 17, i % 3 FROM generate_series(1, 9) i;
INSERT INTO child SELECT i, i % 19, i % 4, 'm' || i FROM generate_series(10, 20) i;
CREATE TABLE target (id int PRIMARY KEY, a int, c text);
INSERT INTO target SELECT i, i % 13, 'old' FROM generate_series(1, 70, 3) i;
CREATE SEQUENCE ticket;
CREATE TABLE ruled (id int, a int, b int, c text);
INSERT INTO ruled SELECT i, i * 11 % 43, i % 4, 'v' || i % 12 FROM generate_series(1, 24) i;
ALTER TABLE ruled ENABLE ROW LEVEL SECURITY;
CREATE POLICY visible ON ruled USING (b > 0 AND isodd(k(a)));
CREATE FOREIGN TABLE abroad (id int, v text, k int) SERVER shop OPTIONS (table_name 'items');

CREATE VIEW looked AS SELECT id, a, k(a) AS b, v(a) AS c FROM t WHERE k(a) > 2;
CREATE VIEW behind WITH (security_barrier) AS
	SELECT id, a, b, c FROM t WHERE isodd(k(a)) AND b > 0;
CREATE VIEW grouped AS SELECT min(id) AS id, k(a) AS a, count(*)::int AS b, max(v(b)) AS c
	FROM t GROUP BY k(a);
CREATE FUNCTION inlined(n int) RETURNS text LANGUAGE sql STABLE AS 'SELECT v(k(n))';
CREATE FUNCTION rows_of(n int) RETURNS TABLE (id int, c text) LANGUAGE sql STABLE
	AS 'SELECT t.id, v(t.b) FROM t WHERE t.a = n';
CREATE FUNCTION within(n int) RETURNS text LANGUAGE plpgsql STABLE AS 'BEGIN RETURN v(n); END';
CREATE FUNCTION lazy(n int) RETURNS SETOF text LANGUAGE sql VOLATILE ROWS 5
	AS 'SELECT v(a) FROM t WHERE b = n';
CREATE FUNCTION careful(n int) RETURNS text LANGUAGE plpgsql STABLE AS
	'BEGIN RETURN div(n); EXCEPTION WHEN division_by_zero THEN RETURN ''zero''; END';
CREATE FUNCTION tries(n int) RETURNS int LANGUAGE plpgsql STABLE AS '
DECLARE
	r record; done int := 0;
BEGIN
	FOR r IN SELECT rare(a) AS x, k(id) AS y FROM u WHERE f = n AND id < 14 LOOP
		done := done + r.x + coalesce(r.y, 0);
	END LOOP;
	RETURN done;
EXCEPTION WHEN division_by_zero THEN
	RETURN -done;
END';
-- each time that they are evaluated is seen
CREATE FUNCTION said(n int) RETURNS int LANGUAGE plpgsql VOLATILE AS
	'BEGIN RAISE NOTICE ''said %'', n; RETURN n; END';
CREATE FUNCTION drawn(n int) RETURNS int LANGUAGE sql VOLATILE AS
	$$SELECT n + 0 * nextval('ticket')::int$$;
CREATE FUNCTION strict2(a int, b int) RETURNS int LANGUAGE plpgsql STRICT AS 'BEGIN RETURN a + b; END';
-- once what a case has begun is over, here and there
CREATE FUNCTION case_begins(number int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	LOOP
		PERFORM pg_stat_clear_snapshot();
		EXIT WHEN NOT EXISTS (SELECT FROM concresce.in_flight WHERE pid = pg_backend_pid())
			AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = 'far_' || current_database() AND state = 'active');
		PERFORM pg_sleep(0.001);
	END LOOP;
	RAISE LOG 'case %', number;
END $$;
CREATE FUNCTION lowered() RETURNS trigger LANGUAGE plpgsql AS
	'BEGIN NEW.c := lower(coalesce(v(NEW.a), NEW.c)); RETURN NEW; END';
CREATE TRIGGER lowered BEFORE INSERT ON target FOR EACH ROW EXECUTE FUNCTION lowered();
GRANT ALL ON ALL TABLES IN SCHEMA public TO reader;
GRANT ALL ON SEQUENCE ticket TO reader;
GRANT ALL ON SCHEMA public TO reader;
GRANT USAGE ON FOREIGN SERVER far TO reader;
REVOKE EXECUTE ON FUNCTION denied, secret, secrets FROM PUBLIC;
VACUUM ANALYZE;
EOF_SQL
}

1;
