# shellcheck shell=bash
# shellcheck disable=SC2153  # KEYS and PORT are as they should be
#
# One session that looks something up for every row of a query: concresce's
# batch node beside what one would write without it.
#
# Everything is one statement over a table of orders, in psql, from its sending
# to its end, after a first run that opens connections and fills caches.  The
# rows end in an aggregate around the query, the same for all, so that no
# client is measured; its sums have to be the right ones.  Contenders that pay
# a round trip for each row have fewer rows.
#
# The keys are uniform, or skewed: of 1,000,000 keys, key k with a chance in
# proportion to 1/k.

# The contenders besides concresce; the one that counts is by_hand, which is what
# an expert writes.
#
#   off            concresce without its batch node
#   *_rows         one query a row
#   fdw_subselect  a correlated sub-select over a foreign table
#   fdw_loop       a join that postgres_fdw may only run as a loop with the key
#                  as a parameter
#   fdw_free       the same, left to the planner
#   fdw_array      the foreign table's rows with id = ANY (array of all keys)
#   plproxy_array  a function of all keys, as an array
#   by_hand        one dblink call with = ANY (array of all keys), joined back
SCAN_ALL=(concresce off fdw_subselect fdw_loop fdw_free fdw_array dblink_rows
	plproxy_rows plproxy_array by_hand)
SCAN_LATERAL=(concresce off fdw_loop fdw_free by_hand)
SCAN_LARGE=(concresce fdw_array plproxy_array by_hand)
SCAN_SLOW=(off fdw_subselect fdw_loop dblink_rows plproxy_rows)

scan_settings() {
	if [ -n "${QUICK:-}" ]; then
		: "${BENCH_SCAN_ROWS:=10000 100000}"
		: "${BENCH_SCAN_SLOW_ROWS:=200}"
		: "${BENCH_SCAN_RUNS:=3}"
	else
		: "${BENCH_SCAN_ROWS:=10000 100000 1000000}"
		: "${BENCH_SCAN_SLOW_ROWS:=1000}"
		: "${BENCH_SCAN_RUNS:=5}"
	fi
	SCAN_ROWS=${BENCH_SCAN_ROWS%% *}
	SCAN_LARGER=${BENCH_SCAN_ROWS#"$SCAN_ROWS"}
}

one_of() {
	case " $2 " in *" $1 "*) ;; *) return 1 ;; esac
}

scan_peer() {
	case $1 in
		concresce | off) say concresce ;;
		fdw_*) say postgres_fdw ;;
		plproxy_*) say plproxy ;;
		*) say dblink ;;
	esac
}

# scan_among CONTENDER...: those whose peers were asked for and are there
scan_among() {
	local contender

	for contender in "$@"; do
		if have "$(scan_peer "$contender")"; then
			say "$contender"
		fi
	done
}

scan_rows_of() {
	if one_of "$1" "${SCAN_SLOW[*]}"; then
		say "$BENCH_SCAN_SLOW_ROWS"
	else
		say "$SCAN_ROWS"
	fi
}

# ---- what there is to scan -------------------------------------------------

# Two visits for each user.
scan_foreign_objects() {
	foreign_sql -d bench <<-SQL
		CREATE TABLE visits (user_id bigint, n int, page int NOT NULL,
			PRIMARY KEY (user_id, n));
		INSERT INTO visits
			SELECT id, n, (id * 31 + n) % 1000
			FROM generate_series(1, $KEYS) AS id, generate_series(1, 2) AS n;
		VACUUM (FREEZE, ANALYZE) visits;
		CHECKPOINT;
	SQL
}

scan_orders() {
	local name=$1 rows=$2 key=$3

	local_sql <<-SQL
		BEGIN;
		SELECT setseed(0.5) \\g /dev/null
		CREATE TABLE $name AS
			SELECT id::bigint, ($key)::bigint AS user_id
			FROM generate_series(1, $rows) AS id;
		COMMIT;
		VACUUM (FREEZE, ANALYZE) $name;
	SQL
}

