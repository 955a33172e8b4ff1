# Two commands to know: `make demo` and `make test`. Both work in a fresh clone with Python 3.11 or newer.
PYTHON ?= python3
BIN := .venv/bin
SEED ?= 0
DATA ?=
# Compiled once, the libraries load in half the time (a training's imports: 9 s of CPU instead of 19), so what is
# compiled may be kept in .venv also where Python is told not to.
export PYTHONDONTWRITEBYTECODE =

.PHONY: help setup demo test check bench lock
.DEFAULT_GOAL := help
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

# The stamp is as new as what it was built from: a second call takes no time.
setup: .venv/.ready
.venv/.ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Sightline needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

## make setup    build .venv from requirements.lock
## make demo     the whole path on handwritten digits, in 5 to 10 minutes (SEED=1 for other pictures)
demo: setup
	$(BIN)/sightline demo --seed $(SEED)

## make test     every test, without a network, on two cores
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

## make check    lint, format and types
check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

## make bench    ingest, train and measure on real pictures: make bench DATA=../pictures
bench: setup
	$(BIN)/python benchmarks/pipeline.py $(DATA)

lock:
	$(BIN)/uv pip compile --quiet --universal --no-header --no-annotate --no-emit-index-url --extra dev pyproject.toml -o requirements.lock
