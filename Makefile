# Everything runs in .venv, made from pyproject.toml and constraints.txt when either is newer than the stamp.
PYTHON ?= python3
PIP = .venv/bin/pip --disable-pip-version-check install --quiet
BIN = .venv/bin
# Three tests on two processors: they wait for programs a quarter of their time.
WORKERS = $$($(BIN)/python -c 'import os; print(max(2, os.cpu_count() * 3 // 2))')

.PHONY: help demo test test-all lint ruff mypy pyright format docs bench real honest bypass chaos team-chaos clients conformance browser effect wheel bundle constraints clean

help:  ## Show this list
	@sed -n 's/^\([a-z-]*\):.*  ## /  make \1\t/p' Makefile | expand -t 22

demo: .venv/run.stamp  ## A change through its gates, with scripted agents, in under a minute
	$(BIN)/gatewright demo

test: .venv/dev.stamp  ## The fast tests
	$(BIN)/pytest -n $(WORKERS) --dist loadfile -m "not slow"

test-all: honest .venv/dev.stamp  ## Every test, those that take long too, and the honest suite
	$(BIN)/pytest -n auto --dist loadfile

lint: ruff mypy pyright  ## Format, rules and types, as CI checks them

ruff: .venv/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

mypy: .venv/dev.stamp
	$(BIN)/mypy
	@set -e; for scripts in $(sort $(dir $(wildcard examples/*/*.py))) benchmarks/ packaging/; do echo "mypy $$scripts"; MYPYPATH=$$scripts $(BIN)/mypy $$scripts; done

pyright: .venv/dev.stamp
	$(BIN)/pyright

format: .venv/dev.stamp  ## Write the format and the mends that ruff is sure of
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/dev.stamp  ## Write the generated parts of docs/
	$(BIN)/python tests/docs/generate.py

bench: .venv/dev.stamp  ## Every benchmark, one after the other
	@set -e; for bench in benchmarks/bench_*.py; do echo "== $$bench"; $(BIN)/python "$$bench"; done

real: .venv/dev.stamp  ## Three published projects taken through their gates
	$(BIN)/python examples/real_project/run.py

honest: .venv/dev.stamp  ## Honest changes to published projects, which gates must not block (HONEST=--sample: some)
	$(BIN)/python examples/real_project/honest.py $(HONEST)

bypass: .venv/dev.stamp  ## Every bad commit of the bypass suite, with what stopped it
	$(BIN)/python -m tests.bypass

chaos: .venv/dev.stamp  ## Agents, kills and broken disks around one server (MINUTES=10 SEED=word): nothing may get lost
	$(BIN)/python -m tests.chaos --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED))

team-chaos: .venv/dev.stamp  ## The same over several hosts: kills, cut links, restarts, a full remote (MINUTES=1 SEED=word; Linux)
	$(BIN)/python -m tests.team_chaos --minutes $(or $(MINUTES),1) $(if $(SEED),--seed $(SEED))

clients: .venv/dev.stamp  ## Six real clients driven through their gates by scripted models (CLIENTS="claude-code codex")
	$(BIN)/python examples/real_clients/run.py $(CLIENTS)

conformance: .venv/dev.stamp  ## The protocol's official suite and inspector, both generations; npm fetches them once
	$(BIN)/python -m tests.conformance

browser: .venv/dev.stamp  ## The board in a headless Chromium (Debian: apt-get install chromium)
	$(BIN)/pytest -q tests/server/board/test_in_browser.py

effect: .venv/dev.stamp  ## What gates, loops and reviews are worth, by simulated agents (CHANGES=300)
	$(BIN)/python examples/effect/run.py --changes $(or $(CHANGES),300)

wheel: .venv/dev.stamp  ## Build dist/*.whl
	rm -rf build dist
	$(BIN)/python -m build --no-isolation --wheel

bundle: .venv/run.stamp  ## Build dist/gatewright.mcpb for Claude Desktop, validate it and start from it (npm once)
	$(BIN)/python packaging/bundle.py

constraints:  ## Resolve the newest versions that pyproject.toml allows into constraints.txt
	rm -rf .venv/fresh
	$(PYTHON) -m venv .venv/fresh
	.venv/fresh/bin/pip --disable-pip-version-check install --quiet -e '.[dev]'
	.venv/fresh/bin/pip freeze --all --exclude-editable --exclude pip > constraints.txt
	rm -rf .venv/fresh

clean:  ## Remove what the targets above made
	rm -rf .venv build dist gatewright.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv

.venv/run.stamp: .venv/bin/pip pyproject.toml constraints.txt
	$(PIP) -c constraints.txt -e .
	@touch $@

.venv/dev.stamp: .venv/bin/pip pyproject.toml constraints.txt
	$(PIP) -c constraints.txt -e '.[dev]'
	@touch .venv/run.stamp $@
