# Sessions that make every kind of call at once, and whatever can go wrong
# meanwhile; after each round all faults end, and what was done is looked into.
#
# Run by scripts/chaos, which makes the clusters local, far1 and far2. It
# reads the environment: CHAOS_WORK (the folder of the run), CHAOS_BIN (the
# programs), SEED, SECONDS, SESSIONS, THINK (ms), ONLY (names of faults).

use strict;
use warnings FATAL => 'all';

use Fcntl qw(SEEK_SET);
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
my %children;

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
my %stopped;

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
	elsif ($line =~ /^finding (.*)/) { finding($1) }
	else { note($line) }
	return;
}

sub show_hang
{
	my ($pid) = @_;

	print ask('local', [
		"SELECT pid, backend_type, state, wait_event_type, wait_event, now() - query_start, left(query, 80) FROM pg_stat_activity WHERE pid = $pid OR backend_type LIKE 'concresce%'",
		"SELECT * FROM concresce.in_flight WHERE pid = $pid",
		'SELECT * FROM concresce.connections',
		'SELECT * FROM concresce.circuits',
		'SELECT * FROM concresce.memory()',
		'SELECT function, server, calls, active, queued, last_error FROM concresce.stats WHERE active + queued > 0' ], loud => 1);
	foreach my $process ($pid, pids('concresce collector'))
	{
		print "-- $process\n";
		system("gdb -p $process -batch -ex bt 2>/dev/null | grep '^#' | head -30");
	}
	return;
}

# ---- faults ----------------------------------------------------------------

# Which servers lead to a far server.
my %leads = (far1 => [qw(one four bad)], far2 => [qw(two three)]);
my $NET = '08001 08006 08007 57014';
my $SESSION = '57P01 LOST';
my @fars = qw(far1 far2);
my @places = qw(one two three here);

sub any { return $_[rand @_] }

# A fault: needs, what no other fault may use meanwhile; allow, pairs of a
# place and the SQLSTATEs that statements may fail with there; seconds, how
# long it lasts at most; begin and end.
my %faults;

sub fault
{
	my ($name, $weight, $make) = @_;

	$faults{$name} = { weight => $weight, make => $make };
	return;
}

