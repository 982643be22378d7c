# The blocks of the documents, run from their own text as if they were pasted
# into psql, and compared with what the documents say that psql prints.

package Documents;

use strict;
use warnings FATAL => 'all';

use Concresce ();
use Exporter 'import';
use FindBin;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(start_strict_node blocks paste);

# The blocks of a document, in order, of SQL or of other languages. section:
# the title that one stands under; far: whether the text says that it is for
# the far side; shown: the block without a language, if one follows at once:
# what psql prints, or part of it.
sub blocks
{
	my ($document, @languages) = @_;
	my $text = slurp_file("$FindBin::RealBin/../../$document");
	my $languages = join('|', @languages ? @languages : 'sql');
	my ($line, $section) = (1, '');
	my @blocks;

	while ($text =~ /\G(.*?)^( *)```($languages)\n(.*?)^ *```\n(?:```\n(.*?)^```\n)?/gmsc)
	{
		my ($all, $before, $indent, $language, $sql, $shown) = ($&, $1, $2, $3, $4, $5);

		$section = $1 while $before =~ /^## (.*)$/mg;
		$sql =~ s/^$indent//mg;
		push @blocks,
		  {
			name => "$document:" . ($line + ($before =~ tr/\n//)),
			section => $section,
			language => $language,
			far => scalar($before =~ /On the far side:\n\n\z/),
			sql => $sql,
			shown => $shown
		  };
		$line += $all =~ tr/\n//;
	}
	return @blocks;
}

# Times vary, the rounds that depend on them, and the widths of what shows them. PostgreSQL 18 counts
# rows in fractions, and shows buffers unasked.
sub comparable
{
	my ($text) = @_;

	$text =~ s/\brows=(\d+)\.00\b/rows=$1/g;
	$text =~ s/\b(actual time=)[\d.]+/$1N/g;
	$text =~ s/(?<=Time: )[\d.]+/N/g;
	$text =~ s/(?<=Rounds: )\d+/N/g;
	$text =~ s/^ *Planning:\n//mg;
	$text =~ s/^ *Buffers: .*\n//mg;
	$text =~ s/-{3,}/---/g;
	$text =~ s/ +/ /g;
	$text =~ s/^ | $//mg;
	$text =~ s/\n+\z/\n/;
	return $text;
}

# A server that asks for passwords, with the superuser "boss".
sub start_strict_node
{
	my ($name, %o) = @_;
	my $node = Concresce::start_node($name, extension => 0, %o);

	$node->safe_psql('postgres', q{CREATE ROLE boss SUPERUSER LOGIN PASSWORD 'boss'});
	unlink($node->data_dir . '/pg_hba.conf');
	$node->append_conf('pg_hba.conf', "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256");
	$node->reload;
	return $node;
}

# All blocks in one session, as that superuser. An error is one that the
# document shows.
sub paste
{
	my ($node, $database, @blocks) = @_;
	my $connstr = 'host=127.0.0.1 port=' . $node->port . " dbname='$database' user=boss";
	my $in = join('', map { "$blocks[$_]{sql}\\echo ==== end of block $_\n" } 0 .. $#blocks);
	my $printed;
	local $ENV{PGPASSWORD} = 'boss';

	IPC::Run::run([ $node->installed_command('psql'), '-X', '-d', $connstr ],
		'<', \$in, '>', \$printed, '2>&1', IPC::Run::timeout($Concresce::LIMIT));
	foreach my $i (0 .. $#blocks)
	{
		my ($name, $shown) = @{ $blocks[$i] }{qw(name shown)};

		$printed =~ s/\A(.*?)^==== end of block $i\n//ms or BAIL_OUT("$name: psql has ended");
		is_shown($name, $1, $shown // '');
	}
	return;
}

# Among what was printed, as tags and rows of other statements may be there.
sub is_shown
{
	my ($name, $printed, $shown) = @_;

	$_ = comparable($_) foreach $printed, $shown;
	ok(index("\n$printed", "\n$shown") >= 0, "$name prints what is shown")
	  or diag("shown:\n${shown}printed:\n$printed");
	unlike($printed, qr/^ERROR/m, "$name is run without an error") unless $shown =~ /^ERROR/m;
	return;
}

1;
