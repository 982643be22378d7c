# shellcheck shell=bash
# What the runners share: Debian packages, a private installation of
# PostgreSQL with concresce in it, throwaway clusters, and cleaning up.
#
# A runner sources this, then calls
#
#     begin                  # WORK: a folder of its own, removed at the end
#     need_postgres; want 'command -v pgbouncer' pgbouncer; install_missing
#     private_installation   # PGBIN: its programs
#
# Nothing is written outside WORK and the build products of the checkout.

set -euo pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
WORK=
KEEP_WORK=
JOB=
declare -A PORT

say() { printf '%s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# ---- beginning and end -----------------------------------------------------

begin() {
	local name

	# The caller's make and libpq settings would leak into every child.
	unset MAKEFLAGS MFLAGS MAKELEVEL
	for name in $(compgen -e PG); do
		case $name in PG_*) ;; *) unset "$name" ;; esac
	done
	export LANG=C.UTF-8 LC_ALL=C.UTF-8
	umask 022

	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	trap finish EXIT
	WORK=$(mktemp -d "${TMPDIR:-/tmp}/concresce.XXXXXX") ||
		die "No folder can be made in ${TMPDIR:-/tmp}: set TMPDIR to another one."
	chmod 755 "$WORK"
	mkdir "$WORK/run"
	check_work
}

# Programs are run there, and sockets made, whose names may have 107 bytes:
# $WORK/run/pg_regress-XXXXXX/.s.PGSQL.65535
check_work() {
	printf '#!/bin/sh\n' >"$WORK/runs"
	chmod +x "$WORK/runs"
	"$WORK/runs" 2>/dev/null ||
		die "No program can be run in ${TMPDIR:-/tmp}, which may be mounted noexec: set TMPDIR to another folder."
	[ ${#WORK} -le 70 ] ||
		die "The path of ${TMPDIR:-/tmp} is too long for the sockets of servers: set TMPDIR to a shorter one."
}

finish() {
	local status=$?

	trap '' INT TERM HUP
	if [ -n "$JOB" ]; then
		kill -TERM -- "-$JOB" 2>/dev/null || :
	fi
	if [ -n "$WORK" ] && [ -z "$KEEP_WORK" ]; then
		stop_clusters
		rm -rf --one-file-system "$WORK"
	fi
	exit "$status"
}

# Run a command in a process group of its own: the shell stays free to react
# to a signal, and can then end all of the group.
run() {
	local status=0

	set -m
	"$@" </dev/null &
	JOB=$!
	set +m
	wait "$JOB" || status=$?
	JOB=
	return "$status"
}

# ---- an unprivileged user --------------------------------------------------

is_root() { [ "$(id -u)" = 0 ]; }

# PostgreSQL refuses to run as root.
server_user() {
	if ! is_root; then
		id -un
	elif id postgres >/dev/null 2>&1; then
		echo postgres
	else
		echo nobody
	fi
}

as_user() {
	local user
	local -a drop=()

	if is_root; then
		user=$(server_user)
		drop=(setpriv "--reuid=$user" "--regid=$(id -g "$user")" --clear-groups)
	fi
	"${drop[@]}" env "HOME=$WORK/run" "TMPDIR=$WORK/run" \
		"PATH=${PGBIN:+$PGBIN:}$PATH" "$@"
}

give_to_user() {
	if is_root; then
		chown -R "$(server_user)" "$@"
	fi
}

# ---- what must be installed ------------------------------------------------

# shellcheck source=scripts/packages.sh
. "$TOP/scripts/packages.sh"

# ---- a private installation ------------------------------------------------

copy_sources() {
	mkdir -p "$1"
	tar -C "$TOP" --mode=u+w --exclude='./.git' --exclude='*.o' --exclude='*.bc' \
		--exclude='*.so' --exclude='./src/.built-for-*' \
		--exclude='./tmp_check*' --exclude='./dist' \
		--exclude='./test/bench/results' --exclude='./examples/node/node_modules' \
		-cf - . | tar -C "$1" --no-same-owner -xf -
}

# Build where the checkout is, or, where that may not be written, in a copy.
build() {
	SRC=$TOP
	if [ ! -w "$TOP" ] || [ ! -w "$TOP/src" ]; then
		SRC=$WORK/src
		copy_sources "$SRC"
	fi
	# Two runners at once would trip over each other's object files.
	flock "$SRC/Makefile" make -s -C "$SRC" -j"$(nproc)" with_llvm=no \
		"PG_CONFIG=${PG_CONFIG:-pg_config}" ${CC:+"CC=$CC"} all
}

# Links to the files of a folder, but real folders where files will be added.
link_folder() {
	local from=$1 to=$2 file

	mkdir -p "$to"
	for file in "$from"/*; do
		case ${file##*/} in
			concresce*) ;;
			extension | bitcode) link_folder "$file" "$to/${file##*/}" ;;
			*) ln -s "$file" "$to/" ;;
		esac
	done
}

