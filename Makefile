# Two commands that need no environment of your own: they make .venv from the locks in envs/.
#   make run    the default configuration, from the sky to r
#   make test   format, lint and tests

PYTHON ?= python3
VENV ?= .venv
CORES ?= all
BIN = $(VENV)/bin

.PHONY: run test lint status report lock clean

run: $(VENV)/.run
	$(BIN)/snakemake --cores $(CORES)

test: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 20

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

# How far the fits of all runs are; while Snakemake runs, here or on a cluster.
status: $(VENV)/.run
	@$(BIN)/python -m patchsep.running.status

report: $(VENV)/.run
	$(BIN)/snakemake --report report.html

$(VENV)/.%: envs/requirements-%.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "patchsep needs Python 3.11 or later: make $* PYTHON=/path/to/python3"; exit 1; }
	@echo 'Installing the locked environment $< into $(VENV) …'
	@if command -v uv > /dev/null; then \
	  uv venv --allow-existing --python $(PYTHON) $(VENV) && \
	  uv pip install --python $(BIN)/python --compile-bytecode --require-hashes -r $< && \
	  uv pip install --python $(BIN)/python --no-deps -e . ; \
	else \
	  $(PYTHON) -m venv $(VENV) && \
	  $(BIN)/python -m pip install --disable-pip-version-check -q --require-hashes -r $< && \
	  $(BIN)/python -m pip install --disable-pip-version-check -q --no-deps -e . ; \
	fi
	@touch $@

# Anew from the ranges in pyproject.toml; needs uv.
LOCK = uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-annotate --no-header -q
lock:
	$(LOCK) -o envs/requirements-run.txt
	$(LOCK) -c envs/requirements-run.txt --extra test -o envs/requirements-test.txt
	$(LOCK) -c envs/requirements-run.txt --extra cuda -o envs/requirements-cuda.txt

clean:
	rm -rf $(VENV) .snakemake results/*/ report.html
