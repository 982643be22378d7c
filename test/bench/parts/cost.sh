# shellcheck shell=bash
#
# What the collector itself costs: its CPU time for an item, for a request and
# for a batch, beside that of an older version in the same run, and where it
# goes. Both versions have clusters of their own and one foreign server.
#
# Time is what the scheduler has counted for the process and its threads, so it
# holds what the kernel does for it. Where that goes is told by perf, and by
# strace, which counts system calls; both are of further runs.

COST_KINDS=(one eight crowd scan enqueued statement local_one local_eight)
COST_ROWS=100000

cost_label() {
	case $1 in
		one) say 'one caller' ;;
		eight) say '8 callers' ;;
		crowd) say '64 callers' ;;
		scan) say "a scan of $COST_ROWS rows" ;;
		enqueued) say '64 sessions that enqueue one each time' ;;
		statement) say "$COST_ROWS enqueued by a statement" ;;
		local_one) say 'one caller of a local lookup' ;;
		local_eight) say '8 callers of a local lookup' ;;
	esac
}

# The last commit before this version, or the folder that BENCH_BASE names.
cost_base_sources() {
	local to=$1 commit

	mkdir -p "$to"
	if [ -n "${BENCH_BASE:-}" ]; then
		tar -C "$BENCH_BASE" --exclude=./.git --exclude='*.o' --exclude='*.so' \
			--exclude='*.bc' -cf - . | tar -C "$to" --no-same-owner -xf -
		return
	fi
	commit=$(git -C "$TOP" log -n 1 --format=%H -S"default_version = '0.2.0'" \
		-- concresce.control 2>/dev/null) && [ -n "$commit" ] &&
		git -C "$TOP" archive "$commit^" 2>/dev/null | tar -C "$to" -xf -
}

# A cluster of the older version, in a folder like that of this run: COST_PGBIN,
# PORT[base].
cost_start_base() {
	local port

	cost_base_sources "$WORK/base/src" || return 1
	mkdir "$WORK/base/run"
	chmod 755 "$WORK/base"
	(
		trap - EXIT
		TOP=$WORK/base/src WORK=$WORK/base PGBIN=
		private_installation
		bench_cluster base "shared_preload_libraries = 'concresce'" \
			"concresce.max_connections = $BENCH_CONNECTIONS"
		say "${PORT[base]} $PGBIN" >"$WORK/cluster"
	) >"$WORK/base.log" 2>&1 || return 1
	read -r port COST_PGBIN <"$WORK/base/cluster"
	PORT[base]=$port
}

cost_folder() {
	if [ "$1" = base ]; then
		say "$WORK/base/run/base"
	else
		say "$WORK/run/local"
	fi
}

cost_sql() {
	local cluster=$1

	shift
	as_user psql -X -q -At -v ON_ERROR_STOP=1 -h "$(cost_folder "$cluster")" \
		-p "${PORT[$cluster]}" -U postgres -d bench "$@"
}

cost_objects() {
	cost_sql "$1" <<-SQL
		CREATE SCHEMA cost;
		CREATE SERVER cost FOREIGN DATA WRAPPER concresce
			OPTIONS (host '127.0.0.1', port '${PORT[foreign]}', dbname 'bench');
		CREATE USER MAPPING FOR postgres SERVER cost OPTIONS (user 'direct_concresce');
		CREATE FUNCTION cost.score(user_id bigint) RETURNS int LANGUAGE concresce STABLE STRICT
		SET concresce.server = 'cost' AS \$\$ SELECT score FROM scores WHERE id = user_id \$\$;
		CREATE FUNCTION cost.same(user_id bigint) RETURNS int LANGUAGE concresce STABLE STRICT
		AS \$\$ SELECT user_id::int \$\$;
		CREATE FUNCTION cost.note(id bigint) RETURNS void LANGUAGE concresce VOLATILE
		SET concresce.server = 'cost' AS \$\$ INSERT INTO cost_events SELECT unnest(collect(id)) \$\$;
	SQL
}

cost_script() {
	as_user tee "$WORK/run/cost_$1.sql" >/dev/null
}

cost_pgbench() {
	local cluster=$1 script=$2 clients=$3 calls=$4

	bounded 180 pgbench -n -M prepared -c "$clients" -j 1 -t $((calls / clients)) \
		-f "$WORK/run/cost_$script.sql" -h "$(cost_folder "$cluster")" \
		-p "${PORT[$cluster]}" -U postgres bench >"$WORK/cost.out" 2>&1
	COST_ITEMS=$calls
	COST_REQUESTS=$calls
}

