# make demo | install | test | check | bench | docs | format | clean.  Each builds .venv first where it is out of date.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Where a folder of wheels is named, take torch from it; elsewhere let uv choose the build for this machine.
TORCH_SOURCE := $(if $(PIP_FIND_LINKS),--find-links "$(PIP_FIND_LINKS)",--torch-backend=auto)

.PHONY: demo install test check bench docs format clean
.DEFAULT_GOAL := demo

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Lexveil needs Python 3.11 or newer; name one with make PYTHON=..." >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.9"
	@echo "Installing into $(VENV) ..."
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt $(TORCH_SOURCE) -e . --group dev
	@touch $@

demo: $(VENV)/.installed
	@test -f demo/expected.json || $(BIN)/python -m fixtures.generate demo --documents 1000 --seed 7
	@$(BIN)/lexveil run demo/corpus --owner-field owner --diagnostics --workspace demo/workspace

install: $(VENV)/.installed

test: $(VENV)/.installed
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

check: $(VENV)/.installed
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright
	@$(BIN)/lint-imports

bench: $(VENV)/.installed
	@$(BIN)/python -m benchmarks

# The notice of the theme's future is nothing that a reader of the log can act on.
docs: $(VENV)/.installed
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "build/site/index.html"

format: $(VENV)/.installed
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:
	rm -rf $(VENV) demo
