# Two commands from nothing: `make demo` runs the benchmark on a small data set, `make test` passes the tests.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-slow check clean

demo: .venv/ready
	$(BIN)/mirbench run --encoder chroma,logmel,random --task all --size small --out demo
	$(BIN)/mirbench leaderboard --out demo

test: .venv/ready-dev
	$(BIN)/python -m pytest -n auto

test-slow: .venv/ready-dev
	$(BIN)/python -m pytest -m slow

check: .venv/ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	rm -rf dist
	$(BIN)/python -m build --wheel
	$(BIN)/check-wheel-contents dist/*.whl

.venv/ready: pyproject.toml
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(v < (3, 11) and f"Python 3.11 or newer is needed, this is {v}; set PYTHON=")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/ready-dev: .venv/ready
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv dist demo
