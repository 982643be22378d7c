# What doc/operating.md promises: each of its queries runs as it is written
# there, for a role that may read all statistics, and shows what the page says.
# The queries of examples/monitoring give what their file declares; dashboard.pl
# has the dashboard.

use strict;
use warnings FATAL => 'all';

use CPAN::Meta::YAML;
use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$FindBin::RealBin/../..";
my $page = slurp_file("$top/doc/operating.md");
my %questions = $page =~ /^## (\d+)\. (.*?)(?=^## |\z)/msg;

is(join(' ', sort { $a <=> $b } keys %questions), join(' ', 1 .. 10), 'ten questions');

my $node = start_node('local', conf => "concresce.queue_size = 100\nmax_parallel_workers_per_gather = 0");
make_far($node);
$node->safe_psql('far', 'CREATE TABLE events (kind text)');
$node->safe_psql('postgres', make_server('crm', far_options($node)));
$node->safe_psql('postgres', make_server('dead', far_options($node, port => 1)));
$node->safe_psql('postgres', define('crm',
	'user_score(user_id bigint)' => 'int STABLE' => 'SELECT gate(user_id::int)',
	'log_event(kind text)' => 'void VOLATILE' =>
	  'INSERT INTO events SELECT k FROM unnest(collect(kind)) k, gate(1)'));
$node->safe_psql('postgres', define('dead', 'nowhere(n int)' => 'int STABLE' => 'SELECT n'));
$node->safe_psql('postgres', <<'EOF_SQL');
CREATE ROLE monitor LOGIN IN ROLE pg_read_all_stats;
CREATE FUNCTION held(n int) RETURNS int LANGUAGE sql AS 'SELECT n FROM pg_advisory_xact_lock_shared(4712)';
CREATE FUNCTION local_one(n int) RETURNS int LANGUAGE concresce STABLE AS 'SELECT held(n)';
CREATE FUNCTION dropped(n int) RETURNS int LANGUAGE concresce STABLE SET concresce.server = 'crm' AS 'SELECT n';
SELECT dropped(1);
DROP FUNCTION dropped;
EOF_SQL

