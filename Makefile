# `make demo` and `make test` need Python 3.11 and make; each sets up what it needs.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
export DBT_SEND_ANONYMOUS_USAGE_STATS := false

.PHONY: setup setup-dev demo test lint types unit bench clean

setup: $(VENV)/.installed

setup-dev: $(VENV)/.installed-dev

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: setup
	$(BIN)/cva demo

test: lint types unit

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The editable install is invisible to mypy, so a plain copy is checked.
types: setup-dev
	rm -rf build/types build/lib
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --target build/types .
	MYPYPATH=build/types $(BIN)/mypy --strict -p cva_sql

# Exit code 5 (no test ran) fails as well.
unit: setup-dev
	$(BIN)/pytest

bench: setup-dev
	$(BIN)/python benchmarks/bench_features.py
	$(BIN)/python benchmarks/bench_scoring.py
	$(BIN)/python benchmarks/bench_run.py

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache *.egg-info
