# Two commands matter: `make demo` and `make test`. Each sets up what it needs in .venv first.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PEER   := .peer-venv
PIP    := -m pip --disable-pip-version-check install --quiet
READY  := $(VENV)/.ready
EXTRAS := $(VENV)/.ready-extras
export REIONEMU_PEER_PYTHON ?= $(PEER)/bin/python

.PHONY: help setup demo test test-all lint format bench bench-catalogue bench-suite compare-records peer-venv clean

help:
	@echo "make demo         set up, then run the example from raw simulations to a prediction"
	@echo "make test         set up, then run the tests (about 2 minutes on 2 cores)"
	@echo "make test-all     the slow tests and the comparison with the published package too"
	@echo "make lint         ruff and mypy"
	@echo "make bench        speed against the published package, as ratios"
	@echo "make bench-catalogue  listing 10,000 artifacts"
	@echo "make bench-suite  the same for 1000 simulations of 1024 x 1024 (30 GB of disk, about 10 minutes)"
	@echo "make compare-records  what a record keeps, beside other tools (docs/comparison.md; an hour or more)"

setup: $(READY)

# PyTorch goes first and pinned, so that nothing else pulls in another build of it.
$(READY): pyproject.toml constraints.txt
	@echo "setting up $(VENV) (a few minutes the first time)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python $(PIP) --constraint constraints.txt torch
	@$(BIN)/python $(PIP) --constraint constraints.txt --editable ".[dev]"
	@touch $@

demo: $(READY)
	@rm -rf demo
	@$(BIN)/reionemu example demo
	@$(BIN)/reionemu run demo/run.toml
	@$(BIN)/reionemu predict demo/artifacts/example --zmean 8 --alpha 0.5 --kb 1 --b0 0.45

test: $(READY)
	@$(BIN)/python -m pytest --numprocesses 2

test-all: $(READY) $(EXTRAS) peer-venv
	@$(BIN)/python -m pytest --numprocesses 2 -m ""

# What only the export to MLflow needs, and so only its tests.
$(EXTRAS): $(READY)
	@$(BIN)/python $(PIP) --constraint constraints.txt --editable ".[dev,mlflow]"
	@touch $@

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(READY)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

peer-venv: $(PEER)/.ready

$(PEER)/.ready: constraints.txt
	@echo "setting up $(PEER): the published package, to compare with"
	@$(PYTHON) -m venv $(PEER)
	@$(PEER)/bin/python $(PIP) --constraint constraints.txt torch
	@$(PEER)/bin/python $(PIP) --constraint constraints.txt reionemu==0.4.0
	@touch $@

bench: $(READY) peer-venv
	@$(BIN)/python benchmarks/run.py

bench-catalogue: $(READY)
	@$(BIN)/python benchmarks/catalogue.py

bench-suite: $(READY) peer-venv
	@$(BIN)/python benchmarks/suite.py

compare-records: $(READY) peer-venv
	@$(BIN)/python tools/compare_records/run.py --cache .compare-cache

clean:
	rm -rf demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
