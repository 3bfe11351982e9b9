NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
ifndef PYTHON
PYTHON := $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$p && break; done)
endif
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DELETE_ON_ERROR:
.PHONY: help install demo dist test test-min lint format coverage audit clean

help:  ## this list
	@grep -hE "^[a-z-]+:.*##" $(MAKEFILE_LIST) | sed -E "s/:.*## /\t/" | sort | expand -t 18

install: $(STAMP)  ## install into .venv

.PHONY: python
python:
	@$(or $(PYTHON),false) -c '$(NEW_ENOUGH)' 2>/dev/null || { echo "homodyne needs Python 3.11 or\
 newer; $(or $(PYTHON),python3) is $$($(or $(PYTHON),python3) --version 2>&1).\
 Name a newer one: make PYTHON=/path/to/python3.12" >&2; exit 1; }

$(STAMP): pyproject.toml | python
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $(STAMP)

# CI prints which branches of core and io its tests miss, and fails below 95%.
MEASURED := --cov=homodyne_cli.core --cov=homodyne_cli.io
test: $(STAMP)  ## run the tests
	mkdir -p build
	COVERAGE_FILE=build/coverage $(BIN)/python -m pytest -n 2 \
		$(if $(CI),$(MEASURED) --cov-report=term:skip-covered --cov-fail-under=95)

lint: $(STAMP)  ## style and types, as CI does
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --no-warn-unreachable --platform win32 --cache-dir .mypy_cache/win32 homodyne_cli
	$(BIN)/mypy --no-warn-unreachable --platform darwin --cache-dir .mypy_cache/darwin homodyne_cli

format: $(STAMP)  ## ruff's formatting and import order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# What it leaves in build tells `make mutants` which tests run a line, and how long they take.
coverage: $(STAMP)  ## branch coverage of core and io
	mkdir -p build
	COVERAGE_FILE=build/tests.coverage $(BIN)/python -m pytest -n 2 --junitxml=build/tests.xml \
		$(MEASURED) --cov-context=test --cov-report=term:skip-covered

audit: $(STAMP)  ## known vulnerabilities of what is installed (asks PyPI)
	$(BIN)/python -m pip_audit --local --skip-editable --progress-spinner off

clean:  ## remove what was installed and built
	rm -rf $(VENV) $(MIN) build dist *.egg-info

.PHONY: bench
DEMO := demo_output

demo: $(STAMP)  ## simulate, fit, diagnose and verify an experiment
	$(BIN)/homodyne demo $(DEMO) --force

dist: $(STAMP)  ## a wheel and a source archive, in dist
	$(BIN)/python -m build

# The oldest releases that the dependencies allow, on the oldest Python.
MIN := .venv-min
test-min:  ## a part of the tests with the oldest dependencies allowed
	python3.11 -m venv $(MIN)
	python3.11 -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
		print('\n'.join(d.replace('>=', '==') for d in project['dependencies']))" > $(MIN)/oldest.txt
	$(MIN)/bin/python -m pip install --quiet --disable-pip-version-check -r $(MIN)/oldest.txt -e . \
		pytest pytest-xdist hypothesis
	$(MIN)/bin/python -m pytest -n 2 -W default tests/test_startup.py tests/test_library.py \
		tests/unit/render tests/cli/test_portability.py tests/cli/test_options.py

bench: $(STAMP)  ## speed and memory beside plain NumPy
	$(BIN)/python -m benchmarks.realistic

# Minutes each, and the first takes 25 GB of disk.
.PHONY: bench-streaming bench-search bench-coverage
bench-streaming: $(STAMP)  ## data larger than memory (minutes, 25 GB of disk)
	$(BIN)/python -m benchmarks.streaming

bench-search: $(STAMP)  ## the global search on random experiments
	$(BIN)/python -m benchmarks.random_experiments

bench-coverage: $(STAMP)  ## whether stated uncertainties cover the truth
	$(BIN)/python -m benchmarks.coverage

.PHONY: docs man completions
docs: $(STAMP)  ## pages that follow from the program, and the site of all, in build/docs
	$(BIN)/python -m docs.generate docs
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs

man: $(STAMP)  ## man pages, in build/man
	$(BIN)/python -m sphinx -W --keep-going -q -b man docs build/man

completions: $(STAMP)  ## shell completion scripts
	$(BIN)/python -m docs.generate completions

.PHONY: mutants fuzz
FUZZ := 10000
FUZZED := config fix npz json

fuzz: $(STAMP)  ## damaged, hostile and made-up inputs to every reader, FUZZ of each kind (half an hour)
	$(BIN)/python -m benchmarks.attacks.configs --files $(FUZZ)
	$(BIN)/python -m benchmarks.attacks.data_files --count $$(($(FUZZ) * 5 / 4))
	$(BIN)/python -m benchmarks.attacks.run_directories --readers --runs $(FUZZ)
	$(BIN)/python -c "import atheris" || $(BIN)/python -m pip install --quiet atheris
	for kind in $(FUZZED); do $(BIN)/python -m benchmarks.attacks.guided $$kind -runs=$(FUZZ) || exit; done

mutants: $(STAMP)  ## change one thing in core at a time: do the tests notice? (an hour or two)
	$(BIN)/python -m benchmarks.mutants
