# Everything happens inside the checkout: packages in .venv, nodes and tools in .cache. Nothing needs root.

PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$python; break; }; done)
RUN := .venv/bin/python
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help venv nodes canisters test-tools demo test test-full crash-matrix simulate soak lint types bench bench-gas bench-bitcoin bench-icp bench-swap bench-api clean

help: ## Show these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

venv: $(READY) ## Python packages from requirements.lock into .venv

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is missing. Get it: apt-get install python3" >&2; exit 1; }
	@$(PYTHON) -m swapd.devnet.venv
	@touch $@

nodes: $(READY) ## bitcoind, anvil and what else comes from npm, unless they are on PATH, and the canisters, into .cache
	@$(RUN) -m swapd.devnet.fetch --quiet bitcoind anvil npm canisters

canisters: nodes ## Compile the canisters, print their hashes, compare with the .did and stable signatures committed
	@node canisters/build.js --check

test-tools: $(READY) ## What only the tests need: PostgreSQL, promtool, a canister that others wrote
	@$(RUN) -m swapd.devnet.fetch --quiet postgres promtool third-party

demo: nodes ## Twelve swaps on real nodes; make demo ARGS=--keep leaves everything running
	@$(RUN) -m swapd.cli.demo $(ARGS)

test: nodes test-tools ## All tests; make test ARGS='-k reorg' picks some
	@$(RUN) -m pytest -n 2 --dist worksteal $(ARGS)

test-full: nodes test-tools ## All tests with all of their slow matrices: hours
	@$(RUN) -m pytest -n 2 -m 'full or not full' $(ARGS)
	@$(RUN) -m tests.crash

crash-matrix: nodes ## Daemons killed at every crash point, in every pair and ending; make crash-matrix ARGS='--most 1' is a part
	@$(RUN) -m tests.crash $(ARGS)

simulate: $(READY) ## 600,000 swaps against fake chains and a dishonest other side; make simulate ARGS='--swaps 5000'
	@$(RUN) -m tests.simulation $(ARGS)

soak: nodes ## Random swaps under random faults, MINUTES long; make soak MINUTES=30 SEED=7
	@$(RUN) -m tests.soak --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED)) $(ARGS)

lint: $(READY) ## Style and format
	@$(RUN) -m ruff check
	@$(RUN) -m ruff format --check

types: $(READY) ## Static types, strict
	@$(RUN) -m mypy

bench: bench-gas bench-bitcoin bench-icp bench-swap bench-api ## All measurements, into bench/results

bench-gas: nodes ## Gas of every contract call
	@$(RUN) -m bench.gas

bench-bitcoin: nodes ## Weight of every Bitcoin transaction
	@$(RUN) -m bench.bitcoin

bench-icp: nodes ## The swap canister with 10 and with 100,000 swaps; half an hour the first time, a minute or two then
	@$(RUN) -m bench.icp

bench-swap: nodes ## One swap's whole life: calls, CPU, reaction time
	@$(RUN) -m bench.swap

bench-api: nodes ## The API under fifty clients for a minute, and in a flood of one key
	@$(RUN) -m bench.api $(ARGS)

clean: ## Remove all that was made or fetched here
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
