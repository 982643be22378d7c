# Foreign connections over TLS: large results, which TLS may hold back in a
# buffer of its own, cancelling, and a certificate that is not trusted.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
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

at_rest($node);
done_testing();
