# shellcheck shell=bash
# shellcheck disable=SC2016  # $1 is the server's to expand
#
# The stampede: many sessions ask for one report of their own database at once,
# whose query takes 2 s.  Beside it, the same query without a lookup.

STAMPEDE_MS=2000

# What the driver asks first is answered at once: keys of 100000 and above.
stampede_objects() {
	local_sql >/dev/null <<-SQL
		CREATE SCHEMA stampede;
		CREATE SEQUENCE stampede.executions;
		CREATE FUNCTION stampede.made(id bigint) RETURNS text LANGUAGE sql VOLATILE AS \$\$
			SELECT 'report ' || id || ', ' || nextval('stampede.executions')
			FROM pg_sleep(CASE WHEN id < 100000 THEN $STAMPEDE_MS / 1000.0 ELSE 0 END)
		\$\$;
		CREATE FUNCTION stampede.report(id bigint) RETURNS text
		LANGUAGE concresce STABLE AS \$\$ SELECT stampede.made(id) \$\$;
	SQL
}

stampede_measure() {
	local peer=$1 sessions=$2 query=$3

	rm -f "$WORK/herd.raw"
	bounded 180 "$WORK/herd" "$peer" "$sessions" "$BENCH_ROUNDS" \
		"$(local_conninfo)" '' "$query" "$(local_conninfo)" \
		"SELECT setval('stampede.executions', 1, false)" \
		'SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM stampede.executions' \
		"$WORK/herd.raw" >"$WORK/herd.out"
}

stampede_run() {
	local peer=$1 sessions=$2 query round=0 line

	case $peer in
		concresce) query='SELECT stampede.report($1)' ;;
		straight) query='SELECT stampede.made($1)' ;;
	esac
	if ! undisturbed stampede_measure "$peer" "$sessions" "$query"; then
		note "  $peer, $sessions sessions: failed"
		return
	fi
	cat "$WORK/herd.raw" >>"$RESULTS/stampede_sessions.csv"
	while read -r line; do
		round=$((round + 1))
		say "$sessions,$round,$peer,${line// /,},$OTHERS_CPU" >>"$RESULTS/stampede.csv"
	done <"$WORK/herd.out"
	progress
}

part_stampede() {
	local sessions peer among

	say ''
	say "== stampede: sessions ask for one local report at once, its query takes $STAMPEDE_MS ms"
	say "   $BENCH_ROUNDS rounds; ms from the release of the first one"
	if ! have concresce; then
		say '   not measured: concresce is not among the contenders'
		return
	fi
	say 'peer,sessions,round,session,ms_from_sending,ms_from_release' \
		>"$RESULTS/stampede_sessions.csv"
	say 'sessions,round,peer,executions,p50,p99,max,own_p50,own_p99,own_max,sending_ms,others_cpu_percent' \
		>"$RESULTS/stampede.csv"
	stampede_objects
	mapfile -t among < <(those_of concresce straight)
	for sessions in $BENCH_SESSIONS; do
		for peer in "${among[@]}"; do
			stampede_run "$peer" "$sessions"
		done
	done
	note ''
	stampede_report
}

stampede_report() {
	local name column

	for column in executions p50 p99 max; do
		medians "$RESULTS/stampede.csv" 'sessions peer' "$column" |
			awk '{ print $1 "/" $2, $3, $5 }' >"$WORK/stampede.$column"
	done
	say ''
	printf '%10s%16s%12s%10s%10s%10s\n' sessions '' executions p50 p99 max
	while read -r name _; do
		printf '%10s%16s%12s%10s%10s%10s\n' "${name%/*}" "${name#*/}" \
			"$(stampede_figure executions "$name")" "$(stampede_figure p50 "$name")" \
			"$(stampede_figure p99 "$name")" "$(stampede_figure max "$name")"
	done <"$WORK/stampede.p50"
	say ''
	while read -r name _; do
		[[ ${name#*/} == concresce ]] || continue
		verdict "${name%/*} sessions: executions, most of any round" \
			"$(awk -v n="$name" '$1 == n { print $3 }' "$WORK/stampede.executions")" \
			'<=' 1
		verdict "${name%/*} sessions: the last one's answer / $STAMPEDE_MS ms" \
			"$(calc "$(stampede_figure max "$name") / $STAMPEDE_MS")" '<=' 1.25
	done <"$WORK/stampede.p50"
}

stampede_figure() {
	awk -v n="$2" '$1 == n { print $2 }' "$WORK/stampede.$1"
}
