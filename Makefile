# Two commands matter: `make demo` and `make test`. `make help` lists the rest.
# Everything builds with one profile (release) into a folder outside the clone, so that a second clone, a test run and
# the demo share what is compiled.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

export CARGO_TARGET_DIR ?= $(HOME)/.cache/geosurge/target
TOOLS := $(HOME)/.cache/geosurge/tools
GEOSURGE := $(CARGO_TARGET_DIR)/release/geosurge
DATA ?= $(CURDIR)/geosurge-data
CARGO_DENY_VERSION := 0.20.2

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

.PHONY: prerequisites
prerequisites:
	@command -v cargo >/dev/null || { echo "cargo was not found: install Rust 1.94 or newer (https://rustup.rs), then run make again" >&2; exit 1; }
	@command -v cc >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -q && apt-get install -qy build-essential; \
	  else echo "a C compiler was not found: install one (Debian: sudo apt-get install build-essential), then run make again" >&2; exit 1; fi; }

.PHONY: web
web: services/web/dist/.stamp ## fetch the GraphQL console's files (needs Node) so that the binary serves them offline

services/web/dist/.stamp: services/web/package.json services/web/package-lock.json
	@command -v npm >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -q && apt-get install -qy nodejs npm; \
	  else echo "npm was not found: install Node 20 or newer (Debian: sudo apt-get install nodejs npm), then run make again" >&2; exit 1; fi; }
	cd services/web && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build
	touch $@

.PHONY: build
build: prerequisites web ## build the geosurge binary
	cargo build --release --locked --bin geosurge

.PHONY: demo
demo: build ## train, index and serve a procedural planet; opens the service when done
	$(GEOSURGE) demo --data-dir $(DATA)

.PHONY: test
test: prerequisites web ## every test of the workspace
	cargo test --release --locked --workspace

.PHONY: check
check: prerequisites web ## formatting, lints, licences
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets -- -D warnings
	$(MAKE) --no-print-directory deny

.PHONY: deny
deny: $(TOOLS)/bin/cargo-deny ## licences, duplicate bans and sources of every dependency
	PATH="$(TOOLS)/bin:$$PATH" cargo deny --all-features --locked check bans licenses sources

$(TOOLS)/bin/cargo-deny:
	CARGO_TARGET_DIR="$(CARGO_TARGET_DIR)/tools" cargo install --locked --root "$(TOOLS)" --version $(CARGO_DENY_VERSION) cargo-deny
	rm -rf "$(CARGO_TARGET_DIR)/tools"

.PHONY: bench
bench: prerequisites ## speed, each beside a peer in the same run
	cargo bench --locked --profile release -p geosurge-geocells --bench partition

.PHONY: clean
clean: ## remove the demo's data (compiled files stay under $(CARGO_TARGET_DIR))
	rm -rf $(DATA) services/web/dist
