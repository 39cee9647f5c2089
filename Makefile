# make demo    set up everything, then grasp and lift an object in simulation (ARGS="--object mug")
# make test    set up everything, then run the tests                           (ARGS="tests/unit")
# make bench   the benchmarks behind the figures in docs/
# make lint    ruff, mypy, and the direction of imports
# make docs    the public interfaces as pages, from the docstrings: build/docs/index.html
# make setup   only the environment: .venv, pinned packages, the workspace built into it
# make lock    write the versions in .venv to requirements*.txt
# make clean   remove .venv and everything built

.DEFAULT_GOAL := demo
.DELETE_ON_ERROR:
.PHONY: setup demo test bench lint docs lock clean

IS_SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))
PYTHON ?= $(shell for python in python3 python3.12 python3.11; do \
	$$python -c '$(IS_SUPPORTED)' 2>/dev/null && echo $$python && break; done)

VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin

# With Ubuntu's ROS 2 Jazzy sourced, the environment sees it and its wheels are left out.
INSTALLED_ROS := $(shell [ "$$ROS_DISTRO" = jazzy ] && $(PYTHON) -c 'import rclpy' 2>/dev/null && echo yes)
ifeq ($(INSTALLED_ROS),yes)
VENV_OPTIONS := --system-site-packages
LOCKS := requirements.txt
# What the workspace's setup.bash would set, for the commands below.
export AMENT_PREFIX_PATH := $(VENV):$(AMENT_PREFIX_PATH)
export CMAKE_PREFIX_PATH := $(VENV):$(CMAKE_PREFIX_PATH)
export LD_LIBRARY_PATH := $(VENV)/lib:$(LD_LIBRARY_PATH)
else
LOCKS := requirements.txt requirements-ros.txt
export AMENT_PREFIX_PATH := $(VENV)
export CMAKE_PREFIX_PATH := $(VENV)
endif

# Installing into the environment itself makes everything importable without sourcing a script.
COLCON := PATH="$(BIN):$$PATH" $(BIN)/python -m colcon --log-base build/log build \
	--merge-install --install-base $(VENV) --build-base build

INTERFACES := ros2_ws/src/dexgrasp_interfaces
# Not part of every installed ROS.
TF_TRANSFORMATIONS := $(shell $(PYTHON) -c 'import tf_transformations' 2>/dev/null || \
	echo compat/tf_transformations)
PACKAGES := models sim_bridge $(TF_TRANSFORMATIONS) $(filter-out $(INTERFACES),$(wildcard ros2_ws/src/*))
# A stamp is a step that was done; it is repeated when one of its sources is newer.
STAMPS := $(VENV)/stamps
STUBS := $(VENV)/stubs

setup: $(STAMPS)/kernels

demo: setup
	$(BIN)/dexgrasp demo $(ARGS)

# PyTorch rounds otherwise on another processor: what leans on that fails on the plainest one too.
ROUNDING := $(foreach name,glow grasp_energy grasp_force_closure hand_distance hand_kinematics ipdf \
	kernels learned_proposer nets_adaptation nets_contact nets_losses pointnet so3,\
	$(wildcard tests/unit/*/test_$(name).py))

# Two at a time, a file's tests one after the other: many of them wait for a robot in real time. A test
# that hangs takes its process with it, which ends the run.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --max-worker-restart 0

test: setup $(STAMPS)/ray $(STAMPS)/warp
	$(PYTEST) $(ARGS)
ifeq ($(ARGS),)
	ATEN_CPU_CAPABILITY=default $(PYTEST) $(ROUNDING)
endif

BENCHMARKS := assist_throughput fusion graph_cost hand_kinematics learned_proposer proposer refinement simulation_overhead synthesis

bench: setup
	@for name in $(BENCHMARKS); do \
		echo "== bench/$$name.py"; $(BIN)/python bench/$$name.py || exit 1; done
	$(BIN)/dexgrasp bench grasp --scene floating $(ARGS)
	$(BIN)/dexgrasp bench grasp --scene arm $(ARGS)

