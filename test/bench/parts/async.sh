# shellcheck shell=bash
#
# Many keys in one session: submitted one by one and gathered, beside what one
# would write by hand, one foreign call with all keys.  One client, back to
# back, keys all over the table.

ASYNC_CONTENDERS=(gathered one_item dblink)

async_objects() {
	local path

	for path in direct delayed; do
		local_sql <<-SQL
			CREATE OR REPLACE FUNCTION $path.scores_of(ids bigint[]) RETURNS bigint
			LANGUAGE concresce STABLE STRICT
			SET concresce.server = 'foreign_cc_$path'
			AS \$\$ SELECT count(score) FROM unnest(ids) AS u(id) JOIN scores USING (id) \$\$;
		SQL
	done
}

# async_script CONTENDER PATH KEYS
async_script() {
	local contender=$1 path=$2 keys=$3
	local key="(:start + i * 997) % $KEYS + 1"

	say "\\set start random(1, $KEYS)"
	case $contender in
		gathered)
			say "SELECT count(s) FROM unnest(concresce.gather((
				SELECT array_agg(concresce.submit('$path.user_score', $key))
				FROM generate_series(1, $keys::bigint) i), NULL::int)) s;" |
				tr -d '\n'
			;;
		one_item)
			say "SELECT $path.scores_of((SELECT array_agg($key)
				FROM generate_series(1, $keys::bigint) i));" | tr -d '\n'
			;;
		dblink)
			cat <<-SQL
				\\if :linked
				\\else
				SELECT dblink_connect('c', 'link_$path');
				\\set linked 1
				\\endif
			SQL
			say "SELECT count(score) FROM dblink('c',
				'SELECT score FROM scores WHERE id = ANY (''{' ||
				(SELECT string_agg(($key)::text, ',') FROM generate_series(1, $keys::bigint) i)
				|| '}'')') AS t(score int);" | tr -d '\n'
			;;
	esac
}

async_measure() {
	bounded 120 pgbench -n -D linked=0 -f "$WORK/async.sql" -c 1 \
		-T "$BENCH_SECONDS" "$(local_conninfo)" >"$WORK/pgbench.out" 2>&1
}

# async_round CONTENDER RTT KEYS ROUND
async_round() {
	local contender=$1 rtt=$2 keys=$3 round=$4 us

	async_script "$contender" "$(path_at "$rtt")" "$keys" >"$WORK/async.sql"
	if ! undisturbed async_measure; then
		note "  $contender, $keys keys: failed"
		return
	fi
	us=$(awk -v keys="$keys" '/^tps =/ { printf "%.3f", 1000000 / $3 / keys }' \
		"$WORK/pgbench.out")
	say "$rtt,$keys,$round,$contender,$us,$OTHERS_CPU" >>"$RESULTS/async.csv"
	progress
}

part_async() {
	local rtt keys round contender

	say ''
	say '== async: keys submitted one by one and gathered, beside one call with' \
		'all keys: a lookup with an array (one item), dblink'
	if ! have concresce; then
		say '  skipped: concresce is not there'
		return
	fi
	async_objects
	count_statements off
	say 'rtt_ms,keys,round,contender,us_per_key,others_cpu_percent' \
		>"$RESULTS/async.csv"
	for rtt in $BENCH_RTT_MS; do
		for keys in $BENCH_ASYNC_KEYS; do
			for ((round = 1; round <= BENCH_ROUNDS; round++)); do
				for contender in "${ASYNC_CONTENDERS[@]}"; do
					async_round "$contender" "$rtt" "$keys" "$round"
				done
			done
		done
	done
	note ''
	for rtt in $BENCH_RTT_MS; do
		async_report "$rtt"
	done
}

async_report() {
	local rtt=$1 keys contender measured

	medians "$RESULTS/async.csv" 'rtt_ms keys contender' us_per_key |
		awk -v rtt="$rtt" '$1 == rtt { print $2, $3, $4, $7 }' >"$WORK/async.us"
	print_matrix "round trip $rtt ms: us a key" %.2f keys \
		"${ASYNC_CONTENDERS[@]}" <"$WORK/async.us"
	say ''
	for contender in one_item dblink; do
		for keys in $BENCH_ASYNC_KEYS; do
			((keys >= 1000)) || continue
			measured=$(awk -v k="$keys" -v c="$contender" '
				$1 == k && $2 == "gathered" { own = $3 }
				$1 == k && $2 == c { other = $3 }
				END { if (own && other) printf "%.2f", own / other; else print "-" }' \
				"$WORK/async.us")
			verdict "$rtt ms, $keys keys: gathered / $contender" "$measured" '<=' 2
		done
	done
}
