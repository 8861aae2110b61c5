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

WEB := services/web
WEB_SOURCES := $(shell find $(WEB) \( -name node_modules -o -name dist -o -name e2e -o -name tests \) -prune -o -type f -print)

.PHONY: web
web: $(WEB)/dist/.stamp ## build the map and the GraphQL console (needs Node) so that the binary serves them offline

$(WEB)/dist/.stamp: $(WEB_SOURCES) $(WEB)/node_modules/.stamp
	cd $(WEB) && npm run --silent build
	touch $@

$(WEB)/node_modules/.stamp: $(WEB)/package.json $(WEB)/package-lock.json
	@command -v npm >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -q && apt-get install -qy nodejs npm; \
	  else echo "npm was not found: install Node 20.19 or newer (https://nodejs.org), then run make again" >&2; exit 1; fi; }
	@node -e 'const [major, minor] = process.versions.node.split(".").map(Number); process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)' \
	  || { echo "the map needs Node 20.19 or newer, and this is $$(node --version): install a newer one (https://nodejs.org), then run make again" >&2; exit 1; }
	cd $(WEB) && npm ci --no-audit --no-fund --loglevel=error
	touch $@

.PHONY: build
build: prerequisites web ## build the geosurge binary
	cargo build --release --locked --bin geosurge

.PHONY: demo
demo: build ## train, index and serve a procedural planet; opens the service when done
	$(GEOSURGE) demo --data-dir $(DATA)

.PHONY: test
test: prerequisites web ## every test: the workspace's, the map's, and the map's flows in a browser
	cargo test --release --locked --workspace
	$(MAKE) --no-print-directory test-web

CHROMIUM ?= $(firstword $(wildcard /usr/bin/chromium /usr/bin/chromium-browser /usr/bin/google-chrome) /usr/bin/chromium)

.PHONY: test-web
test-web: build ## the map's own tests, then its flows in Chromium against the built service and a small planet
	cd $(WEB) && npm test
	@test -x "$(CHROMIUM)" || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -q && apt-get install -qy --no-install-recommends chromium; \
	  else echo "Chromium was not found, which the map's flows need: install it (Debian: sudo apt-get install chromium) or set CHROMIUM to its path, then run make test-web" >&2; exit 1; fi; }
	CHROMIUM="$(CHROMIUM)" node $(WEB)/e2e/run.mjs --binary "$(GEOSURGE)"

.PHONY: check
check: prerequisites web ## formatting, lints, licences
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets -- -D warnings
	$(MAKE) --no-print-directory deny

.PHONY: deny
deny: $(TOOLS)/bin/cargo-deny ## licences, duplicate bans and sources of every dependency
	PATH="$(TOOLS)/bin:$$PATH" cargo deny --all-features --locked check bans licenses sources

# Quick to compile rather than quick to run: it is run once a check.
$(TOOLS)/bin/cargo-deny:
	CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
	CARGO_TARGET_DIR="$(CARGO_TARGET_DIR)/tools" cargo install --locked --root "$(TOOLS)" --version $(CARGO_DENY_VERSION) cargo-deny
	rm -rf "$(CARGO_TARGET_DIR)/tools"

.PHONY: bench
bench: prerequisites ## speed, each beside a peer in the same run
	cargo bench --locked --profile release -p geosurge-geocells --bench partition

.PHONY: clean
clean: ## remove the demo's data (compiled files stay under $(CARGO_TARGET_DIR))
	rm -rf $(DATA) services/web/dist
