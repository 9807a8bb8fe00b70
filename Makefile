# `make help` lists the targets. Everything is installed into .venv, from PyPI.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
# Processes that run tests; the suite needs no more than two.
JOBS ?= 2

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
FINISHED := $(VENV)/.installed

# What a missing program is installed with on this machine.
INSTALL := $(shell for p in apt-get dnf brew; do command -v $$p >/dev/null && echo $$p && break; done)
ifeq ($(INSTALL),dnf)
  INSTALL := sudo dnf install
  PYTHON_PACKAGE := python3
  VENV_PACKAGE := python3
  COMPILER_PACKAGE := gcc-c++
  LIBPYTHON_PACKAGE := python3-libs
else ifeq ($(INSTALL),brew)
  INSTALL := brew install
  PYTHON_PACKAGE := python3
  VENV_PACKAGE := python3
  COMPILER_PACKAGE := gcc
  LIBPYTHON_PACKAGE := python3
else
  INSTALL := sudo apt-get install
  PYTHON_PACKAGE := python3
  VENV_PACKAGE = $(notdir $(PYTHON))-venv
  COMPILER_PACKAGE := g++
  LIBPYTHON_PACKAGE = libpython$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
endif

# $(call need,test,what,package): stops with the command that installs what is missing.
need = $(1) >/dev/null 2>&1 || \
	{ echo "make: $(2) is missing; install it with: $(INSTALL) $(3)" >&2; exit 1; }

.PHONY: help run test test-long test-interrupts test-readme test-train formal mutants mutants-python fuzz gates silicon bench bench-accuracy bench-plans bench-growth bench-sensitivity bench-silicon bench-simulation bench-sweep bench-threads lint format clean machine
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

run: $(FINISHED) ## LeNet-5 from trained weights to bit-exact RTL (arguments: make run ARGS="--images 10")
	$(BIN)/systolith run $(ARGS)

test: lint $(FINISHED)-test ## lint, types and the tests
	$(BIN)/python -m pytest -n $(JOBS)

test-long: $(FINISHED)-test ## 150 random networks in RTL and 300 in ONNX Runtime, a million rough cycles of each that ships, exports on 1,000 digits
	$(BIN)/python -m pytest -n $(JOBS) -m long

test-interrupts: $(FINISHED)-test ## 40 interrupts at random moments, and what they leave (part of test-long)
	$(BIN)/python -m pytest -n 0 -m long tests/scripts/test_random_interrupts.py

test-readme: $(FINISHED)-test ## every command of the README, as written, in a fresh clone (an hour)
	$(BIN)/python -m pytest -n 0 -s -m readme tests/test_readme.py

test-train: $(FINISHED)-train ## the tests of training (installs PyTorch)
	$(BIN)/python -m pytest -m training

formal: $(FINISHED)-formal ## proofs about the hardware, and wrong hardware refuted (installs SymbiYosys)
	$(BIN)/python -m pytest -n $(JOBS) -m formal tests/formal

mutants: $(FINISHED)-formal ## faults put into every unit, and which check finds each
	$(BIN)/python -m pytest -n $(JOBS) -m formal tests/mutation
	$(BIN)/python -m tests.mutation.campaign $(ARGS)

mutants-python: $(FINISHED)-mutants ## faults put into the Python code, and those that no test finds (installs Cosmic Ray; continues where it stopped)
	$(BIN)/python -m tests.mutation.python_code.python_campaign $(ARGS)

fuzz: $(FINISHED)-test ## 2,000 hostile files and options (arguments: make fuzz ARGS="--seed 1")
	$(BIN)/python -m tests.fuzz.fuzz_campaign $(ARGS)

gates: $(FINISHED)-formal ## netlists of every unit and of whole networks, gate by gate
	$(BIN)/python -m pytest -n $(JOBS) -m gates

silicon: $(FINISHED)-synth ## a small network placed and routed on every target (installs nextpnr)
	$(BIN)/python -m pytest -n $(JOBS) -m silicon

bench: $(FINISHED)-test ## the fixed model compared with ONNX Runtime's int8
	$(BIN)/python -m systolith.scripts.benchmarks.model_speed

bench-accuracy: $(FINISHED)-test ## the accuracy of every width, on all test digits, and how the method was chosen
	$(BIN)/python -m systolith.scripts.benchmarks.accuracy_by_width $(ARGS)

bench-plans: $(FINISHED)-test ## every plan of the networks that ship: predicted, simulated, timed
	$(BIN)/python -m systolith.scripts.benchmarks.all_plans

bench-growth: $(FINISHED)-test ## how planning and generating grow with multipliers and layers
	$(BIN)/python -m systolith.scripts.benchmarks.growth

bench-sensitivity: $(FINISHED)-test ## which layers need their bits, of the networks that ship at 4 bits
	$(BIN)/python -m systolith.scripts.benchmarks.layer_sensitivity $(ARGS)

bench-silicon: $(FINISHED)-synth ## LUTs and clock of the networks that ship, and how far estimates are off (hours)
	$(BIN)/python -m systolith.scripts.benchmarks.silicon_figures $(ARGS)

bench-simulation: $(FINISHED)-test ## all test digits through the RTL of nine accelerators, and how fast
	$(BIN)/python -m systolith.scripts.benchmarks.all_digits $(ARGS)

bench-sweep: $(FINISHED)-test ## what a sweep of 12 pairs of widths costs
	$(BIN)/python -m systolith.scripts.benchmarks.sweep_cost

bench-threads: $(FINISHED)-test ## the time of `quantize` and `evaluate` over that with one BLAS thread, also with a busy process
	$(BIN)/python -m systolith.scripts.benchmarks.blas_threads

lint: $(FINISHED)-test ## ruff, mypy, which room may import which, and what is declared as a dependency
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/deptry golden hw sim scripts --extend-exclude scripts/benchmarks --optional-dependencies-dev-groups test,mutants
	$(BIN)/deptry golden hw sim scripts tests examples --exclude '\.venv'

format: $(FINISHED)-test ## lets ruff format and mend what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## removes .venv, caches and what `make run` wrote
	rm -rf $(VENV) .mutants-python .mypy_cache .pytest_cache .ruff_cache .hypothesis systolith-out build dist
	find golden hw sim scripts tests examples -name __pycache__ -type d -prune -exec rm -rf {} +

$(FINISHED): EXTRAS := [onnx]
$(FINISHED)-test: EXTRAS := [test]
$(FINISHED)-train: EXTRAS := [test,train]
$(FINISHED)-formal: EXTRAS := [test,formal]
$(FINISHED)-synth: EXTRAS := [test,synth]
$(FINISHED)-mutants: EXTRAS := [test,mutants]

$(FINISHED) $(FINISHED)-test $(FINISHED)-train $(FINISHED)-formal $(FINISHED)-synth $(FINISHED)-mutants: pyproject.toml constraints.txt | machine
	@echo "setting up $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --editable ".$(EXTRAS)"
	@$(call need,$(BIN)/python -m find_libpython | grep .,the shared library of Python,$(LIBPYTHON_PACKAGE))
	@touch $@

machine:
	@$(call need,test -n "$(PYTHON)",Python 3.11 or newer,$(PYTHON_PACKAGE))
	@$(call need,$(PYTHON) -c "import ensurepip; import venv",Python's venv,$(VENV_PACKAGE))
	@$(call need,command -v perl,perl,perl)
	@$(call need,command -v g++,a C++ compiler (g++),$(COMPILER_PACKAGE))
