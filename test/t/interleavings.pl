# Two sessions that write to the same rows, in random interleavings, get the
# same with batch nodes and without: results, errors, and what is in the tables
# in the end. So EvalPlanQual, which computes a row anew that another session
# has changed, goes through batch nodes too.
#
# The statements are made by Queries.pm. SEED, QUERIES and ONLY are as for
# differential.pl; SHOW=1 shows also what does not differ.

use strict;
use warnings FATAL => 'all';

# A chunk of cases is one psql.
BEGIN { $ENV{PG_TEST_TIMEOUT_DEFAULT} //= 600 }

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Utils;
use Queries qw(far_tables local_tables make_interleaving);
use Queries::Outcome qw(shape brief);
use Test::More;
use Time::HiRes qw(usleep);

my $seed = $ENV{SEED} || 20261128;
my $count = $ENV{QUERIES} || 60;
my @numbers = $ENV{ONLY} ? split(/,/, $ENV{ONLY}) : (1 .. $count);
my @ways = qw(off on);

note("SEED=$seed QUERIES=$count" . ($ENV{ONLY} ? " ONLY=$ENV{ONLY}" : ''));

# ---- the databases ---------------------------------------------------------

my @written = qw(t u wide parted parted_1 parted_2 parted_3 parent child target);

# In the database that leads: plays a case in another one. A step is
# "session: statement". The next step is sent once every session is idle or
# waits for another; the steps of a session that waits come later.
my $player = <<'EOF_SQL';
CREATE EXTENSION dblink;

CREATE FUNCTION result_of(session text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	SELECT string_agg(r, E'\n') INTO result FROM dblink_get_result(session) AS t(r text);
	PERFORM FROM dblink_get_result(session) AS t(r text);
	RETURN coalesce(result, '');
EXCEPTION WHEN OTHERS OR query_canceled THEN
	PERFORM FROM dblink_get_result(session) AS t(r text);
	RETURN format('ERROR %s: %s', sqlstate, sqlerrm);
END $$;

-- Is a session at rest: idle, or waiting for a lock that another one has?
CREATE FUNCTION settled(session text, session_pid int) RETURNS bool LANGUAGE sql VOLATILE AS $$
	SELECT dblink_is_busy(session) = 0 OR cardinality(pg_blocking_pids(session_pid)) > 0
$$;

CREATE FUNCTION play(db text, preparations text[], shown text[], steps text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	sessions CONSTANT text[] := ARRAY['a', 'b'];
	pids int[];
	running int[] := ARRAY[0, 0];
	sent bool[] := array_fill(false, ARRAY[cardinality(steps)]);
	results text[];
	next int;
	deadline timestamptz;
	query text;
BEGIN
	FOR s IN 1 .. 2 LOOP
		PERFORM dblink_connect(sessions[s], format('host=127.0.0.1 port=%s dbname=%s', current_setting('port'), db));
		IF s = 1 THEN
			PERFORM dblink_exec('a', 'CALL restore()');
		END IF;
		pids[s] := (SELECT pid FROM dblink(sessions[s], 'SELECT pg_backend_pid()') AS t(pid int));
		FOREACH query IN ARRAY preparations LOOP
			PERFORM dblink_exec(sessions[s], query);
		END LOOP;
	END LOOP;
	FOREACH query IN ARRAY shown LOOP
		RETURN QUERY SELECT line FROM dblink('b', format('SELECT run(%L)', 'EXPLAIN (COSTS OFF) ' || query)) AS t(line text);
	END LOOP;
	RETURN NEXT '@@ played';
	LOOP
		next := NULL;
		FOR i IN 1 .. cardinality(steps) LOOP
			IF NOT sent[i] AND running[ascii(steps[i]) - 96] = 0 THEN
				next := i;
				EXIT;
			END IF;
		END LOOP;
		EXIT WHEN next IS NULL AND running = ARRAY[0, 0];
		IF next IS NOT NULL THEN
			sent[next] := true;
			running[ascii(steps[next]) - 96] := next;
			PERFORM dblink_send_query(left(steps[next], 1), substr(steps[next], 4));
		END IF;
		deadline := clock_timestamp() + interval '30 s';
		LOOP
			EXIT WHEN settled('a', pids[1]) AND settled('b', pids[2])
				AND (dblink_is_busy('a') = 0 OR dblink_is_busy('b') = 0);
			IF clock_timestamp() > deadline THEN
				RAISE 'session % hangs in %', sessions, steps[next];
			END IF;
			PERFORM pg_sleep(0.001);
		END LOOP;
		FOR s IN 1 .. 2 LOOP
			IF running[s] > 0 AND dblink_is_busy(sessions[s]) = 0 THEN
				results[running[s]] := result_of(sessions[s]);
				running[s] := 0;
			ELSIF running[s] > 0 AND next = running[s] THEN
				RETURN NEXT format('(%s waits: %s)', sessions[s], steps[next]);
			END IF;
		END LOOP;
	END LOOP;
	FOR i IN 1 .. cardinality(steps) LOOP
		RETURN NEXT format(E'-- %s\n%s', steps[i], results[i]);
	END LOOP;
	RETURN QUERY SELECT r FROM dblink('a', 'SELECT * FROM state()') AS t(r text);
	PERFORM dblink_disconnect(s) FROM unnest(sessions) s;
END $$;
EOF_SQL

# In each database: the rows of a statement, the tables as they were, and as
# they are.
my $within = <<"EOF_SQL";
CREATE FUNCTION run(query text) RETURNS SETOF text LANGUAGE plpgsql AS \$\$
DECLARE
	r record; n int;
BEGIN
	IF query ~ '^EXPLAIN' THEN
		RETURN QUERY EXECUTE query;
	ELSIF query !~ '^(SELECT|WITH)|RETURNING' THEN
		EXECUTE query;
		GET DIAGNOSTICS n = ROW_COUNT;
		RETURN NEXT n || ' rows';
	ELSE
		FOR r IN EXECUTE query LOOP
			RETURN NEXT r::text;
		END LOOP;
	END IF;
END \$\$;
CREATE SCHEMA saved;
@{[ map { "CREATE TABLE saved.$_ AS SELECT * FROM ONLY $_;" } @written ]}
CREATE PROCEDURE restore() LANGUAGE plpgsql AS \$\$
BEGIN
	TRUNCATE @{[ join(', ', @written) ]};
	@{[ map { "INSERT INTO $_ SELECT * FROM saved.$_;" } grep { !/^(?:target|parted)$/ } @written ]}
	ALTER TABLE target DISABLE TRIGGER ALL;
	INSERT INTO target SELECT * FROM saved.target;
	ALTER TABLE target ENABLE TRIGGER ALL;
	ANALYZE @{[ join(', ', @written) ]};
	PERFORM setval('ticket', 1);
END \$\$;
CREATE FUNCTION state() RETURNS SETOF text LANGUAGE sql AS \$\$
	@{[ join(' UNION ALL ', map {
		my $now = "SELECT tableoid::regclass || ' ' || x::text FROM ONLY $_ x";
		my $before = "SELECT '$_ ' || x::text FROM saved.$_ x";
		"(SELECT '+ ' || q.* FROM ($now EXCEPT ALL $before ORDER BY 1) q) UNION ALL (SELECT '- ' || q.* FROM ($before EXCEPT ALL $now ORDER BY 1) q)"
	} grep { $_ ne 'parted' } @written) ]}
	UNION ALL SELECT 'ticket ' || last_value FROM ticket
\$\$;
EOF_SQL

my $node = start_node('local', conf => <<'EOF_CONF');
jit = off
statement_timeout = '20s'
deadlock_timeout = '200ms'
restart_after_crash = on
log_min_error_statement = panic
log_error_verbosity = terse
EOF_CONF

$node->safe_psql('postgres', "CREATE DATABASE far; $player");
$node->safe_psql('far', far_tables());
$node->safe_psql('postgres', 'CREATE DATABASE model');
$node->safe_psql('model',
	'CREATE ROLE reader; CREATE EXTENSION concresce; CREATE EXTENSION postgres_fdw;'
	  . join('', map { "CREATE SERVER $_->[0] FOREIGN DATA WRAPPER $_->[1] OPTIONS (" . far_options($node)
		  . "); CREATE USER MAPPING FOR PUBLIC SERVER $_->[0] OPTIONS (user '" . $node->safe_psql('postgres', 'SELECT user')
		  . "', password_required 'false');" } [qw(far concresce)], [qw(shop postgres_fdw)])
	  . local_tables() . $within);
foreach my $way (@ways)
{
	$node->safe_psql('postgres', "CREATE DATABASE batch_$way TEMPLATE model");
	$node->safe_psql('postgres', "ALTER DATABASE batch_$way SET concresce.enable_batchscan = $way");
}

# ---- the test --------------------------------------------------------------

sub literal { return '$l$' . $_[0] . '$l$' }
sub text_array { return 'ARRAY[' . join(', ', map { literal($_) } @_) . ']::text[]' }

sub play
{
	my ($case, $way) = @_;
	my @steps = map { my ($session, $sql) = @$_; "$session: " . ($sql =~ /^(?:BEGIN|COMMIT|ROLLBACK)/ ? $sql : 'SELECT run($q$' . $sql . '$q$)') } @{ $case->{steps} };

	return "\\echo @@ case $case->{n}\n\\warn @@ case $case->{n}\nSELECT play('batch_$way', " . join(', ', text_array(map { "SET $_" } @{ $case->{settings} }),
		text_array(@{ $case->{statements} }), text_array(@steps)) . ");\n";
}

# Where dead rows are pruned is a matter of time, and so is the order in which a
# table is read: without ORDER BY the rows of a statement come in any. A WITH
# query that writes is read ahead, so a statement that fails at an early row may
# have waited for a later one before.
sub comparable
{
	my ($played) = @_;
	my ($waits, @results) = split(/^-- /m, $played, -1);
	my @failed = map { /^(\w: .*\bWITH\b.*)\nERROR/ ? "waits: $1)" : () } @results;

	# of two rows that fail, the one that is read ahead may fail first
	s/\nERROR (?:22012|23514|21000|02000): .*/\nERROR of a row/ foreach @results;
	foreach my $failed (@failed)
	{
		$waits =~ s/^\(\w \Q$failed\E\n//m;
	}
	return join("\n", map { /^\w: [^\n]*ORDER BY/ ? $_ : join("\n", sort split(/\n/, $_)) } $waits, @results);
}

# Both ways side by side. What a case gave: plans, and what was played.
sub run_cases
{
	my @cases = @_;
	my %runs = map { my $way = $_; $way => call($node, "\\set ON_ERROR_STOP off\n" . join('', map { play($_, $way) } @cases) . "\\echo @@ case end\nSELECT") } @ways;
	my %seen;

	foreach my $way (@ways)
	{
		eval { $runs{$way}->finish; 1 } or diag("$way: $@");
		my @out = split(/^@@ case (\w+)\n/m, ($runs{$way}{out} // '') . "\n", -1);
		my @err = split(/^@@ case (\w+)\n/m, ($runs{$way}{err} // '') . "\n", -1);
		shift @out;
		shift @err;
		my %err = @err;

		while (my ($n, $text) = splice(@out, 0, 2))
		{
			my ($plan, $played) = split(/^@@ played\n/m, $text // '');

			$seen{$n}{$way} = { plan => $plan, played => ($played // '') . ($err{$n} // ''), over => @out > 0 };
		}
	}
	return \%seen;
}

sub await_server
{
	foreach (1 .. 600)
	{
		return if eval { $node->safe_psql('postgres', 'SELECT'); 1 };
		usleep(100_000);
	}
	die 'the server is gone';
}

my %tally = map { $_ => 0 } qw(waited deadlocks shapes batched failed);
my @left = @numbers;

while (my @now = splice(@left, 0, 30))
{
	my @cases = map { make_interleaving($seed, $_) } @now;
	my $seen = run_cases(@cases);

	foreach my $case (@cases)
	{
		my ($n, %result) = $case->{n};

		# another case has brought the server down
		if (grep { !$seen->{$n}{$_}{over} } @ways)
		{
			await_server();
			$seen->{$n} = run_cases($case)->{$n};
		}
		my %plan = map { $_ => $seen->{$n}{$_}{plan} // '' } @ways;
		my %played = map { $_ => $seen->{$n}{$_}{over} ? $seen->{$n}{$_}{played} : 'the server went down' } @ways;

		$tally{batched}++ if $plan{on} =~ /ConcresceBatch/;
		$tally{waited}++ if $played{off} =~ /waits:/;
		$tally{failed}++ if $played{off} =~ /ERROR/;

		diag("case $n:\n", brief($plan{on}), $played{on}) if $ENV{SHOW};

		# who is ended by a deadlock is a matter of chance
		if (grep { /ERROR 40P01/ } values %played) { $tally{deadlocks}++; next }
		my $difference = (grep { !$seen->{$n}{$_}{over} } @ways) ? 'crash' : comparable($played{on}) eq comparable($played{off}) ? '' : 'different';

		if ($difference ne 'crash' && shape($plan{off}) ne shape($plan{on})) { $tally{shapes}++; next }
		await_server() if $difference eq 'crash';
		next if is($difference, '', "case $n");
		diag("SEED=$seed ONLY=$n:", map { "\n\tSET $_;" } @{ $case->{settings} });
		diag("\t$_->[0]: $_->[1];") foreach @{ $case->{steps} };
		diag("enable_batchscan = $_:\n", brief($plan{$_}), $played{$_}) foreach @ways;
	}
}
note(join(', ', map { "$_ $tally{$_}" } sort keys %tally));
if (!$ENV{ONLY})
{
	cmp_ok($tally{batched}, '>', $count * 0.6, 'most have a batch node');
	cmp_ok($tally{waited}, '>', $count * 0.2, 'many wait for each other');
	cmp_ok($tally{deadlocks} + $tally{shapes}, '<', $count * 0.3, 'few cannot be compared');
	cmp_ok($tally{failed}, '<', $count * 0.5, 'most do not fail');
}
is( join("\n", grep { /PANIC|terminated by signal|TRAP:|leak|not closed|not owned|ERROR:  XX|unexpected/ }
		split(/\n/, slurp_file($node->logfile))), '', 'nothing alarming in the log');
at_rest($node);

done_testing();
