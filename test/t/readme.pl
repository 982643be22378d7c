# The quick start of the README works as it stands: all of its statements are
# run as they are written there, as a superuser and as an ordinary role, on a
# server that asks for passwords and on one that does not.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Utils;
use Test::More;

my $readme = slurp_file("$FindBin::RealBin/../../README.md");
my ($first_page) = $readme =~ /^## Quick start\n(.*?)^## /ms;
my ($setup, @rest) = $first_page =~ /^```sql\n(.*?)^```$/msg;

cmp_ok(scalar @rest, '>=', 5, 'there is a quick start');
like($setup, qr/CREATE EXTENSION concresce/, 'that begins with the set-up');

# The first screen: its figures and its picture are of one file, which a
# benchmark has made, and its lookup is the one that is tried below.
sub first_screen
{
	my $top = "$FindBin::RealBin/../..";
	my @lines = split(/\n/, slurp_file("$top/doc/img/n-plus-1.csv"));
	my ($function) = $first_page =~ /^(CREATE FUNCTION user_score.*?;\n)/ms;

	is(scalar @lines, 5, 'five ways');
	foreach my $line (@lines)
	{
		my ($label, $value) = split(/,/, $line);
		my $figure = sprintf($value < 100 ? '%.1f' : '%.0f', $value);

		like($readme, qr/^\| \**\Q$label\E\** \| \**\Q$figure\E\** \|$/m, "figure: $label");
	}
	foreach my $theme ('light', 'dark')
	{
		my ($drawn) = run_command([ "$top/test/bench/chart", $theme, "$top/doc/img/n-plus-1.csv" ]);
		is("$drawn\n", slurp_file("$top/doc/img/n-plus-1-$theme.svg"), "picture: $theme");
	}
	is(scalar(() = $readme =~ /\Q$function\E/g), 2, 'the lookup is shown, and tried');
	return;
}

first_screen();

# What psql prints for the statements, as if they were pasted.
sub paste
{
	my ($node, $sql, %as) = @_;
	my $connstr = "host=127.0.0.1 port=" . $node->port . " dbname=$as{db} user=$as{user}";
	my ($out, $err);
	local $ENV{PGPASSWORD} = $as{password} if $as{password};

	IPC::Run::run([ $node->installed_command('psql'), '-XAt', '-v', 'ON_ERROR_STOP=1', '-d', $connstr ],
		'<', \$sql, '>', \$out, '2>', \$err, IPC::Run::timeout($Concresce::LIMIT));
	is($err, '', "no error as $as{user}");
	return $out;
}

# Each of the README's blocks in a session of its own would do, too.
sub quick_start
{
	my ($node, %as) = @_;
	my $out = paste($node, join('', @rest), db => 'shop', %as);

	like($out, qr/^1\|480$/m, 'a score of the other database');
	like($out, qr/^Custom Scan \(ConcresceBatch\).*rows=100000/m, 'a batch node');
	like($out, qr/^user_score\(bigint\)\|\d+\|\d+\|\d{1,3}\|\d+\|0$/m, 'far fewer foreign queries than rows');
	like($out, qr/^\{598,433\}$/m, 'two at once, asynchronously');
	like($out, qr/^\{"orders": 1111\}$/m, 'a report, made in the background');
	like($node->safe_psql('crm', 'TABLE events'), qr/^paid\|\{"cart": 42\}$/, 'an event has arrived');
	$node->safe_psql('crm', 'DELETE FROM events');
	return;
}

foreach my $method ('scram-sha-256', 'trust')
{
	my $node = start_node($method, extension => 0);

	$node->safe_psql('postgres', q{CREATE ROLE boss SUPERUSER LOGIN PASSWORD 'boss'});
	unlink($node->data_dir . '/pg_hba.conf');
	$node->append_conf('pg_hba.conf', "local all all trust\nhost all all 127.0.0.1/32 $method");
	$node->reload;
	note($method);
	paste($node, $setup, db => 'postgres', user => 'boss', password => 'boss');
	quick_start($node, user => 'boss', password => 'boss');
	quick_start($node, user => 'app', password => 'secret');
	$node->stop;
}

done_testing();