# What the page's statements on a question print, one string for each block.
# Commands are given by a superuser.
sub ask
{
	my ($question) = @_;
	my @blocks = $questions{$question} =~ /^```sql\n(.*?)^```$/msg;
	my @answers;

	cmp_ok(scalar @blocks, '>', 0, "question $question has a query");
	foreach my $block (@blocks)
	{
		my $command = $block =~ /\b(?:discard\(|start\(|switch_on\(|pg_terminate_backend)/;
		my ($out, $err);

		$node->psql('postgres', $block, stdout => \$out, stderr => \$err,
			on_error_stop => 1, extra_params => $command ? [] : [ '-U', 'monitor' ]);
		is($err, '', "question $question: " . ($block =~ /^(.*)/)[0]);
		push @answers, $out;
	}
	return @answers;
}

sub enqueue
{
	my ($items) = @_;

	return "SELECT count(concresce.enqueue('log_event', i::text)) FROM generate_series(1, $items) i";
}

sub arrived { return $node->safe_psql('far', 'WITH d AS (DELETE FROM events RETURNING 1) SELECT count(*) FROM d') }

# ---- the exporter's file -----------------------------------------------------

my $queries = CPAN::Meta::YAML->read("$top/examples/monitoring/queries.yaml")->[0];
my %seen;

# Its columns, with how each is used; those that a histogram consists of, too.
sub columns
{
	my ($name) = @_;
	my %usage;

	foreach my $metric (@{ $queries->{$name}{metrics} })
	{
		my ($column, $about) = %$metric;

		$usage{$column} = $about->{usage};
		next if $about->{usage} ne 'HISTOGRAM';
		$usage{"${column}_$_"} = 'PART' foreach qw(bucket sum count);
	}
	return %usage;
}

# Cumulative, as Prometheus has it.
sub histogram_is_right
{
	my ($row, $column) = @_;
	my ($bounds, $buckets) = @$row{ $column, "${column}_bucket" };

	return 0 if @$bounds != @$buckets;
	foreach my $i (1 .. $#$bounds)
	{
		return 0 if $bounds->[$i] <= $bounds->[ $i - 1 ] || $buckets->[$i] < $buckets->[ $i - 1 ];
	}
	return $buckets->[-1] <= $row->{"${column}_count"} && $row->{"${column}_sum"} >= 0;
}

sub wrong_values
{
	my ($row, %usage) = @_;

	return grep {
		!defined $row->{$_}
		  || $usage{$_} eq 'HISTOGRAM' && !histogram_is_right($row, $_)
		  || $usage{$_} =~ /COUNTER|GAUGE/ && $row->{$_} !~ /^\d+(?:\.\d+)?(?:e[-+]?\d+)?$/
	} sort keys %usage;
}

# Rows of a query that hold what they must not; and those that the exporter
# would refuse, as two have the same labels.
sub scrape
{
	my ($when, @present) = @_;

	foreach my $name (sort keys %$queries)
	{
		my %usage = columns($name);
		my @labels = grep { $usage{$_} eq 'LABEL' } sort keys %usage;
		my ($out, %rows, @wrong);

		$node->psql('postgres', "SELECT row_to_json(q) FROM ($queries->{$name}{query}) q",
			stdout => \$out, on_error_die => 1, extra_params => [ '-U', 'monitor' ]);
		foreach my $line (split /\n/, $out)
		{
			my $row = decode_json($line);

			push @wrong, "columns of $line" if join(' ', sort keys %$row) ne join(' ', sort keys %usage);
			push @wrong, map { "$_ of $line" } wrong_values($row, %usage);
			push @wrong, "labels of $line" if $rows{ join("\0", map { $row->{$_} // '' } @labels) }++;
		}
		is("@wrong", '', "$when: $name");
		$seen{$name} += keys %rows;
		cmp_ok(scalar keys %rows, '>', 0, "$when: there is something in $name") if grep { $_ eq $name } @present;
	}
	return;
}

ok(!(grep { exists { columns($_) }->{server} } keys %$queries), 'no label "server": the exporter has its own');

# ---- the questions -------------------------------------------------------------

$node->safe_psql('postgres', 'SELECT count(user_score(i)) FROM generate_series(1, 50) i');
$node->safe_psql('postgres', 'SELECT user_score(1)');
$node->safe_psql('postgres', enqueue(3) . '; SELECT concresce.flush_all()');
is(arrived(), 3, 'events have arrived');

my @answers = ask(1);
like($answers[0], qr/^user_score\(bigint\)\|51\|[\d.]+\|[\d.]+\|[\d.]+$/m, 'quantiles of the latency');
like($answers[1], qr/^user_score\(bigint\)\|crm\|\d+\|[\d.]+\|[\d.]+\|[\d.]+\|[\d.]+\|[\d.]+$/m, 'where the time goes');
like($answers[2], qr/unnest/, 'what is asked over there');

my $gate = close_gate($node);
my $held = $node->background_psql('postgres');
$held->query_safe('SELECT pg_advisory_lock(4712)');
my $shop = call($node, 'SELECT user_score(42)', app => 'shop');
my $local = call($node, 'SELECT local_one(1)', app => 'local');
my $flusher = call($node, enqueue(1) . '; SELECT concresce.flush_all()', app => 'flusher');
$_->waiting foreach $shop, $local;
poll($node, <<'EOF_SQL');
SELECT count(*) = 1 FROM pg_stat_activity
WHERE application_name = 'flusher' AND wait_event_type = 'Extension' AND query LIKE '%flush_all%'
EOF_SQL
poll_far($node, 2);
@answers = ask(2);
like($answers[0], qr/^\d+\|\w+\|user_score\(bigint\)\|1\|[^|]+\|in flight\|shop\|SELECT user_score\(42\)/m,
	'a session that waits');
like($answers[1], qr/^\d+\|active\|Lock\|advisory\|[^|]+\|/m, 'what the far side does for it');
like($answers[2], qr/^\d+\|\w+\|active\|advisory\|/m, 'an executor at work');
like($answers[3], qr/^\d+\|\w+\|\w+\|[^|]+\|.*flush_all/m, 'a session that waits for no answer');
unlike($answers[3], qr/user_score/, 'and no other');
is($answers[4], '', 'no executor is ended that is at work for a moment');

@answers = ask(8);
like($answers[0], qr/^\d+ \w+\|64 MB\|[\d.]+$/m, 'shared memory');
like($answers[1], qr/\|user_score\(bigint\)\|f\|1\|\d+ bytes$/m, 'that of a call');
like($answers[1], qr/\|log_event\(text\)\|t\|\|\d+ bytes$/m, 'that of an enqueued item');
like($answers[2], qr/^@{[$shop->pid]}\|\w+\|1\|\d+ bytes\|/m, 'that of a session');
scrape('in flight', qw(concresce_in_flight concresce_memory_use concresce_connection concresce_connection_losses concresce_lookup_latency
	  concresce_batch concresce_collector concresce_shared_memory));
open_gate($gate);
$held->quit;
finish_all($shop, $local, $flusher);
is($shop->out, '420', 'the session has its answer');
is(arrived(), 1, 'and the event has arrived');

@answers = ask(3);
like($answers[0], qr/^user_score\(bigint\)\|32\|63\|1$/m, 'a batch of fifty');
like($answers[1], qr/^log_event\(text\)\|v\|concresce\.server=crm$/m, 'what a lookup says of itself');
like($answers[2], qr/^user_score\(bigint\)\|crm\|\d+\|\d+\|\d+\|[\d.]+\|/m, 'what the sizes come from');

$node->safe_psql('postgres', q{SELECT concresce.switch_off('crm')});
$node->safe_psql('postgres', enqueue(73));
@answers = ask(4);
like($answers[0], qr/^log_event\(text\)\|crm\|0\|73\|100\|73\.0$/m, 'how full the queue is');
like($answers[1], qr/^log_event\(text\)\|crm\|\w+\|73\|0\|[\d:.]+\|f\|t$/m,
	'the oldest items, of a server that is switched off');
is($answers[2], '0', 'nothing is older than a day');

$node->safe_psql('postgres', q{SELECT concresce.stop('user_score')});
@answers = ask(10);
like($answers[0], qr/^server crm\|f\|\w+\|[^|]+\|[\d:.]+$/m, 'a server that is switched off');
like($answers[0], qr/^lookup user_score\(bigint\)\|f\|/m, 'a lookup that is stopped');
is($node->safe_psql('postgres', "SELECT string_agg(coalesce(server, function::text), ' ') FROM concresce.stopped"),
	'user_score(bigint)', 'the server is used again');
$node->safe_psql('postgres', 'SELECT concresce.stop_all()');
like((ask(10))[0], qr/^all lookups of the database\|f\|/m, 'all lookups are stopped');
$node->safe_psql('postgres', q{SELECT concresce.switch_off('dead'); SELECT concresce.stop('log_event')});
scrape('stopped', 'concresce_stopped');
$node->safe_psql('postgres', q{SELECT concresce.start_all(); SELECT concresce.switch_on('dead')});
is($node->safe_psql('postgres', 'SELECT count(*) FROM concresce.stopped'), '0', 'nothing is stopped');
poll($node, 'SELECT count(*) = 0 FROM concresce.enqueued');
is(arrived(), 73, 'what was enqueued has arrived');

$node->safe_psql('far', 'ALTER TABLE events RENAME TO elsewhere');
$node->safe_psql('postgres', enqueue(5));
poll($node, 'SELECT count(*) = 1 FROM concresce.circuits');
@answers = ask(5);
like($answers[0], qr/^log_event\(text\)\|crm\|[^|]+\|\d+\|[^|]*\|relation "events" does not exist$/m,
	'an open circuit');
like($answers[1], qr/^log_event\(text\)\|crm\|\d+\|[1-9]\d*\|/m, 'retries');
like((ask(4))[1], qr/^log_event\(text\)\|crm\|\w+\|5\|\d\|[\d:.]+\|t\|f$/m,
	'the circuit is open in the list of the oldest, too');
scrape('open circuit', qw(concresce_circuit concresce_enqueued concresce_lookup));

# One batch may be in flight, and is not tried again.
$node->safe_psql('postgres', q{SELECT concresce.discard('log_event')});
poll($node, 'SELECT count(*) = 0 FROM concresce.enqueued');
like((ask(9))[0], qr/^log_event\(text\)\|crm\|5\|/m, 'what was discarded');

is(attempt($node, 'SELECT nowhere(1)')->sqlstate, '08001', 'a server that cannot be reached');
@answers = ask(6);
like($answers[0], qr/^dead\|\w*\|closed\|1\|/m, 'its connection is closed');
like($answers[1], qr/^dead\|\w*\|closed\|could not connect to server "dead"\|\d/m, 'and why');

$node->safe_psql('postgres', 'SELECT pg_terminate_backend(' . collector_pid($node) . ')');
poll($node, 'SELECT count(*) = 1 FROM concresce.collectors WHERE restarts = 1 AND pid IS NOT NULL');
like((ask(7))[0], qr/^0\|\d+\|[\d:.]+\|1\|\d+\|\d+\|0\|\d+ \w+\|128 MB$/m, 'a collector that was restarted');

is(join(' ', grep { !$seen{$_} } sort keys %$queries), '', "each of the exporter's queries has had something to show");

at_rest($node);
done_testing();
