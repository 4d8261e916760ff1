# One entry point: CI and people run the same targets. `make help` lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.loomark-ready
# Where the demonstration lies; empty: var/demo, or var/demo-hyperledger.
DATA ?=
PORT ?= 8080
BENCH_EVENTS ?= 100000
export BENCH_EVENTS
FUZZ_SECONDS ?= 20
NETWORK ?= up
# Extra arguments of pytest, as in: make test ARGS='-k merkle -x'
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo run network test conformance bench soak fuzz lint format lock wheel clean

help: ## Show what can be made
	@echo "Loomark: make TARGET (PYTHON=python3.x chooses the interpreter, 3.11 or newer)"
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  %-11s %s\n", $$1, $$2}' Makefile

setup: $(STAMP) ## Create .venv with the locked dependencies (nothing to do when it is up to date)

# Two calls of pip: everything by hash, then the checkout itself, editable and without looking anything up.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Loomark needs Python 3.11 or newer; '$(PYTHON)' is not. Name one: make setup PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON) -m venv' is missing. Install it first (Debian, Ubuntu: apt install python3-venv), then repeat." >&2; exit 1; }
	@test -x $(BIN)/python || { echo "Creating $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "Installing the locked dependencies (under a minute on a usual line)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## Run the main job from nothing: five members, a recall, a report, its verification (ARGS=--hyperledger: two nodes on a channel)
	@$(BIN)/loomark demo $(if $(DATA),--data $(DATA)) $(ARGS)

run: setup ## Serve the demo's data and print a fresh key for each of the three users
	@$(BIN)/loomark demo $(if $(DATA),--data $(DATA)) --serve --port $(PORT)

network: setup ## Start a Hyperledger Fabric network on this machine (NETWORK=down ends it; ARGS='--orgs 3 --orderers 3' or '--bft')
	@$(BIN)/python -m compose.network $(NETWORK) --dir var/network $(ARGS)

test: setup ## Run every test (seeded: LOOMARK_TEST_SEED=N repeats a run)
	@$(BIN)/python -m pytest $(ARGS)

# The keys go by the environment: a process list shows arguments to everybody on the machine.
conformance: setup ## Test an EPCIS 2.0 server: URL=https://example.org/epcis [KEY=… SECOND_KEY=… REPORT=FILE], else a node of our own; its events stay there
	@$(if $(KEY),EPCIS_KEY='$(KEY)') $(if $(SECOND_KEY),EPCIS_SECOND_KEY='$(SECOND_KEY)') $(BIN)/python -m tests.conformance $(if $(URL),--url '$(URL)') $(if $(REPORT),--report $(REPORT)) $(ARGS)

soak: setup ## Run the long forms of the tests
	@$(BIN)/python -m pytest -m soak --timeout=14400 $(ARGS)

fuzz: setup ## Look for bytes that break a parser (FUZZ_SECONDS a target; ARGS names targets)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check 'atheris>=3'
	@$(BIN)/python -m tests.fuzz.run $(FUZZ_SECONDS) $(ARGS)

bench: setup ## Measure, and write bench/results.json (BENCH_EVENTS=1000000 for the figures in docs)
	@$(BIN)/python -m bench

lint: setup ## ruff, mypy --strict and the import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: setup ## Let ruff rewrite what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" pyproject.toml

lock: setup ## Resolve the dependencies anew: everything, and what a verifier alone needs
	@$(LOCK) --upgrade --all-extras --group dev -o requirements.lock
	@$(LOCK) --constraint requirements.lock -o requirements-base.lock

# From the sdist, so that nothing compiled ever lies beside the sources.
wheel: setup ## Build dist/loomark-*.whl (COMPILED=1 with a C compiler: the hot modules as extensions, two minutes)
	@rm -rf dist
	@$(BIN)/python -m hatchling build -t sdist -d dist >/dev/null
	@$(if $(COMPILED),HATCH_BUILD_HOOK_ENABLE_MYPYC=true) $(BIN)/python -m pip wheel -qq --no-deps --no-build-isolation --wheel-dir dist dist/loomark-*.tar.gz

clean: ## Remove what was made, the demo's data and .venv included
	@for one in var/network var/demo-hyperledger/network; do \
	  test ! -f $$one/network.json || $(BIN)/python -m compose.network down --dir $$one || exit 1; done
	@rm -rf $(VENV) build dist var .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache bench/results.json
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
