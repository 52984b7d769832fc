# `make help` lists the targets. Each builds .venv first if it is out of date.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Where a folder of wheels is named, take torch from it; elsewhere let uv choose the build for this machine.
TORCH_SOURCE := $(if $(PIP_FIND_LINKS),--find-links "$(PIP_FIND_LINKS)",--torch-backend=auto)

# Without stored bytecode, every process compiles thousands of modules again: half of what a command costs.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo install kernel quick test test-changed cov check check-fast bench docs dist format clean
.DEFAULT_GOAL := demo

help: ## Show this list
	@sed -nE 's/^([a-z-]+):.* ## (.*)/\1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Lexveil needs Python 3.11 or newer; name one with make PYTHON=..." >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.9"
	@echo "Installing into $(VENV) ..."
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt $(TORCH_SOURCE) -e . --group dev
	@touch $@

demo: $(VENV)/.installed ## Run the main job on about 1,000 synthetic documents, and score its masking
	@test -f demo/expected.json || $(BIN)/python -m fixtures.generate demo --documents 1000 --seed 7
	@$(BIN)/lexveil run demo/corpus --owner-field owner --diagnostics --workspace demo/workspace
	@$(BIN)/python -m fixtures.score demo demo/workspace

install: $(VENV)/.installed ## Install into .venv

kernel: ## Compile the functions of LSTM, head, noise and int8 for this checkout, as an installation does
	@$(PYTHON) deploy/build_kernel.py

quick: $(VENV)/.installed ## Tests in under a minute: no server, process, browser, workspace or model
	@$(BIN)/python -m pytest --numprocesses 2 --dist worksteal --quick

# Three processes on two cores: tests of servers and schedulers wait more than they compute. Slow files go first.
test: $(VENV)/.installed ## All tests
	@$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

test-changed: $(VENV)/.installed ## The tests that uncommitted changes can reach
	@files="$$($(BIN)/python -m tests.selection)"; test -z "$$files" || $(BIN)/python -m pytest $$files

cov: $(VENV)/.installed ## Coverage of the tests of privacy/, with a minimum
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile tests/privacy tests/guarantees/test_sensitivity.py \
		--cov=lexveil.privacy --cov-report=term:skip-covered --cov-fail-under=90

check: check-fast ## Style, types (pyright strict), import directions, structure
	@$(BIN)/pyright
	@$(BIN)/pyright --project tests/pyrightconfig.json

check-fast: $(VENV)/.installed ## The same without types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest tests/test_structure.py

bench: $(VENV)/.installed ## Measure every figure and show it with its target
	@$(BIN)/python -m benchmarks

# The notice of the theme's future is nothing that a reader of the log can act on.
docs: $(VENV)/.installed ## The documentation, in build/site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "build/site/index.html"

dist: $(VENV)/.installed ## The wheel and the source distribution, in dist/
	@rm -rf dist
	@$(BIN)/python -m hatchling build
	@ls dist

format: $(VENV)/.installed ## Format, and fix what can be fixed automatically
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean: ## Remove .venv, the demo and what was built
	rm -rf $(VENV) demo build dist
