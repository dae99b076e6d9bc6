# The only recipe. Everything is built with one profile (release), so that
# wasmtime is compiled twice and never more: without its compiler for the
# serving worker, with it for midimon-compile. Never --all-features: that would
# link the compiler into the serving worker.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory

export CARGO_TARGET_DIR := $(abspath $(or $(CARGO_TARGET_DIR),target))
TARGET := $(CARGO_TARGET_DIR)
BIN := $(TARGET)/release
WASM := $(TARGET)/wasm32-wasip1/release
COMPONENTS := $(TARGET)/wasm32-wasip2/release
# a plugin directory as `[plugins] dir` takes it: the examples, and the fixtures of the tests
PLUGINS := $(TARGET)/plugins
FIXTURES := $(TARGET)/fixtures
DEMO := $(TARGET)/demo

export MIDIMON_BIN_DIR := $(BIN)
export MIDIMON_PLUGINS_DIR := $(PLUGINS)
export MIDIMON_FIXTURES_DIR := $(FIXTURES)

# what `make plugins` packs and signs, with a key made for it
PACKAGED := http notes obs osc spotify system
# component plugins whose tests run on the host, with what they share
COMPONENT_TESTS := -p http-requests -p obs -p osc -p spotify -p system -p template

CC ?= cc
PLUGIN_CFLAGS := -std=c99 -O2 -g1 -fPIC -Wall -Wextra -Werror -I plugins/sdk/include

.PHONY: help build plugins run test test-langs c-bindings bench hostile vm lint fuzz clean

help:
	@echo 'make run      build everything, then play the demo (Ctrl-C stops it)'
	@echo 'make test     build everything, then run every test'
	@echo 'make build    the three workers and midimon'
	@echo 'make plugins  the plugins, into $(PLUGINS), and signed packages of them, into $(TARGET)/packages'
	@echo 'make test-langs  the plugins in JavaScript, Python and C components'
	@echo 'make hostile  the tests with hostile plugins alone, as root and as an ordinary user'
	@echo 'make vm       the tests in a virtual machine with real ALSA MIDI (ONLY="80 bed" for some of them)'
	@echo 'make bench    the benchmarks (BENCH="--quick --only NAME" for some of them)'
	@echo 'make lint     formatting and clippy, per feature set'
	@echo 'make fuzz     every fuzz target for a minute (FUZZ="600 package index" for ten minutes of some)'

build:
	@scripts/setup build
	cargo build --release --workspace
	cargo build --release -p midimon-worker --bin midimon-compile --features compile

