# shellcheck shell=bash
#
# Ten servers, one of which is bad: what those who call the other nine notice.
# Each of nine sessions calls a server of its own, at a rate that leaves the
# machine room; one more calls the bad one all the while, or does not.

BAD_KINDS=(good mute half closed rows parse settings row scram)
BAD_RATE=900	# calls a second, of all nine

bad_objects() {
	local i kind

	for i in {0..8}; do
		local_sql >/dev/null <<-SQL
			CREATE SERVER bad_other_$i FOREIGN DATA WRAPPER concresce
				OPTIONS (host '127.0.0.1', port '${PORT[foreign]}', dbname 'bench');
			CREATE USER MAPPING FOR postgres SERVER bad_other_$i OPTIONS (user 'direct_concresce');
			CREATE FUNCTION bad.score_$i(user_id bigint) RETURNS int
			LANGUAGE concresce STABLE STRICT SET concresce.server = 'bad_other_$i'
			AS \$\$ SELECT score FROM scores WHERE id = user_id \$\$;
		SQL
	done
	for kind in "${BAD_KINDS[@]}"; do
		local_sql >/dev/null <<-SQL
			CREATE SERVER bad_$kind FOREIGN DATA WRAPPER concresce
				OPTIONS (host '127.0.0.1', port '$BAD_PORT', dbname '$kind', connect_timeout '2');
			CREATE USER MAPPING FOR postgres SERVER bad_$kind OPTIONS (user 'me', password 'secret');
			CREATE FUNCTION bad.call_$kind(n int) RETURNS int
			LANGUAGE concresce STABLE STRICT SET concresce.server = 'bad_$kind' SET concresce.timeout = '1s'
			AS \$\$ SELECT n \$\$;
		SQL
	done
	local_sql >/dev/null <<-'SQL'
		CREATE PROCEDURE bad.call(kind text, seconds float8) LANGUAGE plpgsql AS $$
		DECLARE
			n int := 0;
		BEGIN
			WHILE clock_timestamp() < now() + make_interval(secs => seconds) LOOP
				n := n + 1;
				BEGIN
					EXECUTE format('SELECT bad.call_%s($1)', kind) USING n;
				EXCEPTION WHEN query_canceled OR OTHERS THEN
				END;
				PERFORM pg_sleep(0.01);
			END LOOP;
		END $$;
	SQL
}

# The server ends when its input does.
bad_start() {
	coproc BAD { exec perl -I "$TOP/test/t" "$BENCH/bad_server.pl"; }
	CHILDREN+=("$BAD_PID")
	read -r BAD_PORT <&"${BAD[0]}"
}

# bad_run KIND|'': p50 and p99 in us of the nine
bad_run() {
	local kind=$1 pid=

	rm -f "$WORK"/run/bad_log.*
	if [ -n "$kind" ]; then
		local_sql -c "CALL bad.call('$kind', $BENCH_SECONDS + 1)" >/dev/null &
		pid=$!
		sleep 0.5
	fi
	bounded 120 pgbench -n -M simple -c 9 -j 1 -R "$BAD_RATE" -T "$BENCH_SECONDS" \
		-l --log-prefix="$WORK/run/bad_log" -f "$WORK/run/bad.sql" \
		"$(local_conninfo)" >"$WORK/bad.out" 2>&1
	[ -z "$pid" ] || wait "$pid"
	cat "$WORK"/run/bad_log.* | awk '{ print $3 }' | sort -n | awk '
		{ v[NR] = $1 }
		END { print v[int(NR * 0.5 + 0.5)], v[int(NR * 0.99 + 0.5)] }' >"$WORK/bad.p"
}

bad_measure() {
	bad_run '' && read -r BAD_P50 BAD_P99 <"$WORK/bad.p" &&
		bad_run "$1" && read -r BAD_WITH_P50 BAD_WITH_P99 <"$WORK/bad.p"
}

part_bad() {
	local kind round ratio

	say ''
	say '== bad: ten servers, one of which is bad; us, of calls of the other nine'
	if ! have concresce; then
		say '  skipped: concresce is not there'
		return
	fi
	local_sql -c 'CREATE SCHEMA bad' >/dev/null
	bad_start
	bad_objects
	as_user tee "$WORK/run/bad.sql" >/dev/null <<-SQL
		\\set id random(1, $KEYS)
		SELECT bad.score_:client_id(:id);
	SQL
	count_statements off
	say 'round,kind,p50_without,p99_without,p50_with,p99_with,others_cpu_percent' >"$RESULTS/bad.csv"
	bad_run ''
	for ((round = 1; round <= BENCH_ROUNDS; round++)); do
		for kind in "${BAD_KINDS[@]}"; do
			if ! undisturbed bad_measure "$kind"; then
				note "  $kind: failed"
				continue
			fi
			say "$round,$kind,$BAD_P50,$BAD_P99,$BAD_WITH_P50,$BAD_WITH_P99,$OTHERS_CPU" >>"$RESULTS/bad.csv"
			progress
		done
	done
	note ''
	say ''
	awk -F, 'NR > 1 && $1 == 1 { printf "  %-10s without %6d, p99 %7d; with %6d, p99 %7d\n", $2, $3, $4, $5, $6 }' \
		"$RESULTS/bad.csv"
	for kind in "${BAD_KINDS[@]}"; do
		ratio=$(awk -F, -v kind="$kind" '$2 == kind { print $6 / $4 }' "$RESULTS/bad.csv" |
			sort -n | awk '{ v[NR] = $1 } END { printf "%.2f", v[int((NR + 1) / 2)] }')
		verdict "p99 of nine servers beside one of kind $kind, ratio" "$ratio" '<=' 1.2
	done
	exec {BAD[1]}>&-
}
