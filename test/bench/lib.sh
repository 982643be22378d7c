# shellcheck shell=bash
#
# What the parts of the bench share: two clusters with a delay between them,
# the contenders' objects, counting, tables.  Builds on scripts/lib.sh.
#
# A part is a file parts/NAME.sh with a function part_NAME: it measures,
# writes raw figures as CSV into RESULTS and prints its tables.

KEYS=1000000
CONTENDERS=(concresce postgres_fdw plproxy dblink pgbouncer straight)

# Background processes of the bench, ended with it.
CHILDREN=()

# Measurements that kept being disturbed.
DISTURBED=0

settings() {
	: "${BENCH_RTT_MS:=0 1}"
	: "${BENCH_ASYNC_KEYS:=10 1000 10000}"
	: "${BENCH_PROTOCOL:=simple}"
	: "${BENCH_PEERS:=${CONTENDERS[*]}}"
	: "${BENCH_CONNECTIONS:=4}"
	: "${BENCH_OTHERS:=20}"
	: "${BENCH_RETRIES:=2}"
	if [ -n "${QUICK:-}" ]; then
		: "${BENCH_CLIENTS:=1 64}"
		: "${BENCH_SESSIONS:=100}"
		: "${BENCH_ROUNDS:=1}"
		: "${BENCH_SECONDS:=1}"
		: "${BENCH_COUNT_CLIENTS:=${BENCH_CLIENTS##* }}"
		: "${BENCH_LONE_CALLS:=200}"
		: "${BENCH_LOOKUPS:=200000}"
	else
		: "${BENCH_CLIENTS:=1 8 64 256}"
		: "${BENCH_SESSIONS:=100 500}"
		: "${BENCH_ROUNDS:=3}"
		: "${BENCH_SECONDS:=4}"
		: "${BENCH_COUNT_CLIENTS:=$BENCH_CLIENTS}"
		: "${BENCH_LONE_CALLS:=1000}"
		: "${BENCH_LOOKUPS:=1000000}"
	fi
}

