"""What the controller's bits and times mean: when the arm may be moved, and what is said."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dexgrasp_arm_driver.controller_health import (
    Sample,
    StampClock,
    StateTimes,
    program_trouble,
    trouble_of,
)

GOOD = Sample(
    connected=True,
    timestamp=0.0,
    joints=np.zeros(6),
    speeds=np.zeros(6),
    robot_mode=7,
    safety_bits=1,
    status_bits=3,
    runtime_state=2,
)
LIMIT, PERIOD = 0.06, 0.002


def test_a_running_arm_in_normal_mode_may_be_moved():
    assert trouble_of(GOOD) == ""
    assert program_trouble(GOOD) == ""
    reduced = dataclasses.replace(GOOD, safety_bits=2, remote=True)
    assert trouble_of(reduced) == ""


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"safety_bits": 1 << 2 | 1 << 10}, "protective stop"),
        ({"safety_bits": 1 << 4 | 1 << 10}, "safeguard"),
        ({"safety_bits": 1 << 6 | 1 << 7 | 1 << 10}, "emergency stop"),
        ({"safety_bits": 1 << 8 | 1 << 10}, "violation"),
        ({"safety_bits": 1 << 9 | 1 << 10}, "fault of the safety"),
        ({"safety_bits": 1 << 3}, "recovery"),
        ({"safety_bits": 1 << 10}, "stop by the safety"),
        ({"robot_mode": 3}, "switched off"),
        ({"robot_mode": 5}, "brakes"),
        ({"robot_mode": 99}, "mode 99"),
        ({"remote": False}, "local control"),
    ],
)
def test_what_stops_the_arm_is_named(change, text):
    assert text in trouble_of(dataclasses.replace(GOOD, **change))


@pytest.mark.parametrize("change", [{"status_bits": 1}, {"runtime_state": 1}, {"runtime_state": 4}])
def test_a_program_that_does_not_run_follows_nothing(change):
    assert "program" in program_trouble(dataclasses.replace(GOOD, **change))


def late_after(times: StateTimes, states, begin: float = 50.0) -> float | None:
    """Seconds until the first state of (time, timestamp) pairs that is called late."""
    for time, timestamp in states:
        if times.late(timestamp, begin + time):
            return time
    return None


def ticks(seconds: float) -> np.ndarray:
    return np.arange(0.0, seconds, PERIOD)


def test_states_in_time_are_never_late():
    rng = np.random.default_rng(0)
    jitter = rng.exponential(0.002, len(ticks(20.0)))
    # A clock that runs 100 ppm slower, for an hour in steps.
    states = [(t, 7.0 + t * (1 - 1e-4) - late) for t, late in zip(ticks(20.0), jitter, strict=True)]
    assert late_after(StateTimes(LIMIT), states) is None


def test_clocks_may_drift_apart_for_hours():
    times = StateTimes(LIMIT)
    states = [(t, t * (1 - 1e-4)) for t in np.arange(0.0, 7200.0, 0.5)]
    assert late_after(times, states) is None


@pytest.mark.parametrize("limit", [0.03, 0.06, 0.2])
def test_a_frozen_controller_is_late_after_the_limit(limit):
    states = [(t, 7.0 + min(t, 1.0)) for t in ticks(3.0)]
    found = late_after(StateTimes(limit), states)
    assert limit < found - 1.0 < limit + 0.012


def test_a_delayed_stream_is_late_though_it_goes_on():
    """By 200 ms at once, or little by little."""
    at_once = [(t, t if t < 1.0 else max(1.0, t - 0.2)) for t in ticks(3.0)]
    slowly = [(t, t - min(0.2, 0.1 * max(0.0, t - 1.0))) for t in ticks(4.0)]
    assert late_after(StateTimes(LIMIT), at_once) < 1.08
    assert late_after(StateTimes(LIMIT), slowly) < 1.7


def test_one_s_own_sleep_is_not_taken_for_lateness():
    """After it the newest state may not have been read yet, for a look or two."""
    states = [(t, t) for t in ticks(1.0)]
    states += [(1.5, 1.0), (1.502, 1.0)]
    states += [(1.504 + t, 1.504 + t) for t in ticks(1.0)]
    assert late_after(StateTimes(LIMIT), states) is None


def test_stamps_are_as_even_as_the_states_and_never_go_back():
    clock, rng = StampClock(), np.random.default_rng(0)
    now = 1_700_000_000_000_000_000
    stamps = [
        clock.stamp(1000.0 + 0.02 * k, now + 20_000_000 * k + int(rng.uniform(0, 2e6)))
        for k in range(200)
    ]
    assert set(np.diff(stamps)) == {20_000_000}
    assert clock.stamp(1003.97, now + 3_970_000_000) > stamps[-1]
    for jump in (20_000_000_000, -80_000_000_000):  # the clock was set
        assert clock.stamp(1010.0, now + jump) == now + jump
