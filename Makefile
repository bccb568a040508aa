# The front door. `make site` and `make test` do all of their own set-up; nothing outside this folder is touched
# (but for Chromium, which the browser checks need: `make test` says so when it installs it).
.DEFAULT_GOAL := help
SHELL := bash -e -o pipefail
PYTHON ?= python3
BIN := .venv/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
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
	$(if $(TORCH),$(BIN)/python -m pip install --quiet --upgrade $(patsubst torch%,'torch%',$(TORCH)))
	@touch $@

html: env ## build the site, every example executed, into site/
	$(BIN)/mkdocs build --strict --quiet
	@echo "The site is in site/: open site/index.html, or serve it with make site."

site: html ## build the site and serve it on 127.0.0.1
	$(BIN)/python tools/serve.py site $(PORT)

markdown: env ## the executed pages as plain Markdown with what they show, for any generator, into .cache/markdown
	$(BIN)/python -m tools.site.plain.export .cache/markdown

html-elsewhere: markdown ## the site by another generator, Sphinx, into .cache/elsewhere/site; fails where something gets lost
	$(PYTHON) -m venv .cache/elsewhere/env
	.cache/elsewhere/env/bin/python -m pip install --quiet --constraint constraints.txt pip
	.cache/elsewhere/env/bin/python -m pip install --quiet --group elsewhere
	.cache/elsewhere/env/bin/python -m tools.site.plain.sphinx_site .cache/markdown .cache/elsewhere/site

lint: env ## ruff, mypy, import-linter; workflows, issue forms and the citation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/zizmor --offline --quiet --persona=pedantic .github
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-forms $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.citation-file-format CITATION.cff

# Two processes of one thread each. Each begins with one half of the tests in their order, so that what a file makes for its
# tests is made in one of them, and one alone waits for the built site; who is done takes from the other. What both ask for
# (the site, the packages) is made once: tests/helpers/made_once.py.
test: lint ## every check: what CI runs
	$(BIN)/python tools/browser.py
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist worksteal
	$(BIN)/asv check --python=same
	$(MAKE) --no-print-directory bench-quick

test-package: env ## the package's own tests, without site and benchmarks; in a new .venv TORCH='torch==2.11.*' takes another torch
	$(BIN)/python tools/browser.py
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist worksteal src tests --ignore=tests/site --ignore=tests/bench --ignore=tests/repository

test-versions: env ## the package with every Python and torch that it promises (ONLY=3.12); can be stopped and started again
	$(BIN)/python tools/versions.py $(if $(ONLY),--only $(ONLY)) $(if $(PARTS),--parts $(PARTS))

claims: env ## what is missing of the expensive claims, trained, measured and stored: commit src/rnnvanish/records
	OMP_NUM_THREADS=1 $(BIN)/rnnvanish claims --update --workers 2

reproduce: env ## what papers report, trained again and stored: commit src/rnnvanish/records; can be stopped and started again
	OMP_NUM_THREADS=1 $(BIN)/rnnvanish sweep reproduced --export src/rnnvanish/records/studies/reproduced.json

mutation: env ## 150 faults planted one at a time: does a test see each? can be stopped and started again
	$(BIN)/python tests/mutation

BENCH ?= .
bench-quick: env ## every benchmark once, in .venv; keeps nothing
	OMP_NUM_THREADS=1 $(BIN)/python -m bench.commands.quick

bench: env ## this commit on this machine; kept in bench/results
	$(BIN)/python -m bench.commands.history HEAD^ --bench '$(BENCH)'

bench-compare: env ## two commits in turns; fails where HEAD is worse than BASE=... beyond noise
	$(BIN)/python -m bench.commands.compare '$(or $(BASE),$(error say what to compare with: make bench-compare BASE=main))' $(HEAD) --bench '$(BENCH)' --save build/comparison.txt

bench-history: env ## every commit since the latest tag, or SINCE=...; can be stopped and started again
	$(BIN)/python -m bench.commands.history $(SINCE) --bench '$(BENCH)'

bench-publish: env ## asv's own dashboard of the recorded results, into .asv/html; needs the net to be looked at
	$(BIN)/python -m bench.commands.publish

bench-noise: env ## the same commit against itself, 20 times: how often does the comparison raise a false alarm?
	$(BIN)/python -m bench.commands.false_alarms

bench-peers: env ## other packages' cells beside ours, in an environment of their own; kept in bench/results
	$(BIN)/python -m bench.peers

comment: ## post what a pull request made worse; for comment.yml, which says of which run
	$(PYTHON) tools/comment.py

address: env ## write the address of the repository, [tool.rnnvanish] in pyproject.toml, wherever it stands
	$(BIN)/python -m tools.address

package: env ## wheel and sdist of the last commit in dist/: built twice with the same bytes, checked by twine
	$(BIN)/python tools/release.py package

release: env ## every check, the packages, the tag; publishes nothing: to push the tag is up to you
	$(BIN)/python tools/release.py ready
	$(MAKE) --no-print-directory test package
	$(BIN)/python tools/release.py tag

publish: ## what lies in dist/ to the index, by trusted publishing; for release.yml
	$(PYTHON) -m venv .cache/publish
	.cache/publish/bin/python -m pip install --quiet --constraint constraints.txt twine
	.cache/publish/bin/twine upload --non-interactive dist/*

publish-site: env ## the site as VERSION=... beside its other versions, pushed to gh-pages; v1.2.3 becomes the latest, too
	@: $(or $(VERSION),$(error say which: make publish-site VERSION=v1.2.3))
	SITE_URL=$$($(BIN)/python -m tools.address --site); export SITE_URL PATH="$(abspath $(BIN)):$$PATH"; \
	mike deploy --push --update-aliases '$(VERSION)' $(if $(filter v%,$(VERSION)),latest)
	$(if $(filter v%,$(VERSION)),$(BIN)/mike set-default --push latest)

clean: ## everything that was built, but not .venv
	rm -rf site .cache .asv build src/*.egg-info
.PHONY: help env html site markdown html-elsewhere lint test test-versions mutation claims reproduce bench-quick bench bench-compare bench-history bench-publish bench-noise bench-peers clean test-package comment address package release publish publish-site
