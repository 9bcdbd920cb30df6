# Bare `make` prints this list. Everything is installed by infra/bootstrap.sh on the first use.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-long check bench fuzz fuzz-query simulate mutants faults planted clean
BIN := .venv/bin

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install everything, for the demo and the tests
	@sh infra/bootstrap.sh test

demo: ## a real ERP's live stock in Redis; ONCE=1: run the story once, without a terminal, exit with verify's code
	@sh infra/bootstrap.sh demo
	@$(BIN)/onhand demo $(if $(ONCE),--once)

test: ## everything CI runs: check, then all tests on real servers; ARGS="-k stack" goes to pytest
	@sh infra/bootstrap.sh test
	@$(MAKE) --no-print-directory check
	$(BIN)/pytest $(ARGS)

test-long: ## every failpoint, every fault of Redis, every way in which a source is lost: 20 more minutes
	@sh infra/bootstrap.sh test
	$(BIN)/pytest -m long $(ARGS)

check: ## lint, format, types, import layers
	@sh infra/bootstrap.sh test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: ## the benchmarks, with their figures; WHAT=engine: only that one
	@sh infra/bootstrap.sh test
	$(BIN)/python -m bench $(WHAT)

fuzz-query: ## random mappings against PostgreSQL and MariaDB; MINUTES=10 [SEED=n], or DIALECT= SHAPE= SEED= of a difference
	@sh infra/bootstrap.sh test
	$(BIN)/python -m tests.query.differential $(MINUTES) $(if $(SEED),--seed $(SEED)) $(if $(DIALECT),--dialect $(DIALECT)) $(if $(SHAPE),--shape $(SHAPE))

fuzz: ## inputs that nobody would write; TARGET=pack|settings|record|redis_replies MINUTES=10 SEED=7
	@sh infra/bootstrap.sh test
	@$(BIN)/python -m tests.fuzz $(or $(TARGET),pack) --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED))

simulate: ## seeded simulations of log, workers, Redis and their faults; N=10000 [SEED=n]; one again: SEED=n ONE=1
	@sh infra/bootstrap.sh test
	@$(BIN)/python -m tests.simulation $(if $(ONE),,$(or $(N),10000)) $(if $(SEED),--seed $(SEED))

mutants: ## plant mistakes in the mapping engine and the fold, list those that no check finds; N=300 SEED=1
	@sh infra/bootstrap.sh test
	@$(BIN)/python -m tests.mutation $(or $(N),300) $(or $(SEED),1)

faults: ## faults F1-F40 on the real servers under load, each healed and compared; ONLY=F1,F18 SEED=1 MINUTES=60
	@sh infra/bootstrap.sh test
	@$(BIN)/python -m tests.faults $(if $(ONLY),--only $(ONLY)) $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES))

planted: ## plant each of twelve bugs in a copy of the worker, verify must find it; SEED=1 ONLY=ghost,unit, or CLEAN=10 without a bug
	@sh infra/bootstrap.sh test
	@$(BIN)/python -m tests.planted --seed $(or $(SEED),1) --only "$(ONLY)" --clean $(or $(CLEAN),0) --parallel $(or $(PARALLEL),1)

clean: ## delete what was built, downloaded or recorded here, .venv included
	rm -rf .venv .onhand .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis *.egg-info
