# Everything lives in .venv beside this file; each target installs what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install
MARK := $(VENV)/.installed
SOURCES := src tests examples bench docs
CORES := $(shell nproc)
#: So many processes share a run of tests; two more than cores, as many tests wait. None of the unit tests does.
TESTERS ?= $(shell expr $(CORES) + 2)
PYTEST := $(BIN)/python -m pytest -n $(TESTERS)
# Where mypy has never been it takes 40 s of a core, in one process: two take a seventh more, and give up where they start slowly.
BESIDE := $(MAKE) --no-print-directory -j2
# Where this is set, every process that tests start would compile what it imports.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo test test-all soak types check coverage bench bench-sim bench-node bench-tiny bench-tree bench-kernels bench-gpu bench-data bench-arrays bench-python docs docs-pictures docs-dashboard dist audit runtime runtime-check runtime-snapshot runtime-profile clean

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

# CPython's own tests of executors, likewise, where this Python comes without them.
.PHONY: suites
suites: | $(BIN)/python
	@package=$$($(BIN)/python -c 'import sys; print("libpython%d.%d-testsuite" % sys.version_info[:2])'); \
	$(BIN)/python -c 'import test.test_concurrent_futures' 2>/dev/null || [ -d $(VENV)/cpythons-tests ] || { cd $(VENV) && \
	{ apt-get download -qq $$package || { apt-get update -qq && apt-get download -qq $$package; }; } >/dev/null 2>&1 && \
	dpkg -x $$package*.deb cpythons-tests && rm $$package*.deb; } || \
	echo "$$package can't be had: CPython's own tests of executors are skipped"

# What pages are opened with, likewise.
.PHONY: browser
browser:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || \
	{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; } >/dev/null || \
	echo "chromium can't be installed: tests that open pages with it are skipped"

# What shaders run on where there is no GPU, likewise.
.PHONY: adapter
adapter:
	@find /usr/share/vulkan/icd.d /etc/vulkan/icd.d -name '*.json' 2>/dev/null | grep -q . || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || \
	{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mesa-vulkan-drivers libvulkan1; } >/dev/null || \
	echo "mesa-vulkan-drivers can't be installed: tests that run shaders are skipped"