# What was measured is worth keeping when the bench is interrupted, so this
# only ends what is ours and leaves the rest to finish.
bench_finish() {
	local status=$?

	set +e
	if [ ${#CHILDREN[@]} -gt 0 ]; then
		kill "${CHILDREN[@]}" 2>/dev/null
	fi
	if [ -n "$WORK" ]; then
		stop_clusters
	fi
	shards_release
	(exit "$status")
	finish
}

note() { printf '%s\n' "$*" >&2; }
progress() { printf '.' >&2; }

# ---- the two servers -------------------------------------------------------

bench_cluster() {
	local name=$1

	shift
	new_cluster "$name" 'max_connections = 700' "shared_buffers = '256MB'" \
		'full_page_writes = off' 'autovacuum = off' "max_wal_size = '2GB'" \
		"log_min_messages = fatal" "$@"

	# Connecting is not what is measured.
	as_user sed -i 's/scram-sha-256/trust/' "$WORK/run/$name/data/pg_hba.conf"
	psql_in "$name" -c 'SELECT pg_reload_conf()' -c 'CREATE DATABASE bench' \
		>/dev/null
}

local_sql() { psql_in local -d bench -At "$@"; }

# From another database than bench, so that it does not count itself.
foreign_sql() { psql_in foreign -d postgres -At "$@"; }

# shellcheck disable=SC2153
local_conninfo() {
	say "host=$WORK/run/local port=${PORT[local]} dbname=bench user=postgres"
}

# Every contender reaches the foreign server as a role of its own on each
# path, by which its statements and connections are told from the others'.
role_at() { say "$(path_at "$2")_$1"; }

# foreign_conninfo CONTENDER RTT
foreign_conninfo() {
	say "host=127.0.0.1 port=$(foreign_port_at "$2") dbname=bench user=$(role_at "$1" "$2")"
}

# foreign_calls_sql CONTENDER RTT
foreign_calls_sql() {
	cat <<-SQL
		SELECT coalesce(sum(calls), 0)::bigint
		FROM pg_stat_statements JOIN pg_roles r ON r.oid = userid
		WHERE rolname = '$(role_at "$1" "$2")'
	SQL
}

foreign_calls() { foreign_sql -c "$(foreign_calls_sql "$1" "$2")"; }

# foreign_connections CONTENDER RTT SECONDS: the most there are in that time.
foreign_connections() {
	foreign_sql -c "SELECT most_connections('$(role_at "$1" "$2")', $3)"
}

foreign_reset() {
	foreign_sql -c 'SELECT pg_stat_statements_reset()' >/dev/null
}

# count_statements on|off
count_statements() {
	local track=none

	if [ "$1" = on ]; then
		track=top
	fi
	foreign_sql -c "ALTER SYSTEM SET pg_stat_statements.track = '$track'" \
		-c 'SELECT pg_reload_conf()' >/dev/null
	sleep 0.2
}

# The port at which the foreign server is found at a round trip.
foreign_port_at() {
	if [ "$1" = 0 ]; then
		say "${PORT[foreign]}"
	else
		say "$PROXY_PORT"
	fi
}

# The schema with the contenders' objects for a round trip.
path_at() {
	if [ "$1" = 0 ]; then
		say direct
	else
		say delayed
	fi
}

start_foreign() {
	local contender

	# all of it is in memory, and a plan that thinks otherwise reads whole tables
	bench_cluster foreign "shared_preload_libraries = 'pg_stat_statements'" \
		'pg_stat_statements.track = none' 'pg_stat_statements.max = 100000' \
		'random_page_cost = 1.1'
	for contender in "${CONTENDERS[@]}"; do
		say "CREATE ROLE direct_$contender LOGIN SUPERUSER;"
		say "CREATE ROLE delayed_$contender LOGIN SUPERUSER;"
	done | foreign_sql
	foreign_sql <<-'SQL'
		CREATE EXTENSION pg_stat_statements;
		CREATE FUNCTION most_connections(role name, seconds int) RETURNS int
		LANGUAGE plpgsql AS $$
		DECLARE
			most int := 0;
		BEGIN
			FOR i IN 1 .. seconds * 10 LOOP
				PERFORM pg_sleep(0.1), pg_stat_clear_snapshot();
				most := greatest(most, (SELECT count(*) FROM pg_stat_activity
					WHERE usename = role AND backend_type = 'client backend'));
			END LOOP;
			RETURN most;
		END $$;
	SQL
	foreign_sql -d bench <<-SQL
		CREATE TABLE scores (id bigint PRIMARY KEY, score int NOT NULL);
		INSERT INTO scores
			SELECT id, (id::bigint * 7919 % 1000)::int
			FROM generate_series(1, $KEYS) AS id;
		VACUUM (FREEZE, ANALYZE) scores;
		CREATE VIEW slow_scores AS
			SELECT id, score FROM scores CROSS JOIN pg_sleep(0.05);
		CHECKPOINT;
	SQL
}

start_local() {
	local preload=concresce path

	if ! asked_for concresce; then
		preload=
	fi
	bench_cluster local "shared_preload_libraries = '$preload'" \
		"concresce.max_connections = $BENCH_CONNECTIONS"
	local_sql <<-SQL
		CREATE EXTENSION postgres_fdw;
		CREATE EXTENSION dblink;
		CREATE EXTENSION plproxy;
	SQL
	create_peers direct "${PORT[foreign]}"
	create_peers delayed "$PROXY_PORT"
	CONCRESCE=
	if [ -z "$preload" ]; then
		return
	elif local_sql -c 'CREATE EXTENSION concresce' 2>"$WORK/extension.err" &&
		create_concresce direct "${PORT[foreign]}" 2>"$WORK/extension.err" &&
		create_concresce delayed "$PROXY_PORT" 2>"$WORK/extension.err"; then
		CONCRESCE=1
	else
		note "concresce is left out: $(head -n 1 "$WORK/extension.err")"
	fi
}

create_peers() {
	local path=$1 port=$2

	local_sql <<-SQL
		CREATE SCHEMA $path;
		SET search_path = $path, public;

		CREATE SERVER fdw_$path FOREIGN DATA WRAPPER postgres_fdw
			OPTIONS (host '127.0.0.1', port '$port', dbname 'bench');
		CREATE USER MAPPING FOR postgres SERVER fdw_$path
			OPTIONS (user '${path}_postgres_fdw');
		CREATE FOREIGN TABLE scores_fdw (id bigint, score int)
			SERVER fdw_$path OPTIONS (schema_name 'public', table_name 'scores');
		CREATE FOREIGN TABLE slow_scores_fdw (id bigint, score int)
			SERVER fdw_$path OPTIONS (schema_name 'public', table_name 'slow_scores');

		CREATE SERVER link_$path FOREIGN DATA WRAPPER dblink_fdw
			OPTIONS (host '127.0.0.1', port '$port', dbname 'bench');
		CREATE USER MAPPING FOR postgres SERVER link_$path
			OPTIONS (user '${path}_dblink');

		CREATE FUNCTION plproxy_score(user_id bigint) RETURNS int
		LANGUAGE plproxy AS \$\$
			CONNECT 'host=127.0.0.1 port=$port dbname=bench user=${path}_plproxy';
			SELECT score FROM scores WHERE id = user_id;
		\$\$;
	SQL
}

create_concresce() {
	local path=$1 port=$2

	local_sql <<-SQL
		SET search_path = $path, public;
		CREATE SERVER foreign_cc_$path FOREIGN DATA WRAPPER concresce
			OPTIONS (host '127.0.0.1', port '$port', dbname 'bench');
		CREATE USER MAPPING FOR postgres SERVER foreign_cc_$path
			OPTIONS (user '${path}_concresce');
		CREATE FUNCTION user_score(user_id bigint) RETURNS int
		LANGUAGE concresce STABLE STRICT
		SET concresce.server = 'foreign_cc_$path'
		AS \$\$ SELECT score FROM scores WHERE id = user_id \$\$;
		CREATE FUNCTION slow_score(user_id bigint) RETURNS int
		LANGUAGE concresce STABLE STRICT
		SET concresce.server = 'foreign_cc_$path'
		AS \$\$ SELECT score FROM slow_scores WHERE id = user_id \$\$;
	SQL
}

# ---- the delay and the pooler ----------------------------------------------

# Compiled against the libpq of the same installation.
build_drivers() {
	local driver

	for driver in delay_proxy lone herd; do
		"${CC:-gcc}" -O2 -Wall -Wextra "-I$(pg --includedir)" \
			-o "$WORK/$driver" "$BENCH/$driver.c" "-L$(pg --libdir)" -lpq ||
			die "$driver.c does not compile"
	done
}

wait_for_port() {
	local port=$1 what=$2

	for _ in $(seq 100); do
		if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
			return
		fi
		sleep 0.05
	done
	die "$what does not answer at port $port."
}

# A round trip of 1 ms is half of it each way.
start_proxy() {
	PROXY_PORT=$(free_port)
	"$WORK/delay_proxy" "$PROXY_PORT" "${PORT[foreign]}" 500 </dev/null &
	PROXY_PID=$!
	CHILDREN+=("$PROXY_PID")
	wait_for_port "$PROXY_PORT" 'The delay proxy'
}

start_bouncer() {
	local pidfile=$WORK/run/pgbouncer.pid host='host=127.0.0.1 dbname=bench'

	BOUNCER_PORT=$(free_port)
	as_user tee "$WORK/run/pgbouncer.ini" >/dev/null <<-CONF
		[databases]
		direct = $host port=${PORT[foreign]} user=direct_pgbouncer
		delayed = $host port=$PROXY_PORT user=delayed_pgbouncer
		[pgbouncer]
		listen_addr = 127.0.0.1
		listen_port = $BOUNCER_PORT
		unix_socket_dir = $WORK/run
		auth_type = any
		pool_mode = transaction
		default_pool_size = $BENCH_CONNECTIONS
		max_client_conn = 1000
		log_connections = 0
		log_disconnections = 0
		logfile = $WORK/run/pgbouncer.log
		pidfile = $pidfile
	CONF
	as_user env "PATH=$PATH:/usr/sbin" pgbouncer -q -d \
		"$WORK/run/pgbouncer.ini" </dev/null >/dev/null 2>&1
	# it listens before it has said who it is
	for _ in {1..100}; do
		[ -s "$pidfile" ] && break
		sleep 0.1
	done
	[ -s "$pidfile" ] || die 'PgBouncer does not start.'
	CHILDREN+=("$(<"$pidfile")")
	wait_for_port "$BOUNCER_PORT" PgBouncer
}

# bounded SECONDS COMMAND...: a contender may hang.
bounded() {
	local limit=$1

	shift
	run timeout -k 5 "$limit" "$@"
}

# ---- who else uses the machine ---------------------------------------------

# "busy own proxy": CPU used until now, in ticks, by everyone, by the bench
# (what its servers and this shell have reaped included) and by the proxy.
cpu_ticks() {
	cat /proc/stat /proc/[0-9]*/stat 2>/dev/null | awk -v proxy="$PROXY_PID" \
		-v own="${CHILDREN[*]} $$ $(sed -s -n 1p "$WORK"/run/*/data/postmaster.pid |
			tr '\n' ' ')" '
		BEGIN {
			n = split(own, list, " ")
			for (i = 1; i <= n; i++)
				mine[list[i]] = 1
		}
		/^cpu / { busy = $2 + $3 + $4 }
		/^[0-9]+ \(/ {
			pid = $1
			sub(/.*\) /, "")
			if (pid in mine)
				used += $12 + $13 + $14 + $15
			else if ($2 in mine)
				used += $12 + $13
			if (pid == proxy)
				delayed = $12 + $13
		}
		END { print busy, used, delayed + 0 }'
}

cpu_mark() {
	CPU_STARTED=$EPOCHREALTIME
	CPU_MARK=$(cpu_ticks)
}

# Since the mark, in percent of a core: OTHERS_CPU and PROXY_CPU.
# shellcheck disable=SC2034
cpu_since_mark() {
	read -r OTHERS_CPU PROXY_CPU < <(
		say "$CPU_MARK $(cpu_ticks) $CPU_STARTED $EPOCHREALTIME" | awk '{
			seconds = $8 - $7
			others = ($4 - $1 - ($5 - $2)) / seconds
			printf "%.0f %.0f\n", (others > 0 ? others : 0), ($6 - $3) / seconds
		}'
	)
}

