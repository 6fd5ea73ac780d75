# Everything a checkout needs lives in .venv, made on first use and again when pyproject.toml changes. What is told of
# that goes to standard error, so that a target's own output can be read by programs.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
TARGET ?= softswitch

.PHONY: help demo test test-root lint p4 test-bmv2 stf conformance fuzz fuzz-write fuzz-push differential soak bench kill lab scenario clean

help: ## list what can be made
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

# --- the environment ------------------------------------------------------------------------------

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "p4pmip: $(PYTHON) is missing or older than 3.11; on Debian: apt-get install python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "p4pmip: Python cannot make environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "p4pmip: making the environment in $(VENV)" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.run: $(VENV)/.made pyproject.toml
	@echo "p4pmip: installing p4pmip and what it runs with" >&2
	@$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@echo "p4pmip: installing what the tests and checks need" >&2
	@$(BIN)/python -m pip install --quiet --group test --group lint
	@touch $@

$(VENV)/.bench: $(VENV)/.dev
	@$(BIN)/python -m pip install --quiet --group bench
	@touch $@

$(VENV)/.lab: $(VENV)/.run
	@echo "p4pmip: installing what the lab needs" >&2
	@$(BIN)/python -m pip install --quiet --group lab
	@touch $@

# --- using it -------------------------------------------------------------------------------------

demo: $(VENV)/.run ## Figure 1 of the draft, end to end, on the softswitch
	@$(BIN)/p4pmip demo

test: $(VENV)/.dev ## the test suite; no root, under five minutes
	@$(BIN)/python -m pytest -q -m "not root" -n 2 --dist loadfile

test-root: $(VENV)/.dev $(VENV)/.lab ## the tests that need root: namespaces, raw sockets, the lab, a GRE peer
	@$(BIN)/python -m pytest -q -m root

lint: $(VENV)/.dev ## style and strict types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

p4: $(VENV)/.dev ## compile the P4 program anew (needs p4c)
	@$(BIN)/python p4src/compile.py

stf: $(VENV)/.dev ## the packet tests of the pipeline; TARGET=softswitch|bmv2, EXECUTOR=native|interpreter
	@$(BIN)/python -m tests.pipeline.run --target $(TARGET) --executor $(EXECUTOR)

LAB_TARGET = $(if $(filter-out file,$(origin TARGET)),--target $(TARGET))
LAB_EXECUTOR = $(if $(filter-out file,$(origin EXECUTOR)),--executor $(EXECUTOR))
lab: $(VENV)/.lab ## Figure 1 in Mininet with real hosts and the live view (root): [TARGET=…] [EXECUTOR=…] [VIEW=ADDR:PORT]
	@$(BIN)/python mininet/lab.py $(LAB_TARGET) $(LAB_EXECUTOR) $(if $(VIEW),--view $(VIEW))

# The softswitch's executor, or what was asked for expressly.
SCENARIO_EXECUTOR = $(if $(filter-out file,$(origin EXECUTOR))$(filter-out bmv2,$(TARGET)),--executor $(EXECUTOR))
scenario: $(VENV)/.lab ## play lab scenarios (root): NAME=overlap|…|all [TARGET=softswitch|bmv2] [EXECUTOR=…] [JSON=1]
	@$(BIN)/python mininet/scenario.py $(NAME) --target $(TARGET) $(SCENARIO_EXECUTOR) $(if $(JSON),--json)

bench: $(VENV)/.bench ## every figure beside its peer; under ten minutes
	@PYTHONPATH=. $(BIN)/python bench/run.py

KILLS ?= 200
kill: $(VENV)/.dev ## kill -9 of nodes and switches under load (KILLS=N, EXECUTOR=native|interpreter, SEED=N)
	@PYTHONPATH=. $(BIN)/python tests/kill.py $(KILLS) $(EXECUTOR) $(if $(filter-out file,$(origin SEED)),$(SEED))

conformance: $(VENV)/.dev ## the tests of every row of docs/conformance.md, and counts
	@$(BIN)/python -m pytest -q -m requirement
	@$(BIN)/python tests/conformance/matrix.py

FUZZ_RUNS ?= 10000000
fuzz: $(VENV)/.dev ## ten million mutated inputs to every decoder (FUZZ_RUNS=N)
	@$(BIN)/python fuzz/wire.py -runs=$(FUZZ_RUNS)

FUZZ_WRITES ?= 2000
fuzz-write: $(VENV)/.dev ## broken Writes against a target; TARGET=softswitch|bmv2, FUZZ_WRITES=N
	@$(BIN)/python fuzz/write.py --target $(TARGET) --runs $(FUZZ_WRITES)

FUZZ_PUSHES ?= 5000
SEED ?= 1
fuzz-push: $(VENV)/.dev ## mutated programs pushed into the softswitch (FUZZ_PUSHES=N, SEED=N)
	@$(BIN)/python fuzz/push.py --runs $(FUZZ_PUSHES) --seed $(SEED)

SOAK_SECONDS ?= 600
EXECUTOR ?= native
soak: $(VENV)/.dev ## ten minutes at saturation with table churn (EXECUTOR=native|interpreter, SOAK_SECONDS=N)
	@$(BIN)/python bench/soak.py --executor $(EXECUTOR) --seconds $(SOAK_SECONDS)

PACKETS ?= 10000000
differential: $(VENV)/.dev ## interpreter against native, ten million packets (PACKETS=N, SEED=N)
	@$(BIN)/python -m tests.softswitch.executors --packets $(PACKETS) --seed $(SEED)

test-bmv2: $(VENV)/.dev ## everything that has a BMv2 variant, on BMv2
	@$(BIN)/python tests/bmv2

clean: ## remove the environment and the caches
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
