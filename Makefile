# The two commands: `make demo` and `make test`. Each does all set-up that it needs.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
JOBS   ?= 3
SHELL  := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

.PHONY: help demo test soak bench replay az attempts check fix generate lock clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

$(VENV)/.installed: requirements-dev.lock pyproject.toml
	@echo "==> installing the locked packages into $(VENV) (once; under a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(VENV)/.installed ## all set-up, then one migration after the other from apply to a deleted source (KEEP=1 leaves all running)
	@$(BIN)/python -m tests.demo $(if $(KEEP),--keep,)

test: $(VENV)/.installed ## all set-up, then every test, in JOBS processes (3) with a control plane each
	@$(BIN)/python -m tests.controlplane build
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

soak: $(VENV)/.installed ## the tests of chance, with many more trials (hours; SEED=n repeats the walks of a run)
	@$(BIN)/python -m tests.controlplane build
	@SOAK=1 $(BIN)/python -m pytest $(or $(ARGS),-n $(JOBS) tests/walks)
	@test -n "$(ARGS)" || SOAK=1 $(BIN)/python -m pytest tests/chaos tests/cluster/test_fault_table.py tests/cluster/test_rights.py

bench: $(VENV)/.installed ## measure fail-over, a standby and many migrations at once (about ten minutes)
	@$(BIN)/python -m tests.controlplane build
	@$(BIN)/python -m bench.failover
	@$(BIN)/python -m bench.bulk --migrations 200 --speed 60

replay: $(VENV)/.installed ## recorded Azure traffic against the simulator: FILE=arm-traces.jsonl
	@test -n "$(FILE)" || { echo "FILE is not set: make replay FILE=path/to/arm-traces.jsonl"; exit 2; }
	@$(BIN)/python -m tests.simulator.replay $(FILE)

attempts: $(VENV)/.installed ## let everybody try to verify, and write the answers into docs/security.md
	@$(BIN)/python -m tests.controlplane build
	@ATTEMPTS=write $(BIN)/python -m pytest -q tests/cluster/test_admission.py $(ARGS)

az: $(VENV)/.installed requirements-az.lock ## the az CLI, unchanged, against the simulator (the first run installs it into a cache folder)
	@$(BIN)/python -m pytest -m az tests/simulator $(ARGS)

check: $(VENV)/.installed ## lint, types, layering, generated files up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/imageferry crds --check crds
	$(BIN)/imageferry errors --check docs/errors.md
	$(BIN)/imageferry findings --check docs/preflight.md

fix: $(VENV)/.installed ## format and repair what a machine can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generate: $(VENV)/.installed ## write the generated files
	$(BIN)/imageferry crds --write crds
	$(BIN)/imageferry errors --write docs/errors.md
	$(BIN)/imageferry findings --write docs/preflight.md

lock: $(VENV)/.installed ## resolve the locked packages anew, with hashes and without addresses
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links --group dev pyproject.toml -o requirements-dev.lock
	grep -oE '^azure-cli==[0-9.]+' requirements-az.lock | $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links - -o requirements-az.lock

clean: ## remove what was made in the checkout
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
