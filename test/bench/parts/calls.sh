# shellcheck shell=bash
#
# Many clients, one single-key lookup of a random key a transaction, at every
# contender, at a round trip of about 0 and of 1 ms.

# A call of the local server that looks nothing up: what the clients and their
# backends cost by themselves.  Only if asked for.
CEILING=local

# The key is a literal in simple protocol and a parameter in the others: the
# scripts work either way.
calls_script() {
	local peer=$1 path=$2

	if [[ $peer == dblink ]]; then
		cat <<-SQL
			\\if :linked
			\\else
			SELECT dblink_connect('c', 'link_$path');
			\\set linked 1
			\\endif
		SQL
	fi
	say "\\set id random(1, $KEYS)"
	case $peer in
		concresce) say "SELECT $path.user_score(:id);" ;;
		postgres_fdw) say "SELECT score FROM $path.scores_fdw WHERE id = :id;" ;;
		plproxy) say "SELECT $path.plproxy_score(:id);" ;;
		dblink) say "SELECT score FROM dblink('c', 'SELECT score FROM scores WHERE id = ' || :id) AS t(score int);" ;;
		"$CEILING") say "SELECT :id;" ;;
		*) say "SELECT score FROM scores WHERE id = :id;" ;;
	esac
}

# calls_target PEER RTT: where pgbench connects
calls_target() {
	case $1 in
		straight) foreign_conninfo straight "$2" ;;
		pgbouncer) say "host=$WORK/run port=$BOUNCER_PORT dbname=$(path_at "$2") user=postgres" ;;
		*) local_conninfo ;;
	esac
}

# PgBouncer before 1.21 knows no prepared statements in transaction mode.
calls_protocol() {
	if [[ $1 == pgbouncer && $2 == prepared ]]; then
		say extended
	else
		say "$2"
	fi
}

# The first connections to the foreign server are opened by the first calls.
# The longer there are more of them.
calls_warm_up() {
	if (($1 > 64)); then
		say 2
	else
		say 1
	fi
}

# pgbench counts the time that it takes to connect as its own, so that much is
# added: what the last run with as many clients took.
declare -A CALLS_CONNECTING=()

