# Two commands matter: `make app` and `make test`. Everything is safe to run again; nothing is installed outside this folder.

ifeq ($(origin PYTHON),undefined)
PYTHON := $(shell python3.11 -c '' 2>/dev/null && echo python3.11 || echo python3)
endif
VENV ?= .venv
VENV_BENCH ?= .venv-bench
PY = $(VENV)/bin/python

# Data sets that lie beside the checkout are found without being asked for.
ifneq ($(wildcard ../shared/data),)
export RECX_DATA ?= $(abspath ../shared/data)
endif

.DEFAULT_GOAL := help
.PHONY: help app demo test test-slow lint bench install install-dev install-bench clean

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z-]+):.*## */  make \1|/' | column -t -s '|'

app: install  ## start the engine and the app, print the address (ARGS="--port 8600")
	@$(PY) -m recx serve $(ARGS)

demo: install  ## presenter mode on the built-in data: computed beforehand, no network, large type
	@$(PY) -m recx serve --presenter --warm planted $(ARGS)

test: install-dev  ## every test that is not slow (PYTEST_ARGS="-k sasrec")
	@$(PY) -m pytest $(PYTEST_ARGS)

test-slow: install-dev  ## the slow tests: full-size fits and studies
	@$(PY) -m pytest -m slow --timeout 3600 $(PYTEST_ARGS)

lint: install-dev  ## style, format and types
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

bench: install-dev install-bench  ## time ours against published forms and peers, about an hour in all (BENCH=rank)
	@set -e; for name in $(or $(BENCH),start rank edited lcer minimal scale rules train); do $(PY) -m recx bench $$name; done

clean:  ## remove environments and caches of this folder (stored results stay: see `recx store`)
	rm -rf $(VENV) $(VENV_BENCH) .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

install:
	$(call into,$(VENV),requirements.txt)

install-dev:
	$(call into,$(VENV),requirements.txt requirements-dev.txt)

install-bench:
	$(call into,$(VENV_BENCH),requirements-bench.txt)

# $(call into,FOLDER,FILES): a virtual environment that holds what the last of FILES lists; silent when it already does.
# FOLDER/.installing holds the process that is at it: a live one is waited for, a dead one left a half-made folder.
# recx.pth lets any script or notebook of that environment import recx from this checkout.
# FOLDER/.installed-* is the text of FILES after a whole installation, so a changed file is noticed whatever its date.
define into
@set -e; venv='$(1)'; stamp="$$venv/.installed-$(notdir $(lastword $(2)))"; \
marker="$$venv/.installing"; \
while [ -e "$$marker" ] && kill -0 "$$(cat "$$marker")" 2>/dev/null; do \
  [ -n "$$told" ] || echo "Another make is installing into $$venv: waiting for it (if none is, remove $$marker)."; \
  told=yes; sleep 1; done; \
if [ -e "$$marker" ]; then echo "An earlier installation was interrupted: making $$venv anew."; rm -rf "$$venv"; fi; \
if ! "$$venv/bin/python" -c '' 2>/dev/null; then \
  $(check_python); \
  rm -rf "$$venv"; mkdir -p "$$venv"; echo $$$$ > "$$marker"; \
  echo "Making $$venv with $$($(PYTHON) --version)."; $(PYTHON) -m venv "$$venv"; \
fi; \
if ! cat $(2) | cmp -s - "$$stamp"; then \
  echo "Installing $(lastword $(2)) into $$venv (a minute or two the first time)."; echo $$$$ > "$$marker"; \
  "$$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input -r $(lastword $(2)) \
    || { rm -f "$$marker"; echo "Installing failed; nothing is lost: mend what pip says above and run make again." >&2; exit 1; }; \
  "$$venv/bin/python" -c 'import sysconfig; open(sysconfig.get_path("purelib") + "/recx.pth", "w").write("$(CURDIR)\n")'; \
  cat $(2) > "$$stamp"; \
fi; rm -f "$$marker"
endef

define check_python
$(PYTHON) -c '' 2>/dev/null || { echo "No Python: '$(PYTHON)' does not start. Install Python 3.11, 3.12 or 3.13, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }; \
$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { echo "recx needs Python 3.11, 3.12 or 3.13, and '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=/path/to/python3" >&2; exit 1; }; \
$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "'$(PYTHON)' has no ensurepip, so it cannot make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv; elsewhere install Python from python.org." >&2; exit 1; }
endef
