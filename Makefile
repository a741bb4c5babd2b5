# `make demo`, `make test` and `make test-all` need Python 3.11 and make; each sets up what it needs. uv only
# makes that quicker: pip does as well.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
ENCODER_VENV := .venv-encoder
READER_VENV := .venv-reader
SUPERSET_VENV := .venv-superset
export DBT_SEND_ANONYMOUS_USAGE_STATS := false

.PHONY: setup setup-dev setup-encoder setup-reader setup-superset demo test test-all test-bi lint types unit fuzz faults faults-short encoder networks reader database bench generate docs figures clean

setup: $(VENV)/.installed

setup-dev: $(VENV)/.installed-dev

# Bytecode is written when it is used: all of it would be a fifth of the environment.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable .
	touch $@

# The tests start hundreds of processes, some of them where bytecode cannot be written.
$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable '.[dev]'
	$(BIN)/python -m compileall -q -j 0 $(VENV)/lib >/dev/null || true
	touch $@

# torch comes first: what depends on it would else bring a build for a GPU.
setup-encoder: $(ENCODER_VENV)/.installed

$(ENCODER_VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(ENCODER_VENV)
	$(ENCODER_VENV)/bin/pip install --quiet --disable-pip-version-check torch==2.13.0
	$(ENCODER_VENV)/bin/pip install --quiet --disable-pip-version-check --editable '.[encoder,multilingual,train]' 'pytest>=8'
	touch $@

# The DuckDB that BI tools have today.
setup-reader: $(READER_VENV)/.installed

$(READER_VENV)/.installed:
	$(PYTHON) -m venv $(READER_VENV)
	$(READER_VENV)/bin/pip install --quiet --disable-pip-version-check 'duckdb<2'
	touch $@

# Without a lock file Superset takes parts that it does not work with, so uv reads one.
setup-superset: $(SUPERSET_VENV)/.installed

$(SUPERSET_VENV)/.installed: tests/bi/requirements.txt | $(VENV)/.installed
	$(PYTHON) -m venv --clear --without-pip $(SUPERSET_VENV)
	$(BIN)/uv pip install --quiet --python $(SUPERSET_VENV)/bin/python --requirement tests/bi/requirements.txt
	touch $@

demo: setup
	$(BIN)/cva demo

# What each part took is said, and a part that fails ends it.
timed = @start=$$(date +%s); $(MAKE) --no-print-directory $(1) && echo "make $(1): $$(($$(date +%s) - start)) s"

test: setup-dev
	$(call timed,lint)
	$(call timed,types)
	$(call timed,unit)

# And what needs an environment of its own. Each of these is one process, so two run side by side; their
# environments are made before that, as two of them share one.
ALONE := faults-short encoder networks reader database

test-all: test setup-encoder setup-reader
	$(MAKE) --no-print-directory --jobs 2 --output-sync=target $(ALONE:%=timed-%)

timed-%:
	$(call timed,$*)

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The editable install is invisible to mypy, so a plain copy is checked.
types: setup-dev
	rm -rf build/types build/lib build/bdist*
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --target build/types .
	MYPYPATH=build/types $(BIN)/mypy --strict -p cva_sql

# A process a core; a file's tests share its fixtures, and the folders with the longest files come
# first. Exit code 5 (no test ran) fails as well.
unit: setup-dev
	$(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

# Many more generated inputs than `make test` tries.
fuzz: setup-dev
	CVA_FUZZ=1 $(BIN)/pytest tests/fuzz

# Kills, full disks, two commands at once, read-only folders, harmed files: what was lost is counted.
faults: setup-dev
	CVA_FUZZ=1 $(BIN)/pytest tests/hostile
	$(BIN)/python tests/faults/harness.py

faults-short: setup-dev
	$(BIN)/python tests/faults/harness.py --short

# The export needs torch, so it is tested in an environment of its own.
encoder: setup-encoder
	$(ENCODER_VENV)/bin/pytest tests/encoder

# Networks are fitted by torch, which the same environment has.
networks: setup-encoder
	$(ENCODER_VENV)/bin/pytest tests/networks

# What is published has to open in the newest DuckDB 1.x.
reader: setup-dev setup-reader
	READER=$(CURDIR)/$(READER_VENV)/bin/python $(BIN)/pytest tests/reader

# A PostgreSQL of the tests' own; Debian's package has the server.
database: setup-dev
	$(BIN)/pytest tests/database

# The dashboard for Superset is imported, asked and drawn; the picture is build/superset.png. Debian's
# package chromium draws it.
test-bi: setup-dev setup-superset
	SUPERSET=$(CURDIR)/$(SUPERSET_VENV)/bin/python $(BIN)/pytest tests/bi

bench: setup-dev setup-encoder
	$(BIN)/python benchmarks/bench_load.py
	$(BIN)/python benchmarks/bench_features.py
	$(BIN)/python benchmarks/bench_scoring.py
	$(BIN)/python benchmarks/bench_explain.py
	$(BIN)/python benchmarks/bench_run.py
	$(BIN)/python benchmarks/bench_marts.py
	$(ENCODER_VENV)/bin/python benchmarks/bench_text.py
	$(ENCODER_VENV)/bin/python benchmarks/bench_text.py --threads 2

# What repeats the registries: yml of features, exposures, docs/reference, README's table of marts.
generate: setup-dev
	$(BIN)/python docs/generate.py

# The pages as a site in build/site; a broken link fails.
docs: setup-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

# What the quality pages say of real shops: make figures DATA=folder
figures: setup-dev
	$(BIN)/python benchmarks/figures.py $(DATA)

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache *.egg-info
