# Everything a fresh machine needs is python3 (3.11 or later), pip, make and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

# Tools whose dependencies disagree with ours, or that are not to be mixed with them, live apart.
TOOLS := checkov clients judges semgrep trestle valkey
# Two of the judges and some of the clients ask for a newer Python than the floor, and run on the floor.
clients_PIP := --ignore-requires-python
clients_PYTHON := 3.12
judges_PIP := --ignore-requires-python
judges_PYTHON := 3.12

# dev.txt holds everything that demo.txt holds: what is ready for tests is ready for the demo.
DEMO_READY := $(if $(wildcard $(VENV)/dev.stamp),$(VENV)/dev.stamp,$(VENV)/demo.stamp)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test check assurance fix bench lock lock-images dist dist-verify dist-smoke deploy-check clean \
  attest-release verify-release

help:
	@echo "make demo    watch agents call a real API through Caracal"
	@echo "make test    prove every promise        (ARGS='-k gateway' runs a part)"
	@echo "make check   formatting, lint, types, import rules, links, shape"
	@echo "make assurance  hold every security claim against its evidence"
	@echo "make deploy-check  render the chart with a real helm, judge it, start what deploy/ describes"
	@echo "make fix     format and repair what can be repaired"
	@echo "make bench   measure, with a baseline in the same run"
	@echo "make dist    build what a release holds, from the last commit"
	@echo "make dist-verify  build it twice, from two clones, and compare every byte"
	@echo "make dist-smoke   run the image that was built, confined   (needs root)"
	@echo "make lock    resolve the dependency locks again   (ARGS=--upgrade takes what is new)"
	@echo "make clean   remove everything that the above made"

demo: $(DEMO_READY)
	@$(BIN)/caracal demo $(if $(KEEP),--keep)

test: $(VENV)/dev.stamp $(VENV)/tools/clients.stamp $(VENV)/tools/judges.stamp $(VENV)/tools/valkey.stamp
	@$(BIN)/python -m tools.run_tests $(ARGS)

assurance: $(VENV)/dev.stamp $(VENV)/lock.stamp $(TOOLS:%=$(VENV)/tools/%.stamp)
	@$(BIN)/python -m assurance $(ARGS)

# A helm of its own is built once, in about five minutes, where there is none and a Go toolchain is.
deploy-check: $(VENV)/dev.stamp $(VENV)/tools/checkov.stamp
	@$(BIN)/python -m tools.chart --build-helm
	@$(BIN)/python -m assurance DP-1 DP-2 DP-3 DP-4 DP-5
	@$(BIN)/python -m pytest -q tests/deploy

check: $(VENV)/dev.stamp
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m tools.check_links
	@$(BIN)/python -m tools.check_shape
	@$(BIN)/zizmor --offline --quiet --no-progress --persona pedantic .github
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	@$(BIN)/python -m tools.check_forge

fix: $(VENV)/dev.stamp
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(VENV)/dev.stamp
	@$(BIN)/python -m bench

dist: $(VENV)/dev.stamp
	@$(BIN)/python -m distribution build $(ARGS)

dist-verify: $(VENV)/dev.stamp
	@$(BIN)/python -m distribution verify

dist-smoke: $(VENV)/dev.stamp
	@$(BIN)/python -m distribution smoke dist/caracal-*-images-linux-amd64.tar

lock-images: $(VENV)/dev.stamp
	@$(BIN)/python -m distribution lock

# dev.txt comes first: the other locks take their versions from it and so agree with it.
COMPILE = $(BIN)/uv pip compile --python-version $(or $($(1)_PYTHON),3.11) --quiet --universal \
  --generate-hashes --no-annotate --no-header \
  --no-emit-index-url --no-emit-find-links $(ARGS)
lock: $(VENV)/lock.stamp
	@$(COMPILE) requirements/lock.in -o requirements/lock.txt
	@$(COMPILE) --extra dev pyproject.toml requirements/build.in -o requirements/dev.txt
	@for name in server demo; do \
	  $(COMPILE) --constraint requirements/dev.txt --extra $$name \
	    pyproject.toml requirements/build.in -o requirements/$$name.txt || exit; done
	@$(COMPILE) --constraint requirements/dev.txt --extra server --extra postgres --extra valkey \
	  pyproject.toml -o requirements/image.txt
	@$(COMPILE) --constraint requirements/dev.txt --extra release \
	  pyproject.toml requirements/cli.in -o requirements/cli.txt
	@$(foreach name,$(TOOLS),$(call COMPILE,$(name)) requirements/tools/$(name).in \
	  -o requirements/tools/$(name).txt &&) true

# Both are run by the release workflow: the first signs as that run, the second needs Sigstore's trust root.
attest-release: $(VENV)/signing.stamp
	@PYTHONPATH=src $(VENV)/signing/bin/python -m distribution.attest $(DIR)

verify-release: $(VENV)/dev.stamp
	@$(BIN)/python -m tools.verify_release $(DIR)

clean:
	@rm -rf $(VENV) build dist .coverage* .hypothesis .import_linter_cache .mypy_cache .pytest_cache \
	  .ruff_cache

# A stamp says that an installation ended, `installing` that one began. When the latter is left over,
# files may be missing that pip believes to be there, so the environment is made anew.
$(VENV)/demo.stamp $(VENV)/dev.stamp: $(VENV)/%.stamp: requirements/%.txt pyproject.toml
	$(begin_installation)
	@echo "installing the $* dependencies into $(VENV) ..."
	@$(PIP) install --quiet --require-hashes -r $<
	@$(PIP) install --quiet --no-deps --no-build-isolation -e .
	$(end_installation)

$(VENV)/lock.stamp: requirements/lock.txt
	$(begin_installation)
	@$(PIP) install --quiet --require-hashes -r $<
	$(end_installation)

$(TOOLS:%=$(VENV)/tools/%.stamp): $(VENV)/tools/%.stamp: requirements/tools/%.txt | $(VENV)/dev.stamp
	@echo "installing $* ..."
	@$(BIN)/python -m venv --clear --without-pip $(VENV)/tools/$*
	@$(PIP) --python $(VENV)/tools/$*/bin/python install --quiet $($*_PIP) --require-hashes -r $<
	@touch $@

# What signs has no more installed than the command line ships with.
$(VENV)/signing.stamp: requirements/cli.txt
	@$(PYTHON) -m venv --clear $(VENV)/signing
	@$(VENV)/signing/bin/python -m pip --disable-pip-version-check --no-input install --quiet \
	  --require-hashes --only-binary :all: -r $<
	@touch $@

define begin_installation
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
  echo "Caracal needs Python 3.11 or later, and $(PYTHON) is not: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
@if [ -e $(VENV)/installing ] || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
  $(PYTHON) -m venv --clear $(VENV) 2>/dev/null \
    || { $(PYTHON) -m venv --clear --without-pip $(VENV) \
      && $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; }; fi
@touch $(VENV)/installing
endef

define end_installation
@touch $@ && rm $(VENV)/installing
endef
