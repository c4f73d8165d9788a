# Every target creates .venv by itself. PYTHON selects the interpreter: 3.11, 3.12 or 3.13.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The backends that make test-backends tries, each in its own process.
BACKENDS ?= tensorflow jax torch
BACKENDS_EXTRA ?= backends
BACKENDS_OPTIONS ?=
# One process per core, each with whole files of tests. More threads in each only wait for each other:
# PyTorch takes four times the processor time to train the small networks of the tests.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder
LEARNING_TESTS := tests/learning tests/embedders/test_keras_model.py tests/embedders/test_run.py
CI_EXTRAS := test lint engines web-test
COMMA := ,
SPACE := $(subst ,, )
# JAX compiles a network for each short training; so it takes two thirds of the time.
XLA_FLAGS ?= --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true
ELASTICSEARCH := org.elasticsearch.distribution.integ-test-zip:elasticsearch:8.19.0:zip
# Python compiles what is imported; pip would compile all of it, of which most is never imported.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile

.PHONY: demo demo-search notebooks install-ci test test-engines test-web elasticsearch test-full test-whole test-backends test-all fuzz lint bench clean help
.DELETE_ON_ERROR:

help:
	@echo "make demo            train and score DDH on 400 faces, a few minutes from nothing"
	@echo "make demo-search     search the page of a small library in the browser"
	@echo "make notebooks       open the notebooks in Jupyter"
	@echo "make test            the tests, a few minutes"
	@echo "make test-engines    the index on PostgreSQL, Redis and Elasticsearch, and Dask, each a real server"
	@echo "make elasticsearch   fetch Elasticsearch for make test-engines; needs Maven"
	@echo "make test-web        the page in a real browser; needs chromium"
	@echo "make test-full       the slow tests: every kill point, notebooks, a minute of fuzzing, ..."
	@echo "make test-whole      the tests of both, which share what they train"
	@echo "make test-all        make test-whole, test-web, and the learning tests on JAX and PyTorch"
	@echo "make test-backends   the learning tests on TensorFlow, JAX and PyTorch, one after another"
	@echo "make fuzz            ten minutes of mutated files for every reader, with new examples"
	@echo "make lint            ruff, mypy, import-linter"
	@echo "make bench           the benchmarks that need no data, into benchmarks/results"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit("facehash needs Python 3.11 to 3.13, %s is %d.%d; try: make PYTHON=python3.12" % (sys.executable, *v))'
	$(PYTHON) -m venv $(VENV)

# One stamp per set of packages, so that the demo does not wait for what only tests need.
$(VENV)/.installed-%: setup.cfg pyproject.toml | $(BIN)/python
	$(PIP) -e '.[$*]'
	@touch $@

# All that .ci/run needs, by one call of pip.
install-ci: | $(BIN)/python
	$(PIP) -e '.[$(subst $(SPACE),$(COMMA),$(CI_EXTRAS))]'
	@touch $(CI_EXTRAS:%=$(VENV)/.installed-%)

demo: $(VENV)/.installed-demo
	$(BIN)/python train.py configs/quickstart.yaml
	$(BIN)/python evaluate.py runs/quickstart-48-s0
	@echo
	@echo "Open runs/quickstart-48-s0/figures/retrieval.png to see what each query finds,"
	@echo "and runs/quickstart-48-s0/figures/precision_recall.png for the curve."

# Needs neither weights nor photos; with weights in the cache it finds more.
demo-search: $(VENV)/.installed-demo $(VENV)/.installed-web
	$(BIN)/python -m tools.demo_search

notebooks: $(VENV)/.installed-notebooks
	$(BIN)/jupyter lab notebooks

test: $(VENV)/.installed-test
	$(PYTEST) -m "not full and not engines and not web"

test-full: $(VENV)/.installed-test
	$(PYTEST) -m "full and not engines and not web"

test-whole: $(VENV)/.installed-test
	$(PYTEST) -m "not engines and not web"

# Each server runs on this machine, on a free port, while its tests run. A server that is not
# installed is skipped with the reason, unless FACEHASH_REQUIRE_ENGINES names it.
test-engines: $(VENV)/.installed-test $(VENV)/.installed-engines
	$(PYTEST) -m engines tests/index/engines tests/end_to_end/engines

# One process: the browser needs the other core. FACEHASH_API_FUZZ_SECONDS is the time for the API.
test-web: $(VENV)/.installed-test $(VENV)/.installed-web-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m web tests/web

# Maven keeps it in its local repository, where the tests look for it. They need a Java of 17 or newer.
elasticsearch:
	mvn --batch-mode --quiet org.apache.maven.plugins:maven-dependency-plugin:3.8.1:get \
		-Dartifact=$(ELASTICSEARCH) -Dtransitive=false

# For a PyTorch without CUDA, gigabytes smaller on Linux, see docs/backends.md.
test-backends: $(VENV)/.installed-test $(VENV)/.installed-$(BACKENDS_EXTRA)
	@set -e; for backend in $(BACKENDS); do \
		echo "the learning tests on $$backend"; \
		KERAS_BACKEND=$$backend XLA_FLAGS="$(XLA_FLAGS)" $(PYTEST) $(BACKENDS_OPTIONS) $(LEARNING_TESTS); \
	done

# TensorFlow runs in test-whole.
test-all: BACKENDS = jax torch
test-all: export FACEHASH_API_FUZZ_SECONDS ?= 300
test-all: test-backends test-whole test-web

# Whatever it finds becomes a test of its own that contains the file's bytes.
fuzz: $(VENV)/.installed-test
	FACEHASH_FUZZ_SECONDS=600 $(BIN)/python -m pytest tests/end_to_end/test_fuzz.py --capture=no
	FACEHASH_FUZZ_SECONDS=0 $(BIN)/python -m pytest -m hypothesis --ignore tests/end_to_end/test_fuzz.py

lint: $(VENV)/.installed-test $(VENV)/.installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed-test
	$(BIN)/python -m benchmarks.evaluation
	$(BIN)/python -m benchmarks.code_verification
	$(BIN)/python -m benchmarks.search
	$(BIN)/python -m benchmarks.data
	$(BIN)/python -m benchmarks.training

clean:
	rm -rf $(VENV) build dist *.egg-info
