# Two commands do everything: `make demo` and `make test`. They make their own environment.
ifndef PYTHON
PYTHON := $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $$p && break; done)
endif
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PLUGINS := $(wildcard plugins/*/pyproject.toml)
ACTIONLINT := v1.7.12

.PHONY: demo test lint bench compare propagation fleet soak fuzz faults mutate docs picture dist site workflows rehearsals cluster own-cluster e2e rollouts clean

demo: $(STAMP)
	$(BIN)/python examples/demo/demo.py

# As root on Debian it installs the programs that tests start; without the right to, it says at the
# end what was not run (with ALL=1 that is a failure). TESTS="tests/unit …" runs some only.
test: $(STAMP)
	$(BIN)/python -m tests.suite $(TESTS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tests/typed/check.py
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/python -m tests.architecture
	$(BIN)/python -m tests.plain_words
	$(BIN)/python docs/generate.py --check

# Every host, rolled 20 times under load; the suite does it twice.
rehearsals: $(STAMP)
	ROLLOUTS=20 $(BIN)/pytest -q -s -p no:xdist tests/hosts

# A real Kubernetes of one node, in the foreground; tests/cluster/README.md says what it needs.
cluster: $(STAMP)
	tests/cluster/install.sh
	$(BIN)/python -m tests.cluster

# What a cluster of one's own is made of, where there is no KUBECONFIG.
own-cluster: $(STAMP)
	test -n "$$KUBECONFIG" || { tests/cluster/install.sh && $(BIN)/python -m tests.cluster.build; }

# On the cluster of KUBECONFIG, or on one of its own.
e2e: own-cluster
	$(BIN)/pytest -q -p no:xdist tests/e2e

# Rolled 20 times there under load, beside uvicorn alone and with a sleep; the suite does it twice.
rollouts: own-cluster
	ROLLOUTS=20 $(BIN)/pytest -q -p no:xdist tests/e2e/test_rollouts.py

bench: $(STAMP)
	$(BIN)/python -m benchmarks

# What docs/comparison.md shows: measured, written, and put into the page.
compare: $(STAMP)
	$(BIN)/python -m benchmarks.comparison
	$(BIN)/python docs/generate.py

# 100 rollouts, 1,000,000 requests, none lost; about 20 minutes.
soak: $(STAMP)
	$(BIN)/python -m benchmarks.soak

# What docs/tune.md shows: whether `lifecycle tune` finds propagation delays of 2, 10 and 60 s.
propagation: $(STAMP)
	$(BIN)/python -m benchmarks.propagation

# `lifecycle fleet serve` with 1,000 and 5,000 pods on a real API server, in memory and in time.
fleet: $(STAMP)
	tests/cluster/install.sh
	$(BIN)/python -m benchmarks.fleet_serve

# A million requests that no client should send, and floods; tests/fuzz/__main__.py says how to
# run a part (PART=h2), for a while only (SECONDS=60), or the same once more (SEED=…).
fuzz: $(STAMP)
	$(BIN)/python -m tests.fuzz

# Every registry, through every fault of its network, its server and the app, in each state of the app.
# FAULTS="redis frozen ready" plays these only.
faults: $(STAMP)
	$(BIN)/python -m tests.faults $(FAULTS)

# One change at a time to the drain and what it stands on: the unit tests must notice. It takes a while.
mutate: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group mutate
	$(BIN)/python -m benchmarks.mutation
	$(BIN)/python docs/generate.py

docs: $(STAMP)
	$(BIN)/python docs/generate.py

# docs/img/page.svg and fleet.svg: the pages as Chromium shows them. Tests draw them too, and compare.
picture: $(STAMP)
	$(BIN)/python -m tests.page picture
	$(BIN)/python -m plugins.fleet.tests.page_picture

# Wheels and sdists of all distributions, into dist/: built twice to the same bytes, their metadata,
# contents and SBOMs checked, and the quick tests run on the wheels where there is no source.
dist: .venv-dist/.installed
	.venv-dist/bin/python -m tests.release

# What GitHub would run, looked at by zizmor, and by actionlint where there is a Go toolchain.
workflows: .venv-workflows/.installed
	.venv-workflows/bin/zizmor --offline --quiet --persona pedantic .github
	@if command -v go >/dev/null; then \
		echo "actionlint $(ACTIONLINT)" && go run github.com/rhysd/actionlint/cmd/actionlint@$(ACTIONLINT); \
	else echo "NOT RUN: actionlint. Missing: a Go toolchain."; fi

# The documentation as a site; a link that leads nowhere is a failure.
site: .venv-site/.installed
	.venv-site/bin/python docs/website.py

# An environment for one group of dependencies, without this package.
.venv-%/.installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "no Python >= 3.11 with venv found: install one"; exit 1; }
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check --upgrade -c constraints.txt pip
	.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group $*
	@touch $@

$(STAMP): pyproject.toml constraints.txt lifecycle/version.py $(PLUGINS)
	@test -n "$(PYTHON)" || { echo "no Python >= 3.11 with venv found: install one (on Debian: apt-get install python3-venv), or run make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade -c constraints.txt pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		--group dev -e . $(foreach p,$(PLUGINS),-e $(dir $(p)))
	@touch $@

clean:
	rm -rf $(VENV) .venv-dist .venv-site .venv-workflows .site dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