scan_path_objects() {
	local path=$1 port=$2

	local_sql <<-SQL
		SET search_path = $path, public;
		CREATE SERVER fdw_scan_$path FOREIGN DATA WRAPPER postgres_fdw
			OPTIONS (host '127.0.0.1', port '$port', dbname 'bench',
				use_remote_estimate 'true', fetch_size '10000');
		CREATE USER MAPPING FOR postgres SERVER fdw_scan_$path
			OPTIONS (user '${path}_postgres_fdw');
		CREATE FOREIGN TABLE scores_scan (id bigint, score int)
			SERVER fdw_scan_$path OPTIONS (schema_name 'public', table_name 'scores');
		CREATE FOREIGN TABLE visits_scan (user_id bigint, n int, page int)
			SERVER fdw_scan_$path OPTIONS (schema_name 'public', table_name 'visits');
		ANALYZE scores_scan, visits_scan;

		CREATE FUNCTION dblink_score(user_id bigint) RETURNS int
		LANGUAGE sql STABLE AS \$\$
			SELECT score
			FROM dblink('c', 'SELECT score FROM scores WHERE id = ' || user_id)
				AS t(score int)
		\$\$;
		CREATE FUNCTION plproxy_scores(user_ids bigint[])
		RETURNS TABLE (id bigint, score int)
		LANGUAGE plproxy AS \$\$
			CONNECT 'host=127.0.0.1 port=$port dbname=bench user=${path}_plproxy';
			SELECT id, score FROM scores WHERE id = ANY (user_ids);
		\$\$;
	SQL
	if have concresce; then
		local_sql <<-SQL
			SET search_path = $path, public;
			CREATE FUNCTION user_visits(user_id bigint)
			RETURNS TABLE (n int, page int)
			LANGUAGE concresce STABLE STRICT
			SET concresce.server = 'foreign_cc_$path'
			AS \$\$ SELECT n, page FROM visits
				WHERE visits.user_id = user_visits.user_id \$\$;
		SQL
	fi
}

scan_objects() {
	local rows

	say 'Making tables to be scanned ...'
	scan_foreign_objects
	for rows in 100 "$BENCH_SCAN_SLOW_ROWS" $BENCH_SCAN_ROWS; do
		[ -n "$(local_sql -c "SELECT to_regclass('uniform_$rows')")" ] && continue
		scan_orders "uniform_$rows" "$rows" "1 + floor(random() * $KEYS)"
		scan_orders "skewed_$rows" "$rows" "floor(power($KEYS, random()))"
	done
	scan_path_objects direct "${PORT[foreign]}"
	scan_path_objects delayed "$PROXY_PORT"
}

# ---- statements ------------------------------------------------------------

scan_score_query() {
	local contender=$1 orders=$2 keys=$3

	case $contender in
		concresce | off)
			say "SELECT o.id, user_score(o.user_id) AS value FROM $orders o" ;;
		dblink_rows)
			say "SELECT o.id, dblink_score(o.user_id) AS value FROM $orders o" ;;
		plproxy_rows)
			say "SELECT o.id, plproxy_score(o.user_id) AS value FROM $orders o" ;;
		fdw_subselect)
			say "SELECT o.id, (SELECT s.score FROM scores_scan s WHERE s.id = o.user_id) AS value
				FROM $orders o" ;;
		fdw_loop | fdw_free)
			say "SELECT o.id, s.score AS value
				FROM $orders o LEFT JOIN scores_scan s ON s.id = o.user_id" ;;
		fdw_array)
			say "SELECT o.id, s.score AS value
				FROM $orders o LEFT JOIN (SELECT * FROM scores_scan
					WHERE id = ANY (ARRAY(SELECT $keys FROM $orders))) s
				ON s.id = o.user_id" ;;
		plproxy_array)
			say "SELECT o.id, s.score AS value
				FROM $orders o LEFT JOIN plproxy_scores(ARRAY(SELECT $keys FROM $orders)) s
				ON s.id = o.user_id" ;;
		by_hand)
			say "SELECT o.id, s.score AS value
				FROM $orders o LEFT JOIN dblink('c',
					(SELECT 'SELECT id, score FROM scores WHERE id = ANY ('
						|| quote_literal(array_agg($keys)) || '::bigint[])' FROM $orders))
					AS s(id bigint, score int) ON s.id = o.user_id" ;;
	esac
}

