# shellcheck shell=bash
#
# What it costs a statement without lookups that the library is there: its
# planning, with the library preloaded and without it.

# The least statement, a join, and one that calls a function, which has to be
# looked at more closely.
PLANNING_KINDS='point join function'

planning_settings() {
	if [ -n "${QUICK:-}" ]; then
		: "${BENCH_PLANS:=2000}"
		: "${BENCH_PLAN_ROUNDS:=4}"
	else
		: "${BENCH_PLANS:=10000}"
		: "${BENCH_PLAN_ROUNDS:=20}"
	fi
}

planning_start() {
	bench_cluster planning "shared_preload_libraries = 'concresce'"
	psql_in planning -d bench <<-'SQL'
		CREATE EXTENSION concresce;
		CREATE TABLE a (id int PRIMARY KEY, b_id int, value int);
		CREATE TABLE b (id int PRIMARY KEY, c_id int, value int);
		CREATE TABLE c (id int PRIMARY KEY, value int);
		INSERT INTO a SELECT i, i, i FROM generate_series(1, 1000) AS i;
		INSERT INTO b SELECT i, i, i FROM generate_series(1, 1000) AS i;
		INSERT INTO c SELECT i, i FROM generate_series(1, 1000) AS i;
		VACUUM (FREEZE, ANALYZE);
		CREATE FUNCTION twice(int) RETURNS int
		LANGUAGE plpgsql STABLE AS 'BEGIN RETURN $1 * 2; END';

		-- mean us of planning, as EXPLAIN tells it, without those that were
		-- interrupted
		CREATE FUNCTION planning(statement text, n int) RETURNS float8
		LANGUAGE plpgsql AS $$
		DECLARE
			plan json;
			took float8[];
		BEGIN
			FOR i IN 1 .. n LOOP
				EXECUTE 'EXPLAIN (FORMAT json, SUMMARY) ' || statement INTO plan;
				took[i] := plan -> 0 ->> 'Planning Time';
			END LOOP;
			RETURN (SELECT avg(ms) * 1000 FROM unnest(took) AS ms
				WHERE ms < 2 * (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms)
					FROM unnest(took) AS ms));
		END $$;
	SQL
}

planning_statement() {
	case $1 in
		point) say 'SELECT value FROM a WHERE id = 42' ;;
		join) say 'SELECT a.value, b.value, c.value FROM a JOIN b ON b.id = a.b_id
			JOIN c ON c.id = b.c_id WHERE a.value BETWEEN 10 AND 50 ORDER BY c.value' ;;
		function) say 'SELECT twice(a.value), b.value FROM a JOIN b ON b.id = a.b_id
			WHERE twice(b.value) < 100' ;;
	esac
}

# The same cluster, started anew with and without the library in turn: where a
# process happens to have its memory counts for as much as what is to be
# measured.
planning_restart() {
	local data=$WORK/run/planning/data

	as_user pg_ctl -D "$data" -l "$WORK/run/planning/log" -w -s -m fast \
		-o "-p ${PORT[planning]} -c shared_preload_libraries=$1" restart \
		</dev/null >/dev/null 2>&1 || die 'The cluster "planning" does not start.'
}

planning_round() {
	local round=$1 library=$2 kind n=$((BENCH_PLANS / BENCH_PLAN_ROUNDS)) us

	planning_restart "${library#none}"
	for kind in $PLANNING_KINDS; do
		us=$(psql_in planning -d bench -At -c "SELECT planning(\$s\$$(planning_statement "$kind")\$s\$, 200)" \
			-c "SELECT planning(\$s\$$(planning_statement "$kind")\$s\$, $n)" | tail -n 1)
		say "$kind,$round,$library,$us" >>"$RESULTS/planning.csv"
	done
	progress
}

part_planning() {
	local round

	planning_settings
	say ''
	say "== planning: $BENCH_PLANS plans of statements without lookups, with the" \
		"library and without it"
	if ! have concresce; then
		say '  skipped: concresce is not there'
		return
	fi
	say 'kind,round,library,us' >"$RESULTS/planning.csv"
	planning_start
	for ((round = 1; round <= BENCH_PLAN_ROUNDS; round++)); do
		# neither always comes first
		if ((round % 2)); then
			planning_round "$round" none
			planning_round "$round" concresce
		else
			planning_round "$round" concresce
			planning_round "$round" none
		fi
	done
	as_user pg_ctl -D "$WORK/run/planning/data" -s -m fast stop >/dev/null
	note ''
	planning_report
}

# What counts is the ratio within a round: the two are taken one after the
# other, while the machine's speed may change from round to round.
planning_report() {
	local kind ratio

	medians "$RESULTS/planning.csv" 'kind library' us |
		awk '{ print $1, $2, $3 }' |
		print_matrix 'us a plan' %.2f '' none concresce
	awk -F, '
		NR == 1 { print "kind,ratio"; next }
		{ us[$1, $2, $3] = $4 }
		($1, $2, "none") in us && ($1, $2, "concresce") in us {
			print $1 "," us[$1, $2, "concresce"] / us[$1, $2, "none"]
		}' "$RESULTS/planning.csv" >"$RESULTS/planning_ratios.csv"
	say ''
	while read -r kind ratio _; do
		verdict "planning, $kind: with / without the library" \
			"$(calc "$ratio" %.3f)" '<=' 1.02
	done < <(medians "$RESULTS/planning_ratios.csv" kind ratio)
}
