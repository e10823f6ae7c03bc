# The commands of this project. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# make demo ONCE=1; make test ARGS="-k keys"; make test-openstack KEEP=1; make run ARGS="--cloud memory"; make bench BENCH=quick
ONCE ?=
ARGS ?=
# Many tests wait for other programs, so more of them run at a time than there are processors.
WORKERS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 2)))
BENCH ?=
export BENCH

.PHONY: help setup system image demo run test test-openstack test-cloudstack clients check format bench bench-openstack bench-cloudstack clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo '  New here? make demo'

setup: $(READY) ## Make the virtual environment in .venv, with all dependencies
	@echo 'The virtual environment is ready: $(VENV)'

$(READY): pyproject.toml scripts/setup
	@scripts/setup $(VENV)
	@touch $@

system: ## Install what is missing of Debian's packages for the demo (root or sudo)
	@scripts/system demo

demo: $(READY) system ## Launch a real virtual machine here with the AWS CLI (ONCE=1: then clean up and end)
	@exec $(BIN)/python scripts/demo.py $(if $(filter-out 0 no false,$(ONCE)),--once)

run: $(READY) ## Serve the EC2 API on 127.0.0.1:8788, over QEMU machines on this host
	@exec $(BIN)/isthmus serve $(ARGS)

image: $(READY) ## Build the tiny guest image, if QEMU is here and it is not there yet
	@if command -v qemu-system-x86_64 >/dev/null; then \
	  $(BIN)/isthmus image build >/dev/null || echo 'NOT TESTED: what needs the tiny guest image' >&2; \
	else echo 'NOT TESTED: what needs QEMU (apt-get install qemu-system-x86 qemu-utils)' >&2; fi

kernel: $(READY) ## Compile the small kernel of the tiny guest image (minutes, once), and build the image with it
	@scripts/system kernel
	@$(BIN)/isthmus image build --kernel small

test: $(READY) image ## All tests that need no root; those whose programs are missing are skipped, with the reason
	@$(BIN)/pytest -n $(WORKERS) $(ARGS)

test-openstack: $(READY) ## The tests that need a real OpenStack, on one brought up here from packages (root, Debian 12; KEEP=1: it stays)
	@PYTHON=$(BIN)/python exec scripts/test-openstack $(ARGS)

test-cloudstack: $(READY) ## The contract of a provider against a real CloudStack (URL=… KEY=… SECRET=…; see docs/cloudstack.md)
	@PYTHON=$(BIN)/python exec scripts/test-cloudstack $(ARGS)

clients: $(READY) ## Install what the tests of further clients need: OpenStack's suite of EC2 tests, Ansible
	@scripts/clients $(VENV)

check: $(READY) ## Format, lint, types, layers, tests: what has to pass before a commit
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/mypy scripts/demo.py scripts/remains.py
	@$(BIN)/pytest -q tests/unit/test_layers.py
	@$(MAKE) test

format: $(READY) ## Format the code, and mend what the linter can mend
	@$(BIN)/ruff check --fix-only -q .
	@$(BIN)/ruff format .

bench: $(READY) ## Measure speed against moto and a bare server (BENCH=quick: in short)
	@$(BIN)/python -m bench $(ARGS)

bench-openstack: $(READY) ## Measure speed over a real OpenStack that is up, against the same calls without Isthmus, and ec2-api
	@$(BIN)/python -m bench.openstack $(ARGS)

bench-cloudstack: $(READY) ## Measure speed over an emulated CloudStack, against the same calls without Isthmus (BENCH=quick: in short)
	@PYTHONPATH=tests $(BIN)/python -m bench.cloudstack $(ARGS)

clean: ## Remove what the commands made in this directory
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
