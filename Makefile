# Two commands matter: `make demo` and `make test`. Each sets up what it needs in .venv first.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PEER   := .peer-venv
PIP    := -m pip --disable-pip-version-check install --quiet
READY  := $(VENV)/.ready
EXTRAS := $(VENV)/.ready-extras
VALIDATION := $(VENV)/.ready-validation
export REIONEMU_PEER_PYTHON ?= $(PEER)/bin/python

.PHONY: help setup demo test test-all lint format bench bench-catalogue bench-emulator bench-inference bench-kfold bench-simulate bench-suite bench-suggest validate validate-inference compare-records peer-venv clean

help:
	@echo "make demo         set up, then go from nothing to 300 simulations, an emulator, a prediction"
	@echo "make test         set up, then run the tests (about 5 minutes on 2 cores)"
	@echo "make test-all     the slow tests and the comparison with the published package too"
	@echo "make lint         ruff and mypy"
	@echo "make bench        speed against the published package, as ratios"
	@echo "make bench-catalogue  listing 10,000 artifacts"
	@echo "make bench-emulator   errors, error bars and speed of emulators, beside the published one (medium preset: half an hour)"
	@echo "make bench-inference  a chain of 960,000 evaluations, beside the published likelihood (3 to 12 minutes)"
	@echo "make bench-kfold  cross-validation against the published package"
	@echo "make bench-suggest    simulations where the emulator asks for them, against Latin hypercubes"
	@echo "make bench-simulate  cost of a simulation, as a ratio to one Fourier transform"
	@echo "make validate     the simulator beside published simulations (docs/validation.md)"
	@echo "make validate-inference DATASET=suite.h5  posteriors against known truths (docs/inference-validation.md)"
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

# From nothing: every step of the way is a command that a user would type.
demo: $(READY)
	@rm -rf demo && mkdir demo
	$(BIN)/reionemu sample -n 300 --seed 1 -o demo/params.txt
	$(BIN)/reionemu simulate demo/params.txt -o demo/raw --preset demo --cache demo/cache
	$(BIN)/reionemu condense demo/raw demo/suite.h5
	$(BIN)/reionemu spectra demo/suite.h5
	$(BIN)/reionemu training-set demo/suite.h5
	$(BIN)/reionemu train demo/suite.h5 --out demo/artifacts --name demo
	$(BIN)/reionemu predict demo/artifacts/demo --zmean 8 --alpha 0.5 --kb 1 --b0 0.45

test: $(READY)
	@$(BIN)/python -m pytest --numprocesses 2

test-all: $(READY) $(EXTRAS) peer-venv
	@$(BIN)/python -m pytest --numprocesses 2 -m ""

# What only the export to MLflow needs, and so only its tests.
$(EXTRAS): $(READY)
	@$(BIN)/python $(PIP) --constraint constraints.txt --editable ".[dev,mlflow]"
	@touch $@

# What only the figures of the validation need.
$(VALIDATION): $(READY)
	@$(BIN)/python $(PIP) --constraint constraints.txt --editable ".[dev,validate]"
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

bench-emulator: $(READY) peer-venv
	@$(BIN)/python benchmarks/emulator.py --preset medium --write

bench-inference: $(READY) peer-venv
	@$(BIN)/python benchmarks/inference.py --preset medium

bench-kfold: $(READY) peer-venv
	@$(BIN)/python benchmarks/kfold.py

bench-suggest: $(READY)
	@$(BIN)/python benchmarks/suggest.py

bench-simulate: $(READY)
	@$(BIN)/python benchmarks/simulate.py

validate: $(READY) $(VALIDATION)
	@$(BIN)/python validation/run.py

validate-inference: $(READY)
	@$(BIN)/python validation/inference/run.py --dataset $(DATASET)

bench-suite: $(READY) peer-venv
	@$(BIN)/python benchmarks/suite.py

compare-records: $(READY) peer-venv
	@$(BIN)/python tools/compare_records/run.py --cache .compare-cache

clean:
	rm -rf demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
