# shellcheck shell=bash
#
# Writes: 64 sessions that commit one row at a time, and 100,000 rows written
# by one statement, as enqueued events and over postgres_fdw.  Rows a second.

WRITES_CLIENTS=64
WRITES_ROWS=100000
WRITES_PEERS=(concresce fdw_1000 fdw_100 fdw_1)

writes_objects() {
	local path=$1 size

	for size in 1 100 1000; do
		local_sql <<-SQL
			CREATE FOREIGN TABLE $path.events_fdw_$size (id bigint, kind text, body text)
				SERVER fdw_$path OPTIONS (schema_name 'public', table_name 'events', batch_size '$size');
		SQL
	done
	if have concresce; then
		local_sql <<-SQL
			CREATE FUNCTION $path.log_event(id bigint, kind text, body text) RETURNS void
			LANGUAGE concresce VOLATILE
			SET concresce.server = 'foreign_cc_$path'
			AS \$\$ INSERT INTO events SELECT * FROM unnest(collect(id), collect(kind), collect(body)) \$\$;
		SQL
	fi
	# How long it takes, in ms: until the session is free, and until all rows
	# have landed.
	local_sql <<-SQL
		CREATE FUNCTION $path.write_events(peer text, n int, OUT ms float8) LANGUAGE plpgsql AS \$\$
		DECLARE
			started timestamptz := clock_timestamp();
			events text := format('SELECT i::bigint, ''click'', ''payload '' || i FROM generate_series(1, %s) i', n);
		BEGIN
			IF peer = 'concresce' THEN
				EXECUTE format('SELECT count(concresce.enqueue(''$path.log_event'', id, kind, body)) FROM (%s) e(id, kind, body)', events);
			ELSE
				EXECUTE format('INSERT INTO $path.%I %s', 'events_' || peer, events);
			END IF;
			ms := 1000 * extract(epoch FROM clock_timestamp() - started);
		END \$\$;
		CREATE PROCEDURE $path.time_events(peer text, n int, INOUT free_ms float8, INOUT landed_ms float8) LANGUAGE plpgsql AS \$\$
		DECLARE
			started timestamptz := clock_timestamp();
		BEGIN
			PERFORM $path.write_events(peer, n);
			COMMIT;
			free_ms := 1000 * extract(epoch FROM clock_timestamp() - started);
			IF peer = 'concresce' THEN
				PERFORM concresce.flush();
			END IF;
			landed_ms := 1000 * extract(epoch FROM clock_timestamp() - started);
		END \$\$;
	SQL
}

# Until everything that was enqueued has landed.
writes_landed() {
	have concresce || return 0
	for _ in {1..6000}; do
		[ "$(local_sql -c 'SELECT coalesce(sum(queued + active), 0) FROM concresce.stats')" != 0 ] || return 0
		sleep 0.01
	done
	return 1
}

# What was enqueued for one measurement must not land in the next one.
writes_rest() {
	writes_landed
	foreign_sql -d bench -c 'TRUNCATE events' -c CHECKPOINT >/dev/null
}

