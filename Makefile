# make run     install, make the recordings, execute the four notebooks
# make test    install, check the style and the floors of the package, run the tests
# make lower   the tests, on the oldest versions that requirements.txt allows
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
LOWER := .venv-lower
SETTINGS := $(if $(BACKBONE),--set BACKBONE=$(BACKBONE)) $(foreach setting,$(SET),--set '$(setting)')
# they run whole notebooks, or measure the memory and the speed of the newest versions
SLOW := notebooks browser faults full_size benchmarks

.PHONY: run test lower bench lint install clean

install: .venv/.installed

.venv/.installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install -r requirements.txt
	$(BIN)/python -m pip install --no-deps -e .
	touch $@

.venv/.installed-dev: .venv/.installed requirements-dev.txt
	$(BIN)/python -m pip install -r requirements-dev.txt
	touch $@

run: .venv/.installed
	$(BIN)/itneurons run --data $(DATA) $(SETTINGS)

test: .venv/.installed-dev lint
	$(BIN)/python -m pytest

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

lower:
	$(PYTHON) -m venv --clear $(LOWER)
	sed 's/>=/==/' requirements.txt > $(LOWER)/requirements.txt
	$(LOWER)/bin/python -m pip install --constraint $(LOWER)/requirements.txt -r requirements-dev.txt
	$(LOWER)/bin/python -m pytest $(SLOW:%=--ignore tests/test_%.py)

bench: .venv/.installed-dev
	$(BIN)/python -m benchmarks $(if $(FULL),--full)

clean:
	find Activations Activations_RND -type f ! -name README.md -delete
	rm -rf Models runs figures/predictions
