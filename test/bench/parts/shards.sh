# shellcheck shell=bash
# shellcheck disable=SC2016  # $1 is the server's to expand
#
# Shards: one server behind one collector and behind two.  Items a second, and
# the cores that collectors take: one that takes nearly a whole one is the
# bottleneck, as long as the machine has others.  Few machines for tests have:
# so, where the kernel lets us, each collector is held to a part of a core, and
# calls are measured once more.

SHARDS_CLIENTS=64
SHARDS_SCANS=4
SHARDS_PERCENT=10				# of a core, for each collector
SHARDS_GROUPS=/sys/fs/cgroup/cpu	# of version 1

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

	shards_collectors |
		while read -r pid; do
			sed 's/.*) //' "/proc/$pid/stat"
		done | awk '{ n += $12 + $13 } END { print n + 0 }'
}

shards_collectors() {
	local_sql -c "SELECT pid FROM pg_stat_activity WHERE backend_type = 'concresce collector'"
}

# Hold each collector to its part, in a control group of its own.
shards_hold() {
	local pid group

	for pid in $(shards_collectors); do
		group=$SHARDS_GROUPS/concresce-$pid
		mkdir "$group" && echo 20000 >"$group/cpu.cfs_period_us" &&
			echo $((SHARDS_PERCENT * 200)) >"$group/cpu.cfs_quota_us" &&
			echo "$pid" >"$group/cgroup.procs" || return 1
	done 2>/dev/null
}

# The groups are empty once the server has been started anew.
shards_release() { rmdir "$SHARDS_GROUPS"/concresce-* 2>/dev/null || :; }

shards_measure() {
	local what=$1 clients=$2 items=$3 before

	local_sql -c 'SELECT direct.user_score(1)' >/dev/null
	before=$(shards_ticks)
	bounded $((BENCH_SECONDS + 60)) pgbench -n -f "$WORK/shards_${what/held/calls}.sql" -c "$clients" -j 2 \
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
			if shards_hold; then
				shards_round held "$SHARDS_CLIENTS" 1 "$collectors" "$round"
			fi
		done
	done
	shards_start 1
	shards_release
	note ''
	shards_report
}

shards_report() {
	local load one two cores

	printf '%10s%14s%14s%10s%18s%18s\n' load 'items/s, one' 'items/s, two' ratio 'collector cores' 'of two'
	for load in calls scans wide held; do
		one=$(shards_figure items_per_second "$load 1")
		two=$(shards_figure items_per_second "$load 2")
		[ -n "$one" ] && [ -n "$two" ] || continue
		cores=$(shards_figure collector_cores "$load 1")
		printf '%10s%14s%14s%10s%18s%18s\n' "$load" "$one" "$two" "$(calc "$two / $one")" \
			"$cores" "$(shards_figure collector_cores "$load 2")"
	done
	say "  With $(nproc) cores for both servers, the clients and the collectors; held: calls, with $SHARDS_PERCENT % of a core for each."
	if [ -n "$(shards_figure items_per_second 'held 1')" ]; then
		verdict 'two collectors beside one that is the bottleneck' \
			"$(calc "$(shards_figure items_per_second 'held 2') / $(shards_figure items_per_second 'held 1')")" '>=' 1.5
	fi
}

shards_figure() {
	medians "$RESULTS/shards.csv" 'load collectors' "$1" |
		awk -v load="${2% *}" -v n="${2#* }" '$1 == load && $2 == n { print (($3 > 100) ? sprintf("%.0f", $3) : $3) }'
}
