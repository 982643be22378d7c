# concresce: plain PGXS for "make", "make install", "make installcheck", in
# this folder or another one (make -f SRC/Makefile VPATH=SRC).  Everything that
# needs servers of its own is in scripts/.
#
#: Building, for the PostgreSQL whose pg_config is named:
#:   make [PG_CONFIG=/path/to/pg_config]
#:   make install        into that PostgreSQL
#:   make clean
#:   make deb            Debian packages, for each PostgreSQL that can be built for
#:   make dist           an archive for PGXN
#:
#: Testing, with nothing to set up:
#:   make check          all tests, on servers of its own; "make test" is the same
#:   make check TESTS='stop stats' PROVE_TESTS=test/t/leaving.pl
#:                       these files of test/sql, and of test/t
#:   make installcheck   the files of test/sql, on a running server that has the
#:                       library loaded (PGHOST, PGPORT, PGUSER; TESTS=...)
#:   make demo           shows what concresce does
#:   make bench          measures it
#:   make indent         indents the sources as pgindent does
#:
#: Testing for hours, with other compilers, servers and systems:
#:   make check-versions   on other versions, in throwaway Debian systems
#:   make check-bare       what a newcomer meets, in systems that have nothing
#:   make check-packages   what "make deb" and "make dist" have made
#:   make check-asserts check-asan check-ubsan check-postgres check-model
#:   make check-shortage   with allocations that fail, one by one
#:   make chaos fuzz

HERE := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))

MODULE_big = concresce
SOURCES = $(sort $(wildcard $(HERE)/src/*.c $(HERE)/src/*/*.c))
OBJS = $(patsubst $(HERE)/%.c,%.o,$(SOURCES))
PGFILEDESC = "concresce - lookups, batched and coalesced across sessions"

EXTENSION = concresce
DATA = sql/concresce--0.1.0.sql sql/concresce--0.1.0--0.2.0.sql \
	sql/concresce--0.2.0.sql

REGRESS = $(or $(TESTS),$(sort \
	$(patsubst $(HERE)/test/sql/%.sql,%,$(wildcard $(HERE)/test/sql/*.sql))))
REGRESS_OPTS = --inputdir=$(HERE)/test --load-extension=concresce
REGRESS_PREP = server-is-ready answers-are-here

PG_CONFIG ?= pg_config

# These bring what they need, PostgreSQL included, so they must not depend on
# what PGXS would read at this point.
SELF_CONTAINED = help check test check-asan check-asserts check-bare \
	check-model check-packages check-postgres check-shortage check-ubsan check-versions chaos demo bench \
	deb dist fuzz indent

ifneq ($(filter $(SELF_CONTAINED),$(MAKECMDGOALS)),)

.PHONY: $(MAKECMDGOALS)
help:
	@sed -n 's/^#: \{0,1\}//p' $(HERE)/Makefile
check test:
	@$(HERE)/scripts/check
check-asan:
	@$(HERE)/scripts/check-sanitizer address
check-asserts:
	@$(HERE)/scripts/check-asserts
check-bare:
	@$(HERE)/scripts/check-bare
check-model:
	@$(HERE)/scripts/check-model
check-packages:
	@$(HERE)/scripts/check-packages
check-postgres:
	@$(HERE)/scripts/check-postgres
check-shortage:
	@$(HERE)/scripts/check-shortage
check-ubsan:
	@$(HERE)/scripts/check-sanitizer undefined
check-versions:
	@$(HERE)/scripts/check-versions
# bash has a use of its own for SECONDS
chaos:
	@SECONDS_OF_CHAOS='$(SECONDS)' $(HERE)/scripts/chaos
deb:
	@$(HERE)/scripts/deb
demo:
	@$(HERE)/scripts/demo
dist:
	@$(HERE)/scripts/dist
bench:
	@$(HERE)/test/bench/run
fuzz:
	@$(HERE)/scripts/fuzz
indent:
	@$(HERE)/scripts/indent
$(filter-out $(SELF_CONTAINED),$(MAKECMDGOALS)):
	@$(MAKE) $@

else

# Debian's client package has PGXS, but not the headers.
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
HEADER := $(shell $(PG_CONFIG) --includedir-server 2>/dev/null)/postgres.h
ifneq ($(words $(wildcard $(PGXS) $(HEADER))),2)
$(error no PGXS or no postgres.h found by "$(PG_CONFIG)": install \
	postgresql-server-dev-NN, or say PG_CONFIG=/path/to/pg_config)
endif

# make would take what lies beside the sources for what it has to build here.
ifneq ($(realpath $(HERE)),$(realpath $(CURDIR)))
ifneq ($(wildcard $(HERE)/src/*.o $(HERE)/src/*/*.o $(HERE)/concresce.so),)
$(error the sources have been built where they are: say "make -C $(HERE) clean" first)
endif
endif

# Callbacks and PG_FUNCTION_ARGS have parameters that not every function
# reads, in the server's own headers too; PG_FINALLY's own variable looks
# clobbered.  clang does not know all that the headers say to gcc.  These come
# before the server's own folders, so none of src/ may be called like one of
# them.
PG_CPPFLAGS = -I$(HERE)/src -I$(libpq_srcdir)
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-clobbered \
	$(if $(findstring clang,$(CC)),-Wno-unknown-warning-option -Wno-ignored-attributes \
		-Wno-ignored-optimization-argument)

# -fvisibility=hidden would hide the SQL functions on PostgreSQL 15, whose
# PG_FUNCTION_INFO_V1 exports only the info record.
SHLIB_LINK = $(libpq) -lpthread -Wl,--version-script=$(HERE)/src/concresce.map
EXTRA_CLEAN = src/.built-for-*

# For make check-shortage: these are called by way of test/shortage/fail.c.
ifdef SHORTAGE
OBJS += test/shortage/fail.o
SHLIB_LINK += $(patsubst %,-Wl$(COMMA)--wrap=%,palloc palloc0 repalloc repalloc_huge pstrdup pnstrdup \
	MemoryContextAlloc MemoryContextAllocZero MemoryContextAllocHuge MemoryContextAllocExtended \
	MemoryContextStrdup initStringInfo enlargeStringInfo pairingheap_allocate \
	AllocSetContextCreateInternal hash_search dsa_attach_in_place \
	RegisterXactCallback RegisterSubXactCallback RegisterResourceReleaseCallback)
endif
COMMA := ,

include $(PGXS)

# PGXS tracks no headers where PostgreSQL was built without dependency
# tracking, and never notices another PG_CONFIG.
BUILT_FOR = src/.built-for-$(VERSION)
$(OBJS) $(OBJS:.o=.bc): $(wildcard $(HERE)/src/*/*.h) $(BUILT_FOR) $(HERE)/Makefile
$(BUILT_FOR):
	@mkdir -p $(sort $(dir $(OBJS)))
	@rm -f src/.built-for-*
	@touch $@
$(shlib): $(HERE)/src/concresce.map

# pg_regress looks for the answers where it is started.
.PHONY: server-is-ready answers-are-here
answers-are-here:
	@[ -e expected ] || ln -s '$(HERE)/expected' expected
server-is-ready:
	@$(HERE)/scripts/check-server '$(bindir)' '$(MAJORVERSION)' '$(CONTRIB_TESTDB)'

endif