# cost_run CLUSTER KIND: COST_ITEMS and COST_REQUESTS are how many there were.
cost_run() {
	local cluster=$1

	case $2 in
		one) cost_pgbench "$cluster" score 1 $((COST_CALLS / 4)) ;;
		eight) cost_pgbench "$cluster" score 8 "$COST_CALLS" ;;
		crowd) cost_pgbench "$cluster" score 64 $((2 * COST_CALLS)) ;;
		local_one) cost_pgbench "$cluster" same 1 $((COST_CALLS / 4)) ;;
		local_eight) cost_pgbench "$cluster" same 8 "$COST_CALLS" ;;
		enqueued)
			cost_pgbench "$cluster" note 64 "$COST_CALLS" &&
				cost_sql "$cluster" -c 'SELECT concresce.flush()' >/dev/null
			;;
		scan)
			COST_ITEMS=$COST_ROWS
			COST_REQUESTS=$(cost_sql "$cluster" -c "EXPLAIN (ANALYZE, TIMING OFF)
				SELECT cost.score(1 + i * 7919 % $KEYS) FROM generate_series(1, $COST_ROWS::bigint) i" |
				sed -n 's/^ *Rounds: //p')
			[ -n "$COST_REQUESTS" ]
			;;
		statement)
			COST_ITEMS=$COST_ROWS
			COST_REQUESTS=1
			cost_sql "$cluster" -c "SELECT count(concresce.enqueue('cost.note', i))
				FROM generate_series(1, $COST_ROWS::bigint) i" \
				-c 'SELECT concresce.flush()' >/dev/null
			;;
	esac
}

cost_collector() {
	cost_sql "$1" -c "SELECT pid FROM pg_stat_activity
		WHERE backend_type LIKE 'concresce collector%' LIMIT 1"
}

# Nanoseconds on a processor.
cost_time() {
	cat "/proc/$1/task/"*/schedstat | awk '{ ns += $1 } END { printf "%.0f", ns }'
}

cost_batches() {
	cost_sql "$1" -c 'SELECT coalesce(sum(batches), 0) FROM concresce.stats'
}

# cost_measure CLUSTER KIND: one more line of cost.csv
cost_measure() {
	local cluster=$1 kind=$2 pid batches before after

	pid=$(cost_collector "$cluster")
	batches=$(cost_batches "$cluster")
	before=$(cost_time "$pid")
	cost_run "$cluster" "$kind" || return
	after=$(cost_time "$pid")
	batches=$(($(cost_batches "$cluster") - batches))
	COST_US=$(calc "($after - $before) / 1000 / $COST_ITEMS" %.4f)
	say "$round,$kind,$cluster,$COST_ITEMS,$COST_REQUESTS,$batches,$COST_US,$(
		calc "($after - $before) / 1000 / $COST_REQUESTS" %.2f),$(
		calc "($after - $before) / 1000 / ($batches > 0 ? $batches : 1)" %.2f)" \
		>>"$RESULTS/cost.csv"
}

# In turns, so that what disturbs one disturbs the other.
cost_compare() {
	local cluster

	for cluster in "${COST_CLUSTERS[@]}"; do
		cost_measure "$cluster" "$1" || return
	done
}

cost_median() {
	awk -F, -v kind="$1" -v cluster="$2" -v column="$3" \
		'$1 > 0 && $2 == kind && $3 == cluster { print $column }' "$RESULTS/cost.csv" |
		sort -n | awk '{ v[NR] = $1 } END { if (NR) print v[int((NR + 1) / 2)] }'
}

cost_table() {
	local kind cluster

	say ''
	printf '  %-44s %-8s %10s %12s %12s\n' "collector's CPU time, us" version item request batch
	for kind in "${COST_KINDS[@]}"; do
		for cluster in "${COST_CLUSTERS[@]}"; do
			[ -n "$(cost_median "$kind" "$cluster" 7)" ] || continue
			printf '  %-44s %-8s %10.2f %12.1f %12.1f\n' "$(cost_label "$kind")" \
				"$([ "$cluster" = base ] && say before || say now)" \
				"$(cost_median "$kind" "$cluster" 7)" \
				"$(cost_median "$kind" "$cluster" 8)" \
				"$(cost_median "$kind" "$cluster" 9)"
		done
	done
}

# The ratio of each round, of which the median counts.
cost_ratio() {
	awk -F, -v kind="$1" '
		$1 > 0 && $2 == kind { us[$1, $3] = $7; rounds[$1] = 1 }
		END {
			for (r in rounds)
				if (us[r, "base"] > 0)
					print us[r, "local"] / us[r, "base"]
		}' "$RESULTS/cost.csv" | sort -n |
		awk '{ v[NR] = $1 } END { if (NR) printf "%.2f", v[int((NR + 1) / 2)] }'
}

