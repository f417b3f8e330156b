# Everything a fresh machine needs is python3 (3.11 or later), pip, make and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test check fix bench lock clean

help:
	@echo "make demo    watch agents call a real API through Caracal"
	@echo "make test    prove every promise"
	@echo "make check   formatting, lint, types, import rules, links"
	@echo "make fix     format and repair what can be repaired"
	@echo "make bench   measure, with a baseline in the same run"
	@echo "make lock    resolve the dependency locks again"

$(VENV)/%.stamp: requirements/%.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing $* dependencies into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/$*.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(VENV)/demo.stamp
	@$(BIN)/caracal demo

test: $(VENV)/dev.stamp
	@$(BIN)/python tools/run_tests.py

check: $(VENV)/dev.stamp
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python tools/check_links.py
	@$(BIN)/python tools/check_shape.py

fix: $(VENV)/dev.stamp
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(VENV)/dev.stamp
	@$(BIN)/python -m bench

lock: $(VENV)/lock.stamp
	@for name in server demo dev; do \
	  $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --no-emit-index-url \
	    --python-version 3.11 --custom-compile-command "make lock" \
	    --extra $$name pyproject.toml requirements/build.in -o requirements/$$name.txt; done

clean:
	@rm -rf $(VENV) build dist .coverage* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
