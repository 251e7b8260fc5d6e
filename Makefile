# make run    create the environment, install, start the server with its demo page
# make test   install what the tests need and run all of them, the checks included
# make check  format, lint, types, words, workflows; seconds
# make unit   the pure tests only; seconds
# make matrix what make test leaves out: every Python that is here, bundlers, packages; up to 20 minutes
# make help   this list, with the rest

VENV   ?= .venv
BIN    := $(VENV)/bin
PORT   ?= 8000
# The first Python that is new enough and can make an environment.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
            $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

.PHONY: help run test check unit coverage matrix packages docs asyncapi fix browser soak fuzz compare compare-all clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

# make run PORT=9000    on another port
run: $(VENV)/installed
	@$(BIN)/hubbub serve --port $(PORT)

# make test ARGS="-k directory"    only some of them
test: check browser
	@$(BIN)/pytest -m "not matrix and not alone" -n auto --dist loadfile $(ARGS) || [ $$? = 5 ]
	@$(BIN)/pytest -m alone $(ARGS) || [ $$? = 5 ]

check: $(VENV)/tested
	@$(BIN)/ruff format --check --no-cache --quiet . || { echo "make fix formats the code"; exit 1; }
	@$(BIN)/ruff check --no-cache --quiet .
	@$(BIN)/python tests/checks/check_types.py
	@$(BIN)/python tests/checks/check_words.py
	@$(BIN)/python tests/checks/check_modules.py
	@tests/checks/check_files.sh $(BIN)
	@tests/js/lint.sh

# make unit ARGS="-k history"    which tests are pure is found out, not listed: tests/support/pure.py
unit: $(VENV)/tested
	@PYTHONPATH=tests $(BIN)/pytest -p support.pure --only-pure --quiet $(ARGS)

# make coverage ARGS=groups/directory.py    that each module's own tests cover it; without ARGS all modules, in minutes
coverage: $(VENV)/tested
	@$(BIN)/python tests/checks/check_modules.py --coverage $(ARGS)

# make matrix ARGS="-k vite"    only some of it
matrix: $(VENV)/tested browser
	@$(BIN)/pytest -m matrix -o timeout=1200 --durations=10 tests/matrix $(ARGS)

# make packages    what a release publishes, into dist/: wheel, source archive, npm package
packages: $(VENV)/tested
	@rm -rf dist
	@$(BIN)/python -m build --outdir dist .
	@$(BIN)/twine check --strict dist/*
	@$(BIN)/python deploy/pack_client.py dist

# make fix    format, and repair what the linter can
fix: $(VENV)/tested
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .
	@$(BIN)/python tests/checks/check_types.py --shrink >/dev/null 2>&1 ; $(BIN)/python tests/checks/check_words.py --shrink >/dev/null 2>&1 ; true

# A browser and nginx come from the system; only root can install them. Without one its tests are skipped, loudly.
browser:
	@tests/install-browser.sh
	@tests/install-nginx.sh

# make docs    build the site into site/; a broken link or anchor is an error
docs: $(VENV)/documented
	@if command -v npm >/dev/null; then cd tests/docs && { cmp -s package-lock.json node_modules/.installed || \
	  { npm ci --silent --no-audit --no-fund && cp package-lock.json node_modules/.installed; }; }; \
	else echo "no npm here: the pages will load Mermaid from unpkg.com"; fi
	@said=$$(NO_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --strict 2>&1) || { printf '%s\n' "$$said"; exit 1; }
	@echo "site/index.html"

# make asyncapi    write docs/reference/asyncapi.yaml anew, from the structs of the wire protocol
asyncapi: $(VENV)/tested
	@$(BIN)/python tools/asyncapi.py

# make soak    abuse and faults in full: a million malformed inputs, a million cut connections, 13,000 drops; half an hour
soak: $(VENV)/tested
	@for abuse in open_files drain kicked pattern_pages "malformed 1000000" "soak 1000000"; do \
	  set -- $$abuse; $(BIN)/python benchmarks/abuse/$$1.py $$2 || exit 1; done
	@for what in drops "drops valkey" keys "keys valkey" restarts kills stores \
    rolling many stopped "stopped valkey"; do \
	  $(BIN)/python benchmarks/delivery.py $$what || exit 1; done
	@$(BIN)/python benchmarks/mutants.py

# make fuzz SECONDS=600    search for inputs that cost too much time or memory, in ways that nobody tried before
SECONDS ?= 300
fuzz: $(VENV)/tested
	@FUZZ_SECONDS=$(SECONDS) $(BIN)/pytest -q tests/fuzz

$(VENV)/installed: pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "Hubbub needs Python 3.11 or later, with venv (Debian: apt install python3-venv)"; exit 1; }
	@echo "installing into $(VENV) ..."
	@[ -x $(BIN)/pip ] || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/documented: $(VENV)/installed
	@$(BIN)/pip install --quiet --disable-pip-version-check --group docs
	@touch $@

$(VENV)/tested: $(VENV)/installed
	@$(BIN)/pip install --quiet --disable-pip-version-check --group dev
	@touch $@

# make compare ARGS="--rounds 5 --peers hubbub uws"    Hubbub beside other servers, on this machine: ten minutes
compare: $(VENV)/tested
	@$(BIN)/python benchmarks/compare/compare.py $(ARGS)

# make compare-all    every load on every server, in memory and on a store; more than an hour
compare-all: $(VENV)/tested
	@$(BIN)/python benchmarks/compare/compare.py --peers all --loads large medium small latency connects memory \
	  --output .compare/memory.md $(ARGS)
	@$(BIN)/python benchmarks/compare/compare.py --peers all --loads large medium small latency connects memory \
	  --store --output .compare/store.md $(ARGS)

# make clean    remove the environment and what the tools left
clean:
	rm -rf $(VENV) .compare site .pytest_cache .mypy_cache .ruff_cache .hypothesis
