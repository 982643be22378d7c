# The batch node changes nothing but the time: generated queries give the same
# with concresce.enable_batchscan on and off, in databases that are alike.
#
# The queries are made by Queries.pm. With these variables set, others are run:
#
#	SEED		another seed
#	QUERIES		so many cases
#	ONLY		only the cases with these numbers, as in 3,17
#	REDUCE		make so many cases of each sort that differ as short as they still do
#
# What is compared: rows, errors and notices, what @probes see of the session's
# state in the end, and the keys that the far side was asked for. What may
# differ: the size of a batch in a context line; more keys where a plan may stop
# before its end, as rows are read ahead. The order of rows, and which of
# several errors comes first, where Queries.pm calls a case loose or the plan
# has another shape for other reasons than batch nodes.

use strict;
use warnings FATAL => 'all';

# A chunk of cases is one psql.
BEGIN { $ENV{PG_TEST_TIMEOUT_DEFAULT} //= 600 }

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use List::Util qw(sum);
use PostgreSQL::Test::Utils;
use Queries qw(far_tables local_tables make_case $has_json);
use Queries::Outcome qw(shape sorted brief);
use Queries::Reduce qw(shorter);
use Test::More;
use Time::HiRes qw(usleep);

my $seed = $ENV{SEED} || 20261120;
my $count = $ENV{QUERIES} || 300;
my @numbers = $ENV{ONLY} ? split(/,/, $ENV{ONLY}) : (1 .. $count);
my @ways = qw(off on);
my $chunk = 300;

# Pairs of databases in which cases are run side by side.
my $lanes = 2;

note("SEED=$seed QUERIES=$count" . ($ENV{ONLY} ? " ONLY=$ENV{ONLY}" : ''));

# What is left of a case, seen by its session: name => when => query. Locks and
# rows are looked at within the transaction, if it has not failed.
my @probes = (
	'row locks' => within => join(' UNION ALL ',
		map { "SELECT '$_', locked_row::text, array_to_string(modes, '+') FROM pgrowlocks('$_')" }
		  qw(t u wide parted_1 parted_2 parted_3 parent child target nobody)),
	'advisory locks' => within => "SELECT objid, mode FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() ORDER BY 1, 2",
	'sequence' => afterwards => 'SELECT last_value, is_called FROM ticket',
	'session locks' => afterwards => "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()");

sub probes
{
	my ($when) = @_;
	my @list = @probes;
	my @found;

	while (my ($name, $at, $sql) = splice(@list, 0, 3))
	{
		push @found, [ $name, $sql ] if $at eq $when;
	}
	return @found;
}

# Plans that may stop before they have read all, or that evaluate expressions
# for some of their rows only: then more keys may be asked for.
my $may_stop = qr/Limit|SubPlan|InitPlan|Merge|Semi|Anti|Hash (?:\w+ )*Join|Memoize|One-Time Filter|Run Condition|Recursive|CTE|ProjectSet|Append|Right Join|Full Join|Unique|Nested Loop|WindowAgg/;

# A window with a condition computes rows that it then drops. What a batch node
# computes in its place, it computes for the others only.
my $drops = qr/Run Condition/;

# Which of the rows come first is not certain, nor, where they are equal to
# what sorts them, in which order.
my $any_rows = qr/Limit.*Gather/s;
my $any_order = qr/Gather/;

# ---- the databases ---------------------------------------------------------

my $node = start_node('local', conf => <<'EOF_CONF');
max_parallel_workers = 8
jit = off
statement_timeout = '6s'
restart_after_crash = on
log_line_prefix = '%d: '
log_min_error_statement = panic
log_error_verbosity = terse
EOF_CONF
$has_json = $node->pg_version >= 17;
my $debug_parallel = $node->pg_version >= 16 ? 'debug_parallel_query' : 'force_parallel_mode';

$node->safe_psql('postgres', 'CREATE DATABASE far');
$node->safe_psql('far', far_tables());
$node->safe_psql('postgres', 'CREATE DATABASE model');
$node->safe_psql('model',
	'CREATE ROLE reader; GRANT pg_stat_scan_tables TO reader; CREATE EXTENSION concresce; CREATE EXTENSION postgres_fdw; CREATE EXTENSION pgrowlocks;'
	  . join('', map { "CREATE SERVER $_->[0] FOREIGN DATA WRAPPER $_->[1] OPTIONS (" . far_options($node)
		  . "); CREATE USER MAPPING FOR PUBLIC SERVER $_->[0] OPTIONS (user '" . $node->safe_psql('postgres', 'SELECT user')
		  . "', password_required 'false');" } [qw(far concresce)], [qw(shop postgres_fdw)])
	  . local_tables());
foreach my $lane (0 .. $lanes - 1)
{
	foreach my $name (map { "${_}_$lane" } @ways)
	{
		$node->safe_psql('postgres', "CREATE DATABASE $name TEMPLATE model; CREATE DATABASE far_$name TEMPLATE far");
		$node->safe_psql($name, "ALTER SERVER $_ OPTIONS (SET dbname 'far_$name')") foreach qw(far shop);
	}
}
my $jit = $node->safe_psql('postgres', 'SET jit = on; SELECT pg_jit_available()') eq 't';

note('this server has no JIT') unless $jit;

# ---- running ---------------------------------------------------------------

sub settings
{
	my ($case) = @_;

	return grep { $jit || !/^jit/ } map { s/^DEBUG_PARALLEL/$debug_parallel/r } @{ $case->{settings} };
}

# What a case sends, with a mark before each statement on both outputs.
sub script
{
	my ($case) = @_;
	my @steps = ("SELECT case_begins($case->{n})", 'BEGIN');
	my $text = '';

	push @steps, map { "SET LOCAL $_" } settings($case);
	push @steps, "SELECT setval('ticket', 1)", @{ $case->{prepare} // [] };
	push @steps, 'SAVEPOINT shown', "EXPLAIN (VERBOSE, COSTS OFF) $case->{shown}", 'ROLLBACK TO shown';
	push @steps, $case->{sql}[0], ('COMMIT') x !!$case->{hold}, @{ $case->{sql} }[ 1 .. $#{ $case->{sql} } ];
	push @steps, map { "PROBE $_->[0]: $_->[1]" } probes('within') if !$case->{hold};
	push @steps, 'ROLLBACK', 'CLOSE ALL', 'DEALLOCATE ALL';
	push @steps, map { "PROBE $_->[0]: $_->[1]" } probes('afterwards');

	# what is left of dead rows would be counted by the planner
	push @steps, 'VACUUM t, u, parted, parent, child, target' if $case->{writes};
	foreach my $step (@steps)
	{
		my $what = $step =~ /^EXPLAIN/ ? 'plan' : $step =~ s/^PROBE (.*?): // ? $1 : 'rows';
		$text .= "\\echo \@\@ $case->{n} $what\n\\warn \@\@ $case->{n} $what\n$step;\n";
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
	my @out = split(/^@@ (\w+) ([\w ]+)\n/m, $run->out . "\n");
	my @err = split(/^@@ (\w+) ([\w ]+)\n/m, $run->err . "\n");

	shift @out;
	shift @err;
	while (my ($n, $what, $text) = splice(@out, 0, 3))
	{
		$last = $n;
		$text //= '';
		$seen{$n}{time} += $1 while $text =~ s/^Time: ([\d.]+) ms.*\n//m;
		if ($what eq 'done') { $seen{$n}{done} = 1 }
		elsif ($what eq 'plan') { $seen{$n}{plan} = $text }
		elsif ($what eq 'rows') { push @{ $seen{$n}{rows} }, $text }
		else { $seen{$n}{probes}{$what} = $text }
	}
	while (my ($n, $what, $text) = splice(@err, 0, 3))
	{
		# core itself does not always ask for EXECUTE before the first row
		next if $what eq 'plan';
		$text //= '';
		$text =~ s/^LOCATION: .*\n//mg;
		$text =~ s/, batch of \d+$/, batch of N/mg;
		# which of several lookups is named that the role may not execute
		$text =~ s/(permission denied for function) \w+/$1/g;
		$text =~ s/<unnamed portal \d+>/<unnamed portal>/g;
		push @{ $seen{$n}{errors} }, $text;
	}
	return (\%seen, $last);
}

# The keys that were asked for since a place in the log, by case and way.
sub add_keys
{
	my ($results, $from) = @_;
	my %case;

	foreach (split(/\n/, slurp_file($node->logfile, $from)))
	{
		if (/^((?:off|on)_\d+): LOG:  case (\d+)$/) { $case{$1} = $2 }
		elsif (/^far_((\w+)_\d+): LOG:  asked for (.*)$/) { $results->{ $case{$1} }{$2}{keys}{$3} = 1 if defined $case{$1} }
	}
	return;
}

# Run cases both ways. Returns those that a session had begun when it ended.
sub run_lanes
{
	my ($results, @cases) = @_;
	my $log = -s $node->logfile;
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
	add_keys($results, $log);
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

# '' or in what the keys differ that were asked for.
sub key_difference
{
	my ($case, $off, $on) = @_;
	my ($a, $b) = map { $_->{keys} // {} } $off, $on;
	my $failed = grep { join('', @{ $_->{errors} // [] }) =~ /^(?:ERROR|NOTICE:  .*caught)/m } $off, $on;

	return 'keys not asked for' if !$failed && !$case->{loose} && ($off->{plan} // '') !~ $drops && grep { !$b->{$_} } keys %$a;
	return 'more keys' if !$failed && $case->{kind} eq 'query' && ($on->{plan} // '') !~ $may_stop && grep { !$a->{$_} } keys %$b;
	return '';
}

sub states { return join(',', $_[0] =~ /^(?:ERROR|WARNING):  (\w{5}):/mg) }

# The same error, but of a row that was read ahead: so less has been done for the
# rows before it.
sub child_came_early
{
	my ($off, $on) = @_;
	my ($before, $after) = map { join('', @{ $_->{errors} // [] }) } $off, $on;
	my %before = map { $_ => 1 } split(/\n/, $before);

	return $after =~ /^ERROR/m && ($on->{plan} // '') =~ /ConcresceBatch/ && states($before) eq states($after)
	  && !grep { !$before{$_} } split(/\n/, $after);
}

# Without batch nodes an error is raised for what nobody reads: by Memoize, for
# its key, or for a row that a window drops.
sub computed_in_vain
{
	my ($off, $on) = @_;

	return ($off->{plan} // '') =~ /Cache Key|$drops/ && join('', @{ $off->{errors} // [] }) =~ /^ERROR/m
	  && join('', @{ $on->{errors} // [] }) !~ /^ERROR/m;
}

# A batch node that reads rows ahead of where it will stop, or of where a call
# of its own will fail, may come upon an error of what is below it. Such errors
# are raised by other batch nodes, or by what these have handed over.
sub came_early
{
	my ($case, $off, $on) = @_;
	my @states = join('', @{ $on->{errors} // [] }) =~ /(?:ERROR: |caught) +(22012|02000|21000|23514)\b/g;

	return 1 if child_came_early($off, $on) || computed_in_vain($off, $on);
	return $case->{fail} eq 'lookup' && @states > 0
	  && ($case->{early} || join('', @{ $off->{errors} // [] }) =~ /ERROR: |caught/)
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
		next if $case->{kind} eq 'copy' && grep { join('', @{ $_->{errors} }) =~ /^ERROR/m } $off, $on;
		next if ($off->{plan} // '') =~ $any_rows && ($a =~ tr/\n//) == ($b =~ tr/\n//);
		return 'rows' if $loose || ($off->{plan} // '') =~ $any_order ? sorted($a) ne sorted($b) : $a ne $b;
	}
	for my $i (0 .. $#{ $off->{errors} })
	{
		my ($a, $b) = map { $_->{errors}[$i] // '' } $off, $on;
		return 'errors' if $loose ? states($a) ne states($b) : $a ne $b;
	}
	foreach my $name (sort keys %{ $off->{probes} })
	{
		return $name if $off->{probes}{$name} ne ($on->{probes}{$name} // 'none') && !($loose && $case->{volatile});
	}
	return key_difference($case, $off, $on);
}

sub show
{
	my ($case, $result) = @_;

	diag("SEED=$seed ONLY=$case->{n} ($case->{kind}):");
	diag("\t$_;") foreach 'BEGIN', (map { "SET LOCAL $_" } settings($case)), @{ $case->{prepare} // [] },
	  @{ $case->{sql} };
	foreach my $way (@ways)
	{
		my $seen = $result->{$way} // {};
		my $plan = brief($seen->{plan});

		diag("enable_batchscan = $way:\n$plan" . join('-- ' . "\n", @{ $seen->{rows} // [] })
			  . join('', @{ $seen->{errors} // [] })
			  . join('', map { "$_: $seen->{probes}{$_}" } sort keys %{ $seen->{probes} // {} })
			  . "asked for: " . join(' ', sort keys %{ $seen->{keys} // {} }));
	}
	return;
}

# A case that differs, as short as it still differs in the same.
sub reduced
{
	my ($case, $what) = @_;
	my $n = 1_000_000;
	my $best = $case;

	foreach (1 .. 60)
	{
		my @shorter = map { { %$_, n => ++$n } } shorter($best);
		my $found;

		while (!$found && (my @some = splice(@shorter, 0, 100)))
		{
			my $results = run_cases(@some);

			($found) = grep { verdict($_, $results->{ $_->{n} }) eq $what } @some;
		}
		return $best unless $found;
		$best = $found;
	}
	return $best;
}

# ---- the test --------------------------------------------------------------

my $start = time;
my %tally = map { $_ => 0 } qw(batched rows errors exact early malformed slow parallel keys);
my %kinds;
my %took = map { $_ => {} } @ways;

# '' if both ways are the same.
sub verdict
{
	my ($case, $result) = @_;
	my ($off, $on) = map { $result->{$_} // {} } @ways;

	return 'crash' if $result->{crash};
	return '' if grep { /ERROR:  57014/ } map { @{ $_->{errors} // [] } } $off, $on;
	my $difference = difference($case, $off, $on);
	return $difference && came_early($case, $off, $on) ? '' : $difference;
}

sub count_case
{
	my ($case, $result) = @_;
	my ($off, $on) = map { $result->{$_} // {} } @ways;
	my $errors = join('', @{ $off->{errors} // [] });

	$took{$_}{ $case->{n} } = $result->{$_}{time} // 0 foreach @ways;
	if (grep { /ERROR:  57014/ } map { @{ $_->{errors} // [] } } $off, $on)
	{
		$tally{slow}++;
		return;
	}
	$tally{early}++ if difference($case, $off, $on) && came_early($case, $off, $on);
	$tally{batched}++, $kinds{ $case->{kind} }++ if ($on->{plan} // '') =~ /ConcresceBatch/;
	$tally{parallel}++ if ($on->{plan} // '') =~ /Gather.*ConcresceBatch/s;
	$tally{loops}++ if ($on->{plan} // '') =~ /Batched Loops/;
	$tally{rows}++ if join('', @{ $off->{rows} // [] }) =~ /\|/;
	$tally{errors}++ if $errors =~ /^ERROR|^NOTICE:  .*caught/m;
	$tally{malformed}++, note("case $case->{n}: $errors") if $errors =~ /ERROR:  (?:42(?!501)|0A)/;
	$tally{exact}++ if !$case->{loose} && shape($off->{plan} // '') eq shape($on->{plan} // '');
	$tally{keys}++ if ($on->{plan} // '') !~ $may_stop && $on->{keys} && $case->{kind} eq 'query';
	return;
}

my %reduced;
my @left = @numbers;
while (my @now = splice(@left, 0, $chunk))
{
	my @cases = map { make_case($seed, $_) } @now;
	my $results = run_cases(@cases);

	foreach my $case (@cases)
	{
		my $result = $results->{ $case->{n} } // {};
		my $verdict = verdict($case, $result);

		count_case($case, $result);
		next if is($verdict, '', "case $case->{n}: $case->{kind}");
		show($case, $result);
		if ($ENV{REDUCE} && $reduced{"$case->{kind} $verdict"}++ < $ENV{REDUCE})
		{
			my $short = reduced($case, $verdict);

			diag("reduced:");
			show($short, run_cases($short)->{ $short->{n} });
		}
	}
	note(scalar(@left) . ' cases left, after ' . (time - $start) . ' s') if @left;
}
my $done = @numbers;

note('both ways took ' . (time - $start) . ' s');
foreach my $way (@ways)
{
	my %time = %{ $took{$way} };
	my @slowest = (sort { $time{$b} <=> $time{$a} } keys %time)[ 0 .. 4 ];

	note(sprintf('%s: %d ms, the slowest %s', $way, sum(0, values %time),
			join(', ', map { defined ? "$_ ($time{$_})" : () } @slowest)));
}
note(join(', ', map { "$_ $tally{$_}" } sort keys %tally));

# What it was all about.
my %batches = map {
	my $way = $_;
	$way => sum(map { $node->safe_psql("${way}_$_", 'SELECT coalesce(sum(batches), 0) FROM concresce.stats') } 0 .. $lanes - 1);
} @ways;
note(join(', ', map { "$_: $batches{$_} foreign queries" } @ways));
note(join(', ', map { "$_ $kinds{$_}" } sort keys %kinds));
if (!$ENV{ONLY})
{
	cmp_ok($tally{batched}, '>', $done * 0.6, 'most have a batch node');
	cmp_ok($batches{on} * 2, '<', $batches{off}, 'it takes far fewer foreign queries');
	cmp_ok($tally{exact}, '>', $done * 0.6, 'most are compared exactly');
	cmp_ok($tally{rows}, '>', $done * 0.5, 'most have rows');
	cmp_ok($tally{errors}, '>', $done * 0.05, 'some fail');
	cmp_ok($tally{parallel}, '>', 0, 'some are parallel');
	cmp_ok($tally{loops}, '>', $done * 0.01, 'some have batched loops');
	cmp_ok($kinds{'parallel stop'} // 0, '>', 0, 'some of them stop early');
	cmp_ok($tally{keys}, '>', $done * 0.02, 'some are asked for exactly the same keys');
	cmp_ok($tally{early}, '<', $done * 0.05, 'few errors come early');
	cmp_ok($tally{slow}, '<', $done * 0.2, 'few take too long');
	cmp_ok($tally{malformed}, '<', $done * 0.05, 'few are refused by the parser');
}
is( join("\n", grep { /PANIC|terminated by signal|TRAP:|leak|not closed|not owned|ERROR:  XX|unexpected/ }
		split(/\n/, slurp_file($node->logfile))), '', 'nothing alarming in the log');
at_rest($node);

done_testing();