scan_visits_query() {
	local contender=$1 orders=$2

	case $contender in
		concresce | off)
			say "SELECT o.id, v.page AS value
				FROM $orders o JOIN LATERAL user_visits(o.user_id) v ON true" ;;
		fdw_loop | fdw_free)
			say "SELECT o.id, v.page AS value
				FROM $orders o JOIN visits_scan v ON v.user_id = o.user_id" ;;
		by_hand)
			say "SELECT o.id, v.page AS value
				FROM $orders o JOIN dblink('c',
					(SELECT 'SELECT user_id, page FROM visits WHERE user_id = ANY ('
						|| quote_literal(array_agg(user_id)) || '::bigint[])' FROM $orders))
					AS v(user_id bigint, page int) ON v.user_id = o.user_id" ;;
	esac
}

# scan_query WHAT CONTENDER ROWS: by hand, skewed keys are sent once each.
scan_query() {
	case $1 in
		lateral) scan_visits_query "$2" "uniform_$3" ;;
		skewed) scan_score_query "$2" "skewed_$3" 'DISTINCT user_id' ;;
		*) scan_score_query "$2" "uniform_$3" user_id ;;
	esac
}

# OFFSET 0 keeps the query as it is within the aggregate.
scan_consumed() {
	say "SELECT count(*), sum(id), sum(value) FROM ($1 OFFSET 0) q"
}

scan_expected() {
	local what=$1 rows=$2

	case $what in
		lateral)
			local_sql -c "SELECT count(*), sum(id), sum((user_id * 31 + n) % 1000)
				FROM uniform_$rows, generate_series(1, 2) AS n" ;;
		skewed)
			local_sql -c "SELECT count(*), sum(id), sum(user_id * 7919 % 1000) FROM skewed_$rows" ;;
		*)
			local_sql -c "SELECT count(*), sum(id), sum(user_id * 7919 % 1000) FROM uniform_$rows" ;;
	esac
}

scan_setup() {
	local contender=$1 path=$2

	# no compiler, whose memory and time would come with more rows
	say "SET search_path = $path, public; SET jit = off;"
	case $contender in
		off) say 'SET concresce.enable_batchscan = off;' ;;
		by_hand | dblink_rows)
			say "SELECT dblink_connect('c', 'link_$path') \\g /dev/null" ;;
		fdw_loop)
			say 'SET enable_hashjoin = off; SET enable_mergejoin = off;'
			say 'SET enable_material = off; SET enable_memoize = off;' ;;
	esac
}

# scan_script WHAT CONTENDER ROWS PATH RUNS: before the runs one that is not
# timed, which is smaller where there are many rows, or where each costs a round
# trip; with no RUNS only one as large, not timed either.
scan_script() {
	local what=$1 contender=$2 rows=$3 path=$4 runs=$5 first=$3 query i

	scan_setup "$contender" "$path"
	if ((runs == 0)); then
		runs=1
	else
		if one_of "$contender" "${SCAN_SLOW[*]}"; then
			first=100
		elif ((rows > SCAN_ROWS)); then
			first=$SCAN_ROWS
		fi
		say "$(scan_consumed "$(scan_query "$what" "$contender" "$first")") \\g /dev/null"
	fi
	scan_touch "$what" "$rows"
	query=$(scan_query "$what" "$contender" "$rows")
	say '\timing on'
	for ((i = 0; i < runs; i++)); do
		if [ "$what" = copied ]; then
			say "COPY ($query) TO STDOUT \\g /dev/null"
		else
			say "$(scan_consumed "$query");"
		fi
	done
	say '\timing off'
	say "SELECT 'private', kb('VmHWM') - kb('RssShmem') - kb('RssFile');"
}