cost_verdicts() {
	local kind ratio ratios=()

	say ''
	for kind in "${COST_KINDS[@]}"; do
		ratio=$(cost_ratio "$kind")
		[ -n "$ratio" ] || continue
		ratios+=("$ratio")
		verdict "time now / before: $(cost_label "$kind")" "$ratio" '<=' 1
	done
	[ ${#ratios[@]} -gt 0 ] || return 0
	verdict 'all of these, geometric mean' "$(printf '%s\n' "${ratios[@]}" |
		awk '{ s += log($1) } END { printf "%.2f", exp(s / NR) }')" '<=' 0.5
}

# Samples of the time, by library, and of the kernel's, by system call.
cost_perf() {
	local pid=$1 kind=$2 data=$WORK/cost.perf tracer

	perf record -q -e cpu-clock -F 4999 -g -o "$data" -p "$pid" >/dev/null 2>&1 &
	tracer=$!
	sleep 0.5
	cost_run local "$kind"
	kill -INT "$tracer" 2>/dev/null || :
	wait "$tracer" 2>/dev/null || :
	perf report -i "$data" --no-children --sort dso -g none --stdio 2>/dev/null |
		awk '/^ +[0-9.]+%/ { printf "%s %s  ", $1, $2 }'
	say ''
	perf report -i "$data" --children --sort symbol -g none --stdio 2>/dev/null |
		awk '$NF != "" && $0 ~ /\[k\] __x64_sys_/ {
			for (i = 1; i <= NF; i++)
				if ($i ~ /^__x64_sys_/) {
					sub(/^__x64_sys_/, "", $i)
					printf "%s %s  ", $1, $i
				}
		}'
	say ''
}

# How often each system call is made, for an item and for a batch.
cost_strace() {
	local pid=$1 kind=$2 tracer batches

	batches=$(cost_batches local)
	strace -c -o "$WORK/cost.strace" -p "$pid" 2>/dev/null &
	tracer=$!
	sleep 0.5
	cost_run local "$kind"
	kill -INT "$tracer" 2>/dev/null || :
	wait "$tracer" 2>/dev/null || :
	batches=$(($(cost_batches local) - batches))
	awk -v items="$COST_ITEMS" -v batches="$batches" '
		$1 ~ /^[0-9.]+$/ && $NF != "total" && $4 > 0 && batches > 0 {
			printf "%s %.3f (%.2f)  ", $NF, $4 / items, $4 / batches
		}' "$WORK/cost.strace"
	say ''
}

cost_breakdown() {
	local kind pid

	say ''
	say '  where it goes: share of the time by library, and of system calls; then system calls an item (a batch)'
	for kind in one crowd scan enqueued; do
		pid=$(cost_collector local)
		say "  $(cost_label "$kind"):"
		if command -v perf >/dev/null; then
			cost_perf "$pid" "$kind" 2>/dev/null | sed 's/^/    /'
		fi
		if command -v strace >/dev/null; then
			cost_strace "$pid" "$kind" 2>/dev/null | sed 's/^/    /'
		fi
	done
}

# Both versions, if there is an older one, in COST_CLUSTERS; once for all parts.
cost_prepare() {
	local cluster

	[ -z "${COST_CLUSTERS[*]:-}" ] || return 0
	COST_CLUSTERS=(local)
	if cost_start_base; then
		COST_CLUSTERS=(base local)
		cost_sql base -c 'CREATE EXTENSION concresce'
	else
		note '  There is no older version to compare with: set BENCH_BASE to its checkout.'
	fi
	foreign_sql -d bench -c 'CREATE UNLOGGED TABLE cost_events (id bigint)'
	for cluster in "${COST_CLUSTERS[@]}"; do
		cost_objects "$cluster"
	done
	cost_script score <<-SQL
		\\set id random(1, $KEYS)
		SELECT cost.score(:id);
	SQL
	cost_script same <<-SQL
		\\set id random(1, $KEYS)
		SELECT cost.same(:id);
	SQL
	cost_script note <<-SQL
		SELECT concresce.enqueue('cost.note', 42::bigint);
	SQL
}

part_cost() {
	local round kind

	say ''
	say "== cost: CPU time of the collector, us"
	if ! have concresce; then
		say '  skipped: concresce is not there'
		return
	fi
	want_if_packaged 'command -v perf' linux-perf
	want_if_packaged 'command -v strace' strace
	install_missing
	COST_CALLS=16000
	[ -z "${QUICK:-}" ] || COST_CALLS=4000
	cost_prepare
	count_statements off
	say 'round,kind,version,items,requests,batches,us_item,us_request,us_batch' >"$RESULTS/cost.csv"
	for kind in "${COST_KINDS[@]}"; do
		# round 0 is there to warm up
		for ((round = 0; round <= BENCH_ROUNDS; round++)); do
			undisturbed cost_compare "$kind" || note "  $kind: failed"
			progress
		done
		foreign_sql -d bench -c 'TRUNCATE cost_events'
	done
	note ''
	cost_table
	cost_verdicts
	cost_breakdown
}
