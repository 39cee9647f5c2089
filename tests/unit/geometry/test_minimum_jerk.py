"""The minimum-jerk profile against its closed form."""

from __future__ import annotations

import numpy as np
import pytest

from dexgrasp_models.geometry.minimum_jerk import share_covered


def test_closed_form():
    time = np.linspace(0.0, 1.0, 100_001)
    share = share_covered(time)
    assert share[0] == 0.0
    assert share[-1] == 1.0
    assert share_covered(0.25) == pytest.approx(share[25_000])
    speed = np.gradient(share, time)
    acceleration = np.gradient(speed, time)
    assert speed[[0, -1]] == pytest.approx(0.0, abs=1e-6)
    assert acceleration[[1, -2]] == pytest.approx(0.0, abs=1e-2)
    assert speed.max() == pytest.approx(1.875)
    assert time[speed.argmax()] == pytest.approx(0.5, abs=1e-4)
    assert acceleration.max() == pytest.approx(10 / np.sqrt(3), rel=1e-3)
