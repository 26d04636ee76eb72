# make up     start everything and stay in the foreground     make test   all checks and tests
# make bench  measure                                         make lint   the checks alone
# make soak   short calls with random faults, MINUTES=20

VENV ?= .venv
BIN = $(VENV)/bin
export VENV PYTHON
# Compiled and rewritten modules are kept, whatever the environment says: each of the workers and
# of the product's processes would compile them again
export PYTHONDONTWRITEBYTECODE =

MINUTES ?= 20

.PHONY: up test test-thorough lint bench soak clean test-all-pythons setup

up:
	@deploy/setup run
	@exec $(BIN)/python -m sovereign_ari up --tied

setup:
	@deploy/setup test

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Whole calls are made in real time, and a shared machine may stand still for a second: what failed
# is printed, and then has to pass alone
test: lint
	$(BIN)/python -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder -m "not alone" \
	    || $(BIN)/python -m pytest -q --last-failed --last-failed-no-failures none
	$(BIN)/python -m pytest -q -m alone $$(grep -rl 'mark\.alone' tests --include='test_*.py')

# The same properties with 25 times as many examples, and more generated requests
test-thorough: setup
	SOVEREIGN_TEST_EXAMPLES=thorough $(BIN)/python -m pytest -q -n 3 --timeout 3600 \
	    tests/unit tests/integration/test_api_openapi.py

bench: setup
	$(BIN)/python -m tests.bench

# SOAK=--kills kills the controller now and then; --rate and --seed are there, too
soak: setup
	$(BIN)/python -W ignore::DeprecationWarning -m tests.soak --minutes $(MINUTES) $(SOAK)

# Every Python of 3.11 to 3.14 that is here, each in an environment of its own
test-all-pythons:
	@for version in 3.11 3.12 3.13 3.14; do \
	    if python$$version -c '' 2>/dev/null; then \
	        echo "== Python $$version"; \
	        $(MAKE) --no-print-directory test VENV=.venv-$$version PYTHON=python$$version || exit 1; \
	    fi; \
	done

# Removes what was built here; the data folder and the system's packages stay
clean:
	rm -rf .venv .venv-3.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .schemathesis .stamp-*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