# What is not there yet when the clients have finished takes its time, too.
writes_commits() {
	local peer=$1 rtt=$2 path ended

	path=$(path_at "$rtt")
	say '\set id random(1, 1000000)' >"$WORK/writes.sql"
	if [ "$peer" = concresce ]; then
		say "SELECT concresce.enqueue('$path.log_event', :id, 'click', 'payload');"
	else
		say "INSERT INTO $path.events_$peer VALUES (:id, 'click', 'payload');"
	fi >>"$WORK/writes.sql"
	bounded $((BENCH_SECONDS + 60)) pgbench -n -f "$WORK/writes.sql" -c "$WRITES_CLIENTS" -j 2 \
		-T "$BENCH_SECONDS" "$(local_conninfo)" >"$WORK/pgbench.out" 2>&1 || return 1
	ended=$EPOCHREALTIME
	writes_landed || return 1
	RATE=$(awk -v seconds="$BENCH_SECONDS" -v more="$(calc "$EPOCHREALTIME - $ended" %.3f)" '
		/^tps =/ { printf "%.0f", $3 * seconds / (seconds + more) }' "$WORK/pgbench.out")
	FREE_MS=
	LANDED_MS=
}

writes_statement() {
	local peer=$1 rtt=$2 rows=$WRITES_ROWS

	# one row a round trip takes its time
	[ "$peer" != fdw_1 ] || rows=2000
	bounded 120 psql -X -q -At -F ' ' -d "$(local_conninfo)" \
		-c "CALL $(path_at "$rtt").time_events('$peer', $rows, 0, 0)" >"$WORK/writes.out" 2>&1 || return 1
	read -r FREE_MS LANDED_MS <"$WORK/writes.out"
	RATE=$(calc "$rows * 1000 / $LANDED_MS" %.0f)
}

writes_round() {
	local what=$1 peer=$2 rtt=$3 round=$4

	writes_rest
	if ! undisturbed "writes_$what" "$peer" "$rtt"; then
		cpu_since_mark
		RATE=failed
		FREE_MS=
		LANDED_MS=
		note "  $what, $peer, $rtt ms: $(grep -hiE 'error|fatal' "$WORK/pgbench.out" "$WORK/writes.out" 2>/dev/null | head -n 1)"
	fi
	say "$what,$rtt,$round,$peer,$RATE,$FREE_MS,$LANDED_MS,$PROXY_CPU,$OTHERS_CPU" >>"$RESULTS/writes.csv"
	progress
}

part_writes() {
	local rtt round peer what
	local -a peers=()

	say ''
	say "== writes: $WRITES_CLIENTS sessions that commit one row at a time; $WRITES_ROWS rows by one statement"
	foreign_sql -d bench -c 'CREATE TABLE IF NOT EXISTS events (id bigint, kind text, body text)' >/dev/null
	writes_objects direct
	writes_objects delayed
	say 'what,rtt_ms,round,peer,rows_per_second,free_ms,landed_ms,proxy_cpu_percent,others_cpu_percent' >"$RESULTS/writes.csv"
	for peer in "${WRITES_PEERS[@]}"; do
		if [ "$peer" = concresce ]; then
			have concresce || continue
		else
			have postgres_fdw || continue
		fi
		peers+=("$peer")
	done
	for rtt in $BENCH_RTT_MS; do
		for ((round = 1; round <= BENCH_ROUNDS; round++)); do
			for peer in "${peers[@]}"; do
				# in one row a commit there is nothing to batch
				[[ $peer == fdw_1000 || $peer == fdw_100 ]] ||
					writes_round commits "$peer" "$rtt" "$round"
				writes_round statement "$peer" "$rtt" "$round"
			done
		done
	done
	printf '\n' >&2
	medians "$RESULTS/writes.csv" 'what rtt_ms peer' rows_per_second >"$WORK/writes"
	for what in commits statement; do
		awk -v what="$what" '$1 == what { print $2, $3, $4, $7 }' "$WORK/writes" |
			print_matrix "$what: rows a second" %.0f 'round trip ms' "${peers[@]}"
	done
	for what in free landed; do
		medians "$RESULTS/writes.csv" 'what rtt_ms peer' "${what}_ms" |
			awk -v what="$what" '$1 == "statement" && $3 == "concresce" { print $2, what, $4, $7 }'
	done >"$WORK/writes_ms"
	print_matrix 'statement, concresce: ms until the session is free, and until all has landed' \
		%.0f 'round trip ms' free landed <"$WORK/writes_ms"
	writes_verdicts
}

writes_verdicts() {
	local what rtt peer target measured mark

	have concresce && have postgres_fdw || return 0
	say ''
	while read -r what rtt peer target; do
		[[ " $BENCH_RTT_MS " == *" $rtt "* ]] || continue
		read -r measured mark < <(awk -v what="$what" -v rtt="$rtt" -v peer="$peer" '
			$1 == what && $2 == rtt && $3 == "concresce" { own = $4; mark = mark $7 }
			$1 == what && $2 == rtt && $3 == peer { other = $4; mark = mark $7 }
			END { if (other > 0) printf "%.2f %s", own / other, mark ? "disturbed" : "" }' "$WORK/writes") || :
		verdict "$what, $rtt ms: concresce / $peer" "${measured:--}" '>=' "$target" "$mark"
	done <<-TARGETS
		commits 0 fdw_1 4
		commits 1 fdw_1 10
		statement 0 fdw_1000 0.67
		statement 1 fdw_1000 0.67
	TARGETS
	for rtt in $BENCH_RTT_MS; do
		read -r measured mark < <(awk -v rtt="$rtt" '
			$1 == rtt && $2 == "free" { free = $3; mark = mark $4 }
			$1 == rtt && $2 == "landed" { landed = $3; mark = mark $4 }
			END { if (landed > 0) printf "%.2f %s", free / landed, mark ? "disturbed" : "" }' "$WORK/writes_ms") || :
		verdict "statement, $rtt ms: session free / all landed" "${measured:--}" '<' 1 "$mark"
	done
}
