# `make demo` and `make test` set up by themselves; every target can be interrupted and run again.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:
.SILENT:

PYTHON ?= $(shell for each in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$each; break; }; done)
BIN := .venv/bin
# The stamp is written last and carries what was installed: another lock, another stamp.
STAMP := .venv/installed-$(shell cat requirements.lock pyproject.toml | sha256sum | cut -c 1-16)
# Two workers: the tests' servers and engines need the rest of a small machine. The long tests come
# last: one that is free takes over what the other still has to do.
PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal

.PHONY: help demo test test-all setup engine servers lint bench matrix scan clean

help:
	echo 'make demo      set up, and run the main job on the local cloud'
	echo 'make test      set up, and run lint and all tests but the slow ones'
	echo 'make test-all  the same with the slow tests'
	echo 'make setup     virtual environment and Pulumi engine only'
	echo 'make lint      format, lint and types'
	echo 'make bench     benchmarks (tests/bench)'
	echo 'make matrix    the migration killed at every point (tests/matrix), as a table'
	echo 'make scan      a third-party scanner over the demo on the local cloud'
	echo 'make clean     remove what make made; never .firstbell'

demo: setup
	$(BIN)/firstbell demo

test: lint servers
	$(PYTEST) -m 'not slow'

test-all: lint servers
	$(PYTEST)

lint: setup
	echo '==> format, lint and types'
	failed=0
	for each in 'ruff format --check .' 'ruff check .' basedpyright; do
		$(BIN)/$$each || failed=1
	done
	exit $$failed

servers: setup
	$(BIN)/python -m cli.migration.proof.archive

bench: setup servers
	$(BIN)/python -m tests.bench

matrix: setup servers
	$(BIN)/python -m tests.matrix

scan: setup
	$(BIN)/python -m tests.scanner

setup: engine

engine: $(STAMP)
	# Where Python may not write bytecode, each process would compile all of it anew.
	$(BIN)/python -m compileall -q infra cli
	$(BIN)/python -m cli.engine

$(STAMP):
	if [ -z '$(PYTHON)' ]; then
		echo 'error: Python 3.11 or newer is needed, and none is on PATH' >&2
		echo 'fix: install it (Debian 12: sudo apt-get install python3 python3-venv), or make PYTHON=/path/to/python3' >&2
		exit 1
	fi
	if ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then
		echo "error: $(PYTHON) cannot make virtual environments" >&2
		echo 'fix: install its venv module (Debian: sudo apt-get install python3-venv)' >&2
		exit 1
	fi
	# An installation that was interrupted may have left half a package: begin afresh.
	if [ -e .venv ] && { [ -e .venv/unfinished ] || ! $(BIN)/python -m pip --version >/dev/null 2>&1; }; then
		echo '==> removing the unfinished virtual environment'
		rm -rf .venv
	fi
	if [ ! -e .venv ]; then
		echo '==> making the virtual environment .venv'
		$(PYTHON) -m venv .venv
	fi
	touch .venv/unfinished
	rm -f .venv/installed-*
	packages=$$(grep -c '^[a-z].*==' requirements.lock)
	echo "==> installing $$packages packages from requirements.lock"
	PYTHONUNBUFFERED=1 $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off \
		--require-hashes -r requirements.lock |
		awk -v packages=$$packages '/^(Collecting|Requirement already)/ && ++n % 25 == 0 \
			{ print "  " n " of " packages; fflush() } /^Installing/ { print "  unpacking"; fflush() }'
	echo '==> installing firstbell itself, editable'
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	rm .venv/unfinished
	touch $@

clean:
	rm -rf .venv .venv-scan build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
