# Foreign connections over TLS: large results, which TLS may hold back in a
# buffer of its own, cancelling, and a certificate that is not trusted.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use Peers;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir;
my ($out, $err);
plan skip_all => 'openssl is not installed'
  unless eval {
	IPC::Run::run(
		[
			qw(openssl req -new -x509 -days 10 -nodes -subj /CN=localhost -newkey rsa:2048 -keyout),
			"$dir/key", '-out', "$dir/crt"
		], '<', \undef, '>', \$out, '2>', \$err);
  };
chmod 0600, "$dir/key";

my $far = start_node('far', extension => 0);
plan skip_all => 'PostgreSQL was built without TLS'
  if $far->safe_psql('postgres', 'SHOW ssl_library') eq '';
unlink($far->data_dir . '/pg_hba.conf');
$far->append_conf('pg_hba.conf', "local all all trust\nhostssl all all 127.0.0.1/32 trust");
$far->append_conf('postgresql.conf', "ssl = on\nssl_cert_file = '$dir/crt'\nssl_key_file = '$dir/key'");
$far->restart;
my $node = start_node('local');
make_far($node, $far, sslmode => 'require');
$node->safe_psql('postgres', define('far', 'big(n int)' => 'text STABLE' => "SELECT repeat('x', n)"));

sub server
{
	my ($name, %o) = @_;

	$node->safe_psql('postgres',
		"CREATE SERVER $name FOREIGN DATA WRAPPER concresce OPTIONS (" . far_options($far, %o)
		  . "); CREATE USER MAPPING FOR PUBLIC SERVER $name;"
		  . define($name, "v_$name(n int)" => 'text STABLE' => 'SELECT v FROM items WHERE id = n'));
	return;
}
server('trusted', host => 'localhost', sslmode => 'verify-full', sslrootcert => "$dir/crt");
server('distrusted', sslmode => 'verify-full', sslrootcert => "$dir/none");
server('other_name', sslmode => 'verify-full', sslrootcert => "$dir/crt");
server('plain', sslmode => 'disable');
server('either');

is(attempt($node, 'SELECT v(1)')->out, 'v1', 'sslmode = require');
is($far->safe_psql('postgres', q{SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
	WHERE application_name = 'concresce'}), 't', 'it is TLS indeed');
is(attempt($node, 'SELECT v_trusted(1)')->out, 'v1', 'verify-full with the right certificate');
is(attempt($node, 'SELECT v_either(1)')->out, 'v1', 'prefer');
foreach my $name (qw(distrusted other_name plain))
{
	is(attempt($node, "SELECT v_$name(1)")->sqlstate, $name eq 'plain' ? '28000' : '08001', "$name: no connection");
}

# Sizes around those of TLS records.
is(attempt($node, <<'EOF_SQL')->out, 'right', 'results of many sizes arrive whole');
DO $$
BEGIN
	FOR i IN 1 .. 60 LOOP
		IF length(big(16384 * i / 7 + i)) <> 16384 * i / 7 + i THEN
			RAISE 'wrong at %', i;
		END IF;
	END LOOP;
END $$;
SELECT 'right'
EOF_SQL
my @calls = finish_all(call_all($node, 8, 'SELECT length(big(1000000 + :i))', max_window => '1s'));
is(join(',', map { $_->out } @calls), join(',', map { 1000000 + $_ } 1 .. 8), 'large ones in one batch');
@calls = finish_all(call_all($node, 4, "SELECT sum(length(v(k))) FROM generate_series(1, 200) k"));
is(join(',', map { $_->out } @calls), join(',', (692) x 4), 'many small ones');

my $gate = close_gate($far);
my $call = call($node, 'SELECT gate(1)');
$call->waiting;
$call->signal('pg_cancel_backend');
is($call->sqlstate, '57014', 'a cancelled call');
ok(poll_far($far, 0), 'its foreign query is cancelled');
open_gate($gate);

# A record that libpq has no room for at once: the rest, with the end of the
# answer, is held by OpenSSL, and the socket has nothing more to say.
my $message = sub { $_[0] . pack('N', 4 + length $_[1]) . $_[1] };
sub packed
{
	my ($s, $first, $length) = @_;
	my $row = $s->row(pack('NN', 0, 1), 'x' x $length);
	my $end = $message->('C', "SELECT 1\0") . $message->('2', '') . $message->('n', '')
	  . $message->('C', "ROLLBACK\0") . $message->('Z', 'I');
	my $type;

	# all that is asked
	do
	{
		($type, my $length) = unpack('aN', $s->receive(5));
		$s->receive($length - 4);
	} until $type eq 'S';
	$s->send_raw(substr($row, 0, $first, ''));
	select(undef, undef, undef, 0.3);    # or it is one record
	my $notice = "SNOTICE\0VNOTICE\0C00000\0M" . 'n' x (16384 - length($row . $end) - 5 - 27) . "\0\0";
	$s->send_raw($row . $message->('N', $notice) . $end);
	return;
}
my @sizes = ([ 2000, 3000 ], [ 4000, 6000 ], [ 7000, 8000 ], [ 8000, 12000 ], [ 15000, 16000 ], [ 16000, 30000 ]);
my @text = ([ 'ordinality', 20, 1 ], [ 't', 25, 1 ]);
my $fake = FakeServer->new(
	tls => [ "$dir/crt", "$dir/key" ],
	map {
		my ($first, $length) = @$_;
		"packed_$first" => {
			describe => sub {
				my ($s) = @_;
				$s->send('t', pack('nN', 1, 1007));
				$s->row_description(map { [ @$_[ 0, 1 ], 0 ] } @text);
			},
			portal => sub { $_[0]->row_description(@text) },
			execute => sub { packed($_[0], $first, $length) }
		}
	} @sizes);
foreach (@sizes)
{
	my ($first, $length) = @$_;
	$node->safe_psql('postgres', "CREATE SERVER packed_$first FOREIGN DATA WRAPPER concresce OPTIONS ("
		  . far_options($far, port => $fake->port, dbname => "packed_$first", sslmode => 'require')
		  . "); CREATE USER MAPPING FOR PUBLIC SERVER packed_$first;"
		  . define("packed_$first", "packed_$first(n int)" => 'text STABLE' => "SELECT repeat('x', n)"));
	$call = attempt($node, "SELECT length(packed_$first($length))", timeout => '3s');
	is($call->out, $length, "what OpenSSL holds is read: $first of $length bytes") or diag($call->err);
}

# Another certificate from one connection to the next is not trusted.
is(attempt($node, 'SELECT v_trusted(2)')->out, 'v2', 'a connection with the right certificate');
IPC::Run::run([
		qw(openssl req -new -x509 -days 10 -nodes -subj /CN=localhost -newkey rsa:2048 -keyout),
		"$dir/key", '-out', "$dir/other.crt"
	], '<', \undef, '>', \$out, '2>', \$err);
chmod 0600, "$dir/key";
$far->append_conf('postgresql.conf', "ssl_cert_file = '$dir/other.crt'");
$far->restart;
is(attempt($node, 'SELECT v_trusted(3)')->sqlstate, '08001', 'the certificate has changed: no connection');
is(attempt($node, 'SELECT v(3)')->out, 'v3', 'who does not look at it has one');

at_rest($node);
undef $fake;
done_testing();
