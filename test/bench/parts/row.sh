# shellcheck shell=bash
#
# What a row of a scan costs: CPU time of the session, of the collector and of the
# foreign server's sessions, beside the older version and beside what one writes by
# hand. Time is what the scheduler has counted.

ROW_KINDS=(base local by_hand)

row_label() {
	case $1 in
		base) say before ;;
		local) say now ;;
		by_hand) say 'by hand' ;;
	esac
}

row_objects() {
	local cluster

	for cluster in "${COST_CLUSTERS[@]}"; do
		cost_sql "$cluster" <<-SQL
			SELECT setseed(0.5) \\g /dev/null
			CREATE TABLE cost.orders AS
				SELECT id::bigint, (1 + floor(random() * $KEYS))::bigint AS user_id
				FROM generate_series(1, $ROW_ROWS) AS id;
			VACUUM (FREEZE, ANALYZE) cost.orders;
		SQL
	done
}

row_query() {
	if [ "$1" = by_hand ]; then
		say "SELECT count(*), sum(id), sum(value) FROM (SELECT o.id, s.score AS value
			FROM cost.orders o LEFT JOIN dblink('c',
				(SELECT 'SELECT id, score FROM scores WHERE id = ANY ('
					|| quote_literal(array_agg(user_id)) || '::bigint[])' FROM cost.orders))
				AS s(id bigint, score int) ON s.id = o.user_id OFFSET 0) q"
	else
		say "SELECT count(*), sum(id), sum(value)
			FROM (SELECT id, cost.score(user_id) AS value FROM cost.orders OFFSET 0) q"
	fi
}

# Nanoseconds so far, of the session itself and of one that dblink keeps open.
row_mark() {
	say "SELECT split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)$(
		[ "$1" != by_hand ] ||
			say ", split_part(s, ' ', 1) FROM dblink('c', 'SELECT pg_read_file(''/proc/self/schedstat'')') AS t(s text)");"
}

row_run() {
	local kind=$1 cluster=$1

	[ "$kind" != by_hand ] || cluster=local
	{
		say 'SET jit = off; SET max_parallel_workers_per_gather = 0;'
		[ "$kind" != by_hand ] ||
			say "SELECT dblink_connect('c', 'link_direct') \\g /dev/null"
		say "$(row_query "$kind") \\g /dev/null"
		row_mark "$kind"
		say "$(row_query "$kind") \\g /dev/null"
		row_mark "$kind"
	} >"$WORK/row.sql"
	bounded 300 psql -X -q -At -F ' ' -v ON_ERROR_STOP=1 -h "$(cost_folder "$cluster")" \
		-p "${PORT[$cluster]}" -U postgres -d bench -f "$WORK/row.sql" >"$WORK/row.out" 2>&1 || return 1
	awk 'NR == 1 { s = $1; f = $2 } NR == 2 { printf "%.0f %.0f\n", $1 - s, $2 - f }' "$WORK/row.out" >"$WORK/row.ns"
}

# Of the sessions that a collector keeps open.
row_far_time() {
	local pid ns=0

	for pid in $(foreign_sql -c "SELECT pid FROM pg_stat_activity
		WHERE backend_type = 'client backend' AND usename = 'direct_concresce'"); do
		ns=$((ns + $(cost_time "$pid")))
	done
	say "$ns"
}

# One more line of row.csv; what runs twice in a session is counted by halves.
row_measure() {
	local kind=$1 session far collector=0 before=0 far_before=0

	if [ "$kind" != by_hand ]; then
		before=$(cost_time "$(cost_collector "$kind")")
		far_before=$(row_far_time)
	fi
	row_run "$kind" || return 1
	read -r session far <"$WORK/row.ns"
	if [ "$kind" != by_hand ]; then
		collector=$((($(cost_time "$(cost_collector "$kind")") - before) / 2))
		far=$((($(row_far_time) - far_before) / 2))
	fi
	say "$round,$kind,$(calc "$session / 1000 / $ROW_ROWS" %.3f),$(
		calc "$collector / 1000 / $ROW_ROWS" %.3f),$(calc "$far / 1000 / $ROW_ROWS" %.3f)" \
		>>"$RESULTS/row.csv"
}

row_compare() {
	local kind

	for kind in "${ROW_KINDS[@]}"; do
		row_measure "$kind" || return 1
	done
}

# The median of some columns' sum, of a kind.
row_median() {
	awk -F, -v kind="$1" -v columns="$2" '
		$1 > 0 && $2 == kind {
			n = split(columns, c, " ")
			for (us = i = 0; ++i <= n;)
				us += $c[i]
			print us
		}' "$RESULTS/row.csv" | sort -n | awk '{ v[NR] = $1 } END { if (NR) print v[int((NR + 1) / 2)] }'
}

part_row() {
	local round kind now

	say ''
	say '== row: CPU time of a row of a scan, us'
	if ! have concresce; then
		say '  skipped: concresce is not there'
		return
	fi
	ROW_ROWS=1000000
	[ -z "${QUICK:-}" ] || ROW_ROWS=100000
	cost_prepare
	ROW_KINDS=("${COST_CLUSTERS[@]}" by_hand)
	row_objects
	count_statements off
	say 'round,kind,session,collector,far' >"$RESULTS/row.csv"
	# round 0 is there to warm up
	for ((round = 0; round <= BENCH_ROUNDS; round++)); do
		undisturbed row_compare || note '  failed'
		progress
	done
	note ''
	now=$(row_median local '3 4 5')
	[ -n "$now" ] && [ -n "$(row_median by_hand 3)" ] || return 0
	printf '  %-10s %10s %10s %10s %10s\n' '' session collector 'far side' all
	for kind in "${ROW_KINDS[@]}"; do
		printf '  %-10s %10.2f %10.2f %10.2f %10.2f\n' "$(row_label "$kind")" "$(row_median "$kind" 3)" \
			"$(row_median "$kind" 4)" "$(row_median "$kind" 5)" "$(row_median "$kind" '3 4 5')"
	done
	if [ -n "${PORT[base]:-}" ]; then
		verdict 'a row in the session, now / before' \
			"$(calc "$(row_median local 3) / $(row_median base 3)")" '<=' 0.5
	fi
	verdict 'a row on both machines, now / by hand' "$(calc "$now / $(row_median by_hand '3 4 5')")" '<=' 1.1
}
