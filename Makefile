# `make demo` trains on the shipped photographs; `make test` runs the whole suite. Both make .venv by themselves.
PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
BIN := $(VENV)/bin

.PHONY: demo test slow check lint types clean

demo: $(VENV)/installed
	$(BIN)/sparring train --knn-k 20 --run runs/demo --overwrite

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest --numprocesses $(WORKERS)

slow: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m slow

check: lint types test

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed-dev
	$(BIN)/mypy

$(VENV)/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "sparring needs Python >= 3.11, got $$($(PYTHON) --version); try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/installed: $(VENV)/created pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/created pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/installed

clean:
	rm -rf $(VENV) build dist src/*.egg-info
