# What one can do here. The first line of each target's comment is its help.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
CORES ?= $(shell nproc)
DATA ?= ../shared/data
# A run's folder, and its settings where they are not config/config.yaml alone.
RUN ?= .
CONFIG ?=
UV_VERSION := 0.13.8

# Snakemake with the tools that provide_software.py found or made.
PATH := $(CURDIR)/.venv/bin:$(CURDIR)/.tools/bin:$(CURDIR)/.venv-multiqc/bin:$(PATH)
export PATH
SNAKEMAKE = snakemake --snakefile Snakefile --workflow-profile workflow/profiles/default \
	--cores $(CORES) $(if $(filter conda,$(shell cat .software 2> /dev/null)),--sdm conda --conda-prefix .snakemake/conda) \
	--quiet rules host reason
DEMO := runs/demo
LIBRARY := scripts/moodbiome

.PHONY: help demo demo-real check run unlock test test-fast test-demo lint format lock multiqc scikit-learn \
	bench clean

help: ## list what one can do
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

demo: $(DEMO)/cohort/.made .software ## set everything up and run the built-in cohort
	$(SNAKEMAKE) --directory $(DEMO) --configfile tests/demo/config.yaml
	@echo "The report is at $(DEMO)/results/report/cohort.html"

demo-real: .venv/.runtime .software ## run on real stool samples: make demo-real DATA=folder
	python tests/real/real_run.py $(DATA) runs/demo-real
	$(SNAKEMAKE) --directory runs/demo-real --configfile runs/demo-real/config.yaml
	python tests/real/real_run.py $(DATA) runs/demo-real --figures
	@echo "The report is at runs/demo-real/results/report/cohort.html"

check: .venv/.runtime ## check all inputs and forecast the run: make check SHEET=my.tsv
	@python workflow/check_run.py --directory $(RUN) $(if $(CONFIG),--configfile $(CONFIG)) \
		$(if $(SHEET),--sheet $(SHEET)) --cores $(CORES) $(if $(JSON),--json)

run: .venv/.runtime .software ## run on your own cohort: make run RUN=folder CONFIG=file
	$(SNAKEMAKE) --directory $(RUN) $(if $(CONFIG),--configfile $(CONFIG))
	@echo "The report is at $(RUN)/results/report/cohort.html"

unlock: .venv/.runtime ## free a run folder after a crash, then run again
	$(SNAKEMAKE) --directory $(RUN) $(if $(CONFIG),--configfile $(CONFIG)) --unlock

test: test-fast test-demo ## run all tests: the fast ones, then the truth checks on the demo

test-fast: .venv/.dev .software
	python -m pytest -n $(CORES) -m "not demo" -q

test-demo: .venv/.dev demo
	python -m pytest -m demo -q

lint: .venv/.dev ## check style, types and the workflow
	ruff check --no-cache .
	ruff format --no-cache --check .
	snakefmt --check Snakefile workflow
	mypy
	snakemake --lint --directory tests/workflow/minimal --configfile tests/workflow/minimal/config.yaml

format: .venv/.dev ## put all code into shape
	ruff check --fix --exit-zero .
	ruff format .
	snakefmt Snakefile workflow

lock: .venv/.dev ## renew the lock files from pyproject.toml
	pip install --quiet uv==$(UV_VERSION)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes pyproject.toml \
		--output-file requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes pyproject.toml \
		--group dev --group slurm --constraints requirements.lock --output-file requirements-dev.lock

multiqc: ## add MultiQC in an environment of its own (1 GB)
	$(PYTHON) -m venv .venv-multiqc
	.venv-multiqc/bin/pip install --quiet multiqc==1.35

scikit-learn: .venv/.runtime ## add scikit-learn, for signature.train
	pip install --quiet $(shell grep -o 'scikit-learn==[0-9.]*' envs/train.yaml)

bench: .venv/.dev .software ## measure speed and memory, side by side (minutes)
	for file in benchmarks/*.py; do echo "== $$file"; python "$$file"; done

clean: ## remove the environments and all runs
	rm -rf .venv .venv-multiqc .tools .software .snakemake runs

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@$(PYTHON) -m venv .venv \
		|| { rm -rf .venv; echo "Install the venv module: sudo apt-get install python3-venv"; exit 1; }

# uv installs in seconds what takes pip a minute; where it cannot be had, pip does it.
define install
@echo "Installing Python packages from $(1)"
@if pip install --quiet uv==$(UV_VERSION) 2> /dev/null; then \
	uv pip install --quiet --python .venv/bin/python --require-hashes -r $(1); \
else \
	echo "uv cannot be had here: using pip, which takes a minute"; \
	pip install --quiet --require-hashes -r $(1); \
fi
endef

.venv/.runtime: requirements.lock | .venv/bin/python
	$(call install,requirements.lock)
	@touch $@

.venv/.dev: requirements-dev.lock | .venv/bin/python
	$(call install,requirements-dev.lock)
	@touch $@ .venv/.runtime

.software: envs/tools.tsv workflow/provide_software.py | .venv/bin/python
	@python workflow/provide_software.py $@

$(DEMO)/cohort/.made: tests/demo/simulate.py tests/demo/community.tsv | .venv/.runtime
	@echo "Making the demo cohort"
	@rm -rf $(DEMO)/cohort
	@python tests/demo/simulate.py $(DEMO)/cohort
	@touch $@