# Shared buffers count among a process's memory once it has touched them; the
# most that it had of its own can be told only if that is done beforehand.
scan_touch() {
	local orders=uniform_$2

	[ "$1" != skewed ] || orders=skewed_$2
	say 'SET max_parallel_workers_per_gather = 0;'
	say "SELECT sum(id), sum(user_id) FROM $orders \\g /dev/null"
	say 'RESET max_parallel_workers_per_gather;'
}

# ---- measuring -------------------------------------------------------------

# Leaves the runs' times in scan.ms, and in PRIVATE_KB what the session had at
# most for itself.
scan_session() {
	local what=$1 contender=$2 rows=$3 rtt=$4 runs=$5 expected=

	scan_script "$what" "$contender" "$rows" "$(path_at "$rtt")" "$runs" \
		>"$WORK/scan.sql"
	bounded 600 psql -XqAt -F ' ' -v ON_ERROR_STOP=1 -f "$WORK/scan.sql" \
		"$(local_conninfo) application_name=scan" >"$WORK/scan.out" 2>&1 || return 1
	[ "$what" = copied ] || expected=${SCAN_EXPECTED[$what/$rows]}
	awk '/^Time: / { print $2 }' "$WORK/scan.out" >"$WORK/scan.ms"
	if grep -vE '^(Time:|private) ' "$WORK/scan.out" | grep -qvxF "$expected"; then
		say 'ERROR: wrong sums' >>"$WORK/scan.out"
		return 1
	fi
	PRIVATE_KB=$(awk '/^private / { print $2 }' "$WORK/scan.out")
}

scan_round() {
	local what=$1 contender=$2 rows=$3 rtt=$4 round=$5 runs=$BENCH_SCAN_RUNS ms

	if one_of "$contender" "${SCAN_SLOW[*]} fdw_free" || ((rows > 200000)); then
		runs=1
	fi
	if ! undisturbed scan_session "$what" "$contender" "$rows" "$rtt" "$runs"; then
		note "  $what, $contender, $rows rows, $rtt ms: $(grep -E 'ERROR|FATAL|error:' \
			"$WORK/scan.out" | head -n 1 | grep . || say 'no answer')"
		return
	fi
	while read -r ms; do
		say "$what,$rtt,$rows,$contender,$round,$(calc "$ms * 1000 / $rows" %.3f),$PRIVATE_KB,$OTHERS_CPU" \
			>>"$RESULTS/scan.csv"
	done <"$WORK/scan.ms"
	progress
}

# scan_rounds WHAT ROWS CONTENDER...: ROWS '' for as many as suit each
scan_rounds() {
	local what=$1 rows=$2 rtt round contender

	shift 2
	for contender in "$@"; do
		scan_expect "$what" "${rows:-$(scan_rows_of "$contender")}"
	done
	for rtt in $BENCH_RTT_MS; do
		for ((round = 1; round <= BENCH_ROUNDS; round++)); do
			for contender in "$@"; do
				scan_round "$what" "$contender" \
					"${rows:-$(scan_rows_of "$contender")}" "$rtt" "$round"
			done
		done
	done
}

declare -A SCAN_EXPECTED

scan_expect() {
	if [ -z "${SCAN_EXPECTED[$1/$2]:-}" ]; then
		SCAN_EXPECTED[$1/$2]=$(scan_expected "$1" "$2" | tr '|' ' ')
	fi
}

# What the planner made of the queries: to look at, and the first join's name.
scan_plans() {
	local what=$1 path=$2 contender

	shift 2
	for contender in "$@"; do
		say "$what, $contender, $path:"
		{
			scan_setup "$contender" "$path"
			say "EXPLAIN (COSTS off) $(scan_consumed "$(scan_query "$what" \
				"$contender" "$(scan_rows_of "$contender")")");"
		} | local_sql 2>&1 | sed 's/^/  /'
		say ''
	done >>"$RESULTS/scan_plans.txt"
}

