# Every target makes .venv by itself. PYTHON chooses the interpreter: 3.11, 3.12 or 3.13.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Which of them make test-backends tries, each in a process of its own.
BACKENDS ?= tensorflow jax torch
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo notebooks test test-backends fuzz lint bench clean help
.DELETE_ON_ERROR:

help:
	@echo "make demo   train and score DDH on 400 faces, a few minutes from nothing"
	@echo "make notebooks   open the notebooks in Jupyter"
	@echo "make test   the tests"
	@echo "make test-backends   the learning tests on TensorFlow, JAX and PyTorch, one after another"
	@echo "make fuzz   readers of files from outside, ten minutes of mutated files; new examples elsewhere"
	@echo "make lint   ruff, mypy, import-linter"
	@echo "make bench  the benchmarks, into benchmarks/results"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit("facehash needs Python 3.11 to 3.13, %s is %d.%d; try: make PYTHON=python3.12" % (sys.executable, *v))'
	$(PYTHON) -m venv $(VENV)

# One stamp for each set of packages, so that the demo does not wait for what only tests need.
$(VENV)/.installed-%: setup.cfg pyproject.toml | $(BIN)/python
	$(PIP) -e '.[$*]'
	@touch $@

demo: $(VENV)/.installed-demo
	$(BIN)/python train.py configs/quickstart.yaml
	$(BIN)/python evaluate.py runs/quickstart-48-s0
	@echo
	@echo "Open runs/quickstart-48-s0/figures/retrieval.png to see what each query finds,"
	@echo "and runs/quickstart-48-s0/figures/precision_recall.png for the curve."

notebooks: $(VENV)/.installed-notebooks
	$(BIN)/jupyter lab notebooks

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest

# For a PyTorch without CUDA, gigabytes smaller on Linux, see docs/backends.md.
test-backends: $(VENV)/.installed-test $(VENV)/.installed-backends
	@set -e; for backend in $(BACKENDS); do \
		echo "tests/learning on $$backend"; \
		KERAS_BACKEND=$$backend $(BIN)/python -m pytest tests/learning; \
	done

# What it finds becomes a test of its own, the file's bytes in it.
fuzz: $(VENV)/.installed-test
	FACEHASH_FUZZ_SECONDS=600 $(BIN)/python -m pytest tests/end_to_end/test_fuzz.py --capture=no
	FACEHASH_FUZZ_SECONDS=0 $(BIN)/python -m pytest -m hypothesis --ignore tests/end_to_end/test_fuzz.py

lint: $(VENV)/.installed-test $(VENV)/.installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# JAX and PyTorch are among the options that are compared.
bench: $(VENV)/.installed-test $(VENV)/.installed-backends
	$(BIN)/python -m benchmarks.evaluation
	$(BIN)/python -m benchmarks.search
	$(BIN)/python -m benchmarks.data
	$(BIN)/python -m benchmarks.training

clean:
	rm -rf $(VENV) build dist *.egg-info
