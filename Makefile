# Everything a checkout needs; each target does its own set-up. `make` alone lists the targets.
#
#   make PYTHON=python3.13    another interpreter (3.11 or later) for a new environment
#   make VENV=/path           another place for it
#
# One environment, filled in two steps: `demo` installs requirements/runtime.lock only and runs from the checkout,
# so the first result is a few small downloads away; everything else adds requirements/dev.lock (the same versions
# plus the tools, several times the size) and the program itself. A stamp file per step means nothing is installed
# again until a lock or pyproject.toml changes.

PYTHON ?= python3
VENV ?= .venv
UV ?= uv

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
COMPILE = $(UV) --no-config pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links --annotation-style line $(LOCK_FLAGS)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help setup demo test lint types layers unit format lock clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 10

setup: $(VENV)/.dev ## the program and its tools in .venv (.venv/bin/ecm-agent)
	@echo "Ready: $(BIN)/ecm-agent"

demo: $(VENV)/.runtime ## the main job, start to end, on made-up memory in a temporary directory
	@PYTHONPATH="$(CURDIR)" $(BIN)/python -m ecm_agent demo

test: lint types layers unit ## everything that must hold; stops at the first stage that fails

lint: $(VENV)/.dev ## style: ruff
	@echo "== lint" && $(BIN)/ruff check --quiet && $(BIN)/ruff format --check --quiet

types: $(VENV)/.dev ## types: mypy --strict
	@echo "== types" && $(BIN)/mypy

layers: $(VENV)/.dev ## who may import whom: import-linter
	@echo "== layers" && $(BIN)/lint-imports --no-logo

unit: $(VENV)/.dev ## the tests: pytest (PYTEST_FLAGS="-k restore" for some of them)
	@echo "== unit" && $(BIN)/python -m pytest --quiet --numprocesses=auto --maxprocesses=8 $(PYTEST_FLAGS)

format: $(VENV)/.dev ## rewrite the code in the house style
	@$(BIN)/ruff check --fix --quiet; $(BIN)/ruff format

lock: ## write requirements/*.lock anew; needs uv (LOCK_FLAGS=--upgrade for newer versions)
	@command -v $(UV) >/dev/null || { echo "make lock needs uv: $(PYTHON) -m pip install uv, or UV=/path/to/uv" >&2; exit 1; }
	$(COMPILE) pyproject.toml --group dev -o requirements/dev.lock
	$(COMPILE) pyproject.toml -c requirements/dev.lock -o requirements/runtime.lock

clean: ## remove the environment and all caches
	@test ! -f $(VENV)/pyvenv.cfg || rm -rf $(VENV)
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find ecm_agent tests -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/pyvenv.cfg:
	@command -v $(PYTHON) >/dev/null || \
		{ echo "There is no '$(PYTHON)' here. Install Python 3.11 or later, or name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$$($(PYTHON) -V) is too old: ecm-agent needs 3.11 or later. Name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make virtual environments. On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) -V) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements/runtime.lock | $(VENV)/pyvenv.cfg
	@echo "Installing what the program needs ..."
	@$(PIP) install --require-hashes --requirement requirements/runtime.lock
	@touch $@

$(VENV)/.dev: requirements/dev.lock pyproject.toml | $(VENV)/.runtime
	@echo "Installing the tools (once, a minute or so) ..."
	@$(PIP) install --require-hashes --requirement requirements/dev.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@