# Native examples are built with the workspace; the WASM ones are workspaces of
# their own, for modules and for components, and never build for the host.
plugins: build
	cargo build --release --target wasm32-wasip1 --manifest-path plugins/wasm/Cargo.toml
	cargo build --release --target wasm32-wasip2 --manifest-path plugins/components/Cargo.toml
	$(CC) $(PLUGIN_CFLAGS) -shared -o $(BIN)/libecho_c.so plugins/echo-c/echo.c
	@scripts/install-plugin plugins/echo $(BIN)/libecho.so $(PLUGINS)
	@scripts/install-plugin plugins/echo-c $(BIN)/libecho_c.so $(PLUGINS)
	@scripts/install-plugin plugins/notes $(BIN)/libnotes.so $(PLUGINS)
	@scripts/install-plugin plugins/wasm/echo-wasm $(WASM)/echo_wasm.wasm $(PLUGINS)
	@scripts/install-plugin plugins/wasm/notes-wasm $(WASM)/notes_wasm.wasm $(PLUGINS)
	@for component in plugins/components/*/plugin.toml; do \
		entry=$$(sed -n 's/^entry *= *"\([^"]*\)".*/\1/p' "$$component"); \
		scripts/install-plugin "$${component%/plugin.toml}" "$(COMPONENTS)/$$entry" $(PLUGINS); \
	done
	@scripts/package-plugins $(BIN)/midimon $(PLUGINS) $(TARGET)/development $(TARGET)/packages $(PACKAGED)
	@scripts/install-plugin tests/fixtures/crashy $(BIN)/libcrashy.so $(FIXTURES)
	@scripts/install-plugin tests/fixtures/crashy-wasm $(WASM)/crashy_wasm.wasm $(FIXTURES)
	@scripts/install-plugin tests/fixtures/crashy-component $(COMPONENTS)/crashy_component.wasm $(FIXTURES)
	@scripts/install-plugin tests/fixtures/leaky-wasm $(WASM)/leaky_wasm.wasm $(FIXTURES)
	@scripts/install-plugin benches/probe $(BIN)/libprobe.so $(FIXTURES)
	@scripts/install-plugin benches/probe-wasm $(WASM)/probe_wasm.wasm $(FIXTURES)
	@scripts/install-plugin tests/fixtures/net-guest $(COMPONENTS)/net_guest.wasm $(FIXTURES)
	@scripts/install-plugin benches/probe-component $(COMPONENTS)/probe_component.wasm $(FIXTURES)
	cargo build --release -p twofold --manifest-path plugins/components/Cargo.toml
	cargo build --release -p twofold --target wasm32-wasip2 --manifest-path plugins/components/Cargo.toml
	@scripts/install-plugin tests/fixtures/twofold $(BIN)/libtwofold.so $(FIXTURES)
	@scripts/install-plugin tests/fixtures/twofold/wasm $(COMPONENTS)/twofold.wasm $(FIXTURES)
	@for fixture in no-export old-abi hanging-constructor hanging-init failing-init filler flat-out asking given events; do \
		$(CC) $(PLUGIN_CFLAGS) -shared -o $(BIN)/fixture.so tests/fixtures/$$fixture/plugin.c; \
		scripts/install-plugin tests/fixtures/$$fixture $(BIN)/fixture.so $(FIXTURES); \
	done

run: plugins
	@scripts/demo $(BIN)/midimon $(DEMO) $(PLUGINS)

test: plugins
	@scripts/setup test
	cargo test --release --workspace
	cargo test --release -p midimon-plugin --features http
	cargo test --doc --manifest-path plugins/wasm/Cargo.toml -p core-abi
	cargo test --manifest-path plugins/components/Cargo.toml $(COMPONENT_TESTS)
	@scripts/hostile $(TARGET) ordinary

# fetches the tools of these languages by itself
test-langs: plugins
	@scripts/setup langs
	@scripts/test-langs $(TARGET)

# after a change of plugins/wit
c-bindings:
	CARGO_TARGET_DIR=$(TARGET)/langs/c-bindings cargo run --quiet --manifest-path plugins/c-bindings/Cargo.toml -- \
		plugins/wit plugins/templates/c-wasm/bindings

# as this user, as an ordinary one where this is root, and the filters' rules one by one
hostile: plugins
	@scripts/setup hostile
	@scripts/hostile $(TARGET)

bench: plugins
	$(BIN)/midimon-bench $(BENCH)

# installs what it needs by itself
vm: plugins
	tests/vm/run $(ONLY)

lint:
	@scripts/setup lint
	cargo fmt --all --check
	cargo fmt --all --check --manifest-path plugins/wasm/Cargo.toml
	cargo fmt --all --check --manifest-path plugins/components/Cargo.toml
	cargo fmt --check --manifest-path plugins/c-bindings/Cargo.toml
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy -p midimon-worker --features compile --all-targets -- -D warnings
	cargo clippy -p midimon-plugin --features http --all-targets -- -D warnings
	cargo clippy --target wasm32-wasip1 --manifest-path plugins/wasm/Cargo.toml -- -D warnings
	cargo clippy --manifest-path plugins/components/Cargo.toml $(COMPONENT_TESTS) -p obs-server -p spotify-server --all-targets -- -D warnings
	cargo clippy --target wasm32-wasip2 --manifest-path plugins/components/Cargo.toml -- -D warnings
	cargo clippy -p twofold --target wasm32-wasip2 --manifest-path plugins/components/Cargo.toml -- -D warnings
	CARGO_TARGET_DIR=$(TARGET)/langs/c-bindings cargo clippy --manifest-path plugins/c-bindings/Cargo.toml -- -D warnings

fuzz:
	@scripts/setup fuzz
	@scripts/fuzz $(or $(FUZZ),60)

clean:
	cargo clean
