# What can go wrong: the faults of nemesis.pl, whose functions they use.

use strict;
use warnings FATAL => 'all';

use POSIX ();
use Time::HiRes qw(sleep time);

our (%faults, %restarts, %children, %stopped, @fars, @places);

# ---- faults ----------------------------------------------------------------

# Which servers lead to a far server.
my %leads = (far1 => [qw(one four bad)], far2 => [qw(two three)]);
my $NET = '08001 08006 08007 57014';
my $SESSION = '57P01 LOST';

sub any { return $_[rand @_] }

# A fault: needs, what no other fault may use meanwhile; allow, pairs of a
# place and the SQLSTATEs that statements may fail with there; seconds, how
# long it lasts at most; begin and end.
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
		# whoever leaves meanwhile still comes back at once; and what it was
		# connecting to has not answered in time, as far as it can tell
		allow => [ '*' => '57014 08001' ],
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
		begin => sub { ask('local', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename = 'app' AND random() < 0.2") } };
});
fault('sessions cancelled', 3, sub {
	return {
		needs => 'sessions',
		allow => [ '*' => '57014' ],
		begin => sub { ask('local', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename = 'app' AND random() < 0.3") } };
});
fault('sessions stopped', 2, sub {
	my @pids;

	return {
		needs => 'sessions', seconds => 3,
		# they may hold a lock, or have the turn
		allow => [ '*' => '57014' ],
		begin => sub {
			@pids = split /\n/, ask('local', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename = 'app' AND random() < 0.05") // '';
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
	return { needs => 'forget', waits => 1, allow => [], begin => sub { ask('local', 'SELECT concresce.forget_all()') } };
});
fault('lookup stopped', 2, sub {
	my $place = any(@places);
	my $lookup = any(qw(v sc slow ev));

	return {
		needs => "stop $place", waits => 1, what => "$place.$lookup", seconds => 3,
		allow => [ $place => '55000' ],
		begin => sub { ask('local', "SELECT concresce.stop('$place.$lookup')", timeout => 3) },
		end => sub { ask('local', "SELECT concresce.start('$place.$lookup')") // finding("$place.$lookup does not start again") } };
});
fault('lookup stopped by force', 2, sub {
	my $place = any(@places);
	my $lookup = any(qw(v slow ev_forced));

	return {
		needs => "stop $place", waits => 1, what => "$place.$lookup", seconds => 2,
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

# PostgreSQL's own: a session that is cancelled at the moment when all processes
# are told to close their files attends to the cancel alone, and to the rest with
# its next interrupt.  So each one is given another.
sub drop_other
{
	return 1 if defined ask('local', 'DROP DATABASE other');
	ask('local', 'SELECT count(pg_log_backend_memory_contexts(pid)) FROM pg_stat_activity');
	return poll('local', q{SELECT count(*) = 0 FROM pg_database WHERE datname = 'other'}, 10);
}

fault('another database', 2, sub {
	return {
		needs => 'database', waits => 1,
		allow => [],
		begin => sub {
			ask('local', 'CREATE DATABASE other');
			ask('local', [ 'CREATE EXTENSION concresce', 'CREATE FUNCTION f(n int) RETURNS int LANGUAGE concresce AS $$ SELECT n $$',
					'SELECT f(n) FROM generate_series(1, 100) n', 'VACUUM' ], db => 'other');
			drop_other() or finding('a database cannot be dropped');
		} };
});

# ---- faults that end all processes, in rounds of their own ------------------

my $DOWN = 'CONN LOST 57P01 57P02 57P03 08001 08006 08007 57000 57014';
%restarts = map { $_->[0] => { weight => $_->[1], make => $_->[2] } } (
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

1;
