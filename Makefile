# Everything runs in a virtual environment of its own, .venv; nothing has to be activated.
# `make` without a target lists the targets. Trainings and tables need only the package; tests,
# reports and searches need `make install`, which some targets call.

.DEFAULT_GOAL := help
SHELL := /bin/sh

VENV := .venv
RUN := $(VENV)/bin/eleatt-bench
CORE := $(VENV)/.core
READY := $(VENV)/.ready
# pip shows what it does, and soon gives up on an index that it cannot reach
PIP := PIP_CONSTRAINT=constraints.txt PIP_RETRIES=$${PIP_RETRIES:-1} $(VENV)/bin/python -m pip \
	--disable-pip-version-check install
# pip would compile what it installs on one core; this takes all. Not everything there is for Python 3.
COMPILE := $(VENV)/bin/python -m compileall -qq -j 0 $(VENV)/lib || true
# The first interpreter of a supported version; to choose one: make install PYTHON=/path/to/python
PYTHON := $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null \
	&& echo "$$p" && break; done)
unexport PYTHON  # it only makes .venv; tests and checks use the Python of .venv
NUCLA_SOURCE ?= data/raw/nucla/all_sqe.zip
MNIST_SOURCE ?= $(or $(ELEATT_DATA),data)/raw/mnist
TABLES := digits fig2 table1 table2 table3 table4 table5 table6 table7 mnist gesture nucla paper
bench: BENCH ?= cpu
bench-gpu: BENCH ?= gpu

.PHONY: help install demo test test-slow test-faults test-clusters test-loggers check dist bench bench-gpu bench-data bench-epoch tensorboard \
	report clean lock data-nucla data-mnist $(TABLES) rehearse

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(READY) ## make .venv with what tests and reports need, in the exact versions of constraints.txt

$(CORE): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 to 3.14 is needed: make install PYTHON=/path/to/python"; exit 1; }
	"$(PYTHON)" -m venv $(VENV)
	$(PIP) --no-compile -e .
	$(COMPILE)
	$(RUN) doctor --build
	@touch $@

$(READY): $(CORE)
	$(PIP) --no-compile -e '.[dev]'
	$(COMPILE)
	@touch $@

$(VENV)/.ray: $(READY)
	$(PIP) -e '.[ray]'
	@touch $@

demo: digits ## train 18 small networks on real data and show the table (minutes)

test: $(READY) ## run the tests
	scripts/test.sh

test-slow: $(READY) ## run the slow tests, and the others with more drawn examples
	scripts/test.sh -m "slow and not gpu"
	scripts/test.sh -m "hypothesis and not (slow or gpu or clusters)" --hypothesis-profile=default

test-faults: $(READY) ## kill runs, fill disks, damage files: everything must recover (9 minutes)
	scripts/test.sh -m "not gpu" -rP --show-capture=stdout tests/faults

test-clusters: $(VENV)/.ray ## start SLURM and Ray here, and test what can happen on clusters (15 minutes)
	scripts/test.sh -n 1 -m "not gpu" tests/clusters

test-loggers: $(READY) ## install MLflow and W&B (400 MB) and test runs that log there (minutes)
	$(PIP) -e '.[dev,mlflow,wandb]'
	scripts/test.sh -m "not gpu" tests/training/loggers

check: $(READY) ## check formatting, lint and types
	scripts/check.sh