# ---- keys and memory, in runs of their own ---------------------------------

# Keys asked for, and foreign statements that asked for them.
scan_counted() {
	local path

	path=$(path_at "$1")
	local_sql -c "SELECT coalesce(sum(misses), 0) FROM concresce.stats
		WHERE function = '$path.user_score(bigint)'::regprocedure"
}

# What there is to ask for: distinct keys among each 1,000 rows.
scan_distinct() {
	local_sql -c "SELECT sum(n) FROM (SELECT count(DISTINCT user_id) AS n
		FROM $1 GROUP BY (id - 1) / 1000) q"
}

# scan_traces WHAT ROWS RTT: one run that is not timed
scan_traces() {
	local what=$1 rows=$2 rtt=$3 sampler keys statements

	scan_expect "$what" "$rows"
	foreign_reset
	keys=$(scan_counted "$rtt")
	local_sql -c 'SELECT most_shared()' >"$WORK/shared" 2>/dev/null &
	sampler=$!
	if ! scan_session "$what" concresce "$rows" "$rtt" 0; then
		note "  $what, $rows rows, $rtt ms: not counted"
		wait "$sampler" || :
		return
	fi
	wait "$sampler" || :
	keys=$(($(scan_counted "$rtt") - keys))
	statements=$(foreign_calls concresce "$rtt")
	say "$what,$rtt,$rows,$(scan_distinct "${what}_$rows"),$keys,$statements,$PRIVATE_KB,$(<"$WORK/shared")" \
		>>"$RESULTS/scan_traces.csv"
	progress
}

# ---- the part --------------------------------------------------------------

scan_prepare() {
	say 'what,rtt_ms,rows,contender,round,us_a_row,private_kb,others_cpu_percent' \
		>"$RESULTS/scan.csv"
	say 'what,rtt_ms,rows,distinct,keys,statements,private_kb,shared_bytes' \
		>"$RESULTS/scan_traces.csv"
	: >"$RESULTS/scan_plans.txt"
	scan_objects
	local_sql <<-'SQL'
		CREATE FUNCTION kb(name text) RETURNS int
		LANGUAGE sql AS $$
			SELECT substring(pg_read_file('/proc/self/status')
				FROM name || ':\s+(\d+)')::int
		$$;
	SQL
	have concresce || return 0
	local_sql <<-'SQL'
		-- while the session to be watched is there
		CREATE FUNCTION most_shared() RETURNS bigint
		LANGUAGE plpgsql AS $$
		DECLARE
			most bigint := 0;
			seen bool := false;
		BEGIN
			FOR i IN 1 .. 60000 LOOP
				PERFORM pg_sleep(0.002), pg_stat_clear_snapshot();
				most := greatest(most, (SELECT used FROM concresce.memory()));
				IF EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'scan') THEN
					seen := true;
				ELSIF seen OR i > 5000 THEN
					EXIT;
				END IF;
			END LOOP;
			RETURN most;
		END $$;
	SQL
}

