# Needs only Python 3.11 or later with its venv module, make and bash. `make demo` and `make test` set everything up.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= $(firstword $(shell command -v python3.11 python3))
RUN := .venv/bin/python
UV := .venv-uv/bin/python requirements/uv.py
COMPILE := $(UV) pip compile --universal --generate-hashes --no-header --python-version 3.11 --quiet

.PHONY: help object-store setup demo test lint check-slow airflow-test flink flink-up flink-down flink-test bench lock clean

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## */\t/' | expand -t 14

setup: .venv/.project  ## the environment, with every dependency as locked
	@$(RUN) -m compileall -q pipeline schemas watermarking  # a third of what a command's start takes

demo: setup  ## the main job on real input; leaves demo/
	$(RUN) -m examples.demo demo

test: setup  ## the tests, in minutes
	$(RUN) -m pytest -n auto -m "not slow"

# Flink needs Java and Maven; where one is missing its tests say so and are skipped.
FLINK_IF_JAVA := $(if $(and $(shell command -v java),$(shell command -v mvn)),flink)

check-slow: setup .venv-airflow/.ready $(FLINK_IF_JAVA)  ## the tests that take longer
	$(RUN) -m pytest -n auto --dist loadgroup -m slow

airflow-test: setup .venv-airflow/.ready  ## the example DAG in a real Airflow, which has an environment of its own
	$(RUN) -m pytest tests/test_airflow.py

flink: .flink/libraries/.ready .flink/job-server.jar .flink/worker/.ready  ## what a Flink cluster on loopback needs; Java 17 and Maven

flink-up: flink  ## start a two-slot Flink cluster on loopback; prints how leaktrace uses it
	$(RUN) -m examples.flink up

flink-down: setup  ## stop it
	$(RUN) -m examples.flink down

flink-test: setup flink  ## tag, trace and compact on a Flink cluster of the test's own
	$(RUN) -m pytest tests/test_flink.py

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
	$(COMPILE) $(ARGS) requirements/flink.in -o requirements/flink.lock

clean:  ## remove what was made
	rm -rf .venv .venv-uv .venv-airflow .flink .servers demo dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

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

.flink/libraries/.ready: .venv-uv/.ready requirements/flink.lock
	$(UV) venv --quiet --clear --python $(PYTHON) .flink/libraries
	$(UV) pip sync --quiet --python .flink/libraries/bin/python --require-hashes requirements/flink.lock
	touch $@

# Beam's job server from Maven; every jar must be the one that was locked, and no other may lie there.
.flink/job-server.jar: .venv/.project requirements/flink/pom.xml requirements/flink/jars.sha256 examples/flink/__main__.py
	@command -v java >/dev/null && command -v mvn >/dev/null || \
	  { echo "Flink needs Java 17 and Maven; on Debian: apt-get install openjdk-17-jre-headless maven" >&2; exit 1; }
	rm -rf .flink/jars
	mvn --quiet --batch-mode --file requirements/flink/pom.xml dependency:copy-dependencies -DoutputDirectory="$(CURDIR)/.flink/jars" || \
	  { echo "Maven did not find Beam's job server: see requirements/flink/pom.xml for what is needed" >&2; exit 1; }
	cd .flink/jars && sha256sum --quiet --check "$(CURDIR)/requirements/flink/jars.sha256" && \
	  diff <(ls *.jar | LC_ALL=C sort) <(awk '{print $$2}' "$(CURDIR)/requirements/flink/jars.sha256" | LC_ALL=C sort)
	$(RUN) -m examples.flink jar

# The workers' environment: what is locked for running, and the project's wheel.
.flink/worker/.ready: .venv/.project requirements/run.lock $(shell find schemas watermarking pipeline -type f -not -name '*.pyc')
	[ -x .flink/worker/bin/python ] || $(UV) venv --quiet --clear --python $(PYTHON) .flink/worker
	$(UV) pip sync --quiet --python .flink/worker/bin/python --require-hashes --compile-bytecode requirements/run.lock
	rm -rf .flink/wheel
	$(RUN) -m hatchling build -t wheel -d .flink/wheel >/dev/null
	$(UV) pip install --quiet --offline --no-deps --python .flink/worker/bin/python .flink/wheel/*.whl
	touch $@
