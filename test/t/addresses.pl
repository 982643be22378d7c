# A host whose address changes: with the end of a connection's life it is looked
# up anew, without a failure and without the callers' noticing.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Concresce;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'a sanitizer must be the first library' if $ENV{CCR_NEEDED};

# A name service of our own: moving.test has the address in a file.
my $files = PostgreSQL::Test::Utils::tempdir;
my $address = "$files/address";
append_to_file("$files/names.c", <<'EOF_C');
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
			struct addrinfo **res)
{
	int			(*real) (const char *, const char *, const struct addrinfo *, struct addrinfo **) =
		dlsym(RTLD_NEXT, "getaddrinfo");
	char		address[64];
	FILE	   *f;

	if (node == NULL || strcmp(node, "moving.test") != 0)
		return real(node, service, hints, res);
	f = fopen(ADDRESS, "r");
	if (f == NULL || fscanf(f, "%63s", address) != 1)
		return EAI_NONAME;
	fclose(f);
	return real(address, service, hints, res);
}
EOF_C
system('cc', '-shared', '-fPIC', "-DADDRESS=\"$address\"", '-o', "$files/names.so", "$files/names.c", '-ldl') == 0
  or plan skip_all => 'no C compiler';

sub moves_to
{
	my ($to) = @_;

	unlink $address;
	append_to_file($address, $to);
	return;
}

local $ENV{LD_PRELOAD} = join(' ', "$files/names.so", grep { defined } $ENV{LD_PRELOAD});
moves_to('127.0.0.1');
my $node = start_node('local', conf => "concresce.max_lifetime = 1\nconcresce.max_connections = 1");
my $far = PostgreSQL::Test::Cluster->new('far');
$far->init;
$far->append_conf('postgresql.conf', "listen_addresses = '127.0.0.1, 127.0.0.2'");
$far->append_conf('pg_hba.conf', 'host all all 127.0.0.2/32 trust');
$far->start;
make_far($node, $far);
$far->safe_psql('far', 'CREATE TABLE came (by inet)');
$node->safe_psql('postgres', make_server('moving', far_options($far, host => 'moving.test'))
	. define('moving', 'by(n int)' => 'text STABLE' => 'SELECT host(inet_server_addr())',
		'came(n int)' => 'void VOLATILE' => 'INSERT INTO came SELECT inet_server_addr() FROM unnest(collect(n))'));

# One session, whose route is known to the collector.
my $session = $node->background_psql('postgres');
is($session->query_safe('SELECT by(1)'), '127.0.0.1', 'its first address');
moves_to('127.0.0.2');

# Until the connection has been renewed; no call fails meanwhile.
my @seen;
my $end = time + $Concresce::LIMIT;
push @seen, $session->query_safe('SELECT by(1)') until time > $end || (@seen && $seen[-1] eq '127.0.0.2');
is($seen[-1], '127.0.0.2', 'with a new connection it is the new one');
is(join(',', grep { !/^127\.0\.0\.[12]$/ } @seen), '', 'and nobody has noticed');
$session->quit;
at_rest($node);

# What is enqueued goes there, too.
moves_to('127.0.0.1');
$end = time + $Concresce::LIMIT;
my $last = '';
until (time > $end || $last eq '127.0.0.1')
{
	$node->safe_psql('postgres', q{SELECT concresce.enqueue('came', 1)});
	$node->safe_psql('postgres', 'SELECT concresce.stop(); SELECT concresce.start()');
	$last = $far->safe_psql('far', 'SELECT host(by) FROM came ORDER BY ctid DESC LIMIT 1');
}
is($last, '127.0.0.1', 'enqueued items as well');
at_rest($node);
done_testing();