part_scan() {
	local rtt rows what among large lateral copied

	scan_settings
	say ''
	say "== scan: one session, a lookup for each row of a query"
	say "   $BENCH_ROUNDS rounds, contenders interleaved; rows: $BENCH_SCAN_ROWS," \
		"and $BENCH_SCAN_SLOW_ROWS where each costs a round trip"
	scan_prepare
	mapfile -t among < <(scan_among "${SCAN_ALL[@]}")
	mapfile -t large < <(scan_among "${SCAN_LARGE[@]}")
	mapfile -t lateral < <(scan_among "${SCAN_LATERAL[@]}")
	mapfile -t copied < <(scan_among concresce by_hand)
	count_statements off
	scan_rounds uniform '' "${among[@]}"
	for rows in $SCAN_LARGER; do
		scan_rounds uniform "$rows" "${large[@]}"
	done
	scan_rounds copied '' "${copied[@]}"
	scan_rounds skewed '' "${copied[@]}"
	scan_rounds lateral '' "${lateral[@]}"
	for rtt in $BENCH_RTT_MS; do
		scan_plans uniform "$(path_at "$rtt")" "${among[@]}"
		scan_plans lateral "$(path_at "$rtt")" "${lateral[@]}"
	done
	if have concresce; then
		count_statements on
		for rtt in $BENCH_RTT_MS; do
			for what in uniform skewed; do
				for rows in $BENCH_SCAN_ROWS; do
					scan_traces "$what" "$rows" "$rtt"
				done
			done
		done
		count_statements off
	fi
	note ''
	scan_report
}

# ---- the report ------------------------------------------------------------

# scan_median WHAT RTT ROWS CONTENDER [COLUMN]
scan_median() {
	medians "$RESULTS/scan.csv" 'what rtt_ms rows contender' "${5:-us_a_row}" |
		awk -v what="$1" -v rtt="$2" -v rows="$3" -v contender="$4" '
			$1 == what && $2 == rtt && $3 == rows && $4 == contender { print $5, $8 }'
}

scan_columns() {
	local rtt

	for rtt in $BENCH_RTT_MS; do
		if ((rtt == 0)); then
			say '~0_ms'
		else
			say "${rtt}_ms"
		fi
	done
}

# scan_table WHAT TITLE [ROWS]: contenders by round trips; the second table is
# how many times concresce's figure each has
scan_table() {
	local what=$1 title=$2
	local -a columns

	mapfile -t columns < <(scan_columns)
	medians "$RESULTS/scan.csv" 'what rtt_ms rows contender' us_a_row |
		awk -v what="$what" -v large="$SCAN_LARGER" '
			$1 == what && !index(large " ", " " $3 " ") {
				print $4, ($2 == 0 ? "~0_ms" : $2 "_ms"), $5, $8
			}' >"$WORK/scan.table"
	print_matrix "$title: us a row" %.2f '' "${columns[@]}" <"$WORK/scan.table"
	have concresce || return 0
	awk '
		$1 == "concresce" { own[$2] = $3; mark[$2] = $4 }
		{ line[NR] = $0 }
		END {
			for (i = 1; i <= NR; i++) {
				split(line[i], f, " ")
				if (f[1] != "concresce" && own[f[2]] > 0)
					print f[1], f[2], f[3] / own[f[2]], f[4] mark[f[2]] ? "disturbed" : ""
			}
		}' "$WORK/scan.table" |
		print_matrix "$title: contender / concresce" %.2f '' "${columns[@]}"
}

# Contenders by how many rows there are
scan_sizes() {
	local rtt=$1 column=$2 title=$3 format=$4 scale=$5
	local -a sizes

	read -ra sizes <<<"$BENCH_SCAN_ROWS"
	medians "$RESULTS/scan.csv" 'what rtt_ms rows contender' "$column" |
		awk -v rtt="$rtt" -v among=" ${SCAN_LARGE[*]} " -v scale="$scale" \
			-v sizes=" $BENCH_SCAN_ROWS " '
			$1 == "uniform" && $2 == rtt && index(among, " " $4 " ") &&
				index(sizes, " " $3 " ") { print $4, $3, $5 / scale, $8 }' |
		print_matrix "round trip $rtt ms, uniform keys, by rows: $title" "$format" \
			'' "${sizes[@]}"
}