# What a proxy does until it is told to let pass.
foreach my $f ([ silent => 4 ], [ mute => 4 ], [ hole => 2 ], [ refuse => 3 ], [ delay => 3, 150 ], [ dribble => 2 ], [ lottery => 6, 60 ])
{
	my ($action, $weight, $number) = @$f;

	fault("proxy $action", $weight, sub {
		my $place = any('one', 'two');
		# what was established before is not concerned, so that is ended first
		my $first = $action =~ /^(hole|refuse)$/ ? 'close' : undef;

		return {
			needs => "proxy $place",
			what => $place,
			allow => [ $place => $NET ],
			seconds => 8,
			begin => sub {
				order_proxy("$place $action " . ($number // 0));
				order_proxy("$place $first") if $first;
			},
			end => sub {
				order_proxy("$place pass");
				# what a lottery has muted would stay so
				order_proxy("$place reset") if $action eq 'lottery';
			} };
	});
}
foreach my $action (qw(reset close half truncate))
{
	fault("proxy $action", 3, sub {
		my $place = any('one', 'two');

		return {
			needs => "proxy $place",
			what => $place,
			allow => [ $place => $NET ],
			begin => sub { order_proxy("$place $action") } };
	});
}

sub of_far
{
	my ($far, $states) = @_;

	return [ map { ($_ => $states) } @{ $leads{$far} } ];
}

fault('far server down', 3, sub {
	my $far = any(@fars);

	return {
		needs => $far, what => $far, seconds => 6,
		allow => of_far($far, "$NET 57P01 57P02 57P03"),
		begin => sub { pg_ctl($far, '-m', any(qw(immediate fast)), 'stop') },
		end => sub { start($far) or finding("$far does not start") } };
});
fault('far sessions terminated', 4, sub {
	my $far = any(@fars);

	return {
		needs => $far, what => $far,
		allow => of_far($far, "08001 08006 08007 57P01 57014"),
		begin => sub { ask($far, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE 'reader%'") } };
});
fault('far queries cancelled', 2, sub {
	my $far = any(@fars);

	return {
		needs => $far, what => $far,
		allow => of_far($far, '57014'),
		begin => sub { ask($far, "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename LIKE 'reader%'") } };
});

# A setting of a far server, and what it makes fail.
foreach my $f ([ 'far server read-only', 3, default_transaction_read_only => 'on', '25006' ],
	[ 'far statement_timeout', 3, statement_timeout => '15ms', '57014' ],
	[ 'far lock_timeout', 1, lock_timeout => '1ms', '55P03' ],
	[ 'far idle sessions ended', 2, idle_session_timeout => '10ms', '08006 08007 57P05 08001' ])
{
	my ($name, $weight, $setting, $value, $states) = @$f;

	fault($name, $weight, sub {
		my $far = any(@fars);

		return {
			needs => $far, what => $far, seconds => 6,
			allow => of_far($far, "$states 57014"),
			begin => sub { configure($far, $setting => $value) },
			end => sub { configure($far, $setting => undef) } };
	});
}
fault('far table locked', 4, sub {
	my $far = any(@fars);
	my $table = any(qw(events writes items));
	my $locker;

	return {
		needs => $far, what => "$far $table", seconds => 7,
		allow => of_far($far, '57014'),
		begin => sub {
			$locker = fork() // die "fork: $!";
			if ($locker == 0)
			{
				open STDOUT, '>', '/dev/null';
				open STDERR, '>', '/dev/null';
				exec(psql($far), '-c', "BEGIN; LOCK TABLE $table; SELECT pg_sleep(20)") or POSIX::_exit(127);
			}
			$children{$locker} = 'psql';
		},
		end => sub {
			ask($far, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%LOCK TABLE%' AND pid <> pg_backend_pid()");
			waitpid($locker, 0);
			delete $children{$locker};
		} };
});
fault('far password changed', 2, sub {
	my $far = any(@fars);

	return {
		needs => $far, what => $far, seconds => 4,
		allow => of_far($far, "$NET 28P01 57P01"),
		begin => sub {
			ask($far, [ "ALTER ROLE reader PASSWORD 'other'", "ALTER ROLE reader2 PASSWORD 'other'",
					"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE 'reader%'" ]);
		},
		end => sub { ask($far, [ "ALTER ROLE reader PASSWORD 'secret'", "ALTER ROLE reader2 PASSWORD 'secret'" ]) } };
});
fault('far connection limit', 2, sub {
	my $far = any(@fars);

	return {
		needs => $far, what => $far, seconds => 5,
		allow => of_far($far, "$NET 53300 57P01"),
		begin => sub {
			ask($far, [ 'ALTER ROLE reader CONNECTION LIMIT 1', 'ALTER ROLE reader2 CONNECTION LIMIT 1',
					"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE 'reader%' AND random() < 0.5" ]);
		},
		end => sub { ask($far, [ 'ALTER ROLE reader CONNECTION LIMIT -1', 'ALTER ROLE reader2 CONNECTION LIMIT -1' ]) } };
});
fault('far table altered', 3, sub {
	my $far = any(@fars);

	return {
		needs => $far, what => $far, seconds => 3,
		allow => of_far($far, '57014'),
		begin => sub {
			ask($far, any('ALTER TABLE items ALTER v TYPE varchar', 'ALTER TABLE items ADD more int',
					'ALTER TABLE who ALTER name TYPE varchar(50)', 'ALTER TABLE events ADD more int'));
		},
		end => sub {
			ask($far, [ 'ALTER TABLE items ALTER v TYPE text, DROP COLUMN IF EXISTS more',
					'ALTER TABLE who ALTER name TYPE text', 'ALTER TABLE events DROP COLUMN IF EXISTS more' ]);
		} };
});

fault('far server crashed', 1, sub {
	my $far = any(@fars);

	return {
		needs => $far, what => $far,
		allow => of_far($far, "$NET 57P01 57P02 57P03"),
		begin => sub {
			my $pid = ask($far, "SELECT pid FROM pg_stat_activity WHERE usename LIKE 'reader%' LIMIT 1");

			kill KILL => $pid if $pid;
			poll($far, 'SELECT true', 30) or finding("$far does not come back");
		} };
});
fault('far sessions stopped', 3, sub {
	my $far = any(@fars);
	my @pids;

	return {
		needs => $far, what => $far, seconds => 5,
		allow => of_far($far, '57014'),
		begin => sub {
			@pids = split /\n/, ask($far, "SELECT pid FROM pg_stat_activity WHERE usename LIKE 'reader%' AND random() < 0.5") // '';
			stop(@pids);
		},
		end => sub { go_on(@pids) } };
});

# ---- faults of the server under test ---------------------------------------

fault('collector terminated', 2, sub {
	return {
		needs => 'collector',
		allow => [ '*' => '57000 08007' ],
		begin => sub { my @pids = pids('concresce collector'); kill TERM => any(@pids) if @pids } };
});
fault('collector asked to cancel', 1, sub {
	return {
		needs => 'collector',
		allow => [],
		begin => sub { kill INT => pids('concresce collector') } };
});
fault('collector stopped', 2, sub {
	my @pids;

	return {
		needs => 'collector', seconds => 4,
		# whoever leaves meanwhile still comes back at once
		allow => [ '*' => '57014' ],
		begin => sub { @pids = pids('concresce collector'); stop(@pids) },
		end => sub { go_on(@pids) } };
});
fault('executors terminated', 3, sub {
	return {
		needs => 'executors',
		allow => [ here => '57000 08007' ],
		begin => sub { kill TERM => pids('concresce executor') } };
});
fault('executors cancelled', 2, sub {
	return {
		needs => 'executors',
		allow => [ here => '57014' ],
		begin => sub { kill INT => pids('concresce executor') } };
});
fault('sessions terminated', 3, sub {
	return {
		needs => 'sessions',
		allow => [ '*' => $SESSION ],
		begin => sub { ask('local', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app' AND random() < 0.2") } };
});
fault('sessions cancelled', 3, sub {
	return {
		needs => 'sessions',
		allow => [ '*' => '57014' ],
		begin => sub { ask('local', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = 'app' AND random() < 0.3") } };
});
fault('sessions stopped', 2, sub {
	my @pids;

	return {
		needs => 'sessions', seconds => 3,
		# they may hold a lock, or have the turn
		allow => [ '*' => '57014' ],
		begin => sub {
			@pids = split /\n/, ask('local', "SELECT pid FROM pg_stat_activity WHERE usename = 'app' AND random() < 0.05") // '';
			stop(@pids);
		},
		end => sub { go_on(@pids) } };
});
fault('executors stopped', 2, sub {
	my @pids;

	return {
		needs => 'executors', seconds => 4,
		allow => [ here => '57014' ],
		begin => sub { @pids = pids('concresce executor'); stop(@pids) },
		end => sub { go_on(@pids) } };
});

# What a collector may have of the kernel: its soft limit, for a while.
sub limited
{
	my ($name, $weight, $limit, $states, $value) = @_;

	fault($name, $weight, sub {
		my @pids;

		return {
			needs => "limit of $limit", seconds => 4,
			allow => [ '*' => $states ],
			begin => sub {
				@pids = map { [ $_, get_limit($_, $limit) ] } pids('concresce collector');
				set_limit($_->[0], $limit, $value->($_->[0])) foreach @pids;
			},
			end => sub { set_limit($_->[0], $limit, $_->[1]) foreach @pids } };
	});
	return;
}

sub get_limit
{
	my ($pid, $limit) = @_;

	my $value = qx(prlimit --pid $pid --$limit --noheadings --output SOFT 2>/dev/null);
	chomp $value;
	return $value;
}

sub set_limit
{
	my ($pid, $limit, $value) = @_;

	system("prlimit --pid $pid --$limit=$value: 2>/dev/null") if $value ne '';
	return;
}
limited('descriptors are short', 2, 'nofile', '08001 57014', sub { of_process($_[0])->{fds} + int rand 5 });
limited('memory is short', 1, 'data', '53200 54000 08001 08006 08007 57000 57014 XX000', sub {
	my ($kb) = map { /^VmData:\s+(\d+)/ ? $1 : () } lines_of("/proc/$_[0]/status");

	return (($kb // 0) + 500) * 1024;
});
fault('server dropped', 2, sub {
	return {
		needs => 'server four', seconds => 2,
		allow => [ four => '42704 42501 57014' ],
		begin => sub { ask('local', 'DROP SERVER four CASCADE') // finding('a server cannot be dropped') },
		end => sub { ask('local', 'CALL make_server_four()') // finding('a server cannot be made') } };
});
fault('server altered', 3, sub {
	my $place = any(qw(one two three));

	return {
		needs => "server $place", what => $place, seconds => 4, allow => [],
		begin => sub {
			ask('local', "ALTER SERVER $place OPTIONS (" . any("ADD application_name 'other'", "ADD keepalives_idle '50'",
					"SET connect_timeout '4'", "ADD options '-c work_mem=3MB'") . ')');
		},
		end => sub {
			ask('local', "ALTER SERVER $place OPTIONS (DROP $_)") foreach qw(application_name keepalives_idle options);
			ask('local', "ALTER SERVER $place OPTIONS (SET connect_timeout '3')");
		} };
});
fault('server that fails fast', 2, sub {
	my $place = any(qw(one two three));

	return {
		needs => "server $place", what => $place, seconds => 8, allow => [],
		begin => sub { ask('local', "ALTER SERVER $place OPTIONS (ADD fail_fast 'true')") },
		end => sub { ask('local', "ALTER SERVER $place OPTIONS (DROP fail_fast)") } };
});
fault('server with rates', 2, sub {
	my $place = any(qw(one two three));

	return {
		needs => "server $place", what => $place, seconds => 5,
		allow => [ $place => '57014' ],
		begin => sub { ask('local', "ALTER SERVER $place OPTIONS (ADD max_batches_per_second '20', ADD max_items_per_second '2000')") },
		end => sub { ask('local', "ALTER SERVER $place OPTIONS (DROP max_batches_per_second, DROP max_items_per_second)") } };
});
fault('user mapping altered', 2, sub {
	my $place = any(qw(one two three));

	return {
		needs => "mapping $place", what => $place, seconds => 4, allow => [],
		begin => sub { ask('local', "ALTER USER MAPPING FOR PUBLIC SERVER $place OPTIONS (SET user 'reader2')") },
		end => sub { ask('local', "ALTER USER MAPPING FOR PUBLIC SERVER $place OPTIONS (SET user 'reader')") } };
});
fault('lookups replaced', 3, sub {
	my $place = any(@places);

	return {
		needs => "lookups $place", what => $place, allow => [],
		begin => sub {
			ask('local', "CALL replace_lookups('$place', '" . any('/* a */', '/* b */', '') . "')");
		} };
});
fault('calls forgotten', 1, sub {
	return { needs => 'forget', allow => [], begin => sub { ask('local', 'SELECT concresce.forget_all()') } };
});
fault('lookup stopped', 2, sub {
	my $place = any(@places);
	my $lookup = any(qw(v sc slow ev));

	return {
		needs => "stop $place", what => "$place.$lookup", seconds => 3,
		allow => [ $place => '55000' ],
		begin => sub { ask('local', "SELECT concresce.stop('$place.$lookup')", timeout => 3) },
		end => sub { ask('local', "SELECT concresce.start('$place.$lookup')") // finding("$place.$lookup does not start again") } };
});
fault('lookup stopped by force', 2, sub {
	my $place = any(@places);
	my $lookup = any(qw(v slow ev_forced));

	return {
		needs => "stop $place", what => "$place.$lookup", seconds => 2,
		allow => [ $place => '55000 57014' ],
		begin => sub {
			defined ask('local', "SELECT concresce.stop('$place.$lookup', true)")
			  or finding("stop by force of $place.$lookup fails");
		},
		end => sub { ask('local', "SELECT concresce.start('$place.$lookup')") // finding("$place.$lookup does not start again") } };
});
fault('right revoked', 2, sub {
	my $place = any(@places);

	return {
		needs => "revoke $place", what => $place, seconds => 2,
		allow => [ '*' => '42501' ],
		begin => sub { ask('local', "REVOKE EXECUTE ON FUNCTION $place.ev_revoked FROM app_revoked") },
		end => sub { ask('local', "GRANT EXECUTE ON FUNCTION $place.ev_revoked TO app_revoked") } };
});

# Settings, and what they make fail.
foreach my $f ([ 'concresce.max_connections' => 1, '57014' ], [ 'concresce.max_connections' => 12, '' ],
	[ 'concresce.queue_size' => 100, '57014' ], [ 'concresce.idle_timeout' => '1s', '' ],
	[ 'concresce.max_lifetime' => '1s', '' ], [ 'concresce.collector_memory' => '64MB', '54000' ],
	[ 'concresce.max_local_workers' => 1, '57014' ], [ 'concresce.enqueue_timeout' => '200ms', '57014' ],
	[ 'concresce.max_attempts' => 3, '57014' ], [ 'concresce.log_min_duration' => '500ms', '' ])
{
	my ($setting, $value, $states) = @$f;

	fault("$setting = $value", 1, sub {
		return {
			needs => $setting, seconds => 6,
			allow => $states ? [ '*' => $states ] : [],
			begin => sub { configure('local', $setting => $value) },
			end => sub { configure('local', $setting => undef) } };
	});
}
fault('another database', 2, sub {
	return {
		needs => 'database',
		allow => [],
		begin => sub {
			ask('local', 'CREATE DATABASE other');
			ask('local', [ 'CREATE EXTENSION concresce', 'CREATE FUNCTION f(n int) RETURNS int LANGUAGE concresce AS $$ SELECT n $$',
					'SELECT f(n) FROM generate_series(1, 100) n', 'VACUUM' ], db => 'other');
			defined ask('local', 'DROP DATABASE other') or finding('a database cannot be dropped');
		} };
});

# ---- faults that end all processes, in rounds of their own ------------------

my $DOWN = 'CONN LOST 57P01 57P02 57P03 08001 08006 08007 57000 57014';
my %restarts = map { $_->[0] => { weight => $_->[1], make => $_->[2] } } (
	[ 'restart, fast' => 3, sub {
		return {
			allow => [ '*' => $DOWN ],
			begin => sub {
				my $from = time;

				go_on(keys %stopped);
				pg_ctl('local', '-m', 'fast', 'stop') or finding('a fast shutdown does not end');
				note(sprintf('the shutdown took %.1f s', time - $from));
				start('local') or finding('the server does not start');
			} };
	} ],
	[ 'restart, immediate' => 1, sub {
		return {
			allow => [ '*' => $DOWN ],
			begin => sub {
				go_on(keys %stopped);
				pg_ctl('local', '-m', 'immediate', 'stop');
				start('local') or finding('the server does not start');
			} };
	} ],
	(map {
		my $type = $_;
		[ "kill -9 of a $type" => 1, sub {
			return {
				allow => [ '*' => $DOWN ],
				begin => sub {
					my @pids = pids($type);

					go_on(keys %stopped);
					kill KILL => any(@pids) if @pids;
					poll('local', 'SELECT true', 30) or finding('the server does not come back');
				} };
		} ] } 'concresce collector', 'concresce executor', 'client backend'));

# ---- a round ---------------------------------------------------------------

my $nallowed = 0;
my @active;

sub begin_fault
{
	my ($name, $fault) = @_;
	my $f = $fault->{make}->();
	my @allow = @{ $f->{allow} };

	if ($f->{needs} && grep { ($_->{needs} // '') eq $f->{needs} } @active)
	{
		return;
	}
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
		elsif ($line =~ /PANIC|TRAP|Sanitizer|runtime error|cannot go on after an error|could not handle|terminated by signal (?!9)|WARNING:  (?!terminating|there is |"concresce|enqueued items of lookup|problem in|unexpected)/)
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
	check($ok, "round $round: gauges are 0 at rest, and what was enqueued has left",
		ask('local', [ 'SELECT * FROM concresce.memory()', 'SELECT * FROM concresce.in_flight', 'SELECT * FROM concresce.circuits',
				'SELECT * FROM concresce.connections',
				'SELECT function, server, calls, active, queued, last_error FROM concresce.stats WHERE active + queued > 0' ], loud => 1));
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
		'SELECT function, calls, hits, misses, errors, timeouts, cancelled FROM concresce.stats'
		  . ' WHERE calls < errors + timeouts + cancelled + active + queued OR hits + misses > calls OR discarded > errors');
	return if $restarted;
	note(ask('local', 'SELECT * FROM chaos.tally') // '');
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
	$log = read_log();
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
		last unless $paused;
	}
	if ($paused)
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
