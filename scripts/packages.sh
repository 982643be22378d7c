# shellcheck shell=bash
# What a command needs of the machine, and the Debian packages that bring it.
#
# What is looked for is what will be used, for one and the same major version:
# headers, a compiler that compiles and links, the contrib modules, the
# programs that run tests. Debian spreads these over packages, any of which a
# machine may have without the others; pg_config and PGXS come with the client.

MISSING=()
# The versions that concresce is for, the one that is preferred first.
MAJORS='18 17 16 15 19'
DEBIAN_PG=/usr/lib/postgresql

# want TEST PACKAGE...: the packages are missing if the test fails.
want() {
	local test=$1

	shift
	if ! eval "$test" >/dev/null 2>&1; then
		MISSING+=("$@")
	fi
}

# want_if_packaged TEST PACKAGE: the same, unless this release has none.
want_if_packaged() {
	case $(apt-cache policy "$2" 2>/dev/null || :) in
		*'Candidate: '[0-9]*) want "$@" ;;
	esac
}

pg() { "${PG_CONFIG:-pg_config}" "$@" 2>/dev/null; }

pgxs_test() { echo "$(dirname "$(pg --pgxs)")/../test"; }

# "PostgreSQL 15.4 (Debian ...)", "postgres (PostgreSQL) 18beta1": 15, 18
major_in() { sed -n 's/^[^0-9]*\([0-9][0-9]*\).*/\1/p;q'; }

pg_major() { pg --version | major_in; }

# ---- tests of what is there ------------------------------------------------

have_server() {
	local bindir program

	bindir=$(pg --bindir)
	for program in postgres initdb pg_ctl pg_controldata; do
		[ -x "$bindir/$program" ] || return 1
	done
	[ "$("$bindir/postgres" --version | major_in)" = "$(pg_major)" ]
}

have_client() {
	local bindir program

	bindir=$(pg --bindir)
	for program in psql pg_dump pgbench; do
		[ -x "$bindir/$program" ] || return 1
	done
}

have_contrib() {
	local module

	for module in dblink pg_stat_statements postgres_fdw; do
		[ -f "$(pg --sharedir)/extension/$module.control" ] &&
			[ -f "$(pg --pkglibdir)/$module.so" ] || return 1
	done
}

# PGXS is part of the client's package, the headers are not.
have_headers() {
	local include

	include=$(pg --includedir-server)
	[ -f "$(pg --pgxs)" ] && [ -f "$include/postgres.h" ] &&
		[ "$(sed -n 's/^#define PG_VERSION_NUM \([0-9]*\)[0-9]\{4\}$/\1/p' \
			"$include/pg_config.h")" = "$(pg_major)" ]
}

have_libpq() {
	[ -f "$(pg --includedir)/libpq-fe.h" ] && [ -e "$(pg --libdir)/libpq.so" ]
}

have_compiler() {
	echo '#include <stdio.h>
		int main(void) { return puts("") < 0; }' |
		gcc -x c -o "$WORK/compiled" - && "$WORK/compiled"
}

# All of the above together, as the build uses it.
builds() {
	printf '#include "%s"\n' postgres.h fmgr.h libpq-fe.h |
		gcc -x c -shared -fPIC -o "$WORK/compiled" "-I$(pg --includedir-server)" \
			"-I$(pg --includedir)" - "-L$(pg --libdir)" -lpq
}

have_test_programs() {
	[ -x "$(pgxs_test)/regress/pg_regress" ] &&
		[ -f "$(pgxs_test)/perl/PostgreSQL/Test/Cluster.pm" ]
}

have_postgres() {
	have_server && have_client && have_contrib && have_headers && have_libpq &&
		have_test_programs
}

# ---- which PostgreSQL ------------------------------------------------------

# The major version that the package "postgresql" stands for.
packaged_major() {
	apt-cache depends postgresql 2>/dev/null |
		sed -n 's/.*Depends: postgresql-\([0-9][0-9]*\)$/\1/p' | head -n 1
}

supported() { [[ " $MAJORS " == *" $1 "* ]]; }

# use TEST: the pg_config that is found along PATH, or else that of one of
# Debian's versions, of which the test is true.
use() {
	local major candidate
	local -a candidates=()

	[ -n "${PG_MAJOR:-}" ] || candidates=("$(command -v pg_config || :)")
	for major in ${PG_MAJOR:-$MAJORS}; do
		candidates+=("$DEBIAN_PG/$major/bin/pg_config")
	done
	for candidate in "${candidates[@]}"; do
		[ -x "$candidate" ] || continue
		supported "$(PG_CONFIG=$candidate pg_major)" || continue
		PG_CONFIG=$candidate "$1" || continue
		PG_CONFIG=$candidate
		return
	done
	return 1
}

# Which PostgreSQL to work with: the one that PG_CONFIG or PG_MAJOR names; one
# that lacks nothing; one of which there is a server; what Debian packages.
# Then PG_CONFIG is set, to a file that installing may have to bring.
choose_postgres() {
	local major

	if [ -n "${PG_CONFIG:-}" ]; then
		command -v "$PG_CONFIG" >/dev/null ||
			die "PG_CONFIG=$PG_CONFIG: there is no such program."
	elif ! use have_postgres && ! use have_server; then
		major=${PG_MAJOR:-$(packaged_major || :)}
		PG_CONFIG=$DEBIAN_PG/${major:-0}/bin/pg_config
	fi
	export PG_CONFIG
}

