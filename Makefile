# Everything lives in .venv beside this file; each target installs what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install
MARK := $(VENV)/.installed
SOURCES := src tests examples bench docs

.PHONY: help demo test test-all soak check bench bench-sim bench-node bench-tree bench-data docs docs-pictures runtime clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed: make PYTHON=python3.11 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { $(MAKE) --no-print-directory system && $(PYTHON) -m venv $(VENV); }

.PHONY: system
system:  # Debian's Python comes without venv
	@[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null || { echo "python3-venv is missing; install it first"; exit 1; }
	apt-get update -qq && apt-get install -y -qq python3-venv

# What hosts of their own are made of; tests that need them are skipped with the reason where it can't be had.
.PHONY: hosts
hosts:
	@for program in ip iptables nsenter; do command -v $$program || missing=1; done >/dev/null; \
	[ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0; \
	{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends iproute2 iptables util-linux; } >/dev/null || \
	echo "iproute2 and iptables can't be installed: tests that need them are skipped"

$(VENV)/.installed-run: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.installed-run

$(VENV)/.installed-bench: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -c constraints.txt -e '.[bench]'
	@touch $@

demo: $(VENV)/.installed-run  ## count the words of Python's standard library in the sandbox
	$(BIN)/python examples/demo.py

test: $(VENV)/.installed-dev hosts check  ## all checks and the default tests
	$(BIN)/python -m pytest -m 'not long'

test-all: $(VENV)/.installed-dev hosts check  ## the default tests and the long ones
	$(BIN)/python -m pytest

soak: $(VENV)/.installed-dev  ## ten minutes of kills, full disks and slow clients on a real node
	$(BIN)/python -m tests.soak

check: $(VENV)/.installed-dev  ## lint, types and import contracts
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy -p pangea.compute
	$(BIN)/mypy tests examples bench docs
	$(BIN)/lint-imports

bench: $(VENV)/.installed-bench  ## compare with multiprocessing, Dask and Ray
	$(BIN)/python -m bench.compare

bench-sim: $(VENV)/.installed-dev  ## what decisions cost and what the simulated tree reaches (about ten minutes)
	@status=0; for each in decisions simulation; do $(BIN)/python bench/$$each.py || status=1; echo; done; exit $$status

bench-tree: $(VENV)/.installed-dev  ## a tree of nodes: one link, tiny jobs, the price of being many (about five minutes)
	$(BIN)/python -m bench.tree

bench-node: $(VENV)/.installed-dev  ## a node under small jobs: rate, time to the result, memory (about two minutes)
	$(BIN)/python bench/node.py

bench-data: $(VENV)/.installed-dev  ## arrays and tables into chunks, files of gigabytes, ready jobs (about three minutes)
	$(BIN)/python bench/preparing.py
	$(BIN)/python bench/templates.py

docs: $(VENV)/.installed-dev  ## make docs/lifecycle.md again from the code
	$(BIN)/python docs/make_diagrams.py

docs-pictures: $(VENV)/.installed-dev  ## run the examples and make docs/pictures.md again from what they draw
	$(BIN)/python docs/make_pictures.py

runtime: | $(BIN)/python  ## rebuild the Python guest (needs npm; about four minutes)
	$(PIP) -c constraints.txt -e '.[runtime]'
	npm install --silent --no-save --prefix build/npm binaryen@132.0.0
	$(BIN)/python -m pangea.compute.runtime.build build/npm/node_modules/.bin

clean:  ## remove what the targets made
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
