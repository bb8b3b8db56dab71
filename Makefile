# vigil: `make help` lists what can be asked for.
PREFIX ?= /usr/local
DESTDIR ?=
CC ?= gcc
VERSION := $(shell sed -n 's/^  "version": "\(.*\)",/\1/p' package.json)

B := build
LIB := $(B)/lib/vigil
LIBDIR ?= $(PREFIX)/lib/vigil

WARNINGS := -Wall -Wextra -Werror -Wmissing-prototypes -Wstrict-prototypes -Wshadow -Wno-format-truncation
HARDENING := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
CFLAGS := -std=gnu11 -O2 -g -D_GNU_SOURCE $(WARNINGS) -fvisibility=hidden -ffunction-sections -fdata-sections -MMD -MP \
	-Inative/include -Inative -DVG_VERSION='"$(VERSION)"' -DVG_LIBDIR='"$(LIBDIR)"'
LDFLAGS := -pie -Wl,-z,relro,-z,now -Wl,--gc-sections
SANITIZE := -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer

PARTS := lib io oom runtime core launcher
SOURCES := $(filter-out %/main.c,$(foreach part,$(PARTS),$(wildcard native/$(part)/*.c)))
OBJECTS := $(SOURCES:native/%.c=$(B)/obj/%.o)
ASAN_OBJECTS := $(SOURCES:native/%.c=$(B)/asan/obj/%.o)
FACE := $(wildcard native/libvigil/*.c)
NATIVE_TESTS := $(patsubst native/test/%.c,$(B)/asan/test/%,$(wildcard native/test/test_*.c))
FUZZERS := $(patsubst native/test/%.c,$(B)/fuzz/%,$(wildcard native/test/fuzz_*.c))
TYPESCRIPT := $(shell find src -name '*.ts' 2>/dev/null)

BINARIES := $(B)/bin/containerd-shim-vigil-v1 $(LIB)/vigil-core $(LIB)/libvigil.so
BUNDLES := $(LIB)/daemon.js $(LIB)/cli.js $(LIB)/boot.cjs $(B)/bin/vigil

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup build native check format test test-unit test-native test-root test-vm e2e bench run fuzz proto clean install uninstall

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: ## install what building and testing need (npm packages, Debian packages by name), make the busybox rootfs
	@tools/setup.sh

build: native $(BUNDLES) $(LIB)/rootfs/bin/busybox ## compile the C programs and bundle the TypeScript into build/

native: $(BINARIES)

$(B)/obj/%.o: native/%.c Makefile
	@mkdir -p $(@D)
	@echo "  CC      $<"; $(CC) $(CFLAGS) $(HARDENING) -c $< -o $@

$(B)/asan/obj/%.o: native/%.c Makefile
	@mkdir -p $(@D)
	@echo "  CC asan $<"; $(CC) $(CFLAGS) $(SANITIZE) -c $< -o $@

$(B)/obj/libvigil/%.o $(B)/obj/pic/%.o: native/%.c Makefile
	@mkdir -p $(@D)
	@echo "  CC pic  $<"; $(CC) $(CFLAGS) -fPIC -c $< -o $@

$(B)/obj/vigil.a: $(OBJECTS)
	@rm -f $@
	$(AR) rcs $@ $^

$(B)/asan/obj/vigil.a: $(ASAN_OBJECTS)
	@rm -f $@
	$(AR) rcs $@ $^

$(LIB)/vigil-core: $(B)/obj/core/main.o $(B)/obj/vigil.a
	@mkdir -p $(@D)
	@echo "  LD      $@"; $(CC) $(LDFLAGS) $^ -o $@

$(B)/bin/containerd-shim-vigil-v1: $(B)/obj/launcher/main.o $(B)/obj/vigil.a
	@mkdir -p $(@D)
	@echo "  LD      $@"; $(CC) $(LDFLAGS) $^ -o $@

$(LIB)/libvigil.so: $(patsubst native/%.c,$(B)/obj/pic/%.o,$(FACE) native/lib/wire.c)
	@mkdir -p $(@D)
	@echo "  LD      $@"; $(CC) -shared -Wl,-z,relro,-z,now -Wl,--gc-sections $^ -o $@

# The same programs with AddressSanitizer and UndefinedBehaviorSanitizer, in the same shape: point VIGIL_LIBDIR at them.
$(B)/asan/lib/vigil/vigil-core: $(B)/asan/obj/core/main.o $(B)/asan/obj/vigil.a
	@mkdir -p $(@D)
	@echo "  LD asan $@"; $(CC) $(SANITIZE) $^ -o $@

$(B)/asan/test/%: native/test/%.c $(B)/asan/obj/vigil.a
	@mkdir -p $(@D)
	@echo "  LD asan $@"; $(CC) $(CFLAGS) $(SANITIZE) $< $(B)/asan/obj/vigil.a -o $@

$(B)/fuzz/%: native/test/%.c $(SOURCES)
	@mkdir -p $(@D)
	clang -std=gnu11 -O1 -g -D_GNU_SOURCE -fsanitize=fuzzer,address,undefined -Inative/include -Inative \
	  -DVG_VERSION='"$(VERSION)"' -DVG_LIBDIR='"$(LIBDIR)"' $< $(filter-out native/launcher/spawn.c,$(SOURCES)) -o $@

$(LIB)/%.js $(LIB)/%.cjs: tools/bundle.ts package.json tsconfig.json $(TYPESCRIPT)
	npx tsx tools/bundle.ts

$(B)/bin/vigil: tools/vigil.sh
	@mkdir -p $(@D)
	install -m 755 $< $@

# What `vigil run` runs in when no rootfs is given: busybox and its links.
$(LIB)/rootfs/bin/busybox: tools/rootfs.sh
	@tools/rootfs.sh $(LIB)/rootfs

check: ## formatting, lint, types, and a C build with every warning an error
	npx biome check .
	npx tsc -p tsconfig.json
	@$(MAKE) --no-print-directory native

format: ## rewrite files in the project's style
	npx biome check --write .

test: build ## everything: unit, contract, native, root, end to end natively and in the VM
	@test/run.sh

test-unit: ## unit and contract tests (no root needed)
	npx vitest run --project unit

test-native: $(NATIVE_TESTS) ## the C parts alone, with AddressSanitizer and UndefinedBehaviorSanitizer
	@test/native.sh $(NATIVE_TESTS)

test-root: build $(B)/asan/lib/vigil/vigil-core ## the whole shim on this kernel, without containerd (root)
	npx vitest run --project system

e2e: build ## real containerd 1.7 and 2.1, vigil beside the stock shim (root)
	@test/e2e/run.sh

test-vm: build ## the same in a virtual machine with cgroup v2, with and without systemd (root)
	@test/vm/run.sh

bench: build ## vigil and the stock shim side by side: a table with ratios (root)
	@test/bench/run.sh

run: ## the main job: a container is OOM-killed and explains itself (root; sets everything up)
	@$(MAKE) --no-print-directory setup build
	@examples/first-oom.sh

fuzz: $(FUZZERS) ## fuzz the C parsers, FUZZ_RUNS inputs each (clang)
	@for f in $(FUZZERS); do echo "$$f"; $$f -runs=$${FUZZ_RUNS:-1000000} -max_len=4096 -verbosity=0 || exit 1; done

proto: ## generate src/gen from proto/
	npx tsx tools/proto.ts

clean: ## remove what build made
	rm -rf $(B)

install: ## put vigil under PREFIX (default /usr/local; DESTDIR is honoured)
	@tools/install.sh "$(DESTDIR)" "$(PREFIX)" "$(CC)"

uninstall: ## remove what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/vigil $(DESTDIR)$(PREFIX)/bin/containerd-shim-vigil-v1
	rm -rf $(DESTDIR)$(PREFIX)/lib/vigil

-include $(OBJECTS:.o=.d) $(ASAN_OBJECTS:.o=.d)
