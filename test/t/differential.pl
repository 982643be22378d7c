# The batch node changes nothing but the time: generated queries give the same
# with concresce.enable_batchscan on and off, in databases that are alike.
#
# The queries are made by Queries.pm. With these variables set, others are run:
#
#	DIFF_SEED	another seed
#	DIFF_COUNT	so many cases
#	DIFF_ONLY	only the cases with these numbers, as in 3,17
#
# What may differ: the size of a batch in a context line. The order of rows,
# and which of several errors comes first, where Queries.pm calls a case loose
# or the plan has another shape for other reasons than batch nodes.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use List::Util qw(sum);
use PostgreSQL::Test::Utils;
use Queries qw(far_tables local_tables make_case);
use Test::More;
use Time::HiRes qw(usleep);

my $seed = $ENV{DIFF_SEED} || 20261120;
my $count = $ENV{DIFF_COUNT} || 300;
my @numbers = $ENV{DIFF_ONLY} ? split(/,/, $ENV{DIFF_ONLY}) : (1 .. $count);
my @ways = qw(off on);

# Pairs of databases in which cases are run side by side.
my $lanes = 2;

note("seed $seed");

# ---- the databases ---------------------------------------------------------

my $node = start_node('local', conf => <<'EOF_CONF');
max_parallel_workers = 8
jit = off
statement_timeout = '6s'
restart_after_crash = on
EOF_CONF
my $debug_parallel = $node->pg_version >= 16 ? 'debug_parallel_query' : 'force_parallel_mode';

$node->safe_psql('postgres', 'CREATE DATABASE far');
$node->safe_psql('far', far_tables());
$node->safe_psql('postgres', 'CREATE DATABASE model');
$node->safe_psql('model',
	'CREATE ROLE reader; CREATE EXTENSION concresce; CREATE EXTENSION postgres_fdw;'
	  . join('', map { "CREATE SERVER $_->[0] FOREIGN DATA WRAPPER $_->[1] OPTIONS (" . far_options($node)
		  . "); CREATE USER MAPPING FOR PUBLIC SERVER $_->[0] OPTIONS (user '" . $node->safe_psql('postgres', 'SELECT user')
		  . "', password_required 'false');" } [qw(far concresce)], [qw(shop postgres_fdw)])
	  . local_tables());
foreach my $lane (0 .. $lanes - 1)
{
	$node->safe_psql('postgres', "CREATE DATABASE ${_}_$lane TEMPLATE model") foreach @ways;
}

# ---- running ---------------------------------------------------------------

