# The recipes work as they stand: all blocks of the cookbook are run from its
# own text, and print what is shown there; in order, and then each recipe by
# itself with nothing but the set-up. Recipes whose extensions or programs are
# not installed are left out.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use Documents;
use PostgreSQL::Test::Utils;
use Test::More;

my $PAGE = 'doc/cookbook.md';
my $HTTP = 'HTTP: one request for all keys';
my $MYSQL = 'MySQL and MariaDB';
my $SESSIONS = 100;

my $node = start_strict_node('cookbook', conf => 'max_connections = 150');
my $folder = PostgreSQL::Test::Utils::tempdir;
my %child;

# The shell blocks are run by psql, which waits for them.
$ENV{PGHOST} = '127.0.0.1';
$ENV{PGPORT} = $node->port;
$ENV{PGUSER} = 'boss';
$ENV{PGPASSWORD} = 'boss';

# It ends with this test, or by itself after a while, whatever happens.
sub start
{
	my ($name, @command) = @_;

	$child{$name} = IPC::Run::start([ 'timeout', 900, @command ], '<', \undef, '>', "$folder/$name.out", '2>&1');
	return;
}

END
{
	local $?;
	foreach my $run (values %child)
	{
		$run->kill_kill(grace => 5);
	}
}

sub bail_out
{
	my ($what, $printed) = @_;

	diag($printed);
	BAIL_OUT($what);
	return;
}

# Until it answers, which is for it to say; or it has ended.
sub until_true
{
	my ($name, $code) = @_;
	my $deadline = time + $Concresce::LIMIT;

	until ($code->())
	{
		$child{$name}->pumpable && time < $deadline
		  or bail_out("$name does not answer", slurp_file("$folder/$name.out"));
		select(undef, undef, undef, 0.05);
	}
	return;
}

sub program
{
	my ($name) = @_;

	return (grep { -x } map { "$_/$name" } split(/:/, $ENV{PATH}), '/usr/sbin')[0];
}

sub extension
{
	my ($name) = @_;

	return $node->safe_psql('postgres', "SELECT count(*) FROM pg_available_extensions WHERE name = '$name'");
}

# ---- the recipes ---------------------------------------------------------------

my @blocks = blocks($PAGE, qw(sql sh python mysql));
my %python = map { $_->{section} => $_->{sql} } grep { $_->{language} eq 'python' } @blocks;
my %mysql = map { $_->{section} => $_->{sql} } grep { $_->{language} eq 'mysql' } @blocks;
my @sections = do { my %seen; grep { !$seen{$_}++ } map { $_->{section} } @blocks };
my %port = (8080 => PostgreSQL::Test::Cluster::get_free_port(), 3306 => PostgreSQL::Test::Cluster::get_free_port());

is($sections[0], 'Set-up', 'the first section with blocks');
is($sections[-1], 'Tidying up', 'the last one');
ok($python{$HTTP} && $mysql{$MYSQL}, 'the services are where this test expects them');

# The sessions are all there before the work is done, however slow the machine.
# Of the far side, whoever does it asks the near one.
my $gate = <<"EOF_SQL";
CREATE OR REPLACE FUNCTION hard_work() RETURNS void LANGUAGE plpgsql AS \$\$
BEGIN
	WHILE (SELECT count(*) FROM concresce.in_flight) < $SESSIONS LOOP
		PERFORM pg_sleep(0.01);
	END LOOP;
END \$\$;
EOF_SQL
my $far_gate = <<"EOF_SQL";
CREATE EXTENSION dblink;
CREATE OR REPLACE FUNCTION hard_work() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS \$\$
BEGIN
	WHILE (SELECT n FROM dblink('host=127.0.0.1 port=@{[$node->port]} dbname=cookbook user=boss password=boss',
		'SELECT count(*) FROM concresce.in_flight') AS d(n bigint)) < $SESSIONS LOOP
		PERFORM pg_sleep(0.01);
	END LOOP;
END \$\$;
EOF_SQL

