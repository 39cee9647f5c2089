"""Slopes of a soak: a straight line is found, also over runs with levels of their own."""

from __future__ import annotations

import numpy as np
import pytest
from bench_scripts import bench_script

SOAK = bench_script("cell_soak")


def sample(run: int, minute: float, megabytes: float) -> dict:
    return {"run": run, "minute": minute, "nodes": {"leap": {"MB": megabytes}}, "late": {}}


def test_a_slope_is_that_of_the_line_whatever_level_a_run_has():
    samples = [
        sample(run, minute, 100.0 + 50.0 * run + 3.0 * minute / 60.0)
        for run in (0, 1)
        for minute in range(10, 40)
    ]
    mean, slope, error = SOAK.slopes(samples)["leap", "MB"]
    assert (mean, slope) == pytest.approx((126.2, 3.0), abs=0.1)
    assert error == pytest.approx(0.0, abs=1e-9)


def test_the_first_minutes_in_which_all_is_loaded_do_not_count():
    samples = [sample(0, minute, 100.0 if minute >= 5 else 20.0) for minute in range(30)]
    assert SOAK.slopes(samples)["leap", "MB"][1] == pytest.approx(0.0, abs=1e-9)


def test_of_noise_alone_the_interval_holds_zero():
    noise = np.random.default_rng(0).normal(size=60)
    samples = [sample(0, 5 + minute, 100.0 + noise[minute]) for minute in range(60)]
    _, slope, error = SOAK.slopes(samples)["leap", "MB"]
    assert abs(slope) < error < 2.0
