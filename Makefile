# `make demo` shows it at work, `make test` passes the everyday tests; each sets up what it needs first.
# The lines below are plain commands: run them by hand where there is no make.

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

# The installed package is a tree of links to the files that there were: one more file, or other dependencies,
# mean installing again.
INSTALLED := build/installed-$(shell { cat pyproject.toml; find agent tools prompts -type f ! -name '*.pyc' | \
	LC_ALL=C sort; } | cksum | cut -d ' ' -f 1)

.PHONY: setup demo test long lint bench synapse transformers
.DELETE_ON_ERROR:

setup: $(INSTALLED)

demo: setup
	.venv/bin/gemmagraph run --tools examples/ops/tools.py "how full is the disk?"

test: setup
	.venv/bin/python -m pytest -n auto
	.venv/bin/python -m pytest -c tests/langchain/pytest.ini tests/langchain

long: setup
	.venv/bin/python -m pytest -n auto -m long

lint: setup
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

# With a torch of 5 GB, unless one without CUDA is there already.
transformers: setup
	@.venv/bin/python -m pip install --quiet -e ".[dev,transformers]" --config-settings editable_mode=strict
	@.venv/bin/python -m pytest -n auto -m '' tests/agent/test_transformers.py tests/agent/test_matrix.py

# A homeserver, for the tests of Matrix.
synapse: .synapse/pyvenv.cfg

bench: setup benchmarks/.venv/pyvenv.cfg
	benchmarks/.venv/bin/python benchmarks/run.py

.venv/pyvenv.cfg:
	@test -n "$(PYTHON)" || { echo "gemmagraph needs Python 3.11 or newer: make PYTHON=/path/to/it $(MAKECMDGOALS)"; exit 1; } >&2
	$(PYTHON) -m venv .venv

$(INSTALLED): .venv/pyvenv.cfg
	.venv/bin/python -m pip install --quiet -e ".[dev]" --config-settings editable_mode=strict
	@rm -f build/installed-*
	@touch $@

.synapse/pyvenv.cfg:
	$(PYTHON) -m venv .synapse
	.synapse/bin/python -m pip install --quiet matrix-synapse

benchmarks/.venv/pyvenv.cfg: benchmarks/requirements.txt benchmarks/readers.txt pyproject.toml
	$(PYTHON) -m venv --clear benchmarks/.venv
	benchmarks/.venv/bin/python -m pip install --quiet -e . -r benchmarks/requirements.txt
	benchmarks/.venv/bin/python -m pip install --quiet --no-deps -r benchmarks/readers.txt