# Another CPU: its emulator, Debian's Python for it, and wasmtime; `tests/integration/test_cpus.py` runs the guest there (long).
ARM64 := $(VENV)/arm64
.PHONY: arm64
arm64: $(ARM64)/python
$(ARM64)/python: | $(BIN)/python
	mkdir -p $(ARM64)/lists/partial $(ARM64)/cache/archives/partial $(ARM64)/root $(ARM64)/emulator $(ARM64)/packages
	cd $(ARM64)/packages && apt-get -qq download qemu-user-static && \
	apt="apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State::lists=$(CURDIR)/$(ARM64)/lists -o Dir::Cache=$(CURDIR)/$(ARM64)/cache" && \
	$$apt update && $$apt download python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libc6 libgcc-s1 libffi8 zlib1g libexpat1 libstdc++6
	for each in $(ARM64)/packages/*_arm64.deb; do dpkg -x $$each $(ARM64)/root; done; dpkg -x $(ARM64)/packages/qemu-*.deb $(ARM64)/emulator
	$(PIP) -c constraints.txt --no-deps --platform manylinux2014_aarch64 --only-binary=:all: --target $(ARM64)/site --upgrade wasmtime
	printf '#!/bin/sh\nhere=$$(dirname "$$0")\nexec "$$here/emulator/usr/bin/qemu-aarch64-static" -L "$$here/root" -E PYTHONPATH="$$PWD:$$PWD/src:$$here/site" "$$here/root/usr/bin/python3.11" "$$@"\n' > $@ && chmod +x $@

$(VENV)/.installed-run: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.installed-run

$(VENV)/.installed-bench: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -c constraints.txt -e '.[bench]'
	@touch $@

demo: $(VENV)/.installed-run  ## count every word of Python's standard library in sandboxes, compare with plain Python
	$(BIN)/python examples/demo.py

test: $(VENV)/.installed-dev hosts browser adapter suites  ## all checks and the default tests
	@$(BESIDE) static default-tests

test-all: $(VENV)/.installed-dev hosts browser adapter suites  ## the default tests and the long ones, over examples that no run before has drawn
	@$(BESIDE) static all-tests
	@$(MAKE) --no-print-directory types

coverage: $(VENV)/.installed-dev  ## which branches of the pure rooms no test of theirs takes
	$(PYTEST) --hypothesis-profile=search -m 'not long' tests/unit tests/property tests/simulation --cov --cov-report=term-missing:skip-covered

soak: $(VENV)/.installed-dev  ## ten minutes of kills, full disks, clock jumps, hoarders and slow clients on a real node
	$(BIN)/python -m tests.soak

types: $(VENV)/.installed-dev  ## how many public names have types that a checker needn't guess: 99 % must (half a minute)
	$(PIP) -c constraints.txt -e '.[types]'
	$(BIN)/python -m tests.known_types

check: $(VENV)/.installed-dev  ## format, lint, types, import contracts and the unit tests
	@$(BESIDE) static unit-tests

.PHONY: unit-tests default-tests all-tests
unit-tests: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n $(CORES) -m 'not long' tests/unit tests/test_tidy.py

default-tests: $(VENV)/.installed-dev
	$(PYTEST) -m 'not long'

all-tests: $(VENV)/.installed-dev
	$(PYTEST) --hypothesis-profile=search

.PHONY: static
static: $(VENV)/.installed-dev
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy $(SOURCES)
	$(BIN)/lint-imports

bench: $(VENV)/.installed-bench  ## compare with multiprocessing, Dask and Ray: bench/report.html, bench/history.jsonl
	$(BIN)/python -m bench.compare --report bench/report.html --history bench/history.jsonl

bench-sim: $(VENV)/.installed-dev  ## what decisions cost and what the simulated tree reaches (about ten minutes)
	@status=0; for each in decisions simulation; do $(BIN)/python bench/$$each.py || status=1; echo; done; exit $$status

bench-tiny: $(VENV)/.installed-dev  ## where a tiny job's time goes, from the call to the sandbox and back (seconds)
	$(BIN)/python -m bench.tiny

bench-tree: $(VENV)/.installed-dev  ## a tree of nodes: one link, tiny jobs, the price of being many (about five minutes)
	$(BIN)/python -m bench.tree

bench-node: $(VENV)/.installed-dev  ## a node under small jobs: rate, time to the result, memory (about two minutes)
	$(BIN)/python bench/node.py

bench-kernels: $(VENV)/.installed-dev  ## kernels against native Numba, and against Ray and Dask in Python (about three minutes)
	$(BIN)/python -m bench.kernels

bench-gpu: $(VENV)/.installed-dev adapter  ## shaders beside wgpu alone and NumPy, at 64 MiB (about a minute)
	$(BIN)/python bench/gpu.py

bench-data: $(VENV)/.installed-dev  ## arrays and tables into chunks, files of gigabytes, ready jobs (about three minutes)
	$(BIN)/python bench/preparing.py
	$(BIN)/python bench/templates.py

bench-arrays: $(VENV)/.installed-dev  ## NumPy in the sandbox beside NumPy natively, operation by operation (two minutes)
	$(BIN)/python -m bench.arrays

#: A fair one is of the guest's version, built with --enable-optimizations --with-lto.
NATIVE ?= $(BIN)/python
bench-python: $(VENV)/.installed-dev  ## plain Python in the sandbox beside a native one, make NATIVE=python3.14 … (a minute)
	$(BIN)/python -m bench.interpreter --native $(NATIVE)

$(VENV)/.installed-docs: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -c constraints.txt -e '.[docs]'
	@touch $@

docs: $(VENV)/.installed-dev $(VENV)/.installed-docs  ## make again what is made from the code, then the site: docs/_build/html
	$(BIN)/python docs/make_diagrams.py
	$(BIN)/python docs/make_errors.py
	$(BIN)/python docs/make_cli.py
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html

docs-pictures: $(VENV)/.installed-dev  ## run the examples and make docs/pictures.md again from what they draw
	$(BIN)/python docs/make_pictures.py

docs-dashboard: $(VENV)/.installed-dev browser  ## run a devnet with a liar and take the dashboard's pictures anew
	$(BIN)/python docs/make_dashboard_pictures.py

dist: | $(BIN)/python  ## sdist and wheel of this commit, the same bytes wherever they are built: dist/
	$(PIP) -c constraints.txt hatchling
	rm -rf build/dist dist && mkdir -p build/dist
	git archive HEAD | tar -x -C build/dist
	cd build/dist && SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(CURDIR)/$(BIN)/python -m hatchling build -d $(CURDIR)/dist
	cd dist && sha256sum *

audit: | $(BIN)/python  ## look the pinned versions up in the database of known vulnerabilities; what isn't found there is an error, too
	$(PIP) pip-audit
	$(BIN)/pip-audit --strict --no-deps --disable-pip -r constraints.txt

.PHONY: deploy-tools
deploy-tools: $(VENV)/.installed-dev  # what tests of deploy/ take: Helm (as a library, 75 MB) and Kubernetes' schemas
	$(PIP) helm-python-sdk kubernetes-validate

BUILD_RUNTIME := $(BIN)/python -m pangea.compute.runtime.build

.PHONY: runtime-tools
runtime-tools: | $(BIN)/python
	$(PIP) -c constraints.txt -e '.[runtime]'

runtime: runtime-tools  ## build the Python guest from source and pin it (needs npm, apt, a C compiler; a quarter of an hour)
	$(BUILD_RUNTIME) make

runtime-check: runtime-tools  ## build the Python guest in another folder: does it give the pinned bytes?
	$(BUILD_RUNTIME) check

runtime-snapshot: | $(BIN)/python  ## after a change of the guest's own Python: take its snapshot anew (two minutes)
	$(PIP) -c constraints.txt -e .
	$(BUILD_RUNTIME) snapshot

runtime-profile: runtime-tools  ## train the interpreter anew (after a change of its C); then `make runtime`
	$(PIP) -c constraints.txt -e '.[runtime-profile]'
	$(BUILD_RUNTIME) profile

clean:  ## remove what the targets made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
