# vigil: `make` lists the targets. Everything built is below build/, laid out as it is installed.

PREFIX  ?= /usr/local
DESTDIR ?=
NODE    ?= node
JOBS    ?= $(shell nproc)
# Seconds that `make fuzz` gives each fuzzer.
FUZZ_SECONDS ?= 30

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory
# Goals are made in the order in which they are typed (`make setup build`); what each needs is made in parallel.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(JOBS)
.NOTPARALLEL:
endif

VERSION := $(shell sed -n 's/^  "version": "\(.*\)",$$/\1/p' package.json)
BIN     := build/bin
LIB     := build/lib/vigil

# What `make install` places and `make uninstall` removes, below PREFIX.
PROGRAMS  := bin/vigil bin/vigil-runtime bin/containerd-shim-vigil-v1 lib/vigil/vigil-core lib/vigil/vigil-solo
LIBRARIES := lib/vigil/libvigil.so lib/vigil/koffi.node
SCRIPTS   := lib/vigil/boot.cjs lib/vigil/daemon.js lib/vigil/cli.js lib/vigil/runtime.js lib/vigil/features.json lib/vigil/THIRD-PARTY-LICENSES
CACHES    := lib/vigil/daemon.cache lib/vigil/cli.cache lib/vigil/runtime.cache
ROOTFS    := lib/vigil/rootfs

# ---------------------------------------------------------------------------------------------------------------- help

.PHONY: help
help: ## Lists the targets
	@sed -n 's/^\([a-z][a-z0-9-]*\):[^#]*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r target text; do printf '  %-12s %s\n' "$$target" "$$text"; done

.PHONY: setup
setup: ## Installs what is missing: npm packages, and as root Debian packages
	@tools/setup.sh

# --------------------------------------------------------------------------------------------------------------- build

.PHONY: build
build: ## Builds everything below build/
	@$(MAKE) --no-print-directory native bundles

CC       ?= gcc
CPPFLAGS += -D_GNU_SOURCE -DVG_VERSION='"$(VERSION)"' -DVG_LIBDIR='"$(PREFIX)/lib/vigil"' -Inative -Inative/include
WARNINGS := -Wall -Wextra -Werror -Wmissing-prototypes -Wstrict-prototypes -Wshadow -Wvla -Wno-format-truncation
# One set of objects for programs and library, hence -fPIC throughout.
COMMON   := -std=gnu11 -g -fPIC -fvisibility=hidden -ffunction-sections -fdata-sections $(WARNINGS)
HARDENED := -O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong
CHECKED  := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
RELRO    := -Wl,-z,relro,-z,now -Wl,--as-needed -Wl,--gc-sections

# One short line a command; V=1 shows the commands.
say = $(if $(V),,@printf '  %-8s %s\n' '$(1)' '$@';)

# Each folder of native/ is a part; a file named main.c is a program's entry and belongs to that program alone.
part = $(filter-out %/main.c,$(sort $(foreach name,$(1),$(wildcard native/$(name)/*.c))))
library_sources  := $(call part,lib libvigil)
all_parts        := $(call part,core solo runtime oom io lib launcher libvigil)
objects = $(patsubst native/%.c,$(1)/%.o,$(2))

.PHONY: native
native: $(LIB)/vigil-core $(LIB)/vigil-solo $(BIN)/containerd-shim-vigil-v1 $(LIB)/libvigil.so

# An archive, so that a program links only what it uses.
build/obj/parts.a: $(call objects,build/obj,$(all_parts))
	@rm -f $@
	$(call say,AR)$(AR) qcs $@ $^

$(LIB)/vigil-core: build/obj/core/main.o build/obj/parts.a
$(BIN)/containerd-shim-vigil-v1: build/obj/launcher/main.o build/obj/parts.a
$(LIB)/vigil-solo: build/obj/solo/main.o build/obj/parts.a
$(LIB)/vigil-core $(LIB)/vigil-solo $(BIN)/containerd-shim-vigil-v1:
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(CFLAGS) -pie $(RELRO) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(LIB)/libvigil.so: $(call objects,build/obj,$(library_sources))
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(CFLAGS) -shared -Wl,-soname,libvigil.so -Wl,--no-undefined $(RELRO) $(LDFLAGS) -o $@ $^ $(LDLIBS)

build/obj/%.o: native/%.c
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CPPFLAGS) $(COMMON) $(HARDENED) $(CFLAGS) -MMD -MP -c -o $@ $<

build/asan/obj/%.o: native/%.c
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CPPFLAGS) $(COMMON) $(CHECKED) $(CFLAGS) -MMD -MP -c -o $@ $<

# The same programs under the sanitizers, in the same shape; what is not compiled is linked to.
.PHONY: asan
asan: build/asan/lib/vigil/vigil-core build/asan/lib/vigil/vigil-solo build/asan/bin/containerd-shim-vigil-v1 bundles
	@install -m 755 $(BIN)/vigil $(BIN)/vigil-runtime build/asan/bin/
	@for file in $(LIB)/*; do name=$$(basename $$file); [ $$name = vigil-core ] || [ $$name = vigil-solo ] || ln -sfn ../../../lib/vigil/$$name build/asan/lib/vigil/$$name; done

build/asan/lib/vigil/vigil-core: build/asan/obj/core/main.o build/asan/obj/parts.a
build/asan/lib/vigil/vigil-solo: build/asan/obj/solo/main.o build/asan/obj/parts.a
build/asan/bin/containerd-shim-vigil-v1: build/asan/obj/launcher/main.o build/asan/obj/parts.a
build/asan/lib/vigil/vigil-core build/asan/lib/vigil/vigil-solo build/asan/bin/containerd-shim-vigil-v1:
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(CHECKED) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# Objects that hold the installation's place or the version are built again when one of these changes.
placed := $(shell grep -lE 'VG_LIBDIR|VG_VERSION' $(wildcard native/*/*.c) /dev/null)
$(call objects,build/obj,$(placed)) $(call objects,build/asan/obj,$(placed)): build/placed
build/placed: FORCE
	@mkdir -p $(@D)
	@echo '$(PREFIX) $(VERSION)' | cmp -s - $@ || echo '$(PREFIX) $(VERSION)' >$@
FORCE:

-include $(shell find build/obj build/asan build/fuzz -name '*.d' 2>/dev/null)

bundle_inputs := $(shell find src -name '*.ts' -o -name '*.cjs') package.json package-lock.json tools/bundle.mjs

.PHONY: bundles
bundles: $(addprefix build/,$(SCRIPTS) $(CACHES)) $(LIB)/koffi.node $(BIN)/vigil $(BIN)/vigil-runtime $(LIB)/rootfs/.complete

$(LIB)/%.js: $(bundle_inputs)
	$(call say,MAKE)$(NODE) tools/bundle.mjs $* $@ build/bundled/$*.json
$(LIB)/THIRD-PARTY-LICENSES: $(LIB)/daemon.js $(LIB)/cli.js $(LIB)/runtime.js
	$(call say,MAKE)$(NODE) tools/licenses.mjs $@ build/bundled/daemon.json build/bundled/cli.json build/bundled/runtime.json
$(LIB)/koffi.node: package-lock.json tools/koffi.mjs
	$(call say,MAKE)$(NODE) tools/koffi.mjs $@
# What the runtime says of itself; the launcher hands it on.
$(LIB)/features.json: $(LIB)/runtime.js $(LIB)/boot.cjs $(LIB)/koffi.node
	$(call say,MAKE)$(NODE) $(LIB)/boot.cjs runtime features >$@
$(LIB)/boot.cjs: src/boot.cjs
	$(call say,COPY)install -D -m 644 $< $@
$(BIN)/vigil: src/vigil.sh
$(BIN)/vigil-runtime: src/vigil-runtime.sh
$(BIN)/vigil $(BIN)/vigil-runtime:
	$(call say,COPY)install -D -m 755 $< $@
# A code cache holds what a warmed run has compiled. It suits one version of node; another one ignores it.
$(LIB)/%.cache: $(LIB)/%.js $(LIB)/boot.cjs $(LIB)/koffi.node $(LIB)/libvigil.so
	$(call say,CACHE)$(NODE) $(LIB)/boot.cjs --make-cache $*
$(LIB)/rootfs/.complete: tools/rootfs.sh
	$(call say,ROOTFS)tools/rootfs.sh $(@D)

# --------------------------------------------------------------------------------------------------------------- check

native_files := $(sort $(wildcard native/*/*.c native/*/*.h))

.PHONY: check
check: ## Formatting, types, lint, generated code up to date, C without warnings
	npx biome check --error-on-warnings .
	npx tsc
	npx buf lint
	npx buf format --diff --exit-code
	tools/proto.sh check
	@if clang-format --version 2>/dev/null | grep -q 'version 14\.'; then \
	    clang-format --dry-run --Werror $(native_files) 2>&1 | grep -o '^native/[^:]*' | sort -u | sed 's/$$/: run make format/'; \
	    clang-format --dry-run --Werror $(native_files) 2>/dev/null; \
	  else echo "skipped: C formatting (no clang-format 14 on this machine)"; fi
	$(MAKE) native

.PHONY: format
format: ## Rewrites files in the project's style
	npx biome check --write .
	npx buf format --write
	@if clang-format --version 2>/dev/null | grep -q 'version 14\.'; then clang-format -i $(native_files); \
	  else echo "skipped: C formatting (no clang-format 14 on this machine)"; fi

.PHONY: proto
proto: ## Generates src/gen from proto/
	tools/proto.sh write

# ---------------------------------------------------------------------------------------------------------------- test

.PHONY: test
test: ## Every test: unit, contract, native, root, manager, virtual machine
	$(MAKE) setup
	$(MAKE) build
	$(MAKE) test-unit
	$(MAKE) test-root
	$(MAKE) e2e
	$(MAKE) test-vm

.PHONY: test-unit
test-unit: ## Unit, contract and native tests; any user
	npx vitest run --project unit
	$(MAKE) test-native

.PHONY: test-root
test-root: build asan ## Tests on this machine's own cgroups and namespaces, also under the sanitizers; root
	test/bed/bed.sh setup
	npx vitest run --project system
	VIGIL_BUILT=$(CURDIR)/build/asan/bin npx vitest run --project system

.PHONY: e2e
e2e: build ## Real containerd with this shim and with the stock one, side by side; root
	test/e2e/run.sh
	VIGIL_E2E_SMOKE=1 $(MAKE) e2e-oci

.PHONY: e2e-oci
e2e-oci: build ## The same scenarios with other OCI runtimes behind vigil, and vigil-runtime behind the stock shim; root
	for oci in runc crun vigil-runtime; do \
	    echo "== OCI runtime: $$oci"; \
	    VIGIL_E2E_OCI=$$oci VIGIL_E2E_FILES=test/e2e/compare.test.ts test/e2e/run.sh || exit; \
	done

.PHONY: conformance
conformance: build ## The OCI runtime specification, test by test, beside runc and crun; root
	test/conformance/run.sh

.PHONY: test-vm
test-vm: build ## cgroup v2, systemd and podman in a small virtual machine; root
	test/vm/run.sh

# Each native/test/test_*.c is a program: exit 0 passed, 77 skipped with the reason printed, anything else failed.
native_tests   := $(patsubst native/test/%.c,build/asan/test/%,$(sort $(wildcard native/test/test_*.c)))
native_support := $(filter-out native/test/test_%.c native/test/fuzz_%.c,$(wildcard native/test/*.c))

.PHONY: test-native
test-native: $(native_tests) ## Native tests under the address and undefined-behaviour sanitizers
	@tools/run-native-tests.sh $(native_tests)

# An archive, so that a test links only what it uses.
build/asan/obj/parts.a: $(call objects,build/asan/obj,$(all_parts) $(native_support))
	@rm -f $@
	$(call say,AR)$(AR) qcs $@ $^
$(native_tests): build/asan/test/%: build/asan/obj/test/%.o build/asan/obj/parts.a
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(CHECKED) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
.SECONDARY: $(call objects,build/asan/obj,$(wildcard native/test/*.c))

# ---------------------------------------------------------------------------------------------------------------- more

.PHONY: bench
bench: build ## Measures latency, start-up and memory against the stock shim; root
	test/bench/run.sh

.PHONY: run
run: ## A first out-of-memory kill, explained; root; sets everything up
	@$(MAKE) --no-print-directory setup
	@$(MAKE) --no-print-directory build
	examples/first-oom.sh

# libFuzzer comes with clang only.
fuzzers := $(patsubst native/test/%.c,build/fuzz/bin/%,$(sort $(wildcard native/test/fuzz_*.c)))
.PHONY: fuzz
fuzz: $(fuzzers) ## Fuzzes the parsers, FUZZ_SECONDS each
	@set -e; for fuzzer in $(fuzzers); do name=$$(basename $$fuzzer); echo "== $$name"; mkdir -p build/fuzz/corpus/$$name; \
	    $$fuzzer -max_total_time=$(FUZZ_SECONDS) -print_final_stats=0 -artifact_prefix=build/fuzz/ build/fuzz/corpus/$$name $(wildcard native/test/corpus/$$name); done
	VIGIL_FUZZ_SECONDS=$(FUZZ_SECONDS) npx vitest run --project unit --passWithNoTests fuzz
build/fuzz/obj/%.o: native/%.c
	@mkdir -p $(@D)
	@command -v clang >/dev/null || { echo "fuzz: clang is needed (apt-get install clang)" >&2; exit 1; }
	$(call say,CLANG)clang $(CPPFLAGS) -std=gnu11 -g -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -MMD -MP -c -o $@ $<
build/fuzz/obj/parts.a: $(call objects,build/fuzz/obj,$(all_parts) $(native_support))
	@rm -f $@
	$(call say,AR)$(AR) qcs $@ $^
$(fuzzers): build/fuzz/bin/%: build/fuzz/obj/test/%.o build/fuzz/obj/parts.a
	@mkdir -p $(@D)
	$(call say,LINK)clang -fsanitize=fuzzer,address,undefined -o $@ $^ $(LDLIBS)

.PHONY: clean
clean: ## Removes what was built
	rm -rf build coverage

.PHONY: install
install: build ## Installs below PREFIX (/usr/local)
	cd build && for file in $(PROGRAMS); do install -D -m 755 $$file $(DESTDIR)$(PREFIX)/$$file || exit; done
	cd build && for file in $(LIBRARIES) $(SCRIPTS); do install -D -m 644 $$file $(DESTDIR)$(PREFIX)/$$file || exit; done
	for name in daemon cli runtime; do $(NODE) $(DESTDIR)$(PREFIX)/lib/vigil/boot.cjs --make-cache $$name || exit; done
	@if [ -d $(LIB)/rootfs/bin ]; then rm -rf $(DESTDIR)$(PREFIX)/$(ROOTFS); cp -a $(LIB)/rootfs $(DESTDIR)$(PREFIX)/$(ROOTFS); fi
	@echo "installed; in containerd's configuration: runtime_type = \"io.containerd.vigil.v1\""

.PHONY: uninstall
uninstall: ## Removes what install placed; configuration and reports stay
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/,$(PROGRAMS) $(LIBRARIES) $(SCRIPTS) $(CACHES))
	rm -rf $(DESTDIR)$(PREFIX)/$(ROOTFS)
	@[ ! -d $(DESTDIR)$(PREFIX)/lib/vigil ] || rmdir $(DESTDIR)$(PREFIX)/lib/vigil || echo "kept $(DESTDIR)$(PREFIX)/lib/vigil: other files are in it"
