# Every target works on a fresh clone with Python 3.11+ and make: .venv is made when it is missing or out of date.
PYTHON ?= python3
JOBS ?= 2
SEED ?= 1
ROOM ?= curate

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CODE := src tests scripts $(wildcard benchmarks)

# One thread a process: the parallelism is ours (workers, test processes), and numbers do not depend on the machine.
export OMP_NUM_THREADS ?= 1
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
# Packages are installed uncompiled and compiled as they are used: without that each process would compile torch anew.
unexport PYTHONDONTWRITEBYTECODE

# Numba looks only at the file of the outermost kernel to see whether its cache is stale; a cache for each state of the
# kernels that others call cannot be.
KERNELS := $(shell find src/seedbed/text src/seedbed/stats src/seedbed/model/kernels -name '*.py' | LC_ALL=C sort | xargs cat | cksum | cut -d ' ' -f 1)
export NUMBA_CACHE_DIR ?= $(CURDIR)/$(VENV)/numba/$(KERNELS)

.DEFAULT_GOAL := help
.PHONY: help setup demo test fuzz check check-format check-lint check-types check-imports check-docs bench bench-real docs golden lock clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 16

setup: $(READY) ## make .venv from requirements.lock (again only when that or pyproject.toml changed)
	@echo "$(VENV) is ready"

$(READY): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "There is no '$(PYTHON)'. Name a Python 3.11 or newer: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Seedbed needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V 2>&1). Name another: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Making $(VENV) from requirements.lock (a minute or two)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --no-compile --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY) ## curate, select, train and compare on the shipped sample, into runs/demo
	$(BIN)/seedbed run demo --out runs/demo

test: $(READY) ## all tests, in JOBS processes; some of them: make test ARGS="tests/curate -k size"
	$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile --no-loadscope-reorder --max-worker-restart 0 --randomly-seed=$(SEED) $(ARGS)

fuzz: $(READY) ## the property tests with ten times the examples, drawn at random; some: make fuzz ARGS=tests/text
	$(BIN)/python -m pytest -q -n $(JOBS) -m hypothesis --hypothesis-profile=fuzz $(ARGS)

check: check-format check-lint check-types check-imports check-docs ## format, lint, types, import contracts, generated docs

check-format: $(READY)
	$(BIN)/ruff format --check $(CODE)

check-lint: $(READY)
	$(BIN)/ruff check $(CODE)

check-types: $(READY)
	$(BIN)/pyright --pythonpath $(BIN)/python

check-imports: $(READY)
	$(BIN)/lint-imports --no-cache

check-docs: $(READY)
	$(BIN)/python scripts/make_docs.py --check

bench: $(READY) ## the benchmarks of one room: make bench ROOM=curate; ROOM=select compares all methods on the planted pool
	@ls benchmarks/speed/$(ROOM)/*.py >/dev/null 2>&1 || { echo "benchmarks/speed has no '$(ROOM)'; there is: $$(ls benchmarks/speed 2>/dev/null | tr '\n' ' ')" >&2; exit 1; }
	@set -e; for file in $(wildcard benchmarks/speed/$(ROOM)/*.py benchmarks/effect/$(ROOM)/planted.py); do echo "$$file"; $(BIN)/python $$file; done

bench-real: $(READY) ## compare methods on real web text: make bench-real CORPUS=folder; hours, stopped anywhere it goes on
	$(BIN)/python benchmarks/effect/select/real.py $(if $(CORPUS),--corpus $(CORPUS))

docs: $(READY) ## write docs/methods.md and the README's table of methods
	$(BIN)/python scripts/make_docs.py

golden: $(READY) ## record the outputs of text methods; refuses a changed output with an unchanged version
	$(BIN)/python -m tests.every_method.golden

lock: ## resolve pyproject.toml anew into requirements.lock
	$(PYTHON) scripts/make_lock.py

clean: ## remove .venv, caches and runs/
	rm -rf $(VENV) runs dist build .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +
