# concresce: plain PGXS for "make", "make install", "make installcheck";
# everything that needs servers of its own is in scripts/.

MODULE_big = concresce
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c)))
PGFILEDESC = "concresce - lookups, batched and coalesced across sessions"

EXTENSION = concresce
DATA = sql/concresce--0.1.0.sql sql/concresce--0.1.0--0.2.0.sql \
	sql/concresce--0.2.0.sql

REGRESS = $(sort $(patsubst test/sql/%.sql,%,$(wildcard test/sql/*.sql)))
REGRESS_OPTS = --inputdir=test --load-extension=concresce \
	--temp-instance=tmp_check --temp-config=test/concresce.conf
ISOLATION = $(sort $(patsubst test/specs/%.spec,%,$(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --load-extension=concresce \
	--temp-instance=tmp_check_iso --temp-config=test/concresce.conf
TAP_TESTS = $(if $(wildcard test/t/*.pl),1)
PROVE_TESTS ?= test/t/*.pl

PG_CONFIG ?= pg_config

# These bring what they need, PostgreSQL included, so they must not depend on
# what PGXS would read at this point.
SELF_CONTAINED = check check-asan check-asserts check-model check-postgres \
	check-ubsan check-versions chaos demo bench fuzz

ifneq ($(filter $(SELF_CONTAINED),$(MAKECMDGOALS)),)

.PHONY: $(MAKECMDGOALS)
check:
	@scripts/check
check-asan:
	@scripts/check-sanitizer address
check-asserts:
	@scripts/check-asserts
check-model:
	@scripts/check-model
check-postgres:
	@scripts/check-postgres
check-ubsan:
	@scripts/check-sanitizer undefined
check-versions:
	@scripts/check-versions
# bash has a use of its own for SECONDS
chaos:
	@SECONDS_OF_CHAOS='$(SECONDS)' scripts/chaos
demo:
	@scripts/demo
bench:
	@test/bench/run
fuzz:
	@scripts/fuzz
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

# Callbacks and PG_FUNCTION_ARGS have parameters that not every function
# reads, in the server's own headers too; PG_FINALLY's own variable looks
# clobbered.
PG_CPPFLAGS = -I$(libpq_srcdir)
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-clobbered

# -fvisibility=hidden would hide the SQL functions on PostgreSQL 15, whose
# PG_FUNCTION_INFO_V1 exports only the info record.
SHLIB_LINK = $(libpq) -lpthread -Wl,--version-script=concresce.map
EXTRA_CLEAN = src/.built-for-*

include $(PGXS)

# PGXS tracks no headers where PostgreSQL was built without dependency
# tracking, and never notices another PG_CONFIG.
BUILT_FOR = src/.built-for-$(VERSION)
$(OBJS) $(OBJS:.o=.bc): $(wildcard src/*.h) $(BUILT_FOR) Makefile
$(BUILT_FOR):
	@rm -f src/.built-for-*
	@touch $@
$(shlib): concresce.map

endif