# What a case sends, with a mark before each statement on both outputs.
sub script
{
	my ($case) = @_;
	my @steps = ('BEGIN');
	my $text = '';

	push @steps, map { s/^DEBUG_PARALLEL/$debug_parallel/r } map { "SET LOCAL $_" } @{ $case->{settings} };
	push @steps, "SELECT setval('ticket', 1)", @{ $case->{prepare} // [] };
	push @steps, 'SAVEPOINT shown', "EXPLAIN (VERBOSE, COSTS OFF) $case->{shown}", 'ROLLBACK TO shown';
	push @steps, $case->{sql}[0], ('COMMIT') x !!$case->{hold}, @{ $case->{sql} }[ 1 .. $#{ $case->{sql} } ];
	push @steps, 'ROLLBACK', 'CLOSE ALL', 'DEALLOCATE ALL';

	# what is left of dead rows would be counted by the planner
	push @steps, 'VACUUM t, u, parted, parent, child, target' if $case->{writes};
	foreach my $step (@steps)
	{
		$step =~ s/DEBUG_PARALLEL/$debug_parallel/;
		$text .= "\\echo \@\@ $case->{n} " . ($step =~ /^EXPLAIN/ ? 'plan' : 'rows')
		  . "\n\\warn \@\@ $case->{n}\n$step;\n";
	}
	return $text . "\\echo \@\@ $case->{n} done\n";
}

my $head = "\\set ON_ERROR_STOP off\n\\timing on\n\\set VERBOSITY verbose\n\\pset null <NULL>\nSET client_min_messages = notice;\n";

sub start
{
	my ($way, $lane, @cases) = @_;

	return call($node, "SET concresce.enable_batchscan = $way;\n$head" . join('', map { script($_) } @cases)
		  . "SELECT 1",
		db => "${way}_$lane", app => "batches $way $lane");
}

# By case: what came for its statements, and on the other side for each.
sub parse
{
	my ($run) = @_;
	my (%seen, $last);
	my @out = split(/^@@ (\w+) (\w+)\n/m, $run->out . "\n");
	my @err = split(/^@@ (\w+)\n/m, $run->err . "\n");

	shift @out;
	shift @err;
	while (my ($n, $what, $text) = splice(@out, 0, 3))
	{
		$last = $n;
		$text //= '';
		$seen{$n}{time} += $1 while $text =~ s/^Time: ([\d.]+) ms.*\n//m;
		if ($what eq 'done') { $seen{$n}{done} = 1 }
		elsif ($what eq 'plan') { $seen{$n}{plan} = $text }
		else { push @{ $seen{$n}{rows} }, $text }
	}
	while (my ($n, $text) = splice(@err, 0, 2))
	{
		$text //= '';
		$text =~ s/^LOCATION: .*\n//mg;
		$text =~ s/, batch of \d+$/, batch of N/mg;
		$text =~ s/<unnamed portal \d+>/<unnamed portal>/g;
		push @{ $seen{$n}{errors} }, $text;
	}
	return (\%seen, $last);
}

# Run cases both ways. Returns those that a session had begun when it ended.
sub run_lanes
{
	my ($results, @cases) = @_;
	my (@runs, %begun);

	foreach my $lane (0 .. $lanes - 1)
	{
		my @dealt = @cases[ grep { $_ % $lanes == $lane } 0 .. $#cases ];

		push @runs, map { [ $_, start($_, $lane, @dealt) ] } @ways if @dealt;
	}
	foreach my $run (@runs)
	{
		my ($way, $session) = @$run;

		eval { $session->finish; 1 } or diag("session $session->{app}: $@");
		my ($seen, $last) = parse($session);
		$results->{$_}{$way} = $seen->{$_} foreach keys %$seen;
		next if !defined $last || $seen->{$last}{done};
		diag("session $session->{app} ended in case $last: " . substr($session->err, -300));
		$begun{$last} = 1;
	}
	return grep { $begun{ $_->{n} } } @cases;
}

sub finished { my ($result) = @_; return !grep { !$result->{$_}{done} } @ways }

sub await_server
{
	foreach (1 .. 600)
	{
		return if eval { $node->safe_psql('postgres', 'SELECT'); 1 };
		usleep(100_000);
	}
	die 'the server is gone';
}

# A crash ends all sessions. It is that of a case that brings it about alone.
sub run_cases
{
	my @cases = @_;
	my %results;

	while (@cases)
	{
		my @suspects = run_lanes(\%results, @cases);

		foreach my $case (@suspects)
		{
			await_server();
			run_lanes(\%results, $case);
			$results{ $case->{n} }{crash} = 1 unless finished($results{ $case->{n} });
		}
		my @left = grep { !$results{ $_->{n} }{crash} && !finished($results{ $_->{n} }) } @cases;

		die 'no progress' if @left == @cases;
		@cases = @left;
		await_server() if @cases;
	}
	return \%results;
}

# ---- comparing -------------------------------------------------------------

# The nodes of a plan, without those that batch nodes bring along or replace.
sub shape
{
	my ($plan) = @_;
	my @nodes = $plan =~ /(?:\A| *->  |^ +(?=(?:CTE|SubPlan|InitPlan) ))([A-Z][^\n]*)/mg;

	s/ (?:on|using) .*// foreach @nodes;
	return join("\n", grep { !/Custom Scan|^Materialize$|^Memoize$/ } @nodes);
}

sub sorted { return join("\n", sort split(/\n/, $_[0])) }

sub states { return join(',', $_[0] =~ /^(?:ERROR|WARNING):  (\w{5}):/mg) }

# A batch node that reads rows ahead of where it will stop, or of where a call
# of its own will fail, may come upon an error of what is below it. Such errors
# are raised by other batch nodes, or by what these have handed over.
sub came_early
{
	my ($case, $off, $on) = @_;
	my @states = map { [ join('', @{ $_->{errors} // [] }) =~ /(?:ERROR: |caught) +(22012|02000|21000|23514)\b/g ] } $off, $on;

	return $case->{fail} eq 'lookup' && @{ $states[1] } > 0 && (@{ $states[0] } > 0 || $case->{early})
	  && (() = ($on->{plan} // '') =~ /ConcresceBatch/g) > 1;
}

# '' if they are the same, else in what they differ.
sub difference
{
	my ($case, $off, $on) = @_;
	my $loose = $case->{loose} || shape($off->{plan} // '') ne shape($on->{plan} // '');

	return 'statements' if @{ $off->{rows} // [] } != @{ $on->{rows} // [] };
	for my $i (0 .. $#{ $off->{rows} })
	{
		my ($a, $b) = map { $_->{rows}[$i] } $off, $on;

		# COPY has sent some rows before it fails
		next if $case->{kind} eq 'copy' && grep { $_->{errors}[$i] } $off, $on;
		return 'rows' if $loose ? sorted($a) ne sorted($b) : $a ne $b;
	}
	for my $i (0 .. $#{ $off->{errors} })
	{
		my ($a, $b) = map { $_->{errors}[$i] // '' } $off, $on;
		return 'errors' if $loose ? states($a) ne states($b) : $a ne $b;
	}
	return '';
}

sub show
{
	my ($case, $result) = @_;

	diag("case $case->{n} of seed $seed ($case->{kind}):");
	diag("\t$_;") foreach 'BEGIN', (map { "SET LOCAL $_" } @{ $case->{settings} }), @{ $case->{prepare} // [] },
	  @{ $case->{sql} };
	foreach my $way (@ways)
	{
		my $seen = $result->{$way} // {};

		diag("enable_batchscan = $way:\n" . ($seen->{plan} // '') . join('-- ' . "\n", @{ $seen->{rows} // [] })
			  . join('', @{ $seen->{errors} // [] }));
	}
	return;
}

# ---- the test --------------------------------------------------------------

my $start = time;
my @cases = map { make_case($seed, $_) } @numbers;
my $results = run_cases(@cases);
my %tally = map { $_ => 0 } qw(batched rows errors exact early malformed slow parallel);
my %kinds;

note('both ways took ' . (time - $start) . ' s');
foreach my $way (@ways)
{
	my %took = map { $_ => $results->{$_}{$way}{time} // 0 } keys %$results;
	my @slowest = (sort { $took{$b} <=> $took{$a} } keys %took)[ 0 .. 4 ];

	note(sprintf('%s: %d ms, the slowest %s', $way, sum(0, values %took),
			join(', ', map { defined ? "$_ ($took{$_})" : () } @slowest)));
}
foreach my $case (@cases)
{
	my $result = $results->{ $case->{n} } // {};
	my ($off, $on) = map { $result->{$_} // {} } @ways;
	my $errors = join('', @{ $off->{errors} // [] });
	my $difference = $result->{crash} ? 'crash' : difference($case, $off, $on);

	if (grep { /ERROR:  57014/ } map { @{ $_->{errors} // [] } } $off, $on)
	{
		$tally{slow}++;
		next;
	}
	if ($difference && $difference ne 'crash' && came_early($case, $off, $on))
	{
		$tally{early}++;
		note("case $case->{n}: an error came early");
		$difference = '';
	}

	$tally{batched}++ if ($on->{plan} // '') =~ /ConcresceBatch/;
	$kinds{ $case->{kind} }++ if ($on->{plan} // '') =~ /ConcresceBatch/;
	$tally{parallel}++ if ($on->{plan} // '') =~ /Gather.*ConcresceBatch/s;
	$tally{rows}++ if join('', @{ $off->{rows} // [] }) =~ /\|/;
	$tally{errors}++ if $errors =~ /^ERROR|^NOTICE:  .*caught/m;
	$tally{malformed}++, note("case $case->{n}: $errors") if $errors =~ /ERROR:  (?:42|0A)/;
	$tally{exact}++ if !$case->{loose} && shape($off->{plan} // '') eq shape($on->{plan} // '');
	is($difference, '', "case $case->{n}: $case->{kind}") or show($case, $result);
}

note(join(', ', map { "$_ $tally{$_}" } sort keys %tally));

# What it was all about.
my %batches = map {
	my $way = $_;
	$way => sum(map { $node->safe_psql("${way}_$_", 'SELECT coalesce(sum(batches), 0) FROM concresce.stats') } 0 .. $lanes - 1);
} @ways;
note(join(', ', map { "$_: $batches{$_} foreign queries" } @ways));
note(join(', ', map { "$_ $kinds{$_}" } sort keys %kinds));
if (!$ENV{DIFF_ONLY})
{
	cmp_ok($tally{batched}, '>', @cases * 0.6, 'most have a batch node');
	cmp_ok($batches{on} * 2, '<', $batches{off}, 'it takes far fewer foreign queries');
	cmp_ok($tally{exact}, '>', @cases * 0.6, 'most are compared exactly');
	cmp_ok($tally{rows}, '>', @cases * 0.5, 'most have rows');
	cmp_ok($tally{errors}, '>', @cases * 0.05, 'some fail');
	cmp_ok($tally{parallel}, '>', 0, 'some are parallel');
	cmp_ok($tally{early}, '<', @cases * 0.05, 'few errors come early');
	cmp_ok($tally{slow}, '<', @cases * 0.2, 'few take too long');
	cmp_ok($tally{malformed}, '<', @cases * 0.05, 'few are refused by the parser');
}
is( join("\n", grep { /PANIC|terminated by signal|TRAP:|leak|not closed|not owned|ERROR:  XX|unexpected/ }
		split(/\n/, slurp_file($node->logfile))), '', 'nothing alarming in the log');
at_rest($node);

done_testing();
