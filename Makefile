# Needs only Python 3.11 or later with its venv module, make and bash. `make demo` and `make test` set everything up.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= $(firstword $(shell command -v python3.11 python3))
RUN := .venv/bin/python
UV := .venv-uv/bin/python requirements/uv.py
COMPILE := $(UV) pip compile --universal --generate-hashes --no-header --python-version 3.11 --quiet

.PHONY: help object-store setup demo test lint check-slow airflow-test bench lock clean

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## */\t/' | expand -t 14

setup: .venv/.project  ## the environment, with every dependency as locked

demo: setup  ## the main job on real input; leaves demo/
	$(RUN) -m examples.demo demo

test: setup  ## the tests, in minutes
	$(RUN) -m pytest -n auto -m "not slow"

check-slow: setup .venv-airflow/.ready  ## the tests that take longer
	$(RUN) -m pytest -n auto -m slow

airflow-test: setup .venv-airflow/.ready  ## the example DAG in a real Airflow, which has an environment of its own
	$(RUN) -m pytest tests/test_airflow.py

lint: setup  ## format, style, types, layers
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo

object-store: .servers/versitygw  ## the S3-compatible server that slow tests start; needs Go

bench: setup  ## measurements, by hand, on a quiet machine
	$(RUN) -m benchmarks.tagging
	$(RUN) -m benchmarks.trace_small
	$(RUN) -m benchmarks.trace_large
	$(RUN) -m benchmarks.naming
	$(RUN) -m benchmarks.intake
	$(RUN) -m benchmarks.intake_stream
	$(RUN) -m benchmarks.report
	$(RUN) -m benchmarks.misspelt
	$(RUN) -m benchmarks.authenticity
	$(RUN) -m benchmarks.adult
	$(RUN) -m benchmarks.detecting_canaries
	$(RUN) -m benchmarks.forecasting
	$(RUN) -m benchmarks.distortion
	$(RUN) -m benchmarks.attribution
	$(RUN) -m benchmarks.calibration
	$(RUN) -m benchmarks.scoring_speed
	$(RUN) -m benchmarks.scaling
	$(RUN) -m benchmarks.registry_large
	$(RUN) -m benchmarks.tampering
	$(RUN) -m benchmarks.framing

lock: .venv-uv/.ready  ## resolve pyproject.toml and requirements/*.in anew; add ARGS=--upgrade for newer versions
	$(COMPILE) $(ARGS) pyproject.toml -o requirements/run.lock
	$(COMPILE) $(ARGS) pyproject.toml requirements/dev.in -o requirements/dev.lock
	$(COMPILE) $(ARGS) requirements/boot.in -o requirements/boot.lock
	$(COMPILE) $(ARGS) requirements/airflow.in -o requirements/airflow.lock

clean:  ## remove what was made
	rm -rf .venv .venv-uv .venv-airflow .servers demo dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

.servers/versitygw:
	@command -v go >/dev/null || { echo "building the object store needs Go 1.24 or later: install it first" >&2; exit 1; }
	GOBIN="$(CURDIR)/.servers" go install github.com/versity/versitygw/cmd/versitygw@v1.8.0

# --- The environment, step by step; each step leaves a stamp and is done again when what it needs has changed --------

.venv-uv/.ready: requirements/boot.lock
	@if [ -z "$(PYTHON)" ]; then echo "no python3 is installed: install Python 3.11 with its venv module" >&2; exit 1; fi
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than 3.11; run: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "$(PYTHON) lacks its venv module; on Debian: apt-get install python3.11-venv" >&2; exit 1; }
	rm -rf .venv-uv
	$(PYTHON) -m venv .venv-uv
	.venv-uv/bin/python -m pip install --quiet --require-hashes --only-binary :all: -r requirements/boot.lock
	touch $@

.venv/.synced: .venv-uv/.ready requirements/dev.lock
	[ -x $(RUN) ] || $(UV) venv --quiet --clear --python $(PYTHON) .venv
	$(UV) pip sync --quiet --python $(RUN) --require-hashes --compile-bytecode requirements/dev.lock
	touch $@

.venv/.project: .venv/.synced pyproject.toml
	$(UV) pip install --quiet --offline --no-deps --no-build-isolation --python $(RUN) --editable .
	touch $@

.venv-airflow/.ready: .venv-uv/.ready requirements/airflow.lock
	$(UV) venv --quiet --clear --python $(PYTHON) .venv-airflow
	$(UV) pip sync --quiet --python .venv-airflow/bin/python --require-hashes requirements/airflow.lock
	touch $@
