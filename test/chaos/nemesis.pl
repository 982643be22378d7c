# Sessions that make every kind of call at once, and whatever can go wrong
# meanwhile; after each round all faults end, and what was done is looked into.
#
# Run by scripts/chaos, which makes the clusters local, far1 and far2. It
# reads the environment: CHAOS_WORK (the folder of the run), CHAOS_BIN (the
# programs), SEED, SECONDS, SESSIONS, THINK (ms), ONLY (names of faults), KEEP (end
# where something is left at rest).

use strict;
use warnings FATAL => 'all';

use Fcntl qw(SEEK_SET);
use FindBin;
use IO::Select;
use IPC::Open2;
use POSIX ();
use Time::HiRes qw(sleep time);

my $work = $ENV{CHAOS_WORK};
my $bin = $ENV{CHAOS_BIN};
my $seed = $ENV{SEED};
my $seconds = $ENV{SECONDS};
my $nsessions = $ENV{SESSIONS};
my $think = $ENV{THINK};
my $deadline_rest = 90;
my %port;
my $started = time;

$| = 1;
srand $seed;
local $SIG{PIPE} = 'IGNORE';

my ($passed, $failed) = (0, 0);
my ($ncalls, $nstatements, $nfailed) = (0, 0, 0);
my %injected;
my $findings = 0;
# Whatever this program has started, by process id.
our %children;
our @fars = qw(far1 far2);
our @places = qw(one two three here);

sub note { printf "%6.1f  %s\n", time - $started, join('', @_); return }

sub check
{
	my ($ok, $name, $detail) = @_;

	print $ok ? 'ok' : 'not ok', " - $name\n";
	$ok ? $passed++ : $failed++;
	print map { "#   $_\n" } split /\n/, $detail if !$ok && defined $detail;
	return $ok;
}

sub finding
{
	my ($text) = @_;

	$findings++;
	note("FINDING $text");
	return;
}

# ---- servers ---------------------------------------------------------------

sub lines_of
{
	my ($file) = @_;

	open my $handle, '<', $file or return;
	my @lines = <$handle>;
	close $handle;
	return @lines;
}

