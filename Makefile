PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DELETE_ON_ERROR:
.PHONY: help install demo test lint format coverage clean

help:  ## this list
	@grep -hE "^[a-z-]+:.*##" $(MAKEFILE_LIST) | sed -E "s/:.*## /\t/" | sort | expand -t 18

install: $(STAMP)  ## install into .venv

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $(STAMP)

test: $(STAMP)  ## run the tests
	$(BIN)/python -m pytest -n 2

lint: $(STAMP)  ## style and types, as CI does
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32 homodyne_cli
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin homodyne_cli

format: $(STAMP)  ## ruff's formatting and import order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

coverage: $(STAMP)  ## branch coverage of core and io
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term:skip-covered

clean:  ## remove what was installed and built
	rm -rf $(VENV) build *.egg-info

.PHONY: bench
DEMO := demo_output

demo: $(STAMP)  ## simulate, fit, diagnose and verify an experiment
	rm -rf $(DEMO) && mkdir $(DEMO)
	$(BIN)/homodyne init -o $(DEMO)/truth.yaml
	$(BIN)/homodyne simulate $(DEMO)/truth.yaml -o $(DEMO)/data.h5 --frames 200 --noise 0.015 --seed 7
	$(BIN)/homodyne fit $(DEMO)/truth.yaml -o $(DEMO)/run --truth $(DEMO)/truth.yaml \
		--set initial_parameters.values=null
	$(BIN)/python -m benchmarks.loop $(DEMO)/loop

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

.PHONY: docs completions
docs: $(STAMP)  ## pages and schemas that follow from the program
	$(BIN)/python -m docs.generate docs

completions: $(STAMP)  ## shell completion scripts
	$(BIN)/python -m docs.generate completions
