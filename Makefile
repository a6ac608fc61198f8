# `make help` lists what there is to do. Everything needs make and Python 3.11 or newer, no more.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Each stamp file says that the packages of one lock file are installed.
RUNTIME := $(VENV)/.runtime
DEVELOPMENT := $(VENV)/.development
BENCH := $(VENV)/.bench

# A lock file names every package, so pip resolves nothing: with hashes, resolving fails at an extra
# that has a newer version.
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes --no-deps -r

PACKAGES := b24app bench payments sandbox tests
# Tests wait for the network and for locks more than they compute.
WORKERS ?= 2
TEMPLATES = $(shell find templates -name '*.html' | sort)
CATALOGUES := $(wildcard locale/*/LC_MESSAGES/django.po)
COMPILED := $(CATALOGUES:.po=.mo)

# The demo takes another port if one of these is in use.
PORT ?= 8100
PORTALS ?= 8101,8102
APP_PORT ?= 8000
PAYMENTS ?= 0

.DEFAULT_GOAL := help
.PHONY: help demo smoke test suite soak check moderation deploy-check matrix screenshots bench lint format messages contract sbom lock clean

help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(RUNTIME) $(COMPILED) ## Start two portals and the app, and print the address to open
	@echo "Starting two portals and the app"
	@$(BIN)/python -m sandbox --port $(PORT) --portals $(PORTALS) --app $(APP_PORT) --payments $(PAYMENTS)

smoke: $(RUNTIME) $(COMPILED) ## Install, open, pay and read back, without a browser
	@$(BIN)/python -m sandbox.tools.smoke

# By file, because each file of browser tests starts an app and two portals.
ON_SQLITE = DATABASE_URL=sqlite:///$(CURDIR)/var/tests.sqlite3 \
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile
# Here most tests wait for processes.
POSTGRESQL_WORKERS ?= 3
ON_POSTGRESQL = $(BIN)/python -m tests.postgresql $(BIN)/python -m pytest -n $(POSTGRESQL_WORKERS)

# Processes that are killed and race need the database that is used in production.
test: $(DEVELOPMENT) $(COMPILED) ## Run the tests without browser; processes that race on PostgreSQL
	$(ON_SQLITE) -m "not browser and not processes"
	$(ON_POSTGRESQL) -m "processes and not browser"

# What uses no database runs once; so do the browser tests, whose app is a process with a SQLite of
# its own. On PostgreSQL the portals are of the oldest build, so that both builds are tried.
suite: $(DEVELOPMENT) $(COMPILED) ## Run all tests, in the browser too, on SQLite and on PostgreSQL
	$(ON_SQLITE) -m "not processes"
	$(ON_POSTGRESQL) -m "processes and not browser"
	PORTALS_BUILD=older $(ON_POSTGRESQL) -m "django_db and not processes and not browser"

soak: export SOAK = 1
soak: $(DEVELOPMENT) $(COMPILED) ## Run all of the suite on both databases, the long sweeps whole (over an hour)
	$(ON_SQLITE)
	$(ON_POSTGRESQL) -m "not browser"

check: lint ## Lint, types, and the tests that start no program: for every save
	$(ON_SQLITE) -m "not browser and not processes and not servers"

# ROWS=1,3 measures these rows of the table alone, and leaves bench/RESULTS.md as it is.
ROWS ?=
bench: $(BENCH) $(COMPILED) ## Measure the app beside others and beside the floor; see bench/RESULTS.md
	@$(BIN)/python -m bench $(if $(ROWS),--rows $(ROWS))

moderation: $(DEVELOPMENT) $(COMPILED) ## Test what the Marketplace's moderators test, against a running app
	$(BIN)/python -m pytest tests/moderation -v -s

deploy-check: $(DEVELOPMENT) $(COMPILED) ## Run deploy/ as it is, on PostgreSQL, nginx and Redis
	$(BIN)/python -m pytest tests/deploy -v

matrix: $(DEVELOPMENT) $(COMPILED) ## Run the tests on every Python here, with Django 5.2 and 6
	$(BIN)/python -m tests.matrix

screenshots: $(DEVELOPMENT) $(COMPILED) ## Make the pictures in docs/ from the sandbox (needs Chromium)
	$(BIN)/python -m tests.screenshots

# The settings of a deployment, with made-up secrets, for `check --deploy`.
AS_DEPLOYED = APP_URL=https://pay.example.com \
	SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(50))') \
	B24_TOKEN_KEYS=$$($(BIN)/python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())') \
	B24_CLIENT_ID=local.1 B24_CLIENT_SECRET=secret \
	PUBLISHER_NAME=Publisher PUBLISHER_ADDRESS=Street PUBLISHER_EMAIL=publisher@example.com

lint: $(DEVELOPMENT) $(COMPILED) ## Check style, types, layers, migrations and settings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/djade --check --target-version 5.2 $(TEMPLATES)
	$(BIN)/lint-imports
	$(BIN)/mypy $(PACKAGES)
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(AS_DEPLOYED) $(BIN)/python manage.py check --deploy --fail-level WARNING
	@find b24app payments sandbox -name '*.py' -not -path '*/migrations/*' -exec wc -l {} + | \
		awk '$$2 != "total" && $$1 > 300 { print "warning: " $$2 " has " $$1 " lines; a test fails above 400" }'

format: $(DEVELOPMENT) ## Put code and templates into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/djade --target-version 5.2 $(TEMPLATES)

contract: $(RUNTIME) ## Make sandbox/contract.toml from SCHEMAS, a folder of official method schemas
	$(BIN)/python -m sandbox.tools.contract $(SCHEMAS)

# Needs gettext. Sorted, and without gettext's date: a catalogue changes only where a message changes.
messages: $(RUNTIME) ## Add new messages from the sources to the catalogues in locale/
	$(BIN)/python manage.py makemessages --all --no-location --no-obsolete --verbosity 0 \
		$(foreach folder,bench sandbox tests,--ignore '$(folder)/*')
	@for catalogue in $(CATALOGUES); do \
		sed -i '/^"POT-Creation-Date: /d; /^"Report-Msgid-Bugs-To: /d' $$catalogue && \
		msgcat --sort-output --no-wrap --output-file=$$catalogue $$catalogue || exit 1; \
	done
	@$(MAKE) --no-print-directory $(COMPILED)

locale/%.mo: locale/%.po | $(RUNTIME)
	@$(BIN)/pybabel --quiet compile --input-file $< --output-file $@ --locale $(firstword $(subst /, ,$*))

sbom: $(DEVELOPMENT) ## Write the packages of the run time to var/sbom.json, in CycloneDX
	@mkdir -p var
	$(BIN)/python -m tests.sbom > var/sbom.json

# uv resolves for every platform at once, which pip does not; it is not a dependency of the project.
# Get it with `python3 -m pip install uv` or see https://docs.astral.sh/uv/.
COMPILE := uv pip compile --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --quiet
lock: ## Bring the lock files in step with pyproject.toml (needs uv)
	$(COMPILE) pyproject.toml --output-file requirements.lock
	$(COMPILE) pyproject.toml --group observe --output-file requirements-observe.lock
	$(COMPILE) pyproject.toml --group dev --output-file requirements-dev.lock
	$(COMPILE) pyproject.toml --group bench --constraint requirements-dev.lock \
		--output-file requirements-bench.lock

clean: ## Remove the environment and everything that was made
	rm -rf $(VENV) $(COMPILED) var static_built test-results .coverage .pytest_cache .mypy_cache .ruff_cache \
		.import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@command -v $(PYTHON) > /dev/null || \
		{ echo "$(PYTHON) is missing. On Debian: apt-get install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		"Python 3.11 or newer is needed, and this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.13")'
	@# Without it `venv` would leave half an environment behind.
	@$(PYTHON) -c 'import ensurepip' 2> /dev/null || { $(PYTHON) -c 'import sys; \
		print("Python cannot make environments. On Debian: apt-get install python%s.%s-venv" % sys.version_info[:2])' >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

$(RUNTIME): requirements.lock | $(VENV)/bin/python
	@echo "Installing $$(grep -c == $<) packages of $<: a minute or two"
	@$(INSTALL) $<
	@touch $@

$(DEVELOPMENT): requirements-dev.lock $(RUNTIME)
	@echo "Installing $$(grep -c == $<) packages of $<: a minute or two"
	@$(INSTALL) $<
	@touch $@

$(BENCH): requirements-bench.lock $(DEVELOPMENT)
	@echo "Installing $$(grep -c == $<) packages of $<: a minute or two"
	@$(INSTALL) $<
	@touch $@
