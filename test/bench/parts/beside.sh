# shellcheck shell=bash
#
# What one caller notices of a scan of the same lookup: the p99 of calls with a
# random key, while another session scans 1,000,000 rows again and again, beside
# the same with the older version.

BESIDE_RATE=200	# calls a second

beside_scan() {
	cost_sql "$1" -c "SELECT count(cost.score(1 + i * 7919 % $KEYS)) FROM generate_series(1, 1000000::bigint) i" >/dev/null
}

# beside_run CLUSTER ALONE|'': p50 and p99 in us
beside_run() {
	local cluster=$1 alone=$2 pid=

	rm -f "$WORK"/run/beside_log.*
	if [ -z "$alone" ]; then
		(while beside_scan "$cluster"; do :; done) </dev/null >/dev/null 2>&1 &
		pid=$!
		sleep 0.5
	fi
	bounded 120 pgbench -n -M prepared -c 1 -R "$BESIDE_RATE" -T "$BENCH_SECONDS" \
		-l --log-prefix="$WORK/run/beside_log" -f "$WORK/run/cost_score.sql" \
		-h "$(cost_folder "$cluster")" -p "${PORT[$cluster]}" -U postgres bench >"$WORK/beside.out" 2>&1
	if [ -n "$pid" ]; then
		kill "$pid" 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
		cost_sql "$cluster" -c "SELECT pg_cancel_backend(pid) FROM pg_stat_activity
			WHERE backend_type = 'client backend' AND state = 'active' AND pid <> pg_backend_pid()" >/dev/null
	fi
	cat "$WORK"/run/beside_log.* | awk '{ print $3 }' | sort -n | awk '
		{ v[NR] = $1 }
		END { print v[int(NR * 0.5 + 0.5)], v[int(NR * 0.99 + 0.5)] }' >"$WORK/beside.p"
}

beside_compare() {
	local cluster p50 p99 with50 with99

	for cluster in "${COST_CLUSTERS[@]}"; do
		beside_run "$cluster" alone && read -r p50 p99 <"$WORK/beside.p" &&
			beside_run "$cluster" '' && read -r with50 with99 <"$WORK/beside.p" || return 1
		say "$round,$cluster,$p50,$p99,$with50,$with99" >>"$RESULTS/beside.csv"
	done
}

part_beside() {
	local round ratio

	say ''
	say "== beside: a caller beside a scan of 1,000,000 rows; us, of its calls"
	if ! have concresce; then
		say '  skipped: concresce is not there'
		return
	fi
	cost_prepare
	count_statements off
	say 'round,version,p50_alone,p99_alone,p50_beside,p99_beside' >"$RESULTS/beside.csv"
	for ((round = 1; round <= BENCH_ROUNDS; round++)); do
		undisturbed beside_compare || note '  failed'
		progress
	done
	note ''
	awk -F, 'NR > 1 {
		printf "  %-7s alone %6d, p99 %7d; beside the scan %6d, p99 %7d\n",
			$2 == "base" ? "before:" : "now:", $3, $4, $5, $6
	}' "$RESULTS/beside.csv"
	[ -n "${PORT[base]:-}" ] || return 0
	ratio=$(awk -F, '
		NR > 1 { us[$1, $2] = $6; rounds[$1] = 1 }
		END {
			for (r in rounds)
				if (us[r, "base"] > 0)
					print us[r, "local"] / us[r, "base"]
		}' "$RESULTS/beside.csv" | sort -n | awk '{ v[NR] = $1 } END { printf "%.2f", v[int((NR + 1) / 2)] }')
	verdict "p99 of a call beside a scan, now / before" "$ratio" '<=' 1.2
}