# calls_pgbench PEER RTT CLIENTS PROTOCOL SECONDS: leaves in TRANSACTIONS how
# many there were in all, and in TPS those a second once warm.  False: it failed.
calls_pgbench() {
	local peer=$1 rtt=$2 clients=$3 protocol=$4 seconds=$5
	local warm_up length threads=2 tps

	warm_up=$(calls_warm_up "$clients")
	[ "$clients" -gt 1 ] || threads=1
	calls_script "$peer" "$(path_at "$rtt")" >"$WORK/calls.sql"
	TRANSACTIONS=0
	for _ in 1 2 3; do
		length=$((seconds + warm_up + ${CALLS_CONNECTING[$clients]:-0}))
		bounded $((length + 60)) pgbench -n -D linked=0 \
			-f "$WORK/calls.sql" -c "$clients" -j "$threads" \
			-T "$length" -P "$warm_up" \
			-M "$(calls_protocol "$peer" "$protocol")" \
			"$(calls_target "$peer" "$rtt")" >"$WORK/pgbench.out" 2>&1 ||
			return 1
		CALLS_CONNECTING[$clients]=$(awk '/^initial connection time/ {
			printf "%d", $5 / 1000 + 0.9 }' "$WORK/pgbench.out")
		TRANSACTIONS=$((TRANSACTIONS + $(awk '/actually processed:/ {
			split($6, n, "/"); print n[1] }' "$WORK/pgbench.out")))
		tps=$(calls_warm_tps "$seconds")
		if [ -n "$tps" ]; then
			TPS=$tps
			return
		fi
	done
	return 1
}

# Transactions a second less the first interval, if there was time left for
# half of the SECONDS wanted.
calls_warm_tps() {
	awk -v wanted="$1" '
		/^progress:/ && !until { first = $2 * $4; until = $2 }
		/actually processed:/ { split($6, n, "/"); total = n[1] }
		/^tps =/ { tps = $3 }
		END {
			rest = tps > 0 && until ? total / tps - until : 0
			if (rest >= wanted / 2) printf "%.1f", (total - first) / rest
		}' "$WORK/pgbench.out"
}

calls_failed() {
	note "  $1, $3 clients, $2 ms: $(grep -iE 'error|fatal' "$WORK/pgbench.out" |
		head -n 1 | grep . || say 'no figure: too slow to start, or no answer')"
}

calls_round() {
	local peer=$1 rtt=$2 clients=$3 protocol=$4 round=$5

	if ! undisturbed calls_pgbench "$peer" "$rtt" "$clients" "$protocol" \
		"$BENCH_SECONDS"; then
		cpu_since_mark
		TPS=failed
		calls_failed "$peer" "$rtt" "$clients"
	fi
	say "$protocol,$rtt,$clients,$round,$peer,$TPS,$PROXY_CPU,$OTHERS_CPU" \
		>>"$RESULTS/calls.csv"
	progress
}

# Foreign statements a transaction, and connections while it runs.  Not in the
# timed rounds: in simple protocol the cursor statements of postgres_fdw carry
# the key in their text, and counting each as a statement of its own would
# slow that contender alone.
calls_count() {
	local peer=$1 rtt=$2 clients=$3 protocol=$4 sampler calls connections

	foreign_reset
	foreign_connections "$peer" "$rtt" \
		$((2 + $(calls_warm_up "$clients") + ${CALLS_CONNECTING[$clients]:-0})) \
		>"$WORK/connections" 2>/dev/null &
	sampler=$!
	if calls_pgbench "$peer" "$rtt" "$clients" "$protocol" 1; then
		wait "$sampler" || :
		calls=$(foreign_calls "$peer" "$rtt")
		connections=$(<"$WORK/connections")
		say "$protocol,$rtt,$clients,$peer,$TRANSACTIONS,$calls,$connections,$(calc "$calls / $TRANSACTIONS" %.3f)" \
			>>"$RESULTS/calls_foreign.csv"
	else
		calls_failed "$peer" "$rtt" "$clients"
		wait "$sampler" || :
	fi
	progress
}

part_calls() {
	local protocol rtt clients round peer among

	say ''
	say "== calls: one single-key lookup of a random key a transaction"
	say "   $BENCH_ROUNDS rounds of $BENCH_SECONDS s, interleaved, after a warm-up;" \
		"concresce and PgBouncer with $BENCH_CONNECTIONS foreign connections"
	say 'protocol,rtt_ms,clients,round,peer,tps,proxy_cpu_percent,others_cpu_percent' \
		>"$RESULTS/calls.csv"
	say 'protocol,rtt_ms,clients,peer,transactions,foreign_statements,foreign_connections,statements_per_transaction' \
		>"$RESULTS/calls_foreign.csv"
	mapfile -t among < <(those_of "${CONTENDERS[@]}" "$CEILING")
	for protocol in $BENCH_PROTOCOL; do
		for rtt in $BENCH_RTT_MS; do
			count_statements off
			for clients in $BENCH_CLIENTS; do
				for ((round = 1; round <= BENCH_ROUNDS; round++)); do
					for peer in "${among[@]}"; do
						calls_round "$peer" "$rtt" "$clients" "$protocol" "$round"
					done
				done
			done
			count_statements on
			for clients in $BENCH_COUNT_CLIENTS; do
				for peer in "${among[@]}"; do
					calls_count "$peer" "$rtt" "$clients" "$protocol"
				done
			done
			printf '\n' >&2
			calls_report "$protocol" "$rtt" "${among[@]}"
		done
	done
}

# calls_table FILE VALUE PROTOCOL RTT: "clients peer median [disturbed]" lines
calls_table() {
	medians "$1" 'protocol rtt_ms clients peer' "$2" |
		awk -v protocol="$3" -v rtt="$4" \
			'$1 == protocol && $2 == rtt { print $3, $4, $5, $8 }'
}

calls_report() {
	local protocol=$1 rtt=$2 title

	shift 2
	title="round trip $rtt ms, protocol $protocol"
	((rtt == 0)) && title="round trip ~0, protocol $protocol"
	calls_table "$RESULTS/calls.csv" tps "$protocol" "$rtt" >"$WORK/tps"
	print_matrix "$title: transactions a second" %.0f clients "$@" <"$WORK/tps"
	if have concresce; then
		awk '
			$2 == "concresce" { own[$1] = $3; mark[$1] = $4 }
			{ line[NR] = $0 }
			END {
				for (i = 1; i <= NR; i++) {
					split(line[i], f, " ")
					if (f[2] != "concresce" && f[3] > 0 && f[1] in own)
						print f[1], f[2], own[f[1]] / f[3], f[4] mark[f[1]] ? "disturbed" : ""
				}
			}' "$WORK/tps" >"$WORK/ratios"
		print_matrix "$title: concresce / contender" %.2f clients "${@:2}" \
			<"$WORK/ratios"
	fi
	calls_table "$RESULTS/calls_foreign.csv" statements_per_transaction \
		"$protocol" "$rtt" |
		print_matrix "$title: foreign statements a transaction" %.3f clients "$@"
	calls_table "$RESULTS/calls_foreign.csv" foreign_connections \
		"$protocol" "$rtt" |
		print_matrix "$title: foreign connections" %.0f clients "$@"
	if ((rtt > 0)); then
		calls_table "$RESULTS/calls.csv" proxy_cpu_percent "$protocol" "$rtt" |
			print_matrix "$title: CPU of the delay proxy, % of a core" %.0f \
				clients "$@"
	fi
	if have concresce; then
		calls_verdicts "$protocol" "$rtt"
	fi
}

calls_verdicts() {
	local protocol=$1 rtt=$2 at clients peer target measured mark

	say ''
	while read -r at clients peer target; do
		((at == rtt)) || continue
		[[ " $BENCH_CLIENTS " == *" $clients "* ]] || continue
		read -r measured mark < <(awk -v c="$clients" -v p="$peer" \
			'$1 == c && $2 == p { printf "%.2f %s", $3, $4 }' "$WORK/ratios") || :
		verdict "$protocol, $rtt ms, $clients clients: / $peer" \
			"${measured:--}" '>=' "$target" "$mark"
	done <<-TARGETS
		0 64 postgres_fdw 3.5
		0 64 plproxy 1.3
		0 64 dblink 1.3
		0 64 pgbouncer 1.0
		0 256 postgres_fdw 6
		0 256 plproxy 2
		0 256 dblink 2
		1 64 postgres_fdw 6
		1 64 plproxy 2
		1 64 pgbouncer 6
		1 64 straight 1.0
		1 256 postgres_fdw 6
		1 256 plproxy 2
		1 256 pgbouncer 6
		1 256 straight 1.0
	TARGETS
	((rtt == 0)) || return 0
	read -r measured mark < <(awk '
		$2 == "concresce" { tps[$1] = $3; mark[$1] = $4 }
		END {
			if (tps[64] && tps[256])
				printf "%.2f %s", tps[256] / tps[64], mark[64] mark[256]
		}' "$WORK/tps") || :
	if [ -n "$measured" ]; then
		verdict "$protocol, $rtt ms: concresce at 256 / at 64 clients" \
			"$measured" '>=' 1.0 "$mark"
	fi
}
