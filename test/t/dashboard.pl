# examples/monitoring/grafana.json, held against Grafana's JSON model of a
# dashboard (version 9 and later): its fields and their types, the grid, the
# variables, the units; and against the metrics that queries.yaml declares.
# Grafana is not among Debian's packages, so none opens it here.

use strict;
use warnings FATAL => 'all';

use CPAN::Meta::YAML;
use FindBin;
use lib $FindBin::RealBin;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$FindBin::RealBin/../..";
my $text = slurp_file("$top/examples/monitoring/grafana.json");
my $queries = CPAN::Meta::YAML->read("$top/examples/monitoring/queries.yaml")->[0];

# Of Grafana's units those that the dashboard may use, with the metrics' words
# that each is for.
my %UNITS = (
	short => qr/calls|items|failures|count|slots|restarts|stopped|missing|up\b/,
	percentunit => qr{/},
	ops => qr/rate\(/,
	Bps => qr/bytes/,
	bytes => qr/bytes/,
	s => qr/seconds/);

# ---- a value against a type ---------------------------------------------------

# A type is the name of a scalar, 'a|b|c' for one of these words, [TYPE] for an
# array, or {field => TYPE}; a field whose name ends with "?" may be missing.
# Fields that the model does not have are errors.
sub scalar_fits
{
	my ($value, $type) = @_;
	my $json = encode_json([$value]);

	return $json =~ /^\["/ if $type eq 'string';
	return $json =~ /^\[-?\d+\]$/ if $type eq 'integer';
	return $json =~ /^\[(?:-?\d|null)/ if $type eq 'number or null';
	return $json =~ /^\[-?\d/ if $type eq 'number';
	return $json =~ /^\[(?:true|false)\]$/ if $type eq 'boolean';
	return $json =~ /^\["/ && grep { $value eq $_ } split /\|/, $type;
}

sub misfits
{
	my ($where, $value, $type) = @_;

	if (ref $type eq 'ARRAY')
	{
		return "$where is no array" if ref $value ne 'ARRAY';
		return map { misfits("${where}[$_]", $value->[$_], $type->[0]) } 0 .. $#$value;
	}
	if (ref $type eq 'HASH')
	{
		return "$where is no object" if ref $value ne 'HASH';
		my %known = map { my $name = $_; my $optional = $name =~ s/\?$//; ($name => [ $type->{$_}, $optional ]) } keys %$type;
		return ((map { "$where.$_ is not in the model" } grep { !$known{$_} } sort keys %$value),
			(map { "$where.$_ is missing" } grep { !exists $value->{$_} && !$known{$_}[1] } sort keys %known),
			map { misfits("$where.$_", $value->{$_}, $known{$_}[0]) } grep { $known{$_} } sort keys %$value);
	}
	return scalar_fits($value, $type) ? () : "$where is no $type";
}

# ---- the model, as far as the dashboard uses it -----------------------------------

my $DATASOURCE = { type => 'prometheus', uid => 'string' };
my $GRID = { h => 'integer', w => 'integer', x => 'integer', y => 'integer' };
my $TARGET = {
	refId => 'string', datasource => $DATASOURCE, expr => 'string', 'legendFormat?' => 'string',
	'instant?' => 'boolean', 'range?' => 'boolean', 'format?' => 'time_series|table|heatmap'
};
my $THRESHOLDS = { mode => 'absolute|percentage', steps => [ { color => 'string', value => 'number or null' } ] };
my %OPTIONS = (
	stat => {
		reduceOptions => { calcs => ['lastNotNull|last|max|min|mean|sum'], 'values?' => 'boolean', 'fields?' => 'string' },
		'colorMode?' => 'none|value|background', 'graphMode?' => 'none|area', 'textMode?' => 'auto|value|name|none'
	},
	timeseries => {
		legend => { displayMode => 'list|table|hidden', placement => 'bottom|right', 'calcs?' => ['string'], 'showLegend?' => 'boolean' },
		tooltip => { mode => 'single|multi|none', 'sort?' => 'none|asc|desc' }
	});
my %CUSTOM = (
	stat => {},
	timeseries => {
		'fillOpacity?' => 'number', 'showPoints?' => 'auto|never|always', 'lineWidth?' => 'number',
		'drawStyle?' => 'line|bars|points', 'stacking?' => { mode => 'none|normal|percent', 'group?' => 'string' }
	});
my $ROW = { id => 'integer', type => 'row', title => 'string', gridPos => $GRID, collapsed => 'boolean', panels => ['string'] };
my $ALL = { selected => 'boolean', text => ['string'], value => ['string'] };
my %VARIABLES = (
	datasource => { name => 'string', 'label?' => 'string', type => 'datasource', query => 'string' },
	query => {
		name => 'string', 'label?' => 'string', type => 'query', datasource => $DATASOURCE,
		query => { query => 'string', refId => 'string' }, definition => 'string', refresh => 'integer',
		'sort?' => 'integer', 'multi?' => 'boolean', 'includeAll?' => 'boolean', 'allValue?' => 'string', 'current?' => $ALL
	});
my $DASHBOARD = {
	title => 'string', uid => 'string', 'tags?' => ['string'], 'timezone?' => 'browser|utc', 'editable?' => 'boolean',
	schemaVersion => 'integer', 'version?' => 'integer', 'refresh?' => 'string', time => { from => 'string', to => 'string' }
};

sub panel_type
{
	my ($type) = @_;

	return {
		id => 'integer', type => $type, title => 'string', 'description?' => 'string', datasource => $DATASOURCE, gridPos => $GRID,
		fieldConfig => {
			defaults => {
				unit => join('|', sort keys %UNITS), 'min?' => 'number', 'max?' => 'number', 'decimals?' => 'integer',
				'thresholds?' => $THRESHOLDS, 'custom?' => $CUSTOM{$type}
			},
			overrides => ['string']
		},
		targets => [$TARGET], options => $OPTIONS{$type}
	};
}

# ---- the checks: each returns what is wrong ------------------------------------------

sub wrong_types
{
	my ($d) = @_;
	my %rest = %$d;
	my @panels = @{ delete $rest{panels} // [] };
	my @variables = @{ (delete $rest{templating} // {})->{list} // [] };
	my %panel_types = (row => $ROW, map { $_ => panel_type($_) } keys %OPTIONS);

	return (misfits('dashboard', \%rest, $DASHBOARD),
		(map { misfits("variable $_->{name}", $_, $VARIABLES{ $_->{type} } // {}) } @variables),
		map { misfits("panel $_->{id}", $_, $panel_types{ $_->{type} } // {}) } @panels);
}

sub twice
{
	my (%seen) = ();

	return grep { $seen{$_}++ == 1 } @_;
}

sub wrong_names
{
	my ($d) = @_;

	return ((map { "id $_ is there twice" } twice(map { $_->{id} } @{ $d->{panels} })),
		(map { "variable $_ is there twice" } twice(map { $_->{name} } @{ $d->{templating}{list} })),
		map { my $p = $_; map { "panel $p->{id} has two targets $_" } twice(map { $_->{refId} } @{ $p->{targets} // [] }) } @{ $d->{panels} });
}

# A grid of 24 columns, without overlap or gap; a row is all of a line.
sub wrong_places
{
	my ($d) = @_;
	my (%taken, @wrong);
	my $bottom = 0;

	foreach my $panel (@{ $d->{panels} })
	{
		my ($x, $y, $w, $h) = @{ $panel->{gridPos} }{qw(x y w h)};

		push @wrong, "panel $panel->{id} leaves the grid" if $x < 0 || $y < 0 || $w < 1 || $h < 1 || $x + $w > 24;
		push @wrong, "row $panel->{id} is not a line" if $panel->{type} eq 'row' && "$x $w $h" ne '0 24 1';
		push @wrong, map { my $line = $_; map { $taken{"$_ $line"}++ ? "panel $panel->{id} overlaps at $_, $line" : () } $x .. $x + $w - 1 }
		  $y .. $y + $h - 1;
		$bottom = $y + $h if $y + $h > $bottom;
	}
	push @wrong, 'there is a gap' if !@wrong && keys %taken != 24 * $bottom;
	return @wrong;
}

# Grafana's own are $__rate_interval and the like.
sub wrong_variables
{
	my ($d) = @_;
	my (%defined, @wrong);
	my $uses = sub {
		my ($where, @texts) = @_;

		push @wrong, map { "$where uses \$$_, which is not defined before" } grep { !/^__/ && !$defined{$_} } map { /\$\{?(\w+)/g } @texts;
	};

	foreach my $variable (@{ $d->{templating}{list} })
	{
		my $query = ref $variable->{query} ? $variable->{query}{query} : '';

		$uses->("variable $variable->{name}", $query, ($variable->{datasource} // {})->{uid} // '');
		push @wrong, "variable $variable->{name} has two queries" if ref $variable->{query} && $query ne $variable->{definition};
		$defined{ $variable->{name} } = $variable->{type};
	}
	foreach my $panel (grep { $_->{type} ne 'row' } @{ $d->{panels} })
	{
		$uses->("panel $panel->{id}", map { ($_->{expr}, $_->{legendFormat} // '') } @{ $panel->{targets} });
		push @wrong, "panel $panel->{id} names a data source"
		  if grep { $_->{uid} ne '${datasource}' } $panel->{datasource}, map { $_->{datasource} } @{ $panel->{targets} };
	}
	push @wrong, 'no variable is a data source of Prometheus'
	  if !grep { $_->{type} eq 'datasource' && $_->{query} eq 'prometheus' } @{ $d->{templating}{list} };
	return @wrong;
}

# The metrics of queries.yaml, and the labels of each.
sub metrics
{
	my %metrics;

	foreach my $name (keys %$queries)
	{
		my %usage = map { my ($column) = keys %$_; ($column => $_->{$column}{usage}) } @{ $queries->{$name}{metrics} };
		my %labels = map { $_ => 1 } 'server', grep { $usage{$_} eq 'LABEL' } keys %usage;

		foreach my $column (grep { $usage{$_} ne 'LABEL' } keys %usage)
		{
			my @parts = $usage{$column} eq 'HISTOGRAM' ? map { "${column}_$_" } qw(bucket sum count) : $column;

			$metrics{"${name}_$_"} = { usage => $usage{$column}, labels => { %labels, /_bucket$/ ? (le => 1) : () } } foreach @parts;
		}
	}
	return %metrics;
}

sub unbalanced
{
	my ($expr) = @_;

	1 while $expr =~ s/\([^(){}\[\]]*\)|\{[^(){}\[\]]*\}|\[[^(){}\[\]]*\]//;
	return $expr =~ /[(){}\[\]]/;
}

# Each is there, has the labels that are asked for, and is a counter if its rate is.
sub wrong_expressions
{
	my ($d) = @_;
	my %metrics = metrics();
	my @wrong;

	foreach my $variable (grep { ref $_->{query} } @{ $d->{templating}{list} })
	{
		my ($name, $selector, $label) = $variable->{definition} =~ /^label_values\((\w+)(?:\{([^}]*)\})?, (\w+)\)$/;

		if (!$name || !$metrics{$name}) { push @wrong, "variable $variable->{name}: there is no such metric"; next }
		push @wrong, map { "variable $variable->{name}: $name has no label $_" }
		  grep { !$metrics{$name}{labels}{$_} } $label, ($selector // '') =~ /(\w+)\s*(?:=~|!~|!=|=)/g;
	}

	foreach my $panel (grep { $_->{type} ne 'row' } @{ $d->{panels} })
	{
		my $where = "panel $panel->{id}";
		my $unit = $panel->{fieldConfig}{defaults}{unit};

		push @wrong, "$where asks for nothing" if !@{ $panel->{targets} };
		push @wrong, "$where has unit $unit for something else" if grep { ($_->{expr} // '') !~ $UNITS{$unit} } @{ $panel->{targets} };
		foreach my $expr (map { $_->{expr} } @{ $panel->{targets} })
		{
			my %labels;

			push @wrong, "$where: brackets of $expr" if unbalanced($expr);
			while ($expr =~ /(rate\()?\b(concresce_\w+)(?:\{([^}]*)\})?(\[\$__rate_interval\])?/g)
			{
				my ($rate, $name, $selector, $range) = ($1, $2, $3 // '', $4);
				my $metric = $metrics{$name};

				if (!$metric) { push @wrong, "$where: there is no $name"; next }
				%labels = (%labels, %{ $metric->{labels} });
				push @wrong, map { "$where: $name has no label $_" } grep { !$metric->{labels}{$_} } $selector =~ /(\w+)\s*(?:=~|!~|!=|=)/g;
				push @wrong, "$where: the rate of $name" if $rate && $metric->{usage} eq 'GAUGE';
				push @wrong, "$where: the range of $name" if !$rate != !$range;
			}
			foreach my $by ($expr =~ /\bby \(([^)]*)\)/g)
			{
				push @wrong, map { "$where is by $_, which none of its metrics has" } grep { !$labels{$_} } split /,\s*/, $by;
			}
		}
		foreach my $target (@{ $panel->{targets} })
		{
			push @wrong, map { "$where: $_ of the legend is not among its labels" }
			  grep { $target->{expr} !~ /\bby \([^)]*\b$_\b/ } ($target->{legendFormat} // '') =~ /\{\{\s*(\w+)\s*\}\}/g;
		}
	}
	return @wrong;
}

my %CHECKS = (
	'fields and types' => \&wrong_types,
	'ids and names' => \&wrong_names,
	'the grid' => \&wrong_places,
	'variables' => \&wrong_variables,
	'expressions' => \&wrong_expressions);

my $dashboard = decode_json($text);

foreach my $name (sort keys %CHECKS)
{
	is(join("\n", $CHECKS{$name}->($dashboard)), '', $name);
}
cmp_ok($dashboard->{schemaVersion}, '>=', 36, 'of Grafana 9 or later');
ok(!exists $dashboard->{id}, 'no id, which is of one Grafana');

# ---- that the checks see something ------------------------------------------------------

# Each change of the text has to be found by the check.
my @FAULTS = (
	[ 'fields and types', 'a field of another name', sub { s/"gridPos"/"gridpos"/ } ],
	[ 'fields and types', 'a string for a number', sub { s/"id": 2,/"id": "2",/ } ],
	[ 'fields and types', 'an unknown unit', sub { s/"unit": "ops"/"unit": "op\/s"/ } ],
	[ 'fields and types', 'an unknown panel', sub { s/"type": "stat"/"type": "singlestat"/ } ],
	[ 'ids and names', 'an id twice', sub { s/"id": 3,/"id": 2,/ } ],
	[ 'the grid', 'an overlap', sub { s/"x": 6,/"x": 5,/ } ],
	[ 'the grid', 'beyond the edge', sub { s/"x": 18,/"x": 19,/ } ],
	[ 'variables', 'a variable that is not defined', sub { s/\$lookup/\$function/ } ],
	[ 'variables', 'a data source of its own', sub { s/"uid": "\$\{datasource\}"\s*\},\s*"gridPos"/"uid": "abc"}, "gridPos"/ } ],
	[ 'expressions', 'a metric that is not there', sub { s/concresce_lookup_calls_total(?=\{[^}]*\}\[)/concresce_lookup_calls/ } ],
	[ 'expressions', 'a label that is not there', sub { s/by \(lookup\)/by (function)/ } ],
	[ 'expressions', 'a variable of no metric', sub { s/label_values\(concresce_shared/label_values(concresce_other/g } ],
	[ 'expressions', 'a bracket', sub { s/\[\$__rate_interval\]\)\)/[\$__rate_interval])/ } ],
	[ 'expressions', 'the rate of a gauge', sub { s/rate\(concresce_lookup_calls_total/rate(concresce_lookup_queued_calls/ } ]);

foreach my $fault (@FAULTS)
{
	my ($check, $what, $change) = @$fault;
	my $changed = $text;
	my @found;

	$change->() for $changed;
	ok($changed ne $text, "$what: made");
	{
		local $SIG{__WARN__} = sub { };
		@found = eval { $CHECKS{$check}->(decode_json($changed)) };
		@found = ($@) if $@;
	}
	cmp_ok(scalar @found, '>', 0, "$what: found");
}

done_testing();