sub stage
{
	my ($block) = @_;

	foreach my $port (keys %port)
	{
		$block->{sql} =~ s/\b$port\b/$port{$port}/g;
	}
	if ($block->{language} eq 'sh')
	{
		my $file = "$folder/" . ($block->{name} =~ /(\d+)\z/)[0] . '.sh';

		PostgreSQL::Test::Utils::append_to_file($file, "cd $folder\n$block->{sql}") unless -e $file;
		$block->{sql} = "\\! sh $file\n";
	}
	elsif ($block->{sql} =~ /FUNCTION hard_work/)
	{
		$block->{sql} =~ s/^(?=\\connect cookbook$)/$far_gate/m or $block->{sql} .= $gate;
	}
	return $block;
}

my @run = map { stage($_) } grep { $_->{language} =~ /^(?:sql|sh)$/ } @blocks;

sub of_section
{
	my ($section) = @_;

	return grep { $_->{section} eq $section } @run;
}

# ---- what they ask for ---------------------------------------------------------

my %missing;

sub start_prices
{
	my $python = program('python3');

	return 'the extension http is not installed' if !extension('http');
	return 'python3 is not installed' if !$python;
	append_to_file("$folder/prices.py", $python{$HTTP});
	start('prices', $python, "$folder/prices.py", $port{8080});
	until_true('prices', sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port{8080}) });
	return;
}

# A server that keeps a log of what it is asked. What it begins with is read
# before there are users, so these have to be read anew.
sub start_mariadb
{
	my $server = program('mariadbd');
	my $install = program('mariadb-install-db');
	my @options = ('--no-defaults', "--datadir=$folder/maria", '--skip-name-resolve');
	my ($in, $out) = "FLUSH PRIVILEGES;\n$mysql{$MYSQL}";

	return 'the extension mysql_fdw is not installed' if !extension('mysql_fdw');
	return 'MariaDB is not installed' if grep { !program($_) } qw(mariadbd mariadb-install-db my_print_defaults);
	IPC::Run::run([ $install, @options, '--force', '--skip-test-db' ], '<', \undef, '>', \$out, '2>&1')
	  or bail_out('mariadb-install-db', $out);
	IPC::Run::run([ $server, @options, '--bootstrap' ], '<', \$in, '>', \$out, '2>&1') or bail_out('mariadbd', $out);
	start('mariadbd', $server, @options, '--bind-address=127.0.0.1', "--port=$port{3306}", "--socket=$folder/maria.sock",
		'--general-log=1', "--general-log-file=$folder/general.log");
	until_true('mariadbd', sub { slurp_file("$folder/mariadbd.out") =~ /ready for connections/ });
	return;
}

# Versions of mysql_fdw differ in that.
sub unspaced { return $_[0] =~ s/ //gr }

# ---- in order --------------------------------------------------------------------

$missing{$HTTP} = start_prices();
$missing{$MYSQL} = start_mariadb();
foreach my $section (grep { $missing{$_} } @sections)
{
	SKIP: { skip("$section: $missing{$section}", 1) }
}
@sections = grep { !$missing{$_} } @sections;
note('in order');
paste($node, 'postgres', map { of_section($_) } @sections);

if (!$missing{$MYSQL})
{
	my $page = slurp_file("$FindBin::RealBin/../../$PAGE");
	my @shown = map { unspaced($_) } $page =~ /^```\n(SELECT `.*?)\n```$/msg;
	my @asked = map { unspaced($_) } slurp_file("$folder/general.log") =~ /\bExecute\t(SELECT .*)$/mg;

	is(scalar @shown, 2, 'statements that MariaDB is said to get');
	is(scalar @asked, 3, 'statements that it has got');
	is($asked[0], $shown[0], 'the first one');
	like($asked[1], qr/IN\(1,2,3,.*,49,50\)/, 'the second one has all keys');
	is($asked[2], $shown[1], 'that of the single form');
}

# ---- each by itself ----------------------------------------------------------------

my ($set_up, @recipes) = @sections;
my $tidying = pop @recipes;

note('each by itself, the last one first');
paste($node, 'postgres', of_section($set_up));
foreach my $section (reverse grep { $_ ne $HTTP } @recipes)
{
	paste($node, 'cookbook', of_section($section));
}
paste($node, 'postgres', of_section($tidying));
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_database WHERE datname LIKE 'cookbook%'"),
	'0', 'everything is tidied up');

done_testing();
