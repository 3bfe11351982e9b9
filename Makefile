PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DELETE_ON_ERROR:
.PHONY: install demo test lint clean

install: $(STAMP)

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $(STAMP)

test: $(STAMP)
	$(BIN)/python -m pytest -n 2

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build *.egg-info

.PHONY: bench
DEMO := demo_output

demo: $(STAMP)
	rm -rf $(DEMO) && mkdir $(DEMO)
	$(BIN)/homodyne init -o $(DEMO)/truth.yaml
	$(BIN)/homodyne simulate $(DEMO)/truth.yaml -o $(DEMO)/data.h5 --frames 200 --noise 0.015 --seed 7
	$(BIN)/homodyne fit $(DEMO)/truth.yaml -o $(DEMO)/run --truth $(DEMO)/truth.yaml \
		--set initial_parameters.values=null
	$(BIN)/python -m benchmarks.loop $(DEMO)/loop

bench: $(STAMP)
	$(BIN)/python -m benchmarks.realistic

# Minutes each, and the first takes 25 GB of disk.
.PHONY: bench-streaming bench-search bench-coverage
bench-streaming: $(STAMP)
	$(BIN)/python -m benchmarks.streaming

bench-search: $(STAMP)
	$(BIN)/python -m benchmarks.random_experiments

bench-coverage: $(STAMP)
	$(BIN)/python -m benchmarks.coverage

.PHONY: docs completions
docs: $(STAMP)
	$(BIN)/python -m docs.generate docs

completions: $(STAMP)
	$(BIN)/python -m docs.generate completions
