# shellcheck shell=bash
# PostgreSQL built from Debian's source package, with assertions.
#
#   CCR_SOURCE_CACHE=folder   keeps what was built, one folder a major version
#
# A runner that has called begin and need_postgres, but not yet
# install_missing, calls
#
#     need_source; install_missing
#     built_postgres         # PG_CONFIG: of what was built; BUILT: its sources

need_source() {
	want 'command -v bison' bison
	want 'command -v flex' flex
	want 'command -v bzip2' bzip2
	want 'command -v perl' perl
	want 'command -v pkg-config' pkg-config
	want 'pkg-config --exists icu-i18n' libicu-dev
	want 'pkg-config --exists libxml-2.0' libxml2-dev
}

# apt with lists of its own: the machine's may lack source packages.
apt_sources() {
	local command=$1

	shift
	"apt-$command" -q -o "Dir::Etc::SourceList=$WORK/apt/sources.list" \
		-o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$WORK/apt/lists" \
		-o "Dir::Cache=$WORK/apt/cache" -o APT::Sandbox::User=root "$@"
}

# $(REPO_URI) and its like are apt's.
# shellcheck disable=SC2016
list_sources() {
	mkdir -p "$WORK/apt/lists/partial" "$WORK/apt/cache/archives/partial"
	apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
		'Created-By: Packages' 'Origin: Debian' | sort -u |
		sed 's/^/deb-src /' >"$WORK/apt/sources.list"
	apt_sources get update
}

# The newest minor version whose archive can be had: mirrors may list one
# that they no longer hold.
download_source() {
	local package=$1 version

	for version in $(apt_sources cache showsrc "$package" |
		sed -n 's/^Version: //p' | sort -rV); do
		if (cd "$WORK/apt" && apt_sources get source --download-only \
			"$package=$version"); then
			return
		fi
	done
	return 1
}

# What the tests use, less what takes time to build.
configure_options() {
	echo --enable-cassert --enable-debug --enable-tap-tests --without-readline \
		--without-zlib --with-icu --with-libxml
}

build_postgres() {
	local prefix=$1 sources=$2 major=$3

	list_sources && download_source "postgresql-$major" &&
		mkdir -p "$sources" "$prefix" &&
		tar -C "$sources" --strip-components=1 --no-same-owner \
			-xf "$WORK"/apt/postgresql-*.orig.tar.* &&
		cd "$sources" || return 1
	# shellcheck disable=SC2046
	./configure -q --prefix="$prefix" $(configure_options) CFLAGS='-O1 -g' &&
		make -s -j"$(nproc)" all && make -s install &&
		make -s -j"$(nproc)" -C contrib all && make -s -C contrib install &&
		touch "$prefix/complete"
}

built_postgres() {
	local major prefix cache=${CCR_SOURCE_CACHE:-$WORK/source}

	major=$(pg_major)
	prefix=$cache/$major
	BUILT=$cache/$major-sources
	if [ ! -f "$prefix/complete" ]; then
		say "Building PostgreSQL $major with assertions ..."
		rm -rf "$prefix" "$BUILT"
		(build_postgres "$prefix" "$BUILT" "$major") >"$WORK/source.log" 2>&1 || {
			tail -n 20 "$WORK/source.log" >&2
			die "PostgreSQL $major could not be built from source."
		}
	fi
	export PG_CONFIG=$prefix/bin/pg_config
	say "$(pg --version), built with: $(pg --configure)"
}
