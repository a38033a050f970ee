# Everything the project does, from nothing but Python >= 3.11: `make help` lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime-installed
DEVELOPMENT := $(VENV)/.development-installed
TORCH := $(shell grep '^torch==' constraints.txt)
PIP := $(BIN)/python -m pip --disable-pip-version-check

SOURCES := src tasks tests docs plugins benchmarks
DEMO := demo
DOCS_HTML := docs/_build/html

# One thread per test process: the processes share the cores.
export OMP_NUM_THREADS := 1
export MKL_NUM_THREADS := 1

.DEFAULT_GOAL := help
.PHONY: help test demo docs lint format clean
# A recipe that fails leaves no half-written stamp behind.
.DELETE_ON_ERROR:

help:
	@echo 'make test    set up, then format check, lint, types, docs and tests'
	@echo 'make demo    set up, train two regimes of modular addition, analyze them, show a table and write a report (in $(DEMO)/)'
	@echo 'make docs    build the documentation in $(DOCS_HTML)/'
	@echo 'make lint    format check, lint and types'
	@echo 'make format  rewrite the sources in the project style'
	@echo 'make clean   remove everything that make made, the virtual environment included'

test: lint docs
	$(BIN)/python -m pytest -n auto

demo: $(RUNTIME)
	$(BIN)/python -m grokprobe train modular_addition/demo --out $(DEMO)/checkpoints
	$(BIN)/python -m grokprobe analyze $(DEMO)/checkpoints --probes fourier,weights --geometry euclidean --out $(DEMO)/results.zarr
	$(BIN)/python -m grokprobe info $(DEMO)/results.zarr
	$(BIN)/python -m grokprobe report $(DEMO)/results.zarr --out $(DEMO)/report.html

docs: $(DEVELOPMENT)
	$(BIN)/python -m sphinx -W --keep-going -q -b html -d docs/_build/doctrees docs $(DOCS_HTML)

lint: $(DEVELOPMENT)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/basedpyright --pythonpath $(BIN)/python

format: $(DEVELOPMENT)
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

clean:
	rm -rf $(VENV) $(DEMO) docs/_build .pytest_cache .ruff_cache .hypothesis dist build

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'grokprobe needs Python >= 3.11; say which one to use: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# torch comes first and by itself: constraints.txt says why.
$(RUNTIME): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install -c constraints.txt $(TORCH)
	$(PIP) install -c constraints.txt -e .
	@touch $@

$(DEVELOPMENT): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install -c constraints.txt $(TORCH)
	$(PIP) install -c constraints.txt -e '.[test,docs]'
	@touch $@ $(RUNTIME)
