"""A device's clock in ROS time: not ahead of the arrival, ascending, and jumps are told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexgrasp_ros.device_clock import (
    JUMP_NS,
    ONE_CLOCK_NS,
    PERSISTENT,
    WINDOW,
    DeviceClock,
    OutOfOrderError,
)

MS = 1_000_000
PERIOD = 33 * MS


def stamps(clock, taken, arrived, **options):
    return [clock.stamp(t, a, **options) for t, a in zip(taken, arrived, strict=True)]


def test_stamps_have_the_devices_intervals_whatever_the_delays_are():
    taken = [n * PERIOD for n in range(60)]
    delays = [20 * MS + (n * 7919 % 13) * MS for n in range(60)]  # least at the start
    start = 5_000_000 * MS
    arrived = [start + t + d for t, d in zip(taken, delays, strict=True)]
    found = stamps(DeviceClock(), taken, arrived)
    assert [each.ns - start - t for each, t in zip(found, taken, strict=True)] == [20 * MS] * 60
    assert not any(each.jumped for each in found)


def test_the_time_of_this_computer_is_taken_as_it_is():
    taken = [10**18 + n * PERIOD for n in range(5)]
    arrived = [t + 30 * MS for t in taken]
    assert [each.ns for each in stamps(DeviceClock(), taken, arrived, host_clock=True)] == taken


@pytest.mark.parametrize("delays", [[30, 900], [560, 30]])
def test_where_it_is_that_a_frame_that_is_late_is_load_and_no_jump(delays):
    """Of images that come seldom, as they are rendered beside other work, ten in a row are late."""
    taken = [10**18 + n * PERIOD for n in range(4 * PERSISTENT)]
    late = [delays[n >= 2 * PERSISTENT] * MS for n in range(4 * PERSISTENT)]
    arrived = [t + d for t, d in zip(taken, late, strict=True)]
    found = stamps(DeviceClock(), taken, arrived, host_clock=True)
    assert [each.ns for each in found] == taken
    assert not any(each.jumped for each in found)


@pytest.mark.parametrize("offset", [-MS, ONE_CLOCK_NS, 10**15])
def test_but_not_where_ros_runs_on_another_clock(offset):
    """Simulated time, or a recording of last year."""
    taken = [10**18 + n * PERIOD for n in range(5)]
    arrived = [t + offset for t in taken]
    assert [each.ns for each in stamps(DeviceClock(), taken, arrived, host_clock=True)] == arrived


@given(
    steps=st.lists(st.tuples(st.integers(1, 10**8), st.integers(0, 10**9)), min_size=1, max_size=60)
)
def test_stamps_ascend_and_are_never_ahead_of_the_arrival(steps):
    clock, taken, arrived, last = DeviceClock(), 0, 0, -1
    for interval, delay in steps:
        taken += interval
        arrived = max(arrived, taken + delay)
        arrived += 1
        ns = clock.stamp(taken, arrived).ns
        assert last < ns <= arrived
        last = ns


@pytest.mark.parametrize("back", [0, 1, JUMP_NS - 1])
def test_a_frame_from_before_is_refused_and_the_next_taken(back):
    clock = DeviceClock()
    clock.stamp(10**12, 10**12)
    with pytest.raises(OutOfOrderError, match=f"taken {back / 1e6:.1f} ms before"):
        clock.stamp(10**12 - back, 10**12 + PERIOD)
    assert clock.stamp(10**12 + 2 * PERIOD, 10**12 + 2 * PERIOD).ns == 10**12 + 2 * PERIOD


@pytest.mark.parametrize("jump", [-(10**12), -JUMP_NS - PERIOD - 1, JUMP_NS + 1, 10**12])
def test_a_jump_of_the_devices_clock_begins_anew(jump):
    clock = DeviceClock()
    stamps(clock, range(0, 10 * PERIOD, PERIOD), range(10**13, 10**13 + 10 * PERIOD, PERIOD))
    at = 10**13 + 10 * PERIOD
    found = clock.stamp(10 * PERIOD + jump, at)
    assert (found.ns, found.jumped) == (at, True)
    again = clock.stamp(11 * PERIOD + jump, at + PERIOD)
    assert (again.ns, again.jumped) == (at + PERIOD, False)


def test_time_of_ros_that_is_set_back_is_followed():
    clock = DeviceClock()
    stamps(clock, range(0, 10 * PERIOD, PERIOD), range(10**13, 10**13 + 10 * PERIOD, PERIOD))
    found = clock.stamp(10 * PERIOD, 0)  # a simulation that begins anew
    assert (found.ns, found.jumped) == (0, True)


def test_time_of_ros_that_is_set_on_is_told_from_load():
    """Some late frames are load; where all are late it is the clock."""
    clock = DeviceClock()
    stamps(clock, range(0, 10 * PERIOD, PERIOD), range(0, 10 * PERIOD, PERIOD))
    late = 2 * JUMP_NS
    found = [clock.stamp(n * PERIOD, n * PERIOD + late) for n in range(10, 10 + PERSISTENT)]
    assert [each.jumped for each in found] == [False] * (PERSISTENT - 1) + [True]
    assert found[-1].ns == (10 + PERSISTENT - 1) * PERIOD + late


def test_a_drift_is_followed():
    """A quartz that is wrong by 100 ppm, over half an hour."""
    clock, drift = DeviceClock(), 1.0001
    for n in range(54_000):
        arrived = round(n * PERIOD * drift)
        found = clock.stamp(n * PERIOD, arrived)
        assert not found.jumped
        assert arrived - found.ns <= 1.2e-4 * WINDOW * PERIOD