dist: $(READY) ## build for a package index: make dist REPOSITORY=https://github.com/OWNER/NAME
	$(PIP) 'twine>=6'
	rm -rf dist
	$(VENV)/bin/python scripts/distribution.py $(REPOSITORY)
	$(VENV)/bin/python -m twine check --strict dist/*

bench: $(READY) ## time the layer against torch's own and oneDNN's: docs/performance.md (an hour)
	$(PIP) 'onednn-cpu-gomp>=2023.2' 'onednn-devel-cpu-gomp>=2023.2'
	$(VENV)/bin/python scripts/bench_layer.py --onednn --memory \
		--csv "docs/performance/$(BENCH).csv"
	$(VENV)/bin/python scripts/bench_layer.py --onednn --threads 1 --only native --modes train \
		--csv "docs/performance/$(BENCH)-1-thread.csv"
	$(VENV)/bin/python scripts/performance_page.py docs/performance/*.csv > docs/performance.md

bench-gpu: $(READY) ## check the layer against the equations on a GPU (8 minutes), then time it there
	$(VENV)/bin/python scripts/gpu_check.py
	$(VENV)/bin/python scripts/bench_layer.py --device cuda --compile \
		--csv "docs/performance/$(BENCH).csv"
	$(VENV)/bin/python scripts/performance_page.py docs/performance/*.csv > docs/performance.md

bench-data: $(READY) ## time preparing, loading and augmentation, at the size of NTU RGB+D (25 GB of disk)
	$(VENV)/bin/python scripts/bench_data.py --csv docs/performance/data.csv
	$(VENV)/bin/python scripts/bench_prepare.py --csv docs/performance/prepare.csv
	$(VENV)/bin/python scripts/performance_page.py docs/performance/*.csv > docs/performance.md

bench-epoch: $(READY) ## time whole epochs against a plain loop around torch.nn.GRU (half an hour)
	$(VENV)/bin/python scripts/bench_epoch.py --csv docs/performance/epoch.csv
	$(VENV)/bin/python scripts/performance_page.py docs/performance/*.csv > docs/performance.md

tensorboard: $(CORE) ## look at the curves and pictures of all runs
	$(RUN) tensorboard $(ARGS)

report: $(READY) ## write pages about all tables and runs: runs/report/index.html
	$(RUN) report $(ARGS)

data-nucla: $(CORE) ## prepare N-UCLA from NUCLA_SOURCE (default data/raw/nucla/all_sqe.zip)
	$(RUN) data prepare nucla --source "$(NUCLA_SOURCE)"

data-mnist: $(CORE) ## prepare MNIST from MNIST_SOURCE (default data/raw/mnist; downloaded if absent)
	test -e "$(MNIST_SOURCE)" || $(RUN) data download mnist
	$(RUN) data prepare mnist --source "$(MNIST_SOURCE)"

# ARGS holds settings for every run of a table: make table2 ARGS="trainer=gpu launcher.jobs_per_device=2"
digits: $(CORE) ## handwritten digits, a small data set that needs no download (minutes)
	$(RUN) reproduce $@ $(ARGS)

fig2: $(CORE) ## how many layers are gated, NTU RGB+D
	$(RUN) reproduce $@ $(ARGS)

table1: $(CORE) ## features of RGB frames, NTU RGB+D and JHMDB
	$(RUN) reproduce $@ $(ARGS)

table2: $(CORE) ## the gate on three cells, NTU RGB+D
	$(RUN) reproduce $@ $(ARGS)

table3: $(CORE) ## NTU RGB+D beside other people's results
	$(RUN) reproduce $@ $(ARGS)

table4: $(CORE) ## N-UCLA, from scratch and pre-trained on NTU RGB+D
	$(RUN) reproduce $@ $(ARGS)

table5: $(CORE) ## SYSU 3D HOI, from scratch and pre-trained on NTU RGB+D
	$(RUN) reproduce $@ $(ARGS)

table6: $(CORE) ## gates that sum to 1, NTU RGB+D
	$(RUN) reproduce $@ $(ARGS)

table7: $(CORE) ## the size of the network, NTU RGB+D
	$(RUN) reproduce $@ $(ARGS)

mnist: $(CORE) ## sequential MNIST
	$(RUN) reproduce $@ $(ARGS)

gesture: $(CORE) ## hand gestures, SHREC'17 Track and DHG-14/28
	$(RUN) reproduce $@ $(ARGS)

nucla: $(CORE) ## N-UCLA with a stronger recipe than the paper's, single networks and ensembles
	$(RUN) reproduce $@ $(ARGS)

paper: $(CORE) ## all of these tables, as far as their data are prepared
	$(RUN) reproduce $@ $(ARGS)

rehearse: $(READY) ## every table on small made-up data, from raw files to LaTeX, in rehearsal/ (minutes)
	PYTHON="$(VENV)/bin/python" MNIST_SOURCE="$(MNIST_SOURCE)" scripts/rehearse.sh $(ARGS)

lock: $(VENV)/.ray ## write constraints.txt anew from the packages in .venv, Ray included
	@$(VENV)/bin/python -m pip freeze --exclude-editable > constraints.txt.found
	@{ sed -n '/^#/p' constraints.txt && sed 's/+cpu//' constraints.txt.found; } > constraints.txt.new
	@mv constraints.txt.new constraints.txt && rm constraints.txt.found

clean: ## remove .venv, builds and caches; runs and data stay
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +
