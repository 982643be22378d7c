# shellcheck shell=bash
# shellcheck disable=SC2016  # $1 is the server's to expand
#
# The cost of one lone call, beside its floor: a call of the local server, the
# same query straight at the foreign server, and two latch hand-offs.

lone_run() {
	local rtt=$1 pause_us=$2 calls=$3 path local_ci peer among contenders=()

	path=$(path_at "$rtt")
	local_ci=$(local_conninfo)
	mapfile -t among < <(those_of concresce postgres_fdw plproxy dblink straight)
	for peer in latch local "${among[@]}"; do
		case $peer in
			latch) contenders+=(latch '' '' '') ;;
			local)
				contenders+=(local "$local_ci" ''
					'SELECT $1::bigint')
				;;
			concresce)
				contenders+=(concresce "$local_ci" '' "SELECT $path.user_score(\$1)")
				;;
			postgres_fdw)
				contenders+=(postgres_fdw "$local_ci" ''
					"SELECT score FROM $path.scores_fdw WHERE id = \$1")
				;;
			plproxy)
				contenders+=(plproxy "$local_ci" '' "SELECT $path.plproxy_score(\$1)")
				;;
			dblink)
				contenders+=(dblink "$local_ci" "SELECT dblink_connect('c', 'link_$path')"
					"SELECT score FROM dblink('c', 'SELECT score FROM scores WHERE id = ' || \$1) AS t(score int)")
				;;
			straight)
				contenders+=(straight
					"$(foreign_conninfo straight "$rtt")"
					'' 'SELECT score FROM scores WHERE id = $1')
				;;
		esac
	done
	if ! undisturbed lone_measure "$calls" "$pause_us" "${contenders[@]}"; then
		note "  failed at $rtt ms"
		return
	fi
	sed "s/^/$rtt,/" "$WORK/lone.raw" >>"$RESULTS/lone_calls.csv"
	while read -r peer min median p95; do
		say "$rtt,$pause_us,$round,$peer,$min,$median,$p95,$OTHERS_CPU" >>"$RESULTS/lone.csv"
	done <"$WORK/lone.out"
	progress
}

lone_measure() {
	local calls=$1 pause_us=$2

	shift 2
	rm -f "$WORK/lone.raw"
	bounded 180 "$WORK/lone" "$calls" "$pause_us" "$KEYS" "$WORK/lone.raw" \
		"$@" >"$WORK/lone.out"
}

part_lone() {
	local rtt pause_us round

	say ''
	say "== lone: one client, nothing else running, prepared statements," \
		"calls interleaved one by one"
	say 'rtt_ms,peer,pause_us,call,us' >"$RESULTS/lone_calls.csv"
	say 'rtt_ms,pause_us,round,peer,min,median,p95,others_cpu_percent' >"$RESULTS/lone.csv"
	count_statements off
	for rtt in $BENCH_RTT_MS; do
		for ((round = 1; round <= BENCH_ROUNDS; round++)); do
			for pause_us in 0 2000; do
				lone_run "$rtt" "$pause_us" "$BENCH_LONE_CALLS"
			done
		done
	done
	note ''
	for rtt in $BENCH_RTT_MS; do
		for pause_us in 0 2000; do
			lone_report "$rtt" "$pause_us"
		done
	done
}

lone_report() {
	local rtt=$1 pause_us=$2 column title

	title="round trip $rtt ms, calls back to back: us a call"
	((pause_us > 0)) &&
		title="round trip $rtt ms, $pause_us us of idleness before each call: us a call"
	for column in min median p95; do
		medians "$RESULTS/lone.csv" 'rtt_ms pause_us peer' "$column" |
			awk -v rtt="$rtt" -v pause="$pause_us" -v column="$column" \
				'$1 == rtt && $2 == pause { print $3, column, $4, $7 }'
	done >"$WORK/lone.table"
	sed 's/^latch /2_latches /' "$WORK/lone.table" |
		print_matrix "$title" %.1f '' min median p95
	have concresce || return 0
	say ''
	lone_verdict '/ dblink' "$(lone_median dblink)" '<=' 1.5
	lone_verdict '/ postgres_fdw' "$(lone_median postgres_fdw)" '<' 0.5
	say "  floor (local call + foreign round trip + two hand-offs):" \
		"$(calc "$(lone_median local) + $(lone_median straight) + $(lone_median latch)" %.0f) us;" \
		"the call is $(calc "$(lone_median concresce) / ($(lone_median local) + $(lone_median straight) + $(lone_median latch))") times that"
}

lone_median() {
	awk -v p="$1" '$1 == p && $2 == "median" { print $3 }' "$WORK/lone.table"
}

# The targets of the issue are for a round trip of about 0, back to back; at
# others the ratio is shown just the same.
lone_verdict() {
	local label=$1 peer=$2 comparison=$3 target=$4 own

	own=$(lone_median concresce)
	if [[ -n $own && -n $peer ]]; then
		verdict "$rtt ms, pause $pause_us us: a lone call $label" \
			"$(calc "$own / $peer")" "$comparison" "$target" \
			"$(awk '$4 != "" { print $4; exit }' "$WORK/lone.table")"
	fi
}
