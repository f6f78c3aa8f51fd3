# SPDX-License-Identifier: BSD-2-Clause
# The front door; Meson and Ninja do the work.  `make help` lists what there is.
#
#   make SAN=address,undefined check     the same in a build of its own, build-san-...
#   make PREFIX=/usr DESTDIR=/tmp/x install

PREFIX ?= /usr/local
DESTDIR ?=
SAN ?=
COVERAGE ?=
BENCH ?=
FUZZ_SECONDS ?= 60

comma := ,
dash := $(if $(SAN),-san-$(subst $(comma),-,$(SAN)))$(if $(COVERAGE),-coverage)
B := build$(dash)
OPTIONS := $(if $(SAN)$(COVERAGE),,-Dwerror=true) \
	$(if $(SAN),-Db_sanitize=$(SAN) -Db_lundef=false) \
	$(if $(findstring thread,$(SAN)),-Dc_args=-Wno-tsan) \
	$(if $(COVERAGE),-Db_coverage=true)

# Meson asks dpkg-dev for Debian's library folder; a fresh machine has gcc alone.
MULTIARCH = $$(m=$$(gcc -print-multiarch 2>/dev/null); [ -z "$$m" ] || echo -Dlibdir=lib/$$m)
SETUP = meson setup $B -Dprefix=$(PREFIX) $(MULTIARCH) $(OPTIONS)

all: $B/build.ninja
	@ninja -C $B

$B/build.ninja:
	@tools/deps build
	@$(SETUP)

# What tests need must be there before Meson looks for it.
tests-ready:
	@tools/deps build test
	@test -f $B/build.ninja || $(SETUP)
	@test -f $B/.tests || { meson configure $B -Dtests=enabled && touch $B/.tests; }
	@ninja -C $B

demo: all
	@tools/deps demo
	@B=$B tools/demo

check: tests-ready
	@tests/check $B

soak: tests-ready
	@tools/deps soak
	@tests/check --soak $B

check-asan:
	@$(MAKE) --no-print-directory check SAN=address,undefined
check-tsan:
	@$(MAKE) --no-print-directory check SAN=thread

# Each rule of docs/process-control.md taken out in turn: a test must notice.
check-mutations:
	@tools/deps build test
	@test -f build-mutations/build.ninja || \
		meson setup build-mutations -Dmutations=true -Dtests=enabled
	@ninja -C build-mutations
	@tests/mutate build-mutations $(RULES)

coverage:
	@tools/deps coverage
	@$(MAKE) --no-print-directory check COVERAGE=1 || echo "coverage: of a failed check"
	@gcovr --root . --filter src/ --object-directory build-coverage -s --txt | tail -60

bench: tests-ready
	@tools/deps bench
	@bench/run $B $(BENCH)

tidy: all
	@tools/deps tidy
	@tools/tidy $(if $(RATCHET),--ratchet) $B

fuzz:
	@tools/deps build test fuzz
	@test -f build-fuzz/build.ninja || CC=clang meson setup build-fuzz -Dfuzz=true \
		-Db_sanitize=address,undefined -Db_lundef=false
	@ninja -C build-fuzz
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/run build-fuzz

install: all
	@meson introspect $B --buildoptions | grep -q '"$(PREFIX)"' || \
		meson configure $B -Dprefix=$(PREFIX)
	@ninja -C $B
	@DESTDIR=$(DESTDIR) meson install -C $B --no-rebuild --quiet
	@test -n "$(DESTDIR)" || /sbin/ldconfig 2>/dev/null || true

clean:
	rm -rf build build-san-* build-coverage build-fuzz build-mutations

help:
	@echo "make              build/dtproc and the library"
	@echo "make demo         trace two real programs"
	@echo "make check        all tests; the last line counts them"
	@echo "make soak         the same tests, long"
	@echo "make bench        the figures, beside ltrace, gdb and bpftrace"
	@echo "make tidy         the rules of the house (RATCHET=1: tighten them)"
	@echo "make check-asan   check, built with ASan and UBSan; check-tsan: with TSan"
	@echo "make check-mutations  each rule taken out in turn: a test must notice (RULES=...)"
	@echo "make coverage     check, and which lines it ran"
	@echo "make fuzz         each parser for FUZZ_SECONDS=$(FUZZ_SECONDS)"
	@echo "make install      to PREFIX=$(PREFIX) below DESTDIR"
	@echo "make clean"

.PHONY: all tests-ready demo check soak check-asan check-tsan check-mutations coverage \
	bench tidy fuzz install clean help
