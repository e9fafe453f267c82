# Every target sets up what it needs; a machine has to bring Python >= 3.11 and make, nothing else.
# ARGS reaches the program: make up ARGS="--port 9090", make test ARGS="tests/unit -k caps".

.DEFAULT_GOAL := help
.PHONY: help up test test-contract lint attack bench clients contract reference docs fmt lock sbom clean

BIN := .venv/bin
READY := .venv/.ready
ARGS ?=

# pyright's wrapper would ask the network for a newer version at each run.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
# mkdocs-material would announce the plans of MkDocs 2 at each run.
export NO_MKDOCS_2_WARNING := 1

help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: $(READY) ## Start Clarion with its own stores (Ctrl-C drains and stops)
	@$(BIN)/clarion up $(ARGS)

test: $(READY) ## Run every test that a fresh machine can run
	@$(BIN)/pytest -n 3 $(ARGS)

# Node comes from the nodejs wheel; what npm does not get is skipped below, with its reason.
test-contract: $(READY) ## Run the providers against software that others wrote (installed into .oracles)
	@$(BIN)/python -m tools.oracles .oracles
	@CLARION_ORACLES=$(CURDIR)/.oracles $(BIN)/pytest tests/oracles -n 0 -v -rs $(ARGS)

lint: $(READY) ## Check style, types, import contracts, house rules, security and the documentation's links
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python -m tools.lint
	$(BIN)/bandit -q -c pyproject.toml -r src tools bench
	$(BIN)/python -m tools.supply_chain advisories
	$(BIN)/mkdocs build --strict --quiet

bench: $(READY) ## Measure the figures of the design and write bench/results.json
	@$(BIN)/python -m bench all $(ARGS)

attack: $(READY) ## Attack: five corpora, and 50000 requests of one tenant about another (the suite sends fewer)
	@CLARION_ISLAND_REQUESTS=50000 $(BIN)/pytest tests/attacks -n 0 -s $(ARGS)

contract: $(READY) ## Hold the API against /openapi.json with 5000 cases and more
	CLARION_CONTRACT_THOROUGH=1 $(BIN)/pytest tests/contract/test_openapi.py -q --timeout 900

reference: $(READY) ## Write the pages of scopes, roles and rules, and the dashboards, anew
	$(BIN)/python -m clarion.entrypoints.api.reference scopes > docs/reference/scopes.md
	$(BIN)/python -m clarion.entrypoints.api.reference roles > docs/reference/roles.md
	$(BIN)/python -m tools.rules_page
	$(BIN)/python -m tools.boards

sbom: $(READY) ## Write what Clarion is made of, as CycloneDX, to dist/sbom.cdx.json
	$(BIN)/python -m tools.supply_chain sbom

docs: $(READY) ## Build the documentation into site/
	$(BIN)/mkdocs build --strict

clients: $(READY) ## Write the TypeScript client's types anew from the API's description, and try them
	$(BIN)/python -m tools.typescript_client

fmt: $(READY) ## Format, and mend what ruff can mend
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

# Locks hold versions and hashes, no addresses: the machine's own settings say where packages come from.
LOCK := $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --universal --python-version 3.11
lock: $(READY) ## Write the lock files anew (UPGRADE=--upgrade takes newer versions)
	$(LOCK) $(UPGRADE) pyproject.toml --extra dev --extra bench --extra ml -o requirements.lock
	$(LOCK) $(UPGRADE) tools/uv.in -o tools/uv.lock

clean: ## Remove what was installed and built (never .clarion, which holds data)
	rm -rf .venv site dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements.lock pyproject.toml tools/uv.lock tools/venv
	@sh tools/venv
	@touch $@