# A server finds its libraries and its share folder relative to its own
# binary, once links are resolved: so copies of the binaries are enough to
# make a whole installation of another place.
private_installation() {
	local root=$WORK/pg bindir

	say "Building concresce for $(pg --version) ..."
	build
	bindir=$(pg --bindir)
	PGBIN=$root$bindir
	mkdir -p "$PGBIN"
	cp -L "$bindir"/* "$PGBIN/"
	[ -z "${CCR_NEEDED:-}" ] ||
		patchelf --add-needed "$CCR_NEEDED" "$PGBIN/postgres"
	link_folder "$(pg --pkglibdir)" "$root$(pg --pkglibdir)"
	link_folder "$(pg --sharedir)" "$root$(pg --sharedir)"
	make -s -C "$SRC" with_llvm=no "PG_CONFIG=${PG_CONFIG:-pg_config}" \
		"DESTDIR=$root" install >"$WORK/install.log"
	give_to_user "$WORK/run"
}

# ---- clusters --------------------------------------------------------------

# Below the ports that the system hands out by itself.
free_port() {
	local port

	while :; do
		port=$((10240 + RANDOM % 20000))
		if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
			echo "$port"
			return
		fi
	done
}

# new_cluster NAME [SETTING...]: in WORK/run/NAME, which also is the folder
# of its socket. Any local user is trusted there; 127.0.0.1 asks passwords.
# Its port is then in PORT[NAME], and in the variable NAME_PORT.
new_cluster() {
	local name=$1 dir=$WORK/run/$1 port attempt

	shift
	as_user mkdir "$dir"
	as_user initdb -D "$dir/data" -U postgres --no-sync -E UTF8 --no-locale \
		--auth-local=trust --auth-host=scram-sha-256 >"$WORK/initdb.log" 2>&1 ||
		{ cat "$WORK/initdb.log" >&2; return 1; }
	{
		printf '%s\n' "listen_addresses = '127.0.0.1'" \
			"unix_socket_directories = '$dir'" 'fsync = off' "$@"
	} | as_user tee -a "$dir/data/postgresql.conf" >/dev/null
	for attempt in 1 2 3 4 5; do
		port=$(free_port)
		if as_user pg_ctl -D "$dir/data" -l "$dir/log" -w -s -o "-p $port" \
			start </dev/null >/dev/null 2>&1; then
			PORT[$name]=$port
			printf -v "${name}_PORT" '%s' "$port"
			return
		fi
		grep -q 'could not bind' "$dir/log" || break
	done
	tail -n 20 "$dir/log" >&2
	die "The cluster \"$name\" did not start (attempt $attempt)."
}

# psql_in NAME [ARGUMENT...]: as the superuser, in the database postgres.
psql_in() {
	local name=$1

	shift
	as_user psql -X -q -v ON_ERROR_STOP=1 -h "$WORK/run/$name" \
		-p "${PORT[$name]}" -U postgres "$@"
}

# Whatever way they were started: by pg_regress, a TAP test or new_cluster.
stop_clusters() {
	local file pid

	find "$WORK" -name postmaster.pid 2>/dev/null | while read -r file; do
		pid=$(head -n 1 "$file")
		[ "$(readlink "/proc/$pid/cwd")" = "${file%/*}" ] || continue
		kill -QUIT "$pid" 2>/dev/null || continue
		for _ in $(seq 100); do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.1
		done
	done
}