lint: $(STAMPS)/packages $(STAMPS)/stubs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	MYPYPATH=$(STUBS)/mended $(BIN)/mypy
	$(BIN)/lint-imports --no-cache

docs: $(STAMPS)/packages $(STAMPS)/docs $(STAMPS)/warp
	$(BIN)/python tools/api_pages.py build/docs

lock: $(STAMPS)/requirements $(STAMPS)/ray $(STAMPS)/warp $(STAMPS)/docs
	$(BIN)/python tools/lock.py

clean:
	rm -rf $(VENV) build install log

$(STAMPS)/venv:
	@[ -n "$(PYTHON)" ] || { echo "dexgrasp needs Python 3.11 or 3.12, and none was found." \
		"Name one: make PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) -c '$(IS_SUPPORTED)' || { echo "dexgrasp needs Python 3.11 or 3.12, not" \
		"$$($(PYTHON) --version). Name another: make PYTHON=/path/to/python3.12"; exit 1; }
	@case "$$ROS_DISTRO" in ""|jazzy) ;; *) echo "ROS 2 $$ROS_DISTRO is sourced in this shell and" \
		"would mix with Jazzy: use a shell without it"; exit 1;; esac
	@command -v c++ >/dev/null || { echo "No C++ compiler (c++) found: the interface packages" \
		"need one. On Debian or Ubuntu: apt install g++"; exit 1; }
	@$(PYTHON) -c 'import os, sys, sysconfig; \
		sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' || { \
		echo "Python's headers are missing: the interface packages need them." \
		"On Debian or Ubuntu: apt install python3-dev"; exit 1; }
	$(PYTHON) -m venv $(VENV_OPTIONS) $(VENV)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/requirements: $(LOCKS) | $(STAMPS)/venv
	$(BIN)/python -m pip install --disable-pip-version-check $(LOCKS:%=-r %)
	@touch $@

# Options that the tests cover.
$(STAMPS)/ray $(STAMPS)/warp: $(STAMPS)/%: requirements-%.txt | $(STAMPS)/requirements
	$(BIN)/python -m pip install --disable-pip-version-check -r $<
	@touch $@

# Only for `make lint`: apart from the packages, where mypy would fail at them.
$(STAMPS)/stubs: requirements-stubs.txt tools/isaac_gym_stubs.py | $(STAMPS)/requirements
	rm -rf $(STUBS)
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --target $(STUBS) -r $<
	$(BIN)/python tools/isaac_gym_stubs.py $(STUBS) $(STUBS)/mended
	@touch $@

# Only for `make docs`.
$(STAMPS)/docs: requirements-docs.txt | $(STAMPS)/requirements
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements-docs.txt
	@touch $@

# Slow (C++), so apart from the Python packages. Those of compat/ are built where no ROS is installed.
$(STAMPS)/interfaces: $(STAMPS)/requirements $(shell find $(INTERFACES) compat/*_msgs -type f)
	$(BIN)/python tools/fix_wheel_cmake.py
	$(COLCON) --base-paths $(INTERFACES) \
		$$([ "$(INSTALLED_ROS)" = yes ] || echo compat/tf2_msgs compat/ur_dashboard_msgs) \
		--cmake-args -DPython3_EXECUTABLE=$(BIN)/python -DBUILD_TESTING=OFF \
		-DCMAKE_BUILD_TYPE=Release
	@touch $@

# Linked, not copied: an edited source needs no new build.
$(STAMPS)/packages: $(STAMPS)/interfaces $(wildcard $(PACKAGES:%=%/package.xml) $(PACKAGES:%=%/setup.*))
	$(COLCON) --symlink-install --base-paths $(PACKAGES)
	@for script in build/*/setup.py; do echo "$(CURDIR)/$$(dirname $$script)"; done > \
		$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/dexgrasp.pth
	@touch $@

# Compiled into the user's cache, where the first proposal would look for them and find nothing.
$(STAMPS)/kernels: $(wildcard models/dexgrasp_models/kernels/*.py models/dexgrasp_models/*/*_kernel.py) $(STAMPS)/packages
	$(BIN)/python -m dexgrasp_models.proposals.compile_kernels
	@touch $@
