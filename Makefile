# The two commands of the README are `make train` and `make test`; both set everything up by themselves.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SEED ?= 0
RUN_DIR ?= runs/pick_cube-$(shell date +%Y%m%d-%H%M%S)
STAMP := $(VENV)/.installed

.PHONY: setup train test test-browser test-ros test-slow test-nodes test-chaos check bench gym-hil lock gl ros

train: setup  ## train pick_cube from nothing; ends by itself with a curve and a film
	$(BIN)/hilserl train pick_cube --seed $(SEED) --run-dir $(RUN_DIR)

test: setup  ## everything but the learning runs, the browser and ROS
	$(BIN)/python -m pytest -n auto --maxprocesses 4 -m "not slow and not chaos and not gpu and not browser and not ros"

test-browser: setup  ## the console in headless Chromium and in a window on a virtual display
	@sh scripts/browser.sh
	$(BIN)/python -m pytest -m browser

test-ros: setup ros  ## the robot server's ros backend before a simulated Franka, with a real master and roslaunch
	$(BIN)/python -m pytest -m ros

test-slow: setup  ## the learning runs
	$(BIN)/python -m pytest -m "slow and not gpu"

test-nodes: setup  ## processes that are killed, stopped, cut off and out of room; a Ray cluster; a short soak
	$(BIN)/python -m pytest -m "chaos and not long"

test-chaos: setup  ## the same and as much again, in more ways
	$(BIN)/python -m pytest -m chaos

check: setup  ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

bench: setup gym-hil  ## measure the figures of the README
	$(BIN)/hilserl bench

setup: gl $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@sh scripts/python_venv.sh $(PYTHON) $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

gl:
	@sh scripts/software_gl.sh

ros:  ## ROS 1 from Debian's packages
	@sh scripts/ros.sh

gym-hil: .venv-gym-hil/.installed  ## the environment that the bench compares with, in a place of its own

.venv-gym-hil/.installed:
	@sh scripts/python_venv.sh $(PYTHON) .venv-gym-hil
	.venv-gym-hil/bin/python -m pip install --quiet --disable-pip-version-check "gym-hil>=0.1.14,<0.2"
	@touch $@

lock:  ## resolve the dependencies again
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --extra dev --output-file requirements.lock pyproject.toml
