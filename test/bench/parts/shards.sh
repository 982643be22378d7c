# shellcheck shell=bash
# shellcheck disable=SC2016  # $1 is the server's to expand
#
# Shards: one server behind one collector and behind two.  Items a second, and
# the cores that collectors and all processes take: a collector that takes
# nearly a whole one is the bottleneck, as long as the machine has others.

SHARDS_CLIENTS=64
SHARDS_SCANS=4

shards_objects() {
	local_sql <<-'SQL'
		CREATE FUNCTION direct.wide(user_id bigint) RETURNS text
		LANGUAGE concresce STABLE STRICT
		SET concresce.server = 'foreign_cc_direct'
		AS $$ SELECT repeat('x', 20000) FROM scores WHERE id = user_id $$;
	SQL
	say '\set id random(1, 1000000)' >"$WORK/shards_calls.sql"
	say 'SELECT direct.user_score(:id);' >>"$WORK/shards_calls.sql"
	say '\set id random(1, 900000)' >"$WORK/shards_scans.sql"
	say 'SELECT count(direct.user_score(k)) FROM generate_series(:id, :id + 99999) k;' >>"$WORK/shards_scans.sql"
	say '\set id random(1, 900000)' >"$WORK/shards_wide.sql"
	say 'SELECT sum(length(direct.wide(k))) FROM generate_series(:id, :id + 1999) k;' >>"$WORK/shards_wide.sql"
}

# A start of the local server with so many collectors, which all serve it.
shards_start() {
	as_user pg_ctl -D "$WORK/run/local/data" -l "$WORK/run/local/log" -w -s -m fast \
		-o "-p ${PORT[local]} -c concresce.workers=$1 -c concresce.sharded_servers=foreign_cc_direct" \
		restart </dev/null >/dev/null 2>&1
}

# Ticks of CPU time that the collectors have had.
shards_ticks() {
	local pid

	local_sql -c "SELECT pid FROM pg_stat_activity WHERE backend_type = 'concresce collector'" |
		while read -r pid; do
			sed 's/.*) //' "/proc/$pid/stat"
		done | awk '{ n += $12 + $13 } END { print n + 0 }'
}

shards_measure() {
	local what=$1 clients=$2 items=$3 before

	local_sql -c 'SELECT direct.user_score(1)' >/dev/null
	before=$(shards_ticks)
	bounded $((BENCH_SECONDS + 60)) pgbench -n -f "$WORK/shards_$what.sql" -c "$clients" -j 2 \
		-T "$BENCH_SECONDS" "$(local_conninfo)" >"$WORK/pgbench.out" 2>&1 || return 1
	SHARDS_CORES=$(calc "($(shards_ticks) - $before) / $(getconf CLK_TCK) / $BENCH_SECONDS")
	SHARDS_RATE=$(awk -v items="$items" '/^tps =/ { printf "%.0f", $3 * items }' "$WORK/pgbench.out")
}

shards_round() {
	local what=$1 clients=$2 items=$3 collectors=$4 round=$5

	undisturbed shards_measure "$what" "$clients" "$items" || {
		note "  $what, $collectors collectors: failed"
		return
	}
	say "$what,$collectors,$round,$SHARDS_RATE,$SHARDS_CORES,$OTHERS_CPU" >>"$RESULTS/shards.csv"
	progress
}

part_shards() {
	local round collectors

	have concresce || return 0
	say ''
	say "== shards: one server, one collector or two"
	say "   $SHARDS_CLIENTS sessions with single calls; $SHARDS_SCANS that scan, and $SHARDS_SCANS that scan for 20 kB a row;" \
		"$BENCH_ROUNDS rounds of $BENCH_SECONDS s"
	say 'load,collectors,round,items_per_second,collector_cores,others_cpu_percent' >"$RESULTS/shards.csv"
	shards_objects
	for ((round = 1; round <= BENCH_ROUNDS; round++)); do
		for collectors in 1 2; do
			shards_start "$collectors"
			shards_round calls "$SHARDS_CLIENTS" 1 "$collectors" "$round"
			shards_round scans "$SHARDS_SCANS" 100000 "$collectors" "$round"
			shards_round wide "$SHARDS_SCANS" 2000 "$collectors" "$round"
		done
	done
	shards_start 1
	note ''
	shards_report
}

shards_report() {
	local load one two cores

	printf '%10s%14s%14s%10s%18s%18s\n' load 'items/s, one' 'items/s, two' ratio 'collector cores' 'of two'
	for load in calls scans wide; do
		one=$(shards_figure items_per_second "$load 1")
		two=$(shards_figure items_per_second "$load 2")
		[ -n "$one" ] && [ -n "$two" ] || continue
		cores=$(shards_figure collector_cores "$load 1")
		printf '%10s%14s%14s%10s%18s%18s\n' "$load" "$one" "$two" "$(calc "$two / $one")" \
			"$cores" "$(shards_figure collector_cores "$load 2")"
	done
	say "  With $(nproc) cores for both servers, the clients and the collectors."
}

shards_figure() {
	medians "$RESULTS/shards.csv" 'load collectors' "$1" |
		awk -v load="${2% *}" -v n="${2#* }" '$1 == load && $2 == n { print $3 }'
}
