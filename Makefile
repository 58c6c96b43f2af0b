# make run     install, make the recordings, execute the four notebooks
# make test    install, check style, run the tests
# make bench   speed, side by side with the usual way (FULL=1 for full size)
#
# make run DATA=simulated|course|brainscore|v4 chooses the recordings. SET="NAME=VALUE ..." changes settings of the
# notebooks; BACKBONE=name is short for one of them. With settings other than the defaults, everything goes to runs/DATA/.

PYTHON ?= python3
DATA ?= auto
FULL ?=
SET ?=
BACKBONE ?=
BIN := .venv/bin
SETTINGS := $(if $(BACKBONE),--set BACKBONE=$(BACKBONE)) $(foreach setting,$(SET),--set '$(setting)')

.PHONY: run test bench lint install clean

install: .venv/.installed

.venv/.installed: requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install -r requirements.txt
	touch $@

.venv/.installed-dev: .venv/.installed requirements-dev.txt
	$(BIN)/python -m pip install -r requirements-dev.txt
	touch $@

run: .venv/.installed
	$(BIN)/python run_notebooks.py --data $(DATA) $(SETTINGS)

test: .venv/.installed-dev lint
	$(BIN)/python -m pytest

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: .venv/.installed-dev
	$(BIN)/python -m benchmarks $(if $(FULL),--full)

clean:
	rm -rf Activations Activations_RND Models runs figures/predictions
