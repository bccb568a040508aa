# The front door. `make site` and `make test` do all of their own set-up; nothing outside this folder is touched
# (but for Chromium, which the browser checks need: `make test` says so when it installs it).
.DEFAULT_GOAL := help
SHELL := bash -e -o pipefail
PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export NO_MKDOCS_2_WARNING := 1  # a banner of the theme's, on every build

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

env: .venv/ready ## .venv with everything for development

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit(f"rnnvanish needs Python 3.11 or newer, {sys.executable} is {v.major}.{v.minor}. Name another: make env PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev --editable '.[all]'
	@touch $@

html: env ## build the site, every example executed, into site/
	$(BIN)/mkdocs build --strict --quiet

site: html ## build the site and serve it on 127.0.0.1
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory site $(or $(PORT),8000)

lint: env ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: env lint ## every check: what CI runs
	$(BIN)/pytest
.PHONY: help env html site lint test
