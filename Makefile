# Every target sets up what it needs. `make` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
READY_FOR_TESTS := $(VENV)/ready-for-tests
SEED ?= 0
EXTRAS := train,plot,benchmark,cluster,explore,routers,render,torchrl,rllib,docs,dev
comma := ,
INSTALL_EXTRAS := $(addprefix install-,$(subst $(comma), ,$(EXTRAS)))
PIP_INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install $(INSTALL_EXTRAS) run explore test check docs format clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "make install-NAME adds an extra: $(subst $(comma),$(comma) ,$(EXTRAS))."
	@echo "Variables: PYTHON=python3.12 picks the interpreter (3.11 or later), SEED=1 the seed of make run."

install: $(READY)  ## Install into .venv what plays, solves, advises and draws

$(INSTALL_EXTRAS): install-%: $(VENV)/ready-with-%

run: $(VENV)/ready-with-train  ## Train on two real games and compare with the exact equilibrium (about a minute once set up)
	$(BIN)/stackroute quickstart --seed $(SEED)

explore: $(VENV)/ready-with-explore  ## Explore games on a page in the browser
	$(BIN)/stackroute explore

test: $(READY_FOR_TESTS)  ## Run the linters, the type checker and the whole test suite
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest --numprocesses 2 --dist worksteal

check: $(READY_FOR_TESTS)  ## Run the linters, the type checker and the fast tests
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest --numprocesses 2 --dist worksteal -m "not convergence and not packaging"

docs: $(VENV)/ready-with-docs  ## Build the documentation as a site into site/, broken links being errors
	$(BIN)/mkdocs build --strict

format: $(READY_FOR_TESTS)  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## Remove the virtual environment, caches and runs
	rm -rf $(VENV) runs site build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "stackroute needs Python 3.11 or later; try: make PYTHON=python3.12" >&2; exit 1; }
	@echo "installing into $(VENV), which may take minutes"
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) --editable '.[plot]'
	@touch $@

$(VENV)/ready-with-%: $(READY)
	$(PIP_INSTALL) --editable '.[$*]'
	@touch $@

$(READY_FOR_TESTS): $(READY)
	$(PIP_INSTALL) --editable '.[$(EXTRAS)]'
	@touch $@