sub psql
{
	my ($name, %o) = @_;

	# what faults make of a far server's settings is not for the nemesis
	return ('env', 'PGOPTIONS=-c idle_session_timeout=0 -c statement_timeout=0 -c lock_timeout=0 -c default_transaction_read_only=off',
		'timeout', $o{timeout} // 30, 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1',
		'-h', "$work/$name", '-p', $port{$name}, '-U', 'postgres', '-d', $o{db} // 'postgres');
}

# The output of one or more statements, each in its own transaction; undef if
# one fails.
sub ask
{
	my ($name, $sql, %o) = @_;
	my @sql = ref $sql ? @$sql : ($sql);

	# The statements may fail for what the nemesis has done itself.
	my $pid = open(my $out, '-|') // die "fork: $!";
	if ($pid == 0)
	{
		open STDERR, $o{loud} ? '>&STDOUT' : '>/dev/null';
		exec(psql($name, %o), map { ('-c', $_) } @sql) or POSIX::_exit(127);
	}
	my $text = do { local $/; <$out> } // '';
	close $out or return $o{loud} ? $text : undef;
	chomp $text;
	return $text;
}

sub must
{
	my ($name, $sql, %o) = @_;

	return ask($name, $sql, %o) // die "failed on $name: " . ask($name, $sql, %o, loud => 1);
}

# Until it is true, or the time is over.
sub poll
{
	my ($name, $sql, $limit) = @_;
	my $end = time + $limit;

	while (time < $end)
	{
		return 1 if (ask($name, $sql) // '') eq 't';
		sleep 0.3;
	}
	return 0;
}

sub pg_ctl
{
	my ($name, @what) = @_;

	return system('timeout', '120', 'pg_ctl', '-s', '-w', '-D', "$work/$name/data",
		'-l', "$work/$name/log", @what) == 0;
}

sub start { return pg_ctl($_[0], '-o', "-p $port{$_[0]}", 'start') }

sub configure
{
	my ($name, %settings) = @_;

	defined ask($name,
		[ (map { defined $settings{$_} ? "ALTER SYSTEM SET $_ = '$settings{$_}'" : "ALTER SYSTEM RESET $_" } keys %settings),
			'SELECT pg_reload_conf()' ])
	  or finding("the settings of $name cannot be altered");
	return;
}

sub pids
{
	my ($type) = @_;

	return split /\n/, ask('local', "SELECT pid FROM pg_stat_activity WHERE backend_type = '$type'") // '';
}

# Processes that are stopped. None of them must be when the server is shut down.
our %stopped;

sub stop
{
	kill STOP => @_;
	@stopped{@_} = ();
	return;
}

sub go_on
{
	kill CONT => @_;
	delete @stopped{@_};
	return;
}

# ---- the sessions and the proxy --------------------------------------------

my ($to_sessions, $from_sessions, $to_proxy, $from_proxy);
my $heard = '';
my $paused;
my $kept = 0;					# something is to be looked into

sub spawn
{
	my (@command) = @_;
	my $pid = open2(my $out, my $in, @command);

	$in->autoflush(1);
	$children{$pid} = $command[0];
	return ($in, $out);
}

sub order { print $to_sessions "$_[0]\n"; return }
sub order_proxy { print $to_proxy "$_[0]\n"; return }

# What the sessions have to say, for so many seconds.
sub listen_for
{
	my ($limit) = @_;
	my $end = time + $limit;
	my $select = IO::Select->new($from_sessions);

	do
	{
		my $left = $end - time;

		if ($select->can_read($left > 0 ? $left : 0))
		{
			sysread($from_sessions, $heard, 65536, length $heard) or die 'the sessions have ended';
			while ($heard =~ s/^(.*)\n//)
			{
				hear($1);
			}
		}
	} while (time < $end && !$paused);
	return;
}

sub hear
{
	my ($line) = @_;

	if ($line =~ /^paused (\d+) (\d+) (\d+)/)
	{
		$paused = 1;
		($ncalls, $nstatements, $nfailed) = ($1, $2, $3);
	}
	elsif ($line =~ /^hang (\d+) (.*)/)
	{
		finding($line);
		show_hang($1);
	}
	elsif ($line =~ /^slow (\d+) (.*)/)
	{
		note($line);
		show_waits($1);
	}
	elsif ($line =~ /^finding (.*)/) { finding($1) }
	else { note($line) }
	return;
}

my $nshown = 0;

sub show_waits
{
	my ($pid) = @_;

	return if $nshown++ >= 20;
	print ask('local', [
		"SELECT pid, backend_type, state, wait_event_type, wait_event, now() - query_start, left(query, 80) FROM pg_stat_activity WHERE pid = $pid OR backend_type LIKE 'concresce%'",
		"SELECT * FROM concresce.in_flight WHERE pid = $pid",
		'SELECT * FROM concresce.connections',
		'SELECT * FROM concresce.circuits',
		'SELECT * FROM concresce.memory()',
		'SELECT function, server, calls, active, queued, last_error FROM concresce.stats WHERE active + queued > 0' ], loud => 1);
	print ask($_, "SELECT pid, state, wait_event_type, wait_event, now() - query_start, left(query, 80) FROM pg_stat_activity WHERE usename LIKE 'reader%' AND state <> 'idle'", loud => 1)
	  foreach @fars;
	return;
}

sub show_hang
{
	my ($pid) = @_;

	show_waits($pid);
	foreach my $process ($pid, pids('concresce collector'))
	{
		print "-- $process\n";
		system("gdb -p $process -batch -ex bt 2>/dev/null | grep '^#' | head -30");
	}
	return;
}

# ---- a round ---------------------------------------------------------------

our (%faults, %restarts);
require "$FindBin::RealBin/faults.pl";

my $nallowed = 0;
my @active;

sub begin_fault
{
	my ($name, $fault) = @_;
	my $f = $fault->{make}->();
	my @allow = @{ $f->{allow} };

	return if $f->{needs} && grep { ($_->{needs} // '') eq $f->{needs} } @active;

	# What waits for a process that is stopped would keep us from continuing it.
	return if $f->{waits} && %stopped;
	$f->{name} = $name . (defined $f->{what} ? ": $f->{what}" : '');
	$f->{ids} = [];
	while (my ($place, $states) = splice @allow, 0, 2)
	{
		my $id = 'a' . ++$nallowed;

		order("allow $id $place $states");
		push @{ $f->{ids} }, $id;
	}
	# The sessions must know before they feel it.
	sleep 0.02;
	$injected{$name}++;
	note("begin $f->{name}");
	$f->{begin}->();
	$f->{until} = $f->{seconds} ? time + 0.3 + rand $f->{seconds} : 0;
	push @active, $f;
	return;
}

sub end_faults
{
	my ($all) = @_;
	my @left;

	foreach my $f (@active)
	{
		if (!$all && $f->{until} > time)
		{
			push @left, $f;
			next;
		}
		if ($f->{end})
		{
			note("end   $f->{name}");
			$f->{end}->();
		}
		order("disallow $_") foreach @{ $f->{ids} };
	}
	@active = @left;
	return;
}

sub some_fault
{
	my ($faults) = @_;
	my @names = sort grep { !$ENV{ONLY} || /$ENV{ONLY}/ } keys %$faults;
	my $total = 0;

	$total += $faults->{$_}{weight} foreach @names;
	my $lot = rand $total;
	foreach my $name (@names)
	{
		$lot -= $faults->{$name}{weight};
		return $name if $lot < 0;
	}
	return;
}

sub play_round
{
	my ($length, $restarting) = @_;
	my $end = time + $length;
	my $next = time + 3;
	my $next_restart = time + 6;
	my $calm = time + 20;

	order('resume');
	undef $paused;
	while (time < $end)
	{
		listen_for(0.1);
		end_faults(0);
		if ($restarting && time > $next_restart)
		{
			my $name = some_fault(\%restarts);

			begin_fault($name, $restarts{$name}) if defined $name;
			$next_restart = time + 8 + rand 8;
		}
		if (time > $next && @active < 4)
		{
			my $name = some_fault(\%faults);

			begin_fault($name, $faults{$name}) if defined $name;
			$next = time + rand 1.2;
			if (time > $calm)
			{
				$calm = time + 20;
				$next = time + 5;
			}
		}
	}
	end_faults(1);
	return;
}

# ---- what is looked at after a round ---------------------------------------

my $log_at = 0;

# What the log says since it was last asked: items that are gone, and what
# must not be there.
sub read_log
{
	my ($restarted) = @_;
	# what the nemesis itself does is no finding
	my $killed = $restarted ? 9 : 'X';
	my %r = (named => {}, revoked => {}, forced => {}, shutdown => {}, lost => 0, odd => []);
	my $named;

	open my $log, '<', "$work/local/log" or die "log: $!";
	seek $log, $log_at, SEEK_SET;
	while (my $line = <$log>)
	{
		if ($line =~ /WARNING:  discarded an enqueued item of lookup (\S+?)\(/) { $named = $1 }
		elsif (defined $named && $line =~ /DETAIL:/)
		{
			$r{named}{$1} = $named if $line =~ /called with \('(\d+)'\)/;
			undef $named;
		}
		elsif ($line =~ /WARNING:  discarded (\d+) enqueued items of lookup (\S+?)\(/) { $r{revoked}{$2} += $1 }
		elsif ($line =~ /WARNING:  discarding all enqueued items of lookup (\S+?)\(/) { $r{forced}{$1}++ }
		elsif ($line =~ /WARNING:  (\d+) enqueued items of lookup (\S+?)\(.* are lost at shutdown/) { $r{shutdown}{$2} += $1 }
		elsif ($line =~ /WARNING:  (\d+) enqueued items are lost/) { $r{lost} += $1 }
		elsif ($injected{'memory is short'} && $line =~ /cannot go on after|out of memory|could not handle/) { }
		elsif ($line =~ /PANIC|TRAP|Sanitizer|runtime error|cannot go on after an error|could not handle|terminated by signal (?!$killed)|WARNING:  (?!terminating|there is |PID \d+ is not a PostgreSQL|could not open directory|some useless files|"concresce|enqueued items of lookup|problem in|unexpected)/)
		{
			push @{ $r{odd} }, $line;
		}
	}
	$log_at = tell $log;
	close $log;
	return \%r;
}

sub of_process
{
	my ($pid) = @_;
	my ($rss) = map { /^RssAnon:\s+(\d+)/ ? $1 : () } lines_of("/proc/$pid/status");
	my $fds = () = glob "/proc/$pid/fd/*";

	return { pid => $pid, rss => $rss // 0, fds => $fds };
}

# Rows that are not as they should be, one a line, at most some of them.
sub none
{
	my ($name, $sql) = @_;
	my $rows = ask('local', "$sql LIMIT 10", timeout => 120, loud => 1);

	return check(($rows // 'failed') eq '', $name, $rows);
}

# Who may have what is left, and what it is, if the library was built with
# CCR_TRACE_HEAP.
sub what_is_left
{
	my $left = ask('local', [ 'SELECT * FROM concresce.memory()', 'SELECT * FROM concresce.in_flight', 'SELECT * FROM concresce.circuits',
			'SELECT * FROM concresce.memory_use', 'SELECT * FROM concresce.enqueued',
			'SELECT function, server, calls, active, queued, last_error FROM concresce.stats WHERE active + queued > 0',
			'SELECT pid, usename, backend_type, state, wait_event_type, wait_event, now() - backend_start, now() - query_start, left(query, 100) FROM pg_stat_activity',
			'SELECT * FROM concresce.connections' ], loud => 1);
	my $blocks = ask('local', [ q{CREATE OR REPLACE FUNCTION chaos.heap_blocks() RETURNS text LANGUAGE C AS '$libdir/concresce', 'concresce_heap_blocks'},
			'SELECT chaos.heap_blocks()' ]);

	return $left . ($blocks // '');
}

sub rest
{
	my ($round) = @_;
	my $from = time;

	order("pause $work");
	undef $paused;
	listen_for(0.5) while !$paused && time - $from < 150;
	check($paused, "round $round: every statement has ended");
	return unless $paused;
	my $ok = poll('local', <<'EOF_SQL', $deadline_rest);
SELECT (SELECT used FROM concresce.memory()) = 0
	AND NOT EXISTS (SELECT FROM concresce.in_flight)
	AND NOT EXISTS (SELECT FROM concresce.circuits)
	AND coalesce((SELECT sum(active + queued) FROM concresce.stats), 0) = 0
EOF_SQL
	check($ok, "round $round: gauges are 0 at rest, and what was enqueued has left", $ok ? undef : what_is_left());
	$kept = 1 if !$ok && $ENV{KEEP};
	note(sprintf('at rest after %.1f s', time - $from));
	return;
}

sub load_files
{
	must('local', "TRUNCATE chaos.items, chaos.law, chaos.arrived, chaos.copies, chaos.named");
	system(psql('local'), '-c', "\\copy chaos.items FROM '$work/items'", '-c', "\\copy chaos.law FROM '$work/law'") == 0
	  or die 'the files of the sessions cannot be read';
	foreach my $name ('local', @fars)
	{
		my $command = join ' ', map { "'$_'" } psql($name, timeout => 120);
		my $into = join ' ', map { "'$_'" } psql('local', timeout => 120);

		foreach my $t ([ events => 'arrived (id, at)' ], [ writes => 'copies (id)' ])
		{
			my $columns = $t->[0] eq 'events' ? 'id, at' : 'id';

			system("$command -c 'COPY (SELECT $columns FROM public.$t->[0]) TO STDOUT' | $into -c 'COPY chaos.$t->[1] FROM STDIN'") == 0
			  or die "$t->[0] of $name cannot be read";
		}
	}
	return;
}

sub check_items
{
	my ($round, $log) = @_;

	load_files();
	if (%{ $log->{named} })
	{
		must('local', 'INSERT INTO chaos.named VALUES ' . join(', ', map { "($_)" } keys %{ $log->{named} }));
	}
	must('local', 'CALL chaos.prepare()', timeout => 300);
	none("round $round: what a session knows of its COMMITs is so", "SELECT * FROM chaos.misjudged");
	none("round $round: nothing has arrived that was rolled back", "SELECT * FROM chaos.ghosts");
	none("round $round: a flush has waited for all", "SELECT * FROM chaos.late");
	none("round $round: a write whose call was answered is there once, one that failed before it was sent is not",
		"SELECT * FROM chaos.miswritten");

	# what has not arrived, by lookup, and what the log says of it
	my %missing = map { split /\|/ } split /\n/, must('local', 'SELECT lookup, n FROM chaos.missing_by_lookup');
	my $unexplained = 0;
	foreach my $lookup (sort keys %missing)
	{
		my $told = ($log->{revoked}{$lookup} // 0) + ($log->{shutdown}{$lookup} // 0);
		my $more = $missing{$lookup} - $told;

		note("$missing{$lookup} items of $lookup have not arrived, the log tells of $told");

		if ($log->{forced}{$lookup})
		{
			my $discarded = $log->{restarted} ? $missing{$lookup} :
			  must('local', "SELECT coalesce(sum(discarded), 0) FROM concresce.stats WHERE function::text LIKE '$lookup(%'");

			$more -= $discarded;
		}
		$unexplained += $more if $more > 0;
	}
	note("$unexplained items have not arrived, the log tells of $log->{lost} that a crash took") if $log->{lost};
	check($unexplained <= $log->{lost}, "round $round: every committed item has arrived or was reported",
		"$unexplained items are missing; lost in crashes by the log: $log->{lost}\n"
		  . ask('local', 'SELECT * FROM chaos.missing LIMIT 20', loud => 1));
	note(ask('local', 'SELECT * FROM chaos.summary') // '');
	return;
}

sub check_law
{
	my ($round, $restarted) = @_;

	none("round $round: no more calls have ended than were made",
		'SELECT function, calls, coalesced, misses, errors, timeouts, cancelled FROM concresce.stats'
		  . ' WHERE calls < errors + timeouts + cancelled + active + queued OR coalesced + misses > calls OR discarded > errors');
	return if $restarted;
	note(ask('local', 'SELECT * FROM chaos.tally') // '');

	# with 256 rows a role gives up its oldest, and what it has counted
	note(ask('local', q{SELECT count(*) || ' rows of the statistics' FROM concresce.stats}) // '');
	none("round $round: as many calls were answered as the sessions know of", 'SELECT * FROM chaos.unlawful');
	none("round $round: as many items were counted as were committed", 'SELECT * FROM chaos.miscounted');
	return;
}

my %baseline;

sub check_process
{
	my ($round) = @_;

	foreach my $pid (pids('concresce collector'))
	{
		my $now = of_process($pid);
		my $before = $baseline{$pid} //= $now;

		note("collector $pid: $now->{rss} kB, $now->{fds} descriptors");
		check($now->{rss} - $before->{rss} < 24 * 1024, "round $round: memory of collector $pid is as it was",
			"$before->{rss} kB, now $now->{rss} kB");
		check($now->{fds} - $before->{fds} < 60, "round $round: descriptors of collector $pid are as they were",
			"$before->{fds}, now $now->{fds}");
	}
	return;
}

sub look_into
{
	my ($round, $restarted) = @_;
	my $log;

	rest($round);
	return unless $paused;
	$log = read_log($restarted);
	$log->{restarted} = $restarted;
	check(!@{ $log->{odd} }, "round $round: the log has nothing that must not be there", join('', @{ $log->{odd} }));
	check_items($round, $log);
	check_law($round, $restarted);
	check_process($round);
	must($_, 'TRUNCATE events, writes') foreach 'local', @fars;
	must('local', 'TRUNCATE committed');
	must('local', 'SELECT concresce.reset_stats()');
	return;
}

# ---- at the end ------------------------------------------------------------

# What a queue has lent is all there again: a transaction larger than the queue
# is let in only when it is empty, and so is a round of a batch node as large.
sub check_places
{
	must('local', [ 'ALTER SYSTEM SET concresce.queue_size = 100', 'SELECT pg_reload_conf()' ]);
	poll('local', "SELECT current_setting('concresce.queue_size') = '100'", 10);
	foreach my $place (@places)
	{
		my $ok = ask('local', [ "SET concresce.timeout = '15s'",
				"SELECT count(concresce.enqueue('$place.ev', -i)) FROM generate_series(1::bigint, 101) i",
				"SELECT concresce.flush('$place.ev', '20s')",
				'SET concresce.max_size = 100',
				"SELECT count($place.v(i)) FROM generate_series(1, 1000) i" ], loud => 1, timeout => 90);

		check($ok !~ /ERROR/, "all places in the queues of $place were given back", $ok);
	}
	must('local', [ 'ALTER SYSTEM RESET concresce.queue_size', 'SELECT pg_reload_conf()' ]);
	return;
}

# With no connection left, a collector has no more descriptors than in the
# beginning.
my %fresh;

sub check_descriptors
{
	must('local', [ "ALTER SYSTEM SET concresce.idle_timeout = '1s'", 'SELECT pg_reload_conf()' ]);
	check(poll('local', 'SELECT NOT EXISTS (SELECT FROM concresce.connections WHERE state <> \'closed\')', 30), 'idle connections are closed',
		ask('local', 'SELECT * FROM concresce.connections'));
	check(poll('local', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'concresce executor')", 30),
		'idle executors have ended');
	foreach my $pid (pids('concresce collector'))
	{
		my $now = of_process($pid);

		check($now->{fds} <= $fresh{fds} + 2, "descriptors of collector $pid are back", "$fresh{fds}, now $now->{fds}");
		note("collector $pid: $fresh{rss} kB at first, now $now->{rss} kB");
	}
	return;
}

# ---- all of it -------------------------------------------------------------

sub end_children
{
	foreach my $pid (keys %children)
	{
		kill TERM => $pid;
		kill CONT => $pid;
		waitpid $pid, 0;
	}
	%children = ();
	return;
}

sub main
{
	my $rounds = $seconds < 90 ? 2 : POSIX::ceil($seconds / ($seconds < 400 ? 40 : 60));

	foreach my $name ('local', @fars)
	{
		($port{$name}) = lines_of("$work/$name/port");
		chomp $port{$name};
	}
	($to_proxy, $from_proxy) = spawn("$bin/proxy", $seed, split ' ', $ENV{CHAOS_PROXIES});
	readline $from_proxy;
	order_proxy('bad garble 3000');
	($to_sessions, $from_sessions) = spawn("$bin/sessions",
		"host=$work/local port=$port{local} dbname=postgres user=app connect_timeout=20",
		$nsessions, $seed, $think);
	order('allow memory * 53200 54000') if $ENV{MEMORY} ne '64MB';
	my ($pid) = pids('concresce collector');
	%fresh = %{ of_process($pid) };

	foreach my $round (1 .. $rounds)
	{
		my $restarting = $round % 3 == 2;

		note("== round $round" . ($restarting ? ', with restarts' : ''));
		play_round($seconds / $rounds, $restarting);
		look_into($round, $restarting);
		last if !$paused || $kept;
	}
	if ($paused && !$kept)
	{
		check_places();
		check_descriptors();
	}
	order('quit');
	check($findings == 0, 'no finding', "$findings findings, see above");
	note("$ncalls calls in $nstatements statements, of which $nfailed failed as they may; faults:");
	note("    $injected{$_}  $_") foreach sort keys %injected;
	return;
}

eval { main(); 1 } or do { check(0, 'the program has come to its end', $@) };
end_children();
note("seed $seed");
print "$passed passed, $failed failed\n";
exit($failed ? 1 : 0);
