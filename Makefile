# One command each: `make run` starts callwright, `make test` tests it, `make check` reads it. All set-up is done here.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Tests start hundreds of interpreters: each would compile the whole source anew where the environment forbids bytecode.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: chaos chaos-days help run test simulate fuzz fuzz-properties fuzz-api check fix bench soak lock clean

help: ## these lines
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: $(VENV)/run.stamp ## start callwright with its built-in carrier (settings: CALLWRIGHT_* or callwright.toml)
	@exec $(BIN)/callwright run $(ARGS)

test: $(VENV)/dev.stamp $(VENV)/peers.stamp ## all tests (ARGS="-k name" to choose; DATABASE=postgresql: whole nodes on that)
	$(BIN)/pytest -n 3 --dist worksteal $(if $(DATABASE),--database $(DATABASE)) $(ARGS)

simulate: $(VENV)/dev.stamp ## thousands of bad days in virtual time (SEEDS=n to choose, SEED=n to see one)
	$(BIN)/python -m simulation $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),2000)) $(ARGS)

fuzz: $(VENV)/dev.stamp ## bend what strangers may send, led by coverage (ARGS="--seconds 600" for each reader)
	$(BIN)/python -m fuzz $(ARGS)

fuzz-properties: $(VENV)/dev.stamp ## property tests with very many examples, and ten times the bent inputs
	FUZZ_INPUTS=1000000 $(BIN)/pytest -n 3 --dist worksteal --timeout 0 --hypothesis-profile fuzz tests/fuzz \
	    tests/sip tests/rtp tests/audio tests/contract tests/callflow tests/speech/test_text.py tests/speech/test_ssml.py \
	    tests/test_numbers.py tests/test_settings.py $(ARGS)

fuzz-api: $(VENV)/dev.stamp ## 5,000 requests made from the OpenAPI document, right and bent
	API_CASES=5000 $(BIN)/pytest -n 3 --dist worksteal --timeout 0 --hypothesis-profile fuzz tests/api/test_any_request.py $(ARGS)

check: $(VENV)/dev.stamp ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fix: $(VENV)/dev.stamp ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/dev.stamp ## measure; prints a table and writes bench/results/ (PEERS=1: SIPp, rtpengine too; ARGS=--short)
	$(BIN)/python -m bench $(if $(PEERS),--peers) $(ARGS)

chaos: $(VENV)/dev.stamp $(VENV)/peers.stamp ## kill -9 at every named point (KILLS=5 at each; ARGS="--list" names them)
	$(BIN)/python -m chaos --kills $(or $(KILLS),5) $(ARGS)

chaos-days: $(VENV)/dev.stamp $(VENV)/peers.stamp ## hurt PostgreSQL under load (SESSIONS=5000), fill the disk (root), let the clock jump
	$(BIN)/python -m chaos.database --sessions $(or $(SESSIONS),5000) $(ARGS)
	$(BIN)/python -m chaos.disk
	$(BIN)/python -m chaos.clock

soak: $(VENV)/dev.stamp $(VENV)/peers.stamp ## ten minutes of flood, then ten of sessions (ARGS="--seconds 60" for less)
	$(BIN)/python -m soak flood $(ARGS)
	$(BIN)/python -m soak leak $(ARGS)

lock: ## write the hash-pinned requirement locks anew (needs uv)
	scripts/lock

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache

$(BIN)/pip:
	@scripts/make-venv "$(PYTHON)" "$(VENV)"

$(VENV)/run.stamp: requirements.lock pyproject.toml | $(BIN)/pip
	@test -e $(VENV)/dev.stamp || scripts/install-locked $(BIN) requirements.lock
	@touch $@

$(VENV)/dev.stamp: requirements-dev.lock pyproject.toml | $(BIN)/pip
	@scripts/install-locked $(BIN) requirements-dev.lock
	@touch $@

$(VENV)/peers.stamp: scripts/install-peers | $(BIN)/pip
	@scripts/install-peers
	@touch $@
