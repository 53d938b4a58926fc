# Everything needs only Python 3.11 (or newer) and make; the first target creates .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo test test-all lint format clean

demo: $(VENV)/.installed
	$(BIN)/tfpanoptic demo --out demo --overwrite

# A file's tests stay in one process, for they share fixtures. A process that crashes ends the run: in this mode
# pytest-xdist may wait for ever for the tests of one that it replaced.
PYTEST = $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --max-worker-restart 0

test: lint
	$(PYTEST) -m "not slow" --durations=10

test-all: lint
	$(PYTEST) --durations=20

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The messages of TensorFlow Serving, for tests, ask for the package tensorflow, which would be installed over
# tensorflow-cpu; what they need of it is there.
$(VENV)/.installed: setup.py pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"tfpanoptic needs Python 3.11 or newer, this is {sys.version.split()[0]}; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[cpu,dev]"
	$(BIN)/python -m pip install --quiet --no-deps "tensorflow-serving-api>=2.20"
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info demo
