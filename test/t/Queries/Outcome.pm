# What two runs of a statement may differ in without being different.

package Queries::Outcome;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';

our @EXPORT_OK = qw(shape sorted brief);

# The nodes of a plan, without those that batch nodes bring along or replace.
sub shape
{
	my ($plan) = @_;
	my @nodes = $plan =~ /(?:\A| *->  |^ +(?=(?:CTE|SubPlan|InitPlan) ))([A-Z][^\n]*)/mg;

	s/ (?:on|using) .*// foreach @nodes;
	return join("\n", grep { !/Custom Scan|^Materialize$|^Memoize$/ } @nodes);
}

sub sorted { return join("\n", sort split(/\n/, $_[0])) }

# A plan without the queries that are sent.
sub brief
{
	return join('', map { "$_\n" } grep { !/^ *(?:Server|Remote SQL|Query Identifier):|^ *(?:FROM|CROSS JOIN|\) q)/ } split(/\n/, $_[0] // ''));
}

1;
