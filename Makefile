# Two commands do everything, each in a virtual environment of its own making:
#   make demo    the main job on the bundled corpus, offline and without a key
#   make test    the tests
# The others are for those who work on it: see CONTRIBUTING.md.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PINS ?= -c constraints.txt
# How many files of tests run at the same time.
WORKERS ?= 2

.PHONY: demo test lint docs coverage screenshots wheel-test matrix clean

$(VENV)/installed: setup.cfg constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PINS) torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PINS) -e '.[dev]'
	touch $@

demo: $(VENV)/installed
	$(BIN)/python -m spacy project run all .

test: $(VENV)/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -rs -n $(WORKERS) --dist loadfile

lint: $(VENV)/installed
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PINS) -e '.[docs]'
	$(BIN)/python -m mkdocs build --strict

coverage: $(VENV)/installed
	$(BIN)/python -m pytest --cov --cov-report=term-missing --cov-report=html

screenshots: $(VENV)/installed
	$(BIN)/python -m pytest tests/workflow/test_report_browser.py --screenshots screenshots

wheel-test: $(VENV)/installed
	$(BIN)/python .ci/wheel_test.py

matrix:
	.ci/matrix

clean:
	rm -rf $(VENV) output project.lock site dist build screenshots htmlcov
