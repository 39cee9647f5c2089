"""What the tests of simulators share: expectations stated against `backend` hold for each one."""

from __future__ import annotations

import pytest

from dexgrasp_sim.scene import BACKENDS

BIT_EXACT = ("mujoco",)
"""The simulators that repeat a run to the bit."""


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Each simulator in turn."""
    return request.param


@pytest.fixture
def bit_exact(backend: str) -> str:
    """Each simulator that repeats a run to the bit."""
    if backend not in BIT_EXACT:
        pytest.skip(f"{backend} does not repeat a run to the bit")
    return backend
