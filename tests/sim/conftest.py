"""What the tests of simulators share: expectations stated against `backend` hold for each one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch
from forked_workers import ForkedWorker
from isaac_gym_counterpart import (
    INTERPRETER_VARIABLE,
    PYTHON_VARIABLE,
    counterpart_interpreter,
)

from dexgrasp_sim.backends.isaac_gym import worker_process
from dexgrasp_sim.scene import BACKENDS

BIT_EXACT = ("mujoco", *(() if torch.cuda.is_available() else ("mujoco_warp",)))
"""The simulators that repeat a run to the bit; mujoco-warp does on a CPU."""

EXACT_ALONE = ("mujoco",)
"""Those in which an environment is rounded alike alone and among others."""


@pytest.fixture(scope="session", autouse=True)
def isaac_gym(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Isaac Gym's counterpart, where Isaac Gym itself is not installed."""
    with pytest.MonkeyPatch.context() as patch:
        if not os.environ.get(INTERPRETER_VARIABLE):
            interpreter = counterpart_interpreter(tmp_path_factory.mktemp("isaac_gym"))
            patch.setenv(INTERPRETER_VARIABLE, str(interpreter))
            if not os.environ.get(PYTHON_VARIABLE):
                patch.setattr(worker_process, "start_process", ForkedWorker)
        yield


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Each simulator in turn, where what it needs is installed."""
    pytest.importorskip(f"dexgrasp_sim.backends.{request.param}.batch", exc_type=ImportError)
    return request.param


@pytest.fixture
def bit_exact(backend: str) -> str:
    """Each simulator that repeats a run to the bit."""
    if backend not in BIT_EXACT:
        pytest.skip(f"{backend} does not repeat a run to the bit")
    return backend


@pytest.fixture
def exact_alone(bit_exact: str) -> str:
    """Each simulator in which an environment moves to the bit as it would alone."""
    if bit_exact not in EXACT_ALONE:
        pytest.skip(f"{bit_exact} rounds otherwise what is alone")
    return bit_exact
