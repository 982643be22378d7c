# The blocks of the documents, run from their own text as if they were pasted
# into psql, and compared with what the documents say that psql prints.

package Documents;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use FindBin;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(blocks paste);

# The SQL of a document, in order. shown: the block without a language, if one
# follows at once: what psql prints, or part of it.
sub blocks
{
	my ($document) = @_;
	my $text = slurp_file("$FindBin::RealBin/../../$document");
	my @blocks;
	my $line = 1;

	while ($text =~ /\G(.*?)^```sql\n(.*?)^```\n(?:```\n(.*?)^```\n)?/gmsc)
	{
		my ($before, $sql, $shown) = ($1, $2, $3);
		push @blocks, { name => "$document:" . ($line + ($before =~ tr/\n//)), sql => $sql, shown => $shown };
		$line += $& =~ tr/\n//;
	}
	return @blocks;
}

# Times vary, and so do the widths of what shows them. PostgreSQL 18 counts
# rows in fractions, and shows buffers unasked.
sub comparable
{
	my ($text) = @_;

	$text =~ s/\brows=(\d+)\.00\b/rows=$1/g;
	$text =~ s/\b(actual time=)[\d.]+/$1N/g;
	$text =~ s/(?<=Time: )[\d.]+/N/g;
	$text =~ s/^ *Planning:\n//mg;
	$text =~ s/^ *Buffers: .*\n//mg;
	$text =~ s/-{3,}/---/g;
	$text =~ s/ +/ /g;
	$text =~ s/^ | $//mg;
	$text =~ s/\n+\z/\n/;
	return $text;
}

# All blocks in one session. An error is one that the document shows.
sub paste
{
	my ($node, @blocks) = @_;
	my $connstr = 'host=127.0.0.1 port=' . $node->port . ' dbname=postgres user=boss';
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
