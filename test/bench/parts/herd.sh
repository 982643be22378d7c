# shellcheck shell=bash
# shellcheck disable=SC2016  # $1 is the server's to expand
#
# The herd: many sessions ask for one key, whose query takes 50 ms, at once.

herd_run() {
	local peer=$1 sessions=$2 query conninfo round=0 line

	conninfo=$(local_conninfo)
	case $peer in
		concresce) query='SELECT direct.slow_score($1)' ;;
		postgres_fdw) query='SELECT score FROM direct.slow_scores_fdw WHERE id = $1' ;;
		straight)
			query='SELECT score FROM slow_scores WHERE id = $1'
			conninfo=$(foreign_conninfo straight 0)
			;;
	esac
	if ! undisturbed herd_measure "$peer" "$sessions" "$conninfo" "$query"; then
		note "  $peer, $sessions sessions: failed"
		return
	fi
	cat "$WORK/herd.raw" >>"$RESULTS/herd_sessions.csv"
	while read -r line; do
		round=$((round + 1))
		say "$sessions,$round,$peer,${line// /,},$OTHERS_CPU" >>"$RESULTS/herd.csv"
	done <"$WORK/herd.out"
	progress
}

herd_measure() {
	local peer=$1 sessions=$2 conninfo=$3 query=$4

	rm -f "$WORK/herd.raw"
	bounded 180 "$WORK/herd" "$peer" "$sessions" "$BENCH_ROUNDS" \
		"$conninfo" '' "$query" \
		"host=$WORK/run/foreign port=${PORT[foreign]} dbname=postgres user=postgres" \
		'SELECT pg_stat_statements_reset()' "$(foreign_calls_sql "$peer" 0)" \
		"$WORK/herd.raw" >"$WORK/herd.out"
}

part_herd() {
	local sessions peer among

	say ''
	say "== herd: sessions ask for one key at once, its query takes 50 ms"
	say "   $BENCH_ROUNDS rounds; ms from the release of the first one" \
		"(in brackets: from each one's own sending)"
	say 'peer,sessions,round,session,ms_from_sending,ms_from_release' \
		>"$RESULTS/herd_sessions.csv"
	say 'sessions,round,peer,foreign_statements,p50,p99,max,own_p50,own_p99,own_max,sending_ms,others_cpu_percent' \
		>"$RESULTS/herd.csv"
	count_statements on
	mapfile -t among < <(those_of concresce postgres_fdw straight)
	for sessions in $BENCH_SESSIONS; do
		for peer in "${among[@]}"; do
			herd_run "$peer" "$sessions"
		done
	done
	count_statements off
	note ''
	herd_report
}

herd_report() {
	local name column

	for column in foreign_statements p50 p99 max own_p50 own_p99 own_max sending_ms; do
		medians "$RESULTS/herd.csv" 'sessions peer' "$column" |
			awk '{ print $1 "/" $2, $3, $5 }' >"$WORK/herd.$column"
	done
	say ''
	printf '%10s%16s%10s%18s%18s%18s%12s\n' sessions '' foreign p50 p99 max 'sending'
	while read -r name _; do
		printf '%10s%16s%10s%18s%18s%18s%12s\n' "${name%/*}" "${name#*/}" \
			"$(herd_figure foreign_statements "$name")" \
			"$(herd_figure p50 "$name") [$(herd_figure own_p50 "$name")]" \
			"$(herd_figure p99 "$name") [$(herd_figure own_p99 "$name")]" \
			"$(herd_figure max "$name") [$(herd_figure own_max "$name")]" \
			"$(herd_figure sending_ms "$name")"
	done <"$WORK/herd.p50"
	say ''
	while read -r name _; do
		[[ ${name#*/} == concresce ]] || continue
		verdict "${name%/*} sessions: foreign queries, most of any round" \
			"$(awk -v n="$name" '$1 == n { print $3 }' "$WORK/herd.foreign_statements")" \
			'<=' 1
		verdict "${name%/*} sessions: p99 from each one's sending / 50 ms" \
			"$(calc "$(herd_figure own_p99 "$name") / 50")" '<=' 1.5
		verdict "${name%/*} sessions: p99 from the release of the first / 50 ms" \
			"$(calc "$(herd_figure p99 "$name") / 50")" '<=' 1.5
	done <"$WORK/herd.p50"
}

herd_figure() {
	awk -v n="$2" '$1 == n { print $2 }' "$WORK/herd.$1"
}
