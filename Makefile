# Everything a newcomer needs: `make run` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
KILLS ?= 100
SECONDS ?= 600

.DEFAULT_GOAL := help
.PHONY: help setup run test check bench crash crash-intake fuzz test-containers clean

help:            ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

setup: .venv/ready  ## make the virtual environment

.venv/ready: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Caudal needs Python 3.11 or newer: make setup PYTHON=python3.12"; exit 1; }
	@echo "Making the virtual environment .venv, this once: $$(grep -c == requirements.lock) packages from PyPI, 1 GB on disk, one to three minutes ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

run: setup       ## play a sample day and go on until Ctrl-C
	$(BIN)/caudal demo

test: setup      ## all tests but the long crash run
	$(BIN)/pytest

check: setup     ## style, types, import rules, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m schemas.export --check

bench: setup     ## figures: whole chain, intake, latency
	$(BIN)/python -m tests.bench

crash: setup     ## kill services at random and at every fault point: make crash KILLS=100
	$(BIN)/python -m tests.crash --kills $(KILLS)

crash-intake: setup  ## kill intake under clients that try again: make crash-intake KILLS=50
	$(BIN)/python -m tests.crash.doors --kills $(KILLS)

fuzz: setup      ## schemathesis against intake's own description: make fuzz SECONDS=600
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS)

test-containers: setup  ## the integration tests on containers instead of the embedded parts
	CAUDAL_TEST_CONTAINERS=1 $(BIN)/pytest tests/contract tests/integration

clean:           ## remove the virtual environment and caches; data under .caudal/ stay
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
