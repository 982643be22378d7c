# shellcheck shell=bash
#
# What is left behind by many lookups, and what the collector does when there
# is nothing to do.

idle_pids() {
	local_sql -c "SELECT pid FROM pg_stat_activity
		WHERE backend_type = 'concresce collector' ORDER BY pid"
}

# idle_memory LOOKUPS: sizes in kB of the first collector, and of the dynamic
# shared memory it has mapped
idle_memory() {
	local pid anon shmem dsm

	pid=$(idle_pids | head -1)
	anon=$(awk '/^RssAnon/ { print $2 }' "/proc/$pid/status")
	shmem=$(awk '/^RssShmem/ { print $2 }' "/proc/$pid/status")
	dsm=$(awk '/\/PostgreSQL\.[0-9]+/ { print $1 }' "/proc/$pid/maps" |
		while IFS=- read -r from to; do
			say $(((16#$to - 16#$from) / 1024))
		done | awk '{ kb += $1 } END { print kb + 0 }')
	say "$1,$pid,$anon,$shmem,$dsm" >>"$RESULTS/memory.csv"
	say "  after $1 lookups: collector's own $anon kB, shared touched $shmem kB," \
		"dynamic shared memory $dsm kB"
}

# idle_lookups COUNT: random keys from 64 clients
idle_lookups() {
	local each=$(($1 / 64))

	calls_script concresce direct >"$WORK/idle.sql"
	bounded 600 pgbench -n -D linked=0 -f "$WORK/idle.sql" -c 64 -j 2 \
		-t "$each" "$(local_conninfo)" \
		>"$WORK/pgbench.out" 2>&1 ||
		die "lookups failed: $(grep -iE 'error|fatal' "$WORK/pgbench.out" | head -1)"
}

idle_switches() {
	local pid

	for pid in $(idle_pids); do
		awk '/ctxt_switches/ { n += $2 } END { print n }' "/proc/$pid/status"
	done | awk '{ n += $1 } END { print n + 0 }'
}

part_idle() {
	local lookups=$BENCH_LOOKUPS before after statements first last

	say ''
	say "== idle: memory after $lookups lookups, and 10 s with nothing to do"
	if ! have concresce; then
		say '  skipped: concresce is not there'
		return
	fi
	say 'lookups,pid,rss_anon_kb,rss_shmem_kb,dsm_kb' >"$RESULTS/memory.csv"
	count_statements off
	idle_lookups 10048
	idle_memory 10048
	idle_lookups "$lookups"
	idle_memory $((lookups / 64 * 64 + 10048))
	first=$(awk -F, 'NR == 2 { print $3 + $5 }' "$RESULTS/memory.csv")
	last=$(awk -F, 'END { print $3 + $5 }' "$RESULTS/memory.csv")
	if [[ $(cut -d, -f2 "$RESULTS/memory.csv" | sed 1d | sort -u | wc -l) != 1 ]]; then
		die 'the collector was restarted meanwhile'
	fi

	count_statements on
	sleep 2
	foreign_reset
	before=$(idle_switches)
	sleep 10
	after=$(idle_switches)
	statements=$(foreign_calls concresce 0)
	count_statements off
	say "context_switches,foreign_statements" >"$RESULTS/idle.csv"
	say "$((after - before)),$statements" >>"$RESULTS/idle.csv"
	say ''
	verdict "growth of private and dynamic shared memory, kB" \
		"$((last - first))" '<=' 512
	verdict "context switches of the collector in 10 s" $((after - before)) '<=' 1
	verdict "foreign queries in 10 s" "$statements" '<=' 0
}
