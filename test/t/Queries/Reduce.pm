# Shorter variants of a case. It knows brackets and a few words of SQL, not
# types: what is no SQL any more fails both ways, and so is not taken.

package Queries::Reduce;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';

our @EXPORT_OK = qw(shorter);

my $clause = qr/\b(?:WHERE|ORDER BY|GROUP BY|HAVING|LIMIT|OFFSET|FOR (?:NO KEY )?(?:UPDATE|SHARE)|RETURNING|FILTER|(?:LEFT |RIGHT |FULL |CROSS )?JOIN|AND|OR|UNION|EXCEPT|INTERSECT|WHEN|ELSE|SKIP LOCKED|ON CONFLICT)\b/;

# The places of brackets: open => close.
sub brackets
{
	my ($sql) = @_;
	my (@open, %pair);

	while ($sql =~ /'(?:[^']|'')*'|([(\[])|([)\]])/g)
	{
		if (defined $1) { push @open, $-[1] }
		elsif (defined $2 && @open) { $pair{ pop @open } = $-[2] }
	}
	return %pair;
}

# The places in a stretch, outside of brackets within, where a pattern begins.
sub places
{
	my ($sql, $from, $to, $pattern, %pair) = @_;
	my @found;

	for (my $i = $from; $i < $to; $i++)
	{
		if (defined $pair{$i}) { $i = $pair{$i}; next }
		pos($sql) = $i;
		push @found, $i if $sql =~ /\G$pattern/;
	}
	return @found;
}

# A stretch is what is in brackets, or the whole.
sub variants
{
	my ($sql) = @_;
	my %pair = brackets($sql);
	my @variants;
	my $put = sub {
		my ($from, $to, $new) = @_;
		my $shorter = $sql;

		substr($shorter, $from, $to - $from) = $new;
		push @variants, $shorter if length $shorter < length $sql;
	};

	foreach my $open (sort { $pair{$b} - $b <=> $pair{$a} - $a } keys %pair)
	{
		my ($start, $close) = ($open, $pair{$open});
		my @commas = ($open, places($sql, $open + 1, $close, qr/,/, %pair), $close);

		$start = $-[0] if substr($sql, 0, $open) =~ /\b\w+$/;
		$put->($start, $close + 1, $_) foreach 'NULL', '1', 'true', "'x'";
		foreach my $i (1 .. $#commas)
		{
			$put->($start, $close + 1, substr($sql, $commas[ $i - 1 ] + 1, $commas[$i] - $commas[ $i - 1 ] - 1));
		}
	}
	foreach my $stretch ([ -1, length $sql ], map { [ $_, $pair{$_} ] } keys %pair)
	{
		my ($from, $to) = @$stretch;
		my @ends = (places($sql, $from + 1, $to, $clause, %pair), $to);
		my @commas = ($from, places($sql, $from + 1, $to, qr/,|\bFROM\b/, %pair), $to);

		# without a clause, or several
		foreach my $i (0 .. $#ends - 1) { $put->($ends[$i], $_, '') foreach reverse @ends[ $i + 1 .. $#ends ] }
		foreach my $i (1 .. $#commas)
		{
			$put->($commas[ $i - 1 ], $commas[$i], '') if $commas[ $i - 1 ] >= 0;
			$put->($commas[ $i - 1 ] + 1, $commas[$i] + 1, '') if $commas[$i] < length $sql;
		}
		foreach my $i (places($sql, $from + 1, $to, qr/\b(?:THEN|ELSE|WHEN) /, %pair))
		{
			my ($case) = reverse grep { $_ < $i } places($sql, $from + 1, $to, qr/\bCASE\b/, %pair);
			my ($end) = grep { $_ > $i } places($sql, $from + 1, $to, qr/\b(?:WHEN|THEN|ELSE|END)\b/, %pair);
			my ($last) = grep { $_ > $i } places($sql, $from + 1, $to, qr/\bEND\b/, %pair);
			$put->($case, $last + 3, substr($sql, $i + 5, $end - $i - 5)) if defined $case && defined $last;
		}
	}
	return @variants;
}

sub shorter
{
	my ($case) = @_;
	my @cases;

	foreach my $list (qw(settings sql prepare))
	{
		my @items = @{ $case->{$list} // [] };

		foreach my $i ($list eq 'sql' ? (1 .. $#items) : (0 .. $#items))
		{
			push @cases, { %$case, $list => [ @items[ grep { $_ != $i } 0 .. $#items ] ] };
		}
	}
	foreach my $i (0 .. $#{ $case->{sql} })
	{
		foreach my $variant (variants($case->{sql}[$i]))
		{
			my @sql = @{ $case->{sql} };
			my $shown = $case->{shown};

			$shown = $variant if $shown eq $sql[$i];
			if (index($sql[$i], $shown) > 0 && $variant =~ /^(DECLARE.*? FOR |CREATE.*? AS )(.*)$/s) { $shown = $2 }
			$sql[$i] = $variant;
			push @cases, { %$case, sql => \@sql, shown => $shown };
		}
	}
	my $length = sub { length join('', @{ $_[0]{settings} // [] }, @{ $_[0]{sql} }, @{ $_[0]{prepare} // [] }) };
	my %length = map { $_ => $length->($_) } @cases;
	return sort { $length{$a} <=> $length{$b} } @cases;
}

1;