# The major version of the packages that complete it.
wanted_major() {
	local major

	major=$(pg_major || :)
	if [ -z "$major" ]; then
		major=${PG_CONFIG#"$DEBIAN_PG/"}
		major=${major%%/*}
	fi
	case $major in '' | 0 | *[!0-9]*) ;; *) echo "$major" ;; esac
}

need_postgres() {
	local major

	if is_root && command -v apt-get >/dev/null &&
		[ -z "${PG_CONFIG:-}${PG_MAJOR:-}" ] && ! use have_postgres &&
		[ -z "$(packaged_major || :)" ]; then
		apt_update
	fi
	choose_postgres
	major=$(wanted_major || :)
	if [ -n "$major" ] && ! supported "$major"; then
		die "PostgreSQL $major is not supported, only ${MAJORS// /, }: say PG_CONFIG=/path/to/pg_config."
	fi
	want 'have_server && have_contrib' "postgresql${major:+-$major}"
	want have_client "postgresql-client${major:+-$major}" \
		"postgresql${major:+-$major}"
	want have_headers "postgresql-server-dev-${major:-all}"
	# with the client in Debian 12, and perhaps elsewhere in another release
	want have_test_programs "postgresql-client${major:+-$major}" \
		"postgresql-server-dev-${major:-all}"
	want have_libpq libpq-dev
	want 'command -v make' make
	want 'command -v flock && command -v setpriv' util-linux
	want have_compiler gcc libc6-dev
	POSTGRES_NEEDED=1
}

need_tests() {
	want 'command -v prove' perl
	want 'perl -MIPC::Run -e 1' libipc-run-perl
	want 'command -v nm' binutils

	# what is tested only where it is there, so nobody has to be asked for it
	if is_root; then
		want '[ -x /usr/sbin/pgbouncer ] || command -v pgbouncer' pgbouncer
		want 'command -v openssl' openssl
		want_if_packaged '[ -x /usr/sbin/pgpool ]' pgpool2
		want_if_packaged 'command -v odyssey' odyssey
		want_if_packaged '[ -f "$(pg --sharedir)/extension/plproxy.control" ]' \
			"postgresql-$(pg_major || wanted_major)-plproxy"
		want_if_packaged '[ -f "$(pg --sharedir)/extension/http.control" ]' \
			"postgresql-$(pg_major || wanted_major)-http"
		want_if_packaged '/usr/bin/python3 -c "import psycopg"' python3-psycopg
		[ -z "${EXTRAS:-}" ] || need_extras
	fi
}

# What is large, for one or two tests each.
need_extras() {
	want_if_packaged '[ -f "$(pg --sharedir)/extension/mysql_fdw.control" ]' \
		"postgresql-$(pg_major || wanted_major)-mysql-fdw"
	want_if_packaged '[ -x /usr/sbin/mariadbd ]' mariadb-server-core
	want_if_packaged 'command -v my_print_defaults' mariadb-client-core
	want_if_packaged 'NODE_PATH=/usr/share/nodejs node -e "require(\"pg\")"' node-pg
}

# ---- installing ------------------------------------------------------------

apt_update() {
	say 'Reading the package lists (apt-get update) ...'
	apt-get update -q >"$WORK/apt.log" 2>&1 ||
		{ cat "$WORK/apt.log" >&2; return 1; }
	APT_UPDATED=1
}

check_that() {
	"$1" >/dev/null 2>&1 || die "$2 (PG_CONFIG=$PG_CONFIG)."
}

# Where packages could not help: what is missing is named.
check_installed() {
	[ -n "${POSTGRES_NEEDED:-}" ] || return 0
	check_that have_server "The server's programs are missing, or of another major version"
	check_that have_client "psql, pg_dump or pgbench is missing"
	check_that have_contrib "dblink, pg_stat_statements or postgres_fdw is missing"
	check_that have_headers "The server's header files are missing, or of another major version"
	check_that have_libpq "libpq-fe.h or libpq.so is missing"
	check_that have_test_programs "pg_regress or PostgreSQL::Test::Cluster is missing"
	check_that have_compiler 'gcc does not compile and link'
	builds 2>"$WORK/compiled.log" || {
		cat "$WORK/compiled.log" >&2
		die "A file that includes postgres.h and libpq-fe.h could not be compiled and linked for PG_CONFIG=$PG_CONFIG."
	}
}

install_missing() {
	local -a install=(apt-get install -y --no-install-recommends) packages

	if [ ${#MISSING[@]} -gt 0 ]; then
		# shellcheck disable=SC2207  # a package's name is one word
		packages=($(printf '%s\n' "${MISSING[@]}" | sort -u))
		if ! command -v apt-get >/dev/null; then
			die "Missing (by their Debian names): ${packages[*]}"
		elif ! is_root; then
			die "Debian packages are missing. As root: apt-get update && ${install[*]} ${packages[*]}"
		fi
		export DEBIAN_FRONTEND=noninteractive
		[ -n "${APT_UPDATED:-}" ] || apt_update
		say "Installing Debian packages: ${packages[*]}"
		"${install[@]}" -q -o DPkg::Lock::Timeout=600 "${packages[@]}" >"$WORK/apt.log" 2>&1 </dev/null || {
			tail -n 30 "$WORK/apt.log" >&2
			die "Could not install: ${packages[*]}"
		}
		MISSING=()
		hash -r
		[ -z "${POSTGRES_NEEDED:-}" ] || [ -x "$(command -v "$PG_CONFIG")" ] ||
			{ PG_CONFIG=; choose_postgres; }
	fi
	check_installed
}