scan_report() {
	local rtt

	scan_table uniform "$SCAN_ROWS rows, uniform keys"
	for rtt in $BENCH_RTT_MS; do
		[ -n "$SCAN_LARGER" ] || break
		scan_sizes "$rtt" us_a_row 'us a row' %.2f 1
		scan_sizes "$rtt" private_kb "the session's own memory, MB at most" %.1f 1024
	done
	scan_table copied "$SCAN_ROWS rows, uniform keys, to the client by COPY"
	scan_table skewed "$SCAN_ROWS rows, skewed keys"
	scan_table lateral "$SCAN_ROWS rows, JOIN LATERAL of two rows each"
	have concresce || return 0
	say ''
	say 'keys asked for, and most shared memory at a time, by concresce'
	awk -F, '
		function line(a, b, c, d, e, f, g) {
			printf "%10s%8s%10s%18s%12s%12s%12s\n", a, b, c, d, e, f, g
		}
		NR == 1 { line("keys", "ms", "rows", "distinct/1000", "asked", "statements", "shared kB") }
		NR > 1 { line($1, $2, $3, $4, $5, $6, int($8 / 1024)) }' "$RESULTS/scan_traces.csv"
	say ''
	scan_verdicts
	scan_picture
}

# What README.md shows, from the figures at 1 ms: a table's lines as CSV, and the
# picture of them.
scan_picture() {
	local contender label figure theme
	local csv=$BENCH_PICTURES/n-plus-1.csv

	: >"$csv"
	while IFS=, read -r contender label; do
		figure=$(scan_median uniform 1 "$(scan_rows_of "$contender")" "$contender")
		[ -n "$figure" ] || return 0
		say "$label,${figure%% *}" >>"$csv"
	done <<-'END'
		fdw_subselect,postgres_fdw: correlated sub-select
		dblink_rows,dblink: a call a row
		plproxy_rows,PL/Proxy: a call a row
		by_hand,by hand: one array query
		concresce,concresce
	END
	for theme in light dark; do
		"$BENCH/chart" "$theme" "$csv" >"$BENCH_PICTURES/n-plus-1-$theme.svg"
	done
	say "What README.md shows is in $csv and n-plus-1-*.svg beside it."
}

# scan_ratio LABEL COMPARISON TARGET "MEDIAN" / "MEDIAN", as scan_median has them
scan_ratio() {
	local label=$1 comparison=$2 target=$3 over mark below mark_below

	read -r over mark <<<"$4"
	read -r below mark_below <<<"$5"
	if [[ -n $over && -n $below ]]; then
		verdict "$label" "$(calc "$over / $below")" "$comparison" "$target" \
			"$mark$mark_below"
	fi
}

scan_verdicts() {
	local rtt own far=${BENCH_SCAN_ROWS##* } what rows distinct keys least

	for rtt in $BENCH_RTT_MS; do
		own=$(scan_median uniform "$rtt" "$SCAN_ROWS" concresce)
		least=40
		((rtt == 0)) || least=500
		scan_ratio "scan, $rtt ms: / by hand" '<=' 1.2 "$own" \
			"$(scan_median uniform "$rtt" "$SCAN_ROWS" by_hand)"
		scan_ratio "scan, $rtt ms: postgres_fdw's sub-select /" '>=' $least \
			"$(scan_median uniform "$rtt" "$BENCH_SCAN_SLOW_ROWS" fdw_subselect)" "$own"
		[ "$far" != "$SCAN_ROWS" ] || continue
		scan_ratio "scan, $rtt ms: a row of $far / of $SCAN_ROWS" '<=' 1.1 \
			"$(scan_median uniform "$rtt" "$far" concresce)" "$own"
		scan_ratio "scan, $rtt ms: own memory at $far / at $SCAN_ROWS" '<=' 1.1 \
			"$(scan_median uniform "$rtt" "$far" concresce private_kb)" \
			"$(scan_median uniform "$rtt" "$SCAN_ROWS" concresce private_kb)"
	done
	while IFS=, read -r what rtt rows distinct keys _; do
		[ "$what" = skewed ] || continue
		verdict "scan, $rtt ms, $rows rows, skewed: keys / distinct in rounds" \
			"$(calc "$keys / $distinct" %.3f)" '<=' 1
	done <"$RESULTS/scan_traces.csv"
}
