# shellcheck shell=bash
# Whole Debian systems in throwaway folders, made by debootstrap; as root.
# To be sourced after lib.sh.
#
#   CCR_CHROOT_CACHE=folder   keeps the unpacked systems as tar files
#   CCR_MIRROR=address        in place of the mirror that apt is set up with
#   CCR_LIMIT=60m             for each step, on a machine that is busy

# For each step: a mirror or a test that hangs must not hold up the rest.
LIMIT=${CCR_LIMIT:-20m}

# unshare ignores SIGTERM: only SIGKILL ends it, and with it what it runs.
limited() { timeout --foreground --kill-after=10 "$LIMIT" "$@"; }

# $(REPO_URI) is apt's.
# shellcheck disable=SC2016
mirror() {
	if [ -n "${CCR_MIRROR:-}" ]; then
		echo "$CCR_MIRROR"
	else
		{
			apt-get indextargets --format '$(REPO_URI)' \
				'Origin: Debian' 'Label: Debian'
			apt-get indextargets --format '$(REPO_URI)'
		} 2>/dev/null | sed -n 1p
	fi
}

# A folder as a system of its own. Its mounts and processes end with it,
# where namespaces may be made.
inside() {
	local root=$1

	shift
	set -- env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
		DEBIAN_FRONTEND=noninteractive "$@"
	# In the new system "$@" is expanded, not here.
	# shellcheck disable=SC2016
	if unshare --mount --pid --fork true 2>/dev/null; then
		limited unshare --mount --pid --fork \
			--kill-child --root="$root" --mount-proc=/proc sh -c '
				mount -t tmpfs -o mode=1777 tmpfs /dev/shm
				exec "$@"' sh "$@"
	else
		chmod 1777 "$root/dev/shm"
		limited chroot "$root" "$@"
	fi
}

# apt of the new system is to reach the mirror as the machine's own does.
configure_apt() {
	local root=$1

	apt-config dump | grep -E '^Acquire::(http|https|Check|Retries)[:-]' \
		>"$root/etc/apt/apt.conf.d/99machine" || :
	mkdir -p "$root/etc/postgresql-common"
	echo 'create_main_cluster = false' \
		>"$root/etc/postgresql-common/createcluster.conf"
	echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/throwaway"
}

# What is made of one source package, of a suite that apt prefers for nothing.
add_suite() {
	local root=$1 suite=$2 source=$3 mirror=$4

	echo "deb $mirror $suite main" >"$root/etc/apt/sources.list.d/$suite.list"
	printf '%s\n' "Package: src:$source" "Pin: release a=$suite" \
		'Pin-Priority: 990' >"$root/etc/apt/preferences.d/$suite"
}

# bare_system ROOT SUITE [SOURCE]: apt, and what cannot be removed. Of the suite
# experimental there is what is made of SOURCE; the rest is of sid.
bare_system() {
	local root=$1 suite=$2 source=${3:-} base=$2 mirror isolated=()

	[ "$suite" != experimental ] || base=sid
	mirror=$(mirror)
	if [ -z "$mirror" ]; then
		echo 'apt knows no Debian mirror'
		apt-get indextargets >/dev/null || :
		return 1
	fi
	if unshare --mount true 2>/dev/null; then
		isolated=(unshare --mount)
	fi
	limited "${isolated[@]}" debootstrap --variant=minbase \
		--include=ca-certificates "$base" "$root" "$mirror" || return 1
	configure_apt "$root"
	[ "$suite" = "$base" ] || add_suite "$root" "$suite" "$source" "$mirror"
	inside "$root" apt-get update -q
}

# add_packages ROOT PACKAGE...
add_packages() {
	local root=$1

	shift
	inside "$root" apt-get install -q -y --no-install-recommends "$@"
}

install_system() {
	local root=$1 major=$2 suite=$3

	bare_system "$root" "$suite" "postgresql-$major" || return 1
	add_packages "$root" "postgresql-$major" "postgresql-server-dev-$major" \
		make gcc libc6-dev libipc-run-perl openssl pgbouncer
}

# cached NAME ROOT COMMAND...: what the command makes of the new folder ROOT.
cached() {
	local root=$2 tar=${CCR_CHROOT_CACHE:-}/$1.tar

	shift 2
	mkdir "$root"
	if [ -n "${CCR_CHROOT_CACHE:-}" ] && [ -f "$tar" ]; then
		tar -C "$root" -xf "$tar"
		return
	fi
	"$@" || { rm -rf --one-file-system "$root"; return 1; }
	if [ -n "${CCR_CHROOT_CACHE:-}" ]; then
		mkdir -p "$CCR_CHROOT_CACHE"
		tar -C "$root" --one-file-system -cf "$tar.part" .
		mv "$tar.part" "$tar"
	fi
}

# make_system ROOT MAJOR SUITE
make_system() { cached "$3-$2" "$1" install_system "$@"; }

# The last line; and that nothing could be tested is a failure, unless
# ALLOW_SKIPPED is set.
sum_up() {
	local anything=$((PASSED + FAILED))

	[ "$anything" -gt 0 ] || say 'Nothing was tested.'
	say "$PASSED passed, $FAILED failed"
	[ "$FAILED" = 0 ] && { [ "$anything" -gt 0 ] || [ -n "${ALLOW_SKIPPED:-}" ]; }
}

can_make_systems() { is_root && command -v apt-get >/dev/null; }
