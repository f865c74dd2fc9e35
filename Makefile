# Everything here needs Python 3.11 or newer, and make; the rest is installed into $(VENV).
PYTHON ?= python3
VENV ?= .venv
# torch and the tests of the model live in an environment of their own: they cost gigabytes.
MODEL_VENV ?= $(VENV)-model
ARGS ?=
# Test processes. Most tests wait for a server or a process, so four share two cores well. A
# process has a file to itself, whose tests may share a server; tests/conftest.py says which begin.
JOBS ?= 4

# Python keeps what it compiled, whatever the caller's environment says: the tests start it often.
export PYTHONDONTWRITEBYTECODE =

BIN := $(VENV)/bin
# The second variable is the one that newer versions of pip read for what a build needs. Python
# compiles what it imports anyway; compiling everything in advance would only take longer.
PIP := PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
       PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet --no-compile

.DEFAULT_GOAL := help
.PHONY: help demo space test test-model check lint docs format figures dist clean

help:
	@echo "make demo        the web chat with an offline stand-in Space: no account, no network"
	@echo "make space       Janus on this machine; what would run: make space ARGS=--plan"
	@echo "make test        all tests; one file: make test ARGS=tests/test_config.py"
	@echo "make test-model  the tests that need torch, in $(MODEL_VENV): gigabytes on Linux"
	@echo "make check       linter, formatter, types, ids of tests, import table, migrations, documentation"
	@echo "make lint        what of that is quick"
	@echo "make docs        the documentation as pages in site/, strictly"
	@echo "make format      let the formatter and the linter change the files"
	@echo "make figures     how large bot/ is, and how many functions one photo question runs through"
	@echo "make dist        source distribution and wheel in dist/, as a release has them"
	@echo "make clean       remove $(VENV), $(MODEL_VENV) and all caches; your data stays"

demo: $(VENV)/.demo
	$(BIN)/janus-bot demo

space: $(VENV)/.janus
	$(BIN)/janus-bot space $(ARGS)

test: $(VENV)/.dev $(VENV)/.gradio5
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-model:
	@$(MAKE) --no-print-directory VENV='$(MODEL_VENV)' '$(MODEL_VENV)/.model'
	$(MODEL_VENV)/bin/python -m pytest tests/model $(ARGS)

check: lint
	$(BIN)/mypy
	$(BIN)/python -m tests.check_ids
	$(BIN)/lint-imports
	$(BIN)/python -m bot.storage
	$(BIN)/mkdocs build --quiet --strict

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

docs: $(VENV)/.dev
	$(BIN)/mkdocs build --strict

format: $(VENV)/.dev
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

figures: $(VENV)/.dev
	$(BIN)/python benchmarks/structure.py $(ARGS)

dist: $(VENV)/.dev
	rm -rf dist
	$(BIN)/python -m hatchling build

clean:
	rm -rf $(VENV) $(MODEL_VENV) build dist site .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Whoever develops has all that the demo needs: with .dev newer, .demo is only marked again.
$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing the bot and the stand-in Space into $(VENV), once. This takes a minute or two."
	@test $(VENV)/.dev -nt pyproject.toml -a $(VENV)/.dev -nt constraints.txt || $(PIP) --editable '.[space]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing the bot and all that its tests need into $(VENV), once. This takes a minute or two."
	@$(PIP) --editable '.[dev]'
	@touch $@

$(VENV)/.janus: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing the bot and what Janus itself needs into $(VENV), once: gigabytes on Linux."
	@$(PIP) --editable '.[janus]'
	@touch $@

$(VENV)/.model: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing the bot, torch and the tests' tools into $(VENV), once: gigabytes on Linux."
	@$(PIP) --editable '.[janus,test]'
	@touch $@

# The tests ask a real Gradio 5 as well as Gradio 6, and the two cannot be in one environment.
$(VENV)/.gradio5: constraints-gradio5.txt | $(BIN)/python
	@echo "Installing a Gradio 5 for the tests into $(VENV)/gradio5, once. This takes a minute."
	@$(BIN)/python -m venv --without-pip $(VENV)/gradio5
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip --python $(VENV)/gradio5/bin/python install \
	  --quiet --no-compile --no-deps --requirement constraints-gradio5.txt
	@touch $@

$(BIN)/python:
	@command -v '$(PYTHON)' > /dev/null || { \
	  echo "There is no $(PYTHON) here. Install Python 3.11 or newer, or name yours: make PYTHON=/path/to/python"; exit 1; } >&2
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "janus-bot needs Python 3.11 or newer, but $(PYTHON) is $$('$(PYTHON)' --version 2>&1). Name a newer one: make PYTHON=python3.13"; exit 1; } >&2
	@'$(PYTHON)' -c 'import ensurepip, venv' 2> /dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv"; exit 1; } >&2
	@'$(PYTHON)' -m venv $(VENV)
