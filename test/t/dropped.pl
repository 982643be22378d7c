# A server is dropped and made anew, in one transaction, again and again while
# sessions look it up: it is there at each moment, so nobody misses it, nor its
# user mapping.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('local');
my $closed = closed_port();
my $make = "CREATE SERVER four FOREIGN DATA WRAPPER concresce OPTIONS (host '127.0.0.1', port '$closed', dbname 'none');
	CREATE USER MAPPING FOR PUBLIC SERVER four OPTIONS (user 'nobody', password 'none')";

$node->safe_psql('postgres', <<"EOF_SQL");
$make;
CREATE FUNCTION looked_up(k int) RETURNS int LANGUAGE concresce STABLE
SET concresce.server = 'four' SET concresce.fail_fast = on AS 'SELECT k';
CREATE TABLE done (at timestamptz);
CREATE PROCEDURE replace() LANGUAGE plpgsql AS \$\$
BEGIN
	WHILE NOT EXISTS (SELECT FROM done) LOOP
		DROP SERVER four CASCADE;
		$make;
		COMMIT;
	END LOOP;
END \$\$;
EOF_SQL

# Each call is of a session that knows nothing of the catalog yet.  A script is a
# file, since what is to be read from here comes only once we wait for the end.
my $dir = PostgreSQL::Test::Utils::tempdir;
my $n = 0;

sub start_psql
{
	my ($script) = @_;
	my %psql = (out => '', err => '');
	my $file = "$dir/" . $n++ . '.sql';

	append_to_file($file, $script);
	$psql{run} = IPC::Run::start(
		[ $node->installed_command('psql'), '-XAt', '-v', 'VERBOSITY=sqlstate', '-d', $node->connstr('postgres'), '-f', $file ],
		'<', \undef, '>', \$psql{out}, '2>', \$psql{err}, IPC::Run::timeout($Concresce::LIMIT));
	return \%psql;
}

my $replacing = start_psql("SET client_min_messages = warning; CALL replace()\n");
my @callers = map { start_psql("\\c\nSELECT looked_up(1);\n" x 150) } 1 .. 6;
my %states;

foreach my $caller (@callers)
{
	$caller->{run}->finish;
	$states{$_}++ foreach $caller->{err} =~ /(?:ERROR|FATAL):  (\w+)/g;
}
$node->safe_psql('postgres', 'INSERT INTO done VALUES (now())');
$replacing->{run}->finish;
is($replacing->{err}, '', 'the server was replaced');
is_deeply([ keys %states ], ['08001'], 'no call misses it') or diag(explain(\%states));
is($states{'08001'}, 900, 'each has tried to connect');

done_testing();
