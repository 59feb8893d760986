# The commands of the README are `make demo`, `make train` and `make test`; all set everything up by themselves.

PYTHON ?= python3
PYTHON312 ?= python3.12
VENV := .venv
BIN := $(VENV)/bin
SEED ?= 0
RUN_DIR ?= runs/pick_cube-$(shell date +%Y%m%d-%H%M%S)
STAMP := $(VENV)/.installed

.PHONY: setup demo train test test-browser test-ros test-slow test-nodes test-chaos test-lerobot test-franka-sim check docs dist test-wheel results bench gym-hil lock gl browser ros

# Flags for pytest, for example SELECT="-k takeover".
SELECT ?=

# Two processes with one XLA thread each.
SIDE_BY_SIDE := NPROC=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup

train: setup  ## train pick_cube from scratch; ends by itself with a curve and a video
	$(BIN)/hilserl train pick_cube --seed $(SEED) --run-dir $(RUN_DIR)

demo: setup  ## watch a trained policy at work, and take over
	$(BIN)/hilserl demo

test: setup  ## all tests except the learning runs, the browser, ROS and the killed processes
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal -m "not slow and not chaos and not gpu and not browser and not ros" $(SELECT)

test-browser: setup browser  ## the console in headless Chromium and in a window on a virtual display
	$(BIN)/python -m pytest -m browser $(SELECT)

test-ros: setup ros  ## the robot server's ros backend with a simulated Franka, a real ROS master and roslaunch
	$(BIN)/python -m pytest -m ros $(SELECT)

test-slow: setup  ## the learning runs; the number of threads decides how numbers are rounded
	$(SIDE_BY_SIDE) -m "slow and not gpu" $(SELECT)

test-nodes: setup  ## processes that are killed, stopped, cut off or without disk space; a Ray cluster; a short soak
	$(SIDE_BY_SIDE) -m "chaos and not long" $(SELECT)

test-chaos: setup  ## the tests of test-nodes and more ways to break processes
	$(SIDE_BY_SIDE) -m chaos $(SELECT)

test-lerobot: .venv-lerobot/.installed gl  ## datasets, environments and a robot with LeRobot itself: Python 3.12, several GB
	.venv-lerobot/bin/python scripts/test_lerobot.py

.venv-lerobot/.installed: pyproject.toml packages/lerobot_env_hilserl/pyproject.toml packages/lerobot_robot_simulated_so101/pyproject.toml
	@sh scripts/python_venv.sh $(PYTHON312) .venv-lerobot
	.venv-lerobot/bin/python -m pip install --quiet --disable-pip-version-check "lerobot[dataset]>=0.6.1,<0.7" \
	  --editable . --editable packages/lerobot_env_hilserl --editable packages/lerobot_robot_simulated_so101
	@touch $@

test-franka-sim: setup .venv-franka-sim/.installed  ## the backend libfranka with franka-sim, which speaks libfranka's own protocol
	PYTHONPATH=.venv-franka-sim/client $(BIN)/python -m scripts.test_franka_sim

.venv-franka-sim/.installed:
	@sh scripts/python_venv.sh $(PYTHON) .venv-franka-sim
	.venv-franka-sim/bin/python -m pip install --quiet --disable-pip-version-check "franka-sim>=1.1.7,<1.2"
	.venv-franka-sim/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --target .venv-franka-sim/client "pylibfranka>=0.21,<1"
	@touch $@

check: setup  ## check format, lint, types, the documentation's site and its links
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/python -m scripts.docs_site

docs: setup  ## build the documentation's site and serve it
	$(BIN)/python -m scripts.docs_site --serve

dist: setup  ## build the source archive and the wheel
	rm -rf dist
	$(BIN)/python -m hatchling build

test-wheel: dist  ## install the wheel into an empty virtual environment of each Python here, and use it; minutes
	@sh scripts/test_wheel.sh dist/*.whl

results: setup  ## generate docs/results.md, the README's table and its images from docs/results/*.json
	$(BIN)/python -m scripts.results

bench: setup gym-hil  ## measure the figures of the README again
	$(BIN)/hilserl bench

setup: gl $(STAMP)

$(STAMP): requirements.lock pyproject.toml packages/hilserl_ros1/pyproject.toml
	@sh scripts/python_venv.sh $(PYTHON) $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable . --editable packages/hilserl_ros1
	@touch $@

gl:
	@sh scripts/software_gl.sh

browser:  ## Chromium, a virtual display and xdotool from Debian's packages
	@sh scripts/browser.sh

ros:  ## ROS 1 from Debian's packages
	@sh scripts/ros.sh

gym-hil: .venv-gym-hil/.installed  ## gym-hil in a separate virtual environment, for the comparison in the benchmark

.venv-gym-hil/.installed:
	@sh scripts/python_venv.sh $(PYTHON) .venv-gym-hil
	.venv-gym-hil/bin/python -m pip install --quiet --disable-pip-version-check "gym-hil>=0.1.14,<0.2"
	@touch $@

lock:  ## resolve the dependencies again
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --extra dev --output-file requirements.lock pyproject.toml