# undisturbed COMMAND...: once more, up to BENCH_RETRIES times, if processes
# that are none of the bench took more than BENCH_OTHERS percent of a core.
undisturbed() {
	local try

	for ((try = 0; ; try++)); do
		cpu_mark
		"$@" || return
		cpu_since_mark
		if [ "$OTHERS_CPU" -le "$BENCH_OTHERS" ]; then
			return
		elif [ "$try" -ge "$BENCH_RETRIES" ]; then
			DISTURBED=$((DISTURBED + 1))
			return
		fi
	done
}

# ---- figures ---------------------------------------------------------------

calc() {
	awk "BEGIN { printf \"${2:-%.2f}\", $1 }"
}

# medians FILE KEY-COLUMNS VALUE-COLUMN: "key median min max [disturbed]" a
# line, the values of a key joined by a space; columns by name.
medians() {
	awk -F, -v keys="$2" -v value="$3" -v limit="$BENCH_OTHERS" \
		-f "$BENCH/medians.awk" "$1"
}

# print_matrix TITLE FORMAT ROW-NAME COLUMN...: "row column value [disturbed]"
# lines on standard input; what was disturbed gets a star.
print_matrix() {
	local title=$1 format=$2 row=$3

	shift 3
	say ''
	say "$title"
	awk -v format="$format" -v corner="$row" -v columns="$*" '
		{
			if (!($1 in seen)) { seen[$1] = 1; rows[++nrows] = $1 }
			value[$1, $2] = $3
			star[$1, $2] = $NF == "disturbed" ? "*" : " "
		}
		END {
			n = split(columns, column, " ")
			printf "%14s", corner
			for (i = 1; i <= n; i++)
				printf "%13s ", column[i]
			printf "\n"
			for (r = 1; r <= nrows; r++) {
				printf "%14s", rows[r]
				for (i = 1; i <= n; i++) {
					v = value[rows[r], column[i]]
					printf "%13s%s", (v == "" ? "-" : sprintf(format, v)),
						(v == "" ? " " : star[rows[r], column[i]])
				}
				printf "\n"
			}
		}'
}

# verdict WHAT MEASURED COMPARISON TARGET [disturbed]: one line, with "met" or
# "short".
verdict() {
	local what=$1 measured=$2 comparison=$3 target=$4 word=met

	if [ "$measured" = - ]; then
		word='not measured'
	elif awk "BEGIN { exit ($measured $comparison $target) }"; then
		word=short
	fi
	printf '  %-58s %9s  (%s %s)  %s%s\n' "$what" "$measured" "$comparison" \
		"$target" "$word" "${5:+, but disturbed}"
	printf '"%s",%s,%s,%s,%s,%s\n' "$what" "$measured" "$comparison" \
		"$target" "$word" "${5:-}" >>"$RESULTS/verdicts.csv"
}

asked_for() {
	case " $BENCH_PEERS " in *" $1 "*) ;; *) return 1 ;; esac
}

have() {
	asked_for "$1" && { [ "$1" != concresce ] || [ -n "$CONCRESCE" ]; }
}

# those_of CONTENDER...: the ones that were asked for and are there
those_of() {
	local contender

	for contender in "$@"; do
		if have "$contender"; then
			say "$contender"
		fi
	done
}
