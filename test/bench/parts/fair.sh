# shellcheck shell=bash
#
# Two lookups of one server, one of which takes 500 ms and the other 1 ms, with
# 32 sessions each: what those of the fast one notice of the slow one. Each
# session of the fast one calls it at a rate that leaves the machine room.

FAIR_SESSIONS=32
FAIR_RATE=800	# calls of the fast one a second
FAIR_SLOW_MS=500
FAIR_FAST_MS=1

fair_objects() {
	local kind

	local_sql >/dev/null <<-SQL
		CREATE SCHEMA fair;
		CREATE SERVER fair FOREIGN DATA WRAPPER concresce
			OPTIONS (host '127.0.0.1', port '${PORT[foreign]}', dbname 'bench');
		CREATE USER MAPPING FOR postgres SERVER fair OPTIONS (user 'direct_concresce');
		CREATE FUNCTION fair.slow(id bigint) RETURNS int LANGUAGE concresce STABLE STRICT
		SET concresce.server = 'fair' AS \$\$
			SELECT i, i::int FROM pg_sleep($FAIR_SLOW_MS / 1000.0), unnest(collect(id)) AS i
		\$\$;
		CREATE FUNCTION fair.fast(id bigint) RETURNS int LANGUAGE concresce STABLE STRICT
		SET concresce.server = 'fair' AS \$\$
			SELECT i, i::int FROM pg_sleep($FAIR_FAST_MS / 1000.0), unnest(collect(id)) AS i
		\$\$;
	SQL
	for kind in slow fast; do
		as_user tee "$WORK/run/fair_$kind.sql" >/dev/null <<-SQL
			\\set id random(1, $KEYS)
			SELECT fair.$kind(:id);
		SQL
	done
}

# fair_run ALONE|'': p50 and p99 in us of the fast one
fair_run() {
	local alone=$1 pid=

	rm -f "$WORK"/run/fair_log.*
	if [ -z "$alone" ]; then
		as_user timeout -k 5 120 pgbench -n -M simple -c "$FAIR_SESSIONS" -j 1 \
			-T $((BENCH_SECONDS + 2)) -f "$WORK/run/fair_slow.sql" \
			"$(local_conninfo)" >"$WORK/fair_slow.out" 2>&1 </dev/null &
		pid=$!
		sleep 1
	fi
	bounded 120 pgbench -n -M simple -c "$FAIR_SESSIONS" -j 1 -R "$FAIR_RATE" \
		-T "$BENCH_SECONDS" -l --log-prefix="$WORK/run/fair_log" \
		-f "$WORK/run/fair_fast.sql" "$(local_conninfo)" >"$WORK/fair.out" 2>&1
	[ -z "$pid" ] || wait "$pid"
	cat "$WORK"/run/fair_log.* | awk '{ print $3 }' | sort -n | awk '
		{ v[NR] = $1 }
		END { print v[int(NR * 0.5 + 0.5)], v[int(NR * 0.99 + 0.5)] }' >"$WORK/fair.p"
}

fair_measure() {
	fair_run alone && read -r FAIR_P50 FAIR_P99 <"$WORK/fair.p" &&
		fair_run '' && read -r FAIR_WITH_P50 FAIR_WITH_P99 <"$WORK/fair.p"
}

part_fair() {
	local round ratio

	say ''
	say "== fair: a lookup of $FAIR_FAST_MS ms beside one of $FAIR_SLOW_MS ms at one server," \
		"$FAIR_SESSIONS sessions each; us, of calls of the fast one"
	if ! have concresce; then
		say '  skipped: concresce is not there'
		return
	fi
	fair_objects
	count_statements off
	say 'round,p50_alone,p99_alone,p50_beside,p99_beside,others_cpu_percent' >"$RESULTS/fair.csv"
	fair_run alone
	for ((round = 1; round <= BENCH_ROUNDS; round++)); do
		if ! undisturbed fair_measure; then
			note '  failed'
			continue
		fi
		say "$round,$FAIR_P50,$FAIR_P99,$FAIR_WITH_P50,$FAIR_WITH_P99,$OTHERS_CPU" >>"$RESULTS/fair.csv"
		progress
	done
	note ''
	awk -F, 'NR > 1 {
		printf "  alone %6d, p99 %7d; beside the slow one %6d, p99 %7d\n", $2, $3, $4, $5
	}' "$RESULTS/fair.csv"
	ratio=$(awk -F, 'NR > 1 { print $5 / $3 }' "$RESULTS/fair.csv" |
		sort -n | awk '{ v[NR] = $1 } END { printf "%.2f", v[int((NR + 1) / 2)] }')
	verdict 'p99 of the fast lookup beside the slow one, ratio' "$ratio" '<=' 3
}
